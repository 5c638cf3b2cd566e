//! How much of TR-181's profiles this data model has: the table of the README, profile by profile.
//!
//! `cargo test --test profiles -- --nocapture` prints every profile that is begun, and what it still lacks;
//! `UPDATE=1` rewrites the README's table. `tests/profiles/lacks` says why what such a profile, or one of [`NAMED`],
//! still lacks is not there: a line `path TAB reason` for each parameter, or for several with `*`. The profiles lie beside the repository
//! (`../shared/standards/tr181-profiles.tsv`).
#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a test that panics has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use rcwmp::model::compiled;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const BEGIN: &str = "<!-- profiles -->\n";
const END: &str = "<!-- /profiles -->\n";

const LACKS: &str = include_str!("profiles/lacks");

/// Profiles of services that the agent is to have, although nothing of them may be there yet; all others are looked at
/// once they are begun.
const NAMED: &[&str] = &[
    "BulkDataCSVEncoding",
    "BulkDataColl",
    "BulkDataHTTP",
    "BulkDataJSONEncoding",
    "BulkDataReports",
    "DownloadAnnounce",
    "DownloadQuery",
    "MQTTClientBase",
    "MQTTClientCon",
    "MQTTClientExtended",
    "MQTTClientSubscribe",
    "Processors",
    "StandbyPolicy",
    "UPnPDiscAdv",
    "UPnPDiscBasic",
    "UserInformationBasic",
    "UserInformationExtended",
];

/// Objects of which everything is there, or has a reason, whether a profile asks for it or not.
const WHOLE: &[&str] = &["Device.BulkData.", "Device.DeviceInfo.Processor.", "Device.ManagementServer."];

/// Of one profile: what it requires, of parameters only, and how much of it is there.
#[derive(Debug, Default)]
struct Profile {
    total: usize,
    backed: usize,
    lacks: Vec<String>,
}

/// The parameters and objects of the compiled model; each parameter whether it can be written.
fn model() -> (BTreeMap<String, bool>, usize) {
    let schema = compiled::schema();
    let mut params = BTreeMap::new();
    for object in schema.objects() {
        for param in object.params.iter() {
            params.insert(format!("{}{}", object.path, param.name), param.write);
        }
    }
    (params, schema.objects().len())
}

/// The newest version of each profile; deleted entries are not required of anybody.
fn profiles(text: &str, params: &BTreeMap<String, bool>) -> BTreeMap<String, Profile> {
    let mut all: BTreeMap<(String, u32), Profile> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [name, path, requirement, _, status] = cells[..] else { panic!("{line:?}") };
        if path.ends_with('.') || status == "deleted" || !path.starts_with("Device.") {
            continue;
        }
        let (name, version) = name.split_once(':').unwrap();
        let profile = all.entry((name.to_owned(), version.parse().unwrap())).or_default();
        profile.total += 1;
        // What the profile wants written and OpenWrt cannot change is not counted as there.
        match params.get(path) {
            Some(writable) if *writable || requirement != "readWrite" => profile.backed += 1,
            Some(_) => profile.lacks.push(format!("{path} (read-only)")),
            None => profile.lacks.push(path.to_owned()),
        }
    }
    // Keys are sorted by version: the last one of a name stays.
    all.into_iter().map(|((name, version), profile)| (format!("{name}:{version}"), profile)).fold(
        BTreeMap::new(),
        |mut newest: BTreeMap<String, Profile>, (name, profile)| {
            let base = format!("{}:", name.split(':').next().unwrap_or_default());
            newest.retain(|other, _| !other.starts_with(&base));
            newest.insert(name, profile);
            newest
        },
    )
}

/// Whether a profile is begun, or is to be.
fn is_ours(name: &str, profile: &Profile) -> bool {
    profile.backed > 0 || NAMED.contains(&name.split(':').next().unwrap_or_default())
}

#[test]
fn the_readme_tells_what_is_covered() {
    let (params, objects) = model();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/standards/tr181-profiles.tsv");
    let Ok(text) = fs::read_to_string(path) else {
        println!("skipped: ../shared not present");
        return;
    };
    let found = profiles(&text, &params);
    let begun: Vec<(&String, &Profile)> = found.iter().filter(|(name, one)| is_ours(name, one)).collect();
    let whole = begun.iter().filter(|(_, one)| one.backed == one.total).count();
    let none = begun.iter().filter(|(_, one)| one.backed == 0).count();
    let mut table = format!(
        "{} parameters in {objects} objects; {whole} profiles of TR-181 are whole, {} begun, {} not.\n\n\
         | profile | parameters | backed | |\n|---|---|---|---|\n",
        params.len(),
        begun.len() - whole - none,
        none
    );
    for (name, one) in &begun {
        let percent = one.backed * 100 / one.total;
        table += &format!("| {name} | {} | {} | {percent} % |\n", one.total, one.backed);
        println!("{name}: {} of {}", one.backed, one.total);
        one.lacks.iter().for_each(|path| println!("    {path}"));
    }
    let readme = fs::read_to_string(README).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the README has a place for the table");
    let (shown, after) = rest.split_once(END).unwrap();
    if shown != table && std::env::var_os("UPDATE").is_some() {
        return fs::write(README, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    }
    assert_eq!(shown, table, "UPDATE=1 rewrites the README's table");
}

/// Whether a path is what a pattern says, in which `*` stands for anything.
fn fits(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((head, tail)) => path.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && fits(tail, &rest[at..]))
        }),
    }
}

#[test]
fn what_is_not_there_has_a_reason() {
    let lines: Vec<(&str, &str)> =
        LACKS.lines().map(|line| line.split_once('\t').unwrap_or_else(|| panic!("{line:?}"))).collect();
    for pair in lines.windows(2) {
        assert!(pair[0].0 < pair[1].0, "{} and {} are not in order", pair[0].0, pair[1].0);
    }
    for (path, reason) in &lines {
        assert!(!reason.trim().is_empty() && !reason.contains('\t'), "{path} has no reason");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/standards/tr181-profiles.tsv");
    let Ok(text) = fs::read_to_string(path) else {
        println!("skipped: ../shared not present");
        return;
    };
    let (params, _) = model();
    let found = profiles(&text, &params);
    for name in NAMED {
        let base = format!("{name}:");
        assert!(found.keys().any(|known| known.starts_with(&base)), "{name} is no profile");
    }
    let ours = found.iter().filter(|(name, one)| is_ours(name, one)).flat_map(|(_, one)| &one.lacks);
    let mut missing: BTreeSet<String> =
        ours.map(|path| path.trim_end_matches(" (read-only)").to_owned()).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/standards/tr181.tsv");
    for line in fs::read_to_string(path).unwrap().lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let [path, "parameter", _, _, access, _, "current" | "deprecated", ..] = cells[..] else { continue };
        let there = params.get(path).is_some_and(|writable| *writable || access == "readOnly");
        if WHOLE.iter().any(|whole| path.starts_with(whole)) && !there {
            missing.insert(path.to_owned());
        }
    }
    let reasoned = |path: &String| lines.iter().any(|(pattern, _)| fits(pattern, path));
    let unsaid: Vec<&String> = missing.iter().filter(|path| !reasoned(path)).collect();
    assert!(unsaid.is_empty(), "without a reason in tests/profiles/lacks: {unsaid:#?}");
    let stale = |pattern: &&str| !missing.iter().any(|path| fits(pattern, path));
    let stale: Vec<&str> = lines.iter().map(|(pattern, _)| *pattern).filter(stale).collect();
    assert!(stale.is_empty(), "reasons for nothing in tests/profiles/lacks: {stale:#?}");
}

#[test]
fn the_script_counts_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/standards/tr181-profiles.tsv");
    let Ok(text) = fs::read_to_string(&path) else {
        println!("skipped: ../shared not present");
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_rcwmpd"));
    let printed = program.args(["dump-model", "--root"]).arg(root.path()).output().unwrap();
    let dump = root.path().join("dump");
    fs::write(&dump, printed.stdout).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/coverage.sh");
    let told = Command::new("sh").arg(script).arg(&path).arg(&dump).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told = String::from_utf8(told.stdout).unwrap();
    let own: BTreeSet<String> = profiles(&text, &model().0)
        .into_iter()
        .map(|(name, Profile { total, backed, .. })| {
            format!("{name}\t{total}\t{backed}\t{} %", backed * 100 / total)
        })
        .collect();
    assert_eq!(told.lines().map(str::to_owned).collect::<BTreeSet<_>>(), own);
}

/// Every path of a profile that we count is one of the standard's: a name misspelt there would never be found.
#[test]
fn no_profile_names_a_parameter_twice() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/standards/tr181-profiles.tsv");
    let Ok(text) = fs::read_to_string(path) else { return };
    let mut seen = BTreeSet::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        assert!(seen.insert((cells[0], cells[1])), "{line}");
    }
}
