//! Every message of the codec with plausible content, for the tests that send them all through something.

use rcwmp::cwmp::event::{Event, EventCode};
use rcwmp::cwmp::fault::{Fault, ParameterFault};
use rcwmp::cwmp::rpc::*;
use rcwmp::cwmp::soap::envelope::{Envelope, Header, Namespace, Version};
use rcwmp::model::value::{Input, Kind, Value};

/// All namespaces.
pub const NAMESPACES: [Namespace; 3] = [Namespace::V1_0, Namespace::V1_1, Namespace::V1_2];

/// An envelope with an ID.
pub fn envelope(namespace: Namespace, message: Message) -> Envelope {
    Envelope { namespace, header: Header { id: Some("id-1".to_owned()), ..Header::default() }, message }
}

/// A value of each kind.
pub fn values() -> Vec<ParameterValue> {
    [
        (Kind::String, "text"),
        (Kind::String, ""),
        (Kind::Int, "-1"),
        (Kind::UnsignedInt, "4294967295"),
        (Kind::Long, "-9223372036854775808"),
        (Kind::UnsignedLong, "18446744073709551615"),
        (Kind::Boolean, "1"),
        (Kind::DateTime, "2026-01-02T03:04:05Z"),
        (Kind::Base64, "AAECAw=="),
        (Kind::HexBinary, "00ff"),
    ]
    .into_iter()
    .enumerate()
    .map(|(at, (kind, text))| ParameterValue {
        name: format!("Device.X_EX_Thing.{}.Value", at + 1),
        value: Value::new(kind, text),
    })
    .collect()
}

/// An Inform with these events.
pub fn inform(events: Vec<Event>) -> Inform {
    Inform {
        device_id: DeviceId {
            manufacturer: "Maker".into(),
            oui: "00AAFF".into(),
            product_class: "Router".into(),
            serial_number: "S-1".into(),
        },
        events,
        max_envelopes: 1,
        current_time: "2026-01-02T03:04:05+00:00".into(),
        retry_count: 0,
        parameter_list: values(),
    }
}

/// The requests, both ways.
pub fn requests() -> Vec<Request> {
    let inputs = values()
        .into_iter()
        .map(|item| ParameterInput {
            name: item.name,
            value: Input { kind: Some(item.value.kind), text: item.value.text, ..Input::default() },
        })
        .collect();
    let object = |name: &str| ObjectCall { object_name: name.into(), parameter_key: Some("key".into()) };
    let change = |name: &str, notification, access_list| SetParameterAttributes {
        name: name.into(),
        notification,
        access_list,
    };
    vec![
        Request::GetRpcMethods,
        Request::SetParameterValues(SetParameterValues { list: inputs, parameter_key: Some("key".into()) }),
        Request::GetParameterValues(vec!["Device.".into(), "Device.DeviceInfo.UpTime".into()]),
        Request::GetParameterNames(GetParameterNames { parameter_path: "Device.".into(), next_level: true }),
        Request::GetParameterNames(GetParameterNames { parameter_path: String::new(), next_level: false }),
        Request::SetParameterAttributes(vec![
            change("Device.A.", Some(2), Some(vec!["Subscriber".into()])),
            change("Device.B", None, Some(Vec::new())),
            change("Device.C", Some(0), None),
        ]),
        Request::GetParameterAttributes(vec!["Device.".into()]),
        Request::AddObject(object("Device.X.")),
        Request::DeleteObject(object("Device.X.1.")),
        Request::Reboot("command".into()),
        Request::Inform(Box::new(inform(vec![
            Event::of(EventCode::Boot),
            Event { code: EventCode::Method("Reboot".into()), command_key: "command".into() },
        ]))),
        Request::TransferComplete(TransferComplete {
            command_key: "command".into(),
            fault_code: 9010,
            fault_string: "File transfer failure".into(),
            start_time: "2026-01-02T03:04:05Z".into(),
            complete_time: UNKNOWN_TIME.into(),
        }),
        Request::Download(Box::new(Download {
            command_key: "command".into(),
            file_type: "1 Firmware Upgrade Image".into(),
            url: "https://files.example/image?a=1&b=<2>".into(),
            username: "user".into(),
            password: Secret::from("pass"),
            file_size: 4_294_967_295,
            target_file_name: "image.bin".into(),
            delay_seconds: 0,
            success_url: "http://files.example/good".into(),
            failure_url: "http://files.example/bad".into(),
        })),
        Request::Upload(Box::new(Upload {
            command_key: "command".into(),
            file_type: "1 Vendor Configuration File".into(),
            url: "ftp://files.example/up".into(),
            username: "user".into(),
            password: Secret::from("pass"),
            delay_seconds: 3600,
        })),
        Request::ScheduleDownload(Box::new(ScheduleDownload {
            command_key: "command".into(),
            file_type: "3 Vendor Configuration File".into(),
            url: "http://files.example/config".into(),
            username: "user".into(),
            password: Secret::from("pass"),
            file_size: 0,
            target_file_name: "config".into(),
            windows: vec![window("1 At Any Time", -1), window("4 User Confirmation Needed", 3)],
        })),
        Request::FactoryReset,
        Request::GetQueuedTransfers,
        Request::GetAllQueuedTransfers,
        Request::CancelTransfer("command".into()),
        Request::ScheduleInform { delay_seconds: 60, command_key: "command".into() },
        Request::SetVouchers(vec!["AAECAw==".into(), "BAUG".into()]),
        Request::GetOptions("option".into()),
        Request::ChangeDuState(Box::new(ChangeDuState {
            operations: vec![
                Operation::Install {
                    url: "http://files.example/package?a=1&b=2".into(),
                    uuid: UUID.into(),
                    username: "user".into(),
                    password: Secret::from("pass"),
                    execution_env_ref: "Device.SoftwareModules.ExecEnv.1".into(),
                },
                Operation::Install {
                    url: "http://files.example/p".into(),
                    uuid: String::new(),
                    username: String::new(),
                    password: Secret::default(),
                    execution_env_ref: String::new(),
                },
                Operation::Update {
                    uuid: UUID.into(),
                    version: "1.0".into(),
                    url: "http://files.example/package".into(),
                    username: "user".into(),
                    password: Secret::from("pass"),
                },
                Operation::Update {
                    uuid: String::new(),
                    version: String::new(),
                    url: String::new(),
                    username: String::new(),
                    password: Secret::default(),
                },
                Operation::Uninstall {
                    uuid: UUID.into(),
                    version: "1.0".into(),
                    execution_env_ref: "Device.SoftwareModules.ExecEnv.1".into(),
                },
            ],
            command_key: "command".into(),
        })),
        Request::AutonomousTransferComplete(Box::new(AutonomousTransferComplete {
            announce_url: "http://files.example/list".into(),
            transfer_url: "http://files.example/image".into(),
            is_download: true,
            file_type: "1 Firmware Upgrade Image".into(),
            file_size: 5,
            target_file_name: "image.bin".into(),
            fault_code: 9010,
            fault_string: "File transfer failure".into(),
            start_time: "2026-01-02T03:04:05Z".into(),
            complete_time: UNKNOWN_TIME.into(),
        })),
        Request::Kicked(Kicked {
            command: "command".into(),
            referer: "referer".into(),
            arg: "a=1&b=2".into(),
            next: "http://files.example/next".into(),
        }),
        Request::RequestDownload(RequestDownload {
            file_type: "1 Firmware Upgrade Image".into(),
            arguments: vec![("Version".into(), "2.0".into()), ("<Name>".into(), "a & b".into())],
        }),
        Request::DuStateChangeComplete(DuStateChangeComplete {
            results: vec![result("Installed", 0), result("Failed", 9022)],
            command_key: "command".into(),
        }),
        Request::AutonomousDuStateChangeComplete(vec![
            AutonomousResult { result: result("Uninstalled", 0), operation_performed: "Uninstall".into() },
            AutonomousResult { result: result("Failed", 9032), operation_performed: "Update".into() },
        ]),
    ]
}

const UUID: &str = "6bd8a8c5-84c4-5f2b-9b2c-0123456789aF";

fn window(mode: &str, max_retries: i32) -> TimeWindow {
    TimeWindow { start: 0, end: 86_400, mode: mode.into(), user_message: "when?".into(), max_retries }
}

fn result(current_state: &str, fault_code: u16) -> OperationResult {
    OperationResult {
        uuid: UUID.into(),
        deployment_unit_ref: "Device.SoftwareModules.DeploymentUnit.1".into(),
        version: "1.0".into(),
        current_state: current_state.into(),
        resolved: fault_code == 0,
        execution_unit_ref_list: "Device.SoftwareModules.ExecutionUnit.1".into(),
        start_time: "2026-01-02T03:04:05Z".into(),
        complete_time: UNKNOWN_TIME.into(),
        fault_code,
        fault_string: "why".into(),
    }
}

/// The oldest namespace whose schema has the message.
#[allow(dead_code, reason = "for the tests against the schemas")]
pub fn since(message: &Message) -> Namespace {
    let method = match message {
        Message::Request(request) => request.name(),
        Message::Response(response) => response.name(),
        Message::Fault(_) => "",
    };
    match method {
        "GetAllQueuedTransfers" | "AutonomousTransferComplete" => Namespace::V1_1,
        "ScheduleDownload"
        | "CancelTransfer"
        | "ChangeDUState"
        | "DUStateChangeComplete"
        | "AutonomousDUStateChangeComplete" => Namespace::V1_2,
        _ => Namespace::V1_0,
    }
}

/// The responses, both ways.
pub fn responses() -> Vec<Response> {
    let info = |name: &str, writable| ParameterInfo { name: name.into(), writable };
    let kept = |name: &str, notification, access_list| ParameterAttributes {
        name: name.into(),
        notification,
        access_list,
    };
    vec![
        Response::GetRpcMethods(vec!["GetRPCMethods".into(), "Reboot".into()]),
        Response::SetParameterValues(Status::Applied),
        Response::SetParameterValues(Status::Committed),
        Response::GetParameterValues(values()),
        Response::GetParameterValues(Vec::new()),
        Response::GetParameterNames(vec![info("Device.", false), info("Device.X.", true)]),
        Response::GetParameterNames(Vec::new()),
        Response::SetParameterAttributes,
        Response::GetParameterAttributes(vec![
            kept("Device.A", 2, vec!["Subscriber".into()]),
            kept("Device.B", 0, Vec::new()),
        ]),
        Response::GetParameterAttributes(Vec::new()),
        Response::AddObject { instance_number: 7, status: Status::Applied },
        Response::DeleteObject(Status::Committed),
        Response::Reboot,
        Response::Inform { max_envelopes: 1 },
        Response::TransferComplete,
        Response::Download(TransferTimes {
            status: Status::Committed,
            start_time: UNKNOWN_TIME.into(),
            complete_time: UNKNOWN_TIME.into(),
        }),
        Response::Upload(TransferTimes {
            status: Status::Applied,
            start_time: "2026-01-02T03:04:05Z".into(),
            complete_time: "2026-01-02T03:05:05Z".into(),
        }),
        Response::ScheduleDownload,
        Response::FactoryReset,
        Response::GetQueuedTransfers(
            [1, 2, 3].map(|state| QueuedTransfer { command_key: "command".into(), state }).into(),
        ),
        Response::GetQueuedTransfers(Vec::new()),
        Response::GetAllQueuedTransfers(vec![AnyQueuedTransfer {
            command_key: "command".into(),
            state: 2,
            is_download: true,
            file_type: "1 Firmware Upgrade Image".into(),
            file_size: 7,
            target_file_name: "image.bin".into(),
        }]),
        Response::GetAllQueuedTransfers(Vec::new()),
        Response::CancelTransfer,
        Response::ScheduleInform,
        Response::SetVouchers,
        Response::GetOptions(vec![
            option(3, 1, Some("2027-01-02T03:04:05Z".into()), true),
            option(0, 2, None, false),
        ]),
        Response::GetOptions(Vec::new()),
        Response::ChangeDuState,
        Response::AutonomousTransferComplete,
        Response::Kicked { next_url: "http://files.example/next?a=1&b=2".into() },
        Response::RequestDownload,
        Response::DuStateChangeComplete,
        Response::AutonomousDuStateChangeComplete,
    ]
}

fn option(state: u8, mode: u8, expiration_date: Option<String>, is_transferable: bool) -> OptionState {
    OptionState {
        option_name: "option".into(),
        voucher_sn: 4_294_967_295,
        state,
        mode,
        start_date: "2026-01-02T03:04:05Z".into(),
        expiration_date,
        is_transferable,
    }
}

/// Faults of both sides.
pub fn faults() -> Vec<Fault> {
    let mut list: Vec<Fault> = [9000, 9001, 9002, 9003, 9004, 9005, 9008, 9009, 8000, 8003, 8005]
        .map(|code| Fault::new(code, "why"))
        .into();
    let entry = |name: &str, code| ParameterFault { parameter_name: name.into(), code, string: "why".into() };
    list.push(Fault {
        code: 9003,
        string: "Invalid arguments".into(),
        parameters: vec![entry("Device.A", 9005), entry("Device.B", 9008)],
    });
    list
}

/// All of them.
pub fn messages() -> Vec<Message> {
    let requests = requests().into_iter().map(Message::Request);
    let responses = responses().into_iter().map(Message::Response);
    requests.chain(responses).chain(faults().into_iter().map(Message::Fault)).collect()
}

/// The headers that may stand on this message in this namespace.
pub fn header(namespace: Namespace, message: &Message) -> Header {
    let modern = namespace == Namespace::V1_2;
    let mut header = Header { id: Some(" id <1> ".to_owned()), ..Header::default() };
    match message {
        Message::Request(Request::Inform(_)) if modern => {
            header.session_timeout = Some(60);
            header.supported_cwmp_versions = Version::ALL.to_vec();
        }
        Message::Response(Response::Inform { .. }) => {
            header.hold_requests = true;
            header.use_cwmp_version = modern.then_some(Version::V1_4);
        }
        _ => {}
    }
    header
}
