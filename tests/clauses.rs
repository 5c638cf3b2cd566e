//! Rules of TR-069 that only a whole agent shows, each with the clause it is from: versions, when sessions are
//! opened, what they find, and how they are retried. The table of all rules is in `tests/facts/`.
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

use std::net::TcpStream;
use std::time::{Duration, Instant};

use agent::{Agent, Router};
use messages::{envelope, get_values, inform_response, set_values};
use play::{
    Knock, SERIAL, ask, codes, end, has, inform, inform_with, knock, names, request_url, router, say,
    stays_quiet, value,
};
use rcwmp::http::auth::{self, Authorization, Credentials};
use rcwmp::lab::router::PASSWORD;
use rcwmp::model::date;
use rcwmp::sys::clock;
use scripted::{Scripted, Seen, Step, step};

const HOST: &str = "Device.DeviceInfo.HostName";
const CODE: &str = "Device.DeviceInfo.ProvisioningCode";

/// A router that asks for no methods, so that its sessions are Inform and an empty POST.
fn terse(acs: &Scripted) -> Router {
    let router = router(&acs.url());
    router.set("acs", "get_rpc_methods", "0");
    router
}

/// Replaces the first such words in a file of the router, as somebody at its shell does.
fn by_hand(router: &Router, path: &str, old: &str, new: &str) {
    let text = router.read(path);
    assert!(text.contains(old), "no {old} in {text}");
    router.write(path, &text.replacen(old, new, 1));
}

/// Somebody at the router's shell sets the ProvisioningCode, whose notification is always active.
fn give_code(router: &Router, code: &str) {
    let new = format!("option provisioning_code '{code}'\n\toption serial_number");
    by_hand(router, "/etc/config/cwmp", "option serial_number", &new);
}

/// The time in so many seconds.
fn soon(seconds: i64) -> String {
    date::format_utc(clock::epoch_seconds() + seconds)
}

/// SetParameterAttributes of one parameter.
fn notify(id: &str, name: &str, notification: &str) -> String {
    envelope(
        id,
        &format!(
            "<cwmp:SetParameterAttributes><ParameterList soap-enc:arrayType=\"cwmp:SetParameterAttributesStruct[1]\">\
             <SetParameterAttributesStruct><Name>{name}</Name><NotificationChange>1</NotificationChange>\
             <Notification>{notification}</Notification><AccessListChange>0</AccessListChange>\
             <AccessList soap-enc:arrayType=\"xsd:string[0]\"/></SetParameterAttributesStruct></ParameterList>\
             </cwmp:SetParameterAttributes>"
        ),
    )
}

/// 3.7.1.1: the CPE closes the connection, and the session was unsuccessful.
#[test]
fn a_version_not_offered_closes_the_connection() {
    let chosen = step().computed(|seen| {
        let header =
            "<cwmp:UseCWMPVersion soap-env:mustUnderstand=\"1\">1.9</cwmp:UseCWMPVersion></soap-env:Header>";
        say(inform_response(&seen.text()).replace("</soap-env:Header>", header))
    });
    let acs = Scripted::start(vec![chosen, inform_with(&["<RetryCount>1<"]), end()]);
    let log = terse(&acs).play();
    has(&log, &["CWMP 1.9", "not offered"]);
    let seen = acs.finish();
    assert_eq!((seen[0].connection, seen[1].connection), (1, 2));
    assert_eq!(codes(&seen[1].text()), ["0 BOOTSTRAP", "1 BOOT"], "nothing was confirmed");
}

/// 3.5: a request of 32 KB at the least is taken, and the answer has no bound.
#[test]
fn an_envelope_of_more_than_32_kilobytes_is_answered() {
    let request = get_values("1", &[SERIAL; 1200]);
    assert!(request.len() > 40_000, "{}", request.len());
    let answers = ask(&[request]);
    assert!(answers[0].len() > 100_000, "{}", answers[0].len());
    assert!(names(&answers[0]).iter().all(|name| name == SERIAL));
}

/// A.3.3.1: CurrentTime is local, with the offset of the moment, daylight saving time included.
#[test]
fn current_time_is_local_with_its_offset() {
    // The second has daylight saving time all the year.
    for (zone, offset) in [("<+0330>-3:30", "+03:30"), ("AAA2BBB,J1/0,J365/25", "-01:00"), ("UTC", "+00:00")]
    {
        let acs = Scripted::start(vec![inform(), end()]);
        let router = terse(&acs);
        by_hand(&router, "/etc/config/system", "CET-1CEST,M3.5.0,M10.5.0/3", zone);
        router.play();
        let text = acs.finish()[0].text();
        let time = text.split("<CurrentTime>").nth(1).unwrap().split('<').next().unwrap();
        assert!(time.ends_with(offset), "{zone}: {time}");
        let Some(date::Moment::At(told)) = date::parse(time) else { panic!("{time}") };
        assert!(told.abs_diff(clock::epoch_seconds()) < 60, "{time}");
    }
}

/// Table 39: with another OUI, ProductClass or SerialNumber it is another device, and bootstraps.
#[test]
fn another_identity_is_another_device() {
    for (option, text) in
        [("serial_number", "LAB0000002"), ("product_class", "OtherRouter"), ("manufacturer_oui", "0200AA")]
    {
        let acs = Scripted::start(vec![inform(), end(), inform(), end(), inform(), end()]);
        let router = terse(&acs);
        router.play();
        router.set("cpe", option, text);
        router.write("/proc/sys/kernel/random/boot_id", "another\n");
        router.play();
        router.write("/proc/sys/kernel/random/boot_id", "a third\n");
        router.play();
        let seen = acs.finish();
        has(&seen[2].text(), &[text]);
        assert_eq!(codes(&seen[2].text()), ["0 BOOTSTRAP", "1 BOOT"], "{option}");
        assert_eq!(codes(&seen[4].text()), ["1 BOOT"], "{option}");
    }
}

/// 3.6.1: at a BOOTSTRAP InstanceMode is as it was made.
#[test]
fn a_bootstrap_resets_the_instance_mode() {
    let mode = "Device.ManagementServer.InstanceMode";
    let new = Scripted::start(vec![inform_with(&["0 BOOTSTRAP"]), say(get_values("2", &[mode])), end()]);
    let url = new.url();
    let acs = Scripted::start(vec![
        inform(),
        say(set_values("1", &[(mode, "xsd:string", "InstanceAlias")], "")),
        say(get_values("2", &[mode])),
        say(set_values("3", &[("Device.ManagementServer.URL", "xsd:string", &url)], "")),
        end(),
    ]);
    let router = terse(&acs);
    let agent = router.start(&[]);
    agent.wait_for("End session", 2);
    assert_eq!(value(&acs.finish()[3].text(), mode), "InstanceAlias");
    assert_eq!(value(&new.finish()[2].text(), mode), "InstanceNumber");
}

/// 3.7.1.4 and 3.2.1: in a session the device stands still but for what the ACS does; what others changed
/// meanwhile is told in a session of its own.
#[test]
fn the_model_stands_still_during_a_session() {
    const MAPPINGS: &str = "Device.NAT.PortMappingNumberOfEntries";
    const ALL: [&str; 3] = [CODE, HOST, MAPPINGS];
    let slowly = Duration::from_millis(700);
    let acs = Scripted::start(vec![
        inform(),
        say(get_values("1", &ALL)),
        // Meanwhile somebody edits two files.
        say(get_values("2", &ALL)).wait(slowly),
        say(set_values("3", &[(HOST, "xsd:string", "by-acs")], "k")).wait(slowly),
        say(get_values("4", &ALL)),
        end(),
        inform(),
        say(get_values("5", &ALL)),
        end(),
    ]);
    let router = terse(&acs);
    let agent = router.start(&[]);
    agent.wait_for("GetParameterValues performed", 1);
    by_hand(
        &router,
        "/etc/config/firewall",
        "\nconfig ",
        "\nconfig redirect\n\toption src 'wan'\n\toption dest_ip '192.168.1.9'\n\nconfig ",
    );
    give_code(&router, "hand");
    agent.wait_for("End session", 2);
    stays_quiet(&agent, "Start session", 2);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    let mappings: Vec<u32> = [2, 3, 5, 8].map(|at| value(&seen[at], MAPPINGS).parse().unwrap()).to_vec();
    assert_eq!(mappings, [mappings[0], mappings[0], mappings[0], mappings[0] + 1]);
    for answer in [&seen[2], &seen[3], &seen[5]] {
        assert_eq!(value(answer, CODE), "", "{answer}");
    }
    assert_eq!(value(&seen[5], HOST), "by-acs");
    assert_eq!(codes(&seen[6]), ["4 VALUE CHANGE"]);
    assert_eq!(value(&seen[6], CODE), "hand");
    assert_eq!((value(&seen[8], CODE).as_str(), value(&seen[8], HOST).as_str()), ("hand", "by-acs"));
}

/// TR-181 EnableCWMP: without it no Inform is sent and no connection request accepted.
#[test]
fn switched_off_it_is_silent() {
    let off = step().computed(|_| {
        let time = soon(3);
        let server = |name: &str| format!("Device.ManagementServer.{name}");
        let list = [
            (server("EnableCWMP"), "xsd:boolean", "0"),
            (server("PeriodicInformTime"), "xsd:dateTime", time.as_str()),
        ];
        let list: Vec<(&str, &str, &str)> =
            list.iter().map(|(name, ty, text)| (name.as_str(), *ty, *text)).collect();
        say(set_values("1", &list, ""))
    });
    let acs = Scripted::start(vec![inform(), off, end()]);
    let router = terse(&acs);
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let url = request_url(&acs.seen()[0].text());
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let patience = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < patience, "the port stays open");
        std::thread::sleep(Duration::from_millis(20));
    }
    // The periodic Inform's time comes and goes, and so does a change that is forced active.
    give_code(&router, "x");
    std::thread::sleep(Duration::from_secs(4));
    stays_quiet(&agent, "Start session", 1);
    assert!(agent.stop().0.success());
    has(&acs.finish()[2].text(), &["SetParameterValuesResponse"]);
}

/// TR-181: another ConnectionRequestURL is news (forced into each Inform, active by default).
#[test]
fn another_connection_request_url_is_told() {
    let acs = Scripted::start(vec![inform(), end(), inform(), end()]);
    let router = terse(&acs);
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let port = agent::free_port().to_string();
    router.set("cpe", "port", &port);
    agent.signal("HUP");
    agent.wait_for("End session", 2);
    stays_quiet(&agent, "Start session", 2);
    assert!(agent.stop().0.success());
    let seen = acs.finish();
    assert_eq!(codes(&seen[2].text()), ["4 VALUE CHANGE"]);
    let url = request_url(&seen[2].text());
    assert!(url.contains(&format!(":{port}/")), "{url}");
}

/// 3.2.1.1: something new is told at once, which counts as a retry; the ladder goes on from there.
#[test]
fn news_bring_an_immediate_retry() {
    let acs = Scripted::start(vec![
        step().status(503),
        step().computed(|seen| {
            has(&seen.text(), &["<RetryCount>1<", "0 BOOTSTRAP", "6 CONNECTION REQUEST"]);
            step().status(503)
        }),
    ]);
    let router = terse(&acs);
    router.set("acs", "retry_min_wait_interval", "60");
    router.set("acs", "retry_interval_multiplier", "2000");
    let agent = router.start(&[]);
    agent.wait_for("(attempt 1)", 1);
    let url = request_url(&acs.seen()[0].text());
    assert_eq!(knock(&url, Knock::default()), 200);
    agent.wait_for("(attempt 2)", 1);
    let log = agent.log();
    let waits: Vec<u64> = log
        .lines()
        .filter_map(|line| line.split_once("Retry in "))
        .map(|(_, rest)| rest.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!((60..=120).contains(&waits[0]) && (120..=240).contains(&waits[1]), "{waits:?}");
    stays_quiet(&agent, "Start session", 2);
    acs.finish();
}

/// 3.2.1.1: after a reboot the waits begin anew; RetryCount still tells of all failures since the last success.
#[test]
fn a_reboot_restarts_the_ladder_and_not_the_count() {
    let fails = || step().status(503);
    let acs = Scripted::start(vec![fails(), fails(), fails()]);
    let router = terse(&acs);
    let agent = router.start(&[]);
    agent.wait_for("(attempt 2)", 1);
    assert!(agent.stop().0.success());
    router.set("acs", "retry_min_wait_interval", "100");
    router.set("acs", "retry_interval_multiplier", "5000");
    router.write("/proc/sys/kernel/random/boot_id", "another\n");
    let agent = router.start(&[]);
    agent.wait_for("(attempt 3)", 1);
    let wait = agent.log().split("Retry in ").nth(1).unwrap().split(' ').next().unwrap().parse::<u64>();
    assert!((100..=500).contains(&wait.unwrap()), "{}", agent.log());
    has(&acs.finish()[2].text(), &["<RetryCount>2<", "1 BOOT"]);
}

/// 3.2.1.1 and TR-181: the ladder's numbers are the ACS's to change.
#[test]
fn the_acs_sets_the_ladder() {
    let server = "Device.ManagementServer.";
    let set = [
        (format!("{server}CWMPRetryMinimumWaitInterval"), "xsd:unsignedInt", "300"),
        (format!("{server}CWMPRetryIntervalMultiplier"), "xsd:unsignedInt", "1000"),
    ];
    let set: Vec<(&str, &str, &str)> =
        set.iter().map(|(name, ty, text)| (name.as_str(), *ty, *text)).collect();
    let acs = Scripted::start(vec![inform(), say(set_values("1", &set, "")), step().status(500)]);
    let router = terse(&acs);
    let agent = router.start(&[]);
    agent.wait_for("Retry in 300 seconds (attempt 1)", 1);
    acs.finish();
}

/// A session that asks for active notification of a parameter, and a change that is then held back.
fn with_a_change_in_hand(more: Vec<Step>) -> (Scripted, Router, Agent) {
    let mut steps = vec![inform(), say(notify("1", HOST, "2")), end()];
    steps.extend(more);
    let acs = Scripted::start(steps);
    let router = terse(&acs);
    router.set("cpe", "active_notif_throttle", "3600");
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    by_hand(&router, "/etc/config/system", "option hostname '", "option hostname 'by-hand-");
    std::thread::sleep(Duration::from_millis(500));
    stays_quiet(&agent, "Start session", 1);
    (acs, router, agent)
}

/// A.3.3.1: the record of changes may be cleared at a reboot, and then 4 VALUE CHANGE with it.
#[test]
fn a_reboot_clears_changes_and_keeps_attributes() {
    let list = format!(
        "<ParameterNames soap-enc:arrayType=\"xsd:string[1]\"><string>{HOST}</string></ParameterNames>"
    );
    let ask = envelope("2", &format!("<cwmp:GetParameterAttributes>{list}</cwmp:GetParameterAttributes>"));
    let (acs, router, agent) = with_a_change_in_hand(vec![inform(), say(ask), end()]);
    assert!(agent.stop().0.success());
    router.write("/proc/sys/kernel/random/boot_id", "another\n");
    router.play();
    let seen = acs.finish();
    assert_eq!(codes(&seen[3].text()), ["1 BOOT"]);
    assert!(!seen[3].text().contains(HOST));
    has(&seen[5].text(), &[HOST, "<Notification>2<"]);
}

/// A.3.3.1 and table 8: nor does another ACS hear of what was to be told to the one before.
#[test]
fn another_acs_hears_of_no_old_changes() {
    let (acs, router, agent) = with_a_change_in_hand(vec![]);
    let new = Scripted::start(vec![inform(), end()]);
    router.set("acs", "url", &new.url());
    agent.signal("HUP");
    agent.wait_for("End session", 2);
    stays_quiet(&agent, "Start session", 2);
    acs.finish();
    let seen = new.finish();
    assert_eq!(codes(&seen[0].text()), ["0 BOOTSTRAP"]);
    assert!(!seen[0].text().contains(HOST));
}

/// Table 8 discards events on BOOTSTRAP; a transfer that has not begun is none yet.
#[test]
fn another_acs_finds_the_queued_transfers() {
    let new = Scripted::start(vec![
        inform_with(&["0 BOOTSTRAP"]),
        say(envelope("3", "<cwmp:GetAllQueuedTransfers/>")),
        end(),
    ]);
    let url = new.url();
    let download = "<cwmp:Download><CommandKey>later</CommandKey><FileType>3 Vendor Configuration File</FileType>\
                    <URL>http://127.0.0.1:9/</URL><Username/><Password/><FileSize>0</FileSize><TargetFileName/>\
                    <DelaySeconds>3600</DelaySeconds><SuccessURL/><FailureURL/></cwmp:Download>";
    let acs = Scripted::start(vec![
        inform(),
        say(envelope("1", download)),
        say(set_values("2", &[("Device.ManagementServer.URL", "xsd:string", &url)], "")),
        end(),
    ]);
    let router = terse(&acs);
    let agent = router.start(&[]);
    agent.wait_for("End session", 2);
    has(&acs.finish()[2].text(), &["DownloadResponse", "<Status>1<"]);
    has(&new.finish()[2].text(), &["<CommandKey>later<", "AllQueuedTransferStruct[1]"]);
}

/// Annex O: a heartbeat has only what every Inform has and clears no change; a passive change opens no session,
/// and goes along with the next one.
#[test]
fn a_heartbeat_tells_nothing_else() {
    let acs =
        Scripted::start(vec![inform(), say(notify("1", HOST, "1")), end(), inform(), end(), inform(), end()]);
    let router = terse(&acs);
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    by_hand(&router, "/etc/config/system", "option hostname '", "option hostname 'by-hand-");
    stays_quiet(&agent, "Start session", 1);
    router.set("acs", "heartbeat_enable", "1");
    router.set("acs", "heartbeat_interval", "3600");
    router.set("acs", "heartbeat_time", &soon(3));
    agent.signal("HUP");
    agent.wait_for("End session", 2);
    stays_quiet(&agent, "Start session", 2);
    assert_eq!(knock(&request_url(&acs.seen()[0].text()), Knock::default()), 200);
    agent.wait_for("End session", 3);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[3]), ["14 HEARTBEAT"]);
    assert!(!seen[3].contains(HOST), "{}", seen[3]);
    assert_eq!(names(&seen[3]), names(&seen[0]));
    assert_eq!(codes(&seen[5]), ["4 VALUE CHANGE", "6 CONNECTION REQUEST"]);
    assert!(value(&seen[5], HOST).starts_with("by-hand-"), "{}", seen[5]);
}

/// Annex O: what a heartbeat carries of a changed parameter does not tell the change. Nor is the throttle over.
#[test]
fn a_heartbeat_clears_no_change() {
    let acs = Scripted::start(vec![inform(), end(), inform(), end(), inform(), end()]);
    let router = terse(&acs);
    router.set("cpe", "active_notif_throttle", "3600");
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    give_code(&router, "x");
    stays_quiet(&agent, "Start session", 1);
    router.set("acs", "heartbeat_enable", "1");
    router.set("acs", "heartbeat_interval", "3600");
    router.set("acs", "heartbeat_time", &soon(3));
    agent.signal("HUP");
    agent.wait_for("End session", 2);
    stays_quiet(&agent, "Start session", 2);
    assert_eq!(knock(&request_url(&acs.seen()[0].text()), Knock::default()), 200);
    agent.wait_for("End session", 3);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[2]), ["14 HEARTBEAT"]);
    assert_eq!(value(&seen[2], CODE), "x");
    assert_eq!(codes(&seen[4]), ["4 VALUE CHANGE", "6 CONNECTION REQUEST"]);
}

/// TR-181 DefaultActiveNotificationThrottle: a session that is only about notifications waits; one that is
/// opened by something else takes them along.
#[test]
fn throttled_changes_ride_along() {
    let acs = Scripted::start(vec![inform(), end(), inform(), end()]);
    let router = terse(&acs);
    router.set("cpe", "active_notif_throttle", "3600");
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    give_code(&router, "x");
    std::thread::sleep(Duration::from_secs(1));
    stays_quiet(&agent, "Start session", 1);
    assert_eq!(knock(&request_url(&acs.seen()[0].text()), Knock::default()), 200);
    agent.wait_for("End session", 2);
    assert!(agent.stop().0.success());
    let seen = acs.finish();
    assert_eq!(codes(&seen[2].text()), ["4 VALUE CHANGE", "6 CONNECTION REQUEST"]);
    assert_eq!(value(&seen[2].text(), CODE), "x");
}

/// 3.4.4: a device with a password alone is known by OUI, ProductClass and SerialNumber.
#[test]
fn a_user_name_of_its_own() {
    let challenge = step().status(401).header("WWW-Authenticate", "Basic realm=\"acs\"");
    let acs = Scripted::start(vec![challenge, inform(), end()]);
    let router = terse(&acs);
    router.set("acs", "userid", "");
    router.set("cpe", "product_class", "Lab-Router");
    router.play();
    let seen = acs.finish();
    assert!(seen[0].header("Authorization").is_none());
    let given = auth::parse_authorization(seen[1].header("Authorization").unwrap()).unwrap();
    let user = Credentials::new("020000-Lab%2DRouter-LAB0000001", PASSWORD);
    assert_eq!(given, Authorization::Basic(user));
}

/// 3.4.2: cookies are the session's, however long they are to last.
#[test]
fn cookies_end_with_the_session() {
    let sets = step().computed(|seen| {
        say(inform_response(&seen.text())).header("Set-Cookie", "session=1; Max-Age=86400; Path=/")
    });
    let acs = Scripted::start(vec![sets, end(), inform(), end()]);
    let router = terse(&acs);
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    assert_eq!(knock(&request_url(&acs.seen()[0].text()), Knock::default()), 200);
    agent.wait_for("End session", 2);
    let seen = acs.finish();
    let cookies: Vec<Option<&str>> = seen.iter().map(|one| one.header("Cookie")).collect();
    assert_eq!(cookies, [None, Some("session=1"), None, None]);
}

/// TR-181 ScheduleReboot: a session that is open at its time is ended first.
#[test]
fn a_scheduled_reboot_waits_for_the_session() {
    let name = "Device.ManagementServer.ScheduleReboot";
    let set = step().computed(move |_| say(set_values("1", &[(name, "xsd:dateTime", &soon(2))], "")));
    let slowly = || say(get_values("2", &[SERIAL])).wait(Duration::from_secs(2));
    let acs = Scripted::start(vec![inform(), set, slowly(), slowly(), end()]);
    let router = terse(&acs);
    let agent = router.start(&[]);
    agent.wait_for("Rebooting ", 1);
    let log = agent.log();
    let (end, reboot) = (log.find("End session").unwrap(), log.find("Rebooting").unwrap());
    assert!(end < reboot, "{log}");
    assert_eq!(acs.finish().len(), 5);
}

/// Annex O: an active change that is found only when a heartbeat begins is told in a session of its own.
#[test]
fn a_change_found_by_a_heartbeat_is_told_after_it() {
    let memory = "Device.DeviceInfo.MemoryStatus.Total";
    let acs = Scripted::start(vec![
        inform(),
        say(notify("1", memory, "2")),
        end(),
        inform(),
        end(),
        inform(),
        end(),
    ]);
    let router = terse(&acs);
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    router.set("acs", "heartbeat_enable", "1");
    router.set("acs", "heartbeat_interval", "3600");
    router.set("acs", "heartbeat_time", &soon(4));
    agent.signal("HUP");
    agent.wait_for("Configuration read again", 1);
    // The look that comes with new settings is over, and the next one is a minute off.
    std::thread::sleep(Duration::from_millis(500));
    by_hand(&router, "/proc/meminfo", "MemTotal: ", "MemTotal: 1");
    agent.wait_for("End session", 3);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    let changed = |at: usize| codes(&seen[at]) == ["4 VALUE CHANGE"] && seen[at].contains(memory);
    // On a slow machine the heartbeat may have been the later one.
    let told = [3, 5].map(|at| codes(&seen[at]).concat());
    assert!(changed(3) || changed(5), "{told:?}");
    assert!(told.contains(&"14 HEARTBEAT".to_owned()), "{told:?}");
}

/// 3.2.1.1 and table 8: a session that a kill ends was not successful, and a connection request has had its attempt.
#[test]
fn a_kill_in_a_session_is_a_failure() {
    let ((release, held), (reached, arrived)) =
        (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel());
    let hold = step().computed(move |seen| {
        has(&seen.text(), &["6 CONNECTION REQUEST", "<RetryCount>0<"]);
        reached.send(()).unwrap();
        let _ = held.recv_timeout(Duration::from_secs(20));
        step().close()
    });
    let acs = Scripted::start(vec![inform(), end(), hold, inform(), end(), inform(), end()]);
    let router = terse(&acs);
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let url = request_url(&acs.seen()[0].text());
    assert_eq!(knock(&url, Knock::default()), 200);
    arrived.recv_timeout(Duration::from_secs(20)).unwrap();
    agent.kill();
    drop(release);
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    assert_eq!(knock(&request_url(&acs.seen()[3].text()), Knock::default()), 200);
    agent.wait_for("End session", 2);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    has(&seen[3], &["<RetryCount>1<"]);
    assert_eq!(codes(&seen[3]), [""; 0], "the retry has nothing to list");
    has(&seen[5], &["<RetryCount>0<"]);
}

/// Table 8: the boot that another ACS has not heard of yet is kept when the agent is started again.
#[test]
fn another_acs_that_is_down_hears_of_the_boot() {
    let acs = Scripted::start(vec![inform(), end()]);
    let new = Scripted::start(vec![step().status(503), inform(), end()]);
    let router = terse(&acs);
    router.play();
    acs.finish();
    router.set("acs", "url", &new.url());
    router.write("/proc/sys/kernel/random/boot_id", "another\n");
    let agent = router.start(&[]);
    agent.wait_for("Retry in", 1);
    agent.kill();
    router.play();
    let seen = new.finish();
    for inform in &seen[..2] {
        assert_eq!(codes(&inform.text()), ["0 BOOTSTRAP", "1 BOOT"]);
    }
}

/// SIGHUP in a session: the configuration is read at its end, and not when something else happens.
#[test]
fn settings_that_had_to_wait_for_a_session() {
    let slowly = Duration::from_secs(1);
    let acs = Scripted::start(vec![inform(), say(get_values("1", &[SERIAL])).wait(slowly), end()]);
    let router = terse(&acs);
    router.set("cpe", "http_connection_request_enable", "0");
    let agent = router.start(&[]);
    agent.wait_for("Get the InformResponse", 1);
    agent.signal("HUP");
    agent.wait_for("End session", 1);
    let ended = Instant::now();
    agent.wait_for("Configuration read again", 1);
    assert!(ended.elapsed() < Duration::from_secs(20), "{:?}", ended.elapsed());
    acs.finish();
}
