//! Local time from a POSIX time zone string, as OpenWrt keeps it in `system.@system[0].timezone`.
//!
//! `Inform.CurrentTime` wants local time with its numeric offset, daylight saving included (TR-069
//! A.3.3.1), and the log wants local time. Rules are those of POSIX.1 8.3: `CET-1CEST,M3.5.0,M10.5.0/3`,
//! also `<+0330>-3:30`, `Jn` and `n`.

/// A parsed zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Zone {
    /// Seconds east of UTC outside of daylight saving.
    standard: i32,
    summer: Option<Summer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Summer {
    /// Seconds east of UTC.
    offset: i32,
    start: Change,
    end: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    day: Day,
    /// Seconds after local midnight.
    at: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    /// 1 to 365, February 29 never counted.
    Julian(i64),
    /// 0 to 365.
    Count(i64),
    /// Month, week 1 to 5 (5: the last), day of the week with Sunday 0.
    Weekday(i64, i64, i64),
}

impl Zone {
    /// Parses a POSIX time zone; anything that is not one is UTC.
    pub fn parse(text: &str) -> Zone {
        Zone::try_parse(text.trim()).unwrap_or_default()
    }

    /// Whether a text is a POSIX time zone.
    pub fn is_zone(text: &str) -> bool {
        Zone::try_parse(text).is_some()
    }

    /// Seconds east of UTC at an epoch second.
    pub fn offset_at(&self, epoch: i64) -> i32 {
        let Some(summer) = self.summer else { return self.standard };
        let year = year_of(epoch.saturating_add(i64::from(self.standard)));
        let start = instant(year, summer.start) - i64::from(self.standard);
        let end = instant(year, summer.end) - i64::from(summer.offset);
        let inside = if start < end {
            (start..end).contains(&epoch)
        } else {
            // South of the equator summer spans the new year.
            !(end..start).contains(&epoch)
        };
        if inside { summer.offset } else { self.standard }
    }

    fn try_parse(text: &str) -> Option<Zone> {
        if text.len() > 64 || !text.is_ascii() {
            return None;
        }
        let rest = skip_name(text)?;
        // Not POSIX, but what everybody writes for no offset at all.
        if rest.is_empty() && matches!(text, "UTC" | "GMT") {
            return Some(Zone::default());
        }
        let (standard, rest) = offset(rest)?;
        if rest.is_empty() {
            return Some(Zone { standard: -standard, summer: None });
        }
        let rest = skip_name(rest)?;
        let (ahead, rest) = match offset(rest) {
            Some((given, rest)) => (-given, rest),
            None => (-standard + 3600, rest),
        };
        // Without rules POSIX leaves them open; the ones of the United States are the custom.
        let rules = rest.strip_prefix(',').unwrap_or("M3.2.0,M11.1.0");
        let (start, end) = rules.split_once(',')?;
        let summer = Summer { offset: ahead, start: change(start)?, end: change(end)? };
        Some(Zone { standard: -standard, summer: Some(summer) })
    }
}

fn skip_name(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        return quoted.split_once('>').map(|(_, rest)| rest);
    }
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    (letters >= 3).then(|| &text[letters..])
}

/// `[+-]hh[:mm[:ss]]` in seconds, and what follows. The sign is POSIX's: west is positive.
fn offset(text: &str) -> Option<(i32, &str)> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let end = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b':').count();
    Some((sign * clock(&rest[..end])?, &rest[end..]))
}

fn clock(text: &str) -> Option<i32> {
    let mut total = 0;
    let mut unit = 3600;
    for part in text.split(':') {
        let number: i32 = part.parse().ok()?;
        if unit == 0 || number > if unit == 3600 { 167 } else { 59 } {
            return None;
        }
        total += number * unit;
        unit /= 60;
    }
    Some(total)
}

fn change(text: &str) -> Option<Change> {
    let (day, at) = match text.split_once('/') {
        Some((day, at)) => {
            let (seconds, rest) = offset(at)?;
            if !rest.is_empty() {
                return None;
            }
            (day, seconds)
        }
        None => (text, 7200),
    };
    let bounded = |text: &str, least: i64, most: i64| {
        text.parse::<i64>().ok().filter(|number| (least..=most).contains(number))
    };
    let day = if let Some(rest) = day.strip_prefix('M') {
        let mut parts = rest.split('.');
        let day = Day::Weekday(
            bounded(parts.next()?, 1, 12)?,
            bounded(parts.next()?, 1, 5)?,
            bounded(parts.next()?, 0, 6)?,
        );
        if parts.next().is_some() {
            return None;
        }
        day
    } else if let Some(rest) = day.strip_prefix('J') {
        Day::Julian(bounded(rest, 1, 365)?)
    } else {
        Day::Count(bounded(day, 0, 365)?)
    };
    Some(Change { day, at })
}

/// Local seconds since 1970 of a change in a year.
fn instant(year: i64, change: Change) -> i64 {
    let day = match change.day {
        Day::Count(day) => days_from_civil(year, 1) + day,
        Day::Julian(day) => {
            let leap_passed = day >= 60 && days_from_civil(year + 1, 1) - days_from_civil(year, 1) == 366;
            days_from_civil(year, 1) + day - 1 + i64::from(leap_passed)
        }
        Day::Weekday(month, week, weekday) => {
            let first = days_from_civil(year, month);
            let next =
                if month == 12 { days_from_civil(year + 1, 1) } else { days_from_civil(year, month + 1) };
            // 1970-01-01 was a Thursday.
            let ahead = (weekday - (first + 4)).rem_euclid(7);
            let mut day = first + ahead + (week - 1) * 7;
            if day >= next {
                day -= 7;
            }
            day
        }
    };
    day * 86_400 + i64::from(change.at)
}

/// Days since 1970 of the first of a month, in the Gregorian calendar.
fn days_from_civil(year: i64, month: i64) -> i64 {
    // A year that begins in March has its leap day at the end.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn year_of(epoch: i64) -> i64 {
    // Years 1 to 9999, as dateTime has them; a quotient by 366 is at most a few years off there.
    let day = epoch.clamp(-62_135_596_800, 253_402_300_799).div_euclid(86_400);
    let mut year = 1970 + day.div_euclid(366);
    while days_from_civil(year + 1, 1) <= day {
        year += 1;
    }
    while days_from_civil(year, 1) > day {
        year -= 1;
    }
    year
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, epoch: i64, minutes: i32) {
        assert_eq!(Zone::parse(zone).offset_at(epoch), minutes * 60, "{zone} at {epoch}");
    }

    #[test]
    fn offsets() {
        const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
        // 2026-03-29T01:00:00Z and 2026-10-25T01:00:00Z are the changes.
        check(BERLIN, 1_774_746_000 - 1, 60);
        check(BERLIN, 1_774_746_000, 120);
        check(BERLIN, 1_792_890_000 - 1, 120);
        check(BERLIN, 1_792_890_000, 60);
        // Sydney: 2026-01-01 is summer, 2026-07-01 is not.
        check("AEST-10AEDT,M10.1.0,M4.1.0/3", 1_767_225_600, 660);
        check("AEST-10AEDT,M10.1.0,M4.1.0/3", 1_782_864_000, 600);
        check("<+0330>-3:30", 0, 210);
        check("EST5EDT,M3.2.0,M11.1.0", 1_767_225_600, -300);
        check("EST5EDT", 1_782_864_000, -240);
        check("UTC", 0, 0);
        check("UTC0", 0, 0);
        check("IST-1GMT0,M10.5.0,M3.5.0/1", 1_767_225_600, 0);
        check("AAA3BBB,J60,300", 1_782_864_000, -120);
        for nonsense in ["", "x", "CET", "CET-1CEST,M13.5.0,M10.5.0", "CET-999", "Ä-1", "CET-1CEST,M3.5.0"] {
            check(nonsense, 1_782_864_000, 0);
        }
        for epoch in [i64::MIN / 4, i64::MAX / 4] {
            Zone::parse(BERLIN).offset_at(epoch);
        }
    }
}
