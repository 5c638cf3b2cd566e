//! The compiled data model against the Broadband Forum's own table of TR-181, row by row, and against the
//! registries of functions and conversions that it names.
//!
//! The table lies beside the repository (`../shared/standards/tr181.tsv`); without it the comparison is
//! skipped. All differences of a run are listed at once.
// Helpers of tests may print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::disallowed_macros)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rcwmp::backend::{convert, functions};
use rcwmp::model::compiled;
use rcwmp::model::schema::{Key, Object, Origin, Param, Schema};
use rcwmp::model::value::{Kind, Type};

/// What we have of TR-140 (StorageService:1.2, Broadband Forum's tr-140-1-2-0.xml), in the form of that table: every
/// parameter of the objects that are mapped, and whatever else of them the standard has.
const TR140: &str = include_str!("standards/tr140.tsv");

/// One row of the table: only what is compared.
#[derive(Debug, Default)]
struct Row {
    is_object: bool,
    ty: String,
    data_type: String,
    writable: bool,
    add: bool,
    delete: bool,
    status: String,
    /// For a table: the parameter of the parent that counts it.
    counter: String,
    unique: Vec<String>,
    values: Vec<String>,
    size: String,
    range: String,
    list: String,
    refs: String,
    hidden: bool,
    inform: bool,
    notify: String,
}

fn standard() -> Option<BTreeMap<String, Row>> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/standards/tr181.tsv"));
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: ../shared not present");
        return None;
    };
    let mut all = parse(&text);
    all.extend(parse(TR140));
    Some(all)
}

fn parse(text: &str) -> BTreeMap<String, Row> {
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| head.iter().position(|head| *head == name).expect("the column is there");
    let [
        path,
        kind,
        ty,
        data_type,
        access,
        add_delete,
        status,
        counter,
        unique,
        values,
        size,
        range,
        list,
        refs,
        flags,
        inform,
        notify,
    ] = [
        "path",
        "kind",
        "type",
        "dataType",
        "access",
        "add_delete",
        "status",
        "numEntriesParameter",
        "uniqueKeys",
        "enumerations",
        "size",
        "range",
        "list",
        "refs",
        "flags",
        "forcedInform",
        "activeNotify",
    ]
    .map(column);
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
            let row = Row {
                is_object: cell(kind) == "object",
                ty: cell(ty).to_owned(),
                data_type: cell(data_type).to_owned(),
                writable: cell(access) == "readWrite",
                add: cell(add_delete).contains("AddObject"),
                delete: cell(add_delete).contains("DeleteObject"),
                status: cell(status).to_owned(),
                counter: cell(counter).to_owned(),
                unique: cell(unique).split(" ; ").map(str::to_owned).collect(),
                values: cell(values).split('|').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
                size: cell(size).to_owned(),
                range: cell(range).to_owned(),
                list: cell(list).to_owned(),
                refs: cell(refs).to_owned(),
                hidden: cell(flags).contains("hidden") || cell(flags).contains("secured"),
                inform: cell(inform) == "true",
                notify: cell(notify).to_owned(),
            };
            (cell(path).to_owned(), row)
        })
        .collect()
}

/// Whether the last part of a path, or one on the way, is a vendor's.
fn is_vendors(path: &str) -> bool {
    path.split('.').any(|part| part.starts_with("X_"))
}

/// Everything that differs, one line each.
fn differences(schema: &Schema, standard: &BTreeMap<String, Row>) -> Vec<String> {
    let mut out = Vec::new();
    for object in schema.objects() {
        if is_vendors(object.path) {
            continue;
        }
        match standard.get(object.path) {
            None => out.push(format!("{} is not an object of TR-181", object.path)),
            Some(row) => compare_object(schema, object, row, standard, &mut out),
        }
        for param in object.params.iter() {
            let path = format!("{}{}", object.path, param.name);
            match standard.get(&path) {
                _ if is_vendors(&path) => {}
                None => out.push(format!("{path} is not a parameter of TR-181")),
                Some(row) => compare_param(&path, param, row, &mut out),
            }
        }
    }
    out
}

fn compare_object(
    schema: &Schema,
    object: &Object,
    row: &Row,
    standard: &BTreeMap<String, Row>,
    out: &mut Vec<String>,
) {
    let path = object.path;
    let mut differ = |what: String| out.push(format!("{path} {what}"));
    if !row.is_object {
        differ("is a parameter in TR-181".to_owned());
    }
    check_status(row, &mut differ);
    if object.is_table() != (row.ty == "multi") {
        differ(format!("is {} in TR-181", row.ty));
    }
    if object.add && !row.add {
        differ("takes no AddObject in TR-181".to_owned());
    }
    if object.delete && !row.delete {
        differ("takes no DeleteObject in TR-181".to_owned());
    }
    for key in object.unique {
        // What dnsmasq does not start with, and what the kernel has one device for, the standard does not know.
        if ["Yiaddr everywhere", "LowerLayers+VLANID+TPID"].contains(key) {
            continue;
        }
        let key = &Key::parse(key).parts.join("+");
        if row.unique.iter().all(|known| known != key) {
            differ(format!("has not the unique key {key} in TR-181"));
        }
    }
    if object.is_table() {
        let has_alias = standard.get(&format!("{path}Alias")).is_some_and(|row| row.status == "current");
        match object.param("Alias") {
            None if has_alias => differ("has no Alias".to_owned()),
            Some(alias) if alias.source.from != Origin::Alias => {
                differ("has an Alias that is not the instance's".to_owned());
            }
            _ => {}
        }
        let Some(head) = path.strip_suffix(".{i}.") else { return };
        let (parent, table) = head.rsplit_once('.').unwrap_or(("", head));
        let parent = schema.find(&format!("{parent}.")).map(|at| &schema.objects()[at]);
        if !row.counter.is_empty() {
            match parent.and_then(|parent| parent.param(&row.counter)) {
                None => differ(format!("is not counted by {}", row.counter)),
                Some(param) if param.source.from == Origin::Count && param.source.spec == table => {}
                Some(_) => differ(format!("is not what {} counts", row.counter)),
            }
        }
    }
}

fn check_status(row: &Row, differ: &mut impl FnMut(String)) {
    if !matches!(row.status.as_str(), "current" | "deprecated") {
        differ(format!("is {} in TR-181", row.status));
    }
}

fn compare_param(path: &str, param: &Param, row: &Row, out: &mut Vec<String>) {
    let mut differ = |what: String| out.push(format!("{path} {what}"));
    if row.is_object {
        differ("is an object in TR-181".to_owned());
        return;
    }
    check_status(row, &mut differ);
    let Type { kind, list, size, list_size, ranges, values, .. } = *param.ty;
    let item = row.ty.strip_prefix("list(").and_then(|rest| rest.strip_suffix(')'));
    if list != item.is_some() {
        differ(format!("is {} in TR-181", row.ty));
    }
    // A decimal travels as a string here: no parameter of this model has that type yet.
    let wanted = Kind::from_name(item.unwrap_or(&row.ty));
    if wanted != Some(kind) {
        differ(format!("is {} here, {} in TR-181", kind.name(), row.ty));
    }
    if param.write && !row.writable {
        differ("is read-only in TR-181".to_owned());
    }
    // Sizes. `hexBinary` and `base64` count octets in both.
    let wanted_size = sizes(&row.size);
    if size != wanted_size {
        differ(format!("has size {size:?} here, {:?} in TR-181", row.size));
    }
    let wanted_list = row.list.split(';').find_map(|part| part.strip_prefix("len")).and_then(sizes);
    if list && list_size != wanted_list.map(|(_, most)| most) {
        differ(format!("has list size {list_size:?} here, {:?} in TR-181", row.list));
    }
    if normal_ranges(kind, ranges) != normal_ranges(kind, &wanted_ranges(&row.range)) {
        differ(format!("has ranges {ranges:?} here, {:?} in TR-181", row.range));
    }
    compare_values(param, row, values, &mut differ);
    if param.hidden != row.hidden {
        differ(if row.hidden { "must be hidden" } else { "is not hidden in TR-181" }.to_owned());
    }
    if param.inform != row.inform {
        differ(format!("has forcedInform {} in TR-181", row.inform));
    }
    let notify = param.notify.name();
    if notify != row.notify && !(row.notify.is_empty() && notify == "normal") {
        differ(format!("has activeNotify {notify} here, {} in TR-181", row.notify));
    }
    let is_alias = row.data_type == "_AliasCWMP";
    if is_alias != (param.source.from == Origin::Alias) {
        differ("is an Alias in one of the two only".to_owned());
    }
}

/// Ours must be among the standard's. The standard's mandatory ones must all be here, but for those that
/// cannot be written, and a parameter that can be written may support fewer.
fn compare_values(param: &Param, row: &Row, ours: &[&str], differ: &mut impl FnMut(String)) {
    let names: BTreeSet<&str> = row.values.iter().map(|word| word.trim_end_matches(['?', '^'])).collect();
    if names.is_empty() {
        // The values of such a parameter are those of another one.
        if !ours.is_empty() && !row.refs.contains("enum>") {
            differ("has values here, none in TR-181".to_owned());
        }
        return;
    }
    if ours.is_empty() {
        differ("has no values here".to_owned());
        return;
    }
    // Words of a vendor may be added where the standard says so, and look like this (TR-106 3.3).
    let more: Vec<&&str> =
        ours.iter().filter(|word| !names.contains(**word) && !word.starts_with("X_RCWMP_")).collect();
    if !more.is_empty() {
        differ(format!("has values that TR-181 does not: {more:?}"));
    }
    let missing: Vec<&String> = row
        .values
        .iter()
        .filter(|word| !word.ends_with(['?', '^']) && !ours.contains(&word.as_str()))
        .collect();
    if !param.write && !missing.is_empty() {
        differ(format!("lacks the values {missing:?}"));
    }
}

/// `..64`, `6..6`, `0..4095`; several sizes become the span of all.
fn sizes(text: &str) -> Option<(u32, u32)> {
    let mut out: Option<(u32, u32)> = None;
    for part in text.split(';').filter(|part| part.contains("..")) {
        let (least, most) = part.split_once("..")?;
        let least = if least.is_empty() { 0 } else { least.parse().ok()? };
        let most = if most.is_empty() { u32::MAX } else { most.parse().ok()? };
        out = Some(out.map_or((least, most), |(low, high)| (low.min(least), high.max(most))));
    }
    out.filter(|span| *span != (0, u32::MAX))
}

fn wanted_ranges(text: &str) -> Vec<(Option<i128>, Option<i128>)> {
    let bound = |text: &str| text.parse::<i128>().ok();
    text.split(';')
        // `0..240/16` counts in steps, which a type here does not know.
        .filter_map(|part| part.split('/').next().and_then(|part| part.split_once("..")))
        .map(|(from, to)| (bound(from), bound(to)))
        .collect()
}

/// With the kind's own limits put in, so that `..100` and `0..100` of an unsigned number are one.
fn normal_ranges(kind: Kind, ranges: &[(Option<i128>, Option<i128>)]) -> BTreeSet<(i128, i128)> {
    let (least, most) = match kind {
        Kind::Int => (i128::from(i32::MIN), i128::from(i32::MAX)),
        Kind::UnsignedInt => (0, i128::from(u32::MAX)),
        Kind::Long => (i128::from(i64::MIN), i128::from(i64::MAX)),
        Kind::UnsignedLong => (0, i128::from(u64::MAX)),
        _ => return BTreeSet::new(),
    };
    let all: BTreeSet<_> =
        ranges.iter().map(|(from, to)| (from.unwrap_or(least), to.unwrap_or(most))).collect();
    if all.is_empty() { BTreeSet::from([(least, most)]) } else { all }
}

#[test]
fn agrees_with_the_standard() {
    let Some(standard) = standard() else { return };
    assert!(standard.len() > 8000, "the table is whole");
    let differences = differences(&compiled::schema(), &standard);
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn forced_parameters_are_all_there() {
    let Some(standard) = standard() else { return };
    let schema = compiled::schema();
    let ours: BTreeSet<String> = schema.forced_inform().collect();
    let wanted: BTreeSet<String> = standard
        .iter()
        .filter(|(_, row)| row.inform && row.status == "current")
        .map(|(path, _)| path.clone())
        .filter(|path| {
            path.split('.').count() == 3 && !path.contains("{i}") || schema.find(&above(path)).is_some()
        })
        .collect();
    assert_eq!(ours, wanted);
}

fn above(path: &str) -> String {
    path.rsplit_once('.').map_or(String::new(), |(head, _)| format!("{head}."))
}

#[test]
fn the_comparison_can_fail() {
    let text = "path\tkind\ttype\tdataType\taccess\tadd_delete\tstatus\tnumEntriesParameter\tuniqueKeys\tenumerations\tsize\trange\tlist\trefs\tflags\tforcedInform\tactiveNotify\n\
        Device.\tobject\tsingle\t\treadOnly\t\tcurrent\t\t\t\t\t\t\t\t\t\t\n\
        Device.T.{i}.\tobject\tmulti\t\treadOnly\t\tcurrent\tTNumberOfEntries\tA\t\t\t\t\t\t\t\t\n\
        Device.T.{i}.Alias\tparameter\tstring\t_AliasCWMP\treadWrite\t\tcurrent\t\t\t\t..64\t\t\t\t\t\tnormal\n\
        Device.T.{i}.A\tparameter\tstring\t\treadOnly\t\tcurrent\t\t\tUp|Down|X?\t..8\t\t\t\t\t\tnormal\n\
        Device.T.{i}.B\tparameter\tunsignedInt\t\treadOnly\t\tcurrent\t\t\t\t\t1..5\t\t\t\ttrue\tcanDeny\n\
        Device.T.{i}.P\tparameter\tstring\t\treadOnly\t\tdeleted\t\t\t\t\t\t\t\thidden\t\tnormal\n";
    let model = r#"{"objects":[{"object":"Device."},{"object":"Device.T.{i}.","rows":{"store":true},"add":true,"unique":["A","A+B"],"params":[
        {"name":"A","type":"string(9)","values":["Up","Left"],"access":"rw","store":true},
        {"name":"B","type":"int","const":"1"},{"name":"P","type":"list(string)","const":""},
        {"name":"N","type":"string","const":""},{"name":"X_N","type":"string","const":""}]}]}"#;
    let objects = rcwmp::model::load::load("t.json", model, &mut Default::default()).unwrap();
    let found = differences(&Schema::new(objects).unwrap(), &parse(text)).join("\n");
    for expected in [
        "T.{i}. takes no AddObject",
        "T.{i}. has no Alias",
        "T.{i}. has not the unique key A+B",
        "T.{i}. is not counted by TNumberOfEntries",
        "A is read-only",
        "A has size",
        "A has values that TR-181 does not: [\"Left\"]",
        "B is int here",
        "B has ranges",
        "B has forcedInform",
        "B has activeNotify",
        "P is deleted",
        "P is string in TR-181",
        "P must be hidden",
        "N is not a parameter",
    ] {
        assert!(found.contains(expected), "{expected:?} is not in\n{found}");
    }
    assert!(!found.contains("X_N"), "{found}");
}

#[test]
fn whatever_is_named_exists() {
    let schema = compiled::schema();
    let mut wrong = Vec::new();
    let name = |spec: &'static str| spec.split(':').next().unwrap_or_default();
    for object in schema.objects() {
        if let Some(rows) = object.rows.filter(|rows| rows.from == Origin::Function) {
            match functions::table(name(rows.spec)) {
                None => wrong.push(format!("{} has rows of the unknown function {}", object.path, rows.spec)),
                Some(function) => {
                    if object.add && function.add.is_none() {
                        wrong.push(format!("{}: {} adds no rows", object.path, rows.spec));
                    }
                    if object.delete && function.delete.is_none() {
                        wrong.push(format!("{}: {} deletes no rows", object.path, rows.spec));
                    }
                }
            }
        }
        for param in object.params.iter() {
            let path = format!("{}{}", object.path, param.name);
            let source = param.source;
            if source.from == Origin::Function {
                match functions::value(name(source.spec)) {
                    None => wrong.push(format!("{path} calls the unknown function {}", source.spec)),
                    Some(function) if param.write && function.set.is_none() => {
                        wrong.push(format!("{path} is writable, {} is not", source.spec));
                    }
                    Some(_) => {}
                }
            }
            if source.from == Origin::Count
                && schema.find(&format!("{}{}.{{i}}.", object.path, source.spec)).is_none()
            {
                wrong.push(format!("{path} counts {}, which is no table", source.spec));
            }
            if !source.via.is_empty() && convert::named(source.via).is_none() {
                wrong.push(format!("{path} goes via the unknown conversion {}", source.via));
            }
            for table in source.refs {
                // Rows may be named by a parameter of theirs.
                let (table, param) = table.split_at(table.rfind('.').map_or(0, |at| at + 1));
                let named = |at: usize| schema.objects()[at].params.iter().any(|one| one.name == param);
                if !param.is_empty() && !schema.find(table).is_some_and(named) {
                    wrong.push(format!("{path} refers to rows by {param}, which they do not have"));
                }
                let known = schema.find(table).is_some_and(|at| schema.objects()[at].is_table());
                if !known {
                    wrong.push(format!("{path} refers to {table}, which is no table"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
