//! References to rows: which there are, and what becomes of them when their row goes (TR-069 3.6.3).
//!
//! A strong reference is never left dangling: the path of a deleted row, or of one below it, is taken out of
//! every parameter that an ACS can write. Weak ones are plain texts in our data model, and nobody touches them.

use std::rc::Rc;

use super::backend::{Backend, Place};
use super::path::Path;
use super::schema::Param;
use super::tree::{Model, Target, What};

/// A parameter that refers to what goes.
pub(super) struct Referrer {
    target: Target,
    param: Param,
    /// What is left of its value.
    left: String,
}

impl<B: Backend> Model<B> {
    /// The writable parameters outside of an instance that refer to it or to something below it. `instance`
    /// is its name with numbers and the final dot.
    pub(super) fn referrers(&mut self, instance: &str) -> Vec<Referrer> {
        let Ok(gone) = Path::parse(instance) else { return Vec::new() };
        let table = gone.schema_path();
        let schema = Rc::clone(&self.schema);
        let mut out = Vec::new();
        for object in schema.objects() {
            let concerned = |param: &Param| {
                param.write && param.source.refs.iter().any(|target| target.starts_with(&table))
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
                    if target.name.starts_with(instance) {
                        continue;
                    }
                    let Ok(value) = self.value(at, position, &target.name, &target.rows) else { continue };
                    let goes = |item: &&str| format!("{item}.").starts_with(instance);
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

    /// Stages what is left of them. A place that cannot hold nothing keeps its word, which no longer names a
    /// row and is read as none.
    pub(super) fn release(&mut self, referrers: Vec<Referrer>) {
        for Referrer { target, param, left } in referrers {
            let staged = self.raw_of(&param, &target.name, &left).and_then(|raw| {
                let place = Place { name: &target.name, rows: &target.rows };
                self.backend.release(&param.source, place, &raw)
            });
            if let Err(why) = staged {
                self.complain(&target.name, "cannot be emptied", &why.to_string());
            }
        }
    }
}
