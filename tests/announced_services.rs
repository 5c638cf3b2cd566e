//! Services that machines announce with mDNS, as umdns tells them over ubus.
#![cfg(feature = "lab")]
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/programs.rs"]
mod programs;
#[path = "support/router.rs"]
mod router;

use programs::{Programs, says_json};
use router::{Router, open_with, router_with};

fn router(answer: &str) -> Router {
    let programs = Programs::start(&[("umdns", "browse", says_json(answer))]);
    let Router { dir, model } = router_with(&[]);
    drop(model);
    let mut router = open_with(dir, Some(programs.socket()));
    router.model.values(["Device.DNS."]).unwrap();
    assert_eq!(programs.calls()["umdns browse"], 1);
    router
}

fn each(router: &mut Router, base: &str, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        router.check(&format!("{base}{name}"), value);
    }
}

#[test]
fn a_printer_and_a_shell() {
    // The first as published, but for its texts, which have one name there.
    let mut router = router(
        r#"{"_printer._tcp":{"HP\\032Color\\032LaserJet":{"port":515,"txt":["txtvers=1","qtotal=1","rp=RAW",
        "adminurl=http:\/\/printer.local."]}},
        "_ssh._tcp":{"router":{"iface":"br-lan","host":"router.local","port":22,"txt":["daemon=dropbear","quiet"],
        "ipv4":"192.168.1.1"}}}"#,
    );
    router.check("Device.DNS.SD.ServiceNumberOfEntries", "2");
    each(
        &mut router,
        "Device.DNS.SD.Service.1.",
        &[
            ("InstanceName", "HP Color LaserJet"),
            ("ApplicationProtocol", "printer"),
            ("TransportProtocol", "TCP"),
            ("Domain", "local"),
            ("Port", "515"),
            ("TextRecordNumberOfEntries", "4"),
            ("TextRecord.3.Key", "rp"),
            ("TextRecord.3.Value", "RAW"),
        ],
    );
    each(
        &mut router,
        "Device.DNS.SD.Service.2.",
        &[
            ("Target", "router.local"),
            ("Status", "LeaseActive"),
            // The router is no host of its own LAN.
            ("Host", ""),
            ("TextRecord.2.Key", "quiet"),
            ("TextRecord.2.Value", ""),
        ],
    );
}

#[test]
fn nonsense_is_left_out() {
    let long = "x".repeat(300);
    let answer = format!(
        r#"{{"_a._tcp":7,"b":{{"c":{{}}}},"_d._udp":{{"e":[],"{long}":{{}},"f":{{"port":99999,"host":"{long}",
        "txt":["k=1",7,"k=2","","{long}"]}}}}}}"#
    );
    let mut router = router(&answer);
    router.check("Device.DNS.SD.ServiceNumberOfEntries", "1");
    let service = "Device.DNS.SD.Service.1.";
    each(
        &mut router,
        service,
        &[("InstanceName", "f"), ("Port", "0"), ("Target", ""), ("TextRecordNumberOfEntries", "2")],
    );
    each(&mut router, service, &[("TextRecord.2.Key", "k"), ("TextRecord.2.Value", "2")]);
}
