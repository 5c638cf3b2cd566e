//! What the router's Wi-Fi programs and radios can do (TR-181 `ModesSupported`, `ConfigMethodsSupported`, `WMMCapability`,
//! `IEEE80211hSupported`), which no program tells over ubus.
//!
//! hostapd and wpa_supplicant come in variants, which are packages: `wpad-basic-mbedtls` is what most images have.
//! What each is built with, by the Makefile and the `.config` files of OpenWrt's `package/network/services/hostapd`
//! (a mesh variant is the full one without OWE; the full one's own cryptography has no curves, which SAE needs):
//!
//! ```text
//!            PSK   SAE, OWE                RADIUS, WPS
//!  mini      yes   no                      no
//!  basic     yes   with a TLS library      no
//!  mesh      yes   SAE with a TLS library  yes
//!  (full)    yes   with a TLS library      yes
//! ```
//!
//! WEP is built into none of them since 21.02. A system without such a package is somebody's own build, of which
//! everything is believed.

use super::wifi::{self, Iface, Mode};
use super::{packages, radio, topology};
use crate::backend::{System, ValueFn};
use crate::model::backend::{Place, Raw};
use crate::model::{Error, Result};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "wifi_modes", get: modes, set: None },
    ValueFn { name: "wifi_wps_ways", get: wps_ways, set: None },
    ValueFn { name: "wifi_wmm", get: wmm, set: None },
    ValueFn { name: "radio_11h", get: spectrum, set: Some(set_spectrum) },
];

/// TR-181's modes in its order.
const MODES: [&str; 13] = [
    "None",
    "WEP-64",
    "WEP-128",
    "WPA-Personal",
    "WPA2-Personal",
    "WPA3-Personal",
    "WPA-WPA2-Personal",
    "WPA3-Personal-Transition",
    "WPA-Enterprise",
    "WPA2-Enterprise",
    "WPA3-Enterprise",
    "WPA-WPA2-Enterprise",
    "OWE",
];

/// What a build of hostapd or wpa_supplicant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Build {
    sae: bool,
    owe: bool,
    /// 802.1X with a RADIUS server, and WPS.
    full: bool,
}

impl Build {
    /// Of a package; `None` if it is no variant of the program, or one that is not known.
    fn of(package: &str, program: &str) -> Option<Build> {
        let rest = package.strip_prefix(program)?;
        if !rest.is_empty() && !rest.starts_with('-') {
            return None;
        }
        let (mut kind, mut tls) = ("full", false);
        for word in rest.split('-').filter(|word| !word.is_empty()) {
            match word {
                "mini" | "basic" | "mesh" => kind = word,
                "p2p" => {}
                "openssl" | "wolfssl" | "mbedtls" => tls = true,
                _ => return None,
            }
        }
        let new = tls && kind != "mini";
        Some(Build { sae: new, owe: new && kind != "mesh", full: matches!(kind, "full" | "mesh") })
    }

    fn has(self, mode: &str) -> bool {
        match mode {
            "WEP-64" | "WEP-128" => false,
            "OWE" => self.owe,
            "WPA3-Personal" | "WPA3-Personal-Transition" => self.sae,
            _ => self.full || !mode.ends_with("Enterprise"),
        }
    }
}

/// The build that serves access points, or end points; `None` when it is not known.
fn build(system: &mut System, mode: Mode) -> Option<Build> {
    let alone = if mode == Mode::Sta { "wpa-supplicant" } else { "hostapd" };
    packages::installed(system, |name| Build::of(name, "wpad").or_else(|| Build::of(name, alone)))
}

/// The modes that a wifi-iface can have. In 6 GHz hostapd starts no network that is open or older than WPA3.
///
/// # Errors
/// As [`System::option`].
pub(super) fn supported(system: &mut System, iface: &Iface) -> Result<Vec<&'static str>> {
    let build = build(system, iface.mode);
    let band = match iface.radio.as_str() {
        "" => None,
        radio => radio::own_band(system, &format!("wireless.{radio}"))?,
    };
    let fits = |mode: &str| match band {
        Some("6GHz") => matches!(mode, "WPA3-Personal" | "WPA3-Enterprise" | "OWE"),
        _ => true,
    };
    Ok(MODES.into_iter().filter(|mode| fits(mode) && build.is_none_or(|build| build.has(mode))).collect())
}

/// Whether hostapd has WPS.
pub(super) fn has_wps(system: &mut System) -> bool {
    build(system, Mode::Ap).is_none_or(|build| build.full)
}

fn modes(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let iface = wifi::iface(system, &at)?;
    Ok(Some(Raw::Many(supported(system, &iface)?.into_iter().map(str::to_owned).collect())))
}

fn wps_ways(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let ways: &[&str] = if has_wps(system) { &["PushButton", "Label"] } else { &[] };
    Ok(Some(Raw::Many(ways.iter().map(|way| (*way).to_owned()).collect())))
}

/// 802.11n and what came after it are nothing without WMM. What an older radio can, only netlink tells.
fn wmm(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let radio = wifi::iface(system, &at)?.radio;
    let newer = radio.is_empty()
        || radio::standards_of(system, &radio)?.iter().any(|word| matches!(*word, "n" | "ac" | "ax" | "be"));
    Ok(Some(Raw::one(if newer { "1" } else { "0" })))
}

/// Spectrum management is for 5 GHz (TR-181, IEEE80211hSupported).
fn can_manage(system: &mut System, at: &Place<'_>) -> Result<bool> {
    let row = at.row().ok_or_else(|| Error::unknown_name(at.name))?;
    let addr = row.addr.clone();
    Ok(radio::bands_of(system, &addr)?.iter().any(|band| band == "5GHz"))
}

/// `supported` or `enabled`.
fn spectrum(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let able = can_manage(system, &at)?;
    if what == "supported" {
        return Ok(Some(Raw::one(if able { "1" } else { "0" })));
    }
    let told = topology::text(system, &wifi::section(&at)?, "doth")?;
    let on = able && (told.is_empty() || topology::truth(&told));
    Ok(Some(Raw::one(if on { "1" } else { "0" })))
}

fn set_spectrum(system: &mut System, at: Place<'_>, _what: &str, raw: &Raw) -> Result<()> {
    let on = topology::truth(&raw.text());
    if !can_manage(system, &at)? {
        let why = "the radio has no 5 GHz, which IEEE 802.11h is for";
        return if on { Err(Error::bad_value(at.name, why)) } else { Ok(()) };
    }
    topology::put(system, &wifi::section(&at)?, "doth", if on { "1" } else { "0" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(package: &str, program: &str, expected: Option<(bool, bool, bool)>) {
        let found = Build::of(package, program).map(|build| (build.sae, build.owe, build.full));
        assert_eq!(found, expected, "{package}");
    }

    #[test]
    fn packages_of_hostapd() {
        check("wpad-basic-mbedtls", "wpad", Some((true, true, false)));
        check("wpad-basic", "wpad", Some((false, false, false)));
        check("wpad-mini", "wpad", Some((false, false, false)));
        check("wpad-mesh-openssl", "wpad", Some((true, false, true)));
        check("wpad", "wpad", Some((false, false, true)));
        check("wpad-wolfssl", "wpad", Some((true, true, true)));
        check("hostapd-mbedtls", "hostapd", Some((true, true, true)));
        check("wpa-supplicant-p2p", "wpa-supplicant", Some((false, false, true)));
        for other in ["hostapd-common", "hostapd-utils", "hostapdx", "wpa-cli", "hostapd-radius"] {
            check(other, "hostapd", None);
        }
    }

    #[test]
    fn modes_of_builds() {
        let basic = Build::of("wpad-basic-mbedtls", "wpad").unwrap();
        let modes: Vec<&str> = MODES.into_iter().filter(|mode| basic.has(mode)).collect();
        let expected =
            "None WPA-Personal WPA2-Personal WPA3-Personal WPA-WPA2-Personal WPA3-Personal-Transition OWE";
        assert_eq!(modes.join(" "), expected);
        let full = Build::of("wpad", "wpad").unwrap();
        assert!(full.has("WPA2-Enterprise") && !full.has("WPA3-Personal") && !full.has("WEP-64"));
    }
}
