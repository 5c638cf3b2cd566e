//! The mini-ACS as people run it, and our own agent: files there and back, scripts and profiles, all from the shell.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/mini_acs.rs"]
mod mini_acs;

use std::thread;
use std::time::{Duration, Instant};

use agent::Router;
use mini_acs::{MiniAcs, PATIENCE};
use rcwmp::lab::router::{ACS_USER, CONNECTION_REQUEST_USER, PASSWORD};
use serde_json::json;

const SERIAL: &str = "LAB0000001";

/// A router that has had its first session, and its agent.
fn device(acs: &MiniAcs) -> (Router, agent::Agent) {
    acs.says(&["credential", ACS_USER, PASSWORD]);
    acs.says(&["add-device", SERIAL, CONNECTION_REQUEST_USER, PASSWORD]);
    let router = Router::new(&acs.url);
    router.program("sbin/reload_config", "exit 0");
    let agent = router.start(&["-b"]);
    acs.wait(SERIAL, "Inform", 1);
    (router, agent)
}

#[test]
fn files_there_and_back() {
    let acs = MiniAcs::start(&["--auth", "digest", "--profile", "openwrt-tr181"]);
    let (router, _agent) = device(&acs);
    let text = "package example\n\nconfig a 'b'\n\toption c 'd'\n";
    acs.says(&["put", &acs.file("settings", text)]);
    let download = ["download", SERIAL, "3 Vendor Configuration File", "settings", ACS_USER, PASSWORD];
    assert_eq!(acs.json(&download)["status"], "done");
    let told = acs.wait(SERIAL, "TransferComplete", 1);
    assert!(told[0].ends_with(": done"), "{told:?}");
    assert_eq!(router.read("/etc/config/example"), "config a 'b'\n\toption c 'd'\n");

    let upload = ["upload", SERIAL, "1 Vendor Configuration File", "backup", ACS_USER, PASSWORD];
    assert_eq!(acs.json(&upload)["status"], "done");
    let told = acs.wait(SERIAL, "TransferComplete", 2);
    assert!(told.iter().all(|text| text.ends_with(": done")), "{told:?}");
    let backup = acs.says(&["fetch", "backup"]);
    assert!(backup.contains("package cwmp\n") && backup.contains("package example\n"), "{backup}");

    // What the server refuses the device tells: here a password that is not the CPE's.
    let wrong = ["upload", SERIAL, "1 Vendor Configuration File", "other", ACS_USER, "wrong"];
    assert_eq!(acs.json(&wrong)["status"], "done");
    let told = acs.wait(SERIAL, "TransferComplete", 3);
    let refused: Vec<&String> = told.iter().filter(|text| !text.ends_with(": done")).collect();
    assert!(refused.len() == 1 && refused[0].contains(": 90"), "{told:?}");
    acs.refuses(&["fetch", "other"]);
    acs.refuses(&["download", SERIAL, "3 Vendor Configuration File", "none"]);
}

#[test]
fn scripts_and_profiles_from_the_shell() {
    let acs = MiniAcs::start(&["--auth", "digest", "--profile", "openwrt-tr181"]);
    let (router, _agent) = device(&acs);
    let lua =
        acs.file("hello.lua", "print('hello', get_device('LAB0000001').sn) listen_to_cwmp_event(print)");
    acs.says(&["script", &lua]);
    let start = Instant::now();
    while !acs.says(&["script-log", "hello"]).contains("hello\\tLAB0000001") {
        assert!(start.elapsed() < PATIENCE, "{}", acs.says(&["script-log", "hello"]));
        thread::sleep(Duration::from_millis(50));
    }
    acs.says(&["stop-script", "hello"]);
    while acs.json(&["scripts"])[0]["state"] != "stopped" {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(50));
    }
    acs.says(&["start-script", "hello"]);
    acs.says(&["stop-script", "hello"]);
    while !acs.ctl(&["delete-script", "hello"]).status().unwrap().success() {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(50));
    }

    let profile = "openwrt-tr181";
    assert_eq!(acs.json(&["fact", profile, SERIAL, "vendor"])["result"], "OpenWrt");
    assert_eq!(acs.json(&["read", profile, SERIAL, "hwinfo"])["result"]["serial_number"], SERIAL);
    let ssid = json!([{ "path": "Device.WiFi.SSID.1.", "ssid": { "value": "From the shell" } }]).to_string();
    acs.says(&["write", profile, SERIAL, "ssid", &ssid]);
    let shown = router.run(&["-c", "get", "Device.WiFi.SSID.1.SSID"]).stdout;
    assert_eq!(String::from_utf8(shown).unwrap(), "Device.WiFi.SSID.1.SSID => From the shell\n");
    let route = acs.json(&["diagnose", profile, SERIAL, "traceroute", r#"{"host":"127.0.0.1"}"#]);
    assert_eq!(route["result"]["hops"][0]["hop_host"], "127.0.0.1", "{route}");
    let own = acs.file("own.lua", "function get_vendor() return sn .. ' by me', nil end");
    acs.says(&["put-profile", &own]);
    assert_eq!(acs.json(&["hook", "own", "get_vendor", SERIAL])["result"], format!("{SERIAL} by me"));
    assert!(acs.json(&["profile", "own"])["hooks"].as_array().unwrap().contains(&json!("get_vendor")));
    acs.says(&["delete-profile", "own"]);
    assert_eq!(acs.json(&["profiles"]).as_array().unwrap().len(), 1);
}
