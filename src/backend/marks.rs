//! Marks: which nameless section is which, whatever place it has by now.
//!
//! A section without a name is known to UCI by its place, and its place changes when others come and go;
//! an instance number must not (TR-069 A.2.2.1). So each gets a mark, a number of its own within its type,
//! and is recognised by what it holds when the file is another one:
//!
//! ```text
//! same content ─► same telling option (name, mac …) ─► most options in common, above half
//!     ─► same neighbours, as many as before ─► a new mark
//! ```
//! Where content alone cannot tell an edited section from another one that came as an old one went, the
//! answer is a new mark: a lost number is seen by an ACS, a wrong rule that it changes is not.
//! Pure: functions of what was known and what is seen.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::map::Map;
use crate::uci::{Section, Value};

/// Marks of one type whose sections are gone and that are still remembered, the newest of them.
const MAX_GONE: usize = 256;
/// Types of one package that are remembered though no section is of them.
const MAX_TYPES: usize = 256;
/// Options of one section that are compared one by one.
const MAX_OPTIONS: usize = 64;
/// Pairs of sections that are compared option by option in one listing.
const MAX_PAIRS: usize = 65_536;
/// Options that tell one section of its type from another, the first that is there.
const TELLING: [&str; 3] = ["mac", "parameter_name", "name"];

/// All marks, by package and type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Marks(Map<String, Map<String, Kind>>);

/// The numbers of a package's nameless sections by their keys, which hold for one reading of the file.
pub(super) type Numbers = HashMap<String, u32>;

/// The marks of one type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kind {
    /// The highest number ever given.
    last: u32,
    /// Those that are there in the order of the file, then those gone, the oldest first.
    known: Vec<Mark>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    #[serde(rename = "n")]
    number: u32,
    #[serde(rename = "p")]
    print: Print,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
}

/// What is remembered of a section's content: hashes, so that no secret is kept twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Print {
    /// Of all options, whatever their order.
    #[serde(rename = "a")]
    all: u64,
    /// Of each option with its value, sorted.
    #[serde(rename = "o")]
    options: Vec<u32>,
    /// Of the telling option; 0 without one.
    #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
    telling: u32,
}

impl Marks {
    /// Recognises the nameless sections of a package as it was read, and remembers them as they are now.
    pub fn recognise<'a>(&mut self, package: &str, sections: impl Iterator<Item = &'a Section>) -> Numbers {
        let kinds = self.0.or_default(package.to_owned());
        let mut numbers = Numbers::new();
        let mut seen = prints(sections);
        for (ty, kind) in kinds.iter_mut() {
            let Seen { keys, prints, .. } = seen.remove(ty.as_str()).unwrap_or_default();
            numbers.extend(keys.into_iter().zip(kind.recognise(prints)));
        }
        for (ty, Seen { keys, places, prints }) in seen {
            let kind = kinds.or_default(ty.to_owned());
            numbers.extend(keys.into_iter().zip(kind.begin(&places, prints)));
        }
        self.bound(package);
        numbers
    }

    /// The numbers while changes are staged: keys hold then, so what has none among `known` is new.
    pub fn follow<'a>(
        &self,
        package: &str,
        known: &Numbers,
        earlier: Option<&Numbers>,
        sections: impl Iterator<Item = &'a Section>,
    ) -> Numbers {
        let mut numbers = Numbers::new();
        let mut last: HashMap<&str, u32> = HashMap::new();
        let mut fresh = Vec::new();
        for section in sections.filter(|section| section.is_anonymous()) {
            let number = known.get(section.key()).or_else(|| earlier?.get(section.key()));
            let highest = last.entry(section.ty()).or_insert_with(|| {
                self.0.get(package).and_then(|kinds| kinds.get(section.ty())).map_or(0, |kind| kind.last)
            });
            match number {
                Some(number) => {
                    *highest = (*highest).max(*number);
                    numbers.insert(section.key().to_owned(), *number);
                }
                None => fresh.push(section),
            }
        }
        for section in fresh {
            let highest = last.entry(section.ty()).or_default();
            *highest = highest.saturating_add(1);
            numbers.insert(section.key().to_owned(), *highest);
        }
        numbers
    }

    /// Remembers a package as it is about to be written.
    pub fn settle<'a>(
        &mut self,
        package: &str,
        numbers: &Numbers,
        sections: impl Iterator<Item = &'a Section>,
    ) {
        let kinds = self.0.or_default(package.to_owned());
        let mut seen = prints(sections);
        for ty in seen.keys() {
            kinds.or_default((*ty).to_owned());
        }
        for (ty, kind) in kinds.iter_mut() {
            let Seen { keys, prints, .. } = seen.remove(ty.as_str()).unwrap_or_default();
            let present = keys
                .iter()
                .zip(prints)
                .filter_map(|(key, print)| Some(Mark { number: *numbers.get(key)?, print, gone: false }));
            kind.put(present.collect());
        }
        self.bound(package);
    }

    fn bound(&mut self, package: &str) {
        let Some(kinds) = self.0.get_mut(package) else { return };
        let empty = |kind: &Kind| kind.known.first().is_none_or(|mark| mark.gone);
        let mut excess = kinds.len().saturating_sub(MAX_TYPES);
        kinds.retain(|_, kind| {
            let drop = excess > 0 && empty(kind);
            excess -= usize::from(drop);
            !drop
        });
        if kinds.is_empty() {
            self.0.remove(package);
        }
    }
}

/// The name of a nameless section in tables: no section can have it as its own.
pub(super) fn id(ty: &str, number: u32) -> String {
    format!("{ty}#{number}")
}

/// A row's name of the time when places were names, with what marks give to a file that is read first:
/// `@rule[4]` is `rule#5`, wherever in the name it stands.
pub(super) fn from_place(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((head, tail)) = rest.split_once('@') {
        out.push_str(head);
        let place = tail.split_once('[').and_then(|(ty, tail)| {
            let (digits, after) = tail.split_once(']')?;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let number = digits.parse::<u32>().ok()?.checked_add(1)?;
            (!ty.is_empty() && ty.chars().all(plain)).then(|| (id(ty, number), after))
        });
        match place {
            Some((id, after)) => {
                out.push_str(&id);
                rest = after;
            }
            None => {
                out.push('@');
                rest = tail;
            }
        }
    }
    out + rest
}

/// The nameless sections of one type.
#[derive(Default)]
struct Seen {
    keys: Vec<String>,
    /// Among all of the type, named ones too.
    places: Vec<usize>,
    prints: Vec<Print>,
}

fn prints<'a>(sections: impl Iterator<Item = &'a Section>) -> Map<&'a str, Seen> {
    let mut out: Map<&str, Seen> = Map::new();
    for section in sections.filter(|section| section.is_anonymous()) {
        let seen = out.or_default(section.ty());
        seen.keys.push(section.key().to_owned());
        seen.places.push(section.index_in_type());
        seen.prints.push(Print::of(section));
    }
    out
}

impl Kind {
    /// The numbers of the first sections ever seen: their places, from 1, see [`from_place`].
    fn begin(&mut self, places: &[usize], seen: Vec<Print>) -> Vec<u32> {
        let place = |place: &usize| u32::try_from(*place).unwrap_or(u32::MAX).saturating_add(1);
        let numbers: Vec<u32> = places.iter().map(place).collect();
        let marks =
            numbers.iter().zip(seen).map(|(number, print)| Mark { number: *number, print, gone: false });
        self.put(marks.collect());
        numbers
    }

    /// The numbers of the sections seen, in their order.
    fn recognise(&mut self, seen: Vec<Print>) -> Vec<u32> {
        let found = Pairing::of(&self.known, &seen);
        let mut present: Vec<Mark> = Vec::with_capacity(seen.len());
        for (print, at) in seen.into_iter().zip(found) {
            let number = match at {
                Some(at) => self.known[at].number,
                None => self.fresh(&present),
            };
            present.push(Mark { number, print, gone: false });
        }
        let numbers = present.iter().map(|mark| mark.number).collect();
        self.put(present);
        numbers
    }

    fn fresh(&mut self, given: &[Mark]) -> u32 {
        let free = |number: &u32| self.known.iter().chain(given).all(|mark| mark.number != *number);
        // All four thousand million were used: one that nobody remembers.
        let next = self.last.checked_add(1).or_else(|| (1..=u32::MAX).find(free)).unwrap_or(1);
        self.last = self.last.max(next);
        next
    }

    /// These are there now; the others have gone.
    fn put(&mut self, present: Vec<Mark>) {
        let numbers: std::collections::HashSet<u32> = present.iter().map(|mark| mark.number).collect();
        let (gone, went): (Vec<Mark>, Vec<Mark>) = std::mem::replace(&mut self.known, present)
            .into_iter()
            .filter(|mark| !numbers.contains(&mark.number))
            .partition(|mark| mark.gone);
        let mut gone: Vec<Mark> =
            gone.into_iter().chain(went).map(|mark| Mark { gone: true, ..mark }).collect();
        gone.drain(..gone.len().saturating_sub(MAX_GONE));
        self.last = numbers.into_iter().fold(self.last, u32::max);
        self.known.append(&mut gone);
    }
}

/// Which known mark is which section seen.
struct Pairing<'a> {
    known: &'a [Mark],
    /// How many of the known were there.
    there: usize,
    seen: &'a [Print],
    /// By section seen: the place in `known`.
    found: Vec<Option<usize>>,
    taken: Vec<bool>,
}

/// The neighbours before and behind that are recognised already.
type Gap = (Option<usize>, Option<usize>);

impl<'a> Pairing<'a> {
    fn of(known: &'a [Mark], seen: &'a [Print]) -> Vec<Option<usize>> {
        let there = known.iter().take_while(|mark| !mark.gone).count();
        let (found, taken) = (vec![None; seen.len()], vec![false; known.len()]);
        let mut pairing = Pairing { known, there, seen, found, taken };
        pairing.equal();
        pairing.telling(0..there);
        pairing.similar();
        pairing.in_place();
        pairing.telling(there..known.len());
        pairing.found
    }

    fn pair(&mut self, at: usize, now: usize) {
        self.taken[at] = true;
        self.found[now] = Some(at);
    }

    /// Equal contents, in order; those that were there before those gone.
    fn equal(&mut self) {
        let mut places: HashMap<u64, VecDeque<usize>> = HashMap::new();
        for (at, mark) in self.known.iter().enumerate() {
            places.entry(mark.print.all).or_default().push_back(at);
        }
        for (now, print) in self.seen.iter().enumerate() {
            if let Some(at) = places.get_mut(&print.all).and_then(VecDeque::pop_front) {
                self.pair(at, now);
            }
        }
    }

    /// The same telling option, where only one has it before and after.
    fn telling(&mut self, among: std::ops::Range<usize>) {
        let mut places: HashMap<u32, (Vec<usize>, Vec<usize>)> = HashMap::new();
        for at in among.filter(|at| !self.taken[*at]) {
            places.entry(self.known[at].print.telling).or_default().0.push(at);
        }
        for now in (0..self.seen.len()).filter(|now| self.found[*now].is_none()) {
            places.entry(self.seen[now].telling).or_default().1.push(now);
        }
        places.remove(&0);
        for (before, after) in places.into_values() {
            if let ([at], [now]) = (&before[..], &after[..]) {
                self.pair(*at, *now);
            }
        }
    }

    /// Where between the same neighbours as many are left as before, and nothing speaks against it:
    /// edited in place, beyond recognition.
    fn in_place(&mut self) {
        let (before, after) = self.gaps();
        for (gap, places) in before {
            let Some(now) = after.get(&gap).filter(|now| now.len() == places.len()) else { continue };
            let pairs: Vec<(usize, usize)> = places.iter().copied().zip(now.iter().copied()).collect();
            if pairs.iter().all(|(at, now)| !self.contradicts(*at, *now)) {
                pairs.into_iter().for_each(|(at, now)| self.pair(at, now));
            }
        }
    }

    /// The rest by what they have in common, the most first.
    fn similar(&mut self) {
        let (before, after) = self.gaps();
        let left = |gaps: &Map<Gap, Vec<usize>>| gaps.values().map(Vec::len).sum::<usize>();
        if left(&before).saturating_mul(left(&after)) > MAX_PAIRS {
            return;
        }
        let mut candidates = Vec::new();
        for (gap, places) in &before {
            for (other, rows) in &after {
                for (at, now) in places.iter().flat_map(|at| rows.iter().map(move |now| (*at, *now))) {
                    if self.alike(at, now, gap == other) {
                        candidates.push((self.score(at, now), gap == other, at, now));
                    }
                }
            }
        }
        candidates.sort_by_key(|(score, near, at, now)| {
            (std::cmp::Reverse(*score), std::cmp::Reverse(*near), *at, *now)
        });
        for (_, _, at, now) in candidates {
            if !self.taken[at] && self.found[now].is_none() {
                self.pair(at, now);
            }
        }
    }

    /// The places not recognised yet, before and after, by their recognised neighbours.
    fn gaps(&self) -> (Map<Gap, Vec<usize>>, Map<Gap, Vec<usize>>) {
        let before: Vec<Option<usize>> = (0..self.there).map(|at| self.taken[at].then_some(at)).collect();
        let after: Vec<Option<usize>> = self.found.clone();
        // One that had gone and came back is no neighbour to those that were there.
        let revived = |at: &Option<usize>| at.is_some_and(|at| at >= self.there);
        let gaps = |row: &[Option<usize>]| {
            let mut out: Map<Gap, Vec<usize>> = Map::new();
            let (mut left, mut waiting) = (None, Vec::new());
            for (place, found) in row.iter().enumerate().filter(|(_, found)| !revived(found)) {
                match found {
                    None => waiting.push(place),
                    Some(_) => {
                        if !waiting.is_empty() {
                            out.or_default((left, *found)).append(&mut waiting);
                        }
                        left = *found;
                    }
                }
            }
            if !waiting.is_empty() {
                out.or_default((left, None)).append(&mut waiting);
            }
            out
        };
        (gaps(&before), gaps(&after))
    }

    /// Above half in common. If their telling options differ, two thirds of one that was not moved, and
    /// of one that was moved all the rest: it is easily another one that was made like it.
    fn alike(&self, at: usize, now: usize, near: bool) -> bool {
        let (common, most) = self.common(at, now);
        match (self.contradicts(at, now), near) {
            (false, _) => common * 2 > most,
            (true, true) => common * 3 >= most * 2,
            (true, false) => most > 2 && common + 1 == most,
        }
    }

    fn contradicts(&self, at: usize, now: usize) -> bool {
        let (old, new) = (self.known[at].print.telling, self.seen[now].telling);
        old != 0 && new != 0 && old != new
    }

    fn score(&self, at: usize, now: usize) -> usize {
        let (common, most) = self.common(at, now);
        common * 1000 / most
    }

    /// How many options are the same, and how many the larger one has, at least 1.
    fn common(&self, at: usize, now: usize) -> (usize, usize) {
        let (old, new) = (&self.known[at].print.options, &self.seen[now].options);
        let common = new.iter().filter(|option| old.binary_search(option).is_ok()).count();
        (common, old.len().max(new.len()).max(1))
    }
}

impl Print {
    fn of(section: &Section) -> Print {
        let mut each: Vec<u64> = section.options().map(|(name, value)| option(name, value)).collect();
        each.sort_unstable();
        let all = each.iter().fold(FNV_BASIS, |hash, one| fnv(hash, &one.to_be_bytes()));
        let mut options: Vec<u32> = each.into_iter().map(folded).collect();
        options.sort_unstable();
        options.truncate(MAX_OPTIONS);
        let telling = TELLING.iter().find_map(|name| section.option(name).map(|value| option(name, value)));
        Print { all, options, telling: telling.map_or(0, |hash| folded(hash).max(1)) }
    }
}

/// A list of one item is what a text of it is.
fn option(name: &str, value: &Value) -> u64 {
    let items = match value {
        Value::Single(text) => std::slice::from_ref(text),
        Value::List(items) => items,
    };
    // UCI texts hold no NUL, so it keeps the parts apart.
    let start = fnv(fnv(FNV_BASIS, name.as_bytes()), b"\0");
    items.iter().fold(start, |hash, item| fnv(fnv(hash, item.as_bytes()), b"\0"))
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a: it has to be the same for ever, not to resist an enemy, who could edit the file anyway.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn folded(hash: u64) -> u32 {
    let [a, b, c, d, e, f, g, h] = hash.to_be_bytes();
    u32::from_be_bytes([a, b, c, d]) ^ u32::from_be_bytes([e, f, g, h])
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uci::Document;

    /// Sections from lines like `name=a x=1 y=2`.
    fn document(rules: &[&str]) -> Document {
        let mut text = String::new();
        for rule in rules {
            text += "config rule\n";
            for (option, value) in rule.split_whitespace().filter_map(|word| word.split_once('=')) {
                text += &format!("\toption {option} '{value}'\n");
            }
        }
        text += "config rule 'named'\n\toption x '1'\n";
        Document::parse("p", text.as_bytes()).unwrap()
    }

    fn numbers(marks: &mut Marks, rules: &[&str]) -> Vec<u32> {
        let document = document(rules);
        let numbers = marks.recognise("p", document.sections());
        document.sections().filter_map(|section| numbers.get(section.key()).copied()).collect()
    }

    /// The numbers after each listing of the same file.
    #[track_caller]
    fn check(listings: &[(&[&str], &[u32])]) {
        let mut marks = Marks::default();
        for (rules, expected) in listings {
            assert_eq!(numbers(&mut marks, rules), *expected, "{rules:?}");
            let text = serde_json::to_string(&marks).unwrap();
            assert_eq!(serde_json::from_str::<Marks>(&text).unwrap(), marks);
        }
    }

    const A: &str = "src=wan proto=tcp port=1 target=ACCEPT";
    const B: &str = "src=wan proto=tcp port=2 target=ACCEPT";
    const C: &str = "src=lan proto=udp port=3 target=DROP";

    #[test]
    fn removed_and_moved() {
        check(&[(&[A, B, C], &[1, 2, 3]), (&[A, C], &[1, 3]), (&[C, A], &[3, 1]), (&[], &[])]);
        check(&[(&[A, B], &[1, 2]), (&[C, A, B], &[3, 1, 2]), (&[B, A, C], &[2, 1, 3])]);
    }

    #[test]
    fn gone_and_back() {
        check(&[(&[A, B], &[1, 2]), (&[], &[]), (&[A, B, C], &[1, 2, 3])]);
        check(&[(&["name=x a=1 b=2"], &[1]), (&[], &[]), (&["name=x a=2 b=1"], &[1])]);
        // Once a number has been seen it is not given to something else.
        check(&[(&[A], &[1]), (&[], &[]), (&[C], &[2])]);
    }

    #[test]
    fn edited() {
        let edited = "src=wan proto=tcp port=22 target=ACCEPT";
        check(&[(&[A, B, C], &[1, 2, 3]), (&[A, edited, C], &[1, 2, 3])]);
        check(&[(&[A, B, C], &[1, 2, 3]), (&[edited, C], &[1, 3])]);
        check(&[(&[A, C], &[1, 2]), (&[C, edited], &[2, 1])]);
        check(&[(&[A, B, C], &[1, 2, 3]), (&[A, "all=new", C], &[1, 2, 3])]);
        check(&[(&[A, B], &[1, 2]), (&["port=8", "port=9"], &[1, 2])]);
        check(&[(&[""], &[1]), (&["src=wan"], &[1]), (&["src=wan", ""], &[1, 2])]);
    }

    #[test]
    fn another_in_its_stead() {
        check(&[(&["name=a x=1", "name=b x=2"], &[1, 2]), (&["name=a x=1", "name=c y=1"], &[1, 3])]);
        check(&[(&[A, C, B], &[1, 2, 3]), (&[A, B, "all=new"], &[1, 3, 4])]);
        // The first went, and the last was moved to its place and edited.
        let list = ["a=1 b=1 c=1 d=1", "x=1", "a=1 b=1 c=3 d=3"];
        check(&[(&list, &[1, 2, 3]), (&["a=1 b=4 c=3 d=3", "x=1"], &[3, 2])]);
    }

    #[test]
    fn telling_options() {
        let before: &[&str] = &["name=a x=1 y=1", "name=b x=1 y=1"];
        check(&[(before, &[1, 2]), (&["name=b x=2 y=2", "name=a x=3 y=3"], &[2, 1])]);
        check(&[(before, &[1, 2]), (&["name=c x=1 y=1", "name=b x=1 y=1"], &[1, 2])]);
        check(&[(before, &[1, 2]), (&["name=b x=1 y=1", "name=c x=1 y=1"], &[2, 1])]);
        check(&[(before, &[1, 2]), (&["name=b x=1 y=1", "name=c x=1 y=2"], &[2, 3])]);
        check(&[(&["name=h mac=1 ip=1"], &[1]), (&["name=i mac=1 ip=2"], &[1])]);
    }

    #[test]
    fn equal_ones_go_by_order() {
        check(&[(&[A, A, B], &[1, 2, 3]), (&[A, A, A, B], &[1, 2, 4, 3]), (&[B, A], &[3, 1])]);
    }

    #[test]
    fn staged_changes() {
        let mut marks = Marks::default();
        let mut document = document(&[A, B, C]);
        let known = marks.recognise("p", document.sections());
        let first = document.add_section("rule", None).unwrap();
        let numbers = marks.follow("p", &known, None, document.sections());
        assert_eq!(numbers[&first], 4);
        document.delete_section("@rule[2]").unwrap();
        let second = document.add_section("rule", None).unwrap();
        document.set(&second, "port", &"9".into()).unwrap();
        document.set("@rule[1]", "port", &"77".into()).unwrap();
        let numbers = marks.follow("p", &known, Some(&numbers), document.sections());
        assert_eq!((numbers[&first], numbers[&second]), (4, 5));
        marks.settle("p", &numbers, document.sections());
        let again = Document::parse("p", &document.to_bytes()).unwrap();
        let numbers = marks.recognise("p", again.sections());
        let list: Vec<u32> =
            again.sections().filter_map(|section| numbers.get(section.key()).copied()).collect();
        assert_eq!(list, [1, 2, 4, 5]);
    }

    #[test]
    fn bounds() {
        let many: Vec<String> = (0..1000).map(|n| format!("port={n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let mut marks = Marks::default();
        numbers(&mut marks, &many);
        numbers(&mut marks, &[]);
        assert_eq!(marks.0["p"]["rule"].known.len(), MAX_GONE);
        assert_eq!(numbers(&mut marks, &[many[999], many[0]]), [1000, 1001]);
        let kind = Kind { last: u32::MAX, known: Vec::new() };
        marks.0.insert("p".into(), [("rule".to_owned(), kind)].into());
        assert_eq!(numbers(&mut marks, &[A, B]), [1, 2]);
    }

    #[test]
    fn names_of_old() {
        for (old, new) in [
            ("@rule[4]", "rule#5"),
            ("br-lan/@wifi-iface[0]", "br-lan/wifi-iface#1"),
            ("@bridge-vlan[1].lan1@x", "bridge-vlan#2.lan1@x"),
            ("lan", "lan"),
            ("@rule[x]", "@rule[x]"),
            ("a@b", "a@b"),
            ("@rule[4294967295]", "@rule[4294967295]"),
        ] {
            assert_eq!(from_place(old), new, "{old}");
        }
    }
}
