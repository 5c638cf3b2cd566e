//! One UCI file in memory: every byte of it, and what libuci would read from it.
//!
//! A [`Document`] keeps the file as pieces of the original bytes, so that an unchanged document is
//! written back byte for byte and an edit (see [`super::edit`]) touches only the lines it is about.
//! Bytes that are no UTF-8 stay as they are in the file; a value that has some is shown with U+FFFD
//! in their place, and they are lost only if that very value is set to something else.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use super::scan::{Fault, Line, Scanner, Statement, Verb};

/// Largest file, in bytes.
pub const MAX_FILE: usize = 1024 * 1024;
/// Most sections in a file.
pub const MAX_SECTIONS: usize = 4096;
/// Most differently named options in a section.
pub const MAX_OPTIONS: usize = 1024;
/// Most statements in a file.
pub const MAX_STATEMENTS: usize = 65_536;

/// What an option holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// From `option`.
    Single(String),
    /// From one or more `list` lines, in their order.
    List(Vec<String>),
}

impl Value {
    /// The words of the value: the elements of a list, the blank-separated words of a single value.
    ///
    /// The same option is a string on one router and a list on the next; this reads both.
    pub fn words(&self) -> Vec<&str> {
        match self {
            Value::Single(text) => text.split_ascii_whitespace().collect(),
            Value::List(list) => list.iter().map(String::as_str).collect(),
        }
    }

    /// The value as one string, as `uci get` prints it: a list joined by blanks.
    pub fn joined(&self) -> String {
        match self {
            Value::Single(text) => text.clone(),
            Value::List(list) => list.join(" "),
        }
    }

    /// True for what UCI cannot tell from an option that is not there.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Single(text) => text.is_empty(),
            Value::List(list) => list.is_empty(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Single(text.to_string())
    }
}

impl<const N: usize> From<[&str; N]> for Value {
    fn from(list: [&str; N]) -> Self {
        Value::List(list.iter().map(|text| text.to_string()).collect())
    }
}

/// One section as libuci sees it; several `config` statements of one name make one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub(super) id: u32,
    pub(super) key: String,
    pub(super) ty: String,
    pub(super) anonymous: bool,
    pub(super) index_in_type: usize,
    pub(super) options: Vec<(String, Value)>,
}

impl Section {
    /// The name to address the section by: its own, or libuci's generated `cfgXXXXXX`.
    ///
    /// A generated name holds until the file is read again after a section before it came or went.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The section's own name; `None` if it is anonymous.
    pub fn name(&self) -> Option<&str> {
        if self.anonymous { None } else { Some(&self.key) }
    }

    /// The section's type.
    pub fn ty(&self) -> &str {
        &self.ty
    }

    /// Whether the section has only a generated name.
    pub fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// The `N` of `@type[N]`.
    pub fn index_in_type(&self) -> usize {
        self.index_in_type
    }

    /// The value of an option.
    pub fn option(&self, name: &str) -> Option<&Value> {
        self.options.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The option as one string, lists joined by blanks.
    pub fn text(&self, name: &str) -> Option<String> {
        self.option(name).map(Value::joined)
    }

    /// All options in their order.
    pub fn options(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.options.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// Why a file is not UCI, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The file or package, as given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub why: String,
    /// The line, shortened around the column, without control characters.
    excerpt: String,
    caret: usize,
}

impl ParseError {
    /// The message with the line itself and a caret under the culprit. For people, not for logs:
    /// the line may hold a password.
    pub fn explain(&self) -> String {
        format!("{self}\n  {}\n  {}^", self.excerpt, " ".repeat(self.caret))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.why)
    }
}

impl std::error::Error for ParseError {}

/// A UCI file: its bytes and its sections.
#[derive(Debug, Clone)]
pub struct Document {
    pub(super) file: String,
    /// What precedes the first section.
    pub(super) head: Vec<Chunk>,
    pub(super) blocks: Vec<Block>,
    pub(super) sections: Vec<Section>,
    /// How many sections were made so far; the two digits of the next generated name.
    pub(super) made: usize,
    /// Some line holds several statements, so it must be taken apart before any edit.
    pub(super) shared_lines: bool,
}

/// One `config` statement and all up to the next, the statement itself first.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) section: u32,
    pub(super) chunks: Vec<Chunk>,
}

/// A piece of the file: a line, or one statement of a line that has several.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    pub(super) raw: Vec<u8>,
    pub(super) stated: Option<Stated>,
}

/// A statement within its chunk; offsets are into `raw`.
#[derive(Debug, Clone)]
pub(super) struct Stated {
    pub(super) verb: Verb,
    pub(super) start: usize,
    pub(super) name: String,
    pub(super) name_at: Range<usize>,
    pub(super) value: String,
    pub(super) value_at: Range<usize>,
}

impl Document {
    /// Reads a file. `file` names it in messages. Fails where libuci in its (default) strict mode
    /// fails, and beyond the limits of this module.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Document, ParseError> {
        read(file, bytes).map_err(|fault| locate(file, bytes, fault))
    }

    /// The bytes to write to the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for chunk in self.head.iter().chain(self.blocks.iter().flat_map(|block| &block.chunks)) {
            out.extend_from_slice(&chunk.raw);
        }
        out
    }

    /// The name given to [`Document::parse`].
    pub fn file(&self) -> &str {
        &self.file
    }

    /// All sections in their order.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter()
    }

    /// The sections of one type in their order.
    pub fn of_type<'a>(&'a self, ty: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections.iter().filter(move |section| section.ty == ty)
    }

    /// The section of that name, generated name, or position: `lan`, `cfg030f15`, `@system[0]`,
    /// `@rule[-1]` (the last), `@[2]` (of any type).
    pub fn find(&self, section: &str) -> Option<&Section> {
        self.position(section).map(|at| &self.sections[at])
    }

    /// Shorthand for [`Document::find`] and [`Section::option`].
    pub fn option(&self, section: &str, option: &str) -> Option<&Value> {
        self.find(section)?.option(option)
    }

    pub(super) fn position(&self, section: &str) -> Option<usize> {
        let Some(place) = section.strip_prefix('@') else {
            return self.sections.iter().position(|known| known.key == section);
        };
        let (ty, index) = place.strip_suffix(']')?.split_once('[')?;
        let index: i32 = index.parse().ok()?;
        let fits = |section: &Section| ty.is_empty() || section.ty == ty;
        let mut places = (0..self.sections.len()).filter(|at| fits(&self.sections[*at]));
        match usize::try_from(index) {
            Ok(index) => places.nth(index),
            Err(_) => places.nth_back(usize::try_from(index.unsigned_abs()).ok()?.checked_sub(1)?),
        }
    }

    /// Counts the sections of each type again.
    pub(super) fn number(&mut self) {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for section in &mut self.sections {
            let count = seen.entry(section.ty.clone()).or_default();
            section.index_in_type = *count;
            *count += 1;
        }
    }
}

/// The name libuci gives to the `nth` section (from 1) of a file if it has none: the number and a
/// hash of the type, by which a change of the order is noticed.
pub fn generated_name(nth: usize, ty: &str) -> String {
    let hash = ty
        .bytes()
        .fold(5381_u32, |hash, byte| hash.wrapping_shl(5).wrapping_add(hash).wrapping_add(u32::from(byte)));
    format!("cfg{nth:02x}{:04x}", hash & 0xffff)
}

/// What one `option` or `list` statement does to the options read before it.
pub(super) fn merge(options: &mut Vec<(String, Value)>, stated: &Stated) {
    let known = options.iter_mut().find(|(name, _)| *name == stated.name).map(|(_, value)| value);
    match (stated.verb, known) {
        // libuci passes over an option without a value and leaves an earlier one alone.
        (Verb::Option, _) if stated.value.is_empty() => {}
        (Verb::Option, Some(value)) => *value = Value::Single(stated.value.clone()),
        (Verb::Option, None) => options.push((stated.name.clone(), Value::Single(stated.value.clone()))),
        (Verb::List, Some(Value::List(list))) => list.push(stated.value.clone()),
        (Verb::List, Some(value)) => *value = Value::List(vec![value.joined(), stated.value.clone()]),
        (Verb::List, None) => options.push((stated.name.clone(), Value::List(vec![stated.value.clone()]))),
        (Verb::Package | Verb::Config, _) => {}
    }
}

fn read(file: &str, bytes: &[u8]) -> Result<Document, Fault> {
    if bytes.len() > MAX_FILE {
        return Err(Fault {
            at: 0,
            why: format!("{} bytes are more than the {MAX_FILE} allowed", bytes.len()),
        });
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(Fault { at, why: "a zero byte".into() });
    }
    let mut document = Document {
        file: file.to_string(),
        head: Vec::new(),
        blocks: Vec::new(),
        sections: Vec::new(),
        made: 0,
        shared_lines: false,
    };
    // Positions in `sections` by key: a linear search would make a hostile file quadratic.
    let mut by_key: HashMap<String, usize> = HashMap::new();
    let mut current = None;
    let mut count = 0;
    let mut scanner = Scanner::new(bytes);
    while let Some(Line { range: line, content: statements }) = scanner.line()? {
        document.shared_lines |= statements.len() > 1;
        if statements.is_empty() {
            document.push(Chunk { raw: bytes[line].to_vec(), stated: None });
            continue;
        }
        count += statements.len();
        if count > MAX_STATEMENTS {
            return Err(Fault { at: line.start, why: format!("more than {MAX_STATEMENTS} statements") });
        }
        let mut from = line.start;
        for (nth, statement) in statements.iter().enumerate() {
            let to = if nth + 1 == statements.len() { line.end } else { statement.resume };
            let chunk = Chunk::cut(bytes, from..to, statement);
            from = to;
            match statement.verb {
                Verb::Package => {}
                Verb::Config => {
                    let at = document.open(&chunk, &mut by_key);
                    if document.sections.len() > MAX_SECTIONS {
                        let why = format!("more than {MAX_SECTIONS} sections");
                        return Err(Fault { at: statement.start, why });
                    }
                    let at = at.map_err(|why| Fault { at: statement.name.span.start, why })?;
                    current = Some(at);
                    let section = document.sections[at].id;
                    document.blocks.push(Block { section, chunks: Vec::new() });
                }
                Verb::Option | Verb::List => {
                    let Some(at) = current else {
                        let why = "an option before the first section".into();
                        return Err(Fault { at: statement.start, why });
                    };
                    let options = &mut document.sections[at].options;
                    if let Some(stated) = &chunk.stated {
                        merge(options, stated);
                    }
                    if options.len() > MAX_OPTIONS {
                        let why = format!("more than {MAX_OPTIONS} options in a section");
                        return Err(Fault { at: statement.start, why });
                    }
                }
            }
            document.push(chunk);
        }
    }
    document.number();
    Ok(document)
}

impl Document {
    fn push(&mut self, chunk: Chunk) {
        match self.blocks.last_mut() {
            Some(block) => block.chunks.push(chunk),
            None => self.head.push(chunk),
        }
    }

    /// The position of the section that a `config` statement opens, made if it is new.
    fn open(&mut self, chunk: &Chunk, by_key: &mut HashMap<String, usize>) -> Result<usize, String> {
        let Some(stated) = &chunk.stated else {
            return Err("no section".into());
        };
        if let Some(at) = by_key.get(&stated.value) {
            let ty = &self.sections[*at].ty;
            if *ty != stated.name {
                return Err(format!("the section {:?} is of type {ty:?} already", stated.value));
            }
            return Ok(*at);
        }
        self.made += 1;
        let anonymous = stated.value.is_empty();
        let key = if anonymous { generated_name(self.made, &stated.name) } else { stated.value.clone() };
        by_key.entry(key.clone()).or_insert(self.sections.len());
        self.sections.push(Section {
            id: u32::try_from(self.made).unwrap_or(u32::MAX),
            key,
            ty: stated.name.clone(),
            anonymous,
            index_in_type: 0,
            options: Vec::new(),
        });
        Ok(self.sections.len() - 1)
    }
}

impl Chunk {
    fn cut(bytes: &[u8], range: Range<usize>, statement: &Statement) -> Chunk {
        let within = |span: &Range<usize>| {
            let clip = |at: usize| at.clamp(range.start, range.end) - range.start;
            clip(span.start)..clip(span.end)
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Chunk {
            stated: Some(Stated {
                verb: statement.verb,
                start: statement.start - range.start,
                name: text(&statement.name.text),
                name_at: within(&statement.name.span),
                value: text(&statement.value.text),
                value_at: within(&statement.value.span),
            }),
            raw: bytes[range].to_vec(),
        }
    }
}

fn locate(file: &str, bytes: &[u8], fault: Fault) -> ParseError {
    /// How much of a long line is shown before and after the culprit, in characters.
    const AROUND: usize = 60;
    let at = fault.at.min(bytes.len());
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |newline| at + newline);
    let before = String::from_utf8_lossy(&bytes[start..at]).chars().count();
    let line = String::from_utf8_lossy(&bytes[start..end]);
    let skipped = before.saturating_sub(AROUND);
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    ParseError {
        file: file.to_string(),
        line: bytes[..start].iter().filter(|byte| **byte == b'\n').count() + 1,
        column: before + 1,
        why: fault.why,
        excerpt: line
            .chars()
            .skip(skipped)
            .take(2 * AROUND)
            .map(plain)
            .collect::<String>()
            .trim_end()
            .to_string(),
        caret: before - skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Document {
        Document::parse("test", text.as_bytes()).unwrap()
    }

    fn check(text: &str, section: &str, option: &str, expected: impl Into<Option<Value>>) {
        let expected = expected.into();
        assert_eq!(parse(text).option(section, option), expected.as_ref(), "{text:?}");
        assert_eq!(parse(text).to_bytes(), text.as_bytes());
    }

    #[test]
    fn values() {
        let single = |text: &str| Some(Value::from(text));
        check("config x y\n\toption a 1\n\toption a 2\n", "y", "a", single("2"));
        check("config x y\n\toption a 1\n\toption a ''\n", "y", "a", single("1"));
        check("config x y\n\toption a\n", "y", "a", None);
        check("config x y\n\tlist a 1\n\tlist a 2\n", "y", "a", Some(["1", "2"].into()));
        check("config x y\n\tlist a ''\n", "y", "a", Some([""].into()));
        check("config x y\n\toption a 1\n\tlist a 2\n", "y", "a", Some(["1", "2"].into()));
        check("config x y\n\tlist a 1\n\toption a 2\n", "y", "a", single("2"));
        check("config x y\n\toption a 1\nconfig x z\nconfig x y\n\toption b 2\n", "y", "b", single("2"));
        check("config x 0y\n\toption 1a 1\n", "0y", "1a", single("1"));
        check("package p\nconfig x\n\toption a '1'", "@x[0]", "a", single("1"));
    }

    #[test]
    fn addresses() {
        let text = parse("config a\nconfig b n\nconfig a\nconfig a m\n");
        let key = |section: &str| text.find(section).map(|found| found.key().to_string());
        assert_eq!(key("@a[0]"), key(&generated_name(1, "a")));
        assert_eq!(key("@a[1]"), key(&generated_name(3, "a")));
        for (place, name) in [("@a[2]", "m"), ("@a[-1]", "m"), ("@b[-1]", "n"), ("@[1]", "n"), ("@[-1]", "m")]
        {
            assert_eq!(key(place).as_deref(), Some(name), "{place}");
        }
        for none in ["@a[3]", "@a[-4]", "@c[0]", "@a", "@a[", "@a[x]", "@a[0]x", "x", "", "@a[99999999999]"] {
            assert_eq!(key(none), None, "{none}");
        }
        let indexes: Vec<_> = text.sections().map(Section::index_in_type).collect();
        assert_eq!(indexes, [0, 0, 1, 2]);
    }

    #[test]
    fn generated_names_of_a_real_rpcd() {
        assert_eq!(generated_name(3, "device"), "cfg030f15");
        assert_eq!(generated_name(4, "bridge-vlan"), "cfg04a1b0");
        assert_eq!(generated_name(9, "route"), "cfg09c8b4");
    }

    fn refused(text: &[u8], shown: &str) {
        assert_eq!(Document::parse("network", text).unwrap_err().explain(), shown);
    }

    #[test]
    fn errors() {
        refused(
            b"config x y\n\toption a b c\n",
            "network:2:13: \"c\" is one word too many\n   option a b c\n              ^",
        );
        refused(b"option a b\n", "network:1:1: an option before the first section\n  option a b\n  ^");
        refused(
            b"config x y\nconfig z y\n",
            "network:2:8: the section \"y\" is of type \"x\" already\n  config z y\n         ^",
        );
        refused(b"config x\0\n", "network:1:9: a zero byte\n  config x\n          ^");
        let many = "config x\n".repeat(MAX_SECTIONS + 1);
        assert_eq!(Document::parse("f", many.as_bytes()).unwrap_err().why, "more than 4096 sections");
        let many: String = (0..=MAX_OPTIONS).map(|n| format!("option a{n} b\n")).collect();
        let error = Document::parse("f", format!("config x\n{many}").as_bytes()).unwrap_err();
        assert_eq!(error.why, "more than 1024 options in a section");
        let many = format!("config x\n{}", "list a b\n".repeat(MAX_STATEMENTS));
        assert_eq!(Document::parse("f", many.as_bytes()).unwrap_err().why, "more than 65536 statements");
        let error = Document::parse("f", &vec![b'#'; MAX_FILE + 1]).unwrap_err();
        assert_eq!(error.why, "1048577 bytes are more than the 1048576 allowed");
    }

    #[test]
    fn bytes_that_are_no_text_are_kept() {
        let bytes = b"# \xff\nconfig x y\n\toption a '\xfe\xff'\n";
        let document = Document::parse("test", bytes).unwrap();
        assert_eq!(document.option("y", "a"), Some(&Value::from("\u{fffd}\u{fffd}")));
        assert_eq!(document.to_bytes(), bytes);
    }
}
