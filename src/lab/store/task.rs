//! Messages that people queued for devices: kept until they are answered, and afterwards with their answer.

use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value as Json;

use super::{Error, Result, Store};

/// Finished tasks that are kept for each device.
const MAX_FINISHED: i64 = 1000;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Waits for a session.
    Queued,
    /// The device has it, and has not answered yet.
    Sent,
    /// Answered.
    Done,
    /// Refused, or never answered.
    Failed,
    /// Taken back before it was sent.
    Withdrawn,
}

impl Progress {
    /// As stored.
    pub fn word(self) -> &'static str {
        match self {
            Progress::Queued => "queued",
            Progress::Sent => "sent",
            Progress::Done => "done",
            Progress::Failed => "failed",
            Progress::Withdrawn => "withdrawn",
        }
    }

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        !matches!(self, Progress::Queued | Progress::Sent)
    }
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Given by the store.
    pub id: i64,
    /// The device.
    pub serial_number: String,
    /// The method.
    pub method: String,
    /// The envelope as it was given.
    pub message: String,
    /// Where it stands.
    pub progress: Progress,
    /// The answer, or the fault; null before.
    pub result: Json,
    /// UTC.
    pub created: String,
    /// UTC.
    pub updated: String,
}

impl Store {
    /// Keeps a task, queued; gives its id.
    ///
    /// # Errors
    /// [`Error::Database`], also for an unknown device.
    pub fn add_task(&self, serial_number: &str, method: &str, message: &str) -> Result<i64> {
        let connection = self.lock();
        let id = connection.query_row(
            "INSERT INTO tasks (serial_number, method, message) VALUES (?1, ?2, ?3) RETURNING id",
            [serial_number, method, message],
            |row| row.get(0),
        )?;
        connection.execute(
            "DELETE FROM tasks WHERE serial_number = ?1 AND status NOT IN ('queued', 'sent') AND id <= ?2",
            params![serial_number, id - MAX_FINISHED],
        )?;
        Ok(id)
    }

    /// Moves a task on.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn set_task(&self, id: i64, progress: Progress, result: &Json) -> Result<()> {
        self.lock()
            .execute(
                "UPDATE tasks SET status = ?2, result = ?3, updated = datetime('now') WHERE id = ?1",
                params![id, progress.word(), result.to_string()],
            )
            .map(drop)
            .map_err(Error::from)
    }

    /// Moves a task to its end; `message` replaces its envelope, whose secrets are not needed any more.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn end_task(&self, id: i64, progress: Progress, result: &Json, message: Option<&str>) -> Result<()> {
        let connection = self.lock();
        connection.execute(
            "UPDATE tasks SET status = ?2, result = ?3, message = coalesce(?4, message), \
             updated = datetime('now') WHERE id = ?1",
            params![id, progress.word(), result.to_string(), message],
        )?;
        // The journal still has the envelope as it was.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(Error::from)
    }

    /// One task.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn task(&self, id: i64) -> Result<Option<Task>> {
        self.lock().query_row("SELECT * FROM tasks WHERE id = ?1", [id], task).optional().map_err(Error::from)
    }

    /// The tasks of a device, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn tasks(&self, serial_number: &str) -> Result<Vec<Task>> {
        let connection = self.lock();
        let mut query =
            connection.prepare_cached("SELECT * FROM tasks WHERE serial_number = ?1 ORDER BY id")?;
        let rows = query.query_map([serial_number], task)?;
        rows.collect::<rusqlite::Result<_>>().map_err(Error::from)
    }

    /// The tasks of all devices that are not answered, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn open_tasks(&self) -> Result<Vec<Task>> {
        let connection = self.lock();
        let mut query = connection
            .prepare_cached("SELECT * FROM tasks WHERE status IN ('queued', 'sent') ORDER BY id")?;
        let rows = query.query_map([], task)?;
        rows.collect::<rusqlite::Result<_>>().map_err(Error::from)
    }
}

fn task(row: &Row<'_>) -> rusqlite::Result<Task> {
    let status: String = row.get("status")?;
    let all = [Progress::Queued, Progress::Sent, Progress::Done, Progress::Failed, Progress::Withdrawn];
    let result: String = row.get("result")?;
    Ok(Task {
        id: row.get("id")?,
        serial_number: row.get("serial_number")?,
        method: row.get("method")?,
        message: row.get("message")?,
        // The table's CHECK admits no other word.
        progress: all.into_iter().find(|one| one.word() == status).unwrap_or(Progress::Failed),
        result: serde_json::from_str(&result).unwrap_or(Json::Null),
        created: row.get("created")?,
        updated: row.get("updated")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_of_one_that_has_ended_are_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).unwrap();
        store.add_device("SN1").unwrap();
        let all = || -> Vec<u8> {
            std::fs::read_dir(dir.path())
                .unwrap()
                .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
                .collect()
        };
        let found = |all: &[u8]| all.windows(8).any(|part| part == b"s3cr3t!!");
        let id = store.add_task("SN1", "Download", "<Password>s3cr3t!!</Password>").unwrap();
        assert!(found(&all()));
        store.end_task(id, Progress::Done, &Json::Null, Some("<Password>…</Password>")).unwrap();
        assert!(!found(&all()));
    }

    #[test]
    fn a_task_lives() {
        let store = Store::in_memory().unwrap();
        assert!(store.add_task("SN1", "Reboot", "<x/>").is_err());
        store.add_device("SN1").unwrap();
        let (first, second) =
            (store.add_task("SN1", "Reboot", "<x/>").unwrap(), store.add_task("SN1", "Reboot", "").unwrap());
        store.set_task(first, Progress::Done, &Json::Bool(true)).unwrap();
        let task = store.task(first).unwrap().unwrap();
        assert_eq!(
            (task.progress, task.result, task.message.as_str()),
            (Progress::Done, Json::Bool(true), "<x/>")
        );
        assert_eq!(store.open_tasks().unwrap().iter().map(|task| task.id).collect::<Vec<_>>(), [second]);
        assert_eq!(store.tasks("SN1").unwrap().len(), 2);
        assert!(store.delete_device("SN1").unwrap());
        assert_eq!(store.task(second).unwrap(), None);
    }
}
