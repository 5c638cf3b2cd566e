//! How the mini-ACS departs from the standard, to play the ACSs that do (interop.md 5).
//!
//! The default departs nowhere. Each switch is a word for `--quirk`.

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
}

/// How a session is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cookie {
    /// A random cookie.
    #[default]
    Random,
    /// `oktopus=SERIAL` with Expires.
    Serial,
    /// No cookie: the session is the TCP connection.
    None,
}

/// The words and what they do.
type Word = (&'static str, fn(&mut Quirks));

const WORDS: &[Word] = &[
    ("cookie-serial", |quirks| quirks.cookie = Cookie::Serial),
    ("no-cookie", |quirks| quirks.cookie = Cookie::None),
    ("empty-ok", |quirks| quirks.empty_ok = true),
    ("empty-answers", |quirks| quirks.empty_answers = true),
    ("malformed-faults", |quirks| quirks.malformed_faults = true),
    ("already-in-session", |quirks| quirks.already_in_session = true),
    ("overloaded", |quirks| quirks.overloaded = true),
    ("mismatched-id", |quirks| quirks.mismatched_id = true),
    ("root-uri", |quirks| quirks.root_uri = true),
];

impl Quirks {
    /// Turns one switch on, named as on the command line.
    ///
    /// # Errors
    /// The words there are, for an unknown one.
    pub fn turn_on(&mut self, word: &str) -> Result<(), String> {
        match WORDS.iter().find(|(known, _)| *known == word) {
            Some((_, turn)) => {
                turn(self);
                Ok(())
            }
            None => {
                let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
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
        for (word, _) in WORDS {
            let mut one = Quirks::default();
            one.turn_on(word).unwrap();
            assert_ne!(one, Quirks::default(), "{word}");
        }
    }
}
