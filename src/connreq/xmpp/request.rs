//! Whether a stanza is a valid connection request, and what is answered to it (TR-069 Annex K).
//!
//! ```text
//!  iq with connectionRequest ─► who may ask? ─► not too often? ─► right credentials? ─► result
//!                                    └ no ───────────┴ no              └ no: not-authorized
//!  any other iq that asks ───────────┴► service-unavailable
//! ```
//! Pure: time is a [`Duration`] since some start. Nothing of the request is repeated in an answer
//! but its sender and its id, since a password stands in it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::stream::{CLIENT, Element, escape};
use crate::connreq::sources::{Known, Sources};
use crate::http::auth::{Credentials, same};

/// The namespace of a connection request (TR-069 Annex K).
pub(super) const REQUEST: &str = "urn:broadband-forum-org:cwmp:xmppConnReq-1-0";
/// Requests accepted within a window, as on the port of HTTP.
const MAX_ACCEPTED: usize = 30;
/// That window.
const WINDOW: Duration = Duration::from_secs(60);
/// Octets of refusals a second, to all senders but our own server and account.
const REFUSED_A_SECOND: u32 = 4096;
/// For how many seconds' worth of them nothing was sent when they begin.
const REFUSED_AT_ONCE: Duration = Duration::from_secs(8);
/// The longest id and sender of a stanza that is answered.
const MAX_NAME: usize = 3071;

/// Who may ask.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// `ConnectionRequestUsername` and `ConnectionRequestPassword`; nobody is right while one is empty.
    pub credentials: Credentials,
    /// `ConnReqAllowedJabberIDs`: bare addresses stand for all their resources. Empty: anybody may.
    pub allowed: Vec<String>,
}

/// What is done about a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The stanza to send.
    pub stanza: String,
    /// Whose stanza it was.
    pub from: String,
    /// A session with event "6 CONNECTION REQUEST" must follow.
    pub accepted: bool,
    /// A few words for the log.
    pub why: &'static str,
}

/// The rule and what it remembers; it outlives a connection, that guessing does not begin anew.
#[derive(Default)]
pub struct Rule {
    settings: Settings,
    accepted: VecDeque<Duration>,
    /// Until when the refusals so far are paid off.
    refused_until: Duration,
    sources: Sources,
}

impl Rule {
    /// Takes new settings.
    pub fn set(&mut self, settings: Settings) {
        if settings.credentials != self.settings.credentials {
            self.sources.doubt();
        }
        self.settings = settings;
    }

    /// The known senders, to be remembered over a restart: hashes of their bare addresses, of a bounded number.
    pub fn known(&self) -> Known {
        self.sources.known()
    }

    /// Takes up the senders that an earlier life knew. It is for a rule that has its credentials: others make them
    /// doubtful.
    pub fn recall(&mut self, known: &Known) {
        self.sources.recall(known);
    }

    /// Decides about a stanza that came to `jid`, our full address. `None` for what needs no answer.
    pub(super) fn decide(&mut self, stanza: &Element, jid: &str, now: Duration) -> Option<Answer> {
        let asks = matches!(stanza.attribute("type"), Some("get" | "set"));
        if !stanza.is(CLIENT, "iq") || !asks {
            return None;
        }
        // Without an id there is no answer (RFC 6120 8.1.3); without a sender it is our own account (8.1.2.1).
        let id = stanza.attribute("id").filter(|id| (1..=MAX_NAME).contains(&id.len()))?;
        let from = stanza.attribute("from").unwrap_or_else(|| bare(jid));
        if from.len() > MAX_NAME {
            return None;
        }
        let verdict = self.judge(stanza, from, now);
        let error = match verdict {
            Ok(()) => "",
            Err((error, _)) => error,
        };
        let to = match stanza.attribute("from") {
            Some(from) => format!(" to=\"{}\"", escape(from)),
            None => String::new(),
        };
        let kind = if verdict.is_ok() { "result" } else { "error" };
        let stanza = format!("<iq type=\"{kind}\" id=\"{}\"{to}>{error}</iq>", escape(id));
        if verdict.is_err() && !is_home(from, jid) && !self.may_refuse(stanza.len(), now) {
            return None;
        }
        Some(Answer {
            stanza,
            from: from.to_owned(),
            accepted: verdict.is_ok(),
            why: verdict.map_or_else(|(_, why)| why, |()| "accepted"),
        })
    }

    /// Whether so many octets may go to a stranger who is refused. More than a server takes from us would end the
    /// connection: it limits its clients, and whoever knows our address can ask for as much as he likes.
    fn may_refuse(&mut self, octets: usize, now: Duration) -> bool {
        let cost = Duration::from_secs(1) * u32::try_from(octets).unwrap_or(u32::MAX) / REFUSED_A_SECOND;
        let debt = self.refused_until.max(now) + cost;
        let may = debt <= now + REFUSED_AT_ONCE;
        if may {
            self.refused_until = debt;
        }
        may
    }

    fn judge(
        &mut self,
        stanza: &Element,
        from: &str,
        now: Duration,
    ) -> Result<(), (&'static str, &'static str)> {
        let unavailable = |why| Err((UNAVAILABLE, why));
        let request = match stanza.children.as_slice() {
            [request] if request.is(REQUEST, "connectionRequest") => request,
            _ => return unavailable("no connection request"),
        };
        if stanza.attribute("type") != Some("get") {
            return unavailable("a connection request is a get");
        }
        let Settings { credentials, allowed } = &self.settings;
        let matches = |known: &String| same_address(known, from) || same_address(known, bare(from));
        if !allowed.is_empty() && !allowed.iter().any(matches) {
            return unavailable("its sender is not among ConnReqAllowedJabberIDs");
        }
        if credentials.username.is_empty() || credentials.password.is_empty() {
            return unavailable("no connection request credentials are set");
        }
        let source = source(from);
        if self.sources.may_try(source, now).is_err() {
            return unavailable("too many wrong credentials from there");
        }
        let given = |name| request.child(REQUEST, name).map(|one| one.text.as_str()).unwrap_or_default();
        let name = same(given("username").as_bytes(), credentials.username.as_bytes());
        let password = same(given("password").as_bytes(), credentials.password.as_bytes());
        if !(name & password) {
            let may_be_asked = self.sources.may_be_asked(source, now);
            self.sources.failed(source, now);
            if !may_be_asked {
                return unavailable("too many wrong credentials from there");
            }
            return Err((NOT_AUTHORIZED, "wrong credentials"));
        }
        self.sources.succeeded(source);
        while self.accepted.front().is_some_and(|at| now.saturating_sub(*at) >= WINDOW) {
            self.accepted.pop_front();
        }
        if self.accepted.len() >= MAX_ACCEPTED {
            return unavailable("too many connection requests");
        }
        self.accepted.push_back(now);
        Ok(())
    }
}

// RFC 6120 8.3.3; the code is Annex K's.
const NOT_AUTHORIZED: &str =
    "<error type=\"cancel\"><not-authorized xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error>";
const UNAVAILABLE: &str = "<error code=\"503\" type=\"cancel\">\
     <service-unavailable xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error>";

/// An address without its resource (RFC 7622 3.1).
fn bare(jid: &str) -> &str {
    jid.split('/').next().unwrap_or(jid)
}

/// Whether it is our server or our own account that asks: a server ends the connection of a client that does not
/// answer its pings.
fn is_home(from: &str, jid: &str) -> bool {
    let own = bare(jid);
    let domain = own.split_once('@').map_or(own, |(_, domain)| domain);
    [own, domain].iter().any(|home| same_address(home, from))
}

/// Local part and domain are compared without case, as servers prepare them; the resource with it.
fn same_address(known: &str, given: &str) -> bool {
    let (known, given) = (known.trim(), given.trim());
    bare(known).to_lowercase() == bare(given).to_lowercase()
        && known.split_once('/').map(|(_, resource)| resource)
            == given.split_once('/').map(|(_, resource)| resource)
}

/// A bare address as one of the sources that [`Sources`] counts: as many as there are networks of IPv6, so that each
/// has a brake of its own as a stranger, too.
fn source(from: &str) -> IpAddr {
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&Sha256::digest(bare(from).to_lowercase())[..8]);
    IpAddr::from(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connreq::xmpp::stream::{Item, Stream};

    const JID: &str = "cpe@example.net/wan";
    const ACS: &str = "acs@example.net/d0f3";

    fn stanza(text: &str) -> Element {
        let mut stream = Stream::default();
        stream.feed(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
        assert!(matches!(stream.next(), Ok(Some(Item::Header(_)))));
        stream.feed(text.as_bytes());
        match stream.next() {
            Ok(Some(Item::Stanza(element))) => element,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn request(from: &str, user: &str, password: &str) -> Element {
        stanza(&format!(
            "<iq from='{from}' to='{JID}' id='7' type='get'><connectionRequest xmlns='{REQUEST}'>\
             <username>{user}</username><password>{password}</password></connectionRequest></iq>"
        ))
    }

    fn rule(allowed: &[&str]) -> Rule {
        let mut rule = Rule::default();
        let allowed = allowed.iter().map(|one| (*one).to_owned()).collect();
        rule.set(Settings { credentials: Credentials::new("u", "p"), allowed });
        rule
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    #[test]
    fn the_three_answers() {
        let mut rule = rule(&[]);
        let mut check = |request: &Element, expected: &str| {
            let answer = rule.decide(request, JID, at(0)).unwrap();
            assert_eq!(answer.stanza, expected);
            assert_eq!(answer.accepted, expected.contains("result"));
        };
        let to = "id=\"7\" to=\"acs@example.net/d0f3\"";
        check(&request(ACS, "u", "p"), &format!("<iq type=\"result\" {to}></iq>"));
        let refused = |error: &str| format!("<iq type=\"error\" {to}>{error}</iq>");
        let wrong = refused(
            "<error type=\"cancel\"><not-authorized xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error>",
        );
        check(&request(ACS, "u", "wrong"), &wrong);
        check(&request(ACS, "", ""), &wrong);
        check(&request(ACS, "p", "u"), &wrong);
        let head = format!("<iq from='{ACS}' id='7' type='get'>");
        check(&stanza(&format!("{head}<connectionRequest xmlns='{REQUEST}'/></iq>")), &wrong);
        let unavailable = refused(
            "<error code=\"503\" type=\"cancel\"><service-unavailable \
             xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error>",
        );
        check(&stanza(&format!("{head}<ping xmlns='urn:xmpp:ping'/></iq>")), &unavailable);
        check(&stanza(&format!("{head}<connectionRequest xmlns='urn:other'/></iq>")), &unavailable);
        check(&stanza(&format!("{head}</iq>")), &unavailable);
        let mut set = request(ACS, "u", "p");
        set.attributes.retain(|(name, _)| name != "type");
        set.attributes.push(("type".to_owned(), "set".to_owned()));
        check(&set, &unavailable);
    }

    #[test]
    fn what_needs_no_answer() {
        let mut rule = rule(&[]);
        let long = "x".repeat(MAX_NAME + 1);
        for text in [
            "<message><body>x</body></message>",
            "<presence type='subscribe' from='a@b'/>",
            "<iq type='result' id='1'/>",
            "<iq type='error' id='1'/>",
            "<iq id='1'/>",
            "<iq type='get'/>",
            "<iq type='get' id=''/>",
            "<iq xmlns='jabber:server' type='get' id='1'/>",
            &format!("<iq type='get' id='{long}'/>"),
            &format!("<iq type='get' id='1' from='{long}'/>"),
        ] {
            assert_eq!(rule.decide(&stanza(text), JID, at(0)), None, "{text}");
        }
    }

    #[test]
    fn who_may_ask() {
        let check = |allowed: &[&str], from: &str, expected: bool| {
            let answer = rule(allowed).decide(&request(from, "u", "p"), JID, at(0)).unwrap();
            assert_eq!(answer.accepted, expected, "{allowed:?} {from}: {}", answer.why);
        };
        check(&[], "anybody@anywhere/x", true);
        check(&["acs@example.net"], ACS, true);
        check(&["b@c", " ACS@Example.net "], ACS, true);
        check(&["acs@example.net"], "acs@example.net", true);
        check(&["acs@example.net"], "acs@example.net.evil/x", false);
        check(&["acs@example.net"], "eve@evil/acs@example.net", false);
        check(&["acs@example.net/d0f3"], ACS, true);
        check(&["acs@example.net/D0F3"], ACS, false);
        check(&["acs@example.net/d0f3"], "acs@example.net", false);
        check(&["acs@example.net/d0f3"], "acs@example.net/d0f3/x", false);
        check(&["acs@example.net/a/b"], "acs@example.net/a/b", true);
        // Without a sender it is the account itself.
        let mut own = request("x", "u", "p");
        own.attributes.retain(|(name, _)| name != "from");
        let answer = rule(&["cpe@example.net"]).decide(&own, JID, at(0)).unwrap();
        assert_eq!((answer.accepted, answer.stanza.as_str()), (true, "<iq type=\"result\" id=\"7\"></iq>"));
        assert!(!rule(&["acs@example.net"]).decide(&own, JID, at(0)).unwrap().accepted);
    }

    #[test]
    fn nobody_is_right_without_credentials() {
        for (user, password) in [("", ""), ("u", ""), ("", "p")] {
            let mut rule = Rule::default();
            rule.set(Settings { credentials: Credentials::new(user, password), allowed: Vec::new() });
            let answer = rule.decide(&request(ACS, user, password), JID, at(0)).unwrap();
            assert!(!answer.accepted && answer.stanza.contains("service-unavailable"));
        }
    }

    #[test]
    fn guessing_is_slowed_down_and_not_for_others() {
        let mut rule = rule(&[]);
        let mut ask = |from: &str, password: &str, seconds| {
            let answer = rule.decide(&request(from, "u", password), JID, at(seconds)).unwrap();
            (answer.accepted, answer.stanza.contains("not-authorized"))
        };
        for n in 0..10 {
            assert_eq!(ask(&format!("eve@evil/{n}"), "x", 0), (false, true));
        }
        assert_eq!(ask("eve@evil/other", "p", 0), (false, false));
        assert_eq!(ask(ACS, "p", 0), (true, false));
        assert_eq!(ask("eve@evil/other", "p", 2), (true, false));
    }

    /// Strangers have used up what strangers may guess, whoever they say they are; the ACS is asked for by none of
    /// them, and is heard in the next life too.
    #[test]
    fn who_was_right_is_known_in_the_next_life() {
        let crowd = |rule: &mut Rule| {
            for n in 0..100 {
                rule.decide(&request(&format!("eve@evil{n}/x"), "u", "guess"), JID, at(0)).unwrap();
            }
        };
        let ask =
            |rule: &mut Rule, from: &str| rule.decide(&request(from, "u", "p"), JID, at(0)).unwrap().accepted;
        let mut first = rule(&[]);
        assert!(ask(&mut first, ACS));
        let mut next = rule(&[]);
        crowd(&mut next);
        assert!(!ask(&mut next, ACS), "nobody has told it");
        next.recall(&first.known());
        assert!(ask(&mut next, "Acs@Example.net/elsewhere") && !ask(&mut next, "other@example.net/d0f3"));
        assert_eq!(next.known(), first.known());
        assert_eq!(next.known().proven.len(), 1);

        // Other credentials: it is heard before strangers, and may not guess any more than each of them.
        next.set(Settings { credentials: Credentials::new("u", "other"), allowed: Vec::new() });
        let guess = |rule: &mut Rule| rule.decide(&request(ACS, "u", "p"), JID, at(0)).unwrap().why;
        assert!((0..10).all(|_| guess(&mut next) == "wrong credentials"));
        assert_eq!(guess(&mut next), "too many wrong credentials from there");
    }

    #[test]
    fn refusals_do_not_fill_what_the_server_takes() {
        let mut rule = rule(&["acs@example.net"]);
        let ask = |rule: &mut Rule, from: &str, seconds| {
            let id = ">".repeat(1000);
            let text = format!("<iq from='{from}' id='{id}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>");
            rule.decide(&stanza(&text), JID, at(seconds)).map_or(0, |answer| answer.stanza.len())
        };
        let flood = |rule: &mut Rule, seconds| {
            (0..1000).map(|n| ask(rule, &format!("eve@evil{n}/x"), seconds)).sum::<usize>()
        };
        assert!((24 * 1024..=32 * 1024).contains(&flood(&mut rule, 0)));
        assert_eq!(flood(&mut rule, 0), 0);
        // The server's own pings are answered, and the ACS.
        for home in ["example.net", "cpe@example.net", "CPE@Example.net"] {
            assert!(ask(&mut rule, home, 0) > 4000, "{home}");
        }
        for other in ["eve@example.net", "example.net/x", "cpe@evil", "net"] {
            assert_eq!(ask(&mut rule, other, 0), 0, "{other}");
        }
        let unsent = stanza("<iq id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>");
        assert!(rule.decide(&unsent, JID, at(0)).is_some());
        assert!(rule.decide(&request(ACS, "u", "p"), JID, at(0)).unwrap().accepted);
        // After a while strangers hear again.
        assert!((4096..=12 * 1024).contains(&flood(&mut rule, 2)));
        assert!(flood(&mut rule, 100) > 24 * 1024);
    }

    #[test]
    fn accepted_ones_are_throttled() {
        let mut rule = rule(&[]);
        let mut ask = |seconds| rule.decide(&request(ACS, "u", "p"), JID, at(seconds)).unwrap().accepted;
        assert!((0..30).all(|_| ask(0)));
        assert!(!ask(59));
        assert!(ask(60));
    }

    #[test]
    fn an_answer_is_xml_whatever_it_repeats() {
        let hostile = stanza("<iq from='a@b/&lt;x&gt;&quot;&apos;' id='&amp;&lt;' type='get'/>");
        let answer = rule(&[]).decide(&hostile, JID, at(0)).unwrap();
        let back = stanza(&answer.stanza);
        assert_eq!(back.attribute("to"), hostile.attribute("from"));
        assert_eq!(back.attribute("id"), Some("&<"));
    }
}
