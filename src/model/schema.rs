//! The schema: which objects and parameters exist, of what type, and where each value lives.
//!
//! `datamodel/build.rs` compiles the files of `datamodel/` into one sorted static table of [`Object`]s,
//! so nothing is parsed and nothing allocated at start; vendor files loaded at run time become the
//! same structs and are merged in.
//!
//! ```text
//! Device.                      ← Object, single
//! Device.IP.
//! Device.IP.Interface.{i}.     ← Object with Rows: the table and its instances in one
//! Device.IP.Interface.{i}.Stats.
//! ```

use std::borrow::Cow;
use std::ops::Deref;

use super::error::{Error, Result};
use super::value::Type;

/// An object of the data model; a table is the object whose path ends with `{i}.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The schema path with its final dot, `{i}` for instances.
    pub path: &'static str,
    /// Where the instances of a table come from; `None` for a single object.
    pub rows: Option<Rows>,
    /// AddObject works on the table.
    pub add: bool,
    /// DeleteObject works on an instance.
    pub delete: bool,
    /// What no two rows that are on have in common: names of parameters with `+` between them.
    pub unique: &'static [&'static str],
    /// The parameters, in the order of the file.
    pub params: Cow<'static, [Param]>,
}

/// A parameter of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// The last part of its name.
    pub name: &'static str,
    /// Kind and facets. Few types serve all parameters, so the table holds a reference.
    pub ty: &'static Type,
    /// SetParameterValues works on it.
    pub write: bool,
    /// Reads as the empty string (TR-181 `hidden` and `secured`).
    pub hidden: bool,
    /// Sent with every Inform (TR-181 `forcedInform`).
    pub inform: bool,
    /// Its notification rule.
    pub notify: Notify,
    /// Where the value lives.
    pub source: Source,
}

/// TR-181's `activeNotify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Notify {
    /// Off until the ACS asks.
    #[default]
    Normal,
    /// Active for ever; other settings are ignored (`forceEnabled`).
    Forced,
    /// Active until the ACS says otherwise (`forceDefaultEnabled`).
    Default,
    /// A request for active notification is refused with 9009 (`canDeny`).
    CanDeny,
}

impl Notify {
    /// As TR-106 writes it (`activeNotify`).
    pub fn name(self) -> &'static str {
        match self {
            Notify::Normal => "normal",
            Notify::Forced => "forceEnabled",
            Notify::Default => "forceDefaultEnabled",
            Notify::CanDeny => "canDeny",
        }
    }
}

/// Where a value lives. `spec` is an address that the backend understands; in it `{}` stands for the
/// innermost instance, `{1}`, `{2}` … for the instance of that level, `{c1}` for a column of the innermost row,
/// `{#1}` for the number of the instance of that level, `{@1}` for one less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Which backend.
    pub from: Origin,
    /// The address in it.
    pub spec: &'static str,
    /// The refinements, which read as fields of the source. Most sources have none, so the table
    /// holds a reference to one of few.
    pub how: &'static How,
}

/// How a source's value becomes the model's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How {
    /// Line selector of a file: the first word of the line. Empty: the whole file. With UCI, `,`: the items of a
    /// list are one text with commas.
    pub key: &'static str,
    /// Which field of the line or item of a list, from 0; `None`: all of it.
    pub field: Option<u16>,
    /// Raw words and the model's words; a raw `*` stands for any other.
    pub map: &'static [(&'static str, &'static str)],
    /// A named conversion of the backend, or empty.
    pub via: &'static str,
    /// What an absent value reads as; empty with a number reads as 0.
    pub default: &'static str,
    /// Tables that the value refers to: the raw value names rows of them. With a parameter's name behind the
    /// final dot it is that parameter's value that names them.
    pub refs: &'static [&'static str],
}

/// The backends that a value or a row can come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `spec` is the value.
    Const,
    /// `package.section.option`.
    Uci,
    /// A path under `/proc`, `/sys`, `/etc`, `/tmp`.
    File,
    /// A value of the agent itself, by name.
    Agent,
    /// Persisted by full path, for models that the system has no place for.
    Store,
    /// What a diagnostic is set to and has found, in memory only, by full path.
    Trial,
    /// A column of the row, by number; `key` for the row's own name.
    Row,
    /// A named Rust function of the backend.
    Function,
    /// The number of instances of the table `spec`, relative to the object. Answered by the model.
    Count,
    /// The instance's alias. Answered by the model.
    Alias,
    /// Rows: which interface stands on which. Answered by the model.
    Layers,
    /// bbfdm, asked by the full name. Its rows have their number as their name; `key` is the type it is told.
    Bbfdm,
}

/// Where the instances of a table come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// Which backend: UCI sections, lines of a file, the store, what a diagnostic has found, a function.
    pub from: Origin,
    /// `package.type`, a path, a function's name; as in [`Source::spec`] with `{}`.
    pub spec: &'static str,
    /// Conditions on a UCI section: `option=value`, `option!=value`, `option`, `!option`, all to hold;
    /// a value may be a `|` list. `.name` is the section's name.
    pub when: &'static [&'static str],
    /// Options that identify an anonymous section, first match wins; column numbers for lines.
    pub id: &'static [&'static str],
    /// Options that a new section gets: `option=value`.
    pub fresh: &'static [&'static str],
    /// Comes and goes by itself (leases, processes): instance numbers are not persisted.
    pub volatile: bool,
}

impl How {
    /// As it is.
    pub const PLAIN: How = How { key: "", field: None, map: &[], via: "", default: "", refs: &[] };
}

impl Deref for Source {
    type Target = How;

    fn deref(&self) -> &How {
        self.how
    }
}

impl Source {
    /// A source without refinements.
    pub const fn plain(from: Origin, spec: &'static str) -> Source {
        Source { from, spec, how: &How::PLAIN }
    }

    /// This one with other refinements, which stay in memory for ever: for what is loaded once.
    #[must_use]
    pub fn refined(self, change: impl FnOnce(&mut How)) -> Source {
        let mut how = *self.how;
        change(&mut how);
        Source { how: if how == *self.how { self.how } else { Box::leak(Box::new(how)) }, ..self }
    }
}

impl Object {
    /// Whether this is a table and its instances.
    pub fn is_table(&self) -> bool {
        self.rows.is_some()
    }

    /// The parameter of that name.
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.name == name)
    }
}

/// The whole schema, sorted by path; parents stand before their children.
#[derive(Debug, Clone)]
pub struct Schema {
    objects: Cow<'static, [Object]>,
    /// For each object the index behind its last descendant.
    ends: Vec<usize>,
}

impl Schema {
    /// A schema over the compiled tables, which are sorted already.
    pub fn compiled(objects: &'static [Object]) -> Schema {
        Schema::over(Cow::Borrowed(objects))
    }

    /// A schema over loaded objects: sorted here, and checked.
    ///
    /// # Errors
    /// [`Error::bad_argument`] naming a path that stands twice, or one whose parent is missing.
    pub fn new(mut objects: Vec<Object>) -> Result<Schema> {
        objects.sort_by_key(|object| object.path);
        for pair in objects.windows(2) {
            if pair[0].path == pair[1].path {
                return Err(Error::bad_argument(format!("{} stands twice", pair[0].path)));
            }
        }
        let schema = Schema::over(Cow::Owned(objects));
        for object in schema.objects.iter() {
            if object.path.ends_with("{i}.") && object.rows.is_none() {
                return Err(Error::bad_argument(format!("{} has no rows", object.path)));
            }
            let parent = parent_path(object.path);
            if !parent.is_empty() && schema.find(parent).is_none() {
                return Err(Error::bad_argument(format!("{} has no parent object {parent}", object.path)));
            }
        }
        Ok(schema)
    }

    /// This schema with `more`: an object that stands already gains the parameters, and one of the same
    /// name is replaced. A table that comes with other rows is made anew, with its own keys and what can be added to it
    /// and deleted; with the same rows, or none, it stays as it is.
    ///
    /// # Errors
    /// As [`Schema::new`].
    pub fn merged(&self, more: Vec<Object>) -> Result<Schema> {
        let mut objects = self.objects.to_vec();
        let counts = |object: &Object| {
            let path = object.path;
            let of = object.params.iter().filter(|param| param.source.from == Origin::Count);
            of.map(|param| (param.name, format!("{path}{}.{{i}}.", param.source.spec))).collect::<Vec<_>>()
        };
        let counted: Vec<(&str, String)> = more.iter().flat_map(counts).collect();
        for extra in more {
            match objects.iter_mut().find(|object| object.path == extra.path) {
                None => objects.push(extra),
                Some(known) => {
                    let params = known.params.to_mut();
                    for param in extra.params.iter() {
                        match params.iter_mut().find(|old| old.name == param.name) {
                            Some(old) => *old = *param,
                            None => params.push(*param),
                        }
                    }
                    if extra.rows.is_some() && extra.rows != known.rows {
                        (known.rows, known.add, known.delete) = (extra.rows, extra.add, extra.delete);
                        known.unique = extra.unique;
                    }
                }
            }
        }
        let schema = Schema::new(objects)?;
        match counted.iter().find(|(_, table)| schema.find(table).is_none()) {
            None => Ok(schema),
            Some((name, table)) => {
                Err(Error::bad_argument(format!("{name} counts {table}, which is not there")))
            }
        }
    }

    /// This schema with other objects at and below some paths: what stands there is replaced, but for what is
    /// `own`. Notification rules and the place in every Inform stay with a name.
    ///
    /// # Errors
    /// As [`Schema::new`].
    pub fn routed(
        &self,
        paths: &[String],
        instead: Vec<Object>,
        own: &dyn Fn(&Object) -> bool,
    ) -> Result<Schema> {
        // A root is more than what stands in it: what the others do not have of it stays.
        let covered: Vec<&str> = instead
            .iter()
            .filter_map(|object| {
                let of = paths.iter().find(|of| object.path.starts_with(&***of))?;
                let rest =
                    if parent_path(of).is_empty() { object.path[of.len()..].find('.')? + 1 } else { 0 };
                Some(&object.path[..of.len() + rest])
            })
            .collect();
        let theirs = |path: &str| {
            covered.iter().any(|of| path.starts_with(of))
                || instead.iter().any(|object| object.path == path && paths.iter().any(|of| of == path))
        };
        let mut objects: Vec<Object> =
            self.objects.iter().filter(|object| own(object) || !theirs(object.path)).cloned().collect();
        for mut object in instead {
            let known = self.find(object.path).map(|at| &self.objects[at]);
            let inside = paths.iter().any(|of| object.path.starts_with(&**of));
            if known.is_some_and(|known| own(known) || !inside) {
                continue;
            }
            let root = parent_path(object.path).is_empty();
            for old in known.iter().flat_map(|known| known.params.iter()) {
                let params = object.params.to_mut();
                match params.iter_mut().find(|param| param.name == old.name) {
                    Some(param) => (param.inform, param.notify) = (old.inform, old.notify),
                    None if root => params.push(*old),
                    None => {}
                }
            }
            objects.push(object);
        }
        for at in 0..objects.len() {
            let mut parent = parent_path(objects[at].path);
            while !parent.is_empty() && objects.iter().all(|object| object.path != parent) {
                let known = self.find(parent).map(|at| self.objects[at].clone());
                let plain = Object {
                    path: parent,
                    rows: None,
                    add: false,
                    delete: false,
                    unique: &[],
                    params: Cow::Borrowed(&[]),
                };
                objects.push(known.unwrap_or(plain));
                parent = parent_path(parent);
            }
        }
        Schema::new(objects)
    }

    /// All objects in order.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The index of the object of that schema path (with its final dot).
    pub fn find(&self, path: &str) -> Option<usize> {
        self.objects.binary_search_by(|object| object.path.cmp(path)).ok()
    }

    /// The index behind the last descendant of an object.
    pub fn end(&self, at: usize) -> usize {
        self.ends[at]
    }

    /// The indices of the direct children of an object, in order.
    pub fn children(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.end(at);
        let mut next = at + 1;
        std::iter::from_fn(move || {
            let here = next;
            (here < end).then(|| {
                next = self.end(here);
                here
            })
        })
    }

    /// The indices of the objects without a parent: `Device.` and whatever test models bring.
    pub fn roots(&self) -> impl Iterator<Item = usize> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let here = next;
            (here < self.objects.len()).then(|| {
                next = self.end(here);
                here
            })
        })
    }

    /// The full schema paths of the parameters that every Inform carries.
    pub fn forced_inform(&self) -> impl Iterator<Item = String> + '_ {
        self.objects.iter().flat_map(|object| {
            object.params.iter().filter(|p| p.inform).map(|p| format!("{}{}", object.path, p.name))
        })
    }

    fn over(objects: Cow<'static, [Object]>) -> Schema {
        let ends = (0..objects.len())
            .map(|at| {
                let path = objects[at].path;
                at + 1 + objects[at + 1..].iter().take_while(|next| next.path.starts_with(path)).count()
            })
            .collect();
        Schema { objects, ends }
    }
}

/// The path of the object above; empty for a root.
pub fn parent_path(path: &str) -> &str {
    let body = path.strip_suffix('.').unwrap_or(path);
    let body = body.strip_suffix(".{i}").unwrap_or(body);
    body.rfind('.').map_or("", |dot| &body[..=dot])
}

/// A unique key as the model's files write it: `A+B`, `A where B=c`, `A everywhere`.
#[derive(Debug)]
pub struct Key<'k> {
    /// Its parameters.
    pub parts: Vec<&'k str>,
    /// Only rows with this value of this parameter have it.
    pub only: Option<(&'k str, &'k str)>,
    /// It is one for the tables of all parents.
    pub everywhere: bool,
}

impl<'k> Key<'k> {
    /// Reads a key; any text is one, of parameters that need not be there.
    pub fn parse(text: &'k str) -> Key<'k> {
        let (rest, everywhere) = match text.strip_suffix(" everywhere") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (parts, only) = match rest.split_once(" where ") {
            Some((parts, only)) => (parts, Some(only.split_once('=').unwrap_or((only, "")))),
            None => (rest, None),
        };
        Key { parts: parts.split('+').collect(), only, everywhere }
    }

    /// The parameters that decide about it.
    pub fn params(&self) -> impl Iterator<Item = &'k str> {
        self.parts.iter().copied().chain(self.only.map(|(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(path: &'static str) -> Object {
        let of_store =
            Rows { from: Origin::Store, spec: "", when: &[], id: &[], fresh: &[], volatile: false };
        let rows = path.ends_with("{i}.").then_some(of_store);
        Object { path, rows, add: false, delete: false, unique: &[], params: Cow::Borrowed(&[]) }
    }

    #[test]
    fn family() {
        let schema = Schema::new(
            [
                "Device.",
                "Device.IP.Interface.{i}.Stats.",
                "Device.IP.Interface.{i}.",
                "Device.IP.",
                "Device.A.",
            ]
            .map(object)
            .into(),
        )
        .unwrap();
        let names = |list: &mut dyn Iterator<Item = usize>| {
            list.map(|at| schema.objects()[at].path).collect::<Vec<_>>()
        };
        assert_eq!(names(&mut schema.roots()), ["Device."]);
        assert_eq!(names(&mut schema.children(0)), ["Device.A.", "Device.IP."]);
        let ip = schema.find("Device.IP.").unwrap();
        assert_eq!(names(&mut schema.children(ip)), ["Device.IP.Interface.{i}."]);
        assert_eq!(parent_path("Device.IP.Interface.{i}."), "Device.IP.");
        assert_eq!(parent_path("Device."), "");
    }

    #[test]
    fn refused() {
        assert!(Schema::new(vec![object("Device."), object("Device.")]).is_err());
        let without = Object { rows: None, ..object("Device.A.{i}.") };
        assert!(Schema::new(vec![object("Device."), without]).is_err());
        assert!(Schema::new(vec![object("Device."), object("Device.IP.Interface.{i}.")]).is_err());
    }
}
