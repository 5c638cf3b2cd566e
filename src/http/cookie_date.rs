//! The dates of cookies, in the many ways servers write them (RFC 6265 5.1.1).
//!
//! Pure. `Wed, 21 Oct 2037 07:28:00 GMT`, Netscape's `Wednesday, 21-Oct-37 07:28:00 GMT` and
//! asctime's `Wed Oct 21 07:28:00 2037` all come down to: a time, a day, a month, a year.

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Seconds since 1970, 0 for anything before; `None` for what is no date.
pub(crate) fn parse(text: &str) -> Option<u64> {
    if text.len() > 128 {
        return None;
    }
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).filter(|w| !w.is_empty()) {
        if time.is_none() && word.contains(':') {
            time = Some(clock(word)?);
        } else if let Ok(number) = word.parse::<u64>() {
            match (day, year) {
                (None, _) if word.len() <= 2 => day = Some(number),
                (_, None) if word.len() == 2 => year = Some(number + if number < 70 { 2000 } else { 1900 }),
                (_, None) if word.len() == 4 => year = Some(number),
                _ => return None,
            }
        } else if month.is_none() {
            let head = word.get(..3).unwrap_or_default().to_ascii_lowercase();
            month = MONTHS.iter().position(|name| *name == head);
        }
    }
    let (day, month, year, time) = (day?, month? as u64 + 1, year?, time?);
    if !(1..=31).contains(&day) || !(1601..=9999).contains(&year) {
        return None;
    }
    Some(days_since_1970(year, month, day).map_or(0, |days| days * 86_400 + time))
}

fn clock(word: &str) -> Option<u64> {
    let mut parts = word.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let right = parts.next().is_none() && hour < 24 && minute < 60 && second < 61;
    right.then_some(hour * 3600 + minute * 60 + second)
}

/// Days from 1970 to a date of the Gregorian calendar, `None` before.
// Counting years from March puts the leap day at the end of the year.
pub(crate) fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse(text), expected, "{text}");
    }

    #[test]
    fn forms() {
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777));
        check("Sun Nov  6 08:49:37 1994", Some(784_111_777));
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Thu, 29-Feb-2024 12:00:00 GMT", Some(1_709_208_000));
        check("Mon, 01 Jan 1601 00:00:00 GMT", Some(0));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799));
    }

    #[test]
    fn no_dates() {
        for text in
            ["", "soon", "99999999999999999999", "Wed, 99 Oct 2037 07:28:00 GMT", "21 Oct 2037 25:00:00"]
        {
            check(text, None);
        }
        check("21 Foo 2037 07:28:00", None);
        check("21 Oct 1500 07:28:00", None);
        check(&"1:".repeat(300), None);
    }
}
