//! The *Services* environment: one run of a provisioning script for one device.
//!
//! A run ends [`Provisioned`](Outcome::Provisioned) iff the script ended without an error and the global
//! `provisioning_status` is then `"provisioned"`. Whether the device received the messages that the script
//! queued is for the ACS to see.

use std::collections::BTreeMap;
use std::sync::Arc;

use mlua::{Function, Lua, Result, Table, Value};
use serde_json::Value as Json;

use super::host::{Host, Stop};
use super::vm::{self, Limits, Trouble, Vm};
use super::words::{self, Missing};

/// What an instance gives its script: name to text, number or boolean.
pub type Variables = BTreeMap<String, Json>;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Without an error, the status being `"provisioned"`.
    Provisioned,
    /// Why not, in one sentence; of an error, with its traceback.
    Failed(String),
}

/// Why a run has failed that came to its end without a word on how it went.
pub const UNSET: &str = "the script ended without setting provisioning_status";

/// Raises what the natives complain about at the caller's line.
const PRELUDE: &str = r#"
local set_status, error = ...
function set_provisioning_status(status)
  local why = set_status(status)
  if why then error(why, 2) end
end
"#;

/// Runs a script for a device, on a thread of its own, and waits for its end.
pub fn run(
    script: &str,
    device: &str,
    variables: &Variables,
    host: &Arc<dyn Host>,
    limits: Limits,
    stop: &Stop,
) -> Outcome {
    let missing = Missing::default();
    let result = {
        let (script, device, variables) = (script.to_owned(), device.to_owned(), variables.clone());
        let (host, missing) = (Arc::clone(host), missing.clone());
        vm::run_apart(limits, stop, move |vm| {
            let start = |error: mlua::Error| Trouble::Start(error.to_string());
            words::install(vm, &host, words::MAX_LINES).map_err(start)?;
            install(vm, &host, device, &variables, missing).map_err(start)?;
            vm.exec(&script)?;
            Ok(vm.lua().globals().raw_get("provisioning_status").unwrap_or(Value::Nil))
                .map(|status| words::text(&status))
        })
    };
    let why = match result {
        Ok(Some(status)) if status == "provisioned" => return Outcome::Provisioned,
        Ok(Some(status)) if status == "failed" => {
            "the script set provisioning_status to \"failed\"".to_owned()
        }
        Ok(Some(status)) => format!("provisioning_status is {status:?}, not \"provisioned\" or \"failed\""),
        Ok(None) => UNSET.to_owned(),
        Err(trouble) => trouble.to_string(),
    };
    match missing.names().as_slice() {
        [] => Outcome::Failed(why),
        names => Outcome::Failed(format!("{why} (variables asked for but not given: {})", names.join(", "))),
    }
}

fn install(
    vm: &Vm,
    host: &Arc<dyn Host>,
    device: String,
    variables: &Variables,
    missing: Missing,
) -> Result<()> {
    let (lua, globals) = (vm.lua(), vm.lua().globals());
    let table = lua.create_table()?;
    let mut texts = BTreeMap::new();
    for (name, value) in variables {
        table.raw_set(name.as_str(), scalar(lua, value)?)?;
        texts.insert(name.clone(), shown(value));
    }
    globals.raw_set("device_id", device.as_str())?;
    globals.raw_set("variables", table)?;
    globals.raw_set("get_device_id", lua.create_function(move |_, ()| Ok(device.clone()))?)?;
    let value = move |_: &Lua, name: Value| {
        let Some(name) = words::text(&name) else { return Ok(None) };
        let value = texts.get(&name).cloned();
        if value.is_none() {
            missing.note(&name);
        }
        Ok(value)
    };
    globals.raw_set("get_variable_value", lua.create_function(value)?)?;
    let host = Arc::clone(host);
    let credential = move |lua: &Lua, (username, password): (Value, Value)| {
        credential_table(lua, create_credential(host.as_ref(), &username, &password))
    };
    globals.raw_set("create_or_update_device_credential", lua.create_function(credential)?)?;
    let set_status = lua.create_function(|lua, status: Value| match words::text(&status) {
        Some(word) if word == "provisioned" || word == "failed" => {
            lua.globals().raw_set("provisioning_status", word).map(|()| None)
        }
        _ => Ok(Some("set_provisioning_status takes \"provisioned\" or \"failed\"".to_owned())),
    })?;
    let error: Function = globals.get("error")?;
    lua.load(PRELUDE).set_name("=prelude").call((set_status, error))
}

/// The full name and the password of a stored credential, or why there is none.
fn create_credential(
    host: &dyn Host,
    username: &Value,
    password: &Value,
) -> std::result::Result<(String, String), String> {
    let mut checked = [("username", username), ("password", password)].into_iter().map(|(what, value)| {
        let text = words::text(value).ok_or_else(|| format!("the {what} must be a string"))?;
        if text.is_empty() {
            return Err(format!("the {what} cannot be empty"));
        }
        if text.contains('.') {
            return Err(format!("the {what} cannot contain dots"));
        }
        Ok(text)
    });
    let (Some(username), Some(password)) = (checked.next(), checked.next()) else {
        return Err("a username and a password are needed".to_owned());
    };
    let (username, password) = (username?, password?);
    host.credential(&username, &password).map(|full| (full, password))
}

fn credential_table(lua: &Lua, result: std::result::Result<(String, String), String>) -> Result<Table> {
    let table = lua.create_table()?;
    let (ok, username, password, error) = match result {
        Ok((username, password)) => (true, username, password, String::new()),
        Err(why) => (false, String::new(), String::new(), why),
    };
    table.raw_set("ok", ok)?;
    table.raw_set("username", username)?;
    table.raw_set("password", password)?;
    table.raw_set("error_msg", error)?;
    Ok(table)
}

fn scalar(lua: &Lua, value: &Json) -> Result<Value> {
    Ok(match value {
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => number.as_f64().map_or(Value::Nil, Value::Number),
        Json::Null => Value::Nil,
        other => Value::String(lua.create_string(shown(other))?),
    })
}

/// A variable as the text that `get_variable_value` gives.
fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
