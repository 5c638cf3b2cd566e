//! Switches for all of a kind: the 6rd, DS-Lite or MAP interfaces, and IPv6 itself. OpenWrt has switches for each
//! only, so that the whole is off when each of them is; what each was keeps a mark, and is again when the whole is on.

use super::topology::{self, Interface};
use super::{ip, netifd};
use crate::backend::{System, ValueFn};
use crate::model::backend::{Place, Raw};
use crate::model::{Error, Result};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "proto_all", get: protos_on, set: Some(set_protos_on) },
    ValueFn { name: "proto_enable", get: proto_on, set: Some(set_proto_on) },
    ValueFn { name: "ip6_all", get: ip6_all, set: Some(set_ip6_all) },
    ValueFn { name: "ip6_enable", get: ip6_enable, set: Some(set_ip6_enable) },
    ValueFn { name: "ip6_ula", get: ula, set: Some(set_ula) },
];

/// On an interface or a device: it is on, once the whole is.
const WOULD: &str = "rcwmp_on";
const WOULD6: &str = "rcwmp_ipv6";
/// On a PPP link whose IPv6 is off: what its option was while it was on, or [`ABSENT`].
const WORD6: &str = "rcwmp_ipv6_was";
const ABSENT: &str = "absent";
/// netifd's class of the prefixes of the ULA.
const LOCAL: &str = "local";
/// How long the prefixes are that an interface is assigned; none without it.
const ASSIGN: &str = "ip6assign";
/// What was before the ULA was switched off: a length, or all classes.
const KEPT: &str = "rcwmp_ula";
const ALL: &str = "all";

fn flag(on: bool) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(if on { "1" } else { "0" })))
}

/// The section for what concerns all interfaces.
fn globals(system: &mut System) -> Result<Option<String>> {
    let section = system.sections("network", "globals")?.into_iter().next();
    Ok(section.map(|section| format!("network.{}", section.addr)))
}

fn is_off(system: &mut System, key: &str) -> Result<bool> {
    match globals(system)? {
        Some(section) => Ok(topology::text(system, &section, &format!("rcwmp_{key}"))? == "0"),
        None => Ok(false),
    }
}

fn put_off(system: &mut System, key: &str, off: bool) -> Result<()> {
    let section = match globals(system)? {
        Some(section) => section,
        None => topology::new_section(system, "network", "globals", Some("globals"))?,
    };
    topology::put(system, &section, &format!("rcwmp_{key}"), if off { "0" } else { "" })
}

// --- protocols

fn of_proto(system: &mut System, proto: &str) -> Result<Vec<String>> {
    let all = topology::interfaces(system)?;
    Ok(all.into_iter().filter(|one| one.proto == proto).map(|one| format!("network.{}", one.name)).collect())
}

fn is_disabled(system: &mut System, section: &str) -> Result<bool> {
    Ok(topology::truth(&topology::text(system, section, "disabled")?))
}

/// The protocol is off where nothing could serve it.
fn protos_on(system: &mut System, _at: Place<'_>, proto: &str) -> Result<Option<Raw>> {
    let known =
        system.exists(&format!("/lib/netifd/proto/{proto}.sh")) || !of_proto(system, proto)?.is_empty();
    flag(known && !is_off(system, proto)?)
}

fn set_protos_on(system: &mut System, _at: Place<'_>, proto: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    if on != is_off(system, proto)? {
        return Ok(());
    }
    for section in of_proto(system, proto)? {
        let would = topology::text(system, &section, WOULD)? == "1";
        if on && would {
            topology::put(system, &section, "disabled", "")?;
            topology::put(system, &section, WOULD, "")?;
        } else if !on && !is_disabled(system, &section)? {
            topology::put(system, &section, WOULD, "1")?;
            topology::put(system, &section, "disabled", "1")?;
        }
    }
    put_off(system, proto, !on)
}

fn section(at: &Place<'_>) -> Result<String> {
    let row = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(format!("network.{}", row.row.addr))
}

fn proto_on(system: &mut System, at: Place<'_>, proto: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    if is_off(system, proto)? {
        return flag(topology::text(system, &section, WOULD)? == "1");
    }
    flag(!is_disabled(system, &section)?)
}

fn set_proto_on(system: &mut System, at: Place<'_>, proto: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let on = topology::truth(&raw.text());
    if is_off(system, proto)? {
        return topology::put(system, &section, WOULD, if on { "1" } else { "" });
    }
    topology::put(system, &section, "disabled", if on { "0" } else { "1" })
}

// --- IPv6

/// Where an interface's IPv6 is switched: of a PPP link with its IPv6CP, else with its device.
enum Place6 {
    Link(String),
    Device(String),
}

fn place6(system: &mut System, interface: &Interface) -> Result<Option<Place6>> {
    if topology::ppp_device(system, &interface.name, &interface.proto)?.is_some() {
        return Ok(Some(Place6::Link(format!("network.{}", interface.name))));
    }
    let device = &interface.device;
    Ok((topology::is_device_name(device) && device != "lo").then(|| Place6::Device(device.clone())))
}

impl Place6 {
    fn text(&self, system: &mut System, option: &str) -> Result<String> {
        match self {
            Place6::Link(section) => topology::text(system, section, option),
            Place6::Device(device) => {
                Ok(topology::device_option(system, device, option)?.map(|raw| raw.text()).unwrap_or_default())
            }
        }
    }

    fn put(&self, system: &mut System, option: &str, value: &str) -> Result<()> {
        match self {
            Place6::Link(section) => topology::put(system, section, option, value),
            Place6::Device(device) => topology::put_device_option(system, device, option, value),
        }
    }

    /// Switches it, and touches nothing that is as wanted: `auto` and no option at all make netifd start a DHCPv6
    /// client on a PPP link, `1` does not. What the link had comes back after an off and on.
    fn turn(&self, system: &mut System, on: bool) -> Result<()> {
        if self.is_on(system)? == on {
            return Ok(());
        }
        let Place6::Link(section) = self else {
            return self.put(system, "ipv6", if on { "1" } else { "0" });
        };
        if !on {
            let word = self.text(system, "ipv6")?;
            self.put(system, WORD6, if word.is_empty() { ABSENT } else { &word })?;
            return self.put(system, "ipv6", "0");
        }
        let word = self.text(system, WORD6)?;
        let word = match &*word {
            ABSENT => "",
            "" if has_alias(system, section)? => "1",
            "" => "auto",
            word => word,
        };
        self.put(system, WORD6, "")?;
        self.put(system, "ipv6", word)
    }

    /// As configured, else as the kernel has it.
    fn is_on(&self, system: &mut System) -> Result<bool> {
        let told = self.text(system, "ipv6")?;
        Ok(match self {
            Place6::Link(_) => told != "0",
            Place6::Device(_) if !told.is_empty() => topology::truth(&told),
            Place6::Device(device) => ip::kernel_speaks_ip6(system, device),
        })
    }
}

/// Whether another interface was put on a link by hand, `@wan`: it has a DHCPv6 client already.
fn has_alias(system: &mut System, section: &str) -> Result<bool> {
    let alias = section.replacen("network.", "@", 1);
    for other in system.sections("network", "interface")? {
        let other = format!("network.{}", other.addr);
        for option in ["device", "ifname"] {
            if topology::text(system, &other, option)? == alias {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn kernel_has_ip6(system: &mut System) -> bool {
    system.text("/proc/sys/net/ipv6/conf/all/disable_ipv6").is_some_and(|text| text.trim() == "0")
}

fn ip6_all(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    flag(kernel_has_ip6(system) && !is_off(system, "ipv6")?)
}

fn set_ip6_all(system: &mut System, _at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    if on != is_off(system, "ipv6")? {
        return Ok(());
    }
    for interface in topology::interfaces(system)? {
        let Some(place) = place6(system, &interface)? else { continue };
        let would = place.text(system, WOULD6)? == "1";
        if on && would {
            place.turn(system, true)?;
            place.put(system, WOULD6, "")?;
        } else if !on && !would && place.is_on(system)? {
            place.put(system, WOULD6, "1")?;
            place.turn(system, false)?;
        }
    }
    put_off(system, "ipv6", !on)
}

fn interface(system: &mut System, at: &Place<'_>) -> Result<Interface> {
    // The row of an IP interface, or of the PPP link in the same section.
    let name = at.rows.first().map(|row| row.row.addr.clone()).unwrap_or_default();
    topology::interface(system, &name)?.ok_or_else(|| Error::unknown_name(at.name))
}

fn ip6_enable(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let interface = interface(system, &at)?;
    match place6(system, &interface)? {
        Some(place) if is_off(system, "ipv6")? => flag(place.text(system, WOULD6)? == "1"),
        Some(place) => flag(place.is_on(system)?),
        None => flag(ip::kernel_speaks_ip6(system, &interface.device)),
    }
}

fn set_ip6_enable(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let interface = interface(system, &at)?;
    let place = match place6(system, &interface)? {
        Some(place) => place,
        None if interface.device == "lo" => Place6::Device(interface.device),
        None => return Err(Error::bad_value(at.name, "the interface has no device yet")),
    };
    let on = topology::truth(&raw.text());
    if is_off(system, "ipv6")? {
        return place.put(system, WOULD6, if on { "1" } else { "" });
    }
    place.turn(system, on)
}

// --- the ULA

/// An interface that is assigned prefixes takes those of all classes, unless it lists those that it takes.
fn ula(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let classes = topology::words(system, &section, "ip6class")?;
    let assigned = !topology::text(system, &section, ASSIGN)?.is_empty();
    flag(assigned && (classes.is_empty() || classes.iter().any(|class| class == LOCAL)))
}

/// The classes but the ULA's: the interfaces that prefixes come from.
fn classes(system: &mut System) -> Result<Vec<String>> {
    let mut out: Vec<String> = Vec::new();
    for Interface { name, proto, .. } in topology::interfaces(system)? {
        match proto.as_str() {
            "dhcpv6" | "6in4" | "6to4" | "6rd" => out.push(name),
            "ppp" | "pppoe" | "pppoa" => out.push(format!("{name}_6")),
            _ => {}
        }
    }
    for one in netifd::all(system).iter().filter(|one| !one.delegated.is_empty()) {
        if !out.contains(&one.name) {
            out.push(one.name.clone());
        }
    }
    Ok(out)
}

fn set_ula(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    if ula(system, at, argument)?.is_some_and(|now| topology::truth(&now.text()) == on) {
        return Ok(());
    }
    let section = section(&at)?;
    let mut list = topology::words(system, &section, "ip6class")?;
    let assigned = topology::text(system, &section, ASSIGN)?;
    let kept = topology::text(system, &section, KEPT)?;
    match on {
        true if assigned.is_empty() => {
            // Of the ULA a LAN, and nothing else.
            topology::put(system, &section, ASSIGN, if kept.is_empty() { "64" } else { &kept })?;
            topology::put(system, &section, KEPT, "")?;
            list = vec![LOCAL.to_owned()];
        }
        // Nobody listed classes before this was switched off.
        true if kept == ALL => {
            topology::put(system, &section, KEPT, "")?;
            list.clear();
        }
        true => list.push(LOCAL.to_owned()),
        false if list.is_empty() => {
            list = classes(system)?;
            if list.is_empty() {
                return Err(Error::bad_value(at.name, "no prefixes but the ULA's could reach the interface"));
            }
            topology::put(system, &section, KEPT, ALL)?;
        }
        false => {
            list.retain(|class| class != LOCAL);
            if list.is_empty() {
                topology::put(system, &section, KEPT, &assigned)?;
                topology::put(system, &section, ASSIGN, "")?;
            }
        }
    }
    topology::put_list(system, &section, "ip6class", list)
}
