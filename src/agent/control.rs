//! The ubus object `tr069`: icwmp's methods with icwmp's answers, word for word (seed `004`). Pure.
//!
//! ```text
//!  status                   who the ACS is, the last and the next session, how many there were
//!  inform {event}           a session with that event; {GetRPCMethods}: one that asks the ACS for its methods
//!  command {command}        reload, exit
//!  notify                   looks for changed values now
//! ```
//! Where icwmp's own documents differ among themselves, the published examples have the word: events are
//! known in small letters too, `reload` answers with status 1.

use serde_json::{Map, Value, json};

use crate::cwmp::event::EventCode;

/// What a call asks the daemon to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A session with this event.
    Event(EventCode),
    /// A session in which the ACS is asked for its methods.
    Methods,
    /// Read the configuration again.
    Reload,
    /// End.
    Exit,
    /// Look for changes.
    Notify,
}

/// What `status` tells. Times are texts as icwmp writes them, or `N/A`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Whether sessions can be had: there is an ACS, and the agent is enabled.
    pub is_up: bool,
    /// When this life began.
    pub start_time: String,
    /// The ACS.
    pub acs_url: String,
    /// `waiting`, `running`, `failure`, `success` or `N/A`.
    pub last_status: &'static str,
    /// When the last session began.
    pub last_start: String,
    /// When it ended.
    pub last_end: String,
    /// When the next is to begin.
    pub next_start: String,
    /// Sessions of this life.
    pub successes: u32,
    /// Sessions of this life.
    pub failures: u32,
}

/// The answer to `status`.
pub fn status(status: &Status) -> Value {
    json!({
        "cwmp": {
            "status": if status.is_up { "up" } else { "init" },
            "start_time": status.start_time,
            "acs_url": status.acs_url,
        },
        "last_session": {
            "status": status.last_status,
            "start_time": status.last_start,
            "end_time": status.last_end,
        },
        "next_session": {
            "status": "waiting",
            "start_time": status.next_start,
            "end_time": "N/A",
        },
        "statistics": {
            "success_sessions": status.successes,
            "failure_sessions": status.failures,
            "total_sessions": status.successes.saturating_add(status.failures),
        },
    })
}

/// The answer to `inform`, and what it asks for. `is_running`: a session is on its way.
pub fn inform(arguments: &Map<String, Value>, is_running: bool) -> (Value, Option<Wanted>) {
    let started = match is_running {
        true => "Session already running, event will be sent at the end of the session",
        false => "Session started",
    };
    if arguments.get("GetRPCMethods").is_some_and(is_true) {
        return (answer(1, started), Some(Wanted::Methods));
    }
    let event = match arguments.get("event").map(Value::as_str) {
        None => Some(EventCode::ConnectionRequest),
        Some(text) => text.and_then(event),
    };
    match event {
        Some(event) => (answer(1, started), Some(Wanted::Event(event))),
        None => (answer(-1, "not able to get the event code"), None),
    }
}

/// The answer to `command`, and what it asks for.
pub fn command(arguments: &Map<String, Value>, is_running: bool) -> (Value, Option<Wanted>) {
    match arguments.get("command").and_then(Value::as_str) {
        Some("reload") if is_running => {
            (answer(1, "Session running, reload at the end of the session"), Some(Wanted::Reload))
        }
        Some("reload") => (answer(1, "icwmpd config reloaded"), Some(Wanted::Reload)),
        Some("exit") => (answer(1, "icwmpd daemon stopped"), Some(Wanted::Exit)),
        Some(other) => {
            let other: String = other.chars().take(64).collect();
            let text = format!("'{other}' is not supported. Check the supported commands.");
            (answer(-1, &text), None)
        }
        None => (supported(), None),
    }
}

/// The answer to `notify`.
pub fn notify() -> (Value, Option<Wanted>) {
    (answer(1, "values are looked at"), Some(Wanted::Notify))
}

fn supported() -> Value {
    json!({"SupportedCommands": [
        {"command": "reload", "description": "Reload icwmpd with new configuration"},
        {"command": "exit", "description": "Exit from icwmpd"},
    ]})
}

fn answer(status: i32, info: &str) -> Value {
    json!({"status": status, "info": info})
}

/// A flag as `ubus call` may carry it: `true`, a number, or a text.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_i64().is_some_and(|number| number != 0),
        Value::String(text) => matches!(text.as_str(), "1" | "true" | "True" | "TRUE"),
        _ => false,
    }
}

/// The event of a whole code, in letters of any size. Codes that only a message brings open a session as a
/// connection request does, as in icwmp.
fn event(text: &str) -> Option<EventCode> {
    use EventCode as E;
    match EventCode::parse(text.trim().to_ascii_uppercase().as_str()) {
        E::Vendor(_) | E::Method(_) => None,
        event @ (E::Boot
        | E::Periodic
        | E::ValueChange
        | E::ConnectionRequest
        | E::DiagnosticsComplete
        | E::Wakeup
        | E::Heartbeat) => Some(event),
        _ => Some(E::ConnectionRequest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[track_caller]
    fn check_inform(given: &Value, running: bool, info: &str, wanted: Option<Wanted>) {
        let (reply, found) = inform(&arguments(given), running);
        assert_eq!((reply["info"].as_str(), &found), (Some(info), &wanted), "{given}");
        assert_eq!(reply["status"], if wanted.is_some() { 1 } else { -1 });
    }

    #[test]
    fn informs() {
        let event = |event| Some(Wanted::Event(event));
        let started = "Session started";
        check_inform(
            &json!({"event": "6 connection request"}),
            false,
            started,
            event(EventCode::ConnectionRequest),
        );
        check_inform(
            &json!({"event": "8 diagnostics complete"}),
            false,
            started,
            event(EventCode::DiagnosticsComplete),
        );
        check_inform(&json!({"event": "2 PERIODIC"}), false, started, event(EventCode::Periodic));
        check_inform(
            &json!({"event": "7 TRANSFER COMPLETE"}),
            false,
            started,
            event(EventCode::ConnectionRequest),
        );
        check_inform(&json!({}), false, started, event(EventCode::ConnectionRequest));
        check_inform(&json!({"GetRPCMethods": "1"}), false, started, Some(Wanted::Methods));
        check_inform(
            &json!({"GetRPCMethods": true, "event": "2 PERIODIC"}),
            false,
            started,
            Some(Wanted::Methods),
        );
        check_inform(
            &json!({"GetRPCMethods": false, "event": "2 PERIODIC"}),
            false,
            started,
            event(EventCode::Periodic),
        );
        let running = "Session already running, event will be sent at the end of the session";
        check_inform(&json!({"event": "2 PERIODIC"}), true, running, event(EventCode::Periodic));
        for bad in ["2", "", "M Reboot", "X ABC thing", "2 PERIODIC; reboot"] {
            check_inform(&json!({"event": bad}), false, "not able to get the event code", None);
        }
        check_inform(&json!({"event": 2}), false, "not able to get the event code", None);
    }

    #[test]
    fn commands() {
        let of = |command: &str, running| super::command(&arguments(&json!({"command": command})), running);
        assert_eq!(of("reload", false), (answer(1, "icwmpd config reloaded"), Some(Wanted::Reload)));
        assert_eq!(of("reload", true).0["info"], "Session running, reload at the end of the session");
        assert_eq!(of("exit", false), (answer(1, "icwmpd daemon stopped"), Some(Wanted::Exit)));
        let (reply, wanted) = of("dance", false);
        assert_eq!((reply["status"].as_i64(), wanted), (Some(-1), None));
        assert_eq!(reply["info"], "'dance' is not supported. Check the supported commands.");
        assert!(super::command(&Map::new(), false).0["SupportedCommands"].is_array());
        assert!(of(&"x".repeat(1 << 20), false).0.to_string().len() < 200);
    }

    /// The example of the seed.
    #[test]
    fn a_status() {
        let told = super::status(&Status {
            is_up: true,
            start_time: "2019-12-24T10:21:18+01:00".into(),
            acs_url: "http://genieacs:7547".into(),
            last_status: "success",
            last_start: "2019-12-24T10:21:18+01:00".into(),
            last_end: "2019-12-24T10:21:19+01:00".into(),
            next_start: "2019-12-26T12:21:18+01:00".into(),
            successes: 1,
            failures: 0,
        });
        let seed = r#"{"cwmp":{"status":"up","start_time":"2019-12-24T10:21:18+01:00","acs_url":"http:\/\/genieacs:7547"},
            "last_session":{"status":"success","start_time":"2019-12-24T10:21:18+01:00","end_time":"2019-12-24T10:21:19+01:00"},
            "next_session":{"status":"waiting","start_time":"2019-12-26T12:21:18+01:00","end_time":"N\/A"},
            "statistics":{"success_sessions":1,"failure_sessions":0,"total_sessions":1}}"#;
        assert_eq!(told, serde_json::from_str::<Value>(seed).unwrap());
    }
}
