//! Radios as they run (TR-181 `Device.WiFi.Radio.`): what iwinfo tells of channels, widths, power and noise.
//!
//! iwinfo is asked for one network device of the radio, or for its wiphy while it has none. What it does not
//! tell comes from the configuration, or is TR-181's word for what is not known.

use std::rc::Rc;

use super::radio::{self, HtMode};
use super::{topology, wifi_state};
use crate::backend::{System, ValueFn};
use crate::model::backend::{Place, Raw};
use crate::model::{Error, Result};
use crate::ubus::blobmsg::Table;

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "radio_channels_in_use", get: channels_in_use, set: None },
    ValueFn { name: "radio_possible_channels", get: possible_channels, set: None },
    ValueFn { name: "radio_current_bandwidth", get: current_bandwidth, set: None },
    ValueFn { name: "radio_max_bit_rate", get: max_bit_rate, set: None },
    ValueFn { name: "radio_powers", get: powers, set: None },
    ValueFn { name: "radio_power", get: power, set: Some(set_power) },
    ValueFn { name: "radio_noise", get: noise, set: None },
];

/// The longest list of powers, in octets (TR-181).
const MAX_POWERS: usize = 64;
/// The rate of one stream in tenths of Mbit/s by generation and width: the highest coding, the shortest
/// guard interval (802.11 tables of HT, VHT, HE and EHT MCS).
const STREAM: [&[(u32, u32)]; 4] = [
    &[(20, 722), (40, 1500)],
    &[(20, 867), (40, 2000), (80, 4333), (160, 8667)],
    &[(20, 1434), (40, 2868), (80, 6005), (160, 12_010)],
    &[(20, 1721), (40, 3441), (80, 7206), (160, 14_412), (320, 28_824)],
];

/// A power that the radio can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    /// Of the greatest, 1 to 100.
    percent: i64,
    dbm: i64,
}

/// The network device of a radio to ask about, or its wiphy.
///
/// # Errors
/// As [`System::option`].
pub fn device(system: &mut System, radio: &str) -> Result<Option<String>> {
    if let Some(device) = wifi_state::radio(system, radio).and_then(|told| told.devices.into_iter().next()) {
        return Ok(Some(device));
    }
    let first = radio::devices(system, radio)?.into_iter().next();
    if first.is_some() { Ok(first) } else { radio::phy(system, radio) }
}

/// What iwinfo tells of a radio.
///
/// # Errors
/// As [`System::option`].
pub fn ask(system: &mut System, radio: &str, method: &str) -> Result<Option<Rc<Table>>> {
    Ok(device(system, radio)?.and_then(|device| wifi_state::iwinfo(system, &device, method)))
}

/// The channel that a radio is on; `None` while it is on none.
///
/// # Errors
/// As [`System::option`].
pub fn live_channel(system: &mut System, radio: &str) -> Result<Option<u8>> {
    let channel = |told: Option<Rc<Table>>| {
        told.and_then(|told| u8::try_from(told.number("channel")?).ok()).filter(|channel| *channel > 0)
    };
    if let Some(channel) = channel(ask(system, radio, "info")?) {
        return Ok(Some(channel));
    }
    let device = device(system, radio)?;
    Ok(channel(device.and_then(|device| wifi_state::hostapd(system, &device, "get_status"))))
}

/// The band that a radio is in.
///
/// # Errors
/// As [`System::option`].
pub fn live_band(system: &mut System, radio: &str) -> Result<Option<&'static str>> {
    Ok(ask(system, radio, "info")?.and_then(|told| wifi_state::band(told.number("frequency")?)))
}

/// The frequencies in MHz that the driver knows, with their channels and whether nobody may begin there.
///
/// # Errors
/// As [`System::option`].
pub fn frequencies(system: &mut System, radio: &str) -> Result<Vec<(i64, u8, bool)>> {
    let told = ask(system, radio, "freqlist")?;
    let one = |told: &Table| {
        let channel = u8::try_from(told.number("channel")?).ok().filter(|channel| *channel > 0)?;
        Some((told.number("mhz")?, channel, told.flag("restricted")))
    };
    Ok(wifi_state::results(told.as_deref()).filter_map(one).collect())
}

fn radio_of(at: &Place<'_>) -> Result<String> {
    let row = at.row().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(row.addr.clone())
}

fn band(system: &mut System, radio: &str) -> Result<Option<&'static str>> {
    match radio::own_band(system, &format!("wireless.{radio}"))? {
        Some(band) => Ok(Some(band)),
        None => live_band(system, radio),
    }
}

/// The radio's own one: others' take a scan to find.
fn channels_in_use(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let channel = live_channel(system, &radio_of(&at)?)?;
    Ok(Some(Raw::Many(channel.iter().map(ToString::to_string).collect())))
}

fn possible_channels(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let radio = radio_of(&at)?;
    let band = band(system, &radio)?;
    let fits = |mhz: i64| band.is_none() || wifi_state::band(mhz) == band;
    let mut channels: Vec<u8> = frequencies(system, &radio)?
        .into_iter()
        .filter(|(mhz, _, restricted)| !restricted && fits(*mhz))
        .map(|(_, channel, _)| channel)
        .collect();
    channels.sort_unstable();
    channels.dedup();
    Ok(Some(Raw::Many(channels.iter().map(ToString::to_string).collect())))
}

/// What it is now, or what it is configured to while it is not known.
fn current_bandwidth(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let radio = radio_of(&at)?;
    let told = ask(system, &radio, "info")?;
    let mode = told.as_ref().and_then(|told| told.text("htmode")).filter(|mode| is_mode(mode));
    Ok(Some(Raw::one(match mode {
        Some(mode) if mode.ends_with("80+80") => "80+80MHz".to_owned(),
        Some(mode) => {
            // The two ways to divide 6 GHz differ by their centres (802.11be annex E).
            let centre = told.as_ref().and_then(|told| told.number("center_chan1"));
            match (HtMode::of(&mode).width, centre) {
                (320, Some(63 | 127 | 191)) => "320MHz-2".to_owned(),
                (width, _) => radio::width_word(width),
            }
        }
        None => radio::width_word(radio::ht_mode(system, &format!("wireless.{radio}"))?.width),
    })))
}

fn is_mode(mode: &str) -> bool {
    mode == "NOHT" || HtMode::of(mode).generation.is_some()
}

/// The modes that the radio can have in a band: as iwinfo tells, as board.json notes, or the configured one.
fn modes(system: &mut System, radio: &str, band: Option<&str>) -> Result<Vec<HtMode>> {
    let told = ask(system, radio, "info")?;
    let mut words = wifi_state::words(told.as_deref(), "htmodes");
    if words.is_empty() {
        let board = radio::board(system, radio)?.into_iter();
        words = board.filter(|info| Some(info.band) == band).flat_map(|info| info.modes).collect();
    }
    let mut out: Vec<HtMode> = words.iter().map(|word| HtMode::of(word)).collect();
    if out.is_empty() {
        out.push(radio::ht_mode(system, &format!("wireless.{radio}"))?);
    }
    Ok(out)
}

/// Of all streams together.
fn max_bit_rate(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let radio = radio_of(&at)?;
    let band = band(system, &radio)?;
    let streams = radio::streams(system, &radio)?.clamp(1, 8);
    let modes = modes(system, &radio, band)?;
    let most = modes.iter().filter_map(|mode| rate(mode, band, streams)).max();
    Ok(Some(Raw::one(most.unwrap_or(54).to_string())))
}

/// In Mbit/s.
fn rate(mode: &HtMode, band: Option<&str>, streams: u32) -> Option<u32> {
    let generation = mode.generation?;
    let only_narrow = band == Some("2.4GHz");
    if only_narrow && generation == 1 {
        return None;
    }
    let width = if only_narrow { mode.width.min(40) } else { mode.width };
    let (_, one) = STREAM[generation].iter().rev().find(|(most, _)| *most <= width)?;
    let streams = if generation == 0 { streams.min(4) } else { streams };
    Some(one * streams / 10)
}

/// The powers that iwinfo tells, from the least, one for each percentage.
fn steps(system: &mut System, radio: &str) -> Result<Vec<Step>> {
    let told = ask(system, radio, "txpowerlist")?;
    let one = |told: &Table| Some((told.number("mw")?, told.number("dbm")?));
    Ok(percentages(wifi_state::results(told.as_deref()).filter_map(one).collect()))
}

fn percentages(mut powers: Vec<(i64, i64)>) -> Vec<Step> {
    // No radio has 1 kW.
    powers.retain(|(mw, dbm)| (1..=1_000_000).contains(mw) && (0..=60).contains(dbm));
    powers.sort_unstable_by_key(|(mw, dbm)| (*dbm, *mw));
    let Some(most) = powers.iter().map(|(mw, _)| *mw).max() else { return Vec::new() };
    let mut out: Vec<Step> = Vec::new();
    for (mw, dbm) in powers {
        let percent = ((mw * 100 + most / 2) / most).max(1);
        match out.last_mut() {
            Some(last) if last.percent == percent => last.dbm = dbm,
            // More dBm are not less power: such a list is wrong, and what was read of it goes on.
            Some(last) if last.percent > percent => {}
            _ => out.push(Step { percent, dbm }),
        }
    }
    // The least go when the list is too long.
    while listed(&out).len() > MAX_POWERS {
        out.remove(0);
    }
    out
}

fn listed(steps: &[Step]) -> String {
    let words: Vec<String> = std::iter::once(-1)
        .chain(steps.iter().map(|step| step.percent))
        .map(|percent| percent.to_string())
        .collect();
    words.join(",")
}

/// The configured power in percent of the greatest: that of the step that is not above it. What stands in
/// the configuration counts as the greatest while there is nothing to compare it with.
fn percent(steps: &[Step], dbm: Option<i64>) -> i64 {
    let Some(dbm) = dbm else { return -1 };
    let step = steps.iter().rev().find(|step| step.dbm <= dbm).or(steps.first());
    step.map_or(100, |step| step.percent)
}

fn configured(system: &mut System, radio: &str) -> Result<Option<i64>> {
    Ok(topology::text(system, &format!("wireless.{radio}"), "txpower")?.trim().parse().ok())
}

fn powers(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let radio = radio_of(&at)?;
    let mut steps = steps(system, &radio)?;
    if steps.is_empty()
        && let Some(dbm) = configured(system, &radio)?
    {
        steps.push(Step { percent: 100, dbm });
    }
    Ok(Some(Raw::one(listed(&steps))))
}

fn power(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let radio = radio_of(&at)?;
    let configured = configured(system, &radio)?;
    let steps = if configured.is_some() { steps(system, &radio)? } else { Vec::new() };
    Ok(Some(Raw::one(percent(&steps, configured).to_string())))
}

fn set_power(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let radio = radio_of(&at)?;
    let refused = || Error::bad_value(at.name, "not one of TransmitPowerSupported");
    let wanted: i64 = raw.text().parse().map_err(|_| refused())?;
    let steps = steps(system, &radio)?;
    if wanted == percent(&steps, configured(system, &radio)?) {
        return Ok(());
    }
    let section = format!("wireless.{radio}");
    if wanted == -1 {
        return topology::put(system, &section, "txpower", "");
    }
    let step = steps.iter().find(|step| step.percent == wanted).ok_or_else(refused)?;
    topology::put(system, &section, "txpower", &step.dbm.to_string())
}

fn noise(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let told = ask(system, &radio_of(&at)?, "info")?;
    Ok(told.and_then(|told| wifi_state::level(&told, "noise")).map(|level| Raw::one(level.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_a_list() {
        // A real radio: 1 dB each, up to 1 W.
        let mw = [
            1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 63, 79, 100, 126, 158, 200, 251,
            316, 398, 501, 631, 794, 1000,
        ];
        let steps = percentages(mw.into_iter().zip(0..).collect());
        assert_eq!(listed(&steps), "-1,1,2,3,4,5,6,8,10,13,16,20,25,32,40,50,63,79,100");
        for step in &steps {
            assert_eq!(percent(&steps, Some(step.dbm)), step.percent, "{step:?}");
        }
        for (dbm, expected) in [(None, -1), (Some(0), 1), (Some(27), 50), (Some(40), 100), (Some(-5), 1)] {
            assert_eq!(percent(&steps, dbm), expected, "{dbm:?}");
        }
        assert_eq!(percent(&[], Some(20)), 100);
    }

    #[test]
    fn powers_of_nonsense() {
        for list in [vec![], vec![(0, 0), (-5, 3), (5, -3), (i64::MAX, 20), (5, i64::MIN)]] {
            assert_eq!(percentages(list), []);
        }
        let falling = percentages(vec![(100, 1), (1, 2), (50, 3)]);
        assert_eq!(falling, [Step { percent: 100, dbm: 1 }]);
        let long = percentages((1..=60).map(|n| (n, n)).collect());
        assert!(listed(&long).len() <= MAX_POWERS && long.last().is_some_and(|step| step.percent == 100));
    }

    #[test]
    fn rates() {
        for (mode, band, streams, expected) in [
            ("HE80", "5GHz", 2, Some(1201)),
            ("VHT80", "5GHz", 1, Some(433)),
            ("VHT80", "2.4GHz", 1, None),
            ("HE160", "2.4GHz", 2, Some(573)),
            ("HT40", "2.4GHz", 8, Some(600)),
            ("EHT320", "6GHz", 4, Some(11_529)),
            ("NOHT", "5GHz", 4, None),
            ("HT160", "5GHz", 1, Some(150)),
        ] {
            assert_eq!(rate(&HtMode::of(mode), Some(band), streams), expected, "{mode} {band}");
        }
    }
}
