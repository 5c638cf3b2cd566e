//! IPPing: ICMP echo requests, one after the other (`Device.IP.Diagnostics.IPPing.`).

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use crate::diagnostics::icmp::{Answer, Echo};
use crate::diagnostics::socket::{self, Way};
use crate::diagnostics::{Control, ProtocolVersion, State, Times, host};
use crate::sys::rng;

/// The values of `DiagnosticsState` that this test gives.
pub const STATES: &[State] = &[
    State::Canceled,
    State::Complete,
    State::CannotResolveHostName,
    State::NoRouteToHost,
    State::Internal,
    State::Other,
];

/// The least time between two requests, so that a quick peer is not flooded.
const GAP: Duration = Duration::from_millis(100);
/// The largest `DataBlockSize` of the standard.
pub(crate) const MAX_BLOCK: u32 = 65_535;
/// Room for the headers before the data block.
const HEADERS: usize = 128;

/// The parameters of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// `Interface`, as a Linux device; empty to follow the routes.
    pub interface: String,
    /// `ProtocolVersion`.
    pub protocol_version: ProtocolVersion,
    /// `Host`, a name or an address.
    pub host: String,
    /// `NumberOfRepetitions`, from 1.
    pub number_of_repetitions: u32,
    /// `Timeout` of one request in milliseconds, from 1.
    pub timeout: u32,
    /// `DataBlockSize` in octets, 1 to 65535. IPv4 carries 65507 at most: more ends in `Error_Other`.
    pub data_block_size: u32,
    /// `DSCP`, 0 to 63.
    pub dscp: u32,
}

impl Default for Input {
    fn default() -> Input {
        Input {
            interface: String::new(),
            protocol_version: ProtocolVersion::Any,
            host: String::new(),
            number_of_repetitions: 3,
            timeout: 1000,
            data_block_size: 56,
            dscp: 0,
        }
    }
}

/// The results of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// `DiagnosticsState`, one of [`STATES`].
    pub diagnostics_state: State,
    /// `IPAddressUsed`: our own address.
    pub ip_address_used: Option<IpAddr>,
    /// `SuccessCount`.
    pub success_count: u32,
    /// `FailureCount`.
    pub failure_count: u32,
    /// `AverageResponseTime` in milliseconds.
    pub average_response_time: u32,
    /// `MinimumResponseTime` in milliseconds.
    pub minimum_response_time: u32,
    /// `MaximumResponseTime` in milliseconds.
    pub maximum_response_time: u32,
    /// `AverageResponseTimeDetailed` in microseconds.
    pub average_response_time_detailed: u32,
    /// `MinimumResponseTimeDetailed` in microseconds.
    pub minimum_response_time_detailed: u32,
    /// `MaximumResponseTimeDetailed` in microseconds.
    pub maximum_response_time_detailed: u32,
}

/// Runs the test. A request that is not answered within `Timeout` is a failure; if the deadline
/// comes before all repetitions are done the state is `Error_Other`, with what was counted so far.
pub fn run(input: &Input, cancel: &AtomicBool, deadline: Instant) -> Output {
    let control = Control::new(cancel, deadline);
    let mut series = Series::default();
    let done = series.run(input, &control);
    let times = series.times;
    Output {
        diagnostics_state: done.err().unwrap_or(State::Complete).among(STATES),
        ip_address_used: series.local,
        success_count: times.count,
        failure_count: series.failures,
        average_response_time: times.average() / 1000,
        minimum_response_time: times.minimum / 1000,
        maximum_response_time: times.maximum / 1000,
        average_response_time_detailed: times.average(),
        minimum_response_time_detailed: times.minimum,
        maximum_response_time_detailed: times.maximum,
    }
}

/// A series of requests to one host and what came of it so far.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) local: Option<IpAddr>,
    pub(crate) times: Times,
    pub(crate) failures: u32,
}

impl Series {
    pub(crate) fn run(&mut self, input: &Input, control: &Control<'_>) -> Result<(), State> {
        let is_valid = input.number_of_repetitions >= 1
            && input.timeout >= 1
            && (1..=MAX_BLOCK).contains(&input.data_block_size)
            && input.dscp <= 63;
        if !is_valid {
            return Err(State::Other);
        }
        let way = Way { interface: &input.interface, dscp: input.dscp, priority: 0 };
        let addresses = host::resolve(&input.host, 0, input.protocol_version, control)?;
        let (peer, local) = host::route(&addresses, &way)?;
        self.local = Some(local);
        self.exchange(peer, &way, input, control)
    }

    fn exchange(
        &mut self,
        peer: SocketAddr,
        way: &Way<'_>,
        input: &Input,
        control: &Control<'_>,
    ) -> Result<(), State> {
        let echo = Echo::open(peer, way)?;
        let size = usize::try_from(input.data_block_size).map_err(|_| State::Other)?;
        let payload = pattern(size)?;
        let mut buffer = vec![0; size + HEADERS];
        let mut is_unreachable = false;
        for repetition in 0..input.number_of_repetitions {
            let sequence = u16::try_from(repetition & 0xffff).unwrap_or(0);
            echo.forget(&mut buffer);
            let sent_at = Instant::now();
            let until = control.after(Duration::from_millis(u64::from(input.timeout)));
            let answer = match echo.send(sequence, &payload) {
                Ok(()) => wait(&echo, &mut buffer, sequence, &payload, until, control)?,
                Err(error) => match socket::fault(&error, State::Timeout) {
                    State::NoRouteToHost => Some((Answer::Unreachable, sent_at)),
                    // The request was lost within our own kernel; the next may fare better.
                    State::Internal | State::Timeout => None,
                    fault => return Err(fault),
                },
            };
            match answer {
                Some((Answer::Reply, at)) => self.times.add(at.saturating_duration_since(sent_at)),
                Some((Answer::Unreachable, _)) => {
                    is_unreachable = true;
                    self.failures = self.failures.saturating_add(1);
                }
                None => self.failures = self.failures.saturating_add(1),
            }
            if repetition + 1 < input.number_of_repetitions {
                control.sleep(sent_at + GAP)?;
            }
        }
        // Routers limit how often they say so: once is enough if nothing else was heard.
        if is_unreachable && self.times.count == 0 { Err(State::NoRouteToHost) } else { Ok(()) }
    }
}

fn wait(
    echo: &Echo,
    buffer: &mut [u8],
    sequence: u16,
    payload: &[u8],
    until: Instant,
    control: &Control<'_>,
) -> Result<Option<(Answer, Instant)>, State> {
    loop {
        if !control.wait(echo.as_fd(), PollFlags::POLLIN, until)? {
            return Ok(None);
        }
        let now = Instant::now();
        match echo.receive(buffer, sequence, payload) {
            Some(answer) => return Ok(Some((answer, now))),
            None if now >= until => return Ok(None),
            None => {}
        }
    }
}

/// A payload that nobody guesses and every octet of which a reply must bring back.
pub(crate) fn pattern(size: usize) -> Result<Vec<u8>, State> {
    let mut seed = [0; 16];
    rng::fill(&mut seed).map_err(|_| State::Internal)?;
    Ok(seed.iter().copied().cycle().take(size).collect())
}
