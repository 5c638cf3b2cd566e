//! Any inputs in any order: the machine neither panics nor breaks a rule that holds whatever the ACS does.

use proptest::prelude::*;

use super::*;

fn message() -> impl Strategy<Value = Message> {
    let fault = prop_oneof![Just(8005u16), Just(8001), any::<u16>()];
    prop_oneof![
        4 => Just(Message::Response(Response::Inform { max_envelopes: 1 })),
        3 => Just(Message::Response(Response::TransferComplete)),
        1 => Just(Message::Response(Response::GetRpcMethods(vec!["Inform".to_owned()]))),
        1 => Just(Message::Response(Response::Reboot)),
        2 => fault.prop_map(|code| Message::Fault(Fault::new(code, ""))),
        3 => Just(Message::Request(Request::GetRpcMethods)),
        1 => Just(Message::Request(Request::Inform(Box::new(inform(vec![]))))),
        1 => prop_oneof![Just("X_A"), Just("BResponse")]
            .prop_map(|name| Message::Request(Request::Unsupported(name.to_owned()))),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let id = proptest::option::of((1u32..6).prop_map(|id| id.to_string()));
    let version = proptest::option::weighted(0.1, (0u8..7).prop_map(|minor| Version { major: 1, minor }));
    let namespace = prop_oneof![Just(Namespace::V1_0), Just(Namespace::V1_2)];
    let envelope = (id, any::<bool>(), version, namespace, message()).prop_map(
        |(id, hold_requests, use_cwmp_version, namespace, message)| {
            let header = Header { id, hold_requests, use_cwmp_version, ..Header::default() };
            Input::Reply(Envelope { namespace, header, message })
        },
    );
    let bad = any::<bool>().prop_map(|hold_requests| Input::BadRequest {
        id: None,
        hold_requests,
        method: "Reboot".to_owned(),
        fault: Fault::new(9003, ""),
    });
    prop_oneof![
        1 => Just(Input::Begin),
        10 => envelope,
        5 => Just(Input::Empty),
        1 => bad,
        1 => Just(Input::Unreadable("?".to_owned())),
        1 => (100u16..600).prop_map(|status| Input::HttpFailed(HttpFailure::Status(status))),
        4 => Just(Input::Performed(Ok(Response::GetRpcMethods(vec![])))),
        1 => Just(Input::Performed(Err(Fault::new(9001, "")))),
        2 => Just(Input::Tick),
    ]
}

/// Tells on its own, from what passes by, what may come next.
#[derive(Default)]
struct Watch {
    begun: bool,
    closed: bool,
    performing: bool,
    informed: bool,
    hold: bool,
    /// An empty POST went out without hold.
    finished: bool,
    last: Option<Box<Envelope>>,
    posts: u32,
}

impl Watch {
    fn output(&mut self, output: &Output) -> Result<(), TestCaseError> {
        prop_assert!(!self.closed, "{:?} after Close", output);
        match output {
            Output::Connect => self.begun = true,
            Output::Post(body) => {
                prop_assert!(self.begun && !self.performing);
                self.posts += 1;
                match body {
                    None => {
                        prop_assert!(self.informed);
                        self.finished |= !self.hold;
                    }
                    Some(envelope) => {
                        if let Message::Request(request) = &envelope.message {
                            let again = self.last.as_ref() == Some(envelope);
                            let first = matches!(request, Request::Inform(_));
                            prop_assert!(!self.finished, "a call after the last empty POST");
                            prop_assert!(first || !self.hold, "a call although held");
                            prop_assert_eq!(first, !self.informed);
                            prop_assert!(!first || again || self.posts == 1, "Inform once");
                        }
                    }
                }
                self.last = body.clone();
            }
            Output::Perform(_) => {
                prop_assert!(self.informed);
                self.performing = true;
            }
            Output::Deliver(Receipt::Inform) => {
                prop_assert!(!self.informed);
                self.informed = true;
            }
            Output::Deliver(Receipt::Call(_)) => prop_assert!(self.informed),
            Output::Close(Close::Success) => {
                prop_assert!(self.finished && self.informed && !self.performing);
                self.closed = true;
            }
            Output::Close(Close::Failed(_)) => self.closed = true,
            Output::Learned(_) | Output::Remark(_) | Output::Wait(_) => {}
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_inputs(
        inputs in proptest::collection::vec((input(), 0u64..20), 0..60),
        // Most histories that begin with nonsense end there; these two steps lead further in.
        (begin, start) in (any::<bool>(), any::<bool>()),
    ) {
        let limits = Limits { exchanges: 20, total: Duration::from_secs(300), answer: Duration::from_secs(30) };
        let mut bench = Bench::new(Setup { methods: true, limits, ..TWO });
        let mut watch = Watch::default();
        let mut lead = Vec::new();
        if begin {
            lead.push((Input::Begin, 0));
        }
        if begin && start {
            lead.push((inform_response(), 0));
        }
        for (input, seconds) in lead.into_iter().chain(inputs) {
            bench.now += Duration::from_secs(seconds);
            match &input {
                Input::Reply(envelope) => watch.hold = envelope.header.hold_requests,
                Input::BadRequest { hold_requests, .. } => watch.hold = *hold_requests,
                Input::Empty => watch.hold = false,
                Input::Performed(_) => watch.performing = false,
                _ => {}
            }
            bench.session.handle(input, bench.now);
            let mut many = 0;
            loop {
                match bench.session.poll_output() {
                    Output::Wait(deadline) => {
                        prop_assert_eq!(deadline.is_some(), watch.begun && !watch.closed);
                        prop_assert!(deadline.is_none_or(|at| at <= Duration::from_secs(1000 + 20 * 60 + 300)));
                        break;
                    }
                    output => watch.output(&output)?,
                }
                many += 1;
                prop_assert!(many < 10, "outputs without end");
            }
            prop_assert_eq!(bench.session.is_closed(), watch.closed);
        }
        prop_assert!(watch.posts <= 20);
        // Whatever state it was left in, time ends it.
        if watch.begun && !watch.closed {
            bench.session.handle(Input::Tick, bench.now + Duration::from_secs(301));
            prop_assert!(matches!(bench.session.poll_output(), Output::Close(Close::Failed(_))));
        }
    }
}
