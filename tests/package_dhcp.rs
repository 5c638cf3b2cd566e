//! The package and DHCP: what is asked for, what DHCP servers offer to the WAN and what devices of the LAN say of
//! themselves, hostile ones too, written by the scripts and read by `agent::offers` and the data model.
#![allow(clippy::unwrap_used)]

use std::fs;

use rcwmp::agent::offers::Offers;

#[path = "support/package.rs"]
mod package;
#[path = "support/router.rs"]
mod router;
use package::{Box, put};
use router::router_with;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn option_43(url: &str) -> String {
    hex(&[&[1, u8::try_from(url.len()).unwrap()], url.as_bytes()].concat())
}

fn option_125(url: &str) -> String {
    let length = u8::try_from(url.len()).unwrap();
    hex(&[&[0, 0, 0x0d, 0xe9, length + 2, 11, length], url.as_bytes()].concat())
}

fn option_17(url: &str) -> String {
    hex(&[&[0, 0, 0x0d, 0xe9, 0, 1, 0, u8::try_from(url.len()).unwrap()], url.as_bytes()].concat())
}

#[test]
fn what_dhcp_offers_reaches_the_agent() {
    let Some(router) = Box::new(&[("cwmp.acs", "acs")]) else { return };
    let v4 = |interface: &str, action: &str, options: &[(&str, &str)]| {
        let options = [&[("INTERFACE", interface)], options].concat();
        router.run("udhcpc.user", &[action], &options);
        let found = router.offers();
        assert_eq!(found.complaints, Vec::<String>::new());
        router.is_clean();
        found.offer.url.unwrap_or_default()
    };
    let (a, b) = (option_43("http://a.example/"), option_125("http://b.example/"));
    assert_eq!(v4("wan", "deconfig", &[("opt43", &a)]), "");
    assert_eq!(v4("lan", "bound", &[("opt43", &a)]), "");
    assert_eq!(v4("wan", "bound", &[]), "");
    assert_eq!(v4("wan", "bound", &[("opt43", &a)]), "http://a.example/");
    assert_eq!(v4("wan", "renew", &[("opt43", &a), ("opt125", &b)]), "http://b.example/");
    // A lease without it takes nothing back.
    assert_eq!(v4("wan", "renew", &[]), "http://b.example/");
    let file = router.root().join("var/run/rcwmp/dhcp/wan");
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(v4("wan", "renew", &[("opt43", &a), ("opt125", &b)]), "http://b.example/");
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before, "written without a change");
    // One of them was asked for.
    fs::write(router.dir.path().join("uci.db"), "network.wan.reqopts=1 3 43\n").unwrap();
    assert_eq!(v4("wan", "renew", &[("opt43", &a), ("opt125", &b)]), "http://a.example/");
    assert_eq!(v4("wan", "renew", &[("opt125", &b)]), "http://b.example/");
    // IPv6 goes first.
    let c = option_17("http://c.example/");
    for (interface, action) in [("lan", "bound"), ("wan6", "stopped"), ("wan7", "bound")] {
        router.run("odhcp6c.user", &["eth0", action], &[("INTERFACE", interface), ("OPTION_17", &c)]);
        assert_eq!(router.offers().offer.url.as_deref(), Some("http://b.example/"), "{interface} {action}");
    }
    router.run("odhcp6c.user", &["eth0", "updated"], &[("INTERFACE", "wan_6"), ("OPTION_17", &c)]);
    assert_eq!(router.offers().offer.url.as_deref(), Some("http://c.example/"));
    router.is_clean();
}

#[test]
fn what_hostile_servers_offer_goes_nowhere() {
    let long = "41".repeat(5000);
    let hostile = [
        "",
        "'; touch owned; '",
        "$(touch owned)",
        "`touch owned`",
        "68\nopt43=6874",
        "68 74",
        "0x68",
        "-n",
        "%s%n",
        "\\x68",
        "../../x",
        "6g",
        "\u{1b}[2J",
        "*",
        long.as_str(),
    ];
    for value in hostile {
        let Some(router) = Box::new(&[]) else { return };
        router.run("udhcpc.user", &["bound"], &[("INTERFACE", "wan"), ("opt43", value), ("opt125", value)]);
        router.run("odhcp6c.user", &["eth0", "bound"], &[("INTERFACE", "wan6"), ("OPTION_17", value)]);
        assert_eq!(router.offers(), Offers::default(), "{value:?}");
        router.is_clean();
        // Not even a good one under a bad name.
        let good = option_43("http://a.example/");
        router.run("udhcpc.user", &["bound"], &[("INTERFACE", value), ("opt43", &good)]);
        assert_eq!(router.offers(), Offers::default(), "{value:?}");
        router.is_clean();
    }
    // An interface that somebody has called so.
    for name in ["../wan", ".wan", "a/b", "$(touch owned)", "a b", "-x;touch owned"] {
        let Some(router) = Box::new(&[("cwmp.cpe.default_wan_interface", name)]) else { return };
        let good = option_43("http://a.example/");
        router.run("udhcpc.user", &["bound"], &[("INTERFACE", name), ("opt43", &good)]);
        if name != "-x;touch owned" {
            router.is_clean();
        }
        assert!(!router.dir.path().join("owned").exists());
    }
    // Blanks around a name are no part of it, for the agent neither.
    let Some(router) = Box::new(&[("cwmp.cpe.default_wan_interface", " dsl\t")]) else { return };
    router.run(
        "udhcpc.user",
        &["bound"],
        &[("INTERFACE", "dsl"), ("opt43", &option_43("http://a.example/"))],
    );
    assert!(router.root().join("var/run/rcwmp/dhcp/dsl").exists());
    // Digits that mean nothing good are kept, and refused by the agent with a reason.
    let Some(router) = Box::new(&[]) else { return };
    for url in ["file:///etc/passwd", "http://u:p@a/", "http://a/\nX: y"] {
        router.run("udhcpc.user", &["bound"], &[("INTERFACE", "wan"), ("opt43", &option_43(url))]);
        let found = router.offers();
        assert_eq!((found.offer.url, found.complaints.len()), (None, 1), "{url}");
        router.is_clean();
    }
}

/// A router with a DHCP client on each side, and what its network asks for.
struct Clients(Box);

impl Clients {
    fn new(more: &[(&str, &str)]) -> Option<Clients> {
        let base = [
            ("cwmp.acs", "acs"),
            ("cwmp.acs.url", "http://198.51.100.1/"),
            ("cwmp.cpe", "cpe"),
            ("network.wan", "interface"),
            ("network.wan.proto", "dhcp"),
            ("network.wan6", "interface"),
            ("network.wan6.proto", "dhcpv6"),
        ];
        Box::new(&[&base[..], more].concat()).map(Clients)
    }

    /// Whether the network was told of a change, and how often it was committed.
    fn service(&self, verb: &str) -> (bool, usize) {
        let told = self.0.init(verb);
        let commits = self.0.commits();
        assert!(commits.iter().all(|package| package == "network"), "{commits:?}");
        (told.contains("procd_set_config_changed network\n"), commits.len())
    }

    fn turn(&self, option: &str, value: &str) {
        self.0.run_uci(&["set", &format!("cwmp.{option}={value}")]);
    }

    fn asks(&self) -> [String; 4] {
        let uci = self.0.uci();
        ["wan.reqopts", "wan.vendorid", "wan6.reqopts", "wan6.vendorclass"]
            .map(|name| uci.get(&format!("network.{name}")).cloned().unwrap_or_default())
    }
}

const VENDOR_CLASS: &str = "00000de9000c64736c666f72756d2e6f7267";

/// Discovery can be turned on and off later: the service asks, once, and takes back what was not there before.
#[test]
fn dhcp_is_asked_while_discovery_is_on() {
    let Some(router) = Clients::new(&[("network.wan.reqopts", "1 3")]) else { return };
    let (off, on) = (["1 3", "", "", ""], ["1 3 43", "dslforum.org", "17", VENDOR_CLASS].map(str::to_owned));
    assert_eq!(router.service("boot"), (false, 0));
    assert_eq!(router.asks(), off);
    router.turn("acs.dhcp_discovery", "Enable");
    assert_eq!(router.service("reload"), (true, 1));
    assert_eq!(router.asks(), on);
    for verb in ["reload", "start", "stop", "boot"] {
        assert_eq!(router.service(verb), (false, 0), "{verb}");
        assert_eq!(router.asks(), on, "{verb}");
    }
    // Nobody reads the answer any more: that is no reason for the WAN to go down.
    router.turn("acs.dhcp_discovery", "0");
    assert_eq!(router.service("reload"), (false, 1));
    assert_eq!(router.asks(), off);
    assert_eq!(router.service("reload"), (false, 0));
    // Without a URL, DHCP says it whatever the switch (TR-069 3.1), unless the agent is off.
    router.turn("acs.url", "");
    assert_eq!(router.service("reload"), (true, 1));
    router.turn("cpe.enable", "off");
    assert_eq!(router.service("reload"), (false, 1));
    assert_eq!(router.asks(), off);
}

#[test]
fn what_others_have_dhcp_asked_for_stays() {
    let own = [
        ("network.wan.reqopts", "43 125"),
        ("network.wan.vendorid", "isp.example"),
        ("cwmp.acs.dhcp_discovery", "1"),
    ];
    let Some(router) = Clients::new(&own) else { return };
    let with = ["43 125", "isp.example", "17", VENDOR_CLASS];
    assert_eq!(router.service("start"), (true, 1));
    assert_eq!(router.asks(), with);
    // Somebody makes it their own.
    router.0.run_uci(&["set", "network.wan6.vendorclass=00001234"]);
    router.0.run_uci(&["set", "network.wan6.reqopts=17 23"]);
    router.turn("acs.dhcp_discovery", "0");
    assert_eq!(router.service("reload"), (false, 0), "somebody is at work there");
    router.0.run_uci(&["commit", "network"]);
    router.0.commits();
    assert_eq!(router.service("reload"), (false, 1));
    assert_eq!(router.asks(), ["43 125", "isp.example", "23", "00001234"]);
    assert!(!router.0.root().join("etc/rcwmp/asked").exists());
}

/// Another WAN, a package that goes, and names that are none.
#[test]
fn dhcp_is_asked_on_the_wan_only() {
    let dsl = [("network.dsl", "interface"), ("network.dsl.proto", "dhcp"), ("cwmp.acs.dhcp_discovery", "1")];
    let Some(router) = Clients::new(&dsl) else { return };
    router.0.run("rcwmp.defaults", &[], &[]);
    assert_eq!(router.asks(), ["43", "dslforum.org", "17", VENDOR_CLASS]);
    router.0.commits();
    router.0.told();
    // What uci-defaults has asked for is the service's, too.
    assert_eq!(router.service("start"), (false, 0));
    router.turn("cpe.default_wan_interface", "dsl");
    assert_eq!(router.service("reload"), (true, 1));
    assert_eq!(router.asks(), ["", "", "", ""]);
    assert_eq!(router.0.uci()["network.dsl.reqopts"], "43");
    for name in ["dsl; touch owned", "$(touch owned)", "dsl.proto=x", "../dsl"] {
        router.turn("cpe.default_wan_interface", name);
        assert_eq!(router.service("reload"), (false, 0), "{name}");
    }
    assert!(!router.0.dir.path().join("owned").exists());
    assert_eq!(router.0.uci()["network.dsl.reqopts"], "43");
    router.0.run("forget", &[], &[]);
    assert_eq!(router.0.commits(), ["network"]);
    assert!(!router.0.uci().contains_key("network.dsl.reqopts"));
    assert!(!router.0.uci().contains_key("network.dsl.vendorid"));
    router.0.run("forget", &[], &[]);
    assert_eq!(router.0.commits(), Vec::<String>::new());
}

/// What the ACS sees of the devices of the LAN: OUI, serial number, product class.
fn devices(router: &Box) -> Vec<String> {
    let text = fs::read_to_string(router.root().join("var/run/rcwmp/manageable")).unwrap_or_default();
    let mut model =
        router_with(&[("var/run/rcwmp/manageable", &text), ("etc/config/cwmp", "config acs 'acs'\n")]);
    let count: u32 = model.value("Device.ManagementServer.ManageableDeviceNumberOfEntries").parse().unwrap();
    let row = |n: u32| {
        let of = |name: &str| format!("Device.ManagementServer.ManageableDevice.{n}.{name}");
        [of("ManufacturerOUI"), of("SerialNumber"), of("ProductClass")]
    };
    let mut found: Vec<String> =
        (1..=count).map(|n| row(n).map(|name| model.value(&name)).join("|")).collect();
    found.sort();
    found
}

fn lease(router: &Box, action: &str, mac: &str, said: [&str; 3]) {
    let names = ["DNSMASQ_CPEWAN_OUI", "DNSMASQ_CPEWAN_SERIAL", "DNSMASQ_CPEWAN_CLASS"];
    let mut environment = vec![("ACTION", action), ("MACADDR", mac), ("IPADDR", "192.168.1.20")];
    environment.extend(names.into_iter().zip(said).filter(|(_, value)| !value.is_empty()));
    router.run("dhcp.hotplug", &[], &environment);
    router.is_clean();
}

#[test]
fn devices_of_the_lan_come_and_go() {
    let Some(router) = Box::new(&[]) else { return };
    let (a, b) = ("02:00:00:00:01:11", "02:00:00:00:01:12");
    lease(&router, "add", a, ["", "", ""]);
    assert_eq!(devices(&router), Vec::<String>::new());
    lease(&router, "add", a, ["02ab00", "SN 0042", "Set-Top Box"]);
    lease(&router, "add", b, ["02AB01", "7", ""]);
    assert_eq!(devices(&router), ["02AB00|SN 0042|Set-Top Box", "02AB01|7|"]);
    // dnsmasq starts again; then a device gets another class, and one leaves.
    lease(&router, "update", a, ["", "", ""]);
    assert_eq!(devices(&router).len(), 2);
    lease(&router, "update", a, ["02AB00", "SN 0042", "Box"]);
    assert_eq!(devices(&router), ["02AB00|SN 0042|Box", "02AB01|7|"]);
    lease(&router, "remove", b, ["02AB01", "7", ""]);
    assert_eq!(devices(&router), ["02AB00|SN 0042|Box"]);
    // The address is another device's now, which says nothing.
    lease(&router, "add", "02:00:00:00:01:11", ["", "", ""]);
    assert_eq!(devices(&router), Vec::<String>::new());
    assert_eq!(fs::read_to_string(router.root().join("var/run/rcwmp/manageable")).unwrap(), "");
}

#[test]
fn hostile_devices_of_the_lan() {
    let Some(router) = Box::new(&[]) else { return };
    let mac = "02:00:00:00:01:11";
    lease(&router, "add", mac, ["02AB00", "1\n02:00:00:00:01:99\t02AB09\tforged", "a\tb\r\n"]);
    assert_eq!(devices(&router), ["02AB00|102:00:00:00:01:9902AB09forged|ab"]);
    for text in ["'; touch owned; '", "$(touch owned)", "`touch owned`", "%s%n\\n", "-e", "*", "\\"] {
        lease(&router, "add", mac, ["02AB00", text, text]);
        assert_eq!(devices(&router), [format!("02AB00|{text}|{text}")]);
        lease(&router, "add", mac, [text, "7", "Box"]);
        assert_eq!(devices(&router), Vec::<String>::new(), "{text}");
    }
    let long = "x".repeat(65);
    for said in [
        ["02AB0", "7", ""],
        ["02AB000", "7", ""],
        ["02AB00", "\t\n", ""],
        ["02AB00", &long, ""],
        ["02AB00", "7", &long],
    ] {
        lease(&router, "add", mac, said);
        assert_eq!(devices(&router), Vec::<String>::new(), "{said:?}");
    }
    for address in [
        "",
        "..",
        "02:00:00:00:01:1*",
        "02:00:00:00:01",
        "$(touch owned)",
        "00:01:00:01:2a:2b:2c:2d:02:00",
        ".*",
    ] {
        lease(&router, "add", address, ["02AB00", "7", ""]);
        assert_eq!(devices(&router), Vec::<String>::new(), "{address}");
    }
    // An address that is a pattern is no other's.
    lease(&router, "add", mac, ["02AB00", "7", ""]);
    for action in ["remove", "add"] {
        lease(&router, action, "..:..:..:..:..:..", ["02AB01", "8", ""]);
        assert_eq!(devices(&router), ["02AB00|7|"]);
    }
    // However many there are, the file stays small.
    for n in 0..520_u32 {
        if n % 130 == 0 {
            let lines: String = (0..2000 + n)
                .map(|n| format!("02:00:00:01:{:02x}:{:02x}\t02AB00\t{n}\n", n / 256, n % 256))
                .collect();
            put(&router.root(), "var/run/rcwmp/manageable", &lines);
            lease(&router, "add", mac, ["02AB00", &n.to_string(), ""]);
            let text = fs::read_to_string(router.root().join("var/run/rcwmp/manageable")).unwrap();
            assert_eq!(text.lines().count(), 512);
        }
    }
}
