//! [`Backend`] for [`System`]: each origin of a data model file, served.

use crate::model::backend::{Backend, Place, Raw, Row};
use crate::model::error::{Error, Result};
use crate::model::reach::Reach;
use crate::model::schema::{Origin, Rows, Source};

use super::convert;
use super::functions;
use super::system::{Section, System};

/// The most rows of one table; what is beyond is not seen.
const MAX_ROWS: usize = 1024;
/// The agent's own package.
const OWN: &str = "cwmp";

impl Backend for System {
    fn refresh(&mut self) {
        self.forget();
    }

    fn rows(&mut self, rows: &Rows, at: Place<'_>) -> Result<Vec<Row>> {
        self.forget_former();
        let mut out = match rows.from {
            Origin::Uci => self.uci_rows(rows, at)?,
            Origin::File => {
                let text = self.text(&at.fill(rows.spec));
                text.iter().flat_map(|text| text.lines()).filter_map(|line| line_row(rows, line)).collect()
            }
            Origin::Store => self.stored_rows(at, 0),
            Origin::Trial => self.trials.rows(&System::stored_name(at)),
            Origin::Bbfdm => self.bbfdm_rows(at)?,
            Origin::Function => {
                let (name, argument) = call(rows.spec, at);
                let function = functions::table(name).ok_or_else(|| no_function(name))?;
                (function.rows)(self, at, &argument)?
            }
            _ => Vec::new(),
        };
        out.truncate(MAX_ROWS);
        unique(&mut out);
        Ok(out)
    }

    fn former(&self, name: &str) -> Option<String> {
        self.former_name(name).map(str::to_owned)
    }

    fn unsaved(&self) -> bool {
        self.has_new_marks()
    }

    fn read(&mut self, source: &Source, at: Place<'_>) -> Result<Option<Raw>> {
        let raw = match source.from {
            Origin::Const => Some(Raw::one(source.spec)),
            Origin::Uci => {
                let raw = self.option(&at.fill(source.spec))?;
                match (raw, source.field) {
                    (Some(Raw::One(text)), None) if source.key == "," => Some(Raw::Many(
                        text.split(',')
                            .map(str::trim)
                            .filter(|item| !item.is_empty())
                            .map(str::to_owned)
                            .collect(),
                    )),
                    (Some(raw), Some(nth)) => raw.items().get(usize::from(nth)).map(|item| Raw::one(*item)),
                    (raw, _) => raw,
                }
            }
            Origin::File => self.text(&at.fill(source.spec)).and_then(|text| pick(&text, source, at)),
            Origin::Agent if source.spec == "ParameterKey" => Some(Raw::one(self.last_parameter_key())),
            Origin::Agent => self.agent(&at.fill(source.spec)).map(Raw::one),
            Origin::Store => {
                let kept = self.staged.as_ref().unwrap_or(&self.kept);
                kept.values.get(&System::stored_name(at)).map(Raw::one)
            }
            Origin::Trial => self.read_trial(at).map(Raw::one),
            Origin::Row => at.row().and_then(|row| match source.spec.parse::<usize>() {
                Ok(column) => row.cols.get(column).map(Raw::one),
                Err(_) => Some(Raw::one(&row.name)),
            }),
            Origin::Function => {
                let (name, argument) = call(source.spec, at);
                let function = functions::value(name).ok_or_else(|| no_function(name))?;
                (function.get)(self, at, &argument)?
            }
            Origin::Bbfdm => self.bbfdm_read(at)?,
            Origin::Count | Origin::Alias | Origin::Layers => None,
        };
        Ok(match (raw, source.via) {
            (raw, "") => raw,
            (Some(raw), via) => {
                let convert = convert::named(via).ok_or_else(|| no_function(via))?;
                match raw {
                    Raw::One(text) => (convert.get)(&text).map(Raw::One),
                    Raw::Many(items) => {
                        Some(Raw::Many(items.iter().filter_map(|item| (convert.get)(item)).collect()))
                    }
                }
            }
            (None, _) => None,
        })
    }

    fn learnt(&self, rows: &Rows, row: &Row) -> bool {
        rows.from == Origin::Function && functions::learnt(rows.spec, row)
    }

    fn stays(&self, rows: &Rows, row: &Row) -> bool {
        rows.from == Origin::Function && functions::stays(rows.spec, row)
    }

    fn release(&mut self, source: &Source, at: Place<'_>, raw: &Raw) -> Result<()> {
        self.releasing = true;
        let done = self.write(source, at, raw);
        self.releasing = false;
        done
    }

    fn write(&mut self, source: &Source, at: Place<'_>, raw: &Raw) -> Result<()> {
        let raw = match source.via {
            "" => raw.clone(),
            via => {
                let convert = convert::named(via).ok_or_else(|| no_function(via))?;
                let word = |text: &String| {
                    (convert.set)(text)
                        .ok_or_else(|| Error::bad_value(at.name, "the system has no word for this value"))
                };
                match raw {
                    Raw::One(text) => Raw::One(word(text)?),
                    Raw::Many(items) => Raw::Many(items.iter().map(word).collect::<Result<_>>()?),
                }
            }
        };
        match source.from {
            Origin::Uci => self.write_option(source, at, &raw),
            Origin::Agent => {
                let name = at.fill(source.spec);
                self.staging().agent.insert(name, raw.text());
                Ok(())
            }
            Origin::Store => {
                self.staging().values.insert(System::stored_name(at), listed(&raw));
                Ok(())
            }
            Origin::Trial => self.trials.write(&System::stored_name(at), listed(&raw)),
            Origin::Bbfdm => self.bbfdm_write(source, at, &raw),
            Origin::Function => {
                let (name, argument) = call(source.spec, at);
                let function = functions::value(name).ok_or_else(|| no_function(name))?;
                let set = function.set.ok_or_else(|| Error::not_writable(at.name))?;
                set(self, at, &argument, &raw)
            }
            _ => Err(Error::not_writable(at.name)),
        }
    }

    fn add(&mut self, rows: &Rows, at: Place<'_>) -> Result<Row> {
        match rows.from {
            Origin::Uci => {
                let spec = at.fill(rows.spec);
                let (package, ty) = spec.split_once('.').unwrap_or((&spec, ""));
                // A section of a program that is not installed would do nothing; the agent's own does.
                if package != OWN && !self.has_package(package) {
                    return Err(Error::exhausted(format!("there is no configuration {package} to add to")));
                }
                let fresh: Vec<(String, String)> = rows
                    .fresh
                    .iter()
                    .filter_map(|one| one.split_once('='))
                    .map(|(option, value)| (option.to_owned(), at.fill(value)))
                    .collect();
                let name = match fresh.iter().find(|(option, _)| option == ".name") {
                    Some((_, prefix)) => Some(self.free_name(package, prefix)?),
                    None => None,
                };
                let addr = self.add_section(package, ty, name.as_deref())?;
                for (option, value) in fresh.iter().filter(|(option, _)| option != ".name") {
                    self.set_option(&format!("{package}.{addr}.{option}"), Some(&Raw::one(value)))?;
                }
                Ok(Row { name: self.section_id(package, &addr)?, addr, cols: Vec::new() })
            }
            Origin::Store => self.add_stored(at, MAX_ROWS, 0),
            Origin::Function => {
                let (name, argument) = call(rows.spec, at);
                let function = functions::table(name).ok_or_else(|| no_function(name))?;
                let add = function.add.ok_or_else(|| Error::not_addable(at.name))?;
                add(self, at, &argument)
            }
            Origin::Bbfdm => self.bbfdm_add(at),
            _ => Err(Error::not_addable(at.name)),
        }
    }

    fn delete(&mut self, rows: &Rows, at: Place<'_>) -> Result<()> {
        let refused = || Error::not_deletable(at.name);
        let row = at.row().ok_or_else(refused)?;
        match rows.from {
            Origin::Uci => {
                let parents = Place { name: at.name, rows: &at.rows[..at.rows.len() - 1] };
                let spec = parents.fill(rows.spec);
                let package = spec.split('.').next().unwrap_or_default();
                self.delete_section(&format!("{package}.{}", row.addr))?;
                // bbfdm's word for whose section it is: what belonged to this one goes with it.
                let mut gone = vec![row.addr.clone()];
                while let Some(parent) = gone.pop() {
                    // From behind, so that no address moves before it is used.
                    for section in self.sections(package, "*")?.into_iter().rev() {
                        let address = format!("{package}.{}", section.addr);
                        if self.option_text(&format!("{address}.dm_parent"))? == parent {
                            self.delete_section(&address)?;
                            gone.extend(section.name);
                        }
                    }
                }
                Ok(())
            }
            Origin::Store => {
                self.delete_stored(at, 0);
                Ok(())
            }
            Origin::Function => {
                let (name, argument) = call(rows.spec, at);
                let function = functions::table(name).ok_or_else(|| no_function(name))?;
                function.delete.ok_or_else(refused)?(self, at, &argument)
            }
            Origin::Bbfdm => self.bbfdm_delete(at),
            _ => Err(refused()),
        }
    }

    fn parameter_key(&mut self, key: &str) -> Result<()> {
        if self.last_parameter_key() != key {
            self.staging().parameter_key = key.to_owned();
        }
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        for check in std::mem::take(&mut self.later).into_iter().rev() {
            check(self)?;
        }
        self.make_moves()?;
        self.uci.changes().map(drop).map_err(|why| Error::backend("checking the change", why))
    }

    fn commit(&mut self, memory: Option<&[u8]>) -> Result<()> {
        self.write_out(memory)
    }

    fn waits(&self) -> bool {
        self.last_waits()
    }

    fn revert(&mut self) {
        self.forget_staged();
    }

    fn reach(&self, from: Origin, spec: &'static str) -> Reach {
        match from {
            Origin::Function => functions::reach::of(spec),
            _ => Reach::of(from, spec),
        }
    }
}

/// The names of the first rows of a table.
fn numbered(count: usize) -> Vec<String> {
    (1..=count).map(|number| number.to_string()).collect()
}

impl System {
    /// The rows of a table in the store; so many of them are there at first.
    pub(super) fn stored_rows(&self, at: Place<'_>, first: usize) -> Vec<Row> {
        let kept = self.staged.as_ref().unwrap_or(&self.kept);
        let names = kept.rows.get(&System::stored_name(at)).cloned().unwrap_or_else(|| numbered(first));
        names.into_iter().map(|name| Row { addr: name.clone(), name, cols: Vec::new() }).collect()
    }

    /// One more of them, of at most so many.
    pub(super) fn add_stored(&mut self, at: Place<'_>, most: usize, first: usize) -> Result<Row> {
        let list = self.staging().rows.or_insert_with(System::stored_name(at), || numbered(first));
        if list.len() >= most {
            return Err(Error::exhausted(format!("{} has no more than {most} instances", at.name)));
        }
        let next = list.iter().filter_map(|name| name.parse::<u32>().ok()).max().unwrap_or(0);
        let name = next.saturating_add(1).to_string();
        list.push(name.clone());
        Ok(Row { addr: name.clone(), name, cols: Vec::new() })
    }

    /// One less, with all that is below it.
    pub(super) fn delete_stored(&mut self, at: Place<'_>, first: usize) {
        let Some(row) = at.rows.last() else { return };
        let instance = System::stored_name(at);
        let table = instance.strip_suffix(&format!("{}.", row.number)).unwrap_or(&instance).to_owned();
        let kept = self.staging();
        let list = kept.rows.or_insert_with(table, || numbered(first));
        list.retain(|other| *other != row.row.name);
        kept.values.retain(|path, _| !path.starts_with(&instance));
        kept.rows.retain(|path, _| !path.starts_with(&instance));
    }

    fn uci_rows(&mut self, rows: &Rows, at: Place<'_>) -> Result<Vec<Row>> {
        let spec = at.fill(rows.spec);
        let (package, ty) = spec.split_once('.').unwrap_or((&spec, "*"));
        let mut out = Vec::new();
        for section in self.sections(package, ty)? {
            let mut fits = true;
            for condition in rows.when {
                fits = fits && self.holds(package, &section, &at.fill(condition))?;
            }
            if !fits {
                continue;
            }
            let mut cols = Vec::with_capacity(rows.id.len());
            for option in rows.id {
                cols.push(self.option_text(&format!("{package}.{}.{option}", section.addr))?);
            }
            if let (None, Some(word)) = (&section.name, cols.iter().find(|word| !word.is_empty())) {
                self.was(&section.id, word);
            }
            out.push(Row { name: section.id, addr: section.addr, cols });
        }
        Ok(out)
    }

    /// `option=a|b`, `option!=a|b`, `option`, `!option`; `.name` is the section's name.
    fn holds(&mut self, package: &str, section: &Section, condition: &str) -> Result<bool> {
        let mut value = |option: &str| -> Result<String> {
            match option {
                ".name" => Ok(section.name.clone().unwrap_or_default()),
                option => self.option_text(&format!("{package}.{}.{option}", section.addr)),
            }
        };
        let among = |list: &str, word: &str| list.split('|').any(|one| one == word);
        Ok(if let Some((option, list)) = condition.split_once("!=") {
            !among(list, &value(option)?)
        } else if let Some((option, list)) = condition.split_once('=') {
            among(list, &value(option)?)
        } else if let Some(option) = condition.strip_prefix('!') {
            value(option)?.is_empty()
        } else {
            !value(condition)?.is_empty()
        })
    }

    /// Writes in the form that is there: a text stays a text, a list a list.
    fn write_option(&mut self, source: &Source, at: Place<'_>, raw: &Raw) -> Result<()> {
        let address = at.fill(source.spec);
        let old = self.option(&address)?;
        if let Some(nth) = source.field {
            let nth = usize::from(nth);
            let mut items: Vec<String> = old.iter().flat_map(Raw::items).map(str::to_owned).collect();
            let text = raw.text();
            if text.is_empty() {
                items.truncate(nth);
            } else if nth < items.len() {
                items[nth] = text;
            } else if nth == items.len() {
                items.push(text);
            } else {
                return Err(Error::bad_value(at.name, "the ones before it are not set"));
            }
            let raw = match old {
                Some(Raw::One(_)) if items.len() <= 1 => Raw::One(items.concat()),
                _ => Raw::Many(items),
            };
            return self.put(&address, source, &raw);
        }
        let raw = match (&old, raw) {
            (_, Raw::Many(items)) if source.key == "," => Raw::One(items.join(",")),
            (Some(Raw::One(_)), Raw::Many(items)) => Raw::One(items.join(" ")),
            (_, raw) => raw.clone(),
        };
        self.put(&address, source, &raw)
    }

    /// An empty value removes the option, unless its absence means something else.
    fn put(&mut self, address: &str, source: &Source, raw: &Raw) -> Result<()> {
        if raw.text().is_empty() && source.default.is_empty() {
            return self.set_option(address, None);
        }
        self.set_option(address, Some(raw))
    }

    /// `prefix1`, `prefix2` …: the first that no section has.
    pub(super) fn free_name(&mut self, package: &str, prefix: &str) -> Result<String> {
        let taken = self.sections(package, "*")?;
        let free = (1..=10_000)
            .map(|n| format!("{prefix}{n}"))
            .find(|name| taken.iter().all(|section| section.name.as_deref() != Some(name.as_str())));
        free.ok_or_else(|| Error::exhausted(format!("no name is left for a section of {package}")))
    }
}

/// A value as the standard writes it: a list with commas.
fn listed(raw: &Raw) -> String {
    match raw {
        Raw::One(text) => text.clone(),
        Raw::Many(items) => items.join(","),
    }
}

/// The function's name and its argument with instances filled in.
fn call<'s>(spec: &'s str, at: Place<'_>) -> (&'s str, String) {
    match spec.split_once(':') {
        Some((name, argument)) => (name, at.fill(argument)),
        None => (spec, String::new()),
    }
}

fn no_function(name: &str) -> Error {
    Error::backend(format!("calling {name:?}"), "there is no such function")
}

/// One line as a row: its words are the columns, the `id` column its name.
fn line_row(rows: &Rows, line: &str) -> Option<Row> {
    let cols: Vec<String> = line.split_whitespace().take(64).map(str::to_owned).collect();
    let id = rows.id.first().and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(0);
    let name = cols.get(id)?.clone();
    Some(Row { addr: name.clone(), name, cols })
}

/// The part of a text that `key` and `field` select.
fn pick(text: &str, source: &Source, at: Place<'_>) -> Option<Raw> {
    let rest = if source.key.is_empty() {
        text.trim()
    } else {
        let key = at.fill(source.key);
        text.lines().find_map(|line| {
            let line = line.trim_start();
            let rest = line.strip_prefix(key.as_str())?;
            let rest = rest.trim_start();
            let after = line.as_bytes().get(key.len())?;
            match rest.strip_prefix([':', '=']) {
                Some(value) => Some(value.trim()),
                None => after.is_ascii_whitespace().then(|| rest.trim()),
            }
        })?
    };
    match source.field {
        None => Some(Raw::one(rest)),
        Some(nth) => rest.split_whitespace().nth(usize::from(nth)).map(Raw::one),
    }
}

/// Two rows of one name would share a number: the later ones get a suffix.
fn unique(rows: &mut [Row]) {
    let mut seen: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for row in rows {
        let count = seen.entry(row.name.clone()).or_insert(0);
        *count += 1;
        if *count > 1 {
            row.name = format!("{}#{count}", row.name);
        }
    }
}
