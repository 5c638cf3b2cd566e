//! Tables of the network that an ACS can fill, through the whole model: pools and their conditions, options, relays,
//! servers of names, and what becomes of the order and of references.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/router.rs"]
mod router;

use rcwmp::model::transaction::MAX_INSTANCES;
use rcwmp::model::value::Input;
use rcwmp::model::{ErrorKind, compiled};
use router::{DHCP, NETWORK, Router, router_with};

const ODHCPD: &str = "
config odhcpd 'odhcpd'
	option maindhcp '0'
";

fn router(dhcp: &str, network: &str) -> Router {
    let (dhcp, network) = (format!("{DHCP}{ODHCPD}{dhcp}"), format!("{NETWORK}{network}"));
    router_with(&[("etc/config/network", &network), ("etc/config/dhcp", &dhcp)])
}

fn each(router: &mut Router, base: &str, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        router.check(&format!("{base}{name}"), value);
    }
}

fn interface(router: &mut Router, name: &str) -> String {
    router.find("Device.IP.Interface.", "Name", name).trim_end_matches('.').to_owned()
}

fn lacks(router: &Router, file: &str, word: &str) {
    let config = router.config(file);
    assert!(config.iter().all(|line| !line.contains(word)), "{word:?} is in {config:#?}");
}

#[test]
fn pools_for_some_clients() {
    let mut router = router("", "");
    let pool = router.add("Device.DHCPv4.Server.Pool.");
    each(
        &mut router,
        &pool,
        &[("VendorClassID", ""), ("VendorClassIDExclude", "0"), ("ClientID", ""), ("ChaddrMask", "")],
    );
    let lan = interface(&mut router, "lan");
    router.set(&[
        (&format!("{pool}Interface"), &lan),
        (&format!("{pool}VendorClassID"), "MSFT 5.0"),
        (&format!("{pool}UserClassID"), "4950545634"),
        (&format!("{pool}UserClassIDExclude"), "1"),
        (&format!("{pool}ClientID"), "0102000000010f"),
        (&format!("{pool}Chaddr"), "02:00:ab:00:00:00"),
        (&format!("{pool}ChaddrMask"), "ff:ff:ff:00:00:00"),
    ]);
    router.has(
        "dhcp",
        &[
            "option vendorclass 'MSFT 5.0'",
            "option match '77,49:50:54:56:34'",
            "option match '61,01:02:00:00:00:01:0f'",
            "option mac '02:00:ab:*:*:*'",
            "list tag 'class1'",
            "list tag '!class2'",
        ],
    );
    router.check(&format!("{pool}VendorClassIDMode"), "Substring");
    router.set(&[(&format!("{pool}VendorClassIDMode"), "Prefix")]);
    router.has("dhcp", &["option match '60,4d:53:46:54:20:35:2e:30'"]);
    each(&mut router, &pool, &[("VendorClassID", "MSFT 5.0"), ("UserClassIDExclude", "1")]);
    for (name, bad) in [
        ("VendorClassIDMode", "Exact"),
        ("ChaddrMask", "ff:f0:00:00:00:00"),
        ("ClientID", "01"),
        ("VendorClassIDMode", "Nothing"),
    ] {
        assert!(router.try_set(&[(&format!("{pool}{name}"), bad)]).is_err(), "{name} {bad}");
    }
    router.set(&[(&format!("{pool}VendorClassID"), ""), (&format!("{pool}Chaddr"), "")]);
    lacks(&router, "dhcp", "60,");
    lacks(&router, "dhcp", "config mac");
    router.delete(&pool);
    lacks(&router, "dhcp", "tag");
    lacks(&router, "dhcp", "class");
}

#[test]
fn a_class_of_two_pools_stays_with_the_other() {
    let more = "
config dhcp 'iptv'
	option interface 'iptv'
	list tag 'boxes'
	list tag 'other'

config dhcp 'second'
	option interface 'iptv'
	option tag '!boxes'

config vendorclass
	option networkid 'boxes'
	option vendorclass 'IPTV'
";
    let mut router = router(more, "");
    let pool = router.find("Device.DHCPv4.Server.Pool.", "Order", "3");
    each(&mut router, &pool, &[("VendorClassID", "IPTV"), ("VendorClassIDExclude", "0")]);
    router.check(&format!("{}VendorClassIDExclude", "Device.DHCPv4.Server.Pool.4."), "1");
    router.set(&[(&format!("{pool}VendorClassID"), "")]);
    router.has("dhcp", &["list tag 'other'", "option tag '!boxes'", "option vendorclass 'IPTV'"]);
}

#[test]
fn pools_and_relays_in_order() {
    let mut router = router("", "");
    let (lan, wan) = ("Device.DHCPv4.Server.Pool.1.", "Device.DHCPv4.Server.Pool.2.");
    router.check("Device.DHCPv6.Server.Pool.1.Order", "1");
    router.set(&[(&format!("{lan}Order"), "2")]);
    router.check(&format!("{wan}Order"), "1");
    router.check("Device.DHCPv6.Server.Pool.1.Order", "2");
    router.set(&[("Device.DHCPv6.Server.Pool.1.Order", "1")]);
    router.check(&format!("{lan}Order"), "1");

    let table = "Device.DHCPv4.Relay.Forwarding.";
    router.check("Device.DHCPv4.Relay.Enable", "1");
    let relays = [router.add(table), router.add(table)];
    let interface = interface(&mut router, "lan");
    router.set(&[
        (&format!("{}Interface", relays[0]), &interface),
        (&format!("{}DHCPServerIPAddress", relays[0]), "10.9.9.9"),
        (&format!("{}Enable", relays[0]), "1"),
        (&format!("{}Order", relays[1]), "1"),
    ]);
    router.check(&format!("{}Order", relays[0]), "2");
    router.has("dhcp", &["option server_addr '10.9.9.9'"]);
    router.set(&[("Device.DHCPv4.Relay.Enable", "0")]);
    router.has("dhcp", &["option rcwmp_server_addr '10.9.9.9'", "option rcwmp_relay '0'"]);
    each(
        &mut router,
        &relays[0],
        &[("Enable", "1"), ("Status", "Disabled"), ("DHCPServerIPAddress", "10.9.9.9")],
    );
    router.set(&[("Device.DHCPv4.Relay.Enable", "1")]);
    router.has("dhcp", &["option server_addr '10.9.9.9'"]);
    each(&mut router, &relays[0], &[("Enable", "1"), ("Status", "Enabled")]);
    lacks(&router, "dhcp", "rcwmp");
}

#[test]
fn options_of_dhcpv6() {
    // As on a router of a French provider.
    let network = "
config interface 'wan6'
	option proto 'dhcpv6'
	option device 'modem'
	list sendopts '11:XAUTH'
	list sendopts '15:FSVDSL_livebox.Internet'
	list sendopts '16:0000040e0005736167656d'
";
    let mut router = router("", network);
    let sent = "Device.DHCPv6.Client.1.SentOption.";
    each(
        &mut router,
        sent,
        &[
            ("1.Value", "5841555448"),
            ("2.Tag", "15"),
            ("2.Value", "001746535644534c5f6c697665626f782e496e7465726e6574"),
            ("3.Value", "0000040e0005736167656d"),
        ],
    );
    router.set(&[(&format!("{sent}2.Enable"), "0"), (&format!("{sent}2.Value"), "0003616263")]);
    router.has("network", &["list sendopts '11:XAUTH'", "list rcwmp_sendopts '2/0/15:abc'"]);
    let new = router.add(sent);
    router.set(&[
        (&format!("{new}Tag"), "17"),
        (&format!("{new}Value"), "00000558"),
        (&format!("{new}Enable"), "1"),
    ]);
    router.has("network", &["list sendopts '17:00000558'"]);
    assert!(router.try_set(&[(&format!("{new}Tag"), "16")]).is_err());
    router.delete(&new);
    lacks(&router, "network", "17:");

    let given = "Device.DHCPv6.Server.Pool.1.Option.";
    router.check("Device.DHCPv6.Server.Pool.1.OptionNumberOfEntries", "0");
    let one = router.add(given);
    router.set(&[(&format!("{one}Tag"), "31"), (&format!("{one}Value"), "fd00000000000000000000000000007b")]);
    lacks(&router, "dhcp", "option dhcpv6_raw");
    router.set(&[(&format!("{one}Enable"), "1")]);
    router.has("dhcp", &["option dhcpv6_raw '001f0010fd00000000000000000000000000007b'"]);
    let two = router.add(given);
    router.set(&[
        (&format!("{two}Tag"), "32"),
        (&format!("{two}Value"), "00000e10"),
        (&format!("{two}Enable"), "1"),
    ]);
    router.has("dhcp", &["option dhcpv6_raw '001f0010fd00000000000000000000000000007b0020000400000e10'"]);
    router.delete(&one);
    router.has("dhcp", &["option dhcpv6_raw '0020000400000e10'"]);
    router.check(&format!("{two}Tag"), "32");
}

#[test]
fn servers_of_names_go_to_another_interface() {
    let mut router = router("", "");
    let table = "Device.DNS.Client.Server.";
    let server = router.add(table);
    let (lan, wan) = (interface(&mut router, "lan"), interface(&mut router, "wan"));
    router.check(&format!("{server}Interface"), &wan);
    // Interface, address and switch in one request, in any order.
    router.set(&[
        (&format!("{server}Interface"), &lan),
        (&format!("{server}DNSServer"), "9.9.9.9"),
        (&format!("{server}Enable"), "1"),
    ]);
    router.has("network", &["list dns '9.9.9.9'", "list rcwmp_dns 'wan|new1/1/9.9.9.9'"]);
    let other = router.add(table);
    assert_ne!(other, server);
    router.set(&[(&format!("{other}DNSServer"), "149.112.112.112"), (&format!("{other}Enable"), "1")]);
    router.check(&format!("{server}DNSServer"), "9.9.9.9");
    let mut router = router.restart();
    each(&mut router, &server, &[("Interface", &lan), ("DNSServer", "9.9.9.9"), ("Enable", "1")]);
    router.set(&[(&format!("{server}Interface"), &wan)]);
    assert!(router.try_set(&[(&format!("{server}Interface"), "")]).is_err());
    router.delete(&server);
    router.check(&format!("{other}DNSServer"), "149.112.112.112");
    lacks(&router, "network", "9.9.9.9");
    // Learned ones stay where they are.
    let learned = router.find(table, "DNSServer", "203.0.113.53");
    assert!(router.try_set(&[(&format!("{learned}Interface"), &lan)]).is_err());
}

#[test]
fn forwarders_of_dnsmasq() {
    let dhcp = DHCP.replacen(
        "option domain 'lan'",
        "option domain 'lan'\n\tlist server '/corp/10.0.0.1'\n\tlist server '1.1.1.1#5353'",
        1,
    );
    let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/dhcp", &dhcp)]);
    let table = "Device.DNS.Relay.Forwarding.";
    let first = router.find(table, "DNSServer", "1.1.1.1");
    each(
        &mut router,
        &first,
        &[("Enable", "1"), ("Status", "Enabled"), ("Type", "Static"), ("Interface", "")],
    );
    router.set(&[(&format!("{first}DNSServer"), "1.0.0.1")]);
    router.has("dhcp", &["list server '/corp/10.0.0.1'", "list server '1.0.0.1#5353'"]);
    let wan = interface(&mut router, "wan");
    let new = router.add(table);
    each(&mut router, &new, &[("Enable", "0"), ("Status", "Disabled"), ("DNSServer", "")]);
    router.set(&[(&format!("{new}Interface"), &wan), (&format!("{new}Enable"), "1")]);
    router.check(&format!("{new}Status"), "Error");
    router.set(&[(&format!("{new}DNSServer"), "2001:db8::53")]);
    router.has("dhcp", &["list server '2001:db8::53@modem'"]);
    router.set(&[(&format!("{first}Enable"), "0")]);
    lacks(&router, "dhcp", "list server '1.0.0.1");
    router.check(&format!("{first}DNSServer"), "1.0.0.1");
    let learned = router.find(table, "DNSServer", "203.0.113.53");
    router.check(&format!("{learned}Interface"), &wan);
    assert!(router.try_set(&[(&format!("{learned}Enable"), "0")]).is_err());
    router.delete(&new);
    router.delete(&first);
    router.has("dhcp", &["list server '/corp/10.0.0.1'"]);
    lacks(&router, "dhcp", "rcwmp");
}

#[test]
fn clients_of_dhcpv6() {
    let network = "
config interface 'wan6'
	option proto 'dhcpv6'
	option device 'modem'
";
    let mut router = router("", network);
    let table = "Device.DHCPv6.Client.";
    let wan6 = interface(&mut router, "wan6");
    router.check("Device.DHCPv6.Client.1.Interface", &wan6);
    assert!(router.try_set(&[("Device.DHCPv6.Client.1.Interface", "")]).is_err());
    let new = router.add(table);
    each(
        &mut router,
        &new,
        &[("Enable", "0"), ("Interface", ""), ("Status", "Disabled"), ("RequestPrefixes", "0")],
    );
    let option = router.add(&format!("{new}SentOption."));
    router.set(&[
        (&format!("{option}Tag"), "17"),
        (&format!("{option}Value"), "0558"),
        (&format!("{option}Enable"), "1"),
    ]);
    assert!(router.try_set(&[(&format!("{new}Interface"), &wan6)]).is_err());
    let ip = router.add("Device.IP.Interface.");
    let name = router.value(&format!("{ip}Name"));
    let link = router.value("Device.Ethernet.VLANTermination.1.LowerLayers");
    router.set(&[(&format!("{ip}LowerLayers"), &link), (&format!("{ip}Enable"), "1")]);
    // Interface first, so that what follows is for its section already.
    router.set(&[
        (&format!("{new}Interface"), ip.trim_end_matches('.')),
        (&format!("{new}Enable"), "1"),
        (&format!("{new}RequestAddresses"), "0"),
        (&format!("{new}RequestedOptions"), "23,24"),
    ]);
    let lines = [
        "option proto 'dhcpv6'",
        "option reqaddress 'none'",
        "option reqopts '23 24'",
        "list sendopts '17:0558'",
    ];
    router.has("network", &lines);
    each(&mut router, &new, &[("Status", "Enabled"), ("SentOptionNumberOfEntries", "1")]);
    router.check(&format!("{option}Value"), "0558");
    router.delete(&new);
    lacks(&router, "network", "rcwmp");
    lacks(&router, "network", "17:0558");
    router.check(&format!("{ip}Name"), &name);
}

#[test]
fn the_whole_of_a_protocol_and_each() {
    let network = "
config interface 'six'
	option proto '6rd'
	option peeraddr '192.0.2.1'
	option ip6prefix '2001:db8::'
	option ip6prefixlen '32'

config interface 'lite'
	option proto 'dslite'
	option peeraddr '2001:db8::1'
	option disabled '1'
";
    let mut router = router("", network);
    let six = "Device.IPv6rd.InterfaceSetting.1.";
    router.check("Device.MAP.Enable", "0");
    assert!(router.try_set(&[("Device.MAP.Enable", "1")]).is_err());
    router.check("Device.IPv6rd.Enable", "1");
    router.set(&[("Device.IPv6rd.Enable", "0")]);
    router.has("network", &["option rcwmp_6rd '0'", "option rcwmp_on '1'", "option disabled '1'"]);
    each(&mut router, six, &[("Enable", "1"), ("Status", "Disabled")]);
    router.set(&[(&format!("{six}Enable"), "0")]);
    router.set(&[("Device.IPv6rd.Enable", "1")]);
    each(&mut router, six, &[("Enable", "0"), ("AllTrafficToBorderRelay", "0"), ("AddressSource", "")]);
    router.set(&[(&format!("{six}Enable"), "1")]);
    lacks(&router, "network", "rcwmp");
    let lite = "Device.DSLite.InterfaceSetting.1.";
    router.set(&[("Device.DSLite.Enable", "0")]);
    router.check(&format!("{lite}Enable"), "0");
    router.set(&[("Device.DSLite.Enable", "1"), (&format!("{lite}Enable"), "1")]);

    let lan = router.find("Device.IP.Interface.", "Name", "iptv");
    let address = format!("{lan}IPv4Address.1");
    router.set(&[(&format!("{six}AddressSource"), &address)]);
    router.has("network", &["option ipaddr '10.1.0.2'"]);
}

#[test]
fn ipv6_as_a_whole_and_the_ula() {
    let network = "
config interface 'dsl'
	option proto 'pppoe'
	option device 'lan3'

config interface 'wan6'
	option proto 'dhcpv6'
	option device 'modem'
";
    let mut router = router("", network);
    router::put(router.dir.path(), "proc/sys/net/ipv6/conf/all/disable_ipv6", "0\n");
    router.model.refresh();
    let lan = router.find("Device.IP.Interface.", "Name", "lan");
    let dsl = router.find("Device.IP.Interface.", "Name", "dsl");
    each(&mut router, &lan, &[("IPv6Enable", "1"), ("ULAEnable", "0")]);
    router.set(&[(&format!("{dsl}IPv6Enable"), "0")]);
    router.check("Device.PPP.Interface.1.IPv6CPEnable", "0");
    router.set(&[("Device.IP.IPv6Enable", "0")]);
    router.check("Device.IP.IPv6Status", "Disabled");
    router.has("network", &["option rcwmp_ipv6 '0'", "option rcwmp_ipv6 '1'", "option ipv6 '0'"]);
    router.check(&format!("{lan}IPv6Enable"), "1");
    router.check(&format!("{dsl}IPv6Enable"), "0");
    router.set(&[(&format!("{dsl}IPv6Enable"), "1")]);
    router.has("network", &["option ipv6 '0'"]);
    router.set(&[("Device.IP.IPv6Enable", "1")]);
    router.check(&format!("{dsl}IPv6Enable"), "1");
    lacks(&router, "network", "rcwmp");
    lacks(&router, "network", "option ipv6 '0'");

    router.set(&[(&format!("{lan}ULAEnable"), "1")]);
    router.has("network", &["option ip6assign '64'", "list ip6class 'local'"]);
    router.set(&[(&format!("{lan}ULAEnable"), "0")]);
    lacks(&router, "network", "option ip6assign");
    let path = router.dir.path().join("etc/config/network");
    let text = std::fs::read_to_string(&path).unwrap();
    let plain = text.replace("\toption rcwmp_ula '64'\n", "\toption ip6assign '60'\n");
    std::fs::write(&path, plain).unwrap();
    router.model.refresh();
    router.set(&[(&format!("{lan}ULAEnable"), "0")]);
    router.has("network", &["list ip6class 'dsl_6'", "list ip6class 'wan6'"]);
    router.set(&[(&format!("{lan}ULAEnable"), "1")]);
    lacks(&router, "network", "ip6class");
    lacks(&router, "network", "rcwmp");

    let neighbours = "proc/sys/net/ipv6/conf/br-lan/dad_transmits";
    router::put(router.dir.path(), neighbours, "1\n");
    router.model.refresh();
    let discovery = "Device.NeighborDiscovery.InterfaceSetting.1.";
    each(&mut router, discovery, &[("DADTransmits", "1"), ("NUDEnable", "1")]);
    router.set(&[(&format!("{discovery}DADTransmits"), "2")]);
    router.has("network", &["option dadtransmits '2'"]);
}

/// `auto` and no option make netifd start a DHCPv6 client on the link, `1` does not: the word stays, also over an off
/// and on, by whichever of the names of the one switch.
#[test]
fn the_word_for_ipv6_on_a_link_stays() {
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    let dsl = |lines: &[String]| {
        let from = lines.iter().skip_while(|line| !line.contains("'dsl'"));
        let mut own: Vec<String> = from.take_while(|line| *line != "config device").cloned().collect();
        own.retain(|line| !line.is_empty());
        own.sort();
        own
    };
    let link = |more: &str| {
        format!("\nconfig interface 'dsl'\n\toption proto 'pppoe'\n\toption device 'lan3'\n{more}")
    };
    let alias = "\nconfig interface 'dsl6'\n\toption device '@dsl'\n\toption proto 'dhcpv6'\n";
    for (before, after) in [
        ("\toption ipv6 'auto'\n".to_owned(), "\toption ipv6 'auto'\n".to_owned()),
        ("\toption ipv6 '1'\n".to_owned(), "\toption ipv6 '1'\n".to_owned()),
        (String::new(), String::new()),
        ("\toption ipv6 '0'\n".to_owned(), "\toption ipv6 'auto'\n".to_owned()),
        (format!("\toption ipv6 '0'\n{alias}"), format!("\toption ipv6 '1'\n{alias}")),
    ] {
        let mut router = router("", &link(&before));
        router::put(router.dir.path(), "proc/sys/net/ipv6/conf/all/disable_ipv6", "0\n");
        router.model.refresh();
        let path = router.find("Device.IP.Interface.", "Name", "dsl");
        let names = [format!("{path}IPv6Enable"), "Device.PPP.Interface.1.IPv6CPEnable".to_owned()];
        let whole = "Device.IP.IPv6Enable".to_owned();
        let on = router.value(&names[0]);
        let text = router.config("network");
        for name in &names {
            router.set(&[(name, &on)]);
            assert_eq!(router.config("network"), text, "{name} as read, from {before:?}");
        }
        for name in names.iter().chain([&whole]) {
            router.set(&[(name, "0")]);
            router.has("network", &["option ipv6 '0'"]);
            // A whole gives back what it took: a link that was off stays off.
            router.set(&[(name, "1")]);
            router.set(&[(&names[0], "1")]);
            lacks(&router, "network", "rcwmp");
            assert_eq!(dsl(&router.config("network")), dsl(&lines(&link(&after))), "{name} from {before:?}");
        }
    }
}

#[test]
fn what_a_ppp_link_is() {
    let network = "
config interface 'dsl'
	option proto 'pppoe'
	option device 'lan3'

config interface 'spare'
	option proto 'pppoe'
	option device 'lan3'
	option disabled '1'
";
    let mut router = router("", network);
    let root = router.dir.path().to_owned();
    let id = format!("{:08X}", 0x1234_u16.to_be());
    router::put(
        &root,
        "proc/net/pppoe",
        &format!("Id       Address              Device\n{id} 02:00:00:00:00:01     lan3\n"),
    );
    router::put(&root, "proc/net/if_inet6", "fe800000000000000000000000000001 07 80 20 80 pppoe-dsl\n");
    let zero = "0".repeat(32);
    let route = |address: &str, flags: &str| {
        format!("{address} 80 {zero} 00 {zero} 00000100 00000001 00000000 {flags} pppoe-dsl\n")
    };
    let routes = route("fe800000000000000000000000000001", "80200001")
        + &route("fe80000000000000ab00000000000002", "00000001");
    router::put(&root, "proc/net/ipv6_route", &routes);
    for (file, text) in [("tx_packets", "7"), ("rx_packets", "9")] {
        router::put(&root, &format!("sys/class/net/pppoe-dsl/statistics/{file}"), text);
    }
    router.model.refresh();
    router.check("Device.PPP.SupportedNCPs", "IPCP,IPv6CP");
    each(
        &mut router,
        "Device.PPP.Interface.1.",
        &[
            ("PPPoE.SessionID", "4660"),
            ("IPv6CP.LocalInterfaceIdentifier", "::1"),
            ("IPv6CP.RemoteInterfaceIdentifier", "::ab00:0:0:2"),
            ("Stats.UnicastPacketsSent", "7"),
            ("Stats.UnicastPacketsReceived", "9"),
            ("Stats.BroadcastPacketsSent", "0"),
        ],
    );
    // The session on the device is not that of another link there, which is down.
    router.check("Device.PPP.Interface.2.Name", "pppoe-spare");
    router.check("Device.PPP.Interface.2.PPPoE.SessionID", "1");
}

#[test]
fn how_ports_of_a_bridge_treat_frames() {
    let mut router = router("", "");
    router::put(router.dir.path(), "sys/class/net/br-lan/bridge/vlan_protocol", "0x8100\n");
    router.model.refresh();
    let port = "Device.Bridging.Bridge.1.Port.2.";
    let expected = [
        ("IngressFiltering", "1"),
        ("AcceptableFrameTypes", "AdmitAll"),
        ("Type", "CustomerVLANPort"),
        ("TPID", "33024"),
        ("PriorityRegeneration", "0,1,2,3,4,5,6,7"),
    ];
    each(&mut router, port, &expected);
    // Only tagged in its VLAN: what has no tag has nowhere to go.
    let member = router.find("Device.Bridging.Bridge.1.VLANPort.", "Port", "Device.Bridging.Bridge.1.Port.3");
    router.set(&[(&format!("{member}Untagged"), "0")]);
    router.check("Device.Bridging.Bridge.1.Port.3.AcceptableFrameTypes", "AdmitOnlyVLANTagged");
    let bridge = router.add("Device.Bridging.Bridge.");
    let plain = router.add(&format!("{bridge}Port."));
    each(&mut router, &plain, &[("IngressFiltering", "0"), ("Type", "VLANUnawarePort")]);
}

/// The default of a port that is tagged only, or in two VLANs untagged, is no order to change it.
#[test]
fn a_pvid_as_it_is_read_changes_nothing() {
    let network = "
config interface 'lan'
	option proto 'static'
	option device 'br-lan.1'

config device
	option name 'br-lan'
	option type 'bridge'
	list ports 'lan1'
	list ports 'lan2'
	list ports 'lan3'

config bridge-vlan
	option device 'br-lan'
	option vlan '1'
	list ports 'lan1'
	list ports 'lan3:t'

config bridge-vlan
	option device 'br-lan'
	option vlan '20'
	list ports 'lan1:u'
	list ports 'lan2:t'
	list ports 'lan3:t'
";
    let mut router = router::router_with(&[("etc/config/network", network)]);
    let before = router.config("network");
    for port in 2..=4 {
        let pvid = format!("Device.Bridging.Bridge.1.Port.{port}.PVID");
        router.check(&pvid, "1");
        router.set(&[(&pvid, "1")]);
        assert_eq!(router.config("network"), before, "{pvid}");
    }
    // It takes no frames without tags; when it is to, the VLAN that it shows is theirs.
    let (pvid, frames) =
        ("Device.Bridging.Bridge.1.Port.4.PVID", "Device.Bridging.Bridge.1.Port.4.AcceptableFrameTypes");
    router.check(frames, "AdmitOnlyVLANTagged");
    router.set(&[(pvid, "1"), (frames, "AdmitAll")]);
    router.has("network", &["list ports 'lan3:t*'", "list ports 'lan3:t'"]);
    let lines = router.config("network");
    let at = |line: &str| lines.iter().position(|one| one == line).unwrap();
    assert!(at("list ports 'lan3:t*'") < at("list ports 'lan3:t'"), "it is VLAN 1's: {lines:?}");
    router.check(pvid, "1");
    router.check(frames, "AdmitAll");
    router.set(&[(frames, "AdmitOnlyVLANTagged")]);
    let plain = |line: &String| line.replace("lan3:t'", "lan3'");
    let same = |lines: Vec<String>| lines.iter().map(plain).collect::<Vec<_>>();
    assert_eq!(same(router.config("network")), same(before));
    router.set(&[(frames, "AdmitAll"), (pvid, "20")]);
    router.has("network", &["list ports 'lan3:t'", "list ports 'lan3:t*'"]);
    router.check(pvid, "20");
    let untagged = "Device.Bridging.Bridge.1.Port.2.AcceptableFrameTypes";
    for word in ["AdmitOnlyVLANTagged", "AdmitOnlyPrioUntagged"] {
        let input = Input { text: word.to_owned(), ..Input::default() };
        let why = router.model.set(&[(untagged.to_owned(), input)], None).unwrap_err();
        let ErrorKind::Several(list) = why.kind() else { panic!("{why:?}") };
        assert!(matches!(list[0].1.kind(), ErrorKind::BadValue { .. }), "{word}: {why:?}");
    }
    // Before or after what makes it possible.
    let at = |n: usize, name: &str| format!("Device.Bridging.Bridge.1.VLANPort.{n}.{name}");
    let port = "Device.Bridging.Bridge.1.Port.2";
    let member = (1..=5).filter(|n| router.value(&at(*n, "Port")) == port).collect::<Vec<_>>();
    let mut all = vec![(untagged.to_owned(), "AdmitOnlyVLANTagged")];
    all.extend(member.iter().map(|n| (at(*n, "Untagged"), "0")));
    let asked: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    router.set(&asked);
    router.check(untagged, "AdmitOnlyVLANTagged");
}

#[test]
fn addresses_for_nobody() {
    let mut router = router("", "");
    let reserved = "Device.DHCPv4.Server.Pool.1.ReservedAddresses";
    router.check(reserved, "");
    router.set(&[(reserved, "192.168.1.105,192.168.1.106")]);
    router.has(
        "dhcp",
        &["config host 'reserved1'", "option mac '01:00:c0:a8:01:69'", "option ip '192.168.1.105'"],
    );
    router.check("Device.DHCPv4.Server.Pool.1.StaticAddressNumberOfEntries", "1");
    router.set(&[(reserved, "192.168.1.106")]);
    lacks(&router, "dhcp", "192.168.1.105");
    assert!(router.try_set(&[(reserved, "10.0.0.1")]).is_err());
    router.set(&[(reserved, "")]);
    lacks(&router, "dhcp", "reserved");
}

#[test]
fn an_interface_without_ipv4() {
    let network = "
config interface 'lab'
	option proto 'static'
	option device 'lan3'
	option ipaddr '10.7.0.2'
	option netmask '255.255.255.0'
	option gateway '10.7.0.1'
";
    let mut router = router("", network);
    let lab = router.find("Device.IP.Interface.", "Name", "lab");
    let new = router.add(&format!("{lab}IPv4Address."));
    router.set(&[(&format!("{lab}IPv4Enable"), "0")]);
    router.has("network", &["option rcwmp_ip4 '0'", "option rcwmp_gateway '10.7.0.1'"]);
    lacks(&router, "network", "option ipaddr '10.7.0.2'");
    lacks(&router, "network", "option gateway");
    let addresses = [
        ("IPv4Address.1.IPAddress", "10.7.0.2"),
        ("IPv4Address.1.Enable", "1"),
        ("IPv4Address.1.Status", "Disabled"),
    ];
    each(&mut router, &lab, &addresses);
    router.set(&[
        (&format!("{new}IPAddress"), "10.8.0.2"),
        (&format!("{lab}IPv4Address.1.SubnetMask"), "255.255.0.0"),
    ]);
    router.set(&[(&format!("{lab}IPv4Enable"), "1")]);
    router.has(
        "network",
        &["option ipaddr '10.7.0.2'", "option netmask '255.255.0.0'", "option gateway '10.7.0.1'"],
    );
    lacks(&router, "network", "rcwmp_ip4");
    router.check(&format!("{new}IPAddress"), "10.8.0.2");
    // What a protocol brings is the protocol's.
    let wan = router.find("Device.IP.Interface.", "Name", "wan");
    assert!(router.try_set(&[(&format!("{wan}IPv4Enable"), "0")]).is_err());
}

/// `Max…Entries` is what AddObject takes: as many as every table, or none of what cannot be added.
#[test]
fn the_most_entries_that_are_told() {
    let schema = compiled::schema();
    let mut seen = 0;
    for object in schema.objects() {
        for param in object.params.iter().filter(|param| param.name.starts_with("Max")) {
            let Some(table) = param.name[3..].strip_suffix("Entries") else { continue };
            // Bridges of any kind are of one table, and so are their VLANs.
            let table = match table {
                "DBridge" | "QBridge" | "ProviderBridge" => "Bridge.{i}",
                "VLAN" => "Bridge.{i}.VLAN.{i}",
                other => &format!("{other}.{{i}}"),
            };
            let found = schema.find(&format!("{}{table}.", object.path));
            let addable =
                found.is_some_and(|at| schema.objects()[at].add) && param.name != "MaxProviderBridgeEntries";
            let most = if addable { MAX_INSTANCES } else { 0 };
            assert_eq!(param.source.spec, most.to_string(), "{}{}", object.path, param.name);
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
}

/// What cannot be because its program is not installed is no internal error of the agent's.
#[test]
fn without_its_package() {
    let mut router = router_with(&[("etc/config/network", NETWORK)]);
    for table in ["Device.GRE.Tunnel.", "Device.QoS.Shaper.", "Device.NAT.PortMapping."] {
        let why = router.model.add(table, None).unwrap_err();
        assert!(matches!(why.kind(), ErrorKind::Exhausted(_)), "{table}: {why:?}");
    }
    for (name, value) in
        [("Device.DHCPv4.Server.Enable", "0"), ("Device.Firewall.Level.1.DefaultPolicy", "Drop")]
    {
        let input = Input { text: value.to_owned(), ..Input::default() };
        let why = router.model.set(&[(name.to_owned(), input)], None).unwrap_err();
        let ErrorKind::Several(list) = why.kind() else { panic!("{why:?}") };
        assert!(matches!(list[0].1.kind(), ErrorKind::Exhausted(_)), "{name}: {why:?}");
    }
}

/// Below 68 octets the kernel ends IPv4 on a device, whatever TR-181's range begins with.
#[test]
fn the_smallest_mtu() {
    let mut router = router_with(&[("etc/config/network", NETWORK)]);
    let lan = router.find("Device.IP.Interface.", "Name", "lan");
    let mtu = format!("{lan}MaxMTUSize");
    for bad in ["63", "64", "67"] {
        assert!(router.try_set(&[(&mtu, bad)]).is_err(), "{bad}");
    }
    router.set(&[(&mtu, "68")]);
    router.has("network", &["option mtu '68'"]);
}

/// Numbers that nobody knows are those that will be, and not the least that TR-181 allows; written back they are no
/// setting. What is below a range is shown as the least of it.
#[test]
fn numbers_that_are_not_known() {
    const FIVE: &str = "config wifi-device 'radio0'\n\toption band '5g'\n\toption channel 'auto'\n";
    let network = NETWORK.replace("option type 'bridge'", "option type 'bridge'\n\toption forward_delay '2'");
    assert_ne!(network, NETWORK);
    let mut router = router_with(&[("etc/config/network", &network), ("etc/config/wireless", FIVE)]);
    let interface = router.add("Device.IP.Interface.");
    let mtu = format!("{interface}MaxMTUSize");
    router.check(&mtu, "1500");
    router.set(&[(&mtu, "1500")]);
    assert!(router.config("network").iter().all(|line| !line.contains("mtu")));
    router.set(&[(&mtu, "1400")]);
    router.has("network", &["option mtu '1400'"]);
    router.set(&[(&mtu, "1500")]);
    router.has("network", &["option mtu '1500'"]);
    router.add("Device.PPP.Interface.");
    let above = router.find("Device.IP.Interface.", "Name", "ppp1");
    router.check(&format!("{above}MaxMTUSize"), "1492");
    router.check("Device.WiFi.Radio.1.Channel", "36");
    router.check("Device.Bridging.Bridge.1.STP.ForwardingDelay", "4");
}
