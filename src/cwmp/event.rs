//! Event codes of Inform (TR-069 3.7.1.5, table 8) and their delivery rules.

use std::fmt;

/// One `EventStruct`: a code, and the CommandKey that only the `M` events carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// What happened.
    pub code: EventCode,
    /// Empty but for the `M` events.
    pub command_key: String,
}

/// The codes in the standard's order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventCode {
    /// First contact, after a factory reset, or after a change of the ACS URL.
    Bootstrap,
    /// Power-up or reset.
    Boot,
    /// PeriodicInformInterval.
    Periodic,
    /// ScheduleInform.
    Scheduled,
    /// A parameter with notification changed.
    ValueChange,
    /// Deprecated.
    Kicked,
    /// A connection request was accepted.
    ConnectionRequest,
    /// A transfer ended.
    TransferComplete,
    /// A diagnostic ended.
    DiagnosticsComplete,
    /// RequestDownload follows.
    RequestDownload,
    /// A transfer not asked for by the ACS ended.
    AutonomousTransferComplete,
    /// ChangeDUState ended.
    DuStateChangeComplete,
    /// A DU change not asked for by the ACS.
    AutonomousDuStateChangeComplete,
    /// End of standby.
    Wakeup,
    /// HeartbeatPolicy.
    Heartbeat,
    /// `M Reboot`, `M Download`, …: the method's name.
    Method(String),
    /// `X …` and everything else: the whole code.
    Vendor(String),
}

impl Event {
    /// An event without a CommandKey.
    pub fn of(code: EventCode) -> Event {
        Event { code, command_key: String::new() }
    }
}

/// The numbered codes with their text.
const NUMBERED: [(EventCode, &str); 15] = [
    (EventCode::Bootstrap, "0 BOOTSTRAP"),
    (EventCode::Boot, "1 BOOT"),
    (EventCode::Periodic, "2 PERIODIC"),
    (EventCode::Scheduled, "3 SCHEDULED"),
    (EventCode::ValueChange, "4 VALUE CHANGE"),
    (EventCode::Kicked, "5 KICKED"),
    (EventCode::ConnectionRequest, "6 CONNECTION REQUEST"),
    (EventCode::TransferComplete, "7 TRANSFER COMPLETE"),
    (EventCode::DiagnosticsComplete, "8 DIAGNOSTICS COMPLETE"),
    (EventCode::RequestDownload, "9 REQUEST DOWNLOAD"),
    (EventCode::AutonomousTransferComplete, "10 AUTONOMOUS TRANSFER COMPLETE"),
    (EventCode::DuStateChangeComplete, "11 DU STATE CHANGE COMPLETE"),
    (EventCode::AutonomousDuStateChangeComplete, "12 AUTONOMOUS DU STATE CHANGE COMPLETE"),
    (EventCode::Wakeup, "13 WAKEUP"),
    (EventCode::Heartbeat, "14 HEARTBEAT"),
];

impl EventCode {
    /// The code of an EventCode text; anything unknown is [`EventCode::Vendor`].
    pub fn parse(text: &str) -> EventCode {
        if let Some((code, _)) = NUMBERED.iter().find(|(_, name)| *name == text) {
            return code.clone();
        }
        match text.strip_prefix("M ") {
            Some(method) => EventCode::Method(method.to_owned()),
            None => EventCode::Vendor(text.to_owned()),
        }
    }
}

impl fmt::Display for EventCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventCode::Method(method) => write!(f, "M {method}"),
            EventCode::Vendor(text) => f.write_str(text),
            numbered => {
                let name = NUMBERED.iter().find(|(code, _)| code == numbered).map_or("", |(_, name)| name);
                f.write_str(name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        for (code, text) in &NUMBERED {
            assert_eq!(EventCode::parse(text), *code);
            assert_eq!(code.to_string(), *text);
        }
        for text in ["M Reboot", "X 00256D Something", ""] {
            assert_eq!(EventCode::parse(text).to_string(), text);
        }
    }
}
