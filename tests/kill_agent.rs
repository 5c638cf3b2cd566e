//! SIGKILL at any point of a SetParameterValues over three UCI packages: all is old or all is new.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a test, and it says what it saw")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

use agent::{Agent, Router};
use rcwmp::uci::Document;

/// Rounds with a kill.
const ROUNDS: usize = 100;
const NAMES: [&str; 3] =
    ["Device.WiFi.SSID.1.SSID", "Device.DeviceInfo.HostName", "Device.DHCPv4.Server.Pool.1.LeaseTime"];
const KEY: &str = "Device.ManagementServer.ParameterKey";

/// What the ACS tells the test.
#[derive(Debug, PartialEq)]
enum Told {
    /// The answer to GetParameterValues: a session works.
    Values(String),
    /// SetParameterValues is on its way.
    Asked,
    /// And answered.
    Answered(String),
}

/// The three values of a round.
fn values(round: usize) -> [String; 3] {
    [format!("Net {round}"), format!("host-{round}"), (3600 + 60 * round).to_string()]
}

/// An ACS that reads, then sets the values of the round it is at, in every session.
fn acs(listener: &TcpListener, round: &Receiver<usize>, told: &Sender<Told>) {
    let mut current = 0;
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        stream.set_nodelay(true).unwrap();
        while let Ok(newer) = round.try_recv() {
            current = newer;
        }
        let _ = serve(&mut stream, current, told);
    }
}

fn serve(stream: &mut TcpStream, round: usize, told: &Sender<Told>) -> std::io::Result<()> {
    let mut posts = 0;
    loop {
        let body = request(stream)?;
        posts += 1;
        match posts {
            1 => reply(stream, &messages::inform_response(&body))?,
            2 => reply(stream, &messages::get_values("get", &[NAMES[0]]))?,
            3 => {
                let _ = told.send(Told::Values(body));
                let [ssid, host, lease] = values(round);
                let list = [
                    (NAMES[0], "xsd:string", ssid.as_str()),
                    (NAMES[1], "xsd:string", host.as_str()),
                    (NAMES[2], "xsd:int", lease.as_str()),
                ];
                reply(stream, &messages::set_values("set", &list, &format!("key {round}")))?;
                let _ = told.send(Told::Asked);
            }
            _ => {
                let _ = told.send(Told::Answered(body));
                stream.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")?;
                return Ok(());
            }
        }
    }
}

/// The body of one request.
fn request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
            let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                return Ok(String::from_utf8_lossy(&bytes[end + 4..]).into_owned());
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

fn reply(stream: &mut TcpStream, body: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())
}

fn next(told: &Receiver<Told>, agent: &Agent) -> Told {
    told.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("silence:\n{}", agent.log()))
}

/// A value as the command line shows it, which recovers an interrupted commit first.
fn shown(router: &Router, name: &str) -> String {
    let output = router.run(&["-c", "get", name]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = String::from_utf8(output.stdout).unwrap();
    line.trim().split_once(" => ").map(|(_, value)| value.to_owned()).unwrap()
}

/// Files that are neither packages nor the agent's own.
fn leftovers(router: &Router) -> Vec<String> {
    let mut strange = Vec::new();
    for (dir, known) in [
        (
            "etc/config",
            &["cwmp", "dhcp", "dropbear", "firewall", "network", "system", "uhttpd", "wireless"][..],
        ),
        ("etc/rcwmp", &["journal", "lock", "model.json", "state.json"]),
        ("etc/rcwmp/journal", &[]),
    ] {
        for entry in fs::read_dir(router.root().join(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !known.contains(&name.as_str()) {
                strange.push(format!("{dir}/{name}"));
            }
        }
    }
    strange
}

#[test]
fn killed_at_any_point_all_is_old_or_all_is_new() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let router = Router::new(&format!("http://{}/", listener.local_addr().unwrap()));
    router.set("acs", "get_rpc_methods", "0");
    let (set_round, round_of_acs) = channel();
    let (tell, told) = channel();
    thread::spawn(move || acs(&listener, &round_of_acs, &tell));

    // How long a change takes when nobody kills.
    let mut span = Duration::ZERO;
    for round in 1..=3 {
        set_round.send(round).unwrap();
        let agent = router.start(&["-b"]);
        assert!(matches!(next(&told, &agent), Told::Values(_)));
        assert_eq!(next(&told, &agent), Told::Asked);
        let asked = Instant::now();
        let Told::Answered(answer) = next(&told, &agent) else { panic!("no answer") };
        assert!(answer.contains("SetParameterValuesResponse"), "{answer}");
        span = span.max(asked.elapsed());
        agent.wait_for("End session", 1);
        agent.kill();
    }

    let seed = std::env::var("KILL_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) << 16 | u64::from(std::process::id() & 0xffff)
    });
    println!("seed {seed} (KILL_SEED repeats it), a change takes {span:?}");
    let mut random = seed;
    let (mut kept_old, mut became_new) = (0, 0);
    let mut stands = 3;
    for round in 4..4 + ROUNDS {
        set_round.send(round).unwrap();
        let agent = router.start(&["-b"]);
        // The session after the last kill works.
        let Told::Values(read) = next(&told, &agent) else { panic!("no values") };
        assert!(read.contains(&values(stands)[0]), "round {round}: {read}");
        assert_eq!(next(&told, &agent), Told::Asked);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = (random >> 33) as f64 / f64::from(1u32 << 31);
        thread::sleep(span.mul_f64(share * 1.3));
        agent.kill();
        // What it may have said at the last moment.
        thread::sleep(Duration::from_millis(5));
        let answered = told.try_iter().any(|one| matches!(one, Told::Answered(_)));

        let now: Vec<String> = NAMES.iter().map(|name| shown(&router, name)).collect();
        let key = shown(&router, KEY);
        if now == values(round) {
            became_new += 1;
            stands = round;
        } else {
            assert_eq!(now, values(stands), "round {round}, seed {seed}: neither old nor new");
            assert!(!answered, "round {round}, seed {seed}: answered, and then lost");
            kept_old += 1;
        }
        assert_eq!(key, format!("key {stands}"), "round {round}, seed {seed}");
        for package in ["wireless", "system", "dhcp", "cwmp"] {
            let text = fs::read(router.root().join("etc/config").join(package)).unwrap();
            Document::parse(package, &text).unwrap();
        }
        assert_eq!(leftovers(&router), [""; 0], "round {round}, seed {seed}");
    }
    println!("{ROUNDS} kills: {kept_old} left the old values, {became_new} the new");
    assert!(kept_old > 0 && became_new > 0, "the kills all came on one side: {kept_old} and {became_new}");
}
