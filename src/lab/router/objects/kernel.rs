//! What the kernel shows after a service has read its configuration again: devices come and go in `/sys`, addresses
//! and routes in `/proc`, and netifd writes the resolver's file.
//!
//! Only what differs is written: on a router as it was unpacked nothing changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;

use super::devices;
use super::interfaces::{self, Interface};
use super::state::{State, words};
use super::system::hostname;
use super::wireless;
use crate::lab::router::kernel::{IPV6, device, master_links};

/// The most network devices.
const MAX_DEVICES: usize = 64;
const IF_INET6: &str = "/proc/net/if_inet6";
const ROUTES: &str = "/proc/net/route";
const FIB: &str = "/proc/net/fib_trie";
/// Where a file is written before it takes its place.
const NEW: &str = "/tmp/.new";
const RESOLV: &str = "/tmp/resolv.conf.d/resolv.conf.auto";

/// Brings `/proc`, `/sys` and `/tmp` in line with what the services have read.
pub fn follow(state: &mut State) {
    put(state, "/proc/sys/kernel/hostname", &format!("{}\n", hostname(state)));
    let mut wanted = configured(state);
    appear(state, &wanted);
    for (radio, point) in
        wireless::radios(state).iter().flat_map(|radio| radio.points.iter().map(move |point| (radio, point)))
    {
        if let Some(name) = point.device.as_ref().filter(|_| radio.up) {
            wanted.insert(name.clone(), New { kind: "wlan", mac: point.bssid.clone() });
        }
    }
    for one in interfaces::all(state) {
        if let (Some(name), true) = (one.l3, one.proto.starts_with("ppp")) {
            wanted.insert(name, New { kind: "ppp", mac: "00:00:00:00:00:00".to_owned() });
        }
    }
    appear(state, &wanted);
    disappear(state, &wanted);
    settings(state);
    masters(state);
    let list = interfaces::all(state);
    put(state, FIB, &tries(&list));
    put(state, IF_INET6, &addresses6(state, &list));
    put(state, ROUTES, &routes(state, &list));
    put(state, RESOLV, &resolvers(&list));
}

/// A device that a service makes.
struct New {
    kind: &'static str,
    mac: String,
}

/// The bridges and VLANs of the configuration.
fn configured(state: &State) -> BTreeMap<String, New> {
    let mut out = BTreeMap::new();
    let mac =
        |of: Option<&String>| of.and_then(|name| devices::value(state, name, "address")).unwrap_or_default();
    for section in state.sections("network", "device") {
        let Some(name) = section.text("name") else { continue };
        let kind = match section.text("type").as_deref() {
            Some("bridge") => "bridge",
            Some("8021q" | "8021ad") => "vlan",
            _ => continue,
        };
        let lower = words(section, if kind == "bridge" { "ports" } else { "ifname" });
        out.insert(name, New { kind, mac: mac(lower.first()) });
    }
    for section in state.sections("network", "interface") {
        for name in words(section, "device") {
            if let Some((lower, id)) = name.rsplit_once('.')
                && id.parse::<u16>().is_ok_and(|id| id < 4095)
                && (exists(state, lower) || out.contains_key(lower))
            {
                let mac = mac(Some(&lower.to_owned()));
                out.entry(name).or_insert(New { kind: "vlan", mac });
            }
        }
    }
    out
}

fn exists(state: &State, name: &str) -> bool {
    is_name(name) && state.exists(&format!("/sys/class/net/{name}"))
}

/// Whether the kernel takes it as the name of a device.
fn is_name(name: &str) -> bool {
    (1..16).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'/' && octet != b':')
}

/// Makes the devices that are not there.
fn appear(state: &State, wanted: &BTreeMap<String, New>) {
    for (name, new) in wanted.iter().filter(|(name, _)| is_name(name) && !exists(state, name)) {
        let known = devices::names(state);
        if known.len() >= MAX_DEVICES {
            return;
        }
        let highest =
            known.iter().map(|name| devices::count(state, name, "ifindex")).max().unwrap_or_default();
        let index = u8::try_from(highest + 1).unwrap_or(u8::MAX);
        let (files, links) = device(name, new.kind, index, &new.mac);
        for (path, text) in files {
            put(state, &format!("/{path}"), &text);
        }
        for (path, target) in links {
            link(state, &format!("/{path}"), &target);
        }
    }
}

/// Removes the devices that services had made and that nobody wants any more.
fn disappear(state: &State, wanted: &BTreeMap<String, New>) {
    for name in devices::names(state) {
        let made = matches!(devices::kind(state, &name).as_deref(), Some("wlan" | "ppp" | "vlan" | "bridge"));
        if made && !wanted.contains_key(&name) && is_name(&name) {
            leave(state, &name);
            for path in [
                format!("/sys/class/net/{name}"),
                format!("/{IPV6}/conf/{name}"),
                format!("/{IPV6}/neigh/{name}"),
            ] {
                if let Ok(path) = state.root.join(path) {
                    let _ = fs::remove_dir_all(path);
                }
            }
        }
    }
}

/// MACs and MTUs of the configuration.
fn settings(state: &State) {
    for section in state.sections("network", "device") {
        let Some(name) = section.text("name").filter(|name| exists(state, name)) else { continue };
        if let Some(mac) = section.text("macaddr").filter(|mac| mac.len() == 17) {
            put(state, &format!("/sys/class/net/{name}/address"), &format!("{}\n", mac.to_lowercase()));
        }
        if let Some(mtu) = section.text("mtu").and_then(|mtu| mtu.parse::<u16>().ok()) {
            put(state, &format!("/sys/class/net/{name}/mtu"), &format!("{mtu}\n"));
        }
    }
}

/// Puts every port into the bridge that it belongs to, and out of others.
fn masters(state: &State) {
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
    let mut bridges = BTreeSet::new();
    for section in state
        .sections("network", "device")
        .filter(|section| section.text("type").as_deref() == Some("bridge"))
    {
        if let Some(bridge) = section.text("name").filter(|name| exists(state, name)) {
            wanted.extend(words(section, "ports").into_iter().map(|port| (port, bridge.clone())));
            bridges.insert(bridge);
        }
    }
    let list = interfaces::all(state);
    for point in wireless::radios(state).into_iter().flat_map(|radio| radio.points) {
        let network = point.networks.first().and_then(|name| list.iter().find(|one| one.name == *name));
        let lower = network
            .and_then(|one| one.device.as_deref())
            .map(|device| device.split('.').next().unwrap_or(device));
        if let (Some(port), Some(bridge)) = (point.device, lower.filter(|lower| bridges.contains(*lower))) {
            wanted.insert(port, bridge.to_owned());
        }
    }
    for port in devices::names(state) {
        let has = state.target(&format!("/sys/class/net/{port}/master"));
        let wants = wanted.get(&port);
        if has.as_ref() == wants {
            continue;
        }
        leave(state, &port);
        if let Some(bridge) = wants {
            let forwards = devices::value(state, &port, "carrier").is_some_and(|carrier| carrier == "1");
            let folder = format!("/sys/class/net/{port}/brport");
            let number = devices::ports(state, bridge).len() + 1;
            put(state, &format!("{folder}/state"), if forwards { "3\n" } else { "0\n" });
            put(state, &format!("{folder}/path_cost"), if forwards { "4\n" } else { "100\n" });
            put(state, &format!("{folder}/priority"), "32\n");
            put(state, &format!("{folder}/port_no"), &format!("{number:#x}\n"));
            for (path, target) in master_links(&port, bridge) {
                link(state, &format!("/{path}"), &target);
            }
            // As netifd does with whatever is a port.
            put(state, &format!("/{IPV6}/conf/{port}/disable_ipv6"), "1\n");
        }
    }
}

/// Takes a port out of its bridge.
fn leave(state: &State, port: &str) {
    let Some(bridge) = state.target(&format!("/sys/class/net/{port}/master")) else { return };
    for path in [format!("/sys/class/net/{port}/master"), format!("/sys/class/net/{bridge}/brif/{port}")] {
        if let Ok(path) = state.root.join(path) {
            let _ = fs::remove_file(path);
        }
    }
    if let Ok(path) = state.root.join(format!("/sys/class/net/{port}/brport")) {
        let _ = fs::remove_dir_all(path);
    }
    put(state, &format!("/{IPV6}/conf/{port}/disable_ipv6"), "0\n");
}

/// The networks of the interfaces: device, network, length, own address, metric.
fn networks(list: &[Interface]) -> Vec<(&str, u32, u8, Ipv4Addr, i32)> {
    let up = list.iter().filter_map(|one| Some((one, one.l3.as_deref()?)));
    let mut out: Vec<_> = up
        .flat_map(|(one, device)| {
            one.v4.iter().map(move |(address, length)| {
                (device, u32::from(*address) & mask(*length), *length, *address, one.metric)
            })
        })
        .collect();
    out.sort_by_key(|(_, network, length, address, _)| (*network, *length, *address));
    out
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or_default()
}

/// `/proc/net/fib_trie`.
fn tries(list: &[Interface]) -> String {
    let mut networks = networks(list);
    networks.dedup_by_key(|(_, network, length, address, _)| (*network, *length, *address));
    let default =
        list.iter().any(|one| one.routes.iter().any(|route| route.mask == 0 && route.target == "0.0.0.0"));
    let mut out = String::new();
    for table in ["Main", "Local"] {
        let _ = writeln!(out, "{table}:\n  +-- 0.0.0.0/0 3 0 5");
        if table == "Main" && default {
            out += "     |-- 0.0.0.0\n        /0 universe UNICAST\n";
        }
        for (_, network, length, address, _) in &networks {
            let (first, last) = (Ipv4Addr::from(*network), Ipv4Addr::from(*network | !mask(*length)));
            let own = format!("|-- {address}\n");
            if *length >= 31 {
                let _ = writeln!(out, "     {own}        /32 host LOCAL");
                continue;
            }
            // The loopback's whole network is the router's own.
            let kind = if address.is_loopback() { "host LOCAL" } else { "link UNICAST" };
            let _ = writeln!(
                out,
                "     +-- {first}/{length} 2 0 2\n        |-- {first}\n           /{length} {kind}\n        {own}           /32 host LOCAL\n        |-- {last}\n           /32 link BROADCAST"
            );
        }
    }
    out
}

/// `/proc/net/if_inet6`: what the kernel gave by itself stays as long as its device, the rest is the interfaces'.
fn addresses6(state: &State, list: &[Interface]) -> String {
    let mut wanted = Vec::new();
    for one in list {
        let Some(device) = one.l3.as_deref() else { continue };
        let index = devices::count(state, device, "ifindex");
        let own = one.v6.iter().map(|(address, length)| (*address, *length, "80"));
        // An address of a prefix that ends is not permanent.
        let parts = one
            .assigned
            .iter()
            .map(|part| (part.local(), part.length, if part.from.is_some() { "00" } else { "80" }));
        wanted.extend(own.chain(parts).map(|(address, length, flags)| {
            format!("{:032x} {index:02x} {length:02x} 00 {flags} {device:>8}", u128::from(address))
        }));
    }
    let text = state.read(IF_INET6).unwrap_or_default();
    let by_itself = |line: &str| {
        let device = line.split_whitespace().next_back().unwrap_or_default();
        (line.starts_with("fe80") || device == "lo") && exists(state, device)
    };
    merge(&text, &wanted, by_itself)
}

/// `/proc/net/route`.
fn routes(state: &State, list: &[Interface]) -> String {
    let hex = |address: u32| format!("{:08X}", address.swap_bytes());
    let line = |device: &str, target: u32, gateway: u32, metric: i32, length: u8| {
        let flags = if gateway == 0 { "0001" } else { "0003" };
        let (target, gateway, mask) = (hex(target), hex(gateway), hex(mask(length)));
        format!("{device}\t{target}\t{gateway}\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0")
    };
    let mut wanted = Vec::new();
    for (device, network, length, ..) in networks(list).into_iter().filter(|(device, ..)| *device != "lo") {
        let metric = list.iter().find(|one| one.l3.as_deref() == Some(device)).map_or(0, |one| one.metric);
        wanted.push(line(device, network, 0, metric, length));
    }
    for one in list {
        let Some(device) = one.l3.as_deref() else { continue };
        for route in &one.routes {
            if let (Ok(target), Ok(gateway)) =
                (route.target.parse::<Ipv4Addr>(), route.gateway.parse::<Ipv4Addr>())
            {
                let metric = route.metric.unwrap_or(one.metric);
                wanted.push(line(device, u32::from(target), u32::from(gateway), metric, route.mask));
            }
        }
    }
    let text = state.read(ROUTES).unwrap_or_default();
    merge(&text, &wanted, |line| line.starts_with("Iface"))
}

/// The lines that are wanted: those that are there already as they are and where they are, then the new ones.
fn merge(text: &str, wanted: &[String], also: impl Fn(&str) -> bool) -> String {
    let mut out = String::new();
    let mut there = BTreeSet::new();
    for line in text.lines() {
        let plain = line.trim_end();
        if also(line) || wanted.iter().any(|wanted| wanted == plain) && there.insert(plain) {
            out += line;
            out.push('\n');
        }
    }
    for line in wanted.iter().filter(|line| !there.contains(line.as_str())) {
        out += line;
        out.push('\n');
    }
    out
}

/// netifd's file for dnsmasq.
fn resolvers(list: &[Interface]) -> String {
    let mut out = String::new();
    for one in list.iter().filter(|one| !one.servers.is_empty() || !one.search.is_empty()) {
        let _ = writeln!(out, "# Interface {}", one.name);
        out.extend(one.servers.iter().map(|server| format!("nameserver {server}\n")));
        out.extend(one.search.iter().map(|domain| format!("search {domain}\n")));
    }
    out
}

/// Writes a file, unless it says that already. A folder that cannot be written shows what it did.
fn put(state: &State, path: &str, text: &str) {
    if state.read(path).as_deref() == Some(text) {
        return;
    }
    if let (Ok(path), Ok(new)) = (state.root.resolve(path), state.root.resolve(NEW)) {
        let _ = path.parent().map(fs::create_dir_all);
        // Whoever reads it meanwhile sees the old or the new.
        let _ = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
    }
}

/// Makes a symbolic link where none is.
fn link(state: &State, path: &str, target: &str) {
    if let Ok(path) = state.root.join(path) {
        let _ = path.parent().map(fs::create_dir_all);
        let _ = symlink(target, path);
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::lab::router::{Settings, unpack};

    fn router() -> (tempfile::TempDir, State) {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path(), &Settings { acs_url: String::new(), port: 7547 }).unwrap();
        let state = State::new(folder.path());
        (folder, state)
    }

    /// Every file with its text and every link with its target.
    fn all(folder: &Path) -> BTreeMap<PathBuf, String> {
        let mut out = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match fs::read_link(&path) {
                Ok(target) => drop(out.insert(path, target.to_str().unwrap().to_owned())),
                Err(_) if path.is_dir() => out.extend(all(&path)),
                Err(_) => drop(out.insert(path.clone(), fs::read_to_string(&path).unwrap())),
            }
        }
        out
    }

    fn edit(folder: &Path, file: &str, from: &str, to: &str) {
        let path = folder.join("etc/config").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    #[test]
    fn nothing_changes_on_a_router_as_unpacked() {
        let (folder, mut state) = router();
        let before = all(folder.path());
        for service in ["system", "network", "dnsmasq"] {
            state.reload(service);
        }
        let after = all(folder.path());
        for (path, text) in &before {
            assert_eq!(after.get(path), Some(text), "{}", path.display());
        }
        assert_eq!(before.len(), after.len());
    }

    #[test]
    fn addresses_and_routes_follow() {
        let (folder, mut state) = router();
        edit(folder.path(), "network", "192.168.1.1'", "10.9.8.7'");
        edit(folder.path(), "network", "option proto 'dhcp'", "option proto 'pppoe'");
        edit(folder.path(), "network", "option metric '10'", "option metric '10'\n\tlist dns '192.0.2.99'");
        edit(folder.path(), "network", "option ip6assign '64'", "option ip6addr '2001:db8:9::1/64'");
        state.reload("network");
        let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
        let fib = read("proc/net/fib_trie");
        assert!(
            fib.contains("|-- 10.9.8.7\n           /32 host LOCAL") && !fib.contains("192.168.1.1\n"),
            "{fib}"
        );
        let routes = read("proc/net/route");
        assert!(routes.contains("br-lan.1\t0008090A\t00000000\t0001\t0\t0\t0\t00FFFFFF"), "{routes}");
        assert!(routes.contains("\npppoe-wan\t00000000\t010200C0\t0003\t0\t0\t10\t00000000"), "{routes}");
        assert!(read("proc/net/if_inet6").contains("20010db8000900000000000000000001 0b 40 00 80 br-lan.20"));
        let resolv = read("tmp/resolv.conf.d/resolv.conf.auto");
        assert!(
            resolv.starts_with("# Interface wan\nnameserver 192.0.2.99\nnameserver 192.0.2.53\n"),
            "{resolv}"
        );
        assert!(read("sys/class/net/pppoe-wan/uevent").starts_with("DEVTYPE=ppp\n"));
        edit(folder.path(), "network", "option proto 'pppoe'", "option proto 'dhcp'");
        state.reload("network");
        assert!(!folder.path().join("sys/class/net/pppoe-wan").exists());
        assert!(!folder.path().join("proc/sys/net/ipv6/conf/pppoe-wan").exists());
    }

    #[test]
    fn links_lead_somewhere() {
        fn look(folder: &Path) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                assert!(path.exists(), "{} leads nowhere", path.display());
                if !path.is_symlink() && path.is_dir() {
                    look(&path);
                }
            }
        }
        let (folder, _) = router();
        look(&folder.path().join("sys"));
        for device in fs::read_dir(folder.path().join("sys/class/net")).unwrap() {
            let name = device.unwrap().file_name().into_string().unwrap();
            let off =
                fs::read_to_string(folder.path().join(format!("{IPV6}/conf/{name}/disable_ipv6"))).unwrap();
            let port = folder.path().join(format!("sys/class/net/{name}/master")).exists();
            assert_eq!(off.trim() == "1", port, "{name}");
        }
    }

    #[test]
    fn devices_come_and_go() {
        let (folder, mut state) = router();
        edit(folder.path(), "wireless", "option disabled '1'", "option disabled '0'");
        edit(folder.path(), "wireless", "option band '2g'", "option band '2g'\n\toption disabled '1'");
        edit(folder.path(), "network", "\tlist ports 'lan4'\n", "\n");
        edit(
            folder.path(),
            "network",
            "config interface 'lan'",
            "config device\n\toption name 'br-new'\n\toption type 'bridge'\n\tlist ports 'lan4'\n\nconfig interface 'lan'",
        );
        state.reload("network");
        let net = folder.path().join("sys/class/net");
        let target = |path: &str| fs::read_link(net.join(path)).ok();
        assert_eq!(target("phy1-ap1/phy80211"), Some("../../ieee80211/phy1".into()));
        assert_eq!(target("phy1-ap1/master"), Some("../br-lan".into()));
        assert!(!net.join("phy0-ap0").exists() && target("br-lan/brif/phy0-ap0").is_none());
        assert_eq!(target("lan4/master"), Some("../br-new".into()));
        let off = |name: &str| {
            fs::read_to_string(folder.path().join(format!("{IPV6}/conf/{name}/disable_ipv6"))).ok()
        };
        assert_eq!(off("phy1-ap1").as_deref(), Some("1\n"));
        assert_eq!(off("br-new").as_deref(), Some("0\n"));
        assert_eq!(off("phy0-ap0"), None);
        assert!(target("br-lan/brif/lan4").is_none() && target("br-new/brif/lan4").is_some());
        // And back, with the counters that it had.
        edit(folder.path(), "wireless", "\n\toption disabled '1'", "");
        state.reload("network");
        assert_eq!(fs::read_to_string(net.join("phy0-ap0/statistics/rx_bytes")).unwrap(), "33441122\n");
        assert_eq!(target("phy0-ap0/master"), Some("../br-lan".into()));
    }

    #[test]
    fn names_of_devices() {
        for (name, expected) in
            [("br-lan.1", true), ("..", false), ("a/b", false), ("", false), ("0123456789abcdef", false)]
        {
            assert_eq!(is_name(name), expected, "{name}");
        }
    }
}
