//! What Informs carry beyond the changes: the parameters that the data model forces, and those of the
//! InformParameter table (TR-181 ManagementServer.InformParameter).
//!
//! | an InformParameter's | may be |
//! |---|---|
//! | ParameterName | a full name or partial path of this data model with `*` for every instance; nothing that every Inform carries; no other row's |
//! | EventList | events but `4 VALUE CHANGE` |

use std::collections::HashSet;
use std::rc::Rc;

use super::backend::Backend;
use super::error::{Error, Result};
use super::path::Path;
use super::schema::Schema;
use super::tree::{Model, Target, What, canonical};

/// The table.
const TABLE: &str = "Device.ManagementServer.InformParameter.";
/// The most parameters that the table adds to one Inform.
pub const MAX_INFORMED: usize = 1024;

impl<B: Backend> Model<B> {
    /// The names of the parameters that every Inform carries, with instance numbers.
    ///
    /// # Errors
    /// [`Error::backend`] when a table on the way cannot be read.
    pub fn forced_parameters(&mut self) -> Result<Vec<String>> {
        let forced: Vec<String> = self.schema.forced_inform().collect();
        let mut out = Vec::with_capacity(forced.len());
        for name in forced {
            let found = self.numbered_params(&name.replace("{i}", "*"))?;
            out.extend(found.into_iter().map(|(name, _)| name));
        }
        for name in self.forced_more.clone() {
            // A firmware may name what this device has not.
            for (name, _) in self.numbered_params(&name).unwrap_or_default() {
                if out.len() < MAX_INFORMED && !out.contains(&name) {
                    out.push(name);
                }
            }
        }
        Ok(out)
    }

    /// More parameters for every Inform, by full or partial paths; what does not exist adds nothing.
    pub fn force_inform(&mut self, names: Vec<String>) {
        self.forced_more = names;
    }

    /// The names, with instance numbers, of the parameters that the InformParameter table adds to an
    /// Inform with these events (`2 PERIODIC`, `M Reboot`), at most [`MAX_INFORMED`]. A row that names what
    /// this device has not adds nothing.
    pub fn informed_parameters(&mut self, events: &[String]) -> Vec<String> {
        let mut out = Vec::new();
        let mut seen = HashSet::new();
        for (row, _) in self.names(TABLE, true).unwrap_or_default() {
            let mut text = |param: &str| {
                let found = self.values([format!("{row}{param}").as_str()]).ok();
                found
                    .and_then(|list| list.into_iter().next())
                    .map_or_else(String::new, |(_, value)| value.text)
            };
            let wanted = text("Enable") == "1"
                && text("EventList").split(',').any(|event| events.iter().any(|one| one == event));
            let pattern = text("ParameterName");
            if !wanted || pattern.is_empty() {
                continue;
            }
            let found = self.numbered_params(&pattern).unwrap_or_default();
            for (name, param) in found {
                if out.len() >= MAX_INFORMED {
                    return out;
                }
                if !param.inform && seen.insert(name.clone()) {
                    out.push(name);
                }
            }
        }
        out
    }

    /// Whether a row of the table may have that ParameterName; the shape was checked with the type.
    ///
    /// # Errors
    /// [`Error::bad_value`] with the reason.
    pub(super) fn check_inform_name(&mut self, target: &Target, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let bad = |why: &str| Err(Error::bad_value(&target.name, format!("{text} {why}")));
        let path = Path::parse(text)?.schema_path();
        if !exists(&self.schema, &path) {
            return bad("is not in this data model");
        }
        let forced = self
            .schema
            .forced_inform()
            .any(|name| name == path || path.ends_with('.') && name.starts_with(&path));
        if forced {
            return bad("is in every Inform anyway");
        }
        let (What::Param(at, position), Some((own, parents))) = (target.what, target.rows.split_last())
        else {
            return Ok(());
        };
        let schema = Rc::clone(&self.schema);
        let object = &schema.objects()[at];
        let table = canonical(object, parents);
        let instances = self.instances(at, &table, parents);
        for other in instances.iter().filter(|other| other.number != own.number) {
            let name = format!("{table}{}.{}", other.number, object.params[position].name);
            let rows: Vec<_> = parents.iter().chain([other]).cloned().collect();
            if self.value(at, position, &name, &rows)?.text == text {
                return bad("is another row's name");
            }
        }
        Ok(())
    }
}

/// Whether the schema has that path: an object, a table or a parameter.
fn exists(schema: &Schema, path: &str) -> bool {
    if path.ends_with('.') {
        return schema.find(path).is_some() || schema.find(&format!("{path}{{i}}.")).is_some();
    }
    let Some((_, param)) = path.rsplit_once('.') else { return false };
    let object = schema.find(&path[..path.len() - param.len()]);
    object.is_some_and(|at| schema.objects()[at].param(param).is_some())
}
