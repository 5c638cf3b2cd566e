//! What netifd, procd, odhcpd and rpcd tell over ubus, through the whole model: answers of real routers value by value,
//! each program asked once a session, and programs that are absent, silent, unwilling or talk nonsense.
#![cfg(feature = "lab")]
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/router.rs"]
mod router;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use programs::{Does, Programs, says, says_json};
use rcwmp::model::date::{self, Moment};
use rcwmp::ubus::msg::Status;
use router::{Router, open_with, put, router_with};

/// The configuration behind the answer `network.interface.dump-pppoe`.
const NETWORK: &str = "
config interface 'loopback'
	option device 'lo'
	option proto 'static'
	list ipaddr '127.0.0.1/8'

config globals 'globals'
	option ula_prefix 'fd12:3456:789a::/48'
	option dhcp_default_duid '0004aabbccdd'

config interface 'lan'
	option device 'br-lan'
	option proto 'static'
	option ipaddr '192.168.1.1'
	option netmask '255.255.255.0'

config interface 'guest'
	option device 'br-guest'
	option proto 'static'
	option ipaddr '192.168.20.1'
	option netmask '255.255.255.0'

config interface 'wan'
	option device 'wan'
	option proto 'pppoe'
	option username 'user@example.net'
	option password 'ExamplePassphrase'

config interface 'wan6'
	option device '@wan'
	option proto 'dhcpv6'
	option reqaddress 'force'
	option reqprefix '56'

config interface 'wan2'
	option device 'eth2'
	option proto 'dhcp'

config interface 'wg0'
	option proto 'wireguard'
	list addresses '10.8.0.1/24'

config interface 'wwan'
	option proto 'qmi'
	option device '/dev/cdc-wdm0'

config interface 'down6'
	option proto 'dhcp'
	option device 'eth9'
";

const PPPOE: &str = "network.interface.dump-pppoe";

/// The router of the fixture with this network, and with programs at its side.
fn on(programs: &Programs, network: &str, more: &[(&str, &str)]) -> Router {
    let mut files = vec![("etc/config/network", network)];
    files.extend(more);
    let Router { dir, model } = router_with(&files);
    drop(model);
    open_with(dir, Some(programs.socket()))
}

fn dump(interface: &str) -> Does {
    let inner = programs::on_one_line(&programs::sample(&format!("network.interface.{interface}")));
    says_json(&format!(r#"{{"interface":[{inner}]}}"#))
}

impl Router {
    #[track_caller]
    fn each(&mut self, base: &str, expected: &[(&str, &str)]) {
        for (name, value) in expected {
            self.check(&format!("{base}{name}"), value);
        }
    }

    #[track_caller]
    fn interface(&mut self, name: &str) -> String {
        self.find("Device.IP.Interface.", "Name", name)
    }

    #[track_caller]
    fn client(&mut self, interface: &str) -> String {
        let path = self.interface(interface);
        self.find("Device.DHCPv4.Client.", "Interface", path.trim_end_matches('.'))
    }

    /// A dateTime that lies so many seconds ahead, give or take what the test takes.
    #[track_caller]
    fn ahead(&mut self, name: &str, seconds: i64) {
        let text = self.value(name);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let Some(Moment::At(at)) = date::parse(&text) else { panic!("{name} is {text}") };
        let off = at - i64::try_from(now).unwrap() - seconds;
        assert!((-60..=1).contains(&off), "{name} is {text}");
    }
}

#[test]
fn a_router_with_pppoe_and_two_stacks() {
    let programs = Programs::start(&[("network.interface", "dump", says(PPPOE))]);
    let mut router = on(&programs, NETWORK, &[]);
    let wan = router.interface("wan");
    let ppp = "Device.PPP.Interface.1.";
    router.each(&wan, &[("Status", "Up"), ("LastChange", "3"), ("LowerLayers", "Device.PPP.Interface.1")]);
    router.each(
        &format!("{wan}IPv4Address.1."),
        &[
            ("IPAddress", "192.0.2.45"),
            ("SubnetMask", "255.255.255.255"),
            ("AddressingType", "IPCP"),
            ("Status", "Enabled"),
        ],
    );
    let link_local = [("IPAddress", "fe80::ff:fe00:1020"), ("Origin", "AutoConfigured")];
    router.each(&format!("{wan}IPv6Address.1."), &link_local);
    router.check(&format!("{wan}IPv4AddressNumberOfEntries"), "1");
    router.check(&format!("{wan}IPv6AddressNumberOfEntries"), "1");
    let link = router.find("Device.Ethernet.Link.", "Name", "wan");
    router.check("Device.PPP.InterfaceNumberOfEntries", "1");
    router.each(
        ppp,
        &[
            ("Enable", "1"),
            ("Status", "Up"),
            ("Name", "pppoe-wan"),
            ("LastChange", "3"),
            ("LowerLayers", link.trim_end_matches('.')),
            ("ConnectionStatus", "Connected"),
            ("LastConnectionError", "ERROR_NONE"),
            ("Username", "user@example.net"),
            ("Password", ""),
            ("ConnectionTrigger", "AlwaysOn"),
            ("IPCP.LocalIPAddress", "192.0.2.45"),
            ("IPCP.RemoteIPAddress", "192.0.2.1"),
            ("IPCP.DNSServers", "198.51.100.53,198.51.100.54"),
        ],
    );

    let wan6 = router.interface("wan6");
    router.each(&wan6, &[("Status", "Up"), ("LastChange", "2"), ("LowerLayers", "Device.PPP.Interface.1")]);
    router.each(
        &format!("{wan6}IPv6Address.1."),
        &[
            ("IPAddress", "2001:db8:100:1::45"),
            ("Status", "Enabled"),
            ("IPAddressStatus", "Preferred"),
            ("ValidLifetime", "9999-12-31T23:59:59Z"),
        ],
    );
    router.check(&format!("{wan6}IPv6AddressNumberOfEntries"), "1");
    let delegated = format!("{wan6}IPv6Prefix.1");
    router.each(
        &format!("{delegated}."),
        &[
            ("Prefix", "2001:db8:4500::/56"),
            ("Origin", "PrefixDelegation"),
            ("PrefixStatus", "Preferred"),
            ("OnLink", "0"),
            ("ParentPrefix", ""),
        ],
    );
    router.ahead(&format!("{delegated}.PreferredLifetime"), 3453);
    router.ahead(&format!("{delegated}.ValidLifetime"), 7053);
    let lan = router.interface("lan");
    let child = router.find(&format!("{lan}IPv6Prefix."), "Prefix", "2001:db8:4500::/60");
    router.each(
        &child,
        &[("Origin", "Child"), ("ParentPrefix", &delegated), ("ChildPrefixBits", "::/60"), ("OnLink", "1")],
    );
    let ula = router.find(&format!("{lan}IPv6Prefix."), "Prefix", "fd12:3456:789a::/60");
    let ula_is =
        [("Origin", "AutoConfigured"), ("ParentPrefix", ""), ("ValidLifetime", "9999-12-31T23:59:59Z")];
    router.each(&ula, &ula_is);
    let guest = router.interface("guest");
    let child = router.find(&format!("{guest}IPv6Prefix."), "Origin", "Child");
    router.check(&format!("{child}ParentPrefix"), &delegated);
    router.check(&format!("{child}ChildPrefixBits"), "0:0:0:20::/64");
    // In the prefix, of the ULA, and the one that only the kernel knows.
    router.check(&format!("{lan}IPv6AddressNumberOfEntries"), "3");
    let own = router.find(&format!("{lan}IPv6Address."), "IPAddress", "2001:db8:4500::1");
    router.check(&format!("{own}Origin"), "AutoConfigured");
    router.ahead(&format!("{own}PreferredLifetime"), 3453);
    router.check(&format!("{lan}IPv4AddressNumberOfEntries"), "1");

    let wan2 = router.client("wan2");
    router.each(
        &wan2,
        &[
            ("DHCPStatus", "Bound"),
            ("IPAddress", "203.0.113.77"),
            ("SubnetMask", "255.255.255.0"),
            ("IPRouters", "203.0.113.1"),
            ("DNSServers", "203.0.113.1"),
            ("DHCPServer", "203.0.113.1"),
            ("LeaseTimeRemaining", "3598"),
        ],
    );
    let down = router.client("down6");
    router.each(
        &down,
        &[("DHCPStatus", "Init"), ("IPAddress", ""), ("LeaseTimeRemaining", "0"), ("Status", "Enabled")],
    );
    let down = router.interface("down6");
    router.each(&down, &[("Status", "NotPresent"), ("LastChange", "0"), ("IPv4AddressNumberOfEntries", "0")]);
    let modem = router.interface("wwan");
    router.check(&format!("{modem}Status"), "Down");
    let tunnel = router.interface("wg0");
    router.each(&tunnel, &[("Status", "Up"), ("Type", "Tunnel")]);
    let address = format!("{tunnel}IPv4Address.1.");
    router.each(&address, &[("IPAddress", "10.8.0.1"), ("AddressingType", "Static")]);
    assert!(router.try_set(&[(&format!("{address}IPAddress"), "10.8.0.2")]).is_err());

    let client = "Device.DHCPv6.Client.1.";
    router.each(
        client,
        &[
            ("Enable", "1"),
            ("Status", "Enabled"),
            ("Interface", wan6.trim_end_matches('.')),
            ("DUID", "0004aabbccdd"),
            ("RequestAddresses", "1"),
            ("RequestPrefixes", "1"),
            // Its length tells of more than there is.
            ("ReceivedOptionNumberOfEntries", "0"),
        ],
    );
    for (address, kind, interface) in [
        ("198.51.100.53", "IPCP", &wan),
        ("2001:db8:53::1", "DHCPv6", &wan6),
        ("203.0.113.1", "DHCPv4", &router.interface("wan2")),
    ] {
        let server = router.find("Device.DNS.Client.Server.", "DNSServer", address);
        router.each(&server, &[("Type", kind), ("Interface", interface.trim_end_matches('.'))]);
    }
}

#[test]
fn everything_is_asked_once_a_session_and_gpv_is_gpn() {
    let programs = Programs::start(&[
        ("network.interface", "dump", says(PPPOE)),
        ("network.device", "status", says("network.device.2410")),
        ("system", "board", says("system.board-openwrt-one-25.12")),
        ("system", "info", says("system.info-wndr3800-24.10")),
        ("dhcp", "ipv4leases", says("dhcp.ipv4leases-22.03")),
        ("dhcp", "ipv6leases", says("dhcp.ipv6leases-22.03")),
        ("luci-rpc", "getHostHints", says("luci-rpc.getHostHints-21.02")),
        ("luci-rpc", "getDHCPLeases", says("luci-rpc.getDHCPLeases-21.02")),
    ]);
    let mut router = on(&programs, NETWORK, &[("etc/config/dhcp", router::DHCP)]);
    fs::remove_file(router.dir.path().join("tmp/dhcp.leases")).unwrap();
    for _ in 0..2 {
        router.model.refresh();
        let named: Vec<String> =
            router.model.params("Device.").unwrap().into_iter().map(|(name, _)| name).collect();
        let given: Vec<String> =
            router.model.values(["Device."]).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(named, given);
        assert!(given.len() > 1000, "{}", given.len());
        let calls = programs.calls();
        for (method, count) in &calls {
            assert_eq!(*count, 1, "{method}");
        }
        for method in ["network.interface dump", "network.device status", "system board", "dhcp ipv4leases"] {
            assert!(calls.contains_key(method), "{method} is not in {calls:?}");
        }
    }
    // Nothing that a file tells is asked for.
    router.model.values(["Device.DeviceInfo.HostName", "Device.Time."]).unwrap();
    router.model.refresh();
    router.model.values(["Device.DeviceInfo.HostName", "Device.Time."]).unwrap();
    assert_eq!(programs.calls().len(), 0);
}

#[test]
fn dhcp_of_a_release() {
    let network = "config interface 'wan'\n\toption proto 'dhcp'\n\toption device 'eth1'\n";
    let programs = Programs::start(&[("network.interface", "dump", dump("wan-dhcp-24.10"))]);
    let mut router = on(&programs, network, &[]);
    router.each(
        "Device.DHCPv4.Client.1.",
        &[
            ("DHCPStatus", "Bound"),
            ("IPAddress", "192.0.2.19"),
            ("SubnetMask", "255.255.255.0"),
            ("IPRouters", "192.0.2.20"),
            ("DNSServers", "192.0.2.21"),
            ("DHCPServer", "192.0.2.20"),
            ("LeaseTimeRemaining", &(86_400 - 941_153 % 43_200).to_string()),
        ],
    );
    let wan = router.interface("wan");
    router.each(&wan, &[("Status", "Up"), ("LastChange", "941153")]);
    router.each(&format!("{wan}IPv4Address.1."), &[("IPAddress", "192.0.2.19"), ("AddressingType", "DHCP")]);

    // A lease of a minute, renewed every half.
    let network = "config interface 'secondwan'\n\toption proto 'dhcp'\n\toption device 'eth1.2'\n";
    let programs = Programs::start(&[("network.interface", "dump", dump("secondwan"))]);
    let mut router = on(&programs, network, &[]);
    router.each(
        "Device.DHCPv4.Client.1.",
        &[("LeaseTimeRemaining", "50"), ("DNSServers", "1.1.1.1,1.1.1.2"), ("DHCPServer", "192.168.10.1")],
    );
    // What is given up gets an address of its own making (RFC 3927).
    let answer = r#"{"interface":[{"interface":"wan","up":true,"proto":"dhcp","l3_device":"eth1",
        "ipv4-address":[{"address":"169.254.7.7","mask":16}]}]}"#;
    let programs = Programs::start(&[("network.interface", "dump", says_json(answer))]);
    let network = "config interface 'wan'\n\toption proto 'dhcp'\n\toption device 'eth1'\n";
    let mut router = on(&programs, network, &[]);
    let wan = router.interface("wan");
    router.each(
        &format!("{wan}IPv4Address.1."),
        &[("AddressingType", "AutoIP"), ("SubnetMask", "255.255.0.0")],
    );
}

#[test]
fn interfaces_that_are_down_or_stand_elsewhere() {
    let dhcp = |name: &str| format!("config interface '{name}'\n\toption proto 'dhcp'\n");
    // Of Wi-Fi UCI tells no device.
    let programs = Programs::start(&[("network.interface", "dump", dump("wwan-dhcp"))]);
    let mut router = on(&programs, &dhcp("wwan"), &[("sys/class/net/phy1-sta0/statistics/rx_bytes", "77\n")]);
    let wwan = router.interface("wwan");
    router.each(&wwan, &[("Status", "Up"), ("Stats.BytesReceived", "77")]);
    router.check("Device.DHCPv4.Client.1.SubnetMask", "255.254.0.0");

    let programs = Programs::start(&[("network.interface", "dump", dump("wan-down"))]);
    let mut router = on(&programs, &format!("{}\toption device 'eth1'\n", dhcp("wan")), &[]);
    let wan = router.interface("wan");
    router.each(&wan, &[("Status", "Down"), ("LastChange", "0")]);
    router.check("Device.DHCPv4.Client.1.DHCPStatus", "Init");
    put(router.dir.path(), "sys/class/net/eth1/operstate", "down\n");
    router.model.refresh();
    router.check(&format!("{wan}Status"), "LowerLayerDown");

    let programs = Programs::start(&[("network.interface", "dump", dump("no-device"))]);
    let network = "config interface 'wan6'\n\toption proto 'dhcpv6'\n";
    let mut router = on(&programs, network, &[]);
    let wan6 = router.interface("wan6");
    router.check(&format!("{wan6}Status"), "NotPresent");
    router.each("Device.DHCPv6.Client.1.", &[("Status", "Error_Misconfigured"), ("DUID", "")]);

    let programs = Programs::start(&[("network.interface", "dump", dump("qmi-error"))]);
    let mut router = on(&programs, "config interface 'wwan'\n\toption proto 'qmi'\n", &[]);
    let wwan = router.interface("wwan");
    router.each(&wwan, &[("Status", "Down"), ("IPv4AddressNumberOfEntries", "0")]);
}

#[test]
fn links_that_failed() {
    let network = "config interface 'wan'\n\toption proto 'pppoe'\n\toption device 'wan'\n";
    for (errors, pending, connection, word) in [
        (
            r#"{"subsystem":"pppoe","code":"AUTH_TOPEER_FAILED"}"#,
            true,
            "Connecting",
            "ERROR_AUTHENTICATION_FAILURE",
        ),
        (r#"{"subsystem":"pppoe","code":"CONNECT_FAILED"}"#, false, "Disconnected", "ERROR_ISP_TIME_OUT"),
        (r#"{"subsystem":"pppoe","code":"?"}"#, false, "Disconnected", "ERROR_UNKNOWN"),
        ("", true, "Connecting", "ERROR_NONE"),
    ] {
        let answer = format!(
            r#"{{"interface":[{{"interface":"wan","up":false,"pending":{pending},"available":true,"proto":"pppoe",
            "device":"wan","data":{{}},"errors":[{errors}]}}]}}"#
        );
        let programs = Programs::start(&[("network.interface", "dump", says_json(&answer))]);
        let mut router = on(&programs, network, &[]);
        router.each(
            "Device.PPP.Interface.1.",
            &[("ConnectionStatus", connection), ("LastConnectionError", word), ("IPCP.LocalIPAddress", "")],
        );
        router.check("Device.PPP.Interface.1.Status", if pending { "Dormant" } else { "Down" });
    }
}

#[test]
fn what_a_router_advertised() {
    // Option 23 of DHCPv6 has one of the two; wan_6 is made by the protocol of wan.
    let answer = r#"{"interface":[
        {"interface":"wan","up":true,"available":true,"l3_device":"pppoe-wan","proto":"pppoe","device":"wan","uptime":9},
        {"interface":"wan_6","up":true,"dynamic":true,"l3_device":"pppoe-wan","proto":"dhcpv6","device":"pppoe-wan",
         "ipv6-address":[{"address":"2001:db8::7","mask":128,"preferred":0,"valid":60}],
         "ipv6-prefix":[{"address":"2001:db8:1::","mask":56,"preferred":-1,"valid":0}],
         "route":[{"target":"::","mask":0,"nexthop":"fe80::1","valid":1800}],
         "dns-server":["2001:db8:53::1","2001:db8:53::2"],
         "data":{"passthru":"0017001020010db8005300000000000000000001"}}]}"#;
    let zero = "0".repeat(32);
    let routes = format!(
        "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000200 00000001 00000000 00000003 pppoe-wan\n"
    );
    let network = "config interface 'wan'\n\toption proto 'pppoe'\n\toption device 'wan'\n\n\
        config interface 'wan6'\n\toption proto 'dhcpv6'\n\toption device '@wan'\n";
    let programs = Programs::start(&[("network.interface", "dump", says_json(answer))]);
    let mut router = on(&programs, network, &[("proc/net/ipv6_route", &routes)]);
    let wan = router.interface("wan");
    router.each(
        &format!("{wan}IPv6Address.1."),
        &[("IPAddress", "2001:db8::7"), ("Origin", "DHCPv6"), ("IPAddressStatus", "Deprecated")],
    );
    router.ahead(&format!("{wan}IPv6Address.1.ValidLifetime"), 60);
    router
        .each(&format!("{wan}IPv6Prefix.1."), &[("PrefixStatus", "Invalid"), ("Prefix", "2001:db8:1::/56")]);
    let servers = [("2001:db8:53::1", "DHCPv6"), ("2001:db8:53::2", "RouterAdvertisement")];
    for (address, kind) in servers {
        let server = router.find("Device.DNS.Client.Server.", "DNSServer", address);
        router.each(&server, &[("Type", kind), ("Interface", wan.trim_end_matches('.'))]);
    }
    let route = "Device.Routing.Router.1.IPv6Forwarding.1.";
    router.each(route, &[("Origin", "RA"), ("NextHop", "fe80::1"), ("Interface", wan.trim_end_matches('.'))]);
    router.ahead(&format!("{route}ExpirationTime"), 1800);
}

/// Remaining seconds are counted down and rounded by others: the moment they lead to is no other one each time.
#[test]
fn an_end_stays_where_it_is() {
    let answer = |valid: u32| {
        format!(
            r#"{{"interface":[{{"interface":"wan","up":true,"l3_device":"modem","proto":"dhcp","device":"modem",
            "ipv6-address":[{{"address":"2001:db8::7","mask":128,"preferred":{valid},"valid":{valid}}}],
            "ipv6-prefix":[{{"address":"2001:db8:1::","mask":56,"preferred":{valid},"valid":{valid}}}]}}]}}"#
        )
    };
    let programs = Programs::start(&[("network.interface", "dump", says_json(&answer(1000)))]);
    let mut router = on(&programs, router::NETWORK, &[]);
    let wan = router.interface("wan");
    let names: Vec<String> = ["IPv6Address", "IPv6Prefix"]
        .iter()
        .flat_map(|table| {
            [format!("{wan}{table}.1.PreferredLifetime"), format!("{wan}{table}.1.ValidLifetime")]
        })
        .collect();
    let mut all = || -> Vec<String> {
        router.model.refresh();
        names.iter().map(|name| router.value(name)).collect()
    };
    let first = all();
    for valid in [999, 1001, 998] {
        programs.now_says("network.interface", "dump", &answer(valid));
        assert_eq!(all(), first, "{valid}");
    }
    programs.now_says("network.interface", "dump", &answer(2000));
    assert!(all().iter().zip(&first).all(|(now, before)| now > before));
}

#[test]
fn devices_of_which_the_kernel_tells_less() {
    let programs = Programs::start(&[("network.device", "status", says("network.device.rb5009"))]);
    let mut router = on(&programs, "", &[]);
    for port in ["p1", "p4"] {
        put(router.dir.path(), &format!("sys/class/net/{port}/type"), "1\n");
        put(router.dir.path(), &format!("sys/class/net/{port}/uevent"), "DEVTYPE=dsa\n");
    }
    put(router.dir.path(), "sys/class/net/p1/statistics/rx_bytes", "5\n");
    router.model.refresh();
    let fast = router.find("Device.Ethernet.Interface.", "Name", "p1");
    router.each(
        &fast,
        &[
            ("Status", "Up"),
            ("CurrentBitRate", "2500"),
            ("CurrentDuplexMode", "Full"),
            ("MaxBitRate", "-1"),
            // The kernel's own file goes first.
            ("Stats.BytesReceived", "5"),
            ("Stats.BytesSent", "210377086"),
            ("Stats.PacketsSent", "0"),
        ],
    );
    let idle = router.find("Device.Ethernet.Interface.", "Name", "p4");
    let none = [("Status", "Down"), ("CurrentBitRate", "0"), ("CurrentDuplexMode", "Unknown")];
    router.each(&idle, &none);

    let programs = Programs::start(&[("network.device", "status", says("network.device.bridge-wg"))]);
    let network = "config device\n\toption name 'br-setup'\n\toption type 'bridge'\n\n\
        config interface 'wg0'\n\toption proto 'wireguard'\n";
    let mut router = on(&programs, network, &[]);
    router.check("Device.Bridging.Bridge.1.Status", "Enabled");
    let tunnel = router.interface("wg0");
    router.each(&tunnel, &[("Status", "Up"), ("Stats.BytesReceived", "17830347")]);
    // An empty cage.
    fs::remove_file(router.dir.path().join("sys/class/net/lan1/operstate")).unwrap();
    router.model.refresh();
    let cage = router.find("Device.Ethernet.Interface.", "Name", "lan1");
    router.each(&cage, &[("Status", "NotPresent"), ("CurrentBitRate", "0")]);
}

#[test]
fn who_the_device_is() {
    let of = |board: &str| {
        let (board, info) = (says(board), says("system.info-wndr3800-24.10"));
        Programs::start(&[("system", "board", board), ("system", "info", info)])
    };
    let programs = of("system.board-openwrt-one-25.12");
    let mut router = on(&programs, "", &[]);
    let info = "Device.DeviceInfo.";
    router.each(
        info,
        &[
            ("ModelName", "OpenWrt One"),
            ("ModelNumber", "openwrt,one"),
            ("HardwareVersion", "openwrt,one"),
            ("SoftwareVersion", "25.12.0-rc1"),
            ("Description", "OpenWrt 25.12.0-rc1 r32353-9e9b05130c"),
            ("UpTime", "183748"),
            ("MemoryStatus.Total", "121152"),
            ("MemoryStatus.Free", "35372"),
        ],
    );
    // Files go first.
    let root = router.dir.path().to_owned();
    put(&root, "tmp/sysinfo/model", "Box\n");
    put(&root, "etc/openwrt_release", "DISTRIB_RELEASE='1'\n");
    put(&root, "proc/uptime", "12.5 1\n");
    put(&root, "proc/meminfo", "MemTotal:   100 kB\n");
    router.model.refresh();
    router.each(
        info,
        &[
            ("ModelName", "Box"),
            ("SoftwareVersion", "1"),
            ("UpTime", "12"),
            ("MemoryStatus.Total", "100"),
            ("MemoryStatus.Free", "0"),
        ],
    );
    let programs = of("system.board-covr-x1860-23.05");
    let mut router = on(&programs, "", &[]);
    router.check(&format!("{info}SoftwareVersion"), "23.05-SNAPSHOT-r23444-7714fb72be");
}

const LAN: &str = "
config interface 'lan'
	option device 'br-lan'
	option proto 'static'
	option ipaddr '192.168.52.1'
	option netmask '255.255.255.0'
";

#[test]
fn machines_of_the_lan() {
    let programs = Programs::start(&[
        ("dhcp", "ipv4leases", says("dhcp.ipv4leases-22.03")),
        ("dhcp", "ipv6leases", says("dhcp.ipv6leases-22.03")),
        (
            "luci-rpc",
            "getHostHints",
            says_json(
                r#"{"02:00:00:00:00:07":{"ipaddrs":["192.168.52.124"],"ip6addrs":["fe80::7"],"name":"other"},
                "02:00:00:00:09:09":{"ipaddrs":["203.0.113.1"],"name":"provider"}}"#,
            ),
        ),
    ]);
    let dhcp =
        "config odhcpd 'odhcpd'\n\toption maindhcp '1'\n\nconfig dhcp 'lan'\n\toption interface 'lan'\n";
    let mut router =
        on(&programs, LAN, &[("etc/config/dhcp", dhcp), ("etc/config/wireless", router::WIRELESS)]);
    let root = router.dir.path().to_owned();
    fs::remove_file(root.join("tmp/dhcp.leases")).unwrap();
    // Behind lan2, and behind an access point.
    put(
        &root,
        "proc/net/arp",
        "IP address HW type Flags HW address Mask Device\n192.168.52.9 0x1 0x2 02:00:00:00:00:09 * br-lan\n",
    );
    for (port, number) in [("lan1", "0x1\n"), ("lan2", "0x2\n"), ("phy0-ap0", "0x103\n")] {
        fs::create_dir_all(root.join("sys/class/net/br-lan/brif").join(port)).unwrap();
        put(&root, &format!("sys/class/net/{port}/brport/port_no"), number);
    }
    let mut octets = vec![2, 0, 0, 0, 0, 7, 2, 0, 0xff, 0, 0, 0, 0, 0, 0, 0];
    octets.extend([2, 0, 0, 0, 0, 9, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    octets.extend([2, 0, 0, 0, 0, 0x11, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    fs::write(root.join("sys/class/net/br-lan/brforward"), &octets).unwrap();
    router.model.refresh();
    router.check("Device.Hosts.HostNumberOfEntries", "2");
    let lan = router.interface("lan");
    let wired = router.find("Device.Hosts.Host.", "PhysAddress", "02:00:00:00:00:07");
    let lan2 = router.find("Device.Ethernet.Interface.", "Name", "lan2");
    router.each(
        &wired,
        &[
            ("IPAddress", "192.168.52.124"),
            ("HostName", "host-archi"),
            ("Active", "1"),
            ("InterfaceType", "Ethernet"),
            ("Layer1Interface", lan2.trim_end_matches('.')),
            ("Layer3Interface", lan.trim_end_matches('.')),
            ("DHCPClient", "Device.DHCPv4.Server.Pool.1.Client.1"),
            ("IPv6AddressNumberOfEntries", "2"),
            ("IPv6Address.1.IPAddress", "fdc0:b385:de66::a1d"),
            ("IPv6Address.2.IPAddress", "fe80::7"),
        ],
    );
    let radio = router.find("Device.Hosts.Host.", "PhysAddress", "02:00:00:00:00:09");
    router.each(
        &radio,
        &[("InterfaceType", "Wi-Fi"), ("Layer1Interface", "Device.WiFi.Radio.1"), ("HostName", "")],
    );
    let client = "Device.DHCPv4.Server.Pool.1.Client.1.";
    router.each(client, &[("Chaddr", "02:00:00:00:00:07"), ("Active", "1")]);
    router.check(&format!("{client}IPv4Address.1.IPAddress"), "192.168.52.124");
    router.ahead(&format!("{client}IPv4Address.1.LeaseTimeRemaining"), 43_160);
    router.check(&format!("{client}Option.1.Value"), "686f73742d6172636869");
    assert!(programs.calls().values().all(|count| *count <= 2));
}

#[test]
fn leases_of_other_releases() {
    let dhcp =
        "config odhcpd 'odhcpd'\n\toption maindhcp '1'\n\nconfig dhcp 'lan'\n\toption interface 'lan'\n";
    let network = LAN.replace(".52.", ".1.");
    let programs = Programs::start(&[
        ("dhcp", "ipv4leases", says("dhcp.ipv4leases-25.12")),
        ("dhcp", "ipv6leases", says("dhcp.ipv6leases-pd")),
        ("luci-rpc", "getHostHints", says("luci-rpc.getHostHints-19.07")),
    ]);
    let mut router = on(&programs, &network, &[("etc/config/dhcp", dhcp)]);
    fs::remove_file(router.dir.path().join("tmp/dhcp.leases")).unwrap();
    router.model.refresh();
    let fixed = router.find("Device.Hosts.Host.", "PhysAddress", "02:00:00:00:00:09");
    router.each(&fixed, &[("HostName", "host-9"), ("Active", "0"), ("InterfaceType", "Other")]);
    let client = "Device.DHCPv4.Server.Pool.1.Client.1.";
    router.check(&format!("{client}IPv4Address.1.LeaseTimeRemaining"), "9999-12-31T23:59:59Z");
    // It has a prefix and no address.
    let below = router.find("Device.Hosts.Host.", "PhysAddress", "02:00:00:00:00:08");
    router.each(&below, &[("HostName", "downstream-router"), ("IPv6AddressNumberOfEntries", "0")]);

    let programs = Programs::start(&[("luci-rpc", "getDHCPLeases", says("luci-rpc.getDHCPLeases-21.02"))]);
    let mut router = on(&programs, &LAN.replace(".52.", ".5."), &[]);
    fs::remove_file(router.dir.path().join("tmp/dhcp.leases")).unwrap();
    router.model.refresh();
    let lan = router.interface("lan");
    router.check("Device.Hosts.HostNumberOfEntries", "4");
    let named = router.find("Device.Hosts.Host.", "HostName", "host-pc");
    let is = [("IPAddress", "192.168.5.119"), ("Layer3Interface", lan.trim_end_matches('.'))];
    router.each(&named, &is);
    // The DUID tells the address better than what was cut out of it.
    let six = router.find("Device.Hosts.Host.", "PhysAddress", "02:00:00:00:00:05");
    router.check(&format!("{six}IPv6AddressNumberOfEntries"), "2");
}

/// The values that have no netifd behind them are those of the files.
#[track_caller]
fn as_without(router: &mut Router) {
    let wan = router.interface("wan");
    router.each(&wan, &[("Status", "Up"), ("LastChange", "0")]);
    if cfg!(target_endian = "little") {
        router.check("Device.DHCPv4.Client.1.IPAddress", "203.0.113.9");
        router.check("Device.DHCPv4.Client.1.IPRouters", "203.0.113.1");
    }
    router.each("Device.DHCPv4.Client.1.", &[("DHCPServer", ""), ("LeaseTimeRemaining", "0")]);
    let server = router.find("Device.DNS.Client.Server.", "DNSServer", "203.0.113.53");
    router.check(&format!("{server}Type"), "DHCPv4");
    let everything = router.model.values(["Device."]).unwrap().len();
    assert!(everything > 700, "{everything}");
}

#[test]
fn nobody_is_there() {
    let programs = Programs::start(&[("other", "thing", says_json("{}"))]);
    let mut router = on(&programs, router::NETWORK, &[]);
    as_without(&mut router);
    let Router { dir, model } = router;
    drop(model);
    as_without(&mut open_with(dir, Some("/nowhere/ubus.sock".into())));
    assert_eq!(programs.calls().len(), 0);
}

#[test]
fn somebody_refuses() {
    let no = || Does::Refuses(Status::PermissionDenied);
    let programs = Programs::start(&[
        ("network.interface", "dump", no()),
        ("network.device", "status", no()),
        ("dhcp", "ipv6leases", no()),
    ]);
    let mut router = on(&programs, router::NETWORK, &[]);
    as_without(&mut router);
    let complaints = router.model.backend().take_complaints();
    assert!(complaints.iter().any(|line| line.contains("network.interface")), "{complaints:?}");
    assert!(programs.calls().values().all(|count| *count == 1));
}

#[test]
fn somebody_is_silent() {
    let programs = Programs::start(&[
        ("network.interface", "dump", Does::KeepsSilent),
        ("network.device", "status", Does::KeepsSilent),
        ("network.wireless", "status", Does::KeepsSilent),
        ("dhcp", "ipv6leases", says("dhcp.ipv6leases-22.03")),
    ]);
    let mut router = on(&programs, router::NETWORK, &[]);
    let start = Instant::now();
    as_without(&mut router);
    let took = start.elapsed();
    // Others are asked all the same; the test itself has its share.
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(12), "{took:?}");
    // They are one program, which is waited for once.
    let of_netifd = |calls: &BTreeMap<String, u32>| -> u32 {
        calls.iter().filter(|(name, _)| name.starts_with("network.")).map(|(_, count)| count).sum()
    };
    assert_eq!(of_netifd(&programs.calls()), 1);
    // The next session does not wait again.
    router.model.refresh();
    as_without(&mut router);
    let calls = programs.calls();
    assert_eq!(of_netifd(&calls), 0, "{calls:?}");
    assert!(calls.contains_key("dhcp ipv6leases"), "{calls:?}");
}

#[test]
fn somebody_talks_nonsense() {
    let words =
        ["{}", r#"{"interface":7}"#, r#"{"interface":[7,null,[],{},"x",{"interface":[]},{"interface":""}]}"#];
    for word in words {
        let programs = Programs::start(&[("network.interface", "dump", says_json(word))]);
        as_without(&mut on(&programs, router::NETWORK, &[]));
    }
    // Wrong types, texts that are no addresses, more than anybody has, and control characters.
    let many = |one: &str| vec![one; 3000].join(",");
    let dump = format!(
        r#"{{"interface":[{{"interface":"wan","up":true,"pending":"x","uptime":-7,"l3_device":"../../etc","proto":7,
        "device":[],"ipv4-address":[{{"address":"1.2.3","mask":24}},{{"address":"1.2.3.4","mask":99}},{{"mask":"x"}},9],
        "ipv6-address":[{{"address":"::ffff:1.2.3.4","mask":-1}},{{"address":"fe80::1%eth0","mask":64}}],
        "ipv6-prefix":[{}],"ipv6-prefix-assignment":[{{"address":"2001:db8::","mask":64,"local-address":"x"}}],
        "dns-server":[{}],"route":[{{"target":"0.0.0.0","mask":0,"nexthop":"::1"}}],"errors":[7,{{}},{{"code":9}}],
        "data":{{"leasetime":-9999999999,"dhcpserver":"host.example","passthru":"00"}}}},{}]}}"#,
        many(r#"{"address":"2001:db8::","mask":56,"valid":-5}"#),
        many(r#""192.0.2.1""#),
        many(r#"{"interface":"x","up":true,"l3_device":"modem"}"#),
    );
    // As many interfaces as fit, each with as much as fits, all on one device.
    let inner = (0..40)
        .map(|n| format!(r#"{{"address":"2001:db8::{n:x}","mask":128}}"#))
        .collect::<Vec<_>>()
        .join(",");
    let crowd: Vec<String> = (0..250)
        .map(|n| format!(r#"{{"interface":"wan_{n}","dynamic":true,"up":true,"l3_device":"modem","ipv6-address":[{inner}]}}"#))
        .collect();
    let crowd = format!(
        r#"{{"interface":[{{"interface":"wan","up":true,"l3_device":"modem","proto":"dhcp"}},{}]}}"#,
        crowd.join(",")
    );
    let programs = Programs::start(&[("network.interface", "dump", says_json(&crowd))]);
    let mut router = on(&programs, router::NETWORK, &[]);
    let wan = router.interface("wan");
    router.check(&format!("{wan}IPv6AddressNumberOfEntries"), "40");
    router.model.values(["Device."]).unwrap();

    let text = "\u{1}".repeat(300);
    let programs = Programs::start(&[
        ("network.interface", "dump", says_json(&dump)),
        (
            "network.device",
            "status",
            says_json(
                r#"{"wan":[],"lan1":{"speed":7,"up":"x","statistics":{"rx_bytes":-5,"tx_packets":"x"}}}"#,
            ),
        ),
        (
            "system",
            "board",
            says_json(&format!(
                r#"{{"model":{},"board_name":7,"release":"x"}}"#,
                serde_json::to_string(&text).unwrap()
            )),
        ),
        ("system", "info", says_json(r#"{"uptime":-5,"memory":{"total":"x","free":-1}}"#)),
        ("dhcp", "ipv4leases", says_json(r#"{"device":[]}"#)),
        (
            "dhcp",
            "ipv6leases",
            says_json(r#"{"device":{"br-lan":{"leases":[{"duid":"0003","valid":"x"}]}}}"#),
        ),
        (
            "luci-rpc",
            "getHostHints",
            says_json(r#"{"x":{},"02:00:00:00:01:0f":{"ipaddrs":[1,"x"],"name":["y"]}}"#),
        ),
    ]);
    let mut router = on(&programs, router::NETWORK, &[]);
    let wan = router.interface("wan");
    router.each(
        &wan,
        &[
            ("Status", "Up"),
            ("LastChange", "0"),
            ("IPv4AddressNumberOfEntries", "0"),
            ("IPv6PrefixNumberOfEntries", "2"),
        ],
    );
    router.each(
        "Device.DHCPv4.Client.1.",
        &[
            ("DHCPServer", ""),
            ("LeaseTimeRemaining", "0"),
            ("IPRouters", ""),
            ("DNSServers", &["192.0.2.1"; 16].join(",")),
        ],
    );
    router.each("Device.DeviceInfo.", &[("ModelName", ""), ("UpTime", "0"), ("MemoryStatus.Total", "0")]);
    let lan1 = router.find("Device.Ethernet.Interface.", "Name", "lan1");
    router.each(&lan1, &[("CurrentBitRate", "0"), ("Stats.BytesReceived", "0"), ("Stats.PacketsSent", "0")]);
    let schema = router.model.schema().clone();
    for (name, value) in router.model.values(["Device."]).unwrap() {
        let path = rcwmp::model::path::Path::parse(&name).unwrap().schema_path();
        let (object, last) = path.rsplit_once('.').unwrap();
        let param = schema.objects()[schema.find(&format!("{object}.")).unwrap()].param(last).unwrap();
        let good = value.text.is_empty() || param.ty.canonical(&value.text).as_deref() == Ok(&value.text);
        assert!(good, "{name} = {:?}", value.text);
    }
}

#[test]
fn links_and_clients_are_configured() {
    let programs = Programs::start(&[("network.interface", "dump", says(PPPOE))]);
    let mut router = on(&programs, NETWORK, &[]);
    let ppp = "Device.PPP.Interface.1.";
    let name = |last: &str| format!("{ppp}{last}");
    router.set(&[
        (&name("Username"), "other"),
        (&name("PPPoE.ACName"), "bras1"),
        (&name("PPPoE.ServiceName"), "internet"),
    ]);
    router.set(&[(&name("MaxMRUSize"), "1492"), (&name("ConnectionTrigger"), "OnDemand")]);
    assert_eq!(router.try_set(&[(&name("Password"), "secret word")]), Ok(()));
    router.check(&name("Password"), "");
    router.has(
        "network",
        &[
            "option username 'other'",
            "option ac 'bras1'",
            "option service 'internet'",
            "option mtu '1492'",
            "option demand '300'",
            "option password 'secret word'",
        ],
    );
    router.set(&[(&name("ConnectionTrigger"), "Manual")]);
    router.has("network", &["option auto '0'"]);
    router.set(&[(&name("ConnectionTrigger"), "AlwaysOn"), (&name("Enable"), "0")]);
    router.check(&name("Status"), "Down");
    assert!(router.config("network").iter().all(|line| !line.contains("demand") && !line.contains("auto")));
    assert!(router.try_set(&[(&name("Username"), "a\nb")]).is_err());
    let link = router.find("Device.Ethernet.Link.", "Name", "br-guest");
    let wan = router.interface("wan");
    let link = link.trim_end_matches('.').to_owned();
    assert!(router.try_set(&[(&format!("{wan}LowerLayers"), &link)]).is_err());
    router.set(&[(&name("LowerLayers"), &link)]);

    let new = router.add("Device.PPP.Interface.");
    router.each(
        &new,
        &[("Enable", "0"), ("Name", "pppoe-ppp1"), ("ConnectionStatus", "Unconfigured"), ("LowerLayers", "")],
    );
    let own = router.interface("ppp1");
    router.check(&format!("{own}LowerLayers"), new.trim_end_matches('.'));
    router.set(&[
        (&format!("{new}Username"), "u"),
        (&format!("{new}LowerLayers"), &link),
        (&format!("{new}Enable"), "1"),
    ]);
    router.has("network", &["config interface 'ppp1'", "option proto 'pppoe'", "option device 'br-guest'"]);
    router.delete(&new);
    assert!(router.config("network").iter().all(|line| !line.contains("ppp1")));
    // The aliases of the link lose what they stand on.
    router.delete(ppp);
    let wan6 = router.interface("wan6");
    router.check(&format!("{wan6}LowerLayers"), "");

    let client = "Device.DHCPv6.Client.1.";
    router
        .set(&[(&format!("{client}RequestPrefixes"), "0"), (&format!("{client}RequestedOptions"), "21,23")]);
    router.set(&[(&format!("{client}RequestAddresses"), "1")]);
    router.has("network", &["option reqprefix 'no'", "option reqaddress 'force'", "option reqopts '21 23'"]);
    router.set(&[(&format!("{client}Enable"), "0")]);
    router.check(&format!("{client}Status"), "Disabled");
    router.has("network", &["option rcwmp_dhcpv6 'off'"]);
    router.set(&[(&format!("{client}Enable"), "1"), (&format!("{client}RequestPrefixes"), "1")]);
    assert!(router.config("network").iter().all(|line| !line.contains("rcwmp")));
}
