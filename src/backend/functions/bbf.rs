//! What bbfdm's plugins map to programs on ubus, see `model::bbf`: `bbf_value`, `bbf_rows`, and `bbf_sections`.
//!
//! ```text
//! argument:  object ␟ method ␟ key ␟ name ␟ letter+value …   [ ␞ the call that writes, @Value in it ]
//! answer:    {"radios":[{"noise":-95},…]}   key: radios[0].noise, radios.@Count
//! ```
//! A new value waits until everything else of its change is known to be possible, and is told before files are
//! written. When a later one is refused, those told before are told their old value again.

use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::bbf::{HALF, PART};
use crate::model::error::Error;
use crate::ubus::blobmsg::{Table, Value};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "bbf_value", get: value, set: Some(stage) },
    ValueFn { name: "bbf_sections", get: sections, set: None },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[TableFn { name: "bbf_rows", rows, add: None, delete: None }];

/// The most rows of a table.
const MAX_ROWS: usize = 1024;

/// A value that a program will be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// The parameter.
    name: String,
    /// The call, with `@Value` in it.
    call: String,
    /// The call that reads it.
    read: String,
    new: Raw,
    old: Raw,
}

fn value(system: &mut System, at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    if let Some(staged) = system.tellings.iter().find(|telling| telling.name == at.name) {
        return Ok(Some(staged.new.clone()));
    }
    Ok(current(system, at.name, argument.split(HALF).next().unwrap_or_default()))
}

/// What a program says of a parameter.
fn current(system: &mut System, name: &str, call: &str) -> Option<Raw> {
    match ask(system, call)? {
        Value::Array(items) if name.ends_with("NumberOfEntries") => Some(Raw::one(items.len().to_string())),
        Value::Array(items) => Some(Raw::Many(items.iter().filter_map(text).collect())),
        one => text(&one).map(Raw::One),
    }
}

fn stage(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let Some((read, call)) = argument.split_once(HALF) else {
        return Err(Error::not_writable(at.name));
    };
    let old = value(system, at, argument)?.unwrap_or_else(|| Raw::one(""));
    system.tellings.retain(|telling| telling.name != at.name);
    let (name, call, read) = (at.name.to_owned(), call.to_owned(), read.to_owned());
    let telling = Telling { name, call, read, new: raw.clone(), old };
    system.tellings.push(telling);
    Ok(())
}

/// The number of sections of a type; of a parent's own where they name one.
fn sections(system: &mut System, _at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let mut parts = argument.split(PART);
    let (package, ty) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let parent = parts.next().unwrap_or_default();
    let mut count = 0_usize;
    for section in system.sections(package, ty)? {
        let of = system.option_text(&format!("{package}.{}.dm_parent", section.addr))?;
        count += usize::from(of.is_empty() || parent.is_empty() || of == parent);
    }
    Ok(Some(Raw::one(count.to_string())))
}

/// The members of an array; they have no name but their place.
fn rows(system: &mut System, _at: Place<'_>, argument: &str) -> Result<Vec<Row>> {
    let count = match ask(system, argument) {
        Some(Value::Array(items)) => items.len().min(MAX_ROWS),
        Some(Value::Table(_)) => 1,
        _ => 0,
    };
    let row = |at: usize| Row { name: (at + 1).to_string(), addr: at.to_string(), cols: Vec::new() };
    Ok((0..count).map(row).collect())
}

impl System {
    /// Tells what is staged and reads it back; nothing is changed when one of them fails, or keeps another value.
    pub(in crate::backend) fn tell_all(&mut self) -> Result<Vec<Telling>> {
        let tellings = std::mem::take(&mut self.tellings);
        for (at, telling) in tellings.iter().enumerate() {
            if let Err(why) = self.tell_one(&telling.call, &telling.new) {
                self.take_back(&tellings[..at]);
                return Err(Error::several(vec![(telling.name.clone(), why)]));
            }
        }
        if !tellings.is_empty() {
            self.bus().forget();
        }
        for telling in &tellings {
            // Some can only be told.
            let Some(kept) = current(self, &telling.name, &telling.read) else { continue };
            if kept.text() != telling.new.text() && kept.items() != telling.new.items() {
                self.take_back(&tellings);
                // Which one is not said: it may be a secret.
                let why = Error::bad_value(&telling.name, "the program keeps another value");
                return Err(Error::several(vec![(telling.name.clone(), why)]));
            }
        }
        Ok(tellings)
    }

    /// Tells what there was before, last things first.
    pub(in crate::backend) fn take_back(&mut self, told: &[Telling]) {
        for telling in told.iter().rev() {
            // It said this before, and takes it again if anything.
            let _ = self.tell_one(&telling.call, &telling.old);
        }
        self.bus().forget();
    }

    fn tell_one(&mut self, call: &str, raw: &Raw) -> Result<()> {
        let text = match raw {
            Raw::One(text) => text.clone(),
            Raw::Many(items) => items.join(","),
        };
        let (object, method, arguments) = parts(call, &text);
        match self.bus().tell(&object, &method, &arguments) {
            true => Ok(()),
            false => Err(Error::backend(format!("calling {object} {method}"), "it is not there, or refuses")),
        }
    }
}

fn ask(system: &mut System, call: &str) -> Option<Value> {
    let (object, method, arguments) = parts(call, "");
    let key = call.split(PART).nth(2)?;
    let answer = system.bus().ask(&object, &method, &arguments)?;
    find(&answer, key)
}

/// Object, method and arguments of a call.
fn parts(call: &str, value: &str) -> (String, String, Table) {
    let mut parts = call.split(PART).map(str::to_owned);
    let (object, method) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    // A value has no say in what is called.
    let mut parts = parts.skip(1).map(|part| part.replace("@Value", value));
    let mut arguments = Table::new();
    while let (Some(name), Some(argument)) = (parts.next(), parts.next()) {
        let (letter, text) = argument.split_at_checked(1).unwrap_or(("s", ""));
        let value = match (letter, text.parse::<i64>()) {
            ("b", _) => Value::from(text == "true"),
            ("i", Ok(number)) => i32::try_from(number).map_or(Value::Int64(number), Value::Int32),
            _ => Value::from(text),
        };
        arguments.push(&*name, value);
    }
    (object, method, arguments)
}

/// What `a.b[0].c` names in an answer; `@Count` is the number of members.
fn find(answer: &Table, key: &str) -> Option<Value> {
    let mut here = Value::Table(answer.clone());
    for part in key.split('.') {
        if part == "@Count" {
            let count = here.as_array().map_or(0, <[Value]>::len);
            return Some(Value::from(count.to_string().as_str()));
        }
        let (name, indices) = part.split_once('[').unwrap_or((part, ""));
        here = here.as_table()?.get(name)?.clone();
        for index in indices.split('[').filter(|index| !index.is_empty()) {
            let index: usize = index.strip_suffix(']')?.parse().ok()?;
            here = here.as_array()?.get(index)?.clone();
        }
    }
    Some(here)
}

fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(text) => text.to_str().into_owned(),
        Value::Int8(flag) => u8::from(*flag != 0).to_string(),
        Value::Double(number) => number.to_string(),
        Value::Null | Value::Array(_) | Value::Table(_) => return None,
        number => number.as_i64()?.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::json;

    fn check(key: &str, expected: Option<&str>) {
        let answer = json::parse(
            r#"{"up":true,"radios":[{"noise":-95},{"noise":-90,"stats":{"tx":5000000000}}],"x":[["a","b"]]}"#,
        );
        let found = find(&answer.unwrap(), key).and_then(|value| text(&value));
        assert_eq!(found.as_deref(), expected, "{key}");
    }

    #[test]
    fn keys() {
        check("up", Some("1"));
        check("radios[1].noise", Some("-90"));
        check("radios[1].stats.tx", Some("5000000000"));
        check("radios.@Count", Some("2"));
        check("x[0][1]", Some("b"));
        for none in ["radios", "radios[2].noise", "radios[x]", "radios[", "up.x", "", "."] {
            check(none, None);
        }
    }

    #[test]
    fn arguments_are_of_their_type() {
        let call = ["o", "m", "", "name", "slan", "n", "i-7", "on", "btrue", "v", "s<@Value>"].join("\u{1f}");
        let (object, method, arguments) = parts(&call, "a\u{1f}b");
        assert_eq!((&*object, &*method), ("o", "m"));
        let expected =
            Table::new().with("name", "lan").with("n", -7).with("on", true).with("v", "<a\u{1f}b>");
        assert_eq!(arguments, expected);
    }
}
