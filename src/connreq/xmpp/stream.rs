//! An XMPP stream from the server: octets in, one element at a time out (RFC 6120).
//!
//! Pure. Where an element of the stream ends is found by a scan that keeps nothing but a depth, so
//! that a stanza which is too long or too deep is let pass without being stored: anybody may have
//! the server send one, and must not end the stream by that. What is short enough is read by
//! quick-xml, behind the header of the stream, which declares its prefixes.

use std::borrow::Cow;
use std::fmt;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{PrefixDeclaration, ResolveResult};
use quick_xml::{NsReader, XmlVersion};
use zeroize::{Zeroize, Zeroizing};

/// The namespace of the stream's own elements (RFC 6120 4.8.1).
pub(super) const STREAMS: &str = "http://etherx.jabber.org/streams";
/// The namespace of stanzas between client and server.
pub(super) const CLIENT: &str = "jabber:client";

/// The longest stanza that is read; RFC 6120 13.12 wants 10,000 octets at least.
const MAX_STANZA: usize = 16 * 1024;
/// The longest that is let pass.
const MAX_PASSED: usize = 1024 * 1024;
/// The longest header.
const MAX_HEADER: usize = 4 * 1024;
/// The deepest element that is read, the stream's root included.
const MAX_DEPTH: usize = 12;
/// The most elements and the most attributes of one stanza that are read.
const MAX_PARTS: usize = 256;

/// Why a stream cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamError {
    /// It is not XML, or not a stream: what is wrong.
    Malformed(&'static str),
    /// It has what XMPP forbids (RFC 6120 11.1): comments, instructions, a DTD, entities.
    Restricted,
    /// An element that does not end.
    TooLong,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Malformed(what) => write!(f, "the server's stream is malformed: {what}"),
            StreamError::Restricted => f.write_str("the server's stream has XML that XMPP forbids"),
            StreamError::TooLong => f.write_str("the server's stream has an element that does not end"),
        }
    }
}

impl std::error::Error for StreamError {}

/// An element with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Element {
    /// Its namespace, empty for none.
    pub(super) space: String,
    /// Its local name.
    pub(super) name: String,
    /// Attributes without a prefix.
    pub(super) attributes: Vec<(String, String)>,
    /// Its own text: in a connection request, a password.
    pub(super) text: Zeroizing<String>,
    /// What is in it.
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Whether it has this name in this namespace.
    pub(super) fn is(&self, space: &str, name: &str) -> bool {
        self.space == space && self.name == name
    }

    /// The first child of that name.
    pub(super) fn child(&self, space: &str, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.is(space, name))
    }

    /// An attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// The stream's root has been opened.
    Header(Element),
    /// A stanza, or another element of the stream.
    Stanza(Element),
    /// One that was too long or too deep to be read.
    Passed,
    /// The stream has been closed.
    End,
}

/// A stream, from its first octet on; a restart (RFC 6120 4.3.3) begins a new one.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// What has come, and how much of it was looked at.
    unread: Zeroizing<Vec<u8>>,
    read: usize,
    /// The element at hand, as far as it is kept.
    held: Zeroizing<Vec<u8>>,
    /// Octets of the element at hand.
    length: usize,
    /// Octets of the markup at hand.
    markup: usize,
    /// It is not kept.
    passing: bool,
    state: State,
    depth: usize,
    /// The last octets of the markup at hand, the newest lowest.
    tail: u32,
    /// The second and third octet of the markup at hand: what kind it is.
    kind: [u8; 2],
    header: String,
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Text,
    Markup,
    Quoted(u8),
    Data,
}

impl Stream {
    /// Takes octets; [`Stream::next`] must have given `None` before.
    pub(super) fn feed(&mut self, octets: &[u8]) {
        self.unread.drain(..self.read);
        self.read = 0;
        append(&mut self.unread, octets);
    }

    /// Whether nothing has come that was not given out: what may not be there when TLS begins.
    pub(super) fn is_drained(&self) -> bool {
        self.read == self.unread.len() && self.length == 0
    }

    /// The next item, `None` until more has come.
    ///
    /// # Errors
    /// [`StreamError`], after which the stream must not be used any more.
    pub(super) fn next(&mut self) -> Result<Option<Item>, StreamError> {
        while let Some(octet) = self.unread.get(self.read).copied() {
            self.read += 1;
            if let Some(item) = self.step(octet)? {
                return Ok(Some(item));
            }
        }
        // What was looked at does not wait for the next to be overwritten.
        self.unread.zeroize();
        self.read = 0;
        Ok(None)
    }

    fn step(&mut self, octet: u8) -> Result<Option<Item>, StreamError> {
        if self.closed {
            return Ok(None);
        }
        if self.state == State::Text && octet != b'<' && self.depth < 2 {
            // Blanks between stanzas keep the connection alive.
            return match octet.is_ascii_whitespace() {
                true => Ok(None),
                false => Err(StreamError::Malformed("text between stanzas")),
            };
        }
        self.hold(octet)?;
        match self.state {
            State::Text if octet == b'<' => {
                (self.state, self.markup, self.tail, self.kind) = (State::Markup, 1, 0, [0; 2]);
                Ok(None)
            }
            State::Text => Ok(None),
            State::Quoted(quote) => {
                if octet == quote {
                    self.state = State::Markup;
                }
                Ok(None)
            }
            State::Data => {
                self.tail = self.tail << 8 | u32::from(octet);
                if self.tail & 0x00ff_ffff == 0x005d_5d3e {
                    self.state = State::Text;
                }
                Ok(None)
            }
            State::Markup => self.markup(octet),
        }
    }

    fn hold(&mut self, octet: u8) -> Result<(), StreamError> {
        self.length += 1;
        let most = if self.depth == 0 { MAX_HEADER } else { MAX_PASSED };
        if self.length > most {
            return Err(StreamError::TooLong);
        }
        if self.length > MAX_STANZA {
            self.pass();
        }
        if !self.passing {
            append(&mut self.held, &[octet]);
        }
        Ok(())
    }

    fn pass(&mut self) {
        self.passing = true;
        self.held = Zeroizing::default();
    }

    fn markup(&mut self, octet: u8) -> Result<Option<Item>, StreamError> {
        self.markup += 1;
        if let 2 | 3 = self.markup {
            self.kind[self.markup - 2] = octet;
        }
        if self.kind == *b"![" && self.depth > 1 {
            // `<![CDATA[`: quick-xml reads what it is, if it is read at all.
            (self.state, self.tail) = (State::Data, 0);
            return Ok(None);
        }
        let is_declaration = self.kind[0] == b'?' && self.depth == 0 && self.header.is_empty();
        if self.kind[0] == b'!' && self.markup > 2 || self.kind[0] == b'?' && !is_declaration {
            return Err(StreamError::Restricted);
        }
        if octet == b'<' {
            return Err(StreamError::Malformed("< in a tag"));
        }
        if octet == b'"' || octet == b'\'' {
            self.state = State::Quoted(octet);
        }
        if octet != b'>' {
            self.tail = self.tail << 8 | u32::from(octet);
            return Ok(None);
        }
        self.state = State::Text;
        if is_declaration {
            return self.declaration();
        }
        let is_empty = self.tail & 0xff == u32::from(b'/') && self.markup > 3;
        match (self.kind[0], is_empty) {
            (b'/', _) => self.depth = self.depth.saturating_sub(1),
            (_, true) => {}
            _ => self.depth += 1,
        }
        if self.depth > MAX_DEPTH {
            self.pass();
        }
        match (self.depth, self.kind[0], is_empty) {
            (0, b'/', _) => {
                self.closed = true;
                Ok(Some(Item::End))
            }
            (0, ..) => Err(StreamError::Malformed("an empty stream")),
            (1, b'/', _) | (1, _, true) => self.stanza(),
            (1, ..) => self.head(),
            _ => Ok(None),
        }
    }

    fn declaration(&mut self) -> Result<Option<Item>, StreamError> {
        // `<?xml-stylesheet` is an instruction like any other.
        let is_named =
            self.held.starts_with(b"<?xml") && self.held.get(5).is_some_and(u8::is_ascii_whitespace);
        let is_right = is_named && self.held.ends_with(b"?>");
        self.taken();
        match is_right {
            true => Ok(None),
            false => Err(StreamError::Restricted),
        }
    }

    fn taken(&mut self) -> Zeroizing<Vec<u8>> {
        (self.length, self.passing) = (0, false);
        std::mem::take(&mut self.held)
    }

    fn head(&mut self) -> Result<Option<Item>, StreamError> {
        let held = self.taken();
        let header = std::str::from_utf8(&held).map_err(|_| StreamError::Malformed("not UTF-8"))?;
        self.header = header.to_owned();
        let mut reader = Reading::new(&self.header);
        let root = reader.root()?;
        match root.is(STREAMS, "stream") {
            true => Ok(Some(Item::Header(root))),
            false => Err(StreamError::Malformed("its root is no stream")),
        }
    }

    fn stanza(&mut self) -> Result<Option<Item>, StreamError> {
        let passed = self.passing;
        let held = self.taken();
        if passed {
            return Ok(Some(Item::Passed));
        }
        let text = std::str::from_utf8(&held).map_err(|_| StreamError::Malformed("not UTF-8"))?;
        if !text.chars().all(is_xml_char) {
            return Err(StreamError::Malformed("a character that XML has not"));
        }
        let mut document = Zeroizing::new(String::with_capacity(self.header.len() + text.len()));
        document.push_str(&self.header);
        document.push_str(text);
        let mut reader = Reading::new(&document);
        reader.root()?;
        reader.element().map(|found| Some(found.map_or(Item::Passed, Item::Stanza)))
    }
}

/// quick-xml behind a header.
struct Reading<'d> {
    reader: NsReader<&'d [u8]>,
    parts: usize,
}

impl<'d> Reading<'d> {
    fn new(document: &'d str) -> Reading<'d> {
        let mut reader = NsReader::from_str(document);
        reader.config_mut().expand_empty_elements = true;
        Reading { reader, parts: 0 }
    }

    fn event(&mut self) -> Result<Event<'d>, StreamError> {
        self.reader.read_event().map_err(|_| StreamError::Malformed("not well-formed"))
    }

    fn root(&mut self) -> Result<Element, StreamError> {
        match self.event()? {
            Event::Start(start) => self.open(&start),
            _ => Err(StreamError::Malformed("it does not begin with an element")),
        }
    }

    /// The element that follows; `None` if it has too many parts.
    fn element(&mut self) -> Result<Option<Element>, StreamError> {
        let mut open: Vec<Element> = Vec::new();
        loop {
            let event = self.event()?;
            if let Event::Start(start) = &event {
                let element = self.open(start)?;
                if self.parts > MAX_PARTS {
                    return Ok(None);
                }
                open.push(element);
                continue;
            }
            let Some(last) = open.last_mut() else {
                return Err(StreamError::Malformed("it is no element"));
            };
            match event {
                Event::Text(text) => add(&mut last.text, text.xml10_content()),
                Event::CData(data) => add(&mut last.text, data.xml10_content()),
                Event::GeneralRef(reference) => add(&mut last.text, character(&reference)?.into()),
                Event::End(_) => {
                    let done = open.pop().unwrap_or_default();
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Ok(Some(done)),
                    }
                }
                Event::Eof => return Err(StreamError::Malformed("not well-formed")),
                _ => return Err(StreamError::Restricted),
            }
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<Element, StreamError> {
        let resolver = self.reader.resolver();
        let (found, local) = resolver.resolve_element(start.name());
        let mut element = Element { name: local.into_inner().to_owned(), ..Element::default() };
        match found {
            ResolveResult::Bound(space) => element.space = space.0.to_owned(),
            ResolveResult::Unbound => {}
            ResolveResult::Unknown(_) => return Err(StreamError::Malformed("an undeclared prefix")),
        }
        self.parts += 1;
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| StreamError::Malformed("a broken attribute"))?;
            self.parts += 1;
            if self.parts > MAX_PARTS {
                break;
            }
            let value = attribute.normalized_value(XmlVersion::Explicit1_0);
            let value = value.map_err(|_| StreamError::Restricted)?.into_owned();
            if !value.chars().all(is_xml_char) {
                return Err(StreamError::Malformed("a character that XML has not"));
            }
            match attribute.key.as_namespace_binding() {
                Some(PrefixDeclaration::Default | PrefixDeclaration::Named(_)) => {}
                None if attribute.key.prefix().is_some() => {}
                None => element.attributes.push((attribute.key.into_inner().to_owned(), value)),
            }
        }
        Ok(element)
    }
}

/// Puts octets behind others; where there is no room, what was there is overwritten once it has moved.
fn append(to: &mut Zeroizing<Vec<u8>>, octets: &[u8]) {
    let length = to.len().saturating_add(octets.len());
    if length > to.capacity() {
        let mut wider = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
        wider.extend_from_slice(to);
        *to = wider;
    }
    to.extend_from_slice(octets);
}

/// The same for texts.
fn add(to: &mut Zeroizing<String>, more: Cow<'_, str>) {
    let length = to.len().saturating_add(more.len());
    if length > to.capacity() {
        let mut wider = Zeroizing::new(String::with_capacity(length.next_power_of_two()));
        wider.push_str(to);
        *to = wider;
    }
    to.push_str(&more);
    if let Cow::Owned(mut text) = more {
        text.zeroize();
    }
}

/// What a reference stands for: a character by its number, or one of XML's own five.
fn character(reference: &BytesRef<'_>) -> Result<String, StreamError> {
    let number = reference.resolve_char_ref().map_err(|_| StreamError::Restricted)?;
    match number {
        Some(char) if is_xml_char(char) => Ok(char.to_string()),
        Some(_) => Err(StreamError::Malformed("a character that XML has not")),
        None => {
            resolve_xml_entity(&reference.xml10_content()).map(str::to_owned).ok_or(StreamError::Restricted)
        }
    }
}

fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Writes a text into XML, in content or between quotes; characters that XML has not are left out.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => out.push_str(&format!("&#{};", u32::from(c))),
            c if is_xml_char(c) => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests;
