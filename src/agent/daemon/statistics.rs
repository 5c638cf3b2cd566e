//! The daemon's periodic statistics: looked at when they are due, between sessions.

use std::time::Duration;

use super::{Daemon, both_clocks};
use crate::agent::statistics;

impl Daemon {
    /// When a sample is due.
    pub(super) fn statistics_deadline(&mut self) -> Option<Duration> {
        // During a session the model looks frozen (TR-069 3.7.1.3).
        let free = self.exchange.is_none() && !self.resetting;
        self.model.backend().statistics().deadline().filter(|_| free)
    }

    /// Takes the samples that are due, and tells an ACS that wants to know when it can fetch them.
    pub(super) fn run_statistics(&mut self) {
        let now = both_clocks(&self.clock);
        if self.statistics_deadline().is_none_or(|at| at > now.mono) {
            return;
        }
        self.model.refresh();
        self.tell();
        let triggered = statistics::look(&mut self.model, now, true);
        for name in &triggered {
            let found = self.file.state.watch.flashed(&self.model, name);
            self.announce(&found);
        }
        self.complain();
        if !triggered.is_empty() {
            self.save();
        }
    }
}
