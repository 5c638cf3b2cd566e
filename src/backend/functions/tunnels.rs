//! Interfaces by their protocol: tunnels of GRE, VXLAN, MAP, 6rd and DS-Lite, modems, WireGuard. Each is a `config interface` of
//! `/etc/config/network` that netifd makes with a program of its package, `/lib/netifd/proto/NAME.sh`.

use std::net::Ipv6Addr;

use super::{netif, netifd, prefixes, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "map_prefix", get: map_prefix, set: None },
    ValueFn { name: "proto_status", get: status, set: None },
    ValueFn { name: "gre_tunnel", get: gre, set: Some(set_gre) },
    ValueFn { name: "nd_dad", get: dad, set: Some(set_dad) },
    ValueFn { name: "split_prefix", get: split_prefix, set: Some(set_split_prefix) },
    ValueFn { name: "aftr", get: aftr, set: Some(set_aftr) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "proto_interfaces", rows, add: Some(add), delete: Some(delete) },
    TableFn { name: "proto_self", rows: itself, add: None, delete: None },
    TableFn { name: "nd_interfaces", rows: neighbours, add: None, delete: None },
];

fn has(protos: &str, proto: &str) -> bool {
    protos.split('|').any(|one| one == proto)
}

/// The interfaces of some protocols (`gre|gretap`), each with the device that carries its packets.
fn rows(system: &mut System, _at: Place<'_>, protos: &str) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for interface in topology::interfaces(system)? {
        if has(protos, &interface.proto) {
            let l3 = topology::l3_device(system, &interface);
            out.push(Row { name: interface.name.clone(), addr: interface.name, cols: vec![l3] });
        }
    }
    Ok(out)
}

/// The one thing below an interface is the interface again.
fn itself(_system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    Ok(at.rows.first().map(|instance| instance.row.clone()).into_iter().collect())
}

/// A new interface of the first protocol, off.
fn add(system: &mut System, at: Place<'_>, protos: &str) -> Result<Row> {
    let proto = protos.split('|').next().unwrap_or_default();
    if !system.exists(&format!("/lib/netifd/proto/{proto}.sh")) {
        return Err(Error::exhausted(format!("adding to {}: no package for {proto}", at.name)));
    }
    // A section's name is a word, which begins with a letter by custom.
    let prefix = if proto.starts_with(|c: char| c.is_ascii_digit()) { "tun" } else { proto };
    let name = topology::free_name(system, "network", prefix)?;
    let section = topology::new_section(system, "network", "interface", Some(&name))?;
    topology::put(system, &section, "proto", proto)?;
    if proto == "map" {
        // The standard's domain translates, where map.sh encapsulates unless it is told otherwise.
        topology::put(system, &section, "type", "map-t")?;
    }
    topology::put(system, &section, "disabled", "1")?;
    Ok(Row { name: name.clone(), addr: name, cols: vec![String::new()] })
}

fn delete(system: &mut System, at: Place<'_>, _protos: &str) -> Result<()> {
    let name = name(&at)?;
    netif::forget(system, &name)?;
    system.delete_section(&format!("network.{name}"))
}

/// The interfaces that speak IPv6, each with its device.
fn neighbours(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for interface in topology::interfaces(system)? {
        let l3 = topology::l3_device(system, &interface);
        if topology::is_device_name(&l3) && system.exists(&format!("/proc/sys/net/ipv6/conf/{l3}")) {
            out.push(Row { name: interface.name.clone(), addr: interface.name, cols: vec![l3] });
        }
    }
    Ok(out)
}

/// The device of the innermost row.
fn neighbours_on(at: &Place<'_>) -> Result<String> {
    let device = at.row().and_then(|row| row.cols.first()).filter(|device| topology::is_device_name(device));
    device.cloned().ok_or_else(|| Error::unknown_name(at.name))
}

/// How often an address is asked for before it is used: as configured, else as the kernel does.
fn dad(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let device = neighbours_on(&at)?;
    if let Some(told) = topology::device_option(system, &device, "dadtransmits")? {
        return Ok(Some(told));
    }
    let kernel = system.text(&format!("/proc/sys/net/ipv6/conf/{device}/dad_transmits"));
    Ok(kernel.map(|text| Raw::one(text.trim())))
}

fn set_dad(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let device = neighbours_on(&at)?;
    topology::put_device_option(system, &device, "dadtransmits", &raw.text())
}

fn name(at: &Place<'_>) -> Result<String> {
    let row = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(row.row.addr.clone())
}

fn section(at: &Place<'_>) -> Result<String> {
    Ok(format!("network.{}", name(at)?))
}

fn is_off(system: &mut System, section: &str) -> Result<bool> {
    Ok(topology::truth(&topology::text(system, section, "disabled")?))
}

/// `Disabled`, `Enabled` or `Error`.
fn status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let name = name(&at)?;
    if is_off(system, &section(&at)?)? {
        return Ok(Some(Raw::one("Disabled")));
    }
    let up = match netifd::find(system, &name) {
        Some(told) => told.up,
        None => match topology::interface(system, &name)? {
            Some(interface) => {
                let l3 = topology::l3_device(system, &interface);
                topology::status(system, &l3) == Some("Up")
            }
            None => false,
        },
    };
    Ok(Some(Raw::one(if up { "Enabled" } else { "Error" })))
}

// --- GRE and VXLAN

fn is_over_v6(proto: &str) -> bool {
    matches!(proto, "grev6" | "grev6tap" | "vxlan6")
}

/// Which option names the other end.
fn peer_option(proto: &str) -> &'static str {
    if is_over_v6(proto) { "peer6addr" } else { "peeraddr" }
}

fn gre(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let proto = topology::text(system, &section, "proto")?;
    let key = topology::text(system, &section, "okey")?;
    Ok(Some(Raw::One(match what {
        "remote" => topology::text(system, &section, peer_option(&proto))?,
        "connected" => {
            let up = netifd::find(system, &name(&at)?).is_some_and(|told| told.up);
            if up { topology::text(system, &section, peer_option(&proto))? } else { String::new() }
        }
        "protocol" => if is_over_v6(&proto) { "IPv6" } else { "IPv4" }.to_owned(),
        "policy" => if key.is_empty() { "Disabled" } else { "Provisioned" }.to_owned(),
        "key" if key.is_empty() => topology::text(system, &section, "rcwmp_key")?,
        "key" => key,
        "source_port" => {
            let first = topology::text(system, &section, "srcportmin")?.parse::<u16>().ok();
            let last = topology::text(system, &section, "srcportmax")?.parse::<u16>().ok();
            // The last one is not used; of a range, the kernel takes what it likes.
            let one = first.filter(|first| first.checked_add(1) == last).unwrap_or(0);
            one.to_string()
        }
        flag => topology::text(system, &section, &format!("o{flag}"))?,
    })))
}

fn set_gre(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let proto = topology::text(system, &section, "proto")?;
    let key = topology::text(system, &section, "okey")?;
    match what {
        "remote" => {
            if raw.items().len() > 1 {
                return Err(Error::bad_value(at.name, "a tunnel has one other end"));
            }
            topology::put(system, &section, peer_option(&proto), &raw.text())
        }
        "protocol" => {
            let next = match (raw.text() == "IPv6", &*proto) {
                (true, "gretap") => "grev6tap",
                (true, "gre") => "grev6",
                (true, "vxlan") => "vxlan6",
                (false, "grev6tap") => "gretap",
                (false, "grev6") => "gre",
                (false, "vxlan6") => "vxlan",
                (_, same) => same,
            };
            if next == proto {
                return Ok(());
            }
            let peer = topology::text(system, &section, peer_option(&proto))?;
            topology::put(system, &section, peer_option(&proto), "")?;
            topology::put(system, &section, peer_option(next), &peer)?;
            topology::put(system, &section, "proto", next)
        }
        "policy" => {
            let on = raw.text() == "Provisioned";
            if on != key.is_empty() {
                return Ok(());
            }
            let kept = topology::text(system, &section, "rcwmp_key")?;
            let (next, kept) = if on { (if kept.is_empty() { "0" } else { &kept }, "") } else { ("", &*key) };
            topology::put(system, &section, "okey", next)?;
            topology::put(system, &section, "ikey", next)?;
            topology::put(system, &section, "rcwmp_key", kept)
        }
        "key" if key.is_empty() => topology::put(system, &section, "rcwmp_key", &raw.text()),
        "key" => {
            topology::put(system, &section, "okey", &raw.text())?;
            topology::put(system, &section, "ikey", &raw.text())
        }
        "source_port" => {
            let (first, last) = match raw.text().parse::<u16>() {
                Ok(0) => Default::default(),
                Ok(port) if port < u16::MAX => (port.to_string(), (port + 1).to_string()),
                _ => return Err(Error::bad_value(at.name, "the kernel wants a port below 65535")),
            };
            topology::put(system, &section, "srcportmin", &first)?;
            topology::put(system, &section, "srcportmax", &last)
        }
        flag => {
            topology::put(system, &section, &format!("o{flag}"), &raw.text())?;
            topology::put(system, &section, &format!("i{flag}"), &raw.text())
        }
    }
}

// --- 6rd, DS-Lite and MAP

/// A prefix whose length is an option of its own: `ip6prefix/ip6prefixlen/32`, the last one where none is set.
fn split_prefix(system: &mut System, at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let mut parts = argument.split('/');
    let prefix = topology::text(system, &section, parts.next().unwrap_or_default())?;
    let bits = topology::text(system, &section, parts.next().unwrap_or_default())?;
    let bits = if bits.is_empty() { parts.next().unwrap_or_default() } else { &bits };
    let address = prefix.split('/').next().unwrap_or_default();
    Ok((!address.is_empty()).then(|| Raw::One(format!("{address}/{bits}"))))
}

fn set_split_prefix(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let text = raw.text();
    let mut parts = argument.split('/');
    let (address, bits) = text.split_once('/').unwrap_or((&text, ""));
    topology::put(system, &section, parts.next().unwrap_or_default(), address)?;
    topology::put(system, &section, parts.next().unwrap_or_default(), bits)
}

/// The delegated prefix that a MAP domain takes its end-user prefix of: one within the rule's.
fn map_prefix(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let rule =
        split_prefix(system, at, "ip6prefix/ip6prefixlen/64")?.map(|raw| raw.text()).unwrap_or_default();
    let Some((base, bits)) = rule.split_once('/') else { return Ok(None) };
    let (Ok(base), Ok(bits)) = (base.parse::<Ipv6Addr>(), bits.parse::<u8>()) else { return Ok(None) };
    let base = netifd::network6(base, bits);
    let mut delegated = prefixes::delegations(system)?.into_iter();
    let found = delegated.find(|(_, one)| one.bits >= bits && netifd::network6(one.address, bits) == base);
    let Some((owner, one)) = found else { return Ok(None) };
    Ok(Some(Raw::One(prefixes::row_name(system, &owner, &one)?)))
}

/// The other end of DS-Lite is one option for a name and an address.
fn aftr(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let peer = topology::text(system, &section(&at)?, "peeraddr")?;
    let is_address = peer.parse::<Ipv6Addr>().is_ok();
    Ok(match what {
        "name" => (!is_address).then_some(Raw::One(peer)),
        "type" => Some(Raw::one(if is_address { "IPv6Address" } else { "FQDN" })),
        "used" => {
            let up = netifd::find(system, &name(&at)?).is_some_and(|told| told.up);
            (is_address && up).then_some(Raw::One(peer))
        }
        _ => is_address.then_some(Raw::One(peer)),
    })
}

fn set_aftr(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let given = raw.text();
    let peer = topology::text(system, &section, "peeraddr")?;
    // Emptying the one of the two that is not in use leaves the other.
    if given.is_empty() && peer.parse::<Ipv6Addr>().is_ok() == (what == "name") {
        return Ok(());
    }
    topology::put(system, &section, "peeraddr", &given)
}
