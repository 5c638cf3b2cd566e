//! DSL lines and what is upon them: `dsl metrics` of the modem's control program over ubus, the device `dsl0` that
//! carries packets, and the ATM bridges of `/etc/config/network`; and the light of optical modules.

use super::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};
use crate::sys::decimal;
use crate::ubus::blobmsg::Value;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "dsl", get: metric, set: None },
    ValueFn { name: "sfp_level", get: level, set: None },
    ValueFn { name: "sfp_enable", get: module_enable, set: Some(set_module_enable) },
    ValueFn { name: "atm_destination", get: destination, set: Some(set_destination) },
    ValueFn { name: "cell_ip", get: ip_version, set: Some(set_ip_version) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "dsl_lines", rows: lines, add: None, delete: None },
    TableFn { name: "dsl_packets", rows: packets, add: None, delete: None },
    TableFn { name: "sfp_modules", rows: modules, add: None, delete: None },
    TableFn { name: "atm_links", rows: atm_links, add: Some(add_atm), delete: Some(delete_atm) },
];

/// The only line, and the network device upon it in packet mode.
const LINE: &str = "dsl";
const DEVICE: &str = "dsl0";
/// The longest text, and the most octets, that are taken of a metric.
const MAX_TEXT: usize = 256;
/// The most network devices that are looked at.
const MAX_DEVICES: usize = 256;
/// The most bridges that are looked at.
const MAX_LINKS: usize = 64;

fn lines(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let told = system.ubus("dsl", "metrics").is_some_and(|answer| answer.get("state").is_some());
    let row = Row { name: LINE.to_owned(), addr: LINE.to_owned(), cols: vec![DEVICE.to_owned()] };
    Ok(told.then_some(row).into_iter().collect())
}

/// The device of a line whose packets are not cut into cells.
fn packets(system: &mut System, at: Place<'_>, argument: &str) -> Result<Vec<Row>> {
    let bridges = atm_links(system, at, argument)?;
    let there = topology::in_sysfs(system, DEVICE, "") && bridges.iter().all(|row| row.cols[0] != DEVICE);
    if !there || lines(system, at, argument)?.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Row { name: DEVICE.to_owned(), addr: DEVICE.to_owned(), cols: vec![LINE.to_owned()] }])
}

/// One of the metrics: `downstream.attndr/1000`, `upstream.snr*10`, `upstream.actatp*10+500`, `atu_c.vendor_id@2-6` for
/// some octets of several.
fn metric(system: &mut System, _at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let Some(answer) = system.ubus("dsl", "metrics") else { return Ok(None) };
    let (rest, octets) = argument.split_once('@').unwrap_or((argument, ""));
    let (rest, plus) = rest.split_once('+').unwrap_or((rest, "0"));
    let (path, times) = rest.split_once('*').unwrap_or((rest, "1"));
    let (path, parts) = path.split_once('/').unwrap_or((path, "1"));
    let (groups, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut table = &*answer;
    for group in groups.split('.').filter(|group| !group.is_empty()) {
        let Some(below) = table.table(group) else { return Ok(None) };
        table = below;
    }
    let number = |text: &str| text.parse().unwrap_or(1);
    let scale = Scale { times: number(times), parts: number(parts), plus: number(plus) };
    Ok(table.get(name).and_then(|value| shown(value, &scale, octets)).map(Raw::One))
}

/// What a metric is multiplied with, divided by, and what is added then.
struct Scale {
    times: i32,
    parts: i32,
    plus: i32,
}

fn shown(value: &Value, scale: &Scale, octets: &str) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_str().chars().take(MAX_TEXT).collect()),
        Value::Array(members) => {
            let (from, to) = octets.split_once('-').unwrap_or(("0", ""));
            let (from, to) = (from.parse().ok()?, to.parse().unwrap_or(members.len()));
            let wanted = members.get(from..to).filter(|wanted| wanted.len() <= MAX_TEXT)?;
            let octets: Option<Vec<u8>> = wanted.iter().map(|one| u8::try_from(one.as_i64()?).ok()).collect();
            Some(octets?.iter().map(|octet| format!("{octet:02X}")).collect())
        }
        Value::Double(number) => {
            let scaled = number * f64::from(scale.times) / f64::from(scale.parts) + f64::from(scale.plus);
            decimal::nearest(scaled).map(|whole| whole.to_string())
        }
        other => {
            let (times, parts) = (i64::from(scale.times), i64::from(scale.parts));
            let scaled = other.as_i64()?.checked_mul(times)?;
            // Halves go away from zero, as with a fraction.
            let whole = scaled.checked_add(scaled.signum() * (parts / 2))?.checked_div(parts)?;
            let whole = whole.checked_add(scale.plus.into())?;
            (whole.unsigned_abs() <= u32::MAX.into()).then(|| whole.to_string())
        }
    }
}

// --- ATM

fn atm_device(system: &mut System, section: &str) -> Result<String> {
    let prefix = topology::text(system, section, "nameprefix")?;
    let unit = topology::text(system, section, "unit")?;
    let prefix = if prefix.is_empty() { "nas" } else { &prefix };
    let unit = if unit.is_empty() { "0" } else { &unit };
    Ok(format!("{prefix}{unit}"))
}

fn atm_links(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for section in system.sections("network", "atm-bridge")?.into_iter().take(MAX_LINKS) {
        let device = atm_device(system, &format!("network.{}", section.addr))?;
        out.push(Row { name: section.id, addr: section.addr, cols: vec![device, LINE.to_owned()] });
    }
    Ok(out)
}

fn add_atm(system: &mut System, at: Place<'_>, argument: &str) -> Result<Row> {
    let links = atm_links(system, at, argument)?;
    if links.is_empty() && !system.exists("/etc/init.d/br2684ctl") {
        return Err(Error::exhausted(format!("adding to {}: br2684ctl is not installed", at.name)));
    }
    let taken: Vec<String> = links.into_iter().map(|row| row.cols[0].clone()).collect();
    let unit = topology::numbered("nas", |device| taken.iter().any(|other| other == device));
    let name = topology::free_name(system, "network", "atm")?;
    let section = topology::new_section(system, "network", "atm-bridge", Some(&name))?;
    let unit_number = unit.trim_start_matches("nas");
    for (option, value) in
        [("disabled", "1"), ("unit", unit_number), ("encaps", "llc"), ("payload", "bridged")]
    {
        topology::put(system, &section, option, value)?;
    }
    Ok(Row { name: name.clone(), addr: name, cols: vec![unit, LINE.to_owned()] })
}

fn section(at: &Place<'_>) -> Result<String> {
    let row = at.row().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(format!("network.{}", row.addr))
}

fn delete_atm(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let section = section(&at)?;
    system.delete_section(&section)
}

/// `PVC:VPI/VCI`.
fn destination(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let vpi = topology::text(system, &section, "vpi")?.parse::<u8>();
    let vci = topology::text(system, &section, "vci")?.parse::<u16>();
    Ok(match (vpi, vci) {
        (Ok(vpi), Ok(vci)) => Some(Raw::One(format!("PVC:{vpi}/{vci}"))),
        _ => None,
    })
}

fn set_destination(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let text = raw.text();
    let pair = text.strip_prefix("PVC:").map(str::trim).and_then(|pair| pair.split_once('/'));
    let known = pair.and_then(|(vpi, vci)| Some((vpi.parse::<u8>().ok()?, vci.parse::<u16>().ok()?)));
    let (vpi, vci) = match known {
        Some((vpi, vci)) => (vpi.to_string(), vci.to_string()),
        None if text.is_empty() => Default::default(),
        None => return Err(Error::bad_value(at.name, "not PVC:VPI/VCI")),
    };
    topology::put(system, &section, "vpi", &vpi)?;
    topology::put(system, &section, "vci", &vci)
}

// --- optical modules

/// The modules that the kernel measures, by their sensors: named as those, addressed by their directory. Column: the
/// network device.
fn modules(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut out: Vec<Row> = Vec::new();
    for addr in system.names("/sys/class/hwmon").into_iter().take(MAX_LINKS) {
        let name = system.text(&format!("/sys/class/hwmon/{addr}/name"));
        let name = name.map(|name| name.trim().to_owned()).unwrap_or_default();
        let known = name.starts_with("sfp") && name.len() <= 64 && out.iter().all(|row| row.name != name);
        if known && system.exists(&format!("/sys/class/hwmon/{addr}/power1_input")) {
            let cols = vec![device_of(system, &addr).unwrap_or_default()];
            out.push(Row { name, addr, cols });
        }
    }
    Ok(out)
}

/// The network device of a module's cage: in the device tree, the device's property `sfp` is the number of the cage's
/// node.
fn device_of(system: &mut System, sensor: &str) -> Option<String> {
    let number =
        |system: &System, path: String| system.root.read(path, 4).ok().filter(|bytes| bytes.len() == 4);
    let cage = number(system, format!("/sys/class/hwmon/{sensor}/device/of_node/phandle"))?;
    let devices = system.names("/sys/class/net").into_iter().take(MAX_DEVICES);
    let mut devices = devices.filter(|device| topology::is_device_name(device));
    devices.find(|device| {
        ["of_node", "device/of_node"]
            .iter()
            .any(|node| number(system, format!("/sys/class/net/{device}/{node}/sfp")).as_ref() == Some(&cage))
    })
}

fn module_enable(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let device = at.row().and_then(|row| row.cols.first()).cloned().unwrap_or_default();
    if device.is_empty() { Ok(None) } else { topology::device_option(system, &device, "enabled") }
}

fn set_module_enable(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let device = at.row().and_then(|row| row.cols.first()).cloned().unwrap_or_default();
    if device.is_empty() {
        return Err(Error::bad_value(at.name, "nothing says which network device this module has"));
    }
    topology::put_device_option(system, &device, "enabled", &raw.text())
}

/// A sensor's microwatts in 0.001 dBm, in the steps of two that TR-181 has.
fn level(system: &mut System, at: Place<'_>, sensor: &str) -> Result<Option<Raw>> {
    let Some(row) = at.row() else { return Ok(None) };
    let text = system.text(&format!("/sys/class/hwmon/{}/{sensor}", row.addr));
    let watts: Option<u32> = text.and_then(|text| text.trim().parse().ok());
    Ok(watts.map(|watts| Raw::One(millibels(watts))))
}

fn millibels(microwatts: u32) -> String {
    let steps = (f64::from(microwatts) / 1_000.0).log10() * 10_000.0 / 2.0;
    // No light at all is as little as can be told.
    let level = decimal::nearest((steps.round() * 2.0).clamp(-65_536.0, 65_534.0));
    level.unwrap_or(-65_536).to_string()
}

// --- modems

/// ModemManager's interfaces have another option than the others, and another word for IPv4.
fn ip_option(system: &mut System, section: &str) -> Result<(&'static str, &'static str)> {
    let manager = topology::text(system, section, "proto")? == "modemmanager";
    Ok(if manager { ("iptype", "ipv4") } else { ("pdptype", "ip") })
}

fn ip_version(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let (option, _) = ip_option(system, &section)?;
    let word = topology::text(system, &section, option)?;
    Ok(Some(Raw::one(match word.to_ascii_lowercase().as_str() {
        "ip" | "ipv4" => "4",
        "ipv6" => "6",
        _ => "-1",
    })))
}

fn set_ip_version(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let (option, four) = ip_option(system, &section)?;
    let word = match raw.text().as_str() {
        "4" => four,
        "6" => "ipv6",
        _ => "ipv4v6",
    };
    topology::put(system, &section, option, word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::json;

    fn check(value: &str, (times, parts): (i32, i32), octets: &str, expected: Option<&str>) {
        let table = json::parse(&format!("{{\"v\":{value}}}")).unwrap();
        let scale = Scale { times, parts, plus: 0 };
        assert_eq!(shown(table.get("v").unwrap(), &scale, octets).as_deref(), expected, "{value}");
    }

    #[test]
    fn light() {
        for (microwatts, level) in
            [(1_000, "0"), (500, "-3010"), (1, "-30000"), (0, "-65536"), (7_943, "9000")]
        {
            assert_eq!(millibels(microwatts), level);
        }
    }

    #[test]
    fn metrics() {
        check("12.1", (10, 1), "", Some("121"));
        check("-0.04", (10, 1), "", Some("0"));
        check("141952288", (1, 1000), "", Some("141952"));
        check("1500", (1, 1000), "", Some("2"));
        check("-1500", (1, 1000), "", Some("-2"));
        check("-1499", (1, 1000), "", Some("-1"));
        check("7", (1, 0), "", None);
        check("7.5", (1, 0), "", None);
        check("true", (1, 1), "", Some("1"));
        check("[181,0,66,68]", (1, 1), "2-4", Some("4244"));
        check("[181,0]", (1, 1), "", Some("B500"));
        check("[181,0]", (1, 1), "2-6", None);
        check("[300]", (1, 1), "", None);
        check("[\"x\"]", (1, 1), "", None);
        check("\"17a\"", (1, 1), "", Some("17a"));
        check("9223372036854775807", (10, 1), "", None);
        check("{}", (1, 1), "", None);
        check("null", (1, 1), "", None);
    }
}
