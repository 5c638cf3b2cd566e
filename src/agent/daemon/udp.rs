//! The daemon's UDP port (TR-069 Annex G): signed connection requests, and the binding they come through.
//!
//! ```text
//!  first port ◄── letters ── connection requests ─► queue
//!      ▲ ▼    ◄── 0 or 1 ─── answers of the STUN server ─► client ─► ManagementServer.NATDetected, UDPConnection…
//!  STUN server ◄─ second port, while it is found out how long a binding lives
//! ```
//! The first port has the number of the one for HTTP. Nobody is ever answered.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use log::{debug, error, info, warn};
use nix::sys::socket::{setsockopt, sockopt};

use super::{Daemon, PORT_RETRY};
use crate::agent::job::{Job, Outcome};
use crate::agent::settings::Stun;
use crate::connreq::binding::{self, Client, Port};
use crate::connreq::udp::{self, Last, MAX_DATAGRAM};
use crate::cwmp::event::EventCode;
use crate::http::lookup::lookup;
use crate::http::url::Url;
use crate::sys::rng;

/// The most datagrams taken at one go, so that a flood leaves time for the rest.
const MAX_DATAGRAMS: usize = 64;
/// How long looking up the STUN server may take.
const LOOKUP: Duration = Duration::from_secs(30);
/// How soon to try again what failed before anything was sent.
const RETRY: Duration = Duration::from_secs(30);
/// How long to wait at most for the second port.
const MAX_SECOND_RETRY: Duration = Duration::from_secs(600);

type Found = io::Result<Vec<SocketAddr>>;

/// An address, and the interface whose datagrams alone are taken.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    at: SocketAddr,
    interface: Option<String>,
    /// Which device has that name.
    link: u32,
}

/// The ports and the STUN client.
#[derive(Default)]
pub(super) struct Udp {
    first: Option<UdpSocket>,
    second: Option<UdpSocket>,
    /// When to try again to open the second port, and how long that was waited for: zero if nothing was wrong with it.
    second_retry: (Duration, Duration),
    /// Where the first port is, or is to be.
    place: Option<Place>,
    open_at: Duration,
    /// The server that is asked, and how; `None` while STUN is off.
    stun: Option<Stun>,
    client: Option<Client>,
    looking: Option<Job<Found>>,
    look_at: Duration,
    /// Failures of the client that were seen to.
    failures: u32,
    /// Said already.
    complaint: Option<String>,
}

impl Udp {
    /// What to poll for reading.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.first.iter().chain(&self.second).map(AsFd::as_fd)
    }

    /// When [`Daemon::run_udp`] has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match (&self.place, &self.first, &self.client) {
            (None, ..) => None,
            (Some(_), None, _) => Some(self.open_at),
            (.., Some(client)) => Some(client.deadline()),
            (.., None) => (self.stun.is_some() && self.looking.is_none()).then_some(self.look_at),
        }
    }

    /// Whether there is a NAT, and where requests reach us.
    fn way(&self) -> Option<(bool, SocketAddr)> {
        let local = self.first.as_ref()?.local_addr().ok()?;
        let binding = self.client.as_ref().and_then(Client::binding).unwrap_or(local);
        Some((binding != local, binding))
    }

    /// NATDetected and UDPConnectionRequestAddress.
    pub(super) fn told(&self) -> (bool, String) {
        self.way().map_or_else(Default::default, |(nat, at)| (nat, udp::address(at)))
    }

    fn close(&mut self) {
        *self = Udp { complaint: self.complaint.take(), ..Udp::default() };
    }

    fn complain(&mut self, why: String) {
        if self.complaint.as_ref() != Some(&why) {
            warn!("{why}");
            self.complaint = Some(why);
        }
    }
}

impl Daemon {
    /// Opens the port where the one for HTTP is or would be, and takes the settings as they are now.
    pub(super) fn open_udp(&mut self, now: Duration) {
        let wanted = self.settings.enabled && !self.settings.acs.url.is_empty();
        let place = self.addresses.first().filter(|_| wanted).map(|address| {
            let at = SocketAddr::new(*address, self.settings.connection_request.port);
            Place { at, interface: self.settings.acs.interface.clone(), link: self.link }
        });
        let udp = &mut self.udp;
        if udp.place != place {
            udp.close();
            udp.place = place;
        }
        if let Some(Place { at, interface, .. }) = &udp.place
            && udp.first.is_none()
            && now >= udp.open_at
        {
            udp.open_at = now + PORT_RETRY;
            match open(*at, interface.as_deref()) {
                Ok(socket) => (udp.first, udp.complaint) = (Some(socket), None),
                Err(why) => {
                    let why = format!("no connection requests by UDP on {at}: {why}");
                    udp.complain(why);
                }
            }
        }
        let stun = self.settings.stun.clone();
        let stun = stun.map(|stun| if stun.server.is_empty() { self.at_acs(stun) } else { stun });
        if self.udp.stun != stun {
            let udp = &mut self.udp;
            (udp.stun, udp.client, udp.second, udp.looking) = (stun, None, None, None);
            udp.look_at = now;
        }
    }

    /// Takes datagrams, and sends what the STUN client has to.
    pub(super) fn run_udp(&mut self, ready: &[RawFd], now: Duration) {
        self.open_udp(now);
        self.find_server(now);
        let before = self.udp.way();
        for port in [Port::First, Port::Second] {
            let socket = if port == Port::First { &self.udp.first } else { &self.udp.second };
            if socket.as_ref().is_some_and(|socket| ready.contains(&socket.as_raw_fd())) {
                self.receive(port, now);
            }
        }
        if self.ask_server(now) {
            // The next turn opens the port on the device that has the name now, where there is one.
            self.follow_address(now);
        }
        if let Some((_, at)) = self.udp.way().filter(|after| Some(*after) != before) {
            info!("Connection Requests by UDP reach us at {at}");
            self.notices.hurry();
        }
    }

    /// STUNServerAddress is empty: the ACS's host (TR-181).
    fn at_acs(&self, stun: Stun) -> Stun {
        let server = Url::parse(&self.settings.acs.url).map(|url| url.host).unwrap_or_default();
        Stun { server, ..stun }
    }

    fn receive(&mut self, port: Port, now: Duration) {
        // One octet more tells a longer one.
        let mut block = [0; MAX_DATAGRAM + 1];
        for _ in 0..MAX_DATAGRAMS {
            let socket = if port == Port::First { &self.udp.first } else { &self.udp.second };
            let Some((length, from)) = socket.as_ref().and_then(|socket| socket.recv_from(&mut block).ok())
            else {
                return;
            };
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            let datagram = &block[..length];
            if udp::is_stun(datagram) {
                if let Some(client) = &mut self.udp.client {
                    client.receive(port, from, datagram, now);
                }
            } else if port == Port::First {
                self.take_request(datagram, from, now);
            }
        }
    }

    fn take_request(&mut self, datagram: &[u8], from: SocketAddr, now: Duration) {
        let state = &mut self.file.state;
        let last = state.last_datagram.clone().map(|(time, id)| Last { time, id });
        match udp::check(datagram, &self.rule.settings().credentials, last.as_ref()) {
            Ok(last) if self.rule.admit(now) => {
                info!("Connection Request by UDP accepted from {from}");
                state.last_datagram = Some((last.time, last.id));
                self.event(EventCode::ConnectionRequest);
            }
            Ok(_) => debug!("Connection Request by UDP from {from} ignored: there are too many"),
            Err(why) => debug!("Connection Request by UDP from {from} ignored: {why}"),
        }
    }

    /// Looks the STUN server up, and again when it does not answer: it may be elsewhere by now.
    fn find_server(&mut self, now: Duration) {
        let udp = &mut self.udp;
        let (Some(stun), Some(socket)) = (&udp.stun, &udp.first) else { return };
        if let Some(job) = &udp.looking {
            let found = match job.outcome() {
                Outcome::Running => return,
                Outcome::Done(found) => found,
                Outcome::Lost => Err(io::Error::other("the look-up ended early")),
            };
            udp.looking = None;
            udp.look_at = now + RETRY;
            let ours = socket.local_addr().map(|local| local.is_ipv4()).unwrap_or(true);
            let found = found.and_then(|mut found| {
                found.retain(|address| address.is_ipv4() == ours);
                next(&found, udp.client.as_ref().map(Client::server))
                    .ok_or_else(|| io::Error::other("it has no address of our family"))
            });
            match found {
                Ok(server) if udp.client.as_ref().is_none_or(|client| client.server() != server) => {
                    let settings = binding::Settings {
                        username: stun.username.clone(),
                        password: stun.password.clone(),
                        minimum: stun.minimum,
                        maximum: stun.maximum,
                    };
                    info!("STUN server {server}");
                    let known = udp.client.as_ref().and_then(Client::binding);
                    udp.client = Some(Client::new(settings, server, known, now));
                    udp.failures = 0;
                }
                Ok(_) => {}
                // That the old one does not answer is said already.
                Err(_) if udp.client.is_some() => {}
                Err(why) => {
                    let why = format!("STUN server {}: {why}", stun.server);
                    udp.complain(why);
                }
            }
            return;
        }
        let failures = udp.client.as_ref().map_or(0, Client::failures);
        let is_lost = failures > udp.failures;
        udp.failures = failures;
        if (udp.client.is_some() && !is_lost) || now < udp.look_at {
            return;
        }
        udp.look_at = now + RETRY;
        let (host, port, force_ipv4) = (stun.server.clone(), stun.port, self.settings.acs.force_ipv4);
        let deadline = self.clock.instant(now + LOOKUP);
        let work = move |cancel: &_| lookup(&host, port, force_ipv4, deadline, cancel);
        match Job::start("stun", Arc::clone(&self.wake), work) {
            Ok(job) => udp.looking = Some(job),
            Err(why) => udp.complain(format!("the STUN server is not looked up: {why}")),
        }
    }

    /// Has the STUN client go on. Gives whether there is no way out, as when the device that the port is bound to is no
    /// more: IPv4 says so itself, IPv6 finds no route.
    fn ask_server(&mut self, now: Duration) -> bool {
        let udp = &mut self.udp;
        let mut is_gone = false;
        let (Some(client), Some(first)) = (&mut udp.client, &udp.first) else { return false };
        if !client.searches() {
            udp.second_retry = Default::default();
            if udp.second.take().is_some() {
                info!("The way for Connection Requests by UDP is kept every {} s", client.period().as_secs());
            }
        } else if udp.second.is_none() && now >= udp.second_retry.0 {
            let interface = udp.place.as_ref().and_then(|place| place.interface.as_deref());
            let local = first.local_addr().map(|local| SocketAddr::new(local.ip(), 0));
            let (_, waited) = udp.second_retry;
            match local.and_then(|local| open(local, interface)) {
                Ok(socket) => (udp.second, udp.second_retry) = (Some(socket), Default::default()),
                Err(why) => {
                    if waited.is_zero() {
                        error!("no second port for STUN, tried again later: {why}");
                    }
                    let wait = (waited * 2).clamp(PORT_RETRY, MAX_SECOND_RETRY);
                    udp.second_retry = (now + wait, wait);
                }
            }
        }
        if let Some(datagram) = client.tick(now, &mut |octets| {
            // Without randomness an answer can be forged by whoever knows the server; the next can as well.
            let _ = rng::fill(octets);
        }) {
            match if datagram.from == Port::First { Some(first) } else { udp.second.as_ref() } {
                // What is not sent is not answered, and that is seen to.
                Some(socket) => {
                    if let Err(why) = socket.send_to(&datagram.bytes, client.server()) {
                        is_gone = true;
                        debug!("no way to STUN server {}: {why}", client.server());
                    }
                }
                None => client.has_no_second(now),
            }
        }
        match (client.failures(), client.refusal()) {
            (0, _) => udp.complaint = None,
            (_, Some(code)) => {
                let why = format!("STUN server {} refuses with {code}", client.server());
                udp.complain(why);
            }
            (_, None) => {
                let why = format!("STUN server {} does not answer", client.server());
                udp.complain(why);
            }
        }
        is_gone
    }
}

/// Whom to ask among the addresses of a server: the one behind that which does not answer, in a circle.
fn next(found: &[SocketAddr], silent: Option<SocketAddr>) -> Option<SocketAddr> {
    let at = silent.and_then(|silent| found.iter().position(|address| *address == silent));
    let at = at.map_or(0, |at| (at + 1) % found.len());
    found.get(at).copied()
}

fn open(at: SocketAddr, interface: Option<&str>) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(at)?;
    socket.set_nonblocking(true)?;
    if let Some(name) = interface {
        setsockopt(&socket, sockopt::BindToDevice, &OsString::from(name))?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_server_in_turn() {
        let [a, b, c] = [1, 2, 3].map(|last| SocketAddr::from(([192, 0, 2, last], 3478)));
        assert_eq!(next(&[], None), None);
        assert_eq!(next(&[], Some(a)), None);
        assert_eq!(next(&[a, b], None), Some(a));
        assert_eq!(next(&[a, b], Some(a)), Some(b));
        assert_eq!(next(&[a, b], Some(b)), Some(a));
        assert_eq!(next(&[a], Some(a)), Some(a));
        assert_eq!(next(&[b, c], Some(a)), Some(b), "it is elsewhere by now");
    }
}
