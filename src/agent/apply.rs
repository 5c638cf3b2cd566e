//! Services follow changed configuration: procd is told of each package, once, as OpenWrt's own tools do it.
//!
//! ```text
//!  packages ─► ubus call service event config.change {package} ─► procd runs the triggers of init scripts
//!                  ├─ not taken ─► again after 1, 2, 4 … 60 s, for four minutes
//!                  ├─ late ─► the call stays open; after a minute once more, in case it was lost
//!                  └─ no ubus here ─► /sbin/reload_config ─┬─► the same, for all at once
//!                                                          └─► not there either: the log says so
//! ```

use std::process::Child;
use std::time::{Duration, Instant};

use log::{debug, error, info, warn};

use super::programs::{self, Program};
use crate::backend::System;
use crate::backend::bus::LIMIT;
use crate::backend::functions::orders::Order;
use crate::map::Map;
use crate::set::Set;
use crate::sys::clock::epoch_seconds;
use crate::sys::fs::Root;
use crate::ubus::blobmsg::Table;
use crate::ubus::client::Late;

/// Last, because the connections of everything else may end with it.
const LAST: &str = "network";
/// For how long procd is told of one change, or asked whether it has taken it.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two tries at the most.
const LONGEST: Duration = Duration::from_secs(60);
/// After this time a late call may be lost: a program that is gone answers nothing.
const DOUBT: Duration = Duration::from_secs(60);
/// The time of each call at the least, when others have used up [`LIMIT`].
const SHORTEST: Duration = Duration::from_millis(100);

/// The packages that services are to be told of, until procd has taken each.
#[derive(Debug, Default)]
pub struct Services {
    waits: Map<String, Wait>,
    /// procd has taken one in this life.
    has_taken: bool,
    /// Late calls of earlier changes, whose ends say nothing any more.
    stale: Vec<Late>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Wait {
    /// Since when.
    since: Duration,
    tries: u32,
    /// The next try.
    at: Duration,
    /// When procd was called last.
    called: Duration,
    /// procd has it, as far as anybody knows, and has not answered.
    open: Option<Late>,
    /// So many calls were late.
    lates: u32,
}

impl Services {
    /// These have changed: they are due at once, and whatever waits for another try with them.
    pub fn add(&mut self, touched: Set<String>, now: Duration) {
        if touched.is_empty() {
            return;
        }
        let mut packages: Vec<&str> = touched.iter().map(String::as_str).collect();
        packages.sort_by_key(|package| *package == LAST);
        info!("Configuration changed: {}", packages.join(" "));
        for wait in self.waits.values_mut() {
            wait.at = wait.at.min(now);
        }
        touched.into_iter().for_each(|package| self.remind(package, now));
    }

    /// Whoever reads this package is to look at it again, as if it had changed.
    pub fn remind(&mut self, package: String, now: Duration) {
        let before = self.waits.insert(package, Wait { since: now, at: now, ..Wait::default() });
        self.stale.extend(before.and_then(|wait| wait.open));
    }

    /// When the next one is due.
    pub fn deadline(&self) -> Option<Duration> {
        self.waits.values().map(|wait| wait.at).min()
    }

    /// Tells procd of what is due, the network last, and waits for it 2 s in all, or a little longer; gives the program
    /// that does it where procd cannot be asked.
    ///
    /// A call without an answer is not made again while it may still be answered: procd, which does one thing after the
    /// other, has it in its queue.
    pub fn tell(&mut self, system: &mut System, root: &Root, now: Duration) -> Option<Child> {
        let due = self.due(now);
        if due.is_empty() {
            return None;
        }
        self.stale.drain(..).for_each(|open| system.bus().forget_call(open));
        let mut child = None;
        if system.bus().is_absent() {
            self.waits.clear();
            child = reload_all(root);
        } else {
            let start = Instant::now();
            let (mut lost, mut late) = (Vec::new(), Vec::new());
            for package in due {
                let limit = LIMIT.saturating_sub(start.elapsed()).max(SHORTEST);
                self.tell_one(system, &package, now, limit);
                match self.waits.get(&package) {
                    Some(wait) if now.saturating_sub(wait.since) >= PATIENCE => {
                        if wait.open.is_some() { &mut late } else { &mut lost }.push(package.clone());
                        self.end(system, &package);
                    }
                    _ => {}
                }
            }
            if !lost.is_empty() {
                child = if self.has_taken { None } else { Program::ReloadConfig.start(root, &[] as &[&str]) };
                let what = lost.join(" ");
                match child {
                    Some(_) => {
                        warn!("procd was not told of {what}: {} is", Program::ReloadConfig.path());
                        // It tells of everything.
                        let all: Vec<String> = self.waits.keys().cloned().collect();
                        all.iter().for_each(|package| self.end(system, package));
                    }
                    None => error!("procd was not told of {what}: its services have the old settings"),
                }
            }
            if !late.is_empty() {
                let what = late.join(" ");
                error!(
                    "procd was told of {what} and has not answered: its services may have the old settings"
                );
            }
        }
        system.told(self.waits.keys().cloned().collect());
        child
    }

    /// In the order of their names, the network last.
    fn due(&self, now: Duration) -> Vec<String> {
        let mut due: Vec<_> = self.waits.iter().filter(|(_, wait)| wait.at <= now).collect();
        due.sort_by_key(|(package, _)| *package == LAST);
        due.into_iter().map(|(package, _)| package.clone()).collect()
    }

    /// Tells of one, or looks whether what was told before has been answered.
    fn tell_one(&mut self, system: &mut System, package: &str, now: Duration, limit: Duration) {
        let Some(wait) = self.waits.get_mut(package) else { return };
        wait.tries += 1;
        wait.at = now + pause(wait.tries);
        let answer = match wait.open {
            // So that it is told of once, or twice where nobody knows.
            Some(open) => match system.bus().outcome(open) {
                None if wait.lates > 1 || now.saturating_sub(wait.called) < DOUBT => return,
                None => {
                    system.bus().forget_call(open);
                    None
                }
                Some(Ok(())) => Some(Ok(None)),
                Some(Err(why)) => {
                    debug!("procd has not taken {package}: {why}");
                    None
                }
            },
            None => None,
        };
        wait.open = None;
        let answer = answer.unwrap_or_else(|| {
            let data = Table::new().with("package", package);
            let event = Table::new().with("type", "config.change").with("data", data);
            wait.called = now;
            system.bus().call_or_wait("service", "event", &event, limit)
        });
        match answer {
            Ok(None) => {
                if wait.tries > 1 {
                    info!("procd was told of {package} after all");
                }
                self.waits.remove(package);
                self.has_taken = true;
            }
            Ok(open) => {
                (wait.open, wait.lates) = (open, wait.lates + 1);
                match wait.lates {
                    1 => warn!("procd was told of {package} and has not answered yet"),
                    _ => warn!("procd was told of {package} once more and has not answered yet"),
                }
            }
            Err(why) if wait.tries == 1 => {
                warn!("procd was not told of {package}, which is tried again: {why}");
            }
            Err(why) => debug!("procd was not told of {package} for the {}th time: {why}", wait.tries),
        }
    }

    /// Nothing more is done for it.
    fn end(&mut self, system: &mut System, package: &str) {
        if let Some(open) = self.waits.remove(package).and_then(|wait| wait.open) {
            system.bus().forget_call(open);
        }
    }
}

/// Tells once; gives the program that does it where procd cannot be asked, and the packages that procd has not taken,
/// which the agent tells of when it starts.
pub fn tell_once(system: &mut System, root: &Root) -> (Option<Child>, Vec<String>) {
    let mut services = Services::default();
    services.add(system.take_touched(), Duration::ZERO);
    let child = services.tell(system, root, Duration::ZERO);
    (child, services.waits.into_keys().collect())
}

fn reload_all(root: &Root) -> Option<Child> {
    let child = Program::ReloadConfig.start(root, &[] as &[&str]);
    if child.is_none() {
        warn!("nobody is there to reload services");
    }
    child
}

/// After so many failures: 1, 2, 4 … seconds.
fn pause(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(LONGEST)
}

/// Does what commands of the data model have ordered, after services were told; gives the programs that do it
/// where netifd cannot be asked.
pub fn fulfil(system: &mut System, root: &Root) -> Vec<Child> {
    let mut children = Vec::new();
    for order in system.take_orders() {
        let (name, methods): (_, &[&str]) = match &order {
            Order::Forget(zone) => {
                system.forget_seen(zone, epoch_seconds());
                continue;
            }
            Order::Mount => {
                info!("File systems: mount");
                children.extend(Program::Block.start(root, &["mount"]));
                continue;
            }
            Order::Unmount(target) => {
                info!("File systems: unmount {target}");
                children.extend(Program::Umount.start(root, &["--", target.as_str()]));
                continue;
            }
            Order::Script(name, verb) => {
                info!("Service {name}: {verb}");
                match programs::start_script(root, name, verb) {
                    Some(child) => children.push(child),
                    None => warn!("the start script of {name} is not there"),
                }
                continue;
            }
            Order::Restart(name) => (name, &["down", "up"]),
            Order::Renew(name) => (name, &["renew"]),
        };
        info!("Interface {name}: {}", methods.join(" "));
        let object = format!("network.interface.{name}");
        if methods.iter().all(|method| system.bus().tell(&object, method, &Table::new())) {
            continue;
        }
        // An interface that comes up asks for its lease, too.
        match Program::IfUp.start(root, &[name]) {
            Some(child) => children.push(child),
            None => warn!("nobody is there to restart the interface {name}"),
        }
    }
    children
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_comes_last() {
        let mut services = Services::default();
        services.add(["network", "dhcp", "wireless"].map(str::to_owned).into(), Duration::ZERO);
        assert_eq!(services.due(Duration::ZERO), ["dhcp", "wireless", "network"]);
        services.waits.get_mut("wireless").unwrap().at = LONGEST;
        assert_eq!(services.due(Duration::ZERO), ["dhcp", "network"]);
        assert_eq!(services.deadline(), Some(Duration::ZERO));
        // Another change makes everything due.
        services.add(["system"].map(str::to_owned).into(), Duration::ZERO);
        assert_eq!(services.due(Duration::ZERO), ["dhcp", "system", "wireless", "network"]);
    }

    /// Nobody calls in vain for ever; the program of the system is the last resort, unless procd has taken others.
    #[test]
    #[cfg(feature = "lab")]
    fn what_procd_never_takes_is_given_up() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let _broker = crate::lab::router::broker::Broker::start(&place("ubus.sock"), Vec::new()).unwrap();
        std::fs::create_dir(place("sbin")).unwrap();
        let script = format!("#!/bin/sh\necho reload >> '{}'\n", place("ran").display());
        std::fs::write(place("sbin/reload_config"), script).unwrap();
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place("sbin/reload_config"), executable).unwrap();
        let places = crate::backend::Places {
            root: Root::new(folder.path()),
            config_dir: "/etc/config".into(),
            delta_dir: "/tmp/.uci".into(),
            state_dir: place("state"),
            ubus_socket: Some(place("ubus.sock")),
        };
        let root = places.root.clone();
        let (mut system, _) = System::open(places).unwrap();
        for (has_taken, ran) in [(false, "reload\n"), (true, "reload\n")] {
            let mut services = Services { has_taken, ..Services::default() };
            services.add(["system".to_owned()].into(), Duration::ZERO);
            let (mut now, mut tries, mut children) = (Duration::ZERO, 0, Vec::new());
            while let Some(at) = services.deadline() {
                (now, tries) = (at, tries + 1);
                if tries == 10 {
                    // What changes now is told of by that program, too.
                    services.add(["dhcp".to_owned()].into(), now);
                }
                children.extend(services.tell(&mut system, &root, now));
            }
            assert_eq!((tries, now.as_secs()), if has_taken { (19, 486) } else { (10, 243) });
            assert_eq!(children.len(), usize::from(!has_taken));
            children.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
            assert_eq!(std::fs::read_to_string(place("ran")).unwrap(), ran);
        }
    }

    #[test]
    fn pauses_grow_and_end() {
        let all: Vec<u64> = (1..10).map(|tries| pause(tries).as_secs()).collect();
        assert_eq!(all, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(u32::MAX), LONGEST);
    }
}
