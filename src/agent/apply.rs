//! Services follow changed configuration: procd is told of each package, once, as OpenWrt's own tools do it.
//!
//! ```text
//!  packages ─► ubus call service event config.change {package} ─► procd runs the triggers of init scripts
//!                  └─ no procd there ─► /sbin/reload_config ─┬─► the same, for all at once
//!                                                            └─ not there either: the log says so
//! ```

use std::process::Child;

use log::{info, warn};

use super::programs::{self, Program};
use crate::backend::System;
use crate::backend::functions::orders::Order;
use crate::set::Set;
use crate::sys::clock::epoch_seconds;
use crate::sys::fs::Root;
use crate::ubus::blobmsg::Table;

/// Last, because the connections of everything else may end with it.
const LAST: &str = "network";

/// Tells the services of these packages; gives the program that does it where procd cannot be asked.
pub fn tell_services(system: &mut System, root: &Root, touched: &Set<String>) -> Option<Child> {
    if touched.is_empty() {
        return None;
    }
    let packages = order(touched);
    info!("Configuration changed: {}", packages.join(" "));
    let child = tell(system, root, &packages);
    system.told();
    child
}

fn tell(system: &mut System, root: &Root, packages: &[&str]) -> Option<Child> {
    let mut told = 0;
    for package in packages {
        let data = Table::new().with("package", *package);
        let event = Table::new().with("type", "config.change").with("data", data);
        if system.bus().tell("service", "event", &event) {
            told += 1;
        } else if told == 0 {
            let child = Program::ReloadConfig.start(root, &[] as &[&str]);
            if child.is_none() {
                warn!("nobody is there to reload services");
            }
            return child;
        } else {
            // That program compares files with what it saw at its own last run, so it would tell the others again.
            warn!("procd was not told of {package}: its services have the old settings");
        }
    }
    None
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

/// In the order of their names, the network last.
fn order(touched: &Set<String>) -> Vec<&str> {
    let others = touched.iter().map(String::as_str).filter(|package| *package != LAST);
    others.chain(touched.get(LAST).map(String::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_comes_last() {
        let of = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Set<String>>();
        assert_eq!(order(&of(&["network", "dhcp", "wireless"])), ["dhcp", "wireless", "network"]);
        assert_eq!(order(&of(&["system", "dhcp"])), ["dhcp", "system"]);
    }
}
