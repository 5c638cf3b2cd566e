//! The simulated router's interfaces: what netifd makes of `/etc/config/network` and of what the provider gives.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::state::{State, flag, words};
use crate::ubus::blobmsg::Table;
use crate::uci::Section;

/// The most interfaces that are offered.
pub const MAX_INTERFACES: usize = 24;
/// What the provider's DHCP server gives the first who asks; the next ones get the addresses behind it.
const LEASE: (Ipv4Addr, u8) = (Ipv4Addr::new(192, 0, 2, 10), 24);
/// The provider's router and DHCP server, and the other end of PPP.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SERVERS: [&str; 2] = ["192.0.2.53", "192.0.2.54"];
const SEARCH: &str = "isp.example";
/// How long a lease is given for, in seconds.
const LEASE_TIME: i32 = 86_400;
/// What the provider gives over DHCPv6: an address, a prefix with its times, a gateway and a name server.
const ADDRESS6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, 0x45);
const PREFIX6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2001, 0xdb8, 0x4500, 0, 0, 0, 0, 0), 60);
/// Preferred and valid time of the delegated prefix, in seconds.
pub const TIMES6: (i32, i32) = (3453, 7053);
/// How often they begin anew, in seconds.
pub const RENEWED6: i32 = 1800;
const GATEWAY6: &str = "fe80::1";
const SERVER6: &str = "2001:db8:53::1";

/// An interface of netifd.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interface {
    /// Its section's name.
    pub name: String,
    /// How it gets its addresses.
    pub proto: String,
    /// What it stands on.
    pub device: Option<String>,
    /// What carries its addresses; nothing while it is down.
    pub l3: Option<String>,
    /// Whether its device is there.
    pub available: bool,
    /// Whether it is to come up by itself.
    pub autostart: bool,
    /// Whether it is up.
    pub up: bool,
    /// Of its routes.
    pub metric: i32,
    /// IPv4 addresses with the lengths of their networks.
    pub v4: Vec<(Ipv4Addr, u8)>,
    /// The other end of a point-to-point link.
    pub peer: Option<Ipv4Addr>,
    /// IPv6 addresses with the lengths of their networks.
    pub v6: Vec<(Ipv6Addr, u8)>,
    /// The prefix that was delegated to it.
    pub prefix: Option<(Ipv6Addr, u8)>,
    /// The parts of prefixes that it serves.
    pub assigned: Vec<Assignment>,
    /// Its routes but those to its own networks.
    pub routes: Vec<Route>,
    /// Name servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub search: Vec<String>,
    /// What its protocol tells.
    pub data: Table,
}

/// A part of a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The part.
    pub prefix: Ipv6Addr,
    /// Its length.
    pub length: u8,
    /// The interface that got the prefix; none for the router's own.
    pub from: Option<String>,
}

impl Assignment {
    /// The router's own address in it.
    pub fn local(&self) -> Ipv6Addr {
        Ipv6Addr::from(u128::from(self.prefix) | 1)
    }
}

/// A route as netifd shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The network.
    pub target: String,
    /// Its length.
    pub mask: u8,
    /// The gateway.
    pub gateway: String,
    /// Its own metric, if it has one.
    pub metric: Option<i32>,
    /// For which source addresses.
    pub source: String,
}

/// All interfaces, in the order of their sections.
pub fn all(state: &State) -> Vec<Interface> {
    let sections = state.sections("network", "interface").filter(|section| !flag(section, "disabled", false));
    let mut list: Vec<Interface> = Vec::new();
    let (mut leases, mut prefixes) = (0, 0);
    for section in sections.take(MAX_INTERFACES) {
        let mut interface = stand(state, section, &list);
        if interface.up {
            configure(state, section, &mut interface, &mut leases, &mut prefixes);
        }
        list.push(interface);
    }
    assign(state, &mut list);
    list
}

/// The interface's device and whether it is up.
fn stand(state: &State, section: &Section, before: &[Interface]) -> Interface {
    let name = section.key().to_owned();
    let proto = section.text("proto").unwrap_or_else(|| "none".to_owned());
    let told = section.text("device").or_else(|| section.text("ifname"));
    let told =
        told.and_then(|told| told.split(' ').next().map(str::to_owned)).filter(|told| !told.is_empty());
    // `@wan` stands on whatever carries the addresses of wan.
    let device = match told.as_deref().and_then(|told| told.strip_prefix('@')) {
        Some(alias) => before.iter().find(|known| known.name == alias).and_then(|known| known.l3.clone()),
        None => told,
    };
    let lower = device.as_deref().filter(|device| exists(state, device) || device.starts_with("ppp"));
    let carrier = lower.is_some_and(|device| has_carrier(state, device));
    let autostart = flag(section, "auto", true) && !state.is_down(&name);
    let up = carrier && autostart;
    let l3 = match proto.as_str() {
        "pppoe" | "pppoa" | "ppp" => Some(format!("{proto}-{name}")),
        _ => device.clone(),
    };
    Interface {
        available: lower.is_some(),
        autostart,
        up,
        l3: l3.filter(|_| up),
        metric: section.text("metric").and_then(|text| text.parse().ok()).unwrap_or_default(),
        device,
        proto,
        name,
        ..Interface::default()
    }
}

fn exists(state: &State, device: &str) -> bool {
    !device.contains('/') && state.exists(&format!("/sys/class/net/{device}"))
}

/// Whether a device is up and connected.
pub fn has_carrier(state: &State, device: &str) -> bool {
    state.value(&format!("/sys/class/net/{device}/carrier")).is_none_or(|carrier| carrier == "1")
}

/// Addresses, routes and name servers.
fn configure(
    state: &State,
    section: &Section,
    interface: &mut Interface,
    leases: &mut u32,
    prefixes: &mut u32,
) {
    let default = flag(section, "defaultroute", true);
    let dynamic = match interface.proto.as_str() {
        "static" => {
            fixed(section, interface);
            false
        }
        "dhcp" => {
            let address = Ipv4Addr::from(u32::from(LEASE.0).saturating_add(*leases));
            *leases += 1;
            interface.v4.push((address, LEASE.1));
            if default {
                interface.routes.push(default4(format!("{address}/32")));
            }
            interface.data = Table::new().with("dhcpserver", GATEWAY.to_string());
            let hostname = section.text("hostname").filter(|name| name != "*");
            if let Some(name) = hostname {
                interface.data.push("hostname", name);
            }
            interface.data.push("leasetime", LEASE_TIME);
            true
        }
        "pppoe" | "pppoa" | "ppp" => {
            let address = Ipv4Addr::from(u32::from(LEASE.0).saturating_add(*leases));
            *leases += 1;
            interface.v4.push((address, 32));
            interface.peer = Some(GATEWAY);
            if default {
                interface.routes.push(default4("0.0.0.0/0".to_owned()));
            }
            true
        }
        "dhcpv6" => {
            dynamic6(section, interface, *prefixes, default);
            *prefixes += 1;
            if flag(section, "peerdns", true) {
                interface.servers.push(SERVER6.to_owned());
            }
            false
        }
        _ => false,
    };
    if dynamic && flag(section, "peerdns", true) {
        interface.servers.extend(SERVERS.map(str::to_owned));
        interface.search.push(SEARCH.to_owned());
    }
    interface.servers.splice(0..0, words(section, "dns"));
    interface.search.splice(0..0, words(section, "dns_search"));
    for kind in ["route", "route6"] {
        let own = |route: &&Section| route.text("interface").as_deref() == Some(interface.name.as_str());
        let routes =
            state.sections("network", kind).filter(own).filter(|route| !flag(route, "disabled", false));
        interface.routes.extend(routes.filter_map(|route| configured(route, kind == "route6")));
    }
}

fn default4(source: String) -> Route {
    Route { target: "0.0.0.0".to_owned(), mask: 0, gateway: GATEWAY.to_string(), metric: None, source }
}

/// What a section of a static interface says.
fn fixed(section: &Section, interface: &mut Interface) {
    let netmask = section.text("netmask").and_then(|text| length4(&text));
    for word in words(section, "ipaddr") {
        let (address, length) = word.split_once('/').unwrap_or((&word, ""));
        let length = length.parse().ok().filter(|length| *length <= 32).or(netmask).unwrap_or(32);
        interface.v4.extend(address.parse().ok().map(|address: Ipv4Addr| (address, length)));
    }
    for word in words(section, "ip6addr") {
        let (address, length) = word.split_once('/').unwrap_or((&word, "128"));
        let length = length.parse().ok().filter(|length| *length <= 128).unwrap_or(128);
        interface.v6.extend(address.parse().ok().map(|address: Ipv6Addr| (address, length)));
    }
    let gateway = section.text("gateway").and_then(|text| text.parse::<Ipv4Addr>().ok());
    interface.routes.extend(
        gateway.map(|gateway| Route { gateway: gateway.to_string(), ..default4("0.0.0.0/0".to_owned()) }),
    );
    let gateway = section.text("ip6gw").and_then(|text| text.parse::<Ipv6Addr>().ok());
    interface.routes.extend(gateway.map(|gateway| default6(gateway.to_string(), "::/0".to_owned())));
}

/// What the provider gives over DHCPv6; a prefix only to the first who asks.
fn dynamic6(section: &Section, interface: &mut Interface, nth: u32, default: bool) {
    let word = |option: &str, default: &str| section.text(option).unwrap_or_else(|| default.to_owned());
    let mut sources = Vec::new();
    if word("reqprefix", "auto") != "no" && nth == 0 {
        interface.prefix = Some(PREFIX6);
        sources.push(format!("{}/{}", PREFIX6.0, PREFIX6.1));
    }
    if word("reqaddress", "try") != "none" {
        let address = Ipv6Addr::from(u128::from(ADDRESS6).saturating_add(nth.into()));
        interface.v6.push((address, 128));
        sources.push(format!("{address}/128"));
    }
    if default {
        interface.routes.extend(sources.into_iter().map(|source| default6(GATEWAY6.to_owned(), source)));
    }
}

fn default6(gateway: String, source: String) -> Route {
    Route { target: "::".to_owned(), mask: 0, gateway, metric: None, source }
}

/// A route of UCI.
fn configured(route: &Section, six: bool) -> Option<Route> {
    let target = route.text("target")?;
    let (target, length) = target.split_once('/').unwrap_or((&target, ""));
    let metric = route.text("metric").and_then(|text| text.parse().ok());
    let gateway = route.text("gateway");
    Some(if six {
        let (target, length) = (target.parse::<Ipv6Addr>().ok()?, length.parse().unwrap_or(128));
        let gateway = gateway.unwrap_or_else(|| "::".to_owned());
        Route { target: target.to_string(), mask: length, gateway, metric, source: "::/0".to_owned() }
    } else {
        let netmask = route.text("netmask").and_then(|text| length4(&text)).unwrap_or(32);
        let (target, length) = (target.parse::<Ipv4Addr>().ok()?, length.parse().unwrap_or(netmask));
        let gateway = gateway.unwrap_or_else(|| "0.0.0.0".to_owned());
        Route { target: target.to_string(), mask: length, gateway, metric, source: "0.0.0.0/0".to_owned() }
    })
}

/// The length of a netmask, of `24` as of `255.255.255.0`.
fn length4(text: &str) -> Option<u8> {
    if let Ok(length) = text.parse::<u8>() {
        return (length <= 32).then_some(length);
    }
    let mask = u32::from(text.parse::<Ipv4Addr>().ok()?);
    (mask.leading_ones() + mask.trailing_zeros() >= 32)
        .then_some(mask.leading_ones())
        .and_then(|ones| u8::try_from(ones).ok())
}

/// Divides the delegated prefix and the router's own among the interfaces that serve them, large parts first.
fn assign(state: &State, list: &mut [Interface]) {
    let mut pools: Vec<(Ipv6Addr, u8, Option<String>)> = list
        .iter()
        .filter_map(|interface| {
            interface.prefix.map(|(prefix, length)| (prefix, length, Some(interface.name.clone())))
        })
        .collect();
    let own = state.sections("network", "globals").find_map(|globals| globals.text("ula_prefix"));
    pools.extend(own.as_deref().and_then(parse6).map(|(prefix, length)| (prefix, length, None)));
    let mut wishes: Vec<(usize, u8, Option<u128>)> = Vec::new();
    for (at, interface) in list.iter().enumerate().filter(|(_, interface)| interface.up) {
        let section = state.sections("network", "interface").find(|section| section.key() == interface.name);
        let length = section.and_then(|section| section.text("ip6assign")?.parse::<u8>().ok());
        let hint = section.and_then(|section| u128::from_str_radix(&section.text("ip6hint")?, 16).ok());
        wishes.extend(length.filter(|length| (1..=64).contains(length)).map(|length| (at, length, hint)));
    }
    wishes.sort_by_key(|(_, length, _)| *length);
    for (prefix, length, from) in pools {
        let mut taken: Vec<(u128, u128)> = Vec::new();
        for (at, wish, hint) in &wishes {
            if *wish < length {
                continue;
            }
            let size = 1_u128 << (128 - u32::from(*wish));
            let first = u128::from(prefix);
            let last = first | (u128::MAX.checked_shr(length.into()).unwrap_or_default());
            let hinted = hint
                .and_then(|hint| hint.checked_mul(1 << 64))
                .map(|offset| first.saturating_add(offset) / size * size);
            let free = |start: &u128| {
                let end = start.saturating_add(size - 1);
                (first..=last).contains(start)
                    && end <= last
                    && taken.iter().all(|(from, to)| end < *from || *start > *to)
            };
            let behind = taken.iter().map(|(_, to)| to.saturating_add(1).div_ceil(size).saturating_mul(size));
            let mut candidates = hinted.into_iter().chain([first]).chain(behind);
            let Some(start) = candidates.find(free) else { continue };
            taken.push((start, start.saturating_add(size - 1)));
            let part = Assignment { prefix: Ipv6Addr::from(start), length: *wish, from: from.clone() };
            list[*at].assigned.push(part);
        }
    }
}

fn parse6(text: &str) -> Option<(Ipv6Addr, u8)> {
    let (prefix, length) = text.split_once('/')?;
    Some((prefix.parse().ok()?, length.parse().ok().filter(|length| (1..=64).contains(length))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::router::{Settings, unpack};

    #[test]
    fn the_configured_ones() {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path(), &Settings { acs_url: String::new(), port: 7547 }).unwrap();
        let list = all(&State::new(folder.path()));
        let shown: Vec<_> = list
            .iter()
            .map(|one| {
                let parts: Vec<_> =
                    one.assigned.iter().map(|part| format!("{}/{}", part.local(), part.length)).collect();
                format!("{} {} {:?} {}", one.name, one.l3.as_deref().unwrap_or("-"), one.v4, parts.join(" "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "loopback lo [(127.0.0.1, 8)] ",
                "lan br-lan.1 [(192.168.1.1, 24)] 2001:db8:4500::1/60 fd12:3456:789a::1/60",
                "guest br-lan.20 [(192.168.20.1, 24)] fd12:3456:789a:10::1/64",
                "wan wan [(192.0.2.10, 24)] ",
                "wan6 wan [] ",
                "iptv wan.30 [(198.51.100.10, 24)] ",
            ]
        );
        assert_eq!(list[1].routes[0].target, "10.20.0.0");
        assert_eq!(list[5].routes[0].metric, Some(30));
    }

    #[test]
    fn netmasks() {
        for (text, length) in [
            ("255.255.255.0", Some(24)),
            ("0.0.0.0", Some(0)),
            ("255.255.255.255", Some(32)),
            ("16", Some(16)),
            ("255.0.255.0", None),
            ("33", None),
            ("x", None),
        ] {
            assert_eq!(length4(text), length, "{text}");
        }
    }
}
