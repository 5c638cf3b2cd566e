//! Runs services: which instances wait, whose messages are unanswered, and the scripts' side of the office.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::lab::lua::host::{Answer, Fence, Host, Method, Refusal, Stop};
use crate::lab::lua::service::{self, Outcome};
use crate::lab::store::{Instance, Status};

use super::news::News;
use super::office::{Desk, Office, Order};

/// The instances that run or are about to.
#[derive(Default)]
pub struct Board {
    /// Devices that a thread works for.
    lanes: HashMap<String, Lane>,
    running: HashMap<i64, Progress>,
    last_run: u32,
}

/// What a device's thread has before it.
#[derive(Default)]
struct Lane {
    current: Option<i64>,
    waiting: VecDeque<i64>,
}

/// One run of an instance; an instance has another after every BOOTSTRAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    instance: i64,
    number: u32,
}

/// How far a run is.
struct Progress {
    number: u32,
    device: String,
    name: String,
    started: Instant,
    /// Ends its script.
    stop: Stop,
    /// Messages that have no answer yet.
    open: u32,
    refusals: Vec<String>,
    script: Option<Outcome>,
}

impl Board {
    /// Whether a run goes on; what belongs to none may always be done.
    pub(super) fn goes_on(&self, run: Option<Run>) -> bool {
        run.is_none_or(|run| self.running.get(&run.instance).is_some_and(|at| at.number == run.number))
    }

    /// A script queued a message.
    pub(super) fn sent(&mut self, run: Option<Run>) {
        if let Some(progress) = run.and_then(|run| self.of(run)) {
            progress.open += 1;
        }
    }

    /// Ends the scripts of all runs.
    pub(super) fn stop_all(&self) {
        self.running.values().for_each(|progress| progress.stop.stop());
    }

    fn of(&mut self, run: Run) -> Option<&mut Progress> {
        self.running.get_mut(&run.instance).filter(|progress| progress.number == run.number)
    }
}

/// Starts every service of the device that is due: the documents want them applied at the first contact and after every
/// factory reset, and BOOTSTRAP is both. With `anew`, which says that the device has just told of one, a run that still
/// goes on is over first: the device has forgotten what it did, and must not get the rest. What a BOOTSTRAP has made
/// due stays so over an end of the mini-ACS.
pub(super) fn start(office: &Arc<Office>, device: &str, anew: bool) {
    if anew {
        let mut desk = office.desk();
        if let Some(lane) = desk.services.lanes.get_mut(device) {
            *lane = Lane::default();
        }
        let theirs = desk.services.running.iter().filter(|(_, progress)| progress.device == device);
        let theirs: Vec<i64> = theirs.map(|(id, _)| *id).collect();
        for instance in theirs {
            end(&mut desk, instance);
        }
    }
    let instances = match office.store.instances(device) {
        Ok(instances) => instances,
        Err(error) => return office.trouble(&error),
    };
    let waiting = instances.into_iter().filter(|one| anew || one.due && one.status != Status::Running);
    let waiting: Vec<i64> = waiting.map(|one| one.id).collect();
    if waiting.is_empty() {
        return;
    }
    let mut desk = office.desk();
    let idle = !desk.services.lanes.contains_key(device);
    let lane = desk.services.lanes.entry(device.to_owned()).or_default();
    for id in waiting {
        if lane.current != Some(id) && !lane.waiting.contains(&id) {
            lane.waiting.push_back(id);
        }
    }
    if idle && lane.waiting.is_empty() {
        desk.services.lanes.remove(device);
        return;
    }
    office.set_busy(&mut desk, device, true);
    drop(desk);
    if idle {
        let (office, device) = (Arc::clone(office), device.to_owned());
        thread::spawn(move || run_all(&office, &device));
    }
}

/// Takes a run off the board: its script is stopped, and its messages that wait are gone.
fn end(desk: &mut Desk, instance: i64) -> Option<Progress> {
    let progress = desk.services.running.remove(&instance)?;
    progress.stop.stop();
    desk.drop_run(Run { instance, number: progress.number });
    Some(progress)
}

/// Fails the runs that go on for longer than the settings allow: a device that does not come back must not leave its
/// services running for ever.
pub(super) fn expire(office: &Office) {
    let limit = office.settings.service_age;
    let mut desk = office.desk();
    let old = desk.services.running.iter().filter(|(_, progress)| progress.started.elapsed() > limit);
    let old: Vec<i64> = old.map(|(id, _)| *id).collect();
    let mut ended = Vec::new();
    for instance in old {
        let Some(progress) = end(&mut desk, instance) else { continue };
        let mut reasons = progress.refusals;
        reasons.push(format!(
            "the device has not answered all of its messages within {} s: {} have no answer",
            limit.as_secs_f32(),
            progress.open
        ));
        let reason = reasons.join("; ");
        if let Err(error) = office.store.set_status(instance, Status::Failed, &reason) {
            office.trouble(&error);
        }
        ended.push((instance, progress.name, reason));
    }
    drop(desk);
    for (instance, name, reason) in ended {
        log(office, instance, &reason);
        let status = Status::Failed;
        office.watcher.news(&News::Service { instance, name: &name, status, reason: &reason });
    }
}

impl Office {
    /// Runs an instance now, for people: its device is asked for a session. False if it runs already.
    ///
    /// # Errors
    /// The store's.
    pub fn run_service(self: &Arc<Office>, instance: &Instance) -> Result<bool, crate::lab::store::Error> {
        if !self.store.make_due(instance.id)? {
            return Ok(false);
        }
        start(self, &instance.device_id, false);
        Ok(true)
    }
}

/// A message of a run has its answer; `refused` fails the instance.
pub(super) fn answered(office: &Office, run: Run, refused: Option<String>) {
    let mut desk = office.desk();
    let Some(progress) = desk.services.of(run) else { return };
    progress.open = progress.open.saturating_sub(1);
    let line = refused.clone();
    progress.refusals.extend(refused);
    drop(desk);
    if let Some(line) = line {
        log(office, run.instance, &line);
    }
    settle(office, run);
}

/// Runs the due instances of a device one after another.
fn run_all(office: &Arc<Office>, device: &str) {
    loop {
        let mut desk = office.desk();
        let Some(lane) = desk.services.lanes.get_mut(device) else { return };
        lane.current = lane.waiting.pop_front();
        let Some(id) = lane.current else {
            // Under the same lock, so that a BOOTSTRAP that comes now starts a new thread.
            desk.services.lanes.remove(device);
            office.set_busy(&mut desk, device, false);
            return;
        };
        drop(desk);
        match office.store.instance(id) {
            Ok(Some(instance)) => run(office, &instance),
            Ok(None) => {}
            Err(error) => office.trouble(&error),
        }
    }
}

fn run(office: &Arc<Office>, instance: &Instance) {
    let definition = match office.store.definition(instance.service_id) {
        Ok(Some(definition)) => definition,
        Ok(None) => return,
        Err(error) => return office.trouble(&error),
    };
    let (id, name, stop) = (instance.id, definition.name, Stop::new());
    let mut desk = office.desk();
    let lane = desk.services.lanes.get(&instance.device_id);
    if lane.and_then(|lane| lane.current) != Some(id) {
        // A BOOTSTRAP came meanwhile: it waits again.
        return;
    }
    if office.stop.is_stopped() {
        stop.stop();
    }
    desk.services.last_run = desk.services.last_run.wrapping_add(1);
    let run = Run { instance: id, number: desk.services.last_run };
    let progress = Progress {
        number: run.number,
        device: instance.device_id.clone(),
        name: name.clone(),
        started: Instant::now(),
        stop: stop.clone(),
        open: 0,
        refusals: Vec::new(),
        script: None,
    };
    desk.services.running.insert(id, progress);
    // With the desk, so that nothing of an earlier run comes after it.
    if let Err(error) = office.store.set_status(id, Status::Running, "") {
        office.trouble(&error);
    }
    drop(desk);
    office.watcher.news(&News::Service { instance: id, name: &name, status: Status::Running, reason: "" });
    let host: Arc<dyn Host> = Arc::new(Script { office: Arc::clone(office), run });
    let outcome = service::run(
        &definition.script,
        &instance.device_id,
        &instance.variables,
        &host,
        office.settings.limits,
        &stop,
    );
    let why = match &outcome {
        Outcome::Failed(why) => Some(why.clone()),
        Outcome::Provisioned => None,
    };
    let mut desk = office.desk();
    let Some(progress) = desk.services.of(run) else { return };
    progress.script = Some(outcome);
    drop(desk);
    if let Some(why) = why {
        log(office, id, &why);
    }
    settle(office, run);
}

/// Gives an instance its final status once nothing of its run is open any more, or its script was ended by an error
/// or a limit: what it has sent still goes to the device. One that said nothing of how it went is told by the answers.
fn settle(office: &Office, run: Run) {
    let mut desk = office.desk();
    let done = |progress: &&mut Progress| match &progress.script {
        Some(Outcome::Failed(why)) if why != service::UNSET => true,
        Some(_) => progress.open == 0,
        None => false,
    };
    if desk.services.of(run).filter(done).is_none() {
        return;
    }
    let Some(progress) = desk.services.running.remove(&run.instance) else { return };
    let mut reasons = progress.refusals;
    if let Some(Outcome::Failed(why)) = progress.script {
        reasons.insert(0, why);
    }
    let (instance, reason) = (run.instance, reasons.join("; "));
    let status = if reasons.is_empty() { Status::Provisioned } else { Status::Failed };
    if let Err(error) = office.store.set_status(instance, status, &reason) {
        office.trouble(&error);
    }
    drop(desk);
    office.watcher.news(&News::Service { instance, name: &progress.name, status, reason: &reason });
}

fn log(office: &Office, instance: i64, line: &str) {
    if let Err(error) = office.store.log(instance, line) {
        office.trouble(&error);
    }
}

/// What the script of an instance may ask.
struct Script {
    office: Arc<Office>,
    run: Run,
}

impl Host for Script {
    fn print(&self, line: &str) {
        self.office.watcher.news(&News::Printed { instance: self.run.instance, line });
        log(&self.office, self.run.instance, line);
    }

    fn enqueue(&self, device: &str, message: &str) -> Result<(), Refusal> {
        let payload = self.office.payload(device, message)?;
        let order = Order { run: Some(self.run), ..Order::new(device, payload) };
        self.office.enqueue(order).map(drop)
    }

    fn call(&self, device: &str, message: &str, method: Method, until: &Fence) -> Result<Answer, Refusal> {
        let payload = self.office.payload(device, message)?;
        let order = Order { run: Some(self.run), ..Order::new(device, payload) };
        self.office.call(order, method, self.office.settings.answer, until)
    }

    fn credential(&self, username: &str, password: &str) -> Result<String, String> {
        let full = format!("{}-{username}", self.office.settings.organization);
        self.office.store.put_credential(&full, password).map_err(|error| error.to_string())?;
        Ok(full)
    }

    fn refresh(&self, device: &str) -> bool {
        self.office.refresh(device, Some(self.run))
    }
}
