//! How a session ended, by culprit, and what it put up with on the way.

use std::fmt;
use std::time::Duration;

use crate::cwmp::fault::Fault;
use crate::cwmp::soap::envelope::Version;

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Close {
    /// As the standard has it: RetryCount goes to 0.
    Success,
    /// Unsuccessful (TR-069 3.7.1.4): the retry policy decides when to come back.
    Failed(Failure),
}

/// Why a session failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The transport, while something was on its way.
    Http {
        /// What it says.
        failure: HttpFailure,
        /// The version of the Inform, if it was the Inform that failed.
        informing_at: Option<Version>,
    },
    /// The ACS gave no answer in time.
    AcsSilent(Duration),
    /// The ACS answered Inform with a fault.
    AcsRefusedInform {
        /// Its fault.
        fault: Fault,
        /// The version of the Inform.
        version: Version,
    },
    /// The ACS wants the same request for the fifth time: the method.
    AcsKeepsRetrying(String),
    /// The ACS chose a version that we did not offer.
    AcsChoseVersion(Version),
    /// The ACS sent what nobody can read.
    AcsUnreadable {
        /// What was awaited.
        expected: String,
        /// What is wrong with it.
        why: String,
    },
    /// The ACS sent a message out of turn.
    AcsOutOfTurn {
        /// What was awaited.
        expected: String,
        /// What came.
        got: String,
    },
    /// The session took more POSTs than allowed.
    TooManyExchanges(u32),
    /// The session took longer than allowed.
    TooLong(Duration),
}

/// Why a POST came to nothing below SOAP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpFailure {
    /// No address, no connection, or no TLS: why.
    Unreachable(String),
    /// The connection was lost before the answer was complete: why.
    Lost(String),
    /// A status that is neither 200 nor 204, nor a redirect or a challenge that could be followed.
    Status(u16),
    /// 401 although the credentials were given.
    Credentials,
    /// One redirect too many, or one that leads nowhere: why.
    Redirect(String),
}

/// Something unusual that did not end the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// The ACS refused a call of ours: it stays undelivered.
    Refused {
        /// The call.
        method: String,
        /// The fault.
        fault: Fault,
    },
    /// The ACS asked for a request to be repeated (8005): the method.
    Repeated(String),
    /// An empty answer where a response was due: taken for one.
    EmptyAnswer(String),
    /// A response under another method's name: taken for ours.
    OtherName {
        /// What we called.
        method: String,
        /// The name in the answer.
        got: String,
    },
    /// An answer with another `ID` than the request had: the method.
    OtherId(String),
    /// An answer to a call of ours that could not be read: taken for a refusal.
    Unreadable {
        /// What we called.
        method: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// A call that the agreed version does not have: it stays undelivered.
    HeldBack {
        /// The method.
        method: String,
        /// The agreed version.
        version: Version,
    },
}

impl Close {
    /// The end in one sentence.
    pub fn explain(&self) -> String {
        match self {
            Close::Success => "the session was successful".to_owned(),
            Close::Failed(failure) => format!("the session failed: {failure}"),
        }
    }

    /// Whether to come back by the retry policy: after every failure, whoever caused it (TR-069 3.2.1.1).
    pub fn retryable(&self) -> bool {
        matches!(self, Close::Failed(_))
    }

    /// Whether the next attempt shall speak version 1.0: the Inform failed in a way an ACS that knows only 1.0 would
    /// make it fail. False again if the failed Inform was at 1.0, so that attempts alternate and no ACS is lost for good.
    pub fn fall_back(&self) -> bool {
        match self {
            // 8004 and 8005 are about the ACS's load; all others may mean the envelope.
            Close::Failed(Failure::AcsRefusedInform { fault, version }) => {
                *version > Version::V1_0 && !matches!(fault.code, 8004 | 8005)
            }
            Close::Failed(Failure::Http {
                failure: HttpFailure::Status(status),
                informing_at: Some(version),
            }) => *version > Version::V1_0 && matches!(status, 400 | 406 | 415 | 422 | 500 | 501),
            _ => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Http { failure, informing_at: Some(_) } => write!(f, "{failure}, to the Inform"),
            Failure::Http { failure, informing_at: None } => write!(f, "{failure}"),
            Failure::AcsSilent(waited) => write!(f, "the ACS gave no answer in {} s", waited.as_secs()),
            Failure::AcsRefusedInform { fault, .. } => write!(f, "the ACS refused the Inform: {fault}"),
            Failure::AcsKeepsRetrying(method) => {
                write!(f, "the ACS asked for {method} to be repeated more than 3 times")
            }
            Failure::AcsChoseVersion(version) => {
                write!(f, "the ACS chose CWMP {version}, which was not offered")
            }
            Failure::AcsUnreadable { expected, why } => {
                write!(f, "the ACS sent something unreadable instead of {expected}: {why}")
            }
            Failure::AcsOutOfTurn { expected, got } => write!(f, "the ACS sent {got} instead of {expected}"),
            Failure::TooManyExchanges(most) => write!(f, "the session took more than {most} exchanges"),
            Failure::TooLong(most) => write!(f, "the session took longer than {} s", most.as_secs()),
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpFailure::Unreachable(why) => write!(f, "the ACS cannot be reached: {why}"),
            HttpFailure::Lost(why) => write!(f, "the connection was lost: {why}"),
            HttpFailure::Status(status) => write!(f, "the ACS answered with HTTP status {status}"),
            HttpFailure::Credentials => f.write_str("the ACS did not accept our credentials"),
            HttpFailure::Redirect(why) => write!(f, "the ACS redirected us in vain: {why}"),
        }
    }
}

impl std::error::Error for HttpFailure {}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remark::Refused { method, fault } => write!(f, "the ACS refused {method}: {fault}"),
            Remark::Repeated(method) => write!(f, "the ACS asked for {method} to be repeated"),
            Remark::EmptyAnswer(method) => {
                write!(f, "the ACS answered {method} with nothing, which is taken for its response")
            }
            Remark::OtherName { method, got } => {
                write!(f, "the ACS answered {method} with {got}, which is taken for its response")
            }
            Remark::OtherId(method) => write!(f, "the ACS answered {method} under another ID"),
            Remark::Unreadable { method, why } => {
                write!(f, "the answer to {method} cannot be read and is taken for a refusal: {why}")
            }
            Remark::HeldBack { method, version } => {
                write!(f, "{method} is not sent, because CWMP {version} does not have it")
            }
        }
    }
}
