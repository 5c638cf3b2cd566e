//! Value changes that the ACS is to be told of (TR-069 3.2.1, A.3.2.4, A.3.3.1).
//!
//! ```text
//!  outside of sessions   model.refresh(); check(model, scope) ─► what is newly changed
//!  a session begins      model.refresh(); check(model, All); pending(model) ─► the Inform's list
//!  InformResponse        told(what the Inform carried)
//!  a datagram            sending_lightweight(what it carries); sent_lightweight(whether it left)
//!  the ACS changes       absorb(model, by) after each success, within the session
//! ```
//! For each parameter with notification, and each that every Inform carries, a [`Watch`] remembers a
//! digest of the value that the ACS knows, and whether another one is still to be told. So a value is
//! told once however often it changes, also when it changes back, and only what changed is told.
//!
//! What the ACS sets is known to it; what follows from that elsewhere (a status, an address) is not. The
//! number of a table's instances is, when it adds or deletes one, and the references that deleting empties.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use super::attributes::MAX_ATTRIBUTES;
use super::backend::{Backend, Place};
use super::error::{Error, ErrorKind, Result};
use super::path::{MAX_NAME, Path, Segment};
use super::reach::{self, Reach, Scope};
use super::schema::{Notify, Origin, Schema};
use super::tree::{Model, What};
use super::value::Value;
use crate::map::Map;
use crate::set::Set;

#[cfg(test)]
mod tests;

/// The most parameters that are watched: all that can have attributes, and those of the data model.
pub const MAX_WATCHED: usize = MAX_ATTRIBUTES + 1024;

/// What the ACS knows, and what it is still to be told. Kept in the state file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    /// By name, with instance numbers.
    #[serde(deserialize_with = "bounded")]
    entries: Map<String, Entry>,
    /// The parameters that the data model has watched without being asked, by name with `*`.
    #[serde(skip)]
    rules: Option<Vec<(String, Spot)>>,
    #[serde(skip)]
    reaches: Map<Spot, Reach>,
}

/// Object and position in it.
type Spot = (usize, usize);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "v")]
    known: Print,
    /// To be told with the next Inform.
    #[serde(rename = "i", default, skip_serializing_if = "std::ops::Not::not")]
    inform: bool,
    /// To be told by lightweight notification.
    #[serde(rename = "l", default, skip_serializing_if = "std::ops::Not::not")]
    light: bool,
    /// On its way by lightweight notification.
    #[serde(rename = "s", default, skip_serializing_if = "std::ops::Not::not")]
    sending: bool,
    /// Reads as nothing, so what was told says nothing of the value.
    #[serde(rename = "h", default, skip_serializing_if = "std::ops::Not::not")]
    hidden: bool,
}

/// Names of changed parameters with instance numbers, by the way that they are told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// In the next Inform, whenever that is: notification 1, 4, 6, and parameters that every Inform carries.
    pub passive: Vec<String>,
    /// In the next Inform, and for that a session is to begin: notification 2.
    pub active: Vec<String>,
    /// In the next lightweight notification: 3, 4.
    pub lightweight_passive: Vec<String>,
    /// In a lightweight notification now: 5, 6.
    pub lightweight_active: Vec<String>,
}

/// What the ACS has done, successfully. Names are as in its request.
#[derive(Debug, Clone, Copy)]
pub enum ByAcs<'a> {
    /// SetParameterValues: the parameters.
    Set(&'a [&'a str]),
    /// SetParameterAttributes.
    Attributes,
    /// AddObject: the table.
    Added(&'a str),
    /// DeleteObject: the instance.
    Deleted(&'a str),
}

impl Changes {
    /// Nothing has changed.
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }

    /// What belongs into an Inform: that is `4 VALUE CHANGE` when there is any.
    pub fn inform(&self) -> impl Iterator<Item = &str> {
        self.active.iter().chain(&self.passive).map(String::as_str)
    }

    /// Adds a name where its level says, of what is to be told with an Inform or by the light way.
    fn add(&mut self, name: &str, level: Level, inform: bool, light: bool) {
        let to = |on: bool, list: &mut Vec<String>| list.extend(on.then(|| name.to_owned()));
        let active = level.notification == 2;
        to(inform && active, &mut self.active);
        to(inform && !active && level.informs(), &mut self.passive);
        to(light && matches!(level.notification, 3 | 4), &mut self.lightweight_passive);
        to(light && matches!(level.notification, 5 | 6), &mut self.lightweight_active);
    }
}

/// How a parameter is to be told.
#[derive(Debug, Clone, Copy)]
struct Level {
    notification: u8,
    /// Every Inform carries it.
    forced: bool,
}

impl Level {
    fn informs(self) -> bool {
        self.forced || matches!(self.notification, 1 | 2 | 4 | 6)
    }

    fn lightweight(self) -> bool {
        matches!(self.notification, 3..=6)
    }
}

impl Watch {
    /// Looks for changes by others in what `scope` can have changed, and gives the newly found ones.
    ///
    /// The model must have been refreshed after the change, so this is for between sessions and for the
    /// beginning of one. What is watched for the first time has no change. A place that cannot be read is
    /// left for the next look; what is gone is forgotten without a word.
    pub fn check<B: Backend>(&mut self, model: &mut Model<B>, scope: &Scope) -> Changes {
        self.look(model, Some(scope))
    }

    /// A parameter has changed and changed back at once, as a SampleSet's Status does: that is one change, told with
    /// the value that it has now.
    pub fn flashed<B: Backend>(&mut self, model: &Model<B>, name: &str) -> Changes {
        let mut fresh = Changes::default();
        if let (Some(entry), Some(spot)) = (self.entries.get_mut(name), spot(&model.schema, name)) {
            let level = level(model, name, spot);
            fresh.add(name, level, !entry.inform, !entry.light);
            entry.inform |= level.informs();
            entry.light |= level.lightweight();
        }
        fresh
    }

    /// Everything that is still to be told, by the notification that it has now.
    pub fn pending<B: Backend>(&self, model: &Model<B>) -> Changes {
        let mut out = Changes::default();
        for (name, entry) in self.entries.iter().filter(|(_, entry)| entry.inform || entry.light) {
            if let Some(spot) = spot(&model.schema, name) {
                out.add(name, level(model, name, spot), entry.inform, entry.light);
            }
        }
        out
    }

    /// The ACS has confirmed an Inform with these values. Names are with instance numbers; others than
    /// those watched do no harm. A heartbeat's confirms nothing: do not call this then.
    pub fn told<'a>(&mut self, delivered: impl IntoIterator<Item = (&'a str, &'a Value)>) {
        self.deliver(delivered, |entry| entry.inform = false);
    }

    /// A lightweight notification with these values is on its way: what changes from now on is news again.
    /// [`Watch::sent_lightweight`] must follow; a state file from between says that it failed.
    pub fn sending_lightweight<'a>(&mut self, values: impl IntoIterator<Item = (&'a str, &'a Value)>) {
        self.deliver(values, |entry| (entry.light, entry.sending) = (false, true));
    }

    /// What was on its way has left (there is no confirmation), or could not, and is still to be told.
    pub fn sent_lightweight(&mut self, left: bool) {
        for entry in self.entries.values_mut() {
            let sending = std::mem::take(&mut entry.sending);
            entry.light |= sending && !left;
        }
    }

    /// Takes what the ACS itself has done as known to it. To be called within the session, after each
    /// success and before the model is refreshed: what others change meanwhile is seen after it.
    pub fn absorb<B: Backend>(&mut self, model: &mut Model<B>, by: ByAcs<'_>) {
        match by {
            ByAcs::Attributes => {}
            ByAcs::Set(names) => {
                for name in names {
                    // Instances that were made for an alias are counted too.
                    if name.contains('[')
                        && let Ok(path) = Path::parse(name)
                    {
                        let tables = (0..path.segments().len()).filter(|at| is_alias(&path, *at));
                        tables.for_each(|at| self.recount(model, &path.head(at)));
                    }
                    if let Ok(name) = model.numbered(name) {
                        self.know(model, &name);
                    }
                }
            }
            ByAcs::Added(table) => {
                if let Ok(path) = Path::parse(table) {
                    let length = path.segments().len();
                    let named = length > 0 && is_alias(&path, length - 1);
                    self.recount(model, &path.head(length - usize::from(named)));
                }
            }
            ByAcs::Deleted(object) => {
                if let Ok(path) = Path::parse(object) {
                    self.deleted(model, &path.head(path.segments().len().saturating_sub(1)));
                }
            }
        }
        // Each of these may have brought another ParameterKey.
        let keys = self.names_where(&model.schema, |schema, (at, position)| {
            let source = &schema.objects()[at].params[position].source;
            source.from == Origin::Agent && source.spec == "ParameterKey"
        });
        keys.iter().for_each(|name| self.know(model, name));
        self.look(model, None);
    }

    /// Nothing is to be told any more: `0 BOOTSTRAP` discards `4 VALUE CHANGE` (table 8), and whoever
    /// begins anew with another ACS may do so at any time. What the ACS knows stays.
    pub fn discard(&mut self) {
        for entry in self.entries.values_mut() {
            (entry.inform, entry.light, entry.sending) = (false, false, false);
        }
    }

    /// How many parameters are watched.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nothing is watched, as before the first look.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Brings what is watched up to date; reads what is new, and what `scope` can have changed.
    fn look<B: Backend>(&mut self, model: &mut Model<B>, scope: Option<&Scope>) -> Changes {
        let wanted = self.wanted(model, scope);
        self.entries.retain(|name, _| wanted.contains_key(name));
        let mut fresh = Changes::default();
        for (name, spot) in wanted {
            let level = level(model, &name, spot);
            if let Some(entry) = self.entries.get_mut(&name) {
                // It may have another notification now.
                entry.inform &= level.informs();
                entry.light &= level.lightweight();
                // One more change of what is to be told anyway says nothing new.
                let told_anyway = entry.inform == level.informs() && entry.light == level.lightweight();
                if told_anyway && !entry.hidden {
                    continue;
                }
                if !scope.is_some_and(|scope| self.meets(model, spot, scope)) {
                    continue;
                }
            } else if self.entries.len() >= MAX_WATCHED {
                continue;
            }
            let (known, hidden) = match model.print(&name) {
                Ok(read) => read,
                Err(why) if matches!(why.kind(), ErrorKind::UnknownName(_)) => {
                    self.entries.remove(&name);
                    continue;
                }
                Err(_) => continue,
            };
            let Some(entry) = self.entries.get_mut(&name) else {
                let fresh = Entry { known, inform: false, light: false, sending: false, hidden };
                self.entries.insert(name, fresh);
                continue;
            };
            if entry.known == known {
                continue;
            }
            fresh.add(&name, level, !entry.inform, !entry.light);
            entry.known = known;
            entry.inform |= level.informs();
            entry.light |= level.lightweight();
        }
        fresh
    }

    /// What is to be watched now: what has notification, and what the data model says.
    fn wanted<B: Backend>(&mut self, model: &mut Model<B>, scope: Option<&Scope>) -> Map<String, Spot> {
        let mut out = Map::new();
        let stored = model.memory.all_attributes().chain(model.passing.all_attributes());
        for (name, attributes) in stored {
            if attributes.notification != 0
                && let Some(spot) = spot(&model.schema, name)
            {
                out.insert(name.to_owned(), spot);
            }
        }
        let rules = self.rules.take().unwrap_or_else(|| rules(&model.schema));
        for (name, spot) in &rules {
            if !name.contains('*') {
                out.insert(name.clone(), *spot);
                continue;
            }
            // Listing a table reads it; without need its instances are those known.
            let known = self.names_where(&model.schema, |_, other| other == *spot);
            let read = known.is_empty() || scope.is_none_or(|scope| self.meets(model, *spot, scope));
            let names = if read { model.expand(name).unwrap_or(known) } else { known };
            out.extend(names.into_iter().map(|name| (name, *spot)));
        }
        self.rules = Some(rules);
        // What was active by default and is not any more needs no memory, but for what Informs carry.
        out.retain(|name, spot| {
            let level = level(model, name, *spot);
            level.forced || level.notification != 0
        });
        out
    }

    fn meets<B: Backend>(&mut self, model: &mut Model<B>, spot: Spot, scope: &Scope) -> bool {
        let reach = self
            .reaches
            .or_insert_with(spot, || reach::of_param(&model.schema, spot.0, spot.1, &model.backend));
        reach.meets(scope)
    }

    /// The value that is there now is known to the ACS.
    fn know<B: Backend>(&mut self, model: &mut Model<B>, name: &str) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        match model.print(name) {
            Ok((known, hidden)) => (entry.known, entry.hidden) = (known, hidden),
            Err(why) if matches!(why.kind(), ErrorKind::UnknownName(_)) => drop(self.entries.remove(name)),
            Err(_) => {}
        }
    }

    /// The ACS knows how many instances a table has.
    fn recount<B: Backend>(&mut self, model: &mut Model<B>, table: &Path) {
        let Ok(table) = model.numbered(&table.to_string()) else { return };
        let names = self.names_where(&model.schema, |schema, (at, position)| {
            schema.objects()[at].params[position].source.from == Origin::Count
        });
        for name in names {
            let Some((at, position)) = spot(&model.schema, &name) else { continue };
            let param = model.schema.objects()[at].params[position];
            let object = &name[..name.len() - param.name.len()];
            if table == format!("{object}{}.", param.source.spec) {
                self.know(model, &name);
            }
        }
    }

    /// An instance of a table has gone with all that is below it.
    fn deleted<B: Backend>(&mut self, model: &mut Model<B>, table: &Path) {
        self.recount(model, table);
        let Ok(prefix) = model.numbered(&table.to_string()) else { return };
        let below: Vec<String> =
            self.entries.keys().filter(|name| name.starts_with(&prefix)).cloned().collect();
        for name in below {
            let gone = Path::parse(&name).and_then(|path| model.locate(&path));
            if gone.is_err_and(|why| matches!(why.kind(), ErrorKind::UnknownName(_))) {
                self.entries.remove(&name);
            }
        }
        let schema_path = table.schema_path() + "{i}.";
        let references = self.names_where(&model.schema, |schema, (at, position)| {
            let refs = schema.objects()[at].params[position].source.refs;
            refs.iter().any(|target| target.starts_with(&schema_path))
        });
        references.iter().for_each(|name| self.know(model, name));
    }

    fn names_where(&self, schema: &Schema, fits: impl Fn(&Schema, Spot) -> bool) -> Vec<String> {
        let fits = |name: &&String| spot(schema, name).is_some_and(|spot| fits(schema, spot));
        self.entries.keys().filter(fits).cloned().collect()
    }

    fn deliver<'a>(
        &mut self,
        values: impl IntoIterator<Item = (&'a str, &'a Value)>,
        done: impl Fn(&mut Entry),
    ) {
        for (name, value) in values {
            if let Some(entry) = self.entries.get_mut(name) {
                done(entry);
                if !entry.hidden {
                    entry.known = Print::of(name, &value.text);
                }
            }
        }
    }
}

impl<B: Backend> Model<B> {
    /// A digest of the value that a full name has, and whether the value is hidden.
    fn print(&mut self, name: &str) -> Result<(Print, bool)> {
        let unknown = || Error::unknown_name(name);
        let target = self.locate(&Path::parse(name)?)?.into_iter().next().ok_or_else(unknown)?;
        let What::Param(at, position) = target.what else { return Err(unknown()) };
        let param = self.schema.objects()[at].params[position];
        if param.hidden {
            let place = Place { name: &target.name, rows: &target.rows };
            let raw = self.backend.read(&param.source, place)?.map(|raw| raw.text()).unwrap_or_default();
            return Ok((Print::of(name, &raw), true));
        }
        let before = self.unlisted;
        let value = self.value(at, position, &target.name, &target.rows)?;
        // A table that cannot be read has neither lost its instances nor what refers to them.
        if self.unlisted != before {
            return Err(Error::backend(format!("reading {name}"), "a table cannot be read"));
        }
        Ok((Print::of(name, &value.text), false))
    }

    /// The full names that a path with wildcards stands for, with numbers; `None` when a table on the
    /// way cannot be read.
    fn expand(&mut self, wild: &str) -> Option<Vec<String>> {
        let before = self.unlisted;
        let found = Path::parse(wild).and_then(|path| self.locate(&path)).ok()?;
        (self.unlisted == before).then(|| found.into_iter().map(|target| target.name).collect())
    }
}

/// The parameters that the data model has watched by itself, with `*` for instances.
fn rules(schema: &Schema) -> Vec<(String, Spot)> {
    let mut out = Vec::new();
    for (at, object) in schema.objects().iter().enumerate() {
        for (position, param) in object.params.iter().enumerate() {
            if param.inform || matches!(param.notify, Notify::Forced | Notify::Default) {
                out.push((format!("{}{}", object.path.replace("{i}", "*"), param.name), (at, position)));
            }
        }
    }
    out
}

/// Where in the schema a full name is.
fn spot(schema: &Schema, name: &str) -> Option<Spot> {
    let path = Path::parse(name).ok().filter(|path| !path.is_partial())?;
    let at = schema.find(&path.head(path.segments().len() - 1).schema_path())?;
    let Some(Segment::Name(last)) = path.segments().last() else { return None };
    Some((at, schema.objects()[at].params.iter().position(|param| param.name == last)?))
}

fn level<B: Backend>(model: &Model<B>, name: &str, (at, position): Spot) -> Level {
    let param = &model.schema.objects()[at].params[position];
    Level { notification: model.attributes_of(name, param).notification, forced: param.inform }
}

fn is_alias(path: &Path, at: usize) -> bool {
    matches!(path.segments()[at], Segment::Alias(_))
}

/// A digest of name and value: small, and no password in the state file.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Print([u8; 16]);

impl Print {
    fn of(name: &str, text: &str) -> Print {
        let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(text).finalize();
        let mut out = [0; 16];
        out.copy_from_slice(&digest[..16]);
        Print(out)
    }
}

impl fmt::Debug for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(*self))
    }
}

impl From<Print> for String {
    fn from(print: Print) -> String {
        print.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for Print {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Print, &'static str> {
        let mut out = [0; 16];
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("not 32 hexadecimal digits");
        }
        for (at, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| "not hexadecimal")?;
        }
        Ok(Print(out))
    }
}

/// A file may say what it likes.
fn bounded<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Map<String, Entry>, D::Error> {
    let all = Map::<String, Entry>::deserialize(from)?;
    let names: Set<String> =
        all.keys().filter(|name| name.len() <= MAX_NAME).take(MAX_WATCHED).cloned().collect();
    let mut kept: Map<String, Entry> = all.into_iter().filter(|(name, _)| names.contains(name)).collect();
    for entry in kept.values_mut() {
        entry.light |= std::mem::take(&mut entry.sending);
    }
    Ok(kept)
}
