//! The daemon of a build without XMPP.

use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use super::Daemon;

/// Nothing.
#[derive(Default)]
pub(super) struct Xmpp;

#[allow(clippy::unused_self, reason = "the other build has something to do")]
impl Xmpp {
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    pub(super) fn deadline(&self, _now: Duration) -> Option<Duration> {
        None
    }
}

#[allow(clippy::unused_self, reason = "the other build has something to do")]
impl Daemon {
    pub(super) fn configure_xmpp(&mut self) {}

    pub(super) fn xmpp_follows(&mut self, _is_another_device: bool, _now: Duration) {}

    pub(super) fn run_xmpp(&mut self, _ready: &[RawFd], _now: Duration) {}
}
