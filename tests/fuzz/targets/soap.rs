//! Any octets as an envelope: what is read can be written, and says the same when it is read again.

use rcwmp::cwmp::rpc::{Message, Request, Response};
use rcwmp::cwmp::soap::{self, Limits, ReadError};

/// One input.
pub fn run(octets: &[u8]) {
    let limits = Limits::default();
    let envelope = match soap::read(octets, &limits) {
        Ok(envelope) => envelope,
        Err(why) => return refused(&why),
    };
    // These are known by their names alone, and nobody sends them.
    if let Message::Request(Request::Unsupported(_)) | Message::Response(Response::Other(_)) =
        &envelope.message
    {
        return;
    }
    let written = soap::write(&envelope);
    // A router's build writes what a CPE says, and of this only faults are an ACS's too.
    if cfg!(not(feature = "lab")) && !matches!(envelope.message, Message::Fault(_)) {
        return;
    }
    assert!(written.len() <= 2048 + 64 * octets.len(), "{} octets of {}", written.len(), octets.len());
    let again = soap::read(&written, &limits)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&written)));
    assert_eq!(soap::write(&again), written, "{envelope:?}\n{again:?}");
    // A prefix that is another namespace's there is XML Schema's in what we write.
    if let Message::Request(Request::SetParameterValues(sent)) = &envelope.message
        && sent.list.iter().any(|one| one.value.foreign.is_some())
    {
        return;
    }
    // Of the entities of an access list only Subscriber is sent.
    if let Message::Response(Response::GetParameterAttributes(found)) = &envelope.message
        && found.iter().any(|one| {
            one.access_list.iter().any(|entity| entity != "Subscriber") || one.access_list.len() > 1
        })
    {
        return;
    }
    assert_eq!(again.message, envelope.message);
    assert_eq!(again.header.id, envelope.header.id);
    assert_eq!(again.header.hold_requests, envelope.header.hold_requests);
}

/// A reason is short, and a fault in answer to a request is an envelope that says what is meant.
fn refused(why: &ReadError) {
    assert!(why.to_string().len() <= 4096, "{}", why.to_string().len());
    let Some(refusal) = why.refusal() else { return };
    let answer = refusal.answer();
    assert_eq!(soap::read(&soap::write(&answer), &Limits::default()), Ok(answer));
}
