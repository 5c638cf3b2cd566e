//! `rcwmpd lab` and `rcwmpd mini-acs` as people run them.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcwmp::ubus::blobmsg::{Table, Value};
use rcwmp::ubus::client::Client;

fn rcwmpd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rcwmpd"));
    command.env("NO_COLOR", "1");
    command
}

/// Runs the lab in a folder of its own for temporary files, which must be empty afterwards.
fn lab(arguments: &[&str]) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let output = rcwmpd().env("TMPDIR", folder.path()).arg("lab").args(arguments).output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    (output, stdout)
}

fn script(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".lua").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn interrupt(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn zero_touch_from_bootstrap_to_provisioned() {
    let (output, stdout) = lab(&["--var", "wifi_ssid=O'Hara & <Sons>", "--var", "camera_ip=192.168.1.77"]);
    assert!(output.status.success(), "{output:?}");
    for line in [
        "inform   LAB0000001 (Example LabRouter) informs for the first time: 0 BOOTSTRAP, 1 BOOT",
        "script   Provisioning LAB0000001",
        "rpc      AddObject Device.NAT.PortMapping. → instance",
        "service  zero-touch is provisioned",
        "rpc      SetParameterValues Device.NAT.PortMapping.3: Enable = \"1\", Interface = ",
        "session  LAB0000001 had 8 requests and is done",
        "+++ b/etc/config/wireless",
        "-\toption ssid 'ExampleNet'",
        "+\toption ssid 'O'\\''Hara & <Sons>'",
        "+\toption hostname 'living-room'",
        "+\tlist server 'ntp.isp.example'",
        "+\toption start '50'",
        "+\toption dest_ip '192.168.1.77'",
    ] {
        assert!(stdout.lines().any(|shown| shown.starts_with(line)), "{line:?} in\n{stdout}");
    }
    assert!(!stdout.contains("ExampleNet-5G'\n+"), "only the 2.4 GHz network changes");
    assert!(stdout.contains(" and 3 more → applied"), "{stdout}");
    // Four packages have changed: procd hears of each once, of the network's last.
    assert!(stdout.contains("service event ×4"), "{stdout}");
    let reloaded = stdout.lines().find_map(|line| line.strip_prefix("ubus     reloaded: ")).unwrap();
    assert!(reloaded.ends_with(", network") && reloaded.matches("network").count() == 1, "{reloaded}");
    assert!(
        last_line(&stdout).starts_with("done     Provisioned LAB0000001 with zero-touch in "),
        "{stdout}"
    );
}

#[test]
fn another_build_is_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let (program, mark) = (folder.path().join("agent"), folder.path().join("mark"));
    let text =
        format!("#!/bin/sh\ntouch '{}'\nexec '{}' \"$@\"\n", mark.display(), env!("CARGO_BIN_EXE_rcwmpd"));
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (output, stdout) = lab(&["--agent", program.to_str().unwrap()]);
    assert!(output.status.success() && mark.exists(), "{output:?}");
    assert!(last_line(&stdout).starts_with("done     Provisioned LAB0000001"), "{stdout}");

    let (output, _) = lab(&["--agent", "/nonexistent"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the agent cannot start: "), "{output:?}");
}

#[test]
fn a_refused_value_fails_and_says_why() {
    let (output, stdout) = lab(&["--var", "wifi_passphrase=short"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("the service failed") && stderr.contains("9007"), "{stderr}");
    assert!(stderr.contains("KeyPassphrase = •••"), "{stderr}");
    assert!(!stdout.contains("+\toption key"), "all or nothing: {stdout}");
    assert!(stdout.contains("agent "), "the agent's last words are shown: {stdout}");
    assert!(stdout.contains("service  zero-touch has failed: "), "{stdout}");
}

#[test]
fn other_scripts_and_quirks() {
    let good = script("print('hello', get_variable_value('x')) set_provisioning_status('provisioned')");
    let path = good.path().to_str().unwrap();
    for quirk in [
        "cookie-serial",
        "no-cookie",
        "empty-ok",
        "empty-answers",
        "malformed-faults",
        "genieacs",
        "oktopus",
        "acsrs",
        "axiros",
        "no-names",
    ] {
        let (output, stdout) = lab(&["--service", path, "--var", "x=1", "--quirk", quirk]);
        assert!(output.status.success(), "{quirk}: {output:?}");
        assert!(stdout.contains("script   hello\t1"), "{stdout}");
    }
    let unset = script("print('no status')");
    let (output, _) = lab(&["--service", unset.path().to_str().unwrap()]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("without setting provisioning_status"));
    let (output, _) = lab(&["--quirk", "overloaded", "--timeout", "2"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("the router got no session within 2 s"));
    assert_eq!(lab(&["--nonsense"]).0.status.code(), Some(2));
}

/// The documents' script, if it is here.
fn documents_example() -> Option<String> {
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/seeds/lua/services/real_world_example_pppoe_service_configuration.lua"
    );
    if Path::new(example).exists() {
        return Some(example.to_owned());
    }
    #[allow(clippy::disallowed_macros, reason = "a skipped test says so")]
    {
        println!("skipped: ../shared not present");
    }
    None
}

const PPPOE: [&str; 4] = ["--var", "pppoe_username=u@isp.example", "--var", "pppoe_password=s3cret"];

#[test]
fn the_documents_example_meets_a_tr181_device() {
    let Some(example) = documents_example() else { return };
    let (output, stdout) = lab(&[&["--service", &example], &PPPOE[..]].concat());
    // It is written for TR-098: a TR-181 device knows none of its names, and says so for each message.
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout.matches("→ refused: 900").count(), 3, "{stdout}");
    assert!(
        stdout.contains("script   Finished processing device SN: LAB0000001, messages queued"),
        "{stdout}"
    );
    assert!(!stdout.contains("+++ b/"), "{stdout}");
}

#[test]
fn the_documents_example_provisions_a_tr098_device() {
    const CONNECTION: &str = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1.";
    let Some(example) = documents_example() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("router");
    let place = ["--model", "tr098", "--keep", root.to_str().unwrap(), "--service", &example];
    let (output, stdout) = lab(&[&place[..], &PPPOE[..]].concat());
    assert!(output.status.success(), "{output:?}");
    for line in [
        "rpc      AddObject InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection. → instance 1, applied",
        "rpc      GetParameterValues Device.DeviceInfo. → ",
        "+InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1.Password = •••",
        "done     Provisioned LAB0000001 with real_world_example_pppoe_service_configuration in ",
    ] {
        assert!(stdout.lines().any(|shown| shown.starts_with(line)), "{line:?} in\n{stdout}");
    }
    assert!(!stdout.contains("s3cret") && !stdout.contains("refused"), "{stdout}");

    let command = |words: &[&str]| {
        let output = rcwmpd().arg("--root").arg(&root).arg("-c").args(words).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let stored = || {
        let link =
            "InternetGatewayDevice.WANDevice.1.WANCommonInterfaceConfig.X_AVM-DE_InternetConnectionLinkType";
        for (name, value) in [
            (format!("{CONNECTION}Username"), "u@isp.example"),
            (format!("{CONNECTION}Enable"), "1"),
            (format!("{CONNECTION}Name"), "internet-pppoe"),
            (format!("{CONNECTION}ConnectionType"), "IP_Routed"),
            (link.to_owned(), "PPPoE"),
        ] {
            assert_eq!(command(&["get", &name]), (true, format!("{name} => {value}\n")));
        }
        let (_, hidden) = command(&["get", &format!("{CONNECTION}Password")]);
        assert!(!hidden.contains("s3cret"), "{hidden}");
    };
    stored();
    restart(&root);
    stored();
    // What is fixed stays, what was added goes.
    assert!(!command(&["add", "InternetGatewayDevice.WANDevice."]).0);
    assert!(!command(&["set", &format!("{CONNECTION}ConnectionStatus"), "Connected"]).0);
    assert!(command(&["del", CONNECTION]).0);
    assert!(!command(&["get", &format!("{CONNECTION}Username")]).0);
    assert!(!std::fs::read_to_string(root.join("etc/rcwmp/model.json")).unwrap().contains("s3cret"));
}

/// Runs the agent of a router until it would talk to its ACS, which is gone.
fn restart(root: &Path) {
    let mut agent = rcwmpd()
        .args(["-f", "-b", "--root"])
        .arg(root)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(agent.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(log.any(|line| line.contains("Start session")));
    interrupt(&agent, Signal::SIGTERM);
    log.for_each(drop);
    assert!(agent.wait().unwrap().success());
}

/// The lab's exit code and last line for a script.
fn last_word(text: &str) -> (Option<i32>, String) {
    let file = script(text);
    let (output, _) = lab(&["--service", file.path().to_str().unwrap(), "--timeout", "3"]);
    (output.status.code(), last_line(&String::from_utf8(output.stderr).unwrap()).to_owned())
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

#[test]
fn every_failure_has_its_reason_in_the_last_line() {
    let read_only = r#"send_cwmp_message_and_forget(get_device_id(), [[<soap:Envelope><soap:Body>
        <cwmp:SetParameterValues><ParameterList soapenc:arrayType="cwmp:ParameterValueStruct[1]"><ParameterValueStruct>
        <Name>Device.DeviceInfo.UpTime</Name><Value xsi:type="xsd:unsignedInt">7</Value>
        </ParameterValueStruct></ParameterList><ParameterKey/></cwmp:SetParameterValues>
        </soap:Body></soap:Envelope>]], 2) set_provisioning_status("provisioned")"#;
    for (text, reason) in [
        (
            read_only,
            "SetParameterValues Device.DeviceInfo.UpTime = \"7\" was refused: 9003 Invalid arguments; \
             Device.DeviceInfo.UpTime: 9008 Attempt to set a non-writable parameter",
        ),
        ("local x = = 3", "the script cannot be read: <string>:1: unexpected symbol near '='"),
        ("print('done')", "the script ended without setting provisioning_status"),
        ("set_provisioning_status('failed')", "the script set provisioning_status to \"failed\""),
        ("local x = 1\nerror('no luck')", "the script raised an error: <string>:2: no luck"),
        ("while true do end", "the script ran longer than 3 s"),
        ("sleep(3600)", "the script ran longer than 3 s"),
    ] {
        assert_eq!(last_word(text), (Some(1), format!("rcwmpd lab: the service failed: {reason}")), "{text}");
    }
}

#[test]
fn verbose_shows_the_soap() {
    let (output, stdout) = lab(&["--verbose"]);
    assert!(output.status.success(), "{output:?}");
    let (story, _) = stdout.split_once("what has changed on it").unwrap();
    assert!(!story.contains("correct horse"), "{story}");
    assert!(story.contains("<Value xsi:type=\"xsd:string\">•••</Value>"), "{story}");
    let (mut time, mut messages) = (0.0, 0);
    let mut lines = story.lines().peekable();
    let mut directions = [0, 0];
    while let Some(line) = lines.next() {
        let Some(head) = line.strip_prefix("soap     ") else { continue };
        let (when, what) = head.split_once(" s: ").unwrap();
        let when: f64 = when.parse().unwrap();
        assert!(when >= time, "{line} after {time}");
        time = when;
        directions[usize::from(what.starts_with("ACS → CPE "))] += 1;
        let mut text = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("         ")) {
            if !line.contains("<?xml") {
                text += &format!("{line}\n");
            }
        }
        assert_eq!(
            text.is_empty(),
            what.ends_with("an empty POST") || what.ends_with("and nothing"),
            "{head}"
        );
        if !text.is_empty() && !text.contains("… cut:") {
            // Still the message that it was.
            rcwmp::cwmp::soap::read(text.as_bytes(), &Default::default()).unwrap();
            messages += 1;
        }
    }
    // Two calls of the CPE with their answers, eight requests with theirs, an empty POST and the end.
    assert_eq!(directions, [11, 11], "{story}");
    assert!(messages >= 18, "{messages}");
    let (_, quiet) = lab(&[]);
    assert!(!quiet.contains("soap "), "{quiet}");
    let help = rcwmpd().args(["lab", "--help"]).output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("shows every SOAP message"));
}

#[test]
fn a_kept_router_stays() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("router");
    let (output, stdout) = lab(&["--keep", place.to_str().unwrap(), "--verbose"]);
    assert!(output.status.success(), "{output:?}");
    assert!(stdout.contains("Device.DeviceInfo.SoftwareVersion = ") && stdout.contains("agent "), "{stdout}");
    let wireless = std::fs::read_to_string(place.join("etc/config/wireless")).unwrap();
    assert!(wireless.contains("'Home of the Lab'"));
    // A router without a fault has nothing to complain about.
    let validate = rcwmpd().arg("--root").arg(&place).arg("validate").output().unwrap();
    assert!(validate.status.success() && validate.stderr.is_empty(), "{validate:?}");
    let (output, _) = lab(&["--keep", place.to_str().unwrap()]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("is not empty"));
}

#[test]
fn an_interrupt_cleans_up() {
    let folder = tempfile::tempdir().unwrap();
    let slow = script("print('begun') sleep(3600)");
    let mut child = rcwmpd()
        .env("TMPDIR", folder.path())
        .args(["lab", "--service"])
        .arg(slow.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(stdout.any(|line| line.unwrap().contains("begun")));
    let start = Instant::now();
    interrupt(&child, Signal::SIGINT);
    assert!(!child.wait().unwrap().success());
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_mini_acs_serves_an_agent_and_its_store_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let (db, router) = (folder.path().join("acs.db"), folder.path().join("router"));
    let service = script("print('hi ' .. device_id) set_provisioning_status('provisioned')");
    let mut acs = rcwmpd()
        .args([
            "mini-acs",
            "--listen",
            "127.0.0.1:0",
            "--auth",
            "digest:020000-LAB0000001:ExamplePassphrase",
            "--db",
        ])
        .arg(&db)
        .arg("--service")
        .arg(service.path())
        .args(["--var", "a=1", "--device", "LAB0000001", "--verbose"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(acs.stdout.take().unwrap()).lines().map(Result::unwrap);
    let url = lines.next().unwrap().split_once("http://").map(|(_, rest)| format!("http://{rest}")).unwrap();
    let settings = rcwmp::lab::router::Settings { acs_url: url, port: 17_547 };
    rcwmp::lab::router::unpack(&router, &settings).unwrap();
    let mut agent = rcwmpd()
        .args(["-f", "-b", "--root"])
        .arg(&router)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(lines.any(|line| line == "             <cwmp:Inform>"));
    assert!(lines.any(|line| line.contains("is provisioned")));
    assert!(lines.any(|line| line.contains("and is done")));
    interrupt(&agent, Signal::SIGTERM);
    interrupt(&acs, Signal::SIGTERM);
    assert!(agent.wait().unwrap().success() && acs.wait().unwrap().success());
    let Ok(shell) = Command::new("sqlite3")
        .arg(&db)
        .arg("SELECT serial_number, data_model, status, line FROM devices JOIN service_instances ON device_id = serial_number JOIN instance_log ON instance_id = service_instances.id")
        .output()
    else {
        return;
    };
    assert_eq!(String::from_utf8(shell.stdout).unwrap(), "LAB0000001|Device|provisioned|hi LAB0000001\n");
}

/// The router alone, started in a folder for temporary files.
struct Alone {
    child: Child,
    root: String,
    socket: String,
    lines: Vec<String>,
}

impl Alone {
    fn start(temporary: &Path, arguments: &[&str]) -> Alone {
        let mut child = rcwmpd()
            .env("TMPDIR", temporary)
            .args(["lab", "--router"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).take(5);
        let lines: Vec<_> = lines.collect();
        let after = |start: &str| {
            let line =
                lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{lines:?}"));
            line.rsplit(' ').next().unwrap().to_owned()
        };
        Alone { root: after("router"), socket: after("ubus"), child, lines }
    }

    fn call(&self, object: &str, method: &str) -> Table {
        let limit = Duration::from_secs(20);
        let mut client = Client::connect(Path::new(&self.socket), limit).unwrap();
        client.call(object, method, &Table::new(), limit).unwrap().remove(0)
    }

    fn stop(mut self) {
        interrupt(&self.child, Signal::SIGTERM);
        assert!(self.child.wait().unwrap().success());
        assert!(!Path::new(&self.socket).exists());
    }
}

#[test]
fn the_router_alone_is_on_ubus_until_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let alone = Alone::start(folder.path(), &[]);
    let tries: Vec<_> = alone.lines.iter().filter_map(|line| line.strip_prefix("try      ")).collect();
    let (root, socket) = (&alone.root, &alone.socket);
    assert_eq!(
        tries,
        [
            format!("rcwmpd -f --root {root} -s {socket}"),
            format!("ubus -s {socket} -v list"),
            format!("ubus -s {socket} call network.interface dump"),
        ]
    );
    let dump = alone.call("network.interface", "dump");
    let list = dump.get("interface").and_then(Value::as_array).unwrap();
    let names: Vec<_> = list.iter().map(|one| one.as_table().unwrap().text("interface").unwrap()).collect();
    assert_eq!(names, ["loopback", "lan", "guest", "wan", "wan6", "iptv"]);
    alone.stop();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_router_of_one_s_own_stays_and_serves_again() {
    let folder = tempfile::tempdir().unwrap();
    // Too long a name for a socket.
    let root = folder.path().join("r".repeat(120));
    let place = ["--root", root.to_str().unwrap()];
    Alone::start(folder.path(), &place).stop();
    let system = root.join("etc/config/system");
    let text = std::fs::read_to_string(&system).unwrap();
    std::fs::write(&system, text.replace("'OpenWrt'", "'mine'")).unwrap();
    let socket = folder.path().join("bus/s");
    let alone = Alone::start(folder.path(), &[&place[..], &["--socket", socket.to_str().unwrap()]].concat());
    assert_eq!(alone.socket, socket.to_str().unwrap());
    assert_eq!(alone.call("system", "board").text("hostname").unwrap(), "mine");
    alone.stop();
    assert!(system.exists());
    let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.filter(|name| name != "bus").count(), 1, "the router");
    let refused = rcwmpd().args(["lab", "--router", "--keep", "/x"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
