//! The simulated router's services on ubus: the objects that OpenWrt's daemons offer, over the lab's own broker.
//!
//! ```text
//!  ubus, rcwmpd, tests ──► broker ──► one connection an object ──► state ──► /etc/config /proc /sys
//!                                           ▲ faults, calls                  of the router's folder
//! ```
//! Every object has a connection of its own, so that one can be absent, late or refused without the others. What is
//! shown follows UCI from the reload of the service on: by `service event`, `uci commit` or `network reload`.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use rcwmp::lab::router::{Settings, objects::Router, unpack};
//! let folder = std::path::Path::new("/tmp/router");
//! unpack(folder, &Settings { acs_url: "http://127.0.0.1:9292/".to_owned(), port: 7547 })?;
//! let router = Router::start(folder, &folder.join("var/run/ubus/ubus.sock"))?;
//! // … rcwmpd -f --root /tmp/router, which finds the socket there …
//! assert!(router.count("network.interface", "dump") <= 1);
//! # Ok(()) }
//! ```

mod devices;
mod dhcp;
mod file;
mod hostapd;
mod interfaces;
mod iwinfo;
mod kernel;
mod luci;
mod netifd;
mod reply;
mod services;
mod session;
mod state;
mod system;
mod uci;
mod wireless;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::reply::Answer;
pub use self::state::Call;
use self::state::State;
use super::broker::Broker;
use super::broker::hub::Denial;
use crate::sys::clock::Monotonic;
use crate::ubus::blobmsg::Table;
use crate::ubus::client::Client;
use crate::ubus::msg::Status;
use crate::ubus::server::{Incoming, Request, Server, Service};

/// How long the objects may take to appear.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest sleep of the loop.
const NAP: Duration = Duration::from_secs(60);
/// The most answers that may be late at a time.
const MAX_LATE: usize = 256;
/// The most faults at a time.
const MAX_FAULTS: usize = 256;

type Handler = fn(&mut State, &str, &str, &Table) -> Answer;

/// What goes wrong with an object, or with one of its methods.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The object is not there, whatever method is named.
    Absent,
    /// It answers, but only after this time.
    Late(Duration),
    /// It never answers.
    Never,
    /// Its answer is larger than a message can be: ubusd cuts the object off, which comes back at once, and the
    /// caller hears nothing.
    TooLarge,
    /// It refuses with this word; [`Status::PermissionDenied`] is that of an ACL.
    Refused(Status),
    /// It says this instead.
    Says(Table),
}

/// A router that runs; dropping it ends it.
pub struct Router {
    broker: Broker,
    shared: Arc<Shared>,
    wake: UnixStream,
    thread: Option<JoinHandle<()>>,
}

/// What the loop and its owner share.
struct Shared {
    state: Mutex<State>,
    faults: Mutex<BTreeMap<(String, Option<String>), Fault>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, BTreeMap<(String, Option<String>), Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong with a call, that of the method before that of the whole object.
    fn fault(&self, object: &str, method: &str) -> Option<Fault> {
        let faults = self.faults();
        let of = |method: Option<&str>| faults.get(&(object.to_owned(), method.map(str::to_owned))).cloned();
        of(Some(method)).or_else(|| of(None))
    }
}

impl Router {
    /// Serves an unpacked router on a socket; returns when every object is there.
    ///
    /// # Errors
    /// When there is no such folder or it is this machine's own root, when the socket cannot be made, or the objects
    /// do not appear within ten seconds.
    pub fn start(folder: &Path, socket: &Path) -> io::Result<Router> {
        Router::start_with(folder, socket, Vec::new())
    }

    /// [`Router::start`] with an ACL: the list of what ubusd denies.
    ///
    /// # Errors
    /// As of [`Router::start`].
    pub fn start_with(folder: &Path, socket: &Path, denials: Vec<Denial>) -> io::Result<Router> {
        // A reload writes into the folder's `/proc` and `/sys`.
        if fs::canonicalize(folder)? == Path::new("/") {
            return Err(io::Error::other("the folder of the simulated router is this machine's own root"));
        }
        if let Some(parent) = socket.parent() {
            fs::create_dir_all(parent)?;
        }
        let broker = Broker::start(socket, denials)?;
        let shared = Arc::new(Shared { state: Mutex::new(State::new(folder)), faults: Mutex::default() });
        let (wake, woken) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        let services = Services {
            socket: socket.to_path_buf(),
            shared: Arc::clone(&shared),
            woken,
            clock: Monotonic::start(),
            generation: None,
            offered: BTreeMap::new(),
        };
        let thread = thread::Builder::new().name("router".to_owned()).spawn(move || services.run())?;
        let router = Router { broker, shared, wake, thread: Some(thread) };
        router.settle()?;
        Ok(router)
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        self.broker.path()
    }

    /// Every call that reached an object, the oldest first; the last 4096 of them. What `uci commit` sets off is
    /// among them, by `rpcd`.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.state().calls()
    }

    /// [`Router::calls`], which are forgotten.
    pub fn take_calls(&self) -> Vec<Call> {
        self.shared.state().take_calls()
    }

    /// How many calls there were of a method.
    pub fn count(&self, object: &str, method: &str) -> usize {
        self.calls().iter().filter(|call| call.object == object && call.method == method).count()
    }

    /// The services that have read their configuration again, in order.
    pub fn reloads(&self) -> Vec<String> {
        self.shared.state().reloads()
    }

    /// Forgets calls and reloads.
    pub fn forget(&self) {
        self.shared.state().forget();
    }

    /// Switches a fault on for an object, or for one of its methods, in place of the one before; `None` switches it
    /// off. Returns when ubus shows it.
    ///
    /// # Errors
    /// When there are more than 256 faults, or an object does not come or go within ten seconds.
    pub fn set_fault(&self, object: &str, method: Option<&str>, fault: Option<Fault>) -> io::Result<()> {
        {
            let mut faults = self.shared.faults();
            let place = (object.to_owned(), method.map(str::to_owned));
            match fault {
                None => drop(faults.remove(&place)),
                Some(_) if faults.len() >= MAX_FAULTS && !faults.contains_key(&place) => {
                    return Err(io::Error::other(format!("more than {MAX_FAULTS} faults")));
                }
                Some(fault) => drop(faults.insert(place, fault)),
            }
        }
        self.settle()
    }

    /// Waits until ubus shows the objects that there are.
    ///
    /// # Errors
    /// When it does not within ten seconds.
    pub fn settle(&self) -> io::Result<()> {
        (&self.wake).write_all(b"w")?;
        let start = Instant::now();
        loop {
            let wanted: Vec<_> = offers(&self.shared).into_keys().collect();
            let mut shown: Vec<_> = Client::connect(self.socket(), PATIENCE)
                .and_then(|mut client| client.list(None, PATIENCE))
                .map_err(io::Error::other)?
                .into_iter()
                .map(|found| found.path.to_string())
                .collect();
            shown.sort();
            // Others may offer theirs, an agent perhaps.
            shown.retain(|path| is_ours(path));
            if shown == wanted {
                return Ok(());
            }
            if start.elapsed() >= PATIENCE {
                return Err(io::Error::other(format!("ubus shows {shown:?} instead of {wanted:?}")));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.wake.write_all(b"x");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The objects with fixed names.
const FIXED: &[(&str, &[&str], Handler)] = &[
    ("dhcp", dhcp::METHODS, dhcp::dhcp),
    ("file", file::METHODS, file::file),
    ("iwinfo", iwinfo::METHODS, iwinfo::iwinfo),
    ("log", system::LOG, system::log),
    ("luci-rpc", luci::METHODS, luci::luci),
    ("network", netifd::NETWORK, netifd::network),
    ("network.device", devices::METHODS, devices::device),
    ("network.interface", netifd::INTERFACE, netifd::interface),
    ("network.wireless", netifd::WIRELESS, netifd::wireless),
    ("service", services::METHODS, services::service),
    ("session", session::METHODS, session::session),
    ("system", system::SYSTEM, system::system),
    ("uci", uci::METHODS, uci::uci),
];

/// The objects that there are, whatever is wrong with them.
fn objects(state: &State) -> BTreeMap<String, (&'static [&'static str], Handler)> {
    let mut out: BTreeMap<String, (&'static [&'static str], Handler)> =
        FIXED.iter().map(|(path, methods, handler)| ((*path).to_owned(), (*methods, *handler))).collect();
    for one in interfaces::all(state) {
        out.insert(format!("network.interface.{}", one.name), (netifd::INTERFACE, netifd::interface));
    }
    for (_, _, device) in
        wireless::points(&wireless::radios(state)).filter(|(_, point, _)| point.mode == "ap")
    {
        out.insert(format!("hostapd.{device}"), (hostapd::METHODS, hostapd::hostapd));
    }
    out
}

/// The objects that are to be offered.
fn offers(shared: &Shared) -> BTreeMap<String, (&'static [&'static str], Handler)> {
    let mut out = objects(&shared.state());
    let absent = |path: &String| {
        shared.faults().iter().any(|((object, _), fault)| object == path && *fault == Fault::Absent)
    };
    out.retain(|path, _| !absent(path));
    out
}

/// Whether an object with this name is the router's and not somebody else's.
fn is_ours(path: &str) -> bool {
    FIXED.iter().any(|(fixed, ..)| *fixed == path)
        || path.starts_with("network.interface.")
        || path.starts_with("hostapd.")
}

/// The loop behind the objects.
struct Services {
    socket: PathBuf,
    shared: Arc<Shared>,
    woken: UnixStream,
    clock: Monotonic,
    /// Of the state when the objects were looked at last.
    generation: Option<u32>,
    offered: BTreeMap<String, Offered>,
}

struct Offered {
    server: Server,
    handler: Handler,
    /// Answers that are held back until their time; without a time for ever.
    late: Vec<(Option<Duration>, Request, Answer)>,
}

impl Services {
    fn run(mut self) {
        loop {
            let generation = self.shared.state().generation;
            if self.generation != Some(generation) {
                self.generation = Some(generation);
                self.offer();
            }
            let mut incoming = Vec::new();
            let now = self.clock.now();
            for (path, offered) in &mut self.offered {
                incoming.extend(offered.server.on_tick(now).into_iter().map(|what| (path.clone(), what)));
                offered.answer_late(now);
            }
            let deadlines = self.offered.values().flat_map(|offered| {
                let late = offered.late.iter().filter_map(|(at, ..)| *at);
                offered.server.deadline().into_iter().chain(late)
            });
            let next = deadlines.min().map_or(NAP, |at| at.saturating_sub(now)).min(NAP);
            let (paths, mut fds): (Vec<_>, Vec<_>) = self
                .offered
                .iter()
                .filter_map(|(path, offered)| Some((path.clone(), offered.server.fd()?)))
                .map(|(path, (fd, wanted))| (path, PollFd::new(fd, wanted)))
                .unzip();
            fds.push(PollFd::new(self.woken.as_fd(), PollFlags::POLLIN));
            let millis = u16::try_from(next.as_millis()).unwrap_or(u16::MAX - 1).saturating_add(1);
            let wait = if incoming.is_empty() { PollTimeout::from(millis) } else { PollTimeout::ZERO };
            let polled = poll(&mut fds, wait).is_ok();
            let ready: Vec<_> = fds.iter().map(|fd| polled && fd.any().unwrap_or(false)).collect();
            drop(fds);
            if ready.last() == Some(&true) && !self.wake() {
                return;
            }
            let now = self.clock.now();
            for (path, _) in paths.into_iter().zip(ready).filter(|(_, ready)| *ready) {
                if let Some(offered) = self.offered.get_mut(&path) {
                    let found = offered.server.on_ready(now);
                    incoming.extend(found.into_iter().map(|what| (path.clone(), what)));
                }
            }
            for (path, what) in incoming {
                if let Incoming::Call { method, arguments, user, request, .. } = what {
                    let by = user.map(|user| user.to_string()).unwrap_or_default();
                    self.serve(&path, &method, &arguments, &by, request);
                }
            }
            self.tell();
        }
    }

    /// Reads why it was woken; false for the end.
    fn wake(&mut self) -> bool {
        let mut words = [0; 64];
        match self.woken.read(&mut words) {
            Ok(count) => {
                self.generation = None;
                count > 0 && !words[..count].contains(&b'x')
            }
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }

    /// Offers what is to be offered and takes the rest away.
    fn offer(&mut self) {
        let wanted = offers(&self.shared);
        self.offered.retain(|path, _| wanted.contains_key(path));
        for (path, (methods, handler)) in wanted {
            if self.offered.contains_key(&path) {
                continue;
            }
            let service =
                Service { objects: vec![(path.clone(), reply::methods(methods))], ..Service::default() };
            // One object is never too many.
            if let Ok(server) = Server::new(&self.socket, service) {
                self.offered.insert(path, Offered { server, handler, late: Vec::new() });
            }
        }
    }

    fn serve(&mut self, path: &str, method: &str, arguments: &Table, by: &str, request: Request) {
        let Some(offered) = self.offered.get_mut(path) else { return };
        let fault = self.shared.fault(path, method);
        let mut state = self.shared.state();
        state.called(path, method, arguments, by);
        let now = self.clock.now();
        let mut answer = || (offered.handler)(&mut state, path, method, arguments);
        match fault {
            None | Some(Fault::Absent) => {
                let answer = answer();
                offered.answer(request, answer);
            }
            Some(Fault::Refused(status)) => offered.answer(request, Err(status)),
            Some(Fault::Says(table)) => offered.answer(request, Ok(Some(table))),
            Some(Fault::Late(_) | Fault::Never) if offered.late.len() >= MAX_LATE => {
                offered.answer(request, Err(Status::NoMemory));
            }
            Some(Fault::Late(time)) => {
                let answer = answer();
                offered.late.push((Some(now.saturating_add(time)), request, answer));
            }
            Some(Fault::Never) => offered.late.push((None, request, Ok(None))),
            Some(Fault::TooLarge) => {
                drop(state);
                self.offered.remove(path);
                self.generation = None;
            }
        }
    }

    /// Tells the events that calls have set off.
    fn tell(&mut self) {
        let events = std::mem::take(&mut self.shared.state().events);
        for (name, data) in events {
            for offered in self.offered.values_mut().filter(|offered| offered.server.is_ready()) {
                if offered.server.send_event(&name, &data).is_ok() {
                    break;
                }
            }
        }
    }
}

impl Offered {
    /// What cannot be sent has nobody left who waits for it.
    fn answer(&mut self, request: Request, answer: Answer) {
        let _ = match answer {
            Ok(Some(table)) => self.server.answer(request, Ok(table)),
            Ok(None) => self.server.complete(request, Status::Ok),
            Err(status) => self.server.complete(request, status),
        };
    }

    fn answer_late(&mut self, now: Duration) {
        while let Some(at) = self.late.iter().position(|(time, ..)| time.is_some_and(|time| time <= now)) {
            let (_, request, answer) = self.late.swap_remove(at);
            self.answer(request, answer);
        }
    }
}
