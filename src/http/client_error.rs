//! Why an HTTP session with an ACS failed, named by culprit.

use std::fmt;
use std::time::Duration;

use crate::http::auth::AuthError;
use crate::http::body::BodyError;
use crate::http::url::UrlError;

/// Why a post failed. Each ends the session (TR-069 3.7.1.4); the retry policy decides what next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// The configured URL is none.
    BadUrl(UrlError),
    /// An `https` URL, but no TLS is configured or built in.
    NoTls,
    /// Our own request could not be written.
    BadRequest(String),
    /// The system gives no random numbers.
    NoRandom(String),
    /// The name of the ACS cannot be resolved: host and reason.
    NameNotFound(String, String),
    /// No TCP connection: host with port, and reason.
    Unreachable(String, String),
    /// The TLS handshake failed: host with port, and reason.
    Tls(String, String),
    /// A phase of the exchange took too long: which.
    TooSlow(String),
    /// The deadline of the whole session is over.
    SessionTooLong,
    /// The connection broke before any answer.
    NoAnswer(String),
    /// The connection broke within the answer.
    CutOff(String),
    /// The answer is no HTTP.
    BadReply(String),
    /// The head of the answer is too long: the bound in octets.
    HeadTooLong(usize),
    /// The answer is too long: the bound in octets.
    ReplyTooLong(usize),
    /// The answer does not inflate.
    BadBody(BodyError),
    /// The answer has a `Content-Encoding` we do not speak.
    UnknownCoding(String),
    /// The ACS wants credentials and none are configured.
    NoCredentials,
    /// The ACS's challenge cannot be answered.
    Unauthorized(AuthError),
    /// The ACS refused the configured credentials.
    Rejected,
    /// An `https` ACS sent us to `http`, and that wants the password in the clear.
    BasicInTheClear,
    /// More than five redirects in a row.
    TooManyRedirects,
    /// A redirect without a target.
    NoLocation,
    /// A redirect from TLS to plain HTTP, for a file.
    LeavesTls,
    /// A redirect to something we do not connect to.
    BadRedirect(UrlError),
    /// 415 to a compressed request: compression must be dropped for the retry (TR-069 3.4.7).
    CompressionRefused,
    /// 503, with the wait it asked for.
    Busy {
        /// `Retry-After` in seconds, if given so.
        retry_after: Option<Duration>,
    },
    /// Any other status that is no success.
    Status {
        /// The status code.
        status: u16,
        /// The beginning of the body, on one line.
        text: String,
    },
}

impl HttpError {
    /// One sentence for the log and for `status`: what failed and where to look.
    pub fn explain(&self) -> String {
        let hint = match self {
            HttpError::BadUrl(_) => "; check the URL of the ACS",
            HttpError::Rejected | HttpError::NoCredentials => {
                "; check the user name and password for the ACS"
            }
            HttpError::NameNotFound(..) => "; check the URL of the ACS and the DNS servers",
            HttpError::Unreachable(..) => "; check the WAN connection and the URL of the ACS",
            HttpError::Tls(..) => "; check the CA certificates, the host name and the clock",
            HttpError::Status { status: 400, .. } => "; an earlier session may still be open there",
            HttpError::Status { status: 404, .. } => "; check the path of the URL of the ACS",
            _ => "",
        };
        format!("{self}{hint}")
    }

    /// Whether not even a TCP connection came about, as ACS discovery wants to know (TR-069 3.1).
    pub fn is_unreachable(&self) -> bool {
        match self {
            HttpError::NameNotFound(..) | HttpError::Unreachable(..) => true,
            // ureq's names of the phases before there is one.
            HttpError::TooSlow(phase) => matches!(phase.as_str(), "resolve" | "connect"),
            _ => false,
        }
    }

    pub(crate) fn from_connect(fault: ConnectFault, host: String) -> HttpError {
        match fault {
            ConnectFault::Name(why) => HttpError::NameNotFound(host, why),
            ConnectFault::Unreachable(why) => HttpError::Unreachable(host, why),
            ConnectFault::Tls(why) => HttpError::Tls(host, why),
            ConnectFault::NoTls => HttpError::NoTls,
            ConnectFault::TooMuch => HttpError::BadReply("it goes on without end".into()),
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::BadUrl(why) => write!(f, "the ACS cannot be contacted: {why}"),
            HttpError::NoTls => f.write_str("the ACS wants TLS, which is not configured or not built in"),
            HttpError::BadRequest(why) => write!(f, "the request could not be written: {why}"),
            HttpError::NoRandom(why) => write!(f, "the system gives no random numbers: {why}"),
            HttpError::NameNotFound(host, why) => write!(f, "{host} cannot be resolved: {why}"),
            HttpError::Unreachable(host, why) => write!(f, "{host} cannot be reached: {why}"),
            HttpError::Tls(host, why) => write!(f, "no TLS connection to {host}: {why}"),
            HttpError::TooSlow(phase) => write!(f, "the ACS took too long ({phase})"),
            HttpError::SessionTooLong => f.write_str("the session took too long"),
            HttpError::NoAnswer(why) => write!(f, "the ACS closed the connection without an answer: {why}"),
            HttpError::CutOff(why) => write!(f, "the ACS broke off its answer: {why}"),
            HttpError::BadReply(why) => write!(f, "the answer of the ACS is not HTTP: {why}"),
            HttpError::HeadTooLong(max) => write!(f, "the head of the answer is longer than {max} octets"),
            HttpError::ReplyTooLong(max) => write!(f, "the answer of the ACS is longer than {max} octets"),
            HttpError::BadBody(why) => write!(f, "the answer of the ACS cannot be read: {why}"),
            HttpError::UnknownCoding(name) => write!(f, "the answer of the ACS is coded as {name:?}"),
            HttpError::NoCredentials => {
                f.write_str("the ACS wants a user name and password, and none are set")
            }
            HttpError::Unauthorized(why) => write!(f, "no authentication with the ACS: {why}"),
            HttpError::Rejected => f.write_str("the ACS refused the user name or password"),
            HttpError::BasicInTheClear => {
                f.write_str("the ACS moved from TLS to plain HTTP and wants the password in the clear there")
            }
            HttpError::TooManyRedirects => f.write_str("the ACS redirects without end"),
            HttpError::NoLocation => f.write_str("the ACS redirects to nowhere"),
            HttpError::LeavesTls => f.write_str("the server redirects from TLS to plain HTTP"),
            HttpError::BadRedirect(why) => write!(f, "the ACS redirects to a place that will not do: {why}"),
            HttpError::CompressionRefused => f.write_str("the ACS takes no compressed requests"),
            HttpError::Busy { retry_after: Some(wait) } => {
                write!(f, "the ACS is busy and asks to come back in {} s", wait.as_secs())
            }
            HttpError::Busy { retry_after: None } => f.write_str("the ACS is busy"),
            HttpError::Status { status, text } if text.is_empty() => {
                write!(f, "the ACS answered with status {status}")
            }
            HttpError::Status { status, text } => {
                write!(f, "the ACS answered with status {status}: {text:?}")
            }
        }
    }
}

impl std::error::Error for HttpError {}

/// What went wrong below HTTP, on its way through ureq.
#[derive(Debug)]
pub(crate) enum ConnectFault {
    /// The name was not found.
    Name(String),
    /// No address answered.
    Unreachable(String),
    /// The handshake failed.
    Tls(String),
    /// There is no TLS to be had.
    NoTls,
    /// The peer sends without end.
    TooMuch,
}

impl fmt::Display for ConnectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for ConnectFault {}
