//! A client's side of the conversation with ubusd, without a socket: octets in, octets and [`Event`]s out.
//!
//! ```text
//!           ubusd                       peer
//!             │ HELLO ──────────────────► Welcome
//!  request()  ◄── LOOKUP, INVOKE, … ────│            sequence n, remembered
//!             │ DATA n ─────────────────► Found, Added, Data …  any number of times
//!             │ STATUS n ───────────────► Ended                 once, always
//!             │ INVOKE (m, caller) ─────► Invoked
//!   respond() ◄── DATA (m, caller) ─────│            any number of times
//!  complete() ◄── STATUS (m, caller) ───│            once, always
//!             │ NOTIFY ─────────────────► Subscribers
//!             │ UNSUBSCRIBE ────────────► TargetGone
//! ```
//! Every request ends with exactly one [`Event::Ended`], be it that the connection was lost
//! ([`Failure::Undelivered`]), unless it was forgotten.

use std::fmt;

use super::blob::{BlobError, MAX_BODY, MAX_IDLE};
use super::blobmsg::{Table, Text};
use super::msg::{Attribute, EVENT_OBJECT, Kind, Message, ReadError, Reader, Status};
use super::object::{Method, signature};
use crate::map::Map;

/// The most requests without an answer.
pub const MAX_CALLS: usize = 64;
/// The most octets that wait to be sent.
pub const MAX_UNSENT: usize = 4 << 20;
/// The most octets of the answers to one request, all together.
pub const MAX_ANSWER: usize = 4 << 20;
/// ubusd adds the caller's user and group to a request: what it delivers must not be too large either.
const ROOM_FOR_USER: usize = 1024;

/// A request of ours that waits for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call(u16);

/// Why nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The message cannot be written.
    Message(BlobError),
    /// [`MAX_CALLS`] requests wait already.
    Busy,
    /// [`MAX_UNSENT`] octets wait already.
    Congested,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Message(why) => write!(f, "{why}"),
            SendError::Busy => write!(f, "ubus has {MAX_CALLS} requests without an answer"),
            SendError::Congested => write!(f, "ubus does not take the {MAX_UNSENT} octets that wait for it"),
        }
    }
}

impl std::error::Error for SendError {}

impl From<BlobError> for SendError {
    fn from(why: BlobError) -> SendError {
        SendError::Message(why)
    }
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The other side says so.
    Status(Status),
    /// The answer cannot be read.
    Unreadable(ReadError),
    /// The answers are more than [`MAX_ANSWER`] octets together; the rest of them is dropped.
    TooMuch,
    /// The connection was lost before the answer: the request may or may not have been done.
    Undelivered,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Status(status) => write!(f, "{status}"),
            Failure::Unreadable(why) => write!(f, "{why}"),
            Failure::TooMuch => write!(f, "the answer is larger than {MAX_ANSWER} octets"),
            Failure::Undelivered => write!(f, "the connection to ubus was lost before the answer"),
        }
    }
}

impl std::error::Error for Failure {}

/// An object that LOOKUP found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub path: Text,
    /// Its number, to be called by.
    pub id: u32,
    /// The number of its signature.
    pub signature_id: u32,
    /// Its methods as octets, for `object::methods`.
    pub signature: Vec<u8>,
}

/// Whom an answer is for. To be given to [`Peer::complete`] once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the caller waits for a status"]
pub struct Caller {
    sequence: u16,
    peer: u32,
    object: u32,
    no_reply: bool,
}

/// Somebody calls, notifies or tells an event.
#[derive(Debug, PartialEq)]
pub struct Invocation {
    /// Our object.
    pub object: u32,
    /// The method, or the name of the event or notification.
    pub method: Text,
    /// The arguments.
    pub arguments: Table,
    /// Who calls, as ubusd knows it.
    pub user: Option<Text>,
    /// And that one's group.
    pub group: Option<Text>,
    /// Whom the answer is for.
    pub caller: Caller,
}

/// What came from ubusd.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// The connection stands; this is our number.
    Welcome(u32),
    /// An object for a LOOKUP.
    Found(Call, Found),
    /// Our object got this number.
    Added(Call, u32),
    /// Our object of this number is gone.
    Removed(Call, u32),
    /// A result.
    Data(Call, Table),
    /// A request is done.
    Ended(Call, Result<(), Failure>),
    /// Somebody wants something of us.
    Invoked(Invocation),
    /// Our object has its first subscriber, or lost its last.
    Subscribers {
        /// Our object.
        object: u32,
        /// Whether there are any now.
        active: bool,
    },
    /// What our object subscribed to is gone.
    TargetGone {
        /// Our object.
        object: u32,
        /// What it subscribed to.
        target: u32,
    },
    /// A message was passed over, or the stream is broken (`is_fatal`): then the connection must be closed.
    Unreadable(ReadError),
}

/// The state of a connection.
#[derive(Debug, Default)]
pub struct Peer {
    reader: Reader,
    client: Option<u32>,
    last: u16,
    waiting: Map<u16, Waiting>,
    unsent: Vec<u8>,
    /// See [`Peer::is_stuck`].
    stuck: bool,
}

#[derive(Debug)]
struct Waiting {
    kind: Kind,
    peer: u32,
    /// The subscribers whose answers to a notification are missing, once they are known.
    subscribers: Option<Vec<u32>>,
    /// Octets of answers that have come.
    octets: usize,
}

impl Peer {
    /// Just connected.
    pub fn new() -> Peer {
        Peer::default()
    }

    /// Our number, once ubusd told it.
    pub fn client(&self) -> Option<u32> {
        self.client
    }

    /// What is to be sent.
    pub fn unsent(&self) -> &[u8] {
        &self.unsent
    }

    /// So many octets of [`Peer::unsent`] were sent.
    pub fn sent(&mut self, count: usize) {
        self.unsent.drain(..count.min(self.unsent.len()));
        if self.unsent.is_empty() && self.unsent.capacity() > MAX_IDLE {
            self.unsent = Vec::new();
        }
    }

    /// Asks for an object, for those of a pattern with `*` at its end, or for all: [`Event::Found`] for each.
    ///
    /// # Errors
    /// [`SendError`], as of every request.
    pub fn lookup(&mut self, path: Option<&str>) -> Result<Call, SendError> {
        let path = path.map(|path| Attribute::ObjectPath(path.into()));
        self.request(Kind::Lookup, 0, path.into_iter().collect())
    }

    /// Calls a method: [`Event::Data`] for each result.
    ///
    /// # Errors
    /// [`SendError`]; the arguments must leave 1 KiB of the largest message free.
    pub fn invoke(&mut self, object: u32, method: &str, arguments: &Table) -> Result<Call, SendError> {
        let data = arguments.encode()?;
        if data.len() > MAX_BODY - ROOM_FOR_USER {
            return Err(SendError::Message(BlobError::TooLarge));
        }
        let attributes =
            vec![Attribute::ObjectId(object), Attribute::Method(method.into()), Attribute::Data(data)];
        self.request(Kind::Invoke, object, attributes)
    }

    /// Offers an object: [`Event::Added`]. Whoever publishes it is told by [`Event::Invoked`] of calls.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn add_object(&mut self, path: &str, methods: &[Method]) -> Result<Call, SendError> {
        let attributes = vec![Attribute::ObjectPath(path.into()), Attribute::Signature(signature(methods)?)];
        self.request(Kind::AddObject, 0, attributes)
    }

    /// Makes an object without a name, to receive events and notifications: [`Event::Added`].
    ///
    /// # Errors
    /// [`SendError`].
    pub fn add_receiver(&mut self) -> Result<Call, SendError> {
        self.request(Kind::AddObject, 0, Vec::new())
    }

    /// Takes an object of ours away: [`Event::Removed`].
    ///
    /// # Errors
    /// [`SendError`].
    pub fn remove_object(&mut self, object: u32) -> Result<Call, SendError> {
        self.request(Kind::RemoveObject, 0, vec![Attribute::ObjectId(object)])
    }

    /// Has the notifications of another's object sent to ours.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn subscribe(&mut self, object: u32, target: u32) -> Result<Call, SendError> {
        self.request(Kind::Subscribe, 0, vec![Attribute::ObjectId(object), Attribute::Target(target)])
    }

    /// Ends what [`Peer::subscribe`] began.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn unsubscribe(&mut self, object: u32, target: u32) -> Result<Call, SendError> {
        self.request(Kind::Unsubscribe, 0, vec![Attribute::ObjectId(object), Attribute::Target(target)])
    }

    /// Has events sent to our object: those of a name, or of a pattern with `*` at its end.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn listen(&mut self, object: u32, pattern: &str) -> Result<Call, SendError> {
        // The number of an object is unsigned, its type on the wire is not.
        let number = i32::from_be_bytes(object.to_be_bytes());
        let arguments = Table::new().with("object", number).with("pattern", pattern);
        self.invoke(EVENT_OBJECT, "register", &arguments)
    }

    /// Tells everybody who listens of an event.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send_event(&mut self, name: &str, data: &Table) -> Result<Call, SendError> {
        let arguments = Table::new().with("id", name).with("data", data.clone());
        self.invoke(EVENT_OBJECT, "send", &arguments)
    }

    /// Notifies the subscribers of our object, who need not answer.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn notify(&mut self, object: u32, name: &str, data: &Table) -> Result<(), SendError> {
        let mut attributes = notification(object, name, data)?;
        attributes.push(Attribute::NoReply(true));
        let sequence = self.sequence();
        self.send(&Message::new(Kind::Notify, sequence, object, attributes))
    }

    /// Notifies the subscribers of our object; ends when all of them have answered.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn notify_and_wait(&mut self, object: u32, name: &str, data: &Table) -> Result<Call, SendError> {
        let attributes = notification(object, name, data)?;
        self.request(Kind::Notify, object, attributes)
    }

    /// Asks whether ubusd lives.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn ping(&mut self) -> Result<Call, SendError> {
        self.request(Kind::Ping, 0, Vec::new())
    }

    /// A result for a caller; [`Peer::complete`] must follow.
    ///
    /// # Errors
    /// [`SendError`]: the result was not sent, but the caller still waits for its status.
    pub fn respond(&mut self, caller: &Caller, result: &Table) -> Result<(), SendError> {
        if caller.no_reply {
            return Ok(());
        }
        let attributes = vec![Attribute::ObjectId(caller.object), Attribute::Data(result.encode()?)];
        self.send(&Message::new(Kind::Data, caller.sequence, caller.peer, attributes))
    }

    /// The end of a call.
    ///
    /// # Errors
    /// [`SendError::Congested`]: close the connection, so that the caller is not left waiting.
    #[allow(clippy::needless_pass_by_value, reason = "a call is completed once")]
    pub fn complete(&mut self, caller: Caller, status: Status) -> Result<(), SendError> {
        if caller.no_reply {
            return Ok(());
        }
        let attributes = vec![Attribute::Status(status.number()), Attribute::ObjectId(caller.object)];
        let sent = self.send(&Message::new(Kind::Status, caller.sequence, caller.peer, attributes));
        self.stuck |= sent.is_err();
        sent
    }

    /// Whether a caller waits for a status that could not be sent: only the end of the connection tells him.
    pub fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Nobody waits for this request any more: whatever still comes for it is dropped.
    pub fn forget(&mut self, call: Call) {
        self.waiting.remove(&call.0);
    }

    /// Takes octets from ubusd and gives what they mean, in order.
    pub fn receive(&mut self, octets: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        self.reader.feed(octets);
        while let Some(read) = self.reader.message() {
            match read {
                Ok(message) => self.message(&message, &mut events),
                Err(error) => {
                    let fatal = error.is_fatal();
                    self.unreadable(error, &mut events);
                    if fatal {
                        break;
                    }
                }
            }
        }
        events
    }

    /// The connection is lost: every request ends as [`Failure::Undelivered`].
    pub fn lost(&mut self) -> Vec<Event> {
        let waiting = std::mem::take(self).waiting;
        waiting.into_keys().map(|at| Event::Ended(Call(at), Err(Failure::Undelivered))).collect()
    }

    fn request(&mut self, kind: Kind, peer: u32, attributes: Vec<Attribute>) -> Result<Call, SendError> {
        if self.waiting.len() >= MAX_CALLS {
            return Err(SendError::Busy);
        }
        let sequence = self.sequence();
        self.send(&Message::new(kind, sequence, peer, attributes))?;
        self.waiting.insert(sequence, Waiting { kind, peer, subscribers: None, octets: 0 });
        Ok(Call(sequence))
    }

    /// The next number that is not 0 and waits for nothing.
    fn sequence(&mut self) -> u16 {
        loop {
            self.last = self.last.wrapping_add(1);
            // Ends: fewer than 65535 wait.
            if self.last != 0 && !self.waiting.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    fn send(&mut self, message: &Message) -> Result<(), SendError> {
        let octets = message.encode()?;
        if self.unsent.len() + octets.len() > MAX_UNSENT {
            return Err(SendError::Congested);
        }
        self.unsent.extend(octets);
        Ok(())
    }

    fn message(&mut self, message: &Message, events: &mut Vec<Event>) {
        match message.kind {
            Kind::Hello => {
                self.client = Some(message.peer);
                events.push(Event::Welcome(message.peer));
            }
            Kind::Data => self.data(message, events),
            Kind::Status => self.status(message, events),
            Kind::Invoke => self.invoked(message, events),
            Kind::Notify => {
                if let (Some(object), Some(active)) = (message.object_id(), message.active()) {
                    events.push(Event::Subscribers { object, active });
                }
            }
            Kind::Unsubscribe => {
                if let (Some(object), Some(target)) = (message.object_id(), message.target()) {
                    events.push(Event::TargetGone { object, target });
                }
            }
            _ => {
                events.push(Event::Unreadable(broken(message, None)));
            }
        }
    }

    /// The request that a message answers; numbers alone could be those of a request forgotten long ago.
    fn answered(&self, message: &Message) -> Option<(Call, &Waiting)> {
        let waiting = self.waiting.get(&message.sequence)?;
        let by_subscriber = || waiting.subscribers.as_ref().is_some_and(|ids| ids.contains(&message.peer));
        (waiting.peer == message.peer || by_subscriber()).then_some((Call(message.sequence), waiting))
    }

    fn data(&mut self, message: &Message, events: &mut Vec<Event>) {
        let Some((call, waiting)) = self.answered(message) else { return };
        let kind = waiting.kind;
        let came = message.data().or(message.signature()).map_or(0, <[u8]>::len);
        if let Some(waiting) = self.waiting.get_mut(&message.sequence) {
            waiting.octets = waiting.octets.saturating_add(came);
            if waiting.octets > MAX_ANSWER {
                return self.end(call, Err(Failure::TooMuch), events);
            }
        }
        match (kind, message.object_id()) {
            (Kind::Lookup, Some(id)) => events.push(Event::Found(
                call,
                Found {
                    path: message.object_path().cloned().unwrap_or_default(),
                    id,
                    signature_id: message.object_type().unwrap_or_default(),
                    signature: message.signature().unwrap_or_default().to_vec(),
                },
            )),
            (Kind::AddObject, Some(id)) => events.push(Event::Added(call, id)),
            (Kind::RemoveObject, Some(id)) => events.push(Event::Removed(call, id)),
            (Kind::Invoke, _) => match Table::decode(message.data().unwrap_or_default()) {
                Ok(table) => events.push(Event::Data(call, table)),
                Err(why) => {
                    let why = broken(message, Some(why));
                    self.end(call, Err(Failure::Unreadable(why)), events);
                }
            },
            // The answer to PING has nothing in it.
            _ => {}
        }
    }

    fn status(&mut self, message: &Message, events: &mut Vec<Event>) {
        let Some((call, waiting)) = self.answered(message) else { return };
        let status = message.status().unwrap_or(Status::UnknownError);
        if waiting.kind == Kind::Notify && !self.is_last_of_notification(message) {
            return;
        }
        let outcome = if status == Status::Ok { Ok(()) } else { Err(Failure::Status(status)) };
        self.end(call, outcome, events);
    }

    /// A notification is answered by ubusd, which names the subscribers, and then by each of them; what they say
    /// is their own matter.
    fn is_last_of_notification(&mut self, message: &Message) -> bool {
        let Some(waiting) = self.waiting.get_mut(&message.sequence) else { return false };
        match (&mut waiting.subscribers, message.subscribers()) {
            (None, Some(ids)) => waiting.subscribers = Some(ids.to_vec()),
            (None, None) => return true,
            (Some(ids), _) => ids.retain(|id| *id != message.peer),
        }
        waiting.subscribers.as_ref().is_none_or(Vec::is_empty)
    }

    fn end(&mut self, call: Call, outcome: Result<(), Failure>, events: &mut Vec<Event>) {
        self.waiting.remove(&call.0);
        events.push(Event::Ended(call, outcome));
    }

    fn invoked(&mut self, message: &Message, events: &mut Vec<Event>) {
        // Without an object ubusd would not pass an answer on.
        let Some(object) = message.object_id() else { return };
        let no_reply = message.no_reply().unwrap_or(false);
        let caller = Caller { sequence: message.sequence, peer: message.peer, object, no_reply };
        let arguments = Table::decode(message.data().unwrap_or_default());
        let (Some(method), Ok(arguments)) = (message.method(), arguments) else {
            // If not even a status can be sent, `is_stuck` tells.
            let _ = self.complete(caller, Status::InvalidArgument);
            return;
        };
        events.push(Event::Invoked(Invocation {
            object,
            method: method.clone(),
            arguments,
            user: message.user().cloned(),
            group: message.group().cloned(),
            caller,
        }));
    }

    fn unreadable(&mut self, error: ReadError, events: &mut Vec<Event>) {
        if let ReadError::Message { kind, sequence, peer, .. } = &error
            && (*kind == Kind::Data as u8 || *kind == Kind::Status as u8)
            && self.waiting.get(sequence).is_some_and(|waiting| waiting.peer == *peer)
        {
            return self.end(Call(*sequence), Err(Failure::Unreadable(error)), events);
        }
        events.push(Event::Unreadable(error));
    }
}

fn broken(message: &Message, why: Option<BlobError>) -> ReadError {
    let Message { kind, sequence, peer, .. } = message;
    ReadError::Message { kind: *kind as u8, sequence: *sequence, peer: *peer, why }
}

fn notification(object: u32, name: &str, data: &Table) -> Result<Vec<Attribute>, SendError> {
    let data = data.encode()?;
    if data.len() > MAX_BODY - ROOM_FOR_USER {
        return Err(SendError::Message(BlobError::TooLarge));
    }
    Ok(vec![Attribute::ObjectId(object), Attribute::Method(name.into()), Attribute::Data(data)])
}

#[cfg(test)]
mod tests;
