//! Ten thousand hostile requests and as many datagrams from a generator written for this, against the daemon: it
//! does not fall, hang or grow, and after each thousand the next honest request opens a session.
//!
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

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use agent::Agent;
use play::{Knock, end, inform_with, knock, methods, request_url, router};
use scripted::Scripted;
use stun::{epoch, request_by, set_stun};

const ROUNDS: usize = 10;
const EACH: usize = 1000;

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
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
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

#[test]
fn ten_thousand_requests() {
    let acs = Scripted::start(sessions());
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let (url, host) = host(&acs);
    assert_eq!(knock(&url, Knock::default()), 200);
    agent.wait_for("End session", 2);
    let before = resident(&agent);
    let digest = "Digest username=\"connection-request\", realm=\"authenticate@cwmp\", nonce=\"00\", uri=\"/\", \
                  qop=auth, nc=00000001, cnonce=\"0a\", response=\"00000000000000000000000000000000\"";
    let good = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: {digest}\r\n\r\n");
    let words: [&[u8]; 14] = [
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
    let mut dice = Dice(0x2545_F491);
    for round in 0..ROUNDS {
        for _ in 0..EACH {
            let request = dice.spoil(good.as_bytes(), &words);
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
    assert!(grown < 1024, "{grown} KiB more");
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
    let before = resident(&agent);
    let guess = request_by("guess", &host, epoch() + 100_000, 4_000_000);
    let answer = [&[1, 1, 0, 12][..], &[7; 16], &[0, 1, 0, 8, 0, 1, 0x30, 0x39, 203, 0, 113, 6]].concat();
    let refusal = [&[1, 0x11, 0, 8][..], &[7; 16], &[0, 9, 0, 4, 0, 0, 4, 1]].concat();
    let words: [&[u8]; 10] = [
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
    let mut dice = Dice(0x9E37_79B9);
    let (mut block, mut asked) = ([0; 1500], 0);
    for round in 1..=ROUNDS {
        for n in 0..EACH {
            let good: &[u8] = dice.pick(&[guess.as_bytes(), &answer, &refusal]);
            let mut datagram = dice.spoil(good, &words);
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
    assert!(grown < 1024, "{grown} KiB more");
    acs.finish();
}
