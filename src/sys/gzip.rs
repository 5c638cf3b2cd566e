//! gzip's frame (RFC 1952) around flate2's deflate: its own is made for speed, with tables for the
//! checksum that take 16 KB of a firmware, and do not compress.

use std::io::{self, BufRead, Read, Write};

use flate2::Compression;
use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;

const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// The flags: FHCRC, FEXTRA, FNAME, FCOMMENT; the others are reserved.
const HEAD_CHECKSUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;
/// The most of a name or a comment, in bytes.
const MAX_TEXT: u64 = 64 * 1024;

/// Compresses into one member, without name and time.
pub fn pack(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() / 4 + 64);
    out.extend([MAGIC[0], MAGIC[1], MAGIC[2], 0, 0, 0, 0, 0, 0, 255]);
    let mut coder = DeflateEncoder::new(out, Compression::default());
    let packed = coder.write_all(plain).and_then(|()| coder.finish());
    let mut out = packed.expect("writing to memory does not fail");
    out.extend(crc32(0, plain).to_le_bytes());
    // The length modulo 2^32 (RFC 1952 2.3.1).
    out.extend(((plain.len() & 0xffff_ffff) as u32).to_le_bytes());
    out
}

/// Gives what is in a gzip file of one member or several; damage is an error of kind `InvalidData`, a
/// file that is cut off one of kind `UnexpectedEof`.
pub struct Reader<'r> {
    /// `None` only while the next member begins.
    member: Option<DeflateDecoder<&'r mut dyn BufRead>>,
    place: Place,
    sum: u32,
    length: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    Data,
    End,
}

impl<'r> Reader<'r> {
    /// A reader at the beginning of a file.
    pub fn new(source: &'r mut dyn BufRead) -> Reader<'r> {
        Reader { member: Some(DeflateDecoder::new(source)), place: Place::Head, sum: 0, length: 0 }
    }

    fn head(&mut self) -> io::Result<()> {
        let Some(member) = self.member.take() else { return Err(damaged("nothing to read")) };
        let source = member.into_inner();
        let mut sum = 0;
        let head: [u8; 10] = take(source, &mut sum)?;
        let flags = head[3];
        if head[..3] != MAGIC || flags & RESERVED != 0 {
            return Err(damaged("not a gzip header"));
        }
        if flags & EXTRA != 0 {
            for _ in 0..u16::from_le_bytes(take(source, &mut sum)?) {
                take::<1>(source, &mut sum)?;
            }
        }
        for text in [NAME, COMMENT] {
            if flags & text != 0 {
                let mut left = MAX_TEXT;
                while take::<1>(source, &mut sum)? != [0] {
                    left = left.checked_sub(1).ok_or_else(|| damaged("a gzip header that is too long"))?;
                }
            }
        }
        let [low, high, ..] = sum.to_le_bytes();
        if flags & HEAD_CHECKSUM != 0 && take(source, &mut 0)? != [low, high] {
            return Err(damaged("a gzip header with a wrong checksum"));
        }
        self.member = Some(DeflateDecoder::new(source));
        (self.place, self.sum, self.length) = (Place::Data, 0, 0);
        Ok(())
    }

    fn tail(&mut self) -> io::Result<()> {
        let Some(member) = &mut self.member else { return Err(damaged("nothing to read")) };
        let source = member.get_mut();
        let sum = u32::from_le_bytes(take(*source, &mut 0)?);
        let length = u32::from_le_bytes(take(*source, &mut 0)?);
        if (sum, length) != (self.sum, self.length) {
            return Err(damaged("gzip data with a wrong checksum"));
        }
        self.place = if source.fill_buf()?.is_empty() { Place::End } else { Place::Head };
        Ok(())
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (self.place, &mut self.member) {
                (Place::Head, _) => self.head()?,
                (Place::Data, Some(member)) if !buffer.is_empty() => {
                    let read = member.read(buffer)?;
                    if read > 0 {
                        self.sum = crc32(self.sum, &buffer[..read]);
                        self.length = self.length.wrapping_add((read & 0xffff_ffff) as u32);
                        return Ok(read);
                    }
                    // Also where the data is cut off: then the tail is missing.
                    self.tail()?;
                }
                _ => return Ok(0),
            }
        }
    }
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn take<const N: usize>(source: &mut dyn BufRead, sum: &mut u32) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    *sum = crc32(*sum, &bytes);
    Ok(bytes)
}

/// The checksum of what had `before` and goes on with `bytes`, four bits at a time.
fn crc32(before: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut at = 0;
        while at < 16 {
            let mut value = at as u32;
            let mut bit = 0;
            while bit < 4 {
                value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };
    let step = |sum: u32, bits: u8| (sum >> 4) ^ TABLE[((sum ^ u32::from(bits)) & 15) as usize];
    !bytes.iter().fold(!before, |sum, byte| step(step(sum, byte & 15), byte >> 4))
}

#[cfg(test)]
mod tests {
    use flate2::read::MultiGzDecoder;
    use flate2::{Crc, GzBuilder};
    use proptest::prelude::*;

    use super::*;

    fn unpack(mut bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Reader::new(&mut bytes).read_to_end(&mut plain).map(|_| plain)
    }

    #[test]
    fn the_checksum_of_the_standard() {
        assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(crc32(0, b"1234"), b"56789"), 0xcbf4_3926);
    }

    proptest! {
        #[test]
        fn flate2_reads_what_we_write(plain in prop::collection::vec(any::<u8>(), 0..5000)) {
            let packed = pack(&plain);
            let mut theirs = Vec::new();
            MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut theirs).unwrap();
            prop_assert_eq!(&theirs, &plain);
            prop_assert_eq!(unpack(&packed).unwrap(), plain);
        }

        #[test]
        fn we_read_what_flate2_writes(
            name in prop::option::of("[a-z]{0,9}"),
            comment in prop::option::of("[a-z]{0,9}"),
            extra in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
            members in prop::collection::vec("[a-c]{0,400}", 1..4),
        ) {
            let mut packed = Vec::new();
            for plain in &members {
                let mut head = GzBuilder::new().mtime(7);
                head = name.iter().fold(head, |head, name| head.filename(name.as_str()));
                head = comment.iter().fold(head, |head, comment| head.comment(comment.as_str()));
                head = extra.iter().fold(head, |head, extra| head.extra(extra.as_slice()));
                let mut coder = head.write(&mut packed, Compression::fast());
                coder.write_all(plain.as_bytes()).unwrap();
                coder.finish().unwrap();
            }
            prop_assert_eq!(unpack(&packed).unwrap(), members.concat().into_bytes());
        }

        #[test]
        fn damage_is_seen_as_flate2_sees_it(at in any::<prop::sample::Index>(), bit in 0..8u32, cut in any::<bool>()) {
            let mut packed = pack(&b"some text, some text and some more text".repeat(9));
            let at = at.index(packed.len());
            match cut {
                true => packed.truncate(at),
                false => packed[at] ^= 1u8 << bit,
            }
            let theirs = MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut Vec::new());
            // Whatever flate2 refuses is refused; beyond that only the reserved flags.
            if theirs.is_err() {
                prop_assert!(unpack(&packed).is_err());
            } else if packed.get(3).is_some_and(|flags| flags & RESERVED == 0) {
                prop_assert!(unpack(&packed).is_ok());
            }
        }
    }

    #[test]
    fn headers_with_a_checksum() {
        let mut packed = pack(b"text");
        packed[3] = HEAD_CHECKSUM;
        let mut sum = Crc::new();
        sum.update(&packed[..10]);
        let [low, high, ..] = sum.sum().to_le_bytes();
        packed.splice(10..10, [low, high]);
        assert_eq!(unpack(&packed).unwrap(), b"text");
        packed[10] ^= 1;
        assert_eq!(unpack(&packed).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn what_is_none() {
        let kind = |bytes: &[u8]| unpack(bytes).unwrap_err().kind();
        let packed = pack(b"text");
        assert_eq!(kind(b""), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&packed[..packed.len() - 1]), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[packed.as_slice(), b"what is this?"].concat()), io::ErrorKind::InvalidData);
        let mut endless = vec![0x1f, 0x8b, 8, NAME, 0, 0, 0, 0, 0, 255];
        endless.resize(200_000, b'x');
        assert_eq!(kind(&endless), io::ErrorKind::InvalidData);
    }
}
