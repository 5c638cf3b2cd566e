//! Operations on packages with programs in the place of opkg and apk: they edit the database as the real ones
//! do, and say what the real ones say.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/packages.rs"]
mod support;

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rcwmp::agent::units::run::{run, uuids};
use rcwmp::agent::units::{CurrentState, Known, Memory, OpResult, Units};
use rcwmp::backend::packages;
use rcwmp::cwmp::rpc::{Operation, Secret};
use rcwmp::sys::clock::Now;
use rcwmp::sys::fs::Root;
use support::{APK, OPKG};

const UUID: &str = "0D1D0E2F-1b7c-4f5a-8d9e-000000000001";

const OPKG_ROM: &str =
    "Package: base-files\nVersion: 1\nStatus: install user installed\nInstalled-Time: 100\n\n";
const APK_ROM: &str = "P:base-files\nV:1\n\n";

struct Device {
    dir: tempfile::TempDir,
    known: Memory,
    asked: RefCell<Vec<String>>,
}

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn device() -> Device {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("tmp/rcwmp-du.left-by-a-killed-one")).unwrap();
    Device { dir, known: Memory::new(), asked: RefCell::default() }
}

fn opkg() -> Device {
    let device = device();
    script(&device.dir.path().join("bin/opkg"), OPKG);
    for place in ["rom/usr/lib/opkg/status", "usr/lib/opkg/status", "usr/lib/opkg/info/base-files.list"] {
        device.put(place, OPKG_ROM);
    }
    device
}

fn apk() -> Device {
    let device = device();
    script(&device.dir.path().join("usr/bin/apk"), APK);
    for place in ["rom/lib/apk/db/installed", "lib/apk/db/installed"] {
        device.put(place, APK_ROM);
    }
    device.put("etc/apk/world", "base-files\n");
    device
}

/// What the server has: `/NAME/VERSION.ipk` makes a package, `/apk/NAME/VERSION…` a file for the other program.
fn serve(url: &str, to: &Path) -> Result<(), (u16, String)> {
    let parts: Vec<&str> = url.split('/').skip(3).collect();
    match parts.as_slice() {
        ["missing"] => Err((9016, "404 Not Found".to_owned())),
        ["odd"] => Err((9014, "no multicast".to_owned())),
        ["garbage"] => {
            fs::write(to, "").unwrap();
            Ok(())
        }
        ["apk", lines @ ..] => {
            let lines: String = lines.chunks(2).map(|pair| format!("{} {}\n", pair[0], pair[1])).collect();
            fs::write(to, lines).unwrap();
            Ok(())
        }
        [name, version] => {
            let dir = tempfile::tempdir().unwrap();
            let tar = |arguments: &[&str]| {
                assert!(Command::new("tar").current_dir(&dir).args(arguments).status().unwrap().success());
            };
            fs::write(dir.path().join("control"), format!("Package: {name}\nVersion: {version}\n")).unwrap();
            fs::write(dir.path().join("data.tar.gz"), "data").unwrap();
            tar(&["-czf", "control.tar.gz", "./control"]);
            tar(&["-czf", to.to_str().unwrap(), "./data.tar.gz", "./control.tar.gz"]);
            Ok(())
        }
        other => panic!("{other:?}"),
    }
}

impl Device {
    fn put(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn root(&self) -> Root {
        Root::new(self.dir.path())
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.dir.path().join("calls")).unwrap_or_default()
    }

    fn timed(&self, operation: &Operation, limit: Duration, cancel: bool) -> OpResult {
        let fetch = |url: &str, user: &str, password: &str, to: &Path| {
            self.asked.borrow_mut().push(format!("{user}:{password} {url}"));
            let mode = fs::metadata(to.parent().unwrap()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "nobody else may put a file there");
            serve(url, to)
        };
        let (cancel, deadline) = (AtomicBool::new(cancel), Instant::now() + limit);
        let result = run(operation, &self.root(), &self.known, &fetch, &cancel, deadline);
        let left: Vec<_> = fs::read_dir(self.dir.path().join("tmp")).unwrap().flatten().collect();
        let ours = |entry: &&fs::DirEntry| entry.file_name() != "rcwmp-du.left-by-a-killed-one";
        assert_eq!(left.iter().filter(ours).count(), 0, "{left:?}");
        result
    }

    #[track_caller]
    fn good(&mut self, operation: &Operation, name: &str, version: &str) -> OpResult {
        let result = self.timed(operation, Duration::from_secs(60), false);
        assert_eq!((result.fault_code, result.fault_string.as_str()), (0, ""));
        assert_eq!((result.deployment_unit_ref.as_str(), result.version.as_str()), (name, version));
        assert!(result.start.is_some() && result.complete >= result.start);
        match result.current_state {
            CurrentState::Installed => {
                assert!(result.resolved);
                assert_eq!(result.execution_unit_refs, [name]);
                let url = operation.url().to_owned();
                let known = self.known.or_default(name.to_owned());
                *known = Known {
                    uuid: result.uuid.clone(),
                    url: if url.is_empty() { known.url.clone() } else { url },
                };
            }
            CurrentState::Uninstalled => assert!(self.known.remove(name).is_some()),
            CurrentState::Failed => panic!("{result:?}"),
        }
        result
    }

    #[track_caller]
    fn bad(&self, operation: &Operation, code: u16, part: &str) {
        let before = uuids(&self.root(), &self.known);
        let result = self.timed(operation, Duration::from_secs(60), false);
        assert_eq!(result.fault_code, code, "{result:?}");
        assert!(result.fault_string.contains(part), "{result:?}");
        assert_eq!(result.current_state, CurrentState::Failed);
        assert!(!result.resolved && result.execution_unit_refs.is_empty());
        assert_eq!(uuids(&self.root(), &self.known), before);
    }
}

fn install(uuid: &str, place: &str) -> Operation {
    Operation::Install {
        url: format!("http://files.example/{place}"),
        uuid: uuid.to_owned(),
        username: "jo".to_owned(),
        password: Secret::from("pw"),
        execution_env_ref: "Device.SoftwareModules.ExecEnv.1.".to_owned(),
    }
}

fn update(uuid: &str, version: &str, place: &str) -> Operation {
    Operation::Update {
        uuid: uuid.to_owned(),
        version: version.to_owned(),
        url: if place.is_empty() { String::new() } else { format!("http://files.example/{place}") },
        username: String::new(),
        password: Secret::default(),
    }
}

fn uninstall(uuid: &str, version: &str) -> Operation {
    Operation::Uninstall {
        uuid: uuid.to_owned(),
        version: version.to_owned(),
        execution_env_ref: String::new(),
    }
}

#[test]
fn a_package_s_life_with_opkg() {
    let mut device = opkg();
    let result = device.good(&install(UUID, "nlbwmon/1.0"), "nlbwmon", "1.0");
    assert_eq!(result.uuid, UUID);
    assert_eq!(device.asked.borrow().as_slice(), ["jo:pw http://files.example/nlbwmon/1.0"]);
    let other = device.good(&install("", "sqm/2.0"), "sqm", "2.0");
    assert_eq!(other.uuid, packages::uuid("sqm"));

    device.bad(&install(UUID, "other/1.0"), 9026, "nlbwmon");
    device.bad(&install("", "nlbwmon/1.0"), 9026, "installed already");
    device.bad(&install("", "nlbwmon/7.0"), 9026, "installed already");
    device.bad(&install("", "base-files/7"), 9026, "installed already");
    device.bad(&update(UUID, "", "nlbwmon/1.0"), 9032, "1.0");
    device.bad(&update(UUID, "", "nlbwmon/0.9"), 9030, "Not downgrading");
    device.bad(&update(UUID, "3.0", "nlbwmon/4.0"), 9028, "");
    device.bad(&update(UUID, "", "sqm/4.0"), 9018, "sqm");
    device.good(&update(&UUID.to_lowercase(), "1.0", "nlbwmon/1.1"), "nlbwmon", "1.1");
    // By its URL; what is there is what was installed. Nobody has the other URL.
    device.bad(&update("", "", "sqm/2.0"), 9032, "sqm");
    device.bad(&update("", "", "sqm/2.1"), 9028, "");
    // By the URL that is known of it.
    device.known.get_mut("sqm").unwrap().url = "http://files.example/sqm/2.2".to_owned();
    device.good(&update(&packages::uuid("sqm"), "", ""), "sqm", "2.2");

    device.bad(&uninstall(UUID, "1.0"), 9028, "");
    device.bad(&uninstall(&packages::uuid("base-files"), ""), 9028, "");
    let gone = device.good(&uninstall(UUID, "1.1"), "nlbwmon", "1.1");
    assert_eq!(gone.uuid, UUID);
    device.bad(&uninstall(UUID, ""), 9028, "");
    assert_eq!(uuids(&device.root(), &device.known), [packages::uuid("sqm")]);
    assert!(!device.dir.path().join("tmp/rcwmp-du.left-by-a-killed-one").exists());
}

#[test]
fn what_opkg_refuses() {
    let mut device = opkg();
    device.bad(&install("", "missing"), 9016, "404");
    device.bad(&install("", "odd"), 9001, "multicast");
    device.bad(&install("", "garbage"), 9018, "not an opkg package");
    device.bad(&install("", "--force/1.0"), 9018, "no usable name");
    for (mode, code) in [("nospace", 9027), ("depends", 9025), ("quiet", 9001)] {
        device.put("mode", mode);
        device.bad(&install("", "nlbwmon/1.0"), code, "it was not installed");
    }
    device.put("mode", "");
    device.good(&install("", "needed/1.0"), "needed", "1.0");
    device.bad(&uninstall(&packages::uuid("needed"), ""), 9001, "depended upon");
    // Without a URL it comes from the feeds.
    device.known.clear();
    device.put("mode", "offline");
    device.bad(&update(&packages::uuid("needed"), "", ""), 9015, "the feeds cannot be read");
    device.put("mode", "");
    device.good(&update(&packages::uuid("needed"), "", ""), "needed", "9.9");
    assert!(device.calls().ends_with("update\nupgrade needed\n"), "{}", device.calls());
}

#[test]
fn it_ends_in_time() {
    let device = opkg();
    device.put("mode", "slow");
    let begin = Instant::now();
    let late = device.timed(&install("", "nlbwmon/1.0"), Duration::from_millis(800), false);
    assert_eq!(late.fault_code, 9001);
    assert!(late.fault_string.contains("did not end in time"), "{late:?}");
    let cancelled = device.timed(&install("", "nlbwmon/1.0"), Duration::from_secs(60), true);
    assert_eq!((cancelled.fault_code, cancelled.fault_string.as_str()), (9001, "cancelled"));
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_package_s_life_with_apk() {
    let mut device = apk();
    device.good(&install(UUID, "apk/nlbwmon/1.0"), "nlbwmon", "1.0");
    // With what it needs.
    let result = device.good(&install("", "apk/libz/1.0/libx/1.0/sqm/2.0"), "sqm", "2.0");
    assert_eq!(result.uuid, packages::uuid("sqm"));
    device.bad(&install("", "apk/nlbwmon/1.0"), 9026, "already");
    device.bad(&install("", "apk/nlbwmon/2.0"), 9026, "already");
    device.bad(&install("", "garbage"), 9018, "format error");
    device.bad(&update(UUID, "", "apk/nlbwmon/1.0"), 9032, "1.0");
    device.bad(&update(UUID, "", "apk/nlbwmon/0.5"), 9030, "older");
    device.bad(&update(UUID, "", "apk/other/7"), 9018, "not of nlbwmon");
    device.good(&update(UUID, "", "apk/nlbwmon/1.5"), "nlbwmon", "1.5");
    device.good(&uninstall(UUID, ""), "nlbwmon", "1.5");
    device.known.clear();
    device.good(&update(&packages::uuid("sqm"), "", ""), "sqm", "9.9");
}

#[test]
fn nothing_without_a_package_manager() {
    let device = device();
    device.bad(&install("", "nlbwmon/1.0"), 9024, "no package manager");
    device.bad(&uninstall(UUID, ""), 9024, "no package manager");
    device.bad(&uninstall("x", ""), 9022, "UUID");
    assert!(device.asked.borrow().is_empty());
}

/// The whole way, sixteen operations with a restart in the middle of each third.
#[test]
fn sixteen_operations_each_told_once() {
    let now = |at: u64| Now { mono: Duration::from_secs(at), wall: Some(1_795_237_200) };
    let mut device = opkg();
    let mut list: Vec<Operation> = (0..14).map(|n| install("", &format!("p{n}/1.0"))).collect();
    list.extend([update("", "", ""), uninstall(&packages::uuid("p1"), "")]);
    let mut units = Units::default();
    units.accept("sixteen", list, now(0)).unwrap();
    let mut step = 0;
    loop {
        let (root, known) = (device.root(), units.known().clone());
        let Some(task) = units.next(now(step), || uuids(&root, &known)) else { break };
        device.known.clone_from(&task.known);
        if matches!(task.operation, Operation::Install { .. }) && step % 3 == 0 {
            units = serde_json::from_slice(&serde_json::to_vec(&units).unwrap()).unwrap();
            units.resume(now(step));
        } else {
            units.done(device.timed(&task.operation, task.limit, false));
        }
        step += 1;
    }
    let complete = units.take_complete().unwrap();
    assert!(units.take_complete().is_none() && units.is_empty());
    // Nine were installed: each is found as new as it is, and one is removed at the end.
    let codes: Vec<u16> = complete.results.iter().map(|result| result.fault_code).collect();
    let mut expected: Vec<u16> = (0..14).map(|n| if n % 3 == 0 { 9001 } else { 0 }).collect();
    expected.extend([9032; 9]);
    expected.push(0);
    assert_eq!(codes, expected);
    assert_eq!(complete.results[1].deployment_unit_ref, "p1");
    assert_eq!(complete.results[23].current_state, CurrentState::Uninstalled);
    assert_eq!(units.known().len(), 8);
}
