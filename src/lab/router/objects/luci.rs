//! LuCI's `luci-rpc`: leases, hosts, devices and radios, as its pages want them.

use std::collections::BTreeMap;

use super::devices::{count, is_up, kind, names, ports, value};
use super::dhcp::{CLIENTS6, addresses6, expires, leases};
use super::interfaces::{self, Interface};
use super::iwinfo;
use super::reply::{Answer, array, counter, map, number, ok, table};
use super::state::{State, words};
use super::wireless;
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::json;
use crate::ubus::msg::Status;

/// Its methods.
pub const METHODS: &[&str] = &[
    "getBoardJSON",
    "getDHCPLeases family:i",
    "getDSLStatus",
    "getDUIDHints",
    "getHostHints",
    "getNetworkDevices",
    "getWirelessDevices",
];
/// The counters that LuCI shows.
const COUNTERS: &[&str] = &[
    "rx_bytes",
    "tx_bytes",
    "tx_errors",
    "rx_errors",
    "tx_packets",
    "rx_packets",
    "multicast",
    "collisions",
    "tx_dropped",
    "rx_dropped",
];

/// Answers for `luci-rpc`.
///
/// # Errors
/// "Not found" when the board's file is gone; what is not simulated is not supported.
pub fn luci(state: &mut State, _object: &str, method: &str, arguments: &Table) -> Answer {
    match method {
        "getBoardJSON" => {
            let text = state.read("/etc/board.json").ok_or(Status::NotFound)?;
            json::parse(&text).map(Some).map_err(|_| Status::UnknownError)
        }
        "getDHCPLeases" => {
            ok(given(state, arguments.get("family").and_then(Value::as_i64).unwrap_or_default()))
        }
        "getHostHints" => ok(hints(state)),
        "getDUIDHints" => {
            let hint = |(_, duid, name, _): &(&str, &str, &str, u16)| {
                ((*duid).to_owned(), table! { "name": *name, "accept_reconf": false })
            };
            ok(map(CLIENTS6.iter().map(hint)))
        }
        "getNetworkDevices" => {
            let list = interfaces::all(state);
            ok(map(names(state).into_iter().map(|name| {
                let shown = device(state, &name, &list);
                (name, shown)
            })))
        }
        "getWirelessDevices" => ok(radios(state)),
        _ => Err(Status::NotSupported),
    }
}

/// The leases of a family, 4 or 6, or of both.
fn given(state: &State, family: i64) -> Table {
    let mut out = Table::new();
    if family != 6 {
        let four = leases(state).into_iter().map(|lease| {
            let mut entry = table! { "expires": expires(lease.left) };
            if let Some(hostname) = lease.hostname {
                entry.push("hostname", hostname);
            }
            entry.push("macaddr", lease.mac.to_uppercase());
            if let Some(client) = lease.client {
                entry.push("duid", client);
            }
            entry.push("ipaddr", lease.address);
            entry
        });
        out.push("dhcp_leases", array(four));
    }
    if family != 4 {
        let list = interfaces::all(state);
        let six = CLIENTS6.iter().filter_map(|(interface, duid, name, host)| {
            let one = list.iter().find(|one| one.name == *interface)?;
            let addresses: Vec<_> = addresses6(one, *host).map(|(address, _)| address.to_string()).collect();
            Some(table! {
                "expires": interfaces::TIMES6.1,
                "hostname": *name,
                "macaddr": duid_mac(duid).to_uppercase(),
                "duid": *duid,
                "ip6addr": addresses.first()?.as_str(),
                "ip6addrs": array(addresses),
            })
        });
        out.push("dhcp6_leases", array(six));
    }
    out
}

/// The MAC at the end of a DUID.
fn duid_mac(duid: &str) -> String {
    let tail = duid.get(duid.len().saturating_sub(12)..).unwrap_or_default();
    let pairs: Vec<_> = (0..tail.len() / 2).filter_map(|at| tail.get(at * 2..at * 2 + 2)).collect();
    pairs.join(":")
}

#[derive(Default)]
struct Hint {
    four: Vec<String>,
    six: Vec<String>,
    name: Option<String>,
}

/// Everything that is known about hosts, by MAC: from leases, neighbours, and UCI.
fn hints(state: &State) -> Table {
    let mut hosts: BTreeMap<String, Hint> = BTreeMap::new();
    for lease in leases(state) {
        let host = hosts.entry(lease.mac.to_uppercase()).or_default();
        host.four.push(lease.address);
        host.name = host.name.take().or(lease.hostname);
    }
    let list = interfaces::all(state);
    for (interface, duid, name, host) in CLIENTS6 {
        if let Some(one) = list.iter().find(|one| one.name == *interface) {
            let hint = hosts.entry(duid_mac(duid).to_uppercase()).or_default();
            hint.six.extend(addresses6(one, *host).map(|(address, _)| address.to_string()));
            hint.name.get_or_insert_with(|| (*name).to_owned());
        }
    }
    for line in state.read("/proc/net/arp").unwrap_or_default().lines().skip(1) {
        let words: Vec<_> = line.split_whitespace().collect();
        if let [address, _, flags, mac, ..] = words[..]
            && flags != "0x0"
        {
            hosts.entry(mac.to_uppercase()).or_default().four.push(address.to_owned());
        }
    }
    for section in state.sections("dhcp", "host") {
        for mac in words(section, "mac") {
            let hint = hosts.entry(mac.to_uppercase()).or_default();
            hint.four.extend(section.text("ip").filter(|ip| ip.parse::<std::net::Ipv4Addr>().is_ok()));
            hint.name = section.text("name").or(hint.name.take());
        }
    }
    map(hosts.into_iter().map(|(mac, mut hint)| {
        hint.four.sort();
        hint.four.dedup();
        let mut out = table! { "ipaddrs": array(hint.four), "ip6addrs": array(hint.six) };
        if let Some(name) = hint.name {
            out.push("name", name);
        }
        (mac, out)
    }))
}

/// A network device as the kernel's sockets show it.
fn device(state: &State, name: &str, list: &[Interface]) -> Table {
    let kind = kind(state, name);
    let wlan = kind.as_deref() == Some("wlan");
    let bridge = kind.as_deref() == Some("bridge");
    let up = is_up(state, name);
    let own = || list.iter().filter(|one| one.l3.as_deref() == Some(name));
    let four = own().flat_map(|one| &one.v4).map(|(address, length)| {
        let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or_default();
        let broadcast = std::net::Ipv4Addr::from(u32::from(*address) | !mask);
        table! {
            "address": address.to_string(),
            "netmask": std::net::Ipv4Addr::from(mask).to_string(),
            "broadcast": broadcast.to_string(),
        }
    });
    let six = addresses(state, name).map(|(address, length)| {
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or_default();
        table! { "address": address, "netmask": std::net::Ipv6Addr::from(mask).to_string() }
    });
    let mut out = table! {
        "name": name,
        "wireless": wlan,
        "up": up,
        "mtu": number(count(state, name, "mtu")),
        "qlen": number(count(state, name, "tx_queue_len")),
        "devtype": kind.unwrap_or_else(|| "ethernet".to_owned()),
        "ipaddrs": array(four),
        "ip6addrs": array(six),
        "mac": value(state, name, "address").unwrap_or_default().to_uppercase(),
        "type": number(count(state, name, "type")),
        "ifindex": number(count(state, name, "ifindex")),
    };
    if let Some(master) = state.target(&format!("/sys/class/net/{name}/master")) {
        out.push("master", master);
    }
    out.push("bridge", bridge);
    let statistics = COUNTERS
        .iter()
        .map(|file| ((*file).into(), counter(count(state, name, &format!("statistics/{file}")))));
    out.push("stats", statistics.collect::<Table>());
    out.push(
        "flags",
        table! {
            "up": up,
            "broadcast": name != "lo",
            "promisc": false,
            "loopback": name == "lo",
            "noarp": false,
            "multicast": name != "lo",
            "pointtopoint": false,
        },
    );
    let changes = count(state, name, "carrier_changes");
    let speed = value(state, name, "speed").and_then(|speed| speed.parse::<i32>().ok());
    let mut link = table! {
        "speed": speed.map_or(Value::Null, Value::from),
        "carrier": value(state, name, "carrier").is_some_and(|carrier| carrier == "1"),
        "changes": number(changes),
        "up_count": number(changes.div_ceil(2)),
        "down_count": number(changes / 2),
    };
    if let Some(duplex) = value(state, name, "duplex") {
        link.push("duplex", duplex);
    }
    out.push("link", link);
    if bridge {
        out.push("id", value(state, name, "bridge/bridge_id").unwrap_or_default());
        out.push("stp", count(state, name, "bridge/stp_state") != 0);
        out.push("ports", array(ports(state, name)));
    }
    out
}

/// The IPv6 addresses of a device in `/proc/net/if_inet6`, with their lengths.
fn addresses(state: &State, device: &str) -> impl Iterator<Item = (String, u8)> {
    let text = state.read("/proc/net/if_inet6").unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let [address, _, length, _, _, name] = words[..]
            && name == device
            && let (Ok(address), Ok(length)) =
                (u128::from_str_radix(address, 16), u8::from_str_radix(length, 16))
        {
            found.push((std::net::Ipv6Addr::from(address).to_string(), length));
        }
    }
    found.into_iter()
}

/// `network.wireless` with what the drivers tell.
fn radios(state: &State) -> Table {
    let radios = wireless::radios(state);
    map(radios.iter().map(|radio| {
        let status = radio.status();
        let mut out = Table::new();
        for (name, value) in status.iter() {
            if *name == "interfaces" {
                let entries = value.as_array().unwrap_or_default().iter().zip(&radio.points);
                let points = entries.map(|(entry, point)| {
                    let mut entry = entry.as_table().cloned().unwrap_or_default();
                    if point.device.is_some() {
                        entry.push("iwinfo", iwinfo::info(state, radio, Some(point)));
                    }
                    entry
                });
                out.push("interfaces", array(points));
            } else {
                out.push(name.clone(), value.clone());
            }
        }
        if radio.up {
            out.push("iwinfo", iwinfo::info(state, radio, None));
        }
        (radio.name.clone(), out)
    }))
}
