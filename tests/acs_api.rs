//! The control of the mini-ACS: held against its own description, and used from the shell.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/cpe.rs"]
mod cpe;
#[path = "support/mini_acs.rs"]
mod mini_acs;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cpe::Cpe;
use mini_acs::MiniAcs;
use rcwmp::cwmp::event::EventCode;
use rcwmp::cwmp::session::Close;
use rcwmp::lab::acs::guard::Auth;
use rcwmp::lab::acs::office::{MAX_QUEUE, Office, Settings};
use rcwmp::lab::acs::profiles::{BUILT_IN, Profiles};
use rcwmp::lab::acs::quirks::Quirks;
use rcwmp::lab::acs::scripts::Scripts;
use rcwmp::lab::acs::server::Server;
use rcwmp::lab::api::{Control, DESCRIPTION, Parts};
use rcwmp::lab::store::Store;
use serde_json::{Value as Json, json};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A server with its control, and what was seen of the description.
struct Lab {
    control: Control,
    server: Server,
    description: Json,
    seen: BTreeSet<(String, String, String)>,
}

impl Lab {
    fn new() -> Lab {
        let scripts = Scripts::new();
        // A device that does not answer is not waited for too long.
        let settings = Settings { answer: Duration::from_secs(2), ..Settings::default() };
        let office = Office::new(Store::in_memory().unwrap(), scripts.watch(Box::new(())), settings);
        scripts.attach(&office);
        let profiles = Profiles::new(&office, &scripts);
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = Server::start(Arc::clone(&office), listen, Auth::None, Quirks::default()).unwrap();
        let parts = Parts { office, scripts, profiles, acs: server.url() };
        let control = Control::start(parts, listen, TOKEN.to_owned()).unwrap();
        Lab {
            control,
            server,
            description: serde_json::from_str(DESCRIPTION).unwrap(),
            seen: BTreeSet::new(),
        }
    }

    /// A call of a described operation, whose answer is as described.
    #[track_caller]
    fn call(&mut self, method: &str, path: &str, arguments: &str, body: Option<&Json>, status: u16) -> Json {
        let octets = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let (found, kind, answer) = self.exchange(method, path, arguments, &octets, Some(TOKEN));
        assert_eq!(found, status, "{method} {path} {arguments}: {}", String::from_utf8_lossy(&answer));
        if let (Some(body), 200..=299) = (body, status) {
            let content = &self.operation(method, path)["requestBody"]["content"];
            if content.get("application/octet-stream").is_none() {
                let schema = &content["application/json"]["schema"];
                self.check(body, schema, &format!("what {method} {path} is sent"));
            }
        }
        self.judge(method, path, found, &kind, &answer)
    }

    /// An answer against the description; gives it as JSON.
    #[track_caller]
    fn judge(&mut self, method: &str, path: &str, status: u16, kind: &str, answer: &[u8]) -> Json {
        let operation = self.operation(method, path).clone();
        let response = &operation["responses"][status.to_string()];
        assert!(response.is_object(), "{method} {path} does not describe {status}");
        self.seen.insert((method.to_lowercase(), path.to_owned(), status.to_string()));
        match response.get("content") {
            None => {
                assert_eq!(answer, b"", "{method} {path}");
                Json::Null
            }
            Some(content) if content.get("application/octet-stream").is_some() => {
                assert_eq!(kind, "application/octet-stream");
                Json::String(String::from_utf8_lossy(answer).into_owned())
            }
            Some(content) => {
                assert_eq!(kind, "application/json");
                let value: Json = serde_json::from_slice(answer).unwrap();
                self.check(
                    &value,
                    &content["application/json"]["schema"],
                    &format!("{method} {path} {status}"),
                );
                value
            }
        }
    }

    fn operation(&self, method: &str, path: &str) -> &Json {
        let found = &self.description["paths"][path][method.to_lowercase()];
        assert!(found.is_object(), "{method} {path} is not described");
        found
    }

    /// A value against a schema; only what our description uses of JSON Schema.
    #[track_caller]
    fn check(&self, value: &Json, schema: &Json, at: &str) {
        for word in schema.as_object().unwrap_or_else(|| panic!("{at}: no schema")).keys() {
            let known = [
                "$ref",
                "type",
                "properties",
                "required",
                "additionalProperties",
                "items",
                "enum",
                "description",
                "format",
                "minimum",
                "maximum",
            ];
            assert!(known.contains(&word.as_str()), "{at}: {word} is not looked at");
        }
        if let Some(name) = schema.get("$ref") {
            let name = name.as_str().unwrap().strip_prefix("#/components/schemas/").unwrap();
            return self.check(
                value,
                &self.description["components"]["schemas"][name],
                &format!("{at} {name}"),
            );
        }
        let is = |kind: &str| match kind {
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{at}: type {other}"),
        };
        match schema.get("type") {
            None => {}
            Some(Json::String(kind)) => assert!(is(kind), "{at}: {value} is no {kind}"),
            Some(kinds) => {
                let kinds = kinds.as_array().unwrap();
                assert!(
                    kinds.iter().any(|kind| is(kind.as_str().unwrap())),
                    "{at}: {value} is none of {kinds:?}"
                );
            }
        }
        if let Some(words) = schema.get("enum").and_then(Json::as_array) {
            assert!(words.contains(value), "{at}: {value} is none of {words:?}");
        }
        if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
            for one in list {
                self.check(one, items, at);
            }
        }
        let (Some(members), Some(properties)) = (value.as_object(), schema.get("properties")) else { return };
        for name in schema["required"].as_array().unwrap() {
            assert!(members.contains_key(name.as_str().unwrap()), "{at}: no {name} in {value}");
        }
        for (name, member) in members {
            assert!(properties.get(name).is_some(), "{at}: {name} is not described");
            self.check(member, &properties[name], &format!("{at} .{name}"));
        }
    }

    fn exchange(
        &self,
        method: &str,
        path: &str,
        arguments: &str,
        body: &[u8],
        token: Option<&str>,
    ) -> (u16, String, Vec<u8>) {
        let mut target = path.to_owned();
        let (values, query) = arguments.split_once('?').unwrap_or((arguments, ""));
        for value in values.split(' ').filter(|value| !value.is_empty()) {
            let (start, end) = (target.find('{').unwrap(), target.find('}').unwrap());
            target.replace_range(start..=end, value);
        }
        if !query.is_empty() {
            target += &format!("?{query}");
        }
        exchange(&self.control.url(), method, &target, body, token)
    }
}

fn exchange(
    url: &str,
    method: &str,
    target: &str,
    body: &[u8],
    token: Option<&str>,
) -> (u16, String, Vec<u8>) {
    let host = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    let token = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{token}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let kind = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap_or_default();
    (head[9..12].parse().unwrap(), kind.to_owned(), answer.split_off(end))
}

#[test]
fn the_description_is_true() {
    let mut lab = Lab::new();
    let described: BTreeSet<(String, String)> = lab.description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys().filter(|word| *word != "parameters");
            methods.map(|method| (method.clone(), path.clone())).collect::<Vec<_>>()
        })
        .collect();
    let served: BTreeSet<(String, String)> =
        Control::routes().map(|(method, path)| (method.to_lowercase(), path)).collect();
    assert_eq!(described, served, "what is described is what is served");

    // Without the token nothing is said.
    for (method, path) in &described {
        for token in [None, Some("wrong"), Some("")] {
            let (status, kind, answer) = lab.exchange(&method.to_uppercase(), path, "", b"{}", token);
            assert_eq!(status, 401);
            lab.judge(&method.to_uppercase(), path, 401, &kind, &answer);
        }
    }
    devices(&mut lab);
    services(&mut lab);
    the_rest(&mut lab);
    scripts(&mut lab);
    profiles(&mut lab);

    let every: BTreeSet<(String, String, String)> = described
        .iter()
        .flat_map(|(method, path)| {
            let responses = lab.description["paths"][path][method]["responses"].as_object().unwrap();
            responses.keys().map(|status| (method.clone(), path.clone(), status.clone())).collect::<Vec<_>>()
        })
        .collect();
    let unseen: Vec<_> = every.difference(&lab.seen).collect();
    assert!(unseen.is_empty(), "described and never seen: {unseen:?}");
    for (method, target, status) in
        [("GET", "/v1/nothing", 404), ("GET", "/", 404), ("PATCH", "/v1/devices", 405)]
    {
        assert_eq!(exchange(&lab.control.url(), method, target, b"", Some(TOKEN)).0, status, "{target}");
    }
}

fn devices(lab: &mut Lab) {
    let one = "/v1/devices/{serial}";
    lab.call("GET", "/v1/openapi.json", "", None, 200);
    let account = json!({ "username": "u", "password": "geheim" });
    let new = json!({ "serial_number": "SN/1", "connection_request": account });
    let device = lab.call("POST", "/v1/devices", "", Some(&new), 201);
    assert_eq!((&device["presence"], &device["first_contact"]), (&json!("offline"), &Json::Null));
    for bad in [json!({}), json!({ "serial_number": "" }), json!({ "serial_number": "a", "more": 1 })] {
        lab.call("POST", "/v1/devices", "", Some(&bad), 400);
    }
    let requests = "/v1/devices/{serial}/connection-request";
    lab.call("PUT", requests, "SN%2F1", Some(&account), 204);
    lab.call("PUT", requests, "SN%2F1", Some(&json!({})), 400);
    lab.call("PUT", requests, "SN2", Some(&account), 404);
    lab.call("POST", requests, "SN%2F1", None, 202);
    lab.call("POST", requests, "SN2", None, 404);

    // Queued, done in a session, and read again.
    let tasks = "/v1/devices/{serial}/tasks";
    let method = |name: &str, arguments: Json| json!({ "method": name, "arguments": arguments });
    let version = "Device.DeviceInfo.SoftwareVersion";
    let names = method("GetParameterValues", json!({ "names": [version] }));
    let asked = lab.call("POST", tasks, "SN%2F1", Some(&names), 202);
    let values = json!({ "values": { version: "2.0", "Device.DeviceInfo.Nothing": { "value": "1", "type": "xsd:int" } } });
    let set = lab.call("POST", tasks, "SN%2F1", Some(&method("SetParameterValues", values)), 202);
    let message = "<soap:Envelope><soap:Body><cwmp:Reboot><CommandKey>k</CommandKey></cwmp:Reboot></soap:Body></soap:Envelope>";
    lab.call("POST", tasks, "SN%2F1", Some(&json!({ "message": message })), 202);
    let taken = lab.call("POST", tasks, "SN%2F1", Some(&method("FactoryReset", json!({}))), 202);
    for bad in [
        json!({}),
        json!({ "message": message, "method": "Reboot" }),
        json!({ "message": "<x/>" }),
        method("Nonsense", json!({})),
        method("Reboot", json!({ "more": 1 })),
        method("Download", json!({ "file_type": "1 Firmware Upgrade Image", "file": "none" })),
    ] {
        lab.call("POST", tasks, "SN%2F1", Some(&bad), 400);
    }
    lab.call("POST", tasks, "SN2", Some(&names), 404);
    let task = "/v1/tasks/{id}";
    let id = |task: &Json| task["id"].to_string();
    assert_eq!(
        lab.call("GET", "/v1/devices/{serial}/queue", "SN%2F1", None, 200).as_array().unwrap().len(),
        4
    );
    lab.call("DELETE", task, &id(&taken), None, 204);
    lab.call("DELETE", task, &id(&taken), None, 409);
    lab.call("DELETE", task, "999", None, 404);
    lab.call("DELETE", task, "x", None, 400);
    let mut cpe = Cpe::new(&lab.server.url(), "SN/1");
    assert_eq!(cpe.session(EventCode::Bootstrap), Ok(Close::Success));
    assert_eq!(cpe.done.len(), 3, "{:?}", cpe.done);
    assert!(cpe.done[2] == "Reboot k", "{:?}", cpe.done);
    let asked = lab.call("GET", task, &format!("{}?wait=5", id(&asked)), None, 200);
    assert_eq!(asked["result"]["values"], json!([{ "name": version, "value": "1.0", "type": "xsd:string" }]));
    let set = lab.call("GET", task, &id(&set), None, 200);
    assert_eq!((&set["status"], &set["result"]["fault"]["code"]), (&json!("failed"), &json!(9005)));
    lab.call("GET", task, "999", None, 404);
    lab.call("GET", task, "-", None, 400);
    assert_eq!(lab.call("GET", tasks, "SN%2F1", None, 200).as_array().unwrap().len(), 4);

    // One that is answered within the wait: the device is in a session just then.
    let url = lab.server.url();
    let cpe = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        Cpe::new(&url, "SN/1").session(EventCode::Periodic)
    });
    let done = lab.call("POST", tasks, "SN%2F1?wait=20", Some(&method("GetRPCMethods", json!({}))), 200);
    assert_eq!(done["result"]["methods"], json!(["Reboot"]));
    assert_eq!(cpe.join().unwrap(), Ok(Close::Success));

    let device = lab.call("GET", one, "SN%2F1", None, 200);
    assert_eq!((&device["version"], &device["queued"]), (&json!("1.0"), &json!(0)));
    assert!(!device.to_string().contains("geheim"), "passwords are not shown");
    let values =
        lab.call("GET", "/v1/devices/{serial}/parameters", "SN%2F1?path=Device.DeviceInfo.", None, 200);
    assert_eq!(values.as_array().unwrap().len(), 1, "{values}");
    let history = lab.call("GET", "/v1/devices/{serial}/history", "SN%2F1", None, 200);
    assert_eq!(history[0]["text"], "0 BOOTSTRAP");
    assert_eq!(lab.call("GET", "/v1/devices", "", None, 200).as_array().unwrap().len(), 1);
    for below in ["", "/parameters", "/queue", "/history", "/tasks"] {
        lab.call("GET", &format!("{one}{below}"), "SN2", None, 404);
    }

    // A queue has an end.
    lab.call("POST", "/v1/devices", "", Some(&json!({ "serial_number": "FULL" })), 201);
    for _ in 0..MAX_QUEUE {
        lab.call("POST", tasks, "FULL", Some(&names), 202);
    }
    lab.call("POST", tasks, "FULL", Some(&names), 409);
    lab.call("DELETE", one, "FULL", None, 204);
    lab.call("DELETE", one, "FULL", None, 404);
}

fn services(lab: &mut Lab) {
    let (all, one) = ("/v1/services", "/v1/services/{id}");
    let variables = json!([{ "name": "a", "type": "string", "required": true }]);
    let script = "print(get_variable_value('a')) sleep(1) set_provisioning_status('provisioned')";
    let service = json!({ "name": "s", "script": script, "variables": variables });
    let service = lab.call("POST", all, "", Some(&service), 201);
    lab.call("POST", all, "", Some(&json!({ "name": "", "script": "" })), 400);
    assert_eq!(lab.call("GET", all, "", None, 200).as_array().unwrap().len(), 1);
    let id = service["id"].to_string();
    assert_eq!(lab.call("GET", one, &id, None, 200), service);
    lab.call("GET", one, "99", None, 404);
    lab.call("GET", one, "x", None, 400);

    let (many, single) = ("/v1/instances", "/v1/instances/{id}");
    let new = |variables: Json| json!({ "serial_number": "SN/1", "service": service["id"], "variables": variables });
    let instance = lab.call("POST", many, "", Some(&new(json!({ "a": "x" }))), 201);
    let refused = lab.call("POST", many, "", Some(&new(json!({}))), 400);
    assert_eq!(refused["error"], "Missing variable: a");
    let number = instance["id"].to_string();
    let run = "/v1/instances/{id}/run";
    lab.call("POST", run, &number, None, 202);
    wait_for(lab, &number, "running");
    lab.call("POST", run, &number, None, 409);
    lab.call("POST", run, "99", None, 404);
    lab.call("POST", run, "x", None, 400);
    wait_for(lab, &number, "provisioned");
    let log = lab.call("GET", "/v1/instances/{id}/log", &number, None, 200);
    assert!(log[0].as_str().unwrap().ends_with(" x"), "{log}");
    for (path, bad, status) in [("/log", "99", 404), ("/log", "x", 400), ("", "99", 404), ("", "x", 400)] {
        lab.call("GET", &format!("{single}{path}"), bad, None, status);
    }
    assert_eq!(lab.call("GET", many, "?device=SN%2F1", None, 200).as_array().unwrap().len(), 1);
    assert_eq!(lab.call("GET", many, "?device=SN2", None, 200), json!([]));
    for (status, id) in [(204, number.as_str()), (404, "99"), (400, "x")] {
        lab.call("DELETE", single, id, None, status);
    }
    for (status, id) in [(204, id.as_str()), (404, "99"), (400, "x")] {
        lab.call("DELETE", one, id, None, status);
    }
}

fn wait_for(lab: &mut Lab, instance: &str, status: &str) {
    let start = Instant::now();
    while lab.call("GET", "/v1/instances/{id}", instance, None, 200)["status"] != status {
        assert!(start.elapsed() < Duration::from_secs(20), "not {status}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn the_rest(lab: &mut Lab) {
    let (all, one) = ("/v1/credentials", "/v1/credentials/{username}");
    lab.call("PUT", one, "a%20b", Some(&json!({ "password": "p" })), 204);
    lab.call("PUT", one, "a%3Ab", Some(&json!({ "password": "p" })), 400);
    assert_eq!(lab.call("GET", all, "", None, 200)[0]["username"], "a b");
    lab.call("DELETE", one, "a%20b", None, 204);
    lab.call("DELETE", one, "a%20b", None, 404);

    let (all, one) = ("/v1/files", "/v1/files/{name}");
    lab.call("PUT", one, "fw.bin", Some(&json!("octets")), 204);
    lab.call("PUT", one, ".hidden", None, 400);
    assert_eq!(lab.call("GET", one, "fw.bin", None, 200), json!("\"octets\""));
    lab.call("GET", one, "none", None, 404);
    let files = lab.call("GET", all, "", None, 200);
    assert_eq!(files[0]["url"], format!("{}files/fw.bin", lab.server.url()));
    let download = json!({ "method": "Download", "arguments": { "file_type": "1 Firmware Upgrade Image", "file": "fw.bin" } });
    lab.call("POST", "/v1/devices/{serial}/tasks", "SN%2F1", Some(&download), 202);
    lab.call("DELETE", one, "fw.bin", None, 204);
    lab.call("DELETE", one, "fw.bin", None, 404);

    let trace = lab.call("GET", "/v1/trace", "?device=SN%2F1", None, 200);
    let first = &trace[0];
    assert_eq!((&first["device"], &first["status"]), (&json!("SN/1"), &Json::Null));
    assert!(first["text"].as_str().unwrap().contains("0 BOOTSTRAP"), "{first}");
    assert!(trace.as_array().unwrap().iter().any(|one| one["status"] == 204));
    let last = trace.as_array().unwrap().last().unwrap()["id"].as_i64().unwrap();
    assert_eq!(lab.call("GET", "/v1/trace", &format!("?after={last}&device=SN2"), None, 200), json!([]));
    lab.call("GET", "/v1/trace", "?after=-1", None, 400);
    lab.call("GET", "/v1/trace", "?wait=301", None, 400);
}

fn scripts(lab: &mut Lab) {
    let (one, all) = ("/v1/scripts/{name}", "/v1/scripts");
    let text = json!({ "text": "print('hello') sleep(3600)" });
    let script = lab.call("PUT", one, "a%20b", Some(&text), 202);
    assert_eq!((&script["name"], &script["state"]), (&json!("a b"), &json!("running")));
    lab.call("PUT", one, "a%20b", Some(&text), 409);
    lab.call("PUT", one, "x", Some(&json!({})), 400);
    assert_eq!(lab.call("GET", all, "", None, 200).as_array().unwrap().len(), 1);
    lab.call("DELETE", one, "a%20b", None, 409);
    lab.call("POST", "/v1/scripts/{name}/start", "a%20b", None, 409);
    lab.call("POST", "/v1/scripts/{name}/stop", "a%20b", None, 202);
    let ended = |lab: &mut Lab| {
        let start = Instant::now();
        while lab.call("GET", one, "a%20b", None, 200)["state"] != "stopped" {
            assert!(start.elapsed() < Duration::from_secs(20));
            thread::sleep(Duration::from_millis(10));
        }
    };
    ended(lab);
    assert_eq!(lab.call("GET", "/v1/scripts/{name}/log", "a%20b", None, 200)[0]["text"], "hello");
    lab.call("POST", "/v1/scripts/{name}/start", "a%20b", None, 202);
    lab.call("POST", "/v1/scripts/{name}/stop", "a%20b", None, 202);
    ended(lab);
    lab.call("DELETE", one, "a%20b", None, 204);
    lab.call("DELETE", one, "a%20b", None, 404);
    lab.call("GET", one, "x", None, 404);
    for (method, below) in [("POST", "/start"), ("POST", "/stop"), ("GET", "/log")] {
        lab.call(method, &format!("{one}{below}"), "x", None, 404);
    }
}

fn profiles(lab: &mut Lab) {
    let (one, all) = ("/v1/profiles/{name}", "/v1/profiles");
    let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == "tr098").unwrap();
    lab.call("PUT", one, "p", Some(&json!({ "text": text })), 204);
    lab.call("PUT", one, "q", Some(&json!({ "text": "x = 1" })), 400);
    lab.call("PUT", one, "small", Some(&json!({ "text": "function get_pon() error('broken') end" })), 204);
    assert_eq!(lab.call("GET", all, "", None, 200).as_array().unwrap().len(), 2);
    let profile = lab.call("GET", one, "p", None, 200);
    assert!(profile["abilities"]["read"].as_array().unwrap().contains(&json!("ssid")), "{profile}");
    lab.call("GET", one, "q", None, 404);
    let hook = "/v1/profiles/{name}/hooks/{hook}";
    let device = json!({ "serial_number": "SN/1" });
    let message = lab.call("POST", hook, "p get_ssid", Some(&device), 200);
    assert!(message["result"].as_str().unwrap().contains("GetParameterValues"), "{message}");
    lab.call("POST", hook, "p get_nothing", Some(&device), 404);
    lab.call("POST", hook, "small get_pon", Some(&device), 502);
    lab.call("POST", hook, "p get_ssid", Some(&json!({ "more": 1 })), 400);
    let job = |action: &str, what: &str| json!({ "serial_number": "SN/1", "action": action, "what": what });
    let jobs = "/v1/profiles/{name}/jobs";
    lab.call("POST", jobs, "p", Some(&job("read", "nothing")), 400);
    lab.call("POST", jobs, "small", Some(&job("read", "ssid")), 409);
    lab.call("POST", jobs, "q", Some(&job("read", "ssid")), 404);
    // Its connection-request port refuses.
    lab.call("POST", jobs, "p", Some(&job("read", "ssid")), 502);
    let url = lab.server.url();
    let fact = lab.call("POST", jobs, "p", Some(&job("fact", "capabilities")), 200);
    assert!(fact["result"].is_object(), "{fact} of {url}");
    lab.call("DELETE", one, "p", None, 204);
    lab.call("DELETE", one, "p", None, 404);
}

#[test]
fn only_on_loopback_and_with_a_token() {
    let office = Office::new(
        Store::in_memory().unwrap(),
        Box::new(()),
        Settings { allow_remote: true, ..Settings::default() },
    );
    let start = |listen: &str, token: &str| {
        let listen = listen.parse().unwrap();
        let (scripts, office) = (Scripts::new(), Arc::clone(&office));
        let profiles = Profiles::new(&office, &scripts);
        let parts = Parts { office, scripts, profiles, acs: String::new() };
        Control::start(parts, listen, token.to_owned()).map(drop).map_err(|error| error.to_string())
    };
    assert!(start("0.0.0.0:0", TOKEN).unwrap_err().contains("not a loopback address"));
    assert!(
        start("127.0.0.1:0", "short").unwrap_err().contains("sixteen")
            || start("127.0.0.1:0", "short").unwrap_err().contains("16")
    );
    assert_eq!(start("[::1]:0", TOKEN).map_err(|_| ()).unwrap_or(()), ());
}

#[test]
fn from_the_shell() {
    let acs = MiniAcs::start(&[]);
    let token = acs.folder.join("token");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&token).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    // The live trace, from before the first message.
    let traced = acs.folder.join("traced");
    let mut tracer =
        acs.ctl(&["trace", "SN1"]).stdout(std::fs::File::create(&traced).unwrap()).spawn().unwrap();

    acs.says(&["add-device", "SN1", "user", "password"]);
    assert_eq!(acs.json(&["device", "SN1"])["connection_request_username"], "user");
    acs.says(&["account", "SN1", "other", "password"]);
    let lua = acs.folder.join("greet.lua");
    std::fs::write(
        &lua,
        "print('hello ' .. get_variable_value('who')) set_provisioning_status('provisioned')",
    )
    .unwrap();
    let service = acs.json(&["service", lua.to_str().unwrap()]);
    assert_eq!(service["name"], "greet");
    let instance = acs.json(&["attach", "SN1", &service["id"].to_string(), "who=you"]);
    let task = acs.json(&["--wait", "0", "get", "SN1", "Device.DeviceInfo."]);
    assert_eq!(task["status"], "queued");
    let added = acs.json(&["--wait", "0", "add", "SN1", "Device.T."]);
    let unwanted = acs.json(&["--wait", "0", "reboot", "SN1"]);
    acs.says(&["withdraw", &unwanted["id"].to_string()]);
    assert_eq!(acs.json(&["queue", "SN1"]).as_array().unwrap().len(), 2);

    let mut cpe = Cpe::new(&acs.url, "SN1");
    assert_eq!(cpe.session(EventCode::Bootstrap), Ok(Close::Success));
    assert_eq!(cpe.done, ["GetParameterValues Device.DeviceInfo.", "AddObject Device.T."]);
    assert_eq!(acs.json(&["task", &added["id"].to_string()])["result"]["instance_number"], 1);
    assert_eq!(acs.json(&["tasks", "SN1"]).as_array().unwrap().len(), 3);
    assert_eq!(acs.json(&["parameters", "SN1", "Device.DeviceInfo."])[0]["value"], "1.0");
    assert_eq!(acs.json(&["history", "SN1"])[0]["method"], "Inform");
    assert!(acs.says(&["log", &instance["id"].to_string()]).contains(" hello you"));
    assert_eq!(acs.json(&["instances", "SN1"])[0]["status"], "provisioned");

    // A fault is a failure, with the fault on stdout.
    let waiting = acs
        .ctl(&["set", "SN1", "Device.Nothing=1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while acs.json(&["queue", "SN1"]).as_array().unwrap().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(cpe.session(EventCode::Periodic), Ok(Close::Success));
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("9005"), "{output:?}");

    let file = acs.folder.join("fw.bin");
    std::fs::write(&file, [0, 1, 2, 0xff]).unwrap();
    acs.says(&["put", file.to_str().unwrap()]);
    assert_eq!(acs.ctl(&["fetch", "fw.bin"]).output().unwrap().stdout, [0, 1, 2, 0xff]);
    assert_eq!(acs.json(&["files"])[0]["size"], 4);
    acs.says(&["delete-file", "fw.bin"]);
    acs.says(&["credential", "cpe", "secret"]);
    assert!(!acs.says(&["credentials"]).contains("secret"));
    acs.says(&["delete-credential", "cpe"]);
    assert_eq!(acs.json(&["openapi"])["openapi"], "3.1.0");

    assert!(acs.refuses(&["device", "SN2"]).contains("there is no such device"));
    assert!(acs.refuses(&["fetch", "none"]).contains("there is no such file"));
    let output = acs.ctl(&["nonsense"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    std::fs::write(acs.folder.join("token"), "another token of the right length").unwrap();
    assert!(acs.refuses(&["devices"]).contains("token"));

    let start = Instant::now();
    for word in [" UTC SN1 (127.0.0.1:", "0 BOOTSTRAP", ":GetParameterValues", "← ACS, status 204", "→ ACS"]
    {
        while !std::fs::read_to_string(&traced).unwrap().contains(word) {
            assert!(start.elapsed() < Duration::from_secs(20), "no {word} in the trace");
            thread::sleep(Duration::from_millis(20));
        }
    }
    let _ = tracer.kill();
    let _ = tracer.wait();
}
