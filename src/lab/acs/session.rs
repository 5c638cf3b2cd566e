//! The ACS's side of a session as a state machine (TR-069 3.7): bodies of POSTs in, bodies of answers out.
//!
//! ```text
//!          Inform                          empty POST, or the answer to our request
//!  Fresh ─────────► Open ──────────────────────────────────────────────┐
//!     InformResponse │ ▲  calls of the CPE are answered                 ▼
//!                    └─┘                                              Idle: the shell decides
//!                      ▲        request(): the next of the queue        │    │
//!                      └────────────────────────────────────────────────┘    └─► finish(): 204, Over
//! ```
//! One request is outstanding at most; what comes next is its answer, whatever it is.

use crate::cwmp::fault::Fault;
use crate::cwmp::rpc::{Inform, Message, Request, Response, TransferComplete};
use crate::cwmp::soap::envelope::{Envelope, Header, Namespace, Version};
use crate::cwmp::soap::{self, Limits};

use super::describe;
use super::payload::Payload;
use super::quirks::Quirks;

/// The calls of a CPE that are answered with their response.
const METHODS: [&str; 8] = [
    "Inform",
    "GetRPCMethods",
    "TransferComplete",
    "AutonomousTransferComplete",
    "DUStateChangeComplete",
    "AutonomousDUStateChangeComplete",
    "RequestDownload",
    "Kicked",
];
/// A list of no names, as FreeACS has sent it.
const NO_NAMES: &str = "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" \
    xmlns:soapenc=\"http://schemas.xmlsoap.org/soap/encoding/\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
    xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\"><soap:Header><cwmp:ID soap:mustUnderstand=\"1\">acs-none</cwmp:ID>\
    </soap:Header><soap:Body><cwmp:GetParameterValues><ParameterNames soapenc:arrayType=\"xsd:string[0]\"/>\
    </cwmp:GetParameterValues></soap:Body></soap:Envelope>";
/// The ticket of what nobody has asked for.
const NOBODY: Ticket = Ticket(0);

/// Names a queued message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u32);

/// A session, from its Inform to the empty answer.
#[derive(Debug)]
pub struct Session {
    quirks: Quirks,
    informed: bool,
    over: bool,
    namespace: Namespace,
    outstanding: Option<Outstanding>,
    sent: u32,
    /// The Inform's.
    id: Option<String>,
    /// Whether the request without names is yet to be sent.
    owes_no_names: bool,
}

/// A request that the CPE has to answer.
#[derive(Debug)]
struct Outstanding {
    ticket: Ticket,
    id: String,
    method: String,
}

/// What became of a request.
pub type Outcome = Result<Response, Unmet>;

/// Why a request was not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmet {
    /// The CPE refused.
    Fault(Fault),
    /// The CPE did not answer it as the standard has it: what it did.
    Broken(String),
}

impl std::fmt::Display for Unmet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unmet::Fault(fault) => fault.fmt(f),
            Unmet::Broken(why) => f.write_str(why),
        }
    }
}

/// What was learned from a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The session begins.
    Informed(Box<Inform>, Namespace),
    /// The answer to a request.
    Answered(Ticket, Outcome),
    /// A transfer ended.
    Transferred(TransferComplete),
    /// Another call of the CPE: its method, and what it says in one line.
    Called(String, String),
}

/// How to answer a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// With 200 and this envelope, which may be empty.
    Answer(Vec<u8>),
    /// With [`Session::request`] or [`Session::finish`].
    Idle,
    /// With this status; the session is over.
    Refuse(u16, String),
}

impl Session {
    /// A session that waits for its Inform.
    pub fn new(quirks: Quirks) -> Session {
        Session {
            quirks,
            informed: false,
            over: false,
            namespace: Namespace::default(),
            outstanding: None,
            sent: 0,
            id: None,
            owes_no_names: quirks.no_names,
        }
    }

    /// Whether a POST can still come.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The number of requests sent.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// The namespace that the CPE spoke last.
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// Takes the body of a POST. An empty one is empty; what is unreadable ends the session.
    pub fn receive(&mut self, body: &[u8]) -> (Option<Fact>, Step) {
        if self.over {
            return (None, Step::Refuse(400, "the session is over".to_owned()));
        }
        if body.is_empty() {
            return self.empty();
        }
        let envelope = match soap::read(body, &Limits::default()) {
            Ok(envelope) => envelope,
            Err(error) => {
                if let Some(refusal) = error.refusal() {
                    return (None, Step::Answer(self.write(&refusal.answer())));
                }
                let why = error.to_string();
                let fact = self.outstanding.take().map(|open| {
                    Fact::Answered(
                        open.ticket,
                        Err(Unmet::Broken(format!("the answer cannot be read: {why}"))),
                    )
                });
                // A response that is malformed in itself leaves the session sound.
                if fact.is_some() && matches!(error, soap::ReadError::BadResponse { .. }) {
                    return (fact, Step::Idle);
                }
                self.over = true;
                return (fact, Step::Refuse(400, why));
            }
        };
        self.namespace = envelope.namespace;
        match envelope.message {
            Message::Request(request) => self.call(request, &envelope.header),
            Message::Response(response) => self.answer(&envelope.header, Ok(response)),
            Message::Fault(fault) => self.answer(&envelope.header, Err(Unmet::Fault(fault))),
        }
    }

    /// Sends the next request of the queue; only after [`Step::Idle`].
    pub fn request(&mut self, ticket: Ticket, payload: &Payload) -> Vec<u8> {
        self.sent = self.sent.saturating_add(1);
        let fresh = match &self.id {
            Some(id) if self.quirks.reused_id => escape(id),
            _ => format!("acs-{}", ticket.0),
        };
        let (text, id) = payload.with_id(&fresh);
        let id =
            if id == fresh { self.id.clone().filter(|_| self.quirks.reused_id).unwrap_or(id) } else { id };
        let text = self.spoilt(text);
        self.outstanding = Some(Outstanding { ticket, id, method: payload.method().to_owned() });
        text.into_bytes()
    }

    /// The request that nobody has asked for and that some ACSs send; only after [`Step::Idle`].
    pub fn unasked(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.owes_no_names) {
            return None;
        }
        let (id, method) = ("acs-none".to_owned(), "GetParameterValues".to_owned());
        self.outstanding = Some(Outstanding { ticket: NOBODY, id, method });
        Some(NO_NAMES.as_bytes().to_vec())
    }

    /// A request as some ACSs write it.
    fn spoilt(&self, text: String) -> String {
        let mut text = text;
        if self.quirks.next_level_digit {
            for (word, digit) in [("true", "1"), ("false", "0")] {
                text = text.replace(&format!("<NextLevel>{word}<"), &format!("<NextLevel>{digit}<"));
            }
        }
        if self.quirks.raw_url {
            for element in ["URL", "FileType"] {
                text = inside(&text, element, |content| content.replace("&amp;", "&"));
            }
        }
        text
    }

    /// Ends the session after [`Step::Idle`]; the status of the empty answer.
    pub fn finish(&mut self) -> u16 {
        self.over = true;
        if self.quirks.empty_ok { 200 } else { 204 }
    }

    /// The request that has no answer when the session is given up, and its method.
    pub fn abandon(&mut self) -> Option<(Ticket, String)> {
        self.over = true;
        self.outstanding.take().map(|open| (open.ticket, open.method))
    }

    fn empty(&mut self) -> (Option<Fact>, Step) {
        if !self.informed {
            self.over = true;
            return (None, Step::Refuse(400, "a session begins with an Inform".to_owned()));
        }
        let fact = self.outstanding.take().map(|open| {
            let why = format!("the CPE posted nothing instead of an answer to {}", open.method);
            Fact::Answered(open.ticket, Err(Unmet::Broken(why)))
        });
        (fact, Step::Idle)
    }

    /// A call of the CPE.
    fn call(&mut self, request: Request, header: &Header) -> (Option<Fact>, Step) {
        if let Some(open) = self.outstanding.take() {
            self.over = true;
            let why = format!("the CPE called {} instead of answering {}", request.name(), open.method);
            let fact = Fact::Answered(open.ticket, Err(Unmet::Broken(why.clone())));
            return (Some(fact), Step::Refuse(400, why));
        }
        if !self.informed && !matches!(request, Request::Inform(_)) {
            self.over = true;
            return (
                None,
                Step::Refuse(400, format!("a session begins with an Inform, not {}", request.name())),
            );
        }
        let empty_answers = self.quirks.empty_answers;
        let (name, told) = (request.name().to_owned(), describe::call(&request));
        let called = || Fact::Called(name.clone(), told.clone());
        let (fact, message) = match request {
            Request::Inform(_) if self.informed => {
                self.over = true;
                return (None, Step::Refuse(400, "a second Inform in one session".to_owned()));
            }
            Request::Inform(inform) => {
                self.informed = true;
                self.id = header.id.clone();
                let response = Message::Response(Response::Inform { max_envelopes: 1 });
                let mut envelope = self.reply(header, response);
                envelope.header.use_cwmp_version = header
                    .supported_cwmp_versions
                    .iter()
                    .filter(|version| **version <= Version::V1_4)
                    .max()
                    .copied();
                if self.quirks.mismatched_id {
                    envelope.header.id = Some("another".to_owned());
                }
                let step = Step::Answer(soap::write(&envelope));
                return (Some(Fact::Informed(inform, self.namespace)), step);
            }
            Request::GetRpcMethods => {
                let methods = METHODS.iter().map(|name| (*name).to_owned()).collect();
                (called(), Message::Response(Response::GetRpcMethods(methods)))
            }
            Request::TransferComplete(complete) => {
                (Fact::Transferred(complete), Message::Response(Response::TransferComplete))
            }
            Request::AutonomousTransferComplete(_) => {
                (called(), Message::Response(Response::AutonomousTransferComplete))
            }
            Request::DuStateChangeComplete(_) => {
                (called(), Message::Response(Response::DuStateChangeComplete))
            }
            Request::AutonomousDuStateChangeComplete(_) => {
                (called(), Message::Response(Response::AutonomousDuStateChangeComplete))
            }
            Request::RequestDownload(_) => (called(), Message::Response(Response::RequestDownload)),
            // The browser goes where the device would have sent it itself.
            Request::Kicked(kicked) => {
                (called(), Message::Response(Response::Kicked { next_url: kicked.next }))
            }
            _ => {
                let answer = self.reply(header, Message::Fault(Fault::new(8000, &name)));
                return (Some(called()), Step::Answer(self.write(&answer)));
            }
        };
        // Of what a community Oktopus knows, the Inform alone has an answer.
        let answer = if empty_answers { Vec::new() } else { soap::write(&self.reply(header, message)) };
        (Some(fact), Step::Answer(answer))
    }

    /// The CPE's answer to our request.
    fn answer(&mut self, header: &Header, outcome: Outcome) -> (Option<Fact>, Step) {
        let Some(open) = self.outstanding.take() else {
            self.over = true;
            return (None, Step::Refuse(400, "an answer to nothing".to_owned()));
        };
        let outcome = match (&header.id, &outcome) {
            (Some(id), _) if *id != open.id => Err(Unmet::Broken(format!(
                "the answer to {} bears the ID {id:?}, not {:?}",
                open.method, open.id
            ))),
            (_, Ok(response)) if response.name() != open.method => {
                Err(Unmet::Broken(format!("the answer to {} is {}Response", open.method, response.name())))
            }
            _ => outcome,
        };
        (Some(Fact::Answered(open.ticket, outcome)), Step::Idle)
    }

    fn reply(&self, header: &Header, message: Message) -> Envelope {
        Envelope {
            namespace: self.namespace,
            header: Header { id: header.id.clone(), ..Header::default() },
            message,
        }
    }

    /// An envelope with a fault, perhaps as GenieACS writes it.
    fn write(&self, envelope: &Envelope) -> Vec<u8> {
        let bytes = soap::write(envelope);
        if !self.quirks.malformed_faults {
            return bytes;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some(prefix) = text.split_once("Fault").and_then(|(head, _)| head.rsplit('<').next()) else {
            return text.into_bytes();
        };
        let (fault, body) = (format!("{prefix}Fault"), format!("{prefix}Body:Fault"));
        text.replacen(&format!("<{fault}"), &format!("<{body}"), 1)
            .replace(&format!("</{fault}>"), &format!("</{body}>"))
            .into_bytes()
    }
}

/// Text for an element.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text with the contents of some elements changed.
fn inside(text: &str, element: &str, change: impl Fn(&str) -> String) -> String {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, content, behind)) = rest.split_once(&open).and_then(|(before, rest)| {
        let (content, behind) = rest.split_once(&close)?;
        Some((before, content, behind))
    }) {
        out += &format!("{before}{open}{}{close}", change(content));
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::event::{Event, EventCode};
    use crate::cwmp::rpc::{
        DeviceId, Download, DuStateChangeComplete, GetParameterNames, Kicked, RequestDownload, Status,
    };

    fn post(message: Message, id: &str) -> Vec<u8> {
        let header = Header { id: Some(id.to_owned()), ..Header::default() };
        soap::write(&Envelope { namespace: Namespace::V1_0, header, message })
    }

    fn inform() -> Vec<u8> {
        let inform = Inform {
            device_id: DeviceId { serial_number: "SN1".into(), oui: "020000".into(), ..DeviceId::default() },
            events: vec![Event::of(EventCode::Bootstrap)],
            max_envelopes: 1,
            current_time: "2026-11-21T06:00:00+01:00".into(),
            retry_count: 0,
            parameter_list: vec![],
        };
        post(Message::Request(Request::Inform(Box::new(inform))), "a")
    }

    /// A session after its Inform.
    fn open(quirks: Quirks) -> Session {
        let mut session = Session::new(quirks);
        let (fact, step) = session.receive(&inform());
        assert!(matches!(fact, Some(Fact::Informed(..))), "{fact:?}");
        let Step::Answer(answer) = step else { panic!("{step:?}") };
        let read = soap::read(&answer, &Limits::default()).unwrap();
        assert_eq!(read.namespace, Namespace::V1_0);
        assert_eq!(read.message, Message::Response(Response::Inform { max_envelopes: 1 }));
        assert_eq!(read.header.id.as_deref(), Some(if quirks.mismatched_id { "another" } else { "a" }));
        session
    }

    fn reboot() -> Payload {
        Payload::of(Request::Reboot("k".into()), Namespace::V1_2).unwrap()
    }

    /// What an answer to a Reboot of ticket 5 comes to.
    fn answered(message: Message, id: &str) -> Outcome {
        let mut session = open(Quirks::default());
        assert_eq!(session.receive(b""), (None, Step::Idle));
        let sent = session.request(Ticket(5), &reboot());
        assert_eq!(soap::read(&sent, &Limits::default()).unwrap().header.id.as_deref(), Some("acs-5"));
        match session.receive(&post(message, id)) {
            (Some(Fact::Answered(Ticket(5), outcome)), Step::Idle) => outcome,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_whole_session() {
        let mut session = open(Quirks::default());
        let (fact, step) = session.receive(&post(Message::Request(Request::GetRpcMethods), "b"));
        assert!(matches!(fact, Some(Fact::Called(name, _)) if name == "GetRPCMethods"));
        let Step::Answer(answer) = step else { panic!("{step:?}") };
        assert!(String::from_utf8(answer).unwrap().contains("TransferComplete"));
        assert_eq!(session.receive(b""), (None, Step::Idle));
        session.request(Ticket(1), &reboot());
        let (fact, step) = session.receive(&post(Message::Response(Response::Reboot), "acs-1"));
        assert_eq!((fact, step), (Some(Fact::Answered(Ticket(1), Ok(Response::Reboot))), Step::Idle));
        assert_eq!((session.finish(), session.sent(), session.is_over()), (204, 1, true));
        assert!(matches!(session.receive(b""), (None, Step::Refuse(400, _))));
    }

    #[test]
    fn answers_are_told_apart() {
        let fault = Fault::new(9003, "x");
        assert_eq!(answered(Message::Fault(fault.clone()), "acs-5"), Err(Unmet::Fault(fault)));
        assert!(matches!(answered(Message::Response(Response::Reboot), "acs-4"), Err(Unmet::Broken(_))));
        let other = Message::Response(Response::DeleteObject(Status::Applied));
        assert!(matches!(answered(other, "acs-5"), Err(Unmet::Broken(_))));
    }

    #[test]
    fn what_ends_a_session() {
        let refused = |session: &mut Session, body: &[u8]| match session.receive(body) {
            (_, Step::Refuse(400, why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(refused(&mut Session::new(Quirks::default()), b"").contains("begins with an Inform"));
        let call = post(Message::Request(Request::GetRpcMethods), "1");
        assert!(refused(&mut Session::new(Quirks::default()), &call).contains("not GetRPCMethods"));
        assert!(refused(&mut open(Quirks::default()), &inform()).contains("second Inform"));
        assert!(refused(&mut open(Quirks::default()), b"<junk").contains("not XML"));
        let response = post(Message::Response(Response::Reboot), "1");
        assert!(refused(&mut open(Quirks::default()), &response).contains("answer to nothing"));
        let mut session = open(Quirks::default());
        session.request(Ticket(1), &reboot());
        let (fact, step) = session.receive(&call);
        assert!(matches!(fact, Some(Fact::Answered(Ticket(1), Err(Unmet::Broken(_))))));
        assert!(matches!(step, Step::Refuse(400, _)) && session.is_over());
    }

    #[test]
    fn nothing_instead_of_an_answer() {
        let mut session = open(Quirks::default());
        session.request(Ticket(1), &reboot());
        let (fact, step) = session.receive(b"");
        assert!(matches!(fact, Some(Fact::Answered(Ticket(1), Err(Unmet::Broken(_))))));
        assert_eq!(step, Step::Idle);
        session.request(Ticket(2), &reboot());
        assert_eq!(session.abandon(), Some((Ticket(2), "Reboot".into())));
    }

    #[test]
    fn foreign_calls_get_8000() {
        let call = |quirks| {
            let request = Request::Unsupported("X_EX_Do".into());
            let Step::Answer(answer) = open(quirks).receive(&post(Message::Request(request), "7")).1 else {
                panic!("refused")
            };
            String::from_utf8(answer).unwrap()
        };
        let plain = call(Quirks::default());
        assert!(plain.contains("<FaultCode>8000</FaultCode>") && !plain.contains("Body:Fault"), "{plain}");
        let odd = call(Quirks { malformed_faults: true, ..Quirks::default() });
        assert_eq!(odd.matches("Body:Fault>").count(), 2, "{odd}");
        assert!(matches!(soap::read(odd.as_bytes(), &Limits::default()).unwrap().message, Message::Fault(_)));
    }

    #[test]
    fn every_call_of_a_cpe_has_its_answer() {
        let kicked =
            Kicked { command: "c".into(), next: "http://x.example/?a&b".into(), ..Kicked::default() };
        let arguments = vec![("a".to_owned(), "b".to_owned())];
        let wish = RequestDownload { file_type: "1 Firmware Upgrade Image".into(), arguments };
        for (request, expected, told) in [
            (Request::Kicked(kicked), "KickedResponse", "c"),
            (Request::RequestDownload(wish), "RequestDownloadResponse", "1 Firmware Upgrade Image a=b"),
            (Request::AutonomousTransferComplete(Box::default()), "AutonomousTransferCompleteResponse", ""),
            (
                Request::DuStateChangeComplete(DuStateChangeComplete {
                    results: vec![],
                    command_key: "k".into(),
                }),
                "DUStateChangeCompleteResponse",
                "k",
            ),
            (Request::AutonomousDuStateChangeComplete(vec![]), "AutonomousDUStateChangeCompleteResponse", ""),
            (Request::GetRpcMethods, "GetRPCMethodsResponse", ""),
        ] {
            let (fact, step) = open(Quirks::default()).receive(&post(Message::Request(request), "7"));
            let Step::Answer(answer) = step else { panic!("{step:?}") };
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.contains(&format!("cwmp:{expected}")), "{answer}");
            assert!(matches!(fact, Some(Fact::Called(_, said)) if said.contains(told)), "{expected}");
            if expected.starts_with("Kicked") {
                assert!(answer.contains("<NextURL>http://x.example/?a&amp;b</NextURL>"), "{answer}");
            }
        }
    }

    #[test]
    fn requests_are_spoilt_when_asked() {
        let mut session = open(Quirks { no_names: true, next_level_digit: true, ..Quirks::default() });
        let none = session.unasked().unwrap();
        assert_eq!(
            Payload::parse(std::str::from_utf8(&none).unwrap()).unwrap().method(),
            "GetParameterValues"
        );
        let values = Message::Response(Response::GetParameterValues(vec![]));
        let (fact, step) = session.receive(&post(values, "acs-none"));
        assert!(matches!((fact, step), (Some(Fact::Answered(NOBODY, Ok(_))), Step::Idle)));
        assert_eq!(session.unasked(), None);
        let names = GetParameterNames { parameter_path: String::new(), next_level: false };
        let payload = Payload::of(Request::GetParameterNames(names), Namespace::V1_0).unwrap();
        let text = String::from_utf8(session.request(Ticket(3), &payload)).unwrap();
        assert!(text.contains("<NextLevel>0</NextLevel>"), "{text}");

        let mut session = open(Quirks { raw_url: true, reused_id: true, ..Quirks::default() });
        let download =
            Download { url: "http://x/?a=1&b=2".into(), file_type: "A & B".into(), ..Download::default() };
        let payload = Payload::of(Request::Download(Box::new(download)), Namespace::V1_0).unwrap();
        let text = String::from_utf8(session.request(Ticket(3), &payload)).unwrap();
        assert!(text.contains("<URL>http://x/?a=1&b=2</URL>") && text.contains(">A & B</"), "{text}");
        assert!(text.contains(">a</cwmp:ID>"), "the Inform's: {text}");
    }

    #[test]
    fn quirks_show() {
        open(Quirks { mismatched_id: true, ..Quirks::default() });
        let mut session = open(Quirks { empty_ok: true, empty_answers: true, ..Quirks::default() });
        let call = post(Message::Request(Request::GetRpcMethods), "1");
        assert_eq!(session.receive(&call).1, Step::Answer(Vec::new()));
        assert_eq!(session.finish(), 200);
    }
}
