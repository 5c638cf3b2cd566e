//! The control of the mini-ACS: JSON over HTTP on loopback, for whoever has the token.
//!
//! ```text
//! socket ─► front ─► Control: token, route ─► a handler of `devices`, `tasks`, `services` or `keep` ─► office, store
//! ```
//! `openapi.json` describes it, and a test holds the running server against it. Errors are `{"error": "…"}`.

mod devices;
mod keep;
mod lua;
mod request;
mod services;
mod tasks;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use crate::http::auth::same;
use crate::http::serve::{Limits, Request};
use crate::lab::acs::office::Office;
use crate::lab::acs::profiles::Profiles;
use crate::lab::acs::scripts::Scripts;
use crate::lab::front::{Entrance, Front, Peer, Reply, Service};
use crate::lab::lua::host::Refusal;
use crate::lab::store::{Error, MAX_FILE};

/// The description of what is here, in OpenAPI's terms.
pub const DESCRIPTION: &str = include_str!("openapi.json");
/// Where everything is.
const ROOT: &str = "/v1/";
/// What a request may hold; files have a limit of their own.
const LIMITS: Limits = Limits { head: 16 * 1024, body: 4 * 1024 * 1024 };
/// The shortest token.
const MIN_TOKEN: usize = 16;

/// What answers a call.
type Handler = fn(&Call<'_>) -> Result<Reply, Failure>;

/// The routes: method, path below `/v1/` with its arguments in braces, and what answers.
const ROUTES: &[(&str, &str, Handler)] = &[
    ("GET", "openapi.json", keep::description),
    ("GET", "devices", devices::list),
    ("POST", "devices", devices::add),
    ("GET", "devices/{serial}", devices::show),
    ("DELETE", "devices/{serial}", devices::delete),
    ("PUT", "devices/{serial}/connection-request", devices::set_connection_request),
    ("POST", "devices/{serial}/connection-request", devices::knock),
    ("GET", "devices/{serial}/parameters", devices::parameters),
    ("GET", "devices/{serial}/queue", devices::queue),
    ("GET", "devices/{serial}/history", devices::history),
    ("GET", "devices/{serial}/tasks", tasks::list),
    ("POST", "devices/{serial}/tasks", tasks::add),
    ("GET", "tasks/{id}", tasks::show),
    ("DELETE", "tasks/{id}", tasks::withdraw),
    ("GET", "services", services::list),
    ("POST", "services", services::put),
    ("GET", "services/{id}", services::show),
    ("DELETE", "services/{id}", services::delete),
    ("GET", "instances", services::instances),
    ("POST", "instances", services::attach),
    ("GET", "instances/{id}", services::instance),
    ("DELETE", "instances/{id}", services::detach),
    ("POST", "instances/{id}/run", services::run),
    ("GET", "instances/{id}/log", services::log),
    ("GET", "credentials", keep::credentials),
    ("PUT", "credentials/{username}", keep::put_credential),
    ("DELETE", "credentials/{username}", keep::delete_credential),
    ("GET", "files", keep::files),
    ("GET", "files/{name}", keep::file),
    ("PUT", "files/{name}", keep::put_file),
    ("DELETE", "files/{name}", keep::delete_file),
    ("GET", "trace", keep::trace),
    ("GET", "scripts", lua::scripts),
    ("GET", "scripts/{name}", lua::show_script),
    ("PUT", "scripts/{name}", lua::put_script),
    ("DELETE", "scripts/{name}", lua::delete_script),
    ("POST", "scripts/{name}/start", lua::start_script),
    ("POST", "scripts/{name}/stop", lua::stop_script),
    ("GET", "scripts/{name}/log", lua::script_log),
    ("GET", "profiles", lua::profiles),
    ("GET", "profiles/{name}", lua::show_profile),
    ("PUT", "profiles/{name}", lua::put_profile),
    ("DELETE", "profiles/{name}", lua::delete_profile),
    ("POST", "profiles/{name}/hooks/{hook}", lua::hook),
    ("POST", "profiles/{name}/jobs", lua::job),
];

/// The running control; dropping it ends it.
pub struct Control {
    front: Front,
}

/// What is controlled.
pub struct Parts {
    /// Devices, queues, store.
    pub office: Arc<Office>,
    /// The running scripts.
    pub scripts: Arc<Scripts>,
    /// The profiles.
    pub profiles: Arc<Profiles>,
    /// Where devices reach the ACS, with a slash at its end, for file transfers.
    pub acs: String,
}

struct Desk {
    parts: Parts,
    token: String,
}

/// A call that has its route.
struct Call<'a> {
    parts: &'a Parts,
    office: &'a Arc<Office>,
    acs: &'a str,
    arguments: Vec<String>,
    query: Vec<(String, String)>,
    body: &'a [u8],
}

/// Why a call had no success: the status and the words.
struct Failure(u16, String);

impl Control {
    /// Listens at a loopback address.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] for any other address, [`ErrorKind::InvalidInput`] for a token of less than
    /// sixteen characters; the system's.
    pub fn start(parts: Parts, listen: SocketAddr, token: String) -> io::Result<Control> {
        if !listen.ip().is_loopback() {
            let why = format!("{listen} is not a loopback address, and the control listens on no other");
            return Err(io::Error::new(ErrorKind::PermissionDenied, why));
        }
        if token.len() < MIN_TOKEN {
            let why = format!("the token has less than {MIN_TOKEN} characters");
            return Err(io::Error::new(ErrorKind::InvalidInput, why));
        }
        let rule = |request: &Request| {
            let is_file = request.method == "PUT" && request.path().starts_with("/v1/files/");
            is_file.then_some(MAX_FILE)
        };
        let entrance = Entrance { listen, identity: None, limits: LIMITS, rule };
        let front = Front::start(entrance, Arc::new(Desk { parts, token }))?;
        Ok(Control { front })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.front.url()
    }

    /// Methods and paths, as in [`DESCRIPTION`].
    pub fn routes() -> impl Iterator<Item = (&'static str, String)> {
        ROUTES.iter().map(|(method, path, _)| (*method, format!("{ROOT}{path}")))
    }
}

impl Service for Desk {
    type Own = ();

    fn reply(&self, request: &Request, _own: &mut (), _peer: &Peer) -> Reply {
        self.answer(request).unwrap_or_else(|Failure(status, why)| {
            let reply = object(status, &json!({ "error": why }));
            if status == 401 {
                reply.with("WWW-Authenticate", "Bearer realm=\"rcwmp control\"")
            } else {
                reply
            }
        })
    }

    fn refused(&self, _peer: &Peer, _why: &str) {}
}

impl Desk {
    fn answer(&self, request: &Request) -> Result<Reply, Failure> {
        let given = request.header("authorization").unwrap_or_default();
        let (scheme, token) = given.split_once(' ').unwrap_or_default();
        let is_it =
            scheme.eq_ignore_ascii_case("bearer") && same(token.trim().as_bytes(), self.token.as_bytes());
        if !is_it {
            return Err(Failure(401, "the token is wrong or missing".to_owned()));
        }
        let (path, query) = request.path().split_once('?').unwrap_or((request.path(), ""));
        let path = path.strip_prefix(ROOT).ok_or_else(|| Failure(404, format!("there is no {path}")))?;
        let mut allowed = Vec::new();
        for (method, pattern, handler) in ROUTES {
            let Some(arguments) = arguments(pattern, path) else { continue };
            if *method != request.method {
                allowed.push(*method);
                continue;
            }
            let arguments: Option<Vec<String>> = arguments.into_iter().map(decoded).collect();
            let arguments = arguments.ok_or_else(|| Failure(400, "the path is not UTF-8".to_owned()))?;
            let pairs = query.split('&').filter(|pair| !pair.is_empty());
            let pairs: Option<Vec<(String, String)>> = pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    Some((decoded(name)?, decoded(value)?))
                })
                .collect();
            let query = pairs.ok_or_else(|| Failure(400, "the query is not UTF-8".to_owned()))?;
            let (parts, body) = (&self.parts, request.body.as_slice());
            let (office, acs) = (&parts.office, parts.acs.as_str());
            return handler(&Call { parts, office, acs, arguments, query, body });
        }
        match allowed.as_slice() {
            [] => Err(Failure(404, format!("there is no {ROOT}{path}"))),
            allowed => Err(Failure(405, format!("{ROOT}{path} has {}", allowed.join(", ")))),
        }
    }
}

impl Call<'_> {
    /// The only argument of the path, or the first one.
    fn argument(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }

    /// The argument as a number.
    fn id(&self) -> Result<i64, Failure> {
        let id = self.argument();
        id.parse().map_err(|_| Failure(400, format!("{id:?} is no id")))
    }

    /// A value of the query; empty if it is not there.
    fn asked(&self, name: &str) -> &str {
        self.query.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    /// A number of the query.
    fn number(&self, name: &str, most: u32) -> Result<u32, Failure> {
        match self.asked(name) {
            "" => Ok(0),
            text => match text.parse() {
                Ok(number) if number <= most => Ok(number),
                _ => Err(Failure(400, format!("{name} is no number from 0 to {most}"))),
            },
        }
    }

    /// The body, which has no member that is not known.
    fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(self.body).map_err(|error| Failure(400, format!("the body: {error}")))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = if matches!(error, Error::Refused(_)) { 400 } else { 500 };
        Failure(status, error.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure(refusal.code.parse().unwrap_or(500), refusal.message)
    }
}

/// A reply in JSON.
fn object(status: u16, value: &Json) -> Reply {
    let body = value.to_string().into_bytes();
    Reply { status, headers: Vec::new(), body }.with("Content-Type", "application/json")
}

/// What is not there.
fn missing(what: &str) -> Failure {
    Failure(404, format!("there is no such {what}"))
}

/// 204 if it was there.
fn gone(was_there: bool, what: &str) -> Result<Reply, Failure> {
    if was_there { Ok(Reply::empty(204)) } else { Err(missing(what)) }
}

/// The arguments of a path that fits a pattern.
fn arguments<'p>(pattern: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    let mut found = Vec::new();
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return Some(found),
            (Some(pattern), Some(part)) if pattern.starts_with('{') && !part.is_empty() => found.push(part),
            (Some(pattern), Some(part)) if pattern == part => {}
            _ => return None,
        }
    }
}

/// Percent-decoded text; `None` if it is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (high, low) = (char::from(bytes.next()?).to_digit(16)?, char::from(bytes.next()?).to_digit(16)?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(arguments("devices/{serial}", "devices/a%2Fb"), Some(vec!["a%2Fb"]));
        assert_eq!(arguments("devices", "devices"), Some(vec![]));
        for path in ["devices/", "devices/a/b", "devices", "x/a", ""] {
            assert_eq!(arguments("devices/{serial}", path), None, "{path}");
        }
        assert_eq!(decoded("a%2Fb%C3%A4").as_deref(), Some("a/bä"));
        for bad in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
