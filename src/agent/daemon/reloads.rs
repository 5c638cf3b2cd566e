//! Tests: every option of `/etc/config/cwmp` holds after `uci commit` and a reload, without a restart.

use std::collections::BTreeSet;
use std::fs;

use super::*;
use crate::cwmp::dispatch;
use crate::sys::fs::Root;

const FILE: &str = include_str!("../../../uci/cwmp");

/// What this process makes of an option later, with the reason.
const ELSEWHERE: [(&str, &str); 6] = [
    ("cpe.default_lan_interface", "the init script's, which the same commit runs"),
    ("cpe.jail", "the init script's: procd starts the agent anew"),
    ("cpe.jail_user", "likewise"),
    ("cpe.bbf_vendor_prefix", "names of the model are made once: it needs a restart"),
    ("cpe.bbfdm_objects", "looked at before each session"),
    ("acs.https_ssl_capath", "another spelling of ssl_capath"),
];

/// How an option is seen in a daemon.
type Look = fn(&mut Daemon) -> String;

fn model(daemon: &mut Daemon, name: &str) -> String {
    let name = format!("Device.{name}");
    let found = daemon.model.values([name.as_str()]).unwrap();
    found.into_iter().next().map(|(_, value)| value.text).unwrap()
}

fn alarms(daemon: &mut Daemon) -> String {
    format!("{:?}", daemon.file.state.alarms)
}

fn rule(daemon: &mut Daemon) -> String {
    let settings = daemon.rule.settings();
    format!("{} {:?} {:?}", settings.path, settings.nonce_life, settings.credentials)
}

/// Option, another value than the default, where it is seen, and what is seen there then and not before.
const OPTIONS: &[(&str, &str, Look, &str)] = &[
    ("acs.url", "http://127.0.0.1:1/new", |d| d.settings.acs.url.clone(), "/new"),
    ("acs.userid", "who", |d| d.settings.acs.username.clone(), "who"),
    ("acs.passwd", "word", |d| d.settings.acs.password.as_str().to_owned(), "word"),
    ("acs.periodic_inform_enable", "0", |d| d.settings.periodic.enabled.to_string(), "false"),
    ("acs.periodic_inform_interval", "4321", alarms, "interval: 4321"),
    ("acs.periodic_inform_time", "2026-01-01T00:00:00Z", alarms, "reference: Some(1767225600)"),
    ("acs.dhcp_discovery", "1", |d| d.settings.discovery.on.to_string(), "true"),
    ("acs.dhcp_url", "http://127.0.0.1:1/dhcp", |d| d.settings.discovery.url.clone(), "/dhcp"),
    ("acs.retry_min_wait_interval", "7", |d| format!("{:?}", d.settings.retry), "(7, 2000)"),
    ("acs.retry_interval_multiplier", "3000", |d| format!("{:?}", d.settings.retry), "(5, 3000)"),
    ("acs.ssl_capath", "/etc/own.pem", |d| format!("{:?}", d.settings.acs.ca), "own.pem"),
    ("acs.insecure_enable", "1", |d| d.settings.acs.insecure.to_string(), "true"),
    ("acs.compression", "GZIP", |d| format!("{:?}", d.settings.acs.compression), "Gzip"),
    ("acs.http_disable_100continue", "1", |d| d.settings.acs.expect.to_string(), "false"),
    ("acs.get_rpc_methods", "0", |d| d.ask_methods.to_string(), "false"),
    ("acs.heartbeat_enable", "1", |d| d.settings.heartbeat.enabled.to_string(), "true"),
    ("acs.heartbeat_interval", "45", alarms, "interval: 45"),
    ("acs.heartbeat_time", "2026-01-02T00:00:00Z", alarms, "reference: Some(1767312000)"),
    ("cpe.enable", "0", |d| d.may_begin().to_string(), "false"),
    ("cpe.manufacturer", "Maker", |d| model(d, "DeviceInfo.Manufacturer"), "Maker"),
    ("cpe.manufacturer_oui", "0A0B0C", |d| model(d, "DeviceInfo.ManufacturerOUI"), "0A0B0C"),
    ("cpe.product_class", "Class", |d| model(d, "DeviceInfo.ProductClass"), "Class"),
    ("cpe.serial_number", "SN7", |d| model(d, "DeviceInfo.SerialNumber"), "SN7"),
    ("cpe.software_version", "9.9", |d| model(d, "DeviceInfo.SoftwareVersion"), "9.9"),
    ("cpe.model_name", "Model", |d| model(d, "DeviceInfo.ModelName"), "Model"),
    ("cpe.description", "What", |d| model(d, "DeviceInfo.Description"), "What"),
    ("cpe.default_wan_interface", "fibre", |d| d.settings.discovery.wan.clone(), "fibre"),
    ("cpe.force_ipv4", "1", |d| d.settings.acs.force_ipv4.to_string(), "true"),
    ("cpe.userid", "asker", rule, "asker"),
    ("cpe.passwd", "secret", |d| d.settings.connection_request.password.as_str().to_owned(), "secret"),
    ("cpe.port", "7999", |d| d.settings.connection_request.port.to_string(), "7999"),
    ("cpe.path", "knock", rule, "/knock "),
    ("cpe.cr_timeout", "0.5", |d| format!("{:?}", d.settings.connection_request.timeout), "500ms"),
    ("cpe.incoming_rule", "IP_Only", |d| format!("{:?}", d.settings.connection_request.rule), "Address"),
    ("cpe.provisioning_code", "TLCO", |d| model(d, "DeviceInfo.ProvisioningCode"), "TLCO"),
    ("cpe.amd_version", "2", |d| d.settings.amendment.to_string(), "2"),
    (
        "cpe.instance_mode",
        "InstanceAlias",
        |d| format!("{}", dispatch::addressing(&mut d.model).by_alias),
        "true",
    ),
    ("cpe.session_timeout", "99", rule, " 99s "),
    ("cpe.clock_sync_timeout", "3", |d| format!("{:?}", d.settings.clock_wait), "3s"),
    ("cpe.periodic_notify_enable", "0", |d| format!("{:?}", d.settings.look), "None"),
    ("cpe.periodic_notify_interval", "77", |d| format!("{:?}", d.settings.look), "77s"),
    ("cpe.active_notif_throttle", "55", alarms, "throttle: 55"),
    ("cpe.md_notif_limit", "66", alarms, "limit: 66"),
    ("cpe.schedule_reboot", "2099-01-01T00:00:00Z", alarms, "ScheduleReboot { at: 4070908800"),
    (
        "cpe.delay_reboot",
        "90",
        |d| {
            d.delay_reboot();
            alarms(d)
        },
        "AfterSession(90)",
    ),
    ("cpe.fw_upgrade_keep_settings", "0", |d| d.settings.keep_settings.to_string(), "false"),
    ("cpe.upgrades_managed", "1", |d| model(d, "ManagementServer.UpgradesManaged"), "1"),
    ("cpe.log_to_console", "1", |d| d.settings.log.console.to_string(), "true"),
    ("cpe.log_to_syslog", "0", |d| d.settings.log.syslog.to_string(), "false"),
    ("cpe.log_severity", "DEBUG", |d| format!("{:?}", d.settings.log.level), "Debug"),
    ("cpe.log_max_size", "4096", |d| d.settings.log.max_size.to_string(), "4096"),
    ("cpe.forced_inform_json", "/etc/forced.json", |d| d.settings.forced_inform.clone(), "forced"),
    ("cpe.custom_notify_json", "/etc/notify.json", |d| d.settings.custom_notify.clone(), "notify"),
    ("cpe.disable_datatype_check", "1", |d| d.settings.type_check.to_string(), "false"),
];

/// Options with their values.
type Set = &'static [(&'static str, &'static str)];

/// What is only seen beside another option.
const TOGETHER: &[(Set, Look, &str)] = &[
    (
        &[("acs.dhcp_discovery", "1"), ("acs.dhcp_retry_min_wait_interval", "9")],
        |d| format!("{:?}", d.settings.retry),
        "(9, 2000)",
    ),
    (
        &[("acs.dhcp_discovery", "1"), ("acs.dhcp_retry_interval_multiplier", "4000")],
        |d| format!("{:?}", d.settings.retry),
        "(5, 4000)",
    ),
    (
        &[
            ("acs.dhcp_discovery", "1"),
            ("acs.dhcp_retry_min_wait_interval", "9"),
            ("acs.retry_min_wait_interval", "8"),
            ("acs.retry_min_wait_interval_fixed", "1"),
        ],
        |d| format!("{:?}", d.settings.retry),
        "(8, 2000)",
    ),
    (
        &[
            ("acs.dhcp_discovery", "1"),
            ("acs.dhcp_retry_interval_multiplier", "4000"),
            ("acs.retry_interval_multiplier", "3000"),
            ("acs.retry_interval_multiplier_fixed", "1"),
        ],
        |d| format!("{:?}", d.settings.retry),
        "(5, 3000)",
    ),
    (
        &[("acs.ssl_cert", "/etc/own.crt"), ("acs.ssl_key", "/etc/own.key")],
        |d| format!("{:?}", d.settings.acs.identity),
        "own.key",
    ),
    (
        &[("cpe.use_curl_ifname", "1"), ("cpe.interface", "lo")],
        |d| format!("{:?}", d.settings.acs.interface),
        "lo",
    ),
    (
        &[("acs.dhcp_discovery", "1"), ("cpe.dhcp_provisioning_code", "of-dhcp")],
        |d| model(d, "DeviceInfo.ProvisioningCode"),
        "of-dhcp",
    ),
    (
        &[("cpe.log_to_file", "1"), ("cpe.log_file_name", "/tmp/else.log")],
        |d| format!("{:?}", d.settings.log.file),
        "else.log",
    ),
    (
        &[("cpe.http_connection_request_enable", "1")],
        |d| d.settings.connection_request.enabled.to_string(),
        "true",
    ),
];

/// Writes the file as `uci commit` does: the test's own options, and these.
fn commit(dir: &std::path::Path, options: &[(&str, &str)]) {
    let mut text = String::new();
    let own = [
        ("acs.url", "http://127.0.0.1:1/old"),
        ("cpe.log_to_file", "0"),
        ("cpe.http_connection_request_enable", "0"),
    ];
    let is_new = |name: &str| options.iter().any(|(other, _)| *other == name);
    for section in ["acs", "cpe"] {
        text.push_str(&format!("config {section} '{section}'\n"));
        for (name, value) in own.iter().filter(|(name, _)| !is_new(name)).chain(options) {
            if let Some(option) = name.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')) {
                text.push_str(&format!("\toption {option} '{value}'\n"));
            }
        }
    }
    fs::write(dir.join("etc/config/cwmp"), text).unwrap();
}

#[test]
fn every_option_holds_after_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("etc/config")).unwrap();
    commit(dir.path(), &[]);
    let options = Options { root: Root::new(dir.path()), ..Options::default() };
    let mut daemon = Daemon::start(&options).map_err(|why| why.0).unwrap();
    let one = OPTIONS.iter().map(|(name, value, look, seen)| (vec![(*name, *value)], look, seen));
    let several = TOGETHER.iter().map(|(options, look, seen)| (options.to_vec(), look, seen));
    for (options, look, seen) in one.chain(several) {
        let before = look(&mut daemon);
        assert!(!before.contains(seen), "{options:?} is seen before: {before}");
        commit(dir.path(), &options);
        daemon.reload();
        let after = look(&mut daemon);
        assert!(after.contains(seen), "{options:?}: {after}");
        // And back again.
        commit(dir.path(), &[]);
        daemon.reload();
        let after = look(&mut daemon);
        assert!(!after.contains(seen), "{options:?} stays: {after}");
    }
}

/// An option that the package's file tells of is in the table, or there is a reason.
#[test]
fn no_option_is_left_out() {
    let mut section = "";
    let mut told = BTreeSet::new();
    for line in FILE.lines() {
        let words: Vec<&str> = line.trim_start().trim_start_matches('#').split_whitespace().collect();
        match words[..] {
            ["config", _, name] => section = name.trim_matches('\''),
            ["option", name, ..] if ["acs", "cpe"].contains(&section) => {
                told.insert(format!("{section}.{name}"));
            }
            _ => {}
        }
    }
    let names = OPTIONS.iter().map(|one| one.0).chain(ELSEWHERE.iter().map(|one| one.0));
    let together = TOGETHER.iter().flat_map(|(options, ..)| options.iter().map(|(name, _)| *name));
    let mut known: BTreeSet<String> = names.chain(together).map(str::to_owned).collect();
    // Together with the code of DHCP, which it turns off: `settings` tells of it.
    known.insert("cpe.provisioning_code_fixed".to_owned());
    assert_eq!(told, known);
}
