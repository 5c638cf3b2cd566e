//! `uci/cwmp`, the file a package installs, and what reads it, held against each other option by option:
//! `agent::settings`, the data model, and the list of icwmp's options.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;

use rcwmp::agent::daemon::read_settings;
use rcwmp::agent::settings::Settings;

#[path = "support/router.rs"]
mod router;
use router::{Router, router_with};

const FILE: &str = include_str!("../uci/cwmp");

/// Sections that may be there many times.
const ROWS: [&str; 3] = ["inform_parameter", "xmpp_connection", "xmpp_server"];

/// The type of the sections that the object is a table of whose parameters come right after `before`.
fn rows_before(before: &str) -> &'static str {
    let head = before.rsplit("\"object\":").next().unwrap().lines().next().unwrap();
    // `xmpp_connections` is a function that lists sections `xmpp_connection`.
    ROWS.iter().find(|name| head.contains(**name)).unwrap_or(&ROWS[0])
}

/// Of a section in the file: its type, and its options with their values and whether they are active.
#[derive(Debug, Default)]
struct Section {
    ty: String,
    options: BTreeMap<String, (String, bool)>,
    unused: BTreeSet<String>,
}

/// The sections of the file by their names.
fn file() -> BTreeMap<String, Section> {
    let mut out: BTreeMap<String, Section> = BTreeMap::new();
    let mut now = String::new();
    for line in FILE.lines() {
        let active = !line.trim_start().starts_with('#');
        let line = line.trim_start();
        let line = line.strip_prefix('#').unwrap_or(line);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        // A comment in English begins with a blank, or a tab.
        let mut words = rest.split_whitespace();
        match word {
            "config" => {
                let (ty, name) = (words.next().unwrap(), words.next().unwrap());
                name.trim_matches('\'').clone_into(&mut now);
                let section = Section { ty: ty.to_owned(), ..Section::default() };
                assert!(out.insert(now.clone(), section).is_none(), "{now} twice");
            }
            "option" => {
                let (name, value) = rest.split_once(' ').unwrap();
                let value = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap();
                let section = out.get_mut(&now).unwrap();
                let before = section.options.insert(name.to_owned(), (value.to_owned(), active));
                assert!(before.is_none(), "{now}.{name} twice");
            }
            "unused" => {
                let name = words.next().unwrap().to_owned();
                assert!(words.next().is_some(), "{now}.{name}: no reason");
                out.get_mut(&now).unwrap().unused.insert(name);
            }
            _ => assert!(word.is_empty() || word.starts_with('\t'), "{line}"),
        }
    }
    out
}

/// `section.option` of all options, those of the sections that may be there many times by their type.
fn names(of: impl Fn(&Section) -> Vec<String>) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (name, section) in file() {
        let shown = if ROWS.contains(&&*section.ty) { &section.ty } else { &name };
        out.extend(of(&section).into_iter().map(|option| format!("{shown}.{option}")));
    }
    out
}

fn offered() -> BTreeSet<String> {
    names(|section| section.options.keys().cloned().collect())
}

/// What `Settings::read` asks for, whatever the answers are.
fn asked_by_settings() -> BTreeSet<String> {
    let mut asked = BTreeSet::new();
    for answer in [None, Some("1")] {
        Settings::read(&mut |name| {
            asked.insert(name.to_owned());
            answer.map(str::to_owned)
        });
    }
    asked
}

/// What the data model's files and the code behind them name: `cwmp.SECTION.OPTION`,
/// `cwmp.NAME.TYPE.OPTION`, and `cwmp.{}.OPTION` of rows.
fn named_by_the_model() -> BTreeSet<String> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for folder in ["datamodel", "src/backend/functions", "src/agent/daemon"] {
        for entry in fs::read_dir(base.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "json" || ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                // Tests may name what there is not.
                texts.push(text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned());
            }
        }
    }
    let mut out = BTreeSet::new();
    for text in texts {
        for (at, _) in text.match_indices("cwmp.") {
            let before = text[..at].chars().next_back();
            if !matches!(before, Some('"' | ':')) {
                continue;
            }
            let part = |c: char| c.is_ascii_alphanumeric() || "_.{}".contains(c);
            let address = text[at..].split(|c| !part(c)).next().unwrap().trim_end_matches('.');
            let mut parts: Vec<&str> = address.split('.').skip(1).collect();
            match parts[..] {
                // `cwmp.inform_parameter` is the table itself.
                [_] => continue,
                ["{}", ty, option] if ROWS.contains(&ty) => parts = vec![ty, option],
                ["{}", option] => parts = vec![rows_before(&text[..at]), option],
                [name, _, option] => parts = vec![name, option],
                _ => {}
            }
            // `{configured}`, `{argument}`: their names are told below.
            if !parts[1].contains('{') {
                out.insert(parts.join("."));
            }
        }
    }
    out
}

#[test]
fn nothing_is_missing_on_either_side() {
    let known: BTreeSet<String> = asked_by_settings().union(&named_by_the_model()).cloned().collect();
    let identity = IDENTITY.iter().map(|(option, ..)| format!("cpe.{option}"));
    // The connection of a server is the condition of its row.
    let owner = ["xmpp_server.connection".to_owned()];
    let known: BTreeSet<String> = known.into_iter().chain(identity).chain(owner).collect();
    let offered = offered();
    assert!(known.len() > 80, "{known:?}");
    // What icwmp itself wrote there; it is taken over once, and nobody sets it.
    let known: BTreeSet<String> =
        known.into_iter().filter(|option| !option.ends_with(".ParameterKey")).collect();
    let missing: Vec<_> = known.difference(&offered).collect();
    assert!(missing.is_empty(), "read, and not in uci/cwmp: {missing:?}");
    let unknown: Vec<_> = offered.difference(&known).collect();
    assert!(unknown.is_empty(), "in uci/cwmp, and read by nobody: {unknown:?}");
    let unused = names(|section| section.unused.iter().cloned().collect());
    let both: Vec<_> = unused.intersection(&known).collect();
    assert!(both.is_empty(), "said to be unused, and read: {both:?}");
}

#[test]
fn the_defaults_are_those_that_hold() {
    let nothing = Settings::read(&mut |_| None);
    assert_eq!(nothing.complaints, Vec::<String>::new());
    for (name, section) in file() {
        for (option, (value, _)) in section.options {
            let this = format!("{name}.{option}");
            let with = Settings::read(&mut |asked| (asked == this).then(|| value.clone()));
            assert_eq!(with, nothing, "{this} '{value}'");
        }
    }
}

/// The file with every option in force.
fn uncommented() -> String {
    let mut out = String::new();
    for (name, section) in file() {
        // A row of a table is one more row.
        if ROWS.contains(&&*section.ty) {
            continue;
        }
        out += &format!("config {} '{name}'\n", section.ty);
        for (option, (value, _)) in section.options {
            out += &format!("\toption {option} '{value}'\n");
        }
    }
    out
}

fn with(config: &str) -> Router {
    router_with(&[
        ("etc/config/network", router::NETWORK),
        ("etc/config/system", "config system\n\toption hostname 'r'\n"),
        ("etc/config/cwmp", config),
    ])
}

/// All that the data model shows of it, and the settings, as the daemon reads them.
fn shown(config: &str) -> (BTreeMap<String, String>, Settings) {
    let mut router = with(config);
    let list = router.model.values(["Device."]).unwrap();
    let values = list.into_iter().map(|(name, value)| (name, value.text));
    let changing =
        ["UpTime", "CurrentLocalTime", "Date", "MemoryStatus", "ProcessStatus", "Bytes", "DiskSpace"];
    let values = values.filter(|(name, _)| !changing.iter().any(|word| name.contains(word))).collect();
    assert_eq!(router.model.complaints(), Vec::<String>::new());
    (values, read_settings(router.model.backend()).unwrap())
}

#[test]
fn the_file_says_what_holds_without_it() {
    let bare = shown("config acs 'acs'\n\nconfig cpe 'cpe'\n");
    assert!(bare.0.len() > 300, "{}", bare.0.len());
    for (what, text) in [("as it is", FILE.to_owned()), ("with all options", uncommented())] {
        let found = shown(&text);
        let differ: Vec<_> =
            bare.0.iter().filter(|(name, value)| found.0.get(*name) != Some(value)).collect();
        assert!(differ.is_empty(), "{what}: {differ:?}");
        assert_eq!((found.0.len(), &found.1), (bare.0.len(), &bare.1), "{what}");
    }
}

/// Options that are read by a name made of parts: what they do.
const IDENTITY: [(&str, &str, &str); 7] = [
    ("manufacturer", "Manufacturer", "Somebody"),
    ("manufacturer_oui", "ManufacturerOUI", "02AB00"),
    ("product_class", "ProductClass", "Box"),
    ("serial_number", "SerialNumber", "0042"),
    ("software_version", "SoftwareVersion", "1.2.3"),
    ("model_name", "ModelName", "Box 9"),
    ("description", "Description", "A box"),
];

#[test]
fn the_device_is_who_the_file_says() {
    let mut config = "config acs 'acs'\nconfig cpe 'cpe'\n".to_owned();
    for (option, _, value) in IDENTITY {
        config += &format!("\toption {option} '{value}'\n");
    }
    let mut router = with(&config);
    for (_, name, value) in IDENTITY {
        router.check(&format!("Device.DeviceInfo.{name}"), value);
    }
}

#[test]
fn both_spellings_of_what_is_autonomous() {
    const POLICY: &str = "Device.ManagementServer.AutonomousTransferCompletePolicy.";
    for section in ["autonomous_notify 'transfer_complete'", "transfer_complete", "transfer_complete 'x'"] {
        let mut router = with(&format!(
            "config {section}\n\toption enable '1'\n\toption result_type 'Failure'\n\toption file_type \
             '1 Firmware Upgrade Image,3 Vendor Configuration File'\n"
        ));
        router.check(&format!("{POLICY}Enable"), "1");
        router.check(&format!("{POLICY}ResultTypeFilter"), "Failure");
        router.check(
            &format!("{POLICY}FileTypeFilter"),
            "1 Firmware Upgrade Image,3 Vendor Configuration File",
        );
    }
    for section in ["autonomous_notify 'du_state_change'", "du_state_change"] {
        let mut router =
            with(&format!("config {section}\n\toption enable 'on'\n\toption operation_type 'Install'\n"));
        router.check("Device.ManagementServer.DUStateChangeComplPolicy.Enable", "1");
        router.check("Device.ManagementServer.DUStateChangeComplPolicy.OperationTypeFilter", "Install");
    }
}

/// The tables of the sheet about icwmp: names in the first column, by commas and slashes.
fn options_of_icwmp(sheet: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut section = "";
    for line in sheet.lines() {
        if let Some(title) = line.strip_prefix("### ") {
            section = ["acs", "cpe"]
                .into_iter()
                .find(|name| title == format!("section {name} '{name}'"))
                .unwrap_or("");
        }
        let first = line.strip_prefix("| ").and_then(|row| row.split(" | ").next());
        for name in first.into_iter().filter(|_| !section.is_empty()).flat_map(|cell| cell.split([',', '/']))
        {
            if name.trim() != "option" {
                out.insert(format!("{section}.{}", name.trim()));
            }
        }
    }
    // Told in sentences there.
    for name in ["enable", "hostname", "port"] {
        out.insert(format!("lwn.{name}"));
    }
    for name in ["enable", "parameter_name", "events_list", "alias"] {
        out.insert(format!("inform_parameter.{name}"));
    }
    for name in ["enable", "transfer_type", "result_type", "file_type"] {
        out.insert(format!("transfer_complete.{name}"));
    }
    for name in ["enable", "operation_type", "result_type", "fault_code"] {
        out.insert(format!("du_state_change.{name}"));
    }
    out
}

/// The sheet writes `log_to_console / log_to_file` in full, so each name stands for itself.
#[test]
fn every_option_of_icwmp_is_there() {
    let sheet = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/icwmp.md");
    let Ok(sheet) = fs::read_to_string(sheet) else {
        return std::io::stderr().write_all(b"skipped: ../shared not present\n").unwrap();
    };
    let theirs = options_of_icwmp(&sheet);
    assert!(theirs.len() > 70, "{theirs:?}");
    let told: BTreeSet<String> =
        offered().union(&names(|section| section.unused.iter().cloned().collect())).cloned().collect();
    let missing: Vec<_> = theirs.difference(&told).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
