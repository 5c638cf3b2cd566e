//! The connection-request port: non-blocking sockets for somebody's poll loop.
//!
//! The port faces the open Internet. At most eight connections live at a time, each for five
//! seconds; when a ninth comes, one goes: of the source (of IPv6 a /64) that has the most, the oldest that has not
//! got a challenge. So hundreds of idle connections from elsewhere do not keep the ACS out; and one from
//! where somebody was right before, or where our sessions go, goes last of all, however many sources a flood has
//! and whatever it knows. A stranger in such a flood has to try again.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, sockopt};

use crate::connreq::rule::{Answer, Rule};
use crate::connreq::sources::network;
use crate::http::serve::{self, Limits, Machine};

/// The most connections at a time.
const MAX_PEERS: usize = 8;
/// How long a connection may live in all, unless [`Listener::set_life`] says otherwise.
const LIFE: Duration = Duration::from_secs(5);
/// How long a peer may take to read our last answer and close.
const LINGER: Duration = Duration::from_secs(1);
/// The most connections taken from the queue at one go, so that a flood leaves time for the rest.
const MAX_ACCEPTS: usize = 64;
/// The most connections that wait in the kernel: what two turns of the loop take. A queue that is full loses the
/// ACS's connection too, until it tries again a second later, so it is to hold what comes while a session is prepared;
/// each that waits costs the kernel some memory, so it is not to hold a flood. Kernels before 5.4 allow no more.
const WAITING: i32 = 128;

/// Why the port cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenError {
    /// Another program has it.
    InUse(SocketAddr),
    /// Anything else, in the system's words.
    Refused(SocketAddr, String),
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenError::InUse(at) => {
                write!(f, "port {} for connection requests ({at}) is in use by another program", at.port())
            }
            ListenError::Refused(at, why) => {
                write!(f, "cannot listen for connection requests on {at}: {why}")
            }
        }
    }
}

impl std::error::Error for ListenError {}

/// What happened on the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A valid connection request, already answered with 200: a session with event
    /// "6 CONNECTION REQUEST" must follow within 30 s.
    Accepted {
        /// Who sent it.
        source: SocketAddr,
    },
    /// A request that was answered otherwise; a 401 is the ordinary first half of a request.
    Refused {
        /// Who sent it.
        source: SocketAddr,
        /// With what status.
        status: u16,
        /// Why, for the log.
        why: &'static str,
    },
}

/// The open port and its connections.
#[derive(Debug)]
pub struct Listener {
    doors: Vec<Door>,
    interface: Option<String>,
    peers: Vec<Peer>,
    life: Duration,
}

/// An address, and the port there.
#[derive(Debug)]
struct Door {
    address: SocketAddr,
    state: Result<TcpListener, ListenError>,
}

#[derive(Debug)]
struct Peer {
    stream: TcpStream,
    source: SocketAddr,
    machine: Machine,
    unsent: Vec<u8>,
    state: PeerState,
    /// Somebody there has been right before, or our ACS.
    is_known: bool,
    born: Duration,
    deadline: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PeerState {
    /// The last answer is out; what still comes is dropped.
    Lingering,
    /// Nothing was answered yet.
    New,
    /// A challenge was answered.
    Challenged,
    /// The last answer is being sent.
    Closing,
}

impl Listener {
    /// Opens the port on those of the addresses where it can be had, and on one interface only if it is named.
    /// What is taken or not there is [`Listener::missing`], until [`Listener::retry`]. An IPv6 address takes IPv6
    /// alone; it is passed over where the system has no IPv6, if another remains.
    ///
    /// # Errors
    /// When none can be had: why the first cannot.
    pub fn bind(addresses: &[SocketAddr], interface: Option<&str>) -> Result<Listener, ListenError> {
        let interface = interface.map(str::to_owned);
        let mut listener = Listener { doors: Vec::new(), interface, peers: Vec::new(), life: LIFE };
        let mut passed = None;
        for address in addresses {
            match listener.open(*address) {
                Err((Errno::EAFNOSUPPORT, why)) if address.is_ipv6() => passed = Some(why),
                opened => {
                    let state = opened.map_err(|(_, why)| why);
                    listener.doors.push(Door { address: *address, state });
                }
            }
        }
        let first = listener.missing().into_iter().next();
        match first.or(passed) {
            Some(why) if listener.sockets().next().is_none() => Err(why),
            _ => Ok(listener),
        }
    }

    /// Tries again where the port could not be had. Gives whether it is open on one address more.
    pub fn retry(&mut self) -> bool {
        let mut more = false;
        for at in 0..self.doors.len() {
            if self.doors[at].state.is_err() {
                let opened = self.open(self.doors[at].address);
                more |= opened.is_ok();
                self.doors[at].state = opened.map_err(|(_, why)| why);
            }
        }
        more
    }

    /// Whether the port is open on every address.
    pub fn is_complete(&self) -> bool {
        self.doors.iter().all(|door| door.state.is_ok())
    }

    /// Why it is not open on some.
    pub fn missing(&self) -> Vec<ListenError> {
        self.doors.iter().filter_map(|door| door.state.as_ref().err().cloned()).collect()
    }

    fn open(&self, address: SocketAddr) -> Result<TcpListener, (Errno, ListenError)> {
        open(address, self.interface.as_deref()).map_err(|errno| match errno {
            Errno::EADDRINUSE => (errno, ListenError::InUse(address)),
            _ => (errno, ListenError::Refused(address, errno.to_string())),
        })
    }

    fn sockets(&self) -> impl Iterator<Item = &TcpListener> {
        self.doors.iter().filter_map(|door| door.state.as_ref().ok())
    }

    /// How long connections from now on may live in all.
    pub fn set_life(&mut self, life: Duration) {
        self.life = life;
    }

    /// Where it listens, with the ports the system chose for port 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// What to poll, and for what.
    pub fn fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let sockets = self.sockets().map(|socket| (socket.as_fd(), PollFlags::POLLIN));
        sockets.chain(self.peers.iter().map(|peer| {
            let wanted = if peer.unsent.is_empty() { PollFlags::POLLIN } else { PollFlags::POLLOUT };
            (peer.stream.as_fd(), wanted)
        }))
    }

    /// When [`Listener::on_tick`] must be called at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        self.peers.iter().map(|peer| peer.deadline).min()
    }

    /// Closes the connections whose time is over.
    pub fn on_tick(&mut self, now: Duration) {
        self.peers.retain(|peer| peer.deadline > now);
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.peers.len()
    }

    /// Serves a descriptor that poll found ready. `now` counts from the same start as for the rule;
    /// `random` fills its argument with random octets. Unknown descriptors are let pass.
    pub fn on_ready(
        &mut self,
        fd: RawFd,
        now: Duration,
        rule: &mut Rule,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Vec<Event> {
        let mut events = Vec::new();
        self.on_tick(now);
        if let Some(at) = self.peers.iter().position(|peer| peer.stream.as_raw_fd() == fd) {
            if !self.peers[at].serve(now, rule, random, &mut events) {
                self.peers.swap_remove(at);
            }
            return events;
        }
        for _ in 0..MAX_ACCEPTS {
            let Some(socket) = self.sockets().find(|socket| socket.as_raw_fd() == fd) else { break };
            let (stream, source) = match socket.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(_) => break,
            };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            let _ = stream.set_nodelay(true);
            let mut peer = Peer {
                stream,
                source,
                machine: Machine::new(Limits::CONNECTION_REQUEST),
                unsent: Vec::new(),
                state: PeerState::New,
                is_known: rule.knows(source.ip().to_canonical()),
                born: now,
                deadline: now + self.life,
            };
            // The request is often there already.
            if peer.serve(now, rule, random, &mut events) {
                self.make_room();
                self.peers.push(peer);
            }
        }
        events
    }

    fn make_room(&mut self) {
        if self.peers.len() < MAX_PEERS {
            return;
        }
        // Who is known is not one of his neighbours.
        let whose = |peer: &Peer| match peer.source.ip().to_canonical() {
            address if peer.is_known => (true, address),
            address => (false, network(address)),
        };
        let mut crowd: HashMap<(bool, IpAddr), usize> = HashMap::new();
        for peer in &self.peers {
            *crowd.entry(whose(peer)).or_default() += 1;
        }
        let order = |(_, peer): &(usize, &Peer)| {
            let share = crowd.get(&whose(peer)).copied().unwrap_or_default();
            let is_dear = peer.is_known && share < MAX_PEERS / 2;
            (peer.state != PeerState::Lingering, is_dear, usize::MAX - share, peer.state, peer.born)
        };
        if let Some((at, _)) = self.peers.iter().enumerate().min_by_key(order) {
            self.peers.remove(at);
        }
    }
}

impl Peer {
    /// Reads, decides and writes as far as it goes without waiting; gives whether to keep the peer.
    fn serve(
        &mut self,
        now: Duration,
        rule: &mut Rule,
        random: &mut dyn FnMut(&mut [u8]),
        events: &mut Vec<Event>,
    ) -> bool {
        let mut block = [0; 4096];
        // A few blocks only, so that one fast peer does not hold up the loop.
        for _ in 0..4 {
            if !self.send(now) {
                return false;
            }
            if !self.unsent.is_empty() {
                return true;
            }
            match self.stream.read(&mut block) {
                Ok(0) => return false,
                Ok(amount) if self.state == PeerState::Lingering => {
                    let _ = amount;
                }
                Ok(amount) => {
                    self.machine.receive(&block[..amount]);
                    self.answer(now, rule, random, events);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.send(now)
    }

    fn answer(
        &mut self,
        now: Duration,
        rule: &mut Rule,
        random: &mut dyn FnMut(&mut [u8]),
        events: &mut Vec<Event>,
    ) {
        let answer = match self.machine.request() {
            Ok(None) => {
                if self.machine.wants_continue() {
                    self.unsent.extend(serve::response(100, &[], b"", true));
                }
                return;
            }
            Ok(Some(request)) => {
                let mut octets = [0; 8];
                random(&mut octets);
                rule.decide(&request, self.source.ip().to_canonical(), now, octets)
            }
            Err(refusal) => Answer::from(refusal),
        };
        let keeps = self.machine.can_keep_alive() && answer.keep_alive;
        let headers: Vec<_> = answer.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.unsent.extend(serve::response(answer.status, &headers, b"", keeps));
        self.state = if self.machine.answered(keeps) { PeerState::Challenged } else { PeerState::Closing };
        let source = self.source;
        events.push(match answer.accepted {
            true => Event::Accepted { source },
            false => Event::Refused { source, status: answer.status, why: answer.why },
        });
    }

    // Closing a socket with unread octets would reset the connection and lose the answer.
    fn send(&mut self, now: Duration) -> bool {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(0) => return false,
                Ok(amount) => drop(self.unsent.drain(..amount)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        if self.state == PeerState::Closing {
            self.state = PeerState::Lingering;
            self.deadline = self.deadline.min(now + LINGER);
            return self.stream.shutdown(Shutdown::Write).is_ok();
        }
        true
    }
}

fn open(address: SocketAddr, interface: Option<&str>) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket::socket(family, SockType::Stream, flags, None)?;
    socket::setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        socket::setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    if let Some(name) = interface {
        socket::setsockopt(&fd, sockopt::BindToDevice, &OsString::from(name))?;
    }
    socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    socket::listen(&fd, Backlog::new(WAITING)?)?;
    Ok(TcpListener::from(fd))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One customer has a /64 of addresses, has asked for a challenge from each, and stays; a stranger has just come.
    #[test]
    fn addresses_of_one_network_are_one_crowd() {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = door.local_addr().unwrap();
        let mut listener = Listener { doors: Vec::new(), interface: None, peers: Vec::new(), life: LIFE };
        let mut come = |source: &str, state, born, is_known| {
            let stream = TcpStream::connect(at).unwrap();
            let born = Duration::from_secs(born);
            listener.make_room();
            listener.peers.push(Peer {
                stream,
                source: SocketAddr::new(source.parse().unwrap(), 1),
                machine: Machine::new(Limits::CONNECTION_REQUEST),
                unsent: Vec::new(),
                state,
                is_known,
                born,
                deadline: born + LIFE,
            });
            listener.peers.iter().map(|peer| peer.source.ip().to_string()).collect::<Vec<_>>()
        };
        for n in 1..=7 {
            come(&format!("2001:db8::{n}"), PeerState::Challenged, n, false);
        }
        come("192.0.2.1", PeerState::New, 0, false);
        for n in 8..100 {
            let there = come(&format!("2001:db8::{n:x}"), PeerState::Challenged, n, false);
            assert!(there.len() == MAX_PEERS && there.contains(&"192.0.2.1".to_owned()), "{there:?}");
        }
        // Others may take its turn: it has nothing more than they have.
        let there = come("192.0.2.2", PeerState::New, 200, false);
        assert!(there.contains(&"192.0.2.1".to_owned()), "{there:?}");
        // The ACS has come before all of its neighbours.
        come("fd99::1", PeerState::New, 0, true);
        for n in 2..20 {
            let there = come(&format!("fd99::{n:x}"), PeerState::Challenged, 200 + n, false);
            assert!(there.contains(&"fd99::1".to_owned()), "{there:?}");
        }
    }
}
