//! A connection to ubusd that never waits: a socket and the peer behind it.
//!
//! Octets are read with plain `read(2)`: descriptors that come with them are closed by the kernel.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr};

use super::msg::ReadError;
use super::peer::{Event, Peer};

/// Octets read at a time.
const BLOCK: usize = 16 << 10;
/// Blocks read at one go, so that a flood leaves time for the rest.
const MAX_BLOCKS: usize = 64;

/// Why there is no connection, or none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkError {
    /// Nobody listens there, in the system's words.
    Connect(PathBuf, Errno),
    /// ubusd closed it.
    Closed,
    /// What comes is not ubus.
    Broken(ReadError),
    /// The system's words.
    Io(String),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Connect(path, why) => {
                write!(f, "no connection to ubus at {}: {}", path.display(), why.desc())
            }
            LinkError::Closed => write!(f, "ubus closed the connection"),
            LinkError::Broken(why) => write!(f, "the connection to ubus is unusable: {why}"),
            LinkError::Io(why) => write!(f, "the connection to ubus failed: {why}"),
        }
    }
}

impl std::error::Error for LinkError {}

/// The connection.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    /// What goes over it.
    pub(super) peer: Peer,
}

impl Link {
    /// Connects without waiting: a listener whose queue is full refuses with `EAGAIN`.
    pub(super) fn connect(path: &Path) -> Result<Link, LinkError> {
        let connect = || -> Result<OwnedFd, Errno> {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let fd = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
            socket::connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
            Ok(fd)
        };
        let fd = connect().map_err(|error| LinkError::Connect(path.to_path_buf(), error))?;
        Ok(Link { stream: UnixStream::from(fd), peer: Peer::new() })
    }

    /// What to poll.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// And for what.
    pub(super) fn wanted(&self) -> PollFlags {
        match self.peer.unsent().is_empty() {
            true => PollFlags::POLLIN,
            false => PollFlags::POLLIN | PollFlags::POLLOUT,
        }
    }

    /// Sends as far as it goes without waiting.
    pub(super) fn send(&mut self) -> Result<(), LinkError> {
        while !self.peer.unsent().is_empty() {
            match self.stream.write(self.peer.unsent()) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(count) => self.peer.sent(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Ok(())
    }

    /// Sends and reads as far as it goes without waiting. Events are given even when the connection then fails.
    pub(super) fn exchange(&mut self, events: &mut Vec<Event>) -> Result<(), LinkError> {
        // What came before the other side closed counts, so that reading goes first.
        self.read(events)?;
        self.send()
    }

    fn read(&mut self, events: &mut Vec<Event>) -> Result<(), LinkError> {
        let mut block = [0; BLOCK];
        for _ in 0..MAX_BLOCKS {
            match self.stream.read(&mut block) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(count) => {
                    let came = self.peer.receive(&block[..count]);
                    let fatal = came.iter().find_map(|event| match event {
                        Event::Unreadable(error) if error.is_fatal() => Some(error.clone()),
                        _ => None,
                    });
                    events.extend(came);
                    if let Some(error) = fatal {
                        return Err(LinkError::Broken(error));
                    }
                    if count < BLOCK {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Ok(())
    }
}

fn failed(error: &io::Error) -> LinkError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => LinkError::Closed,
        _ => LinkError::Io(error.to_string()),
    }
}
