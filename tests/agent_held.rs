//! Programs on ubus that keep silent hold the reading of the model for seconds, and a large read takes its time:
//! `tr069` answers at once all the same, and what needs the model is answered afterwards.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/bus.rs"]
mod bus;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bus::Offers;
use messages::get_values;
use play::{challenge, codes, end, inform, methods, request_url, router, say};
use rcwmp::ubus::blobmsg::Table;
use rcwmp::ubus::client::{CallError, Client};
use rcwmp::ubus::json;
use rcwmp::ubus::msg::Status;
use scripted::{Scripted, Seen, step};

const LIMIT: Duration = Duration::from_secs(20);
/// Callers at a time, each a moment after the one before.
const CALLERS: u64 = 15;

fn call(socket: &Path, object: &str, method: &str, arguments: &str) -> Result<Table, CallError> {
    let mut client = Client::connect(socket, LIMIT)?;
    Ok(client.call(object, method, &json::parse(arguments).unwrap(), LIMIT)?.remove(0))
}

#[test]
fn a_read_that_waits_for_others_holds_nobody_up() {
    const SILENT: [(&str, &str); 3] =
        [("network.device", "status"), ("luci-rpc", "getHostHints"), ("dhcp", "ipv4leases")];
    let offers =
        SILENT.iter().fold(Offers::new(), |offers, (object, method)| offers.says(object, method, "{}"));
    let held: Arc<Mutex<Option<bus::Bus>>> = Arc::default();
    let bus = Arc::clone(&held);
    let (asked, is_asked) = mpsc::channel();
    let (told, is_told) = mpsc::channel();
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        // From now on they are silent, and this needs them.
        step().computed(move |_| {
            let bus = bus.lock().unwrap();
            SILENT.iter().for_each(|(object, method)| bus.as_ref().unwrap().now_keeps_silent(object, method));
            asked.send(()).unwrap();
            say(get_values("1", &["Device."]))
        }),
        step().computed(move |seen| {
            assert!(seen.text().contains("GetParameterValuesResponse"));
            told.send(Instant::now()).unwrap();
            end()
        }),
        inform(),
        end(),
    ]);
    let router = router(&acs.url());
    let socket = router.root().join("var/run/ubus/ubus.sock");
    *held.lock().unwrap() = Some(offers.start_at(&socket, None));
    let agent = router.start(&[]);
    agent.wait_for("tr069 is on ubus", 1);
    is_asked.recv_timeout(Duration::from_secs(30)).unwrap();
    thread::sleep(Duration::from_millis(200));
    // One after the other would wait only once: each comes a moment after the one before.
    let callers: Vec<_> = (0..CALLERS)
        .map(|at| {
            let socket = socket.clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(70 * at));
                let start = Instant::now();
                let status = call(&socket, "tr069", "status", "{}").unwrap();
                let last = status.table("last_session").unwrap().text("status").unwrap().into_owned();
                assert_eq!(last, "running");
                start.elapsed()
            })
        })
        .collect();
    let mut took: Vec<Duration> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    took.sort_unstable();
    // And everything else that icwmp's object answers.
    let later = "Session already running, event will be sent at the end of the session";
    let mut others = Vec::new();
    for (method, arguments, info) in [
        ("notify", "{}", "values are looked at"),
        ("inform", r#"{"event":"2 PERIODIC"}"#, later),
        ("command", r#"{"command":"dance"}"#, "'dance' is not supported. Check the supported commands."),
    ] {
        let start = Instant::now();
        let answer = call(&socket, "tr069", method, arguments).unwrap();
        others.push(start.elapsed());
        assert_eq!(answer.text("info").unwrap(), info);
    }
    others.sort_unstable();
    let asked_all = Instant::now();
    let value = call(&socket, "rcwmp", "get", r#"{"path":"Device.DeviceInfo.SerialNumber"}"#).unwrap();
    let end = is_told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(end > asked_all, "the read was over before everybody had asked");
    assert!(took[took.len() / 2] < Duration::from_millis(50), "{took:?}");
    assert!(others[1] < Duration::from_millis(50), "{others:?}");
    assert_eq!(value.array("parameters").len(), 1);
    agent.wait_for("End session", 2);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[4]), ["2 PERIODIC"]);
}

/// More calls than the loop has room for are refused with ubus's own word, and those that were taken are answered.
#[test]
fn a_flood_of_calls_is_refused_and_not_kept() {
    let offers = Offers::new().keeps_silent_on("network.interface", "dump");
    let router = router("");
    let socket = router.root().join("var/run/ubus/ubus.sock");
    let _bus = offers.start_at(&socket, None);
    let agent = router.start(&[]);
    agent.wait_for("tr069 is on ubus", 1);
    let get = |path: &str| {
        let (socket, arguments) = (socket.clone(), format!("{{\"path\":\"{path}\"}}"));
        thread::spawn(move || call(&socket, "rcwmp", "get", &arguments))
    };
    let first = get("Device.");
    thread::sleep(Duration::from_millis(300));
    let others: Vec<_> = (0..40).map(|_| get("Device.DeviceInfo.SerialNumber")).collect();
    let (mut good, mut refused) = (0, 0);
    for other in others {
        match other.join().unwrap() {
            Ok(table) => {
                assert_eq!(table.array("parameters").len(), 1);
                good += 1;
            }
            Err(CallError::Refused { status: Status::NoMemory, .. }) => refused += 1,
            Err(why) => panic!("{why}"),
        }
    }
    assert!(first.join().unwrap().is_ok());
    assert!(good >= 16 && refused > 0, "{good} answered, {refused} refused");
    agent.wait_for("is refused: 16 calls wait", 1);
    assert!(agent.stop().0.success());
}

/// Many who ask for much do not keep the ACS waiting until all of them have it.
#[test]
fn the_port_is_served_between_calls() {
    let acs = Scripted::start(vec![inform(), methods(), end()]);
    let router = router(&acs.url());
    let socket = router.root().join("var/run/ubus/ubus.sock");
    let _bus = Offers::new().says("service", "event", "{}").start_at(&socket, None);
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    agent.wait_for("tr069 is on ubus", 1);
    let url = request_url(&acs.seen()[0].text());
    let start = Instant::now();
    let (answered, answers) = mpsc::channel();
    for _ in 0..16 {
        let (socket, answered) = (socket.clone(), answered.clone());
        thread::spawn(move || {
            let answer = call(&socket, "rcwmp", "get", r#"{"path":"Device."}"#);
            answered.send((answer.is_ok(), start.elapsed())).unwrap();
        });
    }
    // The one that came first was alone; the others wait by now.
    let mut answered = vec![answers.recv().unwrap()];
    challenge(&url);
    let challenged = start.elapsed();
    answered.extend(answers.iter().take(15));
    // Four of them, and what the turn does besides, came first; all sixteen would have else.
    assert!(answered.iter().all(|(good, _)| *good));
    let before = answered.iter().filter(|(_, at)| *at < challenged).count();
    assert!(before <= 10, "{before} before the port at {challenged:?}: {answered:?}");
    assert!(agent.stop().0.success());
    acs.finish();
}
