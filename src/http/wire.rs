//! A TCP connection with a deadline: every read and write ends by it, however slowly the peer drips.
//!
//! The traits at the end are how TLS is put on top without `client` knowing rustls, and [`Link`] is
//! either of both. A wire may be given a flag that ends every wait within a quarter of a second.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage, sockopt};

/// How long a wait goes on without a look at the flag that ends it.
const LOOK: Duration = Duration::from_millis(250);

/// Set by whoever wants the work to end; looked at in every wait.
pub type Cancel = Arc<AtomicBool>;

/// A connected stream and the moment by which it must be done.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    deadline: Instant,
    cancel: Option<Cancel>,
    /// Reads and writes err with `WouldBlock` instead of waiting.
    is_hasty: bool,
}

impl Wire {
    /// Connects to the first address that answers, sharing the time until the deadline among them,
    /// out of one network interface if it is named (SO_BINDTODEVICE).
    ///
    /// Gives the address that answered as well. Errors with the last address' fault.
    pub fn connect(
        addresses: &[SocketAddr],
        interface: Option<&str>,
        deadline: Instant,
    ) -> io::Result<(Wire, SocketAddr)> {
        Wire::connect_unless(addresses, interface, deadline, None)
    }

    /// As [`Wire::connect`], and gives up, now and in every later wait, once `cancel` is set. Both
    /// end with `TimedOut`, as at the deadline.
    pub fn connect_unless(
        addresses: &[SocketAddr],
        interface: Option<&str>,
        deadline: Instant,
        cancel: Option<Cancel>,
    ) -> io::Result<(Wire, SocketAddr)> {
        let mut fault = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
        for (at, address) in addresses.iter().enumerate() {
            let sharers = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
            patience(deadline, cancel.as_ref())?;
            let share = deadline.saturating_duration_since(Instant::now()) / sharers;
            match connect(*address, interface, Instant::now() + share, cancel.as_ref()) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok((Wire { stream, deadline, cancel, is_hasty: false }, *address));
                }
                Err(error) => fault = error,
            }
        }
        Err(fault)
    }

    /// Moves the deadline.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Whether the peer has neither closed nor sent anything: the state in which a kept-alive
    /// connection may be used again.
    pub fn is_quiet(&mut self) -> bool {
        self.without_waiting(|stream| stream.peek(&mut [0]))
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Tells the peer that nothing more will come; it may go on sending.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// From now on nothing waits: what would have to errs with `WouldBlock`. For a poll loop.
    pub fn never_wait(&mut self) -> io::Result<()> {
        self.is_hasty = true;
        self.stream.set_nonblocking(true)
    }

    /// Whether it is for a poll loop: [`Wire::never_wait`] was called.
    pub fn is_hasty(&self) -> bool {
        self.is_hasty
    }

    /// What to poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Does one thing with the stream that must not wait; it errs with `WouldBlock` instead.
    pub fn without_waiting<T>(
        &mut self,
        action: impl FnOnce(&mut TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        self.stream.set_nonblocking(true)?;
        let done = action(&mut self.stream);
        self.stream.set_nonblocking(false)?;
        done
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.is_hasty {
            return self.stream.read(buf);
        }
        loop {
            self.stream.set_read_timeout(Some(patience(self.deadline, self.cancel.as_ref())?))?;
            match self.stream.read(buf) {
                Err(error) if is_wait(&error) => {}
                done => return done,
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.is_hasty {
            return self.stream.write(buf);
        }
        loop {
            self.stream.set_write_timeout(Some(patience(self.deadline, self.cancel.as_ref())?))?;
            match self.stream.write(buf) {
                Err(error) if is_wait(&error) => {}
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// What puts TLS on a [`Wire`]: `http::tls::Client`, when the feature is built in.
pub trait Secure: fmt::Debug + Send + Sync {
    /// Shakes hands with `host` (a name or an address without brackets) by the wire's deadline.
    /// Errors with one sentence that says what was wrong.
    fn handshake(&self, host: &str, wire: Wire) -> Result<Box<dyn Secured>, String>;
}

/// A connection under TLS.
pub trait Secured: Read + Write + fmt::Debug + Send + Sync {
    /// Moves the deadline.
    fn set_deadline(&mut self, deadline: Instant);
    /// As [`Wire::is_quiet`], looking only at what TLS carries.
    fn is_quiet(&mut self) -> bool;
    /// As [`Wire::finish`], after a close_notify.
    fn finish(&mut self) -> io::Result<()>;
    /// As [`Wire::never_wait`]. A read errs with `WouldBlock` then also when it has taken much that carries nothing for
    /// us and there may be more, which the descriptor tells.
    fn never_wait(&mut self) -> io::Result<()>;
    /// As [`Wire::fd`].
    fn fd(&self) -> BorrowedFd<'_>;
}

/// A connection, with or without TLS.
#[derive(Debug)]
pub enum Link {
    /// As it is.
    Plain(Wire),
    /// Under TLS.
    Secured(Box<dyn Secured>),
}

impl Link {
    /// Moves the deadline.
    pub fn set_deadline(&mut self, deadline: Instant) {
        match self {
            Link::Plain(wire) => wire.set_deadline(deadline),
            Link::Secured(secured) => secured.set_deadline(deadline),
        }
    }

    /// As [`Wire::is_quiet`], looking only at what TLS carries.
    pub fn is_quiet(&mut self) -> bool {
        match self {
            Link::Plain(wire) => wire.is_quiet(),
            Link::Secured(secured) => secured.is_quiet(),
        }
    }

    /// As [`Wire::finish`].
    pub fn finish(&mut self) -> io::Result<()> {
        match self {
            Link::Plain(wire) => wire.finish(),
            Link::Secured(secured) => secured.finish(),
        }
    }

    /// As [`Wire::never_wait`].
    pub fn never_wait(&mut self) -> io::Result<()> {
        match self {
            Link::Plain(wire) => wire.never_wait(),
            Link::Secured(secured) => secured.never_wait(),
        }
    }

    /// As [`Wire::fd`].
    pub fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Link::Plain(wire) => wire.fd(),
            Link::Secured(secured) => secured.fd(),
        }
    }

    /// Whether TLS is on it.
    pub fn is_tls(&self) -> bool {
        matches!(self, Link::Secured(_))
    }
}

impl Read for Link {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Link::Plain(wire) => wire.read(buf),
            Link::Secured(secured) => secured.read(buf),
        }
    }
}

impl Write for Link {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Link::Plain(wire) => wire.write(buf),
            Link::Secured(secured) => secured.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Link::Plain(wire) => wire.flush(),
            Link::Secured(secured) => secured.flush(),
        }
    }
}

/// How long to wait before looking at the clock and the flag again.
fn patience(deadline: Instant, cancel: Option<&Cancel>) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the time is over"));
    }
    match cancel {
        Some(cancel) if cancel.load(Ordering::Relaxed) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "it was called off"))
        }
        Some(_) => Ok(left.clamp(Duration::from_millis(1), LOOK)),
        None => Ok(left.max(Duration::from_millis(1))),
    }
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn connect(
    address: SocketAddr,
    interface: Option<&str>,
    deadline: Instant,
    cancel: Option<&Cancel>,
) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket::socket(family, SockType::Stream, flags, None)?;
    if let Some(interface) = interface {
        socket::setsockopt(&fd, sockopt::BindToDevice, &OsString::from(interface))
            .map_err(|error| io::Error::other(format!("cannot bind to interface {interface:?}: {error}")))?;
    }
    match socket::connect(fd.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) => {}
        Err(nix::errno::Errno::EINPROGRESS) => {
            let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
            loop {
                let wait = patience(deadline, cancel)?;
                match poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
                    Ok(0) | Err(nix::errno::Errno::EINTR) => {}
                    Ok(_) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            match socket::getsockopt(&fd, sockopt::SocketError)? {
                0 => {}
                code => return Err(io::Error::from_raw_os_error(code)),
            }
        }
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(fd);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn soon(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    #[test]
    fn a_dripping_peer_is_cut_at_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        let (mut wire, _) = Wire::connect(&[address], None, soon(5000)).unwrap();
        wire.set_deadline(soon(200));
        let started = Instant::now();
        let error = wire.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(2));
        drop(wire);
        peer.join().unwrap();
    }

    #[test]
    fn the_next_address_is_tried() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        assert_eq!(Wire::connect(&[closed, open], None, soon(5000)).unwrap().1, open);
        assert!(Wire::connect(&[closed], None, soon(5000)).is_err());
        assert!(Wire::connect(&[], None, soon(5000)).is_err());
    }

    #[test]
    fn a_set_flag_ends_a_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cancel = Cancel::default();
        let addresses = [listener.local_addr().unwrap()];
        let (mut wire, _) =
            Wire::connect_unless(&addresses, None, soon(20_000), Some(cancel.clone())).unwrap();
        let setter = thread::spawn({
            let cancel = cancel.clone();
            move || {
                thread::sleep(Duration::from_millis(100));
                cancel.store(true, Ordering::Relaxed);
            }
        });
        let started = Instant::now();
        assert_eq!(wire.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(1));
        assert!(Wire::connect_unless(&addresses, None, soon(20_000), Some(cancel)).is_err());
        setter.join().unwrap();
    }

    #[test]
    fn quiet_until_something_comes_or_the_peer_leaves() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut wire, _) = Wire::connect(&[listener.local_addr().unwrap()], None, soon(5000)).unwrap();
        let (peer, _) = listener.accept().unwrap();
        assert!(wire.is_quiet());
        drop(peer);
        thread::sleep(Duration::from_millis(50));
        assert!(!wire.is_quiet());
    }

    #[test]
    fn an_interface_is_bound_or_named_in_the_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        match Wire::connect(&[address], Some("lo"), soon(5000)) {
            Ok((mut wire, _)) => {
                let (mut peer, _) = listener.accept().unwrap();
                peer.write_all(b"hi").unwrap();
                let mut two = [0; 2];
                wire.read_exact(&mut two).unwrap();
                assert_eq!(&two, b"hi");
            }
            Err(error) => assert!(error.to_string().contains("\"lo\""), "{error}"),
        }
        let error = Wire::connect(&[address], Some("nosuch0"), soon(5000)).unwrap_err();
        assert!(error.to_string().contains("nosuch0"), "{error}");
    }
}
