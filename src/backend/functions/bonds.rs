//! Link aggregation groups (TR-181 `Device.Ethernet.LAG.`): devices of netifd's type `bonding`, and what else the kernel
//! has joined.
//!
//! ```text
//! config device
//!     option name 'bond1'          ← the row
//!     option type 'bonding'
//!     list ports 'lan1'            ← LowerLayers
//!     option policy '802.3ad'      what IEEE 802.1AX calls link aggregation
//! ```

use super::ethernet::device_row;
use super::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "lag_lower", get: lower, set: Some(set_lower) },
    ValueFn { name: "lag_status", get: status, set: None },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] = &[TableFn { name: "eth_bonds", rows, add: Some(add), delete: Some(delete) }];

/// The groups that are configured: their names and sections.
fn configured(system: &mut System) -> Result<Vec<(String, String)>> {
    let mut out: Vec<(String, String)> = Vec::new();
    for section in system.sections("network", "device")? {
        let section = format!("network.{}", section.addr);
        let name = topology::text(system, &section, "name")?;
        let is_bond = topology::text(system, &section, "type")? == "bonding";
        if is_bond && topology::is_device_name(&name) && out.iter().all(|(known, _)| *known != name) {
            out.push((name, section));
        }
    }
    Ok(out)
}

/// The names of all groups: those of the configuration first.
///
/// # Errors
/// As [`System::sections`].
pub(super) fn names(system: &mut System) -> Result<Vec<String>> {
    let mut out: Vec<String> = configured(system)?.into_iter().map(|(name, _)| name).collect();
    for name in system.names("/sys/class/net") {
        if !out.contains(&name) && topology::in_sysfs(system, &name, "bonding/slaves") {
            out.push(name);
        }
    }
    Ok(out)
}

/// The ports that groups are configured with.
///
/// # Errors
/// As [`System::sections`].
pub(super) fn members(system: &mut System) -> Result<Vec<String>> {
    let mut out = Vec::new();
    for (_, section) in configured(system)? {
        out.extend(topology::words(system, &section, "ports")?);
    }
    Ok(out)
}

fn rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    Ok(names(system)?.into_iter().map(device_row).collect())
}

fn add(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    if !system.exists("/sys/module/bonding") {
        let why = "the kernel cannot join ports without the package kmod-bonding";
        return Err(Error::exhausted(format!("{}: {why}", at.name)));
    }
    let mut taken = system.names("/sys/class/net");
    for section in system.sections("network", "device")? {
        taken.push(topology::text(system, &format!("network.{}", section.addr), "name")?);
    }
    let name = topology::numbered("bond", |name| taken.iter().any(|other| other == name));
    let section = topology::new_section(system, "network", "device", None)?;
    for (option, value) in
        [("name", name.as_str()), ("type", "bonding"), ("policy", "802.3ad"), ("enabled", "0")]
    {
        topology::put(system, &section, option, value)?;
    }
    Ok(device_row(name))
}

/// The configured section of the innermost row.
fn section(system: &mut System, at: &Place<'_>) -> Result<Option<String>> {
    let name = at.row().map(|row| row.addr.clone()).unwrap_or_default();
    Ok(configured(system)?.into_iter().find(|(known, _)| *known == name).map(|(_, section)| section))
}

/// What only the kernel has is somebody else's.
fn delete(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let section = section(system, &at)?.ok_or_else(|| Error::not_deletable(at.name))?;
    system.delete_section(&section)
}

fn lower(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    if let Some(section) = section(system, &at)? {
        return Ok(Some(Raw::Many(topology::words(system, &section, "ports")?)));
    }
    let name = at.row().map(|row| row.addr.clone()).unwrap_or_default();
    let joined = topology::sysfs(system, &name, "bonding/slaves").unwrap_or_default();
    Ok(Some(Raw::Many(joined.split_whitespace().map(str::to_owned).collect())))
}

fn set_lower(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let own = section(system, &at)?.ok_or_else(|| Error::not_writable(at.name))?;
    let ports: Vec<String> = raw.items().into_iter().map(str::to_owned).collect();
    for section in system.sections("network", "device")? {
        let section = format!("network.{}", section.addr);
        if section == own {
            continue;
        }
        let others = topology::words(system, &section, "ports")?;
        if let Some(port) = ports.iter().find(|port| others.contains(port)) {
            let name = topology::text(system, &section, "name")?;
            return Err(Error::bad_value(at.name, format!("{port} is a port of {name}")));
        }
    }
    topology::put_list(system, &own, "ports", ports)
}

/// A group that is not on, or has no port yet, is none of the kernel's.
fn status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let name = at.row().map(|row| row.addr.clone()).unwrap_or_default();
    Ok(Some(Raw::one(topology::status(system, &name).unwrap_or("Down"))))
}
