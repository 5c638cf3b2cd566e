//! IPv6 prefixes of an interface (TR-181 `Device.IP.Interface.{i}.IPv6Prefix.`): those that are routed to it by hand,
//! those that were delegated to it, those that it got of one of them or of the ULA, and those that the kernel has on
//! its link.
//!
//! What is configured are the items of `ip6prefix`, which netifd shares out as it does delegated ones; the protocols
//! of tunnels have other things under this name.

use std::net::Ipv6Addr;

use super::items::{self, Ids, Item};
use super::netifd::{self, Address6};
use super::{ip, proc_net, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "ip6_prefix", get: prefix_of, set: None },
    ValueFn { name: "ip6_static_prefix", get: field, set: Some(set_field) },
];

/// Behind tables.
pub const TABLES: &[TableFn] =
    &[TableFn { name: "ip6_prefixes", rows, add: Some(add), delete: Some(delete) }];

/// The option with the prefixes of an interface.
const OPTION: &str = "ip6prefix";
/// The protocols whose interfaces have such prefixes.
const TAKERS: [&str; 4] = ["static", "dhcpv6", "wireguard", "6in4"];

/// The time that nobody told (TR-106 3.2.1).
const UNKNOWN: &str = "0001-01-01T00:00:00Z";
/// No time ever (TR-106 3.2.1).
const NEVER: &str = "9999-12-31T23:59:59Z";

fn text(prefix: &Address6) -> String {
    format!("{}/{}", prefix.address, prefix.bits)
}

/// How the row of a prefix is called: one that is passed on whole has a row at both interfaces. A configured one
/// keeps its name when the prefix changes.
///
/// # Errors
/// As [`System::option`].
pub fn row_name(system: &mut System, interface: &str, prefix: &Address6) -> Result<String> {
    let items = configured(system, &format!("network.{interface}"))?;
    let same = |item: &&Item| item.on && parse(&item.text) == Some((prefix.address, prefix.bits));
    Ok(match items.iter().find(same) {
        Some(item) => fixed_name(interface, item),
        None => format!("{interface} {}", text(prefix)),
    })
}

fn fixed_name(interface: &str, item: &Item) -> String {
    format!("{interface} static/{}", item.id)
}

/// An item of the option; behind a comma may be lifetimes.
fn parse(text: &str) -> Option<(Ipv6Addr, u8)> {
    let (address, bits) = text.split(',').next()?.split_once('/')?;
    let (address, bits) = (address.parse().ok()?, bits.parse().ok().filter(|bits| *bits <= 128)?);
    Some((netifd::network6(address, bits), bits))
}

fn shown(text: &str) -> String {
    parse(text).map(|(address, bits)| format!("{address}/{bits}")).unwrap_or_default()
}

fn is_taker(system: &mut System, section: &str) -> Result<bool> {
    let proto = topology::text(system, section, "proto")?;
    Ok(TAKERS.contains(&proto.as_str()))
}

/// The prefixes of the section of an interface.
fn configured(system: &mut System, section: &str) -> Result<Vec<Item>> {
    let live = if is_taker(system, section)? { items::live(system, section, OPTION)? } else { Vec::new() };
    let kept = items::kept(system, section, OPTION)?;
    Ok(items::rows(&live, &kept, Ids::Place, |text| !text.is_empty()))
}

fn put(system: &mut System, section: &str, list: &[Item]) -> Result<()> {
    let (live, kept) = items::split(list, Ids::Place, |text| !text.is_empty());
    items::keep(system, section, OPTION, kept)?;
    if !is_taker(system, section)? || live == items::live(system, section, OPTION)? {
        return Ok(());
    }
    topology::put_list(system, section, OPTION, live)
}

/// The prefixes that were delegated, each with the configured interface that has its row.
///
/// # Errors
/// [`crate::model::Error::backend`] when the interfaces cannot be read.
pub fn delegations(system: &mut System) -> Result<Vec<(String, Address6)>> {
    let mut out = Vec::new();
    for interface in topology::interfaces(system)? {
        for one in netifd::family(system, &interface.name) {
            out.extend(one.delegated.iter().map(|prefix| (interface.name.clone(), prefix.clone())));
        }
    }
    Ok(out)
}

/// The row of a configured prefix: as others, and behind them the item's name.
fn fixed_row(interface: &str, item: &Item, is_there: bool) -> Row {
    let state = if item.on && is_there { "Preferred" } else { "Invalid" };
    let prefix = shown(&item.text);
    let cols = ["Static", "", "", NEVER, NEVER, "0", state, &prefix, &item.id];
    let name = fixed_name(interface, item);
    Row { name: name.clone(), addr: name, cols: cols.map(str::to_owned).to_vec() }
}

/// Rows with origin, parent, the bits below the parent, the two lifetimes, whether it is on the link, state, and prefix.
fn row(
    system: &mut System,
    interface: &str,
    prefix: &Address6,
    origin: &str,
    parent: Option<&(String, Address6)>,
) -> Result<Row> {
    let prefix_text = text(prefix);
    let preferred = netifd::ends(system, &format!("{prefix_text} preferred"), prefix.preferred);
    let valid = netifd::ends(system, &format!("{prefix_text} valid"), prefix.valid);
    let state = match (prefix.valid, prefix.preferred) {
        (Some(0), _) => "Invalid",
        (_, Some(0)) => "Deprecated",
        _ => "Preferred",
    };
    let on_link = if origin == "PrefixDelegation" { "0" } else { "1" };
    let parent_name = match parent {
        Some((owner, parent)) => row_name(system, owner, parent)?,
        None => String::new(),
    };
    let cols = vec![
        origin.to_owned(),
        parent_name,
        parent.map(|(_, parent)| child_bits(parent, prefix)).unwrap_or_default(),
        preferred,
        valid,
        on_link.to_owned(),
        state.to_owned(),
        prefix_text.clone(),
    ];
    let name = format!("{interface} {prefix_text}");
    Ok(Row { name: name.clone(), addr: name, cols })
}

/// What a prefix adds to the bits of the one it is part of.
fn child_bits(parent: &Address6, child: &Address6) -> String {
    let upper = u128::from(netifd::network6(Ipv6Addr::from(u128::MAX), parent.bits));
    format!("{}/{}", Ipv6Addr::from(u128::from(child.address) & !upper), child.bits)
}

fn is_part(parent: &Address6, child: &Address6) -> bool {
    parent.bits <= child.bits && netifd::network6(child.address, parent.bits) == parent.address
}

fn rows(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let name = at.rows.first().map(|row| row.row.name.clone()).unwrap_or_default();
    let Some(interface) = topology::interface(system, &name)? else { return Ok(Vec::new()) };
    let delegated = delegations(system)?;
    let mut out: Vec<Row> = Vec::new();
    let push = |out: &mut Vec<Row>, row: Row| {
        if out.iter().all(|other| other.name != row.name) {
            out.push(row);
        }
    };
    let family = netifd::family(system, &name);
    let there = |prefix: (Ipv6Addr, u8)| {
        let mut told = family.iter().flat_map(|one| &one.delegated);
        told.any(|one| (one.address, one.bits) == prefix)
    };
    let items = configured(system, &format!("network.{name}"))?;
    for item in &items {
        push(&mut out, fixed_row(&name, item, parse(&item.text).is_some_and(there)));
    }
    let is_fixed = |prefix: &Address6| {
        let same = |item: &Item| item.on && parse(&item.text) == Some((prefix.address, prefix.bits));
        items.iter().any(same)
    };
    for one in &family {
        for prefix in one.delegated.iter().filter(|prefix| !is_fixed(prefix)) {
            push(&mut out, row(system, &name, prefix, "PrefixDelegation", None)?);
        }
        for (prefix, _) in &one.assigned {
            let parent = delegated.iter().find(|(_, parent)| is_part(parent, prefix));
            // A part of the ULA is of a prefix that no row has.
            let origin = if parent.is_some() { "Child" } else { "AutoConfigured" };
            push(&mut out, row(system, &name, prefix, origin, parent)?);
        }
    }
    let l3 = topology::l3_device(system, &interface);
    for (prefix, origin) in proc_net::on_link_prefixes(system, &l3) {
        let told = [origin, "", "", UNKNOWN, UNKNOWN, "1", "Preferred", &prefix];
        let cols = told.map(str::to_owned).to_vec();
        let name = format!("{name} {prefix}");
        push(&mut out, Row { name: name.clone(), addr: name, cols });
    }
    Ok(out)
}

/// The section of the interface, and its configured prefixes.
fn own(system: &mut System, at: &Place<'_>) -> Result<(String, Vec<Item>)> {
    let row = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
    let section = format!("network.{}", row.row.name);
    let items = configured(system, &section)?;
    Ok((section, items))
}

/// Whether a prefix is one that no configuration has.
pub fn is_learnt(row: &Row) -> bool {
    row.cols.get(8).is_none()
}

/// The configured prefix of the innermost row; `None` for one that was learnt.
fn found(items: &[Item], at: &Place<'_>) -> Option<usize> {
    let id = at.row()?.cols.get(8)?;
    items.iter().position(|item| item.id == *id)
}

fn add(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    let (section, mut items) = own(system, &at)?;
    let item = Item { id: items::free_id(&items), text: String::new(), on: false };
    items.push(item.clone());
    put(system, &section, &items)?;
    Ok(fixed_row(section.trim_start_matches("network."), &item, false))
}

fn delete(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let (section, mut items) = own(system, &at)?;
    let found = found(&items, &at).ok_or_else(|| Error::not_deletable(at.name))?;
    items.remove(found);
    put(system, &section, &items)
}

/// `enable`, `status`, `prefix` or `type`.
fn field(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let (_, items) = own(system, &at)?;
    let col = |nth: usize| at.row().and_then(|row| row.cols.get(nth)).cloned().unwrap_or_default();
    let Some(item) = found(&items, &at).map(|found| &items[found]) else {
        return Ok(Some(Raw::one(match what {
            "enable" => "1".to_owned(),
            "status" => "Enabled".to_owned(),
            "type" => "Inapplicable".to_owned(),
            _ => col(7),
        })));
    };
    Ok(Some(Raw::one(match what {
        "enable" => if item.on { "1" } else { "0" }.to_owned(),
        "status" if item.on && parse(&item.text).is_none() => "Error".to_owned(),
        "status" => if col(6) == "Preferred" { "Enabled" } else { "Disabled" }.to_owned(),
        "type" => "Static".to_owned(),
        _ => shown(&item.text),
    })))
}

fn set_field(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let (section, mut items) = own(system, &at)?;
    // TR-181: only a prefix of Origin Static can be changed.
    let found = found(&items, &at).ok_or_else(|| Error::learnt(at.name))?;
    if what == "enable" {
        items[found].on = topology::truth(&raw.text());
    } else {
        let text = shown(&raw.text());
        let others = items.iter().enumerate().filter(|(at, _)| *at != found);
        if !text.is_empty() && others.map(|(_, item)| shown(&item.text)).any(|other| other == text) {
            return Err(Error::bad_value(at.name, "the interface has this prefix already"));
        }
        items[found].text = text;
    }
    if items[found].on && !is_taker(system, &section)? {
        return Err(Error::bad_value(at.name, "the interface's protocol takes no static prefixes"));
    }
    put(system, &section, &items)
}

/// The longest prefix of the interface that an address of it lies in.
fn prefix_of(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let address = ip::ip6_address(system, at, "address")?.map(|raw| raw.text()).unwrap_or_default();
    let Ok(address) = address.parse::<Ipv6Addr>() else { return Ok(None) };
    let holds = |name: &str| {
        let (base, bits) = name.split_once('/')?;
        let (base, bits): (Ipv6Addr, u8) = (base.parse().ok()?, bits.parse().ok()?);
        (netifd::network6(address, bits) == base).then_some(bits)
    };
    let rows = rows(system, at, "")?;
    let longest = rows.into_iter().filter_map(|row| Some((holds(row.cols.get(7)?)?, row.name))).max();
    Ok(longest.map(|(_, name)| Raw::One(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str, bits: u8) -> Address6 {
        Address6 { address: text.parse().unwrap(), bits, preferred: None, valid: None }
    }

    #[test]
    fn items_of_the_option() {
        for (item, expected) in [
            ("2001:db8::/48", "2001:db8::/48"),
            ("2001:DB8:0:0:5::1/64,3600,7200", "2001:db8::/64"),
            ("2001:db8::", ""),
            ("2001:db8::/129", ""),
            ("/", ""),
            ("", ""),
        ] {
            assert_eq!(shown(item), expected, "{item:?}");
        }
    }

    #[test]
    fn parts_of_a_delegation() {
        let parent = prefix("2001:db8:4500::", 56);
        let child = prefix("2001:db8:4500:20::", 64);
        assert!(is_part(&parent, &child) && !is_part(&child, &parent));
        assert!(!is_part(&parent, &prefix("2001:db8:4501::", 64)));
        assert_eq!(child_bits(&parent, &child), "0:0:0:20::/64");
        assert_eq!(child_bits(&prefix("::", 0), &child), "2001:db8:4500:20::/64");
        assert_eq!(child_bits(&parent, &prefix("2001:db8:4500::1", 128)), "::1/128");
    }
}
