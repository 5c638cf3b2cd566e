//! What a hand-written message leaves out and some CPEs insist on: the arrayType of lists, the xsi:type of values.
//!
//! Only start tags grow; nothing that is there is changed. Namespaces come in later, with [`super::payload`].

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::payload::bare;

/// The lists of TR-069 and what is in them; `string` is the schema's, all else CWMP's.
const LISTS: &[(&str, &[&str])] = &[
    ("ParameterList", &["ParameterValueStruct", "SetParameterAttributesStruct"]),
    ("ParameterNames", &["string"]),
    ("AccessList", &["string"]),
    ("VoucherList", &["base64"]),
    ("TimeWindowList", &["TimeWindowStruct"]),
    ("Operations", &["InstallOpStruct", "UpdateOpStruct", "UninstallOpStruct"]),
];
/// Elements in elements.
const MAX_DEPTH: usize = 64;

/// An element that is open.
struct Open {
    name: String,
    /// Before the end of its start tag, and whether an arrayType or a type is there.
    end: usize,
    typed: bool,
    children: usize,
    first_child: String,
    text: String,
}

/// Fills a message in; `kind_of` gives the type (`xsd:boolean`) of a parameter if it is known.
///
/// # Errors
/// Why it is no XML, or for an empty message or one that is too long.
pub fn fill(text: &str, kind_of: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let text = bare(text)?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut additions: Vec<(usize, String)> = Vec::new();
    // Of the ParameterValueStruct that is open.
    let mut name = String::new();
    loop {
        let event = reader.read_event().map_err(|error| format!("the message is not XML: {error}"))?;
        let end = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        match event {
            Event::Start(tag) => {
                count(&mut open, &tag);
                if open.len() >= MAX_DEPTH {
                    return Err("the message has too many elements in elements".to_owned());
                }
                open.push(Open::new(&tag, end.saturating_sub(1))?);
            }
            Event::Empty(tag) => {
                count(&mut open, &tag);
                // Before "/>".
                let one = Open::new(&tag, end.saturating_sub(2))?;
                addition(&one, &open, &mut name, kind_of, &mut additions);
            }
            Event::Text(part) => {
                if let Some(last) = open.last_mut() {
                    last.text.push_str(&part);
                }
            }
            Event::End(_) => {
                if let Some(one) = open.pop() {
                    addition(&one, &open, &mut name, kind_of, &mut additions);
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let mut out = text.to_owned();
    additions.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    for (at, addition) in additions {
        out.insert_str(at, &addition);
    }
    Ok(out)
}

impl Open {
    fn new(tag: &BytesStart<'_>, end: usize) -> Result<Open, String> {
        let mut typed = false;
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| format!("the message is not XML: {error}"))?;
            let key: &str = attribute.key.as_ref();
            typed |= matches!(key.rsplit(':').next(), Some("arrayType" | "type"));
        }
        let (children, first_child, text) = (0, String::new(), String::new());
        Ok(Open { name: local(tag), end, typed, children, first_child, text })
    }
}

fn count(open: &mut [Open], tag: &BytesStart<'_>) {
    if let Some(parent) = open.last_mut() {
        parent.children += 1;
        if parent.children == 1 {
            parent.first_child = local(tag);
        }
    }
}

/// What an element that has ended lacks.
fn addition(
    one: &Open,
    above: &[Open],
    name: &mut String,
    kind_of: &dyn Fn(&str) -> Option<String>,
    additions: &mut Vec<(usize, String)>,
) {
    let parent = above.last().map_or("", |parent| parent.name.as_str());
    if parent == "ParameterValueStruct" && one.name == "Name" {
        one.text.trim().clone_into(name);
    }
    if one.typed {
        return;
    }
    if parent == "ParameterValueStruct" && one.name == "Value" {
        // A type that a device has told goes into an attribute.
        let is_plain = |kind: &String| kind.chars().all(|c| c.is_ascii_alphanumeric() || c == ':');
        let kind = kind_of(name).filter(is_plain).filter(|kind| kind.starts_with("xsd:"));
        additions.push((one.end, format!(" xsi:type=\"{}\"", kind.as_deref().unwrap_or("xsd:string"))));
    }
    let Some((_, items)) = LISTS.iter().find(|(list, _)| *list == one.name) else { return };
    let item = match one.children {
        0 => items[0],
        _ => match items.iter().find(|item| **item == one.first_child) {
            Some(item) => item,
            None => return,
        },
    };
    let item = match (item, one.name.as_str()) {
        ("string", _) => "xsd:string".to_owned(),
        ("base64", _) => "soapenc:base64".to_owned(),
        (_, "Operations") => "cwmp:OperationStruct".to_owned(),
        (item, _) => format!("cwmp:{item}"),
    };
    additions.push((one.end, format!(" soapenc:arrayType=\"{item}[{}]\"", one.children)));
}

fn local(tag: &BytesStart<'_>) -> String {
    tag.name().into_inner().rsplit(':').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let kind_of = |name: &str| match name {
            "Device.B" => Some("xsd:boolean".to_owned()),
            "Device.Odd" => Some("x\" y=\"".to_owned()),
            _ => None,
        };
        fill(text, &kind_of).unwrap_or_else(|why| panic!("{why}"))
    }

    #[test]
    fn lists_and_values() {
        let item = |name: &str, kind: &str| {
            format!(
                "<ParameterValueStruct><Name> {name} </Name><Value{kind}>1</Value></ParameterValueStruct>"
            )
        };
        let text = format!(
            "<ParameterList>{}{}{}{}</ParameterList>",
            item("Device.A", ""),
            item("Device.B", ""),
            item("Device.C", " xsi:type=\"xsd:int\""),
            item("Device.Odd", "")
        );
        let expected = format!(
            "<ParameterList soapenc:arrayType=\"cwmp:ParameterValueStruct[4]\">{}{}{}{}</ParameterList>",
            item("Device.A", " xsi:type=\"xsd:string\""),
            item("Device.B", " xsi:type=\"xsd:boolean\""),
            item("Device.C", " xsi:type=\"xsd:int\""),
            item("Device.Odd", " xsi:type=\"xsd:string\"")
        );
        assert_eq!(filled(&text), expected);
        assert_eq!(filled(&expected), expected, "nothing twice");
    }

    #[test]
    fn other_lists() {
        assert_eq!(
            filled("<ParameterNames><string>a</string><string>b</string></ParameterNames>"),
            "<ParameterNames soapenc:arrayType=\"xsd:string[2]\"><string>a</string><string>b</string></ParameterNames>"
        );
        assert_eq!(filled("<ParameterNames/>"), "<ParameterNames soapenc:arrayType=\"xsd:string[0]\"/>");
        assert_eq!(
            filled("<ParameterValueStruct><Name>Device.B</Name><Value/></ParameterValueStruct>"),
            "<ParameterValueStruct><Name>Device.B</Name><Value xsi:type=\"xsd:boolean\"/></ParameterValueStruct>"
        );
        let attributes = "<ParameterList><SetParameterAttributesStruct/></ParameterList>";
        assert!(filled(attributes).contains("\"cwmp:SetParameterAttributesStruct[1]\""));
        assert_eq!(filled("<Value>1</Value>"), "<Value>1</Value>");
        assert_eq!(filled("\r\u{feff}<ParameterNames/>\n"), filled("<ParameterNames/>"));
    }

    #[test]
    fn no_xml() {
        assert!(fill("<a><b></a>", &|_| None).is_err());
        assert!(fill("<Value xsi:type=x:\"string\">1</Value>", &|_| None).is_err());
        assert!(fill(" \u{feff} ", &|_| None).is_err());
        assert!(fill(&"<a>".repeat(100), &|_| None).is_err());
    }
}
