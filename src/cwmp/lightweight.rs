//! Lightweight notifications: one UDP packet each, signed, without an answer (TR-069 Annex M).
//!
//! ```text
//! POST / HTTP/1.1            exactly these four headers
//! Host: acs.example:7547
//! Content-Type: text/xml; charset=utf-8
//! Content-Length: …
//! Signature: …               hexadecimal digits: HMAC over the body with the ACS password
//!
//! <Notification xmlns="urn:broadband-forum-org:cwmp:lwnotif-1-0"> …
//! ```
//! The HMAC is one of SHA-1, in 40 digits, as annex M has it. TR-181 2.19 has no parameter by which an ACS could ask for
//! another: where operator and ACS agree on SHA-256 (64 digits), `option digest 'SHA-256'` of UCI's `lwn` switches to it.
//!
//! The schema's elements are global, so that, unlike in CWMP, children are in the namespace too.

use std::fmt;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;

use super::rpc::{DeviceId, ParameterValue};
use super::soap::{Out, SOAP_ENC, XSD, XSI};

/// Octets up to which parameters share a packet: what passes every usual link in one piece.
pub const SHARED: usize = 1400;
/// The most octets of a packet, for a single parameter that needs more (RFC 768, IPv4's header taken off).
pub const MAX_PACKET: usize = 65_507;
/// ManagementServer.Username: `string(256)`.
const MAX_USERNAME: usize = 256;

/// What the signature is an HMAC of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Digest {
    /// SHA-1: 40 digits (annex M).
    #[default]
    Sha1,
    /// SHA-256: 64 digits.
    Sha256,
}

/// Who notifies, and whom.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The ACS's host as in a URL (IPv6 in brackets) with its port.
    pub host: &'a str,
    /// ManagementServer.Username.
    pub username: &'a str,
    /// ManagementServer.Password: the key of the signature, never in the packet.
    pub password: &'a str,
    /// What the ACS expects the signature to be made with.
    pub digest: Digest,
    /// OUI, product class and serial number are told.
    pub device: &'a DeviceId,
}

/// What could not be told in a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooLarge {
    /// The parameter.
    pub name: String,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is too large for a lightweight notification", self.name)
    }
}

impl std::error::Error for TooLarge {}

/// The packets that tell of `params`, in their order; none for none.
///
/// `time` is in seconds since 1970, and each further packet is a second later, so that no two have the
/// same; what is beyond the schema's 32 bits stays at their end. `cnonce` is random, and gets a number
/// behind it when one packet is not enough.
///
/// # Errors
/// [`TooLarge`] naming the first value that no packet can hold; nothing is to be sent then, or all but that.
pub fn packets(
    sender: &Sender<'_>,
    time: i64,
    cnonce: &str,
    params: &[ParameterValue],
) -> Result<Vec<Vec<u8>>, TooLarge> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut rest = params;
    while !rest.is_empty() {
        let nonce = if out.is_empty() { cnonce.to_owned() } else { format!("{cnonce}-{}", out.len() + 1) };
        let time = time.saturating_add(i64::try_from(out.len()).unwrap_or(i64::MAX));
        // Measured first: the frame is the same for all, each parameter adds its own.
        let frame = packet(sender, time, &nonce, &[]).len();
        let mut size = frame;
        let mut count = 0;
        for param in rest {
            size = size.saturating_add(one(param).len());
            if count > 0 && size > SHARED {
                break;
            }
            count += 1;
            if size > SHARED {
                break;
            }
        }
        let (now, later) = rest.split_at(count);
        let made = packet(sender, time, &nonce, now);
        if made.len() > MAX_PACKET {
            return Err(TooLarge { name: now[0].name.clone() });
        }
        out.push(made);
        rest = later;
    }
    Ok(out)
}

/// The signature of a body, in hexadecimal digits.
pub fn signature(digest: Digest, password: &str, body: &[u8]) -> String {
    match digest {
        Digest::Sha1 => hmac::<Hmac<Sha1>>(password, body),
        Digest::Sha256 => hmac::<Hmac<Sha256>>(password, body),
    }
}

fn hmac<M: Mac + KeyInit>(password: &str, body: &[u8]) -> String {
    let mut mac = <M as Mac>::new_from_slice(password.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn packet(sender: &Sender<'_>, time: i64, cnonce: &str, params: &[ParameterValue]) -> Vec<u8> {
    let body = body(sender, time, cnonce, params);
    // Whoever could put a line end into the host's name could add headers.
    let host: String = sender.host.chars().filter(char::is_ascii_graphic).collect();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/xml; charset=utf-8\r\n\
         Content-Length: {}\r\nSignature: {}\r\n\r\n",
        body.len(),
        signature(sender.digest, sender.password, &body)
    );
    [head.into_bytes(), body].concat()
}

fn body(sender: &Sender<'_>, time: i64, cnonce: &str, params: &[ParameterValue]) -> Vec<u8> {
    let mut out = Out::new(600 + 200 * params.len());
    out.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.raw("<Notification xmlns=\"urn:broadband-forum-org:cwmp:lwnotif-1-0\"");
    for (prefix, uri) in [("xsd", XSD), ("xsi", XSI), ("soapenc", SOAP_ENC)] {
        out.raws([" xmlns:", prefix, "=\"", uri, "\""]);
    }
    out.raw(">");
    out.number("TS", time.clamp(0, i64::from(i32::MAX)));
    let short = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    out.leaf("UN", &short(sender.username, MAX_USERNAME));
    out.leaf("CN", cnonce);
    out.leaf("OUI", &sender.device.oui);
    out.leaf("ProductClass", &short(&sender.device.product_class, 64));
    out.leaf("SerialNumber", &short(&sender.device.serial_number, 64));
    let mut bytes = out.into_bytes();
    for param in params {
        bytes.extend(one(param));
    }
    bytes.extend(b"</Notification>\n");
    bytes
}

fn one(param: &ParameterValue) -> Vec<u8> {
    let mut out = Out::new(param.name.len() + param.value.text.len() + 100);
    out.raw("<Param>");
    out.leaf("Name", &param.name);
    out.raws(["<Value xsi:type=\"", param.value.kind.xsd(), "\">"]);
    out.text(&param.value.text);
    out.raw("</Value></Param>");
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Kind, Value};

    fn device() -> DeviceId {
        DeviceId {
            manufacturer: "Example".into(),
            oui: "02AB00".into(),
            product_class: "Router & <Co>".into(),
            serial_number: "0042".into(),
        }
    }

    fn param(name: &str, kind: Kind, text: &str) -> ParameterValue {
        ParameterValue { name: name.into(), value: Value::new(kind, text) }
    }

    fn made(params: &[ParameterValue]) -> Result<Vec<String>, TooLarge> {
        let device = device();
        let sender = Sender {
            host: "acs.example:7547",
            username: "u\"ü",
            password: "ExamplePassphrase",
            digest: Digest::Sha1,
            device: &device,
        };
        let list = packets(&sender, 1_700_000_000, "c0ffee", params)?;
        Ok(list.into_iter().map(|packet| String::from_utf8(packet).unwrap()).collect())
    }

    /// The parameter names of a packet.
    fn names(packet: &str) -> Vec<&str> {
        packet.split("<Name>").skip(1).filter_map(|rest| rest.split("</Name>").next()).collect()
    }

    #[test]
    fn signatures_are_those_of_rfc_2202_and_rfc_4231() {
        let check = |digest, password: &str, body: &[u8], expected: &str| {
            assert_eq!(signature(digest, password, body), expected);
        };
        let (jefe, wants) = ("Jefe", b"what do ya want for nothing?");
        check(Digest::Sha1, jefe, wants, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        let key = "\x0b".repeat(20);
        check(Digest::Sha1, &key, b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00");
        let longer = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        check(Digest::Sha256, jefe, wants, longer);
        let longer = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        check(Digest::Sha256, &key, b"Hi There", longer);
    }

    #[test]
    fn a_packet() {
        let list =
            made(&[param("Device.A.B", Kind::UnsignedInt, "7"), param("Device.A.C", Kind::String, "<é>\n")])
                .unwrap();
        assert_eq!(list.len(), 1);
        let (head, body) = list[0].split_once("\r\n\r\n").unwrap();
        let lines: Vec<&str> = head.split("\r\n").collect();
        assert_eq!(
            lines,
            [
                "POST / HTTP/1.1",
                "Host: acs.example:7547",
                "Content-Type: text/xml; charset=utf-8",
                &format!("Content-Length: {}", body.len()),
                &format!("Signature: {}", signature(Digest::Sha1, "ExamplePassphrase", body.as_bytes())),
            ]
        );
        assert!(body.contains(
            "<TS>1700000000</TS><UN>u&quot;&#252;</UN><CN>c0ffee</CN><OUI>02AB00</OUI>\
             <ProductClass>Router &amp; &lt;Co&gt;</ProductClass><SerialNumber>0042</SerialNumber>\
             <Param><Name>Device.A.B</Name><Value xsi:type=\"xsd:unsignedInt\">7</Value></Param>\
             <Param><Name>Device.A.C</Name><Value xsi:type=\"xsd:string\">&lt;&#233;&gt;&#10;</Value></Param>\
             </Notification>"
        ));
        assert!(!list[0].contains("ExamplePassphrase"));
        assert_eq!(made(&[]), Ok(Vec::new()));
    }

    #[test]
    fn many_parameters_take_several_packets() {
        let params: Vec<_> =
            (0..100).map(|n| param(&format!("Device.X.{n}.Name"), Kind::String, &"v".repeat(n))).collect();
        let list = made(&params).unwrap();
        assert!(list.len() > 5 && list.iter().all(|packet| packet.len() <= SHARED + 10));
        let told: Vec<&str> = list.iter().flat_map(|packet| names(packet)).collect();
        assert_eq!(told, params.iter().map(|param| param.name.as_str()).collect::<Vec<_>>());
        let nonces: std::collections::BTreeSet<_> =
            list.iter().filter_map(|packet| packet.split("<CN>").nth(1)?.split("</CN>").next()).collect();
        assert_eq!(nonces.len(), list.len());
        for (at, packet) in list.iter().enumerate() {
            assert!(packet.contains(&format!("<TS>{}</TS>", 1_700_000_000 + at)));
        }
    }

    #[test]
    fn a_large_value_has_its_own_packet_or_none() {
        let small = || param("Device.S", Kind::String, "s");
        let list = made(&[small(), param("Device.L", Kind::String, &"x".repeat(5000)), small()]).unwrap();
        let told: Vec<Vec<&str>> = list.iter().map(|packet| names(packet)).collect();
        assert_eq!(told, [vec!["Device.S"], vec!["Device.L"], vec!["Device.S"]]);
        let huge = made(&[small(), param("Device.H", Kind::String, &"<".repeat(20_000))]);
        assert_eq!(huge, Err(TooLarge { name: "Device.H".into() }));
    }

    #[test]
    fn a_host_cannot_add_headers() {
        let device = device();
        let digest = Digest::Sha256;
        let sender = Sender { host: "a\r\nX: y", username: "", password: "", digest, device: &device };
        let list = packets(&sender, -5, "c", &[param("Device.S", Kind::String, "")]).unwrap();
        let text = String::from_utf8(list[0].clone()).unwrap();
        assert!(text.contains("Host: aX:y\r\n") && text.contains("<TS>0</TS>"));
    }
}
