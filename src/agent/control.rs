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

use crate::cwmp::event::EventCode;
use crate::ubus::blobmsg::{Kind, Table, Value};
use crate::ubus::object::Method;

/// The object's name.
pub const OBJECT: &str = "tr069";
/// [`Status::last_status`] while a session is on its way.
pub const RUNNING: &str = "running";

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

impl Status {
    /// Whether a session is on its way.
    pub fn is_running(&self) -> bool {
        self.last_status == RUNNING
    }
}

/// The methods with their arguments, as icwmp registers them.
pub fn methods() -> Vec<Method> {
    vec![
        Method::new("notify"),
        Method::new("command").with("command", Kind::String),
        Method::new("status"),
        Method::new("inform").with("GetRPCMethods", Kind::Int8).with("event", Kind::String),
    ]
}

/// The answer to `status`.
pub fn status(status: &Status) -> Table {
    let text = |text: &str| Value::from(text);
    let cwmp = Table::new()
        .with("status", if status.is_up { "up" } else { "init" })
        .with("start_time", text(&status.start_time))
        .with("acs_url", text(&status.acs_url));
    let last = Table::new()
        .with("status", status.last_status)
        .with("start_time", text(&status.last_start))
        .with("end_time", text(&status.last_end));
    let next = Table::new()
        .with("status", "waiting")
        .with("start_time", text(&status.next_start))
        .with("end_time", "N/A");
    let number = |number: u32| Value::Int32(i32::try_from(number).unwrap_or(i32::MAX));
    let statistics = Table::new()
        .with("success_sessions", number(status.successes))
        .with("failure_sessions", number(status.failures))
        .with("total_sessions", number(status.successes.saturating_add(status.failures)));
    Table::new()
        .with("cwmp", cwmp)
        .with("last_session", last)
        .with("next_session", next)
        .with("statistics", statistics)
}

/// The answer to `inform`, and what it asks for. `is_up`: sessions can be had, as `status` tells;
/// `is_running`: one is on its way.
pub fn inform(arguments: &Table, is_up: bool, is_running: bool) -> (Table, Option<Wanted>) {
    if !is_up && !is_running {
        return (answer(-1, "icwmpd is still in init state"), None);
    }
    let started = match is_running {
        true => "Session already running, event will be sent at the end of the session",
        false => "Session started",
    };
    if arguments.get("GetRPCMethods").is_some_and(is_true) {
        return (answer(1, started), Some(Wanted::Methods));
    }
    let event = match arguments.get("event") {
        None => Some(EventCode::ConnectionRequest),
        Some(given) if given.as_text().is_some_and(|text| text.to_str().is_empty()) => {
            Some(EventCode::ConnectionRequest)
        }
        Some(_) => arguments.text("event").and_then(|text| event(&text)),
    };
    match event {
        Some(event) => (answer(1, started), Some(Wanted::Event(event))),
        None => (answer(-1, "not able to get the event code"), None),
    }
}

/// The answer to `command`, and what it asks for. `is_readable` looks at the configuration, for a reload that is to be
/// done at once.
pub fn command(
    arguments: &Table,
    is_running: bool,
    is_readable: impl FnOnce() -> bool,
) -> (Table, Option<Wanted>) {
    match arguments.text("command").as_deref() {
        Some("reload") if is_running => {
            (answer(1, "Session running, reload at the end of the session"), Some(Wanted::Reload))
        }
        Some("reload") if !is_readable() => (answer(-1, "icwmpd config reload failed"), None),
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
pub fn notify() -> (Table, Option<Wanted>) {
    (answer(1, "values are looked at"), Some(Wanted::Notify))
}

fn supported() -> Table {
    let one = |command: &str, description: &str| {
        Value::Table(Table::new().with("command", command).with("description", description))
    };
    let all = vec![one("reload", "Reload icwmpd with new configuration"), one("exit", "Exit from icwmpd")];
    Table::new().with("SupportedCommands", Value::Array(all))
}

fn answer(status: i32, info: &str) -> Table {
    Table::new().with("status", Value::Int32(status)).with("info", info)
}

/// A flag as `ubus call` may carry it: `true`, a number, or a text.
fn is_true(value: &Value) -> bool {
    match value.as_text() {
        Some(text) => matches!(text.to_str().as_ref(), "1" | "true" | "True" | "TRUE"),
        None => value.as_i64().is_some_and(|number| number != 0),
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
        | E::Scheduled
        | E::ValueChange
        | E::ConnectionRequest
        | E::DiagnosticsComplete
        | E::RequestDownload
        | E::Wakeup
        | E::Heartbeat) => Some(event),
        _ => Some(E::ConnectionRequest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::json;

    fn table(text: &str) -> Table {
        json::parse(text).unwrap()
    }

    #[track_caller]
    fn check_inform(given: &str, running: bool, info: &str, wanted: Option<&Wanted>) {
        let (reply, found) = inform(&table(given), true, running);
        assert_eq!((reply.text("info").as_deref(), found.as_ref()), (Some(info), wanted), "{given}");
        let status = if wanted.is_some() { 1 } else { -1 };
        assert_eq!(reply.get("status"), Some(&Value::Int32(status)));
    }

    #[test]
    fn informs() {
        let event = Wanted::Event;
        let started = "Session started";
        for (text, code) in [
            ("6 connection request", EventCode::ConnectionRequest),
            ("8 diagnostics complete", EventCode::DiagnosticsComplete),
            ("2 PERIODIC", EventCode::Periodic),
            ("3 SCHEDULED", EventCode::Scheduled),
            ("9 REQUEST DOWNLOAD", EventCode::RequestDownload),
            ("", EventCode::ConnectionRequest),
            ("7 TRANSFER COMPLETE", EventCode::ConnectionRequest),
        ] {
            check_inform(&format!("{{\"event\": \"{text}\"}}"), false, started, Some(&event(code)));
        }
        check_inform("{}", false, started, Some(&event(EventCode::ConnectionRequest)));
        check_inform(r#"{"GetRPCMethods": "1"}"#, false, started, Some(&Wanted::Methods));
        let both = r#"{"GetRPCMethods": true, "event": "2 PERIODIC"}"#;
        check_inform(both, false, started, Some(&Wanted::Methods));
        let not = r#"{"GetRPCMethods": false, "event": "2 PERIODIC"}"#;
        check_inform(not, false, started, Some(&event(EventCode::Periodic)));
        let running = "Session already running, event will be sent at the end of the session";
        check_inform(r#"{"event": "2 PERIODIC"}"#, true, running, Some(&event(EventCode::Periodic)));
        for bad in ["\"2\"", "\"M Reboot\"", "\"X ABC thing\"", "\"2 PERIODIC; reboot\"", "2"] {
            check_inform(&format!("{{\"event\": {bad}}}"), false, "not able to get the event code", None);
        }
    }

    #[test]
    fn nobody_to_inform() {
        let refused = (answer(-1, "icwmpd is still in init state"), None);
        assert_eq!(inform(&table("{}"), false, false), refused);
        assert_eq!(inform(&table(r#"{"GetRPCMethods": true}"#), false, false), refused);
    }

    #[test]
    fn commands() {
        let of =
            |command: &str, running| super::command(&Table::new().with("command", command), running, || true);
        assert_eq!(of("reload", false), (answer(1, "icwmpd config reloaded"), Some(Wanted::Reload)));
        let broken = |running| super::command(&table(r#"{"command":"reload"}"#), running, || false);
        assert_eq!(broken(false), (answer(-1, "icwmpd config reload failed"), None));
        // By then it may be another.
        assert_eq!(broken(true), of("reload", true));
        let (later, wanted) = of("reload", true);
        assert_eq!(later.text("info").unwrap(), "Session running, reload at the end of the session");
        assert_eq!(wanted, Some(Wanted::Reload));
        assert_eq!(of("exit", false), (answer(1, "icwmpd daemon stopped"), Some(Wanted::Exit)));
        let dance = answer(-1, "'dance' is not supported. Check the supported commands.");
        assert_eq!(of("dance", false), (dance, None));
        assert!(super::command(&Table::new(), false, || true).0.get("SupportedCommands").is_some());
        assert!(json::print_line(&of(&"x".repeat(1 << 16), false).0).len() < 200);
    }

    /// The example of the seed, in its order.
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
        assert_eq!(json::print(&told), json::print(&table(seed)));
    }
}
