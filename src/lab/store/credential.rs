//! Credentials of CPEs, kept as what Basic and Digest need to be checked and no more.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Result, Store};
use crate::http::auth::md5_key;

/// The realm of the mini-ACS, which is part of every key.
pub const REALM: &str = "rcwmp mini-ACS";
/// The longest user name, in characters.
const MAX_NAME: usize = 256;

/// Who may post, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The user name.
    pub username: String,
    /// UTC.
    pub created: String,
    /// UTC.
    pub updated: String,
}

impl Store {
    /// Creates or changes a credential.
    ///
    /// # Errors
    /// [`Error::Refused`] for a user name that HTTP cannot carry; [`Error::Database`].
    pub fn put_credential(&self, username: &str, password: &str) -> Result<()> {
        let is_odd = |c: char| c == ':' || c.is_control();
        if username.is_empty() || username.chars().count() > MAX_NAME || username.contains(is_odd) {
            return Err(Error::Refused(format!(
                "a user name has 1 to {MAX_NAME} characters, no colon among them"
            )));
        }
        self.lock()
            .execute(
                "INSERT INTO credentials (username, key) VALUES (?1, ?2) \
                 ON CONFLICT DO UPDATE SET key = ?2, updated = datetime('now')",
                [username, &md5_key(username, REALM, password)],
            )
            .map(drop)
            .map_err(Error::from)
    }

    /// The [`md5_key`] of a user in [`REALM`].
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn credential(&self, username: &str) -> Result<Option<String>> {
        self.lock()
            .query_row("SELECT key FROM credentials WHERE username = ?1", [username], |row| row.get(0))
            .optional()
            .map_err(Error::from)
    }

    /// All of them, by user name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn credentials(&self) -> Result<Vec<Credential>> {
        let connection = self.lock();
        let mut query = connection
            .prepare_cached("SELECT username, created, updated FROM credentials ORDER BY username")?;
        let rows = query.query_map([], |row| {
            Ok(Credential { username: row.get(0)?, created: row.get(1)?, updated: row.get(2)? })
        })?;
        rows.collect::<rusqlite::Result<_>>().map_err(Error::from)
    }

    /// Removes a credential; whether it was there.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn delete_credential(&self, username: &str) -> Result<bool> {
        let count = self.lock().execute("DELETE FROM credentials WHERE username = ?1", [username])?;
        Ok(count > 0)
    }
}

/// Puts keys in the place of the passwords of schema 1.
pub(super) fn hash_all(connection: &Connection) -> rusqlite::Result<()> {
    let mut query = connection.prepare("SELECT username, password FROM credentials")?;
    let known: Vec<(String, String)> =
        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    for (username, password) in known {
        let key = md5_key(&username, REALM, &password);
        connection.execute("UPDATE credentials SET key = ?2 WHERE username = ?1", params![username, key])?;
    }
    connection.execute_batch("ALTER TABLE credentials DROP COLUMN password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_change_and_are_hashed() {
        let store = Store::in_memory().unwrap();
        store.put_credential("oktopus-a", "one").unwrap();
        store.put_credential("oktopus-a", "two").unwrap();
        let key = md5_key("oktopus-a", REALM, "two");
        assert_eq!(store.credential("oktopus-a").unwrap(), Some(key));
        assert_eq!(store.credential("a").unwrap(), None);
        assert_eq!(store.credentials().unwrap().len(), 1);
        assert_eq!(
            (store.delete_credential("oktopus-a"), store.delete_credential("a")),
            (Ok(true), Ok(false))
        );
        for odd in ["", "a:b", "a\nb", &"x".repeat(257)] {
            assert!(store.put_credential(odd, "p").is_err(), "{odd}");
        }
    }

    #[test]
    fn no_password_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acs.db");
        // A file of schema 1, with a password.
        let old = Connection::open(&path).unwrap();
        old.execute_batch(include_str!("schema-1.sql")).unwrap();
        old.execute_batch("PRAGMA user_version = 1; INSERT INTO credentials (username, password) VALUES ('u', 'Geheimnis1')")
            .unwrap();
        drop(old);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.credential("u").unwrap(), Some(md5_key("u", REALM, "Geheimnis1")));
        store.put_credential("v", "Geheimnis2").unwrap();
        drop(store);
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(9).any(|part| part == b"Geheimnis"));
        }
    }
}
