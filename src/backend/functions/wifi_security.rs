//! The security of access points and end points: UCI's `encryption` against TR-181's ModeEnabled.
//!
//! `encryption` is a word with the ciphers behind it (`psk2+tkip+ccmp`), and netifd's scripts understand
//! many spellings; they are read in the scripts' order, and the plainest one is written.

use super::wifi::{self, Mode, section};
use super::{topology, wifi_abilities};
use crate::backend::{System, ValueFn};
use crate::model::backend::{Place, Raw};
use crate::model::{Error, Result};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "wifi_mode", get: mode, set: Some(set_mode) },
    ValueFn { name: "wifi_cipher", get: cipher, set: Some(set_cipher) },
    ValueFn { name: "wifi_wep", get: wep, set: Some(set_wep) },
    ValueFn { name: "wifi_passphrase", get: sae, set: Some(set_passphrase) },
    ValueFn { name: "wifi_psk", get: psk, set: Some(set_psk) },
    ValueFn { name: "wifi_sae", get: sae, set: Some(set_sae) },
    ValueFn { name: "wifi_mfp", get: mfp, set: Some(set_mfp) },
];

/// Why a network of WEP takes no passphrase: both live in the same option.
const WEP_LOST: &str = "ModeEnabled is one of WEP, and its key would be lost";
/// TR-181's modes and what is written for them.
const MODES: [(&str, &str); 13] = [
    ("None", "none"),
    ("WEP-64", "wep-open"),
    ("WEP-128", "wep-open"),
    ("WPA-Personal", "psk"),
    ("WPA2-Personal", "psk2"),
    ("WPA-WPA2-Personal", "psk-mixed"),
    ("WPA3-Personal", "sae"),
    ("WPA3-Personal-Transition", "sae-mixed"),
    ("WPA-Enterprise", "wpa"),
    ("WPA2-Enterprise", "wpa2"),
    ("WPA-WPA2-Enterprise", "wpa-mixed"),
    ("WPA3-Enterprise", "wpa3"),
    ("OWE", "owe"),
];

/// TR-181's mode of `encryption`; `key` is for the length of a WEP key only.
fn mode_of(encryption: &str, key: &str) -> &'static str {
    let has = |word: &str| encryption.contains(word);
    let starts = |word: &str| encryption.starts_with(word);
    if starts("wep") {
        return if matches!(key.len(), 5 | 10) || key.starts_with("s:") && key.len() == 7 {
            "WEP-64"
        } else {
            "WEP-128"
        };
    }
    if starts("owe") {
        return "OWE";
    }
    if starts("psk3-mixed") || starts("sae-mixed") {
        return "WPA3-Personal-Transition";
    }
    if starts("psk3") || starts("sae") {
        return "WPA3-Personal";
    }
    let second = starts("wpa2") || has("psk2");
    let both = has("mixed");
    if has("psk") {
        return match (second, both) {
            (true, _) => "WPA2-Personal",
            (false, true) => "WPA-WPA2-Personal",
            (false, false) => "WPA-Personal",
        };
    }
    match (starts("wpa3"), has("wpa") || has("8021x"), second, both) {
        // The transition to WPA3 has no word of its own in TR-181 with 802.1X.
        (true, ..) => "WPA3-Enterprise",
        (false, true, true, _) => "WPA2-Enterprise",
        (false, true, false, true) => "WPA-WPA2-Enterprise",
        (false, true, false, false) => "WPA-Enterprise",
        _ => "None",
    }
}

/// The ciphers of `encryption`, TKIP and AES; AES alone when it does not say.
fn ciphers(encryption: &str) -> (bool, bool) {
    let tail = encryption.split(['+', '/']).skip(1);
    let (mut tkip, mut aes) = (false, false);
    for word in tail {
        tkip |= word == "tkip";
        aes |= matches!(word, "aes" | "ccmp" | "ccmp256" | "gcmp" | "gcmp256");
    }
    (tkip, aes || !tkip)
}

fn protected(mode: &str) -> bool {
    !matches!(mode, "None" | "WEP-64" | "WEP-128")
}

/// The key of a WEP network: `key` is the number of the one in use, or the key itself.
fn wep_key(system: &mut System, section: &str) -> Result<String> {
    let key = topology::text(system, section, "key")?;
    match key.as_str() {
        "1" | "2" | "3" | "4" => topology::text(system, section, &format!("key{key}")),
        _ => Ok(key),
    }
}

fn current(system: &mut System, section: &str) -> Result<&'static str> {
    let encryption = topology::text(system, section, "encryption")?;
    let key = wep_key(system, section)?;
    Ok(mode_of(&encryption, &key))
}

fn mode(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    Ok(Some(Raw::one(current(system, &section)?)))
}

fn set_mode(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let wanted = raw.text();
    let Some((mode, word)) = MODES.into_iter().find(|(mode, _)| *mode == wanted) else {
        return Err(Error::bad_value(at.name, "not one of ModesSupported"));
    };
    let old = current(system, &section)?;
    let wep = |mode: &str| mode.starts_with("WEP");
    // The same mode in another spelling stays as it is written, with its ciphers.
    if old == mode || wep(old) && wep(mode) {
        return Ok(());
    }
    let iface = wifi::iface(system, &at)?;
    if !wifi_abilities::supported(system, &iface)?.contains(&mode) {
        return Err(Error::bad_value(at.name, "not one of ModesSupported"));
    }
    topology::put(system, &section, "encryption", word)
}

fn cipher(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let encryption = topology::text(system, &section, "encryption")?;
    if !protected(mode_of(&encryption, "")) {
        return Ok(Some(Raw::Many(Vec::new())));
    }
    let (tkip, aes) = ciphers(&encryption);
    let words = [("TKIP", tkip), ("AES", aes)].into_iter().filter(|(_, on)| *on);
    Ok(Some(Raw::Many(words.map(|(word, _)| word.to_owned()).collect())))
}

fn set_cipher(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let encryption = topology::text(system, &section, "encryption")?;
    let mode = mode_of(&encryption, "");
    let given = raw.items();
    let (tkip, aes) = (given.contains(&"TKIP"), given.contains(&"AES"));
    if !protected(mode) {
        return if given.is_empty() {
            Ok(())
        } else {
            Err(Error::bad_value(at.name, "ModeEnabled has no ciphers"))
        };
    }
    if tkip && (mode.starts_with("WPA3") || mode == "OWE") {
        return Err(Error::bad_value(at.name, "WPA3 and OWE forbid TKIP"));
    }
    if (tkip, aes) == ciphers(&encryption) {
        return Ok(());
    }
    let word = encryption.split('+').next().unwrap_or_default();
    let word = if word.contains('/') {
        MODES.iter().find(|(name, _)| *name == mode).map_or(word, |(_, w)| w)
    } else {
        word
    };
    let tail = match (tkip, aes) {
        (true, true) => "+tkip+ccmp",
        (true, false) => "+tkip",
        (false, true) => "+ccmp",
        (false, false) => "",
    };
    topology::put(system, &section, "encryption", &format!("{word}{tail}"))
}

fn wep(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let key = wep_key(system, &section)?;
    let is_hex = matches!(key.len(), 10 | 26) && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(Some(Raw::One(if is_hex { key } else { String::new() })))
}

/// Only of a network that is one of WEP in the end: otherwise the key of its mode would be lost.
fn set_wep(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let key = raw.text();
    if !matches!(key.len(), 10 | 26) {
        return Err(Error::bad_value(at.name, "a WEP key has 5 or 13 octets"));
    }
    check_key(system, &at, |_, mode, _| match mode {
        mode if is_wep(mode) => None,
        _ => Some("ModeEnabled is not one of WEP, and its key would be lost"),
    })?;
    topology::put(system, &section, "key", "1")?;
    topology::put(system, &section, "key1", &key)
}

fn psk(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let key = topology::text(system, &section, "key")?;
    let is_hex = key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(Some(Raw::One(if is_hex { key } else { String::new() })))
}

/// hostapd takes 64 digits for the key itself, and anything shorter for a passphrase.
fn set_psk(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let key = raw.text();
    if key.len() != 64 {
        return Err(Error::bad_value(at.name, "a pre-shared key has 32 octets"));
    }
    check_key(system, &at, |_, mode, _| is_wep(mode).then_some(WEP_LOST))?;
    topology::put(system, &section, "key", &key)
}

/// A network may be given the passphrase of a mode that it gets later; one of WEP would lose its own key.
fn set_passphrase(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    check_key(system, &at, |_, mode, _| is_wep(mode).then_some(WEP_LOST))?;
    topology::put(system, &section, "key", &raw.text())
}

fn is_wep(mode: &str) -> bool {
    matches!(mode, "WEP-64" | "WEP-128")
}

fn sae(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    Ok(Some(Raw::One(topology::text(system, &section, "key")?)))
}

/// A password of SAE may have any length, but netifd's scripts start no access point whose `key` is no passphrase,
/// and no station either that may use a pre-shared key.
fn set_sae(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let key = raw.text();
    // What is hidden reads as empty, and may be written back.
    if key.is_empty() && !topology::text(system, &section, "key")?.is_empty() {
        return Err(Error::bad_value(at.name, "empty: the key of the network would be lost"));
    }
    if key.chars().any(char::is_control) {
        return Err(Error::bad_value(at.name, "a control character has no place there"));
    }
    let length = key.len();
    check_key(system, &at, move |kind, mode, section_key| match (kind, mode) {
        (_, mode) if is_wep(mode) => Some(WEP_LOST),
        (Mode::Sta, "WPA3-Personal") => None,
        _ if section_key == 0 || (8..=63).contains(&length) => None,
        _ => Some("the network would not start: of 8 to 63 octets it has to be there"),
    })?;
    topology::put(system, &section, "key", &key)
}

/// Once all is staged, whether a key can stay: `bad` says why not, of what the section is, its mode and the
/// length of its key.
fn check_key(
    system: &mut System,
    at: &Place<'_>,
    bad: impl Fn(Mode, &str, usize) -> Option<&'static str> + 'static,
) -> Result<()> {
    let (section, name, kind) = (section(at)?, at.name.to_owned(), wifi::iface(system, at)?.mode);
    system.later.push(Box::new(move |system| {
        let mode = current(system, &section)?;
        let length = topology::text(system, &section, "key")?.len();
        match bad(kind, mode, length) {
            Some(why) => Err(Error::bad_in_request(&name, why)),
            None => Ok(()),
        }
    }));
    Ok(())
}

/// What UCI says, or what netifd makes of the encryption when it says nothing.
fn mfp(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let section = section(&at)?;
    let told = topology::text(system, &section, "ieee80211w")?;
    let mode = current(system, &section)?;
    Ok(Some(Raw::one(match (told.as_str(), mode) {
        ("0", _) => "Disabled",
        ("1", _) => "Optional",
        ("2", _) => "Required",
        (_, "WPA3-Personal" | "WPA3-Enterprise" | "OWE") => "Required",
        (_, "WPA3-Personal-Transition") => "Optional",
        _ => "Disabled",
    })))
}

fn set_mfp(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let section = section(&at)?;
    let word = match raw.text().as_str() {
        "Required" => "2",
        "Optional" => "1",
        _ => "0",
    };
    topology::put(system, &section, "ieee80211w", word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for (encryption, mode) in [
            ("none", "None"),
            ("", "None"),
            ("psk", "WPA-Personal"),
            ("psk+ccmp", "WPA-Personal"),
            ("psk2", "WPA2-Personal"),
            ("psk2+tkip+ccmp", "WPA2-Personal"),
            ("psk-mixed+ccmp", "WPA-WPA2-Personal"),
            ("psk-mixed/tkip", "WPA-WPA2-Personal"),
            ("sae", "WPA3-Personal"),
            ("sae+ccmp", "WPA3-Personal"),
            ("sae-mixed+ccmp", "WPA3-Personal-Transition"),
            ("psk3-mixed", "WPA3-Personal-Transition"),
            ("wpa", "WPA-Enterprise"),
            ("wpa2+tkip", "WPA2-Enterprise"),
            ("wpa-mixed", "WPA-WPA2-Enterprise"),
            ("wpa3+ccmp", "WPA3-Enterprise"),
            ("wpa3-192", "WPA3-Enterprise"),
            ("wpa3-mixed+ccmp", "WPA3-Enterprise"),
            ("owe", "OWE"),
            ("wep-open", "WEP-128"),
        ] {
            assert_eq!(mode_of(encryption, ""), mode, "{encryption:?}");
        }
        assert_eq!(mode_of("wep+shared", "0102030405"), "WEP-64");
        assert_eq!(mode_of("wep", "s:abcde"), "WEP-64");
        for (mode, word) in MODES {
            assert_eq!(mode_of(word, if mode == "WEP-64" { "abcde" } else { "" }), mode);
        }
    }

    #[test]
    fn ciphers_of() {
        for (encryption, expected) in [
            ("psk2", (false, true)),
            ("psk2+ccmp", (false, true)),
            ("psk2+tkip", (true, false)),
            ("psk2+tkip+aes", (true, true)),
            ("psk-mixed/tkip", (true, false)),
            ("sae+gcmp256", (false, true)),
        ] {
            assert_eq!(ciphers(encryption), expected, "{encryption:?}");
        }
    }
}
