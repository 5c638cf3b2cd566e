//! `Device.ManagementServer.ManageableDevice.`: devices of the LAN that told the DHCP server, by option 125,
//! that they speak CWMP too (TR-069 Annex F, TR-111).
//!
//! dnsmasq gives what they say to its script, as `DNSMASQ_CPEWAN_OUI`, `_SERIAL` and `_CLASS`. The hook of our
//! package keeps it in `/var/run/rcwmp/manageable`: a line for each lease of such a device, removed with the
//! lease, with tabs between its parts, the last of which may be missing.
//!
//! ```text
//! 02:00:00:00:01:11⇥02AB00⇥SN 0042⇥Set-Top Box
//! ```
//! Anybody on the LAN can say anything in there. A line with a part that is not exactly what it should be is
//! left out; a device with several addresses is one device.

use crate::backend::functions::hosts::normal_mac;
use crate::backend::{System, TableFn, ValueFn};
use crate::map::Map;
use crate::model::Result;
use crate::model::backend::{Place, Row};
use crate::set::Set;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[];

/// Behind tables.
pub const TABLES: &[TableFn] =
    &[TableFn { name: "manageable_devices", rows: devices, add: None, delete: None }];

/// What the DHCP server's hook writes.
const FILE: &str = "/var/run/rcwmp/manageable";
/// The most devices; more are not told of.
const MAX_DEVICES: usize = 256;
/// The most addresses of one device: their references must fit into 1024 characters.
const MAX_ADDRESSES: usize = 16;
/// SerialNumber and ProductClass: `string(64)`.
const MAX_TEXT: usize = 64;

/// What tells one device from another (Annex F: the product class is optional).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    oui: String,
    product_class: String,
    serial_number: String,
}

/// Rows with OUI, serial number, product class and MAC addresses.
fn devices(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let found = read(&system.text(FILE).unwrap_or_default());
    let row = |(device, addresses): (Identity, Set<String>)| {
        let Identity { oui, product_class, serial_number } = device;
        // Quoted, so that no two devices have the same name whatever they say.
        let name = format!("{oui} {product_class:?} {serial_number:?}");
        let addresses = addresses.into_iter().collect::<Vec<_>>().join(" ");
        Row { addr: name.clone(), name, cols: vec![oui, serial_number, product_class, addresses] }
    };
    Ok(found.into_iter().map(row).collect())
}

fn read(text: &str) -> Map<Identity, Set<String>> {
    let mut out: Map<Identity, Set<String>> = Map::default();
    for (address, device) in text.lines().filter_map(line) {
        if out.len() >= MAX_DEVICES && !out.contains_key(&device) {
            continue;
        }
        let addresses = out.or_default(device);
        if addresses.len() < MAX_ADDRESSES {
            addresses.insert(address);
        }
    }
    out
}

fn line(line: &str) -> Option<(String, Identity)> {
    let parts: Vec<&str> = line.splitn(5, '\t').collect();
    let (address, oui, serial_number, product_class) = match parts[..] {
        [address, oui, serial_number] => (address, oui, serial_number, ""),
        [address, oui, serial_number, product_class] => (address, oui, serial_number, product_class),
        _ => return None,
    };
    let is_oui = oui.len() == 6 && oui.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_text =
        |text: &str| text.len() <= MAX_TEXT && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !is_oui || serial_number.trim().is_empty() || !is_text(serial_number) || !is_text(product_class) {
        return None;
    }
    let device = Identity {
        oui: oui.to_ascii_uppercase(),
        product_class: product_class.to_owned(),
        serial_number: serial_number.to_owned(),
    };
    Some((normal_mac(address)?, device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, &str, &str)]) {
        let found = read(text);
        let found: Vec<_> = found
            .iter()
            .map(|(device, addresses)| {
                let addresses = addresses.iter().cloned().collect::<Vec<_>>().join(" ");
                (device.oui.as_str(), device.serial_number.as_str(), device.product_class.as_str(), addresses)
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|(a, b, c, d)| (*a, *b, *c, (*d).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn devices_that_say_who_they_are() {
        check("", &[]);
        check(
            "02:00:00:00:01:11\t02ab00\tSN 0042\tSet-Top Box\n020000000112\t02AB01\t7\n",
            &[
                ("02AB00", "SN 0042", "Set-Top Box", "02:00:00:00:01:11"),
                ("02AB01", "7", "", "02:00:00:00:01:12"),
            ],
        );
        // One device with a wire and a radio, told twice.
        check(
            "02:00:00:00:01:12\t02AB00\t7\tBox\n02:00:00:00:01:11\t02ab00\t7\tBox\n02:00:00:00:01:12\t02AB00\t7\tBox\n",
            &[("02AB00", "7", "Box", "02:00:00:00:01:11 02:00:00:00:01:12")],
        );
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let long = "x".repeat(65);
        let refused = [
            "02:00:00:00:01:11\t02AB0\t7\tBox",
            "02:00:00:00:01:11\t02AB0G\t7\tBox",
            "02:00:00:00:01:11\t02AB00\t\tBox",
            "02:00:00:00:01:11\t02AB00\t  \tBox",
            "02:00:00:00:01:11\t02AB00",
            "02:00:00:00:01:11\t02AB00\t7\tBox\tmore",
            "02:00:00:00:01:1x\t02AB00\t7\tBox",
            "02:00:00:00:01:11 02AB00 7 Box",
            "02:00:00:00:01:11\t02AB00\t7\u{7}\tBox",
            "02:00:00:00:01:11\t02AB00\té\tBox",
            "02:00:00:00:01:11\t02AB00\t7\tB\u{fffd}x",
            &format!("02:00:00:00:01:11\t02AB00\t{long}\tBox"),
            &format!("02:00:00:00:01:11\t02AB00\t7\t{long}"),
            "\t\t\t",
        ];
        check(&refused.join("\n"), &[]);
        check(
            "02:00:00:00:01:11\t02AB00\t'; reboot #<&\"\tBox",
            &[("02AB00", "'; reboot #<&\"", "Box", "02:00:00:00:01:11")],
        );
    }

    #[test]
    fn bounds() {
        let many: String = (0..1000).map(|n| format!("{n:012x}\t02AB00\t{n}\tBox\n")).collect();
        assert_eq!(read(&many).len(), MAX_DEVICES);
        let one: String = (0..1000).map(|n| format!("{n:012x}\t02AB00\t7\tBox\n")).collect();
        let found = read(&one);
        assert_eq!((found.len(), found.values().map(Set::len).sum::<usize>()), (1, MAX_ADDRESSES));
    }
}
