//! What opens sessions and what they must carry: connection requests, reboots, transfers, reloads, signals.
//!
//! Tests are named after the ACS they were seen at and the item in its list, or after the clause.
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

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agent::{Router, signal};
use messages::{envelope, get_values, id_of, inform_response, set_values};
use play::{
    Knock, SERIAL, codes, end, events, fault, has, inform, inform_with, knock, methods, reboot, request_url,
    router, say, stays_quiet,
};
use rcwmp::agent::state::StateFile;
use rcwmp::cwmp::event::{Event, EventCode};
use rcwmp::cwmp::queue::Message;
use rcwmp::cwmp::rpc::TransferComplete;
use rcwmp::model::date;
use scripted::{Scripted, Seen, Step, step};

/// The steps of a first session that asks nothing.
fn first() -> Vec<Step> {
    vec![inform_with(&["0 BOOTSTRAP", "1 BOOT"]), methods(), end()]
}

/// A later session that asks nothing.
fn later(words: &'static [&'static str]) -> [Step; 2] {
    [inform_with(words), end()]
}

/// A first session, then a connection request, then one more session.
fn requested(how: Knock, path: &str) -> (Vec<Seen>, Duration) {
    let mut steps = first();
    steps.extend(later(&["6 CONNECTION REQUEST"]));
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    router.set("cpe", "path", path);
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let url = request_url(&acs.seen()[0].text());
    assert!(url.ends_with(path), "{url}");
    let start = Instant::now();
    assert_eq!(knock(&url, how), 200);
    agent.wait_for("Start session", 2);
    let time = start.elapsed();
    agent.wait_for("End session", 2);
    stays_quiet(&agent, "Start session", 2);
    (acs.finish(), time)
}

#[test]
fn genie_17_a_connection_request_opens_a_session_soon() {
    let (seen, time) = requested(Knock::default(), "/");
    assert_eq!(codes(&seen[3].text()), ["6 CONNECTION REQUEST"]);
    has(&seen[3].text(), &["<RetryCount>0<", "Device.ManagementServer.ConnectionRequestURL"]);
    // GenieACS waits four seconds before it calls the device offline.
    assert!(time < Duration::from_secs(2), "{time:?}");
}

#[test]
fn genie_17_the_answer_to_the_challenge_over_a_new_connection() {
    requested(Knock { reconnect: true, ..Knock::default() }, "/some/where");
}

#[test]
fn acsrs_and_oktopus_digest_with_another_uri() {
    requested(Knock { uri: Some("/"), ..Knock::default() }, "/0123456789abcdef");
}

#[test]
fn freeacs_332_wrong_credentials_open_nothing() {
    let acs = Scripted::start(first());
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let url = request_url(&acs.seen()[0].text());
    assert_eq!(knock(&url, Knock { password: Some("guess"), ..Knock::default() }), 401);
    stays_quiet(&agent, "Start session", 1);
    acs.finish();
}

#[test]
fn genie_2_requests_during_a_session_give_exactly_one_more() {
    let steps = vec![
        inform(),
        // The first comes before the Inform is confirmed by the next POST, the others later.
        step()
            .computed(|seen| say(play::methods_response(&seen.text(), &[])).wait(Duration::from_millis(300))),
        say(get_values("1", &[SERIAL])).wait(Duration::from_millis(300)),
        end(),
        inform_with(&["6 CONNECTION REQUEST"]),
        end(),
    ];
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("GetRPCMethods RPC message", 1);
    let url = request_url(&acs.seen()[0].text());
    for _ in 0..3 {
        assert_eq!(knock(&url, Knock::default()), 200);
    }
    assert_eq!(agent.log().matches("End session").count(), 0, "the session was over too soon for this test");
    agent.wait_for("End session", 2);
    stays_quiet(&agent, "Start session", 2);
    let seen = acs.finish();
    assert_eq!(codes(&seen[4].text()), ["6 CONNECTION REQUEST"]);
    has(&seen[3].text(), &["LAB0000001"]);
    assert_eq!((seen[3].connection, seen[4].connection), (1, 2), "one after the other");
}

#[test]
fn event_6_is_not_retried() {
    let mut steps = first();
    steps.push(step().status(500));
    steps.extend(later(&["<RetryCount>1<"]));
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    assert_eq!(knock(&request_url(&acs.seen()[0].text()), Knock::default()), 200);
    agent.wait_for("End session", 2);
    let seen = acs.finish();
    assert_eq!(codes(&seen[3].text()), ["6 CONNECTION REQUEST"]);
    assert_eq!(codes(&seen[4].text()), [""; 0]);
}

#[test]
fn clause_3_2_2_a_port_that_is_disabled_is_closed_and_its_url_gone() {
    const ENABLE: &str = "Device.ManagementServer.HTTPConnectionRequestEnable";
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(set_values("1", &[(ENABLE, "xsd:boolean", "0")], "")),
        end(),
        // The URL is active by default, and others than the ACS have emptied it.
        inform_with(&["4 VALUE CHANGE"]),
        say(set_values("2", &[(ENABLE, "xsd:boolean", "1")], "")),
        end(),
        inform_with(&["4 VALUE CHANGE"]),
        end(),
    ]);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 3);
    let urls: Vec<String> = acs
        .seen()
        .iter()
        .map(Seen::text)
        .filter(|one| one.contains(":Inform>"))
        .map(|one| request_url(&one))
        .collect();
    assert_eq!((urls.len(), urls[1].as_str(), &urls[2]), (3, "", &urls[0]), "{urls:?}");
    assert_eq!(knock(&urls[0], Knock { password: Some("guess"), ..Knock::default() }), 401);
    stays_quiet(&agent, "Start session", 3);
    acs.finish();
}

#[test]
fn clause_3_2_2_each_device_has_a_path_of_its_own_and_keeps_it() {
    let paths: Vec<String> = [false, true]
        .map(|other| {
            let mut steps = first();
            steps.extend(if other { Vec::new() } else { vec![inform(), methods(), end()] });
            let acs = Scripted::start(steps);
            let router = router(&acs.url());
            let text = router.read("/etc/config/cwmp");
            let lines: Vec<&str> = text.lines().filter(|line| !line.contains("option path")).collect();
            router.write("/etc/config/cwmp", &(lines.join("\n") + "\n"));
            router.play();
            if !other {
                router.write("/proc/sys/kernel/random/boot_id", "another\n");
                router.play();
            }
            let seen = acs.finish();
            let informs = seen.iter().map(Seen::text).filter(|one| one.contains(":Inform>"));
            informs.map(|one| request_url(&one).rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>()
        })
        .concat();
    let [one, again, other] = &paths[..] else { panic!("{paths:?}") };
    assert_eq!(one, again);
    assert!(one != other && one.len() == 16 && one.bytes().all(|b| b.is_ascii_hexdigit()), "{paths:?}");
}

#[test]
fn two_reboots_are_one_after_the_session_and_are_told_with_their_keys() {
    let steps = vec![
        inform(),
        methods(),
        say(reboot("1", "key 1")),
        say(reboot("2", "&lt;k&gt; &amp; \"é\"")),
        end().wait(Duration::from_millis(200)),
    ];
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    let told = router.root().join("rebooted");
    let script = format!("#!/bin/sh\necho reboot >> '{}'\n", told.display());
    router.write("/sbin/reboot", &script);
    fs::set_permissions(router.root().join("sbin/reboot"), fs::Permissions::from_mode(0o755)).unwrap();
    let agent = router.start(&[]);
    agent.wait_for("Reboot performed", 2);
    assert!(!told.exists(), "rebooted during the session");
    agent.wait_for("Rebooting as the ACS asked", 1);
    let patience = Instant::now() + Duration::from_secs(5);
    while fs::read_to_string(&told).unwrap_or_default().is_empty() {
        assert!(Instant::now() < patience, "no reboot");
        std::thread::sleep(Duration::from_millis(10));
    }
    agent.stop();
    assert_eq!(fs::read_to_string(&told).unwrap(), "reboot\n");
    let seen = acs.finish();
    has(&seen[3].text(), &["RebootResponse", ">1</"]);
    has(&seen[4].text(), &["RebootResponse", ">2</"]);

    let acs = Scripted::start(vec![inform(), methods(), end()]);
    router.set("acs", "url", &acs.url());
    // Another URL would bring 0 BOOTSTRAP; this is about the same ACS.
    let (mut file, _) = StateFile::open(&router.root().join("etc/rcwmp"));
    file.state.bootstrapped = Some(acs.url());
    file.save().unwrap();
    let agent = router.start(&["-b"]);
    agent.wait_for("End session", 1);
    agent.stop();
    let inform = acs.finish()[0].text();
    let told: Vec<_> = events(&inform);
    let told: Vec<(&str, &str)> = told.iter().map(|(code, key)| (code.as_str(), key.as_str())).collect();
    assert_eq!(told[0], ("1 BOOT", ""));
    assert_eq!(told[1], ("M Reboot", "key 1"));
    assert_eq!(told[2].0, "M Reboot");
    let key =
        told[2].1.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    assert!(key == "<k> & \"é\"" || key == "<k> & \"&#233;\"" || key == "<k> & \"&#xE9;\"", "{key}");
    assert_eq!(told.len(), 3);
}

#[test]
fn periodic_inform_at_its_time() {
    let mut steps = first();
    steps.extend(later(&["2 PERIODIC"]));
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let time = date::format_utc(i64::try_from(now.as_secs()).unwrap() + 2);
    router.set("acs", "periodic_inform_interval", "60");
    router.set("acs", "periodic_inform_time", &time);
    let agent = router.start(&[]);
    agent.wait_for("End session", 2);
    let late = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - now;
    assert!((Duration::from_secs(1)..Duration::from_secs(8)).contains(&late), "{late:?}");
    let seen = acs.finish();
    assert_eq!(codes(&seen[3].text()), ["2 PERIODIC"]);
}

#[test]
fn sighup_after_another_url_bootstraps_there() {
    let old = Scripted::start(first());
    let new = Scripted::start(vec![inform(), end()]);
    let router = router(&old.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    // Nothing has changed: nothing to tell.
    signal(&agent.child, "HUP");
    agent.wait_for("Configuration read again", 1);
    stays_quiet(&agent, "Start session", 1);
    router.set("acs", "url", &new.url());
    signal(&agent.child, "HUP");
    agent.wait_for("End session", 2);
    old.finish();
    assert_eq!(codes(&new.finish()[0].text()), ["0 BOOTSTRAP"]);
}

#[test]
fn another_url_set_by_the_acs_takes_effect_after_the_session() {
    let new = Scripted::start(vec![inform(), end()]);
    let url = new.url();
    let set = move || set_values("1", &[("Device.ManagementServer.URL", "xsd:string", &url)], "");
    let old = Scripted::start(vec![inform(), methods(), say(set()), say(get_values("2", &[SERIAL])), end()]);
    let router = router(&old.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 2);
    has(&old.finish()[4].text(), &["LAB0000001"]);
    assert_eq!(codes(&new.finish()[0].text()), ["0 BOOTSTRAP"]);
}

#[test]
fn sigterm_in_a_session_loses_nothing() {
    let slow = step().computed(|seen| say(inform_response(&seen.text())).wait(Duration::from_secs(3)));
    let acs = Scripted::start(vec![slow]);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    while acs.seen().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (status, time) = agent.stop();
    assert!(status.success() && time < Duration::from_secs(1), "{status} after {time:?}");
    acs.finish();
    let acs = Scripted::start(first());
    router.set("acs", "url", &acs.url());
    has(&router.play(), &["End session"]);
    let inform = acs.finish()[0].text();
    // The session before was not successful (TR-069 3.2.1.1).
    has(&inform, &["<RetryCount>1<"]);
    assert_eq!(codes(&inform), ["0 BOOTSTRAP", "1 BOOT"]);
}

#[test]
fn sigterm_in_a_requested_session_is_made_up_for() {
    let mut steps = first();
    steps.push(inform_with(&["6 CONNECTION REQUEST"]));
    steps.push(end().wait(Duration::from_secs(2)));
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    assert_eq!(knock(&request_url(&acs.seen()[0].text()), Knock::default()), 200);
    while acs.seen().len() < 5 {
        std::thread::sleep(Duration::from_millis(5));
    }
    agent.stop();
    let again = Scripted::start(vec![inform(), end()]);
    acs.finish();
    router.set("acs", "get_rpc_methods", "0");
    let (mut file, _) = StateFile::open(&router.root().join("etc/rcwmp"));
    file.state.bootstrapped = Some(again.url());
    file.save().unwrap();
    router.set("acs", "url", &again.url());
    router.play();
    let inform = again.finish()[0].text();
    has(&inform, &["<RetryCount>1<"]);
    assert_eq!(codes(&inform), [""; 0]);
}

/// A router whose firmware was just downloaded for an ACS that knows it.
fn with_transfer(acs: &Scripted) -> Router {
    let router = router(&acs.url());
    let (mut file, _) = StateFile::open(&router.root().join("etc/rcwmp"));
    file.state.bootstrapped = Some(acs.url());
    file.state.identity = "020000-LabRouter-LAB0000001".to_owned();
    let message = TransferComplete {
        command_key: "5f0c <&> key".to_owned(),
        fault_code: 0,
        fault_string: String::new(),
        start_time: "2026-11-21T05:00:00Z".to_owned(),
        complete_time: "2026-11-21T05:01:00Z".to_owned(),
    };
    let cause =
        Event { code: EventCode::Method("Download".to_owned()), command_key: message.command_key.clone() };
    file.state.queue.add_message(Message::TransferComplete(message), Some(cause)).unwrap();
    file.save().unwrap();
    router.set("acs", "get_rpc_methods", "0");
    router
}

/// Two sessions in which the first TransferComplete is answered so; gives the events of the second.
fn transfer(answer: impl FnOnce(&Seen) -> Step + Send + 'static, again: bool) -> Vec<String> {
    let complete = |answer: Box<dyn FnOnce(&Seen) -> Step + Send>| {
        step().computed(move |seen| {
            has(&seen.text(), &["TransferComplete>", "<CommandKey>5f0c &lt;&amp;&gt; key<", "<FaultCode>0<"]);
            answer(seen)
        })
    };
    let mut steps =
        vec![inform_with(&["7 TRANSFER COMPLETE", "M Download"]), complete(Box::new(answer)), end()];
    steps.push(inform_with(&["6 CONNECTION REQUEST"]));
    if again {
        steps.push(complete(Box::new(|seen| {
            say(envelope(&id_of(&seen.text()), "<cwmp:TransferCompleteResponse/>"))
        })));
    }
    steps.push(end());
    let acs = Scripted::start(steps);
    let router = with_transfer(&acs);
    let agent = router.start(&["-b"]);
    agent.wait_for("End session", 1);
    stays_quiet(&agent, "Start session", 1);
    assert_eq!(knock(&request_url(&acs.seen()[0].text()), Knock::default()), 200);
    agent.wait_for("End session", 2);
    let seen = acs.finish();
    assert!(seen[2].body.is_empty(), "TransferComplete goes before the empty POST, once a session");
    assert_eq!(codes(&seen[0].text()), ["1 BOOT", "7 TRANSFER COMPLETE", "M Download"]);
    codes(&seen[3].text())
}

const DONE: [&str; 1] = ["6 CONNECTION REQUEST"];
const AGAIN: [&str; 3] = ["6 CONNECTION REQUEST", "7 TRANSFER COMPLETE", "M Download"];

#[test]
fn genie_16_transfer_complete_with_its_key() {
    let answer = |seen: &Seen| say(envelope(&id_of(&seen.text()), "<cwmp:TransferCompleteResponse/>"));
    assert_eq!(transfer(answer, false), DONE);
}

#[test]
fn oktopus_transfer_complete_answered_with_nothing() {
    assert_eq!(transfer(|_| step().status(200), false), DONE);
}

#[test]
fn freeacs_289_transfer_complete_answered_under_another_name() {
    let other =
        |seen: &Seen| say(envelope(&id_of(&seen.text()), "<cwmp:AutonomousTransferCompleteResponse/>"));
    assert_eq!(transfer(other, false), DONE);
}

#[test]
fn genie_7_a_malformed_fault_to_transfer_complete_is_a_refusal() {
    let broken = |seen: &Seen| {
        let fault = fault(&id_of(&seen.text()), 8004).replace("soap-env:Fault>", "soap-env:Body:Fault>");
        assert!(fault.contains("</soap-env:Body:Fault>"));
        say(fault)
    };
    assert_eq!(transfer(broken, true), AGAIN);
}

#[test]
fn a_fault_to_transfer_complete_brings_it_again() {
    assert_eq!(transfer(|seen: &Seen| say(fault(&id_of(&seen.text()), 8002)), true), AGAIN);
}
