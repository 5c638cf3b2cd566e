//! The CPE's side of a session as a state machine (TR-069 3.7): no bytes, no sockets, no clock.
//!
//! The shell feeds what happened with [`Session::handle`] and then does what [`Session::poll_output`] asks
//! for, until that says [`Output::Wait`]. Time is monotonic, since any fixed moment.
//!
//! ```text
//!            Begin            InformResponse                     no call of ours is left, or held
//!   Ready ──────────► Informing ─────────────┬───────────────────────────────► Listening
//!             Inform   │  ▲ 8005             │ call, not held       empty POST  │ ▲  │
//!                      └──┘ ≤ 3 times        ▼                                  │ │  │ request
//!                                          Asking ──────────────────────────────┘ │  │ of the ACS
//!                                       8005 │ ▲ response, fault: next call       │  ▼
//!                                            └─┘                    Performed or  └─ Performing
//!                                                                   our own fault
//!   Listening ── empty answer, after our last empty POST ──► Close(Success)
//!   every state ── failure, protocol violation, deadline ──► Close(Failed)
//! ```
//!
//! # The rules it keeps
//! - Inform goes first and once. Only fault 8005 has it sent again, identically, three times at most.
//! - After each answer: a request is answered. Else, if HoldRequests is off and no empty POST was sent while
//!   it was off, one of our calls goes out. Else an empty POST. After an empty POST with HoldRequests off no
//!   call of ours follows. An empty answer turns HoldRequests off.
//! - The session succeeds when the ACS answers empty after such a POST; nothing is outstanding then.
//! - A fault to a call of ours (but 8005) leaves it undelivered and the session goes on.
//! - Answers to the ACS repeat its `ID` and its namespace; calls of ours have an `ID` each and use the namespace the
//!   ACS spoke last. The version is UseCWMPVersion if it is in our list, else what the namespace says.
//! - An ACS request is given out as [`Output::Perform`]; methods nobody knows, and those that a CPE calls, are
//!   answered with 9000 here.
//!
//! # What it tolerates, and says so with a [`Remark`]
//! - A response under another `ID`: one HTTP exchange has one question, so there is no doubt what is meant.
//! - A response to a call of ours under another method's name, if the `ID` is ours (FreeACS).
//! - An empty answer to a call of ours: taken as its response (Oktopus answers TransferComplete so).
//! - An unreadable answer to a call of ours: taken as its refusal (GenieACS's faults are not well-formed XML).
//!   An unreadable answer to Inform, to our response or to an empty POST ends the session.
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use rcwmp::cwmp::rpc::{DeviceId, Inform, Message, Response};
//! use rcwmp::cwmp::session::{Close, Input, Output, Plan, Session};
//! use rcwmp::cwmp::soap::envelope::{Envelope, Header, Namespace};
//!
//! let inform = Inform {
//!     device_id: DeviceId::default(),
//!     events: vec![],
//!     max_envelopes: 1,
//!     current_time: "2026-11-21T06:00:00+01:00".to_owned(),
//!     retry_count: 0,
//!     parameter_list: vec![],
//! };
//! let mut session = Session::new(Plan::new(inform));
//! let now = Duration::ZERO;
//!
//! session.handle(Input::Begin, now);
//! assert_eq!(session.poll_output(), Output::Connect);
//! let Output::Post(Some(posted)) = session.poll_output() else { panic!("the Inform") };
//! assert!(matches!(session.poll_output(), Output::Wait(Some(_))));
//!
//! session.handle(
//!     Input::Reply(Envelope {
//!         namespace: Namespace::V1_2,
//!         header: Header { id: posted.header.id, ..Header::default() },
//!         message: Message::Response(Response::Inform { max_envelopes: 1 }),
//!     }),
//!     now,
//! );
//! assert!(matches!(session.poll_output(), Output::Deliver(_)));
//! assert_eq!(session.poll_output(), Output::Post(None));
//!
//! session.handle(Input::Empty, now);
//! assert_eq!(session.poll_output(), Output::Close(Close::Success));
//! assert_eq!(session.poll_output(), Output::Wait(None));
//! ```

mod close;
mod state;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use crate::cwmp::fault::Fault;
use crate::cwmp::queue::{Call, Receipt};
use crate::cwmp::rpc::{Inform, Request, Response};
use crate::cwmp::soap::envelope::{Envelope, Version};

pub use self::close::{Close, Failure, HttpFailure, Remark};
use self::state::{Ready, State};

/// How often a request is sent again after fault 8005 (TR-069 3.7.1.6).
pub const MAX_RESENDS: u8 = 3;

/// What one session is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The Inform, from `queue::Snapshot` and the data model.
    pub inform: Inform,
    /// What we ask the ACS afterwards, in this order: GetRPCMethods if wanted, then the queue's messages.
    pub calls: Vec<Call>,
    /// The version to speak: 1.4, or 1.0 after [`Close::fall_back`].
    pub version: Version,
    /// SessionTimeout to announce, in seconds; sent from version 1.3 on, and never below 30.
    pub session_timeout: Option<u32>,
    /// The `ID` of the Inform; calls count on from it.
    pub first_id: u32,
    /// When to give up.
    pub limits: Limits,
}

impl Plan {
    /// A plan at version 1.4 that only informs.
    pub fn new(inform: Inform) -> Plan {
        Plan {
            inform,
            calls: Vec::new(),
            version: Version::V1_4,
            session_timeout: None,
            first_id: 1,
            limits: Limits::default(),
        }
    }
}

/// Bounds of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// POSTs in all, resends included.
    pub exchanges: u32,
    /// From Begin to Close.
    pub total: Duration,
    /// For one answer of the ACS; the standard wants at least 30 s (TR-069 3.7.1.4).
    pub answer: Duration,
}

impl Default for Limits {
    /// 10,000 exchanges, one hour, one minute.
    fn default() -> Limits {
        Limits { exchanges: 10_000, total: Duration::from_secs(3600), answer: Duration::from_secs(60) }
    }
}

/// What happened. An input that fits nothing the machine is waiting for, or that comes after Close, is ignored
/// if it is the shell's, and ends the session if it is the ACS's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Start.
    Begin,
    /// The ACS answered the POST with an envelope.
    Reply(Envelope),
    /// The ACS answered the POST with 204, or with 200 and no body.
    Empty,
    /// The ACS answered with a request that cannot be performed as it stands: bad arguments, or a header
    /// with mustUnderstand that nobody knows. It is answered with `fault`, and the session goes on.
    BadRequest {
        /// Its `cwmp:ID`.
        id: Option<String>,
        /// Its `cwmp:HoldRequests`.
        hold_requests: bool,
        /// The method's name.
        method: String,
        /// What to answer: 9003 with the reason.
        fault: Fault,
    },
    /// The ACS answered with something that is no SOAP message of CWMP: why, in a few words. A response with a
    /// mustUnderstand header that nobody knows is one of these too.
    Unreadable(String),
    /// The POST failed below SOAP: no connection, no answer, a status that is neither 200 nor 204.
    HttpFailed(HttpFailure),
    /// What [`Output::Perform`] came to.
    Performed(Result<Response, Fault>),
    /// Time has passed.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Open the one connection of this session; a failure is [`Input::HttpFailed`] to the POST that follows.
    Connect,
    /// POST an envelope, or an empty body.
    Post(Option<Box<Envelope>>),
    /// Perform a request of the ACS and give the outcome as [`Input::Performed`].
    Perform(Request),
    /// Strike from the queue what the ACS has confirmed, before anything else is done.
    Deliver(Receipt),
    /// The methods the ACS says it has.
    Learned(Vec<String>),
    /// Worth a line in the log; nothing to do.
    Remark(Remark),
    /// The session is over: close the connection. The last output but for Wait.
    Close(Close),
    /// Nothing to do before the next input, or before this time; `None`: nothing is awaited.
    Wait(Option<Duration>),
}

/// One session.
#[derive(Debug)]
pub struct Session {
    state: State,
    desk: Desk,
}

/// What every state uses: what was asked of the shell and not fetched yet, and the bounds.
#[derive(Debug)]
struct Desk {
    out: VecDeque<Output>,
    limits: Limits,
    /// The end of the session at the latest; counted from Begin.
    ends: Duration,
    /// POSTs so far.
    exchanges: u32,
    /// For the next message of ours.
    next_id: u32,
}

impl Session {
    /// A session that waits for [`Input::Begin`].
    pub fn new(plan: Plan) -> Session {
        let desk = Desk {
            out: VecDeque::new(),
            limits: plan.limits,
            ends: Duration::MAX,
            exchanges: 0,
            next_id: plan.first_id,
        };
        Session { state: State::Ready(Ready::new(plan)), desk }
    }

    /// Takes an input at a monotonic time.
    pub fn handle(&mut self, input: Input, now: Duration) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        if matches!(state, State::Closed) {
            return;
        }
        match state.handle(input, &mut self.desk, now) {
            Ok(state) => self.state = state,
            Err(close) => self.desk.out.push_back(Output::Close(*close)),
        }
    }

    /// What to do next. After a `Wait` it says `Wait` until there is another input.
    pub fn poll_output(&mut self) -> Output {
        self.desk.out.pop_front().unwrap_or_else(|| Output::Wait(self.deadline()))
    }

    /// Whether Close has been reached; it may still be among the outputs.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The state in a word, for `status`.
    pub fn stage(&self) -> &'static str {
        match &self.state {
            State::Ready(_) => "ready",
            State::Informing(_) => "informing",
            State::Asking(_) => "asking",
            State::Listening(_) => "listening",
            State::Performing(_) => "performing",
            State::Closed => "closed",
        }
    }

    /// The version agreed on; `None` before InformResponse and after Close.
    pub fn version(&self) -> Option<Version> {
        self.state.version()
    }

    fn deadline(&self) -> Option<Duration> {
        self.state.deadline(&self.desk)
    }
}
