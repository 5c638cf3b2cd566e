//! `Device.Firewall.`: one level, one chain, and the rules of `/etc/config/firewall`.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use crate::backend::functions::kernel_routes::network;
use crate::backend::functions::nat::{ports, with_port};
use crate::backend::functions::netif::{self, put, words};
use crate::backend::functions::topology::{self, truth};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "firewall_enable", get: enable, set: None },
    ValueFn { name: "firewall_level", get: level, set: None },
    ValueFn { name: "firewall_rule", get: read, set: Some(write) },
    ValueFn { name: "firewall_log", get: log, set: Some(set_log) },
    ValueFn { name: "firewall_version", get: version, set: None },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[TableFn { name: "firewall_level", rows: levels, add: None, delete: None }];

/// The name of the only level and of its chain.
const LEVEL: &str = "rules";
/// The bit of a zone's `log` for what its filter drops or rejects.
const FILTER: u32 = 1;

/// The protocols that have names, by their numbers (IANA), as the firewall spells them.
const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("sctp", 132),
    ("udplite", 136),
    ("ipv6-icmp", 58),
];

/// An address condition: `!10.0.0.0/8`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Match {
    not: bool,
    address: String,
    length: Option<u8>,
}

impl Match {
    /// The first of a list; what is no address (a name of a set) is as it stands.
    fn parse(text: &str) -> Match {
        let word = text.split(' ').find(|word| !word.is_empty()).unwrap_or_default();
        let (not, word) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
        match word.split_once('/').map(|(address, length)| (address, length.parse::<u8>().ok())) {
            Some((address, length @ Some(_))) => Match { not, address: address.to_owned(), length },
            _ => Match { not, address: word.to_owned(), length: None },
        }
    }

    fn text(&self) -> String {
        let Match { not, address, length } = self;
        if address.is_empty() {
            return String::new();
        }
        let length = length.map(|length| format!("/{length}")).unwrap_or_default();
        format!("{}{address}{length}", if *not { "!" } else { "" })
    }

    /// The prefix as `network/length`; empty for a single address.
    fn mask(&self) -> String {
        match (self.address.parse::<IpAddr>(), self.length) {
            (Ok(address), Some(length)) => format!("{}/{length}", network(address, length)),
            _ => String::new(),
        }
    }

    /// With the prefix given as `network/length`; the address stays when it lies in the network.
    fn with_mask(&self, given: &str) -> Match {
        let Some((base, length)) = given.split_once('/') else {
            return Match { length: None, ..self.clone() };
        };
        let length = length.parse::<u8>().ok();
        let inside = match (self.address.parse::<IpAddr>(), base.parse::<IpAddr>(), length) {
            (Ok(own), Ok(base), Some(length)) => network(own, length) == network(base, length),
            _ => false,
        };
        let address = if inside { self.address.clone() } else { base.to_owned() };
        Match { not: self.not, address, length }
    }
}

fn enable(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    // An init script is enabled by its link, whose number is the script's own business.
    let on = system.names("/etc/rc.d").iter().any(|name| {
        name.strip_prefix('S').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()))
            == Some("firewall")
    });
    Ok(Some(Raw::one(if on { "1" } else { "0" })))
}

fn level(_system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(LEVEL)))
}

fn levels(_system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    Ok(vec![Row { name: LEVEL.to_owned(), addr: LEVEL.to_owned(), cols: Vec::new() }])
}

/// Whether zones write what they drop or reject to the log: all of them, as there is one level.
fn log(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let zones = netif::zones(system)?;
    let mut all = !zones.is_empty();
    for zone in zones.iter() {
        all = all && log_bits(&system.option_text(&format!("firewall.{}.log", zone.addr))?) & FILTER != 0;
    }
    Ok(Some(Raw::one(if all { "1" } else { "0" })))
}

fn set_log(system: &mut System, _at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let on = truth(&raw.text());
    for zone in netif::zones(system)?.iter() {
        let address = format!("firewall.{}.log", zone.addr);
        let bits = log_bits(&system.option_text(&address)?);
        let next = if on { bits | FILTER } else { bits & !FILTER };
        if next != bits {
            put(system, &address, &if next == 0 { String::new() } else { next.to_string() })?;
        }
    }
    Ok(())
}

/// A zone's `log`: a word of truth, or bits for its two tables.
fn log_bits(text: &str) -> u32 {
    text.trim().parse().unwrap_or(u32::from(truth(text)))
}

/// What identifies the settings: the beginning of the SHA-256 of their file.
fn version(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let digest = system.package_bytes("firewall")?.map(Sha256::digest);
    let hex = |digest: &[u8]| digest.iter().take(8).map(|octet| format!("{octet:02x}")).collect::<String>();
    Ok(digest.map(|digest| Raw::One(hex(&digest))))
}

/// The table that a rule belongs to, by its options `rcwmp_kind` and `target`: what AddObject has made for another
/// table says so, and rules that mark are classifications.
fn table_of([made, target]: &[String; 2]) -> &str {
    match target.to_ascii_lowercase().as_str() {
        "dscp" => "Classification",
        "" | "accept" | "drop" | "reject" if made.is_empty() => "Rule",
        _ => made,
    }
}

/// The addresses of the rules of the same table.
fn of_same_table(system: &mut System, addr: &str) -> Result<Vec<String>> {
    let all = system.sections_with("firewall", "rule", ["rcwmp_kind", "target"])?;
    let own = all.iter().find(|(section, _)| section.addr == addr).map(|(_, words)| words.clone());
    let own = own.unwrap_or_default();
    let same = all.into_iter().filter(|(_, words)| table_of(words) == table_of(&own));
    Ok(same.map(|(section, _)| section.addr).collect())
}

/// The numbers of a rule's protocols; -1 for any.
fn numbers(proto: &[String]) -> Vec<String> {
    let each = proto.iter().map(|one| number(std::slice::from_ref(one)).to_string());
    let mut out: Vec<String> = each.collect();
    out.dedup();
    if out.is_empty() || out.iter().any(|one| one == "-1") { vec!["-1".to_owned()] } else { out }
}

/// Lists of a rule: `protocols`, `ports`, `prefixes`.
fn read_list(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(row) = at.row().cloned() else { return Ok(None) };
    let words = words(system, &format!("firewall.{}.{}", row.addr, list_option(what)))?;
    let words: Vec<String> = words.iter().flat_map(|word| word.split(' ')).map(str::to_owned).collect();
    Ok(Some(Raw::Many(match what {
        "protocols" => numbers(&words),
        "ports" if words.is_empty() => vec!["-1".to_owned()],
        "ports" => words,
        // An address alone is a prefix of all its bits.
        _ => words
            .iter()
            .map(|word| match word.parse::<IpAddr>() {
                Ok(IpAddr::V4(_)) => format!("{word}/32"),
                Ok(IpAddr::V6(_)) => format!("{word}/128"),
                Err(_) => word.clone(),
            })
            .collect(),
    })))
}

impl System {
    /// Excludes what the same request gives an option after this, once all is staged.
    fn exclude_later(&mut self, name: &str, option: &str, why: &'static str) {
        let (name, option) = (name.to_owned(), option.to_owned());
        self.later.push(Box::new(move |system| match system.option_text(&option)? {
            empty if empty.is_empty() => Err(Error::bad_in_request(&name, why)),
            excluded if excluded.starts_with('!') => Ok(()),
            plain => put(system, &option, &format!("!{plain}")),
        }));
    }

    /// What a rule without a certain protocol is about, once all is staged: of every protocol fw4 takes all packets,
    /// whatever their ports, and where none is named it takes TCP and UDP only. So one with ports names none, and
    /// one without names all.
    fn settle_protocol(&mut self, base: &str) {
        let base = base.to_owned();
        self.later.push(Box::new(move |system| {
            let proto = words(system, &format!("{base}.proto"))?;
            let mut ports = false;
            for option in ["src_port", "dest_port"] {
                ports |= !system.option_text(&format!("{base}.{option}"))?.is_empty();
            }
            let all = proto.iter().any(|word| matches!(&*word.to_ascii_lowercase(), "all" | "any" | "*"));
            match (ports, proto.is_empty()) {
                (true, false) if all => put(system, &format!("{base}.proto"), ""),
                (false, true) => put(system, &format!("{base}.proto"), "all"),
                _ => Ok(()),
            }
        }));
    }
}

fn list_option(what: &str) -> &'static str {
    match what {
        "protocols" => "proto",
        "ports" => "dest_port",
        _ => "src_ip",
    }
}

fn write_list(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let Some(row) = at.row().cloned() else { return Err(Error::not_writable(at.name)) };
    let items = raw.items();
    // What stands there may say more than it shows.
    if read_list(system, at, what)?.is_some_and(|shown| shown.items() == items) {
        return Ok(());
    }
    let any = items.is_empty() || items.contains(&"-1");
    if any && items.len() > 1 {
        return Err(Error::bad_value(at.name, "-1 stands for all, and alone"));
    }
    let words: Vec<String> = match what {
        "protocols" if any => vec!["all".to_owned()],
        "protocols" => items.iter().map(|item| protocol_name(item)).collect(),
        "ports" if any => Vec::new(),
        _ => items.iter().map(|item| (*item).to_owned()).collect(),
    };
    let base = format!("firewall.{}", row.addr);
    if what != "prefixes" {
        system.settle_protocol(&base);
    }
    topology::put_list(system, &base, list_option(what), words)
}

/// The option behind a parameter's word, and the word's aspect of it.
fn aspect(what: &str) -> (&'static str, &'static str) {
    match what {
        "src" => ("src", "zone"),
        "src_all" => ("src", "any"),
        "dest" => ("dest", "zone"),
        "dest_all" => ("dest", "any"),
        "src_ip" => ("src_ip", "ip"),
        "src_mask" => ("src_ip", "mask"),
        "src_not" => ("src_ip", "not"),
        "dest_ip" => ("dest_ip", "ip"),
        "dest_mask" => ("dest_ip", "mask"),
        "dest_not" => ("dest_ip", "not"),
        "src_port" => ("src_port", "port"),
        "src_port_max" => ("src_port", "port_max"),
        "dest_port" => ("dest_port", "port"),
        "dest_port_max" => ("dest_port", "port_max"),
        "protocol" => ("proto", "protocol"),
        "protocol_not" => ("proto", "without"),
        "dscp" => ("dscp", "dscp"),
        "dscp_not" => ("dscp", "without"),
        "src_port_not" => ("src_port", "without"),
        "dest_port_not" => ("dest_port", "without"),
        "mark_dscp" => ("set_dscp", "dscp"),
        "mac" => ("src_mac", "bare"),
        "mac_not" => ("src_mac", "without"),
        "icmp" => ("icmp_type", "number"),
        "protocols" | "ports" | "prefixes" => ("", "list"),
        _ => ("", "order"),
    }
}

fn read(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(row) = at.row().cloned() else { return Ok(None) };
    let (option, aspect) = aspect(what);
    let base = format!("firewall.{}", row.addr);
    if aspect == "list" {
        return read_list(system, at, what);
    }
    let text =
        if option.is_empty() { String::new() } else { system.option_text(&format!("{base}.{option}"))? };
    let word = match aspect {
        "zone" => netif::face_of(system, &text)?,
        "any" => if text == "*" { "1" } else { "0" }.to_owned(),
        "ip" => Match::parse(&text).address,
        "mask" => Match::parse(&text).mask(),
        "not" => if Match::parse(&text).not { "1" } else { "0" }.to_owned(),
        "port" => ports(&text).map(|(from, _)| from.to_string()).unwrap_or_default(),
        "port_max" => {
            ports(&text).filter(|(_, to)| *to > 0).map(|(_, to)| to.to_string()).unwrap_or_default()
        }
        "protocol" => number(&words(system, &format!("{base}.proto"))?).to_string(),
        "dscp" => dscp(&text).map(|number| number.to_string()).unwrap_or_default(),
        "without" => if text.starts_with('!') { "1" } else { "0" }.to_owned(),
        "order" => {
            let rows = of_same_table(system, &row.addr)?;
            return Ok(system.order_of(&rows, &row.addr));
        }
        "bare" => text.split(' ').next().unwrap_or_default().trim_start_matches('!').to_owned(),
        "number" => text.parse::<u8>().map(|number| number.to_string()).unwrap_or_default(),
        _ => return Ok(None),
    };
    Ok((!word.is_empty()).then_some(Raw::One(word)))
}

/// The number of a rule's protocol; -1 for any, for several, and for one without a number here.
pub(super) fn number(proto: &[String]) -> i16 {
    let [one] = proto else { return -1 };
    let word = one.trim_start_matches('!').to_ascii_lowercase();
    let named = PROTOCOLS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number);
    named.or_else(|| word.parse().ok().filter(|number| *number > 0)).map_or(-1, i16::from)
}

/// The code point of `AF41`, `CS6`, `EF`, `0x2e` or `46`, with or without `!`.
pub(super) fn dscp(text: &str) -> Option<u8> {
    let word = text.trim_start_matches('!').trim().to_ascii_uppercase();
    let digits = |text: &str| -> Option<Vec<u8>> {
        text.chars().map(|c| c.to_digit(10).and_then(|digit| u8::try_from(digit).ok())).collect()
    };
    let named = match word.split_at_checked(2) {
        Some(("CS", class)) => match digits(class).as_deref() {
            Some([class @ 0..=7]) => Some(class * 8),
            _ => None,
        },
        Some(("AF", class)) => match digits(class).as_deref() {
            Some([class @ 1..=4, drop @ 1..=3]) => Some(class * 8 + drop * 2),
            _ => None,
        },
        Some(("EF", "")) => Some(46),
        Some(("BE", "")) => Some(0),
        Some(("LE", "")) => Some(1),
        Some(("0X", hex)) => u8::from_str_radix(hex, 16).ok(),
        _ => word.parse().ok(),
    };
    named.filter(|number| *number < 64)
}

/// How the firewall is told a protocol's number.
fn protocol_name(text: &str) -> String {
    let number = text.parse::<i16>().unwrap_or(-1);
    let named = PROTOCOLS.iter().find(|(_, known)| i16::from(*known) == number).map(|(name, _)| *name);
    match named {
        Some(name) => name.to_owned(),
        None if number < 0 => "all".to_owned(),
        None => number.to_string(),
    }
}

fn write(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let Some(row) = at.row().cloned() else { return Err(Error::not_writable(at.name)) };
    let (option, aspect) = aspect(what);
    match aspect {
        "list" => return write_list(system, at, what, raw),
        "order" => {
            let rows = of_same_table(system, &row.addr)?;
            return system.put_order(at, "firewall", &rows, &row.addr, raw);
        }
        _ if option.is_empty() => return Err(Error::not_writable(at.name)),
        _ => {}
    }
    let address = format!("firewall.{}.{option}", row.addr);
    let old = system.option_text(&address)?;
    let given = raw.text();
    // An option may say more than the one value that TR-181 has room for, and keeps it when that is given back. The
    // two ends of a range look after themselves: one of them may be staged already.
    if !matches!(aspect, "port" | "port_max") && !system.releasing {
        let shown = read(system, at, what)?.map(|raw| raw.text()).unwrap_or_default();
        if shown == given || (shown.is_empty() && given == "-1") {
            return Ok(());
        }
    }
    let new = match aspect {
        // Without its zone a rule would mean other traffic, that of the router itself or of everybody. So it
        // keeps the zone, and is off unless others are in there.
        "zone" if given.is_empty() && system.releasing => {
            if !netif::has_others(system, &old)? {
                system
                    .set_option(&format!("firewall.{}.enabled", row.addr), Some(&Raw::One("0".to_owned())))?;
            }
            return Ok(());
        }
        // No interface named is no zone, unless every zone is meant.
        "zone" if given.is_empty() => {
            if old == "*" {
                old
            } else {
                String::new()
            }
        }
        "zone" => netif::zone_for(system, at.name, &given)?,
        "any" => match (truth(&given), old == "*") {
            (true, _) => "*".to_owned(),
            (false, true) => String::new(),
            (false, false) => old,
        },
        "number" if given.starts_with('-') => String::new(),
        "number" => given,
        "bare" if given.is_empty() => String::new(),
        "bare" => format!("{}{given}", if old.starts_with('!') { "!" } else { "" }),
        "ip" if given.is_empty() => String::new(),
        "ip" => Match { address: given, ..Match::parse(&old) }.text(),
        "mask" => Match::parse(&old).with_mask(&given).text(),
        "not" => {
            let now = Match::parse(&old);
            if now.address.is_empty() && truth(&given) {
                system.exclude_later(at.name, &address, "there is no address to exclude");
                return Ok(());
            }
            Match { not: truth(&given), ..now }.text()
        }
        "port" | "port_max" => {
            let port = given.parse::<i32>().unwrap_or(-1).max(0);
            let port = u16::try_from(port).map_err(|_| Error::bad_value(at.name, "not a port"))?;
            let ports = with_port(&old, aspect == "port_max", port);
            system.check_range(at.name, &address);
            if ports == old {
                return Ok(());
            }
            if old.starts_with('!') && !ports.is_empty() { format!("!{ports}") } else { ports }
        }
        "dscp" => match (given.parse::<u8>().ok().filter(|number| *number < 64), given.starts_with('-')) {
            (Some(number), _) if old.starts_with('!') => format!("!{number}"),
            (Some(number), _) => number.to_string(),
            (None, true) => String::new(),
            (None, false) => return Err(Error::bad_value(at.name, "a code point is 0 to 63")),
        },
        "without" => {
            let plain = old.trim_start_matches('!');
            match (truth(&given), plain.is_empty()) {
                (true, true) => {
                    system.exclude_later(at.name, &address, "there is nothing to exclude");
                    return Ok(());
                }
                (true, false) => format!("!{plain}"),
                (false, _) => plain.to_owned(),
            }
        }
        _ => match protocol_name(&given) {
            name if old.starts_with('!') && name != "all" => format!("!{name}"),
            name => name,
        },
    };
    if matches!(aspect, "port" | "port_max" | "protocol") {
        system.settle_protocol(&format!("firewall.{}", row.addr));
    }
    put(system, &address, &new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, address, mask, not) in [
            ("fe80::/10", "fe80::", "fe80::/10", false),
            ("192.168.1.5/24", "192.168.1.5", "192.168.1.0/24", false),
            ("!10.0.0.1", "10.0.0.1", "", true),
            ("10.0.0.1 10.0.0.2", "10.0.0.1", "", false),
            ("", "", "", false),
            ("set/x", "set/x", "", false),
        ] {
            let got = Match::parse(text);
            assert_eq!((got.address.as_str(), got.mask().as_str(), got.not), (address, mask, not), "{text}");
        }
        let host = Match::parse("!192.168.1.5");
        assert_eq!(host.with_mask("192.168.1.0/24").text(), "!192.168.1.5/24");
        assert_eq!(host.with_mask("10.0.0.0/8").text(), "!10.0.0.0/8");
        assert_eq!(Match::parse("10.0.0.0/8").with_mask("").text(), "10.0.0.0");
        assert_eq!(Match::default().with_mask("fd00::/8").text(), "fd00::/8");
    }

    #[test]
    fn code_points() {
        for (text, expected) in [
            ("CS6", Some(48)),
            ("af41", Some(34)),
            ("EF", Some(46)),
            ("!46", Some(46)),
            ("0x2e", Some(46)),
            ("64", None),
            ("AF44", None),
            ("CS8", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(dscp(text), expected, "{text}");
        }
    }

    #[test]
    fn protocols() {
        let of = |words: &[&str]| number(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        for (words, expected) in [
            (&["tcp"][..], 6),
            (&["UDP"], 17),
            (&["tcp", "udp"], -1),
            (&["all"], -1),
            (&["50"], 50),
            (&["300"], -1),
            (&[], -1),
        ] {
            assert_eq!(of(words), expected, "{words:?}");
        }
        for (text, name) in [("6", "tcp"), ("-1", "all"), ("58", "icmpv6"), ("89", "89"), ("0", "0")] {
            assert_eq!(protocol_name(text), name, "{text}");
        }
    }
}
