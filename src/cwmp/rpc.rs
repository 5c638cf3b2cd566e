//! The methods of TR-069 Annex A as data: one struct for each message, fields in the standard's words.
//!
//! Requests and responses of both directions share these types, so that the agent and the mini-ACS
//! stand on one codec. `soap` turns them into envelopes and back; `dispatch` performs the CPE's.

use super::event::Event;
use super::fault::Fault;
use crate::model::value::{Input, Value};

/// A method call, either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A.3.1.1, either direction.
    GetRpcMethods,
    /// A.3.2.1, to the CPE.
    SetParameterValues(SetParameterValues),
    /// A.3.2.2, to the CPE: the names.
    GetParameterValues(Vec<String>),
    /// A.3.2.3, to the CPE.
    GetParameterNames(GetParameterNames),
    /// A.3.2.4, to the CPE.
    SetParameterAttributes(Vec<SetParameterAttributes>),
    /// A.3.2.5, to the CPE: the names.
    GetParameterAttributes(Vec<String>),
    /// A.3.2.6, to the CPE.
    AddObject(ObjectCall),
    /// A.3.2.7, to the CPE.
    DeleteObject(ObjectCall),
    /// A.3.2.9, to the CPE: the CommandKey.
    Reboot(String),
    /// A.3.3.1, to the ACS.
    Inform(Box<Inform>),
    /// A.3.3.2, to the ACS.
    TransferComplete(TransferComplete),
    /// A method this side does not know: its local name. Answered with 9000 or 8000.
    Unsupported(String),
}

/// The answer to a [`Request`]; the names mirror it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The method names, `GetRPCMethods` spelt as the standard does.
    GetRpcMethods(Vec<String>),
    /// Whether the change is in force.
    SetParameterValues(Status),
    /// Names and values in the order of the request.
    GetParameterValues(Vec<ParameterValue>),
    /// Names and whether they can be written.
    GetParameterNames(Vec<ParameterInfo>),
    /// Empty.
    SetParameterAttributes,
    /// Names with notification and access list.
    GetParameterAttributes(Vec<ParameterAttributes>),
    /// The new instance.
    AddObject {
        /// Its number, at least 1.
        instance_number: u32,
        /// Whether it is in force.
        status: Status,
    },
    /// Whether the removal is in force.
    DeleteObject(Status),
    /// Empty; the reboot follows the session.
    Reboot,
    /// MaxEnvelopes, always 1.
    Inform {
        /// As received; 1 when we send it.
        max_envelopes: u32,
    },
    /// Empty.
    TransferComplete,
    /// An answer to a method this side does not know: its name without `Response`. Some ACSs answer
    /// TransferComplete with AutonomousTransferCompleteResponse; whether to go on is for the session.
    Other(String),
}

impl Request {
    /// The method's name as it stands in the Body.
    pub fn name(&self) -> &str {
        match self {
            Request::GetRpcMethods => "GetRPCMethods",
            Request::SetParameterValues(_) => "SetParameterValues",
            Request::GetParameterValues(_) => "GetParameterValues",
            Request::GetParameterNames(_) => "GetParameterNames",
            Request::SetParameterAttributes(_) => "SetParameterAttributes",
            Request::GetParameterAttributes(_) => "GetParameterAttributes",
            Request::AddObject(_) => "AddObject",
            Request::DeleteObject(_) => "DeleteObject",
            Request::Reboot(_) => "Reboot",
            Request::Inform(_) => "Inform",
            Request::TransferComplete(_) => "TransferComplete",
            Request::Unsupported(name) => name,
        }
    }
}

impl Response {
    /// The method's name without `Response`.
    pub fn name(&self) -> &str {
        match self {
            Response::GetRpcMethods(_) => "GetRPCMethods",
            Response::SetParameterValues(_) => "SetParameterValues",
            Response::GetParameterValues(_) => "GetParameterValues",
            Response::GetParameterNames(_) => "GetParameterNames",
            Response::SetParameterAttributes => "SetParameterAttributes",
            Response::GetParameterAttributes(_) => "GetParameterAttributes",
            Response::AddObject { .. } => "AddObject",
            Response::DeleteObject(_) => "DeleteObject",
            Response::Reboot => "Reboot",
            Response::Inform { .. } => "Inform",
            Response::TransferComplete => "TransferComplete",
            Response::Other(name) => name,
        }
    }
}

/// What a Body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A call.
    Request(Request),
    /// Its answer.
    Response(Response),
    /// Its refusal.
    Fault(Fault),
}

/// Whether a change is already in force (A.3.2.1: 0 and 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0: validated and applied.
    Applied,
    /// 1: validated and committed, applied after the session.
    Committed,
}

/// `SetParameterValues` (A.3.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetParameterValues {
    /// Names and values as received; duplicates are for the dispatcher to refuse.
    pub list: Vec<ParameterInput>,
    /// `None` when the element was absent (tolerated: the key then stays as it is).
    pub parameter_key: Option<String>,
}

/// `ParameterValueStruct` as it comes from an ACS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterInput {
    /// The full parameter name.
    pub name: String,
    /// The value as received.
    pub value: Input,
}

/// `ParameterValueStruct` as a CPE sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterValue {
    /// The full parameter name.
    pub name: String,
    /// Kind and canonical text.
    pub value: Value,
}

/// `GetParameterNames` (A.3.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetParameterNames {
    /// A full or partial path; empty: everything.
    pub parameter_path: String,
    /// Only the next level below the path.
    pub next_level: bool,
}

/// `ParameterInfoStruct`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterInfo {
    /// A parameter, or an object with its final dot.
    pub name: String,
    /// Settable; for a table: AddObject works; for an instance: DeleteObject works.
    pub writable: bool,
}

/// `SetParameterAttributesStruct` (A.3.2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetParameterAttributes {
    /// A full or partial path.
    pub name: String,
    /// The new notification, if NotificationChange is true. Not checked against 0..6 here.
    pub notification: Option<i64>,
    /// The new access list, if AccessListChange is true.
    pub access_list: Option<Vec<String>>,
}

/// `ParameterAttributeStruct`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterAttributes {
    /// The full parameter name.
    pub name: String,
    /// 0 to 6.
    pub notification: u8,
    /// `Subscriber` or nothing.
    pub access_list: Vec<String>,
}

/// `AddObject` and `DeleteObject` (A.3.2.6, A.3.2.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectCall {
    /// The table or the instance, with its final dot.
    pub object_name: String,
    /// `None` when the element was absent.
    pub parameter_key: Option<String>,
}

/// `DeviceIdStruct` (A.3.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceId {
    /// At most 64 characters.
    pub manufacturer: String,
    /// Six hexadecimal digits, upper case.
    pub oui: String,
    /// At most 64 characters, may be empty.
    pub product_class: String,
    /// At most 64 characters.
    pub serial_number: String,
}

/// `Inform` (A.3.3.1). MaxEnvelopes is always 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inform {
    /// Who informs.
    pub device_id: DeviceId,
    /// At most 64.
    pub events: Vec<Event>,
    /// As received by an ACS; 1 when we send it.
    pub max_envelopes: u32,
    /// Local time with a numeric offset.
    pub current_time: String,
    /// Failed attempts since the last successful session.
    pub retry_count: u32,
    /// The forced parameters and those that changed.
    pub parameter_list: Vec<ParameterValue>,
}

/// `TransferComplete` (A.3.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferComplete {
    /// Of the request, at most 32 characters.
    pub command_key: String,
    /// 0 for success.
    pub fault_code: u16,
    /// Empty for success, at most 256 characters.
    pub fault_string: String,
    /// dateTime, UTC.
    pub start_time: String,
    /// dateTime, UTC; unknown time when not completed.
    pub complete_time: String,
}

/// dateTime of an unknown time (TR-106 3.2.2).
pub const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";
