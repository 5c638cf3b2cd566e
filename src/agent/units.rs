//! ChangeDUState: what is asked for, how far it is, and what is to be told of it (TR-069 A.4.1.10, A.3.3.4).
//!
//! ```text
//!  accept ──► next ──► worker: run::run ──► done ──► … ──► take_complete ──► DUStateChangeComplete
//!               │  state saved here: a restart finds it running
//!               └── resume: that one has failed, the others go on
//! ```
//!
//! [`Units`] is part of the agent's state file. Its results and the message made of them stand in the same
//! file, so that each operation is reported once, whenever the agent is killed. Pure but for [`run`].

pub mod ipk;
pub mod run;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backend::packages;
use crate::cwmp::rpc::Operation;
use crate::http::url::{Url, UrlError};
use crate::map::Map;
use crate::sys::age::Age;
use crate::sys::clock::Now;

/// The most operations of one call; the standard asks for 16 at least.
pub const MAX_OPERATIONS: usize = 32;
/// The most operations that wait, of all calls together.
const MAX_WAITING: usize = 64;
/// The most calls that wait or are not yet taken.
const MAX_JOBS: usize = 8;
/// The most packages that are remembered.
const MAX_KNOWN: usize = 512;
/// An operation takes no longer, in seconds.
const OPERATION: u64 = 3600;
/// A call takes no longer, in seconds.
const WHOLE: u64 = 24 * 3600;
/// The most characters of a FaultString.
const MAX_FAULT_STRING: usize = 256;
/// The only execution environment.
pub const ENVIRONMENT: &str = "Device.SoftwareModules.ExecEnv.1";

/// A fault of an operation or call: its code and what to say.
pub type Refused = (u16, String);

/// CurrentDeploymentUnitState of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CurrentState {
    /// Installed or updated.
    Installed,
    /// Removed.
    Uninstalled,
    /// Nothing has changed, or nobody knows.
    Failed,
}

impl CurrentState {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            CurrentState::Installed => "Installed",
            CurrentState::Uninstalled => "Uninstalled",
            CurrentState::Failed => "Failed",
        }
    }
}

/// OpResultStruct, with names where the message has paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpResult {
    /// UUID; as asked for when there is no such unit.
    pub uuid: String,
    /// The package: the name of its row in `DeploymentUnit`. Empty if unknown.
    pub deployment_unit_ref: String,
    /// Version, of at most 32 characters.
    pub version: String,
    /// What it has come to.
    pub current_state: CurrentState,
    /// Its dependencies are there.
    pub resolved: bool,
    /// The names of its rows in `ExecutionUnit`.
    pub execution_unit_refs: Vec<String>,
    /// When it began, in seconds since 1970; `None` for unknown.
    pub start: Option<i64>,
    /// When it ended.
    pub complete: Option<i64>,
    /// 0, or one of the codes for deployment units.
    pub fault_code: u16,
    /// At most 256 characters; empty without a fault.
    pub fault_string: String,
}

impl OpResult {
    /// The result of an operation that has not changed anything.
    pub fn failed(operation: &Operation, (code, text): Refused) -> OpResult {
        OpResult {
            uuid: if is_uuid(operation.uuid()) { operation.uuid().to_owned() } else { String::new() },
            deployment_unit_ref: String::new(),
            version: cut(operation.version(), 32),
            current_state: CurrentState::Failed,
            resolved: false,
            execution_unit_refs: Vec::new(),
            start: None,
            complete: None,
            fault_code: code,
            fault_string: cut(&text, MAX_FAULT_STRING),
        }
    }
}

/// What the ACS said of a package that was installed for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// Its UUID.
    pub uuid: String,
    /// Where it came from.
    pub url: String,
}

/// What was installed for the ACS, by package.
pub type Memory = Map<String, Known>;

/// An operation for the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What to do.
    pub operation: Operation,
    /// What [`run::run`] needs to know of packages.
    pub known: Memory,
    /// How long it may take.
    pub limit: Duration,
}

/// What a DUStateChangeComplete is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete {
    /// CommandKey of the call.
    pub command_key: String,
    /// The results in the order of the operations; an update of everything has one for each unit.
    pub results: Vec<OpResult>,
}

/// The calls that are not yet told of, and what was installed: persistent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Units {
    jobs: Vec<Call>,
    known: Memory,
}

/// One ChangeDUState.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Call {
    command_key: String,
    age: Age,
    /// The first is running if `running`.
    todo: Vec<Operation>,
    running: bool,
    /// When it was begun; `None` with an unset clock.
    since: Option<i64>,
    results: Vec<OpResult>,
}

impl Units {
    /// Takes a call. What is wrong with a single operation becomes that operation's result.
    ///
    /// # Errors
    /// 9001 without operations, 9004 when there are too many; nothing is kept then.
    pub fn accept(&mut self, command_key: &str, operations: Vec<Operation>, now: Now) -> Result<(), Refused> {
        if operations.is_empty() {
            return Err((9001, "there is no operation in the request".to_owned()));
        }
        if operations.len() > MAX_OPERATIONS {
            return Err((9004, format!("more than {MAX_OPERATIONS} operations in one request")));
        }
        let waiting: usize = self.jobs.iter().map(|call| call.todo.len()).sum();
        if self.jobs.len() >= MAX_JOBS || waiting + operations.len() > MAX_WAITING {
            return Err((9004, "too many operations wait already".to_owned()));
        }
        self.jobs.push(Call {
            command_key: command_key.to_owned(),
            age: Age::start(now),
            todo: operations.into_iter().map(Operation::bounded).collect(),
            ..Call::default()
        });
        Ok(())
    }

    /// Whether there is something to do or to tell.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether an operation waits for [`Units::next`].
    pub fn has_work(&self) -> bool {
        self.jobs.iter().any(|call| !call.todo.is_empty()) && self.jobs.iter().all(|call| !call.running)
    }

    /// The next operation, to be given to a worker once the state is saved; none while one is running.
    /// `uuids`: those of the deployment units that are installed (see [`run::uuids`]), for an update of all.
    pub fn next(&mut self, now: Now, uuids: impl FnOnce() -> Vec<String>) -> Option<Task> {
        if self.jobs.iter().any(|call| call.running) {
            return None;
        }
        let mut uuids = Some(uuids);
        for call in &mut self.jobs {
            call.age.look(now);
            let age = call.age.seconds(now);
            while let Some(first) = call.todo.first() {
                let refused = match first {
                    _ if age >= WHOLE => Some((9001, "it was not done within 24 hours".to_owned())),
                    operation => operation.check().err(),
                };
                if let Some(refused) = refused {
                    call.finish(OpResult {
                        start: now.wall,
                        complete: now.wall,
                        ..OpResult::failed(first, refused)
                    });
                    continue;
                }
                if first.is_about_all() {
                    let each = first.each(uuids.take().map(|uuids| uuids()).unwrap_or_default());
                    if each.is_empty() {
                        let nothing = (9028, "no deployment unit is installed".to_owned());
                        let failed = OpResult::failed(first, nothing);
                        call.finish(OpResult { start: now.wall, complete: now.wall, ..failed });
                    } else {
                        call.todo.splice(..1, each);
                    }
                    continue;
                }
                call.running = true;
                call.since = now.wall;
                let limit = Duration::from_secs(OPERATION.min(WHOLE - age));
                return Some(Task { operation: first.clone(), known: self.known.clone(), limit });
            }
        }
        None
    }

    /// The worker's result of the operation that [`Units::next`] gave. Without one running it is dropped.
    pub fn done(&mut self, mut result: OpResult) {
        let Some(call) = self.jobs.iter_mut().find(|call| call.running) else { return };
        let url = call.todo.first().map(Operation::url).unwrap_or_default().to_owned();
        result.start = result.start.or(call.since);
        result.fault_string = cut(&result.fault_string, MAX_FAULT_STRING);
        let name = &result.deployment_unit_ref;
        match result.current_state {
            CurrentState::Installed if packages::is_name(name) => {
                let known = self.known.or_default(name.clone());
                known.uuid.clone_from(&result.uuid);
                if !url.is_empty() {
                    known.url = url;
                }
                // What is known of a package that was removed by hand is of no use any more.
                while self.known.len() > MAX_KNOWN {
                    self.known.pop_first();
                }
            }
            CurrentState::Uninstalled => {
                self.known.remove(name);
            }
            _ => {}
        }
        call.finish(result);
    }

    /// The worker is gone without a result, or the agent was restarted: what was running has failed.
    /// To be called first after the state was read; bounds what it holds.
    pub fn resume(&mut self, now: Now) {
        self.jobs.retain(|call| !(call.todo.is_empty() && call.results.is_empty()));
        self.jobs.truncate(MAX_JOBS);
        self.known.retain(|name, known| packages::is_name(name) && is_uuid(&known.uuid));
        while self.known.len() > MAX_KNOWN {
            self.known.pop_first();
        }
        for call in &mut self.jobs {
            call.todo.truncate(MAX_KNOWN + MAX_OPERATIONS);
            call.age.look(now);
            if let Some(first) = call.todo.first().filter(|_| call.running) {
                let text = "the agent ended during the operation; its outcome is not known".to_owned();
                let failed = OpResult { start: call.since, ..OpResult::failed(first, (9001, text)) };
                call.finish(failed);
            }
            call.running = false;
        }
    }

    /// The oldest call that is over, once. To be put into the queue of messages before the state is saved.
    pub fn take_complete(&mut self) -> Option<Complete> {
        let at = self.jobs.iter().position(|call| call.todo.is_empty())?;
        let call = self.jobs.remove(at);
        Some(Complete { command_key: call.command_key, results: call.results })
    }

    /// What was installed for the ACS: for `System::tell` as `du.uuid.NAME` and `du.url.NAME`.
    pub fn known(&self) -> &Memory {
        &self.known
    }

    /// The names and values to `System::tell`; those of packages in `before` that are no longer known become empty.
    pub fn told(&self, before: &Memory) -> Vec<(String, String)> {
        let gone = before.keys().filter(|name| !self.known.contains_key(*name));
        let gone = gone.map(|name| (name, Known::default()));
        let here = self.known.iter().map(|(name, known)| (name, known.clone()));
        let pair = |(name, known): (&String, Known)| {
            [(format!("du.uuid.{name}"), known.uuid), (format!("du.url.{name}"), known.url)]
        };
        gone.chain(here).flat_map(pair).collect()
    }
}

impl Call {
    /// The first operation is over.
    fn finish(&mut self, result: OpResult) {
        if !self.todo.is_empty() {
            self.todo.remove(0);
        }
        self.running = false;
        self.since = None;
        self.results.push(result);
    }
}

impl Operation {
    /// UUID.
    pub fn uuid(&self) -> &str {
        match self {
            Operation::Install { uuid, .. }
            | Operation::Update { uuid, .. }
            | Operation::Uninstall { uuid, .. } => uuid,
        }
    }

    /// Version of the unit that is meant; an installation has none.
    pub fn version(&self) -> &str {
        match self {
            Operation::Install { .. } => "",
            Operation::Update { version, .. } | Operation::Uninstall { version, .. } => version,
        }
    }

    /// URL; a removal has none.
    pub fn url(&self) -> &str {
        match self {
            Operation::Install { url, .. } | Operation::Update { url, .. } => url,
            Operation::Uninstall { .. } => "",
        }
    }

    fn is_about_all(&self) -> bool {
        matches!(self, Operation::Update { uuid, url, .. } if uuid.is_empty() && url.is_empty())
    }

    /// What can be said without looking at the system.
    ///
    /// # Errors
    /// 9003 for arguments that make no sense, 9013 for a URL's protocol, 9022 for a UUID, 9023 for an
    /// execution environment.
    pub fn check(&self) -> Result<(), Refused> {
        let (username, password, environment) = match self {
            Operation::Install { username, password, execution_env_ref, .. } => {
                (username.as_str(), password.as_str(), execution_env_ref.as_str())
            }
            Operation::Update { username, password, .. } => (username.as_str(), password.as_str(), ""),
            Operation::Uninstall { execution_env_ref, .. } => ("", "", execution_env_ref.as_str()),
        };
        for (name, value, most) in [
            ("URL", self.url(), 1024),
            ("Username", username, 256),
            ("Password", password, 256),
            ("Version", self.version(), 32),
            ("ExecutionEnvRef", environment, 256),
        ] {
            if value.chars().count() > most {
                return Err((9003, format!("{name} is longer than {most} characters")));
            }
        }
        let uuid = self.uuid();
        if !(is_uuid(uuid) || uuid.is_empty() && !matches!(self, Operation::Uninstall { .. })) {
            return Err((9022, "the UUID is not of the form of RFC 4122".to_owned()));
        }
        if !is_environment(environment) {
            return Err((9023, format!("there is no execution environment but {ENVIRONMENT}")));
        }
        match self {
            Operation::Install { url, .. } if url.is_empty() => Err((9003, "the URL is empty".to_owned())),
            Operation::Update { version, .. } if self.is_about_all() && !version.is_empty() => {
                Err((9003, "a version makes no sense for an update of everything".to_owned()))
            }
            _ if self.url().is_empty() => Ok(()),
            _ => check_url(self.url()),
        }
    }

    /// An update of everything as updates of each.
    fn each(&self, uuids: Vec<String>) -> Vec<Operation> {
        let Operation::Update { username, password, .. } = self else { return Vec::new() };
        let one = |uuid: String| Operation::Update {
            uuid,
            version: String::new(),
            url: String::new(),
            username: username.clone(),
            password: password.clone(),
        };
        uuids.into_iter().take(MAX_KNOWN).map(one).collect()
    }

    /// Arguments that are too long stay too long, and take no space.
    fn bounded(mut self) -> Operation {
        let texts: Vec<&mut String> = match &mut self {
            Operation::Install { url, uuid, username, password, execution_env_ref } => {
                vec![url, uuid, username, password.text_mut(), execution_env_ref]
            }
            Operation::Update { uuid, version, url, username, password } => {
                vec![uuid, version, url, username, password.text_mut()]
            }
            Operation::Uninstall { uuid, version, execution_env_ref } => {
                vec![uuid, version, execution_env_ref]
            }
        };
        for text in texts {
            *text = cut(text, 1025);
        }
        self
    }
}

/// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, of any version.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The only one, or none given; with or without the final dot, and as the standard's example has it.
fn is_environment(text: &str) -> bool {
    let bare = text.strip_suffix('.').unwrap_or(text);
    text.is_empty() || bare == ENVIRONMENT || ENVIRONMENT.strip_prefix("Device") == Some(bare)
}

fn check_url(text: &str) -> Result<(), Refused> {
    match Url::parse(text) {
        Ok(url) if url.tls && !cfg!(feature = "tls") => {
            Err((9013, "the protocol of the URL is not supported".to_owned()))
        }
        Ok(_) => Ok(()),
        Err(UrlError::Scheme) => Err((9013, "the protocol of the URL is not supported".to_owned())),
        Err(UrlError::Credentials) => Err((9003, "the URL holds a user name or password".to_owned())),
        Err(why) => Err((9003, why.to_string())),
    }
}

/// At most that many characters.
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests;
