//! What options of `/etc/config/cwmp` do to a running agent, beyond what the tests of its parts show.
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

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bus::Offers;
use messages::{envelope, get_values};
use play::{codes, confirm, end, has, inform, methods, router, say, stays_quiet, value};
use scripted::{Scripted, Seen, step};

fn transfer(method: &str, file_type: &str, url: &str) -> String {
    let download = "<FileSize>0</FileSize><TargetFileName/>";
    let (size, then) = match method {
        "Download" => (download, "<SuccessURL/><FailureURL/>"),
        _ => ("", ""),
    };
    let body = format!(
        "<cwmp:{method}><CommandKey>k</CommandKey><FileType>{file_type}</FileType><URL>{url}</URL><Username/>\
         <Password/>{size}<DelaySeconds>0</DelaySeconds>{then}</cwmp:{method}>"
    );
    envelope("1", &body)
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
fn firmware_without_the_old_settings() {
    let files = Scripted::start(vec![step().status(200).body("an image")]);
    let image = transfer("Download", "1 Firmware Upgrade Image", &files.url());
    let acs = Scripted::start(vec![inform(), methods(), say(image), end()]);
    let router = router(&acs.url());
    router.set("cpe", "fw_upgrade_keep_settings", "0");
    router.program("sbin/sysupgrade", "exit 0");
    let agent = router.start(&[]);
    wait_for("sysupgrade is run", || router.ran().len() == 2);
    assert_eq!(router.ran()[1], "sysupgrade -n /tmp/rcwmp/download");
    agent.stop();
    acs.finish();
    files.finish();
}

#[test]
fn uploads_with_and_without_a_question() {
    for (disabled, expected) in [("0", Some("100-continue")), ("1", None)] {
        let files = Scripted::start(vec![step().status(200)]);
        let upload = transfer("Upload", "1 Vendor Configuration File", &files.url());
        let told = [inform(), confirm("TransferComplete", ""), end()];
        let acs =
            Scripted::start([inform(), methods(), say(upload), end()].into_iter().chain(told).collect());
        let router = router(&acs.url());
        router.set("acs", "http_disable_100continue", disabled);
        let agent = router.start(&[]);
        agent.wait_for("Waiting the next session", 2);
        let seen = files.finish();
        assert_eq!((seen[0].method(), seen[0].header("Expect")), ("PUT", expected), "{disabled}");
        // Messages never ask.
        assert!(acs.finish().iter().all(|one| one.header("Expect").is_none()));
        agent.kill();
    }
}

#[test]
fn how_long_somebody_may_occupy_the_port() {
    let acs = Scripted::start(vec![inform(), methods(), end()]);
    let router = router(&acs.url());
    router.set("cpe", "cr_timeout", "0.4");
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    let seen = acs.finish();
    let url = value(&seen[0].text(), "Device.ManagementServer.ConnectionRequestURL");
    let host = url.trim_start_matches("http://").split('/').next().unwrap();
    let start = Instant::now();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    let time = start.elapsed();
    assert!((Duration::from_millis(350)..Duration::from_secs(3)).contains(&time), "{time:?}");
    agent.stop();
}

/// Where no device is named, the one that carries the WAN is bound to: what netifd says of it, and else UCI.
#[test]
fn the_wan_s_device_is_bound_to() {
    let acs = Scripted::start(vec![inform(), methods(), end()]);
    let router = router(&acs.url());
    router.set("cpe", "use_curl_ifname", "1");
    router.write(
        "/etc/config/network",
        "config interface 'wan'\n\toption device 'nosuch0'\n\toption proto 'pppoe'\n",
    );
    let agent = router.start(&[]);
    agent.wait_for("Retry in", 1);
    assert!(!agent.log().contains("Get the InformResponse"), "{}", agent.log());
    // It is up now.
    let up = r#"{"interface":[{"interface":"wan","up":true,"proto":"pppoe","device":"nosuch0","l3_device":"lo"}]}"#;
    let socket = router.root().join("var/run/ubus/ubus.sock");
    let _bus = Offers::new().says("network.interface", "dump", up).start_at(&socket, None);
    agent.signal("HUP");
    agent.wait_for("End session", 1);
    assert!(agent.stop().0.success());
    acs.finish();
}

/// icwmp's example of a log, line by line and in its order, to the letter: scripts look for them.
#[test]
fn the_lines_of_icwmp_s_log() {
    let acs = Scripted::start(vec![inform(), end()]);
    let router = router(&acs.url());
    router.set("acs", "get_rpc_methods", "0");
    router.set("cpe", "log_to_file", "1");
    router.write("/var/log/icwmpd.log", "");
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    let pid = agent.child.id();
    let config = router.read("/etc/config/cwmp");
    let port = config.split("option port '").nth(1).unwrap().split('\'').next().unwrap();
    assert!(agent.stop().0.success());
    let url = acs.url();
    acs.finish();
    let expected: [&str; 13] = [
        &format!("STARTING ICWMP with PID :{pid}"),
        "Periodic event is enabled. Interval period = 1000000000s",
        "Periodic time is Unknown",
        &format!("Connection Request server initiated with the port: {port}"),
        "Start session",
        &format!("ACS url: {url}"),
        "Preparing the Inform RPC message to send to the ACS",
        "Send the Inform RPC message to the ACS",
        "Get the InformResponse message from the ACS",
        "Send empty message to the ACS",
        "Receive HTTP 204 No Content",
        "End session",
        "Waiting the next session",
    ];
    let log = router.read("/var/log/icwmpd.log");
    let mut lines = log.lines();
    for line in expected {
        let found = lines.any(|one| one.get(20..) == Some(format!(" [INFO]    {line}").as_str()));
        assert!(found, "{line:?} is not in its place in\n{log}");
    }
}

/// What an amendment of TR-069 does not have is off, and messages are of its version.
#[test]
fn the_amendment_that_is_spoken() {
    const MODE: &str = "Device.ManagementServer.InstanceMode";
    for (amendment, namespace, has_aliases, has_schedule) in [
        ("1", "1-0", false, false),
        ("2", "1-1", false, false),
        ("3", "1-2", false, true),
        ("4", "1-2", false, true),
        ("5", "1-2", true, true),
        ("6", "1-2", true, true),
    ] {
        let acs = Scripted::start(vec![
            inform(),
            say(envelope("1", "<cwmp:GetRPCMethods/>")),
            say(messages::set_values("2", &[(MODE, "xsd:string", "InstanceAlias")], "")),
            say(get_values("3", &["Device.IP.Interface.", "Device.ManagementServer.AliasBasedAddressing"])),
            say(get_values("4", &["Device.IP.Interface.[cpe-1].Enable"])),
            say(envelope("5", "<cwmp:CancelTransfer><CommandKey>none</CommandKey></cwmp:CancelTransfer>")),
            end(),
        ]);
        let router = router(&acs.url());
        router.set("acs", "get_rpc_methods", "0");
        router.set("cpe", "amd_version", amendment);
        if !has_aliases {
            router.set("acs", "compression", "GZIP");
        }
        router.play();
        let all = acs.finish();
        assert!(all.iter().all(|one| one.header("Content-Encoding").is_none()), "{amendment}");
        let seen: Vec<String> = all.iter().map(scripted::Seen::text).collect();
        let spoken = format!("\"urn:dslforum-org:cwmp-{namespace}\"");
        assert!(seen[0].contains(&spoken), "{amendment}: {}", seen[0]);
        let number: u8 = amendment.parse().unwrap();
        for (word, since) in
            [("SessionTimeout", 4), ("SupportedCWMPVersions", 5), ("AliasBasedAddressing", 5)]
        {
            assert_eq!(seen[0].contains(word), number >= since, "{amendment}: {word}");
        }
        for (method, is_there) in [
            (">ScheduleDownload<", has_schedule),
            (">CancelTransfer<", has_schedule),
            (">ChangeDUState<", has_schedule),
            (">GetAllQueuedTransfers<", number >= 2),
            (">Download<", true),
        ] {
            assert_eq!(seen[2].contains(method), is_there, "{amendment}: {method}");
        }
        assert_eq!(seen[4].contains("Device.IP.Interface.["), has_aliases, "{amendment}: {}", seen[4]);
        let told = "AliasBasedAddressing</Name><Value xsi:type=\"xsd:boolean\">1<";
        assert_eq!(seen[4].contains(told), has_aliases, "{amendment}: {}", seen[4]);
        assert_eq!(seen[5].contains("<FaultCode>9005<"), !has_aliases, "{amendment}: {}", seen[5]);
        assert_eq!(seen[6].contains("<FaultCode>9000<"), !has_schedule, "{amendment}: {}", seen[6]);
    }
}

#[test]
fn changes_begin_a_session_or_wait_for_one() {
    let acs = Scripted::start(vec![inform(), methods(), end(), inform(), end()]);
    let router = router(&acs.url());
    router.set("cpe", "periodic_notify_enable", "0");
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    // Of those that are always active; it would be told within a second.
    router.set("cpe", "provisioning_code", "TLCO");
    stays_quiet(&agent, "Start session", 1);
    router.set("cpe", "periodic_notify_enable", "1");
    agent.signal("HUP");
    agent.wait_for("Waiting the next session", 2);
    let seen = acs.finish();
    assert_eq!(codes(&seen[3].text()), ["4 VALUE CHANGE"]);
    assert_eq!(value(&seen[3].text(), "Device.DeviceInfo.ProvisioningCode"), "TLCO");
    agent.stop();
}

/// What icwmp was asked to watch goes on being watched, and is not asked for again once the ACS has had its say.
#[test]
fn what_icwmp_has_watched() {
    let acs = Scripted::start(vec![inform(), methods(), end()]);
    let router = router(&acs.url());
    let kept = "config notifications 'notifications'\n\tlist passive 'Device.Time.'\n\
        \tlist active 'Device.Time.LocalTimeZone'\n\tlist active 'Device.NoSuch.$(touch owned)'\n\
        \tlist disabled 'Device.DeviceInfo.ProvisioningCode'\n\tlist active_lw 'Device.DeviceInfo.HostName'\n";
    router.write("/etc/icwmpd/cwmp_notifications", kept);
    // Without it, nobody could be told in the light way, and nothing of that kind is taken over.
    let lwn = "\nconfig lwn 'lwn'\n\toption enable '1'\n\toption hostname '127.0.0.1'\n";
    router.write("/etc/config/cwmp", &(router.read("/etc/config/cwmp") + lwn));
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    assert!(
        agent.log().contains("/etc/icwmpd/cwmp_notifications: no parameter or object"),
        "{}",
        agent.log()
    );
    assert!(agent.stop().0.success());
    acs.finish();
    let check = |name: &str, word: &str| {
        let told = router.run(&["-c", "get_notif", name]).stdout;
        assert_eq!(String::from_utf8(told).unwrap(), format!("{name} => {word}\n"));
    };
    check("Device.Time.LocalTimeZone", "active");
    check("Device.Time.Enable", "passive");
    check("Device.DeviceInfo.HostName", "active_lw");
    assert!(router.run(&["-c", "set_notif", "Device.DeviceInfo.HostName", "1"]).status.success());
    let agent = router.start(&[]);
    agent.wait_for("Periodic event", 1);
    assert!(agent.stop().0.success());
    check("Device.DeviceInfo.HostName", "passive");
}

const QUEUE: &str = "/etc/icwmpd/.icwmpd_backup_session.xml";

/// A file of icwmp's queue: for this ACS, with these elements more.
fn icwmp_queue(url: &str, more: &str) -> String {
    format!("<cwmp><acs><url>{url}</url></acs>{more}</cwmp>")
}

/// What icwmp had still to tell is told by us, once, to an ACS that is greeted by no second BOOTSTRAP.
#[test]
fn what_icwmp_had_to_tell() {
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        confirm("TransferComplete", ""),
        confirm("TransferComplete", ""),
        confirm("TransferComplete", ""),
        end(),
        inform(),
        end(),
    ]);
    let router = router(&acs.url());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let text = format!(
        "<queue_event><index>7</index><id>1</id><command_key/></queue_event>\
         <cwmp_event><index>15</index><id>2</id><CommandKey>gone</CommandKey></cwmp_event>\
         <transfer_complete><command_key>done &amp; $(reboot)</command_key>\
         <start_time>2026-01-02T03:04:05Z</start_time><complete_time>2026-01-02T03:05:05Z</complete_time>\
         <old_software_version>1</old_software_version><fault_code>0</fault_code><type>0</type></transfer_complete>\
         <transfer_complete><command_key>bad</command_key><start_time>2026-01-02T03:04:05Z</start_time>\
         <fault_code>16</fault_code><type>2</type></transfer_complete>\
         <download><url>http://127.0.0.1:9/late</url><command_key>late</command_key>\
         <file_type>1 Firmware Upgrade Image</file_type><time>1000</time></download>\
         <upload><url>http://127.0.0.1:9/log</url><command_key>log</command_key>\
         <file_type>2 Vendor Log File</file_type><time>{}</time></upload>\
         <schedule_inform><command_key>soon</command_key><time>{}</time></schedule_inform>",
        now + 3600,
        now + 8
    );
    router.write(QUEUE, &icwmp_queue(&acs.url(), &text));
    router.set("cpe", "ParameterKey", "icwmp-key");
    router.write(
        "/etc/icwmpd/cwmp_notifications",
        "config notifications\n\tlist active 'Device.Time.LocalTimeZone'\n",
    );
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let log = agent.log();
    has(&log, &[&format!("{QUEUE}: not taken over: cwmp_event 15 gone")]);
    has(&log, &["2 transfers that have ended, 2 that have not begun, 1 informs"]);
    has(&log, &["Download late has failed: it is more than an hour late, as far as"]);
    let told = router.run(&["-c", "get_notif", "Device.Time.LocalTimeZone"]).stdout;
    assert_eq!(String::from_utf8(told).unwrap(), "Device.Time.LocalTimeZone => active\n");
    // A ScheduleInform of icwmp's: a session of its own.
    agent.wait_for("End session", 2);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    let mut told = codes(&seen[0]);
    told.retain(|code| code != "4 VALUE CHANGE");
    assert_eq!(told, ["1 BOOT", "7 TRANSFER COMPLETE", "M Download", "M Upload", "M Download"]);
    assert_eq!(value(&seen[0], "Device.ManagementServer.ParameterKey"), "icwmp-key");
    has(&seen[2], &["done &amp; $(reboot)", "<FaultCode>0</FaultCode>", "2026-01-02T03:05:05Z"]);
    has(&seen[3], &[">bad<", "<FaultCode>9015</FaultCode>", "0001-01-01T00:00:00Z"]);
    has(&seen[4], &[">late<", "<FaultCode>9010</FaultCode>"]);
    assert_eq!(codes(&seen[6]), ["3 SCHEDULED", "M ScheduleInform"]);
    // Its upload waits with ours, and the file is not read again.
    assert!(router.read("/etc/rcwmp/state.json").contains("http://127.0.0.1:9/log"));
    assert!(
        !router.root().join(&QUEUE[1..]).exists()
            && router.root().join(format!("{}.taken", &QUEUE[1..])).exists()
    );
}

/// A queue for another ACS, one that is none, and one whose ACS was not greeted yet.
#[test]
fn what_icwmp_leaves_that_is_not_ours() {
    let done = "<transfer_complete><command_key>k</command_key><fault_code>0</fault_code><type>0</type>\
        </transfer_complete>";
    let bootstrap = format!("<queue_event><index>0</index><id>1</id><command_key/></queue_event>{done}");
    for (url, more, end_of, expected, word) in [
        (Some("http://127.0.0.1:9/other"), done, "</cwmp>", &["0 BOOTSTRAP", "1 BOOT"][..], "another ACS"),
        (None, done, "<cwmp>", &["0 BOOTSTRAP", "1 BOOT"][..], "nothing of icwmp's queue is taken over"),
        (
            None,
            &bootstrap,
            "</cwmp>",
            &["0 BOOTSTRAP", "1 BOOT", "7 TRANSFER COMPLETE", "M Download"][..],
            "is taken over",
        ),
    ] {
        let mut steps = vec![inform(), methods()];
        if expected.len() > 2 {
            steps.push(confirm("TransferComplete", ""));
        }
        steps.push(end());
        let acs = Scripted::start(steps);
        let router = router(&acs.url());
        let own = acs.url();
        router.write(QUEUE, &icwmp_queue(url.unwrap_or(&own), more).replace("</cwmp>", end_of));
        let agent = router.start(&[]);
        agent.wait_for("End session", 1);
        has(&agent.log(), &[word]);
        assert!(agent.stop().0.success());
        assert_eq!(codes(&acs.finish()[0].text()), expected);
    }
}

/// Of icwmp's copies none is taken over by an agent that has lost its own memory, nor is its ParameterKey.
#[test]
fn what_icwmp_left_is_taken_once() {
    let done = "<transfer_complete><command_key>k</command_key><fault_code>0</fault_code><type>0</type>\
        </transfer_complete>";
    let copies = ["/var/run/icwmpd/icwmpd_backup_session.xml", QUEUE];
    for is_ours in [true, false] {
        let mut steps = vec![inform(), methods()];
        if is_ours {
            steps.push(confirm("TransferComplete", ""));
        }
        steps.extend([end(), inform(), methods(), end()]);
        let acs = Scripted::start(steps);
        let router = router(&acs.url());
        let url = if is_ours { acs.url() } else { "http://127.0.0.1:9/other".to_owned() };
        let whole = icwmp_queue(&url, done);
        copies.iter().for_each(|path| router.write(path, &whole));
        if is_ours {
            // The power went while it was written: the other copy counts.
            router.write(copies[0], whole.trim_end().trim_end_matches("</cwmp>"));
        }
        router.set("cpe", "ParameterKey", "icwmp-key");
        for _ in 0..2 {
            let agent = router.start(&[]);
            agent.wait_for("End session", 1);
            assert!(agent.stop().0.success());
            std::fs::remove_dir_all(router.root().join("etc/rcwmp")).unwrap();
            assert!(copies.iter().all(|path| !router.root().join(&path[1..]).exists()));
        }
        assert!(!router.read("/etc/config/cwmp").contains("ParameterKey"));
        let seen = acs.finish();
        let first = seen[0].text();
        assert_eq!(codes(&first).contains(&"0 BOOTSTRAP".to_owned()), !is_ours);
        let key = if is_ours { "icwmp-key" } else { "" };
        assert_eq!(value(&first, "Device.ManagementServer.ParameterKey"), key);
        let second = seen[seen.len() - 3].text();
        assert_eq!(codes(&second), ["0 BOOTSTRAP", "1 BOOT"]);
        assert_eq!(value(&second, "Device.ManagementServer.ParameterKey"), "");
    }
}

/// What icwmp leaves below /var for firewall scripts and monitoring.
#[test]
fn the_files_that_scripts_read() {
    let (tell, told) = std::sync::mpsc::channel();
    let root = std::sync::Arc::new(std::sync::OnceLock::<std::path::PathBuf>::new());
    let here = std::sync::Arc::clone(&root);
    let look = step().computed(move |seen| {
        let until = Instant::now() + Duration::from_secs(10);
        // It is written by the loop, which may still be on its way there.
        while Instant::now() < until {
            let text = std::fs::read_to_string(here.wait().join("var/state/icwmp"));
            let text = text.unwrap_or_default();
            if text.contains("'running'") {
                tell.send(text).unwrap();
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        say(messages::inform_response(&seen.text()))
    });
    let acs = Scripted::start(vec![look, methods(), end(), step().status(500)]);
    let router = router(&acs.url());
    root.set(router.root()).unwrap();
    let agent = router.start(&[]);
    let package = |acs: &str, status: &str| {
        format!(
            "\nconfig acs 'acs'\n{acs}\nconfig cpe 'cpe'\n\nconfig sess_status 'sess_status'\n\
             \toption current_status '{status}'\n"
        )
    };
    let peer = "\toption ip_version '4'\n\toption ip '127.0.0.1'\n";
    let during = told.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!([package("", "running"), package(peer, "running")].contains(&during), "{during}");
    wait_for("success", || router.read("/var/state/icwmp") == package(peer, "success"));
    assert_eq!(router.read("/var/run/icwmpd.pid"), format!("{}\n", agent.child.id()));
    router.set("cpe", "provisioning_code", "TLCO");
    agent.signal("HUP");
    wait_for("failure", || router.read("/var/state/icwmp") == package(peer, "failure"));
    assert!(agent.stop().0.success());
    assert!(!router.root().join("var/run/icwmpd.pid").exists());
    acs.finish();
}

/// icwmp's files of a firmware, and its switch for values of another type.
#[test]
fn what_a_firmware_brings() {
    let host = "Device.DeviceInfo.HostName";
    let wrong = messages::set_values("1", &[(host, "xsd:int", "7")], "");
    let asked = envelope(
        "2",
        &format!(
            "<cwmp:GetParameterAttributes><ParameterNames><string>{host}</string></ParameterNames>\
             </cwmp:GetParameterAttributes>"
        ),
    );
    let off = envelope(
        "3",
        &format!(
            "<cwmp:SetParameterAttributes><ParameterList><SetParameterAttributesStruct><Name>{host}</Name>\
             <NotificationChange>1</NotificationChange><Notification>0</Notification>\
             <AccessListChange>0</AccessListChange><AccessList/></SetParameterAttributesStruct></ParameterList>\
             </cwmp:SetParameterAttributes>"
        ),
    );
    let script = vec![
        inform(),
        methods(),
        say(&wrong),
        say(&asked),
        say(&off),
        end(),
        inform(),
        methods(),
        say(&wrong),
        say(&asked),
        end(),
    ];
    let acs = Scripted::start(script);
    let router = router(&acs.url());
    router.set("cpe", "forced_inform_json", "/etc/forced.json");
    router.set("cpe", "custom_notify_json", "/etc/notify.json");
    router.set("cpe", "disable_datatype_check", "1");
    let names = r#"{"forced_inform": ["Device.NoSuch", "Device.Time.LocalTimeZone", "Device.DeviceInfo.SoftwareVersion"]}"#;
    router.write("/etc/forced.json", names);
    let notify = r#"{"custom_notification": [{"parameter": "Device.NoSuch", "notify_type": "1"},
        {"parameter": "Device.DeviceInfo.HostName", "notify_type": "1"}]}"#;
    router.write("/etc/notify.json", notify);
    let first = router.start(&[]);
    first.wait_for("End session", 1);
    let log = first.log();
    assert!(log.contains("/etc/notify.json: no parameter or object"), "{log}");
    assert!(first.stop().0.success());
    // The same firmware once more: what the ACS has set stays. The check is on again.
    router.set("cpe", "disable_datatype_check", "0");
    let second = router.start(&["-b"]);
    second.wait_for("End session", 1);
    assert!(second.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(scripted::Seen::text).collect();
    for told in [&seen[0], &seen[6]] {
        assert_eq!(told.matches("Device.Time.LocalTimeZone").count(), 1, "{told}");
        assert_eq!(told.matches("Device.DeviceInfo.SoftwareVersion").count(), 1, "{told}");
        assert!(!told.contains("NoSuch"));
    }
    play::has(&seen[3], &["SetParameterValuesResponse"]);
    play::has(&seen[4], &["<Notification>1</Notification>"]);
    play::has(&seen[9], &["<FaultCode>9006</FaultCode>"]);
    play::has(&seen[10], &["<Notification>0</Notification>"]);
}
