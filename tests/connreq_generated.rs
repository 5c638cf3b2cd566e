//! Ten thousand hostile requests and as many datagrams from a generator written for this: nothing falls, hangs or
//! grows, and after each the next honest request is accepted.
//!
//! ```text
//! in_process    requests over sockets to the port's own listener and rule: after EACH hostile one an honest one is
//!               accepted, some hostile ones being still connected; datagrams likewise, to the check
//! ten_thousand  the same to the daemon as a program: after each four hundred an honest request opens a session that
//!               goes well. Not after each: the port takes thirty requests a minute, and ten thousand would last hours
//! ```
//! Valid messages are mutated: octets flipped, cut, doubled, moved and put in, some of them words that mean
//! something. Whatever comes out is unsigned, so none may be accepted.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;
#[path = "support/stun.rs"]
mod stun;

use std::collections::VecDeque;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use agent::Agent;
use nix::poll::{PollFd, PollTimeout, poll};
use play::{Knock, end, inform_with, knock, methods, request_url, router};
use rcwmp::connreq::listener::{Event, Listener};
use rcwmp::connreq::rule::{Rule, Settings};
use rcwmp::connreq::udp;
use rcwmp::http::auth::Credentials;
use rcwmp::lab::router::{CONNECTION_REQUEST_USER, PASSWORD};
use scripted::Scripted;
use stun::{epoch, request_by, set_stun};

const ROUNDS: usize = 25;
const EACH: usize = 400;
/// Rounds after which the agent is what it stays.
const WARM: usize = 5;
/// KiB that it may have more in the end.
const GROWTH: u64 = 512;
/// Of the listener without a daemon.
const PATH: &str = "/0123456789abcdef";

/// Numbers that look random and are the same each time (Marsaglia's xorshift).
struct Dice(u32);

impl Dice {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).unwrap() % end.max(1)
    }

    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    /// A message with some changes.
    fn spoil(&mut self, message: &[u8], words: &[&[u8]]) -> Vec<u8> {
        let mut out = message.to_vec();
        for _ in 0..=self.below(4) {
            let (at, length) = (self.below(out.len() + 1), self.below(40));
            let to = (at + length).min(out.len());
            match self.below(6) {
                0 if at < out.len() => out[at] ^= 1 << self.below(8),
                1 => out.truncate(at),
                2 => drop(out.drain(at..to)),
                3 => {
                    let part = out[at..to].to_vec();
                    let place = self.below(out.len() + 1);
                    out.splice(place..place, part.repeat(1 + self.below(9)));
                }
                4 => {
                    let word = self.pick(words);
                    out.splice(at..at, word.iter().copied());
                }
                _ => {
                    let octets: Vec<u8> = (0..length).map(|_| self.next().to_be_bytes()[3]).collect();
                    out.splice(at..to, octets);
                }
            }
        }
        out
    }
}

fn resident(agent: &Agent) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", agent.child.id())).unwrap();
    // Pages of the program come when they are first needed, and are no growth.
    let line = text.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A first session, and one for the honest request of each round and one before.
fn sessions() -> Vec<scripted::Step> {
    let mut steps = vec![inform_with(&["0 BOOTSTRAP"]), methods(), end()];
    steps.extend((0..=ROUNDS).flat_map(|_| [inform_with(&["6 CONNECTION REQUEST"]), end()]));
    steps
}

fn host(acs: &Scripted) -> (String, String) {
    let url = request_url(&acs.seen()[0].text());
    let host = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    (url, host)
}

/// A request that is right but for its digest.
fn guess_of(path: &str, host: &str) -> String {
    let digest = format!(
        "Digest username=\"connection-request\", realm=\"authenticate@cwmp\", nonce=\"00\", uri=\"{path}\", \
         qop=auth, nc=00000001, cnonce=\"0a\", response=\"00000000000000000000000000000000\""
    );
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {digest}\r\n\r\n")
}

/// What hurts in a request.
const WORDS: [&[u8]; 14] = [
    b"\r\n",
    b"\0",
    b"\xff\xfe",
    b"Content-Length: 18446744073709551616\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Authorization: Digest ,,=\"\\\r\n",
    b" HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n",
    b"Cookie: C107351277=BBBB\r\n",
    b"nc=ffffffff,",
    b"qop=auth-int,",
    b"username*=UTF-8''%00,",
    b"%n%s%x",
];

/// The port without a daemon: served by this thread, by a clock of its own.
struct Door {
    listener: Listener,
    rule: Rule,
    now: Duration,
}

impl Door {
    /// Serves what comes within so many milliseconds of silence; gives whether a request was accepted.
    fn serve(&mut self, silence: u8) -> bool {
        let mut accepted = false;
        loop {
            let fds: Vec<(BorrowedFd, _)> = self.listener.fds().collect();
            let mut polled: Vec<_> = fds.iter().map(|(fd, flags)| PollFd::new(*fd, *flags)).collect();
            if poll(&mut polled, PollTimeout::from(silence)).unwrap() == 0 {
                return accepted;
            }
            let is_ready = |(polled, _): &(&PollFd, _)| polled.any().unwrap();
            let ready: Vec<_> =
                polled.iter().zip(&fds).filter(is_ready).map(|(_, (fd, _))| fd.as_raw_fd()).collect();
            for fd in ready {
                let mut random = |octets: &mut [u8]| getrandom::fill(octets).unwrap();
                let events = self.listener.on_ready(fd, self.now, &mut self.rule, &mut random);
                accepted |= events.iter().any(|event| matches!(event, Event::Accepted { .. }));
                assert!(self.listener.connections() <= 8);
            }
        }
    }

    /// Sends a request and serves until it is answered: the status, and the head.
    fn ask(&mut self, stream: &mut TcpStream, request: &str) -> (bool, String) {
        stream.write_all(request.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let (mut head, mut block, mut accepted) = (Vec::new(), [0; 512], false);
        let end = Instant::now() + Duration::from_secs(20);
        while !head.ends_with(b"\r\n\r\n") {
            accepted |= self.serve(0);
            match stream.read(&mut block) {
                Ok(length) => {
                    assert!(length > 0, "closed after {}", String::from_utf8_lossy(&head));
                    head.extend_from_slice(&block[..length]);
                }
                Err(_) => assert!(Instant::now() < end, "no answer"),
            }
        }
        (accepted, String::from_utf8(head).unwrap())
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.listener.addresses()[0]).unwrap()
    }

    /// An honest request by another's client; it must be accepted.
    fn honest(&mut self) {
        let mut stream = self.connect();
        let get = |login: &str| format!("GET {PATH} HTTP/1.1\r\nHost: cpe\r\n{login}\r\n");
        let (_, head) = self.ask(&mut stream, &get(""));
        let line = head.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: "));
        let mut prompt = digest_auth::parse(line.unwrap_or_else(|| panic!("{head}"))).unwrap();
        let context = digest_auth::AuthContext::new(CONNECTION_REQUEST_USER, PASSWORD, PATH);
        let login = format!("Authorization: {}\r\n", prompt.respond(&context).unwrap());
        let (accepted, head) = self.ask(&mut stream, &get(&login));
        assert!(accepted && head.starts_with("HTTP/1.1 200 "), "{head}");
    }
}

/// And in a datagram.
const DATAGRAM_WORDS: [&[u8]; 10] = [
    b"&ts=99999999999999999999",
    b"&ts=",
    b"%00",
    b"http://",
    b"\r\n\r\n",
    &[0, 1, 0, 8],
    &[0, 8, 0, 20],
    &[0xC0, 1, 0xff, 0xff],
    &[0xff; 64],
    &[0; 64],
];

#[test]
fn in_process_after_each_of_ten_thousand_requests() {
    let listener = Listener::bind(&["127.0.0.1:0".parse().unwrap()], None).unwrap();
    let settings = Settings::new(PATH, Credentials::new(CONNECTION_REQUEST_USER, PASSWORD));
    let mut door = Door { listener, rule: Rule::new(settings, [7; 32]), now: Duration::from_secs(1000) };
    door.honest();
    let good = guess_of(PATH, "cpe");
    let mut dice = Dice(0x6C07_8965);
    let (mut held, mut answered) = (VecDeque::new(), 0_usize);
    for at in 0..10_000 {
        // No faster than thirty requests a minute.
        door.now += Duration::from_secs(2);
        let request = dice.spoil(good.as_bytes(), &WORDS);
        let mut stream = door.connect();
        stream.write_all(&request).unwrap();
        let is_held = dice.below(2) == 0;
        if !is_held {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        let shown = || format!("request {at}: {}", String::from_utf8_lossy(&request));
        assert!(!door.serve(0), "accepted: {}", shown());
        stream.set_nonblocking(true).unwrap();
        let mut answer = [0; 12];
        if stream.read(&mut answer).is_ok_and(|length| length == 12) {
            assert_ne!(&answer, b"HTTP/1.1 200", "{}", shown());
            answered += 1;
        }
        if is_held {
            held.push_back(stream);
            if held.len() > 12 {
                held.pop_front();
            }
        }
        door.honest();
    }
    assert!((2_000..10_000).contains(&answered), "{answered} were answered");
}

#[test]
fn in_process_after_each_of_ten_thousand_datagrams() {
    let host = "192.0.2.1:7547";
    let credentials = Credentials::new(CONNECTION_REQUEST_USER, PASSWORD);
    let good = request_by("guess", host, epoch() + 100_000, 4_000_000);
    let mut dice = Dice(0x1234_5677);
    let mut last = None;
    for at in 0..10_000_u32 {
        let datagram = dice.spoil(good.as_bytes(), &DATAGRAM_WORDS);
        assert!(udp::check(&datagram, &credentials, last.as_ref()).is_err(), "{datagram:?}");
        let honest = stun::request(host, epoch() + u64::from(at), at + 1);
        match udp::check(honest.as_bytes(), &credentials, last.as_ref()) {
            Ok(next) => last = Some(next),
            Err(why) => panic!("after {datagram:?}: {why}"),
        }
        assert!(udp::check(honest.as_bytes(), &credentials, last.as_ref()).is_err(), "once only");
    }
}

#[test]
fn ten_thousand_requests() {
    let acs = Scripted::start(sessions());
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let (url, host) = host(&acs);
    assert_eq!(knock(&url, Knock::default()), 200);
    agent.wait_for("End session", 2);
    let mut before = 0;
    let good = guess_of("/", &host);
    let mut dice = Dice(0x2545_F491);
    for round in 0..ROUNDS {
        // The allocator has what the longest of them needs.
        if round == WARM {
            before = resident(&agent);
        }
        for _ in 0..EACH {
            let request = dice.spoil(good.as_bytes(), &WORDS);
            // One in a flood may be thrown out before it has said anything.
            let Ok(mut stream) = TcpStream::connect(&host) else { continue };
            let _ = stream.write_all(&request);
            let _ = stream.shutdown(Shutdown::Write);
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut answer = [0; 12];
            if stream.read(&mut answer).is_ok_and(|length| length == 12) {
                assert_ne!(&answer, b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&request));
            }
        }
        assert_eq!(knock(&url, Knock::default()), 200);
        agent.wait_for("End session", 3 + round);
    }
    let grown = resident(&agent).saturating_sub(before);
    assert!(grown < GROWTH, "{grown} KiB more");
    acs.finish();
}

#[test]
fn ten_thousand_datagrams() {
    let acs = Scripted::start(sessions());
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let router = router(&acs.url());
    set_stun(&router, "127.0.0.1", server.local_addr().unwrap().port(), 1, 1);
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let (_, host) = host(&acs);
    let honest = |n: usize| {
        let n = u32::try_from(n).unwrap();
        let text = stun::request(&host, epoch() + u64::from(n), n + 1);
        let door = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sessions = 2 + usize::try_from(n).unwrap();
        // Said again while it may have been lost in the flood; it counts once, however often it comes.
        for _ in 0..20 {
            door.send_to(text.as_bytes(), &host).unwrap();
            let soon = Instant::now() + Duration::from_secs(1);
            while agent.log().matches("End session").count() < sessions && Instant::now() < soon {
                std::thread::sleep(Duration::from_millis(10));
            }
            if agent.log().matches("End session").count() >= sessions {
                return;
            }
        }
        agent.wait_for("End session", sessions);
    };
    honest(0);
    let mut before = 0;
    let guess = request_by("guess", &host, epoch() + 100_000, 4_000_000);
    let answer = [&[1, 1, 0, 12][..], &[7; 16], &[0, 1, 0, 8, 0, 1, 0x30, 0x39, 203, 0, 113, 6]].concat();
    let refusal = [&[1, 0x11, 0, 8][..], &[7; 16], &[0, 9, 0, 4, 0, 0, 4, 1]].concat();
    let mut dice = Dice(0x9E37_79B9);
    let (mut block, mut asked) = ([0; 1500], 0);
    for round in 1..=ROUNDS {
        if round == 1 + WARM {
            before = resident(&agent);
        }
        for n in 0..EACH {
            let good: &[u8] = dice.pick(&[guess.as_bytes(), &answer, &refusal]);
            let mut datagram = dice.spoil(good, &DATAGRAM_WORDS);
            // Some as if from the server, and some with the transaction that it has just been told.
            if n % 8 == 0
                && let Ok((length, from)) = {
                    server.set_nonblocking(true).unwrap();
                    server.recv_from(&mut block)
                }
            {
                asked += 1;
                if datagram.len() >= 20 && length >= 20 {
                    datagram[4..20].copy_from_slice(&block[4..20]);
                }
                server.send_to(&datagram, from).unwrap();
            } else {
                server.send_to(&datagram, &host).unwrap();
            }
            if n % 64 == 0 {
                // Not faster than it can be read: what the kernel drops is no test.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        honest(round);
    }
    assert!(asked > 0, "the STUN client has asked on");
    assert_eq!(agent.log().matches("by UDP accepted").count(), ROUNDS + 1, "the honest ones");
    let grown = resident(&agent).saturating_sub(before);
    assert!(grown < GROWTH, "{grown} KiB more");
    acs.finish();
}
