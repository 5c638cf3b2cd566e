//! How a client proves who it is: SCRAM-SHA-256, SCRAM-SHA-1 (RFC 5802, RFC 7677) and PLAIN (RFC 4616).
//!
//! Pure: the nonce is an argument. Names and passwords of ASCII are their own SASLprep (RFC 4013);
//! others are sent as they are, which is right for all that a keyboard composes (NFC). What stands for the password
//! is overwritten when it is let go of; the state of the hash functions, which is the stack's, is not.

use std::fmt;

use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::http::auth;
use crate::http::auth_text::{base64, from_base64};

/// The fewest iterations that a server may ask for (RFC 5802 5.1, RFC 7677 4): with fewer, whoever plays the server could
/// guess the password from our proof.
const MIN_ITERATIONS: u32 = 4096;
/// The most: a few seconds of work on a slow router, and 25 times what servers ask for by default.
const MAX_ITERATIONS: u32 = 250_000;
/// The longest message of a server, and the longest salt in it.
const MAX_MESSAGE: usize = 1024;

/// A mechanism, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mechanism {
    /// The password as it is: only for a stream under TLS.
    Plain,
    /// SCRAM-SHA-1.
    ScramSha1,
    /// SCRAM-SHA-256.
    ScramSha256,
}

impl Mechanism {
    /// The best of those that a server offers.
    pub(super) fn best<'n>(offered: impl Iterator<Item = &'n str>, is_tls: bool) -> Option<Mechanism> {
        let known = [Mechanism::Plain, Mechanism::ScramSha1, Mechanism::ScramSha256];
        let known = &known[usize::from(!is_tls)..];
        offered.filter_map(|name| known.iter().find(|one| one.name() == name.trim())).max().copied()
    }

    /// Its registered name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
        }
    }
}

/// Why a proof cannot be given, or the server's is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SaslError {
    /// The name or the password has characters that none may have.
    Unfit,
    /// The server's message is not one.
    Malformed,
    /// It asks for so little work that the password could be guessed.
    TooFewIterations(u32),
    /// It asks for too much work.
    TooManyIterations(u32),
    /// The server does not know the password.
    ServerUnproven,
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaslError::Unfit => f.write_str("user name or password is empty or has control characters"),
            SaslError::Malformed => f.write_str("the server's challenge is malformed"),
            SaslError::TooFewIterations(count) => {
                write!(f, "the server asks for {count} iterations, too few: {MIN_ITERATIONS} is the least")
            }
            SaslError::TooManyIterations(count) => {
                write!(f, "the server asks for {count} iterations, too many: {MAX_ITERATIONS} is the most")
            }
            SaslError::ServerUnproven => f.write_str("the server does not prove that it knows the password"),
        }
    }
}

/// A login under way.
pub(super) struct Login<'c> {
    mechanism: Mechanism,
    username: &'c str,
    password: &'c str,
    nonce: &'c str,
    /// The server's signature, once it is known.
    expected: Option<Zeroizing<Vec<u8>>>,
    is_proven: bool,
}

impl<'c> Login<'c> {
    /// A login with a random `nonce` of printable ASCII without commas.
    ///
    /// # Errors
    /// [`SaslError::Unfit`].
    pub(super) fn new(
        mechanism: Mechanism,
        username: &'c str,
        password: &'c str,
        nonce: &'c str,
    ) -> Result<Login<'c>, SaslError> {
        let is_fit = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        match is_fit(username) && is_fit(password) {
            true => Ok(Login { mechanism, username, password, nonce, expected: None, is_proven: false }),
            false => Err(SaslError::Unfit),
        }
    }

    /// The first message, in base64.
    pub(super) fn first(&self) -> Zeroizing<String> {
        let message = match self.mechanism {
            Mechanism::Plain => {
                // As long as it will be, so that no shorter one is left behind.
                let length = self.username.len() + self.password.len() + 2;
                let mut message = Zeroizing::new(String::with_capacity(length));
                ["\0", self.username, "\0", self.password].iter().for_each(|part| message.push_str(part));
                message
            }
            _ => Zeroizing::new(format!("n,,{}", self.bare())),
        };
        Zeroizing::new(base64(message.as_bytes()))
    }

    /// The answer to the server's challenge, both in base64.
    ///
    /// # Errors
    /// [`SaslError`] for a challenge that makes no sense here.
    pub(super) fn answer(&mut self, challenge: &str) -> Result<Zeroizing<String>, SaslError> {
        if self.mechanism == Mechanism::Plain || self.expected.is_some() {
            return Err(SaslError::Malformed);
        }
        let message = text(challenge)?;
        let mut fields = message.split(',');
        let mut field = |name: &str| fields.next().and_then(|one| one.strip_prefix(name));
        // An extension that is mandatory (`m=`) would stand first.
        let (nonce, salt, count) = (field("r="), field("s="), field("i="));
        let nonce = nonce.ok_or(SaslError::Malformed)?;
        let salt = salt.and_then(from_base64).filter(|salt| !salt.is_empty()).ok_or(SaslError::Malformed)?;
        let count = count.and_then(|text| text.parse::<u32>().ok()).filter(|count| *count > 0);
        let count = count.ok_or(SaslError::Malformed)?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(self.nonce) {
            return Err(SaslError::Malformed);
        }
        match count {
            ..MIN_ITERATIONS => return Err(SaslError::TooFewIterations(count)),
            MIN_ITERATIONS..=MAX_ITERATIONS => {}
            _ => return Err(SaslError::TooManyIterations(count)),
        }
        let last = format!("c=biws,r={nonce}");
        let signed = format!("{},{message},{last}", self.bare());
        let (proof, expected) = match self.mechanism {
            Mechanism::ScramSha256 => proof::<Of256>(self.password, &salt, count, &signed),
            _ => proof::<Of1>(self.password, &salt, count, &signed),
        };
        self.expected = Some(expected);
        let proof = Zeroizing::new(base64(&proof));
        // What grows would leave its beginning behind.
        let mut message = Zeroizing::new(String::with_capacity(last.len() + 3 + proof.len()));
        [&last, ",p=", &proof].iter().for_each(|part| message.push_str(part));
        Ok(Zeroizing::new(base64(message.as_bytes())))
    }

    /// Looks at what comes with the server's success, or in a challenge before it, in base64 or empty. Once it
    /// was right, nothing more need come.
    ///
    /// # Errors
    /// [`SaslError::ServerUnproven`] if the server does not know the password (RFC 5802 5).
    pub(super) fn finish(&mut self, success: &str) -> Result<(), SaslError> {
        if self.mechanism == Mechanism::Plain || self.is_proven && success.is_empty() {
            return Ok(());
        }
        let message = text(success).map_err(|_| SaslError::ServerUnproven)?;
        let signature =
            message.split(',').next().and_then(|one| one.strip_prefix("v=")).and_then(from_base64);
        match (&self.expected, signature) {
            (Some(expected), Some(signature)) if auth::same(expected, &signature) => {
                self.is_proven = true;
                Ok(())
            }
            _ => Err(SaslError::ServerUnproven),
        }
    }

    fn bare(&self) -> String {
        let name = self.username.replace('=', "=3D").replace(',', "=2C");
        format!("n={name},r={}", self.nonce)
    }
}

fn text(base64: &str) -> Result<String, SaslError> {
    let octets = Some(base64.trim()).filter(|text| text.len() <= MAX_MESSAGE).and_then(from_base64);
    octets.and_then(|octets| String::from_utf8(octets).ok()).ok_or(SaslError::Malformed)
}

/// A hash function and its HMAC.
trait Kind {
    type Mac: Mac + Clone;
    fn mac(key: &[u8]) -> Self::Mac;
    fn hash(octets: &[u8]) -> Vec<u8>;
}

struct Of1;
struct Of256;

impl Kind for Of1 {
    type Mac = Hmac<Sha1>;
    fn mac(key: &[u8]) -> Self::Mac {
        <Hmac<Sha1> as Mac>::new_from_slice(key).expect("HMAC takes any key")
    }
    fn hash(octets: &[u8]) -> Vec<u8> {
        Sha1::digest(octets).to_vec()
    }
}

impl Kind for Of256 {
    type Mac = Hmac<Sha256>;
    fn mac(key: &[u8]) -> Self::Mac {
        <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes any key")
    }
    fn hash(octets: &[u8]) -> Vec<u8> {
        Sha256::digest(octets).to_vec()
    }
}

/// The client's proof and the server's signature (RFC 5802 3).
fn proof<K: Kind>(
    password: &str,
    salt: &[u8],
    count: u32,
    signed: &str,
) -> (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>) {
    // Hi(): PBKDF2 of one block, the key's part of HMAC done once.
    let keyed = K::mac(password.as_bytes());
    let mut mac = keyed.clone();
    mac.update(salt);
    mac.update(&1_u32.to_be_bytes());
    let mut round = mac.finalize().into_bytes();
    let mut salted = Zeroizing::new(round.to_vec());
    for _ in 1..count {
        let mut mac = keyed.clone();
        mac.update(&round);
        round = mac.finalize().into_bytes();
        salted.iter_mut().zip(&round).for_each(|(sum, octet)| *sum ^= octet);
    }
    round.as_mut_slice().zeroize();
    let mut proof = sign::<K>(&salted, b"Client Key");
    let stored = Zeroizing::new(K::hash(&proof));
    let signature = sign::<K>(&stored, signed.as_bytes());
    proof.iter_mut().zip(signature.iter()).for_each(|(key, octet)| *key ^= octet);
    let server_key = sign::<K>(&salted, b"Server Key");
    (proof, sign::<K>(&server_key, signed.as_bytes()))
}

/// HMAC of a text.
fn sign<K: Kind>(key: &[u8], text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut mac = K::mac(key);
    mac.update(text);
    let mut octets = mac.finalize().into_bytes();
    let signature = Zeroizing::new(octets.to_vec());
    octets.as_mut_slice().zeroize();
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mechanism: Mechanism, nonce: &str, challenge: &str, answer: &str, success: &str) {
        let mut login = Login::new(mechanism, "user", "pencil", nonce).unwrap();
        let first = String::from_utf8(from_base64(&login.first()).unwrap()).unwrap();
        assert_eq!(first, format!("n,,n=user,r={nonce}"));
        assert_eq!(login.finish(&base64(success.as_bytes())), Err(SaslError::ServerUnproven));
        let found = login.answer(&base64(challenge.as_bytes())).unwrap();
        assert_eq!(String::from_utf8(from_base64(&found).unwrap()).unwrap(), answer);
        assert_eq!(login.finish(""), Err(SaslError::ServerUnproven));
        assert_eq!(login.finish(&base64(success.as_bytes())), Ok(()));
        assert_eq!(login.finish(""), Ok(()));
        for other in ["v=", "e=other-error", &success.replace('=', "=A"), &success[..12]] {
            assert_eq!(login.finish(&base64(other.as_bytes())), Err(SaslError::ServerUnproven), "{other}");
        }
        assert_eq!(login.answer(&base64(challenge.as_bytes())), Err(SaslError::Malformed), "only once");
    }

    #[test]
    fn rfc_5802_section_5() {
        check(
            Mechanism::ScramSha1,
            "fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        );
    }

    #[test]
    fn rfc_7677_section_3() {
        check(
            Mechanism::ScramSha256,
            "rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        );
    }

    #[test]
    fn rfc_4616_section_4() {
        let mut login = Login::new(Mechanism::Plain, "tim", "tanstaaftanstaaf", "").unwrap();
        assert_eq!(*login.first(), base64(b"\0tim\0tanstaaftanstaaf"));
        assert_eq!(login.finish(""), Ok(()));
    }

    #[test]
    fn bad_challenges() {
        let refused = |challenge: &str, expected| {
            let mut login = Login::new(Mechanism::ScramSha1, "user", "pencil", "abc").unwrap();
            assert_eq!(login.answer(&base64(challenge.as_bytes())), Err(expected), "{challenge}");
        };
        refused("r=abcd,s=QSXC,i=1", SaslError::TooFewIterations(1));
        refused("r=abcd,s=QSXC,i=4095", SaslError::TooFewIterations(4095));
        refused("r=abcd,s=QSXC,i=250001", SaslError::TooManyIterations(250_001));
        refused("r=abcd,s=QSXC,i=4294967295", SaslError::TooManyIterations(u32::MAX));
        let told = SaslError::TooFewIterations(1).to_string();
        assert_eq!(told, "the server asks for 1 iterations, too few: 4096 is the least");
        for bad in [
            "",
            "r=abc,s=QSXC,i=4096",
            "r=xbcd,s=QSXC,i=4096",
            "r=abcd,s=,i=4096",
            "r=abcd,s=!,i=4096",
            "r=abcd,s=QSXC,i=0",
            "r=abcd,s=QSXC,i=-1",
            "r=abcd,s=QSXC,i=99999999999",
            "r=abcd,s=QSXC",
            "m=x,r=abcd,s=QSXC,i=4096",
            &format!("r=abcd{},s=QSXC,i=1", "x".repeat(1000)),
        ] {
            refused(bad, SaslError::Malformed);
        }
        let mut plain = Login::new(Mechanism::Plain, "u", "p", "").unwrap();
        assert_eq!(plain.answer(""), Err(SaslError::Malformed));
        assert!(Login::new(Mechanism::Plain, "u", "a\0b", "").is_err());
        assert!(Login::new(Mechanism::Plain, "", "a", "").is_err());
    }

    #[test]
    fn names_are_escaped() {
        let login = Login::new(Mechanism::ScramSha1, "a,b=c", "p", "n").unwrap();
        assert_eq!(*login.first(), base64(b"n,,n=a=2Cb=3Dc,r=n"));
    }

    #[test]
    fn the_best_is_chosen_and_plain_only_under_tls() {
        let best = |offered: &[&str], tls| Mechanism::best(offered.iter().copied(), tls);
        let all = ["PLAIN", "DIGEST-MD5", "SCRAM-SHA-256", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS"];
        assert_eq!(best(&all, true), Some(Mechanism::ScramSha256));
        assert_eq!(best(&all[..1], true), Some(Mechanism::Plain));
        assert_eq!(best(&all[..1], false), None);
        assert_eq!(best(&["SCRAM-SHA-1", "PLAIN"], false), Some(Mechanism::ScramSha1));
        assert_eq!(best(&["EXTERNAL"], true), None);
    }
}
