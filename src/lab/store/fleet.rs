//! What scripts may change of devices: correcting a model.

use rusqlite::params;

use super::{Result, Store};

impl Store {
    /// Sets a device's model, for one that does not tell it; whether the device is known.
    ///
    /// # Errors
    /// [`super::Error::Database`].
    pub fn set_model(&self, serial_number: &str, model: &str) -> Result<bool> {
        let sql = "UPDATE devices SET model = ?2 WHERE serial_number = ?1";
        Ok(self.lock().execute(sql, params![serial_number, model])? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Seen;
    use super::*;

    #[test]
    fn devices_change_and_go() {
        let store = Store::in_memory().unwrap();
        assert_eq!((store.delete_device("SN1"), store.set_model("SN1", "X")), (Ok(false), Ok(false)));
        assert_eq!(store.silence("SN1"), Ok(None));
        let values = [("Device.X".to_owned(), "1".to_owned(), String::new())];
        store.seen(&Seen { serial_number: "SN1", values: &values, ..Seen::default() }).unwrap();
        assert!(store.silence("SN1").unwrap().is_some_and(|seconds| (0..5).contains(&seconds)));
        assert_eq!(store.set_model("SN1", "It's"), Ok(true));
        assert_eq!(store.device("SN1").unwrap().unwrap().model, "It's");
        assert_eq!((store.delete_device("SN1"), store.device("SN1")), (Ok(true), Ok(None)));
        assert_eq!(store.value("SN1", "Device.X"), Ok(None));
    }
}
