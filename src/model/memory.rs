//! What the model itself remembers: instance numbers, aliases and attributes.
//!
//! A number belongs to a row's name for as long as the row lives, over reboots and over changes by
//! others; it is not given again while the table has others free (TR-069 A.2.2.1, TR-106 3.1).

use serde::{Deserialize, Serialize};

use crate::map::Map;

/// Rows that have gone and are still remembered, for each table; beyond that the oldest go.
const MAX_GONE: usize = 256;

/// Everything that is persisted about the tree.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// By the table's full name, `Device.IP.Interface.` or `Device.IP.Interface.2.IPv4Address.`.
    #[serde(default)]
    tables: Map<String, Table>,
    /// By the parameter's full name; absent means the default.
    #[serde(default)]
    attributes: Map<String, Attributes>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Table {
    /// The highest number ever given.
    last: u32,
    /// By the row's name.
    rows: Map<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    number: u32,
    /// `None`: the default, `cpe-` and the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
}

/// Notification and access list of one parameter (TR-069 A.3.2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// 0 to 6.
    pub notification: u8,
    /// Whether `Subscriber` may write.
    pub subscriber: bool,
}

impl Memory {
    /// The number and alias of a row, if it has one.
    pub fn row(&self, table: &str, name: &str) -> Option<(u32, String)> {
        let entry = self.tables.get(table)?.rows.get(name)?;
        Some((entry.number, entry.alias.clone().unwrap_or_else(|| default_alias(entry.number))))
    }

    /// Gives a new row a number nobody has, and whose `cpe-` alias nobody was given by the ACS. Returns number
    /// and alias.
    pub fn number(&mut self, table: &str, name: &str) -> (u32, String) {
        let table = self.tables.or_default(table.to_owned());
        let is_free = |number: &u32| {
            let alias = default_alias(*number);
            let has = |entry: &Entry| entry.number == *number || entry.alias.as_ref() == Some(&alias);
            !table.rows.values().any(has)
        };
        // When all four thousand million were used, one that is free.
        let mut numbers = (table.last.saturating_add(1)..=u32::MAX).chain(1..=u32::MAX);
        let number = numbers.find(is_free).unwrap_or(1);
        table.last = table.last.max(number);
        table.rows.insert(name.to_owned(), Entry { number, alias: None });
        (number, default_alias(number))
    }

    /// The row goes on under another name (its identifying option was changed).
    pub fn rename(&mut self, table: &str, old: &str, new: &str) {
        if let Some(table) = self.tables.get_mut(table)
            && let Some(entry) = table.rows.remove(old)
        {
            table.rows.insert(new.to_owned(), entry);
        }
    }

    /// Puts several rows under their new names at once, so that a swap loses none.
    pub fn rename_all(&mut self, table: &str, pairs: &[(String, String)]) {
        let Some(table) = self.tables.get_mut(table) else { return };
        let taken: Vec<_> =
            pairs.iter().filter_map(|(old, new)| table.rows.remove(old).map(|entry| (new, entry))).collect();
        for (new, entry) in taken {
            table.rows.insert(new.clone(), entry);
        }
    }

    /// Gives all rows of all tables the names that `renamed` makes of theirs (a new format of names).
    pub fn rename_rows(&mut self, renamed: &dyn Fn(&str) -> String) {
        for table in self.tables.values_mut() {
            let rows = std::mem::take(&mut table.rows);
            table.rows = rows.into_iter().map(|(name, entry)| (renamed(&name), entry)).collect();
        }
    }

    /// The row was deleted by us: its number is gone, and all that hangs below `instance`
    /// (`Device.X.3.`): deeper tables and attributes.
    pub fn forget(&mut self, table: &str, name: &str, instance: &str) {
        if let Some(table) = self.tables.get_mut(table) {
            table.rows.remove(name);
        }
        self.tables.retain(|path, _| !path.starts_with(instance));
        self.attributes.retain(|path, _| !path.starts_with(instance));
    }

    /// Rows that have gone by themselves are remembered for a while, but not without bound. What is
    /// forgotten takes everything below it along.
    pub fn prune(&mut self, table: &str, present: &dyn Fn(&str) -> bool) {
        let Some(known) = self.tables.get(table) else { return };
        let mut gone: Vec<(u32, String)> = known
            .rows
            .iter()
            .filter(|(name, _)| !present(name))
            .map(|(name, entry)| (entry.number, name.clone()))
            .collect();
        if gone.len() > MAX_GONE {
            gone.sort();
            for (number, name) in &gone[..gone.len() - MAX_GONE] {
                self.forget(table, name, &format!("{table}{number}."));
            }
        }
    }

    /// Whether another row of the table has that alias.
    pub fn alias_taken(&self, table: &str, name: &str, alias: &str) -> bool {
        self.tables.get(table).is_some_and(|table| {
            table.rows.iter().any(|(other, entry)| {
                other != name
                    && entry
                        .alias
                        .as_deref()
                        .map_or_else(|| default_alias(entry.number) == alias, |given| given == alias)
            })
        })
    }

    /// Changes the alias of a row that has a number.
    pub fn set_alias(&mut self, table: &str, name: &str, alias: &str) {
        if let Some(entry) = self.tables.get_mut(table).and_then(|table| table.rows.get_mut(name)) {
            entry.alias = (alias != default_alias(entry.number)).then(|| alias.to_owned());
        }
    }

    /// The attributes of a parameter, if they are not the default.
    pub fn attributes(&self, name: &str) -> Option<&Attributes> {
        self.attributes.get(name)
    }

    /// All attributes that are not the default.
    pub fn all_attributes(&self) -> impl Iterator<Item = (&str, &Attributes)> {
        self.attributes.iter().map(|(name, attributes)| (name.as_str(), attributes))
    }

    /// Changes the attributes of a parameter; `None` makes them the default again.
    pub fn set_attributes(&mut self, name: &str, attributes: Option<Attributes>) {
        match attributes {
            Some(attributes) => drop(self.attributes.insert(name.to_owned(), attributes)),
            None => drop(self.attributes.remove(name)),
        }
    }
}

/// The alias a CPE gives by itself starts with `cpe-` (TR-106 3.8.1).
fn default_alias(number: u32) -> String {
    format!("cpe-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_and_are_not_given_again() {
        let mut memory = Memory::default();
        assert_eq!(memory.number("T.", "lan").0, 1);
        assert_eq!(memory.number("T.", "wan").0, 2);
        memory.forget("T.", "wan", "T.2.");
        assert_eq!(memory.row("T.", "wan"), None);
        assert_eq!(memory.number("T.", "wan").0, 3);
        assert_eq!(memory.row("T.", "lan"), Some((1, "cpe-1".into())));
    }

    #[test]
    fn all_names_can_be_made_anew() {
        let mut memory = Memory::default();
        memory.number("T.", "a");
        memory.number("U.", "b");
        memory.rename_rows(&|name| format!("{name}#"));
        assert_eq!((memory.row("T.", "a"), memory.row("T.", "a#").map(|row| row.0)), (None, Some(1)));
        assert_eq!(memory.row("U.", "b#").map(|row| row.0), Some(1));
    }

    #[test]
    fn names_can_be_swapped() {
        let mut memory = Memory::default();
        memory.number("T.", "a");
        memory.number("T.", "b");
        memory.rename_all("T.", &[("a".into(), "b".into()), ("b".into(), "a".into())]);
        assert_eq!(memory.row("T.", "a").map(|row| row.0), Some(2));
        assert_eq!(memory.row("T.", "b").map(|row| row.0), Some(1));
    }

    #[test]
    fn what_hangs_below_goes_with_it() {
        let mut memory = Memory::default();
        memory.number("T.", "a");
        memory.number("T.1.U.", "x");
        memory.set_attributes("T.1.P", Some(Attributes { notification: 2, subscriber: true }));
        memory.set_attributes("T.10.P", Some(Attributes { notification: 2, subscriber: true }));
        memory.forget("T.", "a", "T.1.");
        assert_eq!(memory.row("T.1.U.", "x"), None);
        assert_eq!(memory.all_attributes().map(|(name, _)| name).collect::<Vec<_>>(), ["T.10.P"]);
    }

    #[test]
    fn the_gone_are_forgotten_in_the_end() {
        let mut memory = Memory::default();
        for n in 0..MAX_GONE + 50 {
            memory.number("T.", &n.to_string());
        }
        let active = Attributes { notification: 2, subscriber: true };
        memory.set_attributes("T.2.P", Some(active.clone()));
        memory.set_attributes("T.301.P", Some(active));
        memory.prune("T.", &|name| name == "0");
        assert_eq!(memory.all_attributes().map(|(name, _)| name).collect::<Vec<_>>(), ["T.301.P"]);
        assert_eq!(memory.row("T.", "0").map(|row| row.0), Some(1));
        assert_eq!(memory.row("T.", "1"), None);
        assert!(memory.row("T.", "300").is_some());
    }

    #[test]
    fn aliases() {
        let mut memory = Memory::default();
        memory.number("T.", "a");
        memory.number("T.", "b");
        assert!(memory.alias_taken("T.", "a", "cpe-2"));
        memory.set_alias("T.", "b", "mine");
        assert!(!memory.alias_taken("T.", "a", "cpe-2") && memory.alias_taken("T.", "a", "mine"));
        let text = serde_json::to_string(&memory).unwrap();
        assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
    }

    #[test]
    fn an_alias_of_ours_is_nobody_else_s() {
        let mut memory = Memory::default();
        memory.number("T.", "a");
        memory.set_alias("T.", "a", "cpe-2");
        assert_eq!(memory.number("T.", "b"), (3, "cpe-3".into()));
        memory.tables.get_mut("T.").unwrap().last = u32::MAX - 1;
        assert_eq!(memory.number("T.", "c").0, u32::MAX);
        assert_eq!(memory.number("T.", "d"), (4, "cpe-4".into()));
    }
}
