//! What limits the rate of an interface (TR-181 `Device.QoS.Shaper.`): the sections `queue` of sqm-scripts, and
//! `interface` and `device` of qosify.

use super::{netif, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "shaper", get: read, set: Some(write) }];

/// Behind tables.
pub const TABLES: &[TableFn] = &[TableFn { name: "shapers", rows, add: Some(add), delete: Some(delete) }];

/// The packages, and the types of their sections that shape.
const KINDS: [(&str, &str); 3] = [("sqm", "queue"), ("qosify", "interface"), ("qosify", "device")];
/// The most sections of a type.
const MAX: usize = 64;

/// Rows are named `package.section`; the column is the section's type.
fn rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for (package, ty) in KINDS {
        for section in system.sections(package, ty)?.into_iter().take(MAX) {
            let name = format!("{package}.{}", section.id);
            out.push(Row { name, addr: format!("{package}.{}", section.addr), cols: vec![ty.to_owned()] });
        }
    }
    Ok(out)
}

fn add(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    if !system.exists("/etc/init.d/sqm") {
        return Err(Error::exhausted(format!("adding to {}: sqm-scripts is not installed", at.name)));
    }
    let name = topology::free_name(system, "sqm", "shaper")?;
    let section = topology::new_section(system, "sqm", "queue", Some(&name))?;
    // The package's own beginning, but off and without a limit.
    for (option, value) in [
        ("enabled", "0"),
        ("download", "0"),
        ("upload", "0"),
        ("qdisc", "cake"),
        ("script", "piece_of_cake.qos"),
        ("linklayer", "none"),
    ] {
        topology::put(system, &section, option, value)?;
    }
    Ok(Row { name: section.clone(), addr: section, cols: vec!["queue".to_owned()] })
}

fn row(at: &Place<'_>) -> Result<(String, String)> {
    let row = at.row().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok((row.addr.clone(), row.cols.first().cloned().unwrap_or_default()))
}

fn delete(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let (section, _) = row(&at)?;
    system.delete_section(&section)
}

/// The option behind a word, of sqm or of qosify.
fn option(what: &str, ty: &str) -> &'static str {
    match (what, ty) {
        ("enable" | "status", "queue") => "enabled",
        ("enable" | "status", _) => "disabled",
        ("interface", "queue") => "interface",
        ("interface", _) => "name",
        ("up", "queue") => "upload",
        ("up", _) => "bandwidth_up",
        (_, "queue") => "download",
        _ => "bandwidth_down",
    }
}

/// Bits a second; `None` for no limit. sqm counts in kbit/s, qosify has units.
fn rate(text: &str, ty: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: i64 = text[..at].parse().ok().filter(|number| *number > 0)?;
    let unit = match text[at..].trim() {
        "" if ty == "queue" => 1_000,
        "" | "bit" => 1,
        "k" | "kbit" => 1_000,
        "m" | "mbit" => 1_000_000,
        "g" | "gbit" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// The other way; `None` for a rate that is not of whole kbit/s.
fn rate_word(rate: i64, ty: &str) -> Option<String> {
    match (rate, ty) {
        (..=0, "queue") => Some("0".to_owned()),
        (..=0, _) => Some(String::new()),
        _ if rate % 1_000 != 0 => None,
        (_, "queue") => Some((rate / 1_000).to_string()),
        _ => Some(format!("{}kbit", rate / 1_000)),
    }
}

/// The device that is shaped: qosify's `interface` is one of netifd's.
fn device(system: &mut System, section: &str, ty: &str) -> Result<String> {
    let name = topology::text(system, section, option("interface", ty))?;
    if ty != "interface" {
        return Ok(name);
    }
    let interfaces = netif::interfaces(system)?;
    Ok(interfaces.iter().find(|one| one.name == name).map(|one| one.device.clone()).unwrap_or_default())
}

fn is_on(system: &mut System, section: &str, ty: &str) -> Result<bool> {
    let set = topology::truth(&topology::text(system, section, option("enable", ty))?);
    Ok(set == (ty == "queue"))
}

fn read(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let (section, ty) = row(&at)?;
    let text = match what {
        "enable" => if is_on(system, &section, &ty)? { "1" } else { "0" }.to_owned(),
        "status" => match (is_on(system, &section, &ty)?, device(system, &section, &ty)?.is_empty()) {
            (false, _) => "Disabled",
            (true, false) => "Enabled",
            (true, true) => "Error_Misconfigured",
        }
        .to_owned(),
        "interface" => device(system, &section, &ty)?,
        _ => {
            let text = topology::text(system, &section, option(what, &ty))?;
            rate(&text, &ty).unwrap_or(-1).to_string()
        }
    };
    Ok(Some(Raw::One(text)))
}

fn write(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let (section, ty) = row(&at)?;
    let given = raw.text();
    let word = match what {
        "enable" => if topology::truth(&given) == (ty == "queue") { "1" } else { "0" }.to_owned(),
        "interface" if ty == "interface" && !given.is_empty() => {
            let interfaces = netif::interfaces(system)?;
            let found = netif::by_device(&interfaces, &given, false).map(|one| one.name.clone());
            found.ok_or_else(|| Error::bad_value(at.name, "no interface of IP goes by this one"))?
        }
        "interface" => given,
        _ => {
            let rate = given.parse().ok().and_then(|rate| rate_word(rate, &ty));
            rate.ok_or_else(|| Error::bad_value(at.name, "the shaper counts in whole kbit/s"))?
        }
    };
    topology::put(system, &section, option(what, &ty), &word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, ty, expected) in [
            ("85000", "queue", Some(85_000_000)),
            ("0", "queue", None),
            ("", "queue", None),
            ("100mbit", "interface", Some(100_000_000)),
            ("500 kbit", "device", Some(500_000)),
            ("2Gbit", "device", Some(2_000_000_000)),
            ("64", "device", Some(64)),
            ("fast", "device", None),
            ("-5", "queue", None),
            ("9223372036854775807k", "device", None),
        ] {
            assert_eq!(rate(text, ty), expected, "{text}");
        }
        assert_eq!(rate_word(-1, "queue").as_deref(), Some("0"));
        assert_eq!(rate_word(-1, "device").as_deref(), Some(""));
        assert_eq!(rate_word(64_000, "queue").as_deref(), Some("64"));
        assert_eq!(rate_word(64_000, "device").as_deref(), Some("64kbit"));
        assert_eq!(rate_word(64_001, "queue"), None);
    }
}
