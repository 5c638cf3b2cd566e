//! What procd says of the programs it runs, and settings of programs that may not be installed.

use crate::backend::System;
use crate::backend::functions::netif::{put, unless_off};
use crate::backend::{TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw};
use crate::model::date;
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "present", get: present, set: Some(set_present) },
    ValueFn { name: "upnp_gateway", get: upnp_gateway, set: Some(set_upnp_gateway) },
    ValueFn { name: "upnp_version", get: upnp_version, set: None },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[];

/// Ticks of a second as `/proc` counts them: USER_HZ is 100 everywhere.
const HZ: u64 = 100;

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// What its init script calls it: mostly the section's name.
    pub name: String,
    /// Its process, while it runs.
    pub pid: Option<u32>,
    /// With what it ended, once it has: 128 and more by a signal.
    pub exit_code: Option<i64>,
}

/// The instances of a service as procd has them; none when it has none, or does not answer.
pub fn instances(system: &mut System, service: &str) -> Vec<Instance> {
    let Some(all) = system.ubus("service", "list") else { return Vec::new() };
    let Some(found) = all.table(service).and_then(|service| service.table("instances")) else {
        return Vec::new();
    };
    let one = |(name, value): (&crate::ubus::blobmsg::Text, &crate::ubus::blobmsg::Value)| {
        let table = value.as_table()?;
        let pid = table.number("pid").and_then(|pid| u32::try_from(pid).ok());
        let running = table.flag("running");
        let exit_code = table.number("exit_code").filter(|_| !running);
        Some(Instance { name: name.to_string(), pid: pid.filter(|_| running), exit_code })
    };
    found.iter().filter_map(one).collect()
}

/// Whether any instance of a service runs.
pub fn runs(system: &mut System, service: &str) -> bool {
    instances(system, service).iter().any(|instance| instance.pid.is_some())
}

/// When a process began, in the form of the model.
pub fn since(system: &mut System, pid: u32) -> Option<String> {
    let (epoch, since_boot) = system.now();
    let age = age(&system.text(&format!("/proc/{pid}/stat"))?, since_boot)?;
    Some(date::format_utc(epoch.checked_sub(i64::try_from(age).ok()?)?))
}

/// Seconds that a process lives, from its `/proc/PID/stat` and the seconds since boot.
pub fn age(stat: &str, since_boot: u64) -> Option<u64> {
    // The command in parentheses may hold anything; the start is the 20th word behind it.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: u64 = rest.split_whitespace().nth(19)?.parse().ok()?;
    Some(since_boot.saturating_sub(ticks / HZ))
}

/// `package.section.option=default`: the default is for a section without the option. Without the section
/// there is no value, and nothing can be set: the program is not there.
fn present(system: &mut System, _at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let (address, default) = argument.split_once('=').unwrap_or((argument, ""));
    if !system.has_section(address) {
        return Ok(None);
    }
    Ok(Some(system.option(address)?.unwrap_or_else(|| Raw::one(default))))
}

fn set_present(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let address = argument.split('=').next().unwrap_or_default();
    if !system.has_section(address) {
        return Err(Error::bad_value(at.name, "the program that this belongs to is not installed"));
    }
    put(system, address, &raw.text())
}

/// miniupnpd's protocols: two switches of old, one option of all since 2025.
const PROTOCOLS: &str = "upnpd.config.enabled_protocols";
const WITHOUT: &str = "pcp+nat-pmp";

fn upnp_gateway(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let told = system.option_text(PROTOCOLS)?;
    if told.is_empty() {
        return present(system, at, "upnpd.config.enable_upnp=1");
    }
    Ok(Some(Raw::one(if told == WITHOUT { "0" } else { "1" })))
}

fn set_upnp_gateway(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let told = system.option_text(PROTOCOLS)?;
    if told.is_empty() {
        return set_present(system, at, "upnpd.config.enable_upnp", raw);
    }
    match (raw.text() == "1", told == WITHOUT) {
        (true, true) => put(system, PROTOCOLS, "all"),
        (false, false) => put(system, PROTOCOLS, WITHOUT),
        _ => Ok(()),
    }
}

/// The versions that miniupnpd and minidlna implement; 0 of what is not there.
fn upnp_version(system: &mut System, _at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let gateway = system.has_section("upnpd.config.enabled");
    let media = system.has_section("minidlna.config.enabled");
    let version = match what {
        "media" => u8::from(media),
        "igd" if !gateway => 0,
        "igd" => {
            let told = system.option_text("upnpd.config.upnp_igd_compat")?;
            let first =
                if told.is_empty() { unless_off(system, "upnpd.config.igdv1")? } else { told == "igdv1" };
            2 - u8::from(first)
        }
        // Version 1.1 of the architecture, both of them.
        _ => u8::from(gateway || media),
    };
    Ok(Some(Raw::One(version.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        let stat = "811 (a) (b c) S 1 811 811 0 -1 4194560 1 2 3 4 250 17 0 0 20 0 1 0 90000 1 2 3";
        assert_eq!(age(stat, 1000), Some(100));
        assert_eq!(age(stat, 10), Some(0));
        assert_eq!(age("1 (a) S 1", 10), None);
        assert_eq!(age("", 10), None);
    }
}
