//! Wi-Fi over ubus: published answers of netifd, hostapd and iwinfo become values of TR-181; each is asked for
//! once a session, and whoever is absent, silent or talks nonsense leaves the documented defaults.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/bus.rs"]
mod bus;
#[path = "support/router.rs"]
mod router;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use bus::{Bus, Offers, sample};
use rcwmp::backend::functions::stations;
use rcwmp::model::date::{self, Moment};
use rcwmp::sys::clock::epoch_seconds;
use rcwmp::ubus::msg::Status;
use rcwmp::uci::text::generated_name;
use router::{Router, open_with, put};

const RADIO: &str = "Device.WiFi.Radio.1.";
const SSID: &str = "Device.WiFi.SSID.1.";
const AP: &str = "Device.WiFi.AccessPoint.1.";
const STATION: &str = "Device.WiFi.AccessPoint.1.AssociatedDevice.1.";

/// Two radios with an access point each, as in most of the samples.
const WIRELESS: &str = "
config wifi-device 'radio0'
	option band '2g'
	option channel 'auto'
	option htmode 'HE20'
	option path 'platform/18000000.wifi'

config wifi-iface 'default_radio0'
	option device 'radio0'
	option mode 'ap'
	option ssid 'ExampleNet'

config wifi-device 'radio1'
	option band '5g'
	option channel '36'
	option htmode 'VHT80'

config wifi-iface 'default_radio1'
	option device 'radio1'
	option mode 'ap'
	option ssid 'ExampleNet-5G'
";

/// A station on the one radio.
const CLIENT: &str = "
config wifi-device 'radio0'
	option band '5g'
	option channel 'auto'
	option htmode 'VHT80'

config wifi-iface 'wwan'
	option device 'radio0'
	option mode 'sta'
	option ssid 'open-campus'
";

/// netifd's answer for [`WIRELESS`] with devices `ap0` and `ap1`, and for [`CLIENT`] with `sta0`.
fn netifd(radio: &str) -> String {
    format!(
        r#"{{"radio0":{{"up":true,{radio}"interfaces":[
            {{"section":"default_radio0","ifname":"ap0","config":{{"mode":"ap","ssid":"ExampleNet"}}}},
            {{"section":"wwan","ifname":"sta0","config":{{"mode":"sta"}}}}]}},
          "radio1":{{"up":true,"interfaces":[{{"section":"default_radio1","ifname":"ap1"}}]}}}}"#
    )
}

fn netdev(root: &Path, name: &str) {
    let base = format!("sys/class/net/{name}");
    put(root, &format!("{base}/operstate"), "up\n");
    put(root, &format!("{base}/address"), "02:00:00:00:00:11\n");
    put(root, &format!("{base}/statistics/tx_bytes"), "77\n");
    std::fs::create_dir_all(root.join("sys/class/ieee80211/phy9")).unwrap();
    put(root, "sys/class/ieee80211/phy9/name", "phy9\n");
    symlink("../../ieee80211/phy9", root.join(base).join("phy80211")).unwrap();
}

/// A router with this configuration and these network devices.
fn over(bus: &Bus, wireless: &str, devices: &[&str]) -> Router {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "etc/config/wireless", wireless);
    for device in devices {
        netdev(dir.path(), device);
    }
    open_with(dir, Some(bus.socket()))
}

#[track_caller]
fn check(router: &mut Router, base: &str, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        router.check(&format!("{base}{name}"), value);
    }
}

/// The configuration that a sample of `network.wireless status` came from: radios, then networks.
fn configuration(radios: &[&str], networks: &[(&str, &str, &str)]) -> String {
    let mut text = String::new();
    for radio in radios {
        write!(text, "config wifi-device '{radio}'\n\toption channel 'auto'\n").unwrap();
    }
    for (name, radio, mode) in networks {
        write!(text, "config wifi-iface '{name}'\n\toption device '{radio}'\n\toption mode '{mode}'\n")
            .unwrap();
    }
    text
}

#[test]
fn devices_of_networks() {
    let two = [("default_radio0", "radio0", "ap"), ("default_radio1", "radio1", "ap")];
    let mesh = [
        ("wifi_mesh0", "radio0", "mesh"),
        ("wifi_wlan0", "radio0", "ap"),
        ("wifi_wlan1", "radio1", "ap"),
        ("wifi_wlan2", "radio1", "ap"),
    ];
    for (name, radios, networks, devices) in [
        ("ax6000-25.12", 3, &two[..], &["phy1-ap0", "phy2-ap0"][..]),
        ("mt7622-23.05", 2, &two, &["wl0-ap0", "wl1-ap0"]),
        ("mt7986-25.12", 2, &two, &["phy0-ap0", "phy1-ap0"]),
        ("mesh-21.02", 2, &mesh, &["wlan0", "wlan1", "wlan2"]),
    ] {
        let answer = sample(&format!("network.wireless.status-{name}"));
        let bus = Offers::new().says("network.wireless", "status", &answer).start();
        let wireless = configuration(&["radio0", "radio1", "radio2"][..radios], networks);
        let mut router = over(&bus, &wireless, devices);
        router.check("Device.WiFi.SSIDNumberOfEntries", &devices.len().to_string());
        for (nth, device) in devices.iter().enumerate() {
            let ssid = format!("Device.WiFi.SSID.{}.", nth + 1);
            check(&mut router, &ssid, &[("Name", device), ("Status", "Up"), ("Stats.BytesSent", "77")]);
            router.check(&format!("Device.WiFi.AccessPoint.{}.Status", nth + 1), "Enabled");
        }
        for radio in 1..=radios {
            router.check(&format!("Device.WiFi.Radio.{radio}.Status"), "Up");
        }
    }
}

#[test]
fn without_radios_the_kernel_tells() {
    let bus = Offers::new().says("network.wireless", "status", "{}").start();
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "etc/config/wireless", &WIRELESS.replace("option path", "option phy 'phy9'\n#"));
    netdev(dir.path(), "phy9-ap0");
    let mut router = open_with(dir, Some(bus.socket()));
    check(&mut router, SSID, &[("Name", "phy9-ap0"), ("Status", "Up")]);
    check(&mut router, RADIO, &[("Status", "Up")]);
    router.check("Device.WiFi.Radio.2.Status", "NotPresent");
}

#[test]
fn sections_without_names() {
    let wireless = WIRELESS.replace(" 'default_radio0'", "").replace(" 'default_radio1'", "");
    let (first, second) = (generated_name(2, "wifi-iface"), generated_name(4, "wifi-iface"));
    let answer = sample("network.wireless.status-ax6000-25.12")
        .replace("default_radio0", &first)
        .replace("default_radio1", &second);
    let bus = Offers::new().says("network.wireless", "status", &answer).start();
    let mut router = over(&bus, &wireless, &["phy1-ap0", "phy2-ap0"]);
    router.check("Device.WiFi.SSID.1.Name", "phy1-ap0");
    router.check("Device.WiFi.SSID.2.Name", "phy2-ap0");
    // The names have moved since netifd read them: nobody gets another's device.
    let answer = answer.replace(&first, "cfg990000").replace(&second, &first);
    bus.now_says("network.wireless", "status", &answer);
    router.model.refresh();
    router.check("Device.WiFi.SSID.1.Status", "Down");
    router.check("Device.WiFi.SSID.2.Status", "Down");
}

#[test]
fn states() {
    let bus = Offers::new()
        .says("network.wireless", "status", &netifd(""))
        .says("hostapd.ap0", "get_status", &sample("hostapd.get_status-22.03"))
        .start();
    let mut router = over(&bus, WIRELESS, &["ap0"]);
    check(&mut router, SSID, &[("BSSID", "02:00:00:00:01:1b"), ("MACAddress", "02:00:00:00:00:11")]);
    // netifd's word for radio0's first network is replaced, then hostapd's.
    for (radio, hostapd, expected) in [
        (r#""disabled":false,"#, "ENABLED", ["Up", "Up", "Enabled"]),
        ("", "DFS", ["Up", "Dormant", "Disabled"]),
        ("", "DISABLED", ["Up", "Down", "Disabled"]),
        ("", "A_WORD_OF_TOMORROW", ["Up", "Up", "Enabled"]),
    ] {
        bus.now_says("network.wireless", "status", &netifd(radio));
        bus.now_says("hostapd.ap0", "get_status", &format!(r#"{{"status":"{hostapd}"}}"#));
        router.model.refresh();
        router.check(&format!("{RADIO}Status"), expected[0]);
        router.check(&format!("{SSID}Status"), expected[1]);
        router.check(&format!("{AP}Status"), expected[2]);
    }
    for (radio, expected) in [
        (r#""up":false,"pending":true,"retry_setup_failed":false"#, ["Dormant", "Down", "Disabled"]),
        (r#""up":false,"disabled":true"#, ["Down", "Down", "Disabled"]),
        (r#""up":false,"retry_setup_failed":true"#, ["NotPresent", "LowerLayerDown", "Error"]),
    ] {
        let answer = format!(
            r#"{{"radio0":{{{radio},"interfaces":[{{"section":"default_radio0","config":{{}}}}]}}}}"#
        );
        bus.now_says("network.wireless", "status", &answer);
        router.model.refresh();
        router.check(&format!("{RADIO}Status"), expected[0]);
        router.check(&format!("{SSID}Status"), expected[1]);
        router.check(&format!("{AP}Status"), expected[2]);
    }
    put(router.dir.path(), "sys/devices/platform/18000000.wifi/ieee80211/phy0/name", "phy0\n");
    router.model.refresh();
    router.check(&format!("{RADIO}Status"), "Error");
    // Switched off in the configuration, whatever runs.
    bus.now_says("network.wireless", "status", &netifd(""));
    router.model.refresh();
    router.set(&[(&format!("{RADIO}Enable"), "0"), (&format!("{AP}Enable"), "0")]);
    check(&mut router, RADIO, &[("Status", "Down")]);
    check(&mut router, AP, &[("Status", "Disabled")]);
}

fn iwinfo(offers: Offers, device: &str, info: &str) -> Offers {
    let to = format!(r#"{{"device":"{device}"}}"#);
    offers
        .says_to("iwinfo", "info", &to, &sample(&format!("iwinfo.info-{info}")))
        .says_to("iwinfo", "freqlist", &to, &sample("iwinfo.freqlist.derived"))
        .says_to("iwinfo", "txpowerlist", &to, &sample("iwinfo.txpowerlist.derived"))
}

#[test]
fn the_radio_of_an_access_point() {
    let offers = Offers::new().says("network.wireless", "status", &netifd(""));
    let bus = iwinfo(offers, "ap0", "ap-25.12").start();
    let mut router = over(&bus, WIRELESS, &["ap0", "ap1"]);
    check(
        &mut router,
        RADIO,
        &[
            ("Channel", "1"),
            ("ChannelsInUse", "1"),
            ("PossibleChannels", "1,13"),
            ("AutoChannelEnable", "1"),
            ("OperatingFrequencyBand", "2.4GHz"),
            ("SupportedFrequencyBands", "2.4GHz,5GHz,6GHz"),
            ("SupportedStandards", "b,g,n,ax"),
            ("SupportedOperatingChannelBandwidths", "20MHz,40MHz"),
            ("CurrentOperatingChannelBandwidth", "20MHz"),
            ("MaxBitRate", "286"),
            ("TransmitPowerSupported", "-1,1,5,50,100"),
            ("TransmitPower", "-1"),
            ("Stats.Noise", "-79"),
        ],
    );
    // Written and read back; -1 takes the option away.
    let at = |name: &str| format!("{RADIO}{name}");
    for (percent, line) in [("50", "option txpower '20'"), ("1", "option txpower '0'")] {
        router.set(&[(&at("TransmitPower"), percent)]);
        router.has("wireless", &[line]);
    }
    router.set(&[(&at("TransmitPower"), "-1")]);
    assert!(router.config("wireless").iter().all(|line| !line.contains("txpower")));
    let refused = router.try_set(&[(&at("TransmitPower"), "51")]).unwrap_err();
    assert!(refused.contains("TransmitPowerSupported"), "{refused}");
    // The chosen channel stays when the radio no longer chooses.
    router.set(&[(&at("AutoChannelEnable"), "0")]);
    router.has("wireless", &["option channel '1'"]);
    router.set(&[(&at("Channel"), "11"), (&at("OperatingChannelBandwidth"), "40MHz")]);
    check(&mut router, RADIO, &[("ChannelsInUse", "1"), ("CurrentOperatingChannelBandwidth", "20MHz")]);
    // Nobody tells of the other one.
    check(
        &mut router,
        "Device.WiFi.Radio.2.",
        &[
            ("Channel", "36"),
            ("ChannelsInUse", ""),
            ("PossibleChannels", ""),
            ("SupportedFrequencyBands", "5GHz"),
            ("CurrentOperatingChannelBandwidth", "80MHz"),
            ("MaxBitRate", "433"),
            ("TransmitPowerSupported", "-1"),
            ("TransmitPower", "-1"),
            ("Stats.Noise", "0"),
        ],
    );
}

#[test]
fn a_station_and_its_radio() {
    let offers = Offers::new().says("network.wireless", "status", &netifd(""));
    let bus = iwinfo(offers, "ap0", "ap-25.12")
        .says_to("iwinfo", "info", r#"{"device":"sta0"}"#, &sample("iwinfo.info-sta-open-25.12"))
        .says_to("iwinfo", "assoclist", r#"{"device":"sta0"}"#, r#"{"results":[]}"#)
        .start();
    // The radio is asked by its access point's device, which is not there now.
    bus.now_says("iwinfo", "info", &sample("iwinfo.info-sta-open-25.12"));
    let mut router = over(&bus, CLIENT, &["sta0"]);
    check(
        &mut router,
        RADIO,
        &[
            ("Channel", "52"),
            ("SupportedStandards", "a,n,ac,ax"),
            ("CurrentOperatingChannelBandwidth", "80MHz"),
            ("MaxBitRate", "1201"),
            ("Stats.Noise", "-91"),
            ("Upstream", "1"),
        ],
    );
    check(
        &mut router,
        SSID,
        &[("Name", "sta0"), ("BSSID", "02:00:5e:00:53:00"), ("MACAddress", "02:00:00:00:00:11")],
    );
    let end = "Device.WiFi.EndPoint.1.";
    // No rate is told yet, and TR-181 has none below this.
    check(
        &mut router,
        end,
        &[
            ("Status", "Enabled"),
            ("Stats.SignalStrength", "-52"),
            ("Stats.LastDataDownlinkRate", "1000"),
            ("Stats.LastDataUplinkRate", "1000"),
        ],
    );
    bus.now_says("iwinfo", "assoclist", &sample("iwinfo.assoclist-he-eht.derived"));
    router.model.refresh();
    check(
        &mut router,
        end,
        &[
            ("Stats.SignalStrength", "-49"),
            // 1200900 and 2882300 are above the end of TR-181's range.
            ("Stats.LastDataDownlinkRate", "600000"),
            ("Stats.LastDataUplinkRate", "600000"),
            ("Stats.Retransmissions", "0"),
        ],
    );
    bus.now_says("iwinfo", "assoclist", &sample("iwinfo.assoclist-legacy-sta-21.02"));
    router.model.refresh();
    check(
        &mut router,
        end,
        &[
            ("Stats.LastDataDownlinkRate", "2000"),
            ("Stats.LastDataUplinkRate", "54000"),
            ("Stats.Retransmissions", "19"),
        ],
    );
}

#[test]
fn the_radio_of_a_mesh() {
    let wireless = configuration(&["radio0", "radio1"], &[("wifi_mesh0", "radio0", "mesh")]);
    let offers =
        Offers::new().says("network.wireless", "status", &sample("network.wireless.status-mesh-21.02"));
    // The radio's access point comes first, and its mesh where it has none.
    let bus = iwinfo(iwinfo(offers, "wlan0", "mesh-2g"), "wlan1", "mesh-5g").start();
    let mut router = over(&bus, &wireless, &["mesh0", "wlan0", "wlan1"]);
    check(
        &mut router,
        RADIO,
        &[
            ("Channel", "11"),
            ("OperatingFrequencyBand", "2.4GHz"),
            ("SupportedStandards", "b,g,n"),
            ("MaxBitRate", "150"),
            ("Stats.Noise", "0"),
        ],
    );
    check(
        &mut router,
        "Device.WiFi.Radio.2.",
        &[
            ("Channel", "40"),
            ("OperatingFrequencyBand", "5GHz"),
            ("PossibleChannels", ""),
            ("MaxBitRate", "866"),
            ("CurrentOperatingChannelBandwidth", "80MHz"),
            ("Stats.Noise", "-87"),
        ],
    );
    router.check("Device.WiFi.SSIDNumberOfEntries", "0");
}

/// The first access point with these answers of `get_clients` and `assoclist`.
fn access_point(clients: Option<&str>, list: Option<&str>) -> (Bus, Router) {
    let mut offers = Offers::new().says("network.wireless", "status", &netifd(""));
    if let Some(clients) = clients {
        offers =
            offers.says("hostapd.ap0", "get_clients", &sample(&format!("hostapd.get_clients-{clients}")));
    }
    if let Some(list) = list {
        let list = sample(&format!("iwinfo.assoclist-{list}"));
        offers = offers.says_to("iwinfo", "assoclist", r#"{"device":"ap0"}"#, &list);
    }
    let bus = offers.start();
    let router = over(&bus, WIRELESS, &["ap0", "ap1"]);
    (bus, router)
}

/// Of every station of the first access point the values of these names.
fn stations(router: &mut Router, names: &str) -> Vec<String> {
    let count: u32 = router.value(&format!("{AP}AssociatedDeviceNumberOfEntries")).parse().unwrap();
    let one = |n: u32, router: &mut Router| {
        let values: Vec<String> =
            names.split(' ').map(|name| router.value(&format!("{AP}AssociatedDevice.{n}.{name}"))).collect();
        values.join(" ")
    };
    (1..=count).map(|n| one(n, router)).collect()
}

#[test]
fn stations_of_the_driver() {
    let names = "MACAddress OperatingStandard LastDataDownlinkRate LastDataUplinkRate SignalStrength Noise SNR \
                 Retransmissions Stats.BytesSent Stats.BytesReceived Stats.PacketsSent Stats.PacketsReceived \
                 Stats.ErrorsSent Stats.RetransCount Stats.FailedRetransCount AuthenticationState Active";
    for (sample, expected) in [
        (
            "he-eht.derived",
            &[
                "02:00:00:00:00:31 be 2882300 1200900 -49 -91 42 0 1700000000 5000000000 1200345 912345 0 312 0 1 1",
            ][..],
        ),
        ("legacy-rate", &["02:00:00:00:01:0c g 6000 6000 -3 0 0 0 2582 2767915 57 26932 0 0 0 1 1"]),
        (
            "legacy-sta-21.02",
            &["02:00:00:00:01:1f g 54000 2000 -54 -95 41 19 584463 12398480 6538 493905 17 1299 17 1 1"],
        ),
        // A mesh point without an address is no station.
        ("mesh-2g", &[]),
        ("mesh-5g", &[]),
        (
            "mwlwifi-25.12",
            &[
                "02:00:00:00:01:1d n 144400 144400 -48 -95 47 0 747875 315537 1184 1298 0 0 0 1 1",
                "02:00:00:00:01:1e n 195000 130000 -67 -95 28 3 980000 512000 5522 4210 3 214 3 1 1",
            ],
        ),
    ] {
        let (_bus, mut router) = access_point(None, Some(sample));
        assert_eq!(stations(&mut router, names), expected, "{sample}");
    }
    let (_bus, mut router) = access_point(None, Some("mwlwifi-25.12"));
    let since = router.value(&format!("{STATION}AssociationTime"));
    let Some(Moment::At(since)) = date::parse(&since) else { panic!("{since}") };
    assert!((epoch_seconds() - 53 - since).abs() < 30, "{since}");
}

#[test]
fn stations_of_hostapd() {
    let names = "MACAddress OperatingStandard LastDataDownlinkRate LastDataUplinkRate SignalStrength \
                 Stats.BytesSent Stats.PacketsReceived AuthenticationState Active AssociationTime";
    let unknown = "0001-01-01T00:00:00Z";
    for (sample, expected) in [
        (
            "2g-23.05",
            &[
                "02:00:00:00:01:19 n 72200 58500 -53 42530904 294391 1 1",
                "02:00:00:00:01:1a n 130000 144400 -49 892327623 317275 1 1",
            ][..],
        ),
        ("he-23.05", &["11:22:33:44:55:66 n 86700 43300 -82 27379187 6190 1 1"]),
        ("vht-21.02", &["02:00:00:00:01:18 ac 866700 866700 -50 746805 3587 1 1"]),
        (
            // On 2.4 GHz, by the configuration.
            "map-openwisp",
            &["02:00:00:00:01:0d n 1000 1000 0 0 0 1 1", "02:00:00:00:01:0e n 1000 1000 0 0 0 1 1"],
        ),
        ("empty", &[]),
    ] {
        let (_bus, mut router) = access_point(Some(sample), None);
        let expected: Vec<String> = expected.iter().map(|one| format!("{one} {unknown}")).collect();
        assert_eq!(stations(&mut router, names), expected, "{sample}");
    }
    // A build without the mark of the new unit.
    let (bus, mut router) = access_point(Some("2g-23.05"), None);
    bus.now_says(
        "hostapd.ap0",
        "get_clients",
        &sample("hostapd.get_clients-2g-23.05").replace("\"mbo\"", "\"x\""),
    );
    put(router.dir.path(), "etc/openwrt_release", "DISTRIB_ID='OpenWrt'\nDISTRIB_RELEASE='24.10.1'\n");
    router.model.refresh();
    router.check(&format!("{STATION}LastDataDownlinkRate"), "72200");
    put(router.dir.path(), "etc/openwrt_release", "DISTRIB_RELEASE='22.03.7'\n");
    router.model.refresh();
    router.check(&format!("{STATION}LastDataDownlinkRate"), "7220000");
}

#[test]
fn stations_of_both() {
    let (bus, mut router) = access_point(Some("vht-21.02"), Some("mwlwifi-25.12"));
    let both = sample("iwinfo.assoclist-mwlwifi-25.12").replace("02:00:00:00:01:1E", "02:00:00:00:01:18");
    bus.now_says("iwinfo", "assoclist", &both);
    put(router.dir.path(), "tmp/dhcp.leases", "0 02:00:00:00:01:18 192.168.1.9 tablet *\n");
    router.model.refresh();
    let names = "MACAddress OperatingStandard LastDataDownlinkRate SignalStrength";
    assert_eq!(
        stations(&mut router, names),
        ["02:00:00:00:01:18 ac 195000 -67", "02:00:00:00:01:1d n 144400 -48"]
    );
    let places = stations::all(router.model.backend()).unwrap();
    let places: Vec<String> = places
        .iter()
        .map(|(mac, at)| format!("{mac} {} {} {}", at.access_point, at.device, at.radio))
        .collect();
    assert_eq!(
        places,
        ["02:00:00:00:01:18 default_radio0 ap0 radio0", "02:00:00:00:01:1d default_radio0 ap0 radio0"]
    );
    let host = "Device.Hosts.Host.1.AssociatedDevice";
    router.check(host, "Device.WiFi.AccessPoint.1.AssociatedDevice.1");
    for (name, value) in
        [("Layer1Interface", "Device.WiFi.Radio.1"), ("InterfaceType", "Wi-Fi"), ("Active", "1")]
    {
        router.check(&format!("Device.Hosts.Host.1.{name}"), value);
    }
    // The other one keeps its number when the first goes, and the reference goes with it.
    bus.now_says("hostapd.ap0", "get_clients", "{}");
    bus.now_says("iwinfo", "assoclist", &sample("iwinfo.assoclist-mwlwifi-25.12"));
    router.model.refresh();
    let second = "Device.WiFi.AccessPoint.1.AssociatedDevice.2.MACAddress";
    router.check(second, "02:00:00:00:01:1d");
    router.check(host, "");
    assert_eq!(router.try_value("Device.WiFi.AccessPoint.1.AssociatedDevice.1.MACAddress"), None);
}

/// Every object that this area asks.
fn all(answers: impl Fn(Offers, &str, &str) -> Offers) -> Bus {
    let mut offers = Offers::new();
    for (object, methods) in [
        ("network.wireless", &["status"][..]),
        ("hostapd.ap0", &["get_status", "get_clients"]),
        ("hostapd.ap1", &["get_status", "get_clients"]),
        ("iwinfo", &["info", "freqlist", "txpowerlist", "assoclist"]),
    ] {
        for method in methods {
            offers = answers(offers, object, method);
        }
    }
    offers.start()
}

#[test]
fn every_question_once_a_session() {
    let bus = all(|offers, object, method| {
        let answer = match (object, method) {
            ("network.wireless", _) => netifd(""),
            ("iwinfo", "info") => sample("iwinfo.info-ap-25.12"),
            ("iwinfo", "assoclist") => sample("iwinfo.assoclist-mwlwifi-25.12"),
            ("iwinfo", "freqlist") => sample("iwinfo.freqlist.derived"),
            ("iwinfo", "txpowerlist") => sample("iwinfo.txpowerlist.derived"),
            (_, "get_status") => sample("hostapd.get_status-22.03"),
            _ => sample("hostapd.get_clients-2g-23.05"),
        };
        offers.says(object, method, &answer)
    });
    let mut router = over(&bus, WIRELESS, &["ap0", "ap1"]);
    for _ in 0..2 {
        router.model.refresh();
        let names: Vec<String> =
            router.model.params("Device.").unwrap().into_iter().map(|(name, _)| name).collect();
        for _ in 0..2 {
            let values = router.model.values(["Device."]).unwrap();
            assert!(values.iter().map(|(name, _)| name).eq(&names), "what is listed is not what is read");
        }
        let calls = bus.take_calls();
        let unique: HashSet<&String> = calls.iter().collect();
        assert_eq!(unique.len(), calls.len(), "{calls:#?}");
        let wifi = calls.iter().filter(|call| {
            ["network.wireless", "hostapd.", "iwinfo "].iter().any(|object| call.starts_with(object))
        });
        // Status once; of each of two devices: status and clients, and the four of iwinfo.
        assert_eq!(wifi.count(), 1 + 2 * (2 + 4), "{calls:#?}");
    }
    assert_eq!(router.model.backend().take_complaints(), [""; 0]);
}

/// What the kernel and the configuration tell without anybody on ubus.
fn check_defaults(router: &mut Router) {
    check(
        router,
        RADIO,
        &[
            ("Channel", "1"),
            ("ChannelsInUse", ""),
            ("PossibleChannels", ""),
            ("SupportedFrequencyBands", "2.4GHz"),
            ("CurrentOperatingChannelBandwidth", "20MHz"),
            ("MaxBitRate", "143"),
            ("TransmitPower", "-1"),
            ("Stats.Noise", "0"),
        ],
    );
    check(router, AP, &[("AssociatedDeviceNumberOfEntries", "0")]);
    router.model.values(["Device."]).unwrap();
}

#[test]
fn nobody_answers() {
    let bus = Offers::new().says("system", "board", "{}").start();
    let mut router = over(&bus, WIRELESS, &[]);
    check_defaults(&mut router);
    router.check(&format!("{RADIO}Status"), "NotPresent");

    let bus = all(|offers, object, method| offers.refuses(object, method, Status::PermissionDenied));
    let mut router = over(&bus, WIRELESS, &[]);
    check_defaults(&mut router);
    let complaints = router.model.backend().take_complaints();
    assert!(complaints.iter().any(|why| why.contains("Permission denied")), "{complaints:?}");

    let bus = all(|offers, object, method| offers.keeps_silent_on(object, method));
    let mut router = over(&bus, WIRELESS, &["ap0"]);
    let start = Instant::now();
    check_defaults(&mut router);
    router.model.refresh();
    check_defaults(&mut router);
    // netifd and iwinfo hold up one session for two seconds each.
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());

    let bus = all(|offers, object, method| match object {
        "network.wireless" => offers.says(object, method, &netifd("")),
        "iwinfo" => offers.says(object, method, "{}"),
        _ => offers.keeps_silent_on(object, method),
    });
    let mut router = over(&bus, WIRELESS, &["ap0", "ap1"]);
    let start = Instant::now();
    check_defaults(&mut router);
    // A hostapd that hangs does so once, however many access points it has.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    let asked = bus.take_calls().into_iter().filter(|call| call.starts_with("hostapd"));
    assert_eq!(asked.count(), 1);
    check(&mut router, AP, &[("Status", "Enabled")]);
}

#[test]
fn nonsense() {
    let huge = format!(
        r#"{{"results":[{}]}}"#,
        (0..3000)
            .map(|n| format!(
                r#"{{"mac":"02:00:00:00:{:02x}:{:02x}","channel":{n},"mhz":{n},"mw":{n},"dbm":{n}}}"#,
                n / 256,
                n % 256
            ))
            .collect::<Vec<_>>()
            .join(",")
    );
    let numbers = r#"{"channel":-1,"frequency":99999999999,"noise":"loud","htmode":"HE99999999999999",
        "htmodes":[1,"","VHT\u00e9"],"hwmodes":{"a":1},"bssid":"not one","status":[],"clients":{"ssid":"\u0007"},
        "results":[{"mac":5},{"mac":"\u0007"},{"mac":"02:00:00:00:00:01","signal":1e99,"connected_time":9223372036854775807,
        "tx":{"rate":9223372036854775807,"bytes":-1,"retries":9223372036854775807,"packets":1}}]}"#;
    for answer in [
        "{}".to_owned(),
        r#"{"results":7,"clients":[],"channel":"one","htmode":true}"#.to_owned(),
        numbers.to_owned(),
        huge,
        r#"{"radio0":[],"radio1":{"interfaces":{"section":1}}}"#.to_owned(),
        r#"{"radio0":{"up":"yes","interfaces":[1,{"section":"default_radio0","ifname":"../../etc"},{"section":7}]}}"#
            .to_owned(),
    ] {
        let bus = all(|offers, object, method| match object {
            "network.wireless" => offers.says(object, method, &netifd("")),
            _ => offers.says(object, method, &answer),
        });
        let mut router = over(&bus, WIRELESS, &["ap0", "ap1"]);
        for _ in 0..2 {
            let values = router.model.values(["Device.WiFi."]).unwrap();
            assert!(values.len() < 40_000);
            let schema = router.model.schema().clone();
            for (name, value) in values {
                let path = rcwmp::model::path::Path::parse(&name).unwrap().schema_path();
                let (object, last) = path.rsplit_once('.').unwrap();
                let param =
                    *schema.objects()[schema.find(&format!("{object}.")).unwrap()].param(last).unwrap();
                if !value.text.is_empty() {
                    assert_eq!(param.ty.canonical(&value.text).as_deref(), Ok(value.text.as_str()), "{name}");
                }
            }
            // netifd's own answer is nonsense next.
            bus.now_says("network.wireless", "status", &answer);
            router.model.refresh();
        }
    }
}
