//! Who may post: Basic or Digest authentication of CPEs.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::http::auth::{
    Algorithm, Authorization, Credentials, DigestAnswer, basic_challenge, digest_challenge, md5_key,
    parse_authorization, same,
};
use crate::http::serve::Request;
use crate::lab::front::Peer;
use crate::lab::store::{REALM, Store};
use crate::sys::rng;

use super::quirks::Quirks;

/// Nonces kept.
const MAX_NONCES: usize = 4096;
/// How long a nonce is good.
const LIFETIME: Duration = Duration::from_secs(600);

/// What is asked of a CPE.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Nothing.
    #[default]
    None,
    /// Basic, with these credentials, unless the user name is empty, or those of the store.
    Basic(Credentials),
    /// Digest, likewise.
    Digest(Credentials),
}

/// Checks requests, and remembers the nonces it gave out.
pub struct Guard {
    auth: Auth,
    quirks: Quirks,
    nonces: Mutex<VecDeque<Nonce>>,
}

struct Nonce {
    text: String,
    made: Instant,
    /// The highest count seen.
    count: u32,
    /// The connection it was given on.
    connection: u32,
}

impl Guard {
    /// A guard that gave out no nonce yet.
    pub fn new(auth: Auth, quirks: Quirks) -> Guard {
        Guard { auth, quirks, nonces: Mutex::default() }
    }

    /// Whether it asks anything at all.
    pub fn is_open(&self) -> bool {
        matches!(self.auth, Auth::None)
    }

    /// Lets a request pass.
    ///
    /// # Errors
    /// The challenge to answer with; `None` when there is no randomness for one.
    pub fn check(&self, request: &Request, store: &Store, peer: &Peer) -> Result<(), Option<String>> {
        let given = request.header("authorization").and_then(|line| parse_authorization(line).ok());
        match (&self.auth, given) {
            (Auth::None, _) => Ok(()),
            (Auth::Basic(known), Some(Authorization::Basic(given))) if is_known(known, store, &given) => {
                Ok(())
            }
            (Auth::Basic(_), _) => Err(Some(basic_challenge(REALM))),
            (Auth::Digest(known), Some(Authorization::Digest(given))) => {
                let proven = is_for(&given, request) && proves(known, store, &given, request);
                if proven && self.is_fresh(&given, peer) {
                    return Ok(());
                }
                // With the right password only the nonce is old.
                Err(self.challenge(proven, peer))
            }
            (Auth::Digest(_), _) => Err(self.challenge(false, peer)),
        }
    }

    fn challenge(&self, stale: bool, peer: &Peer) -> Option<String> {
        let text = rng::hex(16).ok()?;
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        while nonces.len() >= MAX_NONCES {
            nonces.pop_front();
        }
        let (made, connection) = (Instant::now(), peer.connection);
        nonces.push_back(Nonce { text: text.clone(), made, count: 0, connection });
        if self.quirks.terse_challenge {
            return Some(format!("Digest realm=\"{REALM}\",qop=\"auth,auth-int\",nonce=\"{text}\""));
        }
        Some(digest_challenge(REALM, &text, Algorithm::Md5, stale))
    }

    /// Whether the nonce is one of ours, young enough, and this count of it was not used before.
    fn is_fresh(&self, given: &DigestAnswer, peer: &Peer) -> bool {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(nonce) = nonces.iter_mut().find(|nonce| nonce.text == given.nonce) else { return false };
        if self.quirks.bound_nonce && nonce.connection != peer.connection {
            return false;
        }
        // Without qop (RFC 2069) there is no count.
        let counted = given.qop.is_none() || given.count > nonce.count;
        nonce.count = nonce.count.max(given.count);
        counted && nonce.made.elapsed() < LIFETIME
    }
}

/// Whether the digest is about this request's target.
fn is_for(given: &DigestAnswer, request: &Request) -> bool {
    given.uri == request.target || given.uri == request.path()
}

/// Whether these are the configured credentials' user, if there are any.
fn is_configured(known: &Credentials, username: &str) -> bool {
    !known.username.is_empty() && known.username == username
}

fn proves(known: &Credentials, store: &Store, given: &DigestAnswer, request: &Request) -> bool {
    if is_configured(known, &given.username) {
        return given.proves(known, REALM, &request.method, &request.body);
    }
    let key = store.credential(&given.username).ok().flatten();
    key.is_some_and(|key| given.proves_key(&given.username, &key, REALM, &request.method, &request.body))
}

fn is_known(known: &Credentials, store: &Store, given: &Credentials) -> bool {
    if is_configured(known, &given.username) {
        return same(known.password.as_bytes(), given.password.as_bytes());
    }
    let key = store.credential(&given.username).ok().flatten();
    let shown = md5_key(&given.username, REALM, &given.password);
    key.is_some_and(|key| same(key.as_bytes(), shown.as_bytes()))
}
