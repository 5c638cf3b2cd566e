//! Ten thousand days of the scheduler, from event to event, with clocks that jump and a router that restarts:
//! nothing fires more often than its rule allows, and nothing falls silent.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::time::Duration;

use rcwmp::agent::schedule::{Alarms, Due, MAX_INFORMS, Now, Settings};

const DAY: u64 = 86_400;
const DAYS: u64 = 10_000;
const TODAY: i64 = 1_795_237_200;
/// At most this is forgotten of an age by a restart: six hours, and the longest time between two looks here.
const COUNT: u64 = 13 * 3600;
/// How long the agent may sleep without noticing that the clock was set.
const LOOK: u64 = 60;

/// A small random number generator (xorshift), so that every run is the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// A recurring event as its rule sees it.
struct Watch {
    settings: Settings,
    /// True time of the last firing, or of the start or change of settings.
    last: u64,
    fired: bool,
    count: u64,
}

impl Watch {
    fn restart(&mut self, time: u64) {
        (self.last, self.fired) = (time, false);
    }

    fn fire(&mut self, time: u64) {
        let least = u64::from(self.settings.interval) / 2;
        assert!(!self.fired || time - self.last >= least, "{} s after the last", time - self.last);
        (self.last, self.fired) = (time, true);
        self.count += 1;
    }

    fn check(&self, time: u64) {
        let most = u64::from(self.settings.interval) * 3 / 2 + 2;
        assert!(time - self.last <= most, "silent for {} s of {:?}", time - self.last, self.settings);
    }
}

/// A ScheduleInform that has not come yet.
struct Expected {
    /// True time.
    due: u64,
    delay: u64,
    /// When it was asked for, or the last restart.
    since: u64,
    /// The age it surely had then.
    surely: u64,
    /// No clock has jumped since it was asked for.
    exact: bool,
    resumed: bool,
}

struct World {
    dice: Dice,
    alarms: Alarms,
    /// True seconds since the beginning.
    time: u64,
    booted: u64,
    started: bool,
    /// What the wall clock is ahead of the truth; `None` while it is not set.
    skew: Option<i64>,
    periodic: Watch,
    heartbeat: Watch,
    informs: HashMap<String, Expected>,
    keys: u64,
    scheduled: u64,
    /// When ScheduleReboot is due if nothing jumps and nothing restarts before.
    reboot_at: Option<u64>,
    /// Its value has not been served.
    reboot_open: bool,
    /// DelayReboot, as true time.
    delayed: Option<u64>,
    throttle: u64,
    last_session: Option<u64>,
    pending: Option<u64>,
    notified: u64,
    reboots: u64,
}

impl World {
    fn now(&self) -> Now {
        let wall = self.skew.map(|skew| TODAY + i64::try_from(self.time).unwrap() + skew);
        Now { mono: Duration::from_secs(self.time - self.booted), wall }
    }

    fn settings(&mut self) -> Settings {
        let reference = match self.dice.below(3) {
            0 => None,
            1 => Some(TODAY + i64::try_from(self.dice.below(10 * DAY)).unwrap()),
            _ => Some(-62_135_596_800 + i64::try_from(self.dice.below(DAY)).unwrap()),
        };
        let interval = 1800 + u32::try_from(self.dice.below(DAY)).unwrap();
        Settings { enabled: true, interval, reference }
    }

    fn set_periodic(&mut self) {
        let (now, phase) = (self.now(), u32::try_from(self.dice.below(1 << 32)).unwrap());
        self.alarms.periodic(self.periodic.settings, phase, now);
        self.alarms.heartbeat(self.heartbeat.settings, phase, now);
        self.alarms.throttle(u32::try_from(self.throttle).unwrap());
    }

    fn restart(&mut self, off: u64) {
        self.alarms = serde_json::from_str(&serde_json::to_string(&self.alarms).unwrap()).unwrap();
        let end = self.time;
        self.time += off;
        (self.booted, self.started) = (self.time, true);
        self.periodic.restart(self.time);
        self.heartbeat.restart(self.time);
        (self.delayed, self.pending, self.last_session, self.reboot_at) = (None, None, None, None);
        for expected in self.informs.values_mut() {
            expected.surely += (end - expected.since).saturating_sub(COUNT);
            (expected.since, expected.resumed) = (self.time, true);
        }
        // Half of the routers have no clock at first.
        if self.dice.percent(50) {
            self.jumped();
            self.skew = None;
        }
        self.set_periodic();
    }

    fn jumped(&mut self) {
        self.informs.values_mut().for_each(|expected| expected.exact = false);
        self.reboot_at = None;
    }

    fn jump(&mut self) {
        self.jumped();
        let far = i64::try_from(self.dice.below(400 * DAY)).unwrap();
        let near = i64::try_from(self.dice.below(2 * DAY)).unwrap();
        self.skew = match self.dice.below(7) {
            0 => None,
            1 => Some(-TODAY - i64::try_from(self.time).unwrap()),
            2 => Some(far),
            3 => Some(-far),
            4 => Some(near - i64::try_from(DAY).unwrap()),
            _ => Some(0),
        };
    }

    /// Something happens to the router; whether the clock was set.
    fn act(&mut self) -> bool {
        let now = self.now();
        match self.dice.below(12) {
            0..3 => {
                self.jump();
                return true;
            }
            3..6 => {
                let delay = 1 + self.dice.below(3 * DAY);
                self.keys += 1;
                let reuse = self.informs.keys().next().filter(|_| self.keys.is_multiple_of(4)).cloned();
                let key = reuse.unwrap_or_else(|| self.keys.to_string());
                let room = self.informs.len() < MAX_INFORMS || self.informs.contains_key(&key);
                let taken = self.alarms.schedule_inform(u32::try_from(delay).unwrap(), &key, now);
                assert_eq!(taken.is_ok(), room);
                if room {
                    let due = self.time + delay;
                    self.informs.insert(
                        key,
                        Expected { due, delay, since: self.time, surely: 0, exact: true, resumed: false },
                    );
                }
            }
            6 => {
                let wait = self.dice.below(4 * DAY);
                let at = TODAY + i64::try_from(self.time + wait).unwrap();
                self.alarms.schedule_reboot(Some(at), now);
                let future = now.wall.is_some_and(|wall| wall < at);
                let due = now.wall.filter(|_| future).map(|wall| u64::try_from(at - wall).unwrap());
                self.reboot_at = due.map(|wait| self.time + wait);
                self.reboot_open = true;
            }
            7 => {
                let wait = self.dice.below(1000);
                self.alarms.delay_reboot(i64::try_from(wait).unwrap());
                self.session(true);
                self.delayed = Some(self.time + wait);
            }
            8 => {
                self.alarms.active_change();
                self.pending.get_or_insert(self.time);
            }
            9 => {
                self.periodic.settings = self.settings();
                self.heartbeat.settings = self.settings();
                self.throttle = self.dice.below(DAY);
                self.pending = self.pending.map(|_| self.time);
                self.periodic.restart(self.time);
                self.heartbeat.restart(self.time);
                self.set_periodic();
            }
            10 => {
                let off = self.dice.below(DAY);
                self.restart(off);
            }
            _ => {
                let successful = self.dice.percent(80);
                self.session(successful);
            }
        }
        false
    }

    fn session(&mut self, successful: bool) {
        let now = self.now();
        self.alarms.session_started();
        self.alarms.session_ended(successful, now);
        self.pending = None;
        if successful {
            self.last_session = Some(self.time);
        }
    }

    /// When an active notification may open a session.
    fn notify_at(&self) -> Option<u64> {
        let free = self.last_session.map_or(0, |last| last + self.throttle);
        self.pending.map(|since| since.max(free))
    }

    /// Fires what is due and holds it against the rules; how much it was.
    fn fire(&mut self) -> usize {
        let fired = self.alarms.fire(self.now());
        let time = self.time;
        let mut reboot = false;
        for due in &fired {
            match due {
                Due::Heartbeat => self.heartbeat.fire(time),
                Due::Periodic => self.periodic.fire(time),
                Due::ScheduleInform(key) => {
                    let expected = self.informs.remove(key).expect("asked for, and not yet fired");
                    self.scheduled += 1;
                    let late = time.abs_diff(expected.due) > 2;
                    assert!(expected.resumed || !late, "{time} is not {}", expected.due);
                    // The age after a restart is exact if the clock was right all the time.
                    let early = expected.exact && time + 2 < expected.due;
                    assert!(!early, "{time} is before {}", expected.due);
                }
                Due::ActiveNotification => {
                    let at = self.notify_at().expect("something is to be notified");
                    assert_eq!(time, at);
                    self.notified += 1;
                    self.session(true);
                }
                Due::Reboot => {
                    let delayed = self.delayed == Some(time);
                    assert!(delayed || self.reboot_open, "a reboot that nobody asked for");
                    self.reboot_open &= delayed;
                    reboot = true;
                }
            }
        }
        for expected in self.informs.values() {
            let most = expected.since + expected.delay.saturating_sub(expected.surely);
            assert!(time <= most, "a ScheduleInform was forgotten");
        }
        self.periodic.check(time);
        self.heartbeat.check(time);
        assert!(self.notify_at().is_none_or(|at| time <= at), "a notification was forgotten");
        assert!(self.delayed.is_none_or(|at| time < at || reboot), "a DelayReboot was forgotten");
        assert!(self.reboot_at.is_none_or(|at| time < at || reboot), "a ScheduleReboot was forgotten");
        if reboot {
            self.reboots += 1;
            self.restart(60);
        }
        fired.len()
    }
}

fn live(seed: u64) -> World {
    let settings = Settings { enabled: true, interval: 3600, reference: None };
    let watch = || Watch { settings, last: 0, fired: false, count: 0 };
    let mut world = World {
        dice: Dice(seed),
        alarms: Alarms::default(),
        time: 0,
        booted: 0,
        started: true,
        skew: None,
        periodic: watch(),
        heartbeat: watch(),
        informs: HashMap::new(),
        keys: 0,
        scheduled: 0,
        reboot_at: None,
        reboot_open: false,
        delayed: None,
        throttle: 0,
        last_session: None,
        pending: None,
        notified: 0,
        reboots: 0,
    };
    world.set_periodic();
    let (mut next_act, mut look, mut fruitless, mut jumps, mut stuck) = (0, None, 0, 0, 0);
    while world.time < DAYS * DAY {
        let up = |mono: Duration| world.booted + mono.as_secs() + u64::from(mono.subsec_nanos() > 0);
        let deadline = world.alarms.deadline(world.now()).map(up);
        // The first thing a started agent does is to look.
        let started = world.started.then_some(world.time);
        world.started = false;
        let wake = [Some(next_act), look, deadline, started].into_iter().flatten().min().unwrap();
        stuck = if wake > world.time { 0 } else { stuck + 1 };
        assert!(stuck < 10, "the deadline is always now");
        world.time = world.time.max(wake);
        if world.time >= next_act {
            if world.act() {
                // A sleeping agent notices after a while.
                look = Some(world.time + world.dice.below(LOOK));
                jumps += 1;
            }
            next_act = world.time + 1 + world.dice.below(DAY / 4);
            if !world.started
                && look.is_some_and(|look| look > world.time)
                && deadline.is_none_or(|due| due > world.time)
            {
                continue;
            }
        }
        look = look.filter(|&look| look > world.time);
        if world.fire() == 0 {
            fruitless += 1;
        }
    }
    // A wake-up is for something: an act, a firing, a clock that was set.
    assert!(fruitless <= DAYS * DAY / (DAY / 8) + 3 * jumps, "{fruitless} wake-ups for nothing");
    world
}

#[test]
fn ten_thousand_days() {
    for seed in [0x5DEE_CE66_D1CE_4E5B, 0x1234_5678_9ABC_DEF1, 0xB504_F333_F9DE_6484] {
        let world = live(seed);
        let counts =
            [world.periodic.count, world.heartbeat.count, world.scheduled, world.reboots, world.notified];
        assert!(counts.iter().all(|&count| count > 1000), "{counts:?}: enough of everything has happened");
    }
}
