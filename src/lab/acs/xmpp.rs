//! Connection requests over XMPP (TR-069 Annex K), for devices that have told a ConnReqJabberID: the mini-ACS is a client of a
//! server, each time anew, and always over TLS.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connreq::xmpp::client::{self, Account};
use crate::http::tls::{self, Client};
use crate::http::wire::Wire;
use crate::lab::store::Device;
use crate::sys::{clock, rng};

/// For the login, the request and the device's answer together.
const PATIENCE: Duration = Duration::from_secs(15);
/// The port of servers (RFC 6120 3.2).
const PORT: u16 = 5222;
/// Whom the server's certificate is to be signed by, unless told.
const CA: &str = "/etc/ssl/certs";

/// Who sends them, and by which server.
#[derive(Clone, PartialEq, Eq)]
pub struct Sender {
    /// The local part of our address.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The domain, which the certificate of the server must be for.
    pub domain: String,
    /// The server's host and port, if they are not the domain and 5222.
    pub server: Option<String>,
    /// A PEM file or a directory of them.
    pub ca: PathBuf,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.username, self.domain)
    }
}

impl Sender {
    /// `USER:PASSWORD@DOMAIN`.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub fn parse(text: &str) -> Result<Sender, String> {
        let wanted = || "USER:PASSWORD@DOMAIN is wanted".to_owned();
        let (who, domain) = text.rsplit_once('@').ok_or_else(wanted)?;
        let (username, password) = who.split_once(':').ok_or_else(wanted)?;
        if username.is_empty() || domain.is_empty() {
            return Err(wanted());
        }
        let (username, password, domain) = (username.to_owned(), password.to_owned(), domain.to_owned());
        Ok(Sender { username, password, domain, server: None, ca: PathBuf::from(CA) })
    }

    /// Asks the device with this address for a session.
    ///
    /// # Errors
    /// Why it did not accept, or could not be asked, for people.
    pub fn knock(&self, device: &Device, jid: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let (wire, _) = Wire::connect(&self.addresses()?, None, deadline)
            .map_err(|error| format!("the XMPP server of {self:?}: {error}"))?;
        let clock: tls::Clock = Arc::new(|| u64::try_from(clock::epoch_seconds()).ok());
        let settings = tls::Settings { ca: self.ca.clone(), identity: None, insecure: false, clock };
        let tls = Client::new(&settings).map_err(|error| error.to_string())?;
        let account = Account {
            username: self.username.clone(),
            password: self.password.as_str().into(),
            domain: self.domain.clone(),
            resource: String::new(),
            use_tls: true,
        };
        let nonce = rng::hex(16).map_err(|error| error.to_string())?;
        let to =
            (jid, device.connection_request_username.as_str(), device.connection_request_password.as_str());
        client::request(wire, &account, Some(&tls), &nonce, to).map_err(|fault| fault.to_string())
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let server = self.server.as_deref().unwrap_or(&self.domain);
        let found = match server.contains(':') {
            true => server.to_socket_addrs(),
            false => (server, PORT).to_socket_addrs(),
        };
        found.map(Iterator::collect).map_err(|error| format!("{server}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts() {
        let sender = Sender::parse("acs:p:w@d@example.net").unwrap();
        assert_eq!((sender.username.as_str(), sender.password.as_str()), ("acs", "p:w@d"));
        assert_eq!(
            (sender.domain.as_str(), format!("{sender:?}").as_str()),
            ("example.net", "acs@example.net")
        );
        for wrong in ["", "a@b", "a:b", ":p@d", "a:p@"] {
            assert!(Sender::parse(wrong).is_err(), "{wrong}");
        }
        let at = |server: &str| Sender { server: Some(server.into()), ..sender.clone() }.addresses().unwrap();
        assert_eq!(at("127.0.0.1"), [SocketAddr::from(([127, 0, 0, 1], 5222))]);
        assert_eq!(at("127.0.0.1:7"), [SocketAddr::from(([127, 0, 0, 1], 7))]);
    }
}
