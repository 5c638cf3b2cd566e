//! Any text as a path and as a value: what is taken is what was written, and its canonical form stays as it is.

use rcwmp::model::date;
use rcwmp::model::path::{self, MAX_NAME, Path};
use rcwmp::model::value::{Format, Input, Kind, Type};

const KINDS: [Kind; 8] = [
    Kind::String,
    Kind::Int,
    Kind::UnsignedInt,
    Kind::Long,
    Kind::UnsignedLong,
    Kind::Boolean,
    Kind::DateTime,
    Kind::Base64,
];
const FORMATS: [Format; 15] = [
    Format::Ipv4,
    Format::Ipv6,
    Format::IpAddress,
    Format::Ipv4Prefix,
    Format::Ipv6Prefix,
    Format::IpPrefix,
    Format::Mac,
    Format::Alias,
    Format::Url,
    Format::HttpUrl,
    Format::Host,
    Format::Ssid,
    Format::Passphrase,
    Format::InformName,
    Format::InformEvent,
];

/// One input.
pub fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    match Path::parse(text) {
        Ok(path) => {
            assert_eq!(path.to_string(), text);
            assert_eq!(
                (path.is_partial(), path.is_root()),
                (text.is_empty() || text.ends_with('.'), text.is_empty())
            );
            let mut partial = String::new();
            for count in 0..=path.segments().len() {
                let head = path.head(count).to_string();
                // The longest name's object is one longer, by its dot.
                assert!(head.starts_with(&partial), "{head}");
                assert!(head.len() > MAX_NAME || Path::parse(&head).is_ok(), "{head}");
                partial = head;
            }
            assert_eq!(path.has_wildcard(), text.split('.').any(|part| part == "*"));
        }
        Err(why) => assert!(why.to_string().len() < 16 * MAX_NAME),
    }
    assert!(path::clip(text).chars().count() <= MAX_NAME + 1);
    if path::is_alias(text) {
        assert!(Path::parse(&format!("A.[{text}].")).is_ok());
    }
    for kind in KINDS {
        for list in [false, true] {
            value(&Type { list, ..Type::of(kind) }, text);
        }
    }
    for format in FORMATS {
        value(&Type { format: Some(format), size: None, ..Type::of(Kind::String) }, text);
    }
    if let Some(moment @ date::Moment::At(epoch)) = date::parse(text) {
        assert_eq!(date::parse(&date::format_utc(epoch)), Some(moment));
        // In the last hour of the year 9999 it is the year 10000 elsewhere, which has no form.
        if epoch < 253_402_297_200 - 3600 {
            assert_eq!(date::parse(&date::format_local(epoch, 60)), Some(moment));
        }
    }
}

fn value(ty: &Type, text: &str) {
    let Ok(canonical) = ty.canonical(text) else { return };
    assert_eq!(ty.canonical(&canonical).as_ref(), Ok(&canonical), "{ty:?} of {text:?}");
    assert!(canonical.len() <= text.len() + 64);
    let input = Input { text: text.to_owned(), ..Input::default() };
    assert_eq!(ty.check(&input), Ok(canonical));
}
