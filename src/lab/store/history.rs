//! What devices told, in order.

use rusqlite::{Connection, params};

use super::{Error, Result, Store};

/// Entries kept of each device.
const KEPT: i64 = 1000;
/// The longest text of an entry, in bytes.
const MAX_TEXT: usize = 4096;

/// One thing that a device told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Rises.
    pub id: i64,
    /// UTC.
    pub at: String,
    /// The method it called.
    pub method: String,
    /// With what, in one line.
    pub text: String,
}

impl Store {
    /// Keeps what a device told.
    ///
    /// # Errors
    /// [`Error::Database`], also for an unknown device.
    pub fn remember(&self, serial_number: &str, method: &str, text: &str) -> Result<()> {
        remember(&self.lock(), serial_number, method, text).map_err(Error::from)
    }

    /// The history of a device, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn history(&self, serial_number: &str) -> Result<Vec<Entry>> {
        let connection = self.lock();
        let mut query = connection.prepare_cached(
            "SELECT id, at, method, text FROM history WHERE serial_number = ?1 ORDER BY id",
        )?;
        let rows = query.query_map([serial_number], |row| {
            Ok(Entry { id: row.get(0)?, at: row.get(1)?, method: row.get(2)?, text: row.get(3)? })
        })?;
        rows.collect::<rusqlite::Result<_>>().map_err(Error::from)
    }
}

/// As [`Store::remember`], within a transaction.
pub(super) fn remember(
    connection: &Connection,
    serial_number: &str,
    method: &str,
    text: &str,
) -> rusqlite::Result<()> {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let id: i64 = connection
        .prepare_cached("INSERT INTO history (serial_number, method, text) VALUES (?1, ?2, ?3) RETURNING id")?
        .query_row([serial_number, method, &text[..end]], |row| row.get(0))?;
    if id % 64 == 0 {
        connection.execute(
            "DELETE FROM history WHERE serial_number = ?1 AND id < (SELECT id FROM history \
             WHERE serial_number = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            params![serial_number, KEPT],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_in_order_and_bounded() {
        let store = Store::in_memory().unwrap();
        assert!(store.remember("SN1", "Inform", "").is_err());
        store.add_device("SN1").unwrap();
        for count in 0..1200 {
            store.remember("SN1", "Inform", &format!("{count} {}", "ä".repeat(4000))).unwrap();
        }
        let all = store.history("SN1").unwrap();
        assert!((1000..=1064).contains(&all.len()), "{}", all.len());
        assert!(all.last().unwrap().text.starts_with("1199 ") && all.is_sorted_by_key(|entry| entry.id));
        assert!(all.iter().all(|entry| entry.text.len() <= MAX_TEXT));
    }
}
