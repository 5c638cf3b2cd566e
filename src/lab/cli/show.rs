//! What happens in the mini-ACS as lines on the terminal.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::mpsc::Sender;
use std::time::Instant;

use crate::lab::acs::describe;
use crate::lab::acs::news::{News, Watcher};
use crate::lab::acs::pretty::pretty;
use crate::lab::store::Status;

/// What the waiting main thread has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The router has informed.
    Informed,
    /// An instance has its final status.
    Settled(i64, Status, String),
    /// A session ended, well or not.
    SessionOver,
}

/// The terminal, or whatever stdout is.
pub struct Show {
    colours: bool,
    verbose: bool,
    /// Messages, whether verbose or not.
    trace: bool,
    start: Instant,
    signals: Option<Mutex<Sender<Signal>>>,
}

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Green.
    Good,
    /// Red.
    Bad,
    /// Grey.
    Quiet,
}

impl Show {
    /// Colours only on a terminal, and never with NO_COLOR set.
    pub fn new(verbose: bool, signals: Option<Sender<Signal>>) -> Show {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Show { colours, verbose, trace: verbose, start: Instant::now(), signals: signals.map(Mutex::new) }
    }

    /// The same with every SOAP message, if it has them not already.
    #[must_use]
    pub fn with_trace(self, trace: bool) -> Show {
        Show { trace: self.trace || trace, ..self }
    }

    /// Since it was made, in seconds.
    pub fn elapsed(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// A message with its direction and when it was; `status` is that of an answer.
    fn soap(&self, peer: &str, status: Option<u16>, body: &[u8]) {
        let time = self.elapsed();
        let what = match (status, body.is_empty()) {
            (None, false) => format!("CPE {peer} → ACS"),
            (None, true) => format!("CPE {peer} → ACS, an empty POST"),
            (Some(200), false) => format!("ACS → CPE {peer}"),
            (Some(status), false) => format!("ACS → CPE {peer}, status {status}"),
            (Some(status), true) => format!("ACS → CPE {peer}, status {status} and nothing"),
        };
        let text = if body.is_empty() { String::new() } else { format!("\n{}", pretty(body)) };
        self.line("soap", &format!("{time:.3} s: {what}{text}"), Tone::Quiet);
    }

    /// One line: who speaks, and what.
    pub fn line(&self, who: &str, text: &str, tone: Tone) {
        let text = plain(text);
        let (start, end) = match tone {
            _ if !self.colours => ("", ""),
            Tone::Plain => ("", ""),
            Tone::Good => ("\x1b[32m", "\x1b[0m"),
            Tone::Bad => ("\x1b[31m", "\x1b[0m"),
            Tone::Quiet => ("\x1b[2m", "\x1b[0m"),
        };
        // A reader that went away is no reason to stop.
        let _ = writeln!(std::io::stdout().lock(), "{who:<8} {start}{text}{end}");
    }

    /// A unified diff, removed and added lines in colours.
    pub fn diff(&self, diff: &str) {
        let mut out = std::io::stdout().lock();
        for line in diff.lines() {
            let line = plain(line);
            let (start, end) = match line.as_bytes() {
                _ if !self.colours => ("", ""),
                [b'+', ..] => ("\x1b[32m", "\x1b[0m"),
                [b'-', ..] => ("\x1b[31m", "\x1b[0m"),
                _ => ("", ""),
            };
            let _ = writeln!(out, "{start}{line}{end}");
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(sender) = &self.signals
            && let Ok(sender) = sender.lock()
        {
            let _ = sender.send(signal);
        }
    }
}

impl Watcher for Show {
    fn news(&self, news: &News<'_>) {
        match news {
            News::Soap { .. } if !self.trace => {}
            News::Soap { peer, status, body } => self.soap(peer, *status, body),
            News::Informed { inform, first } => {
                self.signal(Signal::Informed);
                let id = &inform.device_id;
                let new = if *first { " for the first time" } else { "" };
                let events = describe::events(&inform.events);
                let who = format!("{} ({} {})", id.serial_number, id.manufacturer, id.product_class);
                self.line("inform", &format!("{who} informs{new}: {events}"), Tone::Plain);
                if self.verbose {
                    for item in &inform.parameter_list {
                        let value = describe::value(&item.name, &item.value.text);
                        self.line("", &format!("{} = {value}", item.name), Tone::Quiet);
                    }
                }
            }
            News::Called { device, method } => {
                self.line("rpc", &format!("{device} calls {method}"), Tone::Plain);
            }
            News::Transferred { device, complete } => {
                let (how, tone) = match complete.fault_code {
                    0 => ("done".to_owned(), Tone::Good),
                    code => (format!("{code} {}", complete.fault_string), Tone::Bad),
                };
                self.line("transfer", &format!("{device} {:?}: {how}", complete.command_key), tone);
            }
            News::Answered { request, answer, .. } => match answer {
                Ok(answer) => self.line("rpc", &format!("{request} → {answer}"), Tone::Plain),
                Err(why) => self.line("rpc", &format!("{request} → refused: {why}"), Tone::Bad),
            },
            News::Printed { line, .. } => self.line("script", line, Tone::Plain),
            News::Script { name, line } => self.line("script", &format!("{name}: {line}"), Tone::Plain),
            News::ScriptEnded { name, reason } => {
                let (what, tone) =
                    if reason.is_empty() { ("has ended", Tone::Quiet) } else { ("has failed", Tone::Bad) };
                self.line("script", &format!("{name} {what}"), tone);
            }
            News::Service { instance, name, status, reason } => {
                let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                let tone = match status {
                    Status::Provisioned => Tone::Good,
                    Status::Failed => Tone::Bad,
                    Status::Pending | Status::Running => Tone::Plain,
                };
                let is = if *status == Status::Failed { "has" } else { "is" };
                self.line("service", &format!("{name} {is} {status}{because}"), tone);
                if matches!(status, Status::Provisioned | Status::Failed) {
                    self.signal(Signal::Settled(*instance, *status, (*reason).to_owned()));
                }
            }
            News::SessionOver { device, sent } => {
                let what = if *sent == 1 { "request" } else { "requests" };
                self.line("session", &format!("{device} had {sent} {what} and is done"), Tone::Quiet);
                self.signal(Signal::SessionOver);
            }
            News::SessionBroke { device } => {
                self.line("session", &format!("{device} broke it off"), Tone::Bad);
                self.signal(Signal::SessionOver);
            }
            News::ConnectionRequest { device, result } => {
                let (what, tone) = match result {
                    Ok(()) => (format!("{device} accepted a connection request"), Tone::Quiet),
                    Err(why) => (format!("{device} cannot be asked for a session: {why}"), Tone::Bad),
                };
                self.line("request", &what, tone);
            }
            News::UdpRequest { device } => {
                self.line(
                    "request",
                    &format!("{device} was sent a connection request over UDP"),
                    Tone::Quiet,
                );
            }
            News::Offline { device } => self.line("offline", &format!("{device} is offline"), Tone::Bad),
            News::File { peer, method, name, status } => {
                let tone = if *status < 400 { Tone::Plain } else { Tone::Bad };
                self.line("file", &format!("{peer} {method} {name}: {status}"), tone);
            }
            News::Refused { peer, why } => self.line("refused", &format!("{peer}: {why}"), Tone::Bad),
            News::Trouble { what } => self.line("trouble", what, Tone::Bad),
        }
    }
}

/// Text without what a terminal would obey: scripts and devices write it.
fn plain(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' => c.to_string(),
        '\n' => "\n         ".to_owned(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.trim_end_matches('\n').chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_talked_to() {
        assert_eq!(plain("a\tb\u{1b}[2J\u{9b}x\r"), "a\tb\\u{1b}[2J\\u{9b}x\\r");
        assert_eq!(plain("one\ntwo\n"), "one\n         two");
    }
}
