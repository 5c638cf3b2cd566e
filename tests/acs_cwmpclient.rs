//! The third-party CPE `CwmpClient` (PyPI) against the mini-ACS.
//!
//! Its Envelope has no namespace, its messages have no ID and no RetryCount, its DeviceId's members are CWMP's: an ACS may
//! refuse it, with a reason, and must not fall over it. Where its envelope is mended, a session is to go as far as it can.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/cpe.rs"]
mod cpe;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use cpe::Cpe;
use rcwmp::cwmp::event::EventCode;
use rcwmp::cwmp::session::Close;
use rcwmp::lab::acs::guard::Auth;
use rcwmp::lab::acs::news::{News, Watcher};
use rcwmp::lab::acs::office::{Office, Settings};
use rcwmp::lab::acs::quirks::Quirks;
use rcwmp::lab::acs::server::Server;
use rcwmp::lab::store::Store;

/// Runs its plugin with our URL. `mended` gives its envelopes the namespace that they lack.
const DRIVER: &str = r#"
import asyncio, sys
from CwmpClient.nodes import BaseNode
import CwmpClient.plugins.tr069 as tr069

url, mended = sys.argv[1], sys.argv[2] == 'mended'
if mended:
    whole = tr069.Tr69Request.todom
    def todom(self):
        parts = whole(self)
        parts.document.documentElement.tagName = 'soap:Envelope'
        return parts
    tr069.Tr69Request.todom = todom

async def main():
    root = BaseNode()
    await tr069.loader(root)
    root['Device']['ManagementServer']['URL'](url)
    class App: pass
    app = App()
    app.root = root
    await tr069.start(app)
    print('version', root['Device']['DeviceInfo']['ProvisioningCode'])

asyncio.run(main())
"#;

/// Keeps what happened, as text.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Watcher for Notes {
    fn news(&self, news: &News<'_>) {
        if !matches!(news, News::Soap { .. }) {
            self.0.lock().unwrap().push(format!("{news:?}"));
        }
    }
}

/// A Python that has it: that of `.ci/run`, or the system's.
fn python() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cwmpclient/bin/python");
    let found = [own, PathBuf::from("python3")].into_iter().find(|python| {
        let tried = Command::new(python).args(["-c", "import CwmpClient"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    });
    if found.is_none() {
        std::io::stderr().write_all(b"skipped: the Python package CwmpClient is not installed\n").unwrap();
    }
    found
}

struct Run {
    output: Output,
    notes: Vec<String>,
    office: Arc<Office>,
    server: Server,
}

/// A session of it, with this message queued for it.
fn run(python: &Path, how: &str, message: &str) -> Run {
    let store = Store::in_memory().unwrap();
    store.add_device("0123456").unwrap();
    let notes = Notes::default();
    let office = Office::new(store, Box::new(notes.clone()), Settings::default());
    let listen = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(Arc::clone(&office), listen, Auth::None, Quirks::default()).unwrap();
    office.submit("0123456", message).unwrap();
    // Its HTTP library takes no cookies from addresses.
    let url = format!("http://localhost:{}/", server.address().port());
    let output = Command::new(python).args(["-c", DRIVER, &url, how]).output().unwrap();
    let notes = notes.0.lock().unwrap().clone();
    Run { output, notes, office, server }
}

fn message(body: &str) -> String {
    format!(
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>{body}</soap:Body></soap:Envelope>"
    )
}

#[test]
fn as_it_is_it_is_refused_with_a_reason() {
    let Some(python) = python() else { return };
    let run = run(&python, "as-it-is", &message("<cwmp:GetRPCMethods/>"));
    let refused: Vec<_> = run.notes.iter().filter(|line| line.starts_with("Refused")).collect();
    assert!(refused.iter().any(|line| line.contains("Envelope")), "{:?}\n{:?}", run.notes, run.output);
    // It ends by itself, and others are served as before.
    assert!(String::from_utf8_lossy(&run.output.stdout).contains("End session"), "{:?}", run.output);
    assert_eq!(Cpe::new(&run.server.url(), "SN1").session(EventCode::Boot), Ok(Close::Success));
    assert_eq!(run.office.store.device("0123456").unwrap().unwrap().first_contact, None);
}

#[test]
fn mended_it_has_a_session() {
    let Some(python) = python() else { return };
    let names = "<cwmp:GetParameterValues><ParameterNames><string>Device.DeviceInfo.SoftwareVersion</string></ParameterNames></cwmp:GetParameterValues>";
    let run = run(&python, "mended", &message(names));
    let store = &run.office.store;
    let task = &store.tasks("0123456").unwrap()[0];
    let device = store.device("0123456").unwrap().unwrap();
    assert_eq!(device.manufacturer, "Dites Telecom", "{:?}\n{:?}", run.notes, run.output);
    assert_eq!(task.result["values"][0]["value"], "0.0.1", "{:?}\n{:?}", task, run.notes);
    assert_eq!(Cpe::new(&run.server.url(), "SN1").session(EventCode::Boot), Ok(Close::Success));
}
