//! Transfers over HTTP and HTTPS: what the client's faults mean for a file.

use std::fs::File;

use super::fault::Cause;
use super::part::Part;
use super::run::Work;
use crate::http::HttpError;
use crate::http::file::{self, Settings};
use crate::http::url::Url;

/// Fetches a file.
pub(super) fn download(url: &Url, work: &Work<'_>, part: &mut Part<'_>) -> Result<(), Cause> {
    let mut incoming = file::get(url, &settings(work)).map_err(|error| cause(error, false))?;
    if let Some(length) = incoming.length {
        part.expect(length)?;
    }
    work.receive(&mut incoming, part)
}

/// Puts a file.
pub(super) fn upload(url: &Url, work: &Work<'_>, from: &mut File, length: u64) -> Result<(), Cause> {
    file::put(url, &settings(work), from, length).map(drop).map_err(|error| cause(error, true))
}

fn settings(work: &Work<'_>) -> Settings {
    let job = work.job;
    Settings {
        credentials: job.credentials.clone(),
        tls: job.tls.clone(),
        idle: work.limits.idle,
        deadline: work.deadline,
        cancel: work.cancel.clone(),
        user_agent: job.user_agent.clone(),
        interface: job.interface.clone(),
        force_ipv4: job.force_ipv4,
        expect: job.expect,
    }
}

fn cause(error: HttpError, is_upload: bool) -> Cause {
    match error {
        HttpError::BadUrl(why) => Cause::BadUrl(why.to_string()),
        HttpError::NoTls => Cause::Scheme("TLS is not set up".to_owned()),
        HttpError::NameNotFound(host, why) => Cause::Unreachable(format!("{host}: {why}")),
        HttpError::Unreachable(host, why) => Cause::Unreachable(format!("{host}: {why}")),
        HttpError::Tls(host, why) => tls(&host, &why),
        HttpError::SessionTooLong => Cause::TooLong,
        HttpError::TooSlow(phase) if is_upload && phase != "connect" => {
            Cause::CutOff(format!("the server took too long ({phase})"))
        }
        HttpError::TooSlow(phase) => Cause::Unreachable(format!("it took too long ({phase})")),
        // In TLS 1.3 a client learns only now that its certificate would not do.
        HttpError::NoAnswer(why) | HttpError::CutOff(why) if is_about_trust(&why) => Cause::Login(why),
        HttpError::NoAnswer(why) | HttpError::CutOff(why) if is_upload => Cause::CutOff(why),
        HttpError::NoAnswer(why) | HttpError::CutOff(why) => Cause::Unreachable(why),
        HttpError::NoCredentials => Cause::Login("it wants a user name and password".to_owned()),
        HttpError::Rejected => Cause::Login("it refused the user name or password".to_owned()),
        HttpError::Unauthorized(why) => Cause::Login(why.to_string()),
        HttpError::Status { status: 407, .. } => Cause::Login("a proxy wants credentials".to_owned()),
        HttpError::Status { status: status @ (408 | 413 | 429), text } => {
            Cause::Server(answer(status, &text))
        }
        HttpError::Status { status: status @ 400..=499, text } => Cause::NoFile(answer(status, &text)),
        HttpError::Status { status, text } => Cause::Server(answer(status, &text)),
        HttpError::TooManyRedirects => Cause::Server("it redirects without end".to_owned()),
        HttpError::NoLocation => Cause::Server("it redirects to nowhere".to_owned()),
        HttpError::BadRedirect(why) => Cause::Server(format!("it redirects, but {why}")),
        HttpError::LeavesTls => Cause::Server("it redirects from TLS to plain HTTP".to_owned()),
        HttpError::BadRequest(why) | HttpError::NoRandom(why) => Cause::Local(why),
        HttpError::BadReply(why) => Cause::Server(format!("its answer is not HTTP: {why}")),
        HttpError::HeadTooLong(max) => {
            Cause::Server(format!("its answer has a head of more than {max} octets"))
        }
        other => Cause::Server(other.to_string()),
    }
}

/// A handshake that failed over who is who is a matter of authentication; any other is no contact.
pub(super) fn tls(host: &str, why: &str) -> Cause {
    let text = format!("no TLS connection to {host}: {why}");
    if is_about_trust(why) { Cause::Login(text) } else { Cause::Unreachable(text) }
}

// rustls names the alerts BadCertificate, CertificateRequired, UnknownCA and so on.
fn is_about_trust(why: &str) -> bool {
    ["certificate", "Certificate", "UnknownCA", "AccessDenied"].iter().any(|word| why.contains(word))
}

fn answer(status: u16, text: &str) -> String {
    if text.is_empty() { format!("status {status}") } else { format!("status {status}, {text:?}") }
}
