//! One operation on a package, by opkg or apk, in a worker: whatever it gives, it gives a result.
//!
//! ```text
//!  what the program says                     fault
//!  no space left                             9027  system resources exceeded
//!  other architecture, missing dependency    9025  mismatch with the execution environment
//!  damaged, not a package                    9018  file corrupted
//!  older than what is installed              9030  downgrade not permitted
//!  the same as what is installed             9032 (update), 9026 (installation)
//!  its servers cannot be reached             9015
//!  anything else                             9001, with its last words
//! ```
//!
//! Both programs end well at times without having done anything, so that afterwards the database is asked.
//! Nothing is run by a shell; arguments are words of this file, names of [`packages::is_name`], which begin
//! with no dash, and the absolute path of a file in a directory of our own. Packages that the ACS names are
//! installed whether signed or not, as opkg does: the ACS may replace the whole firmware as well.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::{CurrentState, MAX_FAULT_STRING, Memory, OpResult, Operation, Refused, cut, ipk};
use crate::agent::programs::Program;
use crate::backend::packages::{self, Database, Manager, Package, is_name, list_path};
use crate::sys::fs::Root;
use crate::sys::program;
use crate::sys::{clock, rng};

/// Gets a file: URL, user name, password, where to. A fault code of transfers and a text if it fails.
pub type Fetch<'f> = &'f dyn Fn(&str, &str, &str, &Path) -> Result<(), (u16, String)>;

/// Where package files are put; each operation makes a directory of its own there.
const TEMPORARY: &str = "/tmp";
/// How such directories begin.
const PREFIX: &str = "rcwmp-du.";
/// The longest list of a package's files or of apk's world, in bytes.
const MAX_LIST: usize = 1 << 20;
/// The most execution units of a result.
const MAX_SERVICES: usize = 32;

/// What the programs say when they fail, in small letters, and the fault it is. The first that fits.
const SAYINGS: &[(&str, u16)] = &[
    ("no space left", 9027),
    ("available on filesystem", 9027),
    ("not enough space", 9027),
    ("out of memory", 9027),
    ("not downgrading", 9030),
    ("malformed package", 9018),
    ("bad signature", 9018),
    ("untrusted signature", 9018),
    ("package format error", 9018),
    ("file format is invalid", 9018),
    ("package integrity error", 9018),
    ("checksum mismatch", 9018),
    ("incompatible with the architectures", 9025),
    ("cannot satisfy the following dependencies", 9025),
    ("unable to select packages", 9025),
    ("uninstallable", 9025),
    ("conflict", 9025),
    ("unknown package", 9025),
    ("failed to download", 9015),
    ("wget returned", 9015),
    ("temporary error", 9015),
    ("network error", 9015),
];

/// The UUIDs of the installed deployment units, for [`super::Units::next`]; none if they cannot be read.
pub fn uuids(root: &Root, known: &Memory) -> Vec<String> {
    let database = Database::read(root).unwrap_or_default();
    units(&database, known).map(|package| uuid_of(&package.name, known)).collect()
}

/// Does one operation below a root. `known`: what was installed for the ACS. It ends at the deadline, or
/// soon after `cancel` is set, as failed.
pub fn run(
    operation: &Operation,
    root: &Root,
    known: &Memory,
    fetch: Fetch<'_>,
    cancel: &AtomicBool,
    deadline: Instant,
) -> OpResult {
    let start = clock::is_set().then(clock::epoch_seconds);
    let mut work = Work { root, known, fetch, cancel, deadline, name: String::new(), version: String::new() };
    let done = operation.check().and_then(|()| work.run(operation));
    let mut result = match done {
        Ok(result) => result,
        Err(refused) => {
            let mut failed = OpResult::failed(operation, refused);
            if !work.name.is_empty() {
                if failed.uuid.is_empty() && !matches!(operation, Operation::Install { .. }) {
                    failed.uuid = uuid_of(&work.name, known);
                }
                failed.deployment_unit_ref = work.name;
                failed.version = cut(&work.version, 32);
            }
            failed
        }
    };
    result.start = start;
    result.complete = clock::is_set().then(clock::epoch_seconds);
    result
}

/// What an operation works with, and the package once it is known.
struct Work<'w> {
    root: &'w Root,
    known: &'w Memory,
    fetch: Fetch<'w>,
    cancel: &'w AtomicBool,
    deadline: Instant,
    name: String,
    version: String,
}

impl Work<'_> {
    fn run(&mut self, operation: &Operation) -> Result<OpResult, Refused> {
        let (program, manager) = self.program()?;
        let before = self.database()?;
        match operation {
            Operation::Install { url, uuid, username, password, .. } => {
                if let Some(unit) = find(&before, self.known, uuid, "", "") {
                    self.take(unit);
                    return Err((9026, format!("{} has this UUID already", unit.name)));
                }
                let file = self.fetch(manager, url, username, password)?;
                match manager {
                    Manager::Opkg => self.install_opkg(&program, &before, &file)?,
                    Manager::Apk => self.install_apk(&program, &before, &file)?,
                }
                let generated = packages::uuid(&self.name);
                Ok(self.installed(if uuid.is_empty() { generated } else { uuid.clone() }))
            }
            Operation::Update { uuid, version, url, username, password } => {
                let unit = self.wanted(&before, uuid, version, url)?;
                let uuid = uuid_of(&unit.name, self.known);
                let own = self.known.get(&unit.name).map(|known| known.url.as_str()).unwrap_or_default();
                let url = if url.is_empty() { own } else { url };
                if url.is_empty() {
                    self.update_from_feeds(&program, manager)?;
                } else {
                    let file = self.fetch(manager, url, username, password)?;
                    match manager {
                        Manager::Opkg => self.update_opkg(&program, &file)?,
                        Manager::Apk => self.update_apk(&program, &file)?,
                    }
                }
                Ok(self.installed(uuid))
            }
            Operation::Uninstall { uuid, version, .. } => {
                self.wanted(&before, uuid, version, "")?;
                let uuid = uuid_of(&self.name, self.known);
                let arguments = match manager {
                    Manager::Opkg => ["remove", "--autoremove", &self.name],
                    Manager::Apk => ["del", "--no-progress", &self.name],
                };
                let said = self.call(&program, &arguments)?;
                if self.database()?.all.contains_key(&self.name) {
                    return Err(said.refused("it is still installed"));
                }
                Ok(self.result(uuid, CurrentState::Uninstalled))
            }
        }
    }

    /// The package manager; an environment without one is disabled.
    fn program(&self) -> Result<(PathBuf, Manager), Refused> {
        let managers = [(Program::Opkg, Manager::Opkg), (Program::Apk, Manager::Apk)];
        let mut found =
            managers.into_iter().filter_map(|(one, manager)| Some((one.find(self.root)?, manager)));
        found.next().ok_or_else(|| (9024, "the device has no package manager".to_owned()))
    }

    fn database(&self) -> Result<Database, Refused> {
        Database::read(self.root).map_err(|why| (9001, format!("reading the packages: {why}")))
    }

    fn take(&mut self, unit: &Package) {
        unit.name.clone_into(&mut self.name);
        unit.version.clone_into(&mut self.version);
    }

    /// The unit that an update or removal is about.
    fn wanted<'d>(
        &mut self,
        database: &'d Database,
        uuid: &str,
        version: &str,
        url: &str,
    ) -> Result<&'d Package, Refused> {
        let unknown = (9028, "there is no such deployment unit".to_owned());
        let unit = find(database, self.known, uuid, version, url).ok_or(unknown)?;
        self.take(unit);
        Ok(unit)
    }

    fn fetch(&self, manager: Manager, url: &str, user: &str, password: &str) -> Result<Temporary, Refused> {
        let file = Temporary::new(self.root, manager)?;
        (self.fetch)(url, user, password, &file.file).map_err(|(code, text)| (transfer_fault(code), text))?;
        Ok(file)
    }

    fn install_opkg(&mut self, program: &Path, before: &Database, file: &Temporary) -> Result<(), Refused> {
        let control = ipk::control(&file.file).map_err(|why| (9018, why))?;
        if let Some(there) = before.all.get(&control.name) {
            return Err((9026, format!("{} {there} is installed already", control.name)));
        }
        let said = self.call(program, &["install", file.argument()])?;
        match self.database()?.all.get(&control.name) {
            Some(version) => {
                self.version.clone_from(version);
                self.name = control.name;
                Ok(())
            }
            None => Err(said.refused("it was not installed")),
        }
    }

    /// What is in the file only apk knows, so that it is asked what it would do.
    fn install_apk(&mut self, program: &Path, before: &Database, file: &Temporary) -> Result<(), Refused> {
        let plan = self
            .call(program, &["add", "--no-progress", "--simulate", "--allow-untrusted", file.argument()])?;
        if plan.code != 0 {
            return Err(plan.refused("it cannot be installed"));
        }
        if steps(&plan.output, "Installing").next().is_none() {
            return Err((9026, "the package is installed already".to_owned()));
        }
        let world = self.world();
        let said = self.call(program, &["add", "--no-progress", "--allow-untrusted", file.argument()])?;
        let after = self.database()?;
        let fresh: Vec<&String> = after.all.keys().filter(|name| !before.all.contains_key(*name)).collect();
        let wanted = self.world();
        let asked = |name: &&&String| wanted.contains(name) && !world.contains(name);
        let one = match fresh.as_slice() {
            [] => return Err(said.refused("it was not installed")),
            [one] => one,
            // The others came because it needs them.
            several => several
                .iter()
                .find(asked)
                .ok_or_else(|| said.refused("it is not known what was installed"))?,
        };
        self.version = after.all.get(*one).cloned().unwrap_or_default();
        self.name = (*one).clone();
        Ok(())
    }

    fn update_opkg(&mut self, program: &Path, file: &Temporary) -> Result<(), Refused> {
        let control = ipk::control(&file.file).map_err(|why| (9018, why))?;
        if control.name != self.name {
            return Err((9018, format!("the file is of {}, not of {}", control.name, self.name)));
        }
        let said = self.call(program, &["install", file.argument()])?;
        self.updated(&said)
    }

    fn update_apk(&mut self, program: &Path, file: &Temporary) -> Result<(), Refused> {
        let plan = self
            .call(program, &["add", "--no-progress", "--simulate", "--allow-untrusted", file.argument()])?;
        if plan.code != 0 {
            return Err(plan.refused("it cannot be updated"));
        }
        let about = |verb| steps(&plan.output, verb).any(|name| name == self.name);
        if about("Downgrading") {
            return Err((9030, format!("the file is older than {} {}", self.name, self.version)));
        }
        if !about("Upgrading") {
            let nothing = ["Installing", "Upgrading", "Downgrading"];
            return Err(match nothing.iter().any(|verb| steps(&plan.output, verb).next().is_some()) {
                true => (9018, format!("the file is not of {}", self.name)),
                false => (9032, format!("{} {} is installed already", self.name, self.version)),
            });
        }
        let said = self.call(program, &["add", "--no-progress", "--allow-untrusted", file.argument()])?;
        self.updated(&said)
    }

    /// A unit that came from the device's own feeds follows them.
    fn update_from_feeds(&mut self, program: &Path, manager: Manager) -> Result<(), Refused> {
        let name = self.name.clone();
        let (lists, upgrade) = match manager {
            Manager::Opkg => (["update"].as_slice(), ["upgrade", &name].to_vec()),
            Manager::Apk => {
                (["update", "--no-progress"].as_slice(), ["upgrade", "--no-progress", &name].to_vec())
            }
        };
        let said = self.call(program, lists)?;
        if said.code != 0 {
            return Err((9015, said.words("the feeds cannot be read")));
        }
        let said = self.call(program, &upgrade)?;
        self.updated(&said)
    }

    /// Whether another version is there now.
    fn updated(&mut self, said: &Said) -> Result<(), Refused> {
        match self.database()?.all.get(&self.name) {
            None => Err(said.refused("it is not installed any more")),
            Some(version) if *version != self.version => {
                self.version.clone_from(version);
                Ok(())
            }
            Some(_) if said.code == 0 && said.fault() == 9001 => {
                Err((9032, format!("{} {} is installed already", self.name, self.version)))
            }
            Some(_) => Err(said.refused("it was not updated")),
        }
    }

    fn call(&self, program: &Path, arguments: &[&str]) -> Result<Said, Refused> {
        match program::run(program, arguments, self.deadline, self.cancel) {
            Ok(finished) => Ok(Said { code: finished.code, output: finished.output }),
            Err(why) => Err((9001, why.to_string())),
        }
    }

    /// The packages that apk was asked for.
    fn world(&self) -> Vec<String> {
        let Ok(bytes) = self.root.read("/etc/apk/world", MAX_LIST) else { return Vec::new() };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let name = |word: &str| word.split(['<', '>', '=', '~', '@']).next().unwrap_or_default().to_owned();
        text.split_whitespace().map(name).collect()
    }

    fn installed(&self, uuid: String) -> OpResult {
        self.result(uuid, CurrentState::Installed)
    }

    fn result(&self, uuid: String, state: CurrentState) -> OpResult {
        let here = state == CurrentState::Installed;
        OpResult {
            uuid,
            deployment_unit_ref: self.name.clone(),
            version: cut(&self.version, 32),
            current_state: state,
            resolved: here,
            execution_unit_refs: if here { self.services() } else { Vec::new() },
            start: None,
            complete: None,
            fault_code: 0,
            fault_string: String::new(),
        }
    }

    /// The start scripts of the package.
    fn services(&self) -> Vec<String> {
        let database = Database::read(self.root).unwrap_or_default();
        let Some(package) = database.units.get(&self.name) else { return Vec::new() };
        let list = self.root.read(list_path(&self.name), MAX_LIST).ok();
        let list = list.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let files = packages::files(package, list.as_deref());
        let scripts = files.iter().filter_map(|file| file.strip_prefix("/etc/init.d/"));
        scripts.filter(|name| is_name(name)).take(MAX_SERVICES).map(str::to_owned).collect()
    }
}

/// How a program ended.
struct Said {
    code: i32,
    output: String,
}

impl Said {
    /// The fault of what it has said.
    fn fault(&self) -> u16 {
        let text = self.output.to_lowercase();
        SAYINGS.iter().find(|(saying, _)| text.contains(saying)).map_or(9001, |(_, code)| *code)
    }

    fn refused(&self, what: &str) -> Refused {
        (self.fault(), self.words(what))
    }

    /// Its last words on one line, after ours.
    fn words(&self, what: &str) -> String {
        let words: Vec<&str> = self.output.split_whitespace().collect();
        let words = words.join(" ");
        let room = MAX_FAULT_STRING.saturating_sub(what.len() + 2);
        let skipped = words.chars().count().saturating_sub(room);
        let last: String = words.chars().skip(skipped).collect();
        if last.is_empty() { format!("{what} (exit code {})", self.code) } else { format!("{what}: {last}") }
    }
}

/// A file of ours to be installed, in a directory of ours; both go when this is dropped.
struct Temporary {
    dir: PathBuf,
    file: PathBuf,
}

impl Temporary {
    /// Removes what an agent that was killed has left, and makes a new directory.
    fn new(root: &Root, manager: Manager) -> Result<Temporary, Refused> {
        let failed = |why: &dyn std::fmt::Display| (9001, format!("making a place for the file: {why}"));
        let parent = root.resolve(TEMPORARY).map_err(|why| failed(&why))?;
        for old in fs::read_dir(&parent).map_err(|why| failed(&why))?.flatten() {
            if old.file_name().to_string_lossy().starts_with(PREFIX) {
                let _ = fs::remove_dir_all(old.path());
            }
        }
        let dir = parent.join(format!("{PREFIX}{}", rng::hex(8).map_err(|why| failed(&why))?));
        DirBuilder::new().mode(0o700).create(&dir).map_err(|why| failed(&why))?;
        let name = match manager {
            Manager::Opkg => "package.ipk",
            Manager::Apk => "package.apk",
        };
        Ok(Temporary { file: dir.join(name), dir })
    }

    /// The path as an argument; a root that is no UTF-8 is only on a desk, and finds no such file.
    fn argument(&self) -> &str {
        self.file.to_str().unwrap_or_default()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn units<'d>(database: &'d Database, known: &Memory) -> impl Iterator<Item = &'d Package> {
    database.later(|name| known.contains_key(name))
}

fn uuid_of(name: &str, known: &Memory) -> String {
    match known.get(name).filter(|known| !known.uuid.is_empty()) {
        Some(known) => known.uuid.clone(),
        None => packages::uuid(name),
    }
}

/// The unit with a UUID, or without one with a URL, and with the version if one is given.
fn find<'d>(
    database: &'d Database,
    known: &Memory,
    uuid: &str,
    version: &str,
    url: &str,
) -> Option<&'d Package> {
    let fits = |package: &&Package| match uuid {
        "" => !url.is_empty() && known.get(&package.name).is_some_and(|known| known.url == url),
        uuid => uuid_of(&package.name, known).eq_ignore_ascii_case(uuid),
    };
    let same = |package: &&Package| version.is_empty() || cut(&package.version, 32) == version;
    units(database, known).find(|package| fits(package) && same(package))
}

/// The packages that apk says it does this with: `(1/2) Installing NAME (VERSION)`.
fn steps<'o>(output: &'o str, verb: &str) -> impl Iterator<Item = &'o str> {
    let verb = format!("{verb} ");
    output.lines().filter_map(move |line| {
        let line = line.trim();
        let rest =
            line.split_once(") ").filter(|(count, _)| count.starts_with('(')).map_or(line, |(_, rest)| rest);
        rest.strip_prefix(&verb)?.split_whitespace().next()
    })
}

/// A code of transfers as one that a result may have.
fn transfer_fault(code: u16) -> u16 {
    match code {
        9001 | 9003 | 9012 | 9013 | 9015..=9018 | 9027 => code,
        9010 => 9017,
        9019 => 9018,
        _ => 9001,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_say() {
        let check = |output: &str, code: u16| {
            let said = Said { code: 255, output: output.to_owned() };
            let (found, text) = said.refused("it was not installed");
            assert_eq!(found, code, "{output}");
            assert!(text.chars().count() <= MAX_FAULT_STRING, "{text}");
            assert!(!text.contains('\n'));
        };
        check(
            "Unknown package 'x'.\nCollected errors:\n * pkg_hash_fetch_best_installation_candidate: Packages for x \
             found, but incompatible with the architectures configured\n * opkg_install_cmd: Cannot install package x.",
            9025,
        );
        check(
            "Collected errors:\n * satisfy_dependencies_for: Cannot satisfy the following dependencies for x:\n * libz",
            9025,
        );
        check(
            "Collected errors:\n * verify_pkg_installable: Only have 0kb available on filesystem /overlay",
            9027,
        );
        check("ERROR: x-1: No space left on device", 9027);
        check("Not downgrading package x on root from 2 to 1.", 9030);
        check("ERROR: unable to select packages:\n  libz (no such package):", 9025);
        check("ERROR: /tmp/x.apk: v2 package format error", 9018);
        check("Collected errors:\n * opkg_conf_load: Could not lock /var/lock/opkg.lock", 9001);
        check(&"ä".repeat(4000), 9001);
        check("", 9001);
    }

    #[test]
    fn codes_of_transfers_are_those_of_results() {
        for code in 9000..9900 {
            let found = transfer_fault(code);
            // TR-069 A.3.3.4, OpResultStruct.
            assert!(matches!(found, 9001 | 9003 | 9012 | 9013 | 9015..=9018 | 9022..=9032), "{found}");
        }
        let kept: Vec<u16> = (9000..9900).filter(|code| transfer_fault(*code) == *code).collect();
        assert_eq!(kept, [9001, 9003, 9012, 9013, 9015, 9016, 9017, 9018, 9027]);
        assert_eq!([9010, 9019, 9020].map(transfer_fault), [9017, 9018, 9001]);
    }

    #[test]
    fn what_apk_would_do() {
        let output = "(1/3) Installing libz (1.0)\n(2/3) Upgrading nlbwmon (1-r0 -> 2-r0)\n(3/3) Executing x\nOK: 3 MiB";
        let list = |verb| steps(output, verb).collect::<Vec<_>>();
        assert_eq!(list("Installing"), ["libz"]);
        assert_eq!(list("Upgrading"), ["nlbwmon"]);
        assert!(list("Downgrading").is_empty());
    }
}
