//! Names of objects and parameters (TR-106 3.1, TR-069 A.2.2): full names, partial paths, instance
//! numbers, `*` wildcards and `[alias]` identifiers.
//!
//! A [`Path`] is parsed once at the door; everything behind works on segments.
//!
//! ```
//! use rcwmp::model::path::{Path, Segment};
//! let path = Path::parse("Device.IP.Interface.2.").unwrap();
//! assert!(path.is_partial());
//! assert_eq!(path.segments()[3], Segment::Number(2));
//! assert_eq!(path.schema_path(), "Device.IP.Interface.{i}.");
//! ```

use std::fmt;

use super::error::{Error, Result};

/// The longest name a CWMP message may carry (TR-069 table 9, `string(256)`).
pub const MAX_NAME: usize = 256;
/// More segments than any data model has; a bound for recursion.
const MAX_SEGMENTS: usize = 32;

/// One part of a path between two dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// The name of an object or a parameter.
    Name(String),
    /// An instance number, at least 1, without leading zeros.
    Number(u32),
    /// `[alias]`: an instance by its `Alias` (TR-069 3.6.1).
    Alias(String),
    /// `*`: every instance (TR-069 A.2.2.1, Amendment 6).
    Wildcard,
}

/// A parsed path. Either a partial path (ends with a dot, or empty: the root) or a full name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    segments: Vec<Segment>,
    partial: bool,
}

impl Path {
    /// Parses `text` as it stands in a message.
    ///
    /// # Errors
    /// [`Error::unknown_name`] for a name longer than 256 characters, an empty or malformed segment, an
    /// instance number of 0 or with leading zeros, an unterminated `[`, or an identifier that does
    /// not follow a table's name.
    pub fn parse(text: &str) -> Result<Path> {
        let bad = || Error::unknown_name(&clip(text));
        if text.len() > MAX_NAME {
            return Err(bad());
        }
        if text.is_empty() {
            return Ok(Path { segments: Vec::new(), partial: true });
        }
        let (body, partial) = match text.strip_suffix('.') {
            Some(body) => (body, true),
            None => (text, false),
        };
        let mut segments = Vec::new();
        for part in body.split('.') {
            let segment = Segment::parse(part).ok_or_else(bad)?;
            // An identifier stands only behind a table's name, and only a name can end a full path.
            let after_name = matches!(segments.last(), Some(Segment::Name(_)));
            if !matches!(segment, Segment::Name(_)) && !after_name {
                return Err(bad());
            }
            if segments.len() == MAX_SEGMENTS {
                return Err(bad());
            }
            segments.push(segment);
        }
        if !partial && !matches!(segments.last(), Some(Segment::Name(_))) {
            return Err(bad());
        }
        Ok(Path { segments, partial })
    }

    /// The parts, first the root's name; empty for the empty path.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether this names an object (or everything) rather than one parameter.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Whether this is the empty path.
    pub fn is_root(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether any part is `*`.
    pub fn has_wildcard(&self) -> bool {
        self.segments.contains(&Segment::Wildcard)
    }

    /// The object or table that the first `count` parts name.
    pub fn head(&self, count: usize) -> Path {
        let segments: Vec<Segment> = self.segments.iter().take(count).cloned().collect();
        Path { segments, partial: true }
    }

    /// The path with `{i}` for every identifier, as the schema spells it.
    pub fn schema_path(&self) -> String {
        let mut out = String::new();
        for segment in &self.segments {
            if !out.is_empty() {
                out.push('.');
            }
            match segment {
                Segment::Name(name) => out.push_str(name),
                _ => out.push_str("{i}"),
            }
        }
        if self.partial && !out.is_empty() {
            out.push('.');
        }
        out
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.segments.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            write!(f, "{segment}")?;
        }
        if self.partial && !self.segments.is_empty() {
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl Segment {
    fn parse(part: &str) -> Option<Segment> {
        match part.as_bytes() {
            [] => None,
            [b'*'] => Some(Segment::Wildcard),
            [b'[', inner @ .., b']'] => {
                let alias = std::str::from_utf8(inner).ok()?;
                is_alias(alias).then(|| Segment::Alias(alias.to_owned()))
            }
            [b'1'..=b'9', ..] => {
                let digits = part.bytes().all(|byte| byte.is_ascii_digit());
                if digits { part.parse().ok().map(Segment::Number) } else { None }
            }
            bytes => is_name(bytes).then(|| Segment::Name(part.to_owned())),
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Segment::Name(name) => f.write_str(name),
            Segment::Number(number) => write!(f, "{number}"),
            Segment::Alias(alias) => write!(f, "[{alias}]"),
            Segment::Wildcard => f.write_str("*"),
        }
    }
}

/// An alias: a letter, then letters, digits, `_` and `-`, 64 in all (TR-106 3.8.1).
pub fn is_alias(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Element names: a letter or `_` first; vendor prefixes have been seen with `-` (`X_AVM-DE_…`).
fn is_name(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// `text` short enough for a message, cut at a character boundary.
pub fn clip(text: &str) -> String {
    match text.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, schema: Option<&str>) {
        let parsed = Path::parse(text);
        assert_eq!(parsed.as_ref().ok().map(Path::schema_path).as_deref(), schema, "{text}");
        if let Ok(path) = parsed {
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn forms() {
        check("", Some(""));
        check("Device.", Some("Device."));
        check("Device.DeviceInfo.UpTime", Some("Device.DeviceInfo.UpTime"));
        check("Device.IP.Interface.12.Enable", Some("Device.IP.Interface.{i}.Enable"));
        check("Device.IP.Interface.*.Enable", Some("Device.IP.Interface.{i}.Enable"));
        check("Device.IP.Interface.[wan-1].Enable", Some("Device.IP.Interface.{i}.Enable"));
        check("Device.X_AVM-DE_Link", Some("Device.X_AVM-DE_Link"));
    }

    #[test]
    fn aliases() {
        let longest = "a".repeat(64);
        for good in ["a", "Z9", "cpe-1", "a_b-c", &longest] {
            assert!(is_alias(good), "{good}");
        }
        for bad in ["", "1a", "-a", "_a", "a.b", "a b", "a]", "ä", &format!("{longest}a")] {
            assert!(!is_alias(bad), "{bad}");
        }
    }

    #[test]
    fn refused() {
        for text in [
            ".",
            "..",
            "Device..",
            ".Device",
            "Device.IP.Interface.0.",
            "Device.IP.Interface.01.",
            "Device.IP.Interface.-1.",
            "Device.IP.Interface.4294967296.",
            "Device.IP.Interface.1",
            "Device.IP.Interface.*",
            "Device.IP.Interface.[wan.",
            "Device.IP.Interface.[].",
            "*.",
            "1.",
            "Device.IP.Interface.1.2.",
            "Device IP.",
            "Device.\u{e9}.",
            "Device.[1a].",
        ] {
            check(text, None);
        }
        assert!(Path::parse(&"A.".repeat(40)).is_err());
        assert!(Path::parse(&"A".repeat(257)).is_err());
        assert!(Path::parse(&format!("Device.{}", "é".repeat(200))).is_err());
    }
}
