//! The packages that were changed and of which no service was told yet.
//!
//! They stand in a file as well, from before a commit until services were told: whoever is killed between the two has a
//! successor who tells them. It lies where a reboot forgets it, for then every service reads its files anew.
//!
//! ```text
//!  announce ─► commit ─► touched ─► take: somebody tells services ─► told(what was not taken), which stays in the file
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::System;
use crate::set::Set;
use crate::sys::dir;
use crate::sys::fs::{FsError, Root, read_capped, write_atomic};

const PLACE: &str = "/var/run/rcwmp/untold";
/// Of the file, in octets.
const MAX: usize = 16 * 1024;
/// Of a package's name, in octets.
const MAX_NAME: usize = 255;

impl System {
    /// The packages that commits have changed since the last call, for reloading what depends on them.
    pub fn take_touched(&mut self) -> Set<String> {
        self.touched.take()
    }

    /// Whether there are such packages.
    pub fn has_touched(&self) -> bool {
        !self.touched.packages.is_empty()
    }

    /// Services were told of the packages that were taken, but not of these; until then a successor of this process
    /// would tell them.
    pub fn told(&mut self, but: Set<String>) {
        self.touched.told(but);
    }
}

/// Those of one root.
#[derive(Debug)]
pub(super) struct Untold {
    path: Option<PathBuf>,
    /// Nobody has taken these yet.
    packages: Set<String>,
    /// Taken, and not told.
    taken: Set<String>,
    /// As in the file.
    kept: Set<String>,
    /// Why they are not kept.
    pub(super) complaint: Option<String>,
}

impl Untold {
    /// With what a predecessor has left.
    pub(super) fn open(root: &Root) -> Untold {
        let path = root.resolve(PLACE).ok();
        let text = path.as_ref().and_then(|path| read_capped(path, MAX).ok()).unwrap_or_default();
        let lines = String::from_utf8_lossy(&text).into_owned();
        let packages: Set<String> = lines.lines().filter(|name| is_name(name)).map(str::to_owned).collect();
        Untold { path, kept: packages.clone(), packages, taken: Set::new(), complaint: None }
    }

    /// Keeps these as well, before they are changed.
    pub(super) fn announce<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let mut all = self.all();
        all.extend(names.map(str::to_owned));
        self.keep(all);
    }

    /// These were changed.
    pub(super) fn extend(&mut self, names: impl IntoIterator<Item = String>) {
        self.packages.extend(names);
    }

    /// Takes them, to tell services.
    pub(super) fn take(&mut self) -> Set<String> {
        let packages = std::mem::take(&mut self.packages);
        self.taken.extend(packages.iter().cloned());
        packages
    }

    /// Services were told of all that was taken, but of these.
    pub(super) fn told(&mut self, but: Set<String>) {
        self.taken = but;
        self.keep(self.all());
    }

    fn all(&self) -> Set<String> {
        self.packages.iter().chain(&self.taken).cloned().collect()
    }

    /// Writes on change: a service that is asked for again and again is no reason to.
    fn keep(&mut self, names: Set<String>) {
        if names != self.kept {
            self.complaint = self.write(&names).err().map(|why| why.to_string());
            self.kept = names;
        }
    }

    fn write(&self, names: &Set<String>) -> Result<(), FsError> {
        let Some(path) = &self.path else { return Ok(()) };
        if names.is_empty() {
            return match fs::remove_file(path) {
                Err(why) if why.kind() != ErrorKind::NotFound => Err(FsError::io("remove", path)(why)),
                _ => Ok(()),
            };
        }
        if let Some(above) = path.parent() {
            dir::make_private(above)?;
        }
        let text: String = names.iter().flat_map(|name| [name.as_str(), "\n"]).collect();
        write_atomic(path, text.as_bytes(), 0o600)
    }
}

fn is_name(name: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet);
    !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('.') && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_tells_what_nobody_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        let file = folder.path().join("var/run/rcwmp/untold");
        let mut first = Untold::open(&root);
        first.announce(["network", "dhcp"].into_iter());
        // Killed here, it has left a word.
        assert_eq!(Untold::open(&root).take().len(), 2);
        first.extend(["network".to_owned()]);
        assert_eq!(first.take().into_iter().collect::<Vec<_>>(), ["network"]);
        // Not taken by whoever was asked, it is left to a successor, and written once.
        first.told(Set::from(["network".to_owned()]));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "network\n");
        assert!(first.take().is_empty());
        assert_eq!(Untold::open(&root).take().len(), 1);
        std::fs::remove_file(&file).unwrap();
        first.told(Set::from(["network".to_owned()]));
        assert!(!file.exists());
        first.announce(["dhcp"].into_iter());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "dhcp\nnetwork\n");
        first.told(Set::new());
        assert!(!file.exists());
        assert!(Untold::open(&root).take().is_empty());
        // Nobody writes what is empty, and nobody believes what is no name.
        first.announce(std::iter::empty());
        assert!(!file.exists());
        std::fs::write(&file, "dhcp\n../x\n\n.hidden\na b\n").unwrap();
        let mut next = Untold::open(&root);
        assert_eq!(next.take().into_iter().collect::<Vec<_>>(), ["dhcp"]);
        next.extend(["later".to_owned()]);
        next.told(Set::new());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "later\n");
    }
}
