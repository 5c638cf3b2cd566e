//! TR-140 through the whole model: disks and what is mounted of them, fstab, and the shares of samba4.
#![cfg(feature = "lab")]
// Helpers of tests may unwrap as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/router.rs"]
mod router;

use std::fs;
use std::os::unix::fs::symlink;

use router::{DHCP, NETWORK, Router, put, router_with};

const SERVICE: &str = "Device.Services.StorageService.1.";

/// As block-mount writes it (`router-samples/etc-config/*/fstab`).
const FSTAB: &str = "
config global
	option anon_swap '0'
	option anon_mount '1'
	option auto_mount '1'

config mount
	option target '/overlay'
	option uuid '67ece101-8643-4f06-b435-78b34feef19c'
	option enabled '1'

config mount
	option target '/mnt/films'
	option uuid 'faaf874c-e06b-44be-86bf-1eed4b114dd4'
	option enabled '1'

config mount
	option target '/mnt/old'
	option uuid '1234-ABCD'
	option enabled '0'
";

const SAMBA: &str = "
config samba
	option workgroup 'WORKGROUP'

config sambashare
	option name 'films'
	option path '/mnt/films/all'
	option read_only 'no'
	option guest_ok 'yes'

config sambashare
	option name 'elsewhere'
	option path '/mnt/filmsnot'
";

fn storage() -> Router {
    let mut router = router_with(&[
        ("etc/config/network", NETWORK),
        ("etc/config/dhcp", DHCP),
        ("etc/config/system", "config system\n\toption hostname 'nas'\n"),
        ("etc/config/fstab", FSTAB),
        ("etc/config/samba4", SAMBA),
        ("etc/init.d/samba4", "#!/bin/sh\n"),
        ("etc/init.d/fstab", "#!/bin/sh\n"),
        ("etc/rc.d/S11fstab", ""),
        ("usr/libexec/sftp-server", ""),
        ("proc/uptime", "7300.10 9000.00\n"),
        ("proc/filesystems", "nodev\tsysfs\nnodev\tproc\n\tvfat\n\text4\n\tsquashfs\n"),
        (
            "proc/mounts",
            "/dev/root /rom squashfs ro 0 0\n/dev/ubi0_1 /overlay ubifs rw 0 0\n/dev/sda1 /mnt/films ext4 rw 0 0\n\
             /dev/mmcblk0p1 /mnt/my\\040card vfat rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n",
        ),
        ("sys/devices/usb1/1-1/1-1:1.0/host0/block/sda/size", "31266816\n"),
        ("sys/devices/usb1/1-1/1-1:1.0/host0/block/sda/removable", "1\n"),
        ("sys/devices/usb1/1-1/1-1:1.0/host0/block/sda/device/vendor", "SanDisk \n"),
        ("sys/devices/usb1/1-1/1-1:1.0/host0/block/sda/device/model", "Ultra USB 3.0   \n"),
        ("sys/devices/usb1/1-1/1-1:1.0/host0/block/sda/device/rev", "1.00\n"),
        ("sys/bus/usb/devices/1-1/speed", "5000\n"),
        ("sys/bus/usb/devices/1-1/serial", "4C530001\n"),
        ("sys/block/mmcblk0/size", "x\n"),
        ("sys/block/mmcblk0/device/name", "SD16G\n"),
        ("sys/block/mmcblk0/device/serial", "0x12345678\n"),
        ("sys/block/mtdblock0/size", "512\n"),
        ("sys/block/loop0/size", "0\n"),
        ("mnt/films/.keep", ""),
        ("mnt/my card/.keep", ""),
    ]);
    let root = router.dir.path();
    symlink("../devices/usb1/1-1/1-1:1.0/host0/block/sda", root.join("sys/block/sda")).unwrap();
    router.model.refresh();
    router
}

#[test]
fn disks_and_volumes() {
    let mut router = storage();
    for (name, value) in [
        ("Enable", "1"),
        ("PhysicalMediumNumberOfEntries", "2"),
        ("LogicalVolumeNumberOfEntries", "3"),
        ("Capabilities.FTPCapable", "0"),
        ("Capabilities.SFTPCapable", "1"),
        ("Capabilities.SupportedNetworkProtocols", "SMB"),
        ("Capabilities.SupportedFileSystemTypes", "FAT16,FAT32,X_RCWMP_ext4"),
        ("NetInfo.HostName", "nas"),
        ("NetInfo.DomainName", "lan"),
        ("NetworkServer.SMBEnable", "0"),
        ("NetworkServer.NFSEnable", "0"),
        ("FTPServer.Status", "Disabled"),
    ] {
        router.check(&format!("{SERVICE}{name}"), value);
    }
    let disk = router.find(&format!("{SERVICE}PhysicalMedium."), "Name", "sda");
    for (name, value) in [
        ("Vendor", "SanDisk"),
        ("Model", "Ultra USB 3.0"),
        ("SerialNumber", "4C530001"),
        ("FirmwareVersion", "1.00"),
        ("ConnectionType", "X_RCWMP_USB3"),
        ("Removable", "1"),
        ("Capacity", "16008"),
        ("Status", "Online"),
        ("Uptime", "2"),
    ] {
        router.check(&format!("{disk}{name}"), value);
    }
    let card = router.find(&format!("{SERVICE}PhysicalMedium."), "Name", "mmcblk0");
    for (name, value) in [
        ("Model", "SD16G"),
        ("SerialNumber", "0x12345678"),
        ("ConnectionType", "X_RCWMP_MMC"),
        ("Capacity", "0"),
    ] {
        router.check(&format!("{card}{name}"), value);
    }
    let films = router.find(&format!("{SERVICE}LogicalVolume."), "Name", "/mnt/films");
    for (name, value) in [
        ("Status", "Online"),
        ("Enable", "1"),
        ("PhysicalReference", disk.trim_end_matches('.')),
        ("FileSystem", "X_RCWMP_ext4"),
        ("ThresholdLimit", "0"),
        ("ThresholdReached", "0"),
        ("FolderNumberOfEntries", "1"),
    ] {
        router.check(&format!("{films}{name}"), value);
    }
    // The test's own file system stands for the disk's; that much is never left of it.
    assert_ne!(router.value(&format!("{films}Capacity")), "0");
    router.set(&[(&format!("{films}ThresholdLimit"), "4000000000")]);
    router.check(&format!("{films}ThresholdReached"), "1");
    let mine = router.find(&format!("{SERVICE}LogicalVolume."), "Name", "/mnt/my card");
    router.check(&format!("{mine}FileSystem"), "FAT32");
    assert!(router.try_set(&[(&format!("{mine}Enable"), "0")]).is_err(), "fstab has no section for it");
    router.find("Device.DeviceInfo.SupportedDataModel.", "URN", "urn:broadband-forum-org:tr-140-1-2-0");

    // Without block-mount there is no such service.
    let mut bare = router_with(&[("etc/config/network", NETWORK)]);
    bare.check("Device.Services.StorageServiceNumberOfEntries", "0");
    bare.check("Device.DeviceInfo.SupportedDataModelNumberOfEntries", "1");
}

#[test]
fn volumes_are_switched() {
    let mut router = storage();
    let orders = |router: &mut Router| format!("{:?}", router.model.backend().take_orders());
    let old = router.find(&format!("{SERVICE}LogicalVolume."), "Name", "/mnt/old");
    router.check(&format!("{old}Status"), "Offline");
    router.set(&[(&format!("{old}Enable"), "1")]);
    assert!(router.config("fstab").iter().filter(|line| *line == "option enabled '1'").count() == 3);
    assert_eq!(orders(&mut router), "[Mount]");
    router.check(&format!("{old}Status"), "Error");
    let films = router.find(&format!("{SERVICE}LogicalVolume."), "Name", "/mnt/films");
    router.set(&[(&format!("{films}Enable"), "0")]);
    assert_eq!(orders(&mut router), "[Unmount(\"/mnt/films\")]");
    assert_eq!(router.try_set(&[(&format!("{SERVICE}NetworkServer.SMBEnable"), "1")]), Ok(()));
    assert_eq!(orders(&mut router), "[Script(\"samba4\", \"enable\"), Script(\"samba4\", \"start\")]");
    assert!(router.try_set(&[(&format!("{SERVICE}NetworkServer.NFSEnable"), "1")]).is_err());
    router.set(&[(&format!("{SERVICE}NetworkServer.NFSEnable"), "0")]);
}

#[test]
fn folders_are_shared() {
    let mut router = storage();
    let films = router.find(&format!("{SERVICE}LogicalVolume."), "Name", "/mnt/films");
    let first = format!("{films}Folder.1.");
    for (name, value) in [("Name", "/mnt/films/all"), ("Enable", "1"), ("UserAccountAccess", "0")] {
        router.check(&format!("{first}{name}"), value);
    }
    router.set(&[(&format!("{first}UserAccountAccess"), "2"), (&format!("{first}Enable"), "0")]);
    router.has("samba4", &["option guest_ok 'no'", "option rcwmp_name 'films'"]);
    router.set(&[(&format!("{first}Enable"), "1")]);
    router.has("samba4", &["option name 'films'"]);
    assert!(router.try_set(&[(&format!("{first}UserAccountAccess"), "1")]).is_err());

    let new = router.add(&format!("{films}Folder."));
    for (name, value) in [("Name", ""), ("Enable", "0"), ("UserAccountAccess", "2")] {
        router.check(&format!("{new}{name}"), value);
    }
    assert!(router.try_set(&[(&format!("{new}Enable"), "1")]).is_err(), "it has no name yet");
    for bad in
        ["/etc", "/mnt/films/../../etc", "/mnt/filmsnot", "/mnt/films/a\nroot preexec = reboot", "films"]
    {
        assert!(router.try_set(&[(&format!("{new}Name"), bad)]).is_err(), "{bad:?}");
    }
    router.set(&[(&format!("{new}Name"), "/mnt/films/new ones"), (&format!("{new}Enable"), "1")]);
    router.has(
        "samba4",
        &["config sambashare 'share1'", "option path '/mnt/films/new ones'", "option name 'new ones'"],
    );
    assert!(router.config("samba4").iter().all(|line| !line.contains("rcwmp_volume")));
    router.delete(&new);
    router.check(&format!("{films}FolderNumberOfEntries"), "1");
    assert!(router.config("samba4").iter().any(|line| line.contains("elsewhere")));

    // Without a server nothing can be shared.
    let root = router.dir.path().to_owned();
    fs::remove_file(root.join("etc/config/samba4")).unwrap();
    router.model.refresh();
    assert!(router.model.add(&format!("{films}Folder."), None).is_err());
    put(
        &root,
        "etc/config/ksmbd",
        "config globals\n\nconfig share 'x'\n\toption name 'x'\n\toption path '/mnt/films'\n",
    );
    router.model.refresh();
    router.check(&format!("{films}FolderNumberOfEntries"), "1");
}
