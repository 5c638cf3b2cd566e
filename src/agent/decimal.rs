//! Decimal numbers with a fraction, without floating point: the parser of the standard library
//! brings 14 KB along, and routers have no floating point unit.

use std::time::Duration;

/// A number of seconds as people write it (`5`, `0.25`), to the millisecond; what comes after that is
/// cut off. `None` for anything but digits with at most one point among or beside them.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let thousandths =
        fraction.bytes().chain(*b"000").take(3).fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
    Some(Duration::from_secs(whole.into()) + Duration::from_millis(thousandths))
}

#[cfg(test)]
mod tests {
    use super::*;

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
