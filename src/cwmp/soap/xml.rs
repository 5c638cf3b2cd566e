//! A strict pull parser over quick-xml: namespaces, limits, and the rules of XML 1.0 that quick-xml leaves out.
//!
//! quick-xml does not look at several roots, text outside of the root, unclosed elements at the end,
//! unknown prefixes, names, control characters, nor depth; this file does. A DOCTYPE is refused, so
//! that there are no entities but XML's own five.

use std::borrow::Cow;

use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::{BytesDecl, BytesStart, Event};
use quick_xml::name::{Namespace as Uri, PrefixDeclaration, QName, ResolveResult};
use quick_xml::{NsReader, XmlVersion};

use super::envelope::Namespace;
use super::error::{ReadError, Stop};
use crate::model::path::clip;
use crate::model::value::{Kind, is_xml_char};

/// SOAP 1.1's envelope.
pub(super) const SOAP_ENV: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// SOAP 1.1's encoding.
pub(in crate::cwmp) const SOAP_ENC: &str = "http://schemas.xmlsoap.org/soap/encoding/";
/// XML Schema, the version of 2001.
pub(in crate::cwmp) const XSD: &str = "http://www.w3.org/2001/XMLSchema";
/// `xsi`, the version of 2001.
pub(in crate::cwmp) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Bounds on what is read. The defaults take 10,000 parameters and refuse what no ACS sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the document; TR-069 A.2.1 wants 32 KiB at least.
    pub bytes: usize,
    /// Elements inside one another.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Items of one array.
    pub items: usize,
    /// Attributes of one element.
    pub attributes: usize,
    /// Octets of an element's or attribute's name.
    pub name: usize,
    /// Octets of an element's text.
    pub text: usize,
    /// Octets of `cwmp:ID`.
    pub id: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes: 4 << 20,
            depth: 32,
            elements: 128_000,
            items: 20_000,
            attributes: 64,
            name: 256,
            text: 1 << 20,
            id: 1 << 10,
        }
    }
}

/// The namespaces that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ns {
    /// None: what the children of a message are in.
    None,
    /// SOAP 1.1's envelope.
    Soap,
    /// One of CWMP's.
    Cwmp(Namespace),
    /// SOAP's encoding and XML Schema: some ACSs qualify array items so.
    Encoding,
    /// Any other.
    Other,
}

/// What `xsi:type` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Declared {
    /// Nothing, or `anySimpleType`.
    Nothing,
    /// A TR-106 type, or one of XSD's that is a part of one.
    Kind(Kind),
    /// Another, as written.
    Foreign(String),
}

/// An element's beginning.
#[derive(Debug)]
pub(super) struct Tag {
    /// The namespace of the name.
    pub(super) ns: Ns,
    /// The local name.
    pub(super) local: String,
    /// `xsi:type`.
    pub(super) declared: Declared,
    /// `mustUnderstand`.
    pub(super) must_understand: bool,
}

impl Tag {
    /// The name of an argument, member or item: the local name, or nothing for an extension in a
    /// foreign namespace. Children are unqualified (TR-069 3.5), but ACSs that make CWMP the default
    /// namespace qualify them.
    pub(super) fn name(&self) -> &str {
        match self.ns {
            Ns::None | Ns::Cwmp(_) | Ns::Encoding => &self.local,
            Ns::Soap | Ns::Other => "",
        }
    }
}

impl Tag {
    /// The `xsi:type` that is none of TR-106's, as written: a struct's.
    pub(super) fn foreign(&self) -> Option<&str> {
        match &self.declared {
            Declared::Foreign(name) => Some(name),
            _ => None,
        }
    }
}

/// One step through a document.
enum Item<'i> {
    Open(Tag),
    Text(Cow<'i, str>),
    Close,
    End,
}

/// The parser. After [`Stop::Document`] it must not be used any more.
pub(super) struct Xml<'i> {
    reader: NsReader<&'i [u8]>,
    limits: Limits,
    depth: usize,
    elements: usize,
    begun: bool,
    rooted: bool,
}

impl<'i> Xml<'i> {
    /// A parser at the beginning of a document.
    ///
    /// # Errors
    /// [`ReadError::TooLarge`] and [`ReadError::NotXml`] for what can be seen without parsing: size,
    /// encoding, characters that XML has not.
    pub(super) fn new(bytes: &'i [u8], limits: &Limits) -> Result<Xml<'i>, ReadError> {
        if bytes.len() > limits.bytes {
            return Err(ReadError::TooLarge(format!("the document has more than {} octets", limits.bytes)));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes)
            .map_err(|error| ReadError::NotXml(format!("not UTF-8 at octet {}", error.valid_up_to())))?;
        if let Some(at) = illegal(text) {
            return Err(ReadError::NotXml(format!("a character that XML 1.0 has not at octet {at}")));
        }
        let mut reader = NsReader::from_str(text.trim_start_matches([' ', '\t', '\r', '\n']));
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_comments = true;
        Ok(Xml { reader, limits: *limits, depth: 0, elements: 0, begun: false, rooted: false })
    }

    /// The limits given at the beginning.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many elements are open.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The root element.
    ///
    /// # Errors
    /// Everything before it that is not XML.
    pub(super) fn root(&mut self) -> Result<Tag, Stop> {
        match self.next()? {
            Item::Open(tag) => Ok(tag),
            _ => Err(broken("there is no element")),
        }
    }

    /// Calls `each` for every child of the element just opened, up to its end. `each` must read the
    /// child to its end, with this function or one of the following.
    ///
    /// # Errors
    /// [`Stop::Content`] for text between the children, and whatever `each` says.
    pub(super) fn children(
        &mut self,
        mut each: impl FnMut(&mut Xml<'i>, &Tag) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.each_child(&mut each)
    }

    /// One loop for all messages: a copy of it for each kind of element would be a tenth of the codec.
    fn each_child(
        &mut self,
        each: &mut dyn FnMut(&mut Xml<'i>, &Tag) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        loop {
            match self.next()? {
                Item::Open(tag) => each(self, &tag)?,
                Item::Text(text) if is_blank(&text) => {}
                Item::Text(text) => {
                    return Err(Stop::content(format!(
                        "text where elements belong: {:?}",
                        clip(text.trim())
                    )));
                }
                Item::Close | Item::End => return Ok(()),
            }
        }
    }

    /// The items of the array just opened, each read by `one`. `arrayType` is not looked at: some
    /// ACSs leave it out or count wrongly, and it must not size anything.
    ///
    /// # Errors
    /// [`Stop::Content`] for an item of another name, or too many.
    pub(super) fn array<T>(
        &mut self,
        item: &str,
        mut one: impl FnMut(&mut Xml<'i>, &Tag) -> Result<T, Stop>,
    ) -> Result<Vec<T>, Stop> {
        let mut items = Vec::new();
        self.children(|xml, tag| {
            xml.check_item(item, tag, items.len())?;
            items.push(one(xml, tag)?);
            Ok(())
        })?;
        Ok(items)
    }

    fn check_item(&self, item: &str, tag: &Tag, before: usize) -> Result<(), Stop> {
        if tag.name() != item {
            return Err(Stop::content(format!("<{}> among items of type {item}", clip(&tag.local))));
        }
        if before == self.limits.items {
            return Err(Stop::limit(format!("more than {} of {item}", self.limits.items)));
        }
        Ok(())
    }

    /// The text of the element just opened, untrimmed, to its end.
    ///
    /// # Errors
    /// [`Stop::Content`] for an element inside, or a text over the limit.
    pub(super) fn text(&mut self) -> Result<String, Stop> {
        let mut whole = Cow::Borrowed("");
        loop {
            match self.next()? {
                Item::Text(part) => {
                    if whole.len().saturating_add(part.len()) > self.limits.text {
                        return Err(Stop::limit(format!("a text of more than {} octets", self.limits.text)));
                    }
                    if whole.is_empty() {
                        whole = part;
                    } else {
                        whole.to_mut().push_str(&part);
                    }
                }
                Item::Open(tag) => {
                    return Err(Stop::content(format!("<{}> where text belongs", clip(&tag.local))));
                }
                Item::Close | Item::End => return Ok(whole.into_owned()),
            }
        }
    }

    /// Everything up to the end of the element just opened, unread.
    ///
    /// # Errors
    /// Only for a document that is not XML, or passes a limit.
    pub(super) fn skip(&mut self) -> Result<(), Stop> {
        self.unwind(self.depth.saturating_sub(1))
    }

    /// Everything until only `depth` elements are open: the way out after [`Stop::Content`].
    ///
    /// # Errors
    /// As [`Xml::skip`].
    pub(super) fn unwind(&mut self, depth: usize) -> Result<(), Stop> {
        while self.depth > depth {
            self.next()?;
        }
        Ok(())
    }

    /// Reads what follows the root: nothing may.
    ///
    /// # Errors
    /// Only for a document that is not XML.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        loop {
            if let Item::End = self.next()? {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<Item<'i>, Stop> {
        loop {
            let event = self.reader.read_event().map_err(malformed)?;
            let begun = std::mem::replace(&mut self.begun, true);
            match event {
                Event::Start(start) => return self.open(&start).map(Item::Open),
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Item::Close);
                }
                Event::Text(text) => {
                    let text = text.xml10_content();
                    if text.contains("]]>") {
                        return Err(broken("]]> in text"));
                    }
                    if self.depth > 0 {
                        return Ok(Item::Text(text));
                    }
                    if !is_blank(&text) {
                        return Err(broken("text outside of the root element"));
                    }
                }
                Event::CData(data) if self.depth > 0 => return Ok(Item::Text(data.xml10_content())),
                Event::GeneralRef(reference) if self.depth > 0 => {
                    return character(&reference.xml10_content()).map(Item::Text);
                }
                Event::CData(_) | Event::GeneralRef(_) => {
                    return Err(broken("text outside of the root element"));
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::Decl(_) if begun => {
                    return Err(broken("an XML declaration that is not at the beginning"));
                }
                Event::Decl(declaration) => check_declaration(&declaration)?,
                Event::DocType(_) => return Err(broken("a DOCTYPE, which SOAP forbids")),
                Event::Empty(_) => return Err(broken("an element that was not expanded")),
                Event::Eof if self.depth > 0 => return Err(broken("the document ends inside of an element")),
                Event::Eof if !self.rooted => return Err(broken("the document is empty")),
                Event::Eof => return Ok(Item::End),
            }
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<Tag, Stop> {
        if self.depth == 0 && std::mem::replace(&mut self.rooted, true) {
            return Err(broken("a second root element"));
        }
        self.depth += 1;
        self.elements += 1;
        if self.depth > self.limits.depth {
            return Err(large(format!("elements more than {} deep", self.limits.depth)));
        }
        if self.elements > self.limits.elements {
            return Err(large(format!("more than {} elements", self.limits.elements)));
        }
        self.check_name(start.name())?;
        let (found, local) = self.reader.resolver().resolve_element(start.name());
        let ns = match found {
            ResolveResult::Unbound => Ns::None,
            ResolveResult::Bound(uri) => known(uri),
            ResolveResult::Unknown(prefix) => {
                return Err(broken(format!("prefix {:?} is not declared", clip(&prefix))));
            }
        };
        let mut tag = Tag {
            ns,
            local: local.into_inner().to_owned(),
            declared: Declared::Nothing,
            must_understand: false,
        };
        self.attributes(start, &mut tag)?;
        Ok(tag)
    }

    /// Checks every attribute and keeps the two that matter.
    fn attributes(&self, start: &BytesStart<'_>, tag: &mut Tag) -> Result<(), Stop> {
        let resolver = self.reader.resolver();
        let mut seen: Vec<(Option<Uri<'_>>, &str)> = Vec::new();
        // Duplicates are found below by expanded name, which is what XML Namespaces asks for.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(malformed)?;
            if seen.len() == self.limits.attributes {
                return Err(large(format!("more than {} attributes", self.limits.attributes)));
            }
            let key = attribute.key;
            self.check_name(key)?;
            if attribute.value.contains('<') {
                return Err(broken("< in an attribute"));
            }
            let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(malformed)?;
            if !value.chars().all(is_xml_char) {
                return Err(broken("a character reference that XML 1.0 has not"));
            }
            let (uri, local) = match key.as_namespace_binding() {
                Some(PrefixDeclaration::Named("")) => return Err(broken("an empty prefix")),
                Some(_) => (Some(Uri("xmlns")), key.into_inner()),
                None => match resolver.resolve_attribute(key) {
                    (ResolveResult::Unbound, local) => (None, local.into_inner()),
                    (ResolveResult::Bound(uri), local) => (Some(uri), local.into_inner()),
                    (ResolveResult::Unknown(prefix), _) => {
                        return Err(broken(format!("prefix {:?} is not declared", clip(&prefix))));
                    }
                },
            };
            if seen.contains(&(uri, local)) {
                return Err(broken(format!("attribute {:?} twice", clip(local))));
            }
            seen.push((uri, local));
            match (uri, local) {
                (Some(Uri(XSI)), "type") => tag.declared = self.declared(value.trim()),
                (Some(Uri(SOAP_ENV)), "mustUnderstand") => {
                    // SOAP 1.1 has only 0 and 1; "true" is taken for what it means, to be on the safe side.
                    tag.must_understand = match value.trim() {
                        "1" | "true" => true,
                        "0" | "false" => false,
                        other => return Err(Stop::content(format!("mustUnderstand is {:?}", clip(other)))),
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The type behind a QName. Without a prefix, or with an undeclared one, it is read as XML Schema's:
    /// an ACS that forgets the declaration still means that.
    fn declared(&self, name: &str) -> Declared {
        let (local, prefix) = QName(name).decompose();
        let ours = match self.reader.resolver().resolve_prefix(prefix, false) {
            ResolveResult::Bound(Uri(uri)) => uri == XSD || uri == SOAP_ENC,
            ResolveResult::Unbound | ResolveResult::Unknown(_) => true,
        };
        let kind = Kind::from_name(local.into_inner()).or(match local.into_inner() {
            "normalizedString" | "token" | "anyURI" => Some(Kind::String),
            "byte" | "short" | "integer" => Some(Kind::Long),
            "unsignedByte" | "unsignedShort" | "nonNegativeInteger" | "positiveInteger" => {
                Some(Kind::UnsignedLong)
            }
            _ => None,
        });
        match (kind, local.into_inner()) {
            (Some(kind), _) if ours => Declared::Kind(kind),
            (_, "anySimpleType" | "anyType") if ours => Declared::Nothing,
            _ => Declared::Foreign(clip(name)),
        }
    }

    fn check_name(&self, name: QName<'_>) -> Result<(), Stop> {
        let name = name.into_inner();
        if name.len() > self.limits.name {
            return Err(large(format!("a name of more than {} octets", self.limits.name)));
        }
        let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
        let goes_on = |c: char| starts(c) || c.is_ascii_digit() || matches!(c, '-' | '.' | ':');
        if name.starts_with(starts) && name.chars().all(goes_on) && !name.ends_with(':') {
            return Ok(());
        }
        Err(broken(format!("{:?} is not a name", clip(name))))
    }
}

/// Puts the value of an argument where it belongs.
///
/// # Errors
/// [`Stop::Content`] if it was there already.
pub(super) fn put<T>(slot: &mut Option<T>, tag: &Tag, value: T) -> Result<(), Stop> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(twice(tag)),
    }
}

#[cold]
#[inline(never)]
fn twice(tag: &Tag) -> Stop {
    Stop::content(format!("{} is there twice", tag.local))
}

/// An argument that must be there.
///
/// # Errors
/// [`Stop::Content`] if it is not.
pub(super) fn need<T>(slot: Option<T>, name: &str) -> Result<T, Stop> {
    slot.ok_or_else(|| missing(name))
}

#[cold]
#[inline(never)]
fn missing(name: &str) -> Stop {
    Stop::content(format!("{name} is missing"))
}

/// A text of at most so many characters (TR-069 A.2.1).
///
/// # Errors
/// [`Stop::Content`] for a longer one.
pub(super) fn short(xml: &mut Xml<'_>, tag: &Tag, most: usize) -> Result<String, Stop> {
    let text = xml.text()?;
    match text.chars().nth(most) {
        Some(_) => Err(Stop::content(format!("{} is longer than {most} characters", tag.local))),
        None => Ok(text),
    }
}

/// A whole number in XSD's lexical form: blanks around it, a sign, decimal digits.
///
/// # Errors
/// [`Stop::Content`] for anything else, and for what does not fit.
pub(super) fn number<T: std::str::FromStr>(text: &str, name: &str) -> Result<T, Stop> {
    text.trim_matches(is_space).parse().map_err(|_| no_number(text, name))
}

#[cold]
#[inline(never)]
fn no_number(text: &str, name: &str) -> Stop {
    Stop::content(format!("{name} is not a number in its range: {:?}", clip(text)))
}

/// A boolean in XSD's four lexical forms.
///
/// # Errors
/// [`Stop::Content`] for anything else.
pub(super) fn boolean(text: &str, name: &str) -> Result<bool, Stop> {
    match text.trim_matches(is_space) {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Stop::content(format!("{name} is not a boolean: {:?}", clip(text)))),
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

fn broken(why: impl Into<String>) -> Stop {
    Stop::Document(Box::new(ReadError::NotXml(why.into())))
}

fn malformed(error: impl Into<quick_xml::Error>) -> Stop {
    broken(clip(&error.into().to_string()))
}

fn large(why: String) -> Stop {
    Stop::Document(Box::new(ReadError::TooLarge(why)))
}

fn known(Uri(uri): Uri<'_>) -> Ns {
    match uri {
        "" => Ns::None,
        SOAP_ENV => Ns::Soap,
        SOAP_ENC | XSD => Ns::Encoding,
        _ => Namespace::from_uri(uri).map_or(Ns::Other, Ns::Cwmp),
    }
}

/// The place of the first character that must not stand in a document, in one pass over the octets:
/// controls, and U+FFFE and U+FFFF as they look in UTF-8.
fn illegal(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().position(|(at, &byte)| match byte {
        b'\t' | b'\n' | b'\r' => false,
        0xef => matches!(bytes.get(at + 1..at + 3), Some([0xbf, 0xbe | 0xbf])),
        _ => byte < 0x20,
    })
}

/// What `&…;` stands for.
fn character(reference: &str) -> Result<Cow<'static, str>, Stop> {
    if let Some(text) = resolve_xml_entity(reference) {
        return Ok(Cow::Borrowed(text));
    }
    if !reference.starts_with('#') {
        return Err(broken(format!("entity {:?} is not declared", clip(reference))));
    }
    let text = unescape(&format!("&{reference};")).map_err(malformed)?.into_owned();
    if text.chars().all(is_xml_char) {
        Ok(Cow::Owned(text))
    } else {
        Err(broken("a reference to no character"))
    }
}

fn check_declaration(declaration: &BytesDecl<'_>) -> Result<(), Stop> {
    if declaration.version().map_err(malformed)?.as_ref() != "1.0" {
        return Err(broken("not XML 1.0"));
    }
    let Some(encoding) = declaration.encoding() else { return Ok(()) };
    let encoding = encoding.map_err(malformed)?;
    // ASCII is UTF-8 already.
    if ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|name| encoding.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(broken(format!("encoding {:?}, but only UTF-8 is read", clip(&encoding))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, expected: Option<&str>) {
        let limits = Limits::default();
        let whole = Xml::new(document.as_bytes(), &limits).and_then(|mut xml| {
            xml.root()?;
            xml.skip()?;
            Ok(xml.finish()?)
        });
        let why = whole.err().map(|error| error.to_string());
        match (why, expected) {
            (None, None) => {}
            (Some(why), Some(part)) if why.contains(part) => {}
            (why, _) => panic!("{document:?} gave {why:?}, not {expected:?}"),
        }
    }

    #[test]
    fn documents() {
        check("<a/>", None);
        check(
            " \r\n\t<?xml version='1.0' encoding=\"Utf-8\" standalone='yes'?><!-- c --><?pi x?><a/> <!-- c -->\n",
            None,
        );
        check("\u{feff}<?xml version='1.0'?><a b='&lt;&#65;&quot;'>&amp;<![CDATA[<&]]></a>", None);
        check("<a xmlns:p='u' p:b='1' b='2'/>", None);
        check("<é/>", None);
        check("", Some("empty"));
        check("  ", Some("empty"));
        check("text", Some("outside"));
        check("<a/>text", Some("outside"));
        check("<a/>&#32;", Some("outside"));
        check("<a/><![CDATA[ ]]>", Some("outside"));
        check("<a/><b/>", Some("second root"));
        check("<a>", Some("ends inside"));
        check("<a><b></a></b>", Some(""));
        check("</a>", Some(""));
        check("<a", Some(""));
        check("<a/><?xml version='1.0'?>", Some("declaration"));
        check("<!-- c --><?xml version='1.0'?><a/>", Some("declaration"));
        check("<?xml version='1.1'?><a/>", Some("XML 1.0"));
        check("<?xml version='1.0' encoding='ISO-8859-1'?><a/>", Some("ISO-8859-1"));
        check("<?xml version='1.0' encoding='UTF-7'?><a/>", Some("UTF-7"));
        check("<!DOCTYPE a><a/>", Some("DOCTYPE"));
        check("<a>&nbsp;</a>", Some("nbsp"));
        check("<a>&#0;</a>", Some(""));
        check("<a>&#1;</a>", Some("no character"));
        check("<a>&#xD800;</a>", Some(""));
        check("<a>&#x110000;</a>", Some(""));
        check("<a>& b</a>", Some(""));
        check("<a>]]></a>", Some("]]>"));
        check("<a><!-- -- --></a>", Some(""));
        check("<a>\u{1}</a>", Some("octet 3"));
        check("<a>\0</a>", Some("octet 3"));
        check("<a>\u{ffff}</a>", Some("octet 3"));
        check("<p:a/>", Some("\"p\" is not declared"));
        check("<a p:b='1'/>", Some("\"p\" is not declared"));
        check("<a b='1' b='2'/>", Some("twice"));
        check("<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>", Some("twice"));
        check("<a xmlns:p='u' xmlns:p='v'/>", Some("twice"));
        check("<a b='<'/>", Some("<"));
        check("<a b='&x;'/>", Some(""));
        check("<a b='&#2;'/>", Some(""));
        check("<a b/>", Some(""));
        check("<a b=1/>", Some(""));
        check("<1a/>", Some("not a name"));
        check("<a$/>", Some("not a name"));
        check("<a -b='1'/>", Some("not a name"));
        check("<a xmlns:='u'/>", Some(""));
    }

    #[test]
    fn limits() {
        check(&format!("<a {}/>", "b".repeat(257)), Some(""));
        check(&format!("<{}/>", "b".repeat(257)), Some("name of more than 256"));
        check(&format!("{}{}", "<a>".repeat(32), "</a>".repeat(32)), None);
        check(&format!("{}{}", "<a>".repeat(33), "</a>".repeat(33)), Some("32 deep"));
        let many = |count: usize| (0..count).map(|at| format!(" a{at}='1'")).collect::<String>();
        check(&format!("<a{}/>", many(64)), None);
        check(&format!("<a{}/>", many(65)), Some("64 attributes"));
    }
}
