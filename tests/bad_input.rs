//! Bad input, one kind after the other: one clear line that names what and where, an exit code or a fault,
//! and nothing lost. Only the program itself is asked.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use std::fs;
use std::net::TcpListener;
use std::process::Output;
use std::time::Duration;

use agent::Router;
use messages::{get_values, set_values};
use play::{Knock, SERIAL, codes, end, has, inform, inform_with, knock, methods, request_url, router, say};
use scripted::{Scripted, step};

const SSID: &str = "Device.WiFi.SSID.1.SSID";
/// A configuration file that ends in a text.
const BROKEN: &str =
    "config wifi-device 'radio0'\n\toption band '2g'\n\nconfig wifi-iface 'x'\n\toption ssid 'open\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The command failed with this code, and one line has all these words.
#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(
        stderr.lines().any(|line| words.iter().all(|word| line.contains(word))),
        "no {words:?} in {stderr}"
    );
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_broken_uci_file() {
    let script = vec![
        inform(),
        methods(),
        say(get_values("1", &[SSID])),
        say(get_values("2", &["Device."])),
        say(set_values(
            "3",
            &[(SSID, "xsd:string", "never"), ("Device.DeviceInfo.HostName", "xsd:string", "never")],
            "k",
        )),
        say(get_values("4", &["Device.DeviceInfo.HostName"])),
        end(),
    ];
    let acs = Scripted::start(script);
    let router = router(&acs.url());
    router.write("/etc/config/wireless", BROKEN);
    let system = router.read("/etc/config/system");
    let log = router.play();
    let seen = acs.finish();
    let answers: Vec<String> = seen[3..].iter().map(scripted::Seen::text).collect();
    has(&answers[0], &[">9002<", "wireless"]);
    has(&answers[1], &["GetParameterValuesResponse", "LAB0000001", "Device.NAT.PortMapping.1.Enable"]);
    has(&answers[2], &[">9003<", SSID, ">9002<"]);
    has(&answers[3], &[">OpenWrt<"]);
    assert_eq!(router.read("/etc/config/wireless"), BROKEN);
    assert_eq!(router.read("/etc/config/system"), system);
    assert!(log.lines().filter(|line| line.contains("wireless:")).count() <= 4, "{log}");
    let output = router.run(&["validate"]);
    refused(&output, 1, &["wireless:5:"]);
    let stderr = text(&output.stderr);
    assert!(
        stderr.lines().any(|line| line.trim_start().starts_with('^') || line.trim_end().ends_with('^')),
        "a caret: {stderr}"
    );
    assert!(stderr.contains("1 complaint\n"), "a cause is told once: {stderr}");
    // Repaired, it is read again, and its instances are the same ones.
    router.write("/etc/config/wireless", &BROKEN.replace("'open\n", "'open'\n"));
    let output = router.run(&["-c", "get", "Device.WiFi.Radio.1.Alias"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_broken_configuration_of_the_agent() {
    let acs = Scripted::start(vec![inform(), methods(), end(), inform(), end()]);
    let router = router(&acs.url());
    let whole = router.read("/etc/config/cwmp");
    let broken = whole.clone() + "option 'without a\n";
    router.write("/etc/config/cwmp", &broken);
    let agent = router.start(&[]);
    agent.wait_for("cwmp:", 1);
    let log = agent.log();
    let line = log.lines().find(|line| line.contains("cwmp:")).unwrap();
    assert!(line.contains("SIGHUP") && line.contains("cwmp:"), "{line}");
    assert_eq!(router.read("/etc/config/cwmp"), broken);
    // Repaired and told, it goes on; broken again, it keeps what it has.
    router.write("/etc/config/cwmp", &whole);
    agent.signal("HUP");
    agent.wait_for("End session", 1);
    router.write("/etc/config/cwmp", "config\n");
    agent.signal("HUP");
    agent.wait_for("the configuration stays as it was", 1);
    assert_eq!(agent.log().matches("the configuration stays as it was").count(), 1, "{}", agent.log());
    // The port and its credentials are those it had. Who the device is stands in that file, so that there is
    // no session until it can be read; each attempt of the ladder says so in one line, and needs no SIGHUP.
    assert_eq!(knock(&request_url(&acs.seen()[0].text()), Knock::default()), 200);
    agent.wait_for("no session: ", 1);
    agent.wait_for("Retry in", 1);
    assert_eq!(router.read("/etc/config/cwmp"), "config\n");
    router.write("/etc/config/cwmp", &whole);
    agent.wait_for("End session", 2);
    assert_eq!(agent.log().matches("no session: ").count(), agent.log().matches("Retry in").count());
    assert!(agent.stop().0.success());
    has(&acs.finish()[3].text(), &["LAB0000001"]);
}

#[test]
fn a_bad_row_of_a_data_model() {
    let acs = Scripted::start(vec![inform(), methods(), end()]);
    let router = router(&acs.url());
    let row = "{\"objects\":[{\"object\":\"Device.X_EXAMPLE_Bad.\",\"params\":[\n {\"name\":\"A\",\"type\":\"strin\",\"const\":\"x\"}]}]}";
    router.write("/usr/share/rcwmp/datamodel.d/bad.json", row);
    let good = "{\"objects\":[{\"object\":\"Device.X_EXAMPLE_Good.\",\"params\":[{\"name\":\"A\",\"type\":\"string\",\"const\":\"x\"}]}]}";
    router.write("/usr/share/rcwmp/datamodel.d/good.json", good);
    let output = router.run(&["validate"]);
    refused(&output, 1, &["datamodel.d/bad.json:2:", "strin"]);
    assert!(text(&output.stderr).lines().any(|line| line.trim() == "^" || line.trim_end().ends_with('^')));
    has(&router.play(), &["bad.json:2:", "the file is skipped"]);
    acs.finish();
    let output = router.run(&["-c", "get", "Device.X_EXAMPLE_Good.A"]);
    assert!(output.status.success() && text(&output.stdout).contains("=> x"), "{output:?}");
}

/// `validate` reads what the options name, too.
#[test]
fn files_that_options_name() {
    let router = router("http://127.0.0.1:9/");
    router.set("cpe", "forced_inform_json", "/etc/forced.json");
    router.set("cpe", "custom_notify_json", "/etc/notify.json");
    refused(&router.run(&["validate"]), 1, &["forced_inform_json: /etc/forced.json cannot be read"]);
    router.write("/etc/forced.json", "{\"forced_inform\": [\"Device.DeviceInfo.UpTime\"]}");
    refused(&router.run(&["validate"]), 1, &["custom_notify_json: /etc/notify.json cannot be read"]);
    router.write("/etc/notify.json", "{\"custom_notification\": 7}");
    refused(&router.run(&["validate"]), 1, &["/etc/notify.json: "]);
    router.write("/etc/notify.json", "{\"custom_notification\": []}");
    let output = router.run(&["validate"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let acs = Scripted::start(vec![inform(), methods(), end()]);
    let router = router(&acs.url());
    let port = taken.local_addr().unwrap().port().to_string();
    router.set("cpe", "port", &port);
    let log = router.play();
    let line = log.lines().find(|line| line.contains("connection requests cannot be received")).unwrap();
    assert!(line.contains(&port), "{line}");
    // The ACS is not told a URL that leads to somebody else.
    let seen = acs.finish();
    assert_eq!(play::request_url(&seen[0].text()), "");
}

#[test]
fn no_acs_url_and_one_that_is_none() {
    let cases = [
        ("", "no ACS URL"),
        ("ftp://acs.example/", "neither http:// nor https://"),
        ("http://a:99999/", "port"),
        ("http://someone:n0t-for-logs@127.0.0.1/", "user"),
    ];
    let agents = cases.map(|(url, words)| {
        let router = Router::new("http://127.0.0.1:1/");
        router.set("acs", "url", url);
        let place = if url.is_empty() { "no ACS URL" } else { "cwmp.acs.url" };
        let output = router.run(&["validate"]);
        refused(&output, 1, &["acs.url", place]);
        assert!(!text(&output.stderr).contains("n0t-for-logs"), "{output:?}");
        let agent = router.start(&[]);
        agent.wait_for(words, 1);
        (router, agent)
    });
    let before = agents.each_ref().map(|(_, agent)| (agent.log().lines().count(), agent.cpu()));
    std::thread::sleep(Duration::from_secs(1));
    for ((_router, agent), (lines, cpu)) in agents.into_iter().zip(before) {
        let (log, spent) = (agent.log(), agent.cpu().saturating_sub(cpu));
        assert!(log.lines().count() <= lines + 4, "{log}");
        assert!(spent < Duration::from_millis(200), "it spins: {spent:?} in a second");
        assert!(!log.contains("n0t-for-logs"), "{log}");
        assert!(agent.stop().0.success());
    }
}

#[test]
fn wrong_command_lines() {
    let router = Router::new("http://127.0.0.1:1/");
    for wrong in [&["--nonsense"][..], &["nonsense"], &["validate", "more"], &["-b=3"], &["--root"]] {
        refused(&router.run(wrong), 2, &["rcwmpd:"]);
    }
    let before = configuration(&router);
    for (words, line) in [
        (&["get", "Device.NoSuch"][..], "9005"),
        (&["get", "Device.", "more"], "get takes [path-expr]"),
        (&["set", "Device.NoSuch", "x"], "9005"),
        (&["set", "Device.DeviceInfo.SerialNumber", "x"], "9008"),
        (&["set", "Device.ManagementServer.PeriodicInformInterval", "soon"], "Fault 9007"),
        (&["set", "Device.ManagementServer.PeriodicInformInterval", "0"], "9007"),
        (&["set", "Device.ManagementServer.PeriodicInformInterval"], "Fault 9003"),
        (&["add", "Device.DeviceInfo."], "9005"),
        (&["del", "Device.NAT.PortMapping."], "9005"),
    ] {
        let mut line_words = vec!["-c"];
        line_words.extend(words);
        let output = router.run(&line_words);
        refused(&output, 1, &[line]);
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    // What is no command at all, icwmp tells on stdout, and which there are.
    let output = router.run(&["-c", "dance"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("Wrong cwmp cli command: dance\n"), "{output:?}");
    assert_eq!(configuration(&router), before);
    let missing = router.root().join("none");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_rcwmpd"))
        .arg("--root")
        .arg(&missing)
        .args(["-c", "get", SERIAL])
        .output()
        .unwrap();
    refused(&output, 1, &["--root", "none"]);
    assert!(!missing.exists());
}

fn configuration(router: &Router) -> Vec<(String, String)> {
    rcwmp::lab::router::configuration(&router.root()).unwrap()
}

#[test]
fn a_relative_root() {
    let router = Router::new("http://127.0.0.1:1/");
    let root = router.root();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_rcwmpd"))
        .current_dir(root.parent().unwrap())
        .arg("--root")
        .arg(root.file_name().unwrap())
        .args(["-c", "set", "Device.DeviceInfo.HostName", "relative"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(router.read("/etc/config/system").contains("'relative'"));
}

#[test]
fn a_second_daemon() {
    let acs = Scripted::start(vec![inform(), methods(), end(), inform(), end()]);
    let router = router(&acs.url());
    let first = router.start(&[]);
    first.wait_for("End session", 1);
    refused(&router.run(&["-f"]), 1, &["another rcwmpd"]);
    // The first goes on as if nothing had been.
    router.set("acs", "url", &(acs.url() + "/other"));
    first.signal("HUP");
    first.wait_for("End session", 2);
    assert!(first.stop().0.success());
    acs.finish();
}

#[test]
fn damaged_state() {
    let huge = [b"{\"identity\":\"".to_vec(), vec![b'x'; 20 << 20], b"\"}".to_vec()].concat();
    let damages: [&[u8]; 7] = [
        b"",
        b"{\"queue\":",
        b"\0\xff\xfe",
        b"[]",
        b"{\"version\":99}",
        b"{\"memory\":7,\"queue\":7}",
        &huge,
    ];
    let files = ["state.json", "model.json"];
    let router = router("http://127.0.0.1:1/");
    let dir = router.root().join("etc/rcwmp");
    for damage in damages {
        let acs = Scripted::start(vec![inform(), methods(), end()]);
        router.set("acs", "url", &acs.url());
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        for file in files {
            fs::write(dir.join(file), damage).unwrap();
        }
        let log = router.play();
        let shown = text(&damage.iter().copied().filter(u8::is_ascii_graphic).take(20).collect::<Vec<_>>());
        for file in files {
            let lines: Vec<&str> = log.lines().filter(|line| line.contains(file)).collect();
            assert!(lines.len() == 1 && lines[0].contains("put aside"), "{shown}: {lines:?}");
            assert!(lines[0].len() < 400, "{shown}: a line of {}", lines[0].len());
            assert!(fs::read(dir.join(file).with_extension("json.damaged")).unwrap() == damage, "{shown}");
        }
        assert!(codes(&acs.finish()[0].text()).contains(&"0 BOOTSTRAP".to_owned()));
    }
}

/// What an earlier version has written knows less, and has words that nobody knows any more: it is taken up as it is.
/// A later format is put aside, as [`damaged_state`] has it.
#[test]
fn state_of_an_older_version() {
    let knocked = || [inform_with(&["6 CONNECTION REQUEST"]), end()];
    let mut steps = vec![inform_with(&["0 BOOTSTRAP"]), methods(), end()];
    steps.extend((0..2).flat_map(|_| knocked()));
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    router.play();
    router.set("acs", "get_rpc_methods", "0");
    let url = request_url(&acs.seen()[0].text());
    let first =
        ["bootstrapped", "identity", "boot_id", "queue", "ladder", "connection_request_path", "phase"];
    for version in [None, Some(0)] {
        let state: serde_json::Value = serde_json::from_str(&router.read("/etc/rcwmp/state.json")).unwrap();
        let mut old: serde_json::Map<_, _> =
            first.iter().map(|name| ((*name).to_owned(), state[*name].clone())).collect();
        assert!(old.values().all(|value| !value.is_null()), "{state}");
        old.insert("a_word_of_old".to_owned(), serde_json::json!({"x": [1]}));
        old.extend(version.map(|version| ("version".to_owned(), serde_json::json!(version))));
        router.write("/etc/rcwmp/state.json", &serde_json::Value::Object(old).to_string());
        let agent = router.start(&[]);
        agent.wait_for("Connection Request server initiated", 1);
        assert_eq!(knock(&url, Knock::default()), 200, "the path is the same");
        agent.wait_for("End session", 1);
        assert!(!agent.log().contains("put aside"), "{}", agent.log());
        assert!(agent.stop().0.success());
    }
    let seen = acs.finish();
    assert_eq!(codes(&seen[3].text()), ["6 CONNECTION REQUEST"]);
    assert_eq!(codes(&seen[5].text()), ["6 CONNECTION REQUEST"]);
    assert!(router.read("/etc/rcwmp/state.json").contains("\"version\":1"));
}

#[test]
fn certificates_that_are_none() {
    for (place, content, words) in [
        ("/etc/ssl/none.pem", None, "none.pem"),
        (
            "/etc/ssl/garbage.pem",
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "garbage.pem",
        ),
        ("/etc/ssl/empty.pem", Some("nothing here\n"), "empty.pem"),
    ] {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        silent.set_nonblocking(true).unwrap();
        let router = router(&format!("https://{}/", silent.local_addr().unwrap()));
        if let Some(content) = content {
            router.write(place, content);
        }
        router.set("acs", "ssl_capath", place);
        refused(&router.run(&["validate"]), 1, &[words]);
        let agent = router.start(&[]);
        agent.wait_for("Retry in", 1);
        has(&agent.log(), &[words]);
        assert!(agent.stop().0.success());
        // Not a byte went anywhere unchecked.
        assert!(silent.accept().is_err(), "it connected");
    }
}

#[test]
fn garbage_from_an_acs() {
    let answers: [Vec<u8>; 6] = [
        b"this is no XML".to_vec(),
        b"<a>".repeat(300_000),
        b"<?xml version=\"1.0\"?><soap-env:Envelope xmlns:soap-env=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap-env:Bo".to_vec(),
        (0..4096_u32).map(|n| u8::try_from(n * 7 % 256).unwrap()).collect(),
        b"<!DOCTYPE a [<!ENTITY b \"cc\"><!ENTITY d \"&b;&b;\">]><a>&d;</a>".to_vec(),
        b"<html><body>502 Bad Gateway</body></html>".to_vec(),
    ];
    // One life of the daemon, in which every attempt but the last is answered so.
    let mut script: Vec<_> = answers.iter().map(|answer| step().status(200).body(answer)).collect();
    script.extend([inform(), methods(), end()]);
    let acs = Scripted::start(script);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let log = agent.log();
    assert_eq!(log.matches("Retry in").count(), answers.len(), "{log}");
    assert!(log.lines().all(|line| line.len() < 400), "garbage is not repeated in the log");
    assert!(agent.stop().0.success());
    for (count, seen) in acs.finish().iter().take(answers.len() + 1).enumerate() {
        has(&seen.text(), &[&format!("<RetryCount>{count}<"), "0 BOOTSTRAP"]);
    }
}

#[test]
fn secrets_stay_out_of_the_log() {
    let key = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
    let acs = Scripted::start(vec![
        step().status(401).header("WWW-Authenticate", "Basic realm=\"x\""),
        inform(),
        methods(),
        say(set_values("1", &[(key, "xsd:string", "n0t-for-logs")], "k")),
        say(set_values("2", &[(key, "xsd:string", "n0t!"), ("Device.NoSuch", "xsd:string", "x")], "k")),
        end(),
    ]);
    let router = router(&acs.url());
    router.set("cpe", "log_severity", "DEBUG");
    let log = router.play();
    acs.finish();
    has(&log, &["SetParameterValues", "***"]);
    for secret in ["n0t-for-logs", "n0t!", "ExamplePassphrase", "RXhhbXBsZVBhc3NwaHJhc2U"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    assert!(router.read("/etc/config/wireless").contains("'n0t-for-logs'"));
}

#[test]
fn a_broken_line_that_holds_a_secret() {
    let key = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
    let acs = Scripted::start(vec![inform(), methods(), say(get_values("1", &[key])), end()]);
    let router = router(&acs.url());
    router.set("cpe", "log_severity", "DEBUG");
    let broken = router.read("/etc/config/wireless") + "\toption key 'n0t-for-logs\n";
    router.write("/etc/config/wireless", &broken);
    let log = router.play();
    let answer = acs.finish()[3].text();
    has(&answer, &["wireless"]);
    for text in [&log, &answer] {
        assert!(!text.contains("n0t-for-logs"), "{text}");
    }
    assert_eq!(router.read("/etc/config/wireless"), broken);
}

#[test]
fn a_secret_in_other_words_of_xml() {
    let set = |name: &str, value: &str| say(set_values("1", &[(name, "xsd:string", value)], "k"));
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        set("Device.WiFi.AccessPoint.1.Security.KeyPassphrase", "<![CDATA[n0t-for-logs</Value>n0t-either]]>"),
        set("<![CDATA[Device.WiFi.AccessPoint.1.Security.KeyPassphrase]]>", "n0t-for-logs"),
        set("Device.WiFi.AccessPoint.1.Security.KeyPass&#112;hrase", "n0t-for-logs"),
        set("Device.WiFi.AccessPoint.1.Security.Key<!-- -->Passphrase", "n0t-for-logs"),
        end(),
    ]);
    let router = router(&acs.url());
    router.set("cpe", "log_severity", "DEBUG");
    let log = router.play();
    acs.finish();
    let leak = log.lines().find(|line| line.contains("n0t-"));
    assert!(leak.is_none(), "{leak:?}");
}
