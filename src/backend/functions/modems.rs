//! `Device.Cellular.`: what ModemManager tells of its modems, where the package modemmanager-rpcd brings it on ubus
//! (`modemmanager dump`: what `mmcli -J` prints, in a list), and its options in `/etc/config/network`. Of modems that are
//! driven by other programs there is nobody to ask.

use std::rc::Rc;

use super::topology;
use crate::backend::{System, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw};
use crate::model::error::Error;
use crate::sys::decimal;
use crate::ubus::blobmsg::{Table, Value};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "cell_modem", get: modem, set: None },
    ValueFn { name: "cell_preferred", get: preferred, set: Some(set_preferred) },
    ValueFn { name: "cell_roaming", get: roaming, set: Some(set_roaming) },
];

/// The protocol whose options these are.
const MANAGER: &str = "modemmanager";
/// What drives modems without asking for roaming: it is allowed.
const OTHERS: [&str; 7] = ["qmi", "mbim", "ncm", "wwan", "3g", "directip", "xmm"];

/// ModemManager's access technologies from the best, with TR-181's words.
const TECHNOLOGIES: [(&str, &str); 13] = [
    ("5gnr", "NR"),
    ("lte", "LTE"),
    ("hspa-plus", "UMTSHSPA"),
    ("hspa", "UMTSHSPA"),
    ("hsupa", "UMTSHSPA"),
    ("hsdpa", "UMTSHSPA"),
    ("umts", "UMTS"),
    ("evdob", "CDMA2000HRPD"),
    ("evdoa", "CDMA2000HRPD"),
    ("evdo0", "CDMA2000HRPD"),
    ("1xrtt", "CDMA2000OneX"),
    ("edge", "EDGE"),
    ("gprs", "GPRS"),
];
/// ModemManager's generations; the last word of each is the one that a preference is called by.
const GENERATIONS: [(&str, &[&str]); 4] =
    [("2g", &["GPRS", "EDGE"]), ("3g", &["UMTS", "UMTSHSPA"]), ("4g", &["LTE"]), ("5g", &["NR"])];

fn section(at: &Place<'_>) -> Result<String> {
    let row = at.row().ok_or_else(|| Error::unknown_name(at.name))?;
    Ok(format!("network.{}", row.addr))
}

fn is_managed(system: &mut System, section: &str) -> Result<bool> {
    Ok(topology::text(system, section, "proto")? == MANAGER)
}

fn dump(system: &mut System) -> Option<Rc<Table>> {
    system.ubus(MANAGER, "dump")
}

/// The modem of an interface: they name the same device of the kernel.
fn of<'t>(all: &'t Table, device: &str) -> Option<&'t Table> {
    let modems = all.array("modem").iter().filter_map(Value::as_table);
    let named =
        |modem: &Table| modem.table("generic").and_then(|it| it.text("device")).as_deref() == Some(device);
    modems.filter(|_| !device.is_empty()).find(|modem| named(modem))
}

/// A text; `--` is none.
fn told(table: Option<&Table>, name: &str) -> Option<String> {
    let text: String = table?.text(name)?.chars().filter(|c| !c.is_control()).take(64).collect();
    (!text.is_empty() && text != "--").then_some(text)
}

/// The texts of a list, or a text alone.
fn list(table: Option<&Table>, name: &str) -> Vec<String> {
    match table.and_then(|table| table.get(name)) {
        Some(Value::Array(items)) => {
            let text = |item: &Value| item.as_text().map(|text| text.to_str().into_owned());
            items.iter().take(64).filter_map(text).collect()
        }
        Some(Value::String(text)) => vec![text.to_str().into_owned()],
        _ => Vec::new(),
    }
}

fn modem(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    if !is_managed(system, &section)? {
        return Ok(None);
    }
    let device = topology::text(system, &section, "device")?;
    let Some(all) = dump(system) else { return Ok(None) };
    let Some(modem) = of(&all, &device) else { return Ok(None) };
    let (generic, network) = (modem.table("generic"), modem.table("3gpp"));
    Ok(match what {
        "imei" => told(network, "imei").filter(|imei| is_imei(imei)).map(Raw::One),
        "network" => told(network, "operator-name").map(Raw::One),
        "technology" => {
            let used = list(generic, "access-technologies");
            let best = TECHNOLOGIES.iter().find(|(word, _)| used.iter().any(|one| one == word));
            best.map(|(_, shown)| Raw::one(*shown))
        }
        "technologies" => {
            let modes = list(generic, "supported-modes").join(" ");
            let known = GENERATIONS.iter().filter(|(mode, _)| modes.contains(mode));
            Some(Raw::Many(known.flat_map(|(_, words)| *words).map(|word| (*word).to_owned()).collect()))
        }
        level => level_of(modem.table("signal"), level).map(Raw::One),
    })
}

fn is_imei(text: &str) -> bool {
    text.len() == 15 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A level in whole dBm or dB, of the newest kind of network that tells it.
fn level_of(signal: Option<&Table>, name: &str) -> Option<String> {
    let kinds = ["5g", "lte", "umts", "gsm", "evdo", "cdma1x"];
    let text = kinds.iter().find_map(|kind| told(signal?.table(kind), name))?;
    let level = decimal::rounded(text.trim())?;
    (-1000..=1000).contains(&level).then(|| level.to_string())
}

/// The generation and the one that is preferred in ModemManager's `allowed: 3g, 4g; preferred: 4g`.
fn mode(text: &str) -> Option<(String, &str)> {
    let (allowed, preferred) = text.split_once(';')?;
    let allowed = allowed.trim().strip_prefix("allowed:")?;
    let preferred = preferred.trim().strip_prefix("preferred:")?.trim();
    let allowed: Vec<&str> = allowed.split(',').map(str::trim).collect();
    Some((allowed.join("|"), preferred))
}

fn preferred(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let told = match is_managed(system, &section)? {
        true => topology::text(system, &section, "preferredmode")?,
        false => String::new(),
    };
    let found = GENERATIONS.iter().find(|(mode, _)| *mode == told);
    Ok(Some(Raw::one(found.and_then(|(_, words)| words.last()).map_or("Auto", |word| *word))))
}

/// A preference needs one of the combinations that the modem itself has to offer.
fn set_preferred(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let wanted = raw.text();
    if preferred(system, at, "")?.is_some_and(|now| now.text() == wanted) {
        return Ok(());
    }
    if !is_managed(system, &section)? {
        return Err(Error::bad_value(at.name, "only ModemManager can prefer one technology"));
    }
    if wanted == "Auto" {
        topology::put(system, &section, "preferredmode", "")?;
        return topology::put(system, &section, "allowedmode", "");
    }
    let generation = GENERATIONS.iter().find(|(_, words)| words.last() == Some(&wanted.as_str()));
    let device = topology::text(system, &section, "device")?;
    let all = dump(system);
    let modem = all.as_ref().and_then(|all| of(all, &device)).and_then(|modem| modem.table("generic"));
    let offered = list(modem, "supported-modes");
    let fits =
        |text: &&String| mode(text).is_some_and(|(_, it)| generation.is_some_and(|(word, _)| *word == it));
    let Some((allowed, preferred)) = offered.iter().find(fits).and_then(|text| mode(text)) else {
        return Err(Error::bad_value(at.name, "the modem does not offer to prefer it"));
    };
    topology::put(system, &section, "allowedmode", &allowed)?;
    topology::put(system, &section, "preferredmode", preferred)
}

/// `enabled`: whether any interface may be used abroad; `status`: whether any modem is.
fn roaming(system: &mut System, _at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    if what == "status" {
        let Some(all) = dump(system) else { return Ok(None) };
        let modems = all.array("modem").iter().filter_map(Value::as_table);
        let states: Vec<String> =
            modems.filter_map(|modem| told(modem.table("3gpp"), "registration-state")).collect();
        let has = |word: &str| states.iter().any(|state| state.starts_with(word));
        let word = [("roaming", "Roaming"), ("home", "Home")].into_iter().find(|(state, _)| has(state));
        return Ok(word.map(|(_, shown)| Raw::one(shown)));
    }
    let mut any = false;
    for interface in topology::interfaces(system)? {
        any |= OTHERS.contains(&interface.proto.as_str());
        if interface.proto == MANAGER {
            let told = topology::text(system, &format!("network.{}", interface.name), "allow_roaming")?;
            any |= told.is_empty() || topology::truth(&told);
        }
    }
    Ok(Some(Raw::one(if any { "1" } else { "0" })))
}

fn set_roaming(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    if roaming(system, at, what)?.is_some_and(|now| topology::truth(&now.text()) == on) {
        return Ok(());
    }
    let mut managed = false;
    for interface in topology::interfaces(system)? {
        if interface.proto == MANAGER {
            managed = true;
            let section = format!("network.{}", interface.name);
            topology::put(system, &section, "allow_roaming", if on { "1" } else { "0" })?;
        }
    }
    let others = roaming(system, at, what)?.is_some_and(|now| topology::truth(&now.text()) != on);
    if !managed || others {
        return Err(Error::bad_value(at.name, "only ModemManager can forbid to roam"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let good = mode("allowed: 3g, 4g; preferred: 4g");
        assert_eq!(good, Some(("3g|4g".to_owned(), "4g")));
        assert_eq!(mode("allowed: 3g; preferred: none"), Some(("3g".to_owned(), "none")));
        for bad in ["", "any", "allowed: 3g", "3g; 4g"] {
            assert_eq!(mode(bad), None, "{bad}");
        }
    }
}
