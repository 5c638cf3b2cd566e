//! TLS as it is configured, made once: certificates are read, and sessions resumed, only so.
//!
//! A server that is asked over plain HTTP may redirect to HTTPS (TR-069 3.4.2). So plain HTTP is given TLS too,
//! but the certificates are not read before a connection needs them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::settings::Acs;
use crate::http::wire::{Secure, Secured, Wire};
use crate::sys::fs::Root;

/// What puts TLS on a connection; `None` in a build without it.
pub(super) type Maybe = Option<Arc<dyn Secure>>;

/// TLS for all connections of an agent.
#[derive(Default)]
pub(super) struct Tls {
    when_needed: Option<Arc<WhenNeeded>>,
}

impl Tls {
    /// For a URL of HTTPS or FTPS.
    ///
    /// # Errors
    /// When the certificates cannot be used.
    pub fn now(&mut self, acs: &Acs, root: &Root) -> Result<Maybe, String> {
        self.for_settings(acs, root).client()
    }

    /// For a URL of HTTP, which may redirect to one of HTTPS. Certificates that cannot be used are complained about
    /// only then.
    pub fn when_needed(&mut self, acs: &Acs, root: &Root) -> Maybe {
        let tls = self.for_settings(acs, root);
        cfg!(feature = "tls").then_some(tls)
    }

    fn for_settings(&mut self, acs: &Acs, root: &Root) -> Arc<WhenNeeded> {
        let wanted = (&acs.ca, &acs.identity, acs.insecure, root);
        let known = |tls: &&Arc<WhenNeeded>| (&tls.ca, &tls.identity, tls.insecure, &tls.root) == wanted;
        if let Some(tls) = self.when_needed.as_ref().filter(known) {
            return Arc::clone(tls);
        }
        let tls = Arc::new(WhenNeeded {
            ca: acs.ca.clone(),
            identity: acs.identity.clone(),
            insecure: acs.insecure,
            root: root.clone(),
            client: Mutex::new(None),
        });
        self.when_needed = Some(Arc::clone(&tls));
        tls
    }
}

/// TLS that is made for its first connection.
#[derive(Debug)]
struct WhenNeeded {
    ca: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
    insecure: bool,
    root: Root,
    client: Mutex<Maybe>,
}

impl WhenNeeded {
    /// A failure is not kept: the files may be there the next time.
    fn client(&self) -> Result<Maybe, String> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if client.is_none() {
            *client = self.make()?;
        }
        Ok(client.clone())
    }

    #[cfg(feature = "tls")]
    fn make(&self) -> Result<Maybe, String> {
        use crate::http::tls::{Client, Settings};
        use crate::sys::clock;

        let ca = self.ca.clone().unwrap_or_else(|| "/etc/ssl/certs".into());
        let real = |path: &PathBuf| self.root.resolve(path).map_err(|why| why.to_string());
        let identity = match &self.identity {
            Some((chain, key)) => Some((real(chain)?, real(key)?)),
            None => None,
        };
        let client = Client::new(&Settings {
            ca: real(&ca)?,
            identity,
            insecure: self.insecure,
            clock: Arc::new(|| clock::is_set().then(|| clock::epoch_seconds().unsigned_abs())),
        });
        client
            .map(|client| Some(Arc::new(client) as Arc<_>))
            .map_err(|why| format!("TLS cannot be set up: {why}"))
    }

    #[cfg(not(feature = "tls"))]
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "the other build can fail")]
    fn make(&self) -> Result<Maybe, String> {
        Ok(None)
    }
}

impl Secure for WhenNeeded {
    fn handshake(&self, host: &str, wire: Wire) -> Result<Box<dyn Secured>, String> {
        self.client()?.ok_or("this build has no TLS")?.handshake(host, wire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "tls")]
    fn certificates_are_read_when_they_are_needed() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path().to_owned());
        let acs = Acs { ca: Some("/ca.pem".into()), ..Acs::default() };
        let mut tls = Tls::default();
        assert!(tls.when_needed(&acs, &root).is_some());
        let why = tls.now(&acs, &root).unwrap_err();
        assert!(why.contains("ca.pem"), "{why}");
        // What was made once is used again; other settings are another.
        let blind = Acs { insecure: true, ..acs.clone() };
        let made = tls.now(&blind, &root).unwrap().unwrap();
        assert!(Arc::ptr_eq(&made, &tls.now(&blind, &root).unwrap().unwrap()));
        assert!(tls.now(&acs, &root).is_err());
    }
}
