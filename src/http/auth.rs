//! HTTP authentication, both sides: Basic (RFC 7617) and Digest (RFC 7616, 2617, 2069).
//!
//! Pure: nonces and cnonces are arguments. TR-069 3.4.4 demands Basic and Digest with MD5 and
//! MD5-sess, and leaves SHA-256 open. The grammar of the headers is in `auth_text`.

use std::fmt;

use md5::{Digest, Md5};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::http::auth_text::{self, Item};
use crate::secret::Secret;

/// The longest header value that is looked at, in octets.
pub const MAX_LINE: usize = 8 * 1024;
/// The longest realm, nonce, opaque value, user name or uri, in octets.
pub const MAX_FIELD: usize = 2 * 1024;

/// Who we are, or who a peer claims to be. `Debug` never shows the password.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// The user name, never with a colon when Basic is used.
    pub username: String,
    /// The password.
    pub password: Secret,
}

impl Credentials {
    /// Credentials from their two parts.
    pub fn new(username: impl Into<String>, password: impl Into<Secret>) -> Credentials {
        Credentials { username: username.into(), password: password.into() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, password hidden)", self.username)
    }
}

/// The hash of a digest and whether its first part is bound to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `MD5`, also meant when no algorithm is named.
    Md5,
    /// `MD5-sess`.
    Md5Sess,
    /// `SHA-256`.
    Sha256,
    /// `SHA-256-sess`.
    Sha256Sess,
}

impl Algorithm {
    /// The name as RFC 7616 spells it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
        }
    }

    /// The algorithm of a name in any case, or `None` for one we do not compute.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        [Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256, Algorithm::Sha256Sess]
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess)
    }

    fn hash(self, parts: &[&[u8]]) -> String {
        match self {
            Algorithm::Md5 | Algorithm::Md5Sess => hash_joined::<Md5>(parts),
            Algorithm::Sha256 | Algorithm::Sha256Sess => hash_joined::<Sha256>(parts),
        }
    }
}

/// The quality of protection of a digest. RFC 2069 digests have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qop {
    /// Method and uri are protected.
    Auth,
    /// The body as well.
    AuthInt,
}

impl Qop {
    fn name(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }
}

/// One challenge of a `WWW-Authenticate` header that we can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// RFC 7617.
    Basic {
        /// What the server calls itself.
        realm: String,
    },
    /// RFC 7616.
    Digest(DigestChallenge),
}

impl Challenge {
    /// Whether the server says that only the nonce was wrong (`stale=true`).
    pub fn is_stale(&self) -> bool {
        matches!(self, Challenge::Digest(digest) if digest.stale)
    }

    fn rank(&self) -> u8 {
        match self {
            Challenge::Digest(digest) => match digest.algorithm.unwrap_or(Algorithm::Md5) {
                Algorithm::Sha256 | Algorithm::Sha256Sess => 0,
                Algorithm::Md5 | Algorithm::Md5Sess => 1,
            },
            Challenge::Basic { .. } => 2,
        }
    }
}

/// What a server asks for in a digest challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestChallenge {
    /// What the server calls itself; part of the hash.
    pub realm: String,
    /// The server's nonce, returned untouched.
    pub nonce: String,
    /// Returned untouched when present. GenieACS sends none.
    pub opaque: Option<String>,
    /// The algorithm; `None` stands for MD5 that was not named and is not named in the answer.
    pub algorithm: Option<Algorithm>,
    /// The protection chosen from the offer: `auth` before `auth-int`, `None` for RFC 2069.
    pub qop: Option<Qop>,
    /// Only the nonce was wrong.
    pub stale: bool,
}

/// Why a header could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthError {
    /// The peer's header breaks the grammar: what is wrong.
    Malformed(&'static str),
    /// A part of the peer's header is longer than we take: which part.
    TooLong(&'static str),
    /// The peer offered only what we do not speak: the schemes it named.
    NothingUsable(String),
    /// Our own credentials cannot be put into a header: why.
    BadCredentials(&'static str),
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthError::Malformed(what) => write!(f, "the authentication header is malformed: {what}"),
            AuthError::TooLong(what) => write!(f, "the {what} of the authentication header is too long"),
            AuthError::NothingUsable(schemes) if schemes.is_empty() => {
                f.write_str("the peer wants authentication but gave no challenge")
            }
            AuthError::NothingUsable(schemes) => {
                write!(f, "the peer offers no authentication we speak, only {schemes}")
            }
            AuthError::BadCredentials(why) => write!(f, "the configured credentials cannot be sent: {why}"),
        }
    }
}

impl std::error::Error for AuthError {}

/// Reads all `WWW-Authenticate` lines of one reply and gives the best challenge: digest with
/// SHA-256, then digest with MD5, then Basic.
///
/// Challenges of unknown schemes and algorithms are passed over. Errors if nothing is left: with
/// the first fault found if there was one, else with the schemes that were offered.
pub fn best_challenge<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Challenge, AuthError> {
    let (mut found, mut fault, mut schemes) = (Vec::new(), None, Vec::new());
    for line in lines {
        let offers = match auth_text::offers(line) {
            Ok(offers) => offers,
            Err(error) => {
                fault.get_or_insert(error);
                continue;
            }
        };
        for offer in offers {
            match challenge(&offer) {
                Ok(Some(challenge)) => found.push(challenge),
                Ok(None) if schemes.len() < 8 => {
                    schemes.push(offer.scheme.chars().take(32).collect::<String>());
                }
                Ok(None) => {}
                Err(error) => {
                    fault.get_or_insert(error);
                }
            }
        }
    }
    match found.into_iter().min_by_key(Challenge::rank) {
        Some(best) => Ok(best),
        None => Err(fault.unwrap_or_else(|| AuthError::NothingUsable(schemes.join(", ")))),
    }
}

/// The value of an `Authorization` header for Basic. Errors on a colon or a control character in
/// the user name, or a control character in the password.
pub fn basic(who: &Credentials) -> Result<String, AuthError> {
    if who.username.contains(':') {
        return Err(AuthError::BadCredentials("the user name holds a colon, which Basic cannot carry"));
    }
    if who.username.chars().chain(who.password.chars()).any(char::is_control) {
        return Err(AuthError::BadCredentials("a control character"));
    }
    let pair = Zeroizing::new(format!("{}:{}", who.username, who.password.as_str()));
    Ok(format!("Basic {}", auth_text::base64(pair.as_bytes())))
}

/// A digest challenge being answered, request after request, with a count of its own.
#[derive(Debug, Clone)]
pub struct DigestClient {
    challenge: DigestChallenge,
    count: u32,
    session_cnonce: Option<String>,
}

impl DigestClient {
    /// Starts answering a challenge; the nonce count begins at 1.
    pub fn new(challenge: DigestChallenge) -> DigestClient {
        DigestClient { challenge, count: 0, session_cnonce: None }
    }

    /// The challenge being answered.
    pub fn challenge(&self) -> &DigestChallenge {
        &self.challenge
    }

    /// The `Authorization` value for the next request.
    ///
    /// `uri` is the request target as sent, `body` matters only for `auth-int`, `cnonce` is fresh
    /// random text for each call; a `-sess` algorithm keeps the first one it was given, as its key
    /// is made once for each nonce (RFC 7616 3.4.2).
    pub fn answer(
        &mut self,
        who: &Credentials,
        method: &str,
        uri: &str,
        body: &[u8],
        cnonce: &str,
    ) -> Result<String, AuthError> {
        if who.username.chars().any(char::is_control) {
            return Err(AuthError::BadCredentials("a control character in the user name"));
        }
        let asked = &self.challenge;
        // A control character could not be said again as it was heard.
        let is_plain = |text: &String| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if ![&asked.realm, &asked.nonce].into_iter().chain(&asked.opaque).all(is_plain) {
            return Err(AuthError::Malformed("characters beyond printable ASCII"));
        }
        self.count = self.count.saturating_add(1);
        let algorithm = asked.algorithm.unwrap_or(Algorithm::Md5);
        let cnonce = match algorithm.is_session() {
            true => self.session_cnonce.get_or_insert_with(|| cnonce.to_owned()).clone(),
            false => cnonce.to_owned(),
        };
        let count = format!("{:08x}", self.count);
        let proof = Proof {
            algorithm,
            realm: &asked.realm,
            nonce: &asked.nonce,
            uri,
            qop: asked.qop,
            count: &count,
            cnonce: &cnonce,
        };
        let response = proof.response(&who.username, &who.password, method, body);
        let mut text = format!(
            "Digest {}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            auth_text::username(&who.username),
            auth_text::quoted(&asked.realm),
            auth_text::quoted(&asked.nonce),
            auth_text::quoted(uri),
        );
        if let Some(algorithm) = asked.algorithm {
            text.push_str(&format!(", algorithm={}", algorithm.name()));
        }
        if let Some(opaque) = &asked.opaque {
            text.push_str(&format!(", opaque={}", auth_text::quoted(opaque)));
        }
        match asked.qop {
            Some(qop) => text.push_str(&format!(", qop={}, nc={count}, cnonce=\"{cnonce}\"", qop.name())),
            None if algorithm.is_session() => text.push_str(&format!(", cnonce=\"{cnonce}\"")),
            None => {}
        }
        Ok(text)
    }
}

/// A parsed `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// Basic, decoded.
    Basic(Credentials),
    /// Digest.
    Digest(DigestAnswer),
    /// Another scheme: its name.
    Other(String),
}

/// A client's answer to a digest challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestAnswer {
    /// The user it claims to be.
    pub username: String,
    /// The realm it answers for.
    pub realm: String,
    /// The nonce it answers.
    pub nonce: String,
    /// The uri it hashed; whether it fits the request is the caller's question.
    pub uri: String,
    /// The algorithm it used, MD5 if it named none.
    pub algorithm: Algorithm,
    /// The protection it used.
    pub qop: Option<Qop>,
    /// The nonce count, 0 without qop.
    pub count: u32,
    count_text: String,
    cnonce: String,
    response: String,
}

impl DigestAnswer {
    /// Whether the response proves knowledge of the password for this user, realm, method and
    /// body. Takes the same time whatever part differs. Nonce, count and uri are not judged.
    pub fn proves(&self, who: &Credentials, realm: &str, method: &str, body: &[u8]) -> bool {
        let expected = self.proof(realm).response(&who.username, &who.password, method, body);
        self.fits(&expected, &who.username, realm)
    }

    /// As [`DigestAnswer::proves`], from the [`md5_key`] of the user and realm alone; never for another hash than MD5.
    pub fn proves_key(&self, username: &str, key: &str, realm: &str, method: &str, body: &[u8]) -> bool {
        if !matches!(self.algorithm, Algorithm::Md5 | Algorithm::Md5Sess) {
            return false;
        }
        self.fits(&self.proof(realm).with_key(key.to_owned(), method, body), username, realm)
    }

    fn proof<'a>(&'a self, realm: &'a str) -> Proof<'a> {
        Proof {
            algorithm: self.algorithm,
            realm,
            nonce: &self.nonce,
            uri: &self.uri,
            qop: self.qop,
            count: &self.count_text,
            cnonce: &self.cnonce,
        }
    }

    fn fits(&self, expected: &str, username: &str, realm: &str) -> bool {
        let given = self.response.to_ascii_lowercase();
        same(expected.as_bytes(), given.as_bytes())
            & same(self.username.as_bytes(), username.as_bytes())
            & same(self.realm.as_bytes(), realm.as_bytes())
    }
}

/// What a server needs to keep of a password to check digests with MD5 (RFC 7616 3.4.2: H(A1)), in hexadecimal.
/// Whoever has it can answer for this user in this realm, and nowhere else.
pub fn md5_key(username: &str, realm: &str, password: &str) -> String {
    Algorithm::Md5.hash(&[username.as_bytes(), realm.as_bytes(), password.as_bytes()])
}

/// Reads one `Authorization` header.
pub fn parse_authorization(line: &str) -> Result<Authorization, AuthError> {
    if line.len() > MAX_LINE {
        return Err(AuthError::TooLong("value"));
    }
    let line = line.trim();
    let (scheme, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = auth_text::from_base64(rest.trim()).ok_or(AuthError::Malformed("not base64"))?;
        let text = String::from_utf8(decoded).map_err(|_| AuthError::Malformed("not UTF-8"))?;
        let (user, password) = text.split_once(':').ok_or(AuthError::Malformed("no colon"))?;
        return Ok(Authorization::Basic(Credentials::new(user, password)));
    }
    if !scheme.eq_ignore_ascii_case("digest") {
        return Ok(Authorization::Other(scheme.chars().take(32).collect()));
    }
    let mut offers = auth_text::offers(line)?;
    match (offers.pop(), offers.is_empty()) {
        (Some(item), true) => answer(&item).map(Authorization::Digest),
        _ => Err(AuthError::Malformed("more than one scheme")),
    }
}

/// The value of a `WWW-Authenticate` header that asks for a digest with `qop="auth"`.
pub fn digest_challenge(realm: &str, nonce: &str, algorithm: Algorithm, stale: bool) -> String {
    let (realm, nonce) = (auth_text::quoted(realm), auth_text::quoted(nonce));
    let stale = if stale { ", stale=true" } else { "" };
    format!("Digest realm={realm}, qop=\"auth\", algorithm={}, nonce={nonce}{stale}", algorithm.name())
}

/// The value of a `WWW-Authenticate` header that asks for Basic.
pub fn basic_challenge(realm: &str) -> String {
    format!("Basic realm={}", auth_text::quoted(realm))
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(differing) == 0 && a.len() == b.len()
}

struct Proof<'a> {
    algorithm: Algorithm,
    realm: &'a str,
    nonce: &'a str,
    uri: &'a str,
    qop: Option<Qop>,
    count: &'a str,
    cnonce: &'a str,
}

impl Proof<'_> {
    fn response(&self, username: &str, password: &str, method: &str, body: &[u8]) -> String {
        let parts = [username.as_bytes(), self.realm.as_bytes(), password.as_bytes()];
        self.with_key(self.algorithm.hash(&parts), method, body)
    }

    fn with_key(&self, mut a1: String, method: &str, body: &[u8]) -> String {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let (nonce, cnonce) = (self.nonce.as_bytes(), self.cnonce.as_bytes());
        if self.algorithm.is_session() {
            a1 = hash(&[a1.as_bytes(), nonce, cnonce]);
        }
        let a2 = match self.qop {
            Some(Qop::AuthInt) => hash(&[method.as_bytes(), self.uri.as_bytes(), hash(&[body]).as_bytes()]),
            _ => hash(&[method.as_bytes(), self.uri.as_bytes()]),
        };
        match self.qop {
            Some(qop) => hash(&[
                a1.as_bytes(),
                nonce,
                self.count.as_bytes(),
                cnonce,
                qop.name().as_bytes(),
                a2.as_bytes(),
            ]),
            None => hash(&[a1.as_bytes(), nonce, a2.as_bytes()]),
        }
    }
}

fn hash_joined<H: Digest>(parts: &[&[u8]]) -> String {
    let mut hasher = H::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    auth_text::hex(&hasher.finalize())
}

fn challenge(offer: &Item) -> Result<Option<Challenge>, AuthError> {
    if offer.scheme.eq_ignore_ascii_case("basic") {
        return Ok(Some(Challenge::Basic { realm: offer.field("realm")?.unwrap_or_default() }));
    }
    if !offer.scheme.eq_ignore_ascii_case("digest") {
        return Ok(None);
    }
    let algorithm = match offer.field("algorithm")? {
        None => None,
        Some(name) => match Algorithm::from_name(name.trim()) {
            None => return Ok(None),
            known => known,
        },
    };
    let qop = match offer.field("qop")? {
        None => None,
        Some(list) => {
            let offered = |qop: Qop| list.split(',').any(|word| word.trim().eq_ignore_ascii_case(qop.name()));
            match [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| offered(*qop)) {
                None if list.trim().is_empty() => None,
                None => return Ok(None),
                found => found,
            }
        }
    };
    Ok(Some(Challenge::Digest(DigestChallenge {
        realm: offer.field("realm")?.ok_or(AuthError::Malformed("a digest without realm"))?,
        nonce: offer.field("nonce")?.ok_or(AuthError::Malformed("a digest without nonce"))?,
        opaque: offer.field("opaque")?,
        algorithm,
        qop,
        stale: offer.field("stale")?.is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
    })))
}

fn answer(item: &Item) -> Result<DigestAnswer, AuthError> {
    let required = |name, fault| item.field(name)?.ok_or(AuthError::Malformed(fault));
    let algorithm = match item.field("algorithm")? {
        None => Algorithm::Md5,
        Some(name) => Algorithm::from_name(&name).ok_or(AuthError::Malformed("an unknown algorithm"))?,
    };
    let qop = match item.field("qop")? {
        None => None,
        Some(name) => Some(
            [Qop::Auth, Qop::AuthInt]
                .into_iter()
                .find(|qop| qop.name().eq_ignore_ascii_case(&name))
                .ok_or(AuthError::Malformed("an unknown qop"))?,
        ),
    };
    let count_text = item.field("nc")?.unwrap_or_default();
    let count = match qop {
        None => 0,
        Some(_) if count_text.len() == 8 && count_text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u32::from_str_radix(&count_text, 16).map_err(|_| AuthError::Malformed("nc is not a number"))?
        }
        Some(_) => return Err(AuthError::Malformed("nc is not eight hexadecimal digits")),
    };
    let cnonce = item.field("cnonce")?;
    if cnonce.is_none() && (qop.is_some() || algorithm.is_session()) {
        return Err(AuthError::Malformed("no cnonce"));
    }
    let username = match item.field("username*")? {
        Some(coded) => auth_text::extended(&coded).ok_or(AuthError::Malformed("username* is not UTF-8''"))?,
        None => required("username", "no user name")?,
    };
    Ok(DigestAnswer {
        username,
        realm: required("realm", "no realm")?,
        nonce: required("nonce", "no nonce")?,
        uri: required("uri", "no uri")?,
        response: required("response", "no response")?,
        cnonce: cnonce.unwrap_or_default(),
        algorithm,
        qop,
        count,
        count_text,
    })
}

#[cfg(test)]
mod tests {
    use digest_auth::{AuthContext, HttpMethod};

    use super::*;

    fn digest(line: &str) -> DigestChallenge {
        match best_challenge([line]) {
            Ok(Challenge::Digest(digest)) => digest,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn mufasa() -> Credentials {
        Credentials::new("Mufasa", "Circle of Life")
    }

    fn field(header: &str, name: &'static str) -> String {
        auth_text::offers(header).unwrap()[0].field(name).unwrap().unwrap_or_default()
    }

    #[test]
    fn rfc_7616_3_9_1() {
        let check = |algorithm: &str, response: &str| {
            let line = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let mut client = DigestClient::new(digest(&line));
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let header = client.answer(&mufasa(), "GET", "/dir/index.html", b"", cnonce).unwrap();
            assert_eq!(field(&header, "response"), response);
            assert_eq!(field(&header, "opaque"), "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
        };
        check("MD5", "8ca523f5e9506fed4657c9700eebdbec");
        check("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    #[test]
    fn rfc_2617_and_rfc_2069() {
        let line = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                    nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let who = Credentials::new("Mufasa", "Circle Of Life");
        let mut client = DigestClient::new(digest(line));
        let header = client.answer(&who, "GET", "/dir/index.html", b"", "0a4f113b").unwrap();
        assert_eq!(field(&header, "response"), "6629fae49393a05397450978507c4ef1");
        assert!(!header.contains("algorithm"), "not named, not echoed: {header}");
        let line = line.replace(" qop=\"auth,auth-int\",", "");
        let mut client = DigestClient::new(digest(&line));
        let header = client.answer(&who, "GET", "/dir/index.html", b"", "0a4f113b").unwrap();
        assert_eq!(field(&header, "response"), "670fd8c2df070c60b045671b8b24ff02");
        assert!(!header.contains("cnonce") && !header.contains("nc="), "{header}");
    }

    #[test]
    fn agrees_with_an_independent_implementation() {
        for algorithm in ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"] {
            for qop in ["", "qop=\"auth\",", "qop=\"auth-int\","] {
                let line = format!("Digest realm=\"r, \\\"x\\\"\",{qop}nonce=\"n/1=\",algorithm={algorithm}");
                if qop.is_empty() && algorithm.ends_with("sess") {
                    continue; // RFC 2069 has no session keys
                }
                let mut oracle = digest_auth::parse(&line).unwrap();
                let mut client = DigestClient::new(digest(&line));
                for body in [&b"<soap/>"[..], b""] {
                    let mut context = AuthContext::new_with_method(
                        "cpe",
                        "pä\"ss",
                        "/acs?x=1",
                        Some(body),
                        HttpMethod::POST,
                    );
                    context.set_custom_cnonce("0123456789abcdef");
                    let expected = oracle.respond(&context).unwrap();
                    let who = Credentials::new("cpe", "pä\"ss");
                    let header = client.answer(&who, "POST", "/acs?x=1", body, "0123456789abcdef").unwrap();
                    assert_eq!(field(&header, "response"), expected.response, "{line} {header}");
                    let Ok(Authorization::Digest(answer)) = parse_authorization(&expected.to_string()) else {
                        panic!("{expected}")
                    };
                    assert!(answer.proves(&who, "r, \"x\"", "POST", body), "{expected}");
                    assert!(!answer.proves(&who, "r, \"x\"", "GET", body));
                    assert!(!answer.proves(&Credentials::new("cpe", "pass"), "r, \"x\"", "POST", body));
                    assert!(!answer.proves(&Credentials::new("cpf", "pä\"ss"), "r, \"x\"", "POST", body));
                    assert_eq!(qop.contains("int"), !answer.proves(&who, "r, \"x\"", "POST", b"other"));
                }
            }
        }
    }

    #[test]
    fn challenges_of_the_wild() {
        let genie = digest("Digest realm=\"GenieACS\",qop=\"auth,auth-int\",nonce=\"0123abcd\"");
        assert_eq!(
            (genie.algorithm, genie.qop, genie.opaque, genie.stale),
            (None, Some(Qop::Auth), None, false)
        );
        assert!(digest("digest NONCE=a, Realm=b, stale=TRUE, algorithm=\"md5\"").stale);
        assert_eq!(digest("Digest realm=\"a\", nonce=\"b\", qop=auth-int").qop, Some(Qop::AuthInt));
        let best = |lines: &[&str]| best_challenge(lines.iter().copied()).map(|best| best.rank());
        assert_eq!(
            best(&["Basic realm=\"a, Digest b\", Digest realm=\"x\", nonce=\"y\", algorithm=SHA-256"]),
            Ok(0)
        );
        assert_eq!(best(&["Digest realm=x, nonce=y, algorithm=SHA-256", "Digest realm=x, nonce=y"]), Ok(0));
        assert_eq!(best(&["Basic", "NTLM", "Digest realm=\"x\", nonce=\"y\", algorithm=MD5"]), Ok(1));
        assert_eq!(best(&["Negotiate YII/+abc==, Basic realm=\"x\""]), Ok(2));
        assert_eq!(best(&["Digest realm=\"x\", nonce=\"unterminated", "Basic realm=x"]), Ok(2));
        assert_eq!(
            best(&["Digest realm=\"x\", nonce=\"y\", algorithm=SHA-512-256, Basic realm=\"x\""]),
            Ok(2)
        );
    }

    #[test]
    fn challenges_refused() {
        let check =
            |line: &str, expected: AuthError| assert_eq!(best_challenge([line]), Err(expected), "{line}");
        check("NTLM, Negotiate", AuthError::NothingUsable("NTLM, Negotiate".into()));
        check("", AuthError::NothingUsable(String::new()));
        check("Digest nonce=\"y\"", AuthError::Malformed("a digest without realm"));
        check("Digest realm=\"x\"", AuthError::Malformed("a digest without nonce"));
        check("Digest realm=\"x", AuthError::Malformed("an unterminated quoted string"));
        check("Digest realm=a, realm=b, nonce=c", AuthError::Malformed("a parameter given twice"));
        check("Digest realm=a, nonce=b, qop=\"auth-conf\"", AuthError::NothingUsable("Digest".into()));
        check(&format!("Digest realm=\"{}\", nonce=b", "r".repeat(3000)), AuthError::TooLong("realm"));
        check(&format!("Digest realm=a, nonce=\"{}\"", "n".repeat(100_000)), AuthError::TooLong("value"));
    }

    #[test]
    fn basic_both_ways() {
        assert_eq!(
            basic(&Credentials::new("Aladdin", "open sesame")).unwrap(),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert!(basic(&Credentials::new("a:b", "c")).is_err());
        assert!(basic(&Credentials::new("a", "b\r\nX: y")).is_err());
        for (user, password) in [("a", "b:c"), ("", ""), ("ü", "€"), ("x", "12"), ("x", "123")] {
            let who = Credentials::new(user, password);
            assert_eq!(parse_authorization(&basic(&who).unwrap()), Ok(Authorization::Basic(who)));
        }
        assert!(parse_authorization("Basic !!!!").is_err());
        assert_eq!(parse_authorization("Bearer x"), Ok(Authorization::Other("Bearer".into())));
        assert!(!format!("{:?}", Credentials::new("u", "geheim")).contains("geheim"));
    }

    #[test]
    fn names_beyond_ascii_and_injection() {
        let who = Credentials::new("Jäsøn Doe", "Secret, or not?");
        let mut client = DigestClient::new(digest("Digest realm=\"a\", nonce=\"b\", qop=\"auth\""));
        let header = client.answer(&who, "GET", "/", b"", "c").unwrap();
        assert!(header.contains("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe"), "{header}");
        let Ok(Authorization::Digest(answer)) = parse_authorization(&header) else { panic!("{header}") };
        assert!(answer.proves(&who, "a", "GET", b""));
        assert!(client.answer(&Credentials::new("a\r\nX: b", ""), "GET", "/", b"", "c").is_err());
        let mut client = DigestClient::new(digest("Digest realm=\"a\\\"b\", nonce=\"b\""));
        let quoted = client.answer(&Credentials::new("x\"y", ""), "GET", "/", b"", "c").unwrap();
        assert!(quoted.contains("username=\"x\\\"y\"") && quoted.contains("realm=\"a\\\"b\""));
    }

    #[test]
    fn keys_stand_for_passwords() {
        let who = Credentials::new("u", "p");
        for algorithm in ["", ", algorithm=MD5-sess", ", algorithm=SHA-256"] {
            let mut client = DigestClient::new(digest(&format!(
                "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"{algorithm}"
            )));
            let header = client.answer(&who, "POST", "/", b"", "c").unwrap();
            let Ok(Authorization::Digest(answer)) = parse_authorization(&header) else { panic!("{header}") };
            let proves = |key: &str| answer.proves_key("u", key, "r", "POST", b"");
            assert_eq!(proves(&md5_key("u", "r", "p")), !algorithm.contains("SHA"), "{algorithm}");
            assert!(!proves(&md5_key("u", "r", "q")) && !proves(&md5_key("u", "s", "p")) && !proves(""));
        }
    }

    #[test]
    fn answers_refused() {
        let good = "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"/\", response=\"00\", qop=auth, nc=00000001, cnonce=\"c\"";
        assert!(matches!(parse_authorization(good), Ok(Authorization::Digest(a)) if a.count == 1));
        for (from, to) in [
            ("nc=00000001", "nc=1"),
            ("nc=00000001", "nc=+0000001"),
            ("nc=00000001, ", ""),
            (", cnonce=\"c\"", ""),
            ("qop=auth", "qop=none"),
            ("uri=\"/\", ", ""),
            ("username=\"u\", ", ""),
            ("cnonce=\"c\"", "cnonce=\"c"),
            ("cnonce=\"c\"", "cnonce=\"c\", algorithm=CRC32"),
            ("cnonce=\"c\"", "cnonce=\"c\", Basic dTpw"),
            ("cnonce=\"c\"", "cnonce=\"c\", nonce=\"m\""),
        ] {
            assert!(parse_authorization(&good.replace(from, to)).is_err(), "{to}");
        }
        assert!(same(b"abc", b"abc") && !same(b"abc", b"abd") && !same(b"abc", b"ab") && !same(b"", b"a"));
    }

    #[test]
    fn the_count_goes_up_for_each_request_of_a_nonce() {
        let mut client =
            DigestClient::new(digest("Digest realm=\"a\", nonce=\"b\", qop=\"auth\", algorithm=MD5-sess"));
        for (nc, cnonce) in [("00000001", "x"), ("00000002", "y")] {
            let header = client.answer(&mufasa(), "GET", "/", b"", cnonce).unwrap();
            assert_eq!((field(&header, "nc"), field(&header, "cnonce")), (nc.into(), "x".into()));
        }
    }
}
