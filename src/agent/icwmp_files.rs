//! The JSON files that icwmp's options name: parameters for every Inform, and notifications that hold at first.
//!
//! ```text
//!  cpe.forced_inform_json   {"forced_inform": ["Device.A.B", …]}
//!  cpe.custom_notify_json   {"custom_notification": [{"parameter": "Device.A.B", "notify_type": "2"}, …]}
//! ```
//! A firmware brings them. Bad entries are complained about and skipped; the others hold. Pure.

use serde_json::Value;

use crate::model::attributes::AttributeChange;

/// The most entries of a file that are looked at.
pub const MAX_ENTRIES: usize = 256;
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
    let text = value.as_str()?.trim();
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
