//! `Device.DeviceInfo.`: who the device is, and its files.
//!
//! Identity is taken from the first place that knows: the agent's configuration, then what the image and
//! the board say (`/etc/device_info`, `/etc/openwrt_release`, `/etc/board.json`, `/tmp/sysinfo`, the device tree), last
//! procd (`system board`).

use serde_json::Value as Json;

use crate::backend::functions::netif::unless_off;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::ubus::blobmsg::Table;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "device_identity", get: identity, set: None },
    ValueFn { name: "device_uptime", get: uptime, set: None },
    ValueFn { name: "memory", get: memory, set: None },
    ValueFn { name: "persistent_space", get: space, set: None },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "config_files", rows: config_files, add: None, delete: None },
    TableFn { name: "log_files", rows: log_files, add: None, delete: None },
    TableFn { name: "data_models", rows: data_models, add: None, delete: None },
    TableFn { name: "device_processors", rows: processors, add: None, delete: None },
    TableFn { name: "firmware_images", rows: images, add: None, delete: None },
];

/// The row of the only firmware image.
const IMAGE: &str = "running";
/// KiB of the log in memory when UCI is silent.
const LOG_SIZE: u32 = 64;
/// Where icwmp logs, and how much.
const AGENT_LOG: (&str, &str) = ("/var/log/icwmpd.log", "102400");

fn identity(system: &mut System, _at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let configured = match what {
        "manufacturer" => "manufacturer",
        "oui" => "manufacturer_oui",
        "model_name" => "model_name",
        "description" => "description",
        "product_class" => "product_class",
        "serial_number" => "serial_number",
        "software_version" => "software_version",
        _ => "",
    };
    if !configured.is_empty() {
        let text = system.option_text(&format!("cwmp.cpe.{configured}"))?;
        // A part of a wrong one would be another manufacturer's.
        let is_oui = || text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match what {
            "oui" if !text.is_empty() && !is_oui() => return Ok(None),
            "oui" if !text.is_empty() => return Ok(Some(Raw::One(text.to_ascii_uppercase()))),
            _ if !text.is_empty() => return Ok(Some(Raw::One(text))),
            _ => {}
        }
    }
    let text = match what {
        "manufacturer" => assigned_in(system, "/etc/device_info", "DEVICE_MANUFACTURER")
            .or_else(|| assigned_in(system, "/etc/os-release", "OPENWRT_DEVICE_MANUFACTURER")),
        "oui" => base_mac(system).map(|mac| mac[..6].to_owned()),
        "serial_number" => line(system, "/proc/device-tree/serial-number").or_else(|| base_mac(system)),
        "model_name" => line(system, "/tmp/sysinfo/model")
            .or_else(|| board(system).pointer("/model/name").and_then(text_of))
            .or_else(|| line(system, "/proc/device-tree/model"))
            .or_else(|| told(system, "model")),
        "board_name" | "product_class" => line(system, "/tmp/sysinfo/board_name")
            .or_else(|| board(system).pointer("/model/id").and_then(text_of))
            .or_else(|| assigned_in(system, "/etc/device_info", "DEVICE_PRODUCT"))
            .or_else(|| told(system, "board_name")),
        "description" => assigned_in(system, "/etc/openwrt_release", "DISTRIB_DESCRIPTION")
            .or_else(|| released(system, "description")),
        // The board's name has its revision in it, where there are several.
        "hardware_version" => {
            assigned_in(system, "/etc/device_info", "DEVICE_REVISION").or_else(|| told(system, "board_name"))
        }
        "software_version" => software_version(system),
        "more_versions" => Some(more_versions(system)),
        "image" => Some(IMAGE.to_owned()),
        _ => None,
    };
    Ok(text.map(Raw::One))
}

/// The release; of a snapshot also the revision, as nothing else tells two of them apart.
fn software_version(system: &mut System) -> Option<String> {
    let mut release = assigned_in(system, "/etc/openwrt_release", "DISTRIB_RELEASE");
    let mut revision = assigned_in(system, "/etc/openwrt_release", "DISTRIB_REVISION");
    if release.is_none() && revision.is_none() {
        release = released(system, "version");
        revision = released(system, "revision");
    }
    match (release, revision) {
        (Some(release), Some(revision)) if release.contains("SNAPSHOT") => {
            Some(format!("{release}-{revision}"))
        }
        (Some(release), _) => Some(release),
        (None, revision) => revision,
    }
}

/// Revision and kernel, separated by a comma, within the 64 characters that TR-181 gives.
fn more_versions(system: &mut System) -> String {
    let revision = assigned_in(system, "/etc/openwrt_release", "DISTRIB_REVISION");
    let kernel = line(system, "/proc/version").and_then(|text| {
        let version = text.strip_prefix("Linux version ")?.split(' ').next()?;
        Some(format!("Linux-{version}"))
    });
    let mut out = String::new();
    for word in [revision, kernel].into_iter().flatten() {
        if out.len() + word.len() < 64 && !word.contains(',') {
            out = if out.is_empty() { word } else { format!("{out},{word}") };
        }
    }
    out
}

/// A text of `system board`, on one line.
fn told(system: &mut System, name: &str) -> Option<String> {
    told_text(&*system.ubus("system", "board")?, name)
}

/// A text of the release in `system board`.
fn released(system: &mut System, name: &str) -> Option<String> {
    told_text(system.ubus("system", "board")?.table("release")?, name)
}

fn told_text(table: &Table, name: &str) -> Option<String> {
    let text: String = table.text(name)?.chars().filter(|c| !c.is_control()).take(256).collect();
    (!text.is_empty()).then_some(text)
}

fn board(system: &mut System) -> Json {
    let text = system.text("/etc/board.json");
    text.and_then(|text| serde_json::from_slice(text.as_bytes()).ok()).unwrap_or(Json::Null)
}

fn text_of(value: &Json) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The address on the label, twelve upper-case digits: what the board file names, else that of a port.
fn base_mac(system: &mut System) -> Option<String> {
    let board = board(system);
    let named = ["/system/label_macaddr", "/network/wan/macaddr", "/network/lan/macaddr"];
    let named = named.iter().find_map(|path| board.pointer(path).and_then(Json::as_str).and_then(digits));
    named.or_else(|| {
        ["eth0", "br-lan", "lan1", "lan", "wan", "eth1"].iter().find_map(|device| {
            let text = system.text(&format!("/sys/class/net/{device}/address"))?;
            digits(text.trim()).filter(|mac| mac != "000000000000")
        })
    })
}

/// A MAC address as digits only.
fn digits(mac: &str) -> Option<String> {
    let out: String = mac.split(':').collect();
    let good = mac.len() == 17 && out.len() == 12 && out.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| out.to_ascii_uppercase())
}

/// The first line of a file, without the zero byte that ends a string of the device tree; `None` if empty.
fn line(system: &mut System, path: &str) -> Option<String> {
    let text = system.text(path)?;
    let line = text.lines().next()?.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    (!line.is_empty()).then(|| line.to_owned())
}

pub(super) fn assigned_in(system: &mut System, path: &str, name: &str) -> Option<String> {
    assigned(&system.text(path)?, name).filter(|text| !text.is_empty())
}

/// The value of `NAME='value'` or `NAME="value"` in a file that a shell could read. Nothing is expanded.
fn assigned(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?.trim();
    let bare = ['\'', '"'].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Some(bare.unwrap_or(value).to_owned())
}

fn uptime(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (_, mut since_boot) = system.now();
    if since_boot == 0 && !system.exists("/proc/uptime") {
        let told = system.ubus("system", "info").and_then(|info| info.number("uptime"));
        since_boot = told.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
    }
    Ok(Some(Raw::One(since_boot.min(u64::from(u32::MAX)).to_string())))
}

/// KiB of the memory, from the kernel, else from procd, which has octets.
fn memory(system: &mut System, _at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let (key, name) = if what == "total" { ("MemTotal:", "total") } else { ("MemFree:", "free") };
    if let Some(text) = system.text("/proc/meminfo") {
        let rest = text.lines().find_map(|line| line.trim_start().strip_prefix(key));
        return Ok(rest.and_then(|rest| rest.split_whitespace().next()).map(Raw::one));
    }
    let told = system.ubus("system", "info").and_then(|info| info.table("memory")?.number(name));
    let octets = told.and_then(|octets| u64::try_from(octets).ok());
    Ok(octets.map(|octets| Raw::One((octets / 1024).min(u64::from(u32::MAX)).to_string())))
}

fn space(system: &mut System, _at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let place = if system.exists("/overlay") { "/overlay" } else { "/" };
    let found = system.space(place).map(|(total, free)| if what == "total" { total } else { free });
    Ok(found.map(|kib| Raw::One(kib.min(u64::from(u32::MAX)).to_string())))
}

fn config_files(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    // Leftovers of package managers (`network-opkg`, `network.apk-new`) are not configuration.
    let is_package = |name: &String| {
        !name.ends_with("-opkg")
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let row = |name: String| {
        let cols = vec![format!("UCI configuration {name}"), "1".to_owned()];
        Row { addr: name.clone(), name, cols }
    };
    let folder = system.config_folder();
    Ok(system.names(&folder).into_iter().filter(is_package).map(row).collect())
}

fn log_files(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let persistent = |path: &str| {
        let gone = !path.starts_with('/') || path.starts_with("/tmp/") || path.starts_with("/var/");
        if gone { "0" } else { "1" }.to_owned()
    };
    let file = system.option_text("system.@system[0].log_file")?;
    let size = system.option_text("system.@system[0].log_size")?.parse().unwrap_or(LOG_SIZE);
    let named = if file.is_empty() { "syslog".to_owned() } else { file.clone() };
    let mut out = vec![Row {
        name: "system".into(),
        addr: "system".into(),
        cols: vec![named, size.saturating_mul(1024).to_string(), persistent(&file)],
    }];
    let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
    let file = or(system.option_text("cwmp.cpe.log_file_name")?, AGENT_LOG.0);
    if unless_off(system, "cwmp.cpe.log_to_file")? || system.exists(&file) {
        let size = or(system.option_text("cwmp.cpe.log_max_size")?, AGENT_LOG.1);
        let kept = persistent(&file);
        out.push(Row { name: "agent".into(), addr: "agent".into(), cols: vec![file, size, kept] });
    }
    Ok(out)
}

/// TR-181, and TR-140 where there is something that it is about.
fn data_models(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut known = vec![("1", "urn:broadband-forum-org:tr-181-2-19-1")];
    if system.has_package("fstab") {
        known.push(("storage", "urn:broadband-forum-org:tr-140-1-2-0"));
    }
    let row = |(name, urn): (&str, &str)| Row {
        name: name.to_owned(),
        addr: name.to_owned(),
        cols: vec![urn.to_owned()],
    };
    Ok(known.into_iter().map(row).collect())
}

/// TR-181's word for the architecture of an image (`DISTRIB_ARCH`); it has none for some.
fn architecture(arch: &str) -> Option<&'static str> {
    let family = arch.split('_').next().unwrap_or_default();
    Some(match family {
        "aarch64" | "arm" => "arm",
        "i386" => "i386",
        "mips" | "mips64" => "mipseb",
        "mipsel" | "mips64el" => "mipsel",
        "powerpc" | "powerpc64" => "powerpc",
        "x86" if arch == "x86_64" => "x86_64",
        _ => return None,
    })
}

/// The kernel's processors, of which the image says what they are.
fn processors(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let release = system.text("/etc/openwrt_release").and_then(|text| assigned(&text, "DISTRIB_ARCH"));
    let Some(word) = release.as_deref().and_then(architecture) else { return Ok(Vec::new()) };
    let text = system.text("/proc/cpuinfo").unwrap_or_default();
    let number = |line: &str| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "processor").then(|| value.trim().parse::<u32>().ok())?
    };
    let row =
        |number: u32| Row { name: number.to_string(), addr: number.to_string(), cols: vec![word.into()] };
    Ok(text.lines().filter_map(number).take(1024).map(row).collect())
}

fn images(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut read = |what| Ok(identity(system, at, what)?.map(|raw| raw.text()).unwrap_or_default());
    let cols = vec![read("description")?, read("software_version")?];
    Ok(vec![Row { name: IMAGE.to_owned(), addr: IMAGE.to_owned(), cols }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_assignments() {
        let text = "DISTRIB_ID='OpenWrt'\nDISTRIB_RELEASE=\"24.10.2\"\n X=1\nDISTRIB_TAINTS=''\nQ='";
        for (name, value) in [
            ("DISTRIB_ID", Some("OpenWrt")),
            ("DISTRIB_RELEASE", Some("24.10.2")),
            ("X", Some("1")),
            ("DISTRIB_TAINTS", Some("")),
            ("DISTRIB", None),
            ("Q", Some("'")),
        ] {
            assert_eq!(assigned(text, name).as_deref(), value, "{name}");
        }
    }

    #[test]
    fn architectures() {
        for (text, word) in [
            ("aarch64_cortex-a53", Some("arm")),
            ("arm_cortex-a7_neon-vfpv4", Some("arm")),
            ("mipsel_24kc", Some("mipsel")),
            ("mips_24kc", Some("mipseb")),
            ("mips64_octeonplus", Some("mipseb")),
            ("x86_64", Some("x86_64")),
            ("i386_pentium4", Some("i386")),
            ("powerpc_8548", Some("powerpc")),
            ("riscv64_generic", None),
            ("", None),
        ] {
            assert_eq!(architecture(text), word, "{text}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(digits("02:00:00:00:01:0f").as_deref(), Some("02000000010F"));
        for bad in ["", "02:00:00:00:01", "02:00:00:00:01:0g", "020000000:1:0:fff", "ä:00:00:00:01:0f"] {
            assert_eq!(digits(bad), None, "{bad}");
        }
    }
}
