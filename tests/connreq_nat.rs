//! Connection requests through a real NAT: two network namespaces and nftables, stund outside (TR-069 Annex G);
//! and the ports that follow the addresses of the WAN interface.
//!
//! ```text
//!  this test, ACS, stund      nat               inside
//!  198.18.0.1, .3  ────── 198.18.0.2 │ 192.168.77.1 ────── 192.168.77.2  rcwmpd
//! ```
//! Each test has this whole world to itself, and is skipped where namespaces cannot be made.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/own_network.rs"]
mod own_network;
#[path = "support/play.rs"]
mod play;
#[cfg(all(feature = "xmpp", feature = "tls"))]
#[path = "support/prosody.rs"]
mod prosody;
#[path = "support/scripted.rs"]
mod scripted;
#[path = "support/stun.rs"]
mod stun;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent::{Agent, Router, free_port};
use own_network::run;
use play::{Knock, end, inform_with, knock, methods, request_url, router, stays_quiet};
use scripted::Scripted;
use stun::{Server, epoch, request, set_stun, skip, wait_for_server};

/// The namespaces besides the one of the test; they are gone with it.
struct World;

impl World {
    /// The world of this test, inside; `None` outside, where the test has run again.
    fn of(test: &str) -> Option<World> {
        if !own_network::inside(test, "") {
            return None;
        }
        let made = run("ip netns add nat
             ip netns add inside
             ip link add out type veth peer name n0 netns nat
             ip -n nat link add n1 type veth peer name i0 netns inside
             ip addr add 198.18.0.1/24 dev out
             ip addr add 198.18.0.3/24 dev out
             ip link set out up
             ip -n nat addr add 198.18.0.2/24 dev n0
             ip -n nat addr add 192.168.77.1/24 dev n1
             ip -n nat addr add fd77::1/64 dev n1 nodad
             ip -n nat link set n0 up
             ip -n nat link set n1 up
             ip -n inside link set lo up
             ip -n inside addr add 192.168.77.2/24 dev i0
             ip -n inside addr add fd77::2/64 dev i0 nodad
             ip -n inside link set i0 up
             ip -n inside route add default via 192.168.77.1
             ip -n inside -6 route add default via fd77::1
             ip netns exec nat sysctl -q -w net.ipv4.ip_forward=1
             ip netns exec nat nft add table ip nat
             ip netns exec nat nft add chain ip nat post { type nat hook postrouting priority 100 ; }
             ip netns exec nat nft add rule ip nat post oifname n0 masquerade random
             ip netns exec nat sysctl -q -w net.netfilter.nf_conntrack_udp_timeout=3
             ip netns exec nat sysctl -q -w net.netfilter.nf_conntrack_udp_timeout_stream=3");
        match made {
            Ok(()) => Some(World),
            Err(why) => {
                skip(&format!("no namespaces with a NAT here: {why}"));
                None
            }
        }
    }

    /// A program where the agent is.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", "inside", program]).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// From here, the addresses inside are reached as they are.
    fn open(&self) {
        run("ip addr add fd78::1/64 dev out nodad
             ip -n nat addr add fd78::2/64 dev n0 nodad
             ip netns exec nat sysctl -q -w net.ipv6.conf.all.forwarding=1
             ip route add 192.168.77.0/24 via 198.18.0.2
             ip -6 route add fd77::/64 via fd78::2")
        .unwrap();
    }

    /// Gives the agent's interface another address.
    fn renumber(&self) {
        run("ip -n inside addr del 192.168.77.2/24 dev i0
             ip -n inside addr add 192.168.77.3/24 dev i0
             ip -n inside route replace default via 192.168.77.1")
        .unwrap();
    }
}

/// The scripted ACS at another address of this machine; its URL.
fn forwarded(acs: &Scripted, address: &str) -> String {
    let url = acs.url();
    let host = url.trim_start_matches("http://").split('/').next().unwrap();
    url.replace(host, &forward(host.to_owned(), address).to_string())
}

/// A router of this ACS whose agent keeps to the interface inside.
fn bound_router(acs: &Scripted) -> Router {
    let router = router(&forwarded(acs, "198.18.0.1"));
    router.set("cpe", "use_curl_ifname", "1");
    router.set("cpe", "interface", "i0");
    router
}

/// A server at another address of this machine; where it is there.
fn forward(host: String, address: &str) -> SocketAddr {
    let door = TcpListener::bind((address, 0)).unwrap();
    let at = door.local_addr().unwrap();
    thread::spawn(move || {
        for one in door.incoming() {
            let (Ok(one), Ok(other)) = (one, TcpStream::connect(&host)) else { return };
            for (mut from, mut to) in [(one.try_clone(), other.try_clone()), (Ok(other), Ok(one))]
                .map(|(from, to)| (from.unwrap(), to.unwrap()))
            {
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    at
}

/// Waits longer than [`Agent::wait_for`].
#[track_caller]
fn wait_long(agent: &Agent, word: &str) {
    let end = Instant::now() + Duration::from_secs(150);
    while !agent.log().contains(word) {
        assert!(Instant::now() < end, "no {word:?} in {}", agent.log());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Where requests reach the agent, as it has said last.
fn reached_at(agent: &Agent) -> String {
    let log = agent.log();
    log.rsplit("reach us at ").next().unwrap().lines().next().unwrap().to_owned()
}

/// What the agent listens on with TCP: local addresses as the kernel writes them, with the port.
fn listens_on(agent: &Agent) -> Vec<String> {
    let mut found = Vec::new();
    for file in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{}/net/{file}", agent.child.id())).unwrap();
        let fields = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        found.extend(fields.filter(|fields| fields[3] == "0A").map(|fields| fields[1].to_owned()));
    }
    found
}

#[test]
fn through_a_nat_that_forgets_and_moves() {
    let Some(world) = World::of("through_a_nat_that_forgets_and_moves") else { return };
    let [port, other] = stun::free_udp_ports("198.18.0.1");
    let start_server = || {
        let (one, two) = (port.to_string(), other.to_string());
        let server =
            Server::start("stund", &["-h", "198.18.0.1", "-a", "198.18.0.3", "-p", &one, "-o", &two])?;
        wait_for_server(("198.18.0.1", port));
        Some(server)
    };
    let Some(server) = start_server() else { return };
    let acs = Scripted::start(vec![
        inform_with(&["0 BOOTSTRAP"]),
        methods(),
        end(),
        inform_with(&["6 CONNECTION REQUEST"]),
        end(),
        inform_with(&["4 VALUE CHANGE"]),
        end(),
    ]);
    let router = bound_router(&acs);
    router.set("cpe", "periodic_notify_interval", "1");
    set_stun(&router, "198.18.0.1", port, 2, 4);
    let agent = router.start_in("inside");
    agent.wait_for("End session", 1);
    let url = request_url(&acs.seen()[0].text());
    assert!(url.starts_with("http://192.168.77.2:"), "{url}");
    let number: u16 = url.rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap();
    let expected =
        [format!("024DA8C0:{number:04X}"), format!("000077FD000000000000000002000000:{number:04X}")];
    if cfg!(target_endian = "little") {
        assert_eq!(listens_on(&agent), expected, "on the addresses of its interface, and no others");
    }

    // A binding is forgotten after three seconds: that is found out, by giving some up.
    wait_long(&agent, "is kept every 2 s");
    let (binding, said) = (reached_at(&agent), agent.log().matches("reach us at").count());
    assert!(binding.starts_with("198.18.0.2:") && said > 1, "{}", agent.log());
    thread::sleep(Duration::from_secs(9));
    assert_eq!(agent.log().matches("reach us at").count(), said, "it is kept now: {}", agent.log());

    // A request comes from where the NAT lets it in: from the server's port.
    drop(server);
    let socket = UdpSocket::bind(("198.18.0.1", port)).unwrap();
    socket.send_to(request(&binding, epoch(), 9).as_bytes(), binding.as_str()).unwrap();
    agent.wait_for("Connection Request by UDP accepted from 198.18.0.1", 1);
    agent.wait_for("End session", 2);
    drop(socket);

    let _server = start_server().unwrap();
    run("ip -n nat addr del 198.18.0.2/24 dev n0
         ip -n nat addr add 198.18.0.4/24 dev n0")
    .unwrap();
    wait_long(&agent, "reach us at 198.18.0.4:");

    // Our own address changes: the URL is told.
    world.renumber();
    agent.wait_for("The way to the ACS begins at 192.168.77.3 now", 1);
    agent.wait_for("End session", 3);
    // The binding is looked for anew.
    agent.wait_for(&format!("STUN server 198.18.0.1:{port}\n"), 2);
    let seen = acs.finish();
    assert_eq!(request_url(&seen[5].text()), format!("http://192.168.77.3:{number}/"));
}

/// The interface has two addresses, and another program the port of the one that is told first.
#[test]
fn one_of_two_addresses_is_taken_for_a_while() {
    let Some(world) = World::of("one_of_two_addresses_is_taken_for_a_while") else { return };
    let mut steps = vec![inform_with(&["0 BOOTSTRAP"]), methods(), end()];
    for event in [&["6 CONNECTION REQUEST"], &["4 VALUE CHANGE"], &["6 CONNECTION REQUEST"]] {
        steps.extend([inform_with(event), end()]);
    }
    let acs = Scripted::start(steps);
    let router = bound_router(&acs);
    let port = free_port();
    router.set("cpe", "port", &port.to_string());
    world.open();
    let folder = tempfile::tempdir().unwrap();
    let mut other = world.command(env!("CARGO_BIN_EXE_rcwmpd"));
    other
        .args([
            "mini-acs",
            "--allow-remote",
            "--auth",
            "digest:u:p",
            "--listen",
            &format!("192.168.77.2:{port}"),
            "--db",
        ])
        .arg(folder.path().join("db"));
    let taken = Server(other.spawn().unwrap());
    let end = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("192.168.77.2", port)).is_err() {
        assert!(Instant::now() < end, "the other program does not listen");
        thread::sleep(Duration::from_millis(50));
    }
    let agent = router.start_in("inside");
    agent.wait_for("End session", 1);
    let url = request_url(&acs.seen()[0].text());
    assert_eq!(url, format!("http://[fd77::2]:{port}/"), "the one that can be had");
    assert_eq!(listens_on(&agent).len(), 2, "the other program, and the agent");
    assert_eq!(knock(&url, Knock::default()), 200);
    agent.wait_for("End session", 2);
    // One retry at least was in vain, and none cost the loop its rest.
    let busy = agent.cpu();
    thread::sleep(Duration::from_secs(6));
    assert!(agent.cpu() - busy < Duration::from_millis(500), "a loop that spins");
    let said = format!(
        "received at another address only, tried again every 5 s: port {port} for connection requests \
         (192.168.77.2:{port}) is in use by another program"
    );
    assert_eq!(agent.log().matches(&said).count(), 1, "{}", agent.log());
    drop(taken);
    agent.wait_for("End session", 3);
    let url = request_url(&acs.seen()[5].text());
    assert_eq!(url, format!("http://192.168.77.2:{port}/"));
    assert_eq!(listens_on(&agent).len(), 2, "both are the agent's");
    assert_eq!(knock(&url, Knock::default()), 200);
    agent.wait_for("End session", 4);
    acs.finish();
}

/// A PPPoE session is dialled anew: the device is another one, with the name and the addresses of the old one.
#[test]
fn an_interface_that_is_made_anew() {
    let Some(world) = World::of("an_interface_that_is_made_anew") else { return };
    let mut steps = vec![inform_with(&["0 BOOTSTRAP"]), methods(), end()];
    for _ in 0..3 {
        steps.extend([inform_with(&["6 CONNECTION REQUEST"]), end()]);
    }
    let acs = Scripted::start(steps);
    let router = bound_router(&acs);
    let port = free_port();
    router.set("cpe", "port", &port.to_string());
    router.set("cpe", "periodic_notify_interval", "1");
    world.open();
    let agent = router.start_in("inside");
    agent.wait_for("End session", 1);
    let url = request_url(&acs.seen()[0].text());
    let to = format!("192.168.77.2:{port}");
    let socket = UdpSocket::bind(("198.18.0.1", 0)).unwrap();
    let send = |id| socket.send_to(request(&to, epoch(), id).as_bytes(), &to).unwrap();
    send(1);
    agent.wait_for("End session", 2);

    // It does not see it half made.
    agent.signal("STOP");
    run("ip -n inside link del i0
         ip -n nat link add n1 type veth peer name i0 netns inside
         ip -n nat addr add 192.168.77.1/24 dev n1
         ip -n nat addr add fd77::1/64 dev n1 nodad
         ip -n nat link set n1 up
         ip -n inside addr add 192.168.77.2/24 dev i0
         ip -n inside addr add fd77::2/64 dev i0 nodad
         ip -n inside link set i0 up
         ip -n inside route add default via 192.168.77.1
         ip -n inside -6 route add default via fd77::1")
    .unwrap();
    agent.signal("CONT");
    agent.wait_for("i0 is another device now", 1);
    agent.wait_for("Connection Request server initiated", 2);
    assert_eq!(knock(&url, Knock::default()), 200);
    agent.wait_for("End session", 3);
    send(2);
    agent.wait_for("Connection Request by UDP accepted from 198.18.0.1", 2);
    agent.wait_for("End session", 4);
    acs.finish();
}

/// Nobody tells the connection that its address is gone: it is made anew at once.
#[cfg(all(feature = "xmpp", feature = "tls"))]
#[test]
fn an_xmpp_connection_whose_address_is_gone() {
    let Some(world) = World::of("an_xmpp_connection_whose_address_is_gone") else { return };
    let Some(server) = prosody::Prosody::start(free_port()) else { return };
    let acs = Scripted::start(vec![
        inform_with(&["0 BOOTSTRAP"]),
        methods(),
        end(),
        inform_with(&["4 VALUE CHANGE"]),
        end(),
    ]);
    let router = router(&forwarded(&acs, "198.18.0.1"));
    let at = forward(format!("127.0.0.1:{}", server.port()), "198.18.0.1");
    let text = router.read("/etc/config/cwmp")
        + &format!(
            "\nconfig xmpp 'xmpp'\n\toption connection 'home'\n\nconfig xmpp_connection 'home'\n\toption enable '1'\n\
             \toption username 'cpe'\n\toption password '{}'\n\toption domain 'sha256.example'\n\
             \toption resource 'wan'\n\toption use_tls '1'\n\toption connect_algorithm 'ServerTable'\n\
             \toption keepalive_interval '-1'\n\nconfig xmpp_server 'one'\n\toption enable '1'\n\
             \toption connection 'home'\n\toption address '198.18.0.1'\n\toption port '{}'\n",
            prosody::SECRET,
            at.port()
        );
    router.write("/etc/config/cwmp", &text);
    router.write("/etc/ca.pem", &fs::read_to_string(server.ca("ca")).unwrap());
    router.set("acs", "ssl_capath", "/etc/ca.pem");
    router.set("cpe", "periodic_notify_interval", "1");
    let agent = router.start_in("inside");
    agent.wait_for("XMPP connection as \"cpe@sha256.example/wan\" with TLS", 1);
    agent.wait_for("End session", 1);
    world.renumber();
    agent.wait_for("The XMPP connection began at an address that is gone", 1);
    agent.wait_for("XMPP connection as", 2);
    agent.wait_for("End session", 2);
    assert!(!agent.log().contains("; again in "), "{}", agent.log());
    acs.finish();
}

/// The name of the ACS has no address but one of IPv6, and the default route of this machine is as it is: what leads
/// to the ACS is known once a session has been there, and in the next life from the start.
#[test]
fn an_acs_that_has_only_ipv6_by_name() {
    let acs = Scripted::start(vec![
        inform_with(&["0 BOOTSTRAP"]),
        methods(),
        end(),
        inform_with(&["4 VALUE CHANGE"]),
        end(),
        inform_with(&["6 CONNECTION REQUEST"]),
        end(),
    ]);
    if TcpListener::bind(("::1", 0)).is_err() {
        return skip("no IPv6 here");
    }
    let url = forwarded(&acs, "::1");
    let router = router(&url.replace("[::1]", "acs.test"));
    router.set("acs", "get_rpc_methods", "1");
    let start = || router.start_with_hosts("127.0.0.1 localhost\n::1 acs.test\n");
    let Some(agent) = start() else { return skip("no mounts of its own here") };
    agent.wait_for("End session", 2);
    agent.wait_for("Waiting the next session", 2);
    let url = request_url(&acs.seen()[3].text());
    assert!(url.starts_with("http://[::1]:"), "{url}");
    agent.stop();
    router.set("acs", "get_rpc_methods", "0");
    let agent = start().unwrap();
    agent.wait_for("Connection Request server initiated", 1);
    assert_eq!(knock(&url, Knock::default()), 200);
    agent.wait_for("End session", 1);
    stays_quiet(&agent, "Start session", 1);
    let seen = acs.finish();
    assert_eq!(request_url(&seen[5].text()), url);
}
