//! Other programs on ubus, for tests: objects that answer with JSON, keep silent or refuse, on a broker of the
//! lab, and what they were asked.
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

/// The most objects of one connection.
const OBJECTS: usize = 16;

#[derive(Clone)]
enum Answer {
    Says(Table),
    Refuses(Status),
    Silent,
    /// Says this after a while.
    Late(Duration, Table),
}

struct Rule {
    object: String,
    method: String,
    /// These arguments must be there; others may.
    arguments: Table,
    answer: Answer,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    calls: Vec<String>,
}

impl State {
    /// The last rule that fits counts; a method without one does not know what it is asked about.
    fn answer(&mut self, object: &str, method: &str, arguments: &Table) -> Answer {
        let given = if arguments.is_empty() { String::new() } else { json::print_line(arguments) };
        self.calls.push(format!("{object} {method} {given}").trim_end().to_owned());
        let fits = |rule: &&Rule| {
            rule.object == object
                && rule.method == method
                && rule.arguments.iter().all(|(name, value)| arguments.get(&name.to_str()) == Some(value))
        };
        let found = self.rules.iter().rev().find(fits);
        found.map_or(Answer::Refuses(Status::NotFound), |rule| rule.answer.clone())
    }
}

/// A sample of `tests/ubus-samples`, by its name without `.json`.
#[track_caller]
pub fn sample(name: &str) -> String {
    let path = format!("{}/tests/ubus-samples/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// What will be on the bus.
#[derive(Default)]
pub struct Offers(State);

impl Offers {
    pub fn new() -> Offers {
        Offers::default()
    }

    fn rule(mut self, object: &str, method: &str, arguments: &str, answer: Answer) -> Offers {
        let arguments = json::parse(arguments).unwrap();
        let (object, method) = (object.to_owned(), method.to_owned());
        self.0.rules.push(Rule { object, method, arguments, answer });
        self
    }

    /// A method that answers with JSON, whatever it is asked.
    pub fn says(self, object: &str, method: &str, answer: &str) -> Offers {
        self.says_to(object, method, "{}", answer)
    }

    /// A method that answers with JSON when it is called with these arguments.
    pub fn says_to(self, object: &str, method: &str, arguments: &str, answer: &str) -> Offers {
        self.rule(object, method, arguments, Answer::Says(json::parse(answer).unwrap()))
    }

    /// A method that refuses.
    pub fn refuses(self, object: &str, method: &str, status: Status) -> Offers {
        self.rule(object, method, "{}", Answer::Refuses(status))
    }

    /// A method that never answers.
    pub fn keeps_silent_on(self, object: &str, method: &str) -> Offers {
        self.rule(object, method, "{}", Answer::Silent)
    }

    /// A method that never answers when it is called with these arguments.
    pub fn keeps_silent_to(self, object: &str, method: &str, arguments: &str) -> Offers {
        self.rule(object, method, arguments, Answer::Silent)
    }

    /// Puts it all on a bus.
    pub fn start(self) -> Bus {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("ubus.sock");
        self.start_at(&socket, Some(folder))
    }

    /// Puts it all on a bus that listens there; the folder goes with it.
    pub fn start_at(self, socket: &Path, folder: Option<tempfile::TempDir>) -> Bus {
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let broker = Broker::start(socket, Vec::new()).unwrap();
        let mut bus = self.serve_at(socket);
        (bus.broker, bus._folder) = (Some(broker), folder);
        bus
    }

    /// Puts it all on a bus that is there.
    pub fn serve_at(self, socket: &Path) -> Bus {
        let mut objects: BTreeMap<String, Vec<Method>> = BTreeMap::new();
        for rule in &self.0.rules {
            let methods = objects.entry(rule.object.clone()).or_default();
            if methods.iter().all(|known| known.name != rule.method) {
                methods.push(Method::new(&rule.method));
            }
        }
        let objects: Vec<(String, Vec<Method>)> = objects.into_iter().collect();
        let state = Arc::new(Mutex::new(self.0));
        let stop = Arc::new(AtomicBool::new(false));
        let threads = objects
            .chunks(OBJECTS)
            .map(|objects| serve(socket, objects.to_vec(), Arc::clone(&state), Arc::clone(&stop)))
            .collect();
        Bus { socket: socket.to_path_buf(), _folder: None, broker: None, state, stop, threads }
    }
}

/// A bus with others on it; they leave when it is dropped.
pub struct Bus {
    socket: PathBuf,
    _folder: Option<tempfile::TempDir>,
    broker: Option<Broker>,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Bus {
    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// From now on a method says this; of an object that was offered.
    pub fn now_says(&self, object: &str, method: &str, answer: &str) {
        self.now_says_to(object, method, "{}", answer);
    }

    /// As [`Bus::now_says`], when it is called with these arguments.
    pub fn now_says_to(&self, object: &str, method: &str, arguments: &str, answer: &str) {
        let (object, method) = (object.to_owned(), method.to_owned());
        let arguments = json::parse(arguments).unwrap();
        let answer = Answer::Says(json::parse(answer).unwrap());
        self.state.lock().unwrap().rules.push(Rule { object, method, arguments, answer });
    }

    /// From now on a method keeps silent; of an object that was offered.
    pub fn now_keeps_silent(&self, object: &str, method: &str) {
        let (object, method) = (object.to_owned(), method.to_owned());
        let rule = Rule { object, method, arguments: Table::new(), answer: Answer::Silent };
        self.state.lock().unwrap().rules.push(rule);
    }

    /// From now on a method takes so long to answer, when it is called with these arguments.
    pub fn now_says_late(&self, object: &str, method: &str, arguments: &str, after: Duration) {
        let (object, method) = (object.to_owned(), method.to_owned());
        let arguments = json::parse(arguments).unwrap();
        let answer = Answer::Late(after, Table::new());
        self.state.lock().unwrap().rules.push(Rule { object, method, arguments, answer });
    }

    /// What was asked since this was called last: object, method and arguments, in order.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        drop(self.broker.take());
    }
}

/// Comes back when the objects are there.
fn serve(
    socket: &Path,
    objects: Vec<(String, Vec<Method>)>,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
) -> JoinHandle<()> {
    let mut server = Server::new(socket, Service { objects, ..Service::default() }).unwrap();
    let (tell, ready) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let clock = Monotonic::start();
        let mut unanswered = Vec::new();
        let mut late: Vec<(Duration, _, _)> = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let mut incoming = server.on_tick(clock.now());
            if let Some((fd, wanted)) = server.fd() {
                let mut fds = [PollFd::new(fd, wanted)];
                if poll(&mut fds, PollTimeout::from(10_u8)).unwrap() > 0 {
                    incoming.extend(server.on_ready(clock.now()));
                }
            }
            for (_, request, table) in late.extract_if(.., |(at, ..)| *at <= clock.now()) {
                server.answer(request, Ok(table)).unwrap();
            }
            for one in incoming {
                match one {
                    Incoming::Ready => tell.send(()).unwrap(),
                    Incoming::Call { object, method, arguments, request, .. } => {
                        match state.lock().unwrap().answer(&object, &method, &arguments) {
                            Answer::Says(table) => server.answer(request, Ok(table)).unwrap(),
                            Answer::Refuses(status) => server.answer(request, Err(status)).unwrap(),
                            Answer::Silent => unanswered.push(request),
                            Answer::Late(after, table) => late.push((clock.now() + after, request, table)),
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    });
    ready.recv().unwrap();
    thread
}
