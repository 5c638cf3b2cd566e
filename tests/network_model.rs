//! Ethernet, bridging and IP through the whole model, on a router in a folder: what is read of `/etc/config`,
//! `/proc` and `/sys`, and the UCI text that changes leave behind.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/router.rs"]
mod folder;

use folder::{NETWORK, put, router, router_with};
use rcwmp::model::ErrorKind;

#[test]
fn ports_and_links() {
    let mut router = router();
    router.check("Device.Ethernet.InterfaceNumberOfEntries", "4");
    let lan1 = router.find("Device.Ethernet.Interface.", "Name", "lan1");
    router.check(&format!("{lan1}Status"), "Up");
    router.check(&format!("{lan1}Upstream"), "0");
    router.check(&format!("{lan1}MaxBitRate"), "-1");
    router.check(&format!("{lan1}DuplexMode"), "Auto");
    router.check(&format!("{lan1}CurrentDuplexMode"), "Unknown");
    router.check(&format!("{lan1}Stats.BytesSent"), "4294967298");
    router.check(&format!("{lan1}Stats.ErrorsSent"), "2");
    let wan = router.find("Device.Ethernet.Interface.", "Name", "wan");
    router.check(&format!("{wan}Upstream"), "1");
    let link = router.find("Device.Ethernet.Link.", "Name", "wan");
    router.check(&format!("{link}LowerLayers"), wan.trim_end_matches('.'));
    let bridge = router.find("Device.Ethernet.Link.", "Name", "br-lan");
    router.check(&format!("{bridge}LowerLayers"), "Device.Bridging.Bridge.1.Port.1");
    let modem = router.find("Device.Ethernet.VLANTermination.", "Name", "modem");
    router.check(&format!("{modem}LowerLayers"), link.trim_end_matches('.'));
    router.check(&format!("{modem}VLANID"), "7");
    let wan_ip = router.find("Device.IP.Interface.", "Name", "wan");
    router.check(&format!("{wan_ip}LowerLayers"), modem.trim_end_matches('.'));

    router.set(&[(&format!("{lan1}Enable"), "0"), (&format!("{lan1}MaxBitRate"), "100")]);
    router.set(&[(&format!("{lan1}DuplexMode"), "Half")]);
    router.has(
        "network",
        &["option name 'lan1'", "option enabled '0'", "option speed '100'", "option duplex '0'"],
    );
    router.set(&[(&format!("{lan1}DuplexMode"), "Auto"), (&format!("{lan1}MaxBitRate"), "-1")]);
    assert!(router.config("network").iter().all(|line| !line.starts_with("option duplex")));
}

/// What GetParameterNames says of a row, DeleteObject does (TR-069 A.3.2.3).
#[test]
fn rows_that_stay() {
    for (table, kinds) in [
        ("Device.Bridging.Bridge.1.Port.", [true, false]),
        ("Device.Bridging.Bridge.1.VLAN.", [true, true]),
        ("Device.Ethernet.VLANTermination.", [true, false]),
        ("Device.DNS.Client.Server.", [false, false]),
        ("Device.Routing.Router.1.IPv4Forwarding.", [false, false]),
    ] {
        let rows = router().model.names(table, true).unwrap();
        for kind in kinds {
            assert!(rows.iter().any(|(_, goes)| *goes == kind), "{table} {rows:?}");
        }
        for (name, goes) in rows {
            let mut router = router();
            let object = router.model.names(&name, false).unwrap();
            assert_eq!(object[0], (name.clone(), goes));
            assert_eq!(router.model.delete(&name, None).is_ok(), goes, "{name}");
        }
    }
}

/// A provider's VLAN with a customer's in it.
#[test]
fn a_vlan_in_a_vlan() {
    let network = format!(
        "{NETWORK}
config device
	option type '8021ad'
	option name 'svlan'
	option ifname 'wan'
	option vid '30'

config device
	option type '8021q'
	option name 'cvlan'
	option ifname 'svlan'
	option vid '40'
"
    );
    let mut router = router_with(&[("etc/config/network", &network)]);
    let table = "Device.Ethernet.VLANTermination.";
    let (outer, inner) = (router.find(table, "Name", "svlan"), router.find(table, "Name", "cvlan"));
    let wan = router.find("Device.Ethernet.Link.", "Name", "wan");
    let (below, above) = (format!("{inner}LowerLayers"), format!("{outer}LowerLayers"));
    router.check(&below, outer.trim_end_matches('.'));
    router.check(&above, wan.trim_end_matches('.'));
    router.find("Device.InterfaceStack.", "HigherLayer", inner.trim_end_matches('.'));
    assert!(router.try_set(&[(&above, inner.trim_end_matches('.'))]).is_err(), "each on the other");
    router.set(&[(&below, wan.trim_end_matches('.'))]);
    router.set(&[(&below, outer.trim_end_matches('.'))]);
    router.check(&below, outer.trim_end_matches('.'));
    router.delete(&outer);
    let inner = router.find(table, "Name", "cvlan");
    router.check(&format!("{inner}LowerLayers"), "");
}

/// A section of /etc/config/dhcp is a row of three tables: what it serves besides does not go with one of them.
#[test]
fn a_pool_that_serves_more_stays() {
    let dhcp = "\
config odhcpd 'odhcpd'
	option maindhcp '0'

config dhcp 'lan'
	option interface 'lan'
	option dhcpv6 'server'

config dhcp 'guest'
	option interface 'guest'
	option dhcpv4 'disabled'
	option ra 'server'
";
    let tables = [
        "Device.DHCPv4.Server.Pool.",
        "Device.DHCPv6.Server.Pool.",
        "Device.RouterAdvertisement.InterfaceSetting.",
    ];
    for (row, table, goes) in
        [(1, 0, false), (1, 1, false), (1, 2, false), (2, 0, false), (2, 1, false), (2, 2, true)]
    {
        let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/dhcp", dhcp)]);
        let name = format!("{}{row}.", tables[table]);
        assert_eq!(router.model.names(&name, false).unwrap()[0], (name.clone(), goes));
        let done = router.model.delete(&name, None);
        assert_eq!(done.is_ok(), goes, "{name}: {done:?}");
        if let Err(why) = done {
            assert!(matches!(why.kind(), ErrorKind::Denied { .. }), "{name}: {why}");
            assert!(why.to_string().ends_with("too: disable it instead"), "{why}");
        }
    }
    let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/dhcp", dhcp)]);
    router.set(&[(&format!("{}1.Enable", tables[1]), "0")]);
    router.delete(&format!("{}1.", tables[0]));
}

#[test]
fn vlan_terminations() {
    let mut router = router();
    let told = router.find("Device.Ethernet.VLANTermination.", "Name", "wan.20");
    router.check(&format!("{told}VLANID"), "20");
    router.set(&[(&format!("{told}TPID"), "34984")]);
    router.has(
        "network",
        &["option name 'wan.20'", "option type '8021ad'", "option ifname 'wan'", "option vid '20'"],
    );
    assert!(router.try_set(&[(&format!("{told}TPID"), "1")]).is_err());

    let links = router.value("Device.Ethernet.LinkNumberOfEntries");
    let new = router.add("Device.Ethernet.VLANTermination.");
    router.check(&format!("{new}Enable"), "0");
    router.check(&format!("{new}LowerLayers"), "");
    // While it stands on nothing it is no link itself.
    router.check("Device.Ethernet.LinkNumberOfEntries", &links);
    let link = router.find("Device.Ethernet.Link.", "Name", "wan");
    let link = link.trim_end_matches('.').to_owned();
    router.set(&[
        (&format!("{new}VLANID"), "40"),
        (&format!("{new}LowerLayers"), &link),
        (&format!("{new}Enable"), "1"),
    ]);
    router.has(
        "network",
        &["option name 'vlan1'", "option vid '40'", "option ifname 'wan'", "option enabled '1'"],
    );
    let ip = router.add("Device.IP.Interface.");
    router.set(&[(&format!("{ip}LowerLayers"), new.trim_end_matches('.'))]);
    router.has("network", &["config interface 'ip1'", "option device 'vlan1'", "option disabled '1'"]);
    router.delete(&new);
    router.delete(&ip);
    assert!(router.config("network").iter().all(|line| !line.contains("ip1") && !line.contains("'40'")));
}

#[test]
fn bridges_and_ports() {
    let mut router = router();
    let bridge = "Device.Bridging.Bridge.1.";
    router.check(&format!("{bridge}Name"), "br-lan");
    router.check(&format!("{bridge}Status"), "Enabled");
    router.check(&format!("{bridge}Standard"), "802.1Q-2011");
    router.check(&format!("{bridge}PortNumberOfEntries"), "5");
    router.check(&format!("{bridge}Port.1.ManagementPort"), "1");
    let ports: Vec<String> = (2..=5).map(|n| format!("{bridge}Port.{n}")).collect();
    router.check(&format!("{bridge}Port.1.LowerLayers"), &ports.join(","));
    router.check(&format!("{bridge}Port.2.PortState"), "Forwarding");
    router.check(&format!("{bridge}Port.5.LowerLayers"), "Device.WiFi.SSID.1");
    router.check(&format!("{bridge}Port.5.Name"), "phy0-ap0");
    let lan2 = router.find("Device.Ethernet.Interface.", "Name", "lan2");
    router.check(&format!("{bridge}Port.3.LowerLayers"), lan2.trim_end_matches('.'));

    router.set(&[(&format!("{bridge}Port.3.Enable"), "0")]);
    router.has("network", &["list ports 'lan1'", "list ports 'lan3'", "list rcwmp_ports 'lan2/0/lan2'"]);
    assert!(!router.config("network")[..18].iter().any(|line| line == "list ports 'lan2'"));
    router.set(&[(&format!("{bridge}Port.3.Enable"), "1")]);
    assert!(router.config("network").iter().all(|line| !line.contains("rcwmp")));

    router.delete(&format!("{bridge}Port.2."));
    let port = router.add(&format!("{bridge}Port."));
    router.check(&format!("{port}Enable"), "0");
    let lan1 = router.find("Device.Ethernet.Interface.", "Name", "lan1");
    router
        .set(&[(&format!("{port}Enable"), "1"), (&format!("{port}LowerLayers"), lan1.trim_end_matches('.'))]);
    router.has("network", &["list ports 'lan1'", "list rcwmp_ports 'new1/1/lan1'"]);
    router.check(&format!("{port}Status"), "Up");

    let all =
        [("STP.Enable", "1"), ("STP.HelloTime", "300"), ("STP.ForwardingDelay", "20"), ("AgingTime", "60")];
    for (name, value) in all {
        router.set(&[(&format!("{bridge}{name}"), value)]);
    }
    router.has(
        "network",
        &["option stp '1'", "option hello_time '3'", "option forward_delay '20'", "option ageing_time '60'"],
    );
    assert!(router.try_set(&[(&format!("{bridge}STP.HelloTime"), "250")]).is_err());

    let new = router.add("Device.Bridging.Bridge.");
    router.check(&format!("{new}Standard"), "802.1D-2004");
    router.set(&[(&format!("{new}Standard"), "802.1Q-2005"), (&format!("{new}Enable"), "1")]);
    router.has("network", &["option name 'br1'", "option vlan_filtering '1'"]);
    router.delete(&new);
    router.delete(bridge);
    assert!(router.config("network").iter().all(|line| !line.contains("bridge")));
}

#[test]
fn bridge_vlans() {
    let mut router = router();
    let bridge = "Device.Bridging.Bridge.1.";
    router.check(&format!("{bridge}VLANNumberOfEntries"), "2");
    router.check(&format!("{bridge}VLANPortNumberOfEntries"), "4");
    router.check(&format!("{bridge}Port.2.PVID"), "1");
    router.check(&format!("{bridge}Port.4.PVID"), "20");
    router.check(&format!("{bridge}VLANPort.3.VLAN"), &format!("{bridge}VLAN.2"));
    router.check(&format!("{bridge}VLANPort.3.Port"), &format!("{bridge}Port.2"));
    router.check(&format!("{bridge}VLANPort.3.Untagged"), "0");
    router.set(&[(&format!("{bridge}Port.2.PVID"), "20")]);
    router.has("network", &["list ports 'lan1:u'", "list ports 'lan1:t*'"]);
    assert!(router.try_set(&[(&format!("{bridge}Port.2.PVID"), "30")]).is_err());
    assert!(router.try_set(&[(&format!("{bridge}VLAN.1.VLANID"), "20")]).is_err());

    let vlan = router.add(&format!("{bridge}VLAN."));
    router.check(&format!("{vlan}VLANID"), "2");
    let member = router.add(&format!("{bridge}VLANPort."));
    router.check(&format!("{member}VLAN"), "");
    router.set(&[
        (&format!("{member}Enable"), "1"),
        (&format!("{member}VLAN"), vlan.trim_end_matches('.')),
        (&format!("{member}Port"), &format!("{bridge}Port.3")),
        (&format!("{member}Untagged"), "0"),
        (&format!("{vlan}VLANID"), "30"),
        (&format!("{vlan}Name"), "guests"),
        (&format!("{vlan}Enable"), "1"),
    ]);
    let vlan_text = ["config bridge-vlan 'bvlan1'", "option vlan '30'", "list ports 'lan2:t'"];
    router.has("network", &vlan_text);
    assert_eq!(router.config("network").iter().filter(|line| *line == "option device 'br-lan'").count(), 4);
    router.set(&[(&format!("{vlan}Enable"), "0")]);
    router.has("network", &["option rcwmp_device 'br-lan'"]);
    router.delete(&member);
    assert!(router.config("network").iter().all(|line| line != "list ports 'lan2:t'"));
    router.delete(&vlan);
    router.check(&format!("{bridge}VLANNumberOfEntries"), "2");
}

#[test]
fn ip_addresses() {
    let mut router = router();
    let lan = router.find("Device.IP.Interface.", "Name", "lan");
    router.check(&format!("{lan}Status"), "Up");
    router.check(&format!("{lan}Type"), "Normal");
    router.check("Device.IP.ULAPrefix", "fd48:e132:af34::/48");
    router.check(&format!("{lan}IPv4Address.1.IPAddress"), "192.168.1.1");
    router.check(&format!("{lan}IPv4Address.1.SubnetMask"), "255.255.255.0");
    router.check(&format!("{lan}IPv4Address.1.Status"), "Enabled");
    router.set(&[
        (&format!("{lan}IPv4Address.1.IPAddress"), "192.168.2.1"),
        (&format!("{lan}IPv4Address.1.SubnetMask"), "255.255.254.0"),
    ]);
    router.has("network", &["option ipaddr '192.168.2.1'", "option netmask '255.255.254.0'"]);
    assert!(router.try_set(&[(&format!("{lan}IPv4Address.1.SubnetMask"), "255.0.255.0")]).is_err());

    let new = router.add(&format!("{lan}IPv4Address."));
    router.check(&format!("{new}Enable"), "0");
    router.check(&format!("{new}AddressingType"), "Static");
    router.set(&[
        (&format!("{new}Enable"), "1"),
        (&format!("{new}IPAddress"), "10.9.0.1"),
        (&format!("{new}SubnetMask"), "255.255.255.0"),
    ]);
    router.has("network", &["list ipaddr '192.168.2.1/23'", "list ipaddr '10.9.0.1/24'"]);
    router.check(&format!("{lan}IPv4Address.1.IPAddress"), "192.168.2.1");
    router.delete(&new);
    router.has("network", &["list ipaddr '192.168.2.1/23'"]);

    let iptv = router.find("Device.IP.Interface.", "Name", "iptv");
    router.check(&format!("{iptv}IPv4Address.2.IPAddress"), "10.2.0.2");
    router.set(&[(&format!("{iptv}IPv4Address.1.Enable"), "0")]);
    router.has("network", &["list ipaddr '10.2.0.2/16'", "list rcwmp_ipaddr '1/0/10.1.0.2/16'"]);
    router.check(&format!("{iptv}IPv4Address.2.IPAddress"), "10.2.0.2");

    router.check(&format!("{lan}IPv6Address.1.IPAddress"), "fd00::1");
    router.check(&format!("{lan}IPv6Address.1.Status"), "Disabled");
    router.check(&format!("{lan}IPv6Address.2.IPAddress"), "fe80::200:ff:fe00:11");
    router.check(&format!("{lan}IPv6Address.2.Origin"), "AutoConfigured");
    router.check(&format!("{lan}IPv6Address.2.IPAddressStatus"), "Preferred");
    assert!(router.try_set(&[(&format!("{lan}IPv6Address.2.Enable"), "0")]).is_err());
    let six = router.add(&format!("{lan}IPv6Address."));
    router.set(&[(&format!("{six}IPAddress"), "2001:db8::1"), (&format!("{six}Enable"), "1")]);
    router.has("network", &["list ip6addr 'fd00::1/64'", "list ip6addr '2001:db8::1/64'"]);
    let loopback = router.find("Device.IP.Interface.", "Name", "loopback");
    router.check(&format!("{loopback}Loopback"), "1");
    router.check(&format!("{loopback}LowerLayers"), "");
}

#[test]
fn ports_that_are_joined() {
    let mut router = router();
    router.check("Device.Ethernet.LAGNumberOfEntries", "0");
    let base = "sys/class/net/bond0";
    for (file, text) in [
        ("bonding/slaves", "lan1 lan2\n"),
        ("operstate", "up\n"),
        ("address", "02:00:00:00:00:22\n"),
        ("statistics/rx_bytes", "5\n"),
    ] {
        put(router.dir.path(), &format!("{base}/{file}"), text);
    }
    router.model.refresh();
    let ports = ["lan1", "lan2"]
        .map(|port| router.find("Device.Ethernet.Interface.", "Name", port).trim_end_matches('.').to_owned());
    let lag = "Device.Ethernet.LAG.1.";
    router.check(&format!("{lag}Name"), "bond0");
    router.check(&format!("{lag}Status"), "Up");
    router.check(&format!("{lag}LowerLayers"), &ports.join(","));
    router.check(&format!("{lag}MACAddress"), "02:00:00:00:00:22");
    router.check(&format!("{lag}Stats.BytesReceived"), "5");
    router.set(&[(&format!("{lag}Enable"), "0")]);
    router.has("network", &["option name 'bond0'", "option enabled '0'"]);
}

#[test]
fn what_an_interface_speaks() {
    let network = format!(
        "{NETWORK}\nconfig interface 'dsl'\n\toption proto 'pppoe'\n\toption device 'lan3'\n\n\
         config interface 'dsl6'\n\toption proto 'dhcpv6'\n\toption device '@dsl'\n"
    );
    let mut router = router_with(&[("etc/config/network", &network)]);
    let inet6 = "fe800000000000001122334455667788 07 40 20 80 pppoe-dsl\n\
                 20010db8000000010000000000000001 06 40 00 80 br-lan\n";
    put(router.dir.path(), "proc/net/if_inet6", inet6);
    let zero = "0".repeat(32);
    let route = format!(
        "20010db8000000010000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 br-lan\n"
    );
    put(router.dir.path(), "proc/net/ipv6_route", &route);
    router.model.refresh();
    let lan = router.find("Device.IP.Interface.", "Name", "lan");
    let six = router.find("Device.IP.Interface.", "Name", "dsl6");
    router.check(&format!("{lan}Router"), "Device.Routing.Router.1");
    router.check(&format!("{lan}IPv4Enable"), "1");
    router.check(&format!("{six}IPv4Enable"), "0");
    router.check("Device.PPP.Interface.1.IPv6CP.LocalInterfaceIdentifier", "::1122:3344:5566:7788");
    let own = router.find(&format!("{lan}IPv6Address."), "IPAddress", "2001:db8:0:1::1");
    let prefix = router.value(&format!("{own}Prefix"));
    assert!(prefix.starts_with(&format!("{lan}IPv6Prefix.")), "{prefix}");
    router.check(&format!("{prefix}.Prefix"), "2001:db8:0:1::/64");
}
