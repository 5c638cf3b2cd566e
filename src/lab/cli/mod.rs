//! `rcwmpd mini-acs` and `rcwmpd lab`.
//!
//! The lab tells the story of zero-touch provisioning in one run: a router is unpacked, a mini-ACS listens, the agent
//! starts as a child process and informs, a script provisions it, and the difference in the router's files is shown.
//! `rcwmpd lab --router` is the router alone, for agents and people to talk to.
#![allow(clippy::disallowed_macros, reason = "this module talks to the terminal")]

mod agent;
mod ctl;
mod kept;
mod lua;
mod options;
mod served;
mod show;
mod soak;

use std::ffi::OsString;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use self::agent::Agent;
use self::options::{Mode, Options, Service, parse};
use self::served::Served;
use self::show::{Show, Signal, Tone};
use super::acs::guard::Auth;
use super::acs::office::{Office, Settings};
use super::acs::profiles::Profiles;
use super::acs::scripts::Scripts;
use super::acs::server::Server;
use super::api::{Control, Parts};
use super::lua::vm::Limits;
use super::store::{Definition, Status, Store};
use super::{diff, router};
use crate::http::auth::Credentials;
use crate::http::tls_server::Identity;
use crate::sys::fs::{read_capped, write_atomic};
use crate::sys::rng;
use crate::sys::signal::{Asked, Signals};

/// The built-in service and its variables.
const ZERO_TOUCH: &str = include_str!("../services/zero-touch.lua");
const VARIABLES: &[(&str, &str)] = &[
    ("hostname", "living-room"),
    ("ntp_servers", "ntp.isp.example,0.openwrt.pool.ntp.org"),
    ("wifi_ssid", "Home of the Lab"),
    ("wifi_passphrase", "correct horse battery"),
    ("dhcp_min", "192.168.1.50"),
    ("dhcp_max", "192.168.1.199"),
    ("camera_ip", "192.168.1.40"),
];
/// What a script that is ended at the time limit may take to be noticed, before the run is given up.
const GRACE: Duration = Duration::from_secs(1);
/// For the agent to finish a session that is over for the ACS, and to apply what it kept for its end.
const AFTER: Duration = Duration::from_millis(300);
/// Between two looks at signals and children.
const TICK: Duration = Duration::from_millis(50);

/// Runs `rcwmpd mini-acs` until SIGINT or SIGTERM, or `mini-acs ctl` once; `arguments` are those after the mode's word.
pub fn mini_acs(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter().peekable();
    if arguments.peek().is_some_and(|word| word == "ctl") {
        return ctl::run(arguments.skip(1));
    }
    with_options(Mode::MiniAcs, arguments, serve)
}

/// Runs `rcwmpd lab`, or `lab soak`; `arguments` are those after the mode's word. 0 only if the service ended
/// *provisioned*, or nothing grew.
pub fn lab(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter().peekable();
    if arguments.peek().is_some_and(|word| word == "soak") {
        return soak::run(arguments.skip(1));
    }
    with_options(Mode::Lab, arguments, |options| match options.router {
        true => served::serve(options),
        false => provision(options),
    })
}

fn with_options(
    mode: Mode,
    arguments: impl IntoIterator<Item = OsString>,
    run: impl FnOnce(&Options) -> Result<(), String>,
) -> ExitCode {
    let options = match parse(mode, arguments) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("rcwmpd: {why}\nrcwmpd: see rcwmpd {} --help", mode.word());
            return ExitCode::from(2);
        }
    };
    if options.help {
        let _ = write!(std::io::stdout().lock(), "{}", mode.help());
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // What follows the first line, a traceback perhaps, was told when it happened.
            eprintln!("rcwmpd {}: {}", mode.word(), why.lines().next().unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> Result<(), String> {
    let store = match &options.db {
        Some(path) => Store::open(path),
        None => Store::in_memory(),
    };
    let store = store.map_err(|error| error.to_string())?;
    for service in &options.services {
        for device in &service.devices {
            attach(&store, service, device)?;
        }
    }
    let mut signals = Signals::install().map_err(|error| error.to_string())?;
    let show = Show::new(options.verbose, None).with_trace(options.trace);
    let settings = Settings {
        allow_remote: options.allow_remote,
        #[cfg(feature = "xmpp")]
        xmpp: options.xmpp.clone(),
        root_uri: options.quirks.root_uri,
        basic_knock: options.quirks.basic_knock,
        fill: options.fill,
        ..Settings::default()
    };
    let scripts = Scripts::new();
    let office = Office::new(store, scripts.watch(Box::new(show)), settings);
    scripts.attach(&office);
    let profiles = Profiles::new(&office, &scripts);
    let secure = match (options.https, &options.cert) {
        (Some(listen), Some(cert)) => {
            let key = options.key.as_ref().unwrap_or(cert);
            Some((listen, Identity::read(cert, key).map_err(|error| error.to_string())?))
        }
        _ => None,
    };
    let (auth, quirks) = (options.auth.clone(), options.quirks);
    let server = Server::start_with(Arc::clone(&office), options.listen, secure, auth, quirks)
        .map_err(|error| format!("the mini-ACS cannot listen: {error}"))?;
    let tell = |who: &str, what: &str| {
        let _ = writeln!(std::io::stdout().lock(), "{who:<8} {what}");
    };
    tell("acs", &server.url());
    if let Some(url) = server.secure_url() {
        tell("acs", &url);
    }
    let _control = match options.control {
        Some(listen) => {
            let token = token(options.token_file.as_deref())?;
            let (scripts, profiles) = (Arc::clone(&scripts), Arc::clone(&profiles));
            let parts = Parts { office, scripts, profiles, acs: server.url() };
            let control = Control::start(parts, listen, token.clone())
                .map_err(|error| format!("the control cannot listen: {error}"))?;
            match &options.token_file {
                Some(file) => {
                    tell("control", &format!("{} with the token in {}", control.url(), file.display()))
                }
                None => tell("control", &format!("{} with the token {token}", control.url())),
            }
            Some(control)
        }
        None => None,
    };
    let running = lua::start(options, &scripts, &profiles)?;
    while signals.asked() != Some(Asked::Stop) {
        thread::sleep(TICK);
    }
    drop(running);
    Ok(())
}

/// The token of the control: the file's, which is made with one if it is not there, for its owner only.
fn token(file: Option<&Path>) -> Result<String, String> {
    let fresh = || rng::hex(16).map_err(|error| error.to_string());
    let Some(file) = file else { return fresh() };
    if file.exists() {
        let bytes = read_capped(file, 4096).map_err(|error| format!("--token-file: {error}"))?;
        let text =
            String::from_utf8(bytes).map_err(|_| format!("--token-file: {} is not UTF-8", file.display()))?;
        return Ok(text.trim().to_owned());
    }
    let token = fresh()?;
    let file = std::path::absolute(file).map_err(|error| format!("--token-file: {error}"))?;
    write_atomic(&file, format!("{token}\n").as_bytes(), 0o600)
        .map_err(|error| format!("--token-file: {error}"))?;
    Ok(token)
}

/// The whole of `rcwmpd lab`.
fn provision(options: &Options) -> Result<(), String> {
    let mut signals = Signals::install().map_err(|error| error.to_string())?;
    let service = options.services.first().cloned().unwrap_or_else(|| zero_touch(options));
    let (sender, receiver) = channel();
    let show = Arc::new(Show::new(options.verbose, Some(sender)).with_trace(options.trace));

    let store = Store::in_memory().map_err(|error| error.to_string())?;
    let instance = attach(&store, &service, router::SERIAL_NUMBER)?;
    store
        .set_connection_request(router::SERIAL_NUMBER, router::CONNECTION_REQUEST_USER, router::PASSWORD)
        .map_err(|error| error.to_string())?;
    let auth = Auth::Digest(Credentials::new(router::ACS_USER, router::PASSWORD));
    let settings = Settings {
        root_uri: options.quirks.root_uri,
        basic_knock: options.quirks.basic_knock,
        fill: options.fill,
        limits: Limits { time: options.timeout, ..Limits::default() },
        ..Settings::default()
    };
    let office = Office::new(store, Box::new(Arc::clone(&show)), settings);
    let server = Server::start(office, options.listen, auth, options.quirks)
        .map_err(|error| format!("the mini-ACS cannot listen: {error}"))?;

    let place = Place::new(options.keep.as_deref())?;
    let unpacked = router::Settings { acs_url: server.url(), port: free_port()? };
    router::unpack(&place.folder, &unpacked).map_err(|error| error.to_string())?;
    let what = format!("{} is a simulated router in {}", router::SERIAL_NUMBER, place.folder.display());
    show.line("router", &what, Tone::Quiet);
    if let Some(model) = &options.model {
        router::add_model(&place.folder, &model.name, &model.text).map_err(|error| error.to_string())?;
        show.line("router", &format!("its data model has {} too", model.name), Tone::Quiet);
    }
    let what = format!("{} will provision it with {}", server.url(), service.name);
    show.line("acs", &what, Tone::Quiet);
    let before = router::configuration(&place.folder).map_err(|error| error.to_string())?;

    let ubus = Served::start(&place.folder, options.socket.as_deref())?;
    show.line("ubus", &format!("its services are on {}", ubus.router.socket().display()), Tone::Quiet);
    let log = options.verbose.then(|| Arc::clone(&show));
    let mut agent = Agent::start(options.agent.as_deref(), &place.folder, ubus.router.socket(), log)
        .map_err(|error| format!("the agent cannot start: {error}"))?;
    let (end, time) = wait(&receiver, &mut agent, &mut signals, instance, options.timeout);
    agent.stop();
    ubus.tell(&show, options.verbose);
    drop(ubus);

    let after = router::configuration(&place.folder).map_err(|error| error.to_string())?;
    let mut changes = diff::folders("etc/config", &before, &after);
    changes += &diff::folders(kept::FOLDER, &[], &kept::listed(&place.folder));
    let what = if changes.is_empty() { "nothing has changed on it" } else { "what has changed on it:" };
    show.line("router", what, Tone::Quiet);
    show.diff(&changes);
    // A service that failed concerns the agent only if it has complained.
    let concerns = |line: &str| !matches!(end, End::Failed(_)) || !line.contains("[INFO]");
    if !options.verbose && !matches!(end, End::Provisioned) {
        for line in agent.last_words().iter().filter(|line| concerns(line)) {
            show.line("agent", line, Tone::Quiet);
        }
    }
    match end {
        End::Provisioned => {
            let what =
                format!("{} with {} in {:.1} s", router::SERIAL_NUMBER, service.name, time.as_secs_f64());
            show.line("done", &format!("Provisioned {what}"), Tone::Good);
            Ok(())
        }
        End::Failed(why) => Err(format!("the service failed: {why}")),
        End::Never(why) => Err(why),
    }
}

/// How a run ended.
enum End {
    Provisioned,
    /// With the service failed, and why.
    Failed(String),
    /// Without a result, and why.
    Never(String),
}

/// Waits until the service has its final status and the session with it is over; tells when it had it.
fn wait(
    receiver: &Receiver<Signal>,
    agent: &mut Agent,
    signals: &mut Signals,
    instance: i64,
    timeout: Duration,
) -> (End, Duration) {
    let start = Instant::now();
    let (mut informed, mut settled, mut over) = (false, None, false);
    let never = |why: String| (End::Never(why), start.elapsed());
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(Signal::Informed) => informed = true,
            Ok(Signal::Settled(id, status, reason)) if id == instance => {
                settled = Some((status, reason, start.elapsed()));
            }
            // Only the end that comes after the last answer counts.
            Ok(Signal::SessionOver) => over = settled.is_some(),
            Ok(Signal::Settled(..)) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return never("the mini-ACS broke down".to_owned()),
        }
        if let Some((status, reason, time)) = &settled
            && over
        {
            thread::sleep(AFTER);
            let end = match status {
                Status::Provisioned => End::Provisioned,
                _ => End::Failed(reason.clone()),
            };
            return (end, *time);
        }
        if signals.asked() == Some(Asked::Stop) {
            return never("interrupted".to_owned());
        }
        match agent.ended() {
            Ok(None) => {}
            Ok(Some(status)) => return never(format!("the agent ended early: {status}")),
            Err(error) => return never(format!("the agent cannot be watched: {error}")),
        }
        if start.elapsed() >= timeout + GRACE {
            let what = match (informed, &settled) {
                (false, _) => "the router got no session",
                (true, None) => "the service had no result",
                (true, Some(_)) => "the session did not end",
            };
            return never(format!("{what} within {} s", timeout.as_secs()));
        }
    }
}

/// The built-in service with the command line's variables.
fn zero_touch(options: &Options) -> Service {
    let value = |(name, value): &(&str, &str)| ((*name).to_owned(), Json::String((*value).to_owned()));
    let mut variables: crate::lab::lua::service::Variables = VARIABLES.iter().map(value).collect();
    variables.extend(options.variables.clone());
    Service { name: "zero-touch".to_owned(), script: ZERO_TOUCH.to_owned(), variables, devices: Vec::new() }
}

/// Announces a device and attaches a service to it.
fn attach(store: &Store, service: &Service, device: &str) -> Result<i64, String> {
    let definition = Definition {
        name: service.name.clone(),
        script: service.script.clone(),
        available: true,
        ..Definition::default()
    };
    store
        .add_device(device)
        .and_then(|()| store.put_definition(&definition))
        .and_then(|id| store.attach(device, id, &service.variables))
        .map_err(|error| format!("service {} for {device}: {error}", service.name))
}

/// A port that is free now; the agent takes another one if it is not any more.
fn free_port() -> Result<u16, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}

/// The router's folder; removed at the end unless it is to be kept.
struct Place {
    folder: PathBuf,
    temporary: bool,
}

impl Place {
    fn new(keep: Option<&Path>) -> Result<Place, String> {
        if let Some(folder) = keep {
            // The agent needs it absolute.
            let folder = std::path::absolute(folder).map_err(|error| error.to_string())?;
            return Ok(Place { folder, temporary: false });
        }
        let name = rng::hex(8).map_err(|error| error.to_string())?;
        let folder = std::env::temp_dir().join(format!("rcwmp-lab-{name}"));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Place { folder, temporary: true })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
