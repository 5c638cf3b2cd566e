//! Services by their start scripts in `/etc/init.d`: switched on and off for good, or started and stopped once. The
//! scripts are run when the change is committed and other services have followed theirs.

use super::orders::Order;
use super::topology;
use crate::backend::packages::is_name;
use crate::backend::{System, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "service_enable", get: enable, set: Some(set_enable) },
    ValueFn { name: "service_autostart", get: enable, set: Some(set_autostart) },
    ValueFn { name: "service_state", get: state, set: Some(set_state) },
];

/// Our own: without them nobody could be told to start anything again.
const OWN: [&str; 2] = ["rcwmpd", "icwmpd"];

fn script(name: &str) -> String {
    format!("/etc/init.d/{name}")
}

fn order(name: &str, verb: &'static str) -> Order {
    Order::Script(name.to_owned(), verb)
}

/// Whether a service starts with the system, as far as it is known what was ordered.
pub fn is_enabled(system: &mut System, name: &str) -> bool {
    if system.is_ordered(&order(name, "enable")) {
        return true;
    }
    if system.is_ordered(&order(name, "disable")) {
        return false;
    }
    let is_link = |link: &String| {
        link.strip_prefix('S').and_then(|rest| rest.get(2..)) == Some(name)
            && link.bytes().skip(1).take(2).all(|byte| byte.is_ascii_digit())
    };
    system.names("/etc/rc.d").iter().any(is_link)
}

/// Orders that a service starts with the system, and now; or neither.
///
/// # Errors
/// [`Error::bad_value`] for a service that is not installed, and for our own.
pub fn put_enabled(system: &mut System, at: Place<'_>, name: &str, on: bool) -> Result<()> {
    if is_enabled(system, name) == on {
        return Ok(());
    }
    for verb in if on { ["enable", "start"] } else { ["disable", "stop"] } {
        run(system, at, name, verb)?;
    }
    Ok(())
}

fn run(system: &mut System, at: Place<'_>, name: &str, verb: &'static str) -> Result<()> {
    if !is_name(name) || !system.exists(&script(name)) {
        return Err(Error::bad_value(at.name, "the program that this belongs to is not installed"));
    }
    if OWN.contains(&name) && matches!(verb, "stop" | "disable") {
        return Err(Error::bad_value(at.name, "this agent cannot switch itself off"));
    }
    system.order(order(name, verb));
    Ok(())
}

fn enable(system: &mut System, _at: Place<'_>, name: &str) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(if is_enabled(system, name) { "1" } else { "0" })))
}

fn set_enable(system: &mut System, at: Place<'_>, name: &str, raw: &Raw) -> Result<()> {
    put_enabled(system, at, name, topology::truth(&raw.text()))
}

/// For the next start of the system only.
fn set_autostart(system: &mut System, at: Place<'_>, name: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    if is_enabled(system, name) == on {
        Ok(())
    } else {
        run(system, at, name, if on { "enable" } else { "disable" })
    }
}

/// A command: shown only until it is committed.
fn state(system: &mut System, _at: Place<'_>, name: &str) -> Result<Option<Raw>> {
    let ordered = [("Active", "start"), ("Idle", "stop")];
    let found = ordered.iter().find(|(_, verb)| system.is_ordered(&order(name, verb)));
    Ok(found.map(|(word, _)| Raw::one(*word)))
}

fn set_state(system: &mut System, at: Place<'_>, name: &str, raw: &Raw) -> Result<()> {
    match raw.text().as_str() {
        "Active" => run(system, at, name, "start"),
        "Idle" => run(system, at, name, "stop"),
        _ => Ok(()),
    }
}
