//! Who may post: Basic or Digest authentication of CPEs.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::http::auth::{
    Algorithm, Authorization, Credentials, DigestAnswer, basic_challenge, digest_challenge,
    parse_authorization, same,
};
use crate::http::serve::Request;
use crate::lab::store::Store;
use crate::sys::rng;

/// The realm of our challenges.
const REALM: &str = "rcwmp mini-ACS";
/// Nonces kept.
const MAX_NONCES: usize = 256;
/// How long a nonce is good.
const LIFETIME: Duration = Duration::from_secs(600);

/// What is asked of a CPE.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Nothing.
    #[default]
    None,
    /// Basic, with these or a script's credentials.
    Basic(Credentials),
    /// Digest, with these or a script's credentials.
    Digest(Credentials),
}

/// Checks requests, and remembers the nonces it gave out.
pub struct Guard {
    auth: Auth,
    nonces: Mutex<VecDeque<Nonce>>,
}

struct Nonce {
    text: String,
    made: Instant,
    /// The highest count seen.
    count: u32,
}

impl Guard {
    /// A guard that gave out no nonce yet.
    pub fn new(auth: Auth) -> Guard {
        Guard { auth, nonces: Mutex::default() }
    }

    /// Lets a request pass.
    ///
    /// # Errors
    /// The challenge to answer with; `None` when there is no randomness for one.
    pub fn check(&self, request: &Request, store: &Store) -> Result<(), Option<String>> {
        let given = request.header("authorization").and_then(|line| parse_authorization(line).ok());
        match (&self.auth, given) {
            (Auth::None, _) => Ok(()),
            (Auth::Basic(known), Some(Authorization::Basic(given))) if is_known(known, store, &given) => {
                Ok(())
            }
            (Auth::Basic(_), _) => Err(Some(basic_challenge(REALM))),
            (Auth::Digest(known), Some(Authorization::Digest(given))) => {
                let who = whose(known, store, &given.username);
                let proven = is_for(&given, request)
                    && who.is_some_and(|who| given.proves(&who, REALM, &request.method, &request.body));
                if proven && self.is_fresh(&given) {
                    return Ok(());
                }
                // With the right password only the nonce is old.
                Err(self.challenge(proven))
            }
            (Auth::Digest(_), _) => Err(self.challenge(false)),
        }
    }

    fn challenge(&self, stale: bool) -> Option<String> {
        let text = rng::hex(16).ok()?;
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        while nonces.len() >= MAX_NONCES {
            nonces.pop_front();
        }
        nonces.push_back(Nonce { text: text.clone(), made: Instant::now(), count: 0 });
        Some(digest_challenge(REALM, &text, Algorithm::Md5, stale))
    }

    /// Whether the nonce is one of ours, young enough, and this count of it was not used before.
    fn is_fresh(&self, given: &DigestAnswer) -> bool {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(nonce) = nonces.iter_mut().find(|nonce| nonce.text == given.nonce) else { return false };
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

/// The credentials of a user name: the configured ones, or those that a script made.
fn whose(known: &Credentials, store: &Store, username: &str) -> Option<Credentials> {
    if known.username == username {
        return Some(known.clone());
    }
    let password = store.credential(username).ok()??;
    Some(Credentials::new(username, password))
}

fn is_known(known: &Credentials, store: &Store, given: &Credentials) -> bool {
    whose(known, store, &given.username)
        .is_some_and(|who| same(who.password.as_bytes(), given.password.as_bytes()))
}
