//! Named conversions between a system's words and the model's: what `"via":"name"` calls.

/// One conversion, both ways; `None` when the text cannot be converted.
pub struct Convert {
    /// As the data model files call it.
    pub name: &'static str,
    /// From the system's word.
    pub get: fn(&str) -> Option<String>,
    /// To the system's word.
    pub set: fn(&str) -> Option<String>,
}

/// All of them.
pub const CONVERSIONS: &[Convert] = &[
    // Network devices, DHCP, Wi-Fi.
    Convert { name: "line_speed", get: line_speed, set: |_| None },
    Convert { name: "counter32", get: counter32, set: |_| None },
    Convert { name: "bridge_port_priority", get: port_priority, set: |_| None },
    Convert { name: "lease_time", get: lease_seconds, set: lease_time },
    Convert { name: "country", get: regulatory_domain, set: country },
    Convert { name: "address_word", get: |text| Some(text.to_owned()), set: address_word },
    Convert { name: "host_prefix6", get: host_prefix6, set: short_prefix6 },
    Convert { name: "ula_prefix", get: ula_prefix, set: |text| Some(text.to_owned()) },
    Convert { name: "hexadecimal", get: hexadecimal, set: |_| None },
    Convert { name: "plain_text", get: |text| Some(text.to_owned()), set: plain_text },
];

/// The conversion of that name.
pub fn named(name: &str) -> Option<&'static Convert> {
    CONVERSIONS.iter().find(|convert| convert.name == name)
}

/// A port without a link has the speed -1, and no bit rate.
fn line_speed(text: &str) -> Option<String> {
    let speed: i64 = text.trim().parse().ok()?;
    Some(speed.max(0).to_string())
}

/// `auto` stands there until the first boot has drawn a prefix: netifd itself takes it for none.
fn ula_prefix(text: &str) -> Option<String> {
    Some(if text == "auto" { "" } else { text }.to_owned())
}

/// Digits of base 16 without a sign before them, as the kernel has the numbers of USB.
fn hexadecimal(text: &str) -> Option<String> {
    u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok().map(|number| number.to_string())
}

/// The kernel counts in 64 bits where TR-181 has 32, which wrap (TR-106 StatsCounter32).
fn counter32(text: &str) -> Option<String> {
    let count: u64 = text.trim().parse().ok()?;
    Some((count & u64::from(u32::MAX)).to_string())
}

/// The kernel has the upper six bits of the priority, TR-181 all eight.
fn port_priority(text: &str) -> Option<String> {
    let priority: u32 = text.trim().parse().ok()?;
    priority.checked_mul(4).map(|priority| priority.to_string())
}

/// `12h` and its like as seconds; `infinite` is -1.
fn lease_seconds(text: &str) -> Option<String> {
    let text = text.trim();
    if text == "infinite" {
        return Some("-1".to_owned());
    }
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[split..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let seconds = text[..split].parse::<i32>().ok()?.checked_mul(unit)?;
    Some(seconds.to_string())
}

fn lease_time(text: &str) -> Option<String> {
    let seconds: i32 = text.trim().parse().ok()?;
    Some(match seconds {
        -1 => "infinite".to_owned(),
        // dnsmasq makes no lease shorter than two minutes.
        ..120 => return None,
        _ if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        _ if seconds % 60 == 0 => format!("{}m", seconds / 60),
        _ => seconds.to_string(),
    })
}

/// `DE` as TR-181 has it: the third octet is a blank for all environments.
fn regulatory_domain(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())).then(|| format!("{text} "))
}

fn country(text: &str) -> Option<String> {
    let (code, environment) = text.split_at_checked(2)?;
    let known = code.bytes().all(|byte| byte.is_ascii_uppercase()) && matches!(environment, " " | "O" | "I");
    known.then(|| code.to_owned())
}

/// Names and keys of networks: the scripts write them into configuration files line by line, so a value
/// with a line break would be one with an option of its own.
fn plain_text(text: &str) -> Option<String> {
    (!text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// An address alone is a prefix of all its bits.
fn host_prefix6(text: &str) -> Option<String> {
    let text = text.trim();
    Some(if text.is_empty() || text.contains('/') { text.to_owned() } else { format!("{text}/128") })
}

fn short_prefix6(text: &str) -> Option<String> {
    Some(text.strip_suffix("/128").unwrap_or(text).to_owned())
}

/// An address, a prefix or a number, which a script may put anywhere in a line.
fn address_word(text: &str) -> Option<String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'/');
    text.bytes().all(good).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, system: &str, model: Option<&str>) {
        assert_eq!((named(name).unwrap().get)(system).as_deref(), model, "{name} {system:?}");
    }

    fn check_set(name: &str, model: &str, system: Option<&str>) {
        assert_eq!((named(name).unwrap().set)(model).as_deref(), system, "{name} {model:?}");
    }

    #[test]
    fn counters() {
        check("counter32", "4294967297\n", Some("1"));
        check("counter32", "-1", None);
        check("bridge_port_priority", "32\n", Some("128"));
    }

    #[test]
    fn lease_times() {
        for (uci, seconds) in
            [("12h", "43200"), ("infinite", "-1"), ("2m", "120"), ("121", "121"), ("24h", "86400")]
        {
            check("lease_time", uci, Some(seconds));
            check_set("lease_time", seconds, Some(uci));
        }
        check("lease_time", "7d", Some("604800"));
        for bad in ["", "h", "12x", "99999999w", "1é", "1 h"] {
            check("lease_time", bad, None);
        }
        check_set("lease_time", "0", None);
        check_set("lease_time", "-2", None);
    }

    #[test]
    fn countries() {
        check("country", "DE", Some("DE "));
        check("country", "00", None);
        check_set("country", "DEO", Some("DE"));
        for bad in ["de ", "D", "DEX", "é ", ""] {
            check_set("country", bad, None);
        }
    }

    #[test]
    fn prefixes_of_hosts() {
        check("host_prefix6", "2001:db8::1", Some("2001:db8::1/128"));
        check("host_prefix6", "2001:db8::/64", Some("2001:db8::/64"));
        check_set("host_prefix6", "2001:db8::1/128", Some("2001:db8::1"));
    }

    #[test]
    fn words_of_addresses() {
        check_set("address_word", "2001:db8::/32", Some("2001:db8::/32"));
        check_set("address_word", "0x1f", Some("0x1f"));
        for bad in ["10.0.0.1;x", "a b", "$(x)", "a\n"] {
            check_set("address_word", bad, None);
        }
    }

    #[test]
    fn no_line_breaks() {
        check_set("plain_text", "Café 5 GHz", Some("Café 5 GHz"));
        check_set("plain_text", "a\nwpa=0", None);
    }
}
