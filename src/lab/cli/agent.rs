//! The agent as a child process: started with the router as its root, ended with SIGTERM.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::show::{Show, Tone};
use crate::lab::tail::{each_line, keep_last};

/// The last lines of the agent's log that are kept for a failure.
const KEPT: usize = 30;
/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// The running agent; dropping it ends it.
pub struct Agent {
    child: Child,
    log: Arc<Mutex<VecDeque<String>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Agent {
    /// Starts a program, without one this very program, as the agent of a router, freshly booted, with the router's
    /// ubus; with `show` its log is shown.
    ///
    /// # Errors
    /// The system's.
    pub fn start(
        program: Option<&Path>,
        root: &Path,
        socket: &Path,
        show: Option<Arc<Show>>,
    ) -> io::Result<Agent> {
        let program = program.map_or_else(std::env::current_exe, std::path::absolute)?;
        let mut child = Command::new(program)
            .args(["-f", "-b", "--root"])
            .arg(root)
            .arg("-s")
            .arg(socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let reader = child.stderr.take().map(|stderr| {
            let log = Arc::clone(&log);
            thread::spawn(move || keep(stderr, &log, show.as_deref()))
        });
        Ok(Agent { child, log, reader })
    }

    /// Whether it has ended by itself, and how.
    ///
    /// # Errors
    /// The system's.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Ends it, gently first.
    pub fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // It may have ended by itself just now.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The last lines of its log, once it has ended.
    pub fn last_words(&mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reads the log to its end.
fn keep(log: impl Read, kept: &Mutex<VecDeque<String>>, show: Option<&Show>) {
    each_line(log, |line| {
        if let Some(show) = show {
            show.line("agent", &line, Tone::Quiet);
        }
        keep_last(&mut kept.lock().unwrap_or_else(PoisonError::into_inner), line, KEPT);
    });
}
