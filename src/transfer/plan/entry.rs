//! One transfer of the queue: when it may start, when it is too late, and what the end of an attempt means.

use serde::{Deserialize, Serialize};

use super::{Completion, Details, FileType, Id, Method, Outcome, Request, Window};
use crate::sys::age::Age;
use crate::sys::clock::Now;

/// A transfer starts within this many seconds of its time or fails (TR-069 A.3.2.8).
const START_WITHIN: u64 = 3600;
/// The wait before the first retry in a time window, in seconds; it doubles up to [`START_WITHIN`].
const FIRST_RETRY: u64 = 60;
/// What MaxRetries -1 means here.
const OWN_RETRIES: u32 = 5;
/// The most characters of a FaultString (TR-069 A.3.3.2).
const MAX_FAULT_STRING: usize = 256;
/// How long a router may take to go down for an installation, in seconds.
pub(super) const RESTART_WITHIN: u64 = 1800;

/// A transfer and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) id: Id,
    pub(super) request: Request,
    pub(super) file: FileType,
    pub(super) age: Age,
    pub(super) stage: Stage,
    /// When the last attempt started.
    #[serde(default)]
    pub(super) started: Option<i64>,
    /// The index of the time window whose turn it is.
    #[serde(default)]
    pub(super) window: usize,
    /// Failed attempts in it.
    #[serde(default)]
    pub(super) tries: u32,
    /// The age before which it is not tried again.
    #[serde(default)]
    pub(super) not_before: u64,
    /// Why the last attempt failed.
    #[serde(default)]
    pub(super) last: String,
    #[serde(skip)]
    pub(super) moved: u64,
}

/// Where it is on its way; the drawing is [`super`]'s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    Waiting,
    Running,
    Applying,
    Installing {
        /// The SoftwareVersion that ran.
        before: String,
        /// The one that shall run; `None`: any other.
        expected: Option<String>,
        /// The age at which the installation began.
        since: u64,
    },
    Done(Outcome),
    Told,
}

impl Entry {
    /// In progress, as CWMP sees it.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Running | Stage::Applying | Stage::Installing { .. })
    }

    fn windows(&self) -> &[Window] {
        match &self.request.details {
            Details::ScheduleDownload { windows, .. } => windows,
            _ => &[],
        }
    }

    /// The time window whose turn it is.
    pub(super) fn current(&self) -> Option<&Window> {
        self.windows().get(self.window)
    }

    /// WindowMode 3.
    pub(super) fn wants_idle(&self) -> bool {
        self.current().is_some_and(|window| window.mode.starts_with('3'))
    }

    /// The age at which it may start.
    pub(super) fn earliest(&self) -> u64 {
        match (&self.request.details, self.current()) {
            (Details::Download { delay_seconds, .. } | Details::Upload { delay_seconds }, _) => {
                u64::from(*delay_seconds)
            }
            (_, Some(window)) => u64::from(window.start).max(self.not_before),
            (_, None) => 0,
        }
    }

    /// The age at which it is too late to start.
    pub(super) fn latest(&self) -> u64 {
        match self.current() {
            Some(window) => u64::from(window.end),
            None => self.earliest().saturating_add(START_WITHIN + 1),
        }
    }

    /// Time has passed: what can no longer be done fails.
    pub(super) fn expire(&mut self, now: Now) {
        let age = self.age.seconds(now);
        let method = self.request.method();
        match &self.stage {
            Stage::Waiting if method == Method::ScheduleDownload => {
                while self.current().is_some_and(|window| age >= u64::from(window.end)) {
                    self.next_window();
                }
                if self.current().is_none() {
                    let mut text = "it could not be done within its time windows".to_owned();
                    if !self.last.is_empty() {
                        text = format!("{text}; the last attempt failed: {}", self.last);
                    }
                    self.stage = Stage::Done(self.report(&Outcome::failure(9020, text)));
                }
            }
            Stage::Waiting if age >= self.latest() => {
                let text = "it could not be started within an hour after its time";
                self.stage = Stage::Done(self.report(&Outcome::failure(method.failure(), text)));
            }
            Stage::Installing { since, .. } if age > since.saturating_add(RESTART_WITHIN) => {
                let text = "the router did not restart to finish the installation";
                self.end(&Outcome::failure(method.failure(), text), now);
            }
            _ => {}
        }
    }

    /// An attempt has ended: for good, or until the next that its windows allow.
    pub(super) fn end(&mut self, outcome: &Outcome, now: Now) {
        let Some(window) = self.current().filter(|_| outcome.fault_code != 0) else {
            self.stage = Stage::Done(self.report(outcome));
            return;
        };
        let allowed = u32::try_from(window.max_retries).unwrap_or(OWN_RETRIES);
        self.stage = Stage::Waiting;
        let text = format!("{} {}", outcome.fault_code, outcome.fault_string);
        self.last = text.chars().take(MAX_FAULT_STRING).collect();
        self.tries = self.tries.saturating_add(1);
        if self.tries > allowed {
            self.next_window();
        } else {
            let wait = FIRST_RETRY << (self.tries - 1).min(16);
            self.not_before = self.age.seconds(now).saturating_add(wait.min(START_WITHIN));
        }
        self.expire(now);
    }

    fn next_window(&mut self) {
        self.window = self.window.saturating_add(1);
        self.tries = 0;
        self.not_before = 0;
    }

    /// An outcome as TransferComplete may tell it.
    fn report(&self, outcome: &Outcome) -> Outcome {
        let start = outcome.start.or(self.started);
        if outcome.fault_code == 0 {
            return Outcome::success(start, outcome.complete);
        }
        let fault_code = self.request.method().told(outcome.fault_code);
        let fault_string = outcome.fault_string.chars().take(MAX_FAULT_STRING).collect();
        Outcome { fault_code, fault_string, start, complete: None }
    }

    /// What the ACS is to be told, if it has ended and is not told.
    pub(super) fn completion(&self) -> Option<Completion> {
        let Stage::Done(outcome) = &self.stage else { return None };
        Some(Completion {
            id: self.id,
            command_key: self.request.command_key.clone(),
            method: self.request.method(),
            fault_code: outcome.fault_code,
            fault_string: outcome.fault_string.clone(),
            start: outcome.start,
            complete: outcome.complete,
        })
    }
}

/// What a restart makes of an attempt.
pub(super) fn interrupted(method: Method) -> Outcome {
    Outcome::failure(method.failure(), "it was interrupted by a restart")
}
