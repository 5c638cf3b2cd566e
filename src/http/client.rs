//! The HTTP session with an ACS (TR-069 3.4): one connection, its cookies and credentials.
//!
//! This file and `file` name ureq, and no other does. ureq speaks HTTP over a connector of ours, which counts
//! connections, notices what the peer did to them, and keeps every deadline; redirects, cookies,
//! credentials and compression are done here, in [`Session::post`].
//!
//! When a request is sent a second time: after 401 with credentials (3.4.4), after a redirect to
//! its target (3.4.2), and in one more case. A kept-alive connection that the ACS closed may fail
//! only when it is used, as its FIN and our request cross. 3.4.2 wants the session continued on a
//! new connection when the ACS closed between two round trips, while 3.7.1.4 forbids repeating a
//! request that went unanswered. So a request is repeated, once, only if the connection had
//! already carried a round trip, it broke by close or reset (never by time running out), and not
//! one octet of an answer came.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ureq::http::{self, header};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use crate::http::auth::{self, Challenge, Credentials, DigestClient};
use crate::http::auth_text;
use crate::http::body::{self, Compression};
use crate::http::client_error::{ConnectFault, HttpError};
use crate::http::cookie::Jar;
use crate::http::favourites::Favourites;
use crate::http::lookup::lookup;
use crate::http::url::Url;
use crate::http::wire::{Cancel, Link, Secure, Wire};

/// The redirects followed for one request (TR-069 3.4.2: up to five in a row).
const MAX_REDIRECTS: u32 = 5;
/// The times a stale nonce is renewed for one request.
const MAX_STALE: u32 = 2;
/// The longest head of a reply; the reading buffer is twice as long.
pub(super) const MAX_HEAD: usize = 32 * 1024;
/// What is read of a body nobody wants, to keep its connection.
const MAX_UNWANTED: u64 = 64 * 1024;

/// What a session needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `ManagementServer.URL`.
    pub url: String,
    /// `ManagementServer.Username` and `.Password`; an empty user name means none.
    pub credentials: Credentials,
    /// What puts TLS on a connection; `None` refuses `https`.
    pub tls: Option<Arc<dyn Secure>>,
    /// `ManagementServer.HTTPCompression`: of requests, and what is accepted for replies.
    pub compression: Compression,
    /// How long to wait in each phase of an exchange: connecting, sending, the reply's head, its
    /// body. TR-069 3.4.2 wants 30 s at least.
    pub timeout: Duration,
    /// When the whole session must be over.
    pub deadline: Instant,
    /// The longest reply, inflated, in octets.
    pub max_reply: usize,
    /// The `User-Agent` value; empty for none.
    pub user_agent: String,
    /// The network interface to leave by.
    pub interface: Option<String>,
    /// Use IPv4 addresses only.
    pub force_ipv4: bool,
    /// What earlier sessions have learned; each session goes on with its own copy of the handle.
    pub favourites: Favourites,
}

impl Settings {
    /// Settings for a URL with the standard's values: 30 s a phase, ten minutes in all, 4 MiB.
    pub fn new(url: impl Into<String>) -> Settings {
        Settings {
            url: url.into(),
            credentials: Credentials::default(),
            tls: None,
            compression: Compression::None,
            timeout: Duration::from_secs(30),
            deadline: Instant::now() + Duration::from_secs(600),
            max_reply: 4 << 20,
            user_agent: String::new(),
            interface: None,
            force_ipv4: false,
            favourites: Favourites::default(),
        }
    }
}

/// What to post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Post<'a> {
    /// The empty POST: nothing (more) to say.
    Empty,
    /// A SOAP envelope.
    Soap(&'a [u8]),
}

/// What the ACS answered with 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 or 204, or 201 and 202 of sloppy servers.
    pub status: u16,
    /// The body, inflated; empty means an empty HTTP response.
    pub body: Vec<u8>,
}

/// An HTTP session, from Inform to the last empty response. Dropping it closes the connection.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    agent: ureq::Agent,
    shared: Arc<Shared>,
    start: Url,
    target: Url,
    only_tls_so_far: bool,
    jar: Jar,
    login: Login,
}

impl Session {
    /// A session that has not connected yet. Errors if the URL is none, or is `https` without TLS.
    pub fn new(settings: Settings) -> Result<Session, HttpError> {
        let start = Url::parse(&settings.url).map_err(HttpError::BadUrl)?;
        if start.tls && settings.tls.is_none() {
            return Err(HttpError::NoTls);
        }
        let shared = Arc::new(Shared::new(&settings));
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(header_text(&settings.user_agent))
            .accept("")
            .accept_encoding(settings.compression.coding().unwrap_or_default())
            .max_response_header_size(MAX_HEAD)
            .input_buffer_size(2 * MAX_HEAD)
            .output_buffer_size(16 * 1024)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_idle_age(Duration::from_secs(3600))
            .build();
        let dialer = Dialer { shared: shared.clone() };
        let names = Names { shared: shared.clone(), force_ipv4: settings.force_ipv4 };
        Ok(Session {
            agent: ureq::Agent::with_parts(config, dialer, names),
            only_tls_so_far: start.tls,
            target: start.clone(),
            start,
            shared,
            jar: Jar::new(),
            login: Login::None,
            settings,
        })
    }

    /// Posts and waits for the answer, through challenges and redirects.
    ///
    /// An error ends the session: TR-069 3.7.1.4 forbids another attempt within it.
    pub fn post(&mut self, post: Post<'_>) -> Result<Reply, HttpError> {
        let packed = match post {
            Post::Empty => Vec::new(),
            Post::Soap(envelope) => body::pack(envelope, self.settings.compression),
        };
        let (mut redirects, mut answered, mut stale, mut reconnected) = (0, false, 0, false);
        loop {
            let connects = self.connects();
            let (sent, result) = self.exchange(post, &packed)?;
            let reply = match result {
                Ok(reply) => reply,
                Err(error) => {
                    let reused = connects == self.connects() && connects > 0;
                    let silent = self.shared.received.load(Ordering::Relaxed) == 0;
                    if reused && silent && !reconnected && is_closed(&error) {
                        reconnected = true;
                        continue;
                    }
                    return Err(self.culprit(error));
                }
            };
            let (head, body) = reply.into_parts();
            self.keep_cookies(&head);
            match head.status.as_u16() {
                status @ (200 | 201 | 202 | 204) => return self.read_reply(status, &head, body),
                401 => {
                    discard(body);
                    let challenge = self.challenge(&head, sent, answered && stale == MAX_STALE)?;
                    if answered && !challenge.is_stale() {
                        return Err(HttpError::Rejected);
                    }
                    stale += u32::from(answered);
                    answered = true;
                    self.login = match challenge {
                        Challenge::Basic { .. } => Login::Basic,
                        Challenge::Digest(digest) => Login::Digest(DigestClient::new(digest)),
                    };
                }
                301 | 302 | 307 | 308 => {
                    discard(body);
                    redirects += 1;
                    if redirects > MAX_REDIRECTS {
                        return Err(HttpError::TooManyRedirects);
                    }
                    if self.redirect(&head)? {
                        (answered, stale) = (false, 0);
                    }
                }
                415 if !packed.is_empty() && self.settings.compression != Compression::None => {
                    return Err(HttpError::CompressionRefused);
                }
                503 => return Err(HttpError::Busy { retry_after: retry_after(&head) }),
                status => return Err(HttpError::Status { status, text: excerpt(body) }),
            }
        }
    }

    /// How many TCP connections the session has opened so far.
    pub fn connects(&self) -> u32 {
        self.shared.connects.load(Ordering::Relaxed)
    }

    /// The address that the session's last connection goes to, once there was one.
    pub fn peer(&self) -> Option<IpAddr> {
        *self.shared.peer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the session talks to now: the configured URL or what it was redirected to.
    pub fn url(&self) -> &Url {
        &self.target
    }

    fn exchange(&mut self, post: Post<'_>, packed: &[u8]) -> Result<(Sent, Exchanged), HttpError> {
        let left = self.settings.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HttpError::SessionTooLong);
        }
        let (sent, login) = self.authorization(packed)?;
        let mut request = http::Request::post(self.target.to_string());
        if matches!(post, Post::Soap(_)) {
            request = request.header(header::CONTENT_TYPE, "text/xml; charset=\"utf-8\"");
            request = request.header("SOAPAction", "");
            if let Some(coding) = self.settings.compression.coding() {
                request = request.header(header::CONTENT_ENCODING, coding);
            }
        }
        if let Some(login) = login {
            request = request.header(header::AUTHORIZATION, login);
        }
        if let Some(cookies) = self.jar.header(self.target.tls) {
            request = request.header(header::COOKIE, cookies);
        }
        let request = request.body(packed).map_err(|error| HttpError::BadRequest(error.to_string()))?;
        let phase = Some(self.settings.timeout.min(left));
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(left.min(self.settings.timeout.saturating_mul(3))))
            .timeout_resolve(phase)
            .timeout_connect(phase)
            .timeout_send_request(phase)
            .timeout_send_body(phase)
            .timeout_recv_response(phase)
            .timeout_recv_body(phase)
            .build();
        self.shared.received.store(0, Ordering::Relaxed);
        Ok((sent, self.agent.run(request)))
    }

    // Over TLS, Basic goes out unasked (3.4.4), but only as far as plain HTTP had no say in where.
    fn authorization(&mut self, body: &[u8]) -> Result<(Sent, Option<String>), HttpError> {
        let who = &self.settings.credentials;
        if who.username.is_empty() {
            return Ok((Sent::Nothing, None));
        }
        let unasked = self.target.tls && (self.only_tls_so_far || self.target.is_same_server(&self.start));
        match &mut self.login {
            Login::None if unasked && !who.username.contains(':') => {
                Ok((Sent::Basic, Some(auth::basic(who).map_err(HttpError::Unauthorized)?)))
            }
            Login::None => Ok((Sent::Nothing, None)),
            Login::Basic => Ok((Sent::Basic, Some(auth::basic(who).map_err(HttpError::Unauthorized)?))),
            Login::Digest(digest) => {
                let mut random = [0; 16];
                getrandom::fill(&mut random).map_err(|error| HttpError::NoRandom(error.to_string()))?;
                let text = digest
                    .answer(who, "POST", &self.target.target, body, &auth_text::hex(&random))
                    .map_err(HttpError::Unauthorized)?;
                Ok((Sent::Digest, Some(text)))
            }
        }
    }

    fn challenge(
        &self,
        head: &http::response::Parts,
        sent: Sent,
        is_last: bool,
    ) -> Result<Challenge, HttpError> {
        if self.settings.credentials.username.is_empty() {
            return Err(HttpError::NoCredentials);
        }
        let lines: Vec<_> = head
            .headers
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let challenge = match auth::best_challenge(lines.iter().map(AsRef::as_ref)) {
            Ok(challenge) => challenge,
            Err(_) if lines.is_empty() && sent != Sent::Nothing => return Err(HttpError::Rejected),
            Err(error) => return Err(HttpError::Unauthorized(error)),
        };
        let is_basic = matches!(challenge, Challenge::Basic { .. });
        if is_last || (is_basic && sent == Sent::Basic) {
            return Err(HttpError::Rejected);
        }
        if is_basic && !self.target.tls && self.start.tls {
            return Err(HttpError::BasicInTheClear);
        }
        Ok(challenge)
    }

    // Gives whether the new target is another server, to which old credentials mean nothing.
    fn redirect(&mut self, head: &http::response::Parts) -> Result<bool, HttpError> {
        let location = head.headers.get(header::LOCATION).ok_or(HttpError::NoLocation)?;
        let location = String::from_utf8_lossy(location.as_bytes());
        let target = self.target.join(location.trim()).map_err(HttpError::BadRedirect)?;
        if target.tls && self.settings.tls.is_none() {
            return Err(HttpError::NoTls);
        }
        let is_other = !target.is_same_server(&self.target);
        if is_other {
            self.login = Login::None;
        }
        self.only_tls_so_far &= target.tls;
        self.target = target;
        Ok(is_other)
    }

    fn keep_cookies(&mut self, head: &http::response::Parts) {
        // Before 2024 the clock has not been set yet.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let now = Some(now).filter(|now| *now >= 1_704_067_200);
        for line in head.headers.get_all(header::SET_COOKIE) {
            let line = String::from_utf8_lossy(line.as_bytes());
            if let Err(error) = self.jar.store(&line, self.target.tls, now) {
                log::debug!("{error}");
            }
        }
    }

    fn read_reply(
        &self,
        status: u16,
        head: &http::response::Parts,
        body: ureq::Body,
    ) -> Result<Reply, HttpError> {
        let max = self.settings.max_reply;
        let coding = match head.headers.get(header::CONTENT_ENCODING) {
            None => Compression::None,
            Some(name) => {
                let name = String::from_utf8_lossy(name.as_bytes());
                Compression::from_coding(&name)
                    .ok_or_else(|| HttpError::UnknownCoding(name.chars().take(32).collect()))?
            }
        };
        let limit = u64::try_from(max).unwrap_or(u64::MAX);
        if body.content_length().is_some_and(|length| length > limit) {
            return Err(HttpError::ReplyTooLong(max));
        }
        let packed = body
            .into_with_config()
            .limit(limit.saturating_add(1))
            .read_to_vec()
            .map_err(|error| self.culprit(error))?;
        if packed.is_empty() {
            return Ok(Reply { status, body: packed });
        }
        let body = body::unpack(packed, coding, max).map_err(HttpError::BadBody)?;
        Ok(Reply { status, body })
    }

    fn culprit(&self, error: ureq::Error) -> HttpError {
        if Instant::now() >= self.settings.deadline {
            return HttpError::SessionTooLong;
        }
        match error {
            ureq::Error::BodyExceedsLimit(_) => HttpError::ReplyTooLong(self.settings.max_reply),
            error => culprit(error, &self.target, &self.shared),
        }
    }
}

/// What a fault of ureq means when it talked to `target`.
pub(super) fn culprit(error: ureq::Error, target: &Url, shared: &Shared) -> HttpError {
    let host = || format!("{}:{}", target.host, target.port);
    match error {
        ureq::Error::Timeout(phase) => HttpError::TooSlow(phase.to_string()),
        ureq::Error::LargeResponseHeader(..) => HttpError::HeadTooLong(MAX_HEAD),
        ureq::Error::Other(fault) => match fault.downcast::<ConnectFault>() {
            Ok(fault) => HttpError::from_connect(*fault, host()),
            Err(other) => HttpError::BadReply(other.to_string()),
        },
        ureq::Error::Io(error) => match shared.received.load(Ordering::Relaxed) {
            0 => HttpError::NoAnswer(error.to_string()),
            _ => HttpError::CutOff(error.to_string()),
        },
        ureq::Error::Http(error) => HttpError::BadRequest(error.to_string()),
        ureq::Error::BadUri(why) => HttpError::BadRequest(why),
        other => HttpError::BadReply(other.to_string()),
    }
}

type Exchanged = Result<http::Response<ureq::Body>, ureq::Error>;

#[derive(Debug)]
enum Login {
    None,
    Basic,
    Digest(DigestClient),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    Basic,
    Digest,
}

fn is_closed(error: &ureq::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    let kinds = [BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof];
    matches!(error, ureq::Error::Io(error) if kinds.contains(&error.kind()))
}

// A body read to its end leaves the connection usable; one that fails only loses the connection.
pub(super) fn discard(body: ureq::Body) {
    let _ = body.into_with_config().limit(MAX_UNWANTED).read_to_vec();
}

pub(super) fn excerpt(body: ureq::Body) -> String {
    let mut text = Vec::new();
    let _ = body.into_with_config().limit(MAX_UNWANTED).reader().take(200).read_to_end(&mut text);
    String::from_utf8_lossy(&text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(120)
        .collect()
}

fn retry_after(head: &http::response::Parts) -> Option<Duration> {
    let value = head.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    value.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()))
}

pub(super) fn header_text(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect()
}

/// What the session, its resolver and its connections tell each other.
#[derive(Debug)]
pub(super) struct Shared {
    /// How many connections were opened.
    pub(super) connects: AtomicU32,
    /// Where the last one goes.
    pub(super) peer: Mutex<Option<IpAddr>>,
    /// How many octets of an answer came.
    pub(super) received: AtomicUsize,
    /// How many may come.
    pub(super) max_received: usize,
    /// The addresses last found, and for whom.
    pub(super) names: Mutex<Option<(String, Vec<SocketAddr>)>>,
    /// What puts TLS on.
    pub(super) tls: Option<Arc<dyn Secure>>,
    /// The interface to leave by.
    pub(super) interface: Option<String>,
    /// What answered before.
    pub(super) favourites: Favourites,
    /// Ends every wait. Where it is given, a file is fetched, and a connection that breaks is no
    /// end of a body that has no length.
    pub(super) cancel: Option<Cancel>,
}

impl Shared {
    pub(super) fn new(settings: &Settings) -> Shared {
        Shared {
            connects: AtomicU32::new(0),
            peer: Mutex::new(None),
            received: AtomicUsize::new(0),
            // Chunk sizes, trailers and interim replies come on top of the body.
            max_received: settings.max_reply.saturating_mul(2).saturating_add(1 << 20),
            names: Mutex::new(None),
            tls: settings.tls.clone(),
            interface: settings.interface.clone(),
            favourites: settings.favourites.clone(),
            cancel: None,
        }
    }
}

/// Looks a host up once for the session, as ureq would for every request.
#[derive(Debug)]
struct Names {
    shared: Arc<Shared>,
    force_ipv4: bool,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &http::Uri,
        _: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let key = format!("{:?} {:?}", uri.scheme_str(), uri.authority());
        let mut known = self.shared.names.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|(of, _)| *of != key) {
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
            let is_tls = uri.scheme_str() == Some("https");
            let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
            let cancel = self.shared.cancel.clone().unwrap_or_default();
            let mut found = match lookup(host, port, self.force_ipv4, moment(&timeout), &cancel) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(ureq::Error::Timeout(timeout.reason));
                }
                Err(error) => return Err(fault(ConnectFault::Name(error.to_string()))),
            };
            let mut random = [0; 1];
            // Without randomness the order is the name service's.
            let _ = getrandom::fill(&mut random);
            self.shared.favourites.order(uri.host().unwrap_or_default(), &mut found, random[0]);
            *known = Some((key, found));
        }
        let mut addresses = self.empty();
        for address in known.iter().flat_map(|(_, found)| found) {
            addresses.push(*address);
        }
        Ok(addresses)
    }
}

/// Opens the connections of a session.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) shared: Arc<Shared>,
}

impl Connector for Dialer {
    type Out = Line;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Line>, ureq::Error> {
        let deadline = moment(&details.timeout);
        let interface = self.shared.interface.as_deref();
        let cancel = self.shared.cancel.clone();
        let (wire, address) = Wire::connect_unless(&details.addrs, interface, deadline, cancel)
            .map_err(|error| fault(ConnectFault::Unreachable(error.to_string())))?;
        // The address that answered is asked first from now on.
        let mut names = self.shared.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = &mut *names
            && let Some(at) = known.iter().position(|known| *known == address)
        {
            known.rotate_left(at);
        }
        drop(names);
        self.shared.favourites.answered(details.uri.host().unwrap_or_default(), address.ip());
        let link = match (details.needs_tls(), &self.shared.tls) {
            (false, _) => Link::Plain(wire),
            (true, None) => return Err(fault(ConnectFault::NoTls)),
            (true, Some(tls)) => {
                let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']);
                let secured = tls.handshake(host, wire).map_err(|why| fault(ConnectFault::Tls(why)))?;
                Link::Secured(secured)
            }
        };
        self.shared.connects.fetch_add(1, Ordering::Relaxed);
        *self.shared.peer.lock().unwrap_or_else(PoisonError::into_inner) = Some(address.ip());
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Line { link, buffers, shared: self.shared.clone(), is_early: false }))
    }
}

pub(super) fn fault(fault: ConnectFault) -> ureq::Error {
    ureq::Error::Other(Box::new(fault))
}

pub(super) fn moment(timeout: &NextTimeout) -> Instant {
    let now = Instant::now();
    now.checked_add(*timeout.after).unwrap_or(now + Duration::from_secs(86_400))
}

/// One connection under ureq.
pub(super) struct Line {
    link: Link,
    buffers: LazyBuffers,
    shared: Arc<Shared>,
    // Something came while ureq waited for 100 Continue.
    is_early: bool,
}

impl Line {
    fn failed(&self, error: std::io::Error, timeout: &NextTimeout) -> ureq::Error {
        match error.kind() {
            std::io::ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
            // ureq would take these for an ordinary end.
            _ if self.shared.cancel.is_some() => std::io::Error::other(error).into(),
            _ => error.into(),
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_tls() { "Line(tls)" } else { "Line(plain)" })
    }
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        self.link.set_deadline(moment(&timeout));
        let output = &self.buffers.output()[..amount];
        let written = self.link.write_all(output).and_then(|()| self.link.flush());
        written.map_err(|error| self.failed(error, &timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        // When the answer itself comes in place of 100 Continue, ureq would wait for more of it, even
        // if there is no more.
        let is_wait_for_100 = timeout.reason == ureq::Timeout::Await100;
        if self.is_early && !is_wait_for_100 {
            self.is_early = false;
            if !self.buffers.input().is_empty() {
                return Ok(true);
            }
        }
        let timeout = timeout.for_read();
        self.link.set_deadline(moment(&timeout));
        let input = self.buffers.input_append_buf();
        if input.is_empty() || self.shared.received.load(Ordering::Relaxed) > self.shared.max_received {
            return Err(fault(ConnectFault::TooMuch));
        }
        let amount = self.link.read(input).map_err(|error| self.failed(error, &timeout))?;
        self.buffers.input_appended(amount);
        self.is_early = is_wait_for_100;
        self.shared.received.fetch_add(amount, Ordering::Relaxed);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.link.is_quiet()
    }

    fn is_tls(&self) -> bool {
        self.link.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn another_address_is_tried_and_remembered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
                stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
            }
        });
        let settings = Settings {
            force_ipv4: true,
            timeout: Duration::from_secs(5),
            ..Settings::new(format!("http://localhost:{}/", here.port()))
        };
        let mut session = Session::new(settings.clone()).unwrap();
        session.post(Post::Empty).unwrap();
        // As if the name had another address before it, where nobody listens.
        let nobody = SocketAddr::new([127, 0, 0, 2].into(), here.port());
        session.shared.names.lock().unwrap().as_mut().unwrap().1 = vec![nobody, here];
        settings.favourites.answered("localhost", nobody.ip());
        session.post(Post::Empty).unwrap();
        server.join().unwrap();
        assert_eq!(session.connects(), 2);
        // The session goes on with the one that answered, and so does the next.
        assert_eq!(session.shared.names.lock().unwrap().as_ref().unwrap().1, [here, nobody]);
        let mut found = [nobody, here];
        settings.favourites.order("localhost", &mut found, 0);
        assert_eq!(found, [here, nobody]);
        // But it asks the name service anew: only that knows how long its answers are good.
        assert!(Session::new(settings).unwrap().shared.names.lock().unwrap().is_none());
    }
}
