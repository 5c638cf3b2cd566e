//! Behind the counter of the mini-ACS: the device queues, the running of services, and what their scripts may ask.
//!
//! Each device has one queue, strictly first in, first out, that one session at a time drains. A BOOTSTRAP starts the
//! device's services one after another; the session is held open for a while when its queue is empty and a script
//! still runs. A service stays *running* until its script has ended and the device has answered every message of it.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cwmp::event::EventCode;
use crate::cwmp::rpc::{Inform, ParameterValue, Request, Response};
use crate::cwmp::soap::envelope::Namespace;
use crate::lab::lua::host::{Answer, Fence, Method, Refusal, Stop};
use crate::lab::lua::vm::Limits;
use crate::lab::store::{Seen, Store};

use super::describe;
use super::news::{News, Watcher};
use super::payload::Payload;
use super::services;
use super::session::{Outcome, Ticket, Unmet};

/// Most messages that wait for one device.
pub const MAX_QUEUE: usize = 1000;
/// Where a device takes connection requests by UDP, in either data model.
const UDP_ADDRESS: &str = "ManagementServer.UDPConnectionRequestAddress";
/// A session whose CPE was silent for so long is over.
const SILENCE: Duration = Duration::from_secs(60);

/// What can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an empty queue is held while scripts of the device run.
    pub hold: Duration,
    /// How long `send_cwmp_message` waits for the device.
    pub answer: Duration,
    /// For each script.
    pub limits: Limits,
    /// Before the user names of scripts' credentials, with a hyphen.
    pub organization: String,
    /// Whether devices beyond the loopback are talked to.
    pub allow_remote: bool,
    /// uri="/" in the digest of connection requests.
    pub root_uri: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            hold: Duration::from_secs(20),
            answer: Duration::from_secs(30),
            limits: Limits::default(),
            organization: "oktopus".to_owned(),
            allow_remote: false,
            root_uri: false,
        }
    }
}

/// The one place that knows all.
pub struct Office {
    /// Devices, values, services.
    pub store: Store,
    /// Told of everything.
    pub watcher: Box<dyn Watcher>,
    /// As given.
    pub settings: Settings,
    /// Ends scripts and waits.
    pub stop: Stop,
    desk: Mutex<Desk>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct Desk {
    lines: HashMap<String, Line>,
    last_ticket: u32,
    last_session: u32,
    waiting: HashMap<Ticket, Origin>,
    pub(super) services: services::Board,
}

/// What concerns one device.
#[derive(Default)]
struct Line {
    queue: VecDeque<(Ticket, Payload)>,
    session: Option<(u32, Instant)>,
    /// Scripts run, or are about to.
    busy: bool,
    knocking: bool,
}

/// Who waits for an answer.
struct Origin {
    device: String,
    what: String,
    /// The instance whose script sent it.
    instance: Option<i64>,
    /// A refusal does not fail the instance.
    optional: bool,
    caller: Option<SyncSender<Outcome>>,
}

/// A message to be queued.
pub(super) struct Order<'a> {
    pub(super) device: &'a str,
    pub(super) payload: Payload,
    pub(super) instance: Option<i64>,
    pub(super) optional: bool,
    pub(super) caller: Option<SyncSender<Outcome>>,
}

impl Office {
    /// An office with empty queues.
    pub fn new(store: Store, watcher: Box<dyn Watcher>, settings: Settings) -> Arc<Office> {
        Arc::new(Office {
            store,
            watcher,
            settings,
            stop: Stop::new(),
            desk: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends scripts and held sessions.
    pub fn close(&self) {
        self.stop.stop();
        // With the desk, so that nobody is between looking and waiting.
        let _desk = self.desk();
        self.changed.notify_all();
    }

    /// Whether a session of the device goes on.
    pub fn in_session(&self, device: &str) -> bool {
        self.desk().lines.get(device).is_some_and(Line::is_in_session)
    }

    /// A session begins: stores what its Inform says and starts services; gives the session's number.
    pub fn informed(self: &Arc<Office>, inform: &Inform) -> u32 {
        let device = inform.device_id.serial_number.as_str();
        let values = rows(&inform.parameter_list);
        let seen = Seen {
            serial_number: device,
            oui: &inform.device_id.oui,
            product_class: &inform.device_id.product_class,
            manufacturer: &inform.device_id.manufacturer,
            values: &values,
        };
        let first = self.store.seen(&seen).unwrap_or_else(|error| {
            self.trouble(&error);
            false
        });
        self.watcher.news(&News::Informed { inform, first });
        let mut desk = self.desk();
        desk.last_session = desk.last_session.wrapping_add(1);
        let number = desk.last_session;
        desk.lines.entry(device.to_owned()).or_default().session = Some((number, Instant::now()));
        drop(desk);
        if inform.events.iter().any(|event| event.code == EventCode::Bootstrap) {
            services::bootstrap(self, device);
        }
        number
    }

    /// The CPE of a session posted something.
    pub fn alive(&self, device: &str, session: u32) {
        if let Some(line) = self.desk().lines.get_mut(device)
            && let Some((_, seen)) = line.session.as_mut().filter(|(number, _)| *number == session)
        {
            *seen = Instant::now();
        }
    }

    /// The next message of the device's queue; `None` when there is none and no script of the device runs any more,
    /// or it took longer than the hold to write one. With `None` the session is over.
    pub fn next(&self, device: &str, session: u32, sent: u32) -> Option<(Ticket, Payload)> {
        let until = Instant::now() + self.settings.hold;
        let mut desk = self.desk();
        loop {
            let line = desk.lines.entry(device.to_owned()).or_default();
            if line.session.is_none_or(|(number, _)| number != session) {
                // The device has begun another one meanwhile.
                return None;
            }
            if let Some(next) = line.queue.pop_front() {
                return Some(next);
            }
            let left = until.saturating_duration_since(Instant::now());
            if !line.busy || left.is_zero() || self.stop.is_stopped() {
                line.leave(session);
                drop(desk);
                self.watcher.news(&News::SessionOver { device, sent });
                return None;
            }
            desk = self.changed.wait_timeout(desk, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A session broke off. What can be asked twice goes to the front of the queue again; the rest has failed,
    /// because nobody knows whether it was done.
    pub fn broke_off(&self, device: &str, session: u32, outstanding: Option<(Ticket, Payload)>) {
        let mut desk = self.desk();
        let line = desk.lines.entry(device.to_owned()).or_default();
        line.leave(session);
        let failed = match outstanding {
            Some((ticket, payload)) if is_repeatable(payload.method()) => {
                line.queue.push_front((ticket, payload));
                None
            }
            other => other,
        };
        drop(desk);
        self.watcher.news(&News::SessionBroke { device });
        if let Some((ticket, payload)) = failed {
            let why = format!("the session broke off before the answer to {}", payload.method());
            self.answered(ticket, Err(Unmet::Broken(why)));
        }
    }

    /// What became of a message.
    pub fn answered(&self, ticket: Ticket, outcome: Outcome) {
        let Some(origin) = self.desk().waiting.remove(&ticket) else { return };
        if let Ok(Response::GetParameterValues(values)) = &outcome
            && let Err(error) = self.store.keep_values(&origin.device, &rows(values))
        {
            self.trouble(&error);
        }
        let shown = outcome.as_ref().map(describe::response).map_err(Unmet::to_string);
        self.watcher.news(&News::Answered { device: &origin.device, request: &origin.what, answer: &shown });
        if let Some(instance) = origin.instance {
            let refused = match (&shown, origin.optional || origin.caller.is_some()) {
                (Err(why), false) => Some(format!("{} was refused: {why}", origin.what)),
                _ => None,
            };
            services::answered(self, instance, refused);
        }
        if let Some(caller) = origin.caller {
            // The script may have ended its wait.
            let _ = caller.try_send(outcome);
        }
    }

    /// Puts a message into a device's queue, and asks for a session if there is none.
    ///
    /// # Errors
    /// 404 for an unknown device, 409 for a full queue, 500 if the store fails.
    pub(super) fn enqueue(self: &Arc<Office>, order: Order<'_>) -> Result<Ticket, Refusal> {
        match self.store.device(order.device) {
            Ok(Some(_)) => {}
            Ok(None) => return Err(Refusal::new(404, "Device not found")),
            Err(error) => return Err(Refusal::new(500, error.to_string())),
        }
        let mut desk = self.desk();
        desk.last_ticket = desk.last_ticket.wrapping_add(1);
        let ticket = Ticket(desk.last_ticket);
        let line = desk.lines.entry(order.device.to_owned()).or_default();
        if line.queue.len() >= MAX_QUEUE {
            return Err(Refusal::new(409, "Device is busy"));
        }
        let what = describe::payload(&order.payload);
        line.queue.push_back((ticket, order.payload));
        let knock = !line.is_in_session() && !std::mem::replace(&mut line.knocking, true);
        let device = order.device.to_owned();
        desk.services.sent(order.instance);
        let origin = Origin {
            device: device.clone(),
            what,
            instance: order.instance,
            optional: order.optional,
            caller: order.caller,
        };
        desk.waiting.insert(ticket, origin);
        drop(desk);
        self.changed.notify_all();
        if knock {
            self.knock(device);
        }
        Ok(ticket)
    }

    /// Queues a message and waits for its answer.
    ///
    /// # Errors
    /// Those of queueing; 408 when no answer came in time, the message then being withdrawn if it still waits; the
    /// device's fault.
    pub(super) fn call(
        self: &Arc<Office>,
        device: &str,
        payload: Payload,
        instance: Option<i64>,
        method: Method,
        until: &Fence,
    ) -> Result<Answer, Refusal> {
        let (sender, receiver) = sync_channel(1);
        let order = Order { device, payload, instance, optional: false, caller: Some(sender) };
        let ticket = self.enqueue(order)?;
        let deadline = Instant::now() + self.settings.answer;
        let outcome = loop {
            match receiver.recv_timeout(Duration::from_millis(50)) {
                Ok(outcome) => break outcome,
                Err(_) if until.ended().is_none() && Instant::now() < deadline => {}
                Err(_) => {
                    self.withdraw(device, ticket);
                    return Err(Refusal::new(408, "Request timeout"));
                }
            }
        };
        answer(outcome, method)
    }

    /// Takes a message back that still waits.
    fn withdraw(&self, device: &str, ticket: Ticket) {
        let mut desk = self.desk();
        let Some(line) = desk.lines.get_mut(device) else { return };
        let before = line.queue.len();
        line.queue.retain(|(waiting, _)| *waiting != ticket);
        if line.queue.len() < before {
            let origin = desk.waiting.remove(&ticket);
            drop(desk);
            if let Some(instance) = origin.and_then(|origin| origin.instance) {
                services::answered(self, instance, None);
            }
        }
    }

    /// Queues a reading of what the ACS keeps of every device.
    pub(super) fn refresh(self: &Arc<Office>, device: &str, instance: Option<i64>) -> bool {
        let Ok(Some(known)) = self.store.device(device) else { return false };
        let names: &[&str] = match known.data_model.as_str() {
            "InternetGatewayDevice" => {
                &["InternetGatewayDevice.DeviceInfo.", "InternetGatewayDevice.WANDevice."]
            }
            _ => &["Device.DeviceInfo.", "Device.IP.Interface."],
        };
        names.iter().all(|name| {
            let request = Request::GetParameterValues(vec![(*name).to_owned()]);
            let Ok(payload) = Payload::of(request, Namespace::V1_0) else { return false };
            self.enqueue(Order { device, payload, instance, optional: true, caller: None }).is_ok()
        })
    }

    /// Whether scripts of a device run, for its held session.
    pub(super) fn set_busy(&self, desk: &mut Desk, device: &str, busy: bool) {
        desk.lines.entry(device.to_owned()).or_default().busy = busy;
        self.changed.notify_all();
    }

    /// Sends a connection request, in the background.
    fn knock(self: &Arc<Office>, device: String) {
        let office = Arc::clone(self);
        thread::spawn(move || {
            let result = match office.store.device(&device) {
                Ok(Some(known)) => {
                    let name = format!("{}.{UDP_ADDRESS}", known.data_model);
                    let udp = office.store.value(&device, &name).ok().flatten();
                    super::knock::knock(&known, &udp.unwrap_or_default(), &office.settings)
                }
                Ok(None) => Err("the device is gone".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            office.desk().lines.entry(device.clone()).or_default().knocking = false;
            office.watcher.news(&News::ConnectionRequest { device: &device, result: &result });
        });
    }

    /// Tells people of a failure that has no other place.
    pub(super) fn trouble(&self, error: &dyn std::fmt::Display) {
        self.watcher.news(&News::Trouble { what: &error.to_string() });
    }
}

impl Line {
    fn is_in_session(&self) -> bool {
        self.session.is_some_and(|(_, seen)| seen.elapsed() < SILENCE)
    }

    fn leave(&mut self, session: u32) {
        if self.session.is_some_and(|(number, _)| number == session) {
            self.session = None;
        }
    }
}

/// Whether asking twice does no more than asking once.
fn is_repeatable(method: &str) -> bool {
    method.starts_with("Get") || method.starts_with("SetParameter")
}

/// Names, values and types for the store.
fn rows(values: &[ParameterValue]) -> Vec<(String, String, String)> {
    let row = |item: &ParameterValue| {
        (item.name.clone(), item.value.text.clone(), item.value.kind.xsd().to_owned())
    };
    values.iter().map(row).collect()
}

/// The outcome of a blocking call as scripts see it.
fn answer(outcome: Outcome, method: Method) -> Result<Answer, Refusal> {
    use crate::cwmp::rpc::Status;
    match (outcome, method) {
        (Ok(Response::GetParameterValues(values)), Method::GetParameterValues) => {
            Ok(Answer::Values(values.into_iter().map(|item| (item.name, item.value.text)).collect()))
        }
        (Ok(Response::SetParameterValues(_)), Method::SetParameterValues)
        | (Ok(Response::DeleteObject(_)), Method::DeleteObject) => Ok(Answer::Done),
        (Ok(Response::AddObject { instance_number, status }), Method::AddObject) => {
            Ok(Answer::Added { instance_number, status: u8::from(status == Status::Committed) })
        }
        (Ok(Response::GetParameterNames(names)), Method::GetParameterNames) => {
            Ok(Answer::Names(names.into_iter().map(|item| item.name).collect()))
        }
        (Ok(other), method) => {
            Err(Refusal::new(400, format!("the answer was to {}, not to {}", other.name(), method.name())))
        }
        (Err(Unmet::Fault(fault)), _) => Err(Refusal {
            message: fault.string,
            code: fault.code.to_string(),
            parameter_faults: fault
                .parameters
                .into_iter()
                .map(|item| (item.parameter_name, item.code.to_string(), item.string))
                .collect(),
        }),
        (Err(Unmet::Broken(why)), _) => Err(Refusal::new(500, why)),
    }
}
