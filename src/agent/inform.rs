//! Builds the Inform of a session from the model (TR-069 A.3.3.1).

use crate::cwmp::event::Event;
use crate::cwmp::rpc::{DeviceId, Inform, ParameterValue};
use crate::model::Model;
use crate::model::backend::Backend;
use crate::model::error::{Error, Result};

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
    if id.oui.len() != 6 || !id.oui.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let why = "not six hexadecimal digits: set cwmp.cpe.manufacturer_oui";
        return Err(Error::bad_value(IDENTITY[1].0, why));
    }
    if id.serial_number.is_empty() {
        return Err(Error::bad_value(IDENTITY[3].0, "empty: set cwmp.cpe.serial_number"));
    }
    Ok(id)
}

/// The Inform: identity, events, and the parameters that every Inform carries.
///
/// # Errors
/// When a forced parameter cannot be read: an Inform without it would be refused.
pub fn inform<B: Backend>(
    model: &mut Model<B>,
    device_id: DeviceId,
    events: Vec<Event>,
    current_time: String,
    retry_count: u32,
) -> Result<Inform> {
    let names: Vec<String> = model.schema().forced_inform().collect();
    let list = model.values(names.iter().map(String::as_str))?;
    let parameter_list = list.into_iter().map(|(name, value)| ParameterValue { name, value }).collect();
    Ok(Inform { device_id, events, max_envelopes: 1, current_time, retry_count, parameter_list })
}
