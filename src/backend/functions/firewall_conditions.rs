//! What a section of `/etc/config/firewall` asks of a packet beyond what its row shows: UCI takes several protocols,
//! ports and addresses where TR-181 has room for one, and conditions that TR-181 has no parameter for.

use super::topology::words;
use super::{firewall, nat};
use crate::backend::{System, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "firewall_further", get: further, set: None }];

/// The most characters of one condition that are told.
const MAX_TEXT: usize = 512;
/// What fw4 takes where a section names no protocol.
const BOTH: [&str; 2] = ["tcp", "udp"];
/// Conditions that no parameter shows, of rules and mappings alike.
const UNSHOWN: &[&str] = &[
    "ipset",
    "helper",
    "mark",
    "limit",
    "limit_burst",
    "extra",
    "start_date",
    "stop_date",
    "start_time",
    "stop_time",
    "weekdays",
    "monthdays",
];
/// The same, of rules alone.
const UNSHOWN_OF_RULES: &[&str] = &["icmp_type", "device", "direction"];
/// The same, of mappings alone.
const UNSHOWN_OF_MAPPINGS: &[&str] = &["family", "src_mac", "src_port", "src_dip"];

/// The conditions of the innermost row, `rule` or `mapping`, that it shows in part or not at all: `option=words`.
fn further(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(row) = at.row() else { return Ok(None) };
    let (section, mapping) = (format!("firewall.{}", row.addr), what == "mapping");
    let mut out = Vec::new();
    let mut tell = |option: &str, words: &[String]| {
        out.push(format!("{option}={}", words.join(" ")).chars().take(MAX_TEXT).collect::<String>());
    };
    let mut proto = words(system, &section, "proto")?;
    if proto.is_empty() {
        proto = BOTH.map(str::to_owned).to_vec();
    }
    if !shows_protocols(&proto, mapping) {
        tell("proto", &proto);
    }
    let outside = words(system, &section, "src_dport")?;
    for option in if mapping { ["src_dport", "dest_port"] } else { ["src_port", "dest_port"] } {
        let given = words(system, &section, option)?;
        if !shows_ports(&given, mapping) || (mapping && option == "dest_port" && !follows(&given, &outside)) {
            tell(option, &given);
        }
    }
    if !mapping {
        for option in ["src_ip", "dest_ip", "src_mac"] {
            let given = words(system, &section, option)?;
            if given.len() > 1 {
                tell(option, &given);
            }
        }
    }
    for option in if mapping { UNSHOWN_OF_MAPPINGS } else { UNSHOWN_OF_RULES }.iter().chain(UNSHOWN) {
        let given = words(system, &section, option)?;
        let any = *option == "family" && given.iter().all(|word| word == "any");
        if !given.is_empty() && !any {
            tell(option, &given);
        }
    }
    Ok(Some(Raw::Many(out)))
}

/// A mapping shows TCP or UDP, a rule any one protocol that has a number, and all of them.
fn shows_protocols(proto: &[String], mapping: bool) -> bool {
    let [one] = proto else { return false };
    let word = one.to_ascii_lowercase();
    let all = matches!(&*word, "all" | "any" | "*" | "0");
    match mapping {
        true => matches!(&*word, "tcp" | "udp" | "6" | "17"),
        false => all || firewall::number(proto) >= 0,
    }
}

/// One port or range; only a rule can show that it is excluded.
fn shows_ports(given: &[String], mapping: bool) -> bool {
    match given {
        [] => true,
        [one] => !one.contains(',') && nat::ports(one).is_some() && !(mapping && one.starts_with('!')),
        _ => false,
    }
}

/// A range inside has no parameter for its end: it is told by that of the one outside, which has as many ports.
fn follows(inside: &[String], outside: &[String]) -> bool {
    let size = |given: &[String]| match nat::ports(given.first()?)? {
        (_, 0) => Some(0),
        (from, to) => Some(to - from),
    };
    inside.is_empty() || size(inside) == Some(0) || size(inside) == size(outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn protocols() {
        for (text, rule, mapping) in [
            ("tcp", true, true),
            ("UDP", true, true),
            ("17", true, true),
            ("tcp udp", false, false),
            ("tcpudp", false, false),
            ("all", true, false),
            ("icmp", true, false),
            ("esp", true, false),
            ("unheard-of", false, false),
        ] {
            assert_eq!(shows_protocols(&list(text), false), rule, "{text}");
            assert_eq!(shows_protocols(&list(text), true), mapping, "{text}");
        }
    }

    #[test]
    fn ports() {
        for (text, rule, mapping) in [
            ("", true, true),
            ("80", true, true),
            ("80-90", true, true),
            ("!22", true, false),
            ("80 443", false, false),
            ("80,443", false, false),
            ("http", false, false),
        ] {
            assert_eq!(shows_ports(&list(text), false), rule, "{text}");
            assert_eq!(shows_ports(&list(text), true), mapping, "{text}");
        }
        for (inside, outside, told) in [
            ("", "80", true),
            ("8080", "80-90", true),
            ("8080-8090", "80-90", true),
            ("8080-8081", "80", false),
        ] {
            assert_eq!(follows(&list(inside), &list(outside)), told, "{inside} {outside}");
        }
    }
}
