//! The daemon's deployment units: one operation of ChangeDUState after the other, by a worker, told once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{error, info, warn};

use super::{Daemon, both_clocks};
use crate::agent::exchange;
use crate::agent::job::{Job, Outcome};
use crate::agent::units::{self, Memory, OpResult, Task};
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::queue::Message;
use crate::cwmp::rpc::{DuStateChangeComplete, OperationResult, UNKNOWN_TIME};
use crate::http::auth::Credentials;
use crate::model::date;
use crate::model::value::Value;
use crate::transfer::{self, Direction, Limits, Transfer};

const UNITS: &str = "Device.SoftwareModules.DeploymentUnit.";
const SERVICES: &str = "Device.SoftwareModules.ExecutionUnit.";

/// The operation that is on its way.
#[derive(Default)]
pub(super) struct Units {
    running: Option<Job<OpResult>>,
    /// The paths of packages before an operation, by name: one that is removed has none after it.
    paths: HashMap<String, String>,
}

impl Daemon {
    /// What an earlier life has left, and what the model shows of it.
    pub(super) fn resume_units(&mut self) {
        let now = both_clocks(&self.clock);
        self.file.state.units.resume(now);
        self.tell_units(&Memory::new());
        self.tell_changed_units();
    }

    /// Ends and starts operations, between sessions.
    pub(super) fn run_units(&mut self) {
        // During a session the model looks frozen (TR-069 3.7.1.3).
        if self.exchange.is_some() || self.is_leaving() {
            return;
        }
        if let Some(job) = self.units.running.take() {
            let before = self.file.state.units.known().clone();
            match job.outcome() {
                Outcome::Running => {
                    self.units.running = Some(job);
                    return;
                }
                Outcome::Done(result) => {
                    self.model.refresh();
                    info!("package {} is {}", result.deployment_unit_ref, result.current_state.name());
                    self.file.state.units.done(result);
                    self.packages_are_known();
                }
                Outcome::Lost => self.file.state.units.resume(both_clocks(&self.clock)),
            }
            self.tell_units(&before);
            self.tell_changed_units();
        }
        if self.file.state.units.is_empty() {
            return;
        }
        let now = both_clocks(&self.clock);
        let root = self.options.root.clone();
        let known = self.file.state.units.known().clone();
        let next = self.file.state.units.next(now, || units::run::uuids(&root, &known));
        self.save();
        let Some(task) = next else { return self.tell_changed_units() };
        match self.start_unit(task) {
            Ok(job) => self.units.running = Some(job),
            Err(why) => {
                warn!("ChangeDUState: {why}");
                self.file.state.units.resume(now);
                self.tell_changed_units();
            }
        }
    }

    /// By when an operation that waits is to be started.
    pub(super) fn unit_deadline(&self, now: Duration) -> Option<Duration> {
        let waits = self.exchange.is_none() && self.units.running.is_none() && !self.is_leaving();
        (waits && self.file.state.units.has_work()).then_some(now)
    }

    fn start_unit(&mut self, task: Task) -> Result<Job<OpResult>, String> {
        self.units.paths = self.paths_of(UNITS).into_iter().collect();
        // A package's URL may be known to the worker only.
        let tls = exchange::secure("https:", &self.settings.acs, &self.options.root, &mut self.tls);
        let tls = tls.unwrap_or_else(|why| {
            warn!("packages over HTTPS cannot be fetched: {why}");
            None
        });
        let usual = exchange::transfer(&self.settings.acs, tls);
        let root = self.options.root.clone();
        let started = Job::start("units", Arc::clone(&self.wake), move |cancel| {
            let deadline = Instant::now() + task.limit;
            let fetch = |url: &str, username: &str, password: &str, into: &Path| {
                let transfer = Transfer {
                    direction: Direction::Download { into: into.to_owned() },
                    url: url.to_owned(),
                    credentials: Credentials::new(username.to_owned(), password.to_owned()),
                    ..usual.clone()
                };
                let run = transfer::run(&transfer, &Limits::default(), cancel, deadline);
                run.map(drop).map_err(|failure| (failure.code, failure.text()))
            };
            units::run::run(&task.operation, &root, &task.known, &fetch, cancel, deadline)
        });
        started.map_err(|why| why.to_string())
    }

    /// Row names as the paths that they have in the model; a unit that is gone has none any more.
    fn with_paths(&mut self, mut result: OpResult) -> OpResult {
        result.deployment_unit_ref = self.path_of(UNITS, &result.deployment_unit_ref);
        result.execution_unit_refs =
            result.execution_unit_refs.iter().map(|name| self.path_of(SERVICES, name)).collect();
        result.execution_unit_refs.retain(|path| !path.is_empty());
        result
    }

    fn path_of(&mut self, table: &str, name: &str) -> String {
        let now = self.paths_of(table).into_iter().find(|(known, _)| known == name).map(|(_, path)| path);
        now.or_else(|| self.units.paths.get(name).cloned()).unwrap_or_default()
    }

    /// Names and paths of a table's rows.
    fn paths_of(&mut self, table: &str) -> Vec<(String, String)> {
        let list = self.model.values([table]).unwrap_or_default();
        let row = |(path, value): (String, Value)| Some((value.text, path.strip_suffix(".Name")?.to_owned()));
        list.into_iter().filter_map(row).collect()
    }

    /// What the model shows of what the ACS has installed.
    fn tell_units(&mut self, before: &Memory) {
        for (name, text) in self.file.state.units.told(before) {
            self.model.backend().tell(&name, text);
        }
    }

    /// Puts DUStateChangeComplete into the queue for each call that is done; one save for both.
    fn tell_changed_units(&mut self) {
        // What finds no room is told when some of the others have been delivered.
        while self.file.state.queue.has_room()
            && let Some(complete) = self.file.state.units.take_complete()
        {
            let time = |epoch: Option<i64>| epoch.map_or_else(|| UNKNOWN_TIME.to_owned(), date::format_utc);
            let one = |result: OpResult| OperationResult {
                uuid: result.uuid,
                deployment_unit_ref: result.deployment_unit_ref,
                version: result.version,
                current_state: result.current_state.name().to_owned(),
                resolved: result.resolved,
                execution_unit_ref_list: result.execution_unit_refs.join(","),
                start_time: time(result.start),
                complete_time: time(result.complete),
                fault_code: result.fault_code,
                fault_string: result.fault_string,
            };
            let results = complete.results.into_iter().map(|result| one(self.with_paths(result))).collect();
            let cause = Event {
                code: EventCode::Method("ChangeDUState".to_owned()),
                command_key: complete.command_key.clone(),
            };
            let message = Message::DuStateChangeComplete(DuStateChangeComplete {
                results,
                command_key: complete.command_key,
            });
            if let Err(why) = self.file.state.queue.add_message(message, Some(cause)) {
                error!("a DUStateChangeComplete was refused: {why}");
            }
        }
        self.save();
    }
}
