//! IP interfaces and their addresses (TR-181 `Device.IP.`).
//!
//! An interface is a netifd interface. Its static addresses are the items of `ipaddr` and `ip6addr`, in any
//! of UCI's spellings; addresses that a protocol learnt are those that netifd tells and `/proc/net` shows on its device.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::dhcp_hosts;
use super::items::{self, Ids, Item};
use super::netif;
use super::netifd::{self, Address6, Logical};
use super::proc_net;
use super::topology::{self, Interface};
use super::wifi;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "path_exists", get: path_exists, set: None },
    ValueFn { name: "ip_status", get: status, set: None },
    ValueFn { name: "ip_lower", get: lower, set: Some(set_lower) },
    ValueFn { name: "ip_mtu", get: mtu, set: Some(set_mtu) },
    ValueFn { name: "ip_type", get: kind, set: None },
    ValueFn { name: "ip_loopback", get: loopback, set: None },
    ValueFn { name: "ip4_enable", get: ip4_enable, set: Some(set_ip4_enable) },
    ValueFn { name: "ip4_address", get: ip4_address, set: Some(set_ip4_address) },
    ValueFn { name: "ip4_status", get: ip4_status, set: None },
    ValueFn { name: "ip6_address", get: ip6_address, set: Some(set_ip6_address) },
    ValueFn { name: "ip6_status", get: ip6_status, set: None },
    ValueFn { name: "ip6_state", get: ip6_state, set: None },
    ValueFn { name: "ip6_lifetime", get: ip6_lifetime, set: None },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn {
        name: "ip_interfaces",
        rows: interface_rows,
        add: Some(add_interface),
        delete: Some(delete_interface),
    },
    TableFn { name: "ip4_addresses", rows: ip4_rows, add: Some(add_ip4), delete: Some(delete_ip4) },
    TableFn { name: "ip6_addresses", rows: ip6_rows, add: Some(add_ip6), delete: Some(delete_ip6) },
    TableFn { name: "ip_active_ports", rows: active_ports, add: None, delete: None },
];

/// On an interface whose IPv4 is off.
const IP4_MARK: &str = "rcwmp_ip4";

/// The smallest packet that every node takes.
const LEAST_MTU: u32 = 68;

fn flag(on: bool) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(if on { "1" } else { "0" })))
}

fn path_exists(system: &mut System, _at: Place<'_>, path: &str) -> Result<Option<Raw>> {
    flag(system.exists(path))
}

// --- interfaces

fn interface_rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for interface in topology::interfaces(system)? {
        let l3 = topology::l3_device(system, &interface);
        let Interface { name, device, .. } = interface;
        out.push(Row { name: name.clone(), addr: name, cols: vec![l3, device] });
    }
    Ok(out)
}

fn add_interface(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    let name = topology::free_name(system, "network", "ip")?;
    let section = topology::new_section(system, "network", "interface", Some(&name))?;
    for (option, value) in [("proto", "static"), ("disabled", "1")] {
        topology::put(system, &section, option, value)?;
    }
    Ok(Row { name: name.clone(), addr: name, cols: vec![String::new(), String::new()] })
}

fn delete_interface(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let section = section(&at)?;
    netif::forget(system, section.trim_start_matches("network."))?;
    system.delete_section(&section)
}

/// The section of the interface that the place lies in.
fn section(at: &Place<'_>) -> Result<String> {
    let row = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(format!("network.{}", row.row.name))
}

fn interface(system: &mut System, at: &Place<'_>) -> Result<Interface> {
    let name = at.rows.first().map(|row| row.row.name.clone()).unwrap_or_default();
    topology::interface(system, &name)?.ok_or_else(|| Error::unknown_name(at.name))
}

fn enabled(system: &mut System, at: &Place<'_>) -> Result<bool> {
    let section = section(at)?;
    Ok(topology::text(system, &section, "disabled")? != "1")
}

fn status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    if !enabled(system, &at)? {
        return Ok(Some(Raw::one("Down")));
    }
    let interface = interface(system, &at)?;
    let l3 = topology::l3_device(system, &interface);
    Ok(Some(Raw::one(netifd::status(system, &interface, &l3))))
}

fn lower(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let Interface { name, device, proto } = interface(system, &at)?;
    let device = topology::ppp_device(system, &name, &proto)?.unwrap_or(device);
    if device.is_empty() {
        return Ok(Some(Raw::Many(wifi::below(system, &name)?)));
    }
    Ok((device != "lo").then(|| Raw::one(device)))
}

fn set_lower(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let given = raw.items();
    let interface = interface(system, &at)?;
    // What stood on something that goes keeps the wireless networks that stay.
    if system.releasing && interface.device.is_empty() {
        return wifi::release(system, &interface.name, &given);
    }
    if given.len() > 1 {
        return Err(Error::bad_value(at.name, "an interface stands on one device"));
    }
    let device = given.first().copied().unwrap_or_default();
    if let Some(link) = topology::ppp_device(system, &interface.name, &interface.proto)? {
        // A reference that is emptied because the link is deleted: the interface goes with it.
        let same = device == link || device.is_empty();
        let why = "the interface makes its PPP link, which has the lower layer";
        return if same { Ok(()) } else { Err(Error::bad_value(at.name, why)) };
    }
    let below = if interface.device.is_empty() { wifi::below(system, &interface.name)? } else { Vec::new() };
    if device == interface.device && below.is_empty() || given == below && !below.is_empty() {
        return Ok(());
    }
    if device.contains('/') {
        return Err(Error::bad_value(at.name, "of a bridge only the management port carries an interface"));
    }
    let section = section(&at)?;
    if topology::is_old_bridge(system, &section)? {
        return Err(Error::bad_value(at.name, "the interface makes its own bridge"));
    }
    let option = topology::lower_option_name(system, &section)?;
    let carried = !system.releasing && wifi::carry(system, &interface.name, device)?;
    topology::put(system, &section, option, if carried { "" } else { device })
}

fn mtu(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    match known_mtu(system, &at)? {
        Some(known) => Ok(Some(known)),
        None => Ok(Some(Raw::one(usual_mtu(&interface(system, &at)?)))),
    }
}

/// What an interface will have where nothing says otherwise: that of Ethernet, less the header of PPPoE (RFC 2516 7).
fn usual_mtu(interface: &Interface) -> &'static str {
    if interface.proto == "pppoe" { "1492" } else { "1500" }
}

/// What is configured, or what the device has.
fn known_mtu(system: &mut System, at: &Place<'_>) -> Result<Option<Raw>> {
    let section = section(at)?;
    if let Some(told) = system.option(&format!("{section}.mtu"))? {
        return Ok(Some(told));
    }
    let interface = interface(system, at)?;
    let l3 = topology::l3_device(system, &interface);
    if let Some(told) = topology::device_option(system, &l3, "mtu")? {
        return Ok(Some(told));
    }
    // The loopback device's 65536 is one more than TR-181 can say.
    let mtu = topology::sysfs(system, &l3, "mtu").and_then(|text| text.trim().parse::<u32>().ok());
    Ok(mtu.map(|mtu| Raw::one(mtu.min(65_535).to_string())))
}

fn set_mtu(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    // TR-181 begins at 64, but every node of IPv4 takes 68 octets (RFC 791 3.2): below it the kernel ends IPv4 there.
    if raw.text().parse::<u32>().is_ok_and(|mtu| mtu < LEAST_MTU) {
        return Err(Error::bad_value(at.name, format!("IPv4 needs {LEAST_MTU} octets")));
    }
    // What was shown for want of anything better is no setting when it is written back.
    if known_mtu(system, &at)?.is_none() && raw.text() == usual_mtu(&interface(system, &at)?) {
        return Ok(());
    }
    topology::put(system, &section, "mtu", &raw.text())
}

fn kind(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let interface = interface(system, &at)?;
    let word = match interface.proto.as_str() {
        _ if interface.device == "lo" => "Loopback",
        "6in4" | "6to4" | "6rd" | "dslite" | "map" | "ipip" | "gre" | "gretap" | "grev6" | "grev6tap"
        | "vti" | "vti6" | "xfrm" | "wireguard" => "Tunnel",
        _ => "Normal",
    };
    Ok(Some(Raw::one(word)))
}

/// Protocols that carry IPv6 only are without IPv4.
fn ip4_enable(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let proto = interface(system, &at)?.proto;
    let carries = !matches!(proto.as_str(), "dhcpv6" | "6in4" | "6to4" | "6rd");
    flag(carries && !ip4_is_off(system, &section(&at)?)?)
}

/// Whether the addresses of an interface are all put aside.
fn ip4_is_off(system: &mut System, section: &str) -> Result<bool> {
    Ok(topology::text(system, section, IP4_MARK)? == "0")
}

/// netifd has no switch for IPv4: an interface of static addresses is without it when it has none, and no gateway.
fn set_ip4_enable(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    if ip4_enable(system, at, argument)?.is_some_and(|now| topology::truth(&now.text()) == on) {
        return Ok(());
    }
    let section = section(&at)?;
    if topology::text(system, &section, "proto")? != "static" {
        return Err(Error::bad_value(at.name, "the interface's protocol has IPv4, or has it not"));
    }
    let items = ip4_items(system, &section)?;
    topology::put(system, &section, IP4_MARK, if on { "" } else { "0" })?;
    put_ip4(system, &section, &items)?;
    let (from, to) = if on { ("rcwmp_gateway", "gateway") } else { ("gateway", "rcwmp_gateway") };
    let gateway = topology::text(system, &section, from)?;
    topology::put(system, &section, from, "")?;
    if gateway.is_empty() { Ok(()) } else { topology::put(system, &section, to, &gateway) }
}

fn loopback(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    flag(interface(system, &at)?.device == "lo")
}

/// Whether the kernel speaks IPv6 on a device, or would if it were there.
pub fn kernel_speaks_ip6(system: &mut System, device: &str) -> bool {
    if !topology::is_device_name(device) {
        return false;
    }
    match system.text(&format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6")) {
        Some(off) => off.trim() == "0",
        None => system.exists("/proc/net/if_inet6"),
    }
}

// --- addresses in UCI

/// `address/bits` in its parts; either may be missing, and neither need make sense.
fn parts(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or((text, ""))
}

/// Whether an item can stand in UCI. What is being told here always has the slash; a word without it is
/// what others wrote and nobody can read, and stays.
fn whole(text: &str) -> bool {
    match text.split_once('/') {
        Some((address, bits)) => !address.is_empty() && !bits.is_empty(),
        None => !text.is_empty(),
    }
}

fn any(text: &str) -> bool {
    !parts(text).0.is_empty()
}

/// The netmask of a prefix length as text; empty for what is none.
fn mask_of(bits: &str) -> String {
    match bits.parse::<u32>() {
        Ok(bits @ 0..=32) => Ipv4Addr::from(u32::MAX.checked_shl(32 - bits).unwrap_or(0)).to_string(),
        _ => String::new(),
    }
}

/// The prefix length of a netmask, dotted or already a number.
pub fn bits_of(mask: &str) -> Option<u32> {
    if let Ok(bits @ 0..=32) = mask.parse::<u32>() {
        return Some(bits);
    }
    let mask = u32::from(mask.parse::<Ipv4Addr>().ok()?);
    let bits = mask.leading_ones();
    (bits + mask.trailing_zeros() >= 32).then_some(bits)
}

/// The IPv4 addresses of an interface section as `address/bits`; what cannot be read stays as it is.
fn uci_ip4(system: &mut System, section: &str) -> Result<Vec<String>> {
    let netmask = topology::text(system, section, "netmask")?;
    let bits = bits_of(&netmask);
    let mut words = topology::words(system, section, "ipaddr")?;
    words.truncate(items::MAX_ITEMS);
    let full = |word: String| {
        let (address, own) = parts(&word);
        let bits = if own.is_empty() { bits } else { bits_of(own) };
        match (address.parse::<Ipv4Addr>(), bits) {
            (Ok(address), Some(bits)) => format!("{address}/{bits}"),
            // netifd takes an address without a mask as a host.
            (Ok(address), None) if own.is_empty() => format!("{address}/32"),
            _ => word,
        }
    };
    Ok(words.into_iter().map(full).collect())
}

/// The first IPv4 address of an interface section with its prefix length, as netifd would set it.
///
/// # Errors
/// As [`System::option`].
pub fn first_ip4(system: &mut System, section: &str) -> Result<Option<(Ipv4Addr, u32)>> {
    if !matches!(topology::text(system, section, "proto")?.as_str(), "static") {
        return Ok(None);
    }
    Ok(uci_ip4(system, section)?.iter().find_map(|text| {
        let (address, bits) = parts(text);
        Some((address.parse().ok()?, bits.parse().ok()?))
    }))
}

fn ip4_items(system: &mut System, section: &str) -> Result<Vec<Item>> {
    let is_static = topology::text(system, section, "proto")? == "static";
    let live = if is_static { uci_ip4(system, section)? } else { Vec::new() };
    let kept = items::kept(system, section, "ipaddr")?;
    let off = ip4_is_off(system, section)?;
    Ok(items::rows(&live, &kept, Ids::Place, |text| !off && whole(text)))
}

fn put_ip4(system: &mut System, section: &str, items: &[Item]) -> Result<()> {
    let off = ip4_is_off(system, section)?;
    let (live, kept) = items::split(items, Ids::Place, |text| !off && whole(text));
    items::keep(system, section, "ipaddr", kept)?;
    if live == uci_ip4(system, section)? {
        return Ok(());
    }
    dhcp_hosts::hold(system, section)?;
    let single = matches!(system.option(&format!("{section}.ipaddr"))?, None | Some(Raw::One(_)));
    let old_way = !topology::text(system, section, "netmask")?.is_empty();
    match live.as_slice() {
        // Routers until 24.10 have one address and its mask in two options; that spelling is kept.
        [one] if single && (old_way || !topology::text(system, section, "ipaddr")?.contains('/')) => {
            let (address, bits) = parts(one);
            topology::put(system, section, "ipaddr", address)?;
            topology::put(system, section, "netmask", &mask_of(bits))
        }
        _ => {
            topology::put(system, section, "netmask", "")?;
            topology::put_list(system, section, "ipaddr", live)
        }
    }
}

fn uci_ip6(system: &mut System, section: &str) -> Result<Vec<String>> {
    let mut words = topology::words(system, section, "ip6addr")?;
    words.truncate(items::MAX_ITEMS);
    Ok(words)
}

fn ip6_items(system: &mut System, section: &str) -> Result<Vec<Item>> {
    let live = uci_ip6(system, section)?;
    let kept = items::kept(system, section, "ip6addr")?;
    Ok(items::rows(&live, &kept, Ids::Place, any))
}

fn put_ip6(system: &mut System, section: &str, items: &[Item]) -> Result<()> {
    let (live, kept) = items::split(items, Ids::Place, any);
    items::keep(system, section, "ip6addr", kept)?;
    if live == uci_ip6(system, section)? {
        Ok(())
    } else {
        topology::put_list(system, section, "ip6addr", live)
    }
}

// --- IPv4 addresses

/// Rows of UCI have their item's name in column 0; learnt ones have nothing there. Column 1: where it is from.
fn address_row(name: String, id: &str, origin: &str) -> Row {
    Row { addr: name.clone(), name, cols: vec![id.to_owned(), origin.to_owned()] }
}

/// What a protocol's addresses are called in TR-181's AddressingType, if it learns any.
fn learnt_type(proto: &str) -> Option<&'static str> {
    match proto {
        "dhcp" => Some("DHCP"),
        "ppp" | "pppoe" | "pppoa" | "pptp" | "l2tp" => Some("IPCP"),
        "qmi" | "mbim" | "ncm" | "modemmanager" | "wwan" => Some("3GPP-NAS"),
        _ => None,
    }
}

/// TR-181's AddressingType of an address that an interface has without being told in UCI's `ipaddr`.
fn origin4(proto: &str, address: Ipv4Addr) -> &'static str {
    match learnt_type(proto) {
        Some("DHCP") if address.is_link_local() => "AutoIP",
        Some(word) => word,
        None => "Static",
    }
}

/// The addresses that an interface's protocol brought: those that netifd tells, or without it those of the
/// kernel that lie in a subnet of its device.
///
/// # Errors
/// As [`System::sections`].
pub fn learnt_ip4(system: &mut System, interface: &Interface) -> Result<Vec<(Ipv4Addr, u32)>> {
    if interface.proto == "static" {
        return Ok(Vec::new());
    }
    let told = netifd::family(system, &interface.name);
    if !told.is_empty() {
        return Ok(told.iter().flat_map(|one| &one.ipv4).map(|one| (one.address, one.bits)).collect());
    }
    if learnt_type(&interface.proto).is_none() {
        return Ok(Vec::new());
    }
    let l3 = topology::l3_device(system, interface);
    let mut found = proc_net::device_addresses(system, &l3);
    // Several interfaces may share a device; what another one configures is not this one's.
    for other in topology::interfaces(system)? {
        if other.device == l3 && other.proto == "static" {
            let texts = uci_ip4(system, &format!("network.{}", other.name))?;
            found.retain(|(address, _)| texts.iter().all(|text| parts(text).0 != address.to_string()));
        }
    }
    Ok(found)
}

fn ip4_rows(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let section = section(&at)?;
    let mut out: Vec<Row> = ip4_items(system, &section)?
        .into_iter()
        .map(|item| address_row(format!("static/{}", item.id), &item.id, "Static"))
        .collect();
    let interface = interface(system, &at)?;
    for (address, bits) in learnt_ip4(system, &interface)? {
        let mut row = address_row(address.to_string(), "", origin4(&interface.proto, address));
        row.cols.push(bits.to_string());
        if out.iter().all(|other| other.name != row.name) {
            out.push(row);
        }
    }
    Ok(out)
}

fn add_ip4(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    let section = section(&at)?;
    let mut items = ip4_items(system, &section)?;
    let id = items::free_id(&items);
    items.push(Item { id: id.clone(), text: "/".to_owned(), on: false });
    put_ip4(system, &section, &items)?;
    Ok(address_row(format!("static/{id}"), &id, "Static"))
}

fn delete_ip4(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let section = section(&at)?;
    let mut items = ip4_items(system, &section)?;
    let found = find(&items, &at).ok_or_else(|| Error::not_deletable(at.name))?;
    items.remove(found);
    put_ip4(system, &section, &items)
}

/// Whether an address is one that the interface's protocol brought.
pub fn is_learnt(row: &Row) -> bool {
    row.cols.first().is_none_or(String::is_empty)
}

/// The item of the innermost row; none for a learnt address.
fn find(items: &[Item], at: &Place<'_>) -> Option<usize> {
    let id = at.row()?.cols.first().filter(|id| !id.is_empty())?;
    items.iter().position(|item| item.id == *id)
}

fn ip4_address(system: &mut System, at: Place<'_>, field: &str) -> Result<Option<Raw>> {
    let items = ip4_items(system, &section(&at)?)?;
    let Some(found) = find(&items, &at) else {
        let Some(row) = at.row() else { return Ok(None) };
        return Ok(match field {
            "enable" => Some(Raw::one("1")),
            "address" => Some(Raw::one(row.name.clone())),
            _ => row.cols.get(2).map(|bits| Raw::one(mask_of(bits))),
        });
    };
    let (address, bits) = parts(&items[found].text);
    match field {
        "enable" => flag(items[found].on),
        "address" => Ok(Some(Raw::one(address))),
        _ => Ok(Some(Raw::one(mask_of(bits)))),
    }
}

fn set_ip4_address(system: &mut System, at: Place<'_>, field: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let mut items = ip4_items(system, &section)?;
    // TR-181: only an address of AddressingType Static can be changed.
    let found = find(&items, &at).ok_or_else(|| Error::learnt(at.name))?;
    let text = raw.text();
    let (address, bits) = parts(&items[found].text);
    let changed = match field {
        "enable" => {
            items[found].on = topology::truth(&text);
            None
        }
        "address" => Some(format!("{text}/{bits}")),
        _ if text.is_empty() => Some(format!("{address}/")),
        _ => {
            let bits = bits_of(&text).filter(|_| text.contains('.'));
            let bits =
                bits.ok_or_else(|| Error::bad_value(at.name, "not a mask: its ones do not stand together"))?;
            Some(format!("{address}/{bits}"))
        }
    };
    if let Some(changed) = changed {
        if whole(&changed)
            && items.iter().enumerate().any(|(other, item)| other != found && item.text == changed)
        {
            return Err(Error::bad_value(at.name, "the interface has this address already"));
        }
        items[found].text = changed;
    }
    if items[found].on && topology::text(system, &section, "proto")? != "static" {
        return Err(Error::bad_value(at.name, "the interface's protocol takes no static addresses"));
    }
    put_ip4(system, &section, &items)
}

fn ip4_status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let items = ip4_items(system, &section(&at)?)?;
    let Some(found) = find(&items, &at) else { return Ok(Some(Raw::one("Enabled"))) };
    let Item { text, on, .. } = &items[found];
    let (address, bits) = parts(text);
    let up = *on && enabled(system, &at)?;
    Ok(Some(Raw::one(match address.parse::<Ipv4Addr>() {
        _ if !up => "Disabled",
        Err(_) => "Error_Misconfigured",
        Ok(_) if bits.parse::<u32>().is_err() => "Error_Misconfigured",
        Ok(address) if proc_net::local_addresses(system).contains(&address) => "Enabled",
        Ok(_) => "Disabled",
    })))
}

// --- IPv6 addresses

/// An IPv6 address as netifd tells it, with the protocol of the interface that has it.
struct Told6 {
    held: Address6,
    proto: String,
    /// An address in a prefix that was assigned to the interface.
    assigned: bool,
}

fn told_ip6(logical: &Logical) -> Vec<Told6> {
    let Logical { ipv6, assigned, proto, .. } = logical;
    let own = ipv6.iter().map(|held| (held.clone(), false));
    let inside = assigned
        .iter()
        .filter_map(|(prefix, address)| Some((Address6 { address: (*address)?, ..prefix.clone() }, true)));
    own.chain(inside).map(|(held, assigned)| Told6 { held, proto: proto.clone(), assigned }).collect()
}

/// TR-181's Origin of an address that is not in UCI's `ip6addr`.
fn origin6(address: Ipv6Addr, bits: u8, proto: &str, told: Option<&Told6>) -> &'static str {
    match proto {
        _ if address == Ipv6Addr::LOCALHOST => "WellKnown",
        _ if address.is_unicast_link_local() => "AutoConfigured",
        "dhcpv6" if bits == 128 => "DHCPv6",
        "wireguard" | "6in4" | "static" if told.is_some_and(|told| !told.assigned) => "Static",
        _ => "AutoConfigured",
    }
}

fn ip6_rows(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let items = ip6_items(system, &section(&at)?)?;
    let mut known: Vec<Ipv6Addr> = items.iter().filter_map(|item| parts(&item.text).0.parse().ok()).collect();
    let mut out: Vec<Row> =
        items.iter().map(|item| address_row(format!("static/{}", item.id), &item.id, "Static")).collect();
    let interface = interface(system, &at)?;
    let l3 = topology::l3_device(system, &interface);
    let family = netifd::family(system, &interface.name);
    let names: Vec<String> = family.iter().map(|one| one.name.clone()).collect();
    let told: Vec<Told6> = family.iter().flat_map(|one| told_ip6(one)).collect();
    for one in &told {
        if !known.contains(&one.held.address) {
            known.push(one.held.address);
            let origin = origin6(one.held.address, one.held.bits, &one.proto, Some(one));
            out.push(address_row(one.held.address.to_string(), "", origin));
        }
    }
    // What another interface on the same device has is not this one's.
    for other in netifd::all(system).iter() {
        if other.l3_device == l3 && !names.contains(&other.name) {
            known.extend(told_ip6(other).iter().map(|one| one.held.address));
        }
    }
    for entry in proc_net::if_inet6(system).iter().filter(|entry| entry.device == l3) {
        if !known.contains(&entry.address) {
            let origin = origin6(entry.address, entry.bits, &interface.proto, None);
            out.push(address_row(entry.address.to_string(), "", origin));
        }
    }
    Ok(out)
}

fn add_ip6(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    let section = section(&at)?;
    let mut items = ip6_items(system, &section)?;
    let id = items::free_id(&items);
    items.push(Item { id: id.clone(), text: String::new(), on: false });
    put_ip6(system, &section, &items)?;
    Ok(address_row(format!("static/{id}"), &id, "Static"))
}

fn delete_ip6(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let section = section(&at)?;
    let mut items = ip6_items(system, &section)?;
    let found = find(&items, &at).ok_or_else(|| Error::not_deletable(at.name))?;
    items.remove(found);
    put_ip6(system, &section, &items)
}

/// An address of a row, or whether it is on: `address`, `enable`.
///
/// # Errors
/// As [`System::option`].
pub fn ip6_address(system: &mut System, at: Place<'_>, field: &str) -> Result<Option<Raw>> {
    let items = ip6_items(system, &section(&at)?)?;
    match (find(&items, &at), field) {
        (Some(found), "enable") => flag(items[found].on),
        (Some(found), _) => Ok(Some(Raw::one(parts(&items[found].text).0))),
        (None, "enable") => flag(true),
        (None, _) => Ok(at.row().map(|row| Raw::one(row.name.clone()))),
    }
}

fn set_ip6_address(system: &mut System, at: Place<'_>, field: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let mut items = ip6_items(system, &section)?;
    let found = find(&items, &at).ok_or_else(|| Error::learnt(at.name))?;
    let text = raw.text();
    if field == "enable" {
        items[found].on = topology::truth(&text);
    } else {
        // TR-181 tells no prefix length with an address; a LAN's is 64 (RFC 4291 2.5.1).
        let bits = parts(&items[found].text).1;
        let bits = if bits.is_empty() { "64" } else { bits };
        let changed = if text.is_empty() { String::new() } else { format!("{text}/{bits}") };
        if any(&changed)
            && items.iter().enumerate().any(|(at, item)| at != found && parts(&item.text).0 == text)
        {
            return Err(Error::bad_value(at.name, "the interface has this address already"));
        }
        items[found].text = changed;
    }
    put_ip6(system, &section, &items)
}

/// What is known of the address of the innermost row.
struct Entry6 {
    /// It is not switched off in UCI.
    on: bool,
    kernel: Option<proc_net::Inet6>,
    netifd: Option<Address6>,
}

fn ip6_entry(system: &mut System, at: &Place<'_>) -> Result<Entry6> {
    let items = ip6_items(system, &section(at)?)?;
    let (on, text) = match find(&items, at) {
        Some(found) => (items[found].on, parts(&items[found].text).0.to_owned()),
        None => (true, at.row().map(|row| row.name.clone()).unwrap_or_default()),
    };
    let Ok(address) = text.parse::<Ipv6Addr>() else { return Ok(Entry6 { on, kernel: None, netifd: None }) };
    let interface = interface(system, at)?;
    let l3 = topology::l3_device(system, &interface);
    let kernel = proc_net::if_inet6(system)
        .iter()
        .find(|entry| entry.device == l3 && entry.address == address)
        .cloned();
    let mut told = netifd::family(system, &interface.name).into_iter().flat_map(|one| told_ip6(&one));
    let netifd = told.find(|one| one.held.address == address).map(|one| one.held);
    Ok(Entry6 { on, kernel, netifd })
}

fn ip6_status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let Entry6 { on, kernel, netifd } = ip6_entry(system, &at)?;
    let there = kernel.is_some() || netifd.is_some();
    Ok(Some(Raw::one(if on && there { "Enabled" } else { "Disabled" })))
}

fn ip6_state(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let Entry6 { kernel, netifd, .. } = ip6_entry(system, &at)?;
    Ok(Some(Raw::one(match (kernel, netifd) {
        (Some(entry), _) => entry.state(),
        (None, Some(held)) if held.valid == Some(0) => "Invalid",
        (None, Some(held)) if held.preferred == Some(0) => "Deprecated",
        (None, Some(_)) => "Preferred",
        (None, None) => "Invalid",
    })))
}

/// netifd tells how long an address lives, `/proc` only whether it is for ever; TR-106 3.2.1 has a value for
/// the unknown time.
fn ip6_lifetime(system: &mut System, at: Place<'_>, which: &str) -> Result<Option<Raw>> {
    let Entry6 { kernel, netifd, .. } = ip6_entry(system, &at)?;
    if let Some(held) = netifd {
        let life = if which == "preferred" { held.preferred } else { held.valid };
        let what = format!("{} {which}", held.address);
        return Ok(Some(Raw::One(netifd::ends(system, &what, life))));
    }
    let items = ip6_items(system, &section(&at)?)?;
    let for_ever = kernel.map_or(find(&items, &at).is_some(), |entry| entry.permanent());
    Ok(Some(Raw::one(if for_ever { "9999-12-31T23:59:59Z" } else { "0001-01-01T00:00:00Z" })))
}

fn active_ports(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let row = |socket: proc_net::Socket| {
        let proc_net::Socket { local, local_port, remote, remote_port, listens } = socket;
        let remote = if listens { String::new() } else { remote.to_string() };
        let remote_port = if listens { 0 } else { remote_port };
        let state = if listens { "LISTEN" } else { "ESTABLISHED" };
        let cols =
            [local.to_string(), local_port.to_string(), remote, remote_port.to_string(), state.to_owned()];
        let name = cols[..4].join("/");
        Row { name: name.clone(), addr: name, cols: cols.into() }
    };
    let mut out: Vec<Row> = Vec::new();
    for socket in proc_net::sockets(system) {
        let row = row(socket);
        if out.iter().all(|other| other.name != row.name) {
            out.push(row);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        for (mask, bits) in [
            ("255.255.255.0", Some(24)),
            ("255.255.255.255", Some(32)),
            ("0.0.0.0", Some(0)),
            ("24", Some(24)),
            ("255.0.255.0", None),
            ("33", None),
            ("", None),
            ("-1", None),
        ] {
            assert_eq!(bits_of(mask), bits, "{mask:?}");
        }
        for (bits, mask) in
            [("24", "255.255.255.0"), ("0", "0.0.0.0"), ("32", "255.255.255.255"), ("33", ""), ("", "")]
        {
            assert_eq!(mask_of(bits), mask, "{bits:?}");
        }
    }

    #[test]
    fn wholeness() {
        assert!(whole("192.0.2.1/24") && !whole("/24") && !whole("192.0.2.1/") && !whole("/") && !whole(""));
    }
}
