//! rpcd's `uci`: UCI over ubus, on the router's files, with the uncommitted changes of each session apart.
//!
//! What is set goes into `/tmp/.uci`, or with a session into a folder of the session's own, as lines that the
//! stock `uci` reads too. A commit tells procd, which has the services that depend on the package read it again.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use super::reply::{Answer, array, map, number, ok, table, wanted};
use super::state::{CONFIG, SAVED, State};
use crate::sys::journal::{Journal, lock};
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::msg::Status;
use crate::uci::Value as Kept;
use crate::uci::delta::{self, Change, Saved};
use crate::uci::{Document, Section, Store, StoreError};

/// Its methods.
pub const METHODS: &[&str] = &[
    "configs",
    "get config:s section:s option:s type:s match:t ubus_rpc_session:s",
    "state config:s section:s option:s type:s match:t ubus_rpc_session:s",
    "add config:s type:s name:s values:t ubus_rpc_session:s",
    "set config:s section:s type:s match:t values:t ubus_rpc_session:s",
    "delete config:s section:s type:s match:t option:s options:a ubus_rpc_session:s",
    "rename config:s section:s option:s name:s ubus_rpc_session:s",
    "order config:s sections:a ubus_rpc_session:s",
    "changes config:s ubus_rpc_session:s",
    "revert config:s ubus_rpc_session:s",
    "commit config:s ubus_rpc_session:s",
    "apply rollback:b timeout:i ubus_rpc_session:s",
    "confirm ubus_rpc_session:s",
    "rollback ubus_rpc_session:s",
    "reload_config",
];
/// Where rpcd keeps its own.
const RUN: &str = "/tmp/run/rpcd";
/// The most octets of uncommitted changes of a package.
const MAX_SAVED: usize = 256 << 10;

/// Answers for `uci`.
///
/// # Errors
/// "Invalid argument" without what is needed, "Not found" for a package, section or option that is not there,
/// "Permission denied" for a session that may not.
pub fn uci(state: &mut State, _object: &str, method: &str, arguments: &Table) -> Answer {
    if method == "configs" {
        let names = Store::new(state.root.clone(), CONFIG, SAVED).packages().map_err(|why| status(&why))?;
        return ok(table! { "configs": array(names) });
    }
    let work = Work::open(state, arguments)?;
    match method {
        "get" | "state" => return work.get(state, arguments),
        "changes" => return work.changes(state, arguments),
        "apply" => return work.apply(state, arguments),
        // Nothing was applied that could be confirmed or taken back.
        "confirm" | "rollback" => return Err(Status::NoData),
        "reload_config" => return Err(Status::NotSupported),
        _ => {}
    }
    let config = wanted(arguments, "config")?;
    work.allowed(state, &config, "write")?;
    if method == "commit" {
        return work.commit(state, &config).map(|()| None);
    }
    if method == "revert" {
        let path = state.root.resolve(format!("{}/{}", work.saved, name(&config)?));
        let _ = fs::remove_file(path.map_err(|_| Status::InvalidArgument)?);
        return Ok(None);
    }
    let mut edit = Edit { document: work.document(state, &config)?, changes: Vec::new() };
    let answer = match method {
        "add" => edit.add(arguments)?,
        "set" => edit.set(arguments)?,
        "delete" => edit.delete(arguments)?,
        "rename" => edit.rename(arguments)?,
        "order" => edit.order(arguments)?,
        _ => return Err(Status::NotSupported),
    };
    work.save(state, &config, &edit.changes)?;
    Ok(answer)
}

/// Whose changes, and where they are.
struct Work {
    session: Option<String>,
    saved: String,
}

impl Work {
    fn open(state: &State, arguments: &Table) -> Result<Work, Status> {
        let Some(id) = arguments.text("ubus_rpc_session") else {
            return Ok(Work { session: None, saved: SAVED.to_owned() });
        };
        if !state.sessions.is_known(&id) {
            return Err(Status::PermissionDenied);
        }
        Ok(Work { saved: format!("{RUN}/uci-{id}"), session: Some(id.into_owned()) })
    }

    fn allowed(&self, state: &State, config: &str, right: &str) -> Result<(), Status> {
        match &self.session {
            Some(id) if !state.sessions.may(id, "uci", config, right) => Err(Status::PermissionDenied),
            _ => Ok(()),
        }
    }

    fn document(&self, state: &State, config: &str) -> Result<Document, Status> {
        let mut store = Store::new(state.root.clone(), CONFIG, self.saved.as_str());
        store.package(config).cloned().map_err(|why| status(&why))
    }

    fn get(&self, state: &State, arguments: &Table) -> Answer {
        let config = wanted(arguments, "config")?;
        self.allowed(state, &config, "read")?;
        let document = self.document(state, &config)?;
        let Some(section) = arguments.text("section") else {
            let sections = document.sections().enumerate();
            let matching = sections.filter(|(_, section)| matches(section, arguments));
            let shown = matching.map(|(at, section)| (section.key().to_owned(), shown(section, Some(at))));
            return ok(table! { "values": map(shown) });
        };
        let section = document.find(&section).ok_or(Status::NotFound)?;
        match arguments.text("option") {
            None => ok(table! { "values": shown(section, None) }),
            Some(option) => {
                let value = section.option(&option).ok_or(Status::NotFound)?;
                ok(table! { "value": given(value) })
            }
        }
    }

    fn changes(&self, state: &State, arguments: &Table) -> Answer {
        if let Some(config) = arguments.text("config") {
            self.allowed(state, &config, "read")?;
            self.document(state, &config)?;
            return ok(table! { "changes": array(self.changed(state, &config)) });
        }
        let names = state.names(&self.saved).into_iter();
        let readable = names.filter(|config| self.allowed(state, config, "read").is_ok());
        let lists = readable.filter_map(|config| {
            let list = self.changed(state, &config);
            // A commit leaves an empty file behind.
            (!list.is_empty()).then(|| (config.as_str().into(), array(list)))
        });
        ok(table! { "changes": lists.collect::<Table>() })
    }

    /// The uncommitted changes of a package as tuples of words.
    fn changed(&self, state: &State, config: &str) -> Vec<Value> {
        let bytes = state.root.read(format!("{}/{config}", self.saved), MAX_SAVED).unwrap_or_default();
        let (saved, _) = delta::parse(config, &bytes);
        saved.into_iter().map(|saved| tuple(saved.change)).collect()
    }

    /// Commits everything that the session has changed.
    fn apply(&self, state: &mut State, arguments: &Table) -> Answer {
        // A rollback that nobody confirms is not simulated.
        if arguments.get("rollback").and_then(Value::as_bool) == Some(true) {
            return Err(Status::NotSupported);
        }
        let mut changed = state.names(&self.saved);
        changed.retain(|config| !self.changed(state, config).is_empty());
        if changed.is_empty() {
            return Err(Status::NoData);
        }
        for config in &changed {
            self.allowed(state, config, "write")?;
        }
        for config in changed {
            self.commit(state, &config)?;
        }
        Ok(None)
    }

    /// Writes the package with its changes, and tells procd.
    fn commit(&self, state: &mut State, config: &str) -> Result<(), Status> {
        let bytes = self.document(state, config)?.to_bytes();
        let mut store = Store::new(state.root.clone(), CONFIG, self.saved.as_str());
        let run = state.root.resolve(RUN).map_err(|_| Status::UnknownError)?;
        let journal = Journal::new(run.join("journal")).map_err(|_| Status::UnknownError)?;
        store.import(&[(config.to_owned(), bytes)], &journal).map_err(|why| status(&why))?;
        let event = table! { "type": "config.change", "data": table! { "package": config } };
        state.called("service", "event", &event, "rpcd");
        state.changed(config);
        Ok(())
    }

    /// Adds changes to those that wait for a commit.
    fn save(&self, state: &State, config: &str, changes: &[Change]) -> Result<(), Status> {
        let text: String = changes.iter().map(|change| change.to_line(config)).collect();
        let folder = state.root.resolve(&self.saved).map_err(|_| Status::UnknownError)?;
        let path = folder.join(name(config)?);
        let write = || -> std::io::Result<Option<()>> {
            fs::create_dir_all(&folder)?;
            let file = OpenOptions::new().append(true).create(true).open(&path)?;
            let mut file = lock(&path, file, true).map_err(std::io::Error::other)?;
            let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
            if length.saturating_add(text.len()) > MAX_SAVED {
                return Ok(None);
            }
            file.write_all(text.as_bytes()).map(Some)
        };
        write().map_err(|_| Status::UnknownError)?.ok_or(Status::NoMemory)
    }
}

/// Changes on their way into the file of those that wait, tried out on a copy.
struct Edit {
    document: Document,
    changes: Vec<Change>,
}

impl Edit {
    fn carry(&mut self, change: Change) -> Result<(), Status> {
        let saved = [Saved { line: 1, change: change.clone() }];
        if !delta::apply(&mut self.document, &saved).is_empty() {
            return Err(Status::InvalidArgument);
        }
        self.changes.push(change);
        Ok(())
    }

    fn add(&mut self, arguments: &Table) -> Answer {
        let ty = wanted(arguments, "type")?;
        let name = arguments.text("name");
        let mut copy = self.document.clone();
        let section = copy.add_section(&ty, name.as_deref()).map_err(|_| Status::InvalidArgument)?;
        self.carry(Change::Section { section: section.clone(), ty, anonymous: name.is_none() })?;
        if let Some(values) = arguments.get("values").and_then(Value::as_table) {
            self.values(&section, values)?;
        }
        ok(table! { "section": section })
    }

    fn set(&mut self, arguments: &Table) -> Answer {
        let values =
            arguments.get("values").and_then(Value::as_table).ok_or(Status::InvalidArgument)?.clone();
        for section in self.meant(arguments)? {
            self.values(&section, &values)?;
        }
        Ok(None)
    }

    fn values(&mut self, section: &str, values: &Table) -> Result<(), Status> {
        for (option, value) in values.iter() {
            let option = option.to_string();
            let place =
                |value: String| Change::Set { section: section.to_owned(), option: option.clone(), value };
            match value {
                Value::Array(members) => {
                    if self.document.option(section, &option).is_some() {
                        self.carry(Change::Remove {
                            section: section.to_owned(),
                            option: Some(option.clone()),
                            item: None,
                        })?;
                    }
                    for member in members {
                        let value = text(member).ok_or(Status::InvalidArgument)?;
                        let (section, option) = (section.to_owned(), option.clone());
                        self.carry(Change::ListAdd { section, option, value })?;
                    }
                }
                // A table is nothing that UCI could hold; rpcd passes it over too.
                _ => match text(value) {
                    Some(value) => self.carry(place(value))?,
                    None => continue,
                },
            }
        }
        Ok(())
    }

    fn delete(&mut self, arguments: &Table) -> Answer {
        let listed = arguments.get("options").and_then(Value::as_array).unwrap_or_default();
        let listed = listed.iter().filter_map(text);
        let options: Vec<_> =
            arguments.text("option").map(|option| option.into_owned()).into_iter().chain(listed).collect();
        for section in self.meant(arguments)? {
            if options.is_empty() {
                self.carry(Change::Remove { section, option: None, item: None })?;
                continue;
            }
            for option in &options {
                self.document.option(&section, option).ok_or(Status::NotFound)?;
                let option = Some(option.clone());
                self.carry(Change::Remove { section: section.clone(), option, item: None })?;
            }
        }
        Ok(None)
    }

    fn rename(&mut self, arguments: &Table) -> Answer {
        let (section, name) = (wanted(arguments, "section")?, wanted(arguments, "name")?);
        let section = self.document.find(&section).ok_or(Status::NotFound)?.key().to_owned();
        let option = arguments.text("option").map(|option| option.into_owned());
        if let Some(option) = &option {
            self.document.option(&section, option).ok_or(Status::NotFound)?;
        }
        self.carry(Change::Rename { section, option, name })?;
        Ok(None)
    }

    fn order(&mut self, arguments: &Table) -> Answer {
        let sections = arguments.get("sections").and_then(Value::as_array).ok_or(Status::InvalidArgument)?;
        let sections: Vec<_> = sections.iter().filter_map(text).collect();
        for (position, section) in sections.into_iter().enumerate() {
            let section = self.document.find(&section).ok_or(Status::NotFound)?.key().to_owned();
            self.carry(Change::Reorder { section, position })?;
        }
        Ok(None)
    }

    /// The keys of the sections that a call means: one by its name, or all of a type that match.
    fn meant(&self, arguments: &Table) -> Result<Vec<String>, Status> {
        if let Some(section) = arguments.text("section") {
            return Ok(vec![self.document.find(&section).ok_or(Status::NotFound)?.key().to_owned()]);
        }
        if arguments.get("type").is_none() && arguments.get("match").is_none() {
            return Err(Status::InvalidArgument);
        }
        let matching = self.document.sections().filter(|section| matches(section, arguments));
        Ok(matching.map(|section| section.key().to_owned()).collect())
    }
}

/// Whether a section is of the type that was asked for and has the values to match.
fn matches(section: &Section, arguments: &Table) -> bool {
    let values = arguments.get("match").and_then(Value::as_table).cloned().unwrap_or_default();
    arguments.text("type").is_none_or(|ty| *ty == *section.ty())
        && values.iter().all(|(option, value)| section.text(&option.to_str()) == text(value))
}

/// A section as rpcd shows it; its place only among all.
fn shown(section: &Section, at: Option<usize>) -> Table {
    let mut out =
        table! { ".anonymous": section.is_anonymous(), ".type": section.ty(), ".name": section.key() };
    if let Some(at) = at {
        out.push(".index", number(at));
    }
    for (option, value) in section.options() {
        out.push(option, given(value));
    }
    out
}

fn given(value: &Kept) -> Value {
    match value {
        Kept::Single(text) => text.as_str().into(),
        Kept::List(list) => array(list.iter().map(String::as_str)),
    }
}

/// The text that UCI keeps for a value.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Int8(flag) => Some(u8::from(*flag != 0).to_string()),
        Value::Double(number) => Some(format!("{number:.6}")),
        other => other.as_i64().map(|number| number.to_string()),
    }
}

fn tuple(change: Change) -> Value {
    let words = match change {
        Change::Section { section, ty, anonymous: true } => vec!["add".to_owned(), section, ty],
        Change::Section { section, ty, .. } => vec!["set".to_owned(), section, ty],
        Change::Set { section, option, value } => vec!["set".to_owned(), section, option, value],
        Change::Remove { section, option, item } => {
            let rest = option.into_iter().chain(item.map(|item| item.to_string()));
            ["remove".to_owned(), section].into_iter().chain(rest).collect()
        }
        Change::Rename { section, option, name } => {
            let rest = option.into_iter().chain([name]);
            ["rename".to_owned(), section].into_iter().chain(rest).collect()
        }
        Change::Reorder { section, position } => vec!["order".to_owned(), section, position.to_string()],
        Change::ListAdd { section, option, value } => vec!["list-add".to_owned(), section, option, value],
        Change::ListDel { section, option, value } => vec!["list-del".to_owned(), section, option, value],
    };
    array(words)
}

/// A package's name as that of a file.
fn name(config: &str) -> Result<&str, Status> {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet);
    let fits =
        !config.is_empty() && !config.starts_with('.') && config.len() <= 64 && config.bytes().all(plain);
    fits.then_some(config).ok_or(Status::InvalidArgument)
}

fn status(why: &StoreError) -> Status {
    match why {
        StoreError::NoPackage(_) => Status::NotFound,
        StoreError::BadName(_) | StoreError::Edit { .. } => Status::InvalidArgument,
        _ => Status::UnknownError,
    }
}
