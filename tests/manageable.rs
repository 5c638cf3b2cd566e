//! Devices of the LAN that can be managed too: from the file of the DHCP server's hook to the ACS, and no
//! more often than the ACS wants to hear of them.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use std::fs;
use std::time::{Duration, Instant};

use agent::Router;
use messages::{envelope, get_values, set_values};
use play::{codes, end, has, inform, methods, names, router, say, value};
use scripted::{Scripted, Seen};

const COUNT: &str = "Device.ManagementServer.ManageableDeviceNumberOfEntries";
const LIMIT: &str = "Device.ManagementServer.ManageableDeviceNotificationLimit";
const TABLE: &str = "Device.ManagementServer.ManageableDevice.";
/// Seconds; more than it takes to notice a change.
const SECONDS: u64 = 8;

/// What the hook of the DHCP server does.
fn announce(router: &Router, lines: &[&str]) {
    let folder = router.root().join("var/run/rcwmp");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".new"), lines.join("\n") + "\n").unwrap();
    fs::rename(folder.join(".new"), folder.join("manageable")).unwrap();
}

#[test]
fn an_acs_hears_of_devices_in_time_and_not_too_often() {
    let attributes = format!(
        "<cwmp:SetParameterAttributes><ParameterList soap-enc:arrayType=\"cwmp:SetParameterAttributesStruct[1]\">\
         <SetParameterAttributesStruct><Name>{COUNT}</Name><NotificationChange>1</NotificationChange>\
         <Notification>2</Notification><AccessListChange>0</AccessListChange>\
         <AccessList soap-enc:arrayType=\"xsd:string[0]\"/></SetParameterAttributesStruct></ParameterList>\
         </cwmp:SetParameterAttributes>"
    );
    let denied = attributes.replace(COUNT, &format!("{TABLE}1.SerialNumber"));
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(set_values("1", &[(LIMIT, "xsd:unsignedInt", &SECONDS.to_string())], "")),
        say(envelope("2", &attributes)),
        say(get_values("3", &[COUNT])),
        end(),
        inform(),
        say(get_values("4", &[TABLE])),
        say(envelope("5", &denied)),
        end(),
        inform(),
        say(get_values("6", &[TABLE])),
        end(),
    ]);
    let router = router(&acs.url());
    announce(&router, &[]);
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    let box_in_the_leases = "02:00:00:00:20:0f\t02ab00\tSN <0042>\tSet-Top Box";
    announce(&router, &[box_in_the_leases, "02:00:00:00:20:77\t02AB01\t\u{1b}[2J\tx", "nonsense"]);
    agent.wait_for("End session", 2);
    let told = Instant::now();
    announce(&router, &[box_in_the_leases, "02:00:00:00:20:77\t02AB01\t7"]);
    agent.wait_for("Start session", 3);
    let waited = told.elapsed();
    assert!(waited > Duration::from_secs(SECONDS - 1), "{waited:?}");
    agent.wait_for("End session", 3);
    // What went on before the limit was over is one change, and one that is told anyway none.
    play::stays_quiet(&agent, "Start session", 3);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(value(&seen[5], COUNT), "0");
    assert_eq!(codes(&seen[6]), ["4 VALUE CHANGE"]);
    assert_eq!(value(&seen[6], COUNT), "1");
    let of = |message: &str, number: u8, name: &str| value(message, &format!("{TABLE}{number}.{name}"));
    assert_eq!(names(&seen[8]).len(), 4, "{}", seen[8]);
    assert_eq!(of(&seen[8], 1, "ManufacturerOUI"), "02AB00");
    assert_eq!(of(&seen[8], 1, "SerialNumber"), "SN &lt;0042&gt;");
    assert_eq!(of(&seen[8], 1, "ProductClass"), "Set-Top Box");
    assert!(of(&seen[8], 1, "Host").starts_with("Device.Hosts.Host."), "{}", seen[8]);
    has(&seen[9], &[">9009<"]);
    assert_eq!((codes(&seen[10]), value(&seen[10], COUNT)), (vec!["4 VALUE CHANGE".into()], "2".into()));
    assert_eq!(of(&seen[12], 2, "SerialNumber"), "7");
    assert_eq!((of(&seen[12], 2, "ProductClass"), of(&seen[12], 2, "Host")), (String::new(), String::new()));
}
