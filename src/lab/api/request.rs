//! Methods of a CPE with their arguments in JSON. What is not here can be sent as XML.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::Call;
use crate::cwmp::rpc::{
    Download, GetParameterNames, ObjectCall, ParameterInput, Request, Secret, SetParameterAttributes,
    SetParameterValues, Upload,
};
use crate::model::value::Input;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Values {
    values: BTreeMap<String, Value>,
    #[serde(default)]
    parameter_key: String,
}

/// A text, or a text with its type.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Plain(String),
    Typed { value: String, r#type: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    #[serde(default)]
    path: String,
    #[serde(default)]
    next_level: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attribute {
    name: String,
    notification: Option<i64>,
    access_list: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attributes {
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    object: String,
    #[serde(default)]
    parameter_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    #[serde(default)]
    command_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delay {
    delay_seconds: u32,
    #[serde(default)]
    command_key: String,
}

/// Of Download and Upload: a URL, or the name of a file here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    file_type: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    file: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    file_size: u32,
    #[serde(default)]
    target_file_name: String,
    #[serde(default)]
    delay_seconds: u32,
    #[serde(default)]
    command_key: String,
    #[serde(default)]
    success_url: String,
    #[serde(default)]
    failure_url: String,
}

/// Reads a method's arguments.
///
/// # Errors
/// The methods there are, for another one; what is wrong with the arguments.
pub(super) fn read(method: &str, arguments: Json, call: &Call<'_>) -> Result<Request, String> {
    Ok(match method {
        "GetRPCMethods" => of::<Nothing>(arguments).map(|_| Request::GetRpcMethods)?,
        "GetParameterValues" => Request::GetParameterValues(of::<Names>(arguments)?.names),
        "GetParameterAttributes" => Request::GetParameterAttributes(of::<Names>(arguments)?.names),
        "SetParameterValues" => {
            let values: Values = of(arguments)?;
            let item = |(name, value)| {
                let (foreign, text) = match value {
                    Value::Plain(text) => (None, text),
                    Value::Typed { value, r#type } => (Some(r#type), value),
                };
                ParameterInput { name, value: Input { kind: None, foreign, text } }
            };
            Request::SetParameterValues(SetParameterValues {
                list: values.values.into_iter().map(item).collect(),
                parameter_key: Some(values.parameter_key),
            })
        }
        "GetParameterNames" => {
            let level: Level = of(arguments)?;
            let (parameter_path, next_level) = (level.path, level.next_level);
            Request::GetParameterNames(GetParameterNames { parameter_path, next_level })
        }
        "SetParameterAttributes" => {
            let one = |one: Attribute| SetParameterAttributes {
                name: one.name,
                notification: one.notification,
                access_list: one.access_list,
            };
            Request::SetParameterAttributes(
                of::<Attributes>(arguments)?.attributes.into_iter().map(one).collect(),
            )
        }
        "AddObject" => Request::AddObject(object(arguments)?),
        "DeleteObject" => Request::DeleteObject(object(arguments)?),
        "Reboot" => Request::Reboot(of::<Key>(arguments)?.command_key),
        "FactoryReset" => of::<Nothing>(arguments).map(|_| Request::FactoryReset)?,
        "CancelTransfer" => Request::CancelTransfer(of::<Key>(arguments)?.command_key),
        "GetQueuedTransfers" => of::<Nothing>(arguments).map(|_| Request::GetQueuedTransfers)?,
        "GetAllQueuedTransfers" => of::<Nothing>(arguments).map(|_| Request::GetAllQueuedTransfers)?,
        "ScheduleInform" => {
            let delay: Delay = of(arguments)?;
            let (delay_seconds, command_key) = (delay.delay_seconds, delay.command_key);
            Request::ScheduleInform { delay_seconds, command_key }
        }
        "Download" => {
            let mut transfer = transfer(arguments, call)?;
            let files = call.office.store.files().map_err(|error| error.to_string())?;
            if !transfer.file.is_empty() {
                let found = files.iter().find(|known| known.name == transfer.file);
                let found = found.ok_or_else(|| format!("there is no file {}", transfer.file))?;
                transfer.file_size = u32::try_from(found.size).unwrap_or(0);
            }
            Request::Download(Box::new(Download {
                command_key: transfer.command_key,
                file_type: transfer.file_type,
                url: transfer.url,
                username: transfer.username,
                password: Secret::from(transfer.password),
                file_size: transfer.file_size,
                target_file_name: transfer.target_file_name,
                delay_seconds: transfer.delay_seconds,
                success_url: transfer.success_url,
                failure_url: transfer.failure_url,
            }))
        }
        "Upload" => {
            let transfer = transfer(arguments, call)?;
            Request::Upload(Box::new(Upload {
                command_key: transfer.command_key,
                file_type: transfer.file_type,
                url: transfer.url,
                username: transfer.username,
                password: Secret::from(transfer.password),
                delay_seconds: transfer.delay_seconds,
            }))
        }
        other => return Err(format!("{other} can only be sent as a message")),
    })
}

fn of<T: DeserializeOwned>(arguments: Json) -> Result<T, String> {
    serde_json::from_value(arguments).map_err(|error| format!("the arguments: {error}"))
}

fn object(arguments: Json) -> Result<ObjectCall, String> {
    let object: Object = of(arguments)?;
    Ok(ObjectCall { object_name: object.object, parameter_key: Some(object.parameter_key) })
}

fn transfer(arguments: Json, call: &Call<'_>) -> Result<Transfer, String> {
    let mut transfer: Transfer = of(arguments)?;
    match (transfer.url.is_empty(), transfer.file.is_empty()) {
        (true, false) => transfer.url = format!("{}files/{}", call.acs, transfer.file),
        (false, true) => {}
        _ => return Err("the arguments: a url or a file is wanted".to_owned()),
    }
    Ok(transfer)
}
