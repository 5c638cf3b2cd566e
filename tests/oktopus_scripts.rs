//! The eighteen examples of Oktopus' *Scripts* page, unchanged, against our own agent with a TR-098 model: with success, and with
//! what they must tell when it fails.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/oktopus.rs"]
mod oktopus;

use std::collections::BTreeSet;
use std::time::Duration;

use oktopus::{Acs, example};
use rcwmp::cwmp::event::EventCode;

/// How our agent refuses a name that it does not have: `{}` is the name.
const NAME: &str = "Invalid parameter name: no parameter or object \"{}\" | Code: 9005";
/// At once, on a machine that does much else; what is not ended at once sleeps for twenty seconds, or listens for ever.
const SOON: Duration = Duration::from_secs(8);
const WLAN: &str = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.";

/// What an example prints where the device is there, and where it has no such data model.
fn both(name: &str, serial: &str, check: impl Fn(&oktopus::Device, Vec<String>), fault: &str, path: &str) {
    let Some(text) = example(&format!("scripts/{name}.lua")) else { return };
    let acs = Acs::new();
    let device = acs.device(serial, true);
    check(&device, acs.run(&text));
    drop(device);

    // A device that refuses.
    let acs = Acs::new();
    let _device = acs.device(serial, false);
    let fault = fault.replace("{}", &format!("{WLAN}{path}"));
    assert_eq!(acs.run(&text), [format!("SN: {serial} | Error Message: {fault}")]);

    // A device that nobody knows.
    let acs = Acs::new();
    assert_eq!(acs.run(&text), [format!("SN: {serial} | Error Message: Device not found | Code: 404")]);
}

#[test]
fn send_cwmp_message_getparametervalues() {
    let check = |device: &oktopus::Device, printed: Vec<String>| {
        let expected: BTreeSet<String> =
            device.get(&format!("{WLAN}1.")).iter().map(|line| line.replacen(" => ", ": ", 1)).collect();
        assert!(
            expected.len() > 20 && expected.contains(&format!("{WLAN}1.MaxBitRate: Auto")),
            "{expected:?}"
        );
        assert_eq!(printed.into_iter().collect::<BTreeSet<_>>(), expected);
    };
    both("send_cwmp_message_getparametervalues", "HUAWNFYC-35454645", check, NAME, "1.");
}

#[test]
fn send_cwmp_message_setparametervalues() {
    let check = |device: &oktopus::Device, printed: Vec<String>| {
        assert_eq!(printed, ["SetParameterValues worked"]);
        assert_eq!(device.get(&format!("{WLAN}1.Enable")), [format!("{WLAN}1.Enable => 1")]);
    };
    both(
        "send_cwmp_message_setparametervalues",
        "HUAWNFYC-35454645",
        check,
        "Invalid arguments | Code: 9003",
        "",
    );
}

#[test]
fn send_cwmp_message_addobject() {
    let check = |device: &oktopus::Device, printed: Vec<String>| {
        assert_eq!(printed, ["instance_number: 9", "status: 0"]);
        assert_eq!(device.get(&format!("{WLAN}9.Enable")), [format!("{WLAN}9.Enable => 0")]);
    };
    both("send_cwmp_message_addobject", "HUAWNFYC-OPA123-0", check, NAME, "");
}

#[test]
fn send_cwmp_message_deleteobject() {
    let check = |device: &oktopus::Device, printed: Vec<String>| {
        assert_eq!(printed, ["DeleteObject worked"]);
        assert!(device.get(&format!("{WLAN}8.Enable")).is_empty());
        assert_eq!(device.get(&format!("{WLAN}7.Enable")).len(), 1);
    };
    both("send_cwmp_message_deleteobject", "HUAWNFYC-OPA123-0", check, NAME, "8.");
}

#[test]
fn send_cwmp_message_getparameternames() {
    let check = |_: &oktopus::Device, printed: Vec<String>| {
        let expected: Vec<String> = (1..=8).map(|number| format!("Parameter Name{WLAN}{number}.")).collect();
        assert_eq!(printed, expected);
    };
    both("send_cwmp_message_getparameternames", "HUAWNFYC-OPA123-0", check, NAME, "");
}

#[test]
fn refresh_device_parameters() {
    let Some(text) = example("scripts/refresh_device_parameters.lua") else { return };
    let acs = Acs::new();
    assert_eq!(acs.run(&text), ["Failed to refresh device parameters"]);
    let device = acs.device("sn-test-1", true);
    assert_eq!(acs.run(&text), ["Device parameters refreshed successfully"]);
    let kept = |name: &str| acs.office.store.value("sn-test-1", name).unwrap();
    assert_eq!(kept("Device.DeviceInfo.SerialNumber").as_deref(), Some("sn-test-1"));
    assert!(kept("Device.IP.Interface.1.Name").is_some());
    // Nobody is at home.
    device.agent.kill();
    assert_eq!(acs.run(&text), ["Failed to refresh device parameters"]);
}

#[test]
fn get_device() {
    let Some(text) = example("scripts/get_device.lua") else { return };
    let acs = Acs::new();
    assert_eq!(acs.run(&text), ["device HUAWNFYC-35454645 not found"]);
    let _device = acs.device("HUAWNFYC-35454645", true);
    // The Inform does not tell the model.
    assert!(acs.run("refresh_device_parameters('HUAWNFYC-35454645')").is_empty());
    assert_eq!(acs.run(&text).into_iter().collect::<BTreeSet<_>>(), expected_device());
}

/// A device as the documents show it, in lines of `key: value`.
fn expected_device() -> BTreeSet<String> {
    let lines = [
        "sn: HUAWNFYC-35454645",
        "model: Example Lab Router",
        "vendor: Example",
        "version: 24.10.4",
        "product_class: LabRouter",
        "alias: ",
        "status: 2",
        "cwmp: true",
        "usp: false",
        "data_model: TR-181",
    ];
    lines.into_iter().map(str::to_owned).collect()
}

#[test]
fn get_all_devices() {
    let Some(text) = example("scripts/get_all_devices.lua") else { return };
    let acs = Acs::new();
    assert!(acs.run(&text).is_empty());
    for serial in ["b", "a"] {
        acs.office.store.add_device(serial).unwrap();
    }
    assert_eq!(acs.run(&text), ["  SN: a", "  SN: b"]);
    acs.break_devices();
    assert!(acs.run(&text).is_empty());
}

#[test]
fn delete_device() {
    let Some(text) = example("scripts/delete_device.lua") else { return };
    let acs = Acs::new();
    assert_eq!(acs.run(&text), ["error to delete device mqtt_client_92"]);
    acs.office.store.add_device("mqtt_client_92").unwrap();
    assert_eq!(acs.run(&text), ["device mqtt_client_92 successfully deleted"]);
    assert_eq!(acs.office.store.device("mqtt_client_92"), Ok(None));
}

#[test]
fn create_or_update_device_credential() {
    let Some(text) = example("scripts/create_or_update_device_credential.lua") else { return };
    let acs = Acs::new();
    assert_eq!(acs.run(&text), ["success"]);
    acs.break_credentials();
    assert_eq!(acs.run(&text), ["error"]);
}

#[test]
fn generate_random_string() {
    let Some(text) = example("scripts/generate_random_string.lua") else { return };
    let acs = Acs::new();
    assert_eq!(acs.run(&text), ["success"]);
    acs.break_credentials();
    assert_eq!(acs.run(&text), ["error"]);
}

#[test]
fn listen_to_cwmp_event() {
    let Some(text) = example("scripts/listen_to_cwmp_event.lua") else { return };
    let acs = Acs::new();
    acs.start(&text);
    let _device = acs.device("LAB1", true);
    let printed = acs.wait_log(4);
    // The order of the two keys is Lua's own.
    let told: Vec<BTreeSet<&str>> =
        printed.chunks(2).map(|pair| pair.iter().map(String::as_str).collect()).collect();
    assert_eq!(
        told,
        [["serial_number: LAB1", "event: 0"].into(), ["serial_number: LAB1", "event: 1"].into()]
    );
    assert!(acs.stop() < SOON);
    // What has stopped hears nothing.
    let _other = acs.device("LAB2", false);
    assert_eq!(acs.log().len(), 4);

    // An Inform that the store cannot keep was none, and one that is no message neither; the next is heard.
    let acs = Acs::new();
    acs.start(&format!("{text} print('ready')"));
    acs.wait_log(1);
    acs.break_devices();
    assert!(post(&acs, &inform_of("LAB3")).starts_with("HTTP/1.1 503 "));
    assert!(post(&acs, &inform_of("LAB3").replace("</Event>", "")).starts_with("HTTP/1.1 400 "));
    assert_eq!(acs.log(), ["ready"]);
    acs.mend_devices();
    assert!(post(&acs, &inform_of("LAB3")).starts_with("HTTP/1.1 200 "));
    let told: BTreeSet<String> = acs.wait_log(3).into_iter().skip(1).collect();
    assert_eq!(told, ["serial_number: LAB3", "event: 1"].map(str::to_owned).into());
}

/// An Inform with one event.
fn inform_of(serial: &str) -> String {
    String::from_utf8(oktopus::inform_message(serial, EventCode::Boot)).unwrap()
}

/// The answer to one POST.
fn post(acs: &Acs, body: &str) -> String {
    oktopus::post(acs, body.as_bytes())
}

#[test]
fn listen_to_new_device() {
    let Some(text) = example("scripts/listen_to_new_device.lua") else { return };
    let acs = Acs::new();
    acs.start(&text);
    let device = acs.device("HUAWNFYC-35454645", true);
    let printed: BTreeSet<String> = acs.wait_log(10).into_iter().collect();
    let mut expected = expected_device();
    // The first Inform does not tell the model.
    expected.remove("model: Example Lab Router");
    expected.insert("model: ".to_owned());
    assert_eq!(printed, expected);
    // It is new but once.
    device.agent.stop();
    let _again = device.router.start(&["-b"]);
    acs.notes.wait("over HUAWNFYC-35454645 ", 2);
    assert_eq!(acs.log().len(), 10);
    assert!(acs.stop() < SOON);

    // A device that cannot be kept is not new; once it can, it is.
    let acs = Acs::new();
    acs.start(&format!("{text} print('ready')"));
    acs.wait_log(1);
    acs.break_devices();
    assert!(post(&acs, &inform_of("A")).starts_with("HTTP/1.1 503 "));
    assert_eq!(acs.log(), ["ready"]);
    acs.mend_devices();
    assert!(post(&acs, &inform_of("A")).starts_with("HTTP/1.1 200 "));
    let printed: BTreeSet<String> = acs.wait_log(11).into_iter().collect();
    assert!(printed.contains("sn: A") && printed.contains("version: 1.0"), "{printed:?}");
}

#[test]
fn sleep() {
    let Some(text) = example("scripts/sleep.lua") else { return };
    let acs = Acs::new();
    let begun = std::time::Instant::now();
    acs.start(&text);
    let line = "I'm going to appear again after 20 seconds";
    assert_eq!(acs.wait_log(1), [line]);
    assert_eq!(acs.wait_log(2), [line, line]);
    // Not forty, on whatever machine.
    assert!((20..40).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    // Its only fault is that it never ends: it does when it is told to.
    assert!(acs.stop() < SOON);
    assert_eq!(acs.scripts.report("test").unwrap().reason, "");
    assert_eq!(acs.log(), [line, line]);
}

/// There is no agent with USP yet: well-formed messages are answered as for one that is offline.
fn usp(name: &str, endpoint: &str) {
    let Some(text) = example(&format!("scripts/{name}.lua")) else { return };
    let acs = Acs::new();
    assert_eq!(acs.run(&text), [format!("SN: {endpoint} | Error Message: Device is offline | Code: 503")]);
    let broken = text.replacen('{', "{,", 1);
    let printed = acs.run(&broken);
    let start = format!("SN: {endpoint} | Error Message: the message cannot be read: ");
    assert!(
        printed.len() == 1 && printed[0].starts_with(&start) && printed[0].ends_with("| Code: 400"),
        "{printed:?}"
    );
}

#[test]
fn send_usp_message_add() {
    usp("send_usp_message_add", "oktopus-0-mqtt");
}

#[test]
fn send_usp_message_delete() {
    usp("send_usp_message_delete", "oktopus-0-mqtt");
}

#[test]
fn send_usp_message_get() {
    usp("send_usp_message_get", "oktopus-0-stomp");
}

#[test]
fn send_usp_message_set() {
    usp("send_usp_message_set", "oktopus-0-stomp");
}
