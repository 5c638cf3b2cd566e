//! Unique keys: two rows of a table that say the same are refused with the other row's name, where a daemon would not
//! start with them or the standard forbids it; and every table that can be added here has its key or a reason.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rcwmp::model::compiled;
use rcwmp::model::schema::Key;

#[path = "support/router.rs"]
mod router;

use router::{DHCP, NETWORK, Router, router_with};

/// Keys that no `unique` of the model holds, and who does instead.
const REASONS: &[(&str, &str, &str)] = &[
    (
        "Device.Bridging.Bridge.{i}.VLANPort.{i}.",
        "VLAN+Port",
        "the function refuses a port that the VLAN has",
    ),
    ("Device.DHCPv4.Client.{i}.", "Interface", "the function refuses an interface that has a client"),
    ("Device.DHCPv4.Client.{i}.ReqOption.{i}.", "Tag", "the function refuses a tag that another row has"),
    ("Device.DHCPv4.Client.{i}.SentOption.{i}.", "Tag", "the function refuses a tag that another row has"),
    ("Device.DHCPv4.Server.Pool.{i}.", "Order", "it is the place in the file"),
    ("Device.DHCPv4.Server.Pool.{i}.Option.{i}.", "Tag", "the function refuses a tag that another row has"),
    ("Device.DHCPv6.Client.{i}.", "Interface", "the function refuses an interface that has a client"),
    ("Device.DHCPv6.Client.{i}.SentOption.{i}.", "Tag", "the function refuses a tag that another row has"),
    ("Device.DHCPv6.Server.Pool.{i}.", "Order", "it is the place in the file"),
    ("Device.DHCPv6.Server.Pool.{i}.Option.{i}.", "Tag", "the function refuses a tag that another row has"),
    (
        "Device.DNS.Relay.Forwarding.{i}.",
        "DNSServer",
        "the function does: two ports of one address are two servers",
    ),
    (
        "Device.IP.Interface.{i}.IPv4Address.{i}.",
        "IPAddress+SubnetMask",
        "the function refuses what the interface has",
    ),
    ("Device.IP.Interface.{i}.IPv6Address.{i}.", "IPAddress", "the function refuses what the interface has"),
    ("Device.IP.Interface.{i}.IPv6Prefix.{i}.", "Prefix", "the function refuses what the interface has"),
    (
        "Device.MAP.Domain.{i}.",
        "WANInterface+IPv6Prefix",
        "the prefix is read-only: the WAN's, or the rule's",
    ),
    (
        "Device.MQTT.Broker.{i}.Bridge.{i}.Server.{i}.",
        "Address+Port",
        "the function refuses what another row has",
    ),
    (
        "Device.MQTT.Broker.{i}.Bridge.{i}.Subscription.{i}.",
        "Topic+Direction",
        "the function refuses what another row has",
    ),
    ("Device.WiFi.AccessPoint.{i}.", "SSIDReference", "the function refuses the SSID of another one"),
    ("Device.WiFi.EndPoint.{i}.", "SSIDReference", "an end point and its SSID are one section"),
    ("Device.WiFi.EndPoint.{i}.Profile.{i}.", "SSID+Location+Priority", "an end point has one profile"),
    ("Device.WiFi.SSID.{i}.", "BSSID", "it is read-only, and the driver's"),
];

fn router(dhcp: &str, network: &str) -> Router {
    let (dhcp, network) = (format!("{DHCP}{dhcp}"), format!("{NETWORK}{network}"));
    let sqm = "config queue\n\toption interface 'eth0'\n\toption enabled '1'\n";
    router_with(&[
        ("etc/config/network", &network),
        ("etc/config/dhcp", &dhcp),
        ("etc/config/sqm", sqm),
        ("etc/config/firewall", "config defaults\n"),
    ])
}

/// Two new rows of a table with the same values: the second is refused, and off it may stay.
fn check(router: &mut Router, table: &str, values: &[(&str, &str)]) {
    let (first, second) = (router.add(table), router.add(table));
    let fill = |row: &str| -> Vec<(String, String)> {
        values.iter().map(|(name, value)| (format!("{row}{name}"), (*value).to_owned())).collect()
    };
    let set = |router: &mut Router, row: &str, enable: &str| {
        let mut list = fill(row);
        list.push((format!("{row}Enable"), enable.to_owned()));
        let list: Vec<(&str, &str)> =
            list.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        router.try_set(&list)
    };
    assert_eq!(set(router, &first, "1"), Ok(()), "{table}");
    let why = set(router, &second, "1").expect_err(table);
    assert!(why.contains(&format!("{first} has the same")), "{why}");
    assert_eq!(set(router, &second, "0"), Ok(()), "{table}");
    let why = router.try_set(&[(&format!("{second}Enable"), "1")]).expect_err(table);
    assert!(why.contains(&format!("{first} has the same")), "{why}");
    // With itself no row is in conflict.
    assert_eq!(set(router, &first, "1"), Ok(()), "{table}");
}

#[test]
fn no_address_is_promised_twice() {
    let mut router = router("", "");
    let pool = router.find("Device.DHCPv4.Server.Pool.", "Enable", "1");
    let table = format!("{pool}StaticAddress.");
    check(&mut router, &table, &[("Yiaddr", "192.168.1.77")]);
    check(&mut router, &table, &[("Chaddr", "02:00:00:00:00:77")]);
    // The other way is to reserve it.
    let why = router.try_set(&[(&format!("{pool}ReservedAddresses"), "192.168.1.77")]).unwrap_err();
    assert!(why.contains("a StaticAddress has it"), "{why}");
    router.set(&[(&format!("{pool}ReservedAddresses"), "192.168.1.78")]);
    let new = router.add(&table);
    let why = router.try_set(&[(&format!("{new}Yiaddr"), "192.168.1.78")]).unwrap_err();
    assert!(why.contains("ReservedAddresses has it"), "{why}");
}

#[test]
fn rows_that_say_the_same_are_refused() {
    let mut router = router("", "");
    let lan = router.find("Device.IP.Interface.", "Name", "lan");
    let lan = lan.trim_end_matches('.');
    check(&mut router, "Device.DNS.Client.Server.", &[("DNSServer", "192.0.2.53")]);
    check(
        &mut router,
        "Device.Routing.Router.1.IPv4Forwarding.",
        &[("DestIPAddress", "198.51.100.0"), ("DestSubnetMask", "255.255.255.0"), ("Interface", lan)],
    );
    check(
        &mut router,
        "Device.Routing.Router.1.IPv6Forwarding.",
        &[("DestIPPrefix", "2001:db8:7::/48"), ("Interface", lan)],
    );
    check(&mut router, "Device.Firewall.Set.", &[("Name", "both")]);
    // No key of TR-181, but the kernel has one device for a tag of a link; the outer tag is another one.
    let vlans = "Device.Ethernet.VLANTermination.";
    let link = router.value(&format!("{vlans}1.LowerLayers"));
    check(&mut router, vlans, &[("LowerLayers", &link), ("VLANID", "77")]);
    let outer = router.add(vlans);
    router.set(&[
        (&format!("{outer}LowerLayers"), &link),
        (&format!("{outer}VLANID"), "77"),
        (&format!("{outer}TPID"), "34984"),
        (&format!("{outer}Enable"), "1"),
    ]);
}

#[test]
fn a_forwarder_stands_once_for_each_port() {
    let server = "\nconfig dnsmasq\n\tlist server '127.0.0.1#5053'\n\tlist server '127.0.0.1#5054'\n\tlist server '/a.example/192.0.2.9'\n";
    let dhcp = DHCP.replacen("config dnsmasq", &format!("{}\nconfig old", server.trim_end()), 1);
    let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/dhcp", &dhcp)]);
    let table = "Device.DNS.Relay.Forwarding.";
    router.check(&format!("{table}1.DNSServer"), "127.0.0.1");
    router.check(&format!("{table}2.DNSServer"), "127.0.0.1");
    router.set(&[(&format!("{table}2.Enable"), "1")]);
    // The same server for some names only is another thing.
    let (one, two) = (router.add(table), router.add(table));
    router.set(&[(&format!("{one}DNSServer"), "192.0.2.9"), (&format!("{one}Enable"), "1")]);
    let why = router.try_set(&[(&format!("{two}DNSServer"), "192.0.2.9"), (&format!("{two}Enable"), "1")]);
    assert!(why.as_ref().is_err_and(|why| why.contains("forwards the same to 192.0.2.9")), "{why:?}");
}

#[test]
fn every_key_is_held_or_has_a_reason() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/standards/tr181.tsv");
    let Ok(text) = fs::read_to_string(path) else {
        println!("skipped: ../shared not present");
        return;
    };
    let mut lines = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let column = lines.next().unwrap().iter().position(|cell| *cell == "uniqueKeys").unwrap();
    let keys: BTreeMap<&str, &str> =
        lines.filter_map(|cells| Some((*cells.first()?, *cells.get(column)?))).collect();
    let (mut unsaid, mut used) = (Vec::new(), Vec::new());
    for object in compiled::schema().objects().iter().filter(|object| object.add) {
        let wanted = keys.get(object.path).copied().unwrap_or_default().split(" ; ");
        for key in wanted.filter(|key| !key.is_empty() && !key.starts_with("nonfunctional:")) {
            let held = object.unique.iter().any(|own| Key::parse(own).parts.join("+") == key);
            let reason = REASONS.iter().find(|(path, of, _)| *path == object.path && *of == key);
            match (held, reason) {
                (true, None) => {}
                (false, Some(reason)) => used.push(reason),
                (true, Some(_)) => unsaid.push(format!("{} {key} is held, and needs no reason", object.path)),
                (false, None) => unsaid.push(format!("{} {key}", object.path)),
            }
        }
    }
    assert_eq!(unsaid, Vec::<String>::new());
    assert_eq!(used.len(), REASONS.len(), "reasons for nothing");
}
