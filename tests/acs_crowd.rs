//! Two hundred CPEs at once, each provisioned by a service of the mini-ACS: all of them, and none mixed up.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/cpe.rs"]
mod cpe;

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use cpe::Cpe;
use rcwmp::cwmp::event::EventCode;
use rcwmp::cwmp::session::Close;
use rcwmp::http::auth::Credentials;
use rcwmp::lab::acs::guard::Auth;
use rcwmp::lab::acs::office::{Office, Settings};
use rcwmp::lab::acs::quirks::Quirks;
use rcwmp::lab::acs::server::Server;
use rcwmp::lab::lua::vm::Limits;
use rcwmp::lab::store::{Definition, Status, Store};
use serde_json::json;

/// How many.
const CROWD: u32 = 200;
/// For slow machines that do much else.
const PATIENCE: Duration = Duration::from_secs(240);

/// Adds a row, names it after the device and its variable, reads it again.
const SCRIPT: &str = r#"
local function envelope(body)
  return '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>' .. body .. '</soap:Body></soap:Envelope>'
end
local made = send_cwmp_message(device_id, envelope('<cwmp:AddObject><ObjectName>Device.T.</ObjectName><ParameterKey/></cwmp:AddObject>'), 2)
local path = 'Device.T.' .. made.instance_number .. '.Name'
local name = device_id .. ' has ' .. get_variable_value('secret')
send_cwmp_message_and_forget(device_id, envelope('<cwmp:SetParameterValues><ParameterList><ParameterValueStruct><Name>' .. path ..
  '</Name><Value>' .. name .. '</Value></ParameterValueStruct></ParameterList><ParameterKey/></cwmp:SetParameterValues>'), 1)
local read = send_cwmp_message(device_id, envelope('<cwmp:GetParameterValues><ParameterNames><string>' .. path ..
  '</string></ParameterNames></cwmp:GetParameterValues>'), 0)
print(device_id, read[path])
if read[path] ~= name then error('read ' .. tostring(read[path])) end
set_provisioning_status('provisioned')
"#;

fn serial(number: u32) -> String {
    format!("CROWD{number:05}")
}

#[test]
fn two_hundred_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("acs.db")).unwrap();
    let definition =
        Definition { name: "crowd".into(), script: SCRIPT.into(), available: true, ..Definition::default() };
    let service = store.put_definition(&definition).unwrap();
    let mut instances = BTreeMap::new();
    for number in 0..CROWD {
        store.add_device(&serial(number)).unwrap();
        store.put_credential(&serial(number), &format!("password of {number}")).unwrap();
        let variables = [("secret".to_owned(), json!(format!("secret {number}")))].into();
        instances.insert(number, store.create_instance(&serial(number), service, &variables).unwrap());
    }
    let limits = Limits { time: PATIENCE, ..Limits::default() };
    let settings = Settings { hold: PATIENCE, answer: PATIENCE, limits, ..Settings::default() };
    let office = Office::new(store, Box::new(()), settings);
    let listen = "127.0.0.1:0".parse().unwrap();
    let auth = Auth::Digest(Credentials::default());
    let server = Server::start(Arc::clone(&office), listen, auth, Quirks::default()).unwrap();

    let barrier = Arc::new(Barrier::new(usize::try_from(CROWD).unwrap()));
    let start = Instant::now();
    let threads: Vec<_> = (0..CROWD)
        .map(|number| {
            let mut cpe = Cpe::new(&server.url(), &serial(number));
            cpe.settings.credentials = Credentials::new(serial(number), format!("password of {number}"));
            cpe.settings.timeout = PATIENCE;
            // Each has another number for its next instance than its neighbours.
            cpe.next = number % 7 + 1;
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                barrier.wait();
                let closed = cpe.session(EventCode::Bootstrap);
                (cpe, closed)
            })
        })
        .collect();
    for (thread, number) in threads.into_iter().zip(0..) {
        let (cpe, closed) = thread.join().unwrap();
        assert_eq!(closed, Ok(Close::Success), "{}", cpe.serial);
        let path = format!("Device.T.{}.Name", number % 7 + 1);
        assert_eq!(
            cpe.done,
            [
                "AddObject Device.T.".to_owned(),
                format!("SetParameterValues {path}"),
                format!("GetParameterValues {path}")
            ]
        );
        let rows: Vec<_> = cpe.tree.iter().filter(|(name, _)| name.starts_with("Device.T.")).collect();
        let name = format!("{} has secret {number}", serial(number));
        assert_eq!(rows, [(&path, &name)], "what this one has is its own");

        let store = &office.store;
        let id = instances[&number];
        while store.instance(id).unwrap().unwrap().status == Status::Running && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        let instance = store.instance(id).unwrap().unwrap();
        assert_eq!((instance.status, instance.reason.as_str()), (Status::Provisioned, ""), "{}", cpe.serial);
        assert_eq!(instance.device_id, serial(number));
        let log = store.log_lines(id).unwrap();
        assert!(log.len() == 1 && log[0].ends_with(&format!(" {}\t{name}", serial(number))), "{log:?}");
        assert_eq!(store.value(&serial(number), &path).unwrap(), Some(name));
        let history = store.history(&serial(number)).unwrap();
        assert_eq!(history.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), ["0 BOOTSTRAP"]);
    }
    assert_eq!(office.store.devices().unwrap().len(), usize::try_from(CROWD).unwrap());
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}
