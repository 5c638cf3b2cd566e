//! What runs of the Wi-Fi configuration, from those who run it: netifd, hostapd and iwinfo over ubus.
//!
//! Any of them may be absent, of another version, or wrong: what an answer does not say is not known here,
//! and whoever asks has the kernel's files and the configuration instead. Names that come in answers are
//! checked before they become part of another question or of a path.

use std::rc::Rc;

use super::{hosts, topology};
use crate::backend::System;
use crate::ubus::blobmsg::{Table, Value};

/// The most radios, networks and other items of an answer that are looked at.
pub const MAX_ITEMS: usize = 256;

/// What netifd says of a radio.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Radio {
    /// It is set up.
    pub up: bool,
    /// It is being set up.
    pub pending: bool,
    /// Setting it up was given up.
    pub failed: bool,
    /// The network devices of its networks; access points first.
    pub devices: Vec<String>,
}

/// What netifd says of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Nothing: netifd cannot be asked, or does not know the radio.
    Unknown,
    /// That it does not run.
    Off,
    /// The network device that it runs on.
    On(String),
}

/// What netifd says of the radio of a section; `None` when it says nothing.
pub fn radio(system: &mut System, addr: &str) -> Option<Radio> {
    let (key, _, _) = section(system, addr)?;
    let status = system.ubus("network.wireless", "status")?;
    Some(radio_of(status.table(&key)?))
}

fn radio_of(told: &Table) -> Radio {
    let mut devices = Vec::new();
    for network in networks(told) {
        let Some(device) = device_name(network) else { continue };
        let mode = network.table("config").and_then(|config| config.text("mode"));
        let at = if mode.as_deref() == Some("ap") { 0 } else { 1 };
        if devices.iter().all(|(_, known)| *known != device) {
            devices.push((at, device));
        }
    }
    devices.sort_by_key(|(at, _)| *at);
    Radio {
        up: told.flag("up"),
        pending: told.flag("pending"),
        failed: told.flag("retry_setup_failed"),
        devices: devices.into_iter().map(|(_, device)| device).collect(),
    }
}

fn networks(radio: &Table) -> impl Iterator<Item = &Table> {
    radio.array("interfaces").iter().take(MAX_ITEMS).filter_map(Value::as_table)
}

fn device_name(network: &Table) -> Option<String> {
    let name = network.text("ifname")?;
    topology::is_device_name(&name).then(|| name.into_owned())
}

/// What netifd says of the wifi-iface `addr` on the radio `radio`, both as sections are addressed.
pub fn network(system: &mut System, addr: &str, radio: &str) -> Network {
    let Some((key, is_named, ssid)) = section(system, addr) else { return Network::Unknown };
    let radio = section(system, radio).map(|(key, ..)| key);
    let Some(status) = system.ubus("network.wireless", "status") else { return Network::Unknown };
    let mut found = Network::Unknown;
    for (name, told) in status.iter().take(MAX_ITEMS) {
        let Some(told) = told.as_table() else { continue };
        // Of a section with a name it is known that netifd has not heard of it.
        if is_named && radio.as_deref().is_some_and(|radio| *name == radio) && found == Network::Unknown {
            found = Network::Off;
        }
        for network in networks(told).filter(|network| network.text("section").as_deref() == Some(&key)) {
            // A generated name is another section's after one before it went.
            let other = network.table("config").and_then(|config| config.text("ssid"));
            if !is_named && other.as_deref() != ssid.as_deref() {
                return Network::Unknown;
            }
            match device_name(network) {
                Some(device) => return Network::On(device),
                None => found = Network::Off,
            }
        }
    }
    found
}

/// The name by which others know a section, whether it is its own, and its `ssid`.
fn section(system: &mut System, addr: &str) -> Option<(String, bool, Option<String>)> {
    let document = system.uci().package("wireless").ok()?;
    let section = document.find(addr)?;
    Some((section.key().to_owned(), section.name().is_some(), section.text("ssid")))
}

/// A method of hostapd for the access point on a network device.
pub fn hostapd(system: &mut System, device: &str, method: &str) -> Option<Rc<Table>> {
    topology::is_device_name(device).then(|| system.ubus(&format!("hostapd.{device}"), method))?
}

/// A method of iwinfo for a network device.
pub fn iwinfo(system: &mut System, device: &str, method: &str) -> Option<Rc<Table>> {
    let arguments = Table::new().with("device", device);
    topology::is_device_name(device).then(|| system.bus().ask("iwinfo", method, &arguments))?
}

/// The tables of the array `results` of an answer.
pub fn results(answer: Option<&Table>) -> impl Iterator<Item = &Table> {
    let all = answer.map(|answer| answer.array("results")).unwrap_or_default();
    all.iter().take(2 * MAX_ITEMS).filter_map(Value::as_table)
}

/// The texts of an array of an answer.
pub fn words(answer: Option<&Table>, name: &str) -> Vec<String> {
    let all = answer.map(|answer| answer.array(name)).unwrap_or_default();
    all.iter().take(64).filter_map(Value::as_text).map(ToString::to_string).collect()
}

/// A counter: ubus has no unsigned numbers, and large ones look negative.
pub fn count(table: &Table, name: &str) -> Option<u64> {
    match *table.get(name)? {
        Value::Int64(number) => Some(number.cast_unsigned()),
        Value::Int32(number) => Some(u64::from(number.cast_unsigned())),
        Value::Int16(number) => Some(u64::from(number.cast_unsigned())),
        Value::Int8(number) => Some(u64::from(number)),
        _ => None,
    }
}

/// A level in dBm; 0, and what no receiver can see, is not known.
pub fn level(table: &Table, name: &str) -> Option<i64> {
    let number = table.number(name)?;
    // Some add it as a number without a sign.
    let number = if number > i64::from(i32::MAX) { number - (1 << 32) } else { number };
    (-200..0).contains(&number).then_some(number)
}

/// The MAC address of that name, in lower case.
pub fn mac(table: &Table, name: &str) -> Option<String> {
    address(&table.text(name)?)
}

/// A MAC address in lower case; `None` if it is none of a station.
pub fn address(text: &str) -> Option<String> {
    let mac = hosts::normal_mac(text)?;
    (mac != "00:00:00:00:00:00" && mac != "ff:ff:ff:ff:ff:ff").then_some(mac)
}

/// TR-181's name of the band of a frequency in MHz.
pub fn band(mhz: i64) -> Option<&'static str> {
    match mhz {
        2400..=2500 => Some("2.4GHz"),
        4900..=5900 => Some("5GHz"),
        5925..=7125 => Some("6GHz"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::json::parse;

    #[test]
    fn radios() {
        let told = parse(
            r#"{"up":true,"pending":1,"retry_setup_failed":"yes","interfaces":[7,{"ifname":"../x"},{"ifname":"sta0"},
                {"ifname":"ap0","config":{"mode":"ap"}},{"ifname":"ap0","config":{"mode":"ap"}},{"config":[]}]}"#,
        );
        let radio = radio_of(&told.unwrap());
        assert_eq!(radio.devices, ["ap0", "sta0"]);
        assert!(radio.up && !radio.pending && !radio.failed);
        assert_eq!(radio_of(&parse(r#"{"interfaces":{"a":1}}"#).unwrap()), Radio::default());
    }

    #[test]
    fn numbers() {
        let table = parse(
            r#"{"a":-87,"b":4294967205,"c":0,"d":-201,"e":"-5","f":-1,"g":5000000000,"h":true,"i":null,"j":1.5}"#,
        );
        let table = table.unwrap();
        let levels = ["a", "b", "c", "d", "e", "g", "nosuch"].map(|name| level(&table, name));
        assert_eq!(levels, [Some(-87), Some(-91), None, None, None, None, None]);
        let counts = ["f", "g", "h", "i", "j", "e"].map(|name| count(&table, name));
        assert_eq!(counts, [Some(4_294_967_295), Some(5_000_000_000), Some(1), None, None, None]);
    }

    #[test]
    fn addresses() {
        assert_eq!(address("02:00:5E:00:53:01").as_deref(), Some("02:00:5e:00:53:01"));
        for bad in ["", "00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF", "02:00:5e:00:53", "02-00-5e-00-53-01", "é"]
        {
            assert_eq!(address(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn bands() {
        for (mhz, expected) in [
            (2412, Some("2.4GHz")),
            (2484, Some("2.4GHz")),
            (5180, Some("5GHz")),
            (5885, Some("5GHz")),
            (5955, Some("6GHz")),
            (0, None),
            (i64::MAX, None),
            (58320, None),
        ] {
            assert_eq!(band(mhz), expected, "{mhz}");
        }
    }
}
