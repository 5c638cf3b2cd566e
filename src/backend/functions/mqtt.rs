//! `Device.MQTT.`: mosquitto as a broker, and its bridges to others.
//!
//! ```text
//!  config bridge
//!    option connection 'cloud'                     the name; without it the bridge is off
//!    option address 'a.example.net:8883 b.example.net'   ─► Server
//!    list topic 'sensors/# out 1 "" house/'        ─► Subscription: topic, direction, QoS, prefixes
//! ```
//! Everything in there becomes a line of mosquitto's own file: no value may hold a blank or begin another line.

use super::items::{self, Ids, Item};
use super::{init_scripts, proc_net, services, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "mqtt_broker", get: broker, set: Some(set_broker) },
    ValueFn { name: "mqtt_bridge", get: bridge, set: Some(set_bridge) },
    ValueFn { name: "mqtt_item", get: item, set: Some(set_item) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "mqtt_brokers", rows: brokers, add: None, delete: None },
    TableFn { name: "mqtt_items", rows: list, add: Some(add_item), delete: Some(delete_item) },
];

/// The port of a server that says none.
const PORT: u16 = 1883;

/// The first section `mosquitto`, if the init script reads it at all.
fn brokers(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut used = false;
    for section in system.sections("mosquitto", "owrt")? {
        used |= topology::text(system, &format!("mosquitto.{}", section.addr), "use_uci")? == "1";
    }
    let first = system.sections("mosquitto", "mosquitto")?.into_iter().next().filter(|_| used);
    Ok(first
        .map(|section| Row { name: section.id, addr: section.addr, cols: Vec::new() })
        .into_iter()
        .collect())
}

fn broker(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(row) = at.row() else { return Ok(None) };
    let section = format!("mosquitto.{}", row.addr);
    match what {
        "name" => {
            let told = topology::text(system, &section, "rcwmp_name")?;
            return Ok(Some(Raw::One(if told.is_empty() { row.name.clone() } else { told })));
        }
        // The script can leave out all but this device, or none.
        "interface" => {
            let near = topology::truth(&topology::text(system, &section, "no_remote_access")?);
            return Ok(match near {
                true => loopback(system)?.map(Raw::One),
                false => None,
            });
        }
        _ => {}
    }
    let starts = init_scripts::is_enabled(system, "mosquitto");
    let runs = services::runs(system, "mosquitto");
    Ok(Some(Raw::one(match what {
        _ if runs => "Enabled",
        _ if starts => "Error",
        _ => "Disabled",
    })))
}

fn set_broker(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let Some(row) = at.row() else { return Err(Error::unknown_name(at.name)) };
    let section = format!("mosquitto.{}", row.addr);
    let text = raw.text();
    if what == "name" {
        if text.chars().any(char::is_control) {
            return Err(Error::bad_value(at.name, "a control character has no place there"));
        }
        return topology::put(system, &section, "rcwmp_name", &text);
    }
    let near = !text.is_empty();
    if near && loopback(system)?.is_none_or(|name| name != text) {
        return Err(Error::bad_value(
            at.name,
            "the start script can have it listen at all, or at the loopback",
        ));
    }
    topology::put(system, &section, "no_remote_access", if near { "1" } else { "" })
}

/// The interface of the loopback.
fn loopback(system: &mut System) -> Result<Option<String>> {
    let all = topology::interfaces(system)?;
    Ok(all.into_iter().find(|interface| interface.device == "lo").map(|interface| interface.name))
}

fn section(at: &Place<'_>) -> Result<String> {
    let bridge = at.rows.get(1).ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(format!("mosquitto.{}", bridge.row.addr))
}

/// An option by its name of today, or by the one that old configurations have.
fn remote(system: &mut System, section: &str, option: &str) -> Result<String> {
    let new = topology::text(system, section, &format!("remote_{option}"))?;
    if new.is_empty() { topology::text(system, section, option) } else { Ok(new) }
}

fn bridge(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let on = topology::text(system, &section, "connection")?;
    Ok(Some(Raw::One(match what {
        "enable" => if on.is_empty() { "0" } else { "1" }.to_owned(),
        "name" if !on.is_empty() => on,
        "name" => {
            let kept = topology::text(system, &section, "rcwmp_connection")?;
            if kept.is_empty() { at.rows[1].row.name.clone() } else { kept }
        }
        "transport" => {
            let mut secure = false;
            for option in ["cafile", "capath", "psk"] {
                secure |= !topology::text(system, &section, option)?.is_empty();
            }
            if secure { "TLS" } else { "TCP/IP" }.to_owned()
        }
        "status" => {
            let servers = all(system, &section, "address")?.into_iter().filter(|item| item.on);
            let ports: Vec<u16> =
                servers.filter_map(|item| fields("address", &item.text)[1].parse().ok()).collect();
            let topics = all(system, &section, "topic")?.iter().any(|item| item.on);
            let is_peer = |socket: &proc_net::Socket| !socket.listens && ports.contains(&socket.remote_port);
            match () {
                () if on.is_empty() => "Disabled",
                () if ports.is_empty() || !topics => "Error_Misconfigured",
                () if !services::runs(system, "mosquitto") => "Error",
                () if proc_net::sockets(system).iter().any(is_peer) => "Connected",
                () => "Connecting",
            }
            .to_owned()
        }
        "server" => server(system, &section)?,
        option => remote(system, &section, option)?,
    })))
}

/// The server that a bridge is connected to: the one whose port, and whose address where it is one, is the other end of
/// a connection. Where two could be meant, none is.
fn server(system: &mut System, section: &str) -> Result<String> {
    if topology::text(system, section, "connection")?.is_empty() || !services::runs(system, "mosquitto") {
        return Ok(String::new());
    }
    let sockets = proc_net::sockets(system);
    let mut found = Vec::new();
    for item in all(system, section, "address")?.into_iter().filter(|item| item.on) {
        let ends = fields("address", &item.text);
        let Ok(port) = ends[1].parse::<u16>() else { continue };
        let address = ends[0].parse::<std::net::IpAddr>().ok();
        let is_peer = |socket: &proc_net::Socket| {
            let fits = address.is_none_or(|address| address == socket.remote.to_canonical());
            !socket.listens && socket.remote_port == port && fits
        };
        if sockets.iter().any(is_peer) {
            found.push(item.id);
        }
    }
    Ok(if found.len() == 1 { found.concat() } else { String::new() })
}

/// Whether a text can stand in a line of mosquitto's file as one word.
fn is_word(text: &str) -> bool {
    !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"')
}

fn set_bridge(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let text = raw.text();
    let name = bridge(system, at, "name")?.map(|raw| raw.text()).unwrap_or_default();
    let on = !topology::text(system, &section, "connection")?.is_empty();
    let (on, name) = match what {
        "enable" => (topology::truth(&text), name),
        _ if text.chars().any(char::is_control) || (what != "password" && !is_word(&text)) => {
            return Err(Error::bad_value(at.name, "a blank or a control character has no place there"));
        }
        "name" if text.is_empty() => return Err(Error::bad_value(at.name, "a bridge has a name")),
        "name" => (on, text),
        option => {
            topology::put(system, &section, option, "")?;
            return topology::put(system, &section, &format!("remote_{option}"), &text);
        }
    };
    topology::put(system, &section, "connection", if on { &name } else { "" })?;
    topology::put(system, &section, "rcwmp_connection", if on { "" } else { &name })
}

/// The words of an item, with what they are when they are left out.
fn fields(list: &str, text: &str) -> Vec<String> {
    if list == "address" {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.to_owned()),
            _ => (text, PORT.to_string()),
        };
        return vec![host.trim_matches(['[', ']']).to_owned(), port];
    }
    let mut out: Vec<String> = text
        .split_whitespace()
        .take(5)
        .map(|word| if word == "\"\"" { "" } else { word }.to_owned())
        .collect();
    for (at, default) in ["", "out", "0", "", ""].iter().enumerate().skip(out.len()) {
        debug_assert_eq!(at, out.len());
        out.push((*default).to_owned());
    }
    out
}

/// Words as an item, as short as can be.
fn spelled(list: &str, fields: &[String]) -> String {
    if list == "address" {
        let host = if fields[0].contains(':') { format!("[{}]", fields[0]) } else { fields[0].clone() };
        return format!("{host}:{}", fields[1]);
    }
    let used = (0..5).rev().find(|at| *at < 3 || !fields[*at].is_empty()).unwrap_or(0);
    let word = |field: &String| if field.is_empty() { "\"\"".to_owned() } else { field.clone() };
    fields[..=used].iter().map(word).collect::<Vec<_>>().join(" ")
}

fn full(list: &str, text: &str) -> bool {
    let fields = fields(list, text);
    !fields[0].is_empty() && (list != "address" || fields[1].parse().is_ok_and(|port: u16| port > 0))
}

fn all(system: &mut System, section: &str, list: &str) -> Result<Vec<Item>> {
    let verbatim = |raw: Option<Raw>| match raw {
        Some(Raw::Many(items)) => items,
        _ => Vec::new(),
    };
    // The addresses stand in one line, the topics are a list or nothing.
    let live = match list {
        "address" => topology::words(system, section, list)?,
        _ => verbatim(system.option(&format!("{section}.{list}"))?),
    };
    let kept = verbatim(system.option(&format!("{section}.rcwmp_{list}"))?);
    Ok(items::rows(&live, &kept, Ids::Place, |text| full(list, text)))
}

fn put(system: &mut System, section: &str, list: &str, items: &[Item]) -> Result<()> {
    let (live, kept) = items::split(items, Ids::Place, |text| full(list, text));
    let kept = if kept.is_empty() { None } else { Some(Raw::Many(kept)) };
    let beside = format!("{section}.rcwmp_{list}");
    if kept.is_some() || system.option(&beside)?.is_some() {
        system.set_option(&beside, kept.as_ref())?;
    }
    if list == "address" {
        return topology::put(system, section, list, &live.join(" "));
    }
    let address = format!("{section}.{list}");
    let raw = (!live.is_empty()).then_some(Raw::Many(live));
    if raw.is_some() || system.option(&address)?.is_some() {
        system.set_option(&address, raw.as_ref())?;
    }
    Ok(())
}

fn list(system: &mut System, at: Place<'_>, list: &str) -> Result<Vec<Row>> {
    let row = |item: Item| Row { name: item.id.clone(), addr: item.id, cols: Vec::new() };
    Ok(all(system, &section(&at)?, list)?.into_iter().map(row).collect())
}

/// The items of the row's list, and the row's place among them.
fn find(system: &mut System, at: &Place<'_>, list: &str) -> Result<(String, Vec<Item>, usize)> {
    let section = section(at)?;
    let items = all(system, &section, list)?;
    let id = at.row().map(|row| row.addr.as_str()).unwrap_or_default();
    let found = items.iter().position(|item| item.id == id);
    Ok((section, items, found.ok_or_else(|| Error::unknown_name(at.name))?))
}

/// `list/field`.
fn item(system: &mut System, at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let (list, field) = argument.split_once('/').unwrap_or_default();
    let (_, items, found) = find(system, &at, list)?;
    let Item { text, on, .. } = &items[found];
    Ok(match field {
        "enable" => Some(if *on { "1" } else { "0" }.to_owned()),
        "order" => Some(found.to_string()),
        "status" if !on => Some("Disabled".to_owned()),
        "status" => Some(if full(list, text) { "Enabled" } else { "Error" }.to_owned()),
        field => field.parse::<usize>().ok().and_then(|field| fields(list, text).get(field).cloned()),
    }
    .map(Raw::One))
}

fn set_item(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let (list, field) = argument.split_once('/').unwrap_or_default();
    let (section, mut items, found) = find(system, &at, list)?;
    let text = raw.text();
    if field == "enable" {
        items[found].on = topology::truth(&text);
        return put(system, &section, list, &items);
    }
    if field == "order" {
        // mosquitto tries them as they stand; one that is off stands behind those that are on.
        let to = text.parse::<usize>().ok().filter(|to| *to < items.len());
        let to =
            to.ok_or_else(|| Error::bad_value(at.name, "a priority is a place among the servers, from 0"))?;
        let moved = items.remove(found);
        items.insert(to, moved);
        return put(system, &section, list, &items);
    }
    let mut now = fields(list, &items[found].text);
    let field = field.parse().ok().and_then(|field: usize| now.get_mut(field));
    let field = field.ok_or_else(|| Error::not_writable(at.name))?;
    if !is_word(&text) {
        return Err(Error::bad_value(at.name, "a blank or a control character has no place there"));
    }
    *field = text;
    // Topic and direction, or address and port, tell one row from the others.
    let twice = |(other, item): (usize, &Item)| other != found && fields(list, &item.text)[..2] == now[..2];
    if !now[0].is_empty() && items.iter().enumerate().any(twice) {
        return Err(Error::bad_value(at.name, "another row has the same"));
    }
    items[found].text = spelled(list, &now);
    put(system, &section, list, &items)
}

fn add_item(system: &mut System, at: Place<'_>, list: &str) -> Result<Row> {
    let section = section(&at)?;
    let mut items = all(system, &section, list)?;
    if items.len() >= items::MAX_ITEMS {
        return Err(Error::exhausted(format!("{}: no more rows", at.name)));
    }
    let id = items::free_id(&items);
    items.push(Item { id: id.clone(), text: spelled(list, &fields(list, "")), on: false });
    put(system, &section, list, &items)?;
    Ok(Row { name: id.clone(), addr: id, cols: Vec::new() })
}

fn delete_item(system: &mut System, at: Place<'_>, list: &str) -> Result<()> {
    let (section, mut items, found) = find(system, &at, list)?;
    items.remove(found);
    put(system, &section, list, &items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (list, text, expected, again) in [
            (
                "topic",
                "sensors/# out 1 \"\" house/",
                "sensors/#|out|1||house/",
                "sensors/# out 1 \"\" house/",
            ),
            ("topic", "#", "#|out|0||", "# out 0"),
            ("topic", "a both 2 l/", "a|both|2|l/|", "a both 2 l/"),
            ("address", "a.example.net:8883", "a.example.net|8883", "a.example.net:8883"),
            ("address", "a.example.net", "a.example.net|1883", "a.example.net:1883"),
            ("address", "[2001:db8::1]:1884", "2001:db8::1|1884", "[2001:db8::1]:1884"),
        ] {
            let found = fields(list, text);
            assert_eq!(found.join("|"), expected);
            assert_eq!(spelled(list, &found), again);
        }
        assert!(!full("topic", "\"\" out 0") && !full("address", ":1883") && !full("address", "a:x"));
    }
}
