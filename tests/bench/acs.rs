//! Sessions per second of the mini-ACS, and the memory that an idle CPE costs it: `cargo bench --bench acs`.
//!
//! The program as people run it is a child; the CPEs are in this process: the agent's own session machine and HTTP
//! client. Memory is the child's resident set.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "../support/cpe.rs"]
mod cpe;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cpe::{Cpe, octets};
use rcwmp::cwmp::event::EventCode;
use rcwmp::cwmp::rpc::{Message, Request};
use rcwmp::cwmp::session::Close;

/// How long each rate is measured.
const TIME: Duration = Duration::from_secs(5);
/// Devices that are known and have no connection.
const KNOWN: u32 = 5000;
/// Devices that keep their connection after a session.
const CONNECTED: u32 = 500;

fn main() {
    // Cargo passes `--bench` along.
    let folder = tempfile::tempdir().unwrap();
    println!("{:<34} {:>8} {:>12}", "", "clients", "sessions / s");
    for (name, file) in [("store in memory", None), ("store in a file, synced", Some("rate.db"))] {
        for clients in [1, 16] {
            let acs = Acs::start(file.map(|file| folder.path().join(file)).as_deref());
            println!("{name:<34} {clients:>8} {:>12.0}", rate(&acs, clients));
        }
    }
    println!("A session is Inform, InformResponse, empty POST, 204, over a connection of its own.\n");
    let acs = Acs::start(Some(&folder.path().join("idle.db")));
    // What the first sessions need once is not counted.
    inform_all(&acs, "WARM", 200);
    let before = acs.resident();
    inform_all(&acs, "KNOWN", KNOWN);
    let known = acs.resident();
    println!("{KNOWN} idle CPEs without a connection: {:.2} kB each", per(known, before, KNOWN));
    let streams: Vec<TcpStream> = (0..CONNECTED).map(|number| idle(&acs, &format!("OPEN{number}"))).collect();
    thread::sleep(Duration::from_millis(300));
    println!("{CONNECTED} idle CPEs with one: {:.1} kB each", per(acs.resident(), known, CONNECTED));
    println!("{} kB resident in all", acs.resident());
    drop(streams);
}

fn per(after: u64, before: u64, count: u32) -> f64 {
    after.saturating_sub(before) as f64 / f64::from(count)
}

/// Sessions per second of so many clients, each with a device of its own.
fn rate(acs: &Acs, clients: u32) -> f64 {
    let done = AtomicU32::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for number in 0..clients {
            let (done, url) = (&done, acs.url.as_str());
            scope.spawn(move || {
                let mut cpe = Cpe::new(url, &format!("RATE{number}"));
                while start.elapsed() < TIME {
                    assert_eq!(cpe.session(EventCode::Periodic), Ok(Close::Success));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    f64::from(done.load(Ordering::Relaxed)) / start.elapsed().as_secs_f64()
}

fn inform_all(acs: &Acs, prefix: &str, count: u32) {
    for number in 0..count {
        let closed = Cpe::new(&acs.url, &format!("{prefix}{number}")).session(EventCode::Periodic);
        assert_eq!(closed, Ok(Close::Success));
    }
}

/// A session whose connection stays.
fn idle(acs: &Acs, serial: &str) -> TcpStream {
    let host = acs.url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    let inform = Cpe::new(&acs.url, serial).inform(EventCode::Periodic);
    let inform = octets(Message::Request(Request::Inform(Box::new(inform))), "1");
    let head = post(&mut stream, host, "", &inform);
    let cookie = head.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).unwrap();
    let cookie = cookie.split(';').next().unwrap();
    assert!(post(&mut stream, host, &format!("Cookie: {cookie}\r\n"), b"").starts_with("HTTP/1.1 204"));
    stream
}

/// One POST; the answer.
fn post(stream: &mut TcpStream, host: &str, headers: &str, body: &[u8]) -> String {
    let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = vec![0; 16 * 1024];
    let mut count = 0;
    loop {
        count += stream.read(&mut answer[count..]).unwrap();
        let text = String::from_utf8_lossy(&answer[..count]).into_owned();
        if text.contains("\r\n\r\n")
            && (text.starts_with("HTTP/1.1 204")
                || text.contains("Envelope>\n")
                || text.ends_with("Envelope>"))
        {
            return text;
        }
    }
}

struct Acs {
    child: Child,
    url: String,
}

impl Acs {
    fn start(db: Option<&Path>) -> Acs {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rcwmpd"));
        command.args(["mini-acs", "--listen", ":0"]).stdout(Stdio::piped());
        if let Some(db) = db {
            command.arg("--db").arg(db);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.next().unwrap().unwrap().strip_prefix("acs ").unwrap().trim().to_owned();
        thread::spawn(move || lines.for_each(drop));
        Acs { child, url }
    }

    /// In kB.
    fn resident(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }
}

impl Drop for Acs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
