//! Ten thousand hostile envelopes and as many hostile HTTP answers of an ACS, from a generator written for this:
//! no panic, no hang, no growth, and after each the next honest session succeeds.
//!
//! ```text
//! envelopes   every message that the recorded ACSs send, mutated as text and as XML, into the session machine over
//!             the simulated router's model: the seam between the worker's octets and everything behind it
//! answers     what HTTP can lie about, over sockets, into the client
//! ```
//! What both do to a running daemon is `rcwmpd lab soak`, of which `soak.rs` runs a short one.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/growth.rs"]
mod growth;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rcwmp::agent::daemon::open_model;
use rcwmp::agent::duties::Desk;
use rcwmp::agent::options::Options;
use rcwmp::agent::state::StateFile;
use rcwmp::agent::{exchange, inform};
use rcwmp::backend::System;
use rcwmp::cwmp::dispatch;
use rcwmp::cwmp::event::{Event, EventCode};
use rcwmp::cwmp::queue::{Call, Queue};
use rcwmp::cwmp::rpc::{Inform, Request};
use rcwmp::cwmp::session::{Close, Input, Output, Plan, Session};
use rcwmp::cwmp::soap;
use rcwmp::cwmp::soap::envelope::Version;
use rcwmp::http::auth::Credentials;
use rcwmp::http::client;
use rcwmp::lab::router::{self, PASSWORD, SERIAL_NUMBER, Settings};
use rcwmp::lab::soak::dice::Dice;
use rcwmp::lab::soak::messages::{Ask, answer, envelope};
use rcwmp::model::Model;
use rcwmp::sys::clock::Now;
use rcwmp::sys::fs::Root;

/// Another seed is another test: `SEED=7 cargo test --test envelopes_generated`.
const SEED: u32 = 20_261_121;
const ROUNDS: usize = 10;
const EACH: usize = 1000;
/// No single answer may take longer, in an unoptimised build on a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// Longest message that is mutated: a large one says nothing new, and takes long.
const LONGEST: usize = 12 * 1024;
/// What a mutated one grows to, before the last change.
const LARGEST: usize = 256 * 1024;

/// The tests measure one process: one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn seed() -> u32 {
    std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED)
}

/// Tags and texts of a document, in order.
fn tokens(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for part in text.split_inclusive('>') {
        match part.find('<') {
            Some(at) if at > 0 => out.extend([part[..at].to_owned(), part[at..].to_owned()]),
            _ => out.push(part.to_owned()),
        }
    }
    out
}

/// Where XML and CWMP hurt: for between two tokens.
fn piece(dice: &mut Dice) -> String {
    let pieces = [
        "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>",
        "<!DOCTYPE x SYSTEM \"file:///etc/passwd\">",
        "&b;",
        "&#0;",
        "&#xD800;",
        "&#99999999999;",
        "&amp;&lt;&#x1F600;",
        "<![CDATA[</Value>]]>",
        "<![CDATA[",
        "<!-- -- -->",
        "<?xml version=\"1.0\"?>",
        "<?php system('reboot') ?>",
        "\u{feff}",
        "\u{0}",
        "]]>",
        "<cwmp:Reboot xmlns:cwmp=\"urn:dslforum-org:cwmp-1-2\"><CommandKey/></cwmp:Reboot>",
        "<x:y/>",
        "<a xmlns=\"\"/>",
        "<cwmp:HoldRequests soap-env:mustUnderstand=\"1\">1</cwmp:HoldRequests>",
        "<x soap-env:mustUnderstand=\"1\"/>",
        "</soap-env:Body><soap-env:Body>",
        "</soap-env:Envelope>",
        "<ParameterList/>",
        "<string>Device.</string>",
        "<string>Device.X.1.2.3.4.*.[a==\"b\"].</string>",
        "<Name>..%2e</Name>",
    ];
    match dice.below(8) {
        0 => "<a>".repeat(1 << dice.below(13)),
        1 => {
            let depth = 1 << dice.below(12);
            format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth))
        }
        2 => format!("<a{}/>", " b=\"c\"".repeat(dice.below(400))),
        3 => {
            let count = dice.below(400);
            format!("<a{}/>", (0..count).map(|n| format!(" xmlns:n{n}=\"u{n}\"")).collect::<String>())
        }
        4 => "A".repeat(1 << dice.below(17)),
        _ => (*dice.pick(&pieces)).to_owned(),
    }
}

/// What a value is replaced by.
fn word(dice: &mut Dice) -> String {
    let words = [
        "",
        "-1",
        "0",
        "01",
        "+7",
        "4294967295",
        "4294967296",
        "18446744073709551616",
        "-9223372036854775809",
        "1e9",
        "0x10",
        "٣",
        "yes",
        "TRUE",
        "9999-99-99T99:99:99",
        "0001-01-01T00:00:00Z",
        "0000-00-00T00:00:60+99:99",
        "Device.",
        "Device..",
        "Device.*.",
        "Device.WiFi.SSID.-1.SSID",
        "Device.WiFi.SSID.4294967296.SSID",
        "Device.WiFi.SSID.[unterminated",
        "$(reboot)",
        "; reboot #",
        "`id`",
        "'\"\\",
        "../../../etc/passwd",
        "%n%s%x",
        "\r\nX: y",
        "file:///etc/shadow",
        "http://[::1",
        "ftp://a:b@127.0.0.1:1/%00",
    ];
    match dice.below(8) {
        0 => "Device.".repeat(1 << dice.below(12)),
        1 => "v".repeat(1 << dice.below(16)),
        _ => (*dice.pick(&words)).to_owned(),
    }
}

/// A document with changes to its structure, and some to its octets.
fn mutate(dice: &mut Dice, text: &str) -> Vec<u8> {
    let mut parts = tokens(text);
    for _ in 0..dice.below(4) {
        let (at, to) = (dice.below(parts.len()), dice.below(parts.len()));
        match dice.below(8) {
            0 => drop(parts.remove(at)),
            1 => {
                let many = 1 << dice.below(6);
                let one = parts[at].clone();
                parts[at] = one.repeat(many);
            }
            2 => parts.swap(at, to),
            3 => {
                let (from, to) = (at.min(to), at.max(to));
                let copy: String = parts[from..to].concat();
                parts.insert(to, copy);
            }
            4 => parts.insert(at, piece(dice)),
            // A number in an arrayType, or a name.
            5 => {
                let new = word(dice);
                let old = parts[at].clone();
                parts[at] = match old.split_once('[').and_then(|(a, rest)| Some((a, rest.split_once(']')?.1)))
                {
                    Some((before, after)) => format!("{before}[{new}]{after}"),
                    None => {
                        let prefix = *dice.pick(&["CWMP", "", "soap-env", "cwmp:x"]);
                        old.replace("cwmp", prefix)
                    }
                };
            }
            _ => {
                let texts: Vec<usize> = (0..parts.len()).filter(|at| !parts[*at].starts_with('<')).collect();
                if !texts.is_empty() {
                    let at = *dice.pick(&texts);
                    parts[at] = word(dice);
                }
            }
        }
        if parts.is_empty() || parts.iter().map(String::len).sum::<usize>() > LARGEST {
            break;
        }
    }
    let out = parts.concat();
    if dice.percent(40) { dice.spoil(out.as_bytes()) } else { out.into_bytes() }
}

/// What ACSs say: every message of the recorded sessions, and those of the long run's.
fn seeds() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session");
    let mut all: Vec<String> = Vec::new();
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    for case in cases.iter().filter(|path| path.is_dir()) {
        let mut files: Vec<_> = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.to_string_lossy().ends_with("-acs.xml")) {
            all.extend(String::from_utf8(fs::read(file).unwrap()));
        }
    }
    all.retain(|text| text.len() <= LONGEST);
    let count = all.len();
    all.sort();
    all.dedup();
    assert!(count > 200 && all.len() > 100, "{count} messages, {} different", all.len());
    for name in ["InformResponse", "GetRPCMethodsResponse", "Fault", "SetParameterValues", "ChangeDUState"] {
        assert!(all.iter().any(|text| text.contains(name)), "no {name}");
    }
    all.extend(
        [Ask::Values("Device.WiFi."), Ask::Ping, Ask::Add, Ask::Schedule(9)].map(|ask| ask.envelope("s")),
    );
    all
}

/// The router, its model, and what the agent remembers.
struct World {
    dir: tempfile::TempDir,
    model: Model<System>,
    file: StateFile,
    queue: Queue,
    inform: Option<Inform>,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        router::unpack(&root, &Settings { acs_url: "http://acs.example/".to_owned(), port: 7547 }).unwrap();
        let options = Options { root: Root::new(root), ..Options::default() };
        let (mut model, complaints) = open_model(&options).unwrap();
        assert!(complaints.is_empty(), "{complaints:?}");
        model.backend().tell("ConnectionRequestURL", "http://192.0.2.2:7547/path");
        model.refresh();
        let file = StateFile::open(&options.state_dir()).0;
        World { dir, model, file, queue: Queue::default(), inform: None }
    }

    /// The Inform; its content is the same for many sessions, which is not what is tested.
    fn inform(&mut self) -> Inform {
        if self.inform.is_none() {
            self.model.refresh();
            let device_id = inform::device_id(&mut self.model).unwrap();
            let time = "2026-11-21T06:00:00+01:00".to_owned();
            self.inform = inform::inform(&mut self.model, device_id, Vec::new(), time, 0).ok();
        }
        self.inform.clone().expect("the simulated router has all that an Inform needs")
    }

    /// A session to its end, where `acs` gives the answer to each POST; what was posted.
    fn session(
        &mut self,
        calls: &[Request],
        mut acs: impl FnMut(usize, Option<&[u8]>) -> Input,
    ) -> (Close, Vec<Vec<u8>>) {
        let event = Event { code: EventCode::parse("2 PERIODIC"), command_key: String::new() };
        let _ = self.queue.add(event);
        let snapshot = self.queue.open_session(Version::V1_4);
        let mut inform = self.inform();
        inform.events = snapshot.events;
        let calls = calls.iter().map(|request| Call { ticket: None, request: request.clone() });
        let mut machine = Session::new(Plan { calls: calls.collect(), ..Plan::new(inform) });
        let (mut stopped, mut posts) = (Vec::new(), Vec::new());
        machine.handle(Input::Begin, Duration::ZERO);
        for _ in 0..5000 {
            match machine.poll_output() {
                Output::Connect | Output::Learned(_) | Output::Remark(_) => {}
                Output::Post(envelope) => {
                    posts.push(envelope.map(|one| soap::write(&one)).unwrap_or_default())
                }
                Output::Perform(request) => {
                    let now = Now { mono: Duration::from_secs(100), wall: Some(1_795_237_200) };
                    let mut desk = Desk { file: &mut self.file, now, stopped: &mut stopped };
                    let result = dispatch::perform(&request, &mut self.model, &mut desk);
                    machine.handle(Input::Performed(result), Duration::ZERO);
                }
                Output::Deliver(receipt) => self.queue.delivered(receipt),
                Output::Wait(_) => {
                    let last = posts.last().filter(|post| !post.is_empty()).map(Vec::as_slice);
                    let input = acs(posts.len(), last);
                    machine.handle(input, Duration::ZERO);
                }
                Output::Close(close) => {
                    self.queue.close_session(close == Close::Success);
                    return (close, posts);
                }
            }
        }
        panic!("a session that does not end after {} posts", posts.len());
    }

    /// A session with an ACS that behaves must go well.
    fn honest(&mut self) {
        let question = Ask::Values("Device.DeviceInfo.SerialNumber").envelope("honest");
        let (close, posts) = self.session(&[], |at, post| match (at, post) {
            (1, Some(inform)) => exchange::read(answer(&String::from_utf8_lossy(inform)).as_bytes()),
            (2, None) => exchange::read(question.as_bytes()),
            (3, Some(_)) => Input::Empty,
            (at, post) => panic!("post {at}: {post:?}"),
        });
        assert_eq!(close, Close::Success);
        let text = String::from_utf8_lossy(&posts[2]);
        assert!(text.contains("GetParameterValuesResponse") && text.contains(SERIAL_NUMBER), "{text}");
    }

    /// A session in which one answer is this.
    fn hostile(&mut self, dice: &mut Dice, document: &[u8]) {
        let calls: &[Request] = if dice.percent(30) { &[Request::GetRpcMethods] } else { &[] };
        let when = 1 + dice.below(3);
        let twice = dice.percent(20);
        self.session(calls, |at, post| match post {
            _ if at == when || twice && at == when + 1 => exchange::read(document),
            Some(post) if String::from_utf8_lossy(post).contains("<cwmp:ID") && at < when => {
                exchange::read(answer(&String::from_utf8_lossy(post)).as_bytes())
            }
            _ => Input::Empty,
        });
    }
}

/// A seed and its place are what a failure is found again by.
fn located(what: &str, at: usize, document: &[u8], run: impl FnOnce()) {
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(run));
    let text = String::from_utf8_lossy(document);
    let shown: String = text.chars().take(3000).collect();
    let place = format!("SEED={} {what} {at}:\n{shown}", seed());
    assert!(result.is_ok(), "{place}");
    assert!(start.elapsed() < SOON, "took {:?}: {place}", start.elapsed());
}

#[test]
fn ten_thousand_envelopes() {
    let _alone = alone();
    let seeds = seeds();
    let mut dice = Dice::new(seed());
    let mut refused = 0_usize;
    let mut one = |round: usize| {
        // Some documents are still requests: rows and transfers of the last thousand are not growth.
        let mut world = World::new();
        world.honest();
        for n in 0..EACH {
            let at = round * EACH + n;
            let text = dice.pick(&seeds);
            let document = mutate(&mut dice, text);
            refused += usize::from(!matches!(exchange::read(&document), Input::Reply(_)));
            located("envelope", at, &document, || {
                world.hostile(&mut dice, &document);
                world.honest();
            });
        }
        assert!(world.dir.path().join("root/etc/config/cwmp").exists());
    };
    (0..ROUNDS / 2).for_each(&mut one);
    growth::leaves_nothing(&format!("SEED={}", seed()), 4, || (ROUNDS / 2..ROUNDS).for_each(&mut one));
    // Neither all nonsense nor all well.
    let all = ROUNDS * EACH;
    assert!((all / 5..all * 19 / 20).contains(&refused), "{refused} of {all} refused");
}

/// A server that says the same to everybody until it is told to say something else.
struct Server {
    port: u16,
    says: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let says = Arc::new(Mutex::new(Vec::new()));
        let said = Arc::clone(&says);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = said.lock().unwrap().clone();
                // A client that is sent elsewhere comes back before it lets the first connection go.
                thread::spawn(move || answer_one(stream, &answer));
            }
        });
        Server { port, says }
    }

    fn say(&self, answer: Vec<u8>) {
        *self.says.lock().unwrap() = answer;
    }
}

fn answer_one(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let (mut seen, mut block) = (Vec::new(), [0; 4096]);
    while !is_whole(&seen) {
        match stream.read(&mut block)? {
            0 => return Ok(()),
            count => seen.extend_from_slice(&block[..count]),
        }
    }
    stream.write_all(answer)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // Until the client has closed: otherwise unread octets would reset what was said.
    while stream.read(&mut block)? > 0 {}
    Ok(())
}

/// Our requests end with the body's last word, or with the head where there is no body.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let has_body = text.contains("content-length:") && !text.contains("content-length: 0\r\n");
    text.ends_with("</hello>") || text.ends_with("\r\n\r\n") && !has_body
}

/// Lies of HTTP.
fn lie(dice: &mut Dice, good: &[u8]) -> Vec<u8> {
    let body = envelope("1", "<cwmp:InformResponse><MaxEnvelopes>1</MaxEnvelopes></cwmp:InformResponse>");
    let length = body.len();
    let status = *dice.pick(&[
        "200 OK",
        "200",
        "204 No Content",
        "000 X",
        "999 X",
        "100 Continue",
        "101 Switching",
        "206 Partial",
        "301 M",
        "302 F",
        "307 T",
        "401 Unauthorized",
        "403 F",
        "404 N",
        "407 P",
        "415 U",
        "500 E",
        "503 B",
        "99999999999 X",
        "-1 X",
        "\u{fe} X",
    ]);
    let start =
        *dice.pick(&["HTTP/1.1 ", "HTTP/1.1 ", "HTTP/1.1 ", "HTTP/1.0 ", "HTTP/0.9 ", "HTTP/2 ", "ICY ", ""]);
    let lengths = [
        format!("Content-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\n"),
        format!("Content-Length: +{length}\r\n"),
        format!("Content-Length: {length}\r\nContent-Length: 1\r\n"),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: 18446744073709551616\r\n".to_owned(),
        "Content-Length: 0\r\n".to_owned(),
        format!("Content-Length: {}\r\n", length + 100),
        format!("Content-Length: {}\r\n", length / 2),
        "Transfer-Encoding: chunked\r\n".to_owned(),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        "Transfer-Encoding: gzip, chunked\r\n".to_owned(),
        String::new(),
    ];
    let headers = [
        "Content-Encoding: gzip\r\n",
        "Content-Encoding: deflate\r\n",
        "Content-Encoding: br\r\n",
        "Set-Cookie: a=b; Domain=.com; Path=/\r\n",
        "Set-Cookie: =\r\n",
        "Set-Cookie: a=\"\\\r\n",
        "Location: \r\n",
        "Location: /acs\r\n",
        "Location: file:///etc/passwd\r\n",
        "Location: http://[::1\r\n",
        "WWW-Authenticate: Digest\r\n",
        "WWW-Authenticate: Digest realm=\"a, nonce=\"\\\"\r\n",
        "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth-int\", algorithm=SHA-512\r\n",
        "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\", stale=TRUE\r\n",
        "WWW-Authenticate: Basic\r\n",
        "WWW-Authenticate: NTLM\r\n",
        "WWW-Authenticate: Bearer ,,,,=\r\n",
        " folded: yes\r\n",
        "NoColon\r\n",
        "X: \0\r\n",
        "X: \u{80}\u{ff}\r\n",
        "Retry-After: 99999999999999999999\r\n",
        "Retry-After: Mon, 99 Foo 0000 99:99:99 GMT\r\n",
        "Connection: close, keep-alive, upgrade\r\n",
        "Trailer: x\r\n",
    ];
    let mut out = if dice.percent(5) {
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(1 << dice.below(12))
    } else {
        String::new()
    };
    out += start;
    out += status;
    out += "\r\n";
    let length_line: &String = dice.pick(&lengths);
    out += length_line;
    for _ in 0..dice.below(5) {
        let header = *dice.pick(&headers);
        let times = if dice.percent(5) { 1 << dice.below(11) } else { 1 };
        out += &header.repeat(times);
    }
    out += if dice.percent(95) { "\r\n" } else { "" };
    let chunk = [
        "FFFFFFFFFFFFFFFFF\r\n",
        "-1\r\n",
        "5;x=y\r\nhello\r\n0\r\n\r\n",
        "0\r\nA: b\r\n\r\n",
        "\r\n",
        "g\r\n",
    ];
    match dice.below(4) {
        0 => {
            let chunk = *dice.pick(&chunk);
            out += chunk;
        }
        1 => out += &format!("{length:x}\r\n{body}\r\n0\r\n\r\n"),
        _ => out += &body,
    }
    match dice.below(10) {
        0 => dice.spoil(good),
        1..=3 => dice.spoil(out.as_bytes()),
        4 => {
            let count = dice.below(2000);
            dice.octets(count)
        }
        _ => out.into_bytes(),
    }
}

#[test]
fn ten_thousand_answers() {
    let _alone = alone();
    let server = Server::start();
    let body = answer("<cwmp:ID>1</cwmp:ID><cwmp:Inform>");
    let good = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
    let post = client::Post::Soap(b"<hello>world</hello>");
    let session = || {
        client::Session::new(client::Settings {
            credentials: Credentials::new("user", PASSWORD),
            timeout: Duration::from_secs(5),
            deadline: Instant::now() + SOON,
            ..client::Settings::new(format!("http://127.0.0.1:{}/acs", server.port))
        })
        .unwrap()
    };
    let mut dice = Dice::new(seed());
    let mut taken = 0_usize;
    let mut one = |at: usize| {
        let document = lie(&mut dice, &good);
        server.say(document.clone());
        located("answer", at, &document, || {
            taken += usize::from(session().post(post).is_ok());
            server.say(good.clone());
            let reply = session().post(post).unwrap();
            assert_eq!((reply.status, reply.body.as_slice()), (200, body.as_bytes()));
        });
    };
    (0..EACH * 2).for_each(&mut one);
    growth::leaves_nothing(&format!("SEED={}", seed()), 4, || (EACH * 2..ROUNDS * EACH).for_each(&mut one));
    let all = ROUNDS * EACH;
    assert!((all / 50..all / 2).contains(&taken), "{taken} of {all} were taken for an answer");
}
