//! Ethernet ports, links and VLAN terminations (TR-181 `Device.Ethernet.`).
//!
//! A port is a row because the kernel has it, a VLAN because `/etc/config/network` or the kernel has it;
//! a link is every Ethernet device that netifd's interfaces, VLANs and bridges stand on, every group of ports, and
//! every free port.

use super::topology::{self, Vlan};
use super::{bonds, bridging, topology::Interface};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};
use crate::set::Set;

/// The TPID of 802.1Q and of 802.1ad, as numbers of TR-181.
const TPIDS: [(&str, &str); 2] = [("8021q", "33024"), ("8021ad", "34984")];
/// The most rows of a table of devices.
const MAX_DEVICES: usize = 1024;

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "device_option", get: device_option, set: Some(set_device_option) },
    ValueFn { name: "net_status", get: net_status, set: None },
    ValueFn { name: "net_status_port", get: port_status, set: None },
    ValueFn { name: "eth_upstream", get: upstream, set: None },
    ValueFn { name: "link_mtu", get: mtu, set: Some(set_mtu) },
    ValueFn { name: "link_mac", get: mac, set: Some(set_mac) },
    ValueFn { name: "vlan_lower", get: vlan_lower, set: Some(set_vlan_lower) },
    ValueFn { name: "vlan_id", get: vlan_id, set: Some(set_vlan_id) },
    ValueFn { name: "vlan_tpid", get: vlan_tpid, set: Some(set_vlan_tpid) },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "eth_interfaces", rows: ports, add: None, delete: None },
    TableFn { name: "eth_links", rows: links, add: None, delete: None },
    TableFn { name: "eth_vlans", rows: vlans, add: Some(add_vlan), delete: Some(delete_vlan) },
];

/// A row that is a device.
pub fn device_row(device: String) -> Row {
    Row { name: device.clone(), addr: device, cols: Vec::new() }
}

fn device_option(system: &mut System, _at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let Some((device, option)) = argument.rsplit_once('/') else { return Ok(None) };
    topology::device_option(system, device, option)
}

fn set_device_option(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let Some((device, option)) =
        argument.rsplit_once('/').filter(|(device, _)| topology::is_device_name(device))
    else {
        return Err(Error::backend(at.name, "the row has no network device"));
    };
    topology::put_device_option(system, device, option, &raw.text())
}

fn net_status(system: &mut System, _at: Place<'_>, device: &str) -> Result<Option<Raw>> {
    Ok(topology::status(system, device).map(Raw::one))
}

/// Of a port, below which there is nothing: without a cable a port of a switch is down for its own sake, which the
/// kernel tells as if it were the switch's.
fn port_status(system: &mut System, _at: Place<'_>, device: &str) -> Result<Option<Raw>> {
    let told = topology::status(system, device);
    Ok(told.map(|word| Raw::one(if word == "LowerLayerDown" { "Down" } else { word })))
}

fn mtu(system: &mut System, _at: Place<'_>, device: &str) -> Result<Option<Raw>> {
    Ok(topology::device_option(system, device, "mtu")?
        .or_else(|| topology::sysfs(system, device, "mtu").map(Raw::one)))
}

fn set_mtu(system: &mut System, at: Place<'_>, device: &str, raw: &Raw) -> Result<()> {
    // The kernel's own bounds for Ethernet (ETH_MIN_MTU, ETH_MAX_MTU); 0 would leave the device without.
    if !raw.text().parse::<u32>().is_ok_and(|mtu| (68..=65535).contains(&mtu)) {
        return Err(Error::bad_value(at.name, "an MTU is 68 to 65535"));
    }
    topology::put_device_option(system, device, "mtu", &raw.text())
}

fn mac(system: &mut System, _at: Place<'_>, device: &str) -> Result<Option<Raw>> {
    let told = topology::device_option(system, device, "macaddr")?;
    Ok(told.or_else(|| topology::sysfs(system, device, "address").map(Raw::one)))
}

fn set_mac(system: &mut System, _at: Place<'_>, device: &str, raw: &Raw) -> Result<()> {
    topology::put_device_option(system, device, "macaddr", &raw.text())
}

/// The devices below the interfaces of the firewall's WAN zone; without a firewall those of `wan` and `wan6`.
fn upstream_devices(system: &mut System) -> Result<Vec<String>> {
    let mut networks: Vec<String> = Vec::new();
    for zone in system.sections("firewall", "zone")? {
        let section = format!("firewall.{}", zone.addr);
        let name = topology::text(system, &section, "name")?;
        if name == "wan" || topology::truth(&topology::text(system, &section, "masq")?) {
            networks.extend(topology::words(system, &section, "network")?);
        }
    }
    if networks.is_empty() {
        networks = vec!["wan".to_owned(), "wan6".to_owned()];
    }
    let found: Vec<Interface> = topology::interfaces(system)?
        .into_iter()
        .filter(|interface| networks.contains(&interface.name))
        .collect();
    let bridges = bridging::bridges(system)?;
    let mut out = Vec::new();
    for interface in found {
        let device = topology::base_device(system, &interface.device)?;
        match bridges.iter().find(|bridge| bridge.name == device) {
            None => out.push(device),
            Some(bridge) => {
                for port in bridging::live_ports(system, bridge)? {
                    out.push(topology::base_device(system, &port)?);
                }
            }
        }
    }
    Ok(out)
}

fn upstream(system: &mut System, _at: Place<'_>, device: &str) -> Result<Option<Raw>> {
    let upstream = upstream_devices(system)?.iter().any(|other| other == device);
    Ok(Some(Raw::one(if upstream { "1" } else { "0" })))
}

fn ports(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let names = system.names("/sys/class/net");
    Ok(names
        .into_iter()
        .take(MAX_DEVICES)
        .filter(|name| topology::is_port(system, name))
        .map(device_row)
        .collect())
}

fn links(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let interfaces = topology::interfaces(system)?;
    let bridges = bridging::bridges(system)?;
    let mut below: Set<String> = bridges.iter().map(|bridge| bridge.name.clone()).collect();
    for interface in &interfaces {
        let made =
            interfaces.iter().any(|other| format!("{}-{}", other.proto, other.name) == interface.device);
        if !made {
            below.insert(topology::base_device(system, &interface.device)?);
        }
    }
    for name in vlan_names(system)? {
        below.insert(topology::base_device(system, &name)?);
    }
    below.extend(bonds::names(system)?);
    let mut members = Set::new();
    members.extend(bonds::members(system)?);
    for bridge in bridges.iter() {
        members.extend(bridging::live_ports(system, bridge)?);
    }
    for name in system.names("/sys/class/net").into_iter().take(MAX_DEVICES) {
        let enslaved = members.contains(&name) || topology::in_sysfs(system, &name, "master");
        if !enslaved && topology::is_port(system, &name) {
            below.insert(name);
        }
    }
    let mut out = Vec::new();
    for name in below {
        // A VLAN that stands on nothing yet is no link either.
        if out.len() < MAX_DEVICES && topology::vlan(system, &name)?.is_none() && is_link(system, &name) {
            out.push(device_row(name));
        }
    }
    Ok(out)
}

/// Whether a device speaks Ethernet, as far as one can tell; one that is not there (yet) is taken for it.
fn is_link(system: &mut System, device: &str) -> bool {
    if !topology::is_device_name(device) || device == "lo" {
        return false;
    }
    if !topology::in_sysfs(system, device, "") {
        return true;
    }
    topology::sysfs(system, device, "type").as_deref() == Some("1")
        && !topology::in_sysfs(system, device, "phy80211")
        && !topology::in_sysfs(system, device, "tun_flags")
        && !matches!(topology::kind(system, device).as_str(), "wlan" | "wwan" | "wireguard" | "vlan")
}

/// The names of all VLAN devices: of sections, used by interfaces and bridges, and in the kernel.
fn vlan_names(system: &mut System) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for section in system.sections("network", "device")? {
        names.push(topology::text(system, &format!("network.{}", section.addr), "name")?);
    }
    names.extend(topology::interfaces(system)?.into_iter().map(|interface| interface.device));
    for bridge in bridging::bridges(system)?.iter() {
        names.extend(bridging::live_ports(system, bridge)?);
    }
    for name in system.names("/sys/class/net").into_iter().take(MAX_DEVICES) {
        if topology::kind(system, &name) == "vlan" {
            names.push(name);
        }
    }
    let mut out: Vec<String> = Vec::new();
    for name in names {
        if topology::is_device_name(&name) && !out.contains(&name) && topology::vlan(system, &name)?.is_some()
        {
            out.push(name);
        }
    }
    out.truncate(MAX_DEVICES);
    Ok(out)
}

/// Column: its section.
fn vlans(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for name in vlan_names(system)? {
        let section = topology::vlan(system, &name)?.and_then(|vlan| vlan.section).unwrap_or_default();
        out.push(Row { cols: vec![section], ..device_row(name) });
    }
    Ok(out)
}

/// Whether a VLAN has no section that tells of it, but its name alone.
pub fn is_unconfigured(row: &Row) -> bool {
    row.cols.first().is_some_and(String::is_empty)
}

fn add_vlan(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    let mut taken = vlan_names(system)?;
    for section in system.sections("network", "device")? {
        taken.push(topology::text(system, &format!("network.{}", section.addr), "name")?);
    }
    let mut name = String::new();
    // The kernel may have a device of the name that UCI does not know.
    for _ in 0..=MAX_DEVICES {
        name = topology::numbered("vlan", |name| taken.iter().any(|other| other == name));
        if !topology::in_sysfs(system, &name, "") {
            break;
        }
        taken.push(name.clone());
    }
    let section = topology::new_section(system, "network", "device", None)?;
    for (option, value) in [("name", name.as_str()), ("type", "8021q"), ("enabled", "0")] {
        topology::put(system, &section, option, value)?;
    }
    Ok(device_row(name))
}

fn delete_vlan(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let device = row_device(&at)?;
    let told = topology::vlan(system, device)?.and_then(|vlan| vlan.section);
    let Some(section) = told else { return Err(Error::not_deletable(at.name)) };
    // A name of the form `eth0.7` that is still in use stands for the VLAN even without its section.
    system.delete_section(&section)
}

fn vlan_lower(system: &mut System, _at: Place<'_>, device: &str) -> Result<Option<Raw>> {
    Ok(topology::vlan(system, device)?.filter(|vlan| !vlan.base.is_empty()).map(|vlan| Raw::one(vlan.base)))
}

fn set_vlan_lower(system: &mut System, at: Place<'_>, device: &str, raw: &Raw) -> Result<()> {
    let bases = raw.items();
    if bases.len() > 1 {
        return Err(Error::bad_value(at.name, "a VLAN stands on one link"));
    }
    let base = bases.first().copied().unwrap_or_default();
    // A VLAN may stand on another one (802.1ad), and that not on it.
    let mut below = base.to_owned();
    for _ in 0..MAX_DEVICES {
        if below == device {
            return Err(Error::bad_value(at.name, "a VLAN cannot stand on itself"));
        }
        match topology::vlan(system, &below)? {
            Some(vlan) if !below.is_empty() => below = vlan.base,
            _ => break,
        }
    }
    let section = vlan_section(system, device)?;
    topology::put(system, &section, "ifname", base)
}

fn vlan_id(system: &mut System, _at: Place<'_>, device: &str) -> Result<Option<Raw>> {
    Ok(topology::vlan(system, device)?.filter(|vlan| vlan.vid > 0).map(|vlan| Raw::one(vlan.vid.to_string())))
}

fn set_vlan_id(system: &mut System, _at: Place<'_>, device: &str, raw: &Raw) -> Result<()> {
    let section = vlan_section(system, device)?;
    topology::put(system, &section, "vid", &raw.text())
}

fn vlan_tpid(system: &mut System, _at: Place<'_>, device: &str) -> Result<Option<Raw>> {
    Ok(topology::vlan(system, device)?.map(|vlan| Raw::one(TPIDS[usize::from(vlan.outer)].1)))
}

fn set_vlan_tpid(system: &mut System, at: Place<'_>, device: &str, raw: &Raw) -> Result<()> {
    let Some((word, _)) = TPIDS.into_iter().find(|(_, tpid)| *tpid == raw.text()) else {
        return Err(Error::bad_value(at.name, "the system has 33024 (802.1Q) and 34984 (802.1ad)"));
    };
    let section = vlan_section(system, device)?;
    topology::put(system, &section, "type", word)
}

/// The section that tells a VLAN; one that its name alone told so far gets one.
fn vlan_section(system: &mut System, device: &str) -> Result<String> {
    let Some(Vlan { base, vid, section, .. }) = topology::vlan(system, device)? else {
        return Err(Error::backend(device, "the VLAN is gone"));
    };
    if let Some(section) = section {
        return Ok(section);
    }
    topology::put_device_option(system, device, "type", "8021q")?;
    let section =
        topology::device_section(system, device)?.ok_or_else(|| Error::backend(device, "no section"))?;
    topology::put(system, &section, "ifname", &base)?;
    topology::put(system, &section, "vid", &vid.to_string())?;
    Ok(section)
}

/// The device of the innermost row.
fn row_device<'p>(at: &'p Place<'_>) -> Result<&'p str> {
    at.row().map(|row| row.addr.as_str()).ok_or_else(|| Error::unknown_name(at.name))
}
