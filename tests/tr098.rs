//! The lab's TR-098 test model against the Broadband Forum's own table of TR-098, row by row.
//!
//! The table lies beside the repository (`../shared/standards/tr098.tsv`); without it the comparison is skipped.
#![cfg(feature = "lab")]
#![allow(clippy::disallowed_macros, clippy::unwrap_used, reason = "tests print, and panic to fail")]

use std::collections::HashMap;

use rcwmp::backend::functions;
use rcwmp::lab::models::BUILT_IN;
use rcwmp::model::load::load;
use rcwmp::model::schema::{Notify, Object, Origin, Param, Schema};

/// A row's cells by the names of their columns.
type Row<'t> = HashMap<&'t str, &'t str>;

fn schema(text: &str) -> Schema {
    Schema::new(load("tr098.json", text, &mut Default::default()).unwrap()).unwrap()
}

fn rows(text: &str) -> HashMap<&str, Row<'_>> {
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| head.iter().copied().zip(line.split('\t')).collect::<Row<'_>>())
        .map(|row| (row["path"], row))
        .collect()
}

/// Our word for a row's type with its facets; the loader then reads both alike.
fn type_word(row: &Row<'_>) -> String {
    let item = row["type"].strip_prefix("list(").and_then(|rest| rest.strip_suffix(')'));
    let facets = if row["range"].is_empty() { row["size"] } else { row["range"] };
    let facets =
        if matches!(facets, "" | "..") { String::new() } else { format!("({})", facets.replace(';', ",")) };
    let Some(item) = item else { return format!("{}{facets}", row["type"]) };
    let most = row["list"].split(';').find_map(|part| part.strip_prefix("len.."));
    format!("list({item}{facets}){}", most.map_or(String::new(), |most| format!("({most})")))
}

/// A parameter of the type that the standard gives it.
fn standard_param(name: &str, row: &Row<'_>) -> Param {
    let word = type_word(row);
    let text = format!(
        r#"{{"objects":[{{"object":"T.","params":[{{"name":"{name}","type":"{word}","store":true}}]}}]}}"#
    );
    let schema = schema(&text);
    schema.objects()[0].params[0]
}

/// Everything that differs, one line each.
fn differences(schema: &Schema, standard: &HashMap<&str, Row<'_>>) -> Vec<String> {
    let mut out = Vec::new();
    for object in schema.objects() {
        match standard.get(object.path) {
            None => out.push(format!("{} is unknown", object.path)),
            Some(row) => compare_object(object, row, standard, &mut out),
        }
        for param in object.params.iter().filter(|param| !param.name.starts_with("X_")) {
            let path = format!("{}{}", object.path, param.name);
            match standard.get(path.as_str()) {
                None => out.push(format!("{path} is unknown")),
                Some(row) => compare_param(&path, param, row, &mut out),
            }
        }
    }
    out
}

/// Access points can be added: the documents of Oktopus do it, whose examples the model is there for.
const ADDABLE: &str = "InternetGatewayDevice.LANDevice.{i}.WLANConfiguration.{i}.";

fn compare_object(object: &Object, row: &Row<'_>, standard: &HashMap<&str, Row<'_>>, out: &mut Vec<String>) {
    let path = object.path;
    let checks = [
        (row["kind"] == "object", "is a parameter"),
        (object.is_table() == (row["type"] == "multi"), "is a table in one of the two only"),
        (!object.add || path == ADDABLE || row["add_delete"].contains("AddObject"), "takes no AddObject"),
        (
            !object.delete || path == ADDABLE || row["add_delete"].contains("DeleteObject"),
            "takes no DeleteObject",
        ),
        (
            !standard.contains_key(format!("{path}Alias").as_str()) || object.param("Alias").is_some(),
            "has no Alias",
        ),
    ];
    out.extend(checks.iter().filter(|(ok, _)| !ok).map(|(_, what)| format!("{path} {what}")));
}

fn compare_param(path: &str, param: &Param, row: &Row<'_>, out: &mut Vec<String>) {
    let wanted = standard_param(param.name, row).ty;
    let ours = param.ty;
    let same_type = (ours.kind, ours.list, ours.size, ours.list_size, ours.ranges)
        == (wanted.kind, wanted.list, wanted.size, wanted.list_size, wanted.ranges);
    let words: Vec<&str> =
        row["enumerations"].split('|').map(|word| word.trim_end_matches(['?', '^'])).collect();
    let notify = match param.notify {
        Notify::Normal => "normal",
        Notify::Forced => "forceEnabled",
        Notify::Default => "forceDefaultEnabled",
        Notify::CanDeny => "canDeny",
    };
    let checks = [
        (row["kind"] == "parameter", "is an object".to_owned()),
        (matches!(row["status"], "current" | "deprecated"), format!("is {}", row["status"])),
        (same_type, format!("is {ours:?}, not {}", type_word(row))),
        (param.write == (row["access"] == "readWrite"), format!("is {}", row["access"])),
        (param.hidden == row["flags"].contains("hidden"), "is hidden in one of the two only".to_owned()),
        (ours.values.iter().all(|word| words.contains(word)), format!("has other values than {words:?}")),
        (
            ours.values.is_empty() == row["enumerations"].is_empty(),
            "has values in one of the two only".to_owned(),
        ),
        (notify == row["activeNotify"], format!("has activeNotify {}", row["activeNotify"])),
        (
            (row["dataType"] == "Alias") == (param.source.from == Origin::Alias),
            "is an Alias in one".to_owned(),
        ),
    ];
    out.extend(checks.iter().filter(|(ok, _)| !ok).map(|(_, what)| format!("{path} {what}")));
}

#[test]
fn agrees_with_the_standard() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/standards/tr098.tsv");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: ../shared not present");
        return;
    };
    let standard = rows(&text);
    assert!(standard.len() > 1900, "the table is whole");
    let model = schema(BUILT_IN.iter().find(|(name, _)| *name == "tr098").unwrap().1);
    let found = differences(&model, &standard);
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
    // It can fail: the same names elsewhere, and a parameter made worse.
    let wrong = r#"{"objects":[{"object":"InternetGatewayDevice.","params":[
        {"name":"LANDeviceNumberOfEntries","type":"int(1..)","access":"rw","hidden":true,"values":["1"],"notify":"canDeny","store":true},
        {"name":"Nonsense","type":"string","const":""}]},
        {"object":"InternetGatewayDevice.WANDevice.{i}.","rows":{"store":true},"add":true}]}"#;
    let found = differences(&schema(wrong), &standard).join("\n");
    for what in [
        "is Type",
        "is readOnly",
        "is hidden",
        "has values",
        "activeNotify normal",
        "is unknown",
        "no AddObject",
        "no Alias",
    ] {
        assert!(found.contains(what), "{what:?} is not in\n{found}");
    }
}

#[test]
fn what_it_names_exists() {
    let model = schema(BUILT_IN.iter().find(|(name, _)| *name == "tr098").unwrap().1);
    let name = |spec: &'static str| spec.split(':').next().unwrap();
    for object in model.objects() {
        for param in object.params.iter() {
            let source = param.source;
            match source.from {
                Origin::Function => {
                    let function = functions::value(name(source.spec)).expect(source.spec);
                    assert!(!param.write || function.set.is_some(), "{}", param.name);
                }
                Origin::Count => {
                    let table = format!("{}{}.{{i}}.", object.path, source.spec);
                    assert!(model.find(&table).is_some(), "{table}");
                }
                _ => {}
            }
        }
        if let Some(rows) = object.rows.filter(|rows| rows.from == Origin::Function) {
            assert!(functions::table(name(rows.spec)).is_some(), "{}", rows.spec);
        }
    }
}
