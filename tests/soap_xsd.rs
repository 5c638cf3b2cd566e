//! Everything the codec writes is valid against the Broadband Forum's schemas and a separate linter.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but does not see the helpers of these"
)]

#[path = "soap/messages.rs"]
mod messages;

use std::path::{Path, PathBuf};
use std::process::Command;

use rcwmp::cwmp::event::{Event, EventCode};
use rcwmp::cwmp::fault::Fault;
use rcwmp::cwmp::rpc::{
    DuStateChangeComplete, Message, OperationResult, ParameterInfo, ParameterValue, Request, RequestDownload,
    Response, TransferComplete, UNKNOWN_TIME,
};
use rcwmp::cwmp::soap;
use rcwmp::cwmp::soap::envelope::{Envelope, Header, Namespace, Version};
use rcwmp::model::value::{Kind, Value};

/// The folder of schemas and linter, if this machine has it and what runs them.
fn schemas() -> Option<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/standards/xsd")).to_owned();
    if !folder.exists() {
        skip("skipped: ../shared not present");
        return None;
    }
    if ["xmllint", "python3"].iter().any(|tool| Command::new(tool).arg("--version").output().is_err()) {
        skip("skipped: no xmllint or no python3");
        return None;
    }
    Some(folder)
}

#[expect(clippy::disallowed_macros, reason = "a test says so when it did not test")]
fn skip(why: &str) {
    println!("{why}");
}

/// The two commands of the folder's `validate.sh`, each once for all files: whether both are content,
/// and what they said.
fn validate(schemas: &Path, envelopes: &[Envelope]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = envelopes
        .iter()
        .enumerate()
        .map(|(at, envelope)| {
            let name = match &envelope.message {
                Message::Request(request) => request.name().to_owned(),
                Message::Response(response) => format!("{}Response", response.name()),
                Message::Fault(fault) => format!("Fault{}", fault.code),
            };
            let file = folder.path().join(format!("{at:03}-{:?}-{name}.xml", envelope.namespace));
            std::fs::write(&file, soap::write(envelope)).unwrap();
            file
        })
        .collect();
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--nonet", "--noout", "--schema"]).arg(schemas.join("cwmp-strict.xsd")).args(&files);
    let mut lint = Command::new("python3");
    lint.arg(schemas.join("cwmplint.py")).args(&files);
    let (mut valid, mut report) = (true, String::new());
    for command in [&mut xmllint, &mut lint] {
        let run = command.output().unwrap();
        valid &= run.status.success();
        report += &String::from_utf8_lossy(&run.stdout);
        report += &String::from_utf8_lossy(&run.stderr);
    }
    (valid, report)
}

fn must_be_valid(envelopes: &[Envelope]) {
    let Some(schemas) = schemas() else { return };
    let (valid, report) = validate(&schemas, envelopes);
    let content = |line: &&str| line.ends_with(": ok") || line.ends_with(" validates");
    let (content, complaints): (Vec<&str>, Vec<&str>) = report.lines().partition(content);
    assert!(valid && complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(content.len(), 2 * envelopes.len(), "{report}");
}

#[test]
fn every_message_in_every_namespace() {
    let mut envelopes = Vec::new();
    for namespace in messages::NAMESPACES {
        for message in
            messages::messages().into_iter().filter(|message| messages::since(message) <= namespace)
        {
            envelopes.push(Envelope { namespace, header: messages::header(namespace, &message), message });
        }
    }
    assert!(envelopes.len() > 180, "{}", envelopes.len());
    must_be_valid(&envelopes);
}

#[test]
fn odd_values() {
    let odd = [
        "Übergröße €𝄞",
        "\0\u{1}\u{8}\u{b}\u{1b}[31m\u{7f}\u{85}\u{fffe}\u{ffff}",
        "]]></Value></ParameterValueStruct>",
        "<!DOCTYPE x><![CDATA[&lt;]]>",
        "a\r\nb\tc\rd",
        "  padded  ",
        "\"quoted\" 'quoted'",
        "&amp;#0; &nosuch; %s %n $(reboot) `reboot`",
    ];
    let list: Vec<ParameterValue> = odd
        .iter()
        .map(|text| ParameterValue { name: format!("Device.{text}"), value: Value::new(Kind::String, *text) })
        .collect();
    let names =
        odd.iter().map(|text| ParameterInfo { name: format!("Device.{text}."), writable: false }).collect();
    let mut inform = messages::inform(vec![Event::of(EventCode::ValueChange)]);
    inform.parameter_list = list.clone();
    inform.device_id.manufacturer = odd[0].to_owned();
    inform.device_id.serial_number = odd[1].to_owned();
    let all = [
        Message::Request(Request::Inform(Box::new(inform))),
        Message::Response(Response::GetParameterValues(list)),
        Message::Response(Response::GetParameterNames(names)),
    ]
    .into_iter()
    .chain(odd.iter().map(|text| Message::Fault(Fault::new(9002, text))));
    let envelopes: Vec<Envelope> = all
        .enumerate()
        .map(|(at, message)| {
            let header = Header { id: Some(odd[at % odd.len()].to_owned()), ..Header::default() };
            Envelope { namespace: Namespace::V1_2, header, message }
        })
        .collect();
    must_be_valid(&envelopes);
    // What XML can carry comes back as it was; what it cannot is replaced, not dropped.
    for envelope in &envelopes {
        let back = soap::read(&soap::write(envelope), &soap::Limits::default()).unwrap();
        if let (
            Message::Response(Response::GetParameterValues(sent)),
            Message::Response(Response::GetParameterValues(got)),
        ) = (&envelope.message, &back.message)
        {
            for (sent, got) in sent.iter().zip(got) {
                let carried = |c| if rcwmp::model::value::is_xml_char(c) { c } else { '\u{fffd}' };
                assert_eq!(got.value.text, sent.value.text.chars().map(carried).collect::<String>());
            }
        }
    }
}

/// What an agent may hold but a schema does not have is written as something that it has.
#[test]
fn what_the_schemas_do_not_have() {
    let mut envelopes = Vec::new();
    for namespace in messages::NAMESPACES {
        for fault_code in (9014..=9020).chain([0, 9001, 9002, 9010, 9011, 9012]) {
            let call = TransferComplete {
                command_key: "command".into(),
                fault_code,
                fault_string: "why".into(),
                start_time: UNKNOWN_TIME.into(),
                complete_time: UNKNOWN_TIME.into(),
            };
            let message = Message::Request(Request::TransferComplete(call));
            envelopes.push(messages::envelope(namespace, message));
        }
    }
    let failed = OperationResult {
        current_state: "Failed".into(),
        fault_code: 9015,
        start_time: UNKNOWN_TIME.into(),
        complete_time: UNKNOWN_TIME.into(),
        ..OperationResult::default()
    };
    let call = DuStateChangeComplete { results: vec![failed], command_key: "command".into() };
    let message = Message::Request(Request::DuStateChangeComplete(call));
    envelopes.push(messages::envelope(Namespace::V1_2, message));
    let arguments = vec![("Name".to_owned(), "value".to_owned()); 17];
    let call = RequestDownload { file_type: "1 Firmware Upgrade Image".into(), arguments };
    envelopes.push(messages::envelope(Namespace::V1_2, Message::Request(Request::RequestDownload(call))));
    must_be_valid(&envelopes);
}

#[test]
fn too_many_events_and_headers_of_another_namespace() {
    let method =
        |key: usize| Event { code: EventCode::Method("Download".into()), command_key: key.to_string() };
    let mut events: Vec<Event> = (0..80).map(method).collect();
    events.push(Event::of(EventCode::TransferComplete));
    let envelopes = messages::NAMESPACES.map(|namespace| Envelope {
        namespace,
        header: Header {
            id: Some("1".into()),
            session_timeout: Some(30),
            supported_cwmp_versions: Version::ALL.to_vec(),
            ..Header::default()
        },
        message: Message::Request(Request::Inform(Box::new(messages::inform(events.clone())))),
    });
    must_be_valid(&envelopes);
}

/// The validator does find fault, or the tests above would mean nothing.
#[test]
fn the_validator_refuses_what_is_wrong() {
    let Some(schemas) = schemas() else { return };
    let wrong = [
        Message::Response(Response::AddObject {
            instance_number: 0,
            status: rcwmp::cwmp::rpc::Status::Applied,
        }),
        Message::Request(Request::GetParameterValues(Vec::new())),
        Message::Fault(Fault::new(7, "")),
        Message::Request(Request::Unsupported("NoSuch".into())),
    ];
    for message in wrong {
        let envelope = messages::envelope(Namespace::V1_2, message);
        assert!(!validate(&schemas, std::slice::from_ref(&envelope)).0, "{envelope:?}");
    }
}
