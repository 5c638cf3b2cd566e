//! Diagnostics as the model shows them: what they are set to and have found (TR-181 DiagnosticsState).
//!
//! In memory only: results need not outlive a restart, and the state is then `None` again. A change of
//! any test parameter makes results void, so the state falls back to `None` with the commit that changes
//! one, unless the same commit requests the test.

use crate::map::Map;
use crate::model::backend::{Place, Row};
use crate::model::error::{Error, Result};
use crate::set::Set;

use super::system::System;

/// The parameter that starts and tells of a test.
const STATE: &str = "DiagnosticsState";
/// The state of a test that nobody has asked for, or whose parameters have changed since.
pub const NONE: &str = "None";
/// What an ACS may set the state to.
pub const REQUESTED: &str = "Requested";
/// Ends a test; the state is [`NONE`] afterwards.
pub const CANCELED: &str = "Canceled";

/// Values and rows by full name.
#[derive(Debug, Default)]
pub(super) struct Trials {
    values: Map<String, String>,
    rows: Map<String, u32>,
    staged: Map<String, String>,
    /// Objects that a commit has changed since [`System::take_trials`].
    changed: Set<String>,
}

impl Trials {
    /// A value, staged or not.
    pub fn read(&self, name: &str) -> Option<&str> {
        self.staged.get(name).or_else(|| self.values.get(name)).map(String::as_str)
    }

    /// Stages a value that an ACS sets.
    pub fn write(&mut self, name: &str, text: String) -> Result<()> {
        if name.ends_with(STATE) && text != REQUESTED && text != CANCELED {
            return Err(Error::bad_value(name, "only Requested and Canceled can be set"));
        }
        self.staged.insert(name.to_owned(), text);
        Ok(())
    }

    /// The rows of a table of results.
    pub fn rows(&self, table: &str) -> Vec<Row> {
        let count = self.rows.get(table).copied().unwrap_or(0);
        (1..=count).map(|n| Row { name: n.to_string(), addr: n.to_string(), cols: Vec::new() }).collect()
    }

    /// What was staged holds.
    pub fn commit(&mut self) {
        let staged = std::mem::take(&mut self.staged);
        for name in staged.keys() {
            let object = object_of(name);
            let state = format!("{object}{STATE}");
            // Whatever order the values came in, a request among them counts.
            if !staged.contains_key(&state) {
                self.values.insert(state, NONE.to_owned());
            }
            self.changed.insert(object.to_owned());
        }
        self.values.extend(staged);
    }

    /// What was staged is forgotten.
    pub fn revert(&mut self) {
        self.staged.clear();
    }
}

impl System {
    /// The diagnostics whose values commits have changed since the last call: each object's name, and
    /// its state, [`REQUESTED`], [`CANCELED`] or [`NONE`].
    pub fn take_trials(&mut self) -> Vec<(String, String)> {
        let changed = std::mem::take(&mut self.trials.changed);
        let state =
            |object: &String| self.trials.read(&format!("{object}{STATE}")).unwrap_or(NONE).to_owned();
        changed.iter().map(|object| (object.clone(), state(object))).collect()
    }

    /// Tells the state of a diagnostic, and what it has found: values by their names below the object,
    /// and the number of rows of its tables. Earlier results are gone.
    pub fn tell_trial(
        &mut self,
        object: &str,
        state: &str,
        values: Vec<(String, String)>,
        rows: Vec<(String, u32)>,
    ) {
        let trials = &mut self.trials;
        trials.rows.retain(|table, _| !table.starts_with(object));
        // Rows of earlier results have values below a number.
        let of_row = |name: &str| name.strip_prefix(object).is_some_and(|rest| rest.contains('.'));
        trials.values.retain(|name, _| !of_row(name));
        trials.values.extend(values.into_iter().map(|(name, text)| (format!("{object}{name}"), text)));
        trials.rows.extend(rows.into_iter().map(|(table, count)| (format!("{object}{table}"), count)));
        trials.values.insert(format!("{object}{STATE}"), state.to_owned());
    }

    pub(super) fn read_trial(&self, at: Place<'_>) -> Option<&str> {
        self.trials.read(&System::stored_name(at))
    }
}

/// The object of a parameter, with its final dot.
fn object_of(name: &str) -> &str {
    &name[..name.rfind('.').map_or(0, |at| at + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_voids_and_a_request_counts() {
        let mut trials = Trials::default();
        assert!(trials.write("D.Ping.DiagnosticsState", "Complete".into()).is_err());
        trials.write("D.Ping.DiagnosticsState", "Requested".into()).unwrap();
        trials.write("D.Ping.Host", "a".into()).unwrap();
        assert_eq!(trials.read("D.Ping.Host"), Some("a"));
        trials.revert();
        assert_eq!(trials.read("D.Ping.Host"), None);
        trials.write("D.Ping.DiagnosticsState", "Requested".into()).unwrap();
        trials.write("D.Ping.Host", "a".into()).unwrap();
        trials.commit();
        assert_eq!(trials.read("D.Ping.DiagnosticsState"), Some("Requested"));
        trials.write("D.Ping.Host", "b".into()).unwrap();
        trials.commit();
        assert_eq!(trials.read("D.Ping.DiagnosticsState"), Some("None"));
        assert_eq!(trials.changed.iter().collect::<Vec<_>>(), ["D.Ping."]);
    }
}
