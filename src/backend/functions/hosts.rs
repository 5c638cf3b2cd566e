//! `Device.Hosts.`: the machines of the LAN, from leases, the ARP table and the bridges' forwarding tables.
//!
//! All of it is text that a machine on the LAN can influence: every line is parsed on its own, and what
//! does not fit is left out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::backend::functions::netif::{self, Interface};
use crate::backend::functions::odhcpd::{self, Lease};
use crate::backend::functions::topology::truth;
use crate::backend::functions::{forwarding_table, ip, stations, topology, wifi};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Row};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "hosts", rows: hosts, add: None, delete: None },
    TableFn { name: "host_addresses", rows: addresses, add: None, delete: None },
];

/// The most machines.
const MAX_HOSTS: usize = 1024;
/// The most addresses of one family of one machine.
const MAX_ADDRESSES: usize = 16;
/// `ATF_COM` of an ARP entry: its address is known.
const COMPLETE: u32 = 2;

/// What is known of one machine.
#[derive(Debug, Default, PartialEq, Eq)]
struct Host {
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
    name: String,
    device: String,
    active: bool,
    /// The bridge's port behind which it was seen.
    port: String,
}

/// Machines by their MAC address in lower case with colons.
#[derive(Debug, Default)]
struct Hosts(BTreeMap<String, Host>);

impl Hosts {
    fn entry(&mut self, mac: &str) -> Option<&mut Host> {
        let mac = normal_mac(mac)?;
        if self.0.len() >= MAX_HOSTS && !self.0.contains_key(&mac) {
            return None;
        }
        Some(self.0.entry(mac).or_default())
    }

    fn learn(&mut self, mac: &str, address: Option<IpAddr>, name: &str) {
        let Some(host) = self.entry(mac) else { return };
        match address {
            Some(IpAddr::V4(address)) if host.v4.len() < MAX_ADDRESSES && !host.v4.contains(&address) => {
                host.v4.push(address);
            }
            Some(IpAddr::V6(address)) if host.v6.len() < MAX_ADDRESSES && !host.v6.contains(&address) => {
                host.v6.push(address);
            }
            _ => {}
        }
        if host.name.is_empty() && !matches!(name, "" | "*" | "-" | "?") {
            host.name = name.chars().filter(|c| !c.is_control()).take(64).collect();
        }
    }

    /// dnsmasq: `expiry MAC IP name client-id`, after a line `duid …` the same with an IAID and a DUID.
    fn leases(&mut self, text: &str, now: i64) {
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().take(6).collect();
            let [expiry, who, address, name, id] = words[..] else { continue };
            let Ok(address) = address.parse::<IpAddr>() else { continue };
            // 0 is a lease without end; a clock that was never set cannot tell what has expired.
            let gone = expiry.parse::<i64>().map_or(true, |expiry| expiry != 0 && expiry < now);
            if gone {
                continue;
            }
            match address {
                IpAddr::V4(_) => self.learn(who, Some(address), name),
                IpAddr::V6(_) => {
                    if let Some(mac) = mac_of_duid(id) {
                        self.learn(&mac, Some(address), name);
                    }
                }
            }
        }
    }

    /// odhcpd: `# device DUID-or-MAC IAID-or-ipv4 name valid assigned length address/prefix…`.
    fn odhcpd(&mut self, text: &str) {
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("# ") else { continue };
            let words: Vec<&str> = rest.split_whitespace().take(8 + MAX_ADDRESSES).collect();
            let [_, id, iaid, name, _, _, _, ref addresses @ ..] = words[..] else { continue };
            let mac = if iaid == "ipv4" { Some(id.to_owned()) } else { mac_of_duid(id) };
            let Some(mac) = mac else { continue };
            for address in addresses {
                let (address, length) = address.split_once('/').unwrap_or((address, ""));
                // Shorter than a whole address is a delegated prefix.
                if let (Ok(address), "" | "32" | "128") = (address.parse::<IpAddr>(), length) {
                    self.learn(&mac, Some(address), name);
                }
            }
        }
    }

    /// Leases that a server told over ubus.
    fn told(&mut self, leases: Vec<Lease>) {
        for lease in leases.into_iter().filter(|lease| lease.valid != Some(0)) {
            self.learn(&lease.mac, None, &lease.host);
            for address in lease.addresses {
                self.learn(&lease.mac, Some(address), "");
            }
            if let Some(host) = self.entry(&lease.mac).filter(|host| host.device.is_empty()) {
                host.device = lease.device;
            }
        }
    }

    /// `/proc/net/arp`: address, hardware type, flags, MAC, mask, device.
    fn arp(&mut self, text: &str, is_lan: impl Fn(&str) -> bool) {
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().take(6).collect();
            let [address, _, flags, mac, _, device] = words[..] else { continue };
            let flags = flags.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
            let Ok(address) = address.parse::<Ipv4Addr>() else { continue };
            if mac == "00:00:00:00:00:00" || !is_lan(device) {
                continue;
            }
            self.learn(mac, Some(IpAddr::V4(address)), "");
            if let Some(host) = self.entry(mac) {
                host.active |= flags.is_some_and(|flags| flags & COMPLETE != 0);
                host.device = device.to_owned();
            }
        }
    }
}

/// A MAC address in lower case with colons, from that form or from bare digits.
pub fn normal_mac(text: &str) -> Option<String> {
    let digits: String = match text.len() {
        17 => text.split(':').filter(|part| part.len() == 2).collect(),
        12 => text.to_owned(),
        _ => return None,
    };
    if digits.len() != 12 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.to_ascii_lowercase();
    Some([0, 2, 4, 6, 8, 10].map(|at| &digits[at..at + 2]).join(":"))
}

/// The Ethernet address in a DUID of the types that have one: link layer, with and without time (RFC 8415 11).
pub fn mac_of_duid(duid: &str) -> Option<String> {
    let digits: String = duid.split(':').collect();
    if !digits.is_ascii() || digits.len() > 260 {
        return None;
    }
    match (digits.get(..8)?, digits.len()) {
        ("00010001", 28) | ("00030001", 20) => normal_mac(digits.get(digits.len() - 12..)?),
        _ => None,
    }
}

/// Everything that is known of the machines of the LAN.
fn gather(system: &mut System, lan: &[Interface]) -> Result<Hosts> {
    let (now, _) = system.now();
    let mut found = Hosts::default();
    let or = |text: String, default: &str| if text.starts_with('/') { text } else { default.to_owned() };
    let leases = or(system.option_text("dhcp.@dnsmasq[0].leasefile")?, "/tmp/dhcp.leases");
    let dnsmasq = system.text(&leases);
    found.leases(dnsmasq.as_deref().unwrap_or_default(), now);
    let leases = or(system.option_text("dhcp.odhcpd.leasefile")?, "/tmp/hosts/odhcpd");
    let odhcpd = system.text(&leases);
    found.odhcpd(odhcpd.as_deref().unwrap_or_default());
    let main = truth(&system.option_text("dhcp.odhcpd.maindhcp")?);
    if main || dnsmasq.is_none() {
        let told = odhcpd::ipv4(system);
        found.told(told);
    }
    let told = odhcpd::ipv6(system);
    found.told(told);
    if dnsmasq.is_none() && odhcpd.is_none() && found.0.is_empty() {
        let told = odhcpd::gathered(system);
        found.told(told);
    }
    let is_lan = |device: &str| netif::by_device(lan, device, false).is_some();
    found.arp(&system.text("/proc/net/arp").unwrap_or_default(), is_lan);
    if !found.0.is_empty() {
        // A hint is of anybody, WAN and this router included: it tells more of whom the LAN has.
        for (mac, name, addresses) in odhcpd::hints(system) {
            if found.0.contains_key(&mac) {
                found.learn(&mac, None, &name);
                for address in addresses {
                    found.learn(&mac, Some(address), "");
                }
            }
        }
    }
    place(system, &mut found, lan)?;
    Ok(found)
}

/// Where each machine is: its interface by the subnet where nobody told, and the port of its bridge.
fn place(system: &mut System, found: &mut Hosts, lan: &[Interface]) -> Result<()> {
    let mut subnets = Vec::new();
    let mut bridges: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for one in lan {
        if let Some((router, bits)) = ip::first_ip4(system, &format!("network.{}", one.name))? {
            let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
            subnets.push((u32::from(router) & mask, mask, one.device.clone()));
        }
    }
    for (mac, host) in &mut found.0 {
        if host.device.is_empty() {
            let mine = |address: &Ipv4Addr| {
                subnets.iter().find(|(network, mask, _)| u32::from(*address) & mask == *network)
            };
            host.device =
                host.v4.iter().find_map(mine).map(|(.., device)| device.clone()).unwrap_or_default();
        }
        if host.device.is_empty() {
            continue;
        }
        let bridge = topology::base_device(system, &host.device)?;
        if !bridges.contains_key(&bridge) {
            let machines = forwarding_table::machines(system, &bridge);
            bridges.insert(bridge.clone(), machines);
        }
        match bridges.get(&bridge).and_then(|machines| machines.get(mac)) {
            Some(port) => {
                host.active = true;
                host.port = topology::base_device(system, port)?;
            }
            None => host.port = bridge,
        }
    }
    Ok(())
}

/// The row of Ethernet.Interface or WiFi.Radio that a device belongs to, and TR-181's InterfaceType.
fn layer1(system: &mut System, device: &str, radios: &BTreeMap<String, String>) -> (String, &'static str) {
    if let Some(radio) = radios.get(device) {
        return (radio.clone(), "Wi-Fi");
    }
    if topology::in_sysfs(system, device, "phy80211") {
        return (String::new(), "Wi-Fi");
    }
    if topology::is_port(system, device) { (device.to_owned(), "Ethernet") } else { (String::new(), "Other") }
}

/// Rows with address, name, active, interface, IPv4 addresses, IPv6 addresses, layer 1 interface and its type.
fn hosts(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let interfaces = netif::interfaces(system)?;
    let zones = netif::zones(system)?;
    let wan = netif::wan(system)?;
    let outside = |interface: &str| match netif::zone_of(&zones, interface) {
        Some(zone) => zone.masq == Some(true),
        None => interface == wan,
    };
    let lan: Vec<Interface> = interfaces.iter().filter(|one| !outside(&one.name)).cloned().collect();
    let found = gather(system, &lan)?;
    let mut radios = BTreeMap::new();
    for iface in wifi::ifaces(system)? {
        if let Some(device) = wifi::device(system, &iface.addr)? {
            radios.insert(device, iface.radio);
        }
    }
    // An access point knows its stations, whatever the bridge has seen of them.
    let stations = stations::all(system)?;
    let mut out = Vec::with_capacity(found.0.len());
    for (mac, host) in found.0 {
        let station = stations.get(&mac);
        let first = host.v4.first().map(ToString::to_string);
        let first = first.or(host.v6.first().map(ToString::to_string)).unwrap_or_default();
        let interface = netif::by_device(&lan, &host.device, false).map(|one| one.name.clone());
        let join4: Vec<String> = host.v4.iter().map(ToString::to_string).collect();
        let join6: Vec<String> = host.v6.iter().map(ToString::to_string).collect();
        let active = if host.active || station.is_some() { "1" } else { "0" }.to_owned();
        let (port, kind) = match station {
            Some(home) => (home.radio.clone(), "Wi-Fi"),
            None => layer1(system, &host.port, &radios),
        };
        let cols = vec![
            first,
            host.name,
            active,
            interface.unwrap_or_default(),
            join4.join(" "),
            join6.join(" "),
            port,
            kind.to_owned(),
        ];
        out.push(Row { name: mac.clone(), addr: mac, cols });
    }
    Ok(out)
}

fn addresses(_system: &mut System, at: Place<'_>, column: &str) -> Result<Vec<Row>> {
    let column = column.parse::<usize>().ok();
    let text = column.and_then(|column| at.row()?.cols.get(column)).map(String::as_str).unwrap_or_default();
    let row = |word: &str| Row { name: word.to_owned(), addr: word.to_owned(), cols: Vec::new() };
    Ok(text.split_whitespace().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(hosts: &Hosts) -> Vec<String> {
        hosts
            .0
            .iter()
            .map(|(mac, host)| format!("{mac} {:?} {:?} {} {}", host.v4, host.v6, host.name, host.active))
            .collect()
    }

    #[test]
    fn dnsmasq() {
        let mut hosts = Hosts::default();
        let text = "1705556643 02:00:00:00:01:11 192.168.1.163 host-1 01:02:00:00:00:01:11\n\
                    0 02:00:00:00:01:12 192.168.1.164 * *\n\
                    5 02:00:00:00:01:13 192.168.1.165 old *\n\
                    duid 00:01:00:01:28:9c:1a:2b:02:00:00:00:01:14\n\
                    1705556643 16777233 2001:db8:1::163 host-1 00:01:00:01:2a:11:22:33:02:00:00:00:01:11\n\
                    1705556643 T33554449 2001:db8:1::abcd * 00:03:00:01:02:00:00:00:01:15\n\
                    x y z\n\u{0} \u{1} 1.2.3.4 a b\n";
        hosts.leases(text, 1_000_000);
        assert_eq!(
            shown(&hosts),
            [
                "02:00:00:00:01:11 [192.168.1.163] [2001:db8:1::163] host-1 false",
                "02:00:00:00:01:12 [192.168.1.164] []  false",
                "02:00:00:00:01:15 [] [2001:db8:1::abcd]  false",
            ]
        );
    }

    #[test]
    fn odhcpd() {
        let mut hosts = Hosts::default();
        hosts.odhcpd(
            "# br-lan 000100012a112233020000000111 1 box 1705556643 abc 64 2001:db8::abc/128 2001:db8:f::/62\n\
             # br-lan 020000000112 ipv4 tv 1705556643 1 32 192.168.1.9/32\n# x\n2001:db8::abc box\n",
        );
        assert_eq!(
            shown(&hosts),
            ["02:00:00:00:01:11 [] [2001:db8::abc] box false", "02:00:00:00:01:12 [192.168.1.9] [] tv false"]
        );
    }

    #[test]
    fn arp() {
        let mut hosts = Hosts::default();
        let text = "IP address HW type Flags HW address Mask Device\n\
                    10.0.2.1 0x1 0x2 02:00:00:00:01:15 * eth1\n\
                    192.168.56.1 0x1 0x2 02:00:00:00:01:16 * br-lan\n\
                    192.168.56.2 0x1 0x0 00:00:00:00:00:00 * br-lan\n\
                    192.168.56.3 0x1 0x0 02:00:00:00:01:18 * br-lan\n";
        hosts.arp(text, |device| device == "br-lan");
        assert_eq!(
            shown(&hosts),
            ["02:00:00:00:01:16 [192.168.56.1] []  true", "02:00:00:00:01:18 [192.168.56.3] []  false"]
        );
    }

    #[test]
    fn bounds() {
        let mut hosts = Hosts::default();
        for n in 0..5000_u32 {
            hosts.learn(&format!("{n:012x}"), None, &"n".repeat(1000));
        }
        assert_eq!(hosts.0.len(), MAX_HOSTS);
        assert!(hosts.0.values().all(|host| host.name.len() == 64));
        assert_eq!(normal_mac("02:00:00:00:01:1ä"), None);
        assert_eq!(mac_of_duid("00:02:00:00:ab:11"), None);
        assert_eq!(mac_of_duid("ää"), None);
    }
}
