//! Writes envelopes: escaping, arrays, the SOAP frame and the headers here, the messages in the family files.
//!
//! Prefixes are declared once, on the Envelope. Children of a message are unqualified. No CDATA: GenieACS
//! refuses it. Octets are appended to one vector; a list of 10,000 parameters costs no other allocation.

use std::io::Write;

use super::envelope::{Envelope, Header, Namespace};
use super::xml::{SOAP_ENC, SOAP_ENV, XSD, XSI};
use super::{
    ACS, attributes, download, du, fault, inform, legacy, methods, names, objects, reboot, transfer, values,
};
use crate::cwmp::rpc::{Message, ParameterValue, Request, Response};
use crate::model::value::is_xml_char;

/// Writes one envelope, valid against the schema of its namespace if its values are.
///
/// Characters that XML 1.0 cannot carry become U+FFFD, so that a name from the LAN can neither break
/// the message nor vanish from it. Headers that the envelope's namespace has not (all of those for
/// versions and timeouts before 1-2) are left out. More than 64 events: see the Inform writer.
pub fn write(envelope: &Envelope) -> Vec<u8> {
    let mut out = Out::new(600 + size(&envelope.message));
    out.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap-env:Envelope");
    for (prefix, uri) in [
        ("soap-env", SOAP_ENV),
        ("soapenc", SOAP_ENC),
        ("xsd", XSD),
        ("xsi", XSI),
        ("cwmp", envelope.namespace.uri()),
    ] {
        out.raws([" xmlns:", prefix, "=\"", uri, "\""]);
    }
    out.raw(">");
    header(&mut out, &envelope.header, envelope.namespace);
    out.raw("<soap-env:Body>");
    match &envelope.message {
        Message::Request(call) => request(&mut out, call, envelope.namespace),
        Message::Response(answer) => response(&mut out, answer),
        Message::Fault(refusal) => fault::write(&mut out, refusal),
    }
    out.raw("</soap-env:Body></soap-env:Envelope>\n");
    out.bytes
}

fn header(out: &mut Out, header: &Header, namespace: Namespace) {
    let modern = namespace >= Namespace::V1_2;
    let versions = &header.supported_cwmp_versions;
    let mut entries: Vec<(&str, &str, String)> = Vec::new();
    if let Some(id) = &header.id {
        entries.push(("ID", "1", id.clone()));
    }
    if header.hold_requests {
        entries.push(("HoldRequests", "1", "1".to_owned()));
    }
    if let Some(seconds) = header.session_timeout.filter(|_| modern) {
        entries.push(("SessionTimeout", "0", seconds.to_string()));
    }
    if modern && !versions.is_empty() {
        let list: Vec<String> = versions.iter().map(ToString::to_string).collect();
        entries.push(("SupportedCWMPVersions", "0", list.join(",")));
    }
    if let Some(version) = header.use_cwmp_version.filter(|_| modern) {
        entries.push(("UseCWMPVersion", "1", version.to_string()));
    }
    if entries.is_empty() {
        return;
    }
    out.raw("<soap-env:Header>");
    for (name, must_understand, text) in entries {
        out.raws(["<cwmp:", name, " soap-env:mustUnderstand=\"", must_understand, "\">"]);
        out.text(&text);
        out.raws(["</cwmp:", name, ">"]);
    }
    out.raw("</soap-env:Header>");
}

fn request(out: &mut Out, call: &Request, namespace: Namespace) {
    out.message(call.name(), "", &mut |out| match call {
        Request::Inform(call) => inform::write(out, call),
        Request::TransferComplete(call) => transfer::write_complete(out, call, namespace),
        Request::AutonomousTransferComplete(call) => transfer::write_autonomous(out, call, namespace),
        Request::DuStateChangeComplete(call) => du::write_complete(out, call),
        Request::AutonomousDuStateChangeComplete(results) => du::write_autonomous(out, results),
        Request::RequestDownload(call) => legacy::write_request_download(out, call),
        Request::Kicked(call) => legacy::write_kicked(out, call),
        Request::SetParameterValues(call) if ACS => values::write_set(out, call),
        Request::GetParameterValues(list) | Request::GetParameterAttributes(list) if ACS => {
            names::write_names(out, list);
        }
        Request::GetParameterNames(call) if ACS => names::write(out, call),
        Request::SetParameterAttributes(list) if ACS => attributes::write_set(out, list),
        Request::AddObject(call) | Request::DeleteObject(call) if ACS => objects::write(out, call),
        Request::Reboot(command_key) if ACS => reboot::write(out, command_key),
        Request::Download(call) if ACS => download::write_download(out, call),
        Request::ScheduleDownload(call) if ACS => download::write_schedule(out, call),
        Request::Upload(call) if ACS => download::write_upload(out, call),
        Request::CancelTransfer(command_key) if ACS => out.leaf("CommandKey", command_key),
        Request::ScheduleInform { delay_seconds, command_key } if ACS => {
            out.number("DelaySeconds", *delay_seconds);
            out.leaf("CommandKey", command_key);
        }
        Request::ChangeDuState(call) if ACS => du::write_change(out, call),
        Request::SetVouchers(list) if ACS => legacy::write_vouchers(out, list),
        Request::GetOptions(name) if ACS => out.leaf("OptionName", name),
        // Those without arguments, and, where no ACS speaks, those that nobody writes.
        Request::GetRpcMethods
        | Request::FactoryReset
        | Request::GetQueuedTransfers
        | Request::GetAllQueuedTransfers
        | Request::Unsupported(_)
        | Request::SetParameterValues(_)
        | Request::GetParameterValues(_)
        | Request::GetParameterNames(_)
        | Request::SetParameterAttributes(_)
        | Request::GetParameterAttributes(_)
        | Request::AddObject(_)
        | Request::DeleteObject(_)
        | Request::Reboot(_)
        | Request::Download(_)
        | Request::ScheduleDownload(_)
        | Request::Upload(_)
        | Request::CancelTransfer(_)
        | Request::ScheduleInform { .. }
        | Request::ChangeDuState(_)
        | Request::SetVouchers(_)
        | Request::GetOptions(_) => {}
    });
}

fn response(out: &mut Out, answer: &Response) {
    out.message(answer.name(), "Response", &mut |out| match answer {
        Response::GetRpcMethods(list) => methods::write_response(out, list),
        Response::SetParameterValues(status) | Response::DeleteObject(status) => {
            values::write_status(out, *status);
        }
        Response::GetParameterValues(list) => values::write_response(out, list),
        Response::GetParameterNames(list) => names::write_response(out, list),
        Response::GetParameterAttributes(list) => attributes::write_response(out, list),
        Response::AddObject { instance_number, status } => {
            objects::write_add_response(out, *instance_number, *status);
        }
        Response::Inform { max_envelopes } => out.number("MaxEnvelopes", *max_envelopes),
        Response::Download(times) | Response::Upload(times) => download::write_times(out, times),
        Response::GetQueuedTransfers(list) => download::write_queued(out, list),
        Response::GetAllQueuedTransfers(list) => download::write_all_queued(out, list),
        Response::GetOptions(list) => legacy::write_options(out, list),
        Response::Kicked { next_url } => out.leaf("NextURL", next_url),
        Response::SetParameterAttributes
        | Response::Reboot
        | Response::ScheduleDownload
        | Response::FactoryReset
        | Response::CancelTransfer
        | Response::ScheduleInform
        | Response::ChangeDuState
        | Response::SetVouchers
        | Response::AutonomousTransferComplete
        | Response::DuStateChangeComplete
        | Response::AutonomousDuStateChangeComplete
        | Response::RequestDownload
        | Response::TransferComplete
        | Response::Other(_) => {}
    });
}

/// About how many octets a message takes, so that a long list does not make the vector grow and move.
fn size(message: &Message) -> usize {
    let values = |list: &[ParameterValue]| {
        list.iter().map(|item| item.name.len() + item.value.text.len() + 120).sum::<usize>()
    };
    match message {
        Message::Response(Response::GetParameterValues(list)) => values(list),
        Message::Response(Response::GetParameterNames(list)) => {
            list.iter().map(|item| item.name.len() + 90).sum()
        }
        Message::Response(Response::GetParameterAttributes(list)) => {
            list.iter().map(|item| item.name.len() + 220).sum()
        }
        Message::Request(Request::Inform(call)) => 1000 + values(&call.parameter_list),
        _ => 1000,
    }
}

/// The octets so far, and the few shapes that messages are made of.
pub(in crate::cwmp) struct Out {
    bytes: Vec<u8>,
}

impl Out {
    /// Nothing yet, with room for about that many octets.
    pub(in crate::cwmp) fn new(capacity: usize) -> Out {
        Out { bytes: Vec::with_capacity(capacity) }
    }

    /// What was written.
    pub(in crate::cwmp) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Markup, as it is.
    pub(in crate::cwmp) fn raw(&mut self, markup: &str) {
        self.bytes.extend_from_slice(markup.as_bytes());
    }

    /// Markup in pieces.
    pub(in crate::cwmp) fn raws<const N: usize>(&mut self, pieces: [&str; N]) {
        self.all(&pieces);
    }

    #[inline(never)]
    fn all(&mut self, pieces: &[&str]) {
        for piece in pieces {
            self.raw(piece);
        }
    }

    /// Text, for elements and attributes, escaped. Whatever is not printable ASCII goes as a character reference (TR-069 3.4.1);
    /// for tab, line feed and return this also keeps readers from normalising them away.
    pub(in crate::cwmp) fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let (mut written, mut at) = (0, 0);
        while let Some(&byte) = bytes.get(at) {
            if matches!(byte, b' '..=b'~') && !matches!(byte, b'&' | b'<' | b'>' | b'"') {
                at += 1;
                continue;
            }
            self.bytes.extend_from_slice(&bytes[written..at]);
            let c = text[at..].chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
            self.character(c);
            at += c.len_utf8();
            written = at;
        }
        self.bytes.extend_from_slice(&bytes[written..]);
    }

    fn character(&mut self, c: char) {
        match c {
            '&' => self.raw("&amp;"),
            '<' => self.raw("&lt;"),
            '>' => self.raw("&gt;"),
            '"' => self.raw("&quot;"),
            c => {
                let c = if is_xml_char(c) { c } else { char::REPLACEMENT_CHARACTER };
                self.raw("&#");
                self.decimal(i64::from(u32::from(c)));
                self.raw(";");
            }
        }
    }

    /// `<name>text</name>`.
    pub(in crate::cwmp) fn leaf(&mut self, name: &str, text: &str) {
        self.raws(["<", name, ">"]);
        self.text(text);
        self.raws(["</", name, ">"]);
    }

    /// `<name>number</name>`.
    pub(in crate::cwmp) fn number(&mut self, name: &str, number: impl Into<i64>) {
        self.whole(name, number.into());
    }

    fn whole(&mut self, name: &str, number: i64) {
        self.raws(["<", name, ">"]);
        self.decimal(number);
        self.raws(["</", name, ">"]);
    }

    /// `<name>0</name>` or 1.
    pub(super) fn boolean(&mut self, name: &str, on: bool) {
        self.leaf(name, if on { "1" } else { "0" });
    }

    /// `<name>…</name>` with members.
    pub(super) fn group(&mut self, name: &str, mut members: impl FnMut(&mut Out)) {
        self.around(name, &mut members);
    }

    fn around(&mut self, name: &str, members: &mut dyn FnMut(&mut Out)) {
        self.raws(["<", name, ">"]);
        members(self);
        self.raws(["</", name, ">"]);
    }

    /// An array of `count` items: `item` is their type with its prefix, and without it their name.
    pub(super) fn array<T>(&mut self, name: &str, item: &str, list: &[T], mut one: impl FnMut(&mut Out, &T)) {
        self.items(name, item, list.len(), &mut |out, at| one(out, &list[at]));
    }

    fn items(&mut self, name: &str, item: &str, count: usize, one: &mut dyn FnMut(&mut Out, usize)) {
        let tag = item.rsplit(':').next().unwrap_or(item);
        self.raws(["<", name, " soapenc:arrayType=\"", item, "["]);
        self.decimal(i64::try_from(count).unwrap_or(i64::MAX));
        self.raw("]\">");
        for at in 0..count {
            self.raws(["<", tag, ">"]);
            one(self, at);
            self.raws(["</", tag, ">"]);
        }
        self.raws(["</", name, ">"]);
    }

    fn decimal(&mut self, number: i64) {
        write!(self.bytes, "{number}").expect("a vector takes every write");
    }

    /// The message element. Names of unknown methods come from the other side or from a script: what
    /// cannot stand in a name becomes `_`.
    fn message(&mut self, method: &str, suffix: &str, arguments: &mut dyn FnMut(&mut Out)) {
        let mut name: String = method
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' })
            .collect();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            name.insert(0, '_');
        }
        self.raws(["<cwmp:", &name, suffix, ">"]);
        arguments(self);
        self.raws(["</cwmp:", &name, suffix, ">"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::fault::Fault;
    use crate::cwmp::soap::envelope::Version;

    fn text(text: &str) -> String {
        let mut out = Out::new(0);
        out.text(text);
        String::from_utf8(out.bytes).unwrap()
    }

    #[test]
    fn escaping() {
        assert_eq!(text("plain ~ 'x'"), "plain ~ 'x'");
        assert_eq!(text("<a b=\"c\">&amp;]]>"), "&lt;a b=&quot;c&quot;&gt;&amp;amp;]]&gt;");
        assert_eq!(text("\t\r\n"), "&#9;&#13;&#10;");
        assert_eq!(text("ü€𝄞\u{7f}"), "&#252;&#8364;&#119070;&#127;");
        assert_eq!(text("a\u{0}b\u{1}\u{1b}\u{fffe}\u{ffff}"), "a&#65533;b&#65533;&#65533;&#65533;&#65533;");
    }

    fn written(namespace: Namespace, header: Header, message: Message) -> String {
        String::from_utf8(write(&Envelope { namespace, header, message })).unwrap()
    }

    #[test]
    fn headers() {
        let header = Header {
            id: Some("<1>".into()),
            hold_requests: true,
            session_timeout: Some(60),
            supported_cwmp_versions: Version::ALL.to_vec(),
            use_cwmp_version: Some(Version::V1_2),
        };
        let modern = written(Namespace::V1_2, header.clone(), Message::Fault(Fault::new(9002, "")));
        assert!(modern.contains(
            "<soap-env:Header><cwmp:ID soap-env:mustUnderstand=\"1\">&lt;1&gt;</cwmp:ID>\
             <cwmp:HoldRequests soap-env:mustUnderstand=\"1\">1</cwmp:HoldRequests>\
             <cwmp:SessionTimeout soap-env:mustUnderstand=\"0\">60</cwmp:SessionTimeout>\
             <cwmp:SupportedCWMPVersions soap-env:mustUnderstand=\"0\">1.0,1.1,1.2,1.3,1.4</cwmp:SupportedCWMPVersions>\
             <cwmp:UseCWMPVersion soap-env:mustUnderstand=\"1\">1.2</cwmp:UseCWMPVersion></soap-env:Header>"
        ));
        let old = written(Namespace::V1_1, header, Message::Request(Request::GetRpcMethods));
        assert!(old.contains("cwmp:HoldRequests") && !old.contains("Version") && !old.contains("Timeout"));
        let bare = written(Namespace::V1_0, Header::default(), Message::Request(Request::GetRpcMethods));
        assert!(!bare.contains("Header") && bare.contains("xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\""));
    }

    #[test]
    fn names_cannot_break_out() {
        let call = Request::Unsupported("1<x>/é".into());
        assert!(
            written(Namespace::V1_2, Header::default(), Message::Request(call)).contains("<cwmp:_1_x___>")
        );
    }

    #[test]
    fn a_long_list_fits_the_first_allocation() {
        let value = |at: usize| ParameterValue {
            name: format!("Device.WiFi.SSID.{at}.Stats.BytesSent"),
            value: crate::model::value::Value::new(crate::model::value::Kind::UnsignedLong, at.to_string()),
        };
        let list: Vec<ParameterValue> = (0..5000).map(value).collect();
        let message = Message::Response(Response::GetParameterValues(list));
        let guess = 600 + size(&message);
        let length = written(Namespace::V1_2, Header::default(), message).len();
        assert!(length <= guess && guess < 2 * length, "{length} in {guess}");
    }
}
