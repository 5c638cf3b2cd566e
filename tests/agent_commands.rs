//! The data model for scripts and people: the ubus object `rcwmp`, `rcwmpd -c` through the daemon and without
//! it, and services that are told of what has changed.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/bus.rs"]
mod bus;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use agent::Router;
use bus::{Bus, Offers};
use messages::inform_response;
use play::{codes, end, inform, methods, router, say};
use rcwmp::agent::apply::Services;
use rcwmp::backend::{Places, System};
use rcwmp::lab::router::broker::Broker;
use rcwmp::sys::fs::Root;
use rcwmp::ubus::blobmsg::{Table, Value};
use rcwmp::ubus::client::Client;
use rcwmp::ubus::json;
use rcwmp::ubus::msg::Status;
use rcwmp::ubus::object;
use scripted::{Scripted, Seen, step};

const LIMIT: Duration = Duration::from_secs(20);
const HOST: &str = "Device.DeviceInfo.HostName";
const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";

fn socket(router: &Router) -> PathBuf {
    router.root().join("var/run/ubus/ubus.sock")
}

/// procd's part of ubus.
fn procd(router: &Router) -> Bus {
    Offers::new().says("service", "event", "{}").start_at(&socket(router), None)
}

#[track_caller]
fn call(router: &Router, method: &str, arguments: &str) -> Table {
    let mut client = Client::connect(&socket(router), LIMIT).unwrap();
    let answers = client.call("rcwmp", method, &json::parse(arguments).unwrap(), LIMIT);
    answers.unwrap_or_else(|why| panic!("{method}: {why}")).remove(0)
}

#[track_caller]
fn check(router: &Router, method: &str, arguments: &str, answer: &str) {
    let told = call(router, method, arguments);
    assert_eq!(json::print_line(&told), json::print_line(&json::parse(answer).unwrap()), "{arguments}");
}

/// Runs `-c` with words; what it prints, on stdout when it succeeds and on stderr else.
fn command(router: &Router, words: &[&str]) -> (bool, String) {
    let output = router.run(&[&["-c"], words].concat());
    let (good, text) =
        (output.status.success(), if output.status.success() { output.stdout } else { output.stderr });
    (good, String::from_utf8(text).unwrap())
}

fn events(bus: &Bus) -> Vec<String> {
    let package = |call: String| {
        let data = call.strip_prefix("service event ")?;
        let data = json::parse(data).unwrap();
        assert_eq!(data.text("type").unwrap(), "config.change");
        Some(data.table("data").unwrap().text("package").unwrap().into_owned())
    };
    bus.take_calls().into_iter().filter_map(package).collect()
}

#[test]
fn the_object_rcwmp() {
    let acs = Scripted::start(vec![inform(), methods(), end()]);
    let router = router(&acs.url());
    let bus = procd(&router);
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    agent.wait_for("is on ubus", 1);
    let mut client = Client::connect(&socket(&router), LIMIT).unwrap();
    let found = client.list(Some("rcwmp"), LIMIT).unwrap();
    let names: Vec<String> =
        object::methods(&found[0].signature).unwrap().into_iter().map(|method| method.name).collect();
    assert_eq!(names, ["get", "names", "set", "add", "del", "attributes", "transfers", "sessions"]);
    bus.take_calls();

    check(
        &router,
        "set",
        &format!(r#"{{"path":"{HOST}","value":"over-ubus","values":{{"{INTERVAL}":3600}}}}"#),
        r#"{"status":1}"#,
    );
    assert!(router.read("/etc/config/system").contains("'over-ubus'"));
    assert_eq!(events(&bus), ["cwmp", "system"]);
    check(
        &router,
        "get",
        &format!(r#"{{"paths":["{HOST}","{INTERVAL}"]}}"#),
        &format!(
            r#"{{"parameters":[{{"parameter":"{HOST}","value":"over-ubus","type":"xsd:string"}},
                {{"parameter":"{INTERVAL}","value":"3600","type":"xsd:unsignedInt"}}]}}"#
        ),
    );
    check(
        &router,
        "names",
        r#"{"path":"Device.Time.","next_level":true,"from":"Device.Time.Server."}"#,
        r#"{"names":[{"name":"Device.Time.Server.","writable":false}]}"#,
    );
    // Another package each time: a table, its instance, and the network as the last.
    let added = call(&router, "add", r#"{"object":"Device.NAT.PortMapping."}"#);
    let number = added.number("instance").unwrap();
    check(&router, "del", &format!(r#"{{"object":"Device.NAT.PortMapping.{number}."}}"#), r#"{"status":1}"#);
    assert_eq!(events(&bus), ["firewall", "firewall"]);
    check(
        &router,
        "attributes",
        &format!(r#"{{"path":"{HOST}","notification":1}}"#),
        &format!(
            r#"{{"attributes":[{{"parameter":"{HOST}","notification":1,"access_list":["Subscriber"]}}]}}"#
        ),
    );
    // What is asked for twice is told once: a name says where the next page goes on.
    check(
        &router,
        "get",
        &format!(r#"{{"paths":["{HOST}","{HOST}"],"from":"{HOST}"}}"#),
        &format!(r#"{{"parameters":[{{"parameter":"{HOST}","value":"over-ubus","type":"xsd:string"}}]}}"#),
    );
    check(&router, "transfers", "{}", r#"{"transfers":[]}"#);
    let sessions = call(&router, "sessions", r#"{"count":1}"#);
    let session = sessions.array("sessions")[0].as_table().unwrap();
    assert_eq!(session.text("status").unwrap(), "success");
    let told = json::print_line(&Table::new().with("events", session.array("events").to_vec()));
    assert_eq!(told, r#"{"events":["0 BOOTSTRAP","1 BOOT"]}"#);
    assert_ne!(session.text("end_time").unwrap(), "N/A");
    // Of a list that cannot go on it is said how to have it all the same.
    let gone = call(&router, "get", r#"{"path":"Device.Time.","from":"Device.Time.Server.99."}"#);
    assert_eq!((gone.number("fault"), gone.flag("gone")), (Some(9005), true));
    // Faults are answers, with the codes of TR-069.
    for (method, arguments, code, parameter) in [
        ("get", r#"{"path":"Device.NoSuch"}"#, 9005, None),
        ("get", "{}", 9003, None),
        ("set", r#"{"values":{"Device.DeviceInfo.SerialNumber":"x"}}"#, 9003, Some(9008)),
        ("add", r#"{"object":"Device.DeviceInfo."}"#, 9005, None),
        ("attributes", r#"{"path":"Device.DeviceInfo.UpTime","notification":2}"#, 9009, None),
    ] {
        let refused = call(&router, method, arguments);
        assert_eq!(refused.number("fault"), Some(code), "{arguments}: {}", json::print(&refused));
        let first = refused.array("parameters").first().and_then(Value::as_table);
        assert_eq!(first.and_then(|one| one.number("fault")), parameter);
    }
    let wrong = client.call("rcwmp", "dance", &Table::new(), LIMIT).unwrap_err();
    assert_eq!(wrong.status(), Status::MethodNotFound);
    assert!(events(&bus).is_empty());
    assert!(agent.stop().0.success());
    acs.finish();
}

/// Everything in pages, as the agent's own command line asks for it: the same as without the daemon.
#[test]
fn the_command_line_through_the_daemon_and_without_it() {
    let acs = Scripted::start(vec![inform(), methods(), end()]);
    let router = router(&acs.url());
    let bus = procd(&router);
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    agent.wait_for("is on ubus", 1);
    // Numbers of rows that are gone are not used again.
    let both = |number: u32| {
        let fresh = format!("Device.NAT.PortMapping.{number}.");
        let mut seen = Vec::new();
        for words in [
            &["set", HOST, "by-hand"] as &[&str],
            &["get", HOST],
            &["get_names", "Device.Time.", "1"],
            &["add", "Device.NAT.PortMapping.", "key-7"],
            &["get", "Device.ManagementServer.ParameterKey"],
            &["del", &fresh],
            &["get_notif", HOST],
            &["set_notif", HOST, "2"],
            &["get_notif", HOST],
            &["set_notif", HOST, "0"],
            &["get", "Device.NoSuch"],
            &["set", INTERVAL, "0"],
            &["set_notif", HOST, "9"],
            &["del", "Device.NAT.PortMapping.9."],
        ] {
            let (good, told) = command(&router, words);
            seen.push((words.join(" ").replace(&fresh, "FRESH"), (good, told.replace(&fresh, "FRESH"))));
        }
        // A full read differs in what the agent itself tells, so names only.
        let names = command(&router, &["get_names", "Device."]);
        assert!(names.1.lines().count() > 1000);
        let whole = command(&router, &["get", "Device."]);
        assert!(whole.0 && whole.1.lines().count() > 1000);
        seen.push(("get_names Device.".to_owned(), names));
        (seen, events(&bus))
    };
    bus.take_calls();
    let (through, told) = both(3);
    assert_eq!(told, ["system", "firewall", "firewall"]);
    // Nobody else may have changed the state meanwhile: the daemon did it.
    assert!(agent.log().matches("Configuration changed").count() >= 3, "{}", agent.log());
    let of =
        |line: &str| through.iter().find(|(words, _)| words == line).map(|(_, seen)| seen.clone()).unwrap();
    assert_eq!(
        of("set Device.DeviceInfo.HostName by-hand").1,
        format!("Set value is successfully done\n{HOST} => by-hand\n")
    );
    assert_eq!(of("add Device.NAT.PortMapping. key-7").1, "Added FRESH\n");
    assert_eq!(
        of("get Device.ManagementServer.ParameterKey").1,
        "Device.ManagementServer.ParameterKey => key-7\n"
    );
    assert_eq!(of("del FRESH").1, "Deleted FRESH\n");
    assert_eq!(of(&format!("get_notif {HOST}")).1, format!("{HOST} => off\n"));
    assert_eq!(of(&format!("set_notif {HOST} 2")).1, format!("{HOST} => 2\n"));
    assert_eq!(
        of("get Device.NoSuch"),
        (
            false,
            "Fault 9005: Invalid parameter name\nrcwmpd: no parameter or object \"Device.NoSuch\"\n"
                .to_owned()
        )
    );
    assert!(agent.stop().0.success());
    let (without, told) = both(4);
    // Its value is the same already: nothing is written, and nobody told.
    assert_eq!(told, ["firewall", "firewall"]);
    assert_eq!(without, through);
    acs.finish();
}

#[test]
fn a_change_waits_for_the_end_of_a_session() {
    let (release, held) = mpsc::channel::<()>();
    let acs = Scripted::start(vec![
        step().computed(move |seen| {
            let _ = held.recv_timeout(Duration::from_secs(20));
            say(inform_response(&seen.text()))
        }),
        methods(),
        end(),
        // 4 VALUE CHANGE: somebody else than the ACS has changed what it watches.
        inform(),
        end(),
    ]);
    let router = router(&acs.url());
    // The attribute is there before the daemon is.
    assert!(command(&router, &["set_notif", INTERVAL, "2"]).0);
    let bus = procd(&router);
    let agent = router.start(&[]);
    agent.wait_for("is on ubus", 1);
    agent.wait_for("Send the Inform", 1);
    // Reading is answered at once.
    assert!(command(&router, &["get", "Device.RootDataModelVersion"]).0);
    bus.take_calls();
    std::thread::scope(|scope| {
        let set = scope.spawn(|| command(&router, &["set", INTERVAL, "4321"]));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!set.is_finished() && !router.read("/etc/config/cwmp").contains("4321"));
        release.send(()).unwrap();
        let (good, told) = set.join().unwrap();
        assert!(good && told.contains("=> 4321"), "{told}");
    });
    assert_eq!(events(&bus), ["cwmp"]);
    agent.wait_for("End session", 2);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[3]), ["4 VALUE CHANGE"]);
}

/// Whoever calls gives up after a while: what was not done until then is refused, not done later.
#[test]
fn a_change_does_not_wait_for_ever() {
    let (release, held) = mpsc::channel::<()>();
    let acs = Scripted::start(vec![step().computed(move |seen| {
        let _ = held.recv_timeout(Duration::from_secs(40));
        say(inform_response(&seen.text()))
    })]);
    let router = router(&acs.url());
    // So long may the ACS keep us waiting.
    router.set("acs", "session_timeout", "60");
    let _bus = procd(&router);
    let agent = router.start(&[]);
    agent.wait_for("is on ubus", 1);
    agent.wait_for("Send the Inform", 1);
    let (good, told) = command(&router, &["set", INTERVAL, "4321"]);
    assert!(
        !good && told.starts_with("Fault 9001: Request denied\nrcwmpd: a session is on its way"),
        "{told}"
    );
    std::thread::scope(|scope| {
        let set = scope.spawn(|| command(&router, &["set", INTERVAL, "4322"]));
        std::thread::sleep(Duration::from_millis(300));
        assert!(agent.stop().0.success());
        let (good, told) = set.join().unwrap();
        assert!(!good && told.contains("stopped"), "{told}");
    });
    assert!(!router.read("/etc/config/cwmp").contains("432"));
    release.send(()).unwrap();
    acs.finish();
}

/// What a person must not believe to have done: the same through the daemon and without it, where both can.
#[test]
fn what_is_not_done_is_refused() {
    let router = router("");
    let _bus = procd(&router);
    let software = "Device.DeviceInfo.SoftwareVersion";
    let (long, fits) = ("k".repeat(33), "\u{e4}".repeat(32));
    let refusals = || {
        // Always active, whatever anybody asks for: icwmp refuses it, an ACS hears nothing of it.
        for (value, good) in [("0", false), ("1", false), ("2", true)] {
            let (done, told) = command(&router, &["set_notif", software, value]);
            assert_eq!(done, good, "{value}: {told}");
            assert!(good || told.starts_with("Fault 9009: Notification request rejected\n"), "{told}");
        }
        assert_eq!(command(&router, &["get_notif", software]).1, format!("{software} => active\n"));
        assert!(command(&router, &["set_notif", "Device.DeviceInfo.", "0"]).0);
        for words in [
            &["set", HOST, "x", &long] as &[&str],
            &["add", "Device.NAT.PortMapping.", &long],
            &["del", "Device.NAT.PortMapping.1.", &long],
        ] {
            let (good, told) = command(&router, words);
            assert!(
                !good
                    && told
                        == "Fault 9003: Invalid arguments\nrcwmpd: the key is longer than 32 characters\n",
                "{told}"
            );
        }
        assert!(command(&router, &["set", HOST, "y", &fits]).0);
        assert!(
            command(&router, &["get", "Device.ManagementServer.ParameterKey"])
                .1
                .ends_with(&format!("=> {fits}\n"))
        );
    };
    refusals();
    let state = "Device.IP.Diagnostics.IPPing.DiagnosticsState";
    let (good, told) = command(&router, &["set", state, "Requested"]);
    assert!(!good && told == format!("{state}: tests are run by the daemon, which does not run\n"), "{told}");
    assert_eq!(command(&router, &["get", state]).1, format!("{state} => None\n"));
    let agent = router.start(&[]);
    agent.wait_for("is on ubus", 1);
    refusals();
    assert!(agent.stop().0.success());
}

/// icwmp's first line for every command, where its scripts look for it.
#[test]
fn faults_are_icwmp_s_word_for_word() {
    let router = router("");
    for (words, fault) in [
        (&["get", "Device.NoSuch"] as &[&str], "9005: Invalid parameter name"),
        (&["get_names", "Device.NoSuch."], "9005: Invalid parameter name"),
        (&["set", "Device.NoSuch", "1"], "9005: Invalid parameter name"),
        (&["set", INTERVAL, "0"], "9007: Invalid parameter value"),
        (&["set", "Device.DeviceInfo.UpTime", "1"], "9008: Attempt to set a non-writable parameter"),
        (&["set"], "9003: Invalid arguments"),
        (&["add", "Device.NoSuch."], "9005: Invalid parameter name"),
        (&["add"], "9003: Invalid arguments"),
        (&["del", "Device.NAT.PortMapping.9."], "9005: Invalid parameter name"),
        (&["del"], "9003: Invalid arguments"),
        (&["get_notif", "Device.NoSuch"], "9005: Invalid parameter name"),
        (&["set_notif", "Device.NoSuch", "1"], "9005: Invalid parameter name"),
        (&["set_notif", HOST, "seven"], "9003: Invalid arguments"),
        (&["set_notif", HOST, "7"], "9003: Invalid arguments"),
        (&["set_notif", HOST], "9003: Invalid arguments"),
    ] {
        let output = router.run(&[&["-c"], words].concat());
        let told = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], format!("Fault {fault}"), "{words:?}");
        assert!(lines[1..].iter().all(|line| line.starts_with("rcwmpd: ")) && lines.len() <= 2, "{told}");
        assert!(output.stdout.is_empty() && output.status.code() == Some(1), "{words:?}");
    }
    // What is no command is told with those that are, on stdout; only the exit code is not icwmp's.
    for (words, told) in [
        (&["dance"] as &[&str], "Wrong cwmp cli command: dance\nValid commands:\n\thelp"),
        (&[], "You must add a command as input: \n\nValid commands:\n\thelp"),
    ] {
        let output = router.run(&[&["--command-input"], words].concat());
        assert!(String::from_utf8(output.stdout).unwrap().starts_with(told), "{words:?}");
        assert!(output.stderr.is_empty() && output.status.code() == Some(1), "{words:?}");
    }
    // Without a path: everything.
    assert!(command(&router, &["get_names"]).1.lines().count() > 1000);
}

/// What is done is no failure, though its name is another then; it is told as it was given.
#[test]
fn what_is_done_is_not_told_as_a_fault() {
    let router = router("");
    assert!(command(&router, &["set", "Device.ManagementServer.InstanceMode", "InstanceAlias"]).0);
    let before = "Device.IP.Interface.[one].Alias";
    assert!(command(&router, &["set", "Device.IP.Interface.1.Alias", "one"]).0);
    let output = router.run(&["-c", "set", before, "two"]);
    assert!(output.status.success());
    let told = format!("Set value is successfully done\n{before} => two\n");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), told);
    let enable = "Device.ManagementServer.PeriodicInformEnable";
    let told = format!("Set value is successfully done\n{enable} => true\n");
    assert_eq!(command(&router, &["set", enable, "true"]).1, told);
    let folder = command(&router, &["set_notif", "Device.Time.", "0"]);
    assert_eq!(folder, (true, "Device.Time. => 0\n".to_owned()));
    assert!(command(&router, &["get", "Device.IP.Interface.[two].Alias"]).0);
}

/// An entry that goes while a list is read: the list is begun anew, and not for ever.
#[test]
fn a_list_that_changes_is_begun_anew() {
    let router = router("");
    let page =
        r#"{"parameters":[{"parameter":"Device.A","value":"1","type":"xsd:string"}],"next":"Device.B"}"#;
    let gone = r#"{"fault":9005,"fault_string":"Device.B is gone","gone":true}"#;
    let offers =
        Offers::new().says("rcwmp", "get", page).says_to("rcwmp", "get", r#"{"from":"Device.B"}"#, gone);
    let bus = offers.start_at(&socket(&router), None);
    assert_eq!(
        command(&router, &["get", "Device."]),
        (false, "Fault 9005: Invalid parameter name\nrcwmpd: Device.B is gone\n".to_owned())
    );
    let calls = bus.take_calls();
    assert_eq!(calls.len(), 8, "{calls:?}");
    let last = r#"{"parameters":[{"parameter":"Device.C","value":"2","type":"xsd:string"}]}"#;
    bus.now_says_to("rcwmp", "get", r#"{"from":"Device.B"}"#, last);
    assert_eq!(command(&router, &["get", "Device."]).1, "Device.A => 1\nDevice.C => 2\n");
}

/// A ubusd that takes connections and says nothing holds a command up for a few seconds, not for a minute.
#[test]
fn a_ubusd_that_hangs() {
    let router = router("");
    let path = socket(&router);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _mute = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let start = std::time::Instant::now();
    let (good, told) = command(&router, &["set", HOST, "all-the-same"]);
    assert!(good && told.contains("=> all-the-same"), "{told}");
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
}

/// A program that does not answer in time has changed nothing: its values are not told as gone, and come again.
#[test]
fn silence_is_no_change() {
    let server = "Device.DHCPv4.Client.1.DHCPServer";
    let dump = |address: &str| {
        format!(
            r#"{{"interface":[{{"interface":"wan","up":true,"l3_device":"wan","proto":"dhcp","device":"wan","uptime":9,
            "data":{{"dhcpserver":"{address}","leasetime":3600}}}}]}}"#
        )
    };
    let acs = Scripted::start(vec![inform(), methods(), end(), inform(), methods(), end()]);
    let router = router(&acs.url());
    router.set("cpe", "periodic_notify_interval", "1");
    assert!(command(&router, &["set_notif", server, "2"]).0);
    let bus = Offers::new()
        .says("service", "event", "{}")
        .says("network.interface", "dump", &dump("192.0.2.1"))
        .start_at(&socket(&router), None);
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    assert_eq!(command(&router, &["get", server]).1, format!("{server} => 192.0.2.1\n"));
    bus.take_calls();
    bus.now_keeps_silent("network.interface", "dump");
    agent.wait_for("network.interface dump was not answered", 1);
    play::stays_quiet(&agent, "Start session", 1);
    assert!(agent.stop().0.success());
    // What really changes is told.
    bus.now_says("network.interface", "dump", &dump("192.0.2.2"));
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[3]), ["4 VALUE CHANGE"]);
    assert_eq!(play::value(&seen[3], server), "192.0.2.2");
}

/// A program that is started anew is not there for a moment: its values are not told as gone.
#[test]
fn absence_is_no_change() {
    let server = "Device.DHCPv4.Client.1.DHCPServer";
    let dump = r#"{"interface":[{"interface":"wan","up":true,"l3_device":"wan","proto":"dhcp","device":"wan","uptime":9,
        "data":{"dhcpserver":"192.0.2.1","leasetime":3600}}]}"#;
    let acs = Scripted::start(vec![inform(), methods(), end()]);
    let router = router(&acs.url());
    router.set("cpe", "periodic_notify_interval", "1");
    assert!(command(&router, &["set_notif", server, "2"]).0);
    let broker = {
        std::fs::create_dir_all(socket(&router).parent().unwrap()).unwrap();
        Broker::start(&socket(&router), Vec::new()).unwrap()
    };
    let netifd = || Offers::new().says("network.interface", "dump", dump).serve_at(broker.path());
    let there = netifd();
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    assert_eq!(command(&router, &["get", server]).1, format!("{server} => 192.0.2.1\n"));
    drop(there);
    assert_eq!(command(&router, &["get", server]).1, format!("{server} => \n"));
    // Looked at each second.
    std::thread::sleep(Duration::from_secs(3));
    play::stays_quiet(&agent, "Start session", 1);
    let again = netifd();
    assert_eq!(command(&router, &["get", server]).1, format!("{server} => 192.0.2.1\n"));
    std::thread::sleep(Duration::from_secs(2));
    play::stays_quiet(&agent, "Start session", 1);
    assert!(agent.stop().0.success());
    drop(again);
    acs.finish();
}

/// After a session, too, procd is told once of each package, the network last.
#[test]
fn services_after_a_session() {
    let set = messages::set_values(
        "1",
        &[("Device.IP.Interface.1.MaxMTUSize", "xsd:unsignedInt", "1400"), (HOST, "xsd:string", "one")],
        "",
    );
    let again = messages::set_values("2", &[(HOST, "xsd:string", "two")], "");
    let acs = Scripted::start(vec![inform(), methods(), say(set), say(again), end()]);
    let router = router(&acs.url());
    let bus = procd(&router);
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    let log = agent.log();
    assert!(agent.stop().0.success());
    assert_eq!(events(&bus), ["system", "network"], "{log}");
    assert!(!router.ran().iter().any(|line| line.contains("reload_config")));
    acs.finish();
}

/// Waits for the `count`th event since the last look, and for more a while.
#[track_caller]
fn wait_for_events(bus: &Bus, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let end = std::time::Instant::now() + LIMIT;
    while seen.len() < count && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
        seen.extend(events(bus));
    }
    std::thread::sleep(Duration::from_millis(200));
    seen.extend(events(bus));
    seen
}

fn change_of(package: &str) -> String {
    format!(r#"{{"type":"config.change","data":{{"package":"{package}"}}}}"#)
}

/// procd that fails in the middle: whoever was told is not told again by another way, and the others are told until
/// they are taken, also by a successor.
#[test]
fn services_are_told_until_procd_takes_it() {
    let router = router("");
    router.program("sbin/reload_config", "exit 0");
    let bus =
        Offers::new().says_to("service", "event", &change_of("cwmp"), "{}").start_at(&socket(&router), None);
    let agent = router.start(&[]);
    agent.wait_for("is on ubus", 1);
    bus.take_calls();
    let both = format!(r#"{{"values":{{"{HOST}":"half","{INTERVAL}":3600}}}}"#);
    check(&router, "set", &both, r#"{"status":1}"#);
    agent.wait_for("procd was not told of system, which is tried again", 1);
    let told = wait_for_events(&bus, 4);
    assert_eq!(told, ["cwmp", "system", "system", "system"], "after 1 s, and after 2 s more");
    assert_eq!(router.read("/var/run/rcwmp/untold"), "system\n");
    agent.kill();
    // As many tries as before, from the first on.
    let agent = router.start(&[]);
    agent.wait_for("procd was not told of system, which is tried again", 1);
    bus.now_says_to("service", "event", &change_of("system"), "{}");
    agent.wait_for("procd was told of system after all", 1);
    let told = events(&bus);
    assert!(told.iter().all(|package| package == "system"), "{told:?}");
    assert!(!router.root().join("var/run/rcwmp/untold").exists());
    // Taken, it is over.
    std::thread::sleep(Duration::from_secs(3));
    assert!(events(&bus).is_empty());
    assert!(agent.stop().0.success());
    assert!(router.ran().is_empty(), "{:?}", router.ran());
}

/// The service's script makes the firewall's rule of what the ACS's name leads to when it looks; a session by an address
/// that is news lets it look again, and only such a one.
#[test]
fn an_address_that_is_news_is_for_the_firewall() {
    let acs = Scripted::start(vec![inform(), methods(), end(), inform(), end()]);
    let router = router(&acs.url().replace("127.0.0.1", "localhost"));
    let bus = procd(&router);
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    assert_eq!(wait_for_events(&bus, 1), ["cwmp"]);
    agent.wait_for("is on ubus", 1);
    assert!(router.run(&["inform"]).status.success());
    agent.wait_for("Waiting the next session", 2);
    assert!(events(&bus).is_empty());
    assert!(agent.stop().0.success());
    acs.finish();
}

/// A package of which nobody answers holds up neither the others nor the agent.
#[test]
fn a_silent_service_holds_up_nobody() {
    let router = router("");
    let bus = procd(&router);
    let agent = router.start(&[]);
    agent.wait_for("is on ubus", 1);
    bus.now_says_late("service", "event", &change_of("cwmp"), Duration::from_secs(6));
    bus.take_calls();
    let all = format!(
        r#"{{"values":{{"{HOST}":"all","{INTERVAL}":3600,"Device.IP.Interface.1.MaxMTUSize":1400}}}}"#
    );
    let start = std::time::Instant::now();
    check(&router, "set", &all, r#"{"status":1}"#);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    agent.wait_for("procd was told of cwmp and has not answered yet", 1);
    // It has taken it, and is not told again.
    agent.wait_for("procd was told of cwmp after all", 1);
    assert_eq!(wait_for_events(&bus, 3), ["cwmp", "system", "network"]);
    assert!(agent.stop().0.success());
    assert!(events(&bus).is_empty() && !router.root().join("var/run/rcwmp/untold").exists());
}

/// Where procd answers to nothing, each is told of twice and nobody more often than another.
#[test]
fn who_never_answers_is_told_twice() {
    let router = router("");
    router.program("sbin/reload_config", "exit 0");
    let bus = procd(&router);
    bus.now_keeps_silent("service", "event");
    let places = Places {
        root: Root::new(router.root()),
        config_dir: "/etc/config".into(),
        delta_dir: "/tmp/.uci".into(),
        state_dir: router.root().join("etc/rcwmp"),
        ubus_socket: Some(bus.socket()),
    };
    let root = places.root.clone();
    let (mut system, _) = System::open(places).unwrap();
    let mut services = Services::default();
    services.add(["network", "wireless", "system"].map(str::to_owned).into(), Duration::ZERO);
    let mut told = Vec::new();
    while let Some(at) = services.deadline() {
        assert!(services.tell(&mut system, &root, at).is_none());
        std::thread::sleep(Duration::from_millis(50));
        told.extend(events(&bus).into_iter().map(|package| (package, at.as_secs())));
    }
    let all = ["system", "wireless", "network"];
    let expected = [0, 63].into_iter().flat_map(|at| all.map(|package| (package.to_owned(), at)));
    assert_eq!(told, expected.collect::<Vec<_>>());
}

/// ubusd that is away when a session ends: services are told when it is back.
#[test]
fn services_are_told_when_ubus_is_back() {
    let set = messages::set_values("1", &[(HOST, "xsd:string", "one")], "");
    let ((away, is_away), (reached, arrived)) = (mpsc::channel::<()>(), mpsc::channel());
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        step().computed(move |_| {
            reached.send(()).unwrap();
            is_away.recv_timeout(LIMIT).unwrap();
            say(set)
        }),
        end(),
    ]);
    let router = router(&acs.url());
    router.program("sbin/reload_config", "exit 0");
    let bus = procd(&router);
    let agent = router.start(&[]);
    agent.wait_for("is on ubus", 1);
    arrived.recv_timeout(LIMIT).unwrap();
    drop(bus);
    away.send(()).unwrap();
    agent.wait_for("procd was not told of system, which is tried again", 1);
    let bus = procd(&router);
    agent.wait_for("procd was told of system after all", 1);
    assert_eq!(events(&bus), ["system"]);
    assert!(agent.stop().0.success());
    assert!(router.ran().is_empty(), "{:?}", router.ran());
    acs.finish();
}

/// What the configuration makes of names holds for a command with the daemon and without it.
#[test]
fn aliases_are_known_to_both_or_to_none() {
    let router = router("");
    let alias = "Device.IP.Interface.[cpe-1].Alias";
    assert!(command(&router, &["set", "Device.IP.Interface.1.Alias", "cpe-1"]).0);
    let told = |amendment: &str| {
        router.set("cpe", "amd_version", amendment);
        let bus = procd(&router);
        let without = command(&router, &["get", alias]);
        let agent = router.start(&[]);
        agent.wait_for("is on ubus", 1);
        let with = command(&router, &["get", alias]);
        assert!(agent.stop().0.success());
        drop(bus);
        assert_eq!(without, with, "{amendment}");
        without
    };
    assert_eq!(told("5"), (true, format!("{alias} => cpe-1\n")));
    let (good, why) = told("4");
    assert!(!good && why.starts_with("Fault 9005: Invalid parameter name"), "{why}");
}

/// Without the daemon nobody is there to try again: the next one does.
#[test]
fn what_a_command_could_not_tell_is_told_by_the_agent() {
    let router = router("");
    let bus =
        Offers::new().refuses("service", "event", Status::UnknownError).start_at(&socket(&router), None);
    let (good, told) = command(&router, &["set", HOST, "later"]);
    assert!(good && told.contains("=> later"), "{told}");
    assert_eq!(events(&bus), ["system"]);
    bus.now_says("service", "event", "{}");
    // Reading is no reason to tell.
    assert!(command(&router, &["get", HOST]).0);
    assert!(events(&bus).is_empty());
    let agent = router.start(&[]);
    agent.wait_for("is on ubus", 1);
    assert_eq!(wait_for_events(&bus, 1), ["system"]);
    assert!(agent.stop().0.success());
}

/// Parameters that are commands: done after the services are told, each once, and never in vain.
#[test]
fn interfaces_are_restarted_after_the_session() {
    let order =
        |id: &str, name: &str, value: &str| messages::set_values(id, &[(name, "xsd:boolean", value)], "");
    let reset = "Device.IP.Interface.4.Reset";
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(messages::get_values("0", &["Device.IP.Interface.4.Name", "Device.DHCPv4.Client.1.Interface"])),
        say(order("1", reset, "1")),
        say(order("2", reset, "1")),
        say(order("3", "Device.IP.Interface.2.Reset", "0")),
        say(order("4", "Device.DHCPv4.Client.1.Renew", "1")),
        say(messages::get_values("5", &[reset])),
        say(messages::set_values("6", &[(HOST, "xsd:string", "one")], "")),
        end(),
    ]);
    let router = router(&acs.url());
    let bus = Offers::new()
        .says("service", "event", "{}")
        .says("network.interface.wan", "down", "{}")
        .says("network.interface.wan", "up", "{}")
        .says("network.interface.wan", "renew", "{}")
        .start_at(&socket(&router), None);
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    play::has(&seen[3], &[">wan<", "Device.IP.Interface.4"]);
    play::has(&seen[4], &["<Status>1</Status>"]);
    assert_eq!(play::value(&seen[8], reset), "0");
    let calls: Vec<String> = bus
        .take_calls()
        .into_iter()
        .filter_map(|call| {
            call.strip_prefix("network.interface.wan ")
                .map(str::to_owned)
                .or(call.starts_with("service event").then(|| "event".to_owned()))
        })
        .collect();
    assert_eq!(calls, ["event", "down", "up", "renew"]);
}
