//! Each word of `--quirk`, on the wire: what the mini-ACS sends without it, what with it, and of which words the names of
//! ACSs are made.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/cpe.rs"]
mod cpe;
#[path = "support/mini_acs.rs"]
mod mini_acs;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use cpe::{Cpe, octets};
use mini_acs::MiniAcs;
use rcwmp::cwmp::event::EventCode;
use rcwmp::cwmp::rpc::{Message, Request, TransferComplete, UNKNOWN_TIME};
use rcwmp::http::auth::Credentials;
use rcwmp::lab::acs::guard::Auth;
use rcwmp::lab::acs::news::{News, Watcher};
use rcwmp::lab::acs::office::{Office, Settings};
use rcwmp::lab::acs::quirks::Quirks;
use rcwmp::lab::acs::server::Server;
use rcwmp::lab::store::Store;

/// A word, where to look, what is seen there without it, and what with it.
type Case = (&'static str, &'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    ("cookie-serial", "cookie", "rcwmp-session=…; Path=/; HttpOnly", "oktopus=SN1; Expires=…"),
    ("pathless-cookie", "cookie", "rcwmp-session=…; Path=/; HttpOnly", "session=…"),
    ("no-cookie", "cookie", "rcwmp-session=…; Path=/; HttpOnly", "none, and the connection is the session"),
    ("empty-ok", "end", "204 without a length", "200 of length 0"),
    ("empty-answers", "transfer complete", "200 TransferCompleteResponse", "200 of length 0"),
    ("malformed-faults", "unknown method", "<…Fault>", "<…Body:Fault>"),
    ("already-in-session", "second Inform", "200", "400 CPE already in session"),
    ("overloaded", "Inform", "200", "503, Retry-After: 60"),
    ("mismatched-id", "ID of the InformResponse", "the Inform's", "another"),
    ("root-uri", "connection request", "Digest, uri=\"/a/path?x=1\"", "Digest, uri=\"/\""),
    ("basic-knock", "connection request for Basic", "no password", "Basic dTpw"),
    ("bound-nonce", "nonce on another connection", "taken", "401"),
    ("terse-challenge", "challenge", "qop=\"auth\", algorithm=MD5, nonce", "qop=\"auth,auth-int\",nonce"),
    ("raw-url", "Download", "http://x/?a=1&amp;b=2 1 A &amp; B", "http://x/?a=1&b=2 1 A & B"),
    ("reused-id", "ID of a request", "its own", "the Inform's"),
    ("no-names", "first request", "GetParameterNames", "GetParameterValues of no names"),
    ("next-level-digit", "NextLevel", "true false", "1 0"),
    ("bare-401", "POST without a cookie", "400", "401 without a challenge"),
];

/// The ACSs, and the words that their names stand for.
const ACSS: &[(&str, &[&str])] = &[
    (
        "genieacs",
        &[
            "pathless-cookie",
            "malformed-faults",
            "already-in-session",
            "bound-nonce",
            "terse-challenge",
            "raw-url",
        ],
    ),
    ("oktopus", &["cookie-serial", "empty-answers", "bare-401", "root-uri"]),
    ("acsrs", &["no-cookie", "root-uri", "reused-id"]),
    ("axiros", &["empty-ok", "next-level-digit"]),
];

#[test]
fn every_word_changes_what_it_is_for() {
    for (word, place, without, with) in CASES {
        assert_eq!(look(place, ""), *without, "without {word}");
        assert_eq!(look(place, word), *with, "{word}");
    }
    let tried: BTreeSet<&str> = CASES.iter().map(|case| case.0).chain(ACSS.iter().map(|acs| acs.0)).collect();
    assert_eq!(tried, Quirks::words().map(|(word, _)| word).collect(), "each word has its case here");
}

#[test]
fn the_name_of_an_acs_changes_just_that() {
    for (name, words) in ACSS {
        assert!(words.iter().all(|word| CASES.iter().any(|case| case.0 == *word)), "{name}");
        let told = Quirks::words().find(|(word, _)| word == name).unwrap().1;
        assert_eq!(
            told.split(", ").collect::<BTreeSet<_>>(),
            words.iter().copied().collect(),
            "{name} in the help"
        );
        for (_, place, without, _) in CASES {
            let with =
                CASES.iter().find(|case| case.1 == *place && words.contains(&case.0)).map(|case| case.3);
            assert_eq!(look(place, name), with.unwrap_or(*without), "{place} of {name}");
        }
    }
}

/// What is seen in one place with a word, or with none.
fn look(place: &str, word: &str) -> String {
    match place {
        "cookie" => cookie(word),
        "end" => {
            let acs = acs(word, Auth::None);
            let mut wire = Wire::open(&acs);
            wire.inform();
            shape(&wire.post(b""))
        }
        "transfer complete" => {
            let complete = TransferComplete {
                command_key: "k".into(),
                fault_code: 0,
                fault_string: String::new(),
                start_time: UNKNOWN_TIME.into(),
                complete_time: UNKNOWN_TIME.into(),
            };
            after_inform(word, Request::TransferComplete(complete), "TransferCompleteResponse")
        }
        "unknown method" => {
            let acs = acs(word, Auth::None);
            let mut wire = Wire::open(&acs);
            wire.inform();
            let request = Message::Request(Request::Unsupported("X_EX_Do".into()));
            let answer = wire.post(&octets(request, "2")).body;
            assert!(answer.contains("<FaultCode>8000</FaultCode>"), "{answer}");
            let tag = answer.split('<').find(|tag| tag.trim_end_matches('>').ends_with("Fault")).unwrap();
            format!("<…{}", if tag.contains("Body:Fault") { "Body:Fault>" } else { "Fault>" })
        }
        "second Inform" => {
            let acs = acs(word, Auth::None);
            let mut first = Wire::open(&acs);
            first.inform();
            let second = Wire::open(&acs).post(&inform());
            let reason =
                if second.status == 200 { String::new() } else { format!(" {}", second.body.trim()) };
            format!("{}{reason}", second.status)
        }
        "Inform" => {
            let reply = Wire::open(&acs(word, Auth::None)).post(&inform());
            let later =
                reply.header("Retry-After").map_or_else(String::new, |time| format!(", Retry-After: {time}"));
            format!("{}{later}", reply.status)
        }
        "ID of the InformResponse" => {
            let reply = Wire::open(&acs(word, Auth::None)).post(&inform());
            if id(&reply.body) == "the Inform's" { id(&reply.body) } else { "another".to_owned() }
        }
        "connection request" => knocked(word, "Digest realm=\"r\", qop=\"auth\", nonce=\"n\""),
        "connection request for Basic" => knocked(word, "Basic realm=\"r\""),
        "nonce on another connection" => other_connection(word),
        "challenge" => {
            let reply = Wire::open(&acs(word, digest())).post(&inform());
            assert_eq!(reply.status, 401);
            let line = reply.header("WWW-Authenticate").unwrap().to_owned();
            let (_, rest) = line.split_once("qop=").unwrap();
            format!("qop={}nonce", rest.split_once("nonce=").unwrap().0)
        }
        "Download" => {
            let message = request(
                "<cwmp:Download><CommandKey>k</CommandKey><FileType>1 A &amp; B</FileType><URL>http://x/?a=1&amp;b=2</URL>\
                 <Username></Username><Password></Password><FileSize>0</FileSize><TargetFileName></TargetFileName>\
                 <DelaySeconds>0</DelaySeconds><SuccessURL></SuccessURL><FailureURL></FailureURL></cwmp:Download>",
            );
            let sent = first_request(word, &message);
            format!("{} {}", element(&sent, "URL"), element(&sent, "FileType"))
        }
        "ID of a request" => {
            let sent = first_request(word, &names("true"));
            if id(&sent).starts_with("acs-") { "its own".to_owned() } else { id(&sent) }
        }
        "first request" => {
            let sent = first_request(word, &names("true"));
            let none = sent.contains("arrayType=\"xsd:string[0]\"") && !sent.contains("<string>");
            match sent.contains(":GetParameterValues>") && none {
                true => "GetParameterValues of no names".to_owned(),
                false => {
                    sent.contains(":GetParameterNames>").then(|| "GetParameterNames".to_owned()).unwrap()
                }
            }
        }
        "NextLevel" => {
            let level = |given: &str| element(&first_request(word, &names(given)), "NextLevel");
            format!("{} {}", level("true"), level("false"))
        }
        "POST without a cookie" => {
            let reply = Wire::open(&acs(word, Auth::None)).post(b"");
            let bare = reply.status == 401 && reply.header("WWW-Authenticate").is_none();
            format!("{}{}", reply.status, if bare { " without a challenge" } else { "" })
        }
        other => panic!("nobody knows where {other:?} is"),
    }
}

/// The cookie of a session, which goes on by it.
fn cookie(word: &str) -> String {
    let acs = acs(word, Auth::None);
    let mut wire = Wire::open(&acs);
    let reply = wire.inform();
    let Some(cookie) = reply.header("Set-Cookie").map(str::to_owned) else {
        // Another connection is another session, and has not begun with an Inform.
        assert_eq!(Wire::open(&acs).post(b"").status, 400);
        assert!(wire.post(b"").status < 300);
        return "none, and the connection is the session".to_owned();
    };
    let (pair, attributes) = cookie.split_once("; ").unwrap_or((cookie.as_str(), ""));
    // Any connection will do, and none without it.
    let mut other = Wire::open(&acs);
    other.cookie = pair.to_owned();
    assert!(other.post(b"").status < 300, "{cookie}");
    let (name, value) = pair.split_once('=').unwrap();
    if name == "oktopus" {
        return format!("{pair}; {}…", attributes.split_inclusive('=').next().unwrap());
    }
    assert!(value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{value}");
    format!("{name}=…{}{attributes}", if attributes.is_empty() { "" } else { "; " })
}

/// The answer to a call of the CPE.
fn after_inform(word: &str, call: Request, expected: &str) -> String {
    let acs = acs(word, Auth::None);
    let mut wire = Wire::open(&acs);
    wire.inform();
    let reply = wire.post(&octets(Message::Request(call), "2"));
    match reply.body.contains(expected) {
        true => format!("{} {expected}", reply.status),
        false => shape(&reply),
    }
}

/// The first request of a session in which this message waits.
fn first_request(word: &str, message: &str) -> String {
    let acs = acs(word, Auth::None);
    acs.office.store.add_device("SN1").unwrap();
    acs.office.submit("SN1", message).unwrap();
    let mut wire = Wire::open(&acs);
    wire.inform();
    let reply = wire.post(b"");
    assert_eq!(reply.status, 200);
    reply.body
}

/// A connection request to a device that asks for this: the Authorization of the second GET, if there is one.
fn knocked(word: &str, challenge: &'static str) -> String {
    let acs = acs(word, Auth::None);
    let (url, port) = port(challenge, &acs.knocked);
    let mut cpe = Cpe::new(&acs.server.url(), "SN1");
    cpe.tree.insert("Device.ManagementServer.ConnectionRequestURL".into(), url);
    let mut wire = Wire::open(&acs);
    wire.post(&octets(Message::Request(Request::Inform(Box::new(cpe.inform(EventCode::Boot)))), "1"));
    acs.office.store.set_connection_request("SN1", "u", "p").unwrap();
    acs.office.invite("SN1").unwrap();
    shown(&port.join().unwrap())
}

/// What an Authorization shows.
fn shown(given: &str) -> String {
    match given.find("uri=") {
        _ if given.is_empty() => "no password".to_owned(),
        Some(at) => {
            let uri = given[at..].split(',').next().unwrap();
            format!("{}, {uri}", given.split(' ').next().unwrap())
        }
        None => given.to_owned(),
    }
}

/// A connection-request port that asks each GET for this, until one shows something, or the request is over without it.
fn port(challenge: &'static str, over: &Arc<AtomicBool>) -> (String, thread::JoinHandle<String>) {
    let over = Arc::clone(over);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a/path?x=1", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        listener.set_nonblocking(true).unwrap();
        loop {
            // Looked at first: what comes before it is there to be accepted.
            let is_over = over.load(Ordering::SeqCst);
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if is_over {
                        return String::new();
                    }
                    thread::sleep(Duration::from_millis(5));
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            stream.set_nonblocking(false).unwrap();
            let head = head(&mut stream);
            let line = head.lines().find_map(|line| line.strip_prefix("Authorization: "));
            let status = if line.is_some() { "200 OK" } else { "401 Unauthorized" };
            let answer = format!(
                "HTTP/1.1 {status}\r\nWWW-Authenticate: {challenge}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).unwrap();
            if let Some(line) = line {
                return line.to_owned();
            }
        }
    });
    (url, served)
}

/// What becomes of a digest that is right, on another connection than its nonce came over.
fn other_connection(word: &str) -> String {
    let acs = acs(word, digest());
    acs.office.store.put_credential("cpe", "secret").unwrap();
    let first = Wire::open(&acs).post(b"");
    let mut prompt = digest_auth::parse(first.header("WWW-Authenticate").unwrap()).unwrap();
    let context = digest_auth::AuthContext::new_post::<_, _, _, &[u8]>("cpe", "secret", "/", None);
    let mut other = Wire::open(&acs);
    other.more = format!("Authorization: {}\r\n", prompt.respond(&context).unwrap());
    match other.post(&inform()).status {
        200 => "taken".to_owned(),
        status => status.to_string(),
    }
}

fn digest() -> Auth {
    Auth::Digest(Credentials::default())
}

struct Acs {
    server: Server,
    office: Arc<Office>,
    /// A connection request has come to its end.
    knocked: Arc<AtomicBool>,
}

/// Hears of the ends of connection requests.
struct Ear(Arc<AtomicBool>);

impl Watcher for Ear {
    fn news(&self, news: &News<'_>) {
        if matches!(news, News::ConnectionRequest { .. }) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

/// A mini-ACS that plays a word, as the command line starts it.
fn acs(word: &str, auth: Auth) -> Acs {
    let mut quirks = Quirks::default();
    if !word.is_empty() {
        quirks.turn_on(word).unwrap();
    }
    let settings =
        Settings { root_uri: quirks.root_uri, basic_knock: quirks.basic_knock, ..Settings::default() };
    let knocked = Arc::new(AtomicBool::new(false));
    let office = Office::new(Store::in_memory().unwrap(), Box::new(Ear(Arc::clone(&knocked))), settings);
    let server = Server::start(Arc::clone(&office), "127.0.0.1:0".parse().unwrap(), auth, quirks).unwrap();
    Acs { server, office, knocked }
}

/// A connection, and what each POST on it bears.
struct Wire {
    stream: TcpStream,
    cookie: String,
    more: String,
}

/// An answer.
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Wire {
    fn open(acs: &Acs) -> Wire {
        let stream = TcpStream::connect(acs.server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Wire { stream, cookie: String::new(), more: String::new() }
    }

    fn post(&mut self, body: &[u8]) -> Reply {
        let cookie = match self.cookie.as_str() {
            "" => String::new(),
            cookie => format!("Cookie: {cookie}\r\n"),
        };
        let head_of = format!(
            "POST / HTTP/1.1\r\nHost: acs\r\nContent-Length: {}\r\n{cookie}{}\r\n",
            body.len(),
            self.more
        );
        self.stream.write_all(head_of.as_bytes()).unwrap();
        self.stream.write_all(body).unwrap();
        let head = head(&mut self.stream);
        let mut reply = Reply { status: head[9..12].parse().unwrap(), head, body: String::new() };
        let length = reply.header("Content-Length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        reply.body = String::from_utf8(body).unwrap();
        reply
    }

    /// Begins a session, whose cookie the next POSTs bear.
    fn inform(&mut self) -> Reply {
        let reply = self.post(&inform());
        assert_eq!(reply.status, 200, "{}", reply.head);
        if let Some(cookie) = reply.header("Set-Cookie") {
            cookie.split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        reply
    }
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

fn head(stream: &mut TcpStream) -> String {
    let (mut head, mut octet) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut octet).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(octet[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Status and length of an answer without a body.
fn shape(reply: &Reply) -> String {
    match reply.header("Content-Length") {
        Some(length) => format!("{} of length {length}", reply.status),
        None => format!("{} without a length", reply.status),
    }
}

/// An Inform of `SN1` whose ID is `the Inform's`.
fn inform() -> Vec<u8> {
    let inform = Cpe::new("http://127.0.0.1:9/", "SN1").inform(EventCode::Boot);
    octets(Message::Request(Request::Inform(Box::new(inform))), "the Inform's")
}

fn request(body: &str) -> String {
    format!("<soap:Envelope><soap:Body>{body}</soap:Body></soap:Envelope>")
}

fn names(next_level: &str) -> String {
    request(&format!(
        "<cwmp:GetParameterNames><ParameterPath></ParameterPath><NextLevel>{next_level}</NextLevel></cwmp:GetParameterNames>"
    ))
}

/// The text of an element as it stands there.
fn element(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("<{name}>")).unwrap();
    rest.split_once(&format!("</{name}>")).unwrap().0.to_owned()
}

/// The ID in a header.
fn id(text: &str) -> String {
    let (_, rest) = text.split_once(":ID").unwrap();
    rest.split_once('>').unwrap().1.split_once('<').unwrap().0.replace("&apos;", "'").replace("&#39;", "'")
}

/// The program hands its words to where they work: the connection request is the one that is not the server's.
#[test]
fn the_program_plays_them() {
    let acs = MiniAcs::start(&["--quirk", "root-uri", "--quirk", "cookie-serial"]);
    let (place, port) = port("Digest realm=\"r\", qop=\"auth\", nonce=\"n\"", &Arc::default());
    let stream = TcpStream::connect(acs.url.trim_start_matches("http://").trim_end_matches('/')).unwrap();
    let mut wire = Wire { stream, cookie: String::new(), more: String::new() };
    let mut cpe = Cpe::new(&acs.url, "SN1");
    cpe.tree.insert("Device.ManagementServer.ConnectionRequestURL".into(), place);
    let inform = Message::Request(Request::Inform(Box::new(cpe.inform(EventCode::Boot))));
    let reply = wire.post(&octets(inform, "1"));
    assert!(reply.header("Set-Cookie").unwrap().starts_with("oktopus=SN1; Expires="), "{}", reply.head);
    acs.says(&["account", "SN1", "u", "p"]);
    acs.says(&["knock", "SN1"]);
    assert_eq!(shown(&port.join().unwrap()), "Digest, uri=\"/\"");
    // A word that it does not know it does not play.
    let refused =
        Command::new(env!("CARGO_BIN_EXE_rcwmpd")).args(["mini-acs", "--quirk", "x"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(Quirks::words().all(|(word, _)| why.contains(word)), "{why}");
}
