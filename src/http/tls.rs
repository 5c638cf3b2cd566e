//! TLS towards an ACS or a file server: the one file of a firmware that names rustls.
//!
//! Chains, names and signatures are checked by rustls and webpki. Three things are ours, because
//! TR-069 3.3 or old ACSs ask for them:
//! - dates are ignored, and nothing else, as long as the clock is not set;
//! - a certificate without subjectAltName is matched by its common name (RFC 6125 6.4.4);
//! - a certificate that itself stands in the CA file is trusted for itself: the self-signed ones,
//!   those marked as a CA, and those of version 1. A version 1 certificate that is only signed by
//!   a CA is refused, and one whose server signs with RSA PKCS#1 v1.5 fails in the handshake.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use sha2::{Digest, Sha256};

use crate::http::certificate::{self, Certificate};
use crate::http::wire::{Secure, Secured, Wire};

/// The longest PEM file read, in octets.
const MAX_FILE: u64 = 2 << 20;
/// The most files of a CA directory and the most CA certificates kept.
const MAX_CERTIFICATES: usize = 1024;

/// How often a read in a poll loop asks the socket: rustls takes 4 KiB at a time.
const MAX_READS: usize = 4;

/// Gives the time in seconds since 1970, or `None` while the clock is not set.
pub type Clock = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// What to trust and how to show who we are.
#[derive(Clone)]
pub struct Settings {
    /// A PEM file, or a directory of them.
    pub ca: PathBuf,
    /// Our certificate chain and key, both PEM, for an ACS that wants one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Check nothing at all: `insecure_enable`.
    pub insecure: bool,
    /// The clock that dates are held against.
    pub clock: Clock,
}

/// Why TLS cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsError {
    /// A file or directory cannot be read: path and reason.
    Unreadable(PathBuf, String),
    /// There is no certificate in it.
    NoCertificates(PathBuf),
    /// Our own certificate and key do not do: reason.
    BadIdentity(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Unreadable(path, why) => write!(f, "{} cannot be read: {why}", path.display()),
            TlsError::NoCertificates(path) => write!(f, "{} holds no CA certificate", path.display()),
            TlsError::BadIdentity(why) => write!(f, "the client certificate cannot be used: {why}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// The TLS side of any number of sessions, which resume one another.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
}

impl Client {
    /// Reads the certificates. With `insecure` the CA path is not looked at.
    pub fn new(settings: &Settings) -> Result<Client, TlsError> {
        let provider = Arc::new(crypto::ring::default_provider());
        let trust = if settings.insecure { None } else { Some(Trust::read(&settings.ca)?) };
        let verifier = Verifier {
            trust,
            algorithms: provider.signature_verification_algorithms,
            clock: settings.clock.clone(),
        };
        let builder = builder(provider).dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let config = match &settings.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates(&read(chain)?);
                let pem = read(key)?;
                let key = PrivateKeyDer::from_pem_slice(&pem)
                    .map_err(|error| TlsError::BadIdentity(format!("{}: {error}", key.display())))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| TlsError::BadIdentity(error.to_string()))?
            }
        };
        Ok(Client { config: Arc::new(config) })
    }
}

impl Secure for Client {
    fn handshake(&self, host: &str, mut wire: Wire) -> Result<Box<dyn Secured>, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host:?} is no host name"))?;
        let mut conn = ClientConnection::new(self.config.clone(), name).map_err(|error| error.to_string())?;
        while conn.is_handshaking() {
            conn.complete_io(&mut wire).map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => "the handshake took too long".to_owned(),
                io::ErrorKind::UnexpectedEof => {
                    "the server closed the connection in the handshake".to_owned()
                }
                _ => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                    Some(rustls::Error::InvalidCertificate(why)) => explain(why),
                    _ => error.to_string(),
                },
            })?;
        }
        Ok(Box::new(Channel { stream: StreamOwned::new(conn, wire) }))
    }
}

fn builder(provider: Arc<CryptoProvider>) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
}

fn explain(why: &CertificateError) -> String {
    let words = match why {
        CertificateError::UnknownIssuer => "is signed by nobody we trust",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another host"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet",
        CertificateError::BadEncoding => {
            "is damaged or of an old kind, which is trusted only if it stands in the CA file itself"
        }
        other => return format!("the certificate of the server will not do: {other}"),
    };
    format!("the certificate of the server {words}")
}

#[derive(Debug)]
struct Channel {
    stream: StreamOwned<ClientConnection, Wire>,
}

impl Channel {
    /// Reads as the stream does, and comes back: that goes on as long as the peer sends tickets, which it may for ever.
    fn read_in_haste(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let StreamOwned { conn, sock } = &mut self.stream;
        for _ in 0..MAX_READS {
            match conn.reader().read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            conn.read_tls(sock)?;
            let processed = conn.process_new_packets();
            // The answer to new keys, or an alert; what does not leave now does so with the next text.
            while conn.wants_write() && conn.write_tls(sock).is_ok_and(|length| length > 0) {}
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        conn.reader().read(buf)
    }
}

impl Read for Channel {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.stream.sock.is_hasty() {
            true => self.read_in_haste(buf),
            false => self.stream.read(buf),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Secured for Channel {
    fn set_deadline(&mut self, deadline: Instant) {
        self.stream.sock.set_deadline(deadline);
    }

    // Session tickets may lie unread on a connection that is as good as new.
    fn is_quiet(&mut self) -> bool {
        let StreamOwned { conn, sock } = &mut self.stream;
        for _ in 0..64 {
            match sock.without_waiting(|stream| conn.read_tls(stream)) {
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
                Ok(0) => return false,
                Ok(_) => match conn.process_new_packets() {
                    Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
                    _ => return false,
                },
            }
        }
        false
    }

    fn finish(&mut self) -> io::Result<()> {
        let StreamOwned { conn, sock } = &mut self.stream;
        conn.send_close_notify();
        while conn.wants_write() {
            conn.write_tls(sock)?;
        }
        sock.finish()
    }

    fn never_wait(&mut self) -> io::Result<()> {
        self.stream.sock.never_wait()
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.stream.sock.fd()
    }
}

impl Drop for Channel {
    // Without close_notify some servers would take the session for cut off.
    fn drop(&mut self) {
        self.stream.conn.send_close_notify();
        self.stream.sock.set_deadline(Instant::now() + Duration::from_millis(200));
        let _ = self.stream.conn.complete_io(&mut self.stream.sock);
    }
}

#[derive(Debug)]
struct Trust {
    anchors: RootCertStore,
    // Fingerprints instead of the certificates: a firmware's CA bundle is 200 KiB.
    pinned: HashSet<[u8; 32]>,
}

impl Trust {
    fn read(path: &Path) -> Result<Trust, TlsError> {
        let unreadable = |error: io::Error| TlsError::Unreadable(path.to_owned(), error.to_string());
        let mut trust = Trust { anchors: RootCertStore::empty(), pinned: HashSet::new() };
        if !fs::metadata(path).map_err(unreadable)?.is_dir() {
            trust.add(&read(path)?);
        } else {
            let mut files: Vec<_> = fs::read_dir(path)
                .map_err(unreadable)?
                .flatten()
                .map(|entry| entry.path())
                .filter(|file| file.is_file())
                .take(MAX_CERTIFICATES)
                .collect();
            files.sort();
            for file in files {
                match read(&file) {
                    Ok(pem) => trust.add(&pem),
                    Err(error) => log::warn!("{error}"),
                }
            }
        }
        if trust.pinned.is_empty() { Err(TlsError::NoCertificates(path.to_owned())) } else { Ok(trust) }
    }

    fn add(&mut self, pem: &[u8]) {
        // Other content between the same lines is no certificate that could be trusted.
        let real = |der: &CertificateDer<'_>| certificate::parse(der).is_some();
        for certificate in certificates(pem).into_iter().filter(real) {
            if self.pinned.len() < MAX_CERTIFICATES && self.pinned.insert(fingerprint(&certificate)) {
                // What webpki cannot make an anchor of is still trusted for itself.
                let _ = self.anchors.add(certificate);
            }
        }
    }
}

fn fingerprint(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
}

pub(super) fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).flatten().take(MAX_CERTIFICATES).collect()
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |error: io::Error| TlsError::Unreadable(path.to_owned(), error.to_string());
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= MAX_FILE => Ok(bytes),
        _ => Err(unreadable(io::Error::other("it is longer than 2 MiB"))),
    }
}

struct Verifier {
    trust: Option<Trust>,
    algorithms: WebPkiSupportedAlgorithms,
    clock: Clock,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.trust.is_some() { "Verifier" } else { "Verifier(insecure)" })
    }
}

impl Verifier {
    // While the clock is not set, any moment at which the chain holds will do.
    fn moments(&self, leaf: &CertificateDer, chain: &[CertificateDer]) -> Vec<UnixTime> {
        let seconds = match (self.clock)() {
            Some(now) => vec![now],
            None => {
                let chain = std::iter::once(leaf).chain(chain).take(8);
                let mut starts: Vec<_> =
                    chain.filter_map(|der| certificate::parse(der)).map(|facts| facts.not_before).collect();
                starts.sort_unstable_by(|a, b| b.cmp(a));
                starts
            }
        };
        seconds.into_iter().map(|second| UnixTime::since_unix_epoch(Duration::from_secs(second))).collect()
    }

    fn check_chain(
        &self,
        trust: &Trust,
        leaf: &CertificateDer,
        chain: &[CertificateDer],
    ) -> Result<(), rustls::Error> {
        // What webpki cannot open it names by its internals; acsrs's certificates of version 1 are such.
        let parsed = ParsedCertificate::try_from(leaf).map_err(|_| CertificateError::BadEncoding)?;
        let mut result = Err(CertificateError::BadEncoding.into());
        for moment in self.moments(leaf, chain) {
            result = verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &trust.anchors,
                chain,
                moment,
                self.algorithms.all,
            );
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn check_pinned(&self, facts: &Certificate) -> Result<(), rustls::Error> {
        match (self.clock)() {
            Some(now) if now < facts.not_before => Err(CertificateError::NotValidYet.into()),
            Some(now) if now > facts.not_after => Err(CertificateError::Expired.into()),
            _ => Ok(()),
        }
    }
}

fn check_name(leaf: &CertificateDer, name: &ServerName) -> Result<(), rustls::Error> {
    let by_alt_name = ParsedCertificate::try_from(leaf).and_then(|parsed| verify_server_name(&parsed, name));
    let Err(error) = by_alt_name else { return Ok(()) };
    match certificate::parse(leaf) {
        Some(Certificate { has_alt_name: false, common_name: Some(common), .. }) => {
            match certificate::covers(common, &name.to_str()) {
                true => Ok(()),
                false => Err(CertificateError::NotValidForName.into()),
            }
        }
        _ => Err(error),
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        if let Err(error) = self.check_chain(trust, leaf, chain) {
            match certificate::parse(leaf) {
                Some(facts) if trust.pinned.contains(&fingerprint(leaf)) => self.check_pinned(&facts)?,
                _ => return Err(error),
            }
        }
        check_name(leaf, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match ParsedCertificate::try_from(leaf) {
            Ok(_) => crypto::verify_tls12_signature(message, leaf, signed, &self.algorithms),
            Err(_) => self.verify_by_key(message, leaf, signed),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match ParsedCertificate::try_from(leaf) {
            Ok(_) => crypto::verify_tls13_signature(message, leaf, signed, &self.algorithms),
            Err(_) => self.verify_by_key(message, leaf, signed),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl Verifier {
    // webpki opens no certificate of version 1, but takes its key.
    fn verify_by_key(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let facts = certificate::parse(leaf).ok_or(CertificateError::BadEncoding)?;
        let key = SubjectPublicKeyInfoDer::from(facts.key);
        crypto::verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }
}
