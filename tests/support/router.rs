//! A router in a folder: configuration, `/proc` and `/sys` of a small one, and the whole model over it.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, dead_code, reason = "each test uses its part")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rcwmp::backend::{Places, System};
use rcwmp::model::compiled;
use rcwmp::model::tree::Model;
use rcwmp::model::value::Input;
use rcwmp::sys::fs::Root;

/// `/etc/config/network`.
pub const NETWORK: &str = "
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

/// `/etc/config/dhcp`.
pub const DHCP: &str = "
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

/// `/etc/config/wireless`.
pub const WIRELESS: &str = "
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

pub struct Router {
    pub dir: tempfile::TempDir,
    pub model: Model<System>,
}

pub fn put(root: &Path, name: &str, text: &str) {
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

pub fn router_with(files: &[(&str, &str)]) -> Router {
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

/// The model over what the folder holds.
pub fn open(dir: tempfile::TempDir) -> Router {
    open_with(dir, None)
}

/// As [`open`], with what answers on a ubus socket.
pub fn open_with(dir: tempfile::TempDir, ubus_socket: Option<std::path::PathBuf>) -> Router {
    let places = Places {
        root: Root::new(dir.path()),
        config_dir: "/etc/config".into(),
        delta_dir: "/tmp/.uci".into(),
        state_dir: dir.path().join("state"),
        ubus_socket,
    };
    fs::create_dir_all(dir.path().join("etc/config")).unwrap();
    let (system, memory) = System::open(places).unwrap();
    let mut model = Model::new(compiled::schema(), system, memory);
    model.refresh();
    Router { dir, model }
}

pub fn router() -> Router {
    router_with(&[
        ("etc/config/network", NETWORK),
        ("etc/config/dhcp", DHCP),
        ("etc/config/wireless", WIRELESS),
    ])
}

impl Router {
    /// The agent ends, having saved what it saw, and begins again.
    pub fn restart(mut self) -> Router {
        self.model.save().unwrap();
        let Router { dir, model } = self;
        drop(model);
        open(dir)
    }

    #[track_caller]
    pub fn check(&mut self, name: &str, expected: &str) {
        let found = self.model.values([name]).map(|list| list[0].1.text.clone());
        assert_eq!(found.as_deref(), Ok(expected), "{name}");
    }

    /// The value of a parameter; none if there is no such parameter.
    pub fn try_value(&mut self, name: &str) -> Option<String> {
        self.model.values([name]).ok().map(|list| list[0].1.text.clone())
    }

    #[track_caller]
    pub fn value(&mut self, name: &str) -> String {
        self.try_value(name).unwrap()
    }

    pub fn try_set(&mut self, list: &[(&str, &str)]) -> Result<(), String> {
        let list: Vec<_> = list
            .iter()
            .map(|(name, text)| {
                ((*name).to_owned(), Input { kind: None, foreign: None, text: (*text).to_owned() })
            })
            .collect();
        self.model.set(&list, None).map_err(|error| error.to_string())
    }

    #[track_caller]
    pub fn set(&mut self, list: &[(&str, &str)]) {
        assert_eq!(self.try_set(list), Ok(()));
        for (name, text) in list {
            if !name.ends_with("Passphrase") && !name.ends_with("Key") {
                self.check(name, text);
            }
        }
    }

    #[track_caller]
    pub fn add(&mut self, table: &str) -> String {
        let number = self.model.add(table, None);
        format!("{table}{}.", number.unwrap())
    }

    #[track_caller]
    pub fn delete(&mut self, object: &str) {
        self.model.delete(object, None).unwrap();
    }

    /// The lines of a configuration file, without blanks before and behind.
    pub fn config(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join("etc/config").join(name)).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[track_caller]
    pub fn has(&self, name: &str, lines: &[&str]) {
        let config = self.config(name);
        for line in lines {
            assert!(config.iter().any(|one| one == line), "{line:?} is not in {config:#?}");
        }
    }

    /// The instance of a table whose parameter has that value.
    #[track_caller]
    pub fn find(&mut self, table: &str, param: &str, value: &str) -> String {
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
