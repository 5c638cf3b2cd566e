//! Services of the system through the whole model: SSH, the web interface, dynamic DNS, UPnP, USB, XMPP, the
//! gateway in front, the interface stack. Configurations are those of published routers where there are some.
#![cfg(feature = "lab")]
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/router.rs"]
mod router;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use programs::{Programs, says_json};
use router::{NETWORK, Router, open_with, put, router_with};

/// A published configuration; none where the samples are not present.
fn published(router: &str, package: &str) -> Option<String> {
    let path =
        format!("{}/../shared/router-samples/etc-config/{router}/{package}", env!("CARGO_MANIFEST_DIR"));
    let found = fs::read_to_string(path).ok();
    if found.is_none() {
        eprintln!("skipped: ../shared not present");
    }
    found
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExample me@desk";

/// What procd answers in the form of `router-samples/ubus/service.list.derived.json`.
const PROCD: &str = r#"{"dropbear":{"instances":{"main":{"running":true,"pid":1890,
    "command":["/usr/sbin/dropbear","-F","-P","/var/run/dropbear.main.pid","-p","22","-K","300","-T","3"]}}},
    "uhttpd":{"instances":{"instance1":{"running":true,"pid":2222,"command":["/usr/sbin/uhttpd","-f"]}}},
    "odd":{"instances":7},"none":{}}"#;

#[test]
fn dropbear() {
    let dropbear = "config dropbear 'main'\n\toption PasswordAuth 'on'\n\toption RootPasswordAuth 'off'\n\
                    \toption Port '22'\n\toption Interface 'lan'\n";
    let Router { dir, .. } =
        router_with(&[("etc/config/network", NETWORK), ("etc/config/dropbear", dropbear)]);
    put(dir.path(), "proc/uptime", "5000.10 9000.00\n");
    put(
        dir.path(),
        "proc/1890/stat",
        "1890 (dropbear) S 1 1890 1890 0 -1 4194560 1 2 3 4 250 17 0 0 20 0 1 0 100000 1 2 3\n",
    );
    put(dir.path(), "etc/dropbear/authorized_keys", &format!("# keys of the house\n{KEY}\n"));
    put(dir.path(), "etc/passwd", "root:x:0:0:root:/root:/bin/ash\n");
    if cfg!(target_endian = "little") {
        put(
            dir.path(),
            "proc/net/tcp",
            "  sl  local_address rem_address   st\n   0: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 1\n   \
             1: 0101A8C0:0016 8801A8C0:D431 01 0:0 0:0 0 0 0 2\n   \
             2: 0101A8C0:0050 8801A8C0:D432 01 0:0 0:0 0 0 0 3\n",
        );
    }
    let procd = Programs::start(&[("service", "list", says_json(PROCD))]);
    let mut router = open_with(dir, Some(procd.socket()));
    for (name, value) in [
        ("Enable", "1"),
        ("Status", "Enabled"),
        ("ServerNumberOfEntries", "1"),
        ("Server.1.Enable", "1"),
        ("Server.1.Status", "Enabled"),
        ("Server.1.Port", "22"),
        ("Server.1.PID", "1890"),
        ("Server.1.IdleTimeout", "0"),
        ("Server.1.KeepAlive", "300"),
        ("Server.1.AllowRootLogin", "1"),
        ("Server.1.AllowPasswordLogin", "1"),
        ("Server.1.AllowRootPasswordLogin", "0"),
        ("Server.1.MaxAuthTries", "3"),
        ("AuthorizedKeyNumberOfEntries", "1"),
        ("AuthorizedKey.1.Key", KEY),
        ("AuthorizedKey.1.User", "Device.Users.User.1"),
    ] {
        router.check(&format!("Device.SSH.{name}"), value);
    }
    let lan = router.find("Device.IP.Interface.", "Name", "lan");
    router.check("Device.SSH.Server.1.Interface", lan.trim_end_matches('.'));
    assert!(router.value("Device.SSH.Server.1.ActivationDate").starts_with("20"));
    if cfg!(target_endian = "little") {
        router.check("Device.SSH.Server.1.SessionNumberOfEntries", "1");
        router.check("Device.SSH.Server.1.Session.1.IPAddress", "192.168.1.136");
        router.check("Device.SSH.Server.1.Session.1.Port", "54321");
    }
    // A new one has the standard's defaults, and is off.
    let new = router.add("Device.SSH.Server.");
    for (name, value) in [
        ("Enable", "0"),
        ("Status", "Disabled"),
        ("Port", "22"),
        ("IdleTimeout", "180"),
        ("KeepAlive", "300"),
        ("AllowRootLogin", "0"),
        ("AllowPasswordLogin", "0"),
        ("AllowRootPasswordLogin", "0"),
        ("MaxAuthTries", "3"),
    ] {
        router.check(&format!("{new}{name}"), value);
    }
    router.set(&[
        (&format!("{new}Port"), "2222"),
        (&format!("{new}Enable"), "1"),
        (&format!("{new}Interface"), lan.trim_end_matches('.')),
    ]);
    router.has("dropbear", &["option Port '2222'", "option enable '1'"]);
    // procd has not started it.
    router.check(&format!("{new}Status"), "Error");
    router.delete(&new);
    router.check("Device.SSH.ServerNumberOfEntries", "1");
}

#[test]
fn what_is_not_installed_is_not_there() {
    let mut router = router_with(&[("etc/config/network", NETWORK)]);
    for (name, value) in [
        ("SSH.Enable", "0"),
        ("SSH.Status", "Disabled"),
        ("SSH.ServerNumberOfEntries", "0"),
        ("SSH.AuthorizedKeyNumberOfEntries", "0"),
        ("UserInterface.Enable", "0"),
        ("UserInterface.HTTPAccessNumberOfEntries", "0"),
        ("UserInterface.HTTPAccessSupportedProtocols", ""),
        ("UserInterface.AvailableLanguages", ""),
        ("DynamicDNS.ClientNumberOfEntries", "0"),
        ("DynamicDNS.ServerNumberOfEntries", "0"),
        ("UPnP.Device.Enable", "0"),
        ("UPnP.Device.UPnPIGD", "0"),
        ("UPnP.Device.Capabilities.UPnPIGD", "0"),
        ("UPnP.Device.Capabilities.UPnPArchitecture", "0"),
        ("USB.USBHosts.HostNumberOfEntries", "0"),
        ("GatewayInfo.ManufacturerOUI", ""),
    ] {
        router.check(&format!("Device.{name}"), value);
    }
    for table in ["SSH.Server.", "SSH.AuthorizedKey.", "UserInterface.HTTPAccess.", "DynamicDNS.Client."] {
        assert!(router.model.add(&format!("Device.{table}"), None).is_err(), "{table}");
    }
    for name in ["UserInterface.Enable", "UPnP.Device.Enable", "UPnP.Device.UPnPMediaServer"] {
        assert!(router.try_set(&[(&format!("Device.{name}"), "1")]).is_err(), "{name}");
    }
    let configs = fs::read_dir(router.dir.path().join("etc/config")).unwrap().count();
    assert_eq!(configs, 1, "nothing was made");
}

#[test]
fn the_web_interface() {
    let (Some(uhttpd), Some(luci)) =
        (published("wrt1900acs-dumb-ap", "uhttpd"), published("m28c-immortalwrt", "luci"))
    else {
        return;
    };
    let Router { dir, .. } = router_with(&[
        ("etc/config/network", NETWORK),
        ("etc/config/uhttpd", &uhttpd),
        ("etc/config/luci", &luci),
        ("etc/uhttpd.key", "key"),
        ("etc/shadow", "root:$1$abc$def:0:0:99999:7:::\n"),
    ]);
    let procd = Programs::start(&[("service", "list", says_json(PROCD))]);
    let mut router = open_with(dir, Some(procd.socket()));
    let web = |name: &str| format!("Device.UserInterface.{name}");
    for (name, value) in [
        ("Enable", "1"),
        ("PasswordRequired", "1"),
        ("AvailableLanguages", "en,zh-cn"),
        ("CurrentLanguage", ""),
        ("HTTPAccessSupportedProtocols", "HTTP,HTTPS"),
        ("HTTPAccessNumberOfEntries", "4"),
        ("HTTPAccess.1.Enable", "1"),
        ("HTTPAccess.1.Status", "Up"),
        ("HTTPAccess.1.Port", "80"),
        ("HTTPAccess.1.Protocol", "HTTP"),
        ("HTTPAccess.1.Interface", ""),
        ("HTTPAccess.3.Port", "443"),
        ("HTTPAccess.3.Protocol", "HTTPS"),
    ] {
        router.check(&web(name), value);
    }
    router.set(&[(&web("CurrentLanguage"), "zh_cn"), (&web("Enable"), "0")]);
    router.has("luci", &["option lang 'zh_cn'"]);
    router.has("uhttpd", &["option enabled '0'"]);
    router.set(&[(&web("CurrentLanguage"), "")]);
    router.has("luci", &["option lang 'auto'"]);
    let lan = router.find("Device.IP.Interface.", "Name", "lan");
    let new = router.add(&web("HTTPAccess."));
    router.check(&format!("{new}Enable"), "0");
    router.check(&format!("{new}Port"), "443");
    router.check(&format!("{new}Protocol"), "HTTPS");
    assert!(router.try_set(&[(&format!("{new}Enable"), "1")]).is_err(), "somebody listens there already");
    assert!(router.try_set(&[(&format!("{new}Protocol"), "HTTP")]).is_err());
    router.set(&[
        (&format!("{new}Port"), "8443"),
        (&format!("{new}Interface"), lan.trim_end_matches('.')),
        (&format!("{new}Enable"), "1"),
    ]);
    router.has("uhttpd", &["list listen_https '192.168.1.1:8443'"]);
    router.set(&[(&web("HTTPAccess.2.Enable"), "0")]);
    assert!(!router.config("uhttpd").iter().any(|line| line == "list listen_http '[::]:80'"));
    router.set(&[(&web("HTTPAccess.2.Enable"), "1")]);
    router.delete(&new);
    assert!(!router.config("uhttpd").iter().any(|line| line.contains("8443")));
    router.has("uhttpd", &["list listen_http '[::]:80'", "list listen_https '0.0.0.0:443'"]);
}

#[test]
fn dynamic_dns() {
    let Some(ddns) = published("ath79-archer-c7-legacy1907", "ddns") else { return };
    let mut router = router_with(&[
        ("etc/config/network", NETWORK),
        ("etc/config/ddns", &ddns),
        ("proc/uptime", "5000.10 9000.00\n"),
        ("proc/4242/stat", "4242 (dynamic_dns_upd) S 1\n"),
        ("var/run/ddns/myddns_ipv4.pid", "4242\n"),
        ("var/run/ddns/myddns_ipv4.update", "1400\n"),
        ("usr/share/ddns/default/no-ip.pl.json", "{}"),
        ("usr/share/ddns/default/dyndns.org.json", "{}"),
    ]);
    let wan = router.find("Device.IP.Interface.", "Name", "wan");
    for (name, value) in [
        ("ClientNumberOfEntries", "2"),
        ("ServerNumberOfEntries", "2"),
        ("SupportedServices", "dyndns.org,no-ip.pl"),
        ("Client.1.Enable", "1"),
        ("Client.1.Status", "Updated"),
        ("Client.1.LastError", "NO_ERROR"),
        ("Client.1.Server", "Device.DynamicDNS.Server.1"),
        ("Client.1.Interface", wan.trim_end_matches('.')),
        ("Client.1.Username", "user@example.net"),
        ("Client.1.Password", ""),
        ("Client.1.Hostname.1.Name", "router.example.net"),
        ("Client.1.Hostname.1.Status", "Registered"),
        ("Client.2.Enable", "0"),
        ("Client.2.Status", "Disabled"),
        ("Client.2.Interface", ""),
        ("Server.1.ServiceName", "no-ip.pl"),
        ("Server.1.Protocol", "HTTP"),
        ("Server.1.CheckInterval", "600"),
        ("Server.1.RetryInterval", "60"),
        ("Server.2.ServerAddress", "your.provider.net"),
        ("Server.2.ServerPort", "80"),
    ] {
        router.check(&format!("Device.DynamicDNS.{name}"), value);
    }
    assert!(router.value("Device.DynamicDNS.Client.1.Hostname.1.LastUpdate").starts_with("20"));
    router.set(&[
        ("Device.DynamicDNS.Server.1.Protocol", "HTTPS"),
        ("Device.DynamicDNS.Server.1.CheckInterval", "300"),
        ("Device.DynamicDNS.Client.1.Hostname.1.Name", "home.example.net"),
    ]);
    router.has(
        "ddns",
        &[
            "option use_https '1'",
            "option check_interval '300'",
            "option check_unit 'seconds'",
            "option domain 'home.example.net'",
            "option lookup_host 'home.example.net'",
        ],
    );
    let new = router.add("Device.DynamicDNS.Client.");
    router.check(&format!("{new}Status"), "Disabled");
    router.set(&[(&format!("{new}Enable"), "1"), (&format!("{new}Interface"), wan.trim_end_matches('.'))]);
    router.check(&format!("{new}Status"), "Error_Misconfigured");
    router.check(&format!("{new}LastError"), "MISCONFIGURATION_ERROR");
    router.check(&format!("{new}Server"), "Device.DynamicDNS.Server.3");
    router.delete(&new);
    router.check("Device.DynamicDNS.ServerNumberOfEntries", "2");
}

#[test]
fn upnp() {
    let Some(upnpd) = published("ath79-archer-c7-legacy1907", "upnpd") else { return };
    let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/upnpd", &upnpd)]);
    for (name, value) in [
        ("Enable", "1"),
        ("UPnPIGD", "1"),
        ("UPnPMediaServer", "0"),
        ("Capabilities.UPnPIGD", "2"),
        ("Capabilities.UPnPMediaServer", "0"),
        ("Capabilities.UPnPArchitecture", "1"),
    ] {
        router.check(&format!("Device.UPnP.Device.{name}"), value);
    }
    router.set(&[("Device.UPnP.Device.Enable", "0"), ("Device.UPnP.Device.UPnPIGD", "0")]);
    // What stands there keeps its form.
    router.has("upnpd", &["option enabled\t\t0", "option enable_upnp\t0", "option enable_natpmp\t1"]);
}

#[test]
fn upnp_of_the_new_kind() {
    let upnpd = "config upnpd 'config'\n\toption enabled '1'\n\toption enabled_protocols 'all'\n\toption upnp_igd_compat 'igdv1'\n";
    let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/upnpd", upnpd)]);
    router.check("Device.UPnP.Device.Capabilities.UPnPIGD", "1");
    router.set(&[("Device.UPnP.Device.UPnPIGD", "0")]);
    router.has("upnpd", &["option enabled_protocols 'pcp+nat-pmp'"]);
    router.set(&[("Device.UPnP.Device.UPnPIGD", "1")]);
    router.has("upnpd", &["option enabled_protocols 'all'"]);
}

#[test]
fn bridges_of_mosquitto() {
    let mosquitto = "config owrt 'owrt'\n\toption use_uci '1'\n\nconfig mosquitto 'mosquitto'\n\toption port '1884'\n\n\
        config bridge 'cloud'\n\toption connection 'cloud'\n\toption address 'a.example.net:8883 b.example.net'\n\
        \toption username 'me'\n\toption protocol_version 'mqttv311'\n\toption cafile '/etc/ca.pem'\n\
        \tlist topic '# out 1 \"\" house/'\n\tlist topic 'cmd/# in'\n";
    let Router { dir, .. } = router_with(&[
        ("etc/config/network", NETWORK),
        ("etc/config/mosquitto", mosquitto),
        ("etc/rc.d/S80mosquitto", ""),
        ("etc/init.d/mosquitto", "#!/bin/sh\n"),
    ]);
    if cfg!(target_endian = "little") {
        put(
            dir.path(),
            "proc/net/tcp",
            "  sl  local_address rem_address   st\n   0: 0101A8C0:8000 090200C0:22B3 01 0:0 0:0 0 0 0 1\n",
        );
    }
    let procd = r#"{"mosquitto":{"instances":{"instance1":{"running":true,"pid":90}}}}"#;
    let procd = Programs::start(&[("service", "list", says_json(procd))]);
    let mut router = open_with(dir, Some(procd.socket()));
    let bridge = "Device.MQTT.Broker.1.Bridge.1.";
    router.check("Device.MQTT.Broker.1.Status", "Enabled");
    router.check("Device.MQTT.Broker.1.Port", "1884");
    router.check("Device.MQTT.Broker.1.Enable", "1");
    router.check("Device.MQTT.Broker.1.Name", "mosquitto");
    router.check("Device.MQTT.Broker.1.Interface", "");
    let near = router.find("Device.IP.Interface.", "Name", "loopback");
    let lan = router.find("Device.IP.Interface.", "Name", "lan");
    router.set(&[
        ("Device.MQTT.Broker.1.Name", "the house's"),
        ("Device.MQTT.Broker.1.Interface", near.trim_end_matches('.')),
    ]);
    router.has("mosquitto", &["option no_remote_access '1'"]);
    assert!(router.try_set(&[("Device.MQTT.Broker.1.Interface", lan.trim_end_matches('.'))]).is_err());
    router.set(&[("Device.MQTT.Broker.1.Interface", "")]);
    assert!(router.config("mosquitto").iter().all(|line| !line.contains("no_remote_access")));
    assert_eq!(router.try_set(&[("Device.MQTT.Broker.1.Enable", "0")]), Ok(()));
    let orders = router.model.backend().take_orders();
    assert_eq!(format!("{orders:?}"), r#"[Script("mosquitto", "disable"), Script("mosquitto", "stop")]"#);
    for (name, value) in [
        ("Name", "cloud"),
        ("Enable", "1"),
        ("Status", if cfg!(target_endian = "little") { "Connected" } else { "Connecting" }),
        ("ProtocolVersion", "3.1.1"),
        ("TransportProtocol", "TLS"),
        ("CleanSession", "0"),
        ("KeepAliveTime", "60"),
        ("Username", "me"),
        ("ServerSelectionAlgorithm", "Priority"),
        ("ServerNumberOfEntries", "2"),
        ("Server.1.Address", "a.example.net"),
        ("Server.1.Port", "8883"),
        ("Server.2.Port", "1883"),
        ("Server.2.Priority", "1"),
        ("SubscriptionNumberOfEntries", "2"),
        ("Subscription.1.Topic", "#"),
        ("Subscription.1.Direction", "out"),
        ("Subscription.1.QoS", "1"),
        ("Subscription.1.LocalPrefix", ""),
        ("Subscription.1.RemotePrefix", "house/"),
        ("Subscription.2.Direction", "in"),
        ("Subscription.2.QoS", "0"),
    ] {
        router.check(&format!("{bridge}{name}"), value);
    }
    let at = |name: &str| format!("{bridge}{name}");
    router.set(&[(&at("Username"), "you"), (&at("Subscription.2.QoS"), "2"), (&at("Server.2.Port"), "8884")]);
    router.has(
        "mosquitto",
        &[
            "option remote_username 'you'",
            "list topic 'cmd/# in 2'",
            "option address 'a.example.net:8883 b.example.net:8884'",
        ],
    );
    assert!(!router.config("mosquitto").iter().any(|line| line.contains("option username")));
    if cfg!(target_endian = "little") {
        router.check(&at("ServerConnection"), &at("Server.1"));
    }
    router.set(&[(&at("Server.2.Priority"), "0")]);
    router.has("mosquitto", &["option address 'b.example.net:8884 a.example.net:8883'"]);
    router.check(&at("Server.2.Address"), "b.example.net");
    router.check(&at("Server.1.Priority"), "1");
    router.set(&[(&at("Server.2.Priority"), "1")]);
    assert!(router.try_set(&[(&at("Server.2.Priority"), "2")]).is_err(), "there are two places");
    for (name, bad) in [
        ("Username", "a\nlistener 1"),
        ("Name", "a b"),
        ("Subscription.1.Topic", "a\nb"),
        ("Subscription.1.LocalPrefix", "x y"),
        ("Server.1.Address", "b.example.net\nuser root"),
    ] {
        assert!(router.try_set(&[(&at(name), bad)]).is_err(), "{name}");
    }
    let topic = router.add(&at("Subscription."));
    router.check(&format!("{topic}Enable"), "0");
    assert!(router.try_set(&[(&format!("{topic}Topic"), "#")]).is_err(), "topic and direction are there");
    router.set(&[(&format!("{topic}Topic"), "state"), (&format!("{topic}Enable"), "1")]);
    router.has("mosquitto", &["list topic 'state out 0'"]);
    router.delete(&at("Subscription.1."));
    router.check(&format!("{topic}Topic"), "state");
    router.set(&[(&at("Enable"), "0")]);
    router.has("mosquitto", &["option rcwmp_connection 'cloud'"]);
    router.check(&at("Status"), "Disabled");
    router.set(&[(&at("Enable"), "1")]);
    router.has("mosquitto", &["option connection 'cloud'"]);
    let new = router.add("Device.MQTT.Broker.1.Bridge.");
    router.check(&format!("{new}Enable"), "0");
    router.check(&format!("{new}CleanSession"), "1");
    let server = router.add(&format!("{new}Server."));
    router.check(&format!("{server}Port"), "1883");
    router.set(&[(&format!("{server}Address"), "192.0.2.9"), (&format!("{server}Enable"), "1")]);
    router.set(&[(&format!("{new}Enable"), "1")]);
    router.check(&format!("{new}Status"), "Error_Misconfigured");
    router.delete(&new);
    router.check("Device.MQTT.Broker.1.BridgeNumberOfEntries", "1");
}

fn usb(root: &Path, device: &str, files: &[(&str, &str)]) {
    for (name, text) in files {
        put(root, &format!("sys/bus/usb/devices/{device}/{name}"), &format!("{text}\n"));
    }
}

#[test]
fn usb_devices() {
    let mut router = router_with(&[("etc/config/network", NETWORK)]);
    let root = router.dir.path().to_owned();
    usb(
        &root,
        "usb1",
        &[
            ("product", "xHCI Host Controller"),
            ("version", " 2.00"),
            ("authorized", "1"),
            ("power/control", "auto"),
        ],
    );
    usb(
        &root,
        "1-1",
        &[
            ("devnum", "2"),
            ("version", " 2.10"),
            ("bDeviceClass", "ef"),
            ("bDeviceSubClass", "02"),
            ("bDeviceProtocol", "01"),
            ("bcdDevice", "0510"),
            ("idVendor", "0bda"),
            ("idProduct", "8153"),
            ("manufacturer", "Realtek"),
            ("product", "USB 10/100/1000 LAN"),
            ("serial", "00E04C"),
            ("speed", "480"),
            ("maxchild", "0"),
            ("bmAttributes", "e0"),
            ("bConfigurationValue", "1"),
            ("power/runtime_status", "suspended"),
        ],
    );
    usb(
        &root,
        "1-1.4",
        &[("devnum", "3"), ("speed", "1.5"), ("bConfigurationValue", ""), ("bDeviceClass", "xyz")],
    );
    usb(
        &root,
        "1-1:1.0",
        &[("bInterfaceNumber", "0a"), ("bInterfaceClass", "08"), ("bInterfaceSubClass", "06")],
    );
    usb(&root, "usbx", &[("product", "?")]);
    usb(&root, "2-1", &[("devnum", "9")]);
    router.model.refresh();
    let host = "Device.USB.USBHosts.Host.1.";
    for (name, value) in [
        ("Name", "usb1"),
        ("Enable", "1"),
        ("Type", "xHCI"),
        ("PowerManagementEnable", "1"),
        ("USBVersion", "2.00"),
        ("DeviceNumberOfEntries", "2"),
        ("Device.1.DeviceNumber", "2"),
        ("Device.1.USBVersion", "2.10"),
        ("Device.1.DeviceVersion", "1296"),
        ("Device.1.VendorID", "3034"),
        ("Device.1.ProductID", "33107"),
        ("Device.1.Manufacturer", "Realtek"),
        ("Device.1.ProductClass", "USB 10/100/1000 LAN"),
        ("Device.1.SerialNumber", "00E04C"),
        ("Device.1.Port", "1"),
        ("Device.1.Rate", "High"),
        ("Device.1.Parent", ""),
        ("Device.1.IsSuspended", "1"),
        ("Device.1.IsSelfPowered", "1"),
        ("Device.1.ConfigurationNumberOfEntries", "1"),
        ("Device.1.Configuration.1.ConfigurationNumber", "1"),
        ("Device.1.Configuration.1.InterfaceNumberOfEntries", "1"),
        ("Device.1.Configuration.1.Interface.1.InterfaceNumber", "10"),
        ("Device.1.Configuration.1.Interface.1.InterfaceClass", "08"),
        ("Device.2.Rate", "Low"),
        ("Device.2.Port", "4"),
        ("Device.2.DeviceClass", ""),
        ("Device.2.Parent", "Device.USB.USBHosts.Host.1.Device.1"),
        ("Device.2.ConfigurationNumberOfEntries", "0"),
    ] {
        router.check(&format!("{host}{name}"), value);
    }
    assert!(router.value(&format!("{host}Device.1.DeviceClass")).eq_ignore_ascii_case("ef"));
    router.check("Device.USB.USBHosts.HostNumberOfEntries", "1");
}

#[test]
fn connections_of_xmpp() {
    let cwmp = "config acs 'acs'\n\toption url 'http://192.0.2.1/'\n";
    let mut router = router_with(&[("etc/config/network", NETWORK), ("etc/config/cwmp", cwmp)]);
    let one = router.add("Device.XMPP.Connection.");
    for (name, value) in [
        ("Enable", "0"),
        ("Status", "Disabled"),
        ("JabberID", ""),
        ("ServerConnectAlgorithm", "DNS-SRV"),
        ("KeepAliveInterval", "-1"),
        ("ServerConnectAttempts", "16"),
        ("ServerRetryInitialInterval", "60"),
        ("ServerRetryIntervalMultiplier", "2000"),
        ("ServerRetryMaxInterval", "30720"),
        ("UseTLS", "0"),
        ("TLSEstablished", "0"),
        ("Stats.ReceivedMessages", "0"),
    ] {
        router.check(&format!("{one}{name}"), value);
    }
    router.set(&[(&format!("{one}Enable"), "1")]);
    router.check(&format!("{one}Status"), "Error_Misconfigured");
    let server = router.add(&format!("{one}Server."));
    router.check(&format!("{server}Port"), "5222");
    let set = router.try_set(&[
        (&format!("{one}Username"), "cpe"),
        (&format!("{one}Domain"), "example.net"),
        (&format!("{one}Resource"), "rcwmp"),
        (&format!("{one}Password"), "secret"),
        (&format!("{server}ServerAddress"), "xmpp.example.net"),
        ("Device.ManagementServer.ConnReqXMPPConnection", one.trim_end_matches('.')),
        ("Device.ManagementServer.ConnReqAllowedJabberIDs", "acs@example.net,b@example.net"),
    ]);
    assert_eq!(set, Ok(()));
    router.check(&format!("{one}JabberID"), "cpe@example.net/rcwmp");
    router.check(&format!("{one}Password"), "");
    router.check(&format!("{one}Status"), "Unknown");
    router.check("Device.ManagementServer.ConnReqXMPPConnection", one.trim_end_matches('.'));
    router.check("Device.ManagementServer.ConnReqAllowedJabberIDs", "acs@example.net,b@example.net");
    // What the agent tells while it runs.
    router.model.backend().tell("xmpp.xmpp_connection1.Status", "Connecting");
    router.check(&format!("{one}Status"), "Connecting");
    let other = router.add("Device.XMPP.Connection.");
    router.check(&format!("{other}ServerNumberOfEntries"), "0");
    // Two that are on are not of one and the same address.
    let same = |enable| {
        [("Username", "cpe"), ("Domain", "example.net"), ("Resource", "rcwmp"), ("Enable", enable)]
            .map(|(name, value)| (format!("{other}{name}"), value))
    };
    let set = |router: &mut Router, list: [(String, &str); 4]| {
        router.try_set(&list.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>())
    };
    let refused = set(&mut router, same("1"));
    assert!(
        refused.as_ref().is_err_and(|why| why.contains("has the same Username+Domain+Resource")),
        "{refused:?}"
    );
    router.check(&format!("{other}Username"), "");
    assert_eq!(set(&mut router, same("0")), Ok(()));
    assert!(router.try_set(&[(&format!("{other}Enable"), "1")]).is_err());
    assert_eq!(
        router.try_set(&[(&format!("{other}Enable"), "1"), (&format!("{other}Resource"), "two")]),
        Ok(())
    );
    router.delete(&one);
    router.check("Device.ManagementServer.ConnReqXMPPConnection", "");
    assert!(!router.config("cwmp").iter().any(|line| line.contains("xmpp_server")));
}

#[test]
fn the_gateway_in_front() {
    let mut router = router_with(&[
        ("etc/config/network", NETWORK),
        ("var/run/rcwmp/dhcp/wan", "opt43=00\nopt125=00000de91504063032414230300504534e34320605526f757465\n"),
    ]);
    router.check("Device.GatewayInfo.ManufacturerOUI", "02AB00");
    router.check("Device.GatewayInfo.SerialNumber", "SN42");
    router.check("Device.GatewayInfo.ProductClass", "Route");
    put(router.dir.path(), "var/run/rcwmp/dhcp/wan", "opt125=00000de9ff04\u{0}ä");
    router.model.refresh();
    router.check("Device.GatewayInfo.ManufacturerOUI", "");
}

#[test]
fn the_interface_stack_is_what_the_interfaces_say() {
    let mut router = router::router();
    let names: Vec<String> =
        router.model.params("Device.").unwrap().into_iter().map(|(name, _)| name).collect();
    let mut expected = BTreeSet::new();
    for name in names.iter().filter(|name| name.ends_with(".LowerLayers")) {
        let higher = name.trim_end_matches(".LowerLayers").to_owned();
        let value = router.value(name);
        expected.extend(
            value.split(',').filter(|word| !word.is_empty()).map(|low| (higher.clone(), low.to_owned())),
        );
    }
    assert!(expected.len() > 8, "{expected:?}");
    router.check("Device.InterfaceStackNumberOfEntries", &expected.len().to_string());
    let mut found = BTreeSet::new();
    for (row, _) in router.model.names("Device.InterfaceStack.", true).unwrap() {
        let pair = (router.value(&format!("{row}HigherLayer")), router.value(&format!("{row}LowerLayer")));
        let (higher, lower) =
            (router.value(&format!("{row}HigherAlias")), router.value(&format!("{row}LowerAlias")));
        router.check(&format!("{}.Alias", pair.0), &higher);
        router.check(&format!("{}.Alias", pair.1), &lower);
        found.insert(pair);
    }
    assert_eq!(found, expected);
    // A pair keeps its number while others come and go, and over a restart.
    let iptv = router.find("Device.IP.Interface.", "Name", "iptv");
    let row = router.find("Device.InterfaceStack.", "HigherLayer", iptv.trim_end_matches('.'));
    let count = expected.len();
    let lan = router.find("Device.IP.Interface.", "Name", "lan");
    router.set(&[(&format!("{lan}LowerLayers"), "")]);
    // The link that it stood on is gone too.
    let fewer: usize = router.value("Device.InterfaceStackNumberOfEntries").parse().unwrap();
    assert!(fewer < count, "{fewer}");
    let mut router = router.restart();
    router.check(&format!("{row}HigherLayer"), iptv.trim_end_matches('.'));
}

#[test]
fn nonsense_gives_defaults() {
    let mut router = router_with(&[
        ("etc/config/network", NETWORK),
        (
            "etc/config/dropbear",
            "config dropbear\n\toption Port 'many'\n\toption MaxAuthTries '-1'\n\nconfig dropbear\n\tlist Port '1'\n",
        ),
        (
            "etc/config/uhttpd",
            "config uhttpd 'main'\n\tlist listen_http ':'\n\toption listen_https '443'\n\tlist rcwmp_listen_http '///'\n",
        ),
        (
            "etc/config/ddns",
            "config service 'x'\n\toption enabled 'on'\n\toption check_interval '99999999999'\n\toption update_url '://'\n",
        ),
        ("etc/config/upnpd", "config upnpd 'config'\n\toption enabled 'perhaps'\n"),
        ("etc/config/luci", "config broken\n\toption '"),
        ("etc/dropbear/authorized_keys", "\u{0}\u{1}\n,,,\n"),
        ("etc/shadow", ":::\nroot\n"),
        ("var/run/ddns/x.pid", "-1"),
        ("var/run/ddns/x.update", "99999999999999999999"),
    ]);
    let names = router.model.names("Device.", false).unwrap();
    let values = router.model.values(["Device."]).unwrap();
    let params: Vec<&String> =
        names.iter().map(|(name, _)| name).filter(|name| !name.ends_with('.')).collect();
    assert_eq!(params, values.iter().map(|(name, _)| name).collect::<Vec<_>>());
    router.check("Device.SSH.Server.1.Port", "22");
    router.check("Device.SSH.Server.1.MaxAuthTries", "3");
    router.check("Device.DynamicDNS.Server.1.CheckInterval", "600");
    router.check("Device.DynamicDNS.Client.1.Status", "Error_Misconfigured");
    router.check("Device.UPnP.Device.Enable", "0");
    router.check("Device.UserInterface.HTTPAccess.2.Port", "443");
}

#[test]
fn leds_log_and_processors() {
    let system = "config system\n\toption hostname 'r'\n\toption log_ip '192.0.2.5'\n\toption log_size '64'\n\n\
                  config led 'led_wan'\n\toption name 'WAN'\n\toption sysfs 'green:wan'\n\toption trigger 'netdev'\n";
    let Router { dir, .. } = router_with(&[
        ("etc/config/network", NETWORK),
        ("etc/config/system", system),
        ("sys/class/leds/green:wan/trigger", "none timer [netdev]\n"),
        ("sys/class/leds/green:wan/brightness", "0\n"),
        ("sys/class/leds/green:wan/max_brightness", "255\n"),
        ("sys/class/leds/red:power/trigger", "[none] timer\n"),
        ("sys/class/leds/red:power/brightness", "0\n"),
        ("sys/class/leds/usb/trigger", "none [timer]\n"),
        ("sys/class/leds/usb/brightness", "1\n"),
        ("sys/class/leds/usb/delay_on", "100\n"),
        ("sys/class/leds/usb/delay_off", "900\n"),
        ("sys/class/leds/usb/multi_index", "red green blue\n"),
        ("sys/class/leds/usb/multi_intensity", "255 16 0\n"),
        ("proc/uptime", "5000.10 9000.00\n"),
        (
            "proc/stat",
            "cpu  200 0 200 500 100 0 0 0 0 0\ncpu0 100 0 100 250 50 0 0 0 0 0\ncpu1 50 50 100 300 0 0 0 0\nbad\n",
        ),
    ]);
    let procd =
        r#"{"log":{"instances":{"instance1":{"running":true,"pid":77,"command":["/sbin/logd","-S","64"]}}}}"#;
    let procd = Programs::start(&[("service", "list", says_json(procd))]);
    let mut router = open_with(dir, Some(procd.socket()));
    for (name, value) in [
        ("LEDs.LEDNumberOfEntries", "3"),
        ("LEDs.LED.1.CyclePeriodRepetitions", "0"),
        ("LEDs.LED.1.CycleElementNumberOfEntries", "0"),
        ("LEDs.LED.1.CurrentCycleElement.CycleElementReference", ""),
        ("LEDs.LED.1.CurrentCycleElement.Color", "000000"),
        ("LEDs.LED.3.CyclePeriodRepetitions", "-1"),
        ("LEDs.LED.3.CycleElement.1.Color", "FF1000"),
        ("LEDs.LED.3.CycleElement.1.Duration", "100"),
        ("LEDs.LED.3.CycleElement.2.Order", "2"),
        ("LEDs.LED.3.CycleElement.2.Duration", "900"),
        ("LEDs.LED.3.CurrentCycleElement.CycleElementReference", "Device.LEDs.LED.3.CycleElement.1"),
        ("LEDs.LED.3.CurrentCycleElement.Color", "FF1000"),
        ("LEDs.LED.3.CurrentCycleElement.Duration", "100"),
        ("LEDs.LED.1.Name", "green:wan"),
        ("LEDs.LED.1.Status", "InUse"),
        ("LEDs.LED.1.Reason", "WAN"),
        ("LEDs.LED.1.MaxBrightness", "255"),
        ("LEDs.LED.2.Status", "Disabled"),
        ("LEDs.LED.2.Enable", "0"),
        ("Syslog.Enable", "1"),
        ("Syslog.Status", "Enabled"),
        ("Syslog.Action.1.SourceRef", "Device.Syslog.Source.1"),
        ("Syslog.Action.1.LogFile.Enable", "0"),
        ("Syslog.Action.1.LogFile.VendorLogFileRef", "Device.DeviceInfo.VendorLogFile.1"),
        ("Syslog.Action.1.LogRemote.Enable", "1"),
        ("Syslog.Action.1.LogRemote.Status", "Enabled"),
        ("Syslog.Action.1.LogRemote.Address", "192.0.2.5"),
        ("Syslog.Action.1.LogRemote.Protocol", "UDP"),
        ("Syslog.Action.1.LogRemote.Port", "514"),
        ("DeviceInfo.ProcessStatus.CPUNumberOfEntries", "2"),
        ("DeviceInfo.ProcessStatus.CPU.1.Name", "cpu0"),
        ("DeviceInfo.ProcessStatus.CPU.1.UserModeUtilization", "20"),
        ("DeviceInfo.ProcessStatus.CPU.1.SystemModeUtilization", "20"),
        ("DeviceInfo.ProcessStatus.CPU.1.IdleModeUtilization", "60"),
        ("DeviceInfo.ProcessStatus.CPU.1.CPUUtilization", "40"),
        ("DeviceInfo.ProcessStatus.CPU.1.UpTime", "5000"),
        ("DeviceInfo.SupportedDataModel.1.URN", "urn:broadband-forum-org:tr-181-2-19-1"),
    ] {
        router.check(&format!("Device.{name}"), value);
    }
    let remote = "Device.Syslog.Action.1.LogRemote.";
    router.set(&[
        (&format!("{remote}Protocol"), "TCP"),
        (&format!("{remote}Port"), "6514"),
        ("Device.Syslog.Action.1.LogFile.FilePath", "/tmp/log/messages"),
    ]);
    router.has(
        "system",
        &["option log_proto 'tcp'", "option log_port '6514'", "option log_file '/tmp/log/messages'"],
    );
    router.check("Device.Syslog.Action.1.LogFile.Enable", "1");
    router.set(&[(&format!("{remote}Enable"), "0")]);
    router.check(&format!("{remote}Status"), "Disabled");
    for bad in ["messages", "/tmp/../etc/passwd", "/tmp/a\nb"] {
        assert!(router.try_set(&[("Device.Syslog.Action.1.LogFile.FilePath", bad)]).is_err(), "{bad}");
    }
}

/// All of the tree on every published configuration, with the defaults of packages beside it: what is listed is
/// what is given, and no table fails.
#[test]
fn published_routers() {
    let samples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/router-samples/etc-config"));
    let Ok(sets) = fs::read_dir(samples) else {
        eprintln!("skipped: ../shared not present");
        return;
    };
    let files = |dir: &Path| -> Vec<(String, String)> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        let files = entries.filter(|entry| entry.path().is_file()).map(|entry| {
            let name = format!("etc/config/{}", entry.file_name().into_string().unwrap());
            (name, fs::read_to_string(entry.path()).unwrap())
        });
        files.collect()
    };
    let defaults = files(&samples.join("package-defaults"));
    let (mut listeners, mut servers) = (0, 0);
    for set in sets.map(|entry| entry.unwrap().path()).filter(|set| set.is_dir()) {
        let mut all: Vec<(String, String)> = defaults.clone();
        for (name, text) in files(&set) {
            all.retain(|(other, _)| *other != name);
            all.push((name, text));
        }
        let all: Vec<(&str, &str)> = all.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut router = router_with(&all);
        let names = router.model.names("Device.", false).unwrap();
        let params: Vec<&String> =
            names.iter().map(|(name, _)| name).filter(|name| !name.ends_with('.')).collect();
        let values = router.model.values(["Device."]).unwrap();
        assert_eq!(params, values.iter().map(|(name, _)| name).collect::<Vec<_>>(), "{}", set.display());
        for complaint in router.model.complaints() {
            assert!(complaint.contains(" is not a"), "{}: {complaint}", set.display());
        }
        let mut number = |name: &str| router.value(name).parse::<u32>().unwrap();
        listeners += number("Device.UserInterface.HTTPAccessNumberOfEntries");
        servers += number("Device.SSH.ServerNumberOfEntries");
        assert!(number("Device.DynamicDNS.ClientNumberOfEntries") >= 2, "{}", set.display());
    }
    assert!(listeners > 10 && servers > 5, "{listeners} {servers}");
}
