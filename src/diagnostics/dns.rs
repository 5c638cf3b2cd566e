//! The messages of DNS (RFC 1035), as far as a look-up of addresses and of a reverse name needs them.
//!
//! Bytes in, values out: no sockets. Every count and length in a message is the peer's word and is
//! checked; a compressed name may only point backwards and has a bound on its jumps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most addresses kept of one answer (TR-181: `IPAddresses` is a list of up to ten).
pub(crate) const MAX_ADDRESSES: usize = 10;
/// The largest UDP answer we take; more is cut by the kernel and then malformed.
pub(crate) const MAX_MESSAGE: usize = 4096;
/// The longest name in text (RFC 1035 2.3.4).
const MAX_NAME: usize = 253;
/// The records of an answer that are looked at.
const MAX_RECORDS: u16 = 64;
/// The jumps within one compressed name.
const MAX_JUMPS: usize = 32;
const HEADER: usize = 12;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// IPv4 addresses.
    A = 1,
    /// The name of an address.
    Ptr = 12,
    /// IPv6 addresses.
    Aaaa = 28,
    /// Where a service is (RFC 2782).
    #[cfg(feature = "xmpp")]
    Srv = 33,
}

/// An SRV record (RFC 2782): priority, weight, port and target.
#[cfg(feature = "xmpp")]
pub(crate) type Service = (u16, u16, u16, String);

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Answer {
    /// The response code (RFC 1035 4.1.1): 0 no error, 3 no such name.
    pub(crate) code: u8,
    /// The server is an authority for the name.
    pub(crate) is_authoritative: bool,
    /// There would have been more.
    pub(crate) is_truncated: bool,
    /// The last name of the chain of aliases, or of a PTR record.
    pub(crate) name: String,
    /// The addresses, [`MAX_ADDRESSES`] at most.
    pub(crate) addresses: Vec<IpAddr>,
    /// The SRV records, as many.
    #[cfg(feature = "xmpp")]
    pub(crate) services: Vec<Service>,
}

/// Writes a question with recursion desired. `None` if the name cannot be written: an empty label, one
/// beyond 63 octets, or more than 253 in all.
pub(crate) fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > MAX_NAME {
        return None;
    }
    let mut message = Vec::with_capacity(HEADER + name.len() + 6);
    message.extend(id.to_be_bytes());
    message.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend(label.bytes());
    }
    message.push(0);
    message.extend((kind as u16).to_be_bytes());
    message.extend([0, 1]);
    Some(message)
}

/// The name under which the owner of an address stands (RFC 1035 3.5, RFC 3596 2.5).
pub(crate) fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles: String = v6
                .octets()
                .iter()
                .rev()
                .map(|octet| format!("{:x}.{:x}.", octet & 0x0f, octet >> 4))
                .collect();
            format!("{nibbles}ip6.arpa")
        }
    }
}

/// Reads the answer to a question. `None` if it is malformed or answers something else.
pub(crate) fn answer(message: &[u8], id: u16, name: &str, kind: Kind) -> Option<Answer> {
    let number = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let flags = number(2)?;
    // A response, to a standard query, with our one question.
    if number(0)? != id || flags & 0xf800 != 0x8000 || number(4)? != 1 {
        return None;
    }
    let asked = name.strip_suffix('.').unwrap_or(name);
    let (question, mut at) = read_name(message, HEADER)?;
    if !question.eq_ignore_ascii_case(asked) || number(at)? != kind as u16 || number(at + 2)? != 1 {
        return None;
    }
    at += 4;
    let mut found = Answer {
        code: u8::try_from(flags & 0x000f).ok()?,
        is_authoritative: flags & 0x0400 != 0,
        is_truncated: flags & 0x0200 != 0,
        name: question,
        ..Answer::default()
    };
    for _ in 0..number(6)?.min(MAX_RECORDS) {
        let record = read_name(message, at).and_then(|(owner, next)| {
            let length = usize::from(number(next + 8)?);
            let data = message.get(next + 10..(next + 10).checked_add(length)?)?;
            Some((owner, number(next)?, number(next + 2)?, next + 10, data))
        });
        let (owner, what, class, start, data) = match record {
            Some(record) => record,
            // The end of a truncated message may lie within a record.
            None if found.is_truncated => break,
            None => return None,
        };
        at = start + data.len();
        if class != 1 || !owner.eq_ignore_ascii_case(&found.name) {
            continue;
        }
        match (what, data.len()) {
            (5, _) => found.name = read_name(message, start)?.0,
            (12, _) if kind == Kind::Ptr => {
                found.name = read_name(message, start)?.0;
                break;
            }
            (1, 4) if kind == Kind::A => {
                let octets: [u8; 4] = data.try_into().ok()?;
                found.addresses.push(Ipv4Addr::from(octets).into());
            }
            (28, 16) if kind == Kind::Aaaa => {
                let octets: [u8; 16] = data.try_into().ok()?;
                found.addresses.push(Ipv6Addr::from(octets).into());
            }
            #[cfg(feature = "xmpp")]
            (33, 7..) if kind == Kind::Srv => {
                let target = read_name(message, start + 6)?.0;
                if found.services.len() < MAX_ADDRESSES {
                    found.services.push((number(start)?, number(start + 2)?, number(start + 4)?, target));
                }
            }
            #[cfg(feature = "xmpp")]
            (33, _) if kind == Kind::Srv => return None,
            (1, _) if kind == Kind::A => return None,
            (28, _) if kind == Kind::Aaaa => return None,
            _ => {}
        }
    }
    found.addresses.truncate(MAX_ADDRESSES);
    Some(found)
}

/// Reads a name that may be compressed (RFC 1035 4.1.4). Gives it in text and where it ends.
///
/// An octet that a host name cannot have is written as `?`: the text goes to an ACS.
fn read_name(message: &[u8], start: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let (mut at, mut end, mut jumps) = (start, None, 0);
    loop {
        let length = *message.get(at)?;
        match length {
            0 => return Some((name, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = message.get(at + 1..at + 1 + usize::from(length))?;
                if !name.is_empty() {
                    name.push('.');
                }
                let is_plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
                name.extend(label.iter().map(|b| if is_plain(b) { char::from(*b) } else { '?' }));
                if name.len() > MAX_NAME {
                    return None;
                }
                at += 1 + usize::from(length);
            }
            0xc0.. => {
                let low = *message.get(at + 1)?;
                let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                jumps += 1;
                if target >= at || jumps > MAX_JUMPS {
                    return None;
                }
                end = end.or(Some(at + 2));
                at = target;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to `example.com IN A` with a CNAME and an address, compressed as BIND does it.
    fn recorded() -> Vec<u8> {
        let mut message = question(0x1234, "www.example.com", Kind::A).unwrap();
        message[2..4].copy_from_slice(&[0x85, 0x80]);
        message[7] = 2;
        message.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'h', 0xc0, 16]);
        message.extend([0xc0, 45, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
        message
    }

    fn read(message: &[u8]) -> Option<Answer> {
        answer(message, 0x1234, "WWW.example.com.", Kind::A)
    }

    #[test]
    fn an_answer_is_read() {
        let found = read(&recorded()).unwrap();
        assert_eq!((found.name.as_str(), found.code), ("h.example.com", 0));
        assert!(found.is_authoritative && !found.is_truncated);
        assert_eq!(found.addresses, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn others_are_not_taken() {
        let check = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut message = recorded();
            change(&mut message);
            assert_eq!(read(&message), None);
        };
        check(&|m| m[1] ^= 1);
        check(&|m| m[2] &= 0x7f);
        check(&|m| m[5] = 2);
        check(&|m| m[14] = b'x');
        check(&|m| m[30] = 28);
        check(&|m| m[48] = 200);
        check(&|m| m.truncate(m.len() - 1));
        // A name that points at itself, and two that point at one another.
        check(&|m| m[33..35].copy_from_slice(&[0xc0, 33]));
        check(&|m| {
            m[33..35].copy_from_slice(&[0xc0, 49]);
            m[49..51].copy_from_slice(&[0xc0, 33]);
        });
        for length in 0..recorded().len() {
            assert_eq!(read(&recorded()[..length]), None, "{length}");
        }
    }

    #[test]
    fn truncation_keeps_what_is_whole() {
        let mut message = recorded();
        message[2] |= 0x02;
        message.truncate(message.len() - 3);
        let found = read(&message).unwrap();
        assert!(found.is_truncated && found.addresses.is_empty());
        assert_eq!(found.name, "h.example.com");
    }

    #[test]
    #[cfg(feature = "xmpp")]
    fn services_are_read() {
        let name = "_xmpp-client._tcp.a.b";
        let mut message = question(7, name, Kind::Srv).unwrap();
        message[2..4].copy_from_slice(&[0x81, 0x80]);
        message[7] = 2;
        for (priority, target) in [(5, &[1, b'h', 0xc0, 30][..]), (9, &[0][..])] {
            message.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0]);
            message.push(u8::try_from(6 + target.len()).unwrap());
            message.extend([0, priority, 0, 1, 0x14, 0x66]);
            message.extend(target);
        }
        let found = answer(&message, 7, name, Kind::Srv).unwrap();
        assert_eq!(found.services, [(5, 1, 5222, "h.a.b".to_owned()), (9, 1, 5222, String::new())]);
        for length in 0..message.len() {
            assert_eq!(answer(&message[..length], 7, name, Kind::Srv), None, "{length}");
        }
        message[7] = 1;
        message[50] = 6;
        message.truncate(57);
        assert_eq!(answer(&message, 7, name, Kind::Srv), None, "a record without a target");
    }

    #[test]
    fn counts_are_bounded() {
        let mut message = question(1, "a.b", Kind::A).unwrap();
        message[2] = 0x80;
        message[6..8].copy_from_slice(&500_u16.to_be_bytes());
        for at in 0..200 {
            message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, at]);
        }
        assert_eq!(answer(&message, 1, "a.b", Kind::A).unwrap().addresses.len(), MAX_ADDRESSES);
    }

    #[test]
    fn names_are_checked() {
        for bad in ["", ".", "a..b", &"x".repeat(64), &["x"; 128].join(".")] {
            assert_eq!(question(1, bad, Kind::A), None, "{bad}");
        }
        assert_eq!(reverse_name("192.0.2.7".parse().unwrap()), "7.2.0.192.in-addr.arpa");
        let v6 = reverse_name("2001:db8::1".parse().unwrap());
        assert!(v6.starts_with("1.0.0.") && v6.ends_with("8.b.d.0.1.0.0.2.ip6.arpa"), "{v6}");
        assert_eq!(v6.len(), 72);
        let mut message = question(1, "a.b", Kind::A).unwrap();
        message[13] = b'<';
        assert_eq!(read_name(&message, 12).unwrap().0, "?.b");
    }

    #[test]
    fn noise_never_panics() {
        let mut seed = 1_u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        };
        for _ in 0..20_000 {
            let mut message = recorded();
            for _ in 0..3 {
                let at = usize::from(next()) % message.len();
                message[at] = next();
            }
            let _ = read(&message);
        }
    }
}
