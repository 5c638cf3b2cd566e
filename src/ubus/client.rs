//! Calls out: a client that waits for its answers, each time with a deadline.
//!
//! It remembers the numbers of objects, looks one up again when its owner has restarted, and connects again when
//! ubusd has. A call that was sent is never sent twice: when its answer is lost, [`CallError::Lost`] says so.
//!
//! ```no_run
//! use std::time::Duration;
//! use rcwmp::ubus::{SOCKET, blobmsg::Table, client::Client};
//! # fn main() -> Result<(), rcwmp::ubus::client::CallError> {
//! let limit = Duration::from_secs(2);
//! let mut ubus = Client::connect(SOCKET.as_ref(), limit)?;
//! let board = ubus.call("system", "board", &Table::new(), limit)?;
//! # Ok(()) }
//! ```

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollTimeout, poll};

use super::blobmsg::Table;
use super::link::{Link, LinkError};
use super::msg::{ReadError, Status};
use super::peer::{Call, Event, Failure, Found, SendError};

/// The most results of one call.
const MAX_RESULTS: usize = 64;
/// The most objects of one list, and of those whose numbers are remembered.
const MAX_OBJECTS: usize = 4096;
/// The most calls that are open although their time is over.
const MAX_LATE: usize = 32;
/// How long a full queue of ubusd is left alone.
const PAUSE: Duration = Duration::from_millis(20);

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// There is no ubusd to talk to, and nothing was asked of anybody.
    Link(LinkError),
    /// The arguments cannot be sent.
    Send(SendError),
    /// Nobody offers this object, or not to us.
    NoObject(String),
    /// Whoever was called refuses, or ubusd does: "Permission denied" is the word of an ACL.
    Refused {
        /// Object and method, as `network.interface dump`.
        what: String,
        /// With what word.
        status: Status,
    },
    /// There is no end of it within the time given.
    Timeout {
        /// Object and method.
        what: String,
        /// The time given.
        limit: Duration,
    },
    /// The connection was lost after the call was sent: it may or may not have been done.
    Lost {
        /// Object and method.
        what: String,
        /// How.
        why: LinkError,
    },
    /// The answer cannot be read.
    Unreadable {
        /// Object and method.
        what: String,
        /// What is wrong with it.
        why: ReadError,
    },
    /// There are more results than anybody can mean: 64, or 4 MiB together.
    TooMany(String),
}

impl CallError {
    /// What the stock command would exit with.
    pub fn status(&self) -> Status {
        match self {
            CallError::Link(_) | CallError::Lost { .. } => Status::ConnectionFailed,
            CallError::Send(_) => Status::InvalidArgument,
            CallError::NoObject(_) => Status::NotFound,
            CallError::Refused { status, .. } => *status,
            CallError::Timeout { .. } => Status::Timeout,
            CallError::Unreadable { .. } => Status::ParseError,
            CallError::TooMany(_) => Status::NoMemory,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Link(why) => write!(f, "{why}"),
            CallError::Send(why) => write!(f, "{why}"),
            CallError::NoObject(path) => write!(f, "ubus has no object {path}"),
            CallError::Refused { what, status } => write!(f, "ubus call {what} was refused: {status}"),
            CallError::Timeout { what, limit } => {
                write!(f, "ubus call {what} was not answered within {} ms", limit.as_millis())
            }
            CallError::Lost { what, why } => write!(f, "ubus call {what} has no answer: {why}"),
            CallError::Unreadable { what, why } => write!(f, "ubus call {what} has no answer: {why}"),
            CallError::TooMany(what) => write!(f, "ubus call {what} gave more results than can be held"),
        }
    }
}

impl std::error::Error for CallError {}

/// A call that was sent and not answered in time, and is still open: see [`Client::outcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late(u64);

#[derive(Debug)]
struct Open {
    late: Late,
    call: Call,
    /// Object and method.
    what: String,
    outcome: Option<Result<(), CallError>>,
}

/// A connection for calls.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    link: Option<Link>,
    known: HashMap<String, u32>,
    open: Vec<Open>,
    /// So many calls have been late.
    lates: u64,
}

/// What is asked, for errors, and until when.
struct Wait<'a> {
    what: &'a str,
    limit: Duration,
    end: Instant,
    /// The call of a method is not forgotten when the time is over.
    stays_open: bool,
}

impl<'a> Wait<'a> {
    fn new(what: &'a str, limit: Duration) -> Wait<'a> {
        let start = Instant::now();
        // A time beyond the clock's range is as good as a day.
        let end = start.checked_add(limit).unwrap_or(start + Duration::from_secs(86_400));
        Wait { what, limit, end, stays_open: false }
    }

    fn left(&self) -> Result<Duration, CallError> {
        let left = self.end.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(CallError::Timeout { what: self.what.to_owned(), limit: self.limit }),
            false => Ok(left),
        }
    }
}

impl Client {
    /// Connects, and waits until ubusd has said hello.
    ///
    /// # Errors
    /// [`CallError::Link`] or [`CallError::Timeout`].
    pub fn connect(path: &Path, limit: Duration) -> Result<Client, CallError> {
        let mut client = Client {
            path: path.to_path_buf(),
            link: None,
            known: HashMap::new(),
            open: Vec::new(),
            lates: 0,
        };
        client.ready(&Wait::new("(connect)", limit))?;
        Ok(client)
    }

    /// Calls a method and gives its results, mostly one, within the limit.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call(
        &mut self,
        object: &str,
        method: &str,
        arguments: &Table,
        limit: Duration,
    ) -> Result<Vec<Table>, CallError> {
        let what = format!("{object} {method}");
        self.call_until(object, method, arguments, &Wait::new(&what, limit))
    }

    /// Calls a method for what it does, and leaves the call open when it is not answered within the limit: `None` when
    /// it is done.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::Timeout`] when nothing was sent within the limit, or 32 calls are open already.
    pub fn call_or_wait(
        &mut self,
        object: &str,
        method: &str,
        arguments: &Table,
        limit: Duration,
    ) -> Result<Option<Late>, CallError> {
        let what = format!("{object} {method}");
        let before = self.lates;
        let wait = Wait { stays_open: true, ..Wait::new(&what, limit) };
        match self.call_until(object, method, arguments, &wait) {
            Ok(_) => Ok(None),
            Err(CallError::Timeout { .. }) if self.lates != before => Ok(Some(Late(self.lates))),
            Err(error) => Err(error),
        }
    }

    /// How a late call has ended, told once and without waiting; `None` while it is open.
    /// [`CallError::Lost`] where nobody will ever know.
    pub fn outcome(&mut self, late: Late) -> Option<Result<(), CallError>> {
        let _ = self.exchange();
        let Some(index) = self.open.iter().position(|open| open.late == late) else {
            return Some(Err(CallError::Lost { what: String::new(), why: LinkError::Closed }));
        };
        self.open[index].outcome.as_ref()?;
        self.open.swap_remove(index).outcome
    }

    /// Nobody wants to know how a late call ends.
    pub fn forget(&mut self, late: Late) {
        if let Some(index) = self.open.iter().position(|open| open.late == late) {
            let open = self.open.swap_remove(index);
            link_forget(self.link.as_mut(), open.call);
        }
    }

    fn call_until(
        &mut self,
        object: &str,
        method: &str,
        arguments: &Table,
        wait: &Wait<'_>,
    ) -> Result<Vec<Table>, CallError> {
        self.ready(wait)?;
        let remembered = self.known.contains_key(object);
        let result = self.try_call(object, method, arguments, wait);
        match result {
            // Its owner may have restarted; then it has another number.
            Err(CallError::Refused { status: Status::NotFound, .. }) if remembered => {
                let before = self.known.remove(object);
                match self.id(object, wait) {
                    Ok(id) if Some(id) != before => self.try_call(object, method, arguments, wait),
                    Ok(_) => result,
                    Err(error) => Err(error),
                }
            }
            _ => result,
        }
    }

    /// The objects that are offered to us: of a name, of a pattern with `*` at its end, or all; sorted by name.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::NoObject`] if a name or pattern finds none.
    pub fn list(&mut self, pattern: Option<&str>, limit: Duration) -> Result<Vec<Found>, CallError> {
        let wait = Wait::new("(list)", limit);
        self.ready(&wait)?;
        self.lookup(pattern, &wait)
    }

    /// Tells everybody who listens of an event.
    ///
    /// # Errors
    /// [`CallError`]; names that begin with `ubus.` are refused by ubusd.
    pub fn send_event(&mut self, name: &str, data: &Table, limit: Duration) -> Result<(), CallError> {
        let wait = Wait::new("(send)", limit);
        self.ready(&wait)?;
        let call = self.link_mut()?.peer.send_event(name, data).map_err(CallError::Send)?;
        self.wait_for(call, &wait, |_| Ok(()))
    }

    fn try_call(
        &mut self,
        object: &str,
        method: &str,
        arguments: &Table,
        wait: &Wait<'_>,
    ) -> Result<Vec<Table>, CallError> {
        let id = self.id(object, wait)?;
        let call = self.link_mut()?.peer.invoke(id, method, arguments).map_err(CallError::Send)?;
        let mut results = Vec::new();
        let ended = self.wait_for(call, wait, |event| {
            if let Event::Data(_, table) = event {
                if results.len() == MAX_RESULTS {
                    return Err(CallError::TooMany(wait.what.to_owned()));
                }
                results.push(table);
            }
            Ok(())
        });
        match ended {
            Err(CallError::Timeout { .. }) if wait.stays_open && self.open.len() < MAX_LATE => {
                self.lates += 1;
                let what = wait.what.to_owned();
                self.open.push(Open { late: Late(self.lates), call, what, outcome: None });
            }
            // Nobody waits for its end any more.
            Err(_) => link_forget(self.link.as_mut(), call),
            Ok(()) => {}
        }
        ended.map(|()| results)
    }

    /// The number of an object.
    fn id(&mut self, object: &str, wait: &Wait<'_>) -> Result<u32, CallError> {
        if let Some(id) = self.known.get(object) {
            return Ok(*id);
        }
        // A star would be a pattern, and call what happens to be the first.
        let found = if object.is_empty() || object.ends_with('*') {
            None
        } else {
            self.lookup(Some(object), wait)?.into_iter().find(|found| found.path == *object)
        };
        let id = found.ok_or_else(|| CallError::NoObject(object.to_owned()))?.id;
        if self.known.len() >= MAX_OBJECTS {
            self.known.clear();
        }
        self.known.insert(object.to_owned(), id);
        Ok(id)
    }

    fn lookup(&mut self, pattern: Option<&str>, wait: &Wait<'_>) -> Result<Vec<Found>, CallError> {
        let call = self.link_mut()?.peer.lookup(pattern).map_err(CallError::Send)?;
        let mut objects = Vec::new();
        let wait = &Wait { stays_open: false, ..*wait };
        let ended = self.wait_for(call, wait, |event| {
            if let Event::Found(_, found) = event {
                if objects.len() == MAX_OBJECTS {
                    return Err(CallError::TooMany(wait.what.to_owned()));
                }
                objects.push(found);
            }
            Ok(())
        });
        match ended {
            Ok(()) => Ok(objects),
            Err(CallError::Refused { status: Status::NotFound, .. }) => {
                Err(CallError::NoObject(pattern.unwrap_or("*").to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// A connection that stands, as far as can be seen: a new one if ubusd has closed the last.
    fn ready(&mut self, wait: &Wait<'_>) -> Result<(), CallError> {
        if self.link.is_some() && self.exchange().is_ok() {
            return Ok(());
        }
        self.known.clear();
        let mut link = loop {
            match Link::connect(&self.path) {
                Ok(link) => break link,
                Err(LinkError::Connect(_, Errno::EAGAIN | Errno::EINTR)) => {
                    std::thread::sleep(PAUSE.min(wait.left()?));
                }
                Err(error) => return Err(CallError::Link(error)),
            }
        };
        while link.peer.client().is_none() {
            rest(&link, wait.left()?);
            link.exchange(&mut Vec::new()).map_err(CallError::Link)?;
        }
        self.link = Some(link);
        Ok(())
    }

    fn link_mut(&mut self) -> Result<&mut Link, CallError> {
        self.link.as_mut().ok_or(CallError::Link(LinkError::Closed))
    }

    /// Sends and reads as far as it goes without waiting; what comes is of calls that are late, or of no interest.
    fn exchange(&mut self) -> Result<(), LinkError> {
        let Some(link) = &mut self.link else { return Err(LinkError::Closed) };
        let mut events = Vec::new();
        let state = link.exchange(&mut events);
        events.into_iter().for_each(|event| self.note(event));
        if let Err(why) = &state {
            self.part(why);
        }
        state
    }

    /// Nobody has business with an object that this connection does not offer, but a late call may have ended.
    fn note(&mut self, event: Event) {
        if let Event::Ended(call, outcome) = event
            && let Some(open) = self.open.iter_mut().find(|open| open.call == call && open.outcome.is_none())
        {
            open.outcome = Some(outcome.map_err(|failure| failed(failure, &open.what)));
        }
    }

    /// The connection is lost, and the answers that were to come with it.
    fn part(&mut self, why: &LinkError) {
        self.link = None;
        for open in self.open.iter_mut().filter(|open| open.outcome.is_none()) {
            open.outcome = Some(Err(CallError::Lost { what: open.what.clone(), why: why.clone() }));
        }
    }

    /// Waits for the end of a request; what comes for it meanwhile goes to `each`.
    fn wait_for(
        &mut self,
        call: Call,
        wait: &Wait<'_>,
        mut each: impl FnMut(Event) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        loop {
            let link = self.link_mut()?;
            let mut events = Vec::new();
            let state = link.exchange(&mut events);
            let (mut ended, mut bad) = (None, None);
            for event in events {
                match event {
                    Event::Ended(of, outcome) if of == call => ended = Some(outcome),
                    Event::Found(of, _) | Event::Data(of, _) if of == call => {
                        bad = bad.or_else(|| each(event).err());
                    }
                    other => self.note(other),
                }
            }
            if let Err(why) = &state {
                self.part(why);
            }
            if let Some(error) = bad {
                link_forget(self.link.as_mut(), call);
                return Err(error);
            }
            if let Some(outcome) = ended {
                return outcome.map_err(|failure| failed(failure, wait.what));
            }
            if let Err(why) = state {
                return Err(CallError::Lost { what: wait.what.to_owned(), why });
            }
            match wait.left() {
                Ok(left) => rest(self.link_mut()?, left),
                Err(error) => {
                    if !wait.stays_open {
                        link_forget(self.link.as_mut(), call);
                    }
                    return Err(error);
                }
            }
        }
    }
}

fn failed(failure: Failure, what: &str) -> CallError {
    let what = what.to_owned();
    match failure {
        Failure::Status(status) => CallError::Refused { what, status },
        Failure::Unreadable(why) => CallError::Unreadable { what, why },
        Failure::TooMuch => CallError::TooMany(what),
        Failure::Undelivered => CallError::Lost { what, why: LinkError::Closed },
    }
}

fn link_forget(link: Option<&mut Link>, call: Call) {
    if let Some(link) = link {
        link.peer.forget(call);
    }
}

/// Sleeps until there is something to do for the link, or this time is over, or a signal came.
fn rest(link: &Link, time: Duration) {
    // Rounded up, or the last millisecond would be spent turning.
    let millis = u16::try_from(time.as_millis()).unwrap_or(u16::MAX - 1) + 1;
    let mut fds = [PollFd::new(link.fd(), link.wanted())];
    let _ = poll(&mut fds, PollTimeout::from(millis));
}
