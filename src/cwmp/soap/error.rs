//! Why bytes are not an envelope, sorted by what the session must do about it.

use std::fmt;

use super::envelope::{Envelope, Header, Namespace};
use crate::cwmp::fault::Fault;
use crate::cwmp::rpc::Message;

/// Why [`read`](super::read) gave no envelope.
///
/// The last two can be answered with a fault and the session goes on; all others end it (TR-069 3.7.1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// Not a well-formed XML 1.0 document in UTF-8.
    NotXml(String),
    /// Well-formed, but not a SOAP 1.1 envelope with one CWMP message.
    NotSoap(String),
    /// A limit on size, depth or count was passed.
    TooLarge(String),
    /// A response or a fault, which must not be answered with a fault, is malformed.
    BadResponse {
        /// The method's name without `Response`, or `Fault`.
        method: String,
        /// What is wrong with it.
        why: String,
    },
    /// A request whose arguments do not satisfy the schema (TR-069 A.2.3).
    BadArguments(Box<Refusal>),
    /// A request with a header that must be understood (SOAP 1.1 4.2.3), and is not.
    MustUnderstand(Box<Refusal>),
}

/// A request that was understood well enough to be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The namespace to answer in.
    pub namespace: Namespace,
    /// The request's headers.
    pub header: Header,
    /// The method's name.
    pub method: String,
    /// What to answer: 9003 or 9004 from a CPE, 8003 or 8004 from an ACS.
    pub fault: Fault,
}

impl Refusal {
    /// The envelope to answer with: the fault under the request's ID.
    pub fn answer(&self) -> Envelope {
        Envelope {
            namespace: self.namespace,
            header: Header { id: self.header.id.clone(), ..Header::default() },
            message: Message::Fault(self.fault.clone()),
        }
    }
}

impl ReadError {
    /// The refused request, if there is one to answer.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            ReadError::BadArguments(refusal) | ReadError::MustUnderstand(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NotXml(why) => write!(f, "not XML: {why}"),
            ReadError::NotSoap(why) => write!(f, "not a CWMP envelope: {why}"),
            ReadError::TooLarge(why) => write!(f, "too large: {why}"),
            ReadError::BadResponse { method, why } => write!(f, "the answer to {method} is malformed: {why}"),
            ReadError::BadArguments(refusal) => write!(f, "{}: {}", refusal.method, refusal.fault),
            ReadError::MustUnderstand(refusal) => write!(f, "{}: {}", refusal.method, refusal.fault),
        }
    }
}

impl std::error::Error for ReadError {}

/// Why reading stopped: the document itself, or what a well-formed element holds. Pointers, since every result is
/// as large as its error.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nothing after this can be trusted.
    Document(Box<ReadError>),
    /// The parser is still sound: the rest can be read to find the element's end.
    Content(Box<Complaint>),
}

/// What is wrong with the content of an element.
#[derive(Debug)]
pub(super) struct Complaint {
    /// A limit was passed (9004), not a rule broken (9003).
    pub(super) limit: bool,
    /// A few words.
    pub(super) why: String,
}

impl Stop {
    /// A rule broken.
    pub(super) fn content(why: impl Into<String>) -> Stop {
        Stop::complaint(false, why.into())
    }

    /// A limit passed.
    pub(super) fn limit(why: impl Into<String>) -> Stop {
        Stop::complaint(true, why.into())
    }

    #[cold]
    fn complaint(limit: bool, why: String) -> Stop {
        Stop::Content(Box::new(Complaint { limit, why }))
    }
}

impl From<Stop> for ReadError {
    /// For the parts around the message, whose content cannot be answered with a fault.
    fn from(stop: Stop) -> ReadError {
        match stop {
            Stop::Document(error) => *error,
            Stop::Content(complaint) if complaint.limit => ReadError::TooLarge(complaint.why),
            Stop::Content(complaint) => ReadError::NotSoap(complaint.why),
        }
    }
}
