//! Services follow changed configuration: procd is told of each package, once, as OpenWrt's own tools do it.
//!
//! ```text
//!  packages ─► ubus call service event config.change {package} ─► procd runs the triggers of init scripts
//!                  ├─ not taken ─► again after 1, 2, 4 … 60 s, ten times in all
//!                  └─ no ubus here ─► /sbin/reload_config ─┬─► the same, for all at once
//!                                                          └─► not there either: the log says so
//! ```

use std::process::Child;
use std::time::Duration;

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
use crate::ubus::client::CallError;

/// Last, because the connections of everything else may end with it.
const LAST: &str = "network";
/// How often procd is told of one change at the most: four minutes.
const MAX_TRIES: u32 = 10;
/// Between two tries at the most.
const LONGEST: Duration = Duration::from_secs(60);

/// The packages that services are to be told of, until procd has taken each.
#[derive(Debug, Default)]
pub struct Services {
    waits: Map<String, Wait>,
    /// procd has taken one in this life.
    has_taken: bool,
    /// How often nobody has answered in time, one after the other.
    silences: u32,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    tries: u32,
    at: Duration,
    /// Nobody has answered the last one in time.
    is_late: bool,
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
        for package in touched {
            self.waits.insert(package, Wait { tries: 0, at: now, is_late: false });
        }
    }

    /// When the next one is due.
    pub fn deadline(&self) -> Option<Duration> {
        self.waits.values().map(|wait| wait.at).min()
    }

    /// Tells procd of what is due, the network last, and waits for it 2 s at the most; gives the program that does it
    /// where procd cannot be asked.
    ///
    /// An answer that is lost or late may have been a yes: the package is told again all the same, since a service
    /// that reads its settings twice is better than one that never does.
    pub fn tell(&mut self, system: &mut System, root: &Root, now: Duration) -> Option<Child> {
        let due = self.due(now);
        if due.is_empty() {
            return None;
        }
        let mut child = None;
        if system.bus().is_absent() {
            self.waits.clear();
            child = reload_all(root);
        } else {
            let mut lost = Vec::new();
            for package in &due {
                if self.tell_one(system, package, now, &mut lost) {
                    // The loop has waited enough; those that were not asked are before this one next time.
                    let pause = now + pause(self.silences);
                    self.waits.values_mut().for_each(|wait| wait.at = wait.at.max(pause));
                    break;
                }
            }
            if !lost.is_empty() {
                child = if self.has_taken { None } else { Program::ReloadConfig.start(root, &[] as &[&str]) };
                let what = lost.join(" ");
                match child {
                    Some(_) => warn!("procd was not told of {what}: {} is", Program::ReloadConfig.path()),
                    None => error!("procd was not told of {what}: its services have the old settings"),
                }
            }
        }
        system.told(self.waits.keys().cloned().collect());
        child
    }

    /// In the order of their names, those that keep silent behind the others and the network last.
    fn due(&self, now: Duration) -> Vec<String> {
        let mut due: Vec<_> = self.waits.iter().filter(|(_, wait)| wait.at <= now).collect();
        due.sort_by_key(|(package, wait)| (wait.is_late, *package == LAST));
        due.into_iter().map(|(package, _)| package.clone()).collect()
    }

    /// Whether nobody has answered in time. What was tried for the last time goes to `lost`.
    fn tell_one(
        &mut self,
        system: &mut System,
        package: &str,
        now: Duration,
        lost: &mut Vec<String>,
    ) -> bool {
        let Some(wait) = self.waits.get_mut(package) else { return false };
        let data = Table::new().with("package", package);
        let event = Table::new().with("type", "config.change").with("data", data);
        let why = match system.bus().call("service", "event", &event, LIMIT) {
            Ok(_) => {
                if wait.tries > 0 {
                    info!("procd was told of {package} after all");
                }
                self.waits.remove(package);
                (self.has_taken, self.silences) = (true, 0);
                return false;
            }
            Err(why) => why,
        };
        let late = matches!(why, CallError::Timeout { .. });
        (wait.tries, wait.is_late) = (wait.tries + 1, late);
        wait.at = now + pause(wait.tries);
        match wait.tries {
            1 => warn!("procd was not told of {package}, which is tried again: {why}"),
            tries => debug!("procd was not told of {package} for the {tries}th time: {why}"),
        }
        if wait.tries >= MAX_TRIES {
            self.waits.remove(package);
            lost.push(package.to_owned());
        }
        self.silences = if late { self.silences.saturating_add(1) } else { 0 };
        late
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
        services.waits.get_mut("dhcp").unwrap().is_late = true;
        assert_eq!(services.due(Duration::ZERO), ["wireless", "network", "dhcp"]);
        services.waits.get_mut("wireless").unwrap().at = LONGEST;
        assert_eq!(services.due(Duration::ZERO), ["network", "dhcp"]);
        assert_eq!(services.deadline(), Some(Duration::ZERO));
        // Another change makes everything due.
        services.add(["system"].map(str::to_owned).into(), Duration::ZERO);
        assert_eq!(services.due(Duration::ZERO), ["system", "wireless", "network", "dhcp"]);
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
                children.extend(services.tell(&mut system, &root, now));
            }
            assert_eq!((tries, now.as_secs()), (MAX_TRIES, 243));
            assert_eq!(children.len(), usize::from(!has_taken));
            children.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
            assert_eq!(std::fs::read_to_string(place("ran")).unwrap(), ran);
        }
    }

    #[test]
    fn pauses_grow_and_end() {
        let all: Vec<u64> = (1..MAX_TRIES).map(|tries| pause(tries).as_secs()).collect();
        assert_eq!(all, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(u32::MAX), LONGEST);
    }
}
