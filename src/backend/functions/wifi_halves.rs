//! The two halves of a `wifi-iface` that TR-181 has apart: what belongs to the SSID and what to its access point, and
//! how an access point gets another SSID.
//!
//! ```text
//!  set AccessPoint.1.SSIDReference SSID.2       rcwmp_join 'S2'    staged, as later writes still name the section
//!  all is staged   1. who joins leaves:         S1: ssid alone     new section: access point alone, rcwmp_ap 'S1'
//!                  2. and comes in:             S2: both, rcwmp_ap 'S1'            the new section goes
//! ```
//! So several of a request can change places. A row keeps its name wherever its options are: the section is the
//! SSID's, and `rcwmp_ap` is the name of an access point that has come from another one.

use super::topology;
use super::wifi::{self, Iface, Mode, Off};
use crate::backend::System;
use crate::model::backend::{Place, Raw};
use crate::model::{Error, Result};

/// The name of the row of an access point in a section of another name.
pub(super) const POINT: &str = "rcwmp_ap";
/// While a change is staged: the SSID that the access point is to get.
const JOIN: &str = "rcwmp_join";
/// In it: none at all.
const NONE: &str = "-";

/// What belongs to the SSID, or to both; all else is the access point's.
const SSID: &[&str] =
    &["device", "network", "ssid", "mode", "ifname", "macaddr", "mlo", "disabled", "rcwmp_off", "rcwmp_half"];

/// Takes away what an access point is made of, so that the next one of this section is as a new one is: open.
///
/// # Errors
/// As [`System::set_option`].
pub(super) fn clear_point(system: &mut System, iface: &Iface) -> Result<()> {
    let section = iface.section();
    for option in point_options(system, iface) {
        topology::put(system, &section, &option, "")?;
    }
    topology::put(system, &section, "encryption", "none")?;
    topology::put(system, &section, "wpa_group_rekey", "3600")
}

/// Takes away what an SSID is made of. The name of the network belongs to the profile of an end point as well.
///
/// # Errors
/// As [`System::set_option`].
pub(super) fn clear_ssid(system: &mut System, iface: &Iface) -> Result<()> {
    for option in ["device", "network", "ssid", "ifname", "macaddr", "mlo"] {
        if option != "ssid" || iface.mode == Mode::Ap {
            topology::put(system, &iface.section(), option, "")?;
        }
    }
    Ok(())
}

/// Marks a section that has one half, `ssid` or `ap`. A new half of the other sort is not for one that has lost its
/// own; only an end point takes it, which has no other way to an SSID.
///
/// # Errors
/// As [`System::set_option`].
pub(super) fn leave(system: &mut System, iface: &Iface, half: &str) -> Result<()> {
    let alone = if half == "ap" && iface.mode == Mode::Sta { "" } else { " alone" };
    topology::put(system, &iface.section(), "rcwmp_half", &format!("{half}{alone}"))
}

fn point_options(system: &mut System, iface: &Iface) -> Vec<String> {
    let mut all = system.options("wireless", &iface.addr);
    all.retain(|option| !SSID.contains(&option.as_str()));
    all
}

fn copy_point(system: &mut System, from: &Iface, to: &str) -> Result<()> {
    for option in point_options(system, from) {
        let raw = system.option(&format!("{}.{option}", from.section()))?;
        system.set_option(&format!("{to}.{option}"), raw.as_ref())?;
    }
    Ok(())
}

/// Stages another SSID for an access point, or none.
///
/// # Errors
/// [`Error::bad_value`] for an SSID that another one has, at once or once all is staged; as [`System::set_option`].
pub(super) fn set_reference(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let iface = wifi::iface(system, &at)?;
    let wanted = raw.text();
    let now = if iface.half == "ap" { "" } else { iface.id.as_str() };
    // What is let go because its SSID goes, goes with it.
    if wanted == now || system.releasing {
        return Ok(());
    }
    let fits = |one: &Iface| one.id == wanted && one.mode == Mode::Ap && one.half != "ap";
    if !wanted.is_empty() && !wifi::ifaces(system)?.iter().any(fits) {
        return Err(Error::bad_value(at.name, "it is the SSID of an end point"));
    }
    let word = if wanted.is_empty() { NONE } else { &wanted };
    topology::put(system, &iface.section(), JOIN, word)?;
    let name = at.name.to_owned();
    // After all other checks, which name sections by where they are now.
    system.later.insert(0, Box::new(move |system| join_all(system, &name)));
    Ok(())
}

fn point(system: &mut System, name: &str) -> Result<Option<Iface>> {
    let is = |one: &Iface| one.mode == Mode::Ap && one.half != "ssid" && one.point == name;
    Ok(wifi::ifaces(system)?.into_iter().find(is))
}

/// Gives every access point the SSID that is staged for it; one parameter is to blame.
fn join_all(system: &mut System, name: &str) -> Result<()> {
    let mut joins = Vec::new();
    for iface in wifi::ifaces(system)? {
        let wanted = topology::text(system, &iface.section(), JOIN)?;
        if !wanted.is_empty() {
            topology::put(system, &iface.section(), JOIN, "")?;
            joins.push((iface.point, wanted));
        }
    }
    for (point_name, _) in &joins {
        if let Some(iface) = point(system, point_name)?.filter(|iface| iface.half.is_empty()) {
            split(system, &iface)?;
        }
    }
    for (point_name, wanted) in joins.iter().filter(|(_, wanted)| wanted != NONE) {
        let all = wifi::ifaces(system)?;
        let Some(ssid) = all.iter().find(|one| one.id == *wanted && one.half == "ssid") else {
            let why = "it is the SSID of another access point";
            return Err(Error::bad_in_request(name, why));
        };
        if let Some(iface) = point(system, point_name)? {
            join(system, &iface, ssid)?;
        }
    }
    Ok(())
}

/// Moves an access point into a section of its own.
fn split(system: &mut System, iface: &Iface) -> Result<()> {
    let off = wifi::off(system, iface)?;
    let name = wifi::free_name(system)?;
    let section = topology::new_section(system, "wireless", "wifi-iface", Some(&name))?;
    topology::put(system, &section, "mode", "ap")?;
    copy_point(system, iface, &section)?;
    topology::put(system, &section, POINT, &iface.point)?;
    let own = Iface { addr: name.clone(), id: name, half: "ap".to_owned(), ..iface.clone() };
    leave(system, &own, "ap")?;
    wifi::put_off(system, &own, Off { ssid: true, ..off })?;
    clear_point(system, iface)?;
    leave(system, iface, "ssid")?;
    wifi::put_off(system, iface, Off { ap: true, ..off })
}

/// Moves an access point that is alone into the section of an SSID that is alone. Its own goes last, so that no
/// address changes before.
fn join(system: &mut System, iface: &Iface, ssid: &Iface) -> Result<()> {
    let off = Off { ap: wifi::off(system, iface)?.ap, ..wifi::off(system, ssid)? };
    clear_point(system, ssid)?;
    copy_point(system, iface, &ssid.section())?;
    let name = if iface.point == ssid.id { "" } else { iface.point.as_str() };
    topology::put(system, &ssid.section(), POINT, name)?;
    topology::put(system, &ssid.section(), "rcwmp_half", "")?;
    wifi::put_off(system, ssid, off)?;
    system.delete_section(&iface.section())
}
