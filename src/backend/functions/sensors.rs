//! `Device.DeviceInfo.TemperatureStatus.`: the kernel's thermal zones, and what this agent has seen of them since it began.
//!
//! ```text
//!  the daemon, every PollingInterval ─┐
//!  whoever reads the value ───────────┴─► Seen: lowest, highest, when an alarm's value was first reached
//! ```
//! What is set is kept; what was seen is not, as a router that starts again has cooled down.

use std::collections::HashMap;

use super::orders::Order;
use super::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw, Row};
use crate::model::{Result, date};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "thermal", get: thermal, set: None },
    ValueFn { name: "thermal_setting", get: setting, set: Some(set_setting) },
    ValueFn { name: "thermal_reset", get: reset, set: Some(set_reset) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[TableFn { name: "thermal_zones", rows: zones, add: None, delete: None }];

const PLACE: &str = "/sys/class/thermal";
/// The most zones that are looked at.
const MAX_ZONES: usize = 64;
/// Seconds between two looks where the ACS leaves it to us.
const INTERVAL: u64 = 60;
/// As cold as it cannot be: no alarm, or nothing measured.
const NOTHING: i32 = -274;

/// What was seen of the zones.
#[derive(Debug, Default)]
pub struct Sensors {
    /// When the agent began, in seconds since 1970.
    since: i64,
    zones: HashMap<String, Seen>,
}

/// A value and when it was seen.
type At = (i32, i64);

/// What was seen of one zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Seen {
    reset: Option<i64>,
    last: Option<i64>,
    lowest: Option<At>,
    highest: Option<At>,
    low_alarm: Option<i64>,
    high_alarm: Option<i64>,
}

impl Seen {
    /// Alarms that are [`NOTHING`] are none.
    fn take(&mut self, value: i32, now: i64, low: i32, high: i32) {
        self.last = Some(now);
        if self.lowest.is_none_or(|(lowest, _)| value < lowest) {
            self.lowest = Some((value, now));
        }
        if self.highest.is_none_or(|(highest, _)| value > highest) {
            self.highest = Some((value, now));
        }
        if low > NOTHING && value <= low {
            self.low_alarm.get_or_insert(now);
        }
        if high > NOTHING && value >= high {
            self.high_alarm.get_or_insert(now);
        }
    }
}

impl Sensors {
    /// Of an agent that begins now.
    pub fn new(since: i64) -> Sensors {
        Sensors { since, zones: HashMap::new() }
    }
}

impl System {
    /// Looks at the zones that are due; gives the seconds until the next one is, none without any. The time is in
    /// seconds since 1970.
    pub fn measure(&mut self, now: i64) -> Option<u64> {
        let mut next = None;
        for zone in names(self) {
            if !is_enabled(self, &zone) {
                continue;
            }
            let told = self.agent(&key(&zone, "interval")).and_then(|text| text.parse::<u32>().ok());
            let interval = told.filter(|seconds| *seconds > 0).map_or(INTERVAL, u64::from);
            let last = self.sensors.zones.get(&zone).and_then(|seen| seen.last);
            // A clock that was set back makes no long pause.
            let passed =
                last.map_or(interval, |last| u64::try_from(now.saturating_sub(last)).unwrap_or(interval));
            let left = interval.saturating_sub(passed);
            if left == 0 {
                // What is remembered of the file is as old as the session before.
                let text = self.root.read(format!("{PLACE}/{zone}/temp"), 64).unwrap_or_default();
                if let Some(value) = celsius(&String::from_utf8_lossy(&text)) {
                    take(self, &zone, value, now);
                }
            }
            let due = if left == 0 { interval } else { left };
            next = Some(next.map_or(due, |next: u64| next.min(due)));
        }
        next
    }

    /// Begins anew with what was seen of a zone.
    pub fn forget_seen(&mut self, zone: &str, now: i64) {
        let fresh = Seen { reset: Some(now), ..Seen::default() };
        self.sensors.zones.insert(zone.to_owned(), fresh);
    }
}

fn names(system: &mut System) -> Vec<String> {
    let is_zone = |name: &String| name.strip_prefix("thermal_zone").is_some_and(|n| n.parse::<u16>().is_ok());
    system.names(PLACE).into_iter().filter(is_zone).take(MAX_ZONES).collect()
}

fn zones(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let row = |name: String| Row { addr: name.clone(), name, cols: Vec::new() };
    Ok(names(system).into_iter().map(row).collect())
}

fn key(zone: &str, what: &str) -> String {
    format!("thermal.{zone}.{what}")
}

fn number(system: &System, zone: &str, what: &str, default: i32) -> i32 {
    system.agent(&key(zone, what)).and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The kernel may have switched it off, too.
fn is_enabled(system: &mut System, zone: &str) -> bool {
    let off = system.text(&format!("{PLACE}/{zone}/mode")).is_some_and(|mode| mode.trim() == "disabled");
    !off && system.agent(&key(zone, "enable")) != Some("0")
}

fn take(system: &mut System, zone: &str, value: i32, now: i64) {
    let (low, high) = (number(system, zone, "low", NOTHING), number(system, zone, "high", NOTHING));
    system.sensors.zones.entry(zone.to_owned()).or_default().take(value, now, low, high);
}

fn thermal(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(zone) = at.row().map(|row| row.addr.clone()) else { return Ok(None) };
    let on = is_enabled(system, &zone);
    let (now, _) = system.now();
    let text = system.text(&format!("{PLACE}/{zone}/temp"));
    let value = text.and_then(|text| celsius(&text)).filter(|_| on);
    if let Some(value) = value {
        take(system, &zone, value, now);
    }
    let since = system.sensors.since;
    let seen = system.sensors.zones.get(&zone).copied().unwrap_or_default();
    let value_of = |at: Option<At>| at.map(|(value, _)| value.to_string());
    let time_of = |at: Option<i64>| at.map(date::format_utc);
    Ok(match what {
        "status" if !on => Some("Disabled".to_owned()),
        "status" => Some(if value.is_some() { "Enabled" } else { "Error" }.to_owned()),
        "value" => value.map(|value| value.to_string()),
        "time" => time_of(seen.last),
        "lowest" => value_of(seen.lowest),
        "lowest_time" => time_of(seen.lowest.map(|(_, time)| time)),
        "highest" => value_of(seen.highest),
        "highest_time" => time_of(seen.highest.map(|(_, time)| time)),
        "low_alarm_time" => time_of(seen.low_alarm),
        "high_alarm_time" => time_of(seen.high_alarm),
        _ => Some(date::format_utc(seen.reset.unwrap_or(since))),
    }
    .map(Raw::One))
}

/// Whole degrees of the kernel's thousandths; nothing colder than nature allows.
fn celsius(text: &str) -> Option<i32> {
    let thousandths: i32 = text.trim().parse().ok()?;
    Some(thousandths.div_euclid(1000)).filter(|degrees| *degrees >= -273)
}

/// `enable`, `interval`, `low` or `high`.
fn setting(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(zone) = at.row().map(|row| row.addr.clone()) else { return Ok(None) };
    if what == "enable" {
        return Ok(Some(Raw::one(if is_enabled(system, &zone) { "1" } else { "0" })));
    }
    Ok(system.agent(&key(&zone, what)).map(Raw::one))
}

fn set_setting(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let zone = at.row().map(|row| row.addr.clone()).unwrap_or_default();
    system.staging().agent.insert(key(&zone, what), raw.text());
    Ok(())
}

/// A command: true until it is committed.
fn reset(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let zone = at.row().map(|row| row.addr.clone()).unwrap_or_default();
    Ok(Some(Raw::one(if system.is_ordered(&Order::Forget(zone)) { "1" } else { "0" })))
}

fn set_reset(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    if topology::truth(&raw.text()) {
        let zone = at.row().map(|row| row.addr.clone()).unwrap_or_default();
        system.order(Order::Forget(zone));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperatures() {
        for (text, degrees) in [
            ("62224\n", Some(62)),
            ("-1500", Some(-2)),
            ("x", None),
            ("-999999", None),
            ("99999999999", None),
        ] {
            assert_eq!(celsius(text), degrees, "{text}");
        }
    }

    #[test]
    fn what_was_seen() {
        let mut seen = Seen::default();
        for (value, now) in [(50, 1), (40, 2), (71, 3), (39, 4), (75, 5), (60, 6)] {
            seen.take(value, now, 40, 70);
        }
        assert_eq!((seen.lowest, seen.highest, seen.last), (Some((39, 4)), Some((75, 5)), Some(6)));
        assert_eq!((seen.low_alarm, seen.high_alarm), (Some(2), Some(3)));
        let mut calm = Seen::default();
        calm.take(10, 1, NOTHING, NOTHING);
        assert_eq!((calm.low_alarm, calm.high_alarm), (None, None));
    }
}
