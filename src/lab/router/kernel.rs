//! What the simulated router's kernel shows: network devices, radios, processes, temperature, switches.

use std::fmt::Display;

/// The head of `/proc/net/dev`.
const TRAFFIC: &str = "Inter-|   Receive                                                |  Transmit\n \
    face |bytes    packets errs drop fifo frame compressed multicast|\
    bytes    packets errs drop fifo colls carrier compressed";

/// What the kernel has for IPv6, a folder for each network device in `conf` and `neigh`.
pub const IPV6: &str = "proc/sys/net/ipv6";

/// A network device as `/sys/class/net` and `/proc/net/dev` show it.
struct Device<'a> {
    name: &'a str,
    index: u8,
    /// Of the device it stands on, or its own.
    link: u8,
    mac: &'a str,
    /// `DEVTYPE` of its uevent; empty for plain ones.
    kind: &'a str,
    /// `None` for no carrier, 0 for devices without a speed.
    speed: Option<u32>,
    /// The bridge it is a port of.
    master: &'a str,
    /// Received bytes and packets, sent bytes and packets.
    counters: [u64; 4],
}

#[rustfmt::skip]
const DEVICES: &[Device<'static>] = &[
    Device { name: "lo", index: 1, link: 1, mac: "00:00:00:00:00:00", kind: "", speed: Some(0), master: "", counters: [12840, 120, 12840, 120] },
    Device { name: "eth0", index: 2, link: 2, mac: "02:00:00:00:10:00", kind: "", speed: Some(10000), master: "", counters: [992113044, 1203311, 812334411, 1100021] },
    Device { name: "lan1", index: 3, link: 2, mac: "02:00:00:00:10:01", kind: "dsa", speed: Some(1000), master: "br-lan", counters: [118223344, 90211, 332210044, 240911] },
    Device { name: "lan2", index: 4, link: 2, mac: "02:00:00:00:10:01", kind: "dsa", speed: None, master: "br-lan", counters: [0, 0, 0, 0] },
    Device { name: "lan3", index: 5, link: 2, mac: "02:00:00:00:10:01", kind: "dsa", speed: None, master: "br-lan", counters: [0, 0, 0, 0] },
    Device { name: "lan4", index: 6, link: 2, mac: "02:00:00:00:10:01", kind: "dsa", speed: Some(100), master: "br-lan", counters: [2201144, 12011, 8112033, 15022] },
    Device { name: "wan", index: 7, link: 2, mac: "02:00:00:00:10:05", kind: "dsa", speed: Some(1000), master: "", counters: [812330044, 900112, 120334455, 801122] },
    Device { name: "br-lan", index: 9, link: 9, mac: "02:00:00:00:10:01", kind: "bridge", speed: Some(1000), master: "", counters: [122334455, 103311, 341122033, 256011] },
    Device { name: "br-lan.1", index: 10, link: 9, mac: "02:00:00:00:10:01", kind: "vlan", speed: Some(1000), master: "", counters: [120033445, 101000, 338822033, 250011] },
    Device { name: "br-lan.20", index: 11, link: 9, mac: "02:00:00:00:10:01", kind: "vlan", speed: Some(1000), master: "", counters: [2301010, 2311, 2300000, 6000] },
    Device { name: "wan.30", index: 12, link: 7, mac: "02:00:00:00:10:05", kind: "vlan", speed: Some(1000), master: "", counters: [10223344, 8000, 20334, 300] },
    Device { name: "phy0-ap0", index: 13, link: 13, mac: "02:00:00:00:11:00", kind: "wlan", speed: Some(0), master: "br-lan", counters: [33441122, 40112, 90334455, 80111] },
    Device { name: "phy0-ap1", index: 14, link: 14, mac: "02:00:00:00:11:01", kind: "wlan", speed: Some(0), master: "br-lan", counters: [1123344, 2011, 4433221, 3011] },
    Device { name: "phy1-ap0", index: 15, link: 15, mac: "02:00:00:00:12:00", kind: "wlan", speed: Some(0), master: "br-lan", counters: [902233441, 700112, 1802334455, 1400233] },
];

/// Radios: name, index, MAC, and the device below `/sys/devices/platform`.
const RADIOS: &[(&str, u8, &str, &str)] = &[
    ("phy0", 0, "02:00:00:00:11:00", "soc/11300000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0"),
    ("phy1", 1, "02:00:00:00:12:00", "soc/11290000.pcie/pci0001:00/0001:00:00.0/0001:01:00.0"),
];

/// Processes: number, name, command line with blanks for zero bytes, KiB, ticks of user time.
const PROCESSES: &[(u16, &str, &str, u32, u32)] = &[
    (1, "procd", "/sbin/procd", 1496, 120),
    (2, "kthreadd", "", 0, 0),
    (812, "ubusd", "/sbin/ubusd", 1208, 310),
    (1420, "netifd", "/sbin/netifd", 2100, 1822),
    (1733, "dnsmasq", "/usr/sbin/dnsmasq -C /var/etc/dnsmasq.conf.cfg01411c -k", 1680, 904),
    (1911, "hostapd", "/usr/sbin/hostapd -s -g /var/run/hostapd/global", 4204, 2210),
    (2044, "dropbear", "/usr/sbin/dropbear -F -P /var/run/dropbear.main.pid", 980, 12),
];

/// Files of one value.
const VALUES: &[(&str, &str)] = &[
    ("proc/sys/kernel/hostname", "OpenWrt"),
    ("proc/sys/net/ipv4/ip_forward", "1"),
    ("proc/sys/net/ipv6/conf/all/disable_ipv6", "0"),
    ("proc/sys/net/ipv6/conf/all/forwarding", "1"),
    ("proc/sys/net/netfilter/nf_conntrack_count", "112"),
    ("proc/sys/net/netfilter/nf_conntrack_max", "31744"),
    ("sys/class/thermal/thermal_zone0/mode", "enabled"),
    ("sys/class/thermal/thermal_zone0/temp", "62224"),
    ("sys/class/thermal/thermal_zone0/trip_point_0_temp", "125000"),
    ("sys/class/thermal/thermal_zone0/trip_point_0_type", "critical"),
    ("sys/class/thermal/thermal_zone0/type", "cpu-thermal"),
];

/// Counters that stay at zero here.
const QUIET: &[&str] = &[
    "collisions",
    "multicast",
    "rx_compressed",
    "rx_crc_errors",
    "rx_dropped",
    "rx_errors",
    "rx_fifo_errors",
    "rx_frame_errors",
    "rx_length_errors",
    "rx_missed_errors",
    "rx_nohandler",
    "rx_over_errors",
    "tx_aborted_errors",
    "tx_carrier_errors",
    "tx_compressed",
    "tx_dropped",
    "tx_errors",
    "tx_fifo_errors",
    "tx_heartbeat_errors",
    "tx_window_errors",
];

/// Values of a bridge that this one leaves at their defaults.
const BRIDGE: &[(&str, &str)] = &[
    ("ageing_time", "30000"),
    ("bridge_id", "7fff.020000001001"),
    ("default_pvid", "1"),
    ("forward_delay", "1500"),
    ("group_addr", "1:80:c2:0:0:0"),
    ("hello_time", "200"),
    ("max_age", "2000"),
    ("multicast_snooping", "0"),
    ("priority", "32767"),
    ("root_id", "7fff.020000001001"),
    ("stp_state", "0"),
    ("vlan_filtering", "1"),
];

/// Paths below the root and texts.
pub fn files() -> Vec<(String, String)> {
    let mut files = Files(Vec::new());
    for (path, value) in VALUES {
        files.line(*path, value);
    }
    files.line("sys/devices/platform/soc/15100000.ethernet/uevent", "DRIVER=mtk_soc_eth");
    files.line("sys/bus/pci/drivers_autoprobe", 1);
    for device in DEVICES {
        device.files(&mut files);
    }
    for (name, index, mac, path) in RADIOS {
        let folder = format!("sys/devices/platform/{path}");
        files.line(format!("{folder}/vendor"), "0x14c3");
        files.line(format!("{folder}/device"), "0x7915");
        files.line(format!("{folder}/uevent"), "DRIVER=mt7915e\nPCI_ID=14C3:7915");
        let phy = format!("{folder}/ieee80211/{name}");
        files.line(format!("{phy}/name"), name);
        files.line(format!("{phy}/index"), index);
        files.line(format!("{phy}/macaddress"), mac);
        files.line(format!("{phy}/addresses"), mac);
    }
    for process in PROCESSES {
        process_files(process, &mut files);
    }
    files.line(
        "proc/net/dev",
        DEVICES.iter().fold(TRAFFIC.to_owned(), |table, device| table + &device.traffic()),
    );
    files.line("proc/net/vlan/config", vlans());
    files.0
}

/// Symbolic links: paths below the root and targets.
pub fn links() -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (name, _, _, path) in RADIOS {
        let up = "../".repeat(path.split('/').count() + 2);
        let folder = format!("devices/platform/{path}");
        out.push((format!("sys/class/ieee80211/{name}"), format!("../../{folder}/ieee80211/{name}")));
        out.push((format!("sys/{folder}/ieee80211/{name}/device"), "../..".to_owned()));
        out.push((format!("sys/{folder}/subsystem"), format!("{up}bus/pci")));
    }
    out.extend(DEVICES.iter().flat_map(Device::links));
    out
}

/// Paths below the root and texts or targets.
pub type Paths = Vec<(String, String)>;

/// The links between a port and its bridge.
pub fn master_links(port: &str, bridge: &str) -> Paths {
    vec![
        (format!("sys/class/net/{port}/master"), format!("../{bridge}")),
        (format!("sys/class/net/{port}/brport/bridge"), format!("../../{bridge}")),
        (format!("sys/class/net/{bridge}/brif/{port}"), format!("../../{port}/brport")),
    ]
}

/// The files and links of a device that comes while the router runs: as it was at the boot, or new, up and unused,
/// with the index and the MAC given. `kind` is its `DEVTYPE`.
pub fn device(name: &str, kind: &str, index: u8, mac: &str) -> (Paths, Paths) {
    let new = Device { name, index, link: index, mac, kind, speed: Some(0), master: "", counters: [0; 4] };
    let device = DEVICES.iter().find(|known| known.name == name).unwrap_or(&new);
    let mut files = Files(Vec::new());
    device.files(&mut files);
    (files.0, device.links())
}

/// The files so far.
struct Files(Vec<(String, String)>);

impl Files {
    fn line(&mut self, path: impl Into<String>, text: impl Display) {
        self.0.push((path.into(), format!("{text}\n")));
    }
}

impl Device<'_> {
    /// The files of `/sys/class/net/NAME`. `speed` and `duplex` are absent where the kernel gives EINVAL.
    fn files(&self, files: &mut Files) {
        let folder = format!("sys/class/net/{}", self.name);
        let mut put = |file: &str, value: &dyn Display| files.line(format!("{folder}/{file}"), value);
        let (loopback, up) = (self.name == "lo", self.speed.is_some());
        put("address", &self.mac);
        put("addr_len", &6);
        put("mtu", &if loopback { 65536 } else { 1500 });
        put("ifindex", &self.index);
        put("iflink", &self.link);
        let plain = if self.kind == "ppp" { 512 } else { 1 };
        put("type", &if loopback { 772 } else { plain });
        put("flags", &if loopback { "0x9" } else { "0x1003" });
        let down = if self.kind == "dsa" { "lowerlayerdown" } else { "down" };
        put(
            "operstate",
            &if loopback {
                "unknown"
            } else if up {
                "up"
            } else {
                down
            },
        );
        put("carrier", &u8::from(up));
        put("carrier_changes", &if up { 3 } else { 1 });
        put("tx_queue_len", &1000);
        put("dev_id", &"0x0");
        match self.speed {
            None => {
                put("speed", &-1);
                put("duplex", &"unknown");
            }
            Some(0) => {}
            Some(speed) => {
                put("speed", &speed);
                put("duplex", &"full");
            }
        }
        let kind = if self.kind.is_empty() { String::new() } else { format!("DEVTYPE={}\n", self.kind) };
        put("uevent", &format!("{kind}INTERFACE={}\nIFINDEX={}", self.name, self.index));
        let [rx_bytes, rx_packets, tx_bytes, tx_packets] = self.counters;
        put("statistics/rx_bytes", &rx_bytes);
        put("statistics/rx_packets", &rx_packets);
        put("statistics/tx_bytes", &tx_bytes);
        put("statistics/tx_packets", &tx_packets);
        for counter in QUIET {
            put(&format!("statistics/{counter}"), &0);
        }
        if self.kind == "bridge" {
            for (file, value) in BRIDGE {
                put(&format!("bridge/{file}"), value);
            }
        }
        if self.kind == "dsa" {
            put("phys_port_name", &format!("p{}", self.index.saturating_sub(3)));
        }
        // The conduit carries the mark, not the ports.
        if DEVICES.iter().any(|port| port.kind == "dsa" && port.link == self.index) {
            put("dsa/tagging", &"mtk");
        }
        if !self.master.is_empty() {
            put("brport/state", &if up { 3 } else { 0 });
            put("brport/path_cost", &if up { 4 } else { 100 });
            put("brport/priority", &32);
            put("brport/port_no", &format!("{:#x}", self.index.saturating_sub(2)));
        }
        let off = u8::from(!self.master.is_empty());
        for (file, value) in [("disable_ipv6", off), ("dad_transmits", 1), ("forwarding", 1)] {
            files.line(format!("{IPV6}/conf/{}/{file}", self.name), value);
        }
        files.line(format!("{IPV6}/neigh/{}/retrans_time_ms", self.name), 1000);
    }

    /// Its symbolic links: paths below the root and targets.
    fn links(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let folder = format!("sys/class/net/{}", self.name);
        if !self.master.is_empty() {
            out.extend(master_links(self.name, self.master));
        }
        if matches!(self.kind, "" | "dsa") && self.name != "lo" {
            out.push((
                format!("{folder}/device"),
                "../../../devices/platform/soc/15100000.ethernet".to_owned(),
            ));
        }
        if let Some(lower) = self.lower() {
            out.push((format!("{folder}/lower_{lower}"), format!("../{lower}")));
        }
        if let Some((phy, ..)) =
            RADIOS.iter().find(|(phy, ..)| self.kind == "wlan" && self.name.starts_with(phy))
        {
            out.push((format!("{folder}/phy80211"), format!("../../ieee80211/{phy}")));
            out.push((format!("{folder}/device"), format!("../../ieee80211/{phy}/device")));
        }
        out
    }

    /// The device that a VLAN or a DSA port stands on.
    fn lower(&self) -> Option<&'static str> {
        (self.link != self.index)
            .then(|| DEVICES.iter().find(|lower| lower.index == self.link))?
            .map(|lower| lower.name)
    }

    /// The line of `/proc/net/dev`.
    fn traffic(&self) -> String {
        let [rx_bytes, rx_packets, tx_bytes, tx_packets] = self.counters;
        format!(
            "\n{:>6}:{rx_bytes:>8} {rx_packets:>7}    0    0    0     0          0         0 \
             {tx_bytes:>8} {tx_packets:>7}    0    0    0     0       0          0",
            self.name
        )
    }
}

/// `/proc/net/vlan/config`.
fn vlans() -> String {
    let mut table = "VLAN Dev name    | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD".to_owned();
    for device in DEVICES.iter().filter(|device| device.kind == "vlan") {
        let (lower, id) = device.name.rsplit_once('.').unwrap_or((device.name, "0"));
        table += &format!("\n{:<15}| {id}  | {lower}", device.name);
    }
    table
}

/// The files of `/proc/PID`.
fn process_files((pid, name, command, kib, ticks): &(u16, &str, &str, u32, u32), files: &mut Files) {
    let folder = format!("proc/{pid}");
    let parent = u8::from(*pid > 2);
    files.line(format!("{folder}/comm"), name);
    files.line(
        format!("{folder}/stat"),
        format!(
            "{pid} ({name}) S {parent} {pid} {pid} 0 -1 4194560 512 0 0 0 {ticks} {} 0 0 20 0 1 0 {} {} {} \
             18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
            ticks / 2,
            u32::from(*pid) + 100,
            u64::from(*kib) * 1024,
            kib / 8
        ),
    );
    let memory = match kib {
        0 => String::new(),
        kib => format!("VmPeak:\t{:>8} kB\nVmSize:\t{kib:>8} kB\nVmRSS:\t{:>8} kB\n", kib + 40, kib / 2),
    };
    files.line(
        format!("{folder}/status"),
        format!(
            "Name:\t{name}\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t{pid}\nPid:\t{pid}\nPPid:\t{parent}\n\
             Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n{memory}Threads:\t1"
        ),
    );
    let mut line = command.replace(' ', "\0");
    if !line.is_empty() {
        line.push('\0');
    }
    files.0.push((format!("{folder}/cmdline"), line));
}
