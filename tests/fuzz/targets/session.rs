//! A whole session with an ACS that answers anything, over a data model in memory.
//!
//! The input is pieces with a `\0` after each: an octet that says how the rest of the piece comes, an answer's body as
//! it is or in an envelope. Whatever the answers are, the session ends within its bounds, what is sent is well-formed and
//! belongs to what was asked, and the model can be read afterwards.

use std::time::Duration;

use rcwmp::agent::exchange;
use rcwmp::cwmp::dispatch::{self, Duties};
use rcwmp::cwmp::event::{Event, EventCode};
use rcwmp::cwmp::fault::Fault;
use rcwmp::cwmp::queue::{Message as Stored, Queue, Receipt};
use rcwmp::cwmp::rpc::{
    DeviceId, Inform, Message, Request, Response, Status, TransferComplete, TransferTimes,
};
use rcwmp::cwmp::session::{Close, HttpFailure, Input, Limits, Output, Plan, Session};
use rcwmp::cwmp::soap;
use rcwmp::cwmp::soap::envelope::{Envelope, Version};
use rcwmp::model::Model;
use rcwmp::model::load::{Templates, load};
use rcwmp::model::memory::Memory;
use rcwmp::model::schema::Schema;

use super::system::{MODEL, System};

const LIMITS: Limits =
    Limits { exchanges: 40, total: Duration::from_secs(300), answer: Duration::from_secs(30) };

/// A device that promises whatever is asked.
struct Willing;

impl Duties for Willing {
    fn perform(&mut self, request: &Request) -> Result<Response, Fault> {
        let times = || TransferTimes {
            status: Status::Applied,
            start_time: "2026-11-21T05:00:00Z".into(),
            complete_time: "2026-11-21T05:00:01Z".into(),
        };
        match request {
            Request::Reboot(_) => Ok(Response::Reboot),
            Request::FactoryReset => Ok(Response::FactoryReset),
            Request::Download(_) => Ok(Response::Download(times())),
            Request::Upload(_) => Ok(Response::Upload(times())),
            Request::ScheduleInform { .. } => Ok(Response::ScheduleInform),
            other => Err(Fault::new(9000, other.name())),
        }
    }
}

/// One input.
pub fn run(octets: &[u8]) {
    let [first, rest @ ..] = octets else { return };
    let mut bench = Bench::new(*first);
    bench.feed(Input::Begin);
    for piece in rest.split(|octet| *octet == 0).take(64) {
        let Some((how, body)) = piece.split_first() else { continue };
        bench.now += Duration::from_secs(u64::from(how >> 5) * 3);
        let input = bench.input(*how, body);
        bench.feed(input);
        if bench.closed {
            break;
        }
    }
    bench.end();
}

struct Bench {
    session: Session,
    queue: Queue,
    model: Model<System>,
    now: Duration,
    /// The last that was sent.
    posted: Option<Box<Envelope>>,
    /// What the ACS has asked and has no answer to: its `ID` and the method.
    asked: Option<(Option<String>, String)>,
    informed: bool,
    /// An empty POST went out without HoldRequests.
    finished: bool,
    held: bool,
    closed: bool,
    posts: u32,
    id: u32,
}

thread_local! {
    // What is read of a model's file stays for a process's life.
    static SCHEMA: Schema = {
        let objects = load("model.json", MODEL, &mut Templates::default()).expect("our own");
        Schema::new(objects).expect("our own")
    };
}

impl Bench {
    fn new(first: u8) -> Bench {
        let model = Model::new(SCHEMA.with(Schema::clone), System::new(), Memory::default());
        let version = Version::ALL[usize::from(first) % Version::ALL.len()];
        let mut queue = Queue::default();
        queue.booted(true, &[]).expect("there is room");
        for key in ["one", "two"].iter().take(usize::from(first >> 3 & 3)) {
            let cause = Event { code: EventCode::parse("M Download"), command_key: (*key).to_owned() };
            let message = TransferComplete {
                command_key: (*key).to_owned(),
                fault_code: 0,
                fault_string: String::new(),
                start_time: "2026-11-21T05:00:00Z".to_owned(),
                complete_time: "2026-11-21T05:01:00Z".to_owned(),
            };
            queue.add_message(Stored::TransferComplete(message), Some(cause)).expect("there is room");
        }
        let snapshot = queue.open_session(version);
        let mut plan = Plan::new(Inform {
            device_id: DeviceId::default(),
            events: snapshot.events,
            max_envelopes: 1,
            current_time: "2026-11-21T06:00:00+01:00".to_owned(),
            retry_count: 0,
            parameter_list: Vec::new(),
        });
        plan.calls = snapshot.calls;
        (plan.version, plan.limits) = (version, LIMITS);
        Bench {
            session: Session::new(plan),
            queue,
            model,
            now: Duration::from_secs(1000),
            posted: None,
            asked: None,
            informed: false,
            finished: false,
            held: false,
            closed: false,
            posts: 0,
            id: 100,
        }
    }

    /// What a piece means: most are answers, some are what else can happen.
    fn input(&mut self, how: u8, body: &[u8]) -> Input {
        match how & 7 {
            _ if body.is_empty() => Input::Empty,
            0 => exchange::read(body),
            1..=4 => {
                self.id += 1;
                let id = match (&self.posted, how & 7) {
                    (Some(envelope), 1 | 2) => envelope.header.id.clone().unwrap_or_default(),
                    _ => self.id.to_string(),
                };
                let hold = if how & 1 == 0 { "<cwmp:HoldRequests>1</cwmp:HoldRequests>" } else { "" };
                let minor = how >> 3 & 3;
                let text = format!(
                    "<S:Envelope xmlns:S=\"http://schemas.xmlsoap.org/soap/envelope/\" \
                     xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                     xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
                     xmlns:E=\"http://schemas.xmlsoap.org/soap/encoding/\" \
                     xmlns:cwmp=\"urn:dslforum-org:cwmp-1-{minor}\"><S:Header><cwmp:ID>{id}</cwmp:ID>{hold}\
                     </S:Header><S:Body>"
                );
                exchange::read(&[text.as_bytes(), body, b"</S:Body></S:Envelope>"].concat())
            }
            5 => Input::HttpFailed(HttpFailure::Status(u16::from(body[0]) + 300)),
            6 => Input::Tick,
            _ => Input::Performed(Err(Fault::new(9002, ""))),
        }
    }

    fn feed(&mut self, input: Input) {
        let stray = matches!(input, Input::Performed(_) | Input::Tick | Input::Begin);
        match &input {
            Input::Reply(envelope) => {
                self.held = envelope.header.hold_requests;
                if let Message::Request(request) = &envelope.message {
                    self.asked = Some((envelope.header.id.clone(), request.name().to_owned()));
                }
            }
            Input::BadRequest { id, hold_requests, method, .. } => {
                self.held = *hold_requests;
                self.asked = Some((id.clone(), method.clone()));
            }
            Input::Empty => self.held = false,
            _ => {}
        }
        let posts = self.posts;
        self.session.handle(input, self.now);
        self.drain();
        assert!(stray || self.closed || self.posts > posts, "an answer is followed by a POST or the end");
    }

    fn drain(&mut self) {
        for _ in 0..16 {
            let output = self.session.poll_output();
            assert!(!self.closed || matches!(output, Output::Wait(None)), "{output:?} after the end");
            match output {
                Output::Wait(deadline) => {
                    assert_eq!(self.session.is_closed(), self.closed);
                    let latest = Duration::from_secs(1000) + LIMITS.total;
                    assert!(deadline.is_none_or(|at| at <= latest && at <= self.now + LIMITS.answer));
                    return;
                }
                Output::Post(body) => self.post(body),
                Output::Perform(request) => {
                    assert!(self.informed);
                    let outcome = dispatch::perform(&request, &mut self.model, &mut Willing);
                    self.session.handle(Input::Performed(outcome), self.now);
                }
                Output::Deliver(receipt) => {
                    assert_ne!(self.informed, receipt == Receipt::Inform);
                    self.informed = true;
                    self.queue.delivered(receipt);
                }
                Output::Close(close) => {
                    assert!(close != Close::Success || self.finished && self.informed);
                    assert!(close.explain().len() < 16 * 1024);
                    self.queue.close_session(close == Close::Success);
                    self.closed = true;
                }
                Output::Learned(methods) => assert!(methods.len() <= 20_000),
                Output::Remark(remark) => assert!(remark.to_string().len() < 4096),
                Output::Connect => assert_eq!(self.posts, 0),
            }
        }
        panic!("outputs without end");
    }

    fn post(&mut self, body: Option<Box<Envelope>>) {
        self.posts += 1;
        assert!(self.posts <= LIMITS.exchanges);
        let Some(envelope) = body else {
            assert!(self.informed && self.asked.is_none(), "an empty POST instead of an answer");
            self.finished |= !self.held;
            self.posted = None;
            return;
        };
        let written = soap::write(&envelope);
        assert!(written.len() < 8 << 20);
        let read = soap::read(&written, &soap::Limits::default());
        let read = read.unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&written)));
        assert_eq!(read.header.id, envelope.header.id);
        match &envelope.message {
            Message::Request(request) => {
                let first = matches!(request, Request::Inform(_));
                let again = self.posted.as_ref() == Some(&envelope);
                assert!(self.asked.is_none() && !self.finished, "a call at the wrong time");
                assert!(first != self.informed && (first || !self.held || again), "{request:?}");
            }
            answer => {
                let (id, method) = self.asked.take().expect("an answer to a question");
                assert_eq!(envelope.header.id, id);
                match answer {
                    Message::Response(response) => assert_eq!(response.name(), method),
                    Message::Fault(fault) => assert!((9000..=9899).contains(&fault.code), "{fault:?}"),
                    Message::Request(_) => unreachable!(),
                }
            }
        }
        self.posted = Some(envelope);
    }

    fn end(mut self) {
        if !self.closed {
            self.now += LIMITS.total;
            self.feed(Input::Tick);
        }
        assert!(self.closed, "time ends it");
        self.model.refresh();
        let names = self.model.names("", false).expect("all names");
        let values = self.model.values([""]).expect("all values");
        assert_eq!(values.len(), names.iter().filter(|(name, _)| !name.ends_with('.')).count());
        // The queue takes the next session as if nothing had been.
        let snapshot = self.queue.open_session(Version::V1_4);
        assert!(snapshot.calls.len() <= 2 && snapshot.events.len() <= 8);
    }
}
