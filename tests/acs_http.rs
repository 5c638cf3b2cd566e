//! What ACSs do with HTTP: cookies, connections, challenges, redirects, codings, statuses.
//!
//! Tests are named after the ACS they were seen at and the item in its list, or after the clause of TR-069.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used)]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use std::time::{Duration, Instant};

use messages::{get_values, inform_response};
use play::{SERIAL, codes, end, has, inform, methods, methods_response, play, router, say};
use rcwmp::lab::router::{ACS_USER, PASSWORD};
use scripted::{Scripted, Seen, Step, step};

fn read() -> Step {
    say(get_values("1", &[SERIAL]))
}

/// The step if the request has this Cookie header, else 400 as GenieACS has it.
fn wants(cookie: &'static str, then: Step) -> Step {
    step().computed(move |seen| match seen.header("Cookie") {
        Some(given) if given == cookie => then,
        _ => step().status(400).body("Invalid session").header("Connection", "close"),
    })
}

/// An Inform's answer that sets cookies.
fn inform_setting(cookies: &'static [&'static str]) -> Step {
    step().computed(|seen| {
        // The cookie of an earlier session is not sent with an Inform.
        assert_eq!(seen.header("Cookie"), None);
        let answer = say(inform_response(&seen.text()));
        cookies.iter().fold(answer, |answer, cookie| answer.header("Set-Cookie", cookie))
    })
}

#[test]
fn genie_1_the_cookie_on_every_post() {
    // No Path, and the host is an address: both have kept old clients from sending it.
    let (seen, log) = play(vec![
        inform_setting(&["session=0123456789abcdef"]),
        wants("session=0123456789abcdef", methods()),
        wants("session=0123456789abcdef", read()),
        wants("session=0123456789abcdef", end()),
    ]);
    has(&seen[3].text(), &["LAB0000001"]);
    assert_eq!(log.matches("Start session").count(), 1);
}

#[test]
fn openacs_and_oktopus_cookies_with_paths_and_dates() {
    const LONG: &str = "JSESSIONID=\"Q2FmZQ==.node1\"; oktopus=LAB0000001; c=3";
    play(vec![
        inform_setting(&[
            "JSESSIONID=\"Q2FmZQ==.node1\"; Path=/openacs; HttpOnly",
            "oktopus=LAB0000001; Expires=Wed, 21 Oct 2037 07:28:00 GMT",
            "c=1; Domain=acs.example.org",
            "gone=1; Max-Age=0",
        ]),
        wants(
            "JSESSIONID=\"Q2FmZQ==.node1\"; oktopus=LAB0000001; c=1",
            step().computed(|seen| say(methods_response(&seen.text(), &[])).header("Set-Cookie", "c=3")),
        ),
        wants(LONG, read()),
        wants(LONG, end()),
    ]);
}

#[test]
fn genie_1_a_new_connection_with_the_cookie_goes_on() {
    let (seen, log) = play(vec![
        step().computed(|seen| say(inform_response(&seen.text())).header("Set-Cookie", "session=a").close()),
        wants("session=a", methods()),
        // Announced, and not announced: the agent may only notice with its next request.
        wants("session=a", read().header("Connection", "close").close()),
        wants("session=a", read().close()),
        wants("session=a", end()),
    ]);
    let connections: Vec<usize> = seen.iter().map(|one| one.connection).collect();
    assert_eq!(connections, [1, 2, 2, 3, 4]);
    assert_eq!(log.matches("Start session").count(), 1);
}

#[test]
fn close_after_each_reply() {
    let close = |step: Step| step.header("Connection", "close").close();
    let (seen, _) = play(vec![
        step().computed(move |seen| close(say(inform_response(&seen.text())))),
        step().computed(move |seen| close(say(methods_response(&seen.text(), &[])))),
        close(read()),
        close(end()),
    ]);
    assert_eq!(seen.iter().map(|one| one.connection).collect::<Vec<_>>(), [1, 2, 3, 4]);
    has(&seen[3].text(), &["LAB0000001"]);
}

#[test]
fn genie_2_cpe_already_in_session_is_backed_off_from() {
    let refused = || step().status(400).body("CPE already in session").header("Connection", "close");
    let acs = Scripted::start(vec![refused(), refused(), inform(), methods(), end()]);
    let router = router(&acs.url());
    let start = Instant::now();
    let log = router.play();
    // Two waits of a second each: m = 1 s, k = 1.
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
    let seen = acs.finish();
    for (count, one) in seen[..3].iter().enumerate() {
        has(&one.text(), &[&format!("<RetryCount>{count}<")]);
        assert_eq!(codes(&one.text()), ["0 BOOTSTRAP", "1 BOOT"]);
        assert_eq!(one.connection, count + 1);
    }
    has(&log, &["HTTP status 400", "attempt 1", "attempt 2"]);
    // The answer might have meant the version (TR-069 3.2.1.1): every other attempt speaks 1.0.
    has(&seen[1].text(), &["urn:dslforum-org:cwmp-1-0"]);
    assert!(!seen[1].text().contains("SupportedCWMPVersions"));
    has(&seen[2].text(), &["urn:dslforum-org:cwmp-1-2"]);
}

#[test]
fn genie_6_overload_and_an_end_that_closes() {
    let busy = step().status(503).header("Retry-after", "60").header("Connection", "close").close();
    let last = end().header("Connection", "close").close();
    let (seen, log) = play(vec![busy, inform(), methods(), last]);
    has(&seen[1].text(), &["<RetryCount>1<", "0 BOOTSTRAP", "urn:dslforum-org:cwmp-1-2"]);
    has(&log, &["503", "busy", "60"]);
}

/// GenieACS's challenge, whose nonce is good on its connection only.
fn genie_challenge(seen: &Seen) -> Step {
    let nonce = format!("nonce{:x}", seen.connection * 7919);
    step().status(401).header(
        "WWW-Authenticate",
        &format!("Digest realm=\"GenieACS\",qop=\"auth,auth-int\",nonce=\"{nonce}\""),
    )
}

/// The step if the request proves the password with a nonce of its connection, by the crate `digest_auth`.
fn genie_checked(then: Step) -> Step {
    step().computed(move |seen| {
        let Some(given) = seen.header("Authorization") else { return genie_challenge(seen) };
        let given = digest_auth::AuthorizationHeader::parse(given).unwrap();
        assert_eq!(given.nonce, format!("nonce{:x}", seen.connection * 7919), "of another connection");
        assert_eq!((given.realm.as_str(), given.username.as_str()), ("GenieACS", ACS_USER));
        let mut context = digest_auth::AuthContext::new_with_method(
            ACS_USER,
            PASSWORD,
            &given.uri,
            Some(&seen.body),
            digest_auth::HttpMethod::POST,
        );
        context.set_custom_cnonce(given.cnonce.clone().unwrap());
        let mut expected = given.clone();
        expected.digest(&context);
        assert_eq!(given.response, expected.response);
        then
    })
}

#[test]
fn genie_5_digest_without_algorithm_and_a_nonce_for_each_connection() {
    let challenge = || step().computed(genie_challenge);
    let (seen, log) = play(vec![
        challenge(),
        genie_checked(inform()),
        genie_checked(step().computed(|seen| say(methods_response(&seen.text(), &[])).close())),
        challenge(), // the empty POST, over a new connection
        genie_checked(read().header("Connection", "close").close()),
        challenge(), // our response, over another one
        genie_checked(end()),
    ]);
    let connections: Vec<usize> = seen.iter().map(|one| one.connection).collect();
    assert_eq!(connections, [1, 1, 1, 2, 2, 3, 3]);
    assert!(seen[3].body.is_empty() && seen[4].body.is_empty());
    assert_eq!((&seen[0].body, &seen[5].body), (&seen[1].body, &seen[6].body));
    assert_eq!(log.matches("Start session").count(), 1);
}

#[test]
fn genie_5_the_second_401_ends_the_session() {
    let refused = || step().status(401).header("Connection", "close").close();
    let acs = Scripted::start(vec![step().computed(genie_challenge), refused(), inform(), methods(), end()]);
    let log = router(&acs.url()).play();
    has(&log, &["credentials"]);
    has(&acs.finish()[2].text(), &["<RetryCount>1<"]);
}

#[test]
fn clause_3_4_4_a_challenge_in_mid_session() {
    let basic = || step().status(401).header("WWW-Authenticate", "Basic realm=\"acs\"");
    let (seen, _) = play(vec![inform(), basic(), methods(), read(), end()]);
    assert_eq!(seen[1].body, seen[2].body);
    assert!(seen[1].header("Authorization").is_none());
    // 020000-LAB0000001:ExamplePassphrase
    let login = Some("Basic MDIwMDAwLUxBQjAwMDAwMDE6RXhhbXBsZVBhc3NwaHJhc2U=");
    assert!(seen[2..].iter().all(|one| one.header("Authorization") == login));
}

#[test]
fn freeacs_133_redirects_with_cookies_to_another_port() {
    for status in [302, 307] {
        let there = Scripted::start(vec![
            step().computed(|seen| {
                assert_eq!(seen.header("Cookie"), Some("here=1"));
                say(inform_response(&seen.text())).header("Set-Cookie", "there=2; Path=/acs/")
            }),
            wants("here=1; there=2", methods()),
            // And once more in the middle, of a response of ours.
            wants("here=1; there=2", read()),
            wants("here=1; there=2", step().status(status).header("Location", "/elsewhere?a=b")),
            wants("here=1; there=2", end()),
        ]);
        let target = there.url() + "/";
        let (seen, _) = play(vec![
            step()
                .status(status)
                .header("Location", &target)
                .header("Set-Cookie", "here=1")
                .body("<html>moved</html>"),
        ]);
        let moved = there.finish();
        assert_eq!(moved[0].body, seen[0].body);
        let targets: Vec<&str> = moved.iter().map(Seen::target).collect();
        assert_eq!(targets, ["/acs/", "/acs/", "/acs/", "/acs/", "/elsewhere?a=b"]);
        assert!(moved.iter().all(|one| one.method() == "POST"));
        assert_eq!(moved[3].body, moved[4].body);
        has(&moved[4].text(), &["LAB0000001"]);
    }
}

#[test]
fn clause_3_4_2_a_redirect_is_not_remembered() {
    let there = Scripted::start(vec![inform(), step().status(500)]);
    let go = step().status(301).header("Location", &there.url());
    let (seen, _) =
        play(vec![go, inform(), end()].into_iter().take(1).chain([inform(), methods(), end()]).collect());
    assert_eq!(there.finish().len(), 2);
    has(&seen[1].text(), &["<RetryCount>1<"]);
}

#[test]
fn clause_3_4_2_a_circle_of_redirects_ends() {
    let around = || step().status(302).header("Location", "/again");
    let mut steps: Vec<Step> = (0..6).map(|_| around()).collect();
    steps.extend([inform(), methods(), end()]);
    let (seen, log) = play(steps);
    assert_eq!((seen[0].target(), seen[5].target(), seen[6].target()), ("/acs", "/again", "/acs"));
    has(&log, &["redirect"]);
}

#[test]
fn genie_6_chunked_replies() {
    let (seen, _) = play(vec![
        step().computed(|seen| say(inform_response(&seen.text())).chunked()),
        step().computed(|seen| say(methods_response(&seen.text(), &[])).chunked()),
        read().chunked(),
        // Not even a chunk: as empty as 204.
        step().status(200).chunked(),
    ]);
    has(&seen[3].text(), &["LAB0000001"]);
    assert!(seen.iter().all(|one| one.connection == 1));
}

#[test]
fn freeacs_200_with_no_body_is_an_end() {
    play(vec![inform(), methods(), step().status(200)]);
}

#[test]
fn genie_6_compressed_requests_and_replies() {
    use std::io::{Read as _, Write as _};
    let pack = |text: String| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        say(packer.finish().unwrap()).header("Content-Encoding", "gzip")
    };
    let unpack = |seen: &Seen| {
        assert_eq!(seen.header("Content-Encoding"), Some("gzip"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&seen.body[..]).read_to_string(&mut text).unwrap();
        text
    };
    let acs = Scripted::start(vec![
        step().computed(move |seen| pack(inform_response(&unpack(seen)))),
        step().computed(move |seen| pack(methods_response(&unpack(seen), &[]))),
        pack(get_values("1", &[SERIAL])),
        end(),
    ]);
    let router = router(&acs.url());
    router.set("acs", "compression", "GZIP");
    router.play();
    let seen = acs.finish();
    has(&unpack(&seen[3]), &["LAB0000001"]);
    assert!(seen[2].body.is_empty() && seen[2].header("Content-Encoding").is_none());
}

#[test]
fn clause_3_4_7_415_puts_compression_off() {
    let acs = Scripted::start(vec![step().status(415), inform(), methods(), end(), step().status(500)]);
    let router = router(&acs.url());
    router.set("acs", "compression", "GZIP");
    router.play();
    let seen = acs.seen();
    assert_eq!(seen[0].header("Content-Encoding"), Some("gzip"));
    assert!(seen[1..].iter().all(|one| one.header("Content-Encoding").is_none()));
    has(&seen[1].text(), &["<RetryCount>1<", "urn:dslforum-org:cwmp-1-2"]);
}

#[test]
fn an_acs_that_hangs_up_is_tried_again() {
    // GenieACS when its worker has crashed: the connection is gone without an answer, then it is busy.
    let (seen, log) = play(vec![step().close(), step().status(400), inform(), methods(), end()]);
    has(&seen[2].text(), &["<RetryCount>2<", "0 BOOTSTRAP"]);
    assert_eq!(log.matches("Start session").count(), 3);
}
