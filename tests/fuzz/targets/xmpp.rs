//! Any octets as an XMPP server: in the clear, under TLS from the first of its stream on, or after the login, in one
//! piece and in many.
//!
//! The first octet says which, and how it is cut.

use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use rcwmp::connreq::xmpp::client::{Account, Fault, Stats, login};
use rcwmp::connreq::xmpp::request::{Rule, Settings};
use rcwmp::http::auth::Credentials;
use rcwmp::http::wire::Wire;
use rcwmp::model::value::is_xml_char;

use super::wire::{self, Script};

/// What a server says before TLS.
const BEFORE: &str = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>\
     <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>\
     <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
/// What a server says after it: whatever came with the end of the login is nobody's, hence the pause.
const LOGIN: &str = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>\
     <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>\
     </stream:features><success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\0\
     <stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'><stream:features>\
     <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features><iq type='result' id='bind'>\
     <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>user@localhost/cpe</jid></bind></iq>\0";
/// More than this does not fit into a socket for sure.
const MAX_INPUT: usize = 32 * 1024;

/// What a conversation came to: how the login ended, what was sent, and the end.
type Outcome = (Result<String, Fault>, Vec<u8>, Option<Fault>, Stats);

/// One input.
pub fn run(octets: &[u8]) {
    let [how, rest @ ..] = octets else { return };
    let rest = &rest[..rest.len().min(MAX_INPUT)];
    let step = 1 + usize::from(how >> 2);
    match how & 3 {
        1 => drop(talk(rest, step, false)),
        2 | 3 => drop(talk(rest, step, true)),
        _ => {
            let all = [LOGIN.as_bytes(), rest].concat();
            assert_eq!(talk(&all, MAX_INPUT, true), talk(&all, step, true));
        }
    }
}

fn talk(octets: &[u8], step: usize, tls: bool) -> Outcome {
    let soon = Instant::now() + Duration::from_secs(20);
    let (wire, _) = Wire::connect(&[wire::address()], None, soon).expect("loopback");
    let mut peer = wire::accept();
    peer.write_all(if tls { BEFORE.as_bytes() } else { octets }).expect("it fits");
    peer.shutdown(Shutdown::Write).expect("it is open");
    let script = Script::over_another(octets.to_vec(), step);
    let account = Account {
        username: "user".into(),
        password: "pencil".into(),
        domain: "localhost".into(),
        resource: "cpe".into(),
        use_tls: tls,
    };
    // That of RFC 5802, whose example is a seed.
    let nonce = "fyko+d2lbbFgONRv9qkxdawL";
    let mut online = match login(wire, &account, Some(&script), nonce, Stats::default()) {
        Ok(online) => online,
        Err(why) => {
            assert!(why.to_string().len() < 4096);
            return (Err(why), script.heard().concat(), None, Stats::default());
        }
    };
    assert!(online.is_tls() == tls && online.jid().len() <= 3071);
    let mut rule = Rule::default();
    rule.set(Settings { credentials: Credentials::new("acs", "secret"), allowed: Vec::new() });
    let (mut accepted, mut end) = (0, None);
    for second in 0..u64::try_from(octets.len()).unwrap_or(0) + 2 {
        let now = Duration::from_secs(second / 1000);
        match online.serve(now, &mut rule) {
            Ok(answers) => {
                for answer in answers {
                    accepted += u32::from(answer.accepted);
                    assert!(accepted <= 30 * (1 + u32::try_from(second / 60_000).unwrap_or(0)));
                    stanza(&answer.stanza, answer.accepted);
                }
            }
            Err(why) => {
                assert!(why.to_string().len() < 4096);
                end = Some(why);
                break;
            }
        }
    }
    assert!(end.is_some(), "nothing is left to be read");
    let (jid, stats) = (online.jid().to_owned(), online.stats());
    drop(online);
    (Ok(jid), script.heard().concat(), end, stats)
}

/// An answer has the tags it is to have, whatever stood in the question.
fn stanza(text: &str, accepted: bool) {
    let count = |what| text.matches(what).count();
    assert!(text.chars().all(|c| is_xml_char(c) && c != '\n' && c != '\r'), "{text:?}");
    let tags = if accepted { 2 } else { 5 };
    assert_eq!((count("<"), count(">")), (tags, tags), "{text}");
    assert!(text.starts_with(if accepted { "<iq type=\"result\" " } else { "<iq type=\"error\" " }));
    assert!(count("\"") % 2 == 0 && text.ends_with("</iq>"), "{text}");
}
