//! What the ACS hears without having asked for it: packages and firmware that somebody else has installed,
//! and what the router's user wants told. Each only if the ACS has a method for it.
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

use messages::set_values;
use play::{codes, confirm, end, has, inform, methods_and, router, say};
use scripted::{Scripted, Seen};

const TRANSFERS: &str = "Device.ManagementServer.AutonomousTransferCompletePolicy";
const UNITS: &str = "Device.ManagementServer.DUStateChangeComplPolicy";

fn turn_on(policy: &str) -> String {
    let enable = format!("{policy}.Enable");
    set_values("policy", &[(enable.as_str(), "boolean", "1")], "k")
}

/// The messages of the ACS's whole life.
fn texts(acs: Scripted) -> Vec<String> {
    acs.finish().iter().map(Seen::text).collect()
}

fn installed(router: &agent::Router, packages: &[(&str, &str)]) {
    let one = |(name, version): &(&str, &str)| format!("P:{name}\nV:{version}\nF:etc/init.d\nR:{name}\n\n");
    let list: String = packages.iter().map(one).collect();
    for (name, _) in packages {
        router.script(&format!("/etc/init.d/{name}"), "#!/bin/sh\n");
    }
    router.write("/lib/apk/db/installed", &format!("P:base-files\nV:1\n\n{list}"));
}

#[test]
fn packages_that_somebody_else_installs_and_removes() {
    let acs = Scripted::start(vec![
        inform(),
        methods_and(&["AutonomousDUStateChangeComplete"]),
        say(turn_on(UNITS)),
        end(),
        inform(),
        methods_and(&["AutonomousDUStateChangeComplete"]),
        confirm("AutonomousDUStateChangeComplete", ""),
        end(),
    ]);
    let router = router(&acs.url());
    router.write("/rom/lib/apk/db/installed", "P:base-files\nV:1\n\n");
    installed(&router, &[("old", "1"), ("same", "1"), ("older", "1")]);
    router.play();
    installed(&router, &[("same", "1"), ("older", "2"), ("new", "7")]);
    router.play();
    // It is told once.
    let agent = router.start(&[]);
    play::stays_quiet(&agent, "Start session", 0);
    assert!(agent.stop().0.success());
    let seen = texts(acs);
    assert_eq!(codes(&seen[4]), ["12 AUTONOMOUS DU STATE CHANGE COMPLETE"]);
    let results: Vec<&str> = seen[6].split("<Results>").skip(1).collect();
    assert_eq!(results.len(), 3, "{}", seen[6]);
    has(results[0], &[">Uninstall<", ">Uninstalled<", "DeploymentUnit.", "<FaultCode>0<"]);
    has(results[1], &[">Install<", ">Installed<", ">7<", "Device.SoftwareModules.ExecutionUnit."]);
    has(results[2], &[">Update<", ">Installed<", ">2<"]);
}

#[test]
fn packages_are_nobody_s_business_without_the_policy() {
    let acs = Scripted::start(vec![inform(), methods_and(&["AutonomousDUStateChangeComplete"]), end()]);
    let router = router(&acs.url());
    router.write("/rom/lib/apk/db/installed", "P:base-files\nV:1\n\n");
    router.play();
    installed(&router, &[("new", "7")]);
    let agent = router.start(&[]);
    play::stays_quiet(&agent, "Start session", 0);
    assert!(agent.stop().0.success());
    acs.finish();
}

#[test]
fn firmware_that_somebody_else_has_installed() {
    let acs = Scripted::start(vec![
        inform(),
        methods_and(&["AutonomousTransferComplete"]),
        say(turn_on(TRANSFERS)),
        end(),
        inform(),
        methods_and(&["AutonomousTransferComplete"]),
        confirm("AutonomousTransferComplete", ""),
        end(),
    ]);
    let router = router(&acs.url());
    router.play();
    router.set("cpe", "software_version", "99.9");
    router.write("/proc/sys/kernel/random/boot_id", "another\n");
    router.play();
    let seen = texts(acs);
    assert_eq!(codes(&seen[4]), ["1 BOOT", "4 VALUE CHANGE", "10 AUTONOMOUS TRANSFER COMPLETE"]);
    has(&seen[6], &["<IsDownload>1<", ">1 Firmware Upgrade Image<", "<FaultCode>0<"]);
}

#[test]
fn what_the_user_wants_told() {
    let acs = Scripted::start(vec![
        inform(),
        methods_and(&["RequestDownload", "Kicked"]),
        end(),
        inform(),
        confirm("RequestDownload", ""),
        end(),
        inform(),
        confirm("Kicked", "<NextURL>http://next.example/</NextURL>"),
        end(),
    ]);
    let router = router(&acs.url());
    let ok = |words: &[&str]| assert!(router.run(words).status.success(), "{words:?}");
    // Left before the daemon runs and before it knows the ACS: told when it does.
    ok(&["request-download", "1 Firmware Upgrade Image", "Version=2"]);
    let agent = router.start(&[]);
    agent.wait_for("End session", 2);
    ok(&["kicked", "reload", "http://referer.example/", "x=1&y", "http://next.example/"]);
    agent.wait_for("End session", 3);
    play::stays_quiet(&agent, "Start session", 3);
    assert!(agent.stop().0.success());
    assert!(!router.run(&["kicked", &"x".repeat(33)]).status.success());
    let seen = texts(acs);
    assert_eq!(codes(&seen[3]), ["9 REQUEST DOWNLOAD"]);
    has(&seen[4], &[">1 Firmware Upgrade Image<", "<Name>Version</Name>", "<Value>2</Value>"]);
    assert_eq!(codes(&seen[6]), ["5 KICKED"]);
    has(&seen[7], &["<Command>reload<", "<Arg>x=1&amp;y<", "<Next>http://next.example/<"]);
}

#[test]
fn an_acs_without_the_methods_is_spared() {
    let acs = Scripted::start(vec![
        inform(),
        methods_and(&[]),
        say(turn_on(UNITS)),
        say(turn_on(TRANSFERS)),
        end(),
    ]);
    let router = router(&acs.url());
    router.write("/rom/lib/apk/db/installed", "P:base-files\nV:1\n\n");
    router.play();
    installed(&router, &[("new", "7")]);
    let agent = router.start(&[]);
    for words in [&["request-download", "1 Firmware Upgrade Image"][..], &["kicked", "x"]] {
        assert!(router.run(words).status.success());
    }
    for method in ["AutonomousDUStateChangeComplete", "RequestDownload", "Kicked"] {
        agent.wait_for(&format!("{method} is not told: the ACS has no such method"), 1);
    }
    play::stays_quiet(&agent, "Start session", 0);
    assert!(agent.stop().0.success());
    acs.finish();
}
