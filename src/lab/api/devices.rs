//! Devices: what is known of them, what waits for them, and the asking for a session.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{Call, Failure, missing, object};
use crate::lab::front::Reply;
use crate::lab::store::Device;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    serial_number: String,
    #[serde(default)]
    connection_request: Option<Account>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    username: String,
    password: String,
}

/// A device as it is shown; the password for connection requests is not.
fn shown(call: &Call<'_>, device: &Device) -> Json {
    json!({
        "serial_number": device.serial_number,
        "oui": device.oui,
        "product_class": device.product_class,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "version": device.version,
        "data_model": device.data_model,
        "connection_request_url": device.connection_request_url,
        "connection_request_username": device.connection_request_username,
        "first_contact": device.first_contact,
        "last_contact": device.last_contact,
        "presence": call.office.presence(&device.serial_number).word(),
        "in_session": call.office.in_session(&device.serial_number),
        "queued": call.office.queue(&device.serial_number).len(),
    })
}

/// The device of the path.
pub(super) fn known(call: &Call<'_>) -> Result<Device, Failure> {
    call.office.store.device(call.argument())?.ok_or_else(|| missing("device"))
}

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Failure> {
    let devices = call.office.store.devices()?;
    Ok(object(200, &devices.iter().map(|device| shown(call, device)).collect()))
}

pub(super) fn add(call: &Call<'_>) -> Result<Reply, Failure> {
    let new: New = call.read()?;
    let store = &call.office.store;
    store.add_device(&new.serial_number)?;
    if let Some(account) = new.connection_request {
        store.set_connection_request(&new.serial_number, &account.username, &account.password)?;
    }
    let device = store.device(&new.serial_number)?.ok_or_else(|| missing("device"))?;
    Ok(object(201, &shown(call, &device)))
}

pub(super) fn show(call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(object(200, &shown(call, &known(call)?)))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Failure> {
    super::gone(call.office.forget(call.argument())?, "device")
}

pub(super) fn set_connection_request(call: &Call<'_>) -> Result<Reply, Failure> {
    known(call)?;
    let account: Account = call.read()?;
    call.office.store.set_connection_request(call.argument(), &account.username, &account.password)?;
    Ok(Reply::empty(204))
}

pub(super) fn knock(call: &Call<'_>) -> Result<Reply, Failure> {
    call.office.invite(call.argument())?;
    Ok(object(202, &json!({})))
}

pub(super) fn parameters(call: &Call<'_>) -> Result<Reply, Failure> {
    known(call)?;
    let values = call.office.store.values(call.argument(), call.asked("path"))?;
    let value = |(name, value, kind): &(String, String, String)| json!({ "name": name, "value": value, "type": kind });
    Ok(object(200, &values.iter().map(value).collect()))
}

pub(super) fn queue(call: &Call<'_>) -> Result<Reply, Failure> {
    known(call)?;
    let queue = call.office.queue(call.argument());
    Ok(object(
        200,
        &queue.iter().map(|(_, method, task)| json!({ "method": method, "task": task })).collect(),
    ))
}

pub(super) fn history(call: &Call<'_>) -> Result<Reply, Failure> {
    known(call)?;
    let entries = call.office.store.history(call.argument())?;
    let entry = |one: &crate::lab::store::Entry| json!({ "id": one.id, "at": one.at, "method": one.method, "text": one.text });
    Ok(object(200, &entries.iter().map(entry).collect()))
}
