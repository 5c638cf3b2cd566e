//! Files: the root prefix, reading with a bound, atomic replacement.
//!
//! [`super::journal`] commits several files together.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::statvfs::statvfs;

/// Most symbolic links followed on the way to a file, as the kernel has it.
const MAX_LINKS: usize = 40;

/// What failed: the action, the file, the reason.
#[derive(Debug)]
pub enum FsError {
    /// The system refused.
    Io {
        /// What was being done: `read`, `write`, `rename` …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is longer than the reader wants.
    TooLong {
        /// The file.
        path: PathBuf,
        /// The bound, in bytes.
        max: usize,
    },
    /// A directory, a pipe, a device.
    NotAFile(PathBuf),
    /// The path is relative, has `..` or a zero byte, or leads through too many links.
    BadPath(PathBuf),
    /// Someone else held a lock for too long.
    Locked(PathBuf),
    /// The journal is damaged: what it says was not done.
    BadJournal {
        /// The journal.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl FsError {
    /// Wraps a reason, for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FsError {
        move |source| FsError::failed(action, path, source)
    }

    #[cold]
    fn failed(action: &'static str, path: &Path, source: io::Error) -> FsError {
        FsError::Io { action, path: path.to_path_buf(), source }
    }

    /// True if the file is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, FsError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// True if nothing can be written there.
    pub fn is_read_only(&self) -> bool {
        matches!(self, FsError::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem)
    }
}

impl fmt::Display for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FsError::Io { action, path, source } => write!(f, "cannot {action} {}: {source}", path.display()),
            FsError::TooLong { path, max } => write!(f, "{} is longer than {max} bytes", path.display()),
            FsError::NotAFile(path) => write!(f, "{} is not a regular file", path.display()),
            FsError::BadPath(path) => write!(f, "{path:?} is not a path that can be used"),
            FsError::Locked(path) => write!(f, "{} is locked by another process", path.display()),
            FsError::BadJournal { path, why } => write!(f, "the journal {}: {why}", path.display()),
        }
    }
}

impl std::error::Error for FsError {}

/// The directory that stands for `/`: `/` itself on a router, a folder of fixtures on a desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Root(PathBuf::from("/"))
    }
}

impl Root {
    /// A root at `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Root {
        Root(dir.into())
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// Where the absolute `path` of the router is, links not followed. No `..` is allowed.
    pub fn join(&self, path: impl AsRef<Path>) -> Result<PathBuf, FsError> {
        let path = path.as_ref();
        let bad = || FsError::BadPath(path.to_path_buf());
        let mut parts = path.components();
        if parts.next() != Some(Component::RootDir) || path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(bad());
        }
        let mut joined = self.0.clone();
        for part in parts {
            match part {
                Component::Normal(name) => joined.push(name),
                _ => return Err(bad()),
            }
        }
        Ok(joined)
    }

    /// Where the file at `path` really is: links are followed, an absolute one and `..` in one
    /// staying within this root. What does not exist is taken by its name.
    pub fn resolve(&self, path: impl AsRef<Path>) -> Result<PathBuf, FsError> {
        let path = path.as_ref();
        self.join(path)?;
        let owned = |part: Component| part.as_os_str().to_os_string();
        let mut todo: Vec<_> = path.components().skip(1).map(owned).collect();
        todo.reverse();
        let mut done: Vec<std::ffi::OsString> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == OsStr::new("..") {
                done.pop();
                continue;
            }
            done.push(part);
            let Ok(target) = fs::read_link(self.within(&done)) else { continue };
            links += 1;
            if links > MAX_LINKS {
                return Err(FsError::BadPath(path.to_path_buf()));
            }
            done.pop();
            if target.is_absolute() {
                done.clear();
            }
            let keep = |part: &Component| matches!(part, Component::Normal(_) | Component::ParentDir);
            todo.extend(target.components().filter(keep).map(owned).rev());
        }
        Ok(self.within(&done))
    }

    /// Reads the file at the router's `path`, links followed within this root; at most `max` bytes.
    pub fn read(&self, path: impl AsRef<Path>, max: usize) -> Result<Vec<u8>, FsError> {
        read_capped(&self.resolve(path)?, max)
    }

    fn within(&self, parts: &[std::ffi::OsString]) -> PathBuf {
        parts.iter().fold(self.0.clone(), |path, part| path.join(part))
    }
}

/// Reads a regular file of at most `max` bytes. Never blocks on a pipe.
pub fn read_capped(path: &Path, max: usize) -> Result<Vec<u8>, FsError> {
    let file = open_regular(path)?;
    read_open(&file, path, max)
}

/// As [`read_capped`], of a file that is no link; `None` for a link, which is not followed.
pub fn read_plain(path: &Path, max: usize) -> Option<Result<Vec<u8>, FsError>> {
    match open_with(path, OFlag::O_NOFOLLOW) {
        Err(FsError::Io { source, .. }) if source.raw_os_error() == Some(nix::libc::ELOOP) => None,
        Err(why) => Some(Err(why)),
        Ok(file) => Some(read_open(&file, path, max)),
    }
}

/// Opens a regular file for reading; a pipe or device in its place is refused, not waited for.
pub fn open_regular(path: &Path) -> Result<File, FsError> {
    open_with(path, OFlag::empty())
}

fn open_with(path: &Path, flags: OFlag) -> Result<File, FsError> {
    let flags = (OFlag::O_NONBLOCK | flags).bits();
    let file =
        OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(FsError::io("open", path))?;
    if !file.metadata().map_err(FsError::io("look at", path))?.is_file() {
        return Err(FsError::NotAFile(path.to_path_buf()));
    }
    Ok(file)
}

/// Reads an open file from where it stands; `path` names it in errors.
pub fn read_open(file: &File, path: &Path, max: usize) -> Result<Vec<u8>, FsError> {
    // The length of a file in /proc or /sys is a lie, so it is only asked to read a byte more.
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::with_capacity(max.min(128));
    file.take(limit).read_to_end(&mut bytes).map_err(FsError::io("read", path))?;
    if bytes.len() > max {
        return Err(FsError::TooLong { path: path.to_path_buf(), max });
    }
    Ok(bytes)
}

/// Replaces a file so that a reader, or a crash, sees the old or the new contents and nothing between.
///
/// A file that is there keeps its mode and, if the system allows, its owner; a new one gets `mode`.
/// A symbolic link stays, and what it points to is replaced.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FsError> {
    let target = real_path(path)?;
    let fresh = fresh_path(&target)?;
    let written = write_fresh(&fresh, &target, bytes, mode)
        .and_then(|()| fs::rename(&fresh, &target).map_err(FsError::io("replace", &target)));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written?;
    sync_dir(parent(&target))
}

/// Writes and syncs what is to be renamed to `target`, with the mode and owner of that.
pub(super) fn write_fresh(fresh: &Path, target: &Path, bytes: &[u8], mode: u32) -> Result<(), FsError> {
    // A leftover may belong to another and have any mode.
    match fs::remove_file(fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FsError::io("remove", fresh)(error));
        }
        _ => {}
    }
    let failed = |action| FsError::io(action, fresh);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh).map_err(failed("create"))?;
    file.write_all(bytes).map_err(failed("write"))?;
    let mode = match fs::metadata(target) {
        Ok(old) => {
            let made = file.metadata().map_err(failed("look at"))?;
            if (old.uid(), old.gid()) != (made.uid(), made.gid()) {
                // Only root may give a file away; without that right the file is ours, as it is with `cp`.
                let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
            }
            old.mode() & 0o7777
        }
        Err(_) => mode,
    };
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed("set the mode of"))?;
    file.sync_all().map_err(failed("sync"))
}

/// Where the new contents of `target` are prepared: in the same directory, always the same name, so
/// that a leftover of a crash is used again and never piles up.
pub(super) fn fresh_path(target: &Path) -> Result<PathBuf, FsError> {
    let name = target.file_name().ok_or_else(|| FsError::BadPath(target.to_path_buf()))?;
    let mut fresh = OsStr::new(".").to_os_string();
    fresh.push(name);
    fresh.push(".rcwmp-new");
    Ok(target.with_file_name(fresh))
}

/// The file that `path` leads to, whether it exists or not.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, FsError> {
    if !path.is_absolute() {
        return Err(FsError::BadPath(path.to_path_buf()));
    }
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = parent(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(FsError::BadPath(path))
}

/// The octets an ordinary user may still write to the file system of `path`.
pub fn free_space(path: &Path) -> Result<u64, FsError> {
    let found = statvfs(path).map_err(|why| FsError::io("ask for the free space at", path)(why.into()))?;
    // These are 32 bits wide on some routers.
    #[allow(clippy::useless_conversion, reason = "the other width needs it")]
    let (blocks, size) = (u64::from(found.blocks_available()), u64::from(found.fragment_size()));
    Ok(blocks.saturating_mul(size))
}

/// Makes the names in a directory durable.
pub fn sync_dir(dir: &Path) -> Result<(), FsError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(FsError::io("sync", dir))
}

/// The directory of a file.
pub fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn joining() {
        let check = |root: &str, path: &str, expected: Option<&str>| {
            assert_eq!(Root::new(root).join(path).ok().as_deref(), expected.map(Path::new), "{root} {path}");
        };
        check("/", "/etc/config", Some("/etc/config"));
        check("/tmp/r", "/etc//config/./x", Some("/tmp/r/etc/config/x"));
        check("/tmp/r", "/", Some("/tmp/r"));
        for bad in ["etc", "", "/etc/../../x", "/..", "/a\0b"] {
            check("/tmp/r", bad, None);
        }
    }

    #[test]
    fn links_stay_within_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        fs::create_dir_all(dir.path().join("var/x")).unwrap();
        fs::write(dir.path().join("var/x/file"), "inside").unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        symlink("/var/x", dir.path().join("etc/abs")).unwrap();
        symlink("../../../../../var", dir.path().join("etc/up")).unwrap();
        symlink("loop", dir.path().join("etc/loop")).unwrap();
        for path in ["/var/x/file", "/etc/abs/file", "/etc/up/x/file"] {
            assert_eq!(root.read(path, 10).unwrap(), b"inside", "{path}");
        }
        assert_eq!(root.resolve("/etc/none/x").unwrap(), dir.path().join("etc/none/x"));
        assert!(matches!(root.resolve("/etc/loop"), Err(FsError::BadPath(_))));
        assert!(root.read("/etc/none", 10).unwrap_err().is_missing());
    }

    #[test]
    fn reading_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "12345").unwrap();
        assert_eq!(read_capped(&file, 5).unwrap(), b"12345");
        let error = read_capped(&file, 4).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is longer than 4 bytes", file.display()));
        assert!(matches!(read_capped(dir.path(), 9), Err(FsError::NotAFile(_))));
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(read_capped(&pipe, 9), Err(FsError::NotAFile(_))));
        assert!(!Root::default().read("/proc/self/status", 65536).unwrap().is_empty());
        let link = dir.path().join("link");
        symlink("file", &link).unwrap();
        assert!(read_plain(&link, 5).is_none() && read_capped(&link, 5).is_ok());
        assert_eq!(read_plain(&file, 5).unwrap().unwrap(), b"12345");
        assert!(read_plain(&dir.path().join("none"), 5).unwrap().unwrap_err().is_missing());
    }

    #[test]
    fn writing_keeps_mode_and_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        write_atomic(&file, b"1", 0o600).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        symlink("file", &link).unwrap();
        write_atomic(&link, b"2", 0o600).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"2");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o644);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_failed_write_leaves_the_old() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("none/file");
        let error = write_atomic(&file, b"1", 0o600).unwrap_err().to_string();
        assert!(error.starts_with("cannot create ") && error.contains("none/.file.rcwmp-new"), "{error}");
        let target = dir.path().join("target");
        fs::create_dir(&target).unwrap();
        assert!(write_atomic(&target, b"1", 0o600).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
