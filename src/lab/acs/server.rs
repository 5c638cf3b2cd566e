//! The mini-ACS on a socket: sessions by cookie over HTTP or HTTPS, Basic or Digest authentication, and the file server.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::body::{self, Compression};
use crate::http::serve::{Limits, Request};
use crate::http::tls_server::Identity;
use crate::lab::front::{Entrance, Front, Peer, Reply, Service};
use crate::sys::rng;

use super::describe;
use super::files;
use super::guard::{Auth, Guard};
use super::news::News;
use super::office::Office;
use super::payload::Payload;
use super::quirks::{Cookie, Quirks};
use super::services;
use super::session::{Fact, Session, Step, Ticket};

/// What one request may hold, before and after inflating.
const LIMITS: Limits = Limits { head: 16 * 1024, body: 4 * 1024 * 1024 };
/// A session without a POST for so long is over.
const SILENCE: Duration = Duration::from_secs(60);
/// Between two looks at silent sessions.
const SWEEP: Duration = Duration::from_secs(1);
/// Sweeps between two looks at who is offline.
const WATCH: u32 = 10;
/// The name of our cookie.
const COOKIE: &str = "rcwmp-session";
/// Of the one without a path.
const PATHLESS: &str = "session";

/// A running server; dropping it ends it.
pub struct Server {
    shared: Arc<Shared>,
    front: Option<Front>,
    /// HTTPS, beside HTTP.
    secure: Option<Front>,
    sweeper: Option<thread::JoinHandle<()>>,
}

struct Shared {
    office: Arc<Office>,
    quirks: Quirks,
    guard: Guard,
    sessions: Mutex<HashMap<String, Arc<Mutex<Live>>>>,
}

/// A session and whose it is.
struct Live {
    session: Session,
    /// The device and the office's number of the session, after the Inform.
    known: Option<(String, u32)>,
    outstanding: Option<(Ticket, Payload)>,
    seen: Instant,
}

impl Server {
    /// Listens for HTTP; port 0 takes a free one.
    ///
    /// # Errors
    /// The system's; [`ErrorKind::PermissionDenied`] for an address beyond the loopback, unless the office's settings
    /// allow remote devices and these have to show who they are.
    pub fn start(office: Arc<Office>, listen: SocketAddr, auth: Auth, quirks: Quirks) -> io::Result<Server> {
        Server::start_with(office, listen, None, auth, quirks)
    }

    /// As [`Server::start`], and HTTPS at another address with a certificate.
    ///
    /// # Errors
    /// Those of [`Server::start`].
    pub fn start_with(
        office: Arc<Office>,
        listen: SocketAddr,
        secure: Option<(SocketAddr, Identity)>,
        auth: Auth,
        quirks: Quirks,
    ) -> io::Result<Server> {
        for address in [Some(listen), secure.as_ref().map(|(address, _)| *address)].into_iter().flatten() {
            if address.ip().is_loopback() {
                continue;
            }
            let why = match (&auth, office.settings.allow_remote) {
                (_, false) => format!("{address} is not a loopback address (--allow-remote permits it)"),
                (Auth::None, true) => format!("{address} is for strangers too, and needs --auth"),
                (_, true) => continue,
            };
            return Err(io::Error::new(ErrorKind::PermissionDenied, why));
        }
        let shared =
            Arc::new(Shared { office, quirks, guard: Guard::new(auth, quirks), sessions: Mutex::default() });
        let entrance =
            |listen, identity| Entrance { listen, identity, limits: LIMITS, rule: files::body_rule };
        let front = Front::start(entrance(listen, None), Arc::clone(&shared))?;
        let secure = match secure {
            Some((listen, identity)) => {
                Some(Front::start(entrance(listen, Some(identity)), Arc::clone(&shared))?)
            }
            None => None,
        };
        shared.office.resume();
        let theirs = Arc::clone(&shared);
        let sweeper = thread::Builder::new().name("sweep".to_owned()).spawn(move || theirs.sweep_on())?;
        Ok(Server { shared, front: Some(front), secure, sweeper: Some(sweeper) })
    }

    /// Where it listens for HTTP.
    pub fn address(&self) -> SocketAddr {
        self.front.as_ref().map_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)), Front::address)
    }

    /// The URL for the configuration of a CPE.
    pub fn url(&self) -> String {
        self.front.as_ref().map(Front::url).unwrap_or_default()
    }

    /// The URL of HTTPS.
    pub fn secure_url(&self) -> Option<String> {
        self.secure.as_ref().map(Front::url)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.office.close();
        self.front = None;
        self.secure = None;
        if let Some(sweeper) = self.sweeper.take() {
            let _ = sweeper.join();
        }
    }
}

impl Service for Shared {
    /// The session of a connection, for ACSs without cookies.
    type Own = Option<Arc<Mutex<Live>>>;

    fn reply(&self, request: &Request, own: &mut Self::Own, peer: &Peer) -> Reply {
        self.answer(request, own, peer)
    }

    fn refused(&self, peer: &Peer, why: &str) {
        self.tell_refused(&peer.address, why);
    }

    fn over(&self, own: Self::Own) {
        if let Some(live) = own {
            self.break_off(&live);
        }
    }
}

impl Shared {
    fn answer(&self, request: &Request, own: &mut Option<Arc<Mutex<Live>>>, from: &Peer) -> Reply {
        let peer = from.address.as_str();
        let file = files::name(request);
        if request.method != "POST" && file.is_none() {
            return Reply::plain(405, "a CPE posts here").with("Allow", "POST");
        }
        if let Err(challenge) = self.guard.check(request, &self.office.store, from) {
            if request.header("authorization").is_some() {
                self.tell_refused(peer, "its user name, password or nonce was not accepted");
            }
            return match challenge {
                Some(challenge) => Reply::plain(401, "who are you?").with("WWW-Authenticate", challenge),
                None => Reply::plain(500, "no randomness for a nonce"),
            };
        }
        if let Some(name) = file {
            let reply = files::serve(request, name, &self.office.store);
            let (method, status) = (request.method.as_str(), reply.status);
            self.office.watcher.news(&News::File { peer, method, name, status });
            return reply;
        }
        let body = match inflated(request) {
            Ok(body) => body,
            Err((status, why)) => {
                self.tell_refused(peer, &why);
                return Reply::plain(status, &why);
            }
        };
        let (watcher, trace) = (&self.office.watcher, &self.office.trace);
        watcher.news(&News::Soap { peer, status: None, body: &body });
        trace.add(peer, &self.whose(request, own, &body), None, &body);
        let (reply, device) = self.hear(request, &body, own, peer);
        trace.add(peer, &device, Some(reply.status), &reply.body);
        watcher.news(&News::Soap { peer, status: Some(reply.status), body: &reply.body });
        reply
    }

    /// The device that posts, as far as it is known before its message is read.
    fn whose(&self, request: &Request, own: &Option<Arc<Mutex<Live>>>, body: &[u8]) -> String {
        if looks_like_inform(body) {
            let text = String::from_utf8_lossy(&body[..body.len().min(8 * 1024)]);
            let serial = text.split_once("SerialNumber>").and_then(|(_, rest)| rest.split_once('<'));
            return serial.map_or_else(String::new, |(serial, _)| serial.trim().chars().take(64).collect());
        }
        let live = match self.quirks.cookie {
            Cookie::None => own.clone(),
            _ => cookie(request).and_then(|value| lock(&self.sessions).get(&value).cloned()),
        };
        live.and_then(|live| lock(&live).known.clone()).map_or_else(String::new, |(device, _)| device)
    }

    /// Finds the session of a POST, and takes it there; gives the device too.
    fn hear(
        &self,
        request: &Request,
        body: &[u8],
        own: &mut Option<Arc<Mutex<Live>>>,
        peer: &str,
    ) -> (Reply, String) {
        let nobody = String::new();
        let cookie = cookie(request);
        let mut live = match self.quirks.cookie {
            Cookie::None => own.clone(),
            _ => cookie.as_ref().and_then(|value| lock(&self.sessions).get(value).cloned()),
        };
        let begins = looks_like_inform(body);
        if begins && self.quirks.overloaded {
            return (Reply::plain(503, "overloaded").with("Retry-After", "60"), nobody);
        }
        if !begins && self.quirks.bare_401 && cookie.is_none() {
            return (Reply::plain(401, "no cookie"), nobody);
        }
        if begins && let Some(old) = live.take() {
            // A CPE that gave its session up and kept the cookie.
            self.break_off(&old);
        }
        let live = live.unwrap_or_else(|| Arc::new(Mutex::new(Live::new(self.quirks))));
        let (reply, device) = self.post(&live, body, peer);
        if lock(&live).session.is_over() {
            lock(&self.sessions).retain(|_, other| !Arc::ptr_eq(other, &live));
            *own = None;
            return (reply, device);
        }
        if self.quirks.cookie == Cookie::None {
            *own = Some(live);
            return (reply, device);
        }
        if !begins {
            return (reply, device);
        }
        let (value, cookie) = match self.quirks.cookie {
            Cookie::Serial => {
                let cookie = format!("oktopus={device}; Expires=Thu, 31 Dec 2037 23:55:55 GMT");
                (device.clone(), cookie)
            }
            kind => match rng::hex(16) {
                Ok(value) if kind == Cookie::Pathless => (value.clone(), format!("{PATHLESS}={value}")),
                Ok(value) => (value.clone(), format!("{COOKIE}={value}; Path=/; HttpOnly")),
                Err(_) => return (Reply::plain(500, "no randomness for a cookie"), device),
            },
        };
        lock(&self.sessions).insert(value, live);
        (reply.with("Set-Cookie", cookie), device)
    }

    /// Hands a body to its session, and the facts to the office; gives the device too.
    fn post(&self, shared: &Arc<Mutex<Live>>, body: &[u8], peer: &str) -> (Reply, String) {
        let mut live = lock(shared);
        live.seen = Instant::now();
        let (fact, step) = live.session.receive(body);
        if let Some((device, number)) = &live.known {
            self.office.alive(device, *number);
        }
        let mut device = live.known.as_ref().map_or_else(String::new, |(device, _)| device.clone());
        if let Some(fact) = fact {
            match &fact {
                Fact::Informed(inform, _) => device.clone_from(&inform.device_id.serial_number),
                Fact::Answered(ticket, _) => self.office.heard(*ticket, body),
                _ => {}
            }
            if let Err(reply) = self.take(fact, &mut live, &device, body, peer) {
                // Not acknowledged: the CPE will try again.
                live.session.abandon();
                if let Some((device, number)) = live.known.take() {
                    self.office.broke_off(&device, number, live.outstanding.take());
                }
                return (reply, device);
            }
        }
        let reply = match step {
            Step::Answer(envelope) => xml(envelope),
            Step::Idle => self.idle(&mut live),
            Step::Refuse(status, why) => {
                self.tell_refused(peer, &why);
                if let Some((device, number)) = live.known.take() {
                    self.office.broke_off(&device, number, live.outstanding.take());
                }
                Reply::plain(status, &why)
            }
        };
        (reply, device)
    }

    /// Hands a fact to the office.
    ///
    /// # Errors
    /// What to answer with instead of an acknowledgement.
    fn take(&self, fact: Fact, live: &mut Live, device: &str, body: &[u8], peer: &str) -> Result<(), Reply> {
        let failed = |error: crate::lab::store::Error| {
            self.office.trouble(&error);
            Reply::plain(503, "the store failed").with("Retry-After", "60")
        };
        match fact {
            Fact::Informed(inform, _) => {
                if device.is_empty() || device.chars().count() > 64 {
                    let why = "the SerialNumber has not 1 to 64 characters";
                    self.tell_refused(peer, why);
                    return Err(Reply::plain(400, why));
                }
                if self.office.in_session(device) {
                    if self.quirks.already_in_session {
                        return Err(Reply::plain(400, "CPE already in session"));
                    }
                    self.break_off_device(device);
                }
                let number = self.office.informed(&inform).map_err(failed)?;
                live.known = Some((device.to_owned(), number));
            }
            Fact::Answered(ticket, outcome) => {
                live.outstanding = None;
                self.office.heard(ticket, body);
                self.office.answered(ticket, outcome);
            }
            Fact::Transferred(complete) => {
                let told = describe::call(&crate::cwmp::rpc::Request::TransferComplete(complete.clone()));
                self.office.called(device, "TransferComplete", &told).map_err(failed)?;
                self.office.watcher.news(&News::Transferred { device, complete: &complete });
            }
            Fact::Called(method, told) => self.office.called(device, &method, &told).map_err(failed)?,
        }
        Ok(())
    }

    /// The next request, or the end.
    fn idle(&self, live: &mut Live) -> Reply {
        let Some((device, number)) = live.known.clone() else {
            return Reply::empty(live.session.finish());
        };
        if let Some(text) = live.session.unasked() {
            return xml(text);
        }
        match self.office.next(&device, number, live.session.sent()) {
            Some((ticket, payload)) => {
                let text = live.session.request(ticket, &payload);
                live.outstanding = Some((ticket, payload));
                live.seen = Instant::now();
                xml(text)
            }
            None => {
                live.known = None;
                Reply::empty(live.session.finish())
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

    /// Gives up sessions that nobody continued, and tells who went offline, until the office closes.
    fn sweep_on(&self) {
        let mut known = HashMap::new();
        let mut count = 0_u32;
        while !self.office.stop.wait(SWEEP) {
            self.sweep();
            services::expire(&self.office);
            count = count.wrapping_add(1);
            if count.is_multiple_of(WATCH) {
                self.office.watch(&mut known);
            }
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

    fn tell_refused(&self, peer: &str, why: &str) {
        self.office.watcher.news(&News::Refused { peer, why });
    }
}

impl Live {
    fn new(quirks: Quirks) -> Live {
        Live { session: Session::new(quirks), known: None, outstanding: None, seen: Instant::now() }
    }
}

/// 200 with an envelope, or with nothing.
fn xml(body: Vec<u8>) -> Reply {
    let reply = Reply { status: 200, headers: Vec::new(), body };
    if reply.body.is_empty() {
        return reply;
    }
    reply.with("Content-Type", "text/xml; charset=\"utf-8\"").with("SOAPServer", "rcwmp")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        .find(|(name, _)| [COOKIE, PATHLESS, "oktopus"].contains(name))
        .map(|(_, value)| value.trim_matches('"').to_owned())
}

/// Whether a body begins a session; a look, not a parse.
fn looks_like_inform(body: &[u8]) -> bool {
    let head = &body[..body.len().min(8 * 1024)];
    head.windows(8).any(|window| matches!(window, [b':' | b'<', rest @ ..] if rest.starts_with(b"Inform") && matches!(rest[6], b'>' | b' ')))
}
