//! From a host name to an address that has a route, by a deadline.
//!
//! The system's resolver cannot be given a deadline, so it runs on a thread of its own that is left
//! behind when it is too slow; a bound on those threads keeps a dead DNS server from piling them up.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use nix::net::if_::if_nametoindex;

use crate::diagnostics::socket::{self, Way};
use crate::diagnostics::{Control, MAX_HOST, ProtocolVersion, State};
use crate::sys::channel::channel;
use crate::sys::thread;

/// The most addresses of one host that are looked at.
const MAX_ADDRESSES: usize = 16;
/// The most look-ups left behind at one time.
const MAX_PENDING: u32 = 4;
/// The stack of a look-up; musl's resolver wants some of it for answers.
const STACK: usize = 256 * 1024;

static PENDING: AtomicU32 = AtomicU32::new(0);

/// The addresses of a name or literal, of the wanted version, in the system's order.
///
/// Errs with `CannotResolveHostName` if there are none by the deadline.
pub(crate) fn resolve(
    host: &str,
    port: u16,
    version: ProtocolVersion,
    control: &Control<'_>,
) -> Result<Vec<SocketAddr>, State> {
    let found = match host.parse::<IpAddr>() {
        Ok(literal) => vec![SocketAddr::new(literal, port)],
        Err(_) if is_name(host) => look_up(host, port, control)?,
        Err(_) => Vec::new(),
    };
    let wanted: Vec<SocketAddr> = found
        .into_iter()
        .filter(|address| match version {
            ProtocolVersion::Any => true,
            ProtocolVersion::V4 => address.is_ipv4(),
            ProtocolVersion::V6 => address.is_ipv6(),
        })
        .take(MAX_ADDRESSES)
        .collect();
    if wanted.is_empty() { Err(State::CannotResolveHostName) } else { Ok(wanted) }
}

/// The first address that has a route (out of the interface), and our own address on that route.
///
/// Errs with `NoRouteToHost` if none has, with `Other` if the interface cannot be used.
pub(crate) fn route(addresses: &[SocketAddr], way: &Way<'_>) -> Result<(SocketAddr, IpAddr), State> {
    let mut fault = State::NoRouteToHost;
    for address in addresses {
        let address = scoped(*address, way.interface);
        match try_route(address, way) {
            Ok(local) => return Ok((address, local)),
            Err(state) => fault = state,
        }
    }
    Err(fault)
}

fn try_route(address: SocketAddr, way: &Way<'_>) -> Result<IpAddr, State> {
    let probe: UdpSocket = socket::udp(address.is_ipv6(), way)?.into();
    // Port 0 cannot be connected to everywhere, and connecting UDP sends nothing.
    let target = SocketAddr::new(address.ip(), address.port().max(1));
    let target = scoped(target, way.interface);
    probe.connect(target).map_err(|error| socket::fault(&error, State::NoRouteToHost))?;
    probe.local_addr().map(|local| local.ip()).map_err(|_| State::Internal)
}

/// A link-local IPv6 address means nothing without its interface.
fn scoped(address: SocketAddr, interface: &str) -> SocketAddr {
    match address {
        SocketAddr::V6(mut v6) if v6.ip().is_unicast_link_local() && !interface.is_empty() => {
            v6.set_scope_id(if_nametoindex(interface).unwrap_or(0));
            SocketAddr::V6(v6)
        }
        _ => address,
    }
}

fn is_name(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= MAX_HOST
        && !host.starts_with('-')
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn look_up(host: &str, port: u16, control: &Control<'_>) -> Result<Vec<SocketAddr>, State> {
    if PENDING.fetch_add(1, Ordering::Relaxed) >= MAX_PENDING {
        PENDING.fetch_sub(1, Ordering::Relaxed);
        return Err(State::CannotResolveHostName);
    }
    let (sender, receiver) = channel();
    let name = host.to_owned();
    let work = move || {
        let found = (name.as_str(), port).to_socket_addrs().map(|all| all.take(64).collect::<Vec<_>>());
        PENDING.fetch_sub(1, Ordering::Relaxed);
        // Nobody listens any more when the test is over: that is the normal end of a slow look-up.
        let _ = sender.send(found);
    };
    if thread::start("look-up", STACK, Box::new(work)).is_err() {
        PENDING.fetch_sub(1, Ordering::Relaxed);
        return Err(State::Internal);
    }
    loop {
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(found) => return found.map_err(|_| State::CannotResolveHostName),
            Err(RecvTimeoutError::Disconnected) => return Err(State::Internal),
            Err(RecvTimeoutError::Timeout) => match control.check() {
                Err(State::Timeout) => return Err(State::CannotResolveHostName),
                checked => checked?,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::time::Instant;

    fn check(host: &str, version: ProtocolVersion, expected: Result<&str, State>) {
        let flag = AtomicBool::new(false);
        let control = Control::new(&flag, Instant::now() + Duration::from_secs(10));
        let found = resolve(host, 7, version, &control).map(|all| all[0].to_string());
        assert_eq!(found.as_deref().map_err(|state| *state), expected, "{host}");
    }

    #[test]
    fn literals_and_names() {
        check("127.0.0.1", ProtocolVersion::Any, Ok("127.0.0.1:7"));
        check("::1", ProtocolVersion::V6, Ok("[::1]:7"));
        check("::1", ProtocolVersion::V4, Err(State::CannotResolveHostName));
        check("localhost", ProtocolVersion::V4, Ok("127.0.0.1:7"));
        for bad in ["", "a b", "-x", "$(reboot)", "a\nb", "ä", &"x".repeat(300)] {
            check(bad, ProtocolVersion::Any, Err(State::CannotResolveHostName));
        }
    }

    #[test]
    fn a_route_knows_our_address() {
        let address = "127.0.0.1:0".parse().unwrap();
        let (_, local) = route(&[address], &Way::default()).unwrap();
        assert_eq!(local.to_string(), "127.0.0.1");
        let way = Way { interface: "nosuch0", ..Way::default() };
        assert_eq!(route(&[address], &way), Err(State::Other));
    }
}
