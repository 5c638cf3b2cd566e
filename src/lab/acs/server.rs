//! The mini-ACS on a socket: one thread for each connection, sessions by cookie, Basic or Digest authentication.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::body::{self, Compression};
use crate::http::serve::{Limits, Machine, Request, response};
use crate::sys::rng;

use super::guard::{Auth, Guard};
use super::news::News;
use super::office::Office;
use super::payload::Payload;
use super::quirks::{Cookie, Quirks};
use super::session::{Fact, Session, Step, Ticket};

/// Connections at a time.
const MAX_CONNECTIONS: usize = 64;
/// What one request may hold, before and after inflating.
const LIMITS: Limits = Limits { head: 16 * 1024, body: 4 * 1024 * 1024 };
/// Between two requests of a connection.
const IDLE: Duration = Duration::from_secs(75);
/// For a request that has begun to come in, and for writing.
const PATIENCE: Duration = Duration::from_secs(30);
/// A session without a POST for so long is over.
const SILENCE: Duration = Duration::from_secs(60);
/// The name of our cookie.
const COOKIE: &str = "rcwmp-session";

/// A running server; dropping it ends it.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<thread::JoinHandle<()>>,
}

struct Shared {
    office: Arc<Office>,
    quirks: Quirks,
    guard: Guard,
    sessions: Mutex<HashMap<String, Arc<Mutex<Live>>>>,
    connections: AtomicUsize,
    stopping: AtomicBool,
}

/// A session and whose it is.
struct Live {
    session: Session,
    /// The device and the office's number of the session, after the Inform.
    known: Option<(String, u32)>,
    outstanding: Option<(Ticket, Payload)>,
    seen: Instant,
}

/// An answer.
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Server {
    /// Listens; port 0 takes a free one.
    ///
    /// # Errors
    /// The system's; [`ErrorKind::PermissionDenied`] for an address beyond the loopback, if the office's settings do not
    /// allow remote devices.
    pub fn start(office: Arc<Office>, listen: SocketAddr, auth: Auth, quirks: Quirks) -> io::Result<Server> {
        if !listen.ip().is_loopback() && !office.settings.allow_remote {
            let why = format!("{listen} is not a loopback address (--allow-remote permits it)");
            return Err(io::Error::new(ErrorKind::PermissionDenied, why));
        }
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            office,
            quirks,
            guard: Guard::new(auth),
            sessions: Mutex::default(),
            connections: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let acceptor =
            thread::Builder::new().name("accept".to_owned()).spawn(move || theirs.accept(&listener))?;
        Ok(Server { shared, address, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for the configuration of a CPE.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.office.close();
        // Wakes the acceptor, which looks at the flag.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Shared>, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            let Ok((stream, peer)) = accepted else {
                // Out of descriptors, most likely: others may end meanwhile.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            self.sweep();
            if self.connections.fetch_add(1, Ordering::SeqCst) >= MAX_CONNECTIONS {
                self.connections.fetch_sub(1, Ordering::SeqCst);
                let mut stream = stream;
                let _ = stream.write_all(&response(503, &[("Retry-After", "10")], b"", false));
                continue;
            }
            let shared = Arc::clone(self);
            let spawned = thread::Builder::new().name("cpe".to_owned()).spawn(move || {
                shared.serve(stream, &peer.to_string());
                shared.connections.fetch_sub(1, Ordering::SeqCst);
            });
            if spawned.is_err() {
                self.connections.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    /// One connection from its first octet to its last.
    fn serve(&self, mut stream: TcpStream, peer: &str) {
        let mut machine = Machine::new(LIMITS);
        // The session of a connection, for ACSs without cookies.
        let mut own: Option<Arc<Mutex<Live>>> = None;
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let mut deadline = Instant::now() + IDLE;
        loop {
            match machine.request() {
                Ok(Some(request)) => {
                    let reply = self.reply(&request, &mut own, peer);
                    let keep = machine.can_keep_alive() && !self.stopping.load(Ordering::SeqCst);
                    let headers: Vec<(&str, &str)> =
                        reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                    let written = stream.write_all(&response(reply.status, &headers, &reply.body, keep));
                    if !machine.answered(keep) || written.is_err() {
                        break;
                    }
                    deadline = Instant::now() + IDLE;
                }
                Ok(None) => {
                    if machine.wants_continue() && stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_err()
                    {
                        break;
                    }
                    let was_idle = machine.is_idle();
                    let mut part = [0; 16 * 1024];
                    match read(&mut stream, &mut part, deadline) {
                        Some(count) if count > 0 => machine.receive(&part[..count]),
                        _ => break,
                    }
                    if was_idle {
                        deadline = Instant::now() + PATIENCE;
                    }
                }
                Err(refusal) => {
                    self.refused(peer, refusal.why);
                    let _ = stream.write_all(&response(refusal.status, &[], b"", false));
                    break;
                }
            }
        }
        if let Some(live) = own {
            self.break_off(&live);
        }
    }

    fn reply(&self, request: &Request, own: &mut Option<Arc<Mutex<Live>>>, peer: &str) -> Reply {
        if request.method != "POST" {
            return Reply::plain(405, "a CPE posts here").with("Allow", "POST".to_owned());
        }
        if let Err(challenge) = self.guard.check(request, &self.office.store) {
            if request.header("authorization").is_some() {
                self.refused(peer, "its user name, password or nonce was not accepted");
            }
            return match challenge {
                Some(challenge) => Reply::plain(401, "who are you?").with("WWW-Authenticate", challenge),
                None => Reply::plain(500, "no randomness for a nonce"),
            };
        }
        let body = match inflated(request) {
            Ok(body) => body,
            Err((status, why)) => {
                self.refused(peer, &why);
                return Reply::plain(status, &why);
            }
        };
        let watcher = &self.office.watcher;
        watcher.news(&News::Soap { peer, status: None, body: &body });
        let reply = self.hear(request, &body, own, peer);
        watcher.news(&News::Soap { peer, status: Some(reply.status), body: &reply.body });
        reply
    }

    /// Finds the session of a POST, and takes it there.
    fn hear(&self, request: &Request, body: &[u8], own: &mut Option<Arc<Mutex<Live>>>, peer: &str) -> Reply {
        self.sweep();
        let cookie = cookie(request);
        let mut live = match self.quirks.cookie {
            Cookie::None => own.clone(),
            _ => cookie.as_ref().and_then(|value| lock(&self.sessions).get(value).cloned()),
        };
        let begins = looks_like_inform(body);
        if begins && self.quirks.overloaded {
            return Reply::plain(503, "overloaded").with("Retry-After", "60".to_owned());
        }
        if begins && let Some(old) = live.take() {
            // A CPE that gave its session up and kept the cookie.
            self.break_off(&old);
        }
        let live = live.unwrap_or_else(|| Arc::new(Mutex::new(Live::new(self.quirks))));
        let reply = self.post(&live, body, peer);
        if lock(&live).session.is_over() {
            lock(&self.sessions).retain(|_, other| !Arc::ptr_eq(other, &live));
            *own = None;
            return reply;
        }
        if self.quirks.cookie == Cookie::None {
            *own = Some(live);
            return reply;
        }
        if !begins {
            return reply;
        }
        let (value, cookie) = match self.quirks.cookie {
            Cookie::Serial => {
                let serial =
                    lock(&live).known.as_ref().map_or_else(String::new, |(device, _)| device.clone());
                let cookie = format!("oktopus={serial}; Expires=Thu, 31 Dec 2037 23:55:55 GMT");
                (serial, cookie)
            }
            _ => match rng::hex(16) {
                Ok(value) => (value.clone(), format!("{COOKIE}={value}; Path=/; HttpOnly")),
                Err(_) => return Reply::plain(500, "no randomness for a cookie"),
            },
        };
        lock(&self.sessions).insert(value, live);
        reply.with("Set-Cookie", cookie)
    }

    /// Hands a body to its session, and the facts to the office.
    fn post(&self, shared: &Arc<Mutex<Live>>, body: &[u8], peer: &str) -> Reply {
        let mut live = lock(shared);
        live.seen = Instant::now();
        let (fact, step) = live.session.receive(body);
        if let Some((device, number)) = &live.known {
            self.office.alive(device, *number);
        }
        let device = live.known.as_ref().map_or_else(String::new, |(device, _)| device.clone());
        match fact {
            Some(Fact::Informed(inform, _)) => {
                let device = inform.device_id.serial_number.clone();
                if device.is_empty() {
                    live.session.abandon();
                    return Reply::plain(400, "the SerialNumber is empty");
                }
                if self.office.in_session(&device) {
                    if self.quirks.already_in_session {
                        live.session.abandon();
                        return Reply::plain(400, "CPE already in session");
                    }
                    self.break_off_device(&device);
                }
                let number = self.office.informed(&inform);
                live.known = Some((device, number));
            }
            Some(Fact::Answered(ticket, outcome)) => {
                live.outstanding = None;
                self.office.heard(ticket, body);
                self.office.answered(ticket, outcome);
            }
            Some(Fact::Transferred(complete)) => {
                self.office.watcher.news(&News::Transferred { device: &device, complete: &complete });
                self.office.watcher.news(&News::Called { device: &device, method: "TransferComplete" });
            }
            Some(Fact::Called(method)) => {
                self.office.watcher.news(&News::Called { device: &device, method: &method });
            }
            None => {}
        }
        match step {
            Step::Answer(envelope) => Reply::xml(envelope),
            Step::Idle => self.idle(&mut live),
            Step::Refuse(status, why) => {
                self.refused(peer, &why);
                if let Some((device, number)) = live.known.take() {
                    self.office.broke_off(&device, number, live.outstanding.take());
                }
                Reply::plain(status, &why)
            }
        }
    }

    /// The next request, or the end.
    fn idle(&self, live: &mut Live) -> Reply {
        let Some((device, number)) = live.known.clone() else {
            return Reply::plain(live.session.finish(), "");
        };
        match self.office.next(&device, number, live.session.sent()) {
            Some((ticket, payload)) => {
                let text = live.session.request(ticket, &payload);
                live.outstanding = Some((ticket, payload));
                live.seen = Instant::now();
                Reply::xml(text)
            }
            None => {
                live.known = None;
                Reply { status: live.session.finish(), headers: Vec::new(), body: Vec::new() }
            }
        }
    }

    /// Gives up the sessions of a device that informs anew.
    fn break_off_device(&self, device: &str) {
        let theirs: Vec<_> = lock(&self.sessions).values().cloned().collect();
        for live in theirs {
            // Its own is locked by the caller, and not in the table yet.
            let is_its = live
                .try_lock()
                .is_ok_and(|live| live.known.as_ref().is_some_and(|(known, _)| known == device));
            if is_its {
                self.break_off(&live);
            }
        }
    }

    fn break_off(&self, shared: &Arc<Mutex<Live>>) {
        lock(&self.sessions).retain(|_, other| !Arc::ptr_eq(other, shared));
        let mut live = lock(shared);
        live.session.abandon();
        let outstanding = live.outstanding.take();
        if let Some((device, number)) = live.known.take() {
            drop(live);
            self.office.broke_off(&device, number, outstanding);
        }
    }

    /// Gives up sessions that nobody continued.
    fn sweep(&self) {
        let all: Vec<_> = lock(&self.sessions).values().cloned().collect();
        for live in all {
            // One that is locked is being served.
            if live.try_lock().is_ok_and(|live| live.seen.elapsed() > SILENCE) {
                self.break_off(&live);
            }
        }
    }

    fn refused(&self, peer: &str, why: &str) {
        self.office.watcher.news(&News::Refused { peer, why });
    }
}

impl Live {
    fn new(quirks: Quirks) -> Live {
        Live { session: Session::new(quirks), known: None, outstanding: None, seen: Instant::now() }
    }
}

impl Reply {
    fn plain(status: u16, text: &str) -> Reply {
        let headers = vec![("Content-Type", "text/plain; charset=utf-8".to_owned())];
        Reply { status, headers, body: text.as_bytes().to_vec() }
    }

    fn xml(body: Vec<u8>) -> Reply {
        let headers = vec![
            ("Content-Type", "text/xml; charset=\"utf-8\"".to_owned()),
            ("SOAPServer", "rcwmp".to_owned()),
        ];
        Reply { status: 200, headers: if body.is_empty() { Vec::new() } else { headers }, body }
    }

    fn with(mut self, name: &'static str, value: String) -> Reply {
        self.headers.push((name, value));
        self
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads once before the deadline; `None` when nothing more comes.
fn read(stream: &mut TcpStream, part: &mut [u8], deadline: Instant) -> Option<usize> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return None;
        }
        match stream.read(part) {
            Ok(count) => return Some(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// The body without its coding.
fn inflated(request: &Request) -> Result<Vec<u8>, (u16, String)> {
    let Some(coding) = request.header("content-encoding").filter(|coding| !coding.is_empty()) else {
        return Ok(request.body.clone());
    };
    let Some(how) = Compression::from_coding(coding) else {
        return Err((415, format!("Content-Encoding {coding:?} is unknown")));
    };
    if request.body.is_empty() {
        return Ok(Vec::new());
    }
    body::unpack(request.body.clone(), how, LIMITS.body).map_err(|error| (400, error.to_string()))
}

/// The value of the session's cookie.
fn cookie(request: &Request) -> Option<String> {
    let pairs = request.all("cookie").flat_map(|line| line.split(';'));
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(name, _)| *name == COOKIE || *name == "oktopus")
        .map(|(_, value)| value.trim_matches('"').to_owned())
}

/// Whether a body begins a session; a look, not a parse.
fn looks_like_inform(body: &[u8]) -> bool {
    let head = &body[..body.len().min(8 * 1024)];
    head.windows(8).any(|window| matches!(window, [b':' | b'<', rest @ ..] if rest.starts_with(b"Inform") && matches!(rest[6], b'>' | b' ')))
}
