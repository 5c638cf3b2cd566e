//! Programs of the system, run without a shell: each argument stays one argument, whatever is in it.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How much of a program's output is kept: its last words, in bytes.
pub const MAX_OUTPUT: usize = 4096;
/// How soon a cancellation or the end of a silent program is noticed.
const TICK: Duration = Duration::from_millis(50);
/// Where programs look for others; nothing else of our environment concerns them.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What a program has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The exit code, or 128 and the signal that ended it.
    pub code: i32,
    /// The end of what it wrote to either output, at most [`MAX_OUTPUT`] bytes, made text.
    pub output: String,
}

/// Why there is no result.
#[derive(Debug)]
pub enum ProgramError {
    /// There is no such program, or it cannot be started.
    Start(PathBuf, io::Error),
    /// It was still running at its deadline, and was ended.
    Deadline(PathBuf),
    /// Nobody wants its result any more; it was ended.
    Cancelled,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramError::Start(path, why) => write!(f, "{} cannot be run: {why}", path.display()),
            ProgramError::Deadline(path) => write!(f, "{} did not end in time", path.display()),
            ProgramError::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for ProgramError {}

/// A command with nothing of ours but a search path, in a process group of its own.
pub fn command<A: AsRef<OsStr>>(path: &Path, arguments: &[A]) -> Command {
    let mut command = Command::new(path);
    command.args(arguments).env_clear().env("PATH", PATH).stdin(Stdio::null()).process_group(0);
    command
}

/// Runs a program to its end.
///
/// # Errors
/// [`ProgramError`]; the program and what it has started are gone then.
pub fn run<A: AsRef<OsStr>>(
    path: &Path,
    arguments: &[A],
    deadline: Instant,
    cancel: &AtomicBool,
) -> Result<Finished, ProgramError> {
    let failed = |why| ProgramError::Start(path.to_path_buf(), why);
    let (mut output, writer) = io::pipe().map_err(failed)?;
    fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|why| failed(why.into()))?;
    let mut command = command(path, arguments);
    command.stdout(writer.try_clone().map_err(failed)?).stderr(writer);
    let mut running = Running(start(&mut command, deadline).map_err(failed)?);
    // Its ends of the pipe are with the program alone from now on.
    drop(command);
    let mut kept = Vec::new();
    let mut open = true;
    loop {
        if open {
            open = drain(&mut output, &mut kept);
        }
        if let Some(status) = running.0.try_wait().map_err(failed)? {
            // What it wrote last; a grandchild may hold the pipe open for ever.
            if open {
                drain(&mut output, &mut kept);
            }
            return Ok(Finished { code: code(status), output: text(&kept) });
        }
        if cancel.load(Ordering::Relaxed) {
            return Err(ProgramError::Cancelled);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ProgramError::Deadline(path.to_path_buf()));
        }
        let wait = left.min(TICK);
        match open {
            true => {
                let mut fds = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
                let _ = poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO));
            }
            false => std::thread::sleep(wait),
        }
    }
}

/// A file that somebody is just writing, or a fork of ours holds open, is free a moment later.
fn start(command: &mut Command, deadline: Instant) -> io::Result<Child> {
    loop {
        match command.spawn() {
            Err(why) if why.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < deadline => {
                std::thread::sleep(TICK / 5);
            }
            started => return started,
        }
    }
}

/// A child that does not outlive its run.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_)))
            && let Ok(pid) = i32::try_from(self.0.id())
        {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}

/// Takes what has come; false at the end of the output.
fn drain(output: &mut impl Read, kept: &mut Vec<u8>) -> bool {
    let mut part = [0; 1024];
    // A program that writes faster than this reads gets its turn of the loop's checks too.
    for _ in 0..64 {
        match output.read(&mut part) {
            Ok(0) => return false,
            Ok(count) => kept.extend_from_slice(&part[..count]),
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return why.kind() == io::ErrorKind::WouldBlock,
        }
        if kept.len() > 2 * MAX_OUTPUT {
            kept.drain(..kept.len() - MAX_OUTPUT);
        }
    }
    true
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

fn text(kept: &[u8]) -> String {
    String::from_utf8_lossy(&kept[kept.len().saturating_sub(MAX_OUTPUT)..]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    /// A script of its own, since a program is what is tested.
    fn script(dir: &Path, text: &str) -> PathBuf {
        let path = dir.join("script");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn arguments_stay_arguments() {
        let dir = tempfile::tempdir().unwrap();
        let echo = script(dir.path(), "for word in \"$@\"; do echo \"<$word>\"; done; echo end >&2; exit 3");
        let words = ["$(touch x)", "a b", "; rm -rf /", "-n", "\n"];
        let finished = run(&echo, &words, soon(), &AtomicBool::new(false)).unwrap();
        assert_eq!(finished.code, 3);
        assert_eq!(finished.output, "<$(touch x)>\n<a b>\n<; rm -rf />\n<-n>\n<\n>\nend");
        assert!(!Path::new("x").exists());
    }

    #[test]
    fn bounds() {
        let dir = tempfile::tempdir().unwrap();
        let never = AtomicBool::new(false);
        let long = script(dir.path(), "yes 0123456789 | head -c 3000000; echo last");
        let finished = run::<&str>(&long, &[], soon(), &never).unwrap();
        assert!(finished.output.len() <= MAX_OUTPUT && finished.output.ends_with("last"));
        // What it has started goes with it.
        let slow = script(dir.path(), "sleep 1000 & echo $!; wait");
        let begin = Instant::now();
        let deadline = begin + Duration::from_millis(300);
        assert!(matches!(run::<&str>(&slow, &[], deadline, &never), Err(ProgramError::Deadline(_))));
        let cancelled = AtomicBool::new(true);
        assert!(matches!(run::<&str>(&slow, &[], soon(), &cancelled), Err(ProgramError::Cancelled)));
        let killed = script(dir.path(), "kill -9 $$");
        assert_eq!(run::<&str>(&killed, &[], soon(), &never).unwrap().code, 137);
        // A grandchild that keeps the output open does not keep us.
        let fork = script(dir.path(), "sleep 1000 & exit 0");
        assert_eq!(run::<&str>(&fork, &[], soon(), &never).unwrap().code, 0);
        assert!(begin.elapsed() < Duration::from_secs(15));
        let missing = run::<&str>(&dir.path().join("none"), &[], soon(), &never).unwrap_err();
        assert!(missing.to_string().contains("none cannot be run"), "{missing}");
    }
}
