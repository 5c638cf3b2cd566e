//! Sockets as the tests want them: out of an interface, with a DSCP, and with the kernel's error
//! queue, which tells what ICMP said about a datagram of ours and who said it.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SetSockOpt, SockFlag, SockProtocol,
    SockType, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};

use crate::diagnostics::State;

/// SO_EE_ORIGIN_ICMP and SO_EE_ORIGIN_ICMP6 of linux/errqueue.h: who queued the error.
const ORIGIN_ICMP: [u8; 2] = [2, 3];

/// How packets leave.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Way<'a> {
    /// The Linux device; empty for the route's.
    pub(crate) interface: &'a str,
    /// The DiffServ codepoint, 0 to 63.
    pub(crate) dscp: u32,
    /// The 802.1p priority, 0 to 7, as SO_PRIORITY.
    pub(crate) priority: u32,
}

/// A UDP socket, not blocking.
pub(crate) fn udp(is_v6: bool, way: &Way<'_>) -> Result<OwnedFd, State> {
    open(is_v6, SockType::Datagram, None, way).map_err(|error| fault(&error.into(), State::Other))
}

/// Any socket of either family, not blocking.
pub(crate) fn open(
    is_v6: bool,
    kind: SockType,
    protocol: Option<SockProtocol>,
    way: &Way<'_>,
) -> Result<OwnedFd, Errno> {
    let family = if is_v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = nix::sys::socket::socket(family, kind, flags, protocol)?;
    if !way.interface.is_empty() {
        setsockopt(&fd, sockopt::BindToDevice, &OsString::from(way.interface))?;
    }
    if way.dscp > 0 {
        let octet = i32::try_from(way.dscp.min(63) << 2).unwrap_or(0);
        if is_v6 {
            setsockopt(&fd, sockopt::Ipv6TClass, &octet)?;
        } else {
            setsockopt(&fd, sockopt::Ipv4Tos, &octet)?;
        }
    }
    if way.priority > 0 {
        // A priority is a wish: without CAP_NET_ADMIN 7 is refused, and the test still has its worth.
        let _ = setsockopt(&fd, sockopt::Priority, &i32::try_from(way.priority.min(7)).unwrap_or(0));
    }
    Ok(fd)
}

/// Sets an option that the two families name differently.
pub(crate) fn set_either<A: SetSockOpt, B: SetSockOpt<Val = A::Val>>(
    fd: &impl AsFd,
    is_v6: bool,
    v4: A,
    v6: B,
    value: &A::Val,
) -> Result<(), Errno>
where
    A::Val: Sized,
{
    if is_v6 { setsockopt(fd, v6, value) } else { setsockopt(fd, v4, value) }
}

/// Asks for the error queue.
pub(crate) fn queue_errors(fd: &impl AsFd, is_v6: bool) -> Result<(), Errno> {
    set_either(fd, is_v6, sockopt::Ipv4RecvErr, sockopt::Ipv6RecvErr, &true)
}

/// What ICMP said about a datagram of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IcmpError {
    /// Who said it.
    pub(crate) from: Option<IpAddr>,
    /// Where the datagram was sent.
    pub(crate) target: Option<SocketAddr>,
    /// The ICMP type.
    pub(crate) kind: u8,
    /// The ICMP code.
    pub(crate) code: u8,
}

/// Takes the next error from the queue; `None` when it is empty. Errors that our own kernel found
/// (a datagram beyond the MTU) come with no sender and type 0.
pub(crate) fn next_error(fd: &OwnedFd) -> Option<IcmpError> {
    let mut quoted = [0; 256];
    let mut iov = [IoSliceMut::new(&mut quoted)];
    let mut space = nix::cmsg_space!([u8; 256]);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(fd.as_raw_fd(), &mut iov, Some(&mut space), flags).ok()?;
    let target = message.address.as_ref().and_then(socket_address);
    for part in message.cmsgs().ok()? {
        let (error, from) = match part {
            ControlMessageOwned::Ipv4RecvErr(error, from) => (error, from.map(v4)),
            ControlMessageOwned::Ipv6RecvErr(error, from) => (error, from.map(|from| v6(&from))),
            _ => continue,
        };
        return Some(match ORIGIN_ICMP.contains(&error.ee_origin) {
            true => IcmpError { from, target, kind: error.ee_type, code: error.ee_code },
            false => IcmpError { from: None, target, kind: 0, code: 0 },
        });
    }
    Some(IcmpError { from: None, target, kind: 0, code: 0 })
}

/// Which of our addresses a datagram was sent to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    /// IPv4: the address to answer from.
    V4(libc::in_pktinfo),
    /// IPv6: the address and its interface.
    V6(libc::in6_pktinfo),
    /// The kernel did not tell.
    Unknown,
}

/// Receives a datagram, its sender, and which address of ours it was for.
pub(crate) fn receive_with_target(
    socket: &impl AsRawFd,
    buffer: &mut [u8],
) -> Result<(usize, Option<SocketAddr>, Asked), Errno> {
    let mut iov = [IoSliceMut::new(buffer)];
    let mut space = nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
    let fd = socket.as_raw_fd();
    let message = recvmsg::<SockaddrStorage>(fd, &mut iov, Some(&mut space), MsgFlags::MSG_DONTWAIT)?;
    let mut asked = Asked::Unknown;
    for part in message.cmsgs()? {
        match part {
            // The interface is left to the routes, which may differ from the way the datagram came.
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                asked = Asked::V4(libc::in_pktinfo { ipi_ifindex: 0, ..info });
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => asked = Asked::V6(info),
            _ => {}
        }
    }
    Ok((message.bytes, message.address.as_ref().and_then(socket_address), asked))
}

/// Sends a datagram from the address that was asked.
pub(crate) fn send_from(
    socket: &impl AsRawFd,
    bytes: &[u8],
    peer: SocketAddr,
    asked: &Asked,
) -> Result<usize, Errno> {
    let from = match asked {
        Asked::V4(info) => Some(ControlMessage::Ipv4PacketInfo(info)),
        Asked::V6(info) => Some(ControlMessage::Ipv6PacketInfo(info)),
        Asked::Unknown => None,
    };
    let peer = SockaddrStorage::from(peer);
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], from.as_slice(), MsgFlags::MSG_DONTWAIT, Some(&peer))
}

/// The state that an error of the system means, `other` if it is none of those that speak of routes,
/// interfaces or rights.
pub(crate) fn fault(error: &io::Error, other: State) -> State {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::ENETDOWN | Errno::EADDRNOTAVAIL) => {
            State::NoRouteToHost
        }
        Some(Errno::ENODEV | Errno::EPERM | Errno::EACCES | Errno::EMSGSIZE) => State::Other,
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS) => State::Internal,
        _ => other,
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::new(v4.ip(), v4.port()).into());
    }
    address.as_sockaddr_in6().map(|v6| SocketAddrV6::new(v6.ip(), v6.port(), 0, v6.scope_id()).into())
}

fn v4(address: libc::sockaddr_in) -> IpAddr {
    Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into()
}

fn v6(address: &libc::sockaddr_in6) -> IpAddr {
    Ipv6Addr::from(address.sin6_addr.s6_addr).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::{Duration, Instant};

    #[test]
    fn a_closed_port_is_told() {
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let fd = udp(false, &Way::default()).unwrap();
        queue_errors(&fd, false).unwrap();
        let socket: UdpSocket = fd.try_clone().unwrap().into();
        socket.send_to(b"x", closed).unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        let error = loop {
            match next_error(&fd) {
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                error => break error.unwrap(),
            }
        };
        assert_eq!((error.kind, error.code), (3, 3));
        assert_eq!(error.from, Some(closed.ip()));
        assert_eq!(error.target, Some(closed));
    }
}
