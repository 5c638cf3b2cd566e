//! DownloadDiagnostics: a file fetched by HTTP or FTP, timed and thrown away
//! (`Device.IP.Diagnostics.DownloadDiagnostics.`, TR-143 4.1).
//!
//! HTTP is one GET a connection. Redirects, credentials, cookies and compression have no place in a
//! measurement: what is not 200 is a fault.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::diagnostics::State;
use crate::diagnostics::socket::Way;
use crate::diagnostics::tcp::{Got, Link, PATIENCE, Rule};
use crate::diagnostics::throughput::{self, Input, Output, Reporter, Target};

/// The values of `DiagnosticsState` that this test gives.
pub const STATES: &[State] = &[
    State::Canceled,
    State::Complete,
    State::CannotResolveHostName,
    State::NoRouteToHost,
    State::InitConnectionFailed,
    State::NoResponse,
    State::TransferFailed,
    State::PasswordRequestFailed,
    State::LoginFailed,
    State::NoTransferMode,
    State::NoPasv,
    State::IncorrectSize,
    State::Timeout,
    State::Internal,
    State::Other,
];

/// The buffer of a connection; the head of a response must fit into it.
pub(crate) const BUFFER: usize = 16 * 1024;
/// The most headers of a response.
const MAX_HEADERS: usize = 64;
/// The longest line of a chunk's size with its extensions, and of all trailers.
const MAX_CHUNK_LINE: usize = 256;
const MAX_TRAILERS: usize = 8 * 1024;

/// Runs the test. A test by time ends when its time is over or the file is, whichever comes first.
pub fn run(input: &Input, cancel: &AtomicBool, deadline: Instant) -> Output {
    throughput::run(input, STATES, cancel, deadline, &|target, way, reporter, rule| {
        if target.is_ftp { by_ftp(target, way, reporter, rule) } else { by_http(target, way, reporter, rule) }
    })
}

#[cfg(feature = "ftp")]
fn by_ftp(target: &Target, way: &Way<'_>, reporter: &Reporter<'_>, rule: Rule<'_>) -> Result<(), State> {
    crate::diagnostics::ftp::retrieve(target, way, reporter, rule)
}

#[cfg(not(feature = "ftp"))]
fn by_ftp(_: &Target, _: &Way<'_>, _: &Reporter<'_>, _: Rule<'_>) -> Result<(), State> {
    Err(State::Other)
}

fn by_http(target: &Target, way: &Way<'_>, reporter: &Reporter<'_>, rule: Rule<'_>) -> Result<(), State> {
    let mut link = Link::connect(target.peer, way, rule)?;
    reporter.opened(link.requested, link.responded);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: rcwmp\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        target.url.target,
        host_header(target)
    );
    reporter.requested();
    link.write_all(request.as_bytes()).map_err(|state| match state {
        State::TransferFailed => State::NoResponse,
        state => state,
    })?;
    let mut buffer = vec![0; BUFFER];
    let (head, length) = read_head(&mut link, &mut buffer, rule, |count| reporter.moved(count))?;
    match head.status {
        200 => {}
        401 | 403 | 407 => return Err(State::LoginFailed),
        _ => return Err(State::TransferFailed),
    }
    let mut body = head.body;
    let mut is_done = body.feed(&buffer[head.length..length])?;
    let mut last = Instant::now();
    while !is_done {
        let stalled = rule.control.after(PATIENCE);
        let end = reporter.end_of_test();
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
        match link.read(&mut buffer, end.map_or(stalled, |end| end.min(stalled)))? {
            Got::Data(count) => {
                last = Instant::now();
                reporter.moved(count);
                is_done = body.feed(&buffer[..count])?;
            }
            Got::End if matches!(body, Body::UntilClose) => break,
            Got::End => return Err(State::IncorrectSize),
            Got::Late if end.is_some_and(|end| Instant::now() >= end) => break,
            Got::Late => return Err(State::Timeout),
        }
    }
    reporter.ended(last);
    Ok(())
}

/// The `Host` header: the port only where it is not HTTP's own.
pub(crate) fn host_header(target: &Target) -> String {
    let url = &target.url;
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    if url.port == 80 { host } else { format!("{host}:{}", url.port) }
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The octets of the head.
    pub(crate) length: usize,
    pub(crate) body: Body,
}

/// Reads up to the end of a head that is not 1xx. Gives it and how much of the buffer is filled.
pub(crate) fn read_head(
    link: &mut Link<'_>,
    buffer: &mut [u8],
    rule: Rule<'_>,
    mut moved: impl FnMut(usize),
) -> Result<(Head, usize), State> {
    let until = rule.control.after(PATIENCE);
    let mut filled = 0;
    loop {
        // A full buffer without the end of the head is no head of ours.
        let room = buffer.get_mut(filled..).filter(|room| !room.is_empty()).ok_or(State::TransferFailed)?;
        match link.read(room, until) {
            Ok(Got::Data(count)) => {
                moved(count);
                filled += count;
            }
            Ok(Got::End) if filled == 0 => return Err(State::NoResponse),
            Ok(Got::End) => return Err(State::TransferFailed),
            Ok(Got::Late) => return Err(State::NoResponse),
            Err(State::TransferFailed) if filled == 0 => return Err(State::NoResponse),
            Err(state) => return Err(state),
        }
        while let Some(head) = parse_head(&buffer[..filled])? {
            if head.status >= 200 {
                return Ok((head, filled));
            }
            buffer.copy_within(head.length..filled, 0);
            filled -= head.length;
        }
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<Head>, State> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(State::TransferFailed),
    };
    let status = response.code.ok_or(State::TransferFailed)?;
    let mut body = Body::UntilClose;
    for header in response.headers.iter() {
        let value = std::str::from_utf8(header.value).map_err(|_| State::TransferFailed)?.trim();
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(State::TransferFailed);
            }
            body = Body::Chunked(Chunks::default());
        } else if header.name.eq_ignore_ascii_case("content-length") && !matches!(body, Body::Chunked(_)) {
            let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            let length: u64 = value.parse().map_err(|_| State::TransferFailed)?;
            if !is_number || matches!(body, Body::Sized(other) if other != length) {
                return Err(State::TransferFailed);
            }
            body = Body::Sized(length);
        }
    }
    Ok(Some(Head { status, length, body }))
}

/// How the body of a response ends.
#[derive(Debug)]
pub(crate) enum Body {
    /// After this many octets more.
    Sized(u64),
    /// After its last chunk.
    Chunked(Chunks),
    /// When the peer closes.
    UntilClose,
}

impl Body {
    /// Takes octets of the body; gives whether it has ended. More than there should be is
    /// `IncorrectSize`.
    fn feed(&mut self, bytes: &[u8]) -> Result<bool, State> {
        match self {
            Body::Sized(left) => {
                let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                *left = left.checked_sub(count).ok_or(State::IncorrectSize)?;
                Ok(*left == 0)
            }
            Body::Chunked(chunks) => chunks.feed(bytes),
            Body::UntilClose => Ok(false),
        }
    }
}

/// Follows the chunks of a body (RFC 9112 7.1) without keeping them.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    at: At,
    line: Vec<u8>,
    left: u64,
    trailers: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    Data,
    DataEnd,
    Trailer,
    End,
}

impl Chunks {
    fn feed(&mut self, mut bytes: &[u8]) -> Result<bool, State> {
        while let Some((first, rest)) = bytes.split_first() {
            match self.at {
                At::End => return Err(State::IncorrectSize),
                At::Data => {
                    let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                    self.left -= u64::try_from(take).map_err(|_| State::Internal)?;
                    bytes = &bytes[take..];
                    if self.left == 0 {
                        self.at = At::DataEnd;
                    }
                }
                At::Size | At::DataEnd | At::Trailer if *first != b'\n' => {
                    if self.line.len() == MAX_CHUNK_LINE {
                        return Err(State::TransferFailed);
                    }
                    self.line.push(*first);
                    bytes = rest;
                }
                at => {
                    let mut line = std::mem::take(&mut self.line);
                    if line.last() == Some(&b'\r') {
                        line.pop();
                    }
                    self.at = self.line_end(at, &line)?;
                    bytes = rest;
                }
            }
        }
        Ok(self.at == At::End)
    }

    fn line_end(&mut self, at: At, line: &[u8]) -> Result<At, State> {
        match at {
            At::Size => {
                let text = std::str::from_utf8(line).map_err(|_| State::TransferFailed)?;
                let digits = text.split(';').next().unwrap_or_default().trim();
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(State::TransferFailed);
                }
                self.left = u64::from_str_radix(digits, 16).map_err(|_| State::TransferFailed)?;
                Ok(if self.left == 0 { At::Trailer } else { At::Data })
            }
            At::DataEnd if line.is_empty() => Ok(At::Size),
            At::Trailer if line.is_empty() => Ok(At::End),
            At::Trailer => {
                self.trailers += line.len();
                if self.trailers > MAX_TRAILERS { Err(State::TransferFailed) } else { Ok(At::Trailer) }
            }
            _ => Err(State::TransferFailed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_followed() {
        let check = |text: &str, expected: Result<bool, State>| {
            assert_eq!(Chunks::default().feed(text.as_bytes()), expected, "{text:?}");
            // The same, octet by octet.
            let mut chunks = Chunks::default();
            let mut found = Ok(false);
            for octet in text.as_bytes().chunks(1) {
                found = chunks.feed(octet);
                if found.is_err() {
                    break;
                }
            }
            assert_eq!(found, expected, "{text:?}");
        };
        check("3\r\nabc\r\n0\r\n\r\n", Ok(true));
        check("A;x=y\r\n0123456789\r\n00\r\nT: r\r\n\r\n", Ok(true));
        check("3\r\nabc\r\n0\r\n", Ok(false));
        check("3\r\nabcd\r\n", Err(State::TransferFailed));
        check("x\r\n", Err(State::TransferFailed));
        check("-1\r\n", Err(State::TransferFailed));
        check("\r\n", Err(State::TransferFailed));
        check("10000000000000000\r\n", Err(State::TransferFailed));
        check(&"1".repeat(300), Err(State::TransferFailed));
        check("0\r\n\r\nx", Err(State::IncorrectSize));
        check(&format!("0\r\n{}", "a: b\r\n".repeat(3000)), Err(State::TransferFailed));
    }

    #[test]
    fn heads_are_read() {
        let check = |text: &str, expected: Result<Option<u16>, State>| {
            let found = parse_head(text.as_bytes()).map(|head| head.map(|head| head.status));
            assert_eq!(found, expected, "{text:?}");
        };
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", Ok(Some(200)));
        check("HTTP/1.1 200 OK\r\n", Ok(None));
        check("SSH-2.0-x\r\n\r\n", Err(State::TransferFailed));
        check("HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n", Err(State::TransferFailed));
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
            Err(State::TransferFailed),
        );
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Err(State::TransferFailed));
        check(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(65)), Err(State::TransferFailed));
    }
}
