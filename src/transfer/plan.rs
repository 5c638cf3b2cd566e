//! The queue of transfers the ACS asked for: what is due, what has ended, what the ACS has still to hear. Pure.
//!
//! ```text
//!  accept ─► waiting ─started─► running ─apply─► applying ─installing─► installing
//!               ▲  │               │                │                       │ resume after the reboot
//!    another    │  └ too late      └────────── finished ────────────────────┘
//!    attempt of │         │                         │
//!    a schedule └─────────┼── failed, more allowed ─┤
//!                         └─────────► done ◄────────┘
//!                                      │ hand_over: the message is in the event queue
//!                                     told ─delivered─► gone
//! ```
//!
//! A transfer that was accepted and not cancelled comes to `done` exactly once. A cancelled one never does.
//!
//! # When to save
//! The plan and the event queue are parts of one state file, replaced as a whole. Exactly one TransferComplete
//! comes of every request, wherever a SIGKILL falls, if the agent saves
//! 1. after [`Plan::accept`], before it answers the ACS;
//! 2. after [`Plan::started`], before it starts the worker: an attempt is never repeated unasked;
//! 3. after [`Plan::apply`] and [`Plan::installing`], before the system is touched;
//! 4. after [`Plan::cancel`], before it answers;
//! 5. after [`Plan::finished`], [`Plan::due`] or [`Plan::resume`] *and* the [`Plan::hand_over`] that follows,
//!    with no save between a hand-over's beginning and end: the message moves from one queue to the
//!    other within one replacement of the file;
//! 6. after [`Plan::delivered`], together with the event queue's own receipt.
//!
//! # Time
//! Delays and windows count from the request, by [`Age`]. To be asked at least once a minute while something
//! waits, so that a clock that was set is noticed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sys::age::Age;
use crate::sys::clock::Now;

mod entry;
mod request;

use entry::{Entry, RESTART_WITHIN, Stage, interrupted};

pub use request::{Details, FileType, Method, Refused, Request, Secret, Window};

/// `TransferList[16]` (TR-069 A.4.1.7); the standard asks for three at least.
pub const CAPACITY: usize = 16;
/// How often idleness is asked for, in seconds.
const IDLE_EVERY: u64 = 60;

/// The name of a transfer in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(u32);

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name in the queue.
    pub id: Id,
    /// The FileType, understood.
    pub file: FileType,
    /// The request.
    pub request: Request,
    /// The end of its time window on the monotonic clock: it must be over by then. `None` without window.
    pub finish_by: Option<Duration>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// 0, or one of TransferComplete's fault codes; any other is reported as the general failure.
    pub fault_code: u16,
    /// Why, without secrets; empty for success.
    pub fault_string: String,
    /// Epoch seconds; `None`: the time it was [`Plan::started`].
    pub start: Option<i64>,
    /// Epoch seconds of success; `None` for the unknown time.
    pub complete: Option<i64>,
}

impl Outcome {
    /// It worked.
    pub fn success(start: Option<i64>, complete: Option<i64>) -> Outcome {
        Outcome { start, complete, ..Outcome::default() }
    }

    /// It did not.
    pub fn failure(fault_code: u16, fault_string: impl Into<String>) -> Outcome {
        Outcome { fault_code, fault_string: fault_string.into(), start: None, complete: None }
    }
}

/// What the ACS must be told: one TransferComplete with `M <method>` of this key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// For [`Plan::delivered`].
    pub id: Id,
    /// CommandKey.
    pub command_key: String,
    /// The method of the `M` event.
    pub method: Method,
    /// 0 or a fault of TransferComplete's list.
    pub fault_code: u16,
    /// At most 256 characters.
    pub fault_string: String,
    /// Epoch seconds; `None` for the unknown time.
    pub start: Option<i64>,
    /// Epoch seconds; `None` for the unknown time, always so on failure.
    pub complete: Option<i64>,
}

/// An entry of GetAllQueuedTransfers; GetQueuedTransfers takes the first two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// CommandKey.
    pub command_key: String,
    /// 1 not yet started, 2 in progress, 3 completed.
    pub state: u8,
    /// Not an upload.
    pub is_download: bool,
    /// FileType in this method's own numbering.
    pub file_type: String,
    /// FileSize.
    pub file_size: u32,
    /// TargetFileName.
    pub target_file_name: String,
    /// Octets moved so far; for the status, not for the ACS.
    pub moved: u64,
}

/// What became of a CancelTransfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// The transfer whose worker must be stopped; its result will be ignored.
    pub stop: Option<Id>,
    /// 9021 when at least one with this key cannot be cancelled any more. The others are.
    pub refused: Option<Refused>,
}

/// The queue; kept in the state file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Plan {
    counter: u32,
    entries: Vec<Entry>,
}

/// What a state file may hold.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Stored {
    counter: u32,
    entries: Vec<Entry>,
}

impl From<Stored> for Plan {
    fn from(stored: Stored) -> Plan {
        let mut plan = Plan { counter: stored.counter, entries: Vec::new() };
        for entry in stored.entries {
            let known = plan.entries.iter().any(|other| other.id == entry.id);
            if plan.entries.len() < CAPACITY && !known && entry.request.is_bounded().is_ok() {
                plan.entries.push(entry);
            }
        }
        plan
    }
}

impl Plan {
    /// Takes a request into the queue. The response says Status 1: it is done later.
    ///
    /// # Errors
    /// 9003 for a bad argument, an unsupported FileType, credentials in the URL, impossible windows; 9013
    /// for an unsupported scheme; 9004 when [`CAPACITY`] transfers are here, told but not delivered included.
    pub fn accept(&mut self, request: Request, now: Now) -> Result<Id, Refused> {
        let file = request.check()?;
        if self.entries.len() >= CAPACITY {
            return Err(Refused::new(9004, format!("{CAPACITY} transfers are waiting")));
        }
        let id = self.next();
        self.entries.push(Entry {
            id,
            request,
            file,
            age: Age::start(now),
            stage: Stage::Waiting,
            started: None,
            window: 0,
            tries: 0,
            not_before: 0,
            last: String::new(),
            moved: 0,
        });
        Ok(id)
    }

    /// The daemon starts: to be called once, before all else, with whether the device has been rebooted since
    /// the state was written and the SoftwareVersion that runs. Interrupted transfers fail, but a
    /// ScheduleDownload may have more attempts; an installation that asked for a reboot is judged after it.
    pub fn resume(&mut self, rebooted: bool, version: &str, now: Now) {
        for entry in &mut self.entries {
            entry.age.look(now);
            let outcome = match &entry.stage {
                Stage::Running | Stage::Applying => interrupted(entry.request.method()),
                Stage::Installing { before, expected, .. } if rebooted => {
                    let installed = match expected {
                        Some(expected) => version == expected,
                        None => version != before,
                    };
                    if installed {
                        Outcome::success(None, now.wall)
                    } else {
                        let text = format!("after the reboot version {version} is running");
                        Outcome::failure(entry.request.method().failure(), text)
                    }
                }
                _ => continue,
            };
            entry.end(&outcome, now);
        }
        self.look(now);
    }

    /// Whether what was fetched is being put in its place.
    pub fn is_applying(&self) -> bool {
        self.entries.iter().any(|entry| entry.stage == Stage::Applying)
    }

    /// Whether an image is being installed, by a program that ends with a reboot.
    pub fn is_installing(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.stage, Stage::Installing { .. }))
    }

    /// The next transfer to start: none while one is in progress. To be called between sessions; the agent
    /// starts it or asks again later. `idle`: nobody uses the router, which WindowMode 3 waits for. Transfers whose time has
    /// passed fail here, so [`Plan::hand_over`] follows.
    pub fn due(&mut self, now: Now, idle: bool) -> Option<Job> {
        self.look(now);
        if self.is_busy() {
            return None;
        }
        let ready = self.entries.iter().filter(|entry| {
            entry.stage == Stage::Waiting
                && entry.earliest() <= entry.age.seconds(now)
                && (idle || !entry.wants_idle())
        });
        // What has the least time left goes first, then what was asked for first.
        let entry =
            ready.min_by_key(|entry| (entry.latest().saturating_sub(entry.age.seconds(now)), entry.id))?;
        let end = entry.current().map(|window| entry.age.reaches(u64::from(window.end), now));
        Some(Job { id: entry.id, file: entry.file, request: entry.request.clone(), finish_by: end })
    }

    /// The monotonic time by which to ask [`Plan::due`] again; `None` with nothing to wait for. It is now if
    /// something is due and was not started.
    pub fn deadline(&self, now: Now) -> Option<Duration> {
        let busy = self.is_busy();
        let next = |entry: &Entry| {
            let age = entry.age.seconds(now);
            let at = match &entry.stage {
                Stage::Installing { since, .. } => since.saturating_add(RESTART_WITHIN + 1),
                Stage::Waiting if busy => entry.latest(),
                Stage::Waiting if entry.wants_idle() && entry.earliest() <= age => {
                    entry.latest().min(age.saturating_add(IDLE_EVERY))
                }
                Stage::Waiting => entry.earliest().min(entry.latest()),
                _ => return None,
            };
            Some(entry.age.reaches(at, now))
        };
        self.entries.iter().filter_map(next).min()
    }

    /// The job is being started; saved before its worker is. What does not wait is left alone.
    pub fn started(&mut self, id: Id, now: Now) {
        if let Some(entry) = self.entry(id).filter(|entry| entry.stage == Stage::Waiting) {
            entry.stage = Stage::Running;
            entry.started = now.wall;
            entry.moved = 0;
        }
    }

    /// So many octets have been moved.
    pub fn progress(&mut self, id: Id, octets: u64) {
        if let Some(entry) = self.entry(id) {
            entry.moved = octets;
        }
    }

    /// The file is here and shall be applied; from now on the transfer cannot be cancelled.
    ///
    /// # Errors
    /// 9020 when its time window is over: nothing may be applied, and the attempt has ended so.
    /// 9021 when it has been cancelled or is not running.
    pub fn apply(&mut self, id: Id, now: Now) -> Result<(), Refused> {
        let Some(entry) = self.entry(id).filter(|entry| entry.stage == Stage::Running) else {
            return Err(Refused::new(9021, "the transfer is not in progress any more"));
        };
        let age = entry.age.seconds(now);
        if entry.current().is_some_and(|window| age >= u64::from(window.end)) {
            let refused = Refused::new(9020, "the time window ended before the file could be applied");
            entry.end(&Outcome::failure(refused.code, refused.reason.clone()), now);
            return Err(refused);
        }
        entry.stage = Stage::Applying;
        Ok(())
    }

    /// What is applied needs a reboot: success is what [`Plan::resume`] finds after it. `running` is the
    /// SoftwareVersion now, `expected` that of the image if it is known; without it any other version is success. A
    /// configuration is judged with `expected` equal to `running`. If no reboot comes within half an hour it has failed.
    pub fn installing(&mut self, id: Id, running: &str, expected: Option<&str>, now: Now) {
        if let Some(entry) = self.entry(id).filter(|entry| entry.stage == Stage::Applying) {
            entry.stage = Stage::Installing {
                before: running.to_owned(),
                expected: expected.map(str::to_owned),
                since: entry.age.seconds(now),
            };
        }
    }

    /// The attempt has ended. What is not in progress (cancelled meanwhile, ended already) is left alone.
    pub fn finished(&mut self, id: Id, outcome: &Outcome, now: Now) {
        if let Some(entry) = self.entry(id).filter(|entry| entry.is_busy()) {
            entry.end(outcome, now);
        }
    }

    /// Gives everything that has ended to `take`, which puts it into the event queue and says whether it
    /// could; what it could not take is offered again.
    pub fn hand_over(&mut self, mut take: impl FnMut(&Completion) -> bool) {
        for entry in &mut self.entries {
            if entry.completion().is_some_and(|completion| take(&completion)) {
                entry.stage = Stage::Told;
            }
        }
    }

    /// The ACS has confirmed the TransferComplete.
    pub fn delivered(&mut self, id: Id) {
        self.retain_told(|told| told != id);
    }

    /// Keeps of what was handed over only what `waits` in the event queue: after BOOTSTRAP has emptied it.
    pub fn retain_told(&mut self, mut waits: impl FnMut(Id) -> bool) {
        self.entries.retain(|entry| entry.stage != Stage::Told || waits(entry.id));
    }

    /// CancelTransfer: drops all with this key that can be; they get no completion. An unknown key is fine.
    pub fn cancel(&mut self, command_key: &str) -> Cancelled {
        let mut cancelled = Cancelled { stop: None, refused: None };
        self.entries.retain(|entry| {
            if entry.request.command_key != command_key {
                return true;
            }
            match entry.stage {
                Stage::Waiting => false,
                Stage::Running => {
                    cancelled.stop = Some(entry.id);
                    false
                }
                Stage::Applying | Stage::Installing { .. } => {
                    cancelled.refused = Some(Refused::new(9021, "the file is being applied"));
                    true
                }
                Stage::Done(_) | Stage::Told => {
                    let reason = "the transfer has ended and its completion is on its way";
                    cancelled.refused.get_or_insert(Refused::new(9021, reason));
                    true
                }
            }
        });
        cancelled
    }

    /// All that the ACS has not confirmed the end of, by age.
    pub fn list(&self) -> Vec<Listed> {
        let listed = |entry: &Entry| {
            let (file_size, name) = entry.request.target();
            Listed {
                command_key: entry.request.command_key.clone(),
                state: match entry.stage {
                    Stage::Waiting => 1,
                    Stage::Running | Stage::Applying | Stage::Installing { .. } => 2,
                    Stage::Done(_) | Stage::Told => 3,
                },
                is_download: entry.request.method() != Method::Upload,
                file_type: entry.file.to_string(),
                file_size,
                target_file_name: name.to_owned(),
                moved: entry.moved,
            }
        };
        self.entries.iter().map(listed).collect()
    }

    /// There is nothing to do, to tell or to confirm.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A transfer is running, being applied or waiting for its reboot.
    pub fn is_busy(&self) -> bool {
        self.entries.iter().any(Entry::is_busy)
    }

    /// FactoryReset: everything is forgotten.
    pub fn factory_reset(&mut self) {
        self.entries.clear();
    }

    fn entry(&mut self, id: Id) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }

    fn next(&mut self) -> Id {
        loop {
            self.counter = self.counter.wrapping_add(1);
            let id = Id(self.counter);
            if self.entries.iter().all(|entry| entry.id != id) {
                return id;
            }
        }
    }

    /// Lets time pass: what can no longer be done fails.
    fn look(&mut self, now: Now) {
        for entry in &mut self.entries {
            entry.age.look(now);
            entry.expire(now);
        }
    }
}

#[cfg(test)]
mod tests;
