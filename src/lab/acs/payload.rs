//! A script's XML made fit to be sent, changed as little as possible (oktopus.md 5, rows 16 to 20).
//!
//! Blanks around the document go, so that the XML declaration comes first; namespaces that are used and not declared are
//! declared on the Envelope; `xmlns:schemaLocation` goes, a namespace name with a blank in it; a `cwmp:ID` comes in where there
//! is none. All else is sent as written: what is odd in it is for the CPE to judge.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::cwmp::rpc::{Message, Request};
use crate::cwmp::soap::envelope::Namespace;
use crate::cwmp::soap::{self, Limits, ReadError};

/// What is declared if it is used and not declared, and how it starts in a document.
const KNOWN: &[(&str, &str)] = &[
    ("cwmp", "urn:dslforum-org:cwmp-1-0"),
    ("soapenc", "http://schemas.xmlsoap.org/soap/encoding/"),
    ("xsi", "http://www.w3.org/2001/XMLSchema-instance"),
    ("xsd", "http://www.w3.org/2001/XMLSchema"),
];
/// SOAP 1.1.
const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// A request to a CPE, ready but for its ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    before: String,
    after: String,
    /// What stands around the ID.
    wrap: (String, String),
    id: Option<String>,
    method: String,
    request: Option<Request>,
}

impl Payload {
    /// Makes a script's text fit to be sent.
    ///
    /// # Errors
    /// Why it is no CWMP request, for the script's error table.
    pub fn parse(text: &str) -> Result<Payload, String> {
        let text = bare(text)?;
        let places = Places::find(text)?;
        let root = &text[places.root.0..places.root.1];
        let (tag, cwmp) = declare(root, text)?;
        let soap = if places.prefix.is_empty() { String::new() } else { format!("{}:", places.prefix) };
        // mustUnderstand is SOAP's and cannot be written without a prefix.
        let understood = if soap.is_empty() { String::new() } else { format!(" {soap}mustUnderstand=\"1\"") };
        let id_open = format!("<{cwmp}:ID{understood}>");
        let id_close = format!("</{cwmp}:ID>");
        let head = format!("{}{tag}", &text[..places.root.0]);
        let (before, wrap, after) = match places.header {
            Header::None => {
                let wrap = (format!("<{soap}Header>{id_open}"), format!("{id_close}</{soap}Header>"));
                (head, wrap, &text[places.root.1..])
            }
            Header::Empty(start, end) => {
                let wrap = (format!("<{soap}Header>{id_open}"), format!("{id_close}</{soap}Header>"));
                (format!("{head}{}", &text[places.root.1..start]), wrap, &text[end..])
            }
            Header::Open(end) => {
                (format!("{head}{}", &text[places.root.1..end]), (id_open, id_close), &text[end..])
            }
        };
        let mut payload =
            Payload { before, after: after.to_owned(), wrap, id: None, method: String::new(), request: None };
        payload.judge(places.has_id)?;
        Ok(payload)
    }

    /// A request of our own.
    ///
    /// # Errors
    /// As [`Payload::parse`], for a request that the CPE could not read.
    pub fn of(request: Request, namespace: Namespace) -> Result<Payload, String> {
        let header = soap::envelope::Header::default();
        let envelope = soap::envelope::Envelope { namespace, header, message: Message::Request(request) };
        Payload::parse(&String::from_utf8_lossy(&soap::write(&envelope)))
    }

    /// The method's name.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The request, unless it is one that the CPE has to refuse.
    pub fn request(&self) -> Option<&Request> {
        self.request.as_ref()
    }

    /// The document and the ID it bears: its own, or `fresh` (no XML in it).
    pub fn with_id(&self, fresh: &str) -> (String, String) {
        match &self.id {
            Some(id) => (format!("{}{}", self.before, self.after), id.clone()),
            None => {
                let (open, close) = &self.wrap;
                (format!("{}{open}{fresh}{close}{}", self.before, self.after), fresh.to_owned())
            }
        }
    }

    /// Reads the document as the CPE will.
    fn judge(&mut self, has_id: bool) -> Result<(), String> {
        if has_id {
            self.id = Some(String::new());
        }
        let text = self.with_id("1").0;
        let (header, method) = match soap::read(text.as_bytes(), &Limits::default()) {
            Ok(envelope) => match envelope.message {
                Message::Request(request) => {
                    let method = request.name().to_owned();
                    self.request = Some(request);
                    (envelope.header, method)
                }
                Message::Response(_) | Message::Fault(_) => {
                    return Err("the message is an answer, not a request".to_owned());
                }
            },
            // Arguments are for the CPE to judge.
            Err(ReadError::BadArguments(refusal) | ReadError::MustUnderstand(refusal)) => {
                (refusal.header, refusal.method)
            }
            Err(error) => return Err(error.to_string()),
        };
        if has_id {
            self.id = header.id;
        }
        self.method = method;
        Ok(())
    }
}

/// Where things are in the text.
struct Places {
    /// The Envelope's start tag.
    root: (usize, usize),
    /// Its prefix, may be empty.
    prefix: String,
    header: Header,
    has_id: bool,
}

enum Header {
    None,
    /// `<Header/>`.
    Empty(usize, usize),
    /// After `<Header>`.
    Open(usize),
}

impl Places {
    fn find(text: &str) -> Result<Places, String> {
        let mut reader = Reader::from_str(text);
        let (mut depth, mut root, mut in_header) = (0_usize, None, false);
        let (mut header, mut has_id) = (Header::None, false);
        loop {
            let start = position(&reader);
            let event = reader.read_event().map_err(|error| format!("the message is not XML: {error}"))?;
            let end = position(&reader);
            match &event {
                Event::Start(tag) | Event::Empty(tag) => {
                    let open = matches!(event, Event::Start(_));
                    match (depth, local(tag)) {
                        (0, _) if open && root.is_none() => root = Some(((start, end), prefix(tag))),
                        (0, _) => return Err("the message is not one SOAP envelope".to_owned()),
                        (1, "Header") if matches!(header, Header::None) => {
                            in_header = open;
                            header = if open { Header::Open(end) } else { Header::Empty(start, end) };
                        }
                        (1, _) => in_header = false,
                        (2, "ID") if in_header => has_id = true,
                        _ => {}
                    }
                    depth += usize::from(open);
                }
                Event::End(_) => depth = depth.saturating_sub(1),
                Event::DocType(_) => return Err("the message has a DOCTYPE, which SOAP forbids".to_owned()),
                Event::Eof => break,
                _ => {}
            }
        }
        let (root, prefix) = root.ok_or("there is no element in the message")?;
        Ok(Places { root, prefix, header, has_id })
    }
}

/// The Envelope's start tag with all that is missing, and the prefix of CWMP.
fn declare(tag: &str, text: &str) -> Result<(String, String), String> {
    let mut tag = tag.to_owned();
    // What is no XML does not become some by what is taken out of it.
    declarations(&tag)?;
    if let Some((start, end)) = attribute(&tag, "xmlns:schemaLocation") {
        tag.replace_range(start..end, "");
    }
    let declared = declarations(&tag)?;
    let is_declared = |prefix: &str| declared.iter().any(|(known, _)| known == prefix);
    let mut added = String::new();
    let own = tag[1..].split(|c: char| is_blank(c) || c == '>').next().unwrap_or_default();
    if let Some((prefix, _)) = own.split_once(':').filter(|(prefix, _)| !is_declared(prefix)) {
        added += &format!(" xmlns:{prefix}=\"{SOAP}\"");
    }
    let cwmp = declared.iter().find(|(prefix, uri)| !prefix.is_empty() && Namespace::from_uri(uri).is_some());
    for (prefix, uri) in KNOWN {
        let used = text.contains(&format!("{prefix}:")) || (*prefix == "cwmp" && cwmp.is_none());
        if used && !is_declared(prefix) {
            // The method element may declare it itself: then all agree.
            let inner = attribute(text, &format!("xmlns:{prefix}")).and_then(|(start, end)| {
                let value = text[start..end].split_once('=')?.1.trim();
                Some(value.get(1..value.len().checked_sub(1)?)?.to_owned())
            });
            added += &format!(" xmlns:{prefix}=\"{}\"", inner.as_deref().unwrap_or(uri));
        }
    }
    let cwmp = cwmp.map_or("cwmp", |(prefix, _)| prefix).to_owned();
    tag.insert_str(tag.len() - 1, &added);
    Ok((tag, cwmp))
}

/// The prefixes and names of a start tag's namespace declarations.
fn declarations(tag: &str) -> Result<Vec<(String, String)>, String> {
    let inner = tag.trim_start_matches('<').trim_end_matches('>');
    let name = inner.find(is_blank).unwrap_or(inner.len());
    let mut out = Vec::new();
    for attribute in BytesStart::from_content(inner, name).attributes() {
        let attribute = attribute.map_err(|error| format!("the message is not XML: {error}"))?;
        let name: &str = attribute.key.as_ref();
        let prefix = if name == "xmlns" { Some("") } else { name.strip_prefix("xmlns:") };
        if let Some(prefix) = prefix {
            out.push((prefix.to_owned(), attribute.value.to_string()));
        }
    }
    Ok(out)
}

/// What XML has for white space; what else Unicode has is none, and no place for an attribute to begin.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Where an attribute with its value stands, from the blank before it.
fn attribute(text: &str, name: &str) -> Option<(usize, usize)> {
    let (at, _) = text.match_indices(name).find(|(at, _)| {
        let before = text[..*at].ends_with(is_blank);
        before && text[at + name.len()..].trim_start_matches(is_blank).starts_with('=')
    })?;
    let equals = at + text[at..].find('=')?;
    let value = text[equals + 1..].trim_start_matches(is_blank);
    let quote = value.chars().next().filter(|first| ['"', '\''].contains(first))?;
    let open = text.len() - value.len();
    let close = open + 1 + text[open + 1..].find(quote)?;
    let start = text[..at].trim_end_matches(is_blank).len();
    Some((start, close + 1))
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn name<'t>(tag: &'t BytesStart<'_>) -> &'t str {
    tag.name().into_inner()
}

fn local<'t>(tag: &'t BytesStart<'_>) -> &'t str {
    name(tag).rsplit(':').next().unwrap_or_default()
}

fn prefix(tag: &BytesStart<'_>) -> String {
    name(tag).split_once(':').map_or(String::new(), |(prefix, _)| prefix.to_owned())
}

/// The message without what may stand around it; the reader counts its places without a mark of the byte order.
///
/// # Errors
/// For an empty one, and for one that is too long.
pub(super) fn bare(text: &str) -> Result<&str, String> {
    let text = text.trim_start_matches(|c: char| c == '\u{feff}' || c.is_whitespace()).trim_end();
    if text.is_empty() {
        return Err("the message is empty".to_owned());
    }
    if text.len() > Limits::default().bytes {
        return Err(format!("the message has more than {} bytes", Limits::default().bytes));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const SEED: &str = r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <soap:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:cwmp="urn:dslforum-org:cwmp-1-0" xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:schemaLocation="urn:dslforum-org:cwmp-1-0 ..\schemas\wt121.xsd" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
        <soap:Header/>
        <soap:Body soap:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
            <cwmp:AddObject>
            <ObjectName>Device.NAT.PortMapping.</ObjectName>
            <ParameterKey></ParameterKey>
            </cwmp:AddObject>
        </soap:Body>
        </soap:Envelope>
    "#;

    fn sent(text: &str) -> String {
        let payload = Payload::parse(text).unwrap_or_else(|why| panic!("{why}: {text}"));
        let (text, id) = payload.with_id("7");
        let envelope = match soap::read(text.as_bytes(), &Limits::default()) {
            Ok(envelope) => envelope.header,
            Err(error) => error.refusal().unwrap_or_else(|| panic!("{error}: {text}")).header.clone(),
        };
        assert_eq!(envelope.id, Some(id), "{text}");
        text
    }

    fn refused(text: &str) -> String {
        Payload::parse(text).expect_err(text)
    }

    #[test]
    fn the_documents_message() {
        let text = sent(SEED);
        assert!(text.starts_with("<?xml version=\"1.0\""), "{text}");
        assert!(
            text.contains("<soap:Header><cwmp:ID soap:mustUnderstand=\"1\">7</cwmp:ID></soap:Header>"),
            "{text}"
        );
        assert!(!text.contains("schemaLocation"), "{text}");
        let kept = text.replace(
            "<soap:Header><cwmp:ID soap:mustUnderstand=\"1\">7</cwmp:ID></soap:Header>",
            "<soap:Header/>",
        );
        let original = SEED
            .trim()
            .replace(r#" xmlns:schemaLocation="urn:dslforum-org:cwmp-1-0 ..\schemas\wt121.xsd""#, "");
        assert_eq!(kept, original);
        assert_eq!(Payload::parse(SEED).unwrap().method(), "AddObject");
    }

    #[test]
    fn what_is_missing_comes_in() {
        let text = sent(
            "<soap:Envelope><soap:Body><cwmp:SetParameterValues><!-- parameters --></cwmp:SetParameterValues></soap:Body></soap:Envelope>",
        );
        assert_eq!(
            text,
            "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\"><soap:Header><cwmp:ID soap:mustUnderstand=\"1\">7</cwmp:ID></soap:Header><soap:Body><cwmp:SetParameterValues><!-- parameters --></cwmp:SetParameterValues></soap:Body></soap:Envelope>"
        );
        let text = sent(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><cwmp:SetParameterValues xmlns:cwmp='urn:dslforum-org:cwmp-1-2'><ParameterList soapenc:arrayType='cwmp:ParameterValueStruct[1]'><ParameterValueStruct><Name>Device.X</Name><Value xsi:type='xsd:string'>1</Value></ParameterValueStruct></ParameterList></cwmp:SetParameterValues></s:Body></s:Envelope>",
        );
        for declared in
            ["xmlns:cwmp=\"urn:dslforum-org:cwmp-1-2\"", "xmlns:soapenc=", "xmlns:xsi=", "xmlns:xsd="]
        {
            assert!(text.contains(declared), "{declared} in {text}");
        }
    }

    #[test]
    fn other_styles() {
        let text = sent(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-2\"><e:Header></e:Header><e:Body><c:Reboot><CommandKey>k</CommandKey></c:Reboot></e:Body></e:Envelope>",
        );
        assert!(text.contains("<e:Header><c:ID e:mustUnderstand=\"1\">7</c:ID></e:Header>"), "{text}");
        assert!(!text.contains("xmlns:cwmp"), "{text}");
        let own = "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-2\"><e:Header><c:ID e:mustUnderstand=\"1\">mine</c:ID></e:Header><e:Body><c:FactoryReset/></e:Body></e:Envelope>";
        assert_eq!(sent(own), own);
        assert_eq!(Payload::parse(own).unwrap().with_id("7").1, "mine");
        let plain = sent(
            "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\"><Body><cwmp:GetRPCMethods/></Body></Envelope>",
        );
        assert!(plain.contains("<Header><cwmp:ID>7</cwmp:ID></Header>"), "{plain}");
    }

    #[test]
    fn our_own_requests() {
        let payload =
            Payload::of(Request::GetParameterValues(vec!["Device.DeviceInfo.".into()]), Namespace::V1_2);
        let (text, id) = payload.unwrap().with_id("9");
        assert!(text.contains(">9</cwmp:ID>") && id == "9", "{text}");
    }

    #[test]
    fn what_is_no_request() {
        assert_eq!(refused(" \n "), "the message is empty");
        assert!(refused("hello").contains("no element"), "{}", refused("hello"));
        assert!(refused("<a><b></a>").starts_with("the message is not XML"));
        for text in ["<a/>", "<a></a><b></b>", "<a><b/></a>", "<soap:Envelope><soap:Body/></soap:Envelope>"] {
            refused(text);
        }
        assert!(
            refused(
                &SEED.replace("cwmp:AddObject>", "cwmp:AddObjectResponse>").replace(
                    "<ObjectName>",
                    "<InstanceNumber>1</InstanceNumber><Status>0</Status><ObjectName>"
                )
            )
            .contains("answer")
        );
        assert!(refused("<!DOCTYPE a><a></a>").contains("DOCTYPE"));
        assert!(
            refused(&SEED.replace("cwmp:AddObject", "foo:AddObject")).contains("not XML")
                || refused(&SEED.replace("cwmp:AddObject", "foo:AddObject")).contains("foo")
        );
        assert!(refused(&"<a>".repeat(3_000_000)).contains("more than"));
        assert!(refused("<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:soap=\"x\"><soap:Body><cwmp:Reboot/></soap:Body></soap:Envelope>").contains("not XML"));
        refused("<\u{0}>");
    }

    #[test]
    fn every_message_of_the_seeds_is_sendable() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/seeds/lua"));
        let Ok(kinds) = std::fs::read_dir(folder) else {
            return assert!(!folder.exists());
        };
        let mut count = 0;
        for file in kinds.flat_map(|kind| std::fs::read_dir(kind.unwrap().path()).unwrap()) {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let mut message = String::new();
            for part in text.split("[[").skip(1) {
                let (inside, behind) = part.split_once("]]").unwrap();
                message += inside;
                if behind.trim_start().starts_with("..") {
                    // What the script puts in between is a number or a text.
                    message += "1";
                    continue;
                }
                let whole = std::mem::take(&mut message);
                if whole.contains("Envelope") {
                    sent(&whole);
                    count += 1;
                }
            }
        }
        assert!(count > 3, "{count}");
    }
}
