//! The daemon's part in its ubus object: what it tells, and what it does when it is asked.

use std::time::Duration;

use super::{Daemon, both_clocks};
use crate::agent::control::{Status, Wanted};
use crate::cwmp::event::EventCode;
use crate::model::date;
use crate::sys::clock;

impl Daemon {
    /// A session has ended, or could not begin.
    pub(super) fn note_session(
        &mut self,
        now: Duration,
        rpcs: Vec<(String, u16)>,
        outcome: Result<(), String>,
    ) {
        let took = now.saturating_sub(self.session_since).as_millis();
        let end = clock::is_set().then(clock::epoch_seconds);
        self.history.ended(end, u64::try_from(took).unwrap_or(u64::MAX), rpcs, outcome);
    }

    /// What `status` tells.
    pub(super) fn status(&self) -> Status {
        let time = |epoch: Option<i64>| epoch.map_or_else(|| "N/A".to_owned(), |epoch| self.local(epoch));
        let last = self.history.last();
        let now = both_clocks(&self.clock);
        let planned = self.file.state.alarms.next_session(now).into_iter().chain(self.retry_at).min();
        let next = planned.zip(now.wall).map(|(at, wall)| {
            wall.saturating_add(i64::try_from(at.saturating_sub(now.mono).as_secs()).unwrap_or(i64::MAX))
        });
        Status {
            is_up: self.may_begin(),
            start_time: time(self.since.wall),
            acs_url: self.settings.acs.url.clone(),
            last_status: match last.map(|record| record.success) {
                _ if self.exchange.is_some() => "running",
                None => "N/A",
                Some(None) => "waiting",
                Some(Some(true)) => "success",
                Some(Some(false)) => "failure",
            },
            last_start: time(last.and_then(|record| record.start)),
            last_end: time(last.and_then(|record| record.end)),
            next_start: time(next),
            successes: self.history.successes(),
            failures: self.history.failures(),
        }
    }

    /// A time as icwmp writes it.
    fn local(&self, epoch: i64) -> String {
        date::format_local(epoch, self.zone.offset_at(epoch) / 60)
    }

    /// Does what a call asks for; false to end.
    pub(super) fn grant(&mut self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Event(event) => self.event(event),
            Wanted::Methods => {
                self.ask_methods = true;
                self.event(EventCode::Periodic);
            }
            Wanted::Reload => self.reload_asked = true,
            Wanted::Notify => self.notices.hurry(),
            Wanted::Exit => return false,
        }
        true
    }
}
