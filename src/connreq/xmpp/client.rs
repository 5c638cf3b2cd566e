//! The client of an XMPP server: it logs in on a worker's thread, and then serves the loop.
//!
//! ```text
//!  header ─► features ─► starttls ─► TLS ─► header ─► features ─► SASL ─► header ─► features ─► bind ─► Online
//!                └──────── TLS is not wanted ───────────────────┘
//! ```

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::sys::socket::{SockaddrStorage, getsockname, setsockopt, sockopt};
use zeroize::Zeroizing;

use super::request::{Answer, REQUEST, Rule};
use super::sasl::{self, Mechanism, SaslError};
use super::stream::{CLIENT, Element, Item, STREAMS, Stream, StreamError, escape};
use crate::http::wire::{Link, Secure, Wire};
use crate::secret::Secret;

const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";

/// What is read at a time.
const BLOCK: usize = 4096;
/// How many of those in one turn of the loop.
const BLOCKS: usize = 16;
/// How many stanzas: one may be of four octets, and each is read behind the server's whole header.
const STANZAS: usize = 64;
/// The longest address of an account (RFC 7622 3.1).
const MAX_JID: usize = 3071;
/// What is repeated of a server's word for something.
const MAX_WORD: usize = 64;
/// A peer that has not confirmed what we sent for so long is gone: milliseconds.
const GONE: u32 = 60_000;
/// After so long a silence the system asks whether the peer is there: seconds.
const IDLE: u32 = 120;

/// Who we are.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// `Username`: the local part of our address, and the name of the login.
    pub username: String,
    /// `Password`.
    pub password: Secret,
    /// `Domain`, which the certificate of the server must be for.
    pub domain: String,
    /// `Resource`; empty lets the server choose.
    pub resource: String,
    /// `UseTLS`: TLS is asked for even if the server does not require it, and there is no login without.
    pub use_tls: bool,
}

/// Why there is no connection, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No server was found, or none answers: why.
    NotPresent(String),
    /// The server does not take our name and password: its word for it.
    NotAuthorized(String),
    /// TLS was not possible: why.
    Tls(String),
    /// The server offers nothing that would do: what is missing.
    Lacking(&'static str),
    /// What it sends is no stream.
    Stream(StreamError),
    /// It ended the stream, or refused something: its word for it.
    Ended(String),
    /// The connection broke: why.
    Broken(String),
}

impl Fault {
    /// The value of `Status` (TR-181).
    pub fn status(&self) -> &'static str {
        match self {
            Fault::NotPresent(_) => "ServerNotPresent",
            Fault::NotAuthorized(_) => "Error_AuthenticationFailure",
            _ => "Error",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NotPresent(why) => write!(f, "no XMPP server answers: {why}"),
            Fault::NotAuthorized(why) => write!(f, "the XMPP server refuses the login: {why}"),
            Fault::Tls(why) => write!(f, "no TLS with the XMPP server: {why}"),
            Fault::Lacking(what) => write!(f, "the XMPP server has no {what}"),
            Fault::Stream(why) => why.fmt(f),
            Fault::Ended(why) => write!(f, "the XMPP server ended the stream: {why}"),
            Fault::Broken(why) => write!(f, "the connection to the XMPP server broke: {why}"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<StreamError> for Fault {
    fn from(error: StreamError) -> Fault {
        Fault::Stream(error)
    }
}

impl From<SaslError> for Fault {
    fn from(error: SaslError) -> Fault {
        Fault::NotAuthorized(error.to_string())
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Broken(error.to_string())
    }
}

/// `Stats` of a connection (TR-181).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// `ReceivedMessages`.
    pub received: u32,
    /// `TransmittedMessages`.
    pub transmitted: u32,
    /// `ReceivedErrorMessages`.
    pub received_errors: u32,
    /// `TransmittedErrorMessages`.
    pub transmitted_errors: u32,
}

/// A connection that is logged in. Dropping it closes it.
#[derive(Debug)]
pub struct Online {
    talk: Talk,
    jid: String,
    keep_alive: Option<Duration>,
    /// When a blank is due.
    beat: Option<Duration>,
    /// There may be more to read without a sign from the socket.
    has_more: bool,
}

/// Logs in over a connection by its deadline. `nonce` is random, of printable ASCII without commas.
///
/// # Errors
/// [`Fault`], after which the connection is closed.
pub fn login(
    wire: Wire,
    account: &Account,
    tls: Option<&dyn Secure>,
    nonce: &str,
    stats: Stats,
) -> Result<Online, Fault> {
    let (mut talk, jid) = enter(wire, account, tls, nonce, stats)?;
    // Presence makes the connection one that can be seen; messages to the bare address are for others.
    talk.send("<presence><priority>-1</priority></presence>")?;
    talk.link.never_wait()?;
    Ok(Online { talk, jid, keep_alive: None, beat: None, has_more: true })
}

/// Asks a device for a session (TR-069 K.2.3), over a connection of its own that has a deadline: `to` is its full address,
/// and the name and password that it expects. `nonce` as for [`login`].
///
/// # Errors
/// [`Fault`]; [`Fault::Ended`] with the device's word, if it refuses.
pub fn request(
    wire: Wire,
    account: &Account,
    tls: Option<&dyn Secure>,
    nonce: &str,
    to: (&str, &str, &str),
) -> Result<(), Fault> {
    let (mut talk, _) = enter(wire, account, tls, nonce, Stats::default())?;
    let (jid, username, password) = (escape(to.0), escape(to.1), Zeroizing::new(escape(to.2)));
    // Nobody else knows the nonce: nobody else can answer.
    let id = format!("cr-{nonce}");
    let head = format!(
        "<iq type=\"get\" id=\"{}\" to=\"{jid}\"><connectionRequest xmlns=\"{REQUEST}\"><username>{username}</username>\
         <password>",
        escape(&id)
    );
    talk.send(&between(&head, &password, "</password></connectionRequest></iq>"))?;
    talk.answer(&id, "connection request").map(drop)?;
    // What was wanted is done.
    let _ = talk.write("</stream:stream>");
    Ok(())
}

/// Logs in and binds a resource; gives our address too.
fn enter(
    wire: Wire,
    account: &Account,
    tls: Option<&dyn Secure>,
    nonce: &str,
    stats: Stats,
) -> Result<(Talk, String), Fault> {
    // Without it a keep-alive into nowhere would be noticed after a quarter of an hour.
    let _ = setsockopt(&wire.fd(), sockopt::TcpUserTimeout, &GONE);
    // Nor would it be that a peer is gone while nothing is sent.
    let _ = setsockopt(&wire.fd(), sockopt::KeepAlive, &true);
    let _ = setsockopt(&wire.fd(), sockopt::TcpKeepIdle, &IDLE);
    let mut talk = Talk { link: Link::Plain(wire), stream: Stream::default(), stats };
    let mut features = talk.open(&account.domain)?;
    let starttls = features.child(TLS, "starttls");
    if account.use_tls || starttls.is_some_and(|offer| offer.child(TLS, "required").is_some()) {
        if starttls.is_none() {
            return Err(Fault::Lacking("TLS"));
        }
        talk = talk.secured(&account.domain, tls)?;
        features = talk.open(&account.domain)?;
    }
    talk.prove(account, &features, nonce)?;
    talk.stream = Stream::default();
    features = talk.open(&account.domain)?;
    let jid = talk.bind(account, &features)?;
    Ok((talk, jid))
}

impl Online {
    /// Our full address, as the server says it.
    pub fn jid(&self) -> &str {
        &self.jid
    }

    /// Whether TLS secures it.
    pub fn is_tls(&self) -> bool {
        self.talk.link.is_tls()
    }

    /// What has gone over it and the ones before.
    pub fn stats(&self) -> Stats {
        self.talk.stats
    }

    /// What to poll for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.talk.link.fd()
    }

    /// Whether the address where the connection begins is still one of this system.
    pub fn is_at_home(&self) -> bool {
        let Ok(local) = getsockname::<SockaddrStorage>(self.fd().as_raw_fd()) else { return false };
        let local = match (local.as_sockaddr_in(), local.as_sockaddr_in6()) {
            (Some(local), _) => SocketAddr::from((local.ip(), 0)),
            (_, Some(local)) => SocketAddrV6::new(local.ip(), 0, 0, local.scope_id()).into(),
            _ => return false,
        };
        // The system says so itself: an address that is not its own cannot be taken.
        !UdpSocket::bind(local).is_err_and(|why| why.kind() == io::ErrorKind::AddrNotAvailable)
    }

    /// Sends a blank whenever nothing else was sent for so long; `None` for never (RFC 6120 4.6.1).
    pub fn keep_alive(&mut self, interval: Option<Duration>, now: Duration) {
        self.keep_alive = interval;
        self.beat = interval.map(|interval| now + interval);
    }

    /// When [`Online::serve`] must be called at the latest.
    pub fn deadline(&self, now: Duration) -> Option<Duration> {
        if self.has_more { Some(now) } else { self.beat }
    }

    /// Reads what has come and answers it, without waiting; gives the answers that were sent.
    ///
    /// # Errors
    /// [`Fault`], when the connection is at its end.
    pub fn serve(&mut self, now: Duration, rule: &mut Rule) -> Result<Vec<Answer>, Fault> {
        let mut answers = Vec::new();
        self.has_more = true;
        let mut block = Zeroizing::new([0_u8; BLOCK]);
        let mut stanzas = 0;
        'turn: for _ in 0..BLOCKS {
            loop {
                if stanzas == STANZAS {
                    break 'turn;
                }
                let stanza = match self.talk.take()? {
                    Taken::Stanza(stanza) => Some(stanza),
                    Taken::Other => None,
                    Taken::Nothing => break,
                };
                stanzas += 1;
                if let Some(answer) = stanza.and_then(|stanza| rule.decide(&stanza, &self.jid, now)) {
                    self.send(&answer.stanza, now)?;
                    if !answer.accepted {
                        count(&mut self.talk.stats.transmitted_errors);
                    }
                    answers.push(answer);
                }
            }
            match self.talk.link.read(block.as_mut_slice()) {
                Ok(0) => return Err(Fault::Broken("it was closed".to_owned())),
                Ok(length) => self.talk.stream.feed(&block[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.has_more = false;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.beat.is_some_and(|beat| beat <= now) {
            self.talk.write(" ")?;
            self.keep_alive(self.keep_alive, now);
        }
        Ok(answers)
    }

    fn send(&mut self, stanza: &str, now: Duration) -> Result<(), Fault> {
        self.talk.send(stanza)?;
        self.keep_alive(self.keep_alive, now);
        Ok(())
    }
}

impl Drop for Online {
    fn drop(&mut self) {
        let _ = self.talk.write("</stream:stream>");
    }
}

/// A link and the stream on it.
#[derive(Debug)]
struct Talk {
    link: Link,
    stream: Stream,
    stats: Stats,
}

/// What was taken of the stream.
enum Taken {
    /// An element, read.
    Stanza(Element),
    /// What is not looked at.
    Other,
    /// More has to come first.
    Nothing,
}

impl Talk {
    /// Opens a stream, and gives the server's features.
    fn open(&mut self, domain: &str) -> Result<Element, Fault> {
        self.write(&format!(
            "<?xml version=\"1.0\"?><stream:stream to=\"{}\" version=\"1.0\" xmlns=\"{CLIENT}\" \
             xmlns:stream=\"{STREAMS}\">",
            escape(domain)
        ))?;
        let features = self.read()?;
        match features.is(STREAMS, "features") {
            true => Ok(features),
            false => Err(Fault::Lacking("features of its stream")),
        }
    }

    /// STARTTLS (RFC 6120 5). What was said before TLS says nothing after it.
    fn secured(mut self, domain: &str, tls: Option<&dyn Secure>) -> Result<Talk, Fault> {
        let tls = tls.ok_or_else(|| Fault::Tls("this build has none".to_owned()))?;
        self.write(&format!("<starttls xmlns=\"{TLS}\"/>"))?;
        if !self.read()?.is(TLS, "proceed") {
            return Err(Fault::Tls("the server does not begin it".to_owned()));
        }
        if !self.stream.is_drained() {
            return Err(Fault::Tls("something was slipped in before it".to_owned()));
        }
        let Link::Plain(wire) = self.link else { return Err(Fault::Lacking("end of offering TLS")) };
        let link = Link::Secured(tls.handshake(domain, wire).map_err(Fault::Tls)?);
        Ok(Talk { link, stream: Stream::default(), stats: self.stats })
    }

    /// SASL (RFC 6120 6).
    fn prove(&mut self, account: &Account, features: &Element, nonce: &str) -> Result<(), Fault> {
        let offered =
            features.child(SASL, "mechanisms").map(|list| list.children.as_slice()).unwrap_or_default();
        let offered = offered.iter().filter(|one| one.is(SASL, "mechanism")).map(|one| one.text.as_str());
        let mechanism =
            Mechanism::best(offered, self.link.is_tls()).ok_or(Fault::Lacking("login that we know"))?;
        let mut login = sasl::Login::new(mechanism, &account.username, &account.password, nonce)?;
        let (name, first) = (mechanism.name(), login.first());
        self.write(&between(&format!("<auth xmlns=\"{SASL}\" mechanism=\"{name}\">"), &first, "</auth>"))?;
        loop {
            let said = self.read()?;
            match said.name.as_str() {
                _ if said.space != SASL => return Err(Fault::Lacking("answer to the login")),
                "challenge" => {
                    // SCRAM's last message may come as a challenge, which is answered with nothing.
                    let answer = match login.finish(&said.text) {
                        Ok(()) if mechanism != Mechanism::Plain => Zeroizing::default(),
                        _ => login.answer(&said.text)?,
                    };
                    self.write(&between(&format!("<response xmlns=\"{SASL}\">"), &answer, "</response>"))?;
                }
                "success" => return Ok(login.finish(&said.text)?),
                "failure" => {
                    return Err(Fault::NotAuthorized(condition(Some(&said))));
                }
                _ => return Err(Fault::Lacking("answer to the login")),
            }
        }
    }

    /// Binds the resource (RFC 6120 7), and gives our address.
    fn bind(&mut self, account: &Account, features: &Element) -> Result<String, Fault> {
        if features.child(BIND, "bind").is_none() {
            return Err(Fault::Lacking("resource to bind"));
        }
        let wanted = match account.resource.as_str() {
            "" => String::new(),
            name => format!("<resource>{}</resource>", escape(name)),
        };
        let bound = self.ask("bind", &format!("<bind xmlns=\"{BIND}\">{wanted}</bind>"))?;
        let jid = bound.child(BIND, "bind").and_then(|bind| bind.child(BIND, "jid"));
        let jid = jid.map(|jid| jid.text.trim()).filter(|jid| (1..=MAX_JID).contains(&jid.len()));
        let jid = jid.filter(|jid| !jid.contains(char::is_control));
        let jid = jid.ok_or(Fault::Lacking("address for us"))?.to_owned();
        // RFC 3921 wanted a session too, and servers that do not know better say so.
        if features.child(SESSION, "session").is_some_and(|offer| offer.child(SESSION, "optional").is_none())
        {
            self.ask("session", &format!("<session xmlns=\"{SESSION}\"/>"))?;
        }
        Ok(jid)
    }

    /// Asks the server for something, and gives its answer.
    fn ask(&mut self, id: &str, what: &str) -> Result<Element, Fault> {
        self.send(&format!("<iq type=\"set\" id=\"{id}\">{what}</iq>"))?;
        self.answer(id, id)
    }

    /// The answer with this id; `what` is it for people.
    fn answer(&mut self, id: &str, what: &str) -> Result<Element, Fault> {
        loop {
            let said = self.read()?;
            if !said.is(CLIENT, "iq") || said.attribute("id") != Some(id) {
                continue;
            }
            return match said.attribute("type") {
                Some("result") => Ok(said),
                _ => Err(Fault::Ended(format!("no {what}: {}", condition(said.child(CLIENT, "error"))))),
            };
        }
    }

    /// The next element; waits for it.
    fn read(&mut self) -> Result<Element, Fault> {
        let mut block = Zeroizing::new([0_u8; BLOCK]);
        loop {
            match self.take()? {
                Taken::Stanza(element) => return Ok(element),
                Taken::Other => continue,
                Taken::Nothing => {}
            }
            match self.link.read(block.as_mut_slice())? {
                0 => return Err(Fault::Broken("it was closed".to_owned())),
                length => self.stream.feed(&block[..length]),
            }
        }
    }

    /// The next of what has come.
    fn take(&mut self) -> Result<Taken, Fault> {
        match self.stream.next()? {
            None => Ok(Taken::Nothing),
            Some(Item::Header(_)) => Ok(Taken::Other),
            Some(Item::Passed) => {
                count(&mut self.stats.received);
                Ok(Taken::Other)
            }
            Some(Item::End) => Err(Fault::Ended("it says no more".to_owned())),
            Some(Item::Stanza(element)) if element.is(STREAMS, "error") => {
                Err(Fault::Ended(condition(Some(&element))))
            }
            Some(Item::Stanza(element)) => {
                if element.space == CLIENT {
                    count(&mut self.stats.received);
                }
                if element.attribute("type") == Some("error") {
                    count(&mut self.stats.received_errors);
                }
                Ok(Taken::Stanza(element))
            }
        }
    }

    fn send(&mut self, stanza: &str) -> Result<(), Fault> {
        count(&mut self.stats.transmitted);
        self.write(stanza)
    }

    fn write(&mut self, text: &str) -> Result<(), Fault> {
        self.link.write_all(text.as_bytes())?;
        Ok(self.link.flush()?)
    }
}

/// A text with a secret in it, in one piece that is overwritten when it goes.
fn between(head: &str, secret: &str, tail: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(head.len() + secret.len() + tail.len()));
    [head, secret, tail].iter().for_each(|part| text.push_str(part));
    text
}

fn count(counter: &mut u32) {
    *counter = counter.wrapping_add(1);
}

/// The server's word for what went wrong.
fn condition(error: Option<&Element>) -> String {
    let children = error.map(|error| error.children.as_slice()).unwrap_or_default();
    let word = children.iter().map(|child| child.name.as_str()).find(|name| *name != "text");
    word.unwrap_or("without a word").chars().take(MAX_WORD).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use super::*;
    use crate::connreq::xmpp::request::Settings;
    use crate::http::auth::Credentials;

    const HEADER: &str =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

    /// A connection that is logged in, and the server's end of it.
    fn online() -> (Online, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        let (wire, _) = Wire::connect(&[listener.local_addr().unwrap()], None, deadline).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut talk = Talk { link: Link::Plain(wire), stream: Stream::default(), stats: Stats::default() };
        talk.stream.feed(HEADER.as_bytes());
        talk.link.never_wait().unwrap();
        let jid = "cpe@a.b/wan".to_owned();
        (Online { talk, jid, keep_alive: None, beat: None, has_more: true }, server)
    }

    fn rule() -> Rule {
        let mut rule = Rule::default();
        rule.set(Settings { credentials: Credentials::new("u", "p"), allowed: Vec::new() });
        rule
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn heard(server: &mut TcpStream, length: usize) -> String {
        let mut octets = vec![0; length];
        server.read_exact(&mut octets).unwrap();
        String::from_utf8(octets).unwrap()
    }

    /// Serves until something has come of it.
    fn served(online: &mut Online, rule: &mut Rule, now: Duration) -> Result<Vec<Answer>, Fault> {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            match online.serve(now, rule) {
                Ok(answers) if answers.is_empty() && Instant::now() < end => {}
                done => return done,
            }
        }
    }

    #[test]
    fn blanks_when_nothing_else_was_sent() {
        let (mut online, mut server) = online();
        let mut rule = rule();
        assert_eq!(online.deadline(at(0)), Some(at(0)), "what came with the login is looked at");
        assert_eq!(online.serve(at(0), &mut rule), Ok(Vec::new()));
        assert_eq!(online.deadline(at(0)), None);
        online.keep_alive(Some(at(10)), at(0));
        assert_eq!(online.deadline(at(1)), Some(at(10)));
        assert_eq!(online.serve(at(9), &mut rule), Ok(Vec::new()));
        server.write_all(b"<iq type='get' id='1'/>").unwrap();
        assert_eq!(served(&mut online, &mut rule, at(9)).unwrap().len(), 1);
        let answer = heard(&mut server, 7);
        assert_eq!(answer, "<iq typ");
        assert_eq!(online.deadline(at(9)), Some(at(19)), "an answer was sent");
        assert_eq!(online.serve(at(19), &mut rule), Ok(Vec::new()));
        assert_eq!(online.deadline(at(19)), Some(at(29)));
        drop(online);
        let mut rest = String::new();
        server.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("</iq> </stream:stream>"), "{rest}");
    }

    #[test]
    fn requests_are_counted_and_the_end_is_noticed() {
        let (mut online, mut server) = online();
        let mut rule = rule();
        let request = "<iq from='a@b/c' type='get' id='1'><connectionRequest \
             xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'><username>u</username><password>p</password>\
             </connectionRequest></iq>";
        let (first, second) = request.split_at(50);
        server.write_all(first.as_bytes()).unwrap();
        assert_eq!(online.serve(at(0), &mut rule), Ok(Vec::new()));
        server.write_all(second.as_bytes()).unwrap();
        let answers = served(&mut online, &mut rule, at(0)).unwrap();
        assert!(answers[0].accepted && answers[0].from == "a@b/c");
        server.write_all(b"<iq from='x' type='set' id='2'/><iq type='error' id='3'/>").unwrap();
        while online.stats().received < 3 {
            online.serve(at(0), &mut rule).unwrap();
        }
        let expected = Stats { received: 3, transmitted: 2, received_errors: 1, transmitted_errors: 1 };
        assert_eq!(online.stats(), expected);
        server.write_all(b"<stream:error><conflict xmlns='x'/></stream:error>").unwrap();
        assert_eq!(served(&mut online, &mut rule, at(0)), Err(Fault::Ended("conflict".to_owned())));
    }

    #[test]
    fn many_short_stanzas_do_not_hold_up_the_loop() {
        let (mut online, mut server) = online();
        let mut rule = rule();
        assert_eq!(online.serve(at(0), &mut rule), Ok(Vec::new()), "the header");
        server.write_all("<a/>".repeat(1000).as_bytes()).unwrap();
        for turn in 1..=15 {
            assert_eq!(online.serve(at(0), &mut rule), Ok(Vec::new()));
            assert_eq!(online.stats().received, turn * 64);
            assert_eq!(
                online.deadline(at(0)),
                Some(at(0)),
                "there is more, of which the socket knows nothing"
            );
        }
        assert_eq!(online.serve(at(0), &mut rule), Ok(Vec::new()));
        assert_eq!((online.stats().received, online.deadline(at(0))), (1000, None));
    }

    /// Nobody reads our answers: a stranger's questions do not end the connection.
    #[test]
    fn questions_of_a_stranger_do_not_end_the_connection() {
        let (mut online, mut server) = online();
        let mut rule = rule();
        let long = ">".repeat(3000);
        for n in 0..1000 {
            let question = format!("<iq from='eve@evil/{n}' type='get' id='{long}'/>");
            server.write_all(question.as_bytes()).unwrap();
            online.serve(at(0), &mut rule).unwrap_or_else(|why| panic!("{n}: {why}"));
        }
    }

    #[test]
    fn a_flood_does_not_hold_up_the_loop() {
        let (mut online, mut server) = online();
        let (flooded, is_flooded) = std::sync::mpsc::channel();
        let flood = std::thread::spawn(move || {
            server.write_all(&[b' '; BLOCK * (BLOCKS + 1)]).unwrap();
            flooded.send(()).unwrap();
            while server.write_all(&[b' '; 65_536]).is_ok() {}
        });
        is_flooded.recv().unwrap();
        let mut rule = rule();
        assert_eq!(online.serve(at(0), &mut rule), Ok(Vec::new()));
        assert_eq!(online.deadline(at(0)), Some(at(0)), "it came back although there was more");
        for _ in 0..50 {
            assert_eq!(online.serve(at(0), &mut rule), Ok(Vec::new()));
        }
        drop(online);
        flood.join().unwrap();
    }
}
