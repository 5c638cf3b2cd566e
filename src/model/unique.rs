//! Unique keys: no two rows of a table that are on have the same values there (TR-106 3.2, TR-069 A.3.2.6).
//!
//! A row whose key is empty throughout is one that AddObject has just made; it is not complete yet.

use std::rc::Rc;

use super::backend::{Backend, Instance};
use super::error::{Error, Result};
use super::path::Path;
use super::schema::Object;
use super::tree::{Model, Target, What, canonical};

/// The switch of a row, where it has one.
const ENABLE: &str = "Enable";

impl<B: Backend> Model<B> {
    /// Whether the row of a parameter that was just staged may be as it is now.
    ///
    /// # Errors
    /// [`Error::Several`] with the parameter, when another row has the same key.
    pub(super) fn check_unique(&mut self, changed: &Target) -> Result<()> {
        let What::Param(at, position) = changed.what else { return Ok(()) };
        let schema = Rc::clone(&self.schema);
        let object = &schema.objects()[at];
        let name = object.params[position].name;
        let concerned = |key: &&&str| name == ENABLE || key.split('+').any(|part| part == name);
        for key in object.unique.iter().filter(concerned) {
            // Its own change may have given the row another name.
            let found = Path::parse(&changed.name).ok().and_then(|path| self.locate(&path).ok());
            let Some(now) = found.and_then(|list| list.into_iter().next()) else { return Ok(()) };
            let Some((own, parents)) = now.rows.split_last() else { return Ok(()) };
            let table = canonical(object, parents);
            let mine = self.key_of(at, object, key, &table, &now.rows);
            if mine.as_ref().is_none_or(|values| values.iter().all(String::is_empty)) {
                continue;
            }
            for other in self.instances(at, &table, parents).iter().filter(|other| other.number != own.number)
            {
                let rows: Vec<Rc<Instance>> = parents.iter().chain([other]).map(Rc::clone).collect();
                if self.key_of(at, object, key, &table, &rows) == mine {
                    let why = format!("{table}{}. has the same {key}", other.number);
                    let error = Error::bad_value(&changed.name, why);
                    return Err(Error::Several(vec![(changed.name.clone(), error)]));
                }
            }
        }
        Ok(())
    }

    /// The values of a row's key; `None` when it is off, or cannot be read.
    fn key_of(
        &mut self,
        at: usize,
        object: &Object,
        key: &str,
        table: &str,
        rows: &[Rc<Instance>],
    ) -> Option<Vec<String>> {
        let number = rows.last()?.number;
        let mut value = |name: &str| {
            let position = object.params.iter().position(|param| param.name == name)?;
            self.value(at, position, &format!("{table}{number}.{name}"), rows).ok().map(|value| value.text)
        };
        if object.param(ENABLE).is_some() && value(ENABLE)? != "1" {
            return None;
        }
        key.split('+').map(value).collect()
    }
}
