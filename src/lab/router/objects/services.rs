//! procd's `service`: which services run, and which read their configuration again when a package changes.

use super::reply::{Answer, array, map, ok, table, wanted};
use super::state::State;
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::msg::Status;

/// Its methods.
pub const METHODS: &[&str] = &[
    "set name:s script:s instances:t triggers:a validate:a autostart:b data:t",
    "add name:s script:s instances:t triggers:a validate:a autostart:b data:t",
    "list name:s verbose:b",
    "delete name:s instance:s",
    "event type:s data:t",
    "validate package:s type:s service:s",
    "get_data name:s instance:s type:s",
    "state spawn:b name:s",
];
/// The most services that may be added, and the most octets of each.
const MAX_ADDED: usize = 32;
const MAX_SERVICE: usize = 16 << 10;

/// A service of the router.
#[derive(Debug)]
pub struct Service {
    /// Its name.
    pub name: &'static str,
    /// The packages whose change makes it read its configuration again.
    pub triggers: &'static [&'static str],
    /// The packages that the simulation keeps for it.
    pub reads: &'static [&'static str],
    /// Its instance: name, process number as in `/proc`, and command.
    instance: Option<(&'static str, i32, &'static [&'static str])>,
}

/// The services, in the order in which procd would reload them.
#[rustfmt::skip]
pub const SERVICES: &[Service] = &[
    Service { name: "log", triggers: &["system"], reads: &[], instance: None },
    Service { name: "system", triggers: &["system"], reads: &["system"], instance: None },
    Service { name: "dnsmasq", triggers: &["dhcp"], reads: &["dhcp"], instance: Some(("cfg01411c", 1733, &["/usr/sbin/dnsmasq", "-C", "/var/etc/dnsmasq.conf.cfg01411c", "-k"])) },
    Service { name: "dropbear", triggers: &["dropbear"], reads: &[], instance: Some(("main", 2044, &["/usr/sbin/dropbear", "-F", "-P", "/var/run/dropbear.main.pid"])) },
    Service { name: "wpad", triggers: &[], reads: &[], instance: Some(("hostapd", 1911, &["/usr/sbin/hostapd", "-s", "-g", "/var/run/hostapd/global"])) },
    Service { name: "firewall", triggers: &["firewall", "network"], reads: &[], instance: None },
    Service { name: "network", triggers: &["network", "wireless"], reads: &["network", "wireless"], instance: Some(("instance1", 1420, &["/sbin/netifd"])) },
    Service { name: "odhcpd", triggers: &["dhcp"], reads: &["dhcp"], instance: None },
    Service { name: "uhttpd", triggers: &["uhttpd"], reads: &[], instance: None },
    Service { name: "sysntpd", triggers: &["system"], reads: &[], instance: None },
    Service { name: "rcwmp", triggers: &["cwmp"], reads: &[], instance: None },
];

/// Answers for `service`.
///
/// # Errors
/// "Invalid argument" without what is needed, "Not found" for a service to be deleted that is not there.
pub fn service(state: &mut State, _object: &str, method: &str, arguments: &Table) -> Answer {
    match method {
        "event" => {
            let kind = wanted(arguments, "type")?;
            let data = arguments.get("data").and_then(Value::as_table).ok_or(Status::InvalidArgument)?;
            if kind == "config.change"
                && let Some(package) = data.text("package")
            {
                state.changed(&package);
            }
            Ok(None)
        }
        "list" => ok(list(state, arguments.text("name").as_deref())),
        "set" | "add" => {
            let name = wanted(arguments, "name")?;
            let known = state.added.contains_key(&name);
            let fits = arguments.encode().is_ok_and(|octets| octets.len() <= MAX_SERVICE);
            if !fits || (!known && state.added.len() >= MAX_ADDED) {
                return Err(Status::NoMemory);
            }
            state.added.insert(name, added(arguments));
            Ok(None)
        }
        "delete" => {
            let name = wanted(arguments, "name")?;
            state.added.remove(&name).map(|_| None).ok_or(Status::NotFound)
        }
        _ => Err(Status::NotSupported),
    }
}

fn list(state: &State, only: Option<&str>) -> Table {
    let own = SERVICES.iter().map(|service| {
        let instances = service
            .instance
            .map(|(name, pid, command)| (name.to_owned(), running(pid, array(command.iter().copied()))));
        (service.name.to_owned(), table! { "instances": map(instances) })
    });
    let all = own.chain(state.added.iter().map(|(name, service)| (name.clone(), service.clone())));
    map(all.filter(|(name, _)| only.is_none_or(|only| only == name)))
}

fn running(pid: i32, command: Value) -> Table {
    table! {
        "running": true,
        "pid": pid,
        "command": command,
        "term_timeout": 5,
        "respawn": table! { "threshold": 3600, "timeout": 5, "retry": 5 },
    }
}

/// A service of somebody else: nothing is started here, so that it has no process.
fn added(arguments: &Table) -> Table {
    let instances = arguments.get("instances").and_then(Value::as_table).cloned().unwrap_or_default();
    let instances = instances.iter().map(|(name, instance)| {
        let command = instance.as_table().and_then(|table| table.get("command")).cloned();
        let command = command.unwrap_or(Value::Array(Vec::new()));
        (name.to_string(), table! { "running": false, "command": command, "term_timeout": 5 })
    });
    table! { "instances": map(instances) }
}
