//! `rcwmpd mini-acs ctl`: the control of a running mini-ACS from the shell. One table of verbs; JSON comes out.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;
use serde_json::{Map, Value as Json, json};

use crate::http::url::Url;
use crate::lab::lua::vm::MAX_SCRIPT;
use crate::lab::store::MAX_FILE;
use crate::sys::fs::read_capped;

/// Where the control is without `--control`.
pub const DEFAULT: &str = "127.0.0.1:9293";
/// For an answer that nobody waits for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a task is waited for, unless told.
const WAIT: u32 = 60;
/// Of one look at the trace, in seconds.
const TRACE_WAIT: u32 = 30;
/// The largest answer.
const MAX_ANSWER: u64 = 256 << 20;

/// Verbs: word, arguments, what for.
pub const VERBS: &[(&str, &str, &str)] = &[
    ("devices", "", "all devices"),
    ("device", "SERIAL", "one"),
    ("add-device", "SERIAL [USER PASSWORD]", "announces one; for connection requests: user name, password"),
    ("delete-device", "SERIAL", "forgets one with all that belongs to it"),
    ("account", "SERIAL USER PASSWORD", "sets user name and password for connection requests"),
    ("knock", "SERIAL", "asks a device for a session"),
    ("parameters", "SERIAL [PATH]", "the values last heard of"),
    ("queue", "SERIAL", "what waits for a device"),
    ("history", "SERIAL", "what a device has told"),
    ("get", "SERIAL NAME…", "GetParameterValues"),
    ("set", "SERIAL NAME=VALUE…", "SetParameterValues"),
    ("names", "SERIAL [PATH]", "GetParameterNames, one level"),
    ("attributes", "SERIAL NAME…", "GetParameterAttributes"),
    ("notify", "SERIAL NAME LEVEL", "SetParameterAttributes"),
    ("add", "SERIAL OBJECT", "AddObject"),
    ("del", "SERIAL OBJECT", "DeleteObject"),
    ("methods", "SERIAL", "GetRPCMethods"),
    ("reboot", "SERIAL", "Reboot"),
    ("factory-reset", "SERIAL", "FactoryReset"),
    (
        "download",
        "SERIAL TYPE FILE [USER PASSWORD]",
        "Download of a file that is here, with the ACS's credentials",
    ),
    ("upload", "SERIAL TYPE FILE [USER PASSWORD]", "Upload to here"),
    ("send", "SERIAL XML-FILE", "any message; - reads it from stdin"),
    ("tasks", "SERIAL", "what was queued for a device"),
    ("task", "ID", "one task"),
    ("withdraw", "ID", "takes a task back"),
    ("services", "", "all services"),
    (
        "service",
        "LUA-FILE [NAME]",
        "makes a service, or replaces it; with --variable, --description, --unavailable",
    ),
    ("delete-service", "ID", "removes a service with its instances"),
    ("instances", "[SERIAL]", "services on devices"),
    ("instance", "ID", "one"),
    (
        "attach",
        "SERIAL SERVICE-ID [NAME=VALUE…]",
        "a service to a device; values are texts, but for variables that it declares otherwise",
    ),
    ("run", "ID", "runs an instance now"),
    ("log", "ID", "what the script of an instance printed"),
    ("detach", "ID", "removes an instance"),
    ("credentials", "", "user names of CPEs"),
    ("credential", "USER PASSWORD", "makes or changes a credential"),
    ("delete-credential", "USER", "removes one"),
    ("files", "", "all files"),
    ("put", "FILE [NAME]", "keeps a file for Download"),
    ("fetch", "NAME", "writes a file to stdout"),
    ("delete-file", "NAME", "removes one"),
    ("scripts", "", "all scripts"),
    (
        "script",
        "LUA-FILE [NAME]",
        "starts a script of the Scripts environment, in the place of one that has ended",
    ),
    ("script-log", "NAME", "what a script printed"),
    ("start-script", "NAME", "starts one again"),
    ("stop-script", "NAME", "tells one to end"),
    ("delete-script", "NAME", "forgets one that has ended"),
    ("profiles", "", "all profiles"),
    ("profile", "NAME", "one: its hooks, and what they can do"),
    ("put-profile", "LUA-FILE [NAME]", "takes a profile"),
    ("delete-profile", "NAME", "forgets one"),
    ("hook", "PROFILE HOOK SERIAL [JSON…]", "calls one hook with these arguments"),
    ("fact", "PROFILE SERIAL WHAT", "what a profile knows by itself"),
    ("read", "PROFILE SERIAL WHAT", "reads something of a device with a profile"),
    ("write", "PROFILE SERIAL WHAT JSON", "writes something"),
    ("diagnose", "PROFILE SERIAL WHAT JSON", "runs a diagnostic and shows its result"),
    ("trace", "[SERIAL]", "every message of all sessions, or of one device, as they come, until interrupted"),
    ("openapi", "", "the description of the control"),
];

/// A call of the control.
struct Call {
    method: &'static str,
    path: String,
    body: Vec<u8>,
    wait: u32,
}

/// Where the control is, and its token.
struct Door {
    url: Url,
    token: String,
}

/// Runs one verb; `arguments` are those after `ctl`. 1 if the control refuses, 2 for a command line nobody understands.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (words, control, token_file, wait, about) = match parse(arguments) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => {
            let _ = write!(io::stdout().lock(), "{}", help());
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("rcwmpd: {why}\nrcwmpd: see rcwmpd mini-acs ctl --help");
            return ExitCode::from(2);
        }
    };
    let done = door(&control, token_file.as_deref()).and_then(|door| match words[0].as_str() {
        "trace" => trace(&door, words.get(1).map_or("", String::as_str)),
        "service" => perform(&door, &service(&words, about)?),
        "attach" => {
            let known = fetch(&door, &format!("services/{}", encoded(&words[2])))?;
            perform(&door, &attach(&words, &known)?)
        }
        _ => perform(&door, &call(&words, wait)?),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("rcwmpd mini-acs ctl: {why}");
            ExitCode::FAILURE
        }
    }
}

type Parsed = (Vec<String>, String, Option<String>, u32, Map<String, Json>);

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Parsed>, String> {
    let text = |error: lexopt::Error| error.to_string();
    let string = |value: OsString| value.into_string().map_err(|value| format!("{value:?} is not UTF-8"));
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut control = env("RCWMP_CONTROL").unwrap_or_else(|| DEFAULT.to_owned());
    let (mut words, mut token_file, mut wait) = (Vec::new(), None, WAIT);
    let (mut about, mut variables) = (Map::new(), Vec::new());
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(text)? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("control") => control = string(parser.value().map_err(text)?)?,
            Long("token-file") => token_file = Some(string(parser.value().map_err(text)?)?),
            Long("wait") => {
                let value = string(parser.value().map_err(text)?)?;
                wait = value.parse().ok().filter(|wait| *wait <= 300).ok_or("--wait: 0 to 300 seconds")?;
            }
            Long("variable") => variables.push(declared(&string(parser.value().map_err(text)?)?)?),
            Long("description") => {
                about.insert("description".to_owned(), json!(string(parser.value().map_err(text)?)?));
            }
            Long("unavailable") => {
                about.insert("available".to_owned(), json!(false));
            }
            Value(word) => words.push(string(word)?),
            other => return Err(other.unexpected().to_string()),
        }
    }
    let verb = words.first().ok_or("a verb is wanted")?;
    let (_, usage, _) =
        VERBS.iter().find(|(known, ..)| known == verb).ok_or_else(|| format!("there is no verb {verb}"))?;
    let least = usage.split(' ').filter(|word| !word.is_empty() && !word.contains(['[', ']'])).count();
    let most = if usage.contains('…') { usize::MAX } else { usage.split_whitespace().count() };
    if !(least..=most).contains(&(words.len() - 1)) {
        return Err(format!("usage: {verb} {usage}"));
    }
    if !variables.is_empty() {
        about.insert("variables".to_owned(), Json::Array(variables));
    }
    if verb != "service" && !about.is_empty() {
        return Err(format!("--variable, --description and --unavailable are for service, not for {verb}"));
    }
    Ok(Some((words, control, token_file, wait, about)))
}

/// A variable of a service: `NAME[:TYPE[:required[:DESCRIPTION]]]`.
fn declared(text: &str) -> Result<Json, String> {
    let mut parts = text.splitn(4, ':');
    let mut part = || parts.next().unwrap_or_default();
    let (name, kind, required, description) = (part(), part(), part(), part());
    if name.is_empty() || !matches!(kind, "" | "string" | "number" | "boolean") {
        return Err(format!("--variable: {text:?}: a name and string, number or boolean are wanted"));
    }
    if !matches!(required, "" | "required" | "optional") {
        return Err(format!("--variable: {text:?}: after the type comes required or optional"));
    }
    Ok(json!({ "name": name, "type": kind, "required": required == "required", "description": description }))
}

fn help() -> String {
    let mut out = format!(
        "rcwmpd mini-acs ctl [FLAG]… VERB [ARGUMENT]…: controls a running mini-ACS\n\n\
         \x20 --control ADDRESS      where its --control is (default RCWMP_CONTROL, else {DEFAULT})\n\
         \x20 --token-file FILE      the token (default: RCWMP_TOKEN)\n\
         \x20 --wait SECONDS         for the answer of a device (default {WAIT})\n\
         \x20 --variable NAME[:TYPE[:required[:DESCRIPTION]]]\n\
         \x20                        a variable of a service; TYPE is string, number or boolean\n\
         \x20 --description TEXT     of a service\n\
         \x20 --unavailable          no new instances of a service\n\n"
    );
    for (verb, arguments, what) in VERBS {
        out.push_str(&format!("  {:<40} {what}\n", format!("{verb} {arguments}").trim_end()));
    }
    out
}

fn door(control: &str, token_file: Option<&str>) -> Result<Door, String> {
    let port_only = control.strip_prefix(':').map(|port| format!("127.0.0.1:{port}"));
    let text = port_only.as_deref().unwrap_or(control);
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}/") };
    let url = Url::parse(&text).map_err(|error| format!("--control: {error}"))?;
    if url.tls {
        return Err("--control: the control speaks http".to_owned());
    }
    let token = match token_file {
        Some(file) => {
            let bytes =
                read_capped(Path::new(file), 4096).map_err(|error| format!("--token-file: {error}"))?;
            String::from_utf8(bytes).map_err(|_| format!("--token-file: {file} is not UTF-8"))?
        }
        None => std::env::var("RCWMP_TOKEN").map_err(|_| "no --token-file, and no RCWMP_TOKEN".to_owned())?,
    };
    Ok(Door { url, token: token.trim().to_owned() })
}

/// The call of a verb whose arguments are as many as they should be.
fn call(words: &[String], wait: u32) -> Result<Call, String> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let id = |at: usize| encoded(word(at));
    let (get, post, put, delete) = ("GET", "POST", "PUT", "DELETE");
    let simple = |method: &'static str, path: String| Call { method, path, body: Vec::new(), wait: 0 };
    let with = |method: &'static str, path: String, body: Json| Call {
        method,
        path,
        body: body.to_string().into_bytes(),
        wait: 0,
    };
    let device = |rest: &str| format!("devices/{}{rest}", id(1));
    let task = |body: Json| Call { wait, ..with(post, device(&format!("/tasks?wait={wait}")), body) };
    let method = |name: &str, arguments: Json| task(json!({ "method": name, "arguments": arguments }));
    let transfer = |name: &str| {
        method(
            name,
            json!({ "file_type": word(2), "file": word(3), "username": word(4), "password": word(5) }),
        )
    };
    Ok(match word(0) {
        "devices" | "services" | "credentials" | "files" => simple(get, word(0).to_owned()),
        "openapi" => simple(get, "openapi.json".to_owned()),
        "device" => simple(get, device("")),
        "delete-device" => simple(delete, device("")),
        "add-device" => {
            let mut body = json!({ "serial_number": word(1) });
            if words.len() > 2 {
                body["connection_request"] = json!({ "username": word(2), "password": word(3) });
            }
            with(post, "devices".to_owned(), body)
        }
        "account" => {
            with(put, device("/connection-request"), json!({ "username": word(2), "password": word(3) }))
        }
        "knock" => simple(post, device("/connection-request")),
        "parameters" => simple(get, device(&format!("/parameters?path={}", id(2)))),
        "queue" => simple(get, device("/queue")),
        "history" => simple(get, device("/history")),
        "tasks" => simple(get, device("/tasks")),
        "get" => method("GetParameterValues", json!({ "names": words[2..] })),
        "set" => method("SetParameterValues", json!({ "values": pairs(&words[2..], |text| json!(text))? })),
        "names" => method("GetParameterNames", json!({ "path": word(2), "next_level": true })),
        "attributes" => method("GetParameterAttributes", json!({ "names": words[2..] })),
        "notify" => {
            let level: i64 = word(3).parse().map_err(|_| format!("{:?} is no level", word(3)))?;
            let one = json!({ "name": word(2), "notification": level });
            method("SetParameterAttributes", json!({ "attributes": [one] }))
        }
        "add" => method("AddObject", json!({ "object": word(2) })),
        "del" => method("DeleteObject", json!({ "object": word(2) })),
        "methods" => method("GetRPCMethods", json!({})),
        "reboot" => method("Reboot", json!({})),
        "factory-reset" => method("FactoryReset", json!({})),
        "download" => transfer("Download"),
        "upload" => transfer("Upload"),
        "send" => {
            let bytes = contents(word(2), MAX_SCRIPT)?;
            let text = String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", word(2)))?;
            task(json!({ "message": text }))
        }
        "task" => simple(get, format!("tasks/{}", id(1))),
        "withdraw" => simple(delete, format!("tasks/{}", id(1))),
        "service" => service(words, Map::new())?,
        "delete-service" => simple(delete, format!("services/{}", id(1))),
        "instances" => simple(get, format!("instances?device={}", id(1))),
        "instance" => simple(get, format!("instances/{}", id(1))),
        "detach" => simple(delete, format!("instances/{}", id(1))),
        "run" => simple(post, format!("instances/{}/run", id(1))),
        "log" => simple(get, format!("instances/{}/log", id(1))),
        "attach" => attach(words, &Json::Null)?,
        "scripts" | "profiles" => simple(get, word(0).to_owned()),
        "script" | "put-profile" => {
            let text = String::from_utf8(contents(word(1), MAX_SCRIPT)?)
                .map_err(|_| format!("{} is not UTF-8", word(1)))?;
            let name = if words.len() > 2 { word(2).to_owned() } else { stem(word(1)) };
            let folder = if word(0) == "script" { "scripts" } else { "profiles" };
            with(put, format!("{folder}/{}", encoded(&name)), json!({ "text": text }))
        }
        "script-log" => simple(get, format!("scripts/{}/log", id(1))),
        "start-script" => simple(post, format!("scripts/{}/start", id(1))),
        "stop-script" => simple(post, format!("scripts/{}/stop", id(1))),
        "delete-script" => simple(delete, format!("scripts/{}", id(1))),
        "profile" => simple(get, format!("profiles/{}", id(1))),
        "delete-profile" => simple(delete, format!("profiles/{}", id(1))),
        "hook" => {
            let arguments: Vec<Json> =
                words[4..].iter().map(|text| of_json(text)).collect::<Result<_, _>>()?;
            let body = json!({ "serial_number": word(3), "arguments": arguments });
            Call { wait, ..with(post, format!("profiles/{}/hooks/{}", id(1), id(2)), body) }
        }
        "fact" | "read" | "write" | "diagnose" => {
            let mut body = json!({ "serial_number": word(2), "action": word(0), "what": word(3) });
            if words.len() > 4 {
                body["input"] = of_json(word(4))?;
            }
            // A diagnostic takes its time.
            Call { wait: wait.max(300), ..with(post, format!("profiles/{}/jobs", id(1)), body) }
        }
        "credential" => with(put, format!("credentials/{}", id(1)), json!({ "password": word(2) })),
        "delete-credential" => simple(delete, format!("credentials/{}", id(1))),
        "put" => {
            let name = if words.len() > 2 { word(2) } else { word(1).rsplit('/').next().unwrap_or_default() };
            let body = contents(word(1), MAX_FILE)?;
            Call { method: put, path: format!("files/{}", encoded(name)), body, wait: 0 }
        }
        "fetch" => simple(get, format!("files/{}", id(1))),
        "delete-file" => simple(delete, format!("files/{}", id(1))),
        other => return Err(format!("there is no verb {other}")),
    })
}

/// The call of `service`; `about` is what is told of it besides.
fn service(words: &[String], about: Map<String, Json>) -> Result<Call, String> {
    let file = words.get(1).map_or("", String::as_str);
    let script =
        String::from_utf8(contents(file, MAX_SCRIPT)?).map_err(|_| format!("{file} is not UTF-8"))?;
    let name = words.get(2).cloned().unwrap_or_else(|| stem(file));
    let mut body = about;
    body.insert("name".to_owned(), json!(name));
    body.insert("script".to_owned(), json!(script));
    let body = Json::Object(body).to_string().into_bytes();
    Ok(Call { method: "POST", path: "services".to_owned(), body, wait: 0 })
}

/// The call of `attach`; `service` is what the control knows of the service. What it declares as no number and no
/// boolean is a text, as it was typed.
fn attach(words: &[String], service: &Json) -> Result<Call, String> {
    let id: i64 = words[2].parse().map_err(|_| format!("{:?} is no id of a service", words[2]))?;
    let mut variables = pairs(&words[3..], |text| json!(text))?;
    for declared in service["variables"].as_array().into_iter().flatten() {
        let name = declared["name"].as_str().unwrap_or_default();
        let Some(value) = variables.get_mut(name) else { continue };
        let text = value.as_str().unwrap_or_default();
        let typed = match declared["type"].as_str() {
            Some("number") => serde_json::from_str::<serde_json::Number>(text).map(Json::Number).ok(),
            Some("boolean" | "bool") => text.parse().map(Json::Bool).ok(),
            _ => continue,
        };
        let kind = &declared["type"];
        *value =
            typed.ok_or_else(|| format!("{name}: {text:?} is no {}", kind.as_str().unwrap_or_default()))?;
    }
    let body = json!({ "serial_number": words[1], "service": id, "variables": variables });
    let body = body.to_string().into_bytes();
    Ok(Call { method: "POST", path: "instances".to_owned(), body, wait: 0 })
}

/// What the control has there.
fn fetch(door: &Door, path: &str) -> Result<Json, String> {
    let call = Call { method: "GET", path: path.to_owned(), body: Vec::new(), wait: 0 };
    let (status, _, body) = exchange(door, &call)?;
    let value: Json =
        serde_json::from_slice(&body).map_err(|error| format!("the answer is no JSON: {error}"))?;
    if status >= 400 {
        return Err(value["error"].as_str().unwrap_or("refused").to_owned());
    }
    Ok(value)
}

fn perform(door: &Door, call: &Call) -> Result<(), String> {
    let (status, kind, body) = exchange(door, call)?;
    let mut out = io::stdout().lock();
    let written = if kind == "application/octet-stream" && status == 200 {
        out.write_all(&body)
    } else {
        let value: Json = match body.as_slice() {
            [] => return if status < 400 { Ok(()) } else { Err(format!("status {status}")) },
            body => {
                serde_json::from_slice(body).map_err(|error| format!("the answer is no JSON: {error}"))?
            }
        };
        if status >= 400 {
            return Err(value["error"].as_str().unwrap_or("refused").to_owned());
        }
        let text = serde_json::to_string_pretty(&value).map_err(|error| error.to_string())?;
        let shown = writeln!(out, "{}", plain(&text));
        if value["status"] == "failed" && value["method"].is_string() {
            return Err(format!("{} failed", value["method"].as_str().unwrap_or_default()));
        }
        shown
    };
    is_read(written).map(|_| ())
}

/// Whether somebody still reads: one that has seen enough (`| head`) is no error.
fn is_read(written: io::Result<()>) -> Result<bool, String> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

/// Shows messages as they come, for ever.
fn trace(door: &Door, device: &str) -> Result<(), String> {
    let mut after = 0;
    loop {
        let path = format!("trace?after={after}&device={}&wait={TRACE_WAIT}", encoded(device));
        let call = Call { method: "GET", path, body: Vec::new(), wait: TRACE_WAIT };
        let (status, _, body) = exchange(door, &call)?;
        let messages: Vec<Json> = serde_json::from_slice(&body).unwrap_or_default();
        if status != 200 {
            return Err(format!("status {status}: {}", String::from_utf8_lossy(&body)));
        }
        for message in messages {
            after = message["id"].as_u64().unwrap_or(after).max(after);
            let text = |name: &str| plain(message[name].as_str().unwrap_or_default());
            let at = message["at"].as_u64().unwrap_or_default();
            let seconds = at / 1000;
            let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
            let time = format!("{hour:02}:{minute:02}:{second:02}.{:03}", at % 1000);
            let what = match message["status"].as_u64() {
                None => "→ ACS".to_owned(),
                Some(status) => format!("← ACS, status {status}"),
            };
            let (device, peer) = (text("device"), text("peer"));
            let shown =
                writeln!(io::stdout().lock(), "{time} UTC {device} ({peer}) {what}\n{}", text("text"));
            if !is_read(shown)? {
                return Ok(());
            }
        }
    }
}

/// One exchange over a connection of its own: status, type and body.
fn exchange(door: &Door, call: &Call) -> Result<(u16, String, Vec<u8>), String> {
    let place = format!("{}:{}", door.url.host, door.url.port);
    let told = |error: io::Error| format!("{place}: {error}");
    let mut stream = TcpStream::connect((door.url.host.as_str(), door.url.port)).map_err(told)?;
    let patience = PATIENCE + Duration::from_secs(call.wait.into());
    stream.set_read_timeout(Some(patience)).map_err(told)?;
    let head = format!(
        "{} /v1/{} HTTP/1.1\r\nHost: {place}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        call.method,
        call.path,
        door.token,
        call.body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&call.body)).map_err(told)?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).map_err(told)?;
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut headers);
    match parsed.parse(&answer) {
        Ok(httparse::Status::Complete(head)) => {
            let kind = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case("Content-Type"));
            let kind = kind.map_or_else(String::new, |kind| String::from_utf8_lossy(kind.value).into_owned());
            Ok((parsed.code.unwrap_or_default(), kind, answer.split_off(head)))
        }
        _ => Err(format!("{place} gave no whole answer")),
    }
}

/// `NAME=VALUE`s.
fn pairs(words: &[String], value: impl Fn(&str) -> Json) -> Result<Map<String, Json>, String> {
    words
        .iter()
        .map(|word| {
            let (name, text) = word.split_once('=').ok_or_else(|| format!("{word:?} is not NAME=VALUE"))?;
            Ok((name.to_owned(), value(text)))
        })
        .collect()
}

fn of_json(text: &str) -> Result<Json, String> {
    serde_json::from_str(text).map_err(|error| format!("{text:?} is no JSON: {error}"))
}

fn contents(file: &str, most: usize) -> Result<Vec<u8>, String> {
    if file != "-" {
        return read_capped(Path::new(file), most).map_err(|error| error.to_string());
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn stem(file: &str) -> String {
    Path::new(file)
        .file_stem()
        .map_or_else(|| "service".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// Text for a path or a query.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// Text without what a terminal would obey.
fn plain(text: &str) -> String {
    let shown =
        |c: char| if c.is_control() && c != '\n' { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Option<Parsed>, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn every_verb_has_its_call() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        for (verb, usage, _) in VERBS.iter().filter(|(verb, ..)| *verb != "trace") {
            let word = |word: &str| match word.trim_matches(['[', ']', '…']) {
                "LEVEL" | "SERVICE-ID" | "ID" => "1".to_owned(),
                "NAME=VALUE" => "a=b".to_owned(),
                "LUA-FILE" | "XML-FILE" => path.clone(),
                "FILE" if *verb == "put" => path.clone(),
                "JSON" => "{}".to_owned(),
                _ => "x/y".to_owned(),
            };
            let line = format!("{verb} {}", usage.split_whitespace().map(word).collect::<Vec<_>>().join(" "));
            let (words, ..) = of(&line).unwrap_or_else(|why| panic!("{line}: {why}")).unwrap();
            let call = call(&words, 1).unwrap_or_else(|why| panic!("{line}: {why}"));
            assert!(!call.path.contains("x/y"), "{}", call.path);
            assert!(help().contains(verb));
        }
    }

    #[test]
    fn values_stay_as_typed_unless_declared() {
        let variables = |words: &[&str], service: &Json| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let body = attach(&words, service)?.body;
            Ok::<_, String>(serde_json::from_slice::<Json>(&body).unwrap()["variables"].clone())
        };
        let line = [
            "attach",
            "SN1",
            "1",
            "pw=123456789012345678901234",
            "e=1e5",
            "t=true",
            "n=null",
            "q=\"x\"",
            "x={}",
        ];
        let as_typed = json!({ "pw": "123456789012345678901234", "e": "1e5", "t": "true", "n": "null",
            "q": "\"x\"", "x": "{}" });
        assert_eq!(variables(&line, &json!({ "variables": [] })), Ok(as_typed));
        let service = json!({ "variables": [{ "name": "n", "type": "number" }, { "name": "b", "type": "boolean" },
            { "name": "s", "type": "string" }] });
        let typed = json!({ "n": 12.5, "b": true, "s": "7" });
        assert_eq!(variables(&["attach", "SN1", "1", "n=12.5", "b=true", "s=7"], &service), Ok(typed));
        assert!(
            variables(&["attach", "SN1", "1", "n=x"], &service).unwrap_err().contains("\"x\" is no number")
        );
        assert!(variables(&["attach", "SN1", "1", "b=1"], &service).unwrap_err().contains("is no boolean"));
    }

    #[test]
    fn services_are_told_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = format!(
            "service {} wifi --variable n:number:required:how-many --variable s --description d --unavailable",
            file.path().display()
        );
        let (words, _, _, _, about) = of(&line).unwrap().unwrap();
        let body: Json = serde_json::from_slice(&service(&words, about).unwrap().body).unwrap();
        let variables = json!([
            { "name": "n", "type": "number", "required": true, "description": "how-many" },
            { "name": "s", "type": "", "required": false, "description": "" },
        ]);
        let expected = json!({ "name": "wifi", "script": "", "description": "d", "available": false,
            "variables": variables });
        assert_eq!(body, expected);
        for wrong in ["--variable n:int", "--variable :number", "--variable n:number:x"] {
            assert!(of(&format!("service x {wrong}")).is_err(), "{wrong}");
        }
        assert!(of("devices --unavailable").is_err());
    }

    #[test]
    fn wrong_lines() {
        for line in
            ["", "nonsense", "device", "device a b", "get a", "--nonsense x", "--wait 301 devices", "set a"]
        {
            assert!(of(line).is_err(), "{line}");
        }
        assert_eq!(of("--help").unwrap(), None);
        let (words, control, token, wait, _) =
            of("--control :1 --token-file f --wait 5 add-device S").unwrap().unwrap();
        assert_eq!((words.len(), control.as_str(), token.as_deref(), wait), (2, ":1", Some("f"), 5));
        assert!(call(&["set".into(), "s".into(), "x".into()], 1).is_err());
        assert!(door("https://x/", Some("/nonexistent")).is_err());
    }
}
