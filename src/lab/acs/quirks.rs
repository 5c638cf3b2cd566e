//! How the mini-ACS departs from the standard, to play the ACSs that do (interop.md 5).
//!
//! The default departs nowhere. Each switch is a word for `--quirk`, and so is the name of an ACS, which turns on all
//! that is known of it; of Axiros' little is public, so its word stands for what is legal and seldom met.

/// The switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks {
    /// How a session is known again.
    pub cookie: Cookie,
    /// The end of a session is 200 without a body, not 204.
    pub empty_ok: bool,
    /// TransferComplete and GetRPCMethods are answered with 200 without a body (community Oktopus).
    pub empty_answers: bool,
    /// Faults are written as `<soap-env:Body:Fault>`, which is no XML name (GenieACS).
    pub malformed_faults: bool,
    /// A second Inform during a session gets 400 (GenieACS).
    pub already_in_session: bool,
    /// Every Inform gets 503 with Retry-After.
    pub overloaded: bool,
    /// Requests bear an ID, InformResponse another one than the Inform.
    pub mismatched_id: bool,
    /// The digest of a connection request says uri="/" whatever the path (acsrs).
    pub root_uri: bool,
    /// A device that asks for Basic gets the password of its connection requests, in clear
    /// (GenieACS when told to; no ACS does by itself).
    pub basic_knock: bool,
    /// A nonce is good on the connection only that it was given on (GenieACS).
    pub bound_nonce: bool,
    /// The challenge names no algorithm, and offers auth-int too (GenieACS).
    pub terse_challenge: bool,
    /// `&` stands as it is in the URL and the FileType of a Download, which is no XML (GenieACS).
    pub raw_url: bool,
    /// Requests bear the ID of the Inform (acsrs).
    pub reused_id: bool,
    /// The first request of each session is a GetParameterValues without names (FreeACS).
    pub no_names: bool,
    /// NextLevel is 0 or 1, not a word.
    pub next_level_digit: bool,
    /// A POST that is no Inform and has no cookie gets 401 without a challenge (Oktopus).
    pub bare_401: bool,
}

/// How a session is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cookie {
    /// A random cookie.
    #[default]
    Random,
    /// A random cookie without a Path, which is then that of the request (RFC 6265 5.1.4), and another name (GenieACS).
    Pathless,
    /// `oktopus=SERIAL` with Expires.
    Serial,
    /// No cookie: the session is the TCP connection.
    None,
}

/// A word, what it is for, and what it turns on.
type Word = (&'static str, &'static str, fn(&mut Quirks));

const WORDS: &[Word] = &[
    ("cookie-serial", "the cookie is oktopus=SERIAL, with Expires", |quirks| quirks.cookie = Cookie::Serial),
    ("pathless-cookie", "the cookie has no Path", |quirks| quirks.cookie = Cookie::Pathless),
    ("no-cookie", "no cookie: the session is the TCP connection", |quirks| quirks.cookie = Cookie::None),
    ("empty-ok", "the end of a session is 200 without a body, not 204", |quirks| quirks.empty_ok = true),
    ("empty-answers", "TransferComplete and GetRPCMethods are answered with nothing", |quirks| {
        quirks.empty_answers = true
    }),
    ("malformed-faults", "faults are <Body:Fault>, which is no XML name", |quirks| {
        quirks.malformed_faults = true
    }),
    ("already-in-session", "an Inform during a session of the device gets 400", |quirks| {
        quirks.already_in_session = true
    }),
    ("overloaded", "every Inform gets 503 with Retry-After", |quirks| quirks.overloaded = true),
    ("mismatched-id", "InformResponse has another ID than the Inform", |quirks| quirks.mismatched_id = true),
    ("root-uri", "the digest of a connection request is for / whatever the path", |quirks| {
        quirks.root_uri = true
    }),
    (
        "basic-knock",
        "a device that asks for Basic gets the password of its connection requests, in clear",
        |quirks| quirks.basic_knock = true,
    ),
    ("bound-nonce", "a nonce is good on its connection only", |quirks| quirks.bound_nonce = true),
    ("terse-challenge", "the challenge names no algorithm, and offers auth-int too", |quirks| {
        quirks.terse_challenge = true
    }),
    ("raw-url", "& stands as it is in URL and FileType of a Download, which is no XML", |quirks| {
        quirks.raw_url = true
    }),
    ("reused-id", "requests have the ID of the Inform", |quirks| quirks.reused_id = true),
    ("no-names", "each session begins with a GetParameterValues of no names", |quirks| {
        quirks.no_names = true
    }),
    ("next-level-digit", "NextLevel is 0 or 1, not a word", |quirks| quirks.next_level_digit = true),
    ("bare-401", "a POST that is no Inform and has no cookie gets 401 without a challenge", |quirks| {
        quirks.bare_401 = true
    }),
    (
        "genieacs",
        "pathless-cookie, malformed-faults, already-in-session, bound-nonce, terse-challenge, raw-url",
        |quirks| {
            quirks.cookie = Cookie::Pathless;
            quirks.malformed_faults = true;
            quirks.already_in_session = true;
            quirks.bound_nonce = true;
            quirks.terse_challenge = true;
            quirks.raw_url = true;
        },
    ),
    ("oktopus", "cookie-serial, empty-answers, bare-401, root-uri", |quirks| {
        quirks.cookie = Cookie::Serial;
        quirks.empty_answers = true;
        quirks.bare_401 = true;
        quirks.root_uri = true;
    }),
    ("acsrs", "no-cookie, root-uri, reused-id", |quirks| {
        quirks.cookie = Cookie::None;
        quirks.root_uri = true;
        quirks.reused_id = true;
    }),
    ("axiros", "empty-ok, next-level-digit", |quirks| {
        quirks.empty_ok = true;
        quirks.next_level_digit = true;
    }),
];

impl Quirks {
    /// The words of the command line, and what each is for; for an ACS, the words that its name stands for.
    pub fn words() -> impl Iterator<Item = (&'static str, &'static str)> {
        WORDS.iter().map(|(word, what, _)| (*word, *what))
    }

    /// Turns one switch on, named as on the command line.
    ///
    /// # Errors
    /// The words there are, for an unknown one.
    pub fn turn_on(&mut self, word: &str) -> Result<(), String> {
        match WORDS.iter().find(|(known, ..)| *known == word) {
            Some((.., turn)) => {
                turn(self);
                Ok(())
            }
            None => {
                let words: Vec<&str> = Quirks::words().map(|(word, _)| word).collect();
                Err(format!("{word:?} is no quirk; there are {}", words.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let mut quirks = Quirks::default();
        quirks.turn_on("no-cookie").unwrap();
        quirks.turn_on("overloaded").unwrap();
        assert_eq!(quirks, Quirks { cookie: Cookie::None, overloaded: true, ..Quirks::default() });
        assert!(quirks.turn_on("x").unwrap_err().contains("root-uri"));
        for (word, ..) in WORDS {
            let mut one = Quirks::default();
            one.turn_on(word).unwrap();
            assert_ne!(one, Quirks::default(), "{word}");
        }
    }
}
