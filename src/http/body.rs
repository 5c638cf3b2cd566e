//! gzip and deflate bodies, both ways, with a bound on what comes out.
//!
//! Pure. The bound counts inflated octets, so that a small reply cannot become a large one.

use std::fmt;
use std::io::{Read, Write};

use flate2::Compression as Level;
use flate2::read::{DeflateDecoder, ZlibDecoder};
use flate2::write::ZlibEncoder;

use crate::sys::gzip;

/// How bodies are compressed: the values of `ManagementServer.HTTPCompression`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// `Disabled`: as they are.
    #[default]
    None,
    /// `GZIP`: RFC 1952.
    Gzip,
    /// `Deflate`: RFC 1950, which is what HTTP means by the word.
    Deflate,
}

impl Compression {
    /// The coding's name in `Content-Encoding`, or `None` for bodies as they are.
    pub fn coding(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Deflate => Some("deflate"),
        }
    }

    /// The coding a `Content-Encoding` value names, or `None` for one we do not speak. Several
    /// codings at once are not spoken either.
    pub fn from_coding(name: &str) -> Option<Compression> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Compression::None,
            "gzip" | "x-gzip" => Compression::Gzip,
            "deflate" => Compression::Deflate,
            _ => return None,
        })
    }
}

/// Why a body could not be inflated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than allowed: the bound in octets.
    TooLong(usize),
    /// The compressed data is damaged or cut off: the decoder's words.
    Corrupt(String),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::TooLong(max) => write!(f, "the body is longer than {max} octets"),
            BodyError::Corrupt(why) => write!(f, "the compressed body is damaged: {why}"),
        }
    }
}

impl std::error::Error for BodyError {}

/// Compresses a body.
pub fn pack(plain: &[u8], how: Compression) -> Vec<u8> {
    match how {
        Compression::None => plain.to_vec(),
        Compression::Gzip => gzip::pack(plain),
        Compression::Deflate => {
            let mut coder = ZlibEncoder::new(Vec::with_capacity(plain.len() / 4 + 64), Level::default());
            let packed = coder.write_all(plain).and_then(|()| coder.finish());
            packed.expect("writing to memory does not fail")
        }
    }
}

/// Inflates a body to at most `max` octets. `deflate` is taken with and without the zlib wrapper,
/// because old servers send both.
pub fn unpack(packed: Vec<u8>, how: Compression, max: usize) -> Result<Vec<u8>, BodyError> {
    match how {
        Compression::None if packed.len() > max => Err(BodyError::TooLong(max)),
        Compression::None => Ok(packed),
        Compression::Gzip => inflate(&mut gzip::Reader::new(&mut packed.as_slice()), max),
        Compression::Deflate => match inflate(&mut ZlibDecoder::new(packed.as_slice()), max) {
            Err(BodyError::Corrupt(why)) => inflate(&mut DeflateDecoder::new(packed.as_slice()), max)
                .map_err(|error| match error {
                    BodyError::Corrupt(_) => BodyError::Corrupt(why),
                    other => other,
                }),
            done => done,
        },
    }
}

fn inflate(decoder: &mut dyn Read, max: usize) -> Result<Vec<u8>, BodyError> {
    let mut plain = Vec::new();
    let bound = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(bound).read_to_end(&mut plain).map_err(|error| BodyError::Corrupt(error.to_string()))?;
    if plain.len() > max { Err(BodyError::TooLong(max)) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use flate2::write::DeflateEncoder;

    use super::*;

    #[test]
    fn round_trips() {
        let text = "<soap/>".repeat(1000);
        for how in [Compression::None, Compression::Gzip, Compression::Deflate] {
            let packed = pack(text.as_bytes(), how);
            assert_eq!(packed.len() < text.len(), how != Compression::None);
            assert_eq!(unpack(packed.clone(), how, text.len()).unwrap(), text.as_bytes());
            assert_eq!(unpack(packed, how, text.len() - 1), Err(BodyError::TooLong(text.len() - 1)));
        }
    }

    #[test]
    fn raw_deflate_is_taken() {
        let mut coder = DeflateEncoder::new(Vec::new(), Level::default());
        coder.write_all(b"hello hello hello").unwrap();
        assert_eq!(unpack(coder.finish().unwrap(), Compression::Deflate, 100).unwrap(), b"hello hello hello");
    }

    #[test]
    fn bombs_and_damage() {
        let bomb = pack(&vec![0; 50 << 20], Compression::Gzip);
        assert!(bomb.len() < 100_000);
        assert_eq!(unpack(bomb, Compression::Gzip, 4 << 20), Err(BodyError::TooLong(4 << 20)));
        let mut cut = pack(b"some text that is cut off", Compression::Gzip);
        cut.truncate(cut.len() - 10);
        for (bytes, how) in [
            (cut, Compression::Gzip),
            (b"garbage".to_vec(), Compression::Gzip),
            (vec![0xff; 30], Compression::Deflate),
        ] {
            assert!(matches!(unpack(bytes, how, 1000), Err(BodyError::Corrupt(_))));
        }
    }

    #[test]
    fn codings() {
        for (name, expected) in [
            (" GZIP ", Some(Compression::Gzip)),
            ("x-gzip", Some(Compression::Gzip)),
            ("Deflate", Some(Compression::Deflate)),
            ("identity", Some(Compression::None)),
            ("br", None),
            ("gzip, gzip", None),
        ] {
            assert_eq!(Compression::from_coding(name), expected, "{name}");
        }
    }
}
