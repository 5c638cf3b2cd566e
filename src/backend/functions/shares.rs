//! `Device.Services.StorageService.{i}.LogicalVolume.{i}.Folder.`: what samba4 or ksmbd share of a volume.
//!
//! ```text
//!  config sambashare                 of /etc/config/samba4; `share` of /etc/config/ksmbd
//!    option name 'media'             without it the share is off: the start scripts pass it over
//!    option path '/mnt/sda1/media'
//!    option guest_ok 'yes'           no password
//! ```
//! Everything in there becomes a line of the server's own file, written by a shell's `echo -e`.

use super::{storage, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "storage_folder", get: folder, set: Some(set_folder) }];

/// Behind tables.
pub const TABLES: &[TableFn] =
    &[TableFn { name: "storage_folders", rows: folders, add: Some(add), delete: Some(delete) }];

/// Packages of servers, with the type of their shares.
const PACKAGES: [(&str, &str); 2] = [("samba4", "sambashare"), ("ksmbd", "share")];
/// The name of a share that is off, and the volume of one that has no path yet.
const KEPT: &str = "rcwmp_name";
const VOLUME: &str = "rcwmp_volume";

/// The first server that is installed.
fn package(system: &mut System) -> Option<(&'static str, &'static str)> {
    PACKAGES.into_iter().find(|(package, _)| system.has_package(package))
}

fn target(at: &Place<'_>) -> String {
    storage::row_of(at).map(|row| row.name.clone()).unwrap_or_default()
}

fn is_below(path: &str, target: &str) -> bool {
    let path = path.trim_end_matches('/');
    path == target || path.strip_prefix(target).is_some_and(|rest| rest.starts_with('/'))
}

fn folders(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let target = target(&at);
    let Some((package, ty)) = package(system) else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for section in system.sections(package, ty)? {
        let address = format!("{package}.{}", section.addr);
        let path = topology::text(system, &address, "path")?;
        let own = match path.is_empty() {
            true => topology::text(system, &address, VOLUME)? == target,
            false => is_below(&path, &target),
        };
        if own {
            out.push(Row { name: section.id, addr: section.addr, cols: Vec::new() });
        }
    }
    Ok(out)
}

fn add(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    let target = target(&at);
    let Some((package, ty)) = package(system) else {
        return Err(Error::exhausted(format!("{}: no server that shares folders is installed", at.name)));
    };
    let name = topology::free_name(system, package, "share")?;
    let section = topology::new_section(system, package, ty, Some(&name))?;
    topology::put(system, &section, VOLUME, &target)?;
    topology::put(system, &section, "guest_ok", "no")?;
    Ok(Row { name: name.clone(), addr: name, cols: Vec::new() })
}

fn section(system: &mut System, at: &Place<'_>) -> Result<String> {
    let row = at.row().ok_or_else(|| Error::unknown_name(at.name))?;
    let package = package(system).map(|(package, _)| package).unwrap_or_default();
    Ok(format!("{package}.{}", row.addr))
}

fn delete(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let section = section(system, &at)?;
    system.delete_section(&section)
}

fn folder(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let section = section(system, &at)?;
    Ok(Some(match what {
        "path" => Raw::One(topology::text(system, &section, "path")?),
        "enable" => {
            let mut on = true;
            for option in ["name", "path"] {
                on &= !topology::text(system, &section, option)?.is_empty();
            }
            Raw::one(if on { "1" } else { "0" })
        }
        // Bit 1 is for network protocols; no others are served.
        _ => Raw::one(if is_open(system, &section)? { "0" } else { "2" }),
    }))
}

/// Whether nobody is asked who they are; `public` is samba's other word for it.
fn is_open(system: &mut System, section: &str) -> Result<bool> {
    for option in ["guest_ok", "public", "guest_only"] {
        if topology::truth(&topology::text(system, section, option)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a path can be written to the server's file as it is.
fn is_plain(path: &str) -> bool {
    let steps = path.split('/').all(|step| step != ".." && step != ".");
    path.starts_with('/')
        && steps
        && !path.contains("//")
        && !path.contains(|c: char| c.is_control() || "\\\"'`$%[]{};#=*?<>|&".contains(c))
}

fn set_folder(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let section = section(system, &at)?;
    let text = raw.text();
    match what {
        "path" => {
            let target = target(&at);
            let fits = text.is_empty() || is_plain(&text) && is_below(&text, &target);
            if !fits {
                return Err(Error::bad_value(at.name, format!("not a plain path below {target}")));
            }
            topology::put(system, &section, "path", &text)?;
            topology::put(system, &section, VOLUME, if text.is_empty() { &target } else { "" })
        }
        "enable" => {
            let name = topology::text(system, &section, "name")?;
            let (on, is_on) = (topology::truth(&text), !name.is_empty());
            if !on {
                topology::put(system, &section, "name", "")?;
                return if is_on { topology::put(system, &section, KEPT, &name) } else { Ok(()) };
            }
            let path = topology::text(system, &section, "path")?;
            if path.is_empty() {
                return Err(Error::bad_value(at.name, "a folder has a name before it is enabled"));
            }
            if is_on {
                return Ok(());
            }
            let kept = topology::text(system, &section, KEPT)?;
            let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
            topology::put(system, &section, "name", if kept.is_empty() { &last } else { &kept })?;
            topology::put(system, &section, KEPT, "")
        }
        _ => {
            let open = match text.as_str() {
                "0" => true,
                "2" => false,
                _ => return Err(Error::bad_value(at.name, "shares are served by network protocols only")),
            };
            if open == is_open(system, &section)? {
                return Ok(());
            }
            for option in ["public", "guest_only"] {
                topology::put(system, &section, option, "")?;
            }
            topology::put(system, &section, "guest_ok", if open { "yes" } else { "no" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, plain, below) in [
            ("/mnt/sda1", true, true),
            ("/mnt/sda1/", true, true),
            ("/mnt/sda1/my films", true, true),
            ("/mnt/sda10", true, false),
            ("/mnt/sda1/../../etc", false, true),
            ("mnt/sda1", false, false),
            ("/mnt/sda1/a\nroot preexec = x", false, true),
            ("/mnt/sda1/a\\nb", false, true),
            ("/mnt/sda1//b", false, true),
            ("", false, false),
        ] {
            assert_eq!((is_plain(path), is_below(path, "/mnt/sda1")), (plain, below), "{path:?}");
        }
    }
}
