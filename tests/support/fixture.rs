//! A router of `tests/routers/` brought to life: its files in a folder of their own, its programs on a bus.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, dead_code, reason = "each test uses its part")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use crate::bus::{Bus, Offers};
use crate::copy::copy;
use crate::router::{Router, open_with, put};

/// Lays out the files of `kernel`, and what a kernel always has with them: the folders of the hardware that links
/// lead to, and IPv6 of every network device.
fn kernel(text: &str, root: &Path) {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((path, target)) = line.split_once(" -> ") {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            symlink(target, root.join(path)).unwrap();
        } else if let Some((path, value)) = line.split_once(" = ") {
            put(root, path, &format!("{value}\n"));
        } else {
            let path = line.strip_suffix(':').unwrap_or_else(|| panic!("{line:?} is no line of `kernel`"));
            let mut text = String::new();
            while let Some(more) = lines.next_if(|line| line.starts_with('\t')) {
                text += &more[1..];
                text.push('\n');
            }
            put(root, path, &text);
        }
    }
    for path in dangling(root, &root.join("sys")) {
        fs::create_dir_all(path.parent().unwrap().join(fs::read_link(&path).unwrap())).unwrap();
    }
    assert_eq!(dangling(root, &root.join("sys")), [] as [PathBuf; 0]);
    neighbours(root);
}

/// Links below a folder whose targets are not there.
fn dangling(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if !path.is_symlink() {
            found.extend(dangling(root, &path));
        } else if !path.exists() {
            let target = path.parent().unwrap().canonicalize().unwrap().join(fs::read_link(&path).unwrap());
            assert!(inside(&target, &root.canonicalize().unwrap()), "{} leaves the router", path.display());
            found.push(path);
        }
    }
    found
}

/// Whether a path with `..` in it stays below a folder.
fn inside(path: &Path, folder: &Path) -> bool {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            part => plain.push(part),
        }
    }
    plain.starts_with(folder)
}

/// What the kernel has for IPv6 of every network device, as it makes it; netifd turns it off on ports of bridges.
fn neighbours(root: &Path) {
    for device in fs::read_dir(root.join("sys/class/net")).into_iter().flatten() {
        let device = device.unwrap();
        let name = device.file_name().into_string().unwrap();
        let off = if device.path().join("master").exists() { "1" } else { "0" };
        for (file, value) in [
            (format!("conf/{name}/disable_ipv6"), off),
            (format!("conf/{name}/dad_transmits"), "1"),
            (format!("neigh/{name}/retrans_time_ms"), "1000"),
        ] {
            let path = format!("proc/sys/net/ipv6/{file}");
            if !root.join(&path).exists() {
                put(root, &path, &format!("{value}\n"));
            }
        }
    }
}

/// The programs of its folder `ubus`, if it has one.
pub fn programs(folder: &Path) -> Option<Bus> {
    let mut offers = Offers::new();
    let mut names: Vec<PathBuf> =
        fs::read_dir(folder.join("ubus")).ok()?.map(|entry| entry.unwrap().path()).collect();
    // Those with arguments after those without, which they go before.
    names.sort_by_key(|path| (path.to_string_lossy().contains('@'), path.clone()));
    for path in names {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (called, argument) = name.split_once('@').unwrap_or((name, ""));
        let (object, method) = called.rsplit_once('.').unwrap();
        let arguments = match argument.split_once('=') {
            Some((name, value)) => format!("{{\"{name}\":\"{value}\"}}"),
            None => "{}".to_owned(),
        };
        offers = offers.says_to(object, method, &arguments, &fs::read_to_string(&path).unwrap());
    }
    Some(offers.start())
}

pub fn build(folder: &Path, programs: Option<&Bus>) -> Router {
    let dir = tempfile::tempdir().unwrap();
    for name in ["etc", "tmp", "usr"] {
        if folder.join(name).exists() {
            copy(&folder.join(name), &dir.path().join(name));
        }
    }
    kernel(&fs::read_to_string(folder.join("kernel")).unwrap(), dir.path());
    fs::create_dir_all(dir.path().join("tmp")).unwrap();
    symlink("tmp", dir.path().join("var")).unwrap();
    open_with(dir, programs.map(Bus::socket))
}
