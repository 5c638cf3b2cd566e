//! Connection requests over XMPP (TR-069 Annex K), by prosody and by servers that are none.
#![cfg(all(feature = "lab", feature = "xmpp", feature = "tls"))]
#![allow(clippy::unwrap_used)]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/prosody.rs"]
mod prosody;
#[path = "support/scripted.rs"]
mod scripted;
#[path = "support/xmpp_server.rs"]
mod xmpp_server;

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use agent::{Agent, Router, free_port};
use hmac::{Hmac, Mac};
use messages::{get_values, set_values};
use play::{end, has, inform, inform_with, methods, say, stays_quiet, value};
use prosody::{HASHED, Peer, Prosody, SECRET, base64};
use rcwmp::connreq::xmpp::client::{Account, Fault, Online, Stats, login};
use rcwmp::connreq::xmpp::request::{self, Rule};
use rcwmp::http::auth::Credentials;
use rcwmp::http::tls::{Client, Settings};
use rcwmp::http::wire::{Secure, Wire};
use rcwmp::lab::router::{CONNECTION_REQUEST_USER as USER, PASSWORD};
use scripted::{Scripted, Step, step};
use sha1::Sha1;

fn tls(ca: PathBuf) -> Client {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    Client::new(&Settings { ca, identity: None, insecure: false, clock: Arc::new(move || Some(now)) })
        .unwrap()
}

fn account(domain: &str, use_tls: bool) -> Account {
    Account {
        username: "cpe".to_owned(),
        password: SECRET.to_owned().into(),
        domain: domain.to_owned(),
        resource: "wan".to_owned(),
        use_tls,
    }
}

fn log_in(port: u16, account: &Account, tls: Option<&dyn Secure>) -> Result<Online, Fault> {
    log_in_by(Instant::now() + Duration::from_secs(20), port, account, tls)
}

fn log_in_by(
    deadline: Instant,
    port: u16,
    account: &Account,
    tls: Option<&dyn Secure>,
) -> Result<Online, Fault> {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (wire, _) = Wire::connect(&[at], None, deadline).unwrap();
    login(wire, account, tls, "fyko+d2lbbFgONRv9qkxdawL", Stats::default())
}

#[test]
fn logins_at_a_real_server() {
    let Some(prosody) = Prosody::start(free_port()) else { return };
    let ours = tls(prosody.ca("ca"));
    let check = |account: &Account| log_in(prosody.port(), account, Some(&ours));
    for domain in ["sha1.example", "sha256.example", "plain.example", HASHED] {
        let online = check(&account(domain, true)).unwrap_or_else(|why| panic!("{domain}: {why}"));
        assert_eq!((online.jid(), online.is_tls()), (format!("cpe@{domain}/wan").as_str(), true));
    }
    // What prosody asks for when nobody tells it otherwise.
    let iterations: u32 = prosody.kept(HASHED, "iteration_count").parse().unwrap();
    assert!((4096..250_000).contains(&iterations), "{iterations}");
    for domain in ["sha1.example", "sha256.example", HASHED] {
        assert!(!check(&account(domain, false)).unwrap().is_tls(), "{domain}");
    }
    let chosen = check(&Account { resource: String::new(), ..account("sha1.example", true) }).unwrap();
    assert!(chosen.jid().len() > "cpe@sha1.example/".len(), "{}", chosen.jid());

    let refused = |account: &Account| check(account).err().unwrap();
    // The password would go as it is.
    assert_eq!(refused(&account("plain.example", false)), Fault::Lacking("login that we know"));
    assert_eq!(refused(&account("acs.example", true)), Fault::Lacking("TLS"));
    for domain in ["sha1.example", "sha256.example", "plain.example"] {
        let wrong = Account { password: "wrong".to_owned().into(), ..account(domain, true) };
        let fault = refused(&wrong);
        assert_eq!(fault, Fault::NotAuthorized("not-authorized".to_owned()), "{domain}");
        assert_eq!(fault.status(), "Error_AuthenticationFailure");
    }
    let fault = refused(&account("wrong.example", true)).to_string();
    assert!(fault.contains("is for another host"), "{fault}");
    let others = tls(prosody.ca("other"));
    let fault = log_in(prosody.port(), &account("sha1.example", true), Some(&others)).err().unwrap();
    assert!(fault.to_string().contains("signed by nobody we trust"), "{fault}");
    let fault = log_in(prosody.port(), &account("sha1.example", true), None).err().unwrap();
    assert_eq!(fault, Fault::Tls("this build has none".to_owned()));
    assert!(matches!(refused(&account("unknown.example", true)), Fault::Ended(_)));
}

/// A router with a connection to a domain on this port, from the start.
fn router(url: &str, port: u16, domain: &str) -> Router {
    let router = play::router(url);
    let text = router.read("/etc/config/cwmp")
        + &format!(
            "\nconfig xmpp 'xmpp'\n\toption connection 'home'\n\nconfig xmpp_connection 'home'\n\toption enable '1'\n\
             \toption username 'cpe'\n\toption password '{SECRET}'\n\toption domain '{domain}'\n\
             \toption resource 'wan'\n\toption use_tls '1'\n\toption connect_algorithm 'ServerTable'\n\
             \toption retry_initial_interval '1'\n\toption retry_max_interval '1'\n\toption keepalive_interval '1'\n\
             \nconfig xmpp_server 'one'\n\toption enable '1'\n\toption connection 'home'\n\
             \toption address '127.0.0.1'\n\toption port '{port}'\n"
        );
    router.write("/etc/config/cwmp", &text);
    router.set("acs", "ssl_capath", "/etc/ca.pem");
    router
}

fn memory(agent: &Agent) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{}/status", agent.child.id())).unwrap();
    // Pages of the program come when they are first needed, and are no growth.
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

/// A session for a connection request, with what comes before its end.
fn requested(more: Vec<Step>) -> Vec<Step> {
    let mut steps = vec![inform_with(&["6 CONNECTION REQUEST"])];
    steps.extend(more);
    steps.push(end());
    steps
}

#[test]
fn from_a_request_to_a_session_and_through_a_restart() {
    const CONNECTION: &str = "Device.XMPP.Connection.1.";
    let Some(mut prosody) = Prosody::start(free_port()) else { return };
    let names = ["Status", "JabberID", "TLSEstablished", "LastChangeDate", "Stats.ReceivedMessages"]
        .map(|name| format!("{CONNECTION}{name}"));
    let server = "Device.ManagementServer.";
    let others = ["ConnReqJabberID", "SupportedConnReqMethods"].map(|name| format!("{server}{name}"));
    let asked: Vec<&str> = names.iter().chain(&others).map(String::as_str).collect();
    let read = say(get_values("1", &asked));
    let checked = step().computed(|seen| {
        let text = seen.text();
        let is = |name: &str, expected: &str| assert_eq!(value(&text, name), expected, "{name}");
        is(&format!("{CONNECTION}Status"), "Enabled");
        is(&format!("{CONNECTION}JabberID"), "cpe@sha256.example/wan");
        is(&format!("{CONNECTION}TLSEstablished"), "1");
        is("Device.ManagementServer.ConnReqJabberID", "cpe@sha256.example/wan");
        assert!(value(&text, "Device.ManagementServer.SupportedConnReqMethods").contains("XMPP"));
        assert!(value(&text, &format!("{CONNECTION}LastChangeDate")).as_str() > "2024");
        let received: u32 = value(&text, &format!("{CONNECTION}Stats.ReceivedMessages")).parse().unwrap();
        assert!(received >= 3, "{received}");
        let only = [("Device.ManagementServer.ConnReqAllowedJabberIDs", "xsd:string", "other@acs.example")];
        say(set_values("2", &only, ""))
    });
    let mut steps = vec![inform(), methods(), end()];
    steps.extend(requested(vec![read, checked]));
    steps.extend(requested(vec![]));
    steps.extend(requested(vec![]));
    let acs = Scripted::start(steps);
    let router = router(&acs.url(), prosody.port(), "sha256.example");
    router.write("/etc/ca.pem", &std::fs::read_to_string(prosody.ca("ca")).unwrap());
    let agent = router.start(&[]);
    agent.wait_for("XMPP connection as \"cpe@sha256.example/wan\" with TLS", 1);
    agent.wait_for("End session", 1);

    let to = "cpe@sha256.example/wan";
    let mut peer = Peer::log_in(prosody.port(), "acs");
    let answer = peer.request(to, USER, "wrong");
    has(
        &answer,
        &[
            "type='error'",
            "<error type='cancel'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>",
        ],
    );
    assert!(!answer.contains("wrong"), "{answer}");
    stays_quiet(&agent, "Start session", 1);
    let answer = peer.request(to, USER, PASSWORD);
    assert!(answer.contains("type='result'") && answer.trim().ends_with("/>"), "{answer}");
    agent.wait_for("End session", 2);
    agent.wait_for("Waiting the next session", 2);

    // Now only the other one may ask; the connection is the same.
    has(&peer.request(to, USER, PASSWORD), &["type='error'", "code='503'", "<service-unavailable "]);
    stays_quiet(&agent, "Start session", 2);
    let mut other = Peer::log_in(prosody.port(), "other");
    has(&other.request(to, USER, PASSWORD), &["type='result'"]);
    agent.wait_for("End session", 3);
    assert_eq!(agent.log().matches("XMPP connection as").count(), 1, "{}", agent.log());

    prosody.stop();
    agent.wait_for("; again in ", 1);
    thread::sleep(Duration::from_millis(500));
    prosody.restart();
    agent.wait_for("XMPP connection as", 2);
    let mut other = Peer::log_in(prosody.port(), "other");
    has(&other.request(to, USER, PASSWORD), &["type='result'"]);
    agent.wait_for("End session", 4);
    let log = agent.log();
    assert!(!log.contains(SECRET) && !log.contains(PASSWORD), "{log}");
    let (status, time) = agent.stop();
    assert!(status.success() && time < Duration::from_secs(2), "{status} after {time:?}");
    acs.finish();
}

#[test]
fn a_session_with_the_mini_acs() {
    let Some(prosody) = Prosody::start(free_port()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut acs = Command::new(env!("CARGO_BIN_EXE_rcwmpd"))
        .env("NO_COLOR", "1")
        .args(["mini-acs", "--listen", "127.0.0.1:0", "--db"])
        .arg(folder.path().join("db"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(acs.stdout.take().unwrap()).lines().map(Result::unwrap);
    let url = lines.next().unwrap();
    let url = url.split_once("http://").unwrap().1.split_whitespace().next().unwrap();
    let router = router(&format!("http://{url}"), prosody.port(), "plain.example");
    router.write("/etc/ca.pem", &std::fs::read_to_string(prosody.ca("ca")).unwrap());
    let agent = router.start(&[]);
    agent.wait_for("XMPP connection as", 1);
    agent.wait_for("Waiting the next session", 1);
    let mut peer = Peer::log_in(prosody.port(), "acs");
    has(&peer.request("cpe@plain.example/wan", USER, PASSWORD), &["type='result'"]);
    agent.wait_for("End session", 2);
    drop(agent);
    acs.kill().unwrap();
    acs.wait().unwrap();
    let seen: Vec<String> = lines.collect();
    assert!(seen.iter().any(|line| line.contains("6 CONNECTION REQUEST")), "{seen:#?}");
}

#[test]
fn stanzas_of_strangers_are_survived() {
    let Some(prosody) = Prosody::start(free_port()) else { return };
    let mut steps = vec![inform(), methods(), end()];
    steps.extend(requested(vec![]));
    let acs = Scripted::start(steps);
    let router = router(&acs.url(), prosody.port(), "sha1.example");
    router.write("/etc/ca.pem", &std::fs::read_to_string(prosody.ca("ca")).unwrap());
    let agent = router.start(&[]);
    agent.wait_for("XMPP connection as", 1);
    agent.wait_for("Waiting the next session", 1);
    let to = "cpe@sha1.example/wan";
    let mut peer = Peer::log_in(prosody.port(), "acs");
    let before = memory(&agent);
    let deep = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    for round in 0..20 {
        peer.say(&format!("<message to='{to}'><body>{}</body></message>", "x".repeat(100_000)));
        peer.say(&format!("<message to='{to}'>{}</message>", deep(500)));
        peer.say(&format!("<iq to='{to}' id='h{round}' type='get'>{}</iq>", deep(2000)));
        peer.say(&format!("<message to='{to}'>{}</message>", "<b/>".repeat(2000)));
        peer.say(&format!(
            "<presence to='{to}' type='subscribe'/><iq to='{to}' id='&lt;&amp;' type='result'/>"
        ));
        peer.say(&format!("<iq to='{to}' id='&lt;&amp;{round}' type='set'><x xmlns='&quot;&lt;'/></iq>"));
        peer.hear(&format!("&lt;&amp;{round}"));
    }
    // Guesses are slowed down, and right ones of others are not.
    for _ in 0..15 {
        peer.request(to, "x", "y");
    }
    has(&peer.request(to, "x", "y"), &["<service-unavailable "]);
    stays_quiet(&agent, "Start session", 1);
    let mut other = Peer::log_in(prosody.port(), "other");
    has(&other.request(to, USER, PASSWORD), &["type='result'"]);
    agent.wait_for("End session", 2);
    let grown = memory(&agent).saturating_sub(before);
    assert!(grown < 1024, "{grown} KB more");
    assert_eq!(agent.log().matches("XMPP connection as").count(), 1, "{}", agent.log());
    acs.finish();
}

/// A crowd of addresses has used up what strangers may guess before the ACS has said a word to this life: it is known
/// by a request to the one before, and a stranger who is right has to wait.
#[test]
fn after_a_restart_the_acs_is_known_by_its_requests() {
    let ask = |peer: &mut xmpp_server::Peer, from: &str, id: &str, password: &str| {
        peer.say(&format!(
            "<iq from='{from}' to='{}' id='{id}' type='get'><connectionRequest \
             xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'><username>{USER}</username><password>{password}\
             </password></connectionRequest></iq>",
            xmpp_server::JID
        ));
        let mut answer = peer.hear(id);
        while !answer.trim_end().ends_with("</iq>") {
            answer += &peer.hear(">");
        }
        answer
    };
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let accept = || {
        let (stream, _) = server.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut peer = xmpp_server::Peer(stream);
        peer.log_in(true);
        peer
    };
    let mut steps = vec![inform(), methods(), end()];
    steps.extend(requested(vec![]));
    steps.extend(requested(vec![]));
    let acs = Scripted::start(steps);
    let router = router(&acs.url(), server.local_addr().unwrap().port(), "sha1.example");
    router.set("home", "use_tls", "0");
    // Nobody looks at blanks here.
    router.set("home", "keepalive_interval", "0");
    let agent = router.start(&[]);
    let mut peer = accept();
    agent.wait_for("End session", 1);
    router.set("acs", "get_rpc_methods", "0");
    has(&ask(&mut peer, "acs@acs.example/desk", "first", PASSWORD), &["type=\"result\""]);
    agent.wait_for("End session", 2);
    agent.wait_for("Waiting the next session", 2);
    agent.stop();
    let text = router.read("/etc/rcwmp/state.json");
    has(&text, &["\"known_senders\":{\"proven\":[\""]);
    assert!(!text.contains("acs.example"), "a hash of the address: {text}");

    let agent = router.start(&[]);
    let mut peer = accept();
    agent.wait_for("XMPP connection as", 1);
    let mut count = 0;
    while ask(&mut peer, &format!("eve@evil{count}/x"), &format!("e{count}"), "guess")
        .contains("not-authorized")
    {
        count += 1;
        assert!(count < 1000, "a guess for every address");
    }
    assert!(count >= 64, "{count}");
    has(&ask(&mut peer, "stranger@other.example/x", "s", PASSWORD), &["service-unavailable"]);
    has(&ask(&mut peer, "acs@acs.example/elsewhere", "second", PASSWORD), &["type=\"result\""]);
    agent.wait_for("End session", 1);
    drop(agent);
    acs.finish();
}

/// In which of a process's memories that can be written some octets are.
fn memories_with(pid: u32, needle: &[u8]) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|end| u64::from_str_radix(end, 16).unwrap());
        let mut octets = vec![0; usize::try_from(to - from).unwrap()];
        memory.seek(SeekFrom::Start(from)).unwrap();
        if memory.read_exact(&mut octets).is_ok() && octets.windows(needle.len()).any(|part| part == needle) {
            found.push(line.to_owned());
        }
    }
    found
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<Sha1> as Mac>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// RFC 5802's SaltedPassword.
fn salted(salt: &str, iterations: u32) -> Vec<u8> {
    let mut round = mac(SECRET.as_bytes(), &[salt.as_bytes(), &[0, 0, 0, 1]].concat());
    let mut sum = round.clone();
    for _ in 1..iterations {
        round = mac(SECRET.as_bytes(), &round);
        sum.iter_mut().zip(&round).for_each(|(sum, octet)| *sum ^= octet);
    }
    sum
}

#[test]
fn what_a_login_was_made_of_is_overwritten() {
    // Longer than the vector registers that a search in an unoptimized build leaves on the stack.
    const GUESS: &str =
        "a guess that stands nowhere else, and that is longer than anything a processor has in a register";
    let Some(prosody) = Prosody::start(free_port()) else { return };
    let start = |domain: &str, tls: &str| {
        let acs = Scripted::start(vec![inform(), methods(), end()]);
        let router = router(&acs.url(), prosody.port(), domain);
        router.set("home", "use_tls", tls);
        router.write("/etc/ca.pem", &std::fs::read_to_string(prosody.ca("ca")).unwrap());
        let agent = router.start(&[]);
        agent.wait_for("XMPP connection as", 1);
        agent.wait_for("End session", 1);
        (acs, router, agent)
    };
    let absent = |agent: &Agent, what: &str, needle: &[u8]| {
        let found = memories_with(agent.child.id(), needle);
        assert!(found.is_empty(), "{what}: {found:#?}");
    };

    // Without TLS, whose own buffers are not ours.
    let (_acs, _router, agent) = start(HASHED, "0");
    let mut peer = Peer::log_in(prosody.port(), "acs");
    has(&peer.request("cpe@hashed.example/wan", USER, GUESS), &["<not-authorized "]);
    has(&peer.request("cpe@hashed.example/wan", USER, &GUESS.replace(' ', "&#32;")), &["<not-authorized "]);
    let salted =
        salted(&prosody.kept(HASHED, "salt"), prosody.kept(HASHED, "iteration_count").parse().unwrap());
    let (client, server) = (mac(&salted, b"Client Key"), mac(&salted, b"Server Key"));
    let hex: String = server.iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(prosody.kept(HASHED, "server_key"), hex, "the keys are right");
    assert!(!memories_with(agent.child.id(), SECRET.as_bytes()).is_empty(), "the configuration is there");
    absent(&agent, "the salted password", &salted);
    absent(&agent, "the client key", &client);
    absent(&agent, "the server key", &server);
    absent(&agent, "the password of a request", GUESS.as_bytes());
    drop(agent);

    let (_acs, _router, agent) = start("plain.example", "1");
    absent(&agent, "PLAIN's message", base64(format!("\0cpe\0{SECRET}").as_bytes()).as_bytes());
    absent(&agent, "PLAIN's message in octets", format!("\0cpe\0{SECRET}").as_bytes());
}

/// A server that says this to everybody, the last of it for ever, and then listens.
fn hostile(start: &str, more: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (start, more) = (start.to_owned(), more.repeat(4096 / more.len().max(1)));
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(start.as_bytes());
        while !more.is_empty() && stream.write_all(more.as_bytes()).is_ok() {}
        let _ = TcpStream::shutdown(&stream, std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    port
}

#[test]
fn servers_that_are_none() {
    const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'>";
    let check = |start: &str, more: &str, expected: &str| {
        let begun = Instant::now();
        let fault = log_in(hostile(start, more), &account("sha1.example", false), None).err().unwrap();
        assert!(fault.to_string().contains(expected), "{start:.200}: {fault}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{start:.200}");
    };
    let offer = |mechanism: &str| {
        format!(
            "{HEADER}<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>{mechanism}\
             </mechanism></mechanisms></stream:features>"
        )
    };
    check("", "", "it was closed");
    check("HTTP/1.1 400 Bad Request\r\n\r\n", "", "malformed");
    check("<?xml version='1.0'?><stream:stream a='", "x", "does not end");
    check("<!DOCTYPE a [<!ENTITY b 'c'>]>", "", "forbids");
    check(HEADER, "<a>", "does not end");
    check(&format!("{HEADER}<a b='"), "c", "does not end");
    check(HEADER, "\0", "malformed");
    check(&format!("{HEADER}<stream:features><mechanisms"), "", "it was closed");
    check(&format!("{HEADER}<stream:features>&x;</stream:features>"), "", "forbids");
    check(&format!("{HEADER}{HEADER}"), "", "forbids");
    check(&format!("{HEADER}<stream:error><host-unknown xmlns='x'/></stream:error>"), "", "host-unknown");
    check(&format!("{HEADER}</stream:stream>"), "", "says no more");
    check(&format!("{HEADER}<message/>"), "", "has no features");
    check(&format!("{HEADER}<stream:features/>"), "", "has no login that we know");
    check(&offer("PLAIN"), "", "has no login that we know");
    check(&offer("ANONYMOUS"), "", "has no login that we know");
    let said =
        |what: &str| format!("{}<{what} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'", offer("SCRAM-SHA-1"));
    // A server that does not know the password.
    check(&format!("{}/>", said("success")), "", "does not prove");
    check(&format!("{}>dj1BQUFB</success>", said("success")), "", "does not prove");
    check(&format!("{}>!</challenge>", said("challenge")), "", "challenge is malformed");
    // r=fyko+d2lbbFgONRv9qkxdawLx,s=QSXC,i=4294967295
    let endless = "cj1meWtvK2QybGJiRmdPTlJ2OXFreGRhd0x4LHM9UVNYQyxpPTQyOTQ5NjcyOTU=";
    check(&format!("{}>{endless}</challenge>", said("challenge")), "", "4294967295 iterations, too many");
    for (count, why) in
        [("4095", "4095 iterations, too few"), ("1", "too few"), ("250001", "too many"), ("0", "malformed")]
    {
        let asks = base64(format!("r=fyko+d2lbbFgONRv9qkxdawLx,s=QSXC,i={count}").as_bytes());
        check(&format!("{}>{asks}</challenge>", said("challenge")), "", why);
    }
    check(&format!("{}><aborted/></failure>", said("failure")), "", "refuses the login: aborted");
    check(&format!("{}/>", said("nonsense")), "", "has no answer to the login");
}

/// A client that is logged in at this test, and the test's end of it.
fn pair() -> (Online, xmpp_server::Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let mut peer = xmpp_server::Peer(listener.accept().unwrap().0);
        peer.0.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        peer.log_in(true);
        peer
    });
    let ours = Account { password: xmpp_server::SECRET.to_owned().into(), ..account("sha1.example", false) };
    (log_in(port, &ours, None).unwrap(), server.join().unwrap())
}

/// The server says no more at each step in turn, or so slowly that it makes no difference.
#[test]
fn servers_that_fall_silent() {
    type Says = fn(&mut xmpp_server::Peer);
    const OFFER: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
         <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism></mechanisms>\
         </stream:features>";
    let begin = |peer: &mut xmpp_server::Peer| {
        peer.hear("<stream:stream");
        peer.say(xmpp_server::HEADER);
    };
    let steps: [(&str, bool, Says); 9] = [
        ("the header", false, |_| {}),
        ("features", false, begin),
        ("octets, one by one", false, |peer| {
            for octet in xmpp_server::HEADER.chars() {
                if peer.0.write_all(octet.to_string().as_bytes()).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(50));
            }
        }),
        ("blanks for ever", false, |peer| while peer.0.write_all(b" ").is_ok() {}),
        ("proceed", true, |peer| {
            peer.hear("<stream:stream");
            peer.say(&format!("{}{OFFER}", xmpp_server::HEADER));
            peer.hear("<starttls");
        }),
        ("TLS", true, |peer| {
            peer.hear("<stream:stream");
            peer.say(&format!("{}{OFFER}", xmpp_server::HEADER));
            peer.hear("<starttls");
            peer.say("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        }),
        ("a challenge", false, |peer| {
            peer.hear("<stream:stream");
            peer.say(&format!("{}{}", xmpp_server::HEADER, OFFER.replace("<required/>", "")));
            peer.hear("</auth>");
        }),
        ("a second header", false, |peer| peer.prove(true)),
        ("an address", false, |peer| {
            peer.prove(true);
            peer.hear("<stream:stream");
            peer.say(xmpp_server::HEADER);
            peer.say("<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>");
            peer.hear("</iq>");
        }),
    ];
    let insecure = Client::new(&Settings {
        ca: PathBuf::new(),
        identity: None,
        insecure: true,
        clock: Arc::new(|| None),
    })
    .unwrap();
    for (missing, use_tls, says) in steps {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let mut peer = xmpp_server::Peer(listener.accept().unwrap().0);
            says(&mut peer);
            let _ = peer.0.read_to_end(&mut Vec::new());
        });
        let ours =
            Account { password: xmpp_server::SECRET.to_owned().into(), ..account("sha1.example", use_tls) };
        let begun = Instant::now();
        let fault = log_in_by(begun + Duration::from_secs(1), port, &ours, Some(&insecure)).err().unwrap();
        let fault = fault.to_string();
        assert!(fault.contains("the time is over") || fault.contains("took too long"), "{missing}: {fault}");
        let took = begun.elapsed();
        assert!((900..5000).contains(&took.as_millis()), "{missing}: {took:?}");
        server.join().unwrap();
    }
}

/// What is answered, to the octet, on the wire.
#[test]
fn the_answers_of_annex_k() {
    const ACS: &str = "acs@acs.example/desk";
    let (mut online, mut peer) = pair();
    let mut rule = Rule::default();
    let allowed = vec!["acs@acs.example".to_owned()];
    rule.set(request::Settings { credentials: Credentials::new("user", "p&w"), allowed });
    let mut asked = 0;
    let mut check = |from: &str, kind: &str, content: &str, expected: &str| {
        asked += 1;
        let to = xmpp_server::JID;
        peer.say(&format!("<iq from='{from}' to='{to}' id='cr{asked}' type='{kind}'>{content}</iq>"));
        let mut answers = Vec::new();
        while answers.is_empty() {
            answers = online.serve(Duration::from_secs(1), &mut rule).unwrap();
        }
        let expected = expected.replace("ID", &format!("id=\"cr{asked}\" to=\"{from}\""));
        assert_eq!(peer.hear("</iq>"), expected, "{content}");
        assert_eq!(answers[0].accepted, expected.contains("result"));
    };
    let request = |name: &str, password: &str| {
        format!(
            "<connectionRequest xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'><username>{name}</username>\
             <password>{password}</password></connectionRequest>"
        )
    };
    let good = request("user", "p&amp;w");
    let done = "<iq type=\"result\" ID></iq>";
    let wrong = "<iq type=\"error\" ID><error type=\"cancel\">\
         <not-authorized xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error></iq>";
    let unavailable = "<iq type=\"error\" ID><error code=\"503\" type=\"cancel\">\
         <service-unavailable xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error></iq>";
    check(ACS, "get", &good, done);
    check("acs@acs.example", "get", &good, done);
    let prefixed = good
        .replace("xmlns=", "xmlns:c=")
        .replace("</", "</c:")
        .replace("<u", "<c:u")
        .replace("<p", "<c:p")
        .replace("<connection", "<c:connection");
    check(ACS, "get", &prefixed, done);
    for bad in [request("user", "p"), request("User", "p&amp;w"), request("", "")] {
        check(ACS, "get", &bad, wrong);
    }
    check(ACS, "get", "<connectionRequest xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'/>", wrong);
    // Of another, of another kind, of another version, with something else, and nothing.
    for from in ["eve@acs.example", "acs@evil.example/acs@acs.example", "acs.example", "acs@acs.example.evil"]
    {
        check(from, "get", &good, unavailable);
    }
    check(ACS, "set", &good, unavailable);
    check(ACS, "get", &good.replace("-1-0", "-2-0"), unavailable);
    check(ACS, "get", &format!("{good}<x xmlns='y'/>"), unavailable);
    check(ACS, "get", "<ping xmlns='urn:xmpp:ping'/>", unavailable);
    check(ACS, "get", "", unavailable);
}

/// Nothing is sent and nothing comes: the system is to ask whether the peer is there, after two minutes at the latest.
#[test]
fn a_connection_without_blanks_is_looked_after_by_the_system() {
    let (online, peer) = pair();
    let port = peer.0.peer_addr().unwrap().port();
    let ours = format!("{:08X}:{port:04X}", u32::from_ne_bytes(Ipv4Addr::LOCALHOST.octets()));
    let end = Instant::now() + Duration::from_secs(10);
    // What was sent last may wait for its confirmation at first.
    let wait = loop {
        let text = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let found = lines.into_iter().find(|fields| fields[1] == ours && fields[3] == "01").unwrap();
        // tr and tm->when: which timer runs, and for how long.
        let (kind, when) = found[5].split_once(':').unwrap();
        if kind == "02" {
            break u64::from_str_radix(when, 16).unwrap();
        }
        assert!(Instant::now() < end, "no such timer: {found:?}");
        thread::sleep(Duration::from_millis(50));
    };
    // In hundredths of a second, as all of proc.
    assert!((11_000..=12_000).contains(&wait), "{wait}");
    drop(online);
}
