//! The diagnostics of TR-181 (`IP.Diagnostics`, `DNS.Diagnostics`) and TR-143, as plain blocking functions.
//!
//! Each test is one file with an `Input` and an `Output` whose fields are the parameters of TR-181
//! 2.19 in snake case, and a function `run(input, cancel, deadline)`. A worker thread calls it; it
//! returns by the deadline whatever the peer does, and about a tenth of a second after `cancel` is
//! raised. Nothing here knows the model: `Interface` is the name of a Linux device, and the
//! translation from `Device.IP.Interface.{i}` is the caller's.
//!
//! | file | test | privileges |
//! |---|---|---|
//! | [`ping`] | IPPing | `net.ipv4.ping_group_range`, or else CAP_NET_RAW |
//! | [`traceroute`] | TraceRoute | none: UDP and the socket's error queue |
//! | [`download`], [`upload`] | DownloadDiagnostics, UploadDiagnostics | none; an EthernetPriority of 7 wants CAP_NET_ADMIN |
//! | [`lookup`] | NSLookupDiagnostics | none |
//! | [`echo`] | UDPEchoConfig, the server | CAP_NET_BIND_SERVICE for a port below 1024 |
//! | [`echo_test`] | UDPEchoDiagnostics, the client | none |
//! | [`selection`] | ServerSelectionDiagnostics | those of [`ping`] for ICMP |
//! | [`self_test`] | SelfTestDiagnostics | none |
//! | [`neighbours`] | NeighboringWiFiDiagnostic | those that ubusd asks for `iwinfo` |
//!
//! DSCP goes out as IP_TOS or IPV6_TCLASS, an interface is bound by SO_BINDTODEVICE. Memory stays
//! below a megabyte: one buffer a connection, and a cap on every table of results.

mod control;
mod dns;
pub mod download;
pub mod echo;
pub mod echo_test;
#[cfg(feature = "ftp")]
mod ftp;
mod host;
mod icmp;
pub mod lookup;
pub mod neighbours;
pub mod ping;
pub mod selection;
pub mod self_test;
mod socket;
mod tcp;
pub mod throughput;
pub mod traceroute;
pub mod upload;

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use control::Control;

/// The longest `Host`, in octets (TR-181: string(256)).
pub const MAX_HOST: usize = 256;

/// How a test ended: the values of the `DiagnosticsState` parameters that the device itself sets.
///
/// Each test gives only those its own parameter enumerates; they are its `STATES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// `None`: cancelled before its end. There is no "8 DIAGNOSTICS COMPLETE".
    Canceled,
    /// `Complete`.
    Complete,
    /// `Error_CannotResolveHostName`.
    CannotResolveHostName,
    /// `Error_NoRouteToHost`.
    NoRouteToHost,
    /// `Error_MaxHopCountExceeded`.
    MaxHopCountExceeded,
    /// `Error_DNSServerNotResolved`.
    DnsServerNotResolved,
    /// `Error_InitConnectionFailed`.
    InitConnectionFailed,
    /// `Error_NoResponse`.
    NoResponse,
    /// `Error_TransferFailed`.
    TransferFailed,
    /// `Error_PasswordRequestFailed`.
    PasswordRequestFailed,
    /// `Error_LoginFailed`.
    LoginFailed,
    /// `Error_NoTransferMode`.
    NoTransferMode,
    /// `Error_NoPASV`.
    NoPasv,
    /// `Error_NoCWD`.
    NoCwd,
    /// `Error_NoSTOR`.
    NoStor,
    /// `Error_NoTransferComplete`.
    NoTransferComplete,
    /// `Error_IncorrectSize`.
    IncorrectSize,
    /// `Error_Timeout`.
    Timeout,
    /// `Error_Internal`.
    Internal,
    /// `Error_Other`.
    Other,
    /// `Error`, where a parameter knows but one.
    Failed,
}

impl State {
    /// The value of `DiagnosticsState`, letter by letter.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Canceled => "None",
            State::Complete => "Complete",
            State::CannotResolveHostName => "Error_CannotResolveHostName",
            State::NoRouteToHost => "Error_NoRouteToHost",
            State::MaxHopCountExceeded => "Error_MaxHopCountExceeded",
            State::DnsServerNotResolved => "Error_DNSServerNotResolved",
            State::InitConnectionFailed => "Error_InitConnectionFailed",
            State::NoResponse => "Error_NoResponse",
            State::TransferFailed => "Error_TransferFailed",
            State::PasswordRequestFailed => "Error_PasswordRequestFailed",
            State::LoginFailed => "Error_LoginFailed",
            State::NoTransferMode => "Error_NoTransferMode",
            State::NoPasv => "Error_NoPASV",
            State::NoCwd => "Error_NoCWD",
            State::NoStor => "Error_NoSTOR",
            State::NoTransferComplete => "Error_NoTransferComplete",
            State::IncorrectSize => "Error_IncorrectSize",
            State::Timeout => "Error_Timeout",
            State::Internal => "Error_Internal",
            State::Other => "Error_Other",
            State::Failed => "Error",
        }
    }

    /// Whether the end of the test is told to the ACS by "8 DIAGNOSTICS COMPLETE".
    pub fn is_event(self) -> bool {
        self != State::Canceled
    }

    /// This state if the parameter enumerates it, else `Error_Other`.
    pub(crate) fn among(self, states: &[State]) -> State {
        if states.contains(&self) { self } else { State::Other }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `ProtocolVersion`: which addresses of a host may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProtocolVersion {
    /// `Any`: the system's preference.
    #[default]
    Any,
    /// `IPv4`.
    V4,
    /// `IPv6`.
    V6,
}

impl ProtocolVersion {
    /// The version of a parameter's value; `None` if the value is not one of the three.
    pub fn from_name(name: &str) -> Option<ProtocolVersion> {
        match name {
            "Any" => Some(ProtocolVersion::Any),
            "IPv4" => Some(ProtocolVersion::V4),
            "IPv6" => Some(ProtocolVersion::V6),
            _ => None,
        }
    }
}

/// A dateTime to the microsecond: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// Whole seconds since 1970 and the microseconds beyond them (0 to 999999).
    pub fn split(self) -> (i64, u32) {
        (self.0.div_euclid(1_000_000), u32::try_from(self.0.rem_euclid(1_000_000)).unwrap_or(0))
    }
}

/// The wall clock of one test: read once, then carried on by the monotonic clock, so that the times
/// of a test keep their order and distance though somebody sets the clock meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    start: Instant,
    wall: i64,
}

impl Watch {
    pub(crate) fn start() -> Watch {
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |back| -back),
        };
        Watch { start: Instant::now(), wall }
    }

    pub(crate) fn moment(&self, at: Instant) -> Moment {
        let since = i64::try_from(at.saturating_duration_since(self.start).as_micros()).unwrap_or(i64::MAX);
        Moment(self.wall.saturating_add(since))
    }
}

/// Response times of successful repetitions, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) count: u32,
    sum: u64,
    pub(crate) minimum: u32,
    pub(crate) maximum: u32,
}

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.minimum = if self.count == 0 { micros } else { self.minimum.min(micros) };
        self.maximum = self.maximum.max(micros);
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(u64::from(micros));
    }

    /// The average, 0 of nothing.
    pub(crate) fn average(&self) -> u32 {
        let average = self.sum.checked_div(u64::from(self.count)).unwrap_or(0);
        u32::try_from(average).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_averaged() {
        let mut times = Times::default();
        assert_eq!((times.average(), times.minimum, times.maximum), (0, 0, 0));
        for micros in [300, 100, 203] {
            times.add(Duration::from_micros(micros));
        }
        assert_eq!((times.count, times.average(), times.minimum, times.maximum), (3, 201, 100, 300));
        times.add(Duration::from_secs(1 << 40));
        assert_eq!(times.maximum, u32::MAX);
    }

    #[test]
    fn moments_split() {
        assert_eq!(Moment(1_000_001).split(), (1, 1));
        assert_eq!(Moment(-1).split(), (-1, 999_999));
    }

    #[test]
    fn a_watch_goes_on() {
        let watch = Watch::start();
        let at = Instant::now();
        let later = at + Duration::from_micros(1500);
        assert_eq!(watch.moment(later).0 - watch.moment(at).0, 1500);
    }
}
