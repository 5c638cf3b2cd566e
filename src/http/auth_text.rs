//! The text of authentication headers: parameters, quoting, base64 and hexadecimal.
//!
//! Pure. A header is a list of schemes, each with parameters, and both lists use commas; a word
//! followed by `=` is a parameter, any other word begins the next scheme (RFC 9110 11.6).

use crate::http::auth::{AuthError, MAX_FIELD, MAX_LINE};

const MAX_SCHEMES: usize = 16;
const MAX_PARAMETERS: usize = 32;

/// One scheme with its parameters.
#[derive(Debug)]
pub(crate) struct Item {
    /// The scheme as written.
    pub(crate) scheme: String,
    parameters: Vec<(String, String)>,
}

impl Item {
    /// The unquoted value of a parameter, named in any case; errors if it is longer than
    /// [`MAX_FIELD`].
    pub(crate) fn field(&self, name: &'static str) -> Result<Option<String>, AuthError> {
        match self.parameters.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)) {
            None => Ok(None),
            Some((_, value)) if value.len() > MAX_FIELD => Err(AuthError::TooLong(name)),
            Some((_, value)) => Ok(Some(value.clone())),
        }
    }
}

/// Splits a header into its schemes.
pub(crate) fn offers(line: &str) -> Result<Vec<Item>, AuthError> {
    if line.len() > MAX_LINE {
        return Err(AuthError::TooLong("value"));
    }
    let mut items: Vec<Item> = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Ok(items);
        }
        let (word, after) = take_token(rest);
        let after_space = after.trim_start_matches([' ', '\t']);
        if word.is_empty() {
            rest = skip_to_comma(rest);
            continue;
        }
        if let (Some(value), Some(item)) = (after_space.strip_prefix('='), items.last_mut()) {
            let (value, left) = take_value(value.trim_start_matches([' ', '\t']))?;
            rest = left;
            if item.parameters.iter().any(|(name, _)| name.eq_ignore_ascii_case(word)) {
                return Err(AuthError::Malformed("a parameter given twice"));
            }
            if item.parameters.len() == MAX_PARAMETERS {
                return Err(AuthError::TooLong("list of parameters"));
            }
            item.parameters.push((word.to_owned(), value));
            continue;
        }
        if !(after.is_empty() || after.starts_with([' ', '\t', ','])) {
            rest = skip_to_comma(after);
            continue;
        }
        if items.len() == MAX_SCHEMES {
            return Err(AuthError::TooLong("list of schemes"));
        }
        items.push(Item { scheme: word.to_owned(), parameters: Vec::new() });
        rest = after;
    }
}

/// A quoted string (RFC 9110 5.6.4); control characters are left out.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// `username="…"`, or `username*=UTF-8''…` for a name beyond ASCII (RFC 7616 3.4).
pub(crate) fn username(name: &str) -> String {
    if name.is_ascii() {
        return format!("username={}", quoted(name));
    }
    let mut out = String::from("username*=UTF-8''");
    for byte in name.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Decodes `UTF-8''J%C3%A4` (RFC 8187); `None` if it is anything else.
pub(crate) fn extended(text: &str) -> Option<String> {
    let (charset, rest) = text.split_once('\'')?;
    let (_, coded) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let mut bytes = Vec::with_capacity(coded.len());
    let mut at = coded.bytes();
    while let Some(byte) = at.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (high, low) = (char::from(at.next()?).to_digit(16)?, char::from(at.next()?).to_digit(16)?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Decodes hexadecimal of either case; `None` on anything else or a half octet.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            match digit <= chunk.len() {
                true => out.push(char::from(ALPHABET[(group >> (18 - 6 * digit) & 63) as usize])),
                false => out.push('='),
            }
        }
    }
    out
}

/// Decodes base64, padded or not; `None` on any other character or an impossible length.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.as_bytes().chunks(4) {
        let mut group = 0u32;
        for at in 0..4 {
            let digit = match chunk.get(at) {
                None => 0,
                Some(byte) => u32::try_from(ALPHABET.iter().position(|known| known == byte)?).ok()?,
            };
            group = group << 6 | digit;
        }
        out.extend_from_slice(&group.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}

fn take_token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

fn take_value(text: &str) -> Result<(String, &str), AuthError> {
    let Some(inside) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
        return Ok((value.trim_end().to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &inside[at + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(AuthError::Malformed("an unterminated quoted string"))
}

fn skip_to_comma(text: &str) -> &str {
    text.find(',').map_or("", |at| &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4648_vectors() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
            assert_eq!(from_base64(coded).unwrap(), plain.as_bytes());
        }
        for bad in ["Z", "Zg===", "Zm9v=Zm", "Zm 9v", "Zmé"] {
            assert_eq!(from_base64(bad), None, "{bad}");
        }
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(hex(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(from_hex("001Fff"), Some(vec![0, 0x1f, 0xff]));
        for bad in ["0", "zz", "+1", "é"] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn schemes_and_parameters() {
        let check = |line: &str, expected: &[(&str, usize)]| {
            let items = offers(line).unwrap();
            let found: Vec<_> = items.iter().map(|i| (i.scheme.as_str(), i.parameters.len())).collect();
            assert_eq!(found, expected, "{line}");
        };
        check("Digest a=b,c=\"d, e=f\" , Basic realm = \"x\"", &[("Digest", 2), ("Basic", 1)]);
        check(",, Basic ,", &[("Basic", 0)]);
        check("Negotiate a/b==, NTLM", &[("Negotiate", 0), ("NTLM", 0)]);
        check("=,\"x\",é", &[]);
        assert!(offers(&"a,".repeat(100)).is_err());
        assert!(offers(&format!("D {}", (0..40).map(|n| format!("p{n}=1,")).collect::<String>())).is_err());
    }

    #[test]
    fn extended_values() {
        assert_eq!(extended("UTF-8''J%C3%A4").as_deref(), Some("Jä"));
        assert_eq!(extended("utf-8'de'a").as_deref(), Some("a"));
        for bad in ["Jä", "latin1''a", "UTF-8''%C", "UTF-8''%ff", "UTF-8''%zz"] {
            assert_eq!(extended(bad), None, "{bad}");
        }
    }
}
