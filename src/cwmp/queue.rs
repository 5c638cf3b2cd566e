//! What the ACS has still to be told: events and the messages that go with some of them (TR-069 3.7.1.5, table 8).
//!
//! ```text
//!  add, add_message ─► waiting ─open_session─► in flight ─delivered─► gone
//!                         ▲                        │
//!                         └──────close_session─────┘  (5, 6 and 9, which get one attempt: gone)
//! ```
//!
//! - An event leaves the queue only when its delivery is confirmed, or when table 8 says that it is
//!   discarded; a crash in between sends it again, because nothing of a session is stored but that
//!   5, 6 and 9 have had their attempt.
//! - What is added during a session waits for the next one, even if its like is in flight.
//! - A message (`TransferComplete`) owns its events: `M Download` and `7 TRANSFER COMPLETE` are listed as
//!   long as the message is unanswered, so they can never be confirmed or lost without each other.
//! - [`Queue::is_due`] is true for what is *new*. What was tried once waits for the retry ladder
//!   or rides along with the next session; otherwise an ACS that refuses a message would be called without pause.
//! - `14 HEARTBEAT` has a session of its own, before everything that is not being retried (Annex O).

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::event::{Event, EventCode};
use super::rpc::{
    AutonomousResult, AutonomousTransferComplete, DuStateChangeComplete, Kicked, Request, RequestDownload,
    TransferComplete,
};
use super::soap::envelope::Version;

/// `EventStruct[64]` (TR-069 A.3.3.1).
pub const MAX_EVENTS: usize = 64;
/// Messages that wait for their session; the transfer queue must not promise more.
pub const MAX_MESSAGES: usize = 32;

/// The name of a message in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ticket(u32);

/// A request of ours for the session, and the message in the queue that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `None` when nothing in the queue depends on the answer (GetRPCMethods).
    pub ticket: Option<Ticket>,
    /// What to send.
    pub request: Request,
}

/// What the ACS has confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// InformResponse: the events of the Inform, but for those of messages.
    Inform,
    /// The response to a message, and with it its events.
    Call(Ticket),
}

/// A message the ACS must get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// A transfer has ended.
    TransferComplete(#[serde(with = "StoredTransferComplete")] TransferComplete),
    /// A transfer that the ACS had not asked for has ended.
    AutonomousTransferComplete(Box<AutonomousTransferComplete>),
    /// The operations of a ChangeDUState have ended.
    DuStateChangeComplete(DuStateChangeComplete),
    /// Deployment units were changed by somebody else.
    AutonomousDuStateChangeComplete(Vec<AutonomousResult>),
    /// The device wishes for a download; one attempt.
    RequestDownload(RequestDownload),
    /// A user asks for something; one attempt.
    Kicked(Kicked),
}

/// What one session has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Inform's events in the order of the standard's table, those of one code by age.
    pub events: Vec<Event>,
    /// The messages, oldest first.
    pub calls: Vec<Call>,
    /// A heartbeat session: the Inform has the forced parameters only and clears no value change.
    pub heartbeat: bool,
}

/// Why something was not taken into the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// [`MAX_MESSAGES`] messages are waiting.
    Full,
    /// The code is only sent with another one: use [`Queue::add_message`], or add the `M` event.
    NotAlone(EventCode),
    /// EventCode or CommandKey is longer than 64 or 32 characters.
    TooLong,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Full => f.write_str("too many messages for the ACS are waiting"),
            Refused::NotAlone(code) => write!(f, "event {code} cannot stand alone"),
            Refused::TooLong => f.write_str("the event code or its command key is too long"),
        }
    }
}

impl std::error::Error for Refused {}

/// The queue; kept in the state file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Queue {
    #[serde(serialize_with = "store")]
    entries: Vec<Entry>,
    #[serde(serialize_with = "store")]
    messages: Vec<Pending>,
    /// Counts tickets and ages.
    counter: u32,
    /// The last session failed and was no heartbeat's.
    retrying: bool,
    #[serde(skip)]
    heartbeat_open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten, with = "StoredEvent")]
    event: Event,
    age: u32,
    /// A passive value change waits for somebody else's session.
    opens: bool,
    #[serde(skip)]
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    ticket: Ticket,
    message: Message,
    /// `M Download` and its like; `None` for an autonomous one, or when 64 events were exceeded.
    cause: Option<Cause>,
    #[serde(skip)]
    place: Place,
}

/// The `M` event of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cause(#[serde(with = "StoredEvent")] Event);

/// Where an entry is on its way. A restart of the daemon begins at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Asks for a session.
    #[default]
    New,
    /// Was there when a session was opened; the ladder or another event opens the next.
    Known,
    /// Had to stand back for (or as) a heartbeat.
    StandsBack,
    /// In the open session.
    InFlight,
}

/// Something that has its attempts in sessions.
trait Tried {
    /// Where it is, and the code that says how often it is tried.
    fn attempt(&self) -> (Place, EventCode);
}

impl Tried for Entry {
    fn attempt(&self) -> (Place, EventCode) {
        (self.place, self.event.code.clone())
    }
}

impl Tried for Pending {
    fn attempt(&self) -> (Place, EventCode) {
        (self.place, self.message.event())
    }
}

/// Whether something has its only attempt now.
fn is_last_attempt(one: &impl Tried) -> bool {
    let (place, code) = one.attempt();
    place == Place::InFlight && rule(&code).keep == Keep::OneAttempt
}

/// Stores what another life may send: an attempt that a crash cuts short was one, too.
fn store<T: Tried + Serialize, S: Serializer>(all: &[T], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(all.iter().filter(|one| !is_last_attempt(*one)))
}

/// What table 8 says about a code.
struct Rule {
    keep: Keep,
    since: Version,
    /// Listed only through another event or message.
    dependent: bool,
}

#[derive(PartialEq, Eq)]
enum Keep {
    Always,
    UntilReboot,
    OneAttempt,
}

impl Queue {
    /// Adds an event. One of a cumulative kind is added once for each call (`M` events), of any other
    /// kind once in all. `M ScheduleInform` brings `3 SCHEDULED`. `0 BOOTSTRAP` discards everything else,
    /// so it is added before the events that shall go with it. Beyond 64 the oldest `M` events are dropped.
    ///
    /// # Errors
    /// [`Refused::NotAlone`] and [`Refused::TooLong`]; the queue is then as it was.
    pub fn add(&mut self, event: Event) -> Result<(), Refused> {
        let dependent = rule(&event.code).dependent;
        if dependent {
            return Err(Refused::NotAlone(event.code));
        }
        let scheduled = event.code == EventCode::Method("ScheduleInform".to_owned());
        self.push(event, true)?;
        if scheduled {
            self.push(Event::of(EventCode::Scheduled), true)?;
        }
        Ok(())
    }

    /// Adds `4 VALUE CHANGE` for a parameter with passive notification: it opens no session by itself.
    ///
    /// # Errors
    /// As [`Queue::add`].
    pub fn add_passive_value_change(&mut self) -> Result<(), Refused> {
        self.push(Event::of(EventCode::ValueChange), false)
    }

    /// Adds a message with the `M` event of the method that caused it (`M Download`; `None` for an
    /// autonomous message). The event that belongs to the message itself comes with it.
    ///
    /// # Errors
    /// [`Refused::Full`] beyond [`MAX_MESSAGES`], [`Refused::TooLong`]; the queue is then as it was.
    pub fn add_message(&mut self, message: Message, cause: Option<Event>) -> Result<Ticket, Refused> {
        if !self.has_room() {
            return Err(Refused::Full);
        }
        if cause.as_ref().is_some_and(too_long) {
            return Err(Refused::TooLong);
        }
        let ticket = Ticket(self.next());
        self.messages.push(Pending { ticket, message, cause: cause.map(Cause), place: Place::New });
        self.shrink();
        Ok(ticket)
    }

    /// The device has started: forgets what is only kept until then, and adds `1 BOOT`, with
    /// `0 BOOTSTRAP` if that is due, else with one `M Reboot` for each key of an RPC that asked for this reboot.
    ///
    /// # Errors
    /// As [`Queue::add`].
    pub fn booted(&mut self, bootstrap: bool, reboot_keys: &[String]) -> Result<(), Refused> {
        self.entries.retain(|entry| rule(&entry.event.code).keep == Keep::Always);
        self.messages.retain(|pending| rule(&pending.message.event()).keep == Keep::Always);
        self.retrying = false;
        if bootstrap {
            self.add(Event::of(EventCode::Bootstrap))?;
        }
        self.add(Event::of(EventCode::Boot))?;
        if !bootstrap {
            for key in reboot_keys {
                let code = EventCode::Method("Reboot".to_owned());
                self.add(Event { code, command_key: key.clone() })?;
            }
        }
        Ok(())
    }

    /// Drops an event that is no longer true: a cancelled diagnostic, a cleared record of changes.
    pub fn discard(&mut self, code: &EventCode) {
        self.entries.retain(|entry| entry.event.code != *code);
    }

    /// Whether an event of this code is still to be delivered, in flight or not.
    pub fn contains(&self, code: &EventCode) -> bool {
        self.entries.iter().any(|entry| entry.event.code == *code)
            || self.messages.iter().any(|pending| pending.message.event() == *code)
    }

    /// Whether something new asks for a session. Retries after a failure are `retry::Ladder`'s.
    pub fn is_due(&self) -> bool {
        let new = |entry: &&Entry| entry.place == Place::New && entry.opens;
        let held_back = |entry: &Entry| self.retrying && entry.event.code == EventCode::Heartbeat;
        self.entries.iter().filter(new).any(|entry| !held_back(entry))
            || self.messages.iter().any(|pending| pending.place == Place::New)
    }

    /// How many messages [`Queue::add_message`] would take.
    pub fn room(&self) -> usize {
        MAX_MESSAGES.saturating_sub(self.messages.len())
    }

    /// Whether [`Queue::add_message`] would take one more.
    pub fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// Whether a message is still to be delivered.
    pub fn waits(&self, ticket: Ticket) -> bool {
        self.messages.iter().any(|pending| pending.ticket == ticket)
    }

    /// Nothing at all is to be told.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.messages.is_empty()
    }

    /// Starts a session at a protocol version: what it has to tell. What that version does not know stays.
    pub fn open_session(&mut self, version: Version) -> Snapshot {
        self.tidy();
        let is_heartbeat = |entry: &Entry| entry.event.code == EventCode::Heartbeat;
        let known = |code: &EventCode| rule(code).since <= version;
        // The first contact with an ACS is 0 BOOTSTRAP's, even if a heartbeat is due at the same instant.
        let heartbeat = !self.retrying
            && known(&EventCode::Heartbeat)
            && self.entries.iter().any(is_heartbeat)
            && !self.contains(&EventCode::Bootstrap);
        for entry in &mut self.entries {
            entry.place = match () {
                () if !known(&entry.event.code) => Place::Known,
                () if is_heartbeat(entry) == heartbeat => Place::InFlight,
                () => Place::StandsBack,
            };
        }
        for pending in &mut self.messages {
            pending.place = match () {
                () if !pending.codes().all(|code| known(&code)) => Place::Known,
                () if heartbeat => Place::StandsBack,
                () => Place::InFlight,
            };
        }
        self.heartbeat_open = heartbeat;
        let calls = self
            .messages
            .iter()
            .filter(|pending| pending.place == Place::InFlight)
            .map(|pending| Call { ticket: Some(pending.ticket), request: pending.message.request() });
        Snapshot { events: self.listed(Place::InFlight), calls: calls.collect(), heartbeat }
    }

    /// The ACS has confirmed something of the open session. A receipt for what is gone is ignored.
    pub fn delivered(&mut self, receipt: Receipt) {
        match receipt {
            Receipt::Inform => self.entries.retain(|entry| entry.place != Place::InFlight),
            Receipt::Call(ticket) => self.messages.retain(|pending| pending.ticket != ticket),
        }
    }

    /// The session is over. What was in it and not confirmed stays for the next, but for events that get one attempt.
    pub fn close_session(&mut self, successful: bool) {
        self.entries.retain(|entry| !is_last_attempt(entry));
        self.messages.retain(|pending| !is_last_attempt(pending));
        let places = self.entries.iter_mut().map(|entry| &mut entry.place);
        for place in places.chain(self.messages.iter_mut().map(|pending| &mut pending.place)) {
            *place = match *place {
                // What had to stand back goes at once, unless the ladder has the word.
                Place::StandsBack if successful => Place::New,
                Place::StandsBack | Place::InFlight => Place::Known,
                other => other,
            };
        }
        if successful {
            self.retrying = false;
        } else if !self.heartbeat_open {
            self.retrying = true;
        }
        self.heartbeat_open = false;
        self.tidy();
    }

    fn push(&mut self, mut event: Event, opens: bool) -> Result<(), Refused> {
        if too_long(&event) {
            return Err(Refused::TooLong);
        }
        let single = !matches!(event.code, EventCode::Method(_));
        if single {
            event.command_key.clear();
        }
        if event.code == EventCode::Bootstrap {
            self.entries.clear();
            self.messages.clear();
        }
        if single {
            let waiting = |entry: &&mut Entry| entry.event == event && entry.place != Place::InFlight;
            if let Some(entry) = self.entries.iter_mut().find(waiting) {
                entry.opens |= opens;
                // The like of a waiting event is no less new; a heartbeat while one is retried is not (Annex O).
                if opens && event.code != EventCode::Heartbeat && entry.place == Place::Known {
                    entry.place = Place::New;
                }
                return Ok(());
            }
            let in_flight = |entry: &Entry| entry.event == event && entry.place == Place::InFlight;
            if event.code == EventCode::Heartbeat && self.entries.iter().any(in_flight) {
                return Ok(());
            }
        }
        let age = self.next();
        self.entries.push(Entry { event, age, opens, place: Place::New });
        self.shrink();
        Ok(())
    }

    /// Makes one of two single events of a code: one came back undelivered, the other was added meanwhile.
    fn tidy(&mut self) {
        let mut kept: Vec<Entry> = Vec::with_capacity(self.entries.len());
        for entry in self.entries.drain(..) {
            let single = !matches!(entry.event.code, EventCode::Method(_));
            match kept.iter_mut().find(|other| single && other.event == entry.event) {
                Some(other) => {
                    other.opens |= entry.opens;
                    if entry.place == Place::New {
                        other.place = Place::New;
                    }
                }
                None => kept.push(entry),
            }
        }
        self.entries = kept;
        self.shrink();
    }

    /// Drops the oldest `M` events until what waits fits into one Inform. When there are none, it was a
    /// vendor's codes that filled it; the numbered ones alone never do.
    fn shrink(&mut self) {
        while self.waiting() > MAX_EVENTS {
            let waiting =
                || self.entries.iter().enumerate().filter(|(_, entry)| entry.place != Place::InFlight);
            let oldest = |rank_of: u32| {
                let same = waiting().filter(move |(_, entry)| rank(&entry.event.code) == rank_of);
                same.min_by_key(|(_, entry)| entry.age).map(|(at, entry)| (at, entry.age))
            };
            let (method, vendor) = (oldest(METHOD_RANK), oldest(VENDOR_RANK));
            let message = self
                .messages
                .iter_mut()
                .filter(|pending| pending.place != Place::InFlight && pending.cause.is_some())
                .min_by_key(|pending| pending.ticket);
            match (method, message) {
                (Some((at, age)), message) if message.as_ref().is_none_or(|m| age < m.ticket.0) => {
                    self.entries.remove(at);
                }
                (_, Some(message)) => message.cause = None,
                (_, None) => match vendor {
                    Some((at, _)) => drop(self.entries.remove(at)),
                    None => return,
                },
            }
        }
    }

    /// How many events an Inform would list if all that waits went into it.
    fn waiting(&self) -> usize {
        let entries = self.entries.iter().filter(|entry| entry.place != Place::InFlight).count();
        let messages = self.messages.iter().filter(|pending| pending.place != Place::InFlight);
        let (mut causes, mut codes) = (0, Vec::new());
        for pending in messages {
            causes += usize::from(pending.cause.is_some());
            let code = pending.message.event();
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
        entries + causes + codes.len()
    }

    fn listed(&self, place: Place) -> Vec<Event> {
        let entries = self.entries.iter().filter(|entry| entry.place == place);
        let mut aged: Vec<(u32, Event)> = entries.map(|entry| (entry.age, entry.event.clone())).collect();
        for pending in self.messages.iter().filter(|pending| pending.place == place) {
            let own = Event::of(pending.message.event());
            if !aged.iter().any(|(_, event)| *event == own) {
                aged.push((pending.ticket.0, own));
            }
            aged.extend(pending.cause.clone().map(|Cause(event)| (pending.ticket.0, event)));
        }
        aged.sort_by_key(|(age, event)| (rank(&event.code), *age));
        aged.into_iter().map(|(_, event)| event).collect()
    }

    fn next(&mut self) -> u32 {
        // 2^32 events are some centuries of them; at the end the order of age is lost, nothing else.
        self.counter = self.counter.wrapping_add(1);
        self.counter
    }
}

impl Message {
    /// The event that announces it, listed once however many there are.
    pub fn event(&self) -> EventCode {
        match self {
            Message::TransferComplete(_) => EventCode::TransferComplete,
            Message::AutonomousTransferComplete(_) => EventCode::AutonomousTransferComplete,
            Message::DuStateChangeComplete(_) => EventCode::DuStateChangeComplete,
            Message::AutonomousDuStateChangeComplete(_) => EventCode::AutonomousDuStateChangeComplete,
            Message::RequestDownload(_) => EventCode::RequestDownload,
            Message::Kicked(_) => EventCode::Kicked,
        }
    }

    /// The method call that delivers it.
    pub fn request(&self) -> Request {
        match self {
            Message::TransferComplete(message) => Request::TransferComplete(message.clone()),
            Message::AutonomousTransferComplete(message) => {
                Request::AutonomousTransferComplete(message.clone())
            }
            Message::DuStateChangeComplete(message) => Request::DuStateChangeComplete(message.clone()),
            Message::AutonomousDuStateChangeComplete(results) => {
                Request::AutonomousDuStateChangeComplete(results.clone())
            }
            Message::RequestDownload(message) => Request::RequestDownload(message.clone()),
            Message::Kicked(message) => Request::Kicked(message.clone()),
        }
    }
}

impl Pending {
    fn codes(&self) -> impl Iterator<Item = EventCode> {
        self.cause.iter().map(|Cause(event)| event.code.clone()).chain([self.message.event()])
    }
}

/// Table 8, columns *cumulative behaviour* and *retry/discard*, and the version that brought the code.
fn rule(code: &EventCode) -> Rule {
    use EventCode as E;
    let since = match code {
        E::AutonomousTransferComplete => Version::V1_1,
        E::DuStateChangeComplete | E::AutonomousDuStateChangeComplete => Version::V1_2,
        E::Method(name) if matches!(name.as_str(), "ScheduleDownload" | "ChangeDUState") => Version::V1_2,
        E::Wakeup | E::Heartbeat => Version::V1_4,
        _ => Version::V1_0,
    };
    let keep = match code {
        E::Boot | E::ValueChange | E::DiagnosticsComplete | E::Wakeup | E::Heartbeat => Keep::UntilReboot,
        // 5 and 9 MAY be retried: they are not, what they announced is stale by then.
        E::ConnectionRequest | E::Kicked | E::RequestDownload => Keep::OneAttempt,
        _ => Keep::Always,
    };
    let dependent = match code {
        E::Scheduled
        | E::Kicked
        | E::TransferComplete
        | E::RequestDownload
        | E::AutonomousTransferComplete
        | E::DuStateChangeComplete
        | E::AutonomousDuStateChangeComplete => true,
        E::Method(name) => {
            matches!(name.as_str(), "Download" | "ScheduleDownload" | "Upload" | "ChangeDUState")
        }
        _ => false,
    };
    Rule { keep, since, dependent }
}

const METHOD_RANK: u32 = 100;
const VENDOR_RANK: u32 = 101;

/// The standard's order: numbered codes, then `M`, then the rest.
fn rank(code: &EventCode) -> u32 {
    match code {
        EventCode::Method(_) => METHOD_RANK,
        EventCode::Vendor(_) => VENDOR_RANK,
        numbered => numbered.to_string().split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(99),
    }
}

fn too_long(event: &Event) -> bool {
    event.code.to_string().chars().count() > 64 || event.command_key.chars().count() > 32
}

/// [`Event`] as the state file has it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Event")]
struct StoredEvent {
    #[serde(with = "code_text")]
    code: EventCode,
    command_key: String,
}

/// [`TransferComplete`] as the state file has it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "TransferComplete")]
struct StoredTransferComplete {
    command_key: String,
    fault_code: u16,
    fault_string: String,
    start_time: String,
    complete_time: String,
}

mod code_text {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::EventCode;

    pub fn serialize<S: Serializer>(code: &EventCode, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(code)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<EventCode, D::Error> {
        Ok(EventCode::parse(&String::deserialize(from)?))
    }
}

#[cfg(test)]
pub(super) mod tests;
