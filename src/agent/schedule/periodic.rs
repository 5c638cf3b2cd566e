//! When the next periodic Inform (or heartbeat) is due. Pure: both clocks and the random phase are arguments.
//!
//! ```text
//!  PeriodicInformTime known, clock set:      reference + n·interval, n any integer
//!  either unknown:                           start + phase + n·interval on the monotonic clock
//! ```
//!
//! The wall clock of a router starts in 1970 and jumps when NTP answers. So a due time is kept on
//! the monotonic clock, and every [`Periodic::tick`] compares how the clocks stand to each other: when
//! the wall clock has been set, the due time is worked out again. Two rules keep a jumping clock from
//! flooding the ACS or silencing the device: a recomputed point less than half an interval after the
//! last firing is skipped for the next one, and no recomputation pushes the due time further away than
//! one and a half intervals from the last firing.

use std::time::Duration;

use crate::sys::clock::Now;

/// PeriodicInformEnable, PeriodicInformInterval and PeriodicInformTime (or their like for heartbeats).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Off: nothing is ever due.
    pub enabled: bool,
    /// Seconds; 0 is read as 1.
    pub interval: u32,
    /// Epoch seconds, past or future; `None` is the standard's unknown time.
    pub reference: Option<i64>,
}

/// The clock of one recurring event.
#[derive(Debug, Clone)]
pub struct Periodic {
    settings: Settings,
    /// Where in an interval a device without a reference fires, as a fraction of 2^32.
    phase: u32,
    /// Monotonic.
    due: Duration,
    /// Monotonic time of the last firing, or of the start or change of settings before the first.
    last: Duration,
    /// Whether `last` is a firing.
    fired: bool,
    /// Wall minus monotonic in seconds when `due` was worked out.
    skew: Option<i64>,
}

/// A clock may be read a second early or late; only more than this is a jump.
const JUMP: u64 = 2;

impl Periodic {
    /// Starts now. `phase` is a random number that stays the same for this device's run.
    pub fn new(settings: Settings, phase: u32, now: Now) -> Periodic {
        let mut periodic =
            Periodic { settings, phase, due: now.mono, last: now.mono, fired: false, skew: None };
        periodic.restart(now);
        periodic
    }

    /// Takes new settings; the same ones change nothing.
    pub fn change(&mut self, settings: Settings, now: Now) {
        if settings != self.settings {
            self.settings = settings;
            self.restart(now);
        }
    }

    /// The monotonic time to call [`Periodic::tick`] at, at the latest; `None` when disabled.
    pub fn deadline(&self) -> Option<Duration> {
        self.settings.enabled.then_some(self.due)
    }

    /// Whether it fires now. However much time was missed, it fires once.
    pub fn tick(&mut self, now: Now) -> bool {
        if !self.settings.enabled {
            return false;
        }
        if now.mono >= self.due {
            self.last = now.mono;
            self.fired = true;
            self.due = self.next(now);
            self.skew = skew(now);
            return true;
        }
        if self.jumped(now) {
            self.skew = skew(now);
            self.due = self.after_jump(now);
        }
        false
    }

    fn restart(&mut self, now: Now) {
        self.last = now.mono;
        self.fired = false;
        self.skew = skew(now);
        self.due = match self.grid(now) {
            Some(due) => due,
            None => {
                let wait = (self.interval().as_micros() * u128::from(self.phase)) >> 32;
                now.mono.saturating_add(Duration::from_micros(u64::try_from(wait).unwrap_or(u64::MAX)))
            }
        };
    }

    /// The due time after one that has just been reached.
    fn next(&self, now: Now) -> Duration {
        if let Some(due) = self.grid(now) {
            // The wall clock's seconds may lag behind the monotonic time that `due` was made of. A tick
            // that came late has nothing to do with it: its next point is a new one.
            let late = now.mono.saturating_sub(self.due) > Duration::from_secs(JUMP);
            return if !late && self.too_soon(due) { due.saturating_add(self.interval()) } else { due };
        }
        let late = now.mono.saturating_sub(self.due).as_micros();
        let ahead = self.interval().as_micros() - late % self.interval().as_micros();
        now.mono.saturating_add(Duration::from_micros(u64::try_from(ahead).unwrap_or(u64::MAX)))
    }

    fn after_jump(&self, now: Now) -> Duration {
        let Some(due) = self.grid(now) else { return self.due };
        if self.too_soon(due) {
            return due.saturating_add(self.interval());
        }
        due.min(self.last.saturating_add(self.interval() + self.interval() / 2)).max(now.mono)
    }

    /// The first point of the grid after now; `None` without a reference or a clock.
    fn grid(&self, now: Now) -> Option<Duration> {
        let (reference, wall) = (self.settings.reference?, now.wall?);
        let interval = i128::from(self.interval().as_secs());
        let past = (i128::from(wall) - i128::from(reference)).rem_euclid(interval);
        Some(now.mono.saturating_add(Duration::from_secs(u64::try_from(interval - past).ok()?)))
    }

    fn too_soon(&self, due: Duration) -> bool {
        self.fired && due.saturating_sub(self.last) < self.interval() / 2
    }

    fn jumped(&self, now: Now) -> bool {
        match (self.skew, skew(now)) {
            (Some(before), Some(after)) => before.abs_diff(after) > JUMP,
            (before, after) => before.is_some() != after.is_some(),
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.interval.max(1)))
    }
}

fn skew(now: Now) -> Option<i64> {
    Some(now.wall?.saturating_sub(i64::try_from(now.mono.as_secs()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u32 = 86_400;
    /// 2026-11-21T05:00:00Z.
    const TODAY: i64 = 1_795_237_200;

    fn at(mono: u64, wall: impl Into<Option<i64>>) -> Now {
        Now { mono: Duration::from_secs(mono), wall: wall.into() }
    }

    fn every(interval: u32, reference: impl Into<Option<i64>>) -> Settings {
        Settings { enabled: true, interval, reference: reference.into() }
    }

    /// The firings within `seconds`, with a wall clock that starts at `wall` and keeps pace.
    fn firings(periodic: &mut Periodic, from: u64, seconds: u64, wall: Option<i64>) -> Vec<u64> {
        (from..from + seconds)
            .filter(|&mono| periodic.tick(at(mono, wall.map(|wall| wall + (mono - from) as i64))))
            .collect()
    }

    #[test]
    fn follows_the_reference_past_or_future() {
        for reference in
            [TODAY - 7 * 60 - 600_001_200, TODAY - 7 * 60, TODAY + 53 * 60, TODAY + 53 * 60 + 3_600_000]
        {
            let mut periodic = Periodic::new(every(3600, reference), 0, at(100, TODAY));
            assert_eq!(periodic.deadline(), Some(Duration::from_secs(100 + 53 * 60)), "{reference}");
            assert_eq!(firings(&mut periodic, 100, 9000, Some(TODAY)), [3280, 6880]);
        }
    }

    #[test]
    fn a_time_unknown_means_a_phase_of_its_own() {
        let mut periodic = Periodic::new(every(1000, None), 1 << 31, at(100, TODAY));
        assert_eq!(firings(&mut periodic, 100, 3000, Some(TODAY)), [600, 1600, 2600]);
        let mut periodic = Periodic::new(every(1000, TODAY), 1 << 30, at(100, None));
        assert_eq!(firings(&mut periodic, 100, 2000, None), [350, 1350]);
    }

    #[test]
    fn disabled_is_silent() {
        let mut periodic = Periodic::new(Settings { enabled: false, ..every(1, None) }, 0, at(0, TODAY));
        assert_eq!((periodic.deadline(), firings(&mut periodic, 0, 100, Some(TODAY))), (None, vec![]));
        periodic.change(every(10, TODAY), at(100, TODAY + 100));
        assert_eq!(periodic.deadline(), Some(Duration::from_secs(110)));
    }

    #[test]
    fn changes_recompute_and_repeats_do_not() {
        let mut periodic = Periodic::new(every(3600, TODAY), 0, at(0, TODAY));
        periodic.change(every(3600, TODAY), at(600, TODAY + 600));
        assert_eq!(periodic.deadline(), Some(Duration::from_secs(3600)));
        periodic.change(every(60, TODAY), at(605, TODAY + 605));
        assert_eq!(periodic.deadline(), Some(Duration::from_secs(660)));
        periodic.change(every(60, TODAY + 10), at(606, TODAY + 606));
        assert_eq!(periodic.deadline(), Some(Duration::from_secs(610)));
        periodic.change(every(0, None), at(606, TODAY + 606));
        assert!(periodic.tick(at(607, TODAY + 607)));
    }

    #[test]
    fn the_clock_is_set_at_last() {
        // Boot in 1970; NTP answers after 30 s: no firing for the 56 years, and the grid from then on.
        let mut periodic = Periodic::new(every(DAY, TODAY + 600), u32::MAX, at(0, 0));
        assert_eq!(firings(&mut periodic, 0, 30, Some(0)), [0u64; 0]);
        assert_eq!(firings(&mut periodic, 30, 2 * u64::from(DAY), Some(TODAY)), [630, 630 + u64::from(DAY)]);
    }

    #[test]
    fn a_clock_set_back_repeats_nothing() {
        let mut periodic = Periodic::new(every(3600, TODAY), 0, at(0, TODAY));
        assert_eq!(firings(&mut periodic, 0, 3601, Some(TODAY)), [3600]);
        // Ten seconds back: the same point comes again on the wall, but has been served.
        assert_eq!(firings(&mut periodic, 3601, 7200, Some(TODAY + 3591)), [7210]);
        let mut periodic = Periodic::new(every(3600, TODAY + 3000), 0, at(0, TODAY));
        assert_eq!(firings(&mut periodic, 0, 1000, Some(TODAY)), [0u64; 0]);
        assert_eq!(firings(&mut periodic, 1000, 3600, Some(0)).len(), 1);
    }

    #[test]
    fn missed_points_fire_once() {
        let mut periodic = Periodic::new(every(60, TODAY), 0, at(0, TODAY));
        assert!(periodic.tick(at(100_000, TODAY + 100_000)));
        assert!(!periodic.tick(at(100_000, TODAY + 100_000)));
        assert_eq!(periodic.deadline(), Some(Duration::from_secs(100_020)));
        let mut periodic = Periodic::new(every(60, None), 0, at(5, None));
        assert!(periodic.tick(at(5 + 60 * 77 + 1, None)));
        assert_eq!(periodic.deadline(), Some(Duration::from_secs(5 + 60 * 78)));
    }

    proptest! {
        /// Whatever the wall clock does, firings are at least half and at most one and a half intervals apart.
        #[test]
        fn no_flood_and_no_silence(
            interval in 20u32..500, reference in proptest::option::of(any::<i64>()), phase in any::<u32>(),
            walls in proptest::collection::vec(proptest::option::of(any::<i64>()), 1..40),
            steps in proptest::collection::vec(1u64..300, 40),
        ) {
            let mut now = at(0, walls[0]);
            let mut periodic = Periodic::new(every(interval, reference), phase, now);
            let (mut last, mut first) = (0, true);
            for (wall, step) in walls.into_iter().zip(steps) {
                now.wall = wall;
                for _ in 0..step {
                    now = at(now.mono.as_secs() + 1, now.wall.map(|wall| wall.saturating_add(1)));
                    let mono = now.mono.as_secs();
                    if periodic.tick(now) {
                        prop_assert!(first || mono - last >= u64::from(interval / 2), "{} then {}", last, mono);
                        (last, first) = (mono, false);
                    }
                    prop_assert!(mono - last <= u64::from(interval + interval / 2) + 1, "{} is silent at {}", last, mono);
                }
            }
        }
    }
}
