//! What an opkg package file says about itself, before anything of it is run.
//!
//! It is a gzipped tar that holds `control.tar.gz`, itself one that holds `control`.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::backend::packages::{field, is_name};
use crate::sys::gzip;

/// The most entries of an archive that are looked at.
const MAX_ENTRIES: usize = 64;
/// The most that is unpacked on the way to an entry, in bytes.
const MAX_SKIPPED: u64 = 256 << 20;
/// The longest `control.tar.gz` and `control`, in bytes.
const MAX_CONTROL: u64 = 256 << 10;

/// The name and version of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// `Package`.
    pub name: String,
    /// `Version`.
    pub version: String,
}

/// Reads a package file.
///
/// # Errors
/// What makes it none, in a sentence.
pub fn control(path: &Path) -> Result<Control, String> {
    let file = File::open(path).map_err(|why| why.to_string())?;
    let broken = |why: io::Error| format!("the file is not an opkg package: {why}");
    let inner = entry(&mut gzip::Reader::new(&mut BufReader::new(file)), "control.tar.gz").map_err(broken)?;
    let text = entry(&mut gzip::Reader::new(&mut inner.as_slice()), "control").map_err(broken)?;
    let text = String::from_utf8_lossy(&text);
    let name = field(&text, "Package").unwrap_or_default();
    if !is_name(name) {
        return Err("the package has no usable name".to_owned());
    }
    Ok(Control { name: name.to_owned(), version: field(&text, "Version").unwrap_or_default().to_owned() })
}

/// The content of an entry of a tar.
fn entry(tar: &mut dyn Read, wanted: &str) -> io::Result<Vec<u8>> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut tar = tar.take(MAX_SKIPPED);
    for _ in 0..MAX_ENTRIES {
        let mut head = [0; 512];
        tar.read_exact(&mut head)?;
        let size = size(&head).ok_or_else(|| bad("the archive is damaged"))?;
        let name = head[..100].split(|byte| *byte == 0).next().unwrap_or_default();
        let name = name.strip_prefix(b"./").unwrap_or(name);
        if name.is_empty() && head.iter().all(|byte| *byte == 0) {
            break;
        }
        if name == wanted.as_bytes() && matches!(head[156], 0 | b'0') {
            if size > MAX_CONTROL {
                return Err(bad("its description is too long"));
            }
            let mut content = Vec::new();
            tar.take(size).read_to_end(&mut content)?;
            return Ok(content);
        }
        let padded = size.checked_next_multiple_of(512).ok_or_else(|| bad("the archive is damaged"))?;
        if io::copy(&mut tar.by_ref().take(padded), &mut io::sink())? < padded {
            return Err(bad("the archive ends too early"));
        }
    }
    Err(bad(&format!("there is no {wanted} in it")))
}

/// Octal digits between blanks and zeros, with the checksum over the head right.
fn size(head: &[u8; 512]) -> Option<u64> {
    let octal = |field: &[u8]| {
        let text = std::str::from_utf8(field).ok()?;
        let digits = text.trim_matches([' ', '\0']);
        if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
    };
    let sum: u64 = (head.iter().enumerate())
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
        .sum();
    let empty = head.iter().all(|byte| *byte == 0);
    if !empty && octal(&head[148..156])? != sum {
        return None;
    }
    octal(&head[124..136])
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Command;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// A package made by the system's own tar.
    fn package(dir: &Path, control: &str) -> std::path::PathBuf {
        std::fs::write(dir.join("control"), control).unwrap();
        std::fs::write(dir.join("debian-binary"), "2.0\n").unwrap();
        std::fs::write(dir.join("data.tar.gz"), vec![7; 5000]).unwrap();
        let tar = |arguments: &[&str]| {
            assert!(Command::new("tar").current_dir(dir).args(arguments).status().unwrap().success());
        };
        tar(&["-czf", "control.tar.gz", "./control"]);
        tar(&["-czf", "x.ipk", "./debian-binary", "./data.tar.gz", "./control.tar.gz"]);
        dir.join("x.ipk")
    }

    #[test]
    fn packages() {
        let dir = tempfile::tempdir().unwrap();
        let good = package(dir.path(), "Package: nlbwmon\nVersion: 1-2\nDescription: x\n");
        let expected = Control { name: "nlbwmon".into(), version: "1-2".into() };
        assert_eq!(control(&good), Ok(expected));
        let whole = std::fs::read(&good).unwrap();
        // Every beginning of it is none, and nothing panics.
        for end in (0..whole.len()).step_by(7) {
            std::fs::write(&good, &whole[..end]).unwrap();
            let _ = control(&good);
        }
        std::fs::write(&good, &whole[..whole.len() / 4]).unwrap();
        assert!(control(&good).unwrap_err().starts_with("the file is not an opkg package"));
        let evil = package(dir.path(), "Package: ../../etc\nVersion: 1\n");
        assert!(control(&evil).unwrap_err().contains("no usable name"));
        let mut bomb = GzEncoder::new(std::fs::File::create(&good).unwrap(), Compression::fast());
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
        bomb.finish().unwrap();
        assert!(control(&good).unwrap_err().contains("there is no control.tar.gz in it"));
    }
}
