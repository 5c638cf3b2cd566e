//! The daemon's sessions: when one begins, what it tells, how it ends and what follows.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use log::{debug, error, info, warn};

use super::leaving::Then;
use super::light::Light;
use super::transfers::Transfers;
use super::trials::Trials;
use super::units::Units;
use super::xmpp::Xmpp;
use super::{Daemon, SESSION, bootstrap, both_clocks, read_settings};
use crate::agent::exchange::{self, Ended, Exchange};
use crate::agent::inform;
use crate::agent::lines::Line;
use crate::agent::programs::Program;
use crate::agent::redact::shown_url;
use crate::agent::state::State;
use crate::cwmp::dispatch;
use crate::cwmp::event::EventCode;
use crate::cwmp::queue::Call;
use crate::cwmp::retry::Policy;
use crate::cwmp::rpc::Request;
use crate::cwmp::session::{Close, Limits, Plan};
use crate::cwmp::soap::envelope::Version;
use crate::http::body::Compression;
use crate::http::url::Url;
use crate::model::date;
use crate::model::value::Input;
use crate::sys::{clock, rng};

impl Daemon {
    /// Starts a session (TR-069 3.7.1).
    pub(super) fn begin(&mut self, now: Duration) {
        self.model.refresh();
        super::route_to_bbfdm(&mut self.model).iter().for_each(|complaint| warn!("{complaint}"));
        match read_settings(self.model.backend()) {
            Ok(settings) => self.settings = settings,
            Err(why) => return self.not_begun(now, &why),
        }
        if !self.settings.enabled {
            // TR-181 EnableCWMP: no Inform, and no connection request is accepted.
            self.listener = None;
            self.configure_xmpp();
            return self.not_begun(now, &"cwmp.cpe.enable is off");
        }
        // The WAN address may be another by now, and the ACS is to be told the one that works.
        self.follow_address(now);
        self.open_port(now);
        self.tell();
        self.tell_echo();
        self.configure_light();
        self.configure_xmpp();
        self.configure_model();
        let device_id = match inform::device_id(&mut self.model) {
            Ok(id) => id,
            Err(why) => return self.not_begun(now, &why),
        };
        let acs = &mut self.settings.acs;
        if acs.username.is_empty() && !acs.password.is_empty() {
            acs.username = inform::username(&device_id);
        }
        let identity = inform::identity(&device_id);
        let state = &mut self.file.state;
        let known =
            state.bootstrapped.as_deref() == Some(&self.settings.acs.url) && state.identity == identity;
        if !known {
            state.acs_methods = None;
        }
        if !known && !state.queue.contains(&EventCode::Bootstrap) {
            bootstrap(&mut state.queue);
        }
        if self.file.state.queue.contains(&EventCode::Bootstrap) {
            self.number_instances();
        }
        // This life may have answered no request yet, which would have told the model.
        let addressing = dispatch::addressing(&mut self.model);
        self.model.set_addressing(addressing);
        let changed = self.changes_to_tell(!known);
        self.run_light_first(now);
        let state = &mut self.file.state;
        let version = if state.fall_back { Version::V1_0 } else { version_of(self.settings.amendment) };
        let snapshot = state.queue.open_session(version);
        let heartbeat = snapshot.heartbeat;
        let epoch = clock::epoch_seconds();
        let time = date::format_local(epoch, self.zone.offset_at(epoch) / 60);
        let count = state.ladder.count();
        info!("{}", Line::SessionBegins);
        info!("{}", Line::AcsUrl(&shown_url(&self.settings.acs.url)));
        let names: Vec<String> = snapshot.events.iter().map(|event| event.code.to_string()).collect();
        info!("{}", Line::Preparing);
        info!("Its events are {}", names.join(", "));
        self.history.begun(names, clock::is_set().then_some(epoch));
        self.session_since = now;
        let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
        let built = inform::content(&mut self.model, device_id, snapshot.events, time, count, &changed);
        let mut told = Vec::new();
        // A flash that has failed is no reason to keep silent: an ACS may be able to do something about it.
        self.keep_model();
        let plan = match built {
            Ok(inform::Content { inform, values }) => {
                // A heartbeat confirms nothing of what has changed (Annex O).
                if !heartbeat {
                    told = values;
                }
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
            Err(why) => return self.not_begun(now, &why),
        };
        self.session_id = self.session_id.wrapping_add(100).max(1);
        self.file.state.identity = identity;
        self.file.state.in_session = true;
        if !heartbeat {
            self.changes_ride_along();
        }
        self.save();
        let deadline = self.clock.instant(now + SESSION);
        let root = &self.options.root;
        let mut settings = exchange::http_settings(&self.settings.acs, root, deadline, &mut self.tls);
        if let Ok(settings) = &mut settings {
            settings.favourites = self.favourites.clone();
            if self.plain_for.as_ref() == Some(&self.settings.acs.url) {
                settings.compression = Compression::None;
            }
        }
        let spoken = version_of(self.settings.amendment);
        self.exchange = Some(Exchange::begin(plan, spoken, told, settings, Arc::clone(&self.wake), now));
        self.show_status();
        self.pump();
    }

    /// Writes down what the model has numbered; an error is said once, until it is over.
    fn keep_model(&mut self) {
        let why = self.model.save().err().map(|why| why.to_string());
        match &why {
            Some(why) if self.unsaved.as_ref() != Some(why) => {
                error!("numbers of objects are not saved, and may be others after a restart: {why}");
            }
            _ => {}
        }
        self.unsaved = why;
    }

    /// An ACS at its first contact finds InstanceMode as it was made (TR-069 3.6.1).
    fn number_instances(&mut self) {
        let name = "Device.ManagementServer.InstanceMode";
        if dispatch::addressing(&mut self.model).by_alias {
            let numbers = Input { text: "InstanceNumber".to_owned(), ..Input::default() };
            if let Err(why) = self.model.set(&[(name.to_owned(), numbers)], None) {
                error!("{name} stays as it was: {why}");
            }
        }
    }

    /// The session could not even begin: the ladder decides when to try again.
    pub(super) fn not_begun(&mut self, now: Duration, why: &dyn std::fmt::Display) {
        error!("no session: {why}");
        self.note_session(now, Vec::new(), Err(why.to_string()));
        // What asked for it has had its attempt: without that, each turn of the loop would be another.
        let queue = &mut self.file.state.queue;
        queue.open_session(Version::V1_4);
        queue.close_session(false);
        self.file.state.ladder.failed();
        self.plan_retry(now);
        self.save();
    }

    /// Does what the session asks for until it waits.
    pub(super) fn pump(&mut self) {
        let Some(mut exchange) = self.exchange.take() else { return };
        let clock = self.clock;
        let mut stopped = Vec::new();
        let ended =
            exchange.pump(&mut self.model, &mut self.file, &self.settings.acs.url, &mut stopped, &mut || {
                clock.now()
            });
        for id in stopped {
            self.stop_transfer(id);
        }
        self.remember_mechanism();
        match ended {
            None => self.exchange = Some(exchange),
            Some(ended) => self.end(&ended),
        }
        self.complain();
    }

    /// A session has ended.
    pub(super) fn end(&mut self, ended: &Ended) {
        let now = self.clock.now();
        let outcome = match &ended.close {
            Close::Success => Ok(()),
            Close::Failed(_) => Err(ended.detail.clone().unwrap_or_else(|| ended.close.explain())),
        };
        self.note_session(now, ended.performed.clone(), outcome);
        self.note_reach(ended.connected, both_clocks(&self.clock));
        match &ended.close {
            Close::Success => {
                self.file.state.ladder.succeeded();
                if let Some(peer) = ended.peer {
                    let is_named = Url::parse(&self.settings.acs.url)
                        .is_ok_and(|url| url.host.parse::<IpAddr>().is_err());
                    if is_named && !self.rule.knows(peer) {
                        // The service's script looks for the addresses of the ACS's name, for the firewall; when it did
                        // so last, there was no answer yet, or another.
                        debug!("The ACS is at {peer}, which is news for the firewall");
                        self.services.remind("cwmp".to_owned(), now);
                    }
                    self.rule.met(peer);
                    self.file.state.known_sources = self.rule.known();
                    self.file.state.reached = Some(peer.to_canonical());
                    // A name may have led elsewhere than the default route does.
                    self.follow_address(now);
                }
                self.file.state.fall_back = false;
                if self.file.state.first_use.is_none() && clock::is_set() {
                    self.file.state.first_use = Some(clock::epoch_seconds());
                }
                self.ask_methods = self.ask_methods && !ended.learned;
                self.notices.requests_left = true;
                info!("{}", Line::SessionEnds);
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
                self.file.state.ladder.failed();
            }
        }
        let success = ended.close == Close::Success;
        self.file.state.queue.close_session(success);
        self.file.state.in_session = false;
        self.delay_reboot();
        let clocks = both_clocks(&self.clock);
        self.file.state.alarms.session_ended(success, clocks);
        self.trials_changed();
        self.configure_echo();
        self.look_at_packages();
        self.configure_light();
        self.configure_xmpp();
        self.after_session(success);
        // After the settings that the ACS may have changed: the ladder's are among them.
        self.plan_retry(now);
        self.save();
        // What was read for this session is not needed until the next.
        self.model.refresh();
        self.back_to_dhcp();
        info!("{}", Line::Waiting);
    }

    /// Sets the time of the next attempt, if the last session was not successful (TR-069 3.2.1.1).
    pub(super) fn plan_retry(&mut self, now: Duration) {
        let state = &self.file.state;
        let (minimum, multiplier) = self.settings.retry;
        let random = rng::number().unwrap_or(u32::MAX / 2);
        self.retry_at = state.ladder.wait(Policy::new(minimum, multiplier), random).map(|wait| {
            info!("Retry in {} seconds (attempt {})", wait.as_secs(), state.ladder.count());
            now + wait
        });
    }

    /// DelayReboot counts from the end of the session that sets it (TR-181).
    pub(super) fn delay_reboot(&mut self) {
        let seconds = self.model.backend().option_text("cwmp.cpe.delay_reboot").ok();
        let seconds = seconds.and_then(|text| text.parse::<i64>().ok()).unwrap_or(-1);
        if seconds != self.delay {
            (self.settings.delay_reboot, self.delay) = (seconds, seconds);
            self.file.state.alarms.delay_reboot(seconds);
        }
    }

    /// Forgets everything, as the ACS asked, and restarts (TR-069 A.4.1.6): the next contact is the first.
    fn factory_reset(&mut self) {
        info!("Resetting to factory defaults as the ACS asked");
        let boot_id = std::mem::take(&mut self.file.state.boot_id);
        let mut state = State::default();
        state.boot_id = boot_id;
        state.phase = self.file.state.phase;
        self.file.state = state;
        self.save();
        let kept = self.options.state_dir().join("model.json");
        if let Err(why) = std::fs::remove_file(&kept) {
            debug!("{}: {why}", kept.display());
        }
        // Nothing more is to be said or written by this life, nor done by its workers.
        self.resetting = true;
        self.transfers = Transfers::default();
        self.units = Units::default();
        self.light = Light::default();
        self.xmpp = Xmpp::default();
        self.trials = Trials::default();
        // One after the other: a reboot that is quicker would leave half of the settings.
        if !self.leave(Program::FirstBoot, &["-y"], Then::Reboot) {
            self.leave::<&str>(Program::Reboot, &[], Then::Nothing);
        }
    }

    /// Changed services are told once; a reboot comes last.
    pub(super) fn after_session(&mut self, success: bool) {
        self.reload_services();
        if success && self.file.state.reset_pending {
            return self.factory_reset();
        }
        if self.file.state.reboot_pending {
            // A session that failed after the answer has still promised the reboot.
            self.reboot(if success {
                "as the ACS asked"
            } else {
                "as the ACS asked in the session that failed"
            });
        }
    }
}

/// The version of an amendment of TR-069: 1.4 from the fifth on.
pub(super) fn version_of(amendment: u8) -> Version {
    match amendment {
        0 | 1 => Version::V1_0,
        2 => Version::V1_1,
        3 => Version::V1_2,
        4 => Version::V1_3,
        _ => Version::V1_4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_amendments() {
        for (amendment, minor, namespace) in
            [(1, 0, "1-0"), (2, 1, "1-1"), (3, 2, "1-2"), (4, 3, "1-2"), (5, 4, "1-2"), (6, 4, "1-2")]
        {
            let version = version_of(amendment);
            assert_eq!(version.minor, minor);
            assert_eq!(version.namespace().uri(), format!("urn:dslforum-org:cwmp-{namespace}"));
        }
    }
}
