//! odhcpd through the whole model: pools of DHCPv6 and router advertisements, what they lease, and how they are changed.
#![cfg(feature = "lab")]
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/router.rs"]
mod router;

use programs::{Programs, says, says_json};
use router::{Router, open_with, router_with};

const NETWORK: &str = "
config interface 'lan'
	option device 'br-lan'
	option proto 'static'
	option ipaddr '192.168.1.1'
	option netmask '255.255.255.0'
	option ip6assign '60'

config interface 'guest'
	option device 'br-guest'
	option proto 'static'
	option ipaddr '192.168.20.1'
	option netmask '255.255.255.0'

config interface 'spare'
	option device 'br-spare'
	option proto 'static'

config interface 'wan'
	option device 'wan'
	option proto 'pppoe'

config interface 'wan6'
	option device '@wan'
	option proto 'dhcpv6'
";

/// As on a router with 24.10; `guest` with the options of 19.07.
const DHCP: &str = "
config dnsmasq
	option domain 'lan'

config dhcp 'lan'
	option interface 'lan'
	option start '100'
	option limit '150'
	option leasetime '12h'
	option dhcpv4 'server'
	option dhcpv6 'server'
	option ra 'server'
	option ra_preference 'high'
	option ra_mininterval '30'
	list ra_flags 'managed-config'
	list ra_flags 'other-config'
	list dns '192.168.1.53'
	list dns 'fd00::53'
	list domain 'lan.example'

config dhcp 'wan'
	option interface 'wan'
	option ignore '1'

config dhcp 'guest'
	option interface 'guest'
	option ra 'relay'
	option dhcpv6 'hybrid'
	option dhcpv6_pd '0'
	option ra_management '2'

config odhcpd 'odhcpd'
	option maindhcp '0'
	option leasefile '/tmp/hosts/odhcpd'
";

const POOL: &str = "Device.DHCPv6.Server.Pool.";
const SETTING: &str = "Device.RouterAdvertisement.InterfaceSetting.";

fn router(programs: &Programs, dhcp: &str) -> Router {
    let Router { dir, model } = router_with(&[("etc/config/network", NETWORK), ("etc/config/dhcp", dhcp)]);
    drop(model);
    open_with(dir, Some(programs.socket()))
}

fn alone(dhcp: &str) -> Router {
    router_with(&[("etc/config/network", NETWORK), ("etc/config/dhcp", dhcp)])
}

fn each(router: &mut Router, base: &str, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        router.check(&format!("{base}{name}"), value);
    }
}

/// The row that serves an interface, without the final dot.
fn of(router: &mut Router, table: &str, interface: &str) -> String {
    let path = router.find("Device.IP.Interface.", "Name", interface);
    router.find(table, "Interface", path.trim_end_matches('.'))
}

#[test]
fn what_a_gateway_serves() {
    let programs = Programs::start(&[
        ("network.interface", "dump", says("network.interface.dump-pppoe")),
        ("dhcp", "ipv6leases", says("dhcp.ipv6leases-pd")),
    ]);
    let mut router = router(&programs, DHCP);
    router.check("Device.DHCPv6.Server.Enable", "1");
    router.check("Device.RouterAdvertisement.Enable", "1");
    router.check("Device.DHCPv6.Server.PoolNumberOfEntries", "3");
    let pool = of(&mut router, POOL, "lan");
    let lan = router.find("Device.IP.Interface.", "Name", "lan");
    each(
        &mut router,
        &pool,
        &[
            ("Enable", "1"),
            ("Status", "Enabled"),
            ("Order", "1"),
            ("IANAEnable", "1"),
            ("IAPDEnable", "1"),
            ("ClientNumberOfEntries", "1"),
            ("Client.1.Active", "1"),
            ("Client.1.IPv6AddressNumberOfEntries", "0"),
            ("Client.1.IPv6Prefix.1.Prefix", "2001:db8:4500:10::/60"),
            ("Client.1.Option.1.Tag", "1"),
            ("Client.1.Option.1.Value", "0001000127A5E2D8020000000008"),
        ],
    );
    // Prefixes by what they are: rows of the interface.
    let prefixes = router.value(&format!("{pool}IANAPrefixes"));
    assert!(!prefixes.is_empty());
    for prefix in prefixes.split(',') {
        assert!(prefix.starts_with(&lan), "{prefix}");
    }
    router.check(&format!("{pool}IAPDPrefixes"), &prefixes);
    let life = router.value(&format!("{pool}Client.1.IPv6Prefix.1.ValidLifetime"));
    assert!(life > router.value(&format!("{pool}Client.1.IPv6Prefix.1.PreferredLifetime")), "{life}");

    let guest = of(&mut router, POOL, "guest");
    each(&mut router, &guest, &[("Enable", "1"), ("IAPDEnable", "0"), ("IAPDPrefixes", "")]);
    let wan = of(&mut router, POOL, "wan");
    each(&mut router, &wan, &[("Enable", "0"), ("Status", "Disabled"), ("IANAPrefixes", "")]);

    let setting = of(&mut router, SETTING, "lan");
    each(
        &mut router,
        &setting,
        &[
            ("Enable", "1"),
            ("RDNSS", "fd00::53"),
            ("DNSSL", "lan.example"),
            ("Prefixes", &prefixes),
            ("MinRtrAdvInterval", "30"),
            ("MaxRtrAdvInterval", "600"),
            ("AdvDefaultLifetime", "1800"),
            ("AdvManagedFlag", "1"),
            ("AdvOtherConfigFlag", "1"),
            ("AdvMobileAgentFlag", "0"),
            ("AdvPreferredRouterFlag", "High"),
            ("AdvLinkMTU", "0"),
        ],
    );
    // Relaying is not serving; the flags are those of the older option.
    let guest = of(&mut router, SETTING, "guest");
    each(&mut router, &guest, &[("Enable", "0"), ("AdvManagedFlag", "1"), ("Prefixes", "")]);
    assert!(programs.calls().values().all(|count| *count <= 2));
}

#[test]
fn leases_with_addresses_of_22_03() {
    let programs = Programs::start(&[
        ("network.interface", "dump", says("network.interface.dump-pppoe")),
        ("dhcp", "ipv6leases", says("dhcp.ipv6leases-22.03")),
    ]);
    let mut router = router(&programs, DHCP);
    let pool = of(&mut router, POOL, "lan");
    each(
        &mut router,
        &pool,
        &[
            ("Client.1.IPv6Address.1.IPAddress", "fdc0:b385:de66::a1d"),
            ("Client.1.IPv6Address.1.ValidLifetime", "9999-12-31T23:59:59Z"),
            ("Client.1.IPv6PrefixNumberOfEntries", "0"),
        ],
    );
}

#[test]
fn services_are_switched_each_and_together() {
    let mut router = alone(DHCP);
    let pool = of(&mut router, POOL, "lan");
    let guest = of(&mut router, POOL, "guest");
    router.set(&[(&format!("{pool}Enable"), "0")]);
    router.has("dhcp", &["option dhcpv6 'disabled'", "option ra 'server'", "option dhcpv4 'server'"]);
    router.check(&format!("{pool}Status"), "Disabled");
    router.set(&[(&format!("{pool}Enable"), "1")]);
    router.set(&[("Device.DHCPv6.Server.Enable", "0")]);
    router.has(
        "dhcp",
        &["option rcwmp_dhcpv6 'hybrid'", "option rcwmp_dhcpv6 'server'", "option rcwmp_dhcpv6 '0'"],
    );
    each(&mut router, &guest, &[("Enable", "1"), ("Status", "Disabled")]);
    router.set(&[(&format!("{pool}Enable"), "0")]);
    router.set(&[("Device.DHCPv6.Server.Enable", "1")]);
    router.has("dhcp", &["option dhcpv6 'hybrid'", "option dhcpv6 'disabled'"]);
    assert!(router.config("dhcp").iter().all(|line| !line.contains("rcwmp_")));

    // What was silent with the whole section stays so.
    let wan = of(&mut router, SETTING, "wan");
    router.set(&[(&format!("{wan}Enable"), "1")]);
    let lines = router.config("dhcp");
    assert!(!lines.contains(&"option ignore '1'".to_owned()));
    let at = lines.iter().position(|line| line == "config dhcp 'wan'").unwrap();
    let section: Vec<_> = lines[at..].iter().take_while(|line| !line.is_empty()).collect();
    assert!(section.iter().any(|line| *line == "option dhcpv4 'disabled'"), "{section:?}");
    assert!(section.iter().any(|line| *line == "option ra 'server'"), "{section:?}");
}

#[test]
fn settings_are_written_as_odhcpd_reads_them() {
    let mut router = alone(DHCP);
    let setting = of(&mut router, SETTING, "guest");
    router.set(&[
        (&format!("{setting}Enable"), "1"),
        (&format!("{setting}AdvManagedFlag"), "0"),
        (&format!("{setting}AdvMobileAgentFlag"), "1"),
        (&format!("{setting}AdvPreferredRouterFlag"), "Low"),
        (&format!("{setting}MaxRtrAdvInterval"), "60"),
        (&format!("{setting}RDNSS"), "fd00::1,fd00::2"),
        (&format!("{setting}DNSSL"), "a.example,b.example"),
        (&format!("{setting}AdvLinkMTU"), "1492"),
        (&format!("{setting}AdvCurHopLimit"), "64"),
    ]);
    router.has(
        "dhcp",
        &[
            "list ra_flags 'home-agent'",
            "option ra_slaac '0'",
            "option ra_preference 'low'",
            "option ra_maxinterval '60'",
            "list dns 'fd00::2'",
            "list domain 'b.example'",
            "option ra_mtu '1492'",
            "option ra_hoplimit '64'",
        ],
    );
    assert!(router.config("dhcp").iter().all(|line| !line.contains("ra_management")));
    router.set(&[
        (&format!("{setting}AdvMobileAgentFlag"), "0"),
        (&format!("{setting}AdvOtherConfigFlag"), "0"),
    ]);
    router.has("dhcp", &["list ra_flags 'none'"]);
    // The IPv4 server of the list stays when those of IPv6 go.
    let lan = of(&mut router, SETTING, "lan");
    router.set(&[(&format!("{lan}RDNSS"), "")]);
    router.has("dhcp", &["list dns '192.168.1.53'"]);
    for (name, bad) in
        [("MaxRtrAdvInterval", "3"), ("RDNSS", "192.0.2.1"), ("DNSSL", "a b"), ("AdvCurHopLimit", "256")]
    {
        assert!(router.try_set(&[(&format!("{lan}{name}"), bad)]).is_err(), "{name} {bad}");
    }
}

#[test]
fn pools_come_and_go_and_an_interface_has_one() {
    let mut router = alone(DHCP);
    let new = router.add(POOL);
    each(&mut router, &new, &[("Enable", "0"), ("Status", "Disabled"), ("Interface", "")]);
    let path = |router: &mut Router, name| {
        router.find("Device.IP.Interface.", "Name", name).trim_end_matches('.').to_owned()
    };
    let lan = path(&mut router, "lan");
    assert!(router.try_set(&[(&format!("{new}Interface"), &lan)]).is_err());
    let spare = router.find("Device.IP.Interface.", "Name", "spare");
    router.set(&[(&format!("{new}Interface"), spare.trim_end_matches('.')), (&format!("{new}Enable"), "1")]);
    router.check(&format!("{new}Status"), "Enabled");
    router.has("dhcp", &["config dhcp 'pool1'", "option interface 'spare'", "option dhcpv4 'disabled'"]);
    // It is the same section's advertisements.
    let setting = of(&mut router, SETTING, "spare");
    router.set(&[(&format!("{setting}Enable"), "1")]);
    assert!(router.model.delete(&new, None).is_err());
    router.set(&[(&format!("{setting}Enable"), "0")]);
    // The interface goes: nothing refers to it any more.
    router.delete(&spare);
    each(&mut router, &new, &[("Interface", ""), ("Status", "Error_Misconfigured")]);
    router.delete(&new);
    assert!(router.config("dhcp").iter().all(|line| !line.contains("pool1")));
    let served = of(&mut router, POOL, "lan");
    assert!(router.model.delete(&served, None).is_err());
}

#[test]
fn without_odhcpd_there_is_nothing() {
    let dhcp = DHCP.split("config odhcpd").next().unwrap();
    let mut router = alone(dhcp);
    router.check("Device.DHCPv6.Server.Enable", "0");
    router.check("Device.DHCPv6.Server.PoolNumberOfEntries", "0");
    router.check("Device.RouterAdvertisement.InterfaceSettingNumberOfEntries", "0");
    assert!(router.model.add(POOL, None).is_err());
    assert!(router.try_set(&[("Device.RouterAdvertisement.Enable", "1")]).is_err());
}

#[test]
fn nonsense_is_read_as_nothing() {
    let programs = Programs::start(&[(
        "dhcp",
        "ipv6leases",
        says_json(
            r#"{"device":{"br-lan":{"leases":[{"duid":"zz"},{"duid":"0001","ipv6-addr":{"address":"x"},
            "ipv6-prefix":[{"address":"fd00::","prefix-length":999},{"address":"fd00::"}],"flags":7},7,null,
            {"duid":"0001","iaid":2,"ipv6-addr":[{"address":"fd00::9","preferred-lifetime":"x"}]}]},"br-guest":"x"}}"#,
        ),
    )]);
    let dhcp = format!(
        "{DHCP}\nconfig dhcp\n\nconfig dhcp 'odd'\n\toption interface '../x'\n\toption ra 'server'\n\
         \toption ra_maxinterval 'often'\n\toption ra_lifetime '-5'\n\tlist dns 'x'\n"
    );
    let mut router = router(&programs, &dhcp);
    let pool = of(&mut router, POOL, "lan");
    router.check(&format!("{pool}ClientNumberOfEntries"), "1");
    each(&mut router, &pool, &[("Client.1.IPv6Address.1.IPAddress", "fd00::9")]);
    router.check(&format!("{pool}Client.1.IPv6Prefix.1.Prefix"), "fd00::/128");
    let odd = router.find(SETTING, "Status", "Error_Misconfigured");
    each(
        &mut router,
        &odd,
        &[("MaxRtrAdvInterval", "600"), ("AdvDefaultLifetime", "1800"), ("RDNSS", ""), ("Interface", "")],
    );
    let names = router.model.params("Device.").unwrap().len();
    assert_eq!(router.model.values(["Device."]).unwrap().len(), names);
}
