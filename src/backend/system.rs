//! [`System`]: one door to UCI, files, the agent's values and the store, with joint commits.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;

use crate::map::Map;
use crate::model::backend::{Place, Raw};
use crate::model::error::{Error, Result};
use crate::model::memory::Memory;
use crate::sys::clock;
use crate::sys::fs::{Root, read_capped, read_plain};
use crate::sys::journal::{Journal, Write};
use crate::ubus::blobmsg::Table;
use crate::uci::{self, Store, Value};

use super::bbfdm::Bbfdm;
use super::bus::Bus;
use super::functions::bbf::Telling;
use super::functions::orders::Order;
use super::functions::sensors::Sensors;
use super::kept::{Kept, KeptError};
use super::marks::{self, Marks, Numbers};
use super::memo::Memo;
use super::moves::Move;
use super::statistics::Statistics;
use super::trials::Trials;
use super::untold::Untold;

/// The largest file that a value or row is read from, in bytes; the rest of a larger one is not seen.
const MAX_TEXT: usize = 256 * 1024;
/// All files and folders remembered during a session, in bytes; beyond it they are read each time.
const MAX_REMEMBERED: usize = 4 * 1024 * 1024;
/// The longest path, in bytes.
const MAX_PATH: usize = 4096;
/// The most names of a directory.
const MAX_NAMES: usize = 4096;
/// The most orders of one change.
const MAX_ORDERS: usize = 64;

/// Seconds by which two moments may differ and be told as one, see [`System::steady`].
const SLACK: u64 = 5;
/// The most moments of [`System::steady`]; beyond them all are told anew.
const MAX_MOMENTS: usize = 4096;

/// Where everything is, for [`System::open`]. Paths are the router's, below `root`, but for `state_dir`.
#[derive(Debug, Clone)]
pub struct Places {
    /// What stands for `/`.
    pub root: Root,
    /// `/etc/config`.
    pub config_dir: PathBuf,
    /// `/tmp/.uci`: saved changes that were not committed.
    pub delta_dir: PathBuf,
    /// Where the agent keeps what must survive: an absolute path as it is, root included.
    pub state_dir: PathBuf,
    /// ubusd's socket, as a path of this machine; without one nothing is asked over ubus.
    pub ubus_socket: Option<PathBuf>,
}

/// Everything a value can come from. Made once by the agent; caches are dropped by `refresh`.
pub struct System {
    pub(super) root: Root,
    pub(super) uci: Store,
    journal: Journal,
    kept_path: PathBuf,
    /// As on the disk.
    pub(super) kept: Kept,
    /// As it will be after the commit.
    pub(super) staged: Option<Kept>,
    pub(super) trials: Trials,
    pub(super) sensors: Sensors,
    pub(super) bbfdm: Bbfdm,
    pub(super) statistics: Statistics,
    /// The sample sets that a commit forces to show what they have.
    pub(super) forcing: Vec<u32>,
    /// A commit has changed what is kept since somebody asked.
    rekept: bool,
    /// What is written is what is left of a reference whose row goes.
    pub(super) releasing: bool,
    /// What programs on ubus will be told with the commit.
    pub(super) tellings: Vec<Telling>,
    /// With what reading has taught since the last commit.
    marks: Marks,
    /// By package: as read, and with what is staged.
    placed: HashMap<String, Placed>,
    moved: HashMap<String, Placed>,
    /// Of the table that is being listed: what its rows were called when names came from contents.
    former: Vec<(String, String)>,
    bus: Bus,
    pub(super) memo: Memo,
    /// What [`System::steady`] has told.
    moments: HashMap<String, i64>,
    texts: HashMap<String, Option<Rc<str>>>,
    folders: HashMap<String, Vec<String>>,
    /// Where folders really are, links followed.
    homes: HashMap<String, PathBuf>,
    /// Whole files as they will be after the commit.
    files: Map<String, Rc<str>>,
    remembered: usize,
    agent: Map<String, String>,
    pub(super) touched: Untold,
    /// Staged, and to be done once services have followed.
    ordered: Vec<Order>,
    orders: Vec<Order>,
    /// The last commit has changed some.
    waits: bool,
    /// Sections that are to stand elsewhere once all is staged.
    pub(super) moves: Vec<Move>,
    /// What can be told of staged values once all is staged; the last one that was written speaks first.
    pub(super) later: Vec<Check>,
    /// Frozen for a session, as everything else.
    now: (i64, u64),
    complaints: Vec<String>,
}

/// Looks whether a staged value can stay.
pub(super) type Check = Box<dyn FnOnce(&mut System) -> Result<()>>;

/// The marks of a package's sections at one revision of it.
struct Placed {
    revision: u32,
    numbers: Rc<Numbers>,
}

/// A UCI section as functions see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// How addresses name it: its name, or `@type[n]`. Good until the package changes.
    pub addr: String,
    /// How tables name it, wherever it moves: its name, or `type#n` by its mark.
    pub id: String,
    /// Its name, unless it is anonymous.
    pub name: Option<String>,
    /// `config TYPE`.
    pub ty: String,
}

impl System {
    /// Opens the system: finishes an interrupted commit, and reads what was kept.
    ///
    /// Gives the model's memory of the last life too. A damaged file is put aside and complained about,
    /// and the life begins anew.
    ///
    /// # Errors
    /// [`Error::backend`] when the state directory cannot be used.
    pub fn open(places: Places) -> Result<(System, Memory)> {
        let failed = |why: &dyn fmt::Display| Error::backend("opening the state directory", why);
        let journal = Journal::new(places.state_dir.join("journal")).map_err(|why| failed(&why))?;
        let mut complaints = Vec::new();
        if let Err(why) = journal.recover() {
            complaints.push(format!("recovering an interrupted commit: {why}"));
        }
        let kept_path = places.state_dir.join("model.json");
        let (kept, memory) = match Kept::load(&kept_path) {
            Ok(loaded) => loaded,
            Err(KeptError::Missing) => Default::default(),
            Err(KeptError::Damaged(why)) => {
                complaints.push(format!("{}: {why}; put aside, starting anew", kept_path.display()));
                Kept::put_aside(&kept_path);
                Default::default()
            }
        };
        let mut system = System {
            uci: Store::new(places.root.clone(), places.config_dir, places.delta_dir),
            touched: Untold::open(&places.root),
            root: places.root,
            journal,
            kept_path,
            marks: kept.marks.clone(),
            placed: HashMap::new(),
            moved: HashMap::new(),
            former: Vec::new(),
            kept,
            staged: None,
            trials: Trials::default(),
            sensors: Sensors::new(clock::epoch_seconds()),
            tellings: Vec::new(),
            bbfdm: Bbfdm::default(),
            statistics: Statistics::default(),
            forcing: Vec::new(),
            rekept: true,
            releasing: false,
            bus: Bus::new(places.ubus_socket),
            memo: Memo::default(),
            moments: HashMap::new(),
            texts: HashMap::new(),
            folders: HashMap::new(),
            homes: HashMap::new(),
            files: Map::default(),
            remembered: 0,
            agent: Map::new(),
            ordered: Vec::new(),
            orders: Vec::new(),
            waits: false,
            moves: Vec::new(),
            later: Vec::new(),
            now: (clock::epoch_seconds(), 0),
            complaints,
        };
        system.configure_statistics();
        Ok((system, memory))
    }

    /// An option, `network.lan.proto` or `system.@system[0].hostname`; `None` when package, section or option is absent.
    ///
    /// # Errors
    /// [`Error::backend`] with file, line and column for a package that cannot be read.
    pub fn option(&mut self, address: &str) -> Result<Option<Raw>> {
        let Some((package, section, option)) = split(address) else { return Ok(None) };
        match self.uci.package(package) {
            Ok(document) => Ok(document.option(section, option).map(|value| match value {
                Value::Single(text) => Raw::One(text.clone()),
                Value::List(items) => Raw::Many(items.clone()),
            })),
            Err(uci::StoreError::NoPackage(_)) => Ok(None),
            Err(why) => Err(reading(package, &why)),
        }
    }

    /// As [`System::option`], as text; an absent option is empty.
    ///
    /// # Errors
    /// As [`System::option`].
    pub fn option_text(&mut self, address: &str) -> Result<String> {
        let Some((package, section, option)) = split(address) else { return Ok(String::new()) };
        match self.uci.package(package) {
            Ok(document) => Ok(document.option(section, option).map(Value::joined).unwrap_or_default()),
            Err(uci::StoreError::NoPackage(_)) => Ok(String::new()),
            Err(why) => Err(reading(package, &why)),
        }
    }

    /// Stages an option; `None` and an empty list remove it.
    ///
    /// # Errors
    /// [`Error::backend`] when package or section are absent, or the value cannot be written.
    pub fn set_option(&mut self, address: &str, raw: Option<&Raw>) -> Result<()> {
        let (package, section, option) =
            split(address).ok_or_else(|| Error::backend(format!("writing {address}"), "not an address"))?;
        let done = match raw {
            None => self.uci.delete_option(package, section, option),
            Some(Raw::Many(items)) => self.uci.set(package, section, option, Value::List(items.clone())),
            Some(Raw::One(text)) => self.uci.set(package, section, option, Value::Single(text.clone())),
        };
        done.map(drop).map_err(|why| writing(address, &why))
    }

    /// The sections of a type in the order of the file; of every type for `*`.
    ///
    /// # Errors
    /// As [`System::option`]; an absent package has none.
    pub fn sections(&mut self, package: &str, ty: &str) -> Result<Vec<Section>> {
        let numbers = match self.numbers(package) {
            Ok(numbers) => numbers,
            Err(uci::StoreError::NoPackage(_)) => return Ok(Vec::new()),
            Err(why) => return Err(reading(package, &why)),
        };
        let document = self.uci.package(package).map_err(|why| reading(package, &why))?;
        let sections = document.sections().filter(|section| ty == "*" || section.ty() == ty);
        Ok(sections.map(|section| seen(section, &numbers)).collect())
    }

    /// A package's file as it is now; none where there is none.
    ///
    /// # Errors
    /// As [`System::sections`].
    pub fn package_bytes(&mut self, package: &str) -> Result<Option<Vec<u8>>> {
        match self.uci.package(package) {
            Ok(document) => Ok(Some(document.to_bytes())),
            Err(uci::StoreError::NoPackage(_)) => Ok(None),
            Err(why) => Err(reading(package, &why)),
        }
    }

    /// Whether a package has a file, well-formed or not: whether its program is installed.
    pub fn has_package(&mut self, package: &str) -> bool {
        !matches!(self.uci.package(package), Err(uci::StoreError::NoPackage(_)))
    }

    /// Whether the section of an option's address is there.
    pub fn has_section(&mut self, address: &str) -> bool {
        let Some((package, section, _)) = split(address) else { return false };
        self.uci.package(package).is_ok_and(|document| document.find(section).is_some())
    }

    /// The options of a section by name; none without the section.
    pub fn options(&mut self, package: &str, section: &str) -> Vec<String> {
        let document = self.uci.package(package).ok();
        let found = document.and_then(|document| document.find(section));
        found.map(|section| section.options().map(|(name, _)| name.to_owned()).collect()).unwrap_or_default()
    }

    /// The stable name of a section, see [`Section::id`]; the address itself when there is no such section.
    ///
    /// # Errors
    /// As [`System::option`].
    pub fn section_id(&mut self, package: &str, addr: &str) -> Result<String> {
        let numbers = self.numbers(package).map_err(|why| reading(package, &why))?;
        let document = self.uci.package(package).map_err(|why| reading(package, &why))?;
        Ok(document.find(addr).map_or_else(|| addr.to_owned(), |section| seen(section, &numbers).id))
    }

    /// The row `id` of the table that is being listed had a name from its content: `word`, and with the
    /// number of its like where several had it.
    pub(super) fn was(&mut self, id: &str, word: &str) {
        if id == word || word.is_empty() {
            return;
        }
        let numbered = format!("{word}#");
        let like = |former: &str| former == word || former.starts_with(&numbered);
        let word = match self.former.iter().filter(|(_, former)| like(former)).count() {
            0 => word.to_owned(),
            before => format!("{numbered}{}", before + 1),
        };
        self.former.push((id.to_owned(), word));
    }

    /// Another table is listed.
    pub(super) fn forget_former(&mut self) {
        self.former.clear();
    }

    /// See [`System::was`].
    pub(super) fn former_name(&self, id: &str) -> Option<&str> {
        self.former.iter().find(|(known, _)| known == id).map(|(_, word)| word.as_str())
    }

    /// Whether marks were given or moved since the last commit.
    pub(super) fn has_new_marks(&self) -> bool {
        self.marks != self.kept.marks
    }

    /// The marks of a package's nameless sections by key, with what is staged.
    fn numbers(&mut self, package: &str) -> std::result::Result<Rc<Numbers>, uci::StoreError> {
        let (document, revision) = self.uci.before(package)?;
        let base = match self.placed.get(package).filter(|placed| placed.revision == revision) {
            Some(placed) => Rc::clone(&placed.numbers),
            None => {
                let numbers = Rc::new(self.marks.recognise(package, document.sections()));
                let placed = Placed { revision, numbers: Rc::clone(&numbers) };
                self.placed.insert(package.to_owned(), placed);
                numbers
            }
        };
        let Some((document, revision)) = self.uci.after(package) else { return Ok(base) };
        let earlier = self.moved.get(package);
        if let Some(placed) = earlier.filter(|placed| placed.revision == revision) {
            return Ok(Rc::clone(&placed.numbers));
        }
        let earlier = earlier.map(|placed| &*placed.numbers);
        let numbers = Rc::new(self.marks.follow(package, &base, earlier, document.sections()));
        self.moved.insert(package.to_owned(), Placed { revision, numbers: Rc::clone(&numbers) });
        Ok(numbers)
    }

    /// A number for what a package says now, with what is staged; none of a package that cannot be read.
    pub(super) fn revision(&mut self, package: &str) -> Option<u32> {
        match self.uci.after(package) {
            Some((_, revision)) => Some(revision),
            None => self.uci.before(package).ok().map(|(_, revision)| revision),
        }
    }

    /// The marks as they are once everything staged is written.
    fn settled_marks(&mut self) -> std::result::Result<Marks, uci::StoreError> {
        let packages: Vec<String> = self.uci.changed().map(str::to_owned).collect();
        let mut settled = None;
        for package in &packages {
            let numbers = self.numbers(package)?;
            if let Some((document, _)) = self.uci.after(package) {
                let settled = settled.get_or_insert_with(|| self.marks.clone());
                settled.settle(package, &numbers, document.sections());
            }
        }
        Ok(settled.unwrap_or_else(|| self.marks.clone()))
    }

    /// Forgets everything staged.
    pub(super) fn forget_staged(&mut self) {
        self.uci.revert();
        self.staged = None;
        self.files.clear();
        self.moved.clear();
        self.trials.revert();
        self.forcing.clear();
        self.ordered.clear();
        self.moves.clear();
        self.later.clear();
        self.tellings.clear();
        if let Err(why) = self.bbfdm_end(false) {
            self.complain(why.to_string());
        }
    }

    /// Stages a new section; anonymous without a name. Returns its address. The package is made if missing.
    ///
    /// # Errors
    /// As [`System::set_option`]; a name that is taken.
    pub fn add_section(&mut self, package: &str, ty: &str, name: Option<&str>) -> Result<String> {
        let failed = |why: &uci::StoreError| writing(&format!("{package} (a new {ty})"), why);
        self.uci.create(package).map_err(|why| failed(&why))?;
        let key = self.uci.add_section(package, ty, name).map_err(|why| failed(&why))?;
        if let Some(name) = name {
            return Ok(name.to_owned());
        }
        let document = self.uci.package(package).map_err(|why| failed(&why))?;
        let nth = document.find(&key).map_or(0, uci::Section::index_in_type);
        Ok(format!("@{ty}[{nth}]"))
    }

    /// Stages the removal of `package.section`.
    ///
    /// # Errors
    /// As [`System::set_option`].
    pub fn delete_section(&mut self, address: &str) -> Result<()> {
        let (package, section) = address
            .split_once('.')
            .ok_or_else(|| Error::backend(format!("deleting {address}"), "not an address"))?;
        self.uci.delete_section(package, section).map_err(|why| writing(address, &why))
    }

    /// Stages that a section of a package stands before another one, or at the end.
    ///
    /// # Errors
    /// As [`System::set_option`].
    pub(super) fn move_section(
        &mut self,
        package: &str,
        section: &str,
        follower: Option<&str>,
    ) -> Result<()> {
        let done = self.uci.move_section(package, section, follower);
        done.map_err(|why| writing(&format!("{package}.{section}"), &why))
    }

    /// The content of a file under the root, at most 256 KiB of it, invalid UTF-8 replaced; `None` when it
    /// is absent or cannot be read (`carrier` of a device that is down gives EINVAL).
    pub fn text(&mut self, path: &str) -> Option<Rc<str>> {
        if let Some(staged) = self.files.get(path) {
            return Some(Rc::clone(staged));
        }
        if let Some(known) = self.texts.get(path) {
            return known.clone();
        }
        let plain = self.beside(path).and_then(|place| read_plain(&place, MAX_TEXT));
        let bytes = match plain {
            Some(read) => read.ok(),
            None => self.place(path).and_then(|place| read_capped(&place, MAX_TEXT).ok()),
        };
        let text: Option<Rc<str>> = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into());
        let size = path.len() + text.as_ref().map_or(0, |text| text.len());
        if self.remembered + size <= MAX_REMEMBERED {
            self.remembered += size;
            self.texts.insert(path.to_owned(), text.clone());
        }
        text
    }

    /// Stages the whole content of a text file of the system that is no UCI package: accounts, keys.
    ///
    /// # Errors
    /// [`Error::backend`] when its directory is not there, or it would be larger than what can be read back.
    pub fn put_text(&mut self, path: &str, text: String) -> Result<()> {
        let failed = |why: &dyn fmt::Display| Error::backend(format!("writing {path}"), why);
        let place = self.root.resolve(path).map_err(|why| failed(&why))?;
        if !place.parent().is_some_and(std::path::Path::is_dir) {
            return Err(failed(&"its directory does not exist"));
        }
        if text.len() > MAX_TEXT {
            return Err(failed(&"it would be too large"));
        }
        self.files.insert(path.to_owned(), text.into());
        Ok(())
    }

    /// What a method of a ubus object without arguments answers, see [`Bus::ask`].
    pub fn ubus(&mut self, object: &str, method: &str) -> Option<Rc<Table>> {
        self.bus.ask(object, method, &Table::new())
    }

    /// Everything that can be asked over ubus.
    pub fn bus(&mut self) -> &mut Bus {
        &mut self.bus
    }

    /// The names in a directory under the root, sorted; none when it is absent.
    pub fn names(&mut self, path: &str) -> Vec<String> {
        if let Some(known) = self.folders.get(path) {
            return known.clone();
        }
        let entries = self.place(path).and_then(|dir| std::fs::read_dir(dir).ok());
        let names =
            entries.into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.take(MAX_NAMES).collect();
        names.sort();
        let size = path.len() + names.iter().map(String::len).sum::<usize>();
        if self.remembered + size <= MAX_REMEMBERED {
            self.remembered += size;
            self.folders.insert(path.to_owned(), names.clone());
        }
        names
    }

    /// Where a path under the root really is, links followed. That of its folder is looked up once.
    fn place(&mut self, path: &str) -> Option<PathBuf> {
        // As the kernel has it.
        if path.len() >= MAX_PATH {
            return None;
        }
        let plain = self.beside(path).filter(|place| std::fs::read_link(place).is_err());
        if plain.is_some() { plain } else { self.root.resolve(path).ok() }
    }

    /// The same in its folder, where it may be a link.
    fn beside(&mut self, path: &str) -> Option<PathBuf> {
        let (folder, name) = path.rsplit_once('/').filter(|_| path.len() < MAX_PATH)?;
        if matches!(name, "" | "." | "..") { None } else { Some(self.home(folder)?.join(name)) }
    }

    /// Where a folder really is.
    fn home(&mut self, folder: &str) -> Option<&PathBuf> {
        if !self.homes.contains_key(folder) {
            let home = if folder.is_empty() { self.root.dir().to_path_buf() } else { self.place(folder)? };
            if self.homes.len() >= MAX_NAMES {
                self.homes.clear();
            }
            self.homes.insert(folder.to_owned(), home);
        }
        self.homes.get(folder)
    }

    /// Whether a path exists under the root.
    pub fn exists(&mut self, path: &str) -> bool {
        self.place(path).is_some_and(|path| path.exists())
    }

    /// Where a symbolic link under the root points, as text.
    pub fn link(&mut self, path: &str) -> Option<String> {
        let (folder, name) = path.rsplit_once('/')?;
        Some(std::fs::read_link(self.home(folder)?.join(name)).ok()?.to_string_lossy().into_owned())
    }

    /// Where the files of UCI are, under the root.
    pub fn config_folder(&self) -> String {
        self.uci.config_dir().to_string_lossy().into_owned()
    }

    /// When a file under the root was last modified, in seconds since 1970.
    pub fn modified(&mut self, path: &str) -> Option<i64> {
        let modified = std::fs::metadata(self.place(path)?).ok()?.modified().ok()?;
        modified.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs().try_into().ok()
    }

    /// The size of the file system that holds a path under the root, and what is free of it, in KiB.
    #[allow(clippy::useless_conversion, reason = "the counts are of 32 bits on some targets")]
    pub fn space(&mut self, path: &str) -> Option<(u64, u64)> {
        let stat = nix::sys::statvfs::statvfs(&self.root.resolve(path).ok()?).ok()?;
        let unit = u64::from(stat.fragment_size());
        let kib = |blocks: u64| blocks.saturating_mul(unit) / 1024;
        Some((kib(u64::from(stat.blocks())), kib(u64::from(stat.blocks_available()))))
    }

    /// A value of the agent itself by name; see `agent` sources. What was written to it goes first.
    pub fn agent(&self, name: &str) -> Option<&str> {
        let kept = self.staged.as_ref().unwrap_or(&self.kept);
        kept.agent.get(name).or_else(|| self.agent.get(name)).map(String::as_str)
    }

    /// A value of the agent's store by its full name, as it will be after the commit.
    pub(super) fn stored(&self, name: &str) -> Option<&str> {
        self.staged.as_ref().unwrap_or(&self.kept).values.get(name).map(String::as_str)
    }

    /// Tells a value of the agent itself.
    pub fn tell(&mut self, name: &str, value: impl Into<String>) {
        self.agent.insert(name.to_owned(), value.into());
    }

    /// The key of the last change by the ACS (TR-069 A.3.2.1).
    pub fn last_parameter_key(&self) -> &str {
        &self.staged.as_ref().unwrap_or(&self.kept).parameter_key
    }

    /// Seconds since 1970 by the wall clock, and since boot, as they were at the last refresh.
    pub fn now(&self) -> (i64, u64) {
        self.now
    }

    /// A moment that is counted from the present one, as it was told last time unless it is another: whole
    /// seconds of two clocks make one moment look like its neighbours, and programs may answer late.
    pub fn steady(&mut self, what: &str, moment: i64) -> i64 {
        match self.moments.get(what) {
            Some(told) if told.abs_diff(moment) <= SLACK => *told,
            _ => {
                if self.moments.len() >= MAX_MOMENTS {
                    self.moments.clear();
                }
                self.moments.insert(what.to_owned(), moment);
                moment
            }
        }
    }

    /// Stages something that is to be done, once.
    pub(super) fn order(&mut self, order: Order) {
        if !self.ordered.contains(&order) && self.ordered.len() < MAX_ORDERS {
            self.ordered.push(order);
        }
    }

    /// Whether this is staged.
    pub(super) fn is_ordered(&self, order: &Order) -> bool {
        self.ordered.contains(order)
    }

    /// What commits since the last call have ordered, each once.
    pub fn take_orders(&mut self) -> Vec<Order> {
        let mut orders = std::mem::take(&mut self.orders);
        orders.sort();
        orders.dedup();
        orders
    }

    /// Whether the last commit has changed packages, which the system follows after the session.
    pub(super) fn last_waits(&self) -> bool {
        self.waits
    }

    /// What went wrong without being an error of a request; whole sentences for the log.
    pub fn take_complaints(&mut self) -> Vec<String> {
        let mut all = std::mem::take(&mut self.complaints);
        all.extend(self.bus.take_complaints().into_iter().chain(self.touched.complaint.take()));
        all
    }

    pub(super) fn complain(&mut self, complaint: String) {
        if self.complaints.len() < 64 && !self.complaints.contains(&complaint) {
            self.complaints.push(complaint);
        }
    }

    /// Replaces whole UCI packages, all or none; gives those that differ now.
    ///
    /// # Errors
    /// [`Error::backend`]; nothing was replaced then.
    pub fn import(&mut self, packages: &[(String, Vec<u8>)]) -> Result<Vec<String>> {
        self.touched.announce(packages.iter().map(|(name, _)| name.as_str()));
        let written = self.uci.import(packages, &self.journal);
        let written = written.map_err(|why| Error::backend("importing configuration", why))?;
        self.touched.extend(written.iter().cloned());
        Ok(written)
    }

    /// The sample sets of `Device.PeriodicStatistics.`; their settings follow each commit.
    pub fn statistics(&mut self) -> &mut Statistics {
        &mut self.statistics
    }

    /// Whether values of the store may have changed since the last call.
    pub fn take_rekept(&mut self) -> bool {
        std::mem::take(&mut self.rekept)
    }

    /// Whether [`System::take_rekept`] has something to tell.
    pub fn is_rekept(&self) -> bool {
        self.rekept
    }

    /// The UCI store, for the agent's own configuration.
    pub fn uci(&mut self) -> &mut Store {
        &mut self.uci
    }

    /// Forgets what was read of files.
    pub(super) fn forget(&mut self) {
        self.uci.refresh();
        self.bus.forget();
        self.bbfdm_refresh();
        self.memo.forget();
        self.texts = HashMap::new();
        self.folders = HashMap::new();
        self.homes = HashMap::new();
        self.remembered = 0;
        let uptime = self.text("/proc/uptime");
        let since_boot = uptime.as_deref().and_then(|text| text.split('.').next()?.trim().parse().ok());
        self.now = (clock::epoch_seconds(), since_boot.unwrap_or(0));
    }

    /// The kept values as they will be after the commit.
    pub(super) fn staging(&mut self) -> &mut Kept {
        self.staged.get_or_insert_with(|| self.kept.clone())
    }

    /// Writes everything staged in one journaled step.
    pub(super) fn write_out(&mut self, memory: Option<&[u8]>) -> Result<()> {
        let failed = |why: &dyn fmt::Display| Error::backend("committing the change", why);
        let mut next = self.staged.clone().unwrap_or_else(|| self.kept.clone());
        if let Some(bytes) = memory {
            next.set_memory(bytes).map_err(|why| failed(&why))?;
        }
        next.marks = self.settled_marks().map_err(|why| failed(&why))?;
        let mut also = Vec::new();
        for (path, text) in self.files.iter() {
            let path = self.root.resolve(path).map_err(|why| failed(&why))?;
            also.push(Write::Replace { path, bytes: text.as_bytes().to_vec() });
        }
        if next != self.kept {
            also.push(Write::Replace {
                path: self.kept_path.clone(),
                bytes: next.to_bytes().map_err(|why| failed(&why))?,
            });
        }
        // Of all these only files can be counted on, so that they come last.
        let told = self.tell_all()?;
        if let Err(why) = self.bbfdm_end(true) {
            self.take_back(&told);
            return Err(why);
        }
        self.touched.announce(self.uci.changed());
        let changed = self.uci.commit(&self.journal, &also).map_err(|why| {
            let why = failed(&why);
            self.take_back(&told);
            why
        })?;
        self.waits = !changed.is_empty() || !self.ordered.is_empty();
        self.orders.append(&mut self.ordered);
        for path in std::mem::take(&mut self.files).into_keys() {
            self.texts.remove(&path);
        }
        self.touched.extend(changed);
        self.marks = next.marks.clone();
        self.moved.clear();
        self.kept = next;
        self.rekept = true;
        self.staged = None;
        self.trials.commit();
        self.configure_statistics();
        Ok(())
    }

    /// The name a value is stored under: instance numbers, whatever identifiers the request used.
    pub(super) fn stored_name(at: Place<'_>) -> String {
        let mut numbers = at.rows.iter().map(|instance| instance.number);
        let parts: Vec<String> = at
            .name
            .split('.')
            .map(|part| {
                let identifier = part.starts_with('[')
                    || (!part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
                match identifier.then(|| numbers.next()).flatten() {
                    Some(number) => number.to_string(),
                    None => part.to_owned(),
                }
            })
            .collect();
        parts.join(".")
    }
}

/// A section as functions see it.
fn seen(section: &uci::Section, numbers: &Numbers) -> Section {
    let ty = section.ty().to_owned();
    if let Some(name) = section.name() {
        return Section { addr: name.to_owned(), id: name.to_owned(), name: Some(name.to_owned()), ty };
    }
    let addr = address(section);
    let id = numbers.get(section.key()).map_or_else(|| addr.clone(), |number| marks::id(&ty, *number));
    Section { addr, id, name: None, ty }
}

/// How addresses name a section.
pub(super) fn address(section: &uci::Section) -> String {
    match section.name() {
        Some(name) => name.to_owned(),
        None => format!("@{}[{}]", section.ty(), section.index_in_type()),
    }
}

/// Package, section and option of an address.
fn split(address: &str) -> Option<(&str, &str, &str)> {
    let (package, rest) = address.split_once('.')?;
    let (section, option) = rest.rsplit_once('.')?;
    (!package.is_empty() && !section.is_empty() && !option.is_empty()).then_some((package, section, option))
}

pub(super) fn reading(package: &str, why: &uci::StoreError) -> Error {
    Error::backend(format!("reading configuration {package}"), why)
}

fn writing(address: &str, why: &uci::StoreError) -> Error {
    match why {
        // Its program is not installed: the device has no room for the value, and nothing is out of order.
        uci::StoreError::NoPackage(_) => Error::exhausted(format!("writing configuration {address}: {why}")),
        _ => Error::backend(format!("writing configuration {address}"), why),
    }
}
