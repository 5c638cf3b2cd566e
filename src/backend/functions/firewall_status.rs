//! Whether the firewall does what a section of its configuration says: fw4 leaves out what it cannot apply, and says so
//! in the log of its start only.

use std::net::IpAddr;

use super::netif::{self, unless_off, words};
use super::{firewall, nat, topology};
use crate::backend::{System, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "firewall_status", get: status, set: None }];

/// A section's state in TR-181's words; `what` is `rule`, `policy`, `gate` (of what an ACS has made a table of its own)
/// or `mapping`.
fn status(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(row) = at.row() else { return Ok(None) };
    let base = format!("firewall.{}", row.addr);
    if !unless_off(system, &format!("{base}.enabled"))? {
        return Ok(Some(Raw::one("Disabled")));
    }
    let redirects = system.option_text(&format!("{base}.target"))?.eq_ignore_ascii_case("dnat");
    let good = match what {
        "policy" => has(system, &base, "src")? && has(system, &base, "dest")?,
        "rule" => marks(system, &base)?,
        // Without a zone to come from it would be about the router's own packets.
        "gate" => has(system, &base, "src")? && (!redirects || has(system, &base, "dest_ip")?),
        _ => leads_somewhere(system, &base)?,
    };
    let single = what != "mapping" && !redirects || one_each(system, &base)?;
    let good = good
        && single
        && zones_fit(system, &base)?
        && families_fit(system, &base)?
        && ports_fit(system, &base)?;
    Ok(Some(Raw::one(if good { "Enabled" } else { "Error_Misconfigured" })))
}

fn has(system: &mut System, base: &str, option: &str) -> Result<bool> {
    Ok(!system.option_text(&format!("{base}.{option}"))?.is_empty())
}

/// What marks says with what.
fn marks(system: &mut System, base: &str) -> Result<bool> {
    let target = system.option_text(&format!("{base}.target"))?;
    let given = firewall::dscp(&system.option_text(&format!("{base}.set_dscp"))?).is_some();
    Ok(given || !target.eq_ignore_ascii_case("dscp"))
}

/// A port mapping comes in by something that there is. Without an address it leads to the router itself, whether or not
/// it names ports: fw4 makes a `redirect` of it.
fn leads_somewhere(system: &mut System, base: &str) -> Result<bool> {
    let name = system.option_text(&format!("{base}.src"))?;
    let zones = netif::zones(system)?;
    let known = topology::known_interfaces(system)?;
    let Some(zone) = zones.iter().find(|zone| zone.name == name) else { return Ok(false) };
    let there = known.iter().any(|one| zone.networks.contains(&one.name))
        || has(system, &format!("firewall.{}", zone.addr), "device")?;
    let client = system.option_text(&format!("{base}.dest_ip"))?;
    Ok(there && (client.is_empty() || client.parse::<IpAddr>().is_ok()))
}

/// fw4 leaves out a redirect of several ports or addresses.
fn one_each(system: &mut System, base: &str) -> Result<bool> {
    for option in ["src_ip", "src_dip", "src_port", "src_dport", "dest_ip", "dest_port"] {
        if words(system, &format!("{base}.{option}"))?.len() > 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A zone that nobody has configured makes the whole section void.
fn zones_fit(system: &mut System, base: &str) -> Result<bool> {
    let zones = netif::zones(system)?;
    for end in ["src", "dest"] {
        let name = system.option_text(&format!("{base}.{end}"))?;
        if !matches!(&*name, "" | "*") && zones.iter().all(|zone| zone.name != name) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Addresses, zones and the section itself share a version of IP. What is no address is the name of a network.
fn families_fit(system: &mut System, base: &str) -> Result<bool> {
    let family = |text: &str| match text {
        "ipv4" | "inet" | "4" => (true, false),
        "ipv6" | "inet6" | "6" => (false, true),
        _ => (true, true),
    };
    let (mut four, mut six) = family(&system.option_text(&format!("{base}.family"))?);
    let mut narrow = |(of4, of6): (bool, bool)| {
        four &= of4;
        six &= of6;
    };
    for option in ["src_ip", "dest_ip", "src_dip"] {
        let (mut of4, mut of6) = (false, false);
        for word in words(system, &format!("{base}.{option}"))? {
            let address = word.trim_start_matches('!').split('/').next().unwrap_or_default();
            let parsed = address.parse::<IpAddr>().ok();
            of4 |= parsed.is_none_or(|address| address.is_ipv4());
            of6 |= parsed.is_none_or(|address| address.is_ipv6());
        }
        if of4 || of6 {
            narrow((of4, of6));
        }
    }
    let zones = netif::zones(system)?;
    for end in ["src", "dest"] {
        let name = system.option_text(&format!("{base}.{end}"))?;
        if let Some(zone) = zones.iter().find(|zone| zone.name == name) {
            narrow(family(&system.option_text(&format!("firewall.{}.family", zone.addr))?));
        }
    }
    Ok(four || six)
}

/// Ports are numbers, and belong to TCP and UDP: of every other protocol all packets would be meant.
fn ports_fit(system: &mut System, base: &str) -> Result<bool> {
    let mut any = false;
    for option in ["src_port", "dest_port", "src_dport"] {
        for word in words(system, &format!("{base}.{option}"))? {
            any = true;
            if nat::ports(&word).is_none() {
                return Ok(false);
            }
        }
    }
    let protocols = words(system, &format!("{base}.proto"))?;
    let with_ports =
        |word: &String| matches!(&*word.to_ascii_lowercase(), "tcp" | "udp" | "tcpudp" | "6" | "17");
    Ok(!any || protocols.is_empty() || protocols.iter().any(with_ports))
}
