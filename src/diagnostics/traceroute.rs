//! TraceRoute: UDP datagrams with a rising hop limit (`Device.IP.Diagnostics.TraceRoute.`).
//!
//! Who dropped a datagram stands in the socket's error queue, so no privilege is needed. Each
//! datagram goes to a port of its own, and the queue tells the port an error speaks of: errors
//! cannot be taken for one another's, nor be made up by who does not see our packets. The end is
//! reached when the host itself says "port unreachable", or answers.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use nix::sys::socket::sockopt;

use crate::diagnostics::ping::{MAX_BLOCK, pattern};
use crate::diagnostics::socket::{self, IcmpError, Way};
use crate::diagnostics::{Control, ProtocolVersion, State, host, lookup};

/// The values of `DiagnosticsState` that this test gives.
pub const STATES: &[State] = &[
    State::Canceled,
    State::Complete,
    State::CannotResolveHostName,
    State::NoRouteToHost,
    State::MaxHopCountExceeded,
    State::Internal,
    State::Other,
];

/// The first port, by custom one that nobody listens on.
const FIRST_PORT: u16 = 33_434;
/// The bounds of `NumberOfTries` and `MaxHopCount`.
const MAX_TRIES: u32 = 3;
const MAX_HOPS: u32 = 64;
/// How long the name of one hop may take, and of all of them.
const NAME_TIMEOUT: Duration = Duration::from_secs(1);
const NAMES_TIMEOUT: Duration = Duration::from_secs(5);

/// The parameters of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// `Interface`, as a Linux device; empty to follow the routes.
    pub interface: String,
    /// `ProtocolVersion`.
    pub protocol_version: ProtocolVersion,
    /// `Host`, a name or an address.
    pub host: String,
    /// `NumberOfTries` a hop, 1 to 3.
    pub number_of_tries: u32,
    /// `Timeout` of one try in milliseconds, from 1.
    pub timeout: u32,
    /// `DataBlockSize` in octets, 1 to 65535. UDP over IPv4 carries 65507 at most.
    pub data_block_size: u32,
    /// `DSCP`, 0 to 63.
    pub dscp: u32,
    /// `MaxHopCount`, 1 to 64.
    pub max_hop_count: u32,
    /// Whether the names of the hops are asked for; TR-181 wants them "if DNS is able to".
    pub with_names: bool,
}

impl Default for Input {
    fn default() -> Input {
        Input {
            interface: String::new(),
            protocol_version: ProtocolVersion::Any,
            host: String::new(),
            number_of_tries: 3,
            timeout: 5000,
            data_block_size: 38,
            dscp: 0,
            max_hop_count: 30,
            with_names: true,
        }
    }
}

/// The results of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// `DiagnosticsState`, one of [`STATES`].
    pub diagnostics_state: State,
    /// `IPAddressUsed`: our own address.
    pub ip_address_used: Option<IpAddr>,
    /// `ResponseTime` of the host in milliseconds; 0 if it was not reached.
    pub response_time: u32,
    /// `RouteHops.{i}.`, the first hop first; a silent hop has its row.
    pub route_hops: Vec<Hop>,
}

/// One row of `RouteHops.{i}.`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hop {
    /// `Host`: the hop's name, or its address if it has none; empty if it was silent.
    pub host: String,
    /// `HostAddress`: its address if `host` is a name, else empty.
    pub host_address: String,
    /// `ErrorCode`: the ICMP code of its last message.
    pub error_code: u32,
    /// `RTTimes` in milliseconds, one a try: at least 1, and 0 for a try that was not answered.
    pub rt_times: Vec<u32>,
}

/// Runs the test.
pub fn run(input: &Input, cancel: &AtomicBool, deadline: Instant) -> Output {
    let control = Control::new(cancel, deadline);
    let mut trace = Trace { local: None, hops: Vec::new(), response_time: 0 };
    let done = trace.run(input, &control);
    if input.with_names && done != Err(State::Canceled) {
        trace.name_hops(&control);
    }
    Output {
        diagnostics_state: done.err().unwrap_or(State::Complete).among(STATES),
        ip_address_used: trace.local,
        response_time: trace.response_time,
        route_hops: trace.hops.into_iter().map(|(hop, _)| hop).collect(),
    }
}

struct Trace {
    local: Option<IpAddr>,
    hops: Vec<(Hop, Option<IpAddr>)>,
    response_time: u32,
}

/// What one try learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// A router dropped the datagram at the end of its hops.
    Router(IpAddr, u8),
    /// The host has it.
    Host(IpAddr, u8),
    /// Somebody cannot or will not pass it on.
    Blocked(IpAddr, u8),
}

impl Trace {
    fn run(&mut self, input: &Input, control: &Control<'_>) -> Result<(), State> {
        let is_valid = (1..=MAX_TRIES).contains(&input.number_of_tries)
            && (1..=MAX_HOPS).contains(&input.max_hop_count)
            && (1..=MAX_BLOCK).contains(&input.data_block_size)
            && input.timeout >= 1
            && input.dscp <= 63;
        if !is_valid {
            return Err(State::Other);
        }
        let way = Way { interface: &input.interface, dscp: input.dscp, priority: 0 };
        let addresses = host::resolve(&input.host, FIRST_PORT, input.protocol_version, control)?;
        let (target, local) = host::route(&addresses, &way)?;
        self.local = Some(local);
        let probe = Probe::open(target, &way, input)?;
        for hop in 1..=input.max_hop_count {
            if let Some(end) = self.hop(hop, &probe, input, control)? {
                return end;
            }
        }
        Err(State::MaxHopCountExceeded)
    }

    /// Tries one hop; gives how the route ended, if it did.
    fn hop(
        &mut self,
        number: u32,
        probe: &Probe,
        input: &Input,
        control: &Control<'_>,
    ) -> Result<Option<Result<(), State>>, State> {
        let timeout = Duration::from_millis(u64::from(input.timeout));
        let mut hop = Hop::default();
        let mut address = None;
        let mut end = None;
        for attempt in 0..input.number_of_tries {
            let port = FIRST_PORT + u16::try_from((number - 1) * MAX_TRIES + attempt).unwrap_or(0);
            let (seen, time) = match probe.attempt(number, port, timeout, control)? {
                Some(answered) => answered,
                None => {
                    hop.rt_times.push(0);
                    continue;
                }
            };
            let time = u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1);
            hop.rt_times.push(time);
            let (from, code) = match seen {
                Seen::Router(from, code) => (from, code),
                Seen::Host(from, code) => {
                    self.response_time = time;
                    end = Some(Ok(()));
                    (from, code)
                }
                Seen::Blocked(from, code) => {
                    end = end.or(Some(Err(State::NoRouteToHost)));
                    (from, code)
                }
            };
            hop.host = from.to_string();
            hop.error_code = code.into();
            address = Some(from);
        }
        self.hops.push((hop, address));
        Ok(end)
    }

    fn name_hops(&mut self, control: &Control<'_>) {
        let until = control.after(NAMES_TIMEOUT);
        for (hop, address) in &mut self.hops {
            let Some(address) = address else { continue };
            let left = until.saturating_duration_since(Instant::now()).min(NAME_TIMEOUT);
            if left.is_zero() {
                return;
            }
            if let Some(name) = lookup::reverse(*address, left, control) {
                hop.host_address = std::mem::replace(&mut hop.host, name);
            }
        }
    }
}

/// The socket that the datagrams leave by.
struct Probe {
    fd: OwnedFd,
    socket: UdpSocket,
    target: SocketAddr,
    payload: Vec<u8>,
}

impl Probe {
    fn open(target: SocketAddr, way: &Way<'_>, input: &Input) -> Result<Probe, State> {
        let fd = socket::udp(target.is_ipv6(), way)?;
        socket::queue_errors(&fd, target.is_ipv6()).map_err(|_| State::Internal)?;
        let socket = fd.try_clone().map_err(|_| State::Internal)?.into();
        let size = usize::try_from(input.data_block_size).map_err(|_| State::Other)?;
        Ok(Probe { fd, socket, target, payload: pattern(size)? })
    }

    fn attempt(
        &self,
        hop_limit: u32,
        port: u16,
        timeout: Duration,
        control: &Control<'_>,
    ) -> Result<Option<(Seen, Duration)>, State> {
        let is_v6 = self.target.is_ipv6();
        let limit = i32::try_from(hop_limit).map_err(|_| State::Internal)?;
        socket::set_either(&self.fd, is_v6, sockopt::Ipv4Ttl, sockopt::Ipv6Ttl, &limit)
            .map_err(|_| State::Internal)?;
        let mut target = self.target;
        target.set_port(port);
        let until = control.after(timeout);
        let start = Instant::now();
        if let Err(error) = self.send(target) {
            let fault = socket::fault(&error, State::Other);
            // Full buffers lose a try, not the test.
            return if fault == State::Internal { Ok(None) } else { Err(fault) };
        }
        let mut small = [0; 1];
        while control.wait(self.fd.as_fd(), PollFlags::POLLIN, until)? {
            let time = start.elapsed();
            while let Some(error) = socket::next_error(&self.fd) {
                if let Some(seen) = read_error(is_v6, &error, target) {
                    return Ok(Some((seen, time)));
                }
            }
            // An error in the queue is also the socket's pending one, which a read clears.
            if let Ok((_, peer)) = self.socket.recv_from(&mut small)
                && (peer.ip(), peer.port()) == (target.ip(), port)
            {
                return Ok(Some((Seen::Host(peer.ip(), 0), time)));
            }
            if Instant::now() >= until {
                break;
            }
        }
        Ok(None)
    }

    fn send(&self, target: SocketAddr) -> std::io::Result<()> {
        match self.socket.send_to(&self.payload, target) {
            // The first send after an error reports that error instead of sending.
            Err(_) => self.socket.send_to(&self.payload, target).map(drop),
            Ok(_) => Ok(()),
        }
    }
}

/// What an error says about the datagram to `target`; `None` if it speaks of another, or of its size
/// (fragmentation needed, packet too big: the kernel learns from it, and the try is lost).
fn read_error(is_v6: bool, error: &IcmpError, target: SocketAddr) -> Option<Seen> {
    let about = error.target?;
    let from = error.from?;
    if about.ip() != target.ip() || about.port() != target.port() {
        return None;
    }
    let (exceeded, unreachable, too_big) = if is_v6 { (3, 1, (2, 0)) } else { (11, 3, (3, 4)) };
    match (error.kind, error.code) {
        both if both == too_big => None,
        (kind, code) if kind == exceeded => Some(Seen::Router(from, code)),
        (kind, code) if kind == unreachable && from == target.ip() => Some(Seen::Host(from, code)),
        (kind, code) if kind == unreachable => Some(Seen::Blocked(from, code)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: u8, code: u8, from: &str, about: &str, expected: Option<Seen>) {
        let from: IpAddr = from.parse().unwrap();
        let target: SocketAddr = "192.0.2.9:33434".parse().unwrap();
        let error = IcmpError { from: Some(from), target: Some(about.parse().unwrap()), kind, code };
        assert_eq!(read_error(false, &error, target), expected, "{kind} {code} {from} {about}");
    }

    #[test]
    fn errors_are_read() {
        let (ours, router, host) = ("192.0.2.9:33434", "10.0.0.1", "192.0.2.9");
        let (at_router, at_host) = (router.parse().unwrap(), host.parse().unwrap());
        check(11, 0, router, ours, Some(Seen::Router(at_router, 0)));
        check(3, 3, host, ours, Some(Seen::Host(at_host, 3)));
        check(3, 13, host, ours, Some(Seen::Host(at_host, 13)));
        check(3, 1, router, ours, Some(Seen::Blocked(at_router, 1)));
        check(3, 4, router, ours, None);
        check(11, 0, router, "192.0.2.9:33435", None);
        check(11, 0, router, "192.0.2.8:33434", None);
        check(0, 0, router, ours, None);
    }
}
