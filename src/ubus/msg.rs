//! Messages of ubus: a head of eight octets and a blob of attributes.
//!
//! ```text
//! ┌─────────┬──────┬──────────┬───────────┬─────────────────────────────┐
//! │ version │ type │ sequence │ peer      │ blob of id 0: attributes    │
//! │ u8 (0)  │ u8   │ u16      │ u32       │ STATUS OBJPATH OBJID …      │
//! └─────────┴──────┴──────────┴───────────┴─────────────────────────────┘
//! ```
//! DATA and SIGNATURE stay octets here, so that a broker passes them on as they are and a broken one of a stranger
//! is the matter of whoever it is for. A [`Reader`] cuts a stream of octets into messages.

use std::fmt;

use super::blob::{Blob, BlobError, Blobs, HEAD, MAX_BODY, MAX_IDLE, Writer, length, padded};
use super::blobmsg::Text;

/// Octets before the attributes' blob.
const HEADER: usize = 8;
/// The most subscribers and other ids read from one message.
const MAX_IDS: usize = 4096;
/// The object that takes events and registrations for them.
pub const EVENT_OBJECT: u32 = 1;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the protocol's own words, told in the conversations of `peer`")]
pub enum Kind {
    Hello = 0,
    Status = 1,
    Data = 2,
    Ping = 3,
    Lookup = 4,
    Invoke = 5,
    AddObject = 6,
    RemoveObject = 7,
    Subscribe = 8,
    Unsubscribe = 9,
    Notify = 10,
    Monitor = 11,
}

impl Kind {
    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Kind> {
        Some(match number {
            0 => Kind::Hello,
            1 => Kind::Status,
            2 => Kind::Data,
            3 => Kind::Ping,
            4 => Kind::Lookup,
            5 => Kind::Invoke,
            6 => Kind::AddObject,
            7 => Kind::RemoveObject,
            8 => Kind::Subscribe,
            9 => Kind::Unsubscribe,
            10 => Kind::Notify,
            11 => Kind::Monitor,
            _ => return None,
        })
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the protocol's own words, each with its sentence in `Display`")]
pub enum Status {
    Ok,
    InvalidCommand,
    InvalidArgument,
    MethodNotFound,
    NotFound,
    NoData,
    PermissionDenied,
    Timeout,
    NotSupported,
    UnknownError,
    ConnectionFailed,
    NoMemory,
    ParseError,
    SystemError,
    /// A number that no ubus had when this was written.
    Other(u32),
}

impl Status {
    const ALL: [(Status, &'static str); 14] = [
        (Status::Ok, "Success"),
        (Status::InvalidCommand, "Invalid command"),
        (Status::InvalidArgument, "Invalid argument"),
        (Status::MethodNotFound, "Method not found"),
        (Status::NotFound, "Not found"),
        (Status::NoData, "No response"),
        (Status::PermissionDenied, "Permission denied"),
        (Status::Timeout, "Request timed out"),
        (Status::NotSupported, "Operation not supported"),
        (Status::UnknownError, "Unknown error"),
        (Status::ConnectionFailed, "Connection failed"),
        (Status::NoMemory, "Out of memory"),
        (Status::ParseError, "Parsing message data failed"),
        (Status::SystemError, "System error"),
    ];

    /// The status with this number.
    pub fn from_number(number: u32) -> Status {
        let known = usize::try_from(number).ok().and_then(|at| Status::ALL.get(at));
        known.map_or(Status::Other(number), |(status, _)| *status)
    }

    /// Its number on the wire, which is also the exit code of the stock command.
    pub fn number(self) -> u32 {
        match self {
            Status::Other(number) => number,
            _ => Status::ALL.iter().zip(0..).find(|((status, _), _)| *status == self).map_or(0, |(_, at)| at),
        }
    }
}

/// In the words of the stock command, which scripts look for.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Status::ALL.iter().find(|(status, _)| status == self) {
            Some((_, words)) => f.write_str(words),
            None => write!(f, "Unknown status {}", self.number()),
        }
    }
}

/// One attribute of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// How a request ended; see [`Status`].
    Status(u32),
    /// The name of an object, or a pattern in LOOKUP.
    ObjectPath(Text),
    /// The number of an object.
    ObjectId(u32),
    /// The name of a method, an event or a notification.
    Method(Text),
    /// The number of a signature.
    ObjectType(u32),
    /// Methods with their arguments, fields that `Table::decode` reads.
    Signature(Vec<u8>),
    /// Arguments or results, fields that `Table::decode` reads.
    Data(Vec<u8>),
    /// The object of a subscription.
    Target(u32),
    /// Whether there are subscribers.
    Active(bool),
    /// Whether no STATUS is wanted.
    NoReply(bool),
    /// The objects that were notified.
    Subscribers(Vec<u32>),
    /// Who calls.
    User(Text),
    /// And that one's group.
    Group(Text),
}

impl Attribute {
    fn write(&self, out: &mut Writer) {
        match self {
            Attribute::Status(number) => out.blob(1, &number.to_be_bytes()),
            Attribute::ObjectPath(text) => string(2, text, out),
            Attribute::ObjectId(number) => out.blob(3, &number.to_be_bytes()),
            Attribute::Method(text) => string(4, text, out),
            Attribute::ObjectType(number) => out.blob(5, &number.to_be_bytes()),
            Attribute::Signature(octets) => out.blob(6, octets),
            Attribute::Data(octets) => out.blob(7, octets),
            Attribute::Target(number) => out.blob(8, &number.to_be_bytes()),
            Attribute::Active(value) => out.blob(9, &[u8::from(*value)]),
            Attribute::NoReply(value) => out.blob(10, &[u8::from(*value)]),
            Attribute::Subscribers(ids) => {
                let open = out.open(11, false);
                ids.iter().for_each(|id| out.blob(0, &id.to_be_bytes()));
                out.close(open);
            }
            Attribute::User(text) => string(12, text, out),
            Attribute::Group(text) => string(13, text, out),
        }
    }

    /// `None` for attributes of other times.
    fn read(blob: &Blob<'_>) -> Result<Option<Attribute>, BlobError> {
        let wrong = || BlobError::Value { at: blob.at, kind: blob.id };
        let number = || Ok(u32::from_be_bytes(blob.payload.try_into().map_err(|_| wrong())?));
        let text = || match blob.payload.split_last() {
            Some((0, text)) => Ok(Text::new(text)),
            _ => Err(wrong()),
        };
        let flag = || match blob.payload {
            [value] => Ok(*value != 0),
            _ => Err(wrong()),
        };
        Ok(Some(match blob.id {
            1 => Attribute::Status(number()?),
            2 => Attribute::ObjectPath(text()?),
            3 => Attribute::ObjectId(number()?),
            4 => Attribute::Method(text()?),
            5 => Attribute::ObjectType(number()?),
            6 => Attribute::Signature(blob.payload.to_vec()),
            7 => Attribute::Data(blob.payload.to_vec()),
            8 => Attribute::Target(number()?),
            9 => Attribute::Active(flag()?),
            10 => Attribute::NoReply(flag()?),
            11 => {
                let mut ids = Vec::new();
                for id in Blobs::new(blob.payload, blob.at + HEAD) {
                    let id = id?.payload.try_into().map_err(|_| wrong())?;
                    if ids.len() == MAX_IDS {
                        return Err(BlobError::TooMany);
                    }
                    ids.push(u32::from_be_bytes(id));
                }
                Attribute::Subscribers(ids)
            }
            12 => Attribute::User(text()?),
            13 => Attribute::Group(text()?),
            _ => return Ok(None),
        }))
    }
}

fn string(id: u8, text: &Text, out: &mut Writer) {
    let open = out.open(id, false);
    out.put(text.as_bytes());
    out.put(&[0]);
    out.close(open);
}

/// A message, its attributes in the order of the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// The number of the request, which the answer repeats.
    pub sequence: u16,
    /// Whom it is for or from; see `peer`.
    pub peer: u32,
    /// What it says.
    pub attributes: Vec<Attribute>,
}

/// The last attribute of a kind counts, as in the stock programs.
macro_rules! attribute {
    ($($(#[$doc:meta])* $name:ident: $variant:ident($type:ty) $value:ident => $give:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name(&self) -> Option<$type> {
            self.attributes.iter().rev().find_map(|attribute| match attribute {
                Attribute::$variant($value) => Some($give),
                _ => None,
            })
        }
    )* };
}

impl Message {
    /// A message.
    pub fn new(kind: Kind, sequence: u16, peer: u32, attributes: Vec<Attribute>) -> Message {
        Message { kind, sequence, peer, attributes }
    }

    attribute! {
        /// How a request ended.
        status: Status(Status) value => Status::from_number(*value);
        /// The name of an object.
        object_path: ObjectPath(&Text) value => value;
        /// The number of an object.
        object_id: ObjectId(u32) value => *value;
        /// The name of a method, an event or a notification.
        method: Method(&Text) value => value;
        /// The number of a signature.
        object_type: ObjectType(u32) value => *value;
        /// Methods with their arguments.
        signature: Signature(&[u8]) value => value.as_slice();
        /// Arguments or results.
        data: Data(&[u8]) value => value.as_slice();
        /// The object of a subscription.
        target: Target(u32) value => *value;
        /// Whether there are subscribers.
        active: Active(bool) value => *value;
        /// Whether no STATUS is wanted.
        no_reply: NoReply(bool) value => *value;
        /// The objects that were notified.
        subscribers: Subscribers(&[u32]) value => value.as_slice();
        /// Who calls.
        user: User(&Text) value => value;
        /// And that one's group.
        group: Group(&Text) value => value;
    }

    /// The octets of the message.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`]: nothing of it must be sent.
    pub fn encode(&self) -> Result<Vec<u8>, BlobError> {
        let mut out = Writer::new();
        let open = out.open(0, false);
        self.attributes.iter().for_each(|attribute| attribute.write(&mut out));
        out.close(open);
        let body = out.finish()?;
        let mut octets = Vec::with_capacity(HEADER + body.len());
        octets.extend([0, self.kind as u8]);
        octets.extend(self.sequence.to_be_bytes());
        octets.extend(self.peer.to_be_bytes());
        octets.extend(body);
        Ok(octets)
    }
}

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// The stream is not that of ubus; nothing of it can be read any more.
    Version(u8),
    /// The message is larger than [`MAX_BODY`] or shorter than a blob; nothing of the stream can be read any more.
    Size(usize),
    /// One message is broken, or of another time; the next can be read.
    Message {
        /// The type's number.
        kind: u8,
        /// The number of the request.
        sequence: u16,
        /// Its peer.
        peer: u32,
        /// What is wrong with it; nothing if only its type is not known.
        why: Option<BlobError>,
    },
}

impl ReadError {
    /// Whether the connection must be given up.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, ReadError::Message { .. })
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Version(version) => {
                write!(f, "the other side speaks version {version} of ubus, not 0")
            }
            ReadError::Size(size) => {
                write!(f, "the other side announces a ubus message of {size} octets, not of 4 to {MAX_BODY}")
            }
            ReadError::Message { why: Some(why), kind, .. } => write!(f, "{why} (message type {kind})"),
            ReadError::Message { why: None, kind, .. } => {
                write!(f, "the ubus message type {kind} is unknown")
            }
        }
    }
}

impl std::error::Error for ReadError {}

/// Cuts a stream into messages; holds at most one message that is not yet whole and what was fed last.
#[derive(Debug, Default)]
pub struct Reader {
    octets: Vec<u8>,
    start: usize,
    broken: Option<ReadError>,
}

impl Reader {
    /// At the start of a stream.
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Takes octets. Ask for all messages with [`Reader::message`] before the next ones.
    pub fn feed(&mut self, octets: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        self.octets.drain(..self.start);
        self.start = 0;
        if self.octets.is_empty() && self.octets.capacity() > MAX_IDLE {
            self.octets = Vec::new();
        }
        self.octets.extend_from_slice(octets);
    }

    /// The next whole message, or what is wrong with it; `None` until more is fed.
    pub fn message(&mut self) -> Option<Result<Message, ReadError>> {
        let raw = match self.raw()? {
            Ok(raw) => raw,
            Err(error) => return Some(Err(error)),
        };
        Some(decode(raw))
    }

    /// The octets of the next whole message, its size checked but nothing else.
    pub fn raw(&mut self) -> Option<Result<&[u8], ReadError>> {
        if let Some(error) = &self.broken {
            return Some(Err(error.clone()));
        }
        let octets = &self.octets[self.start..];
        let head = octets.first_chunk::<{ HEADER + HEAD }>()?;
        let size = length(u32::from_be_bytes([head[8], head[9], head[10], head[11]]));
        let error = match head[0] {
            0 if size >= HEAD && padded(size) <= MAX_BODY => None,
            0 => Some(ReadError::Size(size)),
            version => Some(ReadError::Version(version)),
        };
        if let Some(error) = error {
            self.octets = Vec::new();
            self.start = 0;
            self.broken = Some(error.clone());
            return Some(Err(error));
        }
        let whole = HEADER + padded(size);
        if octets.len() < whole {
            return None;
        }
        let from = self.start;
        self.start += whole;
        Some(Ok(&self.octets[from..from + whole]))
    }
}

/// Reads one whole message, as [`Reader::raw`] gives it.
///
/// # Errors
/// [`ReadError::Message`], and [`ReadError::Size`] for octets that are no whole message.
pub fn decode(octets: &[u8]) -> Result<Message, ReadError> {
    let Some((head, body)) = octets.split_first_chunk::<HEADER>() else {
        return Err(ReadError::Size(octets.len()));
    };
    let sequence = u16::from_be_bytes([head[2], head[3]]);
    let peer = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let broken = |why| ReadError::Message { kind: head[1], sequence, peer, why };
    let kind = Kind::from_number(head[1]).ok_or_else(|| broken(None))?;
    let body = match Blobs::new(body, HEADER).next() {
        Some(Ok(body)) => body,
        Some(Err(why)) => return Err(broken(Some(why))),
        None => return Err(ReadError::Size(0)),
    };
    let mut attributes = Vec::new();
    for blob in Blobs::new(body.payload, HEADER + HEAD) {
        if attributes.len() == MAX_IDS {
            return Err(broken(Some(BlobError::TooMany)));
        }
        let attribute = blob.and_then(|blob| Attribute::read(&blob)).map_err(|why| broken(Some(why)))?;
        attributes.extend(attribute);
    }
    Ok(Message { kind, sequence, peer, attributes })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(message: &Message, expected: &[u8]) {
        assert_eq!(message.encode().unwrap(), expected);
        let mut reader = Reader::new();
        // However the stream is cut.
        for (at, octet) in expected.iter().enumerate() {
            assert!(reader.message().is_none(), "whole after {at} octets");
            reader.feed(&[*octet]);
        }
        assert_eq!(reader.message(), Some(Ok(message.clone())));
        assert_eq!(reader.message(), None);
        reader.feed(&[expected, expected].concat());
        assert_eq!(reader.message(), Some(Ok(message.clone())));
        assert_eq!(reader.message(), Some(Ok(message.clone())));
        assert_eq!(reader.message(), None);
    }

    fn read(octets: &[u8]) -> Result<Message, ReadError> {
        let mut reader = Reader::new();
        reader.feed(octets);
        reader.message().expect("a whole message")
    }

    #[test]
    fn messages() {
        check(&Message::new(Kind::Hello, 0, 0x7a9f_aa68, vec![]), b"\0\0\0\0\x7a\x9f\xaa\x68\0\0\0\x04");
        check(
            &Message::new(Kind::Status, 2, 1, vec![Attribute::Status(4), Attribute::ObjectId(9)]),
            b"\0\x01\0\x02\0\0\0\x01\0\0\0\x14\x01\0\0\x08\0\0\0\x04\x03\0\0\x08\0\0\0\x09",
        );
        check(
            &Message::new(
                Kind::Status,
                3,
                0,
                vec![Attribute::Subscribers(vec![7]), Attribute::Active(true), Attribute::NoReply(false)],
            ),
            b"\0\x01\0\x03\0\0\0\0\0\0\0\x20\x0b\0\0\x0c\0\0\0\x08\0\0\0\x07\x09\0\0\x05\x01\0\0\0\x0a\0\0\x05\0\0\0\0",
        );
    }

    #[test]
    fn every_kind_and_status_has_its_number() {
        for number in 0..=255 {
            if let Some(kind) = Kind::from_number(number) {
                assert_eq!(kind as u8, number);
            }
        }
        assert_eq!(Kind::from_number(12), None);
        for number in 0..=20 {
            assert_eq!(Status::from_number(number).number(), number);
        }
        assert_eq!(Status::from_number(6), Status::PermissionDenied);
        assert_eq!(Status::from_number(14), Status::Other(14));
        assert_eq!(Status::MethodNotFound.to_string(), "Method not found");
        assert_eq!(Status::Other(99).to_string(), "Unknown status 99");
    }

    #[test]
    fn a_broken_stream_stays_broken() {
        let mut reader = Reader::new();
        reader.feed(b"\x01\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04");
        assert_eq!(reader.message(), Some(Err(ReadError::Version(1))));
        reader.feed(b"\0\0\0\0\0\0\0\0\0\0\0\x04");
        assert_eq!(reader.message(), Some(Err(ReadError::Version(1))));
        assert!(ReadError::Version(1).is_fatal());
        assert_eq!(read(b"\0\0\0\0\0\0\0\0\0\0\0\x03"), Err(ReadError::Size(3)));
        assert_eq!(read(b"\0\0\0\0\0\0\0\0\0\x10\0\x01"), Err(ReadError::Size((1 << 20) + 1)));
        assert_eq!(read(b"\0\0\0\0\0\0\0\0\0\xff\xff\xff"), Err(ReadError::Size(0x00ff_ffff)));
        assert_eq!(decode(b"\0\0\0"), Err(ReadError::Size(3)));
        assert_eq!(decode(b"\0\0\0\0\0\0\0\0"), Err(ReadError::Size(0)));
    }

    #[test]
    fn a_broken_message_is_passed_over() {
        let mut reader = Reader::new();
        reader.feed(b"\0\x05\0\x07\0\0\0\x09\0\0\0\x0c\x03\0\0\x09\0\0\0\0");
        reader.feed(b"\0\x63\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04");
        let why = Some(BlobError::Length { at: 12, said: 9, left: 8 });
        assert_eq!(
            reader.message(),
            Some(Err(ReadError::Message { kind: 5, sequence: 7, peer: 9, why: why.clone() }))
        );
        assert_eq!(
            reader.message(),
            Some(Err(ReadError::Message { kind: 99, sequence: 0, peer: 0, why: None }))
        );
        assert_eq!(reader.message(), Some(Ok(Message::new(Kind::Hello, 0, 0, vec![]))));
        assert_eq!(reader.message(), None);
    }

    #[test]
    fn unknown_attributes_are_left_out_and_the_last_counts() {
        let message =
            read(b"\0\x01\0\0\0\0\0\0\0\0\0\x1c\x0f\0\0\x08abcd\x01\0\0\x08\0\0\0\x01\x01\0\0\x08\0\0\0\x02")
                .unwrap();
        assert_eq!(message.attributes.len(), 2);
        assert_eq!(message.status(), Some(Status::InvalidArgument));
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let message = Message::new(Kind::Data, 0, 0, vec![Attribute::Data(vec![0; MAX_BODY - 8])]);
        assert_eq!(read(&message.encode().unwrap()), Ok(message));
        let message = Message::new(Kind::Data, 0, 0, vec![Attribute::Data(vec![0; MAX_BODY - 7])]);
        assert_eq!(message.encode(), Err(BlobError::TooLarge));
    }

    proptest! {
        #[test]
        fn any_octets(octets in prop::collection::vec(any::<u8>(), 0..120), kind in 0_u8..13) {
            let mut reader = Reader::new();
            reader.feed(&[0, kind, 0, 1, 0, 0, 0, 2, 0, 0, 0, 4 + (octets.len() / 4 * 4) as u8]);
            reader.feed(&octets);
            if let Some(Ok(message)) = reader.message() {
                let again = decode(&message.encode().unwrap()).unwrap();
                prop_assert_eq!(again, message);
            }
        }
    }
}
