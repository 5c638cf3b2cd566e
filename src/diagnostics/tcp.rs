//! A TCP connection of a throughput test: its open timed to the microsecond, every wait of it ended
//! by the test's deadline, its cancel flag, or the failure of another connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{SockType, SockaddrStorage, connect};

use crate::diagnostics::socket::{self, Way};
use crate::diagnostics::{Control, State};

/// How long a peer may be silent: in connecting, in answering, within a transfer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The longest wait without a look at the other connections.
const SLICE: Duration = Duration::from_millis(100);

/// What a connection is under.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule<'a> {
    pub(crate) control: &'a Control<'a>,
    /// Raised when another connection of the test failed.
    pub(crate) abort: &'a AtomicBool,
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Got {
    /// This many octets.
    Data(usize),
    /// The peer has closed.
    End,
    /// Nothing by the given time.
    Late,
}

/// What a write brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// This many octets have left.
    Data(usize),
    /// The peer does not take any more.
    Closed,
    /// Nothing left by the given time.
    Late,
}

/// A connection, and when its SYN left and the answer to it was seen.
#[derive(Debug)]
pub(crate) struct Link<'a> {
    stream: TcpStream,
    rule: Rule<'a>,
    pub(crate) requested: Instant,
    pub(crate) responded: Instant,
}

impl<'a> Link<'a> {
    /// Connects. Errs with `NoRouteToHost` or `InitConnectionFailed`.
    pub(crate) fn connect(peer: SocketAddr, way: &Way<'_>, rule: Rule<'a>) -> Result<Link<'a>, State> {
        let failed = |error: Errno| socket::fault(&error.into(), State::InitConnectionFailed);
        let fd = socket::open(peer.is_ipv6(), SockType::Stream, None, way).map_err(failed)?;
        let requested = Instant::now();
        match connect(fd.as_raw_fd(), &SockaddrStorage::from(peer)) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(failed(error)),
        }
        let mut link = Link { stream: fd.into(), rule, requested, responded: requested };
        if !link.wait(PollFlags::POLLOUT, rule.control.after(PATIENCE))? {
            return Err(State::InitConnectionFailed);
        }
        link.responded = Instant::now();
        match link.stream.take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return Err(socket::fault(&error, State::InitConnectionFailed)),
        }
        // Small commands must not wait for one another; a failure only costs time.
        let _ = link.stream.set_nodelay(true);
        Ok(link)
    }

    /// Reads what there is. Errs if the connection breaks, with `TransferFailed`.
    pub(crate) fn read(&mut self, buffer: &mut [u8], until: Instant) -> Result<Got, State> {
        while self.wait(PollFlags::POLLIN, until)? {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(Got::End),
                Ok(count) => return Ok(Got::Data(count)),
                Err(error) if is_wait(&error) => {}
                Err(_) => return Err(State::TransferFailed),
            }
        }
        Ok(Got::Late)
    }

    /// Writes what the kernel takes.
    pub(crate) fn write(&mut self, bytes: &[u8], until: Instant) -> Result<Put, State> {
        while self.wait(PollFlags::POLLOUT, until)? {
            match self.stream.write(bytes) {
                Ok(count) => return Ok(Put::Data(count)),
                Err(error) if is_wait(&error) => {}
                Err(_) => return Ok(Put::Closed),
            }
        }
        Ok(Put::Late)
    }

    /// Writes all of it. Errs with `TransferFailed` or `Timeout`.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), State> {
        let until = self.rule.control.after(PATIENCE);
        while !bytes.is_empty() {
            match self.write(bytes, until)? {
                Put::Data(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Put::Closed => return Err(State::TransferFailed),
                Put::Late => return Err(State::Timeout),
            }
        }
        Ok(())
    }

    fn wait(&self, flags: PollFlags, until: Instant) -> Result<bool, State> {
        loop {
            if self.rule.abort.load(Ordering::Relaxed) {
                return Err(State::Canceled);
            }
            let now = Instant::now();
            let slice = until.min(now + SLICE);
            if self.rule.control.wait(self.stream.as_fd(), flags, slice)? {
                return Ok(true);
            }
            if slice == until {
                return Ok(false);
            }
        }
    }
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
