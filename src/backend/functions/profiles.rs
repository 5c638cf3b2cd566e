//! The profile of a Wi-Fi end point (TR-181 `Device.WiFi.EndPoint.{i}.Profile.`): the network that a station looks for.
//!
//! A section of UCI knows one network, so that an end point has at most one profile, which bears the section's
//! name. A station that was configured by hand has its profile; an end point that AddObject has made has none
//! (`option rcwmp_profile '0'`) until one is added, and is off until then. What goes with a profile is the name of
//! the network and whatever opens it.

use super::topology;
use super::wifi::{self, Mode};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "wifi_profile_status", get: status, set: None },
    ValueFn { name: "wifi_profile_reference", get: reference, set: None },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] =
    &[TableFn { name: "wifi_profile", rows, add: Some(add), delete: Some(delete) }];

/// The option of a section without a profile.
pub(super) const MARK: &str = "rcwmp_profile";

/// What belongs to the network that is looked for, `encryption` apart.
const OPTIONS: &[&str] = &[
    "ssid",
    "bssid",
    "key",
    "key1",
    "key2",
    "key3",
    "key4",
    "ieee80211w",
    "sae_password",
    "eap_type",
    "auth",
    "identity",
    "anonymous_identity",
    "password",
    "ca_cert",
    "ca_cert_usesystem",
    "client_cert",
    "priv_key",
    "priv_key_pwd",
    "ca_cert2",
    "client_cert2",
    "priv_key2",
    "priv_key2_pwd",
    "subject_match",
    "altsubject_match",
    "domain_match",
    "domain_suffix_match",
];

/// Whether the station of this section has its profile.
///
/// # Errors
/// As [`System::option`].
pub(super) fn is_there(system: &mut System, section: &str) -> Result<bool> {
    Ok(topology::text(system, section, MARK)? != "0")
}

/// Notes that the station of this section has no profile.
///
/// # Errors
/// As [`System::set_option`].
pub(super) fn leave_out(system: &mut System, section: &str) -> Result<()> {
    topology::put(system, section, MARK, "0")
}

/// Takes away what a profile is made of.
///
/// # Errors
/// As [`System::set_option`].
pub(super) fn clear(system: &mut System, section: &str) -> Result<()> {
    for option in OPTIONS {
        topology::put(system, section, option, "")?;
    }
    topology::put(system, section, "encryption", "none")
}

fn rows(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let Some(row) = at.rows.first().map(|instance| instance.row.clone()) else { return Ok(Vec::new()) };
    let shown = is_there(system, &format!("wireless.{}", row.addr))?;
    Ok(shown.then_some(row).into_iter().collect())
}

fn add(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    let row = at.rows.first().map(|instance| instance.row.clone());
    let row = row.ok_or_else(|| Error::not_addable(at.name))?;
    let section = format!("wireless.{}", row.addr);
    if is_there(system, &section)? {
        return Err(Error::exhausted(format!("{}: a section of UCI knows one network", at.name)));
    }
    topology::put(system, &section, MARK, "")?;
    Ok(row)
}

/// The end point stays, and is off.
fn delete(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let iface = wifi::iface(system, &at)?;
    let mut off = wifi::off(system, &iface)?;
    off.profile = true;
    clear(system, &iface.section())?;
    leave_out(system, &iface.section())?;
    wifi::put_off(system, &iface, off)
}

fn status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let iface = wifi::iface(system, &at)?;
    let off = wifi::off(system, &iface)?.profile;
    let running = wifi::device(system, &iface.addr)?;
    let up = running.is_some_and(|device| topology::status(system, &device) == Some("Up"));
    Ok(Some(Raw::one(match (off, up) {
        (true, _) => "Disabled",
        (false, true) => "Active",
        (false, false) => "Available",
    })))
}

/// The profile, where there is one.
fn reference(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let iface = wifi::iface(system, &at)?;
    let there = iface.mode == Mode::Sta && iface.profile;
    Ok(Some(Raw::one(if there { iface.point } else { String::new() })))
}
