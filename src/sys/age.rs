//! How long ago something was asked for: seconds that survive a reboot and do not follow a jumping clock. Pure.
//!
//! ```text
//!  same run of the daemon      the monotonic clock alone; the wall clock may say what it likes
//!  after a restart             what was counted before, plus the monotonic clock since
//!                              or what the wall clock says, if both moments are known and it is more
//! ```
//!
//! A delay is the age that something must reach. The count from before a restart is a lower bound that
//! only misses the time without power, so a wall clock which is set back or never set delays nothing for
//! ever; and one that jumps from 1970 to today makes nothing old that was asked for in the same run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::{EARLIEST_PLAUSIBLE, Now};

/// A clock may be read a second early or late; only more than this is a jump.
const JUMP: u64 = 2;
/// How often the count is brought up to date, in seconds, while the wall clock cannot stand in for it:
/// each time the state file is written.
const COUNT_WITHOUT_CLOCK: u64 = 3600;
/// The same with the wall clock set, which may turn out to lie.
const COUNT_WITH_CLOCK: u64 = 6 * 3600;

/// The age of a request. Serialised it is what a restart needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Age {
    /// The wall clock's moment of birth.
    born: Option<i64>,
    /// Seconds it had at least when last written down.
    counted: u64,
    #[serde(skip)]
    run: Option<Run>,
}

/// Where the monotonic clock of this run stood.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    since: Duration,
    /// The age at that time.
    before: u64,
    /// It is older than this run of the daemon.
    resumed: bool,
}

impl Age {
    /// Born now.
    pub fn start(now: Now) -> Age {
        let run = Run { since: now.mono, before: 0, resumed: false };
        Age { born: plausible(now), counted: 0, run: Some(run) }
    }

    /// Keeps what is serialised in step with the clocks; it changes seldom. To be called at every wake-up,
    /// and first thing after a restart.
    pub fn look(&mut self, now: Now) {
        let run = self.run.get_or_insert(Run { since: now.mono, before: self.counted, resumed: true });
        let resumed = run.resumed;
        let lived = self.lived(now);
        if let Some(wall) = plausible(now) {
            let exact = wall.saturating_sub(i64::try_from(lived).unwrap_or(i64::MAX));
            let jumped = |born: i64| !resumed && born.abs_diff(exact) > JUMP;
            if self.born.is_none_or(jumped) {
                self.born = Some(exact);
            }
        }
        let every = if now.wall.is_some() { COUNT_WITH_CLOCK } else { COUNT_WITHOUT_CLOCK };
        if lived.saturating_sub(self.counted) >= every {
            self.counted = lived;
        }
    }

    /// The age in whole seconds.
    pub fn seconds(&self, now: Now) -> u64 {
        let lived = self.lived(now);
        let resumed = self.run.as_ref().is_none_or(|run| run.resumed);
        match (self.born.filter(|&born| born >= EARLIEST_PLAUSIBLE), plausible(now)) {
            (Some(born), Some(wall)) if resumed => {
                lived.max(u64::try_from(wall.saturating_sub(born)).unwrap_or(0))
            }
            _ => lived,
        }
    }

    /// The monotonic time at which it will be `seconds` old, if nothing jumps; now if it already is.
    pub fn reaches(&self, seconds: u64, now: Now) -> Duration {
        now.mono.saturating_add(Duration::from_secs(seconds.saturating_sub(self.seconds(now))))
    }

    /// The age without the wall clock's help.
    fn lived(&self, now: Now) -> u64 {
        match &self.run {
            Some(run) => run.before.saturating_add(now.mono.saturating_sub(run.since).as_secs()),
            None => self.counted,
        }
    }
}

fn plausible(now: Now) -> Option<i64> {
    now.wall.filter(|&wall| wall >= EARLIEST_PLAUSIBLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: i64 = 1_795_237_200;

    fn at(mono: u64, wall: impl Into<Option<i64>>) -> Now {
        Now { mono: Duration::from_secs(mono), wall: wall.into() }
    }

    fn restarted(age: &Age) -> Age {
        serde_json::from_str(&serde_json::to_string(age).unwrap()).unwrap()
    }

    /// The age at `then` of something asked for at `start`, looked at on the way.
    fn check(start: Now, on_the_way: &[Now], then: Now, expected: u64) {
        let mut age = Age::start(start);
        on_the_way.iter().for_each(|&now| age.look(now));
        assert_eq!(age.seconds(then), expected);
    }

    #[test]
    fn within_a_run_only_the_monotonic_clock_counts() {
        check(at(50, TODAY), &[], at(60, TODAY + 10), 10);
        check(at(50, None), &[at(55, TODAY)], at(60, TODAY + 5), 10);
        check(at(50, 0), &[at(55, TODAY)], at(60, TODAY + 5), 10);
        check(at(50, TODAY), &[at(55, TODAY - 86_400)], at(60, TODAY + 9_000_000), 10);
        check(at(50, TODAY), &[], at(40, TODAY), 0);
    }

    /// The age after a restart at monotonic time 0, looked at immediately and then at `then`.
    fn check_restart(start: Now, saved: Now, resumed: Now, then: Now, expected: u64) {
        let mut age = Age::start(start);
        age.look(saved);
        let mut age = restarted(&age);
        age.look(resumed);
        assert_eq!(age.seconds(then), expected);
        age.look(then);
        assert_eq!(age.seconds(then), expected, "a look changes nothing");
    }

    #[test]
    fn across_a_restart_the_wall_clock_helps() {
        let start = at(1000, TODAY);
        let saved = at(1010, TODAY + 10);
        check_restart(start, saved, at(0, TODAY + 100), at(5, TODAY + 105), 105);
        // Not set yet, then set.
        check_restart(start, saved, at(0, None), at(5, None), 5);
        check_restart(start, saved, at(0, None), at(5, TODAY + 105), 105);
        check_restart(start, saved, at(0, 30), at(5, 35), 5);
        // Behind: what is certain counts.
        check_restart(start, saved, at(0, TODAY - 1000), at(5, TODAY - 995), 5);
        // It was set between the request and the restart.
        check_restart(at(7, None), at(17, TODAY), at(0, TODAY + 10), at(5, TODAY + 15), 25);
        check_restart(at(7, 1), at(17, TODAY), at(0, TODAY + 10), at(5, TODAY + 15), 25);
        check_restart(at(7, TODAY - 9999), at(17, TODAY), at(0, TODAY + 10), at(5, TODAY + 15), 25);
        // Nobody ever knew: counted by the hour.
        check_restart(at(0, None), at(7300, None), at(0, None), at(5, None), 7305);
        check_restart(at(0, None), at(3599, None), at(0, None), at(5, None), 5);
    }

    #[test]
    fn what_is_written_changes_seldom() {
        let mut age = Age::start(at(0, TODAY));
        let mut texts = std::collections::HashSet::new();
        for second in (0..200_000).step_by(7) {
            age.look(at(
                second,
                TODAY + i64::try_from(second).unwrap() + i64::try_from(second % 3).unwrap() - 1,
            ));
            texts.insert(serde_json::to_string(&age).unwrap());
        }
        assert_eq!(texts.len(), 10);
    }

    #[test]
    fn hostile_numbers_do_no_harm() {
        for text in [
            r#"{"born":-9223372036854775808,"counted":18446744073709551615}"#,
            r#"{"born":9223372036854775807,"counted":0}"#,
            r#"{"born":1795237200,"counted":18446744073709551615}"#,
            "{}",
        ] {
            let mut age: Age = serde_json::from_str(text).unwrap();
            for wall in [None, Some(i64::MIN), Some(i64::MAX), Some(TODAY)] {
                let now = Now { mono: Duration::MAX, wall };
                age.look(now);
                let _ = (age.seconds(now), age.reaches(u64::MAX, now));
            }
        }
    }
}
