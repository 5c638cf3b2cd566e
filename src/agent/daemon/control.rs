//! The daemon's part in its ubus object: what it tells, and what it does when it is asked.

use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use log::{debug, info, warn};

use super::{Daemon, StartError, both_clocks};
use crate::agent::commands::{self, Command};
use crate::agent::control::{self, OBJECT, Status, Wanted};
use crate::agent::options::Options;
use crate::cwmp::event::EventCode;
use crate::cwmp::fault::{self, Fault};
use crate::model::date;
use crate::sys::clock;
use crate::ubus::blobmsg::Table;
use crate::ubus::msg::Status as Word;
use crate::ubus::server::{Incoming, Request, Server, Service};

/// The event of netifd.
const NETWORK: &str = "network.interface";
/// The most changes that wait for the end of a session.
const MAX_WAITING: usize = 16;
/// How long a change may wait for it: callers wait 30 s for an answer, and what they have given up must not be
/// done behind their back.
const PATIENCE: Duration = Duration::from_secs(25);
/// Between attempts that events ask for, at least.
const CALM: Duration = Duration::from_secs(5);

/// A change by a user that came during a session.
pub(super) struct Waiting {
    request: Request,
    command: Command,
    /// When its caller has waited long enough.
    pub(super) until: Duration,
}

/// What we offer on ubus, and hear there.
///
/// # Errors
/// When the socket's path leads out of the root.
pub(super) fn bus(options: &Options) -> Result<Server, StartError> {
    let failed = |why: &dyn std::fmt::Display| StartError(format!("ubus: {why}"));
    let path = options.ubus_socket().map_err(|why| failed(&why))?;
    let objects =
        vec![(OBJECT.to_owned(), control::methods()), (commands::OBJECT.to_owned(), commands::methods())];
    let events = vec![NETWORK.to_owned()];
    Server::new(&path, Service { objects, events, ..Service::default() }).map_err(|why| failed(&why))
}

impl Daemon {
    /// Serves ubus, during a session too; false when a caller has asked for the end.
    pub(super) fn serve_bus(&mut self, ready: &[RawFd]) -> bool {
        let now = self.clock.now();
        let mut incoming = self.bus.on_tick(now);
        if self.bus.fd().is_some_and(|(fd, _)| ready.contains(&fd.as_raw_fd())) {
            incoming.extend(self.bus.on_ready(now));
        }
        let mut goes_on = true;
        for one in incoming {
            match one {
                Incoming::Call { object, method, arguments, user, request, .. } => {
                    let by = user.map(|user| user.to_str().into_owned()).unwrap_or_default();
                    debug!("ubus: {object} {method} by {by}");
                    if object == commands::OBJECT {
                        self.serve_command(&method, &arguments, request);
                        continue;
                    }
                    let is_running = self.exchange.is_some();
                    let (reply, wanted) = match method.as_str() {
                        "status" => (Ok(control::status(&self.status())), None),
                        "inform" => ok(control::inform(&arguments, self.may_begin(), is_running)),
                        "command" => ok(control::command(&arguments, is_running)),
                        "notify" => ok(control::notify()),
                        _ => (Err(Word::MethodNotFound), None),
                    };
                    self.answer(request, reply);
                    goes_on &= wanted.is_none_or(|wanted| self.grant(wanted));
                }
                Incoming::Refused { name, status } => warn!("ubus refuses {name}: {status}"),
                Incoming::Down(why) => info!("no ubus for now: {why}"),
                Incoming::Ready => info!("{OBJECT} is on ubus"),
                Incoming::Event { data, .. } => self.network_event(data.text("action").as_deref(), now),
                Incoming::Notification { .. } | Incoming::Subscribers { .. } => {}
            }
        }
        goes_on
    }

    /// A call of the object `rcwmp`. What changes the model waits for the end of a session: the ACS would
    /// be told nothing of it else.
    fn serve_command(&mut self, method: &str, arguments: &Table, request: Request) {
        let reply = match method {
            "transfers" => Ok(commands::transfers(&self.file.state.transfers.list())),
            "sessions" => {
                let time = |epoch: Option<i64>| epoch.map_or_else(|| "N/A".to_owned(), |at| self.local(at));
                Ok(commands::sessions(&self.history, arguments.number("count"), time))
            }
            _ => match Command::parse(method, arguments) {
                None => Err(Word::MethodNotFound),
                Some(Err(refused)) => Ok(refused),
                Some(Ok(command)) if command.changes() && self.exchange.is_some() => {
                    if self.waiting.len() < MAX_WAITING {
                        let until = self.clock.now() + PATIENCE;
                        return self.waiting.push(Waiting { request, command, until });
                    }
                    Ok(denied("a session is on its way, and too many changes wait for its end"))
                }
                Some(Ok(command)) => Ok(self.command(&command)),
            },
        };
        self.answer(request, reply);
    }

    /// Performs what has waited for the end of a session, and refuses what has waited too long.
    pub(super) fn serve_waiting(&mut self) {
        let now = self.clock.now();
        for one in std::mem::take(&mut self.waiting) {
            let reply = match () {
                () if self.exchange.is_none() => self.command(&one.command),
                () if now < one.until => {
                    self.waiting.push(one);
                    continue;
                }
                () => denied("a session is on its way and does not end"),
            };
            self.answer(one.request, Ok(reply));
        }
    }

    /// The end has come for what waits: nothing of it is done.
    pub(super) fn refuse_waiting(&mut self) {
        for one in std::mem::take(&mut self.waiting) {
            self.answer(one.request, Ok(denied("the agent has been stopped")));
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

    fn answer(&mut self, request: Request, reply: Result<Table, Word>) {
        if let Err(why) = self.bus.answer(request, reply) {
            warn!("ubus: a call is not answered: {why}");
        }
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
    }

    /// An interface has changed: what depends on it is looked at, and an ACS that could not be reached is
    /// tried again when one comes up, as icwmp does.
    fn network_event(&mut self, action: Option<&str>, now: Duration) {
        self.notices.soon();
        if action == Some("ifup") && self.retry_at.is_some() {
            info!("an interface is up: the ACS is tried again");
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

fn denied(why: &str) -> Table {
    commands::refusal(&Fault::new(fault::REQUEST_DENIED, why))
}

fn ok<R, W, E>((reply, wanted): (R, W)) -> (Result<R, E>, W) {
    (Ok(reply), wanted)
}
