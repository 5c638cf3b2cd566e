//! TR-106 data types: kinds, facets, lexical checks and canonical forms (TR-106 3.2).
//!
//! A [`Type`] is built at compile time from the data model files and checks what an ACS sends;
//! a [`Value`] is what goes on the wire: a kind and its canonical text.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::path::{Path, Segment};

/// The basic types of TR-106 table 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text; the length facet counts characters.
    String,
    /// A signed 32-bit number.
    Int,
    /// An unsigned 32-bit number.
    UnsignedInt,
    /// A signed 64-bit number.
    Long,
    /// An unsigned 64-bit number.
    UnsignedLong,
    /// `0`, `1`, `true` or `false`; canonical here is `0` and `1`.
    Boolean,
    /// ISO 8601, UTC with `Z` unless a parameter says otherwise.
    DateTime,
    /// Binary as base64; the length facet counts octets.
    Base64,
    /// Binary as hexadecimal digits; the length facet counts octets.
    HexBinary,
}

impl Kind {
    /// The name as TR-181 spells it (`unsignedInt`).
    pub fn name(self) -> &'static str {
        self.xsd().rsplit(':').next().unwrap_or_default()
    }

    /// The `xsi:type` of a value of this kind, with the prefixes that our envelopes declare.
    pub fn xsd(self) -> &'static str {
        match self {
            Kind::String => "xsd:string",
            Kind::Int => "xsd:int",
            Kind::UnsignedInt => "xsd:unsignedInt",
            Kind::Long => "xsd:long",
            Kind::UnsignedLong => "xsd:unsignedLong",
            Kind::Boolean => "xsd:boolean",
            Kind::DateTime => "xsd:dateTime",
            Kind::Base64 => "soapenc:base64",
            Kind::HexBinary => "xsd:hexBinary",
        }
    }

    /// The kind of a type's local name (`unsignedInt`, `base64Binary`), or `None` for an unknown one.
    pub fn from_name(local: &str) -> Option<Kind> {
        Some(match local {
            "string" => Kind::String,
            "int" => Kind::Int,
            "unsignedInt" => Kind::UnsignedInt,
            "long" => Kind::Long,
            "unsignedLong" => Kind::UnsignedLong,
            "boolean" => Kind::Boolean,
            "dateTime" => Kind::DateTime,
            "base64" | "base64Binary" => Kind::Base64,
            "hexBinary" => Kind::HexBinary,
            _ => return None,
        })
    }

    fn is_integer(self) -> bool {
        matches!(self, Kind::Int | Kind::UnsignedInt | Kind::Long | Kind::UnsignedLong)
    }
}

/// A value as it goes out: its kind and canonical text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The basic type.
    pub kind: Kind,
    /// The canonical lexical form.
    pub text: String,
}

impl Value {
    /// A value from its parts.
    pub fn new(kind: Kind, text: impl Into<String>) -> Value {
        Value { kind, text: text.into() }
    }
}

/// A value as it came in: the declared kind, if any was declared and known, and the text untouched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Input {
    /// What `xsi:type` said; `None` when it was absent: the schema decides.
    pub kind: Option<Kind>,
    /// An `xsi:type` that is no TR-106 type, as written: it fits no parameter (9006).
    pub foreign: Option<String>,
    /// The text of the element, not trimmed.
    pub text: String,
}

/// A lexical shape beyond kind and length, for the patterns TR-181 uses. The empty string is
/// accepted wherever the standard's pattern has an empty alternative, which all of these have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Dotted quad.
    Ipv4,
    /// RFC 4291 text.
    Ipv6,
    /// Either of the two.
    IpAddress,
    /// `a.b.c.d/n`.
    Ipv4Prefix,
    /// `h:h::/n`.
    Ipv6Prefix,
    /// Either prefix.
    IpPrefix,
    /// Six octets in hexadecimal with colons.
    Mac,
    /// A TR-106 alias.
    Alias,
    /// `scheme://…` with printable characters only.
    Url,
    /// `http://` or `https://`, a host, a port that can be one, and no user.
    HttpUrl,
    /// A host's name or address: one word of letters, digits, dots, colons and hyphens.
    Host,
    /// At most 32 octets, whatever the characters: what a radio can announce.
    Ssid,
    /// Printable ASCII: what every station can be given (IEEE 802.11 J.4).
    Passphrase,
    /// A name or partial path with `*` and no other identifier of instances (TR-181 InformParameter).
    InformName,
    /// An event that can have parameters of its own choice: any but `4 VALUE CHANGE`.
    InformEvent,
}

impl Format {
    /// The format of a data model file's word, or `None`.
    pub fn from_name(name: &str) -> Option<Format> {
        Some(match name {
            "ipv4" => Format::Ipv4,
            "ipv6" => Format::Ipv6,
            "ip" => Format::IpAddress,
            "ipv4prefix" => Format::Ipv4Prefix,
            "ipv6prefix" => Format::Ipv6Prefix,
            "ipprefix" => Format::IpPrefix,
            "mac" => Format::Mac,
            "alias" => Format::Alias,
            "url" => Format::Url,
            "httpurl" => Format::HttpUrl,
            "host" => Format::Host,
            "ssid" => Format::Ssid,
            "passphrase" => Format::Passphrase,
            "informname" => Format::InformName,
            "informevent" => Format::InformEvent,
            _ => return None,
        })
    }

    /// What it is, in a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Format::Ipv4 => "an IPv4 address",
            Format::Ipv6 => "an IPv6 address",
            Format::IpAddress => "an IP address",
            Format::Ipv4Prefix => "an IPv4 prefix",
            Format::Ipv6Prefix => "an IPv6 prefix",
            Format::IpPrefix => "an IP prefix",
            Format::Mac => "a MAC address",
            Format::Alias => "an alias",
            Format::Url | Format::HttpUrl => "a URL",
            Format::Host => "the name or address of a host",
            Format::Ssid => "an SSID",
            Format::Passphrase => "a passphrase",
            Format::InformName | Format::InformEvent => "a text of its kind",
        }
    }

    fn holds(self, text: &str) -> bool {
        let v4 = |text: &str| text.parse::<Ipv4Addr>().is_ok();
        let v6 = |text: &str| text.parse::<Ipv6Addr>().is_ok();
        let prefix = |max: u8, address: &dyn Fn(&str) -> bool| {
            text.split_once('/').is_some_and(|(head, bits)| {
                address(head) && bits.parse::<u8>().is_ok_and(|n| n <= max && bits == n.to_string())
            })
        };
        text.is_empty()
            || match self {
                Format::Ipv4 => v4(text),
                Format::Ipv6 => v6(text),
                Format::IpAddress => v4(text) || v6(text),
                Format::Ipv4Prefix => prefix(32, &v4),
                Format::Ipv6Prefix => prefix(128, &v6),
                Format::IpPrefix => prefix(32, &v4) || prefix(128, &v6),
                Format::Mac => is_mac(text),
                Format::Alias => super::path::is_alias(text),
                Format::HttpUrl => is_http_url(text),
                Format::Host => {
                    text.len() <= 253
                        && !text.starts_with('-')
                        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:".contains(&b))
                }
                Format::Ssid => text.len() <= 32,
                Format::InformName => is_inform_name(text),
                Format::InformEvent => is_event(text) && text != "4 VALUE CHANGE",
                Format::Passphrase => text.bytes().all(|byte| matches!(byte, b' '..=b'~')),
                Format::Url => {
                    text.bytes().all(|byte| byte.is_ascii_graphic())
                        && text.split_once("://").is_some_and(|(scheme, rest)| {
                            !scheme.is_empty()
                                && !rest.is_empty()
                                && scheme.bytes().all(|b| b.is_ascii_alphanumeric())
                        })
                }
            }
    }
}

/// What an agent can go to: a URL that nobody can reach would cut the device off.
fn is_http_url(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://")) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(literal) => match literal.split_once(']') {
            Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => (address, port),
            _ => return false,
        },
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_fits = match port.strip_prefix(':') {
        Some(digits) => digits.parse::<u16>().is_ok_and(|port| port > 0 && !digits.starts_with('+')),
        None => port.is_empty(),
    };
    let host_fits = !host.is_empty() && (Format::Host.holds(host));
    text.bytes().all(|byte| byte.is_ascii_graphic()) && port_fits && host_fits
}

fn is_inform_name(text: &str) -> bool {
    let Ok(path) = Path::parse(text) else { return false };
    let fits = |segment: &Segment| matches!(segment, Segment::Name(_) | Segment::Wildcard);
    path.segments().iter().all(fits) && !matches!(path.segments().last(), Some(Segment::Wildcard))
}

/// `2 PERIODIC`, `M Reboot`, `X 02AB00 Something` (TR-069 table 8): at most 64 characters.
fn is_event(text: &str) -> bool {
    let Some((code, name)) = text.split_once(' ') else { return false };
    let known = match code {
        "M" | "X" => name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '),
        digits => {
            digits.parse::<u8>().is_ok_and(|n| n.to_string() == digits)
                && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b' ')
        }
    };
    known && !name.trim().is_empty() && text.len() <= 64
}

fn is_mac(text: &str) -> bool {
    let mut parts = 0;
    text.split(':').all(|part| {
        parts += 1;
        part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    }) && parts == 6
}

/// A parameter's type with its facets (TR-106 A.2.3). `const`-constructible for the static tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type {
    /// The basic type, or the item's type for a list.
    pub kind: Kind,
    /// A comma-separated list on the wire, which is then an `xsd:string`.
    pub list: bool,
    /// Least and greatest length of a value (of an item for a list), in characters or octets.
    pub size: Option<(u32, u32)>,
    /// Greatest length of a whole list in characters.
    pub list_size: Option<u32>,
    /// Allowed ranges of a number, inclusive; empty: all.
    pub ranges: &'static [(Option<i128>, Option<i128>)],
    /// Allowed words; empty: all.
    pub values: &'static [&'static str],
    /// Lexical shape.
    pub format: Option<Format>,
}

/// Why a text is not a value of a type: the two faults differ (9006, 9007).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The declared kind is another.
    Kind,
    /// The text is none of the kind's lexical form, or beyond what the kind can hold.
    Text,
    /// The text is outside of what the type allows: why, in a few words.
    Value(String),
}

impl Type {
    /// A plain type without facets.
    pub const fn of(kind: Kind) -> Type {
        Type { kind, list: false, size: None, list_size: None, ranges: &[], values: &[], format: None }
    }

    /// The kind on the wire: a list travels as a string.
    pub fn wire(&self) -> Kind {
        if self.list { Kind::String } else { self.kind }
    }

    /// Checks what an ACS sent and gives the canonical text.
    ///
    /// A missing kind is taken from the schema. Integer kinds are accepted for one another, and a
    /// string for any kind, when the text fits: several ACSs send `xsd:string` for what they do not know.
    ///
    /// # Errors
    /// [`Mismatch::Kind`] for another declared kind, also for one that is taken where the text does not fit,
    /// [`Mismatch::Text`] for a text that is not of the kind that was declared, or where none was,
    /// [`Mismatch::Value`] for length, range, enumeration and pattern.
    pub fn check(&self, input: &Input) -> Result<String, Mismatch> {
        if input.foreign.is_some() {
            return Err(Mismatch::Kind);
        }
        let (wire, given) = (self.wire(), input.kind.unwrap_or(self.wire()));
        let same = given == wire || given == Kind::String || (given.is_integer() && wire.is_integer());
        if !same {
            return Err(Mismatch::Kind);
        }
        self.canonical(&input.text).map_err(|why| match why {
            Mismatch::Text if given != wire => Mismatch::Kind,
            other => other,
        })
    }

    /// Checks a text against kind and facets, and gives its canonical form.
    ///
    /// # Errors
    /// As [`Type::check`], but never [`Mismatch::Kind`].
    pub fn canonical(&self, text: &str) -> Result<String, Mismatch> {
        if !self.list {
            return self.item(text).map(Cow::into_owned);
        }
        let mut out = String::new();
        if !text.trim().is_empty() {
            for (at, item) in text.split(',').enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&self.item(item.trim())?);
            }
        }
        match self.list_size {
            Some(most) if out.chars().count() > most as usize => {
                Err(Mismatch::Value(format!("longer than {most} characters")))
            }
            _ => Ok(out),
        }
    }

    fn item<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Mismatch> {
        let out: Cow<'t, str> = match self.kind {
            Kind::String => Cow::Borrowed(text),
            Kind::Boolean => match text.trim() {
                "1" | "true" => Cow::Borrowed("1"),
                "0" | "false" => Cow::Borrowed("0"),
                _ => return Err(Mismatch::Text),
            },
            Kind::Int | Kind::UnsignedInt | Kind::Long | Kind::UnsignedLong => self.integer(text.trim())?,
            Kind::DateTime => {
                let trimmed = text.trim();
                if !is_date_time(trimmed) {
                    return Err(Mismatch::Text);
                }
                Cow::Borrowed(trimmed)
            }
            Kind::Base64 | Kind::HexBinary => {
                let trimmed = text.trim();
                let octets = if self.kind == Kind::Base64 { base64_len(trimmed) } else { hex_len(trimmed) };
                self.length(octets.ok_or(Mismatch::Text)?)?;
                Cow::Borrowed(trimmed)
            }
        };
        if self.kind == Kind::String {
            self.length(out.chars().count())?;
            if out.chars().any(|c| !is_xml_char(c)) {
                return Err(Mismatch::Value("has a control character".to_owned()));
            }
        }
        if !self.values.is_empty() && !self.values.contains(&out.as_ref()) {
            return Err(Mismatch::Value("not one of the values this parameter takes".to_owned()));
        }
        match self.format {
            Some(format) if !format.holds(&out) => {
                Err(Mismatch::Value("not of the form this parameter takes".to_owned()))
            }
            _ => Ok(out),
        }
    }

    fn integer<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Mismatch> {
        // XSD allows a sign and leading zeros; i128 holds every kind, and 40 digits bound the work.
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || digits.len() > 38 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Mismatch::Text);
        }
        let number: i128 = text.parse().map_err(|_| Mismatch::Text)?;
        let (least, most) = match self.kind {
            Kind::Int => (i128::from(i32::MIN), i128::from(i32::MAX)),
            Kind::UnsignedInt => (0, i128::from(u32::MAX)),
            Kind::Long => (i128::from(i64::MIN), i128::from(i64::MAX)),
            _ => (0, i128::from(u64::MAX)),
        };
        if number < least || number > most {
            return Err(Mismatch::Text);
        }
        let inside = |(from, to): &(Option<i128>, Option<i128>)| {
            from.is_none_or(|from| number >= from) && to.is_none_or(|to| number <= to)
        };
        if !self.ranges.is_empty() && !self.ranges.iter().any(inside) {
            return Err(Mismatch::Value("outside of its range".to_owned()));
        }
        let plain = number.to_string();
        Ok(if plain == text { Cow::Borrowed(text) } else { Cow::Owned(plain) })
    }

    fn length(&self, length: usize) -> Result<(), Mismatch> {
        match self.size {
            Some((least, _)) if length < least as usize => {
                Err(Mismatch::Value(format!("shorter than {least}")))
            }
            Some((_, most)) if length > most as usize => Err(Mismatch::Value(format!("longer than {most}"))),
            _ => Ok(()),
        }
    }
}

/// UCI's words for on and off, in letters of either kind (`get_bool` of OpenWrt's `functions.sh`, and `enable`
/// and `disable`, which icwmp takes); `None` for any other.
pub fn switch(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| text.trim().eq_ignore_ascii_case(word));
    if is(&["1", "on", "true", "yes", "enabled", "enable"]) {
        Some(true)
    } else {
        is(&["0", "off", "false", "no", "disabled", "disable"]).then_some(false)
    }
}

/// A character XML 1.0 can carry (its production 2): no other control characters than tab, line feed, return.
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// An ISO 8601 date and time as XSD has it: optional fraction, optional `Z` or offset, all fields in range.
pub fn is_date_time(text: &str) -> bool {
    fn number(text: &str, from: usize, to: usize, least: u32, most: u32) -> bool {
        text.get(from..to).is_some_and(|part| {
            part.bytes().all(|byte| byte.is_ascii_digit())
                && part.parse::<u32>().is_ok_and(|n| (least..=most).contains(&n))
        })
    }
    let mark = |at: usize, c: u8| text.as_bytes().get(at) == Some(&c);
    let head = text.is_ascii()
        && number(text, 0, 4, 1, 9999)
        && mark(4, b'-')
        && number(text, 5, 7, 1, 12)
        && mark(7, b'-')
        && number(text, 8, 10, 1, 31)
        && mark(10, b'T')
        && number(text, 11, 13, 0, 23)
        && mark(13, b':')
        && number(text, 14, 16, 0, 59)
        && mark(16, b':')
        && number(text, 17, 19, 0, 59);
    if !head {
        return false;
    }
    let (year, month, day): (u32, u32, u32) =
        (text[0..4].parse().unwrap_or(0), text[5..7].parse().unwrap_or(0), text[8..10].parse().unwrap_or(0));
    let leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    if day > days {
        return false;
    }
    let mut rest = &text[19..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > 9 {
            return false;
        }
        rest = &fraction[digits..];
    }
    match rest.as_bytes() {
        [] | [b'Z'] => true,
        [b'+' | b'-', _, _, b':', _, _] => number(rest, 1, 3, 0, 14) && number(rest, 4, 6, 0, 59),
        _ => false,
    }
}

fn hex_len(text: &str) -> Option<usize> {
    (text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then_some(text.len() / 2)
}

fn base64_len(text: &str) -> Option<usize> {
    let clean: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let body = clean.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    let padding = clean.len() - body;
    let legal = clean[..body].iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    (legal && padding <= 2 && clean.len().is_multiple_of(4)).then(|| clean.len() / 4 * 3 - padding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: Type, text: &str, expected: Result<&str, ()>) {
        let got = ty.canonical(text);
        assert_eq!(got.as_deref().map_err(|_| ()), expected, "{text:?} as {ty:?}: {got:?}");
    }

    #[test]
    fn numbers() {
        let u = Type::of(Kind::UnsignedInt);
        check(u, "60", Ok("60"));
        check(u, " +060 ", Ok("60"));
        check(u, "-0", Ok("0"));
        check(u, "4294967295", Ok("4294967295"));
        for bad in ["60.0", "0x10", "1e9", "٦٠", "4294967296", "18446744073709551616", "-1", "", "+", "1 2"]
        {
            check(u, bad, Err(()));
        }
        check(Type::of(Kind::UnsignedLong), "18446744073709551615", Ok("18446744073709551615"));
        check(Type::of(Kind::Long), "-9223372036854775808", Ok("-9223372036854775808"));
        check(Type::of(Kind::Int), "2147483648", Err(()));
        let ranged = Type { ranges: &[(Some(1), Some(5)), (Some(60), None)], ..u };
        check(ranged, "5", Ok("5"));
        check(ranged, "6", Err(()));
        check(ranged, "61", Ok("61"));
        assert_eq!(ranged.canonical("6"), Err(Mismatch::Value("outside of its range".into())));
        assert_eq!(ranged.canonical("x"), Err(Mismatch::Text));
        check(u, &"9".repeat(1_000_000), Err(()));
    }

    #[test]
    fn booleans_in_both_forms() {
        for (text, canonical) in [("1", "1"), ("true", "1"), ("0", "0"), (" false ", "0")] {
            check(Type::of(Kind::Boolean), text, Ok(canonical));
        }
        for text in ["yes", "TRUE", "2", ""] {
            check(Type::of(Kind::Boolean), text, Err(()));
        }
    }

    #[test]
    fn dates() {
        let t = Type::of(Kind::DateTime);
        for good in [
            "0001-01-01T00:00:00Z",
            "2026-11-21T05:00:00.000Z",
            "2024-02-29T23:59:59+14:00",
            "0001-01-03T03:04:05",
            "9999-12-31T23:59:59Z",
            "2020-01-01T00:00:00-08:00",
        ] {
            check(t, good, Ok(good));
        }
        for bad in [
            "9999-99-99T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2020-01-01T00:00:60Z",
            "2020-01-01T00:00:00+99:99",
            "2020-01-01",
            "2020-01-01T00:00:00.Z",
            "2020-01-01T00:00:00Zx",
            "２０２０-01-01T00:00:00Z",
            "",
        ] {
            check(t, bad, Err(()));
        }
    }

    #[test]
    fn strings_and_facets() {
        let short = Type { size: Some((0, 4)), ..Type::of(Kind::String) };
        check(short, "äöüß", Ok("äöüß"));
        check(short, "12345", Err(()));
        check(Type::of(Kind::String), "a\u{1}b", Err(()));
        let word = Type { values: &["Up", "Down"], ..Type::of(Kind::String) };
        check(word, "Up", Ok("Up"));
        check(word, "up", Err(()));
        let list = Type { list: true, ..word };
        check(list, "Up , Down", Ok("Up,Down"));
        check(list, "", Ok(""));
        check(list, "Up,", Err(()));
        assert_eq!(list.wire(), Kind::String);
        check(Type { list_size: Some(3), ..list }, "Up,Up", Err(()));
        check(Type::of(Kind::HexBinary), "0aFf", Ok("0aFf"));
        check(Type::of(Kind::HexBinary), "0aF", Err(()));
        check(Type { size: Some((0, 3)), ..Type::of(Kind::Base64) }, "AAAA", Ok("AAAA"));
        check(Type { size: Some((0, 2)), ..Type::of(Kind::Base64) }, "AAAA", Err(()));
        check(Type { size: Some((0, 2)), ..Type::of(Kind::Base64) }, "AAA=", Ok("AAA="));
    }

    #[test]
    fn formats() {
        let of = |name| Type { format: Format::from_name(name), ..Type::of(Kind::String) };
        for (name, good, bad) in [
            ("ipv4", "192.0.2.1", "192.0.2.256"),
            ("ipv6", "2001:db8::1", "2001:db8:::1"),
            ("ipv4prefix", "192.0.2.0/24", "192.0.2.0/33"),
            ("ipv6prefix", "2001:db8::/32", "2001:db8::/129"),
            ("mac", "02:00:00:aa:BB:01", "02:00:00:aa:BB"),
            ("alias", "cpe-1", "1cpe"),
            ("url", "http://acs.example:7547/x", "acs.example"),
            ("httpurl", "https://acs.example:7547/x?y", "ftp://acs.example/"),
            ("httpurl", "HTTP://[2001:db8::1]:7547/", "http://[2001:db8::1/"),
            ("httpurl", "http://192.0.2.1", "http://acs.example:99999/"),
            ("httpurl", "http://acs", "http:///x"),
            ("httpurl", "http://acs.example:7547", "http://user:word@acs.example/"),
            ("host", "2.openwrt.pool.ntp.org", "a b"),
            ("host", "2001:db8::1", "a\nb"),
            ("ssid", "012345678901234567890123456789é", "0123456789012345678901234567890é"),
            ("passphrase", "with blanks ~!", "über"),
            ("informname", "Device.A.*.B", "Device.A.1.B"),
            ("informname", "Device.A.", "Device.A.[cpe-1].B"),
            ("informname", "Device.A.*.B.", "Device.A.*."),
            ("informname", "Device.A.B", "A..B"),
            ("informevent", "2 PERIODIC", "4 VALUE CHANGE"),
            ("informevent", "M Reboot", "PERIODIC"),
            ("informevent", "X 02AB00 Own Event", "02 PERIODIC"),
            ("informevent", "13 WAKEUP", "1  "),
        ] {
            check(of(name), good, Ok(good));
            check(of(name), "", Ok(""));
            check(of(name), bad, Err(()));
        }
    }

    #[test]
    fn declared_kinds() {
        let ty = Type::of(Kind::UnsignedInt);
        let of = |kind, text: &str| ty.check(&Input { kind, text: text.into(), ..Input::default() });
        assert_eq!(of(None, "5"), Ok("5".into()));
        assert_eq!(of(Some(Kind::Int), "5"), Ok("5".into()));
        assert_eq!(of(Some(Kind::String), "5"), Ok("5".into()));
        assert_eq!(of(Some(Kind::Boolean), "1"), Err(Mismatch::Kind));
        // 9006 is about the type that was declared, 9007 about what the text says (TR-069 A.5.1).
        for bad in ["x", "-1", "4294967296", ""] {
            assert_eq!(of(Some(Kind::UnsignedInt), bad), Err(Mismatch::Text), "{bad}");
            assert_eq!(of(None, bad), Err(Mismatch::Text), "{bad}");
            assert_eq!(of(Some(Kind::Int), bad), Err(Mismatch::Kind), "{bad}");
            assert_eq!(of(Some(Kind::String), bad), Err(Mismatch::Kind), "{bad}");
        }
        let list = Type { list: true, ..ty };
        let items = Input { kind: Some(Kind::String), text: "1,x".into(), ..Input::default() };
        assert_eq!(list.check(&items), Err(Mismatch::Text));
    }
}
