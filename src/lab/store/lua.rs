//! Scripts and profiles that people put by the control: they are there again in the next mini-ACS.

use rusqlite::params;

use super::{Error, Result, Store};

/// A script or a profile as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its key.
    pub name: String,
    /// Lua.
    pub text: String,
    /// Of a script: it has not ended by itself and was not stopped.
    pub wanted: bool,
}

impl Store {
    /// Keeps a script that is about to run, in the place of one of its name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn keep_script(&self, name: &str, text: &str) -> Result<()> {
        let sql = "INSERT INTO scripts (name, text) VALUES (?1, ?2) \
                   ON CONFLICT DO UPDATE SET text = ?2, wanted = 1, updated = datetime('now')";
        self.lock().execute(sql, [name, text]).map(drop).map_err(Error::from)
    }

    /// Says whether a script is to run in the next mini-ACS; nothing happens to one that is not kept.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn want_script(&self, name: &str, wanted: bool) -> Result<()> {
        let sql = "UPDATE scripts SET wanted = ?2 WHERE name = ?1";
        self.lock().execute(sql, params![name, wanted]).map(drop).map_err(Error::from)
    }

    /// Forgets a script; whether it was kept.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn forget_script(&self, name: &str) -> Result<bool> {
        Ok(self.lock().execute("DELETE FROM scripts WHERE name = ?1", [name])? > 0)
    }

    /// The scripts, by name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn kept_scripts(&self) -> Result<Vec<Kept>> {
        self.kept("SELECT name, text, wanted FROM scripts ORDER BY name")
    }

    /// Keeps a profile, in the place of one of its name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn keep_profile(&self, name: &str, text: &str) -> Result<()> {
        let sql = "INSERT INTO profiles (name, text) VALUES (?1, ?2) \
                   ON CONFLICT DO UPDATE SET text = ?2, updated = datetime('now')";
        self.lock().execute(sql, [name, text]).map(drop).map_err(Error::from)
    }

    /// Forgets a profile; whether it was kept.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn forget_profile(&self, name: &str) -> Result<bool> {
        Ok(self.lock().execute("DELETE FROM profiles WHERE name = ?1", [name])? > 0)
    }

    /// The profiles, by name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn kept_profiles(&self) -> Result<Vec<Kept>> {
        self.kept("SELECT name, text, 1 FROM profiles ORDER BY name")
    }

    fn kept(&self, sql: &str) -> Result<Vec<Kept>> {
        let connection = self.lock();
        let mut query = connection.prepare_cached(sql)?;
        let rows = query
            .query_map([], |row| Ok(Kept { name: row.get(0)?, text: row.get(1)?, wanted: row.get(2)? }))?;
        rows.collect::<rusqlite::Result<_>>().map_err(Error::from)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn they_are_kept_in_an_older_store_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acs.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(include_str!("schema-1.sql")).unwrap();
        old.execute_batch("PRAGMA user_version = 1; INSERT INTO devices (serial_number) VALUES ('SN1')")
            .unwrap();
        drop(old);
        let store = Store::open(&path).unwrap();
        store.keep_script("s", "print(1)").unwrap();
        store.want_script("s", false).unwrap();
        store.keep_script("t", "print(2)").unwrap();
        store.keep_profile("p", "x").unwrap();
        store.keep_profile("p", "y").unwrap();
        drop(store);
        let store = Store::open(&path).unwrap();
        assert!(store.device("SN1").unwrap().is_some());
        let kept = |name: &str, text: &str, wanted| Kept { name: name.into(), text: text.into(), wanted };
        assert_eq!(
            store.kept_scripts().unwrap(),
            [kept("s", "print(1)", false), kept("t", "print(2)", true)]
        );
        store.keep_script("s", "print(3)").unwrap();
        assert_eq!(store.kept_scripts().unwrap()[0], kept("s", "print(3)", true));
        assert_eq!(store.kept_profiles().unwrap(), [kept("p", "y", true)]);
        assert_eq!((store.forget_script("s"), store.forget_script("s")), (Ok(true), Ok(false)));
        assert_eq!((store.forget_profile("p"), store.forget_profile("p")), (Ok(true), Ok(false)));
    }
}
