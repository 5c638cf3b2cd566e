//! How statements are written: quoting that nothing escapes from, and lines that look like their neighbours.

use super::scan::Verb;
use super::text::{Chunk, Stated};

/// How a statement was written, to write another like it.
pub(super) struct Style {
    pub(super) indent: String,
    pub(super) quote: Quote,
    pub(super) eol: &'static str,
}

/// How a value was quoted.
#[derive(Clone, Copy)]
pub(super) enum Quote {
    Single,
    Double,
    Bare,
}

impl Default for Style {
    fn default() -> Self {
        Style { indent: String::new(), quote: Quote::Single, eol: "\n" }
    }
}

impl Style {
    /// For the first option of a file.
    pub(super) fn indented() -> Self {
        Style { indent: "\t".into(), ..Style::default() }
    }

    /// The style of a statement.
    pub(super) fn of(chunk: &Chunk) -> Style {
        let eol = if chunk.raw.ends_with(b"\r\n") { "\r\n" } else { "\n" };
        let Some(stated) = &chunk.stated else { return Style { eol, ..Style::default() } };
        let before = &chunk.raw[..stated.start];
        let indent = before.iter().filter(|byte| matches!(byte, b' ' | b'\t')).map(|byte| char::from(*byte));
        let quote = match chunk.raw.get(stated.value_at.start) {
            Some(b'"') => Quote::Double,
            Some(b'\'') => Quote::Single,
            _ if stated.value.is_empty() => Quote::Single,
            Some(_) => Quote::Bare,
            None => Quote::Single,
        };
        Style { indent: indent.collect(), quote, eol }
    }
}

/// A statement to write.
pub(super) struct Line<'a> {
    pub(super) verb: Verb,
    pub(super) name: &'a str,
    pub(super) value: &'a str,
}

impl<'a> Line<'a> {
    /// A line of a list.
    pub(super) fn list(name: &'a str, value: &'a str) -> Self {
        Line { verb: Verb::List, name, value }
    }

    /// The statement as a line of a file.
    pub(super) fn written(self, style: &Style) -> Chunk {
        let keyword = match self.verb {
            Verb::Package => "package",
            Verb::Config => "config",
            Verb::Option => "option",
            Verb::List => "list",
        };
        let mut raw = format!("{}{keyword} ", style.indent).into_bytes();
        let start = style.indent.len();
        let name_start = raw.len();
        raw.extend(quote(self.name, Quote::Bare).bytes());
        let name_at = name_start..raw.len();
        let mut value_at = raw.len()..raw.len();
        let has_value = match self.verb {
            // Empty quotes behind its name would be a word of their own.
            Verb::Package => false,
            Verb::Config => !self.value.is_empty(),
            Verb::Option | Verb::List => true,
        };
        if has_value {
            raw.push(b' ');
            value_at.start = raw.len();
            raw.extend(quote(self.value, style.quote).bytes());
            value_at.end = raw.len();
        }
        raw.extend(style.eol.bytes());
        let (name, value) = (self.name.to_string(), self.value.to_string());
        Chunk { raw, stated: Some(Stated { verb: self.verb, start, name, name_at, value, value_at }) }
    }
}

impl Chunk {
    /// Neither a statement nor a comment.
    pub(super) fn is_blank(&self) -> bool {
        self.stated.is_none() && self.raw.iter().all(u8::is_ascii_whitespace)
    }

    /// What follows the last argument, if it is only a comment and a line end; else a line end.
    ///
    /// Anything else was skipped by libuci (see [`super::scan`]) because of how the value was
    /// written, and would come alive behind another.
    fn tail(&self) -> &[u8] {
        let tail = self.rest();
        let text = tail.trim_ascii();
        let one_line = !tail.trim_ascii_end().contains(&b'\n');
        if one_line && (text.is_empty() || text[0] == b'#') { tail } else { b"\n" }
    }

    fn rest(&self) -> &[u8] {
        let end = self.stated.as_ref().map_or(0, |stated| stated.value_at.end.max(stated.name_at.end));
        &self.raw[end.min(self.raw.len())..]
    }

    /// Puts another statement in the place of this one, the comment behind it kept.
    pub(super) fn replace(&mut self, line: Line, style: &Style) {
        let tail = self.tail().to_vec();
        *self = line.written(style);
        self.raw.truncate(self.raw.len() - style.eol.len());
        self.raw.extend(tail);
    }

    /// Writes the statement anew, by itself.
    pub(super) fn rewrite(&mut self, style: &Style) {
        let Some(stated) = &self.stated else { return };
        *self = Line { verb: stated.verb, name: &stated.name, value: &stated.value }.written(style);
    }

    /// Sees to a line end, so that another line can follow.
    pub(super) fn close_line(&mut self, eol: &str) {
        let clean = self.tail() == self.rest();
        // A backslash at the very end would join the next line, and so does one before the last line end, or before
        // half of one.
        let joins = [&b"\\"[..], b"\\\r", b"\\\n", b"\\\r\n"].iter().any(|end| self.raw.ends_with(end));
        let open = joins && !self.rest().trim_ascii_start().starts_with(b"#");
        if self.raw.ends_with(b"\n") && !(open && self.stated.is_some()) {
            return;
        }
        if self.stated.is_some() && (!clean || open) {
            let style = Style::of(self);
            return self.rewrite(&style);
        }
        self.raw.extend_from_slice(eol.as_bytes());
    }

    /// Gives the statement another value in the same quotes.
    pub(super) fn set_value(&mut self, value: &str) {
        let style = Style::of(self);
        let tail = self.tail().to_vec();
        let Some(stated) = &mut self.stated else { return };
        if stated.value_at.is_empty() {
            stated.value = value.into();
            return self.rewrite(&style);
        }
        let written = quote(value, style.quote);
        self.raw.truncate(stated.value_at.start);
        self.raw.extend(written.bytes());
        stated.value_at.end = self.raw.len();
        stated.value = value.into();
        self.raw.extend(tail);
    }

    /// Gives the option another name.
    pub(super) fn set_name(&mut self, name: &str) {
        let style = Style::of(self);
        let tail = self.tail().to_vec();
        let Some(stated) = &mut self.stated else { return };
        stated.name = name.into();
        let (old, value_at) = (stated.name_at.clone(), stated.value_at.clone());
        if value_at.is_empty() {
            return self.rewrite(&style);
        }
        let rest = self.raw[old.end..value_at.end].to_vec();
        self.raw.truncate(old.start);
        self.raw.extend(name.bytes());
        stated.name_at.end = self.raw.len();
        self.raw.extend(&rest);
        stated.value_at = self.raw.len() - value_at.len()..self.raw.len();
        self.raw.extend(tail);
    }
}

/// The text as one argument, in the style wished for if that can hold it.
fn quote(text: &str, style: Quote) -> String {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/,+@%=".contains(&byte);
    match style {
        Quote::Bare if !text.is_empty() && text.bytes().all(harmless) => text.to_string(),
        Quote::Double => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Quote::Single | Quote::Bare => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
