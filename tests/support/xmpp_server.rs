//! A server that is a test's own: it logs one client in, and then says what it is told to.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use hmac::{Hmac, Mac};
use sha1::{Digest, Sha1};

/// The password of the only account.
pub const SECRET: &str = "s3cret, with = and ,";
/// The address that the client is given.
pub const JID: &str = "cpe@sha1.example/wan";
/// What a stream begins with.
pub const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams' id='1' from='sha1.example' version='1.0'>";
const SASL: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = usize::try_from((word >> (18 - 6 * at)) & 63).unwrap();
            out.push(if at <= chunk.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    out
}

fn from_base64(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut word, mut bits) = (0_u32, 0);
    for digit in text.bytes().filter(|byte| *byte != b'=') {
        let value = DIGITS.iter().position(|known| *known == digit).unwrap();
        word = (word << 6) | u32::try_from(value).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(((word >> bits) & 255).to_be_bytes()[3]);
        }
    }
    out
}

/// The text of an element that a client has sent.
fn inside(text: &str) -> String {
    // What is left of the header may stand before it.
    text.rsplit_once("</").unwrap().0.rsplit('>').next().unwrap().to_owned()
}

/// The server's end of a connection.
pub struct Peer(pub TcpStream);

impl Peer {
    /// Sends a text as it is.
    pub fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until a word has come.
    pub fn hear(&mut self, word: &str) -> String {
        let (mut seen, mut block) = (String::new(), [0; 4096]);
        while !seen.contains(word) {
            let count = self.0.read(&mut block).unwrap();
            assert!(count > 0, "closed, no {word} in {seen}");
            seen.push_str(&String::from_utf8_lossy(&block[..count]));
        }
        seen
    }

    /// RFC 6120 from the header to the binding; by PLAIN it is under a TLS that is none.
    pub fn log_in(&mut self, by_scram: bool) {
        self.prove(by_scram);
        self.hear("<stream:stream");
        self.say(HEADER);
        self.say("<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>");
        let bind = self.hear("</iq>");
        let id = bind.split(" id=").nth(1).unwrap().split(['"', '\'']).nth(1).unwrap();
        self.say(&format!(
            "<iq type='result' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{JID}</jid></bind></iq>"
        ));
        self.hear("<presence>");
    }

    /// The first part of [`Peer::log_in`]: up to SASL's success.
    pub fn prove(&mut self, by_scram: bool) {
        self.hear("<stream:stream");
        self.say(HEADER);
        match by_scram {
            true => self.scram(),
            false => self.plain(),
        }
    }

    /// RFC 5802.
    fn scram(&mut self) {
        self.say(
            "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism>\
             </mechanisms></stream:features>",
        );
        let first = String::from_utf8(from_base64(&inside(&self.hear("</auth>")))).unwrap();
        let bare = first.strip_prefix("n,,").unwrap();
        let nonce = bare.split_once("r=").unwrap().1;
        let challenge = format!("r={nonce}server,s=QSXC,i=4096");
        self.say(&format!("<challenge {SASL}>{}</challenge>", base64(challenge.as_bytes())));
        let last = String::from_utf8(from_base64(&inside(&self.hear("</response>")))).unwrap();
        let (without, proof) = last.rsplit_once(",p=").unwrap();
        let mut round = mac(SECRET.as_bytes(), &[from_base64("QSXC"), vec![0, 0, 0, 1]].concat());
        let mut salted = round.clone();
        for _ in 1..4096 {
            round = mac(SECRET.as_bytes(), &round);
            salted = xor(&salted, &round);
        }
        let signed = format!("{bare},{challenge},{without}");
        let key = mac(&salted, b"Client Key");
        let expected = xor(&key, &mac(&Sha1::digest(&key), signed.as_bytes()));
        assert_eq!(from_base64(proof), expected, "the client's proof");
        let ours = mac(&mac(&salted, b"Server Key"), signed.as_bytes());
        let proof = base64(format!("v={}", base64(&ours)).as_bytes());
        self.say(&format!("<success {SASL}>{proof}</success>"));
    }

    /// RFC 4616.
    fn plain(&mut self) {
        self.say(
            "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
             </stream:features>",
        );
        self.hear("<starttls");
        self.say("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        self.hear("<stream:stream");
        self.say(HEADER);
        self.say(
            "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>\
             </mechanisms></stream:features>",
        );
        let told = from_base64(&inside(&self.hear("</auth>")));
        assert_eq!(String::from_utf8(told).unwrap(), format!("\0cpe\0{SECRET}"));
        self.say(&format!("<success {SASL}/>"));
    }
}
