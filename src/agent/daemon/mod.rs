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

mod autonomous;
mod bulk;
mod changes;
mod control;
mod discovery;
mod icwmp;
mod leaving;
mod light;
mod port;
mod reading;
#[cfg(test)]
mod reloads;
mod runtime;
mod services;
mod sessions;
mod statistics;
mod transfers;
mod trials;
#[cfg(feature = "stun")]
mod udp;
mod units;
mod vendor;
#[cfg(feature = "xmpp")]
mod xmpp;
#[cfg(not(feature = "xmpp"))]
#[path = "no_xmpp.rs"]
mod xmpp;

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use log::{error, info, warn};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use self::bulk::Bulk;
use self::changes::Notices;
use self::control::Waiting;
use self::discovery::Discovery;
use self::leaving::{Leaving, Then};
use self::light::Light;
use self::port::{local_addresses, rule_settings};
use self::reading::{periodic, read_zone, sinks};
use self::runtime::Runtime;
use self::transfers::Transfers;
use self::trials::Trials;
use self::units::Units;
use self::xmpp::Xmpp;
use super::apply::Services;
use super::desk::Desk;
use super::exchange::Exchange;
use super::history::History;
use super::lines::Line;
use super::options::Options;
use super::programs::Program;
use super::schedule::{Due, Now};
use super::settings::Settings;
use super::state::StateFile;
use super::tls::Tls;
use super::{lock, log as sink};
use crate::backend::{Places, System, bbfdm};
use crate::connreq::listener::{ListenError, Listener};
use crate::connreq::rule::Rule;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::queue::Queue;
use crate::http::favourites::Favourites;
use crate::model::value::Input;
use crate::model::{Model, compiled, date};
use crate::sys::clock::{self, Monotonic};
use crate::sys::rng;
use crate::sys::signal::{Asked, Signals};
use crate::sys::zone::Zone;
use crate::uci::Store;

pub use self::reading::read_settings;

/// Where `uci` keeps what is set and not committed.
const SAVED: &str = "/tmp/.uci";
/// A whole session, at most.
const SESSION: Duration = Duration::from_secs(600);
/// How often to look for a clock that the first session waits for.
const CLOCK_POLL: Duration = Duration::from_secs(2);
/// How soon to try a busy or missing port again.
const PORT_RETRY: Duration = Duration::from_secs(5);
/// The realm of connection requests; icwmp's, so that stored digests of an ACS go on working.
const REALM: &str = "authenticate@cwmp";

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
    let status = daemon.status();
    daemon.desk.open(status).map_err(|why| StartError(format!("starting the thread of ubus: {why}")))?;
    while daemon.turn()? {
        if daemon.desk.is_lost() {
            // procd starts another agent, which can be asked.
            return Err(StartError("the thread of ubus has ended".to_owned()));
        }
    }
    daemon.stop();
    Ok(())
}

/// The model of this build and of the router's vendor files, over a system.
///
/// # Errors
/// When the state directory cannot be used. A broken vendor file is a complaint, and skipped.
pub fn open_model(options: &Options) -> Result<(Model<System>, Vec<String>), StartError> {
    let places = Places {
        root: options.root.clone(),
        config_dir: options.config_dir.clone(),
        delta_dir: SAVED.into(),
        state_dir: options.state_dir(),
        ubus_socket: options.ubus_socket().ok(),
    };
    let (mut system, memory) = System::open(places).map_err(|why| StartError(why.to_string()))?;
    // A configuration that cannot be read is complained about where it is used.
    let prefix = system.option_text("cwmp.cpe.bbf_vendor_prefix").unwrap_or_default();
    let (schema, mut complaints) =
        super::vendor::with_vendor_files(compiled::schema(), &options.root, &prefix);
    complaints.extend(system.take_complaints());
    let mut model = Model::new(schema, system, memory);
    model.refresh();
    complaints.extend(route_to_bbfdm(&mut model));
    Ok((model, complaints))
}

/// Gives the objects that the configuration says to bbfdm; what is wrong with that.
fn route_to_bbfdm(model: &mut Model<System>) -> Vec<String> {
    let objects = model.backend().option_text("cwmp.cpe.bbfdm_objects").unwrap_or_default();
    bbfdm::route(model, &objects)
}

struct Daemon {
    model: Model<System>,
    /// Why it is not saved, as was said already.
    unsaved: Option<String>,
    file: StateFile,
    settings: Settings,
    zone: Zone,
    clock: Monotonic,
    signals: Signals,
    wake: Arc<EventFd>,
    rule: Rule,
    listener: Option<Listener>,
    /// When to look at the port again, if it is not open.
    port_retry: Duration,
    /// Why it is not open, or not on all addresses, as was said already.
    port_complaints: Vec<ListenError>,
    /// The addresses that lead to the ACS, the one that it is told first.
    addresses: Vec<IpAddr>,
    /// The index of the device with the name of the interface that is set; 0 where none is.
    link: u32,
    #[cfg(feature = "stun")]
    udp: udp::Udp,
    exchange: Option<Exchange>,
    tls: Tls,
    /// When the ladder allows the next attempt.
    retry_at: Option<Duration>,
    /// Ask the ACS for its methods in the next session.
    ask_methods: bool,
    /// The URL of an ACS that has refused compressed requests; it gets plain ones from then on.
    plain_for: Option<String>,
    favourites: Favourites,
    trials: Trials,
    transfers: Transfers,
    units: Units,
    notices: Notices,
    light: Light,
    bulk: Bulk,
    xmpp: Xmpp,
    discovery: Discovery,
    services: Services,
    children: Vec<Child>,
    /// When sensors are looked at again.
    measure_at: Option<Duration>,
    leaving: Option<Leaving>,
    session_id: u32,
    history: History,
    runtime: Runtime,
    desk: Desk,
    /// DelayReboot, as it was given to the alarms: settings are read anew by others, too.
    delay: i64,
    /// Changes by users that came during a session.
    waiting: Vec<Waiting>,
    /// When this life began.
    since: Now,
    /// When the running session began.
    session_since: Duration,
    /// A factory reset is on its way: no more sessions.
    resetting: bool,
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
        info!("{}", Line::Starting(std::process::id()));
        info!("This is rcwmpd {}", env!("CARGO_PKG_VERSION"));
        for complaint in complaints.iter().chain(&settings.complaints) {
            warn!("{complaint}");
        }
        if let Some(why) = &broken {
            error!("{why}: correct it, and send SIGHUP");
        }
        if settings.jail && !reading::is_confined() {
            warn!("cwmp.cpe.jail is on, and the agent has all rights: is procd-ujail installed?");
        }
        if settings.jail_user && nix::unistd::geteuid().is_root() {
            warn!(
                "cwmp.cpe.jail_user is on, and the agent is root's: it needs cpe.jail, procd-ujail and a user rcwmp"
            );
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
        let now = both_clocks(&clock);
        let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC);
        let wake = Arc::new(wake.map_err(|why| failed("making an eventfd", &why))?);
        let socket = options.ubus_socket().map_err(|why| failed("ubus", &why))?;
        let config = Store::new(options.root.clone(), options.config_dir.clone(), SAVED);
        let desk =
            Desk::new(&socket, Arc::clone(&wake), clock, config).map_err(|why| failed("ubus", &why))?;
        let mut rule = Rule::new(rule_settings(&settings, &file.state.connection_request_path), secret);
        rule.recall(&file.state.known_sources);
        let mut daemon = Daemon {
            rule,
            signals: Signals::install().map_err(|why| failed("installing signal handlers", &why))?,
            wake,
            listener: None,
            port_retry: Duration::ZERO,
            port_complaints: Vec::new(),
            addresses: Vec::new(),
            link: 0,
            #[cfg(feature = "stun")]
            udp: udp::Udp::default(),
            exchange: None,
            tls: Tls::default(),
            retry_at: None,
            ask_methods: settings.get_rpc_methods || options.get_rpc_methods,
            plain_for: None,
            favourites: Favourites::default(),
            trials: Trials::default(),
            transfers: Transfers::default(),
            units: Units::default(),
            notices: Notices::new(options),
            light: Light::default(),
            bulk: Bulk::default(),
            xmpp: Xmpp::default(),
            discovery: Discovery::new(options),
            services: Services::default(),
            children: Vec::new(),
            measure_at: None,
            leaving: None,
            session_id: 1,
            history: History::default(),
            runtime: Runtime::default(),
            desk,
            delay: settings.delay_reboot,
            waiting: Vec::new(),
            since: now,
            session_since: now.mono,
            resetting: false,
            reload_asked: false,
            options: options.clone(),
            _alone: alone,
            model,
            unsaved: None,
            file,
            settings,
            zone,
            clock,
        };
        if broken.is_none() {
            daemon.take_early_offers(now.mono);
            if daemon.settings.acs.url.is_empty() {
                error!("no ACS URL: set cwmp.acs.url and send SIGHUP, or let DHCP say it");
            }
        }
        daemon.set_alarms(now);
        daemon.take_over_from_icwmp();
        daemon.recall_favourite();
        daemon.greet();
        daemon.resume_units();
        daemon.look_at_packages();
        daemon.keep_promises();
        daemon.resume_notices();
        daemon.configure_echo();
        daemon.configure_light();
        daemon.configure_xmpp();
        daemon.configure_model();
        daemon.import_notifications();
        daemon.take_icwmp_notifications();
        // What an earlier life left unsuccessful is retried, even if its events are gone.
        daemon.plan_retry(now.mono);
        daemon.save();
        Ok(daemon)
    }

    /// What has happened while we were away: a boot, a first start.
    fn greet(&mut self) {
        let self_made = self.file.state.transfers.is_installing();
        let boot_id = self.model.backend().text("/proc/sys/kernel/random/boot_id");
        let boot_id = boot_id.map(|text| text.trim().to_owned()).unwrap_or_default();
        let state = &mut self.file.state;
        let first = state.bootstrapped.is_none() && state.queue.is_empty();
        let booted =
            self.options.boot || first || state.heir || (!boot_id.is_empty() && boot_id != state.boot_id);
        state.boot_id = boot_id;
        if booted {
            let keys = std::mem::take(&mut state.reboot_keys);
            state.reboot_pending = false;
            state.watch.discard();
            state.ladder.rebooted();
            if let Err(why) = state.queue.booted(first, &keys) {
                warn!("the boot event was refused: {why}");
            }
            self.forget_delay();
            self.resume_transfers(true);
        } else if !self.settings.acs.url.is_empty()
            && state.bootstrapped.as_ref().is_some_and(|url| *url != self.settings.acs.url)
        {
            // The ACS was changed while nobody ran; it would wait for the next periodic Inform.
            bootstrap(&mut state.queue);
        }
        if !booted {
            self.resume_transfers(false);
            self.resume_delay();
        }
        self.look_at_firmware(self_made);
        let periodic = self.settings.periodic;
        match periodic.enabled {
            true => info!("{}", Line::PeriodicOn(periodic.interval)),
            false => info!("{}", Line::PeriodicOff),
        }
        info!("{}", Line::PeriodicTime(periodic.time.map(date::format_utc).as_deref()));
    }

    /// DelayReboot was for the life before this boot (TR-181).
    fn forget_delay(&mut self) {
        if self.settings.delay_reboot >= 0 {
            let name = "Device.ManagementServer.DelayReboot";
            let none = Input { text: "-1".to_owned(), ..Input::default() };
            if let Err(why) = self.model.set(&[(name.to_owned(), none)], None) {
                warn!("{name} is not reset: {why}");
            }
            (self.settings.delay_reboot, self.delay) = (-1, -1);
        }
    }

    /// An agent that was restarted still owes the reboot; it is counted anew, since nobody knows from when.
    fn resume_delay(&mut self) {
        // Whoever cannot tell a boot from a restart would do it for ever.
        if self.settings.delay_reboot >= 0 && !self.file.state.boot_id.is_empty() {
            let now = both_clocks(&self.clock);
            self.file.state.alarms.delay_reboot(self.settings.delay_reboot);
            self.file.state.alarms.session_ended(false, now);
        }
    }

    /// An agent that was killed in a session has told the ACS what nobody has done since; one that was killed beside
    /// a session may have changed what nobody was told of.
    fn keep_promises(&mut self) {
        if !std::mem::take(&mut self.file.state.in_session) {
            return self.reload_services();
        }
        warn!("the last session was cut short");
        self.file.state.ladder.failed();
        if !self.model.backend().has_touched() {
            // What an update of the agent itself, or a full /var/run, has kept from being written down.
            self.act(Program::ReloadConfig);
        }
        self.after_session(false);
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
            self.discovery.look_at_once();
        }
        let _ = self.wake.read();
        let now = self.clock.now();
        if let Some(exchange) = &mut self.exchange {
            exchange.replies(self.model.schema(), now);
        }
        self.pump();
        self.run_transfers();
        self.run_units();
        self.tell_services_again(now);
        self.look_for_changes(now);
        self.look_for_wishes();
        self.run_light();
        self.look_for_offers(now);
        self.run_trials();
        self.run_statistics();
        self.run_bulk();
        self.measure(now);
        self.serve(&ready, now);
        #[cfg(feature = "stun")]
        self.run_udp(&ready, now);
        self.run_xmpp(&ready, now);
        if !self.serve_desk() {
            return Ok(false);
        }
        self.serve_waiting();
        self.reap();
        Ok(true)
    }

    /// Looks at the sensors that are due; during a session the model looks frozen (TR-069 3.7.1.3).
    fn measure(&mut self, now: Duration) {
        if self.exchange.is_none() && self.measure_at.is_none_or(|at| now >= at) {
            let next = self.model.backend().measure(clock::epoch_seconds());
            // Sensors may come, and intervals may be changed: an ACS sees that within a minute.
            self.measure_at = Some(now + Duration::from_secs(next.unwrap_or(60).clamp(1, 60)));
        }
    }

    /// Timers: the periodic Inform, the next session, the session's own deadline.
    fn tick(&mut self, now: Duration) {
        self.fire_alarms();
        if let Some(listener) = &mut self.listener {
            listener.on_tick(now);
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.tick(now);
            self.pump();
            if self.exchange.is_none() {
                // What has come from workers meanwhile has waited for this.
                let _ = self.wake.write(1);
            }
        }
        if self.exchange.is_some() {
            return;
        }
        let due = self.file.state.queue.is_due() || self.retry_at.is_some_and(|at| now >= at);
        if due && self.may_begin() && !self.waits_for_clock(now) {
            self.retry_at = None;
            self.begin(now);
        }
    }

    /// Whether sessions are wanted at all, and somebody is there to have them with.
    fn may_begin(&self) -> bool {
        !self.is_leaving() && self.settings.enabled && !self.settings.acs.url.is_empty()
    }

    /// Whether the clock may still be set before the first session, for its time and for certificates. A
    /// connection request does not wait: its session is due within 30 s.
    fn waits_for_clock(&self, now: Duration) -> bool {
        let wait = self.settings.clock_wait;
        now < wait && !clock::is_set() && !self.file.state.queue.contains(&EventCode::ConnectionRequest)
    }

    /// Waits for something to happen; gives the listener's descriptors that are ready.
    fn wait(&mut self) -> Result<Vec<RawFd>, StartError> {
        let now = self.clock.now();
        let deadlines = [
            self.statistics_deadline(),
            self.bulk_deadline(),
            self.transfer_deadline(),
            self.services_deadline(),
            self.unit_deadline(now),
            self.leaving_deadline(),
            self.light_deadline(),
            self.xmpp.deadline(now),
            self.measure_at.filter(|_| self.exchange.is_none()),
            // What cannot be served now must not keep the loop awake.
            self.exchange.is_none().then(|| self.notices.deadline()),
            self.discovery.deadline().filter(|_| self.exchange.is_none() && !self.resetting),
            self.file.state.alarms.deadline(both_clocks(&self.clock)),
            self.retry_at
                .filter(|_| self.exchange.is_none() && self.may_begin() && !self.waits_for_clock(now)),
            self.exchange.as_ref().and_then(Exchange::deadline),
            self.listener.as_ref().and_then(Listener::deadline),
            #[cfg(feature = "stun")]
            self.udp.deadline(),
            (!self.port_is_open() && self.port_wanted()).then_some(self.port_retry),
            (!self.children.is_empty()).then(|| now + Duration::from_secs(1)),
            // It had to wait for the end of a session.
            (self.reload_asked && self.exchange.is_none()).then_some(now),
            (!self.waiting.is_empty() && self.exchange.is_none()).then_some(now),
            self.waiting.first().map(|one| one.until),
            self.waits_for_clock(now).then(|| now + CLOCK_POLL),
            // The clock may be set under a sleeping periodic Inform.
            Some(now + Duration::from_secs(60)),
        ];
        self.show_status();
        self.show_to_scripts();
        let until = deadlines.into_iter().flatten().min().unwrap_or(now);
        let wait = until.saturating_sub(now).as_millis().saturating_add(1).min(60_000);
        let [stop, reload] = self.signals.fds();
        let mut fds = vec![
            PollFd::new(stop, PollFlags::POLLIN),
            PollFd::new(reload, PollFlags::POLLIN),
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
        ];
        // During a session its events wait: the model looks frozen.
        if self.exchange.is_none() && !self.resetting {
            let watches = self.notices.fds().chain(self.discovery.files.as_ref().map(AsFd::as_fd));
            fds.extend(watches.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        }
        if let Some(echo) = &self.trials.echo {
            fds.push(PollFd::new(echo.as_fd(), PollFlags::POLLIN));
        }
        fds.extend(self.xmpp.fd().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        if let Some(listener) = &self.listener {
            fds.extend(listener.fds().map(|(fd, flags)| PollFd::new(fd, flags)));
        }
        #[cfg(feature = "stun")]
        fds.extend(self.udp.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(why) => return Err(StartError(format!("waiting for events: {why}"))),
        }
        let ready = |fd: &&PollFd<'_>| fd.revents().is_some_and(|flags| !flags.is_empty());
        Ok(fds[3..].iter().filter(ready).map(|fd| fd.as_fd().as_raw_fd()).collect())
    }

    /// Gives the scheduler its settings; the same ones change nothing.
    fn set_alarms(&mut self, now: Now) {
        let (settings, state) = (&self.settings, &mut self.file.state);
        state.alarms.periodic(periodic(settings.periodic), state.phase, now);
        state.alarms.heartbeat(periodic(settings.heartbeat), state.phase, now);
        state.alarms.schedule_reboot(settings.schedule_reboot, now);
        state.alarms.throttle(settings.throttle);
        state.alarms.manageable_limit(settings.manageable_limit);
    }

    /// What is due by the clocks.
    fn fire_alarms(&mut self) {
        let fired = self.file.state.alarms.fire(both_clocks(&self.clock));
        for due in &fired {
            let queue = &mut self.file.state.queue;
            match due {
                Due::Heartbeat => add(queue, EventCode::Heartbeat),
                Due::Periodic => add(queue, EventCode::Periodic),
                Due::ScheduleInform(key) => {
                    let code = EventCode::Method("ScheduleInform".to_owned());
                    if let Err(why) = queue.add(Event { code, command_key: key.clone() }) {
                        warn!("an event was refused: {why}");
                    }
                }
                Due::ActiveNotification => add(queue, EventCode::ValueChange),
                Due::Reboot => self.file.state.reboot_pending = true,
            }
        }
        if !fired.is_empty() {
            self.save();
        }
        if self.exchange.is_none() && self.file.state.reboot_pending && !self.is_leaving() {
            self.reboot("as it was scheduled");
        }
    }

    /// Reboots, once.
    fn reboot(&mut self, why: &str) {
        info!("Rebooting {why}");
        // In this order: killed in between, the next life would reboot once more rather than never.
        self.leave::<&str>(Program::Reboot, &[], Then::Nothing);
        self.file.state.reboot_pending = false;
        self.save();
    }

    /// Runs a program of the system without waiting for it.
    fn act(&mut self, program: Program) {
        self.children.extend(program.start::<&str>(&self.options.root, &[]));
    }

    /// Reads the configuration again.
    fn reload(&mut self) {
        self.reload_asked = false;
        self.discovery.look_again();
        self.model.refresh();
        let asked = self.settings.get_rpc_methods;
        match read_settings(self.model.backend()) {
            Ok(settings) => self.settings = settings,
            Err(why) => return error!("the configuration stays as it was: {why}"),
        }
        // Turned on or off by hand; what an ACS has answered is not asked again because of something else.
        if asked != self.settings.get_rpc_methods {
            self.ask_methods = self.settings.get_rpc_methods;
        }
        self.zone = read_zone(self.model.backend());
        sink::configure(sinks(&self.settings, &self.options, self.zone), self.settings.log.level);
        for complaint in &self.settings.complaints {
            warn!("{complaint}");
        }
        let now = both_clocks(&self.clock);
        self.set_alarms(now);
        let path = &self.file.state.connection_request_path;
        let rule = rule_settings(&self.settings, path);
        let (old, new) = (&self.rule.settings().credentials, &rule.credentials);
        if old != new {
            self.file.state.other_credentials(old, new);
        }
        self.rule.set(rule);
        self.file.state.known_sources = self.rule.known();
        self.listener = None;
        self.port_retry = now.mono;
        self.follow_address(now.mono);
        // The port may be another, and the files may have been looked at before it was.
        self.notices.hurry();
        self.tls = Tls::default();
        if self.file.state.bootstrapped.as_deref() != Some(&self.settings.acs.url)
            && !self.settings.acs.url.is_empty()
        {
            bootstrap(&mut self.file.state.queue);
        }
        self.configure_echo();
        self.configure_light();
        self.configure_xmpp();
        self.configure_model();
        self.import_notifications();
        self.show_status();
        info!("Configuration read again");
        self.save();
    }

    fn event(&mut self, code: EventCode) {
        add(&mut self.file.state.queue, code);
        self.save();
    }

    /// Tells the log what went wrong behind reads that gave a default instead.
    fn complain(&mut self) {
        let more = self.model.backend().take_complaints();
        for complaint in self.model.complaints().iter().chain(&more) {
            warn!("{complaint}");
        }
    }

    fn save(&mut self) {
        self.file.keep();
    }

    /// SIGTERM: the open session is given up, what it has not delivered stays.
    fn stop(&mut self) {
        if self.exchange.take().is_some() {
            warn!("stopped during a session");
            self.file.state.queue.close_session(false);
            self.file.state.ladder.failed();
            self.file.state.in_session = false;
            self.after_session(false);
        }
        self.refuse_waiting();
        self.stop_light();
        self.show_to_scripts();
        self.leave_scripts();
        self.save();
        info!("STOPPED");
    }
}

/// What both clocks show.
fn both_clocks(clock: &Monotonic) -> Now {
    Now { mono: clock.now(), wall: clock::is_set().then(clock::epoch_seconds) }
}

/// Another ACS is to be greeted. A boot that nobody has heard of yet is told to it, too: 0 BOOTSTRAP alone
/// would discard that.
fn bootstrap(queue: &mut Queue) {
    let boot = queue.contains(&EventCode::Boot);
    add(queue, EventCode::Bootstrap);
    if boot {
        add(queue, EventCode::Boot);
    }
}

fn add(queue: &mut Queue, code: EventCode) {
    if let Err(why) = queue.add(Event::of(code)) {
        warn!("an event was refused: {why}");
    }
}
