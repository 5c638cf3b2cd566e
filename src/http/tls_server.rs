//! TLS on the server's side, for the mini-ACS: a certificate with its key, and connections under it.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::tls::{TlsError, certificates, read};

/// A connection under TLS; the handshake is made with the first octets read.
pub type Channel = StreamOwned<ServerConnection, TcpStream>;

/// Who the server is.
#[derive(Debug, Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
}

impl Identity {
    /// Reads a certificate chain and its key, both PEM and perhaps of one file.
    ///
    /// # Errors
    /// A file that cannot be read or has no certificate, a key that is none or belongs to another certificate.
    pub fn read(chain: &Path, key: &Path) -> Result<Identity, TlsError> {
        let certificates = certificates(&read(chain)?);
        if certificates.is_empty() {
            return Err(TlsError::NoCertificates(chain.to_owned()));
        }
        let pem = read(key)?;
        let key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|error| TlsError::BadIdentity(format!("{}: {error}", key.display())))?;
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(|error| TlsError::BadIdentity(error.to_string()))?;
        Ok(Identity { config: Arc::new(config) })
    }

    /// Puts TLS on a connection that came in.
    ///
    /// # Errors
    /// Those of rustls, as text.
    pub fn accept(&self, stream: TcpStream) -> Result<Channel, String> {
        let connection =
            ServerConnection::new(Arc::clone(&self.config)).map_err(|error| error.to_string())?;
        Ok(StreamOwned::new(connection, stream))
    }
}
