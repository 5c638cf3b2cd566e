//! UDPEchoConfig: the UDP echo server of RFC 862 and TR-143 A.1, with UDPEchoPlus
//! (`Device.IP.Diagnostics.UDPEchoConfig.`), and the packet that both ends share.
//!
//! An echo server on the open Internet is a reflector. So only `SourceIPAddress` is answered, nobody
//! if it is not set; a reply is never longer than its request; and a source port that would echo
//! back (our own, and the small services') is passed over, lest two servers play for ever.
//!
//! The server never waits: whoever owns it polls the descriptor and calls [`Server::serve`].

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{SockaddrStorage, bind, setsockopt, sockopt};

use crate::diagnostics::socket::{self, Asked, Way};
use crate::diagnostics::{Moment, Watch};

/// The most packets that one call of [`Server::serve`] takes, so that a flood leaves its owner time.
const MAX_BATCH: usize = 64;
/// The largest datagram.
const MAX_PACKET: usize = 65_535;
/// The UDP header, which `BytesReceived` and `BytesResponded` include.
const UDP_HEADER: u32 = 8;
/// echo, discard, systat, daytime, qotd, chargen, time, domain, ntp: a packet from there is a loop or
/// a forgery.
const REFUSED_PORTS: [u16; 9] = [7, 9, 11, 13, 17, 19, 37, 53, 123];

/// The fields of a UDPEchoPlus packet (TR-143 A.1.4), all big-endian on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EchoPlus {
    /// `TestGenSN`: the client's sequence number, left as it is by the server.
    pub test_gen_sn: u32,
    /// `TestRespSN`: the server's count of responses.
    pub test_resp_sn: u32,
    /// `TestRespRecvTimeStamp` in microseconds, rolling over.
    pub test_resp_recv_time_stamp: u32,
    /// `TestRespReplyTimeStamp` in microseconds, rolling over.
    pub test_resp_reply_time_stamp: u32,
    /// `TestRespReplyFailureCount`: requests that the server could not answer.
    pub test_resp_reply_failure_count: u32,
}

impl EchoPlus {
    /// The octets of the fields; a shorter payload is a plain echo.
    pub const LENGTH: usize = 20;

    /// Reads the fields; `None` if the payload is too short for them.
    pub fn read(payload: &[u8]) -> Option<EchoPlus> {
        let mut fields = payload
            .get(..EchoPlus::LENGTH)?
            .chunks_exact(4)
            .map(|four| u32::from_be_bytes(four.try_into().expect("chunks of four")));
        Some(EchoPlus {
            test_gen_sn: fields.next()?,
            test_resp_sn: fields.next()?,
            test_resp_recv_time_stamp: fields.next()?,
            test_resp_reply_time_stamp: fields.next()?,
            test_resp_reply_failure_count: fields.next()?,
        })
    }

    /// Writes the fields over the beginning of a payload; one that is too short stays as it is.
    pub fn write(&self, payload: &mut [u8]) {
        let fields = [
            self.test_gen_sn,
            self.test_resp_sn,
            self.test_resp_recv_time_stamp,
            self.test_resp_reply_time_stamp,
            self.test_resp_reply_failure_count,
        ];
        if let Some(room) = payload.get_mut(..EchoPlus::LENGTH) {
            for (four, field) in room.chunks_exact_mut(4).zip(fields) {
                four.copy_from_slice(&field.to_be_bytes());
            }
        }
    }
}

/// The writable parameters of UDPEchoConfig; `Enable` is to have a [`Server`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `Interface`, as a Linux device; empty for all.
    pub interface: String,
    /// `SourceIPAddress`, the only one that is answered; `None` answers nobody.
    pub source_ip_address: Option<IpAddr>,
    /// `UDPPort`; 0 lets the kernel choose.
    pub udp_port: u16,
    /// `EchoPlusEnabled`.
    pub echo_plus_enabled: bool,
}

/// The results of UDPEchoConfig since it was enabled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// `PacketsReceived` from the one source, wrapping.
    pub packets_received: u32,
    /// `PacketsResponded`, wrapping.
    pub packets_responded: u32,
    /// `BytesReceived` with their UDP headers, wrapping.
    pub bytes_received: u32,
    /// `BytesResponded` with their UDP headers, wrapping.
    pub bytes_responded: u32,
    /// `TimeFirstPacketReceived`.
    pub time_first_packet_received: Option<Moment>,
    /// `TimeLastPacketReceived`.
    pub time_last_packet_received: Option<Moment>,
}

/// Why the server does not come up.
#[derive(Debug)]
pub enum EchoError {
    /// The interface cannot be bound: its name.
    Interface(String),
    /// The port cannot be bound: the port and the reason.
    Port(u16, io::Error),
}

impl fmt::Display for EchoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EchoError::Interface(name) => write!(f, "UDP echo cannot be bound to interface {name:?}"),
            EchoError::Port(port, why) => write!(f, "UDP echo cannot be bound to port {port}: {why}"),
        }
    }
}

impl std::error::Error for EchoError {}

/// A running UDP echo server.
#[derive(Debug)]
pub struct Server {
    socket: UdpSocket,
    config: Config,
    own_port: u16,
    counters: Counters,
    failures: u32,
    watch: Watch,
    start: Instant,
    buffer: Vec<u8>,
}

impl Server {
    /// Opens the port, with all counters at zero, for the family of `SourceIPAddress` (IPv4 without).
    pub fn open(config: Config) -> Result<Server, EchoError> {
        let address = match config.source_ip_address {
            Some(IpAddr::V6(_)) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), config.udp_port),
            _ => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), config.udp_port),
        };
        let way = Way { interface: &config.interface, ..Way::default() };
        let fd = socket::udp(address.is_ipv6(), &way)
            .map_err(|_| EchoError::Interface(config.interface.clone()))?;
        let failed = |why: io::Error| EchoError::Port(config.udp_port, why);
        if address.is_ipv6() {
            setsockopt(&fd, sockopt::Ipv6V6Only, &true).map_err(|why| failed(why.into()))?;
        }
        bind(fd.as_raw_fd(), &SockaddrStorage::from(address)).map_err(|why| failed(why.into()))?;
        // A reply must leave from the address that was asked, of which a router has several.
        socket::set_either(
            &fd,
            address.is_ipv6(),
            sockopt::Ipv4PacketInfo,
            sockopt::Ipv6RecvPacketInfo,
            &true,
        )
        .map_err(|why| failed(why.into()))?;
        let socket: UdpSocket = fd.into();
        let own_port = socket.local_addr().map_err(failed)?.port();
        Ok(Server {
            socket,
            config,
            own_port,
            counters: Counters::default(),
            failures: 0,
            watch: Watch::start(),
            start: Instant::now(),
            buffer: vec![0; MAX_PACKET],
        })
    }

    /// The port that is served.
    pub fn port(&self) -> u16 {
        self.own_port
    }

    /// What it was opened with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The results so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Answers what has come, without waiting. Gives whether there may be more.
    pub fn serve(&mut self) -> bool {
        for _ in 0..MAX_BATCH {
            match socket::receive_with_target(&self.socket, &mut self.buffer) {
                Ok((length, Some(peer), asked)) if self.is_answered(peer) => {
                    self.answer(length, peer, &asked);
                }
                Ok(_) => {}
                Err(Errno::EAGAIN) => return false,
                // An ICMP error about an earlier reply: nothing came, nothing is lost.
                Err(_) => {}
            }
        }
        true
    }

    fn is_answered(&self, peer: SocketAddr) -> bool {
        self.config.source_ip_address == Some(peer.ip())
            && peer.port() != self.own_port
            && !REFUSED_PORTS.contains(&peer.port())
    }

    fn answer(&mut self, length: usize, peer: SocketAddr, asked: &Asked) {
        let now = Instant::now();
        let moment = self.watch.moment(now);
        let bytes = u32::try_from(length).unwrap_or(u32::MAX).wrapping_add(UDP_HEADER);
        let counters = &mut self.counters;
        counters.packets_received = counters.packets_received.wrapping_add(1);
        counters.bytes_received = counters.bytes_received.wrapping_add(bytes);
        counters.time_first_packet_received.get_or_insert(moment);
        counters.time_last_packet_received = Some(moment);
        let packet = &mut self.buffer[..length];
        if self.config.echo_plus_enabled
            && let Some(request) = EchoPlus::read(packet)
        {
            EchoPlus {
                test_gen_sn: request.test_gen_sn,
                test_resp_sn: counters.packets_responded.wrapping_add(1),
                test_resp_recv_time_stamp: rolling(now, self.start),
                test_resp_reply_time_stamp: rolling(Instant::now(), self.start),
                test_resp_reply_failure_count: self.failures,
            }
            .write(packet);
        }
        match socket::send_from(&self.socket, packet, peer, asked) {
            Ok(sent) if sent == length => {
                counters.packets_responded = counters.packets_responded.wrapping_add(1);
                counters.bytes_responded = counters.bytes_responded.wrapping_add(bytes);
            }
            _ => self.failures = self.failures.wrapping_add(1),
        }
    }
}

impl AsFd for Server {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Microseconds since the start, rolling over at 32 bits as TR-143 A.1.4 has it.
fn rolling(at: Instant, start: Instant) -> u32 {
    let micros = at.saturating_duration_since(start).as_micros();
    u32::try_from(micros & u128::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn fields_keep_their_places() {
        let fields = EchoPlus {
            test_gen_sn: 1,
            test_resp_sn: 2,
            test_resp_recv_time_stamp: 3,
            test_resp_reply_time_stamp: 4,
            test_resp_reply_failure_count: 0x0102_0304,
        };
        let mut packet = [9; 24];
        fields.write(&mut packet);
        assert_eq!(packet, [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 1, 2, 3, 4, 9, 9, 9, 9]);
        assert_eq!(EchoPlus::read(&packet), Some(fields));
        let mut short = [9; 19];
        fields.write(&mut short);
        assert_eq!(short, [9; 19]);
        assert_eq!(EchoPlus::read(&short), None);
    }

    #[test]
    fn stamps_roll_over() {
        let start = Instant::now();
        let at = start + Duration::from_micros((1 << 32) + 7);
        assert_eq!(rolling(at, start), 7);
    }
}
