//! Messages that people queue: in the store from the moment they are accepted until they are answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::cwmp::rpc::{Response, Status, TransferTimes};
use crate::lab::lua::host::Refusal;
use crate::lab::store::{Progress, Task};

use super::office::{Office, Order, is_repeatable};
use super::payload::Payload;
use super::pretty;
use super::session::{Outcome, Ticket, Unmet};

/// Between two looks at a task that somebody waits for.
const TICK: Duration = Duration::from_millis(20);

impl Office {
    /// Queues a message for a device and keeps it; gives the task's id.
    ///
    /// # Errors
    /// 400 for what is no request, 404 for an unknown device, 409 for a full queue, 500 if the store fails.
    pub fn submit(self: &Arc<Office>, device: &str, message: &str) -> Result<i64, Refusal> {
        let payload = self.payload(device, message)?;
        let broken = |error: crate::lab::store::Error| Refusal::new(500, error.to_string());
        if self.store.device(device).map_err(broken)?.is_none() {
            return Err(Refusal::new(404, "Device not found"));
        }
        let task = self.store.add_task(device, payload.method(), message).map_err(broken)?;
        let order = Order { task: Some(task), ..Order::new(device, payload) };
        if let Err(refusal) = self.enqueue(order) {
            self.settle_task(task, Progress::Failed, &json!({ "error": refusal.message }));
            return Err(refusal);
        }
        Ok(task)
    }

    /// Takes a task back that waits; whether it did.
    pub fn withdraw_task(&self, task: &Task) -> bool {
        let withdrawn = self.take_out(&task.serial_number, task.id);
        if withdrawn {
            self.settle_task(task.id, Progress::Withdrawn, &Json::Null);
        }
        withdrawn
    }

    /// A task when it is answered, or as it is when the time is up; `None` if there is none.
    pub fn await_task(&self, id: i64, wait: Duration) -> Option<Task> {
        let until = Instant::now() + wait;
        loop {
            let task = self.store.task(id).ok().flatten()?;
            if task.progress.is_final() || Instant::now() >= until || self.stop.is_stopped() {
                return Some(task);
            }
            std::thread::sleep(TICK);
        }
    }

    /// Queues what was queued when the last mini-ACS ended. What a device had already been sent goes first if asking
    /// twice does no harm, and has failed otherwise, because nobody knows whether it was done.
    pub fn resume(self: &Arc<Office>) {
        let tasks = match self.store.open_tasks() {
            Ok(tasks) => tasks,
            Err(error) => return self.trouble(&error),
        };
        let (sent, queued): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|task| task.progress == Progress::Sent);
        for task in sent.into_iter().chain(queued) {
            let lost = task.progress == Progress::Sent && !is_repeatable(&task.method);
            let resumed = if lost {
                Err("the mini-ACS ended before the answer".to_owned())
            } else {
                self.payload(&task.serial_number, &task.message)
                    .and_then(|payload| {
                        let device = task.serial_number.as_str();
                        let order = Order { task: Some(task.id), ..Order::new(device, payload) };
                        self.enqueue(order)
                    })
                    .map(drop)
                    .map_err(|refusal| refusal.message)
            };
            if let Err(why) = resumed {
                self.settle_task(task.id, Progress::Failed, &json!({ "error": why }));
            }
        }
    }

    /// A script's or a person's text as a message to a device.
    ///
    /// # Errors
    /// 400 for what is no request.
    pub(super) fn payload(&self, device: &str, message: &str) -> Result<Payload, Refusal> {
        let refused = |why: String| Refusal::new(400, why);
        if !self.settings.fill {
            return Payload::parse(message).map_err(refused);
        }
        let kind_of = |name: &str| {
            let known = self.store.values(device, name).ok()?;
            known.into_iter().find(|(known, ..)| known == name).map(|(_, _, kind)| kind)
        };
        super::fill::fill(message, &kind_of).and_then(|text| Payload::parse(&text)).map_err(refused)
    }

    /// What became of the message of a task.
    pub(super) fn task_answered(&self, task: i64, outcome: &Outcome) {
        match outcome {
            Ok(response) => self.settle_task(task, Progress::Done, &answer(response)),
            Err(Unmet::Broken(why)) => self.settle_task(task, Progress::Failed, &json!({ "error": why })),
            Err(Unmet::Fault(fault)) => {
                let parameters: Vec<Json> = fault
                    .parameters
                    .iter()
                    .map(|one| json!({ "name": one.parameter_name, "code": one.code, "string": one.string }))
                    .collect();
                let fault = json!({ "code": fault.code, "string": fault.string, "parameters": parameters });
                self.settle_task(task, Progress::Failed, &json!({ "fault": fault }));
            }
        }
    }

    /// The message of a task goes to the device.
    pub(super) fn task_sent(&self, task: i64) {
        self.settle_task(task, Progress::Sent, &Json::Null);
    }

    fn settle_task(&self, task: i64, progress: Progress, result: &Json) {
        let done = match progress.is_final() {
            true => self.store.task(task).and_then(|known| {
                let masked = known.and_then(|known| pretty::masked(&known.message));
                self.store.end_task(task, progress, result, masked.as_deref())
            }),
            false => self.store.set_task(task, progress, result),
        };
        if let Err(error) = done {
            self.trouble(&error);
        }
    }

    /// The messages that wait for a device, first first: their tickets and methods, and the tasks of those that
    /// people queued.
    pub fn queue(&self, device: &str) -> Vec<(Ticket, String, Option<i64>)> {
        self.waiting(device)
    }
}

/// An answer as people get it.
fn answer(response: &Response) -> Json {
    let status = |status: &Status| u8::from(*status == Status::Committed);
    let times = |times: &TransferTimes| json!({ "status": status(&times.status), "start": times.start_time, "complete": times.complete_time });
    match response {
        Response::GetParameterValues(values) => {
            let value = |one: &crate::cwmp::rpc::ParameterValue| json!({ "name": one.name, "value": one.value.text, "type": one.value.kind.xsd() });
            json!({ "values": values.iter().map(value).collect::<Vec<_>>() })
        }
        Response::GetParameterNames(names) => {
            let name =
                |one: &crate::cwmp::rpc::ParameterInfo| json!({ "name": one.name, "writable": one.writable });
            json!({ "names": names.iter().map(name).collect::<Vec<_>>() })
        }
        Response::GetParameterAttributes(list) => {
            let one = |one: &crate::cwmp::rpc::ParameterAttributes| json!({ "name": one.name, "notification": one.notification, "access_list": one.access_list });
            json!({ "attributes": list.iter().map(one).collect::<Vec<_>>() })
        }
        Response::SetParameterValues(done) | Response::DeleteObject(done) => {
            json!({ "status": status(done) })
        }
        Response::AddObject { instance_number, status: done } => {
            json!({ "instance_number": instance_number, "status": status(done) })
        }
        Response::Download(done) | Response::Upload(done) => times(done),
        Response::GetRpcMethods(methods) => json!({ "methods": methods }),
        Response::GetQueuedTransfers(list) => {
            let one = |one: &crate::cwmp::rpc::QueuedTransfer| json!({ "command_key": one.command_key, "state": one.state });
            json!({ "transfers": list.iter().map(one).collect::<Vec<_>>() })
        }
        Response::GetAllQueuedTransfers(list) => {
            let one = |one: &crate::cwmp::rpc::AnyQueuedTransfer| json!({ "command_key": one.command_key, "state": one.state, "file_type": one.file_type });
            json!({ "transfers": list.iter().map(one).collect::<Vec<_>>() })
        }
        Response::GetOptions(list) => {
            let one =
                |one: &crate::cwmp::rpc::OptionState| json!({ "name": one.option_name, "state": one.state });
            json!({ "options": list.iter().map(one).collect::<Vec<_>>() })
        }
        _ => json!({}),
    }
}
