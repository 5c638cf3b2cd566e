//! The daemon's notifications: changes by others are found between sessions and at the beginning of one.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use log::warn;

use super::Daemon;
use crate::agent::changes::ConfigChanges;
use crate::agent::options::Options;
use crate::agent::requests;
use crate::cwmp::event::EventCode;
use crate::model::reach::Scope;
use crate::model::watch::Changes;

/// How often packages and requests are looked at that came without a notice.
const SLOWLY: Duration = Duration::from_secs(60);
/// As often at the most, when there is a sign of a change: what the LAN does is not to keep us busy.
const SOON: Duration = Duration::from_secs(5);
/// How long a program may keep silent before the values without it count as changed: it may be starting, or busy.
const DOUBT: Duration = Duration::from_secs(120);
/// Where others write what they know: the DHCP server's hook its manageable devices.
const NEWS: &str = "/var/run/rcwmp";
/// Its active notification has a limit of its own (ManageableDeviceNotificationLimit).
const MANAGEABLE: &str = "Device.ManagementServer.ManageableDeviceNumberOfEntries";

/// What tells of changes.
pub(super) struct Notices {
    /// Of configuration files.
    files: Option<ConfigChanges>,
    /// Of files that others write for us; without it there is the slow look.
    news: Option<ConfigChanges>,
    /// Of the directory where requests are left.
    pub(super) requests: Option<ConfigChanges>,
    /// Something may have been left there without a notice.
    pub(super) requests_left: bool,
    /// What is to be looked at without a notice: at first everything, for nobody watched before.
    slow: Scope,
    next: Duration,
    last: Duration,
    /// Since when values are read without a program that keeps silent.
    unsure: Option<Duration>,
    /// When to look at packages and requests again.
    chores: Duration,
}

impl Notices {
    pub(super) fn new(options: &Options) -> Notices {
        let watch = |dir: PathBuf| {
            let opened = ConfigChanges::open(options.root.clone(), dir.clone());
            let late = |why| warn!("changes in {} are not noticed at once: {why}", dir.display());
            opened.map_err(late).ok()
        };
        // First: it makes the directory of news too.
        let prepared = requests::prepare(&options.root);
        let has_place = prepared.map_err(|why| warn!("requests of users are not taken: {why}")).is_ok();
        Notices {
            files: watch(options.config_dir.clone()),
            news: watch(NEWS.into()),
            requests: has_place.then(|| watch(requests::PLACE.into())).flatten(),
            requests_left: true,
            slow: Scope::All,
            next: Duration::ZERO,
            last: Duration::ZERO,
            unsure: None,
            chores: Duration::ZERO,
        }
    }

    /// What is ready for reading when there is something to look at.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.files.iter().chain(&self.news).chain(&self.requests).map(AsFd::as_fd)
    }

    /// The next look comes as soon as it may: there is a sign of a change.
    pub(super) fn soon(&mut self) {
        self.next = self.next.min(self.last + SOON);
    }

    /// The next look comes at once: something has changed of which no file tells.
    pub(super) fn hurry(&mut self) {
        self.next = Duration::ZERO;
    }

    /// When to look again without a notice.
    pub(super) fn deadline(&self) -> Duration {
        self.next.min(self.chores)
    }
}

impl Daemon {
    /// Looks at what others may have changed, between sessions.
    pub(super) fn look_for_changes(&mut self, now: Duration) {
        if self.exchange.is_some() || self.resetting {
            return;
        }
        let files = self.notices.files.as_mut().and_then(ConfigChanges::changed);
        if self.notices.news.as_mut().and_then(ConfigChanges::changed).is_some() {
            self.notices.soon();
        }
        let slow = now >= self.notices.next;
        if slow {
            let every = self.settings.look.unwrap_or(SLOWLY);
            (self.notices.last, self.notices.next) = (now, now + every);
            self.follow_address(now);
        }
        if now >= self.notices.chores {
            self.notices.chores = now + SLOWLY;
            self.notices.requests_left = true;
            self.look_at_packages();
        }
        // Before the first session nothing was told, so nothing can have changed since.
        let wanted = self.settings.look.is_some() && !self.file.state.watch.is_empty();
        if !wanted || (files.is_none() && !slow) {
            return;
        }
        self.model.refresh();
        // A port that is closed only for a moment, because its settings were read again, is no news.
        self.open_port(self.clock.now());
        self.tell();
        self.configure_light();
        let slow = slow.then(|| std::mem::replace(&mut self.notices.slow, Scope::Slow));
        for found in self.judge(files.into_iter().chain(slow)) {
            self.announce(&found);
        }
        self.complain();
        self.save();
    }

    /// These changes have just been found, between sessions.
    pub(super) fn announce(&mut self, found: &Changes) {
        self.active_changes(&found.active);
        if !found.lightweight_active.is_empty() {
            self.light.look();
        }
        if !found.passive.is_empty()
            && let Err(why) = self.file.state.queue.add_passive_value_change()
        {
            warn!("an event was refused: {why}");
        }
    }

    /// What has newly changed in each of the scopes. While a program keeps silent whose values are among them
    /// nothing has: they would change once more as soon as it speaks again.
    fn judge(&mut self, scopes: impl IntoIterator<Item = Scope>) -> Vec<Changes> {
        let before = self.file.state.watch.clone();
        let watch = &mut self.file.state.watch;
        let found = scopes.into_iter().map(|scope| watch.check(&mut self.model, &scope)).collect();
        if before.is_empty() || !self.model.backend().bus().is_unsure() {
            self.notices.unsure = None;
            return found;
        }
        let now = self.clock.now();
        if now.saturating_sub(*self.notices.unsure.get_or_insert(now)) >= DOUBT {
            return found;
        }
        self.file.state.watch = before;
        self.notices.slow = Scope::All;
        Vec::new()
    }

    /// These are to be told as soon as it is allowed.
    fn active_changes(&mut self, names: &[String]) {
        let alarms = &mut self.file.state.alarms;
        if names.iter().any(|name| name == MANAGEABLE) {
            alarms.manageable_change();
        }
        if names.iter().any(|name| name != MANAGEABLE) {
            alarms.active_change();
        }
    }

    /// What an earlier life has found and was not allowed to tell yet.
    pub(super) fn resume_notices(&mut self) {
        let waiting = self.file.state.watch.pending(&self.model).active;
        self.active_changes(&waiting);
    }

    /// A session begins: what has changed until now is told in its Inform; the names.
    pub(super) fn changes_to_tell(&mut self, first_contact: bool) -> Vec<String> {
        for found in self.judge([Scope::All]) {
            if !found.lightweight_active.is_empty() {
                self.light.look();
            }
            if !first_contact {
                // Should this be a heartbeat's session, they need one of their own.
                self.active_changes(&found.active);
            }
        }
        if first_contact {
            self.file.state.watch.discard();
        }
        let state = &mut self.file.state;
        let changed: Vec<String> = state.watch.pending(&self.model).inform().map(str::to_owned).collect();
        if changed.is_empty() {
            state.queue.discard(&EventCode::ValueChange);
        } else if !state.queue.contains(&EventCode::ValueChange)
            // This session is there already; after a heartbeat's, which tells nothing of it, it opens none.
            && let Err(why) = state.queue.add_passive_value_change()
        {
            warn!("an event was refused: {why}");
        }
        changed
    }

    /// A session begins that is no heartbeat's: it tells of all changes, whatever it is for.
    pub(super) fn changes_ride_along(&mut self) {
        let state = &mut self.file.state;
        if state.watch.pending(&self.model).active.iter().any(|name| name == MANAGEABLE) {
            // That counts for the limit.
            state.alarms.manageable_change();
        }
        state.alarms.session_started();
    }
}
