//! The words of the *Scripts* environment beyond the documents' examples: every form of the listeners, how many callbacks live at a
//! time, that scripts do not disturb each other, the newer words.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/oktopus.rs"]
mod oktopus;

use std::thread;
use std::time::{Duration, Instant};

use oktopus::{Acs, inform};
use rcwmp::cwmp::event::EventCode;
use rcwmp::lab::acs::scripts::{Error, State};

/// At once, on a machine that does much else; what is not ended at once goes on for twenty seconds and more.
const SOON: Duration = Duration::from_secs(8);

/// What a listener hears of a BOOT of `A`, a PERIODIC of `A`, a BOOT of `B`, and vendors' and methods' events of `B`.
fn heard(arguments: &str) -> Vec<String> {
    let acs = Acs::new();
    acs.start(&format!(
        "local function cb(e) if e.serial_number ~= 'END' then print(e.serial_number .. ' ' .. e.event) end end
         listen_to_cwmp_event({arguments}) listen_to_cwmp_event('*', 'END', function() print('end') end) print('ready')"
    ));
    acs.wait_log(1);
    inform(&acs, "A", EventCode::Boot);
    inform(&acs, "A", EventCode::Periodic);
    inform(&acs, "B", EventCode::Boot);
    inform(&acs, "B", EventCode::Vendor("X 020000 HELLO".into()));
    inform(&acs, "B", EventCode::Method("Reboot".into()));
    // What comes last is heard of last.
    inform(&acs, "END", EventCode::Periodic);
    let begun = Instant::now();
    while acs.log().last().map(String::as_str) != Some("end") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", acs.log());
        thread::sleep(Duration::from_millis(5));
    }
    let log = acs.log();
    log[1..log.len() - 1].to_vec()
}

#[test]
fn every_form_of_a_listener() {
    let all = ["A 1", "A 2", "B 1", "B X 020000 HELLO", "B M Reboot"];
    for (arguments, expected) in [
        ("cb", &all[..]),
        ("'*', '*', cb", &all),
        ("nil, nil, cb, 5", &all),
        ("'', '', cb", &all),
        ("'*', cb, 2", &all),
        ("'1', cb", &["A 1", "B 1"]),
        ("1, '*', cb", &["A 1", "B 1"]),
        ("'1 BOOT', 'B', cb", &["B 1"]),
        ("'*', 'A', cb, 3, true", &["A 1", "A 2"]),
        ("'M Reboot', cb", &["B M Reboot"]),
        ("'0', cb", &[]),
    ] {
        assert_eq!(heard(arguments), expected, "{arguments}");
    }
}

#[test]
fn a_listener_needs_a_callback() {
    let acs = Acs::new();
    let printed = acs.run("listen_to_cwmp_event('0', '*')");
    assert!(printed[0].contains("<string>:1: listen_to_cwmp_event needs a callback function"), "{printed:?}");
    assert!(acs.run("listen_to_new_device()")[0].contains("listen_to_new_device needs a callback function"));
    let many = acs.run("for i = 1, 65 do listen_to_cwmp_event(print) end");
    assert!(many[0].contains("at most 64 listeners"), "{many:?}");
}

#[test]
fn new_devices_of_one_serial_number_or_all() {
    let acs = Acs::new();
    acs.start("listen_to_new_device('*', 'B', function(d) print('b', d.sn) end) listen_to_new_device(function(d) print('all', d.sn) end) print('ready')");
    acs.wait_log(1);
    for serial in ["A", "B", "A"] {
        inform(&acs, serial, EventCode::Boot);
    }
    let mut log = acs.wait_log(4)[1..].to_vec();
    log.sort();
    assert_eq!(log, ["all\tA", "all\tB", "b\tB"]);
}

/// Six events for a listener whose callbacks end when they are told to: the greatest number of them that were alive at a
/// time, and how many ran. No clock has a part in it.
#[track_caller]
fn alive(arguments: &str, wait: &str, (most, ran): (u32, usize)) {
    let acs = Acs::new();
    acs.start(&format!(
        "local alive, most, ran, go = 0, 0, 0, false
         local function wait() while not go do sleep(0.01) end end
         local function cb()
           alive = alive + 1 ran = ran + 1 most = math.max(most, alive) {wait} alive = alive - 1
           print(most .. ' ' .. ran)
         end
         listen_to_cwmp_event({arguments})
         listen_to_cwmp_event('2', '*', function() go = true end)
         listen_to_cwmp_event('5', '*', function() print('last') end)
         print('ready')"
    ));
    acs.wait_log(1);
    for number in 0..6 {
        inform(&acs, &format!("D{number}"), EventCode::Boot);
    }
    // Listeners hear of events in their order: whoever may live does by now.
    inform(&acs, "D0", EventCode::Periodic);
    acs.wait_log(1 + ran);
    inform(&acs, "D0", EventCode::Kicked);
    let log = acs.wait_log(2 + ran);
    assert_eq!(log[ran], format!("{most} {ran}"), "{arguments} {wait}: {log:?}");
    assert_eq!(log[ran + 1], "last", "{arguments} {wait}: {log:?}");
}

#[test]
fn as_many_callbacks_as_was_asked_for() {
    alive("'1', '*', cb", "wait()", (1, 6));
    alive("'1', '*', cb, 3", "wait()", (3, 6));
    alive("'1', '*', cb, 10", "wait()", (6, 6));
    // They give way inside pcall too, and in a function that pcall calls.
    alive("'1', '*', cb, 3", "assert(pcall(function() pcall(wait) end))", (3, 6));
    alive("'1', '*', cb, 3", "coroutine.yield() coroutine.yield() wait()", (3, 6));
    alive("'1', '*', cb, 3", "string.gsub('x', 'x', wait)", (3, 6));
    // Where Lua cannot give way the whole script waits, and goes on.
    alive("'1', '*', cb, 3", "table.sort({ 1, 2 }, function() sleep(0.05) end)", (1, 6));
    alive("'1', '*', cb, 3", "coroutine.wrap(function() sleep(0.05) end)()", (1, 6));
    // What comes while all are busy is discarded.
    alive("'1', '*', cb, 2, true", "wait()", (2, 2));
}

#[test]
fn the_script_itself_sleeps_while_its_callbacks_run() {
    let acs = Acs::new();
    acs.start("listen_to_cwmp_event(function(e) print(e.event) end) print('ready') sleep(0.8) print('woke')");
    acs.wait_log(1);
    inform(&acs, "A", EventCode::Boot);
    assert_eq!(acs.wait_log(3), ["ready", "1", "woke"]);
    inform(&acs, "A", EventCode::Periodic);
    assert_eq!(acs.wait_log(4)[3], "2");
    // It would wait for ever.
    assert!(acs.stop() < SOON);
}

#[test]
fn errors_stay_where_they_are() {
    let acs = Acs::new();
    // In a callback: told, and the listener lives on.
    acs.start("listen_to_cwmp_event(function(e) if e.event == '1' then error('no boots') end print(e.event) end) print('ready')");
    acs.wait_log(1);
    acs.scripts.start("broken", "local x = = 1").unwrap();
    acs.scripts.start("failing", "print('begun') local t = nil t.x = 1").unwrap();
    acs.scripts.start("endless", "while true do end").unwrap();
    inform(&acs, "A", EventCode::Boot);
    inform(&acs, "A", EventCode::Periodic);
    let begun = Instant::now();
    while acs.log().last().map(String::as_str) != Some("2") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", acs.log());
        thread::sleep(Duration::from_millis(5));
    }
    assert!(acs.log()[1].contains("<string>:1: no boots"), "{:?}", acs.log());
    // In the others: their own end, with its reason.
    let report = |name: &str| acs.scripts.report(name).unwrap();
    while ["broken", "failing"].iter().any(|name| report(name).state == State::Running) {
        assert!(begun.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(5));
    }
    assert!(report("broken").reason.starts_with("the script cannot be read: <string>:1:"));
    assert!(report("failing").reason.contains("attempt to index local 't'"), "{}", report("failing").reason);
    let log: Vec<String> = acs.scripts.log("failing").unwrap().into_iter().map(|line| line.text).collect();
    assert!(log[0] == "begun" && log.contains(&"stack traceback:".to_owned()), "{log:?}");
    assert_eq!((report("endless").state, report("test").state), (State::Running, State::Running));
    // Names, and what is refused.
    assert_eq!(
        acs.scripts.list().iter().map(|report| report.name.as_str()).collect::<Vec<_>>(),
        ["broken", "endless", "failing", "test"]
    );
    assert_eq!(acs.scripts.start("test", ""), Err(Error::Running("test".into())));
    assert_eq!(acs.scripts.remove("test"), Err(Error::Running("test".into())));
    assert_eq!(acs.scripts.stop("nobody"), Err(Error::Unknown("nobody".into())));
    assert!(matches!(acs.scripts.start("", ""), Err(Error::Refused(_))));
    assert_eq!(acs.scripts.start("failing", "print('again')"), Ok(()));
}

#[test]
fn a_log_keeps_its_last_lines() {
    let acs = Acs::new();
    let log = acs.run("for i = 1, 5000 do print(i) end");
    assert_eq!((log.len(), log[0].as_str(), log[1999].as_str()), (2000, "3001", "5000"));
}

#[test]
fn messages_of_callbacks_wait_beside_each_other() {
    let acs = Acs::new();
    let device = acs.device("A", false);
    let get = r#"[[<soap:Envelope><soap:Body><cwmp:GetParameterValues><ParameterNames><string>%s</string></ParameterNames></cwmp:GetParameterValues></soap:Body></soap:Envelope>]]"#;
    // Asynchronous: with the device's next session. Blocking: it is asked for one.
    acs.start(&format!(
        "local get = {get}
         listen_to_cwmp_event('1', '*', function() local r = send_cwmp_async_message('A', get:format('Device.DeviceInfo.Manufacturer'), 0) print('later', r['Device.DeviceInfo.Manufacturer']) end)
         listen_to_cwmp_event('2', '*', function()
           local ok, r = pcall(send_cwmp_message, 'A', get:format('Device.X'), 0)
           print(ok, r.error_code, r.raw_response:match('<FaultCode>(%d+)</FaultCode>'))
         end)
         listen_to_cwmp_event('2', '*', function() print('refreshed', refresh_device_parameters('A')) end)
         print('ready')"
    ));
    acs.wait_log(1);
    let informs = || acs.notes.lines().iter().filter(|line| *line == "informed A").count();
    let before = informs();
    inform(&acs, "B", EventCode::Boot);
    thread::sleep(Duration::from_millis(500));
    assert_eq!((acs.log().len(), informs()), (1, before), "nobody asks the device for a session");
    inform(&acs, "B", EventCode::Periodic);
    let mut log = acs.wait_log(4)[1..].to_vec();
    log.sort();
    assert_eq!(log, ["later\tExample", "refreshed\ttrue", "true\t9005\t9005"]);
    drop(device);
    // A device that is gone cannot be asked: at once, not after a time.
    let begun = Instant::now();
    acs.stop();
    let printed = acs.run_again(&format!(
        "local r = send_cwmp_message('A', ({get}):format('Device.X'), 0) print(r.error_code)"
    ));
    assert_eq!(printed, ["400"]);
    // That would be thirty seconds.
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}

#[test]
fn the_newer_words() {
    let acs = Acs::new();
    assert_eq!(
        acs.run(
            r#"print(json_encode({a = {1, 2, {b = true}}}))
               local v, e = json_decode('{"x":[1,"y"]}') print(v.x[1], v.x[2], e)
               v, e = json_decode('{') print(v, e ~= nil)
               v, e = json_encode(print) print(v, e)
               print(set_device_model('A', 'M'))"#
        ),
        [
            "{\"a\":[1,2,{\"b\":true}]}\tnil",
            "1\ty\tnil",
            "nil\ttrue",
            "nil\ta function cannot be JSON",
            "false"
        ]
    );
    acs.office.store.add_device("A").unwrap();
    let printed = acs.run("print(set_device_model('A', 'M'), get_device('A').model, get_device('A').data_model, get_device('A').status, get_device('A').cwmp)");
    assert_eq!(printed, ["true\tM\t\t0\tfalse"]);
    inform(&acs, "A", EventCode::Boot);
    assert_eq!(acs.run("print(get_device('A').data_model, get_device('A').status)"), ["TR-181\t2"]);
    assert_eq!(
        acs.run("print(send_cwmp_message_and_forget, get_device_id, provisioning_status)"),
        ["nil\tnil\tnil"]
    );
}

#[test]
fn the_command_line_runs_a_folder_of_scripts() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hello.lua"), "print('hi', #get_all_devices())").unwrap();
    std::fs::write(folder.path().join("broken.lua"), "x = = 1").unwrap();
    std::fs::write(folder.path().join("wait.lua"), "print('waits') while true do sleep(20) end").unwrap();
    let start = |profile: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rcwmpd"));
        command
            .env("NO_COLOR", "1")
            .args(["mini-acs", "--listen", "127.0.0.1:0", "--script"])
            .arg(folder.path());
        command.args(["--profile", profile]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut acs = start("openwrt-tr181");
    let mut lines = BufReader::new(acs.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut wanted = vec![
        "script   hello: hi\t0",
        "script   hello has ended",
        "script   broken: the script cannot be read: <string>:1: unexpected symbol near '='",
        "script   broken has failed",
        "script   wait: waits",
    ];
    while !wanted.is_empty() {
        let line = lines.next().expect("all of them come");
        wanted.retain(|wanted| *wanted != line);
    }
    agent::signal(&acs, "TERM");
    let begun = Instant::now();
    assert!(acs.wait().unwrap().success());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let refused = start("/nonexistent").wait_with_output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
