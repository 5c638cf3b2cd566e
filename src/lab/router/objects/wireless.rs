//! The simulated router's radios: what netifd and hostapd make of `/etc/config/wireless`, and who is in range.

use super::reply::{array, table};
use super::state::{State, flag, words};
use crate::ubus::blobmsg::{Table, Value};
use crate::uci::{Section, text};

/// The most access points that are offered.
pub const MAX_POINTS: usize = 8;
/// Options that netifd shows as numbers and as booleans; the others are texts or lists.
const NUMBERS: &[&str] = &[
    "cell_density",
    "beacon_int",
    "distance",
    "txpower",
    "antenna_gain",
    "maxassoc",
    "max_inactivity",
    "dtim_period",
    "wpa_group_rekey",
    "auth_port",
    "acct_port",
    "reassociation_deadline",
];
const BOOLEANS: &[&str] = &[
    "noscan",
    "legacy_rates",
    "ldpc",
    "short_gi_20",
    "short_gi_40",
    "isolate",
    "hidden",
    "wmm",
    "wds",
    "ieee80211r",
    "ieee80211k",
    "ieee80211v",
    "ft_over_ds",
    "ft_psk_generate_local",
    "disassoc_low_ack",
    "short_preamble",
    "wps_pushbutton",
    "rsn_preauth",
    "bss_transition",
];
const LISTS: &[&str] = &["network", "maclist", "basic_rate", "supported_rates", "hostapd_options"];

/// A station that is always there as long as its access point is.
#[derive(Debug)]
pub struct Station {
    /// The access point's device.
    pub point: &'static str,
    /// Its MAC, lower case.
    pub mac: &'static str,
    /// Whether it speaks Wi-Fi 6, else Wi-Fi 4.
    pub he: bool,
    /// In dBm.
    pub signal: i32,
    /// Since when, in seconds.
    pub connected: i32,
    /// Of the link, in MHz.
    pub width: i32,
    /// The station's own: index, streams and kbit/s of what we receive.
    pub up: (i32, i32, i32),
    /// The same of what we send.
    pub down: (i32, i32, i32),
    /// Octets and packets received, octets and packets sent.
    pub counters: [u64; 4],
    /// Packets sent again.
    pub retries: i32,
}

/// Who is there: the notebook, a guest, the printer.
#[rustfmt::skip]
pub const STATIONS: &[Station] = &[
    Station { point: "phy0-ap0", mac: "02:00:00:00:20:12", he: false, signal: -61, connected: 86_120, width: 20, up: (7, 1, 65_000), down: (7, 1, 72_200), counters: [4_410_221, 30_112, 9_033_445, 41_022], retries: 214 },
    Station { point: "phy0-ap1", mac: "02:00:00:00:20:11", he: false, signal: -72, connected: 1_204, width: 20, up: (4, 1, 39_000), down: (5, 1, 52_000), counters: [1_123_344, 2_011, 4_433_221, 3_011], retries: 61 },
    Station { point: "phy1-ap0", mac: "02:00:00:00:20:0f", he: true, signal: -49, connected: 8_123, width: 80, up: (11, 2, 1_200_900), down: (11, 2, 1_200_900), counters: [902_233_441, 700_112, 5_000_000_000, 1_400_233], retries: 312 },
];

/// A radio.
#[derive(Debug)]
pub struct Radio {
    /// Its section's name.
    pub name: String,
    /// The kernel's name for it; empty if there is no such hardware.
    pub phy: String,
    /// `2g`, `5g` or `6g`.
    pub band: String,
    /// The channel in use.
    pub channel: i32,
    /// As configured.
    pub htmode: String,
    /// As configured.
    pub country: String,
    /// In dBm.
    pub power: i32,
    /// Whether it is disabled.
    pub disabled: bool,
    /// Whether it is up.
    pub up: bool,
    /// What is on it, but for what is disabled.
    pub points: Vec<Point>,
    config: Table,
}

/// An access point, or another role of a radio.
#[derive(Debug)]
pub struct Point {
    /// Its section's name.
    pub section: String,
    /// Its device; nothing while the radio is down.
    pub device: Option<String>,
    /// `ap`, `sta` or another.
    pub mode: String,
    /// The name of the network.
    pub ssid: String,
    /// As configured.
    pub encryption: String,
    /// The device's MAC.
    pub bssid: String,
    /// Interfaces that it belongs to.
    pub networks: Vec<String>,
    config: Table,
}

impl Point {
    /// The stations on it.
    pub fn stations(&self) -> impl Iterator<Item = &'static Station> {
        let device = self.device.as_deref();
        STATIONS.iter().filter(move |station| Some(station.point) == device)
    }
}

impl Radio {
    /// The frequency of its channel in MHz.
    pub fn frequency(&self) -> i32 {
        frequency(&self.band, self.channel)
    }

    /// As `network.wireless` shows it.
    pub fn status(&self) -> Table {
        let points = self.points.iter().map(|point| {
            let mut entry = table! { "section": point.section.as_str() };
            if let Some(device) = &point.device {
                entry.push("ifname", device.as_str());
            }
            entry.push("config", point.config.clone());
            entry.push("vlans", Value::Array(Vec::new()));
            entry.push("stations", Value::Array(Vec::new()));
            entry
        });
        table! {
            "up": self.up,
            "pending": false,
            "autostart": true,
            "disabled": self.disabled,
            "retry_setup_failed": false,
            "config": self.config.clone(),
            "interfaces": array(points),
        }
    }
}

/// The frequency of a channel in MHz.
pub fn frequency(band: &str, channel: i32) -> i32 {
    match (band, channel) {
        ("2g", 14) => 2484,
        ("2g", channel) => 2407 + 5 * channel,
        ("6g", 2) => 5935,
        ("6g", channel) => 5950 + 5 * channel,
        (_, channel) => 5000 + 5 * channel,
    }
}

/// All radios, in the order of their sections.
pub fn radios(state: &State) -> Vec<Radio> {
    state.sections("wireless", "wifi-device").take(MAX_POINTS).map(|section| radio(state, section)).collect()
}

/// The radio and the point that a device belongs to, up now.
pub fn find<'a>(radios: &'a [Radio], device: &str) -> Option<(&'a Radio, &'a Point)> {
    let mut points = radios.iter().flat_map(|radio| radio.points.iter().map(move |point| (radio, point)));
    points.find(|(_, point)| point.device.as_deref() == Some(device))
}

/// All access points that are up.
pub fn points(radios: &[Radio]) -> impl Iterator<Item = (&Radio, &Point, &str)> {
    let points = radios.iter().flat_map(|radio| radio.points.iter().map(move |point| (radio, point)));
    points.filter_map(|(radio, point)| Some((radio, point, point.device.as_deref()?))).take(MAX_POINTS)
}

fn radio(state: &State, section: &Section) -> Radio {
    let name = section.key().to_owned();
    let band = section.text("band").unwrap_or_else(|| match section.text("hwmode").as_deref() {
        Some("11a") => "5g".to_owned(),
        _ => "2g".to_owned(),
    });
    let phy = phy(state, section).unwrap_or_default();
    let disabled = flag(section, "disabled", false);
    let up = !disabled && !phy.is_empty();
    let automatic = if band == "2g" { 1 } else { 36 };
    let channel = section.text("channel").and_then(|text| text.parse().ok());
    let power = section.text("txpower").and_then(|text| text.parse().ok());
    let mut radio = Radio {
        channel: channel.filter(|channel| (1..=233).contains(channel)).unwrap_or(automatic),
        htmode: section.text("htmode").unwrap_or_else(|| "NOHT".to_owned()),
        country: section.text("country").unwrap_or_else(|| "00".to_owned()),
        power: power.unwrap_or(if band == "2g" { 20 } else { 23 }),
        config: shown(section, &["type", "disabled", "phy"]),
        points: Vec::new(),
        name,
        band,
        disabled,
        up,
        phy,
    };
    let mine = |point: &&Section| words(point, "device").contains(&radio.name);
    let enabled = |point: &&Section| !flag(point, "disabled", false);
    for section in state.sections("wireless", "wifi-iface").filter(mine).filter(enabled) {
        let mode = section.text("mode").unwrap_or_else(|| "ap".to_owned());
        let nth = radio.points.iter().filter(|point| point.mode == mode).count();
        let device = section.text("ifname").unwrap_or_else(|| format!("{}-{mode}{nth}", radio.phy));
        radio.points.push(Point {
            section: section.key().to_owned(),
            ssid: section.text("ssid").unwrap_or_default(),
            encryption: section.text("encryption").unwrap_or_else(|| "none".to_owned()),
            bssid: bssid(state, section, &radio.phy, &device, nth),
            networks: words(section, "network"),
            config: shown(section, &["device", "disabled", "ifname"]),
            device: Some(device).filter(|_| radio.up),
            mode,
        });
    }
    radio
}

/// The MAC that was configured, that the kernel shows, or that the driver would make.
fn bssid(state: &State, section: &Section, phy: &str, device: &str, nth: usize) -> String {
    let made = || {
        let base = state.value(&format!("/sys/class/ieee80211/{phy}/macaddress")).unwrap_or_default();
        format!("{}:{nth:02x}", base.rsplit_once(':').map_or("02:00:00:00:1f", |(head, _)| head))
    };
    let told = section.text("macaddr").filter(|mac| mac.len() == 17);
    told.or_else(|| state.value(&format!("/sys/class/net/{device}/address"))).unwrap_or_else(made)
}

/// The kernel's radio with the section's path, or with its name.
fn phy(state: &State, section: &Section) -> Option<String> {
    let known = state.names("/sys/class/ieee80211");
    if let Some(name) = section.text("phy") {
        return known.into_iter().find(|phy| *phy == name);
    }
    let path = section.text("path")?;
    let (path, nth) = path.split_once('+').unwrap_or((&path, "0"));
    let on_path = |phy: &String| {
        let device = state.root.resolve(format!("/sys/class/ieee80211/{phy}/device")).ok();
        device.is_some_and(|device| device.ends_with(path.trim_start_matches('/')))
    };
    known.into_iter().filter(on_path).nth(nth.parse().ok()?)
}

/// A section as netifd shows it: without what it needs itself, numbers and booleans as such.
fn shown(section: &Section, without: &[&str]) -> Table {
    let mut out = Table::new();
    for (name, value) in section.options().filter(|(name, _)| !without.contains(name)) {
        let words = || array(value.words());
        let joined = value.joined();
        out.push(
            name,
            match value {
                _ if LISTS.contains(&name) => words(),
                text::Value::List(_) => words(),
                _ if NUMBERS.contains(&name) => Value::Int32(joined.parse().unwrap_or_default()),
                _ if BOOLEANS.contains(&name) => Value::from(flag(section, name, false)),
                text::Value::Single(_) => Value::from(joined),
            },
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::router::{Settings, unpack};

    #[test]
    fn the_configured_ones() {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path(), &Settings { acs_url: String::new(), port: 7547 }).unwrap();
        let radios = radios(&State::new(folder.path()));
        let shown: Vec<_> = points(&radios)
            .map(|(radio, point, device)| {
                format!("{} {} {} {} {}", radio.name, radio.frequency(), device, point.ssid, point.bssid)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "radio0 2412 phy0-ap0 ExampleNet 02:00:00:00:11:00",
                "radio0 2412 phy0-ap1 ExampleNet-Guest 02:00:00:00:11:01",
                "radio1 5180 phy1-ap0 ExampleNet-5G 02:00:00:00:12:00",
            ]
        );
        assert!(points(&radios).all(|(_, point, _)| point.stations().count() == 1));
    }
}
