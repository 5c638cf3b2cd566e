//! The ACS is found by DHCP: the daemon and the files that hooks of the DHCP clients write (TR-069 3.1).
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used)]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use agent::{Agent, Router};
use messages::{get_values, set_values};
use play::{codes, end, has, inform, inform_with, methods, say, stays_quiet, value};
use scripted::{Scripted, Step, step};

const PLACE: &str = "/var/run/rcwmp/dhcp";
const URL: &str = "Device.ManagementServer.URL";
const MINIMUM: &str = "Device.ManagementServer.CWMPRetryMinimumWaitInterval";
const MULTIPLIER: &str = "Device.ManagementServer.CWMPRetryIntervalMultiplier";
const CODE: &str = "Device.DeviceInfo.ProvisioningCode";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Sub-options of one octet of code and one of length.
fn subs(list: &[(u8, &str)]) -> Vec<u8> {
    list.iter()
        .flat_map(|(code, text)| [&[*code, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat())
        .collect()
}

fn option_43(list: &[(u8, &str)]) -> String {
    format!("opt43={}\n", hex(&subs(list)))
}

fn option_125(list: &[(u8, &str)]) -> String {
    let data = subs(list);
    format!("opt125={}\n", hex(&[&[0, 0, 0x0d, 0xe9, u8::try_from(data.len()).unwrap()], &data[..]].concat()))
}

fn option_17(url: &str) -> String {
    let length = u8::try_from(url.len()).unwrap();
    format!("opt17={}\n", hex(&[&[0, 0, 0x0d, 0xe9, 0, 1, 0, length], url.as_bytes()].concat()))
}

/// What a hook does.
fn offer(router: &Router, interface: &str, text: &str) {
    let dir = router.root().join(PLACE.trim_start_matches('/'));
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(format!(".{interface}.new")), text).unwrap();
    fs::rename(dir.join(format!(".{interface}.new")), dir.join(interface)).unwrap();
}

/// A session that asks nothing, whose Inform has these words.
fn greeting(words: &'static [&'static str]) -> Vec<Step> {
    vec![inform_with(words), methods(), end()]
}

/// Another session of the same life, without our GetRPCMethods.
fn again(words: &'static [&'static str]) -> Vec<Step> {
    vec![inform_with(words), end()]
}

fn sessions(agent: &Agent, count: usize) {
    agent.wait_for("Waiting the next session", count);
    assert_eq!(agent.log().matches("End session").count(), count, "{}", agent.log());
}

#[test]
fn a_router_without_a_url_takes_what_dhcp_says() {
    let acs = Scripted::start(vec![
        inform_with(&["0 BOOTSTRAP", "1 BOOT", "TLCO.GRP2"]),
        methods(),
        say(get_values("1", &[URL, MINIMUM, MULTIPLIER, CODE])),
        end(),
    ]);
    let router = Router::new("");
    let list = [(11, acs.url()), (12, "TLCO.GRP2".into()), (13, "30".into()), (14, "1500".into())];
    let list: Vec<(u8, &str)> = list.iter().map(|(code, text)| (*code, text.as_str())).collect();
    let validate = || String::from_utf8_lossy(&router.run(&["validate"]).stderr).into_owned();
    has(&validate(), &["no ACS URL"]);
    offer(&router, "wan", &option_125(&list));
    offer(&router, "wan6", "opt17=00\n");
    assert_eq!(
        validate(),
        "/var/run/rcwmp/dhcp/wan6: opt17 (line 1) is not used: the option is cut short or too long\n1 complaint\n"
    );
    let url = acs.url();
    let agent = router.start(&[]);
    sessions(&agent, 1);
    let answer = acs.finish()[3].text();
    // The router's own 5 s and 2000 are presets, too, and DHCP's go first.
    let found = [URL, MINIMUM, MULTIPLIER, CODE].map(|name| value(&answer, name));
    assert_eq!(found, [&url, "30", "1500", "TLCO.GRP2"]);
    has(
        &router.read("/etc/config/cwmp"),
        &[
            &format!("option dhcp_url '{url}'"),
            "option dhcp_provisioning_code 'TLCO.GRP2'",
            "option dhcp_retry_min_wait_interval '30'",
            "option dhcp_retry_interval_multiplier '1500'",
        ],
    );
    let shown = router.run(&["-c", "get", URL]);
    has(&String::from_utf8_lossy(&shown.stdout), &[&url]);
    agent.stop();
}

#[test]
fn an_offer_is_noticed_when_it_comes() {
    let acs = Scripted::start(greeting(&["0 BOOTSTRAP", "1 BOOT"]));
    let router = Router::new("");
    let agent = router.start(&[]);
    agent.wait_for("no ACS URL", 1);
    stays_quiet(&agent, "Start session", 0);
    // Of an interface that is not the WAN, it counts for nothing.
    offer(&router, "lan", &option_43(&[(1, &acs.url())]));
    agent.wait_for("rcwmp/dhcp/lan: not of the WAN", 1);
    stays_quiet(&agent, "Start session", 0);
    offer(&router, "wan", &format!("opt43={}\n", hex(acs.url().as_bytes())));
    sessions(&agent, 1);
    acs.finish();
    // A renewal says the same again.
    offer(&router, "wan", &format!("opt43={}\n", hex(acs_url(&router).as_bytes())));
    stays_quiet(&agent, "Start session", 1);
    agent.stop();
}

fn acs_url(router: &Router) -> String {
    let text = router.read("/etc/config/cwmp");
    text.split("option dhcp_url '").nth(1).unwrap().split('\'').next().unwrap().to_owned()
}

#[test]
fn the_interval_of_dhcp_decides_until_the_acs_sets_one() {
    let busy = || step().status(503);
    let mut steps = vec![busy(), busy(), inform(), methods()];
    steps.push(say(set_values("1", &[(MINIMUM, "xsd:unsignedInt", "2")], "k")));
    steps.push(say(get_values("2", &[MINIMUM, MULTIPLIER])));
    steps.push(end());
    let acs = Scripted::start(steps);
    let router = Router::new(&acs.url());
    router.set("acs", "dhcp_discovery", "1");
    router.set("acs", "retry_min_wait_interval", "3600");
    offer(&router, "wan", &option_43(&[(3, "1"), (4, "1000")]));
    let agent = router.start(&[]);
    agent.wait_for("Retry in 1 seconds", 2);
    agent.wait_for("End session", 1);
    let answer = acs.finish()[6].text();
    assert_eq!([value(&answer, MINIMUM), value(&answer, MULTIPLIER)], ["2", "1000"]);
    // What DHCP says from now on is only about what was not set.
    offer(&router, "wan", &option_43(&[(3, "9"), (4, "1100")]));
    agent.stop();
    let agent = router.start(&[]);
    agent.wait_for("STARTING", 1);
    let until = Instant::now() + Duration::from_secs(20);
    while !String::from_utf8_lossy(&router.run(&["-c", "get", MULTIPLIER]).stdout).contains("1100") {
        assert!(Instant::now() < until, "the offer");
    }
    agent.stop();
    let shown = router.run(&["-c", "get", MINIMUM]);
    has(&String::from_utf8_lossy(&shown.stdout), &["2"]);
    let shown = router.run(&["-c", "get", MULTIPLIER]);
    has(&String::from_utf8_lossy(&shown.stdout), &["1100"]);
}

#[test]
fn another_url_is_a_bootstrap_and_a_boot_without_a_lease_is_none() {
    let first = [greeting(&["0 BOOTSTRAP"]), greeting(&["1 BOOT"])].into_iter().flatten().collect();
    let first = Scripted::start(first);
    let router = Router::new("http://127.0.0.1:1/never");
    router.set("acs", "dhcp_discovery", "enable");
    offer(&router, "wan", &option_43(&[(1, &first.url())]));
    let agent = router.start(&[]);
    sessions(&agent, 1);
    agent.stop();
    // The router boots, and its lease is not there yet.
    fs::remove_dir_all(router.root().join("tmp/run/rcwmp")).unwrap();
    let agent = router.start(&["-b"]);
    sessions(&agent, 1);
    // Then it comes, from a network that has moved to another ACS.
    let second = Scripted::start(again(&["0 BOOTSTRAP"]));
    offer(&router, "wan", &option_43(&[(1, &second.url())]));
    sessions(&agent, 2);
    assert_eq!(codes(&first.finish()[3].text()), ["1 BOOT"]);
    second.finish();
    agent.stop();
}

#[test]
fn dhcpv6_goes_first() {
    let acs = Scripted::start(greeting(&["0 BOOTSTRAP"]));
    let router = Router::new("");
    offer(
        &router,
        "wan",
        &(option_43(&[(1, "http://127.0.0.1:1/43")]) + &option_125(&[(11, "http://127.0.0.1:1/125")])),
    );
    offer(&router, "wan6", &option_17(&acs.url()));
    let agent = router.start(&[]);
    sessions(&agent, 1);
    agent.stop();
    acs.finish();
}

#[test]
fn a_url_set_by_the_acs_ends_discovery() {
    let second = Scripted::start(again(&["0 BOOTSTRAP"]));
    let mut steps = vec![inform(), methods()];
    steps.push(say(set_values("1", &[(URL, "xsd:string", &second.url())], "k")));
    steps.push(end());
    let first = Scripted::start(steps);
    let router = Router::new("");
    router.set("acs", "dhcp_discovery", "1");
    offer(&router, "wan", &option_43(&[(1, &first.url())]));
    let agent = router.start(&[]);
    sessions(&agent, 2);
    first.finish();
    let text = router.read("/etc/config/cwmp");
    has(&text, &["option dhcp_discovery 'disable'", &format!("option url '{}'", second.url())]);
    // How the first one was found is remembered, should the second not be reached any more.
    has(&router.read("/etc/rcwmp/state.json"), &["\"located\":\"Dhcp\""]);
    stays_quiet(&agent, "Start session", 2);
    agent.stop();
    second.finish();
    let acs = Scripted::start(greeting(&["0 BOOTSTRAP"]));
    let router = Router::new(&acs.url());
    let agent = router.start(&[]);
    sessions(&agent, 1);
    has(&router.read("/etc/rcwmp/state.json"), &["\"located\":\"Configured\""]);
    agent.stop();
    acs.finish();
}

#[test]
fn a_hook_of_icwmp_and_sighup() {
    let first = Scripted::start(greeting(&["0 BOOTSTRAP"]));
    let second = Scripted::start(again(&["0 BOOTSTRAP"]));
    let third = Scripted::start(again(&["0 BOOTSTRAP"]));
    let router = Router::new(&first.url());
    router.set("acs", "dhcp_discovery", "1");
    offer(&router, "wwan", &option_43(&[(1, &third.url())]));
    let agent = router.start(&[]);
    sessions(&agent, 1);
    router.set("acs", "dhcp_url", &second.url());
    agent.signal("HUP");
    sessions(&agent, 2);
    // Another WAN: the file is as it was.
    router.set("cpe", "default_wan_interface", "wwan");
    agent.signal("HUP");
    sessions(&agent, 3);
    agent.stop();
    for acs in [first, second, third] {
        acs.finish();
    }
}

#[test]
fn hostile_files_stop_nothing() {
    let acs = Scripted::start(greeting(&["0 BOOTSTRAP"]));
    let router = Router::new("");
    let path = |name: &str| router.root().join("tmp/run/rcwmp/dhcp").join(name);
    offer(&router, "wan_6", "");
    let agent = router.start(&[]);
    agent.wait_for("no ACS URL", 1);
    let hostile: [(&str, &[u8]); 5] = [
        ("longer than 32768 octets", &[b'#'; 65_536]),
        ("not a text", &[0xfe; 4096]),
        ("more than 64 lines", &b"opt43=\n".repeat(4000)),
        ("opt43 (line 1) is not used", b"opt43=01FF\n"),
        ("line 1 is neither", b"$(reboot)=`reboot`\n"),
    ];
    for (complaint, bytes) in hostile {
        fs::write(path("wan"), bytes).unwrap();
        agent.wait_for(&format!("rcwmp/dhcp/wan: {complaint}"), 1);
    }
    fs::remove_file(path("wan")).unwrap();
    nix::unistd::mkfifo(&path(".pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink(".pipe", path("wan")).unwrap();
    agent.wait_for("rcwmp/dhcp/wan: a symbolic link", 1);
    fs::remove_file(path("wan")).unwrap();
    fs::rename(path(".pipe"), path("wan")).unwrap();
    agent.wait_for("rcwmp/dhcp/wan: not a regular file", 1);
    if nix::unistd::geteuid().is_root() {
        fs::write(path(".wan_6"), option_17("http://127.0.0.1:1/stranger")).unwrap();
        std::os::unix::fs::chown(path(".wan_6"), Some(65_534), None).unwrap();
        fs::rename(path(".wan_6"), path("wan_6")).unwrap();
        agent.wait_for("rcwmp/dhcp/wan_6: belongs to user 65534", 1);
    }
    // All that is still there, and one file is in order.
    let url = acs.url();
    offer(&router, "wan6", &format!("opt17=00\n{}opt125=zz\n", option_17(&url)));
    sessions(&agent, 1);
    let quiet = agent.cpu();
    std::thread::sleep(Duration::from_millis(500));
    assert!(agent.cpu() - quiet < Duration::from_millis(100), "the loop is busy");
    agent.stop();
    acs.finish();
}
