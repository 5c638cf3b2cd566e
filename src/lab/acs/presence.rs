//! Which devices can be reached, as far as an ACS can know it.
//!
//! A device is online while it has a session, and after one until it has missed two of its periodic Informs, or until it
//! has not accepted a connection request.

use std::collections::HashMap;

use super::office::Office;

/// How often a device informs that has not told, in seconds, as in the community's ACS.
const INTERVAL: i64 = 300;
/// For a session on its way, in seconds.
const GRACE: i64 = 30;

/// Where a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Not heard of for too long, or never.
    Offline,
    /// Heard of lately.
    Online,
}

impl Presence {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Presence::Offline => "offline",
            Presence::Online => "online",
        }
    }
}

impl Office {
    /// Where a device is.
    pub fn presence(&self, device: &str) -> Presence {
        if self.in_session(device) {
            return Presence::Online;
        }
        let Ok(Some(silence)) = self.store.silence(device) else { return Presence::Offline };
        let value = |name: &str| {
            let roots = ["Device.", "InternetGatewayDevice."];
            roots.iter().find_map(|root| self.store.value(device, &format!("{root}{name}")).ok().flatten())
        };
        let told = value("ManagementServer.PeriodicInformInterval").and_then(|text| text.parse().ok());
        let interval = told.filter(|seconds: &i64| *seconds > 0).unwrap_or(INTERVAL);
        let is_late = silence > interval.saturating_mul(2).saturating_add(GRACE);
        if is_late || self.is_unreachable(device) { Presence::Offline } else { Presence::Online }
    }

    /// Looks at all devices; those that went offline since the last look are news.
    pub(super) fn watch(&self, known: &mut HashMap<String, Presence>) {
        let Ok(devices) = self.store.devices() else { return };
        for device in devices.into_iter().filter(|device| device.last_contact.is_some()) {
            let now = self.presence(&device.serial_number);
            let before = known.insert(device.serial_number.clone(), now);
            if before == Some(Presence::Online) && now == Presence::Offline {
                self.watcher.news(&super::news::News::Offline { device: &device.serial_number });
            }
        }
    }
}
