//! `Device.DNS.`: the servers of the resolver and the forwarders of dnsmasq.
//!
//! A configured server is an item of `network.INTERFACE.dns`; one that is off, or has no address yet, is
//! kept beside that list (see [`items`]).

use std::net::IpAddr;

use crate::backend::functions::items::{self, Ids, Item};
use crate::backend::functions::netif::{self, Interface, not_ours, put, truth, words};
use crate::backend::functions::netifd::{self, Logical};
use crate::backend::functions::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "dns_client_status", get: client_status, set: None },
    ValueFn { name: "dns_server", get: server, set: Some(set_server) },
    ValueFn { name: "dns_relay", get: relay, set: Some(set_relay) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "dns_servers", rows: servers, add: Some(add_server), delete: Some(delete_server) },
    TableFn { name: "dns_forwarders", rows: forwarders, add: None, delete: None },
];

/// The list option of an interface.
const OPTION: &str = "dns";
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

/// A configured row: its address is its name, interface and item.
fn row(interface: &str, item: &Item) -> Row {
    let name = format!("{interface}/{}", item.id);
    let address = if is_address(&item.text) { bare(&item.text) } else { "" };
    Row {
        addr: name.clone(),
        name,
        cols: vec![address.to_owned(), interface.to_owned(), "Static".to_owned()],
    }
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

/// A configured row's interface, its list, and its place there; `None` for a learned one.
fn place(system: &mut System, row: &Row) -> Result<Option<(String, Vec<Item>, usize)>> {
    let Some((interface, id)) = row.addr.split_once('/') else { return Ok(None) };
    let list = list(system, interface)?;
    let at = list.iter().position(|item| item.id == id);
    Ok(at.map(|at| (interface.to_owned(), list, at)))
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
        ("interface", _) => column(1),
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
        _ => return Err(Error::NotWritable(at.name.to_owned())),
    }
    put_list(system, &interface, &list)
}

/// A new server belongs to the WAN interface, is off and has no address.
fn add_server(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    let interfaces = netif::interfaces(system)?;
    let wan = netif::wan(system)?;
    let found = interfaces.iter().find(|one| one.name == wan).or(interfaces.first());
    let Some(Interface { name, .. }) = found else {
        return Err(Error::backend(format!("adding to {}", at.name), "there is no interface to add it to"));
    };
    let mut list = list(system, name)?;
    let item = Item { id: items::free_id(&list), text: String::new(), on: false };
    let row = row(name, &item);
    list.push(item);
    put_list(system, name, &list)?;
    Ok(row)
}

fn delete_server(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let refused = || Error::NotDeletable(at.name.to_owned());
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

/// Servers of dnsmasq for all names (`server`, without a domain or a port), and the learned ones unless
/// it is told not to look.
fn forwarders(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for item in words(system, "dhcp.@dnsmasq[0].server")?.iter().filter(|item| is_address(item)).take(MAX) {
        let cols = vec![bare(item).to_owned(), String::new(), "Static".to_owned()];
        out.push(Row { name: item.clone(), addr: item.clone(), cols });
    }
    if !truth(&system.option_text("dhcp.@dnsmasq[0].noresolv")?) {
        let interfaces = netif::interfaces(system)?;
        let text = auto_text(system)?;
        let own = configured(system, &interfaces)?;
        for found in parse_auto(&text) {
            let proto = interfaces.iter().find(|one| one.name == found.interface);
            let fixed = own.iter().any(|row| row.cols[0] == found.address && row.cols[1] == found.interface);
            let kind = match proto {
                _ if fixed => "Static",
                Some(one) => learned(&one.proto, found.address),
                None => learned("", found.address),
            };
            let name = format!("{}/{}", found.interface, found.address);
            let cols = vec![bare(found.address).to_owned(), found.interface.to_owned(), kind.to_owned()];
            out.push(Row { addr: name.clone(), name, cols });
        }
    }
    Ok(out)
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
}
