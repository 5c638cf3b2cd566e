//! The mini-ACS's device store: SQLite, in a file or in memory, readable with the `sqlite3` shell.
//!
//! The tables are in `schema-1.sql` and what came later in the files after it; `PRAGMA user_version` is the schema's
//! number. One [`Store`] is shared by all threads. Each call is one short transaction, and once it has returned, its
//! change is on the disk: what was acknowledged after it is not lost in a crash, of the program or of the machine.

mod credential;
mod device;
mod file;
mod fleet;
mod history;
mod lua;
mod service;
mod task;

use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

pub use credential::{Credential, REALM};
pub use device::{Device, Seen};
pub use file::{FileInfo, MAX_FILE};
pub use history::Entry;
pub use lua::Kept;
pub use service::{Definition, Instance, Status, Variable};
pub use task::{Progress, Task};

/// The schemas, each what is to be done to the one before it.
const SCHEMAS: [&str; 3] =
    [include_str!("schema-1.sql"), include_str!("schema-2.sql"), include_str!("schema-3.sql")];
/// The number of the last one.
const SCHEMA: i64 = SCHEMAS.len() as i64;

/// The open store.
pub struct Store {
    connection: Mutex<Connection>,
}

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// SQLite or the file system.
    Database(String),
    /// The file's schema is not one of ours.
    Schema(i64),
    /// A request that the documents refuse with 400, in their words.
    Refused(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Database(why) => write!(f, "the device store: {why}"),
            Error::Schema(found) => {
                write!(f, "the device store has schema {found}, this program knows those up to {SCHEMA}")
            }
            Error::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Error::Database(error.to_string())
    }
}

/// The store's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Store {
    /// Opens or makes the file; a new one is readable by its owner only, because it holds passwords. Services that
    /// still ran when the last mini-ACS ended are failed ones now.
    ///
    /// # Errors
    /// [`Error::Database`], also for a file that is no database; [`Error::Schema`].
    pub fn open(path: &Path) -> Result<Store> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| Error::Database(format!("{}: {error}", path.display())))?;
        let named = |error: Error| match error {
            Error::Database(why) => Error::Database(format!("{}: {why}", path.display())),
            other => other,
        };
        Connection::open(path).map_err(Error::from).and_then(Store::prepare).map_err(named)
    }

    /// A store that is gone when it is dropped.
    ///
    /// # Errors
    /// [`Error::Database`], for lack of memory.
    pub fn in_memory() -> Result<Store> {
        Store::prepare(Connection::open_in_memory()?)
    }

    fn prepare(mut connection: Connection) -> Result<Store> {
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // What is removed is overwritten, since it may have been a secret.
        connection.pragma_update(None, "secure_delete", true)?;
        // One sync for each commit, and none is spared.
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction()?;
        let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let tables: i64 =
            transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if !(0..=SCHEMA).contains(&found) || (found == 0 && tables > 0) {
            return Err(Error::Schema(found));
        }
        for (schema, number) in SCHEMAS.iter().zip(1..).filter(|(_, number)| *number > found) {
            transaction.execute_batch(schema)?;
            if number == 2 {
                credential::hash_all(&transaction)?;
            }
        }
        transaction.pragma_update(None, "user_version", SCHEMA)?;
        transaction.execute(
            "UPDATE service_instances SET status = 'failed', updated = datetime('now'), \
             reason = 'the mini-ACS ended while the service ran' WHERE status = 'running'",
            [],
        )?;
        transaction.commit()?;
        Ok(Store { connection: Mutex::new(connection) })
    }

    /// The connection, for one short transaction.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(path: &Path) -> String {
        Store::open(path).err().expect("refused").to_string()
    }

    #[test]
    fn files_persist_and_stay_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acs.db");
        Store::open(&path).unwrap().add_device("SN1").unwrap();
        let store = Store::open(&path).unwrap();
        assert_eq!(store.devices().unwrap().len(), 1);
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn strangers_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acs.db");
        std::fs::write(&path, "not a database, but long enough to be looked at by SQLite".repeat(20))
            .unwrap();
        assert!(failure(&path).contains("file is not a database"), "{}", failure(&path));
        std::fs::remove_file(&path).unwrap();
        Store::open(&path).unwrap().lock().pragma_update(None, "user_version", 7).unwrap();
        assert_eq!(failure(&path), "the device store has schema 7, this program knows those up to 3");
        std::fs::remove_file(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE devices (x)").unwrap();
        assert!(failure(&path).contains("schema 0"));
        assert!(failure(&folder.path().join("no/where")).contains("no/where"));
    }
}
