//! Files over HTTP and HTTPS: with nginx, and with servers that misbehave.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "tls")]

#[path = "support/files.rs"]
mod files;
#[path = "support/scripted.rs"]
mod scripted;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use files::{Side, content, expect, free_port, has, nginx, trusting};
use rcwmp::http::auth::{self, Algorithm, Authorization, Credentials};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use scripted::{Scripted, Seen, Step, step};

#[test]
fn nginx_plain() {
    if !has("nginx") || !has("openssl") {
        return;
    }
    let (port, large) = (free_port(), content(3_000_001));
    let blocks = format!(
        "server {{ listen 127.0.0.1:{port}; location = /no {{ deny all; }}
           location /locked {{ auth_basic x; auth_basic_user_file DIR/users; }}
           location /moved {{ return 302 /large; }} location /broken {{ return 503; }}
           location /slow {{ alias DIR/www/large; limit_rate 50k; }}
           location /put/ {{ dav_methods PUT; create_full_put_path on; client_max_body_size 2m; }}
           location /private/ {{ dav_methods PUT; auth_basic x; auth_basic_user_file DIR/users; }} }}"
    );
    let files: &[(&str, &[u8])] =
        &[("large", &large), ("empty", b""), ("locked", b"secret file"), ("no", b"x"), ("private/x", b"")];
    let server = nginx(&[port], &blocks, files);
    let url = |path: &str| format!("http://127.0.0.1:{port}/{path}");

    let mut side = Side::new();
    assert_eq!(side.get(&url("large")).unwrap(), large);
    assert_eq!(side.get(&url("moved")).unwrap(), large);
    assert_eq!(side.get(&url("empty")).unwrap(), b"");
    side.job.size = 17;
    assert_eq!(side.get(&url("large")).unwrap(), large, "a wrong FileSize is no failure");
    side.job.size = 0;
    side.refused(&url("none"), 9016, "404");
    side.refused(&url("no"), 9016, "403");
    side.refused(&url("broken"), 9010, "503");
    side.refused(&url("locked"), 9012, "user name");
    side.limits.max_size = 3_000_000;
    side.refused(&url("large"), 9010, "larger than 3000000");
    side.limits.max_size = 3_000_001;
    assert_eq!(side.get(&url("large")).unwrap(), large);

    let mut known = Side::new().with_login("cpe", "s3cret");
    assert_eq!(known.get(&url("locked")).unwrap(), b"secret file");
    assert_eq!(known.get(&url("large")).unwrap(), large);
    Side::new().with_login("cpe", "s3cret wrong").refused(&url("locked"), 9012, "refused");

    for body in [&large[..1_500_000], b"one", b""] {
        assert_eq!(usize::try_from(side.put(&url("put/a/b"), body).unwrap().size).unwrap(), body.len());
        assert_eq!(server.read("www/put/a/b"), body);
    }
    known.put(&url("private/x"), &large[..900_000]).unwrap();
    assert_eq!(server.read("www/private/x"), &large[..900_000]);
    expect(side.put(&url("private/x"), b"changed"), 9012, "user name");
    expect(side.put(&url("no"), b"x"), 9016, "403");
    expect(side.put(&url("large"), b"x"), 9016, "405");
    expect(side.put(&url("put/large"), &large[..2_500_000]), 9011, "413");
    assert_eq!(server.read("www/private/x"), &large[..900_000]);

    let mut slow = Side::new();
    slow.cancel_in(700);
    let start = Instant::now();
    slow.refused(&url("slow"), 9010, "called off");
    assert!(start.elapsed() < Duration::from_millis(1700), "{:?}", start.elapsed());
    let mut slow = Side::new();
    slow.time = Duration::from_millis(700);
    let start = Instant::now();
    slow.refused(&url("slow"), 9017, "too long");
    assert!(start.elapsed() < Duration::from_millis(1700), "{:?}", start.elapsed());
}

#[test]
fn nginx_tls() {
    if !has("nginx") || !has("openssl") {
        return;
    }
    let (port, mutual) = (free_port(), free_port());
    let tls = "ssl_certificate CERTS/server.pem; ssl_certificate_key CERTS/server.key;";
    let blocks = format!(
        "server {{ listen 127.0.0.1:{port} ssl; {tls}
           location /put/ {{ dav_methods PUT; auth_basic x; auth_basic_user_file DIR/users; }}
           location /down {{ return 302 http://127.0.0.1:{port}/file; }} }}
         server {{ listen 127.0.0.1:{mutual} ssl; {tls}
           ssl_client_certificate CERTS/ca.pem; ssl_verify_client optional;
           if ($ssl_client_verify != SUCCESS) {{ return 403; }} }}"
    );
    let server = nginx(&[port, mutual], &blocks, &[("file", &content(100_000)), ("put/x", b"")]);
    let url = |port: u16, path: &str| format!("https://127.0.0.1:{port}/{path}");

    let mut side = Side::new().with_tls(trusting("ca", false)).with_login("cpe", "s3cret");
    assert_eq!(side.get(&url(port, "file")).unwrap(), content(100_000));
    side.refused(&url(port, "down"), 9010, "from TLS to plain");
    side.refused(&format!("https://localhost:{port}/file"), 9012, "for another host");
    side.put(&url(port, "put/x"), &content(300_000)).unwrap();
    assert_eq!(server.read("www/put/x"), content(300_000));
    Side::new().with_tls(trusting("other", false)).refused(&url(port, "file"), 9012, "nobody we trust");
    Side::new().refused(&url(port, "file"), 9013, "TLS");
    side.refused(&url(mutual, "file"), 9016, "403");
    side = side.with_tls(trusting("ca", true));
    assert_eq!(side.get(&url(mutual, "file")).unwrap(), content(100_000));
}

#[test]
fn nobody_there() {
    let mut side = Side::new();
    side.refused(&format!("http://127.0.0.1:{}/x", free_port()), 9015, "refused");
    side.refused("http://no-such-host.invalid/x", 9015, "no-such-host.invalid");
    side.refused("tftp://127.0.0.1/x", 9013, "none of");
    side.refused("http://u:p@127.0.0.1/x", 9003, "user name");
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", mute.local_addr().unwrap());
    side.cancel_in(300);
    let start = Instant::now();
    side.refused(&url, 9010, "called off");
    assert!(start.elapsed() < Duration::from_millis(1300), "{:?}", start.elapsed());
    Side::new().idle(300).refused(&url, 9015, "too long");
    let mut secure = Side::new().idle(300).with_tls(trusting("ca", false));
    secure.refused(&url.replace("http:", "https:"), 9015, "handshake took too long");
}

#[test]
fn our_own_files() {
    let mut side = Side::new();
    let acs = Scripted::start(vec![]);
    side.job.direction = rcwmp::transfer::Direction::Upload { from: side.file() };
    side.job.url = acs.url();
    let go = |side: &Side| {
        rcwmp::transfer::run(&side.job, &side.limits, &side.cancel, Instant::now() + Duration::from_secs(9))
    };
    expect(go(&side), 9011, "cannot open");
    side.job.direction = rcwmp::transfer::Direction::Upload { from: "/dev/zero".into() };
    expect(go(&side), 9011, "not a regular file");
    side.limits.max_size = 3;
    expect(side.put(&acs.url(), b"1234"), 9011, "larger than 3");
    acs.finish();
}

fn proves(seen: &Seen, method: &str, body: &[u8]) -> bool {
    let Some(Ok(Authorization::Digest(answer))) = seen.header("authorization").map(auth::parse_authorization)
    else {
        return false;
    };
    answer.proves(&Credentials::new("cpe", "s3cret"), "files", method, body) && answer.uri == seen.target()
}

#[test]
fn digests() {
    let file = content(50_000);
    for algorithm in [Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256] {
        let stale = auth::digest_challenge("files", "n2", algorithm, true);
        let server = Scripted::start(vec![
            step()
                .status(401)
                .header("WWW-Authenticate", &auth::digest_challenge("files", "n1", algorithm, false)),
            step().status(401).header("WWW-Authenticate", &stale),
            step().status(200).body(&file).header("Set-Cookie", "session=1"),
        ]);
        assert_eq!(Side::new().with_login("cpe", "s3cret").get(&server.url()).unwrap(), file);
        let seen = server.finish();
        assert!(seen[0].header("authorization").is_none());
        assert!(proves(&seen[1], "GET", b"") && proves(&seen[2], "GET", b""));
        assert!(seen.iter().all(|seen| seen.header("cookie").is_none() && seen.method() == "GET"));
    }
    let only_int = "Digest realm=\"files\", nonce=\"n\", qop=\"auth-int\"";
    let server =
        Scripted::start(vec![step().status(401).header("WWW-Authenticate", only_int), step().status(201)]);
    Side::new().idle(800).with_login("cpe", "s3cret").put(&server.url(), &file).unwrap();
    let seen = server.finish();
    assert!(proves(&seen[1], "PUT", &file));
    assert_eq!(seen[1].body, file);
    assert_eq!(seen[1].header("content-length"), Some("50000"));
    let server = Scripted::start(vec![
        step().status(401).header("WWW-Authenticate", only_int),
        step().status(401).header("WWW-Authenticate", only_int),
    ]);
    Side::new().with_login("cpe", "s3cret").refused(&server.url(), 9012, "refused");
    server.finish();
    for challenge in ["NTLM", "Digest realm=\"x", "Digest realm=\"x\", nonce=\"n\", algorithm=X"] {
        let server = Scripted::start(vec![step().status(401).header("WWW-Authenticate", challenge)]);
        Side::new().with_login("cpe", "s3cret").refused(&server.url(), 9012, "");
        server.finish();
    }
}

#[test]
fn redirects() {
    let again = |location: &str| step().status(302).header("Location", location);
    let five = || (0..5).map(|at| again(&format!("/{at}"))).collect::<Vec<_>>();
    let server = Scripted::start([five(), vec![step().status(200).body("x")]].concat_steps());
    assert_eq!(Side::new().get(&server.url()).unwrap(), b"x");
    server.finish();
    let server = Scripted::start([five(), vec![again("/5")]].concat_steps());
    Side::new().refused(&server.url(), 9010, "without end");
    server.finish();
    for bad in ["", "ftp://127.0.0.1/x", "file:///etc/passwd", "javascript:alert(1)", "http://u:p@h/"] {
        let server = Scripted::start(vec![again(bad)]);
        Side::new().refused(&server.url(), 9010, "redirects");
        server.finish();
    }
    let server = Scripted::start(vec![step().status(302)]);
    Side::new().refused(&server.url(), 9010, "to nowhere");
    server.finish();

    // Credentials stay with the server they are for, whatever another asks.
    let basic = || step().status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
    for how in [basic(), step().status(200).body("x")] {
        let (is_asked, mut side) = (how_asks(&how), Side::new().with_login("cpe", "s3cret"));
        let other = Scripted::start(vec![how]);
        let server = Scripted::start(vec![basic(), again(&other.url())]);
        match is_asked {
            true => side.refused(&server.url(), 9012, "user name"),
            false => assert_eq!(side.get(&server.url()).unwrap(), b"x"),
        }
        assert!(server.finish()[1].header("authorization").is_some());
        assert!(other.finish()[0].header("authorization").is_none());
    }
    // And a PUT is repeated whole where it is sent to.
    let server = Scripted::start(vec![step().status(307).header("Location", "/there"), step().status(204)]);
    Side::new().idle(800).put(&server.url(), b"log").unwrap();
    let seen = server.finish();
    assert_eq!((seen[1].method(), seen[1].target(), seen[1].text().as_str()), ("PUT", "/there", "log"));
}

fn how_asks(step: &Step) -> bool {
    step.is_status("401")
}

trait Concat {
    fn concat_steps(self) -> Vec<Step>;
}

impl<const N: usize> Concat for [Vec<Step>; N] {
    fn concat_steps(self) -> Vec<Step> {
        self.into_iter().flatten().collect()
    }
}

#[test]
fn bodies_that_break_off() {
    let broken = |answer: &[u8], code: u16, words: &str| {
        let server = Scripted::start(vec![step().raw(answer).close()]);
        let start = Instant::now();
        Side::new().refused(&server.url(), code, words);
        assert!(start.elapsed() < Duration::from_secs(3), "{answer:?}");
        server.finish();
    };
    broken(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123456789", 9017, "broke off");
    broken(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 9017, "broke off");
    broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", 9017, "broke off");
    broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n1", 9017, "");
    broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n1", 9017, "");
    broken(b"HTTP/1.1 200 OK\r\nContent-Length: 5368709120\r\n\r\n123", 9010, "larger than");
    broken(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n123", 9010, "");
    broken(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n123", 9010, "");
    broken(b"HTTP/1.1 200 OK\r\nContent-Le", 9015, "");
    broken(b"", 9015, "");
    broken(b"SSH-2.0-OpenSSH\r\n", 9010, "not HTTP");
    broken(b"HTTP/1.1 204 No Content\r\n\r\n", 9010, "204");
    broken(b"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\n1", 9010, "206");
    broken(&[&b"HTTP/1.1 200 OK\r\nX: "[..], &[b'x'; 100_000]].concat(), 9010, "");

    let server = Scripted::start(vec![step().raw("HTTP/1.0 200 OK\r\n\r\nall of it").close()]);
    assert_eq!(Side::new().get(&server.url()).unwrap(), b"all of it");
    server.finish();
    let server = Scripted::start(vec![step().status(200).body("in small pieces").chunked()]);
    assert_eq!(Side::new().get(&server.url()).unwrap(), b"in small pieces");
    server.finish();
}

#[test]
fn bodies_that_do_not_end() {
    // Stalled: the time for each octet. Dripping: the time in all.
    let stalled = step().raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
    let server = Scripted::start(vec![stalled]);
    let start = Instant::now();
    Side::new().idle(400).refused(&server.url(), 9017, "broke off");
    assert!(start.elapsed() < Duration::from_secs(2));
    let drip = step().status(200).body([b'x'; 1000]).drip(Duration::from_millis(10));
    let server = Scripted::start(vec![drip]);
    let mut side = Side::new().idle(1200);
    side.time = Duration::from_millis(2500);
    side.refused(&server.url(), 9017, "too long");
    drop(server);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let endless = thread::spawn(move || {
        for (head, piece) in [
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                format!("1000\r\n{}\r\n", "x".repeat(4096)),
            ),
            ("HTTP/1.0 200 OK\r\n\r\n", "y".repeat(4096)),
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(head.as_bytes()).unwrap();
            while stream.write_all(piece.as_bytes()).is_ok() {}
        }
    });
    let mut side = Side::new();
    side.limits.max_size = 2_000_000;
    side.refused(&url, 9010, "larger than 2000000");
    side.limits.max_size = u64::MAX;
    side.limits.reserve = u64::MAX;
    side.refused(&url, 9010, "no room");
    endless.join().unwrap();

    side.limits = rcwmp::transfer::Limits { max_size: u64::MAX, ..side.limits };
    side.job.size = 1 << 50;
    side.refused(&url, 9010, "no room");
}

/// Without close_notify nobody knows whether a body without a length is whole.
#[test]
fn a_tls_body_cut_by_the_network() {
    if !has("openssl") {
        return;
    }
    let dir = files::certificates();
    let chain = CertificateDer::pem_file_iter(dir.join("server.pem")).unwrap().flatten().collect();
    let key = PrivateKeyDer::from_pem_file(dir.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    for is_ended in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/x", listener.local_addr().unwrap());
        let config = config.clone();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhalf of it").unwrap();
            if is_ended {
                stream.conn.send_close_notify();
            }
            stream.flush().unwrap();
        });
        let mut side = Side::new().with_tls(trusting("ca", false));
        match is_ended {
            true => assert_eq!(side.get(&url).unwrap(), b"half of it"),
            false => side.refused(&url, 9017, "broke off"),
        }
        server.join().unwrap();
    }
}

#[test]
fn uploads_that_break_off() {
    let file = content(3_000_000);
    // One that takes a little and hangs up; one that takes all and never answers; one that stalls.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let accept = || listener.accept().unwrap().0;
        let mut stream: TcpStream = accept();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 65_536]).unwrap();
        drop(stream);
        let mut stream = accept();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let stream = accept();
        thread::sleep(Duration::from_secs(2));
        drop(stream);
        all.len()
    });
    let mut side = Side::new().idle(900);
    expect(side.put(&url, &file), 9011, "broke off");
    expect(side.put(&url, &file), 9011, "too long");
    let start = Instant::now();
    expect(side.put(&url, &file), 9011, "too long");
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(server.join().unwrap() > file.len());
    for status in [500, 507] {
        let server = Scripted::start(vec![step().status(status).body("full")]);
        expect(Side::new().idle(800).put(&server.url(), b"log"), 9011, "\"full\"");
        server.finish();
    }
}
