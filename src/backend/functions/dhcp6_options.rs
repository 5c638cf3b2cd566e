//! DHCPv6 options as rows: what a client sends besides its own (`sendopts` of an interface, `16:0000040e…`), and
//! what odhcpd gives (`dhcpv6_raw` of a pool: all options in one row of hexadecimal digits, as in a message).
//!
//! An option that is off, or that has no value yet, is kept beside (see [`items`]).

use super::items::{self, Ids, Item};
use super::{dhcpv6, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "dhcp6_option", get: read, set: Some(write) }];

/// Behind tables.
pub const TABLES: &[TableFn] =
    &[TableFn { name: "dhcp6_option_rows", rows, add: Some(add), delete: Some(delete) }];

/// The list of the options to send.
const SENT: &str = "sendopts";
/// The user class is a text, which odhcp6c puts into the option's form itself.
const USER_CLASS: u16 = 15;
/// Options of addresses, names and texts, which odhcp6c wants spelt as such; no client has to send them.
const SPELT: [u16; 16] = [21, 22, 23, 24, 27, 28, 29, 30, 31, 33, 34, 39, 41, 42, 59, 64];
/// The most options of one place.
const MAX_OPTIONS: usize = 64;

/// Code and octets (in hexadecimal digits) of an item `code:octets`.
fn parts(text: &str) -> Option<(u16, String)> {
    let (code, payload) = text.split_once(':').unwrap_or((text, ""));
    let code = code.trim().parse().ok().filter(|code| !SPELT.contains(code))?;
    let is_hex = payload.len().is_multiple_of(2) && payload.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((
        code,
        if is_hex && code != USER_CLASS { payload.to_ascii_lowercase() } else { octets(code, payload) },
    ))
}

/// The octets of a text; a user class has its length before it (RFC 8415 21.15).
fn octets(code: u16, text: &str) -> String {
    let hex: String = text.bytes().map(|octet| format!("{octet:02x}")).collect();
    match u16::try_from(text.len()) {
        Ok(length) if code == USER_CLASS && length > 0 => format!("{length:04x}{hex}"),
        _ => hex,
    }
}

/// The item of a code and octets; `None` for an option that odhcp6c wants spelt otherwise, and for a user class that
/// is not one text of harmless characters.
fn item(code: u16, hex: &str) -> Option<String> {
    if SPELT.contains(&code) {
        return None;
    }
    if code != USER_CLASS || hex.is_empty() {
        return Some(format!("{code}:{}", hex.to_ascii_lowercase()));
    }
    let (length, rest) = hex.split_at_checked(4)?;
    let bytes: Vec<u8> = (0..rest.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(rest.get(at..at + 2)?, 16).ok())
        .collect::<Option<_>>()?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+' | b'/');
    let whole = usize::from(u16::from_str_radix(length, 16).ok()?) == bytes.len();
    (whole && bytes.iter().all(plain)).then(|| format!("{code}:{}", String::from_utf8_lossy(&bytes)))
}

/// Whether an item can be sent: it has a value.
fn complete(text: &str) -> bool {
    text.split_once(':').is_none_or(|(_, payload)| !payload.is_empty())
}

/// The options of a message as items; `None` when they are not whole.
fn split_raw(hex: &str) -> Option<Vec<String>> {
    let mut rest = hex;
    let mut out = Vec::new();
    while !rest.is_empty() && out.len() < MAX_OPTIONS {
        let number = |text: Option<&str>| u16::from_str_radix(text?, 16).ok();
        let (code, length) = (number(rest.get(..4))?, number(rest.get(4..8))?);
        let end = 8 + usize::from(length) * 2;
        out.push(format!("{code}:{}", rest.get(8..end)?.to_ascii_lowercase()));
        rest = &rest[end..];
    }
    rest.is_empty().then_some(out)
}

fn join_raw(items: &[String]) -> String {
    let one = |text: &String| {
        let (code, payload) = text.split_once(':')?;
        let (code, length) = (code.parse::<u16>().ok()?, u16::try_from(payload.len() / 2).ok()?);
        Some(format!("{code:04x}{length:04x}{payload}"))
    };
    items.iter().filter_map(one).collect()
}

/// The section and the option of a place: `network/sendopts/FIELD`.
fn place<'a>(system: &mut System, at: &Place<'_>, argument: &'a str) -> Result<(String, &'a str, &'a str)> {
    let mut parts = argument.splitn(3, '/');
    let mut next = || parts.next().unwrap_or_default();
    let (package, list, field) = (next(), next(), next());
    if list == SENT {
        return Ok((dhcpv6::section(system, at)?, list, field));
    }
    let parent = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok((format!("{package}.{}", parent.row.addr), list, field))
}

/// Code and octets of an item, by its list: what a message has needs no reading.
fn shown(list: &str, text: &str) -> Option<(u16, String)> {
    if list == SENT {
        return parts(text);
    }
    let (code, payload) = text.split_once(':')?;
    Some((code.parse().ok()?, payload.to_owned()))
}

fn spelt(list: &str, code: u16, hex: &str) -> Option<String> {
    if list == SENT { item(code, hex) } else { Some(format!("{code}:{}", hex.to_ascii_lowercase())) }
}

fn get(system: &mut System, at: &Place<'_>, section: &str, list: &str) -> Result<Vec<Item>> {
    let live = if list == SENT {
        topology::words(system, section, list)?
    } else {
        let text = topology::text(system, section, list)?;
        // What odhcpd cannot read is not ours to overwrite.
        split_raw(&text)
            .ok_or_else(|| Error::backend(at.name, format!("{section}.{list} is no list of options")))?
    };
    let kept = items::kept(system, section, list)?;
    Ok(items::rows(&live, &kept, Ids::Place, complete))
}

fn put(system: &mut System, section: &str, list: &str, items: &[Item]) -> Result<()> {
    let (live, kept) = items::split(items, Ids::Place, complete);
    items::keep(system, section, list, kept)?;
    if list == SENT {
        return topology::put_list(system, section, list, live);
    }
    topology::put(system, section, list, &join_raw(&live))
}

fn rows(system: &mut System, at: Place<'_>, argument: &str) -> Result<Vec<Row>> {
    let (section, list, _) = place(system, &at, argument)?;
    let Ok(items) = get(system, &at, &section, list) else { return Ok(Vec::new()) };
    let seen = items.into_iter().filter(|item| shown(list, &item.text).is_some());
    Ok(seen.map(|item| Row { name: item.id.clone(), addr: item.id, cols: Vec::new() }).collect())
}

fn add(system: &mut System, at: Place<'_>, argument: &str) -> Result<Row> {
    let (section, list, _) = place(system, &at, argument)?;
    let mut items = get(system, &at, &section, list)?;
    let taken: Vec<u16> =
        items.iter().filter_map(|item| shown(list, &item.text)).map(|(code, _)| code).collect();
    // Nobody has the codes at the end of the range.
    let code = (65_000..=65_535).find(|code| !taken.contains(code));
    let code = code.filter(|_| items.len() < MAX_OPTIONS);
    let code = code.ok_or_else(|| Error::exhausted(format!("{}: no more options", at.name)))?;
    let id = items::free_id(&items);
    items.push(Item { id: id.clone(), text: format!("{code}:"), on: false });
    put(system, &section, list, &items)?;
    Ok(Row { name: id.clone(), addr: id, cols: Vec::new() })
}

fn find(items: &[Item], at: &Place<'_>) -> Result<usize> {
    let id = at.row().map(|row| row.name.as_str()).unwrap_or_default();
    items.iter().position(|item| item.id == id).ok_or_else(|| Error::unknown_name(at.name))
}

fn delete(system: &mut System, at: Place<'_>, argument: &str) -> Result<()> {
    let (section, list, _) = place(system, &at, argument)?;
    let mut items = get(system, &at, &section, list)?;
    let found = find(&items, &at)?;
    items.remove(found);
    put(system, &section, list, &items)
}

fn read(system: &mut System, at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let (section, list, field) = place(system, &at, argument)?;
    let items = get(system, &at, &section, list)?;
    let found = find(&items, &at)?;
    let Some((code, hex)) = shown(list, &items[found].text) else { return Ok(None) };
    Ok(Some(match field {
        "enable" => Raw::one(if items[found].on { "1" } else { "0" }),
        "tag" => Raw::one(code.to_string()),
        _ => Raw::One(hex),
    }))
}

fn write(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let (section, list, field) = place(system, &at, argument)?;
    let mut items = get(system, &at, &section, list)?;
    let found = find(&items, &at)?;
    let given = raw.text();
    let (code, hex) = shown(list, &items[found].text).unwrap_or_default();
    let text = match field {
        "enable" => {
            items[found].on = topology::truth(&given);
            return put(system, &section, list, &items);
        }
        "tag" => {
            let code: u16 = given.parse().map_err(|_| Error::bad_value(at.name, "a code is 0 to 65535"))?;
            let twice = |(other, item): (usize, &Item)| {
                other != found && shown(list, &item.text).is_some_and(|(known, _)| known == code)
            };
            if items.iter().enumerate().any(twice) {
                return Err(Error::bad_value(at.name, "another row has this tag"));
            }
            spelt(list, code, &hex)
        }
        _ => spelt(list, code, &given),
    };
    let why = "the client sends octets, and a user class of one text, its length before it";
    items[found].text = text.ok_or_else(|| Error::bad_value(at.name, why))?;
    put(system, &section, list, &items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (text, code, hex) in [
            ("16:0000040E0005736167656D", 16, "0000040e0005736167656d"),
            ("15:FSVDSL", 15, "000646535644534c"),
            ("15:abcd", 15, "000461626364"),
            ("11:XAUTH", 11, "5841555448"),
            ("16", 16, ""),
        ] {
            assert_eq!(parts(text), Some((code, hex.to_owned())), "{text}");
        }
        assert_eq!(parts("userclass:x"), None);
        assert_eq!((parts("23:2001:db8::1"), item(24, "00")), (None, None));
        assert_eq!(item(15, "000646535644534C").as_deref(), Some("15:FSVDSL"));
        for bad in ["0006", "0002206f", "00", "000161626364"] {
            assert_eq!(item(15, bad), None, "{bad}");
        }
        assert_eq!(item(17, "AB").as_deref(), Some("17:ab"));
    }

    #[test]
    fn options_of_a_message() {
        let raw = "001700020001001f0000";
        assert_eq!(split_raw(raw), Some(vec!["23:0001".to_owned(), "31:".to_owned()]));
        assert_eq!(join_raw(&["23:0001".to_owned(), "31:".to_owned()]), raw);
        assert_eq!(split_raw(""), Some(vec![]));
        for bad in ["0017", "00170002", "0017000200", "xxxx0000", "é"] {
            assert_eq!(split_raw(bad), None, "{bad}");
        }
    }
}
