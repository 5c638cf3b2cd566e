//! Data model files: JSON text to [`Object`]s, with every complaint placed at file:line:column.
//!
//! The same loader serves `datamodel/build.rs`, which compiles the shipped files, and the vendor files
//! a router brings along. The format is told in `datamodel/README.md`. Strings that are kept become
//! `'static` by leaking: files are read once in a process's life, and their size is capped.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::schema::{How, Key, Notify, Object, Origin, Param, Rows, Source};
use super::value::{Format, Kind, Type};

mod templates;

use templates::Pieces;
pub use templates::Templates;

/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 1 << 20;
/// The most objects and parameters of one file, those that templates bring included.
pub const MAX_ROWS: usize = 20_000;

/// What is wrong with a data model file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// The file's name as given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong.
    pub why: String,
    /// The line in question, shortened.
    pub text: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoadError { file, line, column, why, text } = self;
        // The caret stands under the column; a long line is shown from a bit before it.
        let start = column.saturating_sub(60);
        let shown: String = text.chars().skip(start).take(100).collect();
        write!(f, "{file}:{line}:{column}: {why}\n  {shown}\n  {:>1$}", "^", (column - start).max(1))
    }
}

impl std::error::Error for LoadError {}

/// Reads one data model file.
///
/// `templates` are those of files read before; the file's own are added to them.
///
/// # Errors
/// [`LoadError`] for text over [`MAX_FILE`], bad JSON, unknown fields, types or names, and rows that
/// contradict themselves.
pub fn load(file: &str, text: &str, templates: &mut Templates) -> Result<Vec<Object>, LoadError> {
    load_known(file, text, templates, |_, _| Ok(()))
}

/// As [`load`], and asks about each object, and about each parameter of it, whether whatever it names is known.
///
/// # Errors
/// As [`load`], and at its place what `known` says.
pub fn load_known(
    file: &str,
    text: &str,
    templates: &mut Templates,
    known: impl Fn(&Object, Option<&Param>) -> Result<(), String>,
) -> Result<Vec<Object>, LoadError> {
    let file = File::new(file, text)?;
    let raw: RawFile = file.read(text)?;
    let mut count = templates.add(file, &raw.templates)?;
    let mut out = Vec::new();
    for piece in raw.objects {
        let object: RawObject = file.read(piece.get())?;
        // The pieces inside borrow from the object's own text, which is the file's.
        let (mut lines, mut places) = (Vec::new(), Vec::new());
        for place in object.params.iter().map(|piece| piece.get()) {
            for line in templates.line(file, place)? {
                places.push((line.name.clone(), place));
                lines.push(line);
            }
            if count + lines.len() > MAX_ROWS {
                return Err(file.fail(place, &too_many()));
            }
        }
        let path = object.object.clone();
        count += 1 + lines.len();
        let built = object.build(lines);
        let failed = |place: &str, why: String| file.fail(place, &format!("{path}: {why}"));
        let built = built.map_err(|why| failed(piece.get(), why))?;
        known(&built, None).map_err(|why| failed(piece.get(), why))?;
        for param in built.params.iter() {
            let place =
                places.iter().find(|(name, _)| name == param.name).map_or(piece.get(), |(_, place)| place);
            known(&built, Some(param)).map_err(|why| failed(place, format!("{}: {why}", param.name)))?;
        }
        out.push(built);
    }
    Ok(out)
}

fn too_many() -> String {
    format!("more than {MAX_ROWS} rows in one file")
}

/// A file that is read in pieces, each of them a part of its text.
#[derive(Clone, Copy)]
pub(super) struct File<'t> {
    name: &'t str,
    text: &'t str,
}

impl<'t> File<'t> {
    /// # Errors
    /// [`LoadError`] for text over [`MAX_FILE`].
    pub(super) fn new(name: &'t str, text: &'t str) -> Result<File<'t>, LoadError> {
        let file = File { name, text };
        if text.len() > MAX_FILE {
            return Err(file.fail(text, &format!("the file is larger than {MAX_FILE} bytes")));
        }
        Ok(file)
    }

    /// One piece as what it should be.
    ///
    /// # Errors
    /// [`LoadError`] with the place in the whole file.
    pub(super) fn read<T: Deserialize<'t>>(&self, piece: &'t str) -> Result<T, LoadError> {
        // serde_json counts from the start of the piece it was given; a complaint about a whole piece
        // carries no place of its own and points at its beginning.
        serde_json::from_slice(piece.as_bytes()).map_err(|error| {
            let lines = piece.split_inclusive('\n').take(error.line().saturating_sub(1));
            let here = self.offset(piece) + lines.map(str::len).sum::<usize>();
            let why = error.to_string();
            self.at(here, error.column().max(1), why.rsplit_once(" at line ").map_or(&*why, |(head, _)| head))
        })
    }

    /// A complaint about a piece.
    pub(super) fn fail(&self, piece: &str, why: &str) -> LoadError {
        self.at(self.offset(piece), 1, why)
    }

    fn offset(&self, piece: &str) -> usize {
        (piece.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len())
    }

    /// `column` counts from `offset`.
    fn at(&self, offset: usize, column: usize, why: &str) -> LoadError {
        let before = &self.text[..offset.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        LoadError {
            file: self.name.to_owned(),
            line,
            column: before.len() - before.rfind('\n').map_or(0, |newline| newline + 1) + column,
            why: why.to_owned(),
            text: self.text.lines().nth(line - 1).unwrap_or_default().chars().take(4096).collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile<'t> {
    #[serde(default, rename = "about")]
    _about: String,
    #[serde(default, borrow)]
    templates: Pieces<'t>,
    #[serde(default, borrow)]
    objects: Vec<&'t RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawObject<'t> {
    object: String,
    #[serde(default, rename = "about")]
    _about: String,
    rows: Option<RawRows>,
    #[serde(default)]
    add: bool,
    #[serde(default)]
    delete: bool,
    #[serde(default)]
    unique: Vec<String>,
    #[serde(default, borrow)]
    params: Vec<&'t RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRows {
    uci: Option<String>,
    file: Option<String>,
    store: Option<bool>,
    trial: Option<bool>,
    layers: Option<bool>,
    #[serde(rename = "fn")]
    function: Option<String>,
    #[serde(default)]
    when: Vec<String>,
    #[serde(default)]
    id: Vec<String>,
    #[serde(default)]
    fresh: Vec<String>,
    #[serde(default)]
    volatile: bool,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(try_from = "ParamFields")]
struct RawParam {
    name: String,
    ty: Type,
    write: bool,
    hidden: bool,
    inform: bool,
    notify: Notify,
    from: Origin,
    spec: String,
    key: String,
    field: Option<u16>,
    map: Vec<(String, String)>,
    via: String,
    default: String,
    refs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParamFields {
    name: String,
    #[serde(rename = "type")]
    ty: TypeText,
    #[serde(default)]
    access: Access,
    #[serde(default)]
    values: Vec<String>,
    format: Option<FormatText>,
    #[serde(default)]
    hidden: bool,
    #[serde(default)]
    inform: bool,
    #[serde(default)]
    notify: NotifyText,
    #[serde(rename = "const")]
    constant: Option<String>,
    uci: Option<String>,
    file: Option<String>,
    agent: Option<String>,
    store: Option<bool>,
    trial: Option<bool>,
    row: Option<String>,
    #[serde(rename = "fn")]
    function: Option<String>,
    count: Option<String>,
    alias: Option<bool>,
    #[serde(default)]
    key: String,
    field: Option<u16>,
    #[serde(default)]
    map: Pairs<String>,
    #[serde(default)]
    via: String,
    #[serde(default)]
    default: String,
    #[serde(default, rename = "ref")]
    refs: Vec<String>,
}

impl TryFrom<ParamFields> for RawParam {
    type Error = String;

    fn try_from(raw: ParamFields) -> Result<RawParam, String> {
        let name = raw.name;
        if !is_name(&name) {
            return Err(format!("{name:?} is not a parameter name"));
        }
        let mut places = [
            (Origin::Const, raw.constant),
            (Origin::Uci, raw.uci),
            (Origin::File, raw.file),
            (Origin::Agent, raw.agent),
            (Origin::Store, raw.store.and_then(|on| on.then(String::new))),
            (Origin::Trial, raw.trial.and_then(|on| on.then(String::new))),
            (Origin::Row, raw.row),
            (Origin::Function, raw.function),
            (Origin::Count, raw.count),
            (Origin::Alias, raw.alias.and_then(|on| on.then(String::new))),
        ]
        .into_iter()
        .filter_map(|(from, spec)| spec.map(|spec| (from, spec)));
        let (from, spec) =
            places.next().ok_or_else(|| format!("{name} says nowhere where its value lives"))?;
        if places.next().is_some() {
            return Err(format!("{name} says more than once where its value lives"));
        }
        let write = matches!(raw.access, Access::ReadWrite);
        if write && matches!(from, Origin::Const | Origin::Count | Origin::File | Origin::Row) {
            return Err(format!("{name} is writable, but its place is not"));
        }
        if from == Origin::Uci && spec.split('.').count() != 3 {
            return Err(format!("{name}: {spec:?} is not package.section.option"));
        }
        let mut ty = raw.ty.0;
        ty.values = Box::leak(raw.values.into_iter().map(keep).collect::<Vec<_>>().into_boxed_slice());
        ty.format = raw.format.map(|format| format.0);
        if from == Origin::Const {
            ty.canonical(&spec).map_err(|_| format!("{name}: {spec:?} is not a value of its type"))?;
        }
        if !raw.default.is_empty() {
            ty.canonical(&raw.default)
                .map_err(|_| format!("{name}: the default {:?} is not a value of its type", raw.default))?;
        }
        for (_, word) in &raw.map.0 {
            if raw.refs.is_empty() && !(word.is_empty() || ty.canonical(word).is_ok()) {
                return Err(format!("{name}: the map gives {word:?}, which is not a value of its type"));
            }
        }
        Ok(RawParam {
            ty,
            write,
            hidden: raw.hidden,
            inform: raw.inform,
            notify: raw.notify.0,
            from,
            spec,
            key: raw.key,
            field: raw.field,
            map: raw.map.0,
            via: raw.via,
            default: raw.default,
            refs: raw.refs,
            name,
        })
    }
}

impl RawObject<'_> {
    fn build(self, lines: Vec<RawParam>) -> Result<Object, String> {
        if !is_object_path(&self.object) {
            return Err("not the path of an object (it ends with a dot, {i} for instances)".to_owned());
        }
        let table = self.object.ends_with("{i}.");
        if !table && self.rows.is_some() {
            return Err("only a table has rows".to_owned());
        }
        // A table without is one that stands already, and gains parameters.
        if self.rows.is_none() && (self.add || self.delete || !self.unique.is_empty()) {
            return Err("only a table with its rows has instances to add and delete, and keys".to_owned());
        }
        let mut out: Vec<Param> = Vec::new();
        for param in lines {
            if !table && param.from == Origin::Alias {
                return Err(format!("{} is an alias, which only the instances of a table have", param.name));
            }
            if let Some(twice) = out.iter().find(|other| other.name == param.name) {
                return Err(format!("{} stands twice", twice.name));
            }
            out.push(param.keep());
        }
        let part = |part: &str| out.iter().any(|param| param.name == part);
        if let Some(key) = self.unique.iter().find(|key| !(table && Key::parse(key).params().all(part))) {
            return Err(format!("{key:?} is not parameters of a table with + between them"));
        }
        let rows = self.rows.map(RawRows::build).transpose()?;
        Ok(Object {
            path: keep(self.object),
            rows,
            add: self.add,
            delete: self.delete,
            unique: slice(self.unique),
            params: Cow::Owned(out),
        })
    }
}

impl RawRows {
    fn build(self) -> Result<Rows, String> {
        let flag = |on: Option<bool>| on.and_then(|on| on.then(String::new));
        let mut places = [
            (Origin::Uci, self.uci),
            (Origin::File, self.file),
            (Origin::Store, flag(self.store)),
            (Origin::Trial, flag(self.trial)),
            (Origin::Layers, flag(self.layers)),
            (Origin::Function, self.function),
        ]
        .into_iter()
        .filter_map(|(from, spec)| spec.map(|spec| (from, spec)));
        let (Some((from, spec)), None) = (places.next(), places.next()) else {
            return Err("rows come from exactly one of uci, file, store, trial, layers and fn".to_owned());
        };
        if from == Origin::Uci && spec.split('.').count() != 2 {
            return Err(format!("{spec:?} is not package.type"));
        }
        Ok(Rows {
            from,
            spec: keep(spec),
            when: slice(self.when),
            id: slice(self.id),
            fresh: slice(self.fresh),
            volatile: self.volatile,
        })
    }
}

fn slice(list: Vec<String>) -> &'static [&'static str] {
    Box::leak(list.into_iter().map(keep).collect::<Vec<_>>().into_boxed_slice())
}

impl RawParam {
    /// This line with the words of `with` put in for their names in braces.
    fn filled(&self, with: &BTreeMap<String, String>) -> RawParam {
        let fill = |text: &str| {
            with.iter().fold(text.to_owned(), |text, (name, word)| text.replace(&format!("{{{name}}}"), word))
        };
        RawParam { spec: fill(&self.spec), key: fill(&self.key), ..self.clone() }
    }

    fn keep(self) -> Param {
        let map = self.map.into_iter().map(|(raw, word)| (keep(raw), keep(word))).collect::<Vec<_>>();
        let refs = self.refs.into_iter().map(keep).collect::<Vec<_>>();
        Param {
            name: keep(self.name),
            ty: Box::leak(Box::new(self.ty)),
            write: self.write,
            hidden: self.hidden,
            inform: self.inform,
            notify: self.notify,
            source: Source {
                from: self.from,
                spec: keep(self.spec),
                how: Box::leak(Box::new(How {
                    key: keep(self.key),
                    field: self.field,
                    map: Box::leak(map.into_boxed_slice()),
                    via: keep(self.via),
                    default: keep(self.default),
                    refs: Box::leak(refs.into_boxed_slice()),
                })),
            },
        }
    }
}

#[derive(Deserialize, Default, PartialEq, Clone, Copy)]
enum Access {
    #[default]
    #[serde(rename = "r")]
    Read,
    #[serde(rename = "rw")]
    ReadWrite,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct TypeText(Type);

impl TryFrom<String> for TypeText {
    type Error = String;

    fn try_from(text: String) -> Result<TypeText, String> {
        type_of(&text).map(TypeText).ok_or_else(|| format!("{text:?} is not a type"))
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct FormatText(Format);

impl TryFrom<String> for FormatText {
    type Error = String;

    fn try_from(text: String) -> Result<FormatText, String> {
        Format::from_name(&text).map(FormatText).ok_or_else(|| format!("{text:?} is not a format"))
    }
}

#[derive(Deserialize, Default)]
#[serde(try_from = "String")]
struct NotifyText(Notify);

impl TryFrom<String> for NotifyText {
    type Error = String;

    fn try_from(text: String) -> Result<NotifyText, String> {
        Ok(NotifyText(match text.as_str() {
            "normal" => Notify::Normal,
            "forced" => Notify::Forced,
            "default" => Notify::Default,
            "canDeny" => Notify::CanDeny,
            _ => return Err(format!("{text:?} is not a notification rule")),
        }))
    }
}

/// A JSON object as pairs in the order of the file, which decides what is written back.
#[derive(Default)]
pub(super) struct Pairs<V>(pub(super) Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs<V>, D::Error> {
        struct Seen<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Seen<V> {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with names and values")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs<V>, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Seen(std::marker::PhantomData))
    }
}

/// `string(64)`, `unsignedInt(1..65535)`, `int(-1,30..)`, `list(string(32))`, `list(unsignedInt)(256)`.
fn type_of(text: &str) -> Option<Type> {
    if let Some(rest) = text.strip_prefix("list(") {
        let (item, tail) = match rest.rsplit_once(")(") {
            Some((item, most)) if most.ends_with(')') && !item.contains(")(") => {
                (item, Some(most.strip_suffix(')')?.parse().ok()?))
            }
            _ => (rest.strip_suffix(')')?, None),
        };
        return Some(Type { list: true, list_size: tail, ..type_of(item)? });
    }
    let (name, facets) = match text.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')')?)),
        None => (text, None),
    };
    let kind = Kind::from_name(name)?;
    let mut ty = Type::of(kind);
    let Some(facets) = facets else { return Some(ty) };
    match kind {
        Kind::String | Kind::Base64 | Kind::HexBinary => {
            let (least, most) = facets.split_once("..").unwrap_or(("", facets));
            let least = if least.is_empty() { 0 } else { least.parse().ok()? };
            ty.size = Some((least, if most.is_empty() { u32::MAX } else { most.parse().ok()? }));
        }
        Kind::Int | Kind::UnsignedInt | Kind::Long | Kind::UnsignedLong => {
            let bound = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
            let mut ranges = Vec::new();
            for range in facets.split(',') {
                let (from, to) = range.split_once("..").unwrap_or((range, range));
                ranges.push((bound(from)?, bound(to)?));
            }
            ty.ranges = Box::leak(ranges.into_boxed_slice());
        }
        Kind::Boolean | Kind::DateTime => return None,
    }
    Some(ty)
}

/// Whether a text can be the name of a parameter or a part of an object's path.
pub(super) fn is_name(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// Whether a text is the schema path of an object: names, and behind each at most one `{i}`.
pub(super) fn is_object_path(text: &str) -> bool {
    let Some(parts) = text.strip_suffix('.') else { return false };
    let mut is_behind_name = false;
    parts.split('.').all(|part| {
        let fits = if part == "{i}" { is_behind_name } else { is_name(part) };
        is_behind_name = part != "{i}";
        fits
    })
}

pub(super) fn keep(text: String) -> &'static str {
    if text.is_empty() { "" } else { Box::leak(text.into_boxed_str()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Object>, LoadError> {
        load("x.json", text, &mut Templates::default())
    }

    fn complaint(text: &str, start: &str, why: &str) {
        let shown = read(text).unwrap_err().to_string();
        assert!(shown.starts_with(start), "{shown}");
        assert!(shown.contains(why), "{shown}");
        assert_eq!(shown.lines().last().map(str::trim), Some("^"));
    }

    #[test]
    fn a_file() {
        let text = r#"{"templates": {"stats": [
            {"name":"BytesSent","type":"unsignedLong","file":"/sys/class/net/{dev}/statistics/tx_bytes"}]},
          "objects": [{"object":"Device.X.{i}.", "rows":{"uci":"network.interface","when":["proto!=none"]}, "add":true,
            "params":[{"template":"stats","with":{"dev":"{}"}},
            {"name":"Status","type":"string","values":["Up","Down"],"uci":"network.{}.up","map":{"1":"Up","*":"Down"}}]}]}"#;
        let objects = read(text).unwrap();
        assert_eq!(objects[0].params[0].source.spec, "/sys/class/net/{}/statistics/tx_bytes");
        assert_eq!(objects[0].params[1].source.map, [("1", "Up"), ("*", "Down")]);
        assert_eq!(objects[0].rows.unwrap().when, ["proto!=none"]);
    }

    #[test]
    fn types() {
        for (text, good) in [
            ("string(64)", true),
            ("string(6..6)", true),
            ("unsignedInt(1..65535)", true),
            ("int(-1,30..)", true),
            ("list(string(32))", true),
            ("list(string(32))(256)", true),
            ("list(unsignedInt)(256)", true),
            ("boolean(1)", false),
            ("strin", false),
            ("string(64", false),
            ("string(x)", false),
            ("list(", false),
        ] {
            assert_eq!(type_of(text).is_some(), good, "{text}");
        }
        let list = type_of("list(string(32))(256)").unwrap();
        assert_eq!((list.list, list.size, list.list_size), (true, Some((0, 32)), Some(256)));
        let int = type_of("int(-1,30..)").unwrap();
        assert_eq!(int.ranges, [(Some(-1), Some(-1)), (Some(30), None)]);
    }

    #[test]
    fn complaints_have_a_place() {
        let row =
            |param: &str| format!("{{\"objects\":[{{\"object\":\"Device.X.\",\"params\":[\n{param}\n]}}]}}");
        complaint("{\n  nonsense", "x.json:2:", "key must be a string");
        complaint(&row(r#"{"name":"A","type":"strin","const":""}"#), "x.json:2:", "\"strin\" is not a type");
        complaint(&row(r#"{"name":"A","type":"string"}"#), "x.json:2:", "says nowhere");
        complaint(
            &row(r#"{"name":"A","type":"string","const":"","uci":"a.b.c"}"#),
            "x.json:2:",
            "more than once",
        );
        complaint(&row(r#"{"name":"A","type":"int","const":"x"}"#), "x.json:2:", "not a value of its type");
        complaint(
            &row(r#"{"name":"A","type":"string","const":"","access":"rw"}"#),
            "x.json:2:",
            "is writable",
        );
        complaint(&row(r#"{"name":"A","type":"string","uci":"a.b"}"#), "x.json:2:", "package.section.option");
        complaint(&row(r#"{"name":"A","type":"string","const":"","typo":1}"#), "x.json:2:", "unknown field");
        complaint(
            r#"{"objects":[{"object":"Device.X.","rows":{"fn":"a"}}]}"#,
            "x.json:1:13",
            "only a table has rows",
        );
        complaint(r#"{"objects":[{"object":"Device.X.{i}.","add":true}]}"#, "x.json:1:13", "with its rows");
        complaint(
            r#"{"objects":[{"object":"Device.X.","params":[{"name":"A","type":"string","alias":true}]}]}"#,
            "x.json:1:13",
            "only the instances",
        );
        complaint(&"x".repeat(MAX_FILE + 1), "x.json:1:1", "larger");
    }
}
