//! Decimal numbers with a fraction, without floating point: the parser of the standard library
//! brings 14 KB along, its printer as much, and routers have no floating point unit.

use std::time::Duration;

/// A number of seconds as people write it (`5`, `0.25`), to the millisecond; what comes after that is
/// cut off. `None` for anything but digits with at most one point among or beside them.
pub fn seconds(text: &str) -> Option<Duration> {
    let (whole, thousandths) = parts(text)?;
    Some(Duration::from_secs(whole.into()) + Duration::from_millis(thousandths.into()))
}

/// The whole number that is nearest to one with a sign or without and a fraction or without, such as `-10.5`; halves
/// go away from zero. What comes after the thousandths is cut off first. `None` for anything else.
pub fn rounded(text: &str) -> Option<i64> {
    let (text, is_negative) = match text.as_bytes().first() {
        Some(b'-') => (&text[1..], true),
        Some(b'+') => (&text[1..], false),
        _ => (text, false),
    };
    let (whole, thousandths) = parts(text)?;
    let number = i64::from(whole) + i64::from(thousandths >= 500);
    Some(if is_negative { -number } else { number })
}

/// The whole number nearest to a measured one, which [`rounded`] would give of its text; `None` for what 32 bits and a
/// sign do not hold.
pub fn nearest(number: f64) -> Option<i64> {
    let most = f64::from(u32::MAX);
    let number = number.round();
    // In these bounds a cast changes nothing; nothing that is no number lies in them.
    (-most..=most).contains(&number).then_some(number as i64)
}

/// What stands before the point, and the thousandths behind it.
fn parts(text: &str) -> Option<(u32, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits = fraction.bytes().chain(*b"000").take(3);
    Some((whole, digits.fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_whole_numbers() {
        let check = |text, expected| assert_eq!(rounded(text), expected, "{text}");
        check("-77.00", Some(-77));
        check("-10.5", Some(-11));
        check("-0.4", Some(0));
        check("+10.4999", Some(10));
        check("0.5", Some(1));
        check("4294967295.5", Some(4_294_967_296));
        for wrong in ["", "-", "--1", "-+1", ".", "1e3", "inf", "nan", "4294967296", "-1 dB", "\u{fc}"] {
            check(wrong, None);
        }
        for number in [-77.0, -10.5, -0.4, 0.5, 1234.499, 4_294_967_295.0] {
            assert_eq!(nearest(number), rounded(&number.to_string()), "{number}");
        }
        for beyond in [f64::NAN, f64::INFINITY, -1e10, 4_294_967_296.0] {
            assert_eq!(nearest(beyond), None);
        }
    }

    #[test]
    fn numbers() {
        let check = |text, expected: Option<u64>| {
            assert_eq!(seconds(text), expected.map(Duration::from_millis), "{text}");
        };
        check("5", Some(5000));
        check("0.25", Some(250));
        check(".5", Some(500));
        check("5.", Some(5000));
        check("0.0129", Some(12));
        check("4294967295.999", Some(4_294_967_295_999));
        for wrong in ["", ".", "-1", "+1", " 1", "1e3", "inf", "NaN", "1.2.3", "5s", "4294967296", "1,5"] {
            check(wrong, None);
        }
    }
}
