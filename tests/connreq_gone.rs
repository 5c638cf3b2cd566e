//! The doors when the way out is gone without a word: the interface itself, or what it carries.
//!
//! ```text
//!  this test: ACS, servers of STUN and XMPP         inside
//!  out 198.18.0.1, fd18::1  ──────────────────────  i0 198.18.0.2, fd18::2   rcwmpd
//! ```
//! Each test has this world to itself, and is skipped where namespaces cannot be made.
#![cfg(all(feature = "lab", feature = "stun", feature = "xmpp"))]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/own_network.rs"]
mod own_network;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;
#[path = "support/stun.rs"]
mod stun;
#[path = "support/xmpp_server.rs"]
mod xmpp_server;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use agent::{Router, free_port};
use own_network::run;
use play::{Knock, end, has, inform_with, knock, methods, request_url, router};
use rcwmp::lab::router::{CONNECTION_REQUEST_USER as USER, PASSWORD};
use scripted::Scripted;
use stun::{epoch, request, set_stun};
use xmpp_server::{JID, Peer, SECRET};

/// Where the agent is.
const INSIDE: &str = "ip netns add inside
    ip -n inside link set lo up
    ";

/// The way there.
const LINK: &str = "ip link add out type veth peer name i0 netns inside
    ip addr add 198.18.0.1/24 dev out
    ip addr add fd18::1/64 dev out nodad
    ip link set out up
    ip -n inside addr add 198.18.0.2/24 dev i0
    ip -n inside addr add fd18::2/64 dev i0 nodad
    ip -n inside link set i0 up";

/// Whether this is inside a world of its own, where the test with this name is to go on.
fn inside(test: &str) -> bool {
    own_network::inside(test, &format!("{INSIDE}{LINK}"))
}

/// A router with an account at this XMPP server; it says a blank every second, and is back after one.
fn xmpp_router(acs: &Scripted, server: SocketAddr) -> Router {
    let router = router(&acs.url());
    let text = router.read("/etc/config/cwmp")
        + &format!(
            "\nconfig xmpp 'xmpp'\n\toption connection 'home'\n\nconfig xmpp_connection 'home'\n\toption enable '1'\n\
             \toption username 'cpe'\n\toption password '{SECRET}'\n\toption domain 'sha1.example'\n\
             \toption resource 'wan'\n\toption use_tls '0'\n\toption connect_algorithm 'ServerTable'\n\
             \toption retry_initial_interval '1'\n\toption retry_max_interval '1'\n\toption keepalive_interval '1'\n\
             \nconfig xmpp_server 'one'\n\toption enable '1'\n\toption connection 'home'\n\
             \toption address '{}'\n\toption port '{}'\n",
            server.ip(),
            server.port()
        );
    router.write("/etc/config/cwmp", &text);
    router.set("cpe", "port", &free_port().to_string());
    router
}

/// The agent keeps to its interface, and looks after it once a day.
fn bind(router: &Router) {
    router.set("cpe", "use_curl_ifname", "1");
    router.set("cpe", "interface", "i0");
    router.set("cpe", "periodic_notify_interval", "86400");
}

/// The server's end of the next connection, logged in.
fn accept(server: &TcpListener) -> Peer {
    let (stream, _) = server.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut peer = Peer(stream);
    peer.log_in(true);
    peer
}

/// A right connection request, and that it is accepted.
fn ask(peer: &mut Peer, id: &str) {
    peer.say(&format!(
        "<iq from='acs@acs.example/desk' to='{JID}' id='{id}' type='get'><connectionRequest \
         xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'><username>{USER}</username><password>{PASSWORD}\
         </password></connectionRequest></iq>"
    ));
    has(&peer.hear("</iq>"), &[id, "type=\"result\""]);
}

/// Tells every sender his address, as RFC 3489 has it.
fn mirror(socket: UdpSocket) {
    thread::spawn(move || {
        let mut block = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut block) {
            let (family, octets) = match from.ip() {
                IpAddr::V4(address) => (1, address.octets().to_vec()),
                IpAddr::V6(address) => (2, address.octets().to_vec()),
            };
            if length >= 20 {
                let size = 4 + u8::try_from(octets.len()).unwrap();
                let head = [&[1, 1, 0, 4 + size], &block[4..20], &[0, 1, 0, size, 0, family]].concat();
                let _ = socket.send_to(&[head, from.port().to_be_bytes().to_vec(), octets].concat(), from);
            }
        }
    });
}

/// A modem is unplugged and comes back: nobody says so, and the next look is a day away, but a datagram for the STUN
/// server has no device to leave by. All three doors are open again, at the same addresses.
fn gone_and_back(here: IpAddr) {
    let mut steps = vec![inform_with(&["0 BOOTSTRAP"]), methods(), end()];
    for _ in 0..4 {
        steps.extend([inform_with(&["6 CONNECTION REQUEST"]), end()]);
    }
    let acs = Scripted::start_on(&SocketAddr::new(here, 0).to_string(), steps);
    let server = TcpListener::bind((here, 0)).unwrap();
    let router = xmpp_router(&acs, server.local_addr().unwrap());
    bind(&router);
    let socket = UdpSocket::bind((here, 0)).unwrap();
    set_stun(&router, &here.to_string(), socket.local_addr().unwrap().port(), 1, 1);
    mirror(socket);
    let agent = router.start_in("inside");
    let mut peer = accept(&server);
    agent.wait_for("Waiting the next session", 1);
    agent.wait_for("XMPP connection as", 1);
    let url = request_url(&acs.seen()[0].text());
    ask(&mut peer, "before");
    agent.wait_for("Waiting the next session", 2);

    run("ip -n inside link del i0").unwrap();
    let busy = agent.cpu();
    thread::sleep(Duration::from_secs(3));
    assert!(agent.cpu() - busy < Duration::from_secs(1), "a loop that spins: {}", agent.log());
    assert!(!agent.log().contains("another device"), "{}", agent.log());
    run(LINK).unwrap();
    agent.wait_for("i0 is another device now", 1);
    let mut peer = accept(&server);
    agent.wait_for("XMPP connection as", 2);
    agent.wait_for("Connection Request server initiated", 2);
    assert_eq!(knock(&url, Knock::default()), 200);
    agent.wait_for("End session", 3);
    let to = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let door = UdpSocket::bind((here, 0)).unwrap();
    door.send_to(request(&to, epoch(), 1).as_bytes(), &to).unwrap();
    agent.wait_for("End session", 4);
    ask(&mut peer, "after");
    agent.wait_for("End session", 5);
    acs.finish();
}

#[test]
fn an_interface_of_ipv4_that_is_gone_for_a_while() {
    if inside("an_interface_of_ipv4_that_is_gone_for_a_while") {
        gone_and_back("198.18.0.1".parse().unwrap());
    }
}

#[test]
fn an_interface_of_ipv6_that_is_gone_for_a_while() {
    if inside("an_interface_of_ipv6_that_is_gone_for_a_while") {
        gone_and_back("fd18::1".parse().unwrap());
    }
}

/// The modem is not there when the agent starts: no session has a device to leave by, nor has a login, and no port an
/// address. They have when it comes.
#[test]
fn an_interface_that_is_not_there_yet() {
    if !inside("an_interface_that_is_not_there_yet") {
        return;
    }
    let mut steps = vec![inform_with(&["0 BOOTSTRAP"]), methods(), end()];
    for _ in 0..2 {
        steps.extend([inform_with(&["6 CONNECTION REQUEST"]), end()]);
    }
    let acs = Scripted::start_on("198.18.0.1:0", steps);
    let server = TcpListener::bind("198.18.0.1:0").unwrap();
    let router = xmpp_router(&acs, server.local_addr().unwrap());
    bind(&router);
    run("ip -n inside link del i0").unwrap();
    let agent = router.start_in("inside");
    // A session's, and the XMPP client's.
    agent.wait_for("cannot bind to interface \"i0\"", 2);
    agent.wait_for("no XMPP server answers", 1);
    run(LINK).unwrap();
    agent.wait_for("End session", 1);
    let mut peer = accept(&server);
    agent.wait_for("XMPP connection as", 1);
    agent.wait_for("Connection Request server initiated", 1);
    let url = request_url(&acs.seen()[0].text());
    assert!(url.starts_with("http://198.18.0.2:"), "{url}");
    assert_eq!(knock(&url, Knock::default()), 200);
    agent.wait_for("End session", 2);
    ask(&mut peer, "there");
    agent.wait_for("End session", 3);
    acs.finish();
}

/// The XMPP server is cut off, and nothing says so, no reset and no end. What was sent is not confirmed: that ends the
/// connection after a minute, and the next is there once the server is.
#[test]
fn an_xmpp_server_that_falls_silent() {
    const TEST: &str = "an_xmpp_server_that_falls_silent";
    if !inside(TEST) {
        return;
    }
    let acs = Scripted::start_on(
        "198.18.0.1:0",
        vec![inform_with(&["0 BOOTSTRAP"]), methods(), end(), inform_with(&["6 CONNECTION REQUEST"]), end()],
    );
    let server = TcpListener::bind("198.18.0.1:0").unwrap();
    let at = server.local_addr().unwrap();
    let router = xmpp_router(&acs, at);
    if let Err(why) = run("nft add table ip gone
         nft add chain ip gone in { type filter hook input priority 0 ; }")
    {
        return stun::skip(&format!("no nftables here: {why}"));
    }
    let agent = router.start_in("inside");
    let peer = accept(&server);
    agent.wait_for("XMPP connection as", 1);
    agent.wait_for("Waiting the next session", 1);
    run(&format!("nft add rule ip gone in tcp dport {} drop", at.port())).unwrap();
    let begun = Instant::now();
    while !agent.log().contains("the connection to the XMPP server broke") {
        assert!(begun.elapsed() < Duration::from_secs(100), "{}", agent.log());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(begun.elapsed() > Duration::from_secs(30), "a short break is none: {}", agent.log());
    run("nft flush chain ip gone in").unwrap();
    let mut next = accept(&server);
    agent.wait_for("XMPP connection as", 2);
    ask(&mut next, "after");
    agent.wait_for("Waiting the next session", 2);
    drop(peer);
    acs.finish();
}
