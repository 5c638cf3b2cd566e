//! An ACS that never has enough, and a flash that has: rows are added up to their limit, deleted in loops, a switch is
//! turned a thousand times, names come by the hundred thousand; and an agent that can write nothing still has its
//! sessions. The next honest request is answered each time, and nothing has grown.
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
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use agent::{Agent, Router};
use messages::{get_values, set_values};
use play::{Knock, codes, end, has, inform, inform_with, knock, methods, object, request_url, router, say};
use scripted::{Scripted, Seen};

const MAPPINGS: &str = "Device.NAT.PortMapping.";
const SSID: &str = "Device.WiFi.SSID.1.SSID";
const UPTIME: &str = "Device.DeviceInfo.UpTime";

/// A number of kilobytes of `/proc/PID/status`: `RssAnon`, since pages of the program come when they are first needed.
fn kilobytes(agent: &Agent, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn descriptors(agent: &Agent) -> usize {
    fs::read_dir(format!("/proc/{}/fd", agent.child.id())).unwrap().count()
}

/// Plays a first session, then these requests in one more, then an honest one; gives what the agent answered to them.
/// Memory and descriptors are what they were.
#[track_caller]
fn storm(router: &Router, requests: Vec<String>) -> Vec<String> {
    let count = requests.len();
    let honest = || say(get_values("1", &[SSID]));
    let mut steps = vec![inform(), methods(), honest(), end(), inform()];
    steps.extend(requests.into_iter().map(say));
    steps.extend([end(), inform(), honest(), end()]);
    let acs = Scripted::start(steps);
    router.set("acs", "url", &acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    agent.wait_for("tr069 is on ubus", 1);
    let before = (kilobytes(&agent, "RssAnon"), descriptors(&agent));
    for sessions in 2..4 {
        assert!(router.run(&["inform"]).status.success());
        // A thousand changes are a thousand commits.
        let end = Instant::now() + Duration::from_secs(300);
        while agent.log().matches("End session").count() < sessions && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        agent.wait_for("End session", sessions);
    }
    let grown = kilobytes(&agent, "RssAnon").saturating_sub(before.0);
    assert!(grown < 8 << 10, "{grown} KiB more");
    // One or two are a conversation with ubus that is just going on; a leak has hundreds.
    let end = Instant::now() + Duration::from_secs(10);
    while descriptors(&agent) > before.1 + 2 {
        assert!(Instant::now() < end, "{} descriptors, {} before", descriptors(&agent), before.1);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!agent.log().contains("panicked"), "{}", agent.log());
    assert!(agent.stop().0.success());
    let seen = acs.finish();
    let text = |seen: &Seen| seen.text();
    has(&text(seen.last().unwrap()), &["GetParameterValuesResponse"]);
    // Behind the first session's four posts, and the Inform; its answer comes with the next post.
    seen[seen.len() - 3 - count..seen.len() - 3].iter().map(text).collect()
}

fn ubus(router: &Router) -> rcwmp::lab::router::broker::Broker {
    let socket = router.root().join("var/run/ubus/ubus.sock");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    rcwmp::lab::router::broker::Broker::start(&socket, vec![]).unwrap()
}

#[test]
fn rows_are_added_up_to_their_limit() {
    let router = router("http://127.0.0.1:1/");
    let _ubus = ubus(&router);
    let answers = storm(&router, (0..300).map(|_| object("1", "AddObject", MAPPINGS)).collect());
    let taken = answers.iter().filter(|answer| answer.contains("AddObjectResponse")).count();
    assert!((200..=256).contains(&taken), "{taken} rows");
    // Once one is refused, all are, each with the code for it.
    for answer in &answers[taken..] {
        has(answer, &["<FaultCode>9004<"]);
    }
    // In loops: the first time they are there, the second time they are not.
    let number = |answer: &String| {
        let text = answer.split("<InstanceNumber>").nth(1)?.split('<').next()?;
        Some(object("1", "DeleteObject", &format!("{MAPPINGS}{text}.")))
    };
    let once: Vec<String> = answers.iter().filter_map(number).collect();
    assert_eq!(once.len(), taken);
    let answers = storm(&router, [once.clone(), once].concat());
    for (at, answer) in answers.iter().enumerate() {
        has(answer, &[if at < taken { "DeleteObjectResponse" } else { "<FaultCode>9005<" }]);
    }
}

#[test]
fn a_switch_is_turned_and_turned() {
    let router = router("http://127.0.0.1:1/");
    let _ubus = ubus(&router);
    let turn = |n: u32| {
        let on = if n.is_multiple_of(2) { "1" } else { "0" };
        set_values("1", &[("Device.WiFi.SSID.1.Enable", "xsd:boolean", on)], &n.to_string())
    };
    let answers = storm(&router, (0..1000).map(turn).collect());
    for answer in answers {
        has(&answer, &["SetParameterValuesResponse"]);
    }
}

#[test]
fn names_by_the_hundred_thousand() {
    let router = router("http://127.0.0.1:1/");
    let _ubus = ubus(&router);
    let many = |name: &str, count: usize| get_values("1", &vec![name; count]);
    let deep = "A.".repeat(1000);
    let answers = storm(
        &router,
        vec![
            many("Device.DeviceInfo.UpTime", 20_000),
            many("Device.DeviceInfo.NoSuch", 20_000),
            many(&deep, 10),
            many("Device.WiFi.SSID.4294967295.SSID", 10),
            many("Device.WiFi.SSID.18446744073709551616.SSID", 10),
        ],
    );
    for answer in &answers[1..] {
        has(answer, &["<FaultCode>9005<"]);
    }
    assert!(answers.iter().all(|answer| answer.len() < 8 << 20));
}

/// The daemon, where every octet that it writes into a file is one too many, as on a flash that is full.
fn start_on_a_full_flash(router: &Router) -> Agent {
    let log = router.root().parent().unwrap().join("agent.log");
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -f 0; trap '' XFSZ; exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_rcwmpd"),
        "-f",
        "--root",
    ]);
    command.arg(router.root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = child.stderr.take().unwrap();
    let mut file = fs::File::create(&log).unwrap();
    std::thread::spawn(move || std::io::copy(&mut said, &mut file));
    Agent::of(child, log)
}

#[test]
fn a_flash_that_is_full() {
    let ssid = |name: &str| say(set_values("1", &[(SSID, "xsd:string", name)], "k"));
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(get_values("1", &[UPTIME])),
        ssid("refused"),
        end(),
        inform(),
        methods(),
        ssid("taken"),
        end(),
    ]);
    let router = router(&acs.url());
    let before = router.read("/etc/config/wireless");
    let agent = start_on_a_full_flash(&router);
    agent.wait_for("End session", 1);
    let log = agent.log();
    assert!(log.contains("ERROR") || log.contains("WARNING"), "{log}");
    assert!(agent.stop().0.success());
    // Nothing half, and nothing said to be done that is not.
    assert_eq!(router.read("/etc/config/wireless"), before);
    // Once there is room it is a device that was never heard of, at worst.
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    assert!(agent.stop().0.success());
    let seen = acs.finish();
    has(&seen[3].text(), &["GetParameterValuesResponse"]);
    has(&seen[4].text(), &["<FaultCode>900"]);
    assert!(codes(&seen[5].text()).contains(&"0 BOOTSTRAP".to_owned()));
    has(&seen[8].text(), &["SetParameterValuesResponse"]);
    assert!(router.read("/etc/config/wireless").contains("'taken'"));
}

/// A flash that has failed, and is read-only since: in the first life, or in a later one.
#[test]
fn a_flash_that_is_read_only() {
    for is_first in [true, false] {
        let mut steps = Vec::new();
        if !is_first {
            steps.extend([inform(), methods(), end()]);
        }
        let refused = say(set_values("1", &[(SSID, "xsd:string", "refused")], "k"));
        steps.extend([inform(), methods(), say(get_values("1", &[UPTIME])), refused, end()]);
        steps.extend((0..2).flat_map(|_| [inform_with(&["6 CONNECTION REQUEST"]), end()]));
        let acs = Scripted::start(steps);
        let router = router(&acs.url());
        router.set("acs", "get_rpc_methods", "1");
        let mut before = 0;
        if !is_first {
            router.play();
            before = 3;
        }
        let etc = router.root().join("etc").display().to_string();
        let wireless = router.read("/etc/config/wireless");
        let mount = format!("mount --bind '{etc}' '{etc}' && mount -o remount,ro,bind '{etc}'");
        let Some(agent) = router.start_apart("--mount", &mount) else { return };
        agent.wait_for("Connection Request server initiated", 1);
        if !is_first {
            assert_eq!(knock(&request_url(&acs.seen()[0].text()), Knock::default()), 200);
        }
        agent.wait_for("End session", 1);
        agent.wait_for("Waiting the next session", 1);
        let url = request_url(&acs.seen()[before].text());
        assert_eq!(knock(&url, Knock::default()), 200);
        agent.wait_for("End session", 2);
        agent.wait_for("Waiting the next session", 2);
        let busy = agent.cpu();
        std::thread::sleep(Duration::from_secs(3));
        assert!(agent.cpu() - busy < Duration::from_millis(300), "a loop that spins");
        let log = agent.log();
        assert_eq!(log.matches("the state is not saved").count(), 1, "{log}");
        assert!(log.matches("Read-only file system").count() < 8, "{log}");
        // Somebody has mended it.
        let pid = agent.child.id().to_string();
        let mended = ["-t", &pid, "--mount", "mount", "-o", "remount,rw,bind", &etc];
        assert!(Command::new("nsenter").args(mended).status().unwrap().success());
        assert_eq!(knock(&url, Knock::default()), 200);
        agent.wait_for("End session", 3);
        agent.wait_for("the state is saved again", 1);
        assert!(agent.stop().0.success());
        assert_eq!(router.read("/etc/config/wireless"), wireless);
        let seen = acs.finish();
        has(&seen[before + 3].text(), &["GetParameterValuesResponse"]);
        has(&seen[before + 4].text(), &["<FaultCode>900"]);
    }
}
