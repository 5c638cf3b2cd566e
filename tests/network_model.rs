//! Ethernet, bridging, IP, DHCPv4 and Wi-Fi through the whole model, on a router in a folder: what is read
//! of `/etc/config`, `/proc` and `/sys`, and the UCI text that changes leave behind.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rcwmp::backend::{Places, System};
use rcwmp::model::compiled;
use rcwmp::model::tree::Model;
use rcwmp::model::value::Input;
use rcwmp::sys::fs::Root;

const NETWORK: &str = "
config interface 'loopback'
	option device 'lo'
	option proto 'static'
	option ipaddr '127.0.0.1'
	option netmask '255.0.0.0'

config globals 'globals'
	option ula_prefix 'fd48:e132:af34::/48'

config device
	option name 'br-lan'
	option type 'bridge'
	list ports 'lan1'
	list ports 'lan2'
	list ports 'lan3'

config interface 'lan'
	option device 'br-lan'
	option proto 'static'
	option ipaddr '192.168.1.1'
	option netmask '255.255.255.0'
	list ip6addr 'fd00::1/64'

config device
	option type '8021q'
	option ifname 'wan'
	option vid '7'
	option name 'modem'

config interface 'wan'
	option device 'modem'
	option proto 'dhcp'
	option reqopts '1 3 121'
	list sendopts '60:736167656d'

config interface 'iptv'
	option device 'wan.20'
	option proto 'static'
	list ipaddr '10.1.0.2/16'
	list ipaddr '10.2.0.2/16'

config bridge-vlan
	option device 'br-lan'
	option vlan '1'
	list ports 'lan1:u*'
	list ports 'lan2'

config bridge-vlan
	option device 'br-lan'
	option vlan '20'
	list ports 'lan1:t'
	list ports 'lan3:u*'
";

const DHCP: &str = "
config dnsmasq
	option domain 'lan'
	option leasefile '/tmp/dhcp.leases'

config dhcp 'lan'
	option interface 'lan'
	option start '100'
	option limit '150'
	option leasetime '12h'
	list dhcp_option '6,192.0.2.53,192.0.2.54'
	list dhcp_option '43,01:02:03'

config dhcp 'wan'
	option interface 'wan'
	option ignore '1'

config host
	option name 'printer'
	option mac '02:00:00:00:01:12'
	option ip '192.168.1.200'
";

const WIRELESS: &str = "
config wifi-device 'radio0'
	option type 'mac80211'
	option path 'soc/wifi'
	option band '2g'
	option channel 'auto'
	option htmode 'HE20'
	option country 'DE'

config wifi-iface 'default_radio0'
	option device 'radio0'
	option network 'lan'
	option mode 'ap'
	option ssid 'ExampleNet'
	option encryption 'psk2+ccmp'
	option key 'ExamplePassphrase'
";

struct Router {
    dir: tempfile::TempDir,
    model: Model<System>,
}

fn put(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn netdev(root: &Path, name: &str, mark: &str, state: &str) {
    let base = format!("sys/class/net/{name}");
    put(root, &format!("{base}/type"), "1\n");
    put(root, &format!("{base}/operstate"), &format!("{state}\n"));
    put(root, &format!("{base}/address"), "02:00:00:00:00:11\n");
    put(root, &format!("{base}/mtu"), "1500\n");
    put(root, &format!("{base}/statistics/tx_bytes"), "4294967298\n");
    put(root, &format!("{base}/statistics/tx_errors"), "4294967298\n");
    put(root, &format!("{base}/uevent"), &format!("{mark}INTERFACE={name}\n"));
}

fn router_with(files: &[(&str, &str)]) -> Router {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for (name, text) in files {
        put(root, name, text);
    }
    for port in ["lan1", "lan2", "lan3", "wan"] {
        netdev(root, port, "DEVTYPE=dsa\n", if port == "lan3" { "down" } else { "up" });
    }
    netdev(root, "eth0", "", "up");
    fs::create_dir_all(root.join("sys/class/net/eth0/dsa")).unwrap();
    fs::create_dir_all(root.join("sys/class/net/eth0/device")).unwrap();
    netdev(root, "br-lan", "DEVTYPE=bridge\n", "up");
    fs::create_dir_all(root.join("sys/class/net/br-lan/bridge")).unwrap();
    put(root, "sys/class/net/lan1/brport/state", "3\n");
    netdev(root, "modem", "DEVTYPE=vlan\n", "up");
    netdev(root, "phy0-ap0", "DEVTYPE=wlan\n", "up");
    fs::create_dir_all(root.join("sys/devices/platform/soc/wifi/ieee80211/phy0")).unwrap();
    put(root, "sys/devices/platform/soc/wifi/ieee80211/phy0/name", "phy0\n");
    symlink(
        "../../../devices/platform/soc/wifi/ieee80211/phy0",
        root.join("sys/class/net/phy0-ap0/phy80211"),
    )
    .unwrap();
    put(root, "proc/net/if_inet6", "fe80000000000000020000fffe000011 05 40 20 80   br-lan\n");
    put(
        root,
        "proc/net/fib_trie",
        "Local:\n  |-- 192.168.1.1\n     /32 host LOCAL\n  |-- 203.0.113.9\n     /32 host LOCAL\n",
    );
    if cfg!(target_endian = "little") {
        let tail = "\t0\t0\t0";
        let routes = format!(
            "Iface\tDestination\n\
             modem\t00000000\t017100CB\t0003\t0\t0\t0\t00000000{tail}\n\
             modem\t007100CB\t00000000\t0001\t0\t0\t0\t00FFFFFF{tail}\n\
             br-lan\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF{tail}\n"
        );
        put(root, "proc/net/route", &routes);
    }
    put(root, "tmp/dhcp.leases", "0 02:00:00:00:01:0f 192.168.1.136 host-1 01:02:00:00:00:01:0f\n");
    put(root, "tmp/resolv.conf.d/resolv.conf.auto", "# Interface wan\nnameserver 203.0.113.53\n");
    open(dir)
}

fn open(dir: tempfile::TempDir) -> Router {
    let places = Places {
        root: Root::new(dir.path()),
        config_dir: "/etc/config".into(),
        delta_dir: "/tmp/.uci".into(),
        state_dir: dir.path().join("state"),
    };
    fs::create_dir_all(dir.path().join("etc/config")).unwrap();
    let (system, memory) = System::open(places).unwrap();
    let mut model = Model::new(compiled::schema(), system, memory);
    model.refresh();
    Router { dir, model }
}

fn router() -> Router {
    router_with(&[
        ("etc/config/network", NETWORK),
        ("etc/config/dhcp", DHCP),
        ("etc/config/wireless", WIRELESS),
    ])
}

impl Router {
    #[track_caller]
    fn check(&mut self, name: &str, expected: &str) {
        let found = self.model.values([name]).map(|list| list[0].1.text.clone());
        assert_eq!(found.as_deref(), Ok(expected), "{name}");
    }

    fn try_set(&mut self, list: &[(&str, &str)]) -> Result<(), String> {
        let list: Vec<_> = list
            .iter()
            .map(|(name, text)| {
                ((*name).to_owned(), Input { kind: None, foreign: None, text: (*text).to_owned() })
            })
            .collect();
        self.model.set(&list, None).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn set(&mut self, list: &[(&str, &str)]) {
        assert_eq!(self.try_set(list), Ok(()));
        for (name, text) in list {
            if !name.ends_with("Passphrase") && !name.ends_with("Key") {
                self.check(name, text);
            }
        }
    }

    #[track_caller]
    fn add(&mut self, table: &str) -> String {
        let number = self.model.add(table, None);
        format!("{table}{}.", number.unwrap())
    }

    #[track_caller]
    fn delete(&mut self, object: &str) {
        self.model.delete(object, None).unwrap();
    }

    /// The lines of a configuration file, without blanks before and behind.
    fn config(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join("etc/config").join(name)).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[track_caller]
    fn has(&self, name: &str, lines: &[&str]) {
        let config = self.config(name);
        for line in lines {
            assert!(config.iter().any(|one| one == line), "{line:?} is not in {config:#?}");
        }
    }

    /// The instance of a table whose parameter has that value.
    #[track_caller]
    fn find(&mut self, table: &str, param: &str, value: &str) -> String {
        let names = self.model.names(table, true).unwrap();
        for (name, _) in names {
            let found = self.model.values([format!("{name}{param}").as_str()]).unwrap();
            if found[0].1.text == value {
                return name;
            }
        }
        panic!("no row of {table} has {param} {value}");
    }
}

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

    let new = router.add("Device.Ethernet.VLANTermination.");
    router.check(&format!("{new}Enable"), "0");
    router.check(&format!("{new}LowerLayers"), "");
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
#[cfg(target_endian = "little")]
fn what_dhcp_taught() {
    let mut router = router();
    let wan = router.find("Device.IP.Interface.", "Name", "wan");
    router.check(&format!("{wan}IPv4Address.1.IPAddress"), "203.0.113.9");
    router.check(&format!("{wan}IPv4Address.1.AddressingType"), "DHCP");
    assert!(router.try_set(&[(&format!("{wan}IPv4Address.1.IPAddress"), "203.0.113.10")]).is_err());
    let client = "Device.DHCPv4.Client.1.";
    router.check(&format!("{client}Interface"), wan.trim_end_matches('.'));
    router.check(&format!("{client}IPAddress"), "203.0.113.9");
    router.check(&format!("{client}SubnetMask"), "255.255.255.0");
    router.check(&format!("{client}IPRouters"), "203.0.113.1");
    router.check(&format!("{client}DNSServers"), "203.0.113.53");
}

#[test]
fn dhcp_client_options() {
    let mut router = router();
    let client = "Device.DHCPv4.Client.1.";
    router.check(&format!("{client}SentOption.1.Tag"), "60");
    router.check(&format!("{client}SentOption.1.Value"), "736167656d");
    router.check(&format!("{client}ReqOption.3.Tag"), "121");
    let sent = router.add(&format!("{client}SentOption."));
    router.set(&[
        (&format!("{sent}Tag"), "61"),
        (&format!("{sent}Value"), "0102ab"),
        (&format!("{sent}Enable"), "1"),
    ]);
    router.has("network", &["list sendopts '60:736167656d'", "list sendopts '61:0102ab'"]);
    assert_eq!(router.try_set(&[(&format!("{sent}Value"), "AB")]), Ok(()));
    let wanted = router.add(&format!("{client}ReqOption."));
    router.set(&[(&format!("{wanted}Tag"), "43"), (&format!("{wanted}Enable"), "1")]);
    router.has("network", &["option reqopts '1 3 121 43'"]);
    router.delete(&format!("{client}ReqOption.2."));
    router.has("network", &["option reqopts '1 121 43'"]);
    router.check(&format!("{wanted}Tag"), "43");
}

#[test]
fn dhcp_clients_come_and_go() {
    let mut router = router();
    let wan = router.find("Device.IP.Interface.", "Name", "wan");
    router.set(&[("Device.DHCPv4.Client.1.Enable", "0")]);
    router.check("Device.DHCPv4.Client.1.Status", "Disabled");
    let fixed = router.add(&format!("{wan}IPv4Address."));
    router.set(&[
        (&format!("{fixed}IPAddress"), "192.0.2.7"),
        (&format!("{fixed}SubnetMask"), "255.255.255.0"),
        (&format!("{fixed}Enable"), "1"),
    ]);
    router.has("network", &["option rcwmp_dhcpv4 'off'", "option ipaddr '192.0.2.7'"]);
    router.delete("Device.DHCPv4.Client.1.");
    router.check("Device.DHCPv4.ClientNumberOfEntries", "0");
    assert!(router.config("network").iter().all(|line| !line.contains("dhcp'")));

    let client = router.add("Device.DHCPv4.Client.");
    let sent = router.add(&format!("{client}SentOption."));
    router.set(&[
        (&format!("{sent}Tag"), "60"),
        (&format!("{sent}Value"), "6162"),
        (&format!("{sent}Enable"), "1"),
    ]);
    router.set(&[
        (&format!("{client}Enable"), "1"),
        (&format!("{client}Interface"), wan.trim_end_matches('.')),
    ]);
    router.has("network", &["option proto 'dhcp'", "option sendopts '60:6162'"]);
    router.check(&format!("{client}Status"), "Enabled");
    let again = router.add("Device.DHCPv4.Client.");
    assert!(router.try_set(&[(&format!("{again}Interface"), wan.trim_end_matches('.'))]).is_err());
    router.delete(&again);
    router.delete(&client);
    assert!(router.config("network").iter().all(|line| !line.contains("dhcp")));
}

#[test]
fn dhcp_pools() {
    let mut router = router();
    let pool = "Device.DHCPv4.Server.Pool.1.";
    for (name, value) in [
        ("Enable", "1"),
        ("Status", "Enabled"),
        ("Order", "1"),
        ("MinAddress", "192.168.1.100"),
        ("MaxAddress", "192.168.1.249"),
        ("SubnetMask", "255.255.255.0"),
        ("LeaseTime", "43200"),
        ("DNSServers", "192.0.2.53,192.0.2.54"),
        ("IPRouters", "192.168.1.1"),
        ("DomainName", "lan"),
        ("AllowedDevices", "All"),
        ("StaticAddressNumberOfEntries", "1"),
        ("StaticAddress.1.Chaddr", "02:00:00:00:01:12"),
        ("StaticAddress.1.Enable", "1"),
        ("ClientNumberOfEntries", "1"),
        ("Client.1.Chaddr", "02:00:00:00:01:0f"),
        ("Client.1.Active", "1"),
        ("Client.1.IPv4Address.1.IPAddress", "192.168.1.136"),
        ("Client.1.IPv4Address.1.LeaseTimeRemaining", "9999-12-31T23:59:59Z"),
        ("Client.1.Option.1.Tag", "12"),
        ("Option.2.Tag", "43"),
        ("Option.2.Value", "010203"),
    ] {
        router.check(&format!("{pool}{name}"), value);
    }
    let at = |name: &str| format!("{pool}{name}");
    router.set(&[(&at("MinAddress"), "192.168.1.10"), (&at("MaxAddress"), "192.168.1.20")]);
    router.has("dhcp", &["option start '10'", "option limit '11'"]);
    router.set(&[(&at("MaxAddress"), "192.168.1.240"), (&at("MinAddress"), "192.168.1.200")]);
    router.has("dhcp", &["option start '200'", "option limit '41'"]);
    assert!(router.try_set(&[(&at("MinAddress"), "192.168.2.10")]).is_err());
    router.set(&[(&at("LeaseTime"), "-1"), (&at("DNSServers"), "192.0.2.1"), (&at("IPRouters"), "")]);
    router.has(
        "dhcp",
        &["option leasetime 'infinite'", "list dhcp_option '6,192.0.2.1'", "list dhcp_option '3'"],
    );
    assert!(router.try_set(&[(&at("DomainName"), "a b; reboot")]).is_err());
    router.set(&[(&at("DomainName"), "home.example")]);
    router.set(&[(&at("Enable"), "0")]);
    router.has("dhcp", &["list dhcp_option '15,home.example'", "option dhcpv4 'disabled'"]);

    router.set(&[(&at("Enable"), "1")]);
    router.set(&[("Device.DHCPv4.Server.Enable", "0")]);
    router.has("dhcp", &["option rcwmp_dhcpv4 '0'", "option dhcpv4 'disabled'", "option rcwmp_enable '1'"]);
    router.check(&at("Enable"), "1");
    router.check(&at("Status"), "Disabled");
    router.set(&[("Device.DHCPv4.Server.Enable", "1")]);
    router.has("dhcp", &["option dhcpv4 'server'"]);
    assert!(router.config("dhcp").iter().all(|line| !line.contains("rcwmp")));

    let host = router.add(&at("StaticAddress."));
    router.set(&[
        (&format!("{host}Chaddr"), "02:00:00:00:01:99"),
        (&format!("{host}Yiaddr"), "192.168.1.50"),
        (&format!("{host}Enable"), "1"),
    ]);
    router
        .has("dhcp", &["config host 'host1'", "option mac '02:00:00:00:01:99'", "option ip '192.168.1.50'"]);
    router.delete(&host);

    let new = router.add("Device.DHCPv4.Server.Pool.");
    router.check(&format!("{new}Enable"), "0");
    router.check(&format!("{new}LeaseTime"), "86400");
    let iptv = router.find("Device.IP.Interface.", "Name", "iptv");
    router.set(&[
        (&format!("{new}MinAddress"), "10.1.1.0"),
        (&format!("{new}MaxAddress"), "10.1.1.255"),
        (&format!("{new}Interface"), iptv.trim_end_matches('.')),
        (&format!("{new}Enable"), "1"),
    ]);
    router.has(
        "dhcp",
        &["config dhcp 'pool1'", "option interface 'iptv'", "option start '256'", "option limit '256'"],
    );
    let relay = router.add("Device.DHCPv4.Relay.Forwarding.");
    router.set(&[
        (&format!("{relay}DHCPServerIPAddress"), "192.0.2.9"),
        (&format!("{relay}Interface"), iptv.trim_end_matches('.')),
        (&format!("{relay}Enable"), "1"),
    ]);
    router.has("dhcp", &["option server_addr '192.0.2.9'", "option local_addr '10.1.0.2'"]);
    router.check(&format!("{relay}Status"), "Enabled");
    router.delete(&relay);
    router.delete(&new);
}

#[test]
fn radios() {
    let mut router = router();
    let radio = "Device.WiFi.Radio.1.";
    for (name, value) in [
        ("Name", "radio0"),
        ("Enable", "1"),
        ("Status", "Up"),
        ("OperatingFrequencyBand", "2.4GHz"),
        ("SupportedFrequencyBands", "2.4GHz"),
        ("OperatingStandards", "g,n,ax"),
        ("AutoChannelEnable", "1"),
        ("OperatingChannelBandwidth", "20MHz"),
        ("RegulatoryDomain", "DE "),
        ("Stats.BytesSent", "4294967298"),
        ("Stats.ErrorsSent", "2"),
    ] {
        router.check(&format!("{radio}{name}"), value);
    }
    let at = |name: &str| format!("{radio}{name}");
    router.set(&[(&at("Channel"), "11"), (&at("AutoChannelEnable"), "0"), (&at("RegulatoryDomain"), "US ")]);
    router.has("wireless", &["option channel '11'", "option country 'US'"]);
    assert!(router.try_set(&[(&at("Channel"), "36")]).is_err());
    router.set(&[(&at("AutoChannelEnable"), "1"), (&at("OperatingStandards"), "n")]);
    router.has("wireless", &["option channel 'auto'", "option htmode 'HT20'", "option require_mode 'n'"]);
    router.set(&[(&at("OperatingStandards"), "b,g,n"), (&at("Enable"), "0")]);
    router.has("wireless", &["option legacy_rates '1'", "option disabled '1'"]);
    assert!(router.try_set(&[(&at("OperatingFrequencyBand"), "5GHz")]).is_err());
    router.set(&[
        (&at("BasicDataTransmitRates"), "5.5,11"),
        (&at("BeaconPeriod"), "200"),
        (&at("DTIMPeriod"), "3"),
    ]);
    router.has("wireless", &["list basic_rate '5500'", "option beacon_int '200'", "option dtim_period '3'"]);
}

#[test]
fn access_points() {
    let mut router = router();
    let (ssid, ap) = ("Device.WiFi.SSID.1.", "Device.WiFi.AccessPoint.1.");
    for (name, value) in [
        ("Device.WiFi.SSID.1.SSID", "ExampleNet"),
        ("Device.WiFi.SSID.1.LowerLayers", "Device.WiFi.Radio.1"),
        ("Device.WiFi.SSID.1.Name", "phy0-ap0"),
        ("Device.WiFi.SSID.1.Status", "Up"),
        ("Device.WiFi.SSID.1.Stats.BytesSent", "4294967298"),
        ("Device.WiFi.AccessPoint.1.SSIDReference", "Device.WiFi.SSID.1"),
        ("Device.WiFi.AccessPoint.1.Status", "Enabled"),
        ("Device.WiFi.AccessPoint.1.SSIDAdvertisementEnabled", "1"),
        ("Device.WiFi.AccessPoint.1.Security.ModeEnabled", "WPA2-Personal"),
        ("Device.WiFi.AccessPoint.1.Security.EncryptionMode", "AES"),
        ("Device.WiFi.AccessPoint.1.Security.KeyPassphrase", ""),
        ("Device.WiFi.AccessPoint.1.Security.MFPConfig", "Disabled"),
    ] {
        router.check(name, value);
    }
    router.set(&[
        (&format!("{ssid}SSID"), "Café 5"),
        (&format!("{ap}Security.KeyPassphrase"), "another one"),
        (&format!("{ap}Security.ModeEnabled"), "WPA3-Personal-Transition"),
        (&format!("{ap}SSIDAdvertisementEnabled"), "0"),
        (&format!("{ap}IsolationEnable"), "1"),
        (&format!("{ap}MACAddressControlEnabled"), "1"),
        (&format!("{ap}AllowedMACAddress"), "02:00:00:00:00:01,02:00:00:00:00:02"),
    ]);
    router.has(
        "wireless",
        &[
            "option ssid 'Café 5'",
            "option key 'another one'",
            "option encryption 'sae-mixed'",
            "option hidden '1'",
            "option isolate '1'",
            "option macfilter 'allow'",
            "list maclist '02:00:00:00:00:01'",
        ],
    );
    router.check(&format!("{ap}Security.MFPConfig"), "Optional");
    assert!(router.try_set(&[(&format!("{ssid}SSID"), "a\nwpa=0")]).is_err());
    assert!(router.try_set(&[(&format!("{ap}Security.KeyPassphrase"), "12345678\nssid=x")]).is_err());
    assert!(router.try_set(&[(&format!("{ap}Security.EncryptionMode"), "TKIP")]).is_err());
    router.set(&[(&format!("{ssid}Enable"), "0")]);
    router.check(&format!("{ap}Enable"), "1");
    router.has("wireless", &["option disabled '1'", "option rcwmp_off 'ssid'"]);
    router.set(&[(&format!("{ssid}Enable"), "1")]);
    router.has("wireless", &["option disabled '0'"]);
}

#[test]
fn an_ssid_and_its_access_point_are_made_and_taken_away() {
    let mut router = router();
    let ssid = router.add("Device.WiFi.SSID.");
    router.check("Device.WiFi.AccessPointNumberOfEntries", "1");
    let ap = router.add("Device.WiFi.AccessPoint.");
    router.check("Device.WiFi.SSIDNumberOfEntries", "2");
    router.check(&format!("{ssid}Enable"), "0");
    router.check(&format!("{ap}Enable"), "0");
    router.set(&[
        (&format!("{ssid}LowerLayers"), "Device.WiFi.Radio.1"),
        (&format!("{ssid}SSID"), "Guests"),
        (&format!("{ap}SSIDReference"), ssid.trim_end_matches('.')),
        (&format!("{ap}Security.ModeEnabled"), "WPA2-Personal"),
        (&format!("{ap}Security.KeyPassphrase"), "ExamplePassphrase"),
        (&format!("{ssid}Enable"), "1"),
        (&format!("{ap}Enable"), "1"),
    ]);
    let port = router.add("Device.Bridging.Bridge.1.Port.");
    router
        .set(&[(&format!("{port}LowerLayers"), ssid.trim_end_matches('.')), (&format!("{port}Enable"), "1")]);
    let config = router.config("wireless");
    let start = config.iter().position(|line| line == "config wifi-iface 'wifinet1'").unwrap();
    let section: Vec<&str> = config[start..].iter().map(String::as_str).collect();
    for line in [
        "option mode 'ap'",
        "option device 'radio0'",
        "option ssid 'Guests'",
        "option encryption 'psk2'",
        "option key 'ExamplePassphrase'",
        "option disabled '0'",
        "option network 'lan'",
    ] {
        assert!(section.contains(&line), "{line} is not in {section:#?}");
    }
    assert!(section.iter().all(|line| !line.contains("rcwmp")));
    assert!(router.try_set(&[(&format!("{ap}SSIDReference"), "Device.WiFi.SSID.1")]).is_err());
    router.delete(&ssid);
    router.check("Device.WiFi.AccessPointNumberOfEntries", "2");
    router.has("wireless", &["option disabled '1'"]);
    router.delete(&ap);
    assert!(router.config("wireless").iter().all(|line| !line.contains("wifinet1")));
}

/// Files of the kernel and of the LAN's side that are anything but what they should be.
#[test]
fn nonsense() {
    let long = "\u{ff}x 1/".repeat(40_000);
    let nasty =
        ["\0\0\0", "é".repeat(33).as_str(), long.as_str(), "../../../x", "@@[", "1 2 3 4 5 6 7 8 9", ""]
            .map(str::to_owned);
    for text in &nasty {
        let word: String = text.chars().filter(|c| !c.is_control() && *c != '\'').take(300).collect();
        let network = format!(
            "{NETWORK}\nconfig device\n\toption name '{word}'\n\toption type 'bridge'\n\tlist ports '{word}'\n\
             config interface 'evil'\n\toption device '@evil'\n\toption proto 'static'\n\toption ipaddr '{word}'\n\
             config interface 'evil2'\n\toption device '{word}'\n\toption proto 'dhcp'\n\tlist rcwmp_ipaddr '{word}'\n"
        );
        let wireless = format!(
            "{WIRELESS}\nconfig wifi-device 'r{0}'\n\toption path '{word}'\n\toption htmode '{word}'\n\
             config wifi-iface\n\toption device '{word}'\n\toption ifname '{word}'\n\toption ssid '{word}'\n",
            1
        );
        let dhcp = format!(
            "{DHCP}\nconfig dhcp\n\toption interface '{word}'\n\toption start '{word}'\n\tlist dhcp_option '{word}'\n\
             config host\n\toption mac '{word}'\n\toption ip '{word}'\nconfig relay\n\toption local_addr '{word}'\n"
        );
        let mut router = router_with(&[
            ("etc/config/network", &network),
            ("etc/config/wireless", &wireless),
            ("etc/config/dhcp", &dhcp),
            ("etc/board.json", text),
            ("proc/net/tcp", text),
            ("proc/net/tcp6", text),
            ("proc/net/ipv6_route", text),
        ]);
        for file in ["proc/net/route", "proc/net/fib_trie", "proc/net/if_inet6", "tmp/dhcp.leases"] {
            put(router.dir.path(), file, text);
        }
        put(router.dir.path(), "sys/class/net/lan1/uevent", text);
        put(router.dir.path(), "sys/class/net/lan1/operstate", text);
        router.model.refresh();
        assert!(router.model.values(["Device."]).unwrap().len() > 300);
    }
}

/// Every published configuration can be read whole, without a complaint about the data model.
#[test]
fn samples() {
    let samples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/router-samples/etc-config"));
    if !samples.exists() {
        println!("skipped: ../shared not present");
        return;
    }
    let mut sets: Vec<_> = fs::read_dir(samples).unwrap().map(|entry| entry.unwrap().path()).collect();
    sets.extend(fs::read_dir(samples.join("netjsonconfig")).unwrap().map(|entry| entry.unwrap().path()));
    let mut seen = 0;
    for set in sets.into_iter().filter(|set| set.is_dir()) {
        let mut files: Vec<(String, String)> = Vec::new();
        for entry in
            fs::read_dir(&set).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file())
        {
            let name = format!("etc/config/{}", entry.file_name().into_string().unwrap());
            files.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut router = router_with(&files);
        for root in ["Device.Ethernet.", "Device.Bridging.", "Device.IP.", "Device.DHCPv4.", "Device.WiFi."] {
            let values = router.model.values([root]).unwrap();
            assert!(!values.is_empty());
            seen += values.len();
        }
        for complaint in router.model.complaints() {
            println!("{}: {complaint}", set.display());
            assert!(complaint.contains("the system's value is not a"), "{complaint}");
        }
    }
    assert!(seen > 10_000, "{seen} values");
}
