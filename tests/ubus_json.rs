//! What OpenWrt routers answered, from JSON to a ubus message and back to the text that `ubus call` prints.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::disallowed_macros, reason = "a skipped test says so")]

use std::fs;
use std::path::{Path, PathBuf};

use rcwmp::ubus::blobmsg::Table;
use rcwmp::ubus::json;

fn samples(ending: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/router-samples/ubus"));
    if !folder.exists() {
        eprintln!("skipped: ../shared not present");
        return Vec::new();
    }
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(ending));
    files.sort();
    assert!(files.len() > 1, "there are {ending} files");
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Without what is in an empty list: many who publish an answer leave it out.
fn squeezed(text: &str) -> String {
    let mut out = String::new();
    for line in text.trim_end().lines().filter(|line| !line.trim().is_empty()) {
        let closes = line.trim_start().starts_with([']', '}']);
        if closes && out.trim_end().ends_with(['[', '{']) {
            out.truncate(out.trim_end().len());
            out.push_str(line.trim_start());
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

#[test]
fn answers_of_routers() {
    let mut as_printed = 0;
    let files = samples(".json");
    for (path, text) in &files {
        let path = path.display();
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        if !value.is_object() {
            assert!(json::parse(text).is_err(), "{path}");
            continue;
        }
        let table = json::parse(text).unwrap_or_else(|why| panic!("{path}: {why}"));
        let read = Table::decode(&table.encode().unwrap()).unwrap();
        assert_eq!(json::table_to_value(&read), value, "{path}");
        assert_eq!(json::from_value(&value).map(|table| json::table_to_value(&table)), Ok(value), "{path}");
        let printed = json::print(&read);
        // Tabs on a line of their own are a sign that nobody has touched what the router printed.
        if text.lines().any(|line| !line.is_empty() && line.chars().all(|character| character == '\t')) {
            assert_eq!(printed, text.trim_end(), "{path}");
            as_printed += 1;
        // Somebody has shortened the doubles of the other.
        } else if !text.contains("\"latn\": 7.9,") {
            assert_eq!(squeezed(&printed), squeezed(text), "{path}");
        }
    }
    assert!(files.is_empty() || as_printed > 5, "{as_printed} files as they were printed");
}

#[test]
fn a_name_that_comes_again_is_printed_again() {
    let record = Table::new().with("port", 515).with("txt", "txtvers=1").with("txt", "qtotal=1");
    let table = Table::new().with("_printer._tcp", Table::new().with("HP\\032Color", record));
    let read = Table::decode(&table.encode().unwrap()).unwrap();
    let expected = "{\n\t\"_printer._tcp\": {\n\t\t\"HP\\\\032Color\": {\n\t\t\t\"port\": 515,\n\
                    \t\t\t\"txt\": \"txtvers=1\",\n\t\t\t\"txt\": \"qtotal=1\"\n\t\t}\n\t}\n}";
    assert_eq!(json::print(&read), expected);
}

#[test]
fn what_objects_offer() {
    use rcwmp::ubus::blobmsg::Kind;
    use rcwmp::ubus::object::{self, Method};

    let word = |kind: Kind| match kind {
        Kind::Array => "Array",
        Kind::Table => "Table",
        Kind::String => "String",
        Kind::Int32 => "Integer",
        Kind::Int8 => "Boolean",
        _ => "(unknown)",
    };
    let kinds = [Kind::Array, Kind::Table, Kind::String, Kind::Int32, Kind::Int8, Kind::Null];
    let mut methods = 0;
    // As `ubus -v list` printed it: "name":{"argument":"Type",…}
    for (path, text) in samples(".24.10.txt") {
        for line in text.lines().filter_map(|line| line.strip_prefix('\t')) {
            let (name, arguments) = line.split_once(':').unwrap();
            let mut method = Method::new(name.trim_matches('"'));
            for argument in arguments.trim_matches(['{', '}']).split(',').filter(|text| !text.is_empty()) {
                let (name, kind) = argument.split_once(':').unwrap();
                let kind = kinds.into_iter().find(|one| kind.trim_matches('"') == word(*one));
                method = method.with(name.trim_matches('"'), kind.expect(line));
            }
            let list = [method];
            let read = object::methods(&object::signature(&list).unwrap()).unwrap();
            assert_eq!(read, list, "{}", path.display());
            let arguments: Vec<_> = read[0]
                .arguments
                .iter()
                .map(|(name, kind)| format!("\"{name}\":\"{}\"", word(*kind)))
                .collect();
            assert_eq!(format!("\"{}\":{{{}}}", read[0].name, arguments.join(",")), line);
            methods += 1;
        }
    }
    assert!(methods == 0 || methods > 50);
}
