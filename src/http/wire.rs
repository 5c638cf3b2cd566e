//! A TCP connection with a deadline: every read and write ends by it, however slowly the peer drips.
//!
//! The one trait at the end is how TLS is put on top without `client` knowing rustls.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage, sockopt};

/// A connected stream and the moment by which it must be done.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    deadline: Instant,
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
        let mut fault = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
        for (at, address) in addresses.iter().enumerate() {
            let sharers = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
            let share = time_left(deadline)? / sharers;
            let connected = match interface {
                None => TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))),
                Some(name) => connect_through(name, *address, share),
            };
            match connected {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok((Wire { stream, deadline }, *address));
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
        loop {
            self.stream.set_read_timeout(Some(time_left(self.deadline)?))?;
            match self.stream.read(buf) {
                Err(error) if is_wait(&error) => {}
                done => return done,
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        loop {
            self.stream.set_write_timeout(Some(time_left(self.deadline)?))?;
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
}

fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the time is over"));
    }
    Ok(left.max(Duration::from_millis(1)))
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn connect_through(interface: &str, address: SocketAddr, time: Duration) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket::socket(family, SockType::Stream, flags, None)?;
    socket::setsockopt(&fd, sockopt::BindToDevice, &OsString::from(interface))
        .map_err(|error| io::Error::other(format!("cannot bind to interface {interface:?}: {error}")))?;
    match socket::connect(fd.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) => {}
        Err(nix::errno::Errno::EINPROGRESS) => {
            let deadline = Instant::now() + time;
            let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
            loop {
                let left = time_left(deadline)?;
                match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
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
