//! UploadDiagnostics: octets nobody needs sent by HTTP PUT or FTP, and timed
//! (`Device.IP.Diagnostics.UploadDiagnostics.`, TR-143 4.2).
//!
//! By size, each connection sends a file of `TestFileLength` with that Content-Length; by time, it
//! sends chunks until the time is over. EOMTime is when the server's 2xx (FTP: 226) has come.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::diagnostics::State;
use crate::diagnostics::download::{BUFFER, host_header, read_head};
use crate::diagnostics::ping::pattern;
use crate::diagnostics::socket::Way;
use crate::diagnostics::tcp::{Link, PATIENCE, Put, Rule};
use crate::diagnostics::throughput::{self, Output, Reporter, Target};

/// The values of `DiagnosticsState` that this test gives.
pub const STATES: &[State] = &[
    State::Canceled,
    State::Complete,
    State::CannotResolveHostName,
    State::NoRouteToHost,
    State::InitConnectionFailed,
    State::NoResponse,
    State::PasswordRequestFailed,
    State::LoginFailed,
    State::NoTransferMode,
    State::NoPasv,
    State::NoCwd,
    State::NoStor,
    State::NoTransferComplete,
    State::Timeout,
    State::Internal,
    State::Other,
];

/// The parameters of the test.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Input {
    /// Those that a download has as well; `url` is `UploadURL`.
    pub common: throughput::Input,
    /// `TestFileLength` in octets; a test by time does not look at it.
    pub test_file_length: u64,
}

/// Runs the test.
pub fn run(input: &Input, cancel: &AtomicBool, deadline: Instant) -> Output {
    throughput::run(&input.common, STATES, cancel, deadline, &|target, way, reporter, rule| {
        let mut source = Source::new(input.test_file_length, reporter)?;
        let done = match target.is_ftp {
            true => by_ftp(target, way, reporter, rule, &mut source),
            false => by_http(target, way, reporter, rule, &mut source),
        };
        // TR-181 has no Error_TransferFailed for uploads: this is the same said of one.
        done.map_err(|state| if state == State::TransferFailed { State::NoTransferComplete } else { state })
    })
}

#[cfg(feature = "ftp")]
fn by_ftp(
    target: &Target,
    way: &Way<'_>,
    reporter: &Reporter<'_>,
    rule: Rule<'_>,
    source: &mut Source<'_>,
) -> Result<(), State> {
    crate::diagnostics::ftp::store(target, way, reporter, rule, source)
}

#[cfg(not(feature = "ftp"))]
fn by_ftp(_: &Target, _: &Way<'_>, _: &Reporter<'_>, _: Rule<'_>, _: &mut Source<'_>) -> Result<(), State> {
    Err(State::Other)
}

/// The octets that are sent: noise, so that nothing on the way compresses them.
pub(crate) struct Source<'r> {
    block: Vec<u8>,
    left: u64,
    reporter: &'r Reporter<'r>,
}

impl<'r> Source<'r> {
    fn new(length: u64, reporter: &'r Reporter<'r>) -> Result<Source<'r>, State> {
        let mut block = pattern(BUFFER)?;
        // The pattern repeats every sixteen octets: fold its place in, or it compresses well.
        let mut state = u32::from_be_bytes([block[0], block[1], block[2], block[3]]) | 1;
        for octet in &mut block {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            *octet ^= state.to_be_bytes()[0];
        }
        Ok(Source { block, left: length, reporter })
    }

    /// What to send next; `None` at the end of the file or of the time.
    fn next(&self) -> Option<&[u8]> {
        if self.reporter.is_timed() {
            let is_over = self.reporter.end_of_test().is_some_and(|end| Instant::now() >= end);
            return (!is_over).then_some(&self.block);
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.block.len());
        (length > 0).then_some(&self.block[..length])
    }

    fn sent(&mut self, count: usize) {
        self.left = self.left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        self.reporter.moved(count);
    }

    /// Sends all into a link. Gives whether the peer took all of it.
    pub(crate) fn pour(&mut self, link: &mut Link<'_>, rule: Rule<'_>) -> Result<bool, State> {
        while let Some(bytes) = self.next() {
            let stalled = rule.control.after(PATIENCE);
            let end = self.reporter.end_of_test();
            match link.write(bytes, end.map_or(stalled, |end| end.min(stalled)))? {
                Put::Data(count) => self.sent(count),
                Put::Closed => return Ok(false),
                Put::Late if end.is_some_and(|end| Instant::now() >= end) => return Ok(true),
                Put::Late => return Err(State::Timeout),
            }
        }
        Ok(true)
    }

    /// As [`Source::pour`], in chunks of HTTP, with the last one.
    fn pour_chunks(&mut self, link: &mut Link<'_>) -> Result<bool, State> {
        while let Some(bytes) = self.next() {
            let size = format!("{:x}\r\n", bytes.len());
            for part in [size.as_bytes(), bytes, b"\r\n"] {
                match link.write_all(part) {
                    Ok(()) => self.reporter.moved(part.len()),
                    Err(State::TransferFailed) => return Ok(false),
                    Err(state) => return Err(state),
                }
            }
        }
        match link.write_all(b"0\r\n\r\n") {
            Ok(()) => Ok(true),
            Err(State::TransferFailed) => Ok(false),
            Err(state) => Err(state),
        }
    }
}

fn by_http(
    target: &Target,
    way: &Way<'_>,
    reporter: &Reporter<'_>,
    rule: Rule<'_>,
    source: &mut Source<'_>,
) -> Result<(), State> {
    let mut link = Link::connect(target.peer, way, rule)?;
    reporter.opened(link.requested, link.responded);
    let length = match reporter.is_timed() {
        true => "Transfer-Encoding: chunked".to_owned(),
        false => format!("Content-Length: {}", source.left),
    };
    let request = format!(
        "PUT {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: rcwmp\r\nContent-Type: application/octet-stream\r\n\
         {length}\r\nConnection: close\r\n\r\n",
        target.url.target,
        host_header(target)
    );
    reporter.requested();
    link.write_all(request.as_bytes()).map_err(|state| match state {
        State::TransferFailed => State::NoResponse,
        state => state,
    })?;
    reporter.moved(request.len());
    // A server that has heard enough answers and closes: its answer tells why.
    let is_taken =
        if reporter.is_timed() { source.pour_chunks(&mut link)? } else { source.pour(&mut link, rule)? };
    let mut buffer = vec![0; BUFFER];
    let head = match read_head(&mut link, &mut buffer, rule, |_| {}) {
        Ok((head, _)) => head,
        Err(State::NoResponse) if !is_taken => return Err(State::NoTransferComplete),
        Err(state) => return Err(state),
    };
    match head.status {
        200..=299 if is_taken => {
            reporter.ended(Instant::now());
            Ok(())
        }
        401 | 403 | 407 => Err(State::LoginFailed),
        _ => Err(State::NoTransferComplete),
    }
}
