//! The log: icwmp's lines to a file with rotation, to syslog and to the console.
//!
//! ```text
//! 24-12-2019, 10:21:18 [INFO]    Start session
//! ```
//! A line never carries a line break or another control character of what it reports: LAN-side
//! names and an ACS's texts end up here. Failing sinks never stop the agent.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::model::date;
use crate::sys::clock;
use crate::sys::syslog::{self, LocalTime, Severity, Syslog};
use crate::sys::zone::Zone;

/// The longest line, in characters; dumps at DEBUG are longer.
const MAX_LINE: usize = 4096;
const MAX_DUMP: usize = 1 << 20;
/// icwmp's name in the system log.
const IDENT: &str = "cwmp";

/// Where lines go.
#[derive(Debug, Clone, Default)]
pub struct Sinks {
    /// To stderr.
    pub console: bool,
    /// To the system log.
    pub syslog: bool,
    /// To a file, rotated to `.1` when it has grown beyond `max_size` bytes.
    pub file: Option<PathBuf>,
    /// In bytes.
    pub max_size: u64,
    /// For local times.
    pub zone: Zone,
}

struct Logger(Mutex<State>);

struct State {
    sinks: Sinks,
    file: Option<(File, u64)>,
    syslog: Option<Syslog>,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Sets up the log, or changes where it goes and how much of it.
pub fn configure(sinks: Sinks, level: LevelFilter) {
    let logger = LOGGER.get_or_init(|| Logger(Mutex::new(State::new(Sinks::default()))));
    *logger.0.lock().unwrap_or_else(PoisonError::into_inner) = State::new(sinks);
    // A second call finds it set already.
    let _ = log::set_logger(logger);
    log::set_max_level(level);
}

/// One line as icwmp writes it.
fn line(zone: Zone, epoch: i64, level: Level, text: &str) -> String {
    let offset = zone.offset_at(epoch);
    let local = date::format_utc(epoch.saturating_add(i64::from(offset)));
    let word = match level {
        Level::Error => "[ERROR]",
        Level::Warn => "[WARNING]",
        Level::Info => "[INFO]",
        Level::Debug | Level::Trace => "[DEBUG]",
    };
    let part = |from: usize, to: usize| local.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}, {} {word:<9} {}",
        part(8, 10),
        part(5, 7),
        part(0, 4),
        part(11, 19),
        clean(level, text)
    )
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Error => Severity::Error,
        Level::Warn => Severity::Warning,
        Level::Info => Severity::Info,
        Level::Debug | Level::Trace => Severity::Debug,
    }
}

fn local_time(zone: Zone, epoch: i64) -> LocalTime {
    let local = date::format_utc(epoch.saturating_add(i64::from(zone.offset_at(epoch))));
    let part = |from: usize| local.get(from..from + 2).and_then(|part| part.parse().ok()).unwrap_or_default();
    LocalTime { month: part(5), day: part(8), hour: part(11), minute: part(14), second: part(17) }
}

/// The text on one line, but for dumps, which keep their line feeds.
fn clean(level: Level, text: &str) -> String {
    let dump = level >= Level::Debug;
    let most = if dump { MAX_DUMP } else { MAX_LINE };
    text.chars()
        .take(most)
        .map(|c| if c.is_control() && !(dump && matches!(c, '\n' | '\t')) { ' ' } else { c })
        .collect()
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // Our own crate only: libraries have their own idea of what is worth a line.
        if !self.enabled(record.metadata()) || !record.target().starts_with("rcwmp") {
            return;
        }
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = record.args().to_string();
        let (zone, now) = (state.sinks.zone, clock::epoch_seconds());
        let line = line(zone, now, record.level(), &text);
        if state.sinks.console {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
        state.write_file(&line);
        if let Some(syslog) = &mut state.syslog {
            // Whoever reads the log has other means to learn that its daemon is gone.
            let _ =
                syslog.send(severity(record.level()), local_time(zone, now), &clean(record.level(), &text));
        }
    }

    fn flush(&self) {}
}

impl State {
    fn new(sinks: Sinks) -> State {
        let syslog = sinks.syslog.then(|| Syslog::new(syslog::SOCKET, IDENT));
        State { sinks, file: None, syslog }
    }

    fn write_file(&mut self, line: &str) {
        let Some(path) = self.sinks.file.clone() else { return };
        if self.file.as_ref().is_some_and(|(_, size)| *size > self.sinks.max_size) {
            self.file = None;
            let mut old = path.clone().into_os_string();
            old.push(".1");
            let _ = fs::rename(&path, old);
        }
        if self.file.is_none() {
            let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
            self.file = opened.ok().map(|file| {
                let size = file.metadata().map_or(0, |meta| meta.len());
                (file, size)
            });
        }
        if let Some((file, size)) = &mut self.file
            && writeln!(file, "{line}").is_ok()
        {
            *size += line.len() as u64 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_icwmp_s() {
        let zone = Zone::parse("CET-1");
        // 2019-12-24T09:21:18Z.
        for (level, text, expected) in [
            (Level::Info, "Start session", "24-12-2019, 10:21:18 [INFO]    Start session"),
            (Level::Error, "a\nb\u{7}", "24-12-2019, 10:21:18 [ERROR]   a b "),
            (Level::Warn, "", "24-12-2019, 10:21:18 [WARNING] "),
            (Level::Debug, "<a>\n</a>", "24-12-2019, 10:21:18 [DEBUG]   <a>\n</a>"),
        ] {
            assert_eq!(line(zone, 1_577_179_278, level, text), expected);
        }
    }

    #[test]
    fn the_system_log_has_local_time() {
        let expected = LocalTime { month: 12, day: 24, hour: 10, minute: 21, second: 18 };
        assert_eq!(local_time(Zone::parse("CET-1"), 1_577_179_278), expected);
    }

    #[test]
    fn a_file_is_rotated_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let sinks = Sinks { file: Some(path.clone()), max_size: 100, ..Sinks::default() };
        let mut state = State::new(sinks);
        for n in 0..10 {
            state.write_file(&format!("{n} {}", "x".repeat(40)));
        }
        let now = fs::read_to_string(&path).unwrap();
        let old = fs::read_to_string(dir.path().join("log.1")).unwrap();
        assert!(now.ends_with(&format!("9 {}\n", "x".repeat(40))), "{now}");
        assert!(old.len() > 100 && old.len() < 200, "{old}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
