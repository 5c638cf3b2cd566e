//! The state of the simulated router: what its services have read of UCI, what is up, and what was asked of it.
//!
//! Values live in the router's folder (`/etc/config`, `/proc`, `/sys`, `/tmp`). This is what lies between: a service
//! works with the configuration as of its last reload, so that a change shows only after it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::model::value::switch;
use crate::sys::clock::{Monotonic, epoch_seconds};
use crate::sys::fs::Root;
use crate::ubus::blobmsg::Table;
use crate::ubus::json;
use crate::uci::{Document, Section, Store};

use super::interfaces::{self, Interface};
use super::services::SERVICES;
use super::session::Sessions;

/// Where UCI files and their uncommitted changes are.
pub const CONFIG: &str = "/etc/config";
/// The changes of whoever works without a session.
pub const SAVED: &str = "/tmp/.uci";
/// The packages that a service of the router reads.
const READ: &[&str] = &["network", "wireless", "system", "dhcp"];
/// The most calls, reloads and log lines that are remembered, each.
const KEPT: usize = 4096;
/// The longest text of a call's arguments that is remembered.
const MAX_ARGUMENTS: usize = 4096;
/// The largest file of `/proc`, `/sys` and `/tmp` that is looked into.
const MAX_FILE: usize = 256 << 10;
/// How long after the kernel the services were up, in seconds.
const BOOT: u64 = 45;

/// A call that reached the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Of which object.
    pub object: String,
    /// Which method.
    pub method: String,
    /// With which arguments, as JSON on one line; at most 4096 octets of it.
    pub arguments: String,
    /// Who called: a user of this machine, or `rpcd` for what `uci commit` sets off.
    pub by: String,
}

/// A line of the system log.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number.
    pub id: u32,
    /// When, in milliseconds since 1970.
    pub time: i64,
    /// Facility times 8 and severity.
    pub priority: i32,
    /// What.
    pub text: String,
}

/// The router between two calls.
pub struct State {
    /// The router's folder.
    pub root: Root,
    /// Who may what.
    pub sessions: Sessions,
    /// Services that somebody added over ubus.
    pub added: BTreeMap<String, Table>,
    /// Events to be told.
    pub events: Vec<(String, Table)>,
    /// Goes up when objects may have come or gone.
    pub generation: u32,
    loaded: BTreeMap<&'static str, Document>,
    down: BTreeSet<String>,
    since: BTreeMap<String, Duration>,
    clock: Monotonic,
    calls: VecDeque<Call>,
    reloads: VecDeque<String>,
    log: VecDeque<Line>,
    lines: u32,
}

impl State {
    /// A router that has just booted with what its folder holds.
    pub fn new(folder: &Path) -> State {
        let mut state = State {
            root: Root::new(folder),
            sessions: Sessions::default(),
            added: BTreeMap::new(),
            events: Vec::new(),
            generation: 0,
            loaded: BTreeMap::new(),
            down: BTreeSet::new(),
            since: BTreeMap::new(),
            clock: Monotonic::start(),
            calls: VecDeque::new(),
            reloads: VecDeque::new(),
            log: VecDeque::new(),
            lines: 0,
        };
        for package in READ {
            state.load(package);
        }
        state.note(30, "procd: - init complete -");
        state
    }

    /// Remembers a call.
    pub fn called(&mut self, object: &str, method: &str, arguments: &Table, by: &str) {
        let mut arguments = json::print_line(arguments);
        let end = (0..=MAX_ARGUMENTS.min(arguments.len())).rev().find(|at| arguments.is_char_boundary(*at));
        arguments.truncate(end.unwrap_or_default());
        let call =
            Call { object: object.to_owned(), method: method.to_owned(), arguments, by: by.to_owned() };
        keep(&mut self.calls, call);
    }

    /// The calls so far, the oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }

    /// [`State::calls`], which are forgotten.
    pub fn take_calls(&mut self) -> Vec<Call> {
        self.calls.drain(..).collect()
    }

    /// The services that were reloaded, in order.
    pub fn reloads(&self) -> Vec<String> {
        self.reloads.iter().cloned().collect()
    }

    /// Forgets calls and reloads.
    pub fn forget(&mut self) {
        self.calls.clear();
        self.reloads.clear();
    }

    /// Writes a line into the system log.
    pub fn note(&mut self, priority: i32, text: &str) {
        self.lines = self.lines.wrapping_add(1);
        let time = epoch_seconds().saturating_mul(1000);
        keep(&mut self.log, Line { id: self.lines, time, priority, text: text.to_owned() });
    }

    /// The last lines of the system log.
    pub fn log(&self, count: usize) -> impl Iterator<Item = &Line> {
        self.log.iter().skip(self.log.len().saturating_sub(count))
    }

    /// What procd does when a package was committed: the services that depend on it read it again.
    pub fn changed(&mut self, package: &str) {
        let depend: Vec<_> = SERVICES.iter().filter(|service| service.triggers.contains(&package)).collect();
        for service in depend {
            self.reload(service.name);
        }
    }

    /// A service reads its configuration again.
    pub fn reload(&mut self, service: &str) {
        keep(&mut self.reloads, service.to_owned());
        self.note(30, &format!("{service}: configuration is read again"));
        let before = if service == "network" { interfaces::all(self) } else { Vec::new() };
        let reads = SERVICES.iter().find(|known| known.name == service).map_or(&[][..], |known| known.reads);
        for package in reads {
            self.load(package);
        }
        self.generation = self.generation.wrapping_add(1);
        super::kernel::follow(self);
        if service == "network" {
            self.restart(&before);
        }
    }

    /// Interfaces whose configuration has changed begin anew, and everybody is told.
    fn restart(&mut self, before: &[Interface]) {
        let after = interfaces::all(self);
        let find = |list: &[Interface], name: &str| list.iter().find(|one| one.name == name).cloned();
        for old in before.iter().filter(|old| old.up) {
            if find(&after, &old.name).as_ref() != Some(old) {
                self.told(&old.name, false);
            }
        }
        for new in after.iter().filter(|new| new.up) {
            if find(before, &new.name).as_ref() != Some(new) {
                self.since.insert(new.name.clone(), self.clock.now());
                self.told(&new.name, true);
            }
        }
    }

    fn load(&mut self, package: &'static str) {
        let mut store = Store::new(self.root.clone(), CONFIG, SAVED);
        match store.package(package) {
            Ok(document) => drop(self.loaded.insert(package, document.clone())),
            // As the real services do: what cannot be read leaves them as they are.
            Err(why) => self.note(27, &format!("{package}: {why}")),
        }
    }

    /// The sections of a package as its service has read it.
    pub fn sections<'a>(&'a self, package: &str, kind: &'a str) -> impl Iterator<Item = &'a Section> {
        self.loaded.get(package).into_iter().flat_map(move |document| document.of_type(kind))
    }

    /// Takes an interface down, or up again; tells whether that is new.
    pub fn set_up(&mut self, interface: &str, up: bool) -> bool {
        let new = match up {
            true => self.down.remove(interface),
            false => self.down.insert(interface.to_owned()),
        };
        if new && up {
            self.since.insert(interface.to_owned(), self.clock.now());
        }
        if new {
            self.told(interface, up);
            super::kernel::follow(self);
        }
        new
    }

    /// An interface begins anew: its uptime does.
    pub fn renew(&mut self, interface: &str) {
        self.since.insert(interface.to_owned(), self.clock.now());
        self.told(interface, true);
    }

    /// Whether an interface was taken down.
    pub fn is_down(&self, interface: &str) -> bool {
        self.down.contains(interface)
    }

    fn told(&mut self, interface: &str, up: bool) {
        let word = if up { "up" } else { "down" };
        self.note(29, &format!("netifd: Interface '{interface}' is now {word}"));
        let data = Table::new().with("action", format!("if{word}")).with("interface", interface);
        self.events.push(("network.interface".to_owned(), data));
    }

    /// How long an interface has been up, in seconds.
    pub fn interface_uptime(&self, interface: &str) -> u64 {
        match self.since.get(interface) {
            Some(since) => self.clock.now().saturating_sub(*since).as_secs(),
            None => self.uptime().saturating_sub(BOOT),
        }
    }

    /// How long the router has been watched, in seconds: what others count goes on meanwhile.
    pub fn elapsed(&self) -> i32 {
        i32::try_from(self.clock.now().as_secs()).unwrap_or(i32::MAX)
    }

    /// `/proc/uptime` in whole seconds.
    pub fn uptime(&self) -> u64 {
        let text = self.read("/proc/uptime").unwrap_or_default();
        text.split(['.', ' ']).next().and_then(|seconds| seconds.parse().ok()).unwrap_or_default()
    }

    /// The text of a small file; nothing if it cannot be read.
    pub fn read(&self, path: &str) -> Option<String> {
        let bytes = self.root.read(path, MAX_FILE).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The one value of a file in `/proc` or `/sys`.
    pub fn value(&self, path: &str) -> Option<String> {
        self.read(path).map(|text| text.trim().to_owned())
    }

    /// The names in a folder, in order.
    pub fn names(&self, path: &str) -> Vec<String> {
        let Ok(folder) = self.root.resolve(path) else { return Vec::new() };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names.truncate(KEPT);
        names
    }

    /// Whether there is something at a path.
    pub fn exists(&self, path: &str) -> bool {
        self.root.resolve(path).is_ok_and(|path| path.exists())
    }

    /// The last name of what a link leads to.
    pub fn target(&self, path: &str) -> Option<String> {
        let path = fs::read_link(self.root.join(path).ok()?).ok()?;
        path.file_name()?.to_str().map(str::to_owned)
    }
}

/// Whether an option of UCI says yes.
pub fn flag(section: &Section, option: &str, default: bool) -> bool {
    section.text(option).and_then(|text| switch(&text)).unwrap_or(default)
}

/// The words of an option, list or not.
pub fn words(section: &Section, option: &str) -> Vec<String> {
    let value = section.option(option);
    value.map(|value| value.words().into_iter().map(str::to_owned).collect()).unwrap_or_default()
}

fn keep<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() >= KEPT {
        list.pop_front();
    }
    list.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::router::{Settings, unpack};

    #[test]
    fn a_reload_restarts_what_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path(), &Settings { acs_url: String::new(), port: 7547 }).unwrap();
        let mut state = State::new(folder.path());
        let told = |state: &mut State| -> Vec<String> {
            let events = std::mem::take(&mut state.events);
            let text = |data: &Table, name: &str| data.text(name).unwrap().into_owned();
            events.iter().map(|(_, data)| text(data, "action") + " " + &text(data, "interface")).collect()
        };
        state.reload("network");
        assert_eq!(told(&mut state), Vec::<String>::new());
        let path = folder.path().join("etc/config/network");
        let text = fs::read_to_string(&path).unwrap();
        let text = text
            .replace("192.168.20.1'", "192.168.21.1'")
            .replace("'wan.30'\n\toption proto", "'eth9'\n\toption proto");
        fs::write(&path, text).unwrap();
        state.reload("network");
        assert_eq!(told(&mut state), ["ifdown guest", "ifdown iptv", "ifup guest"]);
        assert!(state.interface_uptime("guest") < 60 && state.interface_uptime("lan") > 60);
        assert!(state.set_up("lan", false) && !state.set_up("lan", false));
        assert_eq!(told(&mut state), ["ifdown lan"]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::new(folder.path());
        let long = Table::new().with("x", "é".repeat(MAX_ARGUMENTS));
        for _ in 0..KEPT + 3 {
            state.called("o", "m", &long, "root");
        }
        let calls = state.take_calls();
        assert_eq!(calls.len(), KEPT);
        assert!(calls.iter().all(|call| call.arguments.len() <= MAX_ARGUMENTS));
        assert!(state.calls().is_empty());
    }
}
