//! The clocks: the wall's, which may jump and may be unset, and the monotonic one.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Before this the wall clock is taken as not set: a router without a battery starts in 1970 or at its
/// firmware's build date (2024-01-01T00:00:00Z).
pub const EARLIEST_PLAUSIBLE: i64 = 1_704_067_200;

/// What both clocks show: how the pure modules are told the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time since any fixed moment.
    pub mono: Duration,
    /// Seconds of the Unix epoch; `None` while the clock is known to be wrong.
    pub wall: Option<i64>,
}

/// The wall clock in seconds since 1970, negative before.
pub fn epoch_seconds() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}

/// Whether the wall clock has been set.
pub fn is_set() -> bool {
    epoch_seconds() >= EARLIEST_PLAUSIBLE
}

/// A monotonic clock that starts at zero when it is made.
#[derive(Debug, Clone, Copy)]
pub struct Monotonic(Instant);

impl Monotonic {
    /// Starts now.
    pub fn start() -> Monotonic {
        Monotonic(Instant::now())
    }

    /// One that was started some time ago, for tests that cannot wait.
    #[cfg(test)]
    pub(crate) fn started_before(time: Duration) -> Monotonic {
        Monotonic(Instant::now().checked_sub(time).expect("the machine runs for longer than a test's time"))
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        self.0.elapsed()
    }

    /// The instant of a time since the start, for interfaces that want one.
    pub fn instant(&self, at: Duration) -> Instant {
        self.0.checked_add(at).unwrap_or_else(Instant::now)
    }
}
