//! HTTP and HTTPS on a socket for the lab's servers: one thread for each connection, which hands whole requests to a
//! [`Service`] and writes its replies.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::serve::{BodyRule, Limits, Machine, Request, response};
use crate::http::tls_server::{Channel, Identity};

/// Connections at a time.
const MAX_CONNECTIONS: usize = 1024;
/// Between two requests of a connection.
const IDLE: Duration = Duration::from_secs(75);
/// For a request that has begun to come in, and for writing.
const PATIENCE: Duration = Duration::from_secs(30);
/// Octets of requests that are on their way in, over all connections: nobody has been asked who he is yet.
const MAX_HELD: usize = 256 << 20;
/// What a request may have of its own beside that, so that those of many do not keep short ones out.
const FREE: usize = 64 << 10;
/// A connection's stack; what is not touched costs nothing.
const STACK: usize = 1 << 20;

/// Who sent a request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Address and port.
    pub address: String,
    /// The number of the connection, for as long as the server lives.
    pub connection: u32,
    /// Whether it is under TLS.
    pub tls: bool,
}

/// What answers requests; called from many threads.
pub trait Service: Send + Sync + 'static {
    /// What a connection remembers from one request to the next.
    type Own: Default;

    /// Answers a request.
    fn reply(&self, request: &Request, own: &mut Self::Own, peer: &Peer) -> Reply;

    /// A peer sent what is no request.
    fn refused(&self, peer: &Peer, why: &str);

    /// A connection is over.
    fn over(&self, _own: Self::Own) {}
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// May be empty.
    pub body: Vec<u8>,
}

impl Reply {
    /// One in plain text.
    pub fn plain(status: u16, text: &str) -> Reply {
        let headers = vec![("Content-Type", "text/plain; charset=utf-8".to_owned())];
        Reply { status, headers, body: text.as_bytes().to_vec() }
    }

    /// One without a body.
    pub fn empty(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), body: Vec::new() }
    }

    /// The same with one header more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }
}

/// How requests come in.
#[derive(Clone)]
pub struct Entrance {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// HTTPS with this certificate; else HTTP.
    pub identity: Option<Identity>,
    /// What a request may hold.
    pub limits: Limits,
    /// Other limits for some bodies.
    pub rule: BodyRule,
}

/// A listening socket; dropping it ends it.
pub struct Front {
    gate: Arc<Gate>,
    address: SocketAddr,
    acceptor: Option<thread::JoinHandle<()>>,
}

struct Gate {
    entrance: Entrance,
    stopping: AtomicBool,
    connections: AtomicUsize,
    held: AtomicUsize,
    last: AtomicU32,
}

/// What one connection holds of a request, for as long as it does.
struct Held<'g> {
    all: &'g AtomicUsize,
    octets: usize,
}

impl Held<'_> {
    /// Adds octets; whether there is room for them.
    fn take(&mut self, octets: usize) -> bool {
        self.octets += octets;
        let before = self.all.fetch_add(octets, Ordering::SeqCst);
        self.octets <= FREE || before.saturating_add(octets) <= MAX_HELD
    }

    fn release(&mut self) {
        self.all.fetch_sub(std::mem::take(&mut self.octets), Ordering::SeqCst);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

impl Front {
    /// Listens.
    ///
    /// # Errors
    /// The system's.
    pub fn start<S: Service>(entrance: Entrance, service: Arc<S>) -> io::Result<Front> {
        let listener = TcpListener::bind(entrance.listen)?;
        let address = listener.local_addr()?;
        let gate = Arc::new(Gate {
            entrance,
            stopping: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            last: AtomicU32::new(0),
        });
        let theirs = Arc::clone(&gate);
        let acceptor = thread::Builder::new()
            .name("accept".to_owned())
            .spawn(move || accept(&theirs, &listener, &service))?;
        Ok(Front { gate, address, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of its root.
    pub fn url(&self) -> String {
        let scheme = if self.gate.entrance.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.gate.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which looks at the flag.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept<S: Service>(gate: &Arc<Gate>, listener: &TcpListener, service: &Arc<S>) {
    loop {
        let accepted = listener.accept();
        if gate.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok((mut stream, peer)) = accepted else {
            // Out of descriptors, most likely: others may end meanwhile.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        if gate.connections.fetch_add(1, Ordering::SeqCst) >= MAX_CONNECTIONS {
            gate.connections.fetch_sub(1, Ordering::SeqCst);
            let _ = stream.write_all(&response(503, &[("Retry-After", "10")], b"", false));
            continue;
        }
        let peer = Peer {
            address: peer.to_string(),
            connection: gate.last.fetch_add(1, Ordering::SeqCst).wrapping_add(1),
            tls: gate.entrance.identity.is_some(),
        };
        let (theirs, service) = (Arc::clone(gate), Arc::clone(service));
        let spawned = thread::Builder::new().name("peer".to_owned()).stack_size(STACK).spawn(move || {
            serve(&theirs, stream, &peer, service.as_ref());
            theirs.connections.fetch_sub(1, Ordering::SeqCst);
        });
        if spawned.is_err() {
            gate.connections.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// One connection from its first octet to its last.
fn serve<S: Service>(gate: &Gate, stream: TcpStream, peer: &Peer, service: &S) {
    let _ = stream.set_nodelay(true);
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let mut stream = match &gate.entrance.identity {
        None => Stream::Plain(stream),
        Some(identity) => match identity.accept(stream) {
            Ok(channel) => Stream::Tls(Box::new(channel)),
            Err(why) => return service.refused(peer, &why),
        },
    };
    let mut own = S::Own::default();
    talk(gate, &mut stream, peer, service, &mut own);
    stream.finish();
    service.over(own);
}

fn talk<S: Service>(gate: &Gate, stream: &mut Stream, peer: &Peer, service: &S, own: &mut S::Own) {
    let mut machine = Machine::with_rule(gate.entrance.limits, gate.entrance.rule);
    let mut held = Held { all: &gate.held, octets: 0 };
    let mut deadline = Instant::now() + IDLE;
    loop {
        match machine.request() {
            Ok(Some(request)) => {
                let reply = service.reply(&request, own, peer);
                let keep = machine.can_keep_alive() && !gate.stopping.load(Ordering::SeqCst);
                let headers: Vec<(&str, &str)> =
                    reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let mut octets = response(reply.status, &headers, &reply.body, keep);
                if request.method == "HEAD" {
                    octets.truncate(octets.len() - reply.body.len());
                }
                let written = stream.write_all(&octets).and_then(|()| stream.flush());
                if !machine.answered(keep) || written.is_err() {
                    return;
                }
                held.release();
                deadline = Instant::now() + IDLE;
            }
            Ok(None) => {
                if machine.wants_continue() && stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_err() {
                    return;
                }
                let was_idle = machine.is_idle();
                match receive(stream, &mut machine, deadline) {
                    Ok(0) => return,
                    Ok(count) if held.take(count) => {}
                    Ok(_) => {
                        service.refused(peer, "there is no room for a request of this length now");
                        let _ = stream.write_all(&response(503, &[("Retry-After", "10")], b"", false));
                        return;
                    }
                    Err(why) => return service.refused(peer, &why),
                }
                if was_idle {
                    deadline = Instant::now() + PATIENCE;
                }
            }
            Err(refusal) => {
                service.refused(peer, refusal.why);
                let _ = stream.write_all(&response(refusal.status, &[], b"", false));
                return;
            }
        }
    }
}

/// Reads once before the deadline, so many octets; 0 when nothing more comes.
///
/// # Errors
/// What is wrong with the TLS.
fn receive(stream: &mut Stream, machine: &mut Machine, deadline: Instant) -> Result<usize, String> {
    let mut part = [0; 16 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.socket().set_read_timeout(Some(left)).is_err() {
            return Ok(0);
        }
        match stream.read(&mut part) {
            Ok(count) => {
                machine.receive(&part[..count]);
                return Ok(count);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(error.to_string()),
            Err(_) => return Ok(0),
        }
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<Channel>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(channel) => &channel.sock,
        }
    }

    fn finish(&mut self) {
        if let Stream::Tls(channel) = self {
            channel.conn.send_close_notify();
            let _ = channel.flush();
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(into),
            Stream::Tls(channel) => channel.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(octets),
            Stream::Tls(channel) => channel.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Tls(channel) => channel.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_requests_have_only_so_much_room_and_short_ones_always_some() {
        let all = AtomicUsize::new(0);
        let held = || Held { all: &all, octets: 0 };
        let mut first = held();
        assert!(first.take(MAX_HELD));
        let (mut short, mut long) = (held(), held());
        assert!(short.take(FREE) && !long.take(FREE + 1));
        drop(first);
        assert!(short.take(1) && held().take(MAX_HELD / 2));
        drop((short, long));
        assert_eq!(all.load(Ordering::SeqCst), 0);
    }
}
