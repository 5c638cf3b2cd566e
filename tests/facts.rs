//! The rules of CWMP one by one, each with what proves it: the tables in `tests/facts/` name tests, and this test
//! finds them. So no rule stands there without a proof, and no test that proves one goes or is renamed unnoticed.
//!
//! ```text
//!  tests/session/CASE              a recorded session
//!  FILE::function                  a test of tests/FILE.rs, also inside a module of it
//!  module::path::tests::function   a unit test
//! ```
//! The proofs in README's tables of methods and events are checked too; there a word may also be a whole test file,
//! a module with tests, or several recorded sessions (`set-*`).
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// What stands in place of a proof, before the reason.
const NOT_YET: &str = "not yet: ";
/// The fewest rules that there are to be.
const LEAST: usize = 150;

/// Where tests are looked for.
struct Tests {
    root: PathBuf,
    /// The names of the recorded sessions.
    sessions: Vec<String>,
}

/// One row of a table.
struct Row {
    place: String,
    cells: Vec<String>,
}

impl Tests {
    fn of_this_crate() -> Tests {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
        let names = |entry: fs::DirEntry| {
            entry.path().is_dir().then(|| entry.file_name().to_string_lossy().into_owned())
        };
        let folder = fs::read_dir(root.join("tests/session")).unwrap();
        let sessions = folder.filter_map(|entry| names(entry.unwrap())).collect();
        Tests { root, sessions }
    }

    /// The text of a source file, if there is one.
    fn source(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }

    /// Whether a word of the tables in `tests/facts/` names a test.
    fn proves(&self, word: &str) -> bool {
        if let Some(case) = word.strip_prefix("tests/session/") {
            return self.sessions.iter().any(|name| name == case);
        }
        let Some((path, function)) = word.rsplit_once("::") else { return false };
        let parts: Vec<&str> = path.split("::").collect();
        if let Some(at) = parts.iter().position(|part| *part == "tests") {
            return self.unit_tests(&parts[..at], &parts[at..]).is_some_and(|text| has_test(&text, function));
        }
        self.source(&format!("tests/{}.rs", parts[0])).is_some_and(|text| has_test(&text, function))
    }

    /// The text with the unit tests of a module: of its own file, or of a file of theirs.
    fn unit_tests(&self, module: &[&str], below: &[&str]) -> Option<String> {
        let module = format!("src/{}", module.join("/"));
        let apart = self.source(&format!("{module}/{}.rs", below.join("/")));
        let inside = || {
            let text = self.source(&format!("{module}.rs"));
            let text = text.or_else(|| self.source(&format!("{module}/mod.rs")))?;
            text.split_once("mod tests {").map(|(_, tests)| tests.to_owned())
        };
        apart.or_else(inside)
    }

    /// Whether a word of README's tables names a test or several.
    fn names_tests(&self, word: &str) -> bool {
        let fits = |name: &String| match word.split_once('*') {
            Some((start, end)) => {
                name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
            }
            None => name == word,
        };
        let module = || self.unit_tests(&word.split("::").collect::<Vec<_>>(), &["tests"]);
        self.sessions.iter().any(fits)
            || self.source(&format!("tests/{word}.rs")).is_some_and(|text| text.contains("#[test]"))
            || module().is_some_and(|text| text.contains("#[test]"))
            || self.proves(word)
    }

    /// What is wrong with a rule's row.
    fn complaint(&self, row: &Row) -> Option<String> {
        let [rule, proof] = &row.cells[..] else {
            return Some(format!("{}: {} cells, not a rule and its proof", row.place, row.cells.len()));
        };
        let wrong = |why: &str| Some(format!("{}: {rule}: {why}", row.place));
        if rule.len() < 8 {
            return wrong("no rule");
        }
        if let Some(reason) = proof.strip_prefix(NOT_YET) {
            return if reason.is_empty() { wrong("no reason") } else { None };
        }
        let words = quoted(proof);
        let as_words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        if words.is_empty() || as_words.join(", ") != *proof {
            return wrong("its proofs are not `words`, separated by commas");
        }
        let unknown = words.iter().find(|word| !self.proves(word))?;
        wrong(&format!("there is no test {unknown}"))
    }
}

/// Whether a source has a test of this name that is run.
fn has_test(source: &str, name: &str) -> bool {
    source.split("#[test]").skip(1).any(|after| {
        let Some((attributes, rest)) = after.split_once("fn ") else { return false };
        rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')) && !attributes.contains("#[ignore")
    })
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The rows of all tables in a text, without their headings.
fn rows(name: &str, text: &str) -> Vec<Row> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_row = |at: usize| lines.get(at).is_some_and(|line| line.starts_with('|'));
    let is_rule = |at: usize| lines.get(at).is_some_and(|line| line.starts_with("|--"));
    (0..lines.len())
        .filter(|at| is_row(*at) && !is_rule(*at) && !is_rule(at + 1))
        .map(|at| {
            let cells = lines[at].trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
            Row { place: format!("{name}:{}", at + 1), cells }
        })
        .collect()
}

#[test]
fn every_rule_has_its_proof() {
    let tests = Tests::of_this_crate();
    let mut files: Vec<PathBuf> =
        fs::read_dir(tests.root.join("tests/facts")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut rules = Vec::new();
    for file in files {
        let name = format!("tests/facts/{}", file.file_name().unwrap().to_string_lossy());
        let found = rows(&name, &fs::read_to_string(&file).unwrap());
        assert!(name.ends_with(".md") && !found.is_empty(), "{name} has no rules");
        rules.extend(found);
    }
    let complaints: Vec<String> = rules.iter().filter_map(|row| tests.complaint(row)).collect();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    assert!(rules.len() >= LEAST, "{} rules", rules.len());
}

#[test]
fn what_the_readme_names_is_there() {
    let tests = Tests::of_this_crate();
    let readme = tests.source("README.md").unwrap();
    let section = readme.split("\n## ").find(|part| part.starts_with("Methods and events\n")).unwrap();
    let mut named = 0;
    for row in rows("README.md", section) {
        assert_eq!(row.cells.len(), 2, "{}", row.cells.join(" | "));
        for word in quoted(&row.cells[1]) {
            assert!(tests.names_tests(word), "{}: there is no test {word}", row.cells[0]);
            named += 1;
        }
    }
    assert!(named > 50, "{named} tests");
}

/// What stands in place of a proof for what cannot be tried.
const CANNOT: &str = "cannot apply: ";

/// What is wrong with a row of `HOSTILE.md`.
fn hostile_complaint(tests: &Tests, row: &Row) -> Option<String> {
    let [item, happens, proof] = &row.cells[..] else {
        return Some(format!("{}: {} cells", row.place, row.cells.len()));
    };
    let words = quoted(proof);
    let as_words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let why = match happens.strip_prefix(CANNOT) {
        _ if item.len() < 8 => "no item".to_owned(),
        Some(reason) if reason.len() > 8 && proof.is_empty() => return None,
        None if !words.is_empty() && as_words.join(", ") == *proof && happens.len() > 8 => {
            format!("there is no test {}", words.iter().find(|word| !tests.proves(word))?)
        }
        _ => "neither what happens with its tests nor why it cannot".to_owned(),
    };
    Some(format!("{}: {item}: {why}", row.place))
}

/// The items of the checklist: its boxes, and its table of known holes.
fn checklist(text: &str) -> Vec<String> {
    let boxes = text.lines().filter_map(|line| line.strip_prefix("[ ] ")).map(str::to_owned);
    let known = text.split("\n## ").find(|part| part.starts_with("1. ")).unwrap_or_default();
    boxes.chain(rows("", known).into_iter().map(|row| row.cells[0].clone())).collect()
}

#[test]
fn every_hostile_input_has_its_test() {
    let tests = Tests::of_this_crate();
    let found = rows("tests/HOSTILE.md", &tests.source("tests/HOSTILE.md").unwrap());
    let complaints: Vec<String> = found.iter().filter_map(|row| hostile_complaint(&tests, row)).collect();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    assert!(found.len() > 40, "{} rows", found.len());
    let threats = tests.source("openwrt-package/THREATS.md").unwrap();
    let named: Vec<&str> = quoted(&threats).into_iter().filter(|word| word.contains("::")).collect();
    let gone: Vec<&&str> =
        named.iter().filter(|word| **word != "FILE::function" && !tests.proves(word)).collect();
    assert!(named.len() > 25 && gone.is_empty(), "{} named, not there: {gone:?}", named.len());
    let shared = tests.root.join("../shared");
    let Ok(list) = fs::read_to_string(shared.join("hostile.md")) else {
        std::io::Write::write_all(&mut std::io::stderr(), b"skipped: ../shared not present\n").unwrap();
        return;
    };
    let items = checklist(&list);
    assert!(items.len() > 40, "{} items", items.len());
    let missing: Vec<&String> =
        items.iter().filter(|item| !found.iter().any(|row| item.starts_with(&row.cells[0]))).collect();
    assert!(missing.is_empty(), "without a row: {missing:#?}");
    let unknown: Vec<&str> = found
        .iter()
        .map(|row| row.cells[0].as_str())
        .filter(|given| !items.iter().any(|item| item.starts_with(given)))
        .collect();
    assert!(unknown.is_empty(), "not in the checklist: {unknown:#?}");
}

#[test]
fn the_checks_of_hostile_inputs_can_fail() {
    let tests = Tests::of_this_crate();
    for (line, why) in [
        ("| an item here | it is refused | `facts::the_checks_can_fail` |", ""),
        ("| an item here | cannot apply: nobody has one | |", ""),
        ("| an item here | cannot apply: nobody has one | `facts::the_checks_can_fail` |", "neither"),
        ("| an item here | cannot apply: | |", "neither"),
        ("| an item here | it is refused | |", "neither"),
        ("| an item here | it is refused | `facts::gone` |", "there is no test"),
        ("| item | it is refused | `facts::the_checks_can_fail` |", "no item"),
        ("| an item here | it is refused |", "2 cells"),
    ] {
        let rows = rows("t", &format!("| item | what | shown by |\n|---|---|---|\n{line}\n"));
        let complaint = hostile_complaint(&tests, &rows[0]).unwrap_or_default();
        assert_eq!(
            (complaint.contains(why), complaint.is_empty()),
            (true, why.is_empty()),
            "{line}: {complaint}"
        );
    }
    let list = "x\n## 1. A\n| id | what |\n|---|---|\n| CVE-1 (k) | x |\n## 2. B\n[ ] one\n[ ] two\n";
    assert_eq!(checklist(list), ["one", "two", "CVE-1 (k)"]);
}

#[test]
fn the_checks_can_fail() {
    let tests = Tests::of_this_crate();
    let check = |line: &str, why: &str| {
        let rows = rows("t", &format!("| rule | proof |\n|---|---|\n{line}\n"));
        let complaint = tests.complaint(&rows[0]).unwrap_or_default();
        assert_eq!((rows.len(), complaint.contains(why)), (1, true), "{line}: {complaint:?}, not {why:?}");
        assert_eq!(complaint.is_empty(), why.is_empty(), "{line}: {complaint}");
    };
    check("| one rule here | `facts::the_checks_can_fail`, `tests/session/boot` |", "");
    check("| one rule here | `cwmp::event::tests::texts_round_trip` |", "");
    check("| one rule here | `cwmp::queue::tests::singles_once_and_methods_each` |", "");
    check("| one rule here | `cwmp::session::tests::random::any_inputs` |", "");
    check("| one rule here | not yet: issue 5 |", "");
    check("| one rule here | not yet:  |", "proofs are not");
    check("| one rule here | |", "proofs are not");
    check("| one rule here |", "1 cells");
    check("| one rule here | by hand |", "proofs are not");
    check("| one rule here | `facts::the_checks_can_fail` and more |", "proofs are not");
    check("| one rule here | `facts::the_checks_can_never_fail` |", "there is no test");
    check("| one rule here | `facts::quoted` |", "there is no test");
    check("| one rule here | `nofile::the_checks_can_fail` |", "there is no test");
    check("| one rule here | `cwmp::event::tests::texts_round` |", "there is no test");
    check("| one rule here | `cwmp::nothing::tests::texts_round_trip` |", "there is no test");
    check("| one rule here | `cwmp::queue::tests::method` |", "there is no test");
    check("| one rule here | `tests/session/boo` |", "there is no test");
    check("| one rule here | `tests/session/set-*` |", "there is no test");
    check("| a rule | `facts::the_checks_can_fail` | more |", "3 cells");
    check("| a | `facts::the_checks_can_fail` |", "no rule");
    assert!(!has_test("#[test]\n#[ignore]\nfn late() {}", "late"));
    for (word, there) in [
        ("set-*", true),
        ("facts", true),
        ("cwmp::queue", true),
        ("facts::the_checks_can_fail", true),
        ("sat-*", false),
        ("fact", false),
        ("cwmp::queues", false),
        ("support/agent", false),
    ] {
        assert_eq!(tests.names_tests(word), there, "{word}");
    }
}
