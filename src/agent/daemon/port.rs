//! The daemon's connection-request port, and what the model shows of it.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::RawFd;
use std::time::Duration;

use log::{debug, error, info};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{setsockopt, sockopt};

use super::{Daemon, PORT_RETRY, REALM};
use crate::agent::light;
use crate::agent::lines::Line;
use crate::agent::settings::{Acs, Settings};
use crate::connreq::listener::{self, ListenError, Listener};
use crate::connreq::rule;
use crate::cwmp::event::EventCode;
use crate::http::auth::Credentials;
use crate::http::url::Url;
use crate::model::date;
use crate::sys::{clock, rng};

/// The doors of this build (`SupportedConnReqMethods`).
const METHODS: &str = match (cfg!(feature = "stun"), cfg!(feature = "xmpp")) {
    (true, true) => "HTTP,STUN,XMPP",
    (true, false) => "HTTP,STUN",
    (false, true) => "HTTP,XMPP",
    (false, false) => "HTTP",
};

impl Daemon {
    pub(super) fn port_wanted(&self) -> bool {
        self.settings.enabled && self.settings.connection_request.enabled && !self.settings.acs.url.is_empty()
    }

    /// Looks which addresses lead to the ACS, and has the ports move there. While none does, they stay: a
    /// way out that is gone for a moment is no news.
    pub(super) fn follow_address(&mut self, now: Duration) {
        let addresses = local_addresses(&self.settings.acs, self.reached());
        let interface = self.settings.acs.interface.clone();
        // A device made anew may have the old name and address; a socket that is bound to the old one hears nothing.
        let link = interface.as_deref().map_or(0, |name| if_nametoindex(name).unwrap_or(0));
        if addresses.is_empty() {
            return;
        }
        self.xmpp_follows(!self.addresses.is_empty() && link != self.link, now);
        if (&addresses, link) == (&self.addresses, self.link) {
            return;
        }
        match interface {
            _ if self.addresses.is_empty() => {}
            Some(name) if addresses == self.addresses => info!("{name} is another device now"),
            _ => info!("The way to the ACS begins at {} now", addresses[0]),
        }
        (self.addresses, self.link) = (addresses, link);
        self.listener = None;
        self.port_retry = now;
    }

    /// Where the ACS that is configured was found last.
    pub(super) fn reached(&self) -> Option<IpAddr> {
        let is_known = self.file.state.bootstrapped.as_deref() == Some(&self.settings.acs.url);
        self.file.state.reached.filter(|_| is_known)
    }

    /// Has sessions go where the last one of an earlier life went, if a name still leads there (TR-069 3.1), and
    /// requests be heard that come from there.
    pub(super) fn recall_favourite(&mut self) {
        if let (Some(reached), Ok(url)) = (self.reached(), Url::parse(&self.settings.acs.url)) {
            self.rule.met(reached);
            self.favourites.answered(&url.host, reached);
        }
    }

    /// Whether the port is open wherever it is to be.
    pub(super) fn port_is_open(&self) -> bool {
        self.listener.as_ref().is_some_and(Listener::is_complete)
    }

    /// Opens the ports for connection requests on the addresses that lead to the ACS; where one is taken it is
    /// tried again, and the others are open meanwhile.
    pub(super) fn open_port(&mut self, now: Duration) {
        let is_due = now >= self.port_retry;
        let is_open = self.port_is_open() || !self.port_wanted();
        if is_due && (!is_open || self.addresses.is_empty()) {
            self.follow_address(now);
            self.port_retry = now + PORT_RETRY;
        }
        #[cfg(feature = "stun")]
        self.open_udp(now);
        if is_open || !is_due || self.addresses.is_empty() {
            return;
        }
        let port = self.settings.connection_request.port;
        let opened = match &mut self.listener {
            Some(listener) => listener.retry(),
            None => {
                let place = |address: &IpAddr| SocketAddr::new(*address, port);
                let places: Vec<_> = self.addresses.iter().map(place).collect();
                match Listener::bind(&places, self.settings.acs.interface.as_deref()) {
                    Ok(mut listener) => {
                        listener.set_life(self.settings.connection_request.timeout);
                        info!("{}", Line::PortOpen(port));
                        self.listener = Some(listener);
                        true
                    }
                    Err(why) => {
                        self.complain_of_port("connection requests cannot be received", vec![why]);
                        return;
                    }
                }
            }
        };
        let missing = self.listener.as_ref().map_or_else(Vec::new, Listener::missing);
        self.complain_of_port("connection requests are received at another address only", missing);
        if opened {
            self.notices.hurry();
        }
    }

    /// Says what is wrong with the port, once each.
    fn complain_of_port(&mut self, what: &str, complaints: Vec<ListenError>) {
        for why in complaints.iter().filter(|why| !self.port_complaints.contains(why)) {
            error!("{what}, tried again every {} s: {why}", PORT_RETRY.as_secs());
        }
        self.port_complaints = complaints;
    }

    /// Answers the connection-request port.
    pub(super) fn serve(&mut self, ready: &[RawFd], now: Duration) {
        // At most 64 packets a turn; what is left has the descriptor ready again.
        if let Some(echo) = &mut self.trials.echo {
            echo.serve();
        }
        let Some(listener) = &mut self.listener else { return };
        let mut events = Vec::new();
        for fd in ready {
            events.extend(listener.on_ready(*fd, now, &mut self.rule, &mut |bytes| {
                // Without randomness the nonce is weak, and the request's throttle still holds.
                let _ = rng::fill(bytes);
            }));
        }
        for event in events {
            match event {
                listener::Event::Accepted { source } => {
                    info!("Connection Request accepted from {source}");
                    self.file.state.known_sources = self.rule.known();
                    self.event(EventCode::ConnectionRequest);
                }
                listener::Event::Refused { source, status, why } => {
                    debug!("Connection Request from {source} answered {status}: {why}");
                }
            }
        }
    }

    /// What the model shows of the agent itself.
    pub(super) fn tell(&mut self) {
        let path = self.rule.settings().path.clone();
        let at = self.listener.as_ref().and_then(|listener| listener.addresses().into_iter().next());
        let url = at.map_or_else(String::new, |at| rule::url(at.ip(), at.port(), &path));
        #[cfg(feature = "stun")]
        let (nat, udp) = self.udp.told();
        #[cfg(not(feature = "stun"))]
        let (nat, udp) = (false, String::new());
        let first_use = self.file.state.first_use.map(date::format_utc);
        let compression = if self.settings.has_compression() { "GZIP,Deflate" } else { "" };
        let system = self.model.backend();
        system.tell("ConnectionRequestURL", url);
        if let Some(date) = first_use {
            system.tell("FirstUseDate", date);
        }
        for (name, value) in [
            ("SupportedConnReqMethods", METHODS),
            ("HTTPCompressionSupported", compression),
            ("NATDetected", if nat { "1" } else { "0" }),
            ("UDPConnectionRequestAddress", udp.as_str()),
            ("LightweightNotificationProtocolsSupported", light::PROTOCOL),
            ("TimeStatus", if clock::is_set() { "Synchronized" } else { "Unsynchronized" }),
        ] {
            system.tell(name, value);
        }
    }
}

/// Used nonces are remembered until they have expired, and only so many.
const MAX_NONCE_LIFE: Duration = Duration::from_secs(120);

pub(super) fn rule_settings(settings: &Settings, random_path: &str) -> rule::Settings {
    let request = &settings.connection_request;
    let path = request.path.clone().unwrap_or_else(|| random_path.to_owned());
    let credentials = Credentials::new(request.username.clone(), request.password.clone());
    rule::Settings {
        realm: REALM.to_owned(),
        nonce_life: Duration::from_secs(settings.session_timeout.into()).min(MAX_NONCE_LIFE),
        ..rule::Settings::new(path, credentials)
    }
}

/// Our address on the way to the ACS: asked of the routing table by a UDP socket that sends nothing. Where an
/// interface is set, it is its address, and that of the other family follows.
///
/// Names are not resolved here, the loop must not wait for DNS: an ACS with a name is where the last session went
/// (`reached`), and before the first one it is taken to be where the default route leads, for which the documentation
/// prefixes stand (RFC 5737, RFC 3849).
pub(super) fn local_addresses(acs: &Acs, reached: Option<IpAddr>) -> Vec<IpAddr> {
    let Ok(url) = Url::parse(&acs.url) else { return Vec::new() };
    let host = url.host.trim_matches(['[', ']']);
    let anywhere: [IpAddr; 2] =
        [Ipv4Addr::new(192, 0, 2, 1).into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()];
    let literal: Option<IpAddr> = host.parse().ok();
    let local = || host.eq_ignore_ascii_case("localhost").then_some(Ipv4Addr::LOCALHOST.into());
    let mut targets: Vec<IpAddr> = literal.or(reached).or_else(local).into_iter().collect();
    // What was reached by a name may be so no longer.
    if literal.is_none() || acs.interface.is_some() {
        let known = targets.first().map(IpAddr::is_ipv4);
        targets.extend(anywhere.into_iter().filter(|target| known != Some(target.is_ipv4())));
    }
    let targets = targets.into_iter().filter(|target| target.is_ipv4() || !acs.force_ipv4);
    let mut found = targets.filter_map(|target| source(target, url.port, acs.interface.as_deref()));
    match acs.interface {
        Some(_) => found.collect(),
        None => found.next().into_iter().collect(),
    }
}

/// The address that datagrams to a target leave with.
fn source(target: IpAddr, port: u16, interface: Option<&str>) -> Option<IpAddr> {
    let any: IpAddr = match target {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    if let Some(name) = interface {
        setsockopt(&socket, sockopt::BindToDevice, &OsString::from(name)).ok()?;
    }
    socket.connect((target, port)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_leads_to_the_acs() {
        let known = |url: &str, interface: Option<&str>, reached: Option<&str>| {
            let interface = interface.map(str::to_owned);
            let acs = Acs { url: url.to_owned(), interface, ..Acs::default() };
            local_addresses(&acs, reached.map(|address| address.parse().unwrap()))
        };
        let local = |url: &str, interface| known(url, interface, None);
        assert_eq!(local("http://127.0.0.1:7547/x", None), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        assert_eq!(local("http://localhost/", None), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        assert_eq!(local("http://127.0.0.1/", Some("lo"))[0], IpAddr::from(Ipv4Addr::LOCALHOST));
        assert!(local("http://127.0.0.1/", Some("nosuch0")).is_empty());
        assert!(local("nonsense", None).is_empty());
        // The last session went there.
        for place in ["127.0.0.1", "::1"] {
            if UdpSocket::bind((place, 0)).is_ok() {
                assert_eq!(
                    known("http://acs.example/", None, Some(place)),
                    [place.parse::<IpAddr>().unwrap()]
                );
            }
        }
        assert_eq!(known("http://127.0.0.1/", None, Some("::1")), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
    }
}
