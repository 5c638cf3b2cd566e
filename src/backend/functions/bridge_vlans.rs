//! The VLANs of a bridge and the ports in them (TR-181 `Device.Bridging.Bridge.{i}.VLAN.` and `VLANPort.`).
//!
//! A VLAN is a section `bridge-vlan`; a port is in it by an entry of its `ports`, `lan1:u*`. netifd's flags:
//! `t` tagged, `u` or nothing untagged, `*` the VLAN of what comes in untagged.

use std::rc::Rc;

use super::bridging::{Bridge, bridge, bridges, flag, networks, notes, port, port_items, wifi_ports};
use super::items::{self, Ids, Item};
use super::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "bridge_port_pvid", get: port_pvid, set: Some(set_port_pvid) },
    ValueFn { name: "bridge_port_frames", get: port_frames, set: Some(set_port_frames) },
    ValueFn { name: "bridge_port_rule", get: port_rule, set: None },
    ValueFn { name: "bridge_vlan_enable", get: vlan_enable, set: Some(set_vlan_enable) },
    ValueFn { name: "bridge_vlan_id", get: vlan_id, set: Some(set_vlan_id) },
    ValueFn { name: "bridge_vlan_port", get: vlan_port, set: Some(set_vlan_port) },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "bridge_vlans", rows: vlan_rows, add: Some(add_vlan), delete: Some(delete_vlan) },
    TableFn {
        name: "bridge_vlan_ports",
        rows: vlan_port_rows,
        add: Some(add_vlan_port),
        delete: Some(delete_vlan_port),
    },
];

/// Why the old kind of bridge takes no VLANs: a `bridge-vlan` names a `config device`.
const NO_SECTION: &str = "a bridge of the old form, in its interface, has no VLANs";
/// What TR-181 has for a port without a VLAN for what comes in untagged (PVID's default).
const NO_PVID: &str = "1";

/// A bridge-vlan section of a bridge.
pub struct BridgeVlan {
    /// Its full address.
    pub section: String,
    addr: String,
    /// How tables and memberships name it.
    id: String,
    /// Its number, 0 for what is none.
    pub vid: u16,
    /// netifd sees it.
    pub on: bool,
}

/// The bridge that a bridge-vlan section belongs to, and whether netifd sees it: `device` is put aside
/// under another name while the VLAN is off, and without it netifd skips the section.
///
/// # Errors
/// As [`System::option`].
pub fn vlan_bridge(system: &mut System, section: &str) -> Result<(String, bool)> {
    let device = topology::text(system, section, "device")?;
    if !device.is_empty() {
        return Ok((device, true));
    }
    Ok((topology::text(system, section, "rcwmp_device")?, false))
}

/// The VLANs of a bridge.
///
/// # Errors
/// As [`System::sections`].
pub fn vlans(system: &mut System, bridge: &Bridge) -> Result<Vec<Rc<BridgeVlan>>> {
    let all = system.once("bridge VLANs", ["network"], |system| {
        let mut out = Vec::new();
        for section in system.sections("network", "bridge-vlan")?.into_iter().take(4094) {
            let address = format!("network.{}", section.addr);
            let (device, on) = vlan_bridge(system, &address)?;
            let vid = topology::text(system, &address, "vlan")?.parse().unwrap_or(0);
            let vlan = BridgeVlan { section: address, addr: section.addr, id: section.id, vid, on };
            out.push((device, Rc::new(vlan)));
        }
        Ok(out)
    })?;
    Ok(all.iter().filter(|(device, _)| *device == bridge.name).map(|(_, vlan)| Rc::clone(vlan)).collect())
}

fn vlan_rows(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let bridge = bridge(system, &at)?;
    let vlans = vlans(system, &bridge)?;
    for vlan in vlans.iter().filter(|vlan| vlan.addr.starts_with('@')) {
        system.was(&vlan.id, &format!("{}.{}", bridge.name, vlan.vid));
    }
    let row =
        |vlan: &Rc<BridgeVlan>| Row { name: vlan.id.clone(), addr: vlan.addr.clone(), cols: Vec::new() };
    Ok(vlans.iter().map(row).collect())
}

fn add_vlan(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    let bridge = bridge(system, &at)?;
    if bridge.old {
        return Err(Error::exhausted(format!("adding to {}: {NO_SECTION}", at.name)));
    }
    let known = vlans(system, &bridge)?;
    let free = (1..=4094).find(|vid| known.iter().all(|vlan| vlan.vid != *vid));
    let vid = free.ok_or_else(|| Error::exhausted(format!("{}: all VLANs are there", at.name)))?;
    let name = topology::free_name(system, "network", "bvlan")?;
    let section = topology::new_section(system, "network", "bridge-vlan", Some(&name))?;
    topology::put(system, &section, "rcwmp_device", &bridge.name)?;
    topology::put(system, &section, "vlan", &vid.to_string())?;
    Ok(Row { name: name.clone(), addr: name, cols: Vec::new() })
}

fn delete_vlan(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let section = inner_section(&at)?;
    system.delete_section(&section)
}

fn inner_section(at: &Place<'_>) -> Result<String> {
    let row = at.row().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(format!("network.{}", row.addr))
}

fn vlan_enable(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = inner_section(&at)?;
    flag(vlan_bridge(system, &section)?.1)
}

fn set_vlan_enable(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = inner_section(&at)?;
    let (device, _) = vlan_bridge(system, &section)?;
    let (on, off) =
        if topology::truth(&raw.text()) { ("device", "rcwmp_device") } else { ("rcwmp_device", "device") };
    topology::put(system, &section, off, "")?;
    topology::put(system, &section, on, &device)
}

fn vlan_id(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = inner_section(&at)?;
    system.option(&format!("{section}.vlan"))
}

fn set_vlan_id(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let bridge = bridge(system, &at)?;
    let section = inner_section(&at)?;
    let text = raw.text();
    if vlans(system, &bridge)?.iter().any(|vlan| vlan.section != section && vlan.vid.to_string() == text) {
        return Err(Error::bad_value(at.name, "another VLAN of the bridge has this number"));
    }
    topology::put(system, &section, "vlan", &text)
}

// --- memberships

/// A port's membership in a VLAN: `VLAN-section/port-device/flags`, any of them still empty when it is new.
/// The device is that of the bridge's `ports`; flags are netifd's, `t`, `u` and `*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Member {
    vlan: String,
    port: String,
    flags: String,
}

impl Member {
    fn of(text: &str) -> Member {
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Member { vlan: next(), port: next(), flags: next() }
    }

    fn text(&self) -> String {
        format!("{}/{}/{}", self.vlan, self.port, self.flags)
    }

    fn entry(&self) -> String {
        if self.flags.is_empty() { self.port.clone() } else { format!("{}:{}", self.port, self.flags) }
    }

    fn untagged(&self) -> bool {
        !self.flags.contains('t')
    }
}

fn member_full(text: &str) -> bool {
    let member = Member::of(text);
    !member.vlan.is_empty() && !member.port.is_empty()
}

fn members(system: &mut System, bridge: &Bridge) -> Result<Vec<Item>> {
    let all = system.once("bridge members", ["network"], |system| {
        let bridges = bridges(system)?;
        let each = bridges.iter().map(|bridge| Ok((bridge.name.clone(), find_members(system, bridge)?)));
        each.collect()
    })?;
    Ok(all.iter().find(|(name, _)| *name == bridge.name).map(|(_, items)| items.clone()).unwrap_or_default())
}

fn find_members(system: &mut System, bridge: &Bridge) -> Result<Vec<Item>> {
    let mut live = Vec::new();
    for vlan in vlans(system, bridge)? {
        for entry in topology::words(system, &vlan.section, "ports")?.into_iter().take(items::MAX_ITEMS) {
            let (port, flags) = entry.split_once(':').unwrap_or((&entry, ""));
            let member = Member { vlan: vlan.id.clone(), port: port.to_owned(), flags: flags.to_owned() };
            live.push(member.text());
        }
    }
    let kept = notes(system, bridge, "vlan_ports")?;
    // A kept name finds its membership by VLAN and port, whatever its flags have become.
    let mut fresh = Vec::new();
    for note in kept {
        let parts: Vec<&str> = note.splitn(3, '/').collect();
        if let [id, _, text] = parts[..] {
            let old = Member::of(text);
            let now = live.iter().find(|text| {
                let now = Member::of(text);
                now.vlan == old.vlan && now.port == old.port
            });
            fresh.push(now.map_or_else(|| note.clone(), |now| format!("{id}/1/{now}")));
        } else {
            fresh.push(note);
        }
    }
    let mut items = items::rows(&live, &fresh, Ids::Text, member_full);
    for item in &mut items {
        if item.id == item.text {
            let member = Member::of(&item.text);
            item.id = format!("{}.{}", member.vlan, member.port);
        }
    }
    Ok(items)
}

fn put_members(system: &mut System, bridge: &Bridge, items: &[Item]) -> Result<()> {
    for vlan in vlans(system, bridge)? {
        let on =
            items.iter().filter(|item| item.on && member_full(&item.text)).map(|item| Member::of(&item.text));
        let entries: Vec<String> =
            on.filter(|member| member.vlan == vlan.id).map(|member| member.entry()).collect();
        if topology::words(system, &vlan.section, "ports")? != entries {
            topology::put_list(system, &vlan.section, "ports", entries)?;
        }
    }
    let natural = |item: &Item| {
        let member = Member::of(&item.text);
        item.on && member_full(&item.text) && item.id == format!("{}.{}", member.vlan, member.port)
    };
    let note = |item: &Item| format!("{}/{}/{}", item.id, u8::from(item.on), item.text);
    let kept: Vec<String> = items.iter().filter(|item| !natural(item)).map(note).collect();
    items::keep(system, &bridge.section, "vlan_ports", kept)
}

fn vlan_port_rows(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let bridge = bridge(system, &at)?;
    let row = |item: Item| Row { name: item.id.clone(), addr: item.id.clone(), cols: vec![item.id] };
    let mut out: Vec<Row> = members(system, &bridge)?.into_iter().map(row).collect();
    // Columns of a wireless one: no item, then VLAN and port.
    let vlans = vlans(system, &bridge)?;
    for (port, vids) in wifi_ports(system, &bridge)? {
        for vlan in vlans.iter().filter(|vlan| vlan.on && vids.contains(&vlan.vid)) {
            let name = format!("{}.{port}", vlan.id);
            let cols = vec![String::new(), vlan.id.clone(), port.clone()];
            out.push(Row { name: name.clone(), addr: name, cols });
        }
    }
    Ok(out)
}

fn add_vlan_port(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    let bridge = bridge(system, &at)?;
    if bridge.old {
        return Err(Error::exhausted(format!("adding to {}: {NO_SECTION}", at.name)));
    }
    let mut items = members(system, &bridge)?;
    let id = items::free_id(&items);
    items.push(Item { id: id.clone(), text: Member::default().text(), on: false });
    put_members(system, &bridge, &items)?;
    Ok(Row { name: id.clone(), addr: id.clone(), cols: vec![id] })
}

fn delete_vlan_port(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    if wireless(&at).is_some() {
        return Err(Error::not_deletable(at.name));
    }
    let (bridge, mut items, found) = member(system, &at)?;
    items.remove(found);
    put_members(system, &bridge, &items)
}

/// Whether a membership is that of a wireless network.
pub fn is_wireless(row: &Row) -> bool {
    row.cols.len() == 3
}

/// VLAN and port of a wireless network's membership, which follows from the interface that the network is of.
fn wireless<'p>(at: &'p Place<'_>) -> Option<(&'p str, &'p str)> {
    match &at.row()?.cols[..] {
        [_, vlan, port] => Some((vlan.as_str(), port.as_str())),
        _ => None,
    }
}

fn member(system: &mut System, at: &Place<'_>) -> Result<(Bridge, Vec<Item>, usize)> {
    let bridge = bridge(system, at)?;
    let items = members(system, &bridge)?;
    let id = at.row().and_then(|row| row.cols.first());
    let found = items.iter().position(|item| id.is_some_and(|id| item.id == *id));
    let found = found.ok_or_else(|| Error::unknown_name(at.name))?;
    Ok((bridge, items, found))
}

fn vlan_port(system: &mut System, at: Place<'_>, field: &str) -> Result<Option<Raw>> {
    if let Some((vlan, port)) = wireless(&at) {
        let bridge = bridge(system, &at)?;
        return match field {
            "vlan" => Ok(Some(Raw::one(vlan))),
            "enable" | "untagged" => flag(true),
            _ => {
                let all = port_items(system, &bridge)?;
                let port = all.into_iter().find(|item| item.text == port).map(|item| item.id);
                Ok(port.map(|id| Raw::One(format!("{}/{id}", bridge.name))))
            }
        };
    }
    let (bridge, items, found) = member(system, &at)?;
    let member = Member::of(&items[found].text);
    match field {
        "enable" => flag(items[found].on),
        "untagged" => flag(member.untagged()),
        "vlan" => {
            let vlan = vlans(system, &bridge)?.into_iter().find(|vlan| vlan.id == member.vlan);
            Ok(Some(Raw::one(vlan.map(|vlan| vlan.id.clone()).unwrap_or_default())))
        }
        _ if member.port.is_empty() => Ok(Some(Raw::one(""))),
        _ => {
            let port = port_items(system, &bridge)?.into_iter().find(|item| item.text == member.port);
            let id = port.map_or(member.port, |item| item.id);
            Ok(Some(Raw::one(format!("{}/{id}", bridge.name))))
        }
    }
}

fn set_vlan_port(system: &mut System, at: Place<'_>, field: &str, raw: &Raw) -> Result<()> {
    if wireless(&at).is_some() {
        return Err(Error::bad_value(at.name, "a wireless network is in the VLAN of its IP interface"));
    }
    let (bridge, mut items, found) = member(system, &at)?;
    let mut member = Member::of(&items[found].text);
    let text = raw.text();
    match field {
        "enable" => items[found].on = topology::truth(&text),
        "untagged" => {
            let primary = if member.flags.contains('*') { "*" } else { "" };
            let tag = if topology::truth(&text) { "u" } else { "t" };
            member.flags = format!("{tag}{primary}");
        }
        "vlan" => {
            let known = vlans(system, &bridge)?;
            let vlan = known.iter().find(|vlan| vlan.id == text);
            member.vlan = match vlan {
                Some(vlan) => vlan.id.clone(),
                None if text.is_empty() => String::new(),
                None => return Err(Error::bad_value(at.name, "not a VLAN of this bridge")),
            };
        }
        _ if text.is_empty() => member.port.clear(),
        _ => {
            let prefix = format!("{}/", bridge.name);
            let ports = port_items(system, &bridge)?;
            let port = text.strip_prefix(&prefix).and_then(|id| ports.into_iter().find(|item| item.id == id));
            let port = port.filter(|item| topology::is_device_name(&item.text)).map(|item| item.text);
            member.port = port.ok_or_else(|| Error::bad_value(at.name, "not a wired port of this bridge"))?;
        }
    }
    let twice = items.iter().enumerate().any(|(other, item)| {
        let theirs = Member::of(&item.text);
        other != found
            && member_full(&member.text())
            && theirs.vlan == member.vlan
            && theirs.port == member.port
    });
    if twice {
        return Err(Error::bad_value(at.name, "the port is in this VLAN already"));
    }
    items[found].text = member.text();
    put_members(system, &bridge, &items)
}

/// The VLAN of a port's untagged frames: the one marked `*`, else the first where it is untagged, as netifd does.
fn port_pvid(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (bridge, items, found) = port(system, &at)?;
    let Some(found) = found else { return Ok(None) };
    let wireless = wifi_ports(system, &bridge)?.into_iter().find(|(id, _)| *id == items[found].text);
    if let Some((_, vids)) = wireless {
        return Ok(vids.first().map(|vid| Raw::One(vid.to_string())));
    }
    let vlans = vlans(system, &bridge)?;
    let mine: Vec<Member> = members(system, &bridge)?
        .iter()
        .filter(|item| item.on)
        .map(|item| Member::of(&item.text))
        .filter(|member| !member.port.is_empty() && member.port == items[found].text)
        .collect();
    let primary =
        mine.iter().find(|member| member.flags.contains('*')).or_else(|| mine.iter().find(|m| m.untagged()));
    let vlan = primary.and_then(|member| vlans.iter().find(|vlan| vlan.id == member.vlan));
    Ok(vlan.map(|vlan| Raw::One(vlan.vid.to_string())))
}

/// How the kernel's bridge treats what comes in by a port: `filter` whether it looks at VLANs, `type` TR-181's word for
/// the port.
fn port_rule(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let bridge = bridge(system, &at)?;
    let told = topology::text(system, &bridge.section, "vlan_filtering")?;
    let known = vlans(system, &bridge)?;
    let filters = topology::truth(&told) || !known.is_empty();
    Ok(match what {
        "filter" => return flag(filters),
        _ => Some(Raw::one(if filters { "CustomerVLANPort" } else { "VLANUnawarePort" })),
    })
}

const ALL: &str = "AdmitAll";
const TAGGED: &str = "AdmitOnlyVLANTagged";

/// Which frames a port takes: without a VLAN for what has no tag netifd leaves it none.
fn port_frames(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let bridge = bridge(system, &at)?;
    let drops = !vlans(system, &bridge)?.is_empty() && port_pvid(system, at, "")?.is_none();
    let member = port(system, &at)?.2.is_some();
    Ok(Some(Raw::one(if drops && member { TAGGED } else { ALL })))
}

/// A port that takes only what is tagged has the standard's PVID, 1, to no effect; one that is to take all frames gets
/// it in earnest, unless the same request tells it another. The mark of a VLAN that it sends with tags can go, too.
fn set_port_frames(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let wanted = raw.text();
    if port_frames(system, at, argument)?.is_some_and(|shown| shown.text() == wanted) {
        return Ok(());
    }
    let (name, rows) = (at.name.to_owned(), at.rows.to_vec());
    let refused = move |why: &str| Error::bad_in_request(&name, why);
    match wanted.as_str() {
        ALL => {
            system.later.push(Box::new(move |system| {
                let at = Place { name: "", rows: &rows };
                if port_pvid(system, at, "")?.is_some() || give_pvid(system, &at, NO_PVID)? {
                    return Ok(());
                }
                Err(refused("its PVID is that of no VLAN that the port is in"))
            }));
            Ok(())
        }
        // The same request may take it out of the VLAN without tags.
        TAGGED => {
            system.later.push(Box::new(move |system| {
                match only_tagged(system, &Place { name: "", rows: &rows })? {
                    true => Ok(()),
                    false => Err(refused("the port is in a VLAN without tags, or in none")),
                }
            }));
            Ok(())
        }
        _ => Err(Error::bad_value(at.name, "the kernel's bridge has no such rule")),
    }
}

/// Takes the mark of a VLAN for untagged frames from a port; `false` when it is in one without tags, or in none.
fn only_tagged(system: &mut System, at: &Place<'_>) -> Result<bool> {
    let (bridge, items, found) = port(system, at)?;
    let device = found.map(|found| items[found].text.clone()).unwrap_or_default();
    let mut all = members(system, &bridge)?;
    let (mut tagged, mut untagged) = (false, false);
    for item in all.iter_mut().filter(|item| item.on) {
        let mut member = Member::of(&item.text);
        if member.port == device && !device.is_empty() {
            tagged |= !member.untagged();
            untagged |= member.untagged();
            member.flags = member.flags.replace('*', "");
            item.text = member.text();
        }
    }
    let fits = tagged && !untagged;
    if fits {
        put_members(system, &bridge, &all)?;
    }
    Ok(fits)
}

fn set_port_pvid(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    // A port without a VLAN for untagged frames shows the standard's default, and is not given one by it.
    let shown = port_pvid(system, at, argument)?.unwrap_or_else(|| Raw::one(NO_PVID));
    if shown.text() == raw.text() {
        return Ok(());
    }
    let (bridge, items, found) = port(system, &at)?;
    let port = found.map(|found| items[found].text.clone()).filter(|text| !text.is_empty());
    let port = port.ok_or_else(|| Error::bad_value(at.name, "the port stands on nothing"))?;
    let wanted = raw.text();
    let wireless = system.sections("wireless", "wifi-iface")?.into_iter().find(|one| one.id == port);
    if let Some(section) = wireless {
        return move_wireless(system, &at, &bridge, &section.addr, &wanted);
    }
    if give_pvid(system, &at, &wanted)? {
        return Ok(());
    }
    // The same request may put the port into that VLAN.
    let (name, rows) = (at.name.to_owned(), at.rows.to_vec());
    system.later.push(Box::new(move |system| {
        if give_pvid(system, &Place { name: "", rows: &rows }, &wanted)? {
            return Ok(());
        }
        let why = "the port is not in a VLAN of this number";
        Err(Error::bad_in_request(&name, why))
    }));
    Ok(())
}

/// Marks a VLAN as that of a wired port's untagged frames; `false` when the port is not in it.
fn give_pvid(system: &mut System, at: &Place<'_>, vid: &str) -> Result<bool> {
    let (bridge, items, found) = port(system, at)?;
    let port = found.map(|found| items[found].text.clone()).unwrap_or_default();
    let known = vlans(system, &bridge)?;
    let target = known.iter().find(|vlan| vlan.vid.to_string() == vid).map(|vlan| vlan.id.clone());
    let mut all = members(system, &bridge)?;
    let mut done = false;
    for item in &mut all {
        let mut member = Member::of(&item.text);
        if port.is_empty() || member.port != port {
            continue;
        }
        let tag = if member.untagged() { "u" } else { "t" };
        let primary = target.as_deref() == Some(member.vlan.as_str());
        done |= primary;
        member.flags = format!("{tag}{}", if primary { "*" } else { "" });
        item.text = member.text();
    }
    if done {
        put_members(system, &bridge, &all)?;
    }
    Ok(done)
}

/// Gives a wireless network to the IP interface in a VLAN of the bridge, instead of those it is of there.
fn move_wireless(system: &mut System, at: &Place<'_>, bridge: &Bridge, addr: &str, vid: &str) -> Result<()> {
    let all = networks(system, bridge)?;
    let found = all.iter().find(|(_, of)| of.is_some_and(|of| of.to_string() == vid));
    let Some((network, _)) = found else {
        return Err(Error::bad_value(at.name, "no IP interface is in a VLAN of this number"));
    };
    let section = format!("wireless.{addr}");
    let mut words = topology::words(system, &section, "network")?;
    words.retain(|word| all.iter().all(|(name, _)| name != word));
    words.insert(0, network.clone());
    topology::put_list(system, &section, "network", words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships() {
        for (text, entry, untagged) in [
            ("v/lan1/", "lan1", true),
            ("v/lan1/t*", "lan1:t*", false),
            ("v/lan1/u*", "lan1:u*", true),
            ("//", "", true),
            ("", "", true),
        ] {
            let member = Member::of(text);
            assert_eq!((member.entry().as_str(), member.untagged()), (entry, untagged), "{text:?}");
        }
        assert!(member_full("v/lan1/") && !member_full("/lan1/") && !member_full("v//t"));
    }
}
