//! Host names to addresses, with a deadline and a flag that ends the wait.
//!
//! The system's resolver can be neither bounded nor stopped, so it works on a thread of its own,
//! which is left to itself when nobody waits for it any longer; it ends by the resolver's own time.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use crate::http::wire::Cancel;
use crate::sys::channel::channel;
use crate::sys::thread;

/// The most addresses taken of one name.
const MAX_ADDRESSES: usize = 16;
/// How long a wait goes on without a look at the flag.
const LOOK: Duration = Duration::from_millis(250);
/// What the resolver of the C library is content with.
const STACK: usize = 256 * 1024;

/// The addresses of a host (a name, or an address without brackets), in the system's order.
///
/// Errors with `TimedOut` at the deadline and when `cancel` is set, with `NotFound` if there is no
/// address, and with what the system says.
pub fn lookup(
    host: &str,
    port: u16,
    force_ipv4: bool,
    deadline: Instant,
    cancel: &Cancel,
) -> io::Result<Vec<SocketAddr>> {
    let found = match host.parse() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => ask(host.to_owned(), port, deadline, cancel)?,
    };
    let wanted: Vec<_> = found.into_iter().filter(|found| found.is_ipv4() || !force_ipv4).collect();
    if wanted.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(wanted)
}

fn ask(host: String, port: u16, deadline: Instant, cancel: &Cancel) -> io::Result<Vec<SocketAddr>> {
    let (tell, told) = channel();
    let work = move || {
        let found = (host.as_str(), port).to_socket_addrs();
        // Whoever asked may be gone.
        let _ = tell.send(found.map(|found| found.take(MAX_ADDRESSES).collect()));
    };
    thread::start("lookup", STACK, Box::new(work))?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || cancel.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the name service took too long"));
        }
        match told.recv_timeout(left.min(LOOK)) {
            Ok(found) => return found,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("the look-up ended early")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn names_and_addresses() {
        let find = |host: &str, v4| lookup(host, 80, v4, soon(), &Cancel::default());
        assert_eq!(find("127.0.0.1", true).unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(find("::1", false).unwrap(), ["[::1]:80".parse().unwrap()]);
        assert_eq!(find("::1", true).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(find("localhost", true).unwrap().iter().all(|found| found.ip().is_loopback()));
        assert!(find("no such host", false).is_err());
    }

    #[test]
    fn the_wait_ends() {
        let called_off = Cancel::default();
        called_off.store(true, Ordering::Relaxed);
        for (deadline, cancel) in [(soon(), called_off), (Instant::now(), Cancel::default())] {
            let error = lookup("localhost", 80, false, deadline, &cancel).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }
}
