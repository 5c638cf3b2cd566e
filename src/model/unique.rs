//! Unique keys: no two rows of a table that are on have the same values there (TR-106 3.2, TR-069 A.3.2.6).
//!
//! `A+B where C=d` holds for the rows whose `C` is `d`: what DHCP has brought does not stand in the way of what the
//! ACS asks for. `A everywhere` looks at the tables of all parents. A row whose key is empty throughout is one that AddObject has just
//! made; it is not complete yet.

use std::rc::Rc;

use super::addressing::in_numbers;
use super::backend::{Backend, Instance};
use super::error::{Error, Result};
use super::path::Path;
use super::schema::{Key, Object};
use super::tree::{Model, Target, What, canonical};

/// The switch of a row, where it has one.
const ENABLE: &str = "Enable";

impl<B: Backend> Model<B> {
    /// Whether the row of a parameter that was just staged may be as it is now.
    ///
    /// # Errors
    /// [`Error::several`] with the parameter, when another row has the same key.
    pub(super) fn check_unique(&mut self, changed: &Target) -> Result<()> {
        let What::Param(at, position) = changed.what else { return Ok(()) };
        let schema = Rc::clone(&self.schema);
        let object = &schema.objects()[at];
        let name = object.params[position].name;
        for key in object.unique.iter().map(|key| Key::parse(key)) {
            if name != ENABLE && key.params().all(|part| part != name) {
                continue;
            }
            // Its own change may have given the row another name, or another alias.
            let found = Path::parse(&in_numbers(changed)).ok().and_then(|path| self.locate(&path).ok());
            let Some(now) = found.and_then(|list| list.into_iter().next()) else { return Ok(()) };
            let Some((own, parents)) = now.rows.split_last() else { return Ok(()) };
            let mine = self.key_of(at, object, &key, &now.rows);
            if mine.as_ref().is_none_or(|values| values.iter().all(String::is_empty)) {
                continue;
            }
            let others: Vec<Vec<Rc<Instance>>> = if key.everywhere {
                let all = Path::parse(&object.path.replace("{i}", "*")).ok();
                let all = all.and_then(|path| self.locate(&path).ok()).unwrap_or_default();
                all.into_iter().map(|target| target.rows).collect()
            } else {
                let list = self.instances(at, &canonical(object, parents), parents);
                list.iter().map(|other| parents.iter().chain([other]).map(Rc::clone).collect()).collect()
            };
            // The same row may stand in several tables.
            let is_other = |rows: &&Vec<Rc<Instance>>| {
                rows.last().is_some_and(|last| match key.everywhere {
                    true => last.row.addr != own.row.addr,
                    false => last.number != own.number,
                })
            };
            for rows in others.iter().filter(is_other) {
                if self.key_of(at, object, &key, rows) == mine {
                    let why = format!("{} has the same {}", row_name(object, rows), key.parts.join("+"));
                    let error = Error::bad_value(&changed.name, why);
                    return Err(Error::several(vec![(changed.name.clone(), error)]));
                }
            }
        }
        Ok(())
    }

    /// The values of a row's key; `None` when it is off, has none, or cannot be read.
    fn key_of(
        &mut self,
        at: usize,
        object: &Object,
        key: &Key<'_>,
        rows: &[Rc<Instance>],
    ) -> Option<Vec<String>> {
        let base = row_name(object, rows);
        let mut value = |name: &str| {
            let position = object.params.iter().position(|param| param.name == name)?;
            self.value(at, position, &format!("{base}{name}"), rows).ok().map(|value| value.text)
        };
        if object.param(ENABLE).is_some() && value(ENABLE)? != "1" {
            return None;
        }
        if let Some((name, wanted)) = key.only
            && value(name)? != wanted
        {
            return None;
        }
        key.parts.iter().map(|part| value(part)).collect()
    }
}

/// The full name of a row, with its final dot.
fn row_name(object: &Object, rows: &[Rc<Instance>]) -> String {
    let (number, parents) = rows.split_last().map_or((0, rows), |(last, parents)| (last.number, parents));
    format!("{}{number}.", canonical(object, parents))
}
