//! SSIDs, access points and end points (TR-181 `Device.WiFi.`), all of them sections `wifi-iface`.
//!
//! One section is an SSID and its access point at once, and both rows bear its name. TR-181 makes the two
//! one after the other: AddObject of an SSID makes a section whose other half is not there yet
//! (`option rcwmp_half 'ssid'`), and AddObject of an access point gives it that half, or makes a section
//! that waits for its SSID (`'ap'`). Until both halves are there and both are on, the section is `disabled`;
//! `rcwmp_off` remembers which one is off when only one is.

use std::rc::Rc;

use super::wifi_state::{self, Network};
use super::{radio, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// The most wifi-ifaces that are looked at.
const MAX_IFACES: usize = 256;

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "wifi_enable", get: enable, set: Some(set_enable) },
    ValueFn { name: "wifi_status", get: status, set: None },
    ValueFn { name: "wifi_profile_status", get: profile_status, set: None },
    ValueFn { name: "wifi_name", get: name, set: None },
    ValueFn { name: "wifi_radio", get: radio_reference, set: Some(set_radio_reference) },
    ValueFn { name: "wifi_upstream", get: upstream, set: None },
    ValueFn { name: "wifi_mac", get: mac, set: None },
    ValueFn { name: "wifi_bssid", get: bssid, set: None },
    ValueFn { name: "wifi_mld", get: mld, set: None },
    ValueFn { name: "wifi_ssid_reference", get: ssid_reference, set: Some(set_ssid_reference) },
    ValueFn { name: "wifi_mac_control", get: mac_control, set: Some(set_mac_control) },
    ValueFn { name: "wifi_allowed", get: allowed, set: Some(set_allowed) },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "wifi_ssids", rows: ssid_rows, add: Some(add_ssid), delete: Some(delete_ssid) },
    TableFn { name: "wifi_aps", rows: ap_rows, add: Some(add_ap), delete: Some(delete_ap) },
    TableFn { name: "wifi_endpoints", rows: endpoint_rows, add: None, delete: None },
    TableFn { name: "wifi_profile", rows: profile_rows, add: None, delete: None },
];

/// What a wifi-iface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// An access point.
    Ap,
    /// A client of another access point.
    Sta,
    /// Mesh, ad hoc, monitor: TR-181 has no object for it.
    Other,
}

/// A wifi-iface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iface {
    /// How addresses name the section.
    pub addr: String,
    /// How tables name it.
    pub id: String,
    /// What it is.
    pub mode: Mode,
    /// The section of its radio; empty when it has none yet.
    pub radio: String,
    /// `option disabled`.
    pub disabled: bool,
    /// The only half that is there, `ssid` or `ap`; empty: both.
    pub half: String,
}

impl Iface {
    fn section(&self) -> String {
        format!("wireless.{}", self.addr)
    }
}

/// All wifi-ifaces in order.
///
/// # Errors
/// As [`System::sections`].
pub fn ifaces(system: &mut System) -> Result<Vec<Iface>> {
    Ok(known_ifaces(system)?.to_vec())
}

/// The same, shared.
fn known_ifaces(system: &mut System) -> Result<Rc<[Iface]>> {
    system.once("wifi-ifaces", ["wireless"], all_ifaces)
}

fn all_ifaces(system: &mut System) -> Result<Vec<Iface>> {
    let mut out = Vec::new();
    for section in system.sections("wireless", "wifi-iface")?.into_iter().take(MAX_IFACES) {
        let address = format!("wireless.{}", section.addr);
        let mode = match topology::text(system, &address, "mode")?.as_str() {
            "" | "ap" => Mode::Ap,
            "sta" => Mode::Sta,
            _ => Mode::Other,
        };
        let radio = topology::words(system, &address, "device")?.into_iter().next().unwrap_or_default();
        let disabled = topology::truth(&topology::text(system, &address, "disabled")?);
        let half = topology::text(system, &address, "rcwmp_half")?;
        out.push(Iface { addr: section.addr, id: section.id, mode, radio, disabled, half });
    }
    Ok(out)
}

/// The network device that runs for a wifi-iface: the one that netifd tells; without it the one its `ifname`
/// names, else the one that netifd's rule gives to its place among the running ones of its radio. `None` when
/// it does not run, or no such device is there.
///
/// # Errors
/// As [`System::sections`].
pub fn device(system: &mut System, addr: &str) -> Result<Option<String>> {
    let all = known_ifaces(system)?;
    let Some(me) = all.iter().find(|iface| iface.addr == addr) else { return Ok(None) };
    if me.disabled {
        return Ok(None);
    }
    match wifi_state::network(system, addr, &me.radio) {
        Network::On(device) => return Ok(Some(device)),
        Network::Off => return Ok(None),
        Network::Unknown => {}
    }
    let told = topology::text(system, &me.section(), "ifname")?;
    if !told.is_empty() {
        return Ok(Some(told).filter(|told| topology::in_sysfs(system, told, "phy80211")));
    }
    let Some(phy) = radio::phy(system, &me.radio)? else { return Ok(None) };
    let running = || all.iter().filter(|other| other.radio == me.radio && !other.disabled);
    let place = running().take_while(|other| other.addr != addr).count();
    let among =
        running().filter(|other| other.mode == me.mode).take_while(|other| other.addr != addr).count();
    let part = topology::text(system, &format!("wireless.{}", me.radio), "radio")?;
    for name in candidates(&phy, &part, me.mode, among, place) {
        if topology::in_sysfs(system, &name, "phy80211")
            && radio::phy_of(system, &name).as_deref() == Some(&phy)
        {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The names that releases give: `phy0-ap1` (23.05), with the radio of a shared wiphy `phy0.1-ap0` (24.10),
/// `wlan0`, `wlan0-1` (before).
fn candidates(phy: &str, part: &str, mode: Mode, among: usize, place: usize) -> Vec<String> {
    let kind = if mode == Mode::Sta { "sta" } else { "ap" };
    let number = phy.trim_start_matches(|c: char| !c.is_ascii_digit());
    let old = if place == 0 { format!("wlan{number}") } else { format!("wlan{number}-{place}") };
    let plain = format!("{phy}-{kind}{among}");
    if part.is_empty() { vec![plain, old] } else { vec![format!("{phy}.{part}-{kind}{among}"), plain] }
}

fn flag(on: bool) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(if on { "1" } else { "0" })))
}

/// The section of the innermost row.
pub fn section(at: &Place<'_>) -> Result<String> {
    let row = at.row().ok_or_else(|| Error::UnknownName(at.name.to_owned()))?;
    Ok(format!("wireless.{}", row.addr))
}

fn iface(system: &mut System, at: &Place<'_>) -> Result<Iface> {
    let addr = at.row().map(|row| row.addr.clone()).unwrap_or_default();
    known_ifaces(system)?
        .iter()
        .find(|one| one.addr == addr)
        .cloned()
        .ok_or_else(|| Error::UnknownName(at.name.to_owned()))
}

// --- rows

fn rows(system: &mut System, shown: impl Fn(&Iface) -> bool) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for iface in ifaces(system)?.into_iter().filter(shown) {
        let device = device(system, &iface.addr)?.unwrap_or_default();
        out.push(Row { name: iface.id, addr: iface.addr, cols: vec![device] });
    }
    Ok(out)
}

fn ssid_rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    rows(system, |iface| iface.mode != Mode::Other && iface.half != "ap")
}

fn ap_rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    rows(system, |iface| iface.mode == Mode::Ap && iface.half != "ssid")
}

fn endpoint_rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    rows(system, |iface| iface.mode == Mode::Sta)
}

/// A station knows one network: its one profile bears its name.
fn profile_rows(_system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    Ok(at.rows.first().map(|instance| instance.row.clone()).into_iter().collect())
}

fn add_ssid(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    add_half(system, "ssid", "ap")
}

fn add_ap(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    add_half(system, "ap", "ssid")
}

/// Gives the first section that has only the other half this one; else makes a section with this half.
fn add_half(system: &mut System, half: &str, other: &str) -> Result<Row> {
    let waiting = ifaces(system)?.into_iter().find(|iface| iface.half == other && iface.mode == Mode::Ap);
    let (id, addr) = match waiting {
        Some(iface) => {
            topology::put(system, &iface.section(), "rcwmp_half", "")?;
            let off = off(system, &iface)?;
            put_off(system, &iface, off.0 || half == "ssid", off.1 || half == "ap")?;
            (iface.id, iface.addr)
        }
        None => {
            let name = topology::free_name(system, "wireless", "wifinet")?;
            let section = topology::new_section(system, "wireless", "wifi-iface", Some(&name))?;
            let fresh = [
                ("mode", "ap"),
                ("disabled", "1"),
                ("rcwmp_half", half),
                ("encryption", "none"),
                ("wpa_group_rekey", "3600"),
            ];
            for (option, value) in fresh {
                topology::put(system, &section, option, value)?;
            }
            (name.clone(), name)
        }
    };
    Ok(Row { name: id, addr, cols: vec![String::new()] })
}

fn delete_ssid(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    delete_half(system, &at, "ssid", "ap")
}

fn delete_ap(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    delete_half(system, &at, "ap", "ssid")
}

/// Takes a half away; with the last one the section goes.
fn delete_half(system: &mut System, at: &Place<'_>, half: &str, other: &str) -> Result<()> {
    let iface = iface(system, at)?;
    if iface.mode != Mode::Ap {
        return Err(Error::NotDeletable(at.name.to_owned()));
    }
    if iface.half == half {
        return system.delete_section(&iface.section());
    }
    let (ssid_off, ap_off) = off(system, &iface)?;
    topology::put(system, &iface.section(), "rcwmp_half", other)?;
    put_off(system, &iface, ssid_off || half == "ssid", ap_off || half == "ap")
}

// --- on and off

/// Whether the SSID and the access point are off.
fn off(system: &mut System, iface: &Iface) -> Result<(bool, bool)> {
    if !iface.disabled {
        return Ok((false, false));
    }
    Ok(match topology::text(system, &iface.section(), "rcwmp_off")?.as_str() {
        "ssid" => (true, false),
        "ap" => (false, true),
        _ => (true, true),
    })
}

fn put_off(system: &mut System, iface: &Iface, ssid: bool, ap: bool) -> Result<()> {
    let section = iface.section();
    let mark = match (ssid, ap) {
        (true, false) => "ssid",
        (false, true) => "ap",
        _ => "",
    };
    topology::put(system, &section, "rcwmp_off", mark)?;
    topology::put(system, &section, "disabled", if ssid || ap { "1" } else { "0" })
}

fn enable(system: &mut System, at: Place<'_>, half: &str) -> Result<Option<Raw>> {
    let iface = iface(system, &at)?;
    let (ssid, ap) = off(system, &iface)?;
    flag(!if half == "ssid" { ssid } else { ap })
}

fn set_enable(system: &mut System, at: Place<'_>, half: &str, raw: &Raw) -> Result<()> {
    let iface = iface(system, &at)?;
    let now_off = !topology::truth(&raw.text());
    let (ssid, ap) = off(system, &iface)?;
    let (ssid, ap) = if half == "ssid" { (now_off, ap) } else { (ssid, now_off) };
    // A half that is not there yet keeps the section off.
    put_off(system, &iface, ssid || iface.half == "ap", ap || iface.half == "ssid")
}

fn status(system: &mut System, at: Place<'_>, half: &str) -> Result<Option<Raw>> {
    let iface = iface(system, &at)?;
    let state = state(system, &iface)?;
    if half == "ssid" {
        return Ok(Some(Raw::one(state)));
    }
    let (_, off) = off(system, &iface)?;
    Ok(Some(Raw::one(match state {
        "Up" if !off => "Enabled",
        "LowerLayerDown" if !off && radio_failed(system, &iface) => "Error",
        _ => "Disabled",
    })))
}

fn radio_failed(system: &mut System, iface: &Iface) -> bool {
    !iface.disabled && wifi_state::radio(system, &iface.radio).is_some_and(|radio| radio.failed)
}

/// TR-181's word for the state of a network. The device of an access point is up for the kernel before
/// hostapd sends: while it looks for a channel, or listens for a radar.
fn state(system: &mut System, iface: &Iface) -> Result<&'static str> {
    let Some(device) = device(system, &iface.addr)? else {
        return Ok(if radio_failed(system, iface) { "LowerLayerDown" } else { "Down" });
    };
    if iface.mode == Mode::Ap {
        let told = wifi_state::hostapd(system, &device, "get_status");
        match told.as_ref().and_then(|told| told.text("status")).as_deref() {
            Some("ENABLED") => return Ok("Up"),
            Some("COUNTRY_UPDATE" | "ACS" | "HT_SCAN" | "DFS") => return Ok("Dormant"),
            Some("UNINITIALIZED" | "DISABLED" | "NO_IR") => return Ok("Down"),
            _ => {}
        }
    }
    Ok(topology::status(system, &device).unwrap_or("Down"))
}

fn profile_status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let iface = iface(system, &at)?;
    let running = device(system, &iface.addr)?;
    let up = running.is_some_and(|device| topology::status(system, &device) == Some("Up"));
    Ok(Some(Raw::one(match (iface.disabled, up) {
        (true, _) => "Disabled",
        (false, true) => "Active",
        (false, false) => "Available",
    })))
}

// --- the rest

/// The device where there is one, else the section.
fn name(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let iface = iface(system, &at)?;
    Ok(Some(Raw::one(device(system, &iface.addr)?.unwrap_or(iface.addr))))
}

fn radio_reference(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    Ok(Some(Raw::Many(topology::words(system, &section, "device")?)))
}

/// One radio is a text: as a list only OpenWrt 25.12 and later would read it.
fn set_radio_reference(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let radios: Vec<String> = raw.items().into_iter().map(str::to_owned).collect();
    if radios == topology::words(system, &section, "device")? {
        return Ok(());
    }
    match radios.as_slice() {
        [] => topology::put(system, &section, "device", ""),
        [radio] => topology::put(system, &section, "device", radio),
        _ => Err(Error::bad_value(at.name, "a network lies on one radio")),
    }
}

fn upstream(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    flag(iface(system, &at)?.mode == Mode::Sta)
}

fn mac(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let iface = iface(system, &at)?;
    if let Some(device) = device(system, &iface.addr)? {
        return Ok(topology::sysfs(system, &device, "address").map(Raw::one));
    }
    system.option(&format!("{}.macaddr", iface.section()))
}

/// An access point's own address; for a station that of the access point it has found.
fn bssid(system: &mut System, at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let iface = iface(system, &at)?;
    let running = device(system, &iface.addr)?;
    if iface.mode == Mode::Sta {
        let told = running.and_then(|device| wifi_state::iwinfo(system, &device, "info"));
        return Ok(told.and_then(|told| wifi_state::mac(&told, "bssid")).map(Raw::one));
    }
    let told = running.and_then(|device| wifi_state::hostapd(system, &device, "get_status"));
    match told.and_then(|told| wifi_state::mac(&told, "bssid")) {
        Some(bssid) => Ok(Some(Raw::one(bssid))),
        None => mac(system, at, argument),
    }
}

/// The place among the multi-link devices (`mlo`, from OpenWrt 25.12 on) that an SSID has.
fn mld(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let own = iface(system, &at)?.addr;
    let mut unit = 0_u32;
    for one in ifaces(system)? {
        let is_mld = topology::truth(&topology::text(system, &one.section(), "mlo")?);
        if one.addr == own {
            return Ok(Some(Raw::One(if is_mld { unit.to_string() } else { "-1".to_owned() })));
        }
        unit += u32::from(is_mld);
    }
    Ok(Some(Raw::one("-1")))
}

fn ssid_reference(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let iface = iface(system, &at)?;
    Ok(Some(Raw::one(if iface.half == "ap" { String::new() } else { iface.id })))
}

fn set_ssid_reference(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let iface = iface(system, &at)?;
    let now = if iface.half == "ap" { "" } else { iface.id.as_str() };
    if raw.text() == now {
        return Ok(());
    }
    let why = "an access point and its SSID are one section: it refers to the SSID it was made with";
    Err(Error::bad_value(at.name, why))
}

fn mac_control(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    flag(topology::text(system, &section, "macfilter")? == "allow")
}

fn set_mac_control(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let on = topology::truth(&raw.text());
    let filter = topology::text(system, &section, "macfilter")?;
    match (on, filter.as_str()) {
        (true, "allow") => Ok(()),
        (true, "deny") => {
            // Those who were kept out must not become those who are let in.
            topology::put_list(system, &section, "maclist", Vec::new())?;
            topology::put(system, &section, "macfilter", "allow")
        }
        (true, _) => topology::put(system, &section, "macfilter", "allow"),
        (false, "allow") => topology::put(system, &section, "macfilter", "disable"),
        (false, _) => Ok(()),
    }
}

fn allowed(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    if topology::text(system, &section, "macfilter")? == "deny" {
        return Ok(None);
    }
    Ok(Some(Raw::Many(topology::words(system, &section, "maclist")?)))
}

fn set_allowed(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    if topology::text(system, &section, "macfilter")? == "deny" {
        return Err(Error::bad_value(
            at.name,
            "the list is one of those to keep out; switch the control on first",
        ));
    }
    let items = raw.items().into_iter().map(str::to_owned).collect();
    topology::put_list(system, &section, "maclist", items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices() {
        for (phy, part, mode, among, place, expected) in [
            ("phy0", "", Mode::Ap, 0, 0, vec!["phy0-ap0", "wlan0"]),
            ("phy1", "", Mode::Ap, 1, 2, vec!["phy1-ap1", "wlan1-2"]),
            ("phy1", "", Mode::Sta, 0, 1, vec!["phy1-sta0", "wlan1-1"]),
            ("phy0", "1", Mode::Ap, 0, 0, vec!["phy0.1-ap0", "phy0-ap0"]),
        ] {
            assert_eq!(candidates(phy, part, mode, among, place), expected);
        }
    }
}
