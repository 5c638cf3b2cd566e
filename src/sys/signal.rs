//! Signals as bytes on a socket that the poll loop watches.
//!
//! A self-pipe and not signalfd: children would inherit the blocked mask. The handlers only write a
//! byte; the work happens in the loop.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// What a signal asks of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM or SIGINT: end cleanly.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// The receiving ends, one for each meaning.
#[derive(Debug)]
pub struct Signals {
    stop: UnixStream,
    reload: UnixStream,
}

impl Signals {
    /// Installs the handlers. Once in a process.
    ///
    /// # Errors
    /// When sockets or handlers cannot be made.
    pub fn install() -> io::Result<Signals> {
        let (stop, stop_in) = UnixStream::pair()?;
        let (reload, reload_in) = UnixStream::pair()?;
        for end in [&stop, &reload, &stop_in, &reload_in] {
            end.set_nonblocking(true)?;
        }
        pipe::register(SIGTERM, stop_in.try_clone()?)?;
        pipe::register(SIGINT, stop_in)?;
        pipe::register(SIGHUP, reload_in)?;
        Ok(Signals { stop, reload })
    }

    /// The descriptors to poll for reading.
    pub fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.stop.as_fd(), self.reload.as_fd()]
    }

    /// What was asked since the last call; stopping goes first.
    pub fn asked(&mut self) -> Option<Asked> {
        let came = |end: &mut UnixStream| {
            let mut bytes = [0; 64];
            let mut any = false;
            while matches!(end.read(&mut bytes), Ok(count) if count > 0) {
                any = true;
            }
            any
        };
        let (stop, reload) = (came(&mut self.stop), came(&mut self.reload));
        if stop {
            return Some(Asked::Stop);
        }
        reload.then_some(Asked::Reload)
    }
}
