//! Connection requests through a real NAT: two network namespaces and nftables, stund outside (TR-069 Annex G);
//! and the ports that follow the addresses of the WAN interface.
//!
//! ```text
//!  this test, ACS, stund      nat               inside
//!  198.18.0.1, .3  ────── 198.18.0.2 │ 192.168.77.1 ────── 192.168.77.2  rcwmpd
//! ```
//! Skipped where namespaces cannot be made.
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
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent::{Agent, Router};
use play::{end, inform_with, methods, request_url, router};
use scripted::Scripted;
use stun::{Server, epoch, request, set_stun, skip, wait_for_server};

/// The namespaces, gone when dropped.
struct World {
    nat: String,
    inside: String,
    cable: String,
}

/// Runs commands, one a line; what the first says that fails.
fn run(lines: &str) -> Result<(), String> {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = Command::new(words[0]).args(&words[1..]).output();
        let output = output.map_err(|why| format!("{} not installed: {why}", words[0]))?;
        if !output.status.success() {
            return Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
    }
    Ok(())
}

impl World {
    fn make() -> Option<World> {
        let id = std::process::id() % 100_000;
        let world = World { nat: format!("rcn{id}"), inside: format!("rci{id}"), cable: format!("rch{id}") };
        let World { nat, inside, cable } = &world;
        let made = run(&format!(
            "ip netns add {nat}
             ip netns add {inside}
             ip link add {cable} type veth peer name n0 netns {nat}
             ip -n {nat} link add n1 type veth peer name i0 netns {inside}
             ip addr add 198.18.0.1/24 dev {cable}
             ip addr add 198.18.0.3/24 dev {cable}
             ip link set {cable} up
             ip -n {nat} addr add 198.18.0.2/24 dev n0
             ip -n {nat} addr add 192.168.77.1/24 dev n1
             ip -n {nat} addr add fd77::1/64 dev n1 nodad
             ip -n {nat} link set n0 up
             ip -n {nat} link set n1 up
             ip -n {inside} link set lo up
             ip -n {inside} addr add 192.168.77.2/24 dev i0
             ip -n {inside} addr add fd77::2/64 dev i0 nodad
             ip -n {inside} link set i0 up
             ip -n {inside} route add default via 192.168.77.1
             ip -n {inside} -6 route add default via fd77::1
             ip netns exec {nat} sysctl -q -w net.ipv4.ip_forward=1
             ip netns exec {nat} nft add table ip nat
             ip netns exec {nat} nft add chain ip nat post {{ type nat hook postrouting priority 100 ; }}
             ip netns exec {nat} nft add rule ip nat post oifname n0 masquerade random
             ip netns exec {nat} sysctl -q -w net.netfilter.nf_conntrack_udp_timeout=3
             ip netns exec {nat} sysctl -q -w net.netfilter.nf_conntrack_udp_timeout_stream=3"
        ));
        match made {
            Ok(()) => Some(world),
            Err(why) => {
                skip(&format!("no namespaces with a NAT here: {why}"));
                None
            }
        }
    }

    fn start(&self, router: &Router) -> Agent {
        let log = router.root().with_file_name("agent.log");
        let child = Command::new("ip")
            .args(["netns", "exec", &self.inside, env!("CARGO_BIN_EXE_rcwmpd"), "-f", "--root"])
            .arg(router.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Agent::of(child, log)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = run(&format!("ip link del {}", self.cable));
        let _ = run(&format!("ip netns del {}", self.inside));
        let _ = run(&format!("ip netns del {}", self.nat));
    }
}

/// The scripted ACS at an address that the namespaces reach; its URL.
fn forwarded(acs: &Scripted) -> String {
    let door = TcpListener::bind("198.18.0.1:0").unwrap();
    let at = door.local_addr().unwrap();
    let url = acs.url();
    let host = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
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
    url.replace(url.trim_start_matches("http://").split('/').next().unwrap(), &at.to_string())
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
    let Some(world) = World::make() else { return };
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
    let router = router(&forwarded(&acs));
    router.set("cpe", "periodic_notify_interval", "1");
    router.set("cpe", "use_curl_ifname", "1");
    router.set("cpe", "interface", "i0");
    set_stun(&router, "198.18.0.1", port, 2, 4);
    let agent = world.start(&router);
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
    run(&format!(
        "ip -n {0} addr del 198.18.0.2/24 dev n0
         ip -n {0} addr add 198.18.0.4/24 dev n0",
        world.nat
    ))
    .unwrap();
    wait_long(&agent, "reach us at 198.18.0.4:");

    // Our own address changes: the URL is told.
    run(&format!(
        "ip -n {0} addr del 192.168.77.2/24 dev i0
         ip -n {0} addr add 192.168.77.3/24 dev i0
         ip -n {0} route replace default via 192.168.77.1",
        world.inside
    ))
    .unwrap();
    agent.wait_for("The way to the ACS begins at 192.168.77.3 now", 1);
    agent.wait_for("End session", 3);
    // The binding is looked for anew.
    agent.wait_for(&format!("STUN server 198.18.0.1:{port}\n"), 2);
    let seen = acs.finish();
    assert_eq!(request_url(&seen[5].text()), format!("http://192.168.77.3:{number}/"));
}
