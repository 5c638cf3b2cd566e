//! Who has changed which package of `/etc/config`, or a file of another folder: inotify(7), for the poll loop.
//!
//! ```text
//!  uci commit, editors, sysupgrade ─► rename, close after writing, unlink ─► names of packages
//!  too many, lost events, another directory in its place                  ─► everything
//! ```
//! Only what is committed counts: saved changes in `/tmp/.uci` are not watched. A package that is a link
//! to a file elsewhere is seen when the link changes; for the file behind it there is the look at
//! everything with which each session begins.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use crate::model::reach::Scope;
use crate::set::Set;
use crate::sys::fs::Root;

/// The most packages that are told by name; beyond that it is everything.
const MAX_NAMES: usize = 64;
/// The longest name of a package.
const MAX_NAME: usize = 64;
/// The most events of one call, in buffers of 4 KiB; what is beyond wakes the loop again.
const MAX_BUFFERS: usize = 64;

/// A watch over the directory of configuration files.
#[derive(Debug)]
pub struct ConfigChanges {
    inotify: Inotify,
    root: Root,
    dir: PathBuf,
    /// The directory itself.
    inside: Option<Watched>,
    /// The one above, where another may take its place.
    above: Option<Watched>,
}

/// A directory under watch: by number, because another one may get its name.
#[derive(Debug, Clone, Copy)]
struct Watched {
    by: WatchDescriptor,
    device: u64,
    inode: u64,
}

impl ConfigChanges {
    /// Watches `dir`, a path of the router below `root`; it need not exist yet.
    ///
    /// # Errors
    /// When the kernel gives no inotify instance. Without it, look at everything from time to time.
    pub fn open(root: Root, dir: impl Into<PathBuf>) -> io::Result<ConfigChanges> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let mut changes = ConfigChanges { inotify, root, dir: dir.into(), inside: None, above: None };
        changes.follow();
        Ok(changes)
    }

    /// What has changed since the last call; never waits. To be called when [`ConfigChanges::as_fd`] is
    /// ready, and now and then without that: a directory on another file system may take this one's
    /// place without an event.
    pub fn changed(&mut self) -> Option<Scope> {
        let mut names = Set::new();
        let mut all = false;
        for _ in 0..MAX_BUFFERS {
            match self.inotify.read_events() {
                Ok(events) => {
                    for event in events {
                        all |= self.is_unclear(&event);
                        names.extend(self.package(&event));
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(_) => {
                    all = true;
                    break;
                }
            }
            if names.len() > MAX_NAMES {
                all = true;
                names.clear();
            }
        }
        // In this order: what happens after the new watch is there is told by the new watch.
        all |= self.follow();
        match (all, names.is_empty()) {
            (true, _) => Some(Scope::All),
            (false, false) => Some(Scope::Packages(names)),
            (false, true) => None,
        }
    }

    /// Whether an event says that names are not the whole truth.
    fn is_unclear(&self, event: &InotifyEvent) -> bool {
        let lost = AddWatchFlags::IN_Q_OVERFLOW;
        let gone = AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_UNMOUNT | AddWatchFlags::IN_MOVE_SELF;
        let inside = self.inside.is_some_and(|inside| inside.by == event.wd);
        event.mask.intersects(lost) || (inside && event.mask.intersects(gone))
    }

    /// The package that an event is about.
    fn package(&self, event: &InotifyEvent) -> Option<String> {
        let name = event.name.as_deref().and_then(OsStr::to_str)?;
        if self.inside.is_none_or(|inside| inside.by != event.wd)
            || event.mask.intersects(AddWatchFlags::IN_ISDIR)
            || !is_package(name)
        {
            return None;
        }
        // A new file is told of when it has been written; a link is never written.
        if event.mask.intersects(AddWatchFlags::IN_CREATE) {
            let path = self.root.resolve(&self.dir).ok()?.join(name);
            let meta = fs::symlink_metadata(path).ok()?;
            if !meta.is_symlink() && meta.nlink() < 2 {
                return None;
            }
        }
        Some(name.to_owned())
    }

    /// Watches what now has the names. Gives whether the directory is another than before.
    fn follow(&mut self) -> bool {
        let dir = self.root.resolve(&self.dir).ok();
        let parent = dir.as_deref().and_then(Path::parent);
        let appears = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        // First above: a directory that comes between the two steps wakes the loop.
        self.above = self.watch(parent, self.above, appears);
        let files = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        let before = self.inside;
        self.inside = self.watch(dir.as_deref(), before, files);
        let number = |watched: Option<Watched>| watched.map(|one| (one.device, one.inode));
        number(before) != number(self.inside)
    }

    /// Keeps the watch on a directory, or makes a new one if another has its name.
    fn watch(&self, path: Option<&Path>, old: Option<Watched>, what: AddWatchFlags) -> Option<Watched> {
        let found = path.and_then(|path| Some((path, fs::metadata(path).ok().filter(|meta| meta.is_dir())?)));
        if let (Some(old), Some((_, meta))) = (old, &found)
            && (meta.dev(), meta.ino()) == (old.device, old.inode)
        {
            return Some(old);
        }
        if let Some(old) = old {
            // Gone with its directory, most of the time.
            let _ = self.inotify.rm_watch(old.by);
        }
        let (path, meta) = found?;
        let by = self.inotify.add_watch(path, what | AddWatchFlags::IN_ONLYDIR).ok()?;
        Some(Watched { by, device: meta.dev(), inode: meta.ino() })
    }
}

impl AsFd for ConfigChanges {
    /// Ready for reading when [`ConfigChanges::changed`] has something to tell.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Temporary files of `uci` and of editors begin with a dot or end in odd characters.
fn is_package(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    struct Router {
        dir: tempfile::TempDir,
        changes: ConfigChanges,
    }

    fn router() -> Router {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/config")).unwrap();
        let mut changes = ConfigChanges::open(Root::new(dir.path()), "/etc/config").unwrap();
        assert_eq!(changes.changed(), None);
        Router { dir, changes }
    }

    impl Router {
        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join("etc/config").join(name)
        }

        fn ready(&self) -> bool {
            poll(&mut [PollFd::new(self.changes.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
        }

        #[track_caller]
        fn check(&mut self, packages: &str) {
            assert!(packages.is_empty() || self.ready());
            let expected = match packages {
                "" => None,
                "*" => Some(Scope::All),
                names => Some(Scope::Packages(names.split(' ').map(str::to_owned).collect())),
            };
            assert_eq!(self.changes.changed(), expected);
            assert_eq!(self.changes.changed(), None);
            assert!(!self.ready());
        }
    }

    #[test]
    fn every_way_to_change_a_file() {
        let mut router = router();
        // As uci does it, and as editors do.
        fs::write(router.path(".network.uci-a1B2c3"), "x").unwrap();
        router.check("");
        fs::rename(router.path(".network.uci-a1B2c3"), router.path("network")).unwrap();
        router.check("network");
        fs::write(router.path("network"), "y").unwrap();
        fs::write(router.path("wireless"), "y").unwrap();
        router.check("network wireless");
        fs::rename(router.path("wireless"), router.path("wireless~")).unwrap();
        router.check("wireless");
        fs::remove_file(router.path("network")).unwrap();
        router.check("network");
        fs::hard_link(router.path("wireless~"), router.path("system")).unwrap();
        symlink("/tmp/elsewhere", router.path("dhcp")).unwrap();
        router.check("dhcp system");
        // Nothing of interest: reading, a directory, odd names, a file that is still being written.
        fs::read(router.path("system")).unwrap();
        fs::create_dir(router.path("folder")).unwrap();
        fs::write(router.path("4913~"), "").unwrap();
        let open = fs::File::create(router.path("firewall")).unwrap();
        router.check("");
        drop(open);
        router.check("firewall");
    }

    #[test]
    fn a_shell_s_editing_is_seen() {
        let mut router = router();
        fs::write(router.path("system"), "option hostname 'a'\n").unwrap();
        router.check("system");
        let file = router.path("system");
        assert!(Command::new("sed").args(["-i", "s/a/b/"]).arg(file).status().unwrap().success());
        // sed's own temporary file has a name that a package could have, before it gets the right one.
        let Some(Scope::Packages(names)) = router.changes.changed() else { panic!("nothing was seen") };
        assert!(names.contains("system"), "{names:?}");
    }

    #[test]
    fn another_directory_takes_its_place() {
        let mut router = router();
        let (old, new) = (router.dir.path().join("etc/config"), router.dir.path().join("etc/old"));
        fs::rename(&old, &new).unwrap();
        assert!(router.ready());
        router.check("*");
        // What happens in the one that is gone is nobody's business.
        fs::write(new.join("network"), "x").unwrap();
        router.check("");
        fs::create_dir(&old).unwrap();
        assert!(router.ready());
        router.check("*");
        fs::write(router.path("network"), "x").unwrap();
        router.check("network");
        fs::remove_dir_all(&old).unwrap();
        router.check("*");
        fs::rename(&new, &old).unwrap();
        assert!(router.ready());
        router.check("*");
        fs::write(router.path("dhcp"), "x").unwrap();
        router.check("dhcp");
    }

    #[test]
    fn there_may_be_no_directory_yet() {
        let dir = tempfile::tempdir().unwrap();
        let mut changes = ConfigChanges::open(Root::new(dir.path()), "/etc/config").unwrap();
        assert_eq!(changes.changed(), None);
        fs::create_dir_all(dir.path().join("etc/config")).unwrap();
        assert_eq!(changes.changed(), Some(Scope::All));
        fs::write(dir.path().join("etc/config/network"), "x").unwrap();
        assert_eq!(changes.changed(), Some(Scope::Packages(Set::from(["network".to_owned()]))));
    }

    #[test]
    fn too_much_is_everything() {
        let mut router = router();
        for n in 0..=MAX_NAMES {
            fs::write(router.path(&format!("p{n}")), "x").unwrap();
        }
        router.check("*");
        let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let most: usize = most.trim().parse().unwrap();
        assert!(most <= 1 << 20, "this kernel's queue is too long for a test");
        for _ in 0..=most / 2 {
            for name in ["a", "b"] {
                drop(fs::OpenOptions::new().append(true).create(true).open(router.path(name)).unwrap());
            }
        }
        // It takes several calls to read all of them, and the last says that some are lost.
        let mut found = Vec::new();
        while router.ready() {
            found.extend(router.changes.changed());
            assert!(found.len() < 10_000);
        }
        assert!(found.contains(&Scope::All), "{found:?}");
        fs::write(router.path("network"), "x").unwrap();
        router.check("network");
    }
}
