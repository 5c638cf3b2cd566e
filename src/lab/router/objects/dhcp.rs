//! odhcpd's `dhcp`, and the leases that dnsmasq and odhcpd have given.

use std::net::Ipv6Addr;

use super::interfaces::{self, Interface, TIMES6};
use super::reply::{Answer, array, map, number, ok, table};
use super::state::{State, flag};
use crate::sys::clock::epoch_seconds;
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::msg::Status;

/// Its methods.
pub const METHODS: &[&str] =
    &["ipv4leases", "ipv6leases", "ipv6ra", "add_lease ip:s mac:s duid:s hostid:s leasetime:s name:s"];
/// The most leases that are read.
const MAX_LEASES: usize = 1024;
/// Who has addresses by DHCPv6: interface, DUID, host name, and the last part of the addresses.
pub const CLIENTS6: &[(&str, &str, &str, u16)] = &[("lan", "0003000102000000200f", "notebook", 0xa1d)];

/// A lease of dnsmasq's.
#[derive(Debug)]
pub struct Lease {
    /// Seconds left; nothing for one without an end.
    pub left: Option<i64>,
    /// The MAC, lower case.
    pub mac: String,
    /// The address.
    pub address: String,
    /// The host's name, if it told one.
    pub hostname: Option<String>,
    /// Its client identifier, if it told one.
    pub client: Option<String>,
}

/// Answers for `dhcp`.
///
/// # Errors
/// What is not simulated is not supported.
pub fn dhcp(state: &mut State, _object: &str, method: &str, _arguments: &Table) -> Answer {
    let served: Vec<Interface> =
        interfaces::all(state).into_iter().filter(|one| serves(state, one)).collect();
    match method {
        "ipv4leases" => ok(table! { "device": map(four(state, &served)) }),
        "ipv6leases" => {
            let devices = served.iter().filter(|one| !one.assigned.is_empty());
            ok(
                table! { "device": map(devices.map(|one| (device(one), table! { "leases": array(six(one)) }))) },
            )
        }
        "ipv6ra" => ok(table! { "interfaces": Table::new() }),
        _ => Err(Status::NotSupported),
    }
}

fn device(one: &Interface) -> String {
    one.l3.clone().unwrap_or_default()
}

/// Whether UCI lets an interface that is up serve others.
fn serves(state: &State, one: &Interface) -> bool {
    let mut sections = state.sections("dhcp", "dhcp");
    let section = sections.find(|section| section.text("interface").as_deref() == Some(one.name.as_str()));
    one.up && section.is_some_and(|section| !flag(section, "ignore", false))
}

/// The leases of IPv4, if odhcpd is the one who gives them.
fn four<'a>(state: &State, served: &'a [Interface]) -> impl Iterator<Item = (String, Table)> + use<'a> {
    let main = state.sections("dhcp", "odhcpd").any(|section| flag(section, "maindhcp", false));
    let leases = leases(state);
    served.iter().filter(move |_| main).map(move |one| {
        let mine = leases.iter().filter(|lease| on(one, &lease.address));
        let shown = mine.map(|lease| {
            table! {
                "mac": lease.mac.replace(':', ""),
                "hostname": lease.hostname.clone().unwrap_or_default(),
                "accept-reconf-nonce": false,
                "reqopts": "1,3,6,12,15,26,28,33,40,42,51,58,59,119,121",
                "flags": array(["bound"]),
                "address": lease.address.as_str(),
                "valid": number(lease.left.unwrap_or(-1)),
            }
        });
        (device(one), table! { "leases": array(shown) })
    })
}

/// Whether an address belongs to a network of an interface.
fn on(one: &Interface, address: &str) -> bool {
    let Ok(address) = address.parse::<std::net::Ipv4Addr>() else { return false };
    one.v4.iter().any(|(own, length)| {
        let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or_default();
        u32::from(*own) & mask == u32::from(address) & mask
    })
}

/// The clients of DHCPv6 on an interface.
fn six(one: &Interface) -> impl Iterator<Item = Table> {
    CLIENTS6.iter().filter(|(interface, ..)| *interface == one.name).map(|(_, duid, hostname, host)| {
        let addresses = addresses6(one, *host).map(|(address, delegated)| {
            table! {
                "address": address.to_string(),
                "preferred-lifetime": if delegated { TIMES6.0 } else { -1 },
                "valid-lifetime": if delegated { TIMES6.1 } else { -1 },
            }
        });
        table! {
            "duid": *duid,
            "iaid": 0,
            "hostname": *hostname,
            "accept-reconf": false,
            "assigned": i32::from(*host),
            "flags": array(["bound"]),
            "ipv6-addr": array(addresses),
            "valid": TIMES6.1,
        }
    })
}

/// The addresses of a host, and whether they are of a delegated prefix.
pub fn addresses6(one: &Interface, host: u16) -> impl Iterator<Item = (Ipv6Addr, bool)> {
    one.assigned
        .iter()
        .map(move |part| (Ipv6Addr::from(u128::from(part.prefix) | u128::from(host)), part.from.is_some()))
}

/// The leases in dnsmasq's file; lines of DHCPv6 and what cannot be read are passed over.
pub fn leases(state: &State) -> Vec<Lease> {
    let mut sections = state.sections("dhcp", "dnsmasq");
    let file = sections.find_map(|section| section.text("leasefile"));
    let text = state.read(file.as_deref().unwrap_or("/tmp/dhcp.leases")).unwrap_or_default();
    let now = epoch_seconds();
    let known = |word: &str| Some(word.to_owned()).filter(|word| word != "*");
    let lease = |line: &str| {
        let mut words = line.split(' ');
        let end: i64 = words.next()?.parse().ok()?;
        let (mac, address) = (words.next()?, words.next()?);
        address.parse::<std::net::Ipv4Addr>().ok()?;
        Some(Lease {
            left: (end != 0).then(|| end.saturating_sub(now).max(0)),
            mac: mac.to_lowercase(),
            address: address.to_owned(),
            hostname: words.next().and_then(known),
            client: words.next().and_then(known),
        })
    };
    text.lines().filter_map(lease).take(MAX_LEASES).collect()
}

/// What is left of a lease, as LuCI has it.
pub fn expires(left: Option<i64>) -> Value {
    left.map_or(Value::from(false), number)
}
