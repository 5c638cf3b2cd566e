//! Directories that are made with a mode of ours, whatever the umask is.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use super::fs::FsError;
use super::rng;

/// For its owner only.
pub const PRIVATE: u32 = 0o700;
/// For all to look at, for its owner to change.
pub const PUBLIC: u32 = 0o755;

/// Makes a directory and what is missing above it, all with `mode`; one that is there stays as it is.
///
/// # Errors
/// What the system says.
pub fn make(dir: &Path, mode: u32) -> Result<(), FsError> {
    DirBuilder::new().recursive(true).mode(mode).create(dir).map_err(FsError::io("make", dir))
}

/// Makes a directory for us alone, or makes ours private if it is there: it holds secrets.
///
/// # Errors
/// What the system says. That the directory is somebody else's is none: who put us there may have meant it.
pub fn make_private(dir: &Path) -> Result<(), FsError> {
    make(dir, PRIVATE)?;
    let about = fs::metadata(dir).map_err(FsError::io("look at", dir))?;
    if is_ours(&about) && about.mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(PRIVATE))
            .map_err(FsError::io("set the mode of", dir))?;
    }
    Ok(())
}

/// Makes a directory for us alone where everybody may make one (`/tmp`): a link, a file or another user's directory
/// that waits there is moved aside, for what is put into it would be in other hands. What is above it must exist.
///
/// # Errors
/// What the system says.
pub fn make_own(dir: &Path) -> Result<(), FsError> {
    let make = || DirBuilder::new().mode(PRIVATE).create(dir);
    match make() {
        Ok(()) => return Ok(()),
        Err(why) if why.kind() == ErrorKind::AlreadyExists => {}
        Err(why) => return Err(FsError::io("make", dir)(why)),
    }
    if is_own(dir) {
        return fs::set_permissions(dir, fs::Permissions::from_mode(PRIVATE))
            .map_err(FsError::io("set the mode of", dir));
    }
    let aside = dir.with_extension(rng::hex(8).map_err(FsError::io("find a name beside", dir))?);
    fs::rename(dir, aside).map_err(FsError::io("move aside", dir))?;
    make().map_err(FsError::io("make", dir))
}

/// Whether it is a directory, no link to one, and ours.
pub fn is_own(dir: &Path) -> bool {
    fs::symlink_metadata(dir).is_ok_and(|about| about.is_dir() && is_ours(&about))
}

fn is_ours(about: &fs::Metadata) -> bool {
    about.uid() == nix::unistd::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn ours_becomes_private() {
        let dir = tempfile::tempdir().unwrap();
        let ours = dir.path().join("a/b");
        make_private(&ours).unwrap();
        assert_eq!((mode(&ours), mode(&dir.path().join("a"))), (PRIVATE, PRIVATE));
        for made in [make_private, make_own] {
            fs::set_permissions(&ours, fs::Permissions::from_mode(0o777)).unwrap();
            made(&ours).unwrap();
            assert_eq!(mode(&ours), PRIVATE);
        }
        assert!(make_own(&dir.path().join("no/where")).is_err());
    }

    #[test]
    fn what_waits_there_is_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        let (place, prey) = (dir.path().join("rcwmp"), dir.path().join("prey"));
        fs::create_dir(&prey).unwrap();
        symlink(&prey, &place).unwrap();
        assert!(is_own(&prey) && !is_own(&place) && !is_own(&dir.path().join("none")));
        make_own(&place).unwrap();
        fs::write(place.join("file"), "x").unwrap();
        assert_eq!((mode(&place), fs::read_dir(&prey).unwrap().count()), (PRIVATE, 0));
        fs::remove_dir_all(&place).unwrap();
        fs::write(&place, "a file").unwrap();
        make_own(&place).unwrap();
        assert_eq!(mode(&place), PRIVATE);
    }

    /// Only root can make a directory of somebody else's.
    #[test]
    fn another_user_s_directory() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("rcwmp");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("download"), "prepared").unwrap();
        if std::os::unix::fs::chown(&place, Some(65_534), None).is_err() {
            return;
        }
        make_own(&place).unwrap();
        assert_eq!((mode(&place), fs::read_dir(&place).unwrap().count()), (PRIVATE, 0));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
