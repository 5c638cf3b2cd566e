//! `network.device`, and the network devices as the kernel shows them.

use super::reply::{Answer, array, counter, map, number, ok, table};
use super::state::{State, words};
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::msg::Status;

/// Its methods.
pub const METHODS: &[&str] = &[
    "status name:s",
    "set_alias alias:a device:s",
    "set_state name:s defer:b auth_status:b auth_vlans:a",
    "stp_init",
];
/// Link modes of a copper port and of the conduit.
const MODES: &[&str] = &["10baseT-H", "10baseT-F", "100baseT-H", "100baseT-F", "1000baseT-F"];
const CONDUIT: &[&str] = &["10000baseKR-F"];

/// Answers for `network.device`.
///
/// # Errors
/// "Invalid argument" for an unknown device; what is not simulated is not supported.
pub fn device(state: &mut State, _object: &str, method: &str, arguments: &Table) -> Answer {
    if method != "status" {
        return Err(Status::NotSupported);
    }
    match arguments.text("name") {
        Some(name) if names(state).iter().any(|known| *known == *name) => ok(status(state, &name)),
        Some(_) => Err(Status::InvalidArgument),
        None => ok(map(names(state).into_iter().map(|name| {
            let status = status(state, &name);
            (name, status)
        }))),
    }
}

/// The names of all network devices.
pub fn names(state: &State) -> Vec<String> {
    state.names("/sys/class/net")
}

/// One value of a device.
pub fn value(state: &State, device: &str, file: &str) -> Option<String> {
    state.value(&format!("/sys/class/net/{device}/{file}"))
}

/// A number of a device; 0 if it has none.
pub fn count(state: &State, device: &str, file: &str) -> u64 {
    value(state, device, file).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// `DEVTYPE` of its uevent.
pub fn kind(state: &State, device: &str) -> Option<String> {
    let uevent = value(state, device, "uevent")?;
    uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE=")).map(str::to_owned)
}

/// Whether the kernel has it up: carrier or not, its flags say so.
pub fn is_up(state: &State, device: &str) -> bool {
    let flags = value(state, device, "flags");
    flags
        .and_then(|flags| u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok())
        .is_some_and(|flags| flags & 1 == 1)
}

/// The ports of a bridge.
pub fn ports(state: &State, bridge: &str) -> Vec<String> {
    state.names(&format!("/sys/class/net/{bridge}/brif"))
}

/// A device as netifd shows it.
fn status(state: &State, name: &str) -> Table {
    let kind = kind(state, name);
    let carrier = value(state, name, "carrier").is_some_and(|carrier| carrier == "1");
    let wlan = kind.as_deref() == Some("wlan");
    let mut out = table! {
        "external": wlan,
        "present": true,
        "type": family(state, name, kind.as_deref()),
        "up": is_up(state, name),
        "carrier": carrier,
        "auth_status": carrier,
    };
    if kind.as_deref() == Some("bridge") {
        bridge(state, name, &mut out);
    }
    let copper = kind.as_deref() == Some("dsa");
    let conduit = kind.is_none() && name != "lo";
    if copper || conduit {
        link(carrier, if copper { MODES } else { CONDUIT }, &mut out);
    }
    let speed = value(state, name, "speed").filter(|_| carrier);
    if let Some(speed) = speed {
        let half = value(state, name, "duplex").is_some_and(|duplex| duplex == "half");
        out.push("speed", format!("{speed}{}", if half { 'H' } else { 'F' }));
    }
    if copper || conduit {
        out.push("autoneg", copper);
        let modes = if copper { &["pause", "asym-pause"][..] } else { &[][..] };
        out.push(
            "flow-control",
            table! {
                "autoneg": copper,
                "supported": array(modes.iter().copied()),
                "link-advertising": array(modes.iter().copied()),
                "link-partner-advertising": array(modes.iter().copied().filter(|_| carrier)),
                "negotiated": array(modes.iter().copied().take(1).filter(|_| carrier)),
            },
        );
        out.push("hw-tc-offload", conduit);
    }
    if name != "lo" {
        out.push("devtype", kind.unwrap_or_else(|| "ethernet".to_owned()));
    }
    settings(state, name, &mut out);
    out.push("statistics", statistics(state, name));
    out
}

/// netifd's word for the type.
fn family(state: &State, name: &str, kind: Option<&str>) -> String {
    let told =
        state.sections("network", "device").find(|device| device.text("name").as_deref() == Some(name));
    match (kind, told.and_then(|device| device.text("type"))) {
        (Some("bridge"), _) => "bridge".to_owned(),
        (_, Some(told)) if told.starts_with("8021") => told,
        (Some("vlan"), _) => "VLAN".to_owned(),
        _ => "Network device".to_owned(),
    }
}

fn bridge(state: &State, name: &str, out: &mut Table) {
    let number = |file: &str| number(count(state, name, &format!("bridge/{file}")));
    let seconds = |file: &str| super::reply::number(count(state, name, &format!("bridge/{file}")) / 100);
    let flag = |file: &str| Value::from(count(state, name, &format!("bridge/{file}")) != 0);
    out.push("bridge-members", array(ports(state, name)));
    out.push(
        "bridge-attributes",
        table! {
            "stp": flag("stp_state"),
            "forward_delay": seconds("forward_delay"),
            "priority": number("priority"),
            "ageing_time": seconds("ageing_time"),
            "hello_time": seconds("hello_time"),
            "max_age": seconds("max_age"),
            "igmp_snooping": flag("multicast_snooping"),
            "vlan_filtering": flag("vlan_filtering"),
        },
    );
    let vlans =
        state.sections("network", "bridge-vlan").filter(|vlan| vlan.text("device").as_deref() == Some(name));
    let vlans = vlans.filter_map(|vlan| {
        let id: i32 = vlan.text("vlan")?.parse().ok()?;
        let ports = words(vlan, "ports").into_iter().map(|port| match port.split_once(':') {
            // An untagged port is shown by its name, and with a star where frames without a tag belong here.
            Some((port, flags)) if flags.contains('t') => format!("{port}:t"),
            Some((port, flags)) if flags.contains('*') => format!("{port}:*"),
            Some((port, _)) => port.to_owned(),
            None => port,
        });
        Some(table! { "id": id, "local": true, "ports": array(ports) })
    });
    out.push("bridge-vlans", array(vlans));
}

/// What both ends of a wire can.
fn link(carrier: bool, modes: &[&str], out: &mut Table) {
    out.push("link-advertising", array(modes.iter().copied()));
    out.push("link-partner-advertising", array(modes.iter().copied().filter(|_| carrier)));
    out.push("link-supported", array(modes.iter().copied()));
}

/// What netifd would set, at its defaults.
fn settings(state: &State, name: &str, out: &mut Table) {
    let mtu = number(count(state, name, "mtu"));
    out.push("mtu", mtu.clone());
    out.push("mtu6", mtu);
    out.push("macaddr", value(state, name, "address").unwrap_or_default());
    out.push("txqueuelen", number(count(state, name, "tx_queue_len")));
    // A port of a bridge has no addresses of its own.
    out.push("ipv6", state.target(&format!("/sys/class/net/{name}/master")).is_none());
    for (name, value) in [
        ("ip6segmentrouting", Value::from(false)),
        ("promisc", false.into()),
        ("rpfilter", 0.into()),
        ("acceptlocal", false.into()),
        ("igmpversion", 0.into()),
        ("mldversion", 0.into()),
        ("neigh4reachabletime", 30_000.into()),
        ("neigh6reachabletime", 30_000.into()),
        ("neigh4gcstaletime", 60.into()),
        ("neigh6gcstaletime", 60.into()),
        ("neigh4locktime", 100.into()),
        ("dadtransmits", 1.into()),
        ("multicast", true.into()),
        ("sendredirects", true.into()),
        ("drop_v4_unicast_in_l2_multicast", false.into()),
        ("drop_v6_unicast_in_l2_multicast", false.into()),
        ("drop_gratuitous_arp", false.into()),
        ("drop_unsolicited_na", false.into()),
        ("arp_accept", false.into()),
        ("gro", true.into()),
    ] {
        out.push(name, value);
    }
}

/// The kernel's counters.
fn statistics(state: &State, name: &str) -> Table {
    let names = state.names(&format!("/sys/class/net/{name}/statistics"));
    let known = names.into_iter().filter(|counter| counter != "rx_nohandler");
    known
        .map(|file| (file.as_str().into(), counter(count(state, name, &format!("statistics/{file}")))))
        .collect()
}
