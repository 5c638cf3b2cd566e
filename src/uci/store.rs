//! The packages of `/etc/config`: read with what `/tmp/.uci` adds, changed in memory, committed together.
//!
//! Changes are staged on a copy that the store's own reads see. A commit locks each file as libuci
//! does, reads it afresh, folds in the saved changes, does the staged ones again on that, and has
//! the journal replace all files at once; so what others changed meanwhile is kept.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::Flock;

use crate::map::Map;
use crate::sys::fs::{FsError, Root, open_regular, read_open};
use crate::sys::journal::{Journal, Write, lock};

use super::delta;
use super::edit::EditError;
use super::text::{Document, MAX_FILE, ParseError, Section, Value};

/// Longest package name.
const MAX_NAME: usize = 64;
/// How often a file may be replaced while its lock is awaited.
const MAX_RELOCKS: usize = 16;

/// Why a package cannot be read or written.
#[derive(Debug)]
pub enum StoreError {
    /// There is no such file.
    NoPackage(String),
    /// Not the name of a file in `/etc/config`.
    BadName(String),
    /// The file is not UCI.
    Parse(ParseError),
    /// The change is not possible.
    Edit {
        /// The package.
        package: String,
        /// Why not.
        source: EditError,
    },
    /// Another process changed the package so that a staged change has lost its object.
    Conflict {
        /// The package.
        package: String,
        /// What is missing.
        why: String,
    },
    /// What would be written does not read back as it was meant; nothing was written.
    Unsound {
        /// The package.
        package: String,
        /// What differs.
        why: String,
    },
    /// The file system refused.
    Fs(FsError),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::NoPackage(name) => write!(f, "no configuration file {name:?}"),
            StoreError::BadName(name) => write!(f, "{name:?} is not the name of a configuration file"),
            StoreError::Parse(error) => error.fmt(f),
            StoreError::Edit { package, source } => write!(f, "{package}: {source}"),
            StoreError::Conflict { package, why } => {
                write!(f, "{package} was changed by another process: {why}")
            }
            StoreError::Unsound { package, why } => write!(f, "{package} is not written: {why}"),
            StoreError::Fs(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<FsError> for StoreError {
    fn from(error: FsError) -> Self {
        StoreError::Fs(error)
    }
}

/// All packages of a router.
#[derive(Debug)]
pub struct Store {
    root: Root,
    config_dir: PathBuf,
    delta_dir: PathBuf,
    cache: Map<String, Loaded>,
    staged: Map<String, Staged>,
    /// Of the last content that was read or staged.
    revision: u32,
}

/// A package as read, with its saved changes.
#[derive(Debug)]
struct Loaded {
    /// A file that is not UCI is not read again until it is another.
    document: Result<Document, ParseError>,
    stamps: [Option<Stamp>; 2],
    /// Compared with the files since the last refresh.
    checked: bool,
    revision: u32,
}

/// A package with changes of ours.
#[derive(Debug)]
struct Staged {
    /// As it was when the first change was made.
    base: Document,
    document: Document,
    operations: Vec<Operation>,
    /// The file is to be made if it is missing.
    create: bool,
    base_revision: u32,
    revision: u32,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// One staged change. Sections go by their keys.
#[derive(Debug, Clone)]
enum Operation {
    Set { section: String, option: String, value: Value },
    AddSection { ty: String, key: String, anonymous: bool },
    DeleteSection { section: String },
    RenameSection { section: String, name: String },
    MoveSection { section: String, follower: Option<String> },
}

impl Store {
    /// A store of the files in `config_dir` (on a router `/etc/config`) and the saved changes in
    /// `delta_dir` (`/tmp/.uci`), both within `root`. Nothing is read yet.
    pub fn new(root: Root, config_dir: impl Into<PathBuf>, delta_dir: impl Into<PathBuf>) -> Store {
        let (config_dir, delta_dir) = (config_dir.into(), delta_dir.into());
        Store { root, config_dir, delta_dir, cache: Map::new(), staged: Map::new(), revision: 0 }
    }

    /// Where the packages are, below the root.
    pub fn config_dir(&self) -> &std::path::Path {
        &self.config_dir
    }

    /// To be called at the start of a session: from here on each package is looked at once more,
    /// and read again if its file or its saved changes are not what they were.
    pub fn refresh(&mut self) {
        self.cache.values_mut().for_each(|loaded| loaded.checked = false);
    }

    /// The names of all packages, in order.
    pub fn packages(&self) -> Result<Vec<String>, StoreError> {
        let dir = self.root.resolve(&self.config_dir)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).map_err(FsError::io("list", &dir))? {
            let entry = entry.map_err(FsError::io("list", &dir))?;
            if let Ok(name) = entry.file_name().into_string()
                && is_package(&name)
                && self.root.resolve(self.config_dir.join(&name))?.is_file()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The packages that are known here because something was read of them.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        self.cache.keys().map(String::as_str)
    }

    /// A package as `uci` shows it, and with what is staged here.
    pub fn package(&mut self, name: &str) -> Result<&Document, StoreError> {
        if self.staged.contains_key(name) {
            return Ok(&self.staged[name].document);
        }
        self.load(name)
    }

    /// A package as it was before anything was staged, and a number for this content: as long as the
    /// number is the same, so are the sections and their keys.
    ///
    /// # Errors
    /// As [`Store::package`].
    pub fn before(&mut self, name: &str) -> Result<(&Document, u32), StoreError> {
        if self.staged.contains_key(name) {
            let staged = &self.staged[name];
            return Ok((&staged.base, staged.base_revision));
        }
        self.load(name)?;
        let Loaded { document, revision, .. } = &self.cache[name];
        let document = document.as_ref().map_err(|error| StoreError::Parse(error.clone()))?;
        Ok((document, *revision))
    }

    /// A package with what is staged, and a number for this content as of [`Store::before`]; `None` when
    /// nothing is staged.
    pub fn after(&self, name: &str) -> Option<(&Document, u32)> {
        self.staged.get(name).map(|staged| (&staged.document, staged.revision))
    }

    /// The value of an option; `None` if there is no such section or option.
    pub fn option(
        &mut self,
        package: &str,
        section: &str,
        option: &str,
    ) -> Result<Option<Value>, StoreError> {
        Ok(self.package(package)?.option(section, option).cloned())
    }

    /// Stages a value, see [`Document::set`]; true if it differs from what is there.
    pub fn set(
        &mut self,
        package: &str,
        section: &str,
        option: &str,
        value: Value,
    ) -> Result<bool, StoreError> {
        self.stage(package, |document| {
            let key = key(document, section)?;
            let changed = document.set(&key, option, &value)?;
            let operation = Operation::Set { section: key, option: option.into(), value };
            Ok((changed, changed.then_some(operation)))
        })
    }

    /// Stages the deletion of an option; true if there is one.
    pub fn delete_option(&mut self, package: &str, section: &str, option: &str) -> Result<bool, StoreError> {
        self.set(package, section, option, Value::List(Vec::new()))
    }

    /// Stages a new section and gives its key, see [`Document::add_section`].
    ///
    /// The key of an anonymous section is good until the commit; after it the section may have
    /// another, as with `uci`. Give a name to what has to be found again.
    pub fn add_section(&mut self, package: &str, ty: &str, name: Option<&str>) -> Result<String, StoreError> {
        self.stage(package, |document| {
            let key = document.add_section(ty, name)?;
            let operation =
                Operation::AddSection { ty: ty.into(), key: key.clone(), anonymous: name.is_none() };
            Ok((key, Some(operation)))
        })
    }

    /// Stages the deletion of a section.
    pub fn delete_section(&mut self, package: &str, section: &str) -> Result<(), StoreError> {
        self.stage(package, |document| {
            let key = key(document, section)?;
            document.delete_section(&key)?;
            Ok(((), Some(Operation::DeleteSection { section: key })))
        })
    }

    /// Stages a name for a section.
    pub fn rename_section(&mut self, package: &str, section: &str, name: &str) -> Result<(), StoreError> {
        self.stage(package, |document| {
            let key = key(document, section)?;
            document.rename_section(&key, name)?;
            Ok(((), Some(Operation::RenameSection { section: key, name: name.into() })))
        })
    }

    /// Stages another place for a section: before the follower, or at the end without one.
    pub fn move_section(
        &mut self,
        package: &str,
        section: &str,
        follower: Option<&str>,
    ) -> Result<(), StoreError> {
        self.stage(package, |document| {
            let section = key(document, section)?;
            let follower = follower.map(|follower| key(document, follower)).transpose()?;
            document.move_section(&section, follower.as_deref())?;
            Ok(((), Some(Operation::MoveSection { section, follower })))
        })
    }

    /// Makes a package that can be staged to even if its file is not there yet.
    pub fn create(&mut self, package: &str) -> Result<(), StoreError> {
        match self.package(package) {
            Err(StoreError::NoPackage(_)) => {}
            known => return known.map(drop),
        }
        let base = Document::parse(package, b"").map_err(StoreError::Parse)?;
        let base_revision = self.next_revision();
        let revision = self.next_revision();
        let document = base.clone();
        let staged = Staged { document, base, operations: Vec::new(), create: true, base_revision, revision };
        self.staged.insert(package.into(), staged);
        Ok(())
    }

    /// The packages with staged changes: what a commit writes, and whose services need a reload.
    pub fn changed(&self) -> impl Iterator<Item = &str> {
        self.staged.iter().filter(|(_, staged)| !staged.operations.is_empty()).map(|(name, _)| name.as_str())
    }

    /// What a commit would write if nobody changes a file before it.
    pub fn changes(&self) -> Result<Vec<Write>, StoreError> {
        let mut writes = Vec::new();
        for name in self.changed() {
            let path = self.root.resolve(self.config_dir.join(name))?;
            writes.push(Write::Replace { path, bytes: self.staged[name].document.to_bytes() });
        }
        Ok(writes)
    }

    /// Drops all staged changes.
    pub fn revert(&mut self) {
        self.staged.clear();
    }

    /// Writes all staged changes, and `also`, together or not at all; gives the packages written.
    ///
    /// The saved changes of a written package become part of it. After an error everything is still
    /// staged: commit again, or revert. (After the one error that [`Journal::commit`] can give once it
    /// has decided, the next `recover` completes the commit: revert then.)
    pub fn commit(&mut self, journal: &Journal, also: &[Write]) -> Result<Vec<String>, StoreError> {
        let names: Vec<String> = self.changed().map(str::to_string).collect();
        let (mut writes, mut written) = (also.to_vec(), Vec::new());
        // Held until the files are replaced; in the order of the names, so that nobody waits in a circle.
        let mut locks = Vec::new();
        for name in &names {
            let staged = &self.staged[name];
            let path = self.root.resolve(self.config_dir.join(name))?;
            let old = match lock_current(&path)? {
                Some(file) => {
                    let bytes = read_open(&file, &path, MAX_FILE)?;
                    locks.push(file);
                    bytes
                }
                None if staged.create => Vec::new(),
                None => return Err(StoreError::NoPackage(name.clone())),
            };
            let saved_path = self.root.resolve(self.delta_dir.join(name))?;
            let seen = match lock_current(&saved_path)? {
                Some(file) => {
                    let bytes = read_open(&file, &saved_path, MAX_FILE)?;
                    locks.push(file);
                    bytes
                }
                None => Vec::new(),
            };
            let (mut document, applied) = combine(name, &old, &seen)?;
            replay(name, staged, &mut document)?;
            let bytes = document.to_bytes();
            verify(name, &document, &bytes)?;
            if bytes != old || staged.create {
                written.push(name.clone());
                writes.push(Write::Replace { path, bytes });
            }
            // As libuci has it: a file of nothing but broken lines stays, to be looked at.
            if applied > 0 {
                writes.push(Write::Cut { path: saved_path, seen });
            }
        }
        journal.commit(&writes)?;
        drop(locks);
        for name in &names {
            self.cache.remove(name);
        }
        self.staged.clear();
        Ok(written)
    }

    /// Replaces whole packages, all of them or none, and drops their saved changes; gives those whose
    /// files were not the same already. Nothing must be staged.
    ///
    /// # Errors
    /// [`StoreError::BadName`], [`StoreError::Parse`]; what the files or the journal refuse.
    pub fn import(
        &mut self,
        packages: &[(String, Vec<u8>)],
        journal: &Journal,
    ) -> Result<Vec<String>, StoreError> {
        let (mut writes, mut locks, mut written) = (Vec::new(), Vec::new(), Vec::new());
        for (name, bytes) in packages {
            if !is_package(name) {
                return Err(StoreError::BadName(name.clone()));
            }
            Document::parse(name, bytes).map_err(StoreError::Parse)?;
            let path = self.root.resolve(self.config_dir.join(name))?;
            let old = match lock_current(&path)? {
                Some(file) => {
                    let old = read_open(&file, &path, MAX_FILE)?;
                    locks.push(file);
                    Some(old)
                }
                None => None,
            };
            if old.as_ref() != Some(bytes) {
                written.push(name.clone());
                writes.push(Write::Replace { path, bytes: bytes.clone() });
            }
            let saved_path = self.root.resolve(self.delta_dir.join(name))?;
            if let Some(file) = lock_current(&saved_path)? {
                let seen = read_open(&file, &saved_path, MAX_FILE)?;
                locks.push(file);
                if !seen.is_empty() {
                    writes.push(Write::Cut { path: saved_path, seen });
                }
            }
        }
        journal.commit(&writes)?;
        drop(locks);
        for (name, _) in packages {
            self.cache.remove(name);
        }
        Ok(written)
    }

    /// Runs `edit` on the staged copy and keeps what it did.
    fn stage<T>(
        &mut self,
        package: &str,
        edit: impl FnOnce(&mut Document) -> Result<(T, Option<Operation>), EditError>,
    ) -> Result<T, StoreError> {
        let failed = |source| StoreError::Edit { package: package.to_string(), source };
        let revision = self.next_revision();
        if let Some(staged) = self.staged.get_mut(package) {
            staged.revision = revision;
            let (given, operation) = edit(&mut staged.document).map_err(failed)?;
            staged.operations.extend(operation);
            return Ok(given);
        }
        let (base, base_revision) = self.before(package)?;
        let base = base.clone();
        let mut document = base.clone();
        let (given, operation) = edit(&mut document).map_err(failed)?;
        if let Some(operation) = operation {
            let operations = vec![operation];
            let staged = Staged { base, document, operations, create: false, base_revision, revision };
            self.staged.insert(package.into(), staged);
        }
        Ok(given)
    }

    /// Wraps after four thousand million changes, when nobody remembers the first.
    fn next_revision(&mut self) -> u32 {
        self.revision = self.revision.wrapping_add(1);
        self.revision
    }

    fn load(&mut self, name: &str) -> Result<&Document, StoreError> {
        if !self.cache.get(name).is_some_and(|loaded| loaded.checked) {
            if !is_package(name) {
                return Err(StoreError::BadName(name.into()));
            }
            let paths = [
                self.root.resolve(self.config_dir.join(name))?,
                self.root.resolve(self.delta_dir.join(name))?,
            ];
            // Before the reading: a change during it is noticed the next time.
            let stamps = [Stamp::of(&paths[0])?, Stamp::of(&paths[1])?];
            match self.cache.get_mut(name) {
                Some(loaded) if loaded.stamps == stamps => loaded.checked = true,
                _ => {
                    self.cache.remove(name);
                    let document = match read_package(name, &paths) {
                        Err(StoreError::Parse(error)) => Err(error),
                        read => Ok(read?),
                    };
                    let revision = self.next_revision();
                    self.cache.insert(name.into(), Loaded { document, stamps, checked: true, revision });
                }
            }
        }
        self.cache[name].document.as_ref().map_err(|error| StoreError::Parse(error.clone()))
    }
}

impl Stamp {
    fn of(path: &Path) -> Result<Option<Stamp>, FsError> {
        match fs::metadata(path) {
            Ok(data) => Ok(Some(Stamp {
                device: data.dev(),
                inode: data.ino(),
                length: data.len(),
                modified: (data.mtime(), data.mtime_nsec()),
                changed: (data.ctime(), data.ctime_nsec()),
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FsError::io("look at", path)(error)),
        }
    }
}

fn read_package(name: &str, [path, saved]: &[PathBuf; 2]) -> Result<Document, StoreError> {
    let bytes = match open_regular(path).and_then(|file| read_open(&file, path, MAX_FILE)) {
        Err(error) if error.is_missing() => return Err(StoreError::NoPackage(name.into())),
        read => read?,
    };
    let seen = match open_regular(saved) {
        Err(error) if error.is_missing() => Vec::new(),
        // `uci` appends under a lock; without it half a line might be seen.
        opened => {
            let file = lock(saved, opened?, false)?;
            read_open(&file, saved, MAX_FILE)?
        }
    };
    combine(name, &bytes, &seen).map(|(document, _)| document)
}

/// The package with its saved changes, and how many of these there were.
fn combine(name: &str, bytes: &[u8], seen: &[u8]) -> Result<(Document, usize), StoreError> {
    let mut document = Document::parse(name, bytes).map_err(StoreError::Parse)?;
    let (saved, mut skipped) = delta::parse(name, seen);
    let failed = delta::apply(&mut document, &saved);
    let applied = saved.len() - failed.len();
    skipped.extend(failed);
    for one in skipped {
        log::warn!("{name}: {one}");
    }
    Ok((document, applied))
}

/// Opens and locks the file that is at `path` once the lock is held; `None` if there is none.
fn lock_current(path: &Path) -> Result<Option<Flock<File>>, FsError> {
    for _ in 0..MAX_RELOCKS {
        let file = match open_regular(path) {
            Err(error) if error.is_missing() => return Ok(None),
            opened => lock(path, opened?, true)?,
        };
        let held = file.metadata().map_err(FsError::io("look at", path))?;
        // Another commit may have put a new file in the place of the one that was locked.
        if Stamp::of(path)?.is_some_and(|now| (now.device, now.inode) == (held.dev(), held.ino())) {
            return Ok(Some(file));
        }
    }
    Err(FsError::Locked(path.to_path_buf()))
}

/// Does the staged changes again on what is in the file by now.
fn replay(name: &str, staged: &Staged, document: &mut Document) -> Result<(), StoreError> {
    let conflict = |why: String| StoreError::Conflict { package: name.to_string(), why };
    // Generated names are positions. If sections came or went, the same name is another section.
    let mut now: HashMap<&str, String> = HashMap::new();
    for section in staged.base.sections().filter(|section| section.is_anonymous()) {
        match same_section(section, document) {
            // Two that became one: neither can be told from the other.
            Some(found) if now.values().any(|known| *known == found) => {}
            Some(found) => drop(now.insert(section.key(), found)),
            None => {}
        }
    }
    let mut added: HashMap<String, String> = HashMap::new();
    for operation in &staged.operations {
        let place = |section: &str| -> Result<String, StoreError> {
            if let Some(key) = added.get(section) {
                return Ok(key.clone());
            }
            match staged.base.find(section) {
                Some(known) if known.is_anonymous() => now
                    .get(section)
                    .cloned()
                    .ok_or_else(|| conflict(format!("section {section:?} is not what it was"))),
                _ => Ok(section.to_string()),
            }
        };
        let done = match operation {
            Operation::Set { section, option, value } => {
                document.set(&place(section)?, option, value).map(drop)
            }
            Operation::DeleteSection { section } => document.delete_section(&place(section)?),
            Operation::RenameSection { section, name } => document.rename_section(&place(section)?, name),
            Operation::MoveSection { section, follower } => {
                // Without the one that was to follow it stands at the end.
                let follower = follower.as_deref().and_then(|follower| place(follower).ok());
                document.move_section(&place(section)?, follower.as_deref())
            }
            Operation::AddSection { ty, key, anonymous } => {
                match document.add_section_as(ty, key, *anonymous) {
                    Err(EditError::Exists(_)) if *anonymous => {
                        document.add_section(ty, None).map(|made| drop(added.insert(key.clone(), made)))
                    }
                    done => done.map(|()| drop(added.insert(key.clone(), key.clone()))),
                }
            }
        };
        done.map_err(|error| conflict(error.to_string()))?;
    }
    Ok(())
}

/// The key by now of an anonymous section: of the one with the same type and options.
fn same_section(section: &Section, document: &Document) -> Option<String> {
    let same = |other: &&Section| {
        other.is_anonymous() && other.ty() == section.ty() && other.options().eq(section.options())
    };
    let found: Vec<_> = document.sections().filter(same).collect();
    let at_place = found.iter().find(|other| other.key() == section.key());
    match (at_place, &found[..]) {
        (Some(other), _) | (None, [other]) => Some(other.key().to_string()),
        _ => None,
    }
}

/// Sees to it that what is written says what was meant, and no more.
fn verify(name: &str, document: &Document, bytes: &[u8]) -> Result<(), StoreError> {
    let unsound = |why: String| StoreError::Unsound { package: name.to_string(), why };
    let again = Document::parse(name, bytes).map_err(|error| unsound(error.to_string()))?;
    let mut theirs = again.sections();
    for section in document.sections() {
        let same = theirs.next().is_some_and(|other| {
            (other.name(), other.ty()) == (section.name(), section.ty())
                && other.options().eq(section.options())
        });
        if !same {
            return Err(unsound(format!("section {:?} would read differently", section.key())));
        }
    }
    match theirs.next() {
        Some(extra) => Err(unsound(format!("there would be one more section, {:?}", extra.key()))),
        None => Ok(()),
    }
}

fn key(document: &Document, section: &str) -> Result<String, EditError> {
    let found = document.find(section).ok_or_else(|| EditError::NoSection(section.into()))?;
    Ok(found.key().to_string())
}

/// Whether a name can be a package's: a file of that name, and no way out of the directory.
pub(super) fn is_package(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('.') && name.bytes().all(fits)
}
