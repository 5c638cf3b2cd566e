//! bbfdm behind a part of the data model, where a firmware has it: `ubus call bbfdm …` as icwmp calls it.
//!
//! ```text
//! a session begins ─► names: schema, by subtree ─► objects with Origin::Bbfdm ─► Schema::routed
//! a value is read  ─► get of the subtree around it, at most 500 parameters ─► the rest comes from memory
//! set, add, del    ─► at once, into bbfdm's own staging ─► bbf.config commit | revert with ours
//! ```
//! A message of ubus holds 1 MiB, and an answer that is larger never comes: what was not answered is asked for in
//! parts. Whatever has no answer in the end is an error, never an empty list. Instance numbers are bbfdm's.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::map::Map;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::schema::{Notify, Object, Origin, Param, Rows, Schema, Source, parent_path};
use crate::model::tree::Model;
use crate::model::value::{Kind, Type};
use crate::set::Set;
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::client::CallError;

use super::system::System;

/// bbfdm's object on ubus.
const OBJECT: &str = "bbfdm";
/// Who commits what it has staged.
const CONFIG: &str = "bbf.config";
/// How long one call may take; icwmp gives it 60 s.
const LIMIT: Duration = Duration::from_secs(20);
/// How many answers may be missing one after the other before nothing is asked any more.
const MAX_SILENT: u32 = 4;
/// And how many in a session.
const MAX_LOST: u32 = 16;
/// The most parameters of one read.
const MAX_CHUNK: usize = 500;
/// The most names of all subtrees together.
const MAX_NAMES: usize = 60_000;
/// The deepest name, in parts.
const MAX_PARTS: usize = 32;

/// What is known of bbfdm in a session.
#[derive(Debug)]
pub struct Bbfdm {
    limit: Duration,
    /// Answers that were missing since the last one that came.
    silent: u32,
    /// Answers that were missing in this session.
    lost: u32,
    values: HashMap<String, String>,
    /// Subtrees that were asked for, and whether their answer came.
    loaded: Map<String, bool>,
    /// How many parameters there were below each object, with instance numbers.
    sizes: HashMap<String, usize>,
    /// The instances of each table; `None`: they may have changed, and are asked for again.
    instances: Option<Map<String, Set<u32>>>,
    /// The subtrees served.
    subtrees: Vec<String>,
    /// The tables in them, with `{i}.` at the end.
    tables: Vec<&'static str>,
    /// The schema without bbfdm.
    base: Option<Schema>,
    /// Something is staged.
    dirty: bool,
    /// Texts of the schema, which live for ever: each of them once.
    kept: HashSet<&'static str>,
    /// And the type and source of each kind of value.
    kinds: HashMap<&'static str, (&'static Type, Source)>,
}

impl Default for Bbfdm {
    fn default() -> Bbfdm {
        Bbfdm {
            limit: LIMIT,
            silent: 0,
            lost: 0,
            values: HashMap::new(),
            loaded: Map::default(),
            sizes: HashMap::new(),
            instances: None,
            subtrees: Vec::new(),
            tables: Vec::new(),
            base: None,
            dirty: false,
            kept: HashSet::new(),
            kinds: HashMap::new(),
        }
    }
}

/// A line of an answer.
struct Line {
    path: String,
    data: Option<String>,
    kind: String,
    fault: Option<(i64, String)>,
}

/// Serves subtrees through bbfdm as it has them now; to be called when a session begins, after [`Model::refresh`].
///
/// `words` are their paths, `Device.WiFi.`, or `Device.` for all. Gives what is wrong, for the log: while bbfdm
/// cannot be asked for its names, the model is served as it was before.
pub fn route(model: &mut Model<System>, words: &str) -> Vec<String> {
    let (subtrees, mut complaints) = subtrees(words);
    let base = model.backend().bbfdm.base.take();
    if subtrees.is_empty() {
        if let Some(base) = base {
            model.set_schema(base);
        }
        return complaints;
    }
    let base = base.unwrap_or_else(|| model.schema().clone());
    let objects = model.backend().bbfdm_objects(&subtrees, &mut complaints);
    match objects.and_then(|objects| base.routed(&subtrees, objects, &is_own)) {
        Ok(schema) => model.set_schema(schema),
        Err(why) => complaints.push(why.to_string()),
    }
    model.backend().bbfdm.base = Some(base);
    complaints
}

/// What the agent itself is or does stays with it: bbfdm does not know its sessions and transfers.
fn is_own(object: &Object) -> bool {
    let own = ["Device.ManagementServer.", "Device.SoftwareModules."];
    own.iter().any(|path| object.path.starts_with(path))
        || object.rows.is_some_and(|rows| rows.from == Origin::Trial)
        || object.params.iter().any(|param| param.source.from == Origin::Trial)
}

/// The subtrees of `cwmp.cpe.bbfdm_objects`, and what is wrong with the others.
fn subtrees(words: &str) -> (Vec<String>, Vec<String>) {
    let good = |word: &&str| {
        let parts =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let body = word.strip_suffix('.').unwrap_or_default();
        word.starts_with("Device.") && body.split('.').all(|part| parts(part) && !number(part))
    };
    let (good, bad): (Vec<&str>, Vec<&str>) = words.split_whitespace().take(64).partition(good);
    let complaint = |word: &str| format!("cwmp.cpe.bbfdm_objects: {word:?} is not the path of an object");
    let mut good: Vec<String> = good.into_iter().map(str::to_owned).collect();
    good.sort();
    // What is in another one is served with it.
    good.dedup_by(|later, earlier| later.starts_with(&**earlier));
    (good, bad.into_iter().map(complaint).collect())
}

impl System {
    /// How long bbfdm may take for one answer.
    pub fn set_bbfdm_limit(&mut self, limit: Duration) {
        self.bbfdm.limit = limit;
    }

    /// The objects of subtrees as bbfdm has them now.
    ///
    /// # Errors
    /// [`Error::backend`] when it cannot be asked, [`Error::exhausted`] for too many names.
    fn bbfdm_objects(&mut self, subtrees: &[String], complaints: &mut Vec<String>) -> Result<Vec<Object>> {
        let mut lines = Vec::new();
        for subtree in subtrees {
            match self.bbfdm_names(subtree, subtree == "Device.", &mut lines) {
                Err(why) if matches!(why.kind(), ErrorKind::UnknownName(_)) => {
                    complaints.push(format!("cwmp.cpe.bbfdm_objects: bbfdm has no {subtree}"))
                }
                done => done?,
            }
        }
        let mut instances: Map<String, Set<u32>> = Map::default();
        self.bbfdm.sizes.clear();
        for line in &lines {
            note_instances(&line.path, &mut instances);
            if !line.path.ends_with('.') {
                for (at, _) in line.path.match_indices('.') {
                    *self.bbfdm.sizes.entry(line.path[..=at].to_owned()).or_default() += 1;
                }
            }
        }
        self.bbfdm.instances = Some(instances);
        self.bbfdm.subtrees = subtrees.to_vec();
        let objects = self.bbfdm.objects(&lines);
        self.bbfdm.tables = objects.iter().filter(|it| it.is_table()).map(|object| object.path).collect();
        Ok(objects)
    }

    /// All names at and below a path, in parts where the whole does not come.
    fn bbfdm_names(&mut self, path: &str, in_parts: bool, out: &mut Vec<Line>) -> Result<()> {
        let ask = |system: &mut System, first: bool| {
            let arguments = Table::new().with("path", path).with("first_level", first);
            system.bbfdm_call("schema", arguments, path)
        };
        let whole = if in_parts { None } else { Some(ask(self, false)) };
        match whole {
            Some(Ok(lines)) => out.extend(lines),
            Some(Err((why, false))) => return Err(why),
            None | Some(Err((_, true))) => {
                let lines = ask(self, true).map_err(|(why, _)| why)?;
                let (objects, others): (Vec<Line>, Vec<Line>) =
                    lines.into_iter().partition(|line| line.path.ends_with('.') && line.path != path);
                out.extend(others);
                for line in objects {
                    if !line.path.starts_with(path) || line.path.matches('.').count() > MAX_PARTS {
                        return Err(failed("schema", path, "an object below it is not below it"));
                    }
                    let path = line.path.clone();
                    let before = out.len();
                    self.bbfdm_names(&path, false, out)?;
                    // What has nothing below it may be left out of its own list.
                    if out[before..].iter().all(|below| below.path != path) {
                        out.push(line);
                    }
                }
            }
        }
        match out.len() > MAX_NAMES {
            true => Err(Error::exhausted(format!("bbfdm has more than {MAX_NAMES} names"))),
            false => Ok(()),
        }
    }

    /// The lines of an answer, or why there are none, and whether parts of it might come.
    fn bbfdm_call(
        &mut self,
        method: &str,
        arguments: Table,
        path: &str,
    ) -> std::result::Result<Vec<Line>, (Error, bool)> {
        if self.bbfdm.silent >= MAX_SILENT || self.bbfdm.lost >= MAX_LOST {
            return Err((failed(method, path, "too many answers were missing before"), false));
        }
        let optional = Table::new().with("proto", "cwmp").with("format", "raw");
        let arguments = arguments.with("optional", Value::Table(optional));
        let limit = self.bbfdm.limit;
        let answer = self.bus().call(OBJECT, method, &arguments, limit).map_err(|why| {
            let in_parts = matches!(
                why,
                CallError::Timeout { .. } | CallError::Lost { .. } | CallError::Unreadable { .. }
            );
            self.bbfdm.silent += u32::from(in_parts);
            self.bbfdm.lost += u32::from(in_parts);
            (failed(method, path, &why.to_string()), in_parts)
        })?;
        // No list at all is no answer; one without members is.
        if answer.get("results").and_then(Value::as_array).is_none() {
            return Err((failed(method, path, "the answer has no results"), false));
        }
        self.bbfdm.silent = 0;
        let word = |line: &Table, name: &str| match line.get(name)? {
            Value::String(text) => Some(text.to_str().into_owned()),
            other => other.as_i64().map(|number| number.to_string()),
        };
        let text = |line: &Table, name: &str| word(line, name).unwrap_or_default();
        let lines = answer.array("results").iter().filter_map(Value::as_table).map(|line| Line {
            path: text(line, "path"),
            data: word(line, "data"),
            kind: text(line, "type"),
            fault: line.number("fault").filter(|code| *code != 0).map(|code| (code, text(line, "fault_msg"))),
        });
        let lines: Vec<Line> = lines.collect();
        // A complaint about the path as a whole.
        match lines.first() {
            Some(Line { fault: Some((code, why)), .. }) if lines.len() == 1 => {
                Err((fault(path, *code, why), false))
            }
            _ => Ok(lines),
        }
    }

    pub(super) fn bbfdm_rows(&mut self, at: Place<'_>) -> Result<Vec<Row>> {
        if self.bbfdm.instances.is_none() {
            let mut found = Map::default();
            for subtree in self.bbfdm.subtrees.clone() {
                self.bbfdm_instances(&subtree, &mut found)?;
            }
            self.bbfdm.instances = Some(found);
        }
        let table = System::stored_name(at);
        let numbers = self.bbfdm.instances.as_ref().and_then(|all| all.get(&table));
        let row = |number: &u32| Row { name: number.to_string(), addr: number.to_string(), cols: Vec::new() };
        Ok(numbers.into_iter().flatten().map(row).collect())
    }

    /// All instances below a path, in parts where the whole does not come.
    fn bbfdm_instances(&mut self, path: &str, out: &mut Map<String, Set<u32>>) -> Result<()> {
        match self.bbfdm_call("instances", Table::new().with("path", path), path) {
            Ok(lines) => {
                for line in lines {
                    note_instances(&format!("{}.", line.path.trim_end_matches('.')), out);
                }
                Ok(())
            }
            Err((why, false)) => Err(why),
            Err((why, true)) => {
                let Some(parts) = self.bbfdm_parts(path, out)? else { return Err(why) };
                parts.iter().try_for_each(|part| self.bbfdm_instances(part, out))
            }
        }
    }

    /// The next objects below a path that have tables: of a table its instances, which are kept. `None` when there is
    /// nothing to be asked instead.
    fn bbfdm_parts(&mut self, path: &str, out: &mut Map<String, Set<u32>>) -> Result<Option<Vec<String>>> {
        let own = general(path.trim_end_matches('.')).unwrap_or_default();
        let rest = self.bbfdm.tables.iter().filter_map(|table| table.strip_prefix(&*own));
        let below: Set<String> = rest.filter(|rest| !rest.is_empty()).map(str::to_owned).collect();
        if below.iter().all(|rest| !rest.starts_with("{i}.")) {
            let parts = below.iter().filter_map(|rest| rest.split('.').next());
            let parts: Set<String> = parts.map(|part| format!("{path}{part}.")).collect();
            return Ok((!parts.is_empty()).then(|| parts.iter().cloned().collect()));
        }
        let arguments = Table::new().with("path", path).with("first_level", true);
        let lines = self.bbfdm_call("schema", arguments, path).map_err(|(why, _)| why)?;
        let mut rows = Vec::new();
        for line in lines {
            let row = line.path.strip_prefix(path).and_then(|rest| rest.strip_suffix('.'));
            if row.is_some_and(number) {
                note_instances(&line.path, out);
                rows.push(line.path);
            }
        }
        // Tables in it are what is still to be asked for.
        Ok(Some(if below.iter().any(|rest| rest != "{i}.") { rows } else { Vec::new() }))
    }

    pub(super) fn bbfdm_read(&mut self, at: Place<'_>) -> Result<Option<Raw>> {
        let name = System::stored_name(at);
        if let Some(known) = self.bbfdm.values.get(&name) {
            return Ok(Some(Raw::one(known)));
        }
        // The largest subtree around it that is sure to come; where it does not, the next smaller one.
        let small = |object: &&str| self.bbfdm.sizes.get(*object).is_some_and(|count| *count <= MAX_CHUNK);
        let inside = |object: &&str| self.bbfdm.subtrees.iter().any(|subtree| object.starts_with(&**subtree));
        let around = name.match_indices('.').map(|(at, _)| &name[..=at]);
        let around: Vec<String> = around.filter(inside).filter(small).map(str::to_owned).collect();
        for object in around {
            match self.bbfdm.loaded.get(&object) {
                Some(true) => break,
                Some(false) => continue,
                None => {}
            }
            match self.bbfdm_call("get", Table::new().with("path", &*object), &object) {
                Ok(lines) => {
                    let good = lines.into_iter().filter(|line| line.fault.is_none());
                    let good = good.filter_map(|line| Some((line.path, line.data?)));
                    self.bbfdm.values.extend(good);
                    self.bbfdm.loaded.insert(object, true);
                    break;
                }
                Err((why, false)) => return Err(why),
                Err((_, true)) => drop(self.bbfdm.loaded.insert(object, false)),
            }
        }
        if let Some(known) = self.bbfdm.values.get(&name) {
            return Ok(Some(Raw::one(known)));
        }
        let lines =
            self.bbfdm_call("get", Table::new().with("path", &*name), &name).map_err(|(why, _)| why)?;
        let found = lines.into_iter().find(|line| line.path == name);
        let found = found.ok_or_else(|| failed("get", &name, "the answer does not have it"))?;
        if let Some((code, why)) = found.fault {
            return Err(fault(&name, code, &why));
        }
        let data = found.data.ok_or_else(|| failed("get", &name, "the answer has no value for it"))?;
        self.bbfdm.values.insert(name, data.clone());
        Ok(Some(Raw::One(data)))
    }

    pub(super) fn bbfdm_write(&mut self, source: &Source, at: Place<'_>, raw: &Raw) -> Result<()> {
        let name = System::stored_name(at);
        let arguments =
            Table::new().with("path", &*name).with("value", &*raw.text()).with("datatype", source.key);
        self.bbfdm_change("set", arguments, &name).map(drop)
    }

    pub(super) fn bbfdm_add(&mut self, at: Place<'_>) -> Result<Row> {
        let table = System::stored_name(at);
        let lines = self.bbfdm_change("add", Table::new().with("path", &*table), &table)?;
        let number = lines.first().and_then(|line| line.data.clone()).filter(|data| number(data));
        let name = number.ok_or_else(|| failed("add", &table, "the answer has no instance number"))?;
        Ok(Row { addr: name.clone(), name, cols: Vec::new() })
    }

    pub(super) fn bbfdm_delete(&mut self, at: Place<'_>) -> Result<()> {
        let instance = System::stored_name(at);
        self.bbfdm_change("del", Table::new().with("path", &*instance), &instance).map(drop)
    }

    fn bbfdm_change(&mut self, method: &str, arguments: Table, path: &str) -> Result<Vec<Line>> {
        // Whatever comes of it, it may have been done.
        self.bbfdm.dirty = true;
        self.bbfdm.forget();
        let lines = self.bbfdm_call(method, arguments, path).map_err(|(why, _)| why)?;
        match lines.iter().find_map(|line| line.fault.as_ref()) {
            Some((code, why)) => Err(fault(path, *code, why)),
            // Success has a line; its absence is none.
            None if lines.is_empty() => Err(failed(method, path, "the answer has no results")),
            None => Ok(lines),
        }
    }

    /// Makes what is staged hold, or forgets it. Where there is no [`CONFIG`], bbfdm has done so itself.
    pub(super) fn bbfdm_end(&mut self, commit: bool) -> Result<()> {
        if !std::mem::take(&mut self.bbfdm.dirty) {
            return Ok(());
        }
        self.bbfdm.forget();
        let method = if commit { "commit" } else { "revert" };
        let arguments = Table::new().with("proto", "cwmp").with("reload", commit);
        let limit = self.bbfdm.limit;
        let failed = |why: &str| Error::backend(format!("calling {CONFIG} {method}"), why);
        match self.bus().call(CONFIG, method, &arguments, limit) {
            Ok(answer) => match answer.text("error") {
                None => Ok(()),
                Some(why) => {
                    self.bbfdm.dirty = commit;
                    Err(failed(&why))
                }
            },
            Err(CallError::NoObject(_)) => Ok(()),
            Err(why) => {
                // It may have been done or not; then there is nothing to revert.
                self.bbfdm.dirty = commit;
                Err(failed(&why.to_string()))
            }
        }
    }

    /// A session begins.
    pub(super) fn bbfdm_refresh(&mut self) {
        self.bbfdm.forget();
        self.bbfdm.silent = 0;
        self.bbfdm.lost = 0;
    }
}

impl Bbfdm {
    fn forget(&mut self) {
        self.values.clear();
        self.loaded.clear();
        self.instances = None;
    }

    /// The schema of names with instance numbers.
    fn objects(&mut self, lines: &[Line]) -> Vec<Object> {
        let mut out: Map<String, Object> = Map::default();
        for line in lines.iter().filter(|line| line.fault.is_none()) {
            let (object, name) = match line.path.rsplit_once('.') {
                Some((object, name)) => (general(object), name),
                None => continue,
            };
            let Some(object) = object else { continue };
            let writable = line.data.as_deref() == Some("1");
            if !name.is_empty() {
                // Commands and events belong to USP.
                if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
                    continue;
                }
                let kind =
                    Kind::from_name(line.kind.rsplit(':').next().unwrap_or_default()).unwrap_or(Kind::String);
                let param = self.param(name, kind, writable);
                let params = self.object(&mut out, &object).params.to_mut();
                match params.iter_mut().find(|known| known.name == name) {
                    Some(known) => known.write |= writable,
                    None => params.push(param),
                }
                continue;
            }
            if object.ends_with("{i}.") {
                let known = self.object(&mut out, &object);
                known.delete |= writable;
            } else if writable {
                // New instances can be added to it: a table, though it may have none now.
                let known = self.object(&mut out, &format!("{object}{{i}}."));
                (known.add, known.delete) = (true, true);
            } else {
                self.object(&mut out, &object);
            }
        }
        // A table is known by its instances; its own line is not an object besides.
        let tables: Vec<String> =
            out.keys().filter_map(|path| Some(path.strip_suffix("{i}.")?.to_owned())).collect();
        for table in tables {
            out.remove(&table);
        }
        for path in out.keys().cloned().collect::<Vec<_>>() {
            let mut parent = parent_path(&path);
            while !parent.is_empty() {
                self.object(&mut out, parent);
                parent = parent_path(parent);
            }
        }
        out.into_iter().map(|(_, object)| object).collect()
    }

    fn object<'o>(&mut self, out: &'o mut Map<String, Object>, path: &str) -> &'o mut Object {
        let kept = self.keep(path);
        let table = Rows { from: Origin::Bbfdm, spec: "", when: &[], id: &[], fresh: &[], volatile: false };
        out.or_insert_with(path.to_owned(), || Object {
            path: kept,
            rows: path.ends_with("{i}.").then_some(table),
            add: false,
            delete: false,
            unique: &[],
            params: Cow::Owned(Vec::new()),
        })
    }

    fn param(&mut self, name: &str, kind: Kind, write: bool) -> Param {
        let (ty, source) = *self.kinds.entry(kind.name()).or_insert_with(|| {
            let source = Source::plain(Origin::Bbfdm, "").refined(|how| how.key = kind.name());
            (Box::leak(Box::new(Type::of(kind))), source)
        });
        let notify = Notify::Normal;
        Param { name: self.keep(name), ty, write, hidden: false, inform: false, notify, source }
    }

    fn keep(&mut self, text: &str) -> &'static str {
        if let Some(known) = self.kept.get(text) {
            return known;
        }
        let text: &'static str = Box::leak(text.to_owned().into_boxed_str());
        self.kept.insert(text);
        text
    }
}

/// A name's schema path with its final dot; none for what is no name.
fn general(object: &str) -> Option<String> {
    let mut out = String::with_capacity(object.len() + 8);
    for part in object.split('.') {
        if part.is_empty() {
            return None;
        }
        let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        match part {
            "{i}" => out.push_str(part),
            part if number(part) => out.push_str("{i}"),
            part if part.len() <= 128
                && part.bytes().all(word)
                && !part.starts_with(|c: char| c.is_ascii_digit()) =>
            {
                out.push_str(part);
            }
            _ => return None,
        }
        out.push('.');
    }
    (out.matches('.').count() <= MAX_PARTS).then_some(out)
}

/// Keeps the instances that are on the way to a name.
fn note_instances(path: &str, out: &mut Map<String, Set<u32>>) {
    for (at, _) in path.match_indices('.') {
        let head = &path[..at];
        if let Some((table, last)) = head.rsplit_once('.')
            && let Ok(instance) = last.parse::<u32>()
        {
            out.or_default(format!("{table}.")).insert(instance);
        }
    }
}

fn number(part: &str) -> bool {
    part.parse::<u32>().is_ok_and(|number| number > 0)
}

fn failed(method: &str, path: &str, why: &str) -> Error {
    Error::backend(format!("asking bbfdm ({method} {path})"), why)
}

/// bbfdm's fault codes, those of CWMP and those of USP, as our own errors.
fn fault(path: &str, code: i64, why: &str) -> Error {
    let name = path.to_owned();
    match code {
        9003 | 7004 => Error::bad_argument(format!("{path}: {why}")),
        9004 | 7005 => Error::exhausted(format!("{path}: {why}")),
        9005 | 7008 | 7010 | 7016 | 7026 => Error::unknown_name(path),
        9006 | 7011 => {
            Error::new(ErrorKind::WrongType { name, expected: "another one", given: why.to_owned() })
        }
        9007 | 7012 => Error::bad_value(name, why),
        9008 | 7013 => Error::not_writable(path),
        9009 => Error::notification_refused(path),
        code => Error::backend(format!("asking bbfdm about {path}"), format!("{why} ({code})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_subtrees() {
        let (good, bad) = subtrees(
            "Device.WiFi. Device.IP Device.A.1. Device.WiFi.SSID. InternetGatewayDevice. Device.Users.",
        );
        assert_eq!(good, ["Device.Users.", "Device.WiFi."]);
        assert_eq!(bad.len(), 3);
        assert_eq!(subtrees("Device.WiFi. Device.").0, ["Device."]);
        assert_eq!(subtrees("").0, Vec::<String>::new());
    }

    #[test]
    fn general_paths() {
        assert_eq!(general("Device.A.12.B.{i}").as_deref(), Some("Device.A.{i}.B.{i}."));
        for bad in ["Device..A", "Device.A b", "Device.Reset()", ""] {
            assert_eq!(general(bad), None, "{bad}");
        }
        assert_eq!(general(&"A.".repeat(40)), None);
    }
}
