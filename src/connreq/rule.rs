//! Whether an HTTP request is a valid connection request (TR-069 3.2.2).
//!
//! Pure: time is a [`Duration`] since some start, random octets are arguments. Nonces are not
//! stored but signed, so that a flood of requests cannot push out the nonce the right ACS is about
//! to use; only what an authenticated request has used up is remembered, and that is bounded.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;

pub use crate::connreq::sources::Known;
use crate::connreq::sources::{Brake, Sources, network};
use crate::http::auth::{self, Algorithm, Authorization, Credentials, DigestAnswer, Qop};
use crate::http::auth_text;
use crate::http::serve::{Refusal, Request};

/// The most used nonces remembered at a time.
const MAX_USED: usize = 64;

/// What a connection request must match, and how many are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The path of `ManagementServer.ConnectionRequestURL`, beginning with `/`.
    pub path: String,
    /// `ConnectionRequestUsername` and `ConnectionRequestPassword`; nothing is accepted while one
    /// of them is empty.
    pub credentials: Credentials,
    /// The realm of the challenge.
    pub realm: String,
    /// Offer SHA-256 before MD5. Off by default: GenieACS (and whatever else joins two challenges
    /// into one) would mix them up.
    pub offer_sha256: bool,
    /// How long a nonce may be used.
    pub nonce_life: Duration,
    /// How many requests are accepted within [`Settings::window`].
    pub max_accepted: usize,
    /// The window of the throttle.
    pub window: Duration,
}

impl Settings {
    /// Settings with a nonce life of 60 s and 30 requests a minute.
    pub fn new(path: impl Into<String>, credentials: Credentials) -> Settings {
        Settings {
            path: path.into(),
            credentials,
            realm: "cwmp".into(),
            offer_sha256: false,
            nonce_life: Duration::from_secs(60),
            max_accepted: 30,
            window: Duration::from_secs(60),
        }
    }
}

/// A random path of 16 hexadecimal digits.
pub fn random_path(random: [u8; 8]) -> String {
    format!("/{}", auth_text::hex(&random))
}

/// The `ConnectionRequestURL` for an address, port and path; IPv6 in brackets.
pub fn url(address: IpAddr, port: u16, path: &str) -> String {
    match address {
        IpAddr::V4(address) => format!("http://{address}:{port}{path}"),
        IpAddr::V6(address) => format!("http://[{address}]:{port}{path}"),
    }
}

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status; the body is always empty.
    pub status: u16,
    /// The header lines.
    pub headers: Vec<(&'static str, String)>,
    /// Whether the connection may stay open: after a challenge only.
    pub keep_alive: bool,
    /// Whether this is a valid connection request, for which a session must follow within 30 s.
    pub accepted: bool,
    /// A few words for the log.
    pub why: &'static str,
}

impl Answer {
    fn refuse(status: u16, why: &'static str) -> Answer {
        Answer { status, headers: Vec::new(), keep_alive: false, accepted: false, why }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        Answer::refuse(refusal.status, refusal.why)
    }
}

/// The rule and what it remembers.
pub struct Rule {
    settings: Settings,
    secret: [u8; 32],
    /// How often the credentials have changed: a nonce is of those that held when it was made.
    change: u32,
    used: Vec<Used>,
    accepted: VecDeque<Duration>,
    sources: Sources,
}

struct Used {
    nonce: String,
    born: Duration,
    last_count: u32,
}

impl Rule {
    /// A rule that signs its nonces with a random secret, new with every start of the program.
    pub fn new(settings: Settings, secret: [u8; 32]) -> Rule {
        let (used, accepted) = (Vec::new(), VecDeque::new());
        Rule { settings, secret, change: 0, used, accepted, sources: Sources::default() }
    }

    /// Takes new settings, as when the ACS writes other credentials. No nonce from before is good for those, nor for
    /// the old ones should they come back.
    pub fn set(&mut self, settings: Settings) {
        if settings.credentials != self.settings.credentials {
            self.change = self.change.wrapping_add(1);
            self.used.clear();
            self.sources.doubt();
        }
        self.settings = settings;
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Decides about one request from `source` at `now`; `random` is fresh for each call and goes
    /// into the nonce, if one is needed.
    pub fn decide(&mut self, request: &Request, source: IpAddr, now: Duration, random: [u8; 8]) -> Answer {
        let Settings { path, credentials, .. } = &self.settings;
        if credentials.username.is_empty() || credentials.password.is_empty() {
            return Answer::refuse(503, "no connection request credentials are set");
        }
        if request.path() != path {
            return Answer::refuse(404, "the path is not ours");
        }
        if request.method != "GET" {
            let allow = vec![("Allow", "GET".to_owned())];
            return Answer { headers: allow, ..Answer::refuse(405, "the method is not GET") };
        }
        let mut logins = request.all("authorization");
        let Some(login) = logins.next() else { return self.challenge(now, random, false, "no credentials") };
        if logins.next().is_some() {
            return Answer::refuse(400, "two Authorization headers");
        }
        let digest = match auth::parse_authorization(login) {
            Ok(Authorization::Digest(digest)) => digest,
            Ok(_) => return self.challenge(now, random, false, "credentials other than digest"),
            Err(_) => return Answer::refuse(400, "the Authorization header is malformed"),
        };
        if !fits(&digest.uri, path) {
            return Answer::refuse(400, "the digest is for another uri");
        }
        match self.sources.may_try(source, now) {
            Ok(()) => {}
            Err(Brake::Own) => return Answer::refuse(503, "too many wrong credentials from there"),
            Err(Brake::All) => return Answer::refuse(503, "too many wrong credentials from everywhere"),
        }
        if !digest.proves(credentials, &self.settings.realm, &request.method, &request.body) {
            let may_be_asked = self.sources.may_be_asked(source, now);
            self.sources.failed(source, now);
            return match may_be_asked {
                true => self.challenge(now, random, false, "wrong credentials"),
                false => Answer::refuse(503, "too many wrong credentials from there"),
            };
        }
        match self.use_nonce(&digest, now) {
            Ok(()) => {}
            Err(NonceFault::Spent) => return self.challenge(now, random, true, "the nonce is spent"),
            Err(NonceFault::TooMany) => return Answer::refuse(503, "too many nonces in use"),
        }
        self.sources.succeeded(source);
        if !self.admit(now) {
            return Answer::refuse(503, "too many connection requests");
        }
        Answer { accepted: true, ..Answer::refuse(200, "accepted") }
    }

    /// Counts a valid request by HTTP or UDP (XMPP counts its own). Gives whether it is not one too many.
    pub fn admit(&mut self, now: Duration) -> bool {
        let window = self.settings.window;
        while self.accepted.front().is_some_and(|at| now.saturating_sub(*at) >= window) {
            self.accepted.pop_front();
        }
        let fits = self.accepted.len() < self.settings.max_accepted;
        if fits {
            self.accepted.push_back(now);
        }
        fits
    }

    /// Whether somebody there has sent a valid request before, or has been the ACS of a session.
    pub fn knows(&self, source: IpAddr) -> bool {
        self.sources.knows(source)
    }

    /// Notes where a successful session went: requests from there are not held up by what others guess.
    pub fn met(&mut self, acs: IpAddr) {
        self.sources.met(acs);
    }

    /// The known sources, to be remembered over a restart.
    pub fn known(&self) -> Known {
        self.sources.known()
    }

    /// Takes up the sources that an earlier life knew. Versions before this one have written networks of IPv6, whose
    /// members are no longer known by them.
    pub fn recall(&mut self, known: &Known) {
        let mut known = known.clone();
        for list in [&mut known.proven, &mut known.met] {
            list.retain(|address| address.is_ipv4() || *address != network(*address));
        }
        self.sources.recall(&known);
    }

    fn challenge(&self, now: Duration, random: [u8; 8], stale: bool, why: &'static str) -> Answer {
        let nonce = self.nonce(now, random);
        // One nonce for both, so that a client that mixes them up still answers the right one.
        let all = [Algorithm::Sha256, Algorithm::Md5];
        let offered = if self.settings.offer_sha256 { &all[..] } else { &all[1..] };
        let challenge = |algorithm: &Algorithm| {
            ("WWW-Authenticate", auth::digest_challenge(&self.settings.realm, &nonce, *algorithm, stale))
        };
        let headers = offered.iter().map(challenge).collect();
        Answer { headers, keep_alive: true, ..Answer::refuse(401, why) }
    }

    fn nonce(&self, now: Duration, random: [u8; 8]) -> String {
        let born = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).to_be_bytes();
        let seal = self.seal(&[born, random].concat());
        auth_text::hex(&[&born[..], &random[..], &seal[..]].concat())
    }

    fn seal(&self, text: &[u8]) -> [u8; 16] {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.secret).expect("HMAC takes any key");
        mac.update(&self.change.to_be_bytes());
        mac.update(text);
        let mut seal = [0; 16];
        seal.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        seal
    }

    // When a nonce of ours was made, or `None` for one that is not.
    fn birth(&self, nonce: &str) -> Option<Duration> {
        let octets = auth_text::from_hex(nonce).filter(|octets| octets.len() == 32)?;
        let (text, seal) = octets.split_at(16);
        if !auth::same(&self.seal(text), seal) {
            return None;
        }
        let millis = text.first_chunk::<8>()?;
        Some(Duration::from_millis(u64::from_be_bytes(*millis)))
    }

    // Every count of a nonce is good once, and only after lower ones.
    fn use_nonce(&mut self, digest: &DigestAnswer, now: Duration) -> Result<(), NonceFault> {
        let life = self.settings.nonce_life;
        self.used.retain(|used| now.saturating_sub(used.born) < life);
        let nonce = digest.nonce.to_ascii_lowercase();
        let born = self.birth(&nonce).filter(|born| *born <= now && now - *born < life);
        let born = born.ok_or(NonceFault::Spent)?;
        // RFC 2069 has no count: such a nonce is good for one request.
        let count = if digest.qop.is_some() { digest.count } else { u32::MAX };
        if count == 0 || digest.qop == Some(Qop::AuthInt) {
            return Err(NonceFault::Spent);
        }
        let full = self.used.len() >= MAX_USED;
        match self.used.iter_mut().find(|used| used.nonce == nonce) {
            Some(used) if count <= used.last_count => Err(NonceFault::Spent),
            Some(used) => {
                used.last_count = count;
                Ok(())
            }
            None if full => Err(NonceFault::TooMany),
            None => {
                self.used.push(Used { nonce, born, last_count: count });
                Ok(())
            }
        }
    }
}

enum NonceFault {
    Spent,
    TooMany,
}

// acsrs and Oktopus hash "/" whatever the path is, which protects less but cannot be replayed either.
fn fits(uri: &str, path: &str) -> bool {
    let is_absolute = uri.get(..7).is_some_and(|head| head.eq_ignore_ascii_case("http://"));
    let uri = match uri.get(7..).filter(|_| is_absolute) {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => uri,
    };
    uri == path || uri == "/"
}

#[cfg(test)]
mod tests {
    use digest_auth::AuthContext;

    use super::*;

    const ACS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const PATH: &str = "/0123456789abcdef";

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(1000 + n)
    }

    fn settings() -> Settings {
        Settings::new(PATH, Credentials::new("acs", "secret"))
    }

    fn rule() -> Rule {
        Rule::new(settings(), [7; 32])
    }

    fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            method: method.into(),
            target: target.into(),
            headers: headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            body: Vec::new(),
            keep_alive: true,
        }
    }

    fn ask(rule: &mut Rule, now: Duration, login: Option<&str>) -> Answer {
        let headers: Vec<_> = login.iter().map(|login| ("Authorization", *login)).collect();
        rule.decide(&request("GET", PATH, &headers), ACS, now, [1; 8])
    }

    /// The answer of an independent client to the challenge, for `uri`.
    fn login(answer: &Answer, password: &str, uri: &str) -> String {
        let mut prompt = digest_auth::parse(&answer.headers[0].1).unwrap();
        prompt.respond(&AuthContext::new("acs", password, uri)).unwrap().to_string()
    }

    #[test]
    fn challenge_and_acceptance() {
        for sha in [false, true] {
            let mut rule = Rule::new(Settings { offer_sha256: sha, ..settings() }, [7; 32]);
            let first = ask(&mut rule, seconds(0), None);
            assert_eq!(
                (first.status, first.keep_alive, first.headers.len()),
                (401, true, 1 + usize::from(sha))
            );
            for uri in [PATH, "/"] {
                let login = login(&ask(&mut rule, seconds(0), None), "secret", uri);
                let second =
                    rule.decide(&request("GET", PATH, &[("Authorization", &login)]), ACS, seconds(1), [2; 8]);
                assert_eq!(
                    second.status,
                    if uri == PATH { 200 } else { 401 },
                    "the same nonce and count again"
                );
            }
        }
        let mut rule = rule();
        let first = ask(&mut rule, seconds(0), None);
        let second = ask(&mut rule, seconds(1), Some(&login(&first, "secret", "/")));
        assert!(second.accepted && second.status == 200 && !second.keep_alive && second.headers.is_empty());
    }

    #[test]
    fn counts_go_up_and_nonces_age() {
        let mut rule = rule();
        let first = ask(&mut rule, seconds(0), None);
        let mut prompt = digest_auth::parse(&first.headers[0].1).unwrap();
        let context = AuthContext::new("acs", "secret", PATH);
        let answers: Vec<_> = (0..4).map(|_| prompt.respond(&context).unwrap().to_string()).collect();
        let mut status = |now, at: usize| ask(&mut rule, seconds(now), Some(&answers[at])).status;
        assert_eq!(status(1, 0), 200);
        assert_eq!(status(2, 0), 401, "a replay");
        assert_eq!(status(3, 2), 200);
        assert_eq!(status(4, 1), 401, "a lower count");
        assert_eq!(status(61, 3), 401, "too old");
        let late = ask(&mut rule, seconds(62), Some(&answers[3]));
        assert!(late.headers[0].1.contains("stale=true"), "{late:?}");
        let mut reborn = Rule::new(settings(), [8; 32]);
        assert_eq!(ask(&mut reborn, seconds(1), Some(&answers[0])).status, 401, "a nonce of another boot");
    }

    /// A challenge answered by the first credentials, which an attacker has held back while they were changed to
    /// others and back again.
    #[test]
    fn nonces_end_with_the_credentials_they_were_for() {
        let mut rule = rule();
        let first = ask(&mut rule, seconds(0), None);
        let mut prompt = digest_auth::parse(&first.headers[0].1).unwrap();
        let context = AuthContext::new("acs", "secret", PATH);
        let answers: Vec<_> = (0..2).map(|_| prompt.respond(&context).unwrap().to_string()).collect();
        assert_eq!(ask(&mut rule, seconds(0), Some(&answers[0])).status, 200);
        rule.set(Settings { nonce_life: Duration::from_secs(50), ..settings() });
        assert!(!rule.used.is_empty(), "the same credentials have the same nonces");
        rule.set(Settings::new(PATH, Credentials::new("acs", "other")));
        assert!(rule.used.is_empty() && !rule.known().proven.contains(&ACS) && rule.knows(ACS));
        rule.set(settings());
        for answer in &answers {
            let refused = ask(&mut rule, seconds(1), Some(answer));
            assert_eq!(refused.status, 401);
            assert!(
                refused.headers[0].1.contains("stale=true"),
                "the right ACS need not ask its user: {refused:?}"
            );
        }
        let again = ask(&mut rule, seconds(1), None);
        assert_eq!(ask(&mut rule, seconds(1), Some(&login(&again, "secret", PATH))).status, 200);
    }

    #[test]
    fn methods_and_paths() {
        let mut rule = rule();
        let mut status = |method: &str, target: &str| {
            rule.decide(&request(method, target, &[]), ACS, seconds(0), [0; 8]).status
        };
        assert_eq!(status("GET", PATH), 401);
        assert_eq!(status("GET", &format!("http://cpe:7547{PATH}")), 401);
        for target in ["/", "/0123456789ABCDEF", "/0123456789abcdef/", "/0123456789abcde%66", "/x", "*", ""] {
            assert_eq!(status("GET", target), 404, "{target}");
        }
        assert_eq!(status("GET", &format!("{PATH}?x")), 404);
        for method in ["POST", "HEAD", "OPTIONS", "TRACE", "PUT", "get"] {
            assert_eq!(status(method, PATH), 405, "{method}");
        }
        assert_eq!(status("CONNECT", "cpe:7547"), 404);
    }

    #[test]
    fn headers_refused() {
        let mut rule = rule();
        let first = ask(&mut rule, seconds(0), None);
        let good = login(&first, "secret", PATH);
        let two = request("GET", PATH, &[("Authorization", &good), ("authorization", &good)]);
        assert_eq!(rule.decide(&two, ACS, seconds(0), [0; 8]).status, 400);
        let mut status = |login: &str| ask(&mut rule, seconds(0), Some(login)).status;
        assert_eq!(status("Basic YWNzOnNlY3JldA=="), 401);
        assert_eq!(status("Bearer x"), 401);
        assert_eq!(status("Digest"), 400);
        assert_eq!(status("Digest username=\"acs"), 400);
        let response = good.find("response=\"").unwrap() + 10;
        assert_eq!(status(&format!("{}0{}", &good[..response], &good[response + 2..])), 401, "31 digits");
        assert_eq!(status(&good.replace("response=\"", "response=\"0")), 401, "33 digits");
        assert_eq!(status(&login(&first, "secret", "/other")), 400);
        assert_eq!(status(&login(&first, "secret", &PATH.to_uppercase())), 400);
        assert_eq!(status(&login(&first, "wrong", PATH)), 401);
        assert_eq!(status(&good.replace("username=\"acs\"", "username=\"acz\"")), 401);
        assert_eq!(status(&good), 200, "none of that spoiled the nonce");
    }

    #[test]
    fn nothing_without_credentials() {
        for (user, password) in [("", "secret"), ("acs", ""), ("", "")] {
            let credentials = Credentials::new(user, password);
            let mut rule = Rule::new(Settings { credentials, ..settings() }, [7; 32]);
            let first = ask(&mut rule, seconds(0), None);
            assert_eq!((first.status, first.headers.len()), (503, 0));
        }
    }

    #[test]
    fn the_throttle() {
        let mut rule = Rule::new(Settings { max_accepted: 3, ..settings() }, [7; 32]);
        let mut status = |now: u64, salt: u8| {
            let challenge = rule.decide(&request("GET", PATH, &[]), ACS, seconds(now), [salt; 8]);
            let login = login(&challenge, "secret", PATH);
            let answer =
                rule.decide(&request("GET", PATH, &[("Authorization", &login)]), ACS, seconds(now), [0; 8]);
            assert!(answer.headers.iter().all(|(name, _)| *name != "Retry-After"));
            answer.status
        };
        assert_eq!([status(0, 1), status(1, 2), status(2, 3)], [200; 3]);
        assert_eq!([status(3, 4), status(59, 5)], [503; 2]);
        assert_eq!([status(60, 6), status(60, 7)], [200, 503], "one slot a second has come free");
    }

    #[test]
    fn guessing_is_slowed_for_the_guesser_only() {
        let mut rule = rule();
        let attacker = IpAddr::from([198, 51, 100, 9]);
        let mut attempt = |source: IpAddr, now: u64, password: &str, salt: u8| {
            let challenge = rule.decide(&request("GET", PATH, &[]), source, seconds(now), [salt; 8]);
            let login = login(&challenge, password, PATH);
            rule.decide(&request("GET", PATH, &[("Authorization", &login)]), source, seconds(now), [0; 8])
                .status
        };
        assert_eq!(attempt(ACS, 0, "secret", 1), 200);
        let statuses: Vec<_> = (0..50).map(|_| attempt(attacker, 0, "guess", 2)).collect();
        assert!(statuses[..10].iter().all(|s| *s == 401) && statuses[10..].iter().all(|s| *s == 503));
        assert_eq!(attempt(ACS, 0, "secret", 3), 200);
        let statuses: Vec<_> = (0..50).map(|_| attempt(ACS, 0, "guess", 4)).collect();
        assert!(statuses.iter().all(|s| *s == 401), "whoever was right before is always heard");
        assert_eq!(attempt(ACS, 0, "secret", 5), 200);
        assert_eq!(attempt(attacker, 20, "secret", 6), 200, "nor is anyone shut out for ever");
    }

    /// By IPv6 the neighbour of an ACS is in its /64; by IPv4 somebody may have its very address.
    #[test]
    fn neighbours_of_the_acs_neither_lock_it_out_nor_guess_freely() {
        let [acs, neighbour]: [IpAddr; 2] = ["fd99::1", "fd99::2"].map(|one| one.parse().unwrap());
        let mut rule = rule();
        rule.met(acs);
        let mut attempt = |source: IpAddr, now: u64, password: &str, salt: u8| {
            let challenge = rule.decide(&request("GET", PATH, &[]), source, seconds(now), [salt; 8]);
            let login = login(&challenge, password, PATH);
            rule.decide(&request("GET", PATH, &[("Authorization", &login)]), source, seconds(now), [0; 8])
                .status
        };
        let tried = (0..50).filter(|_| attempt(neighbour, 0, "guess", 1) == 401).count();
        assert_eq!(tried, 10);
        assert_eq!(attempt(acs, 0, "secret", 2), 200);
        let tried = (0..2000).filter(|_| attempt(neighbour, 1, "guess", 3) == 401).count();
        assert_eq!(tried, 1, "also when the ACS has been right");
        let tried = (0..2000).filter(|_| attempt(acs, 1, "guess", 4) == 401).count();
        assert_eq!(tried, 60, "asked again so often only");
        assert_eq!(attempt(acs, 1, "secret", 5), 200);
    }

    #[test]
    fn networks_that_older_versions_have_noted_are_forgotten() {
        let addresses = |list: &[&str]| list.iter().map(|one| one.parse().unwrap()).collect::<Vec<IpAddr>>();
        let mut rule = rule();
        let old =
            Known { proven: addresses(&["192.0.2.1", "fd99::"]), met: addresses(&["fd99::", "fd99::1"]) };
        rule.recall(&old);
        assert_eq!(rule.known(), Known { proven: addresses(&["192.0.2.1"]), met: addresses(&["fd99::1"]) });
        assert!(!rule.knows("fd99::2".parse().unwrap()));
    }

    /// Every guess from another address, which the brake for one source does not notice.
    #[test]
    fn a_crowd_of_guessers_is_slowed_and_the_acs_is_not() {
        let mut rule = rule();
        let elsewhere = IpAddr::from([192, 0, 2, 77]);
        rule.met(ACS);
        let mut attempt = |source: IpAddr, now: u64, password: &str, salt: u8| {
            let challenge = rule.decide(&request("GET", PATH, &[]), source, seconds(now), [salt; 8]);
            assert_eq!(challenge.status, 401, "to be asked costs nobody a guess");
            let login = login(&challenge, password, PATH);
            rule.decide(&request("GET", PATH, &[("Authorization", &login)]), source, seconds(now), [0; 8])
        };
        let crowd = (0..200u8).map(|n| attempt(IpAddr::from([198, 51, 100, n]), 0, "guess", 1));
        let tried = crowd.filter(|answer| answer.status == 401).count();
        assert_eq!(tried, 64);
        let late = attempt(elsewhere, 0, "secret", 2);
        assert_eq!((late.status, late.why), (503, "too many wrong credentials from everywhere"));
        assert_eq!(attempt(ACS, 0, "secret", 3).status, 200, "where the last session went");
        assert_eq!(attempt(elsewhere, 2, "secret", 4).status, 200, "as soon as there is room");
        let crowd = (0..200u8).map(|n| attempt(IpAddr::from([203, 0, 113, n]), 2, "guess", 5));
        assert!(crowd.filter(|answer| answer.status == 401).count() <= 4);
        assert_eq!(
            attempt(elsewhere, 2, "secret", 6).status,
            200,
            "who was right once is heard from then on"
        );
        let known = rule.known();
        assert_eq!((known.proven.as_slice(), known.met.as_slice()), (&[ACS, elsewhere][..], &[ACS][..]));
        let mut reborn = Rule::new(settings(), [8; 32]);
        reborn.recall(&known);
        assert!(reborn.knows(elsewhere) && !reborn.knows(IpAddr::from([203, 0, 113, 1])));
    }

    #[test]
    fn urls() {
        assert_eq!(random_path([0, 1, 2, 3, 4, 5, 6, 255]), "/00010203040506ff");
        assert_eq!(url(ACS, 7547, "/x"), "http://192.0.2.1:7547/x");
        assert_eq!(url("2001:db8::1".parse().unwrap(), 7547, "/x"), "http://[2001:db8::1]:7547/x");
    }
}
