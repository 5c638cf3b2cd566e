//! What DownloadDiagnostics and UploadDiagnostics have in common: their parameters and results, the
//! connections on a thread each, and the meter that all of them report to (TR-143 4.3).
//!
//! `TestBytesReceived` of a download and `TestBytesSent` of an upload are one field, `test_bytes`.
//! The `TotalBytes…` are those of the Linux device: the given one, or the one that owns the address
//! we send from; they stay 0 if the system does not tell them.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;

use crate::diagnostics::socket::Way;
use crate::diagnostics::tcp::Rule;
use crate::diagnostics::{Control, Moment, ProtocolVersion, State, Watch, host};
use crate::http::url::Url;

/// `DownloadDiagnosticMaxConnections` and `UploadDiagnosticsMaxConnections`.
pub const MAX_CONNECTIONS: u32 = 4;
/// `DownloadDiagnosticsMaxIncrementalResult` and `UploadDiagnosticsMaxIncrementalResult`.
pub const MAX_INCREMENTAL_RESULT: usize = 999;
/// `DownloadTransports` and `UploadTransports`.
pub const TRANSPORTS: &str = if cfg!(feature = "ftp") { "HTTP,FTP" } else { "HTTP" };

/// The stack of a connection's thread.
const STACK: usize = 128 * 1024;
/// The upper bounds of the times in seconds and of the priorities.
const MAX_SECONDS: u32 = 999;
const MAX_OFFSET: u32 = 255;

/// The parameters that both tests have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// `Interface`, as a Linux device; empty to follow the routes.
    pub interface: String,
    /// `DownloadURL` or `UploadURL`: `http`, and with feature `ftp` also `ftp`; no user name in it.
    pub url: String,
    /// `DSCP`, 0 to 63.
    pub dscp: u32,
    /// `EthernetPriority`, 0 to 7; it takes the egress map of a VLAN device to reach the wire.
    pub ethernet_priority: u32,
    /// `TimeBasedTestDuration` in seconds, 0 to 999; 0 for a test by size.
    pub time_based_test_duration: u32,
    /// `TimeBasedTestMeasurementInterval` in seconds, 0 to 999; 0 for no incremental results.
    pub time_based_test_measurement_interval: u32,
    /// `TimeBasedTestMeasurementOffset` in seconds, 0 to 255.
    pub time_based_test_measurement_offset: u32,
    /// `ProtocolVersion`.
    pub protocol_version: ProtocolVersion,
    /// `NumberOfConnections`, 1 to [`MAX_CONNECTIONS`].
    pub number_of_connections: u32,
    /// `EnablePerConnectionResults`.
    pub enable_per_connection_results: bool,
}

impl Default for Input {
    fn default() -> Input {
        Input {
            interface: String::new(),
            url: String::new(),
            dscp: 0,
            ethernet_priority: 0,
            time_based_test_duration: 0,
            time_based_test_measurement_interval: 0,
            time_based_test_measurement_offset: 0,
            protocol_version: ProtocolVersion::Any,
            number_of_connections: 1,
            enable_per_connection_results: false,
        }
    }
}

/// The results of either test. A time that was not reached is `None`, the unknown time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// `DiagnosticsState`, one of the test's `STATES`.
    pub diagnostics_state: State,
    /// `IPAddressUsed`: our own address.
    pub ip_address_used: Option<IpAddr>,
    /// `ROMTime`: the earliest of all connections.
    pub rom_time: Option<Moment>,
    /// `BOMTime`: the earliest.
    pub bom_time: Option<Moment>,
    /// `EOMTime`: the latest.
    pub eom_time: Option<Moment>,
    /// `TestBytesReceived` or `TestBytesSent`, headers of HTTP included.
    pub test_bytes: u64,
    /// `TotalBytesReceived`.
    pub total_bytes_received: u64,
    /// `TotalBytesSent`.
    pub total_bytes_sent: u64,
    /// `TestBytesReceivedUnderFullLoading` or `TestBytesSentUnderFullLoading`.
    pub test_bytes_under_full_loading: u64,
    /// `TotalBytesReceivedUnderFullLoading`.
    pub total_bytes_received_under_full_loading: u64,
    /// `TotalBytesSentUnderFullLoading`.
    pub total_bytes_sent_under_full_loading: u64,
    /// `PeriodOfFullLoading` in microseconds: from the last BOMTime to the first EOMTime.
    pub period_of_full_loading: u32,
    /// `TCPOpenRequestTime`: the latest.
    pub tcp_open_request_time: Option<Moment>,
    /// `TCPOpenResponseTime`: the latest.
    pub tcp_open_response_time: Option<Moment>,
    /// `PerConnectionResult.{i}.`; empty unless enabled.
    pub per_connection_result: Vec<Connection>,
    /// `IncrementalResult.{i}.`, [`MAX_INCREMENTAL_RESULT`] at most.
    pub incremental_result: Vec<Increment>,
}

/// One row of `PerConnectionResult.{i}.`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// `ROMTime`.
    pub rom_time: Option<Moment>,
    /// `BOMTime`.
    pub bom_time: Option<Moment>,
    /// `EOMTime`.
    pub eom_time: Option<Moment>,
    /// `TestBytesReceived` or `TestBytesSent`.
    pub test_bytes: u64,
    /// `TotalBytesReceived`.
    pub total_bytes_received: u64,
    /// `TotalBytesSent`.
    pub total_bytes_sent: u64,
    /// `TCPOpenRequestTime`.
    pub tcp_open_request_time: Option<Moment>,
    /// `TCPOpenResponseTime`.
    pub tcp_open_response_time: Option<Moment>,
}

/// One row of `IncrementalResult.{i}.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Increment {
    /// `TestBytesReceived` or `TestBytesSent`: those under full loading.
    pub test_bytes: u64,
    /// `TotalBytesReceived`.
    pub total_bytes_received: u64,
    /// `TotalBytesSent`.
    pub total_bytes_sent: u64,
    /// `StartTime`.
    pub start_time: Moment,
    /// `EndTime`.
    pub end_time: Moment,
}

/// Where a test goes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) is_ftp: bool,
    pub(crate) peer: SocketAddr,
}

/// What one connection does: moves its file and reports to the meter under its number.
pub(crate) type Mover<'m> =
    dyn Fn(&Target, &Way<'_>, &Reporter<'_>, Rule<'_>) -> Result<(), State> + Sync + 'm;

/// Runs the connections of a test and sums them up.
pub(crate) fn run(
    input: &Input,
    states: &[State],
    cancel: &AtomicBool,
    deadline: Instant,
    mover: &Mover<'_>,
) -> Output {
    let control = Control::new(cancel, deadline);
    let meter = Meter::new(input);
    let done = connect(input, &control, &meter, mover);
    let state = done.err().unwrap_or(State::Complete).among(states);
    meter.into_output(state, input.enable_per_connection_results)
}

fn connect(input: &Input, control: &Control<'_>, meter: &Meter, mover: &Mover<'_>) -> Result<(), State> {
    let is_valid = input.dscp <= 63
        && input.ethernet_priority <= 7
        && input.time_based_test_duration <= MAX_SECONDS
        && input.time_based_test_measurement_interval <= MAX_SECONDS
        && input.time_based_test_measurement_offset <= MAX_OFFSET
        && (1..=MAX_CONNECTIONS).contains(&input.number_of_connections);
    if !is_valid {
        return Err(State::Other);
    }
    let (url, is_ftp) = parse(&input.url).ok_or(State::Other)?;
    let way = Way { interface: &input.interface, dscp: input.dscp, priority: input.ethernet_priority };
    let addresses = host::resolve(&url.host, url.port, input.protocol_version, control)?;
    let (peer, local) = host::route(&addresses, &way)?;
    meter.found(local, &input.interface);
    let target = Target { url, is_ftp, peer };
    let abort = AtomicBool::new(false);
    let rule = Rule { control, abort: &abort };
    thread::scope(|scope| {
        let mut threads = Vec::new();
        let mut fault = None;
        for number in 0..meter.connections {
            let (target, way, abort) = (&target, &way, &abort);
            let reporter = Reporter { meter, number };
            let started = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || {
                let done = mover(target, way, &reporter, rule);
                if done.is_err() {
                    abort.store(true, Ordering::Relaxed);
                }
                done
            });
            match started {
                Ok(thread) => threads.push(thread),
                Err(_) => {
                    abort.store(true, Ordering::Relaxed);
                    fault = Some(State::Internal);
                }
            }
        }
        for thread in threads {
            match thread.join() {
                Ok(Ok(())) => {}
                // Those that only ended because of another's failure do not hide it.
                Ok(Err(State::Canceled)) => fault = fault.or(Some(State::Canceled)),
                Ok(Err(state)) if fault.is_none_or(|first| first == State::Canceled) => fault = Some(state),
                Ok(Err(_)) => {}
                Err(_) => fault = Some(State::Internal),
            }
        }
        match (control.check(), fault) {
            (Err(State::Canceled), Some(_)) => Err(State::Canceled),
            (_, Some(state)) => Err(state),
            (_, None) => Ok(()),
        }
    })
}

/// The URL, and whether it is FTP's. TR-143 knows `http` and `ftp` only.
fn parse(text: &str) -> Option<(Url, bool)> {
    let (scheme, rest) = text.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Some((Url::parse(text).ok()?, false)),
        "ftp" if cfg!(feature = "ftp") => {
            let mut url = Url::parse(&format!("http://{rest}")).ok()?;
            // The port stood in the URL only if it is the same under any scheme.
            if Url::parse(&format!("https://{rest}")).ok()?.port != url.port {
                url.port = 21;
            }
            Some((url, true))
        }
        _ => None,
    }
}

/// What the connections of a test report to.
pub(crate) struct Meter {
    connections: usize,
    duration: Duration,
    interval: Duration,
    offset: Duration,
    watch: Watch,
    tally: Mutex<Tally>,
}

/// One connection's voice.
pub(crate) struct Reporter<'m> {
    meter: &'m Meter,
    number: usize,
}

#[derive(Default)]
struct Tally {
    local: Option<IpAddr>,
    device: String,
    rows: Vec<Connection>,
    starts: Vec<Sample>,
    first_begin: Option<Sample>,
    last_end: Option<Sample>,
    begun: usize,
    full_start: Option<Sample>,
    full_end: Option<Sample>,
    full_bytes: u64,
    mark: Option<(Sample, u64)>,
    increments: Vec<Increment>,
}

/// The device's counters at one time.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    received: u64,
    sent: u64,
}

impl Sample {
    fn since(&self, earlier: &Sample) -> (u64, u64) {
        (self.received.saturating_sub(earlier.received), self.sent.saturating_sub(earlier.sent))
    }
}

impl Meter {
    fn new(input: &Input) -> Meter {
        let connections = usize::try_from(input.number_of_connections.min(MAX_CONNECTIONS)).unwrap_or(1);
        let seconds = |count: u32| Duration::from_secs(count.into());
        let watch = Watch::start();
        let now = Sample { at: Instant::now(), received: 0, sent: 0 };
        Meter {
            connections,
            duration: seconds(input.time_based_test_duration),
            interval: seconds(match input.time_based_test_duration {
                0 => 0,
                _ => input.time_based_test_measurement_interval,
            }),
            offset: seconds(input.time_based_test_measurement_offset),
            watch,
            tally: Mutex::new(Tally {
                rows: vec![Connection::default(); connections],
                starts: vec![now; connections],
                ..Tally::default()
            }),
        }
    }

    // A thread that panicked has left only numbers behind.
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self, local: IpAddr, interface: &str) {
        let mut tally = self.tally();
        tally.local = Some(local);
        tally.device =
            if interface.is_empty() { device_of(local).unwrap_or_default() } else { interface.into() };
    }

    fn into_output(self, state: State, with_rows: bool) -> Output {
        let tally = self.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        let rows = &tally.rows;
        let between = |from: Option<Sample>, to: Option<Sample>| match (from, to) {
            (Some(from), Some(to)) => to.since(&from),
            _ => (0, 0),
        };
        let (received, sent) = between(tally.first_begin, tally.last_end);
        let (full_received, full_sent) = between(tally.full_start, tally.full_end);
        let period = match (tally.full_start, tally.full_end) {
            (Some(from), Some(to)) => to.at.saturating_duration_since(from.at).as_micros(),
            _ => 0,
        };
        Output {
            diagnostics_state: state,
            ip_address_used: tally.local,
            rom_time: rows.iter().filter_map(|row| row.rom_time).min(),
            bom_time: rows.iter().filter_map(|row| row.bom_time).min(),
            eom_time: rows.iter().filter_map(|row| row.eom_time).max(),
            test_bytes: rows.iter().map(|row| row.test_bytes).fold(0, u64::saturating_add),
            total_bytes_received: received,
            total_bytes_sent: sent,
            test_bytes_under_full_loading: if period > 0 { tally.full_bytes } else { 0 },
            total_bytes_received_under_full_loading: full_received,
            total_bytes_sent_under_full_loading: full_sent,
            period_of_full_loading: u32::try_from(period).unwrap_or(u32::MAX),
            tcp_open_request_time: rows.iter().filter_map(|row| row.tcp_open_request_time).max(),
            tcp_open_response_time: rows.iter().filter_map(|row| row.tcp_open_response_time).max(),
            per_connection_result: if with_rows { tally.rows } else { Vec::new() },
            incremental_result: tally.increments,
        }
    }
}

impl Reporter<'_> {
    /// The connection that carries the file is open.
    pub(crate) fn opened(&self, requested: Instant, responded: Instant) {
        let watch = self.meter.watch;
        let row = &mut self.meter.tally().rows[self.number];
        row.tcp_open_request_time = Some(watch.moment(requested));
        row.tcp_open_response_time = Some(watch.moment(responded));
    }

    /// The request for the file is about to be sent.
    pub(crate) fn requested(&self) {
        let moment = self.meter.watch.moment(Instant::now());
        self.meter.tally().rows[self.number].rom_time = Some(moment);
    }

    /// Octets of the test have been moved; the first ones are the begin of the transmission.
    pub(crate) fn moved(&self, count: usize) {
        let at = Instant::now();
        let tally = &mut *self.meter.tally();
        if tally.rows[self.number].bom_time.is_none() {
            let sample = tally.sample(at);
            tally.rows[self.number].bom_time = Some(self.meter.watch.moment(at));
            tally.starts[self.number] = sample;
            tally.first_begin.get_or_insert(sample);
            tally.begun += 1;
            if tally.begun == self.meter.connections && tally.last_end.is_none() {
                tally.full_start = Some(sample);
            }
        }
        self.tick(tally, at);
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let row = &mut tally.rows[self.number];
        row.test_bytes = row.test_bytes.saturating_add(count);
        if tally.full_start.is_some() && tally.full_end.is_none() {
            tally.full_bytes = tally.full_bytes.saturating_add(count);
        }
    }

    /// The transmission has ended well. `at` is when its last octet, or its answer, came.
    pub(crate) fn ended(&self, at: Instant) {
        let tally = &mut *self.meter.tally();
        // The last octet may lie a little before the last interval's end.
        self.tick(tally, Instant::now().max(at));
        let sample = tally.sample(at);
        if tally.full_start.is_some() {
            tally.full_end.get_or_insert(sample);
        }
        tally.last_end = Some(sample);
        let (received, sent) = sample.since(&tally.starts[self.number]);
        let row = &mut tally.rows[self.number];
        row.eom_time = Some(self.meter.watch.moment(at));
        row.total_bytes_received = received;
        row.total_bytes_sent = sent;
    }

    /// When a test by time is over, for every connection alike; `None` before its begin and for a test
    /// by size.
    pub(crate) fn end_of_test(&self) -> Option<Instant> {
        let begin = self.meter.tally().first_begin?.at;
        (!self.meter.duration.is_zero()).then_some(begin + self.meter.duration)
    }

    /// Whether this is a test by time.
    pub(crate) fn is_timed(&self) -> bool {
        !self.meter.duration.is_zero()
    }

    /// Closes the intervals that have passed.
    fn tick(&self, tally: &mut Tally, at: Instant) {
        let Some(begin) = tally.first_begin else { return };
        let meter = self.meter;
        if meter.interval.is_zero() {
            return;
        }
        if tally.mark.is_none() && at >= begin.at + meter.offset {
            let sample = tally.sample(begin.at + meter.offset);
            tally.mark = Some((sample, tally.full_bytes));
        }
        let last = (begin.at + meter.duration).min(at);
        while let Some((start, bytes)) = tally.mark {
            let end = start.at + meter.interval;
            if end > last || tally.increments.len() == MAX_INCREMENTAL_RESULT {
                return;
            }
            let sample = tally.sample(end);
            let (received, sent) = sample.since(&start);
            tally.increments.push(Increment {
                test_bytes: tally.full_bytes.saturating_sub(bytes),
                total_bytes_received: received,
                total_bytes_sent: sent,
                start_time: meter.watch.moment(start.at),
                end_time: meter.watch.moment(end),
            });
            tally.mark = Some((sample, tally.full_bytes));
        }
    }
}

impl Tally {
    fn sample(&self, at: Instant) -> Sample {
        let read = |name: &str| -> Option<u64> {
            let is_name =
                !self.device.is_empty() && !self.device.contains('/') && !self.device.starts_with('.');
            let path = format!("/sys/class/net/{}/statistics/{name}", self.device);
            if is_name { fs::read_to_string(path).ok()?.trim().parse().ok() } else { None }
        };
        Sample { at, received: read("rx_bytes").unwrap_or(0), sent: read("tx_bytes").unwrap_or(0) }
    }
}

/// The device that owns an address.
fn device_of(address: IpAddr) -> Option<String> {
    let is_owner = |storage: &nix::sys::socket::SockaddrStorage| match address {
        IpAddr::V4(v4) => storage.as_sockaddr_in().is_some_and(|own| own.ip() == v4),
        IpAddr::V6(v6) => storage.as_sockaddr_in6().is_some_and(|own| own.ip() == v6),
    };
    getifaddrs()
        .ok()?
        .take(1024)
        .find(|one| one.address.as_ref().is_some_and(is_owner))
        .map(|one| one.interface_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_tr_143() {
        let check = |text: &str, expected: Option<(u16, bool)>| {
            assert_eq!(parse(text).map(|(url, is_ftp)| (url.port, is_ftp)), expected, "{text}");
        };
        check("http://h/x", Some((80, false)));
        check("https://h/x", None);
        check("file:///etc/passwd", None);
        check("http://user:pw@h/", None);
        if cfg!(feature = "ftp") {
            check("ftp://h/x", Some((21, true)));
            check("ftp://h:80/x", Some((80, true)));
            check("FTP://h:443/x", Some((443, true)));
        }
    }

    #[test]
    fn the_device_of_loopback() {
        assert_eq!(device_of("127.0.0.1".parse().unwrap()).as_deref(), Some("lo"));
        assert_eq!(device_of("192.0.2.77".parse().unwrap()), None);
        let tally = Tally { device: "../../etc".into(), ..Tally::default() };
        assert_eq!(tally.sample(Instant::now()).received, 0);
    }

    #[test]
    fn full_loading_and_intervals() {
        let meter = Meter::new(&Input {
            number_of_connections: 2,
            time_based_test_duration: 90,
            time_based_test_measurement_interval: 10,
            ..Input::default()
        });
        let (a, b) = (Reporter { meter: &meter, number: 0 }, Reporter { meter: &meter, number: 1 });
        a.moved(100);
        assert_eq!(meter.tally().full_bytes, 0);
        b.moved(10);
        a.moved(1);
        let begin = meter.tally().first_begin.unwrap().at;
        assert_eq!(a.end_of_test(), Some(begin + Duration::from_secs(90)));
        // Nine intervals of ten seconds in ninety, the last at its very end.
        a.tick(&mut meter.tally(), begin + Duration::from_secs(25));
        assert_eq!(meter.tally().increments.len(), 2);
        a.tick(&mut meter.tally(), begin + Duration::from_secs(1000));
        let at = begin + Duration::from_secs(90);
        a.ended(at);
        b.moved(1000);
        b.ended(at);
        let output = meter.into_output(State::Complete, true);
        assert_eq!(output.incremental_result.len(), 9);
        assert_eq!(output.incremental_result[0].test_bytes, 11);
        assert_eq!(output.incremental_result[8].test_bytes, 0);
        let first = &output.incremental_result[0];
        assert_eq!(first.end_time.0 - first.start_time.0, 10_000_000);
        assert_eq!((output.test_bytes, output.test_bytes_under_full_loading), (1111, 11));
        assert!(output.period_of_full_loading > 89_000_000);
        assert_eq!(output.per_connection_result[1].test_bytes, 1010);
    }
}
