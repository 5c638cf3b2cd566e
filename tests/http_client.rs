//! The HTTP session against a scripted ACS: what the standard demands, and what servers really do.
#![allow(clippy::unwrap_used)]

#[path = "support/scripted.rs"]
mod scripted;

use std::io::Write;
use std::time::{Duration, Instant};

use rcwmp::http::HttpError;
use rcwmp::http::auth::{self, Authorization, Credentials};
use rcwmp::http::body::{Compression, pack};
use rcwmp::http::client::{Post, Reply, Session, Settings};
use scripted::{Scripted, Seen, Step, step};

const INFORM: Post = Post::Soap(b"<soap>inform</soap>");

fn settings(acs: &Scripted) -> Settings {
    Settings {
        credentials: Credentials::new("cpe", "secret"),
        timeout: Duration::from_secs(5),
        user_agent: "rcwmp-test".into(),
        ..Settings::new(acs.url())
    }
}

fn session(acs: &Scripted) -> Session {
    Session::new(settings(acs)).unwrap()
}

/// The first post against a server that gives one answer.
fn post_once(step: Step) -> Result<Reply, HttpError> {
    let acs = Scripted::start(vec![step]);
    let result = session(&acs).post(INFORM);
    acs.finish();
    result
}

fn genie(nonce: &str) -> Step {
    let challenge = format!("Digest realm=\"GenieACS\",qop=\"auth,auth-int\",nonce=\"{nonce}\"");
    step().status(401).header("WWW-Authenticate", &challenge)
}

fn knows_password(seen: &Seen, nonce: &str, nc: u32) -> bool {
    let Some(Ok(Authorization::Digest(answer))) = seen.header("authorization").map(auth::parse_authorization)
    else {
        return false;
    };
    let realm = answer.realm.clone();
    (answer.nonce.as_str(), answer.count, answer.uri.as_str()) == (nonce, nc, seen.target())
        && answer.proves(&Credentials::new("cpe", "secret"), &realm, "POST", &seen.body)
}

/// 204 if the digest fits, else 401 without a challenge, as GenieACS does.
fn wants_digest(nonce: &'static str, nc: u32) -> Step {
    step().computed(move |seen| match knows_password(seen, nonce, nc) {
        true => step().status(204),
        false => step().status(401).header("Connection", "close").close(),
    })
}

#[test]
fn a_whole_session_on_one_connection() {
    let acs = Scripted::start(vec![
        step().status(200).header("Set-Cookie", "session=abc; HttpOnly").body("<response/>"),
        step().status(200).body("<request/>").chunked(),
        step().status(204).header("Connection", "close").close(),
    ]);
    let mut session = session(&acs);
    assert_eq!(session.post(INFORM).unwrap(), Reply { status: 200, body: b"<response/>".to_vec() });
    assert_eq!(session.post(Post::Empty).unwrap().body, b"<request/>");
    assert_eq!(session.post(Post::Soap(b"<answer/>")).unwrap(), Reply { status: 204, body: vec![] });
    assert_eq!(session.connects(), 1);
    let seen = acs.finish();
    assert_eq!(seen[0].header("content-type"), Some("text/xml; charset=\"utf-8\""));
    assert_eq!(seen[0].header("soapaction"), Some(""));
    assert_eq!(seen[0].header("user-agent"), Some("rcwmp-test"));
    assert_eq!((seen[0].method(), seen[0].target(), seen[0].header("cookie")), ("POST", "/acs", None));
    assert!(seen.iter().all(|seen| seen.head.starts_with("POST /acs HTTP/1.1\r\n")));
    assert_eq!(seen[0].header("host"), Some(seen_host(&seen[0])));
    assert!(seen[0].header("accept-encoding").is_none() && seen[0].header("expect").is_none());
    assert_eq!(
        (seen[1].header("content-length"), seen[1].header("cookie")),
        (Some("0"), Some("session=abc"))
    );
    assert!(seen[1].header("content-type").is_none() && seen[1].header("soapaction").is_none());
    assert_eq!((seen[2].text().as_str(), seen[2].header("cookie")), ("<answer/>", Some("session=abc")));
    assert!(seen.iter().all(|seen| seen.connection == 1 && seen.header("authorization").is_none()));
}

fn seen_host(seen: &Seen) -> &str {
    let host = seen.header("host").unwrap_or_default();
    assert!(host.starts_with("127.0.0.1:"), "{host}");
    host
}

#[test]
fn empty_answers() {
    let empty = |status| Ok(Reply { status, body: vec![] });
    assert_eq!(post_once(step().status(204)), empty(204));
    assert_eq!(post_once(step().status(200)), empty(200));
    assert_eq!(post_once(step().status(200).chunked()), empty(200));
    assert_eq!(post_once(step().raw("HTTP/1.0 200 OK\r\n\r\n").close()), empty(200));
    assert_eq!(post_once(step().raw("HTTP/1.1 200 OK\nContent-Length: 0\n\n")), empty(200));
}

#[test]
fn a_new_connection_after_each_reply() {
    for announced in ["close", "keep-alive"] {
        let reply = || step().status(200).header("Connection", announced).body("x").close();
        let acs = Scripted::start(vec![reply(), reply(), reply()]);
        let mut session = session(&acs);
        for _ in 0..3 {
            assert_eq!(session.post(INFORM).unwrap().body, b"x");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(session.connects(), 3);
        acs.finish();
    }
}

#[test]
fn a_kept_connection_that_was_closed_under_the_request_is_opened_once_more() {
    let acs = Scripted::start(vec![
        step().status(200).body("x"),
        step().close(), // as if the close had crossed the request
        step().status(200).body("y"),
    ]);
    let mut session = session(&acs);
    session.post(INFORM).unwrap();
    assert_eq!(session.post(Post::Empty).unwrap().body, b"y");
    assert_eq!(session.connects(), 2);
    acs.finish();
}

#[test]
fn an_unanswered_request_is_not_repeated() {
    let acs = Scripted::start(vec![step().close()]);
    assert!(matches!(session(&acs).post(INFORM), Err(HttpError::NoAnswer(_))), "on a fresh connection");
    acs.finish();
    let acs = Scripted::start(vec![step().status(200), step().close(), step().close()]);
    let mut session_ = session(&acs);
    session_.post(INFORM).unwrap();
    assert!(matches!(session_.post(INFORM), Err(HttpError::NoAnswer(_))), "not twice");
    acs.finish();
    let acs = Scripted::start(vec![step().status(200), step().raw("HTTP/1.1 2").close()]);
    let mut session_ = session(&acs);
    session_.post(INFORM).unwrap();
    assert!(matches!(session_.post(INFORM), Err(HttpError::CutOff(_))), "not after the first octet");
    acs.finish();
    let acs = Scripted::start(vec![step().status(200), step().wait(Duration::from_secs(3)).close()]);
    let mut session_ =
        Session::new(Settings { timeout: Duration::from_millis(300), ..settings(&acs) }).unwrap();
    session_.post(INFORM).unwrap();
    assert!(matches!(session_.post(INFORM), Err(HttpError::TooSlow(_))), "not after time ran out");
    acs.finish();
}

#[test]
fn digest_on_the_same_connection_and_kept_up() {
    let acs = Scripted::start(vec![
        genie("n1"),
        wants_digest("n1", 1),
        wants_digest("n1", 2),
        genie("n2").body("again"), // a challenge within the session
        wants_digest("n2", 1),
        wants_digest("n2", 2),
    ]);
    let mut session = session(&acs);
    for _ in 0..4 {
        assert_eq!(session.post(INFORM).unwrap().status, 204);
    }
    assert_eq!(session.connects(), 1);
    let seen = acs.finish();
    assert!(seen[0].header("authorization").is_none());
    assert!(!seen[1].header("authorization").unwrap().contains("algorithm"));
    assert!(seen.iter().all(|seen| seen.text() == "<soap>inform</soap>"));
}

/// TR-069 3.4.4: the same connection, unless the ACS says that it closes it.
#[test]
fn after_401_a_closed_connection_is_opened_again() {
    let acs = Scripted::start(vec![genie("n").header("Connection", "close").close(), wants_digest("n", 1)]);
    assert_eq!(session(&acs).post(INFORM).unwrap().status, 204);
    let seen = acs.finish();
    assert_eq!((seen[0].connection, seen[1].connection), (1, 2));
    assert_eq!(seen[0].body, seen[1].body);
}

#[test]
fn a_nonce_bound_to_the_connection() {
    let acs = Scripted::start(vec![
        genie("c1"),
        step().computed(|seen| {
            assert!(knows_password(seen, "c1", 1));
            step().status(200).body("x").close()
        }),
        genie("c2"), // the old nonce means nothing on the new connection
        wants_digest("c2", 1),
    ]);
    let mut session = session(&acs);
    session.post(INFORM).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(session.post(Post::Empty).unwrap().status, 204);
    let seen = acs.finish();
    assert!(knows_password(&seen[2], "c1", 2), "credentials go along at once");
    assert_eq!(seen.iter().map(|seen| seen.connection).collect::<Vec<_>>(), [1, 1, 2, 2]);
}

/// TR-069 3.4.4: a new connection has a cnonce of its own, also where the old nonce goes on.
#[test]
fn a_cnonce_of_its_own_for_each_connection() {
    let checked = |nc: u32| {
        step().computed(move |seen| match knows_password(seen, "n", nc) {
            true => step().status(200).body("x").close(),
            false => step().status(500),
        })
    };
    let acs = Scripted::start(vec![genie("n"), checked(1), checked(2), checked(3)]);
    let mut session = session(&acs);
    for _ in 0..3 {
        assert_eq!(session.post(INFORM).unwrap().body, b"x");
        std::thread::sleep(Duration::from_millis(20));
    }
    let seen = acs.finish();
    assert_eq!(seen.iter().map(|seen| seen.connection).collect::<Vec<_>>(), [1, 1, 2, 3]);
    let cnonce = |seen: &Seen| {
        let text = seen.header("authorization").unwrap().split("cnonce=\"").nth(1).unwrap();
        text.split('"').next().unwrap().to_owned()
    };
    let mut cnonces: Vec<String> = seen[1..].iter().map(cnonce).collect();
    cnonces.sort_unstable();
    cnonces.dedup();
    assert_eq!(cnonces.len(), 3, "{cnonces:?}");
}

/// TR-069 3.4.2 and 3.7.1.4: thirty seconds at the least for a connection and for an answer.
#[test]
fn the_patience_of_the_standard() {
    let half_a_minute = Duration::from_secs(30);
    assert!(Settings::new("http://192.0.2.1/").timeout >= half_a_minute);
    assert!(rcwmp::cwmp::session::Limits::default().answer >= half_a_minute);
}

/// TR-069 3.2.1.2: the source port is the system's to choose, from its ephemeral ones.
#[test]
fn no_source_port_is_asked_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        [(); 3].map(|()| {
            let (mut stream, peer) = listener.accept().unwrap();
            assert!(std::io::Read::read(&mut stream, &mut [0; 1024]).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            // Kept open, so that no port is free again too soon.
            (stream, peer.port())
        })
    });
    for _ in 0..3 {
        Session::new(Settings::new(url.clone())).unwrap().post(INFORM).unwrap();
    }
    let ports = server.join().unwrap().map(|(_, port)| port);
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let range: Vec<u16> = range.split_whitespace().map(|text| text.parse().unwrap()).collect();
    assert!(ports.iter().all(|port| (range[0]..=range[1]).contains(port)), "{ports:?} of {range:?}");
    assert!(ports[0] != ports[1] && ports[1] != ports[2], "{ports:?}");
}

#[test]
fn auth_int_only_and_sha_256_first() {
    let int = "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\", algorithm=MD5-sess, opaque=\"o\"";
    let acs = Scripted::start(vec![
        step().status(401).header("WWW-Authenticate", int),
        wants_digest("n", 1),
        wants_digest("n", 2),
    ]);
    let mut int_session = session(&acs);
    int_session.post(INFORM).unwrap();
    int_session.post(Post::Empty).unwrap();
    assert!(acs.finish()[1].header("authorization").unwrap().contains("qop=auth-int"));
    let acs = Scripted::start(vec![
        step()
            .status(401)
            .header("WWW-Authenticate", "Basic realm=\"r\", Digest realm=\"r\", nonce=\"m\", qop=\"auth\"")
            .header("WWW-Authenticate", "Digest realm=\"r\", nonce=\"s\", qop=\"auth\", algorithm=SHA-256"),
        wants_digest("s", 1),
    ]);
    session(&acs).post(INFORM).unwrap();
    assert!(acs.finish()[1].header("authorization").unwrap().contains("algorithm=SHA-256"));
}

#[test]
fn basic_when_asked() {
    let acs = Scripted::start(vec![
        step().status(401).header("WWW-Authenticate", "Basic realm=\"x\"").body("go away"),
        step().status(204),
        step().status(204),
    ]);
    let mut session = session(&acs);
    session.post(INFORM).unwrap();
    session.post(Post::Empty).unwrap();
    let seen = acs.finish();
    let logins: Vec<_> = seen.iter().map(|seen| seen.header("authorization")).collect();
    assert_eq!(logins, [None, Some("Basic Y3BlOnNlY3JldA=="), Some("Basic Y3BlOnNlY3JldA==")]);
}

#[test]
fn refused_credentials_end_the_session() {
    let acs = Scripted::start(vec![genie("a"), genie("b")]);
    assert_eq!(session(&acs).post(INFORM), Err(HttpError::Rejected));
    acs.finish();
    let acs = Scripted::start(vec![genie("a"), step().status(401)]);
    assert_eq!(session(&acs).post(INFORM), Err(HttpError::Rejected));
    acs.finish();
    let acs = Scripted::start(vec![genie("a")]);
    let anonymous = Settings { credentials: Credentials::default(), ..settings(&acs) };
    assert_eq!(Session::new(anonymous).unwrap().post(INFORM), Err(HttpError::NoCredentials));
    acs.finish();
}

#[test]
fn a_stale_nonce_is_renewed_but_not_for_ever() {
    let stale = |nonce: &str| {
        let challenge = format!("Digest realm=\"r\", qop=\"auth\", nonce=\"{nonce}\", stale=true");
        step().status(401).header("WWW-Authenticate", &challenge)
    };
    let acs = Scripted::start(vec![genie("a"), stale("b"), wants_digest("b", 1)]);
    session(&acs).post(INFORM).unwrap();
    acs.finish();
    let acs = Scripted::start(vec![genie("a"), stale("b"), stale("c"), stale("d")]);
    assert_eq!(session(&acs).post(INFORM), Err(HttpError::Rejected));
    acs.finish();
}

#[test]
fn hostile_challenges() {
    let check = |value: &str| {
        let result = post_once(step().status(401).header("WWW-Authenticate", value));
        assert!(matches!(result, Err(HttpError::Unauthorized(_))), "{result:?}");
    };
    check("NTLM");
    check("Digest realm=\"unterminated");
    check(&format!("Digest realm=\"x\", nonce=\"{}\"", "n".repeat(20_000)));
    check("Digest realm=\"x\", nonce=\"y\", algorithm=FOO");
    assert!(
        matches!(post_once(step().status(401)), Err(HttpError::Unauthorized(_))),
        "Oktopus: no challenge"
    );
    let huge =
        step().status(401).header("WWW-Authenticate", &format!("Digest realm=\"{}\"", "r".repeat(100_000)));
    assert!(matches!(post_once(huge), Err(HttpError::HeadTooLong(_))));
}

#[test]
fn redirects_with_cookies_and_to_another_host() {
    for status in [301, 302, 307] {
        let second = Scripted::start(vec![
            step().status(200).header("Set-Cookie", "b=2").body("there"),
            step().status(204),
        ]);
        let first = Scripted::start(vec![
            step()
                .status(status)
                .header("Location", "/elsewhere?x=1")
                .header("Set-Cookie", "a=1; Domain=x.org"),
            step().status(status).header("Location", &second.url()).body("moved"),
        ]);
        let mut session = session(&first);
        assert_eq!(session.post(INFORM).unwrap().body, b"there");
        assert_eq!(session.post(Post::Empty).unwrap().status, 204);
        assert_eq!(session.url().to_string(), second.url());
        let (first, second) = (first.finish(), second.finish());
        assert_eq!(first[1].target(), "/elsewhere?x=1");
        assert_eq!(first[1].header("cookie"), Some("a=1"));
        assert_eq!(
            (second[0].text().as_str(), second[0].header("cookie")),
            ("<soap>inform</soap>", Some("a=1"))
        );
        assert_eq!(second[0].header("soapaction"), Some(""));
        assert_eq!(second[1].header("cookie"), Some("a=1; b=2"));
    }
}

#[test]
fn old_credentials_stay_with_the_old_host() {
    let second = Scripted::start(vec![step().status(204)]);
    let first = Scripted::start(vec![
        step().status(401).header("WWW-Authenticate", "Basic realm=\"x\""),
        step().status(307).header("Location", &second.url()),
    ]);
    session(&first).post(INFORM).unwrap();
    assert!(first.finish()[1].header("authorization").is_some());
    assert!(second.finish()[0].header("authorization").is_none());
}

#[test]
fn redirect_loops_and_bad_targets() {
    let around = || step().status(302).header("Location", "/acs");
    let acs = Scripted::start((0..6).map(|_| around()).collect());
    assert_eq!(session(&acs).post(INFORM), Err(HttpError::TooManyRedirects));
    acs.finish();
    let acs = Scripted::start((0..5).map(|_| around()).chain([step().status(204)]).collect());
    assert_eq!(session(&acs).post(INFORM).unwrap().status, 204, "five are allowed");
    acs.finish();
    for bad in ["", "file:///etc/passwd", "javascript:alert(1)", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/"]
    {
        let result = post_once(step().status(302).header("Location", bad));
        assert!(matches!(result, Err(HttpError::BadRedirect(_))), "{bad}: {result:?}");
    }
    assert_eq!(post_once(step().status(307)), Err(HttpError::NoLocation));
    assert_eq!(post_once(step().status(302).header("Location", "https://127.0.0.1/")), Err(HttpError::NoTls));
}

#[test]
fn compression_both_ways() {
    for how in [Compression::Gzip, Compression::Deflate] {
        let coding = how.coding().unwrap();
        let acs = Scripted::start(vec![
            step().status(200).header("Content-Encoding", coding).body(pack(b"<reply/>", how)),
            step().status(204),
        ]);
        let mut session = Session::new(Settings { compression: how, ..settings(&acs) }).unwrap();
        assert_eq!(session.post(INFORM).unwrap().body, b"<reply/>");
        session.post(Post::Empty).unwrap();
        let seen = acs.finish();
        assert_eq!(seen[0].header("content-encoding"), Some(coding));
        assert_eq!(seen[0].header("accept-encoding"), Some(coding));
        assert_eq!(seen[0].body, pack(b"<soap>inform</soap>", how));
        assert_eq!((seen[1].header("content-encoding"), seen[1].header("content-length")), (None, Some("0")));
    }
}

#[test]
fn unsupported_media_type_is_about_compression_only_if_there_was_any() {
    let acs = Scripted::start(vec![step().status(415)]);
    let packed = Settings { compression: Compression::Gzip, ..settings(&acs) };
    assert_eq!(Session::new(packed).unwrap().post(INFORM), Err(HttpError::CompressionRefused));
    acs.finish();
    assert!(matches!(post_once(step().status(415)), Err(HttpError::Status { status: 415, .. })));
}

#[test]
fn bombs_and_floods() {
    let bomb = pack(&vec![0; 50 << 20], Compression::Gzip);
    let result = post_once(step().status(200).header("Content-Encoding", "gzip").body(bomb));
    assert!(matches!(result, Err(HttpError::BadBody(_))), "{result:?}");
    let result = post_once(step().status(200).header("Content-Encoding", "gzip").body("no gzip"));
    assert!(matches!(result, Err(HttpError::BadBody(_))), "{result:?}");
    let result = post_once(step().status(200).header("Content-Encoding", "br").body("x"));
    assert_eq!(result, Err(HttpError::UnknownCoding("br".into())));
    let result = post_once(step().raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx"));
    assert_eq!(result, Err(HttpError::ReplyTooLong(4 << 20)));
    let result = post_once(step().status(200).body(vec![b'x'; (4 << 20) + 1]).close());
    assert_eq!(result, Err(HttpError::ReplyTooLong(4 << 20)));
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned() + &chunk.repeat(5000);
    assert_eq!(post_once(step().raw(endless).close()), Err(HttpError::ReplyTooLong(4 << 20)));
    let full = post_once(step().status(200).body(vec![b'x'; 4 << 20])).unwrap();
    assert_eq!(full.body.len(), 4 << 20, "the bound itself is allowed");
}

#[test]
fn long_heads_and_many_interim_replies() {
    let long = step().status(200).header("X-Long", &"x".repeat(1 << 20));
    assert!(matches!(post_once(long.close()), Err(HttpError::HeadTooLong(_))));
    let many = (0..5000).fold(step().status(200), |step, n| step.header(&format!("X-{n}"), "y"));
    let result = post_once(many.close());
    assert!(matches!(result, Err(HttpError::BadReply(_) | HttpError::HeadTooLong(_))), "{result:?}");
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(100) + "HTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(post_once(step().raw(interim)).unwrap().status, 204);
    let result = post_once(step().raw("HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000_000)).close());
    assert!(result.is_err(), "{result:?}");
}

#[test]
fn answers_that_are_no_http() {
    for raw in [
        "HTTP/1.1 000 Nothing\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/3.0 200 OK\r\n\r\n",
        "<html>hello</html>\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx",
    ] {
        let result = post_once(step().raw(raw).close());
        assert!(matches!(result, Err(HttpError::BadReply(_))), "{raw:?}: {result:?}");
    }
    for (raw, status) in [("HTTP/1.1 999 Odd\r\n\r\n", 999), ("HTTP/1.1 101 Switch\r\n\r\n", 101)] {
        let result = post_once(step().raw(raw).close());
        assert!(matches!(result, Err(HttpError::Status { status: s, .. }) if s == status), "{result:?}");
    }
}

#[test]
fn broken_off_bodies() {
    for raw in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let result = post_once(step().raw(raw).close());
        assert!(matches!(result, Err(HttpError::CutOff(_))), "{raw:?}: {result:?}");
    }
    let acs = Scripted::start(vec![
        step().raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokand more that nobody asked for"),
        step().status(204),
    ]);
    let mut session = session(&acs);
    assert_eq!(session.post(INFORM).unwrap().body, b"ok");
    assert_eq!(session.post(Post::Empty).unwrap().status, 204);
    assert_eq!(session.connects(), 2, "a connection with junk on it is not used again");
    acs.finish();
}

#[test]
fn drip_fed_answers_are_cut() {
    let slow = |raw: &str| Scripted::start(vec![step().raw(raw).drip(Duration::from_millis(100))]);
    let long_body = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(1000));
    let acs = slow(&long_body);
    let deadline = Instant::now() + Duration::from_millis(700);
    let mut session_ = Session::new(Settings { deadline, ..settings(&acs) }).unwrap();
    assert_eq!(session_.post(INFORM), Err(HttpError::SessionTooLong));
    assert!(Instant::now() < deadline + Duration::from_millis(500));
    assert_eq!(session_.post(INFORM), Err(HttpError::SessionTooLong), "nor does it begin another");
    acs.finish();
    let acs = slow(&long_body);
    let started = Instant::now();
    let mut session_ =
        Session::new(Settings { timeout: Duration::from_millis(300), ..settings(&acs) }).unwrap();
    assert!(matches!(session_.post(INFORM), Err(HttpError::TooSlow(_))));
    assert!(started.elapsed() < Duration::from_secs(2));
    acs.finish();
}

#[test]
fn busy_and_other_statuses() {
    let busy = post_once(step().status(503).header("Retry-After", "60"));
    assert_eq!(busy, Err(HttpError::Busy { retry_after: Some(Duration::from_secs(60)) }));
    assert_eq!(post_once(step().status(503)), Err(HttpError::Busy { retry_after: None }));
    let result = post_once(step().status(400).body("CPE already\n in session\x07")).unwrap_err();
    assert_eq!(result, HttpError::Status { status: 400, text: "CPE already in session\u{7}".into() });
    assert!(result.explain().contains("an earlier session"), "{}", result.explain());
    assert!(!result.explain().contains('\u{7}'), "control characters stay out of the log");
    for status in [206, 300, 303, 304, 404, 500] {
        let result = post_once(step().status(status).close());
        assert!(matches!(result, Err(HttpError::Status { status: s, .. }) if s == status), "{result:?}");
    }
}

#[test]
fn cookies_flood() {
    let flood = (0..60).fold(step().status(200), |step, n| step.header("Set-Cookie", &format!("c{n}=v")));
    let evil =
        flood.header("Set-Cookie", "x=1\tY").header("Set-Cookie", &format!("big={}", "b".repeat(5000)));
    let acs = Scripted::start(vec![evil, step().status(204)]);
    let mut session = session(&acs);
    session.post(INFORM).unwrap();
    session.post(Post::Empty).unwrap();
    assert_eq!(acs.finish()[1].header("cookie").unwrap().split("; ").count(), 32);
}

#[test]
fn addresses() {
    let Ok(_) = std::net::TcpListener::bind("[::1]:0") else {
        std::io::stderr().write_all(b"skipped: no IPv6 here\n").unwrap();
        return;
    };
    let acs = Scripted::start_on("[::1]:0", vec![step().status(204)]);
    session(&acs).post(INFORM).unwrap();
    let host = format!("[::1]:{}", acs.address().port());
    assert_eq!(acs.finish()[0].header("host"), Some(host.as_str()));
    let acs = Scripted::start(vec![step().status(204)]);
    let url = format!("http://localhost:{}/", acs.address().port());
    let mut named = Session::new(Settings { url, ..settings(&acs) }).unwrap();
    assert_eq!(named.post(INFORM).unwrap().status, 204);
    acs.finish();
    let acs = Scripted::start_on("[::1]:0", vec![]);
    let mut v4 = Session::new(Settings { force_ipv4: true, ..settings(&acs) }).unwrap();
    assert!(v4.post(INFORM).unwrap_err().is_unreachable());
}

#[test]
fn nobody_there() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let fail = |url: String| Session::new(Settings::new(url)).and_then(|mut session| session.post(INFORM));
    let error = fail(format!("http://127.0.0.1:{port}/")).unwrap_err();
    assert!(matches!(error, HttpError::Unreachable(..)) && error.is_unreachable(), "{error:?}");
    let error = fail("http://no-such-host.invalid/".into()).unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert!(matches!(fail("ftp://127.0.0.1/".into()), Err(HttpError::BadUrl(_))));
    assert_eq!(fail("https://127.0.0.1/".into()), Err(HttpError::NoTls));
}
