//! The daemon's notifications: changes by others are found between sessions and at the beginning of one.

use std::time::Duration;

use log::warn;

use super::Daemon;
use crate::agent::changes::ConfigChanges;
use crate::cwmp::event::EventCode;
use crate::model::reach::Scope;

/// How often values are looked at that change without a file of the configuration.
const SLOWLY: Duration = Duration::from_secs(60);

/// What tells of changes.
pub(super) struct Notices {
    pub(super) files: Option<ConfigChanges>,
    next: Duration,
}

impl Notices {
    pub(super) fn new(files: Option<ConfigChanges>) -> Notices {
        Notices { files, next: SLOWLY }
    }

    /// The next look comes at once: something has changed of which no file tells.
    pub(super) fn hurry(&mut self) {
        self.next = Duration::ZERO;
    }

    /// When to look again without a notice.
    pub(super) fn deadline(&self) -> Duration {
        self.next
    }
}

impl Daemon {
    /// Looks at what others may have changed, between sessions.
    pub(super) fn look_for_changes(&mut self, now: Duration) {
        if self.exchange.is_some() {
            return;
        }
        let files = self.notices.files.as_mut().and_then(ConfigChanges::changed);
        let slow = now >= self.notices.next;
        if slow {
            self.notices.next = now + SLOWLY;
        }
        // Before the first session nothing was told, so nothing can have changed since.
        if self.file.state.watch.is_empty() || (files.is_none() && !slow) {
            return;
        }
        self.model.refresh();
        // A port that is closed only for a moment, because its settings were read again, is no news.
        self.open_port(self.clock.now());
        self.tell();
        for scope in files.into_iter().chain(slow.then_some(Scope::Slow)) {
            let found = self.file.state.watch.check(&mut self.model, &scope);
            if !found.active.is_empty() {
                self.file.state.alarms.active_change();
            }
            if !found.passive.is_empty()
                && let Err(why) = self.file.state.queue.add_passive_value_change()
            {
                warn!("an event was refused: {why}");
            }
        }
        for complaint in self.model.complaints() {
            warn!("{complaint}");
        }
        self.save();
    }

    /// A session begins: what has changed until now is told in its Inform; the names.
    pub(super) fn changes_to_tell(&mut self, first_contact: bool) -> Vec<String> {
        let state = &mut self.file.state;
        state.watch.check(&mut self.model, &Scope::All);
        if first_contact {
            state.watch.discard();
        }
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
}
