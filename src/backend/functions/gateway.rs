//! `Device.GatewayInfo.`: who the gateway is that this device gets its address from (TR-069 Annex F).
//!
//! The hook of the DHCP client keeps what it was offered in `/var/run/rcwmp/dhcp/INTERFACE`, a line for
//! each option in hexadecimal digits. Whoever answers first on the network has written it: a value with a
//! character that is not printable ASCII is not shown.

use super::netif;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "gateway_info", get: info, set: None }];

/// Behind tables.
pub const TABLES: &[TableFn] = &[];

/// The Broadband Forum's number as an enterprise.
const ENTERPRISE: [u8; 4] = 3561_u32.to_be_bytes();

/// The sub-option of that number.
fn info(system: &mut System, _at: Place<'_>, number: &str) -> Result<Option<Raw>> {
    let wan = netif::wan(system)?;
    let text = system.text(&format!("/var/run/rcwmp/dhcp/{wan}"));
    let digits =
        text.as_deref().unwrap_or_default().lines().rev().find_map(|line| line.strip_prefix("opt125="));
    let octets = digits.and_then(octets).unwrap_or_default();
    Ok(number.parse().ok().and_then(|number| sub_option(&octets, number)).map(Raw::One))
}

/// Two digits an octet, colons between them or not.
fn octets(digits: &str) -> Option<Vec<u8>> {
    let bare: Vec<u8> = digits.trim().bytes().filter(|byte| *byte != b':').take(1024).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if bare.len().is_multiple_of(2) { bare.chunks(2).map(pair).collect() } else { None }
}

/// The text of a sub-option among those of the Broadband Forum (RFC 3925).
fn sub_option(mut rest: &[u8], number: u8) -> Option<String> {
    while let Some((enterprise, tail)) = rest.split_first_chunk::<4>() {
        let (length, tail) = tail.split_first()?;
        let (mut data, tail) = tail.split_at_checked(usize::from(*length))?;
        rest = tail;
        while let ([code, length, more @ ..], true) = (data, *enterprise == ENTERPRISE) {
            let (value, more) = more.split_at_checked(usize::from(*length))?;
            data = more;
            if *code == number {
                let printable = value.iter().all(|byte| (b' '..=b'~').contains(byte));
                let fits = value.len() <= if number == 4 { 6 } else { 64 };
                return String::from_utf8(value.to_vec()).ok().filter(|_| printable && fits);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(digits: &str, number: u8, expected: Option<&str>) {
        let found = octets(digits).and_then(|octets| sub_option(&octets, number));
        assert_eq!(found.as_deref(), expected, "{digits} {number}");
    }

    #[test]
    fn options() {
        let good = "00000de9150406303241423030050453 4e3432 0605526f757465".replace(' ', "");
        check(&good, 4, Some("02AB00"));
        check(&good, 5, Some("SN42"));
        check(&good, 6, Some("Route"));
        check("00000de9:0b:05:04:53:4e:34:32:06:03:52:31:30", 6, Some("R10"));
        check("00000009030401ff00000de906050453 4e3432".replace(' ', "").as_str(), 5, Some("SN42"));
        for bad in
            ["", "0", "zz", "00000de9", "00000de9ff0504", "00000de9060504534e340a", "00000de9040502ff31"]
        {
            check(bad, 5, None);
        }
    }
}
