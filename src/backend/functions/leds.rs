//! `Device.LEDs.`: what `/sys/class/leds` has, with the section `led` of `/etc/config/system` that is about it.

use super::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "led", get: led, set: None }];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "leds", rows: leds, add: None, delete: None },
    TableFn { name: "led_cycle", rows: cycle, add: None, delete: None },
];

const PLACE: &str = "/sys/class/leds";

fn leds(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let row = |name: String| Row { addr: name.clone(), name, cols: Vec::new() };
    Ok(system.names(PLACE).into_iter().map(row).collect())
}

/// The colours of the kernel's names (`red:status`, `board:green:lan`), as web browsers show them.
const COLOURS: [(&str, &str); 9] = [
    ("white", "FFFFFF"),
    ("red", "FF0000"),
    ("green", "00FF00"),
    ("blue", "0000FF"),
    ("amber", "FFBF00"),
    ("violet", "EE82EE"),
    ("yellow", "FFFF00"),
    ("orange", "FFA500"),
    ("purple", "800080"),
];
/// What one that is dark shows.
const DARK: &str = "000000";

/// What is lit when an LED is: the colour of its name, or the mixture of one with several.
fn colour(system: &mut System, name: &str) -> String {
    let mixed = system.text(&format!("{PLACE}/{name}/multi_index"));
    if let Some(order) = mixed {
        let parts = system.text(&format!("{PLACE}/{name}/multi_intensity")).unwrap_or_default();
        return mixture(&order, &parts);
    }
    let part = |word: &str| COLOURS.iter().find(|(known, _)| *known == word).map(|(_, shown)| *shown);
    name.split(':').find_map(part).unwrap_or_default().to_owned()
}

fn mixture(order: &str, parts: &str) -> String {
    let parts: Vec<&str> = parts.split_whitespace().collect();
    let of = |wanted: &str| {
        let at = order.split_whitespace().position(|word| word == wanted);
        let part: Option<u32> = at.and_then(|at| parts.get(at)?.parse().ok());
        part.unwrap_or(0).min(255)
    };
    format!("{:02X}{:02X}{:02X}", of("red"), of("green"), of("blue"))
}

/// The two parts of a blinking LED; an LED that does not blink has no cycle. Columns: order, colour, milliseconds.
fn cycle(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let name = at.rows.first().map(|instance| instance.row.addr.clone()).unwrap_or_default();
    let text = system.text(&format!("{PLACE}/{name}/trigger")).unwrap_or_default();
    if trigger(&text) != Some("timer") {
        return Ok(Vec::new());
    }
    let lit = colour(system, &name);
    let mut out = Vec::new();
    for (order, part, shown) in [("1", "on", &*lit), ("2", "off", DARK)] {
        let told = system.text(&format!("{PLACE}/{name}/delay_{part}"));
        let delay: u32 = told.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let cols = vec![order.to_owned(), shown.to_owned(), delay.to_string()];
        out.push(Row { name: part.to_owned(), addr: part.to_owned(), cols });
    }
    Ok(out)
}

fn led(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let name = at.row().map(|row| row.addr.clone()).unwrap_or_default();
    let text = system.text(&format!("{PLACE}/{name}/trigger")).unwrap_or_default();
    let trigger = trigger(&text).unwrap_or("none").to_owned();
    let lit = system.text(&format!("{PLACE}/{name}/brightness")).is_some_and(|text| text.trim() != "0");
    let used = lit || trigger != "none";
    if matches!(what, "element" | "color" | "duration") {
        let part = if lit { "on" } else { "off" };
        let now = cycle(system, at, "")?.into_iter().find(|row| row.name == part);
        return Ok(match (what, now) {
            ("color", _) if !lit => Some(DARK.to_owned()),
            ("color", _) => Some(colour(system, &name)),
            ("element", now) => now.map(|row| row.name),
            (_, now) => now.and_then(|row| row.cols.into_iter().nth(2)),
        }
        .map(Raw::One));
    }
    Ok(Some(Raw::One(match what {
        "repetitions" => if trigger == "timer" { "-1" } else { "0" }.to_owned(),
        "enable" => if used { "1" } else { "0" }.to_owned(),
        "status" => if used { "InUse" } else { "Disabled" }.to_owned(),
        _ => {
            let mut reason = String::new();
            for section in system.sections("system", "led")? {
                let address = format!("system.{}", section.addr);
                if topology::text(system, &address, "sysfs")? == name {
                    reason = topology::text(system, &address, "name")?;
                }
            }
            if reason.is_empty() && used { trigger } else { reason }
        }
    })))
}

/// The one in brackets of all that the kernel knows.
fn trigger(text: &str) -> Option<&str> {
    text.split_once('[')?.1.split_once(']').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixtures() {
        for (order, parts, expected) in [
            ("red green blue\n", "255 16 0\n", "FF1000"),
            ("green red", "1 2", "020100"),
            ("red", "999999", "FF0000"),
            ("", "x", "000000"),
        ] {
            assert_eq!(mixture(order, parts), expected, "{order} {parts}");
        }
    }

    #[test]
    fn triggers() {
        for (text, expected) in [
            ("none timer [heartbeat] default-on netdev\n", Some("heartbeat")),
            ("[none] timer", Some("none")),
            ("none", None),
            ("[", None),
        ] {
            assert_eq!(trigger(text), expected, "{text}");
        }
    }
}
