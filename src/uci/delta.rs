//! Changes that were saved but not committed: what `uci set` without `uci commit` leaves in
//! `/tmp/.uci/PACKAGE`, one line each.
//!
//! | line | meaning |
//! |---|---|
//! | `network.lan='interface'` | a section, made or given that type |
//! | `+network.cfg09c8b4='route'` | the same, anonymous |
//! | `network.lan.mtu='1492'` | an option; an empty value deletes |
//! | `-network.lan`, `-network.lan.mtu`, `-network.lan.dns='0'` | a section, an option, the nth element of a list goes |
//! | `@network.lan='home'`, `@network.lan.mtu='mtu6'` | a new name |
//! | `^network.lan='2'` | a new position |
//! | <code>&#124;network.lan.dns='192.0.2.53'</code> | an element more |
//! | `~network.lan.dns='192.0.2.53'` | that element less |
//!
//! A line that cannot be read or carried out is reported and passed over, as libuci passes it over.

use std::fmt;

use super::edit::EditError;
use super::scan::{Line, Scanner, is_name, is_text, is_type};
use super::text::{Document, Value};

/// One saved change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A section is made or gets another type.
    Section {
        /// Its key.
        section: String,
        /// Its type.
        ty: String,
        /// Whether the key is a generated one.
        anonymous: bool,
    },
    /// An option gets a value.
    Set {
        /// The section's key.
        section: String,
        /// The option.
        option: String,
        /// The value; empty deletes the option.
        value: String,
    },
    /// Something goes.
    Remove {
        /// The section's key.
        section: String,
        /// The option, or the whole section.
        option: Option<String>,
        /// The element (from 0) of a list, or all of the option.
        item: Option<usize>,
    },
    /// A section or an option gets another name.
    Rename {
        /// The section's key.
        section: String,
        /// The option, or the section itself.
        option: Option<String>,
        /// The new name.
        name: String,
    },
    /// A section moves.
    Reorder {
        /// The section's key.
        section: String,
        /// How many sections come before it.
        position: usize,
    },
    /// A list gets an element more.
    ListAdd {
        /// The section's key.
        section: String,
        /// The list.
        option: String,
        /// The element.
        value: String,
    },
    /// A list loses all elements of that value.
    ListDel {
        /// The section's key.
        section: String,
        /// The list.
        option: String,
        /// The element.
        value: String,
    },
}

/// A change and the line of the delta file (from 1) that it was on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// From 1.
    pub line: usize,
    /// The change.
    pub change: Change,
}

/// A line that was passed over, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// From 1.
    pub line: usize,
    /// The reason, without values.
    pub why: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the saved changes is passed over: {}", self.line, self.why)
    }
}

/// Reads the delta file of `package`.
pub fn parse(package: &str, bytes: &[u8]) -> (Vec<Saved>, Vec<Skipped>) {
    let (mut saved, mut skipped) = (Vec::new(), Vec::new());
    let mut scanner = Scanner::new(bytes);
    let (mut line, mut counted) = (1, 0);
    while let Some(Line { range, content }) = scanner.lone_argument() {
        line += bytes[counted..range.start].iter().filter(|byte| **byte == b'\n').count();
        counted = range.start;
        let change = match content {
            Ok(text) if text.is_empty() => continue,
            Ok(text) => change(package, &text),
            Err(fault) => Err(fault.why),
        };
        match change {
            Ok(change) => saved.push(Saved { line, change }),
            Err(why) => skipped.push(Skipped { line, why }),
        }
    }
    (saved, skipped)
}

/// Carries the changes out; gives those that could not be.
pub fn apply(document: &mut Document, changes: &[Saved]) -> Vec<Skipped> {
    let mut skipped = Vec::new();
    for saved in changes {
        if let Err(error) = apply_one(document, &saved.change) {
            skipped.push(Skipped { line: saved.line, why: error.to_string() });
        }
    }
    skipped
}

impl Change {
    /// The line of the delta file, with its line end.
    pub fn to_line(&self, package: &str) -> String {
        let line = |sign: &str, section: &str, option: Option<&str>, value: Option<&str>| {
            let dot = option.map_or(String::new(), |option| format!(".{option}"));
            let value = value.map_or(String::new(), |value| format!("='{}'", value.replace('\'', "'\\''")));
            format!("{sign}{package}.{section}{dot}{value}\n")
        };
        match self {
            Change::Section { section, ty, anonymous: false } => line("", section, None, Some(ty)),
            Change::Section { section, ty, anonymous: true } => line("+", section, None, Some(ty)),
            Change::Set { section, option, value } => line("", section, Some(option), Some(value)),
            Change::Remove { section, option, item } => {
                line("-", section, option.as_deref(), item.map(|item| item.to_string()).as_deref())
            }
            Change::Rename { section, option, name } => line("@", section, option.as_deref(), Some(name)),
            Change::Reorder { section, position } => line("^", section, None, Some(&position.to_string())),
            Change::ListAdd { section, option, value } => line("|", section, Some(option), Some(value)),
            Change::ListDel { section, option, value } => line("~", section, Some(option), Some(value)),
        }
    }
}

fn change(package: &str, text: &[u8]) -> Result<Change, String> {
    if text.contains(&0) {
        return Err("a zero byte".into());
    }
    let (sign, text) = match text.split_first() {
        Some((sign, rest)) if b"+-@^|~".contains(sign) => (char::from(*sign), rest),
        _ => (' ', text),
    };
    let split = text.iter().position(|byte| *byte == b'=');
    let (place, value) = match split {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    if value.is_some_and(|value| !is_text(value)) {
        return Err("a control character in the value".into());
    }
    let value = value.map(|value| String::from_utf8_lossy(value).into_owned());
    let place = String::from_utf8_lossy(place).into_owned();
    let parts: Vec<&str> = place.split('.').collect();
    let (of, section, option) = match parts[..] {
        [of, section] => (of, section, None),
        [of, section, option] => (of, section, Some(option.to_string())),
        _ => return Err(format!("{:?} is not PACKAGE.SECTION or PACKAGE.SECTION.OPTION", clip(&place))),
    };
    if of != package {
        return Err(format!("it is about the package {:?}", clip(of)));
    }
    for name in [Some(section), option.as_deref()].into_iter().flatten() {
        if !is_name(name.as_bytes()) {
            return Err(format!("{:?} is not a name", clip(name)));
        }
    }
    let section = section.to_string();
    let missing = || "it has no value".to_string();
    match (sign, option) {
        (' ' | '+', None) => {
            let ty = value.ok_or_else(missing)?;
            if ty.is_empty() {
                return Ok(Change::Remove { section, option: None, item: None });
            }
            if !is_type(ty.as_bytes()) {
                return Err(format!("{:?} is not a section type", clip(&ty)));
            }
            Ok(Change::Section { section, ty, anonymous: sign == '+' })
        }
        (' ' | '+', Some(option)) => Ok(Change::Set { section, option, value: value.ok_or_else(missing)? }),
        ('-', option) => {
            let item = match value.as_deref() {
                None | Some("") => None,
                Some(item) => Some(item.parse().map_err(|_| "it names no element of a list".to_string())?),
            };
            Ok(Change::Remove { section, option, item })
        }
        ('@', option) => {
            let name = value.ok_or_else(missing)?;
            if !is_name(name.as_bytes()) {
                return Err(format!("{:?} is not a name", clip(&name)));
            }
            Ok(Change::Rename { section, option, name })
        }
        ('^', None) => {
            let position = value.ok_or_else(missing)?;
            let position =
                position.parse().map_err(|_| format!("{:?} is not a position", clip(&position)))?;
            Ok(Change::Reorder { section, position })
        }
        ('|', Some(option)) => Ok(Change::ListAdd { section, option, value: value.ok_or_else(missing)? }),
        ('~', Some(option)) => Ok(Change::ListDel { section, option, value: value.ok_or_else(missing)? }),
        (sign, _) => Err(format!("{sign:?} does not go with what it is about")),
    }
}

fn apply_one(document: &mut Document, change: &Change) -> Result<(), EditError> {
    match change {
        Change::Section { section, ty, anonymous } => {
            let Some(known) = document.find(section) else {
                return document.add_section_as(ty, section, *anonymous);
            };
            let named = !known.is_anonymous();
            document.set_type(section, ty)?;
            if *anonymous && named { document.make_anonymous(section) } else { Ok(()) }
        }
        Change::Set { section, option, value } => {
            document.set(section, option, &Value::from(value.as_str())).map(drop)
        }
        Change::Remove { section, option: None, .. } => document.delete_section(section),
        Change::Remove { section, option: Some(option), item } => {
            let none = || EditError::NoOption(section.clone(), option.clone());
            let found = document.find(section).ok_or_else(|| EditError::NoSection(section.clone()))?;
            match (found.option(option).ok_or_else(none)?, item) {
                (Value::List(list), Some(item)) => {
                    let mut list = list.clone();
                    if *item < list.len() {
                        list.remove(*item);
                    }
                    document.set(section, option, &Value::List(list)).map(drop)
                }
                _ => document.delete_option(section, option).map(drop),
            }
        }
        Change::Rename { section, option: None, name } => document.rename_section(section, name),
        Change::Rename { section, option: Some(option), name } => {
            document.rename_option(section, option, name)
        }
        Change::Reorder { section, position } => document.reorder(section, *position),
        Change::ListAdd { section, option, value } => {
            let mut list = match document.option(section, option) {
                None => Vec::new(),
                Some(Value::Single(text)) => vec![text.clone()],
                Some(Value::List(list)) => list.clone(),
            };
            list.push(value.clone());
            document.set(section, option, &Value::List(list)).map(drop)
        }
        Change::ListDel { section, option, value } => {
            let Some(Value::List(list)) = document.option(section, option) else { return Ok(()) };
            let left: Vec<_> = list.iter().filter(|element| *element != value).cloned().collect();
            document.set(section, option, &Value::List(left)).map(drop)
        }
    }
}

fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "config interface 'lan'\n\toption mtu '1500'\n\tlist dns '1'\n\tlist dns '2'\n\nconfig route\n\toption x '1'\n";

    fn check(delta: &str, expected: &str, skipped: &[&str]) {
        let mut document = Document::parse("network", FILE.as_bytes()).unwrap();
        let (saved, mut passed) = parse("network", delta.as_bytes());
        passed.extend(apply(&mut document, &saved));
        assert_eq!(String::from_utf8(document.to_bytes()).unwrap(), expected, "{delta:?}");
        let passed: Vec<_> = passed.iter().map(|one| format!("{}: {}", one.line, one.why)).collect();
        assert_eq!(passed, skipped, "{delta:?}");
    }

    #[test]
    fn changes() {
        let with = |from: &str, to: &str| FILE.replace(from, to);
        check("network.lan.mtu='1492'\n", &with("1500", "1492"), &[]);
        check("network.lan.mtu=1492", &with("1500", "1492"), &[]);
        check("network.lan.mtu=''\n", &with("\toption mtu '1500'\n", ""), &[]);
        check("network.lan.none=''\n", FILE, &[]);
        check(
            "network.lan.a='b=c.d'\n",
            &with("\tlist dns '2'\n", "\tlist dns '2'\n\toption a 'b=c.d'\n"),
            &[],
        );
        check("network.lan.mtu='it'\\''s\ntwo'\n", &with("1500", "it'\\''s\ntwo"), &[]);
        check("network.lan='bridge'\n", &with("interface", "bridge"), &[]);
        check("network.wan='interface'\n", &format!("{FILE}\nconfig interface 'wan'\n"), &[]);
        check("-network.lan.mtu\n", &with("\toption mtu '1500'\n", ""), &[]);
        check("-network.lan\n", "config route\n\toption x '1'\n", &[]);
        check("network.lan=''\n", "config route\n\toption x '1'\n", &[]);
        check("-network.lan.dns='0'\n", &with("\tlist dns '1'\n", ""), &[]);
        check("-network.lan.dns='7'\n", FILE, &[]);
        check("|network.lan.dns='3'\n", &with("'2'\n", "'2'\n\tlist dns '3'\n"), &[]);
        check(
            "|network.lan.mtu='3'\n",
            &with("\toption mtu '1500'\n", "\tlist mtu '1500'\n\tlist mtu '3'\n"),
            &[],
        );
        check("~network.lan.dns='1'\n", &with("\tlist dns '1'\n", ""), &[]);
        check("~network.lan.mtu='1'\n", FILE, &[]);
        check("@network.lan='home'\n", &with("'lan'", "'home'"), &[]);
        check("@network.lan.mtu='mtu6'\n", &with("mtu", "mtu6"), &[]);
        check(
            "^network.lan='1'\n",
            "config route\n\toption x '1'\nconfig interface 'lan'\n\toption mtu '1500'\n\tlist dns '1'\n\tlist dns '2'\n\n",
            &[],
        );
    }

    #[test]
    fn anonymous_sections() {
        // The names are those of a real rpcd; see also `uci.changes-all` among the samples.
        check(
            "+network.cfg09c8b4='route'\nnetwork.cfg09c8b4.target='10.1.0.0/16'\n",
            &format!("{FILE}\nconfig route\n\toption target '10.1.0.0/16'\n"),
            &[],
        );
        check("network.cfg02c8b4.x='2'\n", &FILE.replace("x '1'", "x '2'"), &[]);
        check("+network.lan='interface'\n", &FILE.replace(" 'lan'", ""), &[]);
    }

    #[test]
    fn what_is_broken_is_passed_over() {
        check("\n# x\nnetwork.lan.mtu='1'\n", &FILE.replace("1500", "1"), &[]);
        let after = "\nnetwork.lan.mtu='1'\n";
        for (line, why) in [
            ("wireless.lan.x='1'", "it is about the package \"wireless\""),
            ("network", "\"network\" is not PACKAGE.SECTION or PACKAGE.SECTION.OPTION"),
            ("network.lan.a.b='1'", "\"network.lan.a.b\" is not PACKAGE.SECTION or PACKAGE.SECTION.OPTION"),
            ("network.@route[0].x='1'", "\"@route[0]\" is not a name"),
            ("network.lan.x", "it has no value"),
            ("network.lan.x=a b", "more than one word on the line"),
            ("^network.lan.x='1'", "'^' does not go with what it is about"),
            ("|network.lan='1'", "'|' does not go with what it is about"),
            ("^network.lan='x'", "\"x\" is not a position"),
            ("@network.lan='a-b'", "\"a-b\" is not a name"),
            ("network.wan='a b'", "\"a b\" is not a section type"),
            ("network.lan.x='\u{1}'", "a control character in the value"),
            ("network.wan.x='1'", "no section \"wan\""),
            ("-network.wan", "no section \"wan\""),
            ("-network.lan.x", "no option \"x\" in section \"lan\""),
        ] {
            check(&format!("{line}{after}"), &FILE.replace("1500", "1"), &[&format!("1: {why}")]);
        }
        check(&format!("network.lan.x='1{after}"), FILE, &["1: a ' that is never closed"]);
    }

    proptest! {
        #[test]
        fn lines_are_read_as_written(value in "[ -~\t\r\n]{1,20}|\\PC{1,10}", item in proptest::option::of(0_usize..9)) {
            let (section, option) = ("lan".to_string(), "dns".to_string());
            for change in [
                Change::Set { section: section.clone(), option: option.clone(), value: value.clone() },
                Change::ListAdd { section: section.clone(), option: option.clone(), value: value.clone() },
                Change::ListDel { section: section.clone(), option: option.clone(), value },
                Change::Remove { section: section.clone(), option: Some(option.clone()), item },
                Change::Remove { section: section.clone(), option: None, item: None },
                Change::Rename { section: section.clone(), option: None, name: option.clone() },
                Change::Section { section: section.clone(), ty: option.clone(), anonymous: item.is_some() },
                Change::Reorder { section, position: 3 },
            ] {
                let (saved, skipped) = parse("network", change.to_line("network").as_bytes());
                prop_assert_eq!(skipped, []);
                prop_assert_eq!(saved, [Saved { line: 1, change }]);
            }
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut document = Document::parse("network", FILE.as_bytes()).unwrap();
            let (saved, _) = parse("network", &bytes);
            apply(&mut document, &saved);
        }
    }
}
