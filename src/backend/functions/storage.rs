//! `Device.Services.StorageService.` (TR-140) on block-mount: the disks of `/sys/block`, and the file systems that
//! `/proc/mounts` has of them or `/etc/config/fstab` wants. Their shares are in [`super::shares`].
//!
//! ```text
//!  PhysicalMedium   sda, mmcblk0, nvme0n1
//!  LogicalVolume    /mnt/sda1        named by where it is mounted, which is what fstab and mounts have in common
//! ```

use super::orders::Order;
use super::{init_scripts, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "storage_able", get: able, set: None },
    ValueFn { name: "storage_server", get: server, set: Some(set_server) },
    ValueFn { name: "storage_disk", get: disk, set: None },
    ValueFn { name: "storage_volume", get: volume, set: None },
    ValueFn { name: "storage_mount", get: mount, set: Some(set_mount) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "storage_services", rows: services, add: None, delete: None },
    TableFn { name: "storage_disks", rows: disks, add: None, delete: None },
    TableFn { name: "storage_volumes", rows: volumes, add: None, delete: None },
];

/// The most disks, and the most mounts that are looked at.
const MAX_DISKS: usize = 64;
const MAX_MOUNTS: usize = 256;
/// Where the system itself lives: no place of the user's.
const SYSTEM: [&str; 4] = ["/", "/rom", "/overlay", "/boot"];

/// The kernel's file systems, with TR-140's words, or ours for those that it does not know.
const FILE_SYSTEMS: [(&str, &[&str]); 12] = [
    ("vfat", &["FAT16", "FAT32"]),
    ("ntfs", &["NTFS"]),
    ("ntfs3", &["NTFS"]),
    ("hfs", &["HFS"]),
    ("hfsplus", &["HFS+"]),
    ("ext2", &["ext2"]),
    ("ext3", &["ext3"]),
    ("ext4", &["X_RCWMP_ext4"]),
    ("xfs", &["XFS"]),
    ("exfat", &["X_RCWMP_exfat"]),
    ("f2fs", &["X_RCWMP_f2fs"]),
    ("btrfs", &["X_RCWMP_btrfs"]),
];
/// Network protocols: TR-140's word, and the start scripts of the servers that speak it.
const SERVERS: [(&str, &[&str]); 4] =
    [("SMB", &["samba4", "ksmbd"]), ("NFS", &["nfsd"]), ("AFP", &["afpd"]), ("FTP", &["vsftpd"])];

/// One, where block-mount is installed.
fn services(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let row = Row { name: "block-mount".to_owned(), addr: "fstab".to_owned(), cols: Vec::new() };
    Ok(system.has_package("fstab").then_some(row).into_iter().collect())
}

fn able(system: &mut System, _at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    Ok(Some(match what {
        "file_systems" => {
            let text = system.text("/proc/filesystems").unwrap_or_default();
            let known: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().last()).collect();
            let words = FILE_SYSTEMS.iter().filter(|(name, _)| known.contains(name));
            let mut words: Vec<String> =
                words.flat_map(|(_, words)| *words).map(|word| (*word).to_owned()).collect();
            words.dedup();
            Raw::Many(words)
        }
        "protocols" => {
            let mut words = Vec::new();
            for (word, _) in SERVERS.into_iter().filter(|(word, _)| *word != "FTP") {
                if script(system, word).is_some() {
                    words.push(word.to_owned());
                }
            }
            Raw::Many(words)
        }
        // The server that dropbear and OpenSSH call for it.
        "sftp" => Raw::one(if system.exists("/usr/libexec/sftp-server") { "1" } else { "0" }),
        protocol => Raw::one(if script(system, protocol).is_some() { "1" } else { "0" }),
    }))
}

/// The start script of the server that is installed for a protocol.
fn script(system: &mut System, protocol: &str) -> Option<&'static str> {
    let (_, scripts) = SERVERS.iter().find(|(word, _)| *word == protocol)?;
    scripts.iter().find(|script| system.exists(&format!("/etc/init.d/{script}"))).copied()
}

/// `PROTOCOL/enable` or `PROTOCOL/status`.
fn server(system: &mut System, _at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let (protocol, what) = argument.split_once('/').unwrap_or((argument, ""));
    let script = script(system, protocol);
    let enabled = script.is_some_and(|script| init_scripts::is_enabled(system, script));
    Ok(Some(Raw::one(match what {
        "enable" => {
            if enabled {
                "1"
            } else {
                "0"
            }
        }
        _ if script.is_some_and(|script| super::services::runs(system, script)) => "Enabled",
        _ if enabled => "Error",
        _ => "Disabled",
    })))
}

fn set_server(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let protocol = argument.split('/').next().unwrap_or_default();
    let on = topology::truth(&raw.text());
    match script(system, protocol) {
        Some(script) => init_scripts::put_enabled(system, at, script, on),
        None if !on => Ok(()),
        None => Err(Error::bad_value(at.name, "no server for it is installed")),
    }
}

// --- disks

/// Whether a block device is a disk of its own: neither a part of the flash nor made of others.
fn is_disk(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let letters = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    let nvme = |rest: &str| rest.split_once('n').is_some_and(|(at, number)| digits(at) && digits(number));
    name.strip_prefix("sd").is_some_and(letters)
        || name.strip_prefix("vd").is_some_and(letters)
        || name.strip_prefix("mmcblk").is_some_and(digits)
        || name.strip_prefix("nvme").is_some_and(nvme)
}

/// The disk of a partition: `sda1` is of `sda`, `mmcblk0p2` of `mmcblk0`.
fn disk_of(device: &str) -> Option<&str> {
    let head = device.trim_end_matches(|c: char| c.is_ascii_digit());
    let candidates = [device, head, head.strip_suffix('p').unwrap_or(head)];
    candidates.into_iter().find(|name| is_disk(name))
}

fn disks(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let names = system.names("/sys/block").into_iter().filter(|name| is_disk(name)).take(MAX_DISKS);
    Ok(names.map(|name| Row { addr: name.clone(), name, cols: Vec::new() }).collect())
}

/// The USB device that a disk is in: the last one on the way to it.
fn usb_device(system: &mut System, disk: &str) -> Option<String> {
    let link = system.link(&format!("/sys/block/{disk}"))?;
    let interface = link.split('/').rfind(|part| part.contains(':') && part.contains('-'))?;
    let device = interface.split(':').next()?.to_owned();
    system.exists(&format!("/sys/bus/usb/devices/{device}/speed")).then_some(device)
}

fn disk(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(name) = at.row().map(|row| row.addr.clone()) else { return Ok(None) };
    let mut first = |files: &[&str]| {
        files.iter().find_map(|file| {
            let text = system.text(&format!("/sys/block/{name}/{file}"))?;
            let text: String = text.trim().chars().filter(|c| !c.is_control()).take(64).collect();
            (!text.is_empty()).then_some(text)
        })
    };
    Ok(match what {
        "vendor" => first(&["device/vendor", "device/manfid"]),
        "model" => first(&["device/model", "device/name"]),
        "firmware" => first(&["device/rev", "device/firmware_rev", "device/fwrev"]),
        "removable" => first(&["removable"]),
        // 512 octets each, whatever the disk's own blocks are.
        "capacity" => {
            first(&["size"]).and_then(|text| megabytes(text.parse::<u64>().ok()?.checked_mul(512)?))
        }
        "status" => {
            let state = first(&["device/power/runtime_status"]);
            Some(if state.as_deref() == Some("suspended") { "Standby" } else { "Online" }.to_owned())
        }
        "serial" => match first(&["device/serial"]) {
            Some(serial) => Some(serial),
            None => usb_device(system, &name)
                .and_then(|device| system.text(&format!("/sys/bus/usb/devices/{device}/serial")))
                .map(|text| text.trim().to_owned()),
        },
        "uptime" => Some((system.now().1 / 3600).min(u64::from(u32::MAX)).to_string()),
        _ => {
            let usb = usb_device(system, &name);
            let speed = usb.and_then(|device| system.text(&format!("/sys/bus/usb/devices/{device}/speed")));
            match (speed.as_deref().map(str::trim), name.as_str()) {
                (Some("1.5" | "12"), _) => Some("USB 1.1"),
                (Some("480"), _) => Some("USB 2.0"),
                (Some(_), _) => Some("X_RCWMP_USB3"),
                (None, name) if name.starts_with("nvme") => Some("X_RCWMP_NVMe"),
                (None, name) if name.starts_with("mmcblk") => Some("X_RCWMP_MMC"),
                _ => None,
            }
            .map(str::to_owned)
        }
    }
    .map(Raw::One))
}

/// Whole megabytes of a million octets.
fn megabytes(octets: u64) -> Option<String> {
    u32::try_from(octets / 1_000_000).ok().map(|count| count.to_string())
}

// --- volumes

/// Where the file systems of disks are mounted: target, disk, kind.
fn mounts(system: &mut System) -> Vec<(String, String, String)> {
    let text = system.text("/proc/mounts").unwrap_or_default();
    let mut out: Vec<(String, String, String)> = Vec::new();
    for line in text.lines().take(MAX_MOUNTS) {
        let mut words = line.split(' ');
        let (Some(device), Some(target), Some(kind)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let Some(disk) = device.strip_prefix("/dev/").and_then(disk_of) else { continue };
        let target = unescaped(target);
        if !SYSTEM.contains(&target.as_str()) && out.iter().all(|(other, ..)| *other != target) {
            out.push((target, disk.to_owned(), kind.to_owned()));
        }
    }
    out
}

/// The kernel writes blanks of a path as `\040`.
fn unescaped(path: &str) -> String {
    path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// Columns: section of fstab, disk, kind; the first is empty of what was mounted without one, the others of what is not
/// mounted.
fn volumes(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mounted = mounts(system);
    let mut out: Vec<Row> = Vec::new();
    for section in system.sections("fstab", "mount")?.into_iter().take(MAX_MOUNTS) {
        let target = topology::text(system, &format!("fstab.{}", section.addr), "target")?;
        if target.is_empty() || SYSTEM.contains(&target.as_str()) || out.iter().any(|row| row.name == target)
        {
            continue;
        }
        let found = mounted.iter().find(|(other, ..)| *other == target);
        let (disk, kind) = found.map(|(_, disk, kind)| (disk.clone(), kind.clone())).unwrap_or_default();
        out.push(Row { name: target.clone(), addr: target, cols: vec![section.addr, disk, kind] });
    }
    for (target, disk, kind) in mounted {
        if out.iter().all(|row| row.name != target) {
            out.push(Row { name: target.clone(), addr: target, cols: vec![String::new(), disk, kind] });
        }
    }
    Ok(out)
}

/// The row of the volume that a place is in.
pub(super) fn row_of<'p>(at: &Place<'p>) -> Option<&'p Row> {
    at.rows.get(1).map(|instance| &instance.row)
}

fn volume(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(row) = row_of(&at).cloned() else { return Ok(None) };
    let (section, disk, kind) = (&row.cols[0], &row.cols[1], &row.cols[2]);
    let space = if disk.is_empty() { None } else { system.space(&row.addr) };
    let octets = |kib: u64| megabytes(kib.saturating_mul(1024));
    Ok(match what {
        "status" if !disk.is_empty() => Some("Online".to_owned()),
        "status" => {
            let wanted = topology::truth(&topology::text(system, &format!("fstab.{section}"), "enabled")?);
            Some(if wanted { "Error" } else { "Offline" }.to_owned())
        }
        "medium" => (!disk.is_empty()).then(|| disk.clone()),
        "kind" => {
            let found = FILE_SYSTEMS.iter().find(|(name, _)| name == kind);
            // Which FAT it is, the kernel does not tell; the larger one is what disks have.
            found.and_then(|(_, words)| words.last()).map(|word| (*word).to_owned())
        }
        "capacity" => space.and_then(|(total, _)| octets(total)),
        "used" => space.and_then(|(total, free)| octets(total.saturating_sub(free))),
        _ => {
            let limit = System::stored_name(at).replace(".ThresholdReached", ".ThresholdLimit");
            let limit: u64 = system.stored(&limit).and_then(|text| text.parse().ok()).unwrap_or(0);
            let reached = limit > 0
                && space.is_some_and(|(total, free)| {
                    (total - free.min(total)) * 1024 / 1_000_000 + limit >= total * 1024 / 1_000_000
                });
            Some(if reached { "1" } else { "0" }.to_owned())
        }
    }
    .map(Raw::One))
}

fn mount(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let Some(row) = row_of(&at).cloned() else { return Ok(None) };
    let on = match row.cols[0].as_str() {
        "" => true,
        section => topology::truth(&topology::text(system, &format!("fstab.{section}"), "enabled")?),
    };
    Ok(Some(Raw::one(if on { "1" } else { "0" })))
}

/// What fstab wants, and now: the system only looks at it when it starts or a disk comes.
fn set_mount(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    if mount(system, at, argument)?.is_some_and(|now| topology::truth(&now.text()) == on) {
        return Ok(());
    }
    let row = row_of(&at).cloned().ok_or_else(|| Error::unknown_name(at.name))?;
    let [section, disk, ..] = row.cols.as_slice() else { return Err(Error::unknown_name(at.name)) };
    if section.is_empty() {
        return Err(Error::bad_value(at.name, "it was mounted by itself: fstab has no section for it"));
    }
    topology::put(system, &format!("fstab.{section}"), "enabled", if on { "1" } else { "0" })?;
    match (on, disk.is_empty()) {
        (true, true) => system.order(Order::Mount),
        (false, false) => system.order(Order::Unmount(row.addr)),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        for (device, disk) in [
            ("sda1", Some("sda")),
            ("sda", Some("sda")),
            ("sdab12", Some("sdab")),
            ("mmcblk0p2", Some("mmcblk0")),
            ("mmcblk0", Some("mmcblk0")),
            ("nvme0n1p3", Some("nvme0n1")),
            ("nvme0n1", Some("nvme0n1")),
            ("mtdblock4", None),
            ("mmcblk0boot0", None),
            ("ubiblock0_0", None),
            ("loop0", None),
            ("root", None),
            ("", None),
        ] {
            assert_eq!(disk_of(device), disk, "{device}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(megabytes(16_008_609_792).as_deref(), Some("16008"));
        assert_eq!(megabytes(u64::MAX), None);
        assert_eq!(unescaped("/mnt/my\\040disk"), "/mnt/my disk");
    }
}
