//! The daemon's word to the services whose configuration has changed.

use std::time::Duration;

use super::Daemon;
use crate::agent::apply;

impl Daemon {
    /// Services whose configuration has changed are told, once; then what the data model has ordered is done.
    pub(super) fn reload_services(&mut self) {
        let touched = self.model.backend().take_touched();
        let ours = touched.contains("cwmp");
        self.services.add(touched, self.clock.now());
        self.tell_services();
        let restarted = apply::fulfil(self.model.backend(), &self.options.root);
        self.children.extend(restarted);
        if ours {
            self.reload();
        }
    }

    /// Tells those that are due.
    pub(super) fn tell_services(&mut self) {
        let now = self.clock.now();
        if self.desk.has_stood() {
            self.model.backend().bus().has_been_seen();
        }
        let child = self.services.tell(self.model.backend(), &self.options.root, now);
        self.children.extend(child);
    }

    /// Tells again what procd has not taken. Not during a session, which an interface that is restarted would cut off.
    pub(super) fn tell_services_again(&mut self, now: Duration) {
        if self.services_deadline().is_some_and(|at| now >= at) {
            self.tell_services();
            self.complain();
        }
    }

    /// When to do that.
    pub(super) fn services_deadline(&self) -> Option<Duration> {
        self.services.deadline().filter(|_| self.exchange.is_none() && !self.is_leaving())
    }
}
