//! `Device.Firewall.Set.`: the sections `ipset` of `/etc/config/firewall`, each with one rule that holds its entries.

use std::net::IpAddr;

use super::hosts::normal_mac;
use super::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw};
use crate::model::{Error, Result};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "firewall_set_type", get: kind, set: Some(set_kind) },
    ValueFn { name: "firewall_set_entries", get: entries, set: Some(set_entries) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[];

fn section(at: &Place<'_>) -> Result<String> {
    let row = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(format!("firewall.{}", row.row.addr))
}

/// What a set is of, by the first thing that it matches.
fn kind_of(system: &mut System, section: &str) -> Result<&'static str> {
    let first = topology::words(system, section, "match")?.into_iter().next().unwrap_or_default();
    Ok(match first.rsplit('_').next().unwrap_or_default() {
        "port" => "Ports",
        "mac" => "MACAddresses",
        _ => "IPAddresses",
    })
}

fn kind(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    Ok(Some(Raw::one(kind_of(system, &section)?)))
}

fn set_kind(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let wanted = raw.text();
    if kind_of(system, &section)? == wanted {
        return Ok(());
    }
    let word = match wanted.as_str() {
        "Ports" => "dest_port",
        "MACAddresses" => "src_mac",
        _ => "dest_ip",
    };
    topology::put_list(system, &section, "match", vec![word.to_owned()])
}

/// Whether an entry is one of a set's kind that TR-181 has a word for.
fn fits(entry: &str, kind: &str) -> bool {
    match kind {
        "Ports" => {
            let (from, to) = entry.split_once('-').unwrap_or((entry, entry));
            matches!((from.parse::<u16>(), to.parse::<u16>()), (Ok(from), Ok(to)) if from <= to)
        }
        "MACAddresses" => normal_mac(entry).is_some(),
        _ => entry.parse::<IpAddr>().is_ok(),
    }
}

fn entries(system: &mut System, at: Place<'_>, kind: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    if kind_of(system, &section)? != kind {
        return Ok(None);
    }
    let mut words = topology::words(system, &section, "entry")?;
    words.retain(|word| fits(word, kind));
    Ok(Some(Raw::Many(words)))
}

/// Entries that TR-181 has no word for, as networks, stay.
fn set_entries(system: &mut System, at: Place<'_>, kind: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let given = raw.items();
    if kind_of(system, &section)? != kind {
        let why = || Error::bad_value(at.name, "the set is of another type");
        return if given.is_empty() { Ok(()) } else { Err(why()) };
    }
    if let Some(bad) = given.iter().find(|one| !fits(one, kind)) {
        return Err(Error::bad_value(at.name, format!("{bad:?} is not one of {kind}")));
    }
    let mut words = topology::words(system, &section, "entry")?;
    words.retain(|word| !fits(word, kind));
    words.extend(given.into_iter().map(str::to_owned));
    topology::put_list(system, &section, "entry", words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_sets() {
        for (entry, kind, good) in [
            ("192.0.2.1", "IPAddresses", true),
            ("2001:db8::1", "IPAddresses", true),
            ("192.0.2.0/24", "IPAddresses", false),
            ("80", "Ports", true),
            ("80-90", "Ports", true),
            ("90-80", "Ports", false),
            ("70000", "Ports", false),
            ("02:00:00:00:00:01", "MACAddresses", true),
            ("02", "MACAddresses", false),
        ] {
            assert_eq!(fits(entry, kind), good, "{entry} {kind}");
        }
    }
}
