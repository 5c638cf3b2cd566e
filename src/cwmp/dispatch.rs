//! Performs what an ACS asks for (TR-069 A.3.1, A.3.2) on the data model.
//!
//! The one place where methods meet the model: arguments are checked here, the model's errors become
//! faults by [`super::fault`], and the rest is somebody's [`Duties`].

use super::fault::{self, Fault};
use super::rpc::{
    GetParameterNames, ObjectCall, ParameterAttributes, ParameterInfo, ParameterValue, Request, Response,
    SetParameterAttributes, SetParameterValues, Status,
};
use super::soap::envelope::Version;
use crate::model::Model;
use crate::model::addressing::Addressing;
use crate::model::attributes::AttributeChange;
use crate::model::backend::Backend;
use crate::model::path::Path;

/// The methods of a CPE that are served, in the standard's spelling.
pub const METHODS: [&str; 20] = [
    "GetRPCMethods",
    "SetParameterValues",
    "GetParameterValues",
    "GetParameterNames",
    "SetParameterAttributes",
    "GetParameterAttributes",
    "AddObject",
    "DeleteObject",
    "Reboot",
    "Download",
    "ScheduleDownload",
    "Upload",
    "FactoryReset",
    "GetQueuedTransfers",
    "GetAllQueuedTransfers",
    "CancelTransfer",
    "ScheduleInform",
    "ChangeDUState",
    "SetVouchers",
    "GetOptions",
];

/// ParameterKey and CommandKey: `string(32)`.
const MAX_KEY: usize = 32;

/// Who does what methods ask of the device rather than of its data model.
pub trait Duties {
    /// Performs such a method, or promises to: what is answered is done even if this process is killed.
    ///
    /// # Errors
    /// The fault to answer with; nothing was accepted then.
    fn perform(&mut self, request: &Request) -> Result<Response, Fault>;
}

/// Performs one request.
///
/// `duties` is for what the model does not do.
///
/// # Errors
/// The fault to answer with; the model is unchanged then.
pub fn perform<B: Backend>(
    request: &Request,
    model: &mut Model<B>,
    duties: &mut dyn Duties,
) -> Result<Response, Fault> {
    let addressing = addressing(model);
    model.set_addressing(addressing);
    match request {
        Request::GetRpcMethods => {
            Ok(Response::GetRpcMethods(METHODS.iter().map(|method| (*method).to_owned()).collect()))
        }
        Request::SetParameterValues(call) => set_values(call, model),
        Request::GetParameterValues(names) => values(names, model),
        Request::GetParameterNames(call) => names(call, model),
        Request::SetParameterAttributes(list) => set_attributes(list, model),
        Request::GetParameterAttributes(names) => attributes(names, model),
        Request::AddObject(call) => add(call, model),
        Request::DeleteObject(call) => delete(call, model),
        Request::Reboot(command_key) => {
            check_key(Some(command_key))?;
            duties.perform(request)
        }
        other => duties.perform(other),
    }
}

/// As [`perform`], of a CPE that speaks this version of CWMP: a method that came later is not one of its own
/// (TR-069 3.7.4).
///
/// # Errors
/// As [`perform`], and 9000.
pub fn perform_at<B: Backend>(
    spoken: Version,
    request: &Request,
    model: &mut Model<B>,
    duties: &mut dyn Duties,
) -> Result<Response, Fault> {
    if since(request.name()) > spoken {
        return Err(Fault::new(fault::METHOD_NOT_SUPPORTED, request.name()));
    }
    let mut response = perform(request, model, duties)?;
    if let Response::GetRpcMethods(names) = &mut response {
        names.retain(|name| since(name) <= spoken);
    }
    Ok(response)
}

/// The version that brought a method an ACS can call (TR-069 3.7.4, table 6).
fn since(method: &str) -> Version {
    match method {
        "GetAllQueuedTransfers" => Version::V1_1,
        "ScheduleDownload" | "CancelTransfer" | "ChangeDUState" => Version::V1_2,
        _ => Version::V1_0,
    }
}

/// How the ACS wants instances addressed, which it may have changed a moment ago (TR-069 3.6.1).
pub fn addressing<B: Backend>(model: &mut Model<B>) -> Addressing {
    let mut text = |name: &str| {
        let found = model.values([name]).ok().and_then(|list| list.into_iter().next());
        found.map(|(_, value)| value.text).unwrap_or_default()
    };
    Addressing {
        by_alias: text("Device.ManagementServer.InstanceMode") == "InstanceAlias",
        auto_create: text("Device.ManagementServer.AutoCreateInstances") == "1",
    }
}

fn set_values<B: Backend>(call: &SetParameterValues, model: &mut Model<B>) -> Result<Response, Fault> {
    check_key(call.parameter_key.as_ref())?;
    let list: Vec<_> = call.list.iter().map(|one| (one.name.clone(), one.value.clone())).collect();
    model.set(&list, call.parameter_key.as_deref()).map_err(|error| Fault::from(&error))?;
    Ok(Response::SetParameterValues(status(model)))
}

fn values<B: Backend>(names: &[String], model: &mut Model<B>) -> Result<Response, Fault> {
    check_names(names)?;
    let list = model.values(names.iter().map(String::as_str)).map_err(|error| Fault::from(&error))?;
    save(model)?;
    let list = list.into_iter().map(|(name, value)| ParameterValue { name, value }).collect();
    Ok(Response::GetParameterValues(list))
}

fn names<B: Backend>(call: &GetParameterNames, model: &mut Model<B>) -> Result<Response, Fault> {
    let list = model.names(&call.parameter_path, call.next_level).map_err(|error| Fault::from(&error))?;
    save(model)?;
    let list = list.into_iter().map(|(name, writable)| ParameterInfo { name, writable }).collect();
    Ok(Response::GetParameterNames(list))
}

fn attributes<B: Backend>(names: &[String], model: &mut Model<B>) -> Result<Response, Fault> {
    check_names(names)?;
    let mut list = Vec::new();
    for name in names {
        for (name, param) in model.params(name).map_err(|error| Fault::from(&error))? {
            let found = model.attributes(&name, &param);
            let access_list = if found.subscriber { vec!["Subscriber".to_owned()] } else { Vec::new() };
            list.push(ParameterAttributes { name, notification: found.notification, access_list });
        }
    }
    save(model)?;
    Ok(Response::GetParameterAttributes(list))
}

fn set_attributes<B: Backend>(
    list: &[SetParameterAttributes],
    model: &mut Model<B>,
) -> Result<Response, Fault> {
    // Attributes have no wildcards: A.2.2.1 allows them in the Get methods only.
    if let Some(wild) = list.iter().find(|one| Path::parse(&one.name).is_ok_and(|path| path.has_wildcard())) {
        return Err(Fault::new(fault::INVALID_PARAMETER_NAME, &wild.name));
    }
    let changes: Vec<AttributeChange> = list
        .iter()
        .map(|one| AttributeChange {
            name: one.name.clone(),
            notification: one.notification,
            // Entities other than Subscriber are ignored (A.3.2.4).
            subscriber: one.access_list.as_ref().map(|list| list.iter().any(|entity| entity == "Subscriber")),
        })
        .collect();
    model.set_attributes(&changes).map_err(|error| Fault::from(&error))?;
    Ok(Response::SetParameterAttributes)
}

fn add<B: Backend>(call: &ObjectCall, model: &mut Model<B>) -> Result<Response, Fault> {
    check_key(call.parameter_key.as_ref())?;
    let instance_number =
        model.add(&call.object_name, call.parameter_key.as_deref()).map_err(|error| Fault::from(&error))?;
    Ok(Response::AddObject { instance_number, status: status(model) })
}

fn delete<B: Backend>(call: &ObjectCall, model: &mut Model<B>) -> Result<Response, Fault> {
    check_key(call.parameter_key.as_ref())?;
    model.delete(&call.object_name, call.parameter_key.as_deref()).map_err(|error| Fault::from(&error))?;
    Ok(Response::DeleteObject(status(model)))
}

/// Services follow their files once, after the session: until then a change of theirs is only committed.
fn status<B: Backend>(model: &mut Model<B>) -> Status {
    if model.backend().waits() { Status::Committed } else { Status::Applied }
}

/// Numbers that the ACS is about to see must hold from now on.
fn save<B: Backend>(model: &mut Model<B>) -> Result<(), Fault> {
    model.save().map_err(|error| Fault::from(&error))
}

/// An array of names has at least one (the XSD's minOccurs).
fn check_names(names: &[String]) -> Result<(), Fault> {
    if names.is_empty() {
        return Err(Fault::new(fault::INVALID_ARGUMENTS, "ParameterNames is empty"));
    }
    Ok(())
}

fn check_key(key: Option<&String>) -> Result<(), Fault> {
    match key {
        Some(key) if key.chars().count() > MAX_KEY => {
            Err(Fault::new(fault::INVALID_ARGUMENTS, "the key is longer than 32 characters"))
        }
        _ => Ok(()),
    }
}
