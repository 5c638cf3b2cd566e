//! Tunnels through the whole model: GRE, 6rd, DS-Lite, 6in4, WireGuard; and what routers and neighbours tell of IPv6.
#![cfg(feature = "lab")]
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/router.rs"]
mod router;

use programs::{Programs, says, says_json};
use rcwmp::model::error::ErrorKind;
use router::{Router, open_with, put, router_with};

const NETWORK: &str = "
config interface 'wan'
	option device 'wan'
	option proto 'pppoe'

config interface 'wan6'
	option device '@wan'
	option proto 'dhcpv6'

config interface 'wg0'
	option proto 'wireguard'
	option private_key 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='
	option listen_port '51820'
	list addresses '10.8.0.1/24'
	list addresses 'fd00:8::1/64'

config wireguard_wg0
	option description 'phone'
	option public_key 'BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA='
	list allowed_ips '10.8.0.2/32'
	option route_allowed_ips '1'
	option persistent_keepalive '25'

config interface 'henet'
	option proto '6in4'
	option peeraddr '198.51.100.1'
	option ip6addr '2001:db8:f::2/64'
	list ip6prefix '2001:db8:f100::/48'
	option disabled '1'

config interface 'office'
	option proto 'gretap'
	option peeraddr '198.51.100.7'
	option okey '42'
	option ikey '42'
	option ocsum '1'

config interface 'rapid'
	option proto '6rd'
	option peeraddr '198.51.100.9'
	option ip6prefix '2001:db8::'
	option ip6prefixlen '30'
	option ip4prefixlen '8'

config interface 'lite'
	option proto 'dslite'
	option peeraddr 'aftr.example.net'
";

const EN: &str = "Enable";

fn router(programs: Option<&Programs>, network: &str) -> Router {
    let Router { dir, model } = router_with(&[("etc/config/network", network)]);
    drop(model);
    for name in ["gre", "6in4", "wireguard", "vxlan", "map"] {
        put(dir.path(), &format!("lib/netifd/proto/{name}.sh"), "");
    }
    open_with(dir, programs.map(Programs::socket))
}

fn each(router: &mut Router, base: &str, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        router.check(&format!("{base}{name}"), value);
    }
}

fn interface(router: &mut Router, name: &str) -> String {
    router.find("Device.IP.Interface.", "Name", name).trim_end_matches('.').to_owned()
}

#[test]
fn tunnels_that_are_configured() {
    let programs = Programs::start(&[("network.interface", "dump", says("network.interface.dump-pppoe"))]);
    let mut router = router(Some(&programs), NETWORK);
    let gre = "Device.GRE.Tunnel.1.";
    each(
        &mut router,
        gre,
        &[
            (EN, "1"),
            ("Status", "Error"),
            ("RemoteEndpoints", "198.51.100.7"),
            ("DeliveryHeaderProtocol", "IPv4"),
            ("ConnectedRemoteEndpoint", ""),
            ("InterfaceNumberOfEntries", "1"),
            ("Interface.1.Name", "gre4t-office"),
            ("Interface.1.KeyIdentifierGenerationPolicy", "Provisioned"),
            ("Interface.1.KeyIdentifier", "42"),
            ("Interface.1.UseChecksum", "1"),
            ("Interface.1.UseSequenceNumber", "0"),
        ],
    );
    let rapid = interface(&mut router, "rapid");
    each(
        &mut router,
        "Device.IPv6rd.",
        &[
            (EN, "1"),
            ("InterfaceSetting.1.SPIPv6Prefix", "2001:db8::/30"),
            ("InterfaceSetting.1.IPv4MaskLength", "8"),
            ("InterfaceSetting.1.BorderRelayIPv4Addresses", "198.51.100.9"),
            ("InterfaceSetting.1.TunneledInterface", &rapid),
        ],
    );
    each(
        &mut router,
        "Device.DSLite.InterfaceSetting.1.",
        &[
            ("EndpointName", "aftr.example.net"),
            ("EndpointAddress", ""),
            ("EndpointAddressTypePrecedence", "FQDN"),
            ("Origin", "Static"),
        ],
    );
    each(
        &mut router,
        "Device.X_RCWMP_Tunnels.Interface.1.",
        &[
            (EN, "0"),
            ("Status", "Down"),
            ("Protocol", "6in4"),
            ("Name", "6in4-henet"),
            ("RemoteEndpoint", "198.51.100.1"),
            ("IPv6Prefixes", "2001:db8:f100::/48"),
            ("TTL", "64"),
        ],
    );
    let wg = "Device.X_RCWMP_WireGuard.Interface.1.";
    each(
        &mut router,
        wg,
        &[
            ("Status", "Up"),
            ("LastChange", "2"),
            ("PrivateKey", ""),
            ("ListenPort", "51820"),
            ("Addresses", "10.8.0.1/24,fd00:8::1/64"),
            ("PeerNumberOfEntries", "1"),
            ("Peer.1.Description", "phone"),
            ("Peer.1.AllowedIPs", "10.8.0.2/32"),
            ("Peer.1.RouteAllowedIPs", "1"),
            ("Peer.1.PersistentKeepalive", "25"),
            ("Peer.1.EndpointHost", ""),
        ],
    );
    // What a router advertised on the line of DHCPv6.
    let wan6 = interface(&mut router, "wan6");
    router.check("Device.Routing.RouteInformation.InterfaceSettingNumberOfEntries", "1");
    let learnt = "Device.Routing.RouteInformation.InterfaceSetting.1.";
    each(&mut router, learnt, &[("Interface", &wan6), ("Prefix", "::/0"), ("PreferredRouteFlag", "Medium")]);
    assert!(router.value(&format!("{learnt}SourceRouter")).starts_with("fe80::"));
    assert!(programs.calls().values().all(|count| *count <= 2));
}

#[test]
fn routers_with_preferences() {
    let told = r#"{"interface":[{"interface":"wan6","up":true,"proto":"dhcpv6","l3_device":"pppoe-wan","route":[
        {"target":"2001:db8:7::","mask":48,"nexthop":"fe80::7","metric":640,"valid":60},
        {"target":"::","mask":0,"nexthop":"fe80::1","metric":384,"valid":4294967295}]}]}"#;
    let programs = Programs::start(&[("network.interface", "dump", says_json(told))]);
    let mut router = router(Some(&programs), NETWORK);
    each(
        &mut router,
        "Device.Routing.RouteInformation.InterfaceSetting.1.",
        &[
            ("Prefix", "::/0"),
            ("SourceRouter", "fe80::1"),
            ("PreferredRouteFlag", "High"),
            ("RouteLifetime", "9999-12-31T23:59:59Z"),
        ],
    );
}

#[test]
fn a_gre_tunnel_from_nothing() {
    let mut router = router(None, NETWORK);
    let new = router.add("Device.GRE.Tunnel.");
    each(
        &mut router,
        &new,
        &[
            (EN, "0"),
            ("Status", "Disabled"),
            ("RemoteEndpoints", ""),
            ("Interface.1.KeyIdentifierGenerationPolicy", "Disabled"),
            ("Interface.1.KeyIdentifier", "0"),
        ],
    );
    router.set(&[
        (&format!("{new}RemoteEndpoints"), "192.0.2.9"),
        (&format!("{new}Interface.1.KeyIdentifier"), "7"),
        (&format!("{new}Interface.1.UseSequenceNumber"), "1"),
        (&format!("{new}{EN}"), "1"),
    ]);
    router.has("network", &["config interface 'gre1'", "option proto 'gre'", "option peeraddr '192.0.2.9'"]);
    router.has("network", &["option rcwmp_key '7'", "option iseqno '1'", "option oseqno '1'"]);
    router.set(&[(&format!("{new}Interface.1.KeyIdentifierGenerationPolicy"), "Provisioned")]);
    router.has("network", &["option okey '7'", "option ikey '7'"]);
    router.check(&format!("{new}Interface.1.KeyIdentifier"), "7");
    router.set(&[
        (&format!("{new}DeliveryHeaderProtocol"), "IPv6"),
        (&format!("{new}RemoteEndpoints"), "2001:db8::9"),
    ]);
    router.has("network", &["option proto 'grev6'", "option peer6addr '2001:db8::9'"]);
    assert!(router.try_set(&[(&format!("{new}RemoteEndpoints"), "192.0.2.9,192.0.2.10")]).is_err());
    assert!(router.try_set(&[(&format!("{new}RemoteEndpoints"), "a b")]).is_err());
    // The tunnel is an interface of IP too.
    interface(&mut router, "gre1");
    router.delete(&new);
    assert!(router.config("network").iter().all(|line| !line.contains("gre1")));
}

#[test]
fn peers_of_wireguard_go_with_their_interface() {
    let mut router = router(None, NETWORK);
    let table = "Device.X_RCWMP_WireGuard.Interface.";
    let new = router.add(table);
    router.set(&[(&format!("{new}ListenPort"), "51821"), (&format!("{new}Addresses"), "10.9.0.1/24")]);
    for host in ["a.example", "b.example"] {
        let peer = router.add(&format!("{new}Peer."));
        router.check(&format!("{peer}{EN}"), "0");
        router.set(&[
            (&format!("{peer}PublicKey"), "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA="),
            (&format!("{peer}AllowedIPs"), "10.9.0.2/32,fd00::/64"),
            (&format!("{peer}EndpointHost"), host),
            (&format!("{peer}{EN}"), "1"),
        ]);
    }
    router.has("network", &["config wireguard_wireguard1", "list allowed_ips 'fd00::/64'"]);
    for (name, bad) in [("AllowedIPs", "10.9.0.2/32;reboot"), ("Description", "a\nb"), ("EndpointPort", "0")]
    {
        assert!(router.try_set(&[(&format!("{new}Peer.1.{name}"), bad)]).is_err(), "{name}");
    }
    router.delete(&format!("{new}Peer.1."));
    router.check(&format!("{new}Peer.2.EndpointHost"), "b.example");
    router.delete(&new);
    assert!(router.config("network").iter().all(|line| !line.contains("wireguard1")));
    router.check(&format!("{table}1.PeerNumberOfEntries"), "1");
}

#[test]
fn other_ends_of_the_old_protocols() {
    let mut router = router(None, NETWORK);
    let lite = "Device.DSLite.InterfaceSetting.1.";
    router.set(&[(&format!("{lite}EndpointAddress"), "2001:db8::aff")]);
    router.has("network", &["option peeraddr '2001:db8::aff'"]);
    each(&mut router, lite, &[("EndpointName", ""), ("EndpointAddressTypePrecedence", "IPv6Address")]);
    router.set(&[(&format!("{lite}EndpointName"), "")]);
    router.check(&format!("{lite}EndpointAddress"), "2001:db8::aff");
    router.set(&[(&format!("{lite}EndpointName"), "b.example")]);
    router.check(&format!("{lite}EndpointAddress"), "");
    let rd = "Device.IPv6rd.InterfaceSetting.1.";
    router.set(&[(&format!("{rd}SPIPv6Prefix"), "2001:db8:100::/40"), (&format!("{rd}{EN}"), "0")]);
    router.has("network", &["option ip6prefix '2001:db8:100::'", "option ip6prefixlen '40'"]);
    each(&mut router, rd, &[("Status", "Disabled")]);
    // The whole is on, though nothing of it is.
    router.check("Device.IPv6rd.Enable", "1");
    let six = router.add("Device.X_RCWMP_Tunnels.Interface.");
    let wan = interface(&mut router, "wan");
    router.set(&[(&format!("{six}TunnelLink"), &wan), (&format!("{six}RemoteEndpoint"), "192.0.2.4")]);
    router.has("network", &["config interface 'tun1'", "option tunlink 'wan'"]);
    router.delete(&format!("{wan}."));
    router.check(&format!("{six}TunnelLink"), "");
}

#[test]
fn a_protocol_without_its_package_is_not_added() {
    let mut router = router_with(&[("etc/config/network", NETWORK)]);
    for (table, proto) in [
        ("Device.GRE.Tunnel.", "gre"),
        ("Device.VXLAN.Tunnel.", "vxlan"),
        ("Device.MAP.Domain.", "map"),
        ("Device.X_RCWMP_Tunnels.Interface.", "6in4"),
        ("Device.X_RCWMP_WireGuard.Interface.", "wireguard"),
    ] {
        let refused = router.model.add(table, None).unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Exhausted(_)), "{table}: 9004, not {refused}");
        assert!(refused.to_string().ends_with(&format!("no package for {proto}")), "{refused}");
    }
    // Where the standard has no AddObject, there is none to refuse; and what nobody could serve is not switched on.
    let mut bare = router_with(&[]);
    for name in ["DSLite", "IPv6rd"] {
        assert!(matches!(
            bare.model.add(&format!("Device.{name}.InterfaceSetting."), None).unwrap_err().kind(),
            ErrorKind::NotAddable(_)
        ));
        bare.check(&format!("Device.{name}.Enable"), "0");
        assert!(bare.try_set(&[(&format!("Device.{name}.Enable"), "1")]).is_err(), "{name}");
    }
}

#[test]
fn neighbours_of_ipv6() {
    let mut router = router(None, NETWORK);
    router.check("Device.NeighborDiscovery.InterfaceSettingNumberOfEntries", "0");
    let root = router.dir.path().to_owned();
    for (name, text) in [
        ("conf/all/disable_ipv6", "0\n"),
        ("conf/wg0/disable_ipv6", "0\n"),
        ("conf/wg0/dad_transmits", "2\n"),
        ("neigh/wg0/retrans_time_ms", "broken\n"),
    ] {
        put(&root, &format!("proc/sys/net/ipv6/{name}"), text);
    }
    router.model.refresh();
    let wg = interface(&mut router, "wg0");
    router.check("Device.NeighborDiscovery.Enable", "1");
    each(
        &mut router,
        "Device.NeighborDiscovery.InterfaceSetting.1.",
        &[
            (EN, "1"),
            ("Status", "Enabled"),
            ("Interface", &wg),
            ("DADTransmits", "2"),
            ("RetransTimer", "1000"),
        ],
    );
}

#[test]
fn broken_sections_have_defaults() {
    let network = "
config interface 'a'
	option proto 'gre'
	option peeraddr 'x y'
	option okey 'none'
	option ocsum 'perhaps'

config interface 'b'
	option proto '6rd'
	option peeraddr 'x'
	option ip6prefix 'x'
	option ip4prefixlen '99'

config interface 'c'
	option proto 'dslite'

config interface 'd'
	option proto 'wireguard'
	option listen_port '-1'

config wireguard_d

config interface 'e'
	option proto 'vxlan'
	option vid '99999999999'
";
    let mut router = router(None, network);
    each(
        &mut router,
        "Device.GRE.Tunnel.1.",
        &[("Interface.1.KeyIdentifier", "0"), ("Interface.1.UseChecksum", "0"), ("Status", "Error")],
    );
    each(
        &mut router,
        "Device.IPv6rd.InterfaceSetting.1.",
        &[("SPIPv6Prefix", ""), ("IPv4MaskLength", "0"), ("BorderRelayIPv4Addresses", "")],
    );
    router.check("Device.DSLite.InterfaceSetting.1.EndpointName", "");
    router.check("Device.X_RCWMP_WireGuard.Interface.1.ListenPort", "0");
    router.check("Device.VXLAN.Tunnel.1.Interface.1.VNI", "0");
    let names = router.model.params("Device.").unwrap().len();
    assert_eq!(router.model.values(["Device."]).unwrap().len(), names);
}

#[test]
fn vxlan_over_wireguard() {
    // As netjsonconfig renders it.
    let network = format!(
        "{NETWORK}\nconfig interface 'vxlan1'\n\toption proto 'vxlan'\n\toption peeraddr '10.0.0.1'\n\toption port '4790'\n\
         \toption tunlink 'wg0'\n\toption vid '1'\n"
    );
    let mut router = router(None, &network);
    let tunnel = "Device.VXLAN.Tunnel.1.";
    let wg = interface(&mut router, "wg0");
    each(
        &mut router,
        tunnel,
        &[
            ("RemoteEndpoints", "10.0.0.1"),
            ("RemotePort", "4790"),
            ("DeliveryHeaderProtocol", "IPv4"),
            ("Interface.1.Name", "vxlan1"),
            ("Interface.1.VNI", "1"),
            ("Interface.1.LowerLayers", &wg),
        ],
    );
    router.set(&[
        (&format!("{tunnel}DeliveryHeaderProtocol"), "IPv6"),
        (&format!("{tunnel}Interface.1.VNI"), "77"),
    ]);
    let port = format!("{tunnel}SourcePort");
    router.check(&port, "0");
    router.set(&[(&port, "40000")]);
    router.has("network", &["option srcportmin '40000'", "option srcportmax '40001'"]);
    assert!(router.try_set(&[(&port, "65535")]).is_err());
    router.set(&[(&port, "0")]);
    assert!(router.config("network").iter().all(|line| !line.contains("srcport")));
    router.has("network", &["option proto 'vxlan6'", "option peer6addr '10.0.0.1'", "option vid '77'"]);
    let new = router.add("Device.VXLAN.Tunnel.");
    each(&mut router, &new, &[(EN, "0"), ("RemotePort", "4789")]);
    router.delete(&new);
    // What the tunnel goes by is gone.
    router.delete("Device.X_RCWMP_WireGuard.Interface.1.");
    router.check(&format!("{tunnel}Interface.1.LowerLayers"), "");
}

#[test]
fn domains_of_map() {
    let mut router = router(None, NETWORK);
    let new = router.add("Device.MAP.Domain.");
    let each_is =
        [(EN, "0"), ("Status", "Disabled"), ("TransportMode", "Translation"), ("Rule.1.PSIDOffset", "6")];
    each(&mut router, &new, &each_is);
    let wan6 = interface(&mut router, "wan6");
    router.set(&[
        (&format!("{new}TransportMode"), "Translation"),
        (&format!("{new}WANInterface"), &wan6),
        (&format!("{new}BRIPv6Prefix"), "2001:db8:ffff::1/128"),
        (&format!("{new}Rule.1.IPv6Prefix"), "2001:db8::/40"),
        (&format!("{new}Rule.1.IPv4Prefix"), "192.0.2.0/24"),
        (&format!("{new}Rule.1.EABitsLength"), "16"),
        (&format!("{new}{EN}"), "1"),
    ]);
    router.has(
        "network",
        &[
            "config interface 'map1'",
            "option proto 'map'",
            "option type 'map-t'",
            "option tunlink 'wan6'",
            "option peeraddr '2001:db8:ffff::1'",
            "option ip6prefix '2001:db8::'",
            "option ip6prefixlen '40'",
            "option ipaddr '192.0.2.0'",
            "option ip4prefixlen '24'",
            "option ealen '16'",
        ],
    );
    router.check("Device.MAP.Enable", "1");
    assert!(router.try_set(&[(&format!("{new}Rule.1.EABitsLength"), "49")]).is_err());
    router.delete(&new);
    router.check("Device.MAP.DomainNumberOfEntries", "0");
}
