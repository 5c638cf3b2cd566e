//! Any text as a challenge and as a login: what a challenge is answered with proves the password it was made with,
//! and no other.

use rcwmp::http::auth::{
    self, Algorithm, Authorization, Challenge, Credentials, DigestClient, MAX_FIELD, MAX_LINE,
};

/// One input: lines of `WWW-Authenticate`, the last one a login too.
pub fn run(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let lines: Vec<&str> = text.split('\n').collect();
    login(lines.last().copied().unwrap_or_default());
    match auth::best_challenge(lines.iter().copied()) {
        Ok(Challenge::Basic { realm }) => {
            assert!(realm.len() <= MAX_FIELD);
            // Control characters are left out of what is said.
            let said: String = realm.chars().filter(|c| !c.is_control()).collect();
            let again = auth::best_challenge([&*auth::basic_challenge(&realm)]);
            assert_eq!(again, Ok(Challenge::Basic { realm: said }));
        }
        Ok(Challenge::Digest(challenge)) => {
            assert!(challenge.realm.len() <= MAX_FIELD && challenge.nonce.len() <= MAX_FIELD);
            answer(DigestClient::new(challenge));
        }
        Err(why) => assert!(why.to_string().len() <= 4096),
    }
}

fn answer(mut client: DigestClient) {
    let who = Credentials::new("cpe \"\u{fc}\\", "pass");
    for (uri, nonce) in [("/", "one"), ("/acs?a=\"b\"", "two")] {
        let Ok(said) = client.answer(&who, "POST", uri, b"body", nonce) else { continue };
        assert!(!said.contains(['\r', '\n', '\0']), "{said:?}");
        // Realm, nonce and opaque at their longest, each with all of its octets escaped.
        assert!(said.len() <= 6 * MAX_FIELD + 1024);
        if said.len() > MAX_LINE {
            continue;
        }
        let challenge = client.challenge();
        let Ok(Authorization::Digest(digest)) = auth::parse_authorization(&said) else {
            panic!("{said} is no digest");
        };
        assert_eq!((&digest.nonce, digest.uri.as_str()), (&challenge.nonce, uri));
        assert!(digest.proves(&who, &challenge.realm, "POST", b"body"), "{said}");
        let others = [Credentials::new("cpe", "pass"), Credentials::new("cpe \"\u{fc}\\", "Pass")];
        assert!(others.iter().all(|other| !digest.proves(other, &challenge.realm, "POST", b"body")));
        assert!(!digest.proves(&who, &challenge.realm, "GET", b"body"));
    }
}

fn login(line: &str) {
    match auth::parse_authorization(line) {
        Ok(Authorization::Digest(digest)) => {
            let who = Credentials::new("cpe", "a password that nobody guesses");
            assert!(!digest.proves(&who, &digest.realm, "GET", b""));
        }
        Ok(Authorization::Basic(who)) => {
            if let Ok(again) = auth::basic(&who) {
                assert_eq!(auth::parse_authorization(&again), Ok(Authorization::Basic(who)));
            }
        }
        Ok(Authorization::Other(scheme)) => assert!(scheme.chars().count() <= 32),
        Err(why) => assert!(why.to_string().len() <= 4096),
    }
    // A realm of anybody's choice makes a challenge that says it.
    let realm: String = line.chars().filter(|c| !c.is_control()).take(64).collect();
    let made = auth::digest_challenge(&realm, "n", Algorithm::Sha256, true);
    match auth::best_challenge([&*made]) {
        Ok(Challenge::Digest(read)) => assert!(read.realm == realm && read.nonce == "n" && read.stale),
        other => panic!("{made} is {other:?}"),
    }
}
