//! The SOAP 1.1 codec of CWMP (TR-069 3.5): envelopes in both directions.
//!
//! ```text
//! bytes ─► xml (strict pull parser, limits) ─► read (envelope, headers) ─► one file per RPC family ─► Envelope
//! bytes ◄─ write (escaping, arrays)         ◄─ write (envelope, headers) ◄─ one file per RPC family ◄─ Envelope
//! ```
//!
//! What is written is valid against the Broadband Forum's schemas. What is read may be sloppier where
//! known ACSs are, but is never executed unless it is one well-formed envelope with one message in a
//! CWMP namespace. A new RPC is a family file (or a place in one) and a line in each `match` of
//! `read` and `write`.
//!
//! A router's build has the CPE's half: it reads what an ACS sends, and writes what a CPE sends. The
//! ACS's half is the lab's.

pub mod envelope;

mod attributes;
mod download;
mod du;
mod error;
mod fault;
mod inform;
mod legacy;
mod methods;
mod names;
mod objects;
mod read;
mod reboot;
mod records;
mod transfer;
mod values;
mod write;
mod xml;

pub use error::{ReadError, Refusal};
pub use read::read;
pub use records::{Record, records};
pub(super) use write::Out;
pub use write::write;
pub use xml::Limits;
pub(super) use xml::{SOAP_ENC, XSD, XSI};

/// Whether this build speaks for an ACS too. Without it a call that only an ACS serves is one that is
/// not supported, and an answer that only a CPE gives is another: by their names, which is all that a
/// CPE's session asks of them.
const ACS: bool = cfg!(any(feature = "lab", test));

#[cfg(test)]
mod testing {
    //! What the tests of the families share.

    use super::envelope::{Envelope, Header, Namespace};
    use super::{Limits, ReadError};
    use crate::cwmp::rpc::{Message, Request, Response};

    /// Writes the message in each namespace, reads it back, and gives what was written in the last.
    pub(super) fn there_and_back(message: &Message) -> String {
        let mut written = String::new();
        for namespace in [Namespace::V1_0, Namespace::V1_1, Namespace::V1_2] {
            let header = Header { id: Some(" 1<&\r\n".to_owned()), ..Header::default() };
            let envelope = Envelope { namespace, header, message: message.clone() };
            let bytes = super::write(&envelope);
            assert_eq!(super::read(&bytes, &Limits::default()).as_ref(), Ok(&envelope));
            written = String::from_utf8(bytes).unwrap();
        }
        written
    }

    /// [`there_and_back`] for a request.
    pub(super) fn request(request: Request) -> String {
        there_and_back(&Message::Request(request))
    }

    /// [`there_and_back`] for a response.
    pub(super) fn response(response: Response) -> String {
        there_and_back(&Message::Response(response))
    }

    /// Reads an envelope around `body`, in an ACS's style with other prefixes.
    pub(super) fn body(body: &str) -> Result<Message, ReadError> {
        let text = format!(
            "<?xml version='1.0' encoding='utf-8'?><S:Envelope xmlns:S='{}' xmlns:E='{}' xmlns:x='{}' \
             xmlns:i='{}' xmlns:c='urn:dslforum-org:cwmp-1-0'><S:Header><c:ID S:mustUnderstand='1'>7</c:ID>\
             </S:Header><S:Body>{body}</S:Body></S:Envelope>",
            super::xml::SOAP_ENV,
            super::xml::SOAP_ENC,
            super::xml::XSD,
            super::xml::XSI,
        );
        super::read(text.as_bytes(), &Limits::default()).map(|envelope| envelope.message)
    }

    /// Reads a request in `body`.
    pub(super) fn call(text: &str) -> Request {
        match body(text) {
            Ok(Message::Request(request)) => request,
            other => panic!("{text} gave {other:?}"),
        }
    }

    /// Reads a request that must be refused with 9003 (or 8003), and gives the fault's text.
    pub(super) fn refused(text: &str) -> String {
        let error = body(text).expect_err(text);
        let refusal = error.refusal().unwrap_or_else(|| panic!("{text} gave {error:?}"));
        assert!(matches!(refusal.fault.code, 9003 | 8003), "{error}");
        assert_eq!(refusal.answer().header.id.as_deref(), Some("7"));
        refusal.fault.string.clone()
    }
}
