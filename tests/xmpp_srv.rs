//! Where the XMPP server is by DNS (RFC 6120 3.2.1, RFC 2782): asked of dnsmasq, which nobody here wrote, and of a
//! name server that lies. Each test runs itself again in a network of its own, where the port of DNS is free.
#![cfg(all(feature = "lab", feature = "xmpp", feature = "tls"))]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/prosody.rs"]
mod prosody;
#[path = "support/scripted.rs"]
mod scripted;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use agent::free_port;
use play::{end, has, inform, inform_with, methods};
use prosody::{Peer, Prosody, SECRET};
use rcwmp::agent::xmpp::{Algorithm, Attempt, Settings};
use rcwmp::connreq::xmpp::client::{Account, Fault, Stats};
use rcwmp::connreq::xmpp::server::Retry;
use rcwmp::lab::router::{CONNECTION_REQUEST_USER as USER, PASSWORD};
use scripted::Scripted;

/// Set in the network of its own.
const INSIDE: &str = "RCWMP_TEST_INSIDE";

/// Whether the test is in a network of its own; runs it there otherwise.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("resolv.conf");
    std::fs::write(&file, "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n").unwrap();
    let unshare = |then: &str| {
        let file = file.display();
        let make = format!("ip link set lo up && mount --bind '{file}' /etc/resolv.conf && {then}");
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-c", &make, "sh"]);
        command
    };
    let skip = |why: &str| std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes()).unwrap();
    let is_there = |name| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !is_there("dnsmasq") {
        skip("dnsmasq not installed");
        return false;
    }
    if !unshare("exit 0").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        skip("no network namespaces here");
        return false;
    }
    let done = unshare("exec \"$@\"")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && told.contains("1 passed"), "{told}");
    std::io::stderr().write_all(&done.stderr).unwrap();
    false
}

/// dnsmasq on the loopback; stopped when dropped.
struct Dns(Child);

impl Dns {
    /// Starts one that knows this, and of the rest nothing.
    fn start(records: &[String]) -> Dns {
        let child = Command::new("dnsmasq")
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--pid-file=",
            ])
            .args(["--user=root", "--listen-address=127.0.0.1", "--bind-interfaces"])
            .args(records)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while UdpSocket::bind("127.0.0.1:53").is_ok() {
            assert!(Instant::now() < end, "dnsmasq does not start");
            thread::sleep(Duration::from_millis(20));
        }
        Dns(child)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn srv(domain: &str, target: &str, port: u16, priority: u16, weight: u16) -> String {
    format!("--srv-host=_xmpp-client._tcp.{domain},{target},{port},{priority},{weight}")
}

fn attempt(domain: &str, failures: u32, seed: u32) -> Attempt {
    Attempt {
        settings: Settings {
            section: "x".to_owned(),
            account: Account {
                username: "cpe".to_owned(),
                password: SECRET.into(),
                domain: domain.to_owned(),
                resource: "wan".to_owned(),
                use_tls: false,
            },
            algorithm: Algorithm::DnsSrv,
            keep_alive: None,
            retry: Retry { attempts: 1, ..Retry::default() },
            allowed: Vec::new(),
        },
        tls: None,
        interface: None,
        force_ipv4: true,
        resolv_conf: "/etc/resolv.conf".into(),
        failures,
        seed,
        nonce: "fyko+d2lbbFgONRv9qkxdawL".to_owned(),
        stats: Stats::default(),
    }
}

fn run(attempt: &Attempt) -> Result<String, Fault> {
    let deadline = Instant::now() + Duration::from_secs(30);
    attempt.run(deadline, &Arc::new(AtomicBool::new(false))).map(|online| online.jid().to_owned())
}

/// Doors that take connections and close them.
struct Doors(Vec<TcpListener>);

impl Doors {
    fn open(more: &[u16]) -> Doors {
        let ports = more.iter().copied().chain([0; 3]);
        let doors: Vec<_> =
            ports.map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap()).collect();
        Doors(doors)
    }

    fn port(&self, at: usize) -> u16 {
        self.0[at].local_addr().unwrap().port()
    }

    /// At which of them an attempt knocks.
    fn knocked(&self, attempt: &Attempt) -> Option<usize> {
        self.0.iter().for_each(|door| door.set_nonblocking(true).unwrap());
        thread::scope(|scope| {
            let fault = scope.spawn(|| run(attempt).err().unwrap());
            let mut found = None;
            while !fault.is_finished() {
                for (at, door) in self.0.iter().enumerate() {
                    if door.accept().is_ok() {
                        assert_eq!(found.replace(at), None, "one address a time");
                    }
                }
                thread::sleep(Duration::from_millis(1));
            }
            let fault = fault.join().unwrap();
            assert!(found.is_some() || matches!(fault, Fault::NotPresent(_)), "{fault}");
            found
        })
    }
}

#[test]
fn a_dead_server_is_passed_over_and_the_next_one_logs_in() {
    if !is_inside("a_dead_server_is_passed_over_and_the_next_one_logs_in") {
        return;
    }
    let Some(prosody) = Prosody::start(free_port()) else { return };
    let (domain, dead) = ("sha256.example", free_port());
    let _dns = Dns::start(&[
        srv(domain, "one.example", dead, 5, 100),
        srv(domain, "two.example", prosody.port(), 10, 0),
        "--host-record=one.example,127.0.0.1".to_owned(),
        "--host-record=two.example,127.0.0.1".to_owned(),
    ]);
    let mut steps = vec![inform(), methods(), end()];
    steps.extend([inform_with(&["6 CONNECTION REQUEST"]), end()]);
    let acs = Scripted::start(steps);
    let router = play::router(&acs.url());
    let text = router.read("/etc/config/cwmp")
        + &format!(
            "\nconfig xmpp 'xmpp'\n\toption connection 'home'\n\nconfig xmpp_connection 'home'\n\toption enable '1'\n\
             \toption username 'cpe'\n\toption password '{SECRET}'\n\toption domain '{domain}'\n\
             \toption resource 'wan'\n\toption use_tls '1'\n\toption connect_algorithm 'DNS-SRV'\n\
             \toption connect_attempts '2'\n\toption retry_initial_interval '1'\n\toption retry_max_interval '1'\n"
        );
    router.write("/etc/config/cwmp", &text);
    router.set("acs", "ssl_capath", "/etc/ca.pem");
    router.write("/etc/ca.pem", &std::fs::read_to_string(prosody.ca("ca")).unwrap());
    router.write("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    let agent = router.start(&[]);
    agent.wait_for("XMPP connection as \"cpe@sha256.example/wan\" with TLS", 1);
    let log = agent.log();
    let failed = format!("no XMPP server answers: 127.0.0.1:{dead}: ");
    assert_eq!(log.matches(&failed).count(), 2, "ServerConnectAttempts at the first: {log}");
    agent.wait_for("End session", 1);
    let mut peer = Peer::log_in(prosody.port(), "acs");
    has(&peer.request("cpe@sha256.example/wan", USER, PASSWORD), &["type='result'"]);
    agent.wait_for("End session", 2);
    drop(agent);
    acs.finish();
}

#[test]
fn priorities_weights_and_what_is_not_there() {
    if !is_inside("priorities_weights_and_what_is_not_there") {
        return;
    }
    let doors = Doors::open(&[5222]);
    let many = "many.example";
    let _dns = Dns::start(&[
        srv(many, "host.example", doors.port(3), 20, 65_535),
        srv(many, "host.example", doors.port(1), 10, 90),
        srv(many, "host.example", doors.port(2), 10, 10),
        // A target of the root: decidedly not there.
        "--srv-host=_xmpp-client._tcp.none.example".to_owned(),
        "--host-record=none.example,127.0.0.1".to_owned(),
        // Such a record beside others is nobody's server.
        "--srv-host=_xmpp-client._tcp.mixed.example".to_owned(),
        srv("mixed.example", "host.example", doors.port(1), 10, 0),
        // A target that has no address.
        srv("half.example", "nowhere.example", doors.port(1), 1, 0),
        srv("half.example", "host.example", doors.port(2), 2, 0),
        // No such record: the domain itself, on the usual port.
        "--local=/plain.example/".to_owned(),
        "--host-record=plain.example,127.0.0.1".to_owned(),
        "--host-record=refused.example,127.0.0.1".to_owned(),
        "--host-record=host.example,127.0.0.1".to_owned(),
        "--local=/nowhere.example/".to_owned(),
        "--local=/no-address.example/".to_owned(),
    ]);
    let mut first = [0; 4];
    for seed in 0..60 {
        let order: Vec<_> =
            (0..3).map(|failures| doors.knocked(&attempt(many, failures, seed)).unwrap()).collect();
        assert!(order[2] == 3 && order[0] != order[1], "{order:?}");
        first[order[0]] += 1;
    }
    assert!(first[1] > 40 && first[2] > 0, "by weight: {first:?}");
    for failures in 0..3 {
        let fault = run(&attempt("none.example", failures, 1)).unwrap_err();
        assert_eq!(fault, Fault::NotPresent("none.example has no XMPP service".to_owned()));
        assert_eq!(fault.status(), "ServerNotPresent");
        assert_eq!(doors.knocked(&attempt("mixed.example", failures, 1)), Some(1));
        assert_eq!(doors.knocked(&attempt("half.example", failures, 1)), Some(2));
        assert_eq!(doors.knocked(&attempt("plain.example", failures, 1)), Some(0));
        assert_eq!(doors.knocked(&attempt("refused.example", failures, 1)), Some(0));
        assert_eq!(doors.knocked(&attempt("no-address.example", failures, 1)), None);
    }
}

/// An answer to a question for SRV records, with so many of them for this port of `localhost`.
fn answer(question: &[u8], port: u16, count: u16) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2..4].copy_from_slice(&[0x81, 0x80]);
    message[6..8].copy_from_slice(&count.to_be_bytes());
    for _ in 0..count {
        message.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 17, 0, 1, 0, 2]);
        message.extend(port.to_be_bytes());
        message.extend(b"\x09localhost\0");
    }
    message
}

/// What a liar says to a question, all of it for this port.
fn lies(question: &[u8], port: u16) -> Vec<Vec<u8>> {
    let good = answer(question, port, 1);
    let rdata = question.len() + 12;
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut message = good.clone();
        change(&mut message);
        message
    };
    vec![
        Vec::new(),
        vec![0xff; 4096],
        good[..12].to_vec(),
        changed(&|m| m[1] ^= 1),
        changed(&|m| m[0] ^= 0x80),
        // Somebody else's question, another kind, another class, two questions, none.
        changed(&|m| m[14] ^= 1),
        changed(&|m| m[question.len() - 3] = 1),
        changed(&|m| m[question.len() - 1] = 3),
        changed(&|m| m[5] = 2),
        changed(&|m| m[5] = 0),
        // A question instead of an answer, and an answer to another operation.
        changed(&|m| m[2] = 0x01),
        changed(&|m| m[2] = 0xa9),
        // Names that point at themselves, at one another, ahead and outside.
        changed(&|m| m[question.len()..question.len() + 2].copy_from_slice(&[0xc0, question.len() as u8])),
        changed(&|m| m[rdata + 6..rdata + 8].copy_from_slice(&[0xc0, rdata as u8 + 6])),
        changed(&|m| {
            m[rdata + 6..rdata + 10].copy_from_slice(&[0xc0, rdata as u8 + 8, 0xc0, rdata as u8 + 6])
        }),
        changed(&|m| m[rdata + 6..rdata + 8].copy_from_slice(&[0xff, 0xff])),
        changed(&|m| m[rdata + 6] = 0x80),
        // Lengths and counts that are not so.
        changed(&|m| m[rdata - 1] = 200),
        changed(&|m| m[rdata - 1] = 6),
        changed(&|m| m[6..8].copy_from_slice(&[0xff, 0xff])),
        changed(&|m| m.truncate(m.len() - 1)),
    ]
}

#[test]
fn a_name_server_that_lies() {
    if !is_inside("a_name_server_that_lies") {
        return;
    }
    let doors = Doors::open(&[5222]);
    let (wrong, right) = (doors.port(1), doors.port(2));
    let server = UdpSocket::bind("127.0.0.1:53").unwrap();
    let serve = move || {
        let mut block = [0; 512];
        for round in 0.. {
            let (length, from) = server.recv_from(&mut block).unwrap();
            let question = &block[..length];
            let all = lies(question, wrong);
            // Each alone, and then the truth; all of them, and the truth; the truth many times over; lies alone.
            let said = match round {
                round if round < all.len() => vec![all[round].clone(), answer(question, right, 1)],
                round if round == all.len() => [all, vec![answer(question, right, 1)]].concat(),
                round if round == all.len() + 1 => vec![answer(question, right, 130)],
                _ => all,
            };
            for one in &said {
                server.send_to(one, from).unwrap();
            }
        }
    };
    thread::spawn(serve);
    let count = lies(&[0; 40], 1).len();
    for round in 0..count + 2 {
        let found = doors.knocked(&attempt("localhost", 0, 1));
        assert_eq!(found, Some(2), "round {round}");
    }
    // Nobody believes any of it: as if there were no such records.
    assert_eq!(doors.knocked(&attempt("localhost", 0, 1)), Some(0));
}
