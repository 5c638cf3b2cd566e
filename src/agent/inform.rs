//! Builds the Inform of a session from the model (TR-069 A.3.3.1).

use std::collections::HashSet;

use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::rpc::{DeviceId, Inform, ParameterValue};
use crate::model::Model;
use crate::model::backend::Backend;
use crate::model::error::{Error, Result};
use crate::model::value::Value;

/// DeviceInfo's parameters in the order of `DeviceIdStruct`, with their greatest length.
const IDENTITY: [(&str, usize); 4] = [
    ("Device.DeviceInfo.Manufacturer", 64),
    ("Device.DeviceInfo.ManufacturerOUI", 6),
    ("Device.DeviceInfo.ProductClass", 64),
    ("Device.DeviceInfo.SerialNumber", 64),
];

/// Who this device is.
///
/// # Errors
/// When the model cannot be read, or gives no OUI or serial number: an ACS could not tell this device
/// from another.
pub fn device_id<B: Backend>(model: &mut Model<B>) -> Result<DeviceId> {
    let mut parts = Vec::with_capacity(IDENTITY.len());
    for (name, most) in IDENTITY {
        let text = model.values([name])?.into_iter().next().map(|(_, value)| value.text).unwrap_or_default();
        parts.push(text.chars().take(most).collect::<String>());
    }
    let mut parts = parts.into_iter();
    let mut next = || parts.next().unwrap_or_default();
    let id = DeviceId {
        manufacturer: next(),
        oui: next().to_ascii_uppercase(),
        product_class: next(),
        serial_number: next(),
    };
    // The model's blank value, which a configuration with another length shows as too, is nobody's.
    if id.oui.len() != 6 || !id.oui.bytes().all(|byte| byte.is_ascii_hexdigit()) || id.oui == "000000" {
        let why = "not six hexadecimal digits: set cwmp.cpe.manufacturer_oui";
        return Err(Error::bad_value(IDENTITY[1].0, why));
    }
    if id.serial_number.is_empty() {
        return Err(Error::bad_value(IDENTITY[3].0, "empty: set cwmp.cpe.serial_number"));
    }
    Ok(id)
}

/// The device's identity in one word: another one is another device.
pub fn identity(id: &DeviceId) -> String {
    format!("{}-{}-{}", id.oui, id.product_class, id.serial_number)
}

/// The user name of a device that was given a password only (TR-069 3.4.4): its OUI, its ProductClass unless that
/// is empty, and its SerialNumber, joined by hyphens; what could be mistaken in them is percent-encoded.
pub fn username(id: &DeviceId) -> String {
    let parts = [&id.oui, &id.product_class, &id.serial_number];
    let parts = parts.into_iter().enumerate().filter(|(at, part)| *at != 1 || !part.is_empty());
    parts.map(|(_, part)| encoded(part)).collect::<Vec<_>>().join("-")
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => out.push(char::from(byte)),
            other => out += &format!("%{other:02X}"),
        }
    }
    out
}

/// An Inform, and what is known to the ACS once it is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// To be sent.
    pub inform: Inform,
    /// Names with instance numbers, and values: for [`crate::model::watch::Watch::told`].
    pub values: Vec<(String, Value)>,
}

/// The Inform without changed parameters: see [`content`].
///
/// # Errors
/// As [`content`].
pub fn inform<B: Backend>(
    model: &mut Model<B>,
    device_id: DeviceId,
    events: Vec<Event>,
    current_time: String,
    retry_count: u32,
) -> Result<Inform> {
    content(model, device_id, events, current_time, retry_count, &[]).map(|content| content.inform)
}

/// The Inform: identity, events, and the parameters that go with them, see [`names`].
///
/// A changed or additional parameter that is gone by now, or cannot be read, is left out.
///
/// # Errors
/// When a forced parameter cannot be read: an Inform without it would be refused.
pub fn content<B: Backend>(
    model: &mut Model<B>,
    device_id: DeviceId,
    events: Vec<Event>,
    current_time: String,
    retry_count: u32,
    changed: &[&str],
) -> Result<Content> {
    // What a firmware adds to them comes after, and is left out when it cannot be read.
    let forced = model.schema().forced_inform().count();
    let mut values = Vec::new();
    for (at, name) in names(model, &events, changed)?.into_iter().enumerate() {
        // Told by those only that have them (TR-181).
        if name.ends_with(".ManagementServer.AliasBasedAddressing") && !model.has_aliases() {
            continue;
        }
        match model.values([name.as_str()]) {
            Ok(list) => values.extend(list.into_iter().map(|(_, value)| (name.clone(), value))),
            Err(why) if at < forced => return Err(why),
            Err(_) => {}
        }
    }
    let mut parameter_list = Vec::with_capacity(values.len());
    for (name, value) in &values {
        // Instances are named as the ACS wants them; what was told is remembered by number.
        parameter_list.push(ParameterValue { name: model.presented(name), value: value.clone() });
    }
    let inform = Inform { device_id, events, max_envelopes: 1, current_time, retry_count, parameter_list };
    Ok(Content { inform, values })
}

/// The parameters of an Inform, each once, by name with instance numbers: those that every Inform
/// carries, the `changed` ones (with `4 VALUE CHANGE`), and those that the InformParameter table has for
/// these events, also beside `4 VALUE CHANGE`. A heartbeat has only the first (Annex O).
///
/// # Errors
/// As [`Model::forced_parameters`].
pub fn names<B: Backend>(model: &mut Model<B>, events: &[Event], changed: &[&str]) -> Result<Vec<String>> {
    let mut out = model.forced_parameters()?;
    if events.iter().any(|event| event.code == EventCode::Heartbeat) {
        return Ok(out);
    }
    let codes: Vec<String> = events.iter().map(|event| event.code.to_string()).collect();
    let mut seen: HashSet<String> = out.iter().cloned().collect();
    let more = changed.iter().map(|name| (*name).to_owned()).chain(model.informed_parameters(&codes));
    out.extend(more.filter(|name| seen.insert(name.clone())));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names() {
        let check = |oui: &str, class: &str, serial: &str, expected: &str| {
            let id = DeviceId {
                manufacturer: "Any".to_owned(),
                oui: oui.to_owned(),
                product_class: class.to_owned(),
                serial_number: serial.to_owned(),
            };
            assert_eq!(username(&id), expected);
        };
        // The standard's own examples.
        check("012345", "", "0123456789", "012345-0123456789");
        check("012345", "STB", "0123456789", "012345-STB-0123456789");
        check("012345", "Set-Top-Box", "0123456789", "012345-Set%2DTop%2DBox-0123456789");
        check("00D09E", "Größe_1", "a b:c", "00D09E-Gr%C3%B6%C3%9Fe_1-a%20b%3Ac");
    }
}
