//! The few facts of an X.509 certificate that webpki does not tell: dates, common name, key.
//!
//! Pure. Old ACSs have certificates of version 1, or with the host only in the common name; webpki
//! refuses to look at them. Nothing is verified here.

use crate::http::cookie_date::days_since_1970;

/// What a certificate says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Certificate<'a> {
    /// Valid from, in seconds since 1970; 0 for anything before.
    pub(crate) not_before: u64,
    /// Valid to, likewise.
    pub(crate) not_after: u64,
    /// The last common name of the subject, if it is ASCII.
    pub(crate) common_name: Option<&'a str>,
    /// Whether there is a subjectAltName, which silences the common name (RFC 6125 6.4.4).
    pub(crate) has_alt_name: bool,
    /// The SubjectPublicKeyInfo, with its outer tag and length.
    pub(crate) key: &'a [u8],
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const OID_COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const OID_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// Reads a certificate in DER; `None` if it is none.
pub(crate) fn parse(der: &[u8]) -> Option<Certificate<'_>> {
    let mut certificate = Reader(Reader(der).expect(SEQUENCE)?);
    let mut body = Reader(certificate.expect(SEQUENCE)?);
    body.optional(0xa0); // version
    body.expect(0x02)?; // serial number
    body.expect(SEQUENCE)?; // signature algorithm
    body.expect(SEQUENCE)?; // issuer
    let mut validity = Reader(body.expect(SEQUENCE)?);
    let (not_before, not_after) = (validity.time()?, validity.time()?);
    let common_name = common_name(body.expect(SEQUENCE)?)?;
    let before = body.0;
    body.expect(SEQUENCE)?;
    let key = &before[..before.len() - body.0.len()];
    body.optional(0xa1);
    body.optional(0xa2);
    let has_alt_name = match body.optional(0xa3) {
        Some(extensions) => has_alt_name(extensions)?,
        None => false,
    };
    Some(Certificate { not_before, not_after, common_name, has_alt_name, key })
}

/// Whether a common name covers a host: equal in any case, or `*.` for exactly one first label.
/// An address matches only itself.
pub(crate) fn covers(common_name: &str, host: &str) -> bool {
    if common_name.eq_ignore_ascii_case(host) {
        return !host.is_empty();
    }
    let Some(parent) = common_name.strip_prefix("*.") else { return false };
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    let rest = host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, rest)| rest);
    !is_address && parent.contains('.') && rest.is_some_and(|rest| rest.eq_ignore_ascii_case(parent))
}

fn common_name(subject: &[u8]) -> Option<Option<&str>> {
    let mut found = None;
    let mut sets = Reader(subject);
    while !sets.0.is_empty() {
        let mut set = Reader(sets.expect(SET)?);
        while !set.0.is_empty() {
            let mut attribute = Reader(set.expect(SEQUENCE)?);
            let oid = attribute.expect(OID)?;
            let (_, value) = attribute.next()?;
            if oid == OID_COMMON_NAME {
                found = std::str::from_utf8(value).ok().filter(|name| name.is_ascii());
            }
        }
    }
    Some(found)
}

fn has_alt_name(extensions: &[u8]) -> Option<bool> {
    let mut list = Reader(Reader(extensions).expect(SEQUENCE)?);
    let mut found = false;
    while !list.0.is_empty() {
        found |= Reader(list.expect(SEQUENCE)?).expect(OID)? == OID_ALT_NAME;
    }
    Some(found)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) { self.expect(tag) } else { None }
    }

    fn time(&mut self) -> Option<u64> {
        let (tag, text) = self.next()?;
        let (year, text) = match tag {
            UTC_TIME => {
                let (year, text) = text.split_at_checked(2)?;
                let year = number(year)?;
                (year + if year < 50 { 2000 } else { 1900 }, text)
            }
            GENERALIZED_TIME => {
                let (year, text) = text.split_at_checked(4)?;
                (number(year)?, text)
            }
            _ => return None,
        };
        let text = text.strip_suffix(b"Z").filter(|text| text.len() == 10)?;
        let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| number(&text[at..at + 2]));
        let (month, day) = (month.filter(|m| (1..=12).contains(m))?, day.filter(|d| (1..=31).contains(d))?);
        let seconds = hour.filter(|h| *h < 24)? * 3600 + minute.filter(|m| *m < 60)? * 60 + second?;
        Some(days_since_1970(year.max(1), month, day).map_or(0, |days| days * 86_400 + seconds))
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let all = digits.iter().all(u8::is_ascii_digit);
    all.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let value = parts.concat();
        let mut out = vec![tag];
        match value.len() {
            short @ 0..0x80 => out.push(u8::try_from(short).unwrap()),
            long => out.extend([0x82, u8::try_from(long >> 8).unwrap(), u8::try_from(long & 255).unwrap()]),
        }
        out.extend(value);
        out
    }

    fn sample(version: &[u8], not_after: &[u8], extensions: &[u8]) -> Vec<u8> {
        let name = tlv(OID, &[OID_COMMON_NAME]);
        let subject = tlv(SEQUENCE, &[&tlv(SET, &[&tlv(SEQUENCE, &[&name, &tlv(0x0c, &[b"acs.example"])])])]);
        let validity = tlv(SEQUENCE, &[&tlv(UTC_TIME, &[b"700101000010Z"]), not_after]);
        let empty = tlv(SEQUENCE, &[]);
        let key = tlv(SEQUENCE, &[b"key"]);
        let serial = tlv(2, &[&[1]]);
        let body = tlv(SEQUENCE, &[version, &serial, &empty, &empty, &validity, &subject, &key, extensions]);
        tlv(SEQUENCE, &[&body, &empty])
    }

    #[test]
    fn versions_and_dates() {
        let late = tlv(GENERALIZED_TIME, &[b"20500101000000Z"]);
        let old = sample(b"", &late, b"");
        let parsed = parse(&old).unwrap();
        assert_eq!((parsed.not_before, parsed.not_after), (10, 2_524_608_000));
        assert_eq!((parsed.common_name, parsed.has_alt_name), (Some("acs.example"), false));
        assert_eq!(parsed.key, tlv(SEQUENCE, &[b"key"]));
        let alt = tlv(0xa3, &[&tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(OID, &[OID_ALT_NAME])])])]);
        assert!(parse(&sample(&tlv(0xa0, &[&[2, 1, 2]]), &late, &alt)).unwrap().has_alt_name);
    }

    #[test]
    fn damage_never_panics() {
        let good = sample(b"", &tlv(UTC_TIME, &[b"491231235959Z"]), b"");
        for end in 0..good.len() {
            assert_eq!(parse(&good[..end]), None, "cut at {end}");
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let _ = parse(&bad);
            }
        }
        for time in [&b"991331235959Z"[..], b"9912312359Z", b"+91231235959Z", b"991231245959Z", b""] {
            assert_eq!(parse(&sample(b"", &tlv(UTC_TIME, &[time]), b"")), None);
        }
        assert_eq!(parse(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }

    #[test]
    fn names() {
        for (name, host, expected) in [
            ("acs.example", "ACS.example", true),
            ("acs.example", "xacs.example", false),
            ("*.isp.example", "acs.isp.example", true),
            ("*.isp.example", "a.b.isp.example", false),
            ("*.isp.example", ".isp.example", false),
            ("*.example", "acs.example", false),
            ("*", "acs", false),
            ("*.0.0.1", "127.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("", "", false),
        ] {
            assert_eq!(covers(name, host), expected, "{name} {host}");
        }
    }
}
