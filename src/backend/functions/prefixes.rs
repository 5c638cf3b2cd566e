//! IPv6 prefixes of an interface (TR-181 `Device.IP.Interface.{i}.IPv6Prefix.`): those that were delegated to it,
//! those that it got of one of them or of the ULA, and those that the kernel has on its link.

use std::net::Ipv6Addr;

use super::netifd::{self, Address6};
use super::{ip, proc_net, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "ip6_prefix", get: prefix_of, set: None }];

/// Behind tables.
pub const TABLES: &[TableFn] = &[TableFn { name: "ip6_prefixes", rows, add: None, delete: None }];

/// The time that nobody told (TR-106 3.2.1).
const UNKNOWN: &str = "0001-01-01T00:00:00Z";

fn text(prefix: &Address6) -> String {
    format!("{}/{}", prefix.address, prefix.bits)
}

/// How the row of a prefix is called: one that is passed on whole has a row at both interfaces.
pub fn row_name(interface: &str, prefix: &Address6) -> String {
    format!("{interface} {}", text(prefix))
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

/// Rows with origin, parent, the bits below the parent, the two lifetimes, whether it is on the link, state, and prefix.
fn row(
    system: &mut System,
    interface: &str,
    prefix: &Address6,
    origin: &str,
    parent: Option<&(String, Address6)>,
) -> Row {
    let prefix_text = text(prefix);
    let preferred = netifd::ends(system, &format!("{prefix_text} preferred"), prefix.preferred);
    let valid = netifd::ends(system, &format!("{prefix_text} valid"), prefix.valid);
    let state = match (prefix.valid, prefix.preferred) {
        (Some(0), _) => "Invalid",
        (_, Some(0)) => "Deprecated",
        _ => "Preferred",
    };
    let on_link = if origin == "PrefixDelegation" { "0" } else { "1" };
    let cols = vec![
        origin.to_owned(),
        parent.map(|(owner, parent)| row_name(owner, parent)).unwrap_or_default(),
        parent.map(|(_, parent)| child_bits(parent, prefix)).unwrap_or_default(),
        preferred,
        valid,
        on_link.to_owned(),
        state.to_owned(),
        prefix_text,
    ];
    let name = row_name(interface, prefix);
    Row { name: name.clone(), addr: name, cols }
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
    for one in netifd::family(system, &name) {
        for prefix in &one.delegated {
            push(&mut out, row(system, &name, prefix, "PrefixDelegation", None));
        }
        for (prefix, _) in &one.assigned {
            let parent = delegated.iter().find(|(_, parent)| is_part(parent, prefix));
            // A part of the ULA is of a prefix that no row has.
            let origin = if parent.is_some() { "Child" } else { "AutoConfigured" };
            push(&mut out, row(system, &name, prefix, origin, parent));
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
