//! `hostapd.DEVICE`: an access point and who is on it.

use super::iwinfo::bandwidth;
use super::reply::{Answer, array, counter, map, number, ok, table};
use super::state::State;
use super::wireless::{self, Point, Radio, Station};
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::msg::Status;

/// Its methods.
pub const METHODS: &[&str] = &[
    "reload",
    "get_clients",
    "get_status",
    "del_client addr:s reason:i deauth:b ban_time:i",
    "update_airtime sta:s weight:i",
    "list_bans",
    "update_beacon",
    "get_features",
    "switch_chan freq:i bcn_count:i center_freq1:i center_freq2:i bandwidth:i sec_channel_offset:i ht:b vht:b he:b \
     block_tx:b force:b",
    "set_vendor_elements vendor_elements:s",
    "notify_response notify_response:i",
];

/// Answers for `hostapd.DEVICE`.
///
/// # Errors
/// "Not found" when the access point is gone; what is not simulated is not supported.
pub fn hostapd(state: &mut State, object: &str, method: &str, _arguments: &Table) -> Answer {
    let radios = wireless::radios(state);
    let device = object.strip_prefix("hostapd.").ok_or(Status::NotFound)?;
    let (radio, point) = wireless::find(&radios, device).ok_or(Status::NotFound)?;
    match method {
        "get_clients" => {
            let clients = point
                .stations()
                .enumerate()
                .map(|(at, station)| (station.mac.to_owned(), client(at, station)));
            ok(table! { "freq": radio.frequency(), "clients": map(clients) })
        }
        "get_status" => ok(status(radio, point, device)),
        "get_features" => {
            ok(table! { "ht_supported": radio.htmode != "NOHT", "vht_supported": radio.band == "5g" })
        }
        "list_bans" => ok(table! { "clients": Value::Array(Vec::new()) }),
        "reload" | "update_beacon" => Ok(None),
        _ => Err(Status::NotSupported),
    }
}

fn client(at: usize, station: &Station) -> Table {
    let [rx_bytes, rx_packets, tx_bytes, tx_packets] = station.counters;
    let zeros = |count: usize| array(std::iter::repeat_n(0, count));
    table! {
        "auth": true,
        "assoc": true,
        "authorized": true,
        "preauth": false,
        "wds": false,
        "wmm": true,
        "ht": true,
        "vht": station.he,
        "he": station.he,
        "wps": false,
        "mfp": station.he,
        "mbo": false,
        "rrm": zeros(5),
        "extended_capabilities": zeros(8),
        "aid": number(at + 1),
        "bytes": table! { "rx": counter(rx_bytes), "tx": counter(tx_bytes) },
        "airtime": table! { "rx": counter(rx_packets * 228), "tx": counter(tx_packets * 635) },
        "packets": table! { "rx": number(rx_packets), "tx": number(tx_packets) },
        // In parts of 10 bit/s, since 23.05.
        "rate": table! { "rx": station.up.2 * 100, "tx": station.down.2 * 100 },
        "signal": station.signal,
        "capabilities": Table::new(),
    }
}

fn status(radio: &Radio, point: &Point, device: &str) -> Table {
    table! {
        "status": "ENABLED",
        "bssid": point.bssid.as_str(),
        "ssid": point.ssid.as_str(),
        "freq": radio.frequency(),
        "channel": radio.channel,
        "op_class": class(radio),
        "beacon_interval": 100,
        "phy": device,
        "rrm": table! { "neighbor_report_tx": 0 },
        "wnm": table! {
            "bss_transition_query_rx": 0,
            "bss_transition_request_tx": 0,
            "bss_transition_response_rx": 0,
        },
        "airtime": table! { "time": counter(259_561_738), "time_busy": counter(2_844_249), "utilization": 12 },
        "dfs": table! {
            "cac_seconds": if (52..=144).contains(&radio.channel) { 60 } else { 0 },
            "cac_active": false,
            "cac_seconds_left": 0,
        },
    }
}

/// The operating class of IEEE 802.11, Annex E, table E-4.
fn class(radio: &Radio) -> i32 {
    match (radio.band.as_str(), bandwidth(&radio.htmode), radio.channel) {
        ("2g", 40, _) => 83,
        ("2g", ..) => 81,
        (_, 80, _) => 128,
        (_, 160, _) => 129,
        (_, 40, 36..=48) => 116,
        (_, _, 36..=48) => 115,
        (_, 40, 52..=64) => 119,
        (_, _, 52..=64) => 118,
        (_, 40, 100..=144) => 122,
        (_, _, 100..=144) => 121,
        _ => 125,
    }
}
