//! Firewall policies and sets, classifications that mark DSCP, and shapers of sqm and qosify, through the whole model.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/router.rs"]
mod router;

use router::{NETWORK, Router, put, router_with};

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

config forwarding
	option src 'lan'
	option dest 'wan'

config forwarding
	option src 'lan'
	option dest 'gone'
	option family 'ipv6'

config rule
	option name 'Allow-Ping'
	option src 'wan'
	option proto 'icmp'
	option target 'ACCEPT'
	option dscp '!CS1'

config rule
	option name 'Voice'
	option src 'lan'
	option dest 'wan'
	option proto 'udp'
	option dest_port '!5060-5070'
	option target 'DSCP'
	option set_dscp 'EF'

config ipset
	option name 'friends'
	option family 'ipv4'
	list match 'src_ip'
	list entry '192.0.2.1'
	list entry '198.51.100.0/24'

config ipset
	option name 'doors'
	option match 'dest_port'
	option entry '80 443 8000-8010 many'
";

/// `queue` as on two routers with 24.10.
const SQM: &str = "
config queue
	option interface 'modem'
	option qdisc 'cake'
	option linklayer 'none'
	option script 'autorate-ct.qos'
	option download '85000'
	option upload '20000'
	option enabled '1'

config queue 'normal'
	option interface 'pppoe-gone'
	option enabled '0'
	option upload '0'
";

const QOSIFY: &str = "
config defaults
	list defaults '/etc/qosify/*.conf'

config class besteffort
	option ingress 'CS0'

config interface 'wan'
	option name 'wan'
	option disabled '1'
	option bandwidth_up '100mbit'
	option bandwidth_down 'plenty'

config device 'wandev'
	option name 'br-lan'
	option bandwidth '100mbit'
";

fn router(more: &[(&str, &str)]) -> Router {
    let mut files = vec![("etc/config/network", NETWORK), ("etc/config/firewall", FIREWALL)];
    files.extend(more);
    router_with(&files)
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
fn forwardings_are_policies() {
    let mut router = router(&[]);
    let (lan, wan) = (interface(&mut router, "lan"), interface(&mut router, "wan"));
    router.check("Device.Firewall.PolicyNumberOfEntries", "2");
    each(
        &mut router,
        "Device.Firewall.Policy.1.",
        &[
            ("Enable", "1"),
            ("Status", "Enabled"),
            ("TargetChain", "Accept"),
            ("SourceInterface", &lan),
            ("DestinationInterface", &wan),
            ("IPVersion", "-1"),
        ],
    );
    let broken = [("Status", "Error_Misconfigured"), ("DestinationInterface", ""), ("IPVersion", "6")];
    each(&mut router, "Device.Firewall.Policy.2.", &broken);
    let new = router.add("Device.Firewall.Policy.");
    each(&mut router, &new, &[("Enable", "0"), ("Status", "Disabled"), ("SourceInterface", "")]);
    router.set(&[
        (&format!("{new}SourceInterface"), &wan),
        (&format!("{new}DestinationInterface"), &lan),
        (&format!("{new}IPVersion"), "6"),
        (&format!("{new}Enable"), "1"),
    ]);
    router.has("firewall", &["config forwarding 'policy1'", "option src 'wan'", "option family 'ipv6'"]);
    router.check(&format!("{new}Status"), "Enabled");
    let iptv = interface(&mut router, "iptv");
    assert!(router.try_set(&[(&format!("{new}SourceInterface"), &iptv)]).is_err());
    router.delete(&new);
    router.check("Device.Firewall.PolicyNumberOfEntries", "2");
}

#[test]
fn sets_and_their_entries() {
    let mut router = router(&[]);
    let friends = router.find("Device.Firewall.Set.", "Name", "friends");
    each(
        &mut router,
        &friends,
        &[
            ("Type", "IPAddresses"),
            ("IPVersion", "4"),
            ("RuleNumberOfEntries", "1"),
            ("Rule.1.IPAddressList", "192.0.2.1"),
            ("Rule.1.PortList", ""),
        ],
    );
    let doors = router.find("Device.Firewall.Set.", "Name", "doors");
    each(&mut router, &doors, &[("Type", "Ports"), ("Rule.1.PortList", "80,443,8000-8010")]);
    // A network is no address in TR-181, and stays.
    router.set(&[(&format!("{friends}Rule.1.IPAddressList"), "192.0.2.7,192.0.2.8")]);
    router.has("firewall", &["list entry '198.51.100.0/24'", "list entry '192.0.2.8'"]);
    assert!(router.try_set(&[(&format!("{friends}Rule.1.PortList"), "80")]).is_err());
    assert!(router.try_set(&[(&format!("{doors}Rule.1.PortList"), "90-80")]).is_err());
    let new = router.add("Device.Firewall.Set.");
    each(&mut router, &new, &[("Enable", "0"), ("Name", ""), ("Type", "IPAddresses")]);
    router.set(&[(&format!("{new}Name"), "cards"), (&format!("{new}Type"), "MACAddresses")]);
    router.set(&[(&format!("{new}Rule.1.MACAddressList"), "02:00:00:00:00:01")]);
    router.has("firewall", &["option match 'src_mac'", "list entry '02:00:00:00:00:01'"]);
    router.delete(&new);
    assert!(router.config("firewall").iter().all(|line| !line.contains("cards")));
}

#[test]
fn rules_that_mark_are_classifications() {
    let mut router = router(&[]);
    let chain = "Device.Firewall.Chain.1.";
    router.check(&format!("{chain}RuleNumberOfEntries"), "1");
    each(&mut router, &format!("{chain}Rule.1."), &[("DSCP", "8"), ("DSCPExclude", "1")]);
    router.set(&[(&format!("{chain}Rule.1.DSCP"), "16")]);
    router.has("firewall", &["option dscp '!16'"]);
    router.set(&[(&format!("{chain}Rule.1.DSCPExclude"), "0"), (&format!("{chain}Rule.1.DSCP"), "-1")]);
    assert!(router.config("firewall").iter().all(|line| !line.starts_with("option dscp")));

    let lan = interface(&mut router, "lan");
    let class = "Device.QoS.Classification.1.";
    each(
        &mut router,
        class,
        &[
            ("Status", "Enabled"),
            ("Order", "1"),
            ("Interface", &lan),
            ("Protocol", "17"),
            ("DestPort", "5060"),
            ("DestPortRangeMax", "5070"),
            ("DestPortExclude", "1"),
            ("DSCPCheck", "-1"),
            ("DSCPMark", "46"),
        ],
    );
    router.set(&[(&format!("{class}DestPort"), "5061")]);
    router.has("firewall", &["option dest_port '!5061-5070'"]);
    router.set(&[(&format!("{class}ProtocolExclude"), "1"), (&format!("{class}Protocol"), "6")]);
    router.has("firewall", &["option proto '!tcp'"]);
    // In any order: what is excluded may come after the word that it is.
    let rule = router.add("Device.Firewall.Chain.1.Rule.");
    let at = |name: &str| format!("{rule}{name}");
    for name in ["DestPortExclude", "SourceIPExclude"] {
        assert!(router.try_set(&[(&at(name), "1")]).is_err(), "{name}");
    }
    router.set(&[
        (&at("DestPortExclude"), "1"),
        (&at("SourceIPExclude"), "1"),
        (&at("Protocol"), "6"),
        (&at("DestPort"), "22"),
        (&at("SourceIP"), "192.0.2.7"),
    ]);
    router.has("firewall", &["option dest_port '!22'", "option src_ip '!192.0.2.7'"]);
    router.delete(&rule);
    let new = router.add("Device.QoS.Classification.");
    each(&mut router, &new, &[("Enable", "0"), ("DSCPMark", "-1"), ("Protocol", "-1")]);
    router.set(&[(&format!("{new}Enable"), "1")]);
    router.check(&format!("{new}Status"), "Error_Misconfigured");
    router.set(&[
        (&format!("{new}AllInterfaces"), "1"),
        (&format!("{new}SourceIP"), "192.168.1.9"),
        (&format!("{new}DSCPCheck"), "34"),
        (&format!("{new}DSCPMark"), "0"),
    ]);
    router.check(&format!("{new}Status"), "Enabled");
    router.has(
        "firewall",
        &["option target 'DSCP'", "option set_dscp '0'", "option dscp '34'", "option src '*'"],
    );
    assert!(router.try_set(&[(&format!("{new}DSCPMark"), "64")]).is_err());
    router.delete(&new);
    router.check("Device.QoS.ClassificationNumberOfEntries", "1");
}

#[test]
fn shapers_of_two_packages() {
    let mut router = router(&[("etc/config/sqm", SQM), ("etc/config/qosify", QOSIFY)]);
    router.check("Device.QoS.ShaperNumberOfEntries", "4");
    let vlan = router.find("Device.Ethernet.VLANTermination.", "Name", "modem");
    let sqm = router.find("Device.QoS.Shaper.", "ShapingRate", "20000000");
    each(
        &mut router,
        &sqm,
        &[
            ("Status", "Enabled"),
            ("Interface", vlan.trim_end_matches('.')),
            ("X_RCWMP_DownstreamRate", "85000000"),
        ],
    );
    let qosify = router.find("Device.QoS.Shaper.", "ShapingRate", "100000000");
    each(
        &mut router,
        &qosify,
        &[
            ("Enable", "0"),
            ("Status", "Disabled"),
            ("Interface", vlan.trim_end_matches('.')),
            ("X_RCWMP_DownstreamRate", "-1"),
        ],
    );
    router.set(&[
        (&format!("{sqm}ShapingRate"), "30000000"),
        (&format!("{sqm}X_RCWMP_DownstreamRate"), "-1"),
        (&format!("{sqm}Enable"), "0"),
        (&format!("{qosify}Enable"), "1"),
        (&format!("{qosify}ShapingRate"), "5000000"),
    ]);
    router.has("sqm", &["option upload '30000'", "option download '0'", "option enabled '0'"]);
    router.has("qosify", &["option disabled '0'", "option bandwidth_up '5000kbit'"]);
    assert!(router.try_set(&[(&format!("{sqm}ShapingRate"), "30000001")]).is_err());
    let link = router.find("Device.Ethernet.Link.", "Name", "br-lan");
    let on_link = format!("{qosify}Interface");
    let why = router.try_set(&[(&on_link, link.trim_end_matches('.'))]).unwrap_err();
    assert!(why.contains("Device.QoS.Shaper.4. has the same Interface"), "{why}");
    router.set(&[("Device.QoS.Shaper.4.Enable", "0")]);
    router.set(&[(&on_link, link.trim_end_matches('.'))]);
    router.has("qosify", &["option name 'lan'"]);

    assert!(router.model.add("Device.QoS.Shaper.", None).is_err());
    put(router.dir.path(), "etc/init.d/sqm", "");
    let new = router.add("Device.QoS.Shaper.");
    each(&mut router, &new, &[("Enable", "0"), ("Interface", ""), ("ShapingRate", "-1")]);
    router.set(&[(&format!("{new}Interface"), vlan.trim_end_matches('.')), (&format!("{new}Enable"), "1")]);
    router.has("sqm", &["config queue 'shaper1'", "option interface 'modem'"]);
    // What is shaped goes.
    router.delete(&vlan);
    each(&mut router, &new, &[("Interface", "")]);
    router.delete(&new);
    router.check("Device.QoS.ShaperNumberOfEntries", "4");
}

#[test]
fn without_the_packages_tables_are_empty() {
    let mut router = router_with(&[("etc/config/network", NETWORK)]);
    for table in ["QoS.Shaper", "QoS.Classification", "Firewall.Policy", "Firewall.Set"] {
        router.check(&format!("Device.{table}NumberOfEntries"), "0");
    }
}

#[test]
fn echoes_of_ppp() {
    let network = "
config interface 'wan'
	option proto 'pppoe'
	option device 'wan'
	option keepalive '3 20'
	option ipv6 '0'

config interface 'other'
	option proto 'pppoe'
	option keepalive 'never'
	option demand 'often'
";
    let mut router = router_with(&[("etc/config/network", network)]);
    each(
        &mut router,
        "Device.PPP.Interface.1.",
        &[("LCPEcho", "20"), ("LCPEchoRetry", "3"), ("LCPEchoAdaptive", "1"), ("IPv6CPEnable", "0")],
    );
    each(
        &mut router,
        "Device.PPP.Interface.2.",
        &[("LCPEcho", "1"), ("LCPEchoRetry", "5"), ("IPv6CPEnable", "1"), ("IdleDisconnectTime", "0")],
    );
    router.set(&[
        ("Device.PPP.Interface.1.LCPEcho", "10"),
        ("Device.PPP.Interface.1.LCPEchoAdaptive", "0"),
        ("Device.PPP.Interface.1.IPv6CPEnable", "1"),
    ]);
    router
        .has("network", &["option keepalive '3 10'", "option keepalive_adaptive '0'", "option ipv6 'auto'"]);
}

#[test]
fn the_order_of_rules_is_the_order_of_their_sections() {
    let mut router = router(&[]);
    let base = "Device.Firewall.Chain.1.Rule.";
    let more = [router.add(base), router.add(base)];
    router.check(&format!("{base}1.Order"), "1");
    router.check("Device.QoS.Classification.1.Order", "1");
    router.set(&[
        (&format!("{}Description", more[0]), "second"),
        (&format!("{}Description", more[1]), "third"),
    ]);
    // Two moves of one request, and a write to a nameless section behind them.
    router.set(&[
        (&format!("{}Order", more[1]), "1"),
        (&format!("{base}1.Order"), "3"),
        (&format!("{base}1.Description"), "Pings"),
    ]);
    each(&mut router, base, &[("1.Order", "3"), ("1.Description", "Pings"), ("1.DSCP", "8")]);
    router.check(&format!("{}Order", more[0]), "2");
    let names: Vec<String> =
        router.config("firewall").into_iter().filter(|line| line.starts_with("option name ")).collect();
    let names: Vec<&str> = names.iter().map(|line| line.rsplit('\'').nth(1).unwrap()).collect();
    assert_eq!(names, ["lan", "wan", "third", "Voice", "friends", "doors", "second", "Pings"]);
    assert!(router.try_set(&[(&format!("{base}1.Order"), "4")]).is_err());
    router.check("Device.QoS.Classification.1.Order", "1");
    // Numbers stay with their rules, in another life too.
    let mut router = router.restart();
    router.check(&format!("{base}1.Description"), "Pings");
}

#[test]
fn doors_to_the_lan_and_to_the_router() {
    let mut router = router(&[]);
    let wan = interface(&mut router, "wan");
    let zone = router.add("Device.Firewall.DMZ.");
    each(
        &mut router,
        &zone,
        &[("Enable", "0"), ("Status", "Disabled"), ("Origin", "Controller"), ("Interface", "")],
    );
    router.set(&[(&format!("{zone}Enable"), "1")]);
    router.check(&format!("{zone}Status"), "Error_Misconfigured");
    router.set(&[
        (&format!("{zone}Interface"), &wan),
        (&format!("{zone}DestIP"), "192.168.1.7"),
        (&format!("{zone}SourcePrefix"), "198.51.100.0/24"),
    ]);
    router.check(&format!("{zone}Status"), "Enabled");
    router.has(
        "firewall",
        &["config redirect 'dmz1'", "option src_ip '198.51.100.0/24'", "option rcwmp_kind 'DMZ'"],
    );
    router.check("Device.NAT.PortMappingNumberOfEntries", "0");
    let mapping = router.add("Device.NAT.PortMapping.");
    let redirects = router.config("firewall").into_iter().filter(|line| line.starts_with("config redirect"));
    assert_eq!(redirects.collect::<Vec<_>>(), ["config redirect 'acs_map1'", "config redirect 'dmz1'"]);
    router.delete(&mapping);

    let service = router.add("Device.Firewall.Service.");
    each(
        &mut router,
        &service,
        &[("DestPort", "-1"), ("Protocol", "-1"), ("ICMPType", "-1"), ("Action", "Accept")],
    );
    router.set(&[
        (&format!("{service}Interface"), &wan),
        (&format!("{service}DestPort"), "22,443"),
        (&format!("{service}Protocol"), "6,17"),
        (&format!("{service}SourcePrefixes"), "192.0.2.0/24,2001:db8::/32"),
        (&format!("{service}Enable"), "1"),
    ]);
    router.check(&format!("{service}Status"), "Enabled");
    router.has(
        "firewall",
        &[
            "list dest_port '22'",
            "list dest_port '443'",
            "list proto 'tcp'",
            "list proto 'udp'",
            "list src_ip '2001:db8::/32'",
        ],
    );
    router.set(&[(&format!("{service}DestPort"), "-1"), (&format!("{service}Protocol"), "1")]);
    router.set(&[(&format!("{service}ICMPType"), "8"), (&format!("{service}Action"), "Drop")]);
    router.has("firewall", &["option icmp_type '8'", "option proto 'icmp'"]);
    assert!(router.try_set(&[(&format!("{service}Protocol"), "6,-1")]).is_err());

    let hole = router.add("Device.Firewall.Pinhole.");
    router.set(&[
        (&format!("{hole}Interface"), &wan),
        (&format!("{hole}IPVersion"), "6"),
        (&format!("{hole}Protocol"), "6"),
        (&format!("{hole}DestIP"), "2001:db8::7"),
        (&format!("{hole}DestPort"), "80"),
        (&format!("{hole}DestPortRangeMax"), "90"),
    ]);
    router.has("firewall", &["option dest_port '80-90'", "option dest '*'", "option family 'ipv6'"]);
    // None of them is one of the chain's rules.
    router.check("Device.Firewall.Chain.1.RuleNumberOfEntries", "1");
    for row in [zone, service, hole] {
        router.delete(&row);
    }
    assert!(router.config("firewall").iter().all(|line| !line.contains("rcwmp_kind")));
}

#[test]
fn what_the_firewall_logs_and_how_it_is_told_apart() {
    let mut router = router(&[]);
    let version = router.value("Device.Firewall.Version");
    assert_eq!(version.len(), 16);
    router.check("Device.Firewall.Level.1.DefaultLogPolicy", "0");
    router.set(&[("Device.Firewall.Level.1.DefaultLogPolicy", "1")]);
    assert_eq!(router.config("firewall").iter().filter(|line| *line == "option log '1'").count(), 2);
    router.model.refresh();
    assert_ne!(router.value("Device.Firewall.Version"), version);
    router.set(&[("Device.Firewall.Level.1.DefaultLogPolicy", "0")]);
    assert!(router.config("firewall").iter().all(|line| !line.contains("log")));
    router.check("Device.Firewall.Chain.1.Name", "rules");
    router.set(&[("Device.Firewall.Chain.1.Name", "of the house")]);
    router.check("Device.Firewall.Level.1.Chain", "Device.Firewall.Chain.1");
    let rule = "Device.QoS.Classification.1.";
    router.set(&[
        (&format!("{rule}SourceMACAddress"), "02:00:00:00:01:12"),
        (&format!("{rule}SourceMACExclude"), "1"),
    ]);
    router.has("firewall", &["option src_mac '!02:00:00:00:01:12'"]);
}

/// What fw4 leaves out, or applies to more than it says, does not show as if it worked.
#[test]
fn what_the_firewall_cannot_apply() {
    let zones = "config zone\n\toption name 'lan'\n\tlist network 'lan'\n\nconfig zone\n\toption name 'wan'\n\tlist network 'wan'\n\toption masq '1'\n\n\
        config zone\n\toption name 'six'\n\toption network 'wan6'\n\toption family 'ipv6'\n\n\
        config zone\n\toption name 'vpn'\n\toption device 'tun0'\n\toption masq '1'\n\n\
        config zone\n\toption name 'half'\n\toption network 'gone wan'\n\toption masq '1'\n\n\
        config zone\n\toption name 'none'\n\toption network 'gone6'\n\toption masq '1'\n";
    let rule = "Device.Firewall.Chain.1.Rule.1.";
    let policy = "Device.Firewall.Policy.1.";
    let mapping = "Device.NAT.PortMapping.1.";
    for (path, options, status) in [
        (rule, "src=wan proto=tcp dest_port=22 target=ACCEPT", "Enabled"),
        (rule, "src=wan dest_port=22 target=ACCEPT", "Enabled"),
        (rule, "src=* dest=* proto=all target=DROP", "Enabled"),
        (rule, "src=gone proto=tcp target=ACCEPT", "Error_Misconfigured"),
        (rule, "src=lan dest=gone target=ACCEPT", "Error_Misconfigured"),
        (rule, "src=gone enabled=0 target=ACCEPT", "Disabled"),
        (rule, "src=wan family=ipv4 src_ip=2001:db8::/32 target=ACCEPT", "Error_Misconfigured"),
        (rule, "src=wan family=ipv6 src_ip=2001:db8::/32 target=ACCEPT", "Enabled"),
        (rule, "src=lan src_ip=192.0.2.1 dest=wan dest_ip=2001:db8::1 target=DROP", "Error_Misconfigured"),
        (rule, "src=six family=ipv4 target=ACCEPT", "Error_Misconfigured"),
        (rule, "src=lan src_ip=lan target=ACCEPT", "Enabled"),
        // All packets would be let in.
        (rule, "src=wan proto=all dest_port=22 target=ACCEPT", "Error_Misconfigured"),
        (rule, "src=wan proto=icmp dest_port=22 target=ACCEPT", "Error_Misconfigured"),
        (rule, "src=wan proto=tcp dest_port=ssh target=ACCEPT", "Error_Misconfigured"),
        (policy, "src=lan dest=*", "Enabled"),
        (policy, "src=lan dest=gone", "Error_Misconfigured"),
        (policy, "src=lan", "Error_Misconfigured"),
        (mapping, "src=wan src_dport=80 dest=lan dest_ip=192.168.1.9 target=DNAT", "Enabled"),
        (mapping, "src=wan src_dport=80 dest=gone dest_ip=192.168.1.9 target=DNAT", "Error_Misconfigured"),
        (mapping, "src=wan src_dport=80 dest_ip=192.168.1.9 family=ipv6 target=DNAT", "Error_Misconfigured"),
        (mapping, "src=wan src_dport=80 proto=all dest_ip=192.168.1.9", "Error_Misconfigured"),
        (mapping, "src=wan src_dport=80-70 dest_ip=192.168.1.9", "Error_Misconfigured"),
        // A redirect is of one port or range, and of one address.
        (mapping, "src=wan src_dport=80,443 dest_ip=192.168.1.9", "Error_Misconfigured"),
        (
            mapping,
            "src=wan src_dport=80 dest_ip=192.168.1.9 src_ip=192.0.2.1,192.0.2.2",
            "Error_Misconfigured",
        ),
        // To the router itself.
        (mapping, "src=wan src_dport=80", "Enabled"),
        (mapping, "src=wan src_dport=80 dest_port=8080 target=DNAT", "Enabled"),
        (mapping, "src=wan dest_port=8080", "Enabled"),
        (mapping, "src=wan src_dport=80 dest_ip=nobody", "Error_Misconfigured"),
        // By a device that no interface is configured for, or by a network beside one that is gone.
        (mapping, "src=vpn src_dport=80 dest_ip=192.168.1.9", "Enabled"),
        (mapping, "src=half src_dport=80 dest_ip=192.168.1.9", "Enabled"),
        (mapping, "src=none src_dport=80 dest_ip=192.168.1.9", "Error_Misconfigured"),
    ] {
        let ty = if path == rule {
            "rule"
        } else if path == policy {
            "forwarding"
        } else {
            "redirect"
        };
        let lines = options.split(' ').map(|one| one.replacen('=', " '", 1) + "'\n");
        let section: String = lines.map(|line| format!("\toption {line}")).collect();
        let firewall = format!("{zones}\nconfig {ty}\n{section}");
        let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/firewall", &firewall)]);
        assert_eq!(router.value(&format!("{path}Status")), status, "{ty} {options}");
    }
    // The interface that a mapping came in by is gone, and its zone goes on without any.
    let mapping_of =
        "config redirect\n\toption src 'wan'\n\toption dest 'lan'\n\toption dest_ip '192.168.1.9'\n";
    let firewall = format!("{zones}\n{mapping_of}");
    let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/firewall", &firewall)]);
    router.check(&format!("{mapping}Status"), "Enabled");
    let wan = router.find("Device.IP.Interface.", "Name", "wan");
    router.delete(&wan);
    router.check(&format!("{mapping}Interface"), "");
    router.check(&format!("{mapping}Status"), "Error_Misconfigured");
}

/// An option may say more than the one value that TR-181 has room for: given back as read, alone or with all others,
/// it keeps all of it.
#[test]
fn what_is_written_as_read_changes_nothing() {
    let firewall = "config zone\n\toption name 'lan'\n\tlist network 'lan'\n\nconfig zone\n\toption name 'wan'\n\tlist network 'wan'\n\toption masq '1'\n\n\
        config zone\n\toption name 'vpn'\n\toption device 'tun0'\n\nconfig ";
    // Of the others a value that stands for an option's absence is written out.
    let packets = ["Source", "Dest", "Protocol", "Port", "DSCP", "ICMP", "Remote", "Client", "Interface"];
    let (rule, mapping) = ("Device.Firewall.Chain.1.Rule.1.", "Device.NAT.PortMapping.1.");
    for (path, ty, section, shown) in [
        (rule, "rule", "option proto 'tcp udp'|option dest_port '80 443'", "Protocol=-1"),
        (
            rule,
            "rule",
            "list dest_port '80'|list dest_port '443'|list proto 'tcp'|list proto 'udp'",
            "DestPort=80",
        ),
        (rule, "rule", "list src_ip '192.0.2.1'|list src_ip '192.0.2.2'", "SourceIP=192.0.2.1"),
        (
            rule,
            "rule",
            "list src_ip '!192.0.2.0/24'|list src_ip '!198.51.100.0/24'",
            "SourceMask=192.0.2.0/24",
        ),
        (
            rule,
            "rule",
            "list src_mac '02:00:00:00:00:01'|list src_mac '02:00:00:00:00:02'",
            "SourceMAC=02:00:00:00:00:01",
        ),
        (rule, "rule", "option dest_port '!22 23'|option dscp 'AF41'", "DestPort=22"),
        (
            rule,
            "rule",
            "option proto 'icmp'|list icmp_type 'echo-request'|list icmp_type 'echo-reply'",
            "Protocol=1",
        ),
        (mapping, "redirect", "option proto 'tcp udp'|option src_dport '80 443'", "Protocol=TCP"),
        (mapping, "redirect", "option src_dport '80-90'", "InternalPort=80"),
        (
            mapping,
            "redirect",
            "list src_dport '80'|list src_dport '443'|option dest_port '8080-8090'",
            "InternalPort=8080",
        ),
        (
            mapping,
            "redirect",
            "option dest_port '80'|list src_ip '192.0.2.1'|list src_ip '192.0.2.2'",
            "ExternalPort=0",
        ),
    ] {
        let lines: String = section.split('|').map(|line| format!("\t{line}\n")).collect();
        let firewall =
            format!("{firewall}{ty}\n\toption src 'wan'\n{lines}\nconfig rule\n\toption src 'vpn'\n");
        let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/firewall", &firewall)]);
        let (name, value) = shown.split_once('=').unwrap();
        router.check(&format!("{path}{name}"), value);
        let before = router.config("firewall");
        let writable = router.model.names(path, true).unwrap().into_iter().filter(|(_, write)| *write);
        let names: Vec<String> = writable
            .map(|(name, _)| name)
            .filter(|name| packets.iter().any(|word| name[path.len()..].contains(word)))
            .collect();
        let all: Vec<(String, String)> =
            names.into_iter().map(|name| (name.clone(), router.value(&name))).collect();
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert!(all.len() > 6, "{all:?}");
        for one in &all {
            assert_eq!(router.try_set(&[*one]), Ok(()), "{section}");
            assert_eq!(router.config("firewall"), before, "{one:?} of {section}");
        }
        assert_eq!(router.try_set(&all), Ok(()), "{section}");
        assert_eq!(router.config("firewall"), before, "{section}");
    }
    let firewall = format!(
        "{firewall}rule\n\toption src 'vpn'\n\nconfig redirect\n\toption src 'wan'\n\toption src_dport '80-90'\n"
    );
    let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/firewall", &firewall)]);
    // The zone of a device has no interface to show, and is kept; another value is written as ever.
    router.set(&[(&format!("{rule}SourceInterface"), "")]);
    router.has("firewall", &["option src 'vpn'"]);
    // Asked for, the port inside is what it was, in whatever order the two come.
    router.set(&[(&format!("{mapping}InternalPort"), "80"), (&format!("{mapping}ExternalPort"), "85")]);
    router.has("firewall", &["option src_dport '85-90'", "option dest_port '80'"]);
    router.set(&[(&format!("{mapping}Protocol"), "UDP"), (&format!("{mapping}InternalPort"), "81")]);
    router.has("firewall", &["option proto 'udp'", "option dest_port '81'"]);
}

/// A rule of ports without a certain protocol is one of TCP and UDP: of all protocols fw4 would take all packets. And
/// one without ports is of all protocols, where fw4 takes those two if none is named.
#[test]
fn rules_of_any_protocol() {
    let zones = "config zone\n\toption name 'lan'\n\tlist network 'lan'\n\n\
        config zone\n\toption name 'wan'\n\tlist network 'wan'\n\toption masq '1'\n";
    let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/firewall", zones)]);
    let wan = router.find("Device.IP.Interface.", "Name", "wan");
    let wan = wan.trim_end_matches('.');
    let named = |router: &Router| -> Vec<String> {
        let lines = router.config("firewall").into_iter();
        lines.filter_map(|line| line.split_once(" proto ").map(|(_, named)| named.to_owned())).collect()
    };
    for (table, interface) in [
        ("Device.Firewall.Chain.1.Rule.", "SourceInterface"),
        ("Device.Firewall.Service.", "Interface"),
        ("Device.Firewall.Pinhole.", "Interface"),
        ("Device.QoS.Classification.", "Interface"),
    ] {
        let new = router.add(table);
        let (port, protocol) = (format!("{new}DestPort"), format!("{new}Protocol"));
        router.set(&[(&format!("{new}{interface}"), wan), (&format!("{new}Enable"), "1")]);
        router.check(&protocol, "-1");
        assert_eq!(named(&router), ["'all'"], "{table}");
        router.set(&[(&port, "22")]);
        assert_eq!(named(&router), [] as [&str; 0], "{table}");
        router.check(&protocol, "-1");
        if !table.contains("QoS") {
            router.check(&format!("{new}Status"), "Enabled");
        }
        router.set(&[(&protocol, "6")]);
        assert_eq!(named(&router), ["'tcp'"], "{table}");
        router.set(&[(&protocol, "-1")]);
        assert_eq!(named(&router), [] as [&str; 0], "{table}");
        router.set(&[(&port, "-1")]);
        assert_eq!(named(&router), ["'all'"], "{table}");
        router.delete(&new);
    }
}

/// What a rule or a mapping asks of packets and its row cannot show, an ACS can see all the same.
#[test]
fn what_a_row_has_no_room_for() {
    let firewall = "
config zone
	option name 'lan'
	list network 'lan'

config zone
	option name 'wan'
	list network 'wan'
	option masq '1'

config redirect
	option name 'web'
	option src 'wan'
	option dest 'lan'
	option proto 'tcp udp'
	option src_dport '80 443'
	option dest_ip '192.168.1.5'
	option weekdays 'Sat,Sun'
	option start_time '08:00'

config redirect
	option name 'plain'
	option src 'wan'
	option dest 'lan'
	list proto 'udp'
	option src_dport '5000-5010'
	option dest_ip '192.168.1.6'
	option dest_port '6000-6010'

config rule
	option name 'anything with ports'
	option src 'wan'
	option dest_port '22 2222'
	option target 'ACCEPT'
	list src_ip '192.0.2.1'
	list src_ip '192.0.2.2'

config rule
	option name 'ping'
	option src 'wan'
	option proto 'icmp'
	option icmp_type 'echo-request'
	option limit '10/sec'
	option target 'ACCEPT'

config rule
	option name 'plain'
	option src 'wan'
	option proto 'tcp'
	option dest_port '!22'
	option target 'DROP'
";
    let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/firewall", firewall)]);
    for (name, further) in [
        ("NAT.PortMapping.1", "proto=tcp udp,src_dport=80 443,start_time=08:00,weekdays=Sat%2CSun"),
        ("NAT.PortMapping.2", ""),
        ("Firewall.Chain.1.Rule.1", "proto=tcp udp,dest_port=22 2222,src_ip=192.0.2.1 192.0.2.2"),
        ("Firewall.Chain.1.Rule.2", "icmp_type=echo-request,limit=10/sec"),
        ("Firewall.Chain.1.Rule.3", ""),
    ] {
        router.check(&format!("Device.{name}.X_RCWMP_FurtherConditions"), further);
    }
    router.check("Device.NAT.PortMapping.1.Protocol", "TCP");
    // One protocol of the two: first the other one, as what is shown already is no change.
    router.set(&[("Device.NAT.PortMapping.1.Protocol", "UDP")]);
    router.check(
        "Device.NAT.PortMapping.1.X_RCWMP_FurtherConditions",
        "src_dport=80 443,start_time=08:00,weekdays=Sat%2CSun",
    );
}
