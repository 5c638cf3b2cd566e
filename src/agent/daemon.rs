//! The daemon: one thread around `poll(2)` that owns model, queue and session.
//!
//! ```text
//!  signals ─┐                        ┌─► periodic Inform, retry: queue and ladder
//!  replies ─┼─► poll ─► turn ─► ────┼─► session machine ─► worker, dispatch, queue
//!  requests ┘   ▲                    └─► connection-request listener
//!               └── the earliest of all deadlines
//! ```
//! Only the session worker waits for the network, so requests on the port and signals are served
//! during a session too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use log::{debug, error, info, warn};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::exchange::{Ended, Exchange, Tls};
use super::options::Options;
use super::schedule::{Now, Periodic};
use super::settings::Settings;
use super::state::StateFile;
use super::{inform, lock, log as sink, schedule};
use crate::backend::{Places, System};
use crate::connreq::listener::{self, Listener};
use crate::connreq::rule::{self, Rule};
use crate::cwmp::dispatch::Effect;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::queue::{Call, Queue};
use crate::cwmp::retry::Policy;
use crate::cwmp::rpc::Request;
use crate::cwmp::session::{Close, Limits, Plan};
use crate::cwmp::soap::envelope::Version;
use crate::http::auth::Credentials;
use crate::http::body::Compression;
use crate::http::url::Url;
use crate::model::date;
use crate::model::{Model, compiled};
use crate::sys::clock::{self, Monotonic};
use crate::sys::fs::Root;
use crate::sys::rng;
use crate::sys::signal::{Asked, Signals};
use crate::sys::zone::Zone;

/// A whole session, at most.
const SESSION: Duration = Duration::from_secs(600);
/// How soon to try a busy or missing port again.
const PORT_RETRY: Duration = Duration::from_secs(30);
/// The realm of connection requests; icwmp's, so that stored digests of an ACS go on working.
const REALM: &str = "authenticate@cwmp";
/// Programs that act on the system, below the root; run without a shell.
const REBOOT: &str = "/sbin/reboot";
const RELOAD: &str = "/sbin/reload_config";

/// Why the daemon could not start or go on; one sentence.
#[derive(Debug)]
pub struct StartError(pub String);

/// Runs until SIGTERM. Gives whether it was disabled by configuration, which is no error.
///
/// # Errors
/// [`StartError`] when it cannot start: state directory, data model, signals.
pub fn run(options: &Options) -> Result<(), StartError> {
    let mut daemon = Daemon::start(options)?;
    if !daemon.settings.enabled {
        info!("cwmp.cpe.enable is off: nothing to do");
        return Ok(());
    }
    while daemon.turn()? {}
    daemon.stop();
    Ok(())
}

/// The model of this build and of the router's vendor files, over a system.
///
/// # Errors
/// When the state directory cannot be used. A broken vendor file is a complaint, and skipped.
pub fn open_model(options: &Options) -> Result<(Model<System>, Vec<String>), StartError> {
    let (schema, mut complaints) = super::vendor::with_vendor_files(compiled::schema(), &options.root);
    let places = Places {
        root: options.root.clone(),
        config_dir: options.config_dir.clone(),
        delta_dir: "/tmp/.uci".into(),
        state_dir: options.state_dir(),
    };
    let (mut system, memory) = System::open(places).map_err(|why| StartError(why.to_string()))?;
    complaints.extend(system.take_complaints());
    let mut model = Model::new(schema, system, memory);
    model.refresh();
    Ok((model, complaints))
}

struct Daemon {
    model: Model<System>,
    file: StateFile,
    settings: Settings,
    zone: Zone,
    clock: Monotonic,
    signals: Signals,
    wake: Arc<EventFd>,
    periodic: Periodic,
    rule: Rule,
    listener: Option<Listener>,
    /// When to look at the port again, if it is not open.
    port_retry: Duration,
    /// The address that leads to the ACS.
    address: Option<IpAddr>,
    exchange: Option<Exchange>,
    tls: Tls,
    /// When the ladder allows the next attempt.
    retry_at: Option<Duration>,
    /// Ask the ACS for its methods in the next session.
    ask_methods: bool,
    /// The URL of an ACS that has refused compressed requests; it gets plain ones from then on.
    plain_for: Option<String>,
    /// What waits for the end of the session.
    effects: Vec<Effect>,
    children: Vec<Child>,
    session_id: u32,
    reload_asked: bool,
    options: Options,
    _alone: lock::Lock,
}

impl Daemon {
    fn start(options: &Options) -> Result<Daemon, StartError> {
        let failed = |what: &str, why: &dyn std::fmt::Display| StartError(format!("{what}: {why}"));
        let alone = lock::take(&options.state_dir()).map_err(|why| StartError(why.to_string()))?;
        let (mut model, complaints) = open_model(options)?;
        let read = read_settings(model.backend());
        let broken = read.as_ref().err().cloned();
        let settings = read.unwrap_or_else(|_| Settings::read(&mut |_| None));
        let zone = read_zone(model.backend());
        sink::configure(sinks(&settings, options, zone), settings.log.level);
        info!("STARTING rcwmpd {} with PID :{}", env!("CARGO_PKG_VERSION"), std::process::id());
        for complaint in complaints.iter().chain(&settings.complaints) {
            warn!("{complaint}");
        }
        match &broken {
            Some(why) => error!("{why}: correct it, and run `rcwmpd reload` (or send SIGHUP)"),
            None if settings.acs.url.is_empty() => {
                error!("no ACS URL: set cwmp.acs.url and run `rcwmpd reload` (or send SIGHUP)");
            }
            None => {}
        }
        let (mut file, complaint) = StateFile::open(&options.state_dir());
        if let Some(complaint) = complaint {
            warn!("{complaint}");
        }
        let random = |what: &str| rng::number().map_err(|why| failed(what, &why));
        if file.state.phase == 0 {
            file.state.phase = random("drawing a phase")?.max(1);
        }
        if file.state.connection_request_path.is_empty() {
            let path = rng::hex(8).map_err(|why| failed("drawing a path", &why))?;
            file.state.connection_request_path = format!("/{path}");
        }
        let mut secret = [0; 32];
        rng::fill(&mut secret).map_err(|why| failed("drawing a secret", &why))?;
        let clock = Monotonic::start();
        let now = Now { mono: clock.now(), wall: clock::is_set().then(clock::epoch_seconds) };
        let mut daemon = Daemon {
            periodic: Periodic::new(periodic(&settings), file.state.phase, now),
            rule: Rule::new(rule_settings(&settings, &file.state.connection_request_path), secret),
            signals: Signals::install().map_err(|why| failed("installing signal handlers", &why))?,
            wake: Arc::new(
                EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
                    .map_err(|why| failed("making an eventfd", &why))?,
            ),
            listener: None,
            port_retry: Duration::ZERO,
            address: None,
            exchange: None,
            tls: Tls::default(),
            retry_at: None,
            ask_methods: settings.get_rpc_methods || options.get_rpc_methods,
            plain_for: None,
            effects: Vec::new(),
            children: Vec::new(),
            session_id: 1,
            reload_asked: false,
            options: options.clone(),
            _alone: alone,
            model,
            file,
            settings,
            zone,
            clock,
        };
        daemon.greet();
        // What an earlier life left unsuccessful is retried, even if its events are gone.
        daemon.plan_retry(now.mono);
        daemon.save();
        Ok(daemon)
    }

    /// What has happened while we were away: a boot, a first start.
    fn greet(&mut self) {
        let boot_id = self.model.backend().text("/proc/sys/kernel/random/boot_id");
        let boot_id = boot_id.map(|text| text.trim().to_owned()).unwrap_or_default();
        let state = &mut self.file.state;
        let first = state.bootstrapped.is_none() && state.queue.is_empty();
        let booted = self.options.boot || first || (!boot_id.is_empty() && boot_id != state.boot_id);
        state.boot_id = boot_id;
        if booted {
            let keys = std::mem::take(&mut state.reboot_keys);
            state.ladder.rebooted();
            if let Err(why) = state.queue.booted(first, &keys) {
                warn!("the boot event was refused: {why}");
            }
        } else if !self.settings.acs.url.is_empty()
            && state.bootstrapped.as_ref().is_some_and(|url| *url != self.settings.acs.url)
        {
            // The ACS was changed while nobody ran; it would wait for the next periodic Inform.
            add(&mut state.queue, EventCode::Bootstrap);
        }
        match self.settings.periodic.enabled {
            true => {
                info!("Periodic event is enabled. Interval period = {}s", self.settings.periodic.interval)
            }
            false => info!("Periodic event is disabled"),
        }
    }

    /// One turn of the loop; false when it is over.
    fn turn(&mut self) -> Result<bool, StartError> {
        let now = self.clock.now();
        self.open_port(now);
        self.tick(now);
        let ready = self.wait()?;
        match self.signals.asked() {
            Some(Asked::Stop) => return Ok(false),
            Some(Asked::Reload) => self.reload_asked = true,
            None => {}
        }
        if self.reload_asked && self.exchange.is_none() {
            self.reload();
        }
        let _ = self.wake.read();
        let now = self.clock.now();
        if let Some(exchange) = &mut self.exchange {
            exchange.replies(now);
        }
        self.pump();
        self.serve(&ready, now);
        self.children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        Ok(true)
    }

    /// Timers: the periodic Inform, the next session, the session's own deadline.
    fn tick(&mut self, now: Duration) {
        let wall = clock::is_set().then(clock::epoch_seconds);
        if self.periodic.tick(Now { mono: now, wall }) {
            self.event(EventCode::Periodic);
        }
        if let Some(listener) = &mut self.listener {
            listener.on_tick(now);
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.tick(now);
            self.pump();
            return;
        }
        let due = self.file.state.queue.is_due() || self.retry_at.is_some_and(|at| now >= at);
        if due && !self.settings.acs.url.is_empty() {
            self.retry_at = None;
            self.begin(now);
        }
    }

    /// Waits for something to happen; gives the listener's descriptors that are ready.
    fn wait(&mut self) -> Result<Vec<RawFd>, StartError> {
        let now = self.clock.now();
        let deadlines = [
            self.periodic.deadline(),
            self.retry_at,
            self.exchange.as_ref().and_then(Exchange::deadline),
            self.listener.as_ref().and_then(Listener::deadline),
            (self.listener.is_none() && self.port_wanted()).then_some(self.port_retry),
            (!self.children.is_empty()).then(|| now + Duration::from_secs(1)),
            // The clock may be set under a sleeping periodic Inform.
            Some(now + Duration::from_secs(60)),
        ];
        let until = deadlines.into_iter().flatten().min().unwrap_or(now);
        let wait = until.saturating_sub(now).as_millis().saturating_add(1).min(60_000);
        let [stop, reload] = self.signals.fds();
        let mut fds = vec![
            PollFd::new(stop, PollFlags::POLLIN),
            PollFd::new(reload, PollFlags::POLLIN),
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
        ];
        if let Some(listener) = &self.listener {
            fds.extend(listener.fds().map(|(fd, flags)| PollFd::new(fd, flags)));
        }
        match poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(why) => return Err(StartError(format!("waiting for events: {why}"))),
        }
        let ready = |fd: &&PollFd<'_>| fd.revents().is_some_and(|flags| !flags.is_empty());
        Ok(fds[3..].iter().filter(ready).map(|fd| fd.as_fd().as_raw_fd()).collect())
    }

    /// Starts a session (TR-069 3.7.1).
    fn begin(&mut self, now: Duration) {
        self.model.refresh();
        match read_settings(self.model.backend()) {
            Ok(settings) => self.settings = settings,
            Err(why) => return self.not_begun(now, &why),
        }
        // The WAN address may be another by now, and the ACS is to be told the one that works.
        if self.listener.is_some() && local_address(&self.settings.acs.url) != self.address {
            self.listener = None;
            self.port_retry = now;
        }
        self.open_port(now);
        self.tell();
        let device_id = match inform::device_id(&mut self.model) {
            Ok(id) => id,
            Err(why) => return self.not_begun(now, &why),
        };
        let identity = format!("{}-{}-{}", device_id.oui, device_id.product_class, device_id.serial_number);
        let state = &mut self.file.state;
        let known =
            state.bootstrapped.as_deref() == Some(&self.settings.acs.url) && state.identity == identity;
        if !known && !state.queue.contains(&EventCode::Bootstrap) {
            let boot = state.queue.contains(&EventCode::Boot);
            add(&mut state.queue, EventCode::Bootstrap);
            if boot {
                add(&mut state.queue, EventCode::Boot);
            }
        }
        let version = if state.fall_back { Version::V1_0 } else { version_of(self.settings.amendment) };
        let snapshot = state.queue.open_session(version);
        let epoch = clock::epoch_seconds();
        let time = date::format_local(epoch, self.zone.offset_at(epoch) / 60);
        let count = state.ladder.count();
        info!("Start session");
        info!("ACS url: {}", self.settings.acs.url);
        let names: Vec<String> = snapshot.events.iter().map(|event| event.code.to_string()).collect();
        info!("Preparing the Inform RPC message to send to the ACS ({})", names.join(", "));
        let built = inform::inform(&mut self.model, device_id, snapshot.events, time, count);
        let plan = match built.and_then(|inform| self.model.save().map(|()| inform)) {
            Ok(inform) => {
                let methods =
                    self.ask_methods.then_some(Call { ticket: None, request: Request::GetRpcMethods });
                Plan {
                    calls: methods.into_iter().chain(snapshot.calls).collect(),
                    version,
                    session_timeout: Some(self.settings.session_timeout),
                    first_id: self.session_id,
                    limits: Limits { total: SESSION, ..Limits::default() },
                    ..Plan::new(inform)
                }
            }
            Err(why) => {
                self.file.state.queue.close_session(false);
                return self.not_begun(now, &why);
            }
        };
        self.session_id = self.session_id.wrapping_add(100).max(1);
        self.file.state.identity = identity;
        self.save();
        let deadline = self.clock.instant(now + SESSION);
        let root = &self.options.root;
        let mut settings = super::exchange::http_settings(&self.settings.acs, root, deadline, &mut self.tls);
        if self.plain_for.as_ref() == Some(&self.settings.acs.url)
            && let Ok(settings) = &mut settings
        {
            settings.compression = Compression::None;
        }
        self.exchange = Some(Exchange::begin(plan, settings, Arc::clone(&self.wake), now));
        self.pump();
    }

    /// The session could not even begin: the ladder decides when to try again.
    fn not_begun(&mut self, now: Duration, why: &dyn std::fmt::Display) {
        error!("no session: {why}");
        self.failed(now);
        self.save();
    }

    /// Does what the session asks for until it waits.
    fn pump(&mut self) {
        let Some(mut exchange) = self.exchange.take() else { return };
        let clock = self.clock;
        let ended = exchange.pump(
            &mut self.model,
            &mut self.file,
            &self.settings.acs.url,
            &mut self.effects,
            &mut || clock.now(),
        );
        match ended {
            None => self.exchange = Some(exchange),
            Some(ended) => self.end(&ended),
        }
        for complaint in self.model.complaints() {
            warn!("{complaint}");
        }
    }

    /// A session has ended.
    fn end(&mut self, ended: &Ended) {
        let now = self.clock.now();
        match &ended.close {
            Close::Success => {
                self.file.state.ladder.succeeded();
                self.file.state.fall_back = false;
                if self.file.state.first_use.is_none() && clock::is_set() {
                    self.file.state.first_use = Some(clock::epoch_seconds());
                }
                self.ask_methods = self.ask_methods && !ended.learned;
                info!("End session");
            }
            Close::Failed(_) => {
                error!("{}", ended.close.explain());
                if let Some(why) = &ended.detail {
                    error!("{why}");
                }
                if ended.compression_refused {
                    self.plain_for = Some(self.settings.acs.url.clone());
                }
                // That 415 was about the coding: it says nothing about the version.
                let fall_back = ended.close.fall_back() && !ended.compression_refused;
                self.file.state.fall_back = fall_back && !self.file.state.fall_back;
                self.failed(now);
            }
        }
        let success = ended.close == Close::Success;
        self.file.state.queue.close_session(success);
        self.after_session(success);
        self.save();
        // What was read for this session is not needed until the next.
        self.model.refresh();
        info!("Waiting the next session");
    }

    fn failed(&mut self, now: Duration) {
        self.file.state.ladder.failed();
        self.plan_retry(now);
    }

    /// Sets the time of the next attempt, if the last session was not successful (TR-069 3.2.1.1).
    fn plan_retry(&mut self, now: Duration) {
        let state = &self.file.state;
        let (minimum, multiplier) = self.settings.retry;
        let random = rng::number().unwrap_or(u32::MAX / 2);
        self.retry_at = state.ladder.wait(Policy::new(minimum, multiplier), random).map(|wait| {
            info!("Retry in {} seconds (attempt {})", wait.as_secs(), state.ladder.count());
            now + wait
        });
    }

    /// Changed services are told once; a reboot comes last.
    fn after_session(&mut self, success: bool) {
        let touched = self.model.backend().take_touched();
        if !touched.is_empty() {
            let list: Vec<&str> = touched.iter().map(String::as_str).collect();
            info!("Configuration changed: {}", list.join(" "));
            self.act(RELOAD);
        }
        if touched.contains("cwmp") {
            self.reload();
        }
        let effects = std::mem::take(&mut self.effects);
        let mut reboot = false;
        for Effect::Reboot { command_key } in effects {
            // A session that failed after the answer has still promised the reboot.
            self.file.state.reboot_keys.push(command_key);
            reboot = true;
        }
        if reboot {
            info!("Rebooting as the ACS asked{}", if success { "" } else { " in the session that failed" });
            self.save();
            self.act(REBOOT);
        }
    }

    /// Runs a program of the system, without a shell and without waiting for it.
    fn act(&mut self, program: &str) {
        let Ok(path) = self.options.root.resolve(program) else { return };
        if !path.exists() {
            debug!("{program} is not there, not run");
            return;
        }
        match Command::new(&path).spawn() {
            Ok(child) => self.children.push(child),
            Err(why) => error!("running {program}: {why}"),
        }
    }

    /// Reads the configuration again.
    fn reload(&mut self) {
        self.reload_asked = false;
        self.model.refresh();
        match read_settings(self.model.backend()) {
            Ok(settings) => self.settings = settings,
            Err(why) => return error!("the configuration stays as it was: {why}"),
        }
        self.zone = read_zone(self.model.backend());
        sink::configure(sinks(&self.settings, &self.options, self.zone), self.settings.log.level);
        for complaint in &self.settings.complaints {
            warn!("{complaint}");
        }
        let now = Now { mono: self.clock.now(), wall: clock::is_set().then(clock::epoch_seconds) };
        self.periodic.change(periodic(&self.settings), now);
        let path = &self.file.state.connection_request_path;
        self.rule.set(rule_settings(&self.settings, path));
        self.listener = None;
        self.port_retry = now.mono;
        self.tls = Tls::default();
        if self.file.state.bootstrapped.as_deref() != Some(&self.settings.acs.url)
            && !self.settings.acs.url.is_empty()
        {
            self.event(EventCode::Bootstrap);
        }
        info!("Configuration read again");
        self.save();
    }

    fn port_wanted(&self) -> bool {
        self.settings.connection_request.enabled && !self.settings.acs.url.is_empty()
    }

    /// Opens the connection-request port on the address that leads to the ACS.
    fn open_port(&mut self, now: Duration) {
        if self.listener.is_some() || now < self.port_retry || !self.port_wanted() {
            return;
        }
        self.port_retry = now + PORT_RETRY;
        let Some(address) = local_address(&self.settings.acs.url) else { return };
        let port = self.settings.connection_request.port;
        match Listener::bind(&[SocketAddr::new(address, port)], None) {
            Ok(listener) => {
                info!("Connection Request server initiated with the port: {port}");
                self.address = Some(address);
                self.listener = Some(listener);
            }
            Err(why) => error!("connection requests cannot be received: {why}"),
        }
    }

    /// Answers the connection-request port.
    fn serve(&mut self, ready: &[RawFd], now: Duration) {
        let Some(listener) = &mut self.listener else { return };
        let mut events = Vec::new();
        for fd in ready {
            events.extend(listener.on_ready(*fd, now, &mut self.rule, &mut |bytes| {
                // Without randomness the nonce is weak, and the request's throttle still holds.
                let _ = rng::fill(bytes);
            }));
        }
        for event in events {
            match event {
                listener::Event::Accepted { source } => {
                    info!("Connection Request accepted from {source}");
                    self.event(EventCode::ConnectionRequest);
                }
                listener::Event::Refused { source, status, why } => {
                    debug!("Connection Request from {source} answered {status}: {why}");
                }
            }
        }
    }

    /// What the model shows of the agent itself.
    fn tell(&mut self) {
        let path = self.rule.settings().path.clone();
        let url = match (&self.listener, self.address) {
            (Some(listener), Some(address)) => {
                let port = listener
                    .addresses()
                    .first()
                    .map_or(self.settings.connection_request.port, SocketAddr::port);
                rule::url(address, port, &path)
            }
            _ => String::new(),
        };
        let first_use = self.file.state.first_use.map(date::format_utc);
        let system = self.model.backend();
        system.tell("ConnectionRequestURL", url);
        if let Some(date) = first_use {
            system.tell("FirstUseDate", date);
        }
        for (name, value) in [
            ("SupportedConnReqMethods", "HTTP"),
            ("HTTPCompressionSupported", "GZIP,Deflate"),
            ("NATDetected", "0"),
            ("UDPConnectionRequestAddress", ""),
            ("LightweightNotificationProtocolsSupported", ""),
            ("TimeStatus", if clock::is_set() { "Synchronized" } else { "Unsynchronized" }),
        ] {
            system.tell(name, value);
        }
    }

    fn event(&mut self, code: EventCode) {
        add(&mut self.file.state.queue, code);
        self.save();
    }

    fn save(&mut self) {
        if let Err(why) = self.file.save() {
            error!("the state is not saved: {why}");
        }
    }

    /// SIGTERM: the open session is given up, what it has not delivered stays.
    fn stop(&mut self) {
        if self.exchange.take().is_some() {
            self.file.state.queue.close_session(false);
            self.file.state.ladder.failed();
            warn!("stopped during a session");
        }
        self.save();
        info!("STOPPED");
    }
}

fn add(queue: &mut Queue, code: EventCode) {
    if let Err(why) = queue.add(Event::of(code)) {
        warn!("an event was refused: {why}");
    }
}

/// The settings of `/etc/config/cwmp` as they are now.
///
/// # Errors
/// What is wrong with the file, when it cannot be read: its settings are not the defaults then.
pub fn read_settings(system: &mut System) -> Result<Settings, String> {
    let mut broken = None;
    let settings = Settings::read(&mut |name| match system.option_text(&format!("cwmp.{name}")) {
        Ok(text) => Some(text),
        Err(why) => {
            broken.get_or_insert_with(|| why.to_string());
            None
        }
    });
    broken.map_or(Ok(settings), Err)
}

fn read_zone(system: &mut System) -> Zone {
    Zone::parse(&system.option_text("system.@system[0].timezone").unwrap_or_default())
}

fn sinks(settings: &Settings, options: &Options, zone: Zone) -> sink::Sinks {
    let at_home = options.root == Root::default();
    sink::Sinks {
        console: options.foreground || settings.log.console,
        // A desk's system log has no interest in a folder that plays a router.
        syslog: settings.log.syslog && at_home,
        file: settings.log.file.as_ref().and_then(|path| options.root.resolve(path).ok()),
        max_size: settings.log.max_size,
        zone,
    }
}

fn periodic(settings: &Settings) -> schedule::Settings {
    let periodic = settings.periodic;
    schedule::Settings { enabled: periodic.enabled, interval: periodic.interval, reference: periodic.time }
}

fn rule_settings(settings: &Settings, random_path: &str) -> rule::Settings {
    let request = &settings.connection_request;
    let path = request.path.clone().unwrap_or_else(|| random_path.to_owned());
    let credentials = Credentials::new(request.username.clone(), request.password.clone());
    rule::Settings { realm: REALM.to_owned(), ..rule::Settings::new(path, credentials) }
}

/// The version of an amendment of TR-069: 1.4 from the fifth on.
fn version_of(amendment: u8) -> Version {
    match amendment {
        0 | 1 => Version::V1_0,
        2 => Version::V1_1,
        3 => Version::V1_2,
        4 => Version::V1_3,
        _ => Version::V1_4,
    }
}

/// Our address on the way to the ACS: asked of the routing table by a UDP socket that sends nothing.
///
/// Names are not resolved here, the loop must not wait for DNS: an ACS with a name is taken to be where
/// the default route leads, for which the documentation prefixes stand (RFC 5737, RFC 3849).
fn local_address(url: &str) -> Option<IpAddr> {
    let url = Url::parse(url).ok()?;
    let host = url.host.trim_matches(['[', ']']);
    let targets: Vec<IpAddr> = match host.parse() {
        Ok(literal) => vec![literal],
        Err(_) if host.eq_ignore_ascii_case("localhost") => vec![Ipv4Addr::LOCALHOST.into()],
        Err(_) => {
            vec![Ipv4Addr::new(192, 0, 2, 1).into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()]
        }
    };
    targets.into_iter().find_map(|target| {
        let any: SocketAddr = if target.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect((target, url.port)).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_leads_to_the_acs() {
        assert_eq!(local_address("http://127.0.0.1:7547/x"), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(local_address("http://localhost/"), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(local_address("nonsense"), None);
    }

    #[test]
    fn versions_of_amendments() {
        for (amendment, minor) in [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (6, 4)] {
            assert_eq!(version_of(amendment).minor, minor);
        }
    }
}
