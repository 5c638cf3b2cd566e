//! Files for Download, and those that CPEs uploaded.

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{Error, Result, Store};

/// The largest file, in octets.
pub const MAX_FILE: usize = 32 << 20;
/// All files together, in octets.
const MAX_ALL: i64 = 512 << 20;
/// The most files.
const MAX_FILES: i64 = 10_000;
/// The longest name, in bytes.
const MAX_NAME: usize = 128;

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name.
    pub name: String,
    /// In octets.
    pub size: i64,
    /// In hexadecimal.
    pub sha256: String,
    /// Whether a CPE sent it.
    pub uploaded: bool,
    /// UTC.
    pub created: String,
}

impl Store {
    /// Keeps a file. One that a CPE sends replaces none that people have put there.
    ///
    /// # Errors
    /// [`Error::Refused`] for a name that is none, for a file too large or too many of them, for the name of a file
    /// that is not the CPE's to replace; [`Error::Database`].
    pub fn put_file(&self, name: &str, content: &[u8], uploaded: bool) -> Result<()> {
        let refused = |why: &str| Err(Error::Refused(why.to_owned()));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
        if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(is_plain) {
            return refused(
                "a file's name has 1 to 128 letters, digits, dots, hyphens, underscores, no dot first",
            );
        }
        if content.len() > MAX_FILE {
            return refused("a file has 32 MiB at most");
        }
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let known: Option<bool> = transaction
            .query_row("SELECT uploaded FROM files WHERE name = ?1", [name], |row| row.get(0))
            .optional()?;
        if uploaded && known == Some(false) {
            return refused("there is a file of this name that no CPE sent");
        }
        let (count, all): (i64, i64) = transaction.query_row(
            "SELECT count(*), coalesce(sum(length(content)), 0) FROM files WHERE name <> ?1",
            [name],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let size = i64::try_from(content.len()).unwrap_or(i64::MAX);
        if count >= MAX_FILES || all.saturating_add(size) > MAX_ALL {
            return refused("the store has no room for more files");
        }
        let sha256: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        transaction.execute(
            "INSERT INTO files (name, uploaded, content, sha256) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET \
             uploaded = ?2, content = ?3, sha256 = ?4, created = datetime('now')",
            params![name, uploaded, content, sha256],
        )?;
        transaction.commit().map_err(Error::from)
    }

    /// A file's content.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.lock()
            .query_row("SELECT content FROM files WHERE name = ?1", [name], |row| row.get(0))
            .optional()
            .map_err(Error::from)
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn files(&self) -> Result<Vec<FileInfo>> {
        let connection = self.lock();
        let mut query = connection.prepare_cached(
            "SELECT name, length(content), sha256, uploaded, created FROM files ORDER BY name",
        )?;
        let rows = query.query_map([], |row| {
            Ok(FileInfo {
                name: row.get(0)?,
                size: row.get(1)?,
                sha256: row.get(2)?,
                uploaded: row.get(3)?,
                created: row.get(4)?,
            })
        })?;
        rows.collect::<rusqlite::Result<_>>().map_err(Error::from)
    }

    /// Removes a file; whether it was there.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn delete_file(&self, name: &str) -> Result<bool> {
        Ok(self.lock().execute("DELETE FROM files WHERE name = ?1", [name])? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_and_go() {
        let store = Store::in_memory().unwrap();
        store.put_file("fw-1.bin", b"abc", false).unwrap();
        store.put_file("log", b"", true).unwrap();
        store.put_file("log", b"\0\xff", true).unwrap();
        assert!(matches!(store.put_file("fw-1.bin", b"x", true), Err(Error::Refused(_))));
        assert_eq!(store.file("fw-1.bin").unwrap().as_deref(), Some(&b"abc"[..]));
        let files = store.files().unwrap();
        assert_eq!(files[0].sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((files[1].size, files[1].uploaded), (2, true));
        assert_eq!((store.delete_file("log"), store.delete_file("log")), (Ok(true), Ok(false)));
        assert_eq!(store.file("log").unwrap(), None);
    }

    #[test]
    fn names_that_are_none() {
        let store = Store::in_memory().unwrap();
        for name in ["", "a/b", "..", ".x", "a b", "ä", "a\0", &"x".repeat(129)] {
            assert!(store.put_file(name, b"", false).is_err(), "{name}");
        }
        assert!(store.put_file("big", &vec![0; MAX_FILE + 1], false).is_err());
    }
}
