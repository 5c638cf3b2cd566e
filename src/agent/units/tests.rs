//! Tests of the plan: what is accepted, in which order it is done, and that each is told once.

use super::*;
use crate::cwmp::rpc::Secret;

const UUID: &str = "e21a20c6-e998-38ac-9365-6a0d5c0aa341";
const TODAY: i64 = 1_795_237_200;

fn at(seconds: u64) -> Now {
    Now { mono: Duration::from_secs(seconds), wall: Some(TODAY + i64::try_from(seconds).unwrap()) }
}

fn install(url: &str) -> Operation {
    Operation::Install {
        url: url.to_owned(),
        uuid: String::new(),
        username: "u".to_owned(),
        password: Secret::from("p"),
        execution_env_ref: String::new(),
    }
}

fn update(uuid: &str, version: &str, url: &str) -> Operation {
    Operation::Update {
        uuid: uuid.to_owned(),
        version: version.to_owned(),
        url: url.to_owned(),
        username: String::new(),
        password: Secret::default(),
    }
}

fn uninstall(uuid: &str, environment: &str) -> Operation {
    Operation::Uninstall {
        uuid: uuid.to_owned(),
        version: String::new(),
        execution_env_ref: environment.to_owned(),
    }
}

fn installed(name: &str) -> OpResult {
    OpResult {
        uuid: packages::uuid(name),
        deployment_unit_ref: name.to_owned(),
        current_state: CurrentState::Installed,
        resolved: true,
        ..OpResult::failed(&install(""), (0, String::new()))
    }
}

/// As the state file keeps it.
fn killed(units: &Units) -> Units {
    serde_json::from_slice(&serde_json::to_vec(units).unwrap()).unwrap()
}

#[test]
fn operations_are_checked() {
    let check = |operation: Operation, code: u16| {
        assert_eq!(operation.check().err().map_or(0, |(code, _)| code), code, "{operation:?}");
    };
    check(install("http://x/a.ipk"), 0);
    check(install(""), 9003);
    check(install("gopher://x/a.ipk"), 9013);
    check(install("http://u:p@x/a.ipk"), 9003);
    check(install(&format!("http://x/{}", "a".repeat(1024))), 9003);
    check(update(UUID, "1", ""), 0);
    check(update("", "", ""), 0);
    check(update("", "1", ""), 9003);
    check(update("", "1", "http://x/a.ipk"), 0);
    check(update("e21a20c6", "", ""), 9022);
    check(update(UUID, &"1".repeat(33), ""), 9003);
    check(uninstall("", ""), 9022);
    check(uninstall(UUID, "Device.SoftwareModules.ExecEnv.1."), 0);
    check(uninstall(UUID, ".SoftwareModules.ExecEnv.1."), 0);
    check(uninstall(UUID, "Device.SoftwareModules.ExecEnv.2"), 9023);
    check(uninstall(UUID, "."), 9023);
}

#[test]
fn calls_are_bounded() {
    let mut units = Units::default();
    assert_eq!(units.accept("k", Vec::new(), at(0)).unwrap_err().0, 9001);
    assert_eq!(units.accept("k", vec![install("http://x/"); 33], at(0)).unwrap_err().0, 9004);
    assert!(units.is_empty());
    for _ in 0..2 {
        units.accept("k", vec![install("http://x/"); 32], at(0)).unwrap();
    }
    let before = units.clone();
    assert_eq!(units.accept("k", vec![install("http://x/")], at(0)).unwrap_err().0, 9004);
    assert_eq!(units, before);
    let mut small = Units::default();
    small.accept("k", vec![install(&"x".repeat(1 << 20)); 16], at(0)).unwrap();
    assert!(serde_json::to_vec(&small).unwrap().len() < 32_768);
    assert!(!format!("{units:?}").contains("\"p\""), "a password is not shown");
}

#[test]
fn one_after_the_other_in_order() {
    let mut units = Units::default();
    let list = vec![install("http://x/a"), uninstall("bad", ""), install("http://x/b")];
    units.accept("first", list, at(0)).unwrap();
    units.accept("second", vec![install("http://x/c")], at(1)).unwrap();
    let task = units.next(at(2), Vec::new).unwrap();
    assert_eq!((task.operation.url(), task.limit), ("http://x/a", Duration::from_secs(3600)));
    assert!(units.next(at(3), Vec::new).is_none(), "one is running");
    units.done(installed("a"));
    assert_eq!(units.known()["a"], Known { uuid: packages::uuid("a"), url: "http://x/a".into() });
    assert!(units.take_complete().is_none());
    assert_eq!(units.next(at(4), Vec::new).unwrap().operation.url(), "http://x/b");
    units.done(OpResult::failed(&install(""), (9018, "x".repeat(1000))));
    let complete = units.take_complete().unwrap();
    assert_eq!(complete.command_key, "first");
    let faults: Vec<u16> = complete.results.iter().map(|result| result.fault_code).collect();
    assert_eq!(faults, [0, 9022, 9018]);
    assert_eq!(complete.results[0].start, at(2).wall);
    assert_eq!(complete.results[2].fault_string.len(), 256);
    assert!(units.take_complete().is_none());
    units.done(installed("nobody asked"));
    assert_eq!(units.next(at(5), Vec::new).unwrap().operation.url(), "http://x/c");
    units.done(installed("c"));
    assert_eq!(units.take_complete().unwrap().command_key, "second");
    assert!(units.is_empty());
}

#[test]
fn an_update_of_everything() {
    let mut units = Units::default();
    units.accept("k", vec![update("", "", ""), update("", "", "")], at(0)).unwrap();
    let both = || vec![packages::uuid("a"), packages::uuid("b")];
    let mut seen = Vec::new();
    while let Some(task) = units.next(at(1), both) {
        seen.push(task.operation.uuid().to_owned());
        units.done(OpResult::failed(&task.operation, (9032, String::new())));
    }
    assert_eq!(seen, [both(), both()].concat());
    assert_eq!(units.take_complete().unwrap().results.len(), 4);
    units.accept("k", vec![update("", "", "")], at(0)).unwrap();
    assert!(units.next(at(1), Vec::new).is_none());
    assert_eq!(units.take_complete().unwrap().results[0].fault_code, 9028);
}

#[test]
fn killed_at_every_step() {
    for kills in 0..64_u32 {
        let mut units = Units::default();
        units
            .accept("k", vec![install("http://x/a"), update("", "", ""), install("http://x/b")], at(0))
            .unwrap();
        let mut told = Vec::new();
        let mut interrupted = 0;
        for step in 0..12 {
            if kills >> (step % 6) & 1 == 1 {
                units = killed(&units);
                units.resume(at(step));
            }
            let Some(task) = units.next(at(step), || vec![packages::uuid("c")]) else { break };
            if kills >> ((step + 1) % 6) & 1 == 1 {
                interrupted += 1;
                units = killed(&units);
                units.resume(at(step));
            } else {
                units.done(OpResult { uuid: task.operation.uuid().into(), ..installed("a") });
            }
        }
        while let Some(complete) = units.take_complete() {
            told.push(complete);
            units = killed(&units);
            units.resume(at(20));
        }
        assert_eq!(told.len(), 1, "{kills:b}");
        assert_eq!(told[0].results.len(), 3, "{kills:b}");
        assert_eq!(told[0].results[1].uuid, packages::uuid("c"), "{kills:b}");
        let failed = told[0].results.iter().filter(|one| one.current_state == CurrentState::Failed);
        assert!(failed.clone().all(|one| one.fault_code == 9001));
        assert_eq!(failed.count(), interrupted, "{kills:b}");
    }
}

#[test]
fn a_day_at_the_most() {
    let mut units = Units::default();
    units
        .accept("k", vec![install("http://x/a"), install("http://x/b"), install("http://x/c")], at(0))
        .unwrap();
    let task = units.next(at(WHOLE - 60), Vec::new).unwrap();
    assert_eq!(task.limit, Duration::from_secs(60));
    units.done(installed("a"));
    assert!(units.next(at(WHOLE), Vec::new).is_none());
    let faults: Vec<u16> = units.take_complete().unwrap().results.iter().map(|one| one.fault_code).collect();
    assert_eq!(faults, [0, 9001, 9001]);
}

#[test]
fn what_the_system_is_told() {
    let mut units = Units::default();
    units.accept("k", vec![install("http://x/a"), uninstall(UUID, "")], at(0)).unwrap();
    units.next(at(0), Vec::new).unwrap();
    units.done(installed("a"));
    let before = units.known().clone();
    let expected =
        vec![("du.uuid.a".to_owned(), packages::uuid("a")), ("du.url.a".to_owned(), "http://x/a".to_owned())];
    assert_eq!(units.told(&Memory::new()), expected);
    units.next(at(0), Vec::new).unwrap();
    units.done(OpResult { current_state: CurrentState::Uninstalled, ..installed("a") });
    assert!(units.known().is_empty());
    let empty = vec![("du.uuid.a".to_owned(), String::new()), ("du.url.a".to_owned(), String::new())];
    assert_eq!(units.told(&before), empty);
}

#[test]
fn a_state_from_elsewhere_is_bounded() {
    let job = serde_json::to_string(&Call { results: vec![installed("a")], ..Call::default() }).unwrap();
    let text = r#"{"jobs":[{},{"results":[]},JOBS],"known":{"../x":{"uuid":"u"},"a":{}},"later":1}"#
        .replace("JOBS", &vec![job; 20].join(","));
    let mut units: Units = serde_json::from_str(&text).unwrap();
    units.resume(at(0));
    assert_eq!(units.jobs.len(), MAX_JOBS);
    assert!(units.known().is_empty());
}
