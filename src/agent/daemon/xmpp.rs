//! The daemon's XMPP connection: a worker finds a server and logs in, the loop serves it from then on.
//!
//! ```text
//!  settings ─► Connecting ─► worker ─► Enabled ─► the loop: requests, blanks
//!                  ▲            └► ServerNotPresent, Error…      │
//!                  └──────────── after a while ◄─────────────────┘
//! ```

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use log::{debug, info, warn};

use super::Daemon;
use crate::agent::job::{Job, Outcome};
use crate::agent::xmpp::{self, Attempt, Settings};
use crate::connreq::xmpp::client::{Fault, Online, Stats};
use crate::connreq::xmpp::request;
use crate::cwmp::event::EventCode;
use crate::http::auth::Credentials;
use crate::model::date;
use crate::model::path::clip;
use crate::sys::{clock, rng};

/// To find a server and log in.
const WAY: Duration = Duration::from_secs(60);
/// A connection that has lasted so long was a success.
const STABLE: Duration = Duration::from_secs(60);

/// The connection, or the way to it.
#[derive(Default)]
pub(super) struct Xmpp {
    settings: Option<Settings>,
    rule: request::Rule,
    /// The rule has been told whom an earlier life knew.
    has_recalled: bool,
    running: Option<Job<Result<Online, Fault>>>,
    online: Option<Online>,
    /// Since when.
    since: Duration,
    failures: u32,
    not_before: Duration,
    seed: u32,
    stats: Stats,
    status: &'static str,
}

impl Xmpp {
    /// What to poll.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.online.as_ref().map(Online::fd)
    }

    /// When [`Daemon::run_xmpp`] has something to do.
    pub(super) fn deadline(&self, now: Duration) -> Option<Duration> {
        match &self.online {
            Some(online) => online.deadline(now),
            None => (self.settings.is_some() && self.running.is_none()).then_some(self.not_before),
        }
    }
}

impl Daemon {
    /// Takes the settings as they are now. Other ones begin anew.
    pub(super) fn configure_xmpp(&mut self) {
        let now = self.clock.now();
        let request = &self.settings.connection_request;
        let credentials = Credentials::new(request.username.clone(), request.password.clone());
        let (settings, sections) = match xmpp::settings(self.model.backend()) {
            Ok(found) => found,
            Err(why) => return warn!("the XMPP connection stays as it was: {why}"),
        };
        let settings = settings.filter(|_| self.settings.enabled && !self.settings.acs.url.is_empty());
        let allowed = settings.as_ref().map(|settings| settings.allowed.clone()).unwrap_or_default();
        self.xmpp.rule.set(request::Settings { credentials, allowed });
        if !std::mem::replace(&mut self.xmpp.has_recalled, true) {
            self.xmpp.rule.recall(&self.file.state.known_senders);
        }
        self.file.state.known_senders = self.xmpp.rule.known();
        let used = settings.as_ref().map(|settings| settings.section.clone());
        for section in sections.iter().filter(|section| Some(*section) != used.as_ref()) {
            // Enabled, and waiting for ConnReqXMPPConnection to refer to it.
            self.model.backend().tell(&format!("xmpp.{section}.Status"), "Dormant");
        }
        let differs = |old: &Settings, new: &Settings| {
            Settings { allowed: Vec::new(), ..old.clone() } != Settings { allowed: Vec::new(), ..new.clone() }
        };
        let is_same = match (&self.xmpp.settings, &settings) {
            (Some(old), Some(new)) => !differs(old, new),
            (None, None) => true,
            _ => false,
        };
        if is_same {
            self.xmpp.settings = settings;
            return self.tell_xmpp();
        }
        (self.xmpp.running, self.xmpp.online) = (None, None);
        if self.xmpp.settings.is_some() {
            self.xmpp_is("Dormant");
        }
        let same_section = self.xmpp.settings.as_ref().map(|old| &old.section) == used.as_ref();
        if !same_section {
            self.xmpp.stats = Stats::default();
        }
        self.xmpp.settings = settings;
        (self.xmpp.failures, self.xmpp.not_before) = (0, now);
        self.xmpp.seed = rng::number().unwrap_or(0);
        self.tell_xmpp();
    }

    /// Takes the worker's result, serves the connection, and tries again when it is time.
    pub(super) fn run_xmpp(&mut self, ready: &[RawFd], now: Duration) {
        let result = match self.xmpp.running.as_ref().map(Job::outcome) {
            None | Some(Outcome::Running) => None,
            Some(Outcome::Done(result)) => Some(result),
            Some(Outcome::Lost) => Some(Err(Fault::Broken("the worker ended early".to_owned()))),
        };
        if let Some(result) = result {
            self.xmpp.running = None;
            match result {
                Ok(online) => self.is_online(online, now),
                Err(fault) => self.is_offline(&fault, now),
            }
        }
        self.serve_xmpp(ready, now);
        let xmpp = &self.xmpp;
        if xmpp.online.is_none() && xmpp.running.is_none() && xmpp.not_before <= now && !self.resetting {
            self.connect_xmpp(now);
        }
    }

    /// Gives up a connection that begins at an address that is ours no longer, or on a device that is no more: it
    /// would seem to be there for minutes. The next one is made at once.
    pub(super) fn xmpp_follows(&mut self, is_another_device: bool, now: Duration) {
        let Some(online) = &self.xmpp.online else { return };
        if !is_another_device && online.is_at_home() {
            return;
        }
        info!("The XMPP connection began at an address that is gone");
        self.xmpp.stats = online.stats();
        self.xmpp.online = None;
        (self.xmpp.failures, self.xmpp.not_before) = (0, now);
        self.xmpp_is("Connecting");
    }

    /// What the model shows of the connection.
    fn tell_xmpp(&mut self) {
        let xmpp = &self.xmpp;
        let system = self.model.backend();
        system.tell("XMPPServerConnectAlgorithms", "DNS-SRV,DNS,ServerTable");
        let Some(settings) = &xmpp.settings else {
            return system.tell("ConnReqJabberID", "");
        };
        let stats = xmpp.online.as_ref().map_or(xmpp.stats, Online::stats);
        let jid = xmpp.online.as_ref().map_or_else(|| settings.jid(), |online| online.jid().to_owned());
        let is_tls = xmpp.online.as_ref().is_some_and(Online::is_tls);
        system.tell("ConnReqJabberID", jid.as_str());
        for (name, value) in [
            ("JabberID", jid),
            ("TLSEstablished", u8::from(is_tls).to_string()),
            ("ReceivedMessages", stats.received.to_string()),
            ("TransmittedMessages", stats.transmitted.to_string()),
            ("ReceivedErrorMessages", stats.received_errors.to_string()),
            ("TransmittedErrorMessages", stats.transmitted_errors.to_string()),
        ] {
            system.tell(&format!("xmpp.{}.{name}", settings.section), value);
        }
    }

    fn connect_xmpp(&mut self, now: Duration) {
        let Some(settings) = self.xmpp.settings.clone() else { return };
        let root = &self.options.root;
        let resolv_conf = root.resolve("/etc/resolv.conf").unwrap_or_else(|_| "/etc/resolv.conf".into());
        let attempt = Attempt {
            settings,
            tls: self.tls.when_needed(&self.settings.acs, root),
            interface: self.settings.acs.interface.clone(),
            force_ipv4: self.settings.acs.force_ipv4,
            resolv_conf,
            failures: self.xmpp.failures,
            seed: self.xmpp.seed,
            nonce: match rng::hex(16) {
                Ok(nonce) => nonce,
                Err(why) => return self.is_offline(&Fault::Broken(why.to_string()), now),
            },
            stats: self.xmpp.stats,
        };
        let deadline = self.clock.instant(now + WAY);
        let work = move |cancel: &_| attempt.run(deadline, cancel);
        match Job::start("xmpp", Arc::clone(&self.wake), work) {
            Ok(job) => self.xmpp.running = Some(job),
            Err(why) => return self.is_offline(&Fault::Broken(why.to_string()), now),
        }
        // What was wrong last time is of more use than that it is tried again.
        if self.xmpp.failures == 0 {
            self.xmpp_is("Connecting");
        }
    }

    fn is_online(&mut self, mut online: Online, now: Duration) {
        let with = if online.is_tls() { "with" } else { "without" };
        info!("XMPP connection as {:?} {with} TLS", clip(online.jid()));
        online.keep_alive(self.xmpp.settings.as_ref().and_then(|settings| settings.keep_alive), now);
        self.xmpp.online = Some(online);
        self.xmpp.since = now;
        self.xmpp_is("Enabled");
    }

    fn is_offline(&mut self, fault: &Fault, now: Duration) {
        if let Some(online) = self.xmpp.online.take() {
            self.xmpp.stats = online.stats();
            if now.saturating_sub(self.xmpp.since) >= STABLE {
                self.xmpp.failures = 0;
                self.xmpp.seed = rng::number().unwrap_or(0);
            }
        }
        self.xmpp.failures = self.xmpp.failures.saturating_add(1);
        let retry = self.xmpp.settings.as_ref().map(|settings| settings.retry).unwrap_or_default();
        let wait = retry.wait(self.xmpp.failures, rng::number().unwrap_or(u32::MAX / 2));
        self.xmpp.not_before = now + wait;
        warn!("{fault}; again in {} seconds", wait.as_secs());
        self.xmpp_is(fault.status());
    }

    fn serve_xmpp(&mut self, ready: &[RawFd], now: Duration) {
        let Some(online) = &mut self.xmpp.online else { return };
        let is_ready = ready.contains(&online.fd().as_raw_fd());
        if !is_ready && online.deadline(now).is_none_or(|deadline| deadline > now) {
            return;
        }
        match online.serve(now, &mut self.xmpp.rule) {
            Err(fault) => self.is_offline(&fault, now),
            Ok(answers) => {
                for answer in &answers {
                    let from = clip(&answer.from);
                    match answer.accepted {
                        true => info!("Connection Request accepted from {from:?}"),
                        false => debug!("Stanza from {from:?} refused: {}", answer.why),
                    }
                }
                if answers.iter().any(|answer| answer.accepted) {
                    self.file.state.known_senders = self.xmpp.rule.known();
                    self.event(EventCode::ConnectionRequest);
                }
                self.tell_xmpp();
            }
        }
    }

    fn xmpp_is(&mut self, status: &'static str) {
        if let Some(settings) = self.xmpp.settings.as_ref().filter(|_| self.xmpp.status != status) {
            let system = self.model.backend();
            system.tell(&format!("xmpp.{}.Status", settings.section), status);
            if clock::is_set() {
                let date = date::format_utc(clock::epoch_seconds());
                system.tell(&format!("xmpp.{}.LastChangeDate", settings.section), date);
            }
        }
        self.xmpp.status = status;
        self.tell_xmpp();
    }
}
