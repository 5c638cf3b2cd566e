//! Dates as CWMP writes them (ISO 8601, TR-106 3.2.2) and seconds of the Unix epoch, both ways.
//!
//! A leap second is not representable, as in the epoch itself. Years run from 1 to 9999; whatever
//! lies outside is clamped to the two ends, which are the standard's *unknown* and *infinite*.

use crate::model::value::is_date_time;

/// What a dateTime of TR-106 can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// `0001-01-01T00:00:00Z`: not known, or not happened.
    Unknown,
    /// Without a time zone in the year 1: seconds since boot.
    SinceBoot(u64),
    /// Seconds since 1970-01-01T00:00:00Z. A later date without a zone is read as UTC.
    At(i64),
    /// `9999-12-31T23:59:59Z`: never ends.
    Infinite,
}

/// The first second of the year 1.
const FIRST: i64 = -62_135_596_800;
/// The last second of the year 9999.
const LAST: i64 = 253_402_300_799;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// Reads a dateTime; a fraction of a second is dropped. `None` if it is not one.
pub fn parse(text: &str) -> Option<Moment> {
    let text = text.trim();
    if !is_date_time(text) {
        return None;
    }
    let field = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let time = field(11, 13)? * 3600 + field(14, 16)? * 60 + field(17, 19)?;
    let local = days_from_civil(year, month, day) * DAY + time;
    let zone = text[19..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    if zone.is_empty() && year == 1 {
        return Some(Moment::SinceBoot(u64::try_from(local - FIRST).ok()?));
    }
    let offset = match zone.as_bytes() {
        [sign @ (b'+' | b'-'), ..] => {
            let minutes = zone.get(1..3)?.parse::<i64>().ok()? * 60 + zone.get(4..6)?.parse::<i64>().ok()?;
            if *sign == b'-' { -minutes * 60 } else { minutes * 60 }
        }
        _ => 0,
    };
    Some(match local - offset {
        ..=FIRST => Moment::Unknown,
        LAST.. => Moment::Infinite,
        epoch => Moment::At(epoch),
    })
}

/// `2026-11-21T05:00:00Z`: the form of every dateTime but CurrentTime.
pub fn format_utc(epoch: i64) -> String {
    format!("{}Z", civil(epoch.clamp(FIRST, LAST)))
}

/// `Sat, 21 Nov 2026 05:00:00 GMT`: as HTTP writes it (RFC 9110 5.6.7).
pub fn format_http(epoch: i64) -> String {
    let epoch = epoch.clamp(FIRST, LAST);
    let days = epoch.div_euclid(DAY);
    let (year, month, day) = civil_from_days(days);
    let three = |names: &'static str, at: i64| {
        let at = usize::try_from(at * 3).unwrap_or(0);
        names.get(at..at + 3).unwrap_or_default()
    };
    let weekday = three("SunMonTueWedThuFriSat", (days + 4).rem_euclid(7));
    let month = three("JanFebMarAprMayJunJulAugSepOctNovDec", month - 1);
    format!("{weekday}, {day:02} {month} {year:04} {} GMT", &civil(epoch)[11..])
}

/// `2026-11-21T06:00:00+01:00`: local time with its offset to UTC in minutes, as Inform.CurrentTime
/// wants it (TR-069 A.3.3.1). An offset beyond 14 hours is clamped to it.
pub fn format_local(epoch: i64, offset_minutes: i32) -> String {
    let offset = i64::from(offset_minutes.clamp(-14 * 60, 14 * 60));
    let local = epoch.clamp(FIRST, LAST).saturating_add(offset * 60).clamp(FIRST, LAST);
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{}{sign}{:02}:{:02}", civil(local), offset.abs() / 60, offset.abs() % 60)
}

/// `0001-01-03T03:04:05`: a time relative to boot, for a device whose clock was never set.
pub fn format_since_boot(seconds: u64) -> String {
    // Nothing is up for longer than the year 1, whose end still reads as a relative time.
    let most = u64::try_from(365 * DAY - 1).unwrap_or(0);
    civil(FIRST + i64::try_from(seconds.min(most)).unwrap_or(0))
}

/// `YYYY-MM-DDThh:mm:ss` of an epoch second within the years 1 to 9999.
fn civil(epoch: i64) -> String {
    let (days, second) = (epoch.div_euclid(DAY), epoch.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. A year is taken to begin in March, so
/// that the leap day is its last and every month before it has a fixed place.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The date of a day since 1970-01-01: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, in_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let of_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * of_era + of_era / 4 - of_era / 100);
    let march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (era * 400 + of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_of_http() {
        assert_eq!(format_http(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(format_http(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(format_http(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
        assert_eq!(format_http(1_709_208_000), "Thu, 29 Feb 2024 12:00:00 GMT");
    }

    fn check(text: &str, expected: Option<Moment>) {
        assert_eq!(parse(text), expected, "{text:?}");
    }

    #[test]
    fn reads() {
        check("1970-01-01T00:00:00Z", Some(Moment::At(0)));
        check("1969-12-31T23:59:59Z", Some(Moment::At(-1)));
        // `date -u -d ... +%s` of GNU coreutils gave these.
        check("2000-02-29T12:00:00Z", Some(Moment::At(951_825_600)));
        check("2026-11-21T05:00:00Z", Some(Moment::At(1_795_237_200)));
        check("2026-11-21T06:00:00+01:00", Some(Moment::At(1_795_237_200)));
        check("2026-11-20T21:30:00.250-07:30", Some(Moment::At(1_795_237_200)));
        check("2026-11-21T05:00:00.999", Some(Moment::At(1_795_237_200)));
        check(" 2026-11-21T05:00:00Z ", Some(Moment::At(1_795_237_200)));
        check("0001-01-01T00:00:00Z", Some(Moment::Unknown));
        check("0001-01-01T00:00:00+01:00", Some(Moment::Unknown));
        check("9999-12-31T23:59:59Z", Some(Moment::Infinite));
        check("0001-01-03T03:04:05", Some(Moment::SinceBoot(2 * 86_400 + 3 * 3600 + 4 * 60 + 5)));
        check("0001-01-01T00:00:00", Some(Moment::SinceBoot(0)));
        for bad in [
            "",
            "2026-11-21",
            "2026-02-30T00:00:00Z",
            "2026-11-21T05:00:00+99:00",
            "x",
            "2026-11-21T25:00:00Z",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn writes() {
        assert_eq!(format_utc(1_795_237_200), "2026-11-21T05:00:00Z");
        assert_eq!(format_utc(951_825_599), "2000-02-29T11:59:59Z");
        assert_eq!(format_utc(i64::MIN), crate::cwmp::rpc::UNKNOWN_TIME);
        assert_eq!(format_utc(i64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(format_local(1_795_237_200, 60), "2026-11-21T06:00:00+01:00");
        assert_eq!(format_local(1_795_237_200, -210), "2026-11-21T01:30:00-03:30");
        assert_eq!(format_local(1_795_237_200, 0), "2026-11-21T05:00:00+00:00");
        assert_eq!(format_local(i64::MAX, i32::MAX), "9999-12-31T23:59:59+14:00");
        assert_eq!(format_since_boot(2 * 86_400 + 3 * 3600 + 4 * 60 + 5), "0001-01-03T03:04:05");
        assert_eq!(parse(&format_since_boot(u64::MAX)), Some(Moment::SinceBoot(365 * 86_400 - 1)));
    }

    proptest! {
        #[test]
        fn round_trips(epoch in FIRST + 1..LAST, offset in -840..=840i32) {
            prop_assert_eq!(parse(&format_utc(epoch)), Some(Moment::At(epoch)));
            let near = epoch.clamp(FIRST + 2 * DAY, LAST - 2 * DAY);
            prop_assert_eq!(parse(&format_local(near, offset)), Some(Moment::At(near)));
        }

        #[test]
        fn any_text_is_safe(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn near_misses_are_safe(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.0-9Z:+-]{0,8}") {
            let _ = parse(&text);
        }
    }
}
