//! `iwinfo`: what a radio's driver tells of each of its devices.

use super::reply::{Answer, array, counter, ok, table, wanted};
use super::state::State;
use super::wireless::{self, Point, Radio, Station, frequency};
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::msg::Status;

/// Its methods.
pub const METHODS: &[&str] = &[
    "devices",
    "info device:s",
    "scan device:s",
    "assoclist device:s mac:s",
    "freqlist device:s",
    "txpowerlist device:s",
    "countrylist device:s",
    "survey device:s",
    "phyname section:s",
];
/// In dBm, with nobody on the air.
const NOISE: i32 = -91;
const CHANNELS_2G: std::ops::RangeInclusive<i32> = 1..=13;
const CHANNELS_5G: [i32; 19] =
    [36, 40, 44, 48, 52, 56, 60, 64, 100, 104, 108, 112, 116, 120, 124, 128, 132, 136, 140];
/// Powers in dBm and in mW, up to what each band allows.
const POWERS: [(i32, i32); 8] = [(0, 1), (4, 2), (7, 5), (10, 10), (14, 25), (17, 50), (20, 100), (23, 199)];
/// Neighbours: band, SSID, BSSID, channel, signal, and whether they are protected.
const NEIGHBOURS: &[(&str, &str, &str, i32, i32, bool)] = &[
    ("2g", "open-campus", "02:00:5E:00:53:01", 6, -67, false),
    ("2g", "HomeNet-7", "02:00:5E:00:53:05", 11, -81, true),
    ("5g", "open-campus", "02:00:5E:00:53:02", 52, -45, false),
    ("5g", "HomeNet-8", "02:00:5E:00:53:03", 100, -75, true),
];

/// Answers for `iwinfo`.
///
/// # Errors
/// "Invalid argument" without a device, "Not found" for one that is not there.
pub fn iwinfo(state: &mut State, _object: &str, method: &str, arguments: &Table) -> Answer {
    let radios = wireless::radios(state);
    match method {
        "devices" => {
            return ok(table! { "devices": array(wireless::points(&radios).map(|(_, _, device)| device)) });
        }
        "phyname" => {
            let section = wanted(arguments, "section")?;
            let radio = radios.iter().find(|radio| radio.name == section && !radio.phy.is_empty());
            return ok(table! { "phyname": radio.ok_or(Status::NotFound)?.phy.as_str() });
        }
        _ => {}
    }
    let device = wanted(arguments, "device")?;
    // A radio answers by its own name too, but has nobody on it.
    let found = wireless::find(&radios, &device).map(|(radio, point)| (radio, Some(point)));
    let by_phy = || radios.iter().find(|radio| radio.up && radio.phy == device).map(|radio| (radio, None));
    let (radio, point) = found.or_else(by_phy).ok_or(Status::NotFound)?;
    match method {
        "info" => ok(info(state, radio, point)),
        "assoclist" => associated(state.elapsed(), point, arguments.text("mac").as_deref()),
        "freqlist" => ok(table! { "results": array(frequencies(radio)) }),
        "txpowerlist" => {
            let powers = POWERS.into_iter().filter(|(dbm, _)| *dbm <= limit(radio));
            ok(
                table! { "results": array(powers.map(|(dbm, mw)| table! { "dbm": dbm, "mw": mw, "active": dbm == radio.power })) },
            )
        }
        "countrylist" => ok(table! { "results": array(countries(radio)) }),
        "survey" => ok(table! { "results": array(survey(radio)) }),
        "scan" => ok(table! { "results": array(neighbours(radio)) }),
        _ => Err(Status::NotSupported),
    }
}

/// The width of a mode of UCI in MHz.
pub fn bandwidth(htmode: &str) -> i32 {
    let digits = htmode.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split('+').next().and_then(|digits| digits.parse().ok()).unwrap_or(20)
}

/// What the driver tells of a device.
pub fn info(state: &State, radio: &Radio, point: Option<&Point>) -> Table {
    let stations: Vec<_> = point.into_iter().flat_map(Point::stations).collect();
    let (ht, hw) = modes(radio);
    let hw_text = {
        let mut sorted = hw.to_vec();
        sorted.sort_unstable();
        sorted.join("/")
    };
    let mut out = table! { "phy": radio.phy.as_str() };
    if let Some(point) = point {
        out.push("ssid", point.ssid.as_str());
        out.push("bssid", point.bssid.to_uppercase());
    }
    out.push("country", radio.country.as_str());
    out.push(
        "mode",
        match point.map(|point| point.mode.as_str()) {
            Some("sta") => "Client",
            Some("mesh") => "Mesh Point",
            Some("monitor") => "Monitor",
            Some("ap") => "Master",
            _ => "Unknown",
        },
    );
    out.push("channel", radio.channel);
    out.push("center_chan1", centre(radio));
    out.push("frequency", radio.frequency());
    out.push("frequency_offset", 0);
    out.push("txpower", radio.power);
    out.push("txpower_offset", 0);
    if let Some(signal) = stations.iter().map(|station| station.signal).max() {
        out.push("quality", quality(signal));
        out.push("quality_max", 70);
        out.push("signal", signal);
    }
    out.push("noise", NOISE);
    if let Some(rate) = stations.iter().map(|station| station.down.2).max() {
        out.push("bitrate", rate);
    }
    if let Some(point) = point {
        out.push("encryption", encryption(&point.encryption));
    }
    out.push("htmodes", array(ht.iter().copied()));
    out.push("hwmodes", array(hw.iter().copied()));
    out.push("hwmodes_text", hw_text);
    out.push("hwmode", hw.last().copied().unwrap_or_default());
    out.push("htmode", radio.htmode.as_str());
    out.push("hardware", hardware(state, radio));
    out
}

/// The modes of a radio's hardware.
fn modes(radio: &Radio) -> (&'static [&'static str], &'static [&'static str]) {
    match radio.band.as_str() {
        "2g" => (&["HT20", "HT40", "HE20", "HE40"], &["b", "g", "n", "ax"]),
        _ => (
            &["HT20", "HT40", "VHT20", "VHT40", "VHT80", "VHT160", "HE20", "HE40", "HE80", "HE160"],
            &["a", "n", "ac", "ax"],
        ),
    }
}

/// The number of the channel in the middle of what is used.
fn centre(radio: &Radio) -> i32 {
    let width = bandwidth(&radio.htmode);
    let blocks = |first: i32, size: i32| {
        let at = (radio.channel - first) / size;
        first + at * size + size / 2 - 2
    };
    match (radio.band.as_str(), width) {
        ("2g", 40) if radio.channel <= 9 => radio.channel + 2,
        ("2g", 40) => radio.channel - 2,
        ("2g", _) | (_, 20) => radio.channel,
        (_, width) if radio.channel >= 149 => blocks(149, width / 5),
        (_, width) if radio.channel >= 100 => blocks(100, width / 5),
        (_, width) => blocks(36, width / 5),
    }
}

fn hardware(state: &State, radio: &Radio) -> Table {
    let folder = format!("/sys/class/ieee80211/{}/device", radio.phy);
    let id = |file: &str| {
        let text = state.value(&format!("{folder}/{file}")).unwrap_or_default();
        i32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_default()
    };
    let (vendor, device) = (id("vendor"), id("device"));
    let name = if device == 0x7915 { "MediaTek MT7915E" } else { "Generic MAC80211" };
    table! { "id": array([vendor, device, vendor, device]), "name": name }
}

fn quality(signal: i32) -> i32 {
    (signal.clamp(-110, -40) + 110).clamp(0, 70)
}

/// What UCI's word for the encryption means on the air.
pub fn encryption(word: &str) -> Table {
    let (word, cipher) = word.split_once('+').unwrap_or((word, ""));
    let (versions, authentication): (&[i32], &[&str]) = match word {
        "psk" => (&[1], &["psk"]),
        "psk2" => (&[2], &["psk"]),
        "psk-mixed" => (&[1, 2], &["psk"]),
        "psk3" | "sae" => (&[3], &["sae"]),
        "psk3-mixed" | "sae-mixed" => (&[2, 3], &["psk", "sae"]),
        "wpa" => (&[1], &["802.1x"]),
        "wpa2" => (&[2], &["802.1x"]),
        "wpa3" => (&[3], &["802.1x"]),
        "wpa3-mixed" => (&[2, 3], &["802.1x"]),
        "owe" => (&[3], &["owe"]),
        "wep" | "wep-open" | "wep-shared" => {
            let kind = if word == "wep-shared" { "shared" } else { "open" };
            return table! { "enabled": true, "wep": array([kind]), "ciphers": array(["wep-40", "wep-104"]) };
        }
        _ => return table! { "enabled": false },
    };
    let ciphers: &[&str] = match cipher {
        "tkip" => &["tkip"],
        "tkip+ccmp" | "ccmp+tkip" => &["tkip", "ccmp"],
        "gcmp256" => &["gcmp-256"],
        _ if word == "psk" => &["tkip"],
        _ => &["ccmp"],
    };
    table! {
        "enabled": true,
        "wpa": array(versions.iter().copied()),
        "authentication": array(authentication.iter().copied()),
        "ciphers": array(ciphers.iter().copied()),
    }
}

/// The stations on a device, or the one with a MAC.
fn associated(elapsed: i32, point: Option<&Point>, mac: Option<&str>) -> Answer {
    let station = |one: &Station| station(one, elapsed);
    let mut stations = point.into_iter().flat_map(Point::stations);
    match mac {
        Some(mac) => match stations.find(|station| station.mac.eq_ignore_ascii_case(mac)) {
            Some(found) => ok(station(found)),
            None => Err(Status::NotFound),
        },
        None => ok(table! { "results": array(stations.map(station)) }),
    }
}

fn station(station: &Station, elapsed: i32) -> Table {
    let [rx_bytes, rx_packets, tx_bytes, tx_packets] = station.counters;
    let mut rx = table! { "drop_misc": 4, "packets": counter(rx_packets), "bytes": counter(rx_bytes) };
    rate(station, station.up, &mut rx);
    let mut tx = table! {
        "failed": 0,
        "retries": station.retries,
        "packets": counter(tx_packets),
        "bytes": counter(tx_bytes),
    };
    rate(station, station.down, &mut tx);
    table! {
        "mac": station.mac.to_uppercase(),
        "signal": station.signal,
        "signal_avg": station.signal - 1,
        "noise": NOISE,
        "inactive": 10,
        "connected_time": station.connected.saturating_add(elapsed),
        "thr": station.down.2 / 10 * 7,
        "authorized": true,
        "authenticated": true,
        "preamble": "short",
        "wme": true,
        "mfp": station.he,
        "tdls": false,
        "mesh llid": 0,
        "mesh plid": 0,
        "mesh plink": "",
        "mesh local PS": "UNKNOWN",
        "mesh peer PS": "UNKNOWN",
        "mesh non-peer PS": "UNKNOWN",
        "rx": rx,
        "tx": tx,
    }
}

fn rate(station: &Station, (index, streams, kbits): (i32, i32, i32), out: &mut Table) {
    for (name, value) in [
        ("ht", Value::from(!station.he)),
        ("vht", false.into()),
        ("he", station.he.into()),
        ("eht", false.into()),
        ("mhz", station.width.into()),
        ("rate", kbits.into()),
        ("mcs", index.into()),
    ] {
        out.push(name, value);
    }
    if station.he {
        out.push("nss", streams);
        out.push("he_gi", 0);
        out.push("he_dcm", 0);
    } else {
        out.push("40mhz", station.width == 40);
        out.push("short_gi", true);
    }
}

fn channels(radio: &Radio) -> Vec<i32> {
    if radio.band == "2g" { CHANNELS_2G.collect() } else { CHANNELS_5G.to_vec() }
}

fn frequencies(radio: &Radio) -> impl Iterator<Item = Table> {
    let radar = |channel: i32| (52..=144).contains(&channel);
    let flags = |channel: i32| match radio.band.as_str() {
        "2g" if channel < 5 => &["NO_HT40-", "NO_80MHZ", "NO_160MHZ"][..],
        "2g" if channel > 9 => &["NO_HT40+", "NO_80MHZ", "NO_160MHZ"],
        "2g" => &["NO_80MHZ", "NO_160MHZ"],
        _ => &[],
    };
    channels(radio).into_iter().map(move |channel| {
        table! {
            "band": if radio.band == "2g" { 2 } else { 5 },
            "channel": channel,
            "mhz": frequency(&radio.band, channel),
            "restricted": radio.band != "2g" && radar(channel),
            "flags": array(flags(channel).iter().copied()),
            "active": channel == radio.channel,
        }
    })
}

/// The most power that the band allows, in dBm.
fn limit(radio: &Radio) -> i32 {
    if radio.band == "2g" { 20 } else { 23 }
}

fn countries(radio: &Radio) -> impl Iterator<Item = Table> {
    [("00", "World"), ("DE", "Germany"), ("FR", "France"), ("US", "United States")].into_iter().map(
        |(code, name)| {
            table! { "code": code, "country": name, "iso3166": code, "active": radio.country == code }
        },
    )
}

fn survey(radio: &Radio) -> impl Iterator<Item = Table> {
    channels(radio).into_iter().map(|channel| {
        let used = channel == radio.channel;
        table! {
            "mhz": frequency(&radio.band, channel),
            // The number as rpcd has it: unsigned.
            "noise": Value::Int64(i64::from(u32::MAX) + 1 + i64::from(NOISE)),
            "active_time": counter(if used { 123_456 } else { 104 }),
            "busy_time": counter(if used { 2345 } else { 7 }),
            "busy_time_ext": counter(0),
            "rx_time": counter(if used { 1234 } else { 0 }),
            "tx_time": counter(if used { 456 } else { 0 }),
        }
    })
}

fn neighbours(radio: &Radio) -> impl Iterator<Item = Table> {
    NEIGHBOURS.iter().filter(|(band, ..)| *band == radio.band).map(
        |(band, ssid, bssid, channel, signal, protected)| {
            table! {
                "ssid": *ssid,
                "bssid": *bssid,
                "mode": "Master",
                "band": if *band == "2g" { 2 } else { 5 },
                "channel": *channel,
                "mhz": frequency(band, *channel),
                "signal": *signal,
                "quality": quality(*signal),
                "quality_max": 70,
                "encryption": encryption(if *protected { "psk2" } else { "none" }),
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths() {
        for (mode, mhz) in [("HE80", 80), ("VHT80+80", 80), ("HT20", 20), ("NOHT", 20), ("EHT320", 320)] {
            assert_eq!(bandwidth(mode), mhz, "{mode}");
        }
    }

    #[test]
    fn words_of_uci() {
        let versions = |word: &str| encryption(word).get("wpa").map(|value| value.as_array().map(<[_]>::len));
        assert_eq!(versions("sae-mixed"), Some(Some(2)));
        assert_eq!(versions("psk2+ccmp"), Some(Some(1)));
        assert_eq!(versions("none"), None);
    }
}
