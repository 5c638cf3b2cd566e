//! bbfdm behind a part of the model: asked and changed as icwmp does it, and whatever it does not answer is a fault.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use rcwmp::backend::bbfdm::route;
use rcwmp::model::ErrorKind;
use rcwmp::ubus::msg::Status;

#[path = "support/bus.rs"]
mod bus;
#[path = "support/router.rs"]
mod router;
use bus::{Bus, Offers};
use router::{Router, open_with, router_with};

/// Lines of an answer: path, data, type.
fn results(lines: &[(&str, &str, &str)]) -> String {
    let line = |(path, data, kind): &(&str, &str, &str)| {
        format!(r#"{{"path":"{path}","data":"{data}","type":"xsd:{kind}"}}"#)
    };
    format!(r#"{{"results":[{}]}}"#, lines.iter().map(line).collect::<Vec<_>>().join(","))
}

fn path(path: &str) -> String {
    format!(r#"{{"path":"{path}"}}"#)
}

fn fault(path: &str, code: u16) -> String {
    format!(r#"{{"results":[{{"path":"{path}","fault":{code},"fault_msg":"because of {code}"}}]}}"#)
}

const NAMES: &[(&str, &str, &str)] = &[
    ("Device.Users.", "0", "object"),
    ("Device.Users.UserNumberOfEntries", "0", "unsignedInt"),
    ("Device.Users.User.", "1", "object"),
    ("Device.Users.User.2.", "1", "object"),
    ("Device.Users.User.2.Alias", "1", "string"),
    ("Device.Users.User.2.Enable", "1", "boolean"),
    ("Device.Users.User.2.UserID", "0", "unsignedInt"),
    ("Device.Users.User.5.", "1", "object"),
    ("Device.Users.User.5.Alias", "1", "string"),
    ("Device.Users.User.5.Enable", "1", "boolean"),
    ("Device.Users.User.5.UserID", "0", "unsignedInt"),
    ("Device.Users.User.5.Role.1.", "0", "object"),
    ("Device.Users.User.5.Role.1.Name", "0", "string"),
    ("Device.Users.Group.", "1", "object"),
    ("Device.Users.Reset()", "0", "command"),
];

const VALUES: &[(&str, &str, &str)] = &[
    ("Device.Users.UserNumberOfEntries", "2", "unsignedInt"),
    ("Device.Users.User.2.Alias", "cpe-2", "string"),
    ("Device.Users.User.2.Enable", "1", "boolean"),
    ("Device.Users.User.2.UserID", "0", "unsignedInt"),
    ("Device.Users.User.5.Alias", "ann", "string"),
    ("Device.Users.User.5.Enable", "false", "boolean"),
    ("Device.Users.User.5.UserID", "1000", "unsignedInt"),
    ("Device.Users.User.5.Role.1.Name", "admin", "string"),
];

const INSTANCES: &str = r#"{"results":[{"path":"Device.Users.User.2"},{"path":"Device.Users.User.5"},{"path":"Device.Users.User.5.Role.1"}]}"#;

fn offers() -> Offers {
    Offers::new()
        .says_to("bbfdm", "schema", &path("Device.Users."), &results(NAMES))
        .says_to("bbfdm", "get", &path("Device.Users."), &results(VALUES))
        .says_to("bbfdm", "instances", &path("Device.Users."), INSTANCES)
        .says("bbf.config", "commit", r#"{"status":"ok"}"#)
        .says("bbf.config", "revert", r#"{"status":"ok"}"#)
}

fn routed(bus: &Bus, objects: &str) -> (Router, Vec<String>) {
    let plain = router_with(&[
        ("etc/config/network", router::NETWORK),
        ("etc/config/system", "config timeserver 'ntp'\n\toption enabled '1'\n"),
    ]);
    let mut router = open_with(plain.dir, Some(bus.socket()));
    router.model.backend().set_bbfdm_limit(Duration::from_millis(300));
    let complaints = route(&mut router.model, objects);
    (router, complaints)
}

fn users(bus: &Bus) -> Router {
    let (router, complaints) = routed(bus, "Device.Users.");
    assert_eq!(complaints, Vec::<String>::new());
    router
}

/// What was asked, without what is in every call.
fn calls(bus: &Bus) -> Vec<String> {
    let always = r#","optional":{"proto":"cwmp","format":"raw"}"#;
    bus.take_calls().into_iter().map(|call| call.replace(always, "")).collect()
}

#[test]
fn names_and_values_are_its_own() {
    let bus = offers().start();
    let mut router = users(&bus);
    assert_eq!(calls(&bus), [r#"bbfdm schema {"path":"Device.Users.","first_level":false}"#]);
    let names = router.model.names("Device.Users.", false).unwrap();
    let names: Vec<_> = names.iter().map(|(name, write)| (name.as_str(), *write)).collect();
    let expected = [
        ("Device.Users.", false),
        ("Device.Users.UserNumberOfEntries", false),
        ("Device.Users.Group.", true),
        ("Device.Users.User.", true),
        ("Device.Users.User.2.", true),
        ("Device.Users.User.2.Alias", true),
        ("Device.Users.User.2.Enable", true),
        ("Device.Users.User.2.UserID", false),
        ("Device.Users.User.2.Role.", false),
        ("Device.Users.User.5.", true),
        ("Device.Users.User.5.Alias", true),
        ("Device.Users.User.5.Enable", true),
        ("Device.Users.User.5.UserID", false),
        ("Device.Users.User.5.Role.", false),
        ("Device.Users.User.5.Role.1.", false),
        ("Device.Users.User.5.Role.1.Name", false),
    ];
    assert_eq!(names, expected);
    assert_eq!(calls(&bus), Vec::<String>::new());
    let values = router.model.values(["Device.Users."]).unwrap();
    let values: Vec<_> =
        values.iter().map(|(name, value)| (&**name, &*value.text, value.kind.name())).collect();
    let mut expected = VALUES.to_vec();
    // As TR-069 writes it.
    expected[5].1 = "0";
    assert_eq!(values, expected);
    assert_eq!(calls(&bus), [r#"bbfdm get {"path":"Device.Users."}"#]);
    router.check("Device.Users.User.5.UserID", "1000");
    assert_eq!(calls(&bus), Vec::<String>::new());
    assert_eq!(router.model.complaints(), Vec::<String>::new());
    assert!(matches!(
        router.model.values(["Device.Users.User.1.Alias"]).unwrap_err().kind(),
        ErrorKind::UnknownName(_)
    ));
    // Another session asks again.
    router.model.refresh();
    assert_eq!(route(&mut router.model, "Device.Users."), Vec::<String>::new());
    router.check("Device.Users.User.5.Alias", "ann");
    assert_eq!(calls(&bus).len(), 2);
    // Without the option the agent's own is back.
    route(&mut router.model, "");
    assert_eq!(router.try_value("Device.Users.User.5.Alias"), None);
}

/// Its values, one of them another.
fn values_with<'t>(name: &str, value: &'t str) -> String {
    let mut all: Vec<(&'t str, &'t str, &'t str)> = VALUES.to_vec();
    all.iter_mut().filter(|line| line.0 == name).for_each(|line| line.1 = value);
    results(&all)
}

#[test]
fn a_change_is_one_transaction() {
    let bus = offers()
        .says_to(
            "bbfdm",
            "set",
            &path("Device.Users.User.5.Enable"),
            &results(&[("Device.Users.User.5.Enable", "1", "")]),
        )
        .says_to(
            "bbfdm",
            "set",
            &path("Device.Users.User.5.Alias"),
            &fault("Device.Users.User.5.Alias", 9007),
        )
        .start();
    let mut router = users(&bus);
    calls(&bus);
    bus.now_says_to("bbfdm", "get", &path("Device.Users."), &values_with("Device.Users.User.5.Enable", "1"));
    assert_eq!(router.try_set(&[("Device.Users.User.5.Enable", "true")]), Ok(()));
    let seen = calls(&bus);
    let set = r#"bbfdm set {"path":"Device.Users.User.5.Enable","value":"1","datatype":"boolean"}"#;
    let commit = r#"bbf.config commit {"proto":"cwmp","reload":true}"#;
    let revert = r#"bbf.config revert {"proto":"cwmp","reload":false}"#;
    assert_eq!(seen.first().map(String::as_str), Some(set), "{seen:?}");
    assert_eq!(seen.last().map(String::as_str), Some(commit), "{seen:?}");
    // Of two one is refused: neither holds, and the router's own files are as they were.
    let before = router.config("system");
    let changes = [
        ("Device.Users.User.5.Enable", "1"),
        ("Device.Time.Enable", "0"),
        ("Device.Users.User.5.Alias", "x"),
    ];
    let why = router.try_set(&changes).unwrap_err();
    assert!(why.contains("Device.Users.User.5.Alias") && why.contains("because of 9007"), "{why}");
    let seen = calls(&bus);
    assert!(seen.contains(&revert.to_owned()) && !seen.contains(&commit.to_owned()), "{seen:?}");
    assert_eq!(router.config("system"), before);
    router.check("Device.Time.Enable", "1");
    // What it does not allow is not asked.
    assert!(router.try_set(&[("Device.Users.User.5.UserID", "7")]).is_err());
    assert!(router.try_set(&[("Device.Users.User.5.Enable", "perhaps")]).is_err());
    assert_eq!(calls(&bus), Vec::<String>::new());
}

#[test]
fn faults_are_in_band() {
    let name = "Device.Users.User.5.Alias";
    for (code, expected) in [
        (9003, "BadArgument"),
        (9004, "Exhausted"),
        (9005, "UnknownName"),
        (9006, "WrongType"),
        (9007, "BadValue"),
        (9008, "NotWritable"),
        (9002, "Backend"),
        (9001, "Backend"),
        (7012, "BadValue"),
        (7026, "UnknownName"),
    ] {
        let bus = offers()
            .says("bbfdm", "set", &fault(name, code))
            .says("bbfdm", "add", &fault("Device.Users.User.", code))
            .says("bbfdm", "del", &fault("Device.Users.User.5.", code))
            .start();
        let mut router = users(&bus);
        let input = rcwmp::model::value::Input { text: "x".into(), ..Default::default() };
        let refused = router.model.set(&[(name.to_owned(), input)], None).unwrap_err();
        let ErrorKind::Several(list) = refused.kind() else { panic!("{code}") };
        assert_eq!(list[0].0, name);
        let kinds = [
            list[0].1.clone(),
            router.model.add("Device.Users.User.", None).unwrap_err(),
            router.model.delete("Device.Users.User.5.", None).unwrap_err(),
        ];
        for kind in kinds {
            assert!(format!("{kind:?}").starts_with(expected), "{code}: {kind:?}");
        }
    }
}

#[test]
fn instances_come_and_go() {
    let bus = offers()
        .says("bbfdm", "add", &results(&[("Device.Users.User.", "9", "")]))
        .says("bbfdm", "del", &results(&[("Device.Users.User.2.", "1", "")]))
        .start();
    let mut router = users(&bus);
    router.check("Device.Users.User.2.UserID", "0");
    let after = INSTANCES.replace("]}", r#",{"path":"Device.Users.User.9"}]}"#);
    bus.now_says_to("bbfdm", "instances", &path("Device.Users."), &after);
    calls(&bus);
    assert_eq!(router.model.add("Device.Users.User.", None).unwrap(), 9);
    let seen = calls(&bus);
    assert_eq!(seen[0], r#"bbfdm add {"path":"Device.Users.User."}"#);
    assert!(seen.last().unwrap().starts_with("bbf.config commit"), "{seen:?}");
    let after = after.replace(r#"{"path":"Device.Users.User.2"},"#, "");
    bus.now_says_to("bbfdm", "instances", &path("Device.Users."), &after);
    router.model.delete("Device.Users.User.2.", None).unwrap();
    assert!(calls(&bus).contains(&r#"bbfdm del {"path":"Device.Users.User.2."}"#.to_owned()));
    let left = router.model.names("Device.Users.User.", true).unwrap();
    let left: Vec<_> = left.into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["Device.Users.User.5.", "Device.Users.User.9."]);
    // A success without a number is none.
    bus.now_says("bbfdm", "add", r#"{"results":[]}"#);
    assert!(matches!(
        router.model.add("Device.Users.User.", None).unwrap_err().kind(),
        ErrorKind::Backend { .. }
    ));
    bus.now_says("bbfdm", "add", "{}");
    assert!(matches!(
        router.model.add("Device.Users.User.", None).unwrap_err().kind(),
        ErrorKind::Backend { .. }
    ));
}

#[test]
fn names_that_do_not_come_are_asked_for_in_parts() {
    let first = [("Device.Users.", "0", "object"), NAMES[1], NAMES[2], NAMES[13]];
    let below: Vec<_> = NAMES[2..13].to_vec();
    let all = r#"{"path":"Device.Users.","first_level":false}"#;
    let some = r#"{"path":"Device.Users.","first_level":true}"#;
    let bus = offers()
        .keeps_silent_to("bbfdm", "schema", all)
        .says_to("bbfdm", "schema", some, &results(&first))
        .says_to("bbfdm", "schema", &path("Device.Users.User."), &results(&below))
        .says_to("bbfdm", "schema", &path("Device.Users.Group."), r#"{"results":[]}"#)
        .start();
    let mut router = users(&bus);
    assert_eq!(router.model.names("Device.Users.", false).unwrap().len(), 16);
    router.check("Device.Users.User.5.Role.1.Name", "admin");
}

#[test]
fn a_lost_answer_is_never_an_empty_success() {
    let bus = offers()
        .keeps_silent_to("bbfdm", "get", &path("Device.Users."))
        .keeps_silent_to("bbfdm", "get", &path("Device.Users.User."))
        .says_to("bbfdm", "get", &path("Device.Users.User.5."), &results(&VALUES[4..]))
        .says_to("bbfdm", "get", &path("Device.Users.UserNumberOfEntries"), &results(&VALUES[..1]))
        .keeps_silent_to("bbfdm", "get", &path("Device.Users.User.2."))
        .keeps_silent_to("bbfdm", "get", &path("Device.Users.User.2.Alias"))
        .start();
    let mut router = users(&bus);
    // What comes in a smaller part is had from there.
    router.check("Device.Users.User.5.Alias", "ann");
    router.check("Device.Users.User.5.Role.1.Name", "admin");
    // What does not come at all is a fault, asked for alone or with others: a default would be a lie.
    for asked in ["Device.Users.User.2.Alias", "Device.Users.User.2.", "Device.Users.User.*.Alias", "Device."]
    {
        let why = router.model.values([asked]).unwrap_err();
        assert!(matches!(why.kind(), ErrorKind::Backend { .. }), "{asked}: {why}");
    }
    // As soon as each of it comes alone, the whole is there.
    router.model.refresh();
    for line in &VALUES[1..4] {
        bus.now_says_to("bbfdm", "get", &path(line.0), &results(&[*line]));
    }
    let values = router.model.values(["Device.Users."]).unwrap();
    let values: Vec<_> = values.iter().map(|(name, value)| (&**name, &*value.text)).collect();
    let expected = |(name, text, _): &(&'static str, &'static str, _)| match *text {
        "false" => (*name, "0"),
        text => (*name, text),
    };
    assert_eq!(values, VALUES.iter().map(expected).collect::<Vec<_>>());
    assert_eq!(router.model.complaints(), Vec::<String>::new());
    // Neither is a table that cannot be listed an empty one.
    bus.now_says("bbfdm", "instances", "{}");
    router.model.refresh();
    for asked in ["Device.Users.User.5.Alias", "Device.Users.User.", "Device.Users.User.*.Alias"] {
        let why = router.model.values([asked]).unwrap_err();
        assert!(matches!(why.kind(), ErrorKind::Backend { .. }), "{asked}: {why}");
        router.model.refresh();
    }
    assert!(matches!(
        router.model.names("Device.Users.User.", true).unwrap_err().kind(),
        ErrorKind::Backend { .. }
    ));
}

/// A line that names the parameter and holds a fault, or nothing, is no empty value.
#[test]
fn a_line_without_a_value_is_none() {
    let name = VALUES[4].0;
    for bad in [
        format!(r#"{{"path":"{name}"}}"#),
        format!(r#"{{"path":"{name}","fault":9002,"fault_msg":"because"}}"#),
    ] {
        let answer = format!(r#"{{"results":[{bad},{{"path":"{}","data":"1"}}]}}"#, VALUES[5].0);
        let bus = offers()
            .says_to("bbfdm", "get", &path("Device.Users."), &answer)
            .says_to("bbfdm", "get", &path(name), &answer)
            .start();
        let mut router = users(&bus);
        assert!(
            matches!(router.model.values([name]).unwrap_err().kind(), ErrorKind::Backend { .. }),
            "{bad}"
        );
        router.check(VALUES[5].0, "1");
    }
}

#[test]
fn it_does_not_wait_for_ever() {
    let bus = offers().keeps_silent_on("bbfdm", "get").start();
    let mut router = users(&bus);
    calls(&bus);
    for _ in 0..3 {
        assert!(matches!(
            router.model.values(["Device.Users."]).unwrap_err().kind(),
            ErrorKind::Backend { .. }
        ));
    }
    assert_eq!(calls(&bus).len(), 4, "after some silence nothing is asked");
}

#[test]
fn large_subtrees_are_read_in_parts() {
    let (mut names, mut parts) = (String::new(), [String::new(), String::new(), String::new()]);
    for (at, part) in parts.iter_mut().enumerate() {
        for n in 0..400 {
            let line = |data: &str| {
                format!(r#"{{"path":"Device.Big.Part{at}.P{n}","data":"{data}","type":"xsd:string"}},"#)
            };
            names += &line("0");
            *part += &line(&n.to_string());
        }
    }
    let closed = |lines: &str| format!(r#"{{"results":[{}]}}"#, lines.trim_end_matches(','));
    let mut offers = Offers::new().says("bbfdm", "schema", &closed(&names));
    offers = offers.keeps_silent_to("bbfdm", "get", &path("Device.Big."));
    for (at, part) in parts.iter().enumerate() {
        offers = offers.says_to("bbfdm", "get", &path(&format!("Device.Big.Part{at}.")), &closed(part));
    }
    let bus = offers.start();
    let (mut router, complaints) = routed(&bus, "Device.Big.");
    assert_eq!(complaints, Vec::<String>::new());
    calls(&bus);
    let values = router.model.values(["Device.Big."]).unwrap();
    assert_eq!(values.len(), 1200);
    assert!(values.iter().all(|(name, value)| name.ends_with(&format!(".P{}", value.text))));
    let mut expected = String::new();
    for at in 0..3 {
        writeln!(expected, r#"bbfdm get {{"path":"Device.Big.Part{at}."}}"#).unwrap();
    }
    assert_eq!(calls(&bus).join("\n") + "\n", expected);
}

/// After a change instances are asked for anew; an answer that is too large comes in parts, or is a fault.
#[test]
fn instances_that_do_not_come_are_asked_for_in_parts() {
    let rows = [NAMES[2], NAMES[3], NAMES[7], ("Device.Users.User.9.", "1", "object")];
    let some = r#"{"path":"Device.Users.User.","first_level":true}"#;
    let bus = offers()
        .says("bbfdm", "add", &results(&[("Device.Users.User.", "9", "")]))
        .keeps_silent_to("bbfdm", "instances", &path("Device.Users."))
        .keeps_silent_to("bbfdm", "instances", &path("Device.Users.User."))
        .says_to("bbfdm", "instances", &path("Device.Users.Group."), r#"{"results":[]}"#)
        .says_to("bbfdm", "schema", some, &results(&rows))
        .says_to("bbfdm", "instances", &path("Device.Users.User.2."), r#"{"results":[]}"#)
        .says_to(
            "bbfdm",
            "instances",
            &path("Device.Users.User.5."),
            r#"{"results":[{"path":"Device.Users.User.5.Role.1"}]}"#,
        )
        .says_to(
            "bbfdm",
            "instances",
            &path("Device.Users.User.9."),
            r#"{"results":[{"path":"Device.Users.User.9.Role.4"}]}"#,
        )
        .start();
    let mut router = users(&bus);
    assert_eq!(router.model.add("Device.Users.User.", None).unwrap(), 9);
    let mut listed = |path: &str| -> Vec<String> {
        router.model.names(path, true).unwrap().into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(
        listed("Device.Users.User."),
        ["Device.Users.User.2.", "Device.Users.User.5.", "Device.Users.User.9."]
    );
    assert_eq!(listed("Device.Users.User.9.Role."), ["Device.Users.User.9.Role.4."]);
    assert_eq!(listed("Device.Users.User.5.Role."), ["Device.Users.User.5.Role.1."]);
    // A part that is lost is never an empty one.
    bus.now_says_to("bbfdm", "schema", some, "{}");
    assert!(router.model.add("Device.Users.User.", None).is_err());
}

#[test]
fn all_of_device_but_the_agents_own() {
    let names = [
        ("Device.", "0", "object"),
        ("Device.RootDataModelVersion", "0", "string"),
        ("Device.DeviceInfo.", "0", "object"),
        ("Device.Users.", "0", "object"),
        ("Device.ManagementServer.", "0", "object"),
    ];
    let info =
        [("Device.DeviceInfo.SoftwareVersion", "0", "string"), ("Device.DeviceInfo.X_B", "0", "string")];
    let theirs =
        [("Device.ManagementServer.URL", "0", "string"), ("Device.ManagementServer.X_B", "0", "string")];
    let bus = offers()
        .says_to("bbfdm", "schema", r#"{"path":"Device.","first_level":true}"#, &results(&names))
        .says_to("bbfdm", "schema", &path("Device.DeviceInfo."), &results(&info))
        .says_to("bbfdm", "schema", &path("Device.ManagementServer."), &results(&theirs))
        .says_to(
            "bbfdm",
            "get",
            &path("Device."),
            &results(&[
                ("Device.RootDataModelVersion", "2.14", "string"),
                ("Device.DeviceInfo.SoftwareVersion", "7.2", "string"),
                ("Device.DeviceInfo.X_B", "b", "string"),
                VALUES[6],
            ]),
        )
        .start();
    let (mut router, complaints) = routed(&bus, "Device.");
    assert_eq!(complaints, Vec::<String>::new());
    router.check("Device.RootDataModelVersion", "2.14");
    router.check("Device.DeviceInfo.SoftwareVersion", "7.2");
    router.check("Device.DeviceInfo.X_B", "b");
    router.check("Device.Users.User.5.UserID", "1000");
    assert_eq!(router.try_value("Device.DeviceInfo.Manufacturer"), None);
    // The agent's own stays, and so does what bbfdm has nothing of.
    assert_eq!(router.try_value("Device.ManagementServer.X_B"), None);
    for own in
        ["Device.ManagementServer.URL", "Device.IP.Diagnostics.IPPing.DiagnosticsState", "Device.Time.Enable"]
    {
        assert!(router.try_value(own).is_some(), "{own}");
    }
    // What is in every Inform is so under this name too.
    let forced: Vec<String> = router.model.schema().forced_inform().collect();
    assert!(forced.contains(&"Device.DeviceInfo.SoftwareVersion".to_owned()), "{forced:?}");
}

#[test]
fn without_bbfdm_the_agent_serves_them() {
    let bus = Offers::new().says("system", "board", "{}").start();
    let (mut router, complaints) = routed(&bus, "Device.DeviceInfo.");
    assert!(complaints.len() == 1 && complaints[0].contains("ubus has no object bbfdm"), "{complaints:?}");
    assert!(router.try_value("Device.DeviceInfo.Manufacturer").is_some());
    let bus =
        offers().says_to("bbfdm", "schema", &path("Device.Time."), &fault("Device.Time.", 9005)).start();
    let (mut router, complaints) = routed(&bus, "Device.Users. Device.Time. Device.Bad.1.");
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(
        complaints[0].contains("\"Device.Bad.1.\"") && complaints[1].contains("bbfdm has no Device.Time.")
    );
    assert!(router.try_value("Device.Time.Enable").is_some());
    router.check("Device.Users.User.5.Alias", "ann");
    // It has gone since: its values are faults, and not empty.
    bus.now_says("bbfdm", "get", "{}");
    router.model.refresh();
    assert!(matches!(
        router.model.values(["Device.Users.User.5.Alias"]).unwrap_err().kind(),
        ErrorKind::Backend { .. }
    ));
}

/// It says that it has taken a value, and shows another: a fault, and nothing of the request is left.
#[test]
fn what_it_does_not_keep_is_a_fault() {
    let name = "Device.Users.User.5.Enable";
    let bus = offers().says("bbfdm", "set", &results(&[(name, "1", "")])).start();
    let mut router = users(&bus);
    let before = router.config("system");
    calls(&bus);
    let why = router.try_set(&[("Device.Time.Enable", "0"), (name, "1")]).unwrap_err();
    assert!(why.contains(name) && why.contains("would keep"), "{why}");
    let seen = calls(&bus);
    assert!(seen.iter().any(|call| call.starts_with("bbfdm set")), "{seen:?}");
    assert!(seen.last().is_some_and(|call| call.starts_with("bbf.config revert")), "{seen:?}");
    assert!(!seen.iter().any(|call| call.starts_with("bbf.config commit")), "{seen:?}");
    assert_eq!(router.config("system"), before);
    router.check(name, "0");
    // Nobody knows what it keeps when it does not answer.
    bus.now_says_to("bbfdm", "get", &path("Device.Users."), r#"{"results":[]}"#);
    bus.now_says_to("bbfdm", "get", &path(name), &fault(name, 9002));
    assert!(router.try_set(&[(name, "1")]).is_err());
    assert!(calls(&bus).last().is_some_and(|call| call.starts_with("bbf.config revert")));
    bus.now_says_to("bbfdm", "get", &path("Device.Users."), &values_with(name, "true"));
    assert_eq!(router.try_set(&[(name, "1")]), Ok(()));
    assert!(calls(&bus).last().is_some_and(|call| call.starts_with("bbf.config commit")));
}

#[test]
fn what_cannot_be_committed_is_reverted() {
    let set = results(&[("Device.Users.User.5.Enable", "1", "")]);
    let change = [("Device.Users.User.5.Enable", "1")];
    for refusing in [true, false] {
        let mut offers = offers().says("bbfdm", "set", &set);
        offers = offers.says("bbfdm", "get", &values_with("Device.Users.User.5.Enable", "1"));
        offers = match refusing {
            true => offers.refuses("bbf.config", "commit", Status::UnknownError),
            false => offers.says("bbf.config", "commit", r#"{"error":"no space"}"#),
        };
        let bus = offers.start();
        let mut router = users(&bus);
        calls(&bus);
        let why = router.try_set(&change).unwrap_err();
        assert!(why.contains("bbf.config commit"), "{why}");
        assert!(calls(&bus).iter().any(|call| call.starts_with("bbf.config revert")));
    }
    // An older one has no staging of its own.
    let bus = Offers::new()
        .says("bbfdm", "schema", &results(NAMES))
        .says("bbfdm", "get", &values_with("Device.Users.User.5.Enable", "1"))
        .says("bbfdm", "instances", INSTANCES)
        .says("bbfdm", "set", &set)
        .start();
    let mut router = users(&bus);
    assert_eq!(router.try_set(&change), Ok(()));
}

#[test]
fn nonsense_is_no_name() {
    let deep = format!("Device.Users.{}X", "A.".repeat(100));
    let names = [
        ("", "", ""),
        ("Device.Users..X", "1", "string"),
        ("Device.Users.A b", "1", "string"),
        ("InternetGatewayDevice.X", "1", "string"),
        ("Device.Other.X", "1", "string"),
        ("Device.Users.99999999999.X", "1", "string"),
        ("Device.Users.Good", "1", "what"),
        (&deep, "1", "string"),
    ];
    let bus = Offers::new().says("bbfdm", "schema", &results(&names)).start();
    let (mut router, complaints) = routed(&bus, "Device.Users.");
    assert_eq!(complaints, Vec::<String>::new());
    let names = router.model.names("Device.Users.", false).unwrap();
    let names: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Device.Users.", "Device.Users.Good"]);
    assert_eq!(router.try_value("Device.Other.X"), None);
}

#[test]
fn the_option_gives_it_objects() {
    let bus = offers().start();
    let (router, _) = routed(&bus, "");
    let config = "config cpe 'cpe'\n\tlist bbfdm_objects 'Device.Users.'\n\tlist bbfdm_objects 'Device.1.'\n";
    router::put(router.dir.path(), "etc/config/cwmp", config);
    let run = |words: &[&str]| {
        let root = router.dir.path();
        let command = Command::new(env!("CARGO_BIN_EXE_rcwmpd"))
            .arg("--root")
            .arg(root)
            .arg("-s")
            .arg(bus.socket())
            .args(words)
            .output();
        let out = command.unwrap();
        (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let (got, told) = run(&["-c", "get", "Device.Users.User.5.Alias"]);
    assert_eq!(got.trim(), "Device.Users.User.5.Alias => ann", "{told}");
    let (_, told) = run(&["validate"]);
    assert!(told.contains("\"Device.1.\" is not the path of an object"), "{told}");
}
