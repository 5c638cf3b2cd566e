//! Whole sessions against a small ACS in memory that checks the CPE by its own reading of TR-069 3.7.

use super::*;

/// An ACS that asks everything it has, in one of several manners.
struct Acs {
    manner: Manner,
    requests: VecDeque<Request>,
    /// What the CPE's answer must be to.
    asked: Option<(String, String)>,
    informed: bool,
    /// The CPE has sent an empty POST while not held.
    finished: bool,
    held: bool,
    received: Vec<String>,
    next_id: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Never holds.
    Plain,
    /// Holds from InformResponse until its requests are through.
    HoldAll,
    /// Holds in InformResponse only.
    HoldFirst,
    /// Holds in its requests only.
    HoldRequests,
    /// Answers calls of the CPE with nothing.
    Mute,
}

impl Acs {
    fn new(manner: Manner, requests: &[Request]) -> Acs {
        Acs {
            manner,
            requests: requests.iter().cloned().collect(),
            asked: None,
            informed: false,
            finished: false,
            held: false,
            received: Vec::new(),
            next_id: 100,
        }
    }

    /// Takes a POST and gives the answer.
    fn post(&mut self, body: Option<&Envelope>) -> Input {
        let Some(envelope) = body else {
            assert!(self.informed, "an empty POST before the Inform");
            assert!(self.asked.is_none(), "an empty POST instead of an answer");
            self.received.push("empty".to_owned());
            self.finished |= !self.held;
            return self.ask();
        };
        match &envelope.message {
            Message::Request(request) => {
                assert!(self.asked.is_none(), "a call instead of an answer");
                assert!(!self.held, "a call although held");
                assert!(!self.finished, "a call after the last empty POST");
                assert_eq!(self.informed, !matches!(request, Request::Inform(_)), "Inform first, and once");
                self.received.push(request.name().to_owned());
                self.informed = true;
                let response = match request {
                    Request::Inform(_) => Response::Inform { max_envelopes: 1 },
                    Request::TransferComplete(_) if self.manner == Manner::Mute => return Input::Empty,
                    Request::TransferComplete(_) => Response::TransferComplete,
                    Request::GetRpcMethods => Response::GetRpcMethods(vec!["Inform".to_owned()]),
                    other => panic!("{other:?}"),
                };
                self.held = self.manner == Manner::HoldAll && !self.requests.is_empty()
                    || self.manner == Manner::HoldFirst && matches!(request, Request::Inform(_));
                self.envelope(envelope.header.id.clone(), Message::Response(response))
            }
            answer => {
                let (id, method) = self.asked.take().expect("an answer to a question");
                assert_eq!(envelope.header.id.as_deref(), Some(id.as_str()));
                match answer {
                    Message::Response(response) => assert_eq!(response.name(), method),
                    answer => {
                        assert!(matches!(answer, Message::Fault(fault) if fault.code == 9000), "{answer:?}");
                    }
                }
                self.received.push(format!("{method}'s answer"));
                self.ask()
            }
        }
    }

    fn ask(&mut self) -> Input {
        let Some(request) = self.requests.pop_front() else {
            self.held = false;
            return Input::Empty;
        };
        self.next_id += 1;
        let id = self.next_id.to_string();
        self.asked = Some((id.clone(), request.name().to_owned()));
        self.held = matches!(self.manner, Manner::HoldAll | Manner::HoldRequests);
        self.envelope(Some(id), Message::Request(request))
    }

    fn envelope(&self, id: Option<String>, message: Message) -> Input {
        let header = Header { id, hold_requests: self.held, ..Header::default() };
        Input::Reply(Envelope { namespace: Namespace::V1_2, header, message })
    }
}

/// Runs a session to its end: what the ACS received.
fn run(setup: Setup, manner: Manner, requests: &[Request]) -> Vec<String> {
    let mut acs = Acs::new(manner, requests);
    let mut bench = Bench::new(setup);
    bench.session.handle(Input::Begin, bench.now);
    loop {
        let output = bench.session.poll_output();
        match output {
            Output::Post(body) => {
                let answer = acs.post(body.as_deref());
                bench.session.handle(answer, bench.now);
            }
            Output::Perform(request) => {
                let outcome = match request {
                    Request::GetParameterNames(_) => Response::GetParameterNames(vec![]),
                    Request::GetRpcMethods => Response::GetRpcMethods(vec![]),
                    Request::Reboot(_) => Response::Reboot,
                    other => panic!("{other:?}"),
                };
                bench.session.handle(Input::Performed(Ok(outcome)), bench.now);
            }
            Output::Deliver(receipt) => bench.queue.delivered(receipt),
            Output::Close(close) => {
                assert_eq!(close, Close::Success);
                break;
            }
            Output::Wait(_) => panic!("nobody moves"),
            Output::Connect | Output::Learned(_) | Output::Remark(_) => {}
        }
    }
    bench.queue.close_session(true);
    assert!(bench.queue.is_empty() && acs.requests.is_empty() && acs.asked.is_none() && acs.finished);
    acs.received
}

fn requests() -> Vec<Request> {
    vec![
        Request::GetRpcMethods,
        Request::GetParameterNames(GetParameterNames {
            parameter_path: "Device.".to_owned(),
            next_level: false,
        }),
        Request::Unsupported("X_00256D_Dance".to_owned()),
        Request::Reboot("key".to_owned()),
    ]
}

const SERVED: [&str; 4] =
    ["GetRPCMethods's answer", "GetParameterNames's answer", "X_00256D_Dance's answer", "Reboot's answer"];

fn check(manner: Manner, before: &[&str], after: &[&str]) {
    let full = Setup { methods: true, ..TWO };
    let expected: Vec<_> = before.iter().chain(&SERVED).chain(after).copied().collect();
    assert_eq!(run(full, manner, &requests()), expected, "{manner:?}");
}

const CALLS: [&str; 3] = ["GetRPCMethods", "TransferComplete", "TransferComplete"];

#[test]
fn plain() {
    check(Manner::Plain, &[&["Inform"], &CALLS[..], &["empty"]].concat(), &[]);
    assert_eq!(run(SETUP, Manner::Plain, &[]), ["Inform", "empty"]);
}

#[test]
fn mute() {
    check(Manner::Mute, &[&["Inform"], &CALLS[..], &["empty"]].concat(), &[]);
}

#[test]
fn held_throughout() {
    check(Manner::HoldAll, &["Inform", "empty"], &[&CALLS[..], &["empty"]].concat());
    assert_eq!(run(SETUP, Manner::HoldAll, &requests()).last().unwrap(), "empty");
}

#[test]
fn held_first() {
    check(Manner::HoldFirst, &["Inform", "empty"], &[&CALLS[..], &["empty"]].concat());
    assert_eq!(run(SETUP, Manner::HoldFirst, &[]), ["Inform", "empty", "empty"]);
}

#[test]
fn held_in_requests() {
    check(Manner::HoldRequests, &[&["Inform"], &CALLS[..], &["empty"]].concat(), &[]);
}
