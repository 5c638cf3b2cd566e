//! Lines to the system log: datagrams of RFC 3164 to `/dev/log`, as libc's syslog(3) sends them.
//!
//! ```text
//! <142>Dec 24 10:21:18 cwmp[1234]: Start session
//! ```

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

/// Where OpenWrt's logd, and every other system's log daemon, listens.
pub const SOCKET: &str = "/dev/log";
/// The facility LOCAL1, icwmp's.
const LOCAL1: u8 = 17;
/// The longest datagram, in bytes; logd cuts at 1,024, others at 2,048 or 8,192.
const MAX: usize = 8192;
/// How long a log daemon that reads nothing may hold the agent up, for one line.
const PATIENCE: Duration = Duration::from_millis(100);
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A severity of RFC 3164 4.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// 3.
    Error = 3,
    /// 4.
    Warning = 4,
    /// 6.
    Info = 6,
    /// 7.
    Debug = 7,
}

/// When a line was written, by the router's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// From 1.
    pub month: u8,
    /// From 1.
    pub day: u8,
    /// Of the day.
    pub hour: u8,
    /// Of the hour.
    pub minute: u8,
    /// Of the minute.
    pub second: u8,
}

/// The way to a log daemon; connected when the first line is sent.
#[derive(Debug)]
pub struct Syslog {
    path: PathBuf,
    ident: &'static str,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    /// Lines of `ident` to the daemon that listens at a path, which is [`SOCKET`] but for tests.
    pub fn new(path: impl Into<PathBuf>, ident: &'static str) -> Syslog {
        Syslog { path: path.into(), ident, socket: None }
    }

    /// Sends a line, cut where it is too long for a datagram.
    ///
    /// # Errors
    /// The system's: nobody listens, or nobody has read for too long. The line is lost; the next one tries anew.
    pub fn send(&mut self, severity: Severity, time: LocalTime, text: &str) -> io::Result<()> {
        let datagram = datagram(severity, time, self.ident, text);
        // A connection is lost for ever when the daemon restarts: one new one for a line that fails on an old one.
        if let Some(socket) = &self.socket {
            match socket.send(datagram.as_bytes()) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => self.socket = None,
            }
        }
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.path)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.send(datagram.as_bytes())?;
        self.socket = Some(socket);
        Ok(())
    }
}

/// The header and the text, at most [`MAX`] bytes of whole characters.
fn datagram(severity: Severity, time: LocalTime, ident: &str, text: &str) -> String {
    let LocalTime { month, day, hour, minute, second } = time;
    let month = MONTHS.get(usize::from(month).wrapping_sub(1)).unwrap_or(&MONTHS[0]);
    let mut out = format!(
        "<{}>{month} {day:>2} {hour:02}:{minute:02}:{second:02} {ident}[{}]: {text}",
        (LOCAL1 << 3) | severity as u8,
        std::process::id()
    );
    let end = (0..=MAX.min(out.len())).rev().find(|&end| out.is_char_boundary(end)).unwrap_or(0);
    out.truncate(end);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: LocalTime = LocalTime { month: 2, day: 5, hour: 17, minute: 32, second: 8 };

    fn received(daemon: &UnixDatagram) -> String {
        let mut buffer = vec![0; 1 << 16];
        let length = daemon.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn priorities_and_dates_of_the_rfc() {
        let id = std::process::id();
        for (severity, time, expected) in [
            (Severity::Error, TIME, "<139>Feb  5 17:32:08"),
            (Severity::Warning, LocalTime { month: 12, day: 31, ..TIME }, "<140>Dec 31 17:32:08"),
            (Severity::Info, LocalTime { month: 1, hour: 0, ..TIME }, "<142>Jan  5 00:32:08"),
            (Severity::Debug, LocalTime { minute: 1, second: 0, ..TIME }, "<143>Feb  5 17:01:00"),
        ] {
            assert_eq!(datagram(severity, time, "cwmp", "x y"), format!("{expected} cwmp[{id}]: x y"));
        }
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        for text in ["ä".repeat(MAX), format!("x{}", "ä".repeat(MAX))] {
            let cut = datagram(Severity::Info, TIME, "cwmp", &text);
            assert!(cut.len() == MAX || cut.len() == MAX - 1, "{}", cut.len());
            assert!(cut.ends_with('ä'));
        }
    }

    #[test]
    fn a_daemon_that_restarts_loses_nothing_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Syslog::new(&path, "cwmp");
        assert!(log.send(Severity::Info, TIME, "before it runs").is_err());
        for run in ["one", "two"] {
            let daemon = UnixDatagram::bind(&path).unwrap();
            for line in ["first", "second"] {
                let text = format!("{line} of {run}");
                log.send(Severity::Info, TIME, &text).unwrap();
                assert!(received(&daemon).ends_with(&format!("]: {text}")));
            }
            drop(daemon);
            std::fs::remove_file(&path).unwrap();
        }
        assert!(log.send(Severity::Info, TIME, "after").is_err());
    }

    #[test]
    fn a_daemon_that_reads_nothing_does_not_hold_up_for_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut log = Syslog::new(&path, "cwmp");
        let sent = (0..10_000).take_while(|_| log.send(Severity::Info, TIME, "x").is_ok()).count();
        assert!(sent < 10_000, "the queue of a socket has an end");
        received(&daemon);
        assert!(log.send(Severity::Info, TIME, "y").is_ok(), "it goes on once there is room");
    }
}
