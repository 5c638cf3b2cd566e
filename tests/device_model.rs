//! Device, settings, time, users, names, hosts, routes, NAT and firewall through the whole model, on a
//! router in a folder: what is read, and the UCI text that changes leave behind.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

use std::fs;
use std::path::Path;

use rcwmp::backend::{Places, System};
use rcwmp::model::compiled;
use rcwmp::model::tree::Model;
use rcwmp::model::value::Input;
use rcwmp::sys::clock;
use rcwmp::sys::fs::Root;

const FILES: &[(&str, &str)] = &[
    (
        "etc/config/network",
        "config interface 'loopback'\n\toption device 'lo'\n\toption proto 'static'\n\n\
         config interface 'lan'\n\toption device 'br-lan'\n\toption proto 'static'\n\toption ipaddr '192.168.1.1'\n\toption netmask '255.255.255.0'\n\n\
         config interface 'wan'\n\toption device 'eth1'\n\toption proto 'dhcp'\n\toption dns '192.0.2.53 192.0.2.54'\n\n\
         config interface 'wan6'\n\toption device 'eth1'\n\toption proto 'dhcpv6'\n\n\
         config route\n\toption interface 'lan'\n\toption target '10.20.0.0/16'\n\toption gateway '192.168.1.254'\n\n\
         config route\n\toption interface 'lan'\n\toption target '10.30.0.0'\n\toption netmask '255.255.0.0'\n\toption metric '3'\n\n\
         config route6\n\toption interface 'lan'\n\toption target 'fd77::/48'\n\toption gateway 'fd12:3456:789a::fe'\n",
    ),
    (
        "etc/config/firewall",
        "config defaults\n\toption forward 'REJECT'\n\n\
         config zone\n\toption name 'lan'\n\tlist network 'lan'\n\n\
         config zone\n\toption name 'wan'\n\tlist network 'wan'\n\tlist network 'wan6'\n\toption masq '1'\n\n\
         config rule\n\toption name 'Allow-DHCP-Renew'\n\toption src 'wan'\n\toption proto 'udp'\n\toption dest_port '68'\n\toption target 'ACCEPT'\n\toption family 'ipv4'\n\n\
         config rule\n\toption name 'Allow-MLD'\n\toption src 'wan'\n\toption src_ip 'fe80::/10'\n\toption target 'ACCEPT'\n\toption family 'ipv6'\n\n\
         config redirect\n\toption target 'DNAT'\n\toption src 'wan'\n\toption dest 'lan'\n\toption name 'HTTPS'\n\toption src_dport '443'\n\tlist proto 'tcp'\n\toption dest_ip '192.168.1.3'\n\n\
         config redirect\n\toption name 'Games'\n\toption src 'wan'\n\toption src_dport '8000-8100'\n\toption proto 'udp'\n\toption dest_ip '192.168.1.4'\n\toption dest_port '9000'\n\toption enabled '0'\n\n\
         config redirect\n\toption name 'Adblock'\n\toption src 'lan'\n\toption src_dport '53'\n\toption dest_port '53'\n\toption target 'DNAT'\n",
    ),
    (
        "etc/config/system",
        "config system\n\toption hostname 'OpenWrt'\n\toption timezone 'CET-1CEST,M3.5.0,M10.5.0/3'\n\toption zonename 'Europe/Berlin'\n\n\
         config timeserver 'ntp'\n\tlist server '0.openwrt.pool.ntp.org'\n\tlist server '1.openwrt.pool.ntp.org'\n",
    ),
    (
        "etc/config/dhcp",
        "config dnsmasq\n\tlist server '9.9.9.9'\n\tlist server '/lan/127.0.0.1'\n\nconfig dhcp 'lan'\n\toption interface 'lan'\n\toption start '100'\n\toption limit '150'\n",
    ),
    (
        "etc/config/cwmp",
        "config acs 'acs'\n\toption url 'http://acs.example/'\n\toption passwd 'ExamplePassphrase'\n\toption dhcp_discovery 'enable'\n\
         \toption dhcp_url 'http://dhcp.example/'\n\toption heartbeat_time '0'\n\n\
         config cpe 'cpe'\n\toption dhcp_provisioning_code 'from-dhcp'\n\n\
         config transfer_complete\n\toption enable '1'\n\toption file_type '1 Firmware Upgrade Image,3 Vendor Configuration File'\n\n\
         config inform_parameter\n\toption enable '1'\n\toption parameter_name 'Device.DeviceInfo.UpTime'\n\toption events_list '1 BOOT,6 CONNECTION REQUEST'\n",
    ),
    ("etc/config/firewall-opkg", ""),
    ("etc/rc.d/S19firewall", ""),
    (
        "etc/openwrt_release",
        "DISTRIB_RELEASE='24.10-SNAPSHOT'\nDISTRIB_REVISION='r28739-d9340319c6'\nDISTRIB_DESCRIPTION='OpenWrt 24.10-SNAPSHOT r28739-d9340319c6'\n",
    ),
    ("etc/device_info", "DEVICE_MANUFACTURER='OpenWrt'\nDEVICE_PRODUCT='Generic'\nDEVICE_REVISION='v0'\n"),
    (
        "etc/board.json",
        "{\"model\":{\"id\":\"linksys,wrt1900acs\",\"name\":\"Linksys WRT1900ACS\"},\"system\":{\"label_macaddr\":\"02:00:00:00:01:0f\"}}",
    ),
    ("etc/passwd", "root:x:0:0:root:/root:/bin/ash\nnobody:*:65534:65534:nobody:/var:/bin/false\n"),
    ("etc/shadow", "root:$1$AAAA:0:0:99999:7:::\n"),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/shells", "# shells\n/bin/ash\n"),
    ("proc/uptime", "350735.47 234388.90\n"),
    ("proc/meminfo", "MemTotal:        1048576 kB\nMemFree:          131072 kB\n"),
    ("proc/stat", "cpu  100 0 100 600 0 0 0 0 0 0\n"),
    ("proc/version", "Linux version 6.6.93 (builder@host) (gcc) #0 SMP\n"),
    ("proc/811/stat", "811 (a b) R 1 811 811 0 -1 4194560 1 2 3 4 250 17 0 0 20 0 1 0 900 1 2\n"),
    ("proc/811/status", "Name:\ta b\nVmRSS:\t    1234 kB\n"),
    ("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
    ("proc/sys/net/ipv4/tcp_congestion_control", "cubic\n"),
    ("sys/class/thermal/thermal_zone0/temp", "62224\n"),
    ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
    (
        "proc/net/arp",
        "IP address HW type Flags HW address Mask Device\n192.168.1.163 0x1 0x2 02:00:00:00:01:11 * br-lan\n\
         198.51.100.1 0x1 0x2 02:00:00:00:01:15 * eth1\n",
    ),
    (
        "proc/net/ipv6_route",
        "fd770000000000000000000000000000 30 00000000000000000000000000000000 00 fd123456789a000000000000000000fe 00000400 00000001 00000000 00000003   br-lan\n\
         00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000200 00000001 00000000 00450003     eth1\n",
    ),
    ("tmp/dhcp.leases", "0 02:00:00:00:01:11 192.168.1.163 host-1 01:02:00:00:00:01:11\n"),
    (
        "tmp/resolv.conf.d/resolv.conf.auto",
        "# Interface wan\nnameserver 192.0.2.53\nnameserver 198.51.100.7\n# Interface wan6\nnameserver 2001:db8:53::1\n",
    ),
];

struct Router {
    dir: tempfile::TempDir,
    model: Model<System>,
}

fn put(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn router() -> Router {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        put(dir.path(), name, text);
    }
    // The kernel prints these words in the byte order of the machine.
    let hex = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
    let route = |device: &str, network, gateway, flags: &str, mask| {
        format!("{device}\t{}\t{}\t{flags}\t0\t0\t0\t{}\t0\t0\t0\n", hex(network), hex(gateway), hex(mask))
    };
    let routes = "Iface\tDestination\n".to_owned()
        + &route("eth1", [0; 4], [198, 51, 100, 1], "0003", [0; 4])
        + &route("br-lan", [10, 20, 0, 0], [192, 168, 1, 254], "0003", [255, 255, 0, 0])
        + &route("br-lan", [192, 168, 1, 0], [0; 4], "0001", [255, 255, 255, 0]);
    put(dir.path(), "proc/net/route", &routes);
    open(dir)
}

fn open(dir: tempfile::TempDir) -> Router {
    let places = Places {
        root: Root::new(dir.path()),
        config_dir: "/etc/config".into(),
        delta_dir: "/tmp/.uci".into(),
        state_dir: dir.path().join("state"),
        ubus_socket: None,
    };
    let (system, memory) = System::open(places).unwrap();
    let mut model = Model::new(compiled::schema(), system, memory);
    model.refresh();
    Router { dir, model }
}

impl Router {
    fn value(&mut self, name: &str) -> String {
        self.model.values([name]).unwrap().remove(0).1.text
    }

    #[track_caller]
    fn check(&mut self, base: &str, expected: &[(&str, &str)]) {
        for (name, text) in expected {
            let name = format!("{base}{name}");
            let found = self.model.values([name.as_str()]).map(|list| list[0].1.text.clone());
            assert_eq!(found.as_deref(), Ok(*text), "{name}");
        }
    }

    fn try_set(&mut self, base: &str, list: &[(&str, &str)]) -> Result<(), String> {
        let list: Vec<_> = list
            .iter()
            .map(|(name, text)| {
                (format!("{base}{name}"), Input { kind: None, foreign: None, text: (*text).to_owned() })
            })
            .collect();
        self.model.set(&list, None).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn set(&mut self, base: &str, list: &[(&str, &str)]) {
        assert_eq!(self.try_set(base, list), Ok(()));
        self.check(base, list);
    }

    #[track_caller]
    fn add(&mut self, table: &str) -> String {
        format!("{table}{}.", self.model.add(table, None).unwrap())
    }

    /// The instance of a table whose parameter has that value, without its final dot.
    #[track_caller]
    fn find(&mut self, table: &str, param: &str, value: &str) -> String {
        let names = self.model.names(table, true).unwrap();
        let found = names.into_iter().find(|(name, _)| self.value(&format!("{name}{param}")) == value);
        found.unwrap_or_else(|| panic!("no {table} has {param} {value}")).0
    }

    /// What `Device.IP.Interface` has for an interface, as references name it.
    fn interface(&mut self, name: &str) -> String {
        self.find("Device.IP.Interface.", "Name", name).trim_end_matches('.').to_owned()
    }

    fn config(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join("etc/config").join(name)).unwrap()
    }

    #[track_caller]
    fn has(&self, name: &str, lines: &[&str]) {
        let text = self.config(name);
        for line in lines {
            assert!(text.lines().any(|one| one.trim() == *line), "{line:?} is not in\n{text}");
        }
    }
}

#[test]
fn dhcp_presets_what_was_not_set() {
    let mut router = router();
    let (server, code) = ("Device.ManagementServer.", "Device.DeviceInfo.ProvisioningCode");
    let mut cwmp = |acs: &str| {
        let text =
            format!("config acs 'acs'\n{acs}\nconfig cpe 'cpe'\n\toption dhcp_provisioning_code 'p'\n");
        put(router.dir.path(), "etc/config/cwmp", &text);
        router.model.refresh();
        let names = ["URL", "CWMPRetryMinimumWaitInterval", "CWMPRetryIntervalMultiplier"];
        let mut all: Vec<String> =
            names.iter().map(|name| router.value(&format!("{server}{name}"))).collect();
        all.push(router.value(code));
        all.join(" ")
    };
    let own = "\toption url 'http://o/'\n\toption retry_min_wait_interval '7'\n";
    let dhcp = "\toption dhcp_url 'http://d/'\n\toption dhcp_retry_min_wait_interval '30'\n\
                \toption dhcp_retry_interval_multiplier '1500'\n";
    let on = "\toption dhcp_discovery '1'\n";
    assert_eq!(cwmp(&[own, dhcp].concat()), "http://o/ 7 2000 ");
    assert_eq!(cwmp(&[own, on].concat()), "http://o/ 7 2000 p");
    let odd = "\toption dhcp_retry_min_wait_interval '0'\n\toption dhcp_retry_interval_multiplier '999'\n";
    assert_eq!(cwmp(&[own, on, odd].concat()), "http://o/ 7 2000 p");
    // Without a URL, DHCP is asked anyway.
    assert_eq!(cwmp(dhcp), "http://d/ 30 1500 p");
    assert_eq!(cwmp(&[own, dhcp, on].concat()), "http://d/ 30 1500 p");
    router.set(server, &[("CWMPRetryMinimumWaitInterval", "8")]);
    router.set("Device.DeviceInfo.", &[("ProvisioningCode", "")]);
    router.check(server, &[("CWMPRetryIntervalMultiplier", "1500"), ("URL", "http://d/")]);
    router.set("Device.DeviceInfo.", &[("ProvisioningCode", "q")]);
    assert!(!router.config("cwmp").contains("provisioning_code_fixed"));
    router.has("cwmp", &["option retry_min_wait_interval '8'", "option retry_min_wait_interval_fixed '1'"]);
    router.set(server, &[("URL", "http://x/")]);
    router.has("cwmp", &["option dhcp_discovery 'disable'"]);
    assert!(router.try_set(server, &[("URL", "")]).unwrap_err().contains("DHCP discovery is off"));
}

#[test]
fn the_device() {
    let mut router = router();
    router.check(
        "Device.DeviceInfo.",
        &[
            ("Manufacturer", "OpenWrt"),
            ("ManufacturerOUI", "020000"),
            ("SerialNumber", "02000000010F"),
            ("ProductClass", "linksys,wrt1900acs"),
            ("ModelName", "Linksys WRT1900ACS"),
            ("HardwareVersion", "v0"),
            ("SoftwareVersion", "24.10-SNAPSHOT-r28739-d9340319c6"),
            ("AdditionalSoftwareVersion", "r28739-d9340319c6,Linux-6.6.93"),
            ("UpTime", "350735"),
            ("ActiveFirmwareImage", "Device.DeviceInfo.FirmwareImage.1"),
            ("FirmwareImage.1.Version", "24.10-SNAPSHOT-r28739-d9340319c6"),
            ("ProvisioningCode", "from-dhcp"),
            ("MemoryStatus.Total", "1048576"),
            ("MemoryStatus.Free", "131072"),
            ("ProcessStatus.CPUUsage", "25"),
            ("ProcessStatus.ProcessNumberOfEntries", "1"),
            ("ProcessStatus.Process.1.Command", "a b"),
            ("ProcessStatus.Process.1.Size", "1234"),
            ("ProcessStatus.Process.1.State", "Running"),
            ("TemperatureStatus.TemperatureSensor.1.Name", "cpu-thermal"),
            ("TemperatureStatus.TemperatureSensor.1.Value", "62"),
            ("TemperatureStatus.TemperatureSensor.1.Status", "Enabled"),
            ("NetworkProperties.MaxTCPWindowSize", "6291456"),
            ("NetworkProperties.TCPImplementation", ""),
            ("VendorConfigFileNumberOfEntries", "5"),
            ("VendorConfigFile.1.Name", "cwmp"),
            ("VendorLogFile.1.MaximumSize", "65536"),
            ("VendorLogFile.1.Persistent", "0"),
            ("FirstUseDate", "0001-01-01T00:00:00Z"),
        ],
    );
    assert_ne!(router.value("Device.DeviceInfo.VendorConfigFile.1.Date"), "0001-01-01T00:00:00Z");
    assert_ne!(router.value("Device.DeviceInfo.MemoryStatus.TotalPersistent"), "0");
    router.set("Device.DeviceInfo.", &[("HostName", "box"), ("ProvisioningCode", "TLCO.GRP2")]);
    router.has("system", &["option hostname 'box'"]);
}

#[test]
fn temperatures() {
    let mut router = router();
    let sensor = "Device.DeviceInfo.TemperatureStatus.TemperatureSensor.1.";
    let never = "0001-01-01T00:00:00Z";
    router.check(
        sensor,
        &[
            ("Enable", "1"),
            ("MinValue", "62"),
            ("MaxValue", "62"),
            ("LowAlarmValue", "-274"),
            ("HighAlarmTime", never),
            ("PollingInterval", "0"),
        ],
    );
    assert_ne!(router.value(&format!("{sensor}ResetTime")), never);
    router.set(sensor, &[("HighAlarmValue", "70"), ("LowAlarmValue", "50"), ("PollingInterval", "10")]);
    let path = router.dir.path().join("sys/class/thermal/thermal_zone0/temp");
    let now = clock::epoch_seconds();
    // Between two sessions the agent looks by itself, as often as it is told to.
    assert!(router.model.backend().measure(now).is_some_and(|next| next <= 10));
    for (text, at) in [("71500\n", 20), ("40000\n", 40), ("99000\n", 45)] {
        fs::write(&path, text).unwrap();
        router.model.backend().measure(now + at);
    }
    fs::write(&path, "60000\n").unwrap();
    router.model.refresh();
    router.check(sensor, &[("Value", "60"), ("MaxValue", "71"), ("MinValue", "40")]);
    let high = router.value(&format!("{sensor}HighAlarmTime"));
    assert_eq!(high, router.value(&format!("{sensor}MaxTime")));
    assert_ne!(router.value(&format!("{sensor}LowAlarmTime")), never);
    assert_ne!(high, router.value(&format!("{sensor}LowAlarmTime")));
    // A command: done with the services' following, and false ever after.
    assert_eq!(router.try_set(sensor, &[("Reset", "1")]), Ok(()));
    let orders = router.model.backend().take_orders();
    assert_eq!(format!("{orders:?}"), "[Forget(\"thermal_zone0\")]");
    router.model.backend().forget_seen("thermal_zone0", now);
    router.check(sensor, &[("Reset", "0"), ("MaxValue", "60"), ("MinValue", "60"), ("HighAlarmTime", never)]);
    // One that is off is left alone.
    router.set(sensor, &[("Enable", "0")]);
    router.check(sensor, &[("Status", "Disabled"), ("Value", "-274")]);
    assert_eq!(router.model.backend().measure(now + 100), None);
    fs::write(router.dir.path().join("sys/class/thermal/thermal_zone0/mode"), "disabled\n").unwrap();
    router.model.refresh();
    assert!(router.try_set(sensor, &[("Enable", "1")]).is_err(), "the kernel has switched it off");
}

#[test]
fn settings() {
    let mut router = router();
    let server = "Device.ManagementServer.";
    router.check(
        server,
        &[
            ("URL", "http://dhcp.example/"),
            ("Password", ""),
            ("PeriodicInformInterval", "86400"),
            ("STUNServerPort", "3478"),
            ("LightweightNotificationProtocolsUsed", ""),
            ("AutonomousTransferCompletePolicy.Enable", "1"),
            (
                "AutonomousTransferCompletePolicy.FileTypeFilter",
                "1 Firmware Upgrade Image,3 Vendor Configuration File",
            ),
            ("InformParameter.1.EventList", "1 BOOT,6 CONNECTION REQUEST"),
            ("InformParameter.1.ParameterName", "Device.DeviceInfo.UpTime"),
            ("HeartbeatPolicy.InitiationTime", "0001-01-01T00:00:00Z"),
        ],
    );
    router.set(
        server,
        &[
            ("URL", "https://acs.example/cwmp"),
            ("STUNEnable", "1"),
            ("STUNServerAddress", "stun.example"),
            ("LightweightNotificationProtocolsUsed", "UDP"),
            ("HTTPCompression", "Deflate"),
            ("DUStateChangeComplPolicy.OperationTypeFilter", "Install,Update"),
            ("AutonomousTransferCompletePolicy.FileTypeFilter", "1 Firmware Upgrade Image"),
            ("HeartbeatPolicy.InitiationTime", "2026-11-21T05:00:00Z"),
        ],
    );
    router.has(
        "cwmp",
        &[
            "option dhcp_discovery 'disable'",
            "option url 'https://acs.example/cwmp'",
            "config stun 'stun'",
            "config lwn 'lwn'",
            "option compression 'Deflate'",
            "config autonomous_notify 'du_state_change'",
            "option operation_type 'Install,Update'",
            "option file_type '1 Firmware Upgrade Image'",
        ],
    );
    let new = router.add("Device.ManagementServer.InformParameter.");
    router.check(&new, &[("Enable", "0"), ("ParameterName", ""), ("EventList", "")]);
    router.set(
        &new,
        &[("ParameterName", "Device.Time.CurrentLocalTime"), ("EventList", "2 PERIODIC"), ("Enable", "1")],
    );
    router.has("cwmp", &["option events_list '2 PERIODIC'"]);
    router.set(server, &[("LightweightNotificationProtocolsUsed", ""), ("HTTPCompression", "Disabled")]);
    assert!(router.try_set(server, &[("CWMPRetryIntervalMultiplier", "999")]).is_err());
}

#[test]
fn clock_and_accounts() {
    let mut router = router();
    router.check(
        "Device.Time.",
        &[
            ("Enable", "1"),
            ("Status", "Unsynchronized"),
            ("LocalTimeZone", "CET-1CEST,M3.5.0,M10.5.0/3"),
            ("Client.1.Servers", "0.openwrt.pool.ntp.org,1.openwrt.pool.ntp.org"),
            ("Server.1.Status", "Down"),
        ],
    );
    let local = router.value("Device.Time.CurrentLocalTime");
    assert!(local.ends_with("+01:00") || local.ends_with("+02:00"), "{local}");
    router.model.backend().tell("TimeStatus", "Synchronized");
    router.check("Device.Time.", &[("Status", "Synchronized")]);
    router.set(
        "Device.Time.",
        &[("LocalTimeZone", "EST5EDT"), ("Client.1.Servers", "ntp.example"), ("Enable", "0")],
    );
    router.check("Device.Time.", &[("Status", "Disabled"), ("Client.1.Status", "Disabled")]);
    assert!(!router.config("system").contains("zonename"));
    router.check(
        "Device.Users.",
        &[
            ("User.1.Username", "root"),
            ("User.1.Enable", "1"),
            ("User.1.GroupParticipation", "Device.Users.Group.1"),
            ("User.1.Shell", "Device.Users.SupportedShell.1"),
            ("User.1.Password", ""),
            ("User.2.Enable", "0"),
            ("User.2.Shell", ""),
            ("GroupNumberOfEntries", "2"),
        ],
    );
}

#[test]
fn name_servers() {
    let mut router = router();
    let table = "Device.DNS.Client.Server.";
    let (wan, wan6) = (router.interface("wan"), router.interface("wan6"));
    router.check("Device.DNS.", &[("Client.Status", "Enabled"), ("Client.ServerNumberOfEntries", "4")]);
    let fixed = router.find(table, "DNSServer", "192.0.2.53");
    router.check(&fixed, &[("Type", "Static"), ("Interface", &wan), ("Enable", "1"), ("Status", "Enabled")]);
    let dhcp = router.find(table, "DNSServer", "198.51.100.7");
    router.check(&dhcp, &[("Type", "DHCPv4"), ("Interface", &wan)]);
    let v6 = router.find(table, "DNSServer", "2001:db8:53::1");
    router.check(&v6, &[("Type", "DHCPv6"), ("Interface", &wan6)]);
    assert!(router.try_set(&dhcp, &[("Enable", "0")]).is_err());

    let (first, second) = (router.add(table), router.add(table));
    router.check(&second, &[("Enable", "0"), ("DNSServer", ""), ("Status", "Disabled"), ("Type", "Static")]);
    router.model.delete(&first, None).unwrap();
    router.set(&second, &[("Enable", "1"), ("DNSServer", "1.1.1.1")]);
    router.has("network", &["list dns '1.1.1.1'"]);
    router.set(&fixed, &[("Enable", "0")]);
    assert!(!router.config("network").contains("list dns '192.0.2.53'"));
    router.check(&fixed, &[("DNSServer", "192.0.2.53"), ("Status", "Disabled")]);
    router.model.delete(&fixed, None).unwrap();
    router.check(&second, &[("DNSServer", "1.1.1.1"), ("Status", "Enabled")]);
    assert!(router.try_set(&second, &[("DNSServer", "acs.example")]).is_err());

    router.check(
        "Device.DNS.Relay.",
        &[("Enable", "1"), ("Status", "Enabled"), ("Forwarding.1.DNSServer", "9.9.9.9")],
    );
    router.set("Device.DNS.Relay.", &[("Enable", "0")]);
    router.has("dhcp", &["option port '0'"]);
    router.set("Device.DNS.Relay.", &[("Enable", "1")]);
}

#[test]
fn the_machines_of_the_lan() {
    let mut router = router();
    let lan = router.interface("lan");
    router.check("Device.Hosts.", &[("HostNumberOfEntries", "1")]);
    router.check(
        "Device.Hosts.Host.1.",
        &[
            ("PhysAddress", "02:00:00:00:01:11"),
            ("IPAddress", "192.168.1.163"),
            ("HostName", "host-1"),
            ("Active", "1"),
            ("Layer3Interface", &lan),
            ("DHCPClient", "Device.DHCPv4.Server.Pool.1.Client.1"),
            ("IPv4AddressNumberOfEntries", "1"),
            ("IPv4Address.1.IPAddress", "192.168.1.163"),
            ("IPv6AddressNumberOfEntries", "0"),
        ],
    );
}

#[test]
fn routes() {
    let mut router = router();
    let (lan, wan, wan6) = (router.interface("lan"), router.interface("wan"), router.interface("wan6"));
    let table = "Device.Routing.Router.1.IPv4Forwarding.";
    router.check("Device.Routing.Router.1.", &[("IPv4ForwardingNumberOfEntries", "4")]);
    let fixed = router.find(table, "DestIPAddress", "10.20.0.0");
    router.check(
        &fixed,
        &[
            ("Status", "Enabled"),
            ("StaticRoute", "1"),
            ("DestSubnetMask", "255.255.0.0"),
            ("GatewayIPAddress", "192.168.1.254"),
            ("Interface", &lan),
            ("ForwardingMetric", "-1"),
            ("Origin", "Static"),
            ("Type", "Normal"),
        ],
    );
    let missing = router.find(table, "DestIPAddress", "10.30.0.0");
    router.check(&missing, &[("Status", "Error"), ("ForwardingMetric", "3")]);
    let default = router.find(table, "DestIPAddress", "0.0.0.0");
    // Without a metric a route says so alike, whether it was configured or is the kernel's.
    router.check(
        &default,
        &[("StaticRoute", "0"), ("Origin", "DHCPv4"), ("Interface", &wan), ("ForwardingMetric", "-1")],
    );
    assert!(router.try_set(&default, &[("ForwardingMetric", "5")]).is_err());
    assert!(router.model.delete(&default, None).is_err());

    router.set(&fixed, &[("DestIPAddress", "10.21.0.0"), ("ForwardingMetric", "7")]);
    router
        .has("network", &["option target '10.21.0.0'", "option netmask '255.255.0.0'", "option metric '7'"]);
    assert!(router.try_set(&fixed, &[("DestSubnetMask", "255.0.255.0")]).is_err());

    let new = router.add(table);
    router.check(
        &new,
        &[
            ("Enable", "0"),
            ("Status", "Disabled"),
            ("DestIPAddress", ""),
            ("DestSubnetMask", ""),
            ("GatewayIPAddress", ""),
            ("Interface", ""),
            ("ForwardingMetric", "-1"),
            ("ForwardingPolicy", "-1"),
            ("StaticRoute", "1"),
        ],
    );
    router.set(
        &new,
        &[
            ("DestSubnetMask", "255.255.255.0"),
            ("DestIPAddress", "10.99.1.0"),
            ("GatewayIPAddress", "192.168.1.9"),
            ("Interface", &lan),
            ("Type", "Blackhole"),
            ("Enable", "1"),
        ],
    );
    router
        .has("network", &["config route 'route_1'", "option target '10.99.1.0'", "option type 'blackhole'"]);
    router.model.delete(&new, None).unwrap();
    assert!(!router.config("network").contains("route_1"));

    let table = "Device.Routing.Router.1.IPv6Forwarding.";
    let fixed = router.find(table, "DestIPPrefix", "fd77::/48");
    router.check(&fixed, &[("Status", "Enabled"), ("ExpirationTime", "9999-12-31T23:59:59Z")]);
    let default = router.find(table, "DestIPPrefix", "::/0");
    router.check(
        &default,
        &[("Origin", "RA"), ("Interface", &wan6), ("NextHop", "fe80::1"), ("ForwardingMetric", "512")],
    );
    router.set(&fixed, &[("DestIPPrefix", "fd78::/48"), ("NextHop", "")]);
    router.has("network", &["option target 'fd78::/48'"]);
}

#[test]
fn port_mappings() {
    let mut router = router();
    let (wan, wan6) = (router.interface("wan"), router.interface("wan6"));
    let table = "Device.NAT.PortMapping.";
    router.check(
        "Device.NAT.",
        &[("InterfaceSettingNumberOfEntries", "2"), ("PortMappingNumberOfEntries", "2")],
    );
    router.check(
        "Device.NAT.InterfaceSetting.1.",
        &[("Enable", "1"), ("Status", "Enabled"), ("Interface", &wan)],
    );
    let https = router.find(table, "Description", "HTTPS");
    router.check(
        &https,
        &[
            ("Enable", "1"),
            ("Status", "Enabled"),
            ("Interface", &wan),
            ("ExternalPort", "443"),
            ("ExternalPortEndRange", "0"),
            ("InternalPort", "443"),
            ("Protocol", "TCP"),
            ("InternalClient", "192.168.1.3"),
            ("AllInterfaces", "0"),
            ("Origin", "User"),
        ],
    );
    let games = router.find(table, "Description", "Games");
    router.check(
        &games,
        &[
            ("Enable", "0"),
            ("Status", "Disabled"),
            ("ExternalPort", "8000"),
            ("ExternalPortEndRange", "8100"),
            ("InternalPort", "9000"),
            ("Protocol", "UDP"),
        ],
    );
    router.set(&games, &[("ExternalPort", "9000"), ("ExternalPortEndRange", "9100"), ("Protocol", "TCP")]);
    router.has("firewall", &["option src_dport '9000-9100'", "option proto 'tcp'"]);
    // A range that would run backwards is refused, and nothing has happened.
    for (list, why) in [
        (&[("ExternalPort", "9200")][..], "from 9200 back to 9100"),
        (&[("ExternalPortEndRange", "80")], "from 9000 back to 80"),
        (&[("ExternalPort", "0")], "needs a first port"),
        (&[("ExternalPort", "0"), ("ExternalPortEndRange", "3")], "needs a first port"),
    ] {
        let refused = router.try_set(&games, list);
        assert!(refused.as_ref().is_err_and(|told| told.contains(why)), "{list:?}: {refused:?}");
    }
    router.check(&games, &[("ExternalPort", "9000"), ("ExternalPortEndRange", "9100")]);
    // Named anew, it keeps its number.
    router.set(&games, &[("Description", "Play")]);

    let (first, new) = (router.add(table), router.add(table));
    router.check(
        &new,
        &[
            ("Enable", "0"),
            ("Status", "Disabled"),
            ("Interface", &wan),
            ("RemoteHost", ""),
            ("ExternalPort", "0"),
            ("ExternalPortEndRange", "0"),
            ("InternalClient", ""),
            ("Description", ""),
            ("Origin", "Controller"),
        ],
    );
    router.has(
        "firewall",
        &[
            "config redirect 'acs_map2'",
            "option enabled '0'",
            "option target 'DNAT'",
            "option src 'wan'",
            "option dest 'lan'",
        ],
    );
    router.model.delete(&first, None).unwrap();
    router.set(
        &new,
        &[
            ("Enable", "1"),
            ("ExternalPortEndRange", "90"),
            ("ExternalPort", "80"),
            ("InternalPort", "8080"),
            ("Protocol", "UDP"),
            ("InternalClient", "192.168.1.7"),
            ("RemoteHost", "203.0.113.9"),
            ("Description", "it's \"mine\""),
            ("Interface", &wan),
        ],
    );
    router.check(&new, &[("Status", "Enabled")]);
    router.has(
        "firewall",
        &["option src_dport '80-90'", "option dest_ip '192.168.1.7'", "option src_ip '203.0.113.9'"],
    );
    assert!(router.try_set(&new, &[("InternalClient", "$(reboot)")]).is_err());
    assert!(router.try_set(&new, &[("Interface", &wan6)]).is_err(), "the zone's face is another interface");
    // What comes in by the LAN is no row here: the ACS would lose what it has.
    let lan = router.interface("lan");
    let before = router.config("firewall");
    let why = router.try_set(&new, &[("Description", "else"), ("Interface", &lan)]).unwrap_err();
    assert!(why.contains("Interface") && why.contains("would not be there"), "{why}");
    router.check(&new, &[("Interface", &wan), ("Description", "it's \"mine\"")]);
    assert_eq!(router.config("firewall"), before);

    router.set("Device.NAT.InterfaceSetting.1.", &[("Enable", "0"), ("SourceNetwork", "10.0.0.0/8")]);
    router.has("firewall", &["option masq '0'", "list masq_src '10.0.0.0/8'"]);
    router.check("Device.NAT.", &[("PortMappingNumberOfEntries", "3")]);
}

#[test]
fn rules() {
    let mut router = router();
    let (lan, wan) = (router.interface("lan"), router.interface("wan"));
    router.check(
        "Device.Firewall.",
        &[
            ("Enable", "1"),
            ("Config", "Advanced"),
            ("AdvancedLevel", "Device.Firewall.Level.1"),
            ("Level.1.Chain", "Device.Firewall.Chain.1"),
            ("Level.1.DefaultPolicy", "Reject"),
            ("Chain.1.RuleNumberOfEntries", "2"),
        ],
    );
    let table = "Device.Firewall.Chain.1.Rule.";
    let renew = router.find(table, "Description", "Allow-DHCP-Renew");
    router.check(
        &renew,
        &[
            ("Enable", "1"),
            ("Order", "1"),
            ("Target", "Accept"),
            ("SourceInterface", &wan),
            ("DestInterface", ""),
            ("IPVersion", "4"),
            ("Protocol", "17"),
            ("DestPort", "68"),
            ("DestPortRangeMax", "-1"),
            ("SourcePort", "-1"),
        ],
    );
    let mld = router.find(table, "Description", "Allow-MLD");
    router.check(&mld, &[("SourceIP", "fe80::"), ("SourceMask", "fe80::/10"), ("SourceIPExclude", "0")]);

    let new = router.add(table);
    router.check(
        &new,
        &[
            ("Enable", "0"),
            ("Status", "Disabled"),
            ("Target", "Drop"),
            ("SourceInterface", ""),
            ("SourceAllInterfaces", "0"),
            ("IPVersion", "-1"),
            ("Protocol", "-1"),
            ("DestPort", "-1"),
        ],
    );
    router.set(
        &new,
        &[
            ("Enable", "1"),
            ("Target", "Reject"),
            ("SourceInterface", &lan),
            ("DestAllInterfaces", "1"),
            ("DestInterface", ""),
            ("DestIP", "192.0.2.7"),
            ("DestMask", "192.0.2.0/24"),
            ("DestIPExclude", "1"),
            ("Protocol", "6"),
            ("DestPort", "80"),
            ("DestPortRangeMax", "90"),
            ("SourceMAC", "02:00:00:00:01:11"),
            ("IPVersion", "4"),
        ],
    );
    router.has(
        "firewall",
        &[
            "config rule 'rule1'",
            "option target 'REJECT'",
            "option src 'lan'",
            "option dest '*'",
            "option dest_ip '!192.0.2.7/24'",
            "option dest_port '80-90'",
            "option proto 'tcp'",
        ],
    );
    router.set(
        &new,
        &[("DestPort", "-1"), ("DestPortRangeMax", "-1"), ("DestAllInterfaces", "0"), ("Protocol", "-1")],
    );
    router.model.delete(&new, None).unwrap();
    router.set("Device.Firewall.Level.1.", &[("DefaultPolicy", "Drop")]);
    router.has("firewall", &["option forward 'DROP'"]);
}

#[test]
fn nonsense_does_no_harm() {
    let mut router = router();
    for junk in [
        "",
        "\u{0}\u{0}",
        "a",
        "a b c d e f g h i j k l",
        "((((",
        "\n\n\n",
        "ä ö ü ß",
        "-1 -1 -1 -1 -1 -1 -1 -1 -1 -1",
    ] {
        let text = format!("{junk}\n").repeat(2000);
        for (name, _) in FILES.iter().filter(|(name, _)| !name.starts_with("etc/config/")) {
            put(router.dir.path(), name, &text);
        }
        put(router.dir.path(), "proc/net/route", &text);
        router.model.refresh();
        for object in ["DeviceInfo", "Time", "Users", "DNS", "Hosts", "Routing", "NAT", "Firewall"] {
            let values = router.model.values([format!("Device.{object}.").as_str()]);
            assert!(values.is_ok(), "{object} with {junk:?}: {values:?}");
        }
    }
}
#[test]
fn samples() {
    let samples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/router-samples"));
    let Ok(sets) = fs::read_dir(samples.join("etc-config")) else {
        eprintln!("skipped: ../shared not present");
        return;
    };
    let mut seen = 0;
    for set in sets {
        let set = set.unwrap().path();
        let dir = tempfile::tempdir().unwrap();
        for (from, to) in [
            ("proc/net-arp", "proc/net/arp"),
            ("proc/net-route.derived", "proc/net/route"),
            ("proc/net-ipv6_route.derived", "proc/net/ipv6_route"),
            ("proc/meminfo-mt7621", "proc/meminfo"),
            ("proc/stat-4cpu.derived", "proc/stat"),
            ("proc/uptime.derived", "proc/uptime"),
            ("proc/version.derived", "proc/version"),
            ("etc/openwrt_release-ax6000-25.12", "etc/openwrt_release"),
            ("etc/board.json-wrt1900acs.json", "etc/board.json"),
            ("etc/device_info", "etc/device_info"),
            ("files/dhcp.leases-v6.derived", "tmp/dhcp.leases"),
            ("files/resolv.conf.auto.derived", "tmp/resolv.conf.d/resolv.conf.auto"),
        ] {
            put(dir.path(), to, &fs::read_to_string(samples.join(from)).unwrap());
        }
        for file in fs::read_dir(&set).unwrap() {
            let file = file.unwrap().path();
            if let Ok(text) = fs::read_to_string(&file) {
                put(dir.path(), &format!("etc/config/{}", file.file_name().unwrap().display()), &text);
            }
        }
        let mut router = open(dir);
        for object in
            ["DeviceInfo", "ManagementServer", "Time", "Users", "DNS", "Hosts", "Routing", "NAT", "Firewall"]
        {
            let values = router.model.values([format!("Device.{object}.").as_str()]).unwrap();
            assert!(!values.is_empty());
        }
        let routes = router.value("Device.Routing.Router.1.IPv4ForwardingNumberOfEntries");
        assert!(
            routes.parse::<u32>().unwrap() >= 9 || cfg!(target_endian = "big"),
            "{routes} in {}",
            set.display()
        );
        let servers = router.value("Device.DNS.Client.ServerNumberOfEntries");
        assert!(servers.parse::<u32>().unwrap() >= 5, "{servers} in {}", set.display());
        let complaints = router.model.complaints();
        assert!(complaints.is_empty(), "{}: {complaints:?}", set.display());
        seen += 1;
    }
    assert!(seen > 10);
}
