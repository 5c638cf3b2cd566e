//! NSLookupDiagnostics: a name asked of one DNS server, several times over UDP
//! (`Device.DNS.Diagnostics.NSLookupDiagnostics.`).
//!
//! Each repetition asks for A and AAAA at once from a fresh port with fresh identifiers. It is
//! answered by the first that brings addresses; the other gets a short grace. An answer that was cut
//! counts for what is whole in it; there is no second try over TCP.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use crate::diagnostics::dns::{self, Answer, Kind};
use crate::diagnostics::socket::{self, Way};
use crate::diagnostics::{Control, ProtocolVersion, State, host};
use crate::sys::rng;

/// The values of `DiagnosticsState` that this test gives.
pub const STATES: &[State] =
    &[State::Canceled, State::Complete, State::DnsServerNotResolved, State::Internal, State::Other];

/// The most rows of `Result.{i}.`: of a longer test the first ones are kept, and all are counted.
pub const MAX_RESULTS: usize = 256;
/// The port of DNS.
const PORT: u16 = 53;
/// How long the second kind of address may take after the first has come.
const GRACE: Duration = Duration::from_millis(250);
/// The least time between two repetitions.
const GAP: Duration = Duration::from_millis(20);
/// How long one server may take for SRV records.
#[cfg(feature = "xmpp")]
const SRV_PATIENCE: Duration = Duration::from_secs(2);
/// The longest resolv.conf that is read.
const MAX_RESOLV_CONF: u64 = 16 * 1024;

/// The parameters of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// `Interface`, as a Linux device; empty to follow the routes.
    pub interface: String,
    /// `HostName`; the current domain is added to a name without a dot.
    pub host_name: String,
    /// `DNSServer`, a name or an address; empty for the first of `resolv_conf`.
    pub dns_server: String,
    /// `Timeout` of one repetition in milliseconds; 0 is taken as 1.
    pub timeout: u32,
    /// `NumberOfRepetitions`; 0 is taken as 1.
    pub number_of_repetitions: u32,
    /// Where the system's servers and domain stand, `/etc/resolv.conf` or another root's.
    pub resolv_conf: std::path::PathBuf,
    /// The server's port, 53 but in tests.
    pub port: u16,
}

impl Default for Input {
    fn default() -> Input {
        Input {
            interface: String::new(),
            host_name: String::new(),
            dns_server: String::new(),
            timeout: 5000,
            number_of_repetitions: 1,
            resolv_conf: "/etc/resolv.conf".into(),
            port: PORT,
        }
    }
}

/// The results of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// `DiagnosticsState`, one of [`STATES`].
    pub diagnostics_state: State,
    /// `SuccessCount`.
    pub success_count: u32,
    /// `Result.{i}.`, one a repetition.
    pub result: Vec<Repetition>,
}

/// One row of `Result.{i}.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repetition {
    /// `Status`.
    pub status: Status,
    /// `AnswerType`.
    pub answer_type: AnswerType,
    /// `HostNameReturned`: the name at the end of the aliases; empty without an answer.
    pub host_name_returned: String,
    /// `IPAddresses`, ten at most.
    pub ip_addresses: Vec<IpAddr>,
    /// `DNSServerIP`.
    pub dns_server_ip: IpAddr,
    /// `ResponseTime` in milliseconds.
    pub response_time: u32,
}

/// `Status` of a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `Success`.
    Success,
    /// `Error_DNSServerNotAvailable`: nobody listens there, or there is no route.
    DnsServerNotAvailable,
    /// `Error_HostNameNotResolved`: the server knows no address of the name.
    HostNameNotResolved,
    /// `Error_Timeout`.
    Timeout,
    /// `Error_Other`: the server failed or refused.
    Other,
}

impl Status {
    /// The parameter's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Success => "Success",
            Status::DnsServerNotAvailable => "Error_DNSServerNotAvailable",
            Status::HostNameNotResolved => "Error_HostNameNotResolved",
            Status::Timeout => "Error_Timeout",
            Status::Other => "Error_Other",
        }
    }
}

/// `AnswerType` of a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerType {
    /// `None`: no answer.
    None,
    /// `Authoritative`.
    Authoritative,
    /// `NonAuthoritative`.
    NonAuthoritative,
}

impl AnswerType {
    /// The parameter's value.
    pub fn as_str(self) -> &'static str {
        match self {
            AnswerType::None => "None",
            AnswerType::Authoritative => "Authoritative",
            AnswerType::NonAuthoritative => "NonAuthoritative",
        }
    }
}

/// Runs the test. Repetitions that the deadline cuts off have no row, and the state is `Error_Other`.
pub fn run(input: &Input, cancel: &AtomicBool, deadline: Instant) -> Output {
    let control = Control::new(cancel, deadline);
    let mut output = Output { diagnostics_state: State::Complete, success_count: 0, result: Vec::new() };
    if let Err(state) = repeat(input, &control, &mut output) {
        output.diagnostics_state = state.among(STATES);
    }
    output
}

/// The name of an address, asked of the system's first server; `None` if there is none in time.
pub(crate) fn reverse(address: IpAddr, timeout: Duration, control: &Control<'_>) -> Option<String> {
    let system = System::read(std::path::Path::new("/etc/resolv.conf"));
    let server = SocketAddr::new(*system.servers.first()?, PORT);
    let name = dns::reverse_name(address);
    let found = exchange(server, &Way::default(), &name, &[Kind::Ptr], timeout, control).ok()?.ok()?;
    let answer = found.answers.into_iter().next()?;
    let is_name = answer.code == 0 && answer.name != name && !answer.name.is_empty();
    is_name.then_some(answer.name)
}

/// The SRV records of a name (RFC 2782), asked of the system's servers in turn, each for a second or two. Empty
/// where there are none; `None` if no server answers.
#[cfg(feature = "xmpp")]
pub(crate) fn services(
    name: &str,
    resolv_conf: &std::path::Path,
    port: u16,
    cancel: &AtomicBool,
    deadline: Instant,
) -> Option<Vec<dns::Service>> {
    let control = Control::new(cancel, deadline);
    System::read(resolv_conf).servers.into_iter().find_map(|server| {
        let server = SocketAddr::new(server, port);
        let found =
            exchange(server, &Way::default(), name, &[Kind::Srv], SRV_PATIENCE, &control).ok()?.ok()?;
        let answer = found.answers.into_iter().next().filter(|answer| matches!(answer.code, 0 | 3))?;
        Some(answer.services)
    })
}

/// Whether a resolv.conf can be read; one without servers means the server on this device.
pub(crate) fn has_servers(resolv_conf: &std::path::Path) -> bool {
    !System::read(resolv_conf).servers.is_empty()
}

fn repeat(input: &Input, control: &Control<'_>, output: &mut Output) -> Result<(), State> {
    let system = System::read(&input.resolv_conf);
    let server = server(input, &system, control)?;
    let way = Way { interface: &input.interface, ..Way::default() };
    let name = system.full_name(&input.host_name);
    let timeout = Duration::from_millis(u64::from(input.timeout.max(1)));
    let repetitions = input.number_of_repetitions.max(1);
    for repetition in 0..repetitions {
        let start = Instant::now();
        let row = ask(server, &way, &name, timeout, control)?;
        if row.status == Status::Success {
            output.success_count = output.success_count.saturating_add(1);
        }
        if output.result.len() < MAX_RESULTS {
            output.result.push(row);
        }
        if repetition + 1 < repetitions {
            control.sleep(start + GAP)?;
        }
    }
    Ok(())
}

fn server(input: &Input, system: &System, control: &Control<'_>) -> Result<SocketAddr, State> {
    let not_resolved = |state| match state {
        State::CannotResolveHostName => State::DnsServerNotResolved,
        state => state,
    };
    let addresses = match input.dns_server.as_str() {
        "" => system.servers.iter().map(|server| SocketAddr::new(*server, input.port)).collect(),
        name => host::resolve(name, input.port, ProtocolVersion::Any, control).map_err(not_resolved)?,
    };
    addresses.first().copied().ok_or(State::DnsServerNotResolved)
}

fn ask(
    server: SocketAddr,
    way: &Way<'_>,
    name: &str,
    timeout: Duration,
    control: &Control<'_>,
) -> Result<Repetition, State> {
    let mut row = Repetition {
        status: Status::Other,
        answer_type: AnswerType::None,
        host_name_returned: String::new(),
        ip_addresses: Vec::new(),
        dns_server_ip: server.ip(),
        response_time: 0,
    };
    let found = match exchange(server, way, name, &[Kind::A, Kind::Aaaa], timeout, control)? {
        Ok(found) => found,
        Err(status) => {
            row.status = status;
            return Ok(row);
        }
    };
    row.response_time = u32::try_from(found.time.as_millis()).unwrap_or(u32::MAX);
    let is_answer = |answer: &&Answer| !answer.addresses.is_empty();
    if let Some(best) = found.answers.iter().find(is_answer).or(found.answers.first()) {
        row.answer_type = match best.is_authoritative {
            true => AnswerType::Authoritative,
            false => AnswerType::NonAuthoritative,
        };
        row.status = match best.code {
            0 if !best.addresses.is_empty() => Status::Success,
            0 if best.is_truncated => Status::Other,
            0 | 3 => Status::HostNameNotResolved,
            _ => Status::Other,
        };
    }
    if row.status == Status::Success {
        row.host_name_returned =
            found.answers.iter().find(is_answer).map_or(String::new(), |a| a.name.clone());
    }
    row.ip_addresses = found.answers.into_iter().flat_map(|answer| answer.addresses).collect();
    row.ip_addresses.truncate(dns::MAX_ADDRESSES);
    Ok(row)
}

/// The answers to the questions of one exchange, in the questions' order, and the time of the first
/// that had something to say (of the last, if none had).
struct Found {
    answers: Vec<Answer>,
    time: Duration,
}

fn exchange(
    server: SocketAddr,
    way: &Way<'_>,
    name: &str,
    kinds: &[Kind],
    timeout: Duration,
    control: &Control<'_>,
) -> Result<Result<Found, Status>, State> {
    let socket: UdpSocket = socket::udp(server.is_ipv6(), way)?.into();
    let start = Instant::now();
    let mut until = control.after(timeout);
    if socket.connect(server).is_err() {
        return Ok(Err(Status::DnsServerNotAvailable));
    }
    let mut pending = Vec::new();
    for kind in kinds {
        let id = u16::try_from(rng::number().map_err(|_| State::Internal)? & 0xffff).unwrap_or(0);
        let Some(question) = dns::question(id, name, *kind) else {
            return Ok(Err(Status::HostNameNotResolved));
        };
        match socket.send(&question) {
            Ok(_) => pending.push((*kind, id)),
            Err(error) if is_refused(&error) => return Ok(Err(Status::DnsServerNotAvailable)),
            Err(_) => return Ok(Err(Status::Other)),
        }
    }
    let mut buffer = vec![0; dns::MAX_MESSAGE];
    let mut found: Vec<(Kind, Answer)> = Vec::new();
    let mut time = None;
    while !pending.is_empty() && control.wait(socket.as_fd(), PollFlags::POLLIN, until)? {
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if is_refused(&error) => return Ok(Err(Status::DnsServerNotAvailable)),
            // A peer whose packets are all noise must not keep us beyond the timeout.
            Err(_) if Instant::now() >= until => break,
            Err(_) => continue,
        };
        let message = &buffer[..length];
        let fits = |(kind, id): &(Kind, u16)| dns::answer(message, *id, name, *kind);
        if let Some((at, answer)) = pending.iter().enumerate().find_map(|(at, one)| Some((at, fits(one)?))) {
            let (kind, _) = pending.remove(at);
            if !answer.addresses.is_empty() && time.is_none() {
                time = Some(start.elapsed());
                until = until.min(Instant::now() + GRACE);
            }
            found.push((kind, answer));
        }
        if Instant::now() >= until {
            break;
        }
    }
    if found.is_empty() {
        return Ok(Err(Status::Timeout));
    }
    found.sort_by_key(|(kind, _)| *kind as u16);
    let answers = found.into_iter().map(|(_, answer)| answer).collect();
    Ok(Ok(Found { answers, time: time.unwrap_or_else(|| start.elapsed()) }))
}

fn is_refused(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}

/// What resolv.conf says.
#[derive(Debug, PartialEq, Eq, Default)]
struct System {
    servers: Vec<IpAddr>,
    domain: String,
}

impl System {
    // No file means no servers: the state tells it.
    fn read(path: &std::path::Path) -> System {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAX_RESOLV_CONF).read_to_string(&mut text));
        if read.is_err() { System::default() } else { System::parse(&text) }
    }

    fn parse(text: &str) -> System {
        let mut system = System::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("nameserver"), Some(server)) if system.servers.len() < 3 => {
                    system.servers.extend(server.parse::<IpAddr>());
                }
                (Some("domain" | "search"), Some(domain)) => system.domain = domain.to_owned(),
                _ => {}
            }
        }
        // The resolver of the C library does the same without any server.
        if system.servers.is_empty() {
            system.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        system
    }

    fn full_name(&self, name: &str) -> String {
        let domain = self.domain.trim_matches('.');
        if name.contains('.') || domain.is_empty() { name.to_owned() } else { format!("{name}.{domain}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf() {
        let text =
            "# by netifd\nsearch lan example.\nnameserver 127.0.0.1\nnameserver ::1 # x\nnameserver bad\n";
        let system = System::parse(text);
        assert_eq!(system.servers, ["127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        let check = |name: &str, expected: &str| assert_eq!(system.full_name(name), expected);
        check("router", "router.lan");
        check("router.", "router.");
        check("www.example.com", "www.example.com");
        assert_eq!(System::parse("").servers.len(), 1);
        assert!(System::read("/nonexistent".as_ref()).servers.is_empty());
    }

    #[test]
    #[cfg(feature = "xmpp")]
    fn services_of_a_domain() {
        use std::time::{Duration, Instant};

        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut block = [0; 512];
            let (length, from) = server.recv_from(&mut block).unwrap();
            let mut message = block[..length].to_vec();
            // From somebody who guesses, and then the answer.
            message[2] = 0x80;
            message[1] ^= 1;
            server.send_to(&message, from).unwrap();
            message[1] ^= 1;
            message[7] = 1;
            message.extend([
                0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 9, 0, 10, 0, 1, 0, 2, 0x14, 0x66, 1, b'h', 0xc0, 30,
            ]);
            server.send_to(&message, from).unwrap();
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "nameserver 127.0.0.1\n").unwrap();
        let ask = |name: &str| {
            let deadline = Instant::now() + Duration::from_secs(20);
            services(name, file.path(), port, &AtomicBool::new(false), deadline)
        };
        assert_eq!(ask("_xmpp-client._tcp.a.b"), Some(vec![(1, 2, 5222, "h.a.b".to_owned())]));
        assert_eq!(ask("_xmpp-client._tcp.a.b"), None, "nobody is there any more");
    }
}
