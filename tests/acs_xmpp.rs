//! Connection requests of the mini-ACS over XMPP: by prosody, to our own agent.
#![cfg(all(feature = "lab", feature = "xmpp", feature = "tls"))]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/oktopus.rs"]
mod oktopus;
#[path = "support/prosody.rs"]
mod prosody;

use std::time::{Duration, Instant};

use oktopus::Acs;
use prosody::{Prosody, SECRET};
use rcwmp::lab::acs::office::Settings;
use rcwmp::lab::acs::xmpp::Sender;

const SERIAL: &str = "LAB0000098";
const JID: &str = "Device.ManagementServer.ConnReqJabberID";

#[test]
fn a_device_that_http_does_not_reach_is_asked_by_a_server() {
    let Some(prosody) = Prosody::start(agent::free_port()) else { return };
    let port = prosody.port();
    let sender = Sender {
        server: Some(format!("127.0.0.1:{port}")),
        ca: prosody.ca("ca"),
        ..Sender::parse(&format!("cpe:{SECRET}@sha1.example")).unwrap()
    };
    let acs = Acs::with(Settings { xmpp: Some(sender), ..Settings::default() });
    let router = acs.router(SERIAL, false);
    let text = router.read("/etc/config/cwmp")
        + &format!(
            "\nconfig xmpp 'xmpp'\n\toption connection 'home'\n\nconfig xmpp_connection 'home'\n\toption enable '1'\n\
             \toption username 'cpe'\n\toption password '{SECRET}'\n\toption domain 'sha256.example'\n\
             \toption resource 'wan'\n\toption use_tls '1'\n\toption connect_algorithm 'ServerTable'\n\
             \nconfig xmpp_server 'one'\n\toption enable '1'\n\toption connection 'home'\n\
             \toption address '127.0.0.1'\n\toption port '{port}'\n"
        );
    router.write("/etc/config/cwmp", &text);
    router.set("acs", "ssl_capath", "/etc/ca.pem");
    router.write("/etc/ca.pem", &std::fs::read_to_string(prosody.ca("ca")).unwrap());
    let agent = router.start(&["-b"]);
    acs.notes.wait(&format!("over {SERIAL} "), 1);
    // It tells its address once it is logged in.
    let begun = Instant::now();
    while acs.office.store.value(SERIAL, JID).unwrap().is_none_or(|jid| jid.is_empty()) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", agent.log());
        acs.run(&format!(
            "send_cwmp_message('{SERIAL}', [[<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>\
             <cwmp:GetParameterValues><ParameterNames><string>{JID}</string></ParameterNames></cwmp:GetParameterValues>\
             </soap:Body></soap:Envelope>]], 0)"
        ));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(acs.office.store.value(SERIAL, JID).unwrap().as_deref(), Some("cpe@sha256.example/wan"));
    // Behind a NAT now.
    let nowhere = ("Device.ManagementServer.ConnectionRequestURL", "http://127.0.0.1:9/");
    let nowhere = [(nowhere.0.to_owned(), nowhere.1.to_owned(), String::new())];
    acs.office.store.keep_values(SERIAL, &nowhere).unwrap();
    let count = |word: &str| acs.notes.lines().iter().filter(|line| line.starts_with(word)).count();
    let before = (count("informed"), count("ConnectionRequest"));
    acs.office.invite(SERIAL).unwrap();
    acs.notes.wait("ConnectionRequest", before.1 + 1);
    acs.notes.wait("informed", before.0 + 1);
    let last = acs.notes.lines().into_iter().rfind(|line| line.starts_with("ConnectionRequest")).unwrap();
    assert!(last.contains("Ok(())"), "{last}");

    // With a password that the device does not know, it refuses.
    acs.office.store.set_connection_request(SERIAL, "who", "knows").unwrap();
    acs.office.store.keep_values(SERIAL, &nowhere).unwrap();
    let before = count("ConnectionRequest");
    acs.notes.wait(&format!("over {SERIAL} "), 2);
    acs.office.invite(SERIAL).unwrap();
    acs.notes.wait("ConnectionRequest", before + 1);
    let last = acs.notes.lines().into_iter().rfind(|line| line.starts_with("ConnectionRequest")).unwrap();
    assert!(last.contains("over XMPP: ") && last.contains("no connection request: not-authorized"), "{last}");
}
