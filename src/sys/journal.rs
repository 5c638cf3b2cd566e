//! Several files replaced together: after a crash at any point, all are old or all are new.
//!
//! In the journal's directory lie, while a commit is on its way, `intent` (which files are being
//! prepared, so that a leftover can be found) and then `journal` (what is to be renamed; that this
//! file appears is the commit). [`Journal::recover`] finishes the latter and undoes the former.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write as _};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use super::dir;
use super::fs::{
    FsError, fresh_path, open_regular, parent, read_capped, read_open, real_path, sync_dir, write_atomic,
    write_fresh,
};

/// Longest journal, in bytes: it holds the seen contents of truncated files, in hexadecimal.
const MAX_JOURNAL: usize = 16 * 1024 * 1024;
/// Longest file that can be cut, in bytes.
const MAX_CUT: usize = 4 * 1024 * 1024;
/// How long another process may hold a lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// One change of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// The file gets these contents; a new file the mode 0600, an old one keeps its own.
    Replace {
        /// Absolute; links are followed.
        path: PathBuf,
        /// All of the new contents.
        bytes: Vec<u8>,
    },
    /// What was seen of the file is cut from its front; the file keeps its inode, since others may
    /// hold it open to append to it, and keeps what they appended meanwhile.
    Cut {
        /// Absolute; links are followed.
        path: PathBuf,
        /// What was read. If the file begins otherwise by now, it is left alone.
        seen: Vec<u8>,
    },
}

/// A directory in which commits are recorded. Its lock keeps two processes from committing at once.
#[derive(Debug, Clone)]
pub struct Journal {
    dir: PathBuf,
}

/// What a commit still has to do.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Rename { from: PathBuf, to: PathBuf },
    Cut { path: PathBuf, seen: Vec<u8> },
}

impl Journal {
    /// A journal in `dir`, an absolute path on the same kind of storage as the files. The directory
    /// is made if it is missing.
    pub fn new(dir: impl Into<PathBuf>) -> Result<Journal, FsError> {
        let dir = dir.into();
        match dir::make(&dir, dir::PRIVATE) {
            // No commit is possible now, and nobody else is to fall with it.
            Err(why) if why.is_read_only() => {}
            made => made?,
        }
        Ok(Journal { dir })
    }

    /// Makes all the changes or, with an error, none. An interrupted commit is recovered first.
    ///
    /// The one exception: an error after the commit point (the disk vanishes between two renames)
    /// leaves the rest to [`Journal::recover`], and the error names what could not be renamed.
    pub fn commit(&self, writes: &[Write]) -> Result<(), FsError> {
        if writes.is_empty() {
            return Ok(());
        }
        let _lock = self.lock()?;
        self.recover_locked()?;
        let steps = plan(writes)?;
        if let Err(error) = self.prepare(writes, &steps).and_then(|()| self.publish(&steps)) {
            self.undo(&steps);
            return Err(error);
        }
        self.finish(&steps)
    }

    /// To be called at start: finishes a commit that was decided, undoes one that was not.
    ///
    /// A journal that cannot be read is put aside as `damaged` and reported once.
    pub fn recover(&self) -> Result<(), FsError> {
        if !self.dir.exists() {
            return Ok(());
        }
        let _lock = self.lock()?;
        self.recover_locked()
    }

    fn recover_locked(&self) -> Result<(), FsError> {
        let damaged = match self.load("journal") {
            Ok(Some(steps)) => return self.finish(&steps),
            Ok(None) => None,
            Err(error @ FsError::BadJournal { .. }) => {
                let (from, to) = (self.dir.join("journal"), self.dir.join("damaged"));
                fs::rename(&from, &to).map_err(FsError::io("rename", &from))?;
                Some(error)
            }
            Err(error) => return Err(error),
        };
        match self.load("intent") {
            Ok(None) => {}
            Ok(Some(steps)) => self.undo(&steps),
            // Nothing was prepared before the intent was whole.
            Err(FsError::BadJournal { .. }) => self.clear("intent")?,
            Err(error) => return Err(error),
        }
        damaged.map_or(Ok(()), Err)
    }

    /// Writes the new contents beside the old.
    fn prepare(&self, writes: &[Write], steps: &[Step]) -> Result<(), FsError> {
        // Not synced: after a power cut there may be a leftover without an intent, which the next
        // commit of that file uses up.
        let intent = self.dir.join("intent");
        // Of what others have saved it tells the words.
        let bytes = encode(steps)?;
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&intent);
        file.and_then(|mut file| file.write_all(&bytes)).map_err(FsError::io("write", &intent))?;
        for (write, step) in writes.iter().zip(steps) {
            if let (Write::Replace { bytes, .. }, Step::Rename { from, to }) = (write, step) {
                write_fresh(from, to, bytes, 0o600)?;
            }
        }
        sync_dirs(steps)
    }

    /// Makes the decision durable.
    fn publish(&self, steps: &[Step]) -> Result<(), FsError> {
        write_atomic(&self.dir.join("journal"), &encode(steps)?, 0o600)
    }

    /// Does what was decided; can be done twice.
    fn finish(&self, steps: &[Step]) -> Result<(), FsError> {
        for step in steps {
            match step {
                Step::Rename { from, to } => match fs::rename(from, to) {
                    // Renamed before the crash.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound && !from.exists() => {}
                    renamed => renamed.map_err(FsError::io("replace", to))?,
                },
                Step::Cut { path, seen } => cut(path, seen)?,
            }
        }
        sync_dirs(steps)?;
        self.clear("journal")?;
        sync_dir(&self.dir)?;
        self.clear("intent")
    }

    fn undo(&self, steps: &[Step]) {
        // The decision first: without the prepared files it would be carried out by half.
        if self.clear("journal").is_err() {
            return;
        }
        let _ = sync_dir(&self.dir);
        for step in steps {
            if let Step::Rename { from, .. } = step {
                let _ = fs::remove_file(from);
            }
        }
        if let Ok(fresh) = fresh_path(&self.dir.join("journal")) {
            let _ = fs::remove_file(fresh);
        }
        let _ = self.clear("intent");
    }

    fn clear(&self, name: &str) -> Result<(), FsError> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FsError::io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    fn load(&self, name: &str) -> Result<Option<Vec<Step>>, FsError> {
        let path = self.dir.join(name);
        let bytes = match read_capped(&path, MAX_JOURNAL) {
            Err(error) if error.is_missing() => return Ok(None),
            read => read?,
        };
        decode(&bytes).map(Some).map_err(|why| FsError::BadJournal { path, why })
    }

    fn lock(&self) -> Result<Flock<File>, FsError> {
        dir::make(&self.dir, dir::PRIVATE)?;
        lock(&self.dir, File::open(&self.dir).map_err(FsError::io("open", &self.dir))?, true)
    }
}

/// Waits a while for a lock on an open file, as `flock` gives it: `exclusive`, or shared with other readers.
pub fn lock(path: &Path, mut file: File, exclusive: bool) -> Result<Flock<File>, FsError> {
    let kind = if exclusive { FlockArg::LockExclusiveNonblock } else { FlockArg::LockSharedNonblock };
    let start = Instant::now();
    loop {
        match Flock::lock(file, kind) {
            Ok(locked) => return Ok(locked),
            Err((back, errno)) if errno == nix::errno::Errno::EWOULDBLOCK => {
                if start.elapsed() > PATIENCE {
                    return Err(FsError::Locked(path.to_path_buf()));
                }
                file = back;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err((_, errno)) => return Err(FsError::io("lock", path)(errno.into())),
        }
    }
}

fn plan(writes: &[Write]) -> Result<Vec<Step>, FsError> {
    let mut steps = Vec::new();
    for write in writes {
        steps.push(match write {
            Write::Replace { path, .. } => {
                let to = real_path(path)?;
                Step::Rename { from: fresh_path(&to)?, to }
            }
            Write::Cut { path, seen } => Step::Cut { path: real_path(path)?, seen: seen.clone() },
        });
    }
    Ok(steps)
}

fn sync_dirs(steps: &[Step]) -> Result<(), FsError> {
    let mut dirs: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Rename { to, .. } => Some(parent(to)),
            Step::Cut { .. } => None,
        })
        .collect();
    dirs.sort();
    dirs.dedup();
    dirs.into_iter().try_for_each(sync_dir)
}

fn cut(path: &Path, seen: &[u8]) -> Result<(), FsError> {
    let bytes = match open_regular(path).and_then(|file| read_open(&file, path, MAX_CUT)) {
        Err(error) if error.is_missing() => return Ok(()),
        // Not what was seen, whatever it is now.
        Err(FsError::TooLong { .. } | FsError::NotAFile(_)) => return Ok(()),
        read => read?,
    };
    let Some(rest) = bytes.strip_prefix(seen) else { return Ok(()) };
    let mut file = OpenOptions::new().write(true).open(path).map_err(FsError::io("open", path))?;
    file.seek(SeekFrom::Start(0)).map_err(FsError::io("seek in", path))?;
    file.write_all(rest).map_err(FsError::io("write", path))?;
    let length = u64::try_from(rest.len()).unwrap_or(u64::MAX);
    file.set_len(length).map_err(FsError::io("truncate", path))
}

/// One step a line, the fields in hexadecimal, `end` below the last.
fn encode(steps: &[Step]) -> Result<Vec<u8>, FsError> {
    let mut out = String::new();
    let path = |path: &Path| hex(path.as_os_str().as_encoded_bytes());
    for step in steps {
        match step {
            Step::Rename { from, to } => out.push_str(&format!("rename {} {}\n", path(from), path(to))),
            Step::Cut { path: file, seen } => out.push_str(&format!("cut {} {}\n", path(file), hex(seen))),
        }
    }
    out.push_str("end\n");
    match out.len() > MAX_JOURNAL {
        true => Err(FsError::TooLong { path: PathBuf::from("journal"), max: MAX_JOURNAL }),
        false => Ok(out.into_bytes()),
    }
}

fn decode(bytes: &[u8]) -> Result<Vec<Step>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let body = text.strip_suffix("end\n").ok_or("it ends in the middle")?;
    let mut steps = Vec::new();
    for (nth, line) in body.lines().enumerate() {
        let bad = || format!("line {} cannot be read", nth + 1);
        let mut words = line.split(' ');
        let fields = (words.next(), words.next().and_then(unhex), words.next().and_then(unhex), words.next());
        let (Some(verb), Some(first), Some(second), None) = fields else { return Err(bad()) };
        let path = |bytes: Vec<u8>| -> PathBuf { PathBuf::from(OsString::from_vec(bytes)) };
        steps.push(match verb {
            "rename" => Step::Rename { from: path(first), to: path(second) },
            "cut" => Step::Cut { path: path(first), seen: second },
            _ => return Err(bad()),
        });
    }
    Ok(steps)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("x"), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix('x')?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Desk {
        dir: tempfile::TempDir,
        journal: Journal,
    }

    fn desk() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "delta"] {
            fs::write(dir.path().join(name), format!("old {name}")).unwrap();
        }
        let journal = Journal::new(dir.path().join("journal")).unwrap();
        Desk { dir, journal }
    }

    impl Desk {
        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn writes(&self) -> Vec<Write> {
            let replace =
                |name: &str| Write::Replace { path: self.path(name), bytes: format!("new {name}").into() };
            let cut = Write::Cut { path: self.path("delta"), seen: b"old delta".to_vec() };
            vec![replace("a"), cut, replace("b")]
        }

        /// The contents, and that nothing else lies around.
        fn check(&self, a: &str, b: &str, delta: &str) {
            let read = |name| fs::read_to_string(self.path(name)).unwrap();
            assert_eq!((read("a"), read("b"), read("delta")), (a.into(), b.into(), delta.into()));
            assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 4);
            assert_eq!(fs::read_dir(self.path("journal")).unwrap().count(), 0);
        }
    }

    #[test]
    fn all_at_once() {
        let desk = desk();
        desk.journal.commit(&desk.writes()).unwrap();
        desk.check("new a", "new b", "");
        desk.journal.commit(&[]).unwrap();
        desk.journal.recover().unwrap();
        desk.check("new a", "new b", "");
    }

    #[test]
    fn stopped_before_the_decision() {
        let desk = desk();
        let steps = plan(&desk.writes()).unwrap();
        desk.journal.prepare(&desk.writes(), &steps).unwrap();
        assert!(desk.path(".a.rcwmp-new").exists());
        desk.journal.recover().unwrap();
        desk.check("old a", "old b", "old delta");

        fs::write(desk.path("journal/intent"), "rename x").unwrap();
        desk.journal.recover().unwrap();
        desk.check("old a", "old b", "old delta");
    }

    #[test]
    fn stopped_after_the_decision() {
        for done in 0..4 {
            let desk = desk();
            let steps = plan(&desk.writes()).unwrap();
            desk.journal.prepare(&desk.writes(), &steps).unwrap();
            desk.journal.publish(&steps).unwrap();
            for step in &steps[..done] {
                match step {
                    Step::Rename { from, to } => fs::rename(from, to).unwrap(),
                    Step::Cut { path, seen } => cut(path, seen).unwrap(),
                }
            }
            desk.journal.recover().unwrap();
            desk.check("new a", "new b", "");
        }
    }

    #[test]
    fn a_cut_keeps_what_others_appended() {
        let check = |contents: &str, expected: &str| {
            let desk = desk();
            fs::write(desk.path("delta"), contents).unwrap();
            desk.journal.commit(&[Write::Cut { path: desk.path("delta"), seen: b"old\n".to_vec() }]).unwrap();
            desk.check("old a", "old b", expected);
        };
        check("old\n", "");
        check("old\nlater\n", "later\n");
        check("other\n", "other\n");
        check("", "");
    }

    #[test]
    fn a_failure_leaves_everything_old() {
        let desk = desk();
        let mut writes = desk.writes();
        writes.push(Write::Replace { path: desk.path("none/c"), bytes: Vec::new() });
        let error = desk.journal.commit(&writes).unwrap_err().to_string();
        assert!(error.starts_with("cannot create ") && error.contains("none/.c.rcwmp-new"), "{error}");
        desk.check("old a", "old b", "old delta");
    }

    #[test]
    fn a_damaged_journal_is_not_obeyed() {
        let desk = desk();
        for (text, why) in [
            ("rename x61 x62\n", "it ends in the middle"),
            ("rename x61\nend\n", "line 1 cannot be read"),
            ("rename x6 x61\nend\n", "line 1 cannot be read"),
            ("erase x61 x62\nend\n", "line 1 cannot be read"),
        ] {
            let path = desk.path("journal/journal");
            fs::write(&path, text).unwrap();
            let error = desk.journal.recover().unwrap_err().to_string();
            assert_eq!(error, format!("the journal {}: {why}", path.display()));
            assert_eq!(fs::read_to_string(desk.path("journal/damaged")).unwrap(), text);
            desk.journal.recover().unwrap();
        }
    }

    #[test]
    fn steps_survive_the_file() {
        let odd = PathBuf::from(OsString::from_vec(b"/a b\n\xff".to_vec()));
        let steps = vec![
            Step::Rename { from: odd.clone(), to: PathBuf::from("/x") },
            Step::Cut { path: odd, seen: vec![0, 10, 255] },
            Step::Cut { path: PathBuf::from("/y"), seen: Vec::new() },
        ];
        assert_eq!(decode(&encode(&steps).unwrap()).unwrap(), steps);
    }
}
