//! The connection-request port over real sockets: an independent digest client as the ACS, and
//! the rest of the Internet.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use digest_auth::AuthContext;
use nix::poll::{PollFd, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage};
use rcwmp::connreq::listener::{Event, ListenError, Listener};
use rcwmp::connreq::rule::{Rule, Settings};
use rcwmp::http::auth::Credentials;

const PATH: &str = "/0123456789abcdef";

/// A listener in a poll loop of its own, its clock running some times as fast as ours.
struct Port {
    address: SocketAddr,
    events: Arc<Mutex<Vec<Event>>>,
    most: Arc<Mutex<usize>>,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl Port {
    fn open(address: &str) -> Port {
        Port::with(address, 10, |_| ())
    }

    /// With its clock so many times as fast as ours, and a rule that knows something.
    fn with(address: &str, speed: u32, teach: impl Fn(&mut Rule)) -> Port {
        let mut listener = Listener::bind(&[address.parse().unwrap()], None).unwrap();
        let address = listener.addresses()[0];
        let settings = Settings::new(PATH, Credentials::new("acs", "secret"));
        let mut rule = Rule::new(Settings { max_accepted: 1000, ..settings }, [9; 32]);
        teach(&mut rule);
        let (events, most, stop) = (Arc::<Mutex<Vec<Event>>>::default(), Arc::default(), Arc::default());
        let (log, top, end): (_, Arc<Mutex<usize>>, Arc<AtomicBool>) =
            (Arc::clone(&events), Arc::clone(&most), Arc::clone(&stop));
        let worker = thread::spawn(move || {
            let start = Instant::now();
            let mut random = |octets: &mut [u8]| getrandom::fill(octets).unwrap();
            while !end.load(Ordering::SeqCst) {
                let ready: Vec<_> = {
                    let fds: Vec<(BorrowedFd, _)> = listener.fds().collect();
                    let mut polled: Vec<_> = fds.iter().map(|(fd, flags)| PollFd::new(*fd, *flags)).collect();
                    poll(&mut polled, PollTimeout::from(20u8)).unwrap();
                    let is_ready = |(polled, _): &(&PollFd, _)| polled.any().unwrap();
                    polled.iter().zip(&fds).filter(is_ready).map(|(_, (fd, _))| fd.as_raw_fd()).collect()
                };
                let now = start.elapsed() * speed;
                for fd in ready {
                    log.lock().unwrap().extend(listener.on_ready(fd, now, &mut rule, &mut random));
                    let mut top = top.lock().unwrap();
                    *top = listener.connections().max(*top);
                }
                listener.on_tick(now);
            }
        });
        Port { address, events, most, stop, worker: Some(worker) }
    }

    fn accepted(&self) -> usize {
        self.events.lock().unwrap().iter().filter(|event| matches!(event, Event::Accepted { .. })).count()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    fn connect_from(&self, source: [u8; 4]) -> TcpStream {
        let fd = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let source = SockaddrStorage::from(SocketAddr::from((source, 0)));
        socket::bind(fd.as_raw_fd(), &source).unwrap();
        socket::connect(fd.as_raw_fd(), &SockaddrStorage::from(self.address)).unwrap();
        let stream = TcpStream::from(fd);
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let ended = self.worker.take().unwrap().join();
        assert!(ended.is_ok(), "the listener panicked");
        assert!(*self.most.lock().unwrap() <= 8, "never more than eight connections");
    }
}

fn get(login: Option<&str>) -> String {
    let login = login.map(|login| format!("Authorization: {login}\r\n")).unwrap_or_default();
    format!("GET {PATH} HTTP/1.1\r\nHost: cpe\r\n{login}\r\n")
}

/// Reads one response without a body; the empty string if the peer closed.
fn response(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8(text).unwrap()
}

fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    response(stream)
}

fn login(challenge: &str, password: &str, uri: &str) -> String {
    let line = challenge.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: ")).unwrap();
    let mut prompt = digest_auth::parse(line).unwrap();
    prompt.respond(&AuthContext::new("acs", password, uri)).unwrap().to_string()
}

/// A whole connection request over one connection, as GenieACS makes it.
fn knock(mut stream: TcpStream) -> String {
    let challenge = exchange(&mut stream, &get(None));
    assert!(challenge.starts_with("HTTP/1.1 401 "), "{challenge}");
    exchange(&mut stream, &get(Some(&login(&challenge, "secret", PATH))))
}

#[test]
fn the_acs_is_let_in() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        if TcpListener::bind(address).is_err() {
            std::io::stderr().write_all(b"skipped: no IPv6 here\n").unwrap();
            continue;
        }
        let port = Port::open(address);
        let mut stream = port.connect();
        let challenge = exchange(&mut stream, &get(None));
        assert!(!challenge.to_lowercase().contains("server:") && !challenge.contains("close"), "{challenge}");
        let answer = exchange(&mut stream, &get(Some(&login(&challenge, "secret", "/"))));
        let expected = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        assert_eq!(answer, expected, "acsrs hashes / whatever the path is");
        assert_eq!(response(&mut stream), "", "and the connection is closed");
        assert_eq!(port.accepted(), 1);
        let source = stream.local_addr().unwrap();
        assert!(port.events.lock().unwrap().contains(&Event::Accepted { source }));
        let second = exchange(&mut port.connect(), &get(Some(&login(&challenge, "secret", PATH))));
        assert!(second.starts_with("HTTP/1.1 401 ") && second.contains("stale=true"), "a replay: {second}");
    }
}

#[test]
fn over_two_connections_as_well() {
    let port = Port::open("127.0.0.1:0");
    let challenge = exchange(&mut port.connect(), &get(None));
    let answer = exchange(&mut port.connect(), &get(Some(&login(&challenge, "secret", PATH))));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn hostile_requests() {
    let port = Port::open("127.0.0.1:0");
    let status = |request: &str| exchange(&mut port.connect(), request)[..12].to_owned();
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404");
    assert_eq!(status(&get(None).replace("GET", "POST")), "HTTP/1.1 405");
    assert_eq!(status(&get(None).replace("GET", "TRACE")), "HTTP/1.1 405");
    assert_eq!(status("OPTIONS * HTTP/1.1\r\n\r\n"), "HTTP/1.1 404");
    assert_eq!(status("CONNECT x:1 HTTP/1.1\r\n\r\n"), "HTTP/1.1 404");
    assert_eq!(status("\x16\x03\x01\x02\x00\x01\r\n\r\n"), "HTTP/1.1 400");
    assert_eq!(status(&get(Some("Digest username=\"")).replace("Host: cpe\r\n", "")), "HTTP/1.1 400");
    assert_eq!(status(&get(None).replace("Host: cpe", "Cookie: C107351277=AAAAAAAAAAAA")), "HTTP/1.1 401");
    assert_eq!(
        status(&get(None).replace("Host: cpe", "Content-Length: 3\r\nTransfer-Encoding: chunked")),
        "HTTP/1.1 400"
    );
    let challenge = exchange(&mut port.connect(), &get(None));
    let good = login(&challenge, "secret", PATH);
    let twice = get(Some(&good)).replace("Host: cpe", &format!("Authorization: {good}"));
    assert_eq!(status(&twice), "HTTP/1.1 400");
    assert_eq!(status(&get(Some(&login(&challenge, "wrong", PATH)))), "HTTP/1.1 401");
    assert_eq!(status(&get(Some(&login(&challenge, "secret", "/other")))), "HTTP/1.1 400");
    assert_eq!(status(&get(Some(&good.replace("response=\"", "response=\"00")))), "HTTP/1.1 401");
    assert_eq!(port.accepted(), 0);
    assert_eq!(status(&get(Some(&good))), "HTTP/1.1 200");
}

#[test]
fn a_smuggled_second_request_is_not_acted_on() {
    let port = Port::open("127.0.0.1:0");
    let challenge = exchange(&mut port.connect(), &get(None));
    let good = login(&challenge, "secret", PATH);
    for first in [get(None), "GET / HTTP/1.1\r\n\r\n".into()] {
        let mut stream = port.connect();
        stream.write_all((first + &get(Some(&good))).as_bytes()).unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{all}");
        assert!(all.contains("Connection: close"));
    }
    let body = get(Some(&good));
    let hidden = format!("GET / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert!(exchange(&mut port.connect(), &hidden).starts_with("HTTP/1.1 404 "));
    assert_eq!(port.accepted(), 0);
}

#[test]
fn a_body_is_ignored() {
    let port = Port::open("127.0.0.1:0");
    let mut stream = port.connect();
    let with_body = |login: Option<&str>| {
        let body = "<session>no</session>";
        let head = get(login).replace("Host: cpe", &format!("Host: cpe\r\nContent-Length: {}", body.len()));
        head + body
    };
    let challenge = exchange(&mut stream, &with_body(None));
    let answer = exchange(&mut stream, &with_body(Some(&login(&challenge, "secret", PATH))));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(port.accepted(), 1);
}

#[test]
fn endless_heads_and_slow_ones() {
    let port = Port::open("127.0.0.1:0");
    let mut stream = port.connect();
    let long = format!("GET {PATH} HTTP/1.1\r\nX: {}", "x".repeat(1 << 20));
    let _ = stream.write_all(long.as_bytes());
    assert!(response(&mut stream).starts_with("HTTP/1.1 431 "));
    let started = Instant::now();
    let mut slow = port.connect();
    let cut = get(None).bytes().cycle().take(200).any(|byte| {
        thread::sleep(Duration::from_millis(50));
        slow.write_all(&[byte & 0x5f | 0x40]).is_err()
    });
    assert!(cut && started.elapsed() < Duration::from_secs(4), "cut after five seconds of the port's clock");
    assert!(knock(port.connect()).starts_with("HTTP/1.1 200 "));
}

#[test]
fn five_hundred_idle_connections() {
    let port = Port::open("127.0.0.1:0");
    let idle: Vec<_> = (0..500).map(|_| port.connect()).collect();
    assert!(knock(port.connect()).starts_with("HTTP/1.1 200 "), "even from the same address");
    assert!(knock(port.connect_from([127, 0, 0, 2])).starts_with("HTTP/1.1 200 "));
    drop(idle);
    for _ in 0..300 {
        drop(port.connect());
    }
    assert!(knock(port.connect()).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_flood_while_the_acs_knocks() {
    // A busy machine is not to look like a slow ACS.
    let port = Port::with("127.0.0.1:0", 1, |_| ());
    let (address, stop) = (port.address, Arc::new(AtomicBool::new(false)));
    let flood = {
        let stop = stop.clone();
        thread::spawn(move || {
            let mut held = std::collections::VecDeque::new();
            while !stop.load(Ordering::SeqCst) {
                if let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
                    let _ = stream.write_all(b"GET");
                    held.push_back(stream);
                }
                if held.len() > 300 {
                    held.pop_front();
                }
            }
        })
    };
    for _ in 0..20 {
        let mut stream = port.connect_from([127, 0, 0, 2]);
        thread::sleep(Duration::from_millis(30)); // as if the ACS were far away
        let challenge = exchange(&mut stream, &get(None));
        thread::sleep(Duration::from_millis(30));
        let answer = exchange(&mut stream, &get(Some(&login(&challenge, "secret", PATH))));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    stop.store(true, Ordering::SeqCst);
    flood.join().unwrap();
}

/// Each connection of the flood is the only one of its address, so that no source has more than its share.
#[test]
fn a_flood_from_everywhere_while_a_known_acs_knocks() {
    // A busy machine is not to look like a slow ACS.
    let port = Port::with("127.0.0.1:0", 1, |_| ());
    assert!(knock(port.connect_from([127, 0, 0, 2])).starts_with("HTTP/1.1 200 "), "known from now on");
    for _ in 0..5 {
        let mut stream = port.connect_from([127, 0, 0, 2]);
        let idle: Vec<_> = (1..30).map(|n| port.connect_from([127, 0, 3, n])).collect();
        let challenge = exchange(&mut stream, &get(None));
        let more: Vec<_> = (1..30).map(|n| port.connect_from([127, 0, 4, n])).collect();
        let answer = exchange(&mut stream, &get(Some(&login(&challenge, "secret", PATH))));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        drop((idle, more));
    }
}

/// The flood knows the path: all of it has been challenged and keeps its connections. Nobody has proved anything yet, as
/// after the first start; where the last session went is what tells the ACS from the rest.
#[test]
fn a_flood_that_knows_the_path_while_the_acs_of_the_last_session_knocks() {
    let port = Port::with("127.0.0.1:0", 1, |rule| rule.met(IpAddr::from([127, 0, 0, 2])));
    let flood = |net: u8| -> Vec<TcpStream> {
        let one = |n| {
            let mut stream = port.connect_from([127, 0, net, n]);
            assert!(exchange(&mut stream, &get(None)).starts_with("HTTP/1.1 401 "));
            stream
        };
        (1..12).map(one).collect()
    };
    for _ in 0..3 {
        let first = flood(3);
        let mut stream = port.connect_from([127, 0, 0, 2]);
        let second = flood(4);
        let challenge = exchange(&mut stream, &get(None));
        let third = flood(5);
        let answer = exchange(&mut stream, &get(Some(&login(&challenge, "secret", PATH))));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        drop((first, second, third));
    }
    // It is that knowledge which helped: a stranger is thrown out.
    let mut stranger = port.connect_from([127, 0, 0, 9]);
    let crowd = flood(6);
    let _ = stranger.write_all(get(None).as_bytes());
    assert_eq!(response(&mut stranger), "");
    drop(crowd);
}

#[test]
fn an_address_that_is_taken_closes_no_other() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let first = taken.local_addr().unwrap();
    let second = SocketAddr::from(([127, 0, 0, 2], first.port()));
    for places in [[first, second], [second, first]] {
        let listener = Listener::bind(&places, None).unwrap();
        assert_eq!(
            (listener.addresses(), listener.missing()),
            (vec![second], vec![ListenError::InUse(first)])
        );
    }
    let mut listener = Listener::bind(&[first, second], None).unwrap();
    assert!(!listener.is_complete() && !listener.retry(), "it is still taken");
    assert_eq!((listener.fds().count(), listener.missing().len()), (1, 1));
    assert!(TcpStream::connect(second).is_ok());
    drop(taken);
    assert!(listener.retry() && listener.is_complete() && !listener.retry());
    assert_eq!(listener.addresses(), [first, second], "in the order that was asked for");
    assert!(TcpStream::connect(first).is_ok() && listener.missing().is_empty());
    // An address that is not there is no reason either, and none at all is one.
    let nowhere = SocketAddr::from(([192, 0, 2, 1], 0));
    let listener = Listener::bind(&[nowhere, SocketAddr::from(([127, 0, 0, 1], 0))], None).unwrap();
    assert!(matches!(listener.missing()[..], [ListenError::Refused(at, _)] if at == nowhere));
    assert!(matches!(Listener::bind(&[first, nowhere], None), Err(ListenError::InUse(at)) if at == first));
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = Listener::bind(&[address], None).unwrap_err();
    assert_eq!(error, ListenError::InUse(address));
    assert!(error.to_string().contains(&format!("port {}", address.port())), "{error}");
    let error = Listener::bind(&["192.0.2.1:0".parse().unwrap()], None).unwrap_err();
    assert!(matches!(error, ListenError::Refused(..)), "{error}");
}

#[test]
fn both_families_on_one_port() {
    let Ok(probe) = TcpListener::bind("[::]:0") else { return };
    let number = probe.local_addr().unwrap().port();
    drop(probe);
    let any: [IpAddr; 2] = ["0.0.0.0".parse().unwrap(), "::".parse().unwrap()];
    let listener = Listener::bind(&any.map(|ip| SocketAddr::new(ip, number)), None).unwrap();
    assert_eq!(listener.addresses().len(), 2);
    assert!(TcpStream::connect(("127.0.0.1", number)).is_ok() && TcpStream::connect(("::1", number)).is_ok());
}
