//! `Device.Routing.`: static routes of UCI (`route`, `route6`), and what the kernel has besides.
//!
//! One set of functions serves both families; the table's argument is the section type. A configured
//! route is addressed by its section, a kernel route has `kernel` there and its values in columns.

use std::net::{IpAddr, Ipv4Addr};

use crate::backend::functions::kernel_routes::{Route, mask, mask_length, network, parse_v4, parse_v6};
use crate::backend::functions::netif::{self, not_ours, put};
use crate::backend::functions::netifd;
use crate::backend::functions::topology::{self, truth};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "route", get: read, set: Some(write) }];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "routers", rows: routers, add: None, delete: None },
    TableFn { name: "routes", rows: routes, add: Some(add), delete: Some(delete) },
    TableFn { name: "route_information", rows: information, add: None, delete: None },
];

/// The address of a row that UCI does not have.
const KERNEL: &str = "kernel";
/// What netifd calls the types of routes, and TR-181.
const TYPES: &[(&str, &str)] = &[
    ("unicast", "Normal"),
    ("local", "Receive"),
    ("blackhole", "Blackhole"),
    ("unreachable", "Unreachable"),
    ("prohibit", "Prohibit"),
];

/// A configured destination, as far as it makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    address: IpAddr,
    length: u8,
}

impl Target {
    /// From the options `target` (`a.b.c.d`, `a.b.c.d/n`, `h::/n`) and `netmask` (a mask or a length).
    fn parse(target: &str, netmask: &str) -> Option<Target> {
        let (address, length) = target.split_once('/').unwrap_or((target, netmask));
        let address: IpAddr = address.trim().parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length.trim() {
            "" => most,
            text => match text.parse::<Ipv4Addr>() {
                Ok(mask) => mask_length(mask)?,
                Err(_) => text.parse().ok().filter(|length| *length <= most)?,
            },
        };
        Some(Target { address, length })
    }
}

fn routers(_system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    Ok(vec![Row { name: "main".into(), addr: "main".into(), cols: Vec::new() }])
}

fn kernel(system: &mut System, ty: &str) -> Vec<Route> {
    match ty {
        "route6" => parse_v6(&system.text("/proc/net/ipv6_route").unwrap_or_default()),
        _ => parse_v4(&system.text("/proc/net/route").unwrap_or_default()),
    }
}

/// Whether a kernel route is that of a configured one.
fn is_of(route: &Route, target: Target, gateway: &str, metric: &str) -> bool {
    let gateway = gateway.parse::<IpAddr>().ok().filter(|gateway| !gateway.is_unspecified());
    let metric: Option<u32> = metric.trim().parse().ok();
    network(target.address, target.length) == route.network
        && target.length == route.length
        && (gateway.is_none() || gateway == route.gateway)
        && metric.is_none_or(|metric| metric == route.metric)
}

/// The options of a configured route, and its target.
fn configured(system: &mut System, addr: &str) -> Result<(String, String, String, Option<Target>)> {
    let mut option = |option: &str| system.option_text(&format!("network.{addr}.{option}"));
    let target = Target::parse(&option("target")?, &option("netmask")?);
    Ok((option("interface")?, option("gateway")?, option("metric")?, target))
}

/// Configured routes first; then those of the kernel that none of them made, as columns of network,
/// length, gateway, interface, metric, origin, end.
fn routes(system: &mut System, _at: Place<'_>, ty: &str) -> Result<Vec<Row>> {
    let v6 = ty == "route6";
    let interfaces = netif::interfaces(system)?;
    let mut rest = kernel(system, ty);
    let mut out = Vec::new();
    for section in system.sections("network", ty)? {
        let (interface, gateway, metric, target) = configured(system, &section.addr)?;
        if let Some(target) = target {
            rest.retain(|route| !is_of(route, target, &gateway, &metric));
        }
        if section.name.is_none() {
            let target = target.map(|one| format!("{}/{}", one.address, one.length)).unwrap_or_default();
            system.was(&section.id, &format!("{interface} {target} {gateway} {metric}"));
        }
        out.push(Row { name: section.id, addr: section.addr, cols: Vec::new() });
    }
    let told = netifd::all(system);
    for route in rest {
        let Route { network, length, gateway, device, metric, .. } = &route;
        // Several interfaces may share the device, and netifd knows which of them has set the route.
        let set = told.iter().filter(|one| one.l3_device == *device).find_map(|one| {
            let same = |other: &&netifd::Route| {
                other.target == *network && other.bits == *length && other.gateway == *gateway
            };
            Some((netifd::configured(&interfaces, one)?, one, one.routes.iter().find(same)?))
        });
        let gateway = gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
        let name = format!("{device} {network}/{length} {gateway} {metric}");
        let ends = set.map(|(.., set)| netifd::ends(system, &name, set.valid));
        let interface = set.map(|(interface, ..)| interface).or(netif::by_device(&interfaces, device, v6));
        let proto = set.map(|(_, one, _)| one.proto.as_str()).or(interface.map(|one| one.proto.as_str()));
        let cols = vec![
            network.to_string(),
            length.to_string(),
            gateway.clone(),
            interface.map(|one| one.name.clone()).unwrap_or_default(),
            metric.to_string(),
            origin(&route, proto.unwrap_or_default()).to_owned(),
            ends.unwrap_or_default(),
        ];
        out.push(Row { name, addr: KERNEL.to_owned(), cols });
    }
    Ok(out)
}

/// TR-181's word for where a kernel route comes from. What is on the link comes with the address; DHCPv6 itself
/// has no routers, so that one behind such an interface was advertised.
fn origin(route: &Route, proto: &str) -> &'static str {
    match (route.network.is_ipv6(), proto) {
        (true, _) if route.advertised => "RA",
        (true, "dhcpv6") if route.gateway.is_some() => "RA",
        (true, "dhcpv6") => "DHCPv6",
        (false, "dhcp") => "DHCPv4",
        (false, proto) if topology::PPP.contains(&proto) => "IPCP",
        (_, "3g" | "qmi" | "mbim" | "ncm" | "directip" | "modemmanager") => "3GPP-NAS",
        _ => "Static",
    }
}

/// Whether a route is one that UCI does not have.
pub fn is_learnt(row: &Row) -> bool {
    row.addr == KERNEL
}

fn section_type(at: Place<'_>) -> &'static str {
    if at.name.contains(".IPv6Forwarding.") { "route6" } else { "route" }
}

fn read(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(row) = at.row() else { return Ok(None) };
    if is_learnt(row) {
        return Ok(of_kernel(row, what).map(Raw::One));
    }
    let (interface, gateway, metric, target) = configured(system, &row.addr)?;
    let base = format!("network.{}", row.addr);
    let raw_target = system.option_text(&format!("{base}.target"))?;
    let text = match what {
        "enable" => {
            let off = truth(&system.option_text(&format!("{base}.disabled"))?);
            if off { "0" } else { "1" }.to_owned()
        }
        "status" => {
            if truth(&system.option_text(&format!("{base}.disabled"))?) {
                "Disabled".to_owned()
            } else {
                match target {
                    Some(target) if !interface.is_empty() => {
                        let there = kernel(system, section_type(at))
                            .iter()
                            .any(|route| is_of(route, target, &gateway, &metric));
                        if there { "Enabled" } else { "Error" }.to_owned()
                    }
                    _ => "Error_Misconfigured".to_owned(),
                }
            }
        }
        "type" => {
            let text = system.option_text(&format!("{base}.type"))?;
            TYPES.iter().find(|(raw, _)| *raw == text).map_or("Normal", |(_, word)| word).to_owned()
        }
        "static" => "1".to_owned(),
        "address" => raw_target.split('/').next().unwrap_or_default().to_owned(),
        "mask" if raw_target.is_empty() => system.option_text(&format!("{base}.netmask"))?,
        "mask" => target.map(|target| mask(target.length).to_string()).unwrap_or_default(),
        "prefix" => target.map(|one| format!("{}/{}", one.address, one.length)).unwrap_or_default(),
        "gateway" => gateway,
        "interface" => interface,
        "origin" => "Static".to_owned(),
        "metric" => metric,
        "expiration" => "9999-12-31T23:59:59Z".to_owned(),
        _ => return Ok(None),
    };
    Ok((!text.is_empty()).then_some(Raw::One(text)))
}

fn of_kernel(row: &Row, what: &str) -> Option<String> {
    let column = |n: usize| row.cols.get(n).cloned();
    match what {
        "enable" => Some("1".to_owned()),
        "status" => Some("Enabled".to_owned()),
        "type" => Some("Normal".to_owned()),
        "static" => Some("0".to_owned()),
        "address" => column(0),
        "mask" => Some(mask(column(1)?.parse().ok()?).to_string()),
        "prefix" => Some(format!("{}/{}", column(0)?, column(1)?)),
        "gateway" => column(2),
        "interface" => column(3),
        // 0 is how Linux says of an IPv4 route that it was given none: TR-181's -1. An IPv6 route without one gets
        // 1024, which is a metric and counts as one.
        "metric" => column(4).filter(|metric| metric.parse::<i32>().is_ok_and(|metric| metric > 0)),
        "origin" => column(5),
        // Its end is known to the kernel, but not told in /proc; netifd tells it of its own ones.
        "expiration" => column(6).filter(|end| !end.is_empty()),
        _ => None,
    }
}

fn write(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let Some(row) = at.row() else { return Err(not_ours(at.name)) };
    if is_learnt(row) {
        return Err(not_ours(at.name));
    }
    let base = format!("network.{}", row.addr);
    let text = raw.text();
    match what {
        "enable" => put(system, &format!("{base}.disabled"), if truth(&text) { "" } else { "1" }),
        "type" => {
            let word = TYPES.iter().find(|(_, word)| *word == text).map(|(raw, _)| *raw);
            let word = word.ok_or_else(|| Error::bad_value(at.name, "not a type of route"))?;
            put(system, &format!("{base}.type"), if word == "unicast" { "" } else { word })
        }
        "address" | "mask" => {
            // Address and mask are two parameters, so they must be two options.
            let target = system.option_text(&format!("{base}.target"))?;
            let netmask = system.option_text(&format!("{base}.netmask"))?;
            let parsed = Target::parse(&target, &netmask);
            if what == "mask" {
                if text.parse::<Ipv4Addr>().is_ok_and(|mask| mask_length(mask).is_none()) {
                    return Err(Error::bad_value(at.name, "ones after zeros in a mask"));
                }
                if let Some((address, _)) = target.split_once('/') {
                    put(system, &format!("{base}.target"), address)?;
                }
                return put(system, &format!("{base}.netmask"), &text);
            }
            if let Some(parsed) = parsed.filter(|_| target.contains('/')) {
                put(system, &format!("{base}.netmask"), &mask(parsed.length).to_string())?;
            }
            put(system, &format!("{base}.target"), &text)
        }
        "prefix" => put(system, &format!("{base}.target"), &text),
        "gateway" => put(system, &format!("{base}.gateway"), &text),
        "interface" => put(system, &format!("{base}.interface"), &text),
        "metric" => put(system, &format!("{base}.metric"), if text == "-1" { "" } else { &text }),
        _ => Err(Error::not_writable(at.name)),
    }
}

fn add(system: &mut System, _at: Place<'_>, ty: &str) -> Result<Row> {
    let name = system.free_name("network", if ty == "route6" { "route6_" } else { "route_" })?;
    let addr = system.add_section("network", ty, Some(&name))?;
    system.set_option(&format!("network.{addr}.disabled"), Some(&Raw::one("1")))?;
    Ok(Row { name, addr, cols: Vec::new() })
}

fn delete(system: &mut System, at: Place<'_>, _ty: &str) -> Result<()> {
    match at.row() {
        Some(row) if !is_learnt(row) => system.delete_section(&format!("network.{}", row.addr)),
        _ => Err(Error::not_deletable(at.name)),
    }
}

/// What routers advertised, of each interface the first, the default route before others. Rows with router,
/// prefix, preference, and when it ends.
fn information(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let interfaces = topology::interfaces(system)?;
    let mut out: Vec<Row> = Vec::new();
    for told in netifd::all(system).iter().filter(|told| told.proto == "dhcpv6") {
        let Some(interface) = netifd::configured(&interfaces, told) else { continue };
        let mut learnt = told.routes.iter().filter(|route| route.target.is_ipv6() && route.gateway.is_some());
        let first = learnt.clone().next();
        let Some(route) = learnt.find(|route| route.bits == 0).or(first) else { continue };
        if out.iter().any(|row| row.name == interface.name) {
            continue;
        }
        let cols = vec![
            route.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
            format!("{}/{}", route.target, route.bits),
            // The metrics that odhcp6c makes of the preferences of RFC 4191.
            match route.metric {
                Some(384) => "High",
                Some(640) => "Low",
                _ => "Medium",
            }
            .to_owned(),
            netifd::ends(system, &format!("{} route information", interface.name), route.valid),
        ];
        out.push(Row { name: interface.name.clone(), addr: interface.name.clone(), cols });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        for (target, netmask, shown) in [
            ("10.20.0.0/16", "", Some("10.20.0.0 16")),
            ("10.20.0.0", "255.255.0.0", Some("10.20.0.0 16")),
            ("10.20.0.0", "16", Some("10.20.0.0 16")),
            ("8.8.4.4", "", Some("8.8.4.4 32")),
            ("0.0.0.0", "0.0.0.0", Some("0.0.0.0 0")),
            ("fd77::/48", "", Some("fd77:: 48")),
            ("::/0", "", Some(":: 0")),
            ("10.0.0.0/33", "", None),
            ("10.0.0.0", "255.0.255.0", None),
            ("10.xxx.yyy.zzz", "", None),
            ("", "", None),
        ] {
            let got = Target::parse(target, netmask).map(|one| format!("{} {}", one.address, one.length));
            assert_eq!(got.as_deref(), shown, "{target} {netmask}");
        }
    }

    #[test]
    fn whose_route() {
        let route = Route {
            network: "10.20.0.0".parse().unwrap(),
            length: 16,
            gateway: Some("192.168.1.254".parse().unwrap()),
            device: "br-lan".into(),
            metric: 0,
            advertised: false,
        };
        let is = |target, gateway, metric| {
            Target::parse(target, "").is_some_and(|target| is_of(&route, target, gateway, metric))
        };
        assert!(is("10.20.0.0/16", "192.168.1.254", ""));
        assert!(is("10.20.3.4/16", "", "0"));
        assert!(!is("10.20.0.0/16", "192.168.1.253", ""));
        assert!(!is("10.20.0.0/16", "", "5"));
        assert!(!is("10.20.0.0/17", "", ""));
    }
}
