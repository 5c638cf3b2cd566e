//! The daemon on the fixture router against `acsrs`, an ACS that nobody here wrote, as a process on loopback.
//!
//! Skipped where it is not installed (`cargo install acsrs`). What it does otherwise than others: a session
//! is a TCP connection, only Basic is known, GetRPCMethods is answered 204, its connection request signs
//! the path "/" and takes 200 alone for an answer, its certificate is one of version 1.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used)]

#[path = "support/agent.rs"]
mod agent;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent::{Agent, Router, free_port};
use serde_json::{Value, json};

const SERIAL: &str = "LAB0000001";
const SSID: &str = "Device.WiFi.SSID.1.SSID";
const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";
const URL: &str = "Device.ManagementServer.ConnectionRequestURL";
const MAPPING: &str = "Device.NAT.PortMapping.";

/// What the agent logs when it listens for connection requests.
const LISTENING: &str = "Connection Request server initiated";
/// For everything but the start of acsrs; a loaded machine needs a fraction of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// It makes two RSA keys of 4096 bits, which is a matter of luck.
const PATIENCE_FOR_KEYS: Duration = Duration::from_secs(240);

#[test]
fn sessions_and_connection_requests() {
    let Some(acs) = Acsrs::start() else { return };
    refuses_a_wrong_password(&acs);
    works_over_http(&acs);
    #[cfg(feature = "tls")]
    works_over_tls(&acs);
}

/// So that what follows proves the right one.
fn refuses_a_wrong_password(acs: &Acsrs) {
    let router = Router::new(&acs.http_url());
    router.set("acs", "passwd", "Wrong");
    let agent = router.start(&[]);
    agent.wait_for("HTTP status 403", 1);
    has(&acs.log(), &["Authorization required", "Access forbidden: Basic "]);
    assert_eq!(acs.devices(), Vec::<Value>::new());
}

fn works_over_http(acs: &Acsrs) {
    let mut monitor = acs.console();
    monitor.send(&json!({"command": "Monitor"}));
    let router = Router::new(&acs.http_url());
    let (agent, listener) = first_session(acs, &router);
    has(&agent.log(), &["Its events are 0 BOOTSTRAP, 1 BOOT"]);

    // No session is open, so the first order is a connection request; the others follow in its session.
    let mut console = acs.console();
    assert_eq!(
        console.values(&[SSID, INTERVAL, URL]),
        [
            value(SSID, "string", "ExampleNet"),
            value(INTERVAL, "unsignedInt", "1000000000"),
            value(URL, "string", &listener)
        ]
    );
    has(&agent.log(), &["Connection Request accepted from 127.0.0.1", "Its events are 6 CONNECTION REQUEST"]);
    let inform = connection_request_inform(&mut monitor);
    assert_eq!((&inform["oui"], &inform["serial_number"]), (&json!("020000"), &json!(SERIAL)));
    let told = inform["parameters"].as_array().unwrap();
    assert!(told.contains(&value(URL, "string", &listener)), "{told:?}");

    sets_values(&mut console);
    let port = adds_and_deletes(&mut console);
    drop(console);
    agent.wait_for("End session", 2);
    agent.wait_for(LISTENING, 3);
    acs.wait_hung_up();
    let wireless = router.read("/etc/config/wireless");
    has(&wireless, &[r"option ssid 'a & <b> '\''c'\'''"]);
    assert!(!wireless.contains("never"), "{wireless}");
    has(&router.read("/etc/config/cwmp"), &["option periodic_inform_interval '3600'"]);
    let firewall = router.read("/etc/config/firewall");
    has(&firewall, &["option name 'Web-NAS'", "option src_dport '8022'", "option dest_ip '192.168.1.77'"]);
    assert!(!firewall.contains("option name 'Game'"), "{firewall}");

    // The listener was opened anew meanwhile and still takes a connection request.
    assert_eq!(acs.console().values(&[&port]), [value(&port, "unsignedInt", "8022")]);
    agent.wait_for("End session", 3);
    assert_eq!(agent.log().matches("Connection Request accepted").count(), 2);
    let (status, _) = agent.stop();
    assert!(status.success());
    acs.wait_hung_up();
}

fn sets_values(console: &mut Console) {
    // Without a type, acsrs asks for it first.
    let right = json!([
        {"name": SSID, "type": "xsd:string", "value": "a & <b> 'c'"},
        {"name": INTERVAL, "type": "", "value": "3600"},
    ]);
    // Whether it is in force already: not before the end of the session.
    assert_eq!(console.order("SetParameterValues", &right), json!(false));
    let now = [value(SSID, "string", "a & <b> 'c'"), value(INTERVAL, "unsignedInt", "3600")];
    assert_eq!(console.values(&[SSID, INTERVAL]), now);

    let wrong = json!([
        {"name": SSID, "type": "xsd:string", "value": "never"},
        {"name": INTERVAL, "type": "xsd:unsignedInt", "value": "pear"},
    ]);
    assert_eq!(console.fault("SetParameterValues", &wrong), "9003 - Invalid arguments");
    assert_eq!(console.values(&[SSID, INTERVAL]), now, "all or nothing");
    let fault = console.fault("GetParameterValues", &json!([{"name": "Device.NoSuch"}]));
    has(&fault, &["9005 - Invalid parameter name", "Device.NoSuch"]);
}

/// Gives the name of a port that was set.
fn adds_and_deletes(console: &mut Console) -> String {
    assert_eq!(console.rows(), ["1.", "2."]);
    let added = console.order("AddObject", &json!({"object_name": MAPPING}));
    assert_eq!(added, json!({"instance_number": 3, "status": true}), "true: applied after the session");
    assert_eq!(console.rows(), ["1.", "2.", "3."]);
    let [port, client] = ["ExternalPort", "InternalClient"].map(|name| format!("{MAPPING}3.{name}"));
    let settings = json!([
        {"name": port, "type": "xsd:unsignedInt", "value": "8022"},
        {"name": client, "type": "xsd:string", "value": "192.168.1.77"},
    ]);
    assert_eq!(console.order("SetParameterValues", &settings), json!(false));
    let deleted = console.order("DeleteObject", &json!({"object_name": format!("{MAPPING}2.")}));
    assert_eq!(deleted, json!({"status": true}), "true: applied after the session");
    assert_eq!(console.rows(), ["1.", "3."]);
    port
}

/// Its certificate, of version 1 and with the host in the common name, is trusted for itself, not by its CA.
#[cfg(feature = "tls")]
fn works_over_tls(acs: &Acsrs) {
    let router = Router::new(&format!("https://127.0.0.1:{}/cwmpWeb/CPEMgt", acs.https));
    router.set("acs", "ssl_capath", "/etc/ssl/acsrs.pem");
    router.write("/etc/ssl/acsrs.pem", &fs::read_to_string(acs.home().join("ca.pem")).unwrap());
    let agent = router.start(&[]);
    agent.wait_for("the session failed: ", 1);
    has(&agent.log(), &["trusted only if it stands in the CA file itself"]);
    drop(agent);
    router.write("/etc/ssl/acsrs.pem", &fs::read_to_string(acs.home().join("cert.pem")).unwrap());
    let (agent, listener) = first_session(acs, &router);
    assert_eq!(acs.console().values(&[URL]), [value(URL, "string", &listener)]);
    has(&agent.log(), &["Its events are 6 CONNECTION REQUEST"]);
    agent.wait_for("End session", 2);
}

/// Starts the agent and waits until its first session is over, in which acsrs gives it credentials for
/// connection requests, and until it listens with them. Also gives the URL it listens at.
fn first_session(acs: &Acsrs, router: &Router) -> (Agent, String) {
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    agent.wait_for(LISTENING, 2);
    acs.wait_hung_up();
    has(&agent.log(), &["SetParameterValues performed (2 parameters)"]);
    let devices = acs.devices();
    assert_eq!(devices.len(), 1, "{devices:?}");
    let [serial, url, user, password] =
        ["sn", "url", "username", "password"].map(|name| devices[0][name].as_str().unwrap());
    assert_eq!((serial, user), (SERIAL, "acsrs"));
    let port = url.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.strip_suffix('/')).unwrap();
    let config = router.read("/etc/config/cwmp");
    has(&config, &["option userid 'acsrs'", &format!("option passwd '{password}'")]);
    has(&config, &[&format!("option port '{port}'")]);
    (agent, url.to_owned())
}

/// The Inform of a connection request, from a console that was sent `Monitor` before: acsrs answers as soon
/// as there is an Inform, and from then on misses none.
fn connection_request_inform(monitor: &mut Console) -> Value {
    loop {
        let answer = monitor.receive();
        let informs = answer["Monitor"].as_array().unwrap_or_else(|| panic!("informs, not {answer}"));
        if let Some(inform) = informs.iter().find(|one| one["events"] == json!(["ConnectionRequest"])) {
            return inform.clone();
        }
        monitor.send(&json!({"command": "Monitor"}));
    }
}

/// A running acsrs with its folder; killed when dropped.
struct Acsrs {
    child: Child,
    dir: tempfile::TempDir,
    http: u16,
    https: u16,
    management: u16,
}

impl Acsrs {
    /// Starts it on ports of its own and waits until it listens; `None` if it is not installed.
    fn start() -> Option<Acsrs> {
        let Some(binary) = installed() else {
            std::io::stderr().write_all(b"skipped: acsrs not installed\n").unwrap();
            return None;
        };
        let mut log = String::new();
        // Another process may take a port between its choice and its use.
        for _ in 0..3 {
            let mut acs = Acsrs::launch(&binary);
            let came = wait(PATIENCE_FOR_KEYS, || {
                acs.child.try_wait().unwrap().is_some() || acs.log().contains("Management server listening")
            });
            if came && acs.child.try_wait().unwrap().is_none() {
                return Some(acs);
            }
            log = acs.log();
        }
        panic!("acsrs does not start:\n{log}");
    }

    fn launch(binary: &Path) -> Acsrs {
        let dir = tempfile::tempdir().unwrap();
        let [http, https, management] = [free_port(), free_port(), free_port()];
        let home = dir.path().join(".acsrs");
        fs::create_dir(&home).unwrap();
        // Without a host name it would ask a public server for its address.
        let config = format!(
            "cpe = []\n[config]\nhostname = \"127.0.0.1\"\nnoauth = false\nautocert = true\n\
             username = \"020000-LAB0000001\"\npassword = \"ExamplePassphrase\"\nidentity_password = \"ACSRS\"\n\
             secure_address = \"127.0.0.1:{https}\"\nunsecure_address = \"127.0.0.1:{http}\"\n\
             management_address = \"127.0.0.1:{management}\"\n"
        );
        fs::write(home.join("config.toml"), config).unwrap();
        let child = Command::new(binary)
            .arg("-v")
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Acsrs { child, dir, http, https, management }
    }

    fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}/cwmpWeb/CPEMgt", self.http)
    }

    /// Its configuration and certificates.
    fn home(&self) -> PathBuf {
        self.dir.path().join(".acsrs")
    }

    /// What it has logged so far.
    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// A connection to its management interface. While it stays, acsrs keeps the session of a device it was
    /// asked about open.
    fn console(&self) -> Console {
        let stream = TcpStream::connect(("127.0.0.1", self.management)).unwrap();
        stream.set_read_timeout(Some(PATIENCE * 2)).unwrap();
        Console { stream }
    }

    /// The devices it knows.
    fn devices(&self) -> Vec<Value> {
        self.console().ask(&json!({"command": "List"}))["List"].as_array().unwrap().clone()
    }

    /// Waits until it has seen the agent hang up: for acsrs a session lasts as long as its connection, and
    /// until then it sends no connection request.
    fn wait_hung_up(&self) {
        let connected = |table: &str| {
            table.lines().skip(1).any(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let port = u16::from_str_radix(words[1].rsplit(':').next().unwrap(), 16).unwrap();
                // Established, or closed by the other side alone.
                [self.http, self.https].contains(&port) && ["01", "08"].contains(&words[3])
            })
        };
        let gone = wait(PATIENCE, || !connected(&fs::read_to_string("/proc/net/tcp").unwrap()));
        assert!(gone, "the agent stays connected");
    }
}

impl Drop for Acsrs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let _ = std::io::stderr().write_all(self.log().as_bytes());
        }
    }
}

/// A kept-alive connection to the management interface.
struct Console {
    stream: TcpStream,
}

impl Console {
    /// One command and its answer, whatever its status.
    fn ask(&mut self, command: &Value) -> Value {
        self.send(command);
        self.receive()
    }

    fn send(&mut self, command: &Value) {
        let body = command.to_string();
        let head = format!("POST /api HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n", body.len());
        self.stream.write_all((head + &body).as_bytes()).unwrap();
    }

    fn receive(&mut self) -> Value {
        let mut answer = Vec::new();
        loop {
            let mut piece = [0; 4096];
            let count = self.stream.read(&mut piece).unwrap();
            let text = String::from_utf8_lossy(&answer);
            assert!(count > 0, "acsrs hung up after {text:?}");
            answer.extend_from_slice(&piece[..count]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map(|(_, value)| value.parse::<usize>().unwrap())
                .unwrap();
            if body.len() >= length {
                return serde_json::from_str(body).unwrap();
            }
        }
    }

    /// A command to the device, and its result.
    #[track_caller]
    fn order(&mut self, name: &str, arguments: &Value) -> Value {
        let answer = self.ask(&json!({"serial_number": SERIAL, "command": {name: arguments}}));
        answer.get(name).unwrap_or_else(|| panic!("{name}: {answer}")).clone()
    }

    /// A command that the device refuses, and how.
    #[track_caller]
    fn fault(&mut self, name: &str, arguments: &Value) -> String {
        let answer = self.ask(&json!({"serial_number": SERIAL, "command": {name: arguments}}));
        assert_eq!(answer["Error"]["status"], 400, "{name}: {answer}");
        answer["Error"]["description"].as_str().unwrap().to_owned()
    }

    /// The values of parameters, in order.
    #[track_caller]
    fn values(&mut self, names: &[&str]) -> Vec<Value> {
        let names: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        self.order("GetParameterValues", &json!(names)).as_array().unwrap().clone()
    }

    /// The instances of port mappings.
    #[track_caller]
    fn rows(&mut self) -> Vec<String> {
        let answer = self.order("GetParameterNames", &json!({"name": MAPPING, "next_level": true}));
        let name = |row: &Value| row["name"].as_str().unwrap().strip_prefix(MAPPING).unwrap().to_owned();
        answer.as_array().unwrap().iter().map(name).collect()
    }
}

/// A value as acsrs shows it.
fn value(name: &str, kind: &str, text: &str) -> Value {
    json!({"name": name, "type": format!("xsd:{kind}"), "value": text})
}

#[track_caller]
fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word} in {text}");
    }
}

/// Where acsrs is, if anywhere.
fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cargo = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo/bin"));
    std::env::split_paths(&path).chain(cargo).map(|dir| dir.join("acsrs")).find(|path| path.is_file())
}

/// Whether a condition came true in time.
fn wait(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}
