//! What other programs tell on ubus, asked once a session.
//!
//! ```text
//!  a function reads ─► ask(object, method, arguments) ─► remembered? ─► call, 2 s at most ─► remembered till forget()
//! ```
//! A router works without any of them: no ubusd, an absent object, a refusal, a slow answer are all "no
//! value". Whoever was silent is left alone for a minute, so that it holds up one session and not all.

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::set::Set;
use crate::ubus::blobmsg::Table;
use crate::ubus::client::{CallError, Client, Late};
use crate::ubus::json;
use crate::ubus::msg::Status;

/// How long one call may take.
pub const LIMIT: Duration = Duration::from_secs(2);
/// How long somebody who was silent is left alone.
const QUIET: Duration = Duration::from_secs(60);
/// How long ubusd may take to say what it knows by itself, once somebody behind it was silent.
const ALIVE: Duration = Duration::from_millis(500);
/// How long somebody who was there is missed: he may be starting again.
const MISSED: Duration = Duration::from_secs(120);
/// The most answers that are remembered; beyond them each is asked for again.
const MAX_ANSWERS: usize = 512;
/// The most complaints that wait for the log.
const MAX_COMPLAINTS: usize = 16;

/// Asks ubus, and remembers what it said.
#[derive(Debug, Default)]
pub struct Bus {
    socket: Option<PathBuf>,
    client: Option<Client>,
    answers: HashMap<String, Option<Rc<Table>>>,
    /// The names of all objects, once somebody wanted to know.
    objects: Option<Rc<Set<String>>>,
    /// Which program was silent, see [`program`], and until when it is left alone; the empty name is ubusd.
    silent: HashMap<String, Instant>,
    /// Who has answered, and when last.
    seen: HashMap<String, Instant>,
    /// A connection has stood once: there is a ubusd here, even when it cannot be reached.
    has_stood: bool,
    /// See [`Bus::is_unsure`].
    unsure: bool,
    /// Who was complained about, until it answers again.
    blamed: Set<String>,
    complaints: Vec<String>,
}

impl Bus {
    /// One that asks at this socket; without one nobody is asked.
    pub fn new(socket: Option<PathBuf>) -> Bus {
        Bus { socket, ..Bus::default() }
    }

    /// What `object` answers; `None` when it is absent, refuses, or is silent for [`LIMIT`]. The same
    /// question is asked once until [`Bus::forget`].
    pub fn ask(&mut self, object: &str, method: &str, arguments: &Table) -> Option<Rc<Table>> {
        let key = format!("{object} {method} {}", json::print_line(arguments));
        if let Some(known) = self.answers.get(&key) {
            return known.clone();
        }
        let called = self.with_client(object, |client| {
            let tables = client.call(object, method, arguments, LIMIT)?;
            Ok(tables.into_iter().next())
        });
        let answer = called.flatten().map(Rc::new);
        if self.answers.len() < MAX_ANSWERS {
            self.answers.insert(key, answer.clone());
        }
        answer
    }

    /// Calls a method for what it does; whether it was done. Nothing of it is remembered.
    pub fn tell(&mut self, object: &str, method: &str, arguments: &Table) -> bool {
        self.with_client(object, |client| client.call(object, method, arguments, LIMIT)).is_some()
    }

    /// Calls a method that may take its time; nothing of it is remembered, and nobody is complained about.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::NoObject`] too when there is nobody to ask at all. An answer without a message
    /// is an empty one.
    pub fn call(
        &mut self,
        object: &str,
        method: &str,
        arguments: &Table,
        limit: Duration,
    ) -> Result<Table, CallError> {
        let answers = self.connected(object, limit)?.call(object, method, arguments, limit)?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }

    /// As [`Bus::call`], for what the method does: see [`Client::call_or_wait`].
    ///
    /// # Errors
    /// As of [`Bus::call`].
    pub fn call_or_wait(
        &mut self,
        object: &str,
        method: &str,
        arguments: &Table,
        limit: Duration,
    ) -> Result<Option<Late>, CallError> {
        self.connected(object, limit)?.call_or_wait(object, method, arguments, limit)
    }

    /// How a late call has ended; `None` while it is open, see [`Client::outcome`].
    pub fn outcome(&mut self, late: Late) -> Option<Result<(), CallError>> {
        self.client.as_mut()?.outcome(late)
    }

    /// Nobody wants to know how a late call ends.
    pub fn forget_call(&mut self, late: Late) {
        if let Some(client) = &mut self.client {
            client.forget(late);
        }
    }

    fn connected(&mut self, object: &str, limit: Duration) -> Result<&mut Client, CallError> {
        let Some(socket) = &self.socket else { return Err(CallError::NoObject(object.to_owned())) };
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(socket, limit.min(LIMIT))?,
        };
        self.has_stood = true;
        Ok(self.client.insert(client))
    }

    /// Whether there is no ubusd here at all: none was reached in this life, and nothing lies where it would listen.
    pub fn is_absent(&self) -> bool {
        !self.has_stood && self.socket.as_ref().is_none_or(|path| !path.exists())
    }

    /// Somebody else has reached ubusd.
    pub fn has_been_seen(&mut self) {
        self.has_stood = true;
    }

    /// The names of all objects there are, asked for once until [`Bus::forget`].
    pub fn objects(&mut self) -> Rc<Set<String>> {
        if let Some(known) = &self.objects {
            return Rc::clone(known);
        }
        let found = self.with_client("", |client| client.list(None, LIMIT)).unwrap_or_default();
        let names: Set<String> = found.into_iter().map(|found| found.path.to_str().into_owned()).collect();
        let now = Instant::now();
        self.unsure |= self.seen.keys().any(|name| !names.contains(name) && self.is_missed(name, now));
        let names = Rc::new(names);
        self.objects = Some(Rc::clone(&names));
        names
    }

    /// Forgets the answers: a session begins.
    pub fn forget(&mut self) {
        self.answers = HashMap::new();
        self.objects = None;
        self.unsure = false;
        let now = Instant::now();
        self.silent.retain(|_, until| *until > now);
        self.seen.retain(|_, last| now.saturating_duration_since(*last) < MISSED);
    }

    /// Whether somebody who should answer has kept silent since [`Bus::forget`], or is not there and was a moment
    /// ago: what is read without him may have another value as soon as he speaks again.
    pub fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// What went wrong, for the log: one sentence for each object until it answers again.
    pub fn take_complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    fn with_client<T>(
        &mut self,
        object: &str,
        work: impl FnOnce(&mut Client) -> Result<T, CallError>,
    ) -> Option<T> {
        let socket = self.socket.as_ref()?;
        let now = Instant::now();
        if ["", program(object)].iter().any(|name| self.silent.get(*name).is_some_and(|until| *until > now)) {
            self.unsure |= self.has_stood;
            return None;
        }
        let client = match self.client.take() {
            Some(client) => Ok(client),
            None => Client::connect(socket, LIMIT),
        };
        let (who, why) = match client {
            Ok(client) => {
                self.has_stood = true;
                match work(self.client.insert(client)) {
                    Ok(done) => {
                        self.blamed.remove(object);
                        self.note(object, now);
                        return Some(done);
                    }
                    Err(why) => (object, why),
                }
            }
            Err(why) => ("", why),
        };
        self.failed(who, &why, now);
        if matches!(why, CallError::Timeout { .. }) && self.is_dead() {
            // Else each of its objects would be waited for.
            self.silent.insert(String::new(), now + QUIET);
        }
        None
    }

    /// Whether ubusd itself does not answer either.
    fn is_dead(&mut self) -> bool {
        let Some(client) = &mut self.client else { return false };
        matches!(client.list(Some("rcwmp"), ALIVE), Err(CallError::Timeout { .. }))
    }

    /// Somebody is there.
    fn note(&mut self, object: &str, now: Instant) {
        if let Some(last) = self.seen.get_mut(object) {
            *last = now;
        } else if self.seen.len() < MAX_ANSWERS && !object.is_empty() {
            self.seen.insert(object.to_owned(), now);
        }
    }

    fn is_missed(&self, object: &str, now: Instant) -> bool {
        self.seen.get(object).is_some_and(|last| now.saturating_duration_since(*last) < MISSED)
    }

    fn failed(&mut self, who: &str, why: &CallError, now: Instant) {
        match why {
            CallError::NoObject(_) => return self.unsure |= self.is_missed(who, now),
            // What is not there is no news.
            CallError::Refused { status: Status::NotFound, .. } => return,
            CallError::Link(_) => {
                // Not even a desk has it: known until the next session.
                self.silent.insert(String::new(), now + LIMIT);
                self.unsure |= self.has_stood;
                return;
            }
            CallError::Lost { .. } => self.unsure = true,
            CallError::Timeout { .. } => {
                self.unsure = true;
                self.silent.insert(program(who).to_owned(), now + QUIET);
            }
            _ => {}
        }
        if self.blamed.insert(who.to_owned()) && self.complaints.len() < MAX_COMPLAINTS {
            self.complaints.push(why.to_string());
        }
    }
}

/// Who is silent when an object is: hostapd has one for each access point, netifd one for each kind of thing, and
/// neither answers for any while it hangs.
fn program(object: &str) -> &str {
    match object.split('.').next() {
        Some("hostapd") => "hostapd",
        // rpcd's look-ups of names are called so too.
        Some("network") if object != "network.rrdns" => "netifd",
        _ => object,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// It takes connections and reads, and says no more than its greeting.
    #[test]
    fn a_ubusd_that_hangs_is_waited_for_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ubus.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let ubusd = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]).unwrap();
            let mut octets = Vec::new();
            stream.read_to_end(&mut octets).unwrap();
            octets
        });
        let mut bus = Bus::new(Some(path));
        for object in ["system", "network.interface", "network.device", "hostapd.wlan0", "iwinfo", "dhcp"] {
            assert!(bus.ask(object, "dump", &Table::new()).is_none());
        }
        bus.forget();
        assert!(bus.objects().is_empty() && bus.is_unsure(), "nor in the next session");
        drop(bus);
        let mut reader = crate::ubus::msg::Reader::new();
        reader.feed(&ubusd.join().unwrap());
        let asked = std::iter::from_fn(|| reader.raw().map(|raw| raw.unwrap()[1])).collect::<Vec<_>>();
        let lookup = crate::ubus::msg::Kind::Lookup as u8;
        assert_eq!(asked, [lookup, lookup], "for the first, and whether it is alive");
    }

    #[test]
    fn nobody_is_no_value() {
        let mut none = Bus::new(None);
        assert!(none.ask("system", "board", &Table::new()).is_none());
        let mut gone = Bus::new(Some("/nowhere/ubus.sock".into()));
        for _ in 0..2 {
            assert!(gone.ask("system", "board", &Table::new()).is_none());
            assert!(gone.objects().is_empty());
        }
        assert!(gone.take_complaints().is_empty());
    }
}
