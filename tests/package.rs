//! The OpenWrt package: what GNU make would install, its service and firewall rule under procd, and the migration
//! of other agents' configurations, as `agent::settings` then reads them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rcwmp::agent::settings::Settings;
use rcwmp::http::url::Url;

#[path = "support/package.rs"]
mod package;
use package::{Box, PACKAGE, STUBS, has, put, text};

const SCRIPTS: [&str; 11] = [
    "rcwmpd.init",
    "icwmpd.init",
    "run",
    "forget",
    "ask.sh",
    "dhcp.sh",
    "gateway.sh",
    "udhcpc.user",
    "odhcp6c.user",
    "dhcp.hotplug",
    "rcwmp.defaults",
];

#[test]
fn scripts_have_no_faults() {
    if !has("shellcheck") {
        return;
    }
    let mut command = Command::new("shellcheck");
    let output = command.args(SCRIPTS).current_dir(format!("{PACKAGE}/files")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn cross_builds_scripts_have_no_faults() {
    if !has("shellcheck") {
        return;
    }
    let cross = concat!(env!("CARGO_MANIFEST_DIR"), "/cross");
    let mut scripts = vec!["cross/env".to_owned()];
    for entry in fs::read_dir(cross).unwrap() {
        let path = entry.unwrap().path();
        if fs::read_to_string(&path).is_ok_and(|text| text.starts_with("#!/usr/bin/env bash")) {
            scripts.push(format!("cross/{}", path.file_name().unwrap().display()));
        }
    }
    assert!(scripts.len() >= 6, "{scripts:?}");
    let mut command = Command::new("shellcheck");
    let output = command.arg("-x").args(scripts).current_dir(format!("{cross}/..")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

/// A target without a line would never fail, and nobody would know.
#[test]
fn every_target_has_a_budget_or_says_that_it_has_none() {
    let cross = concat!(env!("CARGO_MANIFEST_DIR"), "/cross");
    let list = fs::read_to_string(format!("{cross}/env")).unwrap();
    let list = list.split_once("targets=(").unwrap().1.split_once(')').unwrap().0;
    let budget = fs::read_to_string(format!("{cross}/budget")).unwrap();
    let lines: Vec<Vec<&str>> =
        budget.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').collect()).collect();
    assert_eq!(lines.len(), 2 * list.split_whitespace().count());
    for target in list.split_whitespace() {
        for variant in ["tls", "notls"] {
            let found: Vec<_> = lines.iter().filter(|line| line[..2] == [target, variant]).collect();
            let [line] = found[..] else { panic!("{target} {variant}: {found:?}") };
            let known = line[2..].iter().all(|size| size.parse::<u32>().is_ok());
            assert!(line.len() == 4 && (known || line[2..] == ["-", "-"]), "{line:?}");
        }
    }
}

/// `cross/size` tells what has grown: code of one module, against a note of an earlier build.
#[test]
fn what_has_grown_is_told_by_its_name() {
    if !has("python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let weigh = |arguments: &[&str], symbols: &[(u32, &str)]| {
        let lines: Vec<String> = symbols
            .iter()
            .map(|(size, name)| format!("   1: 00001000  {size} FUNC    LOCAL  DEFAULT    7 {name}\n"))
            .collect();
        put(dir.path(), "bin/readelf", &format!("#!/bin/sh\ncat <<'END'\n{}END\n", lines.concat()));
        let program = dir.path().join("bin/readelf");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", dir.path().join("bin").display(), std::env::var("PATH").unwrap());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/cross/weigh");
        let mut command = Command::new("python3");
        let output = command.arg(script).args(arguments).arg("agent.sym").env("PATH", path).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let (agent, other) = ("_RNvNtNtCs1_5rcwmp5model4tree4find", "_RNvNtCs2_4core3fmt5write");
    let note = weigh(&["--note"], &[(5000, agent), (7000, other), (300, "memcpy")]);
    assert_eq!(note, "300 (C)\n7000 core\n5000 rcwmp::model::tree\n");
    put(dir.path(), "note", &note);
    let noted = dir.path().join("note").display().to_string();
    let grown = weigh(&["--since", &noted], &[(9000, agent), (5000, other), (1000, "memcpy")]);
    assert_eq!(grown, "     +4000  rcwmp::model::tree\n     -2000  core\n");
    assert_eq!(weigh(&["--since", &noted], &[(5000, agent), (7000, other)]), "");
}

fn make(target: &[&str], to: &Path, variant: &str) -> String {
    let mut command = Command::new("make");
    command.args(["--no-print-directory", "-s", "-C", PACKAGE]).args(target);
    command.arg(format!("TOPDIR={STUBS}/buildroot")).arg(format!("DESTDIR={}", to.display()));
    command.arg(format!("PKG_BUILD_DIR={}", to.join("../build").display()));
    command.arg(format!("PKG_INSTALL_DIR={}", to.join("../built").display()));
    command.arg(format!("BUILD_VARIANT={variant}")).env_remove("MAKEFLAGS");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_make_would_install() {
    if !has("make") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "built/bin/rcwmpd", "the program");
    for (package, variant) in [("rcwmp", "tls"), ("rcwmp-notls", "notls")] {
        let to = dir.path().join(package);
        fs::create_dir(&to).unwrap();
        make(&["prepare", &format!("install-{package}")], &to, variant);
        let mut found = Vec::new();
        let list = Command::new("find").args([".", "!", "-type", "d"]).current_dir(&to).output().unwrap();
        for path in String::from_utf8(list.stdout).unwrap().lines() {
            let about = fs::symlink_metadata(to.join(path)).unwrap();
            let mode = if about.is_symlink() {
                "link".to_owned()
            } else {
                format!("{:o}", about.permissions().mode() & 0o7777)
            };
            found.push(format!("{mode} {}", &path[1..]));
        }
        found.sort();
        let expected = [
            "600 /etc/config/cwmp",
            "644 /etc/capabilities/rcwmpd.json",
            "644 /etc/capabilities/rcwmpd.user.json",
            "644 /etc/hotplug.d/dhcp/50-rcwmp",
            "644 /etc/odhcp6c.user.d/50-rcwmp",
            "644 /etc/seccomp/rcwmpd.json",
            "644 /etc/udhcpc.user.d/50-rcwmp",
            "644 /lib/upgrade/keep.d/rcwmp",
            "644 /usr/lib/rcwmp/ask.sh",
            "644 /usr/lib/rcwmp/dhcp.sh",
            "644 /usr/lib/rcwmp/gateway.sh",
            "644 /usr/share/acl.d/rcwmp.json",
            "644 /usr/share/rpcd/acl.d/rcwmp.json",
            "755 /etc/init.d/icwmpd",
            "755 /etc/init.d/rcwmpd",
            "755 /etc/uci-defaults/90-rcwmp",
            "755 /usr/libexec/rcwmp/forget",
            "755 /usr/libexec/rcwmp/run",
            "755 /usr/sbin/rcwmpd",
            "link /usr/sbin/icwmpd",
        ];
        assert_eq!(found, expected, "{package}");
        assert_eq!(fs::read_link(to.join("usr/sbin/icwmpd")).unwrap(), Path::new("rcwmpd"));
        let same = |installed: &str, source: &str| {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
            assert_eq!(fs::read(to.join(installed)).unwrap(), fs::read(source).unwrap(), "{installed}");
        };
        same("etc/config/cwmp", "uci/cwmp");
        same("etc/init.d/rcwmpd", "openwrt-package/files/rcwmpd.init");
        same("etc/capabilities/rcwmpd.json", "openwrt-package/files/rcwmpd.capabilities.json");
        same("etc/seccomp/rcwmpd.json", "openwrt-package/files/rcwmpd.seccomp.json");
        let acl = fs::read(to.join("usr/share/rpcd/acl.d/rcwmp.json")).unwrap();
        let acl = serde_json::from_slice::<serde_json::Value>(&acl).unwrap();
        assert!(acl["rcwmp"]["read"]["ubus"].is_object());
        // The settings hold passwords: whoever may only look at the agent does not see them.
        assert!(acl["rcwmp"]["read"]["uci"].is_null() && acl["rcwmp"]["read"]["file"].is_null());
        assert_eq!(acl["rcwmp-settings"]["read"]["uci"], serde_json::json!(["cwmp"]));
    }
    // What is copied is enough for cargo to read it, and not the tests or what was built.
    let build = dir.path().join("build");
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(build.join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", text(&cargo));
    assert!(build.join("Cargo.lock").exists() && !build.join("target").exists());
}

/// What is kept over sysupgrade lies in memory meanwhile: the state, and no stored image of many megabytes.
#[test]
fn what_an_upgrade_keeps() {
    let Some(router) = Box::new(&[]) else { return };
    let state =
        ["etc/rcwmp/state.json", "etc/rcwmp/model.json", "etc/rcwmp/asked", "etc/rcwmp/journal/journal"];
    for file in
        state.iter().chain(&["etc/config/cwmp", "etc/rcwmp/stored-image.bin", "etc/rcwmp/.rcwmp-coming"])
    {
        put(&router.root(), file, "x");
    }
    let list = fs::read_to_string(format!("{PACKAGE}/files/rcwmp.keep")).unwrap();
    let list: String = list.lines().map(|line| format!("{}{line}\n", router.root().display())).collect();
    put(router.dir.path(), "keep", &list);
    // As sysupgrade makes a list of it.
    router.program(
        "list",
        "find $(sed -ne '/^[[:space:]]*$/d; /^#/d; p' keep) \\( -type f -o -type l \\) > kept\n",
    );
    router.command(&router.dir.path().join("list").display().to_string(), &[], &[]);
    let kept = fs::read_to_string(router.dir.path().join("kept")).unwrap();
    let mut kept: Vec<_> =
        kept.lines().filter_map(|line| Path::new(line).strip_prefix(router.root()).ok()).collect();
    kept.sort_unstable();
    let mut expected: Vec<_> = state.iter().chain(&["etc/config/cwmp"]).map(Path::new).collect();
    expected.sort_unstable();
    assert_eq!(kept, expected);
}

#[test]
fn what_make_says_of_the_packages() {
    if !has("make") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let said = |variant: &str| {
        let text = make(&["say"], dir.path(), variant);
        let pair = |line: &str| line.split_once(": ").map(|(a, b)| (a.to_owned(), b.trim().to_owned()));
        text.lines().filter_map(pair).collect::<BTreeMap<_, _>>()
    };
    let (tls, notls) = (said("tls"), said("notls"));
    let check =
        |name: &str, expected: &str| assert_eq!(tls.get(name).map(String::as_str), Some(expected), "{name}");
    check("version", env!("CARGO_PKG_VERSION"));
    check("rcwmp PROVIDES", "icwmp");
    check("rcwmp CONFLICTS", "icwmp");
    let forget = "[ -n \"${IPKG_INSTROOT}\" ] || [ \"${PKG_UPGRADE}\" = 1 ] || /usr/libexec/rcwmp/forget";
    for name in ["rcwmp prerm", "rcwmp-notls prerm"] {
        check(name, &format!("#!/bin/sh {forget}"));
    }
    check("rcwmp VARIANT", "tls");
    check("rcwmp DEFAULT_VARIANT", "1");
    check("rcwmp DEPENDS", "@(mipsel||x86_64) +ca-bundle");
    check("rcwmp-notls PROVIDES", "rcwmp icwmp");
    check("rcwmp-notls CONFLICTS", "rcwmp icwmp");
    check("rcwmp-notls VARIANT", "notls");
    check("rcwmp-notls DEFAULT_VARIANT", "");
    check("rcwmp-notls DEPENDS", "@(mipsel||x86_64)");
    check("rcwmp TITLE", "TR-069 (CWMP) agent with TLS");
    // A folder here would be kept by sysupgrade with all that is in it.
    check("rcwmp conffiles", "/etc/config/cwmp");
    check("rcwmp-notls conffiles", "/etc/config/cwmp");
    let sizes = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/cross/README.md")).unwrap();
    for package in ["rcwmp", "rcwmp-notls"] {
        let about = &tls[&format!("{package} description")];
        for row in ["| mipsel with TLS |", "| mipsel without |"] {
            let sizes = sizes.lines().find_map(|line| line.strip_prefix(row)).unwrap();
            let bytes =
                |nth| sizes.split('|').nth(nth).unwrap().trim().replace(',', "").parse::<f64>().unwrap();
            let (raw, xz) = (format!("{:.1} MB", bytes(0) / 1e6), format!("{:.2} MB", bytes(1) / 1e6));
            assert!(about.contains(&raw) && about.contains(&xz), "{raw}, {xz}: {about}");
        }
    }
    let line = |said: &BTreeMap<String, String>| said["cargo"].clone();
    assert_eq!(line(&tls), "--profile router --features router --locked --no-default-features");
    assert_eq!(line(&notls), "--profile router --features stun,xmpp,ftp --locked --no-default-features");
    // The features are there.
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    for feature in ["router", "stun", "xmpp", "ftp"] {
        assert!(manifest.contains(&format!("\n{feature} = [")), "{feature}");
    }
    assert!(manifest.contains("\n[profile.router]\n"));
}

#[test]
fn the_service_under_procd() {
    let Some(router) =
        Box::new(&[("cwmp.acs", "acs"), ("cwmp.acs.url", "http://acs.example/"), ("cwmp.cpe", "cpe")])
    else {
        return;
    };
    let told = router.init("boot");
    for line in [
        "procd_open_instance rcwmpd\n",
        "procd_set_param command /usr/libexec/rcwmp/run\n",
        "procd_set_param respawn 3600 10 0\n",
        "procd_add_reload_trigger cwmp\n",
        "procd_add_interface_trigger interface.*.up wan /etc/init.d/rcwmpd reload\n",
        "procd_add_interface_trigger interface.*.up wan6 /etc/init.d/rcwmpd reload\n",
        "procd_add_interface_trigger interface.*.up wan_6 /etc/init.d/rcwmpd reload\n",
        "json_add_string src zone-of-wan\n",
        "json_add_string proto tcpudp\n",
        "json_add_string dest_port 7547\n",
        "json_add_string target ACCEPT\n",
        "procd_set_config_changed firewall\n",
    ] {
        assert!(told.contains(line), "{line:?} is not in\n{told}");
    }
    assert!(told.contains("json_add_array src_ip\njson_add_string  192.0.2.7\n"), "{told}");
    // The boot is told once, whatever crashes afterwards, and a reload before its time does no harm.
    router.program("root/usr/sbin/rcwmpd", "#!/bin/sh\nkill -HUP $$\necho \"agent $*\" >> \"$STUB/told\"\n");
    for expected in ["agent -b\n", "agent \n"] {
        router.run("run", &[], &[]);
        assert_eq!(router.told(), expected);
    }
    // Nothing has changed for the firewall; a running instance gets SIGHUP.
    let told = router.init("reload");
    assert!(told.contains("procd_send_signal rcwmpd\n"), "{told}");
    assert!(!told.contains("procd_set_config_changed"), "{told}");
    assert!(told.contains("procd_open_instance"), "{told}");
    let told = router.init("stop");
    assert!(told.contains("procd_set_config_changed firewall\n"), "{told}");
    assert_eq!(router.init("stop"), "");
}

#[test]
fn the_jail() {
    let config = [("cwmp.acs", "acs"), ("cwmp.acs.url", "http://acs.example/"), ("cwmp.cpe", "cpe")];
    let Some(router) = Box::new(&config) else { return };
    let told = router.init("start");
    assert!(told.contains("procd_set_param limits core=0\n"), "{told}");
    assert!(!told.contains("procd_add_jail"), "{told}");
    let Some(router) = Box::new(&[&config[..], &[("cwmp.cpe.jail", "1")]].concat()) else { return };
    let told = router.init("start");
    // Without what it needs, the agent runs all the same, and it is said.
    assert!(told.contains("procd_open_instance rcwmpd\n") && !told.contains("procd_add_jail"), "{told}");
    let with = |told: &str, seccomp: bool| {
        let inside = told.split("procd_open_instance rcwmpd\n").nth(1).unwrap();
        let inside = inside.split("procd_close_instance").next().unwrap();
        for line in
            ["procd_add_jail rcwmpd\n", "procd_set_param capabilities /etc/capabilities/rcwmpd.json\n"]
        {
            assert!(inside.contains(line), "{line:?} is not in\n{told}");
        }
        let line = "procd_set_param seccomp /etc/seccomp/rcwmpd.json\n";
        assert_eq!(inside.contains(line), seccomp, "{told}");
        assert!(!inside.contains("param user") && !inside.contains("namespace"), "{told}");
    };
    router.program("root/sbin/ujail", "#!/bin/sh\n");
    with(&router.init("start"), false);
    put(&router.root(), "lib/libpreload-seccomp.so", "");
    with(&router.init("start"), true);

    let own = [&config[..], &[("cwmp.cpe.jail", "1"), ("cwmp.cpe.jail_user", "1")]].concat();
    let Some(router) = Box::new(&own) else { return };
    router.program("root/sbin/ujail", "#!/bin/sh\n");
    put(&router.root(), "lib/libpreload-seccomp.so", "");
    put(&router.root(), "etc/passwd", "root:x:0:0:root:/root:/bin/ash\nrcwmpx:x:9:9::/:\n");
    with(&router.init("start"), true);
    put(
        &router.root(),
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/ash\nrcwmp:x:999:999:rcwmp:/var/run/rcwmp:/bin/false\n",
    );
    let told = router.init("start");
    let words = ["capabilities /etc/capabilities/rcwmpd.user.json", "user rcwmp", "group rcwmp"];
    for line in words {
        assert!(told.contains(&format!("procd_set_param {line}\n")), "{line:?} is not in\n{told}");
    }
    assert!(!told.contains("capabilities/rcwmpd.json"), "{told}");
}

/// The rule that the firewall gets with these options; all that was called.
#[track_caller]
fn rule(options: &[(&str, &str)], expected: &[&str]) -> String {
    let mut config =
        vec![("cwmp.acs", "acs"), ("cwmp.cpe", "cpe"), ("cwmp.acs.url", "https://acs.example:8443/x")];
    for (name, value) in options {
        config.retain(|(known, _)| known != name);
        config.push((name, value));
    }
    let Some(router) = Box::new(&config) else { return String::new() };
    let told = router.init("start");
    let found: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("json_add_string ")).collect();
    assert_eq!(found, expected, "{options:?}\n{told}");
    assert!(!router.dir.path().join("owned").exists());
    told
}

#[test]
fn the_firewall_rule() {
    let open = ["type rule", "src zone-of-wan", "target ACCEPT", "proto tcpudp"];
    let with = |rest: &[&'static str]| [&open[..], rest].concat();
    let open_for_all = ("cwmp.cpe.incoming_rule", "Port_Only");
    rule(&[("cwmp.cpe.port", "8000"), open_for_all], &with(&["dest_port 8000"]));
    // Nothing said is IP_Port as in icwmp's schema, but for an ACS without an address.
    rule(&[], &with(&["dest_port 7547", " 192.0.2.7", " 2001:db8::7"]));
    rule(&[("cwmp.acs.url", "http://198.51.100.1/")], &with(&["dest_port 7547", " 198.51.100.1"]));
    for nowhere in ["http://unknown.example/", "http://$(touch owned)/", ""] {
        rule(&[("cwmp.acs.url", nowhere)], &with(&["dest_port 7547"]));
    }
    for bad in ["0", "70000", "abc", "-1", "7547; touch owned", "$(touch owned)", "99999999999999999999"] {
        rule(&[("cwmp.cpe.port", bad), open_for_all], &with(&["dest_port 7547"]));
    }
    rule(
        &[("cwmp.cpe.default_wan_interface", "dsl"), open_for_all],
        &["type rule", "src zone-of-dsl", "target ACCEPT", "proto tcpudp", "dest_port 7547"],
    );
    for off in [("cwmp.cpe.enable", "0"), ("cwmp.cpe.enable", "Disable")] {
        rule(&[off], &[]);
    }
    // Those by UDP have no switch.
    rule(
        &[("cwmp.cpe.http_connection_request_enable", "no")],
        &[
            "type rule",
            "src zone-of-wan",
            "target ACCEPT",
            "proto udp",
            "dest_port 7547",
            " 192.0.2.7",
            " 2001:db8::7",
        ],
    );
    let both = ("cwmp.cpe.incoming_rule", "IP_Port");
    // The name server of the stub knows acs.example, with these.
    rule(&[both], &with(&["dest_port 7547", " 192.0.2.7", " 2001:db8::7"]));
    rule(&[both, ("cwmp.acs.url", "http://198.51.100.1:80/")], &with(&["dest_port 7547", " 198.51.100.1"]));
    rule(&[both, ("cwmp.acs.url", "http://[2001:db8::1]:80/")], &with(&["dest_port 7547", " 2001:db8::1"]));
    // Schemes are of either letters (RFC 3986 3.1); ports, paths, queries and fragments may be there or not.
    for (url, address) in [
        ("HTTP://198.51.100.1", " 198.51.100.1"),
        ("Https://198.51.100.1:8443", " 198.51.100.1"),
        ("hTTpS://198.51.100.1:/x:y", " 198.51.100.1"),
        ("http://198.51.100.1?a=b:c@d", " 198.51.100.1"),
        ("http://198.51.100.1:80#a/b", " 198.51.100.1"),
        ("HTTPS://[2001:DB8::1]", " 2001:DB8::1"),
        ("http://[2001:db8::1]:/x", " 2001:db8::1"),
        ("http://[2001:db8::1]?[x]:y", " 2001:db8::1"),
        ("http://[::ffff:192.0.2.1]:80/", " ::ffff:192.0.2.1"),
    ] {
        rule(&[both, ("cwmp.acs.url", url)], &with(&["dest_port 7547", address]));
        assert!(Url::parse(url).is_ok(), "{url}");
    }
    // What the agent does not take, either: users, addresses without brackets, ports that are none.
    for url in [
        "http://user@198.51.100.1/",
        "http://user:word@198.51.100.1:80/",
        "http://user:word@[2001:db8::1]:80/",
        "http://198.51.100.1@evil.example/",
        "http://2001:db8::1/",
        "http://2001:db8::1:80/",
        "http://[2001:db8::1/",
        "http://[2001:db8::1]x/",
        "http://[acs.example]/",
        "http://[a:$(touch owned)]/",
        "http://198.51.100.1:80x/",
        "http://198.51.100.1:80:80/",
        "http:/198.51.100.1/",
        "httpx://198.51.100.1/",
    ] {
        let told = rule(&[both, ("cwmp.acs.url", url)], &[]);
        assert!(!told.contains("nslookup"), "{url}: {told}");
        assert!(Url::parse(url).is_err(), "{url}");
    }
    rule(&[both, ("cwmp.acs.url", "http://unknown.example/")], &[]);
    for bad in [
        "http://-x/",
        "http://a b/",
        "http://$(touch owned)/",
        "http://;touch owned/",
        "ftp://acs.example/",
        "x",
    ] {
        let told = rule(&[both, ("cwmp.acs.url", bad)], &[]);
        assert!(!told.contains("nslookup"), "{bad}: {told}");
    }
    let offered = ("cwmp.acs.dhcp_url", "http://203.0.113.5/");
    rule(&[both, offered, ("cwmp.acs.dhcp_discovery", "1")], &with(&["dest_port 7547", " 203.0.113.5"]));
    rule(&[both, offered, ("cwmp.acs.url", "")], &with(&["dest_port 7547", " 203.0.113.5"]));
    rule(&[both, offered, ("cwmp.acs.url", "http://192.0.2.9/")], &with(&["dest_port 7547", " 192.0.2.9"]));
    rule(
        &[("cwmp.cpe.incoming_rule", "ip_only"), ("cwmp.acs.url", "http://192.0.2.9")],
        &["type rule", "src zone-of-wan", "target ACCEPT", "proto all", " 192.0.2.9"],
    );
}

/// The package leaves nothing of that behind, on whatever interface it was, and nothing else goes with it.
#[test]
fn a_package_that_goes_tells_nobody_any_more() {
    let config = [
        ("dhcp.lan", "dhcp"),
        ("dhcp.lan.dhcp_option_force", "6,192.0.2.1 125,00:00:0d:e9:03:04:01:30 125,00:00:0c:04:01:30"),
        ("dhcp.guest", "dhcp"),
        ("dhcp.guest.dhcp_option_force", "125,00:00:0d:e9:03:04:01:31"),
        ("dhcp.other", "dhcp"),
        ("dhcp.other.dhcp_option", "125,00:00:0d:e9:03:04:01:30"),
    ];
    let Some(router) = Box::new(&config) else { return };
    router.run_uci(&["set", "dhcp.other.leasetime=1h"]);
    router.run("forget", &[], &[]);
    assert_eq!(router.uci()["dhcp.guest.dhcp_option_force"], "125,00:00:0d:e9:03:04:01:31");
    assert_eq!(router.told(), "", "somebody is at work there");
    router.run_uci(&["commit", "dhcp"]);
    router.run("forget", &[], &[]);
    assert_eq!(router.uci()["dhcp.lan.dhcp_option_force"], "6,192.0.2.1 125,00:00:0c:04:01:30");
    assert_eq!(router.uci()["dhcp.guest.dhcp_option_force"], "");
    assert_eq!(router.uci()["dhcp.other.dhcp_option"], "125,00:00:0d:e9:03:04:01:30");
    let told = router.told();
    assert!(
        told.contains(r#"call service event {"type":"config.change","data":{"package":"dhcp"}}"#),
        "{told}"
    );
    router.run("forget", &[], &[]);
    assert_eq!(router.told(), "");
}

/// Devices of the LAN are told who their gateway is, as our own `Device.GatewayInfo.` reads it at a gateway.
#[test]
fn devices_are_told_who_the_gateway_is() {
    let config = [
        ("cwmp.acs", "acs"),
        ("cwmp.cpe", "cpe"),
        ("dhcp.lan", "dhcp"),
        ("dhcp.lan.interface", "lan"),
        ("dhcp.lan.dhcp_option_force", "6,192.0.2.1 125,00:00:0d:e9:03:04:01:30 125,00:00:0c:04:01:30"),
    ];
    let Some(router) = Box::new(&config) else { return };
    let agent = |serial: &str, class: &str| {
        let say = |name: &str, value: &str| format!("*.{name}) printf '%s => %s\\n' \"$3\" '{value}' ;;\n");
        let known =
            say("ManufacturerOUI", "0013C8") + &say("SerialNumber", serial) + &say("ProductClass", class);
        router.program("root/usr/sbin/rcwmpd", &format!("#!/bin/sh\ncase \"$3\" in\n{known}esac\n"));
    };
    let force = || router.uci()["dhcp.lan.dhcp_option_force"].clone();
    let told = |told: &str| told.contains("procd_set_config_changed dhcp\n");
    let sent = |option: &str| -> (usize, Vec<(u8, String)>) {
        let octets = option.strip_prefix("125,").unwrap().split(':');
        let octets: Vec<u8> = octets.map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
        assert_eq!(octets[..4], 3561_u32.to_be_bytes());
        let (mut rest, mut out) = (&octets[5..], Vec::new());
        while let [number, length, more @ ..] = rest {
            let (text, more) = more.split_at(usize::from(*length));
            out.push((*number, String::from_utf8(text.to_vec()).unwrap()));
            rest = more;
        }
        assert_eq!(usize::from(octets[4]), octets.len() - 5);
        (octets.len(), out)
    };
    let text = |text: &str| text.to_owned();
    agent("S N-0123$(touch owned)%s", "Box \"1\",2");
    assert!(told(&router.init("start")));
    let options: Vec<String> = force().split(' ').map(str::to_owned).collect();
    assert_eq!(options[..2], ["6,192.0.2.1", "125,00:00:0c:04:01:30"]);
    let known = [(4, text("0013C8")), (5, text("S N-0123$(touch owned)%s")), (6, text("Box \"1\",2"))];
    assert_eq!(sent(&options[2]).1, known);
    // The same again is no news.
    assert!(!told(&router.init("start")) && !told(&router.init("reload")));
    assert_eq!(force().split(' ').count(), 3);
    // Another serial number takes the place, and a product class need not be there.
    agent(&"9".repeat(64), "");
    assert!(told(&router.init("reload")));
    let options: Vec<String> = force().split(' ').map(str::to_owned).collect();
    assert_eq!(sent(&options[2]), (5 + 8 + 66, vec![known[0].clone(), (5, "9".repeat(64))]));
    // What cannot be is not told, and what stands stays.
    let before = force();
    for (serial, class) in
        [("", "b"), ("\u{e4}", "b"), ("a", "\u{1}"), (&"9".repeat(65), "b"), ("a", &"c".repeat(65))]
    {
        agent(serial, class);
        assert!(!told(&router.init("start")), "{serial} {class}");
    }
    // Nor while somebody edits, nor by an interface that serves no DHCP.
    agent("another", "b");
    fs::write(router.dir.path().join("changes"), "dhcp.lan.leasetime\n").unwrap();
    assert!(!told(&router.init("start")));
    fs::remove_file(router.dir.path().join("changes")).unwrap();
    router.run_uci(&["set", "cwmp.cpe.default_lan_interface=lan; touch owned"]);
    assert!(!told(&router.init("start")));
    assert_eq!(force(), before);
    // Another LAN: the devices of the one before are not ours any more, whether the new one serves DHCP or not.
    router.run_uci(&["set", "cwmp.cpe.default_lan_interface=guest"]);
    assert!(told(&router.init("start")));
    assert_eq!(force(), "6,192.0.2.1 125,00:00:0c:04:01:30");
    assert!(!told(&router.init("start")));
    for option in ["guest=dhcp", "guest.interface=guest"] {
        router.run_uci(&["set", &format!("dhcp.{option}")]);
    }
    router.run_uci(&["commit", "dhcp"]);
    assert!(told(&router.init("start")));
    assert_eq!(sent(&router.uci()["dhcp.guest.dhcp_option_force"]).1[1], (5, text("another")));
    // Switched off, and on again.
    router.run_uci(&["set", "cwmp.cpe.enable=0"]);
    assert!(told(&router.init("reload")));
    assert_eq!(router.uci()["dhcp.guest.dhcp_option_force"], "");
    assert_eq!(force(), "6,192.0.2.1 125,00:00:0c:04:01:30");
    assert!(!told(&router.init("reload")));
    router.run_uci(&["set", "cwmp.cpe.enable=1"]);
    assert!(told(&router.init("reload")));
    assert!(!told(&router.init("reload")));
    assert!(!router.dir.path().join("owned").exists());
}

#[test]
fn a_switch_turned_off_stops_it() {
    let Some(router) = Box::new(&[("cwmp.cpe", "cpe"), ("cwmp.cpe.enable", "off")]) else { return };
    let told = router.init("start");
    assert!(
        !told.contains("procd_open_instance") && told.contains("procd_add_reload_trigger cwmp"),
        "{told}"
    );
    assert!(!told.contains("firewall"), "{told}");
}

/// icwmp's name for the service leads to ours, but a link in /etc/rc.d that is left from it boots nothing.
#[test]
fn the_old_name_of_the_service() {
    let Some(router) = Box::new(&[]) else { return };
    router.program("root/etc/init.d/rcwmpd", "#!/bin/sh\necho \"rcwmpd $*\" >> \"$STUB/told\"\n");
    for words in [&["restart"] as &[&str], &["boot"], &["reload", "now"]] {
        router.run("icwmpd.init", words, &[]);
    }
    assert_eq!(router.told(), "rcwmpd restart\nrcwmpd reload now\n");
}

/// Runs uci-defaults on these options; what the agent would read then.
fn migrated(config: &[(&str, &str)]) -> Option<(Box, Settings)> {
    let router = Box::new(config)?;
    router.run("rcwmp.defaults", &[], &[]);
    let mode = fs::metadata(router.root().join("etc/config/cwmp")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let (before, settings) = (router.uci(), router.settings());
    // A second time changes nothing.
    router.run("rcwmp.defaults", &[], &[]);
    assert_eq!(router.uci(), before);
    assert_eq!(settings.complaints, Vec::<String>::new());
    Some((router, settings))
}

#[test]
fn an_icwmp_goes_on() {
    let config = [
        ("cwmp.acs", "acs"),
        ("cwmp.acs.url", "https://acs.example/x"),
        ("cwmp.acs.userid", "u"),
        ("cwmp.acs.https_ssl_capath", "/etc/ssl/private"),
        ("cwmp.cpe", "cpe"),
        ("cwmp.cpe.port", "7548"),
        ("network.wan", "interface"),
        ("network.wan.proto", "dhcp"),
        ("firewall.cwmp", "include"),
        ("firewall.cwmp.path", "/etc/firewall.cwmp"),
        ("firewall.other", "include"),
        ("firewall.other.path", "/etc/firewall.user"),
        ("easycwmp.cfg01", "acs"),
        ("easycwmp.cfg01.url", "http://old.example/"),
    ];
    let Some((router, settings)) = migrated(&config) else { return };
    assert_eq!((settings.acs.url.as_str(), settings.acs.username.as_str()), ("https://acs.example/x", "u"));
    assert_eq!((settings.acs.ca, settings.connection_request.port), (Some("/etc/ssl/private".into()), 7548));
    let uci = router.uci();
    assert!(!uci.contains_key("firewall.cwmp") && uci.contains_key("firewall.other.path"), "{uci:?}");
    // Nobody needs DHCP here.
    assert!(!uci.contains_key("network.wan.reqopts"), "{uci:?}");
}

#[test]
fn an_easycwmp_is_taken_over() {
    let config = [
        ("cwmp.acs", "acs"),
        ("cwmp.acs.url", ""),
        ("cwmp.acs.periodic_inform_interval", "86400"),
        ("easycwmp.cfg01", "local"),
        ("easycwmp.cfg01.interface", "eth1"),
        ("easycwmp.cfg01.port", "7549"),
        ("easycwmp.cfg01.username", "cr"),
        ("easycwmp.cfg01.password", "it's $(touch owned)"),
        ("easycwmp.cfg01.provisioning_code", "TLCO"),
        ("easycwmp.cfg01.logging_level", "4"),
        ("easycwmp.cfg02", "acs"),
        ("easycwmp.cfg02.url", "http://acs.example:8080/a=b"),
        ("easycwmp.cfg02.username", "cpe"),
        ("easycwmp.cfg02.password", "`touch owned`"),
        ("easycwmp.cfg02.periodic_enable", "1"),
        ("easycwmp.cfg02.periodic_interval", "100"),
        ("easycwmp.cfg02.periodic_time", "0001-01-01T00:00:00Z"),
        ("easycwmp.cfg02.ssl_verify", "disabled"),
        ("easycwmp.cfg02.http100continue_disable", "1"),
        ("easycwmp.cfg03", "device"),
        ("easycwmp.cfg03.oui", "02AB00"),
        ("easycwmp.cfg03.serial_number", "0042"),
        ("easycwmp.cfg03.software_version", "18.06.1"),
    ];
    let Some((router, settings)) = migrated(&config) else { return };
    assert_eq!(settings.acs.url, "http://acs.example:8080/a=b");
    assert_eq!((settings.acs.username.as_str(), settings.acs.password.as_str()), ("cpe", "`touch owned`"));
    assert!(settings.acs.insecure && !settings.acs.expect);
    let request = &settings.connection_request;
    assert_eq!(
        (request.port, request.username.as_str(), request.password.as_str()),
        (7549, "cr", "it's $(touch owned)")
    );
    assert_eq!((settings.periodic.interval, settings.periodic.time), (100, None));
    assert_eq!(settings.log.level, log::LevelFilter::Debug);
    let uci = router.uci();
    for (name, value) in
        [("provisioning_code", "TLCO"), ("manufacturer_oui", "02AB00"), ("serial_number", "0042")]
    {
        assert_eq!(uci[&format!("cwmp.cpe.{name}")], value);
    }
    // easycwmp wrote that of the firmware of then.
    assert!(!uci.contains_key("cwmp.cpe.software_version"));
    assert!(settings.enabled);
    assert!(!router.dir.path().join("owned").exists());
}

/// The first easycwmp had its URL in parts; one that was switched off stays off, and what cannot be taken is said.
#[test]
fn an_easycwmp_that_is_old_and_off() {
    let config = [
        ("easycwmp.cfg01", "local"),
        ("easycwmp.cfg01.enable", "0"),
        ("easycwmp.cfg01.authentication", "Basic"),
        ("easycwmp.cfg02", "acs"),
        ("easycwmp.cfg02.scheme", "http"),
        ("easycwmp.cfg02.hostname", "acs.example"),
        ("easycwmp.cfg02.port", "8080"),
        ("easycwmp.cfg02.path", "/openacs/acs"),
        ("easycwmp.cfg02.ssl_cert", "/etc/cpe.pem"),
    ];
    let Some((router, settings)) = migrated(&config) else { return };
    assert_eq!(settings.acs.url, "http://acs.example:8080/openacs/acs");
    assert!(!settings.enabled);
    let told = router.told();
    for words in ["easycwmp took Basic", "the certificate of easycwmp is not taken over"] {
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn a_freecwmp_is_taken_over() {
    let of = |parts: &[(&str, &str)]| {
        let mut config =
            vec![("freecwmp.cfg01", "acs"), ("freecwmp.cfg01.username", "u"), ("freecwmp.cfg02", "local")];
        config.extend([("freecwmp.cfg02.port", "7550"), ("cwmp.acs", "acs")]);
        config.extend(parts);
        migrated(&config).map(|(_, settings)| {
            assert_eq!((settings.connection_request.port, settings.acs.username.as_str()), (7550, "u"));
            settings.acs.url
        })
    };
    let (host, port) = ("freecwmp.cfg01.hostname", "freecwmp.cfg01.port");
    let (scheme, path) = ("freecwmp.cfg01.scheme", "freecwmp.cfg01.path");
    let check = |parts: &[(&str, &str)], expected: &str| {
        if let Some(found) = of(parts) {
            assert_eq!(found, expected);
        }
    };
    check(
        &[(scheme, "https"), (host, "acs.example"), (port, "8443"), (path, "/x/y")],
        "https://acs.example:8443/x/y",
    );
    check(&[(host, "192.0.2.1")], "http://192.0.2.1/");
    check(&[(host, "2001:db8::1"), (port, "80")], "http://[2001:db8::1]:80/");
    check(&[("freecwmp.cfg01.url", "http://acs.example/z")], "http://acs.example/z");
}

#[test]
fn the_old_daemon_stops() {
    let Some(router) = Box::new(&[("easycwmp.cfg01", "acs"), ("easycwmp.cfg01.url", "http://a/")]) else {
        return;
    };
    router.program("root/etc/init.d/easycwmpd", "#!/bin/sh\necho \"easycwmpd $1\" >> \"$STUB/told\"\n");
    router.run("rcwmp.defaults", &[], &[]);
    assert!(router.told().contains("easycwmpd stop\neasycwmpd disable\n"));
}

#[test]
fn dhcp_is_asked_when_it_may_have_a_say() {
    let base = [
        ("network.wan", "interface"),
        ("network.wan.proto", "dhcp"),
        ("network.wan6", "interface"),
        ("network.wan6.proto", "dhcpv6"),
    ];
    let asked = |more: &[(&str, &str)]| {
        let (router, _) = migrated(&[&base[..], more].concat())?;
        let uci = router.uci();
        let told = router.told();
        let of = |name: &str| uci.get(&format!("network.{name}")).cloned().unwrap_or_default();
        let names = ["wan.reqopts", "wan.vendorid", "wan6.reqopts", "wan6.vendorclass"];
        let changed = names.iter().any(|name| !of(name).is_empty());
        assert_eq!(told.contains("ubus call network reload\n"), changed, "{told}");
        Some(names.map(of))
    };
    let check = |more: &[(&str, &str)], expected: [&str; 4]| {
        if let Some(found) = asked(more) {
            assert_eq!(found, expected, "{more:?}");
        }
    };
    let class = "00000de9000c64736c666f72756d2e6f7267";
    let (acs, url) = (("cwmp.acs", "acs"), ("cwmp.acs.url", "http://a/"));
    check(&[], ["43", "dslforum.org", "17", class]);
    check(&[acs, url], ["", "", "", ""]);
    // Nor by an agent that is switched off: the network would be told twice for nothing.
    check(&[("cwmp.cpe", "cpe"), ("cwmp.cpe.enable", "0")], ["", "", "", ""]);
    check(&[acs, url, ("cwmp.acs.dhcp_discovery", "enable")], ["43", "dslforum.org", "17", class]);
    // What is there stays: either option will do, and somebody's vendor class may be needed elsewhere.
    check(
        &[("network.wan.reqopts", "1 3 121"), ("network.wan.vendorid", "isp.example")],
        ["1 3 121 43", "isp.example", "17", class],
    );
    check(&[("network.wan.reqopts", "1 125")], ["1 125", "dslforum.org", "17", class]);
}

/// icwmp's include may have no name; those of others stay, whatever their places.
#[test]
fn every_include_of_icwmp_s_firewall_goes() {
    let config = [
        ("cwmp.acs", "acs"),
        ("firewall.cfg01", "include"),
        ("firewall.cfg01.path", "/etc/firewall.cwmp"),
        ("firewall.cfg02", "include"),
        ("firewall.cfg02.path", "/etc/firewall.user"),
        ("firewall.cfg03", "rule"),
        ("firewall.cfg03.path", "/etc/firewall.cwmp.old"),
        ("firewall.cfg04", "include"),
        ("firewall.cfg04.type", "script"),
        ("firewall.cfg04.path", "/etc/firewall.cwmp"),
        ("firewall.cwmp", "include"),
        ("firewall.cwmp.path", "/etc/firewall.cwmp"),
        ("firewall.cfg05", "include"),
        ("firewall.cfg05.path", "/usr/etc/firewall.cwmp"),
    ];
    let Some(router) = Box::new(&config) else { return };
    // While icwmp's script is there, so is icwmp.
    put(&router.root(), "etc/firewall.cwmp", "");
    router.run("rcwmp.defaults", &[], &[]);
    assert!(router.uci().contains_key("firewall.cfg01") && router.uci().contains_key("firewall.cwmp"));
    router.commits();
    fs::remove_file(router.root().join("etc/firewall.cwmp")).unwrap();
    router.run("rcwmp.defaults", &[], &[]);
    let left: Vec<String> = router.uci().into_keys().filter(|name| name.starts_with("firewall.")).collect();
    let expected = ["cfg02", "cfg02.path", "cfg03", "cfg03.path", "cfg05", "cfg05.path"]
        .map(|n| format!("firewall.{n}"));
    assert_eq!(left, expected);
    assert_eq!(router.commits().iter().filter(|package| *package == "firewall").count(), 1);
    router.run("rcwmp.defaults", &[], &[]);
    assert!(!router.commits().contains(&"firewall".to_owned()));
}

/// Options as people write them: the script that opens the port and the agent that listens there read them alike.
#[test]
fn the_service_and_the_agent_read_alike() {
    let around = |text: &str| [text.to_owned(), format!(" {text}"), format!("{text}\t ")];
    let mut ports: Vec<String> =
        ["7548", "+7548", "007548", "+007548"].into_iter().flat_map(around).collect();
    ports.extend(
        [
            "", " ", "+", "++7548", "+ 7548", "-7548", "75 48", "0", "000", "1", "065535", "65536", "0x1d7c",
            "7548.0", "٧٥",
        ]
        .map(str::to_owned),
    );
    for port in &ports {
        let config = [
            ("cwmp.cpe", "cpe"),
            ("cwmp.cpe.port", port.as_str()),
            ("cwmp.cpe.incoming_rule", " Port_only "),
        ];
        let Some(router) = Box::new(&config) else { return };
        let expected = format!("json_add_string dest_port {}\n", router.settings().connection_request.port);
        let told = router.init("start");
        assert!(told.contains(&expected), "{port:?}: {expected}{told}");
    }
    for word in ["0", "False", "NO", "disable", "Disabled", "on", "perhaps", "0 0", ""] {
        for enable in around(word) {
            let config = [("cwmp.cpe", "cpe"), ("cwmp.cpe.enable", enable.as_str())];
            let router = Box::new(&config).unwrap();
            let is_run = router.init("start").contains("procd_open_instance");
            assert_eq!(is_run, router.settings().enabled, "{enable:?}");
        }
    }
    for url in around("http://198.51.100.1/") {
        assert_eq!(Settings::read(&mut |name| (name == "acs.url").then(|| url.clone())).acs.url, url.trim());
        let told = rule(
            &[("cwmp.acs.url", &url), ("cwmp.cpe.default_wan_interface", " dsl ")],
            &[
                "type rule",
                "src zone-of-dsl",
                "target ACCEPT",
                "proto tcpudp",
                "dest_port 7547",
                " 198.51.100.1",
            ],
        );
        assert!(told.contains("procd_add_interface_trigger interface.*.up dsl "), "{told}");
    }
}
