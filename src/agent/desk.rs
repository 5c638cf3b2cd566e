//! The desk: whoever comes over ubus is answered here, whatever the daemon's loop is busy with.
//!
//! ```text
//!  ubusd ─► thread ─┬─ tr069 …: answered at once from what the loop has put up ─► wishes ─┐
//!                   ├─ rcwmp …: needs the model ────────────────────────────────► calls ──┼─► the loop
//!                   └─ an interface has changed ────────────────────────────────► flags ──┘     │
//!  ubusd ◄─ thread ◄──────────────────────────── answers ◄──────────────────────────────────────┘
//! ```
//! The loop may read the model for seconds, when another program on ubus keeps silent. Everything in between is
//! bounded: wishes are kept once each, and a call too many is refused with "Out of memory", ubus's word for it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use log::{debug, info, warn};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::commands;
use super::control::{self, OBJECT, Status, Wanted};
use super::job::STACK;
use crate::sys::clock::Monotonic;
use crate::sys::thread;
use crate::ubus::blobmsg::Table;
use crate::ubus::msg::Status as Word;
use crate::ubus::server::{Incoming, Request, ServeError, Server, Service};
use crate::uci::{Store, StoreError};

/// The event of netifd.
const NETWORK: &str = "network.interface";
/// The most interfaces that come up between two looks of the loop.
const MAX_UP: usize = 64;
/// The most calls that wait for the loop.
const MAX_CALLS: usize = 16;
/// How long the thread rests where the system has nothing left for it to wait with.
const REST: Duration = Duration::from_secs(1);

/// A call that needs the loop; [`Desk::answer`] must follow.
#[derive(Debug)]
pub struct Call {
    /// The method of the object `rcwmp`.
    pub method: String,
    /// Its arguments, not looked at yet.
    pub arguments: Table,
    /// For the answer.
    pub request: Request,
    /// When it came, by the clock of [`Desk::new`].
    pub came: Duration,
}

/// What has come for the loop.
#[derive(Debug, Default)]
pub struct Errands {
    /// What callers of `tr069` have been promised, each once.
    pub wishes: Vec<Wanted>,
    /// An interface has changed.
    pub network_changed: bool,
    /// And these have come up, by netifd's names.
    pub came_up: Vec<String>,
}

#[derive(Debug, Default)]
struct Shared {
    status: Status,
    errands: Errands,
    calls: VecDeque<Call>,
    answers: Vec<(Request, Result<Table, Word>)>,
    /// Our objects were on ubus once.
    has_stood: bool,
    /// The daemon ends.
    over: bool,
}

/// The loop's side. Dropping it sends the answers that are there, and ends the thread.
#[derive(Debug)]
pub struct Desk {
    shared: Arc<Mutex<Shared>>,
    /// For the thread.
    bell: Arc<EventFd>,
    /// Until the thread has it.
    closed: Option<Clerk>,
    open: Option<JoinHandle<()>>,
}

/// The thread's side.
#[derive(Debug)]
struct Clerk {
    server: Server,
    shared: Arc<Mutex<Shared>>,
    bell: Arc<EventFd>,
    /// For the loop.
    wake: Arc<EventFd>,
    clock: Monotonic,
    /// Read here too, since the answer to a reload does not wait for the loop.
    config: Store,
}

impl Desk {
    /// What we offer on ubus and hear there, once [`Desk::open`] was called. `wake` is written to when there is
    /// something for the loop; whether `/etc/config/cwmp` can be read is seen in `config`.
    ///
    /// # Errors
    /// When the system has no eventfd left, or [`ServeError`].
    pub fn new(socket: &Path, wake: Arc<EventFd>, clock: Monotonic, config: Store) -> Result<Desk, String> {
        let objects =
            vec![(OBJECT.to_owned(), control::methods()), (commands::OBJECT.to_owned(), commands::methods())];
        let events = vec![NETWORK.to_owned()];
        let service = Service { objects, events, ..Service::default() };
        let server = Server::new(socket, service).map_err(|why: ServeError| why.to_string())?;
        let bell = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC);
        let bell = Arc::new(bell.map_err(|why| format!("making an eventfd: {why}"))?);
        let shared = Arc::new(Mutex::new(Shared::default()));
        let clerk =
            Clerk { server, shared: Arc::clone(&shared), bell: Arc::clone(&bell), wake, clock, config };
        Ok(Desk { shared, bell, closed: Some(clerk), open: None })
    }

    /// Begins to serve, with this to tell.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn open(&mut self, status: Status) -> io::Result<()> {
        self.show(status);
        if let Some(clerk) = self.closed.take() {
            self.open = Some(thread::joined("ubus", STACK, Box::new(move || clerk.serve()))?);
        }
        Ok(())
    }

    /// Whether the thread has ended by itself, which only a panic can make it.
    pub fn is_lost(&self) -> bool {
        self.open.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Whether there was a ubusd in this life.
    pub fn has_stood(&self) -> bool {
        lock(&self.shared).has_stood
    }

    /// Puts up what `tr069 status` tells from now on.
    pub fn show(&self, status: Status) {
        lock(&self.shared).status = status;
    }

    /// Takes what has come for the loop, but for calls.
    pub fn errands(&self) -> Errands {
        std::mem::take(&mut lock(&self.shared).errands)
    }

    /// Takes the oldest calls, so many at the most.
    pub fn calls(&self, most: usize) -> Vec<Call> {
        let calls = &mut lock(&self.shared).calls;
        let count = calls.len().min(most);
        calls.drain(..count).collect()
    }

    /// Whether calls wait.
    pub fn has_calls(&self) -> bool {
        !lock(&self.shared).calls.is_empty()
    }

    /// Answers a call. There are no more answers than calls, and those are bounded.
    pub fn answer(&self, request: Request, answer: Result<Table, Word>) {
        lock(&self.shared).answers.push((request, answer));
        let _ = self.bell.write(1);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        lock(&self.shared).over = true;
        let _ = self.bell.write(1);
        // The thread waits for nothing but the bell and ubusd, so that this is soon.
        let _ = self.open.take().map(JoinHandle::join);
    }
}

/// Nothing panics with the lock held, so what a panic elsewhere leaves is whole.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clerk {
    fn serve(mut self) {
        loop {
            let mut incoming = self.server.on_tick(self.clock.now());
            if self.wait() {
                incoming.extend(self.server.on_ready(self.clock.now()));
            }
            let _ = self.bell.read();
            incoming.into_iter().for_each(|one| self.take(one));
            let (answers, over) = {
                let mut shared = lock(&self.shared);
                (std::mem::take(&mut shared.answers), shared.over)
            };
            answers.into_iter().for_each(|(request, answer)| self.answer(request, answer));
            if over {
                return;
            }
        }
    }

    /// Waits for ubusd, the bell, or the server's deadline; whether ubusd has something.
    fn wait(&self) -> bool {
        let until = self.server.deadline().map(|at| at.saturating_sub(self.clock.now()).as_millis() + 1);
        let until =
            until.map_or(PollTimeout::NONE, |wait| PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX));
        let mut fds = vec![PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.server.fd().map(|(fd, flags)| PollFd::new(fd, flags)));
        match poll(&mut fds, until) {
            Ok(_) => fds.get(1).and_then(PollFd::any).unwrap_or(false),
            Err(Errno::EINTR) => false,
            Err(why) => {
                warn!("ubus: waiting for calls: {why}");
                std::thread::sleep(REST);
                false
            }
        }
    }

    fn take(&mut self, one: Incoming) {
        match one {
            Incoming::Call { object, method, arguments, user, request, .. } => {
                let by = user.map(|user| user.to_str().into_owned()).unwrap_or_default();
                debug!("ubus: {object} {method} by {by}");
                match object == commands::OBJECT {
                    true => self.hand_over(method, arguments, request),
                    false => self.say(&method, &arguments, request),
                }
            }
            Incoming::Refused { name, status } => warn!("ubus refuses {name}: {status}"),
            Incoming::Down(why) => info!("no ubus for now: {why}"),
            Incoming::Ready => {
                lock(&self.shared).has_stood = true;
                info!("{OBJECT} is on ubus");
            }
            Incoming::Event { data, .. } => {
                let errands = &mut lock(&self.shared).errands;
                errands.network_changed = true;
                if let (Some("ifup"), Some(name)) = (data.text("action").as_deref(), data.text("interface"))
                    && errands.came_up.len() < MAX_UP
                    && !errands.came_up.iter().any(|other| *other == name)
                {
                    errands.came_up.push(name.into_owned());
                }
                let _ = self.wake.write(1);
            }
            Incoming::Notification { .. } | Incoming::Subscribers { .. } => {}
        }
    }

    /// Whether a reload can be done: a configuration that is not there is all defaults.
    fn is_readable(&mut self) -> bool {
        self.config.refresh();
        match self.config.package("cwmp") {
            Ok(_) | Err(StoreError::NoPackage(_)) => true,
            Err(why) => {
                warn!("no reload, the configuration stays as it was: {why}");
                false
            }
        }
    }

    /// A call of `tr069`: its answer depends on nothing but what was put up and the configuration, and its wish is for
    /// the loop.
    fn say(&mut self, method: &str, arguments: &Table, request: Request) {
        let status = lock(&self.shared).status.clone();
        let (reply, wanted) = match method {
            "status" => (Ok(control::status(&status)), None),
            "inform" => ok(control::inform(arguments, status.is_up, status.is_running())),
            "command" => ok(control::command(arguments, status.is_running(), || self.is_readable())),
            "notify" => ok(control::notify()),
            _ => (Err(Word::MethodNotFound), None),
        };
        // Before the loop hears of it: the end of the daemon is one of the wishes.
        self.answer(request, reply);
        if let Some(wanted) = wanted {
            let wishes = &mut lock(&self.shared).errands.wishes;
            if !wishes.contains(&wanted) {
                wishes.push(wanted);
            }
            let _ = self.wake.write(1);
        }
    }

    /// A call of `rcwmp`.
    fn hand_over(&mut self, method: String, arguments: Table, request: Request) {
        let came = self.clock.now();
        // Nobody else adds any.
        if lock(&self.shared).calls.len() >= MAX_CALLS {
            warn!("ubus: {} {method} is refused: {MAX_CALLS} calls wait", commands::OBJECT);
            return self.answer(request, Err(Word::NoMemory));
        }
        lock(&self.shared).calls.push_back(Call { method, arguments, request, came });
        let _ = self.wake.write(1);
    }

    fn answer(&mut self, request: Request, reply: Result<Table, Word>) {
        if let Err(why) = self.server.answer(request, reply) {
            warn!("ubus: a call is not answered: {why}");
        }
    }
}

fn ok<R, W, E>((reply, wanted): (R, W)) -> (Result<R, E>, W) {
    (Ok(reply), wanted)
}
