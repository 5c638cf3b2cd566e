//! PPP links (TR-181 `Device.PPP.`): netifd's interfaces whose protocol makes one, named as the network device
//! that the protocol makes (`pppoe-wan`), addressed by their sections.
//!
//! The link and the IP interface upon it are one section: they come, go and are switched together.

use std::net::Ipv6Addr;

use super::netifd;
use super::topology::{self, Interface};
use super::{kernel_routes, netif, proc_net};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// After how many seconds without traffic a link on demand ends, when nobody has told.
const IDLE: &str = "300";
/// The most links.
const MAX_LINKS: usize = 64;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "ppp_status", get: status, set: None },
    ValueFn { name: "ppp_lower", get: lower, set: Some(set_lower) },
    ValueFn { name: "ppp_connection", get: connection, set: None },
    ValueFn { name: "ppp_error", get: error, set: None },
    ValueFn { name: "ppp_mru", get: mru, set: Some(set_mru) },
    ValueFn { name: "ppp_trigger", get: trigger, set: Some(set_trigger) },
    ValueFn { name: "ppp_ipcp", get: ipcp, set: None },
    ValueFn { name: "ppp_identifier", get: identifier, set: None },
    ValueFn { name: "ppp_session", get: session, set: None },
    ValueFn { name: "ppp_echo", get: echo, set: Some(set_echo) },
];

/// Behind tables.
pub const TABLES: &[TableFn] =
    &[TableFn { name: "ppp_interfaces", rows, add: Some(add), delete: Some(delete) }];

/// What pppd's exit codes are called by OpenWrt's scripts, and TR-181's word.
const ERRORS: &[(&str, &str)] = &[
    ("AUTH_FAILED", "ERROR_AUTHENTICATION_FAILURE"),
    ("AUTH_TOPEER_FAILED", "ERROR_AUTHENTICATION_FAILURE"),
    ("PEER_AUTH_FAILED", "ERROR_AUTHENTICATION_FAILURE"),
    ("CNID_AUTH_FAILED", "ERROR_AUTHENTICATION_FAILURE"),
    ("CONNECT_FAILED", "ERROR_ISP_TIME_OUT"),
    ("PEER_DEAD", "ERROR_ISP_TIME_OUT"),
    ("HANGUP", "ERROR_ISP_DISCONNECT"),
    ("IDLE_TIMEOUT", "ERROR_IDLE_DISCONNECT"),
    ("USER_REQUEST", "ERROR_USER_DISCONNECT"),
    ("CONNECT_TIME", "ERROR_FORCED_DISCONNECT"),
    ("TRAFFIC_LIMIT", "ERROR_FORCED_DISCONNECT"),
    ("NEGOTIATION_FAILED", "ERROR_IP_CONFIGURATION"),
    ("NO_DEVICE", "ERROR_NO_CARRIER"),
];

fn rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for Interface { name, proto, .. } in topology::interfaces(system)? {
        if let Some(device) = topology::ppp_device(system, &name, &proto)?
            && out.len() < MAX_LINKS
        {
            out.push(Row { name: device.clone(), addr: name, cols: vec![device] });
        }
    }
    Ok(out)
}

/// A new link is PPPoE, and off until it is switched on.
fn add(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    let name = topology::free_name(system, "network", "ppp")?;
    let section = topology::new_section(system, "network", "interface", Some(&name))?;
    for (option, value) in [("proto", "pppoe"), ("disabled", "1")] {
        topology::put(system, &section, option, value)?;
    }
    let device = format!("pppoe-{name}");
    Ok(Row { name: device.clone(), addr: name, cols: vec![device] })
}

fn delete(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let name = section_name(&at)?;
    netif::forget(system, &name)?;
    system.delete_section(&format!("network.{name}"))
}

fn section_name(at: &Place<'_>) -> Result<String> {
    let row = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(row.row.addr.clone())
}

fn link(system: &mut System, at: &Place<'_>) -> Result<Interface> {
    let name = section_name(at)?;
    topology::interface(system, &name)?.ok_or_else(|| Error::unknown_name(at.name))
}

fn is_off(system: &mut System, link: &Interface) -> Result<bool> {
    Ok(topology::text(system, &format!("network.{}", link.name), "disabled")? == "1")
}

fn status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let link = link(system, &at)?;
    if is_off(system, &link)? {
        return Ok(Some(Raw::one("Down")));
    }
    let device = topology::ppp_device(system, &link.name, &link.proto)?.unwrap_or_default();
    Ok(Some(Raw::one(netifd::status(system, &link, &device))))
}

fn lower(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(link(system, &at)?.device)))
}

fn set_lower(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let given = raw.items();
    if given.len() > 1 {
        return Err(Error::bad_value(at.name, "a link stands on one device"));
    }
    let device = given.first().copied().unwrap_or_default();
    let link = link(system, &at)?;
    if device == link.device {
        return Ok(());
    }
    let section = format!("network.{}", link.name);
    let option = topology::lower_option_name(system, &section)?;
    topology::put(system, &section, option, device)
}

fn connection(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let link = link(system, &at)?;
    let off = is_off(system, &link)?;
    let device = topology::ppp_device(system, &link.name, &link.proto)?.unwrap_or_default();
    let kernel = topology::status(system, &device) == Some("Up");
    let nothing_to_go_by = link.proto == "pppoe" && link.device.is_empty();
    Ok(Some(Raw::one(match netifd::find(system, &link.name) {
        _ if nothing_to_go_by => "Unconfigured",
        Some(told) if told.up => "Connected",
        Some(told) if told.pending && !off => "Connecting",
        None if kernel => "Connected",
        _ => "Disconnected",
    })))
}

fn error(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let name = section_name(&at)?;
    let told = netifd::find(system, &name).map(|told| told.errors.clone()).unwrap_or_default();
    let word = |(_, code): &(String, String)| {
        ERRORS.iter().find(|(known, _)| known == code).map_or("ERROR_UNKNOWN", |(_, word)| word)
    };
    Ok(Some(Raw::one(told.last().map_or("ERROR_NONE", word))))
}

fn mru(system: &mut System, at: Place<'_>, which: &str) -> Result<Option<Raw>> {
    let link = link(system, &at)?;
    let device = topology::ppp_device(system, &link.name, &link.proto)?.unwrap_or_default();
    let told = system.option(&format!("network.{}.mtu", link.name))?;
    let kernel = topology::sysfs(system, &device, "mtu").map(Raw::one);
    // netifd gives pppd one number for both directions.
    Ok(if which == "current" { kernel.or(told) } else { told.or(kernel) })
}

fn set_mru(system: &mut System, at: Place<'_>, _which: &str, raw: &Raw) -> Result<()> {
    let name = section_name(&at)?;
    topology::put(system, &format!("network.{name}"), "mtu", &raw.text())
}

fn trigger(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = format!("network.{}", section_name(&at)?);
    let on_demand = topology::text(system, &section, "demand")?.parse::<u32>().is_ok_and(|idle| idle > 0);
    let auto = topology::text(system, &section, "auto")?;
    Ok(Some(Raw::one(match auto.as_str() {
        _ if !auto.is_empty() && !topology::truth(&auto) => "Manual",
        _ if on_demand => "OnDemand",
        _ => "AlwaysOn",
    })))
}

fn set_trigger(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let wanted = raw.text();
    if trigger(system, at, argument)?.is_some_and(|now| now.text() == wanted) {
        return Ok(());
    }
    let section = format!("network.{}", section_name(&at)?);
    let (auto, demand) = match wanted.as_str() {
        "Manual" => ("0", ""),
        "OnDemand" => ("", IDLE),
        _ => ("", ""),
    };
    topology::put(system, &section, "auto", auto)?;
    topology::put(system, &section, "demand", demand)
}

/// The PPPoE session on a device, as `/proc/net/pppoe` has it: the kernel prints the two octets of the packet
/// as a number of its own. `None` for none, and for several, which nobody can tell apart.
fn session_on(text: &str, device: &str) -> Option<u16> {
    let on = |line: &str| -> Option<u16> {
        let mut words = line.split_whitespace();
        let id = u32::from_str_radix(words.next()?, 16).ok()?;
        (words.nth(1)? == device).then(|| u16::try_from(id).ok().map(u16::from_be)).flatten()
    };
    let mut found = text.lines().skip(1).take(MAX_LINKS).filter_map(on);
    found.next().filter(|id| *id > 0 && found.next().is_none())
}

/// TR-181's numbers begin at 1, and it has none for no session: Status and LastConnectionError tell of that.
fn session(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let link = link(system, &at)?;
    if link.proto != "pppoe" {
        return Ok(None);
    }
    // Another link may have its session on the same device.
    let own = topology::ppp_device(system, &link.name, &link.proto)?.unwrap_or_default();
    if !topology::in_sysfs(system, &own, "") {
        return Ok(None);
    }
    let text = system.text("/proc/net/pppoe").unwrap_or_default();
    Ok(session_on(&text, &link.device).map(|id| Raw::One(id.to_string())))
}

/// The lower half of the link-local address, which IPv6CP has agreed on; of the other end with `remote`.
fn identifier(system: &mut System, at: Place<'_>, whose: &str) -> Result<Option<Raw>> {
    let link = link(system, &at)?;
    let device = topology::ppp_device(system, &link.name, &link.proto)?.unwrap_or_default();
    let all = proc_net::if_inet6(system);
    let own = all.iter().filter(|one| one.device == device);
    let mut all: Vec<Ipv6Addr> = own.map(|one| one.address).collect();
    if whose == "remote" {
        // pppd sets a route to the other end alone.
        let ends = kernel_routes::ends_v6(&system.text("/proc/net/ipv6_route").unwrap_or_default(), &device);
        all = ends.into_iter().filter(|end| !all.contains(end)).collect();
    }
    let local = all.into_iter().find(Ipv6Addr::is_unicast_link_local);
    let lower = |address: Ipv6Addr| Ipv6Addr::from(u128::from(address) & u128::from(u64::MAX));
    Ok(local.map(|address| Raw::One(lower(address).to_string())))
}

/// Failures and seconds between of LCP echoes, `5 1` or `5,1`; what is left out is as in /etc/ppp/options.
fn echoes(system: &mut System, at: &Place<'_>) -> Result<[String; 2]> {
    let text = topology::text(system, &format!("network.{}", section_name(at)?), "keepalive")?;
    let mut words = text.split([' ', ',']).filter(|word| word.parse::<u32>().is_ok()).map(str::to_owned);
    let failures = words.next();
    // A number alone goes with the five seconds of the script.
    let default = if failures.is_some() { "5" } else { "1" };
    Ok([failures.unwrap_or_else(|| "5".to_owned()), words.next().unwrap_or_else(|| default.to_owned())])
}

fn echo(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let [failures, seconds] = echoes(system, &at)?;
    Ok(Some(Raw::One(if what == "retry" { failures } else { seconds })))
}

fn set_echo(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let [mut failures, mut seconds] = echoes(system, &at)?;
    *(if what == "retry" { &mut failures } else { &mut seconds }) = raw.text();
    topology::put(
        system,
        &format!("network.{}", section_name(&at)?),
        "keepalive",
        &format!("{failures} {seconds}"),
    )
}

fn ipcp(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let name = section_name(&at)?;
    let Some(told) = netifd::find(system, &name).filter(|told| told.up) else { return Ok(None) };
    let own = told.ipv4.iter().find(|one| one.peer.is_some()).or(told.ipv4.first());
    Ok(match what {
        "local" => own.map(|one| Raw::One(one.address.to_string())),
        "remote" => own.and_then(|one| one.peer).map(|peer| Raw::One(peer.to_string())),
        // IPCP has a first and a second one (RFC 1877).
        _ => Some(Raw::Many(
            told.dns.iter().filter(|one| one.is_ipv4()).take(2).map(ToString::to_string).collect(),
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions() {
        let line = |id: u16, device: &str| format!("{:08X} 02:00:00:00:00:01    {device}\n", id.to_be());
        let head = "Id       Address              Device\n";
        let text = format!("{head}{}{}", line(0x1234, "eth1.7"), line(7, "eth0"));
        assert_eq!(session_on(&text, "eth1.7"), Some(0x1234));
        assert_eq!(session_on(&text, "eth2"), None);
        assert_eq!(session_on(&format!("{text}{}", line(8, "eth0")), "eth0"), None);
        assert_eq!(session_on(&format!("{head}x\n00010000 a eth0\n"), "eth0"), None);
    }
}
