//! What UCI says of interfaces and firewall zones, as several areas need it: which interface a device
//! belongs to, which zone an interface.

use std::rc::Rc;

use crate::backend::System;
pub use crate::backend::functions::topology::Interface;
use crate::backend::functions::topology::{self, truth};
use crate::model::Result;
use crate::model::backend::Raw;
use crate::model::error::Error;

/// The most interfaces and zones looked at.
const MAX: usize = 256;

/// A zone of the firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// The section's address.
    pub addr: String,
    /// What rules call it.
    pub name: String,
    /// Its interfaces.
    pub networks: Vec<String>,
    /// Whether it masquerades; `None` when the option is absent.
    pub masq: Option<bool>,
}

/// Whether an interface carries IPv6 only.
fn is_v6(interface: &Interface) -> bool {
    matches!(interface.proto.as_str(), "dhcpv6" | "6in4" | "6to4" | "6rd")
}

/// An option that is on when it is absent.
///
/// # Errors
/// As [`System::option`].
pub fn unless_off(system: &mut System, address: &str) -> Result<bool> {
    let text = system.option_text(address)?;
    Ok(text.is_empty() || truth(&text))
}

/// The items of a list option or the words of a text.
///
/// # Errors
/// As [`System::option`].
pub fn words(system: &mut System, address: &str) -> Result<Vec<String>> {
    let raw = system.option(address)?;
    Ok(raw.iter().flat_map(Raw::items).map(str::to_owned).collect())
}

/// Stages a text option; an empty text removes it.
///
/// # Errors
/// As [`System::set_option`].
pub fn put(system: &mut System, address: &str, text: &str) -> Result<()> {
    if text.is_empty() {
        if system.option(address)?.is_some() {
            system.set_option(address, None)?;
        }
        return Ok(());
    }
    system.set_option(address, Some(&Raw::one(text)))
}

/// The complaint of a row that the kernel or a lease made, and that cannot be configured.
pub fn not_ours(name: &str) -> Error {
    Error::learnt(name)
}

/// The interfaces in the order of the file, with the device that each one's packets go by.
///
/// # Errors
/// As [`System::sections`].
pub fn interfaces(system: &mut System) -> Result<Rc<[Interface]>> {
    system.once("interfaces above", ["network"], |system| {
        let mut out = topology::interfaces(system)?;
        out.truncate(MAX);
        for interface in &mut out {
            interface.device = topology::l3_device(system, interface);
        }
        Ok(out)
    })
}

/// The interface that a device carries; of several the one that fits the family.
pub fn by_device<'i>(list: &'i [Interface], device: &str, v6: bool) -> Option<&'i Interface> {
    let mut fitting = list.iter().filter(|one| !device.is_empty() && one.device == device);
    let first = fitting.clone().next();
    fitting.find(|one| is_v6(one) == v6).or(first)
}

/// The zones in the order of the file.
///
/// # Errors
/// As [`System::sections`].
pub fn zones(system: &mut System) -> Result<Rc<[Zone]>> {
    system.once("zones", ["firewall"], all_zones)
}

fn all_zones(system: &mut System) -> Result<Vec<Zone>> {
    let mut out = Vec::new();
    for section in system.sections("firewall", "zone")?.into_iter().take(MAX) {
        let addr = section.addr;
        let name = system.option_text(&format!("firewall.{addr}.name"))?;
        let mut networks = words(system, &format!("firewall.{addr}.network"))?;
        // Old configurations leave the list out when zone and interface have one name.
        if networks.is_empty() && !name.is_empty() {
            networks.push(name.clone());
        }
        let masq = system.option(&format!("firewall.{addr}.masq"))?.map(|raw| truth(&raw.text()));
        out.push(Zone { addr, name, networks, masq });
    }
    Ok(out)
}

/// The interface that stands for a zone: its first one that is not only IPv6, of those that there are.
pub fn face<'z>(zone: &'z Zone, interfaces: &[Interface]) -> Option<&'z str> {
    let there = zone.networks.iter().filter_map(|name| interfaces.iter().find(|one| one.name == *name));
    let first = there.clone().next();
    let found = there.clone().find(|one| !is_v6(one)).or(first)?;
    zone.networks.iter().find(|name| **name == found.name).map(String::as_str)
}

/// The name of the zone that an interface belongs to.
pub fn zone_of<'z>(zones: &'z [Zone], interface: &str) -> Option<&'z Zone> {
    zones.iter().find(|zone| zone.networks.iter().any(|name| name == interface))
}

/// The interface of a zone's name, for a parameter that refers to an interface; empty for no or any zone.
///
/// # Errors
/// As [`System::sections`].
pub fn face_of(system: &mut System, zone: &str) -> Result<String> {
    let zones = zones(system)?;
    let interfaces = interfaces(system)?;
    let found = zones.iter().find(|one| one.name == zone);
    Ok(found.and_then(|zone| face(zone, &interfaces)).unwrap_or_default().to_owned())
}

/// Whether a zone would go on without the interface that stands for it.
///
/// # Errors
/// As [`System::sections`].
pub fn has_others(system: &mut System, zone: &str) -> Result<bool> {
    let zones = zones(system)?;
    let Some(found) = zones.iter().find(|one| one.name == zone) else { return Ok(zone == "*") };
    Ok(found.networks.len() > 1 || system.option(&format!("firewall.{}.device", found.addr))?.is_some())
}

/// The zone that an interface stands for, for writing a parameter `name`.
///
/// # Errors
/// [`Error::bad_value`] for an interface in no zone, and as [`System::sections`].
pub fn zone_for(system: &mut System, name: &str, interface: &str) -> Result<String> {
    let zones = zones(system)?;
    let found = zone_of(&zones, interface).map(|zone| zone.name.clone());
    found.ok_or_else(|| Error::bad_value(name, "the interface is in no zone of the firewall"))
}

/// Takes an interface that is about to go out of what no parameter refers to: the zones it is in, the wireless
/// networks that lie on it, and the interfaces that stand on its device by its name; and what belongs to it alone, the
/// peers of WireGuard. Whoever gets its name later is somebody else.
///
/// # Errors
/// As [`System::set_option`].
pub fn forget(system: &mut System, interface: &str) -> Result<()> {
    for (package, ty) in [("firewall", "zone"), ("wireless", "wifi-iface")] {
        for section in system.sections(package, ty)?.into_iter().take(MAX) {
            let section = format!("{package}.{}", section.addr);
            let mut words = topology::words(system, &section, "network")?;
            if words.iter().any(|word| word == interface) {
                words.retain(|word| word != interface);
                topology::put_list(system, &section, "network", words)?;
            }
        }
    }
    // From the last on: the places of the others stay.
    for peer in system.sections("network", &format!("wireguard_{interface}"))?.into_iter().rev() {
        system.delete_section(&format!("network.{}", peer.addr))?;
    }
    let alias = format!("@{interface}");
    for section in system.sections("network", "interface")?.into_iter().take(MAX) {
        let section = format!("network.{}", section.addr);
        for option in ["device", "ifname"] {
            if topology::text(system, &section, option)? == alias {
                topology::put(system, &section, option, "")?;
            }
        }
    }
    Ok(())
}

/// The interface towards the ACS, as the agent's configuration names it.
///
/// # Errors
/// As [`System::option`].
pub fn wan(system: &mut System) -> Result<String> {
    let text = system.option_text("cwmp.cpe.default_wan_interface")?;
    Ok(if text.trim().is_empty() { "wan" } else { text.trim() }.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, device: &str, proto: &str) -> Interface {
        Interface { name: name.into(), device: device.into(), proto: proto.into() }
    }

    #[test]
    fn devices() {
        let list = [
            interface("lan", "br-lan", "static"),
            interface("wan6", "eth1", "dhcpv6"),
            interface("wan", "eth1", "dhcp"),
            interface("none", "", "none"),
        ];
        let name = |device, v6| by_device(&list, device, v6).map(|one| one.name.as_str());
        assert_eq!(name("eth1", false), Some("wan"));
        assert_eq!(name("eth1", true), Some("wan6"));
        assert_eq!(name("br-lan", true), Some("lan"));
        assert_eq!(name("", false), None);
        let zone = Zone {
            addr: "@zone[1]".into(),
            name: "wan".into(),
            networks: vec!["wan6".into(), "wan".into()],
            masq: Some(true),
        };
        assert_eq!(face(&zone, &list), Some("wan"));
        assert_eq!(zone_of(std::slice::from_ref(&zone), "wan6").map(|zone| zone.name.as_str()), Some("wan"));
        assert_eq!(zone_of(&[zone], "lan"), None);
    }
}
