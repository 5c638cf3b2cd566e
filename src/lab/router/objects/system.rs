//! `system` and `log`: the board, its memory and load, and the system log.

use super::reply::{Answer, array, number, ok, table};
use super::state::State;
use crate::sys::clock::epoch_seconds;
use crate::sys::zone::Zone;
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::msg::Status;

/// Methods of `system`.
pub const SYSTEM: &[&str] = &[
    "board",
    "info",
    "reboot",
    "watchdog frequency:i timeout:i magicclose:b stop:b",
    "signal pid:i signum:i",
    "validate_firmware_image path:s",
    "sysupgrade path:s force:b backup:s prefix:s command:s options:t",
];
/// Methods of `log`.
pub const LOG: &[&str] = &["read lines:i stream:b oneshot:b", "write event:s"];
/// What the overlay holds and has free, in KiB.
const OVERLAY: (i32, i32) = (96_304, 71_552);
/// What is used of `/tmp`, in KiB.
const TMP_USED: i32 = 1388;
/// The longest line that is written into the log.
const MAX_EVENT: usize = 1024;

/// Answers for `system`; a reboot is only recorded.
///
/// # Errors
/// What is not simulated is not supported.
pub fn system(state: &mut State, _object: &str, method: &str, _arguments: &Table) -> Answer {
    match method {
        "board" => ok(board(state)),
        "info" => ok(info(state)),
        "reboot" => {
            state.note(29, "procd: - shutdown -");
            Ok(None)
        }
        _ => Err(Status::NotSupported),
    }
}

/// Answers for `log`.
///
/// # Errors
/// "Invalid argument" for a line that is missing or too long.
pub fn log(state: &mut State, _object: &str, method: &str, arguments: &Table) -> Answer {
    if method == "write" {
        let event = arguments.text("event").filter(|event| event.len() <= MAX_EVENT);
        state.note(13, &event.ok_or(Status::InvalidArgument)?);
        return Ok(None);
    }
    let count = arguments.get("lines").and_then(Value::as_i64).and_then(|count| usize::try_from(count).ok());
    let lines = state.log(count.filter(|count| *count > 0).unwrap_or(usize::MAX)).map(|line| {
        table! {
            "msg": line.text.as_str(),
            "id": number(line.id),
            "priority": line.priority,
            "source": i32::from(line.priority >= 8),
            "time": Value::Int64(line.time),
        }
    });
    ok(table! { "log": array(lines) })
}

/// The router's name, as of the last time that `/etc/config/system` was read.
pub fn hostname(state: &State) -> String {
    let mut sections = state.sections("system", "system");
    sections.find_map(|section| section.text("hostname")).unwrap_or_else(|| "OpenWrt".to_owned())
}

fn board(state: &State) -> Table {
    let release = state.read("/etc/openwrt_release").unwrap_or_default();
    let told = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim_matches(['\'', '"']).to_owned()).unwrap_or_default()
    };
    let version = state.read("/proc/version").unwrap_or_default();
    let root = state.read("/proc/mounts").unwrap_or_default();
    let squashed = root.lines().any(|line| line.contains(" /rom squashfs "));
    table! {
        "kernel": version.split(' ').nth(2).unwrap_or_default(),
        "hostname": hostname(state),
        "system": processor(state),
        "model": state.value("/tmp/sysinfo/model").unwrap_or_default(),
        "board_name": state.value("/tmp/sysinfo/board_name").unwrap_or_default(),
        "rootfs_type": if squashed { "squashfs" } else { "ext4" },
        "release": table! {
            "distribution": told("DISTRIB_ID"),
            "version": told("DISTRIB_RELEASE"),
            "revision": told("DISTRIB_REVISION"),
            "target": told("DISTRIB_TARGET"),
            "description": told("DISTRIB_DESCRIPTION"),
        },
    }
}

/// The processor as procd names it: by the kernel's words, or on 64-bit ARM by its revision.
fn processor(state: &State) -> String {
    let text = state.read("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim().to_owned())
        })
    };
    ["system type", "cpu model", "model name", "Processor", "Hardware"]
        .into_iter()
        .find_map(field)
        .or_else(|| field("CPU revision").map(|revision| format!("ARMv8 Processor rev {revision}")))
        .unwrap_or_default()
}

fn info(state: &State) -> Table {
    let text = state.read("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| -> i64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    };
    let octets = |name: &str| Value::Int64(kib(name).saturating_mul(1024));
    let load = state.read("/proc/loadavg").unwrap_or_default();
    // In parts of 65536, as the kernel tells procd.
    let load = load.split(' ').take(3).map(|word| {
        let (whole, part) = word.split_once('.').unwrap_or((word, "0"));
        let hundredths =
            whole.parse::<i64>().ok().and_then(|whole| Some(whole * 100 + part.parse::<i64>().ok()?));
        number(hundredths.unwrap_or_default().saturating_mul(65_536) / 100)
    });
    let zone = state.sections("system", "system").find_map(|section| section.text("timezone"));
    let now = epoch_seconds();
    let offset = zone.filter(|zone| Zone::is_zone(zone)).map_or(0, |zone| Zone::parse(&zone).offset_at(now));
    let tmp = i32::try_from(kib("MemTotal") / 2).unwrap_or(i32::MAX);
    table! {
        "localtime": number(now + i64::from(offset)),
        "uptime": number(state.uptime()),
        "load": array(load),
        "memory": table! {
            "total": octets("MemTotal"),
            "free": octets("MemFree"),
            "shared": octets("Shmem"),
            "buffered": octets("Buffers"),
            "available": octets("MemAvailable"),
            "cached": octets("Cached"),
        },
        "root": table! {
            "total": OVERLAY.0,
            "free": OVERLAY.1,
            "used": OVERLAY.0 - OVERLAY.1,
            "avail": OVERLAY.1,
        },
        "tmp": table! { "total": tmp, "free": tmp - TMP_USED, "used": TMP_USED, "avail": tmp - TMP_USED },
        "swap": table! { "total": octets("SwapTotal"), "free": octets("SwapFree") },
    }
}
