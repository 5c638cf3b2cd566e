//! Services and their instances.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{Call, Failure, gone, missing, object};
use crate::lab::front::Reply;
use crate::lab::lua::service::Variables;
use crate::lab::store::{Definition, Instance, Variable};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    script: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    variables: Vec<Variable>,
    #[serde(default = "yes")]
    available: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attach {
    serial_number: String,
    service: i64,
    #[serde(default)]
    variables: Variables,
}

fn yes() -> bool {
    true
}

fn shown(definition: &Definition) -> Json {
    json!({
        "id": definition.id,
        "name": definition.name,
        "description": definition.description,
        "script": definition.script,
        "variables": definition.variables,
        "available": definition.available,
    })
}

fn shown_instance(instance: &Instance) -> Json {
    json!({
        "id": instance.id,
        "serial_number": instance.device_id,
        "service": instance.service_id,
        "status": instance.status.word(),
        "reason": instance.reason,
        "variables": instance.variables,
        "due": instance.due,
    })
}

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(object(200, &call.office.store.definitions()?.iter().map(shown).collect()))
}

pub(super) fn put(call: &Call<'_>) -> Result<Reply, Failure> {
    let New { name, script, description, variables, available } = call.read()?;
    let definition = Definition { id: 0, name, description, script, variables, available };
    let id = call.office.store.put_definition(&definition)?;
    Ok(object(201, &shown(&Definition { id, ..definition })))
}

pub(super) fn show(call: &Call<'_>) -> Result<Reply, Failure> {
    let definition = call.office.store.definition(call.id()?)?;
    Ok(object(200, &shown(&definition.ok_or_else(|| missing("service"))?)))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Failure> {
    gone(call.office.store.delete_definition(call.id()?)?, "service")
}

pub(super) fn instances(call: &Call<'_>) -> Result<Reply, Failure> {
    let instances = match call.asked("device") {
        "" => call.office.store.all_instances()?,
        device => call.office.store.instances(device)?,
    };
    Ok(object(200, &instances.iter().map(shown_instance).collect()))
}

pub(super) fn attach(call: &Call<'_>) -> Result<Reply, Failure> {
    let new: Attach = call.read()?;
    let id = call.office.store.create_instance(&new.serial_number, new.service, &new.variables)?;
    let instance = call.office.store.instance(id)?.ok_or_else(|| missing("instance"))?;
    Ok(object(201, &shown_instance(&instance)))
}

pub(super) fn instance(call: &Call<'_>) -> Result<Reply, Failure> {
    let instance = call.office.store.instance(call.id()?)?.ok_or_else(|| missing("instance"))?;
    Ok(object(200, &shown_instance(&instance)))
}

pub(super) fn detach(call: &Call<'_>) -> Result<Reply, Failure> {
    gone(call.office.store.delete_instance(call.id()?)?, "instance")
}

pub(super) fn run(call: &Call<'_>) -> Result<Reply, Failure> {
    let instance = call.office.store.instance(call.id()?)?.ok_or_else(|| missing("instance"))?;
    if !call.office.run_service(&instance)? {
        return Err(Failure(409, "the service runs already".to_owned()));
    }
    Ok(object(202, &json!({})))
}

pub(super) fn log(call: &Call<'_>) -> Result<Reply, Failure> {
    let id = call.id()?;
    call.office.store.instance(id)?.ok_or_else(|| missing("instance"))?;
    Ok(object(200, &json!(call.office.store.log_lines(id)?)))
}
