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

/// Ours to theirs to ours.
fn through_the_other(envelope: &Envelope) -> Envelope {
    let ours = soap::write(envelope);
    let theirs = cwmp::parse_bytes(&ours).unwrap();
    let text = cwmp::generate(&theirs).unwrap();
    // It writes the root in no namespace at all, which is not SOAP.
    let text = text.replace("<Envelope", "<SOAP-ENV:Envelope").replace("</Envelope>", "</SOAP-ENV:Envelope>");
    soap::read(text.as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Levels what gets lost in it: it knows no `SetParameterValuesFault`, and writes times in its own style.
fn same_to_both(message: &mut Message) {
    match message {
        Message::Fault(fault) => fault.parameters.clear(),
        Message::Request(Request::TransferComplete(call)) => {
            for time in [&mut call.start_time, &mut call.complete_time] {
                *time = time.replace("+00:00", "Z");
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

#[test]
fn every_message() {
    for namespace in messages::NAMESPACES {
        for mut message in messages::messages() {
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
