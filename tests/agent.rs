//! The daemon on the fixture router, against an ACS that is a script.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used)]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/scripted.rs"]
mod scripted;

use std::time::Duration;

use agent::Router;
use messages::{get_values, inform_response, set_values};
use scripted::{Scripted, step};

/// The steps of a session that asks nothing.
fn greeting() -> Vec<scripted::Step> {
    vec![step().computed(|inform| step().status(200).body(inform_response(&inform.text())))]
}

#[test]
fn announces_itself_and_is_provisioned() {
    let mut steps = greeting();
    steps.push(step().computed(|methods| {
        assert!(methods.text().contains("GetRPCMethods"), "{}", methods.text());
        let id = messages::id_of(&methods.text());
        let list = "<MethodList soap-enc:arrayType=\"xsd:string[1]\"><string>Inform</string></MethodList>";
        let body = format!("<cwmp:GetRPCMethodsResponse>{list}</cwmp:GetRPCMethodsResponse>");
        step().status(200).body(messages::envelope(&id, &body))
    }));
    steps.push(step().status(200).body(get_values("1", &["Device.DeviceInfo.SerialNumber"])));
    steps.push(step().status(200).body(set_values(
        "2",
        &[
            ("Device.WiFi.SSID.1.SSID", "xsd:string", "a &amp; b"),
            ("Device.ManagementServer.PeriodicInformInterval", "xsd:unsignedInt", "3600"),
        ],
        "key 1",
    )));
    steps.push(step().status(204));
    let acs = Scripted::start(steps);
    let router = Router::new(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let seen = acs.finish();
    let inform = seen[0].text();
    for word in [
        "0 BOOTSTRAP",
        "1 BOOT",
        "LAB0000001",
        "Device.ManagementServer.ConnectionRequestURL",
        "http://127.0.0.1:",
    ] {
        assert!(inform.contains(word), "{word} in {inform}");
    }
    assert_eq!(seen[0].header("SOAPAction"), Some(""));
    assert!(seen[2].body.is_empty() && seen[2].header("SOAPAction").is_none());
    assert!(seen[3].text().contains("LAB0000001"));
    assert!(seen[4].text().contains("SetParameterValuesResponse"), "{}", seen[4].text());
    assert!(seen.iter().all(|one| one.connection == 1));
    assert!(router.read("/etc/config/wireless").contains("option ssid 'a & b'"));
    assert!(router.read("/etc/config/cwmp").contains("option periodic_inform_interval '3600'"));
    let (status, time) = agent.stop();
    assert!(status.success() && time < Duration::from_secs(1), "{status} after {time:?}");
}
