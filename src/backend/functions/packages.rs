//! `Device.SoftwareModules.`: packages installed after the firmware, and the services they brought.
//!
//! ```text
//!  ExecEnv         one: the router with its package manager
//!  DeploymentUnit  one package
//!  ExecutionUnit   one start script in /etc/init.d of such a package
//! ```
//!
//! What the ACS said about a package at its installation is the agent's: `du.uuid.NAME`, `du.url.NAME`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::rc::Rc;

use super::deviceinfo::assigned_in;
use super::processes::resident;
use super::services::{self as procd, age};
use crate::backend::packages::{self, Database, Manager, Package, control_path, field, is_name, list_path};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;
use crate::model::{Result, date};
use crate::sys::fs::Root;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "distribution", get: distribution, set: None },
    ValueFn { name: "exec_env", get: environment, set: None },
    ValueFn { name: "deployment_unit", get: unit, set: None },
    ValueFn { name: "execution_unit", get: service, set: None },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "deployment_units", rows: units, add: None, delete: None },
    TableFn { name: "execution_units", rows: services, add: None, delete: None },
];

/// Versions are of at most 32 characters in TR-181.
const MAX_VERSION: usize = 32;
/// TR-181's word for a program that ran, and ended by a fault.
const FAILED: &str = "FailureWhileActive";
/// The most units that are listed.
const MAX_UNITS: usize = 512;
/// The most processes that are looked at.
const MAX_PROCESSES: usize = 1024;

/// Files as they were: the root, then inode, change in nanoseconds and size of each.
type Stamp = (PathBuf, Vec<Option<(u64, i64, i64, u64)>>);

thread_local! {
    /// The last database read: it is long, and seldom changes.
    static LAST: RefCell<Option<(Stamp, Rc<Database>)>> = const { RefCell::new(None) };
}

fn stamp(root: &Root) -> Stamp {
    let files = [
        "/usr/lib/opkg/status",
        "/lib/apk/db/installed",
        "/rom/usr/lib/opkg/status",
        "/rom/lib/apk/db/installed",
    ];
    let one = |path: &&str| {
        let about = std::fs::metadata(root.resolve(path).ok()?).ok()?;
        Some((about.ino(), about.mtime(), about.mtime_nsec(), about.size()))
    };
    (root.dir().to_path_buf(), files.iter().map(one).collect())
}

fn database(system: &mut System) -> Result<Rc<Database>> {
    let stamp = stamp(&system.root);
    if let Some(known) = LAST.with_borrow(|last| match last {
        Some((when, database)) if *when == stamp => Some(Rc::clone(database)),
        _ => None,
    }) {
        return Ok(known);
    }
    let fresh = Database::read(&system.root).map_err(|why| Error::backend("reading the packages", why))?;
    let fresh = Rc::new(fresh);
    LAST.set(Some((stamp, Rc::clone(&fresh))));
    Ok(fresh)
}

/// What `of` makes of the first installed package that it makes anything of; nothing when the database cannot be read.
pub(super) fn installed<T>(system: &mut System, of: impl Fn(&str) -> Option<T>) -> Option<T> {
    database(system).ok()?.all.keys().find_map(|name| of(name))
}

/// What the agent was told of a package; nothing of an empty text.
fn told(system: &System, what: &str, name: &str) -> Option<String> {
    system.agent(&format!("du.{what}.{name}")).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The packages that are deployment units.
fn later(system: &mut System) -> Result<Vec<Package>> {
    let database = database(system)?;
    let known = |name: &str| told(system, "uuid", name).is_some();
    Ok(database.later(known).take(MAX_UNITS).cloned().collect())
}

/// Columns: version.
fn units(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let row = |package: Package| Row {
        addr: package.name.clone(),
        name: package.name,
        cols: vec![cut(&package.version, MAX_VERSION)],
    };
    Ok(later(system)?.into_iter().map(row).collect())
}

/// Columns: package, version, status, process numbers, starts with the system.
fn services(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let packages = later(system)?;
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let running = running(system);
    let started = started(system);
    let mut out = Vec::new();
    for package in packages {
        let files = files(system, &package);
        let mut pids: Vec<u32> =
            files.iter().filter_map(|file| running.get(file)).flatten().copied().collect();
        pids.sort_unstable();
        pids.dedup();
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        for script in scripts(&files) {
            if !system.exists(&format!("/etc/init.d/{script}")) {
                continue;
            }
            out.push(Row {
                name: script.to_owned(),
                addr: script.to_owned(),
                cols: vec![
                    package.name.clone(),
                    cut(&package.version, MAX_VERSION),
                    if pids.is_empty() { "Idle" } else { "Active" }.to_owned(),
                    pids.join(","),
                    if started.iter().any(|one| one == script) { "1" } else { "0" }.to_owned(),
                ],
            });
        }
    }
    Ok(out)
}

fn files(system: &mut System, package: &Package) -> Vec<String> {
    let list = system.text(&list_path(&package.name));
    packages::files(package, list.as_deref())
}

/// The names of start scripts among files.
fn scripts(files: &[String]) -> impl Iterator<Item = &str> {
    files.iter().filter_map(|file| file.strip_prefix("/etc/init.d/")).filter(|name| is_name(name))
}

/// The services that start with the system: those with a link `SnnNAME` in `/etc/rc.d`.
fn started(system: &mut System) -> Vec<String> {
    let service = |link: &String| {
        let rest = link.strip_prefix('S')?;
        let name = rest.get(2..).filter(|_| rest.bytes().take(2).all(|byte| byte.is_ascii_digit()))?;
        Some(name.to_owned())
    };
    system.names("/etc/rc.d").iter().filter_map(service).collect()
}

/// The programs and scripts that run, and the processes that run them.
fn running(system: &mut System) -> HashMap<String, Vec<u32>> {
    let mut out: HashMap<String, Vec<u32>> = HashMap::new();
    let pids: Vec<u32> = system.names("/proc").iter().filter_map(|name| name.parse().ok()).collect();
    for pid in pids.into_iter().take(MAX_PROCESSES) {
        if let Some(program) = system.link(&format!("/proc/{pid}/exe")) {
            out.entry(program).or_default().push(pid);
        }
        // A script runs as its interpreter: its own name is the second word.
        let command = system.text(&format!("/proc/{pid}/cmdline"));
        for word in
            command.iter().flat_map(|text| text.split('\0').take(2)).filter(|word| word.starts_with('/'))
        {
            out.entry(word.to_owned()).or_default().push(pid);
        }
    }
    out
}

fn environment(system: &mut System, _at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let manager = database(system)?.manager;
    Ok(Some(Raw::One(match (what, manager) {
        ("enable", manager) => if manager.is_some() { "1" } else { "0" }.to_owned(),
        ("status", Some(_)) => "Up".to_owned(),
        ("status", None) => "Disabled".to_owned(),
        ("type", Some(Manager::Opkg)) => "OpenWrt opkg".to_owned(),
        ("type", Some(Manager::Apk)) => "OpenWrt apk".to_owned(),
        ("type", None) => "OpenWrt".to_owned(),
        ("memory", _) => return Ok(memory(system).map(|kib| Raw::One(kib.to_string()))),
        // Active ones, as references.
        _ => {
            let at = Place { name: "", rows: &[] };
            let rows = services(system, at, "")?;
            let active =
                |row: Row| (row.cols.get(2).map(String::as_str) == Some("Active")).then_some(row.name);
            return Ok(Some(Raw::Many(rows.into_iter().filter_map(active).collect())));
        }
    })))
}

/// A word of `/etc/openwrt_release`.
fn distribution(system: &mut System, _at: Place<'_>, name: &str) -> Result<Option<Raw>> {
    Ok(assigned_in(system, "/etc/openwrt_release", name).map(|text| Raw::One(cut(&text, MAX_VERSION))))
}

/// KiB that programs could have; what an `int` cannot say is the most that it can.
fn memory(system: &mut System) -> Option<u64> {
    let text = system.text("/proc/meminfo")?;
    let kib = |key: &str| field(&text, key)?.split_whitespace().next()?.parse::<u64>().ok();
    let most = u64::from(i32::MAX.unsigned_abs());
    kib("MemAvailable").or_else(|| kib("MemFree")).map(|kib| kib.min(most))
}

fn unit(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(name) = at.row().map(|row| row.addr.clone()) else { return Ok(None) };
    // Services ask for their package.
    let (name, what) = match what.strip_prefix("of:") {
        Some(what) => (at.row().and_then(|row| row.cols.first().cloned()).unwrap_or_default(), what),
        None => (name, what),
    };
    Ok(match what {
        // The only row of ExecEnv.
        "environment" => Some("1".to_owned()),
        "duid" => Some(cut(&name, 64)),
        "uuid" => Some(told(system, "uuid", &name).unwrap_or_else(|| packages::uuid(&name))),
        "url" => told(system, "url", &name),
        "vendor" => about(system, &name, "Maintainer", 128)?,
        "description" => about(system, &name, "Description", 256)?,
        // opkg tells octets, apk is not asked.
        "size" => {
            let octets =
                about(system, &name, "Installed-Size", 20)?.and_then(|text| text.trim().parse::<u64>().ok());
            octets.map(|octets| octets.div_ceil(1024).min(u64::from(i32::MAX.unsigned_abs())).to_string())
        }
        "installed" => {
            database(system)?.units.get(&name).and_then(|package| package.installed).map(date::format_utc)
        }
        "services" => {
            let database = database(system)?;
            let Some(package) = database.units.get(&name) else { return Ok(None) };
            let files = files(system, package);
            return Ok(Some(Raw::Many(scripts(&files).map(str::to_owned).collect())));
        }
        _ => None,
    }
    .map(Raw::One))
}

/// KiB in `memory` of all processes of a service, the seconds of `uptime` that the oldest of them runs, or its `fault`
/// in a word or a `message`.
fn service(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    if matches!(what, "fault" | "message") {
        return Ok(failure(system, &at).map(|text| Raw::one(if what == "fault" { FAILED } else { &text })));
    }
    let pids = at.row().and_then(|row| row.cols.get(3)).map(String::as_str).unwrap_or_default();
    let pids: Vec<u32> = pids.split(',').filter_map(|pid| pid.parse().ok()).collect();
    let (_, since_boot) = system.now();
    let mut file = |pid: &u32, name: &str| system.text(&format!("/proc/{pid}/{name}"));
    let number = if what == "memory" {
        let kib = pids.iter().filter_map(|pid| resident(&file(pid, "status")?)?.parse::<u64>().ok());
        Some(kib.fold(0, u64::saturating_add).min(u64::from(i32::MAX.unsigned_abs())))
    } else {
        pids.iter().filter_map(|pid| age(&file(pid, "stat")?, since_boot)).max()
    };
    Ok(number.map(|number| Raw::One(number.to_string())))
}

/// What has become of a service that failed, as procd tells it of those that it no longer starts again, or has not yet:
/// all it knows is that the program ran, and ended with a code.
fn failure(system: &mut System, at: &Place<'_>) -> Option<String> {
    let service = at.row()?.addr.clone();
    let ended = procd::instances(system, &service).into_iter();
    let failed = ended.filter_map(|one| Some((one.name, one.exit_code.filter(|code| *code != 0)?)));
    let told: Vec<String> = failed.map(|(name, code)| format!("{name} ended with {code}")).collect();
    (!told.is_empty()).then(|| cut(&told.join(", "), 256))
}

/// What a package says about itself: of opkg's control file or apk's database.
fn about(system: &mut System, name: &str, key: &str, most: usize) -> Result<Option<String>> {
    let database = database(system)?;
    let Some(package) = database.units.get(name) else { return Ok(None) };
    let kept = match key {
        "Maintainer" => package.maintainer.as_str(),
        "Description" => &package.description,
        _ => "",
    };
    let control = system.text(&control_path(name));
    let text = control.as_deref().and_then(|control| field(control, key)).unwrap_or(kept);
    Ok(Some(cut(text, most)))
}

/// At most that many characters.
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
