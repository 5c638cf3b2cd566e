//! Programs on a ubus of their own: each method of theirs says what a test gives it, refuses, or keeps silent, and is counted.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollTimeout, poll};
use rcwmp::lab::router::broker::Broker;
use rcwmp::sys::clock::Monotonic;
use rcwmp::ubus::blobmsg::Table;
use rcwmp::ubus::json;
use rcwmp::ubus::msg::Status;
use rcwmp::ubus::object::Method;
use rcwmp::ubus::server::{Incoming, Server, Service};

/// What a method does.
#[derive(Debug, Clone)]
pub enum Does {
    /// Answers.
    Says(Table),
    /// Answers with a status.
    Refuses(Status),
    /// Nothing.
    KeepsSilent,
}

/// A broker with the programs.
pub struct Programs {
    folder: tempfile::TempDir,
    broker: Option<Broker>,
    calls: Arc<Mutex<BTreeMap<String, u32>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What a program answered on a router, `tests/ubus-samples/NAME.json`.
pub fn sample(name: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ubus-samples").join(format!("{name}.json"));
    json::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A method that says what is in a sample.
pub fn says(name: &str) -> Does {
    Does::Says(sample(name))
}

/// A method that says this JSON.
pub fn says_json(text: &str) -> Does {
    Does::Says(json::parse(text).unwrap())
}

impl Programs {
    /// Offers these methods: object, method, and what it does.
    pub fn start(methods: &[(&str, &str, Does)]) -> Programs {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ubus.sock");
        let broker = Broker::start(&path, vec![]).unwrap();
        let mut objects: BTreeMap<String, Vec<Method>> = BTreeMap::new();
        let mut does = BTreeMap::new();
        for (object, method, what) in methods {
            objects.entry((*object).to_owned()).or_default().push(Method::new(method));
            does.insert(format!("{object} {method}"), what.clone());
        }
        let service = Service { objects: objects.into_iter().collect(), ..Service::default() };
        let calls = Arc::new(Mutex::new(BTreeMap::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, ready) = mpsc::channel();
        let thread = {
            let (calls, stop) = (Arc::clone(&calls), Arc::clone(&stop));
            let mut server = Server::new(&path, service).unwrap();
            std::thread::spawn(move || {
                let clock = Monotonic::start();
                let mut held = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let mut incoming = server.on_tick(clock.now());
                    if let Some((fd, wanted)) = server.fd() {
                        let mut fds = [PollFd::new(fd, wanted)];
                        if poll(&mut fds, PollTimeout::from(10_u8)).unwrap() > 0 {
                            incoming.extend(server.on_ready(clock.now()));
                        }
                    }
                    for one in incoming {
                        match one {
                            Incoming::Ready => tell.send(()).unwrap(),
                            Incoming::Call { object, method, request, .. } => {
                                let name = format!("{object} {method}");
                                *calls.lock().unwrap().entry(name.clone()).or_insert(0) += 1;
                                match does.get(&name) {
                                    Some(Does::Says(table)) => {
                                        server.answer(request, Ok(table.clone())).unwrap()
                                    }
                                    Some(Does::Refuses(status)) => {
                                        server.answer(request, Err(*status)).unwrap()
                                    }
                                    _ => held.push(request),
                                }
                            }
                            _ => {}
                        }
                    }
                }
            })
        };
        ready.recv_timeout(Duration::from_secs(20)).unwrap();
        Programs { folder, broker: Some(broker), calls, stop, thread: Some(thread) }
    }

    /// Where they are.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("ubus.sock")
    }

    /// How often each method was called, and how often now; counting begins anew.
    pub fn calls(&self) -> BTreeMap<String, u32> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.broker.take();
    }
}
