//! Packages as deployment units and their services as execution units, of opkg and of apk, on a router in a folder.
#![cfg(feature = "lab")]
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/bus.rs"]
mod bus;
#[path = "support/router.rs"]
mod folder;

use std::fs;
use std::os::unix::fs::symlink;

use bus::Offers;
use folder::{Router, open_with, put, router_with};

const DU: &str = "Device.SoftwareModules.DeploymentUnit.";
const EU: &str = "Device.SoftwareModules.ExecutionUnit.";

const ROM: &str = "Package: base-files\nVersion: 1506\nStatus: install user installed\nInstalled-Time: 100\n";
const LATER: &str = "
Package: nlbwmon
Version: 2023-05-01-r4-with-a-version-that-is-very-long
Depends: libc
Status: install user installed
Installed-Time: 1727222400

Package: ../../../tmp/evil
Version: 1
Status: install user installed

Package: gone
Version: 1
Status: deinstall user not-installed
";

fn root(router: &Router) -> &std::path::Path {
    router.dir.path()
}

/// A service with a running daemon that starts with the system.
fn service(router: &Router) {
    let root = root(router);
    put(root, "etc/init.d/nlbwmon", "#!/bin/sh /etc/rc.common\n");
    fs::create_dir_all(root.join("etc/rc.d")).unwrap();
    symlink("../init.d/nlbwmon", root.join("etc/rc.d/S60nlbwmon")).unwrap();
    fs::create_dir_all(root.join("proc/812")).unwrap();
    put(
        root,
        "proc/812/stat",
        "812 (nlbwmon) S 1 812 812 0 -1 4194560 1 2 3 4 250 17 0 0 20 0 1 0 900 1 2 3\n",
    );
    put(root, "proc/812/cmdline", "/usr/sbin/nlbwmon\0-o\0/var/lib/nlbwmon\0");
    symlink("/usr/sbin/nlbwmon", root.join("proc/812/exe")).unwrap();
}

fn opkg() -> Router {
    let router = router_with(&[
        ("rom/usr/lib/opkg/status", ROM),
        ("usr/lib/opkg/status", &format!("{ROM}{LATER}")),
        ("usr/lib/opkg/info/nlbwmon.list", "/etc/init.d/nlbwmon\n/usr/sbin/nlbwmon\n/etc/init.d/../shadow\n"),
        (
            "usr/lib/opkg/info/nlbwmon.control",
            "Package: nlbwmon\nMaintainer: Jo <jo@example.org>\nDescription:  Counts traffic\n more\n",
        ),
        ("etc/openwrt_release", "DISTRIB_ID='OpenWrt'\nDISTRIB_RELEASE='24.10.2'\n"),
        ("proc/meminfo", "MemTotal: 244236 kB\nMemFree: 1 kB\nMemAvailable:  123456 kB\n"),
    ]);
    service(&router);
    router
}

#[test]
fn packages_after_the_firmware() {
    let mut router = opkg();
    for (name, value) in [
        ("ExecEnvNumberOfEntries", "1"),
        ("DeploymentUnitNumberOfEntries", "1"),
        ("ExecutionUnitNumberOfEntries", "1"),
        ("ExecEnv.1.Enable", "1"),
        ("ExecEnv.1.Status", "Up"),
        ("ExecEnv.1.Type", "OpenWrt opkg"),
        ("ExecEnv.1.Vendor", "OpenWrt"),
        ("ExecEnv.1.Version", "24.10.2"),
        ("ExecEnv.1.AvailableMemory", "123456"),
        ("ExecEnv.1.ActiveExecutionUnits", "Device.SoftwareModules.ExecutionUnit.1"),
        ("DeploymentUnit.1.UUID", "e21a20c6-e998-38ac-9365-6a0d5c0aa341"),
        ("DeploymentUnit.1.DUID", "nlbwmon"),
        ("DeploymentUnit.1.Name", "nlbwmon"),
        ("DeploymentUnit.1.Version", "2023-05-01-r4-with-a-version-tha"),
        ("DeploymentUnit.1.URL", ""),
        ("DeploymentUnit.1.Vendor", "Jo <jo@example.org>"),
        ("DeploymentUnit.1.Description", "Counts traffic"),
        ("DeploymentUnit.1.ExecutionUnitList", "Device.SoftwareModules.ExecutionUnit.1"),
        ("DeploymentUnit.1.ExecutionEnvRef", "Device.SoftwareModules.ExecEnv.1"),
        ("DeploymentUnit.1.Installed", "2024-09-25T00:00:00Z"),
        ("ExecutionUnit.1.EUID", "nlbwmon"),
        ("ExecutionUnit.1.Status", "Active"),
        ("ExecutionUnit.1.AutoStart", "1"),
        ("ExecutionUnit.1.RequestedState", ""),
        ("ExecutionUnit.1.Description", "Counts traffic"),
        ("ExecutionUnit.1.AssociatedProcessList", "Device.DeviceInfo.ProcessStatus.Process.1"),
    ] {
        router.check(&format!("Device.SoftwareModules.{name}"), value);
    }
    // What an ACS orders of a service is done by its script, once the session is over.
    let orders = |router: &mut Router| -> Vec<String> {
        router.model.backend().take_orders().iter().map(|order| format!("{order:?}")).collect()
    };
    assert_eq!(router.try_set(&[(&format!("{EU}1.AutoStart"), "0")]), Ok(()));
    assert_eq!(orders(&mut router), ["Script(\"nlbwmon\", \"disable\")"]);
    assert_eq!(router.try_set(&[(&format!("{EU}1.RequestedState"), "Idle")]), Ok(()));
    assert_eq!(orders(&mut router), ["Script(\"nlbwmon\", \"stop\")"]);
    router.check(&format!("{EU}1.RequestedState"), "");
    assert_eq!(router.try_set(&[(&format!("{EU}1.RequestedState"), "Active")]), Ok(()));
    assert_eq!(orders(&mut router), ["Script(\"nlbwmon\", \"start\")"]);
    assert!(router.try_set(&[(&format!("{EU}1.RequestedState"), "Asleep")]).is_err());
    assert_eq!(router.try_set(&[(&format!("{EU}1.AutoStart"), "1")]), Ok(()));
    assert!(orders(&mut router).is_empty(), "it starts with the system already");

    // It ends, and does not start again by itself.
    fs::remove_dir_all(root(&router).join("proc/812")).unwrap();
    fs::remove_file(root(&router).join("etc/rc.d/S60nlbwmon")).unwrap();
    router.model.refresh();
    router.check(&format!("{EU}1.Status"), "Idle");
    router.check(&format!("{EU}1.AutoStart"), "0");
    router.check("Device.SoftwareModules.ExecEnv.1.ActiveExecutionUnits", "");
}

/// procd keeps what a program ended with until its service is stopped.
#[test]
fn a_service_that_failed() {
    let (code, message) = (format!("{EU}1.ExecutionFaultCode"), format!("{EU}1.ExecutionFaultMessage"));
    let mut router = opkg();
    router.check(&code, "NoFault");
    router.check(&message, "");
    for (instances, fault, said) in [
        (r#"{"a":{"running":true,"pid":812}}"#, "NoFault", ""),
        (r#"{"a":{"running":true,"pid":812,"exit_code":1}}"#, "NoFault", ""),
        (r#"{"once":{"running":false,"exit_code":0}}"#, "NoFault", ""),
        (
            r#"{"a":{"running":false,"exit_code":139},"b":{"running":true,"pid":812},"c":{"exit_code":1}}"#,
            "FailureWhileActive",
            "a ended with 139, c ended with 1",
        ),
    ] {
        let list = format!(r#"{{"nlbwmon":{{"instances":{instances}}},"other":{{}}}}"#);
        let programs = Offers::new().says("service", "list", &list).start();
        router = open_with(router.dir, Some(programs.socket()));
        router.check(&code, fault);
        router.check(&message, said);
    }
}

#[test]
fn what_the_acs_said_of_a_package() {
    let mut router = opkg();
    let uuid = "0d1d0e2f-1b7c-4f5a-8d9e-000000000001";
    router.model.backend().tell("du.uuid.nlbwmon", uuid);
    router.model.backend().tell("du.url.nlbwmon", "http://acs.example/nlbwmon.ipk");
    router.check(&format!("{DU}1.UUID"), uuid);
    router.check(&format!("{DU}1.URL"), "http://acs.example/nlbwmon.ipk");
    router.model.backend().tell("du.uuid.nlbwmon", "");
    router.check(&format!("{DU}1.UUID"), "e21a20c6-e998-38ac-9365-6a0d5c0aa341");
}

#[test]
fn packages_of_apk() {
    let rom = "C:Q1\nP:base-files\nV:1669~1e0a4f11b3\nA:arm\nS:1\nI:1\nT:x\nU:x\nF:bin\nR:config_generate\n";
    let later = "\nC:Q1\nP:nlbwmon\nV:2024.1-r1\nT:Counts traffic\nm:Jo\nF:etc\nF:etc/init.d\nR:nlbwmon\na:0:0:755\n\
        F:usr/sbin\nR:nlbwmon\n\n";
    let mut router =
        router_with(&[("rom/lib/apk/db/installed", rom), ("lib/apk/db/installed", &format!("{rom}{later}"))]);
    service(&router);
    router.model.refresh();
    router.check("Device.SoftwareModules.ExecEnv.1.Type", "OpenWrt apk");
    router.check("Device.SoftwareModules.DeploymentUnitNumberOfEntries", "1");
    router.check(&format!("{DU}1.Version"), "2024.1-r1");
    router.check(&format!("{DU}1.Vendor"), "Jo");
    router.check(&format!("{DU}1.Installed"), "0001-01-01T00:00:00Z");
    router.check(&format!("{EU}1.Status"), "Active");

    // Without /rom nothing is known to be later, but for what the agent installed.
    fs::remove_dir_all(root(&router).join("rom")).unwrap();
    router.model.refresh();
    router.check("Device.SoftwareModules.DeploymentUnitNumberOfEntries", "0");
    router.model.backend().tell("du.uuid.nlbwmon", "0d1d0e2f-1b7c-4f5a-8d9e-000000000001");
    router.model.refresh();
    router.check("Device.SoftwareModules.DeploymentUnitNumberOfEntries", "1");
}

#[test]
fn a_router_without_a_package_manager() {
    let mut router = router_with(&[]);
    router.check("Device.SoftwareModules.ExecEnv.1.Status", "Disabled");
    router.check("Device.SoftwareModules.ExecEnv.1.Enable", "0");
    router.check("Device.SoftwareModules.DeploymentUnitNumberOfEntries", "0");
    router.check("Device.SoftwareModules.ExecutionUnitNumberOfEntries", "0");
}
