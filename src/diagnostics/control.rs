//! What may end a test early: its deadline and the cancel flag, looked at in every wait.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::diagnostics::State;

/// The longest wait without a look at the cancel flag.
const SLICE: Duration = Duration::from_millis(100);

/// The deadline and the cancel flag of a running test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Control<'a> {
    cancel: &'a AtomicBool,
    deadline: Instant,
}

impl<'a> Control<'a> {
    /// A control of the flag (raised by whoever cancels) and the moment by which all must be over.
    pub(crate) fn new(cancel: &'a AtomicBool, deadline: Instant) -> Control<'a> {
        Control { cancel, deadline }
    }

    /// Errs with `Canceled` or, past the deadline, with `Timeout`.
    pub(crate) fn check(&self) -> Result<(), State> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(State::Canceled);
        }
        if Instant::now() >= self.deadline {
            return Err(State::Timeout);
        }
        Ok(())
    }

    /// Waits for the descriptor, at most until `until`. Gives whether it has something.
    pub(crate) fn wait(&self, fd: BorrowedFd<'_>, flags: PollFlags, until: Instant) -> Result<bool, State> {
        loop {
            self.check()?;
            let left = self.slice(until);
            let mut fds = [PollFd::new(fd, flags)];
            // poll(2) counts milliseconds: rounding down would spin through the last of them.
            let left_up = left.checked_add(Duration::from_micros(999)).unwrap_or(left);
            match poll(&mut fds, PollTimeout::try_from(left_up).unwrap_or(PollTimeout::MAX)) {
                Ok(0) if left.is_zero() => return Ok(false),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(_) => return Err(State::Internal),
            }
        }
    }

    /// Sleeps until then.
    pub(crate) fn sleep(&self, until: Instant) -> Result<(), State> {
        loop {
            self.check()?;
            let left = self.slice(until);
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left);
        }
    }

    /// `until`, or the deadline if that comes first.
    pub(crate) fn within(&self, until: Instant) -> Instant {
        until.min(self.deadline)
    }

    /// The time from now on, or the deadline if that comes first or the sum is beyond the clock.
    pub(crate) fn after(&self, time: Duration) -> Instant {
        Instant::now().checked_add(time).map_or(self.deadline, |until| self.within(until))
    }

    fn slice(&self, until: Instant) -> Duration {
        self.within(until).saturating_duration_since(Instant::now()).min(SLICE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_by_flag_and_by_deadline() {
        let flag = AtomicBool::new(false);
        let soon = Instant::now() + Duration::from_millis(30);
        let control = Control::new(&flag, soon);
        assert_eq!(control.sleep(soon + Duration::from_secs(60)), Err(State::Timeout));
        let control = Control::new(&flag, soon + Duration::from_secs(60));
        assert_eq!(control.sleep(Instant::now()), Ok(()));
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| control.sleep(soon + Duration::from_secs(60)));
            flag.store(true, Ordering::Relaxed);
            assert_eq!(sleeper.join().unwrap(), Err(State::Canceled));
        });
    }
}
