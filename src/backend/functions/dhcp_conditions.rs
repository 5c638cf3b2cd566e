//! Which clients a pool of DHCPv4 serves (TR-181 `Pool.{i}.VendorClassID`, `ClientID`, `UserClassID`, `Chaddr`).
//!
//! dnsmasq gives a client the tags of what it is like, and serves it from the pools whose tags it all has. A
//! condition is thus two things: a section that gives a tag, and the tag in the pool's list `tag`, with `!`
//! where clients that have it are left out.
//!
//! ```text
//! config match 'class1'                      config dhcp 'lan'
//!     option networkid 'class1'                  list tag 'class1'
//!     option match '60,4d:53:46:54'
//! ```
//! dnsmasq looks at the beginning of an option (`match`), or for a text anywhere in a vendor class
//! (`vendorclass`); of a hardware address each octet counts or does not.

use super::topology;
use crate::backend::{System, ValueFn};
use crate::model::backend::{Place, Raw};
use crate::model::{Error, Result};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "dhcp_condition", get: read, set: Some(write) }];

/// Keeps the mode of a vendor class that is not told yet.
const MODE: &str = "rcwmp_vendor_mode";
/// The most sections of one type that are looked at.
const MAX_SECTIONS: usize = 256;

/// What a client is told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vendor,
    Client,
    User,
    Mac,
}

impl Kind {
    /// The option of DHCP; none for the hardware address.
    fn code(self) -> &'static str {
        match self {
            Kind::Vendor => "60",
            Kind::Client => "61",
            Kind::User => "77",
            Kind::Mac => "",
        }
    }

    /// The section types that tell it.
    fn types(self) -> &'static [&'static str] {
        match self {
            Kind::Vendor => &["match", "vendorclass"],
            Kind::Client | Kind::User => &["match"],
            Kind::Mac => &["mac"],
        }
    }
}

/// A condition that a pool has.
struct Condition {
    /// The section's full address.
    section: String,
    ty: String,
    tag: String,
    /// Clients that meet it are left out.
    not: bool,
    /// What is matched: hexadecimal digits, a text of `vendorclass`, an address with wildcards.
    value: String,
}

fn pool(at: &Place<'_>) -> Result<String> {
    let row = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(format!("dhcp.{}", row.row.addr))
}

/// The digits of octets with colons; `None` for what is no such value, as a text without them.
fn digits(text: &str) -> Option<String> {
    let good = text.split(':').all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()));
    (good && text.contains(':')).then(|| text.replace(':', "").to_ascii_lowercase())
}

/// Two octets at least: dnsmasq takes a single one for a number.
fn colons(hex: &str) -> Option<String> {
    let octets: Vec<&str> = (0..hex.len()).step_by(2).map(|at| hex.get(at..at + 2)).collect::<Option<_>>()?;
    (octets.len() > 1).then(|| octets.join(":").to_ascii_lowercase())
}

/// What a section matches for that kind; `None` when it is about something else.
fn matched(system: &mut System, section: &str, ty: &str, kind: Kind) -> Result<Option<String>> {
    Ok(match (ty, kind) {
        ("mac", Kind::Mac) => Some(topology::text(system, section, "mac")?.to_ascii_lowercase()),
        ("vendorclass", Kind::Vendor) => Some(topology::text(system, section, "vendorclass")?),
        ("match", _) => {
            let text = topology::text(system, section, "match")?;
            let (code, value) = text.split_once(',').unwrap_or((&text, ""));
            (code == kind.code()).then(|| digits(value)).flatten()
        }
        _ => None,
    })
}

/// The condition of a pool of that kind, the first if it has several.
fn find(system: &mut System, pool: &str, kind: Kind) -> Result<Option<Condition>> {
    let tags = topology::words(system, pool, "tag")?;
    if tags.is_empty() {
        return Ok(None);
    }
    for ty in kind.types() {
        for found in system.sections("dhcp", ty)?.into_iter().take(MAX_SECTIONS) {
            let section = format!("dhcp.{}", found.addr);
            let tag = topology::text(system, &section, "networkid")?;
            let Some(used) = tags.iter().find(|used| !tag.is_empty() && used.trim_start_matches('!') == tag)
            else {
                continue;
            };
            let not = used.starts_with('!');
            if let Some(value) = matched(system, &section, ty, kind)? {
                return Ok(Some(Condition { section, ty: (*ty).to_owned(), tag, not, value }));
            }
        }
    }
    Ok(None)
}

fn read(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let pool = pool(&at)?;
    let (kind, aspect) = wanted(what);
    let found = find(system, &pool, kind)?;
    let word = match (aspect, found) {
        ("not", found) => if found.is_some_and(|one| one.not) { "1" } else { "0" }.to_owned(),
        ("mode", Some(one)) => if one.ty == "match" { "Prefix" } else { "Substring" }.to_owned(),
        ("mode", None) => match topology::text(system, &pool, MODE)? {
            told if told.is_empty() => "Substring".to_owned(),
            told => told,
        },
        (_, None) => return Ok(None),
        ("mask", Some(one)) if !one.value.contains('*') => return Ok(None),
        ("mask", Some(one)) => one
            .value
            .split(':')
            .map(|part| if part == "*" { "00" } else { "ff" })
            .collect::<Vec<_>>()
            .join(":"),
        ("mac", Some(one)) => one.value.replace('*', "00"),
        ("text", Some(one)) if one.ty == "match" => text_of(&one.value).unwrap_or_default(),
        (_, Some(one)) => one.value,
    };
    Ok(Some(Raw::One(word)))
}

fn wanted(what: &str) -> (Kind, &str) {
    let (kind, aspect) = what.split_once('/').unwrap_or((what, ""));
    match kind {
        "vendor" => (Kind::Vendor, aspect),
        "client" => (Kind::Client, aspect),
        "user" => (Kind::User, aspect),
        _ => (Kind::Mac, aspect),
    }
}

/// The text of hexadecimal digits.
fn text_of(hex: &str) -> Option<String> {
    let octets = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok());
    String::from_utf8(octets.collect::<Option<Vec<u8>>>()?).ok()
}

/// A vendor class in its mode: section type and value. The text goes into a file of options line by line.
fn vendor(at: &Place<'_>, text: &str, mode: &str) -> Result<(&'static str, String)> {
    if mode == "Prefix" {
        let hex: String = text.bytes().map(|octet| format!("{octet:02x}")).collect();
        let value = colons(&hex)
            .ok_or_else(|| Error::bad_value(at.name, "one character alone cannot be looked for"))?;
        return Ok(("match", format!("60,{value}")));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" ._-:/+()".contains(&byte);
    match text.bytes().all(plain) && text.trim() == text {
        true => Ok(("vendorclass", text.to_owned())),
        false => Err(Error::bad_value(at.name, "of these characters only a beginning can be looked for")),
    }
}

/// A hardware address under a mask whose octets count whole or not at all.
fn masked(at: &Place<'_>, address: &str, mask: &str) -> Result<String> {
    let mut masks = mask.split(':');
    let mut out = Vec::new();
    for part in address.split(':') {
        out.push(match masks.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "ff" => part.to_ascii_lowercase(),
            "00" => "*".to_owned(),
            _ => return Err(Error::bad_value(at.name, "of an octet all bits count, or none")),
        });
    }
    Ok(out.join(":"))
}

fn write(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let pool = pool(&at)?;
    let (kind, aspect) = wanted(what);
    let found = find(system, &pool, kind)?;
    let given = raw.text();
    match (aspect, &found) {
        ("not", None) if topology::truth(&given) => {
            Err(Error::bad_value(at.name, "there is nothing to exclude"))
        }
        ("not", None) => Ok(()),
        ("not", Some(one)) => {
            let mut tags = topology::words(system, &pool, "tag")?;
            for tag in tags.iter_mut().filter(|tag| tag.trim_start_matches('!') == one.tag) {
                *tag = if topology::truth(&given) { format!("!{}", one.tag) } else { one.tag.clone() };
            }
            topology::put_list(system, &pool, "tag", tags)
        }
        ("mode", _) if !matches!(given.as_str(), "Prefix" | "Substring") => {
            Err(Error::bad_value(at.name, "the server looks at the beginning, or anywhere"))
        }
        ("mode", None) => topology::put(system, &pool, MODE, if given == "Prefix" { &given } else { "" }),
        ("mode", Some(one)) => {
            let now =
                if one.ty == "match" { text_of(&one.value).unwrap_or_default() } else { one.value.clone() };
            let (ty, value) = vendor(&at, &now, &given)?;
            if ty == one.ty {
                return Ok(());
            }
            let not = one.not;
            remove(system, &pool, kind)?;
            make(system, &pool, ty, &value, not)
        }
        ("mask", None) if given.is_empty() => Ok(()),
        ("mask", None) => Err(Error::bad_value(at.name, "there is no address to be masked")),
        ("mask", Some(one)) => {
            // What did not count is not known any more.
            let value = masked(&at, &one.value.replace('*', "00"), &given)?;
            topology::put(system, &one.section, "mac", &value)
        }
        (_, None) if given.is_empty() => Ok(()),
        (_, Some(_)) if given.is_empty() => remove(system, &pool, kind),
        ("text", _) => {
            let mode = read(system, at, "vendor/mode")?.map(|raw| raw.text()).unwrap_or_default();
            let (ty, value) = vendor(&at, &given, &mode)?;
            replace(system, &pool, kind, ty, &value)?;
            topology::put(system, &pool, MODE, "")
        }
        ("mac", found) => {
            let mask = match found {
                Some(_) => read(system, at, "mac/mask")?.map(|raw| raw.text()).unwrap_or_default(),
                None => String::new(),
            };
            let value = masked(&at, &given, &mask)?;
            replace(system, &pool, kind, "mac", &value)
        }
        _ => {
            let value = colons(&given).ok_or_else(|| Error::bad_value(at.name, "two octets at least"))?;
            replace(system, &pool, kind, "match", &format!("{},{value}", kind.code()))
        }
    }
}

/// Puts the value into the section that is there, or makes one.
fn replace(system: &mut System, pool: &str, kind: Kind, ty: &str, value: &str) -> Result<()> {
    match find(system, pool, kind)? {
        Some(one) if one.ty == ty => topology::put(system, &one.section, ty, value),
        Some(one) => {
            remove(system, pool, kind)?;
            make(system, pool, ty, value, one.not)
        }
        None => make(system, pool, ty, value, false),
    }
}

/// The option with the value is called as the section's type.
fn make(system: &mut System, pool: &str, ty: &str, value: &str, not: bool) -> Result<()> {
    let name = topology::free_name(system, "dhcp", "class")?;
    let section = topology::new_section(system, "dhcp", ty, Some(&name))?;
    topology::put(system, &section, "networkid", &name)?;
    topology::put(system, &section, ty, value)?;
    let mut tags = topology::words(system, pool, "tag")?;
    tags.push(if not { format!("!{name}") } else { name });
    topology::put_list(system, pool, "tag", tags)
}

/// Takes a condition off a pool; its section goes too, unless another pool has its tag.
fn remove(system: &mut System, pool: &str, kind: Kind) -> Result<()> {
    let Some(one) = find(system, pool, kind)? else { return Ok(()) };
    let mut tags = topology::words(system, pool, "tag")?;
    tags.retain(|tag| tag.trim_start_matches('!') != one.tag);
    topology::put_list(system, pool, "tag", tags)?;
    for other in system.sections("dhcp", "*")? {
        let other = format!("dhcp.{}", other.addr);
        let tags = topology::words(system, &other, "tag")?;
        if tags.iter().any(|tag| tag.trim_start_matches('!') == one.tag) {
            return Ok(());
        }
    }
    system.delete_section(&one.section)
}

/// Takes all conditions off a pool that is about to go.
///
/// # Errors
/// As [`System::sections`].
pub fn forget(system: &mut System, pool: &str) -> Result<()> {
    for kind in [Kind::Vendor, Kind::Client, Kind::User, Kind::Mac] {
        while find(system, pool, kind)?.is_some() {
            remove(system, pool, kind)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets() {
        assert_eq!(digits("4D:53").as_deref(), Some("4d53"));
        for bad in ["4d", "MSFT", "4d:5", ""] {
            assert_eq!(digits(bad), None, "{bad}");
        }
        assert_eq!(colons("4D5346").as_deref(), Some("4d:53:46"));
        assert_eq!(colons("4d"), None);
        assert_eq!(text_of("4d53").as_deref(), Some("MS"));
    }

    #[test]
    fn masks() {
        let at = Place { name: "Chaddr", rows: &[] };
        let check = |address, mask, expected: Option<&str>| {
            assert_eq!(masked(&at, address, mask).ok().as_deref(), expected, "{address} {mask}");
        };
        check("02:00:AB:00:01:12", "", Some("02:00:ab:00:01:12"));
        check("02:00:ab:00:00:00", "FF:ff:ff:00:00:00", Some("02:00:ab:*:*:*"));
        check("02:00:ab:00:00:00", "ff:f0:00:00:00:00", None);
    }

    #[test]
    fn vendor_classes() {
        let at = Place { name: "VendorClassID", rows: &[] };
        assert_eq!(vendor(&at, "MSFT 5.0", "Substring").ok(), Some(("vendorclass", "MSFT 5.0".to_owned())));
        assert_eq!(vendor(&at, "a#", "Prefix").ok(), Some(("match", "60,61:23".to_owned())));
        for bad in ["a,b", "a\nb", "a#b", "\"", " a"] {
            assert!(vendor(&at, bad, "Substring").is_err(), "{bad}");
        }
    }
}
