//! Connection requests by UDP to the daemon, and its STUN client with servers that nobody here wrote
//! (TR-069 Annex G).
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
#[path = "support/stun.rs"]
mod stun;

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use agent::{Agent, Router};
use messages::{get_values, set_values};
use play::{codes, end, inform_with, methods, request_url, router, say, stays_quiet, value};
use rcwmp::lab::acs::guard::Auth;
use rcwmp::lab::acs::news::{News, Watcher};
use rcwmp::lab::acs::office::{Office, Settings};
use rcwmp::lab::acs::quirks::Quirks;
use rcwmp::lab::acs::server::Server;
use rcwmp::lab::lua::service::Variables;
use rcwmp::lab::router::{CONNECTION_REQUEST_USER, PASSWORD, SERIAL_NUMBER};
use rcwmp::lab::store::{Definition, Store};
use scripted::{Scripted, Step};
use stun::{Sender, coturn, epoch, request, request_by, set_stun, stund};

const ADDRESS: &str = "Device.ManagementServer.UDPConnectionRequestAddress";
const NAT: &str = "Device.ManagementServer.NATDetected";
const METHODS: &str = "Device.ManagementServer.SupportedConnReqMethods";
const ACCEPTED: &str = "Connection Request by UDP accepted";

fn first() -> Vec<Step> {
    vec![inform_with(&["0 BOOTSTRAP"]), methods(), end()]
}

fn requested() -> [Step; 2] {
    [inform_with(&["6 CONNECTION REQUEST"]), end()]
}

/// Where the agent listens, from what it told first.
fn udp_address(acs: &Scripted) -> String {
    let url = request_url(&acs.seen()[0].text());
    url.trim_start_matches("http://").split('/').next().unwrap().to_owned()
}

#[test]
fn three_identical_datagrams_open_one_session() {
    let mut steps = first();
    steps.extend([
        inform_with(&["6 CONNECTION REQUEST"]),
        say(get_values("1", &[ADDRESS, NAT, METHODS])),
        end(),
    ]);
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let at = udp_address(&acs);
    let sender = Sender::open();
    sender.send(&at, request(&at, epoch(), 7), 3);
    agent.wait_for("End session", 2);
    stays_quiet(&agent, "Start session", 2);
    sender.hears_nothing();
    assert_eq!(agent.log().matches(ACCEPTED).count(), 1, "{}", agent.log());
    let seen = acs.finish();
    assert_eq!(codes(&seen[3].text()), ["6 CONNECTION REQUEST"]);
    let values = seen[5].text();
    assert_eq!((value(&values, ADDRESS), value(&values, NAT)), (at, "0".to_owned()), "without STUN, too");
    // Another door may be built in too.
    assert!(value(&values, METHODS).starts_with("HTTP,STUN"), "{values}");
}

#[test]
fn what_is_not_valid_is_ignored_and_never_answered() {
    let mut steps = first();
    steps.extend(requested());
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let (at, now) = (udp_address(&acs), epoch());
    let sender = Sender::open();
    let good = request(&at, now, 8);
    let cases: [Vec<u8>; 9] = [
        request_by("guess", &at, now, 8).into(),
        good.replace("sig=", "sig=0").into(),
        good.replace("GET ", "POST ").into(),
        good.replace("HTTP/1.1", "HTTP/1.0").into(),
        good.replace("&id=8", "").into(),
        vec![b'G'; 60_000],
        vec![0; 20],
        // A Binding Request and a Binding Response of nobody's.
        [&[0, 1, 0, 0][..], b"0123456789abcdef"].concat(),
        [&[1, 1, 0, 12][..], b"0123456789abcdef", &[0, 1, 0, 8, 0, 1, 9, 9, 203, 0, 113, 6]].concat(),
    ];
    for case in &cases {
        sender.send(&at, case, 20);
    }
    stays_quiet(&agent, "Start session", 1);
    sender.hears_nothing();
    sender.send(&at, &good, 1);
    agent.wait_for("End session", 2);
    acs.finish();
}

#[test]
fn a_replay_is_refused_after_a_restart_too() {
    let mut steps = first();
    for _ in 0..4 {
        steps.extend(requested());
    }
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    router.set("acs", "get_rpc_methods", "0");
    let (at, now) = (udp_address(&acs), epoch());
    let sender = Sender::open();
    sender.send(&at, request(&at, now, 1), 1);
    agent.wait_for("End session", 2);
    sender.send(&at, request(&at, now, 1), 1);
    sender.send(&at, request(&at, now, 2), 1);
    sender.send(&at, request(&at, now - 1, 3), 1);
    sender.send(&at, request(&at, now + 1, 1), 1);
    stays_quiet(&agent, "Start session", 2);
    agent.kill();
    let agent = router.start(&[]);
    agent.wait_for("Connection Request server initiated", 1);
    sender.send(&at, request(&at, now, 1), 1);
    sender.send(&at, request(&at, now, 4), 1);
    stays_quiet(&agent, "Start session", 0);
    sender.send(&at, request(&at, now + 1000, 5), 1);
    agent.wait_for("End session", 1);
    // An ACS whose clock was wrong has a way out: other credentials.
    sender.send(&at, request(&at, now + 1, 6), 1);
    stays_quiet(&agent, "Start session", 1);
    router.set("cpe", "passwd", "another");
    agent.signal("HUP");
    agent.wait_for("Configuration read again", 1);
    sender.send(&at, request_by("another", &at, now + 1, 6), 1);
    agent.wait_for("End session", 2);
    // They are no way back for what was recorded of the old ones, though, in this life and the next.
    router.set("cpe", "passwd", PASSWORD);
    agent.signal("HUP");
    agent.wait_for("Configuration read again", 2);
    sender.send(&at, request(&at, now + 1000, 5), 1);
    sender.send(&at, request(&at, now, 1), 1);
    stays_quiet(&agent, "Start session", 2);
    agent.kill();
    let agent = router.start(&[]);
    agent.wait_for("Connection Request server initiated", 1);
    sender.send(&at, request(&at, now + 1000, 5), 1);
    stays_quiet(&agent, "Start session", 0);
    sender.send(&at, request(&at, now + 1001, 7), 1);
    agent.wait_for("End session", 1);
    acs.finish();
}

#[test]
fn stund_tells_how_long_a_binding_lives() {
    let Some((_server, port)) = stund() else { return };
    let router = stunned(port, 1, 4);
    let agent = router.start(&[]);
    // Without a NAT in between every silence is survived.
    agent.wait_for("The way for Connection Requests by UDP is kept every 4 s", 1);
    binding_is_ours(&agent);
}

#[test]
fn coturn_answers_the_sender_so_that_the_shortest_period_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_server, port)) = coturn(folder.path()) else { return };
    let router = stunned(port, 2, 60);
    let agent = router.start(&[]);
    agent.wait_for("The way for Connection Requests by UDP is kept every 2 s", 1);
    binding_is_ours(&agent);
}

/// A router with an ACS that is away, and STUN.
fn stunned(port: u16, minimum: i64, maximum: i64) -> Router {
    let router = Router::new("http://127.0.0.1:9/");
    set_stun(&router, "localhost", port, minimum, maximum);
    router
}

/// What the server says is what we have: otherwise a line would tell of it.
#[track_caller]
fn binding_is_ours(agent: &Agent) {
    let log = agent.log();
    assert!(!log.contains("does not answer") && log.contains("STUN server 127.0.0.1:"), "{log}");
    assert!(!log.contains("reach us at"), "{log}");
}

#[test]
fn a_server_that_is_away_is_said_once_and_asked_on() {
    let [port, _] = stun::free_udp_ports("127.0.0.1");
    let router = stunned(port, 1, 1);
    let agent = router.start(&[]);
    agent.wait_for("does not answer", 1);
    let server = std::net::UdpSocket::bind(("127.0.0.1", port)).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut block = [0; 1500];
    let (length, from) = server.recv_from(&mut block).unwrap();
    assert_eq!((length, &block[..4]), (44, &[0, 1, 0, 24][..]));
    assert_eq!(&block[20..44], b"\xC0\x01\0\x14dslforum.org/TR-111 ");
    // A NAT at 203.0.113.6, as the answer has it.
    let answer =
        [&[1, 1, 0, 12][..], &block[4..20], &[0, 1, 0, 8, 0, 1, 0x30, 0x39, 203, 0, 113, 6]].concat();
    server.send_to(&answer, from).unwrap();
    agent.wait_for("Connection Requests by UDP reach us at 203.0.113.6:12345", 1);
    let (length, _) = server.recv_from(&mut block).unwrap();
    assert_eq!((length, &block[44..48]), (48, &[0xC0, 0x02, 0, 0][..]), "BINDING-CHANGE at once");
    assert_eq!(agent.log().matches("does not answer").count(), 1, "{}", agent.log());
}

/// What a STUN server answers to a request.
fn mapped(request: &[u8], at: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(at) = at else { panic!("IPv4 here") };
    let head = [&[1, 1, 0, 12][..], &request[4..20], &[0, 1, 0, 8, 0, 1]].concat();
    [&head[..], &at.port().to_be_bytes(), &at.ip().octets()].concat()
}

/// Every port but the first is taken, in a network of the agent's own: that is said once, the binding is kept all the
/// same, and how long it lives is found out when there is a second one.
#[test]
fn a_second_port_that_cannot_be_had_is_waited_for() {
    const RANGE: &str = "sysctl -q -w net.ipv4.ip_local_port_range";
    let router = stunned(3478, 1, 4);
    router.set("stun", "server_address", "127.0.0.1");
    router.set("cpe", "port", "40000");
    let before = format!("ip link set lo up && {RANGE}='40000 40000'");
    let Some(agent) = router.start_apart("--net", &before) else {
        return stun::skip("no network of its own here");
    };
    let pid = agent.child.id().to_string();
    let there = ["--net", "-t", &pid];
    let stund = ["stund", "-h", "127.0.0.1", "-a", "127.0.0.2", "-p", "3478", "-o", "3479"];
    let is_there = Command::new("sh").args(["-c", "command -v stund"]).stdout(Stdio::null()).status();
    if !is_there.is_ok_and(|status| status.success()) {
        return stun::skip("stund not installed");
    }
    agent.wait_for("no second port for STUN", 1);
    let _server = stun::Server::start("nsenter", &[&there[..], &stund].concat()).unwrap();
    // It was tried again after five seconds, and each turn of the loop was a complaint.
    thread::sleep(Duration::from_secs(7));
    assert_eq!(agent.log().matches("no second port for STUN").count(), 1, "{}", agent.log());
    assert!(!agent.log().contains("is kept every"), "{}", agent.log());
    let busy = agent.cpu();
    thread::sleep(Duration::from_secs(2));
    assert!(agent.cpu() - busy < Duration::from_millis(200), "a loop that spins");
    let wider = format!("{RANGE}='40000 50000'");
    let done = Command::new("nsenter").args(there).args(["sh", "-c", &wider]).status();
    assert!(done.unwrap().success());
    agent.wait_for("The way for Connection Requests by UDP is kept every 4 s", 1);
    assert_eq!(agent.log().matches("no second port for STUN").count(), 1, "{}", agent.log());
}

/// A name with two addresses, one of which is silent: whichever is asked first.
#[test]
fn the_other_address_of_a_stun_server_is_asked_when_one_is_silent() {
    let first = UdpSocket::bind("127.0.0.2:0").unwrap();
    let port = first.local_addr().unwrap().port();
    let servers = [first, UdpSocket::bind(("127.0.0.3", port)).unwrap()];
    servers.iter().for_each(|server| server.set_nonblocking(true).unwrap());
    let router = stunned(port, 1, 1);
    router.set("stun", "server_address", "stun.test");
    let hosts = "127.0.0.1 localhost\n127.0.0.2 stun.test\n127.0.0.3 stun.test\n";
    let Some(agent) = router.start_with_hosts(hosts) else { return stun::skip("no mounts of its own here") };
    let (start, mut block, mut silent, mut answered) = (Instant::now(), [0; 1500], None, 0);
    while answered < 3 {
        for (at, server) in servers.iter().enumerate() {
            while let Ok((length, from)) = server.recv_from(&mut block) {
                if *silent.get_or_insert(at) != at {
                    let _ = server.send_to(&mapped(&block[..length], from), from);
                    answered += 1;
                }
            }
        }
        thread::sleep(Duration::from_millis(20));
        assert!(start.elapsed() < Duration::from_secs(90), "{silent:?}: {}", agent.log());
    }
    let other = if silent == Some(0) { "127.0.0.3" } else { "127.0.0.2" };
    agent.wait_for(&format!("STUN server {other}:{port}"), 1);
}

#[test]
fn a_new_binding_is_told_and_a_forged_one_is_not() {
    let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = server.local_addr().unwrap().port();
    let active = messages::envelope(
        "1",
        &format!(
            "<cwmp:SetParameterAttributes><ParameterList \
             soap-enc:arrayType=\"cwmp:SetParameterAttributesStruct[1]\"><SetParameterAttributesStruct>\
             <Name>{ADDRESS}</Name><NotificationChange>1</NotificationChange><Notification>2</Notification>\
             <AccessListChange>0</AccessListChange><AccessList soap-enc:arrayType=\"xsd:string[0]\"/>\
             </SetParameterAttributesStruct></ParameterList></cwmp:SetParameterAttributes>"
        ),
    );
    let port_text = port.to_string();
    let settings = set_values(
        "2",
        &[
            ("Device.ManagementServer.STUNMinimumKeepAlivePeriod", "xsd:unsignedInt", "1"),
            ("Device.ManagementServer.STUNMaximumKeepAlivePeriod", "xsd:int", "1"),
            ("Device.ManagementServer.STUNServerPort", "xsd:unsignedInt", &port_text),
            ("Device.ManagementServer.STUNUsername", "xsd:string", "cpe-1"),
            ("Device.ManagementServer.STUNPassword", "xsd:string", "secret"),
            // STUNServerAddress stays empty: the host of the ACS.
            ("Device.ManagementServer.STUNEnable", "xsd:boolean", "1"),
        ],
        "",
    );
    let acs = Scripted::start(vec![
        inform_with(&["0 BOOTSTRAP"]),
        methods(),
        say(active),
        say(settings),
        end(),
        inform_with(&["4 VALUE CHANGE", ADDRESS, "203.0.113.6:12345"]),
        say(get_values("3", &[NAT, ADDRESS])),
        end(),
    ]);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    let mut block = [0; 1500];
    let (length, from) = server.recv_from(&mut block).unwrap();
    assert_eq!(&block[44..length], b"\0\x06\0\x08cpe-1   ", "USERNAME, filled up");
    let mapped = |request: &[u8]| {
        [&[1, 1, 0, 12][..], &request[4..20], &[0, 1, 0, 8, 0, 1, 0x30, 0x39, 203, 0, 113, 6]].concat()
    };
    let mut forged = mapped(&block);
    forged[7] ^= 1;
    server.send_to(&forged, from).unwrap();
    // Somebody who has seen the request, and is not the server.
    Sender::open().send(&from.to_string(), mapped(&block), 1);
    stays_quiet(&agent, "reach us at 203.0.113.6", 0);
    let refusal = [&[1, 0x11, 0, 8][..], &block[4..20], &[0, 9, 0, 4, 0, 0, 4, 1]].concat();
    server.send_to(&refusal, from).unwrap();
    // Copies of the first may still come.
    let sealed = loop {
        let (length, _) = server.recv_from(&mut block).unwrap();
        if length > 60 {
            break block[..length].to_vec();
        }
    };
    assert_eq!(sealed[sealed.len() - 24..][..4], [0, 8, 0, 20], "MESSAGE-INTEGRITY is the last");
    server.send_to(&mapped(&sealed), from).unwrap();
    stays_quiet(&agent, "reach us at 203.0.113.6", 0);
    server.send_to(&proven(&mapped(&sealed), "secret"), from).unwrap();
    agent.wait_for("End session", 2);
    let seen = acs.finish();
    let values = seen[seen.len() - 1].text();
    assert_eq!((value(&values, NAT).as_str(), value(&values, ADDRESS).as_str()), ("1", "203.0.113.6:12345"));
}

/// The answer with MESSAGE-INTEGRITY as RFC 3489 makes it.
fn proven(answer: &[u8], password: &str) -> Vec<u8> {
    use hmac::{Hmac, Mac};
    let mut text = answer.to_vec();
    text[3] += 24;
    let mut filled = text.clone();
    filled.resize(filled.len().next_multiple_of(64), 0);
    let mut mac = <Hmac<sha1::Sha1> as Mac>::new_from_slice(password.as_bytes()).unwrap();
    mac.update(&filled);
    text.extend([0, 8, 0, 20]);
    text.extend(mac.finalize().into_bytes());
    text
}

/// Keeps what the mini-ACS tells.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Watcher for Notes {
    fn news(&self, news: &News<'_>) {
        self.0.lock().unwrap().push(format!("{news:?}"));
    }
}

#[test]
fn the_mini_acs_knocks_by_udp_where_http_is_closed() {
    let store = Store::in_memory().unwrap();
    store.add_device(SERIAL_NUMBER).unwrap();
    store.set_connection_request(SERIAL_NUMBER, CONNECTION_REQUEST_USER, PASSWORD).unwrap();
    let script = "sleep(1.5) send_cwmp_message_and_forget(device_id, [[<soap:Envelope \
        xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\">\
        <soap:Body><cwmp:GetRPCMethods/></soap:Body></soap:Envelope>]]) \
        set_provisioning_status('provisioned')";
    let definition =
        Definition { name: "late".into(), script: script.into(), available: true, ..Definition::default() };
    let service = store.put_definition(&definition).unwrap();
    store.create_instance(SERIAL_NUMBER, service, &Variables::new()).unwrap();
    let notes = Notes::default();
    let settings = Settings { hold: Duration::ZERO, ..Settings::default() };
    let office = Office::new(store, Box::new(notes.clone()), settings);
    let server =
        Server::start(office, "127.0.0.1:0".parse().unwrap(), Auth::None, Quirks::default()).unwrap();
    let router = router(&server.url());
    router.set("cpe", "http_connection_request_enable", "0");
    router.set("cpe", "forced_inform_json", "/etc/inform.json");
    router.write("/etc/inform.json", &format!("{{\"forced_inform\": [\"{ADDRESS}\"]}}"));
    let agent = router.start(&[]);
    agent.wait_for(ACCEPTED, 1);
    agent.wait_for("End session", 2);
    let end = Instant::now() + Duration::from_secs(10);
    while !notes.0.lock().unwrap().iter().any(|line| line.contains("Answered")) {
        assert!(Instant::now() < end, "{:?}", notes.0.lock().unwrap());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(agent.log().matches(ACCEPTED).count(), 1, "three copies are one request");
}
