//! Why a transfer failed, and the CWMP fault code of it (TR-069 A.5.1).

use std::fmt;

/// The longest text for a FaultString, in octets; the standard's bound is 256.
const MAX_TEXT: usize = 240;

/// A failed transfer, as TransferComplete tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The fault code.
    pub code: u16,
    /// What happened.
    pub cause: Cause,
}

/// What happened. The texts name the culprit and never a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The URL is none, or holds a user name: 9003.
    BadUrl(String),
    /// A scheme that is not spoken, or not built in: 9013.
    Scheme(String),
    /// No address, no connection, or no answer: 9015.
    Unreachable(String),
    /// The server refused our credentials, wants some, or we refused its certificate or it ours: 9012,
    /// "file transfer server authentication failure".
    Login(String),
    /// There is no such file, or not for us: 9016.
    NoFile(String),
    /// The file broke off: 9017, or 9011 on its way out.
    CutOff(String),
    /// The deadline of the whole transfer is over: 9017 or 9011.
    TooLong,
    /// The file is larger than allowed, in octets: 9010.
    TooLarge {
        /// The bound.
        max: u64,
    },
    /// There is no room for the file: 9010.
    NoSpace {
        /// What is free, in octets, less the reserve.
        free: u64,
    },
    /// The server did something else that will not do: 9010 or 9011.
    Server(String),
    /// Our own file or system failed: 9010 or 9011.
    Local(String),
    /// It was called off by us: 9010 or 9011, though a cancelled transfer is not reported.
    Cancelled,
}

impl Cause {
    /// The failure this is, for a file on its way out or in.
    pub(super) fn of(self, is_upload: bool) -> Failure {
        let code = match &self {
            Cause::BadUrl(_) => 9003,
            Cause::Scheme(_) => 9013,
            Cause::Unreachable(_) => 9015,
            Cause::Login(_) => 9012,
            Cause::NoFile(_) => 9016,
            _ if is_upload => 9011,
            Cause::CutOff(_) | Cause::TooLong => 9017,
            _ => 9010,
        };
        Failure { code, cause: self }
    }
}

impl Failure {
    /// The text for a FaultString: one line of printable ASCII, bounded.
    pub fn text(&self) -> String {
        let mut text = self.to_string().replace(|c: char| !matches!(c, ' '..='~'), "?");
        text.truncate(MAX_TEXT);
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::BadUrl(why) | Cause::Scheme(why) | Cause::Local(why) => f.write_str(why),
            Cause::Unreachable(why) => write!(f, "the file server cannot be contacted: {why}"),
            Cause::Login(why) => write!(f, "no authentication with the file server: {why}"),
            Cause::NoFile(why) => write!(f, "the file server does not give access to the file: {why}"),
            Cause::CutOff(why) => write!(f, "the file broke off: {why}"),
            Cause::TooLong => f.write_str("the transfer took too long"),
            Cause::TooLarge { max } => write!(f, "the file is larger than {max} octets"),
            Cause::NoSpace { free } => write!(f, "there is no room for the file, only {free} octets"),
            Cause::Server(why) => write!(f, "the file server will not do: {why}"),
            Cause::Cancelled => f.write_str("the transfer was called off"),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let check = |cause: Cause, down: u16, up: u16| {
            assert_eq!((cause.clone().of(false).code, cause.of(true).code), (down, up));
        };
        let why = || "why".to_owned();
        check(Cause::BadUrl(why()), 9003, 9003);
        check(Cause::Scheme(why()), 9013, 9013);
        check(Cause::Unreachable(why()), 9015, 9015);
        check(Cause::Login(why()), 9012, 9012);
        check(Cause::NoFile(why()), 9016, 9016);
        check(Cause::CutOff(why()), 9017, 9011);
        check(Cause::TooLong, 9017, 9011);
        check(Cause::TooLarge { max: 1 }, 9010, 9011);
        check(Cause::NoSpace { free: 1 }, 9010, 9011);
        check(Cause::Server(why()), 9010, 9011);
        check(Cause::Local(why()), 9010, 9011);
        check(Cause::Cancelled, 9010, 9011);
    }

    #[test]
    fn texts_are_bounded_and_printable() {
        let text = Cause::Server(format!("a\r\n<\u{e4}{}", "x".repeat(1000))).of(false).text();
        assert_eq!(text.len(), MAX_TEXT);
        assert!(text.starts_with("the file server will not do: a??<?x"), "{text}");
    }
}
