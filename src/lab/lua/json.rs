//! JSON in Lua: `json_encode`, `json_decode`, and the values that the host hands to a script and takes from it.
//!
//! A table with the keys 1 to n is an array, any other an object whose numeric keys become text; an empty one is an array,
//! as the encoder that Oktopus uses has it. `null` is nil.

use mlua::{IntoLua, IntoLuaMulti, Lua, MultiValue, Result, Table, Value};
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
        match serde_json::from_slice::<Json>(&text.as_bytes()) {
            Ok(json) => (to_lua(lua, &json)?, Value::Nil).into_lua_multi(lua),
            Err(error) => pair::<String>(lua, Err(error.to_string())),
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
    encode(value, 0, &mut 0)
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

fn encode(value: &Value, depth: usize, count: &mut usize) -> std::result::Result<Json, String> {
    *count += 1;
    if depth > MAX_DEPTH {
        return Err(format!("tables are nested more than {MAX_DEPTH} deep, or one contains itself"));
    }
    if *count > MAX_VALUES {
        return Err(format!("there are more than {MAX_VALUES} values"));
    }
    match value {
        Value::Nil => Ok(Json::Null),
        Value::Boolean(value) => Ok(Json::Bool(*value)),
        Value::Integer(number) => Ok(Json::from(*number)),
        Value::Number(number) => json_number(*number),
        Value::String(text) => match text.to_str() {
            Ok(text) => Ok(Json::String(text.to_owned())),
            Err(_) => Err("a string is not UTF-8".to_owned()),
        },
        Value::Table(table) => encode_table(table, depth, count),
        other => Err(format!("a {} cannot be JSON", other.type_name())),
    }
}

fn json_number(number: f64) -> std::result::Result<Json, String> {
    // Beyond 2^53 a double is not every whole number any more.
    if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 {
        return Ok(Json::from(number as i64));
    }
    Number::from_f64(number).map(Json::Number).ok_or_else(|| format!("{number} cannot be JSON"))
}

fn encode_table(table: &Table, depth: usize, count: &mut usize) -> std::result::Result<Json, String> {
    let length = table.raw_len();
    let (mut entries, mut is_array) = (Vec::new(), true);
    for entry in table.pairs::<Value, Value>() {
        let (key, value) = entry.map_err(|error| error.to_string())?;
        is_array = is_array && super::words::whole(&key).is_some_and(|at| (1..=length).contains(&at));
        entries.push((key, value));
        if entries.len() > MAX_VALUES {
            return Err(format!("there are more than {MAX_VALUES} values"));
        }
    }
    if is_array && entries.len() == length {
        let items = (1..=length).map(|at| {
            let item: Value = table.raw_get(at).map_err(|error| error.to_string())?;
            encode(&item, depth + 1, count)
        });
        return items.collect::<std::result::Result<_, _>>().map(Json::Array);
    }
    let mut members = Map::new();
    for (key, value) in &entries {
        let name = super::words::text(key)
            .ok_or_else(|| format!("a {} cannot be the name of a JSON member", key.type_name()))?;
        members.insert(name, encode(value, depth + 1, count)?);
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
