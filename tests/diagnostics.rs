//! The diagnostics against loopback, scripted peers, and the kernel: what they measure, what they
//! refuse, and that nobody keeps them beyond their deadline.

#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/own_network.rs"]
mod own_network;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rcwmp::diagnostics::lookup::{self, AnswerType, Status};
use rcwmp::diagnostics::{ProtocolVersion, State, echo, echo_test, ping, selection, traceroute};

/// A flag that nobody raises.
static GO: AtomicBool = AtomicBool::new(false);

fn soon(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn loopback_v6() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}

mod pings {
    use super::*;

    fn input(host: &str) -> ping::Input {
        ping::Input { host: host.into(), number_of_repetitions: 2, timeout: 2000, ..Default::default() }
    }

    fn check(host: &str, version: ProtocolVersion, size: u32) {
        let input = ping::Input { protocol_version: version, data_block_size: size, dscp: 46, ..input(host) };
        let output = ping::run(&input, &GO, soon(20));
        if output.diagnostics_state == State::Internal {
            println!("skipped: this kernel gives us neither kind of ICMP socket");
            return;
        }
        assert_eq!(output.diagnostics_state, State::Complete, "{host} {size}: {output:?}");
        assert_eq!((output.success_count, output.failure_count), (2, 0), "{host} {size}");
        let detailed = [
            output.minimum_response_time_detailed,
            output.average_response_time_detailed,
            output.maximum_response_time_detailed,
        ];
        assert!(detailed[0] > 0 && detailed.is_sorted(), "{detailed:?}");
        assert_eq!(output.average_response_time, detailed[1] / 1000);
        assert!(output.ip_address_used.is_some_and(|address| address.is_loopback()));
    }

    #[test]
    fn loopback_answers() {
        check("127.0.0.1", ProtocolVersion::Any, 56);
        check("127.0.0.1", ProtocolVersion::V4, 1);
        check("localhost", ProtocolVersion::V4, 65_507);
        if loopback_v6() {
            check("::1", ProtocolVersion::V6, 56);
            check("::1", ProtocolVersion::Any, 4000);
        }
    }

    #[test]
    fn faults_are_named() {
        let state = |input: &ping::Input| ping::run(input, &GO, soon(20)).diagnostics_state;
        assert_eq!(state(&input("no such host")), State::CannotResolveHostName);
        let v6 = ping::Input { protocol_version: ProtocolVersion::V6, ..input("127.0.0.1") };
        assert_eq!(state(&v6), State::CannotResolveHostName);
        assert_eq!(state(&ping::Input { interface: "nosuch0".into(), ..input("127.0.0.1") }), State::Other);
        for bad in [
            ping::Input { number_of_repetitions: 0, ..input("127.0.0.1") },
            ping::Input { timeout: 0, ..input("127.0.0.1") },
            ping::Input { data_block_size: 0, ..input("127.0.0.1") },
            ping::Input { data_block_size: 65_536, ..input("127.0.0.1") },
            ping::Input { dscp: 64, ..input("127.0.0.1") },
        ] {
            assert_eq!(state(&bad), State::Other, "{bad:?}");
        }
    }

    #[test]
    fn ends_by_deadline_and_by_cancelling() {
        let start = Instant::now();
        let endless = ping::Input { number_of_repetitions: u32::MAX, ..input("127.0.0.1") };
        let output = ping::run(&endless, &GO, start + Duration::from_millis(350));
        if output.diagnostics_state == State::Internal {
            return;
        }
        assert_eq!(output.diagnostics_state, State::Other);
        assert!(output.success_count >= 1, "{output:?}");
        assert!(start.elapsed() < Duration::from_secs(2));
        let cancel = AtomicBool::new(false);
        let output = thread::scope(|scope| {
            let test = scope.spawn(|| ping::run(&endless, &cancel, soon(60)));
            thread::sleep(Duration::from_millis(150));
            cancel.store(true, Ordering::Relaxed);
            test.join().unwrap()
        });
        assert_eq!(output.diagnostics_state, State::Canceled);
        assert!(!output.diagnostics_state.is_event());
    }
}

mod lookups {
    use super::*;

    /// Answers each question with what the script makes of it, for as long as the test lives.
    fn server(script: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                for answer in script(&buffer[..length]) {
                    socket.send_to(&answer, peer).unwrap();
                }
            }
        });
        address
    }

    /// An answer with these flags and this record data behind the question's name.
    fn answer(question: &[u8], flags: u16, record: Option<&[u8]>) -> Vec<u8> {
        let mut message = question.to_vec();
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[7] = u8::from(record.is_some());
        if let Some(data) = record {
            let kind = question[question.len() - 3];
            message.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).unwrap()]);
            message.extend(data);
        }
        message
    }

    fn good(question: &[u8]) -> Vec<u8> {
        match question[question.len() - 3] {
            1 => answer(question, 0x8580, Some(&[192, 0, 2, 1])),
            _ => answer(question, 0x8580, Some(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9])),
        }
    }

    fn input(server: SocketAddr) -> lookup::Input {
        lookup::Input {
            host_name: "router.example".into(),
            dns_server: server.ip().to_string(),
            port: server.port(),
            timeout: 300,
            ..Default::default()
        }
    }

    fn status(script: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Status {
        let output = lookup::run(&input(server(script)), &GO, soon(10));
        assert_eq!(output.diagnostics_state, State::Complete);
        assert_eq!(output.result.len(), 1);
        output.result[0].status
    }

    #[test]
    fn addresses_are_found() {
        let input = lookup::Input { number_of_repetitions: 3, ..input(server(|q| vec![good(q)])) };
        let output = lookup::run(&input, &GO, soon(10));
        assert_eq!((output.diagnostics_state, output.success_count), (State::Complete, 3));
        for row in &output.result {
            assert_eq!((row.status, row.answer_type), (Status::Success, AnswerType::Authoritative));
            assert_eq!(row.host_name_returned, "router.example");
            let expected: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap(), "2001:db8::9".parse().unwrap()];
            assert_eq!(row.ip_addresses, expected);
            assert_eq!(row.dns_server_ip.to_string(), "127.0.0.1");
        }
    }

    #[test]
    fn one_family_is_enough() {
        let only_v4 = |q: &[u8]| if q[q.len() - 3] == 1 { vec![good(q)] } else { vec![] };
        let start = Instant::now();
        let input = lookup::Input { timeout: 60_000, ..input(server(only_v4)) };
        let output = lookup::run(&input, &GO, soon(10));
        assert_eq!((output.success_count, output.result[0].ip_addresses.len()), (1, 1));
        assert!(start.elapsed() < Duration::from_secs(3));
    }

    #[test]
    fn liars_and_failures() {
        assert_eq!(status(|_| vec![]), Status::Timeout);
        assert_eq!(status(|q| vec![answer(q, 0x8183, None)]), Status::HostNameNotResolved);
        assert_eq!(status(|q| vec![answer(q, 0x8180, None)]), Status::HostNameNotResolved);
        assert_eq!(status(|q| vec![answer(q, 0x8182, None)]), Status::Other);
        assert_eq!(status(|q| vec![answer(q, 0x8185, None)]), Status::Other);
        assert_eq!(status(|q| vec![answer(q, 0x8380, None)]), Status::Other, "truncated to nothing");
        let wrong_id = |q: &[u8]| {
            let mut lie = good(q);
            lie[0] ^= 0x55;
            lie
        };
        assert_eq!(status(move |q| vec![wrong_id(q)]), Status::Timeout);
        assert_eq!(status(move |q| vec![wrong_id(q), q.to_vec(), good(q)]), Status::Success);
        let loops = |q: &[u8]| {
            let mut lie = answer(q, 0x8180, Some(&[1, 2, 3, 4]));
            let owner = u8::try_from(q.len()).unwrap();
            lie[q.len()..q.len() + 2].copy_from_slice(&[0xc0, owner]);
            lie
        };
        assert_eq!(status(move |q| vec![loops(q)]), Status::Timeout);
        assert_eq!(status(|q| vec![good(q)[..q.len() + 6].to_vec(), vec![], vec![0; 1500]]), Status::Timeout);
    }

    #[test]
    fn a_flood_of_noise_ends_with_the_timeout() {
        let noise = |_: &[u8]| vec![vec![7; 500]; 20_000];
        let start = Instant::now();
        assert_eq!(status(noise), Status::Timeout);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }

    #[test]
    fn nobody_listens() {
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let output = lookup::run(&input(closed), &GO, soon(10));
        assert_eq!(output.result[0].status, Status::DnsServerNotAvailable);
        assert_eq!(output.diagnostics_state, State::Complete);
    }

    #[test]
    fn the_server_must_be_known() {
        let state = |dns_server: &str, resolv_conf: &str| {
            let input = lookup::Input {
                host_name: "x.example".into(),
                dns_server: dns_server.into(),
                resolv_conf: resolv_conf.into(),
                ..Default::default()
            };
            lookup::run(&input, &GO, soon(5)).diagnostics_state
        };
        assert_eq!(state("no such server", "/nonexistent"), State::DnsServerNotResolved);
        assert_eq!(state("", "/nonexistent"), State::DnsServerNotResolved);
    }

    #[test]
    fn servers_and_domain_of_the_system() {
        let server = server(|q| vec![good(q)]);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("resolv.conf");
        std::fs::write(&file, "search example\nnameserver 127.0.0.1\n").unwrap();
        let input = lookup::Input {
            host_name: "router".into(),
            dns_server: String::new(),
            resolv_conf: file,
            ..input(server)
        };
        let output = lookup::run(&input, &GO, soon(10));
        assert_eq!(output.result[0].host_name_returned, "router.example");
    }

    #[test]
    fn rows_are_bounded() {
        let input =
            lookup::Input { number_of_repetitions: 260, host_name: "..".into(), ..input(server(|_| vec![])) };
        let output = lookup::run(&input, &GO, soon(60));
        assert_eq!(output.result.len(), lookup::MAX_RESULTS);
        assert!(output.result.iter().all(|row| row.status == Status::HostNameNotResolved));
    }
}

mod traces {
    use super::*;

    fn input(host: &str) -> traceroute::Input {
        let host = host.into();
        traceroute::Input { host, timeout: 1000, with_names: false, number_of_tries: 2, ..Default::default() }
    }

    #[test]
    fn loopback_is_one_hop_away() {
        for host in ["127.0.0.1", "::1"] {
            if host == "::1" && !loopback_v6() {
                continue;
            }
            let output = traceroute::run(&input(host), &GO, soon(20));
            assert_eq!(output.diagnostics_state, State::Complete, "{output:?}");
            assert_eq!(output.route_hops.len(), 1);
            let hop = &output.route_hops[0];
            assert_eq!((hop.host.as_str(), hop.host_address.as_str()), (host, ""));
            assert_eq!(hop.error_code, if host == "::1" { 4 } else { 3 });
            assert_eq!(hop.rt_times.len(), 2);
            assert!(hop.rt_times.iter().all(|time| *time >= 1));
            assert!(output.response_time >= 1);
            assert_eq!(output.ip_address_used.unwrap().to_string(), host);
        }
    }

    #[test]
    fn faults_are_named() {
        let state = |input: &traceroute::Input| traceroute::run(input, &GO, soon(20)).diagnostics_state;
        assert_eq!(state(&input("")), State::CannotResolveHostName);
        for bad in [
            traceroute::Input { number_of_tries: 4, ..input("127.0.0.1") },
            traceroute::Input { max_hop_count: 65, ..input("127.0.0.1") },
            traceroute::Input { max_hop_count: 0, ..input("127.0.0.1") },
            traceroute::Input { timeout: 0, ..input("127.0.0.1") },
            traceroute::Input { data_block_size: 65_535, ..input("127.0.0.1") },
        ] {
            assert_eq!(state(&bad), State::Other, "{bad:?}");
        }
    }

    /// Two routers and a host, each in a network namespace, and this test in another.
    const ROUTE: &str = "\
        ip netns add B
        ip netns add C
        ip netns add D
        ip link add ab type veth peer name ba netns B
        ip -n B link add bc type veth peer name cb netns C
        ip -n C link add cd type veth peer name dc netns D
        ip addr add 10.9.1.1/24 dev ab
        ip -n B addr add 10.9.1.2/24 dev ba
        ip -n B addr add 10.9.2.1/24 dev bc
        ip -n C addr add 10.9.2.2/24 dev cb
        ip -n C addr add 10.9.3.1/24 dev cd
        ip -n D addr add 10.9.3.2/24 dev dc
        ip link set ab up
        ip -n B link set ba up
        ip -n B link set bc up
        ip -n C link set cb up
        ip -n C link set cd up
        ip -n D link set dc up
        ip route add default via 10.9.1.2
        ip -n B route add 10.9.3.0/24 via 10.9.2.2
        ip -n B route add unreachable 10.9.9.0/24
        ip -n C route add 10.9.1.0/24 via 10.9.2.1
        ip -n D route add default via 10.9.3.1
        ip netns exec B sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0
        ip netns exec C sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0
        ip netns exec D sysctl -qw net.ipv4.icmp_ratelimit=0";

    #[test]
    fn a_route_through_two_routers() {
        if !own_network::inside("traces::a_route_through_two_routers", ROUTE) {
            return;
        }
        let hosts = |output: &traceroute::Output| -> Vec<(String, u32)> {
            output.route_hops.iter().map(|hop| (hop.host.clone(), hop.error_code)).collect()
        };
        let whole = traceroute::run(&input("10.9.3.2"), &GO, soon(20));
        assert_eq!(whole.diagnostics_state, State::Complete, "{whole:?}");
        assert_eq!(
            hosts(&whole),
            [("10.9.1.2".into(), 0), ("10.9.2.2".into(), 0), ("10.9.3.2".into(), 3)],
            "{whole:?}"
        );
        assert_eq!(whole.ip_address_used.unwrap().to_string(), "10.9.1.1");
        let short = traceroute::Input { max_hop_count: 2, ..input("10.9.3.2") };
        let short = traceroute::run(&short, &GO, soon(20));
        assert_eq!(short.diagnostics_state, State::MaxHopCountExceeded);
        assert_eq!((short.route_hops.len(), short.response_time), (2, 0));
        let large = traceroute::Input { data_block_size: 5000, interface: "ab".into(), ..input("10.9.3.2") };
        assert_eq!(traceroute::run(&large, &GO, soon(20)).diagnostics_state, State::Complete);
        let blocked = traceroute::run(&input("10.9.9.9"), &GO, soon(20));
        assert_eq!(blocked.diagnostics_state, State::NoRouteToHost, "{blocked:?}");
        assert_eq!(hosts(&blocked), [("10.9.1.2".into(), 1)]);
        let ping = |host: &str| {
            let host = host.into();
            ping::run(&ping::Input { host, timeout: 1000, ..Default::default() }, &GO, soon(20))
        };
        assert_eq!(ping("10.9.3.2").success_count, 3);
        let lost = ping("10.9.9.9");
        assert_eq!((lost.diagnostics_state, lost.failure_count), (State::NoRouteToHost, 3), "{lost:?}");
        // The unprivileged ICMP socket, which a group range opens.
        std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647").unwrap();
        assert_eq!(ping("10.9.3.2").success_count, 3);
        let lost = ping("10.9.9.9");
        assert_eq!((lost.diagnostics_state, lost.failure_count), (State::NoRouteToHost, 3), "{lost:?}");
    }
}

mod echoes {
    use super::*;
    use rcwmp::diagnostics::echo::EchoPlus;

    /// Our server on a thread, until the guard is dropped; gives its counters then.
    struct Running {
        stop: std::sync::Arc<AtomicBool>,
        thread: Option<thread::JoinHandle<echo::Counters>>,
        port: u16,
    }

    impl Running {
        fn start(config: echo::Config) -> Running {
            let mut server = echo::Server::open(config).unwrap();
            let port = server.port();
            let stop = std::sync::Arc::new(AtomicBool::new(false));
            let seen = stop.clone();
            let thread = thread::spawn(move || {
                while !seen.load(Ordering::Relaxed) {
                    if !server.serve() {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
                server.serve();
                server.counters().clone()
            });
            Running { stop, thread: Some(thread), port }
        }

        fn counters(mut self) -> echo::Counters {
            self.stop.store(true, Ordering::Relaxed);
            self.thread.take().unwrap().join().unwrap()
        }
    }

    fn config(source: &str, echo_plus_enabled: bool) -> echo::Config {
        echo::Config { source_ip_address: source.parse().ok(), echo_plus_enabled, ..Default::default() }
    }

    fn input(host: &str, port: u16) -> echo_test::Input {
        echo_test::Input {
            host: host.into(),
            port,
            number_of_repetitions: 5,
            timeout: 1000,
            inter_transmission_time: 10,
            enable_individual_packet_results: true,
            ..Default::default()
        }
    }

    #[test]
    fn ours_against_ours() {
        for host in ["127.0.0.1", "::1"] {
            if host == "::1" && !loopback_v6() {
                continue;
            }
            let server = Running::start(config(host, true));
            let output = echo_test::run(&input(host, server.port), &GO, soon(20));
            assert_eq!(output.diagnostics_state, State::Complete, "{output:?}");
            assert_eq!((output.success_count, output.failure_count), (5, 0));
            assert!(output.minimum_response_time > 0);
            assert!(output.maximum_response_time >= output.average_response_time);
            let rows = &output.individual_packet_result;
            assert_eq!(rows.len(), 5);
            for (at, row) in rows.iter().enumerate() {
                assert!(row.packet_success);
                assert!(row.packet_receive_time.unwrap() > row.packet_send_time);
                assert_eq!(row.test_resp_sn, u32::try_from(at).unwrap() + 1);
                assert_eq!(row.test_gen_sn, rows[0].test_gen_sn.wrapping_add(u32::try_from(at).unwrap()));
                assert!(row.test_resp_reply_time_stamp >= row.test_resp_rcv_time_stamp);
                assert_eq!(row.test_resp_reply_failure_count, 0);
            }
            let counters = server.counters();
            assert_eq!((counters.packets_received, counters.packets_responded), (5, 5));
            assert_eq!((counters.bytes_received, counters.bytes_responded), (5 * 32, 5 * 32));
            assert!(counters.time_last_packet_received > counters.time_first_packet_received);
        }
    }

    #[test]
    fn sizes_and_plain_echo() {
        let server = Running::start(config("127.0.0.1", false));
        for size in [1, 3, 19, 20, 24, 1472, 65_507] {
            let input = echo_test::Input { data_block_size: size, ..input("127.0.0.1", server.port) };
            let output = echo_test::run(&input, &GO, soon(20));
            assert_eq!((output.success_count, output.failure_count), (5, 0), "{size}");
            assert!(output.individual_packet_result.iter().all(|row| row.test_resp_sn == 0));
        }
        let large = echo_test::Input { data_block_size: 65_535, ..input("127.0.0.1", server.port) };
        assert_eq!(echo_test::run(&large, &GO, soon(20)).diagnostics_state, State::Other);
    }

    #[test]
    fn only_the_source_is_answered() {
        let ask = |server: &Running| {
            let input = echo_test::Input { timeout: 100, ..input("127.0.0.1", server.port) };
            echo_test::run(&input, &GO, soon(20)).success_count
        };
        for source in ["127.0.0.2", ""] {
            let server = Running::start(config(source, true));
            assert_eq!(ask(&server), 0, "{source}");
            assert_eq!(server.counters(), echo::Counters::default());
        }
        let refused = echo::Server::open(echo::Config { interface: "nosuch0".into(), ..config("", true) });
        assert!(refused.unwrap_err().to_string().contains("nosuch0"));
    }

    #[test]
    fn a_loop_is_not_begun() {
        let server = Running::start(config("127.0.0.1", true));
        match UdpSocket::bind("127.0.0.1:19") {
            Ok(chargen) => {
                chargen.send_to(b"x", ("127.0.0.1", server.port)).unwrap();
                chargen.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
                assert!(chargen.recv(&mut [0]).is_err());
            }
            Err(_) => println!("skipped: port 19 cannot be bound"),
        }
        assert_eq!(server.counters().packets_received, 0);
    }

    /// What a foreign server does with our packets: some lost, some changed, some doubled.
    #[test]
    fn a_bad_server_is_counted_right() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            let mut count = 0;
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                let packet = &mut buffer[..length];
                count += 1;
                match count {
                    1 => continue,
                    2 => packet[30] ^= 1,
                    3 => {
                        socket.send_to(packet, peer).unwrap();
                    }
                    4 => packet[..4].fill(0),
                    _ => {}
                }
                socket.send_to(packet, peer).unwrap();
                socket.send_to(&packet[..10], peer).unwrap();
            }
        });
        let input = echo_test::Input { data_block_size: 40, timeout: 300, ..input("127.0.0.1", port) };
        let output = echo_test::run(&input, &GO, soon(20));
        assert_eq!((output.success_count, output.failure_count), (2, 3), "{output:?}");
        let good: Vec<bool> = output.individual_packet_result.iter().map(|row| row.packet_success).collect();
        assert_eq!(good, [false, false, true, false, true]);
    }

    #[test]
    fn nobody_listens_and_bounds() {
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let silent = echo_test::Input { timeout: 100, ..input("127.0.0.1", closed) };
        let output = echo_test::run(&silent, &GO, soon(20));
        assert_eq!((output.diagnostics_state, output.failure_count), (State::Complete, 5));
        let start = Instant::now();
        let endless = echo_test::Input { number_of_repetitions: u32::MAX, timeout: u32::MAX, ..silent };
        let endless = echo_test::Input { inter_transmission_time: 1, ..endless };
        let output = echo_test::run(&endless, &GO, start + Duration::from_secs(3));
        assert_eq!(output.diagnostics_state, State::Other);
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(output.individual_packet_result.len() <= echo_test::MAX_RESULTS);
        for bad in [
            echo_test::Input { port: 0, ..input("127.0.0.1", 7) },
            echo_test::Input { inter_transmission_time: 65_536, ..input("127.0.0.1", 7) },
            echo_test::Input { data_block_size: 0, ..input("127.0.0.1", 7) },
        ] {
            assert_eq!(echo_test::run(&bad, &GO, soon(5)).diagnostics_state, State::Other);
        }
    }

    #[test]
    fn the_fastest_host_is_chosen() {
        let server = Running::start(config("127.0.0.1", true));
        let hosts = |all: &[&str]| all.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let input = |list: &[&str]| selection::Input {
            protocol: selection::Protocol::UdpEcho,
            host_list: hosts(list),
            port: server.port,
            timeout: 200,
            ..Default::default()
        };
        let output = selection::run(&input(&["no such", "127.0.0.1", ""]), &GO, soon(20));
        assert_eq!(output.diagnostics_state, State::Complete, "{output:?}");
        assert_eq!(output.fastest_host, "127.0.0.1");
        assert!(output.minimum_response_time > 0);
        assert!(output.maximum_response_time >= output.average_response_time);
        assert_eq!(output.ip_address_used.unwrap().to_string(), "127.0.0.1");
        // The server answers 127.0.0.1 from whatever address it was asked at, so both are there.
        let other = selection::run(&input(&["127.0.0.2"]), &GO, soon(20));
        assert_eq!(other.diagnostics_state, State::Complete, "{other:?}");
        assert!(other.average_response_time > 0);
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let silent = selection::Input { port: closed, ..input(&["127.0.0.2"]) };
        let silent = selection::run(&silent, &GO, soon(20));
        assert_eq!((silent.diagnostics_state, silent.average_response_time), (State::Complete, 0));
        assert_eq!(silent.fastest_host, "");
        let unknown = selection::run(&input(&["no such", ""]), &GO, soon(20));
        assert_eq!(unknown.diagnostics_state, State::CannotResolveHostName);
        for bad in [&[][..], &["127.0.0.1"; 11]] {
            assert_eq!(selection::run(&input(bad), &GO, soon(5)).diagnostics_state, State::Other);
        }
        let icmp = selection::Input { protocol: selection::Protocol::Icmp, ..input(&["127.0.0.1"]) };
        let output = selection::run(&icmp, &GO, soon(20));
        if output.diagnostics_state != State::Internal {
            assert_eq!((output.diagnostics_state, &*output.fastest_host), (State::Complete, "127.0.0.1"));
        }
    }

    #[test]
    fn the_header_is_tr_143s() {
        let server = Running::start(config("127.0.0.1", true));
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client.connect(("127.0.0.1", server.port)).unwrap();
        let mut packet = [0xaa; 28];
        let mut response = [0; 64];
        for count in 1..=2 {
            client.send(&packet).unwrap();
            assert_eq!(client.recv(&mut response).unwrap(), 28);
            assert_eq!(response[..4], [0xaa; 4]);
            assert_eq!(response[4..8], [0, 0, 0, count]);
            assert_eq!(response[16..20], [0; 4]);
            assert_eq!(response[20..28], [0xaa; 8]);
        }
        let fields = EchoPlus::read(&response).unwrap();
        assert!(fields.test_resp_reply_time_stamp >= fields.test_resp_recv_time_stamp);
        packet[0] = 0xbb;
        client.send(&packet[..19]).unwrap();
        assert_eq!(client.recv(&mut response).unwrap(), 19);
        assert_eq!(response[..19], packet[..19]);
    }
}

mod standard {
    use super::*;
    use rcwmp::diagnostics::{download, self_test, throughput, upload};

    /// The enumeration of each parameter in TR-181, without its marks.
    fn enumerated(table: &str, path: &str) -> Vec<String> {
        let line = table.lines().find(|line| line.split('\t').next() == Some(path)).unwrap();
        let values = line.split('\t').nth(13).unwrap();
        values.split('|').map(|value| value.trim_end_matches(['^', '?']).to_owned()).collect()
    }

    #[test]
    fn every_value_is_tr_181s() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/standards/tr181.tsv");
        let Ok(table) = std::fs::read_to_string(file) else {
            println!("skipped: ../shared not present");
            return;
        };
        let lookup_path = "Device.DNS.Diagnostics.NSLookupDiagnostics";
        for (path, states) in [
            ("Device.IP.Diagnostics.IPPing", ping::STATES),
            ("Device.IP.Diagnostics.TraceRoute", traceroute::STATES),
            ("Device.IP.Diagnostics.DownloadDiagnostics", download::STATES),
            ("Device.IP.Diagnostics.UploadDiagnostics", upload::STATES),
            ("Device.IP.Diagnostics.UDPEchoDiagnostics", echo_test::STATES),
            ("Device.IP.Diagnostics.ServerSelectionDiagnostics", selection::STATES),
            (lookup_path, lookup::STATES),
            ("Device.SelfTestDiagnostics", self_test::STATES),
        ] {
            let values = enumerated(&table, &format!("{path}.DiagnosticsState"));
            assert!(values.iter().any(|value| value == "Requested"), "{values:?}");
            for state in states {
                assert!(values.iter().any(|value| value == state.as_str()), "{path} {state}: {values:?}");
            }
            // And the other way round: no error that the parameter knows is beyond the test.
            let ours: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
            for value in values.iter().filter(|value| value.starts_with("Error_")) {
                assert!(ours.contains(&value.as_str()), "{path} never says {value}");
            }
        }
        let statuses = enumerated(&table, &format!("{lookup_path}.Result.{{i}}.Status"));
        for status in [
            Status::Success,
            Status::DnsServerNotAvailable,
            Status::HostNameNotResolved,
            Status::Timeout,
            Status::Other,
        ] {
            assert!(statuses.iter().any(|value| value == status.as_str()), "{statuses:?}");
        }
        let types = enumerated(&table, &format!("{lookup_path}.Result.{{i}}.AnswerType"));
        for answer in [AnswerType::None, AnswerType::Authoritative, AnswerType::NonAuthoritative] {
            assert!(types.iter().any(|value| value == answer.as_str()), "{types:?}");
        }
        let protocols = enumerated(&table, "Device.IP.Diagnostics.ServerSelectionDiagnostics.Protocol");
        assert!(protocols.iter().all(|name| selection::Protocol::from_name(name).is_some()));
        let versions = enumerated(&table, "Device.IP.Diagnostics.IPPing.ProtocolVersion");
        assert!(versions.iter().all(|name| ProtocolVersion::from_name(name).is_some()));
        assert_eq!(versions.len(), 3);
        let transports = enumerated(&table, "Device.IP.Diagnostics.DownloadDiagnostics.DownloadTransports");
        assert!(throughput::TRANSPORTS.split(',').all(|name| transports.iter().any(|one| one == name)));
    }
}
