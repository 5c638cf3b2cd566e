//! What happens in the mini-ACS, for whoever watches: the terminal, or a test.

use crate::cwmp::rpc::{Inform, TransferComplete};
use crate::lab::store::Status;

/// One thing that happened.
#[derive(Debug)]
pub enum News<'a> {
    /// A POST of a CPE that may speak, or what it was answered.
    Soap {
        /// The CPE's address.
        peer: &'a str,
        /// The answer's status; `None` for the POST.
        status: Option<u16>,
        /// As sent, without its coding; may be empty, and anything.
        body: &'a [u8],
    },
    /// A session began.
    Informed {
        /// All that was said.
        inform: &'a Inform,
        /// The device was never heard of before.
        first: bool,
    },
    /// The CPE called a method of the ACS.
    Called {
        /// The caller's serial number.
        device: &'a str,
        /// The method.
        method: &'a str,
    },
    /// A transfer ended.
    Transferred {
        /// The device's serial number.
        device: &'a str,
        /// How.
        complete: &'a TransferComplete,
    },
    /// A request has its answer, or none for ever.
    Answered {
        /// The device's serial number.
        device: &'a str,
        /// In one line.
        request: &'a str,
        /// In one line, or why not.
        answer: &'a Result<String, String>,
    },
    /// A script printed a line.
    Printed {
        /// The instance.
        instance: i64,
        /// Without the line end.
        line: &'a str,
    },
    /// One of the *Scripts*, or a profile, printed a line.
    Script {
        /// Its name.
        name: &'a str,
        /// Without the line end.
        line: &'a str,
    },
    /// One of the *Scripts* has ended.
    ScriptEnded {
        /// Its name.
        name: &'a str,
        /// Why, if not by itself or because it was told to; else empty.
        reason: &'a str,
    },
    /// An instance moved on.
    Service {
        /// The instance.
        instance: i64,
        /// The service's name.
        name: &'a str,
        /// Where it stands now.
        status: Status,
        /// Why it failed.
        reason: &'a str,
    },
    /// A session ended as it should.
    SessionOver {
        /// The device's serial number.
        device: &'a str,
        /// How many requests it carried.
        sent: u32,
    },
    /// A session broke off.
    SessionBroke {
        /// The device's serial number.
        device: &'a str,
    },
    /// A connection request was sent.
    ConnectionRequest {
        /// The device's serial number.
        device: &'a str,
        /// Whether it was accepted, or why not.
        result: &'a Result<(), String>,
    },
    /// A connection request was sent over UDP, where nothing tells whether it came there.
    UdpRequest {
        /// The device's serial number.
        device: &'a str,
    },
    /// A device was not heard of for too long, or does not accept connection requests any more.
    Offline {
        /// Its serial number.
        device: &'a str,
    },
    /// A file was fetched or put.
    File {
        /// The peer's address.
        peer: &'a str,
        /// GET or PUT.
        method: &'a str,
        /// Its name.
        name: &'a str,
        /// How that ended.
        status: u16,
    },
    /// A peer was refused: why.
    Refused {
        /// The peer's address.
        peer: &'a str,
        /// In a few words.
        why: &'a str,
    },
    /// The ACS itself failed at something.
    Trouble {
        /// In one sentence.
        what: &'a str,
    },
}

/// Told of everything, from many threads; must not call back.
pub trait Watcher: Send + Sync {
    /// Something happened.
    fn news(&self, news: &News<'_>);
}

/// Looks away.
impl Watcher for () {
    fn news(&self, _: &News<'_>) {}
}

impl<W: Watcher> Watcher for std::sync::Arc<W> {
    fn news(&self, news: &News<'_>) {
        self.as_ref().news(news);
    }
}
