//! Instances by alias (TR-069 3.6.1): which identifier answers carry, and instances that a value for
//! them makes.
//!
//! ```text
//!  set Device.X.[new].P = v ─► no instance has that alias ─► AutoCreateInstances? ─► add, name it, set
//! ```
//! What a request names keeps the request's identifiers in the answer; what lies below has those of
//! InstanceMode.

use std::rc::Rc;

use super::backend::{Backend, Instance, Place};
use super::error::{Error, Result};
use super::path::{Path, Segment};
use super::schema::{Object, Origin};
use super::transaction::{Listed, MAX_INSTANCES};
use super::tree::{Model, Target, What, canonical};

/// How instances are addressed; by default as before Amendment 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addressing {
    /// InstanceMode is InstanceAlias: answers say `[alias]` where the request left the identifier open.
    pub by_alias: bool,
    /// AutoCreateInstances: a value for an alias that nobody has makes the instance.
    pub auto_create: bool,
}

impl<B: Backend> Model<B> {
    /// Addresses instances so from now on, while there are aliases at all.
    pub fn set_addressing(&mut self, addressing: Addressing) {
        self.addressing = if self.aliases { addressing } else { Addressing::default() };
    }

    /// Whether there are aliases, as there are at first. Without them a name with one is unknown, whatever
    /// InstanceMode says: for an ACS of a time that had none (before Amendment 4).
    pub fn set_aliases(&mut self, wanted: bool) {
        self.aliases = wanted;
        self.set_addressing(self.addressing);
    }

    /// Whether there are.
    pub fn has_aliases(&self) -> bool {
        self.aliases
    }

    /// A name with instance numbers, whatever identifiers it has: what attributes and notifications go by.
    ///
    /// # Errors
    /// [`Error::unknown_name`], [`Error::backend`]; never for a name that has numbers only.
    pub fn numbered(&mut self, name: &str) -> Result<String> {
        if !name.contains('[') {
            return Ok(name.to_owned());
        }
        let found = self.locate(&Path::parse(name)?)?.into_iter().next();
        found.map(|target| in_numbers(&target)).ok_or_else(|| Error::unknown_name(name))
    }

    /// A name of numbers as InstanceMode has it in messages of ours (TR-069 3.6.1).
    pub fn presented(&mut self, name: &str) -> String {
        if !self.addressing.by_alias {
            return name.to_owned();
        }
        let Ok(path) = Path::parse(name) else { return name.to_owned() };
        let Some(target) = self.locate(&path).ok().and_then(|list| list.into_iter().next()) else {
            return name.to_owned();
        };
        let schema = Rc::clone(&self.schema);
        let mut rows = target.rows.iter();
        let mut parts = Vec::new();
        for (at, segment) in path.segments().iter().enumerate() {
            let table = match segment {
                Segment::Name(_) => None,
                _ => schema.find(&path.head(at + 1).schema_path()).zip(rows.next()),
            };
            parts.push(match table {
                Some((table, instance)) => self.identifier(table, instance),
                None => segment.to_string(),
            });
        }
        parts.join(".") + if path.is_partial() { "." } else { "" }
    }

    /// What stands in an answer for an instance that the request did not name.
    pub(super) fn identifier(&self, at: usize, instance: &Instance) -> String {
        match self.addressing.by_alias && has_alias(&self.schema.objects()[at]) {
            true => format!("[{}]", instance.alias),
            false => instance.number.to_string(),
        }
    }

    /// Whether a value for this name would make an instance.
    pub(super) fn would_create(&mut self, name: &str) -> bool {
        self.addressing.auto_create
            && name.contains('[')
            && Path::parse(name).is_ok_and(|path| self.missing(&path).is_some())
    }

    /// Stages the instances that a name's unknown aliases ask for, outermost first.
    ///
    /// # Errors
    /// As [`Model::add`], each for its own name.
    pub(super) fn create_missing(&mut self, name: &str, before: &Listed) -> Result<()> {
        let path = Path::parse(name)?;
        // Each turn makes one, and a path has few segments.
        while let Some((table, alias)) = self.missing(&path) {
            self.add_instance(&table, Some(&alias), before)?;
        }
        Ok(())
    }

    /// The first table on the way that lacks the alias named, and the alias.
    fn missing(&mut self, path: &Path) -> Option<(Path, String)> {
        for (at, segment) in path.segments().iter().enumerate() {
            let Segment::Alias(alias) = segment else { continue };
            let table = path.head(at);
            let What::Table(here) = self.locate(&table).ok()?.first()?.what else { return None };
            let target = self.locate(&table).ok()?.into_iter().next()?;
            let instances = self.instances(here, &target.name, &target.rows);
            if instances.iter().all(|instance| instance.alias != *alias) {
                return Some((table, alias.clone()));
            }
        }
        None
    }

    /// Stages a new instance of a table, with an alias of its own if one is given; its number.
    ///
    /// # Errors
    /// [`Error::unknown_name`], [`Error::not_addable`], [`Error::exhausted`], [`Error::backend`].
    pub(super) fn add_instance(&mut self, path: &Path, alias: Option<&str>, before: &Listed) -> Result<u32> {
        let object = path.to_string();
        let not_addable = || Error::not_addable(&object);
        let target = self.locate(path)?.into_iter().next().ok_or_else(not_addable)?;
        let What::Table(at) = target.what else { return Err(not_addable()) };
        let schema = Rc::clone(&self.schema);
        let table = &schema.objects()[at];
        let Some(rows) = table.rows.as_ref().filter(|_| table.add) else { return Err(not_addable()) };
        if alias.is_some() && !has_alias(table) {
            return Err(not_addable());
        }
        let old = self.instances(at, &target.name, &target.rows);
        if old.len() >= MAX_INSTANCES {
            return Err(Error::exhausted(format!("{object} holds {MAX_INSTANCES} instances already")));
        }
        if alias.is_some_and(|alias| old.iter().any(|instance| instance.alias == alias)) {
            return Err(not_addable());
        }
        let row = self.backend.add(rows, Place { name: &target.name, rows: &target.rows })?;
        self.renumber(before, None);
        let now = self.instances(at, &target.name, &target.rows);
        let made = now
            .iter()
            .find(|instance| instance.row.name == row.name)
            .or_else(|| now.iter().find(|one| old.iter().all(|other| other.row.name != one.row.name)))
            .ok_or_else(|| Error::backend(format!("adding to {object}"), "the new instance does not show"))?;
        if let Some(alias) = alias {
            let name = canonical(table, &target.rows);
            let memory = if rows.volatile { &mut self.passing } else { &mut self.memory };
            memory.set_alias(&name, &made.row.name, alias);
            self.listed.remove(&name);
        }
        Ok(made.number)
    }
}

/// The name of what was found, with numbers.
pub(super) fn in_numbers(target: &Target) -> String {
    let mut rows = target.rows.iter();
    let mut parts: Vec<String> = Vec::new();
    for part in target.name.split('.') {
        let identifier = part.starts_with('[') || part.bytes().next().is_some_and(|b| b.is_ascii_digit());
        parts.push(match identifier.then(|| rows.next()).flatten() {
            Some(instance) => instance.number.to_string(),
            None => part.to_owned(),
        });
    }
    parts.join(".")
}

fn has_alias(object: &Object) -> bool {
    object.params.iter().any(|param| param.source.from == Origin::Alias)
}
