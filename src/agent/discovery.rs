//! What DHCP says about the ACS (TR-069 3.1): options 43 and 125, and DHCPv6 option 17. Pure.
//!
//! ```text
//!  option 43   sub-options 1 to 4           code, length, text          (or just the URL)
//!  option 125  enterprise 3561, 11 to 14    number, length, sub-options
//!  option 17   enterprise 3561, 1 to 4      number, code and length of two octets each
//! ```
//! All of it comes from a network that anybody may be on: what is not exactly what the standard says
//! is refused with a reason, and what is accepted is a URL, a short text and two numbers in their ranges.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::http::url::Url;
use crate::sys::clock::Now;

/// For how long no TCP connection must have come about before an ACS is unreachable (TR-069 3.1).
pub const UNREACHABLE: Duration = Duration::from_secs(300);

/// The Broadband Forum's enterprise number.
const ENTERPRISE: u32 = 3561;
/// ManagementServer.URL and ProvisioningCode: `string(256)` and `string(64)`.
const MAX_URL: usize = 256;
const MAX_CODE: usize = 64;
/// The most octets of one option, all its parts taken together.
pub const MAX_OPTION: usize = 4096;

/// What an offer says; `None` where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer {
    /// The ACS, `http:` or `https:`, at most 256 octets.
    pub url: Option<String>,
    /// DeviceInfo.ProvisioningCode, at most 64 octets.
    pub provisioning_code: Option<String>,
    /// CWMPRetryMinimumWaitInterval, 1 to 65535 seconds.
    pub retry_minimum: Option<u32>,
    /// CWMPRetryIntervalMultiplier, 1000 to 65535 thousandths.
    pub retry_multiplier: Option<u32>,
}

/// Where an offer came from, in the order of precedence (TR-069 3.1: DHCPv6 wins over DHCPv4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// DHCPv6 option 17.
    Option17,
    /// Option 125, which is what we ask for.
    Option125,
    /// Option 43.
    Option43,
}

/// Why an option is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferError {
    /// It ends within a sub-option, or is longer than [`MAX_OPTION`].
    Malformed,
    /// Its text is no hexadecimal.
    NotHex,
    /// A URL that cannot be one of an ACS, with the reason.
    BadUrl(String),
    /// A sub-option's text is too long, has control characters or is not UTF-8.
    BadText(u16),
    /// A number out of its range.
    BadNumber(u16),
}

impl fmt::Display for OfferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OfferError::Malformed => f.write_str("the option is cut short or too long"),
            OfferError::NotHex => f.write_str("the option is not hexadecimal"),
            OfferError::BadUrl(why) => write!(f, "the ACS URL: {why}"),
            OfferError::BadText(code) => write!(f, "sub-option {code} is not a short text"),
            OfferError::BadNumber(code) => write!(f, "sub-option {code} is out of its range"),
        }
    }
}

impl std::error::Error for OfferError {}

impl Source {
    /// All of them, first in the order of precedence first.
    pub const ALL: [Source; 3] = [Source::Option17, Source::Option125, Source::Option43];

    /// What the files of a DHCP client's hook call it.
    pub fn name(self) -> &'static str {
        match self {
            Source::Option17 => "opt17",
            Source::Option125 => "opt125",
            Source::Option43 => "opt43",
        }
    }

    /// Reads an option of this kind.
    ///
    /// # Errors
    /// [`OfferError`]: none of it is to be used then.
    pub fn read(self, bytes: &[u8]) -> Result<Offer, OfferError> {
        if bytes.len() > MAX_OPTION {
            return Err(OfferError::Malformed);
        }
        match self {
            Source::Option43 => option_43(bytes),
            Source::Option125 => option_125(bytes),
            Source::Option17 => option_17(bytes),
        }
    }

    /// As [`Source::read`], from the hexadecimal digits that DHCP clients give to their scripts.
    ///
    /// # Errors
    /// [`OfferError`].
    pub fn read_hex(self, text: &str) -> Result<Offer, OfferError> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        if digits.len() > 2 * MAX_OPTION {
            return Err(OfferError::Malformed);
        }
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let octet = |pair: &[u8]| match pair {
            [high, low] => Some(value(*high)? << 4 | value(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(octet).collect();
        self.read(&bytes.ok_or(OfferError::NotHex)?)
    }
}

/// The offers of all sources as one: each field from the first source in the order of precedence that has it.
pub fn merged(mut offers: Vec<(Source, Offer)>) -> Offer {
    offers.sort_by_key(|(source, _)| *source);
    offers.into_iter().fold(Offer::default(), |all, (_, one)| Offer {
        url: all.url.or(one.url),
        provisioning_code: all.provisioning_code.or(one.provisioning_code),
        retry_minimum: all.retry_minimum.or(one.retry_minimum),
        retry_multiplier: all.retry_multiplier.or(one.retry_multiplier),
    })
}

/// How the ACS was found (TR-069 3.1: to be remembered after each factory reset).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// Its URL came from DHCP: where it cannot be reached any more, DHCP is asked again, even if the
    /// URL has been set by somebody else since.
    Dhcp,
    /// Its URL was configured: DHCP is no way out.
    Configured,
}

/// For how long an ACS has not been reached. Says nothing of an ACS that was not tried.
///
/// It counts from the end of the first attempt without a TCP connection, and is decided at the end of an
/// attempt: one failure before a long wait of the ladder is no proof.
#[derive(Debug, Clone, Default)]
pub struct Outage {
    url: String,
    since: Option<Duration>,
    is_lost: bool,
}

impl Outage {
    /// An attempt at the ACS of this URL has ended: whether one of its addresses took a TCP connection.
    pub fn attempt(&mut self, url: &str, connected: bool, now: Now) {
        if connected || self.url != url {
            *self = Outage { url: url.to_owned(), ..Outage::default() };
        }
        if !connected {
            let since = *self.since.get_or_insert(now.mono);
            self.is_lost = now.mono.saturating_sub(since) >= UNREACHABLE;
        }
    }

    /// Whether the ACS of this URL is unreachable in the sense of TR-069 3.1.
    pub fn is_lost(&self, url: &str) -> bool {
        self.is_lost && self.url == url
    }
}

fn option_43(bytes: &[u8]) -> Result<Offer, OfferError> {
    // Servers in the field put the bare URL there; no sub-option has the code of a letter.
    if bytes.first().is_some_and(u8::is_ascii_alphabetic) {
        return Ok(Offer { url: Some(url(bytes)?), ..Offer::default() });
    }
    let mut offer = Offer::default();
    for (code, value) in short(bytes)? {
        // 0 pads and 255 ends the encapsulated options (RFC 2132 8.4).
        offer.take(u16::from(code), value)?;
    }
    Ok(offer)
}

fn option_125(bytes: &[u8]) -> Result<Offer, OfferError> {
    let (mut offer, mut rest) = (Offer::default(), bytes);
    while !rest.is_empty() {
        let (number, tail) = rest.split_first_chunk::<4>().ok_or(OfferError::Malformed)?;
        let (length, tail) = tail.split_first().ok_or(OfferError::Malformed)?;
        let (data, tail) = tail.split_at_checked(usize::from(*length)).ok_or(OfferError::Malformed)?;
        rest = tail;
        if u32::from_be_bytes(*number) == ENTERPRISE {
            for (code, value) in short(data)? {
                offer.take(u16::from(code).wrapping_sub(10), value)?;
            }
        }
    }
    Ok(offer)
}

fn option_17(bytes: &[u8]) -> Result<Offer, OfferError> {
    let (number, mut rest) = bytes.split_first_chunk::<4>().ok_or(OfferError::Malformed)?;
    let mut offer = Offer::default();
    if u32::from_be_bytes(*number) != ENTERPRISE {
        return Ok(offer);
    }
    while !rest.is_empty() {
        let (code, tail) = rest.split_first_chunk::<2>().ok_or(OfferError::Malformed)?;
        let (length, tail) = tail.split_first_chunk::<2>().ok_or(OfferError::Malformed)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (value, tail) = tail.split_at_checked(length).ok_or(OfferError::Malformed)?;
        rest = tail;
        offer.take(u16::from_be_bytes(*code), value)?;
    }
    Ok(offer)
}

/// Sub-options of one octet of code and one of length.
fn short(bytes: &[u8]) -> Result<Vec<(u8, &[u8])>, OfferError> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while let Some((code, tail)) = rest.split_first() {
        rest = match code {
            0 => tail,
            255 => break,
            code => {
                let (length, tail) = tail.split_first().ok_or(OfferError::Malformed)?;
                let (value, tail) =
                    tail.split_at_checked(usize::from(*length)).ok_or(OfferError::Malformed)?;
                out.push((*code, value));
                tail
            }
        };
    }
    Ok(out)
}

impl Offer {
    /// Takes sub-option 1 to 4; others are somebody else's.
    fn take(&mut self, code: u16, value: &[u8]) -> Result<(), OfferError> {
        // Not zero-terminated by the standard, but some servers do it, and it "MUST" be no harm.
        let value = value.strip_suffix(b"\0").unwrap_or(value);
        match code {
            _ if value.is_empty() => {}
            1 => self.url = Some(url(value)?),
            2 => self.provisioning_code = Some(text(code, value, MAX_CODE)?),
            3 => self.retry_minimum = Some(number(code, value, 1)?),
            4 => self.retry_multiplier = Some(number(code, value, 1000)?),
            _ => {}
        }
        Ok(())
    }
}

fn url(value: &[u8]) -> Result<String, OfferError> {
    let value = value.strip_suffix(b"\0").unwrap_or(value);
    let text = text(1, value, MAX_URL)?;
    // The same check as for a URL that an ACS sets: scheme, host, port, no user in it, no blanks.
    Url::parse(&text).map_err(|why| OfferError::BadUrl(why.to_string()))?;
    Ok(text)
}

fn text(code: u16, value: &[u8], most: usize) -> Result<String, OfferError> {
    match std::str::from_utf8(value) {
        Ok(text) if value.len() <= most && !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err(OfferError::BadText(code)),
    }
}

fn number(code: u16, value: &[u8], least: u32) -> Result<u32, OfferError> {
    let digits = value.len() <= 5 && value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    number.filter(|number| (least..=65_535).contains(number)).ok_or(OfferError::BadNumber(code))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tlv(code: u8, value: &str) -> Vec<u8> {
        let mut out = vec![code, u8::try_from(value.len()).unwrap()];
        out.extend_from_slice(value.as_bytes());
        out
    }

    fn full() -> Offer {
        Offer {
            url: Some("https://acs.example/x".into()),
            provisioning_code: Some("TLCO.GRP2".into()),
            retry_minimum: Some(30),
            retry_multiplier: Some(1500),
        }
    }

    #[test]
    fn all_three_forms() {
        let values = ["https://acs.example/x", "TLCO.GRP2", "30", "1500"];
        let subs = |first: u8| -> Vec<u8> {
            values.iter().zip(first..).flat_map(|(value, code)| tlv(code, value)).collect()
        };
        let option_43 = [&[0, 0][..], &subs(1), &tlv(9, "whatever"), &[255, 1]].concat();
        assert_eq!(Source::Option43.read(&option_43), Ok(full()));
        let ours = subs(11);
        let length = u8::try_from(ours.len()).unwrap();
        let other = [&[0, 0, 0, 9, 3][..], b"abc"].concat();
        let option_125 = [&other[..], &ENTERPRISE.to_be_bytes(), &[length], &ours].concat();
        assert_eq!(Source::Option125.read(&option_125), Ok(full()));
        let mut option_17 = ENTERPRISE.to_be_bytes().to_vec();
        for (value, code) in values.iter().zip(1_u16..) {
            option_17.extend_from_slice(&code.to_be_bytes());
            option_17.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            option_17.extend_from_slice(value.as_bytes());
        }
        assert_eq!(Source::Option17.read(&option_17), Ok(full()));
        assert_eq!(Source::Option17.read(&[0, 0, 0, 9, 1]), Ok(Offer::default()));
    }

    #[test]
    fn what_the_field_sends() {
        let url = |offer: Result<Offer, OfferError>| offer.unwrap().url.unwrap();
        assert_eq!(url(Source::Option43.read(b"http://acs.example:7547/")), "http://acs.example:7547/");
        assert_eq!(url(Source::Option43.read(b"http://acs.example/\0")), "http://acs.example/");
        assert_eq!(url(Source::Option43.read(&tlv(1, "http://acs.example/\0"))), "http://acs.example/");
        assert_eq!(url(Source::Option43.read_hex("010c687474703a2f2f612e622f63")), "http://a.b/c");
        assert_eq!(
            url(Source::Option43.read_hex("01:0C:68:74:74:70:3A:2F:2F:61:2E:62:2F:63")),
            "http://a.b/c"
        );
        assert_eq!(Source::Option43.read(b""), Ok(Offer::default()));
        assert_eq!(Source::Option43.read_hex("01zz"), Err(OfferError::NotHex));
        assert_eq!(Source::Option43.read_hex("010"), Err(OfferError::NotHex));
    }

    #[test]
    fn hostile_offers() {
        let refused = |bytes: &[u8]| Source::Option43.read(bytes).unwrap_err();
        for bad in
            ["file:///etc/passwd", "http://", "ftp://a/", "http://u:p@a/", "http://a/\nX: y", "http://a b/"]
        {
            assert!(matches!(refused(&tlv(1, bad)), OfferError::BadUrl(_) | OfferError::BadText(1)), "{bad}");
        }
        let long = format!("http://a/{}", "x".repeat(246));
        assert!(Source::Option43.read(&tlv(1, &long)).is_ok());
        assert_eq!(refused(format!("{long}yy").as_bytes()), OfferError::BadText(1));
        for bad in ["0", "-1", "65536", "1e3", " 5", "٣", "99999999999999999999"] {
            assert_eq!(refused(&tlv(3, bad)), OfferError::BadNumber(3), "{bad}");
        }
        assert_eq!(refused(&tlv(4, "999")), OfferError::BadNumber(4));
        assert_eq!(refused(&tlv(2, "'; reboot\n")), OfferError::BadText(2));
        assert_eq!(refused(&[2, 1, 0xff]), OfferError::BadText(2));
        assert_eq!(refused(&[1, 200, b'h']), OfferError::Malformed);
        assert_eq!(Source::Option125.read(&[0, 0, 13, 233, 9, 11]), Err(OfferError::Malformed));
        assert_eq!(refused(&vec![0; MAX_OPTION + 1]), OfferError::Malformed);
    }

    #[test]
    fn an_acs_is_lost_after_300_seconds_of_trying() {
        let (a, b) = ("http://a/", "http://b/");
        let mut outage = Outage::default();
        let mut check = |url: &str, connected: bool, at: u64, expected: [bool; 2]| {
            // What the wall clock shows has no say.
            outage.attempt(url, connected, Now { mono: Duration::from_secs(at), wall: None });
            assert_eq!([outage.is_lost(a), outage.is_lost(b)], expected, "{url} {at}");
        };
        check(a, false, 1000, [false, false]);
        check(a, false, 1299, [false, false]);
        check(a, false, 1300, [true, false]);
        check(a, false, 9999, [true, false]);
        check(a, true, 10_000, [false, false]);
        // After a connection, and for another ACS, it counts anew.
        check(a, false, 10_299, [false, false]);
        check(a, false, 10_598, [false, false]);
        check(b, false, 10_700, [false, false]);
        check(a, false, 10_701, [false, false]);
        check(b, false, 10_702, [false, false]);
        check(b, false, 11_002, [false, true]);
    }

    #[test]
    fn precedence() {
        let of = |url: &str| Offer { url: Some(url.into()), ..Offer::default() };
        let with_code = Offer { provisioning_code: Some("p".into()), ..of("http://43/") };
        let all = merged(vec![
            (Source::Option43, with_code),
            (Source::Option17, of("http://17/")),
            (Source::Option125, of("http://125/")),
        ]);
        assert_eq!((all.url.as_deref(), all.provisioning_code.as_deref()), (Some("http://17/"), Some("p")));
        assert!(Source::ALL.is_sorted());
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            for source in [Source::Option17, Source::Option125, Source::Option43] {
                if let Ok(offer) = source.read(&bytes) {
                    prop_assert!(offer.url.is_none_or(|url| url.len() <= MAX_URL && url.starts_with("http")));
                }
            }
        }
    }
}
