//! Files over HTTP: one fetched with GET or put with PUT, as a stream; and reports, with POST or PUT.
//!
//! The same connections, deadlines, digests and certificates as the session with the ACS has, and
//! none of its state: no cookie, no credentials but those given for the file. These are sent only
//! when the server asks, and only to the server of the URL itself: after a redirect elsewhere they
//! stay here. From `http` to `https` on the standard ports of the same host is not elsewhere; from
//! `https` to `http` is not followed. A body's `Content-Encoding` is part of the file, since none
//! was asked for.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::{self, header};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::{AsSendBody, SendBody};

use crate::http::auth::{self, Challenge, Credentials, DigestClient, Qop};
use crate::http::auth_text;
use crate::http::client::{self, Dialer, Shared};
use crate::http::client_error::{ConnectFault, HttpError};
use crate::http::favourites::Favourites;
use crate::http::lookup::lookup;
use crate::http::url::Url;
use crate::http::wire::{Cancel, Secure};

/// The redirects followed for one file.
const MAX_REDIRECTS: u32 = 5;
/// The times a stale nonce is renewed.
const MAX_STALE: u32 = 2;
/// The largest file that is read into memory to be hashed for `auth-int`.
const MAX_HASHED: u64 = 4 << 20;
/// How long a server may take to say that it wants the body (RFC 9110 10.1.1).
const AWAIT_100: Duration = Duration::from_secs(1);

/// How to talk to the file server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For the server of the URL; an empty user name means none.
    pub credentials: Credentials,
    /// What puts TLS on a connection; `None` refuses `https`.
    pub tls: Option<Arc<dyn Secure>>,
    /// How long to wait for a connection, and then for each next octet either way.
    pub idle: Duration,
    /// When the whole transfer must be over.
    pub deadline: Instant,
    /// Ends every wait within a second.
    pub cancel: Cancel,
    /// The `User-Agent` value; empty for none.
    pub user_agent: String,
    /// The network interface to leave by.
    pub interface: Option<String>,
    /// Use IPv4 addresses only.
    pub force_ipv4: bool,
    /// Ask with `Expect: 100-continue` before a file is sent.
    pub expect: bool,
}

/// A file on its way here. Reading to the end tells whether it is whole: a body that breaks off is
/// an error, never an end.
pub struct Incoming {
    /// What the server announced, in octets; `None` for a chunked body and for one that ends with
    /// its connection.
    pub length: Option<u64>,
    body: ureq::BodyReader<'static>,
}

impl Read for Incoming {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.body.read(buf)
    }
}

/// Asks for a file; it comes as the [`Incoming`] is read.
pub fn get(url: &Url, settings: &Settings) -> Result<Incoming, HttpError> {
    let response = Transfer::new(url, settings, None)?.run()?;
    let body = response.into_body();
    // ureq says so of a body without length as well, if there is no body at all.
    let length = body.content_length();
    Ok(Incoming { length, body: body.into_reader() })
}

/// Puts a file of `length` octets, from its beginning. Gives the status, which is a success.
pub fn put(url: &Url, settings: &Settings, file: &mut File, length: u64) -> Result<u16, HttpError> {
    let source = Source { put: true, kind: "application/octet-stream", headers: &[], body: file, length };
    let response = Transfer::new(url, settings, Some(source))?.run()?;
    Ok(response.status().as_u16())
}

/// What is sent instead of a file.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// With PUT; else with POST.
    pub put: bool,
    /// The `Content-Type`.
    pub kind: &'a str,
    /// More headers: names, and values of one line.
    pub headers: &'a [(&'static str, String)],
    /// Everything.
    pub body: &'a [u8],
}

/// Sends a report. Gives the status, which is a success.
pub fn send(url: &Url, settings: &Settings, report: &Report<'_>) -> Result<u16, HttpError> {
    let Report { put, kind, headers, body } = *report;
    let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let source = Source { put, kind, headers, body: &mut Cursor::new(body), length };
    Ok(Transfer::new(url, settings, Some(source))?.run()?.status().as_u16())
}

type Response = http::Response<ureq::Body>;

/// What can be sent again from its beginning.
trait Body: Read + Seek {}

impl<T: Read + Seek> Body for T {}

struct Source<'a> {
    put: bool,
    kind: &'a str,
    headers: &'a [(&'static str, String)],
    body: &'a mut dyn Body,
    length: u64,
}

struct Transfer<'a> {
    settings: &'a Settings,
    source: Option<Source<'a>>,
    agent: ureq::Agent,
    shared: Arc<Shared>,
    start: Url,
    target: Url,
    login: Login,
}

enum Login {
    None,
    Basic,
    Digest(DigestClient),
}

impl<'a> Transfer<'a> {
    fn new(url: &Url, settings: &'a Settings, source: Option<Source<'a>>) -> Result<Transfer<'a>, HttpError> {
        if url.tls && settings.tls.is_none() {
            return Err(HttpError::NoTls);
        }
        let shared = Arc::new(Shared {
            connects: AtomicU32::new(0),
            received: AtomicUsize::new(0),
            // Who reads the file bounds it.
            max_received: usize::MAX,
            peer: Mutex::new(None),
            names: Mutex::new(None),
            tls: settings.tls.clone(),
            interface: settings.interface.clone(),
            favourites: Favourites::default(),
            cancel: Some(settings.cancel.clone()),
        });
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(client::header_text(&settings.user_agent))
            .accept_encoding("")
            .max_response_header_size(client::MAX_HEAD)
            .input_buffer_size(2 * client::MAX_HEAD)
            .output_buffer_size(16 * 1024)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .build();
        let names =
            Names { shared: shared.clone(), force_ipv4: settings.force_ipv4, first: Mutex::new(None) };
        Ok(Transfer {
            agent: ureq::Agent::with_parts(config, Dialer { shared: shared.clone() }, names),
            settings,
            source,
            shared,
            start: url.clone(),
            target: url.clone(),
            login: Login::None,
        })
    }

    fn run(mut self) -> Result<Response, HttpError> {
        let (mut redirects, mut answered, mut stale, mut repeated) = (0, false, 0, false);
        loop {
            let connects = self.shared.connects.load(Ordering::Relaxed);
            let response = match self.exchange()? {
                Ok(response) => response,
                Err(error) => {
                    // GET and PUT may be repeated, and a report twice is better than none; a kept connection may have
                    // been closed meanwhile.
                    let reused = connects > 0 && connects == self.shared.connects.load(Ordering::Relaxed);
                    let silent = self.shared.received.load(Ordering::Relaxed) == 0;
                    if reused && silent && !repeated && matches!(error, ureq::Error::Io(_)) {
                        repeated = true;
                        continue;
                    }
                    return Err(client::culprit(error, &self.target, &self.shared));
                }
            };
            let head = response.headers();
            match (response.status().as_u16(), &self.source) {
                (200, None) | (200..=202 | 204, Some(_)) => return Ok(response),
                (401, _) => {
                    let challenge = self.challenge(head)?;
                    if answered && (!challenge.is_stale() || stale == MAX_STALE) {
                        return Err(HttpError::Rejected);
                    }
                    stale += u32::from(answered);
                    answered = true;
                    self.login = match challenge {
                        Challenge::Basic { .. } => Login::Basic,
                        Challenge::Digest(digest) => Login::Digest(DigestClient::new(digest)),
                    };
                    client::discard(response.into_body());
                }
                (301 | 302 | 307 | 308, _) | (303, None) => {
                    redirects += 1;
                    if redirects > MAX_REDIRECTS {
                        return Err(HttpError::TooManyRedirects);
                    }
                    self.redirect(head)?;
                    // A digest is bound to the path: the next server, or the same, asks anew.
                    (answered, stale, self.login) = (false, 0, Login::None);
                    client::discard(response.into_body());
                }
                (status, _) => {
                    return Err(HttpError::Status { status, text: client::excerpt(response.into_body()) });
                }
            }
        }
    }

    fn exchange(&mut self) -> Result<Result<Response, ureq::Error>, HttpError> {
        let left = self.settings.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HttpError::SessionTooLong);
        }
        let login = self.authorization()?;
        let mut request = http::Request::builder().method(self.method()).uri(self.target.to_string());
        if let Some(login) = login {
            request = request.header(header::AUTHORIZATION, login);
        }
        let idle = Some(self.settings.idle);
        let bad = |error: http::Error| HttpError::BadRequest(error.to_string());
        self.shared.received.store(0, Ordering::Relaxed);
        Ok(match &mut self.source {
            None => self.agent.run(timed(&self.agent, idle, request.body(()).map_err(bad)?, left)),
            Some(Source { kind, headers, body, length, .. }) => {
                body.rewind().map_err(|error| HttpError::BadRequest(error.to_string()))?;
                let mut whole = Whole { body: *body, left: *length };
                let mut request =
                    request.header(header::CONTENT_LENGTH, *length).header(header::CONTENT_TYPE, *kind);
                for (name, value) in *headers {
                    request = request.header(*name, value);
                }
                // Without it a server that wants a password first would have to swallow the file.
                let request = match self.settings.expect && *length > 0 {
                    true => request.header(header::EXPECT, "100-continue"),
                    false => request,
                };
                let request = request.body(SendBody::from_reader(&mut whole)).map_err(bad)?;
                self.agent.run(timed(&self.agent, idle, request, left))
            }
        })
    }

    fn method(&self) -> &'static str {
        match &self.source {
            None => "GET",
            Some(source) if source.put => "PUT",
            Some(_) => "POST",
        }
    }

    fn authorization(&mut self) -> Result<Option<String>, HttpError> {
        let (who, method) = (&self.settings.credentials, self.method());
        let text = match &mut self.login {
            Login::None => return Ok(None),
            Login::Basic => auth::basic(who),
            Login::Digest(digest) => {
                let mut random = [0; 16];
                getrandom::fill(&mut random).map_err(|error| HttpError::NoRandom(error.to_string()))?;
                let body = match &mut self.source {
                    Some(source) if digest.challenge().qop == Some(Qop::AuthInt) => hashed(source)?,
                    _ => Vec::new(),
                };
                digest.answer(who, method, &self.target.target, &body, &auth_text::hex(&random))
            }
        };
        text.map(Some).map_err(HttpError::Unauthorized)
    }

    fn challenge(&self, head: &http::HeaderMap) -> Result<Challenge, HttpError> {
        if self.settings.credentials.username.is_empty() || !self.is_home() {
            return Err(HttpError::NoCredentials);
        }
        let lines: Vec<_> = head
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        auth::best_challenge(lines.iter().map(AsRef::as_ref)).map_err(HttpError::Unauthorized)
    }

    // Whether the credentials are meant for the server we talk to now.
    fn is_home(&self) -> bool {
        let (start, target) = (&self.start, &self.target);
        let is_raised = !start.tls && target.tls && (start.port, target.port) == (80, 443);
        target.is_same_server(start) || (is_raised && target.host == start.host)
    }

    fn redirect(&mut self, head: &http::HeaderMap) -> Result<(), HttpError> {
        let location = head.get(header::LOCATION).ok_or(HttpError::NoLocation)?;
        let location = String::from_utf8_lossy(location.as_bytes());
        let target = self.target.join(location.trim()).map_err(HttpError::BadRedirect)?;
        if target.tls && self.settings.tls.is_none() {
            return Err(HttpError::NoTls);
        }
        if self.target.tls && !target.tls {
            return Err(HttpError::LeavesTls);
        }
        self.target = target;
        Ok(())
    }
}

fn timed<S: AsSendBody>(
    agent: &ureq::Agent,
    idle: Option<Duration>,
    request: http::Request<S>,
    left: Duration,
) -> http::Request<S> {
    agent
        .configure_request(request)
        .timeout_global(Some(left))
        .timeout_resolve(idle)
        .timeout_connect(idle)
        .timeout_send_request(idle)
        .timeout_await_100(idle.map(|idle| AWAIT_100.min(idle / 2)))
        .timeout_recv_response(idle)
        .timeout_per_read(idle)
        .timeout_per_write(idle)
        .build()
}

fn hashed(source: &mut Source<'_>) -> Result<Vec<u8>, HttpError> {
    let failed = |why: String| HttpError::BadRequest(why);
    if source.length > MAX_HASHED {
        return Err(failed("the server wants auth-int, and the file is too large for it".to_owned()));
    }
    let mut body = Vec::new();
    let from = &mut source.body;
    from.rewind()
        .and_then(|()| from.take(source.length).read_to_end(&mut body))
        .map_err(|error| failed(error.to_string()))?;
    Ok(body)
}

/// Exactly as much of a file as was announced: one that shrinks is an error, one that grows is cut.
struct Whole<'a> {
    body: &'a mut dyn Body,
    left: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let amount = self.body.read(&mut buf[..most])?;
        if amount == 0 && most > 0 {
            return Err(io::Error::other("the file became shorter while it was sent"));
        }
        self.left -= u64::try_from(amount).unwrap_or(self.left);
        Ok(amount)
    }
}

/// Looks hosts up, and sees to it that a public server does not send us to our own services.
#[derive(Debug)]
struct Names {
    shared: Arc<Shared>,
    force_ipv4: bool,
    // Whether the first host was one of our own.
    first: Mutex<Option<bool>>,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &http::Uri,
        _: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let failed = |why: String| client::fault(ConnectFault::Name(why));
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let cancel = self.shared.cancel.clone().unwrap_or_default();
        let found = lookup(host, port, self.force_ipv4, client::moment(&timeout), &cancel)
            .map_err(|error| failed(error.to_string()))?;
        let is_own = found.iter().any(|found| is_own(found.ip()));
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let began_here = *first.get_or_insert(is_own);
        if is_own && !began_here {
            return Err(failed("a file server may not send us to this device itself".to_owned()));
        }
        let mut addresses = self.empty();
        for address in found {
            addresses.push(address);
        }
        Ok(addresses)
    }
}

/// Whether an address is this device or its link: loopback, unspecified, link-local.
fn is_own(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_unspecified() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_credentials_belong() {
        let settings = Settings {
            credentials: Credentials::new("u", "p"),
            tls: None,
            idle: Duration::from_secs(1),
            deadline: Instant::now(),
            cancel: Cancel::default(),
            user_agent: String::new(),
            interface: None,
            force_ipv4: false,
            expect: true,
        };
        let check = |start: &str, target: &str, expected: bool| {
            let mut transfer = Transfer::new(&Url::parse(start).unwrap(), &settings, None).unwrap();
            transfer.target = Url::parse(target).unwrap();
            assert_eq!(transfer.is_home(), expected, "{start} {target}");
        };
        check("http://a/x", "http://a/y", true);
        check("http://a/x", "http://a:8080/y", false);
        check("http://a/x", "http://b/x", false);
        check("http://a/x", "http://a.b/x", false);
        check("http://a/x", "https://a/x", true);
        check("http://a:8080/x", "https://a/x", false);
        check("http://a/x", "https://a:8443/x", false);
        check("http://a/x", "https://b/x", false);
    }

    #[test]
    fn nobody_sends_us_to_ourselves() {
        let check = |hosts: &[&str], expected: bool| {
            let settings = client::Settings::new("http://a/");
            let shared = Arc::new(Shared::new(&settings));
            let names = Names { shared, force_ipv4: false, first: Mutex::new(None) };
            let timeout = NextTimeout {
                after: ureq::unversioned::transport::time::Duration::NotHappening,
                reason: ureq::Timeout::Resolve,
                per_read: None,
                per_write: None,
            };
            let find = |host: &&str| {
                let uri = format!("http://{host}/x").parse().unwrap();
                names.resolve(&uri, &ureq::config::Config::default(), timeout).is_ok()
            };
            assert_eq!(hosts.iter().all(find), expected, "{hosts:?}");
        };
        check(&["192.0.2.1", "192.0.2.2"], true);
        check(&["192.0.2.1", "192.0.2.2", "127.0.0.1"], false);
        check(&["192.0.2.1", "[::ffff:169.254.169.254]"], false);
        check(&["127.0.0.1", "[::1]", "192.0.2.1", "127.0.0.1"], true);
    }

    #[test]
    fn our_own_addresses() {
        let check = |address: &str, expected| assert_eq!(is_own(address.parse().unwrap()), expected);
        for own in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "::1",
            "::",
            "fe80::1",
            "::ffff:127.0.0.1",
        ] {
            check(own, true);
        }
        for other in ["192.168.1.1", "10.0.0.1", "1.1.1.1", "2001:db8::1", "fd00::1", "::ffff:1.1.1.1"] {
            check(other, false);
        }
    }
}
