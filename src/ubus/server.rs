//! Calls in: objects that we offer, events that we hear, objects that we subscribe to, for a poll loop.
//!
//! ```text
//!          connect            HELLO, all answered
//!  Down ────────────► Starting ────────────► Up
//!   ▲  250 ms … 16 s     │ 5 s               │ ubusd closed
//!   └────────────────────┴───────────────────┘
//! ```
//! When ubusd comes back everything is offered, heard and subscribed to again. A target that is not there is
//! subscribed to as soon as it appears. Nothing here waits; the loop asks [`Server::fd`] what to poll and
//! [`Server::deadline`] when to call [`Server::on_tick`] at the latest.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::PollFlags;

use super::blob::BlobError;
use super::blobmsg::{Table, Text};
use super::link::{Link, LinkError};
use super::msg::Status;
use super::object::Method;
use super::peer::{Call, Caller, Event, Failure, Invocation, MAX_UNSENT, SendError};

/// The first pause before connecting again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest.
const LAST_PAUSE: Duration = Duration::from_secs(16);
/// How long ubusd may take until everything is registered.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after a refusal an object is offered again: its name may have been taken.
const OFFER_AGAIN: Duration = Duration::from_secs(10);
/// The most objects, patterns and targets, each.
const MAX_EACH: usize = 16;
/// The most calls that wait for our answer.
const MAX_OPEN: usize = 64;
/// The event of ubusd that tells of a new object.
const OBJECT_ADDED: &str = "ubus.object.add";

/// What a server is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Objects and their methods, at most 16.
    pub objects: Vec<(String, Vec<Method>)>,
    /// Events to hear: names, or patterns with `*` at the end; at most 16.
    pub events: Vec<String>,
    /// Objects of others whose notifications are wanted, at most 16.
    pub targets: Vec<String>,
}

/// Why something was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServeError {
    /// More than 16 objects, events or targets were asked for.
    TooMany,
    /// There is no connection, or it is not the one that the call came by: its caller has been told.
    Gone,
    /// ubusd refused this object, so that it cannot be used.
    NoObject(String),
    /// The message cannot be sent.
    Send(SendError),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::TooMany => write!(f, "more than {MAX_EACH} objects, events or targets on ubus"),
            ServeError::Gone => write!(f, "the connection to ubus was lost"),
            ServeError::NoObject(path) => write!(f, "the object {path} is not registered on ubus"),
            ServeError::Send(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for ServeError {}

/// A call that waits for its answer.
#[derive(Debug)]
#[must_use = "the caller waits for a status"]
pub struct Request {
    caller: Caller,
    connection: u32,
}

/// What happened.
#[derive(Debug)]
pub enum Incoming {
    /// Everything is registered, or refused.
    Ready,
    /// The connection was lost, or could not be made; it is tried again. Told once until it stands.
    Down(LinkError),
    /// ubusd does not let us offer this object (its name is taken, or an ACL forbids it), hear this event or
    /// subscribe to this target. Told once a connection, and asked for again on the next one at the latest.
    Refused {
        /// Which.
        name: String,
        /// With what word.
        status: Status,
    },
    /// A call of one of our methods; to be answered.
    Call {
        /// Our object.
        object: String,
        /// Our method.
        method: String,
        /// The arguments, not checked against the signature.
        arguments: Table,
        /// Who calls.
        user: Option<Text>,
        /// And that one's group.
        group: Option<Text>,
        /// For the answer.
        request: Request,
    },
    /// An event; nothing needs to be answered.
    Event {
        /// Its name.
        name: Text,
        /// What it tells.
        data: Table,
    },
    /// A notification of a target; nothing needs to be answered.
    Notification {
        /// Whose.
        target: String,
        /// What it is about.
        name: Text,
        /// What it tells.
        data: Table,
    },
    /// Somebody subscribed to our object, or nobody is subscribed any more.
    Subscribers {
        /// Our object.
        object: String,
        /// Whether there are any.
        active: bool,
    },
}

/// The serving connection.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    service: Service,
    up: Option<Up>,
    /// When to connect, while there is no connection.
    retry: Duration,
    pause: Duration,
    connection: u32,
    told_down: bool,
}

/// What a request of ours was for; numbers are places in [`Service`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Offer(usize),
    Hearer,
    Hear(Option<usize>),
    Subscriber(usize),
    Find(usize),
    Subscribe(usize),
    Tell,
}

#[derive(Debug)]
struct Up {
    link: Link,
    steps: HashMap<Call, Step>,
    offered: Vec<Offered>,
    hearer: Option<u32>,
    /// ubusd did not let us have one.
    hearer_refused: bool,
    targets: Vec<Target>,
    open: usize,
    /// Until when everything must be registered; nothing once it is.
    patience: Option<Duration>,
    /// When refused objects are offered again, and receivers asked for.
    again: Option<Duration>,
}

#[derive(Debug, Clone, Default)]
struct Offered {
    id: Option<u32>,
    subscribed: bool,
    refused: bool,
}

#[derive(Debug, Clone, Default)]
struct Target {
    /// Our object that gets the notifications.
    subscriber: Option<u32>,
    /// The object of the target, once found.
    found: Option<u32>,
    /// The one that a subscription was asked for: a second one would double every notification.
    asked: Option<u32>,
    refused: bool,
}

impl Server {
    /// Not connected yet: the first [`Server::on_tick`] does it.
    ///
    /// # Errors
    /// [`ServeError::TooMany`].
    pub fn new(path: &Path, service: Service) -> Result<Server, ServeError> {
        if [service.objects.len(), service.events.len(), service.targets.len()].iter().any(|n| *n > MAX_EACH)
        {
            return Err(ServeError::TooMany);
        }
        Ok(Server {
            path: path.to_path_buf(),
            service,
            up: None,
            retry: Duration::ZERO,
            pause: FIRST_PAUSE,
            connection: 0,
            told_down: false,
        })
    }

    /// What to poll, and for what; nothing while there is no connection.
    pub fn fd(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.up.as_ref().map(|up| (up.link.fd(), up.link.wanted()))
    }

    /// When [`Server::on_tick`] must be called at the latest, by the clock that it is called with.
    pub fn deadline(&self) -> Option<Duration> {
        match &self.up {
            None => Some(self.retry),
            Some(up) if up.link.peer.is_stuck() => Some(Duration::ZERO),
            Some(up) => up.patience.into_iter().chain(up.again).min(),
        }
    }

    /// Whether everything is registered, or refused.
    pub fn is_ready(&self) -> bool {
        self.up.as_ref().is_some_and(|up| up.patience.is_none())
    }

    /// Does what is due: connects, offers again, loses patience.
    pub fn on_tick(&mut self, now: Duration) -> Vec<Incoming> {
        let mut incoming = Vec::new();
        match &mut self.up {
            None if now >= self.retry => self.connect(now, &mut incoming),
            None => {}
            Some(up) if up.link.peer.is_stuck() => self.lose(stuck(), now, &mut incoming),
            Some(up) if up.patience.is_some_and(|end| now >= end) => {
                self.lose(LinkError::Io("no answer to the registration".to_owned()), now, &mut incoming);
            }
            Some(up) if up.again.is_some_and(|at| now >= at) => {
                up.again = None;
                let offers = (0..up.offered.len()).filter(|at| up.offered[*at].refused).map(Step::Offer);
                let hearer = (up.hearer_refused && up.hearer.is_none()).then_some(Step::Hearer);
                let missing = |at: &usize| up.targets[*at].refused && up.targets[*at].subscriber.is_none();
                let subscribers = (0..up.targets.len()).filter(missing).map(Step::Subscriber);
                let steps: Vec<Step> = offers.chain(hearer).chain(subscribers).collect();
                steps.into_iter().for_each(|step| self.ask(step));
                self.flush(now, &mut incoming);
            }
            Some(_) => {}
        }
        incoming
    }

    /// Serves the descriptor that poll found ready.
    pub fn on_ready(&mut self, now: Duration) -> Vec<Incoming> {
        let mut incoming = Vec::new();
        let mut events = Vec::new();
        let Some(up) = &mut self.up else { return incoming };
        let state = up.link.exchange(&mut events);
        for event in events {
            self.event(event, now, &mut incoming);
        }
        match state {
            Ok(()) => self.flush(now, &mut incoming),
            Err(why) => self.lose(why, now, &mut incoming),
        }
        incoming
    }

    /// A result for a call; [`Server::complete`] must follow.
    ///
    /// # Errors
    /// [`ServeError::Gone`], or [`ServeError::Send`] for a result larger than a message can be.
    pub fn reply(&mut self, request: &Request, result: &Table) -> Result<(), ServeError> {
        let up = self.of(request)?;
        up.link.peer.respond(&request.caller, result).map_err(ServeError::Send)
    }

    /// The end of a call.
    ///
    /// # Errors
    /// [`ServeError::Gone`], or [`ServeError::Send`] when ubusd takes nothing any more: then the connection is
    /// given up, so that nobody waits for ever, and everything is offered again over a new one.
    pub fn complete(&mut self, request: Request, status: Status) -> Result<(), ServeError> {
        let up = self.of(&request)?;
        up.open = up.open.saturating_sub(1);
        if up.link.peer.unsent().len() > MAX_UNSENT / 2 {
            // Room for a status, if ubusd takes anything at all.
            let _ = up.link.send();
        }
        let sent = up.link.peer.complete(request.caller, status);
        // What cannot be sent now is sent when poll says so; what is broken is found then.
        let _ = up.link.send();
        sent.map_err(ServeError::Send)
    }

    /// Answers a call with its one result, or with why there is none. A result that is too large ends the call with
    /// "Out of memory", so that the caller knows.
    ///
    /// # Errors
    /// As of [`Server::reply`] and [`Server::complete`].
    pub fn answer(&mut self, request: Request, answer: Result<Table, Status>) -> Result<(), ServeError> {
        let (told, status) = match answer {
            Err(status) => (Ok(()), status),
            Ok(result) => match self.reply(&request, &result) {
                Ok(()) => (Ok(()), Status::Ok),
                Err(error @ ServeError::Send(SendError::Message(BlobError::TooLarge))) => {
                    (Err(error), Status::NoMemory)
                }
                Err(error) => (Err(error), Status::UnknownError),
            },
        };
        self.complete(request, status)?;
        told
    }

    /// Notifies the subscribers of our object, if it has any.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn notify(&mut self, object: &str, name: &str, data: &Table) -> Result<(), ServeError> {
        let missing = || ServeError::NoObject(object.to_owned());
        let at = self.service.objects.iter().position(|(path, _)| path == object).ok_or_else(missing)?;
        let up = self.up.as_mut().ok_or(ServeError::Gone)?;
        let id = up.offered[at].id.ok_or_else(missing)?;
        if up.offered[at].subscribed {
            up.link.peer.notify(id, name, data).map_err(ServeError::Send)?;
            let _ = up.link.send();
        }
        Ok(())
    }

    /// Tells everybody who listens of an event.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn send_event(&mut self, name: &str, data: &Table) -> Result<(), ServeError> {
        let up = self.up.as_mut().ok_or(ServeError::Gone)?;
        let call = up.link.peer.send_event(name, data).map_err(ServeError::Send)?;
        up.steps.insert(call, Step::Tell);
        let _ = up.link.send();
        Ok(())
    }

    fn of(&mut self, request: &Request) -> Result<&mut Up, ServeError> {
        let current = request.connection == self.connection;
        self.up.as_mut().filter(|_| current).ok_or(ServeError::Gone)
    }

    fn connect(&mut self, now: Duration, incoming: &mut Vec<Incoming>) {
        let link = match Link::connect(&self.path) {
            Ok(link) => link,
            Err(why) => return self.lose(why, now, incoming),
        };
        self.connection = self.connection.wrapping_add(1);
        self.up = Some(Up {
            link,
            steps: HashMap::new(),
            offered: vec![Offered::default(); self.service.objects.len()],
            hearer: None,
            hearer_refused: false,
            targets: vec![Target::default(); self.service.targets.len()],
            open: 0,
            patience: Some(now + PATIENCE),
            again: None,
        });
    }

    fn lose(&mut self, why: LinkError, now: Duration, incoming: &mut Vec<Incoming>) {
        self.up = None;
        self.retry = now + self.pause;
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        if !self.told_down {
            self.told_down = true;
            incoming.push(Incoming::Down(why));
        }
    }

    fn flush(&mut self, now: Duration, incoming: &mut Vec<Incoming>) {
        let Some(up) = &mut self.up else { return };
        if let Err(why) = up.link.send() {
            return self.lose(why, now, incoming);
        }
        if up.link.peer.is_stuck() {
            return self.lose(stuck(), now, incoming);
        }
        let welcome = up.link.peer.client().is_some();
        if welcome && up.patience.is_some() && up.steps.values().all(|step| *step == Step::Tell) {
            up.patience = None;
            self.pause = FIRST_PAUSE;
            self.told_down = false;
            incoming.push(Incoming::Ready);
        }
    }

    /// Sends the request of a step. More than fit cannot come together, and what cannot be sent is found by poll.
    fn ask(&mut self, step: Step) {
        let Some(up) = &mut self.up else { return };
        let peer = &mut up.link.peer;
        let service = &self.service;
        let asked = match step {
            Step::Offer(at) => {
                let (path, methods) = &service.objects[at];
                peer.add_object(path, methods)
            }
            Step::Hearer | Step::Subscriber(_) => peer.add_receiver(),
            Step::Hear(at) => {
                let Some(hearer) = up.hearer else { return };
                peer.listen(hearer, at.map_or(OBJECT_ADDED, |at| &service.events[at]))
            }
            Step::Find(at) => peer.lookup(Some(&service.targets[at])),
            Step::Subscribe(at) => {
                let target = &mut up.targets[at];
                let (Some(subscriber), Some(found)) = (target.subscriber, target.found) else { return };
                if target.asked.replace(found) == Some(found) {
                    return;
                }
                peer.subscribe(subscriber, found)
            }
            Step::Tell => return,
        };
        if let Ok(call) = asked {
            up.steps.insert(call, step);
        }
    }

    fn event(&mut self, event: Event, now: Duration, incoming: &mut Vec<Incoming>) {
        let Some(up) = &mut self.up else { return };
        match event {
            Event::Welcome(_) => {
                let hears = !self.service.events.is_empty() || !self.service.targets.is_empty();
                (0..self.service.objects.len()).for_each(|at| self.ask(Step::Offer(at)));
                if hears {
                    self.ask(Step::Hearer);
                }
                (0..self.service.targets.len()).for_each(|at| self.ask(Step::Subscriber(at)));
            }
            Event::Added(call, id) => match up.steps.get(&call) {
                Some(Step::Offer(at)) => up.offered[*at] = Offered { id: Some(id), ..Offered::default() },
                Some(Step::Hearer) => up.hearer = Some(id),
                Some(Step::Subscriber(at)) => up.targets[*at].subscriber = Some(id),
                _ => {}
            },
            Event::Found(call, found) => {
                if let Some(Step::Find(at)) = up.steps.get(&call)
                    && found.path == *self.service.targets[*at]
                {
                    up.targets[*at].found = Some(found.id);
                }
            }
            Event::Ended(call, outcome) => {
                if let Some(step) = up.steps.remove(&call) {
                    self.ended(step, &outcome, now, incoming);
                }
            }
            Event::Invoked(invocation) => self.invoked(invocation, incoming),
            Event::Subscribers { object, active } => {
                if let Some(at) = up.offered.iter().position(|offered| offered.id == Some(object)) {
                    up.offered[at].subscribed = active;
                    let object = self.service.objects[at].0.clone();
                    incoming.push(Incoming::Subscribers { object, active });
                }
            }
            Event::TargetGone { object, target } => {
                let lost = |at: &Target| at.subscriber == Some(object) && at.found == Some(target);
                up.targets
                    .iter_mut()
                    .filter(|at| lost(at))
                    .for_each(|at| (at.found, at.asked) = (None, None));
            }
            // A broken stream is told by the link.
            Event::Data(..) | Event::Removed(..) | Event::Unreadable(_) => {}
        }
    }

    fn ended(
        &mut self,
        step: Step,
        outcome: &Result<(), Failure>,
        now: Duration,
        incoming: &mut Vec<Incoming>,
    ) {
        let Some(up) = &mut self.up else { return };
        let status = match outcome {
            Ok(()) => None,
            Err(Failure::Status(status)) => Some(*status),
            Err(_) => Some(Status::UnknownError),
        };
        match (step, status) {
            (Step::Hearer, None) => {
                (0..self.service.events.len()).for_each(|at| self.ask(Step::Hear(Some(at))));
                if !self.service.targets.is_empty() {
                    self.ask(Step::Hear(None));
                }
            }
            // Looked up after new objects are heard of, so that none is missed in between.
            (Step::Hear(None), refused) => {
                let name = OBJECT_ADDED.to_owned();
                incoming.extend(refused.map(|status| Incoming::Refused { name, status }));
                (0..self.service.targets.len()).for_each(|at| self.ask(Step::Find(at)));
            }
            (Step::Find(at) | Step::Subscriber(at), None) => self.ask(Step::Subscribe(at)),
            (Step::Offer(at), Some(status)) => {
                up.again = Some(now + OFFER_AGAIN);
                if !std::mem::replace(&mut up.offered[at].refused, true) {
                    let name = self.service.objects[at].0.clone();
                    incoming.push(Incoming::Refused { name, status });
                }
            }
            (Step::Hear(Some(at)), Some(status)) => {
                incoming.push(Incoming::Refused { name: self.service.events[at].clone(), status });
            }
            (Step::Hearer, Some(status)) => {
                up.again = Some(now + OFFER_AGAIN);
                if !std::mem::replace(&mut up.hearer_refused, true) {
                    let names = self.service.events.iter().chain(&self.service.targets).cloned();
                    incoming.extend(names.map(|name| Incoming::Refused { name, status }));
                }
            }
            (Step::Subscriber(at), Some(status)) => {
                up.again = Some(now + OFFER_AGAIN);
                if !std::mem::replace(&mut up.targets[at].refused, true) && !up.hearer_refused {
                    incoming.push(Incoming::Refused { name: self.service.targets[at].clone(), status });
                }
            }
            (Step::Subscribe(at), Some(status)) => {
                (up.targets[at].found, up.targets[at].asked) = (None, None);
                if !std::mem::replace(&mut up.targets[at].refused, true) {
                    incoming.push(Incoming::Refused { name: self.service.targets[at].clone(), status });
                }
            }
            // A target that is not there yet is heard of when it comes.
            _ => {}
        }
    }

    fn invoked(&mut self, invocation: Invocation, incoming: &mut Vec<Incoming>) {
        let Some(up) = &mut self.up else { return };
        let Invocation { object, method, arguments, user, group, caller } = invocation;
        let peer = &mut up.link.peer;
        // Only a connection that takes nothing any more refuses a status: it is given up then.
        if up.hearer == Some(object) {
            let _ = peer.complete(caller, Status::Ok);
            return self.heard(method, arguments, incoming);
        }
        if let Some(at) = up.targets.iter().position(|target| target.subscriber == Some(object)) {
            let _ = peer.complete(caller, Status::Ok);
            let target = self.service.targets[at].clone();
            return incoming.push(Incoming::Notification { target, name: method, data: arguments });
        }
        let Some(at) = up.offered.iter().position(|offered| offered.id == Some(object)) else {
            return drop(peer.complete(caller, Status::NotFound));
        };
        let (path, methods) = &self.service.objects[at];
        let Some(method) = methods.iter().find(|known| method == *known.name) else {
            return drop(peer.complete(caller, Status::MethodNotFound));
        };
        if up.open >= MAX_OPEN {
            return drop(peer.complete(caller, Status::NoMemory));
        }
        up.open += 1;
        incoming.push(Incoming::Call {
            object: path.clone(),
            method: method.name.clone(),
            arguments,
            user,
            group,
            request: Request { caller, connection: self.connection },
        });
    }

    fn heard(&mut self, name: Text, data: Table, incoming: &mut Vec<Incoming>) {
        if name == OBJECT_ADDED {
            let path = data.text("path");
            let came = |target: &String| Some(target.as_str()) == path.as_deref();
            let came: Vec<_> =
                (0..self.service.targets.len()).filter(|at| came(&self.service.targets[*at])).collect();
            came.into_iter().for_each(|at| self.ask(Step::Find(at)));
        }
        let text = name.to_str();
        let wanted = self.service.events.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => text.starts_with(prefix),
            None => text == *pattern,
        });
        if wanted {
            incoming.push(Incoming::Event { name, data });
        }
    }
}

fn stuck() -> LinkError {
    LinkError::Io("ubusd does not take our answers".to_owned())
}
