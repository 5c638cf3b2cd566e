//! Secrets stay where they belong: a marker for every password there is, and the most talkative agent; none of them in
//! its log, its answers on ubus or the command line. What it keeps is for nobody else to read, whatever the umask is.
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
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use agent::{Agent, Router};
use messages::{envelope, set_values};
use play::{end, has, inform, methods, router, say};
use rcwmp::agent::redact::redacted;
use rcwmp::lab::router::broker::Broker;
use rcwmp::ubus::blobmsg::Table;
use rcwmp::ubus::client::Client;
use rcwmp::ubus::json;
use scripted::{Scripted, step};

/// In every secret of these tests, and in nothing else.
const MARK: &str = "n0t-t0-be-seen";
/// What `user:MARK-acs` is in base64, from where it stands no matter what is before.
const LIMIT: Duration = Duration::from_secs(10);

fn mark(of: &str) -> String {
    format!("{MARK}-{of}")
}

/// A request with a file's URL, user and password.
fn transfer(method: &str, file_type: &str, url: &str, password: &str, more: &str) -> String {
    envelope(
        "7",
        &format!(
            "<cwmp:{method}><CommandKey>k</CommandKey><FileType>{file_type}</FileType><URL>{url}</URL>\
             <Username>files</Username><Password>{password}</Password>{more}</cwmp:{method}>"
        ),
    )
}

#[track_caller]
fn shows_nothing(what: &str, text: &str) {
    // As it is, and as Basic sends it: three ways to begin in a group of four.
    let base64 = ["bjB0LXQwLWJlLXNlZW", "4wdC10MC1iZS1zZW", "uMHQtdDAtYmUtc2Vlb"];
    for secret in [&[MARK][..], &base64].concat() {
        let line = text.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{what} shows {secret}: {}", line.unwrap_or_default());
    }
}

#[test]
fn nowhere_in_what_is_said() {
    let wifi = "Device.WiFi.AccessPoint.1.Security.";
    let set = |name: &str| say(set_values("1", &[(name, "xsd:string", &mark("set"))], "k"));
    let sizes = "<FileSize>0</FileSize><TargetFileName></TargetFileName>";
    let download =
        format!("{sizes}<DelaySeconds>3600</DelaySeconds><SuccessURL></SuccessURL><FailureURL></FailureURL>");
    let windows = format!(
        "{sizes}<TimeWindowList><TimeWindowStruct><WindowStart>3600</WindowStart><WindowEnd>7200</WindowEnd>\
         <WindowMode>1 At Any Time</WindowMode><UserMessage></UserMessage><MaxRetries>0</MaxRetries>\
         </TimeWindowStruct></TimeWindowList>"
    );
    let (config, log) = ("3 Vendor Configuration File", "2 Vendor Log File");
    let with_user = format!("http://files:{}@127.0.0.1:1/x", mark("url"));
    let install = format!(
        "<cwmp:ChangeDUState><Operations xsi:type=\"cwmp:InstallOpStruct\"><URL>http://127.0.0.1:1/p.ipk</URL>\
         <UUID></UUID><Username>files</Username><Password>{}</Password><ExecutionEnvRef></ExecutionEnvRef>\
         </Operations><CommandKey>k</CommandKey></cwmp:ChangeDUState>",
        mark("unit")
    );
    let plain = "http://127.0.0.1:1/x";
    let steps = vec![
        step().status(401).header("WWW-Authenticate", "Basic realm=\"x\""),
        inform(),
        methods(),
        set(&format!("{wifi}KeyPassphrase")),
        set(&format!("{wifi}PreSharedKey")),
        set(&format!("{wifi}SAEPassphrase")),
        set(&format!("{wifi}WEPKey")),
        set("Device.Users.User.1.Password"),
        set("Device.ManagementServer.STUNPassword"),
        set("Device.ManagementServer.ConnectionRequestPassword"),
        set("Device.XMPP.Connection.1.Password"),
        set("Device.NoSuchObject.Password"),
        set("Device.X_EXAMPLE_Cloud.ApiToken"),
        say(transfer("Download", config, plain, &mark("download"), &download)),
        say(transfer("Download", config, &with_user, &mark("download"), &download)),
        say(transfer("Upload", log, plain, &mark("upload"), "<DelaySeconds>3600</DelaySeconds>")),
        say(transfer("ScheduleDownload", config, plain, &mark("schedule"), &windows)),
        say(envelope("8", &install)),
        say(&transfer("Download", config, plain, &mark("cut"), &download)[..700]),
    ];
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    for (section, option) in [("acs", "passwd"), ("cpe", "passwd")] {
        router.set(section, option, &mark(section));
    }
    let config_file = router.read("/etc/config/cwmp")
        + &format!(
            "\nconfig stun 'stun'\n\toption enable '1'\n\toption server_address '127.0.0.1'\n\
             \toption server_port '1'\n\toption username 'cpe'\n\toption password '{0}'\n\
             \nconfig xmpp_connection 'x'\n\toption enable '1'\n\toption username 'cpe'\n\toption password '{0}'\n\
             \toption domain '127.0.0.1'\n",
            mark("uci")
        );
    router.write("/etc/config/cwmp", &config_file);
    router.write(
        "/usr/share/rcwmp/datamodel.d/cloud.json",
        r#"{"objects":[{"object":"Device.X_EXAMPLE_Cloud.","params":[
{"name":"ApiToken","type":"string","access":"rw","hidden":true,"uci":"cwmp.cpe.api_token"}]}]}"#,
    );
    router.set("cpe", "log_severity", "DEBUG");
    router.set("cpe", "log_to_file", "1");
    router.set("cpe", "log_file_name", "/var/log/agent.log");
    fs::create_dir_all(router.root().join("var/log")).unwrap();
    let socket = router.root().join("var/run/ubus/ubus.sock");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let broker = Broker::start(&socket, vec![]).unwrap();
    let agent = router.start(&[]);
    agent.wait_for("Retry in", 1);
    // They were taken, and sent where they belong.
    assert!(router.read("/etc/config/wireless").contains(&mark("set")), "{}", agent.log());
    assert!(router.read("/etc/config/cwmp").contains(&mark("set")));
    assert!(router.read("/etc/config/cwmp").contains("option api_token"), "{}", agent.log());
    assert!(router.read("/etc/rcwmp/state.json").contains(&mark("download")));
    let seen = acs.finish();
    assert!(seen[1].header("authorization").unwrap().starts_with("Basic "));
    has(&agent.log(), &["ScheduleDownload", "***", "http://***@127.0.0.1:1/x"]);

    let mut client = Client::connect(broker.path(), LIMIT).unwrap();
    let mut said = String::new();
    for (object, method, arguments) in [
        ("tr069", "status", "{}"),
        ("rcwmp", "sessions", "{}"),
        ("rcwmp", "transfers", "{}"),
        ("rcwmp", "get", r#"{"path":"Device.ManagementServer."}"#),
        ("rcwmp", "get", r#"{"path":"Device.WiFi.AccessPoint."}"#),
        ("rcwmp", "get", r#"{"path":"Device.XMPP."}"#),
        ("rcwmp", "get", r#"{"path":"Device.Users."}"#),
    ] {
        let answers = client.call(object, method, &json::parse(arguments).unwrap(), LIMIT).unwrap();
        let text: Vec<String> = answers.iter().map(json::print).collect();
        assert!(!text.concat().is_empty());
        said += &text.concat();
        said.push('\n');
    }
    has(&said, &["ScheduleDownload", "KeyPassphrase", "STUNPassword", "\"reason\""]);
    shows_nothing("ubus", &said);
    assert!(client.call("rcwmp", "sessions", &Table::new(), LIMIT).is_ok());
    for arguments in [
        &["status"][..],
        &["validate"],
        &["-c", "get", "Device."],
        &["-c", "set", "Device.WiFi.AccessPoint.1.Security.NoSuch", MARK],
    ] {
        let output = router.run(arguments);
        shows_nothing(&format!("{arguments:?}"), &String::from_utf8_lossy(&output.stdout));
        // The last one's own word is not told back either.
        shows_nothing(&format!("{arguments:?}"), &String::from_utf8_lossy(&output.stderr));
    }
    shows_nothing("the log", &agent.log());
    shows_nothing("the log file", &router.read("/var/log/agent.log"));
    shows_nothing("icwmp's file", &router.read("/var/state/icwmp"));
    assert!(agent.stop().0.success());
}

/// A URL with a password in it is not one that is used; it is complained about without it.
#[test]
fn a_url_with_a_password_in_the_configuration() {
    let router = router(&format!("http://cpe:{MARK}@127.0.0.1:1/"));
    router.set("cpe", "log_severity", "DEBUG");
    router.set("acs", "dhcp_url", &format!("http://cpe:{MARK}@127.0.0.1:1/dhcp"));
    let agent = router.start(&[]);
    agent.wait_for("Retry in", 1);
    shows_nothing("the log", &agent.log());
    let output = router.run(&["validate"]);
    shows_nothing("validate", &String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    let output = router.run(&["status"]);
    shows_nothing("status", &String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    assert!(agent.stop().0.success());
}

/// What the data model says is never shown, the log does not show either.
#[test]
fn every_hidden_parameter_is_hidden_in_the_log() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datamodel");
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "json") {
            for line in fs::read_to_string(&path).unwrap().lines() {
                if line.contains("\"hidden\":true") {
                    let name = line.split("\"name\":\"").nth(1).unwrap().split('"').next().unwrap();
                    names.push(name.to_owned());
                }
            }
        }
    }
    assert!(names.len() > 15 && names.iter().any(|name| name == "PrivateKey"), "{names:?}");
    for name in names {
        let shown = redacted(
            set_values("1", &[(&format!("Device.A.1.{name}"), "xsd:string", MARK)], "k").as_bytes(),
            &|_| false,
        );
        shows_nothing(&name, &shown);
    }
}

/// The modes of all that lies in a folder, by their paths.
fn modes(root: &Path, folder: &str, out: &mut Vec<(String, u32)>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        let about = fs::symlink_metadata(entry.path()).unwrap();
        if about.is_dir() {
            modes(root, &path, out);
        }
        out.push((path, about.mode() & 0o7777));
    }
}

/// The daemon, where what it makes has every right that it does not take away itself.
fn start_without_umask(router: &Router) -> Agent {
    let log = router.root().parent().unwrap().join("agent.log");
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_rcwmpd"), "-f", "--root"]);
    command.arg(router.root()).stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    Agent::of(child, log)
}

#[test]
fn what_is_kept_is_for_nobody_else() {
    let download = "<FileSize>0</FileSize><TargetFileName></TargetFileName><DelaySeconds>0</DelaySeconds>\
                    <SuccessURL></SuccessURL><FailureURL></FailureURL>";
    // A server of files that never answers: the file's beginning lies there as long as the test looks.
    let files = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", files.local_addr().unwrap());
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(set_values("1", &[("Device.WiFi.SSID.1.SSID", "xsd:string", "mode")], "k")),
        say(transfer("Download", "3 Vendor Configuration File", &url, "p", download)),
        end(),
    ]);
    let router = router(&acs.url());
    router.set("cpe", "log_to_file", "1");
    router.set("cpe", "log_file_name", "/var/log/agent.log");
    fs::create_dir_all(router.root().join("var/log")).unwrap();
    // An older version has left it open.
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(router.root().join("etc/rcwmp")).unwrap();
    fs::set_permissions(router.root().join("etc/rcwmp"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(router.root().join("tmp")).unwrap();
    let agent = start_without_umask(&router);
    let (mut stream, _) = files.accept().unwrap();
    {
        use std::io::{Read, Write};
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nbeginning").unwrap();
    }
    agent.wait_for("End session", 1);
    std::thread::sleep(Duration::from_millis(300));
    let mut found = Vec::new();
    for folder in ["etc/rcwmp", "tmp", "var/run/rcwmp", "var/log"] {
        modes(&router.root(), folder, &mut found);
    }
    found.sort();
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    for name in [
        "etc/rcwmp/state.json",
        "etc/rcwmp/model.json",
        "etc/rcwmp/journal",
        "tmp/rcwmp",
        "var/log/agent.log",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert!(names.iter().any(|name| name.starts_with("tmp/rcwmp/download")), "{names:?}");
    for (name, mode) in &found {
        // The rest of it is the fixture's.
        let is_ours = !name.starts_with("tmp/") || name.starts_with("tmp/rcwmp");
        assert!(!is_ours || mode & 0o077 == 0, "{name} has {mode:o}");
    }
    assert_eq!(fs::metadata(router.root().join("etc/rcwmp")).unwrap().mode() & 0o777, 0o700);
    // What scripts are told is for all to read, and for nobody to write.
    let mut told = Vec::new();
    for folder in ["var/state", "var/run"] {
        modes(&router.root(), folder, &mut told);
    }
    for (name, mode) in &told {
        assert_eq!(mode & 0o022, 0, "{name} has {mode:o}");
    }
    // UCI's file keeps the mode that it has, and gets no other.
    assert!(agent.stop().0.success());
    // Not before: a download that has failed is told at once, which nobody waits for here.
    drop(stream);
    acs.finish();
}

/// `/tmp` is everybody's: who was there before us does not get what we put there.
#[test]
fn a_link_that_waits_in_tmp() {
    let download = "<FileSize>0</FileSize><TargetFileName></TargetFileName><DelaySeconds>0</DelaySeconds>\
                    <SuccessURL></SuccessURL><FailureURL></FailureURL>";
    let prey = tempfile::tempdir().unwrap();
    fs::write(prey.path().join("download"), "not ours").unwrap();
    let files = Scripted::start(vec![step().status(200).body("package 'system'\n")]);
    let mut steps = vec![
        inform(),
        methods(),
        say(transfer("Download", "3 Vendor Configuration File", &files.url(), "p", download)),
        end(),
    ];
    steps.extend(play_completion());
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    fs::create_dir_all(router.root().join("tmp")).unwrap();
    std::os::unix::fs::symlink(prey.path(), router.root().join("tmp/rcwmp")).unwrap();
    let agent = router.start(&[]);
    agent.wait_for("End session", 2);
    assert_eq!(fs::read_to_string(prey.path().join("download")).unwrap(), "not ours");
    assert_eq!(fs::read_dir(prey.path()).unwrap().count(), 1);
    assert!(fs::symlink_metadata(router.root().join("tmp/rcwmp")).unwrap().is_dir());
    assert!(agent.stop().0.success());
    files.finish();
    acs.finish();
}

/// The session that tells of the transfer's end.
fn play_completion() -> Vec<scripted::Step> {
    vec![inform(), play::confirm("TransferComplete", ""), end()]
}
