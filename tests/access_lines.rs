//! Lines to the provider through the whole model: DSL as its control program tells it, ATM bridges, modems.
#![cfg(feature = "lab")]
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/router.rs"]
mod router;

use std::fs;

use programs::{Programs, says, says_json};
use router::{Router, open_with, put, router_with};

/// The ATM part is that of a router with 19.07; the modem that of one with 24.10.
const NETWORK: &str = "
config atm-bridge 'atm'
	option vpi '1'
	option vci '32'
	option encaps 'llc'
	option payload 'bridged'
	option nameprefix 'dsl'

config dsl 'dsl'
	option annex 'b'

config interface 'wan'
	option proto 'pppoe'
	option device 'dsl0.101'

config interface 'wwan'
	option proto 'qmi'
	option device '/dev/cdc-wdm0'
	option apn 'internet.example'
	option pdptype 'ipv4v6'
	option auto '0'

config interface 'mm'
	option proto 'modemmanager'
	option device '/sys/devices/platform/usb1/1-1'
	option iptype 'ipv4'
	option plmn '26201'
";

fn router(programs: Option<&Programs>, network: &str) -> Router {
    let Router { dir, model } = router_with(&[("etc/config/network", network)]);
    drop(model);
    for (file, text) in [
        ("address", "02:00:00:00:01:2f\n"),
        ("operstate", "up\n"),
        ("type", "1\n"),
        ("statistics/tx_bytes", "77\n"),
        ("statistics/rx_errors", "4294967300\n"),
    ] {
        put(dir.path(), &format!("sys/class/net/dsl0/{file}"), text);
    }
    open_with(dir, programs.map(Programs::socket))
}

/// A published answer of a modem's program; none where the samples are not present.
fn published(name: &str) -> Option<String> {
    let path = format!("{}/../shared/router-samples/modem/{name}", env!("CARGO_MANIFEST_DIR"));
    let found = fs::read_to_string(path).ok();
    if found.is_none() {
        eprintln!("skipped: ../shared not present");
    }
    found
}

fn each(router: &mut Router, base: &str, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        router.check(&format!("{base}{name}"), value);
    }
}

#[test]
fn a_line_of_vdsl2() {
    let programs = Programs::start(&[("dsl", "metrics", says("dsl.metrics-vdsl2.derived"))]);
    let packets = NETWORK.split("config dsl").nth(1).unwrap();
    let mut router = router(Some(&programs), &format!("config dsl{packets}"));
    each(
        &mut router,
        "Device.DSL.Line.1.",
        &[
            ("Status", "Up"),
            ("LastChange", "438291"),
            ("LinkStatus", "Up"),
            ("FirmwareVersion", "5.9.1.4.0.7"),
            ("XTSUsed", "0000000000000002"),
            ("CurrentProfile", "17a"),
            ("PowerManagementState", "L0"),
            ("TRELLISds", "1"),
            ("ACTSNRMODEus", "1"),
            ("UpstreamMaxBitRate", "42585"),
            ("DownstreamMaxBitRate", "141952"),
            ("UpstreamNoiseMargin", "105"),
            ("DownstreamNoiseMargin", "121"),
            ("DownstreamAttenuation", "106"),
            // -3.3 and 14.5 dBm at 100 ohms.
            ("UpstreamPower", "467"),
            ("DownstreamPower", "645"),
            ("Stats.BytesSent", "77"),
            // VDSL2 has bands, of which nothing is told; no tones were asked for.
            ("TestParams.LATNds", ""),
            ("TestParams.HLOGpsds", ""),
            ("XTUCVendor", "4244434D"),
            ("XTUCVendorSpecific", "C190"),
            ("XTUCCountry", "B500"),
            ("XTUCSystemVendor", "4244434D"),
            ("XTUCVersion", "76312E30000000000000000000000000"),
            ("Stats.Total.ErroredSecs", "2"),
            ("Stats.Total.SeverelyErroredSecs", "1"),
        ],
    );
    each(
        &mut router,
        "Device.DSL.Channel.1.",
        &[
            ("LowerLayers", "Device.DSL.Line.1"),
            ("LinkEncapsulationUsed", "G.993.2_Annex_K_PTM"),
            ("UpstreamCurrRate", "42462"),
            ("DownstreamCurrRate", "116790"),
            ("ACTNDR", "116790"),
            ("Stats.BytesSent", "77"),
            ("Stats.ErrorsReceived", "4"),
            ("Stats.Total.XTURCRCErrors", "15"),
            ("Stats.Total.XTUCCRCErrors", "406"),
        ],
    );
    each(
        &mut router,
        "Device.PTM.Link.1.",
        &[
            ("Status", "Up"),
            ("Name", "dsl0"),
            ("LowerLayers", "Device.DSL.Channel.1"),
            ("MACAddress", "02:00:00:00:01:2f"),
        ],
    );
    router.check("Device.ATM.LinkNumberOfEntries", "0");
    assert!(programs.calls()["dsl metrics"] <= 2);
}

#[test]
fn a_line_that_is_down_with_atm() {
    let programs = Programs::start(&[("dsl", "metrics", says("dsl.metrics-down.derived"))]);
    let mut router = router(Some(&programs), NETWORK);
    each(
        &mut router,
        "Device.DSL.Line.1.",
        &[
            ("Status", "Down"),
            ("LinkStatus", "NoSignal"),
            ("PowerManagementState", "L3"),
            ("DownstreamMaxBitRate", "0"),
            ("XTUCVendor", ""),
            ("Stats.Total.ErroredSecs", "0"),
        ],
    );
    router.check("Device.PTM.LinkNumberOfEntries", "0");
    each(
        &mut router,
        "Device.ATM.Link.1.",
        &[
            ("Enable", "1"),
            ("Name", "dsl0"),
            ("LowerLayers", "Device.DSL.Channel.1"),
            ("LinkType", "EoA"),
            ("DestinationAddress", "PVC:1/32"),
            ("Encapsulation", "LLC"),
            ("Stats.BytesSent", "77"),
        ],
    );
}

#[test]
fn links_of_atm_come_and_go() {
    let mut router = router(None, NETWORK);
    put(router.dir.path(), "etc/init.d/br2684ctl", "#!/bin/sh\n");
    let new = router.add("Device.ATM.Link.");
    each(
        &mut router,
        &new,
        &[("Enable", "0"), ("DestinationAddress", ""), ("Name", "nas1"), ("Encapsulation", "LLC")],
    );
    router.set(&[
        (&format!("{new}DestinationAddress"), "PVC:8/35"),
        (&format!("{new}Encapsulation"), "VCMUX"),
        (&format!("{new}LinkType"), "IPoA"),
        (&format!("{new}Enable"), "1"),
    ]);
    router.has(
        "network",
        &[
            "config atm-bridge 'atm1'",
            "option vpi '8'",
            "option vci '35'",
            "option encaps 'vc'",
            "option payload 'routed'",
        ],
    );
    for bad in ["PVC:256/35", "SVC:1", "PVC:1/2/3", "PVC:1/99999"] {
        assert!(router.try_set(&[(&format!("{new}DestinationAddress"), bad)]).is_err(), "{bad}");
    }
    router.delete(&new);
    router.check("Device.ATM.LinkNumberOfEntries", "1");
    assert!(router.config("network").iter().all(|line| !line.contains("atm1")));
}

#[test]
fn modems() {
    let mut router = router(None, NETWORK);
    router.check("Device.Cellular.InterfaceNumberOfEntries", "2");
    let modem = router.find("Device.Cellular.Interface.", "Name", "wwan");
    each(&mut router, &modem, &[("Enable", "1"), ("Upstream", "1"), ("NetworkRequested", "")]);
    let point = router.find("Device.Cellular.AccessPoint.", "Interface", modem.trim_end_matches('.'));
    each(&mut router, &point, &[("APN", "internet.example"), ("IPVersion", "-1"), ("Password", "")]);
    router.set(&[
        (&format!("{point}APN"), "other.example"),
        (&format!("{point}IPVersion"), "4"),
        (&format!("{modem}NetworkRequested"), "26202"),
        (&format!("{modem}Enable"), "0"),
    ]);
    router.has("network", &["option apn 'other.example'", "option pdptype 'ip'", "option plmn '26202'"]);
    router.check(&format!("{modem}Status"), "Down");
    let other = router.find("Device.Cellular.Interface.", "Name", "mm");
    let point = router.find("Device.Cellular.AccessPoint.", "Interface", other.trim_end_matches('.'));
    router.check(&format!("{point}IPVersion"), "4");
    router.set(&[(&format!("{point}IPVersion"), "6")]);
    router.has("network", &["option iptype 'ipv6'"]);
    for bad in ["a\nb", "26201;x"] {
        assert!(router.try_set(&[(&format!("{modem}NetworkRequested"), bad)]).is_err());
    }
}

#[test]
fn nonsense_of_a_line() {
    let told = r#"{"state":7,"up":"yes","state_num":-7,"uptime":-1,"xtse":[1,2,300],"profile":{"a":1},
        "downstream":[1],"upstream":{"snr":"high","attndr":99999999999999999,"latn":1e300},
        "atu_c":{"vendor_id":[1,2,3],"version":["x"]},"errors":{"near":7}}"#;
    let programs = Programs::start(&[("dsl", "metrics", says_json(told))]);
    let mut router = router(Some(&programs), NETWORK);
    each(
        &mut router,
        "Device.DSL.Line.1.",
        &[
            ("Status", "Down"),
            ("LinkStatus", "Error"),
            ("LastChange", "0"),
            ("XTSUsed", ""),
            ("CurrentProfile", ""),
            ("UpstreamNoiseMargin", "0"),
            ("UpstreamMaxBitRate", "0"),
            ("UpstreamAttenuation", "0"),
            ("XTUCVendor", ""),
            ("Stats.Total.ErroredSecs", "0"),
        ],
    );
    let names = router.model.params("Device.").unwrap().len();
    assert_eq!(router.model.values(["Device."]).unwrap().len(), names);
    let programs = Programs::start(&[("dsl", "metrics", says_json("{}"))]);
    let mut router = self::router(Some(&programs), NETWORK);
    router.check("Device.DSL.LineNumberOfEntries", "0");
}

#[test]
fn light_of_a_module() {
    let mut router = router(None, NETWORK);
    let root = router.dir.path().to_owned();
    for (file, text) in [
        ("hwmon0/name", "cpu_thermal\n"),
        ("hwmon0/power1_input", "7\n"),
        ("hwmon1/name", "sfp_p1\n"),
        ("hwmon1/power1_input", "500\n"),
        ("hwmon1/power2_input", "dark\n"),
    ] {
        put(&root, &format!("sys/class/hwmon/{file}"), text);
    }
    router.model.refresh();
    router.check("Device.Optical.InterfaceNumberOfEntries", "1");
    each(
        &mut router,
        "Device.Optical.Interface.1.",
        &[
            ("Name", "sfp_p1"),
            ("TransmitOpticalLevel", "-3010"),
            ("OpticalSignalLevel", "-65536"),
            ("Status", "Unknown"),
            ("Stats.BytesSent", "0"),
        ],
    );
    assert!(router.try_set(&[("Device.Optical.Interface.1.Enable", "0")]).is_err());
    // The device tree of a board with two cages.
    for (path, number) in [
        ("sys/class/hwmon/hwmon1/device/of_node/phandle", 0x8f),
        ("sys/class/net/lan1/of_node/sfp", 0x8e),
        ("sys/class/net/wan/of_node/sfp", 0x8f_u32),
    ] {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), number.to_be_bytes()).unwrap();
    }
    router.model.refresh();
    each(
        &mut router,
        "Device.Optical.Interface.1.",
        &[("Status", "Up"), ("Enable", "1"), ("Stats.BytesSent", "4294967298")],
    );
    router.set(&[("Device.Optical.Interface.1.Enable", "0")]);
    router.has("network", &["option name 'wan'", "option enabled '0'"]);
}

#[test]
fn tones_of_a_line() {
    let metrics = r#"{"state":"Showtime","up":true,"standard":"G.992.5",
        "upstream":{"latn":12.3,"satn":12.0},"downstream":{"latn":24.55,"satn":-1.0}}"#;
    let statistics = r#"{"bits":{},"snr":{"downstream":{"groupsize":2,"groups":3,"data":[null,40.5,0]},"upstream":{}},
        "qln":{"downstream":{"groupsize":8,"groups":1,"data":[-130.5]}},
        "hlog":{"upstream":{"groupsize":1,"groups":2,"data":[6.0,-96.3]},"downstream":7}}"#;
    let programs = Programs::start(&[
        ("dsl", "metrics", says_json(metrics)),
        ("dsl", "statistics", says_json(statistics)),
    ]);
    let mut router = router(Some(&programs), NETWORK);
    each(
        &mut router,
        "Device.DSL.Line.1.TestParams.",
        &[
            ("SNRGds", "2"),
            ("SNRpsds", "255,145,64"),
            ("SNRpsus", ""),
            ("QLNGds", "8"),
            ("QLNpsds", "215"),
            ("HLOGpsus", "0,1023"),
            ("HLOGpsds", ""),
            ("LATNds", "246"),
            ("LATNus", "123"),
            ("SATNds", ""),
            ("SATNus", "120"),
        ],
    );
}

/// What the package modemmanager-rpcd says: mmcli's own words for each modem.
#[test]
fn a_modem_of_modemmanager() {
    let device = "/sys/devices/platform/soc/8af8800.usb3/8a00000.dwc3/xhci-hcd.0.auto/usb2/2-1";
    let Some(modem) = published("mmcli-J-modem.json") else { return };
    let modem = modem
        .replace("\"modem\": {", "\"modem\": [{")
        .replace("000000000000000\",\n    \"operator-code", "490154203237518\",\n    \"operator-code");
    let (rest, _) = modem.trim_end().rsplit_once('}').unwrap();
    let signal = r#","signal":{"5g":{"rsrp":"--"},"lte":{"rsrp":"-92.00","rsrq":"-9.00","rssi":"-64.60"}}"#;
    let (rest, _) = rest.trim_end().rsplit_once('}').unwrap();
    let dump = format!("{rest}{signal}}}]}}");
    let programs = Programs::start(&[("modemmanager", "dump", says_json(&dump))]);
    let network = NETWORK.replace("/sys/devices/platform/usb1/1-1", device);
    assert!(network.contains(device), "the fixture names the modem's device");
    let mut router = router(Some(&programs), &network);
    let modem = router.find("Device.Cellular.Interface.", "Name", "mm");
    each(
        &mut router,
        &modem,
        &[
            ("NetworkInUse", "OperatorName"),
            ("CurrentAccessTechnology", "UMTSHSPA"),
            ("SupportedAccessTechnologies", "UMTS,UMTSHSPA,LTE"),
            ("PreferredAccessTechnology", "Auto"),
            ("RSSI", "-65"),
            ("RSRP", "-92"),
            ("RSRQ", "-9"),
        ],
    );
    router.check("Device.Cellular.RoamingStatus", "Home");
    // Nothing is told of the other one, and it cannot be forbidden to roam.
    let other = router.find("Device.Cellular.Interface.", "Name", "wwan");
    each(&mut router, &other, &[("IMEI", ""), ("NetworkInUse", ""), ("RSSI", "0")]);
    router.check("Device.Cellular.RoamingEnabled", "1");
    assert!(router.try_set(&[("Device.Cellular.RoamingEnabled", "0")]).is_err());
    router.set(&[
        ("Device.Cellular.RoamingEnabled", "1"),
        (&format!("{modem}PreferredAccessTechnology"), "Auto"),
    ]);
    assert!(router.try_set(&[(&format!("{modem}PreferredAccessTechnology"), "LTE")]).is_err());
    assert!(router.try_set(&[(&format!("{other}PreferredAccessTechnology"), "LTE")]).is_err());
    let dump =
        dump.replace("allowed: 3g, 4g; preferred: none\"\n    ]", "allowed: 3g, 4g; preferred: 4g\"\n    ]");
    let programs = Programs::start(&[("modemmanager", "dump", says_json(&dump))]);
    let alone = network.replace("option proto 'qmi'", "option proto 'dhcp'");
    let mut router = self::router(Some(&programs), &alone);
    let modem = router.find("Device.Cellular.Interface.", "Name", "mm");
    router.set(&[
        (&format!("{modem}PreferredAccessTechnology"), "LTE"),
        ("Device.Cellular.RoamingEnabled", "0"),
    ]);
    router.has(
        "network",
        &["option allowedmode '3g|4g'", "option preferredmode '4g'", "option allow_roaming '0'"],
    );
    router.check(&format!("{modem}PreferredAccessTechnology"), "LTE");
    router.set(&[(&format!("{modem}PreferredAccessTechnology"), "Auto")]);
    assert!(router.config("network").iter().all(|line| !line.contains("mode '")));
}
