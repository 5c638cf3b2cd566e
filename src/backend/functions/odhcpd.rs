//! The leases that odhcpd (`dhcp ipv4leases`, `dhcp ipv6leases`) and rpcd (`luci-rpc getDHCPLeases`) tell over ubus.
//!
//! Names and identifiers in them are what machines of the LAN said.

use std::net::{IpAddr, Ipv4Addr};

use super::hosts::{mac_of_duid, normal_mac};
use super::netifd::{Life, life};
use super::topology;
use crate::backend::System;
use crate::ubus::blobmsg::{Table, Value};

/// The most leases that are looked at.
const MAX_LEASES: usize = 1024;
/// The most addresses of one lease.
const MAX_ADDRESSES: usize = 16;
/// The longest text of one.
const MAX_TEXT: usize = 260;

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The client's MAC address, lower case with colons.
    pub mac: String,
    /// The device it is served on; empty when nobody says.
    pub device: String,
    /// What the client calls itself.
    pub host: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// How long it lasts.
    pub valid: Life,
}

fn short<'t>(table: &'t Table, name: &str) -> std::borrow::Cow<'t, str> {
    table.text(name).filter(|text| text.len() <= MAX_TEXT).unwrap_or_default()
}

/// The leases of every device of one of odhcpd's answers.
fn by_device(answer: &Table, read: impl Fn(&Table, &str) -> Option<Lease>) -> Vec<Lease> {
    let devices = answer.table("device").into_iter().flat_map(Table::iter);
    let mut out = Vec::new();
    for (device, leases) in devices {
        let device = device.to_str();
        let Some(leases) = leases.as_table().filter(|_| topology::is_device_name(&device)) else { continue };
        let tables = leases.array("leases").iter().filter_map(Value::as_table);
        out.extend(
            tables.take(MAX_LEASES - out.len().min(MAX_LEASES)).filter_map(|lease| read(lease, &device)),
        );
    }
    out
}

fn is_bound(lease: &Table) -> bool {
    let flags = lease.array("flags");
    flags.is_empty() || flags.iter().any(|flag| flag.as_text().is_some_and(|flag| *flag == "bound"))
}

fn lease4(lease: &Table, device: &str) -> Option<Lease> {
    let address: Ipv4Addr = short(lease, "address").parse().ok()?;
    is_bound(lease).then_some(Lease {
        mac: normal_mac(&short(lease, "mac"))?,
        device: device.to_owned(),
        host: short(lease, "hostname").into_owned(),
        addresses: vec![address.into()],
        valid: life(lease, "valid"),
    })
}

fn lease6(lease: &Table, device: &str) -> Option<Lease> {
    let addresses = lease.array("ipv6-addr").iter().take(MAX_ADDRESSES).filter_map(|one| {
        let address: IpAddr = short(one.as_table()?, "address").parse().ok()?;
        address.is_ipv6().then_some(address)
    });
    is_bound(lease).then_some(Lease {
        mac: mac_of_duid(&short(lease, "duid"))?,
        device: device.to_owned(),
        host: short(lease, "hostname").into_owned(),
        addresses: addresses.collect(),
        valid: life(lease, "valid"),
    })
}

/// odhcpd's IPv4 leases: it gives some only where it is the main DHCP server.
pub fn ipv4(system: &mut System) -> Vec<Lease> {
    system.ubus("dhcp", "ipv4leases").map(|answer| by_device(&answer, lease4)).unwrap_or_default()
}

/// odhcpd's IPv6 leases of clients whose DUID has a MAC address in it.
pub fn ipv6(system: &mut System) -> Vec<Lease> {
    system.ubus("dhcp", "ipv6leases").map(|answer| by_device(&answer, lease6)).unwrap_or_default()
}

/// What rpcd gathers of all servers' lease files.
pub fn gathered(system: &mut System) -> Vec<Lease> {
    let answer = system.ubus("luci-rpc", "getDHCPLeases");
    let Some(answer) = answer else { return Vec::new() };
    let read = |lease: &Table| {
        let duid = mac_of_duid(&short(lease, "duid"));
        let mac = duid.or_else(|| normal_mac(&short(lease, "macaddr")))?;
        let more = lease.array("ip6addrs").iter().take(MAX_ADDRESSES);
        let mut addresses: Vec<IpAddr> =
            more.filter_map(|one| one.as_text()?.to_str().parse().ok()).collect();
        let named = ["ipaddr", "ip6addr"].into_iter().filter_map(|name| short(lease, name).parse().ok());
        for address in named {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let valid = life(lease, "expires");
        let host = short(lease, "hostname").into_owned();
        Some(Lease { mac, device: String::new(), host, addresses, valid })
    };
    let all = ["dhcp_leases", "dhcp6_leases"].into_iter().flat_map(|name| answer.array(name));
    all.take(MAX_LEASES).filter_map(Value::as_table).filter_map(read).collect()
}

/// What rpcd knows of machines: MAC address, name, and addresses.
pub fn hints(system: &mut System) -> Vec<(String, String, Vec<IpAddr>)> {
    let Some(answer) = system.ubus("luci-rpc", "getHostHints") else { return Vec::new() };
    let read = |(mac, hint): (&crate::ubus::blobmsg::Text, &Value)| {
        let hint = hint.as_table()?;
        let arrays = ["ipaddrs", "ip6addrs"].into_iter().flat_map(|name| hint.array(name));
        let mut addresses: Vec<IpAddr> =
            arrays.take(2 * MAX_ADDRESSES).filter_map(|one| one.as_text()?.to_str().parse().ok()).collect();
        // One of each until 19.07.
        addresses
            .extend(["ipv4", "ipv6"].into_iter().filter_map(|name| short(hint, name).parse::<IpAddr>().ok()));
        Some((normal_mac(&mac.to_str())?, short(hint, "name").into_owned(), addresses))
    };
    answer.iter().take(MAX_LEASES).filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::json;

    fn shown(leases: &[Lease]) -> Vec<String> {
        let line = |one: &Lease| {
            format!("{} {} {:?} {:?} {:?}", one.mac, one.device, one.host, one.addresses, one.valid)
        };
        leases.iter().map(line).collect()
    }

    #[test]
    fn leases_of_devices() {
        let answer = json::parse(
            r#"{"device":{"br-lan":{"leases":[
            {"mac":"020000000007","hostname":"a","flags":["bound"],"address":"192.0.2.7","valid":-1},
            {"mac":"020000000008","flags":["offered"],"address":"192.0.2.8","valid":9},
            {"mac":"02000000000","address":"192.0.2.9"},{"mac":"020000000009","address":"x"},7,null]},
            "../x":{"leases":[{"mac":"020000000007","address":"192.0.2.7"}]},"eth0":[],"eth1":{"leases":{}}}}"#,
        );
        let found = by_device(&answer.unwrap(), lease4);
        assert_eq!(shown(&found), ["02:00:00:00:00:07 br-lan \"a\" [192.0.2.7] None"]);
        let six = json::parse(
            r#"{"device":{"br-lan":{"leases":[{"duid":"00030001020000000007","hostname":"","valid":56,
            "ipv6-addr":[{"address":"fd00::7"},{"address":"1.2.3.4"},{},9]},{"duid":"0002000000","ipv6-addr":[]}]}}}"#,
        );
        let found = by_device(&six.unwrap(), lease6);
        assert_eq!(shown(&found), ["02:00:00:00:00:07 br-lan \"\" [fd00::7] Some(56)"]);
        assert_eq!(by_device(&json::parse(r#"{"device":[]}"#).unwrap(), lease4), []);
        let one = r#"{"mac":"020000000007","address":"192.0.2.7"}"#;
        let many = format!(
            r#"{{"device":{{"a":{{"leases":[{}{one}]}},"b":{{"leases":[{one}]}}}}}}"#,
            format!("{one},").repeat(3000)
        );
        assert_eq!(by_device(&json::parse(&many).unwrap(), lease4).len(), MAX_LEASES);
    }
}
