//! A mini-ACS in this process, agents as child processes, and the examples of Oktopus' documents.
#![allow(dead_code, clippy::unwrap_used, clippy::disallowed_macros)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rcwmp::cwmp::event::{Event, EventCode};
use rcwmp::cwmp::rpc::{DeviceId, Inform, Message, ParameterValue, Request};
use rcwmp::cwmp::soap;
use rcwmp::cwmp::soap::envelope::{Envelope, Header, Namespace};
use rcwmp::lab::acs::guard::Auth;
use rcwmp::lab::acs::news::{News, Watcher};
use rcwmp::lab::acs::office::{Office, Settings};
use rcwmp::lab::acs::quirks::Quirks;
use rcwmp::lab::acs::scripts::{Scripts, State};
use rcwmp::lab::acs::server::Server;
use rcwmp::lab::lua::service::Variables;
use rcwmp::lab::lua::vm::Limits;
use rcwmp::lab::models::BUILT_IN;
use rcwmp::lab::router;
use rcwmp::lab::store::{Definition, Status, Store};
use rcwmp::model::value::{Kind, Value};

use super::agent::{Agent, Router};

/// An example of the documents, unless they are not here.
pub fn example(name: &str) -> Option<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/seeds/lua/");
    if !Path::new(path).exists() {
        println!("skipped: ../shared not present");
        return None;
    }
    Some(std::fs::read_to_string(format!("{path}{name}")).unwrap())
}

/// What happened, one line each.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Watcher for Notes {
    fn news(&self, news: &News<'_>) {
        let line = match news {
            News::Informed { inform, .. } => format!("informed {}", inform.device_id.serial_number),
            News::Answered { device, request, answer } => format!("{device} {request}: {answer:?}"),
            News::SessionOver { device, sent } => format!("over {device} {sent}"),
            News::Service { instance, status, reason, .. } => format!("service {instance} {status} {reason}"),
            News::Soap { .. } => return,
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Notes {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until a line with this start is there for the `count`th time.
    pub fn wait(&self, start: &str, count: usize) {
        let begun = Instant::now();
        while self.lines().iter().filter(|line| line.starts_with(start)).count() < count {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "no {start:?} in\n{}",
                self.lines().join("\n")
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The mini-ACS.
pub struct Acs {
    pub scripts: Arc<Scripts>,
    pub office: Arc<Office>,
    pub notes: Notes,
    pub server: Server,
    pub folder: tempfile::TempDir,
}

impl Acs {
    pub fn new() -> Acs {
        Acs::with(Settings::default())
    }

    /// One whose scripts may run so long.
    pub fn limited(time: Duration) -> Acs {
        Acs::with(Settings { limits: Limits { time, ..Limits::default() }, ..Settings::default() })
    }

    pub fn with(settings: Settings) -> Acs {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("acs.db")).unwrap();
        let (scripts, notes) = (Scripts::new(), Notes::default());
        let office = Office::new(store, scripts.watch(Box::new(notes.clone())), settings);
        scripts.attach(&office);
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = Server::start(office.clone(), listen, Auth::None, Quirks::default()).unwrap();
        Acs { scripts, office, notes, server, folder }
    }

    /// Makes the store refuse to keep credentials.
    pub fn break_credentials(&self) {
        let connection = rusqlite::Connection::open(self.folder.path().join("acs.db")).unwrap();
        connection.execute_batch("DROP TABLE credentials").unwrap();
    }

    /// Makes the store refuse to tell of devices.
    pub fn break_devices(&self) {
        self.sql("PRAGMA foreign_keys = 0; ALTER TABLE devices RENAME TO gone");
    }

    /// Makes it tell of them again.
    pub fn mend_devices(&self) {
        self.sql("PRAGMA foreign_keys = 0; ALTER TABLE gone RENAME TO devices");
    }

    /// Makes the store refuse to keep what services print.
    pub fn break_logs(&self) {
        self.sql("PRAGMA foreign_keys = 0; DROP TABLE instance_log");
    }

    /// Changes the store from outside.
    fn sql(&self, text: &str) {
        let connection = rusqlite::Connection::open(self.folder.path().join("acs.db")).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        // Or the references to a table that is renamed would go with it.
        connection.execute_batch(&format!("PRAGMA legacy_alter_table = 1; {text}")).unwrap();
    }

    /// An unpacked router for it, with the TR-098 model or without.
    pub fn router(&self, serial: &str, tr098: bool) -> Router {
        let router = Router::new(&self.server.url());
        router.set("cpe", "serial_number", serial);
        if tr098 {
            let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == "tr098").unwrap();
            router::add_model(&router.root(), "tr098", text).unwrap();
            // Two are there.
            for _ in 3..=8 {
                let added =
                    router.run(&["-c", "add", "InternetGatewayDevice.LANDevice.1.WLANConfiguration."]);
                assert!(added.status.success(), "{added:?}");
            }
        }
        self.office.store.add_device(serial).unwrap();
        let (user, password) = (router::CONNECTION_REQUEST_USER, router::PASSWORD);
        self.office.store.set_connection_request(serial, user, password).unwrap();
        router
    }

    /// A device that has had its first session.
    pub fn device(&self, serial: &str, tr098: bool) -> Device {
        let router = self.router(serial, tr098);
        let agent = router.start(&["-b"]);
        self.notes.wait(&format!("over {serial} "), 1);
        Device { agent, router }
    }

    /// Starts a script.
    pub fn start(&self, text: &str) {
        self.scripts.start("test", text).unwrap();
    }

    /// What a script prints until it ends by itself.
    pub fn run(&self, text: &str) -> Vec<String> {
        self.start(text);
        self.ended();
        let lines = self.log();
        self.scripts.remove("test").unwrap();
        lines
    }

    /// As [`Acs::run`], in the place of a script that was stopped.
    pub fn run_again(&self, text: &str) -> Vec<String> {
        self.scripts.remove("test").unwrap();
        self.run(text)
    }

    pub fn log(&self) -> Vec<String> {
        self.scripts.log("test").unwrap().into_iter().map(|line| line.text).collect()
    }

    /// Waits for a log of that many lines.
    pub fn wait_log(&self, count: usize) -> Vec<String> {
        let begun = Instant::now();
        while self.log().len() < count {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
        self.log()
    }

    fn ended(&self) {
        let begun = Instant::now();
        while self.scripts.report("test").unwrap().state != State::Stopped {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", self.log());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops the script, and how long that took.
    pub fn stop(&self) -> Duration {
        let begun = Instant::now();
        self.scripts.stop("test").unwrap();
        self.ended();
        begun.elapsed()
    }

    /// Attaches a service to an announced device.
    pub fn service(&self, serial: &str, script: &str, variables: &Variables) -> i64 {
        let definition = Definition {
            name: format!("service of {serial}"),
            script: script.to_owned(),
            available: true,
            ..Definition::default()
        };
        let id = self.office.store.put_definition(&definition).unwrap();
        self.office.store.create_instance(serial, id, variables).unwrap()
    }

    /// Waits for a service's end: its status, reason and log.
    pub fn outcome(&self, instance: i64) -> (Status, String, Vec<String>) {
        let begun = Instant::now();
        loop {
            let found = self.office.store.instance(instance).unwrap().unwrap();
            if matches!(found.status, Status::Provisioned | Status::Failed) {
                let log = self.office.store.log_lines(instance).unwrap();
                // Each line begins with its time.
                let log = log.iter().map(|line| line[20..].to_owned()).collect();
                return (found.status, found.reason, log);
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", self.notes.lines());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Acs {
    fn drop(&mut self) {
        self.scripts.stop_all();
    }
}

/// A router and its agent.
pub struct Device {
    pub agent: Agent,
    pub router: Router,
}

impl Device {
    /// What its agent answers on the command line: `NAME => VALUE`, a line each.
    pub fn get(&self, path: &str) -> Vec<String> {
        let output = self.router.run(&["-c", "get", path]);
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

/// An Inform with one event.
pub fn inform_message(serial: &str, code: EventCode) -> Vec<u8> {
    let value = Value { kind: Kind::String, text: "1.0".into() };
    let inform = Inform {
        device_id: DeviceId {
            manufacturer: "Example".into(),
            oui: "020000".into(),
            product_class: "Test".into(),
            serial_number: serial.into(),
        },
        events: vec![Event::of(code)],
        max_envelopes: 1,
        current_time: "2026-11-21T06:00:00+01:00".into(),
        retry_count: 0,
        parameter_list: vec![ParameterValue { name: "Device.DeviceInfo.SoftwareVersion".into(), value }],
    };
    let header = Header { id: Some("1".into()), ..Header::default() };
    let message = Message::Request(Request::Inform(Box::new(inform)));
    soap::write(&Envelope { namespace: Namespace::V1_0, header, message })
}

/// Posts a message over a connection of its own; the whole answer.
pub fn post(acs: &Acs, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(acs.server.address()).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Posts an Inform of a device that ends there; how long its answer took.
pub fn inform(acs: &Acs, serial: &str, code: EventCode) -> Duration {
    let body = inform_message(serial, code);
    let start = Instant::now();
    let answer = post(acs, &body);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("InformResponse"), "{answer}");
    start.elapsed()
}
