//! DHCPv6 clients (TR-181 `Device.DHCPv6.Client.`): netifd's interfaces of `proto dhcpv6`, which odhcp6c serves.
//!
//! A client that is off leaves its interface without a protocol (`proto none`), marked with
//! `option rcwmp_dhcpv6 'off'`. One that AddObject made is a section `rcwmp-dhcpv6`, which netifd does not read;
//! once it is told its interface it stands for that one's client.

use super::netifd;
use super::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// The mark of a client that is off.
const MARK: &str = "rcwmp_dhcpv6";
/// The type of the sections that AddObject makes.
const MADE: &str = "rcwmp-dhcpv6";
/// What a client keeps with its section.
const OPTIONS: [&str; 5] = ["sendopts", "rcwmp_sendopts", "reqopts", "reqaddress", "reqprefix"];
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

/// Whether an interface's client is on, off, or not there.
fn state(system: &mut System, section: &str) -> Result<Option<bool>> {
    if topology::text(system, section, "proto")? == "dhcpv6" {
        return Ok(Some(true));
    }
    Ok((topology::text(system, section, MARK)? == "off").then_some(false))
}

/// The sections that AddObject made: name and interface.
fn made(system: &mut System) -> Result<Vec<(String, String)>> {
    let mut out = Vec::new();
    for section in system.sections("network", MADE)? {
        let Some(name) = section.name else { continue };
        let interface = topology::text(system, &format!("network.{name}"), "interface")?;
        out.push((name, interface));
    }
    Ok(out)
}

fn rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let made = made(system)?;
    let mut out = Vec::new();
    for interface in topology::interfaces(system)? {
        let known = made.iter().any(|(_, taken)| *taken == interface.name);
        if !known && state(system, &format!("network.{}", interface.name))?.is_some() {
            out.push(Row { name: interface.name.clone(), addr: interface.name, cols: Vec::new() });
        }
    }
    for (name, interface) in made {
        let addr = if interface.is_empty() { name.clone() } else { interface };
        out.push(Row { name, addr, cols: Vec::new() });
    }
    Ok(out)
}

fn add(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    let name = topology::free_name(system, "network", "dhcpv6client")?;
    let section = topology::new_section(system, "network", MADE, Some(&name))?;
    // The standard's client asks for prefixes only when it is told to.
    topology::put(system, &section, "reqprefix", "no")?;
    Ok(Row { name: name.clone(), addr: name, cols: Vec::new() })
}

fn delete(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let (own, interface) = client(system, &at)?;
    let section = format!("network.{interface}");
    if !interface.is_empty() && state(system, &section)?.is_some() {
        topology::put(system, &section, "proto", "none")?;
        for option in OPTIONS.into_iter().chain([MARK]) {
            topology::put_list(system, &section, option, Vec::new())?;
        }
    }
    match own {
        Some(own) => system.delete_section(&format!("network.{own}")),
        None => Ok(()),
    }
}

/// The client of the outermost row: its own section if AddObject made it, and its interface if it has one.
fn client(system: &mut System, at: &Place<'_>) -> Result<(Option<String>, String)> {
    let row = at.rows.first().ok_or_else(|| Error::UnknownName(at.name.to_owned()))?;
    let name = row.row.name.clone();
    Ok(match made(system)?.into_iter().find(|(made, _)| *made == name) {
        Some((made, interface)) => (Some(made), interface),
        None => (None, name),
    })
}

/// The section that has the options of a client: its interface's, or its own while it has none.
///
/// # Errors
/// As [`System::sections`].
pub fn section(system: &mut System, at: &Place<'_>) -> Result<String> {
    Ok(match client(system, at)? {
        (Some(own), interface) if interface.is_empty() => format!("network.{own}"),
        (_, interface) => format!("network.{interface}"),
    })
}

fn is_on(system: &mut System, at: &Place<'_>) -> Result<bool> {
    match client(system, at)? {
        (Some(own), interface) if interface.is_empty() => {
            Ok(topology::text(system, &format!("network.{own}"), "enable")? == "1")
        }
        (_, interface) => Ok(state(system, &format!("network.{interface}"))? == Some(true)),
    }
}

fn interface(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    Ok(Some(Raw::One(client(system, &at)?.1)))
}

fn set_interface(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let (own, now) = client(system, &at)?;
    let wanted = raw.text();
    if wanted == now {
        return Ok(());
    }
    let Some(own) = own.filter(|_| now.is_empty()) else {
        let why = "the client belongs to its interface: delete it and add another";
        return Err(Error::bad_value(at.name, why));
    };
    let (from, to) = (format!("network.{own}"), format!("network.{wanted}"));
    if made(system)?.iter().any(|(_, taken)| *taken == wanted) || state(system, &to)?.is_some() {
        return Err(Error::bad_value(at.name, "the interface has a client already"));
    }
    if !matches!(topology::text(system, &to, "proto")?.as_str(), "" | "none" | "static") {
        return Err(Error::bad_value(at.name, "the interface has another protocol"));
    }
    let on = topology::text(system, &from, "enable")? == "1";
    topology::put(system, &from, "enable", "")?;
    topology::put(system, &from, "interface", &wanted)?;
    for option in OPTIONS {
        if let Some(raw) = system.option(&format!("{from}.{option}"))? {
            system.set_option(&format!("{to}.{option}"), Some(&raw))?;
            system.set_option(&format!("{from}.{option}"), None)?;
        }
    }
    switch(system, &to, on)
}

fn switch(system: &mut System, section: &str, on: bool) -> Result<()> {
    topology::put(system, section, "proto", if on { "dhcpv6" } else { "none" })?;
    topology::put(system, section, MARK, if on { "" } else { "off" })
}

fn enable(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(if is_on(system, &at)? { "1" } else { "0" })))
}

fn set_enable(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    if on == is_on(system, &at)? {
        return Ok(());
    }
    match client(system, &at)? {
        (Some(own), interface) if interface.is_empty() => {
            topology::put(system, &format!("network.{own}"), "enable", if on { "1" } else { "" })
        }
        (_, interface) => switch(system, &format!("network.{interface}"), on),
    }
}

fn status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let name = client(system, &at)?.1;
    let section = section(system, &at)?;
    let off = !is_on(system, &at)? || topology::text(system, &section, "disabled")? == "1";
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
    let name = client(system, &at)?.1;
    let options = netifd::find(system, &name).map(|told| told.options).unwrap_or_default();
    let row = |(code, octets): (u16, String)| Row {
        name: format!("{code} {octets}"),
        addr: code.to_string(),
        cols: vec![code.to_string(), octets],
    };
    Ok(options.into_iter().map(row).collect())
}
