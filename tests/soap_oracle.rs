//! The crate `cwmp`, which nobody here wrote, reads what we write, and we read what it writes.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but does not see the helpers of these"
)]

#[path = "soap/messages.rs"]
mod messages;

use rcwmp::cwmp::rpc::{Message, Request, Response};
use rcwmp::cwmp::soap::envelope::Envelope;
use rcwmp::cwmp::soap::{self, Limits};

/// It writes the root in no namespace at all, which is not SOAP.
fn as_soap(text: &str) -> String {
    text.replace("<Envelope", "<SOAP-ENV:Envelope").replace("</Envelope>", "</SOAP-ENV:Envelope>")
}

/// Ours to theirs to ours.
fn through_the_other(envelope: &Envelope) -> Envelope {
    let ours = soap::write(envelope);
    let theirs = cwmp::parse_bytes(&ours).unwrap();
    let text = as_soap(&cwmp::generate(&theirs).unwrap());
    soap::read(text.as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Levels what gets lost in it: it knows no `SetParameterValuesFault`, and writes times in its own style.
fn same_to_both(message: &mut Message) {
    match message {
        Message::Fault(fault) => fault.parameters.clear(),
        Message::Request(Request::TransferComplete(call)) => {
            level(&mut call.start_time);
            level(&mut call.complete_time);
        }
        Message::Request(Request::AutonomousTransferComplete(call)) => {
            level(&mut call.start_time);
            level(&mut call.complete_time);
        }
        Message::Response(Response::Download(answer) | Response::Upload(answer)) => {
            level(&mut answer.start_time);
            level(&mut answer.complete_time);
        }
        Message::Response(Response::GetOptions(list)) => {
            for option in list {
                level(&mut option.start_date);
                option.expiration_date.iter_mut().for_each(level);
            }
        }
        Message::Request(Request::SetParameterAttributes(list)) => {
            for change in list {
                change.access_list.get_or_insert_default();
            }
        }
        _ => {}
    }
}

fn level(time: &mut String) {
    *time = time.replace("+00:00", "Z");
}

/// It reads and writes these as SOAP arrays, which the schemas do not have.
fn is_array_to_it(message: &Message) -> bool {
    matches!(
        message,
        Message::Request(
            Request::ChangeDuState(_)
                | Request::DuStateChangeComplete(_)
                | Request::AutonomousDuStateChangeComplete(_)
        )
    )
}

#[test]
fn every_message() {
    for namespace in messages::NAMESPACES {
        for mut message in messages::messages().into_iter().filter(|message| !is_array_to_it(message)) {
            let header = messages::header(namespace, &message);
            let envelope = Envelope { namespace, header, message: message.clone() };
            let mut back = through_the_other(&envelope);
            same_to_both(&mut back.message);
            same_to_both(&mut message);
            assert_eq!(back.message, message);
            assert_eq!(back.header, envelope.header);
            // A fault of theirs carries its namespace like all others.
            assert_eq!(back.namespace, namespace);
        }
    }
}

#[test]
fn characters_that_need_care() {
    for text in ["<&>\"'", "]]>", "a\tb\nc\rd", "Übergröße €𝄞", " padded ", "&amp;"] {
        let mut list = messages::values();
        list.truncate(1);
        list[0].value.text = text.to_owned();
        let message = Message::Response(Response::GetParameterValues(list));
        let envelope = messages::envelope(Default::default(), message);
        let ours = soap::write(&envelope);
        let theirs = cwmp::parse_bytes(&ours).unwrap();
        let expected = format!("value: {text:?}");
        assert!(format!("{theirs:?}").contains(&expected), "{theirs:?}");
    }
}

/// What it can tell of our deployment units: the method and the CommandKey.
#[test]
fn deployment_units_are_known_to_it() {
    let (mut seen, mut keys) = (0, 0);
    for message in messages::messages().into_iter().filter(is_array_to_it) {
        let Message::Request(request) = &message else { panic!("{message:?}") };
        let name = request.name().to_owned();
        let theirs =
            cwmp::parse_bytes(&soap::write(&messages::envelope(Default::default(), message))).unwrap();
        let theirs = format!("{theirs:?}");
        assert!(theirs.contains(&format!("body: [{name}(")), "{theirs}");
        seen += 1;
        keys += usize::from(theirs.contains("command_key: \"command\""));
    }
    assert_eq!((seen, keys), (3, 2));
}
