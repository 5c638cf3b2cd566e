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
    ]
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
    ]
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
