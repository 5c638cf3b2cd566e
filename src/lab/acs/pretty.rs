//! SOAP for people: a message indented, one element a line, values of secrets as dots.
//!
//! What is not well-formed is shown as far as it is, with the reason where it ends. Pure, and bounded by [`MAX_SHOWN`].

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::describe::is_secret;

/// The most of one message that is shown, in bytes.
pub const MAX_SHOWN: usize = 64 * 1024;
/// Elements in elements.
const MAX_DEPTH: usize = 64;
/// A start tag beyond it has its attributes on lines of their own.
const MAX_TAG: usize = 100;
/// The note at the end of a message that is not shown whole.
const CUT: &str = "… cut: no more than 64 KiB of a message are shown";
/// What stands for a secret.
const DOTS: &str = "•••";

/// A part of the message.
enum Node {
    Element(Element),
    Text(String),
    /// A comment, a declaration or a complaint, ready to be shown.
    Line(String),
}

/// What of an element's content is a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Veil {
    Nothing,
    /// The text of its Value elements.
    Values,
    /// All text.
    All,
}

#[derive(Default)]
struct Element {
    name: String,
    attributes: Vec<String>,
    children: Vec<Node>,
}

/// A message, pretty; any bytes may come in. No line end at the end.
pub fn pretty(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let mut out = String::new();
    for node in parse(&text) {
        show(&node, 0, Veil::Nothing, &mut out);
    }
    let out = out.trim_end();
    if out.len() <= MAX_SHOWN {
        return out.to_owned();
    }
    let end = out.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_SHOWN).last().unwrap_or(0);
    let end = out[..end].rfind('\n').unwrap_or(end);
    format!("{}\n{CUT}", &out[..end])
}

/// A message without its secrets; `None` if it has none, and can stay as it is.
pub fn masked(text: &str) -> Option<String> {
    let shown = pretty(text.as_bytes());
    [DOTS, CUT, "<!-- … -->", "… not well-formed"].iter().any(|word| shown.contains(word)).then_some(shown)
}

/// The message as a tree. Ends early where more than enough was read.
fn parse(text: &str) -> Vec<Node> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    let mut seen = 0;
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                push(&mut open, Node::Line(format!("… not well-formed from here on: {error}")));
                break;
            }
        };
        // What is shown of a part is never shorter than the part, but for a secret's value.
        match event {
            Event::Start(tag) if open.len() > MAX_DEPTH => {
                let why = format!("… {} is nested deeper than {MAX_DEPTH} elements", tag.name().into_inner());
                push(&mut open, Node::Line(why));
                break;
            }
            Event::Start(tag) => {
                let element = element(&tag);
                seen += element.size();
                open.push(element);
            }
            Event::Empty(tag) => {
                let element = element(&tag);
                seen += element.size();
                push(&mut open, Node::Element(element));
            }
            Event::End(_) => close(&mut open),
            Event::Text(part) => {
                let part: &str = &part;
                seen += part.len();
                add_text(&mut open, part);
            }
            Event::GeneralRef(part) => {
                let part: &str = &part;
                seen += part.len() + 2;
                add_text(&mut open, &format!("&{part};"));
            }
            Event::CData(part) => {
                let part: &str = &part;
                seen += part.len();
                add_text(&mut open, &format!("<![CDATA[{part}]]>"));
            }
            Event::Comment(part) => {
                let part: &str = &part;
                seen += part.len();
                // What is commented out may be a secret.
                let shown = if part.contains('<') { " … " } else { part };
                push(&mut open, Node::Line(format!("<!--{shown}-->")));
            }
            Event::Decl(_) => push(&mut open, Node::Line("<?xml …?>".to_owned())),
            Event::PI(_) => push(&mut open, Node::Line("<?…?>".to_owned())),
            Event::DocType(_) => push(&mut open, Node::Line("<!DOCTYPE …>".to_owned())),
            Event::Eof => break,
        }
        // For what counts nothing above.
        seen += 2;
        if seen > MAX_SHOWN {
            push(&mut open, Node::Line(CUT.to_owned()));
            break;
        }
    }
    while open.len() > 1 {
        close(&mut open);
    }
    open.pop().map(|root| root.children).unwrap_or_default()
}

fn element(tag: &BytesStart<'_>) -> Element {
    let attribute = |attribute: Result<quick_xml::events::attributes::Attribute<'_>, _>| match attribute {
        Ok(attribute) => {
            let (key, value): (&str, &str) = (attribute.key.as_ref(), &attribute.value);
            format!("{key}=\"{value}\"")
        }
        Err(error) => {
            let error: quick_xml::events::attributes::AttrError = error;
            format!("… ({error})")
        }
    };
    Element {
        name: tag.name().into_inner().to_owned(),
        // Checks for doubles take time quadratic in their number.
        attributes: tag.attributes().with_checks(false).map(attribute).collect(),
        children: Vec::new(),
    }
}

fn push(open: &mut [Element], node: Node) {
    if let Some(innermost) = open.last_mut() {
        innermost.children.push(node);
    }
}

fn add_text(open: &mut [Element], part: &str) {
    let Some(innermost) = open.last_mut() else { return };
    match innermost.children.last_mut() {
        Some(Node::Text(text)) => text.push_str(part),
        _ => innermost.children.push(Node::Text(part.to_owned())),
    }
}

fn close(open: &mut Vec<Element>) {
    if open.len() > 1
        && let Some(done) = open.pop()
    {
        push(open, Node::Element(done));
    }
}

impl Element {
    fn size(&self) -> usize {
        self.name.len() + 2 + self.attributes.iter().map(|attribute| attribute.len() + 1).sum::<usize>()
    }

    fn local(&self) -> &str {
        self.name.rsplit(':').next().unwrap_or_default()
    }

    fn text(&self) -> Option<&str> {
        self.children.iter().find_map(|node| match node {
            Node::Text(text) if !text.trim().is_empty() => Some(text.trim()),
            _ => None,
        })
    }

    fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            _ => None,
        })
    }

    /// Whether its values belong to a secret parameter. Without a name nobody knows, so they might.
    fn hides_values(&self) -> bool {
        let mut of_value = self.elements().filter(|child| child.local() == "Value").peekable();
        let name = self.elements().find(|child| child.local() == "Name").and_then(Element::text);
        of_value.peek().is_some() && name.is_none_or(is_secret)
    }
}

fn show(node: &Node, depth: usize, veil: Veil, out: &mut String) {
    if out.len() > MAX_SHOWN {
        return;
    }
    let indent = "  ".repeat(depth);
    let element = match node {
        Node::Text(text) if text.trim().is_empty() => return,
        Node::Text(text) => {
            let text = if veil == Veil::All { DOTS } else { text.trim() };
            return out.push_str(&format!("{indent}{text}\n"));
        }
        Node::Line(line) => return out.push_str(&format!("{indent}{line}\n")),
        Node::Element(element) => element,
    };
    let Element { name, attributes, children } = element;
    let mut tag = format!("{indent}<{name}");
    let long = element.size() > MAX_TAG;
    for attribute in attributes {
        tag.push_str(&if long { format!("\n{indent}    ") } else { " ".to_owned() });
        tag.push_str(attribute);
    }
    let is_value = veil == Veil::Values && element.local() == "Value";
    let veil = if veil == Veil::All || is_value || is_secret(element.local()) {
        Veil::All
    } else if element.hides_values() {
        Veil::Values
    } else {
        Veil::Nothing
    };
    match children.as_slice() {
        [] => out.push_str(&format!("{tag}/>\n")),
        [Node::Text(text)] => {
            let text = if veil == Veil::All && !text.trim().is_empty() { DOTS } else { text };
            out.push_str(&format!("{tag}>{text}</{name}>\n"));
        }
        children => {
            out.push_str(&format!("{tag}>\n"));
            for child in children {
                show(child, depth + 1, veil, out);
            }
            out.push_str(&format!("{indent}</{name}>\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: &str) {
        assert_eq!(pretty(message.as_bytes()), expected, "{message}");
    }

    #[test]
    fn indented() {
        check("", "");
        check("<a/>", "<a/>");
        check("<a></a>", "<a/>");
        check(
            " <a x='1'>\n <b>t &amp; u</b>\n\n <c/></a>\n",
            "<a x=\"1\">\n  <b>t &amp; u</b>\n  <c/>\n</a>",
        );
        check("<a>one<b/>two</a>", "<a>\n  one\n  <b/>\n  two\n</a>");
        check("<!-- old: <b>x</b> --><a/><!-- so -->", "<!-- … -->\n<a/>\n<!-- so -->");
        let long = format!("<a one=\"{0}\" two=\"{0}\">x</a>", "1".repeat(60));
        assert_eq!(pretty(long.as_bytes()).lines().count(), 3);
    }

    #[test]
    fn masked_messages() {
        assert_eq!(masked("<?xml version=\"1.0\"?><a><Name>X</Name><Value>v</Value></a>"), None);
        let secret =
            "<a><Name>Device.WiFi.AccessPoint.1.Security.KeyPassphrase</Name><Value>hush</Value></a>";
        for text in [secret, "<a><Password>hush</Password></a>", "<a><!-- <Password>hush</Password> --></a>"]
        {
            assert!(masked(text).is_some_and(|shown| !shown.contains("hush")), "{text}");
        }
        let long = format!("<a><b>{}</b><Password>hush</Password></a>", "x".repeat(MAX_SHOWN));
        assert!(masked(&long).is_some_and(|shown| !shown.contains("hush")));
    }

    #[test]
    fn secrets() {
        let item =
            |name: &str, value: &str| format!("<S><Name>{name}</Name><Value t=\"s\">{value}</Value></S>");
        let shown = |text: &str| pretty(text.as_bytes());
        assert!(shown(&item("Device.X.SSID", "open")).contains(">open<"));
        for name in [
            "Device.X.KeyPassphrase",
            "IGD.WANPPPConnection.1.Password",
            "A.PreSharedKey",
            " A.Password\n",
            "",
        ] {
            for value in ["hidden", "<![CDATA[hidden]]>", "hid&#100;en", "<b>hidden</b>", "<!-- c -->hidden"]
            {
                let text = shown(&item(name, value));
                assert!(text.contains(DOTS) && !text.contains("hid"), "{name} {value}: {text}");
            }
        }
        assert!(shown(&item("A.Password", "")).contains("<Value t=\"s\"/>"));
        let reversed = "<S><Value>hidden</Value><Name>A.Password</Name></S>";
        assert!(!shown(reversed).contains("hidden"));
        assert!(!shown("<S><Value>hidden</Value>").contains("hidden"), "its name never came");
        assert!(!shown("<c:Download><Username>u</Username><Password>hidden</Password>").contains("hidden"));
    }

    #[test]
    fn hostile() {
        let broken = pretty(b"<a><b>text</c></a>");
        assert!(broken.starts_with("<a>\n  <b>\n    text\n    … not well-formed from here on: "), "{broken}");
        assert!(broken.ends_with("\n  </b>\n</a>"), "{broken}");
        assert!(pretty(&b"<a>".repeat(100_000)).contains("deeper than 64"));
        assert!(pretty(b"\xff\x00<<<").len() < 200);
        let big = pretty(format!("<a>{}</a>", "<b>1</b>".repeat(100_000)).as_bytes());
        assert!(big.ends_with(CUT), "{}", &big[big.len() - 100..]);
        assert!(big.len() < MAX_SHOWN + 100);
        let wide = pretty(format!("<a>{}</a>", "é".repeat(100_000)).as_bytes());
        assert!(wide.len() < MAX_SHOWN + 100 && wide.contains("cut:"));
        let secret = pretty(format!("<Password>{}</Password><a/>", "x".repeat(100_000)).as_bytes());
        assert_eq!(secret, format!("<Password>\n  {DOTS}\n  {CUT}\n</Password>"));
        assert!(pretty(&b"<?x?>".repeat(500_000)).contains(CUT));
        let attributes: String = (0..20_000).map(|nth| format!(" a{nth}='x'")).collect();
        assert!(pretty(format!("<a{attributes}/>").as_bytes()).len() < MAX_SHOWN + 100);
    }
}
