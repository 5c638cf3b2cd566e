//! DHCPv4 clients (TR-181 `Device.DHCPv4.Client.`): netifd's interfaces of `proto dhcp`, and what they learnt.

use std::net::{IpAddr, Ipv4Addr};

use super::clients::Clients;
use super::{dhcp_options, ip, netifd, proc_net, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Error, Result};

/// The table of them.
const CLIENTS: Clients = Clients {
    proto: "dhcp",
    idle: "static",
    mark: "rcwmp_dhcpv4",
    made: "rcwmp-dhcpv4",
    name: "dhcpclient",
    fresh: &[],
    kept: &["sendopts", "rcwmp_sendopts", "reqopts", "rcwmp_reqopts"],
};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "dhcp_client", get: learnt, set: None },
    ValueFn { name: "dhcp_client_option", get: option, set: None },
    ValueFn { name: "dhcp_client_enable", get: enable, set: Some(set_enable) },
    ValueFn { name: "dhcp_client_status", get: status, set: None },
    ValueFn { name: "dhcp_client_interface", get: interface, set: Some(set_interface) },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] =
    &[TableFn { name: "dhcp_clients", rows, add: Some(add), delete: Some(delete) }];

/// The section of the outermost row: the interface, or the client's own while it has none.
fn addr(at: &Place<'_>) -> Result<String> {
    let row = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(row.row.addr.clone())
}

fn rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    CLIENTS.rows(system)
}

fn add(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    CLIENTS.add(system)
}

fn delete(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    CLIENTS.delete(system, &at)
}

fn enable(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(if CLIENTS.is_on(system, &at)? { "1" } else { "0" })))
}

fn set_enable(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    CLIENTS.set_on(system, &at, topology::truth(&raw.text()))
}

fn status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let interface = CLIENTS.interface(system, &at)?;
    Ok(Some(Raw::one(match (CLIENTS.is_on(system, &at)?, interface.is_empty()) {
        (false, _) => "Disabled",
        (true, true) => "Error_Misconfigured",
        (true, false) if topology::text(system, &format!("network.{interface}"), "disabled")? == "1" => {
            "Disabled"
        }
        (true, false) => "Enabled",
    })))
}

fn interface(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    Ok(Some(Raw::One(CLIENTS.interface(system, &at)?)))
}

fn set_interface(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    CLIENTS.set_interface(system, &at, &raw.text())
}

fn learnt(system: &mut System, at: Place<'_>, field: &str) -> Result<Option<Raw>> {
    let name = addr(&at)?;
    let Some(interface) = topology::interface(system, &name)? else { return Ok(None) };
    let told = netifd::find(system, &name).filter(|_| interface.proto == "dhcp");
    match (field, told) {
        ("address" | "mask", _) => {
            let Some((address, bits)) = ip::learnt_ip4(system, &interface)?.into_iter().next() else {
                return Ok(None);
            };
            let mask = Ipv4Addr::from(u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0));
            Ok(Some(Raw::one(if field == "mask" { mask } else { address }.to_string())))
        }
        ("state", told) => Ok(Some(Raw::one(match told {
            Some(told) if told.up => "Bound",
            Some(told) if told.pending => "Selecting",
            Some(_) => "Init",
            None if ip::learnt_ip4(system, &interface)?.is_empty() => "Init",
            None => "Bound",
        }))),
        ("server", told) => {
            Ok(told.and_then(|told| told.dhcp_server).map(|server| Raw::One(server.to_string())))
        }
        ("lease", told) => {
            let left = told.filter(|told| told.up).and_then(|told| left(told.lease_time?, told.uptime?));
            Ok(left.map(|seconds| Raw::One(seconds.to_string())))
        }
        ("routers", Some(told)) if told.up => {
            let gateway = |route: &netifd::Route| route.gateway.filter(|gateway| gateway.is_ipv4());
            let mut routers = Vec::new();
            for route in told.routes.iter().filter(|route| route.bits == 0) {
                routers.extend(gateway(route).map(|gateway| gateway.to_string()));
            }
            routers.dedup();
            routers.truncate(16);
            Ok(Some(Raw::Many(routers)))
        }
        ("dns", Some(told)) if told.up => {
            let servers = told.dns.iter().filter(|server| server.is_ipv4()).take(16);
            Ok(Some(Raw::Many(servers.map(ToString::to_string).collect())))
        }
        ("routers", _) => {
            let l3 = topology::l3_device(system, &interface);
            Ok(Some(Raw::Many(proc_net::routers(system, &l3).iter().map(Ipv4Addr::to_string).collect())))
        }
        _ => {
            let text = ["/tmp/resolv.conf.d/resolv.conf.auto", "/tmp/resolv.conf.auto"]
                .into_iter()
                .find_map(|path| system.text(path))
                .unwrap_or_default();
            Ok(Some(Raw::Many(name_servers(&text, &name))))
        }
    }
}

/// The octets of a received option, in hexadecimal digits, as far as netifd tells what came; of others nobody keeps
/// the value.
fn option(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let name = addr(&at)?;
    let tag =
        dhcp_options::option(system, at, "network/reqopts/tag")?.map(|raw| raw.text()).unwrap_or_default();
    let Some(told) = netifd::find(system, &name).filter(|told| told.up && told.proto == "dhcp") else {
        return Ok(None);
    };
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let addresses = |list: Vec<Ipv4Addr>| list.iter().map(|one| hex(&one.octets())).collect::<String>();
    let v4 = |address: IpAddr| match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    };
    let value = match tag.as_str() {
        "1" => addresses(
            told.ipv4
                .iter()
                .take(1)
                .map(|one| u32::MAX.checked_shl(32 - one.bits.min(32)).unwrap_or(0).into())
                .collect(),
        ),
        "3" => {
            let defaults = told.routes.iter().filter(|route| route.bits == 0);
            addresses(defaults.filter_map(|route| v4(route.gateway?)).collect())
        }
        "6" => addresses(told.dns.iter().filter_map(|one| v4(*one)).collect()),
        "12" => hex(told.host.as_bytes()),
        "15" => hex(told.domains.join(" ").as_bytes()),
        "42" => addresses(told.time_servers.clone()),
        "51" => told.lease_time.map(|seconds| hex(&seconds.to_be_bytes())).unwrap_or_default(),
        "54" => addresses(told.dhcp_server.into_iter().collect()),
        _ => String::new(),
    };
    Ok((!value.is_empty() && value.len() <= 510).then_some(Raw::One(value)))
}

/// What is left of a lease. netifd tells how long it was given for and how long the interface is up; udhcpc
/// renews at half of it, so that many halves ago it began anew.
fn left(lease: i32, uptime: u32) -> Option<i32> {
    match lease {
        ..0 => Some(-1),
        0 | 1 => Some(0),
        _ => {
            let since = uptime % u32::try_from(lease / 2).ok()?;
            lease.checked_sub(i32::try_from(since).ok()?)
        }
    }
}

/// The IPv4 name servers that netifd noted for an interface: they follow its `# Interface NAME`.
fn name_servers(text: &str, interface: &str) -> Vec<String> {
    let mut here = false;
    let mut out = Vec::new();
    for line in text.lines().take(1024) {
        if let Some(name) = line.strip_prefix("# Interface ") {
            here = name.trim() == interface;
        } else if let Some(server) = line.strip_prefix("nameserver ").map(str::trim)
            && here
            && server.parse::<Ipv4Addr>().is_ok()
            && out.len() < 16
        {
            out.push(server.to_owned());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_of_a_lease() {
        for (lease, uptime, rest) in [
            (3600, 0, 3600),
            (3600, 1799, 1801),
            (3600, 1800, 3600),
            (86_400, 941_153, 86_400 - 941_153 % 43_200),
            (-1, 5, -1),
            (0, 5, 0),
            (1, 5, 0),
            (i32::MAX, u32::MAX, i32::MAX - 3),
        ] {
            assert_eq!(left(lease, uptime), Some(rest), "{lease} {uptime}");
        }
    }

    #[test]
    fn servers_of_an_interface() {
        let text = "# Interface wan\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch x\n# Interface wan6\nnameserver 192.0.2.9\n";
        assert_eq!(name_servers(text, "wan"), ["192.0.2.1"]);
        assert_eq!(name_servers(text, "lan"), Vec::<String>::new());
    }
}
