//! The daemon's part in its ubus objects: what it puts up for the desk, and what it does when it is asked.

use std::time::Duration;

use log::info;

use super::{Daemon, both_clocks};
use crate::agent::commands::{self, Command};
use crate::agent::control::{RUNNING, Status, Wanted};
use crate::agent::desk::Call;
use crate::agent::redact::shown_url;
use crate::cwmp::event::EventCode;
use crate::cwmp::fault::{self, Fault};
use crate::model::date;
use crate::sys::clock;
use crate::ubus::blobmsg::Table;
use crate::ubus::msg::Status as Word;
use crate::ubus::server::Request;

/// The most changes that wait for the end of a session.
const MAX_WAITING: usize = 16;
/// How long a change may wait for it: callers wait 30 s for an answer, and what they have given up must not be
/// done behind their back.
const PATIENCE: Duration = Duration::from_secs(25);
/// The most calls that one turn of the loop performs: a session and a connection request are served in between.
const MAX_AT_ONCE: usize = 4;
/// Between attempts that events ask for, at least.
const CALM: Duration = Duration::from_secs(5);

/// A change by a user that came during a session.
pub(super) struct Waiting {
    request: Request,
    command: Command,
    /// When its caller has waited long enough.
    pub(super) until: Duration,
}

impl Daemon {
    /// Does what has come over ubus, during a session too; false when a caller has asked for the end.
    pub(super) fn serve_desk(&mut self) -> bool {
        let errands = self.desk.errands();
        if errands.network_changed {
            self.network_event(&errands.came_up, self.clock.now());
        }
        let mut goes_on = true;
        for wanted in errands.wishes {
            goes_on &= self.grant(wanted);
        }
        // Whoever has asked for a reload before has it before he reads.
        if self.reload_asked && self.exchange.is_none() {
            return goes_on;
        }
        for call in self.desk.calls(MAX_AT_ONCE) {
            self.serve_call(call);
        }
        if self.desk.has_calls() {
            let _ = self.wake.write(1);
        }
        goes_on
    }

    /// Puts up what `tr069 status` tells.
    pub(super) fn show_status(&self) {
        self.desk.show(self.status());
    }

    /// A call of the object `rcwmp`. What changes the model waits for the end of a session: the ACS would
    /// be told nothing of it else.
    fn serve_call(&mut self, call: Call) {
        let Call { method, arguments, request, came } = call;
        let until = came + PATIENCE;
        let reply = match method.as_str() {
            "transfers" => Ok(commands::transfers(&self.file.state.transfers.list())),
            "sessions" => {
                let time = |epoch: Option<i64>| epoch.map_or_else(|| "N/A".to_owned(), |at| self.local(at));
                Ok(commands::sessions(&self.history, arguments.number("count"), time))
            }
            _ => match Command::parse(&method, &arguments) {
                None => Err(Word::MethodNotFound),
                Some(Err(refused)) => Ok(refused),
                Some(Ok(command)) if command.changes() && self.clock.now() >= until => {
                    Ok(denied("the agent was busy for too long"))
                }
                Some(Ok(command)) if command.changes() && self.exchange.is_some() => {
                    if self.waiting.len() < MAX_WAITING {
                        return self.waiting.push(Waiting { request, command, until });
                    }
                    Ok(denied("a session is on its way, and too many changes wait for its end"))
                }
                Some(Ok(command)) => Ok(self.command(&command)),
            },
        };
        self.desk.answer(request, reply);
    }

    /// Performs what has waited for the end of a session, and refuses what has waited too long.
    pub(super) fn serve_waiting(&mut self) {
        let mut performed = 0;
        for one in std::mem::take(&mut self.waiting) {
            let reply = match () {
                () if self.clock.now() >= one.until => denied("a session is on its way and does not end"),
                () if self.exchange.is_none() && performed < MAX_AT_ONCE => {
                    performed += 1;
                    self.command(&one.command)
                }
                () => {
                    self.waiting.push(one);
                    continue;
                }
            };
            self.desk.answer(one.request, Ok(reply));
        }
    }

    /// The end has come for what waits: nothing of it is done.
    pub(super) fn refuse_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|one| one.request);
        let calls = self.desk.calls(usize::MAX).into_iter().map(|call| call.request);
        for request in waiting.chain(calls) {
            self.desk.answer(request, Ok(denied("the agent has been stopped")));
        }
    }

    /// Performs a command of a user on the model, and what follows from it.
    fn command(&mut self, command: &Command) -> Table {
        if command.changes() && (self.is_leaving() || self.resetting) {
            return denied("the device goes down");
        }
        // Within a session everybody sees what the ACS sees.
        if command.begins() && self.exchange.is_none() {
            self.model.refresh();
            self.tell();
        }
        let reply = commands::perform(&mut self.model, command);
        self.complain();
        if command.changes() {
            self.trials_changed();
            self.configure_echo();
            self.configure_light();
            self.reload_services();
            self.notices.hurry();
            self.save();
        }
        reply
    }

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
        self.show_status();
    }

    /// An interface has changed: what depends on it is looked at, and an ACS that could not be reached is
    /// tried again when the WAN comes up, as icwmp does. A port of the LAN that goes up and down changes nothing for it.
    fn network_event(&mut self, came_up: &[String], now: Duration) {
        self.notices.soon();
        let wan = &self.settings.discovery.wan;
        let is_wan = |name: &String| {
            name.strip_prefix(wan.as_str()).is_some_and(|more| matches!(more, "" | "6" | "_6"))
        };
        if came_up.iter().any(is_wan) && self.retry_at.is_some() {
            info!("the WAN is up: the ACS is tried again");
            // One that goes up and down all the time is no reason for a session each time.
            self.retry_at = Some(now.max(self.session_since + CALM));
        }
    }

    /// What `status` tells.
    pub(super) fn status(&self) -> Status {
        let time = |epoch: Option<i64>| epoch.map_or_else(|| "N/A".to_owned(), |epoch| self.local(epoch));
        let last = self.history.last();
        let now = both_clocks(&self.clock);
        let planned = self.file.state.alarms.next_session(now).into_iter().chain(self.retry_at).min();
        let planned = planned.filter(|_| self.may_begin());
        let next = planned.zip(now.wall).map(|(at, wall)| {
            wall.saturating_add(i64::try_from(at.saturating_sub(now.mono).as_secs()).unwrap_or(i64::MAX))
        });
        Status {
            is_up: self.may_begin(),
            start_time: time(self.since.wall),
            // Without a password that stands in it: others may ask than those who may read the settings.
            acs_url: shown_url(&self.settings.acs.url),
            last_status: match last.map(|record| record.success) {
                _ if self.exchange.is_some() => RUNNING,
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

fn denied(why: &str) -> Table {
    commands::refusal(&Fault::new(fault::REQUEST_DENIED, why))
}
