//! The file being written: `NAME.part` until it is whole, within a bound and within what is free.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::fault::Cause;
use super::run::Limits;
use crate::sys::fs::{free_space, parent, sync_dir};

/// How much is written between two looks at the free space: others write as well.
const LOOK_EVERY: u64 = 1 << 20;

/// A download under way. Dropped before [`Part::finish`], it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Part<'a> {
    file: File,
    path: PathBuf,
    into: &'a Path,
    limits: &'a Limits,
    written: u64,
    looked_at: u64,
    is_done: bool,
}

impl<'a> Part<'a> {
    /// Makes the file anew, for its owner only. A leftover of a crash is removed first.
    pub(super) fn create(into: &'a Path, limits: &'a Limits) -> Result<Part<'a>, Cause> {
        let name = into.file_name().filter(|_| into.is_absolute());
        let Some(name) = name else { return Err(Cause::Local(format!("{into:?} is not a path for a file"))) };
        let mut name = name.to_os_string();
        name.push(".part");
        let path = into.with_file_name(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(local("remove", &path, &error));
            }
            _ => {}
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| local("create", &path, &error))?;
        Ok(Part { file, path, into, limits, written: 0, looked_at: 0, is_done: false })
    }

    /// Whether so many octets will do, with what is written already.
    pub(super) fn expect(&self, size: u64) -> Result<(), Cause> {
        if size > self.limits.max_size {
            return Err(Cause::TooLarge { max: self.limits.max_size });
        }
        let free = self.free()?;
        if size.saturating_sub(self.written) > free { Err(Cause::NoSpace { free }) } else { Ok(()) }
    }

    /// Adds what came.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let after = self.written.saturating_add(more);
        if after > self.limits.max_size {
            return Err(Cause::TooLarge { max: self.limits.max_size });
        }
        if self.written == 0 || after - self.looked_at >= LOOK_EVERY {
            self.expect(after)?;
            self.looked_at = after;
        }
        self.file.write_all(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Cause::NoSpace { free: 0 },
            _ => local("write", &self.path, &error),
        })?;
        self.written = after;
        Ok(())
    }

    /// How much has come.
    #[cfg(feature = "ftp")]
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Gives the file its name, durably. Gives its size.
    pub(super) fn finish(mut self) -> Result<u64, Cause> {
        self.file.sync_all().map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Cause::NoSpace { free: 0 },
            _ => local("sync", &self.path, &error),
        })?;
        fs::rename(&self.path, self.into).map_err(|error| local("rename", &self.path, &error))?;
        self.is_done = true;
        sync_dir(parent(self.into)).map_err(|error| Cause::Local(error.to_string()))?;
        Ok(self.written)
    }

    fn free(&self) -> Result<u64, Cause> {
        let free = free_space(&self.path).map_err(|error| Cause::Local(error.to_string()))?;
        Ok(free.saturating_sub(self.limits.reserve))
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn local(action: &str, path: &Path, error: &io::Error) -> Cause {
    Cause::Local(format!("cannot {action} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn limits(max_size: u64, reserve: u64) -> Limits {
        Limits { max_size, reserve, ..Limits::default() }
    }

    #[test]
    fn whole_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let (into, limits) = (dir.path().join("file"), limits(10, 0));
        fs::write(dir.path().join("other"), "untouched").unwrap();
        symlink("other", dir.path().join("file.part")).unwrap();
        let mut part = Part::create(&into, &limits).unwrap();
        part.write(b"12345").unwrap();
        assert!(!into.exists());
        drop(part);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let mut part = Part::create(&into, &limits).unwrap();
        part.write(b"12345").unwrap();
        part.write(b"67890").unwrap();
        assert_eq!(part.finish(), Ok(10));
        assert_eq!(fs::read(&into).unwrap(), b"1234567890");
        assert_eq!(fs::metadata(&into).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read(dir.path().join("other")).unwrap(), b"untouched");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn bounds() {
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("file");
        let small = limits(10, 0);
        let mut part = Part::create(&into, &small).unwrap();
        assert_eq!(part.expect(11), Err(Cause::TooLarge { max: 10 }));
        assert_eq!(part.expect(10), Ok(()));
        part.write(b"123456").unwrap();
        assert_eq!(part.write(b"12345"), Err(Cause::TooLarge { max: 10 }));
        drop(part);
        let full = limits(u64::MAX, u64::MAX);
        let mut part = Part::create(&into, &full).unwrap();
        assert_eq!(part.expect(0), Ok(()));
        assert_eq!(part.expect(1), Err(Cause::NoSpace { free: 0 }));
        assert_eq!(part.write(b"1"), Err(Cause::NoSpace { free: 0 }));
        drop(part);
        let huge = limits(u64::MAX, 0);
        assert!(matches!(Part::create(&into, &huge).unwrap().expect(u64::MAX), Err(Cause::NoSpace { .. })));
        for bad in ["relative", "/", "/no/such/dir/file"] {
            assert!(matches!(Part::create(Path::new(bad), &small), Err(Cause::Local(_))), "{bad}");
        }
    }
}
