//! The interface stack: which interface stands on which, as the `LowerLayers` of all of them tell (TR-181 4.3).
//!
//! ```text
//!  Device.IP.Interface.1.LowerLayers = Device.Ethernet.Link.2, …
//!       └─ higher                          └─ lower     ─► a row for every pair
//! ```

use std::rc::Rc;

use super::backend::{Backend, Row};
use super::path::Path;
use super::reach::{self, Reach};
use super::schema::Schema;
use super::tree::{Model, What};

/// The parameter that names what an interface stands on.
const LOWER: &str = "LowerLayers";
/// The most pairs.
const MAX_PAIRS: usize = 1024;

impl<B: Backend> Model<B> {
    /// A row for each pair of interfaces. Columns: the higher and the lower one as paths without the final
    /// dot, then their aliases. Numbers are stable, so the two paths are the row's name.
    pub(super) fn layers(&mut self) -> Vec<Row> {
        let schema = Rc::clone(&self.schema);
        let mut out = Vec::new();
        for object in schema.objects().iter().filter(|object| object.param(LOWER).is_some()) {
            let path = Path::parse(&(object.path.replace("{i}", "*") + LOWER));
            let interfaces = path.ok().and_then(|path| self.locate(&path).ok()).unwrap_or_default();
            for interface in interfaces {
                let What::Param(at, position) = interface.what else { continue };
                let Ok(value) = self.value(at, position, &interface.name, &interface.rows) else { continue };
                let higher = interface.name.strip_suffix(LOWER).unwrap_or_default().trim_end_matches('.');
                let alias = interface.rows.last().map_or_else(String::new, |row| row.alias.clone());
                for lower in value.text.split(',').filter(|lower| !lower.is_empty()) {
                    if out.len() >= MAX_PAIRS {
                        return out;
                    }
                    let name = format!("{higher}>{lower}");
                    let cols = vec![higher.to_owned(), lower.to_owned(), alias.clone(), self.alias_of(lower)];
                    out.push(Row { addr: name.clone(), name, cols });
                }
            }
        }
        out
    }

    fn alias_of(&mut self, instance: &str) -> String {
        let targets = Path::parse(&format!("{instance}.")).and_then(|path| self.locate(&path));
        let found = targets.ok().and_then(|list| list.first()?.rows.last().map(|row| row.alias.clone()));
        found.unwrap_or_default()
    }
}

/// What the stack depends on: the lower layers of every interface.
pub(super) fn reach<B: Backend>(schema: &Schema, backend: &B) -> Reach {
    let mut out = Reach::nothing();
    for (at, object) in schema.objects().iter().enumerate() {
        if let Some(position) = object.params.iter().position(|param| param.name == LOWER) {
            out = out.and(&reach::of_param(schema, at, position, backend));
        }
    }
    out
}
