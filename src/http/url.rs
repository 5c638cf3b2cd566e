//! The URLs of ACSs and file servers: `http` and `https` only.
//!
//! Pure. A URL from outside is checked here before anything is looked up or connected to.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The longest URL taken, in octets; that of `ManagementServer.URL` is 256, of a download 256.
pub const MAX_URL: usize = 2048;

/// A URL taken apart. The host of an IPv6 literal stands without its brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether the scheme is `https`.
    pub tls: bool,
    /// The host, in lower case.
    pub host: String,
    /// The port, given or of the scheme.
    pub port: u16,
    /// Path and query, at least `/`.
    pub target: String,
}

/// Why a text is no URL we would connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlError {
    /// Longer than [`MAX_URL`].
    TooLong,
    /// A space, a control character or something beyond ASCII.
    BadCharacter,
    /// Neither `http` nor `https`.
    Scheme,
    /// A user name or password stands in it.
    Credentials,
    /// There is no host, or it is neither a name nor an address.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
    /// A redirection leads from another host to this device itself, or to one that is known on its link only.
    Inside,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlError::TooLong => write!(f, "the URL is longer than {MAX_URL} octets"),
            UrlError::BadCharacter => {
                f.write_str("the URL holds a space, a control or a non-ASCII character")
            }
            UrlError::Scheme => f.write_str("the URL begins with neither http:// nor https://"),
            UrlError::Credentials => f.write_str("the URL holds a user name or password"),
            UrlError::Host => f.write_str("the URL has no valid host"),
            UrlError::Port => f.write_str("the port of the URL is not a number from 1 to 65535"),
            UrlError::Inside => f.write_str("the URL leads back into this device or its link"),
        }
    }
}

impl std::error::Error for UrlError {}

impl Url {
    /// Takes an absolute URL apart; a fragment is dropped.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        check_characters(text)?;
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(UrlError::Scheme),
        };
        let Place { host, port, target } = Place::parse(rest, default_port(tls))?;
        Ok(Url { tls, host, port, target })
    }

    /// The URL that a `Location` header names, seen from this one (RFC 3986 5.2). A server elsewhere sends nobody to
    /// what listens on the loopback, nor to the link (where clouds keep their secrets).
    pub fn join(&self, location: &str) -> Result<Url, UrlError> {
        let joined = self.joined(location)?;
        if joined.is_inside() && !self.is_inside() { Err(UrlError::Inside) } else { Ok(joined) }
    }

    fn joined(&self, location: &str) -> Result<Url, UrlError> {
        check_characters(location)?;
        let has_scheme = location.find(':').is_some_and(|colon| {
            let scheme = &location[..colon];
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        });
        if has_scheme {
            return Url::parse(location);
        }
        if location.starts_with("//") {
            return Url::parse(&format!("{}:{location}", self.scheme()));
        }
        let location = location.split('#').next().unwrap_or_default();
        let path = self.target.split('?').next().unwrap_or("/");
        let joined = match location.chars().next() {
            None => return Err(UrlError::Host),
            Some('/') => location.to_owned(),
            Some('?') => format!("{path}{location}"),
            Some(_) => format!("{}{location}", &path[..=path.rfind('/').unwrap_or(0)]),
        };
        Ok(Url { target: without_dots(&joined), ..self.clone() })
    }

    /// Whether the host is this device by its loopback, or is known on its link only; also what a resolver would
    /// take for an address in another way of writing (`127.1`, `0x7f000001`).
    fn is_inside(&self) -> bool {
        let is_number = |label: &str| {
            let hex = label.strip_prefix("0x").unwrap_or_default();
            label.bytes().all(|b| b.is_ascii_digit())
                || (!hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        let name = self.host.strip_suffix('.').unwrap_or(&self.host);
        match name.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local() || ip.octets()[0] == 0,
            Ok(IpAddr::V6(ip)) => {
                let inner = ip
                    .to_ipv4()
                    .is_some_and(|ip| ip.is_loopback() || ip.is_link_local() || ip.octets()[0] == 0);
                inner || ip.segments()[0] & 0xffc0 == 0xfe80
            }
            Err(_) => {
                let last = name.rsplit('.').next().unwrap_or_default();
                last == "localhost" || is_number(last)
            }
        }
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Whether both lead to the same server: scheme, host and port.
    pub fn is_same_server(&self, other: &Url) -> bool {
        (self.tls, &self.host, self.port) == (other.tls, &other.host, other.port)
    }
}

/// What stands behind `://` in a URL of any scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The host, in lower case, without brackets.
    pub host: String,
    /// The port, given or assumed.
    pub port: u16,
    /// Path and query, at least `/`.
    pub target: String,
}

impl Place {
    /// Takes apart what follows `://`; a fragment is dropped.
    pub fn parse(rest: &str, default_port: u16) -> Result<Place, UrlError> {
        check_characters(rest)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(inside) => {
                let (literal, port) = inside.split_once(']').ok_or(UrlError::Host)?;
                let address: Ipv6Addr = literal.parse().map_err(|_| UrlError::Host)?;
                (address.to_string(), port)
            }
            None => {
                let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
                let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
                if host.is_empty() || host.len() > 255 || !host.bytes().all(is_name) {
                    return Err(UrlError::Host);
                }
                (host.to_ascii_lowercase(), port)
            }
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => default_port,
            Some("") => default_port,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?
            }
            _ => return Err(UrlError::Port),
        };
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Place { host, port, target })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme())?;
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if self.port != default_port(self.tls) {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.target)
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

fn check_characters(text: &str) -> Result<(), UrlError> {
    if text.len() > MAX_URL {
        return Err(UrlError::TooLong);
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b)) {
        return Err(UrlError::BadCharacter);
    }
    Ok(())
}

fn without_dots(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut kept: Vec<&str> = Vec::new();
    let last = path.split('/').count() - 1;
    for (at, segment) in path.split('/').enumerate().skip(1) {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if at == last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_apart() {
        let check = |text: &str, expected: &str| assert_eq!(Url::parse(text).unwrap().to_string(), expected);
        check("http://acs", "http://acs/");
        check("HTTPS://ACS.Example:443/cwmp?x=1#f", "https://acs.example/cwmp?x=1");
        check("http://127.0.0.1:7547?a=b", "http://127.0.0.1:7547/?a=b");
        check("http://[2001:db8:0::1]:80/", "http://[2001:db8::1]/");
        check("http://acs:/x", "http://acs/x");
        assert_eq!(Url::parse("https://[::1]/").unwrap().host, "::1");
    }

    #[test]
    fn refused() {
        let check = |text: &str, expected: UrlError| assert_eq!(Url::parse(text), Err(expected), "{text}");
        check("", UrlError::Scheme);
        check("acs.example", UrlError::Scheme);
        check("file:///etc/passwd", UrlError::Scheme);
        check("javascript://x", UrlError::Scheme);
        check("http://", UrlError::Host);
        check("http:///path", UrlError::Host);
        check("http://[::1/", UrlError::Host);
        check("http://[::1%25eth0]/", UrlError::Host);
        check("http://$(reboot)/", UrlError::Host);
        check("http://user:pw@acs/", UrlError::Credentials);
        check("http://acs:0/", UrlError::Port);
        check("http://acs:65536/", UrlError::Port);
        check("http://acs:+80/", UrlError::Port);
        check("http://[::1]x/", UrlError::Port);
        check("http://acs/a b", UrlError::BadCharacter);
        check("http://acs/\r\nX: y", UrlError::BadCharacter);
        check("http://acs/ä", UrlError::BadCharacter);
        check(&format!("http://acs/{}", "x".repeat(MAX_URL)), UrlError::TooLong);
    }

    #[test]
    fn redirected() {
        let base = Url::parse("http://acs:7547/a/b/c?q=1").unwrap();
        let check = |location: &str, expected: &str| {
            assert_eq!(base.join(location).unwrap().to_string(), expected, "{location}");
        };
        check("https://other/x", "https://other/x");
        check("//other/x", "http://other/x");
        check("/x?y=http://z", "http://acs:7547/x?y=http://z");
        check("x", "http://acs:7547/a/b/x");
        check("?y", "http://acs:7547/a/b/c?y");
        check("../x/./y/..", "http://acs:7547/a/x/");
        check("../../../../x", "http://acs:7547/x");
        for bad in ["", "file:///etc/passwd", "javascript:alert(1)", "ftp://x/", "http://a\rb/", "#f"] {
            assert!(base.join(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_is_sent_inside_from_elsewhere() {
        let inside = [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0.0.0.0",
            "169.254.169.254",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[::ffff:127.0.0.1]",
            "localhost",
            "LOCALHOST.",
            "x.localhost",
            "0177.0.0.01",
        ];
        for host in inside {
            let location = format!("http://{host}/x");
            for from in ["http://acs.example/", "https://192.168.1.1/", "http://[2001:db8::1]/"] {
                assert_eq!(Url::parse(from).unwrap().join(&location), Err(UrlError::Inside), "{host}");
            }
            // A server of a test, or one that the LAN has, may do so.
            assert!(Url::parse("http://127.0.0.1:7547/").unwrap().join(&location).is_ok(), "{host}");
        }
        let acs = Url::parse("http://acs.example/").unwrap();
        for outside in [
            "10.0.0.1",
            "192.168.1.1",
            "[2001:db8::1]",
            "[::ffff:192.0.2.1]",
            "x2.example",
            "dead.beef",
            "0x.be",
        ] {
            assert!(acs.join(&format!("http://{outside}/")).is_ok(), "{outside}");
        }
    }
}
