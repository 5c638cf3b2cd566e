//! rpcd's `session`: who may what, as far as others ask for it before they do something.

use std::collections::{BTreeMap, BTreeSet};

use super::reply::{Answer, array, ok, table, wanted};
use super::state::State;
use crate::lab::router::PASSWORD;
use crate::sys::rng;
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::msg::Status;

/// Its methods.
pub const METHODS: &[&str] = &[
    "create timeout:i",
    "list ubus_rpc_session:s",
    "grant ubus_rpc_session:s scope:s objects:a",
    "revoke ubus_rpc_session:s scope:s objects:a",
    "access ubus_rpc_session:s scope:s object:s function:s",
    "set ubus_rpc_session:s values:t",
    "get ubus_rpc_session:s keys:a",
    "unset ubus_rpc_session:s keys:a",
    "destroy ubus_rpc_session:s",
    "login username:s password:s timeout:i",
];
/// The session of whoever has not logged in.
const NOBODY: &str = "00000000000000000000000000000000";
/// The most sessions, and the most grants of each.
const MAX_SESSIONS: usize = 64;
const MAX_GRANTS: usize = 256;
/// How long a session lasts that does not say, in seconds.
const TIMEOUT: i32 = 300;

/// All sessions.
#[derive(Debug)]
pub struct Sessions(BTreeMap<String, Session>);

#[derive(Debug, Default)]
struct Session {
    timeout: i32,
    /// Scope, pattern of an object, function.
    grants: BTreeSet<(String, String, String)>,
    user: Option<String>,
}

impl Default for Sessions {
    fn default() -> Sessions {
        let mut nobody = Session::default();
        for function in ["access", "login"] {
            nobody.grants.insert(("ubus".to_owned(), "session".to_owned(), function.to_owned()));
        }
        Sessions(BTreeMap::from([(NOBODY.to_owned(), nobody)]))
    }
}

impl Sessions {
    /// Whether a session may use a function of an object.
    pub fn may(&self, id: &str, scope: &str, object: &str, function: &str) -> bool {
        self.0.get(id).is_some_and(|session| {
            session
                .grants
                .iter()
                .any(|(of, pattern, method)| of == scope && fits(pattern, object) && fits(method, function))
        })
    }

    /// Whether there is such a session.
    pub fn is_known(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Makes a session and gives its number.
    fn create(&mut self, timeout: i32, user: Option<String>) -> Result<String, Status> {
        if self.0.len() >= MAX_SESSIONS {
            return Err(Status::NoMemory);
        }
        let id = rng::hex(16).map_err(|_| Status::UnknownError)?;
        self.0.insert(id.clone(), Session { timeout, user, ..Session::default() });
        Ok(id)
    }

    fn shown(&self, id: &str) -> Answer {
        self.0.get(id).map(|session| Some(shown(id, session))).ok_or(Status::NotFound)
    }
}

/// Answers for `session`. A session does not run out.
///
/// # Errors
/// "Invalid argument" without what is needed, "Not found" for an unknown session, "Permission denied" for a login
/// with other words than `root` and the router's password.
pub fn session(state: &mut State, _object: &str, method: &str, arguments: &Table) -> Answer {
    let sessions = &mut state.sessions;
    let timeout =
        arguments.get("timeout").and_then(Value::as_i64).and_then(|given| i32::try_from(given).ok());
    let timeout = timeout.unwrap_or(TIMEOUT).max(0);
    match method {
        "create" => {
            let id = sessions.create(timeout, None)?;
            return sessions.shown(&id);
        }
        "login" => {
            let (user, password) = (wanted(arguments, "username")?, wanted(arguments, "password")?);
            if user != "root" || password != PASSWORD {
                return Err(Status::PermissionDenied);
            }
            let id = sessions.create(timeout, Some(user))?;
            let session = sessions.0.get_mut(&id).ok_or(Status::NotFound)?;
            for (scope, function) in [("ubus", "*"), ("uci", "read"), ("uci", "write"), ("file", "*")] {
                session.grants.insert((scope.to_owned(), "*".to_owned(), function.to_owned()));
            }
            return sessions.shown(&id);
        }
        // rpcd shows them one answer each; here it is the one that everybody has.
        "list" if arguments.get("ubus_rpc_session").is_none() => return sessions.shown(NOBODY),
        _ => {}
    }
    let id = wanted(arguments, "ubus_rpc_session")?;
    let session = sessions.0.get_mut(&id).ok_or(Status::NotFound)?;
    match method {
        "list" => ok(shown(&id, session)),
        "access" => {
            let (object, function) = (arguments.text("object"), arguments.text("function"));
            let (Some(object), Some(function)) = (object, function) else { return ok(acls(session)) };
            let scope = arguments.text("scope").unwrap_or("ubus".into());
            ok(table! { "access": sessions.may(&id, &scope, &object, &function) })
        }
        "grant" | "revoke" => {
            let scope = arguments.text("scope").unwrap_or("ubus".into()).into_owned();
            let objects =
                arguments.get("objects").and_then(Value::as_array).ok_or(Status::InvalidArgument)?;
            for pair in objects {
                let [object, function] = pair.as_array().unwrap_or_default() else { continue };
                let (Some(object), Some(function)) = (object.as_text(), function.as_text()) else { continue };
                let grant = (scope.clone(), object.to_string(), function.to_string());
                match method {
                    "revoke" => drop(session.grants.remove(&grant)),
                    _ if session.grants.len() >= MAX_GRANTS => return Err(Status::NoMemory),
                    _ => drop(session.grants.insert(grant)),
                }
            }
            Ok(None)
        }
        "destroy" if id == NOBODY => Err(Status::PermissionDenied),
        "destroy" => {
            sessions.0.remove(&id);
            Ok(None)
        }
        _ => Err(Status::NotSupported),
    }
}

fn shown(id: &str, session: &Session) -> Table {
    let data = session.user.as_deref().map(|user| table! { "username": user }).unwrap_or_default();
    table! {
        "ubus_rpc_session": id,
        "timeout": session.timeout,
        "expires": session.timeout,
        "acls": acls(session),
        "data": data,
    }
}

fn acls(session: &Session) -> Table {
    let mut scopes: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for (scope, object, function) in &session.grants {
        scopes.entry(scope).or_default().entry(object).or_default().push(function);
    }
    let scope = |objects: BTreeMap<&str, Vec<&str>>| -> Table {
        objects.into_iter().map(|(object, functions)| (object.into(), array(functions))).collect()
    };
    scopes.into_iter().map(|(name, objects)| (name.into(), Value::Table(scope(objects)))).collect()
}

/// Whether a name fits a pattern, whose stars stand for anything.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut place) = (0, 0);
    // Where to go on when what follows the last star does not fit.
    let mut star: Option<(usize, usize)> = None;
    while place < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, place));
            at += 1;
        } else if pattern.get(at) == name.get(place) {
            at += 1;
            place += 1;
        } else if let Some((last, taken)) = star {
            star = Some((last, taken + 1));
            (at, place) = (last + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|octet| *octet == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("network.*", "network.device", true),
            ("*.lan", "x.lan", true),
            ("a*c", "abd", false),
            ("a*b*c", "a-b-b-c", true),
            ("a", "ab", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
