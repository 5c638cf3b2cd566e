//! When to try again after a failed session (TR-069 3.2.1.1, table 3).
//!
//! ```text
//!  session failed ─► retry 1 ─► retry 2 ─► … ─► retry 10 ─► retry 10 ─► …
//!        ▲              each waits m·(k/1000)^(n-1) to m·(k/1000)^n seconds, evenly drawn
//!        └──── a session succeeded: count and ladder at 0; a reboot: ladder at 0, count goes on
//! ```
//!
//! A new event may start the next session before the wait is over. That session is a retry like any
//! other: it reports the same RetryCount, and if it fails the ladder goes one rung up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The rung after which the window no longer grows.
pub const LAST_RUNG: u32 = 10;

/// CWMPRetryMinimumWaitInterval and CWMPRetryIntervalMultiplier, both within their ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    minimum: u16,
    multiplier: u16,
}

impl Policy {
    /// `minimum` in seconds, 1 to 65535; `multiplier` in thousandths, 1000 to 65535. Values
    /// outside (from a provisioning server, say) are clamped.
    pub fn new(minimum: u32, multiplier: u32) -> Policy {
        let within = |value: u32, least: u16| u16::try_from(value).unwrap_or(u16::MAX).max(least);
        Policy { minimum: within(minimum, 1), multiplier: within(multiplier, 1000) }
    }

    /// The least and the greatest wait before retry `n`; `n` counts from 1 and stops at 10.
    pub fn window(self, n: u32) -> (Duration, Duration) {
        let mut least = u128::from(self.minimum) * 1_000_000;
        let mut most = least;
        // At most ten steps, and 65535·65.535^10 seconds are below 2^97 microseconds.
        for _ in 0..n.clamp(1, LAST_RUNG) {
            least = most;
            most = most * u128::from(self.multiplier) / 1000;
        }
        (micros(least), micros(most))
    }

    /// The wait before retry `n`: the window's least for `random` 0, its greatest for `u32::MAX`.
    pub fn wait(self, n: u32, random: u32) -> Duration {
        let (least, most) = self.window(n);
        let span = most.saturating_sub(least).as_micros();
        least.saturating_add(micros(span * u128::from(random) / u128::from(u32::MAX)))
    }
}

impl Default for Policy {
    /// 5 s and 2.000, the factory default.
    fn default() -> Policy {
        Policy { minimum: 5, multiplier: 2000 }
    }
}

/// How many sessions have failed in a row, and where on the ladder the next wait stands.
/// Kept in the state file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ladder {
    count: u32,
    rung: u32,
}

impl Ladder {
    /// RetryCount for the next Inform: 0 exactly when the last session was successful.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The session ended unsuccessfully, whether events were delivered in it or not.
    pub fn failed(&mut self) {
        self.count = self.count.saturating_add(1);
        self.rung = self.rung.saturating_add(1).min(LAST_RUNG);
    }

    /// The session ended successfully.
    pub fn succeeded(&mut self) {
        *self = Ladder::default();
    }

    /// The device was rebooted: waits start small again, the count goes on.
    pub fn rebooted(&mut self) {
        self.rung = 0;
    }

    /// How long to wait for the retry; `None` when no session has failed since the last success or
    /// reboot (after a reboot the session for `1 BOOT` is the retry).
    pub fn wait(self, policy: Policy, random: u32) -> Option<Duration> {
        (self.rung > 0).then(|| policy.wait(self.rung, random))
    }
}

/// Microseconds as a duration; more than fit are as good as for ever.
fn micros(micros: u128) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_of_the_standard() {
        let rows = [
            (5, 10),
            (10, 20),
            (20, 40),
            (40, 80),
            (80, 160),
            (160, 320),
            (320, 640),
            (640, 1280),
            (1280, 2560),
        ];
        let rows = rows.into_iter().chain([(2560, 5120); 4]);
        for (n, (least, most)) in (1..).zip(rows) {
            let seconds = |n| Duration::from_secs(n);
            assert_eq!(Policy::default().window(n), (seconds(least), seconds(most)), "retry {n}");
            assert_eq!(Policy::default().wait(n, 0), seconds(least));
            assert_eq!(Policy::default().wait(n, u32::MAX), seconds(most));
        }
    }

    #[test]
    fn fractions_of_a_multiplier_count() {
        // 7 s at 1.500: 7, 10.5, 15.75.
        let policy = Policy::new(7, 1500);
        assert_eq!(policy.window(2), (Duration::from_millis(10_500), Duration::from_millis(15_750)));
        assert_eq!(Policy::new(7, 1000).window(10), (Duration::from_secs(7), Duration::from_secs(7)));
    }

    #[test]
    fn settings_are_clamped() {
        assert_eq!(Policy::new(0, 0), Policy::new(1, 1000));
        assert_eq!(Policy::new(u32::MAX, u32::MAX), Policy::new(65_535, 65_535));
        assert!(Policy::new(65_535, 65_535).wait(u32::MAX, u32::MAX) > Duration::from_secs(1 << 40));
    }

    #[test]
    fn count_and_ladder_part_at_a_reboot() {
        let mut ladder = Ladder::default();
        assert_eq!((ladder.count(), ladder.wait(Policy::default(), 0)), (0, None));
        for _ in 0..3 {
            ladder.failed();
        }
        assert_eq!((ladder.count(), ladder.wait(Policy::default(), 0)), (3, Some(Duration::from_secs(20))));
        let stored = serde_json::to_string(&ladder).unwrap();
        let mut ladder: Ladder = serde_json::from_str(&stored).unwrap();
        ladder.rebooted();
        assert_eq!((ladder.count(), ladder.wait(Policy::default(), 0)), (3, None));
        ladder.failed();
        assert_eq!((ladder.count(), ladder.wait(Policy::default(), 0)), (4, Some(Duration::from_secs(5))));
        ladder.succeeded();
        assert_eq!((ladder.count(), ladder.wait(Policy::default(), 0)), (0, None));
    }

    #[test]
    fn the_ladder_ends_and_the_count_does_not() {
        let mut ladder = Ladder::default();
        for _ in 0..1000 {
            ladder.failed();
        }
        assert_eq!(ladder.count(), 1000);
        assert_eq!(ladder.wait(Policy::default(), u32::MAX), Some(Duration::from_secs(5120)));
        let mut full = Ladder { count: u32::MAX, rung: u32::MAX };
        full.failed();
        assert_eq!(full.count(), u32::MAX);
    }

    proptest! {
        #[test]
        fn a_wait_lies_in_its_window(m in any::<u32>(), k in any::<u32>(), n in any::<u32>(), random in any::<u32>()) {
            let policy = Policy::new(m, k);
            let (least, most) = policy.window(n);
            let wait = policy.wait(n, random);
            prop_assert!(least <= wait && wait <= most);
        }
    }
}
