//! The diagnostics against loopback, scripted peers, and the kernel: what they measure, what they
//! refuse, and that nobody keeps them beyond their deadline.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rcwmp::diagnostics::lookup::{self, AnswerType, Status};
use rcwmp::diagnostics::{ProtocolVersion, State, ping};

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
            lookup::Input { number_of_repetitions: 300, host_name: "..".into(), ..input(server(|_| vec![])) };
        let output = lookup::run(&input, &GO, soon(60));
        assert_eq!(output.result.len(), lookup::MAX_RESULTS);
        assert!(output.result.iter().all(|row| row.status == Status::HostNameNotResolved));
    }
}
