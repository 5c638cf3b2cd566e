//! Each rule of TR-069 3.7 as a short transcript: what is fed in, what comes out, in words.

mod acs;
mod random;

use super::*;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::fault::Fault;
use crate::cwmp::queue::tests::kinds;
use crate::cwmp::queue::{Message as Stored, Queue};
use crate::cwmp::rpc::{DeviceId, GetParameterNames, Message, Status, TransferComplete};
use crate::cwmp::soap::envelope::{Header, Namespace};

/// A session with its queue and a clock that is turned by hand.
struct Bench {
    session: Session,
    queue: Queue,
    now: Duration,
    posted: Option<Box<Envelope>>,
    ended: Option<Close>,
}

/// What the queue and the plan of a bench have.
#[derive(Clone, Copy)]
struct Setup {
    /// CommandKeys of transfers to report.
    transfers: &'static [&'static str],
    /// GetRPCMethods goes before them.
    methods: bool,
    version: Version,
    limits: Limits,
}

const SETUP: Setup = Setup {
    transfers: &[],
    methods: false,
    version: Version::V1_4,
    limits: Limits { exchanges: 100, total: Duration::from_secs(600), answer: Duration::from_secs(60) },
};

fn inform(events: Vec<Event>) -> Inform {
    Inform {
        device_id: DeviceId::default(),
        events,
        max_envelopes: 1,
        current_time: "2026-11-21T06:00:00+01:00".to_owned(),
        retry_count: 0,
        parameter_list: vec![],
    }
}

fn transfer(key: &str) -> TransferComplete {
    TransferComplete {
        command_key: key.to_owned(),
        fault_code: 0,
        fault_string: String::new(),
        start_time: "2026-11-21T05:00:00Z".to_owned(),
        complete_time: "2026-11-21T05:01:00Z".to_owned(),
    }
}

impl Bench {
    fn new(setup: Setup) -> Bench {
        let mut queue = Queue::default();
        queue.booted(true, &[]).unwrap();
        for key in setup.transfers {
            let cause = Event { code: EventCode::parse("M Download"), command_key: (*key).to_owned() };
            queue.add_message(Stored::TransferComplete(transfer(key)), Some(cause)).unwrap();
        }
        let snapshot = queue.open_session(setup.version);
        let mut plan = Plan::new(inform(snapshot.events));
        if setup.methods {
            plan.calls.push(Call { ticket: None, request: Request::GetRpcMethods });
        }
        plan.calls.extend(snapshot.calls);
        plan.version = setup.version;
        plan.session_timeout = Some(10);
        plan.limits = setup.limits;
        Bench {
            session: Session::new(plan),
            queue,
            now: Duration::from_secs(1000),
            posted: None,
            ended: None,
        }
    }

    /// The Inform is out.
    fn informing(setup: Setup) -> Bench {
        let mut bench = Bench::new(setup);
        bench.feed(Input::Begin, "connect, post Inform #1");
        bench
    }

    /// The first call is out; there must be one.
    fn asking(setup: Setup) -> Bench {
        let mut bench = Bench::informing(setup);
        bench.session.handle(inform_response(), bench.now);
        bench.drain();
        assert_eq!(bench.session.stage(), "asking");
        bench
    }

    /// The last empty POST is out; nothing is left to ask.
    fn listening() -> Bench {
        let mut bench = Bench::informing(SETUP);
        bench.feed(inform_response(), "deliver inform, post");
        bench
    }

    /// A GetParameterNames of the ACS is out to be performed.
    fn performing() -> Bench {
        let mut bench = Bench::listening();
        bench.feed(names("g"), "perform GetParameterNames");
        bench
    }

    /// Feeds an input and checks what comes out, up to Wait.
    fn feed(&mut self, input: Input, expected: &str) {
        let shown = format!("{input:?}");
        self.session.handle(input, self.now);
        assert_eq!(self.drain(), expected, "after {shown}");
    }

    fn wait(&mut self, seconds: u64, expected: &str) {
        self.now += Duration::from_secs(seconds);
        self.feed(Input::Tick, expected);
    }

    fn drain(&mut self) -> String {
        let mut said = Vec::new();
        loop {
            let output = self.session.poll_output();
            match &output {
                Output::Wait(deadline) => {
                    assert_eq!(deadline.is_none(), matches!(self.session.stage(), "ready" | "closed"));
                    return said.join(", ");
                }
                Output::Deliver(receipt) => self.queue.delivered(*receipt),
                Output::Post(envelope) => self.posted = envelope.clone(),
                Output::Close(close) => {
                    self.queue.close_session(*close == Close::Success);
                    self.ended = Some(close.clone());
                }
                _ => {}
            }
            said.push(words(&output));
        }
    }

    fn failure(&self) -> String {
        self.ended.as_ref().unwrap().explain()
    }
}

fn words(output: &Output) -> String {
    match output {
        Output::Connect => "connect".to_owned(),
        Output::Post(None) => "post".to_owned(),
        Output::Post(Some(envelope)) => {
            let what = match &envelope.message {
                Message::Request(Request::TransferComplete(message)) => {
                    format!("TransferComplete {}", message.command_key)
                }
                Message::Request(request) => request.name().to_owned(),
                Message::Response(response) => format!("{}Response", response.name()),
                Message::Fault(fault) => format!("fault {}", fault.code),
            };
            format!("post {what} #{}", envelope.header.id.as_deref().unwrap_or("none"))
        }
        Output::Perform(request) => format!("perform {}", request.name()),
        Output::Deliver(Receipt::Inform) => "deliver inform".to_owned(),
        Output::Deliver(Receipt::Call(_)) => "deliver call".to_owned(),
        Output::Learned(methods) => format!("learned {}", methods.join("+")),
        Output::Remark(remark) => format!("({remark})"),
        Output::Close(Close::Success) => "success".to_owned(),
        Output::Close(Close::Failed(_)) => "failure".to_owned(),
        Output::Wait(_) => "wait".to_owned(),
    }
}

fn reply(id: &str, message: Message) -> Input {
    let header = Header { id: Some(id.to_owned()), ..Header::default() };
    Input::Reply(Envelope { namespace: Namespace::V1_2, header, message })
}

fn respond(id: &str, response: Response) -> Input {
    reply(id, Message::Response(response))
}

fn refuse(id: &str, code: u16) -> Input {
    reply(id, Message::Fault(Fault::new(code, "")))
}

fn inform_response() -> Input {
    respond("1", Response::Inform { max_envelopes: 1 })
}

fn names(id: &str) -> Input {
    let call = GetParameterNames { parameter_path: String::new(), next_level: true };
    reply(id, Message::Request(Request::GetParameterNames(call)))
}

fn performed() -> Input {
    Input::Performed(Ok(Response::GetParameterNames(vec![])))
}

fn holding(input: Input) -> Input {
    change(input, |envelope| envelope.header.hold_requests = true)
}

fn change(input: Input, how: impl FnOnce(&mut Envelope)) -> Input {
    let Input::Reply(mut envelope) = input else { panic!("not an envelope: {input:?}") };
    how(&mut envelope);
    Input::Reply(envelope)
}

const ONE: Setup = Setup { transfers: &["a"], ..SETUP };
const TWO: Setup = Setup { transfers: &["a", "b"], ..SETUP };

#[test]
fn the_shortest_session() {
    let mut bench = Bench::listening();
    assert!(bench.queue.is_empty(), "delivered with InformResponse");
    bench.feed(Input::Empty, "success");
    assert_eq!(bench.failure(), "the session was successful");
    bench.feed(names("late"), "");
    assert_eq!((bench.session.is_closed(), bench.session.stage()), (true, "closed"));
}

#[test]
fn calls_go_before_the_empty_post_and_requests_of_the_acs_after() {
    let mut bench = Bench::informing(Setup { methods: true, ..TWO });
    bench.feed(inform_response(), "deliver inform, post GetRPCMethods #2");
    let methods = vec!["Inform".to_owned(), "TransferComplete".to_owned()];
    bench.feed(
        respond("2", Response::GetRpcMethods(methods)),
        "learned Inform+TransferComplete, post TransferComplete a #3",
    );
    bench.feed(respond("3", Response::TransferComplete), "deliver call, post TransferComplete b #4");
    bench.feed(respond("4", Response::TransferComplete), "deliver call, post");
    bench.feed(names("7"), "perform GetParameterNames");
    bench.feed(performed(), "post GetParameterNamesResponse #7");
    bench.feed(names("8"), "perform GetParameterNames");
    bench.feed(Input::Performed(Err(Fault::new(9005, ""))), "post fault 9005 #8");
    bench.feed(Input::Empty, "success");
    assert!(bench.queue.is_empty());
}

#[test]
fn inform_announces_what_its_version_has() {
    let header = |version| Bench::informing(Setup { version, ..SETUP }).posted.unwrap();
    let newest = header(Version::V1_4);
    assert_eq!(newest.header.supported_cwmp_versions, Version::ALL);
    assert_eq!((newest.namespace, newest.header.session_timeout), (Namespace::V1_2, Some(30)));
    let third = header(Version::V1_3);
    assert_eq!((third.header.supported_cwmp_versions.len(), third.header.session_timeout), (0, Some(30)));
    let oldest = header(Version::V1_0);
    assert_eq!((oldest.namespace, oldest.header.session_timeout), (Namespace::V1_0, None));
    assert!(oldest.header.supported_cwmp_versions.is_empty() && !oldest.header.hold_requests);
}

#[test]
fn versions_are_agreed() {
    let agreed = |spoken, namespace, chosen| {
        let mut bench = Bench::informing(Setup { version: spoken, ..SETUP });
        let answer = change(inform_response(), |envelope| {
            envelope.namespace = namespace;
            envelope.header.use_cwmp_version = chosen;
        });
        bench.session.handle(answer, bench.now);
        bench.session.version()
    };
    assert_eq!(agreed(Version::V1_4, Namespace::V1_2, Some(Version::V1_3)), Some(Version::V1_3));
    assert_eq!(agreed(Version::V1_4, Namespace::V1_2, Some(Version::V1_4)), Some(Version::V1_4));
    assert_eq!(agreed(Version::V1_4, Namespace::V1_2, None), Some(Version::V1_2));
    assert_eq!(agreed(Version::V1_4, Namespace::V1_1, None), Some(Version::V1_1));
    assert_eq!(agreed(Version::V1_4, Namespace::V1_0, None), Some(Version::V1_0));
    // Without our list UseCWMPVersion is out of place, and nothing newer than what we spoke is inferred.
    assert_eq!(agreed(Version::V1_0, Namespace::V1_2, Some(Version::V1_4)), Some(Version::V1_0));
}

#[test]
fn a_version_not_offered_ends_the_session_undelivered() {
    let mut bench = Bench::informing(SETUP);
    let answer = change(inform_response(), |envelope| {
        envelope.header.use_cwmp_version = Some(Version { major: 1, minor: 5 });
    });
    bench.feed(answer, "failure");
    assert_eq!(bench.failure(), "the session failed: the ACS chose CWMP 1.5, which was not offered");
    assert!(bench.queue.contains(&EventCode::Bootstrap));
}

#[test]
fn calls_newer_than_the_version_are_held_back() {
    let [_, (transfer, _), (du, _), ..] = kinds();
    let call = |message: Stored| Call { ticket: None, request: message.request() };
    let mut plan = Plan::new(inform(vec![]));
    plan.calls = vec![call(transfer), call(du)];
    let mut session = Session::new(plan);
    session.handle(Input::Begin, Duration::ZERO);
    session
        .handle(change(inform_response(), |envelope| envelope.namespace = Namespace::V1_1), Duration::ZERO);
    let said: Vec<_> =
        std::iter::repeat_with(|| session.poll_output()).take(5).map(|output| words(&output)).collect();
    assert_eq!(said[3], "(DUStateChangeComplete is not sent, because CWMP 1.1 does not have it)");
    assert_eq!(said[4], "post AutonomousTransferComplete #2");
}

#[test]
fn each_message_is_delivered_by_its_own_response() {
    let mut queue = Queue::default();
    for (message, cause) in kinds() {
        queue.add_message(message, cause).unwrap();
    }
    let snapshot = queue.open_session(Version::V1_4);
    let mut plan = Plan::new(inform(snapshot.events));
    plan.calls = snapshot.calls.clone();
    let mut session = Session::new(plan);
    let mut feed = |input| {
        session.handle(input, Duration::ZERO);
        let mut said = Vec::new();
        loop {
            match session.poll_output() {
                Output::Wait(_) => return said,
                Output::Deliver(receipt) => {
                    queue.delivered(receipt);
                    said.push(format!("{receipt:?}"));
                }
                output => said.push(words(&output)),
            }
        }
    };
    feed(Input::Begin);
    feed(inform_response());
    let responses = [
        Response::TransferComplete,
        Response::AutonomousTransferComplete,
        Response::DuStateChangeComplete,
        Response::AutonomousDuStateChangeComplete,
        Response::RequestDownload,
        Response::Kicked { next_url: "http://192.0.2.1/next".to_owned() },
    ];
    for (at, (call, response)) in snapshot.calls.iter().zip(responses).enumerate() {
        assert_eq!(call.request.name(), response.name());
        let said = feed(respond(&(at + 2).to_string(), response));
        let delivered = format!("{:?}", Receipt::Call(call.ticket.unwrap()));
        assert_eq!((&said[0], said.len()), (&delivered, 2), "no remark: {said:?}");
    }
    assert_eq!(feed(Input::Empty), ["success"]);
    assert!(queue.is_empty());
}

#[test]
fn the_namespace_of_the_acs_is_used_from_then_on() {
    let mut bench = Bench::informing(ONE);
    let first = |envelope: &mut Envelope| envelope.namespace = Namespace::V1_0;
    bench.feed(change(inform_response(), first), "deliver inform, post TransferComplete a #2");
    assert_eq!(bench.posted.as_ref().unwrap().namespace, Namespace::V1_0);
    bench.feed(change(respond("2", Response::TransferComplete), first), "deliver call, post");
    bench.feed(change(names("x"), first), "perform GetParameterNames");
    bench.feed(performed(), "post GetParameterNamesResponse #x");
    assert_eq!(bench.posted.as_ref().unwrap().namespace, Namespace::V1_0);
}

#[test]
fn the_id_of_the_acs_is_echoed_exactly_or_left_out() {
    let mut bench = Bench::listening();
    bench.feed(names(" ü<1> "), "perform GetParameterNames");
    bench.feed(performed(), "post GetParameterNamesResponse # ü<1> ");
    bench.feed(change(names(""), |envelope| envelope.header.id = None), "perform GetParameterNames");
    bench.feed(performed(), "post GetParameterNamesResponse #none");
    let unknown = reply("u", Message::Request(Request::Unsupported("X_FOO_Bar".to_owned())));
    bench.feed(unknown, "post fault 9000 #u");
    // acsrs reuses the ID of our Inform for its own requests.
    bench.feed(names("1"), "perform GetParameterNames");
}

#[test]
fn methods_of_an_acs_are_not_served() {
    let messages = kinds().map(|(message, _)| message.request());
    for request in messages.into_iter().chain([Request::Inform(Box::new(inform(vec![])))]) {
        let mut bench = Bench::listening();
        bench.feed(reply("i", Message::Request(request)), "post fault 9000 #i");
        bench.feed(Input::Empty, "success");
    }
}

/// Whoever calls a method of a later version knows it, whatever the frame of its messages says.
#[test]
fn newer_methods_are_served_at_an_old_version() {
    let mut bench = Bench::informing(Setup { version: Version::V1_0, ..SETUP });
    let old = |input| change(input, |envelope| envelope.namespace = Namespace::V1_0);
    bench.feed(old(inform_response()), "deliver inform, post");
    let cancel = Message::Request(Request::CancelTransfer("key".to_owned()));
    bench.feed(old(reply("c", cancel)), "perform CancelTransfer");
    bench.feed(Input::Performed(Ok(Response::CancelTransfer)), "post CancelTransferResponse #c");
    assert_eq!(bench.posted.as_ref().unwrap().namespace, Namespace::V1_0);
    bench.feed(Input::Empty, "success");
}

#[test]
fn bad_arguments_are_answered_and_the_session_goes_on() {
    let bad = |hold_requests| Input::BadRequest {
        id: Some("b".to_owned()),
        hold_requests,
        method: "GetParameterNames".to_owned(),
        fault: Fault::new(9003, "NextLevel is missing"),
    };
    let mut bench = Bench::listening();
    bench.feed(bad(false), "post fault 9003 #b");
    bench.feed(Input::Empty, "success");
    let mut bench = Bench::asking(ONE);
    bench.feed(bad(false), "failure");
    assert_eq!(
        bench.failure(),
        "the session failed: the ACS sent GetParameterNames instead of TransferCompleteResponse"
    );
    Bench::informing(ONE).feed(bad(false), "failure");
    Bench::performing().feed(bad(false), "failure");
}

#[test]
fn a_held_session_needs_another_empty_post() {
    let mut bench = Bench::informing(SETUP);
    bench.feed(holding(inform_response()), "deliver inform, post");
    bench.feed(Input::Empty, "post");
    bench.feed(Input::Empty, "success");
}

#[test]
fn held_calls_go_when_an_empty_answer_lifts_the_hold() {
    let mut bench = Bench::informing(ONE);
    bench.feed(holding(inform_response()), "deliver inform, post");
    bench.feed(holding(names("7")), "perform GetParameterNames");
    bench.feed(performed(), "post GetParameterNamesResponse #7");
    bench.feed(Input::Empty, "post TransferComplete a #2");
    bench.feed(respond("2", Response::TransferComplete), "deliver call, post");
    bench.feed(Input::Empty, "success");
}

#[test]
fn a_request_without_hold_is_answered_before_calls_of_ours() {
    let mut bench = Bench::informing(ONE);
    bench.feed(holding(inform_response()), "deliver inform, post");
    bench.feed(names("7"), "perform GetParameterNames");
    bench.feed(performed(), "post GetParameterNamesResponse #7");
    bench.feed(names("8"), "perform GetParameterNames");
    bench.feed(performed(), "post GetParameterNamesResponse #8");
    bench.feed(Input::Empty, "post TransferComplete a #2");
}

#[test]
fn a_hold_between_two_calls() {
    let mut bench = Bench::asking(TWO);
    bench.feed(holding(respond("2", Response::TransferComplete)), "deliver call, post");
    bench.feed(Input::Empty, "post TransferComplete b #3");
    bench.feed(holding(refuse("3", 8002)), "(the ACS refused TransferComplete: 8002 Internal error), post");
    bench.feed(Input::Empty, "post");
    bench.feed(Input::Empty, "success");
}

#[test]
fn a_hold_after_the_last_empty_post_changes_nothing() {
    let mut bench = Bench::listening();
    bench.feed(holding(names("7")), "perform GetParameterNames");
    bench.feed(performed(), "post GetParameterNamesResponse #7");
    bench.feed(Input::Empty, "success");
}

#[test]
fn inform_is_repeated_for_8005_three_times() {
    let again = "(the ACS asked for Inform to be repeated), post Inform #1";
    let mut bench = Bench::informing(SETUP);
    let first = bench.posted.clone();
    for _ in 0..3 {
        bench.feed(refuse("1", 8005), again);
        assert_eq!(bench.posted, first, "identical");
    }
    bench.feed(refuse("1", 8005), "failure");
    assert!(bench.queue.contains(&EventCode::Boot));
    assert!(!bench.ended.unwrap().fall_back());
    let mut bench = Bench::informing(SETUP);
    bench.feed(refuse("1", 8005), again);
    bench.feed(inform_response(), "deliver inform, post");
}

#[test]
fn a_call_is_repeated_for_8005_three_times() {
    let mut bench = Bench::asking(ONE);
    let first = bench.posted.clone();
    for _ in 0..3 {
        bench.feed(
            refuse("2", 8005),
            "(the ACS asked for TransferComplete to be repeated), post TransferComplete a #2",
        );
        assert_eq!(bench.posted, first);
    }
    bench.feed(refuse("2", 8005), "failure");
    assert!(bench.queue.contains(&EventCode::TransferComplete));
}

#[test]
fn any_other_fault_to_inform_fails_the_session() {
    for (code, version, fall_back) in [
        (8000, Version::V1_4, true),
        (8003, Version::V1_4, true),
        (8006, Version::V1_4, true),
        (8004, Version::V1_4, false),
        (8003, Version::V1_0, false),
    ] {
        let mut bench = Bench::informing(Setup { version, ..SETUP });
        bench.feed(refuse("1", code), "failure");
        let close = bench.ended.unwrap();
        assert_eq!((close.retryable(), close.fall_back()), (true, fall_back), "{code} at {version}");
        assert!(bench.queue.contains(&EventCode::Bootstrap));
    }
}

#[test]
fn a_fault_to_a_call_leaves_it_undelivered() {
    let mut bench = Bench::asking(TWO);
    bench.feed(
        refuse("2", 8001),
        "(the ACS refused TransferComplete: 8001 Request denied), post TransferComplete b #3",
    );
    bench.feed(respond("3", Response::TransferComplete), "deliver call, post");
    bench.feed(Input::Empty, "success");
    let left = bench.queue.open_session(Version::V1_4);
    assert_eq!(left.events.len(), 2);
    assert_eq!(left.calls[0].request, Request::TransferComplete(transfer("a")));
}

#[test]
fn tolerances_of_answers_to_calls() {
    let ask = || Bench::asking(ONE);
    ask().feed(
        Input::Empty,
        "(the ACS answered TransferComplete with nothing, which is taken for its response), deliver call, post",
    );
    ask().feed(
        Input::Unreadable("a name with two colons".to_owned()),
        "(the answer to TransferComplete cannot be read and is taken for a refusal: a name with two colons), post",
    );
    ask().feed(
        respond("1", Response::TransferComplete),
        "(the ACS answered TransferComplete under another ID), deliver call, post",
    );
    let other = |id: &str| {
        reply(id, Message::Request(Request::Unsupported("AutonomousTransferCompleteResponse".to_owned())))
    };
    ask().feed(
        other("2"),
        "(the ACS answered TransferComplete with AutonomousTransferCompleteResponse, which is taken for its response), \
         deliver call, post",
    );
    ask().feed(other("9"), "failure");
    ask().feed(respond("9", Response::Reboot), "failure");
    Bench::informing(SETUP).feed(
        respond("9", Response::Inform { max_envelopes: 1 }),
        "(the ACS answered Inform under another ID), deliver inform, post",
    );
}

#[test]
fn messages_out_of_turn_end_the_session() {
    let check = |mut bench: Bench, input: Input, got: &str| {
        bench.feed(input, "failure");
        assert!(bench.failure().contains(got), "{}", bench.failure());
    };
    check(Bench::informing(ONE), Input::Empty, "an empty answer instead of InformResponse");
    check(Bench::informing(ONE), names("7"), "GetParameterNames instead of InformResponse");
    check(
        Bench::informing(ONE),
        respond("1", Response::TransferComplete),
        "TransferCompleteResponse instead of Inform",
    );
    check(Bench::asking(ONE), names("7"), "GetParameterNames instead of TransferCompleteResponse");
    check(Bench::listening(), inform_response(), "InformResponse instead of a request or nothing");
    check(Bench::listening(), refuse("7", 8001), "fault 8001 instead of");
    let unknown = reply("7", Message::Request(Request::Unsupported("XResponse".to_owned())));
    check(Bench::listening(), unknown, "XResponse instead of");
    check(Bench::performing(), names("8"), "GetParameterNames instead of nothing before the answer");
    check(Bench::performing(), Input::Empty, "an empty answer instead of");
}

#[test]
fn unreadable_answers_end_the_session_elsewhere() {
    for mut bench in [Bench::informing(ONE), Bench::listening(), Bench::performing()] {
        bench.feed(Input::Unreadable("not XML".to_owned()), "failure");
        assert!(bench.failure().ends_with(": not XML"));
        assert!(!bench.ended.unwrap().fall_back());
    }
}

#[test]
fn http_failures_end_the_session() {
    for (failure, fall_back) in [
        (HttpFailure::Unreachable("connection refused".to_owned()), false),
        (HttpFailure::Lost("closed".to_owned()), false),
        (HttpFailure::Credentials, false),
        (HttpFailure::Redirect("6 in a row".to_owned()), false),
        (HttpFailure::Status(503), false),
        (HttpFailure::Status(404), false),
        (HttpFailure::Status(400), true),
        (HttpFailure::Status(500), true),
    ] {
        let mut bench = Bench::informing(SETUP);
        bench.feed(Input::HttpFailed(failure.clone()), "failure");
        assert_eq!(bench.ended.unwrap().fall_back(), fall_back, "{failure}");
        for mut bench in [Bench::asking(ONE), Bench::listening()] {
            bench.feed(Input::HttpFailed(failure.clone()), "failure");
            let close = bench.ended.unwrap();
            assert_eq!((close.fall_back(), close.retryable()), (false, true));
        }
    }
    // The ACS may close the connection while nothing is on its way.
    let mut bench = Bench::performing();
    bench.feed(Input::HttpFailed(HttpFailure::Lost("closed".to_owned())), "");
    bench.feed(performed(), "post GetParameterNamesResponse #g");
}

#[test]
fn an_answer_has_its_time() {
    for mut bench in [Bench::informing(ONE), Bench::asking(ONE), Bench::listening()] {
        bench.wait(59, "");
        bench.wait(1, "failure");
        assert_eq!(bench.failure(), "the session failed: the ACS gave no answer in 60 s");
    }
    let mut bench = Bench::performing();
    bench.wait(590, "");
    bench.feed(performed(), "post GetParameterNamesResponse #g");
    bench.wait(10, "failure");
    assert_eq!(bench.failure(), "the session failed: the session took longer than 600 s");
}

#[test]
fn the_session_has_its_time_and_number() {
    let mut bench = Bench::listening();
    for _ in 0..11 {
        bench.now += Duration::from_secs(50);
        bench.feed(names("7"), "perform GetParameterNames");
        bench.feed(performed(), "post GetParameterNamesResponse #7");
    }
    bench.now += Duration::from_secs(50);
    bench.feed(names("7"), "failure");
    let mut bench = Bench::listening();
    for _ in 2..100 {
        bench.feed(names("7"), "perform GetParameterNames");
        bench.feed(performed(), "post GetParameterNamesResponse #7");
    }
    bench.feed(names("7"), "perform GetParameterNames");
    bench.feed(performed(), "failure");
    assert_eq!(bench.failure(), "the session failed: the session took more than 100 exchanges");
}

#[test]
fn mistakes_of_the_shell_are_harmless() {
    let mut bench = Bench::new(ONE);
    bench.feed(performed(), "");
    bench.feed(Input::Empty, "");
    bench.wait(1_000_000, "");
    bench.feed(Input::Begin, "connect, post Inform #1");
    bench.feed(Input::Begin, "");
    bench.feed(performed(), "");
    let mut bench = Bench::performing();
    bench.feed(Input::Begin, "");
    bench.feed(Input::Performed(Ok(Response::SetParameterValues(Status::Applied))), "post fault 9002 #g");
    bench.feed(Input::Empty, "success");
}
