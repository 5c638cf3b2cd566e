//! The functions that scripts share whatever their environment: printing, sleeping, chance, and messages to devices.
//!
//! Nothing here raises for what a device or the ACS refuses: refusals are error tables with string values, as the
//! documents show them. Only misuse that the documents call a failure raises.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mlua::{Function, IntoLua, Lua, Result, Table, Value, Variadic};

use super::host::{Answer, Fence, Host, Method, Refusal};
use super::json;
use super::vm::{Vm, fell};

/// Longest printed line, in bytes; the rest is cut.
const MAX_LINE: usize = 16 * 1024;
/// Most printed lines of a run that has an end.
pub const MAX_LINES: usize = 10_000;
/// Most printed bytes of a run that has an end.
const MAX_PRINTED: usize = 4 * 1024 * 1024;
/// Longest random string.
const MAX_RANDOM: usize = 64 * 1024;
/// What random strings are made of.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Adds `print`, `sleep`, `generate_random_string`, `send_cwmp_message`, `send_cwmp_message_and_forget`,
/// `refresh_device_parameters`, `json_encode` and `json_decode` to the globals; `print` takes `lines` lines at most.
///
/// # Errors
/// For lack of memory.
pub fn install(vm: &Vm, host: &Arc<dyn Host>, lines: usize) -> Result<()> {
    let (lua, globals) = (vm.lua(), vm.lua().globals());
    globals.raw_set("print", print(lua, host, lines)?)?;
    globals.raw_set("sleep", sleep(lua, vm.fence())?)?;
    globals.raw_set(
        "generate_random_string",
        lua.create_function(|_, length: Value| Ok(number(&length).map_or_else(String::new, random_string)))?,
    )?;
    let theirs = Arc::clone(host);
    globals.raw_set(
        "send_cwmp_message_and_forget",
        // Any further arguments are accepted: the documents' "timeout" is no time (oktopus.md 5, row 7).
        lua.create_function(move |lua, (device, message, _): (Value, Value, Variadic<Value>)| {
            let sent =
                arguments(&device, &message).and_then(|(device, message)| theirs.enqueue(&device, &message));
            match sent {
                Ok(()) => Ok(Value::Boolean(true)),
                Err(refusal) => error_table(lua, &refusal).map(Value::Table),
            }
        })?,
    )?;
    let (theirs, fence) = (Arc::clone(host), vm.fence().clone());
    globals.raw_set(
        "send_cwmp_message",
        lua.create_function(
            move |lua, (device, message, kind, _): (Value, Value, Value, Variadic<Value>)| {
                let answer = call_arguments(&device, &message, &kind)
                    .and_then(|(device, message, method)| theirs.call(&device, &message, method, &fence));
                match fence.ended() {
                    Some(ended) => Err(fell(ended)),
                    None => outcome(lua, answer),
                }
            },
        )?,
    )?;
    let theirs = Arc::clone(host);
    globals.raw_set(
        "refresh_device_parameters",
        lua.create_function(move |_, device: Value| {
            Ok(text(&device).is_some_and(|device| theirs.refresh(&device)))
        })?,
    )?;
    json::install(lua)
}

/// The three arguments that name a blocking call, checked.
pub(super) fn call_arguments(
    device: &Value,
    message: &Value,
    kind: &Value,
) -> std::result::Result<(String, String, Method), Refusal> {
    let (device, message) = arguments(device, message)?;
    let method = number(kind).and_then(Method::from_number);
    Ok((device, message, method.ok_or_else(|| Refusal::new(400, "the message type must be 0 to 4"))?))
}

/// How long `sleep` sleeps for this argument.
pub(super) fn duration(seconds: &Value) -> Duration {
    let seconds = number(seconds).filter(|seconds| *seconds > 0.0).unwrap_or(0.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// What a blocking call gives its script.
pub(super) fn outcome(lua: &Lua, answer: std::result::Result<Answer, Refusal>) -> Result<Value> {
    match answer {
        Ok(answer) => answer_value(lua, answer),
        Err(refusal) => error_table(lua, &refusal).map(Value::Table),
    }
}

/// A value as text: a string in UTF-8, or a number as Lua prints whole ones.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.to_str().ok().map(|text| text.to_owned()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A value as a number; a string that reads as one counts, as everywhere in Lua 5.1.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        Value::String(text) => text.to_str().ok()?.trim().parse().ok(),
        _ => None,
    }
}

/// A value as a whole number that is not negative.
pub(super) fn whole(value: &Value) -> Option<usize> {
    match value {
        Value::Integer(number) => usize::try_from(*number).ok(),
        Value::Number(number) if number.fract() == 0.0 && (0.0..1e15).contains(number) => {
            Some(*number as usize)
        }
        _ => None,
    }
}

fn print(lua: &Lua, host: &Arc<dyn Host>, max: usize) -> Result<Function> {
    let host = Arc::clone(host);
    printer(lua, move |line| host.print(line), max)
}

/// Adds a `print` that hands its lines, not too many, to `to`.
pub(super) fn print_to(lua: &Lua, to: impl Fn(&str) + Send + 'static) -> Result<()> {
    lua.globals().raw_set("print", printer(lua, to, MAX_LINES)?)
}

fn printer(lua: &Lua, to: impl Fn(&str) + Send + 'static, max: usize) -> Result<Function> {
    let tostring: Function = lua.globals().get("tostring")?;
    let (lines, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let most = if max == usize::MAX { usize::MAX } else { MAX_PRINTED };
    lua.create_function(move |_, values: Variadic<Value>| {
        let mut out = Vec::new();
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            let shown: mlua::LuaString = tostring.call(value)?;
            let room = MAX_LINE.saturating_sub(out.len());
            let bytes = shown.as_bytes();
            out.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        if bytes.load(Ordering::Relaxed) > most {
            return Ok(());
        }
        if bytes.fetch_add(out.len(), Ordering::Relaxed).saturating_add(out.len()) > most {
            to(&format!("(more than {} MiB: the rest is not kept)", most >> 20));
            return Ok(());
        }
        match lines.fetch_add(1, Ordering::Relaxed) {
            line if line < max => to(&String::from_utf8_lossy(&out)),
            line if line == max => to(&format!("(more than {max} lines: the rest is not kept)")),
            _ => {}
        }
        Ok(())
    })
}

fn sleep(lua: &Lua, fence: &Fence) -> Result<Function> {
    let fence = fence.clone();
    lua.create_function(move |_, seconds: Value| {
        fence.sleep(duration(&seconds));
        fence.ended().map_or(Ok(()), |ended| Err(fell(ended)))
    })
}

/// `length` characters from the system's generator; none for a length that cannot be.
fn random_string(length: f64) -> String {
    if !(length >= 1.0 && length <= MAX_RANDOM as f64) {
        return String::new();
    }
    let (length, mut out) = (length as usize, String::new());
    let mut pool = [0_u8; 256];
    while out.len() < length {
        if getrandom::fill(&mut pool).is_err() {
            return String::new();
        }
        // Bytes of 248 and more would favour the first letters.
        let even = pool.iter().filter(|byte| **byte < 248);
        out.extend(even.take(length - out.len()).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
    }
    out
}

fn arguments(device: &Value, message: &Value) -> std::result::Result<(String, String), Refusal> {
    let wrong = |name: &str, value: &Value| {
        Refusal::new(400, format!("{name} must be a string, not {}", value.type_name()))
    };
    let device = text(device).ok_or_else(|| wrong("device_id", device))?;
    let Value::String(given) = message else { return Err(wrong("message_body", message)) };
    let message = given.to_str().map_err(|_| Refusal::new(400, "message_body is not UTF-8"))?;
    Ok((device, message.to_owned()))
}

pub(super) fn error_table(lua: &Lua, refusal: &Refusal) -> Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("error_message", refusal.message.as_str())?;
    table.raw_set("error_code", refusal.code.as_str())?;
    if !refusal.parameter_faults.is_empty() {
        let faults = lua.create_table()?;
        for (name, code, string) in &refusal.parameter_faults {
            let fault = lua.create_table()?;
            fault.raw_set("parameter_name", name.as_str())?;
            fault.raw_set("fault_code", code.as_str())?;
            fault.raw_set("fault_string", string.as_str())?;
            faults.raw_push(fault)?;
        }
        table.raw_set("parameter_faults", faults)?;
    }
    if let Some(raw) = &refusal.raw_response {
        table.raw_set("raw_response", raw.as_str())?;
    }
    Ok(table)
}

fn answer_value(lua: &Lua, answer: Answer) -> Result<Value> {
    match answer {
        Answer::Done => Ok(Value::Boolean(true)),
        Answer::Values(values) => lua.create_table_from(values)?.into_lua(lua),
        Answer::Names(names) => lua.create_sequence_from(names)?.into_lua(lua),
        Answer::Added { instance_number, status } => {
            let table = lua.create_table()?;
            table.raw_set("instance_number", instance_number)?;
            table.raw_set("status", status)?;
            table.into_lua(lua)
        }
    }
}

/// Names that were asked for and not there, for the explanation of a failure.
#[derive(Debug, Clone, Default)]
pub(super) struct Missing(Arc<Mutex<Vec<String>>>);

impl Missing {
    /// Notes a name once; the first sixteen are enough.
    pub(super) fn note(&self, name: &str) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < 16 && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }

    /// The names, in order.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
