//! SelfTestDiagnostics: whether the device has what an agent lives on (`Device.SelfTestDiagnostics.`).
//!
//! TR-181 leaves to the vendor what is tested. Here: the clocks, the kernel's randomness, a datagram
//! over loopback, name servers, and that the given directories take a file and give it back.

use std::fmt::Write as _;
use std::fs;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use crate::diagnostics::{Control, State, lookup};
use crate::sys::{clock, rng};

/// The values of `DiagnosticsState` that this test gives.
pub const STATES: &[State] = &[State::Canceled, State::Complete, State::Internal, State::Other];

/// The longest `Results`.
pub const MAX_RESULTS: usize = 1024;
/// How long a datagram may take over loopback.
const LOOPBACK: Duration = Duration::from_secs(2);

/// What to test.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Input {
    /// Directories that must take a file: those of the state and of transfers.
    pub directories: Vec<PathBuf>,
    /// The system's resolv.conf; empty to pass it over.
    pub resolv_conf: PathBuf,
}

/// The results of the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// `DiagnosticsState`: `Complete` if the tests were made, whatever they found.
    pub diagnostics_state: State,
    /// `Results`: a line a test, `name: passed` or `name: failed: why`, cut at [`MAX_RESULTS`].
    pub results: String,
}

/// Runs the tests.
pub fn run(input: &Input, cancel: &AtomicBool, deadline: Instant) -> Output {
    let control = Control::new(cancel, deadline);
    let mut results = String::new();
    let done = test(input, &control, &mut results);
    let end = (0..=MAX_RESULTS.min(results.len())).rev().find(|end| results.is_char_boundary(*end));
    results.truncate(end.unwrap_or(0));
    Output { diagnostics_state: done.err().unwrap_or(State::Complete).among(STATES), results }
}

fn test(input: &Input, control: &Control<'_>, results: &mut String) -> Result<(), State> {
    let mut note = |name: &str, found: Result<(), String>| {
        control.check()?;
        let line = match found {
            Ok(()) => writeln!(results, "{name}: passed"),
            Err(why) => writeln!(results, "{name}: failed: {why}"),
        };
        line.map_err(|_| State::Internal)
    };
    note("clock", if clock::is_set() { Ok(()) } else { Err("it is not set".into()) })?;
    note("randomness", randomness())?;
    note("loopback", loopback(control)?)?;
    if !input.resolv_conf.as_os_str().is_empty() {
        let has_servers = lookup::has_servers(&input.resolv_conf);
        note("name servers", if has_servers { Ok(()) } else { Err("there are none".into()) })?;
    }
    for directory in &input.directories {
        note(&format!("storage {}", directory.display()), storage(directory))?;
    }
    Ok(())
}

fn randomness() -> Result<(), String> {
    let numbers = [rng::hex(16), rng::hex(16)];
    match numbers {
        [Ok(one), Ok(other)] if one != other => Ok(()),
        [Ok(_), Ok(_)] => Err("it repeats itself".into()),
        [Err(why), _] | [_, Err(why)] => Err(why.to_string()),
    }
}

fn loopback(control: &Control<'_>) -> Result<Result<(), String>, State> {
    let open = || -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        socket.send(b"rcwmp")?;
        Ok(socket)
    };
    let socket = match open() {
        Ok(socket) => socket,
        Err(why) => return Ok(Err(why.to_string())),
    };
    let mut buffer = [0; 8];
    let is_there = control.wait(socket.as_fd(), PollFlags::POLLIN, control.after(LOOPBACK))?;
    Ok(match is_there.then(|| socket.recv(&mut buffer)) {
        Some(Ok(5)) if buffer.starts_with(b"rcwmp") => Ok(()),
        Some(Err(why)) => Err(why.to_string()),
        _ => Err("a datagram was lost".into()),
    })
}

fn storage(directory: &Path) -> Result<(), String> {
    let content = rng::hex(16).map_err(|why| why.to_string())?;
    let file = directory.join(format!(".self-test-{content}"));
    let told = fs::write(&file, &content).and_then(|()| fs::read_to_string(&file));
    // Whatever was read, the file must not stay; that it was never made is told by the read.
    let _ = fs::remove_file(&file);
    match told {
        Ok(read) if read == content => Ok(()),
        Ok(_) => Err("what was read is not what was written".into()),
        Err(why) => Err(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &Input, is_cancelled: bool) -> Output {
        run(input, &AtomicBool::new(is_cancelled), Instant::now() + Duration::from_secs(10))
    }

    #[test]
    fn tells_what_fails() {
        let dir = tempfile::tempdir().unwrap();
        let directories = vec![dir.path().to_owned(), "/nonexistent/dir".into()];
        let output = check(&Input { directories, resolv_conf: "/nonexistent".into() }, false);
        assert_eq!(output.diagnostics_state, State::Complete);
        let has = |text: &str| assert!(output.results.contains(text), "{}", output.results);
        has("randomness: passed\n");
        has("loopback: passed\n");
        has("name servers: failed: there are none\n");
        has(&format!("storage {}: passed\n", dir.path().display()));
        has("storage /nonexistent/dir: failed: ");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn ends_when_cancelled_and_stays_short() {
        assert_eq!(check(&Input::default(), true).diagnostics_state, State::Canceled);
        let directories = vec![PathBuf::from(format!("/ä{}", "ö".repeat(100))); 20];
        let output = check(&Input { directories, ..Input::default() }, false);
        assert!(output.results.len() <= MAX_RESULTS && output.results.len() > MAX_RESULTS - 2);
    }
}
