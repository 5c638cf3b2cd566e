//! The statements of a UCI file, found exactly where libuci finds them.
//!
//! libuci reads into a buffer that it overwrites while it goes. Two habits follow that scripts have
//! come to depend on and that are kept here: an unquoted word that runs into `;` drops the rest of
//! its line, and a `#` outside of quotes begins a comment anywhere but in the first word.

use std::ops::Range;

/// Longest argument, in bytes after unquoting.
pub(super) const MAX_VALUE: usize = 64 * 1024;

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// `package NAME`, read and ignored.
    Package,
    /// `config TYPE [NAME]`.
    Config,
    /// `option NAME [VALUE]`.
    Option,
    /// `list NAME [VALUE]`.
    List,
}

/// One argument: its text after unquoting and the bytes it was written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: Vec<u8>,
    pub(super) span: Range<usize>,
}

/// One statement; offsets are into the scanned bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) verb: Verb,
    /// Where the keyword begins.
    pub(super) start: usize,
    /// The type, option or package name.
    pub(super) name: Token,
    /// The section name or value; empty text when there is none.
    pub(super) value: Token,
    /// Where the next statement of the same line would begin.
    pub(super) resume: usize,
}

/// Why the bytes are no UCI, and at which offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) why: String,
}

/// A line together with those that a quote or a backslash joins to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<T> {
    /// Where it is, its line end included.
    pub(super) range: Range<usize>,
    /// What it says.
    pub(super) content: T,
}

/// Walks over the logical lines of a file.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    pos: usize,
    line_end: usize,
    /// libuci wrote its terminating zero at the current position: nothing more on this line.
    ended: bool,
}

impl<'a> Scanner<'a> {
    /// A scanner at the beginning of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Scanner { bytes, pos: 0, line_end: 0, ended: false }
    }

    /// The next logical line and its statements. `None` at the end.
    pub(super) fn line(&mut self) -> Result<Option<Line<Vec<Statement>>>, Fault> {
        let start = self.line_end;
        self.pos = start;
        self.ended = false;
        if !self.extend() {
            return Ok(None);
        }
        let mut found = Vec::new();
        self.skip_space();
        while let Some(statement) = self.statement()? {
            found.push(statement);
        }
        Ok(Some(Line { range: start..self.line_end, content: found }))
    }

    /// The next logical line as a single argument, as delta files have it.
    pub(super) fn lone_argument(&mut self) -> Option<Line<Result<Vec<u8>, Fault>>> {
        let start = self.line_end;
        self.pos = start;
        self.ended = false;
        if !self.extend() {
            return None;
        }
        let read = self.argument().and_then(|token| match self.current() {
            None => Ok(token.text),
            Some(_) => Err(Fault { at: self.pos, why: "more than one word on the line".into() }),
        });
        Some(Line { range: start..self.line_end, content: read })
    }

    /// Takes one more physical line into the logical line; false at the end of the file.
    fn extend(&mut self) -> bool {
        let rest = &self.bytes[self.line_end..];
        if rest.is_empty() {
            return false;
        }
        self.line_end += rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        true
    }

    fn current(&self) -> Option<u8> {
        if self.ended || self.pos >= self.line_end { None } else { self.bytes.get(self.pos).copied() }
    }

    fn skip_space(&mut self) {
        while self.current().is_some_and(is_space) {
            self.pos += 1;
        }
    }

    fn statement(&mut self) -> Result<Option<Statement>, Fault> {
        while matches!(self.current(), Some(b' ' | b'\t')) {
            self.pos += 1;
        }
        let start = self.pos;
        // The first word ends at a blank or a tab only; a line end would be part of it.
        while self.current().is_some_and(|byte| !matches!(byte, b' ' | b'\t')) {
            self.pos += 1;
        }
        let word = &self.bytes[start..self.pos];
        let verb = match word {
            [] | [b'#', ..] => return Ok(None),
            b"p" | b"package" => Verb::Package,
            b"c" | b"config" => Verb::Config,
            b"o" | b"option" => Verb::Option,
            b"l" | b"list" => Verb::List,
            _ => return Err(fault(start, format!("unknown command {}", quoted(word)))),
        };
        if self.current().is_none() {
            return Err(fault(start, format!("{} without a name", quoted(word))));
        }
        self.pos += 1;

        let name = self.argument()?;
        if name.text.is_empty() {
            return Err(fault(name.span.start, format!("{} without a name", quoted(word))));
        }
        let fits = match verb {
            Verb::Package => is_package(&name.text),
            Verb::Config => is_type(&name.text),
            Verb::Option | Verb::List => is_name(&name.text),
        };
        if !fits {
            return Err(fault(
                name.span.start,
                format!("a character that {} may not have", quoted(&name.text)),
            ));
        }
        let none = Token { text: Vec::new(), span: name.span.end..name.span.end };
        let value = match verb {
            Verb::Package => none,
            _ => Some(self.argument()?).filter(|value| !value.span.is_empty()).unwrap_or(none),
        };
        if verb == Verb::Config && !value.text.is_empty() && !is_name(&value.text) {
            let why = format!("a character that the section name {} may not have", quoted(&value.text));
            return Err(fault(value.span.start, why));
        }
        let extra = self.argument()?;
        if !extra.text.is_empty() {
            return Err(fault(extra.span.start, format!("{} is one word too many", quoted(&extra.text))));
        }
        Ok(Some(Statement { verb, start, name, value, resume: self.pos }))
    }

    fn argument(&mut self) -> Result<Token, Fault> {
        self.skip_space();
        let start = self.pos;
        let mut text = Vec::new();
        if self.current() == Some(b';') {
            self.pos += 1;
            return Ok(Token { text, span: start..start });
        }
        // While nothing was unquoted, libuci's write position is its read position, so its
        // terminating zero lands on the `;` itself.
        let mut plain = true;
        loop {
            match self.current() {
                None => break,
                Some(b'\'') => {
                    plain = false;
                    self.single(&mut text)?;
                }
                Some(b'"') => {
                    plain = false;
                    self.double(&mut text)?;
                }
                Some(b'#') => {
                    self.ended = true;
                    break;
                }
                Some(b';') => {
                    self.ended = plain;
                    break;
                }
                Some(b'\\') => {
                    plain = false;
                    if self.escape() {
                        text.extend(self.current());
                        self.pos += 1;
                    }
                }
                Some(byte) => {
                    text.push(byte);
                    self.pos += 1;
                }
            }
            if text.len() > MAX_VALUE {
                return Err(fault(start, format!("a value longer than {MAX_VALUE} bytes")));
            }
            if self.current().is_none_or(is_space) {
                break;
            }
        }
        let span = start..self.pos;
        if self.current().is_some_and(|byte| byte != b';') {
            self.pos += 1;
        }
        Ok(Token { text, span })
    }

    fn single(&mut self, text: &mut Vec<u8>) -> Result<(), Fault> {
        let open = self.pos;
        self.pos += 1;
        loop {
            match self.current() {
                Some(b'\'') => break self.pos += 1,
                Some(byte) => {
                    text.push(byte);
                    self.pos += 1;
                }
                None if self.extend() => {}
                None => return Err(fault(open, "a ' that is never closed".into())),
            }
        }
        Ok(())
    }

    fn double(&mut self, text: &mut Vec<u8>) -> Result<(), Fault> {
        let open = self.pos;
        self.pos += 1;
        loop {
            match self.current() {
                Some(b'"') => break self.pos += 1,
                Some(b'\\') => {
                    if self.escape() {
                        text.extend(self.current());
                        self.pos += 1;
                    }
                }
                Some(byte) => {
                    text.push(byte);
                    self.pos += 1;
                }
                None if self.extend() => {}
                None => return Err(fault(open, "a \" that is never closed".into())),
            }
        }
        Ok(())
    }

    /// Steps over a backslash; false if it joined the next line, true if a byte follows to be taken as it is.
    fn escape(&mut self) -> bool {
        self.pos += 1;
        let rest = &self.bytes[self.pos.min(self.line_end)..self.line_end];
        if matches!(rest, [] | [b'\n'] | [b'\r', b'\n']) {
            self.pos = self.line_end;
            self.extend();
            return false;
        }
        true
    }
}

/// What C's `isspace` takes for white space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Whether libuci takes `text` as the name of a section or an option.
pub(super) fn is_name(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// Whether libuci takes `text` as a section type.
pub(super) fn is_type(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_graphic)
}

/// Whether libuci takes `text` as a value given on its command line or in a delta.
pub(super) fn is_text(text: &[u8]) -> bool {
    text.iter().all(|byte| *byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r'))
}

fn is_package(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn fault(at: usize, why: String) -> Fault {
    Fault { at, why }
}

/// The beginning of `bytes` for a message, escaped.
fn quoted(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(40)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &str) -> String {
        let mut scanner = Scanner::new(input.as_bytes());
        let mut shown = Vec::new();
        loop {
            match scanner.line() {
                Ok(None) => return shown.join(" | "),
                Ok(Some(line)) => shown.extend(line.content.iter().map(|one| {
                    let text = |token: &Token| String::from_utf8_lossy(&token.text).into_owned();
                    format!("{:?} {} {:?}", one.verb, text(&one.name), text(&one.value))
                })),
                Err(fault) => return format!("{}: {}", fault.at, fault.why),
            }
        }
    }

    fn check(input: &str, expected: &str) {
        assert_eq!(read(input), expected, "{input:?}");
    }

    #[test]
    fn statements() {
        check(
            "config interface 'lan'\n\toption proto static\n",
            "Config interface \"lan\" | Option proto \"static\"",
        );
        check(
            "c x y\no a b\nl a c\np q\n",
            "Config x \"y\" | Option a \"b\" | List a \"c\" | Package q \"\"",
        );
        check("config x\r\n\toption a 'b'\r\n\r\n", "Config x \"\" | Option a \"b\"");
        check("config x", "Config x \"\"");
        check("\u{b}config\t x\tlan \n", "Config x \"lan\"");
        check("option a\n", "Option a \"\"");
        check("# config x\n  # y\nconfig x # z\n", "Config x \"\"");
    }

    #[test]
    fn quoting() {
        check("option a 'b'\"c\"d\n", "Option a \"bcd\"");
        check("option a 'it'\\''s'\n", "Option a \"it's\"");
        check("option a \"x\\\"y\\\\z\\n\"\n", "Option a \"x\\\"y\\\\zn\"");
        check("option a b\\ c\\;d\\#\n", "Option a \"b c;d#\"");
        check("option a 'b\nc\n'\n", "Option a \"b\\nc\\n\"");
        check("option a 'b\r\nc'\n", "Option a \"b\\r\\nc\"");
        check("option a \"b \\\nc\"\n", "Option a \"b c\"");
        check("option a b\\\nc\n", "Option a \"bc\"");
        check("option a b\\\r\nc\n", "Option a \"bc\"");
        check("option a 'b#c;d'\n", "Option a \"b#c;d\"");
        check("option a b#c\n", "Option a \"b\"");
        check("option a 'b'#c\noption d e\n", "Option a \"b\" | Option d \"e\"");
        check("option a b\\", "Option a \"b\"");
    }

    #[test]
    fn semicolons_as_libuci_has_them() {
        check("config x y; option a 'b'; list c 'd'\n", "Config x \"y\"");
        check("config x 'y'; option a 'b'; list c 'd'\n", "Config x \"y\" | Option a \"b\" | List c \"d\"");
        check("config x y ;option a b ;list c d\n", "Config x \"y\" | Option a \"b\" | List c \"d\"");
        check("option a 'b'; # c\n", "Option a \"b\"");
        check("option a 'b';\n", "13: unknown command \"\\n\"");
        check("option a b;\n", "Option a \"b\"");
        check("config x ; option a b\n", "11: \"option\" is one word too many");
    }

    #[test]
    fn faults() {
        check("option\n", "0: unknown command \"option\\n\"");
        check("option", "0: \"option\" without a name");
        check("option ''\n", "7: \"option\" without a name");
        check("option a-b c\n", "7: a character that \"a-b\" may not have");
        check("config a b-c\n", "9: a character that the section name \"b-c\" may not have");
        check("option a b c\n", "11: \"c\" is one word too many");
        check("option a 'b\n", "9: a ' that is never closed");
        check("option a \"b\n\n", "9: a \" that is never closed");
        check("\u{feff}config x\n", "0: unknown command \"\\u{feff}config\"");
        check("config\u{a0}x\n", "0: unknown command \"config\\u{a0}x\\n\"");
        let long = format!("option a {}\n", "x".repeat(MAX_VALUE + 1));
        check(&long, "9: a value longer than 65536 bytes");
        let long = format!("option a '{}'\n", "x".repeat(MAX_VALUE + 1));
        check(&long, "9: a value longer than 65536 bytes");
    }
}
