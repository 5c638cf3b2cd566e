//! DHCPv4: the server, its pools, and relays (TR-181 `Device.DHCPv4.Server.`).
//!
//! They are the sections of `/etc/config/dhcp`, which dnsmasq and odhcpd read alike. Nothing that an ACS
//! wrote reaches their scripts but addresses, numbers, hexadecimal digits and names of hosts.

use std::net::Ipv4Addr;
use std::rc::Rc;

use super::{dhcp_conditions, dhcp_options, ip, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// On the server's section `0` while no relay works; on a relay's `1` if it would.
/// What a section of a pool can serve; `ignore` takes all of it away.
pub(super) const SERVICES: [&str; 3] = ["dhcpv4", "dhcpv6", "ra"];
const RELAY_MARK: &str = "rcwmp_relay";
/// dnsmasq's first address above the network, and how many, when the pool does not say.
const DEFAULT_RANGE: (u32, u32) = (100, 150);
/// The most sections of one type that are looked at.
pub(super) const MAX_SECTIONS: usize = 1024;

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "dhcp_server_enable", get: server_enable, set: Some(set_server_enable) },
    ValueFn { name: "dhcp_pool_enable", get: pool_enable, set: Some(set_pool_enable) },
    ValueFn { name: "dhcp_pool_status", get: pool_status, set: None },
    ValueFn { name: "dhcp_pool_order", get: pool_order, set: Some(set_pool_order) },
    ValueFn { name: "dhcp_pool_interface", get: pool_interface, set: Some(set_pool_interface) },
    ValueFn { name: "dhcp_pool_devices", get: pool_devices, set: Some(set_pool_devices) },
    ValueFn { name: "dhcp_pool_range", get: pool_range, set: Some(set_pool_range) },
    ValueFn { name: "dhcp_pool_mask", get: pool_mask, set: Some(set_pool_mask) },
    ValueFn { name: "dhcp_pool_servers", get: pool_servers, set: Some(set_pool_servers) },
    ValueFn { name: "dhcp_pool_domain", get: pool_domain, set: Some(set_pool_domain) },
    ValueFn { name: "dhcp_relay", get: relay, set: Some(set_relay) },
    ValueFn { name: "dhcp_relay_status", get: relay_status, set: None },
    ValueFn { name: "dhcp_relays_enable", get: relays_enable, set: Some(set_relays_enable) },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "dhcp_pools", rows: pool_rows, add: Some(add_pool), delete: Some(delete_pool) },
    TableFn { name: "dhcp_relays", rows: relay_rows, add: Some(add_relay), delete: Some(delete_section) },
];

/// A subnet that a pool serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    /// The router's address in it.
    pub router: Ipv4Addr,
    /// The length of its prefix.
    pub bits: u32,
}

impl Subnet {
    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - self.bits.min(32)).unwrap_or(0)
    }

    fn network(self) -> u32 {
        u32::from(self.router) & self.mask()
    }

    /// The first and last address that hosts can have.
    fn hosts(self) -> (u32, u32) {
        let (network, broadcast) = (self.network(), self.network() | !self.mask());
        if self.bits >= 31 { (network, broadcast) } else { (network + 1, broadcast - 1) }
    }

    /// Whether an address lies in it.
    pub fn holds(self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask() == self.network()
    }

    /// Whether an address can be that of a host.
    fn has(self, address: Ipv4Addr) -> bool {
        let (first, last) = self.hosts();
        (first..=last).contains(&u32::from(address))
    }

    /// Whether an address can be that of a host other than the router.
    pub fn has_room_for(self, address: Ipv4Addr) -> bool {
        address != self.router && self.has(address)
    }

    /// The first and last address of a range, cut to the subnet as ipcalc.sh does.
    fn range(self, start: u32, limit: u32) -> (Ipv4Addr, Ipv4Addr) {
        let (first, last) = self.hosts();
        let from = self.network().saturating_add(start).clamp(first, last);
        let to = from.saturating_add(limit.saturating_sub(1)).min(last);
        (from.into(), to.into())
    }
}

fn flag(on: bool) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(if on { "1" } else { "0" })))
}

/// The section of the innermost row.
pub(super) fn section(at: &Place<'_>) -> Result<String> {
    let row = at.row().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(format!("dhcp.{}", row.addr))
}

pub(super) fn delete_section(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let section = section(&at)?;
    system.delete_section(&section)
}

// --- the server

/// The section that remembers that the server is off: DNS goes on, so dnsmasq itself cannot be.
fn server_section(system: &mut System) -> Result<Option<String>> {
    for ty in ["dnsmasq", "odhcpd"] {
        if let Some(section) = system.sections("dhcp", ty)?.into_iter().next() {
            return Ok(Some(format!("dhcp.{}", section.addr)));
        }
    }
    Ok(None)
}

fn no_server(at: &Place<'_>) -> Error {
    Error::exhausted(format!("{}: there is no DHCP server", at.name))
}

fn server_on(system: &mut System) -> Result<bool> {
    match server_section(system)? {
        Some(section) => Ok(topology::text(system, &section, "rcwmp_dhcpv4")? != "0"),
        None => Ok(false),
    }
}

fn server_enable(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    flag(server_on(system)?)
}

fn set_server_enable(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    let server = server_section(system)?.ok_or_else(|| no_server(&at))?;
    if on == server_on(system)? {
        return Ok(());
    }
    for pool in pools(system)? {
        if on && topology::text(system, &pool, "rcwmp_enable")? == "1" {
            switch_pool(system, &pool, true)?;
            topology::put(system, &pool, "rcwmp_enable", "")?;
        } else if !on && pool_is_on(system, &pool)? {
            topology::put(system, &pool, "rcwmp_enable", "1")?;
            switch_pool(system, &pool, false)?;
        }
    }
    topology::put(system, &server, "rcwmp_dhcpv4", if on { "" } else { "0" })
}

// --- pools

fn pools(system: &mut System) -> Result<Vec<String>> {
    let sections = system.sections("dhcp", "dhcp")?;
    Ok(sections.into_iter().take(MAX_SECTIONS).map(|section| format!("dhcp.{}", section.addr)).collect())
}

/// The pools: every section `dhcp`, by its name or its interface.
///
/// # Errors
/// As [`System::sections`].
pub fn pool_rows(system: &mut System, _at: Place<'_>, own: &str) -> Result<Vec<Row>> {
    let mut out: Vec<Row> = Vec::new();
    for section in system.sections("dhcp", "dhcp")?.into_iter().take(MAX_SECTIONS) {
        let name = match section.name {
            Some(name) => name,
            None => topology::text(system, &format!("dhcp.{}", section.addr), "interface")?,
        };
        let taken = name.is_empty() || out.iter().any(|row| row.name == name);
        let name = if taken { section.id } else { name };
        let besides = serves_besides(system, &format!("dhcp.{}", section.addr), own)?;
        out.push(Row { name, addr: section.addr, cols: besides.into_iter().map(str::to_owned).collect() });
    }
    Ok(out)
}

/// Whether the section of a pool serves more than the pool's table tells of.
pub fn is_shared(row: &Row) -> bool {
    !row.cols.is_empty()
}

/// What a section serves besides one service (none said: `dhcpv4`); the others would go with it.
fn serves_besides(system: &mut System, section: &str, own: &str) -> Result<Option<&'static str>> {
    let own = if own.is_empty() { SERVICES[0] } else { own };
    let without = system.sections("dhcp", "odhcpd")?.is_empty();
    if topology::truth(&topology::text(system, section, "ignore")?) {
        return Ok(None);
    }
    for other in SERVICES.into_iter().filter(|other| *other != own) {
        let told = topology::text(system, section, other)?;
        let serves = match other {
            "dhcpv4" => told.is_empty() || told == "server",
            _ => !without && matches!(told.as_str(), "server" | "hybrid"),
        };
        if serves {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// A new pool that serves nothing yet.
///
/// # Errors
/// As [`System::add_section`].
pub fn add_pool(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    let name = topology::free_name(system, "dhcp", "pool")?;
    let section = topology::new_section(system, "dhcp", "dhcp", Some(&name))?;
    for (option, value) in [("start", "100"), ("limit", "150"), ("leasetime", "24h"), ("dhcpv4", "disabled")]
    {
        topology::put(system, &section, option, value)?;
    }
    Ok(Row { name: name.clone(), addr: name, cols: Vec::new() })
}

/// The pool that the place lies in.
pub(super) fn pool(at: &Place<'_>) -> Result<String> {
    let row = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(format!("dhcp.{}", row.row.addr))
}

/// The subnet of a pool: that of its interface's first static address.
///
/// # Errors
/// As [`System::option`].
pub fn subnet(system: &mut System, pool: &str) -> Result<Option<Subnet>> {
    let known = subnets(system)?;
    Ok(known.iter().find(|(other, _)| other == pool).and_then(|(_, subnet)| *subnet))
}

/// Pools by their addresses, each with its subnet.
pub(super) type Subnets = Rc<[(String, Option<Subnet>)]>;

pub(super) fn subnets(system: &mut System) -> Result<Subnets> {
    system.once("subnets", ["dhcp", "network"], |system| {
        let mut out = Vec::new();
        for pool in pools(system)? {
            let subnet = find_subnet(system, &pool)?;
            out.push((pool, subnet));
        }
        Ok(out)
    })
}

fn find_subnet(system: &mut System, pool: &str) -> Result<Option<Subnet>> {
    let interface = topology::text(system, pool, "interface")?;
    if interface.is_empty() || interface.contains('.') {
        return Ok(None);
    }
    let Some((router, bits)) = ip::first_ip4(system, &format!("network.{interface}"))? else {
        return Ok(None);
    };
    let bits = ip::bits_of(&topology::text(system, pool, "netmask")?).unwrap_or(bits);
    Ok(Some(Subnet { router, bits }))
}

/// Whether a pool serves IPv4, while the server does.
pub(super) fn pool_is_on(system: &mut System, pool: &str) -> Result<bool> {
    let ignored = topology::truth(&topology::text(system, pool, "ignore")?);
    Ok(!ignored && topology::text(system, pool, "dhcpv4")? != "disabled")
}

/// `ignore` would take DHCPv6 and router advertisements away too, so only the IPv4 half is switched.
fn switch_pool(system: &mut System, pool: &str, on: bool) -> Result<()> {
    if on {
        topology::put(system, pool, "ignore", "")?;
    }
    topology::put(system, pool, "dhcpv4", if on { "server" } else { "disabled" })
}

fn pool_enable(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let pool = pool(&at)?;
    if server_on(system)? {
        return flag(pool_is_on(system, &pool)?);
    }
    flag(topology::text(system, &pool, "rcwmp_enable")? == "1")
}

fn set_pool_enable(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let pool = pool(&at)?;
    let on = topology::truth(&raw.text());
    if !server_on(system)? {
        return topology::put(system, &pool, "rcwmp_enable", if on { "1" } else { "" });
    }
    if on == pool_is_on(system, &pool)? { Ok(()) } else { switch_pool(system, &pool, on) }
}

fn pool_status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let pool = pool(&at)?;
    let on = server_on(system)? && pool_is_on(system, &pool)?;
    Ok(Some(Raw::one(match (on, subnet(system, &pool)?) {
        (false, _) => "Disabled",
        (true, Some(_)) => "Enabled",
        (true, None) => "Error_Misconfigured",
    })))
}

fn pool_order(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let pools = pools(system)?;
    Ok(system.order_of(&pools, &pool(&at)?))
}

/// Stages another place for a pool among all of them.
///
/// # Errors
/// [`Error::bad_value`] for a place behind the last one, and as [`System::sections`].
pub fn set_pool_order(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let bare = |address: &String| address.trim_start_matches("dhcp.").to_owned();
    let pools: Vec<String> = pools(system)?.iter().map(bare).collect();
    system.put_order(at, "dhcp", &pools, &bare(&pool(&at)?), raw)
}

/// Stages the removal of a pool of a service (none said: `dhcpv4`), with the conditions on its clients.
///
/// # Errors
/// As [`System::delete_section`]; and when the pool's section serves something else, too, which would go with it.
pub fn delete_pool(system: &mut System, at: Place<'_>, own: &str) -> Result<()> {
    let row = at.row().ok_or_else(|| Error::not_deletable(at.name))?;
    if let Some(other) = serves_besides(system, &format!("dhcp.{}", row.addr), own)? {
        return Err(Error::denied(at.name, format!("its section serves {other} too: disable it instead")));
    }
    // A condition's section is of another type: the pool's address stays.
    let section = format!("dhcp.{}", row.addr);
    dhcp_conditions::forget(system, &section)?;
    system.delete_section(&section)
}

fn pool_interface(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let pool = pool(&at)?;
    system.option(&format!("{pool}.interface"))
}

fn set_pool_interface(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let pool = pool(&at)?;
    topology::put(system, &pool, "interface", &raw.text())?;
    let Some(subnet) = subnet(system, &pool)? else { return Ok(()) };
    // Addresses that came before the interface can be told now.
    for end in ["min", "max"] {
        let option = format!("rcwmp_{end}");
        if let Ok(address) = topology::text(system, &pool, &option)?.parse::<Ipv4Addr>() {
            put_end(system, at.name, &pool, subnet, end, address)?;
            topology::put(system, &pool, &option, "")?;
        }
    }
    Ok(())
}

fn pool_devices(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let pool = pool(&at)?;
    let dynamic = topology::text(system, &pool, "dynamicdhcp")?;
    Ok(Some(Raw::one(if dynamic.is_empty() || topology::truth(&dynamic) { "All" } else { "Known" })))
}

fn set_pool_devices(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let pool = pool(&at)?;
    match raw.text().as_str() {
        "All" => topology::put(system, &pool, "dynamicdhcp", ""),
        "Known" => topology::put(system, &pool, "dynamicdhcp", "0"),
        _ => Err(Error::bad_value(at.name, "the server cannot serve unknown devices only")),
    }
}

/// A pool's first address above its network, and how many: numbers, the first also dotted (`1.0` is 256).
fn offsets(system: &mut System, pool: &str) -> Result<(u32, u32)> {
    let start = topology::text(system, pool, "start")?;
    let limit = topology::text(system, pool, "limit")?;
    Ok((start_of(&start).unwrap_or(DEFAULT_RANGE.0), limit.parse().unwrap_or(DEFAULT_RANGE.1)))
}

fn start_of(text: &str) -> Option<u32> {
    text.split('.').try_fold(0_u32, |sum, part| sum.checked_mul(256)?.checked_add(part.parse().ok()?))
}

fn pool_range(system: &mut System, at: Place<'_>, end: &str) -> Result<Option<Raw>> {
    let pool = pool(&at)?;
    let Some(subnet) = subnet(system, &pool)? else { return system.option(&format!("{pool}.rcwmp_{end}")) };
    let (start, limit) = offsets(system, &pool)?;
    let (first, last) = subnet.range(start, limit);
    Ok(Some(Raw::one(if end == "min" { first } else { last }.to_string())))
}

fn set_pool_range(system: &mut System, at: Place<'_>, end: &str, raw: &Raw) -> Result<()> {
    let pool = pool(&at)?;
    let text = raw.text();
    let address: Ipv4Addr = text.parse().map_err(|_| Error::bad_value(at.name, "not an IPv4 address"))?;
    match subnet(system, &pool)? {
        Some(subnet) => put_end(system, at.name, &pool, subnet, end, address),
        None if topology::text(system, &pool, "interface")?.is_empty() => {
            topology::put(system, &pool, &format!("rcwmp_{end}"), &text)
        }
        None => Err(Error::bad_value(at.name, "the pool's interface has no static address")),
    }
}

/// As [`put_range`], once all is staged if the address is none of the subnet yet: the same request may give the router
/// another one.
fn put_end(
    system: &mut System,
    name: &str,
    pool: &str,
    now: Subnet,
    end: &str,
    address: Ipv4Addr,
) -> Result<()> {
    if now.has(address) {
        return put_range(system, pool, now, end, address);
    }
    let (name, pool, end) = (name.to_owned(), pool.to_owned(), end.to_owned());
    system.later.push(Box::new(move |system| match subnet(system, &pool)? {
        Some(subnet) if subnet.has(address) => put_range(system, &pool, subnet, &end, address),
        _ => {
            let why = "outside of the subnet of the pool's interface";
            Err(Error::bad_in_request(&name, why))
        }
    }));
    Ok(())
}

/// Moves one end of a pool's range. The other stays, unless it would lie on the wrong side: both ends of a
/// request arrive one after the other, and the order is not ours.
fn put_range(system: &mut System, pool: &str, subnet: Subnet, end: &str, address: Ipv4Addr) -> Result<()> {
    let address = u32::from(address);
    let (start, limit) = offsets(system, pool)?;
    let (from, to) = subnet.range(start, limit);
    let (from, to) = match end {
        "min" => (address, u32::from(to).max(address)),
        _ => (u32::from(from).min(address), address),
    };
    topology::put(system, pool, "start", &(from - subnet.network()).to_string())?;
    topology::put(system, pool, "limit", &(to - from + 1).to_string())
}

fn pool_mask(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let pool = pool(&at)?;
    if let Some(told) = system.option(&format!("{pool}.netmask"))? {
        return Ok(Some(told));
    }
    Ok(subnet(system, &pool)?.map(|subnet| Raw::one(Ipv4Addr::from(subnet.mask()).to_string())))
}

fn set_pool_mask(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let pool = pool(&at)?;
    let text = raw.text();
    if !text.is_empty() && ip::bits_of(&text).is_none() {
        return Err(Error::bad_value(at.name, "not a mask: its ones do not stand together"));
    }
    // The interface's own mask needs no second place, where it would outlive a change of the interface.
    let own = topology::text(system, &pool, "netmask")?;
    let same = own.is_empty()
        && subnet(system, &pool)?.is_some_and(|subnet| Ipv4Addr::from(subnet.mask()).to_string() == text);
    if same { Ok(()) } else { topology::put(system, &pool, "netmask", &text) }
}

/// Servers that the pool's clients are told; the router itself for routers and DNS when nothing is
/// configured, as dnsmasq does.
fn pool_servers(system: &mut System, at: Place<'_>, code: &str) -> Result<Option<Raw>> {
    let pool = pool(&at)?;
    let Ok(code) = code.parse::<u8>() else { return Ok(None) };
    if let Some(payload) = dhcp_options::payload(system, &pool, code)? {
        let router = subnet(system, &pool)?.map(|subnet| subnet.router.to_string()).unwrap_or_default();
        let own = |word: &str| if word == "0.0.0.0" { router.clone() } else { word.to_owned() };
        let words = payload.split(',').map(str::trim).filter(|word| word.parse::<Ipv4Addr>().is_ok());
        return Ok(Some(Raw::Many(words.map(own).filter(|word| !word.is_empty()).collect())));
    }
    let itself = matches!(code, 3 | 6);
    Ok(subnet(system, &pool)?.filter(|_| itself).map(|subnet| Raw::Many(vec![subnet.router.to_string()])))
}

fn set_pool_servers(system: &mut System, at: Place<'_>, code: &str, raw: &Raw) -> Result<()> {
    let pool = pool(&at)?;
    let code = code.parse::<u8>().map_err(|_| Error::backend(at.name, "no such option"))?;
    let payload = raw.items().join(",");
    // dnsmasq tells routers and DNS by itself, unless the option is there without a value.
    let told = !payload.is_empty() || matches!(code, 3 | 6);
    dhcp_options::put_payload(system, &pool, code, told.then_some(payload.as_str()))
}

fn pool_domain(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let pool = pool(&at)?;
    if let Some(told) = dhcp_options::payload(system, &pool, 15)? {
        return Ok(Some(Raw::one(told)));
    }
    system.option("dhcp.@dnsmasq[0].domain")
}

fn set_pool_domain(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let pool = pool(&at)?;
    let text = raw.text();
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')) {
        return Err(Error::bad_value(at.name, "not a domain name"));
    }
    let told = !text.is_empty() || !system.option_text("dhcp.@dnsmasq[0].domain")?.is_empty();
    dhcp_options::put_payload(system, &pool, 15, told.then_some(text.as_str()))
}

// --- relays

fn relay_rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut out: Vec<Row> = Vec::new();
    for section in system.sections("dhcp", "relay")?.into_iter().take(MAX_SECTIONS) {
        let address = format!("dhcp.{}", section.addr);
        let server = topology::text(system, &address, "server_addr")?;
        // The same section type serves DHCPv6 too.
        if !server.is_empty() && server.parse::<Ipv4Addr>().is_err() {
            continue;
        }
        out.push(Row { name: section.id, addr: section.addr, cols: Vec::new() });
    }
    Ok(out)
}

fn add_relay(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    let name = topology::free_name(system, "dhcp", "relay")?;
    topology::new_section(system, "dhcp", "relay", Some(&name))?;
    Ok(Row { name: name.clone(), addr: name, cols: Vec::new() })
}

/// dnsmasq skips a relay without `server_addr`, so that is where it is off.
fn relay_server(system: &mut System, section: &str) -> Result<(String, bool)> {
    let wish = topology::text(system, section, "rcwmp_enable")? == "1";
    let server = topology::text(system, section, "server_addr")?;
    if !server.is_empty() {
        return Ok((server, true));
    }
    Ok((topology::text(system, section, "rcwmp_server_addr")?, wish))
}

/// The interface that a relay hears its clients on: the one with its own address.
fn relay_interface(system: &mut System, section: &str) -> Result<Option<String>> {
    let own = topology::text(system, section, "local_addr")?.parse::<Ipv4Addr>().ok();
    let Some(own) = own else { return Ok(None) };
    for interface in topology::interfaces(system)? {
        let found = ip::first_ip4(system, &format!("network.{}", interface.name))?;
        if found.is_some_and(|(address, _)| address == own) {
            return Ok(Some(interface.name));
        }
    }
    Ok(None)
}

fn put_relay(system: &mut System, section: &str, server: &str, on: bool) -> Result<()> {
    let shown = on && !server.is_empty();
    topology::put(system, section, "server_addr", if shown { server } else { "" })?;
    topology::put(system, section, "rcwmp_server_addr", if shown { "" } else { server })?;
    topology::put(system, section, "rcwmp_enable", if on && !shown { "1" } else { "" })
}

fn relay(system: &mut System, at: Place<'_>, field: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let (server, on) = relay_server(system, &section)?;
    Ok(match field {
        "enable" if !relays_on(system)? => {
            return flag(topology::text(system, &section, RELAY_MARK)? == "1");
        }
        "enable" => return flag(on),
        "server" => Some(Raw::one(server)),
        "interface" => relay_interface(system, &section)?.map(Raw::one),
        _ => {
            let rows = relay_addresses(system, at)?;
            at.row().and_then(|row| system.order_of(&rows, &row.addr))
        }
    })
}

fn relay_addresses(system: &mut System, at: Place<'_>) -> Result<Vec<String>> {
    Ok(relay_rows(system, at, "")?.into_iter().map(|row| row.addr).collect())
}

/// Whether relays work at all; while they do not, each keeps in a mark whether it would.
fn relays_on(system: &mut System) -> Result<bool> {
    match server_section(system)? {
        Some(section) => Ok(topology::text(system, &section, RELAY_MARK)? != "0"),
        None => Ok(false),
    }
}

fn relays_enable(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    flag(relays_on(system)?)
}

fn set_relays_enable(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    let server = server_section(system)?.ok_or_else(|| no_server(&at))?;
    if on == relays_on(system)? {
        return Ok(());
    }
    for row in relay_rows(system, at, "")? {
        let section = format!("dhcp.{}", row.addr);
        let (address, works) = relay_server(system, &section)?;
        let was = topology::text(system, &section, RELAY_MARK)? == "1";
        if if on { was } else { works } {
            put_relay(system, &section, &address, on)?;
            topology::put(system, &section, RELAY_MARK, if on { "" } else { "1" })?;
        }
    }
    topology::put(system, &server, RELAY_MARK, if on { "" } else { "0" })
}

fn set_relay(system: &mut System, at: Place<'_>, field: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let (server, on) = relay_server(system, &section)?;
    let text = raw.text();
    match field {
        "enable" if !relays_on(system)? => {
            topology::put(system, &section, RELAY_MARK, if topology::truth(&text) { "1" } else { "" })
        }
        "order" => {
            let rows = relay_addresses(system, at)?;
            let addr = section.trim_start_matches("dhcp.").to_owned();
            system.put_order(at, "dhcp", &rows, &addr, raw)
        }
        "enable" => put_relay(system, &section, &server, topology::truth(&text)),
        "server" => put_relay(system, &section, &text, on),
        _ => {
            // The relay's own address is that of the interface it hears the clients on.
            let own = ip::first_ip4(system, &format!("network.{text}"))?;
            if !text.is_empty() && own.is_none() {
                return Err(Error::bad_value(at.name, "the interface has no static address"));
            }
            let own = own.map(|(address, _)| address.to_string()).unwrap_or_default();
            topology::put(system, &section, "local_addr", &own)
        }
    }
}

fn relay_status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let (server, on) = relay_server(system, &section)?;
    let told = !server.is_empty() && !topology::text(system, &section, "local_addr")?.is_empty();
    Ok(Some(Raw::one(match (on, told) {
        (false, _) => "Disabled",
        (true, true) => "Enabled",
        (true, false) => "Error_Misconfigured",
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(router: &str, bits: u32, start: u32, limit: u32, expected: (&str, &str)) {
        let subnet = Subnet { router: router.parse().unwrap(), bits };
        let (first, last) = subnet.range(start, limit);
        assert_eq!((first.to_string().as_str(), last.to_string().as_str()), expected);
    }

    #[test]
    fn ranges() {
        check("192.168.1.1", 24, 100, 150, ("192.168.1.100", "192.168.1.249"));
        check("192.168.1.1", 24, 100, 200, ("192.168.1.100", "192.168.1.254"));
        check("192.168.1.1", 24, 0, 1, ("192.168.1.1", "192.168.1.1"));
        check("10.1.2.3", 8, 256, 512, ("10.0.1.0", "10.0.2.255"));
        check("192.168.1.129", 25, 10, 20, ("192.168.1.138", "192.168.1.157"));
        check("192.168.1.1", 32, 100, 150, ("192.168.1.1", "192.168.1.1"));
        check("192.168.1.1", 24, u32::MAX, u32::MAX, ("192.168.1.254", "192.168.1.254"));
        check("255.255.255.255", 0, u32::MAX, 0, ("255.255.255.254", "255.255.255.254"));
    }

    #[test]
    fn starts() {
        for (text, start) in
            [("100", Some(100)), ("1.0", Some(256)), ("", None), ("x", None), ("9999999999", None)]
        {
            assert_eq!(start_of(text), start, "{text:?}");
        }
    }
}
