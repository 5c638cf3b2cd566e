//! What `/proc/net` tells about addresses, prefixes and sockets: parsers that expect anything.
//!
//! Several of these files print the kernel's memory: a big-endian kernel has its words the other way round.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use super::topology;
use crate::backend::System;
use crate::set::Set;

/// The most lines of one file that are looked at.
const MAX_LINES: usize = 8192;
/// The most sockets that are told.
const MAX_SOCKETS: usize = 1024;

/// A line of `/proc/net/if_inet6`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inet6 {
    /// The address.
    pub address: Ipv6Addr,
    /// The length of its prefix.
    pub bits: u8,
    /// Its flags (`IFA_F_*`).
    pub flags: u8,
    /// Its device.
    pub device: String,
}

impl Inet6 {
    /// TR-181's IPAddressStatus.
    pub fn state(&self) -> &'static str {
        match self.flags {
            flags if flags & 0x08 != 0 => "Duplicate",
            flags if flags & 0x04 != 0 => "Optimistic",
            flags if flags & 0x40 != 0 => "Tentative",
            flags if flags & 0x20 != 0 => "Deprecated",
            _ => "Preferred",
        }
    }

    /// Whether it lives for ever.
    pub fn permanent(&self) -> bool {
        self.flags & 0x80 != 0
    }
}

/// A TCP socket that listens or is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// The address on this side.
    pub local: IpAddr,
    /// The port on this side.
    pub local_port: u16,
    /// The address on the other side.
    pub remote: IpAddr,
    /// The port on the other side.
    pub remote_port: u16,
    /// It listens; else it is connected.
    pub listens: bool,
}

/// All IPv6 addresses of the kernel.
pub fn if_inet6(system: &mut System) -> Rc<[Inet6]> {
    let read = |system: &mut System| {
        let text = system.text("/proc/net/if_inet6").unwrap_or_default();
        Ok(text.lines().take(MAX_LINES).filter_map(inet6).collect())
    };
    system.once("if_inet6", [], read).unwrap_or_default()
}

/// The IPv4 addresses that the kernel answers to.
pub fn local_addresses(system: &mut System) -> Set<Ipv4Addr> {
    locals(&system.text("/proc/net/fib_trie").unwrap_or_default())
}

/// The IPv4 addresses of a device with their prefix lengths, as far as can be told: local addresses that lie
/// in a subnet which the routing table has on this device and on no other.
pub fn device_addresses(system: &mut System, device: &str) -> Vec<(Ipv4Addr, u32)> {
    let routes = system.text("/proc/net/route").unwrap_or_default();
    let locals = local_addresses(system);
    addresses(&routes, &locals, device)
}

/// The IPv4 routers of a device's default routes.
pub fn routers(system: &mut System, device: &str) -> Vec<Ipv4Addr> {
    let text = system.text("/proc/net/route").unwrap_or_default();
    let mut out = Vec::new();
    for route in text.lines().skip(1).take(MAX_LINES).filter_map(route) {
        let default = route.to.is_unspecified() && route.bits == 0 && !route.via.is_unspecified();
        if default && route.device == device && !out.contains(&route.via) {
            out.push(route.via);
        }
    }
    out
}

/// The global IPv6 prefixes on the link of a device, with TR-181's Origin.
pub fn on_link_prefixes(system: &mut System, device: &str) -> Vec<(String, &'static str)> {
    let text = system.text("/proc/net/ipv6_route").unwrap_or_default();
    let mut out: Vec<(String, &'static str)> = Vec::new();
    for (prefix, origin, on) in text.lines().take(MAX_LINES).filter_map(prefix) {
        if on == device && topology::is_device_name(on) && out.iter().all(|(other, _)| *other != prefix) {
            out.push((prefix, origin));
        }
    }
    out
}

/// The TCP sockets that listen or are connected.
pub fn sockets(system: &mut System) -> Vec<Socket> {
    let mut out = Vec::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = system.text(file).unwrap_or_default();
        out.extend(
            text.lines()
                .skip(1)
                .take(MAX_LINES)
                .filter_map(socket)
                .take(MAX_SOCKETS - out.len().min(MAX_SOCKETS)),
        );
    }
    out
}

fn inet6(line: &str) -> Option<Inet6> {
    let mut words = line.split_whitespace();
    let address = address6(words.next()?)?;
    let _index = words.next()?;
    let bits = u8::from_str_radix(words.next()?, 16).ok().filter(|bits| *bits <= 128)?;
    let _scope = words.next()?;
    let flags = u8::from_str_radix(words.next()?, 16).ok()?;
    Some(Inet6 { address, bits, flags, device: words.next()?.to_owned() })
}

/// 32 hexadecimal digits in network order.
fn address6(hex: &str) -> Option<Ipv6Addr> {
    (hex.len() == 32).then(|| u128::from_str_radix(hex, 16).ok()).flatten().map(Ipv6Addr::from)
}

/// Eight hexadecimal digits of a word in the kernel's memory that holds network order.
fn word(hex: &str) -> Option<u32> {
    let word = (hex.len() == 8).then(|| u32::from_str_radix(hex, 16).ok()).flatten()?;
    Some(if cfg!(target_endian = "big") { word } else { word.swap_bytes() })
}

/// The leaves of the trie that are marked `host LOCAL`.
fn locals(text: &str) -> Set<Ipv4Addr> {
    let mut out = Set::new();
    let mut leaf: Option<Ipv4Addr> = None;
    for line in text.lines().take(MAX_LINES) {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.trim().parse().ok();
        } else if line == "/32 host LOCAL" {
            out.extend(leaf);
        }
    }
    out
}

struct Route<'t> {
    device: &'t str,
    to: Ipv4Addr,
    via: Ipv4Addr,
    bits: u32,
}

fn route(line: &str) -> Option<Route<'_>> {
    let words: Vec<&str> = line.split_whitespace().take(8).collect();
    let [device, to, via, _, _, _, _, mask] = words[..] else { return None };
    let bits = word(mask)?.leading_ones();
    Some(Route { device, to: Ipv4Addr::from(word(to)?), via: Ipv4Addr::from(word(via)?), bits })
}

fn addresses(routes: &str, locals: &Set<Ipv4Addr>, device: &str) -> Vec<(Ipv4Addr, u32)> {
    let subnets: Vec<Route<'_>> = routes
        .lines()
        .skip(1)
        .take(MAX_LINES)
        .filter_map(route)
        .filter(|route| route.via.is_unspecified() && route.bits > 0 && route.bits < 32)
        .collect();
    let inside = |route: &Route<'_>, address: Ipv4Addr| {
        let mask = u32::MAX.checked_shl(32 - route.bits).unwrap_or(0);
        u32::from(address) & mask == u32::from(route.to) & mask
    };
    let mut out = Vec::new();
    for &address in locals {
        let mut homes = subnets.iter().filter(|route| inside(route, address));
        let Some(best) = homes.clone().max_by_key(|route| route.bits) else { continue };
        if homes.all(|route| route.bits < best.bits || route.device == best.device) && best.device == device {
            out.push((address, best.bits));
        }
    }
    out
}

/// A route of the kernel that is a global prefix on the link.
fn prefix(line: &str) -> Option<(String, &'static str, &str)> {
    let words: Vec<&str> = line.split_whitespace().take(10).collect();
    let [to, bits, _, _, via, _, _, _, flags, device] = words[..] else { return None };
    let (to, via) = (address6(to)?, address6(via)?);
    let bits = u8::from_str_radix(bits, 16).ok().filter(|bits| (1..=127).contains(bits))?;
    let flags = u32::from_str_radix(flags, 16).ok()?;
    // RTF_UP without RTF_REJECT; the loopback holds what is unreachable.
    let on_link = via.is_unspecified() && flags & 0x0001 != 0 && flags & 0x0200 == 0 && device != "lo";
    let global = !to.is_unicast_link_local() && !to.is_multicast() && !to.is_unspecified();
    if !on_link || !global {
        return None;
    }
    // RTF_ADDRCONF or RTF_PREFIX_RT: learnt from a router.
    let origin = if flags & 0x000c_0000 != 0 { "RouterAdvertisement" } else { "AutoConfigured" };
    Some((format!("{to}/{bits}"), origin, device))
}

fn socket(line: &str) -> Option<Socket> {
    let mut words = line.split_whitespace().skip(1);
    let (local, local_port) = end(words.next()?)?;
    let (remote, remote_port) = end(words.next()?)?;
    let listens = match words.next()? {
        "0A" => true,
        "01" => false,
        _ => return None,
    };
    Some(Socket { local, local_port, remote, remote_port, listens })
}

fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if address.len() == 8 {
        return Some((IpAddr::V4(Ipv4Addr::from(word(address)?)), port));
    }
    if address.len() != 32 || !address.is_ascii() {
        return None;
    }
    let mut all = 0_u128;
    for at in [0, 8, 16, 24] {
        all = all << 32 | u128::from(word(&address[at..at + 8])?);
    }
    Some((IpAddr::V6(Ipv6Addr::from(all)), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_addresses() {
        let line = inet6("fd123456789a00000000000000000001 0f 3c 00 80    br-lan").unwrap();
        assert_eq!((line.address.to_string().as_str(), line.bits), ("fd12:3456:789a::1", 60));
        assert_eq!((line.state(), line.permanent(), line.device.as_str()), ("Preferred", true, "br-lan"));
        assert_eq!(inet6("20010db8010000010000000000000045 13 40 00 a0 wan").unwrap().state(), "Deprecated");
        for bad in ["", "x", "fd12 0f 3c 00 80 lan", "fd123456789a00000000000000000001 0f ff 00 80 lan"] {
            assert_eq!(inet6(bad), None, "{bad:?}");
        }
        assert_eq!(inet6("ﬀﬀﬀﬀﬀﬀﬀﬀﬀﬀ00 0f 3c 00 80 lan"), None);
    }

    const TRIE: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.168.1.0\n        /24 link UNICAST\n     \
        |-- 192.168.1.1\n        /32 host LOCAL\n     |-- 192.168.1.255\n        /32 link BROADCAST\n     \
        |-- 203.0.113.9\n        /32 host LOCAL\nLocal:\n     |-- 203.0.113.9\n        /32 host LOCAL\n";

    /// What a kernel of this byte order prints where one of the usual order prints this: it prints addresses as
    /// numbers, eight digits each.
    fn native(line: &str) -> String {
        let swap = |word: &str| format!("{:08X}", u32::from_str_radix(word, 16).unwrap().swap_bytes());
        let part = |part: &str| {
            let address = part.len().is_multiple_of(8)
                && !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_hexdigit());
            if !address || cfg!(target_endian = "little") {
                return part.to_owned();
            }
            (0..part.len()).step_by(8).map(|at| swap(&part[at..at + 8])).collect()
        };
        let ends = |c: char| c.is_whitespace() || c == ':';
        line.split_inclusive(ends)
            .map(|piece| {
                let word = piece.trim_end_matches(ends);
                part(word) + &piece[word.len()..]
            })
            .collect()
    }

    #[test]
    fn ipv4_addresses() {
        let locals = locals(TRIE);
        assert_eq!(locals.len(), 2);
        let routes = &native(
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
            wan\t00000000\t017100CB\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            wan\t007100CB\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            br-lan\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
        );
        assert_eq!(addresses(routes, &locals, "wan"), [(Ipv4Addr::new(203, 0, 113, 9), 24)]);
        assert_eq!(addresses(routes, &locals, "br-lan"), [(Ipv4Addr::new(192, 168, 1, 1), 24)]);
        let twice = routes.clone() + &native("eth9\t007100CB\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
        assert_eq!(addresses(&twice, &locals, "wan"), []);
        assert_eq!(addresses("\n\nx y z\n", &locals, "wan"), []);
    }

    #[test]
    fn prefixes() {
        let line = |flags: &str, device: &str| {
            format!(
                "20010db8450000000000000000000000 40 {0} 00 {0} 00000100 00000001 00000000 {flags} {device}",
                "0".repeat(32)
            )
        };
        assert_eq!(prefix(&line("00000001", "br-lan")).unwrap().0, "2001:db8:4500::/64");
        assert_eq!(prefix(&line("00040001", "br-lan")).unwrap().1, "RouterAdvertisement");
        assert!(prefix(&line("00200200", "lo")).is_none());
        assert!(prefix("fe80").is_none());
    }

    #[test]
    fn tcp_sockets() {
        let line = "   0: 0101A8C0:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1";
        let found = socket(&native(line)).unwrap();
        assert_eq!(
            (found.local.to_string().as_str(), found.local_port, found.listens),
            ("192.168.1.1", 80, true)
        );
        let six = "0: 0000000000000000FFFF00000101A8C0:1F90 B80D0120000000000000000001000000:C350 01 0";
        let found = socket(&native(six)).unwrap();
        assert_eq!((found.remote.to_string().as_str(), found.listens), ("2001:db8::1", false));
        for bad in ["", "0: x y 0A", "0: 0101A8C0:0050 00000000:0000 06", "0: 0101A8C00:0 0:0 0A"] {
            assert_eq!(socket(bad), None, "{bad:?}");
        }
        assert_eq!(end("ééééééééé0000000000000:0050"), None);
    }
}
