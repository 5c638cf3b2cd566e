//! Classic STUN (RFC 3489) with what TR-069 Annex G adds: Binding Requests written, their answers read.
//!
//! Pure. Nothing of the cookie, the fingerprint and the exclusive or of RFC 5389: servers for Annex G
//! know neither, and newer servers answer the old way to whoever asks so. What an answer has beyond the
//! mapped address, an error and its integrity is let pass.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::http::auth;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_RESPONSE: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const MAPPED_ADDRESS: u16 = 0x0001;
const RESPONSE_ADDRESS: u16 = 0x0002;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const CONNECTION_REQUEST_BINDING: u16 = 0xC001;
const BINDING_CHANGE: u16 = 0xC002;

/// The value of CONNECTION-REQUEST-BINDING, its space included.
const MARK: &[u8; 20] = b"dslforum.org/TR-111 ";
const HEAD: usize = 20;
const DIGEST: usize = 20;

/// What joins a request, all its copies, and the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionId(pub [u8; 16]);

/// A Binding Request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// Random.
    pub id: TransactionId,
    /// CONNECTION-REQUEST-BINDING: it leaves from where connection requests are awaited.
    pub from_listener: bool,
    /// BINDING-CHANGE: the binding is a new one.
    pub changed: bool,
    /// USERNAME, left out when it is empty.
    pub username: &'a str,
    /// MESSAGE-INTEGRITY, made with this password.
    pub password: Option<&'a str>,
    /// RESPONSE-ADDRESS: whom to answer instead of the sender.
    pub answer_to: Option<SocketAddr>,
}

impl Request<'_> {
    /// The datagram.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut attributes = Vec::new();
        if let Some(address) = self.answer_to {
            put(&mut attributes, RESPONSE_ADDRESS, &address_value(address));
        }
        if self.from_listener {
            put(&mut attributes, CONNECTION_REQUEST_BINDING, MARK);
        }
        if self.changed {
            put(&mut attributes, BINDING_CHANGE, &[]);
        }
        if !self.username.is_empty() {
            let mut name = self.username.as_bytes().to_vec();
            name.resize(name.len().next_multiple_of(4), b' ');
            put(&mut attributes, USERNAME, &name);
        }
        let sealed = if self.password.is_some() { 4 + DIGEST } else { 0 };
        // A data model's string(256) is far from the limit.
        let length = u16::try_from(attributes.len() + sealed).unwrap_or(u16::MAX);
        let mut message = Vec::with_capacity(HEAD + usize::from(length));
        message.extend(BINDING_REQUEST.to_be_bytes());
        message.extend(length.to_be_bytes());
        message.extend(self.id.0);
        message.extend(attributes);
        if let Some(password) = self.password {
            let digest = digest(&message, password, true);
            put(&mut message, MESSAGE_INTEGRITY, &digest);
        }
        message
    }
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Where the request came from, as the server saw it.
    Mapped(SocketAddr),
    /// A Binding Error Response with its number, as 401.
    Refused(u16),
}

/// An answer with what it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    /// The request's.
    pub id: TransactionId,
    /// What it says.
    pub answer: Answer,
    /// Its MESSAGE-INTEGRITY was made with the password that was given for reading.
    pub is_proven: bool,
}

/// Why a datagram is no answer to a Binding Request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StunError {
    /// Shorter or longer than it says.
    Length,
    /// Another type than the two answers to a Binding Request.
    Type(u16),
    /// An attribute that ends beyond the message, or has not its size.
    Attribute(u16),
    /// No address, or no error code.
    Empty,
}

impl fmt::Display for StunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StunError::Length => f.write_str("a STUN message has another length than it says"),
            StunError::Type(kind) => write!(f, "STUN message type {kind:#06x} is no answer"),
            StunError::Attribute(kind) => write!(f, "STUN attribute {kind:#06x} is malformed"),
            StunError::Empty => f.write_str("a STUN answer without MAPPED-ADDRESS or ERROR-CODE"),
        }
    }
}

impl std::error::Error for StunError {}

/// Reads an answer; `password` is what its MESSAGE-INTEGRITY is held against.
///
/// # Errors
/// [`StunError`] for what is no answer.
pub fn read(bytes: &[u8], password: Option<&str>) -> Result<Response, StunError> {
    let (head, mut rest) = bytes.split_first_chunk::<HEAD>().ok_or(StunError::Length)?;
    let kind = u16::from_be_bytes([head[0], head[1]]);
    if usize::from(u16::from_be_bytes([head[2], head[3]])) != rest.len() {
        return Err(StunError::Length);
    }
    if kind != BINDING_RESPONSE && kind != BINDING_ERROR {
        return Err(StunError::Type(kind));
    }
    let mut id = [0; 16];
    id.copy_from_slice(&head[4..]);
    let (mut mapped, mut error, mut is_proven) = (None, None, false);
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let (name, value) = take(&mut rest)?;
        match name {
            MAPPED_ADDRESS if mapped.is_none() => mapped = Some(address(value)?),
            ERROR_CODE if error.is_none() => error = Some(error_code(value)?),
            MESSAGE_INTEGRITY => {
                is_proven = password.is_some_and(|password| {
                    // RFC 3489 fills the text up to a multiple of 64 octets, its successors do not.
                    [true, false].iter().any(|fill| auth::same(&digest(&bytes[..at], password, *fill), value))
                });
                // What follows it is not protected by it.
                break;
            }
            _ => {}
        }
    }
    let answer = match kind {
        BINDING_RESPONSE => mapped.map(Answer::Mapped),
        _ => error.map(Answer::Refused),
    };
    Ok(Response { id: TransactionId(id), answer: answer.ok_or(StunError::Empty)?, is_proven })
}

fn put(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    to.extend(kind.to_be_bytes());
    to.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    to.extend(value);
}

/// The next attribute, without the octets that fill it up to a multiple of four.
fn take<'a>(rest: &mut &'a [u8]) -> Result<(u16, &'a [u8]), StunError> {
    let (head, after) = rest.split_first_chunk::<4>().ok_or(StunError::Length)?;
    let kind = u16::from_be_bytes([head[0], head[1]]);
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let value = after.get(..length).ok_or(StunError::Attribute(kind))?;
    *rest = &after[length.next_multiple_of(4).min(after.len())..];
    Ok((kind, value))
}

fn address_value(address: SocketAddr) -> Vec<u8> {
    let family = if address.is_ipv4() { 1 } else { 2 };
    let mut value = vec![0, family];
    value.extend(address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(address) => value.extend(address.octets()),
        IpAddr::V6(address) => value.extend(address.octets()),
    }
    value
}

fn address(value: &[u8]) -> Result<SocketAddr, StunError> {
    let wrong = StunError::Attribute(MAPPED_ADDRESS);
    let (head, octets) = value.split_first_chunk::<4>().ok_or(wrong)?;
    let address: IpAddr = match (head[1], octets) {
        (1, &[a, b, c, d]) => [a, b, c, d].into(),
        (2, octets) => <[u8; 16]>::try_from(octets).map(Ipv6Addr::from).map_err(|_| wrong)?.into(),
        _ => return Err(wrong),
    };
    let address = SocketAddr::new(address, u16::from_be_bytes([head[2], head[3]]));
    // Nobody can be reached there.
    if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
        return Err(wrong);
    }
    Ok(address)
}

fn error_code(value: &[u8]) -> Result<u16, StunError> {
    match value {
        [_, _, class, number, ..] if *number < 100 => Ok(u16::from(class & 7) * 100 + u16::from(*number)),
        _ => Err(StunError::Attribute(ERROR_CODE)),
    }
}

/// RFC 3489 11.2.8: over all before the attribute, the length in the head counting it already.
fn digest(text: &[u8], password: &str, fill: bool) -> [u8; DIGEST] {
    let mut mac = <Hmac<Sha1> as Mac>::new_from_slice(password.as_bytes()).expect("HMAC takes any key");
    mac.update(text);
    if fill {
        mac.update(&[0; 64][..text.len().next_multiple_of(64) - text.len()]);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransactionId = TransactionId(*b"0123456789abcdef");

    fn request() -> Request<'static> {
        Request { id: ID, from_listener: true, changed: false, username: "", password: None, answer_to: None }
    }

    /// A message of a type with these attributes.
    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        attributes.iter().for_each(|(kind, value)| put(&mut body, *kind, value));
        let mut out = kind.to_be_bytes().to_vec();
        out.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        out.extend(ID.0);
        out.extend(body);
        out
    }

    const HOME: &[u8] = &[0, 1, 0x1d, 0x7b, 192, 0, 2, 9];

    fn check(bytes: &[u8], expected: Result<Answer, StunError>) {
        assert_eq!(read(bytes, None).map(|response| response.answer), expected, "{bytes:02x?}");
    }

    #[test]
    fn requests() {
        let plain = request().to_bytes();
        let mut expected = vec![0, 1, 0, 24];
        expected.extend(ID.0);
        expected.extend([0xC0, 0x01, 0, 20]);
        expected.extend(b"dslforum.org/TR-111 ");
        assert_eq!(plain, expected);
        let changed = Request { changed: true, username: "cpe-1", ..request() }.to_bytes();
        expected[3] = 24 + 4 + 12;
        expected.extend([0xC0, 0x02, 0, 0, 0, 6, 0, 8]);
        expected.extend(b"cpe-1   ");
        assert_eq!(changed, expected);
        let answer_to = Some("192.0.2.9:7547".parse().unwrap());
        let probe = Request { from_listener: false, answer_to, ..request() }.to_bytes();
        assert_eq!(probe[20..], [&[0, 2, 0, 8][..], HOME].concat());
        let answer_to = Some("[2001:db8::1]:7547".parse().unwrap());
        let probe = Request { from_listener: false, answer_to, ..request() }.to_bytes();
        assert_eq!((probe.len(), &probe[20..28]), (44, &[0, 2, 0, 20, 0, 2, 0x1d, 0x7b][..]));
    }

    #[test]
    fn integrity_is_openssls() {
        // printf of the first 52 octets, filled up to 64 with zeros | openssl dgst -sha1 -hmac secret
        let sealed = Request { username: "cpe1", password: Some("secret"), ..request() }.to_bytes();
        assert_eq!((sealed.len(), sealed[3]), (20 + 24 + 8 + 24, 56));
        assert_eq!(sealed[52..56], [0, 8, 0, 20]);
        let hex: String = sealed[56..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "c431b77f6a490382e0af229c5766c37f993be5e9");
    }

    #[test]
    fn answers() {
        let home: SocketAddr = "192.0.2.9:7547".parse().unwrap();
        check(&message(0x0101, &[(1, HOME)]), Ok(Answer::Mapped(home)));
        let more = [(4, &[0; 8][..]), (1, HOME), (0x8022, b"some"), (1, &[0; 8])];
        check(&message(0x0101, &more), Ok(Answer::Mapped(home)));
        let six = [&[0, 2, 0, 80][..], &"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets()].concat();
        check(&message(0x0101, &[(1, &six)]), Ok(Answer::Mapped("[2001:db8::1]:80".parse().unwrap())));
        check(&message(0x0111, &[(9, b"\0\0\x04\x01Unauthorized")]), Ok(Answer::Refused(401)));
        check(&message(0x0111, &[(9, &[0, 0, 4, 20])]), Ok(Answer::Refused(420)));
    }

    #[test]
    fn what_is_no_answer() {
        check(b"", Err(StunError::Length));
        check(&[1; 19], Err(StunError::Length));
        let good = message(0x0101, &[(1, HOME)]);
        for cut in 0..good.len() {
            assert!(read(&good[..cut], None).is_err());
        }
        check(&[&good[..], b"x"].concat(), Err(StunError::Length));
        check(&message(0x0001, &[(1, HOME)]), Err(StunError::Type(1)));
        check(&message(0x0101, &[]), Err(StunError::Empty));
        check(&message(0x0111, &[(1, HOME)]), Err(StunError::Empty));
        for wrong in [&HOME[..7], &[0, 3, 0, 1, 1, 1, 1, 1], &[0, 2, 0, 1, 1, 1, 1, 1], &[0, 1], &[]] {
            check(&message(0x0101, &[(1, wrong)]), Err(StunError::Attribute(1)));
        }
        for nowhere in [[0, 1, 0, 0, 192, 0, 2, 9], [0, 1, 0, 1, 0, 0, 0, 0], [0, 1, 0, 1, 224, 0, 0, 1]] {
            check(&message(0x0101, &[(1, &nowhere)]), Err(StunError::Attribute(1)));
        }
        check(&message(0x0111, &[(9, &[0, 0, 4])]), Err(StunError::Attribute(9)));
        let mut beyond = good.clone();
        beyond[23] = 200;
        check(&beyond, Err(StunError::Attribute(1)));
    }

    #[test]
    fn proofs() {
        let proven = |bytes: &[u8], password| read(bytes, password).map(|response| response.is_proven);
        for fill in [true, false] {
            let mut sealed = message(0x0101, &[(1, HOME), (8, &[0; 20])]);
            let digest = digest(&sealed[..32], "secret", fill);
            sealed[36..].copy_from_slice(&digest);
            assert_eq!(proven(&sealed, Some("secret")), Ok(true));
            assert_eq!(proven(&sealed, Some("other")), Ok(false));
            assert_eq!(proven(&sealed, None), Ok(false));
            sealed[30] ^= 1;
            assert_eq!(proven(&sealed, Some("secret")), Ok(false));
        }
        assert_eq!(proven(&message(0x0101, &[(1, HOME)]), Some("secret")), Ok(false));
        // An address behind the proof is nobody's word.
        let behind = message(0x0101, &[(8, &[0; 20]), (1, HOME)]);
        assert_eq!(proven(&behind, Some("secret")), Err(StunError::Empty));
    }
}
