//! bbfdm's JSON plugins as objects of our own schema, so that what a firmware brings for bbfdm works here as it is.
//!
//! ```text
//! {"json_plugin_version":2,
//!  "Device.X_A.Profile.{i}.": {"type":"object", "array":true, "access":true, "protocols":["cwmp"],
//!    "mapping":[{"type":"uci","uci":{"file":"a","section":{"type":"profile"},"dmmapfile":"dmmap_a"}}], ─► rows, add, delete
//!    "Name": {"type":"string","write":true,"mapping":[{"data":"@Parent","type":"uci_sec","key":"name"}]}, ─► a parameter
//!    "Device.X_A.Profile.{i}.Time.": {"type":"object", …}}}                                               ─► a child
//! ```
//! | mapping | becomes |
//! |---|---|
//! | `uci` | an option; rows of a table. A section of the table's own type is the instance's |
//! | `uci_sec` of `@Parent` | an option of the instance's section |
//! | `dmmap_sec` | the agent's own store |
//! | `ubus`, `json` of `@Parent` | the functions `bbf_value` and `bbf_rows` of `backend::functions::bbf` |
//!
//! `dmmapfile` is bbfdm's memory of instance numbers and aliases; the model has its own. What stands in the model
//! already is extended, overwritten, and with the protocol `none` taken out. Commands and events belong to USP.

mod place;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::load::{File, LoadError, Pairs, is_name, is_object_path, keep};
use super::schema::{Notify, Object, Origin, Param, Rows, Schema, Source, parent_path};
use super::value::{Format, Kind, Type};
use place::uci_word;

/// The most objects and parameters of one file; bbfdm's whole model has fewer.
const MAX_ROWS: usize = 4096;
/// The most members that are skipped; after them the rest of the file is.
const MAX_SKIPPED: usize = 32;
/// How deep objects may stand in one another.
const MAX_DEPTH: usize = 16;
/// The most mappings of one parameter, words of an enumeration, ranges, arguments of a call.
const MAX_ITEMS: usize = 256;
/// What stands in names for a vendor's prefix.
const PREFIX: &str = "{BBF_VENDOR_PREFIX}";
/// Between the parts of a call in the argument of `bbf_value` and `bbf_rows`: object, method, key, and for each
/// of its arguments a name and a value after the letter of its type.
pub const PART: char = '\u{1f}';
/// Between the call that reads a value and the one that writes it.
pub const HALF: char = '\u{1e}';

/// What a plugin may ask about the router it is on.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The vendor's prefix, `X_IOPSYS_EU_`.
    pub prefix: &'a str,
    /// Whether there is a file of that absolute path.
    pub present: &'a dyn Fn(&str) -> bool,
}

/// A schema with what a plugin brings, and what of it could not be taken: its members are skipped one by one.
///
/// # Errors
/// [`LoadError`] when the whole file is no use: too large, no JSON, of another version.
pub fn extended(
    schema: &Schema,
    name: &str,
    text: &str,
    around: Around<'_>,
) -> Result<(Schema, Vec<LoadError>), LoadError> {
    let file = File::new(name, text)?;
    let mut reader = Reader {
        file,
        around,
        all: schema.objects().to_vec(),
        trail: Vec::new(),
        count: 0,
        skipped: Vec::new(),
    };
    let members: Pairs<&RawValue> = file.read(text)?;
    if let Some((_, piece)) = members.0.iter().find(|(name, _)| name == "json_plugin_version") {
        let version: u32 = file.read(piece.get())?;
        if version > 2 {
            return Err(file.fail(piece.get(), &format!("version {version} of plugins is not known here")));
        }
    }
    // A parameter of the file itself may belong to an object behind it.
    let (objects, others): (Vec<_>, Vec<_>) =
        members.0.into_iter().partition(|(name, _)| name.ends_with('.'));
    for (name, piece) in objects.into_iter().chain(others) {
        if piece.get().starts_with('{') {
            reader.member("", &name, piece, 0);
        }
    }
    reader.count_tables();
    let Reader { all, skipped, .. } = reader;
    let schema = Schema::new(all).map_err(|why| file.fail(text, &why.to_string()))?;
    Ok((schema, skipped))
}

struct Reader<'t, 'a> {
    file: File<'t>,
    around: Around<'a>,
    /// The objects as they are by now.
    all: Vec<Object>,
    /// The names of the members on the way to this one.
    trail: Vec<String>,
    count: usize,
    skipped: Vec<LoadError>,
}

/// The members of a JSON object; of a name that is repeated the last one counts.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'t> Members<'t> {
    fn piece(&self, name: &str) -> Option<&'t RawValue> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, piece)| *piece)
    }

    /// A text, number or truth value as text.
    fn text(&self, name: &str) -> Option<String> {
        let piece = self.piece(name)?.get();
        match piece.as_bytes().first()? {
            b'"' => serde_json::from_slice(piece.as_bytes()).ok(),
            b'{' | b'[' | b'n' => None,
            _ => Some(piece.to_owned()),
        }
    }

    fn is(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text == "true")
    }
}

/// A table on the way to an object: what `@Parent` and its like mean there.
#[derive(Debug, Clone, Default)]
struct Table {
    /// The package of its sections; empty when its rows are none.
    package: String,
    /// Their type, if it is known.
    ty: String,
    /// The call that lists its rows, as [`Reader::call`] gives it.
    call: String,
}

/// Who is asked about an object or parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocols {
    Cwmp,
    Other,
    Nobody,
}

type Read<T> = Result<T, LoadError>;

impl<'t> Reader<'t, '_> {
    /// A complaint about a piece, with the path of the member.
    fn fail<T>(&self, piece: &RawValue, why: &str) -> Read<T> {
        Err(self.file.fail(piece.get(), &format!("{}: {why}", self.trail.join("/"))))
    }

    fn members(&self, piece: &'t RawValue) -> Read<Members<'t>> {
        let members: Pairs<&RawValue> = self.read(piece)?;
        Ok(Members(members.0))
    }

    fn read<T: Deserialize<'t>>(&self, piece: &'t RawValue) -> Read<T> {
        self.file.read(piece.get()).map_err(|mut why| {
            why.why = format!("{}: {}", self.trail.join("/"), why.why);
            why
        })
    }

    /// The members of an array, or the one that stands without it.
    fn items(&self, piece: &'t RawValue) -> Read<Vec<&'t RawValue>> {
        if !piece.get().starts_with('[') {
            return Ok(vec![piece]);
        }
        let items: Vec<&RawValue> = self.read(piece)?;
        if items.len() > MAX_ITEMS {
            return self.fail(piece, &format!("more than {MAX_ITEMS} of them"));
        }
        Ok(items)
    }

    /// Reads a member of an object, or of the file when `path` is empty; a bad one is complained about and skipped.
    fn member(&mut self, path: &str, name: &str, piece: &'t RawValue, depth: usize) {
        if self.skipped.len() >= MAX_SKIPPED || self.count > MAX_ROWS {
            return;
        }
        self.trail.push(name.to_owned());
        let done = self.members(piece).and_then(|members| {
            let kind = members.text("type").unwrap_or_default();
            if kind == "command" || kind == "event" || name.ends_with("()") || name.ends_with('!') {
                return Ok(());
            }
            self.count += 1;
            if self.count > MAX_ROWS {
                return self.fail(piece, &format!("more than {MAX_ROWS} objects and parameters in one file"));
            }
            if kind == "object" {
                return self.object(name, piece, &members, depth);
            }
            let name = self.expanded(name);
            // A parameter of the file itself has its object in its name.
            let (object, name) = match name.rsplit_once('.') {
                Some((object, name)) if path.is_empty() => (format!("{object}."), name.to_owned()),
                _ => (path.to_owned(), name),
            };
            self.parameter(&object, &name, piece, &members)
        });
        if let Err(mut why) = done {
            why.why.push_str("; it is skipped");
            if self.skipped.len() + 1 == MAX_SKIPPED || self.count > MAX_ROWS {
                why.why.push_str(", and the rest of the file");
            }
            self.skipped.push(why);
        }
        self.trail.pop();
    }

    fn object(&mut self, name: &str, piece: &'t RawValue, members: &Members<'t>, depth: usize) -> Read<()> {
        let mut path = self.expanded(name);
        if !is_object_path(&path) {
            return self.fail(piece, "not the path of an object (it ends with a dot, {i} for instances)");
        }
        if depth >= MAX_DEPTH {
            return self.fail(piece, &format!("objects stand deeper in one another than {MAX_DEPTH}"));
        }
        let single = path.strip_suffix("{i}.").unwrap_or(&path).to_owned();
        let protocols = self.protocols(members)?;
        if protocols == Protocols::Nobody && !parent_path(&single).is_empty() {
            self.all.retain(|object| !object.path.starts_with(&single));
        }
        if protocols != Protocols::Cwmp || !self.depends(members) {
            return Ok(());
        }
        let table = members.is("array") || path != single;
        if table {
            path = format!("{single}{{i}}.");
        }
        self.parents(&path, piece)?;
        let known = self.find(&path).is_some();
        let mapping = members.piece("mapping").filter(|_| table && !(known && depth == 0));
        let rows = match mapping {
            Some(mapping) => Some(self.rows(&path, mapping)?),
            None if table && !known => {
                return self.fail(piece, "it says nowhere where its instances come from");
            }
            None => None,
        };
        if rows.is_some() || !known {
            // What was there under this name, a table or not, has had other rows.
            self.all.retain(|object| !object.path.starts_with(&single));
            let access = members.is("access") && rows.is_some_and(|rows| rows.from == Origin::Uci);
            let params = Vec::new().into();
            self.all.push(Object {
                path: keep(path.clone()),
                rows,
                add: access,
                delete: access,
                unique: &[],
                params,
            });
        }
        for (name, piece) in &members.0 {
            if piece.get().starts_with('{') && name != "mapping" {
                self.member(&path, name, piece, depth + 1);
            }
        }
        Ok(())
    }

    fn find(&self, path: &str) -> Option<usize> {
        self.all.iter().position(|object| object.path == path)
    }

    fn expanded(&self, name: &str) -> String {
        name.replace(PREFIX, self.around.prefix)
    }

    /// The objects above, which a plugin need not tell of.
    fn parents(&mut self, path: &str, piece: &RawValue) -> Read<()> {
        let mut missing = Vec::new();
        let mut parent = parent_path(path);
        while !parent.is_empty() && self.find(parent).is_none() {
            if parent.ends_with("{i}.") {
                return self.fail(piece, &format!("there is no table {parent}"));
            }
            missing.push(parent.to_owned());
            parent = parent_path(parent);
        }
        for path in missing {
            let path = keep(path);
            self.all.push(Object {
                path,
                rows: None,
                add: false,
                delete: false,
                unique: &[],
                params: Vec::new().into(),
            });
        }
        Ok(())
    }

    fn protocols(&self, members: &Members<'t>) -> Read<Protocols> {
        let Some(piece) = members.piece("protocols") else { return Ok(Protocols::Cwmp) };
        let names: Vec<String> = self.read(piece)?;
        Ok(match names.iter().any(|name| name == "cwmp") {
            true => Protocols::Cwmp,
            false if names.iter().any(|name| name == "none") => Protocols::Nobody,
            false => Protocols::Other,
        })
    }

    /// `file:/a,/b;opkg:c;ubus:d`. Whether somebody is on ubus changes by the minute, and is not asked.
    fn depends(&self, members: &Members<'t>) -> bool {
        let text = members.text("dependency").unwrap_or_default();
        text.split(';').filter_map(|part| part.split_once(':')).all(|(kind, list)| {
            list.split(',').map(str::trim).all(|word| match kind.trim() {
                "file" => (self.around.present)(word),
                "opkg" => {
                    [format!("/usr/lib/opkg/info/{word}.control"), format!("/lib/apk/packages/{word}.list")]
                        .iter()
                        .any(|path| (self.around.present)(path))
                }
                _ => true,
            })
        })
    }

    /// The tables on the way to an object, outermost first.
    fn tables(&self, path: &str) -> Vec<Table> {
        path.match_indices("{i}.").map(|(at, word)| self.table(&path[..at + word.len()])).collect()
    }

    fn table(&self, path: &str) -> Table {
        let Some(rows) = self.find(path).and_then(|at| self.all[at].rows) else { return Table::default() };
        if let (Origin::Uci, Some((package, ty))) = (rows.from, rows.spec.split_once('.')) {
            return Table { package: package.to_owned(), ty: ty.to_owned(), call: String::new() };
        }
        if let Some(call) = rows.spec.strip_prefix("bbf_rows:") {
            return Table { call: call.to_owned(), ..Table::default() };
        }
        // Rows of a function are sections where its parameters are options of them.
        let own = |object: &&Object| object.path.strip_prefix(path).is_some_and(|rest| !rest.contains("{i}"));
        let mut params = self.all.iter().filter(own).flat_map(|object| object.params.iter());
        let package = params.find_map(|param| {
            let (package, rest) = param.source.spec.split_once('.')?;
            (param.source.from == Origin::Uci && rest.starts_with("{}.")).then(|| package.to_owned())
        });
        Table { package: package.unwrap_or_default(), ..Table::default() }
    }

    fn rows(&self, path: &str, mapping: &'t RawValue) -> Read<Rows> {
        let parents = self.tables(parent_path(path));
        let piece = self.items(mapping)?.first().copied().unwrap_or(mapping);
        let members = self.members(piece)?;
        let rows = |from, spec: String| Rows {
            from,
            spec: keep(spec),
            when: &[],
            id: &[],
            fresh: &[],
            volatile: from == Origin::Function,
        };
        match members.text("type").as_deref() {
            Some("uci") => {
                let uci = self.inner(&members, "uci", piece)?;
                let section = self.inner(&uci, "section", piece)?;
                let (Some(package), Some(ty)) = (uci_word(&uci, "file"), uci_word(&section, "type")) else {
                    return self.fail(piece, "rows of UCI need a file and the type of a section");
                };
                let mut fresh = vec![format!(".name={}_", ty.replace('-', "_"))];
                let mut when = Vec::new();
                if parents.last().is_some_and(|parent| !parent.package.is_empty()) {
                    let level = parents.len();
                    when.push(format!("dm_parent=|{{{level}}}"));
                    fresh.push(format!("dm_parent={{{level}}}"));
                }
                Ok(Rows {
                    when: words(when),
                    fresh: words(fresh),
                    ..rows(Origin::Uci, format!("{package}.{ty}"))
                })
            }
            Some("ubus") => {
                let call = self.call(&members, piece, &parents, false)?;
                Ok(rows(Origin::Function, format!("bbf_rows:{call}")))
            }
            other => self.fail(piece, &format!("rows cannot come from {:?}", other.unwrap_or("nowhere"))),
        }
    }

    fn inner(&self, members: &Members<'t>, name: &str, piece: &RawValue) -> Read<Members<'t>> {
        match members.piece(name) {
            Some(piece) => self.members(piece),
            None => self.fail(piece, &format!("{name:?} is missing")),
        }
    }

    fn parameter(&mut self, path: &str, name: &str, piece: &'t RawValue, members: &Members<'t>) -> Read<()> {
        if !is_name(name) {
            return self.fail(piece, &format!("{name:?} is not a parameter name"));
        }
        let protocols = self.protocols(members)?;
        if self.trail.len() == 1 && protocols == Protocols::Cwmp && is_object_path(path) {
            self.parents(&format!("{path}{name}."), piece)?;
        }
        let Some(at) = self.find(path) else {
            return self.fail(piece, &format!("there is no object {path}"));
        };
        if protocols == Protocols::Nobody {
            self.all[at].params.to_mut().retain(|param| param.name != name);
        }
        if protocols != Protocols::Cwmp {
            return Ok(());
        }
        let mut param = self.read_parameter(path, piece, members)?;
        param.name = keep(name.to_owned());
        if name == "Alias" && path.ends_with("{i}.") {
            param.source = Source::plain(Origin::Alias, "");
        }
        let params = self.all[at].params.to_mut();
        match params.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = param,
            None => params.push(param),
        }
        Ok(())
    }

    fn read_parameter(&self, path: &str, piece: &'t RawValue, members: &Members<'t>) -> Read<Param> {
        let mut ty = self.ty(piece, members)?;
        let default = match members.text("default").map(|text| ty.canonical(&text)) {
            None => None,
            Some(Ok(text)) => Some(keep(text)),
            Some(Err(_)) => return self.fail(piece, "its default is not a value of its type"),
        };
        let flags = members.piece("flags").map_or(Ok(Vec::new()), |piece| self.items(piece))?;
        let mut hidden = flags.iter().any(|flag| flag.get().eq_ignore_ascii_case("\"secure\""));
        let mut write = members.is("write");
        let tables = self.tables(path);
        let (mut getting, mut setting) = (None, None);
        for piece in members.piece("mapping").map_or(Ok(Vec::new()), |piece| self.items(piece))? {
            let mapping = self.members(piece)?;
            let rpc = mapping.text("rpc");
            let set = rpc.as_deref() == Some("set");
            let source = match mapping.text("type") {
                // A value that nobody may read.
                None if rpc.as_deref() == Some("get") => None,
                _ => Some(self.place(piece, &mapping, &tables, set, &mut ty)?),
            };
            if !set && getting.is_none() {
                hidden |= source.is_none();
                getting = Some(source);
            }
            if set || rpc.is_none() {
                setting = setting.or(source);
            }
        }
        let source = match (getting.flatten(), setting.filter(|_| write)) {
            (None, None) if default.is_none() => {
                return self.fail(piece, "it says nowhere where its value lives");
            }
            (None, None) => {
                write = false;
                Source::plain(Origin::Const, default.unwrap_or_default())
            }
            (None, Some(set)) => {
                hidden = true;
                match set.from {
                    Origin::Function => {
                        Source { spec: keep(format!("bbf_value:{HALF}{}", call_of(&set))), ..set }
                    }
                    _ => set,
                }
            }
            (Some(get), None) => {
                write = false;
                get
            }
            (Some(get), Some(set)) if (get.from, set.from) == (Origin::Function, Origin::Function) => {
                // One call for both is one that reads.
                write = get.spec != set.spec;
                match write {
                    true => Source { spec: keep(format!("{}{HALF}{}", get.spec, call_of(&set))), ..get },
                    false => get,
                }
            }
            (Some(get), Some(set)) => {
                if get != set {
                    return self.fail(piece, "what it reads and what it writes are of two kinds");
                }
                write = matches!(get.from, Origin::Uci | Origin::Store);
                get
            }
        };
        let default = if source.from == Origin::Const { "" } else { default.unwrap_or_default() };
        let (source, notify) = (source.refined(|how| how.default = default), Notify::Normal);
        let ty: &'static Type = Box::leak(Box::new(ty));
        Ok(Param { name: "", ty, write, hidden, inform: false, notify, source })
    }

    /// `type`, and the facets.
    fn ty(&self, piece: &'t RawValue, members: &Members<'t>) -> Read<Type> {
        let list = members.piece("list").map(|piece| self.members(piece)).transpose()?;
        let facets = list.as_ref().unwrap_or(members);
        let name = if list.is_some() { facets.text("datatype") } else { facets.text("type") };
        let name = name.unwrap_or_else(|| "string".to_owned());
        let Some(kind) = Kind::from_name(&name) else {
            return self.fail(piece, &format!("{name:?} is not a type"));
        };
        let mut ty = Type { list: list.is_some(), ..Type::of(kind) };
        ty.list_size = facets.text("maxsize").filter(|_| ty.list).and_then(|most| most.parse().ok());
        ty.format = facets.text("datatype").and_then(|name| {
            let name = match &*name {
                "Alias" => "alias",
                "IPAddress" => "ip",
                "IPv4Address" => "ipv4",
                "IPv6Address" => "ipv6",
                "IPPrefix" => "ipprefix",
                "IPv4Prefix" => "ipv4prefix",
                "IPv6Prefix" => "ipv6prefix",
                "MACAddress" => "mac",
                _ => return None,
            };
            Format::from_name(name).filter(|_| kind == Kind::String)
        });
        if let Some(words_of) = facets.piece("enumerations") {
            let list: Vec<String> = self.read(words_of)?;
            if list.len() > MAX_ITEMS {
                return self.fail(words_of, &format!("more than {MAX_ITEMS} words"));
            }
            ty.values = words(list);
        }
        let mut ranges = Vec::new();
        for piece in facets.piece("range").map_or(Ok(Vec::new()), |piece| self.items(piece))? {
            let range = self.members(piece)?;
            let bound = |name| match range.text(name) {
                None => Ok(None),
                Some(text) => match text.parse::<i128>() {
                    Ok(number) => Ok(Some(number)),
                    Err(_) => self.fail(piece, &format!("{text:?} is not a whole number")),
                },
            };
            ranges.push((bound("min")?, bound("max")?));
        }
        match kind {
            Kind::Int | Kind::UnsignedInt | Kind::Long | Kind::UnsignedLong => {
                ty.ranges = Box::leak(ranges.into_boxed_slice());
            }
            Kind::String | Kind::Base64 | Kind::HexBinary if !ranges.is_empty() => {
                let length =
                    |bound: Option<i128>, or: u32| bound.map_or(or, |it| u32::try_from(it).unwrap_or(or));
                let least = ranges.iter().map(|(from, _)| length(*from, 0)).min().unwrap_or(0);
                let most = ranges.iter().map(|(_, to)| length(*to, u32::MAX)).max().unwrap_or(u32::MAX);
                ty.size = Some((least, most));
            }
            _ => {}
        }
        Ok(ty)
    }

    /// A number of entries of a table that is there now is what the model counts.
    fn count_tables(&mut self) {
        let tables: Vec<&str> =
            self.all.iter().filter(|it| it.is_table()).map(|object| object.path).collect();
        for object in &mut self.all {
            let path = object.path;
            let counted = |param: &Param| {
                let of = param.name.strip_suffix("NumberOfEntries")?;
                let ours = param.source.from == Origin::Function && param.source.spec.starts_with("bbf_");
                (ours && tables.contains(&&*format!("{path}{of}.{{i}}."))).then_some(of)
            };
            if object.params.iter().any(|param| counted(param).is_some()) {
                for param in object.params.to_mut() {
                    if let Some(of) = counted(param) {
                        param.source = Source::plain(Origin::Count, keep(of.to_owned()));
                    }
                }
            }
        }
    }
}

/// The call of a source of `bbf_value`.
fn call_of(source: &Source) -> &'static str {
    source.spec.split_once(':').map_or("", |(_, call)| call)
}

fn words(list: Vec<String>) -> &'static [&'static str] {
    Box::leak(list.into_iter().map(keep).collect::<Vec<_>>().into_boxed_slice())
}
