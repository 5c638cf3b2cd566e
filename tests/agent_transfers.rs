//! Downloads, uploads, resets and deployment units through the daemon: from the ACS's call to the message that
//! tells of its end, over a reboot and a SIGKILL too. The router's programs are scripts below its root.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/packages.rs"]
mod packages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use std::fs;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use messages::{envelope, get_values};
use play::{Knock, codes, confirm, end, events, has, inform, knock, methods, request_url, router, say};
use scripted::{Scripted, Seen, step};

const IMAGE: &str = "1 Firmware Upgrade Image";
const CONFIGURATION: &str = "3 Vendor Configuration File";

fn download(id: &str, key: &str, file_type: &str, url: &str, more: &str) -> String {
    let body = format!(
        "<cwmp:Download><CommandKey>{key}</CommandKey><FileType>{file_type}</FileType><URL>{url}</URL><Username/>\
         <Password/><FileSize>0</FileSize>{more}<SuccessURL/><FailureURL/></cwmp:Download>"
    );
    envelope(id, &body)
}

fn at_once(id: &str, key: &str, file_type: &str, url: &str) -> String {
    download(id, key, file_type, url, "<TargetFileName/><DelaySeconds>0</DelaySeconds>")
}

fn upload(id: &str, key: &str, file_type: &str, url: &str) -> String {
    let body = format!(
        "<cwmp:Upload><CommandKey>{key}</CommandKey><FileType>{file_type}</FileType><URL>{url}</URL><Username/>\
         <Password/><DelaySeconds>0</DelaySeconds></cwmp:Upload>"
    );
    envelope(id, &body)
}

fn call(id: &str, name: &str) -> String {
    envelope(id, &format!("<cwmp:{name}/>"))
}

/// The text of the first element of a name.
fn leaf(message: &str, name: &str) -> String {
    let rest = message.split(&format!("<{name}>")).nth(1).unwrap_or_default();
    rest.split('<').next().unwrap_or_default().to_owned()
}

#[track_caller]
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn firmware_is_tested_installed_and_told_after_the_reboot() {
    let image = b"an image { \"version\": { \"version\": \"99.1\" } }";
    let files = Scripted::start(vec![step().status(200).body(image)]);
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(at_once("1", "flash", IMAGE, &files.url())),
        say(call("2", "GetQueuedTransfers")),
        end(),
        // After the reboot.
        inform(),
        methods(),
        confirm("TransferComplete", ""),
        say(call("3", "GetAllQueuedTransfers")),
        end(),
    ]);
    let router = router(&acs.url());
    router.program("sbin/sysupgrade", "exit 0");
    let agent = router.start(&[]);
    wait_for("sysupgrade is run", || router.ran().len() == 2);
    assert_eq!(router.ran(), ["sysupgrade --test /tmp/rcwmp/download", "sysupgrade /tmp/rcwmp/download"]);
    files.finish();
    // The system goes down and comes up with the image.
    agent.kill();
    router.set("cpe", "software_version", "99.1");
    router.write("/proc/sys/kernel/random/boot_id", "another\n");
    router.play();
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    has(&seen[3], &["DownloadResponse", "<Status>1<", "0001-01-01T00:00:00Z"]);
    has(&seen[4], &["<CommandKey>flash<", "<State>1<"]);
    let boot = &seen[5];
    assert_eq!(codes(boot), ["1 BOOT", "4 VALUE CHANGE", "7 TRANSFER COMPLETE", "M Download"], "{boot}");
    assert!(events(boot).contains(&("M Download".to_owned(), "flash".to_owned())));
    assert_eq!(play::value(boot, "Device.DeviceInfo.SoftwareVersion"), "99.1");
    assert_eq!((leaf(&seen[7], "CommandKey").as_str(), leaf(&seen[7], "FaultCode").as_str()), ("flash", "0"));
    assert_ne!(leaf(&seen[7], "CompleteTime"), "0001-01-01T00:00:00Z");
    has(&seen[9], &["AllQueuedTransferStruct[0]"]);
}

#[test]
fn an_image_of_another_board_is_not_installed() {
    let files = Scripted::start(vec![step().status(200).body(b"an image")]);
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(at_once("1", "flash", IMAGE, &files.url())),
        end(),
        inform(),
        confirm("TransferComplete", ""),
        end(),
    ]);
    let router = router(&acs.url());
    router.program("sbin/sysupgrade", "echo Device example,board not supported by this image; exit 1");
    let agent = router.start(&[]);
    agent.wait_for("End session", 2);
    assert!(agent.stop().0.success());
    files.finish();
    assert_eq!(router.ran(), ["sysupgrade --test /tmp/rcwmp/download"]);
    assert!(!router.root().join("tmp/rcwmp/download").exists());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[4]), ["7 TRANSFER COMPLETE", "M Download"]);
    assert_eq!(leaf(&seen[5], "FaultCode"), "9018");
    has(&seen[5], &["not supported by this image", "<CompleteTime>0001-01-01T00:00:00Z<"]);
}

#[test]
fn an_image_is_stored_and_a_page_put_in_its_folder() {
    let files = Scripted::start(vec![
        step().status(200).body(b"an image for later"),
        step().status(200).body(b"<p>hello</p>"),
        step().status(200).body(b"named by the URL"),
    ]);
    let url = format!("{}/../plain.html?..", files.url());
    let page = "<TargetFileName>hello.html</TargetFileName><DelaySeconds>0</DelaySeconds>";
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(at_once("1", "stored", "6 Stored Firmware Image", &files.url())),
        say(download("2", "page", "2 Web Content", &files.url(), page)),
        // TargetFileName may be empty where the URL has a name; this one is none.
        say(at_once("3", "plain", "2 Web Content", &url)),
        say(at_once("4", "none", "2 Web Content", &format!("{}/..", files.url()))),
        end(),
        inform(),
        confirm("TransferComplete", ""),
        end(),
        inform(),
        confirm("TransferComplete", ""),
        end(),
        // What cannot even be begun ends together with the one before it.
        inform(),
        confirm("TransferComplete", ""),
        confirm("TransferComplete", ""),
        end(),
    ]);
    let router = router(&acs.url());
    router.program("sbin/sysupgrade", "exit 0");
    router.write("/www/index.html", "home");
    let agent = router.start(&[]);
    agent.wait_for("End session", 4);
    assert!(agent.stop().0.success());
    files.finish();
    // It is tested, and nothing is installed.
    let tests = router.ran();
    assert!(tests.len() == 1 && tests[0].starts_with("sysupgrade --test "), "{tests:?}");
    assert_eq!(router.read("/etc/rcwmp/stored-image.bin"), "an image for later");
    assert_eq!(router.read("/www/hello.html"), "<p>hello</p>");
    assert_eq!(fs::read_dir(router.root().join("www")).unwrap().count(), 3);
    assert_eq!(router.read("/www/plain.html"), "named by the URL");
    let told: Vec<String> =
        acs.finish().iter().map(Seen::text).filter(|text| text.contains("<cwmp:TransferComplete>")).collect();
    for (text, (key, code)) in
        told.iter().zip([("stored", "0"), ("page", "0"), ("plain", "0"), ("none", "9010")])
    {
        assert_eq!((leaf(text, "CommandKey").as_str(), leaf(text, "FaultCode").as_str()), (key, code));
        assert_eq!(leaf(text, "CompleteTime") == "0001-01-01T00:00:00Z", code != "0");
    }
    assert_eq!(told.len(), 4);
}

#[test]
fn configurations_are_imported_whole_or_not_at_all() {
    let good =
        "package system\n\nconfig system\n\toption hostname 'imported'\n\npackage example\n\nconfig a 'b'\n";
    let bad =
        "package system\n\nconfig system\n\toption hostname 'half'\n\npackage example\n\tconfig 'open\n";
    let files = Scripted::start(vec![step().status(200).body(good), step().status(200).body(bad)]);
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(at_once("1", "good", CONFIGURATION, &files.url())),
        say(at_once("2", "bad", CONFIGURATION, &files.url())),
        end(),
        inform(),
        confirm("TransferComplete", ""),
        say(get_values("3", &["Device.DeviceInfo.HostName"])),
        end(),
        inform(),
        confirm("TransferComplete", ""),
        end(),
    ]);
    let router = router(&acs.url());
    router.program("sbin/reload_config", "exit 0");
    let agent = router.start(&[]);
    agent.wait_for("End session", 3);
    assert!(agent.stop().0.success());
    files.finish();
    assert_eq!(router.read("/etc/config/system"), "config system\n\toption hostname 'imported'\n");
    assert_eq!(router.read("/etc/config/example"), "config a 'b'\n");
    assert_eq!(router.ran(), ["reload_config"]);
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    let told: Vec<(String, String)> = seen
        .iter()
        .filter(|text| text.contains("<cwmp:TransferComplete>"))
        .map(|text| (leaf(text, "CommandKey"), leaf(text, "FaultCode")))
        .collect();
    assert_eq!(told, [("good".into(), "0".into()), ("bad".into(), "9018".into())]);
    has(&seen[8], &[">imported<"]);
}

#[test]
fn uploads_and_refusals() {
    let files = Scripted::start(vec![step().status(201), step().status(404), step().status(204)]);
    let url = files.url();
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(upload("1", "all", "1 Vendor Configuration File", &url)),
        say(upload("2", "none", "4 Vendor Log File 2", &format!("{url}/log"))),
        say(upload("2b", "ring", "2 Vendor Log File", &format!("{url}/ring"))),
        say(at_once("3", "x", "4 Tone File", &url)),
        say(at_once("4", "x", IMAGE, "gopher://a/b")),
        say(at_once("5", "x", IMAGE, "http://u:p@a/b")),
        end(),
        inform(),
        confirm("TransferComplete", ""),
        end(),
        inform(),
        confirm("TransferComplete", ""),
        end(),
        inform(),
        confirm("TransferComplete", ""),
        end(),
    ]);
    let router = router(&acs.url());
    router.program("sbin/logread", "echo from the ring");
    router.write("/tmp/example.log", "a line\n");
    router.set("cpe", "log_file_name", "/tmp/example.log");
    let agent = router.start(&[]);
    agent.wait_for("End session", 4);
    assert!(agent.stop().0.success());
    let sent = files.finish();
    assert!(sent.iter().all(|one| one.method() == "PUT"));
    has(&sent[0].text(), &["package cwmp\n", "package wireless\n", "config wifi-iface"]);
    assert_eq!((sent[1].text().as_str(), sent[2].text().as_str()), ("a line\n", "from the ring\n"));
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    has(&seen[6], &[">9003<"]);
    has(&seen[7], &[">9013<"]);
    has(&seen[8], &[">9003<"]);
    let told: Vec<(String, String)> = seen
        .iter()
        .filter(|text| text.contains("<cwmp:TransferComplete>"))
        .map(|text| (leaf(text, "CommandKey"), leaf(text, "FaultCode")))
        .collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(key, code)| (key.as_str(), code.as_str())).collect();
    assert_eq!(told, [("all", "0"), ("none", "9016"), ("ring", "0")]);
}

#[test]
fn a_slow_download_holds_nothing_up_and_can_be_cancelled() {
    let (release, held) = mpsc::channel::<()>();
    let files = Scripted::start(vec![step().computed(move |_| {
        let _ = held.recv_timeout(Duration::from_secs(30));
        step().close()
    })]);
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(at_once("1", "slow", IMAGE, &files.url())),
        end(),
        inform(),
        say(call("2", "GetQueuedTransfers")),
        say(envelope("3", "<cwmp:CancelTransfer><CommandKey>slow</CommandKey></cwmp:CancelTransfer>")),
        say(envelope(
            "4",
            "<cwmp:CancelTransfer><CommandKey>never heard of</CommandKey></cwmp:CancelTransfer>",
        )),
        say(call("5", "GetQueuedTransfers")),
        end(),
    ]);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("Download of 1 Firmware Upgrade Image is started", 1);
    agent.wait_for("End session", 1);
    let url = request_url(&acs.seen()[0].text());
    let start = Instant::now();
    assert!([200, 204].contains(&knock(&url, Knock::default())));
    // Far above the 50 ms that it takes, for a slow machine.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    agent.wait_for("End session", 2);
    play::stays_quiet(&agent, "Start session", 2);
    drop(release);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    has(&seen[6], &["<CommandKey>slow<", "<State>2<"]);
    has(&seen[7], &["CancelTransferResponse"]);
    has(&seen[8], &["CancelTransferResponse"]);
    has(&seen[9], &["QueuedTransferStruct[0]"]);
}

/// A reboot and an import wait for the session's end, wherever the download ends (TR-069 3.7.1.3, 3.7.1.4).
#[test]
fn what_arrives_during_a_session_is_applied_after_it() {
    let (release, held) = mpsc::channel::<()>();
    let files = Scripted::start(vec![step().computed(move |_| {
        let _ = held.recv_timeout(Duration::from_secs(30));
        step().status(200).body(b"an image")
    })]);
    let (place, placed) = mpsc::channel::<std::path::PathBuf>();
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(at_once("1", "flash", IMAGE, &files.url())),
        end(),
        inform(),
        step().computed(move |_| {
            release.send(()).unwrap();
            let ran = placed.recv().unwrap().join("ran");
            let lines = || fs::read_to_string(&ran).unwrap_or_default().lines().count();
            wait_for("the image is tested", || lines() == 1);
            // Time enough to do it wrong.
            std::thread::sleep(Duration::from_millis(500));
            assert_eq!(lines(), 1, "installed during the session");
            say(call("2", "GetQueuedTransfers"))
        }),
        end(),
    ]);
    let router = router(&acs.url());
    place.send(router.root()).unwrap();
    router.program("sbin/sysupgrade", "exit 0");
    let agent = router.start(&[]);
    agent.wait_for("is started", 1);
    agent.wait_for("End session", 1);
    let url = request_url(&acs.seen()[0].text());
    assert!([200, 204].contains(&knock(&url, Knock::default())));
    wait_for("sysupgrade is run", || router.ran().len() == 2);
    let log = agent.log();
    assert!(log.rfind("End session").unwrap() < log.find("Installing an image").unwrap(), "{log}");
    drop(agent);
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    has(&seen[6], &["<CommandKey>flash<", "<State>2<"]);
}

/// What the device going down would only cut off is left to its next life (TR-069 A.3.2.8).
#[test]
fn a_download_and_a_reboot_of_one_session_are_both_done() {
    let page = "<TargetFileName>page</TargetFileName><DelaySeconds>0</DelaySeconds>";
    let files = Scripted::start(vec![step().status(200).body(b"hello")]);
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(download("1", "page", "2 Web Content", &files.url(), page)),
        say(play::reboot("2", "down")),
        end(),
        inform(),
        methods(),
        end(),
        inform(),
        confirm("TransferComplete", ""),
        end(),
    ]);
    let router = router(&acs.url());
    router.program("sbin/reboot", "exit 0");
    router.write("/www/index.html", "home");
    let agent = router.start(&[]);
    agent.wait_for("Rebooting as the ACS asked", 1);
    play::stays_quiet(&agent, "is started", 0);
    agent.kill();
    router.write("/proc/sys/kernel/random/boot_id", "another\n");
    let agent = router.start(&[]);
    agent.wait_for("End session", 2);
    assert!(agent.stop().0.success());
    files.finish();
    assert_eq!(router.read("/www/page"), "hello");
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[5]), ["1 BOOT", "M Reboot"]);
    assert_eq!((leaf(&seen[9], "CommandKey").as_str(), leaf(&seen[9], "FaultCode").as_str()), ("page", "0"));
}

/// WindowMode 3 looks at the load of now, not of a while ago.
#[test]
fn a_download_waits_until_the_router_is_idle() {
    let files = Scripted::start(vec![step().status(200).body(b"hello")]);
    let schedule = format!(
        "<cwmp:ScheduleDownload><CommandKey>idle</CommandKey><FileType>2 Web Content</FileType><URL>{}</URL><Username/>\
         <Password/><FileSize>0</FileSize><TargetFileName>page</TargetFileName><TimeWindowList \
         soap-enc:arrayType=\"cwmp:TimeWindowStruct[1]\"><TimeWindowStruct><WindowStart>0</WindowStart>\
         <WindowEnd>3600</WindowEnd><WindowMode>3 When Idle</WindowMode><UserMessage/><MaxRetries>0</MaxRetries>\
         </TimeWindowStruct></TimeWindowList></cwmp:ScheduleDownload>",
        files.url()
    );
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(envelope("1", &schedule)),
        end(),
        inform(),
        confirm("TransferComplete", ""),
        end(),
    ]);
    let router = router(&acs.url());
    router.write("/www/index.html", "home");
    router.write("/proc/loadavg", "5.00 5.00 5.00 9/99 999\n");
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    play::stays_quiet(&agent, "is started", 0);
    router.write("/proc/loadavg", "0.01 4.00 5.00 1/99 999\n");
    // It is asked for once a minute, and whenever something else happens.
    let url = request_url(&acs.seen()[0].text());
    let stranger = Knock { password: Some("wrong"), ..Knock::default() };
    assert_eq!(knock(&url, stranger), 401);
    agent.wait_for("End session", 2);
    assert!(agent.stop().0.success());
    files.finish();
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[4]), ["7 TRANSFER COMPLETE", "M ScheduleDownload"]);
    assert_eq!(leaf(&seen[5], "FaultCode"), "0");
}

/// The worker of a cancelled download notices a little later, and must not take the next one's file away.
#[test]
fn what_follows_a_cancelled_download_is_left_alone_by_it() {
    let page = "<TargetFileName>page</TargetFileName><DelaySeconds>0</DelaySeconds>";
    let (release, held) = mpsc::channel::<()>();
    let silent = Scripted::start(vec![step().computed(move |_| {
        let _ = held.recv_timeout(Duration::from_secs(30));
        step().close()
    })]);
    let files = Scripted::start(vec![step().status(200).body(b"hello").wait(Duration::from_millis(1500))]);
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(download("1", "silent", "2 Web Content", &silent.url(), page)),
        end(),
        inform(),
        say(envelope("2", "<cwmp:CancelTransfer><CommandKey>silent</CommandKey></cwmp:CancelTransfer>")),
        say(download("3", "page", "2 Web Content", &files.url(), page)),
        end(),
        inform(),
        confirm("TransferComplete", ""),
        end(),
    ]);
    let router = router(&acs.url());
    router.write("/www/index.html", "home");
    let agent = router.start(&[]);
    agent.wait_for("is started", 1);
    agent.wait_for("End session", 1);
    let url = request_url(&acs.seen()[0].text());
    assert!([200, 204].contains(&knock(&url, Knock::default())));
    agent.wait_for("End session", 3);
    drop(release);
    assert!(agent.stop().0.success());
    files.finish();
    assert_eq!(router.read("/www/page"), "hello");
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    let told = seen.iter().find(|text| text.contains("<cwmp:TransferComplete>")).unwrap();
    assert_eq!((leaf(told, "CommandKey").as_str(), leaf(told, "FaultCode").as_str()), ("page", "0"));
}

#[test]
fn a_sysupgrade_that_gives_up_is_told_at_once() {
    let files = Scripted::start(vec![step().status(200).body(b"an image")]);
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(at_once("1", "flash", IMAGE, &files.url())),
        end(),
        inform(),
        confirm("TransferComplete", ""),
        end(),
    ]);
    let router = router(&acs.url());
    router.program("sbin/sysupgrade", "[ \"$1\" = --test ]");
    let agent = router.start(&[]);
    agent.wait_for("End session", 2);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[4]), ["7 TRANSFER COMPLETE", "M Download"]);
    assert_eq!(leaf(&seen[5], "FaultCode"), "9010");
    assert_eq!(fs::read_dir(router.root().join("tmp/rcwmp")).unwrap().count(), 0);
}

#[test]
fn an_interrupted_download_is_told_once() {
    let (release, held) = mpsc::channel::<()>();
    let files = Scripted::start(vec![step().computed(move |_| {
        let _ = held.recv_timeout(Duration::from_secs(30));
        step().close()
    })]);
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(at_once("1", "cut", IMAGE, &files.url())),
        end(),
        inform(),
        methods(),
        confirm("TransferComplete", ""),
        end(),
    ]);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("is started", 1);
    agent.wait_for("End session", 1);
    let scratch = || fs::read_dir(router.root().join("tmp/rcwmp")).map_or(0, Iterator::count);
    wait_for("the beginning of a file", || scratch() == 1);
    agent.kill();
    drop(release);
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    assert!(agent.stop().0.success());
    assert_eq!(scratch(), 0);
    // And not again.
    let agent = router.start(&[]);
    play::stays_quiet(&agent, "Start session", 0);
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[4]), ["7 TRANSFER COMPLETE", "M Download"]);
    has(&seen[6], &["<CommandKey>cut<", ">9010<"]);
}

#[test]
fn a_factory_reset_begins_anew() {
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(messages::set_values("1", &[("Device.DeviceInfo.HostName", "xsd:string", "mine")], "a key")),
        say(call("2", "FactoryReset")),
        end(),
        inform(),
        methods(),
        say(get_values("3", &["Device.ManagementServer.ParameterKey"])),
        end(),
    ]);
    let router = router(&acs.url());
    let forget = format!("sleep 0.3; echo forgotten >> '{}'", router.root().join("ran").display());
    router.program("sbin/firstboot", &forget);
    router.program("sbin/reboot", "exit 0");
    let agent = router.start(&[]);
    wait_for("the reset", || router.ran().len() == 3);
    // One after the other: a reboot in between would leave half of the settings.
    assert_eq!(router.ran(), ["firstboot -y", "forgotten", "reboot"]);
    play::stays_quiet(&agent, "Start session", 1);
    agent.kill();
    router.write("/proc/sys/kernel/random/boot_id", "another\n");
    router.play();
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    has(&seen[4], &["FactoryResetResponse"]);
    assert_eq!(codes(&seen[5]), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(play::value(&seen[8], "Device.ManagementServer.ParameterKey"), "");
}

#[test]
fn a_scheduled_inform() {
    let inform_in = |id: &str, delay: &str| {
        let body = format!(
            "<cwmp:ScheduleInform><DelaySeconds>{delay}</DelaySeconds><CommandKey>soon</CommandKey></cwmp:ScheduleInform>"
        );
        envelope(id, &body)
    };
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(inform_in("1", "0")),
        say(inform_in("2", "1")),
        end(),
        inform(),
        end(),
    ]);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 2);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    has(&seen[3], &[">9003<"]);
    has(&seen[4], &["ScheduleInformResponse"]);
    let told =
        [("3 SCHEDULED".to_owned(), String::new()), ("M ScheduleInform".to_owned(), "soon".to_owned())];
    assert_eq!(events(&seen[5]), told);
}

#[test]
fn a_change_by_somebody_else_is_told() {
    let attributes = "<cwmp:SetParameterAttributes><ParameterList soap-enc:arrayType=\"cwmp:SetParameterAttributesStruct[1]\">\
         <SetParameterAttributesStruct><Name>Device.DeviceInfo.HostName</Name><NotificationChange>1</NotificationChange>\
         <Notification>2</Notification><AccessListChange>0</AccessListChange><AccessList soap-enc:arrayType=\"xsd:string[0]\"/>\
         </SetParameterAttributesStruct></ParameterList></cwmp:SetParameterAttributes>";
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(envelope("1", attributes)),
        // The ACS's own change is no news.
        say(messages::set_values("2", &[("Device.DeviceInfo.HostName", "xsd:string", "by-acs")], "k")),
        end(),
        inform(),
        end(),
    ]);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    play::stays_quiet(&agent, "Start session", 1);
    let system = router.read("/etc/config/system").replace("by-acs", "by-hand");
    router.write("/etc/config/system", &system);
    agent.wait_for("End session", 2);
    play::stays_quiet(&agent, "Start session", 2);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[5]), ["4 VALUE CHANGE"]);
    assert_eq!(play::value(&seen[5], "Device.DeviceInfo.HostName"), "by-hand");
}

/// An agent that has just been started names instances as the ACS has asked its last life to (TR-069 3.6.1).
#[test]
fn a_change_is_told_by_alias_after_a_restart() {
    let attributes = "<cwmp:SetParameterAttributes><ParameterList soap-enc:arrayType=\"cwmp:SetParameterAttributesStruct[1]\">\
         <SetParameterAttributesStruct><Name>Device.WiFi.SSID.1.SSID</Name><NotificationChange>1</NotificationChange>\
         <Notification>2</Notification><AccessListChange>0</AccessListChange><AccessList soap-enc:arrayType=\"xsd:string[0]\"/>\
         </SetParameterAttributesStruct></ParameterList></cwmp:SetParameterAttributes>";
    let changes = [
        ("Device.WiFi.SSID.1.Alias", "xsd:string", "home"),
        ("Device.WiFi.SSID.1.SSID", "xsd:string", "by-acs"),
        ("Device.ManagementServer.InstanceMode", "xsd:string", "InstanceAlias"),
    ];
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(messages::set_values("1", &changes, "k")),
        say(envelope("2", attributes)),
        end(),
        inform(),
        methods(),
        end(),
    ]);
    let router = router(&acs.url());
    router.play();
    let wireless = router.read("/etc/config/wireless").replace("by-acs", "by-hand");
    router.write("/etc/config/wireless", &wireless);
    router.play();
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[5]), ["4 VALUE CHANGE"]);
    assert_eq!(play::value(&seen[5], "Device.WiFi.SSID.[home].SSID"), "by-hand", "{}", seen[5]);
}

#[test]
fn packages_come_and_go() {
    const UUID: &str = "0d1d0e2f-1b7c-4f5a-8d9e-000000000001";
    let change = |id: &str, operations: &str| {
        envelope(
            id,
            &format!(
                "<cwmp:ChangeDUState>{operations}<CommandKey>units {id}</CommandKey></cwmp:ChangeDUState>"
            ),
        )
    };
    let files = Scripted::start(vec![step().status(200).body("example 1.2.3\n"), step().status(404)]);
    let install = |path: &str, uuid: &str| {
        let url = format!("{}{path}", files.url());
        format!("<Operations xsi:type=\"cwmp:InstallOpStruct\"><URL>{url}</URL>{uuid}</Operations>")
    };
    let both = install("/example.apk", &format!("<UUID>{UUID}</UUID>")) + &install("/missing.apk", "");
    let remove = format!("<Operations xsi:type=\"cwmp:UninstallOpStruct\"><UUID>{UUID}</UUID></Operations>");
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(change("1", &both)),
        end(),
        inform(),
        confirm("DUStateChangeComplete", ""),
        say(get_values("2", &["Device.SoftwareModules.DeploymentUnit."])),
        say(change("3", &remove)),
        end(),
        inform(),
        confirm("DUStateChangeComplete", ""),
        say(get_values("4", &["Device.SoftwareModules.DeploymentUnitNumberOfEntries"])),
        end(),
    ]);
    let router = router(&acs.url());
    router.script("/usr/bin/apk", packages::APK);
    for place in ["/rom/lib/apk/db/installed", "/lib/apk/db/installed"] {
        router.write(place, "P:base-files\nV:1\n\n");
    }
    router.write("/etc/apk/world", "base-files\n");
    let agent = router.start(&[]);
    agent.wait_for("End session", 3);
    assert!(agent.stop().0.success());
    files.finish();
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    has(&seen[3], &["ChangeDUStateResponse"]);
    assert_eq!(codes(&seen[4]), ["11 DU STATE CHANGE COMPLETE", "M ChangeDUState"]);
    let results: Vec<&str> = seen[5].split("<Results>").skip(1).collect();
    assert_eq!(results.len(), 2, "{}", seen[5]);
    has(
        results[0],
        &[UUID, ">Installed<", ">1.2.3<", "<FaultCode>0<", "Device.SoftwareModules.DeploymentUnit.1"],
    );
    has(results[1], &[">Failed<", "<FaultCode>9016<"]);
    has(&seen[7], &["DeploymentUnit.1.UUID", UUID, ">example<"]);
    assert_eq!(events(&seen[9])[1], ("M ChangeDUState".to_owned(), "units 3".to_owned()));
    has(&seen[10], &[">Uninstalled<", "<FaultCode>0<"]);
    has(seen.last().unwrap(), &["DeploymentUnitNumberOfEntries", ">0<"]);
}
