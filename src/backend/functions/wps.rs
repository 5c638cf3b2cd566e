//! Wi-Fi Protected Setup of access points: which of its two ways a `wifi-iface` allows.
//!
//! ```text
//!  option wps_pushbutton '1'       PushButton         option wps_pin       the PIN on the label
//!  option wps_label '1'            Label              option rcwmp_wps     the ways of one that is off
//! ```

use super::wifi::section;
use super::{topology, wifi_abilities};
use crate::backend::{System, ValueFn};
use crate::model::backend::{Place, Raw};
use crate::model::{Error, Result};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "wifi_wps", get: wps, set: Some(set_wps) }];

/// TR-181's words and UCI's, the usual one first.
const WAYS: [(&str, &str); 2] = [("PushButton", "pushbutton"), ("Label", "label")];
/// Where the ways of one that is off are kept.
const KEPT: &str = "rcwmp_wps";

/// UCI's words of the ways that are on, and of those that are kept.
fn ways(system: &mut System, section: &str) -> Result<(Vec<String>, Vec<String>)> {
    let mut on = Vec::new();
    for (_, way) in WAYS {
        if topology::truth(&topology::text(system, section, &format!("wps_{way}"))?) {
            on.push(way.to_owned());
        }
    }
    Ok((on, topology::words(system, section, KEPT)?))
}

fn put_ways(system: &mut System, section: &str, on: &[String], kept: &[String]) -> Result<()> {
    for (_, way) in WAYS {
        let option = format!("wps_{way}");
        let now = on.iter().any(|one| one == way);
        if now != topology::truth(&topology::text(system, section, &option)?) {
            topology::put(system, section, &option, if now { "1" } else { "0" })?;
        }
    }
    topology::put(system, section, KEPT, &kept.join(" "))
}

fn wps(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let (on, kept) = ways(system, &section)?;
    Ok(Some(match what {
        "enable" => Raw::one(if on.is_empty() { "0" } else { "1" }),
        "methods" => {
            let shown = if on.is_empty() { kept } else { on };
            let known = WAYS.iter().filter(|(_, way)| shown.iter().any(|one| one == way));
            Raw::Many(known.map(|(word, _)| (*word).to_owned()).collect())
        }
        "status" => {
            let off = topology::truth(&topology::text(system, &section, "disabled")?) || on.is_empty();
            let encryption = topology::text(system, &section, "encryption")?;
            // hostapd's script has no WPS for the others.
            let fits = wifi_abilities::has_wps(system)
                && ["", "none", "psk", "sae"].iter().any(|word| match *word {
                    "" | "none" => encryption == *word,
                    word => encryption.starts_with(word),
                });
            let fresh = topology::truth(&topology::text(system, &section, "wps_not_configured")?);
            Raw::one(match (off, fits, fresh) {
                (true, ..) => "Disabled",
                (_, false, _) => "Error",
                (_, _, true) => "Unconfigured",
                _ => "Configured",
            })
        }
        _ => Raw::One(topology::text(system, &section, "wps_pin")?),
    }))
}

fn set_wps(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let (on, kept) = ways(system, &section)?;
    match what {
        "enable" => match (topology::truth(&raw.text()), on.is_empty()) {
            (true, true) if !wifi_abilities::has_wps(system) => {
                Err(Error::bad_value(at.name, "the installed variant of hostapd has no WPS"))
            }
            (true, true) if kept.is_empty() => put_ways(system, &section, &[WAYS[0].1.to_owned()], &[]),
            (true, true) => put_ways(system, &section, &kept, &[]),
            (false, false) => put_ways(system, &section, &[], &on),
            _ => Ok(()),
        },
        "methods" => {
            let wanted: Option<Vec<String>> = raw
                .items()
                .iter()
                .map(|word| WAYS.iter().find(|(known, _)| known == word))
                .map(own)
                .collect();
            let able = wifi_abilities::has_wps(system);
            let wanted = wanted
                .filter(|wanted| able || wanted.is_empty())
                .ok_or_else(|| Error::bad_value(at.name, "not of ConfigMethodsSupported"))?;
            match on.is_empty() {
                true => put_ways(system, &section, &[], &wanted),
                false => put_ways(system, &section, &wanted, &[]),
            }
        }
        _ => {
            let pin = raw.text();
            let is_pin = matches!(pin.len(), 0 | 4 | 8) && pin.bytes().all(|byte| byte.is_ascii_digit());
            if !is_pin {
                return Err(Error::bad_value(at.name, "a PIN has four or eight digits"));
            }
            topology::put(system, &section, "wps_pin", &pin)
        }
    }
}

fn own(found: Option<&(&str, &str)>) -> Option<String> {
    found.map(|(_, way)| (*way).to_owned())
}
