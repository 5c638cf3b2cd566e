//! DHCPv6 clients (TR-181 `Device.DHCPv6.Client.`): netifd's interfaces of `proto dhcpv6`, which odhcp6c serves.

use super::clients::Clients;
use super::netifd;
use super::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// The table of them. The standard's client asks for prefixes only when it is told to.
const CLIENTS: Clients = Clients {
    proto: "dhcpv6",
    idle: "none",
    mark: "rcwmp_dhcpv6",
    made: "rcwmp-dhcpv6",
    name: "dhcpv6client",
    fresh: &[("reqprefix", "no")],
    kept: &["sendopts", "rcwmp_sendopts", "reqopts", "reqaddress", "reqprefix"],
};
/// The longest DUID, in octets.
const MAX_DUID: usize = 130;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "dhcp6_enable", get: enable, set: Some(set_enable) },
    ValueFn { name: "dhcp6_interface", get: interface, set: Some(set_interface) },
    ValueFn { name: "dhcp6_status", get: status, set: None },
    ValueFn { name: "dhcp6_duid", get: duid, set: None },
    ValueFn { name: "dhcp6_requests", get: requests, set: Some(set_requests) },
    ValueFn { name: "dhcp6_options", get: wanted_options, set: Some(set_wanted_options) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "dhcp6_clients", rows, add: Some(add), delete: Some(delete) },
    TableFn { name: "dhcp6_received", rows: received, add: None, delete: None },
];

fn rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    CLIENTS.rows(system)
}

fn add(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    CLIENTS.add(system)
}

fn delete(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    CLIENTS.delete(system, &at)
}

/// The section that has the options of a client: its interface's, or its own while it has none.
///
/// # Errors
/// As [`System::sections`].
pub fn section(system: &mut System, at: &Place<'_>) -> Result<String> {
    CLIENTS.section(system, at)
}

fn interface(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    Ok(Some(Raw::One(CLIENTS.interface(system, &at)?)))
}

fn set_interface(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    CLIENTS.set_interface(system, &at, &raw.text())
}

fn enable(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(if CLIENTS.is_on(system, &at)? { "1" } else { "0" })))
}

fn set_enable(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    CLIENTS.set_on(system, &at, topology::truth(&raw.text()))
}

fn status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let name = CLIENTS.interface(system, &at)?;
    let section = section(system, &at)?;
    let off = !CLIENTS.is_on(system, &at)? || topology::text(system, &section, "disabled")? == "1";
    let device = topology::interface(system, &name)?.map(|one| one.device).unwrap_or_default();
    Ok(Some(Raw::one(match device.as_str() {
        _ if off => "Disabled",
        "" => "Error_Misconfigured",
        _ => "Enabled",
    })))
}

/// The client identifier that is configured for the interface, or for all of them (25.12). The one that
/// odhcp6c makes by itself is told nowhere.
fn duid(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(system, &at)?;
    let own = topology::text(system, &section, "clientid")?;
    let text = if own.is_empty() { system.option_text("network.globals.dhcp_default_duid")? } else { own };
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let good = digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && digits.len().is_multiple_of(2)
        && digits.len() <= 2 * MAX_DUID;
    Ok(good.then_some(Raw::One(digits)))
}

/// Addresses are asked for unless `reqaddress` is `none`, prefixes unless `reqprefix` is `no`.
fn requests(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let section = section(system, &at)?;
    let on = match what {
        "addresses" => topology::text(system, &section, "reqaddress")? != "none",
        _ => topology::text(system, &section, "reqprefix")? != "no",
    };
    Ok(Some(Raw::one(if on { "1" } else { "0" })))
}

fn set_requests(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    // What is asked for already keeps its spelling: `force`, or a prefix of a certain length.
    if requests(system, at, what)?.is_some_and(|now| topology::truth(&now.text()) == on) {
        return Ok(());
    }
    let (option, off) = if what == "addresses" { ("reqaddress", "none") } else { ("reqprefix", "no") };
    let section = section(system, &at)?;
    topology::put(system, &section, option, if on { "" } else { off })
}

fn wanted_options(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(system, &at)?;
    let mut codes = topology::words(system, &section, "reqopts")?;
    codes.retain(|code| code.parse::<u16>().is_ok());
    Ok(Some(Raw::Many(codes)))
}

fn set_wanted_options(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let codes = raw.items();
    if codes.iter().any(|code| code.parse::<u16>().is_err()) {
        return Err(Error::bad_value(at.name, "an option's code is 0 to 65535"));
    }
    let section = section(system, &at)?;
    match system.option(&format!("{section}.reqopts"))? {
        Some(Raw::Many(_)) => topology::put_list(
            system,
            &section,
            "reqopts",
            codes.iter().map(|code| (*code).to_owned()).collect(),
        ),
        _ => topology::put(system, &section, "reqopts", &codes.join(" ")),
    }
}

/// Rows with code and octets. An option may come twice.
fn received(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let name = CLIENTS.interface(system, &at)?;
    let options = netifd::find(system, &name).map(|told| told.options.clone()).unwrap_or_default();
    let row = |(code, octets): (u16, String)| Row {
        name: format!("{code} {octets}"),
        addr: code.to_string(),
        cols: vec![code.to_string(), octets],
    };
    Ok(options.into_iter().map(row).collect())
}
