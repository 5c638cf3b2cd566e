//! The daemon's ACS discovery (TR-069 3.1): offers of DHCP are taken over, and gone back to when nothing else helps.
//!
//! ```text
//!  files of the hooks ─► offers ─► icwmp's dhcp_* options ─► settings, model
//!  URL set by the ACS ─► dhcp_discovery off; unreachable for 300 s ─► on again, if DHCP had found the first ACS
//! ```

use std::time::Duration;

use log::{debug, error, info, warn};

use super::{Daemon, local_addresses, read_settings};
use crate::agent::changes::ConfigChanges;
use crate::agent::discovery::{Mechanism, Offer, Outage};
use crate::agent::offers;
use crate::agent::options::Options;
use crate::agent::redact::shown_url;
use crate::model::Result;
use crate::model::backend::{Backend, Raw};
use crate::sys::clock::Now;

/// How soon after one change by DHCP another is taken over: a lease may be short, and flash is not for ever.
const CALM: Duration = Duration::from_secs(60);

/// What tells of offers.
pub(super) struct Discovery {
    pub(super) files: Option<ConfigChanges>,
    /// To be looked at, though nothing has changed there.
    is_due: bool,
    not_before: Duration,
    /// What was said of the files when they were read last; once is enough.
    said: Vec<String>,
    outage: Outage,
}

impl Discovery {
    pub(super) fn new(options: &Options) -> Discovery {
        if let Err(why) = offers::make_place(&options.root) {
            debug!("offers of DHCP may be noticed late: {why}");
        }
        let files = ConfigChanges::open(options.root.clone(), offers::PLACE);
        let files = files.map_err(|why| warn!("offers of DHCP are noticed late: {why}")).ok();
        Discovery {
            files,
            is_due: false,
            not_before: Duration::ZERO,
            said: Vec::new(),
            outage: Outage::default(),
        }
    }

    /// When to look again without a notice.
    pub(super) fn deadline(&self) -> Option<Duration> {
        (self.is_due || self.files.is_none()).then_some(self.not_before)
    }

    /// What decides about offers may be another now.
    pub(super) fn look_again(&mut self) {
        self.is_due = true;
    }

    /// Somebody asks for it, which is not DHCP.
    pub(super) fn look_at_once(&mut self) {
        (self.is_due, self.not_before) = (true, Duration::ZERO);
    }
}

impl Daemon {
    /// Looks at what DHCP says, between sessions.
    pub(super) fn look_for_offers(&mut self, now: Duration) {
        if self.exchange.is_some() || self.resetting {
            return;
        }
        let discovery = &mut self.discovery;
        match &mut discovery.files {
            Some(files) => discovery.is_due |= files.changed().is_some(),
            None => discovery.is_due = true,
        }
        if !discovery.is_due || now < discovery.not_before {
            return;
        }
        if discovery.files.is_none() {
            discovery.not_before = now + CALM;
        }
        discovery.is_due = false;
        if self.take_offers(now) {
            self.reload();
            self.discovery.is_due = false;
        }
        self.back_to_dhcp();
    }

    /// Takes over what DHCP offers, if it has a say or may have it again. Gives whether the
    /// configuration is another now.
    pub(super) fn take_offers(&mut self, now: Duration) -> bool {
        if !self.settings.discovery.has_say && self.file.state.located != Some(Mechanism::Dhcp) {
            return false;
        }
        let found = offers::read(&self.options.root, &self.settings.discovery.wan);
        for complaint in found.complaints.iter().filter(|complaint| !self.discovery.said.contains(complaint))
        {
            warn!("{complaint}");
        }
        self.discovery.said = found.complaints;
        self.model.refresh();
        let kept = self.change_configuration(|daemon| daemon.stage_offer(&found.offer));
        match kept {
            Ok(true) => {
                match found.offer.url.as_deref().map(shown_url) {
                    Some(url) => info!("DHCP says where the ACS is: {url}"),
                    None => info!("DHCP presets the provisioning code or the intervals of retries"),
                }
                self.discovery.not_before = now + CALM;
                true
            }
            Ok(false) => false,
            Err(why) => {
                error!("what DHCP offers is not taken over: {why}");
                self.discovery.not_before = now + CALM;
                false
            }
        }
    }

    /// An offer with a URL is a new one as a whole; one without adds to what is known.
    fn stage_offer(&mut self, offer: &Offer) -> Result<bool> {
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let options = [
            ("acs", "dhcp_url", offer.url.clone()),
            ("cpe", "dhcp_provisioning_code", offer.provisioning_code.clone()),
            ("acs", "dhcp_retry_min_wait_interval", number(offer.retry_minimum)),
            ("acs", "dhcp_retry_interval_multiplier", number(offer.retry_multiplier)),
        ];
        let system = self.model.backend();
        let mut changed = false;
        for (section, option, text) in options {
            let address = format!("cwmp.{section}.{option}");
            let old = system.option(&address)?.map(|raw| raw.text());
            if old == text || (text.is_none() && offer.url.is_none()) {
                continue;
            }
            let sections = system.sections("cwmp", "*")?;
            if !sections.iter().any(|one| one.name.as_deref() == Some(section)) {
                system.add_section("cwmp", section, Some(section))?;
            }
            system.set_option(&address, text.map(Raw::One).as_ref())?;
            changed = true;
        }
        Ok(changed)
    }

    /// Commits a change of our own configuration, all or nothing, if `stage` gives true.
    fn change_configuration(&mut self, stage: impl FnOnce(&mut Daemon) -> Result<bool>) -> Result<bool> {
        let staged = stage(self);
        let system = self.model.backend();
        let done = match staged {
            Ok(true) => system.check().and_then(|()| system.commit(None)).map(|()| true),
            other => other,
        };
        if done.is_err() {
            system.revert();
        }
        // Our own as well: the firewall's rule is made from the ACS's address by the service's script.
        self.services.add(system.take_touched(), self.clock.now());
        self.tell_services();
        self.model.refresh();
        done
    }

    /// At a start: what was offered while we were away, before anything is made of the settings.
    pub(super) fn take_early_offers(&mut self, now: Duration) {
        if self.take_offers(now)
            && let Ok(settings) = read_settings(self.model.backend())
        {
            self.settings = settings;
        }
    }

    /// Remembers how the first ACS after a factory reset was found, once it has answered.
    pub(super) fn remember_mechanism(&mut self) {
        let state = &mut self.file.state;
        if state.located.is_some() || state.bootstrapped.as_deref() != Some(&self.settings.acs.url) {
            return;
        }
        let found_by_dhcp = self.settings.discovery.is_used;
        state.located = Some(if found_by_dhcp { Mechanism::Dhcp } else { Mechanism::Configured });
        self.save();
    }

    /// Counts for how long the ACS has not been reached: whether a session's attempt was
    /// connected, as `Ended` has it.
    pub(super) fn note_reach(&mut self, connected: Option<bool>, now: Now) {
        let url = &self.settings.acs.url;
        let connected = match connected {
            // While no way leads out of this router, nothing is known of the ACS.
            Some(false) if local_addresses(&self.settings.acs, self.reached()).is_empty() => return,
            Some(connected) => connected,
            None => return,
        };
        self.discovery.outage.attempt(url, connected, now);
    }

    /// The ACS is unreachable, and DHCP had found the first one: it is asked again (TR-069 3.1).
    pub(super) fn back_to_dhcp(&mut self) {
        let (acs, discovery) = (&self.settings.acs, &self.settings.discovery);
        if self.resetting
            || self.file.state.located != Some(Mechanism::Dhcp)
            || discovery.has_say
            || discovery.url.is_empty()
            || !self.discovery.outage.is_lost(&acs.url)
        {
            return;
        }
        warn!("{} has been unreachable for 300 seconds: back to the ACS of DHCP", shown_url(&acs.url));
        let turned_on = self.change_configuration(|daemon| {
            let on = Raw::one("enable");
            daemon.model.backend().set_option("cwmp.acs.dhcp_discovery", Some(&on)).map(|()| true)
        });
        match turned_on {
            Ok(_) => {
                // Should somebody set the same URL again, it counts anew.
                self.discovery.outage = Outage::default();
                self.reload();
            }
            Err(why) => error!("DHCP discovery stays off: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::agent::exchange::Ended;
    use crate::cwmp::event::EventCode;
    use crate::cwmp::queue::Queue;
    use crate::cwmp::session::{Close, Failure, HttpFailure};
    use crate::model::value::Input;
    use crate::sys::clock::Monotonic;
    use crate::sys::fs::Root;

    const OLD: &str = "http://127.0.0.1:1/old";
    const DHCP: &str = "http://127.0.0.1:1/dhcp";

    /// A daemon that has had its first contact, found so, and then been given another URL.
    fn daemon(located: Option<Mechanism>) -> (tempfile::TempDir, Daemon) {
        let dir = tempfile::tempdir().unwrap();
        let daemon = daemon_in(&dir, located);
        (dir, daemon)
    }

    fn daemon_in(dir: &tempfile::TempDir, located: Option<Mechanism>) -> Daemon {
        fs::create_dir_all(dir.path().join("etc/config")).unwrap();
        fs::create_dir_all(dir.path().join("var/run")).unwrap();
        let text = format!(
            "config acs 'acs'\n\toption url '{OLD}'\n\toption dhcp_discovery 'disable'\n\n\
             config cpe 'cpe'\n\toption log_to_file '0'\n\toption http_connection_request_enable '0'\n"
        );
        fs::write(dir.path().join("etc/config/cwmp"), text).unwrap();
        let options = Options { root: Root::new(dir.path()), ..Options::default() };
        let mut daemon = Daemon::start(&options).map_err(|why| why.0).unwrap();
        daemon.file.state.located = located;
        daemon.file.state.bootstrapped = Some(OLD.to_owned());
        daemon.file.state.queue = Queue::default();
        daemon
    }

    fn offer(dir: &tempfile::TempDir, url: &str) {
        let hex: String = url.bytes().map(|byte| format!("{byte:02x}")).collect();
        fs::write(dir.path().join("var/run/rcwmp/dhcp/wan"), format!("opt43={hex}\n")).unwrap();
    }

    fn at(seconds: u64) -> Now {
        Now { mono: Duration::from_secs(seconds), wall: None }
    }

    impl Daemon {
        #[track_caller]
        fn check(&mut self, connected: Option<bool>, seconds: u64, url: &str) {
            self.note_reach(connected, at(seconds));
            self.back_to_dhcp();
            assert_eq!(self.settings.acs.url, url, "at {seconds}");
        }
    }

    #[test]
    fn back_to_the_acs_of_dhcp_after_300_seconds() {
        let (dir, mut daemon) = daemon(Some(Mechanism::Dhcp));
        offer(&dir, DHCP);
        daemon.look_for_offers(Duration::from_secs(1));
        assert!(daemon.settings.discovery.url == DHCP && daemon.settings.acs.url == OLD);
        assert!(!daemon.file.state.queue.contains(&EventCode::Bootstrap));
        daemon.check(Some(false), 1000, OLD);
        daemon.check(Some(true), 1200, OLD);
        daemon.check(Some(false), 1400, OLD);
        daemon.check(None, 1600, OLD);
        daemon.check(Some(false), 1699, OLD);
        daemon.check(Some(false), 1700, DHCP);
        assert!(daemon.file.state.queue.contains(&EventCode::Bootstrap));
        let text = fs::read_to_string(dir.path().join("etc/config/cwmp")).unwrap();
        assert!(text.contains("option dhcp_discovery 'enable'") && text.contains(OLD), "{text}");
        // The ACS there may set a URL again, and that is the one.
        let url =
            ("Device.ManagementServer.URL".to_owned(), Input { text: OLD.to_owned(), ..Default::default() });
        daemon.model.set(&[url], None).unwrap();
        daemon.reload();
        daemon.check(Some(false), 1800, OLD);
    }

    #[test]
    fn sessions_that_fail_are_what_counts() {
        let (dir, mut daemon) = daemon(Some(Mechanism::Dhcp));
        offer(&dir, DHCP);
        daemon.look_for_offers(Duration::from_secs(1));
        let mut fail = |clock: u64, connected: bool| {
            daemon.clock = Monotonic::started_before(Duration::from_secs(clock));
            let failure = HttpFailure::Unreachable("scripted".to_owned());
            let why = Failure::Http { failure, informing_at: None };
            daemon.end(&Ended {
                close: Close::Failed(why),
                learned: false,
                compression_refused: false,
                connected: Some(connected),
                peer: None,
                detail: None,
                performed: Vec::new(),
            });
            daemon.settings.acs.url.clone()
        };
        assert_eq!([fail(100, false), fail(390, true), fail(400, false), fail(690, false)], [OLD; 4]);
        assert_eq!(fail(705, false), DHCP);
    }

    #[test]
    fn an_offer_that_comes_late() {
        let (dir, mut daemon) = daemon(Some(Mechanism::Dhcp));
        daemon.check(Some(false), 1000, OLD);
        daemon.check(Some(false), 2000, OLD);
        offer(&dir, DHCP);
        daemon.look_for_offers(Duration::from_secs(2001));
        assert_eq!(daemon.settings.acs.url, DHCP);
        // Another one so soon has to wait.
        offer(&dir, OLD);
        daemon.look_for_offers(Duration::from_secs(2002));
        assert_eq!(daemon.settings.acs.url, DHCP);
        assert_eq!(daemon.discovery.deadline(), Some(Duration::from_secs(2061)));
        daemon.look_for_offers(Duration::from_secs(2061));
        assert_eq!(daemon.settings.acs.url, OLD);
        assert_eq!(daemon.discovery.deadline(), None);
    }

    #[test]
    fn dhcp_is_no_way_out_for_an_acs_that_was_configured() {
        for located in [Some(Mechanism::Configured), None] {
            let (dir, mut daemon) = daemon(located);
            offer(&dir, DHCP);
            daemon.look_for_offers(Duration::from_secs(1));
            daemon.check(Some(false), 1000, OLD);
            daemon.check(Some(false), 2000, OLD);
            let text = fs::read_to_string(dir.path().join("etc/config/cwmp")).unwrap();
            assert!(!text.contains("dhcp_url"), "{text}");
        }
    }

    /// Should a change of ours ever touch what is others', procd is told, as after each other change.
    #[cfg(feature = "lab")]
    #[test]
    fn procd_is_told_of_all_of_it() {
        use crate::lab::router::broker::Broker;
        use crate::ubus::object::Method;
        use crate::ubus::server::{Incoming, Server, Service};

        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("var/run/ubus/ubus.sock");
        fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let _broker = Broker::start(&socket, Vec::new()).unwrap();
        let mut daemon = daemon_in(&dir, None);
        fs::write(dir.path().join("etc/config/system"), "config system 'one'\n").unwrap();
        let objects = vec![("service".to_owned(), vec![Method::new("event")])];
        let mut procd = Server::new(&socket, Service { objects, ..Service::default() }).unwrap();
        let clock = Monotonic::start();
        while !procd.is_ready() {
            procd.on_tick(clock.now());
            procd.on_ready(clock.now());
        }
        let told = std::thread::spawn(move || {
            let mut packages = Vec::new();
            while packages.len() < 2 && clock.now() < Duration::from_secs(20) {
                for one in procd.on_ready(clock.now()) {
                    if let Incoming::Call { arguments, request, .. } = one {
                        procd.answer(request, Ok(Default::default())).unwrap();
                        packages.push(arguments.table("data").unwrap().text("package").unwrap().into_owned());
                    }
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            packages
        });
        let changed = daemon.change_configuration(|daemon| {
            let text = Raw::one("x");
            let system = daemon.model.backend();
            system.set_option("cwmp.acs.dhcp_url", Some(&text))?;
            system.set_option("system.one.hostname", Some(&text)).map(|()| true)
        });
        assert_eq!(changed, Ok(true));
        // Ours too: the firewall's rule is made of it.
        assert_eq!(told.join().unwrap(), ["cwmp", "system"]);
        assert!(daemon.children.is_empty());
    }

    #[test]
    fn the_mechanism_of_the_first_contact_stays() {
        let (dir, mut daemon) = daemon(None);
        daemon.file.state.bootstrapped = None;
        daemon.remember_mechanism();
        assert_eq!(daemon.file.state.located, None);
        daemon.settings.discovery.is_used = true;
        daemon.file.state.bootstrapped = Some(OLD.to_owned());
        daemon.remember_mechanism();
        daemon.settings.discovery.is_used = false;
        daemon.remember_mechanism();
        assert_eq!(daemon.file.state.located, Some(Mechanism::Dhcp));
        let kept = fs::read_to_string(dir.path().join("etc/rcwmp/state.json")).unwrap();
        assert!(kept.contains("\"located\":\"Dhcp\""), "{kept}");
    }
}
