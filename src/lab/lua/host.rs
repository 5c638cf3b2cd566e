//! What a script may ask of the world: the trait that the mini-ACS and the tests implement, and the stop signal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The world behind the functions of a script. Called from the script's own thread.
pub trait Host: Send + Sync {
    /// A line that the script printed, without its line end.
    fn print(&self, line: &str);

    /// Queues a CWMP message for a device and does not wait; the queue is strictly first in, first out.
    ///
    /// # Errors
    /// Unknown device, a message that is no CWMP envelope, a full queue.
    fn enqueue(&self, device: &str, message: &str) -> Result<(), Refusal>;

    /// Queues a CWMP message and waits for the device's answer, no longer than `stop` and the run's deadline allow.
    ///
    /// # Errors
    /// As [`Host::enqueue`]; the device's fault; no answer in time.
    fn call(&self, device: &str, message: &str, method: Method, until: &Fence) -> Result<Answer, Refusal>;

    /// Creates or changes a credential; gives the full user name.
    ///
    /// # Errors
    /// Why it could not be stored, for people.
    fn credential(&self, username: &str, password: &str) -> Result<String, String>;

    /// Queues a refresh of the values the ACS keeps of a device; whether that was possible.
    fn refresh(&self, device: &str) -> bool;
}

/// What the *Scripts* environment may ask besides.
pub trait Fleet: Host {
    /// As [`Host::call`] without a connection request: the message waits for the device's next session.
    ///
    /// # Errors
    /// Those of [`Host::call`].
    fn call_later(
        &self,
        device: &str,
        message: &str,
        method: Method,
        until: &Fence,
    ) -> Result<Answer, Refusal>;

    /// Reads afresh what the ACS keeps of a device, and waits for it; whether the device answered.
    fn refresh_now(&self, device: &str, until: &Fence) -> bool;

    /// A device by its serial number.
    fn device(&self, serial_number: &str) -> Option<Card>;

    /// All devices, by serial number.
    fn devices(&self) -> Vec<Card>;

    /// Forgets a device and what waits for it; whether it was known.
    fn delete_device(&self, serial_number: &str) -> bool;

    /// Corrects a device's model; whether the device is known.
    fn set_model(&self, serial_number: &str, model: &str) -> bool;
}

/// A device as scripts see it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Card {
    /// `sn`.
    pub serial_number: String,
    /// `model`, once heard of.
    pub model: String,
    /// `vendor`.
    pub vendor: String,
    /// `version`, of the software.
    pub version: String,
    /// `product_class`.
    pub product_class: String,
    /// `data_model`: `TR-098`, `TR-181`, or nothing before the first contact.
    pub data_model: String,
    /// `status`: whether it is online.
    pub online: bool,
    /// `cwmp`: whether it ever spoke CWMP.
    pub cwmp: bool,
}

/// The third argument of `send_cwmp_message`: which answer is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// 0
    GetParameterValues,
    /// 1
    SetParameterValues,
    /// 2
    AddObject,
    /// 3
    DeleteObject,
    /// 4
    GetParameterNames,
}

impl Method {
    /// The method of a number in a script.
    pub fn from_number(number: f64) -> Option<Method> {
        [
            Method::GetParameterValues,
            Method::SetParameterValues,
            Method::AddObject,
            Method::DeleteObject,
            Method::GetParameterNames,
        ]
        .into_iter()
        .zip(0_u8..)
        .find_map(|(method, code)| (f64::from(code) == number).then_some(method))
    }

    /// Its name in an envelope.
    pub fn name(self) -> &'static str {
        match self {
            Method::GetParameterValues => "GetParameterValues",
            Method::SetParameterValues => "SetParameterValues",
            Method::AddObject => "AddObject",
            Method::DeleteObject => "DeleteObject",
            Method::GetParameterNames => "GetParameterNames",
        }
    }
}

/// What a device answered to a blocking call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// GetParameterValues: paths and values.
    Values(Vec<(String, String)>),
    /// SetParameterValues and DeleteObject.
    Done,
    /// AddObject.
    Added {
        /// The number of the new instance.
        instance_number: u32,
        /// 0 or 1.
        status: u8,
    },
    /// GetParameterNames.
    Names(Vec<String>),
}

/// Why a message had no success; scripts see it as the error table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// `error_message`.
    pub message: String,
    /// `error_code`: a CWMP fault code, or 400, 404, 408, 409.
    pub code: String,
    /// `parameter_faults`: name, code, text.
    pub parameter_faults: Vec<(String, String, String)>,
    /// `raw_response`: the device's answer as it came.
    pub raw_response: Option<String>,
}

impl Refusal {
    /// A refusal that no answer of a device stands behind.
    pub fn new(code: u16, message: impl Into<String>) -> Refusal {
        Refusal { message: message.into(), code: code.to_string(), ..Refusal::default() }
    }
}

/// A signal to end a run, given from outside; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// A signal that nobody gave yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Gives the signal; sleeping scripts wake at once.
    pub fn stop(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether it was given.
    pub fn is_stopped(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps for a while, or until the signal; whether it was given.
    pub fn wait(&self, time: Duration) -> bool {
        if let Some(until) = Instant::now().checked_add(time) {
            self.sleep_until(until);
        }
        self.is_stopped()
    }

    /// Sleeps until `until` or the signal.
    fn sleep_until(&self, until: Instant) {
        let mut stopped = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if *stopped || left.is_zero() {
                return;
            }
            stopped = self.0.1.wait_timeout(stopped, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What ends a run from outside the script: the signal, the deadline, or too much work.
#[derive(Debug, Clone)]
pub struct Fence {
    stop: Stop,
    limit: Option<(Instant, Duration)>,
    worn: Arc<AtomicBool>,
}

/// Which of them it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// [`Stop::stop`].
    Stopped,
    /// The run took longer than this.
    TimeUp(Duration),
    /// The script computed more than it may.
    Worn,
}

/// How long somebody sleeps who asks for for ever.
const AGES: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl Fence {
    /// A fence that falls in `limit` from now, or when `stop` is given; [`Duration::MAX`] is no limit.
    pub fn new(stop: &Stop, limit: Duration) -> Fence {
        let limit = Instant::now().checked_add(limit).filter(|_| limit < AGES).map(|end| (end, limit));
        Fence { stop: stop.clone(), limit, worn: Arc::default() }
    }

    /// Makes it fall: the script has computed enough.
    pub fn wear(&self) {
        self.worn.store(true, Ordering::Relaxed);
    }

    /// Whether the run must end, and why.
    pub fn ended(&self) -> Option<Ended> {
        if self.stop.is_stopped() {
            return Some(Ended::Stopped);
        }
        if self.worn.load(Ordering::Relaxed) {
            return Some(Ended::Worn);
        }
        self.limit.filter(|(end, _)| Instant::now() >= *end).map(|(_, limit)| Ended::TimeUp(limit))
    }

    /// How long the run may still take.
    pub fn left(&self) -> Duration {
        self.limit.map_or(AGES, |(end, _)| end.saturating_duration_since(Instant::now()))
    }

    /// Sleeps `time`, less if the fence falls before.
    pub fn sleep(&self, time: Duration) {
        self.stop.sleep_until(Instant::now() + time.min(self.left()));
    }
}
