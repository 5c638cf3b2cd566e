//! The kernel's routing tables: `/proc/net/route` and `/proc/net/ipv6_route`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most routes of one table.
pub const MAX_ROUTES: usize = 1024;

/// The most addresses of [`ends_v6`].
const MAX_ENDS: usize = 64;

/// `RTF_UP`, `RTF_REJECT`, and of IPv6 `RTF_ADDRCONF`, `RTF_ANYCAST`, `RTF_CACHE`, `RTF_LOCAL`.
const UP: u32 = 0x1;
const REJECT: u32 = 0x200;
const ADDRCONF: u32 = 0x4_0000;
const ANYCAST: u32 = 0x10_0000;
const CACHE: u32 = 0x100_0000;
const LOCAL: u32 = 0x8000_0000;

/// One route of either family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to: the network's address.
    pub network: IpAddr,
    /// Length of its prefix.
    pub length: u8,
    /// The next hop, unless the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The device.
    pub device: String,
    /// Lower wins.
    pub metric: u32,
    /// Learned from a router advertisement.
    pub advertised: bool,
}

/// The routes of `/proc/net/route` that are up; lines that do not fit are left out.
pub fn parse_v4(text: &str) -> Vec<Route> {
    text.lines().skip(1).filter_map(line_v4).take(MAX_ROUTES).collect()
}

/// The routes of `/proc/net/ipv6_route` that lead somewhere: not the local, cached, rejecting, multicast
/// and link-local ones.
pub fn parse_v6(text: &str) -> Vec<Route> {
    text.lines().filter_map(line_v6).take(MAX_ROUTES).collect()
}

/// How many leading ones a mask has; `None` when ones follow zeros.
pub fn mask_length(mask: Ipv4Addr) -> Option<u8> {
    let bits = u32::from(mask);
    let ones = bits.leading_ones();
    (bits.checked_shl(ones).unwrap_or(0) == 0).then(|| u8::try_from(ones).unwrap_or(32))
}

/// The mask of that many leading ones.
pub fn mask(length: u8) -> Ipv4Addr {
    let zeros = 32_u32.saturating_sub(u32::from(length));
    Ipv4Addr::from(u32::MAX.checked_shl(zeros).unwrap_or(0))
}

/// An address without the bits behind its prefix.
pub fn network(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address) & u32::from(mask(length))).into(),
        IpAddr::V6(address) => {
            let zeros = 128_u32.saturating_sub(u32::from(length));
            Ipv6Addr::from(u128::from(address) & u128::MAX.checked_shl(zeros).unwrap_or(0)).into()
        }
    }
}

fn line_v4(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().take(8).collect();
    let [device, network, gateway, flags, _, _, metric, mask] = words[..] else { return None };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    if flags & UP == 0 || flags & REJECT != 0 {
        return None;
    }
    // The kernel prints the four octets as a number of its own, so its byte order is that of this machine.
    let address = |hex: &str| {
        (hex.len() == 8).then_some(())?;
        Some(Ipv4Addr::from(u32::from_str_radix(hex, 16).ok()?.to_ne_bytes()))
    };
    let gateway = address(gateway)?;
    Some(Route {
        network: address(network)?.into(),
        length: mask_length(address(mask)?)?,
        gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
        device: device.to_owned(),
        metric: metric.parse().ok()?,
        advertised: false,
    })
}

/// The single addresses that a device has a route to, the other ends of a link among them; not the kernel's own.
pub fn ends_v6(text: &str, device: &str) -> Vec<Ipv6Addr> {
    let end = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().take(10).collect();
        let [network, length, _, _, _, _, _, _, flags, on] = words[..] else { return None };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let alone = length == "80" && network.len() == 32 && on == device;
        let address = u128::from_str_radix(network, 16).ok()?;
        (alone && flags & UP != 0 && flags & (REJECT | ANYCAST | LOCAL) == 0).then(|| Ipv6Addr::from(address))
    };
    text.lines().filter_map(end).take(MAX_ENDS).collect()
}

fn line_v6(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().take(10).collect();
    let [network, length, _, _, gateway, metric, _, _, flags, device] = words[..] else { return None };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    if flags & UP == 0 || flags & (REJECT | ANYCAST | CACHE | LOCAL) != 0 || device == "lo" {
        return None;
    }
    let address = |hex: &str| {
        (hex.len() == 32).then_some(())?;
        Some(Ipv6Addr::from(u128::from_str_radix(hex, 16).ok()?))
    };
    let network = address(network)?;
    if network.is_multicast() || network.is_unicast_link_local() {
        return None;
    }
    let gateway = address(gateway)?;
    Some(Route {
        network: network.into(),
        length: u8::from_str_radix(length, 16).ok().filter(|length| *length <= 128)?,
        gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
        device: device.to_owned(),
        metric: u32::from_str_radix(metric, 16).ok()?,
        advertised: flags & ADDRCONF != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(routes: &[Route]) -> Vec<String> {
        let gateway = |route: &Route| route.gateway.map_or("-".to_owned(), |gateway| gateway.to_string());
        routes
            .iter()
            .map(|route| {
                let Route { network, length, device, metric, .. } = route;
                format!("{network}/{length} {} {device} {metric}", gateway(route))
            })
            .collect()
    }

    /// As this machine's kernel would print it.
    fn hex(address: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(address))
    }

    #[test]
    fn ipv4() {
        let line = |device: &str, network, gateway, flags: &str, metric: &str, mask| {
            format!(
                "{device}\t{}\t{}\t{flags}\t0\t0\t{metric}\t{}\t0\t0\t0\n",
                hex(network),
                hex(gateway),
                hex(mask)
            )
        };
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n".to_owned()
            + &line("pppoe-wan", [0; 4], [192, 0, 2, 1], "0003", "0", [0; 4])
            + &line("br-lan", [192, 168, 1, 0], [0; 4], "0001", "0", [255, 255, 255, 0])
            + &line("eth2", [203, 0, 113, 0], [0; 4], "0001", "20", [255, 255, 255, 0])
            + &line("eth2", [203, 0, 113, 0], [0; 4], "0000", "20", [255, 255, 255, 0])
            + &line("eth2", [203, 0, 113, 0], [0; 4], "0001", "20", [255, 0, 255, 0])
            + "x\ty\n\u{0}\neth0 0 0 0 0 0 0 0 0\n";
        assert_eq!(
            shown(&parse_v4(&text)),
            ["0.0.0.0/0 192.0.2.1 pppoe-wan 0", "192.168.1.0/24 - br-lan 0", "203.0.113.0/24 - eth2 20"]
        );
    }

    #[test]
    fn ipv6() {
        let zero = "0".repeat(32);
        let text = format!(
            "{zero} 00 20010db8010000010000000000000000 40 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 pppoe-wan\n\
             20010db8450000000000000000000000 40 {zero} 00 {zero} 00000400 00000002 00000000 00000001    br-lan\n\
             20010db8450000000000000000000000 38 {zero} 00 {zero} 7fffffff 00000001 00000000 00200200       lo\n\
             fe800000000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001      wan\n\
             20010db8450000000000000000000001 80 {zero} 00 {zero} 00000000 00000002 00000000 80200001    br-lan\n\
             ff000000000000000000000000000000 08 {zero} 00 {zero} 00000100 00000001 00000000 00000001      wan\n\
             short 00\n"
        );
        assert_eq!(
            shown(&parse_v6(&text)),
            ["::/0 fe80::1 pppoe-wan 1024", "2001:db8:4500::/64 - br-lan 1024"]
        );
    }

    #[test]
    fn masks() {
        for (text, length) in [
            ("255.255.255.0", Some(24)),
            ("0.0.0.0", Some(0)),
            ("255.255.255.255", Some(32)),
            ("255.0.255.0", None),
            ("0.255.0.0", None),
        ] {
            let address: Ipv4Addr = text.parse().unwrap();
            assert_eq!(mask_length(address), length, "{text}");
            if let Some(length) = length {
                assert_eq!(mask(length), address);
            }
        }
        let of = |text: &str, length| network(text.parse().unwrap(), length).to_string();
        assert_eq!(of("192.168.1.7", 24), "192.168.1.0");
        assert_eq!(of("192.168.1.7", 0), "0.0.0.0");
        assert_eq!(of("2001:db8::7", 64), "2001:db8::");
        assert_eq!(of("2001:db8::7", 128), "2001:db8::7");
        assert_eq!(of("2001:db8::7", 0), "::");
    }
}
