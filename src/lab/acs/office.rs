//! Behind the counter of the mini-ACS: the device queues, the running of services, and what their scripts may ask.
//!
//! Each device has one queue, strictly first in, first out, that one session at a time drains. A BOOTSTRAP starts the
//! device's services one after another; the session is held open for a while when its queue is empty and a script
//! still runs. A service stays *running* until its script has ended and the device has answered every message of it.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cwmp::event::EventCode;
use crate::cwmp::rpc::{Inform, ParameterValue, Request, Response};
use crate::cwmp::soap::envelope::Namespace;
use crate::lab::lua::host::{Answer, Fence, Method, Refusal, Stop};
use crate::lab::lua::vm::Limits;
use crate::lab::store::{Error, Seen, Store};

use super::describe;
use super::news::{News, Watcher};
use super::payload::Payload;
use super::services;
use super::session::{Outcome, Ticket, Unmet};
use super::trace::Trace;

/// Most messages that wait for one device.
pub const MAX_QUEUE: usize = 1000;
/// Sessions that may break off over one message: a CPE that falls over it would do so for ever.
const MAX_BREAKS: u32 = 3;
/// A session whose CPE was silent for so long is over.
const SILENCE: Duration = Duration::from_secs(60);

/// What can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an empty queue is held while scripts of the device run.
    pub hold: Duration,
    /// How long `send_cwmp_message` waits for the device.
    pub answer: Duration,
    /// How long a service may run, with the answers of the device.
    pub service_age: Duration,
    /// For each script.
    pub limits: Limits,
    /// Before the user names of scripts' credentials, with a hyphen.
    pub organization: String,
    /// Whether devices beyond the loopback are talked to.
    pub allow_remote: bool,
    /// uri="/" in the digest of connection requests.
    pub root_uri: bool,
    /// Sends connection requests over XMPP to devices that have told where, when HTTP and UDP do not reach them.
    #[cfg(feature = "xmpp")]
    pub xmpp: Option<super::xmpp::Sender>,
    /// A device that asks for Basic gets the password of its connection requests in clear.
    pub basic_knock: bool,
    /// Messages get the arrayType and the xsi:type that they lack.
    pub fill: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            hold: Duration::from_secs(20),
            answer: Duration::from_secs(30),
            service_age: Duration::from_secs(24 * 3600),
            limits: Limits::default(),
            organization: "oktopus".to_owned(),
            allow_remote: false,
            root_uri: false,
            basic_knock: false,
            #[cfg(feature = "xmpp")]
            xmpp: None,
            fill: false,
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
    /// The latest messages.
    pub trace: Trace,
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

impl Desk {
    /// Takes the messages of a run out of all queues; answers to what was sent already concern nobody.
    pub(super) fn drop_run(&mut self, run: services::Run) {
        let Desk { lines, waiting, .. } = self;
        waiting.retain(|ticket, origin| {
            let stays = origin.run != Some(run);
            if !stays && let Some(line) = lines.get_mut(&origin.device) {
                line.queue.retain(|(other, _)| other != ticket);
            }
            stays
        });
    }
}

/// What concerns one device.
#[derive(Default)]
struct Line {
    queue: VecDeque<(Ticket, Payload)>,
    session: Option<(u32, Instant)>,
    /// Scripts run, or are about to.
    busy: bool,
    knocking: bool,
    /// It has not accepted the last connection request.
    unreachable: bool,
}

/// Who waits for an answer.
struct Origin {
    device: String,
    what: String,
    /// The run of a service whose script sent it.
    run: Option<services::Run>,
    /// A refusal does not fail the instance.
    optional: bool,
    caller: Option<SyncSender<Reply>>,
    /// The task in the store.
    task: Option<i64>,
    /// It waits for the device's next session.
    quiet: bool,
    /// Sessions that broke off over it.
    breaks: u32,
    /// The body that the device answered with.
    raw: Option<String>,
}

/// What a caller gets.
pub(super) enum Reply {
    /// An outcome, and the body it came in.
    Answered(Outcome, Option<String>),
    /// Nothing: the device cannot be asked for a session, or is known no more.
    Unasked(Refusal),
}

/// A message to be queued.
pub(super) struct Order<'a> {
    pub(super) device: &'a str,
    pub(super) payload: Payload,
    /// The run of a service whose script sends it.
    pub(super) run: Option<services::Run>,
    pub(super) optional: bool,
    /// No connection request for it.
    pub(super) quiet: bool,
    pub(super) caller: Option<SyncSender<Reply>>,
    /// The task in the store.
    pub(super) task: Option<i64>,
}

impl<'a> Order<'a> {
    /// A message that nobody waits for.
    pub(super) fn new(device: &'a str, payload: Payload) -> Order<'a> {
        Order { device, payload, run: None, optional: false, quiet: false, caller: None, task: None }
    }
}

impl Office {
    /// An office with empty queues.
    pub fn new(store: Store, watcher: Box<dyn Watcher>, settings: Settings) -> Arc<Office> {
        Arc::new(Office {
            store,
            watcher,
            settings,
            stop: Stop::new(),
            trace: Trace::default(),
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
        self.trace.close();
        // With the desk, so that nobody is between looking and waiting.
        let desk = self.desk();
        desk.services.stop_all();
        self.changed.notify_all();
    }

    /// Whether a session of the device goes on.
    pub fn in_session(&self, device: &str) -> bool {
        self.desk().lines.get(device).is_some_and(Line::is_in_session)
    }

    /// A session begins: stores what its Inform says and starts services; gives the session's number.
    ///
    /// # Errors
    /// The store's: then nothing of it is kept, and it must not be acknowledged.
    pub fn informed(self: &Arc<Office>, inform: &Inform) -> Result<u32, Error> {
        let device = inform.device_id.serial_number.as_str();
        let values = rows(&inform.parameter_list);
        let seen = Seen {
            serial_number: device,
            oui: &inform.device_id.oui,
            product_class: &inform.device_id.product_class,
            manufacturer: &inform.device_id.manufacturer,
            values: &values,
            bootstrap: inform.events.iter().any(|event| event.code == EventCode::Bootstrap),
            events: &describe::events(&inform.events),
        };
        let first = self.store.seen(&seen)?;
        self.watcher.news(&News::Informed { inform, first });
        let mut desk = self.desk();
        desk.last_session = desk.last_session.wrapping_add(1);
        let number = desk.last_session;
        let line = desk.lines.entry(device.to_owned()).or_default();
        line.session = Some((number, Instant::now()));
        line.unreachable = false;
        drop(desk);
        services::start(self, device, seen.bootstrap);
        Ok(number)
    }

    /// A device called a method: kept before it is acknowledged.
    ///
    /// # Errors
    /// The store's.
    pub fn called(&self, device: &str, method: &str, told: &str) -> Result<(), Error> {
        self.store.remember(device, method, told)?;
        self.watcher.news(&News::Called { device, method });
        Ok(())
    }

    /// Whether the device has not accepted the last connection request.
    pub(super) fn is_unreachable(&self, device: &str) -> bool {
        self.desk().lines.get(device).is_some_and(|line| line.unreachable)
    }

    /// What waits for a device: tickets, methods, and the tasks of what people queued.
    pub(super) fn waiting(&self, device: &str) -> Vec<(Ticket, String, Option<i64>)> {
        let desk = self.desk();
        let Some(line) = desk.lines.get(device) else { return Vec::new() };
        let task = |ticket: &Ticket| desk.waiting.get(ticket).and_then(|origin| origin.task);
        let queue = line.queue.iter();
        queue.map(|(ticket, payload)| (*ticket, payload.method().to_owned(), task(ticket))).collect()
    }

    /// Takes the message of a task out of a device's queue; whether it was there.
    pub(super) fn take_out(&self, device: &str, task: i64) -> bool {
        let mut desk = self.desk();
        let found =
            desk.waiting.iter().find(|(_, origin)| origin.task == Some(task)).map(|(ticket, _)| *ticket);
        let (Some(ticket), Some(line)) = (found, desk.lines.get_mut(device)) else { return false };
        let before = line.queue.len();
        line.queue.retain(|(waiting, _)| *waiting != ticket);
        let was_there = line.queue.len() < before;
        if was_there {
            desk.waiting.remove(&ticket);
        }
        was_there
    }

    /// Forgets a device, its queue too; whether it was known.
    ///
    /// # Errors
    /// The store's.
    pub fn forget(&self, device: &str) -> Result<bool, Error> {
        let was_known = self.store.delete_device(device)?;
        self.give_up(device, true, &Refusal::new(404, "Device not found"));
        let mut desk = self.desk();
        let queue =
            desk.lines.get_mut(device).map(|line| std::mem::take(&mut line.queue)).unwrap_or_default();
        drop(desk);
        for (ticket, _) in queue {
            self.answered(ticket, Err(Unmet::Broken("the device was deleted".to_owned())));
        }
        Ok(was_known)
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
                let task = desk.waiting.get(&next.0).and_then(|origin| origin.task);
                drop(desk);
                if let Some(task) = task {
                    self.task_sent(task);
                }
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

    /// A session broke off. What can be asked twice goes to the front of the queue again, a few times; the rest has
    /// failed, because nobody knows whether it was done.
    pub fn broke_off(&self, device: &str, session: u32, outstanding: Option<(Ticket, Payload)>) {
        let mut desk = self.desk();
        let Desk { lines, waiting, .. } = &mut *desk;
        let line = lines.entry(device.to_owned()).or_default();
        line.leave(session);
        let mut failed = None;
        // One that nobody waits for any more is gone.
        if let Some((ticket, payload)) = outstanding
            && let Some(origin) = waiting.get_mut(&ticket)
        {
            origin.breaks += 1;
            let method = payload.method();
            if !is_repeatable(method) {
                failed = Some((ticket, format!("the session broke off before the answer to {method}")));
            } else if origin.breaks >= MAX_BREAKS {
                let why = format!("{MAX_BREAKS} sessions broke off before the answer to {method}");
                failed = Some((ticket, why));
            } else {
                line.queue.push_front((ticket, payload));
            }
        }
        drop(desk);
        self.watcher.news(&News::SessionBroke { device });
        if let Some((ticket, why)) = failed {
            self.answered(ticket, Err(Unmet::Broken(why)));
        }
    }

    /// The body of the answer that [`Office::answered`] is about to tell, if somebody waits for it.
    pub fn heard(&self, ticket: Ticket, body: &[u8]) {
        if let Some(origin) = self.desk().waiting.get_mut(&ticket).filter(|origin| origin.caller.is_some()) {
            origin.raw = Some(String::from_utf8_lossy(body).into_owned());
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
        if let Some(task) = origin.task {
            self.task_answered(task, &outcome);
        }
        let shown = outcome.as_ref().map(describe::response).map_err(Unmet::to_string);
        self.watcher.news(&News::Answered { device: &origin.device, request: &origin.what, answer: &shown });
        if let Some(run) = origin.run {
            let refused = match (&shown, origin.optional || origin.caller.is_some()) {
                (Err(why), false) => Some(format!("{} was refused: {why}", origin.what)),
                _ => None,
            };
            services::answered(self, run, refused);
        }
        if let Some(caller) = origin.caller {
            // The script may have ended its wait.
            let _ = caller.try_send(Reply::Answered(outcome, origin.raw));
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
        if !desk.services.goes_on(order.run) {
            return Err(Refusal::new(409, "the run is over"));
        }
        let line = desk.lines.entry(order.device.to_owned()).or_default();
        if line.queue.len() >= MAX_QUEUE {
            return Err(Refusal::new(409, "Device is busy"));
        }
        let what = describe::payload(&order.payload);
        line.queue.push_back((ticket, order.payload));
        let knock = !order.quiet && !line.is_in_session() && !std::mem::replace(&mut line.knocking, true);
        let device = order.device.to_owned();
        desk.services.sent(order.run);
        let origin = Origin {
            device: device.clone(),
            what,
            run: order.run,
            optional: order.optional,
            caller: order.caller,
            task: order.task,
            quiet: order.quiet,
            breaks: 0,
            raw: None,
        };
        desk.waiting.insert(ticket, origin);
        drop(desk);
        self.changed.notify_all();
        if knock {
            self.knock(device);
        }
        Ok(ticket)
    }

    /// Queues a message and waits for the answer that goes with `method`.
    ///
    /// # Errors
    /// 400 for a message that is another method; those of [`Office::ask`].
    pub(super) fn call(
        self: &Arc<Office>,
        order: Order<'_>,
        method: Method,
        patience: Duration,
        until: &Fence,
    ) -> Result<Answer, Refusal> {
        if order.payload.method() != method.name() {
            let why = format!("the message is {}, its type {}", order.payload.method(), method.name());
            return Err(Refusal::new(400, why));
        }
        self.ask(order, patience, until).and_then(|response| answer(response, method))
    }

    /// Queues a message and waits for its answer.
    ///
    /// # Errors
    /// Those of queueing; 400 when the device cannot be asked for a session; 408 when no answer came in time, the
    /// message then being withdrawn if it still waits; the device's fault.
    pub(super) fn ask(
        self: &Arc<Office>,
        order: Order<'_>,
        patience: Duration,
        until: &Fence,
    ) -> Result<Response, Refusal> {
        let mut answers = self.ask_all(vec![order], patience, until);
        answers.pop().unwrap_or_else(|| Err(Refusal::new(500, "nothing was asked")))
    }

    /// Queues several messages at once, so that one session can take them all, and waits for their answers.
    pub(super) fn ask_all(
        self: &Arc<Office>,
        orders: Vec<Order<'_>>,
        patience: Duration,
        until: &Fence,
    ) -> Vec<Result<Response, Refusal>> {
        let queued: Vec<_> = orders
            .into_iter()
            .map(|order| {
                let (sender, receiver) = sync_channel(1);
                let device = order.device;
                let ticket = self.enqueue(Order { caller: Some(sender), ..order })?;
                Ok((device, ticket, receiver))
            })
            .collect();
        let start = Instant::now();
        let answer = |queued: Result<(&str, Ticket, Receiver<Reply>), Refusal>| {
            let (device, ticket, receiver) = queued?;
            loop {
                match receiver.recv_timeout(Duration::from_millis(50)) {
                    Ok(Reply::Answered(Ok(response), _)) => return Ok(response),
                    Ok(Reply::Answered(Err(unmet), raw)) => return Err(refusal(unmet, raw)),
                    Ok(Reply::Unasked(refusal)) => return Err(refusal),
                    Err(RecvTimeoutError::Timeout)
                        if until.ended().is_none() && start.elapsed() < patience => {}
                    // In time, or its run is over.
                    Err(_) => {
                        self.withdraw(device, ticket);
                        return Err(Refusal::new(408, "Request timeout"));
                    }
                }
            }
        };
        queued.into_iter().map(answer).collect()
    }

    /// Takes back what waits for a device and has a caller, who is told why; without `quiet` not what waits for the
    /// next session anyway.
    pub(super) fn give_up(&self, device: &str, quiet: bool, why: &Refusal) {
        let mut desk = self.desk();
        let Desk { lines, waiting, .. } = &mut *desk;
        let Some(line) = lines.get_mut(device) else { return };
        let concerns = |ticket: &Ticket| {
            waiting.get(ticket).is_some_and(|origin| origin.caller.is_some() && (quiet || !origin.quiet))
        };
        let gone: Vec<Ticket> = line.queue.iter().map(|(ticket, _)| *ticket).filter(concerns).collect();
        line.queue.retain(|(ticket, _)| !gone.contains(ticket));
        let origins: Vec<Origin> = gone.iter().filter_map(|ticket| waiting.remove(ticket)).collect();
        drop(desk);
        for origin in origins {
            if let Some(run) = origin.run {
                services::answered(self, run, None);
            }
            if let Some(caller) = origin.caller {
                let _ = caller.try_send(Reply::Unasked(why.clone()));
            }
        }
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
            if let Some(run) = origin.and_then(|origin| origin.run) {
                services::answered(self, run, None);
            }
        }
    }

    /// What the ACS keeps of a device, as the paths to read; none for an unknown one.
    pub(super) fn kept_paths(&self, device: &str) -> Option<&'static [&'static str]> {
        let known = self.store.device(device).ok()??;
        Some(match known.data_model.as_str() {
            "InternetGatewayDevice" => {
                &["InternetGatewayDevice.DeviceInfo.", "InternetGatewayDevice.WANDevice."]
            }
            _ => &["Device.DeviceInfo.", "Device.IP.Interface."],
        })
    }

    /// Queues a reading of what the ACS keeps of every device.
    pub(super) fn refresh(self: &Arc<Office>, device: &str, run: Option<services::Run>) -> bool {
        let Some(names) = self.kept_paths(device) else { return false };
        names.iter().all(|name| {
            let request = Request::GetParameterValues(vec![(*name).to_owned()]);
            let Ok(payload) = Payload::of(request, Namespace::V1_0) else { return false };
            self.enqueue(Order { run, optional: true, ..Order::new(device, payload) }).is_ok()
        })
    }

    /// Whether scripts of a device run, for its held session.
    pub(super) fn set_busy(&self, desk: &mut Desk, device: &str, busy: bool) {
        desk.lines.entry(device.to_owned()).or_default().busy = busy;
        self.changed.notify_all();
    }

    /// Asks a device for a session, in the background, unless that is going on.
    ///
    /// # Errors
    /// 404 for an unknown device.
    pub fn invite(self: &Arc<Office>, device: &str) -> Result<(), Refusal> {
        match self.store.device(device) {
            Ok(Some(_)) => {}
            Ok(None) => return Err(Refusal::new(404, "Device not found")),
            Err(error) => return Err(Refusal::new(500, error.to_string())),
        }
        let is_asked =
            std::mem::replace(&mut self.desk().lines.entry(device.to_owned()).or_default().knocking, true);
        if !is_asked {
            self.knock(device.to_owned());
        }
        Ok(())
    }

    /// Sends a connection request, in the background.
    fn knock(self: &Arc<Office>, device: String) {
        let office = Arc::clone(self);
        thread::spawn(move || {
            let result = match office.store.device(&device) {
                Ok(Some(known)) => super::knock::knock(&known, &office.settings),
                Ok(None) => Err("the device is gone".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            // Behind a NAT, perhaps (Annex G).
            let sent = result.is_err() && office.knock_by_udp(&device);
            let result = match result {
                Err(why) if !sent => office.knock_by_xmpp(&device, why),
                result => result,
            };
            let mut desk = office.desk();
            let line = desk.lines.entry(device.clone()).or_default();
            line.knocking = false;
            line.unreachable = result.is_err() && !sent;
            drop(desk);
            office.watcher.news(&News::ConnectionRequest { device: &device, result: &result });
            if sent {
                office.watcher.news(&News::UdpRequest { device: &device });
                return;
            }
            // A device that is busy has a session, or soon another.
            if let Some(why) = result.err().filter(|why| !why.contains("too busy")) {
                office.give_up(&device, false, &Refusal::new(400, why));
            }
        });
    }

    /// Sends a connection request over UDP to a device that has told where; whether it was sent.
    fn knock_by_udp(&self, device: &str) -> bool {
        let name = "ManagementServer.UDPConnectionRequestAddress";
        let told = ["Device.", "InternetGatewayDevice."]
            .iter()
            .find_map(|root| self.store.value(device, &format!("{root}{name}")).ok().flatten())
            .filter(|address| !address.is_empty());
        let (Some(address), Ok(Some(known))) = (told, self.store.device(device)) else { return false };
        match super::knock::by_udp(&known, &address, &self.settings) {
            Ok(()) => true,
            Err(why) => {
                self.trouble(&format!("{device} over UDP: {why}"));
                false
            }
        }
    }

    /// Sends a connection request over XMPP, if that can be, to a device that HTTP does not reach for this reason.
    ///
    /// # Errors
    /// The reason, and the other one.
    #[cfg(feature = "xmpp")]
    fn knock_by_xmpp(&self, device: &str, why: String) -> Result<(), String> {
        let jid = ["Device.", "InternetGatewayDevice."]
            .iter()
            .find_map(|root| {
                self.store.value(device, &format!("{root}ManagementServer.ConnReqJabberID")).ok().flatten()
            })
            .filter(|jid| !jid.is_empty());
        let (Some(sender), Some(jid), Ok(Some(known))) =
            (&self.settings.xmpp, jid, self.store.device(device))
        else {
            return Err(why);
        };
        sender.knock(&known, &jid).map_err(|error| format!("{why}; over XMPP: {error}"))
    }

    #[cfg(not(feature = "xmpp"))]
    fn knock_by_xmpp(&self, _device: &str, why: String) -> Result<(), String> {
        Err(why)
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
pub(super) fn is_repeatable(method: &str) -> bool {
    method.starts_with("Get") || method.starts_with("SetParameter")
}

/// Names, values and types for the store.
fn rows(values: &[ParameterValue]) -> Vec<(String, String, String)> {
    let row = |item: &ParameterValue| {
        (item.name.clone(), item.value.text.clone(), item.value.kind.xsd().to_owned())
    };
    values.iter().map(row).collect()
}

/// The answer to a blocking call as scripts see it.
fn answer(response: Response, method: Method) -> Result<Answer, Refusal> {
    use crate::cwmp::rpc::Status;
    match (response, method) {
        (Response::GetParameterValues(values), Method::GetParameterValues) => {
            Ok(Answer::Values(values.into_iter().map(|item| (item.name, item.value.text)).collect()))
        }
        (Response::SetParameterValues(_), Method::SetParameterValues)
        | (Response::DeleteObject(_), Method::DeleteObject) => Ok(Answer::Done),
        (Response::AddObject { instance_number, status }, Method::AddObject) => {
            Ok(Answer::Added { instance_number, status: u8::from(status == Status::Committed) })
        }
        (Response::GetParameterNames(names), Method::GetParameterNames) => {
            Ok(Answer::Names(names.into_iter().map(|item| item.name).collect()))
        }
        (other, method) => {
            Err(Refusal::new(400, format!("the answer was to {}, not to {}", other.name(), method.name())))
        }
    }
}

/// Why a message had no success, as scripts see it; `raw` is what the device said.
fn refusal(unmet: Unmet, raw: Option<String>) -> Refusal {
    match unmet {
        Unmet::Fault(fault) => Refusal {
            message: fault.string,
            code: fault.code.to_string(),
            parameter_faults: fault
                .parameters
                .into_iter()
                .map(|item| (item.parameter_name, item.code.to_string(), item.string))
                .collect(),
            raw_response: raw,
        },
        Unmet::Broken(why) => Refusal { raw_response: raw, ..Refusal::new(500, why) },
    }
}
