//! Which changes of the system can change a value: what lets a look for changes read little.
//!
//! ```text
//!  changed file of /etc/config ─► Scope::Packages ─┐
//!  time for what nobody tells of ─► Scope::Slow ───┼─► Reach::meets ─► read it again, or not
//!  a session begins, nobody knows ─► Scope::All ───┘
//! ```

use super::backend::Backend;
use super::layers;
use super::schema::{Origin, Schema};
use crate::set::Set;

/// What may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Anything.
    All,
    /// These packages of UCI.
    Packages(Set<String>),
    /// What changes without a sign: files of the kernel, the state of services.
    Slow,
}

/// What a value depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    packages: Set<&'static str>,
    slow: bool,
    always: bool,
}

impl Reach {
    /// On nothing that changes while the agent runs, but by the agent itself.
    pub fn nothing() -> Reach {
        Reach::default()
    }

    /// On UCI packages only.
    pub fn packages(names: &[&'static str]) -> Reach {
        Reach { packages: names.iter().copied().collect(), ..Reach::default() }
    }

    /// On something that gives no sign when it changes; right for everything unknown.
    pub fn slow() -> Reach {
        Reach { slow: true, ..Reach::default() }
    }

    /// On the agent's own memory: read at every look, because it costs nothing.
    pub fn always() -> Reach {
        Reach { always: true, ..Reach::default() }
    }

    /// What a place depends on, as far as the data model files tell. A function is unknown here: a
    /// backend knows its own better, see [`Backend::reach`].
    pub fn of(from: Origin, spec: &'static str) -> Reach {
        match from {
            Origin::Const | Origin::Count | Origin::Alias | Origin::Row => Reach::nothing(),
            Origin::Uci => match spec.split('.').next() {
                Some(package) if !package.is_empty() && !package.contains('{') => Reach::packages(&[package]),
                _ => Reach::slow(),
            },
            Origin::Agent | Origin::Trial => Reach::always(),
            Origin::File | Origin::Store | Origin::Function | Origin::Layers | Origin::Bbfdm => Reach::slow(),
        }
    }

    /// On both.
    #[must_use]
    pub fn and(mut self, other: &Reach) -> Reach {
        self.packages.extend(other.packages.iter().copied());
        self.slow |= other.slow;
        self.always |= other.always;
        self
    }

    /// Whether a change of that scope can be a change of the value.
    pub fn meets(&self, scope: &Scope) -> bool {
        match scope {
            Scope::All => true,
            Scope::Slow => self.slow || self.always,
            Scope::Packages(names) => {
                self.always || self.packages.iter().any(|package| names.contains(*package))
            }
        }
    }

    /// The packages.
    pub fn package_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.packages.iter().copied()
    }
}

/// What the parameter at a position of an object depends on: its own place, the rows it hangs on, the
/// tables that it counts or refers to.
pub fn of_param<B: Backend>(schema: &Schema, at: usize, position: usize, backend: &B) -> Reach {
    let object = &schema.objects()[at];
    let source = &object.params[position].source;
    let mut reach = backend.reach(source.from, source.spec).and(&of_instances(schema, object.path, backend));
    if source.from == Origin::Count {
        let table = format!("{}{}.{{i}}.", object.path, source.spec);
        reach = reach.and(&of_instances(schema, &table, backend));
    }
    for table in source.refs {
        reach = reach.and(&of_instances(schema, table, backend));
    }
    reach
}

/// What the presence of an object depends on: the rows of every table on the way to it.
fn of_instances<B: Backend>(schema: &Schema, path: &str, backend: &B) -> Reach {
    let tables = path.match_indices("{i}.").map(|(at, word)| &path[..at + word.len()]);
    let rows = tables.filter_map(|table| schema.objects()[schema.find(table)?].rows);
    rows.fold(Reach::nothing(), |reach, rows| {
        reach.and(&match rows.from {
            Origin::Layers => layers::reach(schema, backend),
            from => backend.reach(from, rows.spec),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::scenario::model;
    use super::*;

    fn scope(names: &[&str]) -> Scope {
        Scope::Packages(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Names the scopes of `net`, `addr`, `slow` that a parameter is in.
    fn check(object: &str, param: &str, expected: &str) {
        let mut model = model();
        let schema = model.schema().clone();
        let at = schema.find(object).unwrap();
        let position = schema.objects()[at].params.iter().position(|one| one.name == param).unwrap();
        let reach = of_param(&schema, at, position, model.backend());
        let scopes = [("net", scope(&["net", "x"])), ("addr", scope(&["addr"])), ("slow", Scope::Slow)];
        let met: Vec<_> =
            scopes.iter().filter(|(_, scope)| reach.meets(scope)).map(|(name, _)| *name).collect();
        assert_eq!(met.join(" "), expected, "{object}{param}");
        assert!(reach.meets(&Scope::All));
    }

    #[test]
    fn what_depends_on_what() {
        check("Device.", "Version", "");
        check("Device.", "Url", "net addr slow");
        check("Device.", "Hw", "slow");
        check("Device.", "IfNumberOfEntries", "net");
        check("Device.If.{i}.", "Mtu", "net");
        check("Device.If.{i}.", "Alias", "net");
        // The instances of both tables count.
        check("Device.If.{i}.Addr.{i}.", "Ip", "net addr");
        check("Device.Proc.{i}.", "Pid", "slow");
        // References: also the tables they may point to.
        check("Device.If.{i}.", "Lower", "net");
        check("Device.Odd.", "Bad", "");
    }
}
