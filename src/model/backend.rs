//! The contract between the model and the system: a handful of verbs.
//!
//! The model decides what a name means, whether a value is legal and which instance has which number;
//! a backend knows how to reach the place that a [`Source`] or [`Rows`] names. Changes are staged, and
//! are visible to this backend's own reads at once, to the rest of the world only after `commit`.

use std::rc::Rc;

use super::error::Result;
use super::reach::Reach;
use super::schema::{Origin, Rows, Source};

/// One instance of a table as the backend finds it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// What identifies it for ever, and what references use: a section's name, a device, a MAC address.
    /// Unique in its table.
    pub name: String,
    /// What `{}` in addresses of its parameters stands for: a section's name or `@type[n]`, a device.
    pub addr: String,
    /// What `{c0}`, `{c1}` … stand for, and what `row` sources give.
    pub cols: Vec<String>,
}

/// A row with the number and alias that the model gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// At least 1, never reused while the table has other numbers free.
    pub number: u32,
    /// Its `Alias`, unique in the table.
    pub alias: String,
    /// What the backend said.
    pub row: Row,
}

/// Where in the tree something happens.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The full name of the parameter, or of the object or table with its final dot.
    pub name: &'a str,
    /// One instance for each `{i}` on the way, outermost first.
    pub rows: &'a [Rc<Instance>],
}

impl Place<'_> {
    /// The innermost instance.
    pub fn row(&self) -> Option<&Row> {
        self.rows.last().map(|instance| &instance.row)
    }

    /// Puts instances into an address: `{}`, `{1}`, `{c0}`, `{#1}`, `{@1}`; see [`Source`].
    pub fn fill(&self, spec: &str) -> String {
        let mut out = String::with_capacity(spec.len() + 16);
        let mut rest = spec;
        while let Some((head, tail)) = rest.split_once('{') {
            out.push_str(head);
            let Some((word, after)) = tail.split_once('}') else {
                out.push('{');
                rest = tail;
                continue;
            };
            let column = |digits: &str| {
                digits.parse::<usize>().ok().and_then(|at| self.row().and_then(|row| row.cols.get(at)))
            };
            let level = |digits: &str| {
                let level = digits.parse::<usize>().ok().and_then(|level| level.checked_sub(1));
                level.and_then(|level| self.rows.get(level))
            };
            if word.is_empty() {
                out.push_str(self.row().map_or("", |row| &row.addr));
            } else if let Some(instance) = word.strip_prefix('#').and_then(level) {
                out.push_str(&instance.number.to_string());
            } else if let Some(instance) = word.strip_prefix('@').and_then(level) {
                out.push_str(&instance.number.saturating_sub(1).to_string());
            } else if let Some(text) = word.strip_prefix('c').and_then(column) {
                out.push_str(text);
            } else if let Some(instance) = level(word) {
                out.push_str(&instance.row.addr);
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// A raw value: UCI has both, and the same option is one on this router and the other on the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// One word or text.
    One(String),
    /// A list of them.
    Many(Vec<String>),
}

impl Raw {
    /// One value from anything that is text.
    pub fn one(text: impl Into<String>) -> Raw {
        Raw::One(text.into())
    }

    /// The items: a list's, or the blank- or comma-separated words of a text.
    pub fn items(&self) -> Vec<&str> {
        match self {
            Raw::Many(items) => items.iter().map(String::as_str).collect(),
            Raw::One(text) => text.split([' ', '\t', '\n', ',']).filter(|word| !word.is_empty()).collect(),
        }
    }

    /// The text: a list's items with blanks between them.
    pub fn text(&self) -> String {
        match self {
            Raw::One(text) => text.clone(),
            Raw::Many(items) => items.join(" "),
        }
    }
}

/// Access to the system.
pub trait Backend {
    /// A session or a command begins: what was remembered of files may be old.
    fn refresh(&mut self);

    /// The instances of a table, in a stable order. `at` is the table with its parents' instances.
    ///
    /// # Errors
    /// [`super::Error::backend`] when the place cannot be read; a place that does not exist is an empty table.
    fn rows(&mut self, rows: &Rows, at: Place<'_>) -> Result<Vec<Row>>;

    /// What a row of the last [`Backend::rows`] was called in an earlier version of the agent, so that its
    /// number goes on.
    fn former(&self, _name: &str) -> Option<String> {
        None
    }

    /// Whether a row of a table only reports what the network brought, so that of its own parameters none but the
    /// alias can be set.
    fn learnt(&self, _rows: &Rows, _row: &Row) -> bool {
        false
    }

    /// Whether a row of a table cannot be deleted, though others can.
    fn stays(&self, rows: &Rows, row: &Row) -> bool {
        self.learnt(rows, row)
    }

    /// Whether reading has taught the backend something that a commit should persist.
    fn unsaved(&self) -> bool {
        false
    }

    /// A raw value; `None` when it is absent.
    ///
    /// # Errors
    /// As [`Backend::rows`].
    fn read(&mut self, source: &Source, at: Place<'_>) -> Result<Option<Raw>>;

    /// Stages a new value.
    ///
    /// # Errors
    /// [`super::Error::bad_value`] when the system could not hold it, [`super::Error::backend`] when the
    /// place is out of order.
    fn write(&mut self, source: &Source, at: Place<'_>, raw: &Raw) -> Result<()>;

    /// As [`Backend::write`], of a reference whose row goes (TR-069 3.6.3): what is left of it. A place in which
    /// nothing means more than the row did, as no zone in a rule of a firewall, becomes harmless instead.
    ///
    /// # Errors
    /// As [`Backend::write`].
    fn release(&mut self, source: &Source, at: Place<'_>, raw: &Raw) -> Result<()> {
        self.write(source, at, raw)
    }

    /// Stages a new row and describes it.
    ///
    /// # Errors
    /// As [`Backend::write`].
    fn add(&mut self, rows: &Rows, at: Place<'_>) -> Result<Row>;

    /// Stages the removal of the innermost row of `at`.
    ///
    /// # Errors
    /// As [`Backend::write`].
    fn delete(&mut self, rows: &Rows, at: Place<'_>) -> Result<()>;

    /// Stages the parameter key that goes with the change (TR-069 A.3.2.1).
    ///
    /// # Errors
    /// As [`Backend::write`].
    fn parameter_key(&mut self, key: &str) -> Result<()>;

    /// Whether everything staged can be committed: the last chance to refuse.
    ///
    /// # Errors
    /// Whatever makes the change impossible; nothing has happened yet.
    fn check(&mut self) -> Result<()>;

    /// Makes everything staged durable, all of it or nothing, together with the model's memory
    /// (instance numbers, aliases, attributes) where it changed.
    ///
    /// # Errors
    /// [`super::Error::backend`]; the system is as it was.
    fn commit(&mut self, memory: Option<&[u8]>) -> Result<()>;

    /// Whether something of the last [`Backend::commit`] is in force only after the session: Status 1 (TR-069
    /// A.3.2.1).
    fn waits(&self) -> bool {
        false
    }

    /// Forgets everything staged.
    fn revert(&mut self);

    /// What a place depends on, so that a look for changes need not read everything. A backend that
    /// knows what its functions read says so; without that they are looked at slowly.
    fn reach(&self, from: Origin, spec: &'static str) -> Reach {
        Reach::of(from, spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let instance = |addr: &str, cols: &[&str]| {
            let cols = cols.iter().map(|col| (*col).to_owned()).collect();
            Rc::new(Instance {
                number: 1,
                alias: String::new(),
                row: Row { name: addr.into(), addr: addr.into(), cols },
            })
        };
        let rows = [instance("wan", &[]), instance("3", &["eth0", "x"])];
        let place = Place { name: "", rows: &rows };
        for (spec, filled) in [
            ("network.{1}.ipaddr", "network.wan.ipaddr"),
            ("{2}-{}", "3-3"),
            ("/sys/class/net/{c0}/mtu", "/sys/class/net/eth0/mtu"),
            ("{c9}{9}{x}{", "{"),
            ("{#1}.{@1}{#3}{@}", "1.0"),
            ("plain", "plain"),
        ] {
            assert_eq!(place.fill(spec), filled, "{spec}");
        }
    }
}
