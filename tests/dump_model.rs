//! What `rcwmpd dump-model` prints against TR-181's table (`../shared/standards/tr181.tsv`, and `standards/tr140.tsv`
//! for TR-140), row by row: path, kind, type, access, enumeration and notification rule.
//!
//! What the standard lets an ACS write, add or delete and this model does not has a reason: `path TAB reason`, with
//! `*`, in `profiles/read-only` or `profiles/lacks`.
#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a test that panics has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const READ_ONLY: &str = include_str!("profiles/read-only");
const LACKS: &str = include_str!("profiles/lacks");
const TR140: &str = include_str!("standards/tr140.tsv");

/// What is compared of a row of the table.
struct Row {
    kind: String,
    ty: String,
    access: String,
    values: Vec<String>,
    /// The parameter takes the values of others, or any of a vendor.
    refs: String,
    notify: String,
}

fn standard(text: &str, out: &mut BTreeMap<String, Row>) {
    let mut lines = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    for cells in lines {
        let cell = |name: &str| {
            let at = head.iter().position(|head| *head == name).unwrap();
            cells.get(at).copied().unwrap_or_default().to_owned()
        };
        let kind = match (&*cell("kind"), &*cell("type")) {
            ("object", "multi") => "table",
            ("object", _) => "object",
            _ => "parameter",
        };
        let ty = if kind == "parameter" { cell("type") } else { String::new() };
        let access = match (kind, &*cell("add_delete")) {
            ("parameter", _) => cell("access"),
            (_, "") => "readOnly".to_owned(),
            _ => "readWrite".to_owned(),
        };
        let values =
            cell("enumerations").split('|').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let notify = match (kind, cell("activeNotify")) {
            ("parameter", notify) if notify.is_empty() => "normal".to_owned(),
            (_, notify) => notify,
        };
        out.insert(
            cell("path"),
            Row { kind: kind.to_owned(), ty, access, values, refs: cell("refs"), notify },
        );
    }
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

/// Everything that differs, and the paths that are read-only here alone.
fn differences(dump: &str, standard: &BTreeMap<String, Row>) -> (Vec<String>, Vec<String>) {
    let (mut out, mut read_only) = (Vec::new(), Vec::new());
    for line in dump.lines() {
        let [path, kind, ty, access, values, notify] = line.split('\t').collect::<Vec<_>>()[..] else {
            out.push(format!("{line:?} has not six columns"));
            continue;
        };
        if path.split('.').any(|part| part.starts_with("X_")) {
            continue;
        }
        let Some(row) = standard.get(path) else {
            out.push(format!("{path} is not in the standard"));
            continue;
        };
        for (what, ours, theirs) in
            [("kind", kind, &row.kind), ("type", ty, &row.ty), ("notify", notify, &row.notify)]
        {
            if ours != theirs {
                out.push(format!("{path}: {what} {ours:?}, {theirs:?} in the standard"));
            }
        }
        match (access, &*row.access) {
            (ours, theirs) if ours == theirs => {}
            ("readOnly", "readWrite") => read_only.push(path.to_owned()),
            (ours, theirs) => out.push(format!("{path} is {ours}, {theirs} in the standard")),
        }
        let ours: BTreeSet<&str> = values.split('|').filter(|word| !word.is_empty()).collect();
        let theirs: BTreeSet<&str> =
            row.values.iter().map(|word| word.trim_end_matches(['?', '^'])).collect();
        let own = ours.iter().filter(|word| !theirs.contains(*word) && !word.starts_with("X_RCWMP_"));
        let own: Vec<_> = own.collect();
        let of_another = theirs.is_empty() && row.refs.contains("enum>");
        if !own.is_empty() && !of_another {
            out.push(format!("{path} has values that the standard does not: {own:?}"));
        }
        // What can be written may support fewer; a status may not be silent about one.
        let must = row.values.iter().filter(|word| !word.ends_with(['?', '^']));
        let missing: Vec<_> = must.filter(|word| !ours.contains(word.as_str())).collect();
        if !missing.is_empty() && (access == "readOnly" || ours.is_empty()) {
            out.push(format!("{path} lacks the values {missing:?}"));
        }
    }
    (out, read_only)
}

#[test]
fn what_is_printed_is_the_standard() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/standards/tr181.tsv");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: ../shared not present");
        return;
    };
    let mut table = BTreeMap::new();
    standard(&text, &mut table);
    standard(TR140, &mut table);
    let root = tempfile::tempdir().unwrap();
    let printed = Command::new(env!("CARGO_BIN_EXE_rcwmpd"))
        .args(["dump-model", "--root"])
        .arg(root.path())
        .output()
        .unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let dump = String::from_utf8(printed.stdout).unwrap();
    assert!(dump.lines().count() > 2_000, "{} lines", dump.lines().count());
    let (differ, read_only) = differences(&dump, &table);
    assert!(differ.is_empty(), "{differ:#?}");

    let reasons = |text: &'static str| text.lines().map(|line| line.split_once('\t').unwrap());
    let unsaid: Vec<&String> = read_only
        .iter()
        .filter(|path| !reasons(READ_ONLY).chain(reasons(LACKS)).any(|(pattern, _)| fits(pattern, path)))
        .collect();
    assert!(unsaid.is_empty(), "read-only here, without a reason in tests/profiles/read-only: {unsaid:#?}");
    let stale: Vec<&str> = reasons(READ_ONLY)
        .filter(|(pattern, why)| why.is_empty() || !read_only.iter().any(|path| fits(pattern, path)))
        .map(|(pattern, _)| pattern)
        .collect();
    assert!(stale.is_empty(), "reasons for nothing in tests/profiles/read-only: {stale:#?}");
}

#[test]
fn the_comparison_can_fail() {
    let head = "path\tkind\ttype\taccess\tadd_delete\tenumerations\trefs\tactiveNotify\n";
    let rows = "Device.T.{i}.\tobject\tmulti\treadWrite\tAddObject+DeleteObject\t\t\t\n\
        Device.T.{i}.A\tparameter\tstring\treadOnly\t\tUp|Down|Odd?\t\tcanDeny\n\
        Device.T.{i}.B\tparameter\tlist(string)\treadWrite\t\t\t\t\n";
    let mut table = BTreeMap::new();
    standard(&format!("{head}{rows}"), &mut table);
    let good = "Device.T.{i}.\ttable\t\treadWrite\t\t\nDevice.T.{i}.A\tparameter\tstring\treadOnly\tUp|Down\tcanDeny\n\
        Device.T.{i}.B\tparameter\tlist(string)\treadWrite\t\tnormal\n";
    assert_eq!(differences(good, &table), (Vec::new(), Vec::new()));
    for (from, to, told) in [
        ("T.{i}.A", "T.{i}.C", "is not in the standard"),
        ("\ttable\t", "\tobject\t", "kind"),
        ("\tstring\t", "\tint\t", "type"),
        ("Down", "Left", "values that the standard does not"),
        ("Up|Down", "Up", "lacks the values"),
        ("canDeny", "normal", "notify"),
        ("string\treadOnly", "string\treadWrite", "is readWrite"),
        ("\tnormal", "", "six columns"),
    ] {
        let (differ, _) = differences(&good.replacen(from, to, 1), &table);
        assert!(differ.iter().any(|line| line.contains(told)), "{told}: {differ:?}");
    }
    let (_, read_only) =
        differences(&good.replace("list(string)\treadWrite", "list(string)\treadOnly"), &table);
    assert_eq!(read_only, ["Device.T.{i}.B"]);
}
