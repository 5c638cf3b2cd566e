//! DHCPv4 options as rows, and the leases of the server.
//!
//! An option is an item of a list: `dhcp_option` of a pool (dnsmasq's spelling, `6,192.0.2.1`), `sendopts`
//! (udhcpc's, `60:736167`) and `reqopts` (`121`) of an interface. A place says which: `PACKAGE/OPTION`.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use super::items::{self, Ids, Item};
use super::{dhcpv4, odhcpd, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// The most leases that become rows.
const MAX_LEASES: usize = 4096;
/// Names that dnsmasq and udhcpc have for options that are often configured by them.
const NAMES: [(&str, u8); 12] = [
    ("subnet", 1),
    ("netmask", 1),
    ("router", 3),
    ("dns-server", 6),
    ("hostname", 12),
    ("domain-name", 15),
    ("mtu", 26),
    ("ntp-server", 42),
    ("netbios-ns", 44),
    ("lease", 51),
    ("vendor", 60),
    ("clientid", 61),
];
/// Options whose value is addresses.
const ADDRESSES: [u8; 17] = [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 28, 32, 41, 42, 44, 45, 54];
/// Options whose value is names or routes, which dnsmasq encodes itself.
const ENCODED: [u8; 4] = [119, 120, 121, 249];

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "dhcp_option", get: option, set: Some(set_option) },
    ValueFn { name: "dhcp_lease_active", get: lease_active, set: None },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "dhcp_options", rows: option_rows, add: Some(add_option), delete: Some(delete_option) },
    TableFn { name: "dhcp_leases", rows: lease_rows, add: None, delete: None },
    TableFn { name: "dhcp_lease_addresses", rows: lease_addresses, add: None, delete: None },
    TableFn { name: "dhcp_lease_options", rows: lease_options, add: None, delete: None },
];

/// The spellings of an option's item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Dnsmasq,
    Send,
    Request,
}

impl Style {
    fn of(list: &str) -> Style {
        match list {
            "sendopts" => Style::Send,
            "reqopts" => Style::Request,
            _ => Style::Dnsmasq,
        }
    }

    /// Tag and payload of an item; `None` for one that is no plain option (tagged, DHCPv6, unknown name).
    fn parts(self, text: &str) -> Option<(u8, &str)> {
        let (tag, payload) = match self {
            Style::Dnsmasq => text.split_once(',').unwrap_or((text, "")),
            Style::Send => text.split_once(':').unwrap_or((text, "")),
            Style::Request => (text, ""),
        };
        let tag = tag.trim().strip_prefix("option:").unwrap_or(tag.trim());
        let number = match tag.strip_prefix("0x") {
            Some(hex) => u8::from_str_radix(hex, 16).ok(),
            None => tag.parse().ok(),
        };
        let number =
            number.or_else(|| NAMES.iter().find(|(name, _)| *name == tag).map(|(_, number)| *number));
        Some((number.filter(|number| (1..=254).contains(number))?, payload))
    }

    fn item(self, tag: u8, payload: &str) -> String {
        match (self, payload.is_empty()) {
            (Style::Request, _) | (Style::Dnsmasq, true) => tag.to_string(),
            (Style::Dnsmasq, false) => format!("{tag},{payload}"),
            (Style::Send, _) => format!("{tag}:{payload}"),
        }
    }

    fn complete(self, text: &str) -> bool {
        match self {
            Style::Send => text.split_once(':').is_none_or(|(_, payload)| !payload.is_empty()),
            _ => !text.is_empty(),
        }
    }

    /// The octets of a payload, in hexadecimal; `None` when only the daemon knows how it encodes it.
    fn hex(self, tag: u8, payload: &str) -> Option<String> {
        let text = |text: &str| Some(hex_of(text.as_bytes()));
        if self == Style::Send {
            let bare: String = payload.chars().filter(|c| *c != ':').collect();
            let is_hex = bare.len().is_multiple_of(2) && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
            return if is_hex { Some(bare.to_ascii_lowercase()) } else { text(payload) };
        }
        if ENCODED.contains(&tag) && !payload.is_empty() && !looks_hex(payload) {
            return None;
        }
        let addresses: Option<Vec<Ipv4Addr>> =
            payload.split(',').map(|word| word.trim().parse().ok()).collect();
        match addresses {
            Some(list) => Some(list.iter().map(|address| hex_of(&address.octets())).collect()),
            None if payload.is_empty() => Some(String::new()),
            None if looks_hex(payload) => Some(payload.replace(':', "").to_ascii_lowercase()),
            None => match payload.parse::<u32>() {
                Ok(number) if matches!(tag, 26 | 22 | 57) => Some(format!("{:04x}", number & 0xffff)),
                Ok(number) if matches!(tag, 51 | 58 | 59 | 2 | 24 | 35) => Some(format!("{number:08x}")),
                Ok(number @ 0..=0xff) => Some(format!("{number:02x}")),
                Ok(number @ 0x100..=0xffff) => Some(format!("{number:04x}")),
                Ok(number) => Some(format!("{number:08x}")),
                Err(_) => text(payload),
            },
        }
    }

    /// The payload for octets in hexadecimal: nothing but digits, dots, colons and harmless letters.
    fn payload(self, tag: u8, hex: &str) -> Option<String> {
        let octets: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
            .collect::<Option<_>>()?;
        if self == Style::Send {
            return Some(hex_of(&octets));
        }
        if ADDRESSES.contains(&tag) {
            let words = octets.chunks(4).map(|four| {
                let four: [u8; 4] = four.try_into().ok()?;
                Some(Ipv4Addr::from(four).to_string())
            });
            return Some(words.collect::<Option<Vec<_>>>()?.join(","));
        }
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/');
        let word = octets.iter().all(plain) && octets.iter().any(u8::is_ascii_alphabetic);
        match octets.as_slice() {
            [one] => Some(one.to_string()),
            _ if word => String::from_utf8(octets).ok(),
            _ => Some(octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")),
        }
    }
}

fn hex_of(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// dnsmasq takes two or more pairs of digits with colons for octets.
fn looks_hex(text: &str) -> bool {
    text.contains(':')
        && text.split(':').all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

// --- options as rows

fn list<'a>(at: &Place<'_>, argument: &'a str) -> Result<(String, &'a str, &'a str)> {
    let mut parts = argument.splitn(3, '/');
    let mut next = || parts.next().unwrap_or_default();
    let (package, list, field) = (next(), next(), next());
    let parent = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok((format!("{package}.{}", parent.row.addr), list, field))
}

fn read(system: &mut System, section: &str, list: &str) -> Result<Vec<Item>> {
    let style = Style::of(list);
    let live = if style == Style::Dnsmasq {
        items::live(system, section, list)?
    } else {
        // The scripts of netifd split lists and texts alike.
        topology::words(system, section, list)?
    };
    let kept = items::kept(system, section, list)?;
    Ok(items::rows(&live, &kept, Ids::Place, |text| style.complete(text)))
}

fn write(system: &mut System, section: &str, list: &str, items: &[Item]) -> Result<()> {
    let style = Style::of(list);
    let (live, kept) = items::split(items, Ids::Place, |text| style.complete(text));
    items::keep(system, section, list, kept)?;
    let old = system.option(&format!("{section}.{list}"))?;
    if style != Style::Dnsmasq && !live.is_empty() && matches!(old, None | Some(Raw::One(_))) {
        return topology::put(system, section, list, &live.join(" "));
    }
    topology::put_list(system, section, list, live)
}

fn option_rows(system: &mut System, at: Place<'_>, argument: &str) -> Result<Vec<Row>> {
    let (section, list, _) = list(&at, argument)?;
    let style = Style::of(list);
    let shown = read(system, &section, list)?.into_iter().filter(|item| style.parts(&item.text).is_some());
    Ok(shown.map(|item| Row { name: item.id.clone(), addr: item.id, cols: Vec::new() }).collect())
}

fn add_option(system: &mut System, at: Place<'_>, argument: &str) -> Result<Row> {
    let (section, list, _) = list(&at, argument)?;
    let style = Style::of(list);
    let mut items = read(system, &section, list)?;
    let taken: Vec<u8> =
        items.iter().filter_map(|item| style.parts(&item.text)).map(|(tag, _)| tag).collect();
    // Tags are unique in their table; 224 and above are for private use (RFC 3942).
    let tag = (224..=254).chain(1..224).find(|tag| !taken.contains(tag));
    let tag = tag.ok_or_else(|| Error::exhausted(format!("{}: all options are there", at.name)))?;
    let id = items::free_id(&items);
    items.push(Item { id: id.clone(), text: style.item(tag, ""), on: false });
    write(system, &section, list, &items)?;
    Ok(Row { name: id.clone(), addr: id, cols: Vec::new() })
}

fn delete_option(system: &mut System, at: Place<'_>, argument: &str) -> Result<()> {
    let (section, list, _) = list(&at, argument)?;
    let mut items = read(system, &section, list)?;
    let found = find(&items, &at)?;
    items.remove(found);
    write(system, &section, list, &items)
}

fn find(items: &[Item], at: &Place<'_>) -> Result<usize> {
    let id = at.row().map(|row| row.name.as_str()).unwrap_or_default();
    items.iter().position(|item| item.id == id).ok_or_else(|| Error::unknown_name(at.name))
}

/// Whether an option is on, its place, tag or value: `PACKAGE/OPTION/FIELD`.
///
/// # Errors
/// As [`System::option`].
pub fn option(system: &mut System, at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let (section, list, field) = list(&at, argument)?;
    let style = Style::of(list);
    let items = read(system, &section, list)?;
    let found = find(&items, &at)?;
    let Some((tag, payload)) = style.parts(&items[found].text) else { return Ok(None) };
    Ok(match field {
        "enable" => Some(Raw::one(if items[found].on { "1" } else { "0" })),
        "order" => Some(Raw::one((found + 1).to_string())),
        "tag" => Some(Raw::one(tag.to_string())),
        _ => style.hex(tag, payload).map(Raw::one),
    })
}

fn set_option(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let (section, list, field) = list(&at, argument)?;
    let style = Style::of(list);
    let mut items = read(system, &section, list)?;
    let found = find(&items, &at)?;
    let text = raw.text();
    let (tag, payload) = style.parts(&items[found].text).unwrap_or((0, ""));
    match field {
        "enable" => items[found].on = topology::truth(&text),
        "tag" => {
            let new: u8 = text.parse().map_err(|_| Error::bad_value(at.name, "not a tag"))?;
            let twice = |(other, item): (usize, &Item)| {
                other != found && style.parts(&item.text).is_some_and(|(tag, _)| tag == new)
            };
            if items.iter().enumerate().any(twice) {
                return Err(Error::bad_value(at.name, "another row has this tag"));
            }
            // The octets stay, and another tag may spell them otherwise.
            let octets = style.hex(tag, payload).unwrap_or_default();
            let payload =
                style.payload(new, &octets).or_else(|| style.payload(224, &octets)).unwrap_or_default();
            items[found].text = style.item(new, &payload);
        }
        _ => {
            let payload = style.payload(tag, &text);
            let payload = payload.ok_or_else(|| Error::bad_value(at.name, "not the octets of addresses"))?;
            items[found].text = style.item(tag, &payload);
        }
    }
    write(system, &section, list, &items)
}

/// The payload of a pool's plain option as dnsmasq spells it; `None` when it is not configured.
///
/// # Errors
/// As [`System::option`].
pub fn payload(system: &mut System, pool: &str, code: u8) -> Result<Option<String>> {
    let items = read(system, pool, "dhcp_option")?;
    let mut found = items.iter().filter(|item| item.on).filter_map(|item| Style::Dnsmasq.parts(&item.text));
    Ok(found.find(|(tag, _)| *tag == code).map(|(_, payload)| payload.to_owned()))
}

/// Stages a pool's plain option; `None` removes it.
///
/// # Errors
/// As [`System::set_option`].
pub fn put_payload(system: &mut System, pool: &str, code: u8, payload: Option<&str>) -> Result<()> {
    let mut items = read(system, pool, "dhcp_option")?;
    let is_it = |item: &Item| item.on && Style::Dnsmasq.parts(&item.text).is_some_and(|(tag, _)| tag == code);
    let text = payload.map(|payload| Style::Dnsmasq.item(code, payload));
    match (items.iter().position(is_it), text) {
        (None, None) => return Ok(()),
        (Some(found), None) => {
            items.remove(found);
        }
        (Some(found), Some(text)) => items[found].text = text,
        (None, Some(text)) => {
            let id = topology::numbered("", |id| items.iter().any(|item| item.id == id));
            items.push(Item { id, text, on: true });
        }
    }
    write(system, pool, "dhcp_option", &items)
}

// --- leases

/// A lease of dnsmasq.
#[derive(Clone)]
struct Lease {
    expires: i64,
    mac: String,
    address: Ipv4Addr,
    host: String,
    client: String,
}

/// The IPv4 leases of a lease file; what follows its `duid` line is DHCPv6.
fn leases(text: &str) -> impl Iterator<Item = Lease> + '_ {
    text.lines().take(MAX_LEASES).take_while(|line| !line.starts_with("duid ")).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().take(5).collect();
        let [expires, mac, address, ref rest @ ..] = words[..] else { return None };
        let is_mac = mac.len() == 17
            && mac.split(':').count() == 6
            && mac.split(':').all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()));
        is_mac.then_some(())?;
        let known =
            |at: usize| rest.get(at).copied().filter(|word| *word != "*").unwrap_or_default().to_owned();
        let (host, client, mac) = (known(0), known(1), mac.to_ascii_lowercase());
        Some(Lease { expires: expires.parse().ok()?, mac, address: address.parse().ok()?, host, client })
    })
}

/// The leases of dnsmasq's file, and those of odhcpd where it is the main server or dnsmasq has no file.
fn all_leases(system: &mut System) -> Result<Rc<[Lease]>> {
    system.once("leases", ["dhcp"], find_leases)
}

fn find_leases(system: &mut System) -> Result<Vec<Lease>> {
    let path = system.option_text("dhcp.@dnsmasq[0].leasefile")?;
    let path = if path.starts_with('/') { path } else { "/tmp/dhcp.leases".to_owned() };
    let text = system.text(&path);
    let mut out: Vec<Lease> = leases(text.as_deref().unwrap_or_default()).collect();
    if text.is_some() && !topology::truth(&system.option_text("dhcp.odhcpd.maindhcp")?) {
        return Ok(out);
    }
    let (now, _) = system.now();
    let mut known: HashSet<(String, Ipv4Addr)> =
        out.iter().map(|lease| (lease.mac.clone(), lease.address)).collect();
    for told in odhcpd::ipv4(system) {
        let expires = told.valid.map_or(0, |seconds| now.saturating_add(i64::from(seconds)));
        for address in told.addresses {
            let IpAddr::V4(address) = address else { continue };
            if out.len() < MAX_LEASES && known.insert((told.mac.clone(), address)) {
                let (mac, host) = (told.mac.clone(), told.host.clone());
                out.push(Lease { expires, mac, address, host, client: String::new() });
            }
        }
    }
    Ok(out)
}

fn lease_rows(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let pool = at.rows.first().map(|instance| format!("dhcp.{}", instance.row.addr)).unwrap_or_default();
    let Some(subnet) = dhcpv4::subnet(system, &pool)? else { return Ok(Vec::new()) };
    let mut out: Vec<Row> = Vec::new();
    for lease in all_leases(system)?.iter().filter(|lease| subnet.holds(lease.address)) {
        if out.iter().all(|row| row.name != lease.mac) {
            out.push(Row { addr: lease.mac.clone(), name: lease.mac.clone(), cols: Vec::new() });
        }
    }
    Ok(out)
}

/// The client's leases in the pool: expiry (0 for never), address, name and client identifier.
fn leases_of(system: &mut System, at: &Place<'_>) -> Result<Vec<Lease>> {
    let [pool, client, ..] = at.rows else { return Ok(Vec::new()) };
    let pool = format!("dhcp.{}", pool.row.addr);
    let Some(subnet) = dhcpv4::subnet(system, &pool)? else { return Ok(Vec::new()) };
    let own = |lease: &&Lease| lease.mac == client.row.name && subnet.holds(lease.address);
    Ok(all_leases(system)?.iter().filter(own).cloned().collect())
}

fn lease_active(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (now, _) = system.now();
    let active = leases_of(system, &at)?.iter().any(|lease| lease.expires == 0 || lease.expires > now);
    Ok(Some(Raw::one(if active { "1" } else { "0" })))
}

fn lease_addresses(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut out: Vec<Row> = Vec::new();
    for Lease { expires, address, .. } in leases_of(system, &at)? {
        let name = address.to_string();
        // Infinity has a date of its own (TR-106 3.2.1).
        let ends = if expires == 0 { "9999-12-31T23:59:59Z".to_owned() } else { date(expires) };
        if out.iter().all(|row| row.name != name) {
            out.push(Row { addr: name.clone(), name, cols: vec![ends] });
        }
    }
    Ok(out)
}

/// The options a lease tells of: the client's name and its identifier.
fn lease_options(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let Some(Lease { host, client, .. }) = leases_of(system, &at)?.into_iter().next() else {
        return Ok(Vec::new());
    };
    let client: String = client.chars().filter(|c| *c != ':').collect();
    let is_hex = client.len().is_multiple_of(2) && client.bytes().all(|byte| byte.is_ascii_hexdigit());
    let row =
        |tag: &str, value: String| Row { name: tag.to_owned(), addr: tag.to_owned(), cols: vec![value] };
    let mut out = Vec::new();
    if !host.is_empty() && host.len() <= 255 {
        out.push(row("12", hex_of(host.as_bytes())));
    }
    if !client.is_empty() && is_hex && client.len() <= 510 {
        out.push(row("61", client));
    }
    Ok(out)
}

/// Seconds since 1970 as a date in UTC; the unknown time for what no four-digit year holds.
fn date(seconds: i64) -> String {
    const UNKNOWN: &str = "0001-01-01T00:00:00Z";
    if !(0..253_402_300_800).contains(&seconds) {
        return UNKNOWN.to_owned();
    }
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of year 0, so that the leap day ends its year.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (style, text, tag, payload, hex) in [
            (Style::Dnsmasq, "6,192.0.2.1,192.0.2.2", 6, "192.0.2.1,192.0.2.2", Some("c0000201c0000202")),
            (Style::Dnsmasq, "option:router,192.0.2.1", 3, "192.0.2.1", Some("c0000201")),
            (Style::Dnsmasq, "43,01:02:ff", 43, "01:02:ff", Some("0102ff")),
            (Style::Dnsmasq, "26,1470", 26, "1470", Some("05be")),
            (Style::Dnsmasq, "6", 6, "", Some("")),
            (Style::Dnsmasq, "15,home.lan", 15, "home.lan", Some("686f6d652e6c616e")),
            (Style::Dnsmasq, "119,home.lan", 119, "home.lan", None),
            (Style::Send, "60:736167656D", 60, "736167656D", Some("736167656d")),
            (Style::Send, "0x3d:01:02", 61, "01:02", Some("0102")),
            (Style::Send, "hostname:box", 12, "box", Some("626f78")),
            (Style::Send, "90:XAUTH", 90, "XAUTH", Some("5841555448")),
            (Style::Request, "121", 121, "", Some("")),
        ] {
            assert_eq!(style.parts(text), Some((tag, payload)), "{text:?}");
            assert_eq!(style.hex(tag, payload).as_deref(), hex, "{text:?}");
        }
        for text in ["tag:x,6,192.0.2.1", "option6:dns-server,[::]", "0", "255", "999", "", ","] {
            assert_eq!(Style::Dnsmasq.parts(text), None, "{text:?}");
        }
    }

    #[test]
    fn nothing_but_harmless_characters_is_written() {
        for (style, tag, hex, payload) in [
            (Style::Dnsmasq, 6, "C0000201", Some("192.0.2.1")),
            (Style::Dnsmasq, 6, "c00002", None),
            (Style::Dnsmasq, 43, "0102ff", Some("01:02:ff")),
            (Style::Dnsmasq, 43, "07", Some("7")),
            (Style::Dnsmasq, 66, "612f62", Some("a/b")),
            (Style::Dnsmasq, 66, "6120622c63", Some("61:20:62:2c:63")),
            (Style::Send, 60, "5A5a", Some("5a5a")),
            (Style::Send, 60, "", Some("")),
        ] {
            assert_eq!(style.payload(tag, hex).as_deref(), payload, "{tag} {hex}");
        }
    }

    #[test]
    fn lease_files() {
        let text = "0 02:00:00:00:01:12 192.168.1.164 printer *\n1705556643 02:00:00:00:01:11 192.168.1.163 * 01:02\n\
            x y z\n1 02:00:00:00:01 192.168.1.1 a b\nduid 00:01\n9 02:00:00:00:01:13 192.168.1.9 a b\n";
        let found: Vec<Lease> = leases(text).collect();
        let found: Vec<_> =
            found.iter().map(|one| (one.expires, one.host.as_str(), one.client.as_str())).collect();
        assert_eq!(found, [(0, "printer", ""), (1_705_556_643, "", "01:02")]);
    }

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_705_556_643, "2024-01-18T05:44:03Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "0001-01-01T00:00:00Z"),
            (-1, "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
