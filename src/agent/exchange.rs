//! One session with the ACS: the pure machine between the worker's bytes and the model.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{Level, debug, info, log_enabled, warn};
use nix::sys::eventfd::EventFd;

use super::duties::Desk;
use super::light;
use super::lines::Line;
use super::redact::redacted;
use super::settings;
pub use super::settings::Acs;
use super::state::StateFile;
use super::statistics;
use super::tls::{self, Tls};
use super::worker::Worker;
use crate::backend::System;
use crate::cwmp::dispatch;
use crate::cwmp::event::EventCode;
use crate::cwmp::queue::Receipt;
use crate::cwmp::rpc::{Message, Request};
use crate::cwmp::session::{Close, HttpFailure, Input, Output, Plan, Session};
use crate::cwmp::soap::envelope::Version;
use crate::cwmp::soap::{self, Limits, ReadError};
use crate::http::HttpError;
use crate::http::auth::Credentials;
use crate::http::body::Compression;
use crate::http::client::{self, Reply};
use crate::http::url::Url;
use crate::model::Model;
use crate::model::date::{self, Moment};
use crate::model::schema::Schema;
use crate::model::value::Value;
use crate::model::watch::ByAcs;
use crate::set::Set;
use crate::sys::clock::{self, Now};
use crate::sys::fs::Root;
use crate::transfer::plan::Id;
use crate::transfer::{Direction, Transfer};

/// The most calls of one session that are remembered.
const MAX_PERFORMED: usize = 64;
const SCHEDULE_REBOOT: &str = "Device.ManagementServer.ScheduleReboot";

/// A running session.
pub(super) struct Exchange {
    machine: Session,
    /// The version of CWMP whose methods the ACS may call: ours, also in a session that has fallen back.
    spoken: Version,
    /// The Inform's values, known to the ACS once it is confirmed.
    told: Vec<(String, Value)>,
    worker: Option<Worker>,
    http: Option<client::Settings>,
    /// Host and port of the ACS.
    server: Option<String>,
    wake: Arc<EventFd>,
    until: Option<Duration>,
    learned: bool,
    compression_refused: bool,
    connected: Option<bool>,
    peer: Option<IpAddr>,
    detail: Option<String>,
    performed: Vec<(String, u16)>,
}

/// How it ended.
pub(super) struct Ended {
    /// The machine's word.
    pub close: Close,
    /// The ACS has told its methods.
    pub learned: bool,
    /// The ACS takes no compressed requests (TR-069 3.4.7).
    pub compression_refused: bool,
    /// Whether the ACS took a TCP connection; `None` where none was tried.
    pub connected: Option<bool>,
    /// The address that the last connection went to.
    pub peer: Option<IpAddr>,
    /// What the transport adds.
    pub detail: Option<String>,
    /// What the ACS has called, with the fault code of what was refused.
    pub performed: Vec<(String, u16)>,
}

impl Exchange {
    /// Begins a session in which the ACS may call the methods of version `spoken`.
    pub fn begin(
        plan: Plan,
        spoken: Version,
        told: Vec<(String, Value)>,
        http: Result<client::Settings, String>,
        wake: Arc<EventFd>,
        now: Duration,
    ) -> Exchange {
        let (http, detail) = match http {
            Ok(http) => (Some(http), None),
            Err(why) => (None, Some(why)),
        };
        let server = http.as_ref().and_then(|http| Url::parse(&http.url).ok());
        let mut machine = Session::new(plan);
        machine.handle(Input::Begin, now);
        Exchange {
            machine,
            spoken,
            told,
            worker: None,
            http,
            server: server.map(|url| format!("{}:{}", url.host, url.port)),
            wake,
            until: None,
            learned: false,
            compression_refused: false,
            connected: None,
            peer: None,
            detail,
            performed: Vec::new(),
        }
    }

    /// When [`Exchange::tick`] must be called at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        self.until
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Duration) {
        if self.until.is_some_and(|until| now >= until) {
            self.machine.handle(Input::Tick, now);
        }
    }

    /// Takes what the worker has brought; the schema says what of it is hidden from the log.
    pub fn replies(&mut self, schema: &Schema, now: Duration) {
        let Some((reply, peer)) = self.worker.as_ref().and_then(Worker::reply) else { return };
        self.peer = peer;
        let connected = connected(&reply, self.server.as_deref());
        // A later connection that fails does not make the ACS one that was never reached.
        self.connected = if self.connected == Some(true) { self.connected } else { connected };
        let input = match reply {
            Ok(reply) if reply.body.trim_ascii().is_empty() => {
                match reply.status {
                    204 => info!("{}", Line::NoContent),
                    status => debug!("Receive HTTP {status} without a message"),
                }
                Input::Empty
            }
            Ok(reply) => {
                dump("IN", &reply.body, schema);
                read(&reply.body)
            }
            Err(why) => {
                self.compression_refused |= why == HttpError::CompressionRefused;
                self.detail = Some(why.explain());
                Input::HttpFailed(failure(&why))
            }
        };
        self.machine.handle(input, now);
    }

    /// Does what the machine asks for until it waits or closes.
    pub fn pump(
        &mut self,
        model: &mut Model<System>,
        file: &mut StateFile,
        url: &str,
        stopped: &mut Vec<Id>,
        now: &mut dyn FnMut() -> Duration,
    ) -> Option<Ended> {
        loop {
            match self.machine.poll_output() {
                Output::Connect => self.connect(now()),
                Output::Post(envelope) => {
                    let body = envelope.map(|envelope| {
                        if let Message::Request(request) = &envelope.message {
                            info!("{}", Line::Send(request.name()));
                        }
                        soap::write(&envelope)
                    });
                    match &body {
                        Some(body) => dump("OUT", body, model.schema()),
                        None => info!("{}", Line::SendEmpty),
                    }
                    if let Some(worker) = &self.worker {
                        worker.post(body);
                    }
                }
                Output::Perform(request) => {
                    let name = request.name().to_owned();
                    let clocks = Now { mono: now(), wall: clock::is_set().then(clock::epoch_seconds) };
                    if matches!(request, Request::SetParameterAttributes(_)) {
                        // A moment ago the ACS may have turned it on or off.
                        let used = light::is_used(model);
                        model.set_lightweight(used);
                    }
                    let mut desk = Desk { file, now: clocks, stopped };
                    let result = dispatch::perform_at(self.spoken, &request, model, &mut desk);
                    if result.is_ok() {
                        absorb(file, model, &request, clocks);
                        statistics::look(model, clocks, false);
                    }
                    match &result {
                        Ok(_) => info!("{name} performed{}", subject(&request)),
                        Err(fault) => warn!("{name} refused: {fault}"),
                    }
                    if self.performed.len() < MAX_PERFORMED {
                        let fault = result.as_ref().err().map_or(0, |fault| fault.code);
                        self.performed.push((name, fault));
                    }
                    self.machine.handle(Input::Performed(result), now());
                }
                Output::Deliver(receipt) => {
                    if receipt == Receipt::Inform {
                        info!("{}", Line::InformConfirmed);
                        if file.state.queue.contains(&EventCode::Bootstrap) {
                            file.state.bootstrapped = Some(url.to_owned());
                        }
                        let told = std::mem::take(&mut self.told);
                        file.state.watch.told(told.iter().map(|(name, value)| (name.as_str(), value)));
                    }
                    file.state.queue.delivered(receipt);
                    if let Receipt::Call(ticket) = receipt
                        && let Some(at) = file.state.told.iter().position(|(told, _)| *told == ticket)
                    {
                        let (_, id) = file.state.told.remove(at);
                        file.state.transfers.delivered(id);
                    }
                    file.keep();
                }
                Output::Learned(methods) => {
                    self.learned = true;
                    debug!("the ACS has the methods {}", methods.join(" "));
                    file.state.acs_methods = Some(bounded(methods));
                }
                Output::Remark(remark) => warn!("{remark}"),
                Output::Close(close) => {
                    self.worker = None;
                    return Some(Ended {
                        close,
                        learned: self.learned,
                        compression_refused: self.compression_refused,
                        connected: self.connected,
                        peer: self.peer,
                        detail: self.detail.take(),
                        performed: std::mem::take(&mut self.performed),
                    });
                }
                Output::Wait(until) => {
                    self.until = until;
                    return None;
                }
            }
        }
    }

    fn connect(&mut self, now: Duration) {
        let Some(http) = self.http.take() else {
            let why = self.detail.clone().unwrap_or_default();
            self.machine.handle(Input::HttpFailed(HttpFailure::Unreachable(why)), now);
            return;
        };
        match Worker::start(http, Arc::clone(&self.wake)) {
            Ok(worker) => self.worker = Some(worker),
            Err(why) => {
                let why = HttpFailure::Unreachable(format!("no thread for the session: {why}"));
                self.machine.handle(Input::HttpFailed(why), now);
            }
        }
    }
}

/// What the ACS itself has changed is no news to it.
fn absorb(file: &mut StateFile, model: &mut Model<System>, request: &Request, now: Now) {
    match request {
        Request::SetParameterValues(call) => {
            // Its time may come before the session ends, and is then not one of the past (TR-181).
            if let Some(one) = call.list.iter().rfind(|one| one.name == SCHEDULE_REBOOT) {
                let at = match date::parse(&one.value.text) {
                    Some(Moment::At(epoch)) => Some(epoch),
                    _ => None,
                };
                file.state.alarms.schedule_reboot(at, now);
            }
            let names: Vec<&str> = call.list.iter().map(|one| one.name.as_str()).collect();
            file.state.watch.absorb(model, ByAcs::Set(&names));
        }
        Request::SetParameterAttributes(_) => file.state.watch.absorb(model, ByAcs::Attributes),
        Request::AddObject(call) => file.state.watch.absorb(model, ByAcs::Added(&call.object_name)),
        Request::DeleteObject(call) => file.state.watch.absorb(model, ByAcs::Deleted(&call.object_name)),
        _ => return,
    }
    // Every such change brings a ParameterKey along (TR-069 A.3.2.1).
    file.state.watch.absorb(model, ByAcs::Set(&["Device.ManagementServer.ParameterKey"]));
    file.keep();
}

/// Names of methods as they are worth remembering: `string(64)` by the schema, and no ACS has hundreds.
fn bounded(mut methods: Vec<String>) -> Vec<String> {
    methods.retain(|name| name.chars().count() <= 64);
    methods.truncate(64);
    methods
}

/// How we introduce ourselves to servers.
pub const USER_AGENT: &str = concat!("rcwmpd/", env!("CARGO_PKG_VERSION"));

/// What puts TLS on connections to a server; `None` where its URL has no use for it, nor can lead to one that has.
///
/// # Errors
/// When the certificates cannot be used.
pub(super) fn secure(url: &str, acs: &Acs, root: &Root, tls: &mut Tls) -> Result<tls::Maybe, String> {
    let scheme = url.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match scheme.as_str() {
        "https" | "ftps" => tls.now(acs, root),
        "http" => Ok(tls.when_needed(acs, root)),
        _ => Ok(None),
    }
}

/// A transfer as this device makes them; whoever has one to make says which.
pub(super) fn transfer(acs: &Acs, tls: tls::Maybe) -> Transfer {
    Transfer {
        direction: Direction::Download { into: PathBuf::new() },
        url: String::new(),
        credentials: Credentials::new(String::new(), String::new()),
        size: 0,
        tls,
        tls_for_ftp: false,
        user_agent: USER_AGENT.to_owned(),
        interface: acs.interface.clone(),
        force_ipv4: acs.force_ipv4,
        expect: acs.expect,
    }
}

/// What the client needs to know of the ACS.
pub(super) fn http_settings(
    acs: &Acs,
    root: &Root,
    deadline: Instant,
    tls: &mut Tls,
) -> Result<client::Settings, String> {
    let secure = secure(&acs.url, acs, root, tls)?;
    Ok(client::Settings {
        credentials: Credentials::new(acs.username.clone(), acs.password.clone()),
        tls: secure,
        compression: match acs.compression {
            settings::Compression::Disabled => Compression::None,
            settings::Compression::Gzip => Compression::Gzip,
            settings::Compression::Deflate => Compression::Deflate,
        },
        deadline,
        user_agent: USER_AGENT.to_owned(),
        interface: acs.interface.clone(),
        force_ipv4: acs.force_ipv4,
        ..client::Settings::new(acs.url.clone())
    })
}

/// Whether HTTPS could be spoken, if the URL asks for it: the certificates are there and can be read.
///
/// # Errors
/// What is missing.
pub fn check_tls(acs: &Acs, root: &Root) -> Result<(), String> {
    http_settings(acs, root, Instant::now(), &mut Tls::default()).map(drop)
}

/// What a body means to the machine.
pub fn read(body: &[u8]) -> Input {
    match soap::read(body, &Limits::default()) {
        Ok(envelope) => Input::Reply(envelope),
        Err(ReadError::BadArguments(refusal) | ReadError::MustUnderstand(refusal)) => Input::BadRequest {
            id: refusal.header.id.clone(),
            hold_requests: refusal.header.hold_requests,
            method: refusal.method.clone(),
            fault: refusal.fault.clone(),
        },
        Err(why) => Input::Unreadable(why.to_string()),
    }
}

/// What a reply says of TCP: whether `server`, the ACS, took a connection.
fn connected(reply: &Result<Reply, HttpError>, server: Option<&str>) -> Option<bool> {
    match reply {
        // Somewhere else there is only after a redirect, which the ACS has sent.
        Err(HttpError::NameNotFound(host, _) | HttpError::Unreachable(host, _)) => {
            Some(server.is_some_and(|server| server != host))
        }
        Err(why) if why.is_unreachable() => Some(false),
        Err(
            HttpError::BadUrl(_)
            | HttpError::NoTls
            | HttpError::BadRequest(_)
            | HttpError::NoRandom(_)
            | HttpError::SessionTooLong
            | HttpError::TooSlow(_),
        ) => None,
        _ => Some(true),
    }
}

fn failure(why: &HttpError) -> HttpFailure {
    let text = why.to_string();
    match why {
        _ if why.is_unreachable() => HttpFailure::Unreachable(text),
        HttpError::Tls(..) | HttpError::NoTls | HttpError::BadUrl(_) => HttpFailure::Unreachable(text),
        HttpError::Status { status, .. } => HttpFailure::Status(*status),
        HttpError::CompressionRefused => HttpFailure::Status(415),
        HttpError::Busy { .. } => HttpFailure::Status(503),
        HttpError::NoCredentials | HttpError::Unauthorized(_) | HttpError::Rejected => {
            HttpFailure::Credentials
        }
        HttpError::TooManyRedirects | HttpError::NoLocation | HttpError::BadRedirect(_) => {
            HttpFailure::Redirect(text)
        }
        _ => HttpFailure::Lost(text),
    }
}

/// What a request was about, for the log: names, never values.
fn subject(request: &Request) -> String {
    match request {
        Request::SetParameterValues(call) => format!(" ({} parameters)", call.list.len()),
        Request::GetParameterValues(names) | Request::GetParameterAttributes(names) => {
            format!(" ({} names)", names.len())
        }
        Request::GetParameterNames(call) => format!(" ({})", call.parameter_path),
        Request::AddObject(call) | Request::DeleteObject(call) => format!(" ({})", call.object_name),
        _ => String::new(),
    }
}

/// The whole message, at DEBUG only, without what the model hides.
fn dump(direction: &str, body: &[u8], schema: &Schema) {
    if !log_enabled!(Level::Debug) {
        return;
    }
    let params = schema.objects().iter().flat_map(|object| object.params.iter());
    let hidden: Set<&str> = params.filter(|param| param.hidden).map(|param| param.name).collect();
    debug!("XML {direction} <<<<\n{}\n>>>>", redacted(body, &|name| hidden.contains(name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_the_acs_took_a_connection() {
        let check = |why: HttpError, expected: Option<bool>| {
            assert_eq!(connected(&Err(why.clone()), Some("acs:80")), expected, "{why}");
        };
        check(HttpError::Unreachable("acs:80".into(), "refused".into()), Some(false));
        check(HttpError::NameNotFound("acs:80".into(), "unknown".into()), Some(false));
        check(HttpError::TooSlow("connect".into()), Some(false));
        check(HttpError::Unreachable("where.it.sent.us:80".into(), "refused".into()), Some(true));
        check(HttpError::Tls("acs:80".into(), "expired".into()), Some(true));
        check(HttpError::Busy { retry_after: None }, Some(true));
        check(HttpError::TooSlow("global".into()), None);
        check(HttpError::NoTls, None);
        check(HttpError::SessionTooLong, None);
    }
}
