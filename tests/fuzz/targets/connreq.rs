//! Any octets on the port of connection requests: nobody gets in without the password, the right ACS always does.

use std::net::IpAddr;
use std::time::Duration;

use rcwmp::connreq::rule::{Answer, Rule, Settings};
use rcwmp::http::auth::{self, Challenge, Credentials, DigestClient};
use rcwmp::http::serve::{self, Limits, Machine, Refusal, Request};

const NOW: Duration = Duration::from_secs(1000);

/// One input: the first octet says how it is cut and which challenges are made.
pub fn run(octets: &[u8]) {
    let [first, rest @ ..] = octets else { return };
    let step = usize::from(first & 63) + 1;
    let mut settings = Settings::new("/path", Credentials::new("acs", "secret"));
    settings.offer_sha256 = first & 64 != 0;
    let mut rule = Rule::new(settings, [7; 32]);
    let whole = one(rest, rest.len().max(1), &mut rule);
    let cut = one(rest, step, &mut rule);
    // How it comes in makes no difference, but for what else has come with it.
    match (&whole, &cut) {
        (Some(Ok(whole)), Some(Ok(cut))) => {
            assert_eq!((&whole.method, &whole.target), (&cut.method, &cut.target));
            assert_eq!((&whole.headers, &whole.body), (&cut.headers, &cut.body));
        }
        (whole, cut) => {
            assert_eq!(whole.as_ref().map(Result::is_ok), cut.as_ref().map(Result::is_ok));
        }
    }
    honest(&mut rule);
}

/// The first request of a connection, or its end.
fn one(octets: &[u8], step: usize, rule: &mut Rule) -> Option<Result<Request, Refusal>> {
    let limits = Limits::CONNECTION_REQUEST;
    let mut machine = Machine::new(limits);
    let mut first = None;
    for (at, part) in octets.chunks(step).enumerate() {
        machine.receive(part);
        match machine.request() {
            Ok(None) => {
                machine.wants_continue();
            }
            Ok(Some(request)) => {
                assert!(request.body.len() <= limits.body);
                let source = IpAddr::from([198, 51, 100, u8::try_from(at % 256).unwrap_or(0)]);
                let answer = rule.decide(&request, source, NOW, [1; 8]);
                assert!(!answer.accepted, "{request:?}");
                sent(&answer);
                let keeps = machine.can_keep_alive() && answer.keep_alive;
                first.get_or_insert(Ok(request));
                if !machine.answered(keeps) {
                    break;
                }
                assert!(keeps && answer.status == 401, "kept after {}", answer.status);
            }
            Err(refusal) => {
                sent(&Answer::from(refusal));
                machine.receive(b"GET /path HTTP/1.1\r\n\r\n");
                assert_eq!(machine.request(), Ok(None), "something after a refusal");
                first.get_or_insert(Err(refusal));
                break;
            }
        }
    }
    first
}

/// An answer has a head, nothing else, and nothing of a request in it.
fn sent(answer: &Answer) {
    assert!([400, 401, 404, 405, 413, 431, 501, 503, 505].contains(&answer.status));
    let headers: Vec<_> = answer.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let bytes = serve::response(answer.status, &headers, b"", answer.keep_alive);
    assert!(bytes.len() < 1024 && bytes.is_ascii());
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
    assert_eq!(end, Some(bytes.len()));
}

/// The ACS asks, is challenged, and is right.
fn honest(rule: &mut Rule) {
    let source = IpAddr::from([192, 0, 2, 1]);
    let mut ask = |login: Option<String>| {
        let login = login.map(|login| format!("Authorization: {login}\r\n")).unwrap_or_default();
        let mut machine = Machine::new(Limits::CONNECTION_REQUEST);
        machine.receive(format!("GET /path HTTP/1.1\r\nHost: cpe\r\n{login}\r\n").as_bytes());
        let request = machine.request().expect("a request").expect("a whole one");
        rule.decide(&request, source, NOW, [2; 8])
    };
    let challenge = ask(None);
    assert_eq!(challenge.status, 401, "{}", challenge.why);
    let lines = challenge.headers.iter().map(|(_, value)| value.as_str());
    let Ok(Challenge::Digest(challenge)) = auth::best_challenge(lines) else { panic!("{challenge:?}") };
    let mut client = DigestClient::new(challenge);
    let login = client.answer(&Credentials::new("acs", "secret"), "GET", "/path", b"", "c").expect("plain");
    let answer = ask(Some(login.clone()));
    assert!(answer.accepted && answer.status == 200, "{}", answer.why);
    assert!(!ask(Some(login)).accepted, "replayed");
}
