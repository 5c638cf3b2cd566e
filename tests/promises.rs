//! What an answer has promised is done, also by an agent that is stopped or killed before the session's
//! end: services follow the files, and the device reboots and says whose reboot it was.
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

use std::sync::mpsc;
use std::time::{Duration, Instant};

use agent::Router;
use messages::set_values;
use play::{codes, end, events, inform, methods, reboot, router, say};
use scripted::{Scripted, Step, step};

const NAME: &str = "Device.DeviceInfo.HostName";

/// Programs that write down that they were run.
fn with_programs(router: &Router) {
    router.program("sbin/reboot", "");
    router.program("sbin/reload_config", "");
}

/// Waits until the programs named, and no others, were run; order does not matter.
#[track_caller]
fn ran(router: &Router, expected: &[&str]) {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let mut lines: Vec<String> = router.ran().iter().map(|line| line.trim().to_owned()).collect();
        lines.sort_unstable();
        if lines == expected || Instant::now() > until {
            assert_eq!(lines, expected);
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A change and a reboot, and then an ACS that keeps the agent waiting until it is told to go on.
fn script(held: mpsc::Receiver<()>, reached: mpsc::Sender<()>) -> Vec<Step> {
    vec![
        inform(),
        methods(),
        say(set_values("1", &[(NAME, "xsd:string", "promised")], "key")),
        say(reboot("2", "a key")),
        step().computed(move |_| {
            reached.send(()).unwrap();
            let _ = held.recv_timeout(Duration::from_secs(20));
            step().close()
        }),
        // The next life.
        inform(),
        methods(),
        end(),
    ]
}

#[test]
fn after_sigterm_and_after_sigkill() {
    for kill in [false, true] {
        let ((release, held), (reached, arrived)) = (mpsc::channel(), mpsc::channel());
        let acs = Scripted::start(script(held, reached));
        let router = router(&acs.url());
        with_programs(&router);
        let agent = router.start(&[]);
        arrived.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(router.read("/etc/config/system").contains("promised"));
        match kill {
            true => agent.kill(),
            false => assert!(agent.stop().0.success()),
        }
        drop(release);
        if kill {
            ran(&router, &[]);
            // The next life does it, before anything else.
            let agent = router.start(&[]);
            ran(&router, &["reboot", "reload_config"]);
            assert!(agent.stop().0.success());
        }
        ran(&router, &["reboot", "reload_config"]);
        // The reboot has happened: nothing is done twice, and the ACS hears whose it was.
        router.write("/proc/sys/kernel/random/boot_id", "another\n");
        router.play();
        ran(&router, &["reboot", "reload_config"]);
        let seen = acs.finish();
        let boot = seen.iter().rev().find(|one| one.text().contains(":Inform>")).unwrap().text();
        assert!(codes(&boot).contains(&"1 BOOT".to_owned()), "{boot}");
        let asked = ("M Reboot".to_owned(), "a key".to_owned());
        assert!(events(&boot).contains(&asked), "{boot}");
    }
}

#[test]
fn a_factory_reset_waits_for_a_session_that_succeeds() {
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(messages::envelope("1", "<cwmp:FactoryReset/>")),
        step().status(503),
        // The retry.
        inform(),
        methods(),
        end(),
    ]);
    let router = router(&acs.url());
    with_programs(&router);
    let agent = router.start(&[]);
    agent.wait_for("Retry in", 1);
    assert!(!agent.log().contains("Resetting"), "{}", agent.log());
    ran(&router, &[]);
    agent.wait_for("Resetting to factory defaults", 1);
    ran(&router, &["reboot"]);
    assert!(agent.log().contains("End session"), "{}", agent.log());
    drop(agent);
    let seen = acs.finish();
    play::has(&seen[3].text(), &["FactoryResetResponse"]);
}

#[test]
fn a_delayed_reboot_outlives_a_killed_agent() {
    let name = "Device.ManagementServer.DelayReboot";
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(set_values("1", &[(name, "xsd:int", "4")], "key")),
        end(),
    ]);
    let router = router(&acs.url());
    with_programs(&router);
    router.write("/proc/sys/kernel/random/boot_id", "one\n");
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    agent.kill();
    ran(&router, &["reload_config"]);
    let agent = router.start(&[]);
    agent.wait_for("Rebooting as it was scheduled", 1);
    ran(&router, &["reboot", "reload_config"]);
    assert!(agent.stop().0.success());
    acs.finish();
}

#[test]
fn reboots_by_the_clock() {
    for name in ["DelayReboot", "ScheduleReboot"] {
        // Counted from the moment of the request, however long it took until then.
        let request = move || {
            let soon = rcwmp::model::date::format_utc(rcwmp::sys::clock::epoch_seconds() + 4);
            let (ty, text) =
                if name == "DelayReboot" { ("xsd:int", "1") } else { ("xsd:dateTime", soon.as_str()) };
            set_values("1", &[(&format!("Device.ManagementServer.{name}"), ty, text)], "key")
        };
        let acs = Scripted::start(vec![
            inform(),
            methods(),
            step().computed(move |_| say(request())),
            end(),
            inform(),
            methods(),
            say(messages::get_values("2", &["Device.ManagementServer.DelayReboot"])),
            end(),
        ]);
        let router = router(&acs.url());
        with_programs(&router);
        let agent = router.start(&[]);
        agent.wait_for("Rebooting as it was scheduled", 1);
        ran(&router, &["reboot", "reload_config"]);
        assert!(agent.stop().0.success());
        // After the boot neither is done again.
        router.write("/proc/sys/kernel/random/boot_id", "another\n");
        let agent = router.start(&[]);
        agent.wait_for("End session", 1);
        play::stays_quiet(&agent, "Rebooting", 0);
        assert!(agent.stop().0.success());
        let seen = acs.finish();
        assert!(codes(&seen[4].text()).contains(&"1 BOOT".to_owned()), "{}", seen[4].text());
        play::has(&seen[7].text(), &[">-1<"]);
    }
}
