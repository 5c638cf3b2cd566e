//! The scripts that run in the mini-ACS: each on a thread of its own, in a state of its own, with a log of its own.
//!
//! ```text
//! office ─► watcher ─► Scripts (every Inform, to each script's mailbox) ─► the watcher that was given
//! script's thread ─► Desk (what it may ask) ─► office
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::cwmp::rpc::Request;
use crate::cwmp::soap::envelope::Namespace;
use crate::lab::lua::host::{Answer, Card, Fence, Fleet, Host, Method, Refusal};
use crate::lab::lua::script::{self, Mailbox, Occurrence, event_word};
use crate::lab::lua::vm::{self, Limits, MAX_SCRIPT, Trouble, Vm};
use crate::lab::store::Device;
use crate::sys::clock::epoch_seconds;

use super::news::{News, Watcher};
use super::office::{Office, Order};
use super::payload::Payload;
use super::presence::Presence;

/// Most scripts that are kept, and most threads of scripts that are alive.
const MAX_SCRIPTS: usize = 64;
/// Lines that are kept of a script's log; the oldest go.
const MAX_LOG: usize = 2000;
/// How long an asynchronous message waits for its device.
const LATER: Duration = Duration::from_secs(24 * 3600);

/// The scripts of a mini-ACS.
#[derive(Default)]
pub struct Scripts {
    office: Mutex<Weak<Office>>,
    entries: Mutex<BTreeMap<String, Entry>>,
    subscribers: Mutex<Vec<Weak<Mailbox>>>,
}

/// Where a script stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its thread computes, waits or listens.
    Running,
    /// It was told to end.
    Stopping,
    /// It has ended.
    Stopped,
}

impl State {
    /// As Oktopus has it.
    pub fn word(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
        }
    }
}

/// A script for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its key.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// Why it has ended, if not by itself or because it was told to.
    pub reason: String,
    /// Its text.
    pub text: String,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Seconds since 1970.
    pub at: i64,
    /// What was printed.
    pub text: String,
}

/// Why a script was not started or stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// It runs already.
    Running(String),
    /// There is none of this name.
    Unknown(String),
    /// Too long a text, a bad name, too many scripts, or no thread.
    Refused(String),
    /// The store's: it may not be there in the next mini-ACS.
    Store(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Running(name) => write!(f, "the script {name:?} runs, and must be stopped first"),
            Error::Unknown(name) => write!(f, "there is no script {name:?}"),
            Error::Refused(why) | Error::Store(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

struct Entry {
    text: String,
    mailbox: Arc<Mailbox>,
    state: State,
    reason: String,
    log: Arc<Log>,
    /// It is in the store.
    kept: bool,
}

impl From<crate::lab::store::Error> for Error {
    fn from(error: crate::lab::store::Error) -> Error {
        Error::Store(error.to_string())
    }
}

/// The last lines of a script.
#[derive(Default)]
struct Log(Mutex<VecDeque<Line>>);

impl Log {
    fn add(&self, text: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for text in text.split('\n') {
            if lines.len() == MAX_LOG {
                lines.pop_front();
            }
            lines.push_back(Line { at: epoch_seconds(), text: text.to_owned() });
        }
    }
}

impl Scripts {
    /// None yet. [`Scripts::attach`] must follow, once there is an office.
    pub fn new() -> Arc<Scripts> {
        Arc::default()
    }

    /// A watcher for the office: tells the scripts of every Inform, and all to `inner`.
    pub fn watch(self: &Arc<Scripts>, inner: Box<dyn Watcher>) -> Box<dyn Watcher> {
        Box::new(Ear { scripts: Arc::clone(self), inner })
    }

    /// The office that the scripts work in.
    pub fn attach(&self, office: &Arc<Office>) {
        *self.office.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(office);
    }

    /// Starts a script; one of the same name that has ended is replaced, with its log.
    ///
    /// # Errors
    /// [`Error`]; what is wrong in the script itself is found when it runs, and told in its log and report.
    pub fn start(self: &Arc<Scripts>, name: &str, text: &str) -> Result<(), Error> {
        self.start_as(name, text, false)
    }

    /// As [`Scripts::start`], and keeps it in the store first, so that the next mini-ACS has it too.
    ///
    /// # Errors
    /// [`Error`].
    pub fn put(self: &Arc<Scripts>, name: &str, text: &str) -> Result<(), Error> {
        self.start_as(name, text, true)
    }

    /// Starts a script again that has ended.
    ///
    /// # Errors
    /// [`Error`].
    pub fn start_again(self: &Arc<Scripts>, name: &str) -> Result<(), Error> {
        let entries = self.entries();
        let entry = entries.get(name).ok_or_else(|| Error::Unknown(name.to_owned()))?;
        let (text, kept) = (entry.text.clone(), entry.kept);
        drop(entries);
        self.start_as(name, &text, kept)
    }

    /// Takes the scripts that are kept in the store, but for names that are taken, and starts those that ran when the
    /// last mini-ACS ended; gives what could not be started.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn restore(self: &Arc<Scripts>) -> Result<Vec<Error>, Error> {
        let Some(office) = self.office() else { return Ok(Vec::new()) };
        let mut failed = Vec::new();
        for script in office.store.kept_scripts()? {
            let mut entries = self.entries();
            if entries.contains_key(&script.name) {
                continue;
            }
            if !script.wanted {
                let entry = Entry {
                    text: script.text,
                    mailbox: Arc::default(),
                    state: State::Stopped,
                    reason: String::new(),
                    log: Arc::default(),
                    kept: true,
                };
                entries.insert(script.name, entry);
                continue;
            }
            drop(entries);
            failed.extend(self.start_as(&script.name, &script.text, true).err());
        }
        Ok(failed)
    }

    fn office(&self) -> Option<Arc<Office>> {
        self.office.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    fn start_as(self: &Arc<Scripts>, name: &str, text: &str, kept: bool) -> Result<(), Error> {
        let refused = |why: String| Err(Error::Refused(why));
        if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
            return refused("a script's name has 1 to 128 bytes and no control characters".to_owned());
        }
        if text.len() > MAX_SCRIPT {
            return refused(format!("the script {name:?} is longer than {MAX_SCRIPT} bytes"));
        }
        let Some(office) = self.office() else {
            return refused("the mini-ACS has ended".to_owned());
        };
        let (mailbox, log) = (Arc::new(Mailbox::default()), Arc::new(Log::default()));
        let mut entries = self.entries();
        match entries.get(name) {
            Some(entry) if entry.state != State::Stopped => return Err(Error::Running(name.to_owned())),
            None if entries.len() >= MAX_SCRIPTS => {
                return refused(format!("there are {MAX_SCRIPTS} scripts already"));
            }
            _ => {}
        }
        let entry = Entry {
            text: text.to_owned(),
            mailbox: Arc::clone(&mailbox),
            state: State::Running,
            reason: String::new(),
            log: Arc::clone(&log),
            kept,
        };
        if kept {
            // Before the thread, whose end says that it is not wanted any more.
            office.store.keep_script(name, text)?;
        }
        let desk = Arc::new(Desk { office, name: name.to_owned(), log });
        let (scripts, text) = (Arc::clone(self), text.to_owned());
        vm::thread(move || scripts.run(&desk, &text, &mailbox))
            .map_err(|error| Error::Refused(format!("the script {name:?} cannot start: {error}")))?;
        entries.insert(name.to_owned(), entry);
        Ok(())
    }

    /// Tells a script to end: at once in Lua code and where it waits. One that has ended already stays so.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub fn stop(&self, name: &str) -> Result<(), Error> {
        let mut entries = self.entries();
        let entry = entries.get_mut(name).ok_or_else(|| Error::Unknown(name.to_owned()))?;
        if entry.state == State::Running {
            if entry.kept
                && let Some(office) = self.office()
            {
                office.store.want_script(name, false)?;
            }
            entry.state = State::Stopping;
            entry.mailbox.stop();
        }
        Ok(())
    }

    /// Tells all of them.
    pub fn stop_all(&self) {
        for entry in self.entries().values_mut().filter(|entry| entry.state == State::Running) {
            entry.state = State::Stopping;
            entry.mailbox.stop();
        }
    }

    /// Forgets a script that has ended, with its log.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Running`].
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let mut entries = self.entries();
        match entries.get(name) {
            None => Err(Error::Unknown(name.to_owned())),
            Some(entry) if entry.state != State::Stopped => Err(Error::Running(name.to_owned())),
            Some(entry) => {
                if entry.kept
                    && let Some(office) = self.office()
                {
                    office.store.forget_script(name)?;
                }
                entries.remove(name);
                Ok(())
            }
        }
    }

    /// All scripts, by name.
    pub fn list(&self) -> Vec<Report> {
        self.entries().iter().map(|(name, entry)| report(name, entry)).collect()
    }

    /// One script.
    pub fn report(&self, name: &str) -> Option<Report> {
        self.entries().get(name).map(|entry| report(name, entry))
    }

    /// The last lines that a script printed, and what became of it.
    pub fn log(&self, name: &str) -> Option<Vec<Line>> {
        let log = Arc::clone(&self.entries().get(name)?.log);
        let lines = log.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(lines.iter().cloned().collect())
    }

    /// A script's thread, from its start to its end.
    fn run(&self, desk: &Arc<Desk>, text: &str, mailbox: &Arc<Mailbox>) {
        let limits = Limits { time: Duration::MAX, work: u32::MAX, ..desk.office.settings.limits };
        let fleet: Arc<dyn Fleet> = Arc::clone(desk) as Arc<dyn Fleet>;
        let result = Vm::new(limits, mailbox.signal()).and_then(|vm| script::run(&vm, text, &fleet, mailbox));
        let reason = match result {
            Ok(()) | Err(Trouble::Stopped) => String::new(),
            Err(trouble) => trouble.to_string(),
        };
        if !reason.is_empty() {
            desk.print(&reason);
        }
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(&desk.name) {
            // One that the end of the mini-ACS stops is wanted in the next.
            if entry.kept
                && entry.state == State::Running
                && !desk.office.stop.is_stopped()
                && let Err(error) = desk.office.store.want_script(&desk.name, false)
            {
                desk.office.trouble(&error);
            }
            entry.state = State::Stopped;
            entry.reason.clone_from(&reason);
        }
        drop(entries);
        desk.office.watcher.news(&News::ScriptEnded { name: &desk.name, reason: &reason });
    }

    /// Tells a mailbox of every event and new device too, as long as it lives.
    pub fn subscribe(&self, mailbox: &Arc<Mailbox>) {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|known| known.strong_count() > 0);
        subscribers.push(Arc::downgrade(mailbox));
    }

    fn tell(&self, occurrence: &Occurrence) {
        for mailbox in self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(mailbox) = mailbox.upgrade() {
                mailbox.tell(occurrence.clone());
            }
        }
        for entry in self.entries().values().filter(|entry| entry.state == State::Running) {
            entry.mailbox.tell(occurrence.clone());
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(name: &str, entry: &Entry) -> Report {
    Report {
        name: name.to_owned(),
        state: entry.state,
        reason: entry.reason.clone(),
        text: entry.text.clone(),
    }
}

/// Between the office and its watcher.
struct Ear {
    scripts: Arc<Scripts>,
    inner: Box<dyn Watcher>,
}

impl Watcher for Ear {
    fn news(&self, news: &News<'_>) {
        self.inner.news(news);
        if let News::Informed { inform, first } = news {
            let device = &inform.device_id.serial_number;
            if *first {
                self.scripts.tell(&Occurrence::NewDevice(device.clone()));
            }
            for event in &inform.events {
                let event = event_word(&event.code.to_string());
                self.scripts.tell(&Occurrence::Event(device.clone(), event));
            }
        }
    }
}

/// What a script may ask.
struct Desk {
    office: Arc<Office>,
    name: String,
    log: Arc<Log>,
}

impl Desk {
    fn ask(
        &self,
        (device, message): (&str, &str),
        quiet: bool,
        method: Method,
        until: &Fence,
    ) -> Result<Answer, Refusal> {
        let payload = self.office.payload(device, message)?;
        let patience = if quiet { LATER } else { self.office.settings.answer };
        self.office.call(Order { quiet, ..Order::new(device, payload) }, method, patience, until)
    }

    fn card(&self, device: Device) -> Card {
        Card {
            online: self.office.presence(&device.serial_number) == Presence::Online,
            cwmp: device.first_contact.is_some(),
            data_model: match device.data_model.as_str() {
                "InternetGatewayDevice" => "TR-098",
                "Device" => "TR-181",
                _ => "",
            }
            .to_owned(),
            serial_number: device.serial_number,
            model: device.model,
            vendor: device.manufacturer,
            version: device.version,
            product_class: device.product_class,
        }
    }
}

impl Host for Desk {
    fn print(&self, line: &str) {
        self.log.add(line);
        self.office.watcher.news(&News::Script { name: &self.name, line });
    }

    fn enqueue(&self, device: &str, message: &str) -> Result<(), Refusal> {
        let payload = self.office.payload(device, message)?;
        self.office.enqueue(Order::new(device, payload)).map(drop)
    }

    fn call(&self, device: &str, message: &str, method: Method, until: &Fence) -> Result<Answer, Refusal> {
        self.ask((device, message), false, method, until)
    }

    fn credential(&self, username: &str, password: &str) -> Result<String, String> {
        self.office.store.put_credential(username, password).map_err(|error| error.to_string())?;
        Ok(username.to_owned())
    }

    fn refresh(&self, device: &str) -> bool {
        self.office.refresh(device, None)
    }
}

impl Fleet for Desk {
    fn call_later(
        &self,
        device: &str,
        message: &str,
        method: Method,
        until: &Fence,
    ) -> Result<Answer, Refusal> {
        self.ask((device, message), true, method, until)
    }

    fn refresh_now(&self, device: &str, until: &Fence) -> bool {
        let Some(paths) = self.office.kept_paths(device) else { return false };
        // One each: a device that lacks one of them refuses a request that has it, whole.
        let orders: Option<Vec<Order<'_>>> = paths
            .iter()
            .map(|path| {
                let request = Request::GetParameterValues(vec![(*path).to_owned()]);
                Payload::of(request, Namespace::V1_0).ok().map(|payload| Order::new(device, payload))
            })
            .collect();
        let Some(orders) = orders else { return false };
        self.office.ask_all(orders, self.office.settings.answer, until).iter().any(Result::is_ok)
    }

    fn device(&self, serial_number: &str) -> Option<Card> {
        self.office.store.device(serial_number).ok().flatten().map(|device| self.card(device))
    }

    fn devices(&self) -> Vec<Card> {
        let devices = self.office.store.devices().unwrap_or_default();
        devices.into_iter().map(|device| self.card(device)).collect()
    }

    fn delete_device(&self, serial_number: &str) -> bool {
        self.office.forget(serial_number).unwrap_or(false)
    }

    fn set_model(&self, serial_number: &str, model: &str) -> bool {
        self.office.store.set_model(serial_number, model).unwrap_or(false)
    }
}
