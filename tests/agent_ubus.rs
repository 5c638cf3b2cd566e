//! The daemon on ubus, over the lab's broker: icwmp's object `tr069` with its signature and its answers, served
//! during a session too, and again after ubusd was started anew.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use agent::Router;
use messages::inform_response;
use play::{codes, end, inform, methods, router, say};
use rcwmp::lab::router::broker::Broker;
use rcwmp::ubus::blobmsg::{Kind, Table, Value};
use rcwmp::ubus::client::Client;
use rcwmp::ubus::json;
use rcwmp::ubus::object::{self, Method};
use scripted::{Scripted, Seen, step};

const LIMIT: Duration = Duration::from_secs(10);

fn broker(router: &Router) -> Broker {
    let path = router.root().join("var/run/ubus/ubus.sock");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    Broker::start(&path, vec![]).unwrap()
}

/// One call of `tr069`, as `ubus call` makes it.
#[track_caller]
fn call(broker: &Broker, method: &str, arguments: &str) -> Table {
    let mut client = Client::connect(broker.path(), LIMIT).unwrap();
    let answers = client.call("tr069", method, &json::parse(arguments).unwrap(), LIMIT);
    answers.unwrap_or_else(|why| panic!("{method}: {why}")).remove(0)
}

fn part<'t>(table: &'t Table, name: &str) -> &'t Table {
    table.get(name).and_then(Value::as_table).unwrap()
}

#[test]
fn status_inform_and_reload() {
    let acs = Scripted::start(vec![inform(), methods(), end(), inform(), end(), inform(), methods(), end()]);
    let router = router(&acs.url());
    let broker = broker(&router);
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    agent.wait_for("tr069 is on ubus", 1);
    // The signature, word for word.
    let mut client = Client::connect(broker.path(), LIMIT).unwrap();
    let found = client.list(Some("tr069"), LIMIT).unwrap();
    let methods_offered = object::methods(&found[0].signature).unwrap();
    let icwmp_s = vec![
        Method::new("notify"),
        Method::new("command").with("command", Kind::String),
        Method::new("status"),
        Method::new("inform").with("GetRPCMethods", Kind::Int8).with("event", Kind::String),
    ];
    assert_eq!(methods_offered, icwmp_s);
    let status = call(&broker, "status", "{}");
    assert_eq!(part(&status, "cwmp").text("status").unwrap(), "up");
    assert_eq!(part(&status, "cwmp").text("acs_url").unwrap(), acs.url());
    assert_eq!(part(&status, "last_session").text("status").unwrap(), "success");
    assert_eq!(part(&status, "statistics").get("total_sessions"), Some(&Value::Int32(1)));
    assert_ne!(part(&status, "next_session").text("start_time").unwrap(), "N/A");
    // A session with an event, and one that asks for the ACS's methods.
    assert_eq!(
        json::print_line(&call(&broker, "inform", r#"{"event":"2 periodic"}"#)),
        json::print_line(&json::parse(r#"{"status":1,"info":"Session started"}"#).unwrap())
    );
    agent.wait_for("End session", 2);
    assert_eq!(call(&broker, "inform", r#"{"GetRPCMethods":"1"}"#).text("info").unwrap(), "Session started");
    agent.wait_for("End session", 3);
    let refused = call(&broker, "inform", r#"{"event":"nonsense"}"#);
    assert_eq!(refused.text("info").unwrap(), "not able to get the event code");
    assert_eq!(
        call(&broker, "command", r#"{"command":"reload"}"#).text("info").unwrap(),
        "icwmpd config reloaded"
    );
    agent.wait_for("Configuration read again", 1);
    let good = router.read("/etc/config/cwmp");
    router.write("/etc/config/cwmp", &format!("{good}\noption 'half\n"));
    let failed = json::parse(r#"{"status":-1,"info":"icwmpd config reload failed"}"#).unwrap();
    assert_eq!(call(&broker, "command", r#"{"command":"reload"}"#), failed);
    assert!(!router.run(&["reload"]).status.success());
    router.write("/etc/config/cwmp", &good);
    assert!(router.run(&["reload"]).status.success());
    agent.wait_for("Configuration read again", 2);
    // Our own commands say the same.
    let told = router.run(&["status"]);
    assert!(
        told.status.success() && String::from_utf8_lossy(&told.stdout).contains("\"total_sessions\": 3"),
        "{told:?}"
    );
    assert!(!router.run(&["inform", "nonsense"]).status.success());
    // ubusd is started anew: the object is there again.
    let path = broker.path().to_owned();
    broker.stop();
    assert!(!router.run(&["status"]).status.success());
    let again = Broker::start(&path, vec![]).unwrap();
    agent.wait_for("tr069 is on ubus", 2);
    assert_eq!(part(&call(&again, "status", "{}"), "cwmp").text("status").unwrap(), "up");
    let exit = call(&again, "command", r#"{"command":"exit"}"#);
    assert_eq!(exit.text("info").unwrap(), "icwmpd daemon stopped");
    agent.wait_for("STOPPED", 1);
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[3]), ["2 PERIODIC"]);
}

/// Nobody is promised a session that cannot be: `status` says `init`, `inform` refuses.
#[test]
fn without_an_acs_there_is_no_session() {
    let router = router("");
    let broker = broker(&router);
    let agent = router.start(&[]);
    agent.wait_for("tr069 is on ubus", 1);
    let status = call(&broker, "status", "{}");
    assert_eq!(part(&status, "cwmp").text("status").unwrap(), "init");
    assert_eq!(part(&status, "next_session").text("start_time").unwrap(), "N/A");
    let refused = call(&broker, "inform", r#"{"event":"2 PERIODIC"}"#);
    assert_eq!(refused.get("status"), Some(&Value::Int32(-1)));
    assert_eq!(refused.text("info").unwrap(), "icwmpd is still in init state");
    assert!(!router.run(&["inform"]).status.success());
    assert!(agent.stop().0.success());
}

/// Each method of the object is answered while the ACS keeps its answer to itself: it has not spoken before all of
/// them have what they asked for.
#[test]
fn a_session_that_hangs_keeps_nobody_waiting() {
    let (release, held) = mpsc::channel::<()>();
    let has_spoken = Arc::new(AtomicBool::new(false));
    let speaks = Arc::clone(&has_spoken);
    let acs = Scripted::start(vec![
        step().computed(move |seen| {
            // Less than the agent waits for an answer.
            let _ = held.recv_timeout(Duration::from_secs(25));
            speaks.store(true, Ordering::SeqCst);
            say(inform_response(&seen.text()))
        }),
        methods(),
        end(),
        inform(),
        end(),
    ]);
    let router = router(&acs.url());
    let broker = broker(&router);
    let agent = router.start(&[]);
    agent.wait_for("tr069 is on ubus", 1);
    agent.wait_for("Send the Inform", 1);
    let later = "Session already running, event will be sent at the end of the session";
    for (method, arguments, info) in [
        ("status", "{}", None),
        ("inform", r#"{"event":"2 PERIODIC"}"#, Some(later)),
        ("notify", "{}", Some("values are looked at")),
        ("command", r#"{"command":"reload"}"#, Some("Session running, reload at the end of the session")),
        (
            "command",
            r#"{"command":"dance"}"#,
            Some("'dance' is not supported. Check the supported commands."),
        ),
    ] {
        let mut took: Vec<Duration> = (0..11)
            .map(|_| {
                let start = Instant::now();
                let answer = call(&broker, method, arguments);
                let time = start.elapsed();
                match info {
                    Some(info) => assert_eq!(answer.text("info").unwrap(), info),
                    None => {
                        let last = part(&answer, "last_session").text("status").unwrap().into_owned();
                        assert_eq!(last, "running");
                    }
                }
                time
            })
            .collect();
        took.sort_unstable();
        assert!(!has_spoken.load(Ordering::SeqCst), "{method} was answered after the session had gone on");
        // The median: other tests want this machine's time as well.
        assert!(took[5] < Duration::from_millis(50), "{method}: {took:?}");
    }
    release.send(()).unwrap();
    agent.wait_for("End session", 2);
    agent.wait_for("Configuration read again", 1);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[3]), ["2 PERIODIC"]);
}

/// icwmp's rule: an interface that comes up is a reason to try an ACS again that could not be reached.
#[test]
fn an_interface_that_comes_up_ends_the_wait() {
    let acs = Scripted::start(vec![step().status(500), inform(), methods(), end()]);
    let router = router(&acs.url());
    router.set("acs", "retry_min_wait_interval", "1000");
    let broker = broker(&router);
    let agent = router.start(&[]);
    agent.wait_for("Retry in 1", 1);
    agent.wait_for("tr069 is on ubus", 1);
    let mut client = Client::connect(broker.path(), LIMIT).unwrap();
    for text in [
        r#"{"interface":"lan","action":"ifdown"}"#,
        r#"{"interface":"lan","action":"ifup"}"#,
        r#"{"interface":"wanwan","action":"ifup"}"#,
        r#"{"action":"ifup"}"#,
        "{}",
        r#"{"action":7}"#,
    ] {
        client.send_event("network.interface", &json::parse(text).unwrap(), LIMIT).unwrap();
    }
    play::stays_quiet(&agent, "Start session", 1);
    let up = json::parse(r#"{"interface":"wan","action":"ifup"}"#).unwrap();
    client.send_event("network.interface", &up, LIMIT).unwrap();
    agent.wait_for("End session", 1);
    assert!(agent.stop().0.success());
    acs.finish();
}
