//! Changes: all of a request or nothing (TR-069 A.3.2.1, A.3.2.6, A.3.2.7).
//!
//! ```text
//! resolve and check every value ─► stage ─► check ─► re-read what was staged ─► commit
//!            │ any error                │ error        │ differs                 │ error
//!            └──────────────────────────┴──────────────┴─────────────────────────┴──► revert, nothing happened
//! ```

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

use super::addressing::in_numbers;
use super::backend::{Backend, Instance, Place, Raw};
use super::error::{Error, ErrorKind, Result};
use super::path::{Path, Segment};
use super::schema::{Origin, Param};
use super::tree::{Model, Paths, Target, What, canonical};
use super::value::{Format, Input, Kind, Mismatch};

/// The most instances a table may be made to hold by AddObject.
pub const MAX_INSTANCES: usize = 256;

pub(super) type Listed = HashMap<String, Rc<Vec<Rc<Instance>>>>;

impl<B: Backend> Model<B> {
    /// Sets parameters, all or none. `key` is the ParameterKey to keep with the change.
    ///
    /// # Errors
    /// [`Error::bad_argument`] for a name that stands twice, [`Error::several`] with one error for each bad
    /// parameter, [`Error::backend`] when the system fails. Nothing was changed then.
    pub fn set(&mut self, list: &[(String, Input)], key: Option<&str>) -> Result<()> {
        let mut seen = HashSet::new();
        if let Some((twice, _)) = list.iter().find(|(name, _)| !seen.insert(name.as_str())) {
            return Err(Error::bad_argument(format!("{twice} stands twice")));
        }
        let create = list.iter().any(|(name, _)| self.would_create(name));
        let ready = if create { Vec::new() } else { self.prepare_all(list)? };
        self.changing(|model, before| {
            let mut bad = Vec::new();
            // What was made a moment ago may get another name by the values it is given.
            let mut known = before.clone();
            let ready = match create {
                false => ready,
                true => {
                    for (name, _) in list {
                        if let Err(error) = model.create_missing(name, before) {
                            bad.push((name.clone(), error));
                        }
                    }
                    if !bad.is_empty() {
                        return Err(Error::several(bad));
                    }
                    known.extend(model.listed.iter().map(|(table, rows)| (table.clone(), Rc::clone(rows))));
                    model.prepare_all(list)?
                }
            };
            for Change { target, param, text, raw } in &ready {
                if param.source.from == Origin::Alias {
                    model.set_alias(target, text)?;
                    continue;
                }
                let place = Place { name: &target.name, rows: &target.rows };
                if let Err(error) = model.backend.write(&param.source, place, raw) {
                    bad.push((target.name.clone(), error));
                }
            }
            if !bad.is_empty() {
                return Err(Error::several(bad));
            }
            if let Some(key) = key {
                model.backend.parameter_key(key)?;
            }
            model.backend.check()?;
            model.renumber(&known, None);
            for change in &ready {
                model.verify(change, &ready)?;
                model.check_unique(&change.target)?;
            }
            Ok(())
        })
    }

    /// Whether the type that a value is declared with must be its parameter's (TR-069 A.3.2.1), as it is at
    /// first. Without the check a value is taken if its text is one of the parameter's type.
    pub fn set_type_check(&mut self, wanted: bool) {
        self.type_check = wanted;
    }

    /// Adds an instance to a table and gives its number.
    ///
    /// # Errors
    /// [`Error::unknown_name`], [`Error::not_addable`], [`Error::exhausted`] for a full table, [`Error::backend`].
    pub fn add(&mut self, object: &str, key: Option<&str>) -> Result<u32> {
        let path = Path::parse(object)?;
        let not_addable = || Error::not_addable(object);
        if !path.is_partial() || path.has_wildcard() {
            return Err(not_addable());
        }
        // An identifier at the end is the alias of the new one (TR-069 A.3.2.6).
        let (table, alias) = match path.segments() {
            [.., Segment::Alias(_)] if !self.aliases => return Err(not_addable()),
            [.., Segment::Alias(alias)] => (path.head(path.segments().len() - 1), Some(alias.as_str())),
            _ => (path.clone(), None),
        };
        self.changing(|model, before| {
            let number = model.add_instance(&table, alias, before)?;
            if let Some(key) = key {
                model.backend.parameter_key(key)?;
            }
            model.backend.check()?;
            Ok(number)
        })
    }

    /// Removes an instance and everything below it.
    ///
    /// # Errors
    /// [`Error::unknown_name`], [`Error::not_deletable`], [`Error::backend`].
    pub fn delete(&mut self, object: &str, key: Option<&str>) -> Result<()> {
        let path = Path::parse(object)?;
        let not_deletable = || Error::not_deletable(object);
        let instance_named = matches!(path.segments().last(), Some(Segment::Number(_) | Segment::Alias(_)));
        if !path.is_partial() || path.has_wildcard() || !instance_named {
            return Err(not_deletable());
        }
        let target = self.locate(&path)?.into_iter().next().ok_or_else(not_deletable)?;
        let What::Object(at) = target.what else { return Err(not_deletable()) };
        let schema = Rc::clone(&self.schema);
        let table = &schema.objects()[at];
        let Some(rows) = table.rows.as_ref().filter(|_| table.delete) else { return Err(not_deletable()) };
        let Some((gone, parents)) = target.rows.split_last() else { return Err(not_deletable()) };
        let table_name = canonical(table, parents);
        self.instances(at, &table_name, parents);
        let instance = format!("{table_name}{}.", gone.number);
        let going = self.going(rows, &target, instance.clone());
        let referrers = self.referrers(&going);
        self.changing(|model, before| {
            let mut before = before.clone();
            let mut refused = Vec::new();
            if !referrers.is_empty() {
                refused = model.release(referrers);
                // An emptied option may have named its row.
                model.renumber(&before, None);
                before = std::mem::take(&mut model.listed);
            }
            model.backend.delete(rows, Place { name: &target.name, rows: &target.rows })?;
            if let Some(key) = key {
                model.backend.parameter_key(key)?;
            }
            model.backend.check()?;
            let memory = if rows.volatile { &mut model.passing } else { &mut model.memory };
            memory.forget(&table_name, &gone.row.name, &instance);
            model.renumber(&before, Some((&table_name, gone.number)));
            model.complain_of(refused);
            Ok(())
        })
    }

    /// Runs one change: on success it is committed with the memory, on any error nothing has happened.
    pub(super) fn changing<T>(&mut self, change: impl FnOnce(&mut Self, &Listed) -> Result<T>) -> Result<T> {
        let before = std::mem::take(&mut self.listed);
        // Rows come, go and get other names meanwhile.
        self.paths = None;
        let (memory, passing) = (self.memory.clone(), self.passing.clone());
        let result = change(self, &before).and_then(|value| {
            let bytes = self.unsaved()?;
            self.backend.commit(bytes.as_deref())?;
            Ok(value)
        });
        self.paths = Some(Paths::new());
        match &result {
            Ok(_) => self.saved = self.memory.clone(),
            Err(_) => {
                self.backend.revert();
                (self.memory, self.passing, self.listed) = (memory, passing, before);
            }
        }
        result
    }

    /// Resolves all names and checks all values.
    fn prepare_all(&mut self, list: &[(String, Input)]) -> Result<Vec<Change>> {
        let (mut bad, mut ready) = (Vec::new(), Vec::new());
        for (name, input) in list {
            match self.prepare(name, input) {
                Ok(change) => ready.push(change),
                Err(error) => bad.push((name.clone(), error)),
            }
        }
        if !bad.is_empty() {
            return Err(Error::several(bad));
        }
        // By its number and by its alias it is the same parameter.
        let mut seen = HashSet::new();
        match ready.iter().find(|change| !seen.insert(in_numbers(&change.target))) {
            Some(twice) => Err(Error::bad_argument(format!("{} stands twice", twice.target.name))),
            None => Ok(ready),
        }
    }

    /// Resolves a name and checks a value against its type.
    fn prepare(&mut self, name: &str, input: &Input) -> Result<Change> {
        let unknown = || Error::unknown_name(name);
        let path = Path::parse(name)?;
        if path.is_partial() || path.has_wildcard() {
            return Err(unknown());
        }
        let target = self.locate(&path)?.into_iter().next().ok_or_else(unknown)?;
        let What::Param(at, position) = target.what else { return Err(unknown()) };
        let param = self.schema.objects()[at].params[position];
        if !param.write {
            return Err(Error::not_writable(name));
        }
        if param.source.from != Origin::Alias && self.is_learnt(at, &target.rows) {
            return Err(Error::learnt(name));
        }
        let undeclared = (!self.type_check).then(|| Input { text: input.text.clone(), ..Input::default() });
        let input = undeclared.as_ref().unwrap_or(input);
        let text = param.ty.check(input).map_err(|mismatch| match mismatch {
            Mismatch::Kind => Error::new(ErrorKind::WrongType {
                name: name.to_owned(),
                expected: param.ty.wire().xsd(),
                given: input.kind.map_or("the one that was declared", Kind::xsd).to_owned(),
            }),
            Mismatch::Text => Error::bad_value(name, format!("no value of type {}", param.ty.kind.xsd())),
            Mismatch::Value(why) => Error::bad_value(name, why),
        })?;
        if param.ty.format == Some(Format::InformName) {
            self.check_inform_name(&target, &text)?;
        }
        let text = if param.ty.list { text.replace("%2c", "%2C") } else { text };
        let text = match param.source.refs {
            [] => text,
            _ => text.split(',').map(|path| absolute(path, &target.name)).collect::<Vec<_>>().join(","),
        };
        let raw = self.raw_of(&param, name, &text)?;
        Ok(Change { target, param, text, raw })
    }

    /// What the system is to hold for a text of the model.
    pub(super) fn raw_of(&mut self, param: &Param, name: &str, text: &str) -> Result<Raw> {
        let source = &param.source;
        let mut word = |word: &str| -> Result<String> {
            if !source.refs.is_empty() && !word.is_empty() {
                let path = word.trim_end_matches('.');
                let found = source.refs.iter().find_map(|table| {
                    let row = self.rows_of(table).into_iter().find(|(row, _)| row == path)?;
                    self.word_of(table, &row)
                });
                return match (found, Path::parse(&format!("{path}.")).and_then(|path| self.locate(&path))) {
                    (Some(row), _) => Ok(row),
                    (None, Err(broken)) if matches!(broken.kind(), ErrorKind::Backend { .. }) => Err(broken),
                    _ => Err(Error::bad_value(name, format!("{path} is not an object it can refer to"))),
                };
            }
            if source.map.is_empty() {
                return Ok(word.to_owned());
            }
            let exact = source.map.iter().find(|(raw, model)| *raw != "*" && *model == word);
            let fallback = source.map.iter().any(|(raw, model)| *raw == "*" && *model == word);
            match exact {
                Some((raw, _)) => Ok((*raw).to_owned()),
                // `{"1":"0","*":"1"}`: the other word of a boolean.
                None if fallback && param.ty.kind == Kind::Boolean => {
                    let other = if source.map.iter().any(|(raw, _)| *raw == "0") { "1" } else { "0" };
                    Ok(other.to_owned())
                }
                None if source.map.iter().any(|(raw, _)| *raw == "*") => {
                    Err(Error::bad_value(name, "the system has no word for this value"))
                }
                None if param.ty.values.is_empty() => Ok(word.to_owned()),
                None => Err(Error::bad_value(name, "the system has no word for this value")),
            }
        };
        if param.ty.list {
            // A comma within an item is percent-encoded (TR-106 3.2.3).
            let items = text.split(',').filter(|item| !item.is_empty());
            let items: Result<Vec<String>> = items.map(|item| word(&item.replace("%2C", ","))).collect();
            return Ok(Raw::Many(items?));
        }
        word(text).map(Raw::One)
    }

    fn set_alias(&mut self, target: &Target, alias: &str) -> Result<()> {
        let (Some((row, parents)), Some(at)) = (target.rows.split_last(), target_object(target)) else {
            return Err(Error::unknown_name(&target.name));
        };
        let schema = Rc::clone(&self.schema);
        let object = &schema.objects()[at];
        let table = canonical(object, parents);
        let volatile = object.rows.as_ref().is_some_and(|rows| rows.volatile);
        let memory = if volatile { &mut self.passing } else { &mut self.memory };
        if alias.is_empty() || memory.alias_taken(&table, &row.row.name, alias) {
            return Err(Error::several(vec![(
                target.name.clone(),
                Error::bad_value(&target.name, "empty, or the alias of another instance"),
            )]));
        }
        memory.set_alias(&table, &row.row.name, alias);
        Ok(())
    }

    /// Reads back what was staged: a mapping that cannot hold the value says so before anything happens.
    fn verify(&mut self, change: &Change, all: &[Change]) -> Result<()> {
        let Change { target, param, text, .. } = change;
        let What::Param(at, position) = target.what else { return Ok(()) };
        // bbfdm does not show secrets.
        let is_secret = param.hidden && param.source.from == Origin::Bbfdm;
        if is_secret || param.source.from == Origin::Alias {
            return Ok(());
        }
        // By its number: the request may have changed an alias on the way.
        let path = Path::parse(&in_numbers(target))?;
        // What a value would push out of its own table could neither be seen nor taken back by the ACS.
        let now = match self.locate(&path) {
            Ok(list) => list.into_iter().next(),
            Err(why) if matches!(why.kind(), ErrorKind::Backend { .. }) => return Err(why),
            Err(_) => None,
        };
        let Some(now) = now else {
            // Which of its values does is not known.
            let here = |other: &&Change| other.target.rows == target.rows;
            let each = all.iter().filter(here).map(|other| other.target.name.clone());
            let why = "with this request the instance would not be there any more";
            return Err(Error::several(
                each.map(|name| (name.clone(), Error::bad_value(name, why))).collect(),
            ));
        };
        if param.hidden {
            return self.verify_hidden(change, &now);
        }
        let value = self.value(at, position, &now.name, &now.rows)?;
        // The digits of hexBinary have two cases, and the system may keep the other one.
        let same_octets = param.ty.kind == Kind::HexBinary && value.text.eq_ignore_ascii_case(text);
        let theirs = param.source.from == Origin::Bbfdm;
        if value.text == *text || same_octets || (theirs && fits_another(param, text, &value.text)) {
            return Ok(());
        }
        let why = format!("the system would keep {:?} instead", super::path::clip(&value.text));
        Err(Error::bad_in_request(&target.name, why))
    }

    /// As [`Model::verify`], of a secret: by what the system holds, as its value is not shown, and neither of the
    /// two is told. What a function does not give is kept in another form, as passwords of accounts are.
    fn verify_hidden(&mut self, change: &Change, now: &Target) -> Result<()> {
        let Change { target, param, raw, .. } = change;
        let held = self.backend.read(&param.source, Place { name: &now.name, rows: &now.rows })?;
        if held.is_none() && param.source.from == Origin::Function {
            return Ok(());
        }
        let (held, staged) = (held.map(|held| held.text()).unwrap_or_default(), raw.text());
        let same_octets = param.ty.kind == Kind::HexBinary && held.eq_ignore_ascii_case(&staged);
        if held == staged || same_octets {
            return Ok(());
        }
        let why = "with this request the system would keep another value there";
        Err(Error::bad_in_request(&target.name, why))
    }

    /// Lists every table again that was listed before and lets numbers follow their rows: a change of an
    /// identifying option renames a row, a removal moves the anonymous ones behind it.
    pub(super) fn renumber(&mut self, before: &Listed, gone: Option<(&str, u32)>) {
        self.listed.clear();
        let schema = Rc::clone(&self.schema);
        let mut names: Vec<&String> = before.keys().collect();
        // Parents first: their instances are needed to list the children.
        names.sort_by_key(|name| (name.matches('.').count(), name.as_str()));
        for table in names {
            let Ok(path) = Path::parse(table) else { continue };
            let Some(at) = schema.find(&(path.schema_path() + "{i}.")) else { continue };
            let Some(rows) = schema.objects()[at].rows.as_ref().filter(|rows| rows.from != Origin::Layers)
            else {
                continue;
            };
            let parents = match self.locate(&path) {
                Ok(list) if list.len() == 1 => list[0].rows.clone(),
                _ => continue,
            };
            let Ok(found) = self.backend.rows(rows, Place { name: table, rows: &parents }) else { continue };
            let mut old: Vec<&Rc<Instance>> = before[table].iter().collect();
            if let Some((changed, number)) = gone
                && changed == table
            {
                old.retain(|instance| instance.number != number);
            }
            // Rows of one file keep their order, the list is in the order of numbers: go by address.
            let in_place: Vec<(String, String)> = if gone.is_none() {
                old.iter()
                    .filter_map(|instance| {
                        let now = found.iter().find(|row| row.addr == instance.row.addr)?;
                        Some((instance.row.name.clone(), now.name.clone()))
                    })
                    .filter(|(old, new)| old != new && found.iter().all(|row| row.name != *old))
                    // A row that was there before has only moved into the place of one that went.
                    .filter(|(_, new)| old.iter().all(|instance| instance.row.name != *new))
                    .collect()
            } else {
                shifted(&old, &found)
            };
            let memory = if rows.volatile { &mut self.passing } else { &mut self.memory };
            memory.rename_all(table, &in_place);
            self.instances(at, table, &parents);
        }
    }
}

/// After a removal, anonymous rows behind it have a new position in their name.
fn shifted(old: &[&Rc<Instance>], found: &[super::backend::Row]) -> Vec<(String, String)> {
    if old.len() != found.len() {
        return Vec::new();
    }
    let position = |addr: &str| {
        let digits = addr.rsplit_once('[').and_then(|(_, tail)| tail.strip_suffix(']'));
        digits.and_then(|digits| digits.parse::<usize>().ok())
    };
    // Only positional names move, and they keep their order among themselves.
    let mut was: Vec<&str> = old
        .iter()
        .filter(|instance| instance.row.name == instance.row.addr && position(&instance.row.addr).is_some())
        .map(|instance| instance.row.name.as_str())
        .collect();
    was.sort_by_key(|name| position(name));
    let mut now: Vec<&str> = found
        .iter()
        .filter(|row| row.name == row.addr && position(&row.addr).is_some())
        .map(|row| row.name.as_str())
        .collect();
    now.sort_by_key(|name| position(name));
    if was.len() != now.len() {
        return Vec::new();
    }
    was.into_iter()
        .zip(now)
        .filter(|(was, now)| was != now)
        .map(|(was, now)| (was.into(), now.into()))
        .collect()
}

/// Whether what another agent shows can be what it was given, though it reads differently: it hides secrets of which
/// our model knows nothing, shows orders as done, and spells addresses, references and times in its own way.
fn fits_another(param: &Param, given: &str, shown: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| param.name.contains(word));
    let secret = shown.is_empty() && has(&["Password", "Passphrase", "Key", "Secret", "PIN", "Token"]);
    let order = match param.ty.kind {
        Kind::Boolean => given == "1" && has(&["Reset", "Renew", "Flush", "Clear", "Generate", "Restart"]),
        _ => param.name == "DiagnosticsState",
    };
    if secret || order {
        return true;
    }
    if param.ty.kind == Kind::DateTime {
        // Seconds, before a fraction and the zone.
        return given.get(..19).is_some_and(|time| shown.get(..19) == Some(time));
    }
    let same = |given: &str, shown: &str| {
        let (given, shown) = (given.trim().trim_end_matches('.'), shown.trim().trim_end_matches('.'));
        let octets = given.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') && given.contains(':');
        let address = given.parse::<IpAddr>().is_ok_and(|given| shown.parse() == Ok(given));
        given == shown || address || (octets && given.eq_ignore_ascii_case(shown))
    };
    given.split(',').count() == shown.split(',').count()
        && given.split(',').zip(shown.split(',')).all(|(given, shown)| same(given, shown))
}

/// A reference as it is kept: from the root, which a first dot stands for, and without a final dot, which
/// ACSs send though it does not belong there (TR-106 3.2.4). `of`: any name below the same root.
fn absolute(path: &str, of: &str) -> String {
    let root = of.split('.').next().unwrap_or_default();
    let bare = path.trim_end_matches('.');
    if bare.starts_with('.') { format!("{root}{bare}") } else { bare.to_owned() }
}

fn target_object(target: &Target) -> Option<usize> {
    match target.what {
        What::Param(at, _) | What::Object(at) | What::Table(at) => Some(at),
    }
}

/// One checked assignment.
struct Change {
    target: Target,
    param: Param,
    /// The canonical text.
    text: String,
    /// What the system is to hold.
    raw: Raw,
}

#[cfg(test)]
mod tests {
    use super::super::schema::{Notify, Source};
    use super::super::value::Type;
    use super::*;

    #[test]
    fn what_another_agent_shows() {
        for (name, kind, given, shown, fits) in [
            ("Alias", Kind::String, "ann", "bob", false),
            ("Alias", Kind::String, "ann", "Ann", false),
            ("Alias", Kind::String, "ann", "", false),
            ("Password", Kind::String, "ann", "", true),
            ("Password", Kind::String, "ann", "bob", false),
            ("Reset", Kind::Boolean, "1", "0", true),
            ("Enable", Kind::Boolean, "1", "0", false),
            ("DiagnosticsState", Kind::String, "Requested", "None", true),
            ("MACAddress", Kind::String, "02:AA:00:00:00:01", "02:aa:00:00:00:01", true),
            ("IPAddress", Kind::String, "2001:DB8:0::1", "2001:db8::1", true),
            ("LowerLayers", Kind::String, "Device.A.1,Device.B.1", "Device.A.1., Device.B.1.", true),
            ("LowerLayers", Kind::String, "Device.A.1,Device.B.1", "Device.A.1.", false),
            ("StartTime", Kind::DateTime, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z", true),
            ("StartTime", Kind::DateTime, "2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", false),
        ] {
            let ty: &'static Type = Box::leak(Box::new(Type::of(kind)));
            let source = Source::plain(Origin::Bbfdm, "");
            let param =
                Param { name, ty, write: true, hidden: false, inform: false, notify: Notify::Normal, source };
            assert_eq!(fits_another(&param, given, shown), fits, "{name} {given} {shown}");
        }
    }
}
