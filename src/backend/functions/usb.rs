//! `Device.USB.USBHosts.`: the root hubs, devices and interfaces of `/sys/bus/usb/devices`.
//!
//! ```text
//!  usb1         root hub of bus 1       Host
//!  1-1  1-1.4   ports 1, and 4 below    Device
//!  1-1:2.0      its configuration 2, interface 0
//! ```

use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "usb", get: usb, set: None }];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "usb_hosts", rows: hosts, add: None, delete: None },
    TableFn { name: "usb_devices", rows: devices, add: None, delete: None },
    TableFn { name: "usb_configurations", rows: configurations, add: None, delete: None },
    TableFn { name: "usb_interfaces", rows: interfaces, add: None, delete: None },
];

const PLACE: &str = "/sys/bus/usb/devices";

fn row(name: String, cols: Vec<String>) -> Row {
    Row { addr: name.clone(), name, cols }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn hosts(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let names = system.names(PLACE).into_iter();
    let is_host = |name: &String| name.strip_prefix("usb").is_some_and(is_number);
    Ok(names.filter(is_host).map(|name| row(name, Vec::new())).collect())
}

/// Columns: the hub above, and the port of it.
fn devices(system: &mut System, _at: Place<'_>, host: &str) -> Result<Vec<Row>> {
    let bus = format!("{}-", host.strip_prefix("usb").unwrap_or_default());
    let device = |name: String| {
        let ports = name.strip_prefix(&bus)?;
        if !ports.split('.').all(is_number) {
            return None;
        }
        let (above, port) = match name.rsplit_once('.') {
            Some((above, port)) => (above.to_owned(), port.to_owned()),
            None => (host.to_owned(), ports.to_owned()),
        };
        Some(row(name, vec![above, port]))
    };
    Ok(system.names(PLACE).into_iter().filter_map(device).collect())
}

/// The configuration in use, if the device is configured.
fn configurations(system: &mut System, _at: Place<'_>, device: &str) -> Result<Vec<Row>> {
    let value = system.text(&format!("{PLACE}/{device}/bConfigurationValue"));
    let number = value.as_deref().map(str::trim).filter(|text| is_number(text));
    Ok(number
        .map(|number| Row { name: number.to_owned(), addr: device.to_owned(), cols: Vec::new() })
        .into_iter()
        .collect())
}

fn interfaces(system: &mut System, _at: Place<'_>, device: &str) -> Result<Vec<Row>> {
    let own = |name: &String| name.split_once(':').is_some_and(|(of, _)| of == device);
    Ok(system.names(PLACE).into_iter().filter(own).map(|name| row(name, Vec::new())).collect())
}

fn usb(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let name = at.row().map(|row| row.addr.clone()).unwrap_or_default();
    Ok(Some(Raw::one(match what {
        "host_type" => {
            let product = system.text(&format!("{PLACE}/{name}/product")).unwrap_or_default();
            host_type(&product)
        }
        _ => {
            let attributes = system.text(&format!("{PLACE}/{name}/bmAttributes")).unwrap_or_default();
            // Bit 6 (USB 2.0, 9.6.3).
            let own = u8::from_str_radix(attributes.trim(), 16).is_ok_and(|bits| bits & 0x40 != 0);
            if own { "1" } else { "0" }
        }
    })))
}

/// The kernel names root hubs after what drives them.
fn host_type(product: &str) -> &'static str {
    let product = product.to_ascii_lowercase();
    let known = ["xHCI", "EHCI", "OHCI", "UHCI"];
    known.into_iter().find(|kind| product.contains(&kind.to_ascii_lowercase())).unwrap_or("Unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        for (product, expected) in [
            ("xHCI Host Controller\n", "xHCI"),
            ("Generic Platform OHCI controller", "OHCI"),
            ("EHCI Host Controller", "EHCI"),
            ("DWC OTG Controller", "Unknown"),
            ("", "Unknown"),
        ] {
            assert_eq!(host_type(product), expected, "{product}");
        }
    }
}
