//! The daemon's lightweight notifications: built between sessions, looked up and sent by a worker.
//!
//! ```text
//!  changed, level 5 or 6 ─┐
//!  TriggerInterval ───────┼─► with all that levels 3 and 4 have ─► worker ─► left: told
//!  failed before ─────────┘                                             └─► later, and later again
//! ```
//! What changes faster than once a second is told together.

use std::sync::Arc;
use std::time::Duration;

use log::{debug, info, warn};

use super::{Daemon, both_clocks};
use crate::agent::inform;
use crate::agent::job::{Job, Outcome};
use crate::agent::light::{self, LightError, Post, Settings};
use crate::agent::schedule::Periodic;
use crate::cwmp::dispatch;
use crate::cwmp::lightweight::{Sender, TooLarge, packets};
use crate::cwmp::rpc::ParameterValue;
use crate::model::value::Value;
use crate::sys::{clock, rng};

/// Between two notifications.
const PACE: Duration = Duration::from_secs(1);
/// Names are looked up and packets sent within this.
const WAY: Duration = Duration::from_secs(30);
/// After the first failure, doubled after each further one.
const RETRY: Duration = Duration::from_secs(5);
/// At the most.
const MAX_RETRY: Duration = Duration::from_secs(600);
/// Parameters of one notification, in some datagrams; more wait for the next.
const MAX_PARAMETERS: usize = 64;

/// What is to be told, and what tells it.
#[derive(Default)]
pub(super) struct Light {
    settings: Option<Settings>,
    trigger: Option<Periodic>,
    /// What may wait is due, also without a change that is to be told at once.
    triggered: bool,
    /// Something may be due.
    look: bool,
    running: Option<Job<Result<(), LightError>>>,
    not_before: Duration,
    failures: u32,
    /// Said already.
    complaint: Option<LightError>,
}

impl Light {
    /// Something may have changed that is to be told.
    pub(super) fn look(&mut self) {
        self.look = true;
    }
}

impl Daemon {
    /// Takes the settings as they are now.
    pub(super) fn configure_light(&mut self) {
        let used = light::is_used(&mut self.model);
        self.model.set_lightweight(used);
        let settings = match light::settings(&mut self.model, &self.settings.acs) {
            Ok(settings) => {
                self.light.complaint = None;
                settings
            }
            Err(why) => {
                if self.light.complaint.as_ref() != Some(&why) {
                    warn!("no lightweight notifications: {why}");
                    self.light.complaint = Some(why);
                }
                None
            }
        };
        let now = both_clocks(&self.clock);
        match (&settings, &mut self.light.trigger) {
            (None, trigger) => *trigger = None,
            (Some(settings), Some(trigger)) => trigger.change(settings.trigger, now),
            (Some(settings), none) => {
                *none = Some(Periodic::new(settings.trigger, self.file.state.phase, now));
            }
        }
        if settings != self.light.settings {
            // Another host may be one that can be found.
            (self.light.failures, self.light.not_before) = (0, now.mono);
            self.light.look = true;
            self.light.settings = settings;
        }
    }

    /// When [`Daemon::run_light`] has something to do.
    pub(super) fn light_deadline(&self) -> Option<Duration> {
        let trigger = self.light.trigger.as_ref().and_then(Periodic::deadline);
        let waits = self.light.look && self.light.running.is_none() && self.exchange.is_none();
        let waits = waits && self.light_wanted();
        trigger.into_iter().chain(waits.then_some(self.light.not_before)).min()
    }

    /// Takes the worker's result, and sends what is due, between sessions.
    pub(super) fn run_light(&mut self) {
        let now = both_clocks(&self.clock);
        self.light_result(now.mono);
        if self.light.trigger.as_mut().is_some_and(|trigger| trigger.tick(now)) {
            (self.light.triggered, self.light.look) = (true, true);
        }
        let due = self.light.look && self.light.running.is_none() && now.mono >= self.light.not_before;
        if due && self.exchange.is_none() && self.light_wanted() {
            self.notify_lightly(now.mono, true);
        }
    }

    /// As [`Daemon::run_light`], when a session begins: the model is read for that already.
    pub(super) fn run_light_first(&mut self, now: Duration) {
        let due = self.light.look && self.light.running.is_none() && now >= self.light.not_before;
        if due && self.light_wanted() {
            self.notify_lightly(now, false);
        }
    }

    /// The end of this life: what has not left is told by the next.
    pub(super) fn stop_light(&mut self) {
        if self.light.running.take().is_some() {
            self.file.state.watch.sent_lightweight(false);
        }
    }

    /// Only an ACS that has heard of this device is told anything.
    fn light_wanted(&self) -> bool {
        self.light.settings.is_some()
            && self.may_begin()
            && self.file.state.bootstrapped.as_ref() == Some(&self.settings.acs.url)
    }

    fn light_result(&mut self, now: Duration) {
        let result = match self.light.running.as_ref().map(Job::outcome) {
            None | Some(Outcome::Running) => return,
            Some(Outcome::Done(result)) => result,
            Some(Outcome::Lost) => Err(LightError::Lost),
        };
        self.light.running = None;
        self.file.state.watch.sent_lightweight(result.is_ok());
        match result {
            Ok(()) => self.light.failures = 0,
            Err(why) => {
                let wait = RETRY.saturating_mul(1 << self.light.failures.min(16)).min(MAX_RETRY);
                warn!("Lightweight notification not sent, again in {} seconds: {why}", wait.as_secs());
                self.light.failures = self.light.failures.saturating_add(1);
                self.light.not_before = now + wait;
                (self.light.look, self.light.triggered) = (true, true);
            }
        }
        self.save();
    }

    /// Starts a worker with what is due; with values as they are now, if `refresh`.
    fn notify_lightly(&mut self, now: Duration, refresh: bool) {
        self.light.look = false;
        let Some(settings) = self.light.settings.clone() else { return };
        let pending = self.file.state.watch.pending(&self.model);
        if pending.lightweight_active.is_empty() && !self.light.triggered {
            return;
        }
        self.light.triggered = false;
        if pending.lightweight_active.is_empty() && pending.lightweight_passive.is_empty() {
            return;
        }
        if refresh {
            self.model.refresh();
        }
        let names = pending.lightweight_active.iter().chain(&pending.lightweight_passive);
        let mut values: Vec<(String, Value)> = Vec::new();
        for name in names {
            if values.len() >= MAX_PARAMETERS {
                // The others follow, whatever their levels.
                (self.light.look, self.light.triggered) = (true, true);
                break;
            }
            // What cannot be read now is for the next time.
            if let Ok(found) = self.model.values([name.as_str()]) {
                values.extend(found.into_iter().map(|(_, value)| (name.clone(), value)));
            }
        }
        if values.is_empty() {
            return;
        }
        self.light.not_before = now + PACE;
        let job = self.parcel(&settings, &values).and_then(|packets| {
            let post = Post {
                packets,
                host: settings.host.clone(),
                port: settings.port,
                interface: self.settings.acs.interface.clone(),
                force_ipv4: self.settings.acs.force_ipv4,
            };
            let deadline = self.clock.instant(now + WAY);
            let work = move |cancel: &_| post.send(deadline, cancel);
            Job::start("notification", Arc::clone(&self.wake), work).map_err(|why| why.to_string())
        });
        self.file.state.watch.sending_lightweight(values.iter().map(|(name, value)| (name.as_str(), value)));
        match job {
            Ok(job) => {
                info!("Lightweight notification of {} parameters to {}", values.len(), settings.authority());
                self.light.running = Some(job);
            }
            Err(why) => {
                warn!("no lightweight notification: {why}");
                self.file.state.watch.sent_lightweight(false);
                self.light.not_before = now + MAX_RETRY;
                (self.light.look, self.light.triggered) = (true, true);
            }
        }
        self.save();
    }

    /// The datagrams of some values, with times that were never used before. A value that none can hold is
    /// left out.
    fn parcel(&mut self, settings: &Settings, values: &[(String, Value)]) -> Result<Vec<Vec<u8>>, String> {
        let device = inform::device_id(&mut self.model).map_err(|why| why.to_string())?;
        // As the Inform has them.
        let addressing = dispatch::addressing(&mut self.model);
        self.model.set_addressing(addressing);
        let named = |(name, value): &(String, Value)| ParameterValue {
            name: self.model.presented(name),
            value: value.clone(),
        };
        let mut list: Vec<ParameterValue> = values.iter().map(named).collect();
        let host = settings.authority();
        let sender = Sender {
            host: &host,
            username: &self.settings.acs.username,
            password: &self.settings.acs.password,
            digest: self.settings.light_digest,
            device: &device,
        };
        let nonce = rng::hex(8).map_err(|why| why.to_string())?;
        let time = clock::epoch_seconds().max(self.file.state.light_time.saturating_add(1));
        let made = loop {
            match packets(&sender, time, &nonce, &list) {
                Ok(made) => break made,
                Err(TooLarge { name }) => {
                    warn!("{} and is not told", TooLarge { name: name.clone() });
                    list.retain(|one| one.name != name);
                }
            }
        };
        let last = time.saturating_add(i64::try_from(made.len()).unwrap_or(i64::MAX));
        self.file.state.light_time = last.saturating_sub(1).min(i64::from(i32::MAX));
        debug!("{} datagrams", made.len());
        Ok(made)
    }
}
