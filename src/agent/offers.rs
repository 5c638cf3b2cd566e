//! What the DHCP clients of the WAN were told: one small file for each interface, written by their hooks.
//!
//! ```text
//!  /var/run/rcwmp/dhcp/wan        the name is netifd's, $INTERFACE of the hook
//!  ┌─────────────────────────────────────────────┐
//!  │ # what udhcpc gives to /etc/udhcpc.user.d   │   blank lines and such comments mean nothing
//!  │ opt125=00000de91a0b18687474703a2f2f6163…    │   $opt125, option 125: two hexadecimal digits an
//!  │ opt43=687474703a2f2f6163732e6578616d706c65  │   octet, in either case, colons between them or not
//!  └─────────────────────────────────────────────┘
//!  /var/run/rcwmp/dhcp/wan6
//!  │ opt17=00000de900010018687474703a2f2f6163…   │   $OPTION_17 of odhcp6c
//! ```
//! A hook writes `.NAME` beside it and renames that, so that nobody reads half a file; names that begin
//! with a dot are not read. It need not remove anything: what was offered stays until another offer comes.
//!
//! Only the WAN may say where the ACS is: the interface of `cwmp.cpe.default_wan_interface` (`wan`), and its
//! like for IPv6, called the same with `6` or `_6` behind it. Of all their options the order of
//! [`Source`] decides, then that of the interfaces, then that of the lines, for each value by itself.
//!
//! Files and directory must belong to us or to root and be writable by no stranger. A link is not
//! followed. Whatever is wrong is told with file and option, and all that is right is used.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

use super::discovery::{self, Offer, Source};
use crate::sys::dir;
use crate::sys::fs::{FsError, Root, read_open};

/// Where the files are, below the root.
pub const PLACE: &str = "/var/run/rcwmp/dhcp";
/// The longest file, in octets.
pub const MAX_FILE: usize = 32 * 1024;
/// The most lines of a file.
const MAX_LINES: usize = 64;
/// The most names of the directory that are looked at, and that are complained about.
const MAX_NAMES: usize = 32;
/// The longest name of an interface; netifd's are much shorter.
const MAX_NAME: usize = 64;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offers {
    /// All offers as one; empty where nobody offers anything.
    pub offer: Offer,
    /// What is not used and why; one sentence each, with the file's path on the router.
    pub complaints: Vec<String>,
}

/// Reads what is offered to the WAN, whose interface netifd calls `wan`.
pub fn read(root: &Root, wan: &str) -> Offers {
    let mut complaints = Vec::new();
    let offer = match directory(root) {
        Ok(None) => Offer::default(),
        Ok(Some(dir)) => read_all(&dir, wan, &mut complaints),
        Err(why) => {
            complaints.push(format!("{PLACE}: {why}"));
            Offer::default()
        }
    };
    Offers { offer, complaints }
}

/// Makes the directory, so that a watch over it has something to hold on to.
///
/// # Errors
/// What the system says.
pub fn make_place(root: &Root) -> Result<(), FsError> {
    dir::make(&root.resolve(PLACE)?, dir::PRIVATE)
}

/// The directory as a path of this machine; `None` when there is none.
fn directory(root: &Root) -> Result<Option<PathBuf>, String> {
    let dir = root.resolve(PLACE).map_err(|why| why.to_string())?;
    let meta = match fs::metadata(&dir) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(|why| why.to_string())?,
    };
    if !meta.is_dir() {
        return Err("not a directory".to_owned());
    }
    trust(meta.uid(), meta.mode())?;
    Ok(Some(dir))
}

fn read_all(dir: &Path, wan: &str, complaints: &mut Vec<String>) -> Offer {
    let interfaces = [wan.to_owned(), format!("{wan}6"), format!("{wan}_6")];
    let mut offers = Vec::new();
    for name in interfaces.iter().filter(|name| is_name(name)) {
        match read_file(&dir.join(name)) {
            Ok(None) => {}
            Ok(Some(bytes)) => offers.extend(options(&bytes, |why| {
                complaints.push(format!("{PLACE}/{name}: {why}"));
            })),
            Err(why) => complaints.push(format!("{PLACE}/{name}: {why}")),
        }
    }
    let names = fs::read_dir(dir).into_iter().flatten().take(MAX_NAMES);
    let mut others: Vec<String> =
        names.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    others.retain(|name| !name.starts_with('.') && !interfaces.contains(name));
    others.sort();
    complaints.extend(others.iter().map(|name| {
        let known = interfaces.join(", ");
        format!("{PLACE}/{}: not of the WAN ({known}): not used", name.escape_default())
    }));
    discovery::merged(offers)
}

/// A hook's file; `None` when it is not there.
fn read_file(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let file = match fs::OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) if why.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
            return Err("a symbolic link is not followed here".to_owned());
        }
        opened => opened.map_err(|why| why.to_string())?,
    };
    let meta = file.metadata().map_err(|why| why.to_string())?;
    if !meta.is_file() {
        return Err("not a regular file".to_owned());
    }
    trust(meta.uid(), meta.mode())?;
    let read = read_open(&file, path, MAX_FILE).map_err(|why| match why {
        FsError::TooLong { max, .. } => format!("longer than {max} octets"),
        other => other.to_string(),
    });
    read.map(Some)
}

/// Whoever can write here can lead the device to an ACS of his own.
fn trust(owner: u32, mode: u32) -> Result<(), String> {
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(format!("belongs to user {owner}: not used"));
    }
    if mode & 0o002 != 0 {
        return Err("everybody may write to it: not used".to_owned());
    }
    Ok(())
}

/// The options of a file that are in order, in the order of its lines; `refuse` is told of the others.
fn options(bytes: &[u8], mut refuse: impl FnMut(String)) -> Vec<(Source, Offer)> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        refuse("not a text".to_owned());
        return Vec::new();
    };
    if text.lines().count() > MAX_LINES {
        refuse(format!("more than {MAX_LINES} lines"));
        return Vec::new();
    }
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let Some(source) = Source::ALL.into_iter().find(|source| source.name() == name.trim_end()) else {
            refuse(format!("line {} is neither opt17=, opt43= nor opt125=", at + 1));
            continue;
        };
        match value.trim_start() {
            // A hook may write what it has, and that is often nothing.
            "" => {}
            hex => match source.read_hex(hex) {
                Ok(offer) => found.push((source, offer)),
                Err(why) => refuse(format!("{} (line {}) is not used: {why}", source.name(), at + 1)),
            },
        }
    }
    found
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use proptest::prelude::*;

    use super::*;

    struct Place {
        dir: tempfile::TempDir,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        // As on a router.
        fs::create_dir_all(dir.path().join("tmp/run")).unwrap();
        symlink("tmp", dir.path().join("var")).unwrap();
        make_place(&Root::new(dir.path())).unwrap();
        Place { dir }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Options 43, 125 and 17 with a URL.
    fn line(source: Source, url: &str) -> String {
        let length = u8::try_from(url.len()).unwrap();
        let bytes = match source {
            Source::Option43 => [&[1, length][..], url.as_bytes()].concat(),
            Source::Option125 => [&[0, 0, 13, 233, length + 2, 11, length][..], url.as_bytes()].concat(),
            Source::Option17 => [&[0, 0, 13, 233, 0, 1, 0, length][..], url.as_bytes()].concat(),
        };
        format!("{}={}\n", source.name(), hex(&bytes))
    }

    impl Place {
        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join("tmp/run/rcwmp/dhcp").join(name)
        }

        fn write(&self, name: &str, text: impl AsRef<[u8]>) {
            let _ = fs::remove_file(self.path(name));
            fs::write(self.path(name), text).unwrap();
        }

        fn read(&self) -> Offers {
            read(&Root::new(self.dir.path()), "wan")
        }

        /// The URL in the end, and words of the complaints in their order.
        #[track_caller]
        fn check(&self, url: &str, complaints: &[&str]) {
            let found = self.read();
            assert_eq!(found.offer.url.as_deref().unwrap_or_default(), url);
            assert_eq!(found.complaints.len(), complaints.len(), "{:?}", found.complaints);
            for (complaint, word) in found.complaints.iter().zip(complaints) {
                assert!(
                    complaint.starts_with("/var/run/rcwmp/dhcp") && complaint.contains(word),
                    "{complaint}"
                );
            }
        }
    }

    #[test]
    fn the_order_of_options_then_of_interfaces() {
        let place = place();
        place.check("", &[]);
        let (v6, v4, old) = (Source::Option17, Source::Option125, Source::Option43);
        place.write("wan", line(old, "http://43/"));
        place.check("http://43/", &[]);
        place.write("wan_6", line(old, "http://43-6/"));
        place.check("http://43/", &[]);
        place.write("wan", line(old, "http://43/") + "\n# and\n" + &line(v4, "http://125/"));
        place.check("http://125/", &[]);
        place.write("wan6", line(v6, "http://17/") + &line(v6, "http://second/"));
        place.check("http://17/", &[]);
        // Each value by itself: the code is in option 43 only.
        place.write("wan", format!("opt43={}\r\nopt125=\n", hex(b"\x02\x04code")));
        assert_eq!(place.read().offer.provisioning_code.as_deref(), Some("code"));
        place.check("http://17/", &[]);
    }

    #[test]
    fn what_is_wrong_is_told_and_the_rest_used() {
        let place = place();
        let good = line(Source::Option43, "http://a/");
        place.write("wan", format!("opt125=00000de9ff\nopt999=00\nopt17=xx\n{good}"));
        place.check(
            "http://a/",
            &["wan: opt125 (line 1) is not used", "wan: line 2 is neither", "opt17 (line 3)"],
        );
        place.write("wan6", line(Source::Option17, "file:///etc/passwd"));
        place.write("lan", &good);
        place.write(".wan.new", "half");
        place.write("wan", &good);
        place.check("http://a/", &["wan6: opt17 (line 1)", "lan: not of the WAN (wan, wan6, wan_6)"]);
    }

    #[test]
    fn hostile_files() {
        let place = place();
        let good = line(Source::Option17, "http://a/");
        place.write("wan6", &good);
        let refused = |why: &str| place.check("http://a/", &[why]);
        place.write("wan", "#".repeat(MAX_FILE + 1));
        refused("wan: longer than 32768 octets");
        place.write("wan", "opt43=\n".repeat(MAX_LINES + 1));
        refused("wan: more than 64 lines");
        place.write("wan", [0xff; 1000]);
        refused("wan: not a text");
        place.write("wan", format!("opt43={}", "00".repeat(discovery::MAX_OPTION + 1)));
        refused("opt43 (line 1) is not used: the option is cut short or too long");
        place.write("wan", "opt43=٣٣\n");
        refused("opt43 (line 1) is not used: the option is not hexadecimal");
        place.write("wan", "\0\0\0\n");
        refused("wan: line 1 is neither");
        let pipe = place.path("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::remove_file(place.path("wan")).unwrap();
        fs::rename(&pipe, place.path("wan")).unwrap();
        refused("wan: not a regular file");
        fs::rename(place.path("wan"), place.path(".pipe")).unwrap();
        symlink(".pipe", place.path("wan")).unwrap();
        refused("wan: a symbolic link");
        fs::remove_file(place.path("wan")).unwrap();
        symlink("wan6", place.path("wan")).unwrap();
        refused("wan: a symbolic link");
        fs::remove_file(place.path("wan")).unwrap();
        fs::create_dir(place.path("wan")).unwrap();
        refused("wan: not a regular file");
        fs::remove_dir(place.path("wan")).unwrap();
        place.write("wan", &good);
        fs::set_permissions(place.path("wan"), fs::Permissions::from_mode(0o666)).unwrap();
        refused("wan: everybody may write");
        place.write("wan", "");
        for n in 0..200 {
            place.write(&format!("x{n}"), &good);
        }
        assert!(place.read().complaints.len() <= MAX_NAMES);
    }

    #[test]
    fn strangers() {
        assert!(trust(0, 0o644).is_ok() && trust(geteuid().as_raw(), 0o664).is_ok());
        assert!(trust(geteuid().as_raw().wrapping_add(1).max(1), 0o644).unwrap_err().contains("belongs to"));
        let place = place();
        place.write("wan", line(Source::Option43, "http://a/"));
        place.write("wan6", line(Source::Option17, "http://b/"));
        if geteuid().is_root() {
            chown(place.path("wan6"), Some(65_534), None).unwrap();
            place.check("http://a/", &["wan6: belongs to user 65534"]);
        }
        fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o777)).unwrap();
        place.check("", &["dhcp: everybody may write"]);
        fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(place.path(""), place.dir.path().join("tmp/elsewhere")).unwrap();
        place.check("", &[]);
        fs::write(place.dir.path().join("tmp/run/rcwmp/dhcp"), "").unwrap();
        place.check("", &["dhcp: not a directory"]);
    }

    #[test]
    fn names_of_interfaces_lead_nowhere_else() {
        let place = place();
        fs::write(place.dir.path().join("tmp/run/rcwmp/x"), line(Source::Option43, "http://a/")).unwrap();
        for wan in ["../x", "", "/", "..", ".x", "a b", &"w".repeat(99)] {
            assert_eq!(read(&Root::new(place.dir.path()), wan).offer, Offer::default(), "{wan}");
        }
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), hex in "[0-9a-f:]{0,60}") {
            options(&bytes, |_| {});
            let line = format!("opt43={hex}\n");
            let mut refused = 0;
            let found = options(line.as_bytes(), |_| refused += 1).len();
            prop_assert!(found + refused <= 1);
        }
    }
}
