//! The mini-ACS as CPEs, and those who look for holes, meet it: HTTPS, files, authentication, connection requests,
//! quirks, a store that is out of order.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/cpe.rs"]
mod cpe;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cpe::Cpe;
use rcwmp::cwmp::event::EventCode;
use rcwmp::cwmp::session::Close;
use rcwmp::http::auth::Credentials;
use rcwmp::http::client::{self, Post};
use rcwmp::http::file;
use rcwmp::http::tls::{self, Client};
use rcwmp::http::tls_server::Identity;
use rcwmp::http::url::Url;
use rcwmp::http::wire::{Cancel, Secure};
use rcwmp::lab::acs::guard::Auth;
use rcwmp::lab::acs::news::{News, Watcher};
use rcwmp::lab::acs::office::{Office, Settings};
use rcwmp::lab::acs::presence::Presence;
use rcwmp::lab::acs::quirks::Quirks;
use rcwmp::lab::acs::server::Server;
use rcwmp::lab::store::{Progress, Store};

/// Keeps what happened, as text.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Watcher for Notes {
    fn news(&self, news: &News<'_>) {
        self.0.lock().unwrap().push(format!("{news:?}"));
    }
}

impl Notes {
    #[track_caller]
    fn wait(&self, text: &str) {
        let start = Instant::now();
        while !self.0.lock().unwrap().iter().any(|line| line.contains(text)) {
            assert!(start.elapsed() < Duration::from_secs(15), "no {text:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

struct Acs {
    server: Server,
    office: Arc<Office>,
    notes: Notes,
}

fn acs_with(store: Store, secure: Option<Identity>, auth: Auth, quirks: Quirks, settings: Settings) -> Acs {
    let notes = Notes::default();
    let office = Office::new(store, Box::new(notes.clone()), settings);
    let listen = "127.0.0.1:0".parse().unwrap();
    let secure = secure.map(|identity| (listen, identity));
    let server = Server::start_with(Arc::clone(&office), listen, secure, auth, quirks).unwrap();
    Acs { server, office, notes }
}

fn acs(auth: Auth, quirks: &[&str]) -> Acs {
    let mut on = Quirks::default();
    quirks.iter().for_each(|word| on.turn_on(word).unwrap());
    acs_with(Store::in_memory().unwrap(), None, auth, on, Settings::default())
}

/// Either kind with credentials of the store only.
fn kinds() -> [Auth; 2] {
    [Auth::Basic(Credentials::default()), Auth::Digest(Credentials::default())]
}

/// A certificate for 127.0.0.1 that signs itself; `None` without openssl.
fn certificate(folder: &Path) -> Option<()> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=127.0.0.1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output();
    made.ok().filter(|output| output.status.success()).map(drop)
}

fn trusting(cert: &Path) -> Arc<dyn Secure> {
    let clock: tls::Clock = Arc::new(|| u64::try_from(rcwmp::sys::clock::epoch_seconds()).ok());
    let settings = tls::Settings { ca: cert.to_owned(), identity: None, insecure: false, clock };
    Arc::new(Client::new(&settings).unwrap())
}

fn file_settings(user: &str, password: &str, tls: Option<Arc<dyn Secure>>) -> file::Settings {
    file::Settings {
        credentials: Credentials::new(user, password),
        tls,
        idle: Duration::from_secs(20),
        deadline: Instant::now() + Duration::from_secs(60),
        cancel: Cancel::default(),
        user_agent: String::new(),
        interface: None,
        force_ipv4: false,
        expect: true,
    }
}

#[test]
fn https_beside_http() {
    let folder = tempfile::tempdir().unwrap();
    if certificate(folder.path()).is_none() {
        std::io::stderr().write_all(b"skipped: openssl not installed\n").unwrap();
        return;
    }
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let identity = Identity::read(&cert, &key).unwrap();
    let store = Store::in_memory().unwrap();
    store.put_credential("cpe", "secret").unwrap();
    let [_, digest] = kinds();
    let acs = acs_with(store, Some(identity), digest, Quirks::default(), Settings::default());
    let secure = acs.server.secure_url().unwrap();
    assert!(secure.starts_with("https://127.0.0.1:"));
    for (url, tls) in [(acs.server.url(), None), (secure.clone(), Some(trusting(&cert)))] {
        let mut cpe = Cpe::new(&url, "SN1");
        cpe.settings.credentials = Credentials::new("cpe", "secret");
        cpe.settings.tls = tls;
        acs.office.store.add_device("SN1").unwrap();
        let message = "<soap:Envelope><soap:Body><cwmp:Reboot><CommandKey>k</CommandKey></cwmp:Reboot></soap:Body></soap:Envelope>";
        let task = acs.office.submit("SN1", message).unwrap();
        assert_eq!(cpe.session(EventCode::Boot), Ok(Close::Success), "{url}");
        assert_eq!(cpe.done, ["Reboot k"]);
        assert_eq!(acs.office.store.task(task).unwrap().unwrap().progress, Progress::Done);
    }
    // A file over HTTPS, and a stranger's certificate is not taken.
    acs.office.store.put_file("fw", &vec![7; 3 << 20], false).unwrap();
    let url = Url::parse(&format!("{secure}files/fw")).unwrap();
    let mut content = Vec::new();
    file::get(&url, &file_settings("cpe", "secret", Some(trusting(&cert))))
        .unwrap()
        .read_to_end(&mut content)
        .unwrap();
    assert_eq!(content, vec![7; 3 << 20]);
    // Plain HTTP to the port of HTTPS is refused, and breaks nothing.
    let mut stream = TcpStream::connect(secure.trim_start_matches("https://").trim_end_matches('/')).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\n\r\n").unwrap();
    let _ = stream.read(&mut [0; 64]);
    acs.notes.wait("Refused");
    assert!(Identity::read(&key, &key).is_err() && Identity::read(&cert, Path::new("/nonexistent")).is_err());
}

#[test]
fn files_come_and_go() {
    for auth in kinds() {
        let acs = acs(auth.clone(), &[]);
        acs.office.store.put_credential("cpe", "secret").unwrap();
        acs.office.store.put_file("fw.bin", b"firmware", false).unwrap();
        let url = |name: &str| Url::parse(&format!("{}files/{name}", acs.server.url())).unwrap();
        let mut content = String::new();
        file::get(&url("fw.bin"), &file_settings("cpe", "secret", None))
            .unwrap()
            .read_to_string(&mut content)
            .unwrap();
        assert_eq!(content, "firmware", "{auth:?}");
        assert!(file::get(&url("none"), &file_settings("cpe", "secret", None)).is_err());
        assert!(file::get(&url("fw.bin"), &file_settings("cpe", "wrong", None)).is_err());
        assert!(file::get(&url("fw.bin"), &file_settings("", "", None)).is_err());

        // More than a session's message may have.
        let mut upload = tempfile::tempfile().unwrap();
        upload.write_all(&vec![3; 6 << 20]).unwrap();
        let put = |name: &str, file: &mut File| {
            file::put(&url(name), &file_settings("cpe", "secret", None), file, 6 << 20)
        };
        assert_eq!(put("log.txt", &mut upload).unwrap(), 201);
        assert_eq!(acs.office.store.file("log.txt").unwrap().unwrap().len(), 6 << 20);
        assert!(put("fw.bin", &mut upload).is_err(), "what people put there stays");
        assert!(put("%2e%2e", &mut upload).is_err() && put("a/b", &mut upload).is_err());
        assert_eq!(acs.office.store.file("fw.bin").unwrap().unwrap(), b"firmware");
    }
}

#[test]
fn strangers_need_authentication() {
    let start = |allow_remote, auth| {
        let office = Office::new(
            Store::in_memory().unwrap(),
            Box::new(()),
            Settings { allow_remote, ..Settings::default() },
        );
        let listen = "0.0.0.0:0".parse().unwrap();
        Server::start(office, listen, auth, Quirks::default()).map(drop).map_err(|error| error.to_string())
    };
    let [basic, digest] = kinds();
    assert!(start(false, digest.clone()).unwrap_err().contains("--allow-remote"));
    assert!(start(true, Auth::None).unwrap_err().contains("--auth"));
    assert_eq!((start(true, basic), start(true, digest)), (Ok(()), Ok(())));
}

#[test]
fn what_is_not_stored_is_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acs.db");
    let acs = acs_with(Store::open(&path).unwrap(), None, Auth::None, Quirks::default(), Settings::default());
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = Cpe::new(&acs.server.url(), "SN1").session(EventCode::Bootstrap).unwrap_err();
    assert!(error.contains("60") || error.contains("503"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(acs.office.store.device("SN1"), Ok(None));
    assert_eq!(Cpe::new(&acs.server.url(), "SN1").session(EventCode::Bootstrap), Ok(Close::Success));
}

#[test]
fn messages_are_filled_in_when_asked() {
    let settings = Settings { fill: true, ..Settings::default() };
    let acs = acs_with(Store::in_memory().unwrap(), None, Auth::None, Quirks::default(), settings);
    let mut cpe = Cpe::new(&acs.server.url(), "SN1");
    assert_eq!(cpe.session(EventCode::Boot), Ok(Close::Success));
    acs.office.store.keep_values("SN1", &[("Device.B".into(), "1".into(), "xsd:boolean".into())]).unwrap();
    let message = "<soap:Envelope><soap:Body><cwmp:SetParameterValues><ParameterList><ParameterValueStruct>\
        <Name>Device.B</Name><Value>0</Value></ParameterValueStruct></ParameterList><ParameterKey/></cwmp:SetParameterValues>\
        </soap:Body></soap:Envelope>";
    acs.office.submit("SN1", message).unwrap();
    assert_eq!(cpe.session(EventCode::Periodic), Ok(Close::Success));
    let sent = acs.office.trace.after(0, "SN1", 100, Duration::ZERO);
    let sent: String = sent.iter().map(|one| String::from_utf8_lossy(&one.body).into_owned()).collect();
    assert!(sent.contains("soapenc:arrayType=\"cwmp:ParameterValueStruct[1]\""), "{sent}");
    assert!(sent.contains("xsi:type=\"xsd:boolean\"") && sent.contains("xmlns:xsi="), "{sent}");
}

/// A connection-request port that answers each connection's requests by a script: lines before the blank one.
fn port(answers: &'static [&'static str]) -> (String, thread::JoinHandle<Vec<(usize, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/cr", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let (mut seen, mut connections) = (Vec::new(), 0);
        let mut open: Option<TcpStream> = None;
        for answer in answers {
            let mut stream = open.take().unwrap_or_else(|| {
                connections += 1;
                listener.accept().unwrap().0
            });
            let mut head = Vec::new();
            let mut octet = [0];
            while !head.ends_with(b"\r\n\r\n") {
                assert_eq!(stream.read(&mut octet).unwrap(), 1);
                head.push(octet[0]);
            }
            seen.push((connections, String::from_utf8(head).unwrap()));
            stream.write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 2\r\n\r\nhi").as_bytes()).unwrap();
            if !answer.contains("close") {
                open = Some(stream);
            }
        }
        seen
    });
    (url, served)
}

/// Knocks at a device with such a port; what the port saw, and the news of it.
fn knocked(answers: &'static [&'static str], basic_knock: bool) -> (Vec<(usize, String)>, String) {
    let settings = Settings { basic_knock, ..Settings::default() };
    let acs = acs_with(Store::in_memory().unwrap(), None, Auth::None, Quirks::default(), settings);
    let (url, served) = port(answers);
    let mut cpe = Cpe::new(&acs.server.url(), "SN1");
    cpe.tree.insert("Device.ManagementServer.ConnectionRequestURL".into(), url);
    assert_eq!(cpe.session(EventCode::Boot), Ok(Close::Success));
    acs.office.store.set_connection_request("SN1", "user", "pass word").unwrap();
    acs.office.invite("SN1").unwrap();
    acs.notes.wait("ConnectionRequest {");
    let lines = acs.notes.0.lock().unwrap();
    let news = lines.iter().find(|line| line.contains("ConnectionRequest {")).unwrap().clone();
    (served.join().unwrap(), news)
}

#[test]
fn connection_requests_of_all_kinds() {
    // A nonce that is good on its connection only, with qop and without an algorithm.
    let (seen, news) = knocked(
        &[
            "401 U\r\nWWW-Authenticate: Digest realm=\"r\",qop=\"auth,auth-int\",nonce=\"n\"",
            "200 OK\r\nConnection: close",
        ],
        false,
    );
    assert_eq!((seen[0].0, seen[1].0), (1, 1));
    assert!(seen[1].1.contains("qop=auth, nc=00000001") && !seen[1].1.contains("algorithm"), "{}", seen[1].1);
    assert!(news.contains("Ok(())"), "{news}");
    // A device that closes after the challenge; Basic.
    let (seen, news) = knocked(
        &["401 U\r\nConnection: close\r\nWWW-Authenticate: Basic realm=\"r\"", "204 N\r\nConnection: close"],
        true,
    );
    assert_eq!((seen[0].0, seen[1].0), (1, 2));
    assert!(seen[1].1.contains("Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n"), "{}", seen[1].1);
    assert!(news.contains("Ok(())"), "{news}");
    // The password is not shown to whoever asks for it.
    let (seen, news) = knocked(&["401 U\r\nConnection: close\r\nWWW-Authenticate: Basic realm=\"r\""], false);
    assert_eq!(seen.len(), 1);
    assert!(news.contains("--quirk basic-knock") && !seen[0].1.contains("Authorization"), "{news}");
    let (_, news) = knocked(&["503 Busy\r\nConnection: close"], false);
    assert!(news.contains("too busy"), "{news}");
}

#[test]
fn offline_is_noticed_and_datagrams_follow() {
    let acs = acs(Auth::None, &[]);
    let mut cpe = Cpe::new(&acs.server.url(), "SN1");
    assert_eq!(acs.office.presence("SN1"), Presence::Offline);
    assert_eq!(cpe.session(EventCode::Boot), Ok(Close::Success));
    assert_eq!(acs.office.presence("SN1"), Presence::Online);
    // Its port 9 refuses.
    acs.office.invite("SN1").unwrap();
    acs.notes.wait("ConnectionRequest { device: \"SN1\", result: Err");
    assert_eq!(acs.office.presence("SN1"), Presence::Offline);
    assert_eq!(cpe.session(EventCode::Periodic), Ok(Close::Success));
    assert_eq!(acs.office.presence("SN1"), Presence::Online);
    // Behind a NAT it is asked over UDP.
    let nat = UdpSocket::bind("127.0.0.1:0").unwrap();
    nat.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = nat.local_addr().unwrap().to_string();
    let name = "Device.ManagementServer.UDPConnectionRequestAddress";
    acs.office.store.keep_values("SN1", &[(name.into(), address, "xsd:string".into())]).unwrap();
    acs.office.store.set_connection_request("SN1", "user", "password").unwrap();
    acs.office.invite("SN1").unwrap();
    let mut part = [0; 1024];
    let count = nat.recv(&mut part).unwrap();
    let text = String::from_utf8_lossy(&part[..count]).into_owned();
    assert!(text.starts_with("GET http://127.0.0.1:") && text.contains("&un=user&cn="), "{text}");
    acs.notes.wait("UdpRequest");
    assert_eq!(acs.office.presence("SN1"), Presence::Online, "nobody knows better");
}

#[test]
fn every_acs_can_be_played() {
    for words in [
        &["genieacs"][..],
        &["oktopus"],
        &["acsrs"],
        &["axiros"],
        &["no-names", "next-level-digit", "reused-id"],
        &["bound-nonce", "terse-challenge"],
    ] {
        for auth in kinds() {
            let acs = acs(auth, words);
            acs.office.store.put_credential("cpe", "secret").unwrap();
            acs.office.store.add_device("SN1").unwrap();
            let message = "<soap:Envelope><soap:Body><cwmp:GetParameterNames><ParameterPath></ParameterPath><NextLevel>true</NextLevel>\
                </cwmp:GetParameterNames></soap:Body></soap:Envelope>";
            acs.office.submit("SN1", message).unwrap();
            let mut cpe = Cpe::new(&acs.server.url(), "SN1");
            cpe.settings.credentials = Credentials::new("cpe", "secret");
            assert_eq!(cpe.session(EventCode::Bootstrap), Ok(Close::Success), "{words:?}");
            let expected: &[&str] = if words[0] == "no-names" {
                &["GetParameterValues ", "GetParameterNames "]
            } else {
                &["GetParameterNames "]
            };
            assert_eq!(cpe.done, expected, "{words:?}");
        }
    }
    // No cookie, no session.
    let acs = acs(Auth::None, &["oktopus"]);
    let mut http = client::Session::new(client::Settings::new(acs.server.url())).unwrap();
    let error = http.post(Post::Empty).unwrap_err().to_string();
    assert!(error.contains("wants a user name"), "{error}");
}

#[test]
fn a_nonce_stays_on_its_connection() {
    let answer = |quirks: &[&str]| {
        let [_, digest] = kinds();
        let acs = acs(digest, quirks);
        acs.office.store.put_credential("cpe", "secret").unwrap();
        let host = acs.server.address();
        let post = |stream: &mut TcpStream, more: &str| {
            write!(stream, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{more}\r\n").unwrap();
            let mut part = [0; 4096];
            let count = stream.read(&mut part).unwrap();
            String::from_utf8_lossy(&part[..count]).into_owned()
        };
        let first = post(&mut TcpStream::connect(host).unwrap(), "");
        let line = first.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: ")).unwrap().to_owned();
        let mut prompt = digest_auth::parse(&line).unwrap();
        let context = digest_auth::AuthContext::new_post::<_, _, _, &[u8]>("cpe", "secret", "/", None);
        let given = prompt.respond(&context).unwrap().to_string();
        post(&mut TcpStream::connect(host).unwrap(), &format!("Authorization: {given}\r\n"))[9..12].to_owned()
    };
    // Past the guard an empty POST is out of place.
    assert_eq!((answer(&[]).as_str(), answer(&["bound-nonce"]).as_str()), ("400", "401"));
}
