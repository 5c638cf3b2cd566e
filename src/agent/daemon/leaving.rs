//! The device going down, for a reboot, another firmware or a reset: nothing is begun that this would cut off.

use std::ffi::OsStr;
use std::time::Duration;

use log::{error, warn};

use super::Daemon;
use crate::agent::programs::Program;
use crate::transfer::plan::{Job as Planned, Outcome};

/// How long a device may take to go down; one that is still here then is taken to stay.
const GOING_DOWN: Duration = Duration::from_secs(120);

/// The program that ends this life.
pub(super) struct Leaving {
    child: u32,
    until: Duration,
    then: Then,
}

/// What its end means.
pub(super) enum Then {
    /// A failure is in the log.
    Nothing,
    /// The settings are forgotten: a reboot follows, whatever came of it.
    Reboot,
    /// A failure is that of a transfer.
    Installed(Box<Planned>),
}

impl Daemon {
    /// Whether the device is going down.
    pub(super) fn is_leaving(&self) -> bool {
        self.resetting || self.leaving.is_some()
    }

    /// When to give up waiting for that.
    pub(super) fn leaving_deadline(&self) -> Option<Duration> {
        self.leaving.as_ref().map(|leaving| leaving.until)
    }

    /// Starts a program that makes the device go down; false without such a program.
    pub(super) fn leave<A: AsRef<OsStr>>(&mut self, program: Program, arguments: &[A], then: Then) -> bool {
        let Some(child) = program.start(&self.options.root, arguments) else { return false };
        self.leaving = Some(Leaving { child: child.id(), until: self.clock.now() + GOING_DOWN, then });
        self.children.push(child);
        true
    }

    /// Buries children, and sees whether one was to end this life.
    pub(super) fn reap(&mut self) {
        let mut ended = Vec::new();
        self.children.retain_mut(|child| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                ended.push((child.id(), status));
                false
            }
            Err(_) => false,
        });
        let Some(leaving) = &self.leaving else { return };
        let status = ended.iter().find(|(id, _)| *id == leaving.child).map(|(_, status)| *status);
        let over = self.clock.now() >= leaving.until;
        let failed = status.and_then(|status| status.code()).is_some_and(|code| code != 0);
        let goes_on = matches!(leaving.then, Then::Reboot) && status.is_some();
        if !(over || failed || goes_on) {
            return;
        }
        let Some(leaving) = self.leaving.take() else { return };
        match leaving.then {
            Then::Reboot => {
                if failed || status.is_none() {
                    error!("the settings may not be forgotten: {} has failed", Program::FirstBoot.path());
                }
                self.leave::<&str>(Program::Reboot, &[], Then::Nothing);
            }
            Then::Installed(planned) if failed => {
                self.clear_scratch();
                let why = "sysupgrade has ended without installing the image";
                self.transfer_ends(&planned, &Outcome::failure(planned.request.method().failure(), why));
            }
            Then::Installed(_) | Then::Nothing => warn!("the device has not gone down"),
        }
    }
}
