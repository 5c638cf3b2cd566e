//! A simulated OpenWrt router: a folder that serves the agent as its root (`--root`).
//!
//! A DSA board with four LAN ports and a WAN port, a VLAN-filtering bridge, a tagged WAN interface, two radios with three
//! access points up and one disabled. Everything is in the program: files of plain text from `root/`, the kernel's small
//! files from the tables in `kernel`. Addresses are documentation ranges, MACs locally administered.

pub mod broker;
mod kernel;
pub mod objects;

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use crate::sys::clock::epoch_seconds;

/// Serial number of the router's DeviceId.
pub const SERIAL_NUMBER: &str = "LAB0000001";
/// User name that the router shows to its ACS.
pub const ACS_USER: &str = "020000-LAB0000001";
/// User name that the router wants to see in a connection request.
pub const CONNECTION_REQUEST_USER: &str = "connection-request";
/// Every password of the router.
pub const PASSWORD: &str = "ExamplePassphrase";

/// Where the agent looks for more of the data model, below the root.
const MODELS: &str = "usr/share/rcwmp/datamodel.d";
/// How long the leases of the router still last, in seconds.
const LEASE: i64 = 6 * 3600;

/// Pairs of a path and the text of `root/` there.
macro_rules! files {
    ($($path:literal)*) => { &[$(($path, include_str!(concat!("root/", $path)))),*] };
}

/// The files of plain text.
const FILES: &[(&str, &str)] = files! {
    "etc/board.json" "etc/config/cwmp" "etc/config/dhcp" "etc/config/dropbear" "etc/config/firewall"
    "etc/config/network" "etc/config/system" "etc/config/uhttpd" "etc/config/wireless" "etc/device_info" "etc/group"
    "etc/hosts" "etc/openwrt_release" "etc/openwrt_version" "etc/os-release" "etc/passwd" "proc/cpuinfo" "proc/loadavg"
    "proc/meminfo" "proc/mounts" "proc/mtd" "proc/net/arp" "proc/net/fib_trie" "proc/net/if_inet6" "proc/net/ipv6_route"
    "proc/net/route" "proc/net/snmp" "proc/net/tcp" "proc/net/tcp6" "proc/stat" "proc/uptime" "proc/version"
    "tmp/dhcp.leases" "tmp/resolv.conf.d/resolv.conf.auto" "tmp/sysinfo/board_name" "tmp/sysinfo/model"
};

/// Directories that are there and empty.
const FOLDERS: &[&str] =
    &["etc/rcwmp", "overlay", "rom", "root", "tmp/hosts", "tmp/lib", "tmp/log", "tmp/run", "usr/share"];

/// What differs from one router to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the ACS is.
    pub acs_url: String,
    /// The port for connection requests.
    pub port: u16,
}

/// Why there is no router.
#[derive(Debug)]
pub enum Error {
    /// The folder has something in it.
    NotEmpty(PathBuf),
    /// The system refused to make or read this.
    Io(PathBuf, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotEmpty(path) => write!(f, "{} is not empty", path.display()),
            Error::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

/// Makes the router in a folder, which must be empty or not there.
///
/// # Errors
/// [`Error`]; what was made so far stays.
pub fn unpack(folder: &Path, settings: &Settings) -> Result<(), Error> {
    let at = |error| Error::Io(folder.to_path_buf(), error);
    fs::create_dir_all(folder).map_err(at)?;
    if fs::read_dir(folder).map_err(at)?.next().is_some() {
        return Err(Error::NotEmpty(folder.to_path_buf()));
    }
    for path in FOLDERS {
        fs::create_dir_all(folder.join(path)).map_err(at)?;
    }
    for (path, text) in FILES {
        if text.contains('@') {
            let text = text.replace("@ACS_URL@", &uci_text(&settings.acs_url));
            let text = text.replace("@PORT@", &settings.port.to_string());
            write(folder, path, &text.replace("@LEASE@", &(epoch_seconds() + LEASE).to_string()))?;
        } else {
            write(folder, path, text)?;
        }
    }
    for (path, text) in kernel::files() {
        write(folder, &path, &text)?;
    }
    for (path, target) in kernel::links() {
        link(folder, &path, &target)?;
    }
    // As on a router.
    link(folder, "var", "tmp")?;
    link(folder, "etc/TZ", "../tmp/TZ")
}

/// Gives a router one more data model file, which its agent reads when it starts; `name` without `.json`.
///
/// # Errors
/// [`Error::Io`].
pub fn add_model(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    write(folder, &format!("{MODELS}/{name}.json"), text)
}

/// The UCI files of a router: names and texts, sorted; texts that are no UTF-8 with U+FFFD.
///
/// # Errors
/// [`Error::Io`].
pub fn configuration(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let folder = folder.join("etc/config");
    let at = |error| Error::Io(folder.clone(), error);
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).map_err(at)? {
        let entry = entry.map_err(at)?;
        if entry.file_type().map_err(at)?.is_file() {
            let bytes = fs::read(entry.path()).map_err(|error| Error::Io(entry.path(), error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push((name, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    files.sort();
    Ok(files)
}

/// Text for between single quotes of UCI.
fn uci_text(text: &str) -> String {
    text.replace('\'', "'\\''")
}

fn write(folder: &Path, path: &str, text: &str) -> Result<(), Error> {
    let path = prepare(folder, path)?;
    fs::write(&path, text).map_err(|error| Error::Io(path, error))
}

fn link(folder: &Path, path: &str, target: &str) -> Result<(), Error> {
    let path = prepare(folder, path)?;
    symlink(target, &path).map_err(|error| Error::Io(path, error))
}

/// The place of a file, its folder made.
fn prepare(folder: &Path, path: &str) -> Result<PathBuf, Error> {
    debug_assert!(Path::new(path).components().all(|part| matches!(part, Component::Normal(_))));
    let path = folder.join(path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| Error::Io(parent.to_path_buf(), error))?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { acs_url: "http://127.0.0.1:9292/a'b".to_owned(), port: 7547 };
        unpack(folder.path(), &settings).unwrap();
        folder
    }

    #[test]
    fn everything_in_root_is_unpacked() {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
        let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lab/router/root"));
        let mut found = Vec::new();
        walk(source, &mut found);
        let mut found: Vec<_> =
            found.iter().map(|path| path.strip_prefix(source).unwrap().to_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, FILES.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    }

    #[test]
    fn a_router_stands() {
        let folder = router();
        let read = |path: &str| fs::read_to_string(folder.path().join(path)).expect(path);
        let cwmp = read("etc/config/cwmp");
        assert!(
            cwmp.contains("option url 'http://127.0.0.1:9292/a'\\''b'")
                && cwmp.contains("option port '7547'")
        );
        for text in [SERIAL_NUMBER, ACS_USER, CONNECTION_REQUEST_USER, PASSWORD] {
            assert!(cwmp.contains(&format!("'{text}'")), "{text}");
        }
        assert_eq!(read("sys/class/net/wan/address"), "02:00:00:00:10:05\n");
        assert_eq!(read("sys/class/net/phy0-ap0/phy80211/name"), "phy0\n");
        assert_eq!(read("sys/class/net/br-lan/brif/lan1/state"), "3\n");
        assert_eq!(read("sys/class/net/lan1/master/ifindex"), read("sys/class/net/br-lan/ifindex"));
        assert_eq!(read("var/sysinfo/board_name"), "example,lab-router\n");
        assert_eq!(read("proc/1420/comm"), "netifd\n");
        assert!(read("proc/net/dev").contains("\nwan.30:10223344    8000    0"), "{}", read("proc/net/dev"));
        let wireless = read("etc/config/wireless");
        let path = wireless.lines().find_map(|line| line.trim().strip_prefix("option path '")).unwrap();
        let phy = fs::canonicalize(folder.path().join("sys/class/ieee80211/phy0/device")).unwrap();
        assert!(phy.ends_with(path.trim_end_matches('\'')), "{phy:?} {path}");
    }

    #[test]
    fn a_full_folder_is_left_alone() {
        let folder = router();
        let settings = Settings { acs_url: String::new(), port: 1 };
        let error = unpack(folder.path(), &settings).unwrap_err();
        assert!(error.to_string().ends_with("is not empty"));
    }

    #[test]
    fn the_configuration_is_listed() {
        let folder = router();
        let names: Vec<_> = configuration(folder.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            ["cwmp", "dhcp", "dropbear", "firewall", "network", "system", "uhttpd", "wireless"]
        );
        assert!(configuration(Path::new("/nonexistent")).is_err());
    }
}
