//! Clock and time zone: `Device.Time.`, and dates of files.

use crate::backend::functions::netif::{put, unless_off};
use crate::backend::functions::topology::truth;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw};
use crate::model::date;
use crate::model::error::Error;
use crate::sys::zone::Zone;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "time_status", get: status, set: None },
    ValueFn { name: "time_server_status", get: server_status, set: None },
    ValueFn { name: "time_server_interface", get: server_interface, set: Some(set_server_interface) },
    ValueFn { name: "time_local", get: local, set: None },
    ValueFn { name: "time_zone", get: zone, set: Some(set_zone) },
    ValueFn { name: "package_date", get: package_date, set: None },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[];

const ZONE: &str = "system.@system[0].timezone";

/// What the agent says of the clock, while the client runs.
fn status(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let word = if !unless_off(system, "system.ntp.enabled")? {
        "Disabled"
    } else if system.agent("TimeStatus") == Some("Synchronized") {
        "Synchronized"
    } else {
        "Unsynchronized"
    };
    Ok(Some(Raw::one(word)))
}

fn server_status(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    // The server is the client's process: one does not run without the other.
    let up =
        unless_off(system, "system.ntp.enabled")? && truth(&system.option_text("system.ntp.enable_server")?);
    Ok(Some(Raw::one(if up { "Up" } else { "Down" })))
}

fn server_option(at: &Place<'_>, option: &str) -> String {
    format!("system.{}.{option}", at.row().map(|row| row.addr.as_str()).unwrap_or_default())
}

fn server_interface(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    system.option(&server_option(&at, "interface"))
}

fn set_server_interface(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let text = raw.text();
    // The interface it was bound to is deleted: on all others it would be for everybody.
    if text.is_empty() && system.releasing {
        system.set_option(&server_option(&at, "enable_server"), Some(&Raw::one("0")))?;
    }
    let value = (!text.is_empty()).then_some(Raw::One(text));
    system.set_option(&server_option(&at, "interface"), value.as_ref())
}

fn local(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (epoch, _) = system.now();
    let offset = Zone::parse(&system.option_text(ZONE)?).offset_at(epoch);
    Ok(Some(Raw::One(date::format_local(epoch, offset / 60))))
}

fn zone(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    system.option(ZONE)
}

fn set_zone(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let text = raw.text();
    if !text.is_empty() && !Zone::is_zone(&text) {
        return Err(Error::bad_value(at.name, "not a time zone as POSIX.1 8.3 writes it"));
    }
    if system.option_text(ZONE)? != text {
        // The name of the old zone would win over the new rule in /etc/localtime.
        put(system, "system.@system[0].zonename", "")?;
    }
    put(system, ZONE, &text)
}

/// When the file of a UCI package was last modified.
fn package_date(system: &mut System, _at: Place<'_>, package: &str) -> Result<Option<Raw>> {
    let path = format!("{}/{package}", system.config_folder());
    Ok(system.modified(&path).map(|epoch| Raw::One(date::format_utc(epoch))))
}
