//! `Device.NAT.`: masquerading zones, and port mappings, which are the DNAT redirects of `/etc/config/firewall`.

use std::net::IpAddr;

use crate::backend::functions::netif::{self, put, words};
use crate::backend::functions::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "port_mapping", get: read, set: Some(write) }];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "nat_interfaces", rows: interfaces, add: None, delete: None },
    TableFn { name: "port_mappings", rows: mappings, add: Some(add), delete: Some(delete) },
];

/// What sections of mappings are called that an ACS made.
const PREFIX: &str = "acs_map";

/// The interfaces of zones that say whether they masquerade. A zone may name networks that nobody has configured:
/// nothing goes through them, and TR-181 has no row for them to refer to.
fn interfaces(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let zones = netif::zones(system)?;
    let known = topology::known_interfaces(system)?;
    let rows = zones.iter().filter(|zone| zone.masq.is_some()).flat_map(|zone| {
        let there = |name: &&String| known.iter().any(|one| one.name == **name);
        let row = |name: &String| Row { name: name.clone(), addr: zone.addr.clone(), cols: Vec::new() };
        zone.networks.iter().filter(there).map(row)
    });
    Ok(rows.collect())
}

/// Ports of a rule: `80`, `80-90`, `80:90`; of several the first. The second is 0 for a single port.
/// `None` for none, for names, and for a range that runs backwards.
pub fn ports(text: &str) -> Option<(u16, u16)> {
    let (from, to) = raw_ports(text);
    let from = from?;
    match to {
        Some(to) if to < from => None,
        Some(to) if to > from => Some((from, to)),
        _ => Some((from, 0)),
    }
}

fn raw_ports(text: &str) -> (Option<u16>, Option<u16>) {
    let word = text.split([' ', ',']).find(|word| !word.is_empty()).unwrap_or_default();
    let word = word.strip_prefix('!').unwrap_or(word);
    let (from, to) = word.split_once(['-', ':']).unwrap_or((word, ""));
    (from.parse().ok(), to.parse().ok())
}

impl System {
    /// Whether the range of ports in an option is one: the check is made once all is staged, and `name` is to blame.
    pub(super) fn check_range(&mut self, name: &str, option: &str) {
        let (name, option) = (name.to_owned(), option.to_owned());
        self.later.push(Box::new(move |system| {
            let why = match raw_ports(&system.option_text(&option)?) {
                (Some(0), Some(_)) => "a range needs a first port of 1 or later".to_owned(),
                (Some(from), Some(to)) if to < from => {
                    format!("the range would run from {from} back to {to}")
                }
                _ => return Ok(()),
            };
            Err(Error::bad_in_request(&name, why))
        }));
    }

    /// The port inside of a redirect that has none of its own yet, once all is staged: a range or several ports that
    /// begin with it already show it, and each goes to its own.
    fn inside_later(&mut self, base: &str, port: u16) {
        let base = base.to_owned();
        self.later.push(Box::new(move |system| {
            let outside = system.option_text(&format!("{base}.src_dport"))?;
            let shows = raw_ports(&outside).0 == Some(port) && outside.parse::<u16>().is_err();
            if shows {
                Ok(())
            } else {
                put(system, &format!("{base}.dest_port"), &with_port("", false, port))
            }
        }));
    }
}

/// Puts a new first or last port into the text of a rule. 0 as the first stands for all ports, 0 as the
/// last for a single one. The two are written one after the other, so a range may run backwards in between.
/// What shows that port already stays whole: there may be more in it, such as a second port.
pub fn with_port(text: &str, last: bool, port: u16) -> String {
    let (from, to) = raw_ports(text);
    let now = if last { to.filter(|to| from != Some(*to)) } else { from };
    if now.unwrap_or(0) == port {
        return text.to_owned();
    }
    let (from, to) = if last { (from, Some(port)) } else { (Some(port), to) };
    match (from.unwrap_or(0), to.unwrap_or(0)) {
        (0, 0) => String::new(),
        (from, 0) => from.to_string(),
        (from, to) if from == to => from.to_string(),
        (from, to) => format!("{from}-{to}"),
    }
}

fn is_mapping(system: &mut System, addr: &str) -> Result<Option<String>> {
    let target = system.option_text(&format!("firewall.{addr}.target"))?;
    let src = system.option_text(&format!("firewall.{addr}.src"))?;
    // What AddObject has made for another table is no mapping.
    if !system.option_text(&format!("firewall.{addr}.rcwmp_kind"))?.is_empty() {
        return Ok(None);
    }
    let fits = (target.is_empty() || target.eq_ignore_ascii_case("dnat")) && !src.is_empty() && src != "*";
    Ok(fits.then_some(src))
}

fn mappings(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let zones = netif::zones(system)?;
    let wan = netif::wan(system)?;
    // A zone that masquerades, or the one of the WAN interface while masquerading is off.
    let outside = |src: &str| {
        let zone = zones.iter().find(|zone| zone.name == src);
        zone.is_some_and(|zone| zone.masq == Some(true) || zone.networks.contains(&wan))
    };
    let mut out = Vec::new();
    for section in system.sections("firewall", "redirect")? {
        let addr = section.addr;
        let Some(src) = is_mapping(system, &addr)? else { continue };
        if !outside(&src) {
            continue;
        }
        let mut option = |option: &str| system.option_text(&format!("firewall.{addr}.{option}"));
        if section.name.is_none() {
            let word = match option("name")? {
                name if !name.is_empty() => name,
                _ => format!("{src} {} {} {}", option("proto")?, option("src_dport")?, option("dest_ip")?),
            };
            system.was(&section.id, &word);
        }
        out.push(Row { name: section.id, addr, cols: Vec::new() });
    }
    Ok(out)
}

fn read(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(row) = at.row() else { return Ok(None) };
    let base = format!("firewall.{}", row.addr);
    let mut option = |option: &str| system.option_text(&format!("{base}.{option}"));
    let text = match what {
        "origin" => if row.addr.starts_with(PREFIX) { "Controller" } else { "User" }.to_owned(),
        "interface" => {
            let zone = option("src")?;
            netif::face_of(system, &zone)?
        }
        "remote" => option("src_ip")?,
        "client" => option("dest_ip")?,
        "external" => ports(&option("src_dport")?).map_or(0, |(from, _)| from).to_string(),
        "external_end" => ports(&option("src_dport")?).map_or(0, |(_, to)| to).to_string(),
        // Without a port of its own the packet keeps the one it came to.
        "internal" => {
            let text = option("dest_port")?;
            let text = if text.is_empty() { option("src_dport")? } else { text };
            ports(&text).map_or(0, |(from, _)| from).to_string()
        }
        "protocol" => protocol(&words(system, &format!("{base}.proto"))?).to_owned(),
        _ => return Ok(None),
    };
    Ok((!text.is_empty()).then_some(Raw::One(text)))
}

/// TR-181 has one protocol per mapping; a redirect of both shows the first that TR-181 has.
fn protocol(proto: &[String]) -> &'static str {
    let udp = proto.iter().any(|word| matches!(word.to_ascii_lowercase().as_str(), "udp" | "17"));
    let tcp = proto.iter().any(|word| matches!(word.to_ascii_lowercase().as_str(), "tcp" | "6"));
    if udp && !tcp { "UDP" } else { "TCP" }
}

fn write(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let Some(row) = at.row() else { return Err(Error::not_writable(at.name)) };
    let base = format!("firewall.{}", row.addr);
    let text = raw.text();
    let port = || text.parse::<u16>().map_err(|_| Error::bad_value(at.name, "not a port"));
    let address = |text: &str| {
        let good = text.is_empty() || text.parse::<IpAddr>().is_ok();
        if good { Ok(()) } else { Err(Error::bad_value(at.name, "the firewall takes addresses only")) }
    };
    let is_port = matches!(what, "external" | "external_end" | "internal");
    // An option may say more than the one value that TR-181 has room for, and keeps it when that is given back.
    if !is_port && !system.releasing && read(system, at, what)?.is_some_and(|shown| shown.text() == text) {
        return Ok(());
    }
    match what {
        // It keeps its zone, in which others may be; without any it forwards nothing.
        "interface" if text.is_empty() && system.releasing => Ok(()),
        "interface" => {
            let zone = netif::zone_for(system, at.name, &text)?;
            put(system, &format!("{base}.src"), &zone)
        }
        "remote" => {
            address(&text)?;
            put(system, &format!("{base}.src_ip"), &text)
        }
        "client" => {
            address(&text)?;
            put(system, &format!("{base}.dest_ip"), &text)
        }
        "external" | "external_end" => {
            let old = system.option_text(&format!("{base}.src_dport"))?;
            let new = with_port(&old, what == "external_end", port()?);
            let option = format!("{base}.src_dport");
            if new == old {
                return Ok(());
            }
            put(system, &option, &new)?;
            system.check_range(at.name, &option);
            Ok(())
        }
        "internal" => {
            let (port, option) = (port()?, format!("{base}.dest_port"));
            let old = system.option_text(&option)?;
            if old.is_empty() {
                system.inside_later(&base, port);
                return Ok(());
            }
            let same = with_port(&old, false, port) == old;
            if same { Ok(()) } else { put(system, &option, &with_port("", false, port)) }
        }
        "protocol" => put(system, &format!("{base}.proto"), &text.to_ascii_lowercase()),
        _ => Err(Error::not_writable(at.name)),
    }
}

/// A redirect that the firewall accepts and that does nothing yet: into the LAN from the WAN interface's zone.
fn add(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    let zones = netif::zones(system)?;
    let wan = netif::wan(system)?;
    let outside = netif::zone_of(&zones, &wan).or_else(|| zones.iter().find(|zone| zone.masq == Some(true)));
    let lan = system.option_text("cwmp.cpe.default_lan_interface")?;
    let lan = if lan.is_empty() { "lan".to_owned() } else { lan };
    let Some(outside) = outside else {
        let why = format!("adding to {}: the firewall has no zone towards the WAN", at.name);
        return Err(Error::exhausted(why));
    };
    let name = system.free_name("firewall", PREFIX)?;
    let addr = system.add_section("firewall", "redirect", Some(&name))?;
    let mut options =
        vec![("enabled", "0"), ("target", "DNAT"), ("src", outside.name.as_str()), ("proto", "tcp")];
    if let Some(inside) = netif::zone_of(&zones, &lan) {
        options.push(("dest", inside.name.as_str()));
    }
    for (option, value) in options {
        system.set_option(&format!("firewall.{addr}.{option}"), Some(&Raw::one(value)))?;
    }
    // What has a mapping of its own does not go to a DMZ: the first redirect that fits wins.
    for section in system.sections("firewall", "redirect")? {
        if !system.option_text(&format!("firewall.{}.rcwmp_kind", section.addr))?.is_empty() {
            system.move_section("firewall", &addr, Some(&section.addr))?;
            break;
        }
    }
    Ok(Row { name, addr, cols: Vec::new() })
}

fn delete(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let row = at.row().ok_or_else(|| Error::not_deletable(at.name))?;
    system.delete_section(&format!("firewall.{}", row.addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_rules() {
        for (text, expected) in [
            ("80", Some((80, 0))),
            ("80-90", Some((80, 90))),
            ("80:90", Some((80, 90))),
            ("80-80", Some((80, 0))),
            ("443 8443", Some((443, 0))),
            ("!22", Some((22, 0))),
            ("90-80", None),
            ("", None),
            ("http", None),
            ("70000", None),
            ("-", None),
        ] {
            assert_eq!(ports(text), expected, "{text}");
        }
    }

    #[test]
    fn ports_written() {
        for (text, last, port, expected) in [
            ("", false, 80, "80"),
            ("80", true, 90, "80-90"),
            ("80-90", true, 0, "80"),
            ("80-90", false, 85, "85-90"),
            ("80-90", false, 100, "100-90"),
            ("100-90", true, 110, "100-110"),
            ("80", true, 80, "80"),
            ("80", false, 0, ""),
            ("", true, 90, "0-90"),
            ("0-90", false, 80, "80-90"),
            ("80 443", false, 80, "80 443"),
            ("80 443", true, 0, "80 443"),
            ("80 443", false, 443, "443"),
            ("!22", false, 22, "!22"),
            ("http", false, 0, "http"),
        ] {
            assert_eq!(with_port(text, last, port), expected, "{text} {last} {port}");
        }
    }

    #[test]
    fn protocols() {
        let of = |words: &[&str]| protocol(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["udp"]), "UDP");
        assert_eq!(of(&["tcp", "udp"]), "TCP");
        assert_eq!(of(&[]), "TCP");
        assert_eq!(of(&["UDP"]), "UDP");
    }
}
