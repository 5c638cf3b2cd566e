//! What a profile's hooks are for: reading, writing and diagnosing a device by what it can do, with JSON in and out.
//!
//! ```text
//! read      get_X ─► message ─► device ─► {list} ─► parse_X ─► JSON
//! write     JSON ─► set_X ─► message ─► device          nil, nil ─► fallback (the input's own paths)
//! diagnose  write, then until the state is no longer "Requested": 8 DIAGNOSTICS COMPLETE, or a look now and then; then read
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::fallback;
use super::news::News;
use super::office::{Office, Order};
use super::payload::Payload;
use super::scripts::Scripts;
use crate::cwmp::rpc::{Request, Response, Status};
use crate::cwmp::soap::envelope::Namespace;
use crate::lab::lua::host::{Fence, Refusal};
use crate::lab::lua::profile::Profile;
use crate::lab::lua::script::{Mailbox, Occurrence};

/// Most profiles.
const MAX_PROFILES: usize = 256;
/// How long a diagnostic may take, if the profile does not say.
const DIAGNOSTIC: Duration = Duration::from_secs(120);
/// Between two looks at the state of a diagnostic whose end nobody tells.
const LOOK: Duration = Duration::from_secs(10);

/// The profiles that come with the program: for our own agent, and for the lab's TR-098 model.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("openwrt-tr181", include_str!("../profiles/openwrt-tr181.lua")),
    ("tr098", include_str!("../profiles/tr098.lua")),
];

/// What can be read: its name, and its hooks.
pub const READS: &[(&str, &str, &str)] = &[
    ("radio", "get_radio", "parse_radio"),
    ("ssid", "get_ssid", "parse_ssid"),
    ("connected_devices", "get_connected_devices", "parse_get_connected_devices"),
    ("site_survey", "get_site_survey_results", "parse_get_site_survey"),
    ("statistics", "get_statistics", "parse_get_statistics"),
    ("interface_wan", "get_interface_wan", "parse_get_interface_wan"),
    ("interface_lan", "get_interface_lan", "parse_get_interface_lan"),
    ("port", "get_port", "parse_get_port"),
    ("bridge", "get_bridge", "parse_get_bridge"),
    ("ping", "get_ping", "parse_get_ping"),
    ("ping_result", "get_ping_result", "parse_get_ping_result"),
    ("traceroute", "get_traceroute", "parse_get_traceroute"),
    ("hwinfo", "get_hwinfo", "parse_get_hwinfo"),
    ("pon", "get_pon", "parse_get_pon"),
    ("voice", "get_voice", "parse_get_voice"),
    ("cellular", "get_cellular", "parse_get_cellular"),
    ("xdsl", "get_xdsl", "parse_xdsl"),
];

/// What can be written: its name, its hook, and whether an object is added.
pub const WRITES: &[(&str, &str)] = &[
    ("radio", "set_radio"),
    ("ssid", "set_ssid"),
    ("port", "set_port"),
    ("new_port", "add_port"),
    ("bridge", "set_bridge"),
    ("ping", "set_ping"),
    ("traceroute", "set_traceroute"),
    ("speed_test", "set_speed_test"),
    ("voice", "set_voice"),
    ("line", "set_line"),
    ("cellular", "set_cellular"),
];

/// What the profile knows by itself.
pub const FACTS: &[(&str, &str)] = &[
    ("vendor", "get_vendor"),
    ("data_model", "get_data_model"),
    ("capabilities", "get_device_capabilities"),
    ("specs", "get_device_specs"),
    ("real_time", "is_real_time"),
    ("wan_options", "get_wan_options"),
];

/// The diagnostics.
pub const DIAGNOSTICS: &[&str] = &["ping", "traceroute", "speed_test", "site_survey"];

/// The profiles of a mini-ACS.
pub struct Profiles {
    office: Arc<Office>,
    scripts: Arc<Scripts>,
    profiles: Mutex<BTreeMap<String, Profile>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// There is no profile of this name.
    NoProfile(String),
    /// There is no such thing to read, write or diagnose.
    NoSuchThing(String),
    /// The profile lacks this hook: the device cannot do it.
    Lacks(&'static str),
    /// The profile itself cannot be used.
    Profile(String),
    /// The store's: it may not be there in the next mini-ACS.
    Store(String),
    /// A hook failed, or gave what cannot be used.
    Hook(String),
    /// The device, or the way to it: code and text as in scripts' error tables.
    Device(Refusal),
    /// The diagnostic ended in this state, or did not end.
    Diagnostic(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoProfile(name) => write!(f, "there is no profile {name:?}"),
            Error::NoSuchThing(name) => write!(f, "profiles know no {name:?}"),
            Error::Lacks(hook) => write!(f, "the profile has no {hook}: the device lacks this"),
            Error::Profile(why) | Error::Store(why) | Error::Hook(why) | Error::Diagnostic(why) => {
                f.write_str(why)
            }
            Error::Device(refusal) => write!(f, "{} {}", refusal.code, refusal.message),
        }
    }
}

impl std::error::Error for Error {}

impl Profiles {
    /// None yet. The scripts' ear tells of the ends of diagnostics.
    pub fn new(office: &Arc<Office>, scripts: &Arc<Scripts>) -> Arc<Profiles> {
        Arc::new(Profiles {
            office: Arc::clone(office),
            scripts: Arc::clone(scripts),
            profiles: Mutex::default(),
        })
    }

    /// Takes a profile, in the place of one of the same name.
    ///
    /// # Errors
    /// [`Error::Profile`].
    pub fn put(&self, name: &str, text: &str) -> Result<(), Error> {
        if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
            let why = "a profile's name has 1 to 128 bytes and no control characters";
            return Err(Error::Profile(why.to_owned()));
        }
        let profile = Profile::read(text).map_err(|trouble| Error::Profile(format!("{name}: {trouble}")))?;
        if profile.hooks().is_empty() {
            return Err(Error::Profile(format!("{name}: it defines no hook")));
        }
        let mut profiles = self.profiles();
        if profiles.len() >= MAX_PROFILES && !profiles.contains_key(name) {
            return Err(Error::Profile(format!("there are {MAX_PROFILES} profiles already")));
        }
        profiles.insert(name.to_owned(), profile);
        Ok(())
    }

    /// As [`Profiles::put`], and keeps it in the store, so that the next mini-ACS has it too.
    ///
    /// # Errors
    /// [`Error::Profile`], [`Error::Store`].
    pub fn keep(&self, name: &str, text: &str) -> Result<(), Error> {
        self.put(name, text)?;
        self.office.store.keep_profile(name, text).map_err(|error| Error::Store(error.to_string()))
    }

    /// Takes the profiles that are kept in the store, but for names that are taken; gives what cannot be used any more.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn restore(&self) -> Result<Vec<Error>, Error> {
        let kept = self.office.store.kept_profiles().map_err(|error| Error::Store(error.to_string()))?;
        let free = kept.into_iter().filter(|one| self.get(&one.name).is_none());
        Ok(free.filter_map(|one| self.put(&one.name, &one.text).err()).collect())
    }

    /// Forgets a profile, in the store too; whether there was one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        let kept = self.office.store.forget_profile(name).map_err(|error| Error::Store(error.to_string()))?;
        Ok(self.profiles().remove(name).is_some() || kept)
    }

    /// The profiles and the hooks they define.
    pub fn list(&self) -> Vec<(String, Vec<&'static str>)> {
        self.profiles().iter().map(|(name, profile)| (name.clone(), profile.hooks().to_vec())).collect()
    }

    /// A profile.
    pub fn get(&self, name: &str) -> Option<Profile> {
        self.profiles().get(name).cloned()
    }

    /// What a device of this profile can do, by the hooks that are there: what can be read, written and diagnosed.
    ///
    /// # Errors
    /// [`Error::NoProfile`].
    pub fn abilities(&self, name: &str) -> Result<Json, Error> {
        let profile = self.profile(name)?;
        let reads: Vec<_> = READS
            .iter()
            .filter(|(_, get, parse)| profile.has(get) && profile.has(parse))
            .map(|read| read.0)
            .collect();
        let writes: Vec<_> = WRITES.iter().filter(|(_, set)| profile.has(set)).map(|write| write.0).collect();
        let diagnoses: Vec<_> = DIAGNOSTICS
            .iter()
            .filter(|what| steps(what).is_some_and(|steps| steps.are_in(&profile)))
            .collect();
        Ok(json!({ "read": reads, "write": writes, "diagnose": diagnoses }))
    }

    /// One hook alone, with these arguments; `None` for `nil, nil`.
    ///
    /// # Errors
    /// [`Error::NoProfile`], [`Error::Hook`].
    pub fn call(
        &self,
        name: &str,
        device: &str,
        hook: &str,
        arguments: &[Json],
    ) -> Result<Option<Json>, Error> {
        let profile = self.profile(name)?;
        Job::new(self, name, &profile, device).call(hook, arguments)
    }

    /// What the profile knows by itself ([`FACTS`]).
    ///
    /// # Errors
    /// [`Error`]; `null` for a hook that has no value.
    pub fn fact(&self, name: &str, device: &str, what: &str) -> Result<Json, Error> {
        let (_, hook) = FACTS.iter().find(|(known, _)| *known == what).ok_or_else(|| no_such(what))?;
        let profile = self.profile(name)?;
        Ok(Job::new(self, name, &profile, device).hook(hook, &[])?.unwrap_or(Json::Null))
    }

    /// Reads something ([`READS`]) of a device: get, send, parse.
    ///
    /// # Errors
    /// [`Error`].
    pub fn read(&self, name: &str, device: &str, what: &str) -> Result<Json, Error> {
        let (_, get, parse) = READS.iter().find(|(known, ..)| *known == what).ok_or_else(|| no_such(what))?;
        let profile = self.profile(name)?;
        Job::new(self, name, &profile, device).read((get, &[]), parse, &[])
    }

    /// Writes something ([`WRITES`]) to a device: set, send; or the built-in way if the hook leaves it to the host. Gives the device's
    /// answer.
    ///
    /// # Errors
    /// [`Error`].
    pub fn write(&self, name: &str, device: &str, what: &str, input: &Json) -> Result<Json, Error> {
        let (_, hook) = WRITES.iter().find(|(known, _)| *known == what).ok_or_else(|| no_such(what))?;
        let profile = self.profile(name)?;
        Job::new(self, name, &profile, device).write(hook, what, input)
    }

    /// Runs a diagnostic ([`DIAGNOSTICS`]) and waits for its result.
    ///
    /// # Errors
    /// [`Error`].
    pub fn diagnose(&self, name: &str, device: &str, what: &str, input: &Json) -> Result<Json, Error> {
        let profile = self.profile(name)?;
        let steps = steps(what).ok_or_else(|| no_such(what))?;
        Job::new(self, name, &profile, device).diagnose(&steps, input)
    }

    fn profile(&self, name: &str) -> Result<Profile, Error> {
        self.get(name).ok_or_else(|| Error::NoProfile(name.to_owned()))
    }

    fn profiles(&self) -> MutexGuard<'_, BTreeMap<String, Profile>> {
        self.profiles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_such(what: &str) -> Error {
    Error::NoSuchThing(what.to_owned())
}

/// The hooks of a diagnostic.
struct Steps {
    what: &'static str,
    set: &'static str,
    state: fn(&Json) -> &'static str,
    result: &'static str,
    parse: &'static str,
}

impl Steps {
    fn are_in(&self, profile: &Profile) -> bool {
        // Without its own `set` a site survey is begun by its state.
        let set = self.what == "site_survey" || profile.has(self.set);
        set && [(self.state)(&Json::Null), self.result, self.parse].into_iter().all(|hook| profile.has(hook))
    }
}

fn steps(what: &str) -> Option<Steps> {
    let steps = |what, set, state, result, parse| Some(Steps { what, set, state, result, parse });
    match what {
        "ping" => steps(
            "ping",
            "set_ping",
            |_| "get_ping_diagnostic_state",
            "get_ping_result",
            "parse_get_ping_result",
        ),
        "traceroute" => steps(
            "traceroute",
            "set_traceroute",
            |_| "get_traceroute_diagnostic_state",
            "get_traceroute_result",
            "parse_get_traceroute_result",
        ),
        "speed_test" => steps(
            "speed_test",
            "set_speed_test",
            |test| match direction(test) {
                "upload" => "get_upload_diagnostic_state",
                _ => "get_download_diagnostic_state",
            },
            "get_speed_test_result",
            "parse_get_speed_test_result",
        ),
        "site_survey" => steps(
            "site_survey",
            "set_site_survey_diagnostic_state",
            |_| "get_site_survey_diagnostic_state",
            "get_site_survey_results",
            "parse_get_site_survey",
        ),
        _ => None,
    }
}

/// Which of the two a speed test is.
fn direction(test: &Json) -> &'static str {
    if test["action"] == "upload" { "upload" } else { "download" }
}

/// One request with one device.
struct Job<'a> {
    office: &'a Arc<Office>,
    scripts: &'a Scripts,
    name: &'a str,
    profile: &'a Profile,
    device: &'a str,
}

impl<'a> Job<'a> {
    fn new(profiles: &'a Profiles, name: &'a str, profile: &'a Profile, device: &'a str) -> Job<'a> {
        Job { office: &profiles.office, scripts: &profiles.scripts, name, profile, device }
    }

    /// Calls a hook; what it prints is told.
    fn call(&self, hook: &str, arguments: &[Json]) -> Result<Option<Json>, Error> {
        let mut printed = Vec::new();
        let result = self.profile.call(hook, self.device, arguments, &mut printed);
        for line in &printed {
            self.office.watcher.news(&News::Script { name: self.name, line });
        }
        result.map_err(Error::Hook)
    }

    fn hook(&self, hook: &'static str, arguments: &[Json]) -> Result<Option<Json>, Error> {
        if !self.profile.has(hook) {
            return Err(Error::Lacks(hook));
        }
        self.call(hook, arguments)
    }

    /// The text of a hook that must give one.
    fn text(&self, hook: &'static str, arguments: &[Json]) -> Result<String, Error> {
        match self.hook(hook, arguments)? {
            Some(Json::String(text)) => Ok(text),
            _ => Err(Error::Hook(format!("{hook} has no value"))),
        }
    }

    fn read(
        &self,
        (get, given): (&'static str, &[Json]),
        parse: &'static str,
        before: &[Json],
    ) -> Result<Json, Error> {
        if !self.profile.has(parse) {
            return Err(Error::Lacks(parse));
        }
        let message = self.text(get, given)?;
        let list = match self.send(&message)? {
            Response::GetParameterValues(values) => values
                .into_iter()
                .map(|item| json!({ "name": item.name, "value": item.value.text }))
                .collect(),
            Response::GetParameterNames(names) => {
                names.into_iter().map(|item| json!({ "name": item.name })).collect::<Vec<_>>()
            }
            other => return Err(Error::Hook(format!("{get} made a {}, and a Get is wanted", other.name()))),
        };
        let arguments = [before, &[json!({ "list": list })]].concat();
        Ok(self.hook(parse, &arguments)?.unwrap_or(Json::Null))
    }

    fn write(&self, hook: &'static str, what: &str, input: &Json) -> Result<Json, Error> {
        match self.hook(hook, std::slice::from_ref(input))? {
            Some(Json::String(message)) => self.send(&message).map(|response| answer(&response)),
            Some(_) => Err(usp()),
            None => {
                let sent = fallback::write(self.office, self.device, what, input)?;
                Ok(json!({ "status": 0, "fallback": true, "parameters": sent }))
            }
        }
    }

    /// Sends what a hook made.
    fn send(&self, message: &str) -> Result<Response, Error> {
        if message.trim_start().starts_with('{') {
            return Err(usp());
        }
        let payload = self.office.payload(self.device, message);
        self.ask(payload.map_err(|refusal| Error::Hook(format!("the hook's message: {}", refusal.message)))?)
    }

    fn ask(&self, payload: Payload) -> Result<Response, Error> {
        ask(self.office, self.device, payload)
    }

    /// The value of one parameter.
    fn value(&self, path: &str) -> Result<String, Error> {
        let request = Request::GetParameterValues(vec![path.to_owned()]);
        let payload = Payload::of(request, Namespace::V1_0).map_err(Error::Hook)?;
        match self.ask(payload)? {
            Response::GetParameterValues(values) if values.len() == 1 => Ok(values[0].value.text.clone()),
            _ => Err(Error::Hook(format!("{path} is not one parameter"))),
        }
    }

    fn diagnose(&self, steps: &Steps, input: &Json) -> Result<Json, Error> {
        let state = self.text((steps.state)(input), &[])?;
        let mailbox = Arc::new(Mailbox::default());
        self.scripts.subscribe(&mailbox);
        if steps.what == "site_survey" && !self.profile.has(steps.set) {
            fallback::request(self.office, self.device, &state)?;
        } else if steps.what == "site_survey" {
            match self.hook(steps.set, &[])? {
                Some(Json::String(message)) => drop(self.send(&message)?),
                Some(_) => return Err(usp()),
                None => fallback::request(self.office, self.device, &state)?,
            }
        } else {
            self.write(steps.set, steps.what, input)?;
        }
        self.wait(&state, &mailbox, self.limit(steps.what))?;
        match steps.what {
            "traceroute" => {
                let count = self.text("get_traceroute_result_number_of_hops", &[])?;
                let count = if count.contains('.') { self.value(&count)? } else { count };
                let count: u32 = count
                    .trim()
                    .parse()
                    .map_err(|_| Error::Diagnostic(format!("{count:?} is no number of hops")))?;
                self.read((steps.result, &[json!(count)]), steps.parse, &[])
            }
            "speed_test" => {
                let kind = [json!(direction(input))];
                self.read((steps.result, &kind), steps.parse, &kind)
            }
            _ => self.read((steps.result, &[]), steps.parse, &[]),
        }
    }

    /// How long a diagnostic may take.
    fn limit(&self, what: &str) -> Duration {
        let key = if what == "traceroute" { "TimeTraceRoute" } else { return DIAGNOSTIC };
        let specs = self.hook("get_device_specs", &[]).ok().flatten().unwrap_or(Json::Null);
        let seconds = specs[key].as_f64().filter(|seconds| (1.0..=3600.0).contains(seconds));
        seconds.map_or(DIAGNOSTIC, Duration::from_secs_f64)
    }

    /// Waits until a diagnostic is no longer requested; `state` is where to look, or, without a dot, the state itself.
    fn wait(&self, state: &str, mailbox: &Mailbox, limit: Duration) -> Result<(), Error> {
        let end = Instant::now() + limit;
        let over = Occurrence::Event(self.device.to_owned(), "8".to_owned());
        loop {
            let told = mailbox.wait_for(&over, end.min(Instant::now() + LOOK));
            let found = match state.contains('.') {
                true => self.value(state)?,
                // Nothing can be looked at: the device must tell, or the time must pass.
                false if told || Instant::now() >= end => return Ok(()),
                false => "Requested".to_owned(),
            };
            match found.as_str() {
                "Requested" if Instant::now() < end => {}
                "Requested" => {
                    let why = format!("the diagnostic did not end within {} s", limit.as_secs());
                    return Err(Error::Diagnostic(why));
                }
                "Complete" | "Completed" => return Ok(()),
                other => return Err(Error::Diagnostic(format!("the diagnostic ended as {other}"))),
            }
        }
    }
}

fn usp() -> Error {
    Error::Device(Refusal::new(503, "the hook made a USP request, and the device has no USP agent"))
}

/// Sends a message and waits for its answer.
pub(super) fn ask(office: &Arc<Office>, device: &str, payload: Payload) -> Result<Response, Error> {
    let fence = Fence::new(&office.stop, Duration::MAX);
    office.ask(Order::new(device, payload), office.settings.answer, &fence).map_err(Error::Device)
}

/// A device's answer to a write.
fn answer(response: &Response) -> Json {
    let number = |status: &Status| u8::from(*status == Status::Committed);
    match response {
        Response::AddObject { instance_number, status } => {
            json!({ "status": number(status), "instance_number": instance_number })
        }
        Response::SetParameterValues(status) | Response::DeleteObject(status) => {
            json!({ "status": number(status) })
        }
        other => json!({ "answer": other.name() }),
    }
}
