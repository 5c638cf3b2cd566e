//! What somebody else than the ACS has done with firmware and packages: which of it an ACS wants to know
//! (TR-181 `ManagementServer.AutonomousTransferCompletePolicy.` and `DUStateChangeComplPolicy.`). Pure.
//!
//! ```text
//!  packages as last seen ─┐
//!  packages now          ─┴─► changes ─► the policy's filters ─► AutonomousDUStateChangeComplete
//!  firmware as last seen, firmware now ─► the policy's filters ─► AutonomousTransferComplete
//! ```
//! An empty list in a filter lets everything through: whoever wants nothing turns the policy off.

use serde::{Deserialize, Serialize};

use crate::cwmp::rpc::{AutonomousResult, AutonomousTransferComplete, OperationResult, UNKNOWN_TIME};
use crate::map::Map;

/// FileType of a firmware image.
const FIRMWARE: &str = "1 Firmware Upgrade Image";
/// The most results of one message.
pub const MAX_RESULTS: usize = 64;
/// The most units that are remembered.
const MAX_UNITS: usize = 512;
/// Version of a result, in characters (`OpResultStruct`).
const MAX_VERSION: usize = 32;

/// The parameters of one of the two policy objects, by their last names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy(Map<String, String>);

impl Policy {
    /// Of a policy object's parameters with their values.
    pub fn of(values: impl IntoIterator<Item = (String, String)>) -> Policy {
        let last = |path: String| path.rsplit('.').next().unwrap_or_default().to_owned();
        Policy(values.into_iter().map(|(path, value)| (last(path), value)).collect())
    }

    /// Whether anything at all is to be told.
    pub fn is_enabled(&self) -> bool {
        matches!(self.text("Enable"), "1" | "true")
    }

    /// Whether a deployment unit's operation that has succeeded is to be told.
    fn wants_unit(&self, operation: &str) -> bool {
        self.is_enabled() && self.lists("OperationTypeFilter", operation) && self.wants_success()
    }

    /// Whether a download that has succeeded is to be told.
    fn wants_download(&self, file_type: &str) -> bool {
        self.is_enabled()
            && matches!(self.text("TransferTypeFilter"), "Download" | "Both")
            && self.lists("FileTypeFilter", file_type)
            && self.wants_success()
    }

    fn wants_success(&self) -> bool {
        matches!(self.text("ResultTypeFilter"), "Success" | "Both")
    }

    fn lists(&self, name: &str, word: &str) -> bool {
        let list = self.text(name);
        list.trim().is_empty() || list.split(',').any(|item| item.trim() == word)
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// A deployment unit as the model shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unit {
    /// UUID.
    pub uuid: String,
    /// Version.
    pub version: String,
    /// Its row, without the last dot.
    pub path: String,
    /// ExecutionUnitList.
    pub services: String,
}

/// The deployment units, by the names of their packages; persistent.
pub type Inventory = Map<String, Unit>;

/// The deployment units of the values below `Device.SoftwareModules.DeploymentUnit.`
pub fn inventory(values: impl IntoIterator<Item = (String, String)>) -> Inventory {
    let mut rows: Map<String, (String, Unit)> = Map::new();
    for (path, value) in values {
        let Some((row, last)) = path.rsplit_once('.') else { continue };
        let (name, unit) = rows.or_default(row.to_owned());
        match last {
            "Name" => *name = value,
            "UUID" => unit.uuid = value,
            "Version" => unit.version = value,
            "ExecutionUnitList" => unit.services = value,
            _ => {}
        }
    }
    let named = rows.into_iter().filter(|(_, (name, _))| !name.is_empty());
    named.map(|(path, (name, unit))| (name, Unit { path, ..unit })).take(MAX_UNITS).collect()
}

/// What the policy wants told of the difference between two inventories, seen at a time (dateTime); in the
/// order of the names. Only what has succeeded can be seen so: a failure changes nothing.
pub fn changes(before: &Inventory, now: &Inventory, policy: &Policy, time: &str) -> Vec<AutonomousResult> {
    let gone = before.iter().filter(|(name, _)| !now.contains_key(*name));
    let gone = gone.map(|(_, unit)| result(unit, "Uninstall", "Uninstalled", time));
    let here = now.iter().filter_map(|(name, unit)| match before.get(name) {
        None => Some(result(unit, "Install", "Installed", time)),
        Some(old) if old.version != unit.version => Some(result(unit, "Update", "Installed", time)),
        Some(_) => None,
    });
    gone.chain(here).filter(|change| policy.wants_unit(&change.operation_performed)).collect()
}

fn result(unit: &Unit, operation: &str, state: &str, time: &str) -> AutonomousResult {
    AutonomousResult {
        result: OperationResult {
            uuid: unit.uuid.clone(),
            deployment_unit_ref: unit.path.clone(),
            version: unit.version.chars().take(MAX_VERSION).collect(),
            current_state: state.to_owned(),
            // What is not installed has nothing unresolved about it; a package manager installs all or nothing.
            resolved: true,
            execution_unit_ref_list: if state == "Installed" { unit.services.clone() } else { String::new() },
            start_time: UNKNOWN_TIME.to_owned(),
            complete_time: time.to_owned(),
            fault_code: 0,
            fault_string: String::new(),
        },
        operation_performed: operation.to_owned(),
    }
}

/// What the policy wants told of another firmware that runs since this start, which no ACS has asked for.
/// Where it came from nobody knows: URL and size are empty. An unknown version before says nothing.
pub fn firmware(before: &str, now: &str, policy: &Policy, time: &str) -> Option<AutonomousTransferComplete> {
    let is_news = !before.is_empty() && before != now && policy.wants_download(FIRMWARE);
    is_news.then(|| AutonomousTransferComplete {
        is_download: true,
        file_type: FIRMWARE.to_owned(),
        start_time: UNKNOWN_TIME.to_owned(),
        complete_time: time.to_owned(),
        ..AutonomousTransferComplete::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-11-21T11:00:00Z";

    fn policy(words: &[(&str, &str)]) -> Policy {
        let defaults = [("Enable", "1"), ("ResultTypeFilter", "Both"), ("TransferTypeFilter", "Both")];
        let all = defaults.iter().chain(words);
        Policy::of(all.map(|(name, value)| (format!("Device.X.{name}"), (*value).to_owned())))
    }

    fn units(list: &[(&str, &str)]) -> Inventory {
        let rows = list.iter().zip(1..).flat_map(|((name, version), n)| {
            let row = format!("Device.SoftwareModules.DeploymentUnit.{n}");
            [
                (format!("{row}.Name"), (*name).to_owned()),
                (format!("{row}.Version"), (*version).to_owned()),
                (format!("{row}.UUID"), format!("uuid of {name}")),
                (format!("{row}.ExecutionUnitList"), "Device.SoftwareModules.ExecutionUnit.1".to_owned()),
                (format!("{row}.Status"), "Installed".to_owned()),
            ]
        });
        inventory(rows)
    }

    #[track_caller]
    fn check(before: &[(&str, &str)], now: &[(&str, &str)], filters: &[(&str, &str)], expected: &str) {
        let found = changes(&units(before), &units(now), &policy(filters), TIME);
        let one = |change: &AutonomousResult| {
            let result = &change.result;
            let place = result.deployment_unit_ref.rsplit('.').next().unwrap();
            format!("{} {place} {} {}", change.operation_performed, result.version, result.current_state)
        };
        assert_eq!(found.iter().map(one).collect::<Vec<_>>().join(", "), expected);
        for change in &found {
            assert_eq!(change.result.complete_time, TIME);
            let services = &change.result.execution_unit_ref_list;
            assert_eq!(services.is_empty(), change.result.current_state == "Uninstalled");
        }
    }

    #[test]
    fn what_has_changed() {
        let before = [("a", "1"), ("b", "1"), ("c", "1")];
        let now = [("b", "1"), ("c", "2"), ("d", "1")];
        check(&before, &now, &[], "Uninstall 1 1 Uninstalled, Update 2 2 Installed, Install 3 1 Installed");
        check(&before, &before, &[], "");
        // Another place in the table is no change.
        check(&[("a", "1"), ("b", "1")], &[("b", "1"), ("a", "1")], &[], "");
    }

    #[test]
    fn filters() {
        let (before, now) = ([("a", "1")], [("b", "1")]);
        check(&before, &now, &[("OperationTypeFilter", "Update, Install")], "Install 1 1 Installed");
        check(&before, &now, &[("OperationTypeFilter", "Update")], "");
        check(&before, &now, &[("ResultTypeFilter", "Failure")], "");
        check(
            &before,
            &now,
            &[("ResultTypeFilter", "Success")],
            "Uninstall 1 1 Uninstalled, Install 1 1 Installed",
        );
        check(&before, &now, &[("Enable", "0")], "");
        // Codes are of failures: they do not keep a success back.
        check(&before, &[], &[("FaultCodeFilter", "9001")], "Uninstall 1 1 Uninstalled");
        assert!(!Policy::default().is_enabled());
    }

    #[test]
    fn another_firmware() {
        let told =
            |before: &str, filters: &[(&str, &str)]| firmware(before, "2", &policy(filters), TIME).is_some();
        assert!(told("1", &[]) && told("1", &[("FileTypeFilter", "2 Web Content,1 Firmware Upgrade Image")]));
        assert!(!told("2", &[]) && !told("", &[]));
        for filter in [
            ("FileTypeFilter", "3 Vendor Configuration File"),
            ("TransferTypeFilter", "Upload"),
            ("ResultTypeFilter", "Failure"),
            ("Enable", "0"),
        ] {
            assert!(!told("1", &[filter]), "{filter:?}");
        }
        let complete = firmware("1", "2", &policy(&[]), TIME).unwrap();
        assert_eq!((complete.file_type.as_str(), complete.is_download), (FIRMWARE, true));
    }
}
