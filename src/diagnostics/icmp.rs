//! ICMP echo over IPv4 and IPv6, by the unprivileged ICMP socket where the kernel allows it
//! (`net.ipv4.ping_group_range`, for both families) and by a raw one otherwise (CAP_NET_RAW).
//!
//! The socket is connected, so the kernel passes only the peer's packets; identifier, sequence and
//! the whole payload must match as well. ICMP errors come through the socket's error queue.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockProtocol, SockType, SockaddrStorage, connect, recv, send};

use crate::diagnostics::State;
use crate::diagnostics::socket::{self, Way};
use crate::sys::rng;

/// Echo request and reply of ICMP (RFC 792) and ICMPv6 (RFC 4443).
const REQUEST: [u8; 2] = [8, 128];
const REPLY: [u8; 2] = [0, 129];
/// Type, code, checksum, identifier, sequence.
const HEADER: usize = 8;

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The reply to our request.
    Reply,
    /// Somebody said that the request will not arrive.
    Unreachable,
}

/// A connected ICMP socket.
#[derive(Debug)]
pub(crate) struct Echo {
    fd: OwnedFd,
    is_v6: bool,
    is_raw: bool,
    id: u16,
}

impl Echo {
    /// Opens a socket to the peer. Errs with `NoRouteToHost` without a route, with `Internal` if the
    /// kernel allows neither kind of socket.
    pub(crate) fn open(peer: SocketAddr, way: &Way<'_>) -> Result<Echo, State> {
        let is_v6 = peer.is_ipv6();
        let protocol = if is_v6 { SockProtocol::IcmpV6 } else { SockProtocol::Icmp };
        let open = |kind| socket::open(is_v6, kind, Some(protocol), way);
        let (fd, is_raw) = match open(SockType::Datagram) {
            Ok(fd) => (fd, false),
            Err(Errno::EACCES | Errno::EPERM | Errno::EPROTONOSUPPORT) => match open(SockType::Raw) {
                Ok(fd) => (fd, true),
                Err(Errno::EACCES | Errno::EPERM) => return Err(State::Internal),
                Err(error) => return Err(socket::fault(&error.into(), State::Internal)),
            },
            Err(error) => return Err(socket::fault(&error.into(), State::Internal)),
        };
        let failed = |error: Errno| socket::fault(&error.into(), State::Other);
        socket::queue_errors(&fd, is_v6).map_err(failed)?;
        // On a raw socket a port is a protocol number, which must be 0 or the socket's own.
        let target = SockaddrStorage::from(with_port(peer, 0));
        connect(fd.as_raw_fd(), &target).map_err(failed)?;
        let id = u16::try_from(rng::number().map_err(|_| State::Internal)? & 0xffff).unwrap_or(0);
        Ok(Echo { fd, is_v6, is_raw, id })
    }

    /// Sends a request. Errs with the system's error.
    pub(crate) fn send(&self, sequence: u16, payload: &[u8]) -> io::Result<()> {
        let packet = request(self.is_v6, self.id, sequence, payload);
        let sent = send(self.fd.as_raw_fd(), &packet, MsgFlags::MSG_DONTWAIT);
        match sent {
            Ok(count) if count == packet.len() => Ok(()),
            Ok(_) => Err(Errno::EMSGSIZE.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes one packet or error; `None` when there is nothing (more) of interest.
    ///
    /// An error carries no sequence that could be trusted: call [`Echo::forget`] before each request.
    pub(crate) fn receive(&self, buffer: &mut [u8], sequence: u16, payload: &[u8]) -> Option<Answer> {
        loop {
            if let Some(error) = socket::next_error(&self.fd) {
                if is_final(self.is_v6, error.kind) {
                    return Some(Answer::Unreachable);
                }
                continue;
            }
            match recv(self.fd.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => {
                    let packet = buffer.get(..length)?;
                    let id = self.is_raw.then_some(self.id);
                    let has_ip = self.is_raw && !self.is_v6;
                    if is_reply(self.is_v6, has_ip, packet, id, sequence, payload) {
                        return Some(Answer::Reply);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return None,
                // The pending error of the socket, which stands in the queue as well.
                Err(_) => match socket::next_error(&self.fd) {
                    Some(error) if !is_final(self.is_v6, error.kind) => {}
                    _ => return Some(Answer::Unreachable),
                },
            }
        }
    }

    /// Throws away what came late for an earlier request.
    pub(crate) fn forget(&self, buffer: &mut [u8]) {
        // Bounded: a peer that floods us cannot hold us here.
        for _ in 0..1024 {
            let had_error = socket::next_error(&self.fd).is_some();
            match recv(self.fd.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) if !had_error => return,
                _ => {}
            }
        }
    }
}

impl AsFd for Echo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The internet checksum (RFC 1071).
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        let high = u32::from(pair[0]) << 8;
        sum += high | pair.get(1).map_or(0, |low| u32::from(*low));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// An echo request. The checksum of ICMPv6 covers addresses that only the kernel knows: it fills it in.
pub(crate) fn request(is_v6: bool, id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER + payload.len());
    packet.extend([REQUEST[usize::from(is_v6)], 0, 0, 0]);
    packet.extend(id.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(payload);
    if !is_v6 {
        let sum = checksum(&packet).to_be_bytes();
        packet[2..4].copy_from_slice(&sum);
    }
    packet
}

/// Whether a packet is the reply to our request. `id` is `None` where the kernel sorts by it and puts
/// its own in; `has_ip` tells that the packet begins with its IPv4 header.
pub(crate) fn is_reply(
    is_v6: bool,
    has_ip: bool,
    packet: &[u8],
    id: Option<u16>,
    sequence: u16,
    payload: &[u8],
) -> bool {
    let skip = match (has_ip, packet.first()) {
        (true, Some(first)) => usize::from(first & 0x0f) * 4,
        _ => 0,
    };
    let Some(message) = packet.get(skip..) else { return false };
    let Some((header, body)) = message.split_at_checked(HEADER) else { return false };
    let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    header[0] == REPLY[usize::from(is_v6)]
        && header[1] == 0
        && id.is_none_or(|id| id == number(4))
        && number(6) == sequence
        && body == payload
        && (is_v6 || checksum(message) == 0)
}

/// The types that say a packet will not arrive: unreachable, time exceeded, parameter problem. Type 0
/// is our own kernel's, of a request that it could not send.
fn is_final(is_v6: bool, kind: u8) -> bool {
    if is_v6 { matches!(kind, 0..=4) } else { matches!(kind, 0 | 3 | 11 | 12) }
}

fn with_port(address: SocketAddr, port: u16) -> SocketAddr {
    let mut address = address;
    address.set_port(port);
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ping -c1 127.0.0.1` as tcpdump showed it: the reply with its IPv4 header, payload "abcdefgh".
    fn recorded() -> Vec<u8> {
        let mut packet = vec![
            0x45, 0x00, 0x00, 0x24, 0x1c, 0x46, 0x00, 0x00, 0x40, 0x01, 0x60, 0x91, 127, 0, 0, 1, 127, 0, 0,
            1,
        ];
        packet.extend([0x00, 0x00, 0x60, 0x2c, 0x12, 0x34, 0x00, 0x01]);
        packet.extend(b"abcdefgh");
        let sum = {
            let mut message = packet[20..].to_vec();
            message[2..4].fill(0);
            checksum(&message)
        };
        packet[22..24].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    #[test]
    fn checksum_of_rfc_1071() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), !0xff00);
        assert_eq!(checksum(&[]), 0xffff);
        assert_eq!(checksum(&[0xff; 70_000]), 0);
    }

    #[test]
    fn a_request_verifies_itself() {
        let packet = request(false, 0x1234, 7, b"odd");
        assert_eq!(packet[0], 8);
        assert_eq!(checksum(&packet), 0);
        assert_eq!(request(true, 1, 2, b"")[..8], [128, 0, 0, 0, 0, 1, 0, 2]);
    }

    #[test]
    fn replies_are_matched() {
        let good = recorded();
        let check = |packet: &[u8], id: u16, sequence: u16, payload: &[u8], expected: bool| {
            assert_eq!(is_reply(false, true, packet, Some(id), sequence, payload), expected);
        };
        check(&good, 0x1234, 1, b"abcdefgh", true);
        check(&good, 0x1235, 1, b"abcdefgh", false);
        check(&good, 0x1234, 2, b"abcdefgh", false);
        check(&good, 0x1234, 1, b"abcdefgx", false);
        check(&good, 0x1234, 1, b"abcdefghi", false);
        let mut bad = good.clone();
        bad[22] ^= 1;
        check(&bad, 0x1234, 1, b"abcdefgh", false);
        let mut request = good.clone();
        request[20] = 8;
        check(&request, 0x1234, 1, b"abcdefgh", false);
        for length in 0..good.len() {
            check(&good[..length], 0x1234, 1, b"abcdefgh", false);
        }
        let mut long_header = good;
        long_header[0] = 0x4f;
        check(&long_header, 0x1234, 1, b"abcdefgh", false);
    }
}
