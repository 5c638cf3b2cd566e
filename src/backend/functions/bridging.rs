//! Bridges, their ports and VLANs (TR-181 `Device.Bridging.`).
//!
//! A port is an entry of the bridge's `ports`, or a wifi-iface whose network lies on the bridge, or the
//! management port, which is the bridge's own device. A port or VLAN membership that is off, or not told
//! completely yet, is kept beside (see [`super::items`]).

use std::rc::Rc;

use super::bridge_vlans::{vlan_bridge, vlans};
use super::items::{self, Ids, Item};
use super::topology::Interface;
use super::{netifd, topology};
use crate::backend::{Section, System, TableFn, ValueFn, marks};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};
use crate::ubus::blobmsg::Table;

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "bridge_enable", get: enable, set: Some(set_enable) },
    ValueFn { name: "bridge_status", get: status, set: None },
    ValueFn { name: "bridge_standard", get: standard, set: Some(set_standard) },
    ValueFn { name: "bridge_stp_status", get: stp_status, set: None },
    ValueFn { name: "bridge_timer", get: timer, set: Some(set_timer) },
    ValueFn { name: "bridge_port_enable", get: port_enable, set: Some(set_port_enable) },
    ValueFn { name: "bridge_port_name", get: port_name, set: None },
    ValueFn { name: "bridge_port_lower", get: port_lower, set: Some(set_port_lower) },
    ValueFn { name: "bridge_port_state", get: port_state, set: None },
    ValueFn { name: "bridge_port_management", get: port_management, set: None },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "bridges", rows: bridge_rows, add: Some(add_bridge), delete: Some(delete_bridge) },
    TableFn { name: "bridge_ports", rows: port_rows, add: Some(add_port), delete: Some(delete_port) },
];

/// A bridge and the section that makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Its network device.
    pub name: String,
    /// The full address of its section.
    pub section: String,
    /// The section is an interface of `type bridge` (until 19.07), not a device.
    pub old: bool,
}

impl Bridge {
    fn ports_option(&self) -> &'static str {
        if self.old { "ifname" } else { "ports" }
    }
}

/// All bridges of the configuration.
///
/// # Errors
/// As [`System::sections`].
pub fn bridges(system: &mut System) -> Result<Rc<[Bridge]>> {
    system.once("bridges", ["network"], all_bridges)
}

fn all_bridges(system: &mut System) -> Result<Vec<Bridge>> {
    let mut out: Vec<Bridge> = Vec::new();
    for section in system.sections("network", "device")? {
        let section = format!("network.{}", section.addr);
        if topology::is_old_bridge(system, &section)? {
            out.push(Bridge { name: topology::text(system, &section, "name")?, section, old: false });
        }
    }
    for section in system.sections("network", "interface")? {
        let Some(name) = section.name else { continue };
        let section = format!("network.{name}");
        if topology::is_old_bridge(system, &section)? {
            out.push(Bridge { name: format!("br-{name}"), section, old: true });
        }
    }
    // netifd lets the last section of a name win.
    let all = out.clone();
    let mut at = 0;
    out.retain(|bridge| {
        at += 1;
        topology::is_device_name(&bridge.name) && all[at..].iter().all(|later| later.name != bridge.name)
    });
    Ok(out)
}

/// The devices that the configuration puts into a bridge.
///
/// # Errors
/// As [`System::option`].
pub fn live_ports(system: &mut System, bridge: &Bridge) -> Result<Vec<String>> {
    let mut ports = topology::words(system, &bridge.section, bridge.ports_option())?;
    ports.truncate(items::MAX_ITEMS);
    Ok(ports)
}

fn bridge_rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let row = |bridge: &Bridge| {
        let section = bridge.section.strip_prefix("network.").unwrap_or(&bridge.section).to_owned();
        Row { name: bridge.name.clone(), addr: bridge.name.clone(), cols: vec![section] }
    };
    Ok(bridges(system)?.iter().map(row).collect())
}

fn add_bridge(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    let mut taken: Vec<String> = bridges(system)?.iter().map(|bridge| bridge.name.clone()).collect();
    for section in system.sections("network", "device")? {
        taken.push(topology::text(system, &format!("network.{}", section.addr), "name")?);
    }
    // An interface may still name a bridge that is gone.
    taken.extend(topology::interfaces(system)?.into_iter().map(|interface| interface.device));
    taken.extend(system.names("/sys/class/net"));
    let name = topology::numbered("br", |name| taken.iter().any(|other| other == name));
    let section = topology::new_section(system, "network", "device", None)?;
    for (option, value) in [("name", name.as_str()), ("type", "bridge"), ("enabled", "0")] {
        topology::put(system, &section, option, value)?;
    }
    let section = section.strip_prefix("network.").unwrap_or(&section).to_owned();
    Ok(Row { name: name.clone(), addr: name, cols: vec![section] })
}

fn delete_bridge(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let bridge = bridge(system, &at)?;
    // From the end, as anonymous sections are addressed by their place.
    for section in system.sections("network", "bridge-vlan")?.into_iter().rev() {
        let section = format!("network.{}", section.addr);
        if vlan_bridge(system, &section)?.0 == bridge.name {
            system.delete_section(&section)?;
        }
    }
    if bridge.old {
        // The interface stays, on what was the bridge's first port.
        let first = live_ports(system, &bridge)?.into_iter().next().unwrap_or_default();
        topology::put(system, &bridge.section, "type", "")?;
        topology::put(system, &bridge.section, "ifname", &first)?;
        return items::keep(system, &bridge.section, "ifname", Vec::new());
    }
    // Deleting sections above may have moved nothing of type device, but the address is read anew all the same.
    let section = topology::device_section(system, &bridge.name)?.unwrap_or(bridge.section);
    system.delete_section(&section)
}

/// The bridge of the outermost row.
///
/// # Errors
/// [`Error::unknown_name`] when it is gone.
pub fn bridge(system: &mut System, at: &Place<'_>) -> Result<Bridge> {
    let name = at.rows.first().map(|instance| instance.row.name.clone()).unwrap_or_default();
    let found = bridges(system)?.iter().find(|bridge| bridge.name == name).cloned();
    found.ok_or_else(|| Error::unknown_name(at.name))
}

/// A boolean's raw value.
///
/// # Errors
/// None; the result saves a line at each use.
pub fn flag(on: bool) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(if on { "1" } else { "0" })))
}

fn is_enabled(system: &mut System, bridge: &Bridge) -> Result<bool> {
    if bridge.old {
        return Ok(topology::text(system, &bridge.section, "disabled")? != "1");
    }
    let enabled = topology::text(system, &bridge.section, "enabled")?;
    Ok(enabled.is_empty() || topology::truth(&enabled))
}

fn enable(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let bridge = bridge(system, &at)?;
    flag(is_enabled(system, &bridge)?)
}

fn set_enable(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let bridge = bridge(system, &at)?;
    let on = topology::truth(&raw.text());
    if bridge.old {
        return topology::put(system, &bridge.section, "disabled", if on { "" } else { "1" });
    }
    topology::put(system, &bridge.section, "enabled", if on { "1" } else { "0" })
}

fn status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let bridge = bridge(system, &at)?;
    let told = |system: &mut System| {
        let is_bridge = |table: &Table| (table.text("type")? == "bridge").then(|| table.flag("present"));
        netifd::device(system, &bridge.name, is_bridge) == Some(true)
    };
    let there = topology::in_sysfs(system, &bridge.name, "bridge")
        || !topology::in_sysfs(system, &bridge.name, "") && told(system);
    Ok(Some(Raw::one(match (is_enabled(system, &bridge)?, there) {
        (false, _) => "Disabled",
        (true, true) => "Enabled",
        (true, false) => "Error",
    })))
}

fn standard(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let bridge = bridge(system, &at)?;
    let word = topology::text(system, &bridge.section, "vlan_filtering")?;
    // Any bridge-vlan section switches filtering on by itself.
    let filtering = topology::truth(&word) || !vlans(system, &bridge)?.is_empty();
    let revision = topology::text(system, &bridge.section, "rcwmp_standard")?;
    Ok(Some(Raw::one(match (filtering, revision.as_str()) {
        (false, _) => "802.1D-2004",
        (true, "802.1Q-2005") => "802.1Q-2005",
        (true, _) => "802.1Q-2011",
    })))
}

fn set_standard(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let bridge = bridge(system, &at)?;
    let word = raw.text();
    if word == "802.1D-2004" && !vlans(system, &bridge)?.is_empty() {
        return Err(Error::bad_value(at.name, "the bridge has VLANs"));
    }
    if word != "802.1D-2004" && bridge.old {
        return Err(Error::bad_value(at.name, "this release's bridges do not filter VLANs"));
    }
    topology::put(system, &bridge.section, "rcwmp_standard", if word == "802.1Q-2005" { &word } else { "" })?;
    topology::put(system, &bridge.section, "vlan_filtering", if word == "802.1D-2004" { "" } else { "1" })
}

fn stp_status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let bridge = bridge(system, &at)?;
    let running = topology::sysfs(system, &bridge.name, "bridge/stp_state").is_some_and(|state| state != "0");
    Ok(Some(Raw::one(if running { "Enabled" } else { "Disabled" })))
}

/// UCI has seconds and the kernel hundredths; TR-181 hundredths, but seconds for the forwarding delay. Without STP the
/// kernel takes less than IEEE 802.1D has, as the two seconds of many configurations: shown is what is nearest.
fn timer(system: &mut System, at: Place<'_>, option: &str) -> Result<Option<Raw>> {
    let bridge = bridge(system, &at)?;
    let told = topology::text(system, &bridge.section, option)?.parse::<u32>().ok();
    let seconds = option == "forward_delay";
    let value = match told {
        Some(told) if seconds => Some(told),
        Some(told) => told.checked_mul(100),
        None => {
            let file = format!("bridge/{option}");
            let running =
                topology::sysfs(system, &bridge.name, &file).and_then(|text| text.parse::<u32>().ok());
            running.map(|running| if seconds { running / 100 } else { running })
        }
    };
    let (least, most) = match option {
        "forward_delay" => (4, 30),
        "hello_time" => (100, 1000),
        _ => (600, 4000),
    };
    Ok(value.map(|value| Raw::one(value.clamp(least, most).to_string())))
}

fn set_timer(system: &mut System, at: Place<'_>, option: &str, raw: &Raw) -> Result<()> {
    let bridge = bridge(system, &at)?;
    let value: u32 = raw.text().parse().map_err(|_| Error::bad_value(at.name, "not a number"))?;
    let seconds = match (option == "forward_delay", value % 100) {
        (true, _) => value,
        (false, 0) => value / 100,
        (false, _) => return Err(Error::bad_value(at.name, "the system takes whole seconds only")),
    };
    topology::put(system, &bridge.section, option, &seconds.to_string())
}

// --- ports

/// The interfaces on a bridge, each with the VLAN it is in where its device is one of the bridge's (`br-lan.20`), to which
/// netifd adds the devices of wireless networks without a tag.
///
/// # Errors
/// As [`System::sections`].
pub fn networks(system: &mut System, bridge: &Bridge) -> Result<Vec<(String, Option<u16>)>> {
    let vids: Vec<u16> = vlans(system, bridge)?.iter().filter(|vlan| vlan.on).map(|vlan| vlan.vid).collect();
    let place = |interface: &Interface| {
        let rest = interface.device.strip_prefix(&bridge.name)?;
        if rest.is_empty() {
            return Some((interface.name.clone(), None));
        }
        let vid = rest.strip_prefix('.')?.parse().ok().filter(|vid| vids.contains(vid))?;
        Some((interface.name.clone(), Some(vid)))
    };
    Ok(topology::known_interfaces(system)?.iter().filter_map(place).collect())
}

/// The access points and stations whose network lies on a bridge, by the stable names of their sections, each with the
/// VLANs that puts it in.
///
/// # Errors
/// As [`System::sections`].
pub fn wifi_ports(system: &mut System, bridge: &Bridge) -> Result<Vec<(String, Vec<u16>)>> {
    let all = system.once("wireless ports", ["network", "wireless"], |system| {
        let mut out = Vec::new();
        for bridge in bridges(system)?.iter() {
            let networks = networks(system, bridge)?;
            for section in system.sections("wireless", "wifi-iface")? {
                let words = topology::words(system, &format!("wireless.{}", section.addr), "network")?;
                let mut on = networks.iter().filter(|(name, _)| words.contains(name)).peekable();
                if on.peek().is_some() {
                    let vids: Vec<u16> = on.filter_map(|(_, vid)| *vid).collect();
                    out.push((bridge.name.clone(), section.id, vids));
                }
            }
        }
        Ok(out)
    })?;
    let own = all.iter().filter(|(name, ..)| *name == bridge.name);
    Ok(own.map(|(_, id, vids)| (id.clone(), vids.clone())).collect())
}

fn full(text: &str) -> bool {
    !text.is_empty()
}

/// The ports of a bridge but the management port.
///
/// # Errors
/// As [`System::sections`].
pub fn port_items(system: &mut System, bridge: &Bridge) -> Result<Vec<Item>> {
    let all = system.once("bridge ports", ["network", "wireless"], |system| {
        let mut out = Vec::new();
        for bridge in bridges(system)?.iter() {
            let mut live = live_ports(system, bridge)?;
            live.extend(wifi_ports(system, bridge)?.into_iter().map(|(id, _)| id));
            let kept = notes(system, bridge, bridge.ports_option())?;
            out.push((bridge.name.clone(), items::rows(&live, &kept, Ids::Text, full)));
        }
        Ok(out)
    })?;
    Ok(all.iter().find(|(name, _)| *name == bridge.name).map(|(_, items)| items.clone()).unwrap_or_default())
}

/// What is kept beside a list of a bridge. Notes of earlier versions name sections by their place.
///
/// # Errors
/// As [`System::option`].
pub fn notes(system: &mut System, bridge: &Bridge, option: &str) -> Result<Vec<String>> {
    let notes = items::kept(system, &bridge.section, option)?;
    Ok(notes.iter().map(|note| marks::from_place(note)).collect())
}

fn put_ports(system: &mut System, at: &Place<'_>, bridge: &Bridge, items: &[Item]) -> Result<()> {
    let (live, kept) = items::split(items, Ids::Text, full);
    let wifi = system.sections("wireless", "wifi-iface")?;
    let (wireless, wired): (Vec<String>, Vec<String>) =
        live.into_iter().partition(|text| wifi.iter().any(|one| one.id == *text));
    let networks: Vec<String> = networks(system, bridge)?.into_iter().map(|(name, _)| name).collect();
    let before: Vec<String> = wifi_ports(system, bridge)?.into_iter().map(|(id, _)| id).collect();
    for Section { addr, id, .. } in &wifi {
        let address = format!("wireless.{addr}");
        match (before.contains(id), wireless.contains(id)) {
            (true, false) => {
                let mut words = topology::words(system, &address, "network")?;
                words.retain(|word| !networks.contains(word));
                topology::put_list(system, &address, "network", words)?;
            }
            (false, true) => {
                let network = networks.first().ok_or_else(|| {
                    Error::bad_value(at.name, "a wireless network needs an IP interface on the bridge")
                })?;
                topology::put(system, &address, "network", network)?;
            }
            _ => {}
        }
    }
    if bridge.old {
        // Until 19.07 the ports are one text.
        topology::put(system, &bridge.section, "ifname", &wired.join(" "))?;
    } else {
        topology::put_list(system, &bridge.section, "ports", wired)?;
    }
    items::keep(system, &bridge.section, bridge.ports_option(), kept)
}

/// The device of a port: of a wifi-iface the one that runs for it, empty while there is none.
fn port_device(system: &mut System, text: &str) -> Result<String> {
    match wireless(system, text)? {
        Some(addr) => Ok(super::wifi::device(system, &addr)?.unwrap_or_default()),
        None => Ok(text.to_owned()),
    }
}

/// The address of the wifi-iface that a port is, if it is one.
fn wireless(system: &mut System, text: &str) -> Result<Option<String>> {
    let found = system.sections("wireless", "wifi-iface")?.into_iter().find(|one| one.id == text);
    Ok(found.map(|section| section.addr))
}

fn port_rows(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let bridge = bridge(system, &at)?;
    let mut out = vec![Row { name: bridge.name.clone(), addr: bridge.name.clone(), cols: Vec::new() }];
    for item in port_items(system, &bridge)? {
        let device = port_device(system, &item.text)?;
        out.push(Row { name: format!("{}/{}", bridge.name, item.id), addr: device, cols: vec![item.id] });
    }
    Ok(out)
}

/// Whether a port is the bridge's own device, its management port.
pub fn is_management(row: &Row) -> bool {
    row.cols.is_empty()
}

fn add_port(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    let bridge = bridge(system, &at)?;
    let mut items = port_items(system, &bridge)?;
    let id = items::free_id(&items);
    items.push(Item { id: id.clone(), text: String::new(), on: false });
    put_ports(system, &at, &bridge, &items)?;
    Ok(Row { name: format!("{}/{id}", bridge.name), addr: String::new(), cols: vec![id] })
}

fn delete_port(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let (bridge, mut items, found) = port(system, &at)?;
    let Some(found) = found else { return Err(Error::not_deletable(at.name)) };
    items.remove(found);
    put_ports(system, &at, &bridge, &items)
}

/// The bridge, its ports, and which of them the innermost row is; `None` for the management port.
///
/// # Errors
/// [`Error::unknown_name`] when bridge or port are gone.
pub fn port(system: &mut System, at: &Place<'_>) -> Result<(Bridge, Vec<Item>, Option<usize>)> {
    let bridge = bridge(system, at)?;
    let items = port_items(system, &bridge)?;
    let Some(id) = at.row().and_then(|row| row.cols.first()) else { return Ok((bridge, items, None)) };
    let found = items.iter().position(|item| item.id == *id);
    if found.is_none() {
        return Err(Error::unknown_name(at.name));
    }
    Ok((bridge, items, found))
}

fn port_enable(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (bridge, items, found) = port(system, &at)?;
    match found {
        Some(found) => flag(items[found].on),
        None => flag(is_enabled(system, &bridge)?),
    }
}

fn set_port_enable(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let (bridge, mut items, found) = port(system, &at)?;
    let Some(found) = found else { return set_enable(system, at, argument, raw) };
    items[found].on = topology::truth(&raw.text());
    put_ports(system, &at, &bridge, &items)
}

fn port_name(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (bridge, items, found) = port(system, &at)?;
    let Some(found) = found else { return Ok(Some(Raw::one(bridge.name))) };
    let text = &items[found].text;
    // A network that does not run has no device yet, and is named as WiFi.SSID names it: by its section.
    Ok(Some(Raw::one(match wireless(system, text)? {
        Some(addr) => super::wifi::device(system, &addr)?.unwrap_or(addr),
        None => text.clone(),
    })))
}

fn port_lower(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (bridge, items, found) = port(system, &at)?;
    Ok(Some(match found {
        Some(found) => Raw::one(items[found].text.clone()),
        // The management port stands on all the others (TR-181 Annex III.1).
        None => Raw::Many(items.iter().map(|item| format!("{}/{}", bridge.name, item.id)).collect()),
    }))
}

fn set_port_lower(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let (bridge, mut items, found) = port(system, &at)?;
    let given = raw.items();
    let Some(found) = found else {
        let mut all: Vec<String> = items.iter().map(|item| format!("{}/{}", bridge.name, item.id)).collect();
        let mut given: Vec<String> = given.into_iter().map(str::to_owned).collect();
        all.sort();
        given.sort();
        return if all == given {
            Ok(())
        } else {
            Err(Error::bad_value(at.name, "the management port stands on all other ports of its bridge"))
        };
    };
    if given.len() > 1 {
        return Err(Error::bad_value(at.name, "a port stands on one interface"));
    }
    let text = given.first().copied().unwrap_or_default();
    if text.contains('/') || text == bridge.name {
        return Err(Error::bad_value(at.name, "a port cannot stand on a port of a bridge"));
    }
    if items.iter().enumerate().any(|(other, item)| other != found && full(text) && item.text == text) {
        return Err(Error::bad_value(at.name, "another port of the bridge stands on it already"));
    }
    items[found].text = text.to_owned();
    put_ports(system, &at, &bridge, &items)
}

/// The kernel's number. The management port has none of its own: what reaches the bridge reaches it.
fn port_state(system: &mut System, at: Place<'_>, device: &str) -> Result<Option<Raw>> {
    if at.row().is_some_and(|row| row.cols.is_empty()) {
        return Ok((topology::status(system, device) == Some("Up")).then(|| Raw::one("3")));
    }
    Ok(topology::sysfs(system, device, "brport/state").map(Raw::one))
}

fn port_management(_system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    flag(at.row().is_some_and(|row| row.cols.is_empty()))
}
