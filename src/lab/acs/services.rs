//! Runs services: which instances wait, whose messages are unanswered, and the scripts' side of the office.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread;

use crate::lab::lua::host::{Answer, Fence, Host, Method, Refusal};
use crate::lab::lua::service::{self, Outcome};
use crate::lab::store::{Instance, Status};

use super::news::News;
use super::office::{Office, Order};

/// The instances that run or are about to.
#[derive(Default)]
pub struct Board {
    /// By device, in order; the first is running.
    due: HashMap<String, VecDeque<i64>>,
    running: HashMap<i64, Progress>,
}

/// How far an instance is.
#[derive(Default)]
struct Progress {
    name: String,
    /// Messages that have no answer yet.
    open: u32,
    refusals: Vec<String>,
    script: Option<Outcome>,
}

impl Board {
    /// A script queued a message.
    pub(super) fn sent(&mut self, instance: Option<i64>) {
        if let Some(progress) = instance.and_then(|instance| self.running.get_mut(&instance)) {
            progress.open += 1;
        }
    }
}

/// Starts every service of the device that is due and does not run: the documents want them applied at the first
/// contact and after every factory reset, and BOOTSTRAP is both. What a BOOTSTRAP has made due stays so over an end of
/// the mini-ACS.
pub(super) fn start(office: &Arc<Office>, device: &str) {
    let instances = match office.store.instances(device) {
        Ok(instances) => instances,
        Err(error) => return office.trouble(&error),
    };
    let waiting = instances.into_iter().filter(|one| one.due && one.status != Status::Running);
    let waiting: Vec<i64> = waiting.map(|one| one.id).collect();
    if waiting.is_empty() {
        return;
    }
    let mut desk = office.desk();
    let due = desk.services.due.entry(device.to_owned()).or_default();
    let idle = due.is_empty();
    let before = due.len();
    for id in waiting {
        if !due.contains(&id) {
            due.push_back(id);
        }
    }
    if due.len() == before {
        return;
    }
    office.set_busy(&mut desk, device, true);
    drop(desk);
    if idle {
        let (office, device) = (Arc::clone(office), device.to_owned());
        thread::spawn(move || run_all(&office, &device));
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
        start(self, &instance.device_id);
        Ok(true)
    }
}

/// A message of an instance has its answer; `refused` fails the instance.
pub(super) fn answered(office: &Office, instance: i64, refused: Option<String>) {
    let mut desk = office.desk();
    let Some(progress) = desk.services.running.get_mut(&instance) else { return };
    progress.open = progress.open.saturating_sub(1);
    let line = refused.clone();
    progress.refusals.extend(refused);
    drop(desk);
    if let Some(line) = line {
        log(office, instance, &line);
    }
    settle(office, instance);
}

/// Runs the due instances of a device one after another.
fn run_all(office: &Arc<Office>, device: &str) {
    loop {
        let next = office.desk().services.due.get(device).and_then(|due| due.front().copied());
        let Some(id) = next else { return };
        match office.store.instance(id) {
            Ok(Some(instance)) => run(office, &instance),
            Ok(None) => {}
            Err(error) => office.trouble(&error),
        }
        let mut desk = office.desk();
        let due = desk.services.due.entry(device.to_owned()).or_default();
        due.pop_front();
        if due.is_empty() {
            // Under the same lock, so that a BOOTSTRAP that comes now starts a new thread.
            desk.services.due.remove(device);
            office.set_busy(&mut desk, device, false);
            return;
        }
    }
}

fn run(office: &Arc<Office>, instance: &Instance) {
    let definition = match office.store.definition(instance.service_id) {
        Ok(Some(definition)) => definition,
        Ok(None) => return,
        Err(error) => return office.trouble(&error),
    };
    let progress = Progress { name: definition.name.clone(), ..Progress::default() };
    office.desk().services.running.insert(instance.id, progress);
    set_status(office, instance.id, &definition.name, Status::Running, "");
    let host: Arc<dyn Host> = Arc::new(Script { office: Arc::clone(office), instance: instance.id });
    let outcome = service::run(
        &definition.script,
        &instance.device_id,
        &instance.variables,
        &host,
        office.settings.limits,
        &office.stop,
    );
    if let Outcome::Failed(why) = &outcome {
        log(office, instance.id, why);
    }
    if let Some(progress) = office.desk().services.running.get_mut(&instance.id) {
        progress.script = Some(outcome);
    }
    settle(office, instance.id);
}

/// Gives an instance its final status once nothing of it is open any more.
fn settle(office: &Office, instance: i64) {
    let mut desk = office.desk();
    let done = |progress: &&Progress| progress.open == 0 && progress.script.is_some();
    if desk.services.running.get(&instance).filter(done).is_none() {
        return;
    }
    let Some(progress) = desk.services.running.remove(&instance) else { return };
    drop(desk);
    let mut reasons = progress.refusals;
    if let Some(Outcome::Failed(why)) = progress.script {
        reasons.insert(0, why);
    }
    let status = if reasons.is_empty() { Status::Provisioned } else { Status::Failed };
    set_status(office, instance, &progress.name, status, &reasons.join("; "));
}

fn set_status(office: &Office, instance: i64, name: &str, status: Status, reason: &str) {
    if let Err(error) = office.store.set_status(instance, status, reason) {
        office.trouble(&error);
    }
    office.watcher.news(&News::Service { instance, name, status, reason });
}

fn log(office: &Office, instance: i64, line: &str) {
    if let Err(error) = office.store.log(instance, line) {
        office.trouble(&error);
    }
}

/// What the script of an instance may ask.
struct Script {
    office: Arc<Office>,
    instance: i64,
}

impl Host for Script {
    fn print(&self, line: &str) {
        self.office.watcher.news(&News::Printed { instance: self.instance, line });
        log(&self.office, self.instance, line);
    }

    fn enqueue(&self, device: &str, message: &str) -> Result<(), Refusal> {
        let payload = self.office.payload(device, message)?;
        let order = Order { instance: Some(self.instance), ..Order::new(device, payload) };
        self.office.enqueue(order).map(drop)
    }

    fn call(&self, device: &str, message: &str, method: Method, until: &Fence) -> Result<Answer, Refusal> {
        let payload = self.office.payload(device, message)?;
        let order = Order { instance: Some(self.instance), ..Order::new(device, payload) };
        self.office.call(order, method, self.office.settings.answer, until)
    }

    fn credential(&self, username: &str, password: &str) -> Result<String, String> {
        let full = format!("{}-{username}", self.office.settings.organization);
        self.office.store.put_credential(&full, password).map_err(|error| error.to_string())?;
        Ok(full)
    }

    fn refresh(&self, device: &str) -> bool {
        self.office.refresh(device, Some(self.instance))
    }
}
