//! Which files below a folder are opened, and how often: counted by the kernel (inotify), whoever does it.
// Helpers of tests may unwrap as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// Who opens which file below a folder.
pub struct Opens {
    inotify: Inotify,
    folders: HashMap<WatchDescriptor, PathBuf>,
}

impl Opens {
    pub fn below(root: &Path) -> Opens {
        let flags = InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC;
        let mut opens = Opens { inotify: Inotify::init(flags).unwrap(), folders: HashMap::new() };
        opens.watch(root);
        // That has opened each folder.
        opens.take();
        opens
    }

    fn watch(&mut self, folder: &Path) {
        // With the closing among the events, two openings in a row are two events.
        let what = AddWatchFlags::IN_OPEN | AddWatchFlags::IN_CLOSE | AddWatchFlags::IN_DONT_FOLLOW;
        self.folders.insert(self.inotify.add_watch(folder, what).unwrap(), folder.to_path_buf());
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                self.watch(&entry.path());
            }
        }
    }

    /// How often each file and each folder was opened since the last call.
    pub fn take(&self) -> BTreeMap<PathBuf, usize> {
        let mut out = BTreeMap::new();
        while let Ok(events) = self.inotify.read_events() {
            for event in events {
                assert!(!event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW), "too many events to count");
                if event.mask.contains(AddWatchFlags::IN_OPEN) {
                    // A folder is told twice, by its own watch and by its parent's.
                    let Some(name) = &event.name else { continue };
                    *out.entry(self.folders[&event.wd].join(name)).or_default() += 1;
                }
            }
        }
        out
    }
}
