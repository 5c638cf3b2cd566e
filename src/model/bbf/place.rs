//! Mappings of a plugin: where they point to, in the words of our own schema.

use serde_json::value::RawValue;

use super::super::load::{is_object_path, keep};
use super::super::schema::{Origin, Source};
use super::super::value::Type;
use super::{MAX_ITEMS, Members, PART, Read, Reader, Table, words};

/// The longest text of a mapping, in octets.
const MAX_TEXT: usize = 256;

impl<'t> Reader<'t, '_> {
    /// Where a mapping points to.
    pub(super) fn place(
        &self,
        piece: &'t RawValue,
        mapping: &Members<'t>,
        tables: &[Table],
        set: bool,
        ty: &mut Type,
    ) -> Read<Source> {
        let parent = tables.last();
        let level = tables.len();
        let kind = mapping.text("type").unwrap_or_default();
        if matches!(&*kind, "uci_sec" | "dmmap_sec" | "json")
            && mapping.text("data").as_deref() != Some("@Parent")
        {
            return self.fail(piece, "its data can only be those of \"@Parent\"");
        }
        let mut source = match &*kind {
            "uci" => self.option(piece, mapping, tables, ty)?,
            "uci_sec" => {
                let Some(package) = parent.map(|table| &table.package).filter(|package| !package.is_empty())
                else {
                    return self.fail(piece, "its parent is not a section of UCI");
                };
                match (uci_word(mapping, "list"), mapping.text("key"), uci_word(mapping, "key")) {
                    (Some(list), ..) => {
                        ty.list = true;
                        Source::plain(Origin::Uci, keep(format!("{package}.{{{level}}}.{list}")))
                    }
                    (None, Some(key), _) if key == "@Name" => Source::plain(Origin::Row, "name"),
                    (None, _, Some(key)) => {
                        let spec = keep(format!("{package}.{{{level}}}.{key}"));
                        Source::plain(Origin::Uci, spec).refined(|how| how.key = joined(ty))
                    }
                    _ => return self.fail(piece, "the name of an option is missing"),
                }
            }
            "dmmap_sec" => Source::plain(Origin::Store, ""),
            "ubus" => {
                let call = self.call(mapping, piece, tables, set)?;
                Source::plain(Origin::Function, keep(format!("bbf_value:{call}")))
            }
            "json" => {
                let Some(call) = parent.map(|table| &table.call).filter(|call| !call.is_empty()) else {
                    return self.fail(piece, "its parent is not a row of ubus");
                };
                let key = self.symbols(&mapping.text("key").unwrap_or_default(), tables, piece)?;
                let mut parts: Vec<&str> = call.split(PART).collect();
                let key = format!("{}[{{{level}}}].{key}", parts.get(2).unwrap_or(&""));
                if let Some(part) = parts.get_mut(2) {
                    *part = &key;
                }
                let call = parts.join(&PART.to_string());
                Source::plain(Origin::Function, keep(format!("bbf_value:{call}")))
            }
            other => return self.fail(piece, &format!("a mapping to {other:?} is not one that works here")),
        };
        if let Some(linker) = mapping.text("linker_obj") {
            let target = self.expanded(&linker).replace(".*.", ".{i}.");
            let table = target.rsplit_once('.').map_or("", |(table, _)| table);
            if table.ends_with("{i}") && is_object_path(&format!("{target}.")) {
                source = source.refined(|how| how.refs = words(vec![target]));
            }
        }
        Ok(source)
    }

    fn option(
        &self,
        piece: &'t RawValue,
        mapping: &Members<'t>,
        tables: &[Table],
        ty: &mut Type,
    ) -> Read<Source> {
        let uci = self.inner(mapping, "uci", piece)?;
        let section = self.inner(&uci, "section", piece)?;
        let Some(package) = uci_word(&uci, "file") else {
            return self.fail(piece, "the name of a package is missing");
        };
        let list = uci.piece("list").map(|piece| self.members(piece)).transpose()?;
        let option = uci.piece("option").map(|piece| self.members(piece)).transpose()?;
        let named = list.as_ref().or(option.as_ref()).and_then(|members| members.text("name"));
        let (section_ty, level) = (uci_word(&section, "type"), tables.len());
        let own = |table: &Table| table.package == package && section_ty.as_ref() == Some(&table.ty);
        let own = tables.iter().rposition(own).map(|at| at + 1);
        let section = match (section.text("name"), &section_ty, own) {
            (Some(name), ..) if name == "@Name" && level > 0 => format!("{{{level}}}"),
            (Some(name), ..) if is_uci_word(&name) => name,
            (None, Some(_), Some(own)) => format!("{{{own}}}"),
            (None, Some(ty), None) => {
                let index = section.text("index").unwrap_or_default();
                match index.parse::<u16>() {
                    Ok(index) => format!("@{ty}[{index}]"),
                    Err(_) if level > 0 => format!("@{ty}[{{@{level}}}]"),
                    Err(_) => format!("@{ty}[0]"),
                }
            }
            _ => return self.fail(piece, "the name or type of a section is missing"),
        };
        match (named.as_deref(), &section_ty) {
            (Some("@Count"), Some(ty)) => {
                let parent = tables.last().filter(|table| !table.package.is_empty());
                let parent = parent.map_or(String::new(), |_| format!("{{{level}}}"));
                let spec = format!("bbf_sections:{package}{PART}{ty}{PART}{parent}");
                Ok(Source::plain(Origin::Function, keep(spec)))
            }
            (Some("@Name"), _) if own.is_some() => Ok(Source::plain(Origin::Row, "name")),
            (Some(name), _) if is_uci_word(name) => {
                ty.list |= list.is_some();
                let key = if list.is_some() { "" } else { joined(ty) };
                let spec = keep(format!("{package}.{section}.{name}"));
                Ok(Source::plain(Origin::Uci, spec).refined(|how| how.key = key))
            }
            _ => self.fail(piece, "the name of an option is missing"),
        }
    }

    /// `object`, `method`, `key` and `args`, see [`PART`].
    pub(super) fn call(
        &self,
        mapping: &Members<'t>,
        piece: &'t RawValue,
        tables: &[Table],
        set: bool,
    ) -> Read<String> {
        let ubus = self.inner(mapping, "ubus", piece)?;
        let mut parts = Vec::new();
        for name in ["object", "method", "key"] {
            let text = ubus.text(name).unwrap_or_default();
            if text.is_empty() && (name != "key" || !set) {
                return self.fail(piece, &format!("the {name} of a call over ubus is missing"));
            }
            parts.push(self.symbols(&text, tables, piece)?);
        }
        let arguments = match ubus.piece("args") {
            Some(piece) => self.members(piece)?,
            None => Members(Vec::new()),
        };
        if arguments.0.len() > MAX_ITEMS {
            return self.fail(piece, "too many arguments");
        }
        for (name, value) in &arguments.0 {
            let Some(text) = arguments.text(name) else {
                return self.fail(value, "an argument is a text, a number, true or false");
            };
            let letter = match value.get().as_bytes().first() {
                Some(b'"') => 's',
                Some(b't' | b'f') => 'b',
                _ => 'i',
            };
            parts.push(self.symbols(name, tables, piece)?);
            parts.push(format!("{letter}{}", self.symbols(&text, tables, value)?));
        }
        Ok(parts.join(&PART.to_string()))
    }

    /// A text with bbfdm's symbols in our own way; `@Value` and `@Count` stay for the functions.
    fn symbols(&self, text: &str, tables: &[Table], piece: &RawValue) -> Read<String> {
        if text.len() > MAX_TEXT || text.chars().any(char::is_control) {
            return self.fail(piece, "a text is too long, or has control characters");
        }
        let mut text = self.expanded(text);
        for level in 1..=tables.len() {
            text = text.replacen("{i}", &format!("\u{1}#{level}\u{2}"), 1);
        }
        if text.contains(['{', '}']) {
            return self.fail(piece, "a brace that does not stand for an instance");
        }
        if text.contains("@index-") || text.contains("@index -") {
            return self.fail(piece, "the number of an instance further out is not had by \"@index-\" here");
        }
        let Some(last) = tables.last() else {
            return match ["@index", "@i-1", "@Name"].iter().any(|symbol| text.contains(symbol)) {
                true => self.fail(piece, "there is no instance that a symbol could stand for"),
                false => Ok(text),
            };
        };
        let level = tables.len();
        // Rows of ubus are found by their place.
        let index =
            if last.call.is_empty() { format!("\u{1}@{level}\u{2}") } else { format!("\u{1}{level}\u{2}") };
        let text = text.replace("@index", &index).replace("@i-1", &index);
        let text = text.replace("@Name", &format!("\u{1}{level}\u{2}"));
        Ok(text.replace('\u{1}', "{").replace('\u{2}', "}"))
    }
}

/// How an option that is not a list of UCI holds a list.
fn joined(ty: &Type) -> &'static str {
    if ty.list { "," } else { "" }
}

pub(super) fn uci_word(members: &Members<'_>, name: &str) -> Option<String> {
    members.text(name).filter(|word| is_uci_word(word))
}

/// Whether a text can be the name of a package, a section or an option.
fn is_uci_word(word: &str) -> bool {
    (1..=64).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}
