//! What the mini-ACS keeps for the next one, and what it does not keep; and Lua that reaches devices which are not as others.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/cpe.rs"]
mod cpe;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cpe::Cpe;
use rcwmp::cwmp::event::EventCode;
use rcwmp::cwmp::session::Close;
use rcwmp::lab::acs::guard::Auth;
use rcwmp::lab::acs::news::{News, Watcher};
use rcwmp::lab::acs::office::{Office, Settings};
use rcwmp::lab::acs::profiles::Profiles;
use rcwmp::lab::acs::quirks::Quirks;
use rcwmp::lab::acs::scripts::{Scripts, State};
use rcwmp::lab::acs::server::Server;
use rcwmp::lab::store::{Progress, Store};
use serde_json::json;

/// The bodies that went to devices.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<String>>>);

impl Watcher for Sent {
    fn news(&self, news: &News<'_>) {
        if let News::Soap { status: Some(_), body, .. } = news {
            self.0.lock().unwrap().push(String::from_utf8_lossy(body).into_owned());
        }
    }
}

struct Acs {
    office: Arc<Office>,
    scripts: Arc<Scripts>,
    profiles: Arc<Profiles>,
    server: Server,
    sent: Sent,
}

fn acs(store: Store, fill: bool) -> Acs {
    let (scripts, sent) = (Scripts::new(), Sent::default());
    let settings = Settings { fill, ..Settings::default() };
    let office = Office::new(store, scripts.watch(Box::new(sent.clone())), settings);
    scripts.attach(&office);
    let profiles = Profiles::new(&office, &scripts);
    let listen = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(Arc::clone(&office), listen, Auth::None, Quirks::default()).unwrap();
    Acs { office, scripts, profiles, server, sent }
}

impl Acs {
    fn state(&self, name: &str) -> Option<State> {
        self.scripts.report(name).map(|report| report.state)
    }

    #[track_caller]
    fn wait(&self, name: &str, state: State) {
        wait(|| self.state(name) == Some(state));
    }
}

#[track_caller]
fn wait(until: impl Fn() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < Duration::from_secs(15), "it never is so");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A known device that accepts every connection request; it has its session when told.
fn device(acs: &Acs) -> Cpe {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut cpe = Cpe::new(&acs.server.url(), "SN1");
    let url = format!("http://{}/", port.local_addr().unwrap());
    cpe.tree.insert("Device.ManagementServer.ConnectionRequestURL".into(), url);
    thread::spawn(move || {
        for stream in port.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    assert_eq!(cpe.session(EventCode::Boot), Ok(Close::Success));
    cpe
}

#[test]
fn what_was_put_by_the_control_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let open = |folder: &Path| acs(Store::open(&folder.join("acs.db")).unwrap(), false);
    let first = open(folder.path());
    first.scripts.put("runs", "sleep(3600)").unwrap();
    first.scripts.put("stopped", "sleep(3600)").unwrap();
    first.scripts.put("ended", "print('once')").unwrap();
    first.scripts.put("deleted", "print(1)").unwrap();
    first.scripts.start("of the command line", "sleep(3600)").unwrap();
    first.scripts.stop("stopped").unwrap();
    for name in ["stopped", "ended", "deleted"] {
        first.wait(name, State::Stopped);
    }
    first.scripts.remove("deleted").unwrap();
    let profile = "function get_vendor() return 'x', nil end";
    first.profiles.keep("kept", profile).unwrap();
    first.profiles.keep("gone", profile).unwrap();
    first.profiles.put("of the command line", profile).unwrap();
    assert_eq!(first.profiles.remove("gone"), Ok(true));
    // As `mini-acs` ends: scripts are stopped, and are wanted still.
    first.scripts.stop_all();
    first.wait("runs", State::Stopped);
    drop(first);

    let second = open(folder.path());
    assert_eq!((second.scripts.restore().unwrap(), second.profiles.restore().unwrap()), (vec![], vec![]));
    let names: Vec<String> = second.scripts.list().into_iter().map(|report| report.name).collect();
    assert_eq!(names, ["ended", "runs", "stopped"]);
    assert_eq!(second.state("runs"), Some(State::Running));
    for name in ["ended", "stopped"] {
        assert_eq!(second.state(name), Some(State::Stopped));
        assert_eq!(second.scripts.log(name).unwrap(), []);
    }
    // Those are offered.
    second.scripts.start_again("ended").unwrap();
    second.wait("ended", State::Stopped);
    assert_eq!(second.scripts.log("ended").unwrap()[0].text, "once");
    let profiles: Vec<String> = second.profiles.list().into_iter().map(|(name, _)| name).collect();
    assert_eq!(profiles, ["kept"]);
    assert_eq!(second.profiles.get("kept").unwrap().text(), profile);
    second.scripts.stop_all();
}

#[test]
fn a_device_that_lacks_a_part_is_refreshed_all_the_same() {
    let acs = acs(Store::in_memory().unwrap(), false);
    let mut cpe = device(&acs);
    cpe.lacks.push("Device.IP.Interface.".into());
    cpe.tree.insert("Device.DeviceInfo.ModelName".into(), "M".into());
    acs.office.store.keep_values("SN1", &[("Device.X".into(), "1".into(), String::new())]).unwrap();
    acs.scripts.start("refresh", "print(refresh_device_parameters('SN1'))").unwrap();
    wait(|| acs.office.queue("SN1").len() == 2);
    assert_eq!(cpe.session(EventCode::ConnectionRequest), Ok(Close::Success));
    acs.wait("refresh", State::Stopped);
    assert_eq!(acs.scripts.log("refresh").unwrap()[0].text, "true");
    assert_eq!(acs.office.store.device("SN1").unwrap().unwrap().model, "M");
    // One that has neither part has nothing to tell.
    cpe.lacks.push("Device.DeviceInfo.".into());
    acs.scripts.start("refresh", "print(refresh_device_parameters('SN1'))").unwrap();
    wait(|| acs.office.queue("SN1").len() == 2);
    assert_eq!(cpe.session(EventCode::ConnectionRequest), Ok(Close::Success));
    acs.wait("refresh", State::Stopped);
    assert_eq!(acs.scripts.log("refresh").unwrap()[0].text, "false");
}

#[test]
fn messages_of_hooks_are_filled_in_too() {
    let acs = acs(Store::in_memory().unwrap(), true);
    let mut cpe = device(&acs);
    cpe.tree.insert("Device.A.Count".into(), "1".into());
    let known = ("Device.A.Count".to_owned(), "1".to_owned(), "xsd:unsignedInt".to_owned());
    acs.office.store.keep_values("SN1", &[known]).unwrap();
    let profile = "function set_ssid(ssid) return '<soap:Envelope><soap:Body><cwmp:SetParameterValues><ParameterList>\
        <ParameterValueStruct><Name>Device.A.Count</Name><Value>2</Value></ParameterValueStruct></ParameterList>\
        <ParameterKey/></cwmp:SetParameterValues></soap:Body></soap:Envelope>', nil end";
    acs.profiles.put("p", profile).unwrap();
    let profiles = Arc::clone(&acs.profiles);
    let written = thread::spawn(move || profiles.write("p", "SN1", "ssid", &json!({})));
    wait(|| acs.office.queue("SN1").len() == 1);
    assert_eq!(cpe.session(EventCode::ConnectionRequest), Ok(Close::Success));
    assert_eq!(written.join().unwrap(), Ok(json!({ "status": 0 })));
    assert_eq!(cpe.tree["Device.A.Count"], "2");
    let sent = acs.sent.0.lock().unwrap();
    let set = sent.iter().find(|body| body.contains("SetParameterValues")).unwrap();
    assert!(set.contains("ParameterValueStruct[1]") && set.contains("type=\"xsd:unsignedInt\""), "{set}");
}

#[test]
fn secrets_go_with_the_end_of_their_task() {
    let acs = acs(Store::in_memory().unwrap(), false);
    let mut cpe = device(&acs);
    let name = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
    cpe.tree.insert(name.into(), String::new());
    let message = |name: &str| {
        format!(
            "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>\
             <cwmp:SetParameterValues><ParameterList><ParameterValueStruct><Name>{name}</Name><Value>hush</Value>\
             </ParameterValueStruct></ParameterList><ParameterKey/></cwmp:SetParameterValues></soap:Body></soap:Envelope>"
        )
    };
    let (done, failed) = (message(name), message("Device.Users.User.9.Password"));
    let tasks = [&done, &failed].map(|message| acs.office.submit("SN1", message).unwrap());
    assert!(acs.office.store.task(tasks[0]).unwrap().unwrap().message.contains("hush"));
    assert_eq!(cpe.session(EventCode::ConnectionRequest), Ok(Close::Success));
    assert_eq!(cpe.tree[name], "hush");
    for (task, progress) in tasks.into_iter().zip([Progress::Done, Progress::Failed]) {
        let task = acs.office.store.task(task).unwrap().unwrap();
        assert_eq!(task.progress, progress);
        assert!(task.message.contains("•••") && !task.message.contains("hush"), "{}", task.message);
    }
    // What has none stays as it was given.
    let plain = message("Device.WiFi.SSID.1.SSID");
    let task = acs.office.submit("SN1", &plain).unwrap();
    assert_eq!(cpe.session(EventCode::ConnectionRequest), Ok(Close::Success));
    assert_eq!(acs.office.store.task(task).unwrap().unwrap().message, plain);
}
