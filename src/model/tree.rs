//! The living tree: schema, system and memory brought together to answer what a path names.
//!
//! ```text
//! Path ──locate──► Target(s) ──walk──► names or values
//!                     │                   ▲
//!                     └─ instances() ─────┘   rows of the backend + numbers of the memory
//! ```
//! Rows are listed once and kept until [`Model::refresh`] or a change: within a session the tree
//! looks frozen but for what the ACS changes (TR-069 3.7.1.3).

use std::collections::HashMap;
use std::rc::Rc;

use super::addressing::Addressing;
use super::backend::{Backend, Instance, Place, Raw};
use super::error::{Error, Result};
use super::memory::Memory;
use super::path::{Path, Segment};
use super::schema::{Object, Origin, Param, Rows, Schema};
use super::value::{Kind, Value, switch};

/// The most names or values that one request may give.
pub const MAX_RESULTS: usize = 200_000;
/// The most complaints that are kept until somebody reads them.
const MAX_COMPLAINTS: usize = 32;

/// The data model of one device.
pub struct Model<B> {
    pub(super) schema: Rc<Schema>,
    pub(super) backend: B,
    pub(super) memory: Memory,
    /// Numbers of volatile tables, for this process's life only.
    pub(super) passing: Memory,
    /// The memory as it is on the disk.
    pub(super) saved: Memory,
    /// Tables listed since the last refresh, by full name.
    pub(super) listed: HashMap<String, Rc<Vec<Rc<Instance>>>>,
    /// For tables that are referred to: the path of each row by its name. None while a change is made.
    pub(super) paths: Option<Paths>,
    pub(super) addressing: Addressing,
    /// Instances can be named by alias.
    pub(super) aliases: bool,
    /// Notification 3 to 6 can be asked for.
    pub(super) lightweight: bool,
    /// A value's declared type must be its parameter's.
    pub(super) type_check: bool,
    /// More parameters for every Inform, as a firmware names them.
    pub(super) forced_more: Vec<String>,
    /// How often a table was shown empty because it could not be read.
    pub(super) unlisted: u32,
    complaints: Vec<Complaint>,
}

/// By table, the path of each row by its name.
pub(super) type Paths = HashMap<&'static str, HashMap<String, String>>;

/// A cause of trouble, and whom it has hit.
#[derive(Debug)]
struct Complaint {
    /// The first name.
    name: String,
    /// What became of it.
    what: &'static str,
    why: String,
    /// How many names after the first.
    more: usize,
}

/// What a path names: the schema's object and the instances on the way.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub what: What,
    /// The full name as asked for, aliases kept; objects and tables with their dot.
    pub name: String,
    pub rows: Vec<Rc<Instance>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// An object, or one instance of a table; the index into the schema.
    Object(usize),
    /// A table as a whole.
    Table(usize),
    /// A parameter: object and position in it.
    Param(usize, usize),
}

/// Where a walk puts what it finds.
pub(super) enum Sink<'a> {
    Names(&'a mut Vec<(String, bool)>),
    Values(&'a mut Vec<(String, Value)>),
    /// Only parameters' names, with their definition.
    Params(&'a mut Vec<(String, Param)>),
}

impl<B: Backend> Model<B> {
    /// A model over a schema and a system, with what was remembered of an earlier life.
    pub fn new(schema: Schema, backend: B, memory: Memory) -> Model<B> {
        Model {
            schema: Rc::new(schema),
            backend,
            saved: memory.clone(),
            memory,
            passing: Memory::default(),
            listed: HashMap::new(),
            paths: Some(Paths::new()),
            addressing: Addressing::default(),
            aliases: true,
            lightweight: false,
            type_check: true,
            forced_more: Vec::new(),
            unlisted: 0,
            complaints: Vec::new(),
        }
    }

    /// The schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Another schema from now on. What was remembered of names that both have stays.
    pub fn set_schema(&mut self, schema: Schema) {
        self.schema = Rc::new(schema);
        self.listed.clear();
        self.paths = Some(Paths::new());
    }

    /// The system behind the model.
    pub fn backend(&mut self) -> &mut B {
        &mut self.backend
    }

    /// Instance numbers, aliases and attributes.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What went wrong behind reads that gave a default instead: a sentence for each cause.
    pub fn complaints(&mut self) -> Vec<String> {
        let sentence = |Complaint { name, what, why, more }| match more {
            0 => format!("{name} {what}: {why}"),
            more => format!("{name} {what}, and {more} more: {why}"),
        };
        std::mem::take(&mut self.complaints).into_iter().map(sentence).collect()
    }

    /// A session begins: looks at the system afresh.
    pub fn refresh(&mut self) {
        self.backend.refresh();
        self.listed.clear();
        self.paths = Some(Paths::new());
    }

    /// Persists numbers that were given while reading, so that they hold from the moment the ACS sees
    /// them. Costs nothing when there are none.
    ///
    /// # Errors
    /// [`Error::backend`] when they cannot be written.
    pub fn save(&mut self) -> Result<()> {
        let bytes = self.unsaved()?;
        if bytes.is_none() && !self.backend.unsaved() {
            return Ok(());
        }
        self.backend.commit(bytes.as_deref())?;
        self.saved = self.memory.clone();
        Ok(())
    }

    /// Values of parameters and of everything below partial paths (TR-069 A.3.2.2), in the order asked.
    ///
    /// # Errors
    /// [`Error::unknown_name`] for any name that does not exist, [`Error::exhausted`] for too many values,
    /// [`Error::backend`] when a parameter that was named in full, or any that bbfdm serves, cannot be read.
    pub fn values<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) -> Result<Vec<(String, Value)>> {
        let mut out = Vec::new();
        for name in names {
            for target in self.locate(&asked(name)?)? {
                if let What::Param(at, position) = target.what {
                    let value = self.value(at, position, &target.name, &target.rows)?;
                    out.push((target.name, value));
                } else {
                    self.walk(target, &mut Sink::Values(&mut out))?;
                }
            }
        }
        Ok(out)
    }

    /// Names and whether they can be written (TR-069 A.3.2.3).
    ///
    /// # Errors
    /// [`Error::unknown_name`], [`Error::bad_argument`] for the next level of a parameter, [`Error::exhausted`].
    pub fn names(&mut self, path: &str, next_level: bool) -> Result<Vec<(String, bool)>> {
        let parsed = asked(path)?;
        let mut out = Vec::new();
        let targets = self.locate(&parsed)?;
        if next_level && parsed.is_root() {
            let schema = Rc::clone(&self.schema);
            return Ok(schema.roots().map(|at| (schema.objects()[at].path.to_owned(), false)).collect());
        }
        for target in targets {
            match (next_level, target.what) {
                (true, What::Param(..)) => {
                    return Err(Error::bad_argument(format!("{path} is a parameter: it has no next level")));
                }
                (true, _) => self.next_level(&target, &mut out)?,
                (false, _) => self.walk(target, &mut Sink::Names(&mut out))?,
            }
        }
        Ok(out)
    }

    /// The full names of the parameters at or below a path, with their definitions.
    ///
    /// # Errors
    /// As [`Model::values`].
    pub fn params(&mut self, path: &str) -> Result<Vec<(String, Param)>> {
        let mut out = Vec::new();
        for target in self.locate(&asked(path)?)? {
            self.walk(target, &mut Sink::Params(&mut out))?;
        }
        Ok(out)
    }

    pub(super) fn complain(&mut self, name: &str, what: &'static str, why: &str) {
        if let Some(known) = self.complaints.iter_mut().find(|known| known.why == why) {
            known.more += usize::from(known.name != name);
        } else if self.complaints.len() < MAX_COMPLAINTS {
            self.complaints.push(Complaint { name: name.to_owned(), what, why: why.to_owned(), more: 0 });
        }
    }

    pub(super) fn unsaved(&self) -> Result<Option<Vec<u8>>> {
        if self.memory == self.saved {
            return Ok(None);
        }
        serde_json::to_vec(&self.memory).map(Some).map_err(|why| Error::backend("writing the memory", why))
    }

    /// What a path names: one target, or with wildcards any number. The empty path names every root.
    pub(super) fn locate(&mut self, path: &Path) -> Result<Vec<Target>> {
        let unknown = || Error::unknown_name(&path.to_string());
        let schema = Rc::clone(&self.schema);
        let root = |at: usize| Target {
            what: What::Object(at),
            name: schema.objects()[at].path.to_owned(),
            rows: Vec::new(),
        };
        let Some((first, rest)) = path.segments().split_first() else {
            return Ok(schema.roots().map(root).collect());
        };
        let start = schema.find(&format!("{first}.")).ok_or_else(unknown)?;
        if rest.is_empty() && !path.is_partial() {
            return Err(unknown());
        }
        let mut found = vec![root(start)];
        let wild = path.has_wildcard();
        for (at, segment) in rest.iter().enumerate() {
            let last = at + 1 == rest.len();
            let mut next = Vec::new();
            for target in found {
                match (segment, target.what) {
                    (Segment::Name(name), What::Object(here)) if last && !path.is_partial() => {
                        let object = &schema.objects()[here];
                        let position =
                            object.params.iter().position(|param| param.name == name).ok_or_else(unknown)?;
                        next.push(Target {
                            what: What::Param(here, position),
                            name: target.name + name,
                            rows: target.rows,
                        });
                    }
                    (Segment::Name(name), What::Object(here)) => {
                        let base = format!("{}{name}.", schema.objects()[here].path);
                        let what = match schema.find(&base) {
                            Some(child) => What::Object(child),
                            None => What::Table(schema.find(&(base + "{i}.")).ok_or_else(unknown)?),
                        };
                        next.push(Target {
                            what,
                            name: format!("{}{name}.", target.name),
                            rows: target.rows,
                        });
                    }
                    (identifier, What::Table(here)) if !matches!(identifier, Segment::Name(_)) => {
                        // A broken file does not mean that what it held has never been.
                        let instances = match wild {
                            true => self.shown_rows(here, &target.name, &target.rows)?,
                            false => self.list(here, &target.name, &target.rows)?,
                        };
                        let aliases = self.aliases;
                        let mut picked = instances
                            .iter()
                            .filter(|instance| match identifier {
                                Segment::Number(number) => instance.number == *number,
                                Segment::Alias(alias) => aliases && instance.alias == *alias,
                                _ => true,
                            })
                            .peekable();
                        // Under a wildcard some parents may lack what others have.
                        if picked.peek().is_none() && !wild {
                            return Err(unknown());
                        }
                        for instance in picked {
                            let mut rows = target.rows.clone();
                            rows.push(Rc::clone(instance));
                            let name = match identifier {
                                Segment::Alias(alias) => format!("{}[{alias}].", target.name),
                                _ => format!("{}{}.", target.name, instance.number),
                            };
                            next.push(Target { what: What::Object(here), name, rows });
                        }
                    }
                    _ => return Err(unknown()),
                }
            }
            found = next;
        }
        Ok(found)
    }

    /// The instances of a table, numbered. A table that cannot be read is empty, with a complaint.
    pub(super) fn instances(
        &mut self,
        at: usize,
        name: &str,
        parents: &[Rc<Instance>],
    ) -> Rc<Vec<Rc<Instance>>> {
        self.list(at, name, parents).unwrap_or_else(|why| {
            self.unlisted = self.unlisted.wrapping_add(1);
            self.complain(name, "is shown empty", &why.to_string());
            Rc::default()
        })
    }

    /// The instances of a table for an answer: as [`Model::instances`], but those of another agent come or the read fails.
    fn shown_rows(
        &mut self,
        at: usize,
        name: &str,
        parents: &[Rc<Instance>],
    ) -> Result<Rc<Vec<Rc<Instance>>>> {
        match self.schema.objects()[at].rows {
            Some(Rows { from: Origin::Bbfdm, .. }) => self.list(at, name, parents),
            _ => Ok(self.instances(at, name, parents)),
        }
    }

    /// The instances of a table, numbered.
    ///
    /// # Errors
    /// [`Error::backend`] when its place cannot be read.
    fn list(&mut self, at: usize, name: &str, parents: &[Rc<Instance>]) -> Result<Rc<Vec<Rc<Instance>>>> {
        // Numbers hang on the canonical name, also when the table was reached by an alias.
        let schema = Rc::clone(&self.schema);
        let table = canonical(&schema.objects()[at], parents);
        if let Some(known) = self.listed.get(&table) {
            return Ok(Rc::clone(known));
        }
        let Some(rows) = &schema.objects()[at].rows else { return Ok(Rc::default()) };
        let found = match rows.from {
            Origin::Layers => self.layers(),
            _ => self.backend.rows(rows, Place { name, rows: parents })?,
        };
        let memory = if rows.volatile { &mut self.passing } else { &mut self.memory };
        for row in &found {
            if memory.row(&table, &row.name).is_none()
                && let Some(former) = self.backend.former(&row.name)
                && found.iter().all(|other| other.name != former)
            {
                memory.rename(&table, &former, &row.name);
            }
        }
        let mut out: Vec<Rc<Instance>> = Vec::with_capacity(found.len());
        for row in found {
            let (number, alias) = match rows.from {
                // Somebody else has numbered them.
                Origin::Bbfdm => (row.name.parse().unwrap_or(u32::MAX), format!("cpe-{}", row.name)),
                _ => memory.row(&table, &row.name).unwrap_or_else(|| memory.number(&table, &row.name)),
            };
            out.push(Rc::new(Instance { number, alias, row }));
        }
        out.sort_by_key(|instance| instance.number);
        out.dedup_by_key(|instance| instance.number);
        if !out.is_empty() {
            let present: std::collections::HashSet<&str> =
                out.iter().map(|instance| instance.row.name.as_str()).collect();
            memory.prune(&table, &|name| present.contains(name));
        }
        let out = Rc::new(out);
        self.listed.insert(table, Rc::clone(&out));
        Ok(out)
    }

    /// One value as it goes on the wire.
    ///
    /// # Errors
    /// [`Error::backend`] when the system fails; an absent or illegal raw value is not an error.
    pub(super) fn value(
        &mut self,
        at: usize,
        position: usize,
        name: &str,
        rows: &[Rc<Instance>],
    ) -> Result<Value> {
        let schema = Rc::clone(&self.schema);
        let object = &schema.objects()[at];
        let param = &object.params[position];
        let kind = param.ty.wire();
        if param.hidden {
            return Ok(Value::new(kind, blank(param)));
        }
        let text = match param.source.from {
            Origin::Const => param.source.spec.to_owned(),
            Origin::Count => {
                let table = format!("{}{}.{{i}}.", object.path, param.source.spec);
                let head = &name[..name.len() - param.name.len()];
                schema
                    .find(&table)
                    .map_or(0, |table| {
                        self.instances(table, &format!("{head}{}.", param.source.spec), rows).len()
                    })
                    .to_string()
            }
            Origin::Alias => rows.last().map_or_else(String::new, |instance| instance.alias.clone()),
            _ => match self.backend.read(&param.source, Place { name, rows })? {
                Some(raw) => self.shown(param, name, &raw),
                None => blank(param),
            },
        };
        Ok(Value::new(kind, text))
    }

    /// Whether a parameter of an object can be set, given the rows that lead there.
    fn can_write(&self, at: usize, param: &Param, rows: &[Rc<Instance>]) -> bool {
        param.write && (param.source.from == Origin::Alias || !self.is_learnt(at, rows))
    }

    /// Whether the instance of a table, the last of `rows`, only reports what the network brought.
    pub(super) fn is_learnt(&self, at: usize, rows: &[Rc<Instance>]) -> bool {
        let object = &self.schema.objects()[at];
        let found = object.rows.as_ref().zip(rows.last());
        found.is_some_and(|(table, last)| self.backend.learnt(table, &last.row))
    }

    /// Whether the instance of a table, the last of `rows`, cannot be deleted.
    fn stays(&self, at: usize, rows: &[Rc<Instance>]) -> bool {
        let object = &self.schema.objects()[at];
        let found = object.rows.as_ref().zip(rows.last());
        found.is_some_and(|(table, last)| self.backend.stays(table, &last.row))
    }

    pub(super) fn walk(&mut self, target: Target, sink: &mut Sink<'_>) -> Result<()> {
        let Target { what, mut name, mut rows } = target;
        match what {
            What::Param(at, position) => self.visit_param(at, position, &name, &rows, sink),
            What::Object(at) => self.visit_object(at, &mut name, &mut rows, sink),
            What::Table(at) => self.visit_table(at, &mut name, &mut rows, sink),
        }
    }

    fn visit_object(
        &mut self,
        at: usize,
        name: &mut String,
        rows: &mut Vec<Rc<Instance>>,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let schema = Rc::clone(&self.schema);
        let object = &schema.objects()[at];
        if let Sink::Names(out) = sink {
            let goes = object.is_table() && object.delete && !self.stays(at, rows);
            out.push((name.clone(), goes));
        }
        let length = name.len();
        for (position, param) in object.params.iter().enumerate() {
            name.push_str(param.name);
            self.visit_param(at, position, name, rows, sink)?;
            name.truncate(length);
        }
        for child in schema.children(at) {
            let child_object = &schema.objects()[child];
            let tail = &child_object.path[object.path.len()..];
            name.push_str(tail.strip_suffix("{i}.").unwrap_or(tail));
            if child_object.is_table() {
                self.visit_table(child, name, rows, sink)?;
            } else {
                self.visit_object(child, name, rows, sink)?;
            }
            name.truncate(length);
        }
        Ok(())
    }

    fn visit_table(
        &mut self,
        at: usize,
        name: &mut String,
        rows: &mut Vec<Rc<Instance>>,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        if let Sink::Names(out) = sink {
            out.push((name.clone(), self.schema.objects()[at].add));
        }
        let length = name.len();
        for instance in self.shown_rows(at, name, rows)?.iter() {
            name.push_str(&self.identifier(at, instance));
            name.push('.');
            rows.push(Rc::clone(instance));
            let result = self.visit_object(at, name, rows, sink);
            rows.pop();
            name.truncate(length);
            result?;
        }
        Ok(())
    }

    fn visit_param(
        &mut self,
        at: usize,
        position: usize,
        name: &str,
        rows: &[Rc<Instance>],
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let count = match sink {
            Sink::Names(out) => out.len(),
            Sink::Values(out) => out.len(),
            Sink::Params(out) => out.len(),
        };
        if count >= MAX_RESULTS {
            return Err(Error::exhausted(format!("more than {MAX_RESULTS} names in one answer")));
        }
        let param = self.schema.objects()[at].params[position];
        match sink {
            Sink::Names(out) => out.push((name.to_owned(), self.can_write(at, &param, rows))),
            Sink::Params(out) => out.push((name.to_owned(), param)),
            Sink::Values(out) => {
                // One broken file must not hide the rest of a large read.
                let value = match self.value(at, position, name, rows) {
                    // Another agent's answer that is lost is no value: nobody knows what it would have been.
                    Err(why) if param.source.from == Origin::Bbfdm => return Err(why),
                    Err(why) => {
                        self.complain(name, "is shown as its default", &why.to_string());
                        Value::new(param.ty.wire(), blank(&param))
                    }
                    Ok(value) => value,
                };
                out.push((name.to_owned(), value));
            }
        }
        Ok(())
    }

    fn next_level(&mut self, target: &Target, out: &mut Vec<(String, bool)>) -> Result<()> {
        let schema = Rc::clone(&self.schema);
        match target.what {
            What::Table(at) => {
                let object = &schema.objects()[at];
                for instance in self.shown_rows(at, &target.name, &target.rows)?.iter() {
                    let goes = object.delete && !self.stays(at, std::slice::from_ref(instance));
                    out.push((format!("{}{}.", target.name, self.identifier(at, instance)), goes));
                }
            }
            What::Object(at) => {
                let object = &schema.objects()[at];
                for param in object.params.iter() {
                    let writable = self.can_write(at, param, &target.rows);
                    out.push((format!("{}{}", target.name, param.name), writable));
                }
                for child in schema.children(at) {
                    let child = &schema.objects()[child];
                    let tail = &child.path[object.path.len()..];
                    out.push((
                        format!("{}{}", target.name, tail.strip_suffix("{i}.").unwrap_or(tail)),
                        child.is_table() && child.add,
                    ));
                }
            }
            What::Param(..) => {}
        }
        Ok(())
    }

    /// The model's text of a raw value: references, map, booleans, type.
    fn shown(&mut self, param: &Param, name: &str, raw: &Raw) -> String {
        let source = &param.source;
        let mut word = |word: &str| -> String {
            if !source.refs.is_empty() {
                return self.reference(source.refs, word).unwrap_or_default();
            }
            if let Some(mapped) = mapped(source.map, word) {
                return mapped.to_owned();
            }
            if param.ty.kind == Kind::Boolean { truth(word).to_owned() } else { word.to_owned() }
        };
        let text = if param.ty.list {
            // What a function leaves out on purpose keeps its place.
            let gaps = source.from == Origin::Function && matches!(raw, Raw::Many(_));
            let items = raw.items().into_iter().map(|raw| (gaps && raw.is_empty(), word(raw)));
            let items: Vec<String> =
                items.filter(|(gap, item)| *gap || !item.is_empty()).map(|(_, item)| item).collect();
            items.iter().map(|item| item.replace(',', "%2C")).collect::<Vec<_>>().join(",")
        } else {
            match raw {
                Raw::One(text) => word(text),
                many => word(&many.text()),
            }
        };
        match param.ty.canonical(&text) {
            Ok(text) => text,
            Err(_) => {
                // A text that is only too long is still worth showing.
                if param.ty.kind == Kind::String && !param.ty.list {
                    let most = param.ty.size.map_or(usize::MAX, |(_, most)| most as usize);
                    let cut: String =
                        text.chars().filter(|c| super::value::is_xml_char(*c)).take(most).collect();
                    if let Ok(cut) = param.ty.canonical(&cut) {
                        return cut;
                    }
                }
                let plain = || format!("a value of type {}", param.ty.kind.name());
                let what = param.ty.format.map_or_else(plain, |format| format.words().to_owned());
                let why = format!("the system's value of {name} is not {what}");
                self.complain(name, "is shown as its default", &why);
                blank(param)
            }
        }
    }

    /// The path of the row that a raw word names, without its final dot (TR-106 3.2.4).
    fn reference(&mut self, tables: &[&'static str], word: &str) -> Option<String> {
        if word.is_empty() {
            return None;
        }
        tables.iter().find_map(|table| {
            if let (true, Some(paths)) = (table.ends_with('.'), &self.paths) {
                if let Some(known) = paths.get(table) {
                    return known.get(word).cloned();
                }
                let mut rows = HashMap::new();
                for (path, row) in self.rows_of(table) {
                    rows.entry(row.row.name.clone()).or_insert(path);
                }
                let found = rows.get(word).cloned();
                self.paths.get_or_insert_default().insert(table, rows);
                return found;
            }
            let rows = self.rows_of(table);
            rows.into_iter()
                .find(|row| self.word_of(table, row).as_deref() == Some(word))
                .map(|(name, _)| name)
        })
    }

    /// The raw word that stands for a row: its name, or with the name of a parameter behind the table that
    /// one's value.
    pub(super) fn word_of(&mut self, table: &str, row: &(String, Rc<Instance>)) -> Option<String> {
        match table.rsplit_once('.') {
            Some((_, param)) if !param.is_empty() => {
                let found = self.values([format!("{}.{param}", row.0).as_str()]).ok()?;
                found.into_iter().next().map(|(_, value)| value.text)
            }
            _ => Some(row.1.row.name.clone()),
        }
    }

    /// Every instance of a table anywhere in the tree, as full name without the final dot and row.
    pub(super) fn rows_of(&mut self, table: &str) -> Vec<(String, Rc<Instance>)> {
        let wild = table.rsplit_once('.').map_or(table, |(table, _)| table).replace("{i}", "*") + ".";
        let Some(targets) = Path::parse(&wild).ok().and_then(|path| self.locate(&path).ok()) else {
            return Vec::new();
        };
        targets
            .into_iter()
            .filter_map(|target| {
                let row = target.rows.last()?;
                Some((target.name.trim_end_matches('.').to_owned(), Rc::clone(row)))
            })
            .collect()
    }
}

/// A path of a request. A wildcard does not stand at its end (TR-069 A.2.2.1).
fn asked(path: &str) -> Result<Path> {
    let parsed = Path::parse(path)?;
    match parsed.segments().last() {
        Some(Segment::Wildcard) => Err(Error::unknown_name(path)),
        _ => Ok(parsed),
    }
}

/// The table's full name with instance numbers, whatever identifiers were used to reach it.
pub(super) fn canonical(object: &Object, parents: &[Rc<Instance>]) -> String {
    let mut numbers = parents.iter().map(|instance| instance.number);
    let mut out = String::new();
    let path = object.path.strip_suffix("{i}.").unwrap_or(object.path);
    for (at, part) in path.split("{i}").enumerate() {
        if at > 0 {
            out.push_str(&numbers.next().unwrap_or(0).to_string());
        }
        out.push_str(part);
    }
    out
}

/// What an absent value reads as.
pub(super) fn blank(param: &Param) -> String {
    if param.hidden {
        return String::new();
    }
    if !param.source.default.is_empty() || param.ty.list {
        return param.ty.canonical(param.source.default).unwrap_or_default();
    }
    match param.ty.kind {
        Kind::Boolean => "0".to_owned(),
        Kind::Int | Kind::UnsignedInt | Kind::Long | Kind::UnsignedLong => {
            let least = param.ty.ranges.iter().find_map(|(from, _)| *from).unwrap_or(0);
            let zero = param.ty.ranges.is_empty()
                || param
                    .ty
                    .ranges
                    .iter()
                    .any(|(from, to)| from.is_none_or(|from| from <= 0) && to.is_none_or(|to| to >= 0));
            if zero { "0".to_owned() } else { least.to_string() }
        }
        Kind::DateTime => "0001-01-01T00:00:00Z".to_owned(),
        Kind::String | Kind::Base64 | Kind::HexBinary => String::new(),
    }
}

/// The model's word for a raw one, by the map.
fn mapped(map: &[(&'static str, &'static str)], word: &str) -> Option<&'static str> {
    let exact = map.iter().find(|(raw, _)| *raw == word);
    exact.or_else(|| map.iter().find(|(raw, _)| *raw == "*")).map(|(_, model)| *model)
}

/// UCI's words for true; everything else is false.
fn truth(word: &str) -> &'static str {
    if switch(word) == Some(true) { "1" } else { "0" }
}

#[cfg(test)]
mod tests;
