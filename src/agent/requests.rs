//! What somebody on the router wants to have said to the ACS: RequestDownload and Kicked (TR-069 A.4.2).
//!
//! ```text
//!  rcwmpd request-download, rcwmpd kicked ─► one file each in /var/run/rcwmp/requests ─► the daemon takes it
//! ```
//! A file is a JSON object, written under another name first. The directory is ours alone; what is not a
//! small regular file of the right form is removed, with a complaint that names it.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cwmp::queue::Message;
use crate::cwmp::rpc::{Kicked, RequestDownload};
use crate::sys::fs::{Root, read_capped, write_atomic};
use crate::sys::rng;

/// Where requests wait, on a router.
pub const PLACE: &str = "/var/run/rcwmp/requests";
/// The most that are taken at a time, and the most that may wait.
const MAX_WAITING: usize = 16;
/// The longest file, in bytes.
const MAX_FILE: usize = 16 * 1024;
/// ArgStruct in a RequestDownload (TR-069 A.4.2.2).
const MAX_ARGUMENTS: usize = 16;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Wish {
    /// The user would like a file; the ACS may then call Download.
    RequestDownload {
        /// As TR-069 writes it, with its number; at most 64 characters.
        file_type: String,
        /// Names (64 characters) and values (256) that say which file; at most 16.
        #[serde(default)]
        arguments: Vec<(String, String)>,
    },
    /// The user has followed a link that "kicks" the device.
    Kicked {
        /// At most 32 characters.
        command: String,
        /// At most 64 characters.
        #[serde(default)]
        referer: String,
        /// At most 256 characters.
        #[serde(default)]
        arg: String,
        /// Where the user's browser wants to go then; at most 1024 characters.
        #[serde(default)]
        next: String,
    },
}

/// Why a wish is refused; a whole sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Wish {
    /// Looks at its lengths and characters.
    ///
    /// # Errors
    /// [`Refused`] with the first argument that is too long or has control characters.
    pub fn check(&self) -> Result<(), Refused> {
        let fits = |what: &str, text: &str, most: usize| match text.chars().count() <= most {
            _ if text.chars().any(char::is_control) => Err(Refused(format!("{what} has control characters"))),
            true => Ok(()),
            false => Err(Refused(format!("{what} is longer than {most} characters"))),
        };
        match self {
            Wish::RequestDownload { file_type, arguments } => {
                fits("the file type", file_type, 64)?;
                if file_type.is_empty() {
                    return Err(Refused("the file type is empty".to_owned()));
                }
                if arguments.len() > MAX_ARGUMENTS {
                    return Err(Refused(format!("there are more than {MAX_ARGUMENTS} arguments")));
                }
                for (name, value) in arguments {
                    fits("the name of an argument", name, 64)?;
                    fits(&format!("the argument {name}"), value, 256)?;
                }
                Ok(())
            }
            Wish::Kicked { command, referer, arg, next } => {
                fits("the command", command, 32)?;
                fits("the referer", referer, 64)?;
                fits("the argument", arg, 256)?;
                fits("the next URL", next, 1024)
            }
        }
    }

    /// The ACS method that tells it.
    pub fn method(&self) -> &'static str {
        match self {
            Wish::RequestDownload { .. } => "RequestDownload",
            Wish::Kicked { .. } => "Kicked",
        }
    }

    /// As it stands in the queue.
    pub fn message(self) -> Message {
        match self {
            Wish::RequestDownload { file_type, arguments } => {
                Message::RequestDownload(RequestDownload { file_type, arguments })
            }
            Wish::Kicked { command, referer, arg, next } => {
                Message::Kicked(Kicked { command, referer, arg, next })
            }
        }
    }
}

/// Makes the directory, for us alone; gives where it is.
///
/// # Errors
/// When it cannot be made, or somebody else's is in its place.
pub fn prepare(root: &Root) -> Result<PathBuf, Refused> {
    let dir = root.resolve(PLACE).map_err(|why| Refused(why.to_string()))?;
    let failed = |why: std::io::Error| Refused(format!("{PLACE}: {why}"));
    DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
    let about = fs::symlink_metadata(&dir).map_err(failed)?;
    // Root leaves wishes to an agent that is a user of its own, which finds a directory that root has made.
    let us = nix::unistd::geteuid();
    match about.is_dir() && (us.is_root() || [0, us.as_raw()].contains(&about.uid())) {
        true => Ok(dir),
        false => Err(Refused(format!("{PLACE} is not a directory of this user"))),
    }
}

/// Leaves a wish for the daemon.
///
/// # Errors
/// [`Refused`] by [`Wish::check`], when too many wait, or when it cannot be written.
pub fn leave(root: &Root, wish: &Wish) -> Result<(), Refused> {
    wish.check()?;
    let dir = prepare(root)?;
    let failed = |why: &dyn fmt::Display| Refused(format!("{PLACE}: {why}"));
    if fs::read_dir(&dir).map_err(|why| failed(&why))?.count() >= MAX_WAITING {
        return Err(Refused(format!("{MAX_WAITING} requests wait already; does the daemon run?")));
    }
    let name = rng::hex(8).map_err(|why| failed(&why))?;
    let bytes = serde_json::to_vec(wish).map_err(|why| failed(&why))?;
    write_atomic(&dir.join(name), &bytes, 0o600).map_err(|why| failed(&why))
}

/// Whether something waits.
pub fn any(root: &Root) -> bool {
    let entries = root.resolve(PLACE).ok().and_then(|dir| fs::read_dir(dir).ok());
    entries.is_some_and(|entries| entries.take(MAX_WAITING).count() > 0)
}

/// Takes what waits, in the order of their times; and complaints about what cannot be used.
pub fn take(root: &Root) -> (Vec<Wish>, Vec<String>) {
    let (mut wishes, mut complaints) = (Vec::new(), Vec::new());
    let Ok(dir) = root.resolve(PLACE) else { return (wishes, complaints) };
    let Ok(entries) = fs::read_dir(&dir) else { return (wishes, complaints) };
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))?;
            let about = entry.metadata().ok()?;
            Some(((about.mtime(), about.mtime_nsec()), entry.path()))
        })
        .take(4 * MAX_WAITING)
        .collect();
    files.sort();
    for (_, path) in files.into_iter().take(MAX_WAITING) {
        let read = read_capped(&path, MAX_FILE).map_err(|why| why.to_string()).and_then(|bytes| {
            let wish: Wish =
                serde_json::from_slice(&bytes).map_err(|why| format!("{}: {why}", path.display()))?;
            wish.check().map_err(|why| format!("{}: {why}", path.display()))?;
            Ok(wish)
        });
        match read {
            Ok(wish) => wishes.push(wish),
            Err(why) => complaints.push(format!("a request is dropped: {why}")),
        }
        // A directory of that name would come back each time.
        if fs::remove_file(&path).is_err() && fs::remove_dir_all(&path).is_err() {
            complaints.push(format!("{} cannot be removed", path.display()));
            wishes.clear();
            break;
        }
    }
    (wishes, complaints)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn download(file_type: &str, arguments: &[(&str, &str)]) -> Wish {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let arguments = arguments.iter().map(owned).collect();
        Wish::RequestDownload { file_type: file_type.to_owned(), arguments }
    }

    fn kicked(command: &str) -> Wish {
        let empty = String::new;
        Wish::Kicked { command: command.to_owned(), referer: empty(), arg: empty(), next: empty() }
    }

    #[test]
    fn what_is_left_is_taken_once_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        assert_eq!(take(&root), (vec![], vec![]));
        let (first, second) = (download("1 Firmware Upgrade Image", &[("Version", "2")]), kicked("reload"));
        leave(&root, &first).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(10));
        leave(&root, &second).unwrap();
        assert_eq!(take(&root), (vec![first, second], vec![]));
        assert_eq!(take(&root), (vec![], vec![]));
    }

    #[test]
    fn lengths() {
        let refused = |wish: Wish| wish.check().unwrap_err().to_string();
        assert!(refused(download("", &[])).contains("empty"));
        assert!(refused(download(&"x".repeat(65), &[])).contains("file type"));
        assert!(refused(download("1", &[("a", &"x".repeat(257))])).contains("argument a"));
        assert!(refused(download("1", &[("a", "b\n")])).contains("control"));
        assert!(refused(download("1", &[("a", "b"); 17])).contains("16 arguments"));
        assert!(refused(kicked(&"x".repeat(33))).contains("command"));
        assert_eq!(download(&"ü".repeat(64), &[("a", "b"); 16]).check(), Ok(()));
    }

    #[test]
    fn what_others_put_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        let place = prepare(&root).unwrap();
        fs::write(place.join("long"), vec![b' '; MAX_FILE + 1]).unwrap();
        fs::write(place.join("binary"), [0, 255, 3]).unwrap();
        fs::write(place.join("other"), "{\"reboot\": {}}").unwrap();
        fs::write(place.join("wide"), "{\"kicked\": {\"command\": \"a\\u0007\"}}").unwrap();
        fs::write(place.join("deep"), "[".repeat(10_000)).unwrap();
        fs::create_dir(place.join("folder")).unwrap();
        symlink("/dev/zero", place.join("zero")).unwrap();
        nix::unistd::mkfifo(&place.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::write(place.join(".coming"), "{}").unwrap();
        fs::write(place.join("good"), "{\"kicked\": {\"command\": \"a\"}}").unwrap();
        let (wishes, complaints) = take(&root);
        assert_eq!(wishes, [kicked("a")]);
        assert_eq!(complaints.len(), 8, "{complaints:#?}");
        assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
        for _ in 0..MAX_WAITING - 1 {
            leave(&root, &kicked("b")).unwrap();
        }
        assert!(leave(&root, &kicked("b")).unwrap_err().to_string().contains("16 requests"));
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        fs::create_dir_all(dir.path().join("var/run/rcwmp")).unwrap();
        fs::write(dir.path().join("var/run/rcwmp/requests"), "").unwrap();
        assert!(prepare(&root).is_err() && leave(&root, &kicked("a")).is_err());
    }
}
