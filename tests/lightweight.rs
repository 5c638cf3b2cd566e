//! Lightweight notifications of the daemon: which change goes when and where, received on a UDP socket and
//! held against OpenSSL's signature and the Broadband Forum's schema.
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

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agent::{Agent, Router};
use messages::{envelope, get_values, set_values};
use play::{Knock, codes, end, has, inform, knock, methods, request_url, router, say, value, values};
use rcwmp::lab::router::PASSWORD;
use scripted::{Scripted, Seen, Step};

const HOST: &str = "Device.DeviceInfo.HostName";
const ZONE: &str = "Device.Time.LocalTimeZone";
const USED: &str = "Device.ManagementServer.LightweightNotificationProtocolsUsed";

#[expect(clippy::disallowed_macros, reason = "a test says so when it did not test")]
fn skip(why: &str) {
    println!("skipped: {why}");
}

/// Somebody who receives datagrams.
struct Listener(UdpSocket);

impl Listener {
    fn open() -> Listener {
        Listener(UdpSocket::bind("127.0.0.1:0").unwrap())
    }

    fn port(&self) -> String {
        self.0.local_addr().unwrap().port().to_string()
    }

    /// The next datagram, which must be right in every respect; its body.
    #[track_caller]
    fn next(&self) -> String {
        self.0.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut buffer = vec![0; 65_536];
        let length = self.0.recv(&mut buffer).expect("a datagram");
        check(&buffer[..length], "-sha1")
    }

    /// As [`Listener::next`], signed with HMAC-SHA256.
    #[track_caller]
    fn next_of_sha_256(&self) -> String {
        self.0.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut buffer = vec![0; 65_536];
        let length = self.0.recv(&mut buffer).expect("a datagram");
        check(&buffer[..length], "-sha256")
    }

    /// Nothing comes for a while.
    #[track_caller]
    fn stays_quiet(&self) {
        self.0.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
        let mut buffer = vec![0; 65_536];
        if let Ok(length) = self.0.recv(&mut buffer) {
            panic!("unexpected: {}", String::from_utf8_lossy(&buffer[..length]));
        }
    }
}

/// Head, signature and schema of a datagram; its body.
#[track_caller]
fn check(datagram: &[u8], digest: &str) -> String {
    let text = String::from_utf8(datagram.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let names: Vec<&str> = head.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, ["POST / HTTP/1.1", "Host", "Content-Type", "Content-Length", "Signature"]);
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    assert_eq!(header("Content-Length:"), body.len().to_string());
    assert!(!text.contains(PASSWORD));
    if let Some(said) = through("openssl", &["dgst", digest, "-hmac", PASSWORD], body) {
        assert_eq!(header("Signature:"), said.trim().rsplit(' ').next().unwrap());
    }
    has(
        body,
        &["<UN>020000-LAB0000001</UN>", "<OUI>020000</OUI>", "<SerialNumber>LAB0000001</SerialNumber>"],
    );
    if let Some(schema) = agent::shared("standards/xsd/lwn-driver.xsd") {
        let schema = schema.to_str().unwrap();
        through("xmllint", &["--nonet", "--noout", "--schema", schema, "-"], body);
    }
    body.to_owned()
}

/// What a program makes of a text; it must end well. `None` without the program.
#[track_caller]
fn through(program: &str, arguments: &[&str], input: &str) -> Option<String> {
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        skip(&format!("no {program}"));
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{input}\n{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// SetParameterAttributes of notifications.
fn notify(id: &str, list: &[(&str, u8)]) -> String {
    let items: String = list
        .iter()
        .map(|(name, level)| {
            format!(
                "<SetParameterAttributesStruct><Name>{name}</Name><NotificationChange>1</NotificationChange>\
                 <Notification>{level}</Notification><AccessListChange>0</AccessListChange>\
                 <AccessList soap-enc:arrayType=\"xsd:string[0]\"/></SetParameterAttributesStruct>"
            )
        })
        .collect();
    let count = list.len();
    envelope(
        id,
        &format!(
            "<cwmp:SetParameterAttributes><ParameterList \
             soap-enc:arrayType=\"cwmp:SetParameterAttributesStruct[{count}]\">{items}</ParameterList>\
             </cwmp:SetParameterAttributes>"
        ),
    )
}

/// SetParameterValues that turns it on and has it go to a port; more of ManagementServer with types.
fn switch_on(port: &str, more: &[(&str, &str, &str)]) -> String {
    let full: Vec<(String, &str, &str)> = [
        ("LightweightNotificationProtocolsUsed", "xsd:string", "UDP"),
        ("UDPLightweightNotificationPort", "xsd:unsignedInt", port),
    ]
    .iter()
    .chain(more)
    .map(|(name, ty, text)| (format!("Device.ManagementServer.{name}"), *ty, *text))
    .collect();
    let list: Vec<(&str, &str, &str)> =
        full.iter().map(|(name, ty, text)| (name.as_str(), *ty, *text)).collect();
    set_values("on", &list, "")
}

/// A first session with these requests, and what comes after it.
fn script(requests: &[String], then: Vec<Step>) -> Vec<Step> {
    let mut steps = vec![inform(), methods()];
    steps.extend(requests.iter().map(say));
    steps.push(end());
    steps.extend(then);
    steps
}

/// Somebody else sets the host's name, or with it the time zone.
fn edit(router: &Router, from: &str, to: &str) {
    let text = router.read("/etc/config/system");
    assert!(text.contains(from), "{from} in {text}");
    router.write("/etc/config/system", &text.replace(from, to));
}

fn names(body: &str) -> Vec<String> {
    values(body).into_iter().map(|(name, _)| name).collect()
}

fn time(body: &str) -> i64 {
    body.split("<TS>").nth(1).unwrap().split('<').next().unwrap().parse().unwrap()
}

fn texts(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(Seen::text).collect()
}

#[track_caller]
fn ends_well(agent: Agent) {
    assert!(agent.stop().0.success());
}

#[test]
fn an_acs_that_expects_sha_256() {
    let listener = Listener::open();
    let acs = Scripted::start(script(&[switch_on(&listener.port(), &[]), notify("2", &[(HOST, 5)])], vec![]));
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    edit(&router, "'OpenWrt'", "'one'");
    assert_eq!(names(&listener.next()), [HOST]);
    router.set("lwn", "digest", "SHA-256");
    agent.signal("HUP");
    agent.wait_for("Configuration read again", 1);
    edit(&router, "'one'", "'two'");
    assert_eq!(names(&listener.next_of_sha_256()), [HOST]);
    acs.finish();
    ends_well(agent);
}

#[test]
fn levels_3_and_5_without_any_session() {
    let listener = Listener::open();
    let requests = [switch_on(&listener.port(), &[]), notify("2", &[(HOST, 5), (ZONE, 3)])];
    let acs = Scripted::start(script(&requests, vec![]));
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    // A passive one waits for somebody to ride with.
    edit(&router, "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0");
    listener.stays_quiet();
    edit(&router, "'OpenWrt'", "'by-hand'");
    let body = listener.next();
    assert_eq!(names(&body), [HOST, ZONE]);
    assert_eq!((value(&body, HOST), value(&body, ZONE)), ("by-hand".into(), "EST5EDT,M3.2.0,M11.1.0".into()));
    assert!(body.contains("<Value xsi:type=\"xsd:string\">by-hand</Value>"));
    listener.stays_quiet();
    // Two changes in a moment come in order, each later than the one before.
    edit(&router, "'by-hand'", "'again'");
    let next = listener.next();
    assert_eq!((names(&next), value(&next, HOST)), (vec![HOST.to_owned()], "again".to_owned()));
    edit(&router, "'again'", "'and-again'");
    let third = listener.next();
    assert!(time(&body) < time(&next) && time(&next) < time(&third));
    play::stays_quiet(&agent, "Start session", 1);
    ends_well(agent);
    acs.finish();
}

#[test]
fn levels_4_and_6_are_told_in_the_next_inform_too() {
    let listener = Listener::open();
    let requests = [switch_on(&listener.port(), &[]), notify("2", &[(HOST, 6), (ZONE, 4)])];
    let acs = Scripted::start(script(&requests, vec![inform(), end()]));
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    edit(&router, "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0");
    listener.stays_quiet();
    edit(&router, "'OpenWrt'", "'by-hand'");
    assert_eq!(names(&listener.next()), [HOST, ZONE]);
    // Neither opens a session.
    play::stays_quiet(&agent, "Start session", 1);
    assert!([200, 204].contains(&knock(&request_url(&acs.seen()[0].text()), Knock::default())));
    agent.wait_for("Waiting the next session", 2);
    listener.stays_quiet();
    ends_well(agent);
    let seen = texts(&acs.finish());
    assert_eq!(codes(&seen[5]), ["4 VALUE CHANGE", "6 CONNECTION REQUEST"]);
    assert_eq!((value(&seen[5], HOST), value(&seen[5], ZONE).len()), ("by-hand".into(), 22));
}

#[test]
fn the_trigger_interval_lets_passive_ones_go() {
    let listener = Listener::open();
    let interval = ("LightweightNotificationTriggerInterval", "xsd:unsignedInt", "1");
    let requests = [switch_on(&listener.port(), &[interval]), notify("2", &[(HOST, 3), (ZONE, 4)])];
    let acs = Scripted::start(script(&requests, vec![]));
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    // Nothing has changed, so nothing is told.
    listener.stays_quiet();
    edit(&router, "'OpenWrt'", "'by-hand'");
    assert_eq!(names(&listener.next()), [HOST]);
    std::thread::sleep(Duration::from_secs(1));
    listener.stays_quiet();
    ends_well(agent);
    acs.finish();
}

#[test]
fn the_trigger_time_says_when() {
    const PERIOD: u64 = 6000;
    let millis = || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let listener = Listener::open();
    // Half a period from now, and since long ago: the phase counts, not the beginning.
    let second = millis() / 1000 + 3 - 100 * PERIOD;
    let time = rcwmp::model::date::format_utc(i64::try_from(second).unwrap());
    let interval = ("LightweightNotificationTriggerInterval", "xsd:unsignedInt", "6");
    let reference = ("LightweightNotificationTriggerTime", "xsd:dateTime", time.as_str());
    let requests = [switch_on(&listener.port(), &[interval, reference]), notify("2", &[(HOST, 3)])];
    let acs = Scripted::start(script(&requests, vec![]));
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    for (from, to) in [("'OpenWrt'", "'one'"), ("'one'", "'two'"), ("'two'", "'three'")] {
        edit(&router, from, to);
        assert_eq!(value(&listener.next(), HOST), to.trim_matches('\''));
        let late = (millis() - second * 1000) % PERIOD;
        assert!(late < PERIOD / 2, "{late} ms after a multiple of the period");
    }
    ends_well(agent);
    acs.finish();
}

#[test]
fn without_host_and_port_it_is_7547_of_the_acs() {
    let Ok(socket) = UdpSocket::bind("127.0.0.1:7547") else {
        return skip("port 7547 cannot be had");
    };
    let listener = Listener(socket);
    let requests = [set_values("on", &[(USED, "xsd:string", "UDP")], ""), notify("2", &[(HOST, 5)])];
    let acs = Scripted::start(script(&requests, vec![]));
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    edit(&router, "'OpenWrt'", "'by-hand'");
    assert_eq!(names(&listener.next()), [HOST]);
    ends_well(agent);
    acs.finish();
}

#[test]
fn nothing_is_lost_or_repeated_over_lives() {
    let listener = Listener::open();
    let requests = [switch_on(&listener.port(), &[]), notify("2", &[(HOST, 5), (ZONE, 3)])];
    let acs = Scripted::start(script(&requests, vec![inform(), methods(), end()]));
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    edit(&router, "'OpenWrt'", "'one'");
    let first = listener.next();
    edit(&router, "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0");
    listener.stays_quiet();
    agent.kill();
    // While nobody runs; it is found by the first look of the next life.
    edit(&router, "'one'", "'two'");
    let agent = router.start(&[]);
    let second = listener.next();
    assert!([200, 204].contains(&knock(&request_url(&acs.seen()[0].text()), Knock::default())));
    assert_eq!((names(&second), value(&second, HOST)), (vec![HOST.into(), ZONE.into()], "two".to_owned()));
    assert!(time(&first) < time(&second));
    agent.wait_for("Waiting the next session", 1);
    listener.stays_quiet();
    ends_well(agent);
    let seen = texts(&acs.finish());
    assert_eq!(codes(&seen[5]), ["6 CONNECTION REQUEST"]);
}

#[test]
fn only_while_it_is_used_and_never_a_secret() {
    const SECRET: &str = "Device.ManagementServer.ConnectionRequestPassword";
    let listener = Listener::open();
    let get = "<cwmp:GetParameterAttributes><ParameterNames soap-enc:arrayType=\"xsd:string[1]\"><string>"
        .to_owned()
        + SECRET
        + "</string></ParameterNames></cwmp:GetParameterAttributes>";
    let requests = [
        notify("1", &[(SECRET, 5)]),
        switch_on(&listener.port(), &[]),
        notify("3", &[(SECRET, 5)]),
        envelope("4", &get),
        get_values("5", &["Device.ManagementServer.LightweightNotificationProtocolsSupported"]),
    ];
    let off = set_values("off", &[(USED, "xsd:string", "")], "");
    let then = vec![inform(), say(off), say(notify("8", &[(HOST, 3)])), end()];
    let acs = Scripted::start(script(&requests, then));
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    router.set("cpe", "passwd", "another secret");
    let body = listener.next();
    assert_eq!((names(&body), value(&body, SECRET)), (vec![SECRET.to_owned()], String::new()));
    assert!(!body.contains("another"));
    router.set("cpe", "passwd", PASSWORD);
    listener.next();
    assert!([200, 204].contains(&knock(&request_url(&acs.seen()[0].text()), Knock::default())));
    agent.wait_for("Waiting the next session", 2);
    router.set("cpe", "passwd", "a third");
    listener.stays_quiet();
    ends_well(agent);
    let seen = texts(&acs.finish());
    has(&seen[3], &[">9003<"]);
    has(&seen[5], &["SetParameterAttributesResponse"]);
    has(&seen[6], &["<Notification>5<"]);
    has(&seen[7], &[">UDP<"]);
    has(&seen[10], &["SetParameterValuesResponse"]);
    has(&seen[11], &[">9003<"]);
}

#[test]
fn another_host_than_the_acs() {
    // The ACS is at 127.0.0.1; whoever notices a datagram there has found an error.
    let other = Listener(UdpSocket::bind("127.0.0.3:0").unwrap());
    let host = ("UDPLightweightNotificationHost", "xsd:string", "127.0.0.3");
    let requests = [switch_on(&other.port(), &[host]), notify("2", &[(HOST, 5)])];
    let acs = Scripted::start(script(&requests, vec![]));
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    let at_the_acs = UdpSocket::bind(("127.0.0.1", other.port().parse().unwrap()));
    edit(&router, "'OpenWrt'", "'by-hand'");
    assert_eq!(names(&other.next()), [HOST]);
    if let Ok(socket) = at_the_acs {
        Listener(socket).stays_quiet();
    }
    ends_well(agent);
    acs.finish();
}

#[test]
fn many_parameters_go_in_small_datagrams() {
    const ROWS: usize = 70;
    let listener = Listener::open();
    let table = "Device.ManagementServer.InformParameter.";
    let requests = [switch_on(&listener.port(), &[]), notify("2", &[(table, 5)])];
    let acs = Scripted::start(script(&requests, vec![]));
    let router = router(&acs.url());
    let row =
        |n| format!("config inform_parameter 'p{n}'\n\toption enable '0'\n\toption events_list '1 BOOT'\n\n");
    let rows: String = (0..ROWS).map(row).collect();
    router.write("/etc/config/cwmp", &(router.read("/etc/config/cwmp") + "\n" + &rows));
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    let text = router.read("/etc/config/cwmp");
    router.write("/etc/config/cwmp", &text.replace("'1 BOOT'", "'2 PERIODIC'"));
    let (mut told, mut last, mut datagrams) = (std::collections::BTreeSet::new(), 0, 0);
    while told.len() < ROWS {
        let body = listener.next();
        assert!(body.len() < 1400 && time(&body) > last, "{body}");
        (last, datagrams) = (time(&body), datagrams + 1);
        for (name, value) in values(&body) {
            assert_eq!(value, "2 PERIODIC");
            assert!(name.ends_with(".EventList") && told.insert(name));
        }
    }
    assert!(datagrams > 5);
    listener.stays_quiet();
    ends_well(agent);
    acs.finish();
}

#[test]
fn a_name_server_that_sleeps_holds_nothing_up() {
    // It takes questions and never answers.
    let Ok(_server) = UdpSocket::bind("127.0.0.7:53") else {
        return skip("port 53 cannot be had");
    };
    let listener = Listener::open();
    let host = ("UDPLightweightNotificationHost", "xsd:string", "collector.example");
    let requests = [switch_on(&listener.port(), &[host]), notify("2", &[(HOST, 5)])];
    let localhost = ("Device.ManagementServer.UDPLightweightNotificationHost", "xsd:string", "127.0.0.1");
    let then = vec![inform(), end(), inform(), say(set_values("9", &[localhost], "")), end()];
    let acs = Scripted::start(script(&requests, then));
    let router = router(&acs.url());
    let Some(agent) = router.start_with_name_server("127.0.0.7") else {
        return skip("no mount namespaces");
    };
    agent.wait_for("Waiting the next session", 1);
    edit(&router, "'OpenWrt'", "'one'");
    agent.wait_for("Lightweight notification of 1 parameters to collector.example", 1);
    let url = request_url(&acs.seen()[0].text());
    let start = Instant::now();
    assert!([200, 204].contains(&knock(&url, Knock::default())));
    agent.wait_for("Waiting the next session", 2);
    // Far above what it takes, far below what the name server takes.
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    assert!(!agent.log().contains("not sent"), "{}", agent.log());
    // What changes meanwhile is told with what failed, once there is a way.
    edit(&router, "'one'", "'two'");
    agent.wait_for("Lightweight notification not sent, again in 5 seconds: collector.example", 1);
    assert!([200, 204].contains(&knock(&url, Knock::default())));
    let body = listener.next();
    assert_eq!((names(&body), value(&body, HOST)), (vec![HOST.to_owned()], "two".to_owned()));
    ends_well(agent);
    acs.finish();
}
