//! Time and memory of the release agent: `cargo bench --bench session`, or `-- 5000` for other numbers.
//!
//! The real daemon as a child on the fixture router in a temporary folder, with a generated vendor data
//! model of N parameters (constants, UCI options and stored values in turn), against a small ACS in this
//! process:
//!
//! ```text
//! connection request ─► Inform ─► InformResponse ─► empty ─► 204                 the time of a session
//! boot ─► Inform ─► … ─► GetParameterValues of one, and of all, several times    the time of a read
//! ```
//! Times are medians. A read's time is from the request's last octet sent to the answer's last octet
//! received; its CPU time is that of all the agent's threads. Since machines differ, both stand as ratios
//! to the read of one parameter on the same agent too.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "../support/messages.rs"]
mod messages;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use messages::{envelope, get_values, id_of, inform_response};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rcwmp::lab::router::{self, CONNECTION_REQUEST_USER, PASSWORD, Settings};

/// The numbers of parameters, unless the command line has others.
const SIZES: [usize; 4] = [500, 2000, 5000, 10_000];
/// How many sessions are timed; the agent takes 30 connection requests a minute.
const SESSIONS: usize = 25;
/// How many reads of each kind are timed in one session, after one that is not.
const READS: usize = 11;
/// Anything that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Parameters of one object of the vendor model.
const WIDTH: usize = 50;
/// Parameters of one vendor file, well below its 1 MiB.
const FILE: usize = 5000;
/// Where the vendor model hangs.
const BRANCH: &str = "Device.X_EXAMPLE_Bench.";

fn main() {
    // Cargo passes `--bench` along.
    let given: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let sizes = if given.is_empty() { SIZES.to_vec() } else { given };
    // Pages of a program just built wait for the disk, and would count as dirty memory of the agent.
    fs::File::open(env!("CARGO_BIN_EXE_rcwmpd")).unwrap().sync_all().unwrap();
    sessions();
    println!();
    println!(
        "{:>10} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9}",
        "parameters", "read", "CPU", "read", "CPU", "answer", "per kB", "peak RSS", "idle", "idle"
    );
    println!(
        "{:>10} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9}",
        "", "ms", "ms", "/ one", "/ one", "kB", "us CPU", "kB", "kB dirty", "/ plain"
    );
    // The agent's private dirty memory without any vendor model.
    let plain = reads(0);
    plain.print(&plain);
    for size in sizes {
        reads(size).print(&plain);
    }
    println!("\nThe first line is the agent without a vendor model. \"one\" is a GetParameterValues of one");
    println!("parameter on the same agent. Dirty is Private_Dirty 300 ms after the session.");
}

/// The table's head: time of a session.
fn sessions() {
    let acs = Acs::new();
    let router = Router::new(&acs, 0);
    let agent = router.start();
    // The first one is the boot's, with GetRPCMethods.
    acs.session(|_| {});
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..SESSIONS {
        // The agent writes its state down and listens again.
        thread::sleep(Duration::from_millis(30));
        agent.knock(router.port);
        times.push(acs.session(|_| {}));
    }
    let (least, most) = (ms(times.iter().min().copied()), ms(times.iter().max().copied()));
    let middle = ms(Some(median(times)));
    println!(
        "Inform to 204 on loopback, median of {SESSIONS} sessions: {middle:.2} ms ({least:.2} to {most:.2})"
    );
}

/// One line of the table.
struct Line {
    size: usize,
    one: Sample,
    all: Sample,
    octets: usize,
    peak: u64,
    idle: u64,
}

/// Medians of one kind of read.
#[derive(Clone, Copy)]
struct Sample {
    wall: Duration,
    cpu: Duration,
}

impl Line {
    fn print(&self, plain: &Line) {
        let ratio = |all: Duration, one: Duration| all.as_secs_f64() / one.as_secs_f64().max(1e-9);
        let micros = self.all.cpu.as_secs_f64() * 1e6;
        println!(
            "{:>10} {:>9.2} {:>9.2} {:>8.1} {:>8.1} {:>8} {:>8.2} {:>9} {:>9} {:>9.2}",
            self.size,
            ms(Some(self.all.wall)),
            ms(Some(self.all.cpu)),
            ratio(self.all.wall, self.one.wall),
            ratio(self.all.cpu, self.one.cpu),
            self.octets / 1000,
            micros / (self.octets as f64 / 1000.0),
            self.peak,
            self.idle,
            self.idle as f64 / plain.idle.max(1) as f64,
        );
    }
}

/// Reads one parameter and all of a vendor model of so many; without one, `Device.DeviceInfo.`.
fn reads(size: usize) -> Line {
    let acs = Acs::new();
    let router = Router::new(&acs, size);
    let agent = router.start();
    let (branch, single) = match size {
        0 => ("Device.DeviceInfo.", "Device.DeviceInfo.SerialNumber".to_owned()),
        _ => (BRANCH, format!("{BRANCH}Group1.Value1")),
    };
    let mut line = None;
    acs.session(|peer| {
        let (one, _) = sample(peer, &agent, &single);
        let (all, answer) = sample(peer, &agent, branch);
        let count = answer.matches("<ParameterValueStruct>").count();
        if size > 0 {
            assert_eq!(count, size, "the answer has all parameters");
            assert!(answer.contains(&format!("[{size}]\"")), "and says so");
            let (constants, options) =
                (answer.matches(">constant ").count(), answer.matches(">option ").count());
            assert_eq!((constants, options), (size.div_ceil(3), (size + 1) / 3), "with their values");
        }
        line = Some(Line { size: count, one, all, octets: answer.len(), peak: 0, idle: 0 });
    });
    thread::sleep(Duration::from_millis(300));
    let mut line = line.unwrap();
    line.peak = agent.kilobytes("status", "VmHWM:");
    line.idle = agent.kilobytes("smaps_rollup", "Private_Dirty:");
    line
}

/// Reads one path again and again; gives the medians and the last answer.
fn sample(peer: &mut Peer, agent: &Agent, path: &str) -> (Sample, String) {
    let request = get_values("bench", &[path]);
    let (mut walls, mut cpus, mut last) = (Vec::new(), Vec::new(), String::new());
    for round in 0..=READS {
        let before = agent.cpu();
        peer.send(200, &request);
        let start = Instant::now();
        last = peer.receive();
        let wall = start.elapsed();
        assert!(last.contains("GetParameterValuesResponse>"), "{}", &last[..last.len().min(2000)]);
        // The agent goes to sleep, and its account is up to date.
        thread::sleep(Duration::from_millis(5));
        // The first one reads files that the others remember.
        if round > 0 {
            walls.push(wall);
            cpus.push(agent.cpu().saturating_sub(before));
        }
    }
    (Sample { wall: median(walls), cpu: median(cpus) }, last)
}

/// The ACS: one socket, one session at a time.
struct Acs {
    listener: TcpListener,
}

impl Acs {
    fn new() -> Acs {
        Acs { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    /// Waits for an Inform, asks what it is told to ask, and ends the session with 204. Gives the time from
    /// the connection to the 204.
    fn session(&self, ask: impl FnOnce(&mut Peer)) -> Duration {
        let mut fds = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::try_from(PATIENCE).unwrap()).unwrap();
        assert_eq!(ready, 1, "the agent begins a session");
        let mut peer = Peer { stream: self.listener.accept().unwrap().0, buffer: Vec::new() };
        let start = Instant::now();
        peer.stream.set_nodelay(true).unwrap();
        peer.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let inform = peer.receive();
        assert!(inform.contains("<cwmp:Inform>"), "{inform}");
        peer.send(200, &inform_response(&inform));
        loop {
            let call = peer.receive();
            if call.is_empty() {
                break;
            }
            assert!(call.contains("<cwmp:GetRPCMethods"), "{call}");
            let list =
                "<MethodList soap-enc:arrayType=\"xsd:string[1]\"><string>Inform</string></MethodList>";
            let body = format!("<cwmp:GetRPCMethodsResponse>{list}</cwmp:GetRPCMethodsResponse>");
            peer.send(200, &envelope(&id_of(&call), &body));
        }
        ask(&mut peer);
        peer.send(204, "");
        start.elapsed()
    }
}

/// The agent's connection.
struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Peer {
    fn send(&mut self, status: u16, body: &str) {
        let length = body.len();
        let text = format!(
            "HTTP/1.1 {status} OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// The body of the next request.
    fn receive(&mut self) -> String {
        self.buffer.clear();
        let mut whole = None;
        let mut part = vec![0; 256 * 1024];
        while whole.is_none_or(|(_, end)| self.buffer.len() < end) {
            let count = self.stream.read(&mut part).unwrap();
            assert!(count > 0, "the agent closed early");
            self.buffer.extend_from_slice(&part[..count]);
            if whole.is_none() {
                whole = frame(&self.buffer);
            }
        }
        let (head, end) = whole.unwrap();
        String::from_utf8(self.buffer[head..end].to_vec()).unwrap()
    }
}

/// Where the body of a request begins and ends, once its head is there.
fn frame(octets: &[u8]) -> Option<(usize, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(octets).unwrap() else { return None };
    let value = |name: &str| {
        let header = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.map(|header| std::str::from_utf8(header.value).unwrap().to_owned())
    };
    assert_eq!(value("Transfer-Encoding"), None, "this ACS reads bodies of known length");
    Some((head, head + value("Content-Length").map_or(0, |length| length.parse::<usize>().unwrap())))
}

/// A router's folder, removed when dropped.
struct Router {
    dir: tempfile::TempDir,
    port: u16,
}

impl Router {
    fn new(acs: &Acs, size: usize) -> Router {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let acs_url = format!("http://{}/", acs.listener.local_addr().unwrap());
        let root = dir.path().join("root");
        router::unpack(&root, &Settings { acs_url, port }).unwrap();
        if size > 0 {
            vendor_model(&root, size);
        }
        Router { dir, port }
    }

    fn start(&self) -> Agent {
        let log = self.dir.path().join("agent.log");
        let child = Command::new(env!("CARGO_BIN_EXE_rcwmpd"))
            .args(["-f", "--root"])
            .arg(self.dir.path().join("root"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        Agent { child }
    }
}

/// Writes the vendor files and the UCI package for a model of so many parameters: a third of them
/// constants, a third options, a third stored values that nobody has stored.
fn vendor_model(root: &Path, size: usize) {
    let folder = root.join("usr/share/rcwmp/datamodel.d");
    fs::create_dir_all(&folder).unwrap();
    let mut package = String::new();
    for (file, first) in (0..size).step_by(FILE).enumerate() {
        let mut objects = Vec::new();
        if first == 0 {
            objects.push(format!("{{\"object\":\"{BRANCH}\"}}"));
        }
        for start in (first..size.min(first + FILE)).step_by(WIDTH) {
            let group = start / WIDTH + 1;
            writeln!(package, "config group 'group{group}'").unwrap();
            let mut params = Vec::new();
            for at in start..size.min(start + WIDTH) {
                let name = at - start + 1;
                let place = match at % 3 {
                    0 => format!("\"type\":\"string\",\"const\":\"constant {at}\""),
                    1 => {
                        writeln!(package, "\toption value{name} 'option {at}'").unwrap();
                        let place = format!("benchmark.group{group}.value{name}");
                        format!("\"type\":\"string(64)\",\"access\":\"rw\",\"uci\":\"{place}\"")
                    }
                    _ => "\"type\":\"unsignedInt\",\"access\":\"rw\",\"store\":true,\"default\":\"7\""
                        .to_owned(),
                };
                params.push(format!("{{\"name\":\"Value{name}\",{place}}}"));
            }
            objects.push(format!(
                "{{\"object\":\"{BRANCH}Group{group}.\",\"params\":[\n{}\n]}}",
                params.join(",\n")
            ));
        }
        let text = format!("{{\"objects\":[\n{}\n]}}\n", objects.join(",\n"));
        fs::write(folder.join(format!("bench{file:02}.json")), text).unwrap();
    }
    fs::write(root.join("etc/config/benchmark"), package).unwrap();
}

/// The running daemon; killed when dropped.
struct Agent {
    child: Child,
}

impl Agent {
    fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(name)
    }

    /// CPU time of all threads so far.
    fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(self.file("task")).unwrap();
        let nanos = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// A number of kilobytes from a file of the process.
    fn kilobytes(&self, file: &str, key: &str) -> u64 {
        let text = fs::read_to_string(self.file(file)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap()
    }

    /// A connection request with digest authentication, accepted.
    fn knock(&self, port: u16) {
        let get = |more: &str| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let head = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}Connection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        };
        let refusal = get("");
        let challenge = refusal.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: ")).unwrap();
        let who = digest_auth::AuthContext::new(CONNECTION_REQUEST_USER, PASSWORD, "/");
        let answer = digest_auth::parse(challenge).unwrap().respond(&who).unwrap();
        let granted = get(&format!("Authorization: {}\r\n", answer.to_header_string()));
        assert!(granted.starts_with("HTTP/1.1 200"), "{granted}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ms(time: Option<Duration>) -> f64 {
    time.unwrap_or_default().as_secs_f64() * 1000.0
}
