//! The daemon's part in icwmp's vendor files: what they name is told, or watched from the first start of a
//! firmware on.

use log::{info, warn};

use super::Daemon;
use crate::agent::icwmp_files;
use crate::model::value::Value;

const SOFTWARE_VERSION: &str = "Device.DeviceInfo.SoftwareVersion";

impl Daemon {
    /// What the options about values ask of the model; after each look at the settings.
    pub(super) fn configure_model(&mut self) {
        self.model.set_type_check(self.settings.type_check);
        let (names, complaints) =
            match self.vendor_file("forced_inform_json", &self.settings.forced_inform.clone()) {
                Some(text) => icwmp_files::forced_inform(&text),
                None => (Vec::new(), Vec::new()),
            };
        for complaint in complaints {
            warn!("{}: {complaint}", self.settings.forced_inform);
        }
        self.model.force_inform(names);
    }

    /// Sets the notifications that the firmware wants, once: what the ACS sets later stays until the next
    /// firmware.
    pub(super) fn import_notifications(&mut self) {
        let path = self.settings.custom_notify.clone();
        if path.is_empty() {
            return;
        }
        let version = self.model.values([SOFTWARE_VERSION]).ok().and_then(|list| list.into_iter().next());
        let marker = format!("{path} {}", version.map(|(_, Value { text, .. })| text).unwrap_or_default());
        if self.file.state.notifications_of == marker {
            return;
        }
        let Some(text) = self.vendor_file("custom_notify_json", &path) else { return };
        let (changes, complaints) = icwmp_files::custom_notification(&text);
        complaints.iter().for_each(|complaint| warn!("{path}: {complaint}"));
        for change in &changes {
            // Each for itself: one that this model lacks does not take the others with it.
            if let Err(why) = self.model.set_attributes(std::slice::from_ref(change)) {
                warn!("{path}: {why}");
            }
        }
        info!("Notifications of {path} hold: {}", changes.len());
        self.file.state.notifications_of = marker;
    }

    fn vendor_file(&mut self, option: &str, path: &str) -> Option<String> {
        if path.is_empty() {
            return None;
        }
        let text = self.model.backend().text(path);
        if text.is_none() {
            warn!("cwmp.cpe.{option}: {path} cannot be read");
        }
        text.map(|text| text.to_string())
    }
}
