//! `Device.DNS.`: the servers of the resolver and the forwarders of dnsmasq.
//!
//! A configured server is an item of `network.INTERFACE.dns`; one that is off, or has no address yet, is
//! kept beside that list (see [`items`]).

use std::net::IpAddr;

use crate::backend::functions::items::{self, Ids, Item};
use crate::backend::functions::netif::{self, Interface, not_ours, put};
use crate::backend::functions::netifd::{self, Logical};
use crate::backend::functions::topology::{self, truth};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "dns_client_status", get: client_status, set: None },
    ValueFn { name: "dns_server", get: server, set: Some(set_server) },
    ValueFn { name: "dns_relay", get: relay, set: Some(set_relay) },
    ValueFn { name: "dns_forward", get: forward, set: Some(set_forward) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "dns_servers", rows: servers, add: Some(add_server), delete: Some(delete_server) },
    TableFn {
        name: "dns_forwarders",
        rows: forwarders,
        add: Some(add_forward),
        delete: Some(delete_forward),
    },
];

/// The list option of an interface.
const OPTION: &str = "dns";
/// Between interface and item in the name of an item that was moved.
const MOVED: char = '|';
/// The address of a row that the network brought.
const AUTO: &str = "auto";
/// The most servers looked at.
const MAX: usize = 256;

/// A server that the network brought, as netifd writes it to `resolv.conf.auto`.
#[derive(Debug, PartialEq, Eq)]
struct Found<'t> {
    interface: &'t str,
    address: &'t str,
}

/// `# Interface wan`, then its `nameserver` lines.
fn parse_auto(text: &str) -> Vec<Found<'_>> {
    let mut interface = "";
    let mut out = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("# Interface ") {
            interface = name.trim();
        } else if let Some(address) = line.strip_prefix("nameserver ").map(str::trim)
            && is_address(address)
            && out.len() < MAX
        {
            out.push(Found { interface, address });
        }
    }
    out
}

/// An address, which may name its link (`fe80::1%eth0`).
fn is_address(text: &str) -> bool {
    text.split('%').next().is_some_and(|address| address.parse::<IpAddr>().is_ok())
}

fn bare(address: &str) -> &str {
    address.split('%').next().unwrap_or(address)
}

/// TR-181's word for how a server was learned, by the protocol of its interface.
fn learned(proto: &str, address: &str) -> &'static str {
    let v6 = address.contains(':');
    match proto {
        "static" | "none" => "Static",
        "qmi" | "mbim" | "ncm" | "directip" | "modemmanager" | "wwan" => "3GPP-NAS",
        "dhcpv6" => "DHCPv6",
        _ if v6 => "DHCPv6",
        "ppp" | "pppoe" | "pppoa" | "pptp" | "l2tp" | "3g" => "IPCP",
        _ => "DHCPv4",
    }
}

fn auto_text(system: &mut System) -> Result<String> {
    let named = system.option_text("dhcp.@dnsmasq[0].resolvfile")?;
    let places = [named.as_str(), "/tmp/resolv.conf.d/resolv.conf.auto", "/tmp/resolv.conf.auto"];
    let text = places.iter().filter(|path| path.starts_with('/')).find_map(|path| system.text(path));
    Ok(text.as_deref().unwrap_or_default().to_owned())
}

/// The servers configured at an interface.
fn list(system: &mut System, interface: &str) -> Result<Vec<Item>> {
    let section = format!("network.{interface}");
    let live = items::live(system, &section, OPTION)?;
    let kept = items::kept(system, &section, OPTION)?;
    Ok(items::rows(&live, &kept, Ids::Text, is_address))
}

fn put_list(system: &mut System, interface: &str, list: &[Item]) -> Result<()> {
    let section = format!("network.{interface}");
    let (live, kept) = items::split(list, Ids::Text, is_address);
    topology::put_list(system, &section, OPTION, live)?;
    items::keep(system, &section, OPTION, kept)
}

/// A configured row: its address is interface and item, and so is its name, but for a server that was given to
/// another interface: its item keeps the name, `wan|new1`.
fn row(interface: &str, item: &Item) -> Row {
    let addr = format!("{interface}/{}", item.id);
    let name = match item.id.contains(MOVED) {
        true => item.id.replacen(MOVED, "/", 1),
        false => addr.clone(),
    };
    let address = if is_address(&item.text) { bare(&item.text) } else { "" };
    Row { addr, name, cols: vec![address.to_owned(), interface.to_owned(), "Static".to_owned()] }
}

fn configured(system: &mut System, interfaces: &[Interface]) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for Interface { name, .. } in interfaces {
        out.extend(list(system, name)?.iter().map(|item| row(name, item)));
    }
    Ok(out)
}

/// What netifd has of DHCPv6 for an interface; whoever is not in there was told by a router's advertisement.
fn learned6(logical: &Logical, address: IpAddr) -> &'static str {
    let IpAddr::V6(address) = address else { return "DHCPv6" };
    let digits = format!("{:032X}", u128::from(address));
    // OPTION_DNS_SERVERS (RFC 3646 3).
    let mut told = logical.options.iter().filter(|(code, _)| *code == 23).peekable();
    let any = told.peek().is_some();
    let whole = |octets: &str| octets.as_bytes().chunks_exact(32).any(|one| one == digits.as_bytes());
    if any && !told.any(|(_, octets)| whole(octets)) { "RouterAdvertisement" } else { "DHCPv6" }
}

/// The servers that the network brought, as netifd writes them to `resolv.conf.auto`, and those that it tells
/// besides.
fn learned_rows(system: &mut System, interfaces: &[Interface], known: &[Row]) -> Result<Vec<Row>> {
    let text = auto_text(system)?;
    let told = netifd::all(system);
    let mut found: Vec<(String, String)> =
        parse_auto(&text).iter().map(|one| (one.interface.to_owned(), one.address.to_owned())).collect();
    for logical in told.iter() {
        for address in &logical.dns {
            let one = (logical.name.clone(), address.to_string());
            let same = |other: &(String, String)| other.0 == one.0 && bare(&other.1) == one.1;
            if found.len() < MAX && !found.iter().any(same) {
                found.push(one);
            }
        }
    }
    let row = |(name, address): &(String, String)| {
        let logical = told.iter().find(|one| one.name == *name);
        let own = interfaces.iter().find(|one| one.name == *name);
        let proto = own.map(|one| one.proto.as_str()).or(logical.map(|one| one.proto.as_str()));
        let owner = own.or(logical.and_then(|logical| netifd::configured(interfaces, logical)));
        let mut kind = learned(proto.unwrap_or_default(), address);
        if let (Some(logical), "DHCPv6", Ok(address)) = (logical, kind, bare(address).parse()) {
            kind = learned6(logical, address);
        }
        let owner = owner.map_or(name, |one| &one.name);
        Row {
            name: format!("{name}/auto/{address}"),
            addr: AUTO.to_owned(),
            cols: vec![bare(address).to_owned(), owner.clone(), kind.to_owned()],
        }
    };
    let new = |row: &Row| known.iter().all(|other| other.cols[..2] != row.cols[..2]);
    Ok(found.iter().map(row).filter(new).collect())
}

fn servers(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let interfaces = netif::interfaces(system)?;
    let mut out = configured(system, &interfaces)?;
    let more = learned_rows(system, &interfaces, &out)?;
    out.extend(more);
    Ok(out)
}

/// Whether a server is one that an interface was told.
pub fn is_learnt(row: &Row) -> bool {
    row.addr == AUTO
}

/// A configured row's interface, its list, and its place there; `None` for a learned one.
fn place(system: &mut System, row: &Row) -> Result<Option<(String, Vec<Item>, usize)>> {
    if is_learnt(row) {
        return Ok(None);
    }
    // By its name: a write before this one may have moved it.
    for Interface { name, .. } in netif::interfaces(system)?.iter() {
        let list = list(system, name)?;
        if let Some(at) = list.iter().position(|item| self::row(name, item).name == row.name) {
            return Ok(Some((name.clone(), list, at)));
        }
    }
    Ok(None)
}

/// Gives a server to another interface.
fn give(
    system: &mut System,
    at: &Place<'_>,
    from: &str,
    mut list: Vec<Item>,
    nth: usize,
    to: &str,
) -> Result<()> {
    if from == to {
        return Ok(());
    }
    if to.is_empty() {
        return Err(Error::bad_value(at.name, "a server belongs to an interface"));
    }
    let item = list.remove(nth);
    let id = match item.id.split_once(MOVED) {
        Some((home, id)) if home == to => id.to_owned(),
        Some(_) => item.id,
        None => format!("{from}{MOVED}{}", item.id),
    };
    put_list(system, from, &list)?;
    let mut other = self::list(system, to)?;
    other.push(Item { id, ..item });
    put_list(system, to, &other)
}

fn server(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(row) = at.row().cloned() else { return Ok(None) };
    let column = |n: usize| row.cols.get(n).map(Raw::one);
    let item = place(system, &row)?.map(|(_, mut list, at)| list.swap_remove(at));
    let on = item.as_ref().is_none_or(|item| item.on);
    Ok(match (what, item) {
        ("enable", _) => Some(Raw::one(if on { "1" } else { "0" })),
        ("status", _) if !on => Some(Raw::one("Disabled")),
        ("status", Some(item)) if !is_address(&item.text) => Some(Raw::one("Error")),
        ("status", _) => Some(Raw::one("Enabled")),
        ("address", Some(item)) => Some(Raw::one(if is_address(&item.text) { bare(&item.text) } else { "" })),
        ("address", None) => column(0),
        ("interface", Some(_)) => place(system, &row)?.map(|(interface, ..)| Raw::One(interface)),
        ("interface", None) => column(1),
        ("type", _) => column(2),
        _ => None,
    })
}

fn set_server(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let Some(row) = at.row().cloned() else { return Err(not_ours(at.name)) };
    let Some((interface, mut list, nth)) = place(system, &row)? else { return Err(not_ours(at.name)) };
    match what {
        "enable" => list[nth].on = truth(&raw.text()),
        "address" => list[nth].text = raw.text(),
        "interface" => return give(system, &at, &interface, list, nth, &raw.text()),
        _ => return Err(Error::not_writable(at.name)),
    }
    put_list(system, &interface, &list)
}

/// A new server belongs to the WAN interface, is off and has no address.
fn add_server(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    let interfaces = netif::interfaces(system)?;
    let wan = netif::wan(system)?;
    let found = interfaces.iter().find(|one| one.name == wan).or(interfaces.first());
    let Some(Interface { name, .. }) = found else {
        return Err(Error::exhausted(format!("adding to {}: there is no interface to add it to", at.name)));
    };
    let mut list = list(system, name)?;
    // One that was given to another interface still has its name.
    let taken = configured(system, &interfaces)?;
    let is_taken = |id: &str| {
        list.iter().any(|item| item.id == id) || taken.iter().any(|row| row.name == format!("{name}/{id}"))
    };
    let item = Item { id: topology::numbered("new", is_taken), text: String::new(), on: false };
    let row = row(name, &item);
    list.push(item);
    put_list(system, name, &list)?;
    Ok(row)
}

fn delete_server(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let refused = || Error::not_deletable(at.name);
    let row = at.row().cloned().ok_or_else(refused)?;
    let (interface, mut list, nth) = place(system, &row)?.ok_or_else(refused)?;
    list.remove(nth);
    put_list(system, &interface, &list)
}

fn client_status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let on = !parse_auto(&auto_text(system)?).is_empty()
        || servers(system, at, "")?.iter().any(|row| row.cols.first().is_some_and(|text| !text.is_empty()));
    Ok(Some(Raw::one(if on { "Enabled" } else { "Error" })))
}

const PORT: &str = "dhcp.@dnsmasq[0].port";

/// dnsmasq answers names unless its port is 0.
fn relay(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let there = !system.sections("dhcp", "dnsmasq")?.is_empty();
    let on = there && system.option_text(PORT)?.trim() != "0";
    Ok(Some(Raw::one(if on { "1" } else { "0" })))
}

fn set_relay(system: &mut System, _at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    match (truth(&raw.text()), system.option_text(PORT)?.trim() == "0") {
        (true, true) => put(system, PORT, ""),
        (false, false) => put(system, PORT, "0"),
        _ => Ok(()),
    }
}

/// A server of dnsmasq for all names: `9.9.9.9`, `9.9.9.9#5353@eth1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Forward {
    address: String,
    /// With its `#`.
    port: String,
    /// The device that it is asked by.
    device: String,
}

impl Forward {
    /// `None` for a server of some names only, and for what is none.
    fn parse(text: &str) -> Option<Forward> {
        let (left, device) = text.split_once('@').unwrap_or((text, ""));
        let (address, port) = left.find('#').map_or((left, ""), |at| left.split_at(at));
        let good = address.is_empty() || is_address(address);
        let fits = good && (device.is_empty() || topology::is_device_name(device));
        fits.then(|| Forward { address: address.into(), port: port.into(), device: device.into() })
    }

    fn text(&self) -> String {
        let Forward { address, port, device } = self;
        format!("{address}{port}{}{device}", if device.is_empty() { "" } else { "@" })
    }
}

const DNSMASQ: &str = "dhcp.@dnsmasq[0]";
const SERVERS: &str = "server";

/// The servers of dnsmasq, those for some names too.
fn forwards(system: &mut System) -> Result<Vec<Item>> {
    let live = items::live(system, DNSMASQ, SERVERS)?;
    let kept = items::kept(system, DNSMASQ, SERVERS)?;
    Ok(items::rows(&live, &kept, Ids::Text, can_ask))
}

fn put_forwards(system: &mut System, list: &[Item]) -> Result<()> {
    let (live, kept) = items::split(list, Ids::Text, can_ask);
    topology::put_list(system, DNSMASQ, SERVERS, live)?;
    items::keep(system, DNSMASQ, SERVERS, kept)
}

/// Whether dnsmasq can be given the text: it has an address.
fn can_ask(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(['@', '#'])
}

/// Servers of dnsmasq for all names (`server`, without a domain), and the learned ones unless it is told not
/// to look.
fn forwarders(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for item in forwards(system)?.into_iter().filter(|item| Forward::parse(&item.text).is_some()).take(MAX) {
        out.push(Row { name: item.id.clone(), addr: item.id, cols: Vec::new() });
    }
    if !truth(&system.option_text("dhcp.@dnsmasq[0].noresolv")?) {
        let interfaces = netif::interfaces(system)?;
        let text = auto_text(system)?;
        let own = configured(system, &interfaces)?;
        let told = netifd::all(system);
        for found in parse_auto(&text) {
            let logical = told.iter().find(|one| one.name == found.interface);
            let named = interfaces.iter().find(|one| one.name == found.interface);
            let fixed = own.iter().any(|row| row.cols[0] == found.address && row.cols[1] == found.interface);
            let proto = named.map(|one| one.proto.as_str()).or(logical.map(|one| one.proto.as_str()));
            let kind = if fixed { "Static" } else { learned(proto.unwrap_or_default(), found.address) };
            // What netifd has made beside an interface belongs to it.
            let owner = named.or(logical.and_then(|logical| netifd::configured(&interfaces, logical)));
            let owner = owner.map_or(found.interface, |one| &one.name).to_owned();
            let name = format!("{}/{}", found.interface, found.address);
            let cols = vec![bare(found.address).to_owned(), owner, kind.to_owned()];
            out.push(Row { name, addr: AUTO.to_owned(), cols });
        }
    }
    Ok(out)
}

/// The servers of dnsmasq, and which of them the row is; none for a learned one.
fn forward_at(system: &mut System, at: &Place<'_>) -> Result<Option<(Vec<Item>, usize)>> {
    let Some(row) = at.row().filter(|row| row.addr != AUTO) else { return Ok(None) };
    let list = forwards(system)?;
    let found = list.iter().position(|item| item.id == row.addr);
    Ok(found.map(|found| (list, found)))
}

fn forward(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let found = forward_at(system, &at)?.map(|(mut list, found)| list.swap_remove(found));
    let column = |n: usize| at.row().and_then(|row| row.cols.get(n)).map(Raw::one);
    let told = found.as_ref().and_then(|item| Forward::parse(&item.text));
    let on = found.as_ref().is_none_or(|item| item.on);
    Ok(match (what, told) {
        ("enable", _) => Some(Raw::one(if on { "1" } else { "0" })),
        ("status", told) => {
            let relays = relay(system, at, "")?.is_some_and(|raw| raw.text() == "1");
            let complete = told.is_none_or(|told| !told.address.is_empty());
            Some(Raw::one(match (on && relays, complete) {
                (false, _) => "Disabled",
                (true, true) => "Enabled",
                (true, false) => "Error",
            }))
        }
        ("address", Some(told)) => Some(Raw::one(bare(&told.address))),
        ("address", None) => column(0),
        ("interface", Some(told)) => {
            let interfaces = netif::interfaces(system)?;
            let v6 = told.address.contains(':');
            netif::by_device(&interfaces, &told.device, v6).map(|one| Raw::one(&one.name))
        }
        ("interface", None) => column(1),
        ("type", Some(_)) => Some(Raw::one("Static")),
        _ => column(2),
    })
}

fn set_forward(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let Some((mut list, found)) = forward_at(system, &at)? else { return Err(not_ours(at.name)) };
    let mut told = Forward::parse(&list[found].text).unwrap_or_default();
    let given = raw.text();
    match what {
        "enable" => list[found].on = truth(&given),
        "address" => told.address = given,
        _ if given.is_empty() => told.device = String::new(),
        _ => {
            let interfaces = netif::interfaces(system)?;
            let device = interfaces.iter().find(|one| one.name == given).map(|one| one.device.clone());
            let device = device.filter(|device| topology::is_device_name(device));
            told.device = device.ok_or_else(|| Error::bad_value(at.name, "the interface has no device"))?;
        }
    }
    list[found].text = told.text();
    // Two of one address may still be two servers.
    let same = |item: &Item| {
        let other = Forward::parse(&item.text);
        item.on && other.is_some_and(|other| other.address == told.address && other.port == told.port)
    };
    let others = list.iter().enumerate().filter(|(at, item)| *at != found && same(item));
    if list[found].on && !told.address.is_empty() && others.count() > 0 {
        return Err(Error::bad_value(at.name, format!("another row forwards the same to {}", told.address)));
    }
    put_forwards(system, &list)
}

fn add_forward(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    if system.sections("dhcp", "dnsmasq")?.is_empty() {
        return Err(Error::exhausted(format!("adding to {}: there is no dnsmasq", at.name)));
    }
    let mut list = forwards(system)?;
    let id = items::free_id(&list);
    list.push(Item { id: id.clone(), text: String::new(), on: false });
    put_forwards(system, &list)?;
    Ok(Row { name: id.clone(), addr: id, cols: Vec::new() })
}

fn delete_forward(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let refused = || Error::not_deletable(at.name);
    let (mut list, found) = forward_at(system, &at)?.ok_or_else(refused)?;
    list.remove(found);
    put_forwards(system, &list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_netifd_writes() {
        let text = "# Interface wan\nnameserver 198.51.100.53\n# Interface wan6\nnameserver 2001:db8:53::1\n\
                    nameserver fe80::1%eth1\nsearch isp.example\nnameserver x\n# Interface wan2\nnameserver 203.0.113.1\n";
        let got: Vec<_> = parse_auto(text).into_iter().map(|one| (one.interface, one.address)).collect();
        assert_eq!(
            got,
            [
                ("wan", "198.51.100.53"),
                ("wan6", "2001:db8:53::1"),
                ("wan6", "fe80::1%eth1"),
                ("wan2", "203.0.113.1")
            ]
        );
        assert_eq!(parse_auto(&"nameserver 1.1.1.1\n".repeat(10_000)).len(), MAX);
    }

    #[test]
    fn origins() {
        for (proto, address, kind) in [
            ("dhcp", "192.0.2.1", "DHCPv4"),
            ("pppoe", "192.0.2.1", "IPCP"),
            ("pppoe", "2001:db8::1", "DHCPv6"),
            ("dhcpv6", "2001:db8::1", "DHCPv6"),
            ("qmi", "192.0.2.1", "3GPP-NAS"),
            ("static", "192.0.2.1", "Static"),
        ] {
            assert_eq!(learned(proto, address), kind, "{proto} {address}");
        }
    }

    #[test]
    fn servers_of_dnsmasq() {
        for (text, address, port, device) in [
            ("9.9.9.9", "9.9.9.9", "", ""),
            ("2001:db8::1#5353@eth1", "2001:db8::1", "#5353", "eth1"),
            ("fe80::1%eth0", "fe80::1%eth0", "", ""),
            ("@br-lan", "", "", "br-lan"),
            ("", "", "", ""),
        ] {
            let told = Forward::parse(text).unwrap();
            assert_eq!((&*told.address, &*told.port, &*told.device), (address, port, device), "{text}");
            assert_eq!(told.text(), text);
        }
        for other in ["/lan/9.9.9.9", "resolver", "9.9.9.9@a b", "9.9.9.9@eth0@1.1.1.1#53:"] {
            assert_eq!(Forward::parse(other), None, "{other}");
        }
        assert!(can_ask("/lan/") && !can_ask("@eth0") && !can_ask("#53"));
    }
}
