//! UCI files of real routers: byte-for-byte round trips, one-line edits, and what rpcd answered for
//! them; then random bytes, random values, and a second reader of the quoting rules.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value as Json;

use rcwmp::uci::{Document, Value};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/router-samples");

fn samples() -> Option<PathBuf> {
    let dir = PathBuf::from(SAMPLES);
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: ../shared not present");
    None
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Every configuration file of the samples.
fn configs() -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    if let Some(dir) = samples() {
        files(&dir.join("etc-config"), &mut found);
        assert!(found.len() >= 190, "only {} sample files", found.len());
    }
    found.iter().map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect()
}

fn parse(name: &str, bytes: &[u8]) -> Document {
    Document::parse(name, bytes).unwrap_or_else(|error| panic!("{}", error.explain()))
}

/// The lines only the one or the other has, by cutting what both begin and end with.
fn difference<'a>(old: &'a [u8], new: &'a [u8]) -> (Vec<&'a [u8]>, Vec<&'a [u8]>) {
    let lines = |bytes: &'a [u8]| -> Vec<&'a [u8]> { bytes.split_inclusive(|byte| *byte == b'\n').collect() };
    let (mut old, mut new) = (lines(old), lines(new));
    let front = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    old.drain(..front);
    new.drain(..front);
    while !old.is_empty() && old.last() == new.last() {
        old.pop();
        new.pop();
    }
    (old, new)
}

#[test]
fn unchanged_files_are_identical() {
    for (name, bytes) in configs() {
        assert!(parse(&name, &bytes).to_bytes() == bytes, "{name}");
    }
}

#[test]
fn one_option_is_one_line() {
    for (name, bytes) in configs() {
        let original = parse(&name, &bytes);
        for section in original.sections() {
            let key = section.key();
            let mut added = original.clone();
            assert!(added.set(key, "zz_new", &Value::from("it's new")).unwrap(), "{name} {key}");
            let written = added.to_bytes();
            let (old, new) = difference(&bytes, &written);
            // A last line without its line end gets one.
            assert!(old.len() <= usize::from(!bytes.ends_with(b"\n")), "{name} {key}");
            assert_eq!(new.len(), 1 + old.len(), "{name} {key}");
            assert_eq!(parse(&name, &written).option(key, "zz_new"), Some(&Value::from("it's new")));
            assert!(added.delete_option(key, "zz_new").unwrap());
            if bytes.ends_with(b"\n") {
                assert!(added.to_bytes() == bytes, "{name} {key}: the option left a trace");
            }

            for (option, value) in section.options() {
                let change = match value {
                    Value::Single(text) => Value::Single(format!("{text}\"x")),
                    Value::List(list) => {
                        let mut list = list.clone();
                        list[0].push_str("'x");
                        Value::List(list)
                    }
                };
                let mut changed = original.clone();
                assert!(changed.set(key, option, &change).unwrap());
                let written = changed.to_bytes();
                let (old, new) = difference(&bytes, &written);
                let lines = original.option(key, option).map_or(1, |value| match value {
                    Value::Single(text) => 1 + text.matches('\n').count(),
                    Value::List(_) => 1,
                });
                assert_eq!((old.len(), new.len()), (lines, lines), "{name} {key}.{option}");
                assert_eq!(
                    parse(&name, &written).option(key, option),
                    Some(&change),
                    "{name} {key}.{option}"
                );
                assert!(changed.set(key, option, value).unwrap());
                assert_eq!(parse(&name, &changed.to_bytes()).option(key, option), Some(value));
            }
        }
    }
}

#[test]
fn a_section_comes_and_goes() {
    for (name, bytes) in configs() {
        let original = parse(&name, &bytes);
        let mut document = original.clone();
        let key = document.add_section("rcwmp_test", None).unwrap();
        document.set(&key, "a", &Value::from("1")).unwrap();
        document.delete_section(&key).unwrap();
        if bytes.ends_with(b"\n\n") || bytes.ends_with(b"'\n") {
            assert!(document.to_bytes().starts_with(bytes.trim_ascii_end()), "{name}");
        }
        for section in original.sections() {
            let mut document = original.clone();
            document.delete_section(section.key()).unwrap();
            let left = parse(&name, &document.to_bytes());
            let rest: Vec<_> = original.sections().filter(|other| other.key() != section.key()).collect();
            assert_eq!(left.sections().count(), rest.len(), "{name} {}", section.key());
            for (left, rest) in left.sections().zip(rest) {
                assert!((left.name(), left.ty()) == (rest.name(), rest.ty()), "{name}");
                assert!(left.options().eq(rest.options()), "{name} {}", rest.key());
            }
        }
    }
}

/// Compares a file with rpcd's answer to `uci get` for it: names, generated names, order, values.
fn check_rpcd(file: &str, answer: &str) {
    let Some(dir) = samples() else { return };
    let document = parse(file, &fs::read(dir.join("etc-config").join(file)).unwrap());
    let answer: Json = serde_json::from_slice(&fs::read(dir.join("ubus").join(answer)).unwrap()).unwrap();
    let values = answer["values"].as_object().unwrap();
    assert_eq!(document.sections().count(), values.len());
    for (index, section) in document.sections().enumerate() {
        let known = &values[section.key()];
        assert_eq!(known[".index"], index, "{}", section.key());
        assert_eq!(known[".type"], section.ty());
        assert_eq!(known[".anonymous"], section.is_anonymous());
        let options = known.as_object().unwrap().iter().filter(|(name, _)| !name.starts_with('.'));
        assert_eq!(options.clone().count(), section.options().count(), "{}", section.key());
        for (name, known) in options {
            let ours = match section.option(name).unwrap() {
                Value::Single(text) => Json::from(text.as_str()),
                Value::List(list) => Json::from(list.clone()),
            };
            assert_eq!(&ours, known, "{}.{name}", section.key());
        }
    }
}

#[test]
fn the_same_as_rpcd() {
    check_rpcd("rpcd-run.derived/network", "uci.get-network.derived.json");
}

/// libuci's quoting rules once more, as small as they can be: the words of one statement, with the
/// bytes that follow it. `None` if the text ends inside of quotes.
fn words(text: &str) -> Option<(Vec<String>, &str)> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    loop {
        let before = rest.as_str();
        let Some(c) = rest.next() else { break };
        match c {
            '\n' | ';' | '#' => {
                words.extend(word);
                return Some((words, before));
            }
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\'' => {
                let (inside, after) = rest.as_str().split_once('\'')?;
                word.get_or_insert_default().push_str(inside);
                rest = after.chars();
            }
            '"' => loop {
                match rest.next()? {
                    '"' => break word.get_or_insert_default().push_str(""),
                    '\\' => match rest.next()? {
                        '\n' => {}
                        c => word.get_or_insert_default().push(c),
                    },
                    c => word.get_or_insert_default().push(c),
                }
            },
            '\\' => word.get_or_insert_default().push(rest.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some((words, ""))
}

/// Text that libuci takes as a value, rich in what has a meaning to it.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\t\r\n]{1,40}",
        "['\"\\\\#; \n\t=a]{1,20}",
        "(\n\toption a b|\nconfig x y|'|\"|; ?list c d|\\\\|\r\n|#|é|\u{fffd}|\\$\\(x\\)){1,6}",
        "\\PC{1,30}",
    ]
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Document::parse("random", &bytes);
    }

    #[test]
    fn what_parses_is_kept_and_can_be_edited(
        pieces in proptest::collection::vec(prop_oneof![
            Just("config "), Just("c x "), Just("option "), Just("list "), Just("o a b"), Just("package p"), Just("x"),
            Just("'"), Just("\""), Just("\\"), Just(";"), Just(" ;"), Just("#"), Just("\n"), Just("\r\n"), Just("\t"),
            Just(" "), Just("config x y\n"), Just("option a '1'\n"), Just("list a 'b c'\n"), Just("'q';"), Just("''"),
        ], 0..40),
        text in value(),
    ) {
        let source = pieces.concat();
        let Ok(mut document) = Document::parse("random", source.as_bytes()) else { return Ok(()) };
        prop_assert_eq!(document.to_bytes(), source.as_bytes());
        let keys: Vec<String> = document.sections().map(|section| section.key().to_string()).collect();
        for (nth, key) in keys.iter().enumerate() {
            let value = if nth % 2 == 0 { Value::Single(text.clone()) } else { Value::List(vec![text.clone(), "2".into()]) };
            let names: Vec<String> = document.find(key).unwrap().options().map(|(name, _)| name.to_string()).collect();
            for name in names.iter().chain([&"new".to_string()]) {
                document.set(key, name, &value).unwrap();
                let again = Document::parse("again", &document.to_bytes());
                let again = again.map_err(|error| TestCaseError::fail(error.explain()))?;
                prop_assert!(again.sections().map(|s| (s.ty(), s.name())).eq(document.sections().map(|s| (s.ty(), s.name()))));
                for (ours, again) in document.sections().zip(again.sections()) {
                    prop_assert!(ours.options().eq(again.options()), "{:?} became {:?}", ours, again);
                }
            }
        }
    }

    #[test]
    fn a_value_says_only_itself(text in value(), style in prop_oneof![Just("'o'"), Just("\"o\""), Just("o"), Just("")]) {
        let before = format!("config x y\n\toption first {style}\n\toption a {style}\nconfig z\n");
        let mut document = Document::parse("random", before.as_bytes()).unwrap();
        document.set("y", "a", &Value::from(text.as_str())).unwrap();
        let bytes = document.to_bytes();
        let written = String::from_utf8(bytes.clone()).unwrap();
        let again = Document::parse("again", &bytes).unwrap();
        prop_assert_eq!(again.option("y", "a"), Some(&Value::from(text.as_str())));
        prop_assert_eq!(again.sections().count(), 2);
        prop_assert_eq!(again.find("y").unwrap().options().count(), if style.is_empty() { 1 } else { 2 });

        let rest = written.strip_prefix(format!("config x y\n\toption first {style}\n").as_str()).unwrap();
        let (found, rest) = words(rest).unwrap();
        prop_assert_eq!(found, vec!["option".to_string(), "a".into(), text]);
        prop_assert_eq!(rest, "\nconfig z\n");
    }
}
