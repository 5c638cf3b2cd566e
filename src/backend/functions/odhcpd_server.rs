//! What odhcpd serves (TR-181 `Device.DHCPv6.Server.` and `Device.RouterAdvertisement.`): the sections `dhcp` of
//! `/etc/config/dhcp`, one for each interface, which the pools of DHCPv4 are too.
//!
//! A service of a section is its option `dhcpv6` or `ra`: `server` and `hybrid` serve, `relay` does not. While the
//! whole server is off, what a section did is kept in its `rcwmp_dhcpv6` or `rcwmp_ra`.

use std::net::Ipv6Addr;

use super::netifd::{self, Life, life};
use super::{dhcpv4, prefixes, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};
use crate::ubus::blobmsg::{Table, Value};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "odhcpd_all", get: all_on, set: Some(set_all_on) },
    ValueFn { name: "odhcpd_enable", get: enable, set: Some(set_enable) },
    ValueFn { name: "odhcpd_status", get: status, set: None },
    ValueFn { name: "odhcpd_interface", get: interface, set: Some(set_interface) },
    ValueFn { name: "odhcpd_order", get: order, set: Some(dhcpv4::set_pool_order) },
    ValueFn { name: "odhcpd_flag", get: flag, set: Some(set_flag) },
    ValueFn { name: "odhcpd_dns", get: servers, set: Some(set_servers) },
    ValueFn { name: "odhcpd_prefixes", get: prefixes, set: None },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "odhcpd_pools", rows, add: Some(add), delete: Some(dhcpv4::delete_pool) },
    TableFn { name: "odhcpd_clients", rows: clients, add: None, delete: None },
    TableFn { name: "odhcpd_client", rows: client_parts, add: None, delete: None },
];

/// The most leases, and the most addresses of one, that are looked at.
const MAX_LEASES: usize = 1024;
const MAX_ADDRESSES: usize = 16;
/// The longest DUID, in hexadecimal digits.
const MAX_DUID: usize = 260;

fn word(on: bool) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(if on { "1" } else { "0" })))
}

/// odhcpd's own section, which is there where it is installed.
fn daemon(system: &mut System) -> Result<Option<String>> {
    let section = system.sections("dhcp", "odhcpd")?.into_iter().next();
    Ok(section.map(|section| format!("dhcp.{}", section.addr)))
}

fn rows(system: &mut System, at: Place<'_>, argument: &str) -> Result<Vec<Row>> {
    if daemon(system)?.is_none() {
        return Ok(Vec::new());
    }
    dhcpv4::pool_rows(system, at, argument)
}

fn missing(at: &Place<'_>) -> Error {
    Error::exhausted(format!("{}: odhcpd is not installed", at.name))
}

fn add(system: &mut System, at: Place<'_>, argument: &str) -> Result<Row> {
    if daemon(system)?.is_none() {
        return Err(missing(&at));
    }
    let row = dhcpv4::add_pool(system, at, argument)?;
    if argument == "ra" {
        // odhcpd says by itself that there is more to ask for; the standard does not.
        topology::put_list(system, &format!("dhcp.{}", row.addr), "ra_flags", vec!["none".to_owned()])?;
    }
    Ok(row)
}

fn section(at: &Place<'_>) -> Result<String> {
    let row = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(format!("dhcp.{}", row.row.addr))
}

fn serves(word: &str) -> bool {
    matches!(word, "server" | "hybrid")
}

// --- the whole, and each

fn is_all_on(system: &mut System, service: &str) -> Result<bool> {
    match daemon(system)? {
        Some(daemon) => Ok(topology::text(system, &daemon, &format!("rcwmp_{service}"))? != "0"),
        None => Ok(false),
    }
}

fn all_on(system: &mut System, _at: Place<'_>, service: &str) -> Result<Option<Raw>> {
    word(is_all_on(system, service)?)
}

fn set_all_on(system: &mut System, at: Place<'_>, service: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    let daemon = daemon(system)?.ok_or_else(|| missing(&at))?;
    if on == is_all_on(system, service)? {
        return Ok(());
    }
    let kept = format!("rcwmp_{service}");
    for row in rows(system, at, "")? {
        let section = format!("dhcp.{}", row.addr);
        let was = topology::text(system, &section, &kept)?;
        if on && !was.is_empty() {
            topology::put(system, &section, service, &was)?;
            topology::put(system, &section, &kept, "")?;
        } else if !on && is_on(system, &section, service)? {
            let now = topology::text(system, &section, service)?;
            topology::put(system, &section, &kept, &now)?;
            topology::put(system, &section, service, "disabled")?;
        }
    }
    topology::put(system, &daemon, &kept, if on { "" } else { "0" })
}

fn is_on(system: &mut System, section: &str, service: &str) -> Result<bool> {
    let ignored = topology::truth(&topology::text(system, section, "ignore")?);
    Ok(!ignored && serves(&topology::text(system, section, service)?))
}

fn enable(system: &mut System, at: Place<'_>, service: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    if is_all_on(system, service)? {
        return word(is_on(system, &section, service)?);
    }
    word(!topology::text(system, &section, &format!("rcwmp_{service}"))?.is_empty())
}

fn set_enable(system: &mut System, at: Place<'_>, service: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let on = topology::truth(&raw.text());
    if enable(system, at, service)?.is_some_and(|now| topology::truth(&now.text()) == on) {
        return Ok(());
    }
    if !is_all_on(system, service)? {
        return topology::put(system, &section, &format!("rcwmp_{service}"), if on { "server" } else { "" });
    }
    if on && topology::truth(&topology::text(system, &section, "ignore")?) {
        // What was silent with it must not begin to speak.
        topology::put(system, &section, "ignore", "")?;
        for other in dhcpv4::SERVICES {
            if other == "dhcpv4" || !topology::text(system, &section, other)?.is_empty() {
                topology::put(system, &section, other, "disabled")?;
            }
        }
    }
    topology::put(system, &section, service, if on { "server" } else { "disabled" })
}

fn status(system: &mut System, at: Place<'_>, service: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let on = is_all_on(system, service)? && is_on(system, &section, service)?;
    let name = topology::text(system, &section, "interface")?;
    Ok(Some(Raw::one(match (on, topology::interface(system, &name)?) {
        (false, _) => "Disabled",
        (true, Some(_)) => "Enabled",
        (true, None) => "Error_Misconfigured",
    })))
}

fn interface(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    system.option(&format!("{}.interface", section(&at)?))
}

/// odhcpd knows one section of an interface.
fn set_interface(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let name = raw.text();
    for other in system.sections("dhcp", "dhcp")? {
        let other = format!("dhcp.{}", other.addr);
        if !name.is_empty() && other != section && topology::text(system, &other, "interface")? == name {
            return Err(Error::bad_value(at.name, "another entry serves the interface"));
        }
    }
    topology::put(system, &section, "interface", &name)
}

fn order(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let mine = at.rows.first().map(|row| row.row.addr.clone()).unwrap_or_default();
    let place = rows(system, at, "")?.iter().position(|row| row.addr == mine);
    Ok(place.map(|place| Raw::one((place + 1).to_string())))
}

// --- router advertisements

/// The flags of a section's advertisements: its own, else those of the older `ra_management`, else odhcpd's.
fn flags(system: &mut System, section: &str) -> Result<Vec<String>> {
    let own = topology::words(system, section, "ra_flags")?;
    if !own.is_empty() {
        return Ok(own);
    }
    let managed = matches!(topology::text(system, section, "ra_management")?.as_str(), "1" | "2");
    let both: &[&str] = if managed { &["managed-config", "other-config"] } else { &["other-config"] };
    Ok(both.iter().map(|flag| (*flag).to_owned()).collect())
}

fn flag(system: &mut System, at: Place<'_>, flag: &str) -> Result<Option<Raw>> {
    word(flags(system, &section(&at)?)?.iter().any(|one| one == flag))
}

fn set_flag(system: &mut System, at: Place<'_>, flag: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let mut flags = flags(system, &section)?;
    let on = topology::truth(&raw.text());
    if on == flags.iter().any(|one| one == flag) {
        return Ok(());
    }
    flags.retain(|one| one != flag && one != "none");
    if on {
        flags.push(flag.to_owned());
    }
    if flags.is_empty() {
        flags.push("none".to_owned());
    }
    // The older option told of autonomous addresses too.
    if topology::text(system, &section, "ra_management")? == "2" {
        topology::put(system, &section, "ra_slaac", "0")?;
    }
    topology::put(system, &section, "ra_management", "")?;
    topology::put_list(system, &section, "ra_flags", flags)
}

/// The name servers of IPv6; the list holds those of IPv4 too.
fn servers(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let mut words = topology::words(system, &section(&at)?, "dns")?;
    words.retain(|word| word.parse::<Ipv6Addr>().is_ok());
    Ok(Some(Raw::Many(words)))
}

fn set_servers(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let mut words = topology::words(system, &section, "dns")?;
    words.retain(|word| word.parse::<Ipv6Addr>().is_err());
    words.extend(raw.items().into_iter().map(str::to_owned));
    topology::put_list(system, &section, "dns", words)
}

/// The prefixes of the interface that a service gives addresses of, unless an option says no: `service option`.
fn prefixes(system: &mut System, at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let (service, option) = argument.split_once('/').unwrap_or((argument, ""));
    let told = if option.is_empty() { String::new() } else { topology::text(system, &section, option)? };
    let on = is_all_on(system, service)? && is_on(system, &section, service)?;
    if !on || !(told.is_empty() || topology::truth(&told)) {
        return Ok(None);
    }
    let name = topology::text(system, &section, "interface")?;
    let assigned = netifd::find(system, &name).map(|one| one.assigned.clone()).unwrap_or_default();
    let mut list = Vec::new();
    for (prefix, _) in assigned.iter().take(8) {
        list.push(prefixes::row_name(system, &name, prefix)?);
    }
    Ok(Some(Raw::Many(list)))
}

// --- clients

/// A lease of DHCPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lease {
    /// The client's identifier in hexadecimal digits, and which of its associations this is.
    id: (String, i64),
    /// Addresses and prefixes, each with how long it is preferred and valid.
    given: Vec<(bool, String, Life, Life)>,
}

fn read_lease(table: &Table) -> Option<Lease> {
    let duid = table.text("duid").filter(|text| !text.is_empty() && text.len() <= MAX_DUID)?;
    let hex = duid.len().is_multiple_of(2) && duid.bytes().all(|byte| byte.is_ascii_hexdigit());
    let one = |is_prefix: bool, value: &Value| {
        let table = value.as_table()?;
        let address: Ipv6Addr = table.text("address")?.parse().ok()?;
        let length = table.number("prefix-length").unwrap_or(128);
        let text = match is_prefix {
            true if (0..=128).contains(&length) => format!("{address}/{length}"),
            true => return None,
            false => address.to_string(),
        };
        Some((is_prefix, text, life(table, "preferred-lifetime"), life(table, "valid-lifetime")))
    };
    let mut given = Vec::new();
    for (name, is_prefix) in [("ipv6-addr", false), ("ipv6-prefix", true)] {
        let values = table.array(name).iter().take(MAX_ADDRESSES);
        given.extend(values.filter_map(|value| one(is_prefix, value)));
    }
    let id = (duid.to_ascii_uppercase(), table.number("iaid").unwrap_or(0));
    hex.then_some(Lease { id, given })
}

/// The leases on the device of a section's interface; a client's several ones are one.
fn leases(system: &mut System, section: &str) -> Result<Vec<Lease>> {
    let name = topology::text(system, section, "interface")?;
    let Some(interface) = topology::interface(system, &name)? else { return Ok(Vec::new()) };
    let device = topology::l3_device(system, &interface);
    let Some(answer) = system.ubus("dhcp", "ipv6leases") else { return Ok(Vec::new()) };
    let Some(table) = answer.table("device").and_then(|devices| devices.table(&device)) else {
        return Ok(Vec::new());
    };
    let mut out: Vec<Lease> = Vec::new();
    let found = table.array("leases").iter().take(MAX_LEASES).filter_map(Value::as_table);
    for lease in found.filter_map(read_lease) {
        match out.iter_mut().find(|known| known.id.0 == lease.id.0) {
            Some(known) => known.given.extend(lease.given),
            None => out.push(lease),
        }
    }
    Ok(out)
}

fn clients(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let leases = leases(system, &section(&at)?)?;
    let row = |lease: Lease| Row { name: lease.id.0.clone(), addr: lease.id.0, cols: Vec::new() };
    Ok(leases.into_iter().map(row).collect())
}

/// What a client has: `address`, `prefix`, or `option`. Rows with the two lifetimes; an option with its octets.
fn client_parts(system: &mut System, at: Place<'_>, what: &str) -> Result<Vec<Row>> {
    let Some(client) = at.rows.get(1).map(|row| row.row.name.clone()) else { return Ok(Vec::new()) };
    if what == "option" {
        // The only option that odhcpd tells is the client's identifier.
        return Ok(vec![Row { name: "1".to_owned(), addr: "1".to_owned(), cols: vec![client] }]);
    }
    let leases = leases(system, &section(&at)?)?;
    let given = leases.into_iter().filter(|lease| lease.id.0 == client).flat_map(|lease| lease.given);
    let wanted = given.filter(|one| one.0 == (what == "prefix"));
    let mut row = |(_, text, preferred, valid): (bool, String, Life, Life)| {
        let preferred = netifd::ends(system, &format!("{text} lease preferred"), preferred);
        let valid = netifd::ends(system, &format!("{text} lease valid"), valid);
        Row { name: text.clone(), addr: text, cols: vec![preferred, valid] }
    };
    Ok(wanted.map(&mut row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::json;

    #[test]
    fn leases_of_clients() {
        let lease = |text: &str| read_lease(&json::parse(text).unwrap());
        let good = lease(
            r#"{"duid":"00030001ab","iaid":7,"ipv6-addr":[{"address":"fd00::7","preferred-lifetime":5,"valid-lifetime":-1},
            {"address":"1.2.3.4"},7],"ipv6-prefix":[{"address":"fd00:1::","prefix-length":60},{"address":"fd00::","prefix-length":129}]}"#,
        );
        let given =
            vec![(false, "fd00::7".to_owned(), Some(5), None), (true, "fd00:1::/60".to_owned(), None, None)];
        assert_eq!(good, Some(Lease { id: ("00030001AB".to_owned(), 7), given }));
        for bad in ["{}", r#"{"duid":""}"#, r#"{"duid":"0x"}"#, r#"{"duid":"abc"}"#, r#"{"duid":7}"#] {
            assert_eq!(lease(bad), None, "{bad}");
        }
    }
}
