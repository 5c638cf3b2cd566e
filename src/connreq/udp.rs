//! Whether a datagram is a valid connection request (TR-069 Annex G), which is never answered.
//!
//! Pure. A request is a signed line: `GET http://HOST:PORT?ts=…&id=…&un=…&cn=…&sig=… HTTP/1.1`. It cannot be
//! replayed, for its time must be later than that of the last one accepted, which the caller keeps over
//! restarts. GenieACS sends each three times, and no `/` before the `?`.

use std::net::SocketAddr;

use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::http::auth::{self, Credentials};
use crate::http::auth_text;

/// The most octets of a datagram that are looked at.
pub const MAX_DATAGRAM: usize = 2048;
/// The longest of the values that others choose.
const MAX_VALUE: usize = 256;
const MAX_HEADERS: usize = 32;
/// Of a time, in decimal.
const TIME_DIGITS: usize = 10;

/// What is remembered of the last request that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// `ts`: seconds since 1970 by the clock of the ACS.
    pub time: u64,
    /// `id`.
    pub id: String,
}

/// Whether the first octet of a datagram is that of a STUN message; requests begin with a letter.
pub fn is_stun(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(0 | 1))
}

/// Gives what is to be remembered of a valid request.
///
/// # Errors
/// A few words for the log on why it is none: it is to be ignored.
pub fn check(datagram: &[u8], credentials: &Credentials, last: Option<&Last>) -> Result<Last, &'static str> {
    if credentials.username.is_empty() || credentials.password.is_empty() {
        return Err("no connection request credentials are set");
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    // What follows the head is a body, and let pass.
    let is_whole = datagram.len() <= MAX_DATAGRAM
        && request.parse(datagram).is_ok_and(|status| status.is_complete())
        && request.version == Some(1);
    if !is_whole {
        return Err("it is no request of HTTP/1.1");
    }
    if request.method != Some("GET") {
        return Err("the method is not GET");
    }
    let query = query(request.path.unwrap_or_default()).ok_or("the URI is not as it is to be")?;
    let [ts, id, un, cn, sig] = values(query).ok_or("a parameter is missing or there twice")?;
    let time = decimal(ts).ok_or("the time is no number")?;
    // What is signed has nothing between ts and id: were the length free, digits of a signed id could become those of
    // a later time. Ten are the seconds from 2001 to 2286.
    if ts.len() != TIME_DIGITS {
        return Err("the time is not of this age");
    }
    if id.is_empty() || cn.is_empty() {
        return Err("the message ID or the nonce is empty");
    }
    if last.is_some_and(|last| time <= last.time) {
        return Err("the time is not later than that of the last one");
    }
    if last.is_some_and(|last| id == last.id) {
        return Err("the message ID is that of the last one");
    }
    let user = credentials.username.as_str();
    let decoded = decoded(un);
    if un != user && decoded.as_deref() != Some(user) {
        return Err("the user is another");
    }
    let sig = auth_text::from_hex(sig).filter(|sig| sig.len() == 20).ok_or("the signature is malformed")?;
    // Which of the two is signed, where they differ, nobody says.
    let is_signed = [un, user].iter().any(|un| {
        let mut mac =
            <Hmac<Sha1> as Mac>::new_from_slice(credentials.password.as_bytes()).expect("HMAC takes any key");
        [ts, id, un, cn].iter().for_each(|part| mac.update(part.as_bytes()));
        auth::same(&mac.finalize().into_bytes(), &sig)
    });
    if !is_signed {
        return Err("the signature is wrong");
    }
    Ok(Last { time, id: id.to_owned() })
}

/// UDPConnectionRequestAddress (TR-181): where requests reach us.
pub fn address(at: SocketAddr) -> String {
    at.to_string()
}

/// The query of an absolute URI without a path.
fn query(uri: &str) -> Option<&str> {
    let rest = uri.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).map(|_| &uri[7..])?;
    let (authority, query) = rest.split_once('?')?;
    let host = authority.strip_suffix('/').unwrap_or(authority);
    (!host.is_empty() && !host.contains('/')).then_some(query)
}

/// The values of ts, id, un, cn and sig, each there once; others are let pass.
fn values(query: &str) -> Option<[&str; 5]> {
    let mut found = [None; 5];
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        if let Some(at) = ["ts", "id", "un", "cn", "sig"].iter().position(|known| *known == name)
            && (value.len() > MAX_VALUE || found[at].replace(value).is_some())
        {
            return None;
        }
    }
    let [Some(ts), Some(id), Some(un), Some(cn), Some(sig)] = found else { return None };
    Some([ts, id, un, cn, sig])
}

fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Without `%xx`; `None` for what is no text then.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        out.push(match first {
            b'%' => {
                let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
                rest = &after[2..];
                *auth_text::from_hex(digits)?.first()?
            }
            other => *other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials::new("cu", "cp")
    }

    fn sign(text: &str) -> String {
        let mut mac = <Hmac<Sha1> as Mac>::new_from_slice(b"cp").unwrap();
        mac.update(text.as_bytes());
        auth_text::hex(&mac.finalize().into_bytes())
    }

    fn request(ts: &str, id: &str) -> String {
        let sig = sign(&format!("{ts}{id}cu0011223344556677"));
        format!(
            "GET http://127.0.0.1:9999?ts={ts}&id={id}&un=cu&cn=0011223344556677&sig={sig} HTTP/1.1\r\n\
             Host: 127.0.0.1:9999\r\n\r\n"
        )
    }

    fn last(time: u64, id: &str) -> Last {
        Last { time, id: id.to_owned() }
    }

    fn check_text(text: &str, expected: &Last) {
        assert_eq!(check(text.as_bytes(), &credentials(), None).as_ref(), Ok(expected), "{text}");
    }

    #[test]
    fn a_signature_that_openssl_made() {
        // printf 17000000009cu0011223344556677 | openssl dgst -sha1 -hmac cp
        let text = "GET http://10.0.0.1:7547?ts=1700000000&id=9&un=cu&cn=0011223344556677\
                    &sig=90733ef49464bb89ae9356bc7316cb3c6c42507d HTTP/1.1\r\n\r\n";
        check_text(text, &last(1_700_000_000, "9"));
    }

    #[test]
    fn forms_that_are_taken() {
        let good = request("1700000000", "42");
        let expected = last(1_700_000_000, "42");
        check_text(&good, &expected);
        check_text(&good.replace("9999?", "9999/?"), &expected);
        check_text(&good.replace("http://", "HTTP://"), &expected);
        check_text(&good.replace("?ts", "?x=1&y&ts"), &expected);
        check_text(&(good.clone() + "a body"), &expected);
        check_text(&good.replace("127.0.0.1:9999", "[2001:db8::1]"), &expected);
        let (head, tail) = good.split_once("sig=").unwrap();
        let (sig, tail) = tail.split_once(' ').unwrap();
        check_text(&format!("{head}sig={} {tail}", sig.to_uppercase()), &expected);
    }

    #[test]
    fn users_with_signs() {
        let user = Credentials::new("a&b", "cp");
        for (un, signed) in [("a%26b", "a&b"), ("a%26b", "a%26b")] {
            let sig = sign(&format!("17000000001{signed}c"));
            let text = format!("GET http://h?ts=1700000000&id=1&un={un}&cn=c&sig={sig} HTTP/1.1\r\n\r\n");
            assert_eq!(check(text.as_bytes(), &user, None), Ok(last(1_700_000_000, "1")), "{text}");
        }
        for broken in ["a%2", "a%", "a%zz", "%ff", "a%2gb"] {
            assert_eq!(decoded(broken), None, "{broken}");
        }
    }

    #[test]
    fn once_only() {
        let check = |ts: &str, id: &str, seen: Last| {
            check(request(ts, id).as_bytes(), &credentials(), Some(&seen)).map(|last| last.time)
        };
        let (now, text) = (1_700_000_000, "1700000000");
        assert_eq!(check(text, "1", last(now - 1, "2")), Ok(now));
        for (time, id) in [(now, "1"), (now, "2"), (now + 1, "2")] {
            let refused = check(text, "1", last(time, id));
            assert_eq!(refused, Err("the time is not later than that of the last one"));
        }
        assert_eq!(check(text, "1", last(now - 1, "1")), Err("the message ID is that of the last one"));
    }

    #[test]
    fn a_signature_is_for_one_time_alone() {
        let (ts, id) = ("1700000000", "3141592653");
        let good = request(ts, id);
        let all = [ts, id].concat();
        for cut in (1..all.len()).filter(|cut| *cut != ts.len()) {
            let (other, rest) = all.split_at(cut);
            let text = good.replace(&format!("ts={ts}&id={id}"), &format!("ts={other}&id={rest}"));
            for seen in [None, Some(last(1_700_000_000, id)), Some(last(0, ""))] {
                let refused = check(text.as_bytes(), &credentials(), seen.as_ref());
                assert_eq!(refused, Err("the time is not of this age"), "{text}");
            }
        }
    }

    #[test]
    fn what_is_ignored() {
        let good = request("1700000000", "42");
        let refused = |text: &str| check(text.as_bytes(), &credentials(), None).unwrap_err();
        for cut in 0..good.len() {
            refused(&good[..cut]);
        }
        for (from, to) in [
            ("GET", "POST"),
            ("GET", "get"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("http://127.0.0.1:9999", ""),
            ("http://127.0.0.1:9999", "/"),
            ("http://", "https://"),
            ("9999?", "9999/x?"),
            ("ts=1", "ts=2"),
            ("ts=1", "ts=+1"),
            ("ts=1", "ts="),
            ("ts=1700000000", "ts=99999999999999999999"),
            ("id=42", "id="),
            ("id=42", "id=43"),
            ("un=cu", "un=cx"),
            ("un=cu&", ""),
            ("un=cu", "un=cu&un=cu"),
            ("cn=00", "cn=01"),
            ("sig=", "sig=00"),
            ("sig=", "gis="),
        ] {
            let text = good.replace(from, to);
            assert_ne!(text, good);
            refused(&text);
        }
        refused(&good.replace("id=42", &format!("id={}", "4".repeat(257))));
        refused(&good.replace("Host", &format!("X: {}\r\nHost", "x".repeat(MAX_DATAGRAM))));
        assert!(check(good.as_bytes(), &Credentials::new("cu", "other"), None).is_err());
        for (user, password) in [("", "cp"), ("cu", "")] {
            assert!(check(good.as_bytes(), &Credentials::new(user, password), None).is_err());
        }
    }

    #[test]
    fn addresses_and_kinds() {
        assert_eq!(address("192.0.2.1:80".parse().unwrap()), "192.0.2.1:80");
        assert_eq!(address("[2001:db8::1]:7547".parse().unwrap()), "[2001:db8::1]:7547");
        assert!(is_stun(&[0]) && is_stun(&[1, 1]) && !is_stun(b"GET") && !is_stun(b""));
    }
}
