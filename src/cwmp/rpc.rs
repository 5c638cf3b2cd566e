//! The methods of TR-069 Annex A as data: one struct for each message, fields in the standard's words.
//!
//! Requests and responses of both directions share these types, so that the agent and the mini-ACS
//! stand on one codec. `soap` turns them into envelopes and back; `dispatch` performs the CPE's.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::fault::Fault;
use crate::model::value::{Input, Value};
pub use crate::secret::Secret;

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
    /// A.3.2.8, to the CPE.
    Download(Box<Download>),
    /// A.4.1.8, to the CPE.
    ScheduleDownload(Box<ScheduleDownload>),
    /// A.4.1.5, to the CPE.
    Upload(Box<Upload>),
    /// A.4.1.6, to the CPE.
    FactoryReset,
    /// A.4.1.1, to the CPE; deprecated.
    GetQueuedTransfers,
    /// A.4.1.7, to the CPE.
    GetAllQueuedTransfers,
    /// A.4.1.9, to the CPE: the CommandKey.
    CancelTransfer(String),
    /// A.4.1.2, to the CPE.
    ScheduleInform {
        /// At least 1, in seconds.
        delay_seconds: u32,
        /// For its `M ScheduleInform`.
        command_key: String,
    },
    /// A.4.1.10, to the CPE.
    ChangeDuState(Box<ChangeDuState>),
    /// A.4.1.3, to the CPE, deprecated: the vouchers in base64.
    SetVouchers(Vec<String>),
    /// A.4.1.4, to the CPE, deprecated: the name, empty for all.
    GetOptions(String),
    /// A.3.3.1, to the ACS.
    Inform(Box<Inform>),
    /// A.3.3.2, to the ACS.
    TransferComplete(TransferComplete),
    /// A.3.3.3, to the ACS.
    AutonomousTransferComplete(Box<AutonomousTransferComplete>),
    /// A.4.2.3, to the ACS.
    DuStateChangeComplete(DuStateChangeComplete),
    /// A.4.2.4, to the ACS.
    AutonomousDuStateChangeComplete(Vec<AutonomousResult>),
    /// A.4.2.2, to the ACS.
    RequestDownload(RequestDownload),
    /// A.4.2.1, to the ACS; deprecated.
    Kicked(Kicked),
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
    /// Whether it is done already, and when.
    Download(TransferTimes),
    /// Empty; the transfer follows in its window.
    ScheduleDownload,
    /// As for a Download.
    Upload(TransferTimes),
    /// Empty; the reset follows the session.
    FactoryReset,
    /// At most 16.
    GetQueuedTransfers(Vec<QueuedTransfer>),
    /// At most 16.
    GetAllQueuedTransfers(Vec<AnyQueuedTransfer>),
    /// Empty.
    CancelTransfer,
    /// Empty.
    ScheduleInform,
    /// Empty; the changes follow the session.
    ChangeDuState,
    /// Empty.
    SetVouchers,
    /// The options that a voucher has enabled.
    GetOptions(Vec<OptionState>),
    /// MaxEnvelopes, always 1.
    Inform {
        /// As received; 1 when we send it.
        max_envelopes: u32,
    },
    /// Empty.
    TransferComplete,
    /// Empty.
    AutonomousTransferComplete,
    /// Empty.
    DuStateChangeComplete,
    /// Empty.
    AutonomousDuStateChangeComplete,
    /// Empty.
    RequestDownload,
    /// Where the user's browser goes next.
    Kicked {
        /// At most 1024 characters.
        next_url: String,
    },
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
            Request::Download(_) => "Download",
            Request::ScheduleDownload(_) => "ScheduleDownload",
            Request::Upload(_) => "Upload",
            Request::FactoryReset => "FactoryReset",
            Request::GetQueuedTransfers => "GetQueuedTransfers",
            Request::GetAllQueuedTransfers => "GetAllQueuedTransfers",
            Request::CancelTransfer(_) => "CancelTransfer",
            Request::ScheduleInform { .. } => "ScheduleInform",
            Request::ChangeDuState(_) => "ChangeDUState",
            Request::SetVouchers(_) => "SetVouchers",
            Request::GetOptions(_) => "GetOptions",
            Request::Inform(_) => "Inform",
            Request::TransferComplete(_) => "TransferComplete",
            Request::AutonomousTransferComplete(_) => "AutonomousTransferComplete",
            Request::DuStateChangeComplete(_) => "DUStateChangeComplete",
            Request::AutonomousDuStateChangeComplete(_) => "AutonomousDUStateChangeComplete",
            Request::RequestDownload(_) => "RequestDownload",
            Request::Kicked(_) => "Kicked",
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
            Response::Download(_) => "Download",
            Response::ScheduleDownload => "ScheduleDownload",
            Response::Upload(_) => "Upload",
            Response::FactoryReset => "FactoryReset",
            Response::GetQueuedTransfers(_) => "GetQueuedTransfers",
            Response::GetAllQueuedTransfers(_) => "GetAllQueuedTransfers",
            Response::CancelTransfer => "CancelTransfer",
            Response::ScheduleInform => "ScheduleInform",
            Response::ChangeDuState => "ChangeDUState",
            Response::SetVouchers => "SetVouchers",
            Response::GetOptions(_) => "GetOptions",
            Response::AutonomousTransferComplete => "AutonomousTransferComplete",
            Response::DuStateChangeComplete => "DUStateChangeComplete",
            Response::AutonomousDuStateChangeComplete => "AutonomousDUStateChangeComplete",
            Response::RequestDownload => "RequestDownload",
            Response::Kicked { .. } => "Kicked",
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

/// `Download` (A.3.2.8).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Download {
    /// At most 32 characters.
    pub command_key: String,
    /// With its number, at most 64 characters.
    pub file_type: String,
    /// At most 256 characters, as the next three.
    pub url: String,
    /// Empty for none.
    pub username: String,
    /// Empty for none.
    pub password: Secret,
    /// In octets; 0 when unknown.
    pub file_size: u32,
    /// Not a path to be trusted.
    pub target_file_name: String,
    /// 0: at once after the session.
    pub delay_seconds: u32,
    /// For a user's browser.
    pub success_url: String,
    /// For a user's browser.
    pub failure_url: String,
}

/// `ScheduleDownload` (A.4.1.8).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScheduleDownload {
    /// As in [`Download`], all but the windows.
    pub command_key: String,
    /// With its number.
    pub file_type: String,
    /// Where from.
    pub url: String,
    /// Empty for none.
    pub username: String,
    /// Empty for none.
    pub password: Secret,
    /// In octets; 0 when unknown.
    pub file_size: u32,
    /// Not a path to be trusted.
    pub target_file_name: String,
    /// One or two.
    pub windows: Vec<TimeWindow>,
}

/// `TimeWindowStruct`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimeWindow {
    /// Seconds after the request.
    pub start: u32,
    /// Seconds after the request.
    pub end: u32,
    /// With its number, at most 64 characters.
    pub mode: String,
    /// At most 256 characters.
    pub user_message: String,
    /// -1: the device's own policy.
    pub max_retries: i32,
}

/// `Upload` (A.4.1.5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upload {
    /// At most 32 characters.
    pub command_key: String,
    /// With its number.
    pub file_type: String,
    /// Where to.
    pub url: String,
    /// Empty for none.
    pub username: String,
    /// Empty for none.
    pub password: Secret,
    /// 0: at once after the session.
    pub delay_seconds: u32,
}

/// The arguments of DownloadResponse and UploadResponse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferTimes {
    /// [`Status::Committed`]: a TransferComplete follows.
    pub status: Status,
    /// dateTime; the unknown time until it is done.
    pub start_time: String,
    /// dateTime; the unknown time until it is done.
    pub complete_time: String,
}

/// `QueuedTransferStruct`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedTransfer {
    /// Of the request.
    pub command_key: String,
    /// 1 not yet started, 2 in progress, 3 completed.
    pub state: u8,
}

/// `AllQueuedTransferStruct`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyQueuedTransfer {
    /// Of the request; empty for an autonomous one.
    pub command_key: String,
    /// 1 not yet started, 2 in progress, 3 completed.
    pub state: u8,
    /// Not an upload.
    pub is_download: bool,
    /// In this method's numbering.
    pub file_type: String,
    /// In octets; 0 when unknown.
    pub file_size: u32,
    /// Empty for uploads.
    pub target_file_name: String,
}

/// `ChangeDUState` (A.4.1.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeDuState {
    /// At least one.
    pub operations: Vec<Operation>,
    /// At most 32 characters.
    pub command_key: String,
}

/// `OperationStruct` in its three kinds; absent elements are empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// `InstallOpStruct`.
    Install {
        /// At most 1024 characters.
        url: String,
        /// RFC 4122, or empty.
        uuid: String,
        /// Empty for none.
        username: String,
        /// Empty for none.
        password: Secret,
        /// A path, or empty.
        execution_env_ref: String,
    },
    /// `UpdateOpStruct`.
    Update {
        /// Empty: of the unit with this URL, or of all.
        uuid: String,
        /// At most 32 characters.
        version: String,
        /// Empty: where it came from.
        url: String,
        /// Empty for none.
        username: String,
        /// Empty for none.
        password: Secret,
    },
    /// `UninstallOpStruct`.
    Uninstall {
        /// RFC 4122.
        uuid: String,
        /// Empty: every version.
        version: String,
        /// A path, or empty.
        execution_env_ref: String,
    },
}

/// `DUStateChangeComplete` (A.4.2.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuStateChangeComplete {
    /// In the order of the operations.
    pub results: Vec<OperationResult>,
    /// Of the request.
    pub command_key: String,
}

/// `OpResultStruct`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OperationResult {
    /// RFC 4122.
    pub uuid: String,
    /// A path, or empty.
    pub deployment_unit_ref: String,
    /// At most 32 characters.
    pub version: String,
    /// `Installed`, `Uninstalled` or `Failed`.
    pub current_state: String,
    /// All dependencies are there.
    pub resolved: bool,
    /// Paths with commas between them.
    pub execution_unit_ref_list: String,
    /// dateTime, UTC.
    pub start_time: String,
    /// dateTime, UTC.
    pub complete_time: String,
    /// 0 for success.
    pub fault_code: u16,
    /// Empty for success.
    pub fault_string: String,
}

/// `AutonOpResultStruct`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutonomousResult {
    /// What came of it.
    pub result: OperationResult,
    /// `Install`, `Update` or `Uninstall`.
    pub operation_performed: String,
}

/// `AutonomousTransferComplete` (A.3.3.3).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AutonomousTransferComplete {
    /// Where it was announced; empty if nowhere.
    pub announce_url: String,
    /// Where the file was.
    pub transfer_url: String,
    /// Not an upload.
    pub is_download: bool,
    /// In GetAllQueuedTransfers' numbering.
    pub file_type: String,
    /// In octets; 0 when unknown.
    pub file_size: u32,
    /// Empty for uploads.
    pub target_file_name: String,
    /// 0 for success.
    pub fault_code: u16,
    /// Empty for success.
    pub fault_string: String,
    /// dateTime, UTC.
    pub start_time: String,
    /// dateTime, UTC.
    pub complete_time: String,
}

/// `RequestDownload` (A.4.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestDownload {
    /// With its number.
    pub file_type: String,
    /// Names and values, at most 16.
    pub arguments: Vec<(String, String)>,
}

/// `Kicked` (A.4.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kicked {
    /// At most 32 characters.
    pub command: String,
    /// At most 64 characters.
    pub referer: String,
    /// At most 256 characters.
    pub arg: String,
    /// At most 1024 characters.
    pub next: String,
}

/// `OptionStruct`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionState {
    /// At most 64 characters.
    pub option_name: String,
    /// The voucher's serial number.
    pub voucher_sn: u32,
    /// 0 to 3.
    pub state: u8,
    /// 0 to 2.
    pub mode: u8,
    /// dateTime.
    pub start_date: String,
    /// dateTime; `None` when it does not expire.
    pub expiration_date: Option<String>,
    /// Whether it can go to another device.
    pub is_transferable: bool,
}

/// dateTime of an unknown time (TR-106 3.2.2).
pub const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";
