//! Services that machines of the LAN announce (TR-181 `Device.DNS.SD.Service.`), as umdns has heard of them.
//!
//! Names in them are what those machines said.

use std::net::IpAddr;

use super::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Row};
use crate::ubus::blobmsg::{Table, Value};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "sd_services", rows: services, add: None, delete: None },
    TableFn { name: "sd_texts", rows: texts, add: None, delete: None },
];

/// The most services, and the most texts of one.
const MAX_SERVICES: usize = 256;
const MAX_TEXTS: usize = 64;
/// The longest label of DNS, the longest name of an application (RFC 6335), and the longest text.
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 15;
const MAX_TEXT: usize = 255;

/// Calls for every service: its type, its instance, and what is told of it.
fn each(system: &mut System, mut call: impl FnMut(&str, &str, &Table)) {
    let Some(answer) = system.ubus("umdns", "browse") else { return };
    let types = answer.iter().filter_map(|(ty, list)| Some((ty.to_str(), list.as_table()?)));
    let all = types.flat_map(|(ty, list)| list.iter().map(move |(name, told)| (ty.clone(), name, told)));
    for (ty, name, told) in all.take(MAX_SERVICES) {
        if let Some(told) = told.as_table() {
            call(&ty, &name.to_str(), told);
        }
    }
}

/// `_printer._tcp` as `printer` and `TCP`.
fn kind(ty: &str) -> Option<(&str, &'static str)> {
    let (name, transport) = ty.strip_prefix('_')?.split_once("._")?;
    let transport = match transport.trim_end_matches(".local") {
        "tcp" => "TCP",
        "udp" => "UDP",
        _ => return None,
    };
    (!name.is_empty() && name.len() <= MAX_NAME).then_some((name, transport))
}

/// A label without DNS's escapes: `HP\032LaserJet` has a blank in it.
fn plain(label: &str) -> String {
    let mut octets = Vec::with_capacity(label.len());
    let mut rest = label.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let digits = more.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, digits.and_then(|digits| digits.parse().ok())) {
            (b'\\', Some(octet)) => {
                octets.push(octet);
                rest = &more[3..];
            }
            (b'\\', None) => rest = more,
            _ => {
                octets.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// Rows with instance, application, transport, port, host and address. umdns forgets what has expired.
fn services(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    each(system, |ty, name, told| {
        let Some((application, transport)) = kind(ty) else { return };
        let instance = plain(name);
        let port = told.number("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
        let host = told.text("host").filter(|host| host.len() <= MAX_TEXT).unwrap_or_default();
        if !instance.is_empty() && instance.chars().count() <= MAX_LABEL {
            let address =
                told.text("ipv4").or_else(|| told.text("ipv6")).filter(|text| text.parse::<IpAddr>().is_ok());
            let address = address.unwrap_or_default();
            let cols =
                [&instance, application, transport, &port.to_string(), &host, &address].map(str::to_owned);
            let name = format!("{ty}/{name}");
            out.push(Row { name: name.clone(), addr: name, cols: cols.to_vec() });
        }
    });
    Ok(out)
}

/// The texts of a service: umdns gives every one under the same name, or all in an array.
fn told_texts(told: &Table) -> Vec<String> {
    let fields = told.iter().filter(|(field, _)| field.to_str() == "txt").take(MAX_TEXTS);
    let values = fields.flat_map(|(_, value)| value.as_array().unwrap_or(std::slice::from_ref(value)));
    let texts = values.filter_map(Value::as_text).map(|text| text.to_str().into_owned());
    texts.filter(|text| !text.is_empty() && text.len() <= MAX_TEXT).take(MAX_TEXTS).collect()
}

/// Rows with key and value.
fn texts(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let wanted = at.rows.first().map(|row| row.row.name.clone()).unwrap_or_default();
    let mut found: Vec<String> = Vec::new();
    each(system, |ty, name, told| {
        if format!("{ty}/{name}") == wanted {
            found = told_texts(told);
        }
    });
    let mut out: Vec<Row> = Vec::new();
    for text in found {
        let (key, value) = text.split_once('=').unwrap_or((&text, ""));
        let name = topology::numbered(key, |name| out.iter().any(|row| row.name == name));
        let name = if out.iter().all(|row| row.name != key) { key.to_owned() } else { name };
        out.push(Row { name: name.clone(), addr: name, cols: vec![key.to_owned(), value.to_owned()] });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_under_one_name() {
        let told =
            Table::new().with("txt", "txtvers=1").with("port", 515_i32).with("txt", "rp=RAW").with("txt", "");
        assert_eq!(told_texts(&told), ["txtvers=1", "rp=RAW"]);
    }

    #[test]
    fn names_of_services() {
        assert_eq!(kind("_printer._tcp"), Some(("printer", "TCP")));
        assert_eq!(kind("_sip._udp.local"), Some(("sip", "UDP")));
        for bad in ["", "printer._tcp", "_._tcp", "_a._sctp", "_abcdefghijklmnop._tcp"] {
            assert_eq!(kind(bad), None, "{bad}");
        }
        for (label, expected) in
            [("HP\\032Jet", "HP Jet"), ("a\\.b", "a.b"), ("a\\", "a"), ("\\999", "999"), ("é", "é")]
        {
            assert_eq!(plain(label), expected);
        }
    }
}
