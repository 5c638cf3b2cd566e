//! JSON in Lua: `json_encode`, `json_decode`, and the values that the host hands to a script and takes from it.
//!
//! A table with the keys 1 to n is an array, any other an object whose numeric keys become text; an empty one is an array,
//! as the encoder that Oktopus uses has it. `null` is nil.

use std::cell::{Cell, RefCell};
use std::fmt;

use mlua::{IntoLua, IntoLuaMulti, Lua, MultiValue, Result, Table, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

/// Deepest nesting, both ways; also what ends a table that contains itself.
const MAX_DEPTH: usize = 64;
/// Most values in one document.
const MAX_VALUES: usize = 200_000;
/// Longest document, in bytes.
const MAX_TEXT: usize = 8 * 1024 * 1024;

/// Adds `json_encode` and `json_decode` to the globals; both give `value, err`.
///
/// # Errors
/// For lack of memory.
pub fn install(lua: &Lua) -> Result<()> {
    let globals = lua.globals();
    let encode = |lua: &Lua, value: Value| {
        let text = from_lua(&value).and_then(|json| match json.to_string() {
            text if text.len() > MAX_TEXT => Err(format!("the document is longer than {MAX_TEXT} bytes")),
            text => Ok(text),
        });
        pair(lua, text)
    };
    globals.raw_set("json_encode", lua.create_function(encode)?)?;
    let decode = |lua: &Lua, value: Value| {
        let Value::String(text) = &value else {
            return pair::<String>(lua, Err(format!("a string is wanted, not {}", value.type_name())));
        };
        if text.as_bytes().len() > MAX_TEXT {
            return pair::<String>(lua, Err(format!("the document is longer than {MAX_TEXT} bytes")));
        }
        let text = text.as_bytes();
        let mut reader = serde_json::Deserializer::from_slice(&text);
        let (count, trouble) = (Cell::new(0), RefCell::new(None));
        let read = Reading { lua, count: &count, trouble: &trouble }.deserialize(&mut reader);
        match (read.and_then(|value| reader.end().map(|()| value)), trouble.into_inner()) {
            (_, Some(error)) => Err(error),
            (Ok(value), None) => (value, Value::Nil).into_lua_multi(lua),
            (Err(error), None) => pair::<String>(lua, Err(error.to_string())),
        }
    };
    globals.raw_set("json_decode", lua.create_function(decode)?)
}

/// `value, nil` or `nil, why`.
fn pair<T: IntoLua>(lua: &Lua, result: std::result::Result<T, String>) -> Result<MultiValue> {
    match result {
        Ok(value) => (value, Value::Nil).into_lua_multi(lua),
        Err(why) => (Value::Nil, why).into_lua_multi(lua),
    }
}

/// A Lua value as JSON.
///
/// # Errors
/// What in it JSON cannot say: functions, numbers that are none, text that is not UTF-8, too much, too deep.
pub fn from_lua(value: &Value) -> std::result::Result<Json, String> {
    encode(value, 0, &mut Count::default())
}

/// JSON as a Lua value; whole numbers print as such.
///
/// # Errors
/// For lack of memory.
pub fn to_lua(lua: &Lua, json: &Json) -> Result<Value> {
    Ok(match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::String(lua.create_string(text)?),
        Json::Array(items) => {
            let table = lua.create_table()?;
            for (item, at) in items.iter().zip(1_i64..) {
                table.raw_set(at, to_lua(lua, item)?)?;
            }
            Value::Table(table)
        }
        Json::Object(members) => {
            let table = lua.create_table()?;
            for (name, item) in members {
                table.raw_set(name.as_str(), to_lua(lua, item)?)?;
            }
            Value::Table(table)
        }
    })
}

/// A value that is read straight into the state: what it takes is the state's memory from the first, and counted.
#[derive(Clone, Copy)]
struct Reading<'a> {
    lua: &'a Lua,
    count: &'a Cell<usize>,
    /// The state's own error, which is more than one of the document.
    trouble: &'a RefCell<Option<mlua::Error>>,
}

impl Reading<'_> {
    /// A result of the state's; its error ends the reading.
    fn of<T, E: serde::de::Error>(&self, result: Result<T>) -> std::result::Result<T, E> {
        result.map_err(|error| {
            let why = E::custom(&error);
            *self.trouble.borrow_mut() = Some(error);
            why
        })
    }
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        self.count.set(self.count.get() + 1);
        if self.count.get() > MAX_VALUES {
            return Err(D::Error::custom(format!("there are more than {MAX_VALUES} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Value, E> {
        self.of(self.lua.create_string(text)).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Value, A::Error> {
        let table = self.of(self.lua.create_table())?;
        let mut at = 0_i64;
        while let Some(item) = items.next_element_seed(self)? {
            at += 1;
            self.of(table.raw_set(at, item))?;
        }
        Ok(Value::Table(table))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Value, A::Error> {
        let table = self.of(self.lua.create_table())?;
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self)?;
            self.of(table.raw_set(name, value))?;
        }
        Ok(Value::Table(table))
    }
}

fn encode(value: &Value, depth: usize, count: &mut Count) -> std::result::Result<Json, String> {
    count.values += 1;
    if depth > MAX_DEPTH {
        return Err(format!("tables are nested more than {MAX_DEPTH} deep, or one contains itself"));
    }
    if count.values > MAX_VALUES {
        return Err(format!("there are more than {MAX_VALUES} values"));
    }
    match value {
        Value::Nil => Ok(Json::Null),
        Value::Boolean(value) => Ok(Json::Bool(*value)),
        Value::Integer(number) => Ok(Json::from(*number)),
        Value::Number(number) => json_number(*number),
        Value::String(text) => match text.to_str() {
            // The same text may be there many times, and is copied each time.
            Ok(text) if !count.takes(text.len()) => {
                Err(format!("the document is longer than {MAX_TEXT} bytes"))
            }
            Ok(text) => Ok(Json::String(text.to_owned())),
            Err(_) => Err("a string is not UTF-8".to_owned()),
        },
        Value::Table(table) => encode_table(table, depth, count),
        other => Err(format!("a {} cannot be JSON", other.type_name())),
    }
}

/// What has been encoded.
#[derive(Default)]
struct Count {
    values: usize,
    bytes: usize,
}

impl Count {
    /// Adds a text; whether all is not too long.
    fn takes(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.bytes <= MAX_TEXT
    }
}

fn json_number(number: f64) -> std::result::Result<Json, String> {
    // Beyond 2^53 a double is not every whole number any more.
    if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 {
        return Ok(Json::from(number as i64));
    }
    Number::from_f64(number).map(Json::Number).ok_or_else(|| format!("{number} cannot be JSON"))
}

fn encode_table(table: &Table, depth: usize, count: &mut Count) -> std::result::Result<Json, String> {
    // Looked through twice: a state has room for some thousand values only that are held outside of it.
    let length = table.raw_len();
    let (mut entries, mut is_array) = (0_usize, true);
    for entry in table.pairs::<Value, Value>() {
        let (key, _) = entry.map_err(|error| error.to_string())?;
        is_array = is_array && super::words::whole(&key).is_some_and(|at| (1..=length).contains(&at));
        entries += 1;
        if entries > MAX_VALUES {
            return Err(format!("there are more than {MAX_VALUES} values"));
        }
    }
    if is_array && entries == length {
        let items = (1..=length).map(|at| {
            let item: Value = table.raw_get(at).map_err(|error| error.to_string())?;
            encode(&item, depth + 1, count)
        });
        return items.collect::<std::result::Result<_, _>>().map(Json::Array);
    }
    let mut members = Map::new();
    for entry in table.pairs::<Value, Value>() {
        let (key, value) = entry.map_err(|error| error.to_string())?;
        let name = super::words::text(&key)
            .ok_or_else(|| format!("a {} cannot be the name of a JSON member", key.type_name()))?;
        if !count.takes(name.len()) {
            return Err(format!("the document is longer than {MAX_TEXT} bytes"));
        }
        members.insert(name, encode(&value, depth + 1, count)?);
    }
    Ok(Json::Object(members))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(script: &str, expected: &str) {
        let lua = Lua::new();
        install(&lua).unwrap();
        let shown: String = lua
            .load(format!("local v, e = {script} return tostring(v) .. '|' .. tostring(e)"))
            .eval()
            .unwrap();
        assert_eq!(shown, expected, "{script}");
    }

    #[test]
    fn encodes() {
        check("json_encode({})", "[]|nil");
        check("json_encode({1, 'a', true, {b = 0.5}})", r#"[1,"a",true,{"b":0.5}]|nil"#);
        check("json_encode({[1] = 1, [3] = 3})", r#"{"1":1,"3":3}|nil"#);
        check("json_encode(nil)", "null|nil");
        // More values than are ever held outside the state.
        let many = "(function() local t = {} for i = 1, 1e5 do t[i] = 'x' .. i end t.a = last return #json_encode(t) end)()";
        check(many, "888896|nil");
        check(&many.replace("last", "'b'"), "1677799|nil");
        check("json_encode('\\n\"')", r#""\n\""|nil"#);
        check("json_encode(print)", "nil|a function cannot be JSON");
        check("json_encode({x = 0/0})", "nil|NaN cannot be JSON");
        check("json_encode('\\255')", "nil|a string is not UTF-8");
        check("json_encode({[true] = 1})", "nil|a boolean cannot be the name of a JSON member");
        check(
            "(function() local t = {} t.t = t return json_encode(t) end)()",
            "nil|tables are nested more than 64 deep, or one contains itself",
        );
    }

    #[test]
    fn what_is_too_much_ends_early() {
        check(
            "json_decode('[' .. ('[],'):rep(2e6) .. '[]]')",
            "nil|there are more than 200000 values at line 1 column 599998",
        );
        check("json_decode('[1] x')", "nil|trailing characters at line 1 column 5");
        let big = "(function() local s, t = ('x'):rep(1e6), {} for i = 1, 1e5 do t[i] = s end return json_encode(t) end)()";
        check(big, "nil|the document is longer than 8388608 bytes");
        // All of it is the state's own memory.
        let lua = Lua::new();
        install(&lua).unwrap();
        let text = lua.create_string(format!("[{}[]]", "[],".repeat(150_000))).unwrap();
        lua.globals().set("text", text).unwrap();
        lua.set_memory_limit(lua.used_memory() + 4_000_000).unwrap();
        let error = lua.load("json_decode(text)").exec().unwrap_err();
        assert!(error.to_string().contains("not enough memory"), "{error}");
    }

    #[test]
    fn decodes() {
        check("json_decode('[1,2]')[2]", "2|nil");
        check("json_decode('{\"a\":{\"b\":[true]}}').a.b[1]", "true|nil");
        check("json_decode('null')", "nil|nil");
        check("json_decode('7')", "7|nil");
        check("json_decode(7)", "nil|a string is wanted, not integer");
        check("json_decode('[1')", "nil|EOF while parsing a list at line 1 column 2");
        check(
            &format!("json_decode(('['):rep({0}) .. (']'):rep({0}))", 1000),
            "nil|recursion limit exceeded at line 1 column 128",
        );
    }
}
