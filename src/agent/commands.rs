//! The ubus object `rcwmp`: what scripts, pages and `rcwmpd -c` ask of the data model, the queue and the
//! sessions. Pure: the daemon performs the same commands on its model as the command line without it.
//!
//! ```text
//!  get {path | paths, from}              {parameters: [{parameter, value, type}], next}
//!  names {path, next_level, from}        {names: [{name, writable}], next}
//!  set {path, value | values, key}       {status}
//!  add {object, key}                     {instance, status}
//!  del {object, key}                     {status}
//!  attributes {path, notification, from} {attributes: [{parameter, notification, access_list}], next}
//!  transfers                             {transfers: [{command_key, state, file_type, …}]}
//!  sessions {count}                      {sessions: [{status, events, rpcs, …}]}, the newest first
//! ```
//! A fault is part of the answer, `{fault, fault_string, parameters}`, with TR-069's codes. A list that
//! would not fit a message of ubus ends with `next`: the same call with `from` set to it goes on there. When that
//! entry is there no more, the fault has `gone`: the list is to be asked for from its beginning.

use std::collections::HashSet;

use crate::cwmp::dispatch;
use crate::cwmp::fault::{self, Fault};
use crate::model::attributes::AttributeChange;
use crate::model::backend::Backend;
use crate::model::schema::{Notify, Param};
use crate::model::value::Input;
use crate::model::{Error, Model};
use crate::transfer::plan::Listed;
use crate::ubus::blobmsg::{Kind, Table, Value};
use crate::ubus::object::Method;

use super::history::History;

/// The object's name.
pub const OBJECT: &str = "rcwmp";
/// What one answer holds at the most, in octets of text: well below the 1 MiB of a message.
const MAX_PAGE: usize = 256 * 1024;
/// The most entries of one answer.
const MAX_ENTRIES: usize = 4096;
/// The most paths or values of one call.
const MAX_LIST: usize = 1024;
/// ParameterKey: `string(32)`.
const MAX_KEY: usize = 32;

/// A command on the data model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Values of parameters, or of all below partial paths.
    Get {
        /// The paths.
        paths: Vec<String>,
        /// The parameter to go on with.
        from: Option<String>,
    },
    /// Names below a path.
    Names {
        /// The path.
        path: String,
        /// Only those of the next level.
        next_level: bool,
        /// The name to go on with.
        from: Option<String>,
    },
    /// Sets parameters, all or none.
    Set {
        /// Names and values.
        values: Vec<(String, String)>,
        /// ParameterKey.
        key: Option<String>,
    },
    /// Adds an instance.
    Add {
        /// The table.
        object: String,
        /// ParameterKey.
        key: Option<String>,
    },
    /// Deletes an instance.
    Del {
        /// The instance.
        object: String,
        /// ParameterKey.
        key: Option<String>,
    },
    /// Reads attributes, and sets the notification first if one is given.
    Attributes {
        /// A full or partial path.
        path: String,
        /// 0 to 6.
        notification: Option<i64>,
        /// The parameter to go on with.
        from: Option<String>,
    },
}

/// The methods with their arguments.
pub fn methods() -> Vec<Method> {
    use Kind::{Array, Int8, Int32, String, Table};
    vec![
        Method::new("get").with("path", String).with("paths", Array).with("from", String),
        Method::new("names").with("path", String).with("next_level", Int8).with("from", String),
        Method::new("set")
            .with("path", String)
            .with("value", String)
            .with("values", Table)
            .with("key", String),
        Method::new("add").with("object", String).with("key", String),
        Method::new("del").with("object", String).with("key", String),
        Method::new("attributes").with("path", String).with("notification", Int32).with("from", String),
        Method::new("transfers"),
        Method::new("sessions").with("count", Int32),
    ]
}

impl Command {
    /// The command of a call; `None` when `method` is not one on the data model.
    ///
    /// # Errors
    /// 9003 for arguments that are missing or of another type, as an answer.
    pub fn parse(method: &str, arguments: &Table) -> Option<Result<Command, Table>> {
        let read = || -> Result<Option<Command>, String> {
            let key = optional(arguments, "key")?;
            let from = optional(arguments, "from")?;
            Ok(Some(match method {
                "get" => Command::Get { paths: paths(arguments)?, from },
                "names" => {
                    let next_level = arguments.get("next_level").is_some_and(is_true);
                    Command::Names {
                        path: optional(arguments, "path")?.unwrap_or_default(),
                        next_level,
                        from,
                    }
                }
                "set" => Command::Set { values: values(arguments)?, key },
                "add" => Command::Add { object: needed(arguments, "object")?, key },
                "del" => Command::Del { object: needed(arguments, "object")?, key },
                "attributes" => {
                    let notification = match arguments.get("notification") {
                        None => None,
                        Some(value) => Some(
                            scalar(value)
                                .and_then(|text| text.parse().ok())
                                .ok_or("notification is no number")?,
                        ),
                    };
                    Command::Attributes { path: needed(arguments, "path")?, notification, from }
                }
                _ => return Ok(None),
            }))
        };
        match read() {
            Ok(command) => command.map(Ok),
            Err(why) => Some(Err(refusal(&Fault::new(fault::INVALID_ARGUMENTS, why)))),
        }
    }

    /// The call of a command: method and arguments, for a daemon.
    pub fn call(&self) -> (&'static str, Table) {
        let with = |table: Table, name: &str, value: &Option<String>| match value {
            Some(text) => table.with(name, text.as_str()),
            None => table,
        };
        match self {
            Command::Get { paths, from } => {
                let paths: Vec<Value> = paths.iter().map(|path| Value::from(path.as_str())).collect();
                ("get", with(Table::new().with("paths", paths), "from", from))
            }
            Command::Names { path, next_level, from } => {
                let table = Table::new().with("path", path.as_str()).with("next_level", *next_level);
                ("names", with(table, "from", from))
            }
            Command::Set { values, key } => {
                let mut table = Table::new();
                values.iter().for_each(|(name, value)| table.push(name.as_str(), value.as_str()));
                ("set", with(Table::new().with("values", table), "key", key))
            }
            Command::Add { object, key } => {
                ("add", with(Table::new().with("object", object.as_str()), "key", key))
            }
            Command::Del { object, key } => {
                ("del", with(Table::new().with("object", object.as_str()), "key", key))
            }
            Command::Attributes { path, notification, from } => {
                let table = Table::new().with("path", path.as_str());
                let number = notification.map(|number| i32::try_from(number).unwrap_or(i32::MAX));
                let table =
                    number.into_iter().fold(table, |table, number| table.with("notification", number));
                ("attributes", with(table, "from", from))
            }
        }
    }

    /// Whether it changes anything: then it waits for the end of a session.
    pub fn changes(&self) -> bool {
        match self {
            Command::Get { .. } | Command::Names { .. } => false,
            Command::Set { .. } | Command::Add { .. } | Command::Del { .. } => true,
            Command::Attributes { notification, .. } => notification.is_some(),
        }
    }

    /// Whether it begins a list, so that the system is to be read afresh.
    pub fn begins(&self) -> bool {
        use Command::{Attributes, Get, Names};
        !matches!(
            self,
            Get { from: Some(_), .. } | Names { from: Some(_), .. } | Attributes { from: Some(_), .. }
        )
    }

    /// The list from its beginning, when it cannot go on: an answer with `gone`.
    pub fn start_again(&mut self) {
        match self {
            Command::Get { from, .. } | Command::Names { from, .. } | Command::Attributes { from, .. } => {
                *from = None;
            }
            Command::Set { .. } | Command::Add { .. } | Command::Del { .. } => {}
        }
    }

    /// The key that would be kept as the ParameterKey.
    fn key(&self) -> Option<&str> {
        match self {
            Command::Set { key, .. } | Command::Add { key, .. } | Command::Del { key, .. } => key.as_deref(),
            Command::Get { .. } | Command::Names { .. } | Command::Attributes { .. } => None,
        }
    }

    /// The rest of a list whose answer ends with `next`.
    pub fn go_on(&mut self, answer: &Table) -> bool {
        let Some(next) = answer.text("next") else { return false };
        match self {
            Command::Get { from, .. } | Command::Names { from, .. } => {
                *from = Some(next.into_owned());
                true
            }
            Command::Attributes { from, notification, .. } => {
                // It was set with the first answer.
                (*from, *notification) = (Some(next.into_owned()), None);
                true
            }
            _ => false,
        }
    }
}

/// Performs a command; a fault is an answer, too.
pub fn perform<B: Backend>(model: &mut Model<B>, command: &Command) -> Table {
    let addressing = dispatch::addressing(model);
    model.set_addressing(addressing);
    try_perform(model, command).unwrap_or_else(|error| refusal(&Fault::from(&error)))
}

fn try_perform<B: Backend>(model: &mut Model<B>, command: &Command) -> Result<Table, Error> {
    let status = |model: &mut Model<B>| Value::Int32(i32::from(model.backend().waits()));
    if command.key().is_some_and(|key| key.chars().count() > MAX_KEY) {
        return Err(Error::bad_argument(format!("the key is longer than {MAX_KEY} characters")));
    }
    Ok(match command {
        Command::Get { paths, from } => {
            let mut list = model.values(paths.iter().map(String::as_str))?;
            if paths.len() > 1 {
                // Once each: a name says where the next page goes on.
                let mut seen = HashSet::new();
                list.retain(|(name, _)| seen.insert(name.clone()));
            }
            let entry = |(name, value): &(String, crate::model::value::Value)| {
                let entry = Table::new().with("parameter", name.as_str()).with("value", value.text.as_str());
                (entry.with("type", value.kind.xsd()), name.len() + value.text.len())
            };
            page("parameters", &list, from.as_deref(), |one| &one.0, entry)
        }
        Command::Names { path, next_level, from } => {
            let list = model.names(path, *next_level)?;
            let entry = |(name, writable): &(String, bool)| {
                (Table::new().with("name", name.as_str()).with("writable", *writable), name.len())
            };
            page("names", &list, from.as_deref(), |one| &one.0, entry)
        }
        Command::Set { values, key } => {
            let input = |text: &String| Input { text: text.clone(), ..Input::default() };
            let list: Vec<_> = values.iter().map(|(name, value)| (name.clone(), input(value))).collect();
            model.set(&list, key.as_deref())?;
            Table::new().with("status", status(model))
        }
        Command::Add { object, key } => {
            let number = model.add(object, key.as_deref())?;
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            Table::new().with("instance", number).with("status", status(model))
        }
        Command::Del { object, key } => {
            model.delete(object, key.as_deref())?;
            Table::new().with("status", status(model))
        }
        Command::Attributes { path, notification, from } => {
            if notification.is_some() {
                // An ACS that asks for it gets no fault and no effect (TR-069); a person is told, as by icwmp.
                let one = if path.ends_with('.') { None } else { model.params(path)?.pop() };
                if let Some((name, param)) = one
                    && param.notify == Notify::Forced
                    && *notification != Some(2)
                {
                    return Err(Error::notification_refused(&name));
                }
                let name = path.clone();
                model.set_attributes(&[AttributeChange {
                    name,
                    notification: *notification,
                    subscriber: None,
                }])?;
            }
            let list = model.params(path)?;
            let entry = |(name, param): &(String, Param)| {
                let found = model.attributes(name, param);
                let access = if found.subscriber { vec![Value::from("Subscriber")] } else { Vec::new() };
                let entry = Table::new().with("parameter", name.as_str());
                let entry = entry.with("notification", i32::from(found.notification));
                (entry.with("access_list", access), name.len())
            };
            page("attributes", &list, from.as_deref(), |one| &one.0, entry)
        }
    })
}

/// As much of a list as one message takes, from the entry that is named `from` on.
fn page<T>(
    name: &str,
    list: &[T],
    from: Option<&str>,
    name_of: impl Fn(&T) -> &str,
    mut entry: impl FnMut(&T) -> (Table, usize),
) -> Table {
    let start = match from {
        None => Some(0),
        Some(from) => list.iter().position(|one| name_of(one) == from),
    };
    let Some(start) = start else {
        let from: String = from.unwrap_or_default().chars().take(256).collect();
        let why = format!("{from} is gone: start again without from");
        return refusal(&Fault::new(fault::INVALID_PARAMETER_NAME, why)).with("gone", true);
    };
    let mut entries = Vec::new();
    let mut size = 0;
    let mut next = None;
    for one in &list[start..] {
        let (table, octets) = entry(one);
        // Names, types and headers of an entry take some more.
        size += octets + 64;
        if !entries.is_empty() && (size > MAX_PAGE || entries.len() == MAX_ENTRIES) {
            next = Some(name_of(one));
            break;
        }
        entries.push(Value::Table(table));
    }
    let table = Table::new().with(name, entries);
    next.into_iter().fold(table, |table, next| table.with("next", next))
}

/// A fault as an answer.
pub fn refusal(fault: &Fault) -> Table {
    let table = Table::new().with("fault", i32::from(fault.code)).with("fault_string", fault.string.as_str());
    if fault.parameters.is_empty() {
        return table;
    }
    let one = |one: &fault::ParameterFault| {
        let entry = Table::new().with("parameter", one.parameter_name.as_str());
        Value::Table(entry.with("fault", i32::from(one.code)).with("fault_string", one.string.as_str()))
    };
    table.with("parameters", fault.parameters.iter().map(one).collect::<Vec<_>>())
}

/// The answer to `transfers`.
pub fn transfers(list: &[Listed]) -> Table {
    let one = |one: &Listed| {
        let state = match one.state {
            1 => "Not yet started",
            2 => "In progress",
            _ => "Completed",
        };
        let entry = Table::new().with("command_key", one.command_key.as_str()).with("state", state);
        let entry = entry.with("direction", if one.is_download { "Download" } else { "Upload" });
        let entry =
            entry.with("file_type", one.file_type.as_str()).with("file_size", i64::from(one.file_size));
        let moved = i64::try_from(one.moved).unwrap_or(i64::MAX);
        Value::Table(entry.with("target_file_name", one.target_file_name.as_str()).with("moved", moved))
    };
    Table::new().with("transfers", list.iter().map(one).collect::<Vec<_>>())
}

/// The answer to `sessions`: at most `count` of them; `time` writes one of the wall clock.
pub fn sessions(history: &History, count: Option<i64>, time: impl Fn(Option<i64>) -> String) -> Table {
    let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    let one = |record: &super::history::Record| {
        let rpc = |(name, fault): &(String, u16)| {
            Value::Table(Table::new().with("name", name.as_str()).with("fault", i32::from(*fault)))
        };
        let events: Vec<Value> = record.events.iter().map(|event| Value::from(event.as_str())).collect();
        let status = match record.success {
            None => "running",
            Some(true) => "success",
            Some(false) => "failure",
        };
        let entry = Table::new().with("status", status).with("events", events);
        let entry = entry.with("rpcs", record.rpcs.iter().map(rpc).collect::<Vec<_>>());
        let entry = entry.with("start_time", time(record.start)).with("end_time", time(record.end));
        let milliseconds = i64::try_from(record.milliseconds).unwrap_or(i64::MAX);
        Value::Table(entry.with("milliseconds", milliseconds).with("reason", record.why.as_str()))
    };
    Table::new().with("sessions", history.sessions().take(count).map(one).collect::<Vec<_>>())
}

/// A text, or a number or flag as the text that means it.
fn scalar(value: &Value) -> Option<String> {
    match (value, value.as_i64()) {
        (Value::String(text), _) => Some(text.to_str().into_owned()),
        (_, Some(number)) => Some(number.to_string()),
        _ => None,
    }
}

fn is_true(value: &Value) -> bool {
    scalar(value).is_some_and(|text| matches!(text.as_str(), "1" | "true"))
}

fn optional(arguments: &Table, name: &str) -> Result<Option<String>, String> {
    match arguments.get(name) {
        None => Ok(None),
        Some(value) => scalar(value).map(Some).ok_or_else(|| format!("{name} is no text")),
    }
}

fn needed(arguments: &Table, name: &str) -> Result<String, String> {
    optional(arguments, name)?.ok_or_else(|| format!("{name} is missing"))
}

fn paths(arguments: &Table) -> Result<Vec<String>, String> {
    let mut paths: Vec<String> = optional(arguments, "path")?.into_iter().collect();
    for value in arguments.array("paths") {
        paths.push(scalar(value).ok_or("paths has something that is no text")?);
    }
    match paths.len() {
        0 => Err("path is missing".to_owned()),
        1..=MAX_LIST => Ok(paths),
        _ => Err(format!("more than {MAX_LIST} paths")),
    }
}

fn values(arguments: &Table) -> Result<Vec<(String, String)>, String> {
    let mut values = Vec::new();
    if let Some(path) = optional(arguments, "path")? {
        values.push((path, needed(arguments, "value")?));
    }
    for (name, value) in arguments.table("values").into_iter().flat_map(Table::iter) {
        let name = name.to_str().into_owned();
        let text = scalar(value).ok_or_else(|| format!("the value of {name} is no text"))?;
        values.push((name, text));
    }
    match values.len() {
        0 => Err("path is missing".to_owned()),
        1..=MAX_LIST => Ok(values),
        _ => Err(format!("more than {MAX_LIST} values")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::json;

    fn parse(method: &str, arguments: &str) -> Result<Command, Table> {
        Command::parse(method, &json::parse(arguments).unwrap()).unwrap()
    }

    #[test]
    fn calls() {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (method, arguments, command) in [
            (
                "get",
                r#"{"path":"A.","paths":["B."]}"#,
                Command::Get { paths: texts(&["A.", "B."]), from: None },
            ),
            (
                "names",
                r#"{"path":"A.","next_level":true,"from":"A.B"}"#,
                Command::Names { path: "A.".into(), next_level: true, from: Some("A.B".into()) },
            ),
            (
                "set",
                r#"{"path":"A.B","value":true,"values":{"A.C":5,"A.D":"x"},"key":"k"}"#,
                Command::Set {
                    values: vec![pair("A.B", "1"), pair("A.C", "5"), pair("A.D", "x")],
                    key: Some("k".into()),
                },
            ),
            ("add", r#"{"object":"A."}"#, Command::Add { object: "A.".into(), key: None }),
            ("del", r#"{"object":"A.1."}"#, Command::Del { object: "A.1.".into(), key: None }),
            (
                "attributes",
                r#"{"path":"A.","notification":"2"}"#,
                Command::Attributes { path: "A.".into(), notification: Some(2), from: None },
            ),
        ] {
            let parsed = parse(method, arguments).unwrap();
            assert_eq!(parsed, command);
            // What the command line sends is what the daemon reads.
            let (method, table) = command.call();
            assert_eq!(Command::parse(method, &table), Some(Ok(command)));
        }
        assert!(Command::parse("dance", &Table::new()).is_none());
    }

    #[test]
    fn wrong_arguments() {
        for (method, arguments, why) in [
            ("get", "{}", "path is missing"),
            ("get", r#"{"path":[]}"#, "path is no text"),
            ("get", r#"{"paths":[{}]}"#, "no text"),
            ("set", r#"{"path":"A"}"#, "value is missing"),
            ("set", r#"{"values":{"A":null}}"#, "the value of A is no text"),
            ("add", "{}", "object is missing"),
            ("attributes", r#"{"path":"A","notification":"off"}"#, "notification is no number"),
        ] {
            let refused = parse(method, arguments).unwrap_err();
            assert_eq!(refused.number("fault"), Some(9003), "{arguments}");
            let told = refused.text("fault_string").unwrap();
            assert!(told.contains(why), "{told}");
        }
        let many: Vec<Value> = (0..2000).map(|_| Value::from("A.")).collect();
        assert!(Command::parse("get", &Table::new().with("paths", many)).unwrap().is_err());
    }

    #[test]
    fn pages_join_to_the_list() {
        let list: Vec<(String, usize)> = (0..10_000).map(|n| (format!("P{n}"), n)).collect();
        let (mut from, mut joined, mut pages) = (None, Vec::new(), 0);
        loop {
            let entry = |one: &(String, usize)| (Table::new().with("n", one.0.as_str()), one.0.len());
            let table = page("list", &list, from.as_deref(), |one| &one.0, entry);
            assert!(table.encode().unwrap().len() < 1 << 19);
            joined.extend(
                table.array("list").iter().map(|one| one.as_table().unwrap().text("n").unwrap().into_owned()),
            );
            pages += 1;
            match table.text("next") {
                Some(next) => from = Some(next.into_owned()),
                None => break,
            }
        }
        assert_eq!(joined, list.iter().map(|one| one.0.clone()).collect::<Vec<_>>());
        assert!(pages > 1);
        let gone = page("list", &list, Some("Q"), |one| &one.0, |_| (Table::new(), 0));
        assert!(gone.flag("gone") && gone.number("fault") == Some(9005), "{gone:?}");
        assert!(gone.text("fault_string").unwrap().ends_with("Q is gone: start again without from"));
    }
}
