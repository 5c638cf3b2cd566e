//! All that waits for a time: one deadline, one list of what is due.
//!
//! | what | counts from | after a restart | when the clock jumps |
//! |---|---|---|---|
//! | periodic Inform, heartbeat | their reference, or a random phase | anew | [`Periodic`]'s two rules |
//! | ScheduleInform | the request | goes on, by [`Age`] | unmoved |
//! | ScheduleReboot | the wall clock | goes on; a missed one is dropped | once at most for a value |
//! | DelayReboot | the end of the session | anew, if the agent asks for it; forgotten at a boot | unmoved |
//! | throttled active notification | the end of the last successful session | forgotten | unmoved |
//! | that of manageable devices | the last one that told of them | forgotten | unmoved |
//!
//! The agent asks at each wake-up, at least once a minute so that a clock that was set is noticed, and saves
//! what [`Alarms::fire`] changed together with the events it adds, before it acts on a [`Due::Reboot`].

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::periodic::{Periodic, Settings};
use crate::cwmp::fault::{Fault, INVALID_ARGUMENTS, REQUEST_DENIED};
use crate::sys::age::Age;
use crate::sys::clock::Now;

/// ScheduleInforms that wait; the standard asks for three at least (TR-069 A.4.1.2).
pub const MAX_INFORMS: usize = 16;
/// HeartbeatPolicy.ReportingInterval's least, in seconds (TR-181).
pub const LEAST_HEARTBEAT: u32 = 30;
/// The most characters of a CommandKey.
const MAX_KEY: usize = 32;
/// A clock that jumps further than this over a ScheduleReboot makes it one of the past, in seconds.
const REBOOT_WITHIN: i64 = 3600;

/// What is due; in this order if several are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// `14 HEARTBEAT`.
    Heartbeat,
    /// `2 PERIODIC`.
    Periodic,
    /// `M ScheduleInform` of this CommandKey, and with it `3 SCHEDULED`.
    ScheduleInform(String),
    /// A session solely for active notifications may be opened.
    ActiveNotification,
    /// ScheduleReboot or DelayReboot: after the session, if one is open.
    Reboot,
}

/// Everything that waits for a time; serialised it is what a restart needs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Alarms {
    #[serde(deserialize_with = "bounded")]
    informs: Vec<Inform>,
    schedule_reboot: Option<ScheduleReboot>,
    #[serde(skip)]
    delay_reboot: Option<DelayReboot>,
    #[serde(skip)]
    periodic: Option<Periodic>,
    #[serde(skip)]
    heartbeat: Option<Periodic>,
    #[serde(skip)]
    active: Active,
    #[serde(skip)]
    manageable: Manageable,
    /// The wall clock has been known in this run.
    #[serde(skip)]
    clock_known: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Inform {
    command_key: String,
    delay_seconds: u32,
    age: Age,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct ScheduleReboot {
    at: i64,
    /// Done, or in the past from the beginning.
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DelayReboot {
    AfterSession(u32),
    At(Duration),
}

/// Active notifications and what holds them back.
#[derive(Debug, Clone, Copy, Default)]
struct Active {
    pending: bool,
    throttle: u32,
    /// The end of the last successful session.
    last: Option<Duration>,
}

/// The number of manageable devices, which the LAN can change as often as it likes.
#[derive(Debug, Clone, Copy, Default)]
struct Manageable {
    pending: bool,
    limit: u32,
    /// The session that tells of it is about to begin, or open.
    told: bool,
    /// When it was told of last.
    last: Option<Duration>,
}

impl Alarms {
    /// The periodic Inform's parameters; the same ones change nothing. `phase` is this device's random number.
    pub fn periodic(&mut self, settings: Settings, phase: u32, now: Now) {
        change(&mut self.periodic, settings, phase, now);
    }

    /// HeartbeatPolicy: Enable, ReportingInterval (30 at least) and InitiationTime.
    pub fn heartbeat(&mut self, settings: Settings, phase: u32, now: Now) {
        let interval = settings.interval.max(LEAST_HEARTBEAT);
        change(&mut self.heartbeat, Settings { interval, ..settings }, phase, now);
    }

    /// ScheduleInform. A non-empty CommandKey that is already waiting gets the new delay.
    ///
    /// # Errors
    /// 9003 for no delay or a long key; 9001 when [`MAX_INFORMS`] are waiting (the method has no 9004).
    pub fn schedule_inform(&mut self, delay_seconds: u32, command_key: &str, now: Now) -> Result<(), Fault> {
        if delay_seconds == 0 {
            return Err(Fault::new(INVALID_ARGUMENTS, "DelaySeconds is 0"));
        }
        if command_key.chars().nth(MAX_KEY).is_some() {
            return Err(Fault::new(INVALID_ARGUMENTS, "CommandKey is longer than 32 characters"));
        }
        let inform = Inform { command_key: command_key.to_owned(), delay_seconds, age: Age::start(now) };
        let same = |waiting: &&mut Inform| !command_key.is_empty() && waiting.command_key == command_key;
        if let Some(waiting) = self.informs.iter_mut().find(same) {
            *waiting = inform;
            return Ok(());
        }
        if self.informs.len() >= MAX_INFORMS {
            return Err(Fault::new(REQUEST_DENIED, format!("{MAX_INFORMS} ScheduleInforms are waiting")));
        }
        self.informs.push(inform);
        Ok(())
    }

    /// ManagementServer.ScheduleReboot in epoch seconds, `None` for the unknown time: when it is set, and
    /// at each start. A value that was served or is past is not served again.
    pub fn schedule_reboot(&mut self, at: Option<i64>, now: Now) {
        if at == self.schedule_reboot.map(|reboot| reboot.at) {
            return;
        }
        self.clock_known |= now.wall.is_some();
        let past = |at: i64| now.wall.is_some_and(|wall| wall >= at);
        self.schedule_reboot = at.map(|at| ScheduleReboot { at, over: past(at) });
    }

    /// ManagementServer.DelayReboot: seconds after the session in which it is set; negative for none.
    pub fn delay_reboot(&mut self, seconds: i64) {
        let delay = u32::try_from(seconds.min(i64::from(u32::MAX))).ok();
        self.delay_reboot = delay.map(DelayReboot::AfterSession);
    }

    /// ManagementServer.DefaultActiveNotificationThrottle in seconds.
    pub fn throttle(&mut self, seconds: u32) {
        self.active.throttle = seconds;
    }

    /// A parameter with active notification has changed.
    pub fn active_change(&mut self) {
        self.active.pending = true;
    }

    /// ManagementServer.ManageableDeviceNotificationLimit in seconds.
    pub fn manageable_limit(&mut self, seconds: u32) {
        self.manageable.limit = seconds;
    }

    /// ManageableDeviceNumberOfEntries has active notification, and has changed: as
    /// [`Alarms::active_change`], but not sooner than the limit allows.
    pub fn manageable_change(&mut self) {
        self.manageable.pending = true;
    }

    /// A session begins that is no heartbeat's. Whatever opened it, the notifications that wait ride along; what is
    /// not delivered is the retry ladder's.
    pub fn session_started(&mut self) {
        self.active.pending = false;
        self.manageable.told |= std::mem::take(&mut self.manageable.pending);
    }

    /// A session is over.
    pub fn session_ended(&mut self, successful: bool, now: Now) {
        if successful {
            self.active.last = Some(now.mono);
        }
        if std::mem::take(&mut self.manageable.told) {
            self.manageable.last = Some(now.mono);
        }
        if let Some(DelayReboot::AfterSession(seconds)) = self.delay_reboot {
            let at = now.mono.saturating_add(Duration::from_secs(u64::from(seconds)));
            self.delay_reboot = Some(DelayReboot::At(at));
        }
    }

    /// FactoryReset: what was asked for is forgotten. Settings stay until they are set anew.
    pub fn factory_reset(&mut self) {
        self.informs.clear();
        self.schedule_reboot = None;
        self.delay_reboot = None;
        (self.active.pending, self.manageable.pending) = (false, false);
    }

    /// The monotonic time by which to call [`Alarms::fire`]; `None` with nothing to wait for.
    pub fn deadline(&self, now: Now) -> Option<Duration> {
        let informs =
            self.informs.iter().map(|inform| inform.age.reaches(u64::from(inform.delay_seconds), now));
        let others = [
            self.heartbeat.as_ref().and_then(Periodic::deadline),
            self.periodic.as_ref().and_then(Periodic::deadline),
            self.active.due(),
            self.manageable.due(),
            self.scheduled(now),
            match self.delay_reboot {
                Some(DelayReboot::At(at)) => Some(at),
                _ => None,
            },
        ];
        informs.chain(others.into_iter().flatten()).min()
    }

    /// When the next session is planned: by ScheduleInform or the periodic Inform.
    pub fn next_session(&self, now: Now) -> Option<Duration> {
        let informs =
            self.informs.iter().map(|inform| inform.age.reaches(u64::from(inform.delay_seconds), now));
        informs.chain(self.periodic.as_ref().and_then(Periodic::deadline)).min()
    }

    /// What is due now, each once.
    pub fn fire(&mut self, now: Now) -> Vec<Due> {
        let mut due = Vec::new();
        if self.heartbeat.as_mut().is_some_and(|heartbeat| heartbeat.tick(now)) {
            due.push(Due::Heartbeat);
        }
        if self.periodic.as_mut().is_some_and(|periodic| periodic.tick(now)) {
            due.push(Due::Periodic);
        }
        self.informs.retain_mut(|inform| {
            inform.age.look(now);
            let waits = inform.age.seconds(now) < u64::from(inform.delay_seconds);
            if !waits {
                due.push(Due::ScheduleInform(std::mem::take(&mut inform.command_key)));
            }
            waits
        });
        if self.manageable.due().is_some_and(|at| now.mono >= at) {
            self.manageable.pending = false;
            self.manageable.told = true;
            self.active.pending = true;
        }
        if self.active.due().is_some_and(|at| now.mono >= at) {
            self.active.pending = false;
            due.push(Due::ActiveNotification);
        }
        let delayed = matches!(self.delay_reboot, Some(DelayReboot::At(at)) if now.mono >= at);
        if delayed {
            self.delay_reboot = None;
        }
        if self.reboots(now) || delayed {
            due.push(Due::Reboot);
        }
        due
    }

    /// When the wall clock reaches ScheduleReboot.
    fn scheduled(&self, now: Now) -> Option<Duration> {
        let reboot = self.schedule_reboot.filter(|reboot| !reboot.over)?;
        let wait = u64::try_from(reboot.at.saturating_sub(now.wall?)).unwrap_or(0);
        Some(now.mono.saturating_add(Duration::from_secs(wait)))
    }

    /// Whether ScheduleReboot is due. Whatever the clock does, a value is over after its time has been seen
    /// once: a router that starts each time with yesterday's clock would otherwise reboot for ever.
    fn reboots(&mut self, now: Now) -> bool {
        let Some(wall) = now.wall else { return false };
        let watched = std::mem::replace(&mut self.clock_known, true);
        let Some(reboot) = self.schedule_reboot.as_mut().filter(|reboot| !reboot.over && wall >= reboot.at)
        else {
            return false;
        };
        reboot.over = true;
        watched && wall.saturating_sub(reboot.at) <= REBOOT_WITHIN
    }
}

impl Active {
    fn due(&self) -> Option<Duration> {
        let throttle = Duration::from_secs(u64::from(self.throttle));
        self.pending.then(|| self.last.map_or(Duration::ZERO, |last| last.saturating_add(throttle)))
    }
}

impl Manageable {
    fn due(&self) -> Option<Duration> {
        let limit = Duration::from_secs(u64::from(self.limit));
        self.pending.then(|| self.last.map_or(Duration::ZERO, |last| last.saturating_add(limit)))
    }
}

fn change(clock: &mut Option<Periodic>, settings: Settings, phase: u32, now: Now) {
    match clock {
        Some(clock) => clock.change(settings, now),
        None => *clock = Some(Periodic::new(settings, phase, now)),
    }
}

/// What a state file may hold.
fn bounded<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<Inform>, D::Error> {
    let mut informs = Vec::<Inform>::deserialize(source)?;
    informs.retain(|inform| inform.command_key.chars().nth(MAX_KEY).is_none());
    informs.truncate(MAX_INFORMS);
    Ok(informs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: i64 = 1_795_237_200;

    fn at(mono: u64, wall: impl Into<Option<i64>>) -> Now {
        Now { mono: Duration::from_secs(mono), wall: wall.into() }
    }

    /// So many seconds after everything began, with a clock that is right.
    fn t(seconds: u64) -> Now {
        at(seconds, TODAY + i64::try_from(seconds).unwrap())
    }

    fn restarted(alarms: &Alarms) -> Alarms {
        serde_json::from_str(&serde_json::to_string(alarms).unwrap()).unwrap()
    }

    fn inform(key: &str) -> Due {
        Due::ScheduleInform(key.to_owned())
    }

    /// Goes from deadline to deadline: what fires when, until `end`.
    fn run(alarms: &mut Alarms, start: u64, end: u64) -> Vec<(u64, Due)> {
        let (mut mono, mut fired) = (start, Vec::new());
        while let Some(due) = alarms.deadline(t(mono)).map(|due| due.as_secs().max(mono)) {
            if due > end {
                break;
            }
            mono = due;
            let now = alarms.fire(t(mono));
            assert!(!now.is_empty(), "the deadline at {mono} is for something");
            fired.extend(now.into_iter().map(|due| (mono, due)));
        }
        fired
    }

    #[test]
    fn several_schedule_informs() {
        let mut alarms = Alarms::default();
        for (delay, key) in [(50, "a"), (20, ""), (30, "b"), (20, ""), (40, "a")] {
            alarms.schedule_inform(delay, key, t(0)).unwrap();
        }
        assert_eq!(
            run(&mut alarms, 0, 100),
            [(20, inform("")), (20, inform("")), (30, inform("b")), (40, inform("a"))]
        );
        assert_eq!(alarms.schedule_inform(0, "a", t(0)).unwrap_err().code, 9003);
        assert_eq!(alarms.schedule_inform(1, &"x".repeat(33), t(0)).unwrap_err().code, 9003);
        for _ in 0..MAX_INFORMS {
            alarms.schedule_inform(7, "", t(0)).unwrap();
        }
        assert_eq!(alarms.schedule_inform(7, "", t(0)).unwrap_err().code, 9001);
        alarms.factory_reset();
        assert_eq!(alarms.deadline(t(0)), None);
    }

    #[test]
    fn schedule_informs_survive_restarts() {
        let mut alarms = Alarms::default();
        alarms.schedule_inform(1000, "k", t(5000)).unwrap();
        for (resumed, due) in [
            (at(0, TODAY + 5400), 600),
            (at(0, TODAY + 99_999), 0),
            (at(0, None), 1000),
            (at(0, 0), 1000),
            (at(0, TODAY - 99_999), 1000),
        ] {
            let mut again = restarted(&alarms);
            assert_eq!(again.fire(resumed).is_empty(), due > 0);
            if due > 0 {
                assert_eq!(again.deadline(resumed), Some(Duration::from_secs(due)), "{resumed:?}");
            }
        }
        let mut text = serde_json::to_value(&alarms).unwrap();
        let one = text["informs"][0].clone();
        text["informs"] = vec![one; 1000].into();
        let alarms: Alarms = serde_json::from_value(text).unwrap();
        assert_eq!(alarms.informs.len(), MAX_INFORMS);
    }

    /// A ScheduleReboot an hour after [`TODAY`], set at the first moment, restarted before the second if `restart`.
    fn check_reboot(set: Now, restart: bool, then: &[(Now, bool)]) {
        let mut alarms = Alarms::default();
        alarms.schedule_reboot(Some(TODAY + 3600), set);
        if restart {
            alarms = restarted(&alarms);
            alarms.schedule_reboot(Some(TODAY + 3600), then[0].0);
        }
        for &(now, expected) in then {
            assert_eq!(alarms.fire(now).contains(&Due::Reboot), expected, "{now:?}");
        }
        assert!(restarted(&alarms).schedule_reboot.unwrap().over || !then.last().unwrap().1);
    }

    #[test]
    fn schedule_reboot_comes_once() {
        check_reboot(t(0), false, &[(t(3599), false), (t(3600), true), (t(3601), false)]);
        check_reboot(t(3600), false, &[(t(3601), false), (t(9999), false)]);
        // It does not come again when the clock is set back.
        check_reboot(
            t(0),
            false,
            &[(t(3600), true), (at(3700, TODAY), false), (at(7300, TODAY + 3600), false)],
        );
        // The clock becomes known: before, after, and in a run that knew it wrong.
        check_reboot(
            at(0, None),
            false,
            &[(at(9, None), false), (at(10, TODAY), false), (at(3610, TODAY + 3600), true)],
        );
        check_reboot(at(0, None), false, &[(at(10, TODAY + 3601), false), (at(11, TODAY + 3602), false)]);
        check_reboot(t(0), false, &[(at(10, TODAY + 3700), true)]);
        check_reboot(
            t(0),
            false,
            &[(at(10, TODAY + 86_400), false), (at(20, TODAY), false), (at(3700, TODAY + 3680), false)],
        );
        // Off while it was due; off and back in time; a clock that starts with yesterday.
        check_reboot(t(0), true, &[(at(0, TODAY + 3600), false), (at(1, TODAY + 3601), false)]);
        check_reboot(t(0), true, &[(at(0, TODAY + 99_999), false)]);
        check_reboot(t(0), true, &[(at(0, TODAY + 3000), false), (at(600, TODAY + 3600), true)]);
    }

    #[test]
    fn delay_reboot_counts_from_the_end_of_the_session() {
        let mut alarms = Alarms::default();
        alarms.delay_reboot(60);
        assert_eq!(run(&mut alarms, 0, 1000), []);
        alarms.session_ended(true, t(1000));
        assert_eq!(run(&mut alarms, 1000, 2000), [(1060, Due::Reboot)]);
        alarms.delay_reboot(60);
        alarms.session_ended(false, t(2000));
        alarms.delay_reboot(-1);
        assert_eq!(run(&mut alarms, 2000, 3000), []);
        alarms.delay_reboot(0);
        alarms.session_ended(true, t(3000));
        assert_eq!(run(&mut alarms, 3000, 3000), [(3000, Due::Reboot)]);
        alarms.delay_reboot(i64::MAX);
        alarms.session_ended(true, t(3000));
        assert_eq!(restarted(&alarms).deadline(t(0)), None);
    }

    #[test]
    fn active_notifications_are_throttled() {
        let mut alarms = Alarms::default();
        alarms.throttle(300);
        alarms.active_change();
        assert_eq!(alarms.fire(t(5)), [Due::ActiveNotification]);
        assert_eq!((alarms.fire(t(6)), alarms.deadline(t(6))), (vec![], None));
        alarms.session_started();
        alarms.active_change();
        alarms.session_ended(true, t(10));
        assert_eq!(run(&mut alarms, 10, 1000), [(310, Due::ActiveNotification)]);
        // A failed session does not count, and what waits rides along with any session.
        alarms.session_ended(false, t(400));
        alarms.active_change();
        assert_eq!(alarms.deadline(t(401)), Some(t(310).mono));
        alarms.session_started();
        assert_eq!(run(&mut alarms, 401, 2000), []);
        // A new throttle holds at once.
        alarms.session_ended(true, t(2000));
        alarms.active_change();
        alarms.throttle(10);
        assert_eq!(run(&mut alarms, 2000, 3000), [(2010, Due::ActiveNotification)]);
    }

    #[test]
    fn the_lan_cannot_ask_for_more_sessions_than_the_limit() {
        let mut alarms = Alarms::default();
        alarms.manageable_limit(100);
        let session = |alarms: &mut Alarms, at| {
            alarms.session_started();
            alarms.session_ended(true, t(at));
        };
        alarms.manageable_change();
        assert_eq!(run(&mut alarms, 5, 1000), [(5, Due::ActiveNotification)]);
        session(&mut alarms, 10);
        alarms.manageable_change();
        assert_eq!(run(&mut alarms, 20, 1000), [(110, Due::ActiveNotification)]);
        session(&mut alarms, 110);
        // Other changes are not held back, and this one rides along and counts.
        alarms.manageable_change();
        alarms.active_change();
        assert_eq!(alarms.fire(t(120)), [Due::ActiveNotification]);
        session(&mut alarms, 130);
        assert_eq!(alarms.deadline(t(130)), None);
        alarms.manageable_change();
        assert_eq!(run(&mut alarms, 140, 1000), [(230, Due::ActiveNotification)]);
        session(&mut alarms, 230);
        // A session without any news of it does not count; the throttle holds beside the limit.
        session(&mut alarms, 300);
        alarms.throttle(50);
        alarms.manageable_change();
        alarms.fire(t(330));
        assert_eq!(alarms.fire(t(349)), []);
        assert_eq!(alarms.fire(t(350)), [Due::ActiveNotification]);
    }

    #[test]
    fn a_throttle_is_forgotten_with_its_life() {
        let mut alarms = Alarms::default();
        alarms.throttle(300);
        alarms.session_ended(true, t(10));
        alarms.active_change();
        assert_eq!(alarms.deadline(t(11)), Some(t(310).mono));
        let mut again = restarted(&alarms);
        again.throttle(300);
        again.active_change();
        assert_eq!(again.fire(t(1)), [Due::ActiveNotification]);
    }

    #[test]
    fn heartbeats_go_first_and_are_not_too_frequent() {
        let mut alarms = Alarms::default();
        let settings = Settings { enabled: true, interval: 60, reference: Some(TODAY) };
        alarms.periodic(settings, 0, t(0));
        alarms.heartbeat(Settings { interval: 1, ..settings }, 0, t(0));
        alarms.schedule_inform(60, "k", t(0)).unwrap();
        let all = [(30, Due::Heartbeat), (60, Due::Heartbeat), (60, Due::Periodic), (60, inform("k"))];
        assert_eq!(run(&mut alarms, 0, 60), all);
        alarms.heartbeat(Settings { enabled: false, ..settings }, 0, t(60));
        assert_eq!(run(&mut alarms, 60, 120), [(120, Due::Periodic)]);
    }
}
