//! The daemon's news of what others have done: packages, firmware, and requests by somebody on the router.

use log::{info, warn};

use super::Daemon;
use crate::agent::autonomous::{self, MAX_RESULTS, Policy};
use crate::agent::changes::ConfigChanges;
use crate::agent::requests;
use crate::cwmp::queue::Message;
use crate::cwmp::rpc::UNKNOWN_TIME;
use crate::model::date;
use crate::sys::clock;

const UNITS: &str = "Device.SoftwareModules.DeploymentUnit.";
const UNIT_POLICY: &str = "Device.ManagementServer.DUStateChangeComplPolicy.";
const TRANSFER_POLICY: &str = "Device.ManagementServer.AutonomousTransferCompletePolicy.";

impl Daemon {
    /// Compares the packages with those that the ACS knows of, while it wants to know (TR-069 A.3.3.5).
    pub(super) fn look_at_packages(&mut self) {
        // What we change ourselves is told by DUStateChangeComplete.
        if !self.file.state.units.is_empty() {
            return;
        }
        let policy = self.policy(UNIT_POLICY);
        if !policy.is_enabled() {
            self.file.state.inventory = None;
            return;
        }
        // A list that cannot be read is not an empty one.
        let Some(now) = self.texts(UNITS).map(autonomous::inventory) else { return };
        // Whatever is told of a row later, it is told by the number that the row has now.
        if let Err(why) = self.model.save() {
            warn!("packages are not looked at: {why}");
            return;
        }
        let before = self.file.state.inventory.clone().unwrap_or_else(|| now.clone());
        let results = autonomous::changes(&before, &now, &policy, &date_now());
        if results.chunks(MAX_RESULTS).len() > self.file.state.queue.room() {
            // Looked at again when there is room for all of them: none is to be told twice.
            return;
        }
        for part in results.chunks(MAX_RESULTS) {
            let message = Message::AutonomousDuStateChangeComplete(part.to_vec());
            if !self.tell_acs(message, "AutonomousDUStateChangeComplete") {
                return;
            }
        }
        self.file.state.inventory = Some(now);
        self.save();
    }

    /// The ACS's own operation has ended: what it brought is no news.
    pub(super) fn packages_are_known(&mut self) {
        if self.file.state.inventory.is_some()
            && let Some(now) = self.texts(UNITS).map(autonomous::inventory)
        {
            self.file.state.inventory = Some(now);
        }
    }

    /// At a start: another firmware may run than before. `self_made`: the ACS has asked for one.
    pub(super) fn look_at_firmware(&mut self, self_made: bool) {
        let now = self.software_version();
        if now.is_empty() || now == self.file.state.software_version {
            return;
        }
        let before = std::mem::replace(&mut self.file.state.software_version, now.clone());
        let policy = self.policy(TRANSFER_POLICY);
        if !self_made && let Some(complete) = autonomous::firmware(&before, &now, &policy, &date_now()) {
            info!("firmware {now} was installed by somebody else");
            let message = Message::AutonomousTransferComplete(Box::new(complete));
            self.tell_acs(message, "AutonomousTransferComplete");
        }
    }

    /// Takes what somebody on the router wants told, and tells what the ACS says that it has a method for:
    /// another one may not survive the call.
    pub(super) fn look_for_wishes(&mut self) {
        if self.exchange.is_some() {
            return;
        }
        let noticed = self.notices.requests.as_mut().and_then(ConfigChanges::changed).is_some();
        if !(std::mem::take(&mut self.notices.requests_left) || noticed) {
            return;
        }
        if self.file.state.acs_methods.is_none() {
            // They are looked at again when the next session has ended.
            self.ask_methods |= requests::any(&self.options.root);
            return;
        }
        let (wishes, complaints) = requests::take(&self.options.root);
        complaints.iter().for_each(|complaint| warn!("{complaint}"));
        for wish in wishes {
            let method = wish.method();
            self.tell_acs(wish.message(), method);
        }
        self.save();
    }

    /// Puts a message of ours into the queue; false when there is no room for it now.
    fn tell_acs(&mut self, message: Message, method: &str) -> bool {
        let lacks = |methods: &Vec<String>| !methods.iter().any(|name| name == method);
        if self.file.state.acs_methods.as_ref().is_some_and(lacks) {
            warn!("{method} is not told: the ACS has no such method");
            return true;
        }
        let told = self.file.state.queue.add_message(message, None);
        told.map_err(|why| warn!("{method} is not told: {why}")).is_ok()
    }

    fn policy(&mut self, object: &str) -> Policy {
        self.texts(object).map(Policy::of).unwrap_or_default()
    }

    /// The values below an object as texts; `None` when they cannot be read.
    fn texts(&mut self, object: &str) -> Option<Vec<(String, String)>> {
        let values = self.model.values([object]).ok()?;
        Some(values.into_iter().map(|(name, value)| (name, value.text)).collect())
    }
}

fn date_now() -> String {
    if clock::is_set() { date::format_utc(clock::epoch_seconds()) } else { UNKNOWN_TIME.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::agent::autonomous::Inventory;
    use crate::agent::options::Options;
    use crate::cwmp::queue::{MAX_MESSAGES, Receipt};
    use crate::model::value::Input;
    use crate::sys::fs::Root;

    #[test]
    fn what_needs_several_messages_is_told_with_all_of_them_or_later() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let install = |count: usize| {
            let one = |n| format!("P:p{n}\nV:1\nF:etc/init.d\nR:p{n}\n\n");
            write("lib/apk/db/installed", &(0..count).map(one).collect::<String>());
        };
        write("etc/config/cwmp", "config cpe 'cpe'\n\toption log_to_file '0'\n");
        write("rom/lib/apk/db/installed", "P:base-files\nV:1\n\n");
        install(0);
        let options = Options { root: Root::new(dir.path()), ..Options::default() };
        let mut daemon = Daemon::start(&options).map_err(|why| why.0).unwrap();
        let on = Input { text: "1".to_owned(), ..Input::default() };
        daemon.model.set(&[(format!("{UNIT_POLICY}Enable"), on)], None).unwrap();
        daemon.look_at_packages();
        assert!(daemon.file.state.inventory.as_ref().is_some_and(Inventory::is_empty));
        install(MAX_RESULTS + 1);
        let waiting = Message::AutonomousDuStateChangeComplete(Vec::new());
        let queue = &mut daemon.file.state.queue;
        let tickets: Vec<_> =
            (1..MAX_MESSAGES).map(|_| queue.add_message(waiting.clone(), None).unwrap()).collect();
        assert_eq!(queue.room(), 1);
        daemon.model.refresh();
        daemon.look_at_packages();
        assert_eq!(daemon.file.state.queue.room(), 1, "two are needed");
        daemon.file.state.queue.delivered(Receipt::Call(tickets[0]));
        daemon.look_at_packages();
        assert_eq!(daemon.file.state.queue.room(), 0);
        daemon.file.state.queue.delivered(Receipt::Call(tickets[1]));
        daemon.look_at_packages();
        assert_eq!(daemon.file.state.queue.room(), 1, "they are told once");
    }
}
