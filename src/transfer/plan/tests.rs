//! The transfer queue under a hand-turned clock.

use super::*;

const TODAY: i64 = 1_795_237_200;
const HOUR: u64 = 3600;

fn at(mono: u64, wall: impl Into<Option<i64>>) -> Now {
    Now { mono: Duration::from_secs(mono), wall: wall.into() }
}

/// So many seconds after everything began, with a clock that is right.
fn t(seconds: u64) -> Now {
    at(seconds, TODAY + i64::try_from(seconds).unwrap())
}

fn request(key: &str, details: Details) -> Request {
    let file_type = match details {
        Details::Upload { .. } => "2 Vendor Log File",
        _ => "1 Firmware Upgrade Image",
    };
    Request {
        command_key: key.into(),
        file_type: file_type.into(),
        url: "http://files.example/f".into(),
        username: String::new(),
        password: Secret::default(),
        details,
    }
}

fn download(key: &str, delay_seconds: u32) -> Request {
    let details = Details::Download {
        file_size: 77,
        target_file_name: "image".into(),
        delay_seconds,
        success_url: String::new(),
        failure_url: String::new(),
    };
    request(key, details)
}

fn upload(key: &str, delay_seconds: u32) -> Request {
    request(key, Details::Upload { delay_seconds })
}

/// Each window: start, end, MaxRetries, mode.
fn schedule(key: &str, windows: &[(u32, u32, i32, &str)]) -> Request {
    let windows = windows
        .iter()
        .map(|&(start, end, max_retries, mode)| Window {
            start,
            end,
            mode: mode.into(),
            user_message: String::new(),
            max_retries,
        })
        .collect();
    request(key, Details::ScheduleDownload { file_size: 0, target_file_name: String::new(), windows })
}

const NOW: &str = "2 Immediately";

/// What a restart finds in the state file.
fn reload(plan: &Plan) -> Plan {
    serde_json::from_str(&serde_json::to_string(plan).unwrap()).unwrap()
}

fn begin(plan: &mut Plan, now: Now) -> Option<String> {
    let job = plan.due(now, true)?;
    plan.started(job.id, now);
    Some(job.request.command_key)
}

fn running(plan: &Plan) -> Id {
    plan.entries.iter().find(|entry| entry.is_busy()).unwrap().id
}

fn fail(plan: &mut Plan, code: u16, now: Now) {
    plan.finished(running(plan), &Outcome::failure(code, "why"), now);
}

/// Key, fault code and text of all that is to be told.
fn told(plan: &mut Plan) -> Vec<String> {
    let mut out = Vec::new();
    plan.hand_over(|c| {
        out.push(format!("{} {} {}", c.command_key, c.fault_code, c.fault_string).trim_end().to_owned());
        true
    });
    out
}

#[test]
fn one_at_a_time_by_age_and_delay() {
    let mut plan = Plan::default();
    for (key, delay) in [("a", 100), ("b", 0), ("c", 0)] {
        plan.accept(download(key, delay), t(0)).unwrap();
    }
    assert_eq!(plan.deadline(t(0)), Some(t(0).mono));
    assert_eq!(begin(&mut plan, t(0)).as_deref(), Some("b"));
    assert_eq!(plan.due(t(1), true), None);
    plan.finished(running(&plan), &Outcome::success(Some(TODAY), Some(TODAY + 5)), t(5));
    assert_eq!(begin(&mut plan, t(5)).as_deref(), Some("c"));
    fail(&mut plan, 9016, t(6));
    assert_eq!(plan.due(t(6), true), None);
    assert_eq!(plan.deadline(t(6)), Some(t(100).mono));
    assert_eq!(plan.due(t(99), true), None);
    assert_eq!(begin(&mut plan, t(100)).as_deref(), Some("a"));
    assert_eq!(told(&mut plan), ["b 0", "c 9016 why"]);
    assert_eq!(told(&mut plan), Vec::<String>::new());
}

#[test]
fn the_queue_is_bounded() {
    let mut plan = Plan::default();
    for number in 0..CAPACITY {
        plan.accept(upload(&number.to_string(), 0), t(0)).unwrap();
    }
    assert_eq!(plan.accept(upload("more", 0), t(0)).unwrap_err().code, 9004);
    let mut text = serde_json::to_value(&plan).unwrap();
    let entry = text["entries"][0].clone();
    for number in 100..200 {
        let mut entry = entry.clone();
        entry["id"] = number.into();
        text["entries"].as_array_mut().unwrap().push(entry);
    }
    let plan: Plan = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(plan.entries.len(), CAPACITY);
    text["entries"].as_array_mut().unwrap().truncate(2);
    text["entries"][1]["request"]["command_key"] = "x".repeat(33).into();
    text["unknown"] = 7.into();
    let plan: Plan = serde_json::from_value(text).unwrap();
    assert_eq!(plan.list().len(), 1);
    assert_eq!(serde_json::from_str::<Plan>("{}").unwrap(), Plan::default());
}

#[test]
fn an_hour_late_is_too_late() {
    for (delay, seconds, in_time) in
        [(0, HOUR, true), (0, HOUR + 1, false), (50, HOUR + 50, true), (50, HOUR + 51, false)]
    {
        let mut plan = Plan::default();
        plan.accept(upload("u", delay), t(0)).unwrap();
        assert_eq!(plan.due(t(seconds), true).is_some(), in_time, "{seconds}");
        let expected = "u 9011 it could not be started within an hour after its time";
        assert_eq!(told(&mut plan), if in_time { vec![] } else { vec![expected] });
    }
    // Also while another one is in progress.
    let mut plan = Plan::default();
    plan.accept(download("long", 0), t(0)).unwrap();
    plan.accept(download("late", 0), t(0)).unwrap();
    begin(&mut plan, t(0)).unwrap();
    assert_eq!(plan.deadline(t(0)), Some(t(HOUR + 1).mono));
    plan.due(t(HOUR + 1), true);
    assert_eq!(told(&mut plan).len(), 1);
}

#[test]
fn delays_survive_restarts_and_clock_jumps() {
    /// Asked for at `start` with 1000 s of delay, restarted, and the moments at which it is asked for: due or not.
    fn check(start: Now, asked: &[(Now, bool)]) {
        let mut plan = Plan::default();
        plan.accept(download("d", 1000), start).unwrap();
        plan.due(at(start.mono.as_secs() + 1, start.wall.map(|wall| wall + 1)), true);
        let mut plan = reload(&plan);
        plan.resume(true, "1", asked[0].0);
        for &(now, due) in asked {
            assert_eq!(plan.due(now, true).is_some(), due, "{now:?}");
        }
        assert_eq!(told(&mut plan), Vec::<String>::new());
    }
    let start = at(5000, TODAY);
    check(
        start,
        &[(at(0, TODAY + 100), false), (at(899, TODAY + 999), false), (at(900, TODAY + 1000), true)],
    );
    // The clock is not set at first: the delay is counted again until it is.
    check(start, &[(at(0, None), false), (at(900, None), false), (at(901, TODAY + 1010), true)]);
    check(start, &[(at(0, None), false), (at(999, None), false), (at(1000, None), true)]);
    check(start, &[(at(0, 0), false), (at(999, 999), false), (at(1000, 1000), true)]);
    // Nobody knew the time: neither at once nor never.
    check(
        at(5000, None),
        &[(at(0, TODAY), false), (at(999, TODAY + 999), false), (at(1000, TODAY + 1000), true)],
    );
    // Set back by a year.
    check(start, &[(at(0, TODAY - 31_536_000), false), (at(1000, TODAY - 31_535_000), true)]);
    // In one run, 1970 becomes today.
    let mut plan = Plan::default();
    plan.accept(download("d", 1000), at(0, None)).unwrap();
    assert_eq!(plan.due(at(999, TODAY), true), None);
    assert!(plan.due(at(1000, TODAY + 1), true).is_some());
}

#[test]
fn off_for_too_long_fails_at_the_next_start() {
    let mut plan = Plan::default();
    plan.accept(download("d", 60), t(0)).unwrap();
    plan.accept(schedule("s", &[(0, 100, 3, NOW)]), t(0)).unwrap();
    let mut plan = reload(&plan);
    plan.resume(true, "1", at(0, TODAY + 10_000));
    assert_eq!(
        told(&mut plan),
        [
            "d 9010 it could not be started within an hour after its time",
            "s 9020 it could not be done within its time windows"
        ]
    );
}

#[test]
fn interrupted_transfers_fail_once() {
    for restart_with_reboot in [false, true] {
        let mut plan = Plan::default();
        plan.accept(download("d", 0), t(0)).unwrap();
        plan.accept(upload("u", 0), t(0)).unwrap();
        begin(&mut plan, t(0)).unwrap();
        plan.apply(running(&plan), t(1)).unwrap();
        let mut plan = reload(&plan);
        plan.resume(restart_with_reboot, "1", t(2));
        let mut plan = reload(&plan);
        plan.resume(restart_with_reboot, "1", t(3));
        assert_eq!(told(&mut plan), ["d 9010 it was interrupted by a restart"]);
        assert_eq!(begin(&mut plan, t(3)).as_deref(), Some("u"));
        plan.resume(false, "1", t(4));
        assert_eq!(told(&mut plan), ["u 9011 it was interrupted by a restart"]);
    }
}

#[test]
fn firmware_is_judged_after_its_reboot() {
    fn check(expected: Option<&str>, rebooted: bool, version: &str, told_then: &[&str]) {
        let mut plan = Plan::default();
        let id = plan.accept(download("f", 0), t(0)).unwrap();
        begin(&mut plan, t(0)).unwrap();
        assert!(!plan.is_applying());
        plan.apply(id, t(5)).unwrap();
        assert!(plan.is_applying());
        plan.installing(id, "1.0", expected, t(6));
        assert_eq!(told(&mut plan), Vec::<String>::new());
        let mut plan = reload(&plan);
        plan.resume(rebooted, version, t(100));
        assert_eq!(told(&mut plan), told_then);
        plan.finished(id, &Outcome::failure(9010, "twice"), t(101));
        assert_eq!(told(&mut plan).len(), usize::from(!rebooted));
    }
    check(None, true, "1.1", &["f 0"]);
    check(None, true, "1.0", &["f 9010 after the reboot version 1.0 is running"]);
    check(Some("1.0"), true, "1.0", &["f 0"]);
    check(Some("1.1"), true, "1.1", &["f 0"]);
    check(Some("1.1"), true, "1.2", &["f 9010 after the reboot version 1.2 is running"]);
    check(None, false, "1.1", &[]);
    // The reboot never comes.
    let mut plan = Plan::default();
    let id = plan.accept(download("f", 0), t(0)).unwrap();
    begin(&mut plan, t(0)).unwrap();
    plan.apply(id, t(5)).unwrap();
    plan.installing(id, "1.0", None, t(6));
    assert_eq!(plan.deadline(t(7)), Some(t(6 + RESTART_WITHIN + 1).mono));
    plan.due(t(7 + RESTART_WITHIN), true);
    assert_eq!(told(&mut plan), ["f 9010 the router did not restart to finish the installation"]);
}

#[test]
fn times_are_those_of_the_attempt() {
    let mut plan = Plan::default();
    let id = plan.accept(download("f", 0), t(0)).unwrap();
    begin(&mut plan, t(10)).unwrap();
    plan.apply(id, t(20)).unwrap();
    plan.installing(id, "1.0", None, t(21));
    let mut plan = reload(&plan);
    plan.resume(true, "2.0", at(30, TODAY + 200));
    plan.hand_over(|c| {
        assert_eq!((c.start, c.complete), (Some(TODAY + 10), Some(TODAY + 200)));
        true
    });
    plan.accept(download("f", 0), t(300)).unwrap();
    begin(&mut plan, t(310)).unwrap();
    let outcome = Outcome { complete: Some(9), ..Outcome::failure(9013, "x".repeat(400)) };
    plan.finished(running(&plan), &outcome, t(320));
    plan.hand_over(|c| {
        assert_eq!((c.start, c.complete, c.fault_code), (Some(TODAY + 310), None, 9010));
        assert_eq!((c.fault_string.len(), c.method.name()), (256, "Download"));
        true
    });
}

#[test]
fn only_codes_of_a_transfer_complete_are_told() {
    for code in 9000..9900 {
        for (request, general) in [(download("k", 0), 9010), (upload("k", 0), 9011)] {
            let mut plan = Plan::default();
            plan.accept(request, t(0)).unwrap();
            begin(&mut plan, t(0)).unwrap();
            fail(&mut plan, code, t(1));
            // TR-069 A.3.3.2, FaultStruct.
            let known = [9001, 9002, 9010, 9011, 9012, 9014, 9015, 9016, 9017, 9018, 9019, 9020];
            let expected = if known.contains(&code) { code } else { general };
            assert_eq!(told(&mut plan), [format!("k {expected} why")]);
        }
    }
}

#[test]
fn a_schedule_uses_its_windows_and_retries() {
    let mut plan = Plan::default();
    plan.accept(schedule("s", &[(100, 1000, 1, NOW), (2000, 3000, 0, NOW)]), t(0)).unwrap();
    assert_eq!(plan.deadline(t(0)), Some(t(100).mono));
    assert_eq!(plan.due(t(99), true), None);
    assert_eq!(plan.due(t(100), true).unwrap().finish_by, Some(t(1000).mono));
    begin(&mut plan, t(100)).unwrap();
    fail(&mut plan, 9015, t(110));
    assert_eq!(plan.deadline(t(110)), Some(t(170).mono));
    assert_eq!(plan.due(t(169), true), None);
    begin(&mut plan, t(170)).unwrap();
    // The one retry of this window is interrupted: the next one's turn.
    let mut plan = reload(&plan);
    plan.resume(true, "1", t(180));
    assert_eq!(plan.deadline(t(180)), Some(t(2000).mono));
    begin(&mut plan, t(2500)).unwrap();
    assert_eq!(told(&mut plan), Vec::<String>::new());
    fail(&mut plan, 9016, t(2600));
    let why = "s 9020 it could not be done within its time windows; the last attempt failed: 9016 why";
    assert_eq!(told(&mut plan), [why]);
    assert_eq!(plan.deadline(t(2600)), None);
}

#[test]
fn minus_one_retries_with_growing_waits() {
    let mut plan = Plan::default();
    plan.accept(schedule("s", &[(0, 1_000_000, -1, NOW)]), t(0)).unwrap();
    let (mut now, mut waits) = (0, Vec::new());
    while let Some(due) = plan.deadline(t(now)) {
        waits.push(due.as_secs() - now);
        now = due.as_secs();
        begin(&mut plan, t(now)).unwrap();
        fail(&mut plan, 9015, t(now));
    }
    assert_eq!(waits, [0, 60, 120, 240, 480, 960]);
    assert_eq!(told(&mut plan).len(), 1);
}

#[test]
fn nothing_is_applied_outside_a_window() {
    let mut plan = Plan::default();
    let id = plan.accept(schedule("s", &[(0, 100, 9, NOW), (200, 300, 9, NOW)]), t(0)).unwrap();
    begin(&mut plan, t(50)).unwrap();
    assert_eq!(plan.apply(id, t(100)).unwrap_err().code, 9020);
    plan.finished(id, &Outcome::success(None, None), t(101));
    assert_eq!(plan.due(t(199), true), None);
    begin(&mut plan, t(200)).unwrap();
    plan.apply(id, t(299)).unwrap();
    plan.finished(id, &Outcome::success(None, None), t(301));
    assert_eq!(told(&mut plan), ["s 0"]);
}

#[test]
fn when_idle_waits_for_idleness_within_its_window() {
    let mut plan = Plan::default();
    plan.accept(schedule("s", &[(10, 100, 0, "3 When Idle"), (100, 130, 0, "1 At Any Time")]), t(0)).unwrap();
    assert_eq!(plan.due(t(10), false), None);
    assert_eq!(plan.deadline(t(10)), Some(t(70).mono));
    assert_eq!(plan.deadline(t(90)), Some(t(100).mono));
    assert!(plan.due(t(90), true).is_some());
    assert!(plan.due(t(100), false).is_some());
}

#[test]
fn cancelling() {
    let mut plan = Plan::default();
    assert_eq!(plan.cancel("nobody"), Cancelled { stop: None, refused: None });
    let first = plan.accept(download("k", 0), t(0)).unwrap();
    plan.accept(upload("k", 500), t(0)).unwrap();
    plan.accept(download("other", 500), t(0)).unwrap();
    begin(&mut plan, t(0)).unwrap();
    assert_eq!(plan.cancel("k"), Cancelled { stop: Some(first), refused: None });
    assert_eq!(plan.list().len(), 1);
    plan.finished(first, &Outcome::success(None, None), t(5));
    assert_eq!(plan.apply(first, t(5)).unwrap_err().code, 9021);
    assert_eq!(told(&mut plan), Vec::<String>::new());
    // What is being applied, or has ended, stays; the rest goes.
    for ended in [false, true] {
        let id = plan.accept(download("k", 0), t(10)).unwrap();
        plan.accept(download("k", 500), t(10)).unwrap();
        begin(&mut plan, t(10)).unwrap();
        plan.apply(id, t(11)).unwrap();
        if ended {
            plan.finished(id, &Outcome::success(None, None), t(12));
        }
        let cancelled = plan.cancel("k");
        assert_eq!((cancelled.stop, cancelled.refused.unwrap().code), (None, 9021));
        assert_eq!(plan.list().iter().filter(|listed| listed.command_key == "k").count(), 1);
        plan.finished(id, &Outcome::success(None, None), t(12));
        assert_eq!(told(&mut plan), ["k 0"]);
        assert_eq!(plan.cancel("k").refused.unwrap().code, 9021);
        plan.delivered(id);
        assert_eq!(plan.cancel("k").refused, None);
    }
}

#[test]
fn the_list_tells_states_until_delivery() {
    let mut plan = Plan::default();
    let id = plan.accept(download("d", 0), t(0)).unwrap();
    plan.accept(upload("u", 0), t(0)).unwrap();
    let states = |plan: &Plan| plan.list().iter().map(|listed| listed.state).collect::<Vec<_>>();
    assert_eq!(states(&plan), [1, 1]);
    begin(&mut plan, t(0)).unwrap();
    plan.progress(id, 42);
    assert_eq!(
        plan.list()[0],
        Listed {
            command_key: "d".into(),
            state: 2,
            is_download: true,
            file_type: "1 Firmware Upgrade Image".into(),
            file_size: 77,
            target_file_name: "image".into(),
            moved: 42,
        }
    );
    assert_eq!(plan.list()[1].file_type, "4 Vendor Log File");
    assert!(!plan.list()[1].is_download);
    plan.finished(id, &Outcome::success(None, None), t(1));
    // The event queue is full: it stays to be told.
    plan.hand_over(|_| false);
    assert_eq!(told(&mut plan), ["d 0"]);
    let mut plan = reload(&plan);
    plan.resume(true, "1", t(2));
    assert_eq!(states(&plan), [3, 1]);
    plan.retain_told(|told| told == id);
    assert_eq!(states(&plan), [3, 1]);
    plan.delivered(id);
    assert_eq!(states(&plan), [1]);
    plan.factory_reset();
    assert_eq!(plan.list(), []);
}

#[test]
fn asking_does_not_change_what_is_written() {
    let mut plan = Plan::default();
    plan.accept(download("d", 86_000), t(0)).unwrap();
    let before = serde_json::to_string(&plan).unwrap();
    for second in (0..21_000).step_by(600) {
        plan.due(t(second), true);
    }
    assert_eq!(serde_json::to_string(&plan).unwrap(), before);
}
