//! Any text as the message of a Lua script: what is made fit to be sent is read as it is meant, and made fit once; so
//! is what is filled in.

use rcwmp::cwmp::soap::{self, Limits};
use rcwmp::lab::acs::fill::fill;
use rcwmp::lab::acs::payload::Payload;

/// One input.
pub fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let filled = fill(text, &|_| Some("xsd:int".to_owned()));
    if let Ok(filled) = &filled {
        assert_eq!(fill(filled, &|_| None).as_ref(), Ok(filled), "nothing is filled in twice");
    }
    let payload = match Payload::parse(text) {
        Ok(payload) => payload,
        Err(why) => return assert!(why.len() < 4096, "{}", why.len()),
    };
    assert!(filled.is_ok(), "{filled:?}");
    let (sent, id) = payload.with_id("fresh");
    assert!(sent.len() <= text.len() + 1024);
    match soap::read(sent.as_bytes(), &Limits::default()) {
        Ok(envelope) => {
            assert_eq!(envelope.header.id.as_deref(), Some(id.as_str()), "{sent}");
            let soap_name = match &envelope.message {
                rcwmp::cwmp::rpc::Message::Request(request) => request.name().to_owned(),
                other => panic!("{other:?}"),
            };
            assert_eq!(soap_name, payload.method());
        }
        Err(why) => {
            let refusal = why.refusal().unwrap_or_else(|| panic!("{why}: {sent}"));
            assert_eq!(refusal.header.id.as_deref(), Some(id.as_str()), "{sent}");
            assert_eq!(refusal.method, payload.method());
            assert!(payload.request().is_none());
        }
    }
    let again = Payload::parse(&sent).unwrap_or_else(|why| panic!("{why}: {sent}"));
    assert_eq!(again.with_id("other"), (sent, id));
}
