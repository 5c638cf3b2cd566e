//! Who is associated: the stations of access points (TR-181 `AssociatedDevice`) and the link of a station.
//!
//! hostapd tells who is there and what was agreed, iwinfo what the driver counts; the two are brought
//! together by MAC address, and either may be absent. Stations name themselves, from the air: an address
//! that is none is left out, and their number is bounded.

use std::collections::BTreeMap;

use super::{radio, topology, wifi, wifi_state};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Result, date};
use crate::sys::clock::EARLIEST_PLAUSIBLE;
use crate::ubus::blobmsg::{Table, Value};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "wifi_station", get: station, set: None },
    ValueFn { name: "wifi_link", get: link, set: None },
];

/// The functions behind tables.
pub const TABLES: &[TableFn] =
    &[TableFn { name: "wifi_stations", rows: station_rows, add: None, delete: None }];

/// The most stations of an access point.
const MAX_STATIONS: usize = 256;
/// What the columns of a row are, as `wifi_station:WORD` asks for them.
const COLUMNS: [&str; 16] = [
    "standard",
    "authenticated",
    "downlink",
    "uplink",
    "since",
    "signal",
    "noise",
    "snr",
    "retransmissions",
    "active",
    "tx_bytes",
    "rx_bytes",
    "tx_packets",
    "rx_packets",
    "failed",
    "retries",
];
/// The generations from the newest: the mark in answers, and TR-181's word.
const GENERATIONS: [(&str, &str); 4] = [("eht", "be"), ("he", "ax"), ("vht", "ac"), ("ht", "n")];

/// Where a station is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The row of its access point, which is called as that of the SSID.
    pub access_point: String,
    /// The network device of the access point.
    pub device: String,
    /// The row of the radio.
    pub radio: String,
}

/// One of the two directions of a link, as iwinfo and hostapd see it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Way {
    bytes: Option<u64>,
    packets: Option<u64>,
    /// The rate of the last frame in kbit/s.
    rate: Option<u64>,
}

/// What is known of a station.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Station {
    /// The least position in [`GENERATIONS`] of what it speaks.
    generation: Option<usize>,
    authorized: Option<bool>,
    associated: Option<bool>,
    /// Seconds since it came.
    connected: Option<u64>,
    signal: Option<i64>,
    noise: Option<i64>,
    /// To it.
    tx: Way,
    /// From it.
    rx: Way,
    failed: Option<u64>,
    retries: Option<u64>,
}

impl Station {
    /// Marks of generations count wherever they stand: what is agreed, and what the last frames were sent with.
    fn speaks(&mut self, marks: &Table) {
        let newest = GENERATIONS.iter().position(|(mark, _)| marks.flag(mark));
        self.generation = self.generation.into_iter().chain(newest).min();
    }

    /// An entry of `iwinfo assoclist`.
    fn iwinfo(&mut self, told: &Table) {
        self.signal = wifi_state::level(told, "signal").or(self.signal);
        self.noise = wifi_state::level(told, "noise").or(self.noise);
        self.connected = wifi_state::count(told, "connected_time");
        if self.authorized.is_none() {
            self.authorized = told.get("authorized").and_then(Value::as_bool);
        }
        for (name, way) in [("tx", &mut self.tx), ("rx", &mut self.rx)] {
            let Some(told) = told.table(name) else { continue };
            way.bytes = wifi_state::count(told, "bytes").or(way.bytes);
            way.packets = wifi_state::count(told, "packets").or(way.packets);
            way.rate = wifi_state::count(told, "rate").filter(|rate| *rate > 0).or(way.rate);
        }
        if let Some(tx) = told.table("tx") {
            self.failed = wifi_state::count(tx, "failed");
            self.retries = wifi_state::count(tx, "retries");
            self.speaks(tx);
        }
        if let Some(rx) = told.table("rx") {
            self.speaks(rx);
        }
    }

    /// An entry of hostapd's `get_clients`; `hundredth`: rates are 100 times kbit/s.
    fn hostapd(&mut self, told: &Table, hundredth: bool) {
        self.authorized = told.get("authorized").and_then(Value::as_bool);
        self.associated = told.get("assoc").and_then(Value::as_bool);
        self.signal = wifi_state::level(told, "signal");
        self.speaks(told);
        // The releases with this mark have the new unit, and some builds of them do without the mark.
        let unit = if hundredth || told.get("mbo").is_some() { 100 } else { 1 };
        let of = |what: &str, way: &str| wifi_state::count(told.table(what)?, way);
        for (name, way) in [("tx", &mut self.tx), ("rx", &mut self.rx)] {
            way.bytes = of("bytes", name);
            way.packets = of("packets", name);
            way.rate = of("rate", name).map(|rate| rate / unit).filter(|rate| *rate > 0);
        }
    }

    /// TR-181's word for what it speaks in a band; nothing when the band of an old one is not known.
    fn standard(&self, band: Option<&str>) -> &'static str {
        match self.generation {
            // 802.11ac is for 5 GHz only; drivers use its frames elsewhere.
            Some(2) if band == Some("2.4GHz") => "n",
            Some(at) => GENERATIONS[at].1,
            None => {
                let is_b = |way: &Way| matches!(way.rate, Some(1000 | 2000 | 5500 | 11_000));
                match band {
                    Some("2.4GHz") if is_b(&self.tx) && is_b(&self.rx) => "b",
                    Some("2.4GHz") => "g",
                    Some("5GHz") => "a",
                    _ => "",
                }
            }
        }
    }

    /// How many of a hundred packets were sent again; drivers count since the station came.
    fn retransmissions(&self) -> Option<u64> {
        let (retries, packets) = (self.retries?, self.tx.packets?);
        Some(retries.saturating_mul(100).checked_div(packets).unwrap_or(0).min(100))
    }

    /// When it came; a clock that was never set cannot tell when that was.
    fn since(&self, now: i64) -> Option<i64> {
        let since = self.connected.and_then(|seconds| now.checked_sub(i64::try_from(seconds).ok()?));
        since.filter(|since| now >= EARLIEST_PLAUSIBLE && *since > 0)
    }

    fn columns(&self, band: Option<&str>, since: Option<i64>) -> Vec<String> {
        let flag = |on: bool| if on { "1" } else { "0" }.to_owned();
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let small = |number: Option<u64>| number.map(|n| (n & 0xffff_ffff).to_string()).unwrap_or_default();
        let level = |level: Option<i64>| level.map(|level| level.to_string()).unwrap_or_default();
        let snr = self.signal.zip(self.noise).map(|(signal, noise)| signal - noise).filter(|snr| *snr >= 0);
        vec![
            self.standard(band).to_owned(),
            flag(self.authorized == Some(true)),
            number(kbit(&self.tx)),
            number(kbit(&self.rx)),
            since.map(date::format_utc).unwrap_or_default(),
            level(self.signal),
            level(self.noise),
            level(snr),
            number(self.retransmissions()),
            flag(self.associated != Some(false)),
            number(self.tx.bytes),
            number(self.rx.bytes),
            number(self.tx.packets),
            number(self.rx.packets),
            small(self.failed),
            small(self.retries),
        ]
    }
}

/// TR-181 knows no rate below 1 Mbit/s, and no radio one above 100 Gbit/s.
fn kbit(way: &Way) -> Option<u64> {
    way.rate.filter(|rate| *rate <= 100_000_000).map(|rate| rate.max(1000))
}

/// The stations of both answers by their MAC addresses.
fn join(clients: Option<&Table>, list: Option<&Table>, hundredth: bool) -> BTreeMap<String, Station> {
    let mut out: BTreeMap<String, Station> = BTreeMap::new();
    let mut entry = |mac: Option<String>, learn: &dyn Fn(&mut Station)| {
        let Some(mac) = mac else { return };
        if out.len() < MAX_STATIONS || out.contains_key(&mac) {
            learn(out.entry(mac).or_default());
        }
    };
    // Without a table of their own the clients are the answer itself, in old releases.
    let clients = clients.map(|answer| answer.table("clients").unwrap_or(answer));
    for (name, told) in clients.into_iter().flat_map(Table::iter).take(2 * MAX_STATIONS) {
        let Some(told) = told.as_table() else { continue };
        entry(wifi_state::address(&name.to_str()), &|station| station.hostapd(told, hundredth));
    }
    for told in wifi_state::results(list) {
        entry(wifi_state::mac(told, "mac"), &|station| station.iwinfo(told));
    }
    out
}

/// Whether this release's hostapd tells rates in hundredths of kbit/s: from 23.05 on.
fn tells_hundredths(system: &mut System) -> bool {
    let text = system.text("/etc/openwrt_release").unwrap_or_default();
    let release = text.lines().find_map(|line| line.trim().strip_prefix("DISTRIB_RELEASE="));
    release.is_some_and(|release| is_new(release.trim_matches(['\'', '"'])))
}

/// A snapshot, or 23 and later.
fn is_new(release: &str) -> bool {
    let year = release.split('.').next().unwrap_or_default();
    !year.is_empty() && year.parse::<u32>().map_or(true, |year| year >= 23)
}

/// The stations of an access point's network device, and the band they are in.
fn of_device(system: &mut System, device: &str) -> (BTreeMap<String, Station>, Option<&'static str>) {
    if device.is_empty() {
        return Default::default();
    }
    let clients = wifi_state::hostapd(system, device, "get_clients");
    let list = wifi_state::iwinfo(system, device, "assoclist");
    let hundredth = clients.is_some() && tells_hundredths(system);
    let band = clients.as_ref().and_then(|answer| wifi_state::band(answer.number("freq")?));
    (join(clients.as_deref(), list.as_deref(), hundredth), band)
}

/// Every station by its MAC address in lower case, with where it is.
///
/// # Errors
/// As [`System::sections`].
pub fn all(system: &mut System) -> Result<BTreeMap<String, Home>> {
    let mut out = BTreeMap::new();
    for iface in wifi::ifaces(system)?.into_iter().filter(|iface| iface.mode == wifi::Mode::Ap) {
        let device = wifi::device(system, &iface.addr)?.unwrap_or_default();
        let (stations, _) = of_device(system, &device);
        for mac in stations.into_keys() {
            let (access_point, radio) = (iface.id.clone(), iface.radio.clone());
            // One that has just moved is in two lists, and references go to the first.
            out.entry(mac).or_insert(Home { access_point, device: device.clone(), radio });
        }
    }
    Ok(out)
}

fn station_rows(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let Some(ap) = at.row() else { return Ok(Vec::new()) };
    let device = ap.cols.first().map(String::as_str).unwrap_or_default();
    let (stations, band) = of_device(system, device);
    if stations.is_empty() {
        return Ok(Vec::new());
    }
    let radio = topology::words(system, &format!("wireless.{}", ap.addr), "device")?;
    let radio = radio.into_iter().next().unwrap_or_default();
    let configured = radio::own_band(system, &format!("wireless.{radio}"))?;
    let (now, _) = system.now();
    let row = |(mac, station): (String, Station)| {
        // It is counted in whole seconds from now: the same moment looks like its neighbours.
        let since = station.since(now).map(|since| system.steady(&format!("{device} {mac}"), since));
        Row { cols: station.columns(band.or(configured), since), addr: mac.clone(), name: mac }
    };
    Ok(stations.into_iter().map(row).collect())
}

fn station(_system: &mut System, at: Place<'_>, column: &str) -> Result<Option<Raw>> {
    let nth = COLUMNS.iter().position(|name| *name == column);
    let text = nth.and_then(|nth| at.row()?.cols.get(nth));
    Ok(text.filter(|text| !text.is_empty()).map(Raw::one))
}

/// The link of a station to its access point: down is from there.
fn link(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let device = at.row().and_then(|row| row.cols.first()).cloned().unwrap_or_default();
    if device.is_empty() {
        return Ok(None);
    }
    let list = wifi_state::iwinfo(system, &device, "assoclist");
    let peer = join(None, list.as_deref(), false).into_values().next();
    // TR-181's end with the fastest station of 802.11n.
    let rate = |way: &Way| kbit(way).map(|rate| rate.min(600_000).to_string());
    let told = match what {
        "downlink" => peer.and_then(|peer| rate(&peer.rx)),
        "uplink" => peer.and_then(|peer| rate(&peer.tx)),
        "retransmissions" => peer.and_then(|peer| peer.retransmissions()).map(|number| number.to_string()),
        "signal" => {
            let signal = peer.and_then(|peer| peer.signal).or_else(|| {
                let info = wifi_state::iwinfo(system, &device, "info")?;
                wifi_state::level(&info, "signal")
            });
            signal.map(|signal| signal.to_string())
        }
        _ => None,
    };
    Ok(told.map(Raw::one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::json::parse;

    fn joined(clients: &str, list: &str, hundredth: bool) -> BTreeMap<String, Station> {
        join(Some(&parse(clients).unwrap()), Some(&parse(list).unwrap()), hundredth)
    }

    /// The columns of the one station.
    fn check(clients: &str, list: &str, band: &str, expected: &str) {
        let found = joined(clients, list, false);
        let shown: Vec<String> =
            found.values().map(|one| one.columns(Some(band), one.since(2_000_000_000)).join(" ")).collect();
        assert_eq!(shown, [expected], "{clients} {list}");
    }

    #[test]
    fn what_is_not_told() {
        let mac = r#""02:00:00:00:00:31""#;
        check(&format!("{{{mac}:{{}}}}"), "{}", "5GHz", "a 0        1      ");
        check("{}", &format!(r#"{{"results":[{{"mac":{mac}}}]}}"#), "2.4GHz", "g 0        1      ");
        check(&format!(r#"{{"clients":{{{mac}:{{"assoc":false}}}}}}"#), "{}", "6GHz", " 0        0      ");
    }

    #[test]
    fn nonsense() {
        let mac = r#""mac":"02:00:00:00:00:31""#;
        check(
            r#"{"clients":{"02:00:00:00:00:31":{"rate":{"rx":"fast"},"bytes":[1],"signal":50,"ht":"yes","freq":{}}}}"#,
            &format!(
                r#"{{"results":[1,[],{{{mac},"signal":-500,"noise":5,"connected_time":-1,
                   "tx":{{"rate":-1,"retries":-1,"packets":0,"failed":"x"}},"rx":7}}]}}"#
            ),
            "5GHz",
            "a 0       0 1   0   4294967295",
        );
        assert!(joined(r#"{"clients":[1,2],"x":{},"":{}}"#, r#"{"results":{"a":1}}"#, true).is_empty());
    }

    #[test]
    fn rates_of_both_units() {
        let client = |more: &str| {
            format!(
                r#"{{"clients":{{"02:00:00:00:00:31":{{"rate":{{"rx":8670000,"tx":100}},"vht":true{more}}}}}}}"#
            )
        };
        let rate = |more: &str, hundredth: bool| {
            let found = joined(&client(more), "{}", hundredth);
            found.values().map(|one| (kbit(&one.rx), kbit(&one.tx))).next()
        };
        assert_eq!(rate("", false), Some((Some(8_670_000), Some(1000))));
        assert_eq!(rate("", true), Some((Some(86_700), Some(1000))));
        assert_eq!(rate(r#","mbo":false"#, false), Some((Some(86_700), Some(1000))));
        for (release, new) in
            [("23.05.5", true), ("22.03.7", false), ("SNAPSHOT", true), ("", false), ("24.10", true)]
        {
            assert_eq!(is_new(release), new, "{release}");
        }
    }

    #[test]
    fn bounds() {
        let clients: Vec<String> =
            (0..3000).map(|n| format!("\"02:00:00:00:{:02x}:{:02x}\":{{}}", n / 256, n % 256)).collect();
        let found = joined(&format!("{{{}}}", clients.join(",")), "{}", false);
        assert_eq!(found.len(), MAX_STATIONS);
    }
}
