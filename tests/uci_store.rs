//! The store of UCI packages on a small router in a folder: saved changes, staging, commits, and
//! other processes that write meanwhile.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use rcwmp::sys::fs::Root;
use rcwmp::sys::journal::{Journal, Write};
use rcwmp::uci::{Store, Value};

const NETWORK: &str = "# the network\nconfig interface 'lan'\n\toption mtu '1500' # bytes\n\tlist dns '1'\n\nconfig rule\n\toption a '1'\n\nconfig rule\n\toption a '2'\n";
const SYSTEM: &str = "config system\n\toption hostname 'OpenWrt'\n";

struct Router {
    dir: tempfile::TempDir,
    store: Store,
    journal: Journal,
}

fn router() -> Router {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("etc/config")).unwrap();
    fs::create_dir_all(dir.path().join("tmp/.uci")).unwrap();
    fs::write(dir.path().join("etc/config/network"), NETWORK).unwrap();
    fs::write(dir.path().join("etc/config/system"), SYSTEM).unwrap();
    let store = Store::new(Root::new(dir.path()), "/etc/config", "/tmp/.uci");
    let journal = Journal::new(dir.path().join("etc/rcwmp")).unwrap();
    Router { dir, store, journal }
}

impl Router {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn get(&mut self, package: &str, section: &str, option: &str) -> Option<Value> {
        self.store.option(package, section, option).unwrap()
    }

    fn set(&mut self, package: &str, section: &str, option: &str, value: &str) {
        assert!(self.store.set(package, section, option, value.into()).unwrap());
    }

    fn commit(&mut self) -> Result<Vec<String>, String> {
        self.store.commit(&self.journal, &[]).map_err(|error| error.to_string())
    }

    /// Puts a new file in the place of the old, as `uci commit` does.
    fn replace(&self, name: &str, text: &str) {
        self.write("etc/other", text);
        fs::rename(self.path("etc/other"), self.path(name)).unwrap();
    }

    fn check_no_leftovers(&self) {
        let names = |dir: &str| {
            fs::read_dir(self.path(dir)).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>()
        };
        assert!(names("etc/config").iter().all(|name| !name.to_string_lossy().starts_with('.')));
        assert!(names("etc/rcwmp").is_empty());
    }
}

#[test]
fn saved_changes_are_seen_and_folded_in() {
    let mut router = router();
    router.write("tmp/.uci/network", "network.lan.mtu='1492'\nbroken\n|network.lan.dns='2'\n");
    assert_eq!(router.get("network", "lan", "mtu"), Some("1492".into()));
    assert_eq!(router.get("network", "lan", "dns"), Some(["1", "2"].into()));
    router.set("network", "lan", "ttl", "9");
    assert_eq!(router.commit().unwrap(), ["network"]);
    let expected =
        NETWORK.replace("1500", "1492").replace("dns '1'\n", "dns '1'\n\tlist dns '2'\n\toption ttl '9'\n");
    assert_eq!(router.read("etc/config/network"), expected);
    assert_eq!(router.read("tmp/.uci/network"), "");
    assert_eq!(router.get("network", "lan", "ttl"), Some("9".into()));
    router.check_no_leftovers();
}

#[test]
fn saved_changes_of_other_packages_stay() {
    let mut router = router();
    router.write("tmp/.uci/system", "system.x.y='1'\n");
    router.write("tmp/.uci/network", "broken\n");
    router.set("network", "lan", "mtu", "1");
    router.commit().unwrap();
    assert_eq!(router.read("tmp/.uci/system"), "system.x.y='1'\n");
    assert_eq!(router.read("tmp/.uci/network"), "broken\n");
}

#[test]
fn staged_changes_are_seen_here_only_until_the_commit() {
    let mut router = router();
    router.set("system", "@system[0]", "hostname", "box");
    router.set("network", "lan", "mtu", "1");
    assert!(!router.store.set("network", "lan", "mtu", "1".into()).unwrap());
    assert_eq!(router.get("system", "@system[-1]", "hostname"), Some("box".into()));
    assert_eq!(router.store.changed().collect::<Vec<_>>(), ["network", "system"]);
    let bytes = NETWORK.replace("1500", "1").into_bytes();
    let expected = Write::Replace { path: router.path("etc/config/network"), bytes };
    assert_eq!(router.store.changes().unwrap()[0], expected);
    assert_eq!(router.read("etc/config/network"), NETWORK);

    router.store.revert();
    assert_eq!(router.get("system", "@system[0]", "hostname"), Some("OpenWrt".into()));
    assert_eq!(router.commit().unwrap(), [""; 0]);
    assert_eq!(router.read("etc/config/system"), SYSTEM);
}

#[test]
fn sections_and_other_files_in_one_commit() {
    let mut router = router();
    let key = router.store.add_section("network", "route", None).unwrap();
    router.set("network", &key, "target", "10.1.0.0/16");
    router.store.add_section("network", "interface", Some("guest")).unwrap();
    router.store.rename_section("network", "guest", "visitors").unwrap();
    router.set("network", "visitors", "proto", "static");
    router.store.delete_section("network", "@rule[0]").unwrap();
    assert!(router.store.delete_option("network", "lan", "mtu").unwrap());
    let state = Write::Replace { path: router.path("etc/state"), bytes: b"done".to_vec() };
    router.store.commit(&router.journal, &[state]).unwrap();
    assert_eq!(router.read("etc/state"), "done");
    assert_eq!(
        router.read("etc/config/network"),
        "# the network\nconfig interface 'lan'\n\tlist dns '1'\n\nconfig rule\n\toption a '2'\n\n\
         config route\n\toption target '10.1.0.0/16'\n\nconfig interface 'visitors'\n\toption proto 'static'\n"
    );
}

#[test]
fn what_others_changed_meanwhile_is_kept() {
    let mut router = router();
    router.set("network", "lan", "mtu", "1");
    router.set("network", "@rule[1]", "a", "two");
    let first_rule_gone =
        NETWORK.replace("config rule\n\toption a '1'\n\n", "") + "\n# theirs\nconfig x 'y'\n";
    router.replace("etc/config/network", &first_rule_gone);
    router.write("tmp/.uci/network", "network.lan.proto='dhcp'\n");
    router.commit().unwrap();
    let expected = first_rule_gone
        .replace("1500", "1")
        .replace("'2'", "'two'")
        .replace("dns '1'\n", "dns '1'\n\toption proto 'dhcp'\n");
    assert_eq!(router.read("etc/config/network"), expected);
}

#[test]
fn a_change_that_lost_its_object_is_a_conflict() {
    for (gone, section, why) in [
        ("option a '1'", "@rule[0]", "section \"cfg0237c8\" is not what it was"),
        ("'lan'", "lan", "no section \"lan\""),
    ] {
        let mut router = router();
        router.set("system", "@system[0]", "hostname", "box");
        let key = router.store.package("network").unwrap().find(section).unwrap().key().to_string();
        router.set("network", section, "x", "1");
        router.replace("etc/config/network", &NETWORK.replace(gone, gone.replace(['1', 'l'], "0").as_str()));
        let why = why.replace("cfg0237c8", &key);
        assert_eq!(router.commit().unwrap_err(), format!("network was changed by another process: {why}"));
        assert_eq!(router.read("etc/config/system"), SYSTEM);
        router.check_no_leftovers();
    }
}

#[test]
fn files_are_read_again_after_a_refresh_only_if_they_changed() {
    let mut router = router();
    assert_eq!(router.get("network", "lan", "mtu"), Some("1500".into()));
    router.write("etc/config/network", &NETWORK.replace("1500", "1501"));
    assert_eq!(router.get("network", "lan", "mtu"), Some("1500".into()));
    router.store.refresh();
    assert_eq!(router.get("network", "lan", "mtu"), Some("1501".into()));
    router.write("tmp/.uci/network", "network.lan.mtu='7'\n");
    router.store.refresh();
    assert_eq!(router.get("network", "lan", "mtu"), Some("7".into()));
    fs::remove_file(router.path("etc/config/network")).unwrap();
    router.store.refresh();
    let error = router.store.package("network").unwrap_err();
    assert_eq!(error.to_string(), "no configuration file \"network\"");
}

#[test]
fn names_and_files_that_are_refused() {
    let mut router = router();
    router.write("etc/config/bad", "config x y\n\toption a b c\n");
    router.write("etc/config/.hidden", "");
    fs::write(router.path("etc/config/huge"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert_eq!(router.store.packages().unwrap(), ["bad", "huge", "network", "system"]);
    for (name, why) in [
        ("none", "no configuration file \"none\""),
        ("../passwd", "\"../passwd\" is not the name of a configuration file"),
        (".hidden", "\".hidden\" is not the name of a configuration file"),
        ("a b", "\"a b\" is not the name of a configuration file"),
        ("bad", "bad:2:13: \"c\" is one word too many"),
    ] {
        assert_eq!(router.store.package(name).unwrap_err().to_string(), why);
    }
    assert!(
        router.store.package("huge").unwrap_err().to_string().ends_with("huge is longer than 1048576 bytes")
    );
    let error = router.store.set("system", "@system[0]", "a", "\u{7}".into()).unwrap_err();
    assert_eq!(error.to_string(), "system: the value of a has a control character");
    assert_eq!(router.store.changed().count(), 0);
}

#[test]
fn a_new_package() {
    let mut router = router();
    router.store.create("rcwmp").unwrap();
    router.store.add_section("rcwmp", "agent", Some("agent")).unwrap();
    router.commit().unwrap();
    assert_eq!(router.read("etc/config/rcwmp"), "config agent 'agent'\n");
    let mode = fs::metadata(router.path("etc/config/rcwmp")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_linked_file_is_written_through() {
    let mut router = router();
    fs::create_dir(router.path("overlay")).unwrap();
    fs::rename(router.path("etc/config/system"), router.path("overlay/system")).unwrap();
    symlink("/overlay/system", router.path("etc/config/system")).unwrap();
    router.set("system", "@system[0]", "hostname", "box");
    router.commit().unwrap();
    assert_eq!(router.read("overlay/system"), SYSTEM.replace("OpenWrt", "box"));
    assert!(fs::symlink_metadata(router.path("etc/config/system")).unwrap().is_symlink());
}

#[test]
fn the_lock_of_another_process_is_awaited() {
    let mut router = router();
    router.set("network", "lan", "mtu", "1");
    let path = router.path("etc/config/network");
    let held = Flock::lock(fs::File::open(&path).unwrap(), FlockArg::LockExclusive).unwrap();
    let theirs = NETWORK.replace("'lan'\n", "'lan'\n\toption ours 'no'\n");
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            // A new inode, as `uci commit` makes it while it holds the lock.
            let other = path.with_file_name("new");
            fs::write(&other, &theirs).unwrap();
            fs::rename(&other, &path).unwrap();
            drop(held);
        });
        router.commit().unwrap();
    });
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(router.read("etc/config/network"), theirs.replace("1500", "1"));
}

#[test]
fn a_shell_finds_nothing_to_run() {
    let mut router = router();
    let value = "$(touch pwned) `touch pwned`'; touch pwned; '\nconfig x 'pwned'\n\toption y \"z\" #";
    router.set("network", "lan", "name", value);
    router.commit().unwrap();
    let text = router.read("etc/config/network");
    // A shell reads single quotes as libuci does: the words of the line are the same to both.
    let line = text[text.find("\toption name").unwrap()..].split("\n\n").next().unwrap();
    let quoted = line.trim_start().strip_prefix("option name ").unwrap();
    let mut shell = Command::new("sh");
    let output =
        shell.arg("-c").arg(format!("printf %s {quoted}")).current_dir(router.dir.path()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
    assert!(!router.path("pwned").exists());
    router.store.refresh();
    assert_eq!(router.get("network", "lan", "name"), Some(value.into()));
}
