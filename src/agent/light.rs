//! Lightweight notifications (TR-069 Annex M): what ManagementServer says of them, and the datagrams' way out.
//!
//! ```text
//!  LightweightNotificationProtocolsUsed has "UDP"   levels 3 to 6 can be asked for, and are sent
//!  UDPLightweightNotificationHost, …Port            where to; the ACS's host while the first is empty
//!  LightweightNotificationTriggerInterval, …Time    when levels 3 and 4 go without a 5 or 6; 0: never
//! ```
//! Looking up a name takes as long as it likes, so [`Post::send`] is for a worker thread.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use nix::sys::socket::{setsockopt, sockopt};

use super::schedule;
use super::settings::Acs;
use crate::backend::System;
use crate::http::lookup::lookup;
use crate::http::url::Url;
use crate::http::wire::Cancel;
use crate::model::Model;
use crate::model::date::{self, Moment};
use crate::model::error::Error;

/// The only protocol there is (TR-181).
pub const PROTOCOL: &str = "UDP";
/// Where the parameters are.
const SERVER: &str = "Device.ManagementServer.";
/// UDPLightweightNotificationHost: `string(256)`.
const MAX_HOST: usize = 256;

/// Where lightweight notifications go, and when without a change that is to be told at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
    /// TriggerInterval and TriggerTime.
    pub trigger: schedule::Settings,
}

/// Why lightweight notifications cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LightError {
    /// A parameter that cannot be read.
    Unreadable(Error),
    /// The host is neither a name nor an address.
    BadHost(String),
    /// The port is none of UDP's.
    BadPort(String),
    /// The host has no address, or none was found in time.
    NotResolved(String, String),
    /// The system does not take the datagram.
    NotSent(String, String),
    /// The worker has ended without a word.
    Lost,
}

impl fmt::Display for LightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LightError::Unreadable(why) => why.fmt(f),
            LightError::BadHost(host) => write!(f, "UDPLightweightNotificationHost {host:?} is no host"),
            LightError::BadPort(port) => write!(f, "UDPLightweightNotificationPort {port:?} is no port"),
            LightError::NotResolved(host, why) => write!(f, "{host} has no address: {why}"),
            LightError::NotSent(host, why) => write!(f, "no way to {host}: {why}"),
            LightError::Lost => f.write_str("the worker ended early"),
        }
    }
}

impl std::error::Error for LightError {}

/// Whether ManagementServer.LightweightNotificationProtocolsUsed has UDP.
pub fn is_used(model: &mut Model<System>) -> bool {
    let used = text(model, "LightweightNotificationProtocolsUsed").unwrap_or_default();
    used.split(',').any(|word| word.trim() == PROTOCOL)
}

/// What ManagementServer says; `None` while it is not used. `acs` gives the host where none is set.
///
/// # Errors
/// [`LightError`] of the first parameter that makes no sense.
pub fn settings(model: &mut Model<System>, acs: &Acs) -> Result<Option<Settings>, LightError> {
    if !is_used(model) {
        return Ok(None);
    }
    let mut read = |name: &str| text(model, name).map_err(LightError::Unreadable);
    let mut host = read("UDPLightweightNotificationHost")?;
    if host.is_empty() {
        host = Url::parse(&acs.url).map_err(|_| LightError::BadHost(String::new()))?.host;
    }
    let port = read("UDPLightweightNotificationPort")?;
    let interval = read("LightweightNotificationTriggerInterval")?.parse().unwrap_or(0);
    let reference = match date::parse(&read("LightweightNotificationTriggerTime")?) {
        Some(Moment::At(epoch)) => Some(epoch),
        _ => None,
    };
    let trigger = schedule::Settings { enabled: interval > 0, interval, reference };
    Ok(Some(Settings { host: checked_host(&host)?, port: checked_port(&port)?, trigger }))
}

impl Settings {
    /// Host and port as they stand in a URL.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Datagrams and their way, for a thread that may wait.
#[derive(Debug, Clone)]
pub struct Post {
    /// In this order, to the same address.
    pub packets: Vec<Vec<u8>>,
    /// As in [`Settings`].
    pub host: String,
    /// As in [`Settings`].
    pub port: u16,
    /// The network interface to leave by.
    pub interface: Option<String>,
    /// IPv6 is not tried.
    pub force_ipv4: bool,
}

impl Post {
    /// Looks the host up and sends. That all have left says nothing of their arrival.
    ///
    /// # Errors
    /// [`LightError`] when there is no address until `deadline` or `cancel`, or none that takes the first.
    pub fn send(&self, deadline: Instant, cancel: &Cancel) -> Result<(), LightError> {
        let found = lookup(&self.host, self.port, self.force_ipv4, deadline, cancel);
        let found = found.map_err(|why| LightError::NotResolved(self.host.clone(), why.to_string()))?;
        let mut last = String::new();
        for address in found {
            match self.send_to(address) {
                Ok(()) => return Ok(()),
                Err(why) => last = why.to_string(),
            }
        }
        Err(LightError::NotSent(self.host.clone(), last))
    }

    fn send_to(&self, address: SocketAddr) -> io::Result<()> {
        let any: IpAddr =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        if let Some(interface) = &self.interface {
            setsockopt(&socket, sockopt::BindToDevice, &OsString::from(interface))?;
        }
        for packet in &self.packets {
            socket.send_to(packet, address)?;
        }
        Ok(())
    }
}

fn text(model: &mut Model<System>, name: &str) -> Result<String, Error> {
    let found = model.values([format!("{SERVER}{name}").as_str()])?;
    Ok(found.into_iter().next().map(|(_, value)| value.text).unwrap_or_default())
}

/// A name or an address; brackets around one of IPv6 are taken off.
fn checked_host(text: &str) -> Result<String, LightError> {
    let bad = || LightError::BadHost(text.to_owned());
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if inner.parse::<Ipv6Addr>().is_ok() {
        return Ok(inner.to_owned());
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let fits = !text.is_empty() && text.len() <= MAX_HOST && text.bytes().all(fits);
    if fits { Ok(text.to_owned()) } else { Err(bad()) }
}

fn checked_port(text: &str) -> Result<u16, LightError> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| LightError::BadPort(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn post(host: &str, port: u16) -> Post {
        Post {
            packets: vec![b"one".to_vec(), b"two".to_vec()],
            host: host.to_owned(),
            port,
            interface: None,
            force_ipv4: true,
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn hosts_and_ports() {
        let host = |text: &str| checked_host(text).unwrap_or_default();
        assert_eq!(host("acs.example"), "acs.example");
        assert_eq!(host("192.0.2.1"), "192.0.2.1");
        assert_eq!(host("[2001:db8::1]"), "2001:db8::1");
        assert_eq!(host("2001:db8::1"), "2001:db8::1");
        for bad in ["", "a b", "a\r\nX: y", "user@host", "a:80", "[acs.example]", "/etc", &"x".repeat(257)] {
            assert_eq!(checked_host(bad), Err(LightError::BadHost(bad.to_owned())));
        }
        assert_eq!(checked_port("7547"), Ok(7547));
        for bad in ["", "0", "65536", "-1", "7547 "] {
            assert_eq!(checked_port(bad), Err(LightError::BadPort(bad.to_owned())));
        }
    }

    #[test]
    fn authorities() {
        let trigger = schedule::Settings { enabled: false, interval: 0, reference: None };
        let of = |host: &str| Settings { host: host.to_owned(), port: 7547, trigger }.authority();
        assert_eq!(of("acs.example"), "acs.example:7547");
        assert_eq!(of("2001:db8::1"), "[2001:db8::1]:7547");
    }

    #[test]
    fn datagrams_leave_in_order() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let port = socket.local_addr().unwrap().port();
        post("localhost", port).send(soon(), &Cancel::default()).unwrap();
        let mut buffer = [0; 16];
        for expected in [b"one", b"two"] {
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected);
        }
    }

    #[test]
    fn failures_say_where() {
        let fails = |post: &Post, deadline| post.send(deadline, &Cancel::default()).unwrap_err();
        let late = fails(&post("acs.example", 1), Instant::now());
        assert!(matches!(&late, LightError::NotResolved(host, _) if host == "acs.example"), "{late}");
        let nowhere = Post { interface: Some("nosuch0".to_owned()), ..post("127.0.0.1", 1) };
        assert!(matches!(fails(&nowhere, soon()), LightError::NotSent(..)));
        let large = Post { packets: vec![vec![0; 70_000]], ..post("127.0.0.1", 1) };
        assert!(matches!(fails(&large, soon()), LightError::NotSent(..)));
    }
}
