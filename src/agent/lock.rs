//! One process at a time changes the state: daemon, or a command while no daemon runs.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::sys::dir;
use crate::sys::fs::FsError;

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held, never looked at")] Flock<File>);

/// Why the state cannot be had alone.
#[derive(Debug)]
pub enum LockError {
    /// Somebody has it: the directory.
    Taken(PathBuf),
    /// The directory cannot be used: which, and why.
    Io(PathBuf, String),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Taken(dir) => {
                write!(f, "another rcwmpd holds the state in {}: stop it first", dir.display())
            }
            LockError::Io(path, why) => write!(f, "{}: {why}", path.display()),
        }
    }
}

/// Takes the state directory, which is made if it is missing, and for us alone: it holds passwords. One that nothing
/// can be written to is taken as it is: the agent goes on without a memory.
///
/// # Errors
/// [`LockError`]; it does not wait.
pub fn take(place: &Path) -> Result<Lock, LockError> {
    let failed = |why: &dyn fmt::Display| LockError::Io(place.to_path_buf(), why.to_string());
    let file = match dir::make_private(place).and_then(|()| open(&place.join("lock"))) {
        Err(why) if why.is_read_only() => {
            // What is there can be locked all the same: the file, or what it would be in.
            let there = place.join("lock");
            let there = there.ancestors().find_map(|path| File::open(path).ok());
            there.ok_or_else(|| failed(&why))?
        }
        opened => opened.map_err(|why| failed(&why))?,
    };
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map(Lock)
        .map_err(|_| LockError::Taken(place.to_path_buf()))
}

fn open(path: &Path) -> Result<File, FsError> {
    let mut how = OpenOptions::new();
    how.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(FsError::io("open", path))
}
