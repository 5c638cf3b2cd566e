//! Ten thousand hostile stanzas from a generator written for this, to the XMPP client over a socket: no panic, no
//! hang, no growth, and after each the next honest connection request is accepted, over a new connection where the
//! stream was ended.
//!
//! The server is this test: it logs the client in by SCRAM-SHA-1, and then sends what it likes. After the first time
//! by PLAIN under a TLS that is none: thousands of logins with 4096 iterations each would test nothing more.
#![cfg(all(feature = "lab", feature = "xmpp"))]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/growth.rs"]
mod growth;
#[path = "support/xmpp_server.rs"]
mod xmpp_server;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rcwmp::connreq::xmpp::client::{Account, Online, Stats, login};
use rcwmp::connreq::xmpp::request::{Rule, Settings};
use rcwmp::http::auth::Credentials;
use rcwmp::http::wire::{Secure, Secured, Wire};
use rcwmp::lab::soak::dice::Dice;
use xmpp_server::{HEADER, JID, Peer, SECRET};

/// Another seed is another test: `SEED=7 cargo test --test stanzas_generated`.
const SEED: u32 = 20_261_121;
const ROUNDS: usize = 10;
const EACH: usize = 1000;
const SOON: Duration = Duration::from_secs(30);
const NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";

fn seed() -> u32 {
    std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED)
}

/// A TLS that is none.
#[derive(Debug)]
struct NoTls;

#[derive(Debug)]
struct Through(Wire);

impl Secure for NoTls {
    fn handshake(&self, _: &str, wire: Wire) -> Result<Box<dyn Secured>, String> {
        Ok(Box::new(Through(wire)))
    }
}

impl Read for Through {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        self.0.read(block)
    }
}

impl Write for Through {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Secured for Through {
    fn set_deadline(&mut self, deadline: Instant) {
        self.0.set_deadline(deadline);
    }

    fn is_quiet(&mut self) -> bool {
        self.0.is_quiet()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.finish()
    }

    fn never_wait(&mut self) -> io::Result<()> {
        self.0.never_wait()
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }
}

/// A client that is logged in, and its server.
struct Pair {
    online: Online,
    peer: Peer,
}

impl Pair {
    fn connect(listener: &TcpListener, by_scram: bool) -> Pair {
        let port = listener.local_addr().unwrap().port();
        let account = Account {
            username: "cpe".to_owned(),
            password: SECRET.to_owned().into(),
            domain: "sha1.example".to_owned(),
            resource: "wan".to_owned(),
            use_tls: !by_scram,
        };
        let listener = listener.try_clone().unwrap();
        let serve = move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(SOON)).unwrap();
            stream.set_nodelay(true).unwrap();
            let mut peer = Peer(stream);
            peer.log_in(by_scram);
            peer
        };
        // The client is on this thread, whose memory is counted; what a thread is made of is given back by another.
        let server = growth::uncounted(|| thread::spawn(serve));
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (wire, _) = Wire::connect(&[at], None, Instant::now() + SOON).unwrap();
        let online = login(wire, &account, Some(&NoTls), NONCE, Stats::default());
        let online = online.unwrap_or_else(|why| panic!("{why}"));
        Pair { online, peer: growth::uncounted(|| server.join().unwrap()) }
    }

    /// Lets the client read all that was sent; whether an answer accepts, `None` when the stream is over.
    fn serve(&mut self, rule: &mut Rule, now: Duration) -> Option<bool> {
        let mut accepted = false;
        let readable = |online: &Online, wait: u16| {
            let mut fds = [PollFd::new(online.fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::from(wait)).unwrap() > 0
        };
        // On the loopback what was sent is there.
        while readable(&self.online, 0) || self.online.deadline(now).is_some() {
            let answers = self.online.serve(now, rule).ok()?;
            accepted |= answers.iter().any(|answer| answer.accepted);
        }
        Some(accepted)
    }

    /// A right connection request.
    fn ask(&mut self, id: usize) {
        let _ = self.peer.0.write_all(request(id, "user", SECRET).as_bytes());
    }

    /// What the client has answered so far; it must be XML without what was not asked.
    fn answers(&mut self) -> String {
        self.peer.0.set_nonblocking(true).unwrap();
        let mut seen = Vec::new();
        let mut block = [0; 4096];
        while let Ok(count @ 1..) = self.peer.0.read(&mut block) {
            seen.extend_from_slice(&block[..count]);
        }
        self.peer.0.set_nonblocking(false).unwrap();
        String::from_utf8(seen).expect("a client writes UTF-8")
    }
}

fn request(id: usize, user: &str, password: &str) -> String {
    format!(
        "<iq from='acs@acs.example/desk' to='{JID}' id='r{id}' type='get'><connectionRequest \
         xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'><username>{user}</username><password>{password}\
         </password></connectionRequest></iq>"
    )
}

/// A stanza that no server should send, or that a stranger can have any server send.
fn hostile(dice: &mut Dice, id: usize) -> Vec<u8> {
    let good = [
        request(id, "guess", "guess"),
        format!("<message from='x@y/z' to='{JID}'><body>hello &amp; good bye</body></message>"),
        "<presence from='x@y/z' type='subscribe'/>".to_owned(),
        format!("<iq from='x@y/z' to='{JID}' id='i{id}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"),
        format!("<iq from='x@y/z' to='{JID}' id='i{id}' type='set'><query xmlns='jabber:iq:roster'/></iq>"),
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>".to_owned(),
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>".to_owned(),
        "<r xmlns='urn:xmpp:sm:3'/>".to_owned(),
        "</stream:stream>".to_owned(),
    ];
    let deep = 1 << dice.below(12);
    let long = 1 << dice.below(16);
    let pieces = [
        "<!DOCTYPE x [<!ENTITY a 'b'>]>".to_owned(),
        "<!-- -->".to_owned(),
        "<?xml version='1.0'?>".to_owned(),
        "<![CDATA[x]]>".to_owned(),
        "&x;&#0;&#xD800;".to_owned(),
        "\u{0}\u{1}".to_owned(),
        HEADER.to_owned(),
        "<a>".repeat(deep),
        format!("{}{}", "<a>".repeat(deep), "</a>".repeat(deep)),
        format!("<message>{}</message>", "<b/>".repeat(deep)),
        format!("<message a='{}'/>", "x".repeat(long)),
        format!("<message>{}</message>", "x".repeat(long)),
        format!("<iq type='get' id='{}' from='{}'><a/></iq>", "i".repeat(long), "f".repeat(deep)),
        format!(
            "<iq type='get' id='&lt;&quot;&amp;&#10;' from='&gt;&apos;'><a xmlns='{}'/></iq>",
            "n".repeat(long)
        ),
        format!("<message{}/>", " b='c'".repeat(deep)),
        format!("<{}/>", "n".repeat(long)),
        " \n\t".repeat(deep),
        "<iq type='get'><connectionRequest xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'/></iq>"
            .to_owned(),
    ];
    match dice.below(4) {
        0 => dice.pick(&pieces).clone().into_bytes(),
        1 => {
            let mut text = dice.pick(&good).clone();
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let (place, piece) = (*dice.pick(&places), dice.pick(&pieces));
            text.insert_str(place, piece);
            text.into_bytes()
        }
        2 => {
            let text = dice.pick(&good);
            dice.spoil(text.as_bytes())
        }
        _ => dice.pick(&good).clone().into_bytes(),
    }
}

#[test]
fn ten_thousand_stanzas() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut rule = Rule::default();
    rule.set(Settings { credentials: Credentials::new("user", SECRET), allowed: Vec::new() });
    let mut dice = Dice::new(seed());
    let mut pair = Pair::connect(&listener, true);
    let (mut ended, mut kept) = (0_usize, 0_usize);
    // A clock of its own: requests come slowly enough not to be too many.
    let mut now = Duration::from_secs(1000);
    let mut one = |at: usize| {
        let stanza = hostile(&mut dice, at);
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| {
            now += Duration::from_secs(60);
            // Nothing reads while something long is written: in pieces, as the network would bring it.
            let mut open = true;
            for piece in stanza.chunks(8192) {
                open = pair.peer.0.write_all(piece).is_ok() && pair.serve(&mut rule, now).map(drop).is_some();
                if !open {
                    break;
                }
            }
            let told = pair.answers();
            assert!(!told.contains(SECRET) && told.len() < 100_000, "{told}");
            now += Duration::from_secs(60);
            pair.ask(at);
            let accepted = open && pair.serve(&mut rule, now) == Some(true);
            if accepted {
                kept += 1;
                let told = pair.answers();
                assert!(
                    told.contains(&format!("id=\"r{at}\"")) && told.contains("type=\"result\""),
                    "{told}"
                );
                return;
            }
            // An end of the stream, or an element that has not ended: a server closes such a stream.
            ended += 1;
            pair = Pair::connect(&listener, false);
            pair.ask(at);
            assert_eq!(pair.serve(&mut rule, now), Some(true), "the next honest request");
        }));
        let text = String::from_utf8_lossy(&stanza);
        let shown: String = text.chars().take(3000).collect();
        let place = format!("SEED={} stanza {at}:\n{shown}", seed());
        assert!(result.is_ok(), "{place}");
        assert!(start.elapsed() < SOON, "took {:?}: {place}", start.elapsed());
    };
    (0..EACH * 2).for_each(&mut one);
    growth::leaves_nothing(&format!("SEED={}", seed()), 2, || (EACH * 2..ROUNDS * EACH).for_each(&mut one));
    // Both ways were gone often.
    assert!(ended > EACH / 2 && kept > EACH, "{ended} streams ended, {kept} went on");
}
