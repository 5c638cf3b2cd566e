//! SSIDs, access points and end points (TR-181 `Device.WiFi.`), all of them sections `wifi-iface`.
//!
//! One section is an SSID and its access point at once, and both rows bear its name. TR-181 makes the two
//! one after the other: AddObject of an SSID makes a section whose other half is not there yet
//! (`option rcwmp_half 'ssid'`), and AddObject of an access point gives it that half, or makes a section
//! that waits for its SSID (`'ap'`). An end point is made as an access point is: it takes the first SSID that
//! waits, or waits itself. What has lost its other half waits for none: SSIDReference brings the two together
//! ([`super::wifi_halves`]). Until both halves are there and both are on, the section is `disabled`; `rcwmp_off`
//! remembers which ones are off when not all are. The profile of an end point is a third part
//! ([`super::profiles`]).

use std::rc::Rc;

use super::wifi_state::{self, Network};
use super::{profiles, radio, topology, wifi_halves};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// The most wifi-ifaces that are looked at.
const MAX_IFACES: usize = 256;

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "wifi_enable", get: enable, set: Some(set_enable) },
    ValueFn { name: "wifi_status", get: status, set: None },
    ValueFn { name: "wifi_name", get: name, set: None },
    ValueFn { name: "wifi_radio", get: radio_reference, set: Some(set_radio_reference) },
    ValueFn { name: "wifi_upstream", get: upstream, set: None },
    ValueFn { name: "wifi_mac", get: mac, set: None },
    ValueFn { name: "wifi_bssid", get: bssid, set: None },
    ValueFn { name: "wifi_mld", get: mld, set: None },
    ValueFn { name: "wifi_ssid_reference", get: ssid_reference, set: Some(wifi_halves::set_reference) },
    ValueFn { name: "wifi_mac_control", get: mac_control, set: Some(set_mac_control) },
    ValueFn { name: "wifi_allowed", get: allowed, set: Some(set_allowed) },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "wifi_ssids", rows: ssid_rows, add: Some(add_ssid), delete: Some(delete_ssid) },
    TableFn { name: "wifi_aps", rows: ap_rows, add: Some(add_ap), delete: Some(delete_ap) },
    TableFn {
        name: "wifi_endpoints",
        rows: endpoint_rows,
        add: Some(add_endpoint),
        delete: Some(delete_endpoint),
    },
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
    /// How tables name it, as an SSID.
    pub id: String,
    /// How tables name it as an access point or end point.
    pub point: String,
    /// What it is.
    pub mode: Mode,
    /// The section of its radio; empty when it has none yet.
    pub radio: String,
    /// `option disabled`.
    pub disabled: bool,
    /// The only half that is there, `ssid` or `ap`; empty: both.
    pub half: String,
    /// The half that is there has lost the other one.
    pub alone: bool,
    /// A station that has its profile.
    pub profile: bool,
}

/// Which parts of a wifi-iface are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Off {
    /// Its SSID.
    pub ssid: bool,
    /// Its access point or end point.
    pub ap: bool,
    /// The profile of its end point; without meaning for an access point.
    pub profile: bool,
}

impl Off {
    fn part(&mut self, name: &str) -> &mut bool {
        match name {
            "ssid" => &mut self.ssid,
            "profile" => &mut self.profile,
            _ => &mut self.ap,
        }
    }
}

impl Iface {
    pub(super) fn section(&self) -> String {
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
        let mut halves = topology::words(system, &address, "rcwmp_half")?.into_iter();
        let (half, alone) = (halves.next().unwrap_or_default(), halves.next().is_some());
        let point = topology::text(system, &address, wifi_halves::POINT)?;
        let point = if point.is_empty() { section.id.clone() } else { point };
        let profile = mode == Mode::Sta && profiles::is_there(system, &address)?;
        let (addr, id) = (section.addr, section.id);
        out.push(Iface { addr, id, point, mode, radio, disabled, half, alone, profile });
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

/// The networks that an interface without a device stands on: those that name it.
///
/// # Errors
/// As [`System::sections`].
pub(super) fn below(system: &mut System, interface: &str) -> Result<Vec<String>> {
    let mut out = Vec::new();
    for iface in ifaces(system)?.into_iter().filter(|iface| iface.mode != Mode::Other) {
        if topology::words(system, &iface.section(), "network")?.iter().any(|word| word == interface) {
            out.push(iface.id);
        }
    }
    Ok(out)
}

/// Takes an interface off what it stood on, but for these: the others go, and what is no network of ours is left alone.
///
/// # Errors
/// As [`System::set_option`].
pub(super) fn release(system: &mut System, interface: &str, left: &[&str]) -> Result<()> {
    keep_on(system, interface, |iface| iface.mode == Mode::Other || left.contains(&&*iface.id))
}

fn keep_on(system: &mut System, interface: &str, stays: impl Fn(&Iface) -> bool) -> Result<()> {
    for iface in ifaces(system)?.into_iter().filter(|iface| !stays(iface)) {
        let mut words = topology::words(system, &iface.section(), "network")?;
        if words.iter().any(|word| word == interface) {
            words.retain(|word| word != interface);
            topology::put_list(system, &iface.section(), "network", words)?;
        }
    }
    Ok(())
}

/// Has the network `id` alone carry an interface; without such a network an interface that has no device stands on
/// none any more. Whether there is one.
///
/// # Errors
/// As [`System::set_option`].
pub(super) fn carry(system: &mut System, interface: &str, id: &str) -> Result<bool> {
    let all = ifaces(system)?;
    let found = all.iter().any(|iface| iface.id == id && iface.mode != Mode::Other);
    // What is to stand on nothing is not carried by a network either.
    let moves = found
        || id.is_empty()
        || topology::interface(system, interface)?.is_some_and(|one| one.device.is_empty());
    if let Some(iface) = all.iter().find(|iface| found && iface.id == id) {
        topology::put(system, &iface.section(), "network", interface)?;
    }
    if moves {
        keep_on(system, interface, |iface| iface.id == id)?;
    }
    Ok(found)
}

fn flag(on: bool) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(if on { "1" } else { "0" })))
}

/// The section of the innermost row.
pub fn section(at: &Place<'_>) -> Result<String> {
    let row = at.row().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(format!("wireless.{}", row.addr))
}

/// The wifi-iface of the innermost row.
pub(super) fn iface(system: &mut System, at: &Place<'_>) -> Result<Iface> {
    let addr = at.row().map(|row| row.addr.clone()).unwrap_or_default();
    known_ifaces(system)?
        .iter()
        .find(|one| one.addr == addr)
        .cloned()
        .ok_or_else(|| Error::unknown_name(at.name))
}

// --- rows

/// Of SSIDs, or of what is on them.
fn rows(system: &mut System, ssids: bool, shown: impl Fn(&Iface) -> bool) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for iface in ifaces(system)?.into_iter().filter(shown) {
        let device = device(system, &iface.addr)?.unwrap_or_default();
        out.push(Row {
            name: if ssids { iface.id } else { iface.point },
            addr: iface.addr,
            cols: vec![device],
        });
    }
    Ok(out)
}

fn ssid_rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    rows(system, true, |iface| iface.mode != Mode::Other && iface.half != "ap")
}

fn ap_rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    rows(system, false, |iface| iface.mode == Mode::Ap && iface.half != "ssid")
}

fn endpoint_rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    rows(system, false, |iface| iface.mode == Mode::Sta && iface.half != "ssid")
}

fn add_ssid(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    add_half(system, &at, "ssid", "ap", Mode::Ap)
}

fn add_ap(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    add_half(system, &at, "ap", "ssid", Mode::Ap)
}

fn add_endpoint(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    add_half(system, &at, "ap", "ssid", Mode::Sta)
}

/// A name for a section, which no access point has kept either.
///
/// # Errors
/// As [`System::sections`].
pub(super) fn free_name(system: &mut System) -> Result<String> {
    let points: Vec<String> = ifaces(system)?.into_iter().map(|iface| iface.point).collect();
    let named = system.sections("wireless", "*")?.into_iter().filter_map(|section| section.name);
    let taken: Vec<String> = named.chain(points).collect();
    Ok(topology::numbered("wifinet", |name| taken.iter().any(|other| other == name)))
}

/// Gives the first section that waits for this half this one; else makes a section with this half. An SSID
/// alone is not yet of a mode, and takes that of its other half.
fn add_half(system: &mut System, at: &Place<'_>, half: &str, other: &str, mode: Mode) -> Result<Row> {
    if system.sections("wireless", "wifi-device")?.is_empty() {
        return Err(Error::exhausted(format!("adding to {}: there is no radio", at.name)));
    }
    let waits = |iface: &Iface| iface.half == other && !iface.alone && iface.mode != Mode::Other;
    let waiting = ifaces(system)?.into_iter().find(waits);
    let Some(mut iface) = waiting else {
        let name = free_name(system)?;
        let section = topology::new_section(system, "wireless", "wifi-iface", Some(&name))?;
        let word = if mode == Mode::Sta { "sta" } else { "ap" };
        for (option, value) in
            [("mode", word), ("disabled", "1"), ("rcwmp_half", half), ("encryption", "none")]
        {
            topology::put(system, &section, option, value)?;
        }
        match mode {
            Mode::Sta => profiles::leave_out(system, &section)?,
            _ => topology::put(system, &section, "wpa_group_rekey", "3600")?,
        }
        return Ok(Row { name: name.clone(), addr: name, cols: vec![String::new()] });
    };
    let mut off = off(system, &iface)?;
    *off.part(half) = true;
    topology::put(system, &iface.section(), "rcwmp_half", "")?;
    if half == "ap" && mode == Mode::Sta {
        iface.mode = Mode::Sta;
        off.profile = true;
        topology::put(system, &iface.section(), "mode", "sta")?;
        topology::put(system, &iface.section(), "wpa_group_rekey", "")?;
        profiles::leave_out(system, &iface.section())?;
    }
    put_off(system, &iface, off)?;
    let name = if half == "ap" { iface.point } else { iface.id };
    Ok(Row { name, addr: iface.addr, cols: vec![String::new()] })
}

fn delete_ssid(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let iface = iface(system, &at)?;
    delete_half(system, &iface, "ssid", "ap")
}

fn delete_ap(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let iface = iface(system, &at)?;
    delete_half(system, &iface, "ap", "ssid")
}

/// The SSID that is left can become an access point's.
fn delete_endpoint(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let mut iface = iface(system, &at)?;
    if iface.half.is_empty() {
        topology::put(system, &iface.section(), "mode", "ap")?;
        iface.mode = Mode::Ap;
    }
    delete_half(system, &iface, "ap", "ssid")
}

/// Takes a half away with all its options, so that nothing of it comes back in another one; with the last half the
/// section goes.
fn delete_half(system: &mut System, iface: &Iface, half: &str, other: &str) -> Result<()> {
    if iface.half == half {
        return system.delete_section(&iface.section());
    }
    let mut off = off(system, iface)?;
    *off.part(half) = true;
    match half {
        "ssid" => wifi_halves::clear_ssid(system, iface)?,
        _ => wifi_halves::clear_point(system, iface)?,
    }
    wifi_halves::leave(system, iface, other)?;
    put_off(system, iface, off)
}

// --- on and off

/// Which parts are off.
///
/// # Errors
/// As [`System::option`].
pub(super) fn off(system: &mut System, iface: &Iface) -> Result<Off> {
    if !iface.disabled {
        return Ok(Off { ssid: false, ap: false, profile: false });
    }
    let marked = topology::words(system, &iface.section(), "rcwmp_off")?;
    let is = |part: &str| marked.is_empty() || marked.iter().any(|word| word == part);
    Ok(Off { ssid: is("ssid"), ap: is("ap"), profile: is("profile") })
}

/// Writes down which parts are off; the section is while one of them is.
///
/// # Errors
/// As [`System::set_option`].
pub(super) fn put_off(system: &mut System, iface: &Iface, off: Off) -> Result<()> {
    let section = iface.section();
    let mut parts = vec![("ssid", off.ssid), ("ap", off.ap)];
    if iface.mode == Mode::Sta {
        parts.push(("profile", off.profile));
    }
    let marked: Vec<&str> = parts.iter().filter(|(_, off)| *off).map(|(part, _)| *part).collect();
    let mark = if marked.len() == parts.len() { String::new() } else { marked.join(" ") };
    topology::put(system, &section, "rcwmp_off", &mark)?;
    topology::put(system, &section, "disabled", if marked.is_empty() { "0" } else { "1" })
}

/// `ssid`, `ap` (an end point too) or `profile`.
fn enable(system: &mut System, at: Place<'_>, part: &str) -> Result<Option<Raw>> {
    let iface = iface(system, &at)?;
    let mut off = off(system, &iface)?;
    flag(!*off.part(part))
}

fn set_enable(system: &mut System, at: Place<'_>, part: &str, raw: &Raw) -> Result<()> {
    let iface = iface(system, &at)?;
    let mut off = off(system, &iface)?;
    *off.part(part) = !topology::truth(&raw.text());
    // A part that is not there yet keeps the section off.
    off.ssid |= iface.half == "ap";
    off.ap |= iface.half == "ssid";
    off.profile |= !iface.profile;
    put_off(system, &iface, off)
}

fn status(system: &mut System, at: Place<'_>, half: &str) -> Result<Option<Raw>> {
    let iface = iface(system, &at)?;
    let state = state(system, &iface)?;
    if half == "ssid" {
        return Ok(Some(Raw::one(state)));
    }
    let off = off(system, &iface)?.ap;
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
    // Without a profile an end point has no SSID that it uses (TR-181, EndPoint.SSIDReference).
    let none = iface.half == "ap" || iface.mode == Mode::Sta && !iface.profile;
    Ok(Some(Raw::one(if none { String::new() } else { iface.id })))
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
