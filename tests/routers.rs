//! Whole routers as folders, `tests/routers/NAME/`: what the model shows of them, and what a change does to them.
//! No Rust is needed for another one.
//!
//! ```text
//!  etc/…               its files, as they lie on the router
//!  kernel              /proc and /sys in one file: `path = text`, `path -> target of a link`, or `path:` before
//!                      lines that begin with a tab
//!  ubus/               answers of programs: OBJECT.METHOD.json, whatever the arguments are; with arguments
//!                      OBJECT.METHOD@NAME=VALUE.json
//!  expected            every parameter of `Device.`, `name => value`; but for the time and the machine under test
//!  changes/NAME        lines `set PATH VALUE`, `add OBJECT`, `del OBJECT`, `get PATH` or `names PATH`; after a line of dashes what
//!                      each of them gives, how UCI files differ, and what is reloaded
//! ```
//! `UPDATE=1 cargo test --test routers` rewrites what is expected; read the difference.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a test that panics has failed")]

#[path = "support/bus.rs"]
mod bus;
#[path = "support/copy.rs"]
mod copy;
#[path = "support/fixture.rs"]
mod fixture;
#[path = "support/router.rs"]
mod router;

use std::fs;
use std::path::{Path, PathBuf};

use fixture::{build, programs};
use rcwmp::lab::diff;
use rcwmp::lab::router::configuration;
use router::Router;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/routers");
/// Between what is asked and what is expected.
const LINE: &str = "--------";

/// Values of the clock, of the machine that runs the test, and of the agent's own life.
const PASSING: &[&str] = &[
    "Device.DeviceInfo.FirstUseDate",
    "Device.DeviceInfo.MemoryStatus.TotalPersistent",
    "Device.DeviceInfo.MemoryStatus.FreePersistent",
    "Device.DeviceInfo.VendorConfigFile.*.Date",
    "Device.DeviceInfo.TemperatureStatus.TemperatureSensor.*.LastUpdate",
    "Device.SoftwareModules.ExecEnv.*.AllocatedDiskSpace",
    "Device.SoftwareModules.ExecEnv.*.AvailableDiskSpace",
    "Device.SoftwareModules.ExecEnv.*.AvailableMemory",
    "Device.Time.CurrentLocalTime",
    "Device.Time.Status",
];

/// Moments that are counted from the present one, and that of a file that the test has made.
const COUNTED: &[&str] = &[
    "Device.Firewall.LastChange",
    ".AssociationTime",
    ".LeaseTimeRemaining",
    ".PreferredLifetime",
    ".RouteLifetime",
    ".ValidLifetime",
];

fn hangs_on_the_clock(name: &str) -> bool {
    COUNTED.iter().any(|end| name.ends_with(end))
}

fn folders() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

fn is_passing(name: &str) -> bool {
    PASSING.iter().any(|pattern| match pattern.split_once(".*.") {
        Some((before, after)) => {
            let rest = name.strip_prefix(before).and_then(|rest| rest.strip_prefix('.'));
            rest.and_then(|rest| rest.split_once('.')).is_some_and(|(_, last)| last == after)
        }
        None => *pattern == name,
    })
}

/// Everything, but what passes; dates are shown by their kind where they hang on the clock.
fn shown(router: &mut Router) -> String {
    let values = router.model.values(["Device."]).unwrap();
    let line = |(name, value): (String, rcwmp::model::value::Value)| {
        let near = value.text.starts_with("20") && value.text.ends_with('Z') && hangs_on_the_clock(&name);
        let text = if near { "(a date)".to_owned() } else { value.text };
        (!is_passing(&name)).then(|| format!("{name} => {text}\n"))
    };
    values.into_iter().filter_map(line).collect()
}

/// Compares with what a file expects, or has it expect this.
fn settle(path: &Path, found: &str, wrong: &mut Vec<String>) {
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected == found {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, found).unwrap();
    } else {
        wrong.push(format!("{}:\n{}", path.display(), diff::texts(&expected, found)));
    }
}

#[test]
fn what_routers_show() {
    let mut wrong = Vec::new();
    assert!(folders().len() >= 3);
    for folder in folders() {
        let programs = programs(&folder);
        let mut router = build(&folder, programs.as_ref());
        settle(&folder.join("expected"), &shown(&mut router), &mut wrong);
        let complaints = router.model.complaints();
        assert!(complaints.is_empty(), "{}: {complaints:?}", folder.display());
        // At most one call for each object, method and arguments.
        let mut calls = programs.map(|bus| bus.take_calls()).unwrap_or_default();
        calls.sort();
        let all = calls.len();
        calls.dedup();
        assert_eq!(calls.len(), all, "{}: something was asked twice: {calls:?}", folder.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One line of a change, and what came of it.
fn perform(router: &mut Router, line: &str) -> String {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "set" => {
            let (path, value) = rest.split_once(' ').unwrap_or((rest, ""));
            match router.try_set(&[(path, value)]) {
                Ok(()) => "done".to_owned(),
                Err(why) => why,
            }
        }
        "add" => match router.model.add(rest, None) {
            Ok(number) => format!("{rest}{number}."),
            Err(why) => why.to_string(),
        },
        "del" => router.model.delete(rest, None).map_or_else(|why| why.to_string(), |()| "done".to_owned()),
        "get" => match router.model.values([rest]) {
            Ok(list) => {
                let lines = list.into_iter().map(|(name, value)| format!("{name} => {}", value.text));
                lines.collect::<Vec<_>>().join("\n")
            }
            Err(why) => why.to_string(),
        },
        "names" => match router.model.names(rest, false) {
            Ok(list) => {
                let word = |writable| if writable { "writable" } else { "fixed" };
                let lines = list.into_iter().map(|(name, writable)| format!("{name} {}", word(writable)));
                lines.collect::<Vec<_>>().join("\n")
            }
            Err(why) => why.to_string(),
        },
        _ => panic!("{line:?} is no change"),
    }
}

#[test]
fn what_changes_do() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for folder in folders() {
        let Ok(changes) = fs::read_dir(folder.join("changes")) else { continue };
        let mut files: Vec<PathBuf> = changes.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            cases += 1;
            let programs = programs(&folder);
            let mut router = build(&folder, programs.as_ref());
            let before = configuration(router.dir.path()).unwrap();
            let text = fs::read_to_string(&file).unwrap();
            let asked: Vec<&str> = text.lines().take_while(|line| *line != LINE).collect();
            let mut found = asked.iter().map(|line| format!("{line}\n")).collect::<String>();
            found += &format!("{LINE}\n");
            for line in asked.iter().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                found += &format!("{}\n", perform(&mut router, line));
            }
            found += &diff::folders("etc/config", &before, &configuration(router.dir.path()).unwrap());
            let touched: Vec<String> = router.model.backend().take_touched().into_iter().collect();
            found += &format!("reload {}\n", touched.join(" "));
            settle(&file, &found, &mut wrong);
        }
    }
    assert!(cases >= 9, "{cases}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
