//! Addresses of DHCPv4 that are promised: those of `Server.Pool.{i}.StaticAddress.`, and `ReservedAddresses`.
//!
//! Both are sections `host` of `/etc/config/dhcp`, which know no pools: one belongs to the pool whose subnet holds its
//! address. When the router's own address moves elsewhere they are in none; they stay there, and stay visible, in
//! the pool that `rcwmp_pool` says, or in the first one that serves.

use std::net::Ipv4Addr;

use super::dhcpv4::{self, MAX_SECTIONS, delete_section, pool, section, subnet};
use super::topology;
use crate::backend::{System, TableFn, ValueFn, marks};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// Marks a host that is nobody.
const RESERVED: &str = "Reserved";
/// Which pool a host belongs to that no pool's subnet holds.
const POOL: &str = "rcwmp_pool";
/// What dnsmasq says no to when it starts.
const TWICE: &str = "cannot stand twice";
/// What no device can have.
const TAKEN: &str = "the address of the router itself, or of the whole subnet";
/// What it never gives to anybody.
const OUTSIDE: &str = "outside of the subnet of the pool's interface";

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "dhcp_pool_reserved", get: reserved, set: Some(set_reserved) },
    ValueFn { name: "dhcp_host_ip", get: host_address, set: Some(set_host_address) },
    ValueFn { name: "dhcp_host_mac", get: host_mac, set: Some(set_host_mac) },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] =
    &[TableFn { name: "dhcp_hosts", rows: host_rows, add: Some(add_host), delete: Some(delete_section) }];

// --- reserved addresses

/// dnsmasq and odhcpd leave an address alone that a `host` has. For one that is only to be left alone the host is
/// nobody: its hardware address is of a group, which no client comes from.
fn nobody(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("01:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// The sections that reserve an address for nobody.
fn reservations(system: &mut System) -> Result<Vec<(String, Ipv4Addr)>> {
    let mut out = Vec::new();
    for section in system.sections("dhcp", "host")?.into_iter().take(MAX_SECTIONS) {
        let address = format!("dhcp.{}", section.addr);
        let ip = topology::text(system, &address, "ip")?.parse::<Ipv4Addr>().ok();
        if let Some(ip) = ip.filter(|_| section.name.is_some())
            && topology::text(system, &address, "rcwmp_kind")? == RESERVED
        {
            out.push((address, ip));
        }
    }
    Ok(out)
}

fn reserved(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let pool = pool(&at)?;
    let Some(subnet) = subnet(system, &pool)? else { return Ok(None) };
    let all = reservations(system)?.into_iter().filter(|(_, ip)| subnet.holds(*ip));
    Ok(Some(Raw::Many(all.map(|(_, ip)| ip.to_string()).collect())))
}

fn set_reserved(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let pool = pool(&at)?;
    let mut wanted = Vec::new();
    let subnet = subnet(system, &pool)?;
    for item in raw.items() {
        let address: Option<Ipv4Addr> = item.parse().ok();
        let address = address.filter(|address| subnet.is_some_and(|subnet| subnet.holds(*address)));
        wanted.push(address.ok_or_else(|| Error::bad_value(at.name, OUTSIDE))?);
    }
    let known = reservations(system)?;
    for section in system.sections("dhcp", "host")?.into_iter().take(MAX_SECTIONS) {
        let address = format!("dhcp.{}", section.addr);
        let ip = topology::text(system, &address, "ip")?.parse::<Ipv4Addr>().ok();
        if let Some(ip) = ip.filter(|ip| wanted.contains(ip) && known.iter().all(|(_, other)| other != ip)) {
            return Err(Error::bad_value(at.name, format!("{ip} {TWICE}, and a StaticAddress has it")));
        }
    }
    for (section, ip) in &known {
        if subnet.is_some_and(|subnet| subnet.holds(*ip)) && !wanted.contains(ip) {
            system.delete_section(section)?;
        }
    }
    for ip in wanted.into_iter().filter(|ip| known.iter().all(|(_, other)| other != ip)) {
        let name = topology::free_name(system, "dhcp", "reserved")?;
        let section = topology::new_section(system, "dhcp", "host", Some(&name))?;
        for (option, value) in
            [("mac", nobody(ip)), ("ip", ip.to_string()), ("rcwmp_kind", RESERVED.to_owned())]
        {
            topology::put(system, &section, option, &value)?;
        }
    }
    Ok(())
}

// --- static addresses

/// The pool of what is in no pool's subnet and says of none: the first that serves one.
fn refuge(system: &mut System) -> Result<Option<String>> {
    let nets = dhcpv4::subnets(system)?;
    for (pool, _) in nets.iter().filter(|(_, net)| net.is_some()) {
        if dhcpv4::pool_is_on(system, pool)? {
            return Ok(Some(pool.clone()));
        }
    }
    Ok(nets.iter().find(|(_, net)| net.is_some()).or(nets.first()).map(|(pool, _)| pool.clone()))
}

fn host_rows(system: &mut System, at: Place<'_>, argument: &str) -> Result<Vec<Row>> {
    let here = pool(&at)?;
    let mine = at.rows.first().map(|instance| instance.row.name.clone()).unwrap_or_default();
    let nets = dhcpv4::subnets(system)?;
    let pools = dhcpv4::pool_rows(system, at, argument)?;
    let refuge = refuge(system)?;
    let mut out: Vec<Row> = Vec::new();
    for section in system.sections("dhcp", "host")?.into_iter().take(MAX_SECTIONS) {
        let address = format!("dhcp.{}", section.addr);
        if topology::text(system, &address, "rcwmp_kind")? == RESERVED {
            continue;
        }
        let told = marks::from_place(&topology::text(system, &address, POOL)?);
        let ip = topology::text(system, &address, "ip")?.parse::<Ipv4Addr>().ok();
        let home = |ip: Ipv4Addr| nets.iter().find(|(_, net)| net.is_some_and(|net| net.holds(ip)));
        let belongs = match ip.and_then(home) {
            Some((pool, _)) => *pool == here,
            None if pools.iter().any(|pool| pool.name == told) => told == mine,
            // A name for an address of IPv6, or for whoever comes, promises nothing here.
            None => (ip.is_some() || !told.is_empty()) && refuge.as_ref() == Some(&here),
        };
        if !belongs {
            continue;
        }
        if section.name.is_none() {
            let mac = first_mac(system, &address)?;
            system.was(&section.id, &mac);
        }
        out.push(Row { name: section.id, addr: section.addr, cols: Vec::new() });
    }
    Ok(out)
}

fn add_host(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Row> {
    let mine = at.rows.first().map(|instance| instance.row.name.clone()).unwrap_or_default();
    let name = topology::free_name(system, "dhcp", "host")?;
    let section = topology::new_section(system, "dhcp", "host", Some(&name))?;
    topology::put(system, &section, "enable", "0")?;
    topology::put(system, &section, POOL, &mine)?;
    Ok(Row { name: name.clone(), addr: name, cols: Vec::new() })
}

/// Notes on the hosts of an interface's pools which pool is theirs, before the interface gets other addresses.
///
/// # Errors
/// As [`System::set_option`].
pub fn hold(system: &mut System, interface: &str) -> Result<()> {
    let nets = dhcpv4::subnets(system)?;
    let pools = dhcpv4::pool_rows(system, Place { name: "", rows: &[] }, "")?;
    // With one pool there is no other where they could be.
    if nets.iter().filter(|(_, net)| net.is_some()).count() < 2 {
        return Ok(());
    }
    for section in system.sections("dhcp", "host")?.into_iter().take(MAX_SECTIONS) {
        let address = format!("dhcp.{}", section.addr);
        let ip = topology::text(system, &address, "ip")?.parse::<Ipv4Addr>().ok();
        let home = |ip: Ipv4Addr| nets.iter().find(|(_, net)| net.is_some_and(|net| net.holds(ip)));
        let Some((pool, _)) = ip.and_then(home) else { continue };
        let found = pools.iter().find(|row| format!("dhcp.{}", row.addr) == *pool);
        if let Some(row) = found
            && format!("network.{}", topology::text(system, pool, "interface")?) == interface
            && topology::text(system, &address, POOL)? != row.name
        {
            topology::put(system, &address, POOL, &row.name)?;
        }
    }
    Ok(())
}

fn first_mac(system: &mut System, section: &str) -> Result<String> {
    Ok(topology::words(system, section, "mac")?.into_iter().next().unwrap_or_default())
}

fn host_mac(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    Ok(Some(Raw::one(first_mac(system, &section)?)))
}

fn set_host_mac(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let text = raw.text();
    let mut macs = topology::words(system, &section, "mac")?;
    // A host may have more than one; TR-181 sees the first.
    match (macs.first_mut(), text.is_empty()) {
        (Some(_), true) => {
            macs.remove(0);
        }
        (Some(first), false) => *first = text,
        (None, true) => {}
        (None, false) => return topology::put(system, &section, "mac", &text),
    }
    topology::put_list(system, &section, "mac", macs)
}

fn host_address(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    system.option(&format!("{}.ip", section(&at)?))
}

fn set_host_address(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let text = raw.text();
    let reservations = reservations(system)?;
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        if reservations.iter().any(|(_, other)| *other == ip) {
            return Err(Error::bad_value(at.name, format!("{text} {TWICE}, and ReservedAddresses has it")));
        }
        let (name, pool) = (at.name.to_owned(), pool(&at)?);
        // The same request may give the router another address.
        system.later.push(Box::new(move |system| match subnet(system, &pool)? {
            Some(subnet) if !subnet.has_room_for(ip) => {
                let why = if subnet.holds(ip) { TAKEN } else { OUTSIDE };
                Err(Error::bad_in_request(&name, why))
            }
            _ => Ok(()),
        }));
    }
    let section = section(&at)?;
    // Without an address nothing else says whose it is.
    if let Some(pool) = at.rows.first().filter(|_| text.is_empty()) {
        topology::put(system, &section, POOL, &pool.row.name)?;
    }
    topology::put(system, &section, "ip", &text)
}
