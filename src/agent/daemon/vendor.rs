//! The daemon's part in icwmp's vendor files: what they name is told, or watched from the first start of a
//! firmware on.

use log::{info, warn};

use super::Daemon;
use crate::agent::{icwmp_files, vendor};
use crate::model::attributes::AttributeChange;
use crate::model::value::Value;

/// Where icwmp keeps what the ACS has asked it to watch.
const ICWMP_NOTIFICATIONS: &str = "/etc/icwmpd/cwmp_notifications";
const SOFTWARE_VERSION: &str = "Device.DeviceInfo.SoftwareVersion";

impl Daemon {
    /// What the options about values ask of the model; after each look at the settings.
    pub(super) fn configure_model(&mut self) {
        let complaints = vendor::configure(&mut self.model, &self.settings);
        complaints.iter().for_each(|complaint| warn!("{complaint}"));
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
        let text = match vendor::named_file(self.model.backend(), "custom_notify_json", &path) {
            Ok(text) => text,
            Err(why) => return warn!("{why}"),
        };
        let (changes, complaints) = icwmp_files::custom_notification(&text);
        self.watch_as_asked(&path, &changes, &complaints);
        self.file.state.notifications_of = marker;
    }

    /// Takes over what icwmp was asked to watch, once: an ACS that knew it then has set it, and does not do so again.
    pub(super) fn take_icwmp_notifications(&mut self) {
        let state = &mut self.file.state;
        let heir = std::mem::take(&mut state.heir);
        // Whoever was spoken to by us has had its own say since.
        if std::mem::replace(&mut state.migrated, true) || (state.bootstrapped.is_some() && !heir) {
            return;
        }
        let Some(text) = self.model.backend().text(ICWMP_NOTIFICATIONS) else { return };
        let (changes, complaints) = icwmp_files::kept_notifications(&text);
        self.watch_as_asked(ICWMP_NOTIFICATIONS, &changes, &complaints);
    }

    fn watch_as_asked(&mut self, path: &str, changes: &[AttributeChange], complaints: &[String]) {
        complaints.iter().for_each(|complaint| warn!("{path}: {complaint}"));
        let mut count = 0;
        for change in changes {
            // Each for itself: one that this model lacks does not take the others with it.
            match self.model.set_attributes(std::slice::from_ref(change)) {
                Ok(()) => count += 1,
                Err(why) => warn!("{path}: {why}"),
            }
        }
        info!("Notifications of {path} hold: {count}");
    }
}
