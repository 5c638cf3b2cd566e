//! ServerSelectionDiagnostics: which of up to ten hosts answers fastest on average
//! (`Device.IP.Diagnostics.ServerSelectionDiagnostics.`, TR-143 Appendix B).
//!
//! One host after the other, one ping at a time. A host that cannot be resolved or does not answer
//! is passed over, as long as another does.

use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::diagnostics::{Control, ProtocolVersion, State, Times, echo_test, ping};

/// The values of `DiagnosticsState` that this test gives.
pub const STATES: &[State] =
    &[State::Canceled, State::Complete, State::CannotResolveHostName, State::Internal, State::Other];

/// The most items of `HostList`.
pub const MAX_HOSTS: usize = 10;
/// Where UDP echo is served (RFC 862): the object has no port of its own.
const ECHO_PORT: u16 = 7;

/// `Protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// `ICMP`.
    #[default]
    Icmp,
    /// `UDP Echo`.
    UdpEcho,
}

impl Protocol {
    /// The protocol of a parameter's value; `None` if the value is neither of the two.
    pub fn from_name(name: &str) -> Option<Protocol> {
        match name {
            "ICMP" => Some(Protocol::Icmp),
            "UDP Echo" => Some(Protocol::UdpEcho),
            _ => None,
        }
    }
}

/// The parameters of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// `Interface`, as a Linux device; empty to follow the routes.
    pub interface: String,
    /// `ProtocolVersion`.
    pub protocol_version: ProtocolVersion,
    /// `Protocol`.
    pub protocol: Protocol,
    /// `HostList`, 1 to 10 names or addresses.
    pub host_list: Vec<String>,
    /// `NumberOfRepetitions` for each host, from 1.
    pub number_of_repetitions: u32,
    /// `Timeout` of one ping in milliseconds, from 1.
    pub timeout: u32,
    /// The port of UDP echo, 7 but in tests.
    pub port: u16,
}

impl Default for Input {
    fn default() -> Input {
        Input {
            interface: String::new(),
            protocol_version: ProtocolVersion::Any,
            protocol: Protocol::Icmp,
            host_list: Vec::new(),
            number_of_repetitions: 3,
            timeout: 1000,
            port: ECHO_PORT,
        }
    }
}

/// The results of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// `DiagnosticsState`, one of [`STATES`].
    pub diagnostics_state: State,
    /// `FastestHost`, an item of `HostList`; empty if none answered.
    pub fastest_host: String,
    /// `MinimumResponseTime` of the fastest host in microseconds.
    pub minimum_response_time: u32,
    /// `AverageResponseTime` of the fastest host in microseconds.
    pub average_response_time: u32,
    /// `MaximumResponseTime` of the fastest host in microseconds.
    pub maximum_response_time: u32,
    /// `IPAddressUsed`: our own address towards the fastest host.
    pub ip_address_used: Option<IpAddr>,
}

/// Runs the test. `Error_CannotResolveHostName` means that no host could be resolved; if the deadline
/// comes before all hosts were asked, the state is `Error_Other`.
pub fn run(input: &Input, cancel: &AtomicBool, deadline: Instant) -> Output {
    let control = Control::new(cancel, deadline);
    let mut best: Option<(&str, Times, Option<IpAddr>)> = None;
    let state = match choose(input, &control, &mut best) {
        Ok(()) => State::Complete,
        Err(state) => state.among(STATES),
    };
    let (host, times, local) = best.unwrap_or_default();
    Output {
        diagnostics_state: state,
        fastest_host: host.to_owned(),
        minimum_response_time: times.minimum,
        average_response_time: times.average(),
        maximum_response_time: times.maximum,
        ip_address_used: local,
    }
}

fn choose<'a>(
    input: &'a Input,
    control: &Control<'_>,
    best: &mut Option<(&'a str, Times, Option<IpAddr>)>,
) -> Result<(), State> {
    if !(1..=MAX_HOSTS).contains(&input.host_list.len()) || input.number_of_repetitions == 0 {
        return Err(State::Other);
    }
    let mut is_any_resolved = false;
    for host in &input.host_list {
        let (done, times, local) = measure(input, host, control);
        match done {
            Ok(()) | Err(State::NoRouteToHost) => is_any_resolved = true,
            Err(State::CannotResolveHostName) => {}
            Err(state) => return Err(state),
        }
        let is_faster = best.as_ref().is_none_or(|(_, so_far, _)| times.average() < so_far.average());
        if times.count > 0 && is_faster {
            *best = Some((host, times, local));
        }
    }
    control.check()?;
    if is_any_resolved { Ok(()) } else { Err(State::CannotResolveHostName) }
}

fn measure(input: &Input, host: &str, control: &Control<'_>) -> (Result<(), State>, Times, Option<IpAddr>) {
    match input.protocol {
        Protocol::Icmp => {
            let test = ping::Input {
                interface: input.interface.clone(),
                protocol_version: input.protocol_version,
                host: host.to_owned(),
                number_of_repetitions: input.number_of_repetitions,
                timeout: input.timeout,
                ..ping::Input::default()
            };
            let mut series = ping::Series::default();
            let done = series.run(&test, control);
            (done, series.times, series.local)
        }
        Protocol::UdpEcho => {
            // One at a time, as the object wants it: the next leaves when this one cannot come any more.
            let mut series = echo_test::Series::default();
            let test = echo_test::Input {
                interface: input.interface.clone(),
                protocol_version: input.protocol_version,
                host: host.to_owned(),
                port: input.port,
                timeout: input.timeout,
                ..echo_test::Input::default()
            };
            for _ in 0..input.number_of_repetitions {
                let done = series.run(&test, control);
                if done.is_err() || control.check().is_err() {
                    return (done.and_then(|()| control.check()), series.times, series.local);
                }
            }
            (Ok(()), series.times, series.local)
        }
    }
}
