//! A bridge's forwarding table: behind which port each machine was seen last, `/sys/class/net/BRIDGE/brforward`.
//!
//! The kernel gives it as records of 16 octets (`struct __fdb_entry`): the MAC address, the port's number (its upper
//! half later), a flag for our own addresses, and the age, which is not looked at.

use std::collections::BTreeMap;

use super::topology;
use crate::backend::System;

/// The octets of a record.
const RECORD: usize = 16;
/// The most octets that are read.
const MAX_OCTETS: usize = 4096 * RECORD;
/// The most ports of a bridge (`BR_MAX_PORTS`).
const MAX_PORTS: usize = 1024;

/// The machines behind a bridge: MAC address in lower case with colons, and the port's device.
pub fn machines(system: &mut System, bridge: &str) -> BTreeMap<String, String> {
    if !topology::in_sysfs(system, bridge, "brforward") {
        return BTreeMap::new();
    }
    let read = system.root.read(format!("/sys/class/net/{bridge}/brforward"), MAX_OCTETS);
    let Ok(octets) = read else { return BTreeMap::new() };
    let mut ports = BTreeMap::new();
    for port in system.names(&format!("/sys/class/net/{bridge}/brif")).into_iter().take(MAX_PORTS) {
        let number = topology::sysfs(system, &port, "brport/port_no");
        let number = number.and_then(|text| u16::from_str_radix(text.trim_start_matches("0x"), 16).ok());
        if let Some(number) = number {
            ports.insert(number, port);
        }
    }
    records(&octets).filter_map(|(mac, number)| Some((mac, ports.get(&number)?.clone()))).collect()
}

/// MAC address and port number of every machine that is not this router.
fn records(octets: &[u8]) -> impl Iterator<Item = (String, u16)> + '_ {
    octets.chunks_exact(RECORD).filter_map(|record| {
        let [a, b, c, d, e, f, low, own, _, _, _, _, high, ..] = *record else { return None };
        let mac = [a, b, c, d, e, f].map(|octet| format!("{octet:02x}")).join(":");
        // A group's address is nobody's.
        (own == 0 && a & 1 == 0).then_some((mac, u16::from_be_bytes([high, low])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let mut octets = vec![2, 0, 0, 0, 1, 0x16, 3, 0, 9, 9, 9, 9, 1, 0, 0, 0];
        octets.extend([2, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        octets.extend([1, 0, 0x5e, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        octets.extend([2, 0, 0]);
        let found: Vec<_> = records(&octets).collect();
        assert_eq!(found, [("02:00:00:00:01:16".to_owned(), 0x103)]);
    }
}
