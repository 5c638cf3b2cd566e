//! Strong references follow what happens to their rows (TR-069 3.6.3): emptied when the row is deleted,
//! taken out of lists, and not alive again when another row gets the old one's name.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/router.rs"]
mod support;

use support::router;

#[test]
fn a_deleted_interface_leaves_no_reference_behind() {
    let mut router = router();
    let interface = router.add("Device.IP.Interface.");
    let path = interface.trim_end_matches('.').to_owned();
    let section = router.value(&format!("{interface}Name"));
    let route = router.add("Device.Routing.Router.1.IPv4Forwarding.");
    router.set(&[
        (&format!("{route}DestIPAddress"), "10.20.30.0"),
        (&format!("{route}DestSubnetMask"), "255.255.255.0"),
        (&format!("{route}Interface"), &path),
    ]);
    router.has("network", &[&format!("option interface '{section}'")]);
    router.delete(&interface);
    router.check(&format!("{route}Interface"), "");
    let left = router.config("network").into_iter().filter(|line| line.contains(&format!("'{section}'")));
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
    // Whoever gets the name of the deleted one is somebody else.
    let again = router.add("Device.IP.Interface.");
    assert_ne!(again, interface);
    router.check(&format!("{again}Name"), &section);
    router.check(&format!("{route}Interface"), "");
}

#[test]
fn a_list_loses_one_item_and_keeps_the_others() {
    let mut router = router();
    let interface = router.find("Device.IP.Interface.", "Name", "lan");
    let link = router.value(&format!("{interface}LowerLayers"));
    assert!(!link.is_empty());
    let vlan = router.add("Device.Ethernet.VLANTermination.");
    let lower = router.value("Device.Ethernet.VLANTermination.1.LowerLayers");
    router.set(&[(&format!("{vlan}LowerLayers"), &lower), (&format!("{vlan}VLANID"), "77")]);
    let path = vlan.trim_end_matches('.').to_owned();
    let other = router.add("Device.IP.Interface.");
    router.set(&[(&format!("{other}LowerLayers"), &path)]);
    router.delete(&vlan);
    router.check(&format!("{other}LowerLayers"), "");
    router.check(&format!("{interface}LowerLayers"), &link);
}

/// An interface loses the device that goes, and not the wireless networks that lie on it.
#[test]
fn networks_outlive_what_their_interface_stood_on() {
    let network = format!(
        "{}\nconfig interface 'guest'\n\toption proto 'static'\n\toption device 'vl9'\n\nconfig device\n\toption name 'vl9'\n\
         \toption type '8021q'\n\toption ifname 'wan'\n\toption vid '9'\n",
        support::NETWORK
    );
    let of = |name: &str, networks: &str| {
        format!(
            "\nconfig wifi-iface '{name}'\n\toption device 'radio0'\n\toption mode 'ap'\n\toption ssid '{name}'\n\toption network '{networks}'\n"
        )
    };
    let wireless = format!("{}{}{}", support::WIRELESS, of("one", "iptv guest lan"), of("two", "guest"));
    let mut router =
        support::router_with(&[("etc/config/network", &network), ("etc/config/wireless", &wireless)]);
    let networks = |router: &support::Router| -> Vec<String> {
        router.config("wireless").into_iter().filter(|line| line.contains(" network ")).collect()
    };
    let before = networks(&router);
    let vlan = router.find("Device.Ethernet.VLANTermination.", "Name", "vl9");
    let interface = router.find("Device.IP.Interface.", "Name", "guest");
    router.check(&format!("{interface}LowerLayers"), vlan.trim_end_matches('.'));
    router.delete(&vlan);
    assert_eq!(networks(&router), before);
    assert!(router.config("network").iter().all(|line| !line.contains("vl9")));
    // It stands on them now, on one still when the other goes, and on nothing in the end.
    let (one, two) =
        (router.find("Device.WiFi.SSID.", "SSID", "one"), router.find("Device.WiFi.SSID.", "SSID", "two"));
    let both = format!("{},{}", one.trim_end_matches('.'), two.trim_end_matches('.'));
    router.check(&format!("{interface}LowerLayers"), &both);
    router.delete(&two);
    router.check(&format!("{interface}LowerLayers"), one.trim_end_matches('.'));
    assert_eq!(networks(&router), &before[..2]);
    router.delete(&one);
    router.check(&format!("{interface}LowerLayers"), "");
    let complaints = router.model.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn what_refers_to_a_row_below_goes_with_it() {
    let mut router = router();
    let bridge = router.add("Device.Bridging.Bridge.");
    let vlan = router.add(&format!("{bridge}VLAN."));
    let port = router.add(&format!("{bridge}VLANPort."));
    router.set(&[(&format!("{vlan}VLANID"), "9")]);
    router.set(&[(&format!("{port}VLAN"), vlan.trim_end_matches('.'))]);
    router.delete(&vlan);
    let left = router.try_value(&format!("{port}VLAN")).unwrap_or_default();
    assert_eq!(left, "");
    router.delete(&bridge);
    assert_eq!(router.try_value(&format!("{bridge}Name")), None);
}

#[test]
fn a_new_interface_is_in_no_zone_of_an_old_one() {
    const FIREWALL: &str = "
config zone
\toption name 'lan'
\tlist network 'lan'
\tlist network 'ip1'

config zone
\toption name 'lonely'
\toption network 'ip1'
";
    let network = format!(
        "{}\nconfig interface 'above'\n\toption proto 'static'\n\toption device '@ip1'\n",
        support::NETWORK
    );
    let mut router = support::router_with(&[
        ("etc/config/network", &network),
        ("etc/config/firewall", FIREWALL),
        (
            "etc/config/wireless",
            &support::WIRELESS.replace("option network 'lan'", "option network 'lan ip1'"),
        ),
    ]);
    let interface = router.add("Device.IP.Interface.");
    router.check(&format!("{interface}Name"), "ip1");
    router.delete(&interface);
    for file in ["network", "firewall", "wireless"] {
        let left = router.config(file).into_iter().filter(|line| line.contains("ip1"));
        assert_eq!(left.collect::<Vec<_>>(), [""; 0], "{file}");
    }
    router.has("firewall", &["list network 'lan'"]);
    router.has("wireless", &["option network 'lan'"]);
}

#[test]
fn clients_outlive_their_interface() {
    let mut router = router();
    for table in ["Device.DHCPv4.Client.", "Device.DHCPv6.Client."] {
        let interface = router.add("Device.IP.Interface.");
        let client = router.add(table);
        let path = interface.trim_end_matches('.').to_owned();
        router.set(&[(&format!("{client}Interface"), &path), (&format!("{client}Enable"), "1")]);
        router.delete(&interface);
        router.check(&format!("{client}Interface"), "");
        router.check(&format!("{client}Status"), "Disabled");
        // The same name again is another interface, and has no client.
        let again = router.add("Device.IP.Interface.");
        router.check(&format!("{again}Name"), "ip1");
        router.check(&format!("{client}Interface"), "");
        let path = again.trim_end_matches('.').to_owned();
        router.set(&[(&format!("{client}Interface"), &path)]);
        router.delete(&client);
        router.delete(&again);
    }
    assert!(router.config("network").iter().all(|line| !line.contains("ip1") && !line.contains("client")));
}

/// A PPP link and the IP interface on it are one section: whichever goes, what refers to the other one is let go too.
#[test]
fn the_other_side_of_a_section_goes_too() {
    let mut router = router();
    for other in ["", "Device.IP.Interface."] {
        let link = router.add("Device.PPP.Interface.");
        let interface = router.find("Device.IP.Interface.", "Name", "ppp1");
        let route = router.add("Device.Routing.Router.1.IPv4Forwarding.");
        router.set(&[
            (&format!("{route}DestIPAddress"), "10.20.30.0"),
            (&format!("{route}DestSubnetMask"), "255.255.255.0"),
            (&format!("{route}Interface"), interface.trim_end_matches('.')),
        ]);
        router.has("network", &["option interface 'ppp1'"]);
        router.delete(if other.is_empty() { &link } else { &interface });
        router.check(&format!("{route}Interface"), "");
        let left = router.config("network").into_iter().filter(|line| line.contains("'ppp1'"));
        assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
        // The next one of the name is another one.
        let again = router.add("Device.PPP.Interface.");
        router.find("Device.IP.Interface.", "Name", "ppp1");
        router.check(&format!("{route}Interface"), "");
        router.delete(&again);
        router.delete(&route);
    }
}

/// Whoever deletes the interface of a tunnel deletes the keys of all who may come in by it.
#[test]
fn peers_go_with_their_interface() {
    for table in ["Device.IP.Interface.", "Device.X_RCWMP_WireGuard.Interface."] {
        let network = format!(
            "{}\nconfig interface 'wg0'\n\toption proto 'wireguard'\n\nconfig wireguard_wg0\n\toption public_key 'a'\n\n\
            config wireguard_wg0 'phone'\n\toption public_key 'b'\n\nconfig wireguard_wg1\n\toption public_key 'c'\n",
            support::NETWORK
        );
        let mut router = support::router_with(&[("etc/config/network", &network)]);
        let first = format!("{table}1.");
        let interface = if table.contains(".IP.") { router.find(table, "Name", "wg0") } else { first };
        router.delete(&interface);
        let left = router.config("network").into_iter();
        let left: Vec<String> =
            left.filter(|line| line.contains("wg0") || line.contains("public_key")).collect();
        assert_eq!(left, ["option public_key 'c'"], "{table}");
    }
}

/// A rule without its zone is another rule: what let guests into the LAN would let everybody into the router.
#[test]
fn rules_of_an_interface_that_goes() {
    const FIREWALL: &str = "
config zone
\toption name 'wan'
\tlist network 'wan'
\tlist network 'wan6'

config zone
\toption name 'guest'
\tlist network 'guest'

config rule 'into_guest'
\toption src 'wan'
\toption dest 'guest'
\toption proto 'tcp'
\toption dest_port '22'
\toption target 'ACCEPT'

config rule 'ping'
\toption src 'wan'
\toption proto 'icmp'
\toption target 'ACCEPT'

config forwarding 'out'
\toption src 'guest'
\toption dest 'wan'

config redirect 'web'
\toption name 'web'
\toption target 'DNAT'
\toption src 'wan'
\toption dest 'guest'
\toption proto 'tcp'
\toption src_dport '80'
\toption dest_ip '192.0.2.80'
";
    let network = "
config interface 'wan'
\toption proto 'dhcp'
\toption device 'eth1'

config interface 'wan6'
\toption proto 'dhcpv6'
\toption device 'eth1'

config interface 'guest'
\toption proto 'static'
\toption device 'eth2'
";
    let mut router =
        support::router_with(&[("etc/config/network", network), ("etc/config/firewall", FIREWALL)]);
    let zones = |router: &support::Router| -> Vec<String> {
        let all = router.config("firewall").into_iter();
        all.filter(|line| ["option src ", "option dest ", "enabled"].iter().any(|word| line.contains(word)))
            .map(|line| line.trim().trim_start_matches("option ").replace('\'', ""))
            .collect()
    };
    let whole = ["src wan", "dest guest", "src wan", "src guest", "dest wan", "src wan", "dest guest"];
    assert_eq!(zones(&router), whole);
    // Its zone has another interface.
    let wan = router.find("Device.IP.Interface.", "Name", "wan");
    router.delete(&wan);
    assert_eq!(zones(&router), whole);
    // Nobody is left in this one.
    let guest = router.find("Device.IP.Interface.", "Name", "guest");
    router.delete(&guest);
    let off = zones(&router).iter().filter(|line| *line == "enabled 0").count();
    let kept: Vec<String> = zones(&router).into_iter().filter(|line| line != "enabled 0").collect();
    assert_eq!((off, kept), (2, whole.map(str::to_owned).to_vec()), "{:?}", router.config("firewall"));
}

/// What listened on an interface that is deleted listens nowhere, and not on every address.
#[test]
fn services_of_a_deleted_interface_are_off() {
    let mut router = support::router_with(&[
        (
            "etc/config/network",
            "config interface 'inside'\n\toption proto 'static'\n\toption ipaddr '192.168.7.1'\n\toption netmask '255.255.255.0'\n",
        ),
        ("etc/config/uhttpd", "config uhttpd 'main'\n\tlist listen_http '192.168.7.1:80'\n"),
        ("etc/config/dropbear", "config dropbear 'main'\n\toption Interface 'inside'\n\toption Port '22'\n"),
        (
            "etc/config/system",
            "config timeserver 'ntp'\n\toption enable_server '1'\n\toption interface 'inside'\n",
        ),
    ]);
    let interface = router.find("Device.IP.Interface.", "Name", "inside");
    let path = interface.trim_end_matches('.').to_owned();
    for service in ["Device.UserInterface.HTTPAccess.1.", "Device.SSH.Server.1.", "Device.Time.Server.1."] {
        router.check(&format!("{service}Interface"), &path);
        router.check(&format!("{service}Enable"), "1");
    }
    router.delete(&interface);
    for service in ["Device.UserInterface.HTTPAccess.1.", "Device.SSH.Server.1.", "Device.Time.Server.1."] {
        router.check(&format!("{service}Enable"), "0");
    }
    let uhttpd = router.config("uhttpd");
    assert!(!uhttpd.iter().any(|line| line.contains("list listen_http")), "{uhttpd:?}");
}

const TWO_NETWORKS: &str = "
config wifi-device 'radio0'
\toption type 'mac80211'
\toption band '5g'
\toption channel '36'

config wifi-iface 'home'
\toption device 'radio0'
\toption network 'lan'
\toption mode 'ap'
\toption ssid 'Home'
\toption encryption 'psk2+ccmp'
\toption key 'ExamplePassphrase'
\toption macfilter 'allow'
\tlist maclist '02:00:00:00:00:01'

config wifi-iface
\toption device 'radio0'
\toption network 'guest'
\toption mode 'ap'
\toption ssid 'Guests'
\toption encryption 'sae'
\toption key 'ExampleGuests'
\toption isolate '1'
";

fn two_networks() -> support::Router {
    support::router_with(&[("etc/config/network", support::NETWORK), ("etc/config/wireless", TWO_NETWORKS)])
}

/// The sections of the networks, each as its lines.
fn networks(router: &support::Router) -> Vec<Vec<String>> {
    let lines = router.config("wireless");
    let all: Vec<Vec<String>> = lines.split(String::is_empty).map(<[String]>::to_vec).collect();
    all.into_iter().filter(|lines| lines.iter().any(|line| line.starts_with("config wifi-iface"))).collect()
}

/// A new access point is open and lets everybody in, whatever the deleted one of the same section was.
#[test]
fn a_deleted_half_of_a_network_does_not_come_back() {
    const AP: &str = "Device.WiFi.AccessPoint.";
    let mut router = two_networks();
    router.delete(&format!("{AP}1."));
    let text = networks(&router)[0].join("\n");
    for gone in ["Passphrase", "psk2", "macfilter", "maclist"] {
        assert!(!text.contains(gone), "{text}");
    }
    router.check("Device.WiFi.SSID.1.SSID", "Home");
    let fresh = router.add(AP);
    for (name, value) in
        [("SSIDReference", ""), ("Security.ModeEnabled", "None"), ("MACAddressControlEnabled", "0")]
    {
        router.check(&format!("{fresh}{name}"), value);
    }
    // It can have the SSID that was left.
    router.set(&[
        (&format!("{fresh}Enable"), "1"),
        (&format!("{fresh}SSIDReference"), "Device.WiFi.SSID.1"),
        (&format!("{fresh}Security.ModeEnabled"), "WPA2-Personal"),
        (&format!("{fresh}Security.KeyPassphrase"), "AnotherPassphrase"),
    ]);
    let all = networks(&router);
    assert_eq!(all.len(), 2);
    for line in [
        "option ssid 'Home'",
        "option network 'lan'",
        "option key 'AnotherPassphrase'",
        "option disabled '0'",
    ] {
        assert!(all[0].iter().any(|one| one == line), "{line}: {all:#?}");
    }
    router.check(&format!("{fresh}Enable"), "1");
    // The same over another life, with the same number.
    let mut router = router.restart();
    router.check(&format!("{fresh}SSIDReference"), "Device.WiFi.SSID.1");
    // The other half: what lay on the deleted SSID does not get the next one.
    router.delete("Device.WiFi.SSID.1.");
    router.check(&format!("{fresh}SSIDReference"), "");
    let text = networks(&router)[0].join("\n");
    assert!(
        !text.contains("Home") && !text.contains("'lan'") && text.contains("AnotherPassphrase"),
        "{text}"
    );
    let ssid = router.add("Device.WiFi.SSID.");
    router.check(&format!("{ssid}SSID"), "");
    router.check(&format!("{fresh}SSIDReference"), "");
    let path = ssid.trim_end_matches('.').to_owned();
    // The next access point is this one's.
    let next = router.add(AP);
    router.check(&format!("{next}SSIDReference"), &path);
    assert!(router.try_set(&[(&format!("{fresh}SSIDReference"), &path)]).is_err());
    router.delete(&next);
    router.set(&[(&format!("{fresh}SSIDReference"), &path), (&format!("{ssid}SSID"), "New")]);
    router.check(&format!("{fresh}SSIDReference"), &path);
    router.check(&format!("{fresh}Security.ModeEnabled"), "WPA2-Personal");
    assert_eq!(networks(&router).len(), 2);
    assert!(router.model.complaints().is_empty());
}

#[test]
fn access_points_change_places() {
    let (one, two) = ("Device.WiFi.AccessPoint.1.", "Device.WiFi.AccessPoint.2.");
    let (first, second) = ("Device.WiFi.SSID.1", "Device.WiFi.SSID.2");
    let mut router = two_networks();
    let at = |point: &str, name: &str| format!("{point}{name}");
    let before = networks(&router);
    // Two of one SSID cannot be, and nothing of it is done.
    assert!(router.try_set(&[(&at(one, "SSIDReference"), second)]).is_err());
    assert_eq!(networks(&router), before);
    router.set(&[
        (&at(one, "SSIDReference"), second),
        (&at(two, "Security.KeyPassphrase"), "ForGuestsAtHome"),
        (&at(two, "SSIDReference"), first),
        (&at(one, "IsolationEnable"), "0"),
    ]);
    for _ in 0..2 {
        for (name, value) in [
            (at(one, "SSIDReference"), second),
            (at(two, "SSIDReference"), first),
            (at(one, "Security.ModeEnabled"), "WPA2-Personal"),
            (at(two, "Security.ModeEnabled"), "WPA3-Personal"),
            (at(one, "AllowedMACAddress"), "02:00:00:00:00:01"),
            (at(one, "Enable"), "1"),
            (at(two, "IsolationEnable"), "1"),
            (format!("{first}.SSID"), "Home"),
            (format!("{second}.SSID"), "Guests"),
            ("Device.WiFi.AccessPointNumberOfEntries".to_owned(), "2"),
        ] {
            router.check(&name, value);
        }
        router = router.restart();
    }
    let all = networks(&router);
    assert_eq!(all.len(), 2, "{all:#?}");
    assert!(all[0].iter().any(|line| line == "option key 'ForGuestsAtHome'"), "{all:#?}");
    assert!(all[1].iter().any(|line| line == "option key 'ExamplePassphrase'"), "{all:#?}");
    // Off its SSID, and on it again; what is without one is not on the air.
    router.set(&[(&at(one, "SSIDReference"), "")]);
    let all = networks(&router);
    assert_eq!(all.len(), 3);
    assert!(all[1..].iter().all(|lines| lines.iter().any(|line| line == "option disabled '1'")), "{all:#?}");
    router.set(&[(&at(one, "SSIDReference"), second)]);
    router.set(&[(&at(one, "SSIDReference"), first), (&at(two, "SSIDReference"), second)]);
    let sorted = |lines: &[Vec<String>]| -> Vec<Vec<String>> {
        let mut lines = lines.to_vec();
        lines.iter_mut().for_each(|lines| lines.sort());
        lines
    };
    let whole = sorted(&networks(&router));
    let lines = whole.concat();
    assert!(lines.iter().all(|line| !line.contains("rcwmp")), "{lines:#?}");
    for (section, before) in whole.iter().zip(sorted(&before)) {
        let kept = before.iter().filter(|line| !line.contains("key '"));
        let lost: Vec<&String> = kept.filter(|line| !section.contains(line)).collect();
        assert!(lost.is_empty(), "{lost:?} of {section:#?}");
    }
}
