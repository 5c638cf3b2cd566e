//! Several packages in one text, as `uci export` writes and `uci import` reads it.
//!
//! ```text
//! package network            the packages of a bundle, each until the next `package` line;
//! config interface 'lan'     what stands before the first belongs to the default name
//! …
//! ```
//! Pure: taking the packages apart checks each of them whole, so that a bundle with one bad line
//! replaces nothing.

use std::fmt;

use super::scan::{Line, Scanner, Verb};
use super::store::is_package;
use super::text::{Document, MAX_FILE, ParseError};

/// Most packages in a bundle; a router has some fifty.
pub const MAX_PACKAGES: usize = 256;
/// The largest bundle, in bytes.
pub const MAX_BUNDLE: usize = 4 * MAX_FILE;

/// Why a text is no bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleError {
    /// A package's content is not UCI; line and column are within the bundle.
    Parse(ParseError),
    /// It has no section at all, so it would be a deletion by mistake.
    Empty,
    /// Options before any `package` line, and no name for them.
    NoName,
    /// A name that is none of a package.
    BadName(String),
    /// A package is there twice.
    Twice(String),
    /// More than [`MAX_PACKAGES`] or [`MAX_BUNDLE`].
    TooBig,
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BundleError::Parse(error) => error.fmt(f),
            BundleError::Empty => f.write_str("there is no configuration in it"),
            BundleError::NoName => f.write_str("the configuration does not say which package it is"),
            BundleError::BadName(name) => write!(f, "{name:?} is not the name of a package"),
            BundleError::Twice(name) => write!(f, "package {name:?} is there twice"),
            BundleError::TooBig => {
                write!(f, "it is larger than {MAX_BUNDLE} bytes or has more than {MAX_PACKAGES} packages")
            }
        }
    }
}

impl std::error::Error for BundleError {}

/// Takes a bundle apart: package names, sorted, with the bytes of each one's file.
///
/// `name` is for what stands before the first `package` line: the package that a single file is for.
///
/// # Errors
/// [`BundleError`]; nothing of the bundle is to be used then.
pub fn split(bytes: &[u8], name: Option<&str>) -> Result<Vec<(String, Vec<u8>)>, BundleError> {
    if bytes.len() > MAX_BUNDLE {
        return Err(BundleError::TooBig);
    }
    let mut parts: Vec<(Option<String>, usize, Vec<u8>)> = vec![(name.map(str::to_owned), 0, Vec::new())];
    let mut scanner = Scanner::new(bytes);
    loop {
        let line = match scanner.line() {
            Ok(Some(Line { range, content })) => (range, content),
            Ok(None) => break,
            // The package's own reader finds the same fault, and says where.
            Err(_) => {
                let (_, start, part) = last(&mut parts);
                let start = *start + part.len();
                part.extend_from_slice(&bytes[start.min(bytes.len())..]);
                break;
            }
        };
        let (range, statements) = line;
        match statements.iter().find(|statement| statement.verb == Verb::Package) {
            Some(statement) => {
                let name = String::from_utf8_lossy(&statement.name.text).into_owned();
                // The lines before it stand in its place, so that a message's line is the bundle's.
                parts.push((Some(name), range.end, Vec::new()));
                if parts.len() > MAX_PACKAGES {
                    return Err(BundleError::TooBig);
                }
            }
            None => last(&mut parts).2.extend_from_slice(&bytes[range]),
        }
    }
    let mut out: Vec<(String, Vec<u8>)> = Vec::new();
    for (at, (name, start, part)) in parts.into_iter().enumerate() {
        let lines_before = bytes[..start].iter().filter(|byte| **byte == b'\n').count();
        // The reader sees blank lines for what stands before, and counts on.
        let seen: Vec<u8> = std::iter::repeat_n(b'\n', lines_before).chain(part.iter().copied()).collect();
        let document =
            Document::parse(name.as_deref().unwrap_or("configuration"), &seen).map_err(BundleError::Parse)?;
        if at == 0 && document.sections().next().is_none() {
            continue;
        }
        let name = name.ok_or(BundleError::NoName)?;
        if !is_package(&name) {
            return Err(BundleError::BadName(name));
        }
        if out.iter().any(|(known, _)| *known == name) {
            return Err(BundleError::Twice(name));
        }
        out.push((name, trimmed(&part)));
    }
    if out.is_empty() {
        return Err(BundleError::Empty);
    }
    out.sort();
    Ok(out)
}

/// Puts packages together, `package` lines first, in the order given.
pub fn join<'a>(packages: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in packages {
        out.extend_from_slice(format!("package {name}\n").as_bytes());
        if !bytes.starts_with(b"\n") {
            out.push(b'\n');
        }
        out.extend(ended(bytes.to_vec()));
        if !out.ends_with(b"\n\n") {
            out.push(b'\n');
        }
    }
    out
}

fn last(parts: &mut [(Option<String>, usize, Vec<u8>)]) -> &mut (Option<String>, usize, Vec<u8>) {
    parts.last_mut().expect("it begins with one part and only grows")
}

/// The file of a package with an end to its last line.
fn ended(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.ends_with(b"\n") || bytes.is_empty() {
        return bytes;
    }
    if let Ok(mut document) = Document::parse("configuration", &bytes) {
        document.end_line();
        return document.to_bytes();
    }
    bytes.push(b'\n');
    bytes
}

/// Without the blank lines that [`join`] puts around a package.
fn trimmed(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != b'\n').unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| *byte != b'\n').map_or(start, |at| at + 1);
    let has_end = end < bytes.len();
    let out = bytes[start..end + usize::from(has_end)].to_vec();
    ended(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: Option<&str>, expected: &[(&str, &str)]) {
        let found = split(text.as_bytes(), name).unwrap();
        let found: Vec<(&str, &str)> =
            found.iter().map(|(name, bytes)| (name.as_str(), std::str::from_utf8(bytes).unwrap())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn packages_apart() {
        check(
            "package system\n\nconfig system\n\toption hostname 'x'\n\npackage network\nconfig interface 'lan'\n",
            None,
            &[("network", "config interface 'lan'\n"), ("system", "config system\n\toption hostname 'x'\n")],
        );
        check("config a\n", Some("one"), &[("one", "config a\n")]);
        check("# a comment\npackage p\nconfig a\n", None, &[("p", "config a\n")]);
        // The same section name in two packages, and the word in a text over two lines.
        check(
            "package a\nconfig x 'lan'\npackage b\nconfig y 'lan'\n\toption t 'one\npackage c'\n",
            None,
            &[("a", "config x 'lan'\n"), ("b", "config y 'lan'\n\toption t 'one\npackage c'\n")],
        );
        // An empty package empties its file: that is what importing one says.
        check("package a\npackage b\nconfig x\n", None, &[("a", ""), ("b", "config x\n")]);
    }

    #[test]
    fn what_is_none() {
        let refused = |text: &str, name| split(text.as_bytes(), name).unwrap_err();
        assert_eq!(refused("", Some("x")), BundleError::Empty);
        assert_eq!(refused("# only words\n", Some("x")), BundleError::Empty);
        assert_eq!(refused("config a\n", None), BundleError::NoName);
        assert_eq!(refused("config a\n", Some("../x")), BundleError::BadName("../x".into()));
        assert_eq!(
            refused("package a\nconfig x\npackage a\nconfig y\n", None),
            BundleError::Twice("a".into())
        );
        let text =
            refused("package a\nconfig x\n\npackage b\nconfig y\n\toption z 'open\n", None).to_string();
        assert!(text.contains("b:6"), "{text}");
        assert!(matches!(refused("<html>not found</html>", Some("x")), BundleError::Parse(_)));
        assert_eq!(refused(&"package a\n".repeat(300), None), BundleError::TooBig);
        assert_eq!(refused(&"x".repeat(MAX_BUNDLE + 1), None), BundleError::TooBig);
    }

    #[test]
    fn joined_and_split_again() {
        let parts =
            [("a", &b"config x\n"[..]), ("b", b"\nconfig y 'z'\n\toption o 'v'\n"), ("c", b"config w")];
        let bundle = join(parts);
        let text = String::from_utf8(bundle.clone()).unwrap();
        assert!(text.starts_with("package a\n\nconfig x\n\npackage b\n\nconfig y"), "{text}");
        let again = split(&bundle, None).unwrap();
        assert_eq!(join(again.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]))), bundle);
        // What libuci reads at the end of a file only.
        assert_eq!(join([("a", &b"config x 'y';"[..])]), b"package a\n\nconfig x 'y'\n\n");
        check("config x 'y';", Some("a"), &[("a", "config x 'y'\n")]);
    }
}
