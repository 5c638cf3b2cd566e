//! What real ACSs do that no standard says, each played by a script to the daemon on the fixture router.
//!
//! Tests are named after the ACS they were seen at; `tolerates_` ones after what the standard allows and
//! hardly anybody does.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used)]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/scripted.rs"]
mod scripted;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use agent::{Router, signal};
use digest_auth::AuthContext;
use messages::{envelope, get_values, id_of, inform_response, set_values};
use rcwmp::http::auth::{self, Authorization, Credentials};
use rcwmp::http::body::{Compression, pack, unpack};
use scripted::{Scripted, Seen, Step, step};

const SERIAL: &str = "Device.DeviceInfo.SerialNumber";
const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";

/// Answers an Inform.
fn inform() -> Step {
    step().computed(|seen| {
        assert!(seen.text().contains("Inform>"), "an Inform, not {}", seen.text());
        step().status(200).body(inform_response(&seen.text()))
    })
}

/// What an ACS with Inform alone says to GetRPCMethods.
fn methods_response(question: &str) -> String {
    let list = "<MethodList soap-enc:arrayType=\"xsd:string[1]\"><string>Inform</string></MethodList>";
    envelope(&id_of(question), &format!("<cwmp:GetRPCMethodsResponse>{list}</cwmp:GetRPCMethodsResponse>"))
}

/// Answers our GetRPCMethods.
fn methods() -> Step {
    step().computed(|seen| {
        assert!(seen.text().contains("GetRPCMethods"), "GetRPCMethods, not {}", seen.text());
        step().status(200).body(methods_response(&seen.text()))
    })
}

fn say(message: impl AsRef<[u8]>) -> Step {
    step().status(200).body(message)
}

fn end() -> Step {
    step().status(204)
}

/// A session without requests of the ACS, each step made different by `change`.
fn plain(change: impl Fn(Step) -> Step) -> Vec<Step> {
    vec![change(inform()), change(methods()), change(end())]
}

/// Plays steps to an agent on a router with options of `cwmp.acs`, until it has ended a session well.
#[track_caller]
fn play_with(options: &[(&str, &str)], steps: Vec<Step>) -> (Vec<Seen>, String) {
    let acs = Scripted::start(steps);
    let router = Router::new(&acs.url());
    for (option, value) in [("retry_min_wait_interval", "1"), ("retry_interval_multiplier", "1000")] {
        router.set("acs", option, value);
    }
    for (option, value) in options {
        router.set("acs", option, value);
    }
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    (acs.finish(), agent.log())
}

#[track_caller]
fn play(steps: Vec<Step>) -> Vec<Seen> {
    play_with(&[], steps).0
}

/// The agent's answers to requests, all in one session.
#[track_caller]
fn ask(requests: &[String]) -> Vec<String> {
    let mut steps = vec![inform(), methods()];
    steps.extend(requests.iter().map(say));
    steps.push(end());
    let seen = play(steps);
    assert!(seen[2].body.is_empty() && seen.iter().all(|one| one.connection == 1));
    seen[3..].iter().map(Seen::text).collect()
}

#[track_caller]
fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word} in {text}");
    }
}

fn get_names(id: &str, path: &str, next_level: &str) -> String {
    envelope(
        id,
        &format!(
            "<cwmp:GetParameterNames><ParameterPath>{path}</ParameterPath>\
             <NextLevel>{next_level}</NextLevel></cwmp:GetParameterNames>"
        ),
    )
}

/// The names in an answer to GetParameterNames or GetParameterValues.
fn names_in(answer: &str) -> Vec<String> {
    answer.split("<Name>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}

#[test]
fn genie_1_a_cookie_without_path_is_wanted_on_every_post() {
    let wants = |answer: Step| {
        step().computed(move |seen| match seen.header("cookie") {
            Some("session=5f0c") => answer,
            other => step().status(400).body(format!("Invalid session {other:?}")),
        })
    };
    let first = step().computed(|seen| {
        assert_eq!(seen.header("cookie"), None);
        say(inform_response(&seen.text())).header("Set-Cookie", "session=5f0c")
    });
    let read = say(get_values("1", &[SERIAL]));
    let seen = play(vec![first, wants(methods()), wants(read), wants(end())]);
    has(&seen[3].text(), &["LAB0000001"]);
}

#[test]
fn genie_1_a_new_connection_with_the_cookie_goes_on() {
    let answer = |step: Step| {
        step.computed(|seen| say(inform_response(&seen.text())).header("Set-Cookie", "session=1").close())
    };
    let seen = play(vec![
        answer(step()),
        methods().computed(|seen| say(methods_response(&seen.text())).close()),
        end(),
    ]);
    assert_eq!(seen.iter().map(|one| one.connection).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(seen[1..].iter().all(|one| one.header("cookie") == Some("session=1")));
}

#[test]
fn genie_2_cpe_already_in_session_is_retried_later() {
    let refused = || step().status(400).body("CPE already in session");
    let mut steps = vec![refused()];
    steps.extend(plain(|step| step));
    let (seen, log) = play_with(&[], steps);
    has(&seen[0].text(), &["<RetryCount>0<", "0 BOOTSTRAP", "1 BOOT"]);
    has(&seen[1].text(), &["<RetryCount>1<", "0 BOOTSTRAP", "1 BOOT"]);
    has(&log, &["HTTP status 400", "Retry in 1 seconds (attempt 1)"]);
    assert_eq!(log.matches("Start session").count(), 2);
}

/// GenieACS's challenge: no algorithm, no opaque, no spaces, a nonce for this connection only.
fn genie_challenge() -> Step {
    step().computed(|seen| {
        let challenge =
            format!("Digest realm=\"GenieACS\",qop=\"auth,auth-int\",nonce=\"n{}\"", seen.connection);
        step().status(401).header("WWW-Authenticate", &challenge)
    })
}

/// The answer if the digest is right for this connection.
fn genie_digest(answer: Step) -> Step {
    step().computed(move |seen| {
        let Some(Ok(Authorization::Digest(digest))) =
            seen.header("authorization").map(auth::parse_authorization)
        else {
            return step().status(401).close();
        };
        let who = Credentials::new("020000-LAB0000001", "ExamplePassphrase");
        assert_eq!(digest.nonce, format!("n{}", seen.connection));
        assert!(digest.proves(&who, "GenieACS", "POST", &seen.body));
        answer
    })
}

#[test]
fn genie_5_digest_with_a_nonce_for_each_connection() {
    let seen = play(vec![
        genie_challenge(),
        genie_digest(inform()),
        genie_digest(methods().computed(|seen| say(methods_response(&seen.text())).close())),
        genie_challenge(), // the empty POST on a new connection
        genie_digest(say(get_values("1", &[SERIAL])).close()),
        genie_challenge(), // our response on another
        genie_digest(end()),
    ]);
    assert!(seen[3].body.is_empty() && seen[4].body.is_empty());
    has(&seen[5].text(), &["LAB0000001"]);
    assert_eq!(seen[5].body, seen[6].body);
}

#[test]
fn genie_5_a_401_in_mid_session() {
    let seen = play(vec![inform(), methods(), genie_challenge(), genie_digest(end())]);
    assert!(seen[3].body.is_empty());
}

#[test]
fn genie_7_a_fault_that_is_no_xml() {
    let fault = step().computed(|seen| {
        let fault = "<soap-env:Body:Fault><faultcode>Server</faultcode><faultstring>CWMP fault</faultstring>\
                     <detail><cwmp:Fault><FaultCode>8000</FaultCode><FaultString>Method not supported</FaultString>\
                     </cwmp:Fault></detail></soap-env:Body:Fault>";
        say(envelope(&id_of(&seen.text()), fault))
    });
    let (seen, log) = play_with(&[], vec![inform(), fault, say(get_values("1", &[SERIAL])), end()]);
    assert!(seen[2].body.is_empty());
    has(&seen[3].text(), &["LAB0000001"]);
    has(&log, &["WARN"]);
}

#[test]
fn genie_11_the_id_comes_back() {
    let ids = ["1890f3c1b2a0101", "a b", "&lt;&amp;&gt;", "0"];
    let answers = ask(&ids.map(|id| get_values(id, &[SERIAL])));
    for (id, answer) in ids.iter().zip(answers) {
        assert_eq!(id_of(&answer), *id);
    }
}

#[test]
fn genie_12_the_names_below_an_empty_path() {
    let requests = ["1", "0", "true", "false"].map(|next| get_names("n", "", next));
    let answers: Vec<_> = ask(&requests).iter().map(|answer| names_in(answer)).collect();
    assert_eq!(answers[0], ["Device."]);
    assert_eq!(answers[0], answers[2]);
    assert_eq!(answers[1], answers[3]);
    let all = &answers[1];
    assert!(all.len() > 300 && all[0] == "Device." && all.iter().all(|name| name.starts_with("Device.")));
    for name in all {
        // Every parent is listed.
        let end = name.trim_end_matches('.').rfind('.').map_or(0, |at| at + 1);
        assert!(end == 0 || all.iter().any(|other| *other == name[..end]), "{name} without its parent");
    }
}

#[test]
fn genie_13_names_by_the_32() {
    let all = names_in(
        &ask(&[get_values("1", &["Device.DeviceInfo.", "Device.ManagementServer.", "Device.Time."])])[0],
    );
    let some: Vec<&str> = all.iter().map(String::as_str).take(32).collect();
    assert_eq!(some.len(), 32);
    let answer = &ask(&[get_values("2", &some)])[0];
    has(answer, &["GetParameterValuesResponse", "[32]"]);
    assert_eq!(names_in(answer), some);
}

#[test]
fn genie_14_and_ump_one_unknown_name_faults_the_whole_call() {
    let answers =
        ask(&[get_values("1", &[SERIAL, "Device.Nothing.Here", INTERVAL]), get_values("2", &[SERIAL])]);
    has(&answers[0], &["<FaultCode>9005<"]);
    assert!(!answers[0].contains("LAB0000001"));
    has(&answers[1], &["LAB0000001"]);
}

#[test]
fn genie_15_booleans_and_dates_as_they_come() {
    let enable = "Device.ManagementServer.STUNEnable";
    let time = "Device.ManagementServer.PeriodicInformTime";
    let mut requests = Vec::new();
    for value in ["true", "0", "1", "false"] {
        requests.push(set_values("s", &[(enable, "xsd:boolean", value)], ""));
        requests.push(get_values("g", &[enable]));
    }
    requests.push(set_values("s", &[(time, "xsd:dateTime", "2026-01-02T03:04:05.000Z")], ""));
    requests.push(get_values("g", &[time]));
    let answers = ask(&requests);
    for (at, value) in [(1, "1"), (3, "0"), (5, "1"), (7, "0")] {
        has(&answers[at - 1], &["<Status>1<"]);
        let shown = answers[at].split("xsd:boolean\">").nth(1).unwrap().split('<').next().unwrap();
        assert_eq!(matches!(shown, "1" | "true"), value == "1", "{}", answers[at]);
    }
    has(&answers[8], &["<Status>1<"]);
    has(&answers[9], &[">2026-01-02T03:04:05.000Z<"]);
}

#[test]
fn tolerates_no_parameter_key_and_no_type() {
    let item = |attribute: &str| format!("<Name>{INTERVAL}</Name><Value{attribute}>77</Value>");
    let set = |list: &str, key: &str| {
        envelope(
            "s",
            &format!(
                "<cwmp:SetParameterValues><ParameterList soap-enc:arrayType=\"cwmp:ParameterValueStruct[1]\">\
            <ParameterValueStruct>{list}</ParameterValueStruct></ParameterList>{key}</cwmp:SetParameterValues>"
            ),
        )
    };
    let typed = " xsi:type=\"xsd:unsignedInt\"";
    let answers = ask(&[
        set(&item(typed), ""),
        set(&item(""), "<ParameterKey/>"),
        set(&item(""), ""),
        get_values("g", &[INTERVAL]),
    ]);
    // The second and third change nothing any more.
    for (answer, status) in answers.iter().zip(["<Status>1<", "<Status>0<", "<Status>0<"]) {
        has(answer, &[status]);
    }
    has(&answers[3], &[">77<"]);
}

#[test]
fn freeacs_an_empty_object_has_no_values_and_no_fault() {
    let answer = &ask(&[get_values("1", &["Device.ManagementServer.InformParameter."])])[0];
    has(answer, &["GetParameterValuesResponse", "[0]"]);
    assert!(names_in(answer).is_empty() && !answer.contains("Fault"));
}

#[test]
fn freeacs_305_a_read_of_no_names() {
    let answers = ask(&[get_values("1", &[]), get_values("2", &[SERIAL])]);
    has(&answers[0], &["<FaultCode>9003<"]);
    has(&answers[1], &["LAB0000001"]);
}

#[test]
fn tolerates_other_prefixes_and_no_prefix() {
    let other = step().computed(|seen| {
        say(format!(
            "<S:Envelope xmlns:S='http://schemas.xmlsoap.org/soap/envelope/'><S:Header>\
             <ID xmlns='urn:dslforum-org:cwmp-1-2' S:mustUnderstand='1'>{}</ID></S:Header><S:Body>\
             <InformResponse xmlns='urn:dslforum-org:cwmp-1-2'><MaxEnvelopes xmlns=''>1</MaxEnvelopes>\
             </InformResponse></S:Body></S:Envelope>",
            id_of(&seen.text())
        ))
    });
    let inherited = step().computed(|seen| {
        say(format!(
            "<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Header>\
             <x:ID xmlns:x='urn:dslforum-org:cwmp-1-2' mustUnderstand='1'>{}</x:ID></Header><Body>\
             <x:GetRPCMethodsResponse xmlns:x='urn:dslforum-org:cwmp-1-2'><x:MethodList><string>Inform</string>\
             </x:MethodList></x:GetRPCMethodsResponse></Body></Envelope>",
            id_of(&seen.text())
        ))
    });
    play(vec![other, inherited, end()]);
}

#[test]
fn tolerates_answers_in_cwmp_1_0_and_answers_in_it() {
    let old = |text: String| say(text.replace("cwmp-1-2", "cwmp-1-0"));
    let seen = play(vec![
        step().computed(move |seen| old(inform_response(&seen.text()))),
        step().computed(move |seen| old(methods_response(&seen.text()))),
        old(get_values("1", &[SERIAL])),
        end(),
    ]);
    for one in [&seen[1], &seen[3]] {
        has(&one.text(), &["urn:dslforum-org:cwmp-1-0"]);
    }
}

#[test]
fn freeacs_200_with_no_body_is_an_end() {
    play(vec![inform(), methods(), step().status(200)]);
    play(vec![inform(), methods(), step().status(200).chunked()]);
}

#[test]
fn tolerates_chunks_and_a_connection_for_each_post() {
    let read = || say(get_values("1", &[SERIAL]));
    let seen = play(vec![
        step().computed(|seen| say(inform_response(&seen.text())).chunked()),
        step().computed(|seen| say(methods_response(&seen.text())).chunked()),
        read().chunked(),
        end(),
    ]);
    has(&seen[3].text(), &["LAB0000001"]);
    let closed = |step: Step| step.header("Connection", "close").close();
    let seen = play(vec![
        step().computed(move |seen| closed(say(inform_response(&seen.text())))),
        step().computed(move |seen| closed(say(methods_response(&seen.text())))),
        closed(read()),
        closed(end()),
    ]);
    has(&seen[3].text(), &["LAB0000001"]);
    assert_eq!(seen[3].connection, 4);
}

#[test]
fn tolerates_hold_requests() {
    let held = |text: String| {
        say(text.replace("</soap-env:Header>", "<cwmp:HoldRequests>1</cwmp:HoldRequests></soap-env:Header>"))
    };
    let seen = play(vec![
        step().computed(move |seen| held(inform_response(&seen.text()))),
        held(get_values("1", &[SERIAL])),
        end(), // frees us
        methods(),
        end(),
    ]);
    assert!(seen[1].body.is_empty() && seen[4].body.is_empty());
    has(&seen[2].text(), &["LAB0000001"]);
}

#[test]
fn tolerates_8005_to_inform() {
    let again = step().computed(|seen| {
        let fault = "<soap-env:Fault><faultcode>Server</faultcode><faultstring>CWMP fault</faultstring><detail>\
                     <cwmp:Fault><FaultCode>8005</FaultCode><FaultString>Retry request</FaultString></cwmp:Fault>\
                     </detail></soap-env:Fault>";
        say(envelope(&id_of(&seen.text()), fault))
    });
    let (seen, log) = play_with(&[], vec![again, inform(), methods(), end()]);
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(log.matches("Start session").count(), 1);
}

#[test]
fn freeacs_133_a_redirect_to_another_port_with_cookies() {
    for status in [302, 307] {
        let wants = |answer: Step| {
            step().computed(move |seen| match seen.header("cookie") {
                Some(list) if list.contains("there=2") => answer,
                other => step().status(400).body(format!("no session in {other:?}")),
            })
        };
        let set = step()
            .computed(|seen| say(inform_response(&seen.text())).header("Set-Cookie", "there=2; Path=/"));
        let there = Scripted::start(vec![
            set,
            wants(methods()),
            wants(say(get_values("1", &[SERIAL]))),
            wants(end()),
        ]);
        let target = there.url() + "/";
        let seen =
            play(vec![step().status(status).header("Location", &target).header("Set-Cookie", "here=1")]);
        let moved = there.finish();
        assert_eq!(moved[0].body, seen[0].body);
        assert!(moved.iter().all(|one| (one.method(), one.target()) == ("POST", "/acs/")));
        has(&moved[3].text(), &["LAB0000001"]);
    }
}

#[test]
fn tolerates_415_by_leaving_compression_off() {
    let mut steps = vec![step().status(415)];
    steps.extend(plain(|step| step));
    let (seen, _) = play_with(&[("compression", "GZIP")], steps);
    assert_eq!(seen[0].header("content-encoding"), Some("gzip"));
    assert!(seen[0].body.starts_with(&[0x1f, 0x8b]));
    assert!(seen[1..].iter().all(|one| one.header("content-encoding").is_none()));
    // The version had no part in it.
    has(&seen[1].text(), &["<RetryCount>1<", "urn:dslforum-org:cwmp-1-2"]);
}

#[test]
fn genie_6_overload_is_retried_as_the_ladder_says() {
    let mut steps = vec![step().status(503).header("Retry-after", "60").close()];
    steps.extend(plain(|step| step));
    let (seen, log) = play_with(&[], steps);
    has(&seen[1].text(), &["<RetryCount>1<", "0 BOOTSTRAP"]);
    has(&log, &["503"]);
}

#[test]
fn freeacs_289_a_response_under_another_name() {
    let odd = step()
        .computed(|seen| say(envelope(&id_of(&seen.text()), "<cwmp:AutonomousTransferCompleteResponse/>")));
    let seen = play(vec![inform(), odd, say(get_values("1", &[SERIAL])), end()]);
    assert!(seen[2].body.is_empty());
    has(&seen[3].text(), &["LAB0000001"]);
}

/// The ConnectionRequestURL an Inform tells.
fn request_url(inform: &str) -> String {
    let rest = inform.split("Device.ManagementServer.ConnectionRequestURL</Name>").nth(1).unwrap();
    rest.split_once('>').unwrap().1.split('<').next().unwrap().to_owned()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} did not come");
}

/// One GET and the head of its answer.
fn get(stream: &mut TcpStream, path: &str, login: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: cpe\r\n{login}\r\n").unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A connection request with a digest of the `digest_auth` crate, as GenieACS makes it: on one connection.
fn knock(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let path = format!("/{path}");
    let mut stream = TcpStream::connect(host).unwrap();
    let challenge = get(&mut stream, &path, "");
    assert!(challenge.starts_with("HTTP/1.1 401 "), "{challenge}");
    let line = challenge.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: ")).unwrap();
    let who = AuthContext::new("connection-request", "ExamplePassphrase", &path);
    let login = digest_auth::parse(line).unwrap().respond(&who).unwrap();
    let answer = get(&mut stream, &path, &format!("Authorization: {login}\r\n"));
    answer.lines().next().unwrap().to_owned()
}

#[test]
fn genie_17_a_connection_request_opens_a_session() {
    let mut steps = plain(|step| step);
    steps.extend([inform(), end()]);
    let acs = Scripted::start(steps);
    let router = Router::new(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let answer = knock(&request_url(&acs.seen()[0].text()));
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    agent.wait_for("End session", 2);
    let seen = acs.finish();
    let second = seen[3].text();
    has(&second, &["6 CONNECTION REQUEST", "ConnectionRequestURL", "<RetryCount>0<"]);
    assert!(!second.contains("1 BOOT<"));
}

#[test]
fn genie_2_connection_requests_in_a_session_open_one_more() {
    let (go, gate) = mpsc::channel();
    let held = step().computed(move |_| {
        gate.recv().unwrap();
        end()
    });
    let acs = Scripted::start(vec![inform(), methods(), held, inform(), end()]);
    let router = Router::new(&acs.url());
    let agent = router.start(&[]);
    wait_until("the empty POST", || acs.seen().len() == 3);
    let url = request_url(&acs.seen()[0].text());
    for _ in 0..2 {
        let answer = knock(&url);
        assert!(answer.starts_with("HTTP/1.1 20") || answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
    assert!(!agent.log().contains("End session") && acs.seen().len() == 3);
    go.send(()).unwrap();
    agent.wait_for("End session", 2);
    thread::sleep(Duration::from_millis(300));
    let seen = acs.finish();
    assert_eq!(seen[3].text().matches("6 CONNECTION REQUEST").count(), 1);
    assert_eq!(agent.log().matches("Start session").count(), 2);
}

#[test]
fn a_reboot_is_done_and_told() {
    let key = "k &amp; &#233; 1";
    let call = envelope("1", &format!("<cwmp:Reboot><CommandKey>{key}</CommandKey></cwmp:Reboot>"));
    let mut steps = vec![inform(), methods(), say(call), end()];
    steps.extend(plain(|step| step));
    let acs = Scripted::start(steps);
    let router = Router::new(&acs.url());
    router.write("/sbin/reboot", "#!/bin/sh\necho down > \"${0%/*}/../rebooted\"\n");
    let script = router.root().join("sbin/reboot");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let agent = router.start(&[]);
    wait_until("the reboot", || router.root().join("rebooted").exists());
    let log = agent.log();
    assert!(log.find("End session").unwrap() < log.find("Rebooting").unwrap(), "{log}");
    agent.stop();
    let agent = router.start(&["-b"]);
    agent.wait_for("End session", 1);
    let seen = acs.finish();
    has(&seen[3].text(), &["RebootResponse"]);
    let told = seen[4].text();
    has(&told, &["<EventCode>1 BOOT<", "<EventCode>M Reboot<", &format!("<CommandKey>{key}</CommandKey>")]);
    assert!(!told.contains("0 BOOTSTRAP"));
}

#[test]
fn another_acs_gets_a_bootstrap_after_sighup() {
    let (old, new) = (Scripted::start(plain(|step| step)), Scripted::start(vec![inform(), end()]));
    let router = Router::new(&old.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    router.set("acs", "url", &new.url());
    signal(&agent.child, "HUP");
    agent.wait_for("End session", 2);
    old.finish();
    let told = new.finish()[0].text();
    has(&told, &["0 BOOTSTRAP"]);
    assert!(!told.contains("1 BOOT<"));
}

#[test]
fn sigterm_in_a_session_loses_nothing() {
    let never = step().status(204).wait(Duration::from_secs(2)).close();
    let mut steps = vec![never];
    steps.extend(plain(|step| step));
    let acs = Scripted::start(steps);
    let router = Router::new(&acs.url());
    let agent = router.start(&[]);
    wait_until("the Inform", || acs.seen().len() == 1);
    let (status, time) = agent.stop();
    assert!(status.success() && time < Duration::from_secs(1), "{status} after {time:?}");
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let seen = acs.finish();
    for one in &seen[..2] {
        has(&one.text(), &["<EventCode>0 BOOTSTRAP<", "<EventCode>1 BOOT<"]);
    }
}

#[test]
fn genie_4_the_namespace_is_one_it_knows() {
    let seen = play(plain(|step| step));
    has(&seen[0].text(), &["urn:dslforum-org:cwmp-1-2", "ConnectionRequestURL"]);
    assert!(!seen[0].text().contains("cwmp-1-4"));
}

#[test]
fn genie_5_a_wrong_password_is_tried_again_later() {
    let mut steps = vec![genie_challenge(), step().status(401).header("Connection", "close").close()];
    steps.extend([genie_challenge(), genie_digest(inform()), genie_digest(methods()), genie_digest(end())]);
    let (seen, log) = play_with(&[], steps);
    assert_eq!(seen.len(), 6);
    has(&log, &["check the user name and password", "Retry in 1 seconds"]);
    has(&seen[2].text(), &["<RetryCount>1<", "0 BOOTSTRAP"]);
}

#[test]
fn genie_6_gzip_is_answered_with_gzip() {
    let packed = |text: &str| {
        let body = pack(text.as_bytes(), Compression::Gzip);
        step().status(200).header("Content-Encoding", "gzip").body(body)
    };
    let question = |seen: &Seen| {
        String::from_utf8(unpack(seen.body.clone(), Compression::Gzip, 1 << 20).unwrap()).unwrap()
    };
    let steps = vec![
        step().computed(move |seen| packed(&inform_response(&question(seen)))),
        step().computed(move |seen| packed(&methods_response(&question(seen)))),
        packed(&get_values("1", &[SERIAL])),
        end(),
    ];
    let (seen, _) = play_with(&[("compression", "GZIP")], steps);
    assert!(seen[2].body.is_empty() && seen[2].header("content-encoding").is_none());
    has(&question(&seen[3]), &["LAB0000001"]);
}

#[test]
fn genie_12_a_crashed_worker_is_come_back_to() {
    let mut steps = vec![inform(), methods()];
    // The empty POST is lost with the connection, and its repetition meets a new worker.
    steps.extend([step().close(), step().status(400).body("Invalid session")]);
    steps.extend([step().status(400).body("CPE already in session"), inform(), methods(), end()]);
    let (seen, log) = play_with(&[], steps);
    assert!(seen[2].body.is_empty() && seen[3].body.is_empty());
    has(&seen[4].text(), &["<RetryCount>1<"]);
    has(&seen[5].text(), &["<RetryCount>2<"]);
    assert_eq!(log.matches("Start session").count(), 3);
}
