//! netifd's objects: `network`, `network.interface`, `network.interface.NAME` and `network.wireless`.

use super::interfaces::{self, Interface, RENEWED6, Route, TIMES6};
use super::reply::{Answer, array, map, number, ok, table, wanted};
use super::state::State;
use super::wireless;
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::msg::Status;

/// `network`.
pub const NETWORK: &[&str] = &[
    "restart",
    "reload",
    "add_host_route target:s v6:b interface:s exclude:b",
    "get_proto_handlers",
    "add_dynamic name:s",
    "netns_updown jail:s start:b",
];
/// `network.interface` and each `network.interface.NAME`.
pub const INTERFACE: &[&str] = &[
    "up",
    "down",
    "renew",
    "status",
    "prepare",
    "dump",
    "add_device name:s link-ext:b vlan:a",
    "remove_device name:s link-ext:b vlan:a",
    "notify_proto",
    "remove",
    "set_data",
];
/// `network.wireless`.
pub const WIRELESS: &[&str] = &["up", "down", "reconf", "status", "notify", "get_validate"];

/// Answers for `network`.
///
/// # Errors
/// What is not simulated is not supported.
pub fn network(state: &mut State, _object: &str, method: &str, _arguments: &Table) -> Answer {
    match method {
        "reload" | "restart" => {
            state.reload("network");
            Ok(None)
        }
        _ => Err(Status::NotSupported),
    }
}

/// Answers for `network.interface`, where the interface is an argument, and `network.interface.NAME`.
///
/// # Errors
/// "Invalid argument" without a name, "Not found" for an unknown one.
pub fn interface(state: &mut State, object: &str, method: &str, arguments: &Table) -> Answer {
    let list = interfaces::all(state);
    if method == "dump" {
        let dumped = list.iter().map(|one| status(state, one, &list, true));
        return ok(table! { "interface": array(dumped) });
    }
    let name = match object.strip_prefix("network.interface.") {
        Some(name) => name.to_owned(),
        None => wanted(arguments, "interface")?,
    };
    let one = list.iter().find(|one| one.name == name).ok_or(Status::NotFound)?;
    match method {
        "status" => return ok(status(state, one, &list, false)),
        "up" => drop(state.set_up(&name, true)),
        "down" => drop(state.set_up(&name, false)),
        "renew" if one.up => state.renew(&name),
        "renew" | "prepare" => {}
        _ => return Err(Status::NotSupported),
    }
    Ok(None)
}

/// Answers for `network.wireless`.
///
/// # Errors
/// "Not found" for an unknown radio; what is not simulated is not supported.
pub fn wireless(state: &mut State, _object: &str, method: &str, arguments: &Table) -> Answer {
    match method {
        "status" => {
            let radios = wireless::radios(state);
            let only = arguments.text("device");
            if let Some(only) = &only {
                radios.iter().find(|radio| *only == radio.name).ok_or(Status::NotFound)?;
            }
            let shown = radios.iter().filter(|radio| only.as_ref().is_none_or(|only| *only == radio.name));
            ok(map(shown.map(|radio| (radio.name.clone(), radio.status()))))
        }
        "up" | "down" | "reconf" => {
            state.reload("network");
            Ok(None)
        }
        _ => Err(Status::NotSupported),
    }
}

/// The status of an interface; in a dump its name comes first.
fn status(state: &State, one: &Interface, list: &[Interface], dump: bool) -> Table {
    let mut out = Table::new();
    if dump {
        out.push("interface", one.name.as_str());
    }
    out.push("up", one.up);
    out.push("pending", false);
    out.push("available", one.available);
    out.push("autostart", one.autostart);
    out.push("dynamic", false);
    if one.up {
        out.push("uptime", number(state.interface_uptime(&one.name)));
        out.push("l3_device", one.l3.clone().unwrap_or_default());
    }
    out.push("proto", one.proto.as_str());
    if let Some(device) = &one.device {
        out.push("device", device.as_str());
    }
    if one.up {
        addressed(state.elapsed(), one, list, &mut out);
    }
    out.push("data", one.data.clone());
    if !one.available {
        out.push("errors", array([table! { "subsystem": "interface", "code": "NO_DEVICE" }]));
    }
    out
}

/// What only an interface that is up has.
fn addressed(elapsed: i32, one: &Interface, list: &[Interface], out: &mut Table) {
    let changed = [
        ("addresses", !one.v4.is_empty() || !one.v6.is_empty()),
        ("routes", !one.routes.is_empty()),
        ("prefixes", one.prefix.is_some()),
        ("data", !one.data.is_empty()),
    ];
    out.push("updated", array(changed.into_iter().filter(|(_, is)| *is).map(|(word, _)| word)));
    out.push("metric", one.metric);
    out.push("dns_metric", 0);
    out.push("delegation", true);
    let four = one.v4.iter().map(|(address, length)| {
        let mut entry = table! { "address": address.to_string(), "mask": i32::from(*length) };
        if let Some(peer) = one.peer {
            entry.push("ptpaddress", peer.to_string());
        }
        entry
    });
    out.push("ipv4-address", array(four));
    let six = one
        .v6
        .iter()
        .map(|(address, length)| table! { "address": address.to_string(), "mask": i32::from(*length) });
    out.push("ipv6-address", array(six));
    // They run down until odhcp6c renews them.
    let ago = elapsed % RENEWED6;
    let (preferred, valid) = (TIMES6.0 - ago, TIMES6.1 - ago);
    out.push(
        "ipv6-prefix",
        array(one.prefix.map(|(prefix, length)| {
            table! {
                "address": prefix.to_string(),
                "mask": i32::from(length),
                "preferred": preferred,
                "valid": valid,
                "class": one.name.as_str(),
                "assigned": assigned(&one.name, list),
            }
        })),
    );
    let parts = one.assigned.iter().map(|part| {
        let mut entry = table! { "address": part.prefix.to_string(), "mask": i32::from(part.length) };
        if part.from.is_some() {
            entry.push("preferred", preferred);
            entry.push("valid", valid);
        }
        let local = table! { "address": part.local().to_string(), "mask": i32::from(part.length) };
        entry.push("local-address", local);
        entry
    });
    out.push("ipv6-prefix-assignment", array(parts));
    out.push("route", array(one.routes.iter().map(route)));
    out.push("dns-server", array(one.servers.iter().map(String::as_str)));
    out.push("dns-search", array(one.search.iter().map(String::as_str)));
    out.push("neighbors", Value::Array(Vec::new()));
    let nothing = || Value::Array(Vec::new());
    out.push(
        "inactive",
        table! {
            "ipv4-address": nothing(),
            "ipv6-address": nothing(),
            "route": nothing(),
            "dns-server": nothing(),
            "dns-search": nothing(),
            "neighbors": nothing(),
        },
    );
}

/// Who got parts of the prefix of this interface.
fn assigned(from: &str, list: &[Interface]) -> Table {
    let mut out = Table::new();
    for one in list {
        for part in one.assigned.iter().filter(|part| part.from.as_deref() == Some(from)) {
            let entry = table! { "address": part.prefix.to_string(), "mask": i32::from(part.length) };
            out.push(one.name.as_str(), entry);
        }
    }
    out
}

fn route(route: &Route) -> Table {
    let mut out = table! {
        "target": route.target.as_str(),
        "mask": i32::from(route.mask),
        "nexthop": route.gateway.as_str(),
    };
    if let Some(metric) = route.metric {
        out.push("metric", metric);
    }
    out.push("source", route.source.as_str());
    out
}
