//! `Device.UserInterface.`: uhttpd, and LuCI behind it.
//!
//! A row is an item of `listen_http` or `listen_https` of uhttpd's first section. One that is off, or not
//! complete yet, is kept beside the list, see [`super::items`].

use std::net::Ipv4Addr;

use super::items::{self, Ids, Item};
use super::{services, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "web", get: about, set: None },
    ValueFn { name: "web_listener", get: listener, set: Some(set_listener) },
];

/// Behind tables.
pub const TABLES: &[TableFn] =
    &[TableFn { name: "web_listeners", rows: listeners, add: Some(add), delete: Some(delete) }];

/// The two lists, and what is spoken there.
const LISTS: [(&str, &str); 2] = [("listen_http", "HTTP"), ("listen_https", "HTTPS")];
/// The most languages.
const MAX_LANGUAGES: usize = 32;

fn about(system: &mut System, _at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let section = section(system)?;
    Ok(match what {
        "languages" => {
            let mut out = system.options("luci", "languages");
            // English is what LuCI's own texts are in.
            if system.has_section("luci.main.lang") && out.iter().all(|one| one != "en") {
                out.insert(0, "en".to_owned());
            }
            out.truncate(MAX_LANGUAGES);
            Some(Raw::Many(out.iter().map(|name| name.replace('_', "-")).collect()))
        }
        "protocols" => {
            let Some(section) = section else { return Ok(None) };
            // TLS of uhttpd is a library that px5g or openssl's package brings along with a key.
            let key = topology::text(system, &section, "key")?;
            let tls = system.names("/lib").iter().any(|name| name.starts_with("libustream-ssl"))
                || (!key.is_empty() && system.exists(&key));
            Some(Raw::Many(
                LISTS.iter().take(if tls { 2 } else { 1 }).map(|(_, word)| (*word).to_owned()).collect(),
            ))
        }
        // Whether root has a password: LuCI asks for that.
        _ => {
            let shadow = system.text("/etc/shadow").unwrap_or_default();
            let field = shadow.lines().find_map(|line| line.strip_prefix("root:"));
            let open = field.is_some_and(|field| field.starts_with(':'));
            Some(Raw::one(if section.is_some() && !open { "1" } else { "0" }))
        }
    })
}

/// The address of uhttpd's first section.
fn section(system: &mut System) -> Result<Option<String>> {
    let first = system.sections("uhttpd", "uhttpd")?.into_iter().next();
    Ok(first.map(|section| format!("uhttpd.{}", section.addr)))
}

/// Address and port of an item; `80` alone is every address.
fn parts(text: &str) -> Option<(&str, u16)> {
    let (address, port) = text.rsplit_once(':').unwrap_or(("", text));
    Some((address, port.parse().ok().filter(|port| *port > 0)?))
}

fn full(text: &str) -> bool {
    parts(text).is_some()
}

fn all(system: &mut System, section: &str, list: &str) -> Result<Vec<Item>> {
    let (live, kept) = (items::live(system, section, list)?, items::kept(system, section, list)?);
    Ok(items::rows(&live, &kept, Ids::Place, full))
}

fn put(system: &mut System, section: &str, list: &str, items: &[Item]) -> Result<()> {
    let (live, kept) = items::split(items, Ids::Place, full);
    items::keep(system, section, list, kept)?;
    topology::put_list(system, section, list, live)
}

fn row(list: &str, item: &Item) -> Row {
    let name = format!("{list} {}", item.id);
    Row { addr: name.clone(), name, cols: Vec::new() }
}

fn listeners(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let Some(section) = section(system)? else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for (list, _) in LISTS {
        out.extend(all(system, &section, list)?.iter().map(|item| row(list, item)));
    }
    Ok(out)
}

/// The section, the list, its items and the place among them that a row is.
struct Found {
    section: String,
    list: &'static str,
    protocol: &'static str,
    items: Vec<Item>,
    at: usize,
}

fn find(system: &mut System, at: Place<'_>) -> Result<Option<Found>> {
    let Some((list, id)) = at.row().and_then(|row| row.addr.split_once(' ')) else { return Ok(None) };
    let Some(section) = section(system)? else { return Ok(None) };
    let Some((list, protocol)) = LISTS.into_iter().find(|(name, _)| *name == list) else { return Ok(None) };
    let items = all(system, &section, list)?;
    let found = items.iter().position(|item| item.id == id);
    Ok(found.map(|at| Found { section, list, protocol, items, at }))
}

fn listener(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(Found { protocol, items, at, .. }) = find(system, at)? else { return Ok(None) };
    let Item { text, on, .. } = &items[at];
    let (address, port) = parts(text).unwrap_or(("", 443));
    Ok(Some(Raw::One(match what {
        "enable" => if *on { "1" } else { "0" }.to_owned(),
        "protocol" => protocol.to_owned(),
        "port" => port.to_string(),
        "status" => if *on && services::runs(system, "uhttpd") { "Up" } else { "Down" }.to_owned(),
        _ => interface_at(system, address)?,
    })))
}

/// The interface whose configured address it is.
fn interface_at(system: &mut System, address: &str) -> Result<String> {
    let Ok(address) = address.parse::<Ipv4Addr>() else { return Ok(String::new()) };
    for interface in topology::interfaces(system)? {
        if addresses(system, &interface.name)?.contains(&address) {
            return Ok(interface.name);
        }
    }
    Ok(String::new())
}

fn addresses(system: &mut System, interface: &str) -> Result<Vec<Ipv4Addr>> {
    let words = topology::words(system, &format!("network.{interface}"), "ipaddr")?;
    Ok(words.iter().filter_map(|word| word.split('/').next()?.parse().ok()).collect())
}

fn set_listener(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let missing = || Error::not_writable(at.name);
    let found = find(system, at)?.ok_or_else(missing)?;
    let Found { section, list, protocol, mut items, at: nth } = found;
    let text = raw.text();
    let (address, port) = parts(&items[nth].text).unwrap_or(("0.0.0.0", 443));
    match what {
        "enable" => items[nth].on = topology::truth(&text),
        "port" => items[nth].text = format!("{address}:{text}"),
        // The interface it was bound to is deleted: on all others it would be for everybody.
        "interface" if text.is_empty() && system.releasing => items[nth].on = false,
        "interface" if text.is_empty() => items[nth].text = format!("0.0.0.0:{port}"),
        "interface" => {
            let first = addresses(system, &text)?.first().copied();
            let first =
                first.ok_or_else(|| Error::bad_value(at.name, "the interface has no fixed address"))?;
            items[nth].text = format!("{first}:{port}");
        }
        // A listener of the other kind is another row.
        _ if text == protocol => {}
        _ => return Err(Error::bad_value(at.name, "the protocol of a listener is as it was made")),
    }
    let (one, rest) = (&items[nth], items.iter().enumerate());
    if one.on && rest.clone().any(|(other, item)| other != nth && item.on && item.text == one.text) {
        return Err(Error::bad_value(at.name, "uhttpd listens there already"));
    }
    put(system, &section, list, &items)
}

/// New ones are of HTTPS, at TR-181's port for them, and off.
fn add(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    let missing = || Error::exhausted("there is no uhttpd to add to".to_owned());
    let section = section(system)?.ok_or_else(missing)?;
    let (list, _) = LISTS[1];
    let mut items = all(system, &section, list)?;
    items.push(Item { id: items::free_id(&items), text: "0.0.0.0:443".to_owned(), on: false });
    put(system, &section, list, &items)?;
    Ok(row(list, &items[items.len() - 1]))
}

fn delete(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let missing = || Error::not_deletable(at.name);
    let Found { section, list, mut items, at, .. } = find(system, at)?.ok_or_else(missing)?;
    items.remove(at);
    put(system, &section, list, &items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_listeners() {
        for (text, expected) in [
            ("0.0.0.0:80", Some(("0.0.0.0", 80))),
            ("[::]:443", Some(("[::]", 443))),
            ("8080", Some(("", 8080))),
            ("192.168.1.1:0", None),
            ("x", None),
            ("", None),
            ("[::]:99999", None),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }
}
