//! The simulated router on ubus: every reply has what OpenWrt's has, and tells of the same router as its files do.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rcwmp::lab::router::objects::{Fault, Router};
use rcwmp::lab::router::{Settings, unpack};
use rcwmp::ubus::blobmsg::Table;
use rcwmp::ubus::client::{CallError, Client};
use rcwmp::ubus::json;
use rcwmp::ubus::msg::Status;
use serde_json::Value as Json;

const LIMIT: Duration = Duration::from_secs(20);
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/router-samples/ubus");

struct Lab {
    folder: tempfile::TempDir,
    router: Router,
}

impl Lab {
    fn start() -> Lab {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        unpack(&root, &Settings { acs_url: "http://127.0.0.1:1/".to_owned(), port: 7547 }).unwrap();
        let router = Router::start(&root, &folder.path().join("ubus.sock")).unwrap();
        Lab { folder, router }
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("root")
    }

    fn client(&self) -> Client {
        Client::connect(self.router.socket(), LIMIT).unwrap()
    }

    fn try_call(&self, object: &str, method: &str, arguments: &str) -> Result<Vec<Table>, CallError> {
        self.client().call(object, method, &json::parse(arguments).unwrap(), LIMIT)
    }

    /// The one answer of a call, as `ubus call` prints it.
    #[track_caller]
    fn call(&self, object: &str, method: &str, arguments: &str) -> Json {
        match self.try_call(object, method, arguments) {
            Ok(answers) if answers.len() == 1 => json::table_to_value(&answers[0]),
            other => panic!("{object} {method} {arguments}: {other:?}"),
        }
    }

    #[track_caller]
    fn done(&self, object: &str, method: &str, arguments: &str) {
        assert_eq!(self.try_call(object, method, arguments), Ok(Vec::new()), "{object} {method} {arguments}");
    }

    #[track_caller]
    fn refused(&self, object: &str, method: &str, arguments: &str, expected: Status) {
        let error = self.try_call(object, method, arguments).unwrap_err();
        assert_eq!(error.status(), expected, "{object} {method} {arguments}: {error}");
    }

    fn file(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.file(path);
        assert!(text.contains(from), "{from} is in {path}");
        fs::write(self.root().join(path), text.replacen(from, to, 1)).unwrap();
    }

    /// What whoever commits a package tells procd.
    fn committed(&self, package: &str) {
        let event = format!(r#"{{"type":"config.change","data":{{"package":"{package}"}}}}"#);
        self.done("service", "event", &event);
        self.router.settle().unwrap();
    }
}

fn sample(name: &str) -> Option<Json> {
    let text = fs::read_to_string(Path::new(SAMPLES).join(name)).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

fn samples_are_here() -> bool {
    if Path::new(SAMPLES).exists() {
        return true;
    }
    #[allow(clippy::disallowed_macros, reason = "a skipped test says so")]
    {
        println!("skipped: ../shared not present");
    }
    false
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "text",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// Keys that a sample has and our answer need not have, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("board.release.firmware_url", "25.12 only; the router is a 24.10"),
    ("board.release.builddate", "25.12 only"),
];

/// Complains of every key of the sample that ours lacks, and of every other type.
fn compare(at: &str, sample: &Json, ours: &Json, complaints: &mut Vec<String>) {
    if EXCEPTIONS.iter().any(|(path, _)| *path == at) {
        return;
    }
    if kind(sample) != kind(ours) {
        complaints.push(format!("{at} is {} in the sample and {} here", kind(sample), kind(ours)));
        return;
    }
    match (sample, ours) {
        (Json::Object(sample), Json::Object(ours)) => {
            for (key, value) in sample {
                let at = format!("{at}.{key}");
                match ours.get(key) {
                    Some(own) => compare(&at, value, own, complaints),
                    None if EXCEPTIONS.iter().any(|(path, _)| *path == at) => {}
                    None => complaints.push(format!("{at} is missing")),
                }
            }
        }
        (Json::Array(sample), Json::Array(ours)) => {
            // Members may differ in what they have: each of ours is like one of the sample's.
            for own in ours.iter().filter(|_| !sample.is_empty()) {
                let tries = sample.iter().map(|value| {
                    let mut found = Vec::new();
                    compare(&format!("{at}[]"), value, own, &mut found);
                    found
                });
                complaints.extend(tries.min_by_key(Vec::len).unwrap_or_default());
            }
        }
        _ => {}
    }
}

/// The sample's part and ours have the same keys and types.
#[track_caller]
fn alike(at: &str, sample: &Json, ours: &Json) {
    let mut complaints = Vec::new();
    compare(at, sample, ours, &mut complaints);
    assert!(complaints.is_empty(), "{complaints:#?} in {ours:#}");
}

fn entry<'j>(list: &'j Json, key: &str, value: &str) -> &'j Json {
    list.as_array().unwrap().iter().find(|entry| entry[key] == value).unwrap()
}

#[test]
fn netifd_s_replies_have_what_the_samples_have() {
    if !samples_are_here() {
        return;
    }
    let lab = Lab::start();
    let dump = lab.call("network.interface", "dump", "{}");
    for (name, file) in [
        ("lan", "network.interface.lan.status-static-with-pd.derived.json"),
        ("guest", "network.interface.guest.status-static-hint.derived.json"),
        ("loopback", "network.interface.loopback.status-loopback.derived.json"),
        ("wan", "network.interface.status-wan-dhcp-24.10-x86.json"),
        ("wan6", "network.interface.wan6.status-dhcpv6-pd.derived.json"),
        ("iptv", "network.interface.status-lan-25.12.json"),
    ] {
        let mut sample = sample(file).unwrap();
        if name == "wan6" {
            sample["data"].as_object_mut().unwrap().remove("passthru").unwrap();
            sample["ipv6-prefix"][0]["assigned"].as_object_mut().unwrap().remove("guest").unwrap();
        }
        let status = lab.call(&format!("network.interface.{name}"), "status", "{}");
        alike(name, &sample, &status);
        assert_eq!(status, lab.call("network.interface", "status", &format!(r#"{{"interface":"{name}"}}"#)));
        let mut dumped = entry(&dump["interface"], "interface", name).clone();
        dumped.as_object_mut().unwrap().remove("interface");
        assert_eq!(dumped, status);
    }
    let sample_of = sample("network.wireless.status-mt7622-23.05.json").unwrap();
    for (name, radio) in lab.call("network.wireless", "status", "{}").as_object().unwrap() {
        alike("wireless", &sample_of[name], radio);
    }
    let keys = sample("network.device.status-2410-keyset.derived.json").unwrap();
    let openwisp = sample("network.device.status-bridge-wg-openwisp.json").unwrap();
    let devices = lab.call("network.device", "status", "{}");
    for (name, device) in devices.as_object().unwrap() {
        alike("dev", &keys["lo"], device);
        if name == "br-lan" {
            alike("dev", &openwisp["br-lan"], device);
        }
        if name.starts_with("lan") || name == "wan" {
            let mut sample = keys["eth2"].clone();
            if device["carrier"] == false {
                sample.as_object_mut().unwrap().remove("speed").unwrap();
            }
            alike("port", &sample, device);
        }
        assert_eq!(*device, lab.call("network.device", "status", &format!(r#"{{"name":"{name}"}}"#)));
    }
}

#[test]
fn the_other_replies_have_what_the_samples_have() {
    if !samples_are_here() {
        return;
    }
    let lab = Lab::start();
    for file in ["system.board-wndr3800-24.10.json", "system.board-openwrt-one-25.12.json"] {
        alike("board", &sample(file).unwrap(), &lab.call("system", "board", "{}"));
    }
    for file in ["system.info-mt7621-22.03.json", "system.info-wndr3800-24.10.json"] {
        alike("info", &sample(file).unwrap(), &lab.call("system", "info", "{}"));
    }
    let clients = sample("hostapd.get_clients-2g-23.05.json").unwrap();
    for device in ["phy0-ap0", "phy0-ap1", "phy1-ap0"] {
        let object = format!("hostapd.{device}");
        let ours = lab.call(&object, "get_clients", "{}");
        let list = ours["clients"].as_object().unwrap();
        assert_eq!(list.len(), 1);
        for client in list.values() {
            alike("client", &clients["clients"]["02:00:00:00:01:19"], client);
        }
        let status = sample("hostapd.get_status-22.03.json").unwrap();
        alike("status", &status, &lab.call(&object, "get_status", "{}"));
        alike("bans", &sample("hostapd.list_bans.json").unwrap(), &lab.call(&object, "list_bans", "{}"));
        let features = sample("hostapd.get_features.json").unwrap();
        alike("features", &features, &lab.call(&object, "get_features", "{}"));
        let on = format!(r#"{{"device":"{device}"}}"#);
        for (method, file) in [
            ("info", "iwinfo.info-ap-25.12.json"),
            ("freqlist", "iwinfo.freqlist.derived.json"),
            ("txpowerlist", "iwinfo.txpowerlist.derived.json"),
            ("countrylist", "iwinfo.countrylist.derived.json"),
            ("survey", "iwinfo.survey.derived.json"),
            ("scan", "iwinfo.scan-25.12.json"),
        ] {
            let ours = lab.call("iwinfo", method, &on);
            assert_ne!(ours["results"], serde_json::json!([]), "{method}");
            alike(method, &sample(file).unwrap(), &ours);
        }
        let file = match device {
            "phy1-ap0" => "iwinfo.assoclist-he-eht.derived.json",
            _ => "iwinfo.assoclist-mwlwifi-25.12.json",
        };
        let mut sample = sample(file).unwrap();
        if device == "phy1-ap0" {
            // The sample sends by Wi-Fi 7.
            sample["results"][0]["tx"].as_object_mut().unwrap().remove("eht_gi").unwrap();
        }
        let ours = lab.call("iwinfo", "assoclist", &on);
        assert_eq!(ours["results"].as_array().unwrap().len(), 1);
        alike("assoclist", &sample, &ours);
    }
    alike("devices", &sample("iwinfo.devices.derived.json").unwrap(), &lab.call("iwinfo", "devices", "{}"));
    let six = lab.call("dhcp", "ipv6leases", "{}");
    let leases = &six["device"]["br-lan.1"]["leases"];
    let sample6 = sample("dhcp.ipv6leases-22.03.json").unwrap();
    alike("lease6", &sample6["device"]["br-lan"]["leases"], leases);
    assert_eq!(leases.as_array().unwrap().len(), 1);
    assert_eq!(
        lab.call("dhcp", "ipv4leases", "{}"),
        serde_json::json!({"device": {}}),
        "dnsmasq gives these"
    );
    lab.edit("etc/config/dhcp", "option maindhcp '0'", "option maindhcp '1'");
    lab.committed("dhcp");
    let four = lab.call("dhcp", "ipv4leases", "{}");
    let sample4 = sample("dhcp.ipv4leases-22.03.json").unwrap();
    assert_eq!(four["device"]["br-lan.1"]["leases"].as_array().unwrap().len(), 2);
    alike("lease4", &sample4["device"]["br-lan"]["leases"], &four["device"]["br-lan.1"]["leases"]);
}

#[test]
fn luci_s_replies_have_what_the_samples_have() {
    if !samples_are_here() {
        return;
    }
    let lab = Lab::start();
    let board = lab.call("luci-rpc", "getBoardJSON", "{}");
    let text: Json = serde_json::from_str(&lab.file("etc/board.json")).unwrap();
    assert_eq!(board, text);
    alike("board", &sample("luci-rpc.getBoardJSON-rb5009.json").unwrap()["model"], &board["model"]);
    let leases = lab.call("luci-rpc", "getDHCPLeases", "{}");
    let theirs = sample("luci-rpc.getDHCPLeases-21.02.json").unwrap();
    // Neither the one of dnsmasq's nor the other has everything.
    alike("lease", &theirs["dhcp_leases"][0], &leases["dhcp_leases"][0]);
    alike("lease", &theirs["dhcp_leases"][1], &leases["dhcp_leases"][0]);
    alike("lease6", &theirs["dhcp6_leases"][0], &leases["dhcp6_leases"][0]);
    assert_eq!(leases["dhcp_leases"][2]["expires"], false, "for ever");
    let hints = lab.call("luci-rpc", "getHostHints", "{}");
    let theirs = sample("luci-rpc.getHostHints-21.02.json").unwrap();
    assert_eq!(hints.as_object().unwrap().len(), 5, "{hints:#}");
    for hint in hints.as_object().unwrap().values() {
        alike("hint", &theirs["02:00:00:00:01:27"], hint);
    }
    alike("hint", &theirs["02:00:00:00:01:25"], &hints["02:00:00:00:20:0F"]);
    let devices = lab.call("luci-rpc", "getNetworkDevices", "{}");
    let theirs = sample("luci-rpc.getNetworkDevices.derived.json").unwrap();
    for name in ["br-lan", "lan1", "lan2", "phy0-ap0"] {
        alike(name, &theirs[name], &devices[name]);
    }
    assert_eq!(devices["br-lan"]["ports"].as_array().unwrap().len(), 7);
    let radios = lab.call("luci-rpc", "getWirelessDevices", "{}");
    let mut theirs = sample("luci-rpc.getWirelessDevices.derived.json").unwrap()["radio1"].clone();
    // A radio by its own name has nobody on it, and so no signal here.
    for key in ["signal", "quality", "quality_max", "bitrate"] {
        theirs["iwinfo"].as_object_mut().unwrap().remove(key);
    }
    alike("radio", &theirs, &radios["radio1"]);
    alike("radio", &theirs, &radios["radio0"]);
}

/// The addresses and name servers of every interface are the kernel's and the resolver's; how many addresses.
#[track_caller]
fn addresses_agree(lab: &Lab) -> usize {
    let six: Vec<_> = lab.file("proc/net/if_inet6").lines().map(str::to_owned).collect();
    let four = lab.file("proc/net/fib_trie");
    let dump = lab.call("network.interface", "dump", "{}");
    let mut seen = 0;
    for interface in dump["interface"].as_array().unwrap() {
        let device = interface["l3_device"].as_str().unwrap();
        for address in interface["ipv4-address"].as_array().unwrap() {
            assert!(four.contains(&format!("|-- {}\n", address["address"].as_str().unwrap())), "{address}");
            seen += 1;
        }
        let parts = interface["ipv6-prefix-assignment"].as_array().unwrap().iter();
        let own = interface["ipv6-address"].as_array().unwrap().iter();
        for address in own.chain(parts.map(|part| &part["local-address"])) {
            let text: std::net::Ipv6Addr = address["address"].as_str().unwrap().parse().unwrap();
            let start = format!("{:032x}", u128::from(text));
            let mask = format!(" {:02x} ", address["mask"].as_u64().unwrap());
            let line = six.iter().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{text}"));
            assert!(line.ends_with(device) && line.contains(&mask), "{line} {address}");
            seen += 1;
        }
    }
    let resolv = lab.file("tmp/resolv.conf.d/resolv.conf.auto");
    let mut servers = 0;
    for interface in dump["interface"].as_array().unwrap() {
        for server in interface["dns-server"].as_array().unwrap() {
            assert!(resolv.contains(&format!("nameserver {}\n", server.as_str().unwrap())), "{server}");
            servers += 1;
        }
    }
    assert_eq!(resolv.matches("nameserver").count(), servers);
    seen
}

#[test]
fn what_is_shown_is_what_the_files_say() {
    let lab = Lab::start();
    let devices = lab.call("network.device", "status", "{}");
    for (name, device) in devices.as_object().unwrap() {
        let file = |file: &str| lab.file(&format!("sys/class/net/{name}/{file}")).trim().to_owned();
        assert_eq!(device["macaddr"], file("address"), "{name}");
        assert_eq!(device["mtu"].to_string(), file("mtu"), "{name}");
        assert_eq!(device["carrier"], file("carrier") == "1", "{name}");
        for counter in ["rx_bytes", "tx_bytes", "rx_packets", "tx_errors"] {
            let shown = device["statistics"][counter].to_string();
            assert_eq!(shown, file(&format!("statistics/{counter}")), "{name} {counter}");
        }
    }
    assert_eq!(addresses_agree(&lab), 9);
    let board = lab.call("system", "board", "{}");
    assert_eq!(board["hostname"], lab.file("proc/sys/kernel/hostname").trim());
    assert!(lab.file("proc/version").contains(board["kernel"].as_str().unwrap()));
    let info = lab.call("system", "info", "{}");
    assert_eq!(info["memory"]["total"], 1_012_592_i64 * 1024);
    assert_eq!(info["uptime"], 183_748);
    assert_eq!(info["load"][0], 5242);
    for service in lab.call("service", "list", "{}").as_object().unwrap().values() {
        for instance in service["instances"].as_object().unwrap().values() {
            let process = format!("proc/{}/cmdline", instance["pid"]);
            assert!(lab.root().join(&process).exists(), "{process}");
        }
    }
}

#[test]
fn a_change_shows_after_the_reload_of_its_service() {
    let lab = Lab::start();
    lab.edit("etc/config/wireless", "'ExampleNet'", "'Home'");
    lab.edit("etc/config/wireless", "option channel '36'", "option channel '100'");
    lab.edit("etc/config/network", "192.168.1.1'", "10.9.8.7'");
    lab.edit("etc/config/system", "'OpenWrt'", "'living-room'");
    let ssid = |lab: &Lab| {
        let status = lab.call("network.wireless", "status", "{}");
        status["radio0"]["interfaces"][0]["config"]["ssid"].as_str().unwrap().to_owned()
    };
    assert_eq!(ssid(&lab), "ExampleNet", "nobody has read it yet");
    lab.committed("firewall");
    assert_eq!(ssid(&lab), "ExampleNet", "the firewall does not care");
    lab.committed("wireless");
    lab.committed("system");
    assert_eq!(ssid(&lab), "Home");
    let status = lab.call("hostapd.phy0-ap0", "get_status", "{}");
    assert_eq!(status["ssid"], "Home");
    let info = lab.call("iwinfo", "info", r#"{"device":"phy1-ap0"}"#);
    assert_eq!((&info["channel"], &info["frequency"]), (&100.into(), &5500.into()));
    let lan = lab.call("network.interface.lan", "status", "{}");
    assert_eq!(lan["ipv4-address"][0]["address"], "10.9.8.7");
    assert_eq!(lab.call("system", "board", "{}")["hostname"], "living-room");
    assert_eq!(lab.file("proc/sys/kernel/hostname"), "living-room\n");
    assert_eq!(lab.router.reloads(), ["firewall", "network", "log", "system", "sysntpd"]);
    assert_eq!(addresses_agree(&lab), 9);
    lab.edit("etc/config/network", "option proto 'dhcp'", "option proto 'pppoe'\n\tlist dns '192.0.2.99'");
    lab.committed("network");
    assert_eq!(addresses_agree(&lab), 9);
    let wan = lab.call("network.interface.wan", "status", "{}");
    assert_eq!((&wan["l3_device"], &wan["device"]), (&"pppoe-wan".into(), &"wan".into()));
    if let Some(sample) = sample("network.interface.wan.status-pppoe.derived.json") {
        alike("pppoe", &sample, &wan);
    }
    let device = lab.call("network.device", "status", r#"{"name":"pppoe-wan"}"#);
    assert_eq!(device["carrier"], true);
    // A disabled radio has no access points.
    lab.edit("etc/config/wireless", "option band '5g'", "option band '5g'\n\toption disabled '1'");
    lab.done("network", "reload", "{}");
    lab.router.settle().unwrap();
    let radio = &lab.call("network.wireless", "status", "{}")["radio1"];
    assert_eq!((&radio["up"], &radio["disabled"]), (&false.into(), &true.into()));
    assert_eq!(radio["interfaces"][0]["ifname"], Json::Null);
    assert_eq!(lab.call("iwinfo", "devices", "{}")["devices"], serde_json::json!(["phy0-ap0", "phy0-ap1"]));
    lab.refused("hostapd.phy1-ap0", "get_status", "{}", Status::NotFound);
    lab.refused("iwinfo", "info", r#"{"device":"phy1-ap0"}"#, Status::NotFound);
}

#[test]
fn refusals_are_those_of_openwrt() {
    let lab = Lab::start();
    for (object, method, arguments, expected) in [
        ("network.interface", "status", "{}", Status::InvalidArgument),
        ("network.interface", "status", r#"{"interface":7}"#, Status::InvalidArgument),
        ("network.interface", "status", r#"{"interface":"x"}"#, Status::NotFound),
        ("network.interface.x", "status", "{}", Status::NotFound),
        ("network.interface.lan", "nothing", "{}", Status::MethodNotFound),
        ("network.device", "status", r#"{"name":"../../etc"}"#, Status::InvalidArgument),
        ("network.wireless", "status", r#"{"device":"radio9"}"#, Status::NotFound),
        ("iwinfo", "info", "{}", Status::InvalidArgument),
        ("iwinfo", "info", r#"{"device":"wlan9"}"#, Status::NotFound),
        ("iwinfo", "assoclist", r#"{"device":"phy1-ap0","mac":"02:00:00:00:00:00"}"#, Status::NotFound),
        ("service", "event", r#"{"type":"config.change"}"#, Status::InvalidArgument),
        ("service", "delete", r#"{"name":"x"}"#, Status::NotFound),
        ("session", "login", r#"{"username":"nobody","password":"x"}"#, Status::PermissionDenied),
        ("session", "access", "{}", Status::InvalidArgument),
        ("uci", "get", "{}", Status::InvalidArgument),
        ("uci", "get", r#"{"config":"nope"}"#, Status::NotFound),
        ("uci", "get", r#"{"config":"../passwd"}"#, Status::InvalidArgument),
        ("uci", "get", r#"{"config":"network","section":"nope"}"#, Status::NotFound),
        ("uci", "get", r#"{"config":"network","section":"lan","option":"nope"}"#, Status::NotFound),
        ("uci", "get", r#"{"config":"network","ubus_rpc_session":"../x"}"#, Status::PermissionDenied),
        ("uci", "set", r#"{"config":"network","section":"nope","values":{}}"#, Status::NotFound),
        ("uci", "set", r#"{"config":"network","section":"lan"}"#, Status::InvalidArgument),
        (
            "uci",
            "set",
            r#"{"config":"network","section":"lan","values":{"a b":"c"}}"#,
            Status::InvalidArgument,
        ),
        ("uci", "commit", "{}", Status::InvalidArgument),
        ("uci", "commit", r#"{"config":"nope"}"#, Status::NotFound),
        ("uci", "confirm", "{}", Status::NoData),
        ("file", "read", "{}", Status::InvalidArgument),
        ("file", "read", r#"{"path":"/nonexistent"}"#, Status::NotFound),
        ("file", "read", r#"{"path":"/etc/../../../etc/passwd"}"#, Status::InvalidArgument),
        ("file", "read", r#"{"path":"/etc"}"#, Status::NotSupported),
        ("file", "list", r#"{"path":"/etc/config/network"}"#, Status::InvalidArgument),
        ("file", "exec", r#"{"command":"/bin/sh"}"#, Status::NotSupported),
        ("session", "access", r#"{"ubus_rpc_session":"x"}"#, Status::NotFound),
        ("nothing", "status", "{}", Status::NotFound),
    ] {
        lab.refused(object, method, arguments, expected);
    }
}

#[test]
fn calls_are_counted_and_faults_switched() {
    let lab = Lab::start();
    lab.call("system", "board", "{}");
    lab.call("network.interface", "status", r#"{"interface":"wan"}"#);
    let calls = lab.router.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!((calls[1].object.as_str(), calls[1].method.as_str()), ("network.interface", "status"));
    assert_eq!(calls[1].arguments, r#"{"interface":"wan"}"#);
    lab.router.forget();
    let set = |method, fault| lab.router.set_fault("system", method, fault).unwrap();
    set(None, Some(Fault::Absent));
    lab.refused("system", "board", "{}", Status::NotFound);
    set(None, Some(Fault::Refused(Status::PermissionDenied)));
    lab.refused("system", "board", "{}", Status::PermissionDenied);
    set(Some("board"), Some(Fault::Late(Duration::from_millis(300))));
    let start = Instant::now();
    assert_eq!(lab.call("system", "board", "{}")["hostname"], "OpenWrt");
    assert!(start.elapsed() >= Duration::from_millis(300));
    for fault in [Fault::Never, Fault::TooLarge] {
        set(Some("board"), Some(fault));
        let short = Duration::from_millis(300);
        let error = lab.client().call("system", "board", &Table::new(), short).unwrap_err();
        assert_eq!(error.status(), Status::Timeout, "{error}");
        lab.router.settle().unwrap();
        lab.refused("system", "info", "{}", Status::PermissionDenied);
    }
    set(Some("board"), Some(Fault::Says(Table::new().with("x", 1))));
    assert_eq!(lab.call("system", "board", "{}"), serde_json::json!({"x": 1}));
    set(Some("board"), None);
    set(None, None);
    assert_eq!(lab.call("system", "board", "{}")["hostname"], "OpenWrt");
    assert_eq!(lab.router.count("system", "board"), 6);
}

/// What leads to a moment leads to the same one later: lifetimes run down, stations stay longer.
#[test]
fn time_goes_by() {
    let lab = Lab::start();
    let seen = || {
        let dump = lab.call("network.interface", "dump", "{}");
        let prefixes =
            dump["interface"].as_array().unwrap().iter().map(|one| &one["ipv6-prefix"][0]["valid"]);
        let valid = prefixes.filter_map(Json::as_i64).next().unwrap();
        let list = lab.call("iwinfo", "assoclist", r#"{"device":"phy1-ap0"}"#);
        (valid, list["results"][0]["connected_time"].as_i64().unwrap())
    };
    let (valid, connected) = seen();
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let (later, longer) = seen();
    assert!(later < valid && longer > connected, "{valid} {later}, {connected} {longer}");
}

#[test]
fn an_interface_goes_down_and_up() {
    let lab = Lab::start();
    lab.done("network.interface.iptv", "down", "{}");
    let down = lab.call("network.interface.iptv", "status", "{}");
    assert_eq!(
        (&down["up"], &down["available"], &down["autostart"]),
        (&false.into(), &true.into(), &false.into())
    );
    assert_eq!(down["l3_device"], Json::Null);
    if let Some(sample) = sample("network.interface.status-wan-down-25.12.json") {
        alike("down", &sample, &down);
    }
    lab.done("network.interface", "up", r#"{"interface":"iptv"}"#);
    let up = lab.call("network.interface.iptv", "status", "{}");
    assert_eq!(up["up"], true);
    assert!(up["uptime"].as_i64().unwrap() < 60);
    // One whose device does not exist.
    lab.edit("etc/config/network", "option device 'wan.30'", "option device 'eth9'");
    lab.committed("network");
    let missing = lab.call("network.interface.iptv", "status", "{}");
    if let Some(sample) = sample("network.interface.down6.status-no-device.derived.json") {
        alike("missing", &sample, &missing);
    }
    assert_eq!(missing["errors"][0]["code"], "NO_DEVICE");
}

#[test]
fn sessions_have_rights() {
    let lab = Lab::start();
    let made = lab.call("session", "create", r#"{"timeout":60}"#);
    let id = made["ubus_rpc_session"].as_str().unwrap();
    let access = |function: &str| {
        let ask = format!(
            r#"{{"ubus_rpc_session":"{id}","scope":"ubus","object":"network.interface","function":"{function}"}}"#
        );
        lab.call("session", "access", &ask)
    };
    assert_eq!(access("dump"), serde_json::json!({"access": false}));
    let grant = format!(
        r#"{{"ubus_rpc_session":"{id}","scope":"ubus","objects":[["network.*","dump"],["system","board"]]}}"#
    );
    lab.done("session", "grant", &grant);
    assert_eq!(access("dump"), serde_json::json!({"access": true}));
    assert_eq!(access("status"), serde_json::json!({"access": false}));
    let listed = lab.call("session", "list", &format!(r#"{{"ubus_rpc_session":"{id}"}}"#));
    assert_eq!(listed["acls"]["ubus"]["system"], serde_json::json!(["board"]));
    lab.done("session", "destroy", &format!(r#"{{"ubus_rpc_session":"{id}"}}"#));
    lab.refused("session", "list", &format!(r#"{{"ubus_rpc_session":"{id}"}}"#), Status::NotFound);
    let login = lab.call("session", "login", r#"{"username":"root","password":"ExamplePassphrase"}"#);
    if samples_are_here() {
        let created = sample("session.create.derived.json").unwrap();
        alike("create", &created, &made);
        alike("login", &created, &login);
    }
}

#[test]
fn uci_over_ubus() {
    let lab = Lab::start();
    let set = r#"{"config":"wireless","section":"default_radio0","values":{"ssid":"O'Hara","isolate":true,"maclist":["a","b"]}}"#;
    lab.done("uci", "set", set);
    lab.done("uci", "delete", r#"{"config":"wireless","section":"default_radio0","option":"encryption"}"#);
    assert!(!lab.file("etc/config/wireless").contains("Hara"), "not committed yet");
    let changes = lab.call("uci", "changes", r#"{"config":"wireless"}"#);
    assert_eq!(
        changes["changes"],
        serde_json::json!([
            ["set", "default_radio0", "ssid", "O'Hara"],
            ["set", "default_radio0", "isolate", "1"],
            ["list-add", "default_radio0", "maclist", "a"],
            ["list-add", "default_radio0", "maclist", "b"],
            ["remove", "default_radio0", "encryption"]
        ])
    );
    let get = |option: &str| {
        lab.call(
            "uci",
            "get",
            &format!(r#"{{"config":"wireless","section":"default_radio0","option":"{option}"}}"#),
        )
    };
    assert_eq!(get("ssid"), serde_json::json!({"value": "O'Hara"}));
    assert_eq!(get("maclist"), serde_json::json!({"value": ["a", "b"]}));
    lab.router.forget();
    lab.done("uci", "commit", r#"{"config":"wireless"}"#);
    let text = lab.file("etc/config/wireless");
    assert!(text.contains("option ssid 'O'\\''Hara'") && text.contains("\tlist maclist 'b'\n"), "{text}");
    assert_eq!(lab.call("uci", "changes", "{}"), serde_json::json!({"changes": {}}));
    assert_eq!(lab.router.reloads(), ["network"]);
    let calls = lab.router.calls();
    let event = calls.iter().find(|call| call.object == "service").unwrap();
    assert_eq!(
        (event.by.as_str(), event.arguments.as_str()),
        ("rpcd", r#"{"type":"config.change","data":{"package":"wireless"}}"#)
    );
    assert_eq!(lab.call("hostapd.phy0-ap0", "get_status", "{}")["ssid"], "O'Hara");
    // New sections, with a name and without, by type, renamed, moved, taken back.
    let added =
        lab.call("uci", "add", r#"{"config":"network","type":"route","values":{"target":"10.1.0.0/16"}}"#);
    let key = added["section"].as_str().unwrap();
    lab.done("uci", "rename", &format!(r#"{{"config":"network","section":"{key}","name":"mine"}}"#));
    lab.done(
        "uci",
        "set",
        r#"{"config":"network","type":"route","match":{"target":"10.1.0.0/16"},"values":{"metric":7}}"#,
    );
    lab.done("uci", "order", r#"{"config":"network","sections":["mine"]}"#);
    let values = lab.call("uci", "get", r#"{"config":"network","type":"route"}"#);
    assert_eq!(values["values"]["mine"]["metric"], "7");
    assert_eq!(values["values"]["mine"][".index"], 0);
    lab.done("uci", "revert", r#"{"config":"network"}"#);
    lab.refused("uci", "get", r#"{"config":"network","section":"mine"}"#, Status::NotFound);
    if !samples_are_here() {
        return;
    }
    let network = lab.call("uci", "get", r#"{"config":"network"}"#);
    let sample_of = sample("uci.get-network.derived.json").unwrap();
    alike("interface", &sample_of["values"]["lan"], &network["values"]["lan"]);
    let kept = network["values"].as_object().unwrap();
    let (_, bridge) = kept.iter().find(|(_, section)| section["type"] == "bridge").unwrap();
    alike("device", &sample_of["values"]["cfg030f15"], bridge);
    let lan = lab.call("uci", "get", r#"{"config":"network","section":"lan"}"#);
    alike("section", &sample("uci.get-section-lan.derived.json").unwrap(), &lan);
    assert_eq!(lan["values"][".index"], Json::Null);
    alike("configs", &sample("uci.configs.derived.json").unwrap(), &lab.call("uci", "configs", "{}"));
    alike("add", &sample("uci.add.derived.json").unwrap(), &added);
}

#[test]
fn sessions_change_uci_apart() {
    let lab = Lab::start();
    let made = lab.call("session", "create", "{}");
    let id = made["ubus_rpc_session"].as_str().unwrap();
    let with = |rest: &str| format!(r#"{{"ubus_rpc_session":"{id}","config":"system"{rest}}}"#);
    let set = with(r#","section":"@system[0]","values":{"hostname":"mine"}"#);
    lab.refused("uci", "set", &set, Status::PermissionDenied);
    let grant = format!(
        r#"{{"ubus_rpc_session":"{id}","scope":"uci","objects":[["system","read"],["system","write"]]}}"#
    );
    lab.done("session", "grant", &grant);
    lab.done("uci", "set", &set);
    let hostname = |arguments: &str| lab.call("uci", "get", arguments)["value"].clone();
    assert_eq!(hostname(&with(r#","section":"@system[0]","option":"hostname""#)), "mine");
    assert_eq!(hostname(r#"{"config":"system","section":"@system[0]","option":"hostname"}"#), "OpenWrt");
    lab.done("uci", "apply", &format!(r#"{{"ubus_rpc_session":"{id}"}}"#));
    assert_eq!(lab.call("system", "board", "{}")["hostname"], "mine");
}

#[test]
fn files_and_the_log() {
    let lab = Lab::start();
    let read = lab.call("file", "read", r#"{"path":"/etc/openwrt_version"}"#);
    assert_eq!(read["data"], lab.file("etc/openwrt_version"));
    let coded = lab.call("file", "read", r#"{"path":"/etc/openwrt_version","base64":true}"#);
    assert!(
        coded["data"].as_str().unwrap().bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'=')
    );
    let through_link = lab.call("file", "stat", r#"{"path":"/var/dhcp.leases"}"#);
    assert_eq!(through_link["size"], lab.file("tmp/dhcp.leases").len());
    fs::write(lab.root().join("root/large"), vec![b'x'; 256 << 10]).unwrap();
    lab.refused("file", "read", r#"{"path":"/root/large"}"#, Status::NotSupported);
    let list = lab.call("file", "list", r#"{"path":"/etc/config"}"#);
    lab.done("log", "write", r#"{"event":"hello"}"#);
    let log = lab.call("log", "read", r#"{"lines":1}"#);
    assert_eq!(log["log"][0]["msg"], "hello");
    assert_eq!(log["log"].as_array().unwrap().len(), 1);
    if samples_are_here() {
        alike("list", &sample("file.list.derived.json").unwrap(), &list);
        alike("stat", &sample("file.stat.derived.json").unwrap(), &through_link);
        let sum = lab.call("file", "md5", r#"{"path":"/etc/openwrt_version"}"#);
        alike("md5", &sample("file.md5.derived.json").unwrap(), &sum);
        alike("log", &sample("log.read.derived.json").unwrap(), &log);
        let services = lab.call("service", "list", "{}");
        let sample = sample("service.list.derived.json").unwrap();
        for (name, instance) in [("dnsmasq", "cfg01411c"), ("dropbear", "main"), ("network", "instance1")] {
            let mut sample = sample[name]["instances"][instance].clone();
            // What is particular to these programs.
            for key in ["jail", "mount", "data", "limits"] {
                sample.as_object_mut().unwrap().remove(key);
            }
            alike(name, &sample, &services[name]["instances"][instance]);
        }
    }
}

/// The methods and the types of their arguments, as `ubus -v list` prints them.
fn listed(lab: &Lab, path: &str) -> String {
    let found = lab.client().list(Some(path), LIMIT).unwrap();
    let mut out = String::new();
    for method in rcwmp::ubus::object::methods(&found[0].signature).unwrap() {
        let kinds = method.arguments.iter().map(|(name, kind)| {
            let kind = match format!("{kind:?}").as_str() {
                "Int32" => "Integer".to_owned(),
                "Int8" => "Boolean".to_owned(),
                other => other.to_owned(),
            };
            format!("\"{name}\":\"{kind}\"")
        });
        out += &format!("\t\"{}\":{{{}}}\n", method.name, kinds.collect::<Vec<_>>().join(","));
    }
    out
}

#[test]
fn signatures_are_those_of_openwrt() {
    if !samples_are_here() {
        return;
    }
    let lab = Lab::start();
    let mut seen = Vec::new();
    for file in ["ubus-v-list-netifd.24.10.txt", "ubus-v-list-rpcd.24.10.txt"] {
        let text = fs::read_to_string(Path::new(SAMPLES).join(file)).unwrap();
        for block in text.split("\n'") {
            let Some((head, methods)) = block.trim_start_matches('\'').split_once('\n') else { continue };
            let path = head.split('\'').next().unwrap();
            // Interfaces that only the sample's router has, and what is not simulated.
            if lab.client().list(Some(path), LIMIT).is_ok_and(|found| !found.is_empty()) {
                assert_eq!(listed(&lab, path).trim_end(), methods.trim_end(), "{path}");
                seen.push(path.to_owned());
            }
        }
    }
    seen.sort();
    let expected = [
        "file",
        "network",
        "network.device",
        "network.interface",
        "network.interface.guest",
        "network.interface.lan",
        "network.interface.loopback",
        "network.interface.wan",
        "network.interface.wan6",
        "network.wireless",
        "session",
        "uci",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_stranger_reads_it() {
    let lab = Lab::start();
    let mut stranger = ubus_oracle::Connection::connect(lab.router.socket()).unwrap();
    for (object, method) in [
        ("network.interface", "dump"),
        ("network.device", "status"),
        ("system", "info"),
        ("luci-rpc", "getNetworkDevices"),
    ] {
        let text = stranger.call(object, method, "{}").unwrap();
        let read: Json = serde_json::from_str(&text).unwrap();
        let ours = lab.call(object, method, "{}");
        assert_eq!(read.as_object().unwrap().len(), ours.as_object().unwrap().len(), "{object} {method}");
    }
}

#[test]
fn every_exception_is_one() {
    if !samples_are_here() {
        return;
    }
    let lab = Lab::start();
    let board = lab.call("system", "board", "{}");
    let sample = sample("system.board-openwrt-one-25.12.json").unwrap();
    for (path, _) in EXCEPTIONS {
        let key = path.rsplit('.').next().unwrap();
        assert!(path.starts_with("board.release.") && !sample["release"][key].is_null(), "{path}");
        assert!(board["release"][key].is_null(), "{path}");
    }
}

#[test]
fn nothing_that_is_sent_breaks_it() {
    let lab = Lab::start();
    let long = "x".repeat(100_000);
    let names = [
        "interface",
        "name",
        "device",
        "config",
        "section",
        "option",
        "type",
        "path",
        "mac",
        "event",
        "data",
        "values",
        "match",
        "options",
        "sections",
        "objects",
        "lines",
        "timeout",
        "ubus_rpc_session",
        "scope",
        "family",
        "username",
    ];
    let all = |value: Json| -> Table {
        let fields = names.iter().map(|name| ((*name).to_owned(), value.clone()));
        json::from_value(&Json::Object(fields.collect())).unwrap()
    };
    let wanton = [
        Table::new(),
        all("../../etc/passwd".into()),
        all("*".into()),
        all("network".into()),
        all(i64::MIN.into()),
        all(serde_json::json!([[], {}, null, [1, 2, 3]])),
        all(serde_json::json!({"": "", "a": {"package": "network"}, "package": "../x"})),
        Table::new()
            .with("config", "network")
            .with("section", "lan")
            .with("type", long.as_str())
            .with("name", long.as_str()),
        Table::new()
            .with("config", "network")
            .with("type", "a b\n")
            .with("values", Table::new().with(&long, "\u{1}'\"")),
    ];
    let mut client = lab.client();
    let mut calls = 0;
    for object in client.list(None, LIMIT).unwrap() {
        for method in rcwmp::ubus::object::methods(&object.signature).unwrap() {
            for arguments in &wanton {
                let answer = client.call(&object.path.to_str(), &method.name, arguments, LIMIT);
                let status = answer.err().map(|error| error.status());
                assert!(status != Some(Status::Timeout), "{} {}", object.path, method.name);
                calls += 1;
            }
        }
    }
    assert!(calls > 1000, "{calls}");
    assert_eq!(lab.call("system", "board", "{}")["hostname"], "OpenWrt");
    let mut left: Vec<_> =
        fs::read_dir(lab.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["root", "ubus.sock"], "nothing is written beside the router");
}
