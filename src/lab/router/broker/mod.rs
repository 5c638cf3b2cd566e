//! A ubus broker of the lab's own: what ubusd is on a router, on a socket of one's choice.
//!
//! ```text
//!  ubus, rcwmpd, tests ──► socket ──► thread: poll ──► hub ──► poll ──► socket
//!                                        ▲ stop
//! ```
//! One thread, at most 64 clients. A client that does not read what is sent to it is heard no more, and is cut off
//! once 8 MiB wait for it.

pub mod hub;
mod monitors;

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Gid, Group, Uid, User};

use crate::sys::rng;
use crate::ubus::msg::Reader;
use hub::{Denial, Hub, Out};

/// Octets that may wait for a client that still is heard.
const MAX_LAG: usize = 1 << 20;
/// Octets that may wait for a client.
const MAX_UNSENT: usize = 8 << 20;
/// Octets read at a time.
const BLOCK: usize = 64 << 10;

/// A running broker; it ends when it is dropped.
#[derive(Debug)]
pub struct Broker {
    path: PathBuf,
    stop: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Broker {
    /// Listens on a socket, in place of a dead one that is left there, and denies what the list says.
    ///
    /// # Errors
    /// When the socket cannot be made, or something else is at its place: `AddrInUse` where somebody answers at it,
    /// who would lose all that come after.
    pub fn start(path: &Path, denials: Vec<Denial>) -> io::Result<Broker> {
        if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            // Only of a dead one this is said; a living one may as well be too busy, or not be for us.
            if !UnixStream::connect(path).is_err_and(|why| why.kind() == io::ErrorKind::ConnectionRefused) {
                let why = format!("another ubus runs at {}", path.display());
                return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
            }
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        let (stop, stopped) = UnixStream::pair()?;
        let hub = Hub::new(denials, Box::new(numbers()));
        let thread = std::thread::Builder::new().name("ubus broker".to_owned()).spawn(move || {
            Daemon { listener, stopped, hub, clients: Vec::new() }.run();
        })?;
        Ok(Broker { path: path.to_path_buf(), stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends it: every client is cut off and the socket is gone.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.stop.write_all(b"x");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// Random numbers, as ubusd gives them: a counter would hide mix-ups of numbers.
fn numbers() -> impl FnMut(hub::Numbered) -> u32 + Send {
    let mut spare = 0x4000_0000;
    move |_| {
        spare += 1;
        rng::number().unwrap_or(spare)
    }
}

struct Daemon {
    listener: UnixListener,
    stopped: UnixStream,
    hub: Hub,
    clients: Vec<Connection>,
}

struct Connection {
    id: u32,
    stream: UnixStream,
    reader: Reader,
    unsent: Vec<u8>,
    alive: bool,
}

impl Connection {
    fn wanted(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        if self.unsent.len() < MAX_LAG {
            flags |= PollFlags::POLLIN;
        }
        if !self.unsent.is_empty() {
            flags |= PollFlags::POLLOUT;
        }
        flags
    }

    fn send(&mut self) {
        let mut sent = 0;
        while self.alive && sent < self.unsent.len() {
            match self.stream.write(&self.unsent[sent..]) {
                Ok(count) if count > 0 => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => self.alive = false,
            }
        }
        self.unsent.drain(..sent);
        self.alive &= self.unsent.len() <= MAX_UNSENT;
    }

    fn receive(&mut self, hub: &mut Hub, out: &mut Out) {
        let mut block = [0; BLOCK];
        match self.stream.read(&mut block) {
            Ok(0) => self.alive = false,
            Ok(count) => self.reader.feed(&block[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.alive = false,
        }
        while let Some(raw) = self.reader.raw() {
            match raw {
                Ok(raw) => hub.receive(self.id, raw, out),
                Err(_) => {
                    self.alive = false;
                    break;
                }
            }
        }
    }
}

impl Daemon {
    fn run(mut self) {
        loop {
            let mut fds = vec![
                PollFd::new(self.stopped.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
            ];
            fds.extend(self.clients.iter().map(|client| PollFd::new(client.stream.as_fd(), client.wanted())));
            if poll(&mut fds, PollTimeout::NONE).is_err() {
                continue;
            }
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
            if ready[0] {
                return;
            }
            let mut out = Out::new();
            for (client, ready) in self.clients.iter_mut().zip(&ready[2..]) {
                if *ready {
                    client.send();
                    if client.unsent.len() < MAX_LAG {
                        client.receive(&mut self.hub, &mut out);
                    }
                }
            }
            if ready[1] {
                self.accept(&mut out);
            }
            self.deliver(out);
        }
    }

    /// Sends what is to be sent, and buries the dead, whose ends others are told in turn.
    fn deliver(&mut self, mut out: Out) {
        loop {
            for (to, octets) in out.drain(..) {
                if let Some(client) = self.clients.iter_mut().find(|client| client.id == to && client.alive) {
                    client.unsent.extend(octets);
                    client.send();
                }
            }
            let Some(at) = self.clients.iter().position(|client| !client.alive) else { return };
            let dead = self.clients.swap_remove(at);
            self.hub.disconnect(dead.id, &mut out);
        }
    }

    fn accept(&mut self, out: &mut Out) {
        while let Ok((stream, _)) = self.listener.accept() {
            let (user, group) = names(&stream);
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            // One too many is closed at once.
            if let Some(id) = self.hub.connect(&user, &group, out) {
                let reader = Reader::new();
                self.clients.push(Connection { id, stream, reader, unsent: Vec::new(), alive: true });
            }
        }
    }
}

/// The names of a client's user and group; their numbers where the system has no names.
fn names(stream: &UnixStream) -> (String, String) {
    let Ok(credentials) = getsockopt(stream, sockopt::PeerCredentials) else {
        return ("nobody".to_owned(), "nogroup".to_owned());
    };
    let (uid, gid) = (credentials.uid(), credentials.gid());
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name);
    (user.unwrap_or_else(|| uid.to_string()), group.unwrap_or_else(|| gid.to_string()))
}
