//! The items of a UCI list as rows of a table.
//!
//! An item of a list has neither a name nor a switch, but a row needs both: a name that stays when the
//! item's text changes, and an `Enable`. What the list itself cannot hold is kept beside it, in the
//! option `rcwmp_OPTION` of the same section, which OpenWrt's daemons do not read: an item that is off,
//! one that is not complete yet (AddObject makes it before its values come), and a name that is not the natural one.
//!
//! ```text
//! list ports 'lan1'                     ← row "lan1", on
//! list rcwmp_ports 'lan2/0/lan2'        ← row "lan2", off
//! list rcwmp_ports 'new1/1/lan4'        ← row "new1" is the item "lan4" of the list
//! ```

use crate::backend::System;
use crate::backend::functions::topology;
use crate::model::Result;
use crate::model::backend::Raw;

/// The most items of one list that become rows.
pub const MAX_ITEMS: usize = 1024;

/// One row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name in the table.
    pub id: String,
    /// Its text in the list.
    pub text: String,
    /// Whether it is (or is to be) in the list.
    pub on: bool,
}

/// What an item is called whose name is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// Its text.
    Text,
    /// Its place among the items without a kept name, from 1.
    Place,
}

/// The items of a list option, verbatim; a text is split at blanks.
///
/// # Errors
/// As [`System::option`].
pub fn live(system: &mut System, section: &str, option: &str) -> Result<Vec<String>> {
    let mut items = match system.option(&format!("{section}.{option}"))? {
        None => Vec::new(),
        Some(Raw::One(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(Raw::Many(items)) => items,
    };
    items.truncate(MAX_ITEMS);
    Ok(items)
}

/// What is kept beside a list option.
///
/// # Errors
/// As [`System::option`].
pub fn kept(system: &mut System, section: &str, option: &str) -> Result<Vec<String>> {
    live(system, section, &format!("rcwmp_{option}"))
}

/// Stages what is kept beside a list option.
///
/// # Errors
/// As [`System::set_option`].
pub fn keep(system: &mut System, section: &str, option: &str, kept: Vec<String>) -> Result<()> {
    topology::put_list(system, section, &format!("rcwmp_{option}"), kept)
}

/// The rows of a list: `live` is what it holds, `kept` what is remembered beside it, and `complete` tells
/// which texts can be in the list. Names are unique.
pub fn rows(live: &[String], kept: &[String], ids: Ids, complete: impl Fn(&str) -> bool) -> Vec<Item> {
    let mut names: Vec<Option<String>> = vec![None; live.len()];
    let mut waiting: Vec<Item> = Vec::new();
    let mut taken: Vec<String> = Vec::new();
    for entry in kept.iter().take(MAX_ITEMS) {
        let mut parts = entry.splitn(3, '/');
        let (Some(id), Some(on), Some(text)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if id.is_empty() || taken.iter().any(|other| other == id) {
            continue;
        }
        let on = on == "1";
        let found = (0..live.len()).find(|&at| complete(text) && names[at].is_none() && live[at] == text);
        match found {
            Some(at) => names[at] = Some(id.to_owned()),
            // Somebody else took the item out of the list; the row has gone with it.
            None if on && complete(text) => continue,
            None => waiting.push(Item { id: id.to_owned(), text: text.to_owned(), on }),
        }
        taken.push(id.to_owned());
    }
    let mut out = Vec::with_capacity(live.len() + waiting.len());
    for (text, name) in live.iter().zip(names) {
        let id = match (name, ids) {
            (Some(id), _) => id,
            (None, Ids::Text) if !taken.contains(text) => text.clone(),
            (None, _) => topology::numbered("", |id| taken.iter().any(|other| other == id)),
        };
        taken.push(id.clone());
        out.push(Item { id, text: text.clone(), on: true });
    }
    out.append(&mut waiting);
    out
}

/// Rows back to the list and what is kept beside it: the reverse of [`rows`].
pub fn split(items: &[Item], ids: Ids, complete: impl Fn(&str) -> bool) -> (Vec<String>, Vec<String>) {
    let shown = |item: &Item| item.on && complete(&item.text);
    let note = |item: &Item| format!("{}/{}/{}", item.id, u8::from(item.on), item.text);
    let live: Vec<String> = items.iter().filter(|item| shown(item)).map(|item| item.text.clone()).collect();
    let kept: Vec<String> = items.iter().filter(|item| !shown(item)).map(note).collect();
    let again = rows(&live, &kept, ids, &complete);
    let same = |item: &Item| again.iter().any(|other| other == item);
    if items.iter().all(same) {
        return (live, kept);
    }
    let all = items
        .iter()
        .filter(|item| !shown(item) || ids == Ids::Place || item.id != item.text)
        .map(note)
        .collect();
    (live, all)
}

/// A name that no row has, for a new one.
pub fn free_id(items: &[Item]) -> String {
    topology::numbered("new", |id| items.iter().any(|item| item.id == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn full(text: &str) -> bool {
        !text.is_empty()
    }

    fn check(live: &[&str], kept: &[&str], ids: Ids, expected: &[(&str, &str, bool)]) {
        let items = rows(&strings(live), &strings(kept), ids, full);
        let got: Vec<_> = items.iter().map(|item| (item.id.as_str(), item.text.as_str(), item.on)).collect();
        assert_eq!(got, expected);
        let (live_again, kept_again) = split(&items, ids, full);
        assert_eq!(rows(&live_again, &kept_again, ids, full), items, "{live_again:?} {kept_again:?}");
    }

    #[test]
    fn names() {
        check(&["lan1", "lan2"], &[], Ids::Text, &[("lan1", "lan1", true), ("lan2", "lan2", true)]);
        check(&["lan1", "lan1"], &[], Ids::Text, &[("lan1", "lan1", true), ("1", "lan1", true)]);
        check(&["a", "b"], &[], Ids::Place, &[("1", "a", true), ("2", "b", true)]);
        check(&["a"], &["1/0/b"], Ids::Place, &[("2", "a", true), ("1", "b", false)]);
        check(
            &["lan1", "lan4"],
            &["new1/1/lan4"],
            Ids::Text,
            &[("lan1", "lan1", true), ("new1", "lan4", true)],
        );
        check(&[], &["new1/1/"], Ids::Text, &[("new1", "", true)]);
        check(&[], &["1/0/10.0.0.1/24"], Ids::Place, &[("1", "10.0.0.1/24", false)]);
    }

    #[test]
    fn what_others_did_is_respected() {
        check(&["lan1"], &["new1/1/lan4"], Ids::Text, &[("lan1", "lan1", true)]);
        check(&["lan1"], &["nonsense", "", "//", "x/1"], Ids::Text, &[("lan1", "lan1", true)]);
        check(&["b"], &["x/0/a", "x/0/b"], Ids::Text, &[("b", "b", true), ("x", "a", false)]);
    }

    #[test]
    fn nothing_is_kept_without_need() {
        let items = rows(&strings(&["lan1", "lan2"]), &[], Ids::Text, full);
        assert_eq!(split(&items, Ids::Text, full), (strings(&["lan1", "lan2"]), vec![]));
        let mut items = rows(&strings(&["a", "b"]), &[], Ids::Place, full);
        items[0].on = false;
        assert_eq!(split(&items, Ids::Place, full), (strings(&["b"]), strings(&["1/0/a"])));
        items[0].on = true;
        assert_eq!(split(&items, Ids::Place, full), (strings(&["a", "b"]), vec![]));
    }
}
