//! The files that icwmp's options name, and the one where it keeps what the ACS has asked it to watch: parameters for
//! every Inform, and notifications that hold at first.
//!
//! ```text
//!  cpe.forced_inform_json   {"forced_inform": ["Device.A.B", …]}
//!  cpe.custom_notify_json   {"custom_notification": [{"parameter": "Device.A.B", "notify_type": "2"}, …]}
//!
//!  /etc/icwmpd/cwmp_notifications   config notifications 'notifications'
//!                                       list active 'Device.A.B' …
//! ```
//! A firmware brings the JSON. Bad entries are complained about and skipped; the others hold. Pure.

use serde_json::Value;

use crate::model::attributes::AttributeChange;
use crate::uci::Document;

/// The most entries of a file that are looked at.
pub const MAX_ENTRIES: usize = 256;
/// The most entries of icwmp's lists that are looked at.
const MAX_KEPT: usize = 1024;
/// icwmp's lists, by the number of the notification that they are of.
const LISTS: [&str; 7] =
    ["disabled", "passive", "active", "passive_lw", "passive_passive_lw", "active_lw", "passive_active_lw"];
/// The longest name of TR-106.
const MAX_NAME: usize = 256;

/// The names of `forced_inform`, and what is wrong with the others.
pub fn forced_inform(text: &str) -> (Vec<String>, Vec<String>) {
    let mut complaints = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for entry in entries(text, "forced_inform", &mut complaints) {
        match name(&entry) {
            Some(name) if names.contains(&name) => {}
            Some(name) => names.push(name),
            None => complaints.push(format!("forced_inform: {} is no name", shown(&entry))),
        }
    }
    (names, complaints)
}

/// The changes that `custom_notification` asks for, and what is wrong with the others.
pub fn custom_notification(text: &str) -> (Vec<AttributeChange>, Vec<String>) {
    let mut complaints = Vec::new();
    let mut changes = Vec::new();
    for entry in entries(text, "custom_notification", &mut complaints) {
        let level = match &entry["notify_type"] {
            Value::String(text) => text.trim().parse::<i64>().ok(),
            other => other.as_i64(),
        };
        match (name(&entry["parameter"]), level) {
            (Some(name), Some(level @ 0..=6)) => {
                changes.push(AttributeChange { name, notification: Some(level), subscriber: None });
            }
            _ => complaints.push(format!("custom_notification: {} makes no sense", shown(&entry))),
        }
    }
    (changes, complaints)
}

/// The changes that lead to what icwmp was asked to watch, objects before what is in them, and what is wrong with
/// the others.
pub fn kept_notifications(text: &str) -> (Vec<AttributeChange>, Vec<String>) {
    let document = match Document::parse("cwmp_notifications", text.as_bytes()) {
        Ok(document) => document,
        Err(why) => return (Vec::new(), vec![why.to_string()]),
    };
    let mut complaints = Vec::new();
    let mut changes = Vec::new();
    let mut seen = 0_usize;
    for section in document.of_type("notifications") {
        for (level, list) in (0..).zip(LISTS) {
            for word in section.option(list).into_iter().flat_map(|value| value.words()) {
                seen += 1;
                if seen > MAX_KEPT {
                    continue;
                }
                match checked(word) {
                    Some(name) => {
                        changes.push(AttributeChange { name, notification: Some(level), subscriber: None });
                    }
                    None => complaints.push(format!("{list}: {} is no name", shown(&Value::from(word)))),
                }
            }
        }
    }
    if seen > MAX_KEPT {
        complaints.push(format!("there are {seen} entries, {MAX_KEPT} are used"));
    }
    // What is said of a parameter holds against what is said of its object.
    changes.sort_by_key(|change| change.name.len());
    (changes, complaints)
}

fn entries(text: &str, key: &str, complaints: &mut Vec<String>) -> Vec<Value> {
    let parsed: Result<Value, _> = serde_json::from_slice(text.as_bytes());
    match parsed {
        Err(why) => complaints.push(why.to_string()),
        Ok(mut value) => match value.get_mut(key).map(Value::take) {
            Some(Value::Array(mut list)) => {
                if list.len() > MAX_ENTRIES {
                    complaints.push(format!("{key} has {} entries, {MAX_ENTRIES} are used", list.len()));
                    list.truncate(MAX_ENTRIES);
                }
                return list;
            }
            _ => complaints.push(format!("there is no list {key}")),
        },
    }
    Vec::new()
}

fn name(value: &Value) -> Option<String> {
    checked(value.as_str()?)
}

fn checked(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text.len() <= MAX_NAME).then(|| text.to_owned())
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_every_inform() {
        let text = r#"{"forced_inform": ["Device.A", " Device.B ", "Device.A", 7, ""]}"#;
        let (names, complaints) = forced_inform(text);
        assert_eq!(names, ["Device.A", "Device.B"]);
        assert_eq!(complaints, ["forced_inform: 7 is no name", "forced_inform: \"\" is no name"]);
        for bad in ["", "[]", "{}", r#"{"forced_inform": "Device.A"}"#, "\u{0}", "[[[[[[[["] {
            let (names, complaints) = forced_inform(bad);
            assert!(names.is_empty() && complaints.len() == 1, "{bad}: {complaints:?}");
        }
        let many = format!("{{\"forced_inform\": [{}]}}", vec!["\"Device.A\""; 1000].join(","));
        assert_eq!(forced_inform(&many).1.len(), 1);
    }

    #[test]
    fn what_icwmp_was_asked_to_watch() {
        let text = "config notifications 'notifications'\n\tlist active 'Device.A.B'\n\tlist active ''\n\
            \tlist passive 'Device.A.'\n\tlist disabled 'Device.A.C'\n\tlist passive_active_lw 'Device.D'\n\
            \tlist else 'Device.E'\nconfig other\n\tlist active 'Device.F'\n";
        let (changes, complaints) = kept_notifications(text);
        let found: Vec<_> = changes.iter().map(|one| (one.name.as_str(), one.notification)).collect();
        let expected =
            [("Device.D", Some(6)), ("Device.A.", Some(1)), ("Device.A.C", Some(0)), ("Device.A.B", Some(2))];
        assert_eq!(found, expected);
        assert_eq!(complaints, ["active: \"\" is no name"]);
        let many = format!("config notifications\n{}", "list active 'Device.A'\n".repeat(3000));
        let (changes, complaints) = kept_notifications(&many);
        assert_eq!((changes.len(), complaints.len()), (MAX_KEPT, 1));
        let (changes, complaints) = kept_notifications("config notifications\nlist active 'a");
        assert!(changes.is_empty() && complaints.len() == 1);
        assert_eq!(kept_notifications(""), (Vec::new(), Vec::new()));
    }

    #[test]
    fn notifications_that_hold_at_first() {
        let text = r#"{"custom_notification": [{"parameter": "Device.A", "notify_type": "2"},
            {"parameter": "Device.B.", "notify_type": 1}, {"parameter": "Device.C", "notify_type": "7"},
            {"notify_type": "1"}, "Device.D"]}"#;
        let (changes, complaints) = custom_notification(text);
        let found: Vec<_> = changes.iter().map(|one| (one.name.as_str(), one.notification)).collect();
        assert_eq!(found, [("Device.A", Some(2)), ("Device.B.", Some(1))]);
        assert_eq!(complaints.len(), 3, "{complaints:?}");
    }
}
