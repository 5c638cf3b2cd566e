//! Devices, their last known values, and credentials.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::history::remember;
use super::{Error, Result, Store};

/// The most devices.
const MAX_DEVICES: i64 = 100_000;
/// The most parameters that are kept of a device.
const MAX_PARAMETERS: i64 = 50_000;
/// The longest value that is kept, in bytes.
const MAX_VALUE: usize = 64 * 1024;
/// The longest name, in bytes (TR-069 A.3.2.3).
const MAX_NAME: usize = 256;

/// A device as stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    /// The key.
    pub serial_number: String,
    /// Six hexadecimal digits.
    pub oui: String,
    /// May be empty.
    pub product_class: String,
    /// From the DeviceId.
    pub manufacturer: String,
    /// `DeviceInfo.ModelName`, once heard of.
    pub model: String,
    /// `DeviceInfo.SoftwareVersion`.
    pub version: String,
    /// `Device` or `InternetGatewayDevice`, once heard of.
    pub data_model: String,
    /// Where to send connection requests.
    pub connection_request_url: String,
    /// For connection requests.
    pub connection_request_username: String,
    /// For connection requests.
    pub connection_request_password: String,
    /// UTC; `None` for a device that was only announced.
    pub first_contact: Option<String>,
    /// UTC.
    pub last_contact: Option<String>,
}

/// What an Inform tells of its sender.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen<'a> {
    /// The key.
    pub serial_number: &'a str,
    /// From the DeviceId.
    pub oui: &'a str,
    /// From the DeviceId.
    pub product_class: &'a str,
    /// From the DeviceId.
    pub manufacturer: &'a str,
    /// Names, values and types of the ParameterList.
    pub values: &'a [(String, String, String)],
    /// Whether it has `0 BOOTSTRAP`.
    pub bootstrap: bool,
    /// Its events in one line, for the history.
    pub events: &'a str,
}

impl Store {
    /// Announces a device before its first contact; nothing happens if it is there.
    ///
    /// # Errors
    /// [`Error::Refused`] for an empty serial number or one above 64 characters, and when there are as many devices as
    /// there may be; [`Error::Database`].
    pub fn add_device(&self, serial_number: &str) -> Result<()> {
        add(&self.lock(), serial_number)
    }

    /// Sets the user name and password for connection requests to a device.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn set_connection_request(&self, serial_number: &str, username: &str, password: &str) -> Result<()> {
        self.lock()
            .execute(
                "UPDATE devices SET connection_request_username = ?2, connection_request_password = ?3 \
                 WHERE serial_number = ?1",
                [serial_number, username, password],
            )
            .map(drop)
            .map_err(Error::from)
    }

    /// Stores what an Inform tells, all or nothing but for values beyond the bounds, of which the history tells; whether this was the device's first contact. A BOOTSTRAP makes the
    /// device's services due, those too that run: the device has forgotten what they did.
    ///
    /// # Errors
    /// Those of [`Store::add_device`].
    pub fn seen(&self, seen: &Seen<'_>) -> Result<bool> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let serial_number = seen.serial_number;
        add(&transaction, serial_number)?;
        let first: bool = transaction.query_row(
            "SELECT first_contact IS NULL FROM devices WHERE serial_number = ?1",
            [serial_number],
            |row| row.get(0),
        )?;
        transaction.execute(
            "UPDATE devices SET oui = ?2, product_class = ?3, manufacturer = ?4, \
             first_contact = coalesce(first_contact, datetime('now')), last_contact = datetime('now') \
             WHERE serial_number = ?1",
            params![serial_number, seen.oui, seen.product_class, seen.manufacturer],
        )?;
        let left_out = keep_values(&transaction, serial_number, seen.values)?;
        if seen.bootstrap {
            transaction
                .execute("UPDATE service_instances SET due = 1 WHERE device_id = ?1", [serial_number])?;
        }
        remember(&transaction, serial_number, "Inform", seen.events)?;
        if let Some(why) = left_out {
            remember(&transaction, serial_number, "Inform", &why)?;
        }
        transaction.commit()?;
        Ok(first)
    }

    /// Stores values (name, value, type) of a known device, and what of them its record repeats.
    ///
    /// # Errors
    /// [`Error::Refused`] for values beyond the bounds, the others being kept; [`Error::Database`], also for an unknown
    /// device.
    pub fn keep_values(&self, serial_number: &str, values: &[(String, String, String)]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let left_out = keep_values(&transaction, serial_number, values)?;
        transaction.commit()?;
        left_out.map_or(Ok(()), |why| Err(Error::Refused(format!("{serial_number}: {why}"))))
    }

    /// One device.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn device(&self, serial_number: &str) -> Result<Option<Device>> {
        self.lock()
            .query_row("SELECT * FROM devices WHERE serial_number = ?1", [serial_number], device)
            .optional()
            .map_err(Error::from)
    }

    /// All of them, by serial number.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn devices(&self) -> Result<Vec<Device>> {
        let connection = self.lock();
        let mut query = connection.prepare_cached("SELECT * FROM devices ORDER BY serial_number")?;
        let rows = query.query_map([], device)?;
        rows.collect::<rusqlite::Result<_>>().map_err(Error::from)
    }

    /// The last known value of a parameter.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn value(&self, serial_number: &str, name: &str) -> Result<Option<String>> {
        self.lock()
            .query_row(
                "SELECT value FROM parameters WHERE serial_number = ?1 AND name = ?2",
                [serial_number, name],
                |row| row.get(0),
            )
            .optional()
            .map_err(Error::from)
    }

    /// The last known values below a path, all without one: names, values and types, by name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn values(&self, serial_number: &str, path: &str) -> Result<Vec<(String, String, String)>> {
        let connection = self.lock();
        let mut query = connection.prepare_cached(
            "SELECT name, value, type FROM parameters WHERE serial_number = ?1 AND substr(name, 1, length(?2)) = ?2 \
             ORDER BY name",
        )?;
        let rows =
            query.query_map([serial_number, path], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect::<rusqlite::Result<_>>().map_err(Error::from)
    }

    /// How long ago a device was last heard of, in seconds; `None` for one that never was.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn silence(&self, serial_number: &str) -> Result<Option<i64>> {
        let seconds = self
            .lock()
            .query_row(
                "SELECT strftime('%s', 'now') - strftime('%s', last_contact) FROM devices WHERE serial_number = ?1",
                [serial_number],
                |row| row.get(0),
            )
            .optional()?;
        Ok(seconds.flatten())
    }

    /// Forgets a device with all that belongs to it; whether it was there.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn delete_device(&self, serial_number: &str) -> Result<bool> {
        Ok(self.lock().execute("DELETE FROM devices WHERE serial_number = ?1", [serial_number])? > 0)
    }
}

fn check_serial(serial_number: &str) -> Result<()> {
    if serial_number.is_empty() || serial_number.chars().count() > 64 {
        return Err(Error::Refused("a serial number has 1 to 64 characters".to_owned()));
    }
    Ok(())
}

/// As [`Store::add_device`], within a transaction.
fn add(connection: &Connection, serial_number: &str) -> Result<()> {
    check_serial(serial_number)?;
    let sql = "INSERT INTO devices (serial_number) SELECT ?1 WHERE (SELECT count(*) FROM devices) < ?2";
    let known = "SELECT count(*) FROM devices WHERE serial_number = ?1";
    let known: i64 = connection.query_row(known, [serial_number], |row| row.get(0))?;
    if known == 0 && connection.execute(sql, params![serial_number, MAX_DEVICES])? == 0 {
        return Err(Error::Refused(format!(
            "there are {MAX_DEVICES} devices already, and {serial_number} is none of them"
        )));
    }
    Ok(())
}

/// As [`Store::keep_values`], within a transaction; says what was left out.
fn keep_values(
    connection: &Connection,
    serial_number: &str,
    values: &[(String, String, String)],
) -> rusqlite::Result<Option<String>> {
    let mut change = connection.prepare_cached(
        "UPDATE parameters SET value = ?3, type = ?4, updated = datetime('now') WHERE serial_number = ?1 AND name = ?2",
    )?;
    let mut keep = connection.prepare_cached(
        "INSERT INTO parameters (serial_number, name, value, type) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let mut room = None;
    let mut left_out = 0_usize;
    for (name, value, kind) in values {
        if name.len() > MAX_NAME || value.len() > MAX_VALUE {
            left_out += 1;
            continue;
        }
        if change.execute(params![serial_number, name, value, kind])? == 0 {
            let room = match &mut room {
                Some(room) => room,
                none => none.insert(MAX_PARAMETERS - count(connection, serial_number)?),
            };
            if *room <= 0 {
                left_out += 1;
                continue;
            }
            *room -= 1;
            keep.execute(params![serial_number, name, value, kind])?;
        }
        if let Some(column) = column_of(name) {
            let sql = format!("UPDATE devices SET {column} = ?2 WHERE serial_number = ?1");
            connection.execute(&sql, params![serial_number, value])?;
        }
    }
    let root = values.first().and_then(|(name, ..)| name.split('.').next()).unwrap_or_default();
    if matches!(root, "Device" | "InternetGatewayDevice") {
        connection.execute(
            "UPDATE devices SET data_model = ?2 WHERE serial_number = ?1",
            params![serial_number, root],
        )?;
    }
    Ok((left_out > 0).then(|| {
        format!(
            "{left_out} values are not kept: of a device no more than {MAX_PARAMETERS}, of {MAX_VALUE} bytes each"
        )
    }))
}

/// The parameters that are kept of a device.
fn count(connection: &Connection, serial_number: &str) -> rusqlite::Result<i64> {
    let sql = "SELECT count(*) FROM parameters WHERE serial_number = ?1";
    connection.query_row(sql, [serial_number], |row| row.get(0))
}

/// The column of `devices` that repeats a parameter of either data model.
fn column_of(name: &str) -> Option<&'static str> {
    let rest = name.strip_prefix("Device.").or_else(|| name.strip_prefix("InternetGatewayDevice."))?;
    Some(match rest {
        "DeviceInfo.ModelName" => "model",
        "DeviceInfo.SoftwareVersion" => "version",
        "ManagementServer.ConnectionRequestURL" => "connection_request_url",
        _ => return None,
    })
}

fn device(row: &Row<'_>) -> rusqlite::Result<Device> {
    Ok(Device {
        serial_number: row.get("serial_number")?,
        oui: row.get("oui")?,
        product_class: row.get("product_class")?,
        manufacturer: row.get("manufacturer")?,
        model: row.get("model")?,
        version: row.get("version")?,
        data_model: row.get("data_model")?,
        connection_request_url: row.get("connection_request_url")?,
        connection_request_username: row.get("connection_request_username")?,
        connection_request_password: row.get("connection_request_password")?,
        first_contact: row.get("first_contact")?,
        last_contact: row.get("last_contact")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, value: &str) -> (String, String, String) {
        (name.to_owned(), value.to_owned(), "xsd:string".to_owned())
    }

    #[test]
    fn informs_fill_the_record() {
        let store = Store::in_memory().unwrap();
        store.add_device("SN1").unwrap();
        assert_eq!(store.device("SN1").unwrap().unwrap().first_contact, None);
        let values = [
            value("Device.DeviceInfo.SoftwareVersion", "1.0"),
            value("Device.DeviceInfo.ModelName", "It's \"a\" model;--"),
            value("Device.ManagementServer.ConnectionRequestURL", "http://192.0.2.1:7547/x"),
        ];
        let seen = Seen { serial_number: "SN1", oui: "020000", values: &values, ..Seen::default() };
        assert_eq!((store.seen(&seen), store.seen(&seen)), (Ok(true), Ok(false)));
        let device = store.device("SN1").unwrap().unwrap();
        assert_eq!((device.version.as_str(), device.model.as_str()), ("1.0", "It's \"a\" model;--"));
        assert_eq!((device.data_model.as_str(), device.oui.as_str()), ("Device", "020000"));
        assert_eq!(device.connection_request_url, "http://192.0.2.1:7547/x");
        assert!(device.first_contact.is_some() && device.last_contact.is_some());
        store.keep_values("SN1", &[value("Device.DeviceInfo.SoftwareVersion", "1.1")]).unwrap();
        assert_eq!(store.device("SN1").unwrap().unwrap().version, "1.1");
        assert_eq!(store.value("SN1", "Device.DeviceInfo.SoftwareVersion").unwrap().as_deref(), Some("1.1"));
        assert_eq!(store.value("SN1", "Device.X").unwrap(), None);
    }

    #[test]
    fn a_device_tells_no_more_than_is_kept() {
        let store = Store::in_memory().unwrap();
        store.add_device("SN1").unwrap();
        let long = "x".repeat(MAX_VALUE + 1);
        let seen = [value("Device.A", &long), value(&"B".repeat(257), ""), value("Device.C", "1")];
        let seen = Seen { serial_number: "SN1", values: &seen, events: "1 BOOT", ..Seen::default() };
        assert_eq!(store.seen(&seen), Ok(true));
        assert_eq!(store.values("SN1", "").unwrap(), [value("Device.C", "1")]);
        assert!(store.history("SN1").unwrap()[1].text.starts_with("2 values are not kept"));
        let many: Vec<_> = (0..MAX_PARAMETERS).map(|count| value(&format!("Device.M{count}"), "")).collect();
        let refused = store.keep_values("SN1", &many).unwrap_err().to_string();
        assert!(
            refused.starts_with("SN1: 1 values are not kept: of a device no more than 50000"),
            "{refused}"
        );
        assert_eq!(store.values("SN1", "").unwrap().len(), 50_000);
        // What is known changes still.
        store.keep_values("SN1", &[value("Device.C", "2")]).unwrap();
        assert_eq!(store.value("SN1", "Device.C").unwrap().as_deref(), Some("2"));
    }

    #[test]
    fn there_are_no_more_devices_than_may_be() {
        let store = Store::in_memory().unwrap();
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
                   INSERT INTO devices (serial_number) SELECT 'D' || i FROM n";
        store.lock().execute_batch(sql).unwrap();
        store.add_device("D7").unwrap();
        let why = "there are 100000 devices already, and SN1 is none of them";
        assert_eq!(store.add_device("SN1"), Err(Error::Refused(why.to_owned())));
        let seen = Seen { serial_number: "SN1", ..Seen::default() };
        assert_eq!(store.seen(&seen), Err(Error::Refused(why.to_owned())));
    }

    #[test]
    fn what_is_not_there() {
        let store = Store::in_memory().unwrap();
        assert_eq!(store.device("SN1"), Ok(None));
        assert!(store.keep_values("SN1", &[value("Device.X", "1")]).is_err());
        assert!(store.add_device("").is_err() && store.add_device(&"x".repeat(65)).is_err());
        assert_eq!(store.devices().unwrap(), []);
    }

    #[test]
    fn devices_are_forgotten_and_read() {
        let store = Store::in_memory().unwrap();
        assert_eq!((store.silence("SN1"), store.delete_device("SN1")), (Ok(None), Ok(false)));
        let values = [value("Device.A.B", "1"), value("Device.A_B", "2"), value("Device.AxB", "3")];
        let seen = Seen { serial_number: "SN1", values: &values, events: "1 BOOT", ..Seen::default() };
        store.seen(&seen).unwrap();
        assert!(matches!(store.silence("SN1"), Ok(Some(0..=5))));
        assert_eq!(store.values("SN1", "").unwrap().len(), 3);
        assert_eq!(store.values("SN1", "Device.A_").unwrap(), [value("Device.A_B", "2")]);
        assert_eq!(store.history("SN1").unwrap()[0].text, "1 BOOT");
        assert_eq!(store.delete_device("SN1"), Ok(true));
        assert_eq!((store.devices().unwrap().len(), store.values("SN1", "").unwrap().len()), (0, 0));
    }
}
