//! `kill -9` while the mini-ACS acknowledges: what it has acknowledged is in the store of the next one.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/cpe.rs"]
mod cpe;
#[path = "support/mini_acs.rs"]
mod mini_acs;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cpe::{Cpe, octets};
use mini_acs::MiniAcs;
use rcwmp::cwmp::event::EventCode;
use rcwmp::cwmp::rpc::{Message, Request, TransferComplete, UNKNOWN_TIME};
use rcwmp::cwmp::session::Close;
use rcwmp::http::auth::md5_key;
use rcwmp::http::client::{self, Post};
use rcwmp::lab::lua::service::Variables;
use rcwmp::lab::store::{Definition, Progress, REALM, Status, Store};
use serde_json::{Value as Json, json};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// How often it is killed.
const ROUNDS: u32 = 5;
/// For one round, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// One whose store is in the folder.
fn start(folder: &Path) -> MiniAcs {
    std::fs::write(folder.join("token"), TOKEN).unwrap();
    MiniAcs::start_in(folder, &["--db", folder.join("acs.db").to_str().unwrap()])
}

/// One call of the control; `None` if the ACS is gone.
fn call(control: &str, method: &str, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let host = control.strip_prefix("http://")?.trim_end_matches('/');
    let mut stream = TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let head = format!(
        "{method} /v1/{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let status = std::str::from_utf8(&answer[9..12]).ok()?.parse().ok()?;
    Some((status, answer.split_off(end + 4)))
}

/// What is written again and again.
struct Written<T> {
    /// The last that was acknowledged.
    acknowledged: Option<T>,
    /// What was asked for after it: it may be done though the answer never came.
    asked: Vec<T>,
}

impl<T> Default for Written<T> {
    fn default() -> Written<T> {
        Written { acknowledged: None, asked: Vec::new() }
    }
}

impl<T: Clone + PartialEq> Written<T> {
    fn ask(&mut self, value: &T) {
        self.asked.push(value.clone());
    }

    fn acknowledge(&mut self, value: &T) {
        self.asked.clear();
        self.acknowledged = Some(value.clone());
    }

    /// Whether it may be this that is found; nothing, only if nothing was ever acknowledged.
    fn allows(&self, found: Option<&T>) -> bool {
        match found {
            None => self.acknowledged.is_none(),
            found => found == self.acknowledged.as_ref() || self.asked.iter().any(|one| Some(one) == found),
        }
    }
}

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    devices: Vec<String>,
    tasks: Vec<i64>,
    finished: Vec<i64>,
    credentials: BTreeMap<String, Written<String>>,
    files: BTreeMap<String, Written<Vec<u8>>>,
    informs: BTreeMap<String, Written<String>>,
    profiles: BTreeMap<String, Written<String>>,
    scripts: BTreeMap<String, Written<String>>,
    transfers: Vec<(String, String)>,
    bootstraps: Vec<i64>,
}

impl Acknowledged {
    /// How much there is of what grows in every round.
    fn counts(&self) -> [(&'static str, usize); 5] {
        [
            ("devices", self.devices.len()),
            ("tasks", self.tasks.len()),
            ("transfers", self.transfers.len()),
            ("bootstraps", self.bootstraps.len()),
            ("finished", self.finished.len()),
        ]
    }
}

/// Asks for things until the ACS is gone. `number` is this worker's, and none of another's is touched.
fn work(url: &str, control: &str, round: u32, number: u32, all: &Mutex<Acknowledged>) {
    for count in 0_u32.. {
        let name = format!("R{round}W{number}C{count}");
        let done = match number {
            0 => devices_and_tasks(control, &name, all),
            1 => secrets_and_files(control, &name, all),
            2 => informs(url, &name, all),
            3 => lua(control, &name, all),
            _ => bootstrap(url, control, &name, all),
        };
        if done.is_none() {
            return;
        }
    }
}

fn devices_and_tasks(control: &str, name: &str, all: &Mutex<Acknowledged>) -> Option<()> {
    let body = json!({ "serial_number": name }).to_string();
    let (status, _) = call(control, "POST", "devices", body.as_bytes())?;
    assert_eq!(status, 201);
    all.lock().unwrap().devices.push(name.to_owned());
    for key in ["a", "b"] {
        let body = json!({ "method": "Reboot", "arguments": { "command_key": format!("{name}{key}") } });
        let (status, answer) =
            call(control, "POST", &format!("devices/{name}/tasks"), body.to_string().as_bytes())?;
        assert_eq!(status, 202, "{}", String::from_utf8_lossy(&answer));
        let task: Json = serde_json::from_slice(&answer).unwrap();
        all.lock().unwrap().tasks.push(task["id"].as_i64().unwrap());
    }
    Some(())
}

fn secrets_and_files(control: &str, name: &str, all: &Mutex<Acknowledged>) -> Option<()> {
    all.lock().unwrap().credentials.entry("user".into()).or_default().ask(&name.to_owned());
    let body = json!({ "password": name }).to_string();
    let (status, _) = call(control, "PUT", "credentials/user", body.as_bytes())?;
    assert_eq!(status, 204);
    all.lock().unwrap().credentials.get_mut("user").unwrap().acknowledge(&name.to_owned());
    let content = name.repeat(20_000).into_bytes();
    all.lock().unwrap().files.entry("firmware".into()).or_default().ask(&content);
    let (status, _) = call(control, "PUT", "files/firmware", &content)?;
    assert_eq!(status, 204);
    all.lock().unwrap().files.get_mut("firmware").unwrap().acknowledge(&content);
    Some(())
}

fn lua(control: &str, name: &str, all: &Mutex<Acknowledged>) -> Option<()> {
    let text = format!("function get_vendor() return '{name}', nil end");
    all.lock().unwrap().profiles.entry("p".into()).or_default().ask(&text);
    let (status, _) = call(control, "PUT", "profiles/p", json!({ "text": text }).to_string().as_bytes())?;
    assert_eq!(status, 204);
    all.lock().unwrap().profiles.get_mut("p").unwrap().acknowledge(&text);
    let text = format!("print('{name}')");
    all.lock().unwrap().scripts.entry(name.into()).or_default().ask(&text);
    let body = json!({ "text": text }).to_string();
    let (status, answer) = call(control, "PUT", &format!("scripts/{name}"), body.as_bytes())?;
    match status {
        202 => all.lock().unwrap().scripts.get_mut(name).unwrap().acknowledge(&text),
        // There are as many as there may be.
        _ => assert_eq!(status, 400, "{}", String::from_utf8_lossy(&answer)),
    }
    thread::sleep(Duration::from_millis(20));
    Some(())
}

fn informs(url: &str, name: &str, all: &Mutex<Acknowledged>) -> Option<()> {
    let version = "Device.DeviceInfo.SoftwareVersion";
    let mut cpe = Cpe::new(url, "INFORMER");
    cpe.tree.insert(version.into(), name.to_owned());
    let mut http = client::Session::new(cpe.settings.clone()).ok()?;
    all.lock().unwrap().informs.entry("INFORMER".into()).or_default().ask(&name.to_owned());
    let inform = Message::Request(Request::Inform(Box::new(cpe.inform(EventCode::Periodic))));
    http.post(Post::Soap(&octets(inform, "1"))).ok()?;
    all.lock().unwrap().informs.get_mut("INFORMER").unwrap().acknowledge(&name.to_owned());
    let complete = TransferComplete {
        command_key: name.to_owned(),
        fault_code: 0,
        fault_string: String::new(),
        start_time: UNKNOWN_TIME.into(),
        complete_time: UNKNOWN_TIME.into(),
    };
    http.post(Post::Soap(&octets(Message::Request(Request::TransferComplete(complete)), "2"))).ok()?;
    all.lock().unwrap().transfers.push(("INFORMER".into(), name.to_owned()));
    http.post(Post::Empty).ok().map(drop)
}

fn bootstrap(url: &str, control: &str, name: &str, all: &Mutex<Acknowledged>) -> Option<()> {
    let body = json!({ "serial_number": name }).to_string();
    call(control, "POST", "devices", body.as_bytes())?;
    let body = json!({ "serial_number": name, "service": 1 }).to_string();
    let (status, answer) = call(control, "POST", "instances", body.as_bytes())?;
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&answer));
    let instance: Json = serde_json::from_slice(&answer).unwrap();
    let body = json!({ "method": "GetParameterValues", "arguments": { "names": ["Device."] } }).to_string();
    let (_, answer) = call(control, "POST", &format!("devices/{name}/tasks"), body.as_bytes())?;
    let task: Json = serde_json::from_slice(&answer).unwrap();
    let mut cpe = Cpe::new(url, name);
    let mut http = client::Session::new(cpe.settings.clone()).ok()?;
    let inform = Message::Request(Request::Inform(Box::new(cpe.inform(EventCode::Bootstrap))));
    http.post(Post::Soap(&octets(inform, "1"))).ok()?;
    all.lock().unwrap().bootstraps.push(instance["id"].as_i64().unwrap());
    drop(http);
    // All of a session: what was queued for it was answered, and the answer taken.
    if cpe.session(EventCode::Boot).ok()? == Close::Success
        && cpe.done.iter().any(|one| one.starts_with("GetP"))
    {
        all.lock().unwrap().finished.push(task["id"].as_i64().unwrap());
    }
    Some(())
}

/// A look at a store from which something that was acknowledged is gone: it must not pass.
#[test]
fn a_loss_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acs.db");
    drop(Store::open(&path).unwrap());
    let refused = |fill: fn(&mut Acknowledged)| {
        let mut all = Acknowledged::default();
        fill(&mut all);
        std::panic::catch_unwind(|| check(&path, &all)).is_err()
    };
    assert!(!refused(|all| all.credentials.entry("u".into()).or_default().ask(&"p".to_owned())));
    assert!(refused(|all| all.credentials.entry("u".into()).or_default().acknowledge(&"p".to_owned())));
    assert!(refused(|all| all.files.entry("f".into()).or_default().acknowledge(&vec![1])));
    assert!(refused(|all| all.informs.entry("SN".into()).or_default().acknowledge(&"1".to_owned())));
    assert!(refused(|all| all.profiles.entry("p".into()).or_default().acknowledge(&"x".to_owned())));
    assert!(refused(|all| all.scripts.entry("s".into()).or_default().acknowledge(&"x".to_owned())));
}

#[test]
fn nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acs.db");
    let script = "sleep(0.02) set_provisioning_status('provisioned')";
    let definition =
        Definition { name: "s".into(), script: script.into(), available: true, ..Definition::default() };
    assert_eq!(Store::open(&path).unwrap().put_definition(&definition), Ok(1));
    let all = Arc::new(Mutex::new(Acknowledged::default()));
    for round in 0..ROUNDS {
        let mut acs = start(folder.path());
        let workers: Vec<_> = (0..5)
            .map(|number| {
                let (url, control, all) = (acs.url.clone(), acs.control.clone(), Arc::clone(&all));
                thread::spawn(move || work(&url, &control, round, number, &all))
            })
            .collect();
        // However slow the machine is: something of each kind in every round, and then a bit more.
        let (before, start) = (all.lock().unwrap().counts(), Instant::now());
        while all.lock().unwrap().counts().iter().zip(before).any(|(now, before)| now.1 == before.1) {
            assert!(start.elapsed() < PATIENCE, "round {round} has no more than {before:?}");
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(Duration::from_millis(130 * u64::from(round)));
        // SIGKILL, in the middle of things.
        acs.kill();
        for worker in workers {
            worker.join().unwrap();
        }
        check(&path, &all.lock().unwrap());
    }
    let all = all.lock().unwrap();
    let scripts = all.scripts.values().filter(|one| one.acknowledged.is_some()).count();
    for (what, count) in all.counts().into_iter().chain([("scripts", scripts)]) {
        assert!(count >= 3, "only {count} {what} were acknowledged");
    }
    the_queue_goes_on(folder.path(), &all.devices[0]);
}

fn check(path: &Path, all: &Acknowledged) {
    let store = Store::open(path).unwrap();
    for device in &all.devices {
        assert!(store.device(device).unwrap().is_some(), "device {device}");
    }
    for task in &all.tasks {
        assert_eq!(store.task(*task).unwrap().expect("a task").progress, Progress::Queued);
    }
    for task in &all.finished {
        assert_eq!(store.task(*task).unwrap().expect("a task").progress, Progress::Done);
    }
    for (user, passwords) in &all.credentials {
        let keys = |password: &String| md5_key(user, REALM, password);
        let expected = Written {
            acknowledged: passwords.acknowledged.as_ref().map(keys),
            asked: passwords.asked.iter().map(keys).collect(),
        };
        assert!(expected.allows(store.credential(user).unwrap().as_ref()), "the credential of {user}");
    }
    for (name, contents) in &all.files {
        assert!(contents.allows(store.file(name).unwrap().as_ref()), "the file {name}");
    }
    for (device, versions) in &all.informs {
        let found = store.value(device, "Device.DeviceInfo.SoftwareVersion").unwrap();
        assert!(versions.allows(found.as_ref()), "the value of {device} is {found:?}");
    }
    for (name, texts) in &all.profiles {
        let kept = store.kept_profiles().unwrap();
        let found = kept.iter().find(|one| one.name == *name).map(|one| &one.text);
        assert!(texts.allows(found), "the profile {name} is {found:?}");
    }
    let scripts = store.kept_scripts().unwrap();
    for (name, texts) in &all.scripts {
        let found = scripts.iter().find(|one| one.name == *name).map(|one| &one.text);
        assert!(texts.allows(found), "the script {name} is {found:?}");
    }
    let told: Vec<String> = store.history("INFORMER").unwrap().into_iter().map(|one| one.text).collect();
    // The history is bounded.
    for (_, key) in all.transfers.iter().rev().take(200) {
        assert!(told.iter().any(|text| text.contains(key)), "TransferComplete {key}");
    }
    for id in &all.bootstraps {
        let instance = store.instance(*id).unwrap().expect("an instance");
        assert!(instance.due || instance.status != Status::Pending, "a BOOTSTRAP is forgotten: {instance:?}");
    }
}

/// What was queued before a crash reaches its device after it, in order; so does a service that was due.
fn the_queue_goes_on(folder: &Path, device: &str) {
    let instance = {
        let store = Store::open(&folder.join("acs.db")).unwrap();
        let id = store.create_instance(device, 1, &Variables::new()).unwrap();
        assert_eq!(store.make_due(id), Ok(true));
        id
    };
    let acs = start(folder);
    let mut cpe = Cpe::new(&acs.url, device);
    assert_eq!(cpe.session(EventCode::Periodic), Ok(Close::Success));
    assert_eq!(cpe.done, [format!("Reboot {device}a"), format!("Reboot {device}b")]);
    let (_, answer) = call(&acs.control, "GET", &format!("devices/{device}/tasks"), b"").unwrap();
    let tasks: Json = serde_json::from_slice(&answer).unwrap();
    assert!(tasks.as_array().unwrap().iter().all(|task| task["status"] == "done"), "{tasks}");
    let (_, answer) = call(&acs.control, "GET", &format!("instances/{instance}"), b"").unwrap();
    let instance: Json = serde_json::from_slice(&answer).unwrap();
    assert_eq!(instance["status"], "provisioned", "{instance}");
}
