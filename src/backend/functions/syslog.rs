//! `Device.Syslog.`: logd and its readers, which write what it takes to a file and to another machine.

use super::{netif, services};
use crate::backend::{System, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "syslog", get: state, set: None },
    ValueFn { name: "syslog_option", get: option, set: Some(set_option) },
];

const SECTION: &str = "system.@system[0]";

fn state(system: &mut System, _at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let runs = services::runs(system, "log");
    let file = system.option_text(&format!("{SECTION}.log_file"))?;
    let address = system.option_text(&format!("{SECTION}.log_ip"))?;
    let remote = netif::unless_off(system, &format!("{SECTION}.log_remote"))?;
    Ok(Some(Raw::one(match what {
        "enable" | "status" if !system.exists("/sbin/logd") && !runs => match what {
            "enable" => "0",
            _ => "Disabled",
        },
        "enable" => "1",
        "status" if runs => "Enabled",
        "status" => "Error",
        "to_file" => {
            if file.is_empty() {
                "0"
            } else {
                "1"
            }
        }
        // The row of the system's log.
        "log" => "system",
        _ if !remote || address.is_empty() => "Disabled",
        _ if runs => "Enabled",
        _ => "Error",
    })))
}

fn option(system: &mut System, _at: Place<'_>, name: &str) -> Result<Option<Raw>> {
    system.option(&format!("{SECTION}.{name}"))
}

fn set_option(system: &mut System, at: Place<'_>, name: &str, raw: &Raw) -> Result<()> {
    let text = raw.text();
    // The init script gives it to a program that runs as root, and makes its directory.
    let path = |text: &str| text.starts_with('/') && text.split('/').all(|part| part != "..");
    if name == "log_file" && !text.is_empty() && (!path(&text) || text.chars().any(char::is_control)) {
        return Err(Error::bad_value(at.name, "not an absolute path"));
    }
    netif::put(system, &format!("{SECTION}.{name}"), &text)
}
