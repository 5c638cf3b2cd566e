//! The daemon's connection-request port, and what the model shows of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::RawFd;
use std::time::Duration;

use log::{debug, error, info};

use super::{Daemon, PORT_RETRY, REALM, xmpp};
use crate::agent::light;
use crate::agent::settings::Settings;
use crate::connreq::listener::{self, Listener};
use crate::connreq::rule;
use crate::cwmp::event::EventCode;
use crate::http::auth::Credentials;
use crate::http::url::Url;
use crate::model::date;
use crate::sys::{clock, rng};

impl Daemon {
    pub(super) fn port_wanted(&self) -> bool {
        self.settings.enabled && self.settings.connection_request.enabled && !self.settings.acs.url.is_empty()
    }

    /// Opens the connection-request port on the address that leads to the ACS.
    pub(super) fn open_port(&mut self, now: Duration) {
        if self.listener.is_some() || now < self.port_retry || !self.port_wanted() {
            return;
        }
        self.port_retry = now + PORT_RETRY;
        let Some(address) = local_address(&self.settings.acs.url) else { return };
        let port = self.settings.connection_request.port;
        match Listener::bind(&[SocketAddr::new(address, port)], None) {
            Ok(mut listener) => {
                listener.set_life(self.settings.connection_request.timeout);
                info!("Connection Request server initiated with the port: {port}");
                self.address = Some(address);
                self.listener = Some(listener);
            }
            Err(why) => error!("connection requests cannot be received: {why}"),
        }
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
        let url = match (&self.listener, self.address) {
            (Some(listener), Some(address)) => {
                let port = listener
                    .addresses()
                    .first()
                    .map_or(self.settings.connection_request.port, SocketAddr::port);
                rule::url(address, port, &path)
            }
            _ => String::new(),
        };
        let first_use = self.file.state.first_use.map(date::format_utc);
        let system = self.model.backend();
        system.tell("ConnectionRequestURL", url);
        if let Some(date) = first_use {
            system.tell("FirstUseDate", date);
        }
        for (name, value) in [
            ("SupportedConnReqMethods", xmpp::METHODS),
            ("HTTPCompressionSupported", "GZIP,Deflate"),
            ("NATDetected", "0"),
            ("UDPConnectionRequestAddress", ""),
            ("LightweightNotificationProtocolsSupported", light::PROTOCOL),
            ("TimeStatus", if clock::is_set() { "Synchronized" } else { "Unsynchronized" }),
        ] {
            system.tell(name, value);
        }
    }
}

pub(super) fn rule_settings(settings: &Settings, random_path: &str) -> rule::Settings {
    let request = &settings.connection_request;
    let path = request.path.clone().unwrap_or_else(|| random_path.to_owned());
    let credentials = Credentials::new(request.username.clone(), request.password.clone());
    rule::Settings {
        realm: REALM.to_owned(),
        nonce_life: Duration::from_secs(settings.session_timeout.into()),
        ..rule::Settings::new(path, credentials)
    }
}

/// Our address on the way to the ACS: asked of the routing table by a UDP socket that sends nothing.
///
/// Names are not resolved here, the loop must not wait for DNS: an ACS with a name is taken to be where
/// the default route leads, for which the documentation prefixes stand (RFC 5737, RFC 3849).
pub(super) fn local_address(url: &str) -> Option<IpAddr> {
    let url = Url::parse(url).ok()?;
    let host = url.host.trim_matches(['[', ']']);
    let targets: Vec<IpAddr> = match host.parse() {
        Ok(literal) => vec![literal],
        Err(_) if host.eq_ignore_ascii_case("localhost") => vec![Ipv4Addr::LOCALHOST.into()],
        Err(_) => {
            vec![Ipv4Addr::new(192, 0, 2, 1).into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()]
        }
    };
    targets.into_iter().find_map(|target| {
        let any: SocketAddr = if target.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect((target, url.port)).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_leads_to_the_acs() {
        assert_eq!(local_address("http://127.0.0.1:7547/x"), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(local_address("http://localhost/"), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(local_address("nonsense"), None);
    }
}
