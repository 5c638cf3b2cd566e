//! `Device.LEDs.`: what `/sys/class/leds` has, with the section `led` of `/etc/config/system` that is about it.

use super::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "led", get: led, set: None }];

/// Behind tables.
pub const TABLES: &[TableFn] = &[TableFn { name: "leds", rows: leds, add: None, delete: None }];

const PLACE: &str = "/sys/class/leds";

fn leds(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let row = |name: String| Row { addr: name.clone(), name, cols: Vec::new() };
    Ok(system.names(PLACE).into_iter().map(row).collect())
}

fn led(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let name = at.row().map(|row| row.addr.clone()).unwrap_or_default();
    let text = system.text(&format!("{PLACE}/{name}/trigger")).unwrap_or_default();
    let trigger = trigger(&text).unwrap_or("none").to_owned();
    let lit = system.text(&format!("{PLACE}/{name}/brightness")).is_some_and(|text| text.trim() != "0");
    let used = lit || trigger != "none";
    Ok(Some(Raw::One(match what {
        "enable" => if used { "1" } else { "0" }.to_owned(),
        "status" => if used { "InUse" } else { "Disabled" }.to_owned(),
        _ => {
            let mut reason = String::new();
            for section in system.sections("system", "led")? {
                let address = format!("system.{}", section.addr);
                if topology::text(system, &address, "sysfs")? == name {
                    reason = topology::text(system, &address, "name")?;
                }
            }
            if reason.is_empty() && used { trigger } else { reason }
        }
    })))
}

/// The one in brackets of all that the kernel knows.
fn trigger(text: &str) -> Option<&str> {
    text.split_once('[')?.1.split_once(']').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers() {
        for (text, expected) in [
            ("none timer [heartbeat] default-on netdev\n", Some("heartbeat")),
            ("[none] timer", Some("none")),
            ("none", None),
            ("[", None),
        ] {
            assert_eq!(trigger(text), expected, "{text}");
        }
    }
}
