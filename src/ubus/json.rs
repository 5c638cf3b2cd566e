//! JSON and the values of ubus, as the stock `ubus` command turns one into the other.
//!
//! | JSON | ubus |
//! |---|---|
//! | true, false | int8 |
//! | an integer of 32 bits, signed | int32 |
//! | another integer | int64; above its range the largest int64 |
//! | another number | double |
//! | text, array, object, null | string, array, table, type 0 |
//!
//! Back again, any int8 but 0 is true, integers are signed, and a double has six decimals
//! (reading one may miss its last bit, which is the parser's way). Order and
//! repeated names are kept in printing; of a name that JSON repeats the last value counts, at the first's place.

use std::collections::HashMap;
use std::fmt::{self, Write};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::blob::{MAX_BODY, MAX_DEPTH};
use super::blobmsg::{Table, Text, Value};

/// Why a text gives no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonError {
    /// It is no JSON object; the parser's words with line and column.
    Json(String),
    /// It is larger than a message can be, in octets.
    TooLarge(usize),
    /// Arrays and objects are nested too deep.
    TooDeep,
    /// A name or text has a NUL, which ends texts on ubus.
    Nul,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::Json(why) => write!(f, "the message for ubus is not a JSON object: {why}"),
            JsonError::TooLarge(size) => {
                write!(f, "the JSON text of {size} octets is too large for a ubus message of {MAX_BODY}")
            }
            JsonError::TooDeep => write!(f, "the JSON text is nested deeper than {MAX_DEPTH}"),
            JsonError::Nul => write!(f, "the JSON text has a NUL, which a text of ubus cannot have"),
        }
    }
}

impl std::error::Error for JsonError {}

/// Reads the arguments of a call or the data of an event.
///
/// # Errors
/// [`JsonError`].
pub fn parse(text: &str) -> Result<Table, JsonError> {
    // The largest message holds less than this, whatever is escaped.
    if text.len() > 8 * MAX_BODY {
        return Err(JsonError::TooLarge(text.len()));
    }
    let parsed: Parsed =
        serde_json::from_slice(text.as_bytes()).map_err(|error| JsonError::Json(error.to_string()))?;
    let Value::Table(table) = parsed.0 else {
        return Err(JsonError::Json("it is another JSON value".to_owned()));
    };
    // NUL ends a text, so that it is looked for before: in the text, where no unescaped one can stand.
    if has_nul(text) {
        return Err(JsonError::Nul);
    }
    match depth(&table) > MAX_DEPTH {
        true => Err(JsonError::TooDeep),
        false => Ok(table),
    }
}

/// Prints as `ubus call` does: one field a line, indented by tabs.
pub fn print(table: &Table) -> String {
    let mut out = String::new();
    write_table(table, Some(0), &mut out);
    out
}

/// Prints as `ubus -S call` and `ubus listen` do: on one line.
pub fn print_line(table: &Table) -> String {
    let mut out = String::new();
    write_table(table, None, &mut out);
    out
}

/// For programs that work with JSON values; octets that are no UTF-8 become U+FFFD.
pub fn to_value(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Array(members) => members.iter().map(to_value).collect(),
        Value::Table(table) => table_to_value(table),
        Value::String(text) => text.to_str().into_owned().into(),
        Value::Int64(number) => (*number).into(),
        Value::Int32(number) => (*number).into(),
        Value::Int16(number) => (*number).into(),
        Value::Int8(number) => (*number != 0).into(),
        Value::Double(number) => (*number).into(),
    }
}

/// [`to_value`] for a table.
pub fn table_to_value(table: &Table) -> serde_json::Value {
    table.iter().map(|(name, value)| (name.to_str().into_owned(), to_value(value))).collect()
}

/// The message that a JSON value means.
///
/// # Errors
/// [`JsonError`]; anything but an object is [`JsonError::Json`].
pub fn from_value(value: &serde_json::Value) -> Result<Table, JsonError> {
    parse(&value.to_string())
}

/// A value on its way out of the parser, whose own depth limit guards the recursion.
struct Parsed(Value);

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Parsed, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Parsed)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(i32::try_from(number).map_or(Value::Int64(number), Value::Int32))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Double(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(Parsed(member)) = members.next_element()? {
            out.push(member);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut out: Vec<(Text, Value)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        while let Some((name, Parsed(value))) = fields.next_entry::<String, Parsed>()? {
            if let Some(field) = places.get(&name).and_then(|at| out.get_mut(*at)) {
                field.1 = value;
                continue;
            }
            let text = Text::from(name.as_str());
            places.insert(name, out.len());
            out.push((text, value));
        }
        Ok(Value::Table(out.into_iter().collect()))
    }
}

/// Whether valid JSON has the escape of NUL.
fn has_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let before = json[..at].bytes().rev().take_while(|octet| *octet == b'\\').count();
        before % 2 == 0
    })
}

fn depth(table: &Table) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Array(members) => 1 + members.iter().map(of).max().unwrap_or_default(),
            Value::Table(table) => depth(table),
            _ => 0,
        }
    }
    1 + table.iter().map(|(_, value)| of(value)).max().unwrap_or_default()
}

fn write_table(table: &Table, indent: Option<usize>, out: &mut String) {
    let fields = table.iter().map(|(name, value)| (Some(name), value));
    write_list(fields, '{', '}', indent, out);
}

fn write_list<'a>(
    members: impl Iterator<Item = (Option<&'a Text>, &'a Value)>,
    open: char,
    close: char,
    indent: Option<usize>,
    out: &mut String,
) {
    let deeper = indent.map(|indent| indent + 1);
    out.push(open);
    new_line(deeper, out);
    for (at, (name, value)) in members.enumerate() {
        if at > 0 {
            out.push(',');
            new_line(deeper, out);
        }
        // A field without a name is printed without one, as by the stock command.
        if let Some(name) = name.filter(|name| !name.as_bytes().is_empty()) {
            write_text(name, out);
            out.push_str(if indent.is_some() { ": " } else { ":" });
        }
        write_value(value, deeper, out);
    }
    new_line(indent, out);
    out.push(close);
}

fn write_value(value: &Value, indent: Option<usize>, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Array(members) => {
            write_list(members.iter().map(|member| (None, member)), '[', ']', indent, out);
        }
        Value::Table(table) => write_table(table, indent, out),
        Value::String(text) => write_text(text, out),
        Value::Int8(number) => out.push_str(if *number == 0 { "false" } else { "true" }),
        // As C prints what JSON has no words for.
        Value::Double(number) if number.is_nan() => out.push_str("nan"),
        Value::Double(number) => drop(write!(out, "{number:.6}")),
        Value::Int64(number) => drop(write!(out, "{number}")),
        Value::Int32(number) => drop(write!(out, "{number}")),
        Value::Int16(number) => drop(write!(out, "{number}")),
    }
}

fn write_text(text: &Text, out: &mut String) {
    out.push('"');
    for character in text.to_str().chars() {
        match character {
            '\u{8}' => out.push_str("\\b"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '"' | '\\' => out.extend(['\\', character]),
            _ if character < ' ' => drop(write!(out, "\\u{:04x}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push('"');
}

fn new_line(indent: Option<usize>, out: &mut String) {
    let Some(indent) = indent else { return };
    out.push('\n');
    out.extend(std::iter::repeat_n('\t', indent));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &Table) {
        assert_eq!(&parse(json).unwrap(), expected);
    }

    fn refused(json: &str, expected: &str) {
        let error = parse(json).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn from_json() {
        check("{}", &Table::new());
        check(
            r#"{"s":"text","n":1,"b":true,"d":1.5,"big":5000000000,"z":null,"low":-2147483648,"lower":-2147483649}"#,
            &Table::new()
                .with("s", "text")
                .with("n", 1)
                .with("b", true)
                .with("d", 1.5)
                .with("big", 5_000_000_000_i64)
                .with("z", Value::Null)
                .with("low", i32::MIN)
                .with("lower", i64::from(i32::MIN) - 1),
        );
        check(r#"{"u":4294967295}"#, &Table::new().with("u", 4_294_967_295_i64));
        check(r#"{"u":18446744073709551615}"#, &Table::new().with("u", i64::MAX));
        check(r#"{"a":1,"b":2,"a":3}"#, &Table::new().with("a", 3).with("b", 2));
        check(r#"{"a":"\\u0000"}"#, &Table::new().with("a", "\\u0000"));
    }

    #[test]
    fn what_is_no_message() {
        refused("", "line 1 column 0");
        refused("[]", "another JSON value");
        refused("{\"a\":}", "column 6");
        refused("{} x", "trailing");
        refused("{\"a\":\"x\\u0000y\"}", "NUL");
        refused(&format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40)), "deeper than 32");
        refused(&format!("{{\"a\":{}", "[".repeat(1_000_000)), "recursion limit");
        refused(&" ".repeat(9 << 20), "too large");
    }

    #[test]
    fn to_json() {
        let table =
            parse(r#"{"s":"a\"\\/\u0001\n","n":-1,"b":false,"d":1.5,"a":[1,{"x":null}],"e":[],"o":{}}"#)
                .unwrap();
        assert_eq!(
            print(&table),
            "{\n\t\"s\": \"a\\\"\\\\/\\u0001\\n\",\n\t\"n\": -1,\n\t\"b\": false,\n\t\"d\": 1.500000,\n\t\"a\": [\n\
             \t\t1,\n\t\t{\n\t\t\t\"x\": null\n\t\t}\n\t],\n\t\"e\": [\n\t\t\n\t],\n\t\"o\": {\n\t\t\n\t}\n}"
        );
        assert_eq!(
            print_line(&table),
            "{\"s\":\"a\\\"\\\\/\\u0001\\n\",\"n\":-1,\"b\":false,\"d\":1.500000,\"a\":[1,{\"x\":null}],\"e\":[],\"o\":{}}"
        );
    }

    #[test]
    fn json_values() {
        let value = serde_json::json!({"a": [1, true, null, {"b": "c"}], "d": 0.5});
        let table = from_value(&value).unwrap();
        assert_eq!(table_to_value(&table), value);
        assert!(from_value(&serde_json::json!([1])).is_err());
    }
}
