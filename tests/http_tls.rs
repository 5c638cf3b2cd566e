//! TLS against certificates that openssl made: right and wrong hosts, clocks, trust and age.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "tls")]

#[cfg(feature = "lab")]
#[path = "support/agent.rs"]
mod agent;
#[cfg(feature = "lab")]
#[path = "support/messages.rs"]
mod messages;
#[path = "support/scripted.rs"]
mod scripted;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use rcwmp::http::HttpError;
use rcwmp::http::auth::Credentials;
use rcwmp::http::client::{Post, Session, Settings};
use rcwmp::http::tls::{self, Clock, TlsError};
use rcwmp::http::wire::{Secure, Wire};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use scripted::{Scripted, Step, step};

/// Certificates made once for all tests; `None` if there is no openssl.
fn lab() -> Option<&'static Path> {
    static LAB: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let made = LAB.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let openssl = |line: &str| {
            let done = Command::new("openssl")
                .args(line.split('|'))
                .current_dir(root)
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .ok()?;
            assert!(done.success(), "openssl {line}");
            Some(())
        };
        let new_key = "-newkey|ec|-pkeyopt|ec_paramgen_curve:prime256v1|-nodes";
        for ca in ["ca", "other"] {
            openssl(&format!("req|-x509|{new_key}|-keyout|{ca}.key|-out|{ca}.pem|-days|30|-subj|/CN=Test {ca}"))?;
        }
        for (name, common, extensions) in [
            ("right", "x", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
            ("wrong", "127.0.0.1", "subjectAltName=DNS:elsewhere.example"),
            ("cn", "127.0.0.1", "basicConstraints=CA:FALSE"),
            ("cnwrong", "elsewhere.example", "basicConstraints=CA:FALSE"),
            ("client", "000000-X-1", "extendedKeyUsage=clientAuth"),
        ] {
            std::fs::write(root.join(format!("{name}.ext")), extensions).unwrap();
            openssl(&format!("req|{new_key}|-keyout|{name}.key|-out|{name}.csr|-subj|/CN={common}"))?;
            openssl(&format!(
                "x509|-req|-in|{name}.csr|-CA|ca.pem|-CAkey|ca.key|-CAcreateserial|-days|30|-extfile|{name}.ext|-out|{name}.pem"
            ))?;
        }
        openssl(&format!("req|-x509|{new_key}|-keyout|self.key|-out|self.pem|-days|30|-subj|/CN=127.0.0.1"))?;
        openssl("req|-newkey|rsa:2048|-nodes|-keyout|v1.key|-out|v1.csr|-subj|/CN=127.0.0.1")?;
        openssl("x509|-req|-in|v1.csr|-signkey|v1.key|-days|30|-out|v1.pem")?;
        Some(dir)
    });
    if made.is_none() {
        std::io::stderr().write_all(b"skipped: openssl not installed\n").unwrap();
    }
    made.as_ref().map(|dir| dir.path())
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn clock(time: Option<u64>) -> Clock {
    Arc::new(move || time)
}

fn trusting(ca: PathBuf) -> tls::Settings {
    tls::Settings { ca, identity: None, insecure: false, clock: clock(Some(now())) }
}

fn server_config(lab: &Path, name: &str, wants_client: bool) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::pem_file_iter(lab.join(format!("{name}.pem"))).unwrap().flatten().collect();
    let key = PrivateKeyDer::from_pem_file(lab.join(format!("{name}.key"))).unwrap();
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match wants_client {
        false => builder.with_no_client_auth(),
        true => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(lab.join("ca.pem")).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder.with_single_cert(chain, key).unwrap()
}

fn secure_acs(config: ServerConfig, kinds: Arc<Mutex<Vec<HandshakeKind>>>, steps: Vec<Step>) -> Scripted {
    let config = Arc::new(config);
    Scripted::start_with("127.0.0.1:0", "https", steps, move |mut stream: TcpStream| {
        let mut conn = ServerConnection::new(config.clone()).unwrap();
        while conn.is_handshaking() {
            conn.complete_io(&mut stream).ok()?;
        }
        kinds.lock().unwrap().extend(conn.handshake_kind());
        Some(Box::new(StreamOwned::new(conn, stream)))
    })
}

/// One session of two posts with the server `name`.
fn talk(name: &str, tls: &tls::Settings) -> Result<(), HttpError> {
    let lab = lab().unwrap();
    let acs = secure_acs(
        server_config(lab, name, false),
        Arc::default(),
        vec![step().status(200).body("x"), step().status(204)],
    );
    let client = tls::Client::new(tls).unwrap();
    let settings = Settings {
        tls: Some(Arc::new(client)),
        timeout: Duration::from_secs(5),
        credentials: Credentials::new("cpe", "secret"),
        ..Settings::new(acs.url())
    };
    let mut session = Session::new(settings).unwrap();
    session.post(Post::Soap(b"<soap/>"))?;
    session.post(Post::Empty)?;
    assert_eq!(session.connects(), 1);
    let seen = acs.finish();
    assert!(seen.iter().all(|seen| seen.header("authorization") == Some("Basic Y3BlOnNlY3JldA==")));
    Ok(())
}

fn refused(name: &str, tls: &tls::Settings, expected: &str) {
    match talk(name, tls) {
        Err(HttpError::Tls(host, why)) if why.contains(expected) && host.starts_with("127.0.0.1:") => {}
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn hosts_and_chains() {
    let Some(lab) = lab() else { return };
    let ca = trusting(lab.join("ca.pem"));
    talk("right", &ca).unwrap();
    refused("wrong", &ca, "for another host");
    refused("right", &trusting(lab.join("other.pem")), "nobody we trust");
    refused("self", &ca, "CaUsedAsEndEntity");
}

#[test]
fn a_directory_of_certificates() {
    let Some(lab) = lab() else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(lab.join("other.pem"), dir.path().join("a.pem")).unwrap();
    std::fs::copy(lab.join("ca.pem"), dir.path().join("b.crt")).unwrap();
    std::fs::write(dir.path().join("README"), "no certificate").unwrap();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    talk("right", &trusting(dir.path().into())).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let error = tls::Client::new(&trusting(empty.path().into())).unwrap_err();
    assert_eq!(error, TlsError::NoCertificates(empty.path().into()));
    assert!(matches!(tls::Client::new(&trusting("/nonexistent".into())), Err(TlsError::Unreadable(..))));
}

#[test]
fn dates_count_only_once_the_clock_is_set() {
    let Some(lab) = lab() else { return };
    for (name, ca) in [("right", "ca.pem"), ("self", "self.pem")] {
        let at = |time| tls::Settings { clock: clock(time), ..trusting(lab.join(ca)) };
        talk(name, &at(Some(now()))).unwrap();
        talk(name, &at(None)).unwrap();
        refused(name, &at(Some(now() + 366 * 86_400)), "expired");
        refused(name, &at(Some(now() - 366 * 86_400)), "not valid yet");
    }
    let unset = tls::Settings { clock: clock(None), ..trusting(lab.join("ca.pem")) };
    refused("wrong", &unset, "for another host");
    refused("self", &unset, "CaUsedAsEndEntity");
}

#[test]
fn old_certificates() {
    let Some(lab) = lab() else { return };
    let ca = trusting(lab.join("ca.pem"));
    talk("cn", &ca).unwrap();
    refused("cnwrong", &ca, "for another host");
    talk("self", &trusting(lab.join("self.pem"))).unwrap();
}

#[test]
fn insecure_means_insecure() {
    let Some(lab) = lab() else { return };
    let blind = tls::Settings { insecure: true, ..trusting("/nonexistent".into()) };
    for name in ["right", "wrong", "self", "cnwrong"] {
        talk(name, &blind).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let _ = lab;
}

#[test]
fn a_client_certificate_when_asked() {
    let Some(lab) = lab() else { return };
    let meet = |identity| {
        let config = server_config(lab, "right", true);
        let acs = secure_acs(config, Arc::default(), vec![step().status(204)]);
        let client = tls::Client::new(&tls::Settings { identity, ..trusting(lab.join("ca.pem")) }).unwrap();
        let tls: Option<Arc<dyn Secure>> = Some(Arc::new(client));
        let settings = Settings { tls, timeout: Duration::from_secs(5), ..Settings::new(acs.url()) };
        Session::new(settings).unwrap().post(Post::Empty)
    };
    assert_eq!(meet(Some((lab.join("client.pem"), lab.join("client.key")))).unwrap().status, 204);
    assert!(meet(None).is_err());
    let mixed = Some((lab.join("client.pem"), lab.join("right.key")));
    let error =
        tls::Client::new(&tls::Settings { identity: mixed, ..trusting(lab.join("ca.pem")) }).unwrap_err();
    assert!(matches!(error, TlsError::BadIdentity(_)), "{error}");
}

#[test]
fn sessions_resume_one_another() {
    let Some(lab) = lab() else { return };
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let acs = secure_acs(
        server_config(lab, "right", false),
        kinds.clone(),
        vec![step().status(200).body("x"), step().status(204)],
    );
    let client: Arc<dyn Secure> = Arc::new(tls::Client::new(&trusting(lab.join("ca.pem"))).unwrap());
    for _ in 0..2 {
        let settings = Settings { tls: Some(client.clone()), ..Settings::new(acs.url()) };
        Session::new(settings).unwrap().post(Post::Empty).unwrap();
    }
    acs.finish();
    assert_eq!(*kinds.lock().unwrap(), [HandshakeKind::Full, HandshakeKind::Resumed]);
}

#[test]
fn a_peer_that_speaks_no_tls() {
    let Some(lab) = lab() else { return };
    let client = tls::Client::new(&trusting(lab.join("ca.pem"))).unwrap();
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x15\x03\x03\x00\x02\x02\x28", b""] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(answer);
        });
        let deadline = Instant::now() + Duration::from_secs(5);
        let (wire, _) = Wire::connect(&[address], None, deadline).unwrap();
        assert!(client.handshake("127.0.0.1", wire).is_err());
        server.join().unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let deadline = Instant::now() + Duration::from_millis(300);
    let (wire, _) = Wire::connect(&[listener.local_addr().unwrap()], None, deadline).unwrap();
    assert_eq!(client.handshake("127.0.0.1", wire).unwrap_err(), "the handshake took too long");
}

/// openssl as the server, because rustls serves no version 1 certificate.
#[test]
fn version_1_certificates_in_the_store() {
    let Some(lab) = lab() else { return };
    for version in ["-tls1_3", "-tls1_2"] {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new("openssl")
            .args([
                "s_server",
                "-quiet",
                version,
                "-accept",
                &port.to_string(),
                "-cert",
                "v1.pem",
                "-key",
                "v1.key",
            ])
            .current_dir(lab)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let attempt = |ca: &str, host: &str| {
            let client = tls::Client::new(&trusting(lab.join(ca))).unwrap();
            let address = ([127, 0, 0, 1], port).into();
            let deadline = Instant::now() + Duration::from_secs(5);
            let wire = loop {
                match Wire::connect(&[address], None, deadline) {
                    Ok((wire, _)) => break wire,
                    Err(error) => assert!(Instant::now() < deadline, "{error}"),
                }
                std::thread::sleep(Duration::from_millis(20));
            };
            client.handshake(host, wire).map(drop)
        };
        let results = [
            attempt("v1.pem", "127.0.0.1"),
            attempt("v1.pem", "other.example"),
            attempt("ca.pem", "127.0.0.1"),
        ];
        server.kill().unwrap();
        server.wait().unwrap();
        let facts = results.map(|result| result.err().unwrap_or_default());
        assert_eq!(facts[0], "", "{version}: trusted for itself");
        assert!(facts[1].contains("for another host"), "{version}: {}", facts[1]);
        assert!(!facts[2].is_empty(), "{version}: not trusted otherwise");
    }
}

#[test]
fn the_password_between_tls_and_plain_http() {
    let Some(lab) = lab() else { return };
    let begin = |acs: &Scripted| {
        let client = tls::Client::new(&trusting(lab.join("ca.pem"))).unwrap();
        Session::new(Settings {
            tls: Some(Arc::new(client)),
            timeout: Duration::from_secs(5),
            credentials: Credentials::new("cpe", "secret"),
            ..Settings::new(acs.url())
        })
        .unwrap()
    };
    let secure = |steps| secure_acs(server_config(lab, "right", false), Arc::default(), steps);
    let moved = |to: &Scripted| step().status(302).header("Location", &to.url());
    let basic = || step().status(401).header("WWW-Authenticate", "Basic realm=\"x\"");

    let plain = Scripted::start(vec![basic()]);
    let acs = secure(vec![moved(&plain)]);
    assert_eq!(begin(&acs).post(Post::Empty), Err(HttpError::BasicInTheClear));
    assert!(acs.finish()[0].header("authorization").is_some());
    assert!(plain.finish()[0].header("authorization").is_none());

    let target = secure(vec![basic(), step().status(204)]);
    let acs = Scripted::start(vec![moved(&target)]);
    begin(&acs).post(Post::Empty).unwrap();
    let seen = target.finish();
    assert!(seen[0].header("authorization").is_none(), "whoever sent us there was not proven");
    assert!(seen[1].header("authorization").is_some());
    acs.finish();
}

/// TR-069 3.3: TLS 1.2 at the least is offered, and the server's name is told (SNI).
#[test]
fn what_the_handshake_offers() {
    let Some(lab) = lab() else { return };
    let client = tls::Client::new(&trusting(lab.join("ca.pem"))).unwrap();
    let hello = |host: &str| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = vec![0; 4096];
            let length = stream.read(&mut hello).unwrap();
            hello.truncate(length);
            hello
        });
        let deadline = Instant::now() + Duration::from_secs(5);
        let (wire, _) = Wire::connect(&[address], None, deadline).unwrap();
        client.handshake(host, wire).unwrap_err();
        server.join().unwrap()
    };
    let holds = |hello: &[u8], part: &[u8]| hello.windows(part.len()).any(|window| window == part);
    let named = hello("acs.example.org");
    assert!(holds(&named, b"acs.example.org"));
    // RFC 8446 4.2.1, supported_versions: 1.3 and 1.2 in four octets, and no other.
    let versions = |one: u8, other: u8| [0, 43, 0, 5, 4, 3, one, 3, other];
    assert!(holds(&named, &versions(4, 3)) || holds(&named, &versions(3, 4)), "{named:x?}");
    assert!(!holds(&hello("127.0.0.1"), b"127.0.0.1"), "an address is no name");
}

/// TR-069 3.4.2: an ACS at plain HTTP may redirect to HTTPS, where the certificate is checked for the new host.
#[test]
#[cfg(feature = "lab")]
fn the_agent_goes_where_plain_http_sends_it() {
    let Some(lab) = lab() else { return };
    for (name, ca, good) in
        [("right", "ca.pem", true), ("wrong", "ca.pem", false), ("right", "other.pem", false)]
    {
        let steps = match good {
            true => vec![
                step().computed(|seen| step().status(200).body(messages::inform_response(&seen.text()))),
                step().status(204),
            ],
            false => vec![],
        };
        let target = secure_acs(server_config(lab, name, false), Arc::default(), steps);
        let acs = Scripted::start(vec![step().status(302).header("Location", &target.url())]);
        let router = agent::Router::new(&acs.url());
        router.set("acs", "get_rpc_methods", "0");
        std::fs::copy(lab.join(ca), router.root().join("etc/ca.pem")).unwrap();
        router.set("acs", "ssl_capath", "/etc/ca.pem");
        let running = router.start(&[]);
        running.wait_for("Waiting the next session", 1);
        assert_eq!(running.log().contains("End session"), good, "{name} {ca}: {}", running.log());
        assert_eq!(running.log().contains("certificate"), !good, "{name} {ca}: {}", running.log());
        drop(running);
        assert_eq!(target.finish().len(), if good { 2 } else { 0 });
        acs.finish();
    }
}

/// The agent's own certificate is configured beside those it trusts (TR-069 3.4.4).
#[test]
#[cfg(feature = "lab")]
fn the_agent_shows_its_certificate() {
    let Some(lab) = lab() else { return };
    let steps = vec![
        step().computed(|seen| step().status(200).body(messages::inform_response(&seen.text()))),
        step().status(204),
    ];
    let acs = secure_acs(server_config(lab, "right", true), Arc::default(), steps);
    let router = agent::Router::new(&acs.url());
    router.set("acs", "get_rpc_methods", "0");
    for name in ["ca.pem", "client.pem", "client.key"] {
        std::fs::copy(lab.join(name), router.root().join("etc").join(name)).unwrap();
    }
    router.set("acs", "ssl_capath", "/etc/ca.pem");
    router.set("acs", "ssl_cert", "/etc/client.pem");
    let half = router.run(&["validate"]);
    assert!(String::from_utf8_lossy(&half.stderr).contains("ssl_cert and ssl_key"), "{half:?}");
    router.set("acs", "ssl_key", "/etc/client.key");
    assert!(router.run(&["validate"]).status.success());
    let running = router.start(&[]);
    running.wait_for("End session", 1);
    drop(running);
    assert_eq!(acs.finish().len(), 2);
}
