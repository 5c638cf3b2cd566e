//! References to rows: which there are, and what becomes of them when their row goes (TR-069 3.6.3).
//!
//! A strong reference is never left dangling: the path of a deleted row, or of one below it, is taken out of
//! every parameter that an ACS can write. Weak ones are plain texts in our data model, and nobody touches them.

use std::collections::HashSet;
use std::rc::Rc;

use super::addressing::in_numbers;
use super::backend::{Backend, Place};
use super::error::Error;
use super::path::Path;
use super::schema::{Origin, Param, Rows};
use super::tree::{Model, Target, What};

/// A parameter that refers to what goes.
pub(super) struct Referrer {
    target: Target,
    param: Param,
    /// What is left of its value.
    left: String,
}

impl<B: Backend> Model<B> {
    /// The writable parameters outside of these instances that refer to one of them or to something below it:
    /// names with numbers and the final dot.
    pub(super) fn referrers(&mut self, gone: &[String]) -> Vec<Referrer> {
        let tables = |name: &String| Path::parse(name).ok().map(|path| path.schema_path());
        let tables: Vec<String> = gone.iter().filter_map(tables).collect();
        let schema = Rc::clone(&self.schema);
        let mut out = Vec::new();
        for object in schema.objects() {
            let concerned = |param: &Param| {
                let refers = |target: &&str| tables.iter().any(|table| target.starts_with(table));
                param.write && param.source.refs.iter().any(refers)
            };
            if !object.params.iter().any(concerned) {
                continue;
            }
            let wild = object.path.replace("{i}", "*");
            for (position, param) in object.params.iter().enumerate().filter(|(_, param)| concerned(param)) {
                let path = Path::parse(&format!("{wild}{}", param.name));
                let targets = path.ok().and_then(|path| self.locate(&path).ok()).unwrap_or_default();
                for target in targets {
                    let What::Param(at, _) = target.what else { continue };
                    let goes = gone.iter().any(|one| target.name.starts_with(one.as_str()));
                    if goes || self.is_learnt(at, &target.rows) {
                        continue;
                    }
                    let Ok(value) = self.value(at, position, &target.name, &target.rows) else { continue };
                    let goes =
                        |item: &&str| gone.iter().any(|one| format!("{item}.").starts_with(one.as_str()));
                    let items = || value.text.split(',').map(str::trim);
                    if items().any(|item| goes(&item)) {
                        let left = items().filter(|item| !goes(item)).collect::<Vec<_>>().join(",");
                        out.push(Referrer { target, param: *param, left });
                    }
                }
            }
        }
        out
    }

    /// An instance that is about to be deleted, and those of other tables that go with it because they are the same
    /// section seen otherwise: the IP interface of a PPP link, the tunnel of an IP interface. It is tried, and taken
    /// back; nothing else is staged. Only tables that are referred to matter, and those that refer to this one.
    pub(super) fn going(&mut self, rows: &Rows, target: &Target, instance: String) -> Vec<String> {
        let own = Path::parse(&instance).map(|path| path.schema_path()).unwrap_or_default();
        let mut tables: Vec<&'static str> = Vec::new();
        for object in self.schema.objects() {
            for param in object.params.iter().filter(|param| param.write) {
                let concerned = |table: &&str| table.starts_with(&own);
                let refers = object.is_table() && param.source.refs.iter().any(concerned);
                for table in param.source.refs.iter().copied().chain(refers.then_some(object.path)) {
                    if !table.starts_with(&own) && !tables.contains(&table) {
                        tables.push(table);
                    }
                }
            }
        }
        let names = |model: &mut Self| -> Vec<String> {
            let all = tables.iter().flat_map(|table| model.rows_of(table));
            all.map(|(name, _)| name + ".").collect()
        };
        let mut out = vec![instance];
        // Another agent keeps its own references.
        if rows.from == Origin::Bbfdm {
            return out;
        }
        let before = names(self);
        let (memory, passing) = (self.memory.clone(), self.passing.clone());
        let (listed, paths) = (std::mem::take(&mut self.listed), self.paths.take());
        let tried = self.backend.delete(rows, Place { name: &target.name, rows: &target.rows });
        if tried.is_ok() {
            let after: HashSet<String> = names(self).into_iter().collect();
            let lost = before.into_iter().filter(|name| !after.contains(name) && !name.starts_with(&out[0]));
            let lost: Vec<String> = lost.collect();
            out.extend(lost);
        }
        self.backend.revert();
        (self.memory, self.passing, self.listed, self.paths) = (memory, passing, listed, paths);
        out
    }

    /// Stages what is left of them. A place that cannot hold nothing keeps its word, which no longer names a
    /// row and is read as none; those that refused are given, for [`Model::complain_of`].
    pub(super) fn release(&mut self, referrers: Vec<Referrer>) -> Vec<(Referrer, Error)> {
        let mut refused = Vec::new();
        for referrer in referrers {
            let Referrer { target, param, left } = &referrer;
            let staged = self.raw_of(param, &target.name, left).and_then(|raw| {
                let place = Place { name: &target.name, rows: &target.rows };
                self.backend.release(&param.source, place, &raw)
            });
            if let Err(why) = staged {
                refused.push((referrer, why));
            }
        }
        refused
    }

    /// Complains of those that the removal itself has not emptied either.
    pub(super) fn complain_of(&mut self, refused: Vec<(Referrer, Error)>) {
        for (Referrer { target, param, left }, why) in refused {
            let now = Path::parse(&in_numbers(&target)).ok().and_then(|path| self.locate(&path).ok());
            let Some(now) = now.and_then(|list| list.into_iter().next()) else { continue };
            let kept = self.backend.read(&param.source, Place { name: &now.name, rows: &now.rows });
            let due = left.split(',').filter(|item| !item.is_empty()).count();
            if kept.ok().flatten().is_some_and(|raw| raw.items().len() > due) {
                self.complain(&target.name, "cannot be emptied", &why.to_string());
            }
        }
    }
}
