//! Blobs: the tagged, length-prefixed, padded pieces that all of ubus is made of.
//!
//! ```text
//!  31       30..24   23..0
//! ┌────────┬────────┬──────────────────┬─────────┬──────────────────┐
//! │extended│ id     │ length, with the │ payload │ zeros up to a    │
//! │        │        │ four octets here │         │ multiple of four │
//! └────────┴────────┴──────────────────┴─────────┴──────────────────┘
//! ```
//! Everything is big-endian on every CPU. A container's length counts the padding of its members, a blob's own
//! padding is not counted in its length.

use std::fmt;

/// The largest body of a message: a stock ubusd closes the connection on more.
pub const MAX_BODY: usize = 1 << 20;
/// The deepest nesting of arrays and tables: what the stock command's JSON parser allows.
pub const MAX_DEPTH: usize = 32;
/// The most values in one message, so that a message's tree stays within a few megabytes.
pub const MAX_VALUES: usize = 32_768;

/// A buffer that was larger than this is given back once it is empty.
pub const MAX_IDLE: usize = 64 << 10;

/// Octets of a blob's head.
pub const HEAD: usize = 4;
/// What `id_len` has for the length.
const LENGTH_BITS: u32 = 0x00ff_ffff;

/// What is wrong with octets that should be blobs, or with values that should become some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobError {
    /// A blob says it is longer than what is left, or shorter than its own head; `at` counts octets from the start.
    Length {
        /// Where the blob begins.
        at: usize,
        /// The length that it says.
        said: usize,
        /// The octets that there are.
        left: usize,
    },
    /// The head of a field is cut short or its name has no end.
    Name {
        /// Where the field begins.
        at: usize,
    },
    /// A value has another size than its type, or a text has no NUL at its end.
    Value {
        /// Where the field begins.
        at: usize,
        /// The type's number.
        kind: u8,
    },
    /// No type has this number.
    Kind {
        /// Where the field begins.
        at: usize,
        /// The number.
        kind: u8,
    },
    /// Arrays and tables are nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// There are more than [`MAX_VALUES`] values.
    TooMany,
    /// The message would be larger than [`MAX_BODY`].
    TooLarge,
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlobError::Length { at, said, left } => {
                write!(
                    f,
                    "the ubus message has a length of {said} at octet {at} where {left} octets are left"
                )
            }
            BlobError::Name { at } => write!(f, "the ubus message has a broken field name at octet {at}"),
            BlobError::Value { at, kind } => {
                write!(f, "the ubus message has a value at octet {at} that does not fit its type {kind}")
            }
            BlobError::Kind { at, kind } => {
                write!(f, "the ubus message has a value of the unknown type {kind} at octet {at}")
            }
            BlobError::TooDeep => write!(f, "the ubus message is nested deeper than {MAX_DEPTH}"),
            BlobError::TooMany => write!(f, "the ubus message has more than {MAX_VALUES} values"),
            BlobError::TooLarge => write!(f, "the ubus message is larger than {MAX_BODY} octets"),
        }
    }
}

impl std::error::Error for BlobError {}

/// One blob as it lies in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob<'a> {
    /// What it is: an attribute's number or a value's type.
    pub id: u8,
    /// Whether a name precedes the value.
    pub extended: bool,
    /// Where it begins in the octets that were given to [`Blobs::new`], plus their own offset.
    pub at: usize,
    /// What follows its head, without padding.
    pub payload: &'a [u8],
}

/// The blobs of a container, one after the other. After an error there is nothing more.
#[derive(Debug, Clone)]
pub struct Blobs<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Blobs<'a> {
    /// The members of a container's payload; `at` is where the payload begins, for errors to tell.
    pub fn new(octets: &'a [u8], at: usize) -> Blobs<'a> {
        Blobs { octets, at }
    }
}

impl<'a> Iterator for Blobs<'a> {
    type Item = Result<Blob<'a>, BlobError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.octets.is_empty() {
            return None;
        }
        let at = self.at;
        let left = self.octets.len();
        let Some(head) = self.octets.first_chunk::<HEAD>() else {
            self.octets = &[];
            return Some(Err(BlobError::Length { at, said: HEAD, left }));
        };
        let head = u32::from_be_bytes(*head);
        let said = length(head);
        if said < HEAD || said > left {
            self.octets = &[];
            return Some(Err(BlobError::Length { at, said, left }));
        }
        let blob = Blob { id: id(head), extended: head >> 31 == 1, at, payload: &self.octets[HEAD..said] };
        // The last one's padding may be missing.
        let step = padded(said).min(left);
        self.octets = &self.octets[step..];
        self.at += step;
        Some(Ok(blob))
    }
}

/// The length in a blob's head, its own four octets counted.
pub fn length(head: u32) -> usize {
    (head & LENGTH_BITS) as usize
}

/// The id in a blob's head.
fn id(head: u32) -> u8 {
    ((head >> 24) & 0x7f) as u8
}

/// A length with padding.
pub fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// Writes blobs, and stops at [`MAX_BODY`] octets: what is too large is told once, at the end.
#[derive(Debug, Default)]
pub struct Writer {
    octets: Vec<u8>,
    fault: Option<BlobError>,
}

/// A blob that is being written, to be given to [`Writer::close`].
#[derive(Debug)]
#[must_use = "a blob without its length cannot be read"]
pub struct Open(Option<usize>);

impl Writer {
    /// With nothing in it.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// Begins a blob; `id` is at most 127.
    pub fn open(&mut self, id: u8, extended: bool) -> Open {
        let start = self.octets.len();
        let head = u32::from(extended) << 31 | u32::from(id & 0x7f) << 24;
        Open(self.put(&head.to_be_bytes()).then_some(start))
    }

    /// Ends a blob: sets its length and pads it.
    #[allow(clippy::needless_pass_by_value, reason = "a blob is closed once")]
    pub fn close(&mut self, open: Open) {
        let Some(start) = open.0 else { return };
        // At most MAX_BODY, which the head has room for.
        let length = (self.octets.len() - start) as u32;
        for (octet, part) in self.octets[start + 1..].iter_mut().zip(&length.to_be_bytes()[1..]) {
            *octet = *part;
        }
        self.pad();
    }

    /// A whole blob.
    pub fn blob(&mut self, id: u8, payload: &[u8]) {
        let open = self.open(id, false);
        self.put(payload);
        self.close(open);
    }

    /// Octets as they are; gives whether there was room.
    pub fn put(&mut self, octets: &[u8]) -> bool {
        if self.octets.len() + octets.len() > MAX_BODY {
            self.fail(BlobError::TooLarge);
        }
        if self.fault.is_none() {
            self.octets.extend_from_slice(octets);
        }
        self.fault.is_none()
    }

    /// Zeros up to a multiple of four.
    pub fn pad(&mut self) {
        let missing = padded(self.octets.len()) - self.octets.len();
        self.put(&[0; 3][..missing]);
    }

    /// Gives the message up for this reason; the first one stays.
    pub fn fail(&mut self, why: BlobError) {
        self.fault.get_or_insert(why);
    }

    /// What was written.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], or what [`Writer::fail`] was told.
    pub fn finish(self) -> Result<Vec<u8>, BlobError> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.octets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(octets: &[u8], expected: &[(u8, bool, &[u8])]) {
        let found: Vec<_> = Blobs::new(octets, 0).map(|blob| blob.unwrap()).collect();
        let found: Vec<_> = found.iter().map(|blob| (blob.id, blob.extended, blob.payload)).collect();
        assert_eq!(found, expected);
    }

    #[track_caller]
    fn refused(octets: &[u8], expected: &str) {
        let error = Blobs::new(octets, 100).find_map(Result::err).expect("an error");
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn blobs_are_read() {
        check(b"", &[]);
        check(b"\x01\0\0\x08\0\0\0\x04", &[(1, false, b"\0\0\0\x04")]);
        check(b"\x83\0\0\x05a\0\0\0\x07\0\0\x04", &[(3, true, b"a"), (7, false, b"")]);
        check(b"\x02\0\0\x05a", &[(2, false, b"a")]);
        check(b"\x7f\0\0\x04", &[(127, false, b"")]);
    }

    #[test]
    fn lengths_that_lie() {
        refused(b"\x01\0\0", "length of 4 at octet 100 where 3 octets are left");
        refused(b"\x01\0\0\x03", "length of 3 at octet 100");
        refused(b"\x01\0\0\0", "length of 0");
        refused(b"\x01\0\0\x05", "length of 5");
        refused(b"\x01\xff\xff\xff", "length of 16777215");
        refused(b"\x01\0\0\x04\x01\0\0\x09\0\0\0\0", "at octet 104 where 8");
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut out = Writer::new();
        let outer = out.open(6, false);
        out.blob(2, b"abc\0d");
        let inner = out.open(2, true);
        out.close(inner);
        out.close(outer);
        let octets = out.finish().unwrap();
        assert_eq!(octets, b"\x06\0\0\x14\x02\0\0\x09abc\0d\0\0\0\x82\0\0\x04");
    }

    #[test]
    fn too_much_is_told_at_the_end() {
        let mut out = Writer::new();
        let open = out.open(0, false);
        out.put(&vec![0; MAX_BODY - 4]);
        assert!(!out.put(b"x"));
        let more = out.open(1, false);
        out.close(more);
        out.close(open);
        assert_eq!(out.finish(), Err(BlobError::TooLarge));
        let mut out = Writer::new();
        out.put(&vec![0; MAX_BODY]);
        assert_eq!(out.finish().map(|octets| octets.len()), Ok(MAX_BODY));
    }
}
