//! The package manager's database: what is installed, and what of it came after the firmware.
//!
//! ```text
//!  opkg   /usr/lib/opkg/status     stanzas; a package's files in /usr/lib/opkg/info/NAME.list
//!  apk    /lib/apk/db/installed    stanzas of one-letter fields, files among them
//! ```
//!
//! What stands in the same database below `/rom` came with the firmware. An image without `/rom` tells
//! nothing apart: with opkg, what is not older than the system's own packages is theirs; with apk, only
//! what the agent has installed itself is taken for more.

use md5::{Digest, Md5};

use crate::map::Map;
use crate::set::Set;
use crate::sys::fs::{FsError, Root};

/// The largest database that is read, in bytes.
const MAX_DATABASE: usize = 4 << 20;
/// The most packages that are seen.
const MAX_PACKAGES: usize = 4096;
/// The most files of a package that are remembered.
const MAX_FILES: usize = 256;
/// The longest name of a package or service, in bytes.
const MAX_NAME: usize = 128;
/// `/usr/lib/opkg/status`.
const OPKG: &str = "/usr/lib/opkg/status";
/// `/lib/apk/db/installed`.
const APK: &str = "/lib/apk/db/installed";
/// Where programs and their start scripts are; the other files of a package say nothing here.
const PLACES: [&str; 7] = ["etc/init.d/", "bin/", "sbin/", "usr/bin/", "usr/sbin/", "usr/libexec/", "opt/"];
/// Packages that every firmware has: what is as old as they are came with it.
const ANCHORS: [&str; 3] = ["base-files", "kernel", "libc"];

/// Which manager keeps the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// Until OpenWrt 24.10.
    Opkg,
    /// From OpenWrt 25.12 on.
    Apk,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Package {
    /// Its name, of [`is_name`].
    pub name: String,
    /// Its version, as the manager writes it.
    pub version: String,
    /// When it was installed, in seconds since 1970; apk does not know.
    pub installed: Option<i64>,
    /// It came only because another one needs it; apk does not know.
    pub automatic: bool,
    /// Whether it certainly came after the firmware; `false` is "cannot be told".
    pub later: bool,
    /// Maintainer, as far as the database has it (apk).
    pub maintainer: String,
    /// One line about it, as far as the database has it (apk).
    pub description: String,
    /// Absolute paths of programs and start scripts, as far as the database has them (apk).
    pub files: Vec<String>,
}

/// What a database says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Database {
    /// Whose it is; `None` when the system has none.
    pub manager: Option<Manager>,
    /// Names and versions of everything installed.
    pub all: Map<String, String>,
    /// The packages that may have come after the firmware, by name.
    pub units: Map<String, Package>,
}

impl Database {
    /// Reads the database below a root. A system without one has an empty one.
    ///
    /// # Errors
    /// A database that is too long or cannot be read.
    pub fn read(root: &Root) -> Result<Database, FsError> {
        let places = [(Manager::Opkg, OPKG), (Manager::Apk, APK)];
        for (manager, path) in places {
            let Some(text) = text(root, path)? else { continue };
            let rom = text_or_none(root, &format!("/rom{path}"))?;
            return Ok(match manager {
                Manager::Opkg => opkg(&text, rom.as_deref()),
                Manager::Apk => apk(&text, rom.as_deref()),
            });
        }
        Ok(Database::default())
    }

    /// The packages that came after the firmware: the certain ones, and what the agent knows as its own.
    pub fn later(&self, known: impl Fn(&str) -> bool) -> impl Iterator<Item = &Package> {
        self.units.values().filter(move |package| package.later || known(&package.name))
    }
}

/// Whether a word can be the name of a package or service: letters, digits and `+._-`, a letter or digit
/// first. Such a name can stand in a path and as an argument.
pub fn is_name(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.len() <= MAX_NAME
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+._-".contains(byte))
}

/// The files of a package that matter: of the database, or of opkg's list.
pub fn files(package: &Package, list: Option<&str>) -> Vec<String> {
    let Some(list) = list else { return package.files.clone() };
    let lines = list.lines().filter_map(|line| line.split('\t').next()?.strip_prefix('/'));
    lines.filter(|path| matters(path)).take(MAX_FILES).map(|path| format!("/{path}")).collect()
}

/// Where opkg lists a package's files. The name is one of [`is_name`].
pub fn list_path(name: &str) -> String {
    format!("/usr/lib/opkg/info/{name}.list")
}

/// Where opkg keeps what a package says about itself.
pub fn control_path(name: &str) -> String {
    format!("/usr/lib/opkg/info/{name}.control")
}

/// The UUID of a package for which the ACS gave none: version 3 of RFC 4122, of the package's name in a
/// namespace that is itself the UUID of `openwrt.org` among domain names. The same on every router.
pub fn uuid(name: &str) -> String {
    /// RFC 4122 appendix C: domain names.
    const DNS: [u8; 16] =
        [0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];
    let bytes = named(&named(&DNS, "openwrt.org"), name);
    let mut out = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

/// RFC 4122 clause 4.3 with MD5.
fn named(namespace: &[u8; 16], name: &str) -> [u8; 16] {
    let mut bytes: [u8; 16] = Md5::new().chain_update(namespace).chain_update(name).finalize().into();
    bytes[6] = bytes[6] & 0x0f | 0x30;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

fn text(root: &Root, path: &str) -> Result<Option<String>, FsError> {
    match root.read(path, MAX_DATABASE) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(why) if why.is_missing() => Ok(None),
        Err(why) => Err(why),
    }
}

/// An image without `/rom` may have a file in its place, or nothing.
fn text_or_none(root: &Root, path: &str) -> Result<Option<String>, FsError> {
    match text(root, path) {
        Err(FsError::Io { .. }) => Ok(None),
        other => other,
    }
}

fn matters(path: &str) -> bool {
    PLACES.iter().any(|place| path.starts_with(place)) && !path.split('/').any(|part| part == "..")
}

fn opkg(text: &str, rom: Option<&str>) -> Database {
    let packages: Vec<Package> = stanzas(text).filter_map(opkg_package).take(MAX_PACKAGES).collect();
    let built = packages.iter().filter(|package| ANCHORS.contains(&package.name.as_str()));
    let built = built.filter_map(|package| package.installed).max();
    let firmware: Option<Set<String>> =
        rom.map(|rom| stanzas(rom).filter_map(opkg_package).map(|package| package.name).collect());
    collect(Manager::Opkg, packages, firmware.as_ref(), |package| match (built, package.installed) {
        (Some(built), Some(installed)) => installed > built,
        _ => false,
    })
}

fn apk(text: &str, rom: Option<&str>) -> Database {
    let packages: Vec<Package> = stanzas(text).filter_map(apk_package).take(MAX_PACKAGES).collect();
    let firmware: Option<Set<String>> =
        rom.map(|rom| stanzas(rom).filter_map(apk_package).map(|package| package.name).collect());
    collect(Manager::Apk, packages, firmware.as_ref(), |_| false)
}

fn collect(
    manager: Manager,
    packages: Vec<Package>,
    firmware: Option<&Set<String>>,
    is_later: impl Fn(&Package) -> bool,
) -> Database {
    let mut out = Database { manager: Some(manager), ..Database::default() };
    for mut package in packages {
        out.all.insert(package.name.clone(), package.version.clone());
        if firmware.is_some_and(|names| names.contains(&package.name)) {
            continue;
        }
        package.later = firmware.is_some() || is_later(&package);
        out.units.insert(package.name.clone(), package);
    }
    out
}

/// The parts of a text between empty lines.
fn stanzas(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").map(|part| part.trim_matches('\n')).filter(|part| !part.is_empty())
}

/// The value of a field `Name: value` of a stanza or control file; its first line.
pub fn field<'t>(stanza: &'t str, name: &str) -> Option<&'t str> {
    stanza.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

fn opkg_package(stanza: &str) -> Option<Package> {
    let name = field(stanza, "Package").filter(|name| is_name(name))?;
    let state = field(stanza, "Status")?.split_whitespace().nth(2);
    (state == Some("installed")).then(|| Package {
        name: name.to_owned(),
        version: field(stanza, "Version").unwrap_or_default().to_owned(),
        installed: field(stanza, "Installed-Time")
            .and_then(|text| text.parse().ok())
            .filter(|time| *time > 0),
        automatic: field(stanza, "Auto-Installed") == Some("yes"),
        ..Package::default()
    })
}

/// `P:` name, `V:` version, `T:` description, `m:` maintainer, `F:` a directory and `R:` a file in it.
fn apk_package(stanza: &str) -> Option<Package> {
    let mut package = Package::default();
    let mut dir = "";
    for line in stanza.lines() {
        let Some((letter, value)) = line.split_once(':') else { continue };
        match letter {
            "P" => value.clone_into(&mut package.name),
            "V" => value.clone_into(&mut package.version),
            "T" => value.clone_into(&mut package.description),
            "m" => value.clone_into(&mut package.maintainer),
            "F" => dir = value,
            "R" if package.files.len() < MAX_FILES && !value.contains('/') => {
                let path = format!("{dir}/{value}");
                if matters(&path) {
                    package.files.push(format!("/{path}"));
                }
            }
            _ => {}
        }
    }
    is_name(&package.name).then_some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: base-files\nVersion: 1\nStatus: install user installed\nInstalled-Time: 100\n\n\
        Package: kernel\nVersion: 5\nStatus: install hold installed\nInstalled-Time: 100\n\n\
        Package: nlbwmon\nVersion: 2-1\nStatus: install user installed\nConffiles:\n /etc/x 00\nInstalled-Time: 200\n\n\
        Package: libz\nVersion: 1\nStatus: install ok installed\nInstalled-Time: 201\nAuto-Installed: yes\n\n\
        Package: half\nVersion: 1\nStatus: install user unpacked\n\n\
        Package: ../../etc\nVersion: 1\nStatus: install user installed\n\nnonsense\n\n\n\n: :\n";

    fn names(database: &Database) -> String {
        let list: Vec<&str> = database.later(|_| false).map(|package| package.name.as_str()).collect();
        list.join(" ")
    }

    #[test]
    fn opkg_with_and_without_rom() {
        let rom = "Package: base-files\nStatus: install user installed\n\nPackage: kernel\nStatus: install ok installed\n\
            \nPackage: libz\nStatus: install ok installed\n";
        let with = opkg(STATUS, Some(rom));
        assert_eq!(names(&with), "nlbwmon");
        assert_eq!(
            with.all.keys().map(String::as_str).collect::<Vec<_>>(),
            ["base-files", "kernel", "libz", "nlbwmon"]
        );
        let without = opkg(STATUS, None);
        assert_eq!(names(&without), "libz nlbwmon");
        assert!(without.units["libz"].automatic && !without.units["nlbwmon"].automatic);
        assert_eq!(without.units["nlbwmon"].version, "2-1");
        assert_eq!(names(&opkg("Package: a\nStatus: a b installed\nInstalled-Time: 5\n", None)), "");
    }

    #[test]
    fn apk_files() {
        let text = "C:Q1x\nP:nlbwmon\nV:2024-r1\nA:mips\nT:Traffic: accounting\nm:A <a@example.org>\n\
            F:etc\nF:etc/init.d\nR:nlbwmon\na:0:0:755\nZ:Q1\nF:usr/share\nR:x\nF:usr/sbin\nR:nlbwmon\nR:../x\n\n\
            P:base-files\nV:1\n\nP:-rf\nV:1\n";
        let database = apk(text, Some("P:base-files\nV:1\n"));
        assert_eq!(names(&database), "nlbwmon");
        let package = &database.units["nlbwmon"];
        assert_eq!(package.files, ["/etc/init.d/nlbwmon", "/usr/sbin/nlbwmon"]);
        assert_eq!(
            (package.version.as_str(), package.description.as_str()),
            ("2024-r1", "Traffic: accounting")
        );
        let unsure = apk(text, None);
        assert_eq!(names(&unsure), "");
        assert_eq!(unsure.later(|name| name == "nlbwmon").count(), 1);
    }

    #[test]
    fn names_are_checked() {
        for good in ["a", "libstdc++6", "kmod-x_1.2", "6in4"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".", "..", "-rf", "a/b", "a b", "a\0", "ä", "+x", "a\n"] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert!(!is_name(&"a".repeat(129)));
    }

    #[test]
    fn lists() {
        let list = "/etc/init.d/x\n/usr/share/doc\n/usr/sbin/y\t0\nrelative\n/usr/sbin/../../etc/shadow\n";
        assert_eq!(files(&Package::default(), Some(list)), ["/etc/init.d/x", "/usr/sbin/y"]);
    }

    /// Against Python's `uuid.uuid3(uuid.uuid3(uuid.NAMESPACE_DNS, "openwrt.org"), name)`.
    #[test]
    fn uuids() {
        assert_eq!(uuid("nlbwmon"), "e21a20c6-e998-38ac-9365-6a0d5c0aa341");
        assert_eq!(uuid("luci-app-sqm"), "cf5fd70e-048a-3d9b-83da-d6e4b98d560a");
    }
}
