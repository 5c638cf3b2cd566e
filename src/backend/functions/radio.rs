//! Radios (TR-181 `Device.WiFi.Radio.`): sections `wifi-device`, their wiphy in `/sys`, and what
//! `/etc/board.json` notes of their hardware (OpenWrt 24.10 and later). How they run is in
//! [`super::radio_state`].

use serde_json::Value;

use super::{radio_state, topology, wifi, wifi_state};
use crate::backend::{System, ValueFn};
use crate::model::backend::{Place, Raw};
use crate::model::{Error, Result};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "radio_status", get: status, set: None },
    ValueFn { name: "radio_upstream", get: upstream, set: None },
    ValueFn { name: "radio_bands", get: bands, set: None },
    ValueFn { name: "radio_band", get: band, set: Some(set_band) },
    ValueFn { name: "radio_supported_standards", get: supported_standards, set: None },
    ValueFn { name: "radio_standards", get: standards, set: Some(set_standards) },
    ValueFn { name: "radio_channel", get: channel, set: Some(set_channel) },
    ValueFn { name: "radio_auto_channel", get: auto_channel, set: Some(set_auto_channel) },
    ValueFn { name: "radio_bandwidths", get: bandwidths, set: None },
    ValueFn { name: "radio_bandwidth", get: bandwidth, set: Some(set_bandwidth) },
    ValueFn { name: "radio_extension", get: extension, set: Some(set_extension) },
    ValueFn { name: "radio_guard_interval", get: guard_interval, set: Some(set_guard_interval) },
    ValueFn { name: "radio_dtim", get: dtim, set: Some(set_dtim) },
    ValueFn { name: "radio_rates", get: rates, set: Some(set_rates) },
    ValueFn { name: "radio_stat", get: stat, set: None },
];

/// UCI's and board.json's names of the bands, and TR-181's.
const BANDS: [(&str, &str, &str); 3] = [("2g", "2G", "2.4GHz"), ("5g", "5G", "5GHz"), ("6g", "6G", "6GHz")];
/// The generations of htmode from the oldest, with TR-181's word.
const GENERATIONS: [(&str, &str); 4] = [("HT", "n"), ("VHT", "ac"), ("HE", "ax"), ("EHT", "be")];

/// Channel width and generation of `htmode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HtMode {
    /// An index of [`GENERATIONS`]; `None`: none of them (`NOHT`).
    pub(super) generation: Option<usize>,
    /// In MHz.
    pub(super) width: u32,
    /// Of `HT40+` and `HT40-`.
    side: &'static str,
}

impl HtMode {
    pub(super) fn of(text: &str) -> HtMode {
        let upper = text.trim().to_ascii_uppercase();
        let found = GENERATIONS
            .iter()
            .enumerate()
            .rev()
            .find_map(|(at, (word, _))| Some((at, upper.strip_prefix(word)?)));
        let Some((generation, rest)) =
            found.filter(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
        else {
            return HtMode { generation: None, width: 20, side: "" };
        };
        let side = if rest.ends_with('+') {
            "+"
        } else if rest.ends_with('-') {
            "-"
        } else {
            ""
        };
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let width =
            digits.parse().ok().filter(|width| matches!(width, 20 | 40 | 80 | 160 | 320)).unwrap_or(20);
        HtMode { generation: Some(generation), width, side: if width == 40 { side } else { "" } }
    }

    fn text(&self) -> String {
        match self.generation {
            Some(at) => {
                let side = if at == 0 && self.width == 40 { self.side } else { "" };
                format!("{}{}{side}", GENERATIONS[at].0, self.width)
            }
            None => "NOHT".to_owned(),
        }
    }

    /// The widest channel of the generation.
    fn widest(&self) -> u32 {
        match self.generation {
            None => 20,
            Some(0) => 40,
            Some(1 | 2) => 160,
            Some(_) => 320,
        }
    }
}

/// What board.json notes of one band of a wiphy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct BandInfo {
    /// TR-181's name.
    pub(super) band: &'static str,
    pub(super) modes: Vec<String>,
}

/// The wiphy of a radio: the one at its `path` in `/sys/devices`, or the one that `phy` names.
///
/// # Errors
/// As [`System::option`].
pub fn phy(system: &mut System, radio: &str) -> Result<Option<String>> {
    let section = format!("wireless.{radio}");
    let told = topology::text(system, &section, "phy")?;
    if topology::is_device_name(&told) && system.exists(&format!("/sys/class/ieee80211/{told}")) {
        return Ok(Some(told));
    }
    let path = topology::text(system, &section, "path")?;
    let (path, nth) = match path.rsplit_once('+') {
        Some((head, nth)) => (head.to_owned(), nth.parse::<usize>().unwrap_or(0)),
        None => (path, 0),
    };
    if path.is_empty() || path.split('/').any(|part| part == "..") {
        return Ok(None);
    }
    for prefix in ["/sys/devices", "/sys/devices/platform"] {
        let mut found: Vec<String> = system.names(&format!("{prefix}/{path}/ieee80211"));
        // phy10 comes after phy9.
        found.sort_by_key(|name| (name.len(), name.clone()));
        if let Some(phy) = found.into_iter().nth(nth) {
            return Ok(Some(phy));
        }
    }
    Ok(None)
}

/// The wiphy of a network device.
pub fn phy_of(system: &mut System, device: &str) -> Option<String> {
    topology::sysfs(system, device, "phy80211/name").or_else(|| {
        let link = system.link(&format!("/sys/class/net/{device}/phy80211"))?;
        link.rsplit('/').next().map(str::to_owned)
    })
}

/// The network devices of a radio's wiphy; of a radio without one those that netifd tells.
///
/// # Errors
/// As [`System::option`].
pub(super) fn devices(system: &mut System, radio: &str) -> Result<Vec<String>> {
    let Some(phy) = phy(system, radio)? else {
        return Ok(wifi_state::radio(system, radio).map(|told| told.devices).unwrap_or_default());
    };
    let part = topology::text(system, &format!("wireless.{radio}"), "radio")?;
    let shared = format!("{phy}.{part}-");
    let mut out = Vec::new();
    for name in system.names("/sys/class/net").into_iter().take(1024) {
        let mine = part.is_empty() || name.starts_with(&shared);
        if mine
            && topology::in_sysfs(system, &name, "phy80211")
            && phy_of(system, &name).as_ref() == Some(&phy)
        {
            out.push(name);
        }
    }
    Ok(out)
}

/// The bands of a radio's wiphy as board.json notes them; none when it does not.
///
/// # Errors
/// As [`System::option`].
pub(super) fn board(system: &mut System, radio: &str) -> Result<Vec<BandInfo>> {
    Ok(board_info(system, radio)?.map(|info| board_bands(&info)).unwrap_or_default())
}

/// How many streams the radio can send at once, as board.json notes its antennas (since 24.10), else at least as many
/// as netifd has read from the driver when it wrote hostapd's settings; 1 when neither tells.
///
/// # Errors
/// As [`System::option`].
pub(super) fn streams(system: &mut System, radio: &str) -> Result<u32> {
    let info = board_info(system, radio)?;
    if let Some(antennas) = info.and_then(|info| info.get("antenna_tx")?.as_u64()) {
        return Ok(antennas.count_ones());
    }
    let Some(phy) = phy(system, radio)? else { return Ok(1) };
    let settings = system.text(&format!("/var/run/hostapd-{phy}.conf"));
    Ok(settings.map_or(1, |settings| streams_of(&settings)))
}

/// The streams that hostapd's `ht_capab` and `vht_capab` give away: a beamformer has an antenna for each of its
/// dimensions, and a space-time block code takes two.
fn streams_of(settings: &str) -> u32 {
    let lines = settings
        .lines()
        .filter_map(|line| line.strip_prefix("ht_capab=").or_else(|| line.strip_prefix("vht_capab=")));
    let words = lines.flat_map(|line| line.split(['[', ']']));
    let of = |word: &str| match word {
        "TX-STBC" | "TX-STBC-2BY1" => Some(2),
        _ => word.strip_prefix("SOUNDING-DIMENSION-").and_then(|number| number.parse().ok()),
    };
    words.filter_map(of).max().unwrap_or(1)
}

/// What board.json notes of the wiphy of a radio.
fn board_info(system: &mut System, radio: &str) -> Result<Option<Value>> {
    let path = topology::text(system, &format!("wireless.{radio}"), "path")?;
    let text = system.text("/etc/board.json");
    Ok(text.and_then(|text| info_of(&text, &path)))
}

fn info_of(text: &str, path: &str) -> Option<Value> {
    let board: Value = serde_json::from_slice(text.as_bytes()).ok()?;
    let mut phys = board.get("wlan")?.as_object()?.values();
    let found = phys.find(|phy| phy.get("path").and_then(Value::as_str).is_some_and(|own| own == path));
    found?.get("info").filter(|_| !path.is_empty()).cloned()
}

fn board_bands(info: &Value) -> Vec<BandInfo> {
    let Some(bands) = info.get("bands").and_then(Value::as_object) else { return Vec::new() };
    BANDS
        .iter()
        .filter_map(|(_, key, band)| {
            let modes = bands.get(*key)?.get("modes").and_then(Value::as_array);
            let modes = modes.into_iter().flatten().filter_map(Value::as_str).take(64).map(str::to_owned);
            Some(BandInfo { band, modes: modes.collect() })
        })
        .collect()
}

fn section(at: &Place<'_>) -> Result<(String, String)> {
    let row = at.row().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok((row.addr.clone(), format!("wireless.{}", row.addr)))
}

fn one(text: impl Into<String>) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(text)))
}

fn status(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (radio, section) = section(&at)?;
    if topology::truth(&topology::text(system, &section, "disabled")?) {
        return one("Down");
    }
    let told = wifi_state::radio(system, &radio);
    if told.as_ref().is_none_or(|told| told.failed) && phy(system, &radio)?.is_none() {
        return one("NotPresent");
    }
    if let Some(told) = told {
        return one(match told {
            wifi_state::Radio { up: true, .. } => "Up",
            wifi_state::Radio { failed: true, .. } => "Error",
            wifi_state::Radio { pending: true, .. } => "Dormant",
            _ => "Down",
        });
    }
    let devices = devices(system, &radio)?;
    let up = devices.into_iter().any(|device| topology::status(system, &device) == Some("Up"));
    one(if up { "Up" } else { "Down" })
}

/// Towards the Internet is a radio that is another access point's client.
fn upstream(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (radio, _) = section(&at)?;
    let ifaces = wifi::ifaces(system)?;
    let station =
        |iface: &wifi::Iface| iface.radio == radio && iface.mode == wifi::Mode::Sta && !iface.disabled;
    one(if ifaces.iter().any(station) { "1" } else { "0" })
}

/// The band that is configured; `hwmode` is how it was told until 21.02.
///
/// # Errors
/// As [`System::option`].
pub(super) fn own_band(system: &mut System, section: &str) -> Result<Option<&'static str>> {
    let band = topology::text(system, section, "band")?;
    if let Some((_, _, word)) = BANDS.iter().find(|(uci, _, _)| *uci == band) {
        return Ok(Some(word));
    }
    let hwmode = topology::text(system, section, "hwmode")?;
    Ok(match hwmode.trim_start_matches("11") {
        "b" | "g" | "bg" | "ng" => Some("2.4GHz"),
        "a" | "na" | "ac" => Some("5GHz"),
        _ => None,
    })
}

fn bands(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (radio, _) = section(&at)?;
    Ok(Some(Raw::Many(bands_of(system, &radio)?)))
}

/// TR-181's names of the bands that a radio can work in.
///
/// # Errors
/// As [`System::option`].
pub(super) fn bands_of(system: &mut System, radio: &str) -> Result<Vec<String>> {
    let section = format!("wireless.{radio}");
    let mut out: Vec<String> = board(system, radio)?.into_iter().map(|info| info.band.to_owned()).collect();
    if let Some(own) = own_band(system, &section)?
        && !out.iter().any(|band| band == own)
    {
        out.push(own.to_owned());
    }
    // A wiphy that several radios share tells of all of them.
    if topology::text(system, &section, "radio")?.is_empty() {
        for (mhz, ..) in radio_state::frequencies(system, radio)? {
            let band = wifi_state::band(mhz).filter(|band| out.iter().all(|known| known != band));
            out.extend(band.map(str::to_owned));
        }
    }
    let order = |band: &String| BANDS.iter().position(|(_, _, word)| word == band);
    out.sort_by_key(order);
    Ok(out)
}

fn band(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (radio, section) = section(&at)?;
    Ok(match own_band(system, &section)? {
        Some(band) => Some(Raw::one(band)),
        None => radio_state::live_band(system, &radio)?.map(Raw::one),
    })
}

fn set_band(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let (_, section) = section(&at)?;
    let word = raw.text();
    if own_band(system, &section)? == Some(word.as_str()) {
        return Ok(());
    }
    let supported = bands(system, at, argument)?.is_some_and(|bands| bands.items().contains(&word.as_str()));
    let Some((uci, _, _)) = BANDS.iter().find(|(_, _, band)| *band == word).filter(|_| supported) else {
        return Err(Error::bad_value(at.name, "not one of SupportedFrequencyBands"));
    };
    if topology::text(system, &section, "band")?.is_empty() && *uci != "6g" {
        topology::put(system, &section, "hwmode", if *uci == "2g" { "11g" } else { "11a" })?;
    } else {
        topology::put(system, &section, "band", uci)?;
    }
    // A channel of the old band is none of the new.
    topology::put(system, &section, "channel", "auto")
}

/// The configured mode.
///
/// # Errors
/// As [`System::option`].
pub(super) fn ht_mode(system: &mut System, section: &str) -> Result<HtMode> {
    Ok(HtMode::of(&topology::text(system, section, "htmode")?))
}

/// TR-181's standards up to a generation in a band.
fn words(band: &str, generation: Option<usize>) -> Vec<&'static str> {
    let base: &[&'static str] = match band {
        "2.4GHz" => &["b", "g"],
        "5GHz" => &["a"],
        _ => &[],
    };
    let from = if band == "6GHz" { 2 } else { 0 };
    let newer = GENERATIONS
        .iter()
        .enumerate()
        .filter(|(at, _)| generation.is_some_and(|most| *at <= most) && *at >= from);
    // 802.11ac is for 5 GHz only.
    let newer = newer.filter(|(at, _)| *at != 1 || band == "5GHz").map(|(_, (_, word))| *word);
    base.iter().copied().chain(newer).collect()
}

fn supported_standards(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (radio, _) = section(&at)?;
    let list = standards_of(system, &radio)?;
    Ok(Some(Raw::Many(list.into_iter().map(str::to_owned).collect())))
}

/// The standards that a radio can speak, oldest first.
///
/// # Errors
/// As [`System::option`].
pub(super) fn standards_of(system: &mut System, radio: &str) -> Result<Vec<&'static str>> {
    let section = format!("wireless.{radio}");
    let mut out: Vec<&str> = Vec::new();
    let own = own_band(system, &section)?.unwrap_or("");
    let configured = ht_mode(system, &section)?.generation;
    let mut told: Vec<(&str, Option<usize>)> = vec![(own, configured)];
    for info in board(system, radio)? {
        let best = info.modes.iter().filter_map(|mode| HtMode::of(mode).generation).max();
        told.push((info.band, best));
    }
    for (band, generation) in told {
        out.extend(words(band, generation));
    }
    let info = radio_state::ask(system, radio, "info")?;
    let told = wifi_state::words(info.as_deref(), "hwmodes");
    out.extend(told.iter().map(String::as_str));
    let order = ["a", "b", "g", "n", "ac", "ax", "be"];
    Ok(order.into_iter().filter(|word| out.contains(word)).collect())
}

fn standards(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (_, section) = section(&at)?;
    let band = own_band(system, &section)?.unwrap_or("");
    let mut list = words(band, ht_mode(system, &section)?.generation);
    let legacy = topology::truth(&topology::text(system, &section, "legacy_rates")?);
    // Without legacy rates the radio speaks no 802.11b (the default since 21.02).
    if !legacy {
        list.retain(|word| *word != "b");
    }
    let require = topology::text(system, &section, "require_mode")?;
    if let Some(first) = list.iter().position(|word| *word == require) {
        list.drain(..first);
    }
    Ok(Some(Raw::Many(list.into_iter().map(str::to_owned).collect())))
}

/// The newest standard gives the mode. The oldest gives what clients must speak at least: without 802.11b
/// its rates go, without what is older than 802.11n only clients of that or newer are let in.
fn set_standards(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let (_, section) = section(&at)?;
    let band = own_band(system, &section)?.unwrap_or("");
    let supported = supported_standards(system, at, argument)?.map(|raw| raw.text()).unwrap_or_default();
    let given = raw.items();
    let known = |word: &&str| supported.split(' ').any(|other| other == *word);
    if given.is_empty() || !given.iter().all(known) {
        return Err(Error::bad_value(at.name, "not of SupportedStandards"));
    }
    let newest = GENERATIONS.iter().rposition(|(_, word)| given.contains(word));
    let possible = words(band, newest);
    if !possible.ends_with(&given) {
        return Err(Error::bad_value(
            at.name,
            "not the standards of the band from one to another, oldest first",
        ));
    }
    let mut mode = ht_mode(system, &section)?;
    mode.generation = newest;
    mode.width = mode.width.min(mode.widest());
    if mode.text() != HtMode::of(&topology::text(system, &section, "htmode")?).text() {
        topology::put(system, &section, "htmode", &mode.text())?;
    }
    let oldest = given.first().copied().unwrap_or_default();
    let all = possible.len() == given.len();
    let require = if all || matches!(oldest, "a" | "b" | "g") { "" } else { oldest };
    topology::put(system, &section, "require_mode", require)?;
    if band == "2.4GHz" {
        let legacy = if oldest == "b" { "1" } else { "0" };
        topology::put(system, &section, "legacy_rates", legacy)?;
    }
    Ok(())
}

/// The configured one, which is also what was written; the one it chose while the radio chooses.
fn channel(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (radio, section) = section(&at)?;
    let channel = topology::text(system, &section, "channel")?;
    let channel = match channel.parse::<u8>() {
        Ok(channel) if channel > 0 => Some(channel),
        // Of one that is not on the air, what it would be on without a choice of its own.
        _ => radio_state::live_channel(system, &radio)?.or(Some(lowest_channel(system, &section)?)),
    };
    Ok(channel.map(|channel| Raw::one(channel.to_string())))
}

/// The lowest channel of the band, which is allowed everywhere.
fn lowest_channel(system: &mut System, section: &str) -> Result<u8> {
    Ok(match own_band(system, section)? {
        Some("5GHz") => 36,
        Some("6GHz") => 5,
        _ => 1,
    })
}

fn set_channel(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let (_, section) = section(&at)?;
    let number: u32 = raw.text().parse().map_err(|_| Error::bad_value(at.name, "not a channel"))?;
    let fits = match own_band(system, &section)? {
        Some("2.4GHz") => (1..=14).contains(&number),
        Some("5GHz") => (32..=196).contains(&number),
        Some("6GHz") => (1..=233).contains(&number),
        _ => true,
    };
    if !fits {
        return Err(Error::bad_value(at.name, "not a channel of OperatingFrequencyBand"));
    }
    topology::put(system, &section, "channel", &number.to_string())
}

fn is_auto(channel: &str) -> bool {
    !channel.parse::<u8>().is_ok_and(|channel| channel > 0)
}

fn auto_channel(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (_, section) = section(&at)?;
    one(if is_auto(&topology::text(system, &section, "channel")?) { "1" } else { "0" })
}

fn set_auto_channel(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let (radio, section) = section(&at)?;
    let now = is_auto(&topology::text(system, &section, "channel")?);
    match (topology::truth(&raw.text()), now) {
        (true, false) => topology::put(system, &section, "channel", "auto"),
        (false, true) => {
            // The one it is on; else some it must be.
            let lowest = lowest_channel(system, &section)?;
            let channel = radio_state::live_channel(system, &radio)?.unwrap_or(lowest);
            topology::put(system, &section, "channel", &channel.to_string())
        }
        _ => Ok(()),
    }
}

/// TR-181's word for a width in MHz.
pub(super) fn width_word(width: u32) -> String {
    if width == 320 { "320MHz-1".to_owned() } else { format!("{width}MHz") }
}

/// The widths that board.json notes for the configured band, or iwinfo tells; else those up to the configured one.
fn widths(system: &mut System, radio: &str, section: &str) -> Result<Vec<u32>> {
    let band = own_band(system, section)?;
    let configured = ht_mode(system, section)?.width;
    let info = board(system, radio)?.into_iter().find(|info| Some(info.band) == band);
    let mut modes: Vec<String> = info.map(|info| info.modes).unwrap_or_default();
    if modes.is_empty() {
        let told = radio_state::ask(system, radio, "info")?;
        modes = wifi_state::words(told.as_deref(), "htmodes");
        // iwinfo tells them of all bands together.
        modes.retain(|mode| band != Some("2.4GHz") || HtMode::of(mode).width <= 40);
    }
    let most = modes.iter().map(|mode| HtMode::of(mode).width).max();
    let most = most.unwrap_or(configured).max(configured);
    Ok([20, 40, 80, 160, 320].into_iter().filter(|width| *width <= most).collect())
}

fn bandwidths(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (radio, section) = section(&at)?;
    Ok(Some(Raw::Many(widths(system, &radio, &section)?.into_iter().map(width_word).collect())))
}

fn bandwidth(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (_, section) = section(&at)?;
    one(width_word(ht_mode(system, &section)?.width))
}

fn set_bandwidth(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let (radio, section) = section(&at)?;
    let wanted = raw.text();
    let known = widths(system, &radio, &section)?;
    let mut mode = ht_mode(system, &section)?;
    let width = known.into_iter().find(|width| width_word(*width) == wanted);
    let width = width.filter(|width| *width <= mode.widest());
    let width = width.ok_or_else(|| Error::bad_value(at.name, "not a width of the radio's standards"))?;
    if width == mode.width {
        return Ok(());
    }
    mode.width = width;
    topology::put(system, &section, "htmode", &mode.text())
}

fn extension(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (_, section) = section(&at)?;
    one(match ht_mode(system, &section)?.side {
        "+" => "AboveControlChannel",
        "-" => "BelowControlChannel",
        _ => "Auto",
    })
}

fn set_extension(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let (_, section) = section(&at)?;
    let mut mode = ht_mode(system, &section)?;
    let side = match raw.text().as_str() {
        "AboveControlChannel" => "+",
        "BelowControlChannel" => "-",
        _ => "",
    };
    if side == mode.side {
        return Ok(());
    }
    if mode.generation != Some(0) || mode.width != 40 {
        return Err(Error::bad_value(at.name, "the side can be chosen for 802.11n with 40 MHz only"));
    }
    mode.side = side;
    topology::put(system, &section, "htmode", &mode.text())
}

/// UCI can forbid the short interval of 802.11n and ac for each channel width, and nothing else.
const SHORT: [&str; 4] = ["short_gi_20", "short_gi_40", "short_gi_80", "short_gi_160"];

fn guard_interval(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (_, section) = section(&at)?;
    let mut forbidden = true;
    for option in SHORT {
        let told = topology::text(system, &section, option)?;
        forbidden &= !told.is_empty() && !topology::truth(&told);
    }
    one(if forbidden { "800nsec" } else { "Auto" })
}

fn set_guard_interval(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let (_, section) = section(&at)?;
    let wanted = raw.text();
    if guard_interval(system, at, argument)?.is_some_and(|now| now.text() == wanted) {
        return Ok(());
    }
    let value = match wanted.as_str() {
        "800nsec" => "0",
        "Auto" => "",
        _ => return Err(Error::bad_value(at.name, "OpenWrt can only forbid the short interval")),
    };
    SHORT.iter().try_for_each(|option| topology::put(system, &section, option, value))
}

/// UCI has the period with each access point; the radio's is that of its first.
fn dtim(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (radio, _) = section(&at)?;
    let ifaces = wifi::ifaces(system)?;
    let first = ifaces.into_iter().find(|iface| iface.radio == radio && iface.mode == wifi::Mode::Ap);
    let told = match first {
        Some(iface) => system.option(&format!("wireless.{}.dtim_period", iface.addr))?,
        None => None,
    };
    Ok(told.or_else(|| Some(Raw::one("2"))))
}

fn set_dtim(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let (radio, _) = section(&at)?;
    if !raw.text().parse::<u32>().is_ok_and(|period| (1..=255).contains(&period)) {
        return Err(Error::bad_value(at.name, "a period is 1 to 255 beacons"));
    }
    let ifaces = wifi::ifaces(system)?.into_iter();
    let mut any = false;
    for iface in ifaces.filter(|iface| iface.radio == radio && iface.mode == wifi::Mode::Ap) {
        topology::put(system, &format!("wireless.{}", iface.addr), "dtim_period", &raw.text())?;
        any = true;
    }
    if any { Ok(()) } else { Err(Error::bad_value(at.name, "the radio has no access point to hold it")) }
}

/// UCI has kbit/s, TR-181 Mbit/s with a fraction where needed (`5.5`).
fn rates(system: &mut System, at: Place<'_>, option: &str) -> Result<Option<Raw>> {
    let (_, section) = section(&at)?;
    let rates = topology::words(system, &section, option)?;
    Ok(Some(Raw::Many(rates.iter().take(64).filter_map(|rate| mbit(rate)).collect())))
}

fn set_rates(system: &mut System, at: Place<'_>, option: &str, raw: &Raw) -> Result<()> {
    let (_, section) = section(&at)?;
    let rates: Option<Vec<String>> = raw.items().into_iter().map(kbit).collect();
    let rates = rates.ok_or_else(|| Error::bad_value(at.name, "not rates in Mbit/s"))?;
    topology::put_list(system, &section, option, rates)
}

fn mbit(kbit: &str) -> Option<String> {
    let kbit: u32 = kbit.parse().ok()?;
    let (whole, rest) = (kbit / 1000, kbit % 1000 / 100);
    Some(if rest == 0 { whole.to_string() } else { format!("{whole}.{rest}") })
}

fn kbit(mbit: &str) -> Option<String> {
    let (whole, rest) = mbit.split_once('.').unwrap_or((mbit, "0"));
    let rest: u32 = if rest.len() == 1 { rest.parse().ok()? } else { return None };
    let kbit = whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(rest * 100)?;
    (kbit > 0).then(|| kbit.to_string())
}

/// A counter of all network devices of the radio together.
fn stat(system: &mut System, at: Place<'_>, counter: &str) -> Result<Option<Raw>> {
    let (radio, _) = section(&at)?;
    let mut sum = 0_u64;
    for device in devices(system, &radio)? {
        let text = topology::sysfs(system, &device, &format!("statistics/{counter}"));
        sum = sum.wrapping_add(text.and_then(|text| text.parse().ok()).unwrap_or(0));
    }
    one(sum.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ht_modes() {
        for (text, generation, width, again) in [
            ("HT20", Some(0), 20, "HT20"),
            ("HT40+", Some(0), 40, "HT40+"),
            ("VHT80", Some(1), 80, "VHT80"),
            ("HE160", Some(2), 160, "HE160"),
            ("EHT320", Some(3), 320, "EHT320"),
            ("VHT160+1", Some(1), 160, "VHT160"),
            ("NOHT", None, 20, "NOHT"),
            ("", None, 20, "NOHT"),
            ("HT", None, 20, "NOHT"),
            ("HE99999999999", Some(2), 20, "HE20"),
        ] {
            let mode = HtMode::of(text);
            assert_eq!(
                (mode.generation, mode.width, mode.text().as_str()),
                (generation, width, again),
                "{text:?}"
            );
        }
    }

    #[test]
    fn standards_of_bands() {
        assert_eq!(words("2.4GHz", Some(2)), ["b", "g", "n", "ax"]);
        assert_eq!(words("5GHz", Some(1)), ["a", "n", "ac"]);
        assert_eq!(words("6GHz", Some(3)), ["ax", "be"]);
        assert_eq!(words("2.4GHz", None), ["b", "g"]);
        assert!(words("", None).is_empty());
    }

    #[test]
    fn what_hostapd_was_told() {
        for (settings, streams) in [
            ("driver=nl80211\nht_capab=[HT40+][LDPC][SHORT-GI-20][TX-STBC][RX-STBC1]\n", 2),
            ("ht_capab=[TX-STBC]\nvht_capab=[TX-STBC-2BY1][SU-BEAMFORMER][SOUNDING-DIMENSION-4]\n", 4),
            ("ht_capab=[HT40+][SHORT-GI-20][RX-STBC1]\n", 1),
            ("wpa_passphrase=[TX-STBC]\n", 1),
            ("vht_capab=[SOUNDING-DIMENSION-many]\n", 1),
            ("", 1),
        ] {
            assert_eq!(streams_of(settings), streams, "{settings}");
        }
    }

    #[test]
    fn what_the_board_notes() {
        let text = r#"{"wlan":{"phy0":{"path":"p/0","info":{"bands":{"2G":{"modes":["NOHT","HT20","HE40"]},"5G":{}}}}}}"#;
        let found = board_bands(&info_of(text, "p/0").unwrap());
        assert_eq!(found.iter().map(|info| info.band).collect::<Vec<_>>(), ["2.4GHz", "5GHz"]);
        assert_eq!(found[0].modes.len(), 3);
        assert!(info_of(text, "p/1").is_none());
        for bad in ["", "[]", r#"{"wlan":[]}"#, r#"{"wlan":{"phy0":7}}"#] {
            assert!(info_of(bad, "p/0").is_none());
        }
    }

    #[test]
    fn rates_in_both_units() {
        for (uci, word) in [("6000", "6"), ("5500", "5.5"), ("54000", "54")] {
            assert_eq!((mbit(uci).as_deref(), kbit(word).as_deref()), (Some(word), Some(uci)));
        }
        for bad in ["", "x", "5.55", "-1", "0", "99999999"] {
            assert_eq!(kbit(bad), None, "{bad:?}");
        }
    }
}
