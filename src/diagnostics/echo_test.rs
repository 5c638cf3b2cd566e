//! UDPEchoDiagnostics: the UDP echo client of TR-143 A.1 (`Device.IP.Diagnostics.UDPEchoDiagnostics.`).
//!
//! Packets leave every `InterTransmissionTime` whether or not the earlier ones were answered. A
//! packet is a UDPEchoPlus one as far as `DataBlockSize` has room: 20 octets for its five fields, 24
//! for the TestIterationNumber too. A response counts if it has the length of a request still
//! waited for, its TestGenSN (as much of it as fits), and its payload unchanged.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use crate::diagnostics::echo::EchoPlus;
use crate::diagnostics::ping::{MAX_BLOCK, pattern};
use crate::diagnostics::socket::{self, Way};
use crate::diagnostics::{Control, Moment, ProtocolVersion, State, Times, Watch, host};
use crate::sys::rng;

/// The values of `DiagnosticsState` that this test gives.
pub const STATES: &[State] =
    &[State::Canceled, State::Complete, State::CannotResolveHostName, State::Internal, State::Other];

/// `UDPEchoDiagnosticsMaxResults`: of a longer test the first rows are kept.
pub const MAX_RESULTS: usize = 1000;
/// The requests waited for at one time: beyond it the oldest has failed.
const MAX_PENDING: usize = 4096;
/// Where the TestIterationNumber ends.
const WITH_ITERATION: usize = EchoPlus::LENGTH + 4;

/// The parameters of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// `Interface`, as a Linux device; empty to follow the routes.
    pub interface: String,
    /// `Host`, a name or an address.
    pub host: String,
    /// `Port`, from 1.
    pub port: u16,
    /// `NumberOfRepetitions`, from 1.
    pub number_of_repetitions: u32,
    /// `Timeout` of one packet in milliseconds, from 1.
    pub timeout: u32,
    /// `DataBlockSize` in octets, 1 to 65535. UDP over IPv4 carries 65507 at most.
    pub data_block_size: u32,
    /// `DSCP`, 0 to 63.
    pub dscp: u32,
    /// `InterTransmissionTime` in milliseconds, 1 to 65535.
    pub inter_transmission_time: u32,
    /// `ProtocolVersion`.
    pub protocol_version: ProtocolVersion,
    /// `EnableIndividualPacketResults`.
    pub enable_individual_packet_results: bool,
}

impl Default for Input {
    fn default() -> Input {
        Input {
            interface: String::new(),
            host: String::new(),
            port: 7,
            number_of_repetitions: 1,
            timeout: 5000,
            data_block_size: 24,
            dscp: 0,
            inter_transmission_time: 1000,
            protocol_version: ProtocolVersion::Any,
            enable_individual_packet_results: false,
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
    /// `AverageResponseTime` in microseconds.
    pub average_response_time: u32,
    /// `MinimumResponseTime` in microseconds.
    pub minimum_response_time: u32,
    /// `MaximumResponseTime` in microseconds.
    pub maximum_response_time: u32,
    /// `IndividualPacketResult.{i}.`, [`MAX_RESULTS`] at most; empty unless enabled.
    pub individual_packet_result: Vec<PacketResult>,
}

/// One row of `IndividualPacketResult.{i}.`; its number is the TestIterationNumber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketResult {
    /// `PacketSuccess`.
    pub packet_success: bool,
    /// `PacketSendTime`.
    pub packet_send_time: Moment,
    /// `PacketReceiveTime`; `None` is the unknown time.
    pub packet_receive_time: Option<Moment>,
    /// `TestGenSN`.
    pub test_gen_sn: u32,
    /// `TestRespSN`, like the rest 0 without a response or without UDPEchoPlus at the other end.
    pub test_resp_sn: u32,
    /// `TestRespRcvTimeStamp` in microseconds.
    pub test_resp_rcv_time_stamp: u32,
    /// `TestRespReplyTimeStamp` in microseconds.
    pub test_resp_reply_time_stamp: u32,
    /// `TestRespReplyFailureCount`.
    pub test_resp_reply_failure_count: u32,
}

/// Runs the test. If the deadline comes before its end, the state is `Error_Other`, with what was
/// counted so far.
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
        average_response_time: times.average(),
        minimum_response_time: times.minimum,
        maximum_response_time: times.maximum,
        individual_packet_result: series.rows,
    }
}

/// A series of packets to one host and what came of it so far.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) local: Option<IpAddr>,
    pub(crate) times: Times,
    pub(crate) failures: u32,
    rows: Vec<PacketResult>,
}

/// A request that is waited for.
#[derive(Debug)]
struct Pending {
    number: u32,
    iteration: u32,
    sent: Instant,
}

impl Series {
    pub(crate) fn run(&mut self, input: &Input, control: &Control<'_>) -> Result<(), State> {
        let is_valid = input.number_of_repetitions >= 1
            && input.port >= 1
            && input.timeout >= 1
            && (1..=MAX_BLOCK).contains(&input.data_block_size)
            && (1..=65_535).contains(&input.inter_transmission_time)
            && input.dscp <= 63;
        if !is_valid {
            return Err(State::Other);
        }
        let way = Way { interface: &input.interface, dscp: input.dscp, priority: 0 };
        let addresses = host::resolve(&input.host, input.port, input.protocol_version, control)?;
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
        let socket: UdpSocket = socket::udp(peer.is_ipv6(), way)?.into();
        socket.connect(peer).map_err(|error| socket::fault(&error, State::Other))?;
        let size = usize::try_from(input.data_block_size).map_err(|_| State::Other)?;
        let mut payload = pattern(size)?;
        let mut buffer = vec![0; size + 1];
        // TR-143 A.1.4 leaves the first TestGenSN to us: nobody can guess what to answer.
        let first = rng::number().map_err(|_| State::Internal)?;
        let watch = Watch::start();
        let gap = Duration::from_millis(u64::from(input.inter_transmission_time));
        let timeout = Duration::from_millis(u64::from(input.timeout));
        let mut pending: VecDeque<Pending> = VecDeque::new();
        let mut sent = 0;
        let mut next_send = Instant::now();
        loop {
            let now = Instant::now();
            self.give_up(&mut pending, now, timeout);
            if sent == input.number_of_repetitions && pending.is_empty() {
                return Ok(());
            }
            if sent < input.number_of_repetitions && now >= next_send {
                let number = first.wrapping_add(sent);
                sent += 1;
                write(&mut payload, number, sent);
                let start = Instant::now();
                self.note(input, number, watch.moment(start));
                if pending.len() == MAX_PENDING {
                    pending.pop_front();
                    self.failures = self.failures.saturating_add(1);
                }
                if send(&socket, &payload)? {
                    pending.push_back(Pending { number, iteration: sent, sent: start });
                } else {
                    self.failures = self.failures.saturating_add(1);
                }
                // Not from now on: a test that fell behind catches up, but never bursts.
                next_send = (next_send + gap).max(start + gap / 2);
                continue;
            }
            let oldest = pending.front().and_then(|oldest| oldest.sent.checked_add(timeout));
            let until = match oldest {
                Some(oldest) if sent < input.number_of_repetitions => oldest.min(next_send),
                Some(oldest) => oldest,
                None => next_send,
            };
            if !control.wait(socket.as_fd(), PollFlags::POLLIN, until)? {
                continue;
            }
            let now = Instant::now();
            // An ICMP error is no response; the request it speaks of will time out.
            let Ok(length) = socket.recv(&mut buffer) else { continue };
            let response = &buffer[..length];
            if let Some(request) = take(&mut pending, &payload, response) {
                self.count(&request, response, now, watch.moment(now));
            }
        }
    }

    fn give_up(&mut self, pending: &mut VecDeque<Pending>, now: Instant, timeout: Duration) {
        while pending.front().is_some_and(|oldest| now.saturating_duration_since(oldest.sent) >= timeout) {
            pending.pop_front();
            self.failures = self.failures.saturating_add(1);
        }
    }

    fn note(&mut self, input: &Input, number: u32, at: Moment) {
        if input.enable_individual_packet_results && self.rows.len() < MAX_RESULTS {
            self.rows.push(PacketResult {
                packet_success: false,
                packet_send_time: at,
                packet_receive_time: None,
                test_gen_sn: number,
                test_resp_sn: 0,
                test_resp_rcv_time_stamp: 0,
                test_resp_reply_time_stamp: 0,
                test_resp_reply_failure_count: 0,
            });
        }
    }

    fn count(&mut self, request: &Pending, response: &[u8], now: Instant, at: Moment) {
        self.times.add(now.saturating_duration_since(request.sent));
        let row = usize::try_from(request.iteration - 1).ok().and_then(|row| self.rows.get_mut(row));
        let Some(row) = row else { return };
        row.packet_success = true;
        row.packet_receive_time = Some(at);
        if let Some(fields) = EchoPlus::read(response) {
            row.test_resp_sn = fields.test_resp_sn;
            row.test_resp_rcv_time_stamp = fields.test_resp_recv_time_stamp;
            row.test_resp_reply_time_stamp = fields.test_resp_reply_time_stamp;
            row.test_resp_reply_failure_count = fields.test_resp_reply_failure_count;
        }
    }
}

/// Sends; `false` if this packet is lost within our own kernel or refused by the host's.
fn send(socket: &UdpSocket, payload: &[u8]) -> Result<bool, State> {
    // The first send after an ICMP error reports that error instead of sending.
    let sent = socket.send(payload).or_else(|_| socket.send(payload));
    match sent {
        Ok(_) => Ok(true),
        Err(error) => match socket::fault(&error, State::Timeout) {
            State::Other => Err(State::Other),
            _ => Ok(false),
        },
    }
}

/// Puts the numbers of a request into its payload, as far as they fit.
fn write(payload: &mut [u8], number: u32, iteration: u32) {
    EchoPlus { test_gen_sn: number, ..EchoPlus::default() }.write(payload);
    let mark = mark(number, payload.len());
    payload[..mark.len()].copy_from_slice(&mark);
    if let Some(room) = payload.get_mut(EchoPlus::LENGTH..WITH_ITERATION) {
        room.copy_from_slice(&iteration.to_be_bytes());
    }
}

/// What tells a request of `size` octets from the others: its number, or the low octets of it.
fn mark(number: u32, size: usize) -> Vec<u8> {
    number.to_be_bytes()[4 - size.min(4)..].to_vec()
}

/// Takes out the request that a response answers; `template` is the payload of the last one sent.
fn take(pending: &mut VecDeque<Pending>, template: &[u8], response: &[u8]) -> Option<Pending> {
    if response.len() != template.len() {
        return None;
    }
    let fits = |request: &Pending| {
        let iteration = response.get(EchoPlus::LENGTH..WITH_ITERATION);
        response.starts_with(&mark(request.number, template.len()))
            && iteration.is_none_or(|four| four == request.iteration.to_be_bytes())
    };
    // Below 20 octets there is nothing for a server to fill in.
    let constant = match template.len() {
        ..EchoPlus::LENGTH => 4.min(template.len()),
        EchoPlus::LENGTH..WITH_ITERATION => EchoPlus::LENGTH,
        _ => WITH_ITERATION,
    };
    if response[constant..] != template[constant..] {
        return None;
    }
    let at = pending.iter().position(fits)?;
    pending.remove(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(size: usize, change: impl Fn(&mut Vec<u8>), expected: Option<u32>) {
        let mut template = vec![7; size];
        let mut pending = VecDeque::new();
        for iteration in 1..=3 {
            let number = 0xffff_fffe_u32.wrapping_add(iteration);
            write(&mut template, number, iteration);
            pending.push_back(Pending { number, iteration, sent: Instant::now() });
        }
        let mut response = template.clone();
        change(&mut response);
        let taken = take(&mut pending, &template, &response).map(|request| request.iteration);
        assert_eq!(taken, expected, "{size}");
    }

    #[test]
    fn responses_are_matched() {
        for size in [1, 2, 4, 19, 20, 23, 24, 1000] {
            check(size, |_| {}, Some(3));
            check(size, |r| r.push(0), None);
            check(size, |r| r.truncate(size - 1), None);
        }
        check(24, |r| r[4..20].fill(0xee), Some(3));
        check(24, |r| r[20..24].copy_from_slice(&[0, 0, 0, 2]), None);
        check(24, |r| r[..4].copy_from_slice(&[0; 4]), None);
        check(25, |r| r[24] = 0, None);
        check(19, |r| r[5] = 0, None);
        check(1, |r| r[0] = 0, Some(2));
    }
}
