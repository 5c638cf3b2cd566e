//! AddObject and DeleteObject for every table of these roots: a new row has the standard's defaults, but for those
//! that `tests/profiles/defaults` gives a reason for (`path TAB reason`), and nothing of it is left when it goes.
#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a test that panics has failed")]

#[path = "support/router.rs"]
mod router;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rcwmp::model::compiled;
use rcwmp::model::error::ErrorKind;
use router::{DHCP, NETWORK, Router, WIRELESS, router_with};

const REASONS: &str = include_str!("profiles/defaults");
/// What is looked at.
const ROOTS: &[&str] = &[
    "Bridging",
    "BulkData",
    "Cellular",
    "DHCPv4",
    "DHCPv6",
    "DNS",
    "DSLite",
    "DynamicDNS",
    "Ethernet",
    "Firewall",
    "GRE",
    "IP",
    "IPv6rd",
    "MAP",
    "MQTT",
    "NAT",
    "NeighborDiscovery",
    "PPP",
    "PeriodicStatistics",
    "QoS",
    "RouterAdvertisement",
    "Routing",
    "SSH",
    "Users",
    "VXLAN",
    "WiFi",
    "XMPP",
];

const FIREWALL: &str = "
config defaults
	option forward 'REJECT'

config zone
	option name 'lan'
	list network 'lan'

config zone
	option name 'wan'
	list network 'wan'
	option masq '1'
";

fn router() -> Router {
    let network =
        format!("{NETWORK}\nconfig interface 'wan6'\n\toption proto 'dhcpv6'\n\toption device 'modem'\n");
    let dhcp = format!("{DHCP}\nconfig odhcpd 'odhcpd'\n\toption maindhcp '0'\n");
    let mut files = vec![
        ("etc/config/network", network.as_str()),
        ("etc/config/dhcp", &dhcp),
        ("etc/config/wireless", WIRELESS),
        ("etc/config/firewall", FIREWALL),
        ("etc/config/sqm", "config queue\n\toption interface 'wan'\n\toption enabled '0'\n"),
    ];
    files.extend([
        ("etc/init.d/sqm", "#!/bin/sh\n"),
        ("etc/config/ddns", "config ddns 'global'\n"),
        ("etc/config/dropbear", "config dropbear\n\toption Port '22'\n"),
        (
            "etc/config/mosquitto",
            "config owrt 'owrt'\n\toption use_uci '1'\n\nconfig mosquitto 'mosquitto'\n",
        ),
        ("etc/init.d/mosquitto", "#!/bin/sh\n"),
        ("etc/config/cwmp", "config cpe 'cpe'\n"),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/ash\n"),
        ("etc/shadow", "root::0:0:99999:7:::\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/shells", "/bin/ash\n"),
        ("etc/dropbear/authorized_keys", ""),
        ("sys/module/bonding/parameters/max_bonds", "0\n"),
    ]);
    let protos = ["map", "gre", "vxlan"].map(|proto| format!("lib/netifd/proto/{proto}.sh"));
    files.extend(protos.iter().map(|path| (path.as_str(), "#!/bin/sh\n")));
    router_with(&files)
}

/// The defaults of new rows: by path, as this program writes them.
fn defaults(text: &str) -> BTreeMap<String, String> {
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let column = |name: &str| columns.iter().position(|known| *known == name).unwrap();
    let (ty, default) = (column("type"), column("default"));
    let mut out = BTreeMap::new();
    for line in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        if let Some(value) = cells[default].strip_prefix("object:") {
            let value = match (cells[ty], value) {
                ("boolean", "true") => "1",
                ("boolean", "false") => "0",
                (ty, value) if ty.starts_with("list") => value.trim_matches(['[', ']']),
                (_, value) => value,
            };
            out.insert(cells[0].to_owned(), value.to_owned());
        }
    }
    out
}

/// The configuration without its empty lines.
fn configuration(router: &Router) -> BTreeMap<String, Vec<String>> {
    let dir = router.dir.path().join("etc/config");
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let lines = |name: &String| router.config(name).into_iter().filter(|line| !line.is_empty()).collect();
    names.map(|name| (name.clone(), lines(&name))).collect()
}

/// The table below the first row of each table above; rows that are missing are added.
fn table(router: &mut Router, path: &str) -> String {
    let mut parts = path.trim_end_matches("{i}.").split("{i}.");
    let mut name = parts.next().unwrap().to_owned();
    for part in parts {
        let first = router.model.names(&name, true).unwrap().into_iter().map(|(name, _)| name).next();
        let row = match first {
            Some(row) => row,
            None => router.add(&name),
        };
        name = format!("{row}{part}");
    }
    name
}

#[test]
fn new_rows_are_as_the_standard_has_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/standards/tr181.tsv");
    let Ok(text) = fs::read_to_string(path) else {
        println!("skipped: ../shared not present");
        return;
    };
    let defaults = defaults(&text);
    let reasons: BTreeMap<&str, &str> = REASONS.lines().map(|line| line.split_once('\t').unwrap()).collect();
    assert_eq!(reasons.len(), REASONS.lines().count(), "a path stands twice");
    let (mut other, mut needed, mut tables) = (Vec::new(), BTreeSet::new(), 0);
    for object in compiled::schema().objects() {
        let root = object.path.split('.').nth(1).unwrap_or_default();
        if !object.add || !ROOTS.contains(&root) {
            continue;
        }
        tables += 1;
        let mut router = router();
        let table = table(&mut router, object.path);
        let before = configuration(&router);
        let row = router.add(&table);
        for param in object.params.iter() {
            let path = format!("{}{}", object.path, param.name);
            let Some(expected) = defaults.get(&path) else { continue };
            let found = router.value(&format!("{row}{}", param.name));
            match (found == *expected, reasons.contains_key(path.as_str())) {
                (true, _) => {}
                (false, true) => drop(needed.insert(path)),
                (false, false) => other.push(format!("{path}: {found:?}, {expected:?} in TR-181")),
            }
        }
        if object.delete {
            router.delete(&row);
            assert_eq!(configuration(&router), before, "{}", object.path);
        }
    }
    assert!(tables > 30, "only {tables} tables");
    assert!(
        other.is_empty(),
        "other defaults, without a reason in tests/profiles/defaults:\n{}",
        other.join("\n")
    );
    let stale: Vec<_> = reasons.keys().filter(|path| !needed.contains(**path)).collect();
    assert!(stale.is_empty(), "reasons for nothing in tests/profiles/defaults: {stale:#?}");
}

/// A table of something that the router has not, or whose program is not installed, takes no rows: that is 9004, says
/// what is missing, and leaves nothing behind.
#[test]
fn what_is_not_there_takes_nothing() {
    let network = "config interface 'lan'\n\toption type 'bridge'\n\toption ifname 'eth0'\n\toption proto 'static'\n\
        \toption ipaddr '192.168.1.1'\n\toption netmask '255.255.255.0'\n";
    let bare = || router_with(&[("etc/config/network", network)]);
    let mut refused = BTreeSet::new();
    let names = bare().model.names("Device.", false).unwrap();
    let digit = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    for (table, _) in names.into_iter().filter(|(name, writable)| {
        *writable && name.ends_with('.') && !name.trim_end_matches('.').rsplit('.').next().is_some_and(digit)
    }) {
        let mut router = bare();
        let before = configuration(&router);
        if let Err(why) = router.model.add(&table, None) {
            assert!(matches!(why.kind(), ErrorKind::Exhausted(_)), "{table}: 9004, not {why}");
            assert_eq!(configuration(&router), before, "{table}");
            refused.insert(table);
        }
    }
    for table in [
        "ATM.Link.",
        "Bridging.Bridge.1.VLAN.",
        "DHCPv6.Server.Pool.",
        "DNS.Relay.Forwarding.",
        "RouterAdvertisement.InterfaceSetting.",
        "SSH.AuthorizedKey.",
        "WiFi.AccessPoint.",
        "WiFi.EndPoint.",
        "WiFi.SSID.",
    ] {
        assert!(refused.contains(&format!("Device.{table}")), "{table} {refused:?}");
    }
}
