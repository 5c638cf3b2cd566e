//! How netifd's interfaces and devices stand on one another: what several areas ask about network devices.
//!
//! Facts come from `/etc/config/network` and `/sys/class/net`; what they leave open is asked of netifd.
//! Names from both are untrusted: one that could leave its directory is not looked up.

use std::rc::Rc;

use super::netifd;
use crate::backend::System;
use crate::model::Result;
use crate::model::backend::Raw;
use crate::model::value::switch;

/// The deepest chain of aliases, VLANs and bridges that is followed.
const MAX_DEPTH: usize = 8;

/// The protocols that make a link of PPP.
pub const PPP: [&str; 6] = ["ppp", "pppoe", "pppoa", "pptp", "l2tp", "3g"];

/// A `config interface` as far as other objects need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The section's name.
    pub name: String,
    /// The device it stands on, aliases resolved; empty when it has none.
    pub device: String,
    /// Its protocol; `none` when it says nothing.
    pub proto: String,
}

/// A VLAN device: told by a section, or only by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    /// The device below.
    pub base: String,
    /// 1 to 4094; 0 when the section does not say.
    pub vid: u16,
    /// 802.1ad instead of 802.1Q.
    pub outer: bool,
    /// The address of its `config device` of a VLAN type, if it has one.
    pub section: Option<String>,
}

/// Whether a text can be a network device's name (the kernel's `dev_valid_name`, and 15 characters).
pub fn is_device_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 15
        && name != "."
        && name != ".."
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
}

/// A file of a device under `/sys/class/net`, trimmed; `None` when it is absent or empty.
pub fn sysfs(system: &mut System, device: &str, file: &str) -> Option<String> {
    if !is_device_name(device) {
        return None;
    }
    let text = system.text(&format!("/sys/class/net/{device}/{file}"))?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether something exists in a device's directory; the directory itself for the empty name.
pub fn in_sysfs(system: &mut System, device: &str, file: &str) -> bool {
    is_device_name(device) && system.exists(&format!("/sys/class/net/{device}/{file}"))
}

/// UCI's idea of true.
pub fn truth(text: &str) -> bool {
    switch(text) == Some(true)
}

/// An option of a section as text; empty when absent.
///
/// # Errors
/// As [`System::option`].
pub fn text(system: &mut System, section: &str, option: &str) -> Result<String> {
    system.option_text(&format!("{section}.{option}"))
}

/// An option of a section as words at blanks, whether it is a list or a text.
///
/// # Errors
/// As [`System::option`].
pub fn words(system: &mut System, section: &str, option: &str) -> Result<Vec<String>> {
    Ok(match system.option(&format!("{section}.{option}"))? {
        None => Vec::new(),
        Some(Raw::One(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(Raw::Many(items)) => {
            items.iter().flat_map(|item| item.split_whitespace()).map(str::to_owned).collect()
        }
    })
}

/// Stages an option of a section; an empty text removes it.
///
/// # Errors
/// As [`System::set_option`].
pub fn put(system: &mut System, section: &str, option: &str, value: &str) -> Result<()> {
    let address = format!("{section}.{option}");
    if !value.is_empty() {
        return system.set_option(&address, Some(&Raw::one(value)));
    }
    if system.option(&address)?.is_some() { system.set_option(&address, None) } else { Ok(()) }
}

/// Stages a list option of a section. A text of at most one word stays a text; no items remove it.
///
/// # Errors
/// As [`System::set_option`].
pub fn put_list(system: &mut System, section: &str, option: &str, items: Vec<String>) -> Result<()> {
    let address = format!("{section}.{option}");
    let old = system.option(&address)?;
    match (items.len(), old) {
        (0, None) => Ok(()),
        (0, Some(_)) => system.set_option(&address, None),
        (1, Some(Raw::One(_))) => system.set_option(&address, Some(&Raw::One(items.concat()))),
        _ => system.set_option(&address, Some(&Raw::Many(items))),
    }
}

/// Stages a new section and gives its full address, `package.section`.
///
/// # Errors
/// As [`System::add_section`].
pub fn new_section(system: &mut System, package: &str, ty: &str, name: Option<&str>) -> Result<String> {
    let address = system.add_section(package, ty, name)?;
    let prefix = format!("{package}.");
    Ok(if address.starts_with(&prefix) { address } else { prefix + &address })
}

/// The first of `prefix1`, `prefix2` … that no section of the package has.
///
/// # Errors
/// As [`System::sections`].
pub fn free_name(system: &mut System, package: &str, prefix: &str) -> Result<String> {
    let taken: Vec<String> =
        system.sections(package, "*")?.into_iter().filter_map(|section| section.name).collect();
    Ok(numbered(prefix, |name| taken.iter().any(|other| other == name)))
}

/// The first of `prefix1`, `prefix2` … that is not taken.
pub fn numbered(prefix: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut number = 1_u32;
    loop {
        let name = format!("{prefix}{number}");
        if !taken(&name) || number == u32::MAX {
            return name;
        }
        number += 1;
    }
}

/// The full address of the last `config device` of that name: netifd lets the last one win.
///
/// # Errors
/// As [`System::sections`].
pub fn device_section(system: &mut System, device: &str) -> Result<Option<String>> {
    system.last_with("network", "device", "name", device)
}

/// An option of a device's `config device`; `None` when there is no such section or option.
///
/// # Errors
/// As [`System::option`].
pub fn device_option(system: &mut System, device: &str, option: &str) -> Result<Option<Raw>> {
    match device_section(system, device)? {
        Some(section) => system.option(&format!("{section}.{option}")),
        None => Ok(None),
    }
}

/// Stages an option of a device, in a new `config device` if it has none yet; an empty text removes it.
///
/// # Errors
/// As [`System::set_option`].
pub fn put_device_option(system: &mut System, device: &str, option: &str, value: &str) -> Result<()> {
    let section = match device_section(system, device)? {
        Some(section) => section,
        None if value.is_empty() => return Ok(()),
        None => {
            let section = new_section(system, "network", "device", None)?;
            put(system, &section, "name", device)?;
            section
        }
    };
    put(system, &section, option, value)
}

/// All named `config interface`s in order.
///
/// # Errors
/// As [`System::sections`].
pub fn interfaces(system: &mut System) -> Result<Vec<Interface>> {
    Ok(known_interfaces(system)?.to_vec())
}

/// The same, shared.
///
/// # Errors
/// As [`System::sections`].
pub fn known_interfaces(system: &mut System) -> Result<Rc<[Interface]>> {
    system.once("interfaces", ["network"], all_interfaces)
}

fn all_interfaces(system: &mut System) -> Result<Vec<Interface>> {
    let mut out: Vec<Interface> = Vec::new();
    for section in system.sections("network", "interface")? {
        let Some(name) = section.name else { continue };
        let address = format!("network.{name}");
        let device = if is_old_bridge(system, &address)? {
            format!("br-{name}")
        } else {
            lower_option(system, &address)?
        };
        let proto = text(system, &address, "proto")?;
        let proto = if proto.is_empty() { "none".to_owned() } else { proto };
        out.push(Interface { name, device, proto });
    }
    let mut raw: Vec<(String, String)> = Vec::with_capacity(out.len());
    for one in &out {
        // An alias stands on what carries the other one's packets.
        let device = ppp_device(system, &one.name, &one.proto)?.unwrap_or_else(|| one.device.clone());
        raw.push((one.name.clone(), device));
    }
    for interface in &mut out {
        for _ in 0..MAX_DEPTH {
            let Some(alias) = interface.device.strip_prefix('@') else { break };
            interface.device = raw
                .iter()
                .find(|(name, _)| name == alias)
                .map(|(_, device)| device.clone())
                .unwrap_or_default();
        }
        if interface.device.starts_with('@') {
            interface.device.clear();
        }
    }
    Ok(out)
}

/// The interface of that name.
///
/// # Errors
/// As [`System::sections`].
pub fn interface(system: &mut System, name: &str) -> Result<Option<Interface>> {
    Ok(known_interfaces(system)?.iter().find(|interface| interface.name == name).cloned())
}

/// Whether an interface section is a bridge of the old kind (`type bridge`, until 19.07).
///
/// # Errors
/// As [`System::option`].
pub fn is_old_bridge(system: &mut System, section: &str) -> Result<bool> {
    Ok(text(system, section, "type")? == "bridge")
}

/// Which of the two options names an interface's device: `ifname` where only that is there (until 19.07).
///
/// # Errors
/// As [`System::option`].
pub fn lower_option_name(system: &mut System, section: &str) -> Result<&'static str> {
    let old = text(system, section, "device")?.is_empty() && !text(system, section, "ifname")?.is_empty();
    Ok(if old { "ifname" } else { "device" })
}

fn lower_option(system: &mut System, section: &str) -> Result<String> {
    let option = lower_option_name(system, section)?;
    Ok(words(system, section, option)?.into_iter().next().unwrap_or_default())
}

/// The network device of the PPP link that an interface makes; `None` for other protocols.
///
/// # Errors
/// As [`System::option`].
pub fn ppp_device(system: &mut System, name: &str, proto: &str) -> Result<Option<String>> {
    if !PPP.contains(&proto) {
        return Ok(None);
    }
    let told = text(system, &format!("network.{name}"), "pppname")?;
    Ok(Some(if is_device_name(&told) { told } else { format!("{proto}-{name}") }))
}

/// The device that carries an interface's IP: the one netifd tells while it is up, else the tunnel or link
/// that its protocol makes, where it makes one.
pub fn l3_device(system: &mut System, interface: &Interface) -> String {
    let Interface { name, device, proto } = interface;
    if let Some(told) = netifd::find(system, name).filter(|told| !told.l3_device.is_empty()) {
        return told.l3_device.clone();
    }
    let made = match proto.as_str() {
        "static" | "dhcp" | "dhcpv6" | "none" => return device.clone(),
        "6in4" | "6to4" | "6rd" => format!("{proto}-{name}"),
        "dslite" => format!("ds-{name}"),
        "gre" => format!("gre4-{name}"),
        "gretap" => format!("gre4t-{name}"),
        "grev6" => format!("gre6-{name}"),
        "grev6tap" => format!("gre6t-{name}"),
        "map" => format!("map-{name}"),
        "wireguard" | "vxlan" | "vxlan6" => name.clone(),
        // A configuration that cannot be read has no names either.
        _ => ppp_device(system, name, proto).ok().flatten().unwrap_or_default(),
    };
    if !made.is_empty() && (device.is_empty() || in_sysfs(system, &made, "")) { made } else { device.clone() }
}

/// What a device is a VLAN of, if it is one.
///
/// # Errors
/// As [`System::sections`].
pub fn vlan(system: &mut System, device: &str) -> Result<Option<Vlan>> {
    let by_name = device
        .rsplit_once('.')
        .and_then(|(base, vid)| {
            vid.parse::<u16>().ok().filter(|vid| (1..=4094).contains(vid)).map(|vid| (base, vid))
        })
        .filter(|(base, _)| is_device_name(base));
    if let Some(section) = device_section(system, device)? {
        let ty = text(system, &section, "type")?;
        if matches!(ty.as_str(), "8021q" | "8021ad") {
            let base = text(system, &section, "ifname")?;
            let base = if base.is_empty() {
                by_name.map(|(base, _)| base.to_owned()).unwrap_or_default()
            } else {
                base
            };
            let vid =
                text(system, &section, "vid")?.trim().parse().ok().filter(|vid| (1..=4094).contains(vid));
            let vid = vid.or(by_name.map(|(_, vid)| vid)).unwrap_or(0);
            return Ok(Some(Vlan { base, vid, outer: ty == "8021ad", section: Some(section) }));
        }
        if !ty.is_empty() {
            return Ok(None);
        }
    }
    Ok(by_name.map(|(base, vid)| Vlan { base: base.to_owned(), vid, outer: false, section: None }))
}

/// The lowest device below a VLAN, or the device itself.
///
/// # Errors
/// As [`System::sections`].
pub fn base_device(system: &mut System, device: &str) -> Result<String> {
    let mut device = device.to_owned();
    for _ in 0..MAX_DEPTH {
        match vlan(system, &device)? {
            Some(vlan) if !vlan.base.is_empty() => device = vlan.base,
            _ => break,
        }
    }
    Ok(device)
}

/// Whether a device is an Ethernet port that is there: hardware, not wireless, not a modem, and not the
/// inner side of a DSA switch, which no plug fits.
pub fn is_port(system: &mut System, device: &str) -> bool {
    if !in_sysfs(system, device, "") || sysfs(system, device, "type").as_deref() != Some("1") {
        return false;
    }
    let kind = kind(system, device);
    let hardware = kind == "dsa" || (kind.is_empty() && in_sysfs(system, device, "device"));
    hardware
        && ["dsa", "phy80211", "wireless", "bridge", "bonding", "tun_flags"]
            .iter()
            .all(|mark| !in_sysfs(system, device, mark))
}

/// The kernel's `DEVTYPE` of a device: `vlan`, `bridge`, `wlan`, `dsa`, `wwan` …; empty for plain ones.
pub fn kind(system: &mut System, device: &str) -> String {
    let Some(uevent) = sysfs(system, device, "uevent") else { return String::new() };
    uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE=")).unwrap_or_default().trim().to_owned()
}

/// TR-181's word for the state of a device; `None` when it does not exist.
pub fn status(system: &mut System, device: &str) -> Option<&'static str> {
    let Some(state) = sysfs(system, device, "operstate") else {
        return netifd::device_status(system, device);
    };
    Some(match state.as_str() {
        "up" => "Up",
        "down" => "Down",
        "lowerlayerdown" => "LowerLayerDown",
        "dormant" => "Dormant",
        "notpresent" => "NotPresent",
        // Tunnels and the loopback tell no state; RFC 2863 lets them follow the administrative one.
        "unknown" if is_up(system, device) => "Up",
        "unknown" => "Down",
        _ => "Unknown",
    })
}

fn is_up(system: &mut System, device: &str) -> bool {
    sysfs(system, device, "flags")
        .and_then(|flags| u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok())
        .is_some_and(|flags| flags & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices() {
        for (name, good) in [
            ("eth0", true),
            ("eth0.7", true),
            ("br-lan", true),
            ("phy0.1-ap0", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("a b", false),
            ("eth0:1", false),
            ("a\u{7}", false),
            ("0123456789abcdef", false),
        ] {
            assert_eq!(is_device_name(name), good, "{name:?}");
        }
    }

    #[test]
    fn free_numbers() {
        assert_eq!(numbered("vlan", |name| name == "vlan1"), "vlan2");
        assert_eq!(numbered("vlan", |_| false), "vlan1");
    }
}
