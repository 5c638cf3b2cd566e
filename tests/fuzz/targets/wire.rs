//! What two targets share: servers that have said everything before they are asked, in this thread, so that nothing
//! waits and nothing depends on time.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};
use rcwmp::http::wire::{Secure, Secured, Wire};

thread_local! {
    static LISTENER: TcpListener = TcpListener::bind("127.0.0.1:0").expect("loopback");
}

/// Where this thread can be connected to.
pub fn address() -> SocketAddr {
    LISTENER.with(|listener| listener.local_addr().expect("it is bound"))
}

/// The other end of the connection that was just made. Dropping it resets it, so that no port waits for its like.
pub fn accept() -> TcpStream {
    let (stream, _) = LISTENER.with(TcpListener::accept).expect("somebody has connected");
    setsockopt(&stream, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 }).expect("a socket");
    stream
}

/// A TLS that is none: each handshake begins the next of some conversations.
#[derive(Debug, Clone)]
pub struct Script(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    said: VecDeque<Vec<u8>>,
    /// The most octets of one read.
    step: usize,
    /// Each connection is one to [`address`], and is to be accepted.
    accepts: bool,
    /// A `\0` is not said: what follows it comes with another read.
    pauses: bool,
    /// What was heard, and whether something was said since.
    heard: Vec<Vec<u8>>,
    over: bool,
}

impl Script {
    /// Conversations, and the most octets of one read.
    pub fn new(said: impl IntoIterator<Item = Vec<u8>>, step: usize) -> Script {
        let (said, heard) = (said.into_iter().collect(), Vec::new());
        Script(Arc::new(Mutex::new(Inner { said, step, accepts: true, pauses: false, heard, over: true })))
    }

    /// One conversation over a connection of the caller's, with pauses.
    pub fn over_another(said: Vec<u8>, step: usize) -> Script {
        let script = Script::new([said], step);
        let mut inner = script.0.lock().expect("one thread");
        (inner.accepts, inner.pauses) = (false, true);
        drop(inner);
        script
    }

    /// What was heard: a request each, as they end where an answer is awaited.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.0.lock().expect("one thread").heard.clone()
    }
}

impl Secure for Script {
    fn handshake(&self, _: &str, wire: Wire) -> Result<Box<dyn Secured>, String> {
        let mut inner = self.0.lock().expect("one thread");
        if inner.accepts {
            drop(accept());
        }
        inner.over = true;
        let said = inner.said.pop_front().ok_or("no more")?;
        Ok(Box::new(Talk { wire, said, at: 0, script: self.clone() }))
    }
}

#[derive(Debug)]
struct Talk {
    wire: Wire,
    said: Vec<u8>,
    at: usize,
    script: Script,
}

impl Read for Talk {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.script.0.lock().expect("one thread");
        inner.over = true;
        if inner.pauses {
            while self.said.get(self.at) == Some(&0) {
                self.at += 1;
            }
        }
        let left = &self.said[self.at..];
        let pause = left.iter().position(|octet| inner.pauses && *octet == 0).unwrap_or(left.len());
        let amount = pause.min(buf.len()).min(inner.step);
        buf[..amount].copy_from_slice(&left[..amount]);
        self.at += amount;
        Ok(amount)
    }
}

impl Write for Talk {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut inner = self.script.0.lock().expect("one thread");
        if std::mem::take(&mut inner.over) {
            inner.heard.push(Vec::new());
        }
        inner.heard.last_mut().expect("just pushed").extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Secured for Talk {
    fn set_deadline(&mut self, _: Instant) {}

    fn is_quiet(&mut self) -> bool {
        self.at < self.said.len()
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn never_wait(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.wire.fd()
    }
}
