//! What `http_client` and `http_tls` leave of a hostile server: framing that contradicts itself, heads and trailers
//! without end, TLS in the smallest pieces, in the largest chains, and of versions that nobody should speak.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "tls")]

#[path = "support/scripted.rs"]
mod scripted;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcwmp::http::HttpError;
use rcwmp::http::client::{Post, Reply, Session, Settings};
use rcwmp::http::tls;
use rcwmp::http::wire::{Secure, Wire};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use scripted::{Scripted, step};

const INFORM: Post = Post::Soap(b"<soap>inform</soap>");
/// No answer may take longer than this to be refused.
const SOON: Duration = Duration::from_secs(10);

fn settings(url: &str) -> Settings {
    Settings { timeout: Duration::from_secs(5), ..Settings::new(url.to_owned()) }
}

/// The first post against a server that says this and hangs up.
fn answered(raw: &[u8]) -> Result<Reply, HttpError> {
    let acs = Scripted::start(vec![step().raw(raw).close()]);
    let started = Instant::now();
    let result = Session::new(settings(&acs.url())).unwrap().post(INFORM);
    assert!(started.elapsed() < SOON);
    acs.finish();
    result
}

fn chunked(rest: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}").into_bytes()
}

#[test]
fn framing_that_contradicts_itself() {
    // Which of both counts is a matter of who reads: neither may be believed and the connection go on.
    for both in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let acs = Scripted::start(vec![step().raw(both), step().status(204)]);
        let mut session = Session::new(settings(&acs.url())).unwrap();
        match session.post(INFORM) {
            // RFC 9112 6.3: the coding counts.
            Ok(reply) => assert_eq!(reply.body, b"hello"),
            Err(error) => {
                assert!(matches!(error, HttpError::BadReply(_)), "{error:?}");
                drop(acs);
                continue;
            }
        }
        assert_eq!(session.post(Post::Empty).unwrap().status, 204);
        acs.finish();
    }
}

#[test]
fn trailers_extensions_and_bare_line_feeds() {
    let long = "x".repeat(1 << 20);
    let result = answered(&chunked(&format!("5;{long}\r\nhello\r\n0\r\n\r\n")));
    assert!(result.as_ref().is_err_and(|why| !matches!(why, HttpError::SessionTooLong)), "{result:?}");
    let flood = "X: y\r\n".repeat(200_000);
    for trailers in [flood, format!("X: {long}\r\n")] {
        let result = answered(&chunked(&format!("5\r\nhello\r\n0\r\n{trailers}\r\n")));
        match result {
            Ok(reply) => assert_eq!((reply.body.as_slice(), reply.status), (&b"hello"[..], 200)),
            Err(error) => {
                assert!(matches!(error, HttpError::BadReply(_) | HttpError::CutOff(_)), "{error:?}")
            }
        }
    }
    // RFC 9112 2.2 lets a recipient take them; what it must not do is to take one thing for another.
    match answered(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok") {
        Ok(reply) => assert_eq!(reply.body, b"ok"),
        Err(error) => assert!(matches!(error, HttpError::BadReply(_)), "{error:?}"),
    }
    let zero_nine = answered(b"hello\n").unwrap_err();
    assert!(matches!(zero_nine, HttpError::BadReply(_) | HttpError::CutOff(_)), "{zero_nine:?}");
}

#[test]
fn heads_without_end() {
    for line in ["X: y\r\n", "X: ", "", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let line = line.to_owned();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(if line.starts_with("HTTP") { b"" } else { b"HTTP/1.1 200 OK\r\n" });
            let piece = if line.is_empty() { "x".repeat(4096) } else { line.repeat(1000) };
            while stream.write_all(piece.as_bytes()).is_ok() {}
        });
        let started = Instant::now();
        let error = Session::new(settings(&url)).unwrap().post(INFORM).unwrap_err();
        assert!(started.elapsed() < SOON, "{error:?} after {:?}", started.elapsed());
        server.join().unwrap();
    }
}

/// A certificate for 127.0.0.1 that nobody has signed; `None` if there is no openssl.
fn certificate() -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir().unwrap();
    let line = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem \
                -days 30 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1";
    let mut openssl = Command::new("openssl");
    openssl
        .args(line.split(' ').filter(|word| !word.is_empty()))
        .current_dir(dir.path())
        .stderr(Stdio::null());
    match openssl.status() {
        Ok(status) => assert!(status.success()),
        Err(_) => {
            std::io::stderr().write_all(b"skipped: openssl not installed\n").unwrap();
            return None;
        }
    }
    Some(dir)
}

fn client(dir: &Path) -> tls::Client {
    let clock: tls::Clock = Arc::new(|| None);
    let ca = dir.join("cert.pem");
    tls::Client::new(&tls::Settings { ca, identity: None, insecure: true, clock }).unwrap()
}

fn handshake(dir: &Path, address: SocketAddr) -> Result<(), String> {
    let (wire, _) = Wire::connect(&[address], None, Instant::now() + Duration::from_secs(5)).unwrap();
    client(dir).handshake("127.0.0.1", wire).map(drop)
}

/// Takes one connection with this configuration, and answers one line; whether it came that far.
fn serve(config: ServerConfig) -> (SocketAddr, std::thread::JoinHandle<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut conn = ServerConnection::new(Arc::new(config)).unwrap();
        while conn.is_handshaking() {
            if conn.complete_io(&mut stream).is_err() {
                return false;
            }
        }
        let mut stream = StreamOwned::new(conn, stream);
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").unwrap();
        stream.write_all(&[b'x'; 1000]).is_ok() && stream.flush().is_ok()
    });
    (address, server)
}

fn server_config(dir: &Path, copies: usize) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let own = CertificateDer::from_pem_file(dir.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join("key.pem")).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own; copies], key)
        .unwrap()
}

#[test]
fn tls_in_the_smallest_records() {
    let Some(dir) = certificate() else { return };
    let mut config = server_config(dir.path(), 1);
    config.max_fragment_size = Some(32);
    let (address, server) = serve(config);
    let clock: tls::Clock = Arc::new(|| None);
    let tls = tls::Settings { ca: dir.path().join("cert.pem"), identity: None, insecure: true, clock };
    let settings = Settings {
        tls: Some(Arc::new(tls::Client::new(&tls).unwrap())),
        ..settings(&format!("https://{address}/"))
    };
    assert_eq!(Session::new(settings).unwrap().post(INFORM).unwrap().body, vec![b'x'; 1000]);
    assert!(server.join().unwrap());
}

#[test]
fn a_chain_of_64_kilobytes() {
    let Some(dir) = certificate() else { return };
    let one = CertificateDer::from_pem_file(dir.path().join("cert.pem")).unwrap().len();
    let (address, server) = serve(server_config(dir.path(), (128 << 10) / one));
    let started = Instant::now();
    assert!(handshake(dir.path(), address).is_err());
    assert!(started.elapsed() < SOON);
    assert!(!server.join().unwrap());
}

/// Ends what it holds.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// openssl's server with these words; `None` if it does not come up.
fn s_server(dir: &Path, words: &[&str]) -> Option<(Running, SocketAddr)> {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args([
        "s_server",
        "-quiet",
        "-cert",
        "cert.pem",
        "-key",
        "key.pem",
        "-accept",
        &address.to_string(),
    ]);
    openssl.args(words).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Running(openssl.spawn().ok()?);
    for _ in 0..100 {
        if TcpStream::connect(address).is_ok() {
            return Some((server, address));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

#[test]
fn tls_before_1_2_is_not_spoken() {
    let Some(dir) = certificate() else { return };
    // The same program and words, but for the version: it is this that is refused.
    let weak = ["-cipher", "ALL:@SECLEVEL=0"];
    let (_server, address) = s_server(dir.path(), &[&["-tls1_2"], &weak[..]].concat()).unwrap();
    handshake(dir.path(), address).unwrap();
    for version in ["-tls1_1", "-tls1"] {
        let Some((_server, address)) = s_server(dir.path(), &[&[version], &weak[..]].concat()) else {
            continue;
        };
        let error = handshake(dir.path(), address).unwrap_err();
        assert!(!error.contains("too long"), "{version}: {error}");
    }
    // A server that answers with 1.1, 1.0 or SSL 3.0 whatever it was offered.
    for minor in [2, 1, 0] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            // ServerHello: version, random, no session, TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, no compression.
            let mut hello = vec![3, minor];
            hello.extend([7; 32]);
            hello.extend([0, 0xc0, 0x09, 0]);
            let mut record = vec![22, 3, minor, 0, hello.len() as u8 + 4, 2, 0, 0, hello.len() as u8];
            record.extend(hello);
            let _ = stream.write_all(&record);
            // The alert that it is answered with.
            let mut answer = [0; 7];
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            stream.read_exact(&mut answer).unwrap();
            (answer[0], answer[5], answer[6])
        });
        let error = handshake(dir.path(), address).unwrap_err();
        assert!(!error.contains("too long"), "3.{minor}: {error}");
        let (kind, level, description) = server.join().unwrap();
        assert_eq!((kind, level), (21, 2), "a fatal alert");
        assert!([70, 47, 50].contains(&description), "3.{minor}: {description}");
    }
}

/// A read in a poll loop comes back although the server goes on sending what carries nothing; nothing is lost by that.
#[test]
fn tickets_without_end_do_not_hold_up_a_loop() {
    let Some(dir) = certificate() else { return };
    let mut config = server_config(dir.path(), 1);
    // Less than the kernel keeps, more than is read at a go.
    config.send_tls13_tickets = 500;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), stream);
        stream.write_all(b"hello").unwrap();
        stream.flush().unwrap();
        stream
    });
    let (wire, _) = Wire::connect(&[address], None, Instant::now() + SOON).unwrap();
    let clock: tls::Clock = Arc::new(|| None);
    let tls = tls::Settings { ca: dir.path().join("cert.pem"), identity: None, insecure: true, clock };
    let mut link = tls::Client::new(&tls).unwrap().handshake("127.0.0.1", wire).unwrap();
    link.never_wait().unwrap();
    let stream = server.join().unwrap();
    let (mut turns, mut block) = (0, [0; 100]);
    let begun = Instant::now();
    let length = loop {
        match link.read(&mut block) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => turns += 1,
            done => break done.unwrap(),
        }
        assert!(begun.elapsed() < SOON, "after {turns} turns");
    };
    assert_eq!(&block[..length], b"hello");
    assert!(turns > 1, "all the tickets were read at one go");
    drop(stream);
}

#[test]
fn renegotiation_is_not_done() {
    let Some(dir) = certificate() else { return };
    let (mut server, address) = s_server(dir.path(), &["-tls1_2"]).unwrap();
    let clock: tls::Clock = Arc::new(|| None);
    let tls = tls::Settings { ca: dir.path().join("cert.pem"), identity: None, insecure: true, clock };
    let settings = Settings {
        timeout: Duration::from_secs(2),
        tls: Some(Arc::new(tls::Client::new(&tls).unwrap())),
        ..settings(&format!("https://{address}/"))
    };
    let mut stdin = server.0.stdin.take().unwrap();
    let asking = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        // openssl's word for a renegotiation, if it stands alone on its line.
        for _ in 0..3 {
            let _ = stdin.write_all(b"R\n");
            std::thread::sleep(Duration::from_millis(100));
        }
        stdin
    });
    let started = Instant::now();
    assert!(Session::new(settings).unwrap().post(INFORM).is_err());
    assert!(started.elapsed() < SOON);
    asking.join().unwrap();
}
