//! The states: each owns what is legal in it, takes an input, and gives the next state or the end.

use std::collections::VecDeque;
use std::time::Duration;

use super::close::{Close, Failure, Remark};
use super::{Desk, Input, MAX_RESENDS, Output, Plan};
use crate::cwmp::fault::{self, Fault};
use crate::cwmp::queue::{Call, Receipt, Ticket};
use crate::cwmp::rpc::{Inform, Message, Request, Response};
use crate::cwmp::soap::envelope::{Envelope, Header, Namespace, Version};

/// The next state, or the end. The end is boxed to keep the common way small.
type Next = Result<State, Box<Close>>;

/// Where the session stands.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing has been sent.
    Ready(Ready),
    /// The Inform is out.
    Informing(Informing),
    /// A call of ours is out.
    Asking(Asking),
    /// An empty POST or a response of ours is out: the ACS may ask or say that it has nothing to ask.
    Listening(Listening),
    /// A request of the ACS is being performed.
    Performing(Performing),
    /// Over.
    Closed,
}

#[derive(Debug)]
pub(super) struct Ready {
    inform: Inform,
    calls: Vec<Call>,
    version: Version,
    session_timeout: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Informing {
    question: Question,
    calls: Vec<Call>,
    /// The version the Inform was sent at.
    version: Version,
}

#[derive(Debug)]
pub(super) struct Asking {
    question: Question,
    ticket: Option<Ticket>,
    talk: Talk,
}

#[derive(Debug)]
pub(super) struct Listening {
    talk: Talk,
    deadline: Duration,
}

#[derive(Debug)]
pub(super) struct Performing {
    talk: Talk,
    id: Option<String>,
    /// The name the response must have.
    method: String,
}

/// A request of ours on its way.
#[derive(Debug)]
struct Question {
    envelope: Box<Envelope>,
    method: String,
    resends: u8,
    deadline: Duration,
}

/// What holds once the session is initiated.
#[derive(Debug)]
struct Talk {
    version: Version,
    /// The one the ACS spoke last.
    namespace: Namespace,
    /// HoldRequests of the last answer.
    hold: bool,
    /// An empty POST was sent while HoldRequests was off: we must not ask any more.
    no_more: bool,
    calls: VecDeque<Call>,
}

impl State {
    pub(super) fn handle(self, input: Input, desk: &mut Desk, now: Duration) -> Next {
        match self {
            State::Ready(state) => state.handle(&input, desk, now),
            State::Informing(state) => state.handle(input, desk, now),
            State::Asking(state) => state.handle(input, desk, now),
            State::Listening(state) => state.handle(input, desk, now),
            State::Performing(state) => state.handle(input, desk, now),
            State::Closed => Ok(State::Closed),
        }
    }

    pub(super) fn version(&self) -> Option<Version> {
        match self {
            State::Asking(Asking { talk, .. })
            | State::Listening(Listening { talk, .. })
            | State::Performing(Performing { talk, .. }) => Some(talk.version),
            State::Ready(_) | State::Informing(_) | State::Closed => None,
        }
    }

    pub(super) fn deadline(&self, desk: &Desk) -> Option<Duration> {
        let answer = match self {
            State::Ready(_) | State::Closed => return None,
            State::Informing(Informing { question, .. }) | State::Asking(Asking { question, .. }) => {
                question.deadline
            }
            State::Listening(state) => state.deadline,
            State::Performing(_) => Duration::MAX,
        };
        Some(answer.min(desk.ends))
    }
}

impl Ready {
    pub(super) fn new(plan: Plan) -> Ready {
        Ready {
            inform: plan.inform,
            calls: plan.calls,
            version: plan.version,
            session_timeout: plan.session_timeout,
        }
    }

    fn handle(self, input: &Input, desk: &mut Desk, now: Duration) -> Next {
        if *input != Input::Begin {
            return Ok(State::Ready(self));
        }
        desk.ends = now.saturating_add(desk.limits.total);
        desk.out.push_back(Output::Connect);
        let mut header = Header { id: Some(desk.id()), ..Header::default() };
        if self.version >= Version::V1_3 {
            header.session_timeout = self.session_timeout.map(|seconds| seconds.max(30));
        }
        if self.version >= Version::V1_4 {
            header.supported_cwmp_versions = offered(self.version);
        }
        let message = Message::Request(Request::Inform(Box::new(self.inform)));
        let envelope = Envelope { namespace: self.version.namespace(), header, message };
        let question = Question::ask(envelope, "Inform".to_owned(), desk, now)?;
        Ok(State::Informing(Informing { question, calls: self.calls, version: self.version }))
    }
}

impl Informing {
    fn handle(mut self, input: Input, desk: &mut Desk, now: Duration) -> Next {
        let expected = || "InformResponse".to_owned();
        match input {
            Input::Reply(Envelope { message: Message::Fault(fault), .. })
                if fault.code == fault::RETRY_REQUEST =>
            {
                self.question.repeat(desk, now)?;
                Ok(State::Informing(self))
            }
            Input::Reply(Envelope { message: Message::Fault(fault), .. }) => {
                failed(Failure::AcsRefusedInform { fault, version: self.version })
            }
            Input::Reply(Envelope {
                namespace,
                header,
                message: Message::Response(Response::Inform { .. }),
            }) => {
                self.question.compare_id(&header, desk);
                let version = agree(self.version, namespace, &header)?;
                desk.out.push_back(Output::Deliver(Receipt::Inform));
                let calls = known_calls(self.calls, version, desk);
                let talk = Talk { version, namespace, hold: header.hold_requests, no_more: false, calls };
                talk.turn(desk, now)
            }
            Input::Reply(envelope) => out_of_turn(expected(), &describe(&envelope.message)),
            Input::BadRequest { method, .. } => out_of_turn(expected(), &method),
            Input::Empty => out_of_turn(expected(), "an empty answer"),
            Input::Unreadable(why) => failed(Failure::AcsUnreadable { expected: expected(), why }),
            Input::HttpFailed(failure) => failed(Failure::Http { failure, informing_at: Some(self.version) }),
            Input::Tick => {
                desk.check_time(self.question.deadline, now)?;
                Ok(State::Informing(self))
            }
            Input::Begin | Input::Performed(_) => Ok(State::Informing(self)),
        }
    }
}

impl Asking {
    fn handle(mut self, input: Input, desk: &mut Desk, now: Duration) -> Next {
        let method = self.question.method.clone();
        match input {
            Input::Reply(envelope) => {
                self.talk.heard(envelope.namespace, envelope.header.hold_requests);
                self.answered(envelope, desk, now)
            }
            Input::Empty => {
                desk.out.push_back(Output::Remark(Remark::EmptyAnswer(method)));
                self.talk.hold = false;
                self.delivered(desk, now)
            }
            Input::Unreadable(why) => {
                desk.out.push_back(Output::Remark(Remark::Unreadable { method, why }));
                self.talk.turn(desk, now)
            }
            Input::BadRequest { method: got, .. } => out_of_turn(self.question.expected(), &got),
            Input::HttpFailed(failure) => failed(Failure::Http { failure, informing_at: None }),
            Input::Tick => {
                desk.check_time(self.question.deadline, now)?;
                Ok(State::Asking(self))
            }
            Input::Begin | Input::Performed(_) => Ok(State::Asking(self)),
        }
    }

    fn answered(mut self, envelope: Envelope, desk: &mut Desk, now: Duration) -> Next {
        let method = self.question.method.clone();
        match envelope.message {
            // With HoldRequests on, repeating at once is forbidden: it is then a refusal like any other.
            Message::Fault(fault) if fault.code == fault::RETRY_REQUEST && !self.talk.hold => {
                self.question.repeat(desk, now)?;
                Ok(State::Asking(self))
            }
            Message::Fault(fault) => {
                self.question.compare_id(&envelope.header, desk);
                desk.out.push_back(Output::Remark(Remark::Refused { method, fault }));
                self.talk.turn(desk, now)
            }
            Message::Response(response) if response.name() == method => {
                self.question.compare_id(&envelope.header, desk);
                if let Response::GetRpcMethods(methods) = response {
                    desk.out.push_back(Output::Learned(methods));
                }
                self.delivered(desk, now)
            }
            message => {
                let got = match &message {
                    Message::Response(response) => Some(format!("{}Response", response.name())),
                    // A name the codec does not know looks like a request to it.
                    Message::Request(Request::Unsupported(name)) if name.ends_with("Response") => {
                        Some(name.clone())
                    }
                    _ => None,
                };
                match got {
                    Some(got) if self.question.is_mine(&envelope.header) => {
                        desk.out.push_back(Output::Remark(Remark::OtherName { method, got }));
                        self.delivered(desk, now)
                    }
                    _ => out_of_turn(self.question.expected(), &describe(&message)),
                }
            }
        }
    }

    fn delivered(self, desk: &mut Desk, now: Duration) -> Next {
        if let Some(ticket) = self.ticket {
            desk.out.push_back(Output::Deliver(Receipt::Call(ticket)));
        }
        self.talk.turn(desk, now)
    }
}

impl Listening {
    fn handle(mut self, input: Input, desk: &mut Desk, now: Duration) -> Next {
        let expected = || "a request or nothing".to_owned();
        match input {
            Input::Empty => {
                self.talk.hold = false;
                if self.talk.no_more {
                    return Err(Box::new(Close::Success));
                }
                self.talk.turn(desk, now)
            }
            Input::Reply(Envelope { namespace, header, message: Message::Request(request) })
                if !is_response_name(&request) =>
            {
                self.talk.heard(namespace, header.hold_requests);
                let method = request.name().to_owned();
                if matches!(request, Request::Unsupported(_)) || is_for_acs(&method) {
                    let fault = Fault::new(fault::METHOD_NOT_SUPPORTED, &method);
                    return self.talk.answer(header.id, Message::Fault(fault), desk, now);
                }
                desk.check_ends(now)?;
                desk.out.push_back(Output::Perform(request));
                Ok(State::Performing(Performing { talk: self.talk, id: header.id, method }))
            }
            Input::Reply(envelope) => out_of_turn(expected(), &describe(&envelope.message)),
            Input::BadRequest { id, hold_requests, method, fault } => {
                self.talk.hold = hold_requests;
                // Which arguments a method of an ACS has is nothing to a CPE.
                let fault = match is_for_acs(&method) {
                    true => Fault::new(fault::METHOD_NOT_SUPPORTED, &method),
                    false => fault,
                };
                self.talk.answer(id, Message::Fault(fault), desk, now)
            }
            Input::Unreadable(why) => failed(Failure::AcsUnreadable { expected: expected(), why }),
            Input::HttpFailed(failure) => failed(Failure::Http { failure, informing_at: None }),
            Input::Tick => {
                desk.check_time(self.deadline, now)?;
                Ok(State::Listening(self))
            }
            Input::Begin | Input::Performed(_) => Ok(State::Listening(self)),
        }
    }
}

impl Performing {
    fn handle(self, input: Input, desk: &mut Desk, now: Duration) -> Next {
        let expected = || format!("nothing before the answer to {}", self.method);
        match input {
            Input::Performed(outcome) => {
                let message = match outcome {
                    Ok(response) if response.name() == self.method => Message::Response(response),
                    // Ours to blame, not the ACS's; it gets an answer all the same.
                    Ok(other) => Message::Fault(Fault::new(
                        fault::INTERNAL_ERROR,
                        format_args!("{} came to {}", self.method, other.name()),
                    )),
                    Err(fault) => Message::Fault(fault),
                };
                self.talk.answer(self.id, message, desk, now)
            }
            Input::Reply(envelope) => out_of_turn(expected(), &describe(&envelope.message)),
            Input::BadRequest { method, .. } => out_of_turn(expected(), &method),
            Input::Empty => out_of_turn(expected(), "an empty answer"),
            Input::Unreadable(why) => failed(Failure::AcsUnreadable { expected: expected(), why }),
            Input::Tick => {
                desk.check_ends(now)?;
                Ok(State::Performing(self))
            }
            // Nothing is on its way: a connection that closes now is opened again by the next POST.
            Input::HttpFailed(_) | Input::Begin => Ok(State::Performing(self)),
        }
    }
}

impl Talk {
    fn heard(&mut self, namespace: Namespace, hold: bool) {
        self.namespace = namespace;
        self.hold = hold;
    }

    /// Nothing of the ACS's is to be answered: our next call if we may, else an empty POST.
    fn turn(mut self, desk: &mut Desk, now: Duration) -> Next {
        let may_ask = !self.hold && !self.no_more;
        if may_ask && let Some(call) = self.calls.pop_front() {
            let method = call.request.name().to_owned();
            let header = Header { id: Some(desk.id()), ..Header::default() };
            let envelope =
                Envelope { namespace: self.namespace, header, message: Message::Request(call.request) };
            let question = Question::ask(envelope, method, desk, now)?;
            return Ok(State::Asking(Asking { question, ticket: call.ticket, talk: self }));
        }
        self.no_more |= !self.hold;
        let deadline = desk.post(None, now)?;
        Ok(State::Listening(Listening { talk: self, deadline }))
    }

    /// Sends the answer to a request of the ACS.
    fn answer(self, id: Option<String>, message: Message, desk: &mut Desk, now: Duration) -> Next {
        let header = Header { id, ..Header::default() };
        let envelope = Envelope { namespace: self.namespace, header, message };
        let deadline = desk.post(Some(Box::new(envelope)), now)?;
        Ok(State::Listening(Listening { talk: self, deadline }))
    }
}

impl Question {
    fn ask(
        envelope: Envelope,
        method: String,
        desk: &mut Desk,
        now: Duration,
    ) -> Result<Question, Box<Close>> {
        let envelope = Box::new(envelope);
        let deadline = desk.post(Some(envelope.clone()), now)?;
        Ok(Question { envelope, method, resends: 0, deadline })
    }

    /// The ACS said 8005: the identical message once more.
    fn repeat(&mut self, desk: &mut Desk, now: Duration) -> Result<(), Box<Close>> {
        if self.resends >= MAX_RESENDS {
            return failed(Failure::AcsKeepsRetrying(self.method.clone()));
        }
        self.resends += 1;
        desk.out.push_back(Output::Remark(Remark::Repeated(self.method.clone())));
        self.deadline = desk.post(Some(self.envelope.clone()), now)?;
        Ok(())
    }

    fn expected(&self) -> String {
        format!("{}Response", self.method)
    }

    fn is_mine(&self, header: &Header) -> bool {
        header.id == self.envelope.header.id
    }

    fn compare_id(&self, header: &Header, desk: &mut Desk) {
        if !self.is_mine(header) {
            desk.out.push_back(Output::Remark(Remark::OtherId(self.method.clone())));
        }
    }
}

impl Desk {
    fn id(&mut self) -> String {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id.to_string()
    }

    /// Asks for a POST, within the bounds; the time by which it must be answered.
    fn post(&mut self, body: Option<Box<Envelope>>, now: Duration) -> Result<Duration, Box<Close>> {
        self.check_ends(now)?;
        if self.exchanges >= self.limits.exchanges {
            return failed(Failure::TooManyExchanges(self.limits.exchanges));
        }
        self.exchanges += 1;
        self.out.push_back(Output::Post(body));
        Ok(now.saturating_add(self.limits.answer))
    }

    fn check_time(&self, deadline: Duration, now: Duration) -> Result<(), Box<Close>> {
        self.check_ends(now)?;
        if now >= deadline { failed(Failure::AcsSilent(self.limits.answer)) } else { Ok(()) }
    }

    fn check_ends(&self, now: Duration) -> Result<(), Box<Close>> {
        if now >= self.ends { failed(Failure::TooLong(self.limits.total)) } else { Ok(()) }
    }
}

fn failed<T>(failure: Failure) -> Result<T, Box<Close>> {
    Err(Box::new(Close::Failed(failure)))
}

fn out_of_turn<T>(expected: String, got: &str) -> Result<T, Box<Close>> {
    failed(Failure::AcsOutOfTurn { expected, got: got.to_owned() })
}

/// A message in a few words.
fn describe(message: &Message) -> String {
    match message {
        Message::Request(request) => request.name().to_owned(),
        Message::Response(response) => format!("{}Response", response.name()),
        Message::Fault(fault) => format!("fault {}", fault.code),
    }
}

/// SupportedCWMPVersions of an Inform.
fn offered(version: Version) -> Vec<Version> {
    Version::ALL.into_iter().filter(|known| *known <= version).collect()
}

/// The version of the session (TR-069 3.7.1.1, 3.7.4). UseCWMPVersion without our list is out of place
/// and ignored; an inferred version is never newer than the one we spoke.
fn agree(spoken: Version, namespace: Namespace, header: &Header) -> Result<Version, Box<Close>> {
    match header.use_cwmp_version {
        Some(chosen) if spoken >= Version::V1_4 => {
            if offered(spoken).contains(&chosen) {
                Ok(chosen)
            } else {
                failed(Failure::AcsChoseVersion(chosen))
            }
        }
        _ => Ok(namespace.inferred_version().min(spoken)),
    }
}

/// The calls that the agreed version has; the others stay in the queue.
fn known_calls(calls: Vec<Call>, version: Version, desk: &mut Desk) -> VecDeque<Call> {
    let mut known = VecDeque::with_capacity(calls.len());
    for call in calls {
        if since(call.request.name()) <= version {
            known.push_back(call);
        } else {
            let method = call.request.name().to_owned();
            desk.out.push_back(Output::Remark(Remark::HeldBack { method, version }));
        }
    }
    known
}

/// The version that brought a method a CPE can call (TR-069 3.7.4).
fn since(method: &str) -> Version {
    match method {
        "AutonomousTransferComplete" => Version::V1_1,
        "DUStateChangeComplete" | "AutonomousDUStateChangeComplete" => Version::V1_2,
        _ => Version::V1_0,
    }
}

/// Whether only an ACS serves the method (TR-069 A.3.3, A.4.2).
fn is_for_acs(method: &str) -> bool {
    matches!(
        method,
        "Inform"
            | "TransferComplete"
            | "AutonomousTransferComplete"
            | "DUStateChangeComplete"
            | "AutonomousDUStateChangeComplete"
            | "RequestDownload"
            | "Kicked"
    )
}

/// A response the codec does not know looks like a request to it; to answer one with a fault is forbidden (TR-069 3.5).
fn is_response_name(request: &Request) -> bool {
    matches!(request, Request::Unsupported(name) if name.ends_with("Response"))
}
