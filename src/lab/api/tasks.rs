//! Messages for devices: queued, waited for, taken back.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::{Call, Failure, devices, missing, object, request};
use crate::cwmp::rpc::Message;
use crate::cwmp::soap;
use crate::cwmp::soap::envelope::{Envelope, Header, Namespace};
use crate::lab::front::Reply;
use crate::lab::store::Task;

/// The longest wait, in seconds.
const MAX_WAIT: u32 = 300;

/// A message as XML, or a method with its arguments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    arguments: Option<Map<String, Json>>,
}

fn shown(task: &Task) -> Json {
    json!({
        "id": task.id,
        "serial_number": task.serial_number,
        "method": task.method,
        "status": task.progress.word(),
        "result": task.result,
        "created": task.created,
        "updated": task.updated,
    })
}

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Failure> {
    devices::known(call)?;
    let tasks = call.office.store.tasks(call.argument())?;
    Ok(object(200, &tasks.iter().map(shown).collect()))
}

pub(super) fn add(call: &Call<'_>) -> Result<Reply, Failure> {
    let wait = call.number("wait", MAX_WAIT)?;
    let new: New = call.read()?;
    let message = match (new.message, new.method) {
        (Some(message), None) if new.arguments.is_none() => message,
        (None, Some(method)) => {
            let arguments = Json::Object(new.arguments.unwrap_or_default());
            let request = request::read(&method, arguments, call).map_err(|why| Failure(400, why))?;
            let message = Message::Request(request);
            let envelope = Envelope { namespace: Namespace::V1_0, header: Header::default(), message };
            String::from_utf8_lossy(&soap::write(&envelope)).into_owned()
        }
        _ => return Err(Failure(400, "the body has a message, or a method with its arguments".to_owned())),
    };
    let id = call.office.submit(call.argument(), &message)?;
    let task = call.office.await_task(id, Duration::from_secs(wait.into()));
    let task = task.ok_or_else(|| missing("task"))?;
    Ok(object(if task.progress.is_final() { 200 } else { 202 }, &shown(&task)))
}

pub(super) fn show(call: &Call<'_>) -> Result<Reply, Failure> {
    let wait = call.number("wait", MAX_WAIT)?;
    let task = call.office.await_task(call.id()?, Duration::from_secs(wait.into()));
    Ok(object(200, &shown(&task.ok_or_else(|| missing("task"))?)))
}

pub(super) fn withdraw(call: &Call<'_>) -> Result<Reply, Failure> {
    let task = call.office.store.task(call.id()?)?.ok_or_else(|| missing("task"))?;
    if !call.office.withdraw_task(&task) {
        return Err(Failure(409, format!("the task is {} already", task.progress.word())));
    }
    Ok(Reply::empty(204))
}
