//! The *Profiles* environment: a script whose functions, the hooks, know one model of devices.
//!
//! A hook is pure: it gets JSON and gives `value, err`. Each call has a state of its own, a second and 64 MiB. A hook that the
//! script does not define is a capability that the device does not have. Besides the language there are `cwmp_get_params(list)`, which
//! makes a GetParameterValues of a list of names, `response_to_map(response)`, JSON, and `sn`, the device's serial number.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mlua::{Function, Lua, MultiValue, Value};
use serde_json::Value as Json;

use super::host::Stop;
use super::json;
use super::vm::{self, Limits, Trouble, Vm};
use super::words;
use crate::cwmp::rpc::{Message, Request};
use crate::cwmp::soap;
use crate::cwmp::soap::envelope::{Envelope, Header, Namespace};

/// What a hook may use: half a second of a processor is some fifty million instructions, however long a busy machine takes for them.
const LIMITS: Limits = Limits { memory: 64 * 1024 * 1024, time: Duration::from_secs(10), work: 50_000 };
/// Most names of one `cwmp_get_params`.
const MAX_NAMES: usize = 10_000;

/// What a hook gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// A text: a label, a path, a message.
    Text,
    /// A truth.
    Flag,
    /// A list; an empty table is an empty one.
    List,
    /// An object or a map; an empty table is an empty one.
    Object,
    /// A text, or a table that is the body of a USP request.
    TextOrObject,
}

/// A hook of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// The function's name.
    pub name: &'static str,
    /// Its arguments' names.
    pub arguments: &'static [&'static str],
    /// What it gives.
    pub gives: Gives,
}

const fn hook(name: &'static str, arguments: &'static [&'static str], gives: Gives) -> Hook {
    Hook { name, arguments, gives }
}

/// All of them, in the documents' order.
pub const HOOKS: &[Hook] = &[
    hook("get_vendor", &[], Gives::Text),
    hook("get_data_model", &[], Gives::Text),
    hook("get_device_capabilities", &[], Gives::Object),
    hook("get_device_specs", &[], Gives::Object),
    hook("is_real_time", &[], Gives::Flag),
    hook("get_radio", &[], Gives::Text),
    hook("parse_radio", &["response"], Gives::List),
    hook("set_radio", &["radios"], Gives::Text),
    hook("get_ssid", &[], Gives::Text),
    hook("parse_ssid", &["response"], Gives::List),
    hook("set_ssid", &["ssids"], Gives::Text),
    hook("get_site_survey_diagnostic_state", &[], Gives::Text),
    hook("set_site_survey_diagnostic_state", &[], Gives::TextOrObject),
    hook("get_site_survey_results", &[], Gives::Text),
    hook("parse_get_site_survey", &["response"], Gives::Object),
    hook("get_connected_devices", &[], Gives::Text),
    hook("parse_get_connected_devices", &["response"], Gives::Object),
    hook("set_speed_test", &["test"], Gives::Text),
    hook("get_speed_test_result", &["speed_test_type"], Gives::Text),
    hook("parse_get_speed_test_result", &["speed_test_type", "response"], Gives::Object),
    hook("get_download_diagnostic_state", &[], Gives::Text),
    hook("get_upload_diagnostic_state", &[], Gives::Text),
    hook("get_statistics", &[], Gives::Text),
    hook("parse_get_statistics", &["response"], Gives::Object),
    hook("get_interface_wan", &[], Gives::Text),
    hook("get_interface_lan", &[], Gives::Text),
    hook("parse_get_interface_wan", &["response"], Gives::Object),
    hook("parse_get_interface_lan", &["response"], Gives::Object),
    hook("get_wan_options", &[], Gives::List),
    hook("get_port", &[], Gives::Text),
    hook("parse_get_port", &["response"], Gives::Object),
    hook("set_port", &["ports"], Gives::Text),
    hook("add_port", &["port"], Gives::Text),
    hook("get_bridge", &[], Gives::Text),
    hook("parse_get_bridge", &["response"], Gives::List),
    hook("set_bridge", &["bridges"], Gives::Text),
    hook("get_ping", &[], Gives::Text),
    hook("parse_get_ping", &["response"], Gives::Object),
    hook("get_ping_diagnostic_state", &[], Gives::Text),
    hook("set_ping", &["ping"], Gives::Text),
    hook("get_ping_result", &[], Gives::Text),
    hook("parse_get_ping_result", &["response"], Gives::Object),
    hook("get_traceroute", &[], Gives::Text),
    hook("parse_get_traceroute", &["response"], Gives::Object),
    hook("get_traceroute_diagnostic_state", &[], Gives::Text),
    hook("set_traceroute", &["traceroute"], Gives::Text),
    hook("get_traceroute_result_number_of_hops", &[], Gives::Text),
    hook("get_traceroute_result", &["number_of_hops"], Gives::Text),
    hook("parse_get_traceroute_result", &["response"], Gives::Object),
    hook("get_hwinfo", &[], Gives::Text),
    hook("parse_get_hwinfo", &["response"], Gives::Object),
    hook("get_pon", &[], Gives::Text),
    hook("parse_get_pon", &["response"], Gives::Object),
    hook("get_voice", &[], Gives::Text),
    hook("parse_get_voice", &["response"], Gives::List),
    hook("set_voice", &["voice"], Gives::Text),
    hook("set_line", &["line"], Gives::Text),
    hook("get_cellular", &[], Gives::Text),
    hook("parse_get_cellular", &["response"], Gives::List),
    hook("set_cellular", &["cellular"], Gives::Text),
    hook("get_xdsl", &[], Gives::Text),
    hook("parse_xdsl", &["response"], Gives::List),
];

/// The hook of a name.
pub fn find(name: &str) -> Option<&'static Hook> {
    HOOKS.iter().find(|hook| hook.name == name)
}

/// A profile that has been read, with the hooks that it defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    text: Arc<str>,
    hooks: Vec<&'static str>,
}

impl Profile {
    /// Reads a profile: it is run once, to see which hooks it defines.
    ///
    /// # Errors
    /// What is wrong in it.
    pub fn read(text: &str) -> Result<Profile, Trouble> {
        let text: Arc<str> = text.into();
        let theirs = Arc::clone(&text);
        let hooks = vm::run_apart(LIMITS, &Stop::new(), move |vm| {
            prepare(vm, "", &mut |_| {})?;
            vm.exec(&theirs)?;
            let defined = |hook: &&Hook| {
                vm.lua().globals().raw_get::<Value>(hook.name).is_ok_and(|value| value.is_function())
            };
            Ok(HOOKS.iter().filter(defined).map(|hook| hook.name).collect())
        })?;
        Ok(Profile { text, hooks })
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The hooks it defines, in the documents' order.
    pub fn hooks(&self) -> &[&'static str] {
        &self.hooks
    }

    /// Whether it defines a hook.
    pub fn has(&self, hook: &str) -> bool {
        self.hooks.contains(&hook)
    }

    /// Calls a hook for a device; `None` is the `nil, nil` of a hook that leaves it to the host. What it prints is kept in `printed`.
    ///
    /// # Errors
    /// The hook is not defined; its own error; an error that nobody caught; a value that is not of the hook's kind.
    pub fn call(
        &self,
        hook: &str,
        device: &str,
        arguments: &[Json],
        printed: &mut Vec<String>,
    ) -> Result<Option<Json>, String> {
        let known = find(hook).ok_or_else(|| format!("there is no hook {hook:?}"))?;
        if !self.has(hook) {
            return Err(format!("the profile has no {hook}: the device lacks this"));
        }
        let (text, device, arguments) = (Arc::clone(&self.text), device.to_owned(), arguments.to_vec());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&lines);
        let result = vm::run_apart(LIMITS, &Stop::new(), move |vm| {
            let keep = Arc::clone(&theirs);
            prepare(vm, &device, &mut |lua| {
                let keep = Arc::clone(&keep);
                let _ = words::print_to(lua, move |line| {
                    keep.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
                });
            })?;
            vm.exec(&text)?;
            let start = |error: mlua::Error| Trouble::Start(error.to_string());
            let function: Function = vm.lua().globals().raw_get(known.name).map_err(start)?;
            let given: mlua::Result<Vec<Value>> =
                arguments.iter().map(|argument| json::to_lua(vm.lua(), argument)).collect();
            let given = MultiValue::from_vec(given.map_err(start)?);
            let (value, error): (Value, Value) = vm.call(&function, given)?;
            Ok(judge(known, &value, &error))
        });
        printed.append(&mut lines.lock().unwrap_or_else(PoisonError::into_inner));
        result.unwrap_or_else(|trouble| Err(trouble.to_string())).map_err(|why| format!("{hook}: {why}"))
    }
}

/// The two values of a hook, by its contract.
fn judge(hook: &Hook, value: &Value, error: &Value) -> Result<Option<Json>, String> {
    if !error.is_nil() {
        return Err(words::text(error).unwrap_or_else(|| format!("its error is a {}", error.type_name())));
    }
    let json = json::from_lua(value)?;
    let is_empty = matches!(&json, Json::Array(items) if items.is_empty());
    match (hook.gives, json) {
        (_, Json::Null) => Ok(None),
        (Gives::Text | Gives::TextOrObject, json @ Json::String(_))
        | (Gives::Flag, json @ Json::Bool(_))
        | (Gives::List, json @ Json::Array(_))
        | (Gives::Object | Gives::TextOrObject, json @ Json::Object(_)) => Ok(Some(json)),
        (Gives::Object | Gives::TextOrObject, _) if is_empty => Ok(Some(Json::Object(Default::default()))),
        // An object where a list is wanted, an array of speed tests: what the documents call a map may be either.
        (wanted, _) => Err(format!(
            "its value is a {}, and {} is wanted",
            value.type_name(),
            match wanted {
                Gives::Text => "a string",
                Gives::Flag => "a boolean",
                Gives::List => "an array",
                Gives::Object => "a table with names",
                Gives::TextOrObject => "a string or a table",
            }
        )),
    }
}

/// The words of the environment.
fn prepare(vm: &Vm, device: &str, print: &mut dyn FnMut(&Lua)) -> Result<(), Trouble> {
    let start = |error: mlua::Error| Trouble::Start(error.to_string());
    let (lua, globals) = (vm.lua(), vm.lua().globals());
    let _ = words::print_to(lua, |_| {});
    print(lua);
    let install = || {
        json::install(lua)?;
        globals.raw_set("sn", device)?;
        globals
            .raw_set("cwmp_get_params", lua.create_function(|lua, list: Value| get_params(lua, &list))?)?;
        lua.load(RESPONSE_TO_MAP).set_name("=prelude").exec()
    };
    install().map_err(start)
}

/// As the documents write it.
const RESPONSE_TO_MAP: &str = r#"
local ipairs = ipairs
function response_to_map(response)
  local out = {}
  for _, param in ipairs(response and response.list or {}) do
    out[param.name] = param.value
  end
  return out
end
"#;

/// A GetParameterValues of a list of names, or of one.
fn get_params(lua: &Lua, list: &Value) -> mlua::Result<(Value, Value)> {
    let names: Result<Vec<String>, String> = match list {
        Value::Table(table) => table
            .sequence_values::<Value>()
            .map(|value| {
                let value = value.map_err(|error| error.to_string())?;
                words::text(&value).ok_or_else(|| format!("a name is a {}", value.type_name()))
            })
            .collect(),
        other => words::text(other)
            .map(|name| vec![name])
            .ok_or_else(|| format!("cwmp_get_params takes a list of names, not a {}", other.type_name())),
    };
    let names = names.and_then(|names| match names.len() {
        0 => Err("cwmp_get_params was given no names".to_owned()),
        count if count > MAX_NAMES => Err(format!("cwmp_get_params takes {MAX_NAMES} names at most")),
        _ => Ok(names),
    });
    match names {
        Ok(names) => {
            let message = Message::Request(Request::GetParameterValues(names));
            let envelope = Envelope { namespace: Namespace::V1_0, header: Header::default(), message };
            Ok((Value::String(lua.create_string(soap::write(&envelope))?), Value::Nil))
        }
        Err(why) => Ok((Value::Nil, Value::String(lua.create_string(why)?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(hook: &str, script: &str, arguments: &[Json], expected: Result<Option<Json>, &str>) {
        let profile = Profile::read(&format!("function {hook}(...) {script} end")).unwrap();
        assert_eq!(profile.hooks(), [hook]);
        let found = profile.call(hook, "SN1", arguments, &mut Vec::new());
        match (&found, &expected) {
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{script}: {found}"),
            _ => assert_eq!(found, expected.map_err(str::to_owned), "{script}"),
        }
    }

    #[test]
    fn there_are_sixty_two() {
        assert_eq!(HOOKS.len(), 62);
        let mut names: Vec<_> = HOOKS.iter().map(|hook| hook.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 62);
    }

    #[test]
    fn value_and_error() {
        check("get_vendor", "return 'Example', nil", &[], Ok(Some(json!("Example"))));
        check("get_vendor", "return 'Example'", &[], Ok(Some(json!("Example"))));
        check("get_vendor", "return nil, 'no idea'", &[], Err("get_vendor: no idea"));
        check("get_vendor", "return 'x', 'no idea'", &[], Err("get_vendor: no idea"));
        check("set_radio", "return nil, nil", &[json!([])], Ok(None));
        check("set_radio", "", &[json!([])], Ok(None));
        check("is_real_time", "return false", &[], Ok(Some(json!(false))));
        check("is_real_time", "return 1", &[], Err("a boolean is wanted"));
        check("get_radio", "return {}", &[], Err("a string is wanted"));
        check("parse_radio", "return {}", &[json!({"list": []})], Ok(Some(json!([]))));
        check("parse_radio", "return {a = 1}", &[json!({"list": []})], Err("an array is wanted"));
        check("get_device_specs", "return {}", &[], Ok(Some(json!({}))));
        check("get_device_specs", "return {1}", &[], Err("a table with names is wanted"));
        check("get_device_specs", "return print", &[], Err("a function cannot be JSON"));
        check(
            "set_site_survey_diagnostic_state",
            "return {update_objs = {{obj_path = 'a'}}}",
            &[],
            Ok(Some(json!({"update_objs": [{"obj_path": "a"}]}))),
        );
        check("get_vendor", "error('broken')", &[], Err("<string>:1: broken"));
        check("get_vendor", "error({})", &[], Err("get_vendor: "));
        check("get_vendor", "while true do end", &[], Err("get_vendor: the script "));
        check("get_vendor", "return ('x'):rep(1e9)", &[], Err("more than 64 MiB"));
    }

    #[test]
    fn arguments_and_host_words() {
        let radios = json!([{"path": "a.", "channel": {"writable": true, "value": 6}}]);
        check(
            "set_radio",
            "local r = ... return r[1].path .. r[1].channel.value",
            &[radios],
            Ok(Some(json!("a.6"))),
        );
        let response = json!({"list": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]});
        check(
            "parse_get_ping",
            "return response_to_map((...))",
            &[response],
            Ok(Some(json!({"a": "1", "b": "2"}))),
        );
        check("parse_get_ping", "return response_to_map(nil)", &[], Ok(Some(json!({}))));
        check("get_vendor", "return sn", &[], Ok(Some(json!("SN1"))));
        check("get_vendor", "return cwmp_get_params({})", &[], Err("given no names"));
        check("get_vendor", "return cwmp_get_params({{}})", &[], Err("a name is a table"));
        check(
            "get_vendor",
            "return tostring(send_cwmp_message) .. tostring(io) .. tostring(require)",
            &[],
            Ok(Some(json!("nilnilnil"))),
        );
        let profile = Profile::read(
            "function get_radio() print('asked', sn) return cwmp_get_params { 'Device.A.', 'Device.B' } end",
        )
        .unwrap();
        let mut printed = Vec::new();
        let xml = profile.call("get_radio", "SN1", &[], &mut printed).unwrap().unwrap();
        let read = soap::read(xml.as_str().unwrap().as_bytes(), &Default::default()).unwrap();
        let expected = Request::GetParameterValues(vec!["Device.A.".into(), "Device.B".into()]);
        assert_eq!((read.message, printed.join("|")), (Message::Request(expected), "asked\tSN1".to_owned()));
        assert!(profile.call("get_ssid", "SN1", &[], &mut printed).unwrap_err().contains("lacks this"));
        assert!(profile.call("get_x", "SN1", &[], &mut printed).unwrap_err().contains("no hook"));
    }

    #[test]
    fn what_is_no_profile() {
        assert!(matches!(Profile::read("x = = 1"), Err(Trouble::Syntax(_))));
        assert!(matches!(Profile::read("error('no')"), Err(Trouble::Uncaught(_))));
        assert!(matches!(Profile::read("while true do end"), Err(Trouble::Time(_) | Trouble::Work(_))));
        assert_eq!(Profile::read("get_vendor = 'x'").unwrap().hooks(), [""; 0]);
    }
}
