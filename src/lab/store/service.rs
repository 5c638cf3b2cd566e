//! Service definitions, their instances on devices, and the instances' logs.

use std::fmt;

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Error, Result, Store};
use crate::lab::lua::service::Variables;

/// Lines kept of an instance's log, and some that are about to go.
const MAX_LINES: i64 = 10_000;
/// Bytes kept of it.
const MAX_LOG: i64 = 4 << 20;
/// The longest line, in bytes.
const MAX_LINE: usize = 64 * 1024;
/// Lines between two looks at what is too much.
const PRUNE: i64 = 64;

/// A service: a script and the variables it needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Definition {
    /// Given by the store; 0 for a new one.
    pub id: i64,
    /// Unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// Lua.
    pub script: String,
    /// What an instance must or may give.
    pub variables: Vec<Variable>,
    /// Whether new instances may be made.
    pub available: bool,
}

/// A variable of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Variable {
    /// Its name in the script.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// `string`, `number` or `boolean`; anything is allowed for another word.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// An instance without it is refused.
    #[serde(default)]
    pub required: bool,
}

/// A service attached to a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Given by the store.
    pub id: i64,
    /// The device's serial number.
    pub device_id: String,
    /// The definition.
    pub service_id: i64,
    /// Where it stands.
    pub status: Status,
    /// Why it failed; else empty.
    pub reason: String,
    /// Its values.
    pub variables: Variables,
    /// Whether it is to run at the device's next contact.
    pub due: bool,
}

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Waits for the device's `0 BOOTSTRAP`.
    Pending,
    /// The script runs, or the device has not yet answered all of its messages.
    Running,
    /// The script succeeded and the device received all messages.
    Provisioned,
    /// It did not.
    Failed,
}

impl Status {
    /// As stored.
    pub fn word(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Running => "running",
            Status::Provisioned => "provisioned",
            Status::Failed => "failed",
        }
    }

    fn from_word(word: &str) -> Option<Status> {
        [Status::Pending, Status::Running, Status::Provisioned, Status::Failed]
            .into_iter()
            .find(|status| status.word() == word)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Store {
    /// Stores a definition and gives its id; one of the same name is replaced and keeps its id.
    ///
    /// # Errors
    /// [`Error::Refused`] without a name; [`Error::Database`].
    pub fn put_definition(&self, definition: &Definition) -> Result<i64> {
        if definition.name.is_empty() {
            return Err(Error::Refused("a service definition needs a name".to_owned()));
        }
        let variables = json(&definition.variables)?;
        self.lock()
            .query_row(
                "INSERT INTO service_definitions (name, description, script, variables, available) \
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO UPDATE SET \
                 description = ?2, script = ?3, variables = ?4, available = ?5 RETURNING id",
                params![
                    definition.name,
                    definition.description,
                    definition.script,
                    variables,
                    definition.available
                ],
                |row| row.get(0),
            )
            .map_err(Error::from)
    }

    /// One definition.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn definition(&self, id: i64) -> Result<Option<Definition>> {
        self.lock()
            .query_row("SELECT * FROM service_definitions WHERE id = ?1", [id], definition)
            .optional()
            .map_err(Error::from)
    }

    /// All definitions, by name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn definitions(&self) -> Result<Vec<Definition>> {
        let connection = self.lock();
        let mut query = connection.prepare_cached("SELECT * FROM service_definitions ORDER BY name")?;
        let rows = query.query_map([], definition)?;
        rows.collect::<rusqlite::Result<_>>().map_err(Error::from)
    }

    /// Removes a definition with its instances; whether it was there.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn delete_definition(&self, id: i64) -> Result<bool> {
        Ok(self.lock().execute("DELETE FROM service_definitions WHERE id = ?1", [id])? > 0)
    }

    /// Removes an instance with its log; whether it was there.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn delete_instance(&self, id: i64) -> Result<bool> {
        Ok(self.lock().execute("DELETE FROM service_instances WHERE id = ?1", [id])? > 0)
    }

    /// Makes an instance run at the device's next contact, unless it runs; whether it will.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn make_due(&self, id: i64) -> Result<bool> {
        let sql = "UPDATE service_instances SET due = 1 WHERE id = ?1 AND status <> 'running'";
        Ok(self.lock().execute(sql, [id])? > 0)
    }

    /// Attaches a service to a device, pending.
    ///
    /// # Errors
    /// [`Error::Refused`] in the words of the documents: unknown definition or device, a variable that is missing or
    /// of the wrong type; [`Error::Database`].
    pub fn create_instance(&self, device_id: &str, service_id: i64, variables: &Variables) -> Result<i64> {
        let refused = |why: String| Err(Error::Refused(why));
        let Some(definition) = self.definition(service_id)?.filter(|definition| definition.available) else {
            return refused("Invalid service definition id".to_owned());
        };
        if self.device(device_id)?.is_none() {
            return refused("Failed to find cpe id".to_owned());
        }
        for variable in &definition.variables {
            match variables.get(&variable.name) {
                None | Some(Json::Null) if variable.required => {
                    return refused(format!("Missing variable: {}", variable.name));
                }
                Some(value) if !fits(value, &variable.kind) => {
                    return refused(format!(
                        "Variable {} should be of type {}",
                        variable.name, variable.kind
                    ));
                }
                _ => {}
            }
        }
        self.lock()
            .query_row(
                "INSERT INTO service_instances (device_id, service_id, variables) VALUES (?1, ?2, ?3) RETURNING id",
                params![device_id, service_id, json(variables)?],
                |row| row.get(0),
            )
            .map_err(Error::from)
    }

    /// Attaches a service to a device afresh, pending: an instance of it that the device had before is gone, with its log.
    ///
    /// # Errors
    /// Those of [`Store::create_instance`].
    pub fn attach(&self, device_id: &str, service_id: i64, variables: &Variables) -> Result<i64> {
        let id = self.create_instance(device_id, service_id, variables)?;
        self.lock().execute(
            "DELETE FROM service_instances WHERE device_id = ?1 AND service_id = ?2 AND id <> ?3",
            params![device_id, service_id, id],
        )?;
        Ok(id)
    }

    /// One instance.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn instance(&self, id: i64) -> Result<Option<Instance>> {
        self.lock()
            .query_row("SELECT * FROM service_instances WHERE id = ?1", [id], instance)
            .optional()
            .map_err(Error::from)
    }

    /// The instances of all devices, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn all_instances(&self) -> Result<Vec<Instance>> {
        let connection = self.lock();
        let mut query = connection.prepare_cached("SELECT * FROM service_instances ORDER BY id")?;
        let rows = query.query_map([], instance)?;
        rows.collect::<rusqlite::Result<_>>().map_err(Error::from)
    }

    /// The instances of a device, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn instances(&self, device_id: &str) -> Result<Vec<Instance>> {
        let connection = self.lock();
        let mut query =
            connection.prepare_cached("SELECT * FROM service_instances WHERE device_id = ?1 ORDER BY id")?;
        let rows = query.query_map([device_id], instance)?;
        rows.collect::<rusqlite::Result<_>>().map_err(Error::from)
    }

    /// Moves an instance on; `reason` says why it failed.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn set_status(&self, id: i64, status: Status, reason: &str) -> Result<()> {
        self.lock()
            .execute(
                "UPDATE service_instances SET status = ?2, reason = ?3, updated = datetime('now'), \
                 due = due AND ?2 <> 'running' WHERE id = ?1",
                params![id, status.word(), reason],
            )
            .map(drop)
            .map_err(Error::from)
    }

    /// Adds lines to an instance's log; of a long log the last 10,000 lines stay, and no more than
    /// 4 MiB of them.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn log(&self, id: i64, text: &str) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let mut is_time = false;
        for line in text.split('\n') {
            let mut end = line.len().min(MAX_LINE);
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            let row: i64 = transaction
                .prepare_cached("INSERT INTO instance_log (instance_id, line) VALUES (?1, ?2) RETURNING id")?
                .query_row(params![id, &line[..end]], |row| row.get(0))?;
            is_time |= row % PRUNE == 0;
        }
        if is_time {
            transaction.execute(
                "DELETE FROM instance_log WHERE instance_id = ?1 AND id <= (SELECT max(id) FROM (SELECT id, \
                 row_number() OVER newest AS number, sum(length(CAST(line AS BLOB))) OVER newest AS size \
                 FROM instance_log WHERE instance_id = ?1 WINDOW newest AS (ORDER BY id DESC)) \
                 WHERE number > ?2 OR size > ?3)",
                params![id, MAX_LINES, MAX_LOG],
            )?;
        }
        transaction.commit().map_err(Error::from)
    }

    /// An instance's log, each line with its time before it, as upstream shows it.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn log_lines(&self, id: i64) -> Result<Vec<String>> {
        let connection = self.lock();
        let mut query = connection.prepare_cached(
            "SELECT at || ' ' || line FROM instance_log WHERE instance_id = ?1 ORDER BY id",
        )?;
        let rows = query.query_map([id], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>().map_err(Error::from)
    }
}

/// Whether a value is of a definition's type.
fn fits(value: &Json, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "boolean" | "bool" => value.is_boolean(),
        _ => true,
    }
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Database(error.to_string()))
}

/// A JSON column; a broken one is an error that names it.
fn column<T: for<'a> Deserialize<'a>>(row: &Row<'_>, name: &'static str) -> rusqlite::Result<T> {
    let text: String = row.get(name)?;
    let index = row.as_ref().column_index(name)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn definition(row: &Row<'_>) -> rusqlite::Result<Definition> {
    Ok(Definition {
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        script: row.get("script")?,
        variables: column(row, "variables")?,
        available: row.get("available")?,
    })
}

fn instance(row: &Row<'_>) -> rusqlite::Result<Instance> {
    let status: String = row.get("status")?;
    Ok(Instance {
        id: row.get("id")?,
        device_id: row.get("device_id")?,
        service_id: row.get("service_id")?,
        // The table's CHECK admits no other word.
        status: Status::from_word(&status).unwrap_or(Status::Failed),
        reason: row.get("reason")?,
        variables: column(row, "variables")?,
        due: row.get("due")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (Store, i64) {
        let store = Store::in_memory().unwrap();
        store.add_device("SN1").unwrap();
        let variable = |name: &str, kind: &str, required| Variable {
            name: name.to_owned(),
            kind: kind.to_owned(),
            required,
            ..Variable::default()
        };
        let definition = Definition {
            name: "wifi".to_owned(),
            script: "print(1)".to_owned(),
            variables: vec![variable("A", "string", true), variable("n", "number", false)],
            available: true,
            ..Definition::default()
        };
        let id = store.put_definition(&definition).unwrap();
        assert_eq!(store.definition(id).unwrap().unwrap(), Definition { id, ..definition });
        (store, id)
    }

    fn refusal(device: &str, service: i64, variables: &str) -> String {
        let (store, id) = store();
        let variables = serde_json::from_str(variables).unwrap();
        match store.create_instance(device, if service == 0 { id } else { service }, &variables) {
            Err(Error::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn instances_are_checked_in_the_documents_words() {
        assert_eq!(refusal("SN1", 99, "{}"), "Invalid service definition id");
        assert_eq!(refusal("SN2", 0, "{\"A\":\"x\"}"), "Failed to find cpe id");
        assert_eq!(refusal("SN1", 0, "{}"), "Missing variable: A");
        assert_eq!(refusal("SN1", 0, "{\"A\":1}"), "Variable A should be of type string");
        assert_eq!(refusal("SN1", 0, "{\"A\":\"\",\"n\":\"1\"}"), "Variable n should be of type number");
    }

    #[test]
    fn an_instance_lives() {
        let (store, service) = store();
        let variables = serde_json::from_str("{\"A\":\"x\",\"n\":2}").unwrap();
        let id = store.create_instance("SN1", service, &variables).unwrap();
        let instance = store.instance(id).unwrap().unwrap();
        assert_eq!((instance.status, instance.variables), (Status::Pending, variables));
        store.set_status(id, Status::Running, "").unwrap();
        store.log(id, "one\ntwo").unwrap();
        store.set_status(id, Status::Failed, "9005 Invalid parameter name").unwrap();
        let instances = store.instances("SN1").unwrap();
        assert_eq!(
            (instances[0].status, instances[0].reason.as_str()),
            (Status::Failed, "9005 Invalid parameter name")
        );
        let lines = store.log_lines(id).unwrap();
        assert_eq!(lines.len(), 2);
        assert!(
            lines[1].ends_with(" two") && lines[1].starts_with("20") && lines[1].len() == 23,
            "{lines:?}"
        );
    }

    #[test]
    fn logs_are_bounded() {
        let (store, service) = store();
        let variables = serde_json::from_str("{\"A\":\"x\"}").unwrap();
        let (first, second) = (
            store.create_instance("SN1", service, &variables).unwrap(),
            store.create_instance("SN1", service, &variables).unwrap(),
        );
        store.log(second, "stays").unwrap();
        for part in 0..6 {
            let lines: Vec<String> = (0..2000).map(|count| format!("{part} {count}")).collect();
            store.log(first, &lines.join("\n")).unwrap();
        }
        let lines = store.log_lines(first).unwrap();
        assert!(lines.len() <= 10_064 && lines.len() >= 10_000, "{}", lines.len());
        assert!(lines.last().unwrap().ends_with(" 5 1999"));
        for _ in 0..200 {
            store.log(first, &"ä".repeat(40_000)).unwrap();
        }
        let size: usize = store.log_lines(first).unwrap().iter().map(String::len).sum();
        assert!(((3 << 20)..(8 << 20)).contains(&size), "{size}");
        assert_eq!(store.log_lines(second).unwrap().len(), 1);
    }

    #[test]
    fn attaching_replaces() {
        let (store, service) = store();
        let variables = serde_json::from_str("{\"A\":\"x\"}").unwrap();
        let first = store.attach("SN1", service, &variables).unwrap();
        store.log(first, "line").unwrap();
        let second = store.attach("SN1", service, &variables).unwrap();
        let ids: Vec<i64> = store.instances("SN1").unwrap().iter().map(|instance| instance.id).collect();
        assert_eq!(ids, [second]);
        assert_eq!(store.log_lines(first).unwrap().len(), 0);
    }

    #[test]
    fn a_definition_is_replaced_by_name() {
        let (store, id) = store();
        let newer =
            Definition { name: "wifi".to_owned(), script: "print(2)".to_owned(), ..Definition::default() };
        assert_eq!(store.put_definition(&newer), Ok(id));
        assert!(store.create_instance("SN1", id, &Variables::new()).is_err());
        assert!(store.put_definition(&Definition::default()).is_err());
    }
}
