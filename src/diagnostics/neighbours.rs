//! NeighboringWiFiDiagnostic: the networks that the radios hear, as `iwinfo` finds them by a scan.
//!
//! A scan listens on every channel, which takes a radio seconds in which its clients wait: the radios scan one after
//! another.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::diagnostics::{Control, State};
use crate::set::Set;
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::client::Client;

/// The values of `DiagnosticsState` that this test gives.
pub const STATES: &[State] = &[State::Canceled, State::Complete, State::Failed];

/// The most networks that are told.
pub const MAX_RESULTS: usize = 256;
/// How long one radio may listen.
const LIMIT: Duration = Duration::from_secs(30);
/// How long ubusd may take for a word.
const CONNECT: Duration = Duration::from_secs(2);

/// Who is to listen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Input {
    /// ubusd's socket.
    pub socket: Option<PathBuf>,
    /// Each radio by the name that results call it, and a network device of it.
    pub radios: Vec<(String, String)>,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// `DiagnosticsState`: `Complete` if any radio could listen, or there is none.
    pub diagnostics_state: State,
    /// `Result.{i}.`, the strongest first.
    pub result: Vec<Neighbour>,
}

/// One network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Neighbour {
    /// `Radio`: who heard it.
    pub radio: String,
    /// `SSID`; empty of a hidden one.
    pub ssid: String,
    /// `BSSID`, in lower case.
    pub bssid: String,
    /// `Mode`; empty of a mesh.
    pub mode: &'static str,
    /// `Channel`.
    pub channel: u8,
    /// `SignalStrength`, in dBm.
    pub signal_strength: i16,
    /// `SecurityModeEnabled`.
    pub security_mode_enabled: &'static str,
    /// `EncryptionMode`.
    pub encryption_mode: Vec<&'static str>,
    /// `OperatingFrequencyBand`.
    pub operating_frequency_band: &'static str,
}

/// Lets the radios listen.
pub fn run(input: &Input, cancel: &AtomicBool, deadline: Instant) -> Output {
    let control = Control::new(cancel, deadline);
    let mut result = Vec::new();
    let state = listen(input, &control, &mut result).err().unwrap_or(State::Complete);
    let diagnostics_state = if STATES.contains(&state) { state } else { State::Failed };
    // BSSIDs are the table's key: who was heard twice was nearer to the first.
    result.sort_by_key(|one: &Neighbour| (-one.signal_strength, one.bssid.clone()));
    let mut seen = Set::new();
    result.retain(|one| seen.insert(one.bssid.clone()));
    result.truncate(MAX_RESULTS);
    Output { diagnostics_state, result }
}

fn listen(input: &Input, control: &Control<'_>, result: &mut Vec<Neighbour>) -> Result<(), State> {
    let mut answered = input.radios.is_empty();
    control.check()?;
    for (radio, device) in &input.radios {
        control.check()?;
        let socket = input.socket.as_ref().ok_or(State::Failed)?;
        let mut client = Client::connect(socket, CONNECT).map_err(|_| State::Failed)?;
        // A radio that is off cannot listen; the others can.
        let arguments = Table::new().with("device", device.as_str());
        let Ok(answer) = client.call("iwinfo", "scan", &arguments, LIMIT) else { continue };
        answered = true;
        let found = answer.iter().flat_map(|answer| answer.array("results")).filter_map(Value::as_table);
        result.extend(found.take(MAX_RESULTS).filter_map(|found| neighbour(radio, found)));
    }
    if answered { Ok(()) } else { Err(State::Failed) }
}

/// One of the results; nothing of one without an address.
fn neighbour(radio: &str, told: &Table) -> Option<Neighbour> {
    let bssid = told.text("bssid")?.to_ascii_lowercase();
    let is_mac = bssid.len() == 17
        && bssid.split(':').count() == 6
        && bssid.split(':').all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !is_mac {
        return None;
    }
    let ssid = told.text("ssid").map(|text| text.into_owned()).unwrap_or_default();
    let band = match told.number("band") {
        Some(2) => "2.4GHz",
        Some(5) => "5GHz",
        Some(6) => "6GHz",
        // Before 22.03 only the frequency was told.
        _ => match told.number("mhz") {
            Some(2400..=2500) => "2.4GHz",
            Some(4900..=5900) => "5GHz",
            Some(5925..=7125) => "6GHz",
            _ => "",
        },
    };
    let encryption = told.table("encryption");
    Some(Neighbour {
        radio: radio.to_owned(),
        ssid: if ssid.len() <= 32 && !ssid.chars().any(char::is_control) { ssid } else { String::new() },
        bssid,
        mode: match told.text("mode").as_deref() {
            Some("Master") => "Infrastructure",
            Some("Ad-Hoc") => "AdHoc",
            _ => "",
        },
        channel: told.number("channel").and_then(|channel| u8::try_from(channel).ok()).unwrap_or(0),
        signal_strength: told
            .number("signal")
            .and_then(|level| i16::try_from(level).ok())
            .filter(|level| (-200..=0).contains(level))
            .unwrap_or(-200),
        security_mode_enabled: security(encryption),
        encryption_mode: ciphers(encryption),
        operating_frequency_band: band,
    })
}

fn words(table: &Table, name: &str) -> Vec<String> {
    let text = |value: &Value| value.as_text().map(|text| text.to_str().into_owned());
    table.array(name).iter().filter_map(text).collect()
}

fn security(told: Option<&Table>) -> &'static str {
    let Some(told) = told.filter(|told| told.flag("enabled")) else { return "None" };
    if told.get("wep").is_some() {
        return "WEP";
    }
    let ways = words(told, "authentication");
    let has = |way: &str| ways.iter().any(|one| one == way);
    let versions: Vec<i64> = told.array("wpa").iter().filter_map(Value::as_i64).collect();
    let speaks = |version: i64| versions.contains(&version);
    match () {
        () if has("owe") => "OWE",
        () if has("802.1x") && speaks(3) && !speaks(2) => "WPA3-Enterprise",
        () if has("802.1x") && speaks(1) && speaks(2) => "WPA-WPA2-Enterprise",
        () if has("802.1x") && speaks(1) => "WPA-Enterprise",
        () if has("802.1x") => "WPA2-Enterprise",
        () if has("sae") && has("psk") => "WPA2-PSK-WPA3-SAE",
        () if has("sae") => "WPA3-SAE",
        () if speaks(1) && speaks(2) => "WPA-WPA2",
        () if speaks(1) => "WPA",
        () => "WPA2",
    }
}

fn ciphers(told: Option<&Table>) -> Vec<&'static str> {
    let told = told.map(|told| words(told, "ciphers")).unwrap_or_default();
    let has = |parts: &[&str]| told.iter().any(|one| parts.iter().any(|part| one.starts_with(part)));
    let known = [("TKIP", has(&["tkip"])), ("AES", has(&["ccmp", "gcmp", "aes"]))];
    known.into_iter().filter(|(_, there)| *there).map(|(word, _)| word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::json;

    fn of(text: &str) -> Option<Neighbour> {
        neighbour("r", &json::parse(text).unwrap())
    }

    #[test]
    fn nobody_listens() {
        let cancel = AtomicBool::new(false);
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut input = Input::default();
        assert_eq!(run(&input, &cancel, deadline).diagnostics_state, State::Complete);
        input.radios = vec![("Device.WiFi.Radio.1".to_owned(), "wlan0".to_owned())];
        assert_eq!(run(&input, &cancel, deadline).diagnostics_state, State::Failed);
        let cancel = AtomicBool::new(true);
        assert_eq!(run(&input, &cancel, deadline).diagnostics_state, State::Canceled);
    }

    #[test]
    fn networks() {
        let found = of(
            r#"{"ssid":"HomeNet-8","bssid":"02:00:5E:00:53:03","mode":"Master","band":5,"channel":153,
            "mhz":5765,"signal":-75,"encryption":{"enabled":true,"wpa":[1,2],"authentication":["psk"],"ciphers":["ccmp","tkip"]}}"#,
        );
        let expected = Neighbour {
            radio: "r".to_owned(),
            ssid: "HomeNet-8".to_owned(),
            bssid: "02:00:5e:00:53:03".to_owned(),
            mode: "Infrastructure",
            channel: 153,
            signal_strength: -75,
            security_mode_enabled: "WPA-WPA2",
            encryption_mode: vec!["TKIP", "AES"],
            operating_frequency_band: "5GHz",
        };
        assert_eq!(found, Some(expected));
        let odd =
            of(r#"{"bssid":"02:00:5e:00:53:04","mhz":2412,"signal":7,"channel":900,"mode":"Mesh Point"}"#)
                .unwrap();
        assert_eq!(
            (odd.signal_strength, odd.channel, odd.operating_frequency_band, odd.mode),
            (-200, 0, "2.4GHz", "")
        );
        for bad in [r#"{}"#, r#"{"bssid":"x"}"#, r#"{"bssid":"0:00:5e:00:53:0400"}"#, r#"{"bssid":7}"#] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn securities() {
        for (text, expected) in [
            (r#"{"enabled":false}"#, "None"),
            (r#"{"enabled":true,"wep":["open"]}"#, "WEP"),
            (r#"{"enabled":true,"wpa":[2],"authentication":["psk"]}"#, "WPA2"),
            (r#"{"enabled":true,"wpa":[1],"authentication":["psk"]}"#, "WPA"),
            (r#"{"enabled":true,"wpa":[3],"authentication":["sae"]}"#, "WPA3-SAE"),
            (r#"{"enabled":true,"wpa":[2,3],"authentication":["psk","sae"]}"#, "WPA2-PSK-WPA3-SAE"),
            (r#"{"enabled":true,"wpa":[3],"authentication":["owe"]}"#, "OWE"),
            (r#"{"enabled":true,"wpa":[2],"authentication":["802.1x"]}"#, "WPA2-Enterprise"),
            (r#"{"enabled":true,"wpa":[1,2],"authentication":["802.1x"]}"#, "WPA-WPA2-Enterprise"),
            (r#"{"enabled":true,"wpa":[3],"authentication":["802.1x"]}"#, "WPA3-Enterprise"),
        ] {
            assert_eq!(security(Some(&json::parse(text).unwrap())), expected, "{text}");
        }
    }
}
