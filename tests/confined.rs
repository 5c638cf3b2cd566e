//! The agent with the rights that procd's ujail leaves it (`cpe.jail`): the two files of the package are what procd reads,
//! and with them the lab still goes from its bootstrap to the end. `tests/package/confined` takes the rights away.
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
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use agent::Agent;
use play::{codes, end, has, inform, methods, object, router, say};
use scripted::{Scripted, step};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("openwrt-package/files").join(name)
}

fn filter() -> PathBuf {
    file("rcwmpd.seccomp.json")
}

fn capabilities() -> PathBuf {
    file("rcwmpd.capabilities.json")
}

/// Those of `cpe.jail_user`, and who that is: nobody on this machine.
fn of_the_user() -> (PathBuf, [&'static str; 2]) {
    (file("rcwmpd.user.capabilities.json"), ["--user", "65534"])
}

/// Whether there are rights that can be taken away.
fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        tell("skipped: only root can become another user\n");
    }
    root
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn names(list: &serde_json::Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[track_caller]
fn is_sorted_and_unique(list: &[&str]) {
    assert!(list.windows(2).all(|two| two[0] < two[1]), "{list:?}");
}

/// Past the test's capture.
fn tell(text: &str) {
    use std::io::Write as _;
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

/// Runs it with the rights taken away; `None`, and a word about it, where the machine does not allow that.
fn confined(capabilities: &Path, what: &[&str]) -> Option<Output> {
    let mut command = Command::new("python3");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/package/confined"))
        .arg(filter())
        .arg(capabilities);
    let output = command.args(what).stdin(Stdio::null()).output();
    let said = match &output {
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(_) => "skipped: python3 not installed\n".to_owned(),
    };
    if said.starts_with("skipped") {
        tell(&said);
        return None;
    }
    output.ok()
}

#[test]
fn the_filter_is_what_procd_reads() {
    let filter = json(&filter());
    // Programs of others inherit it, and ARM has calls that procd has no name for: what is not named is allowed.
    assert_eq!(filter["defaultAction"], "SCMP_ACT_ALLOW");
    // procd refuses to run anything on a machine that such a list leaves out.
    assert!(filter["architectures"].is_null());
    let mut all = Vec::new();
    for rule in filter["syscalls"].as_array().unwrap() {
        let list = names(&rule["names"]);
        is_sorted_and_unique(&list);
        // With an errno of zero the call would seem to have been done; procd makes EPERM of none, but as a default.
        assert_eq!(rule["action"], "SCMP_ACT_ERRNO");
        assert!(rule["errnoRet"].is_null() && rule["args"].is_null());
        // A jump over more has no room in the filter's instructions.
        assert!(list.len() < 255 && !rule["comment"].as_str().unwrap().is_empty());
        all.extend(list.into_iter().map(str::to_owned));
    }
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "a name in two rules");
    // What the agent's own programs need.
    for name in ["chroot", "mknod", "kill", "clone", "execve", "socket", "chown"] {
        assert!(!all.iter().any(|denied| denied == name), "{name}");
    }
}

#[test]
fn the_capabilities_are_what_procd_reads() {
    let sets = json(&capabilities());
    // A set that is left out is an empty one for procd.
    assert_eq!(sets.as_object().unwrap().len(), 5);
    let kept = names(&sets["bounding"]);
    is_sorted_and_unique(&kept);
    assert_eq!(names(&sets["effective"]), kept);
    assert_eq!(names(&sets["permitted"]), kept);
    assert!(names(&sets["inheritable"]).is_empty() && names(&sets["ambient"]).is_empty());
    for far_too_much in
        ["CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_BOOT", "CAP_MKNOD"]
    {
        assert!(!kept.contains(&far_too_much), "{far_too_much}");
    }
    // ping, ports below 1024, files of other users, packages with files of other users, apk's scripts.
    for needed in ["CAP_NET_RAW", "CAP_NET_BIND_SERVICE", "CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_SYS_CHROOT"] {
        assert!(kept.contains(&needed), "{needed}");
    }
    // What is not ambient is lost with root; what is ambient is inheritable.
    let user = json(&of_the_user().0);
    assert_eq!(user.as_object().unwrap().len(), 5);
    for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
        assert_eq!(names(&user[set]), kept, "{set}");
    }
}

#[test]
fn ubus_lets_the_user_do_what_root_may() {
    let rights = json(&file("rcwmp.ubus.json"));
    assert_eq!(rights["user"], "rcwmp");
    assert_eq!(names(&rights["publish"]), ["tr069", "rcwmp"], "the objects that the agent serves");
    for list in [&rights["access"]["*"]["methods"], &rights["subscribe"], &rights["listen"], &rights["send"]]
    {
        assert_eq!(names(list), ["*"]);
    }
}

#[test]
fn what_it_names_is_refused() {
    let Some(output) = confined(Path::new("-"), &["--probe"]) else { return };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "probed\n", "{output:?}");
    let Some(output) = confined(&capabilities(), &["cat", "/proc/self/status"]) else { return };
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    has(&status, &["NoNewPrivs:\t1", "Seccomp:\t2"]);
    if nix::unistd::geteuid().is_root() {
        let set = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        let set = u64::from_str_radix(set.trim(), 16).unwrap();
        assert_eq!(set & !0x434fb, 0, "{set:x}");
    }
}

#[test]
fn the_lab_still_goes_to_its_end() {
    let lab = [env!("CARGO_BIN_EXE_rcwmpd"), "lab"];
    goes_to_its_end(confined(&capabilities(), &lab));
    if is_root() {
        let (capabilities, user) = of_the_user();
        goes_to_its_end(confined(&capabilities, &[user, lab].concat()));
    }
}

#[track_caller]
fn goes_to_its_end(output: Option<Output>) {
    let Some(output) = output else { return };
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    has(&said, &["Provisioned LAB0000001"]);
}

#[test]
fn what_it_starts_still_works() {
    if confined(&capabilities(), &["true"]).is_none() {
        return;
    }
    work(&capabilities(), &[]);
    if is_root() {
        let (capabilities, user) = of_the_user();
        work(&capabilities, &user);
    }
}

/// A change in UCI, a ping, and a firmware by the program that installs it; as another user too.
fn work(capabilities: &Path, user: &[&str]) {
    let image = Scripted::start(vec![step().status(200).body(vec![7; 200_000])]);
    let download = messages::envelope(
        "7",
        &format!(
            "<cwmp:Download><CommandKey>k</CommandKey><FileType>1 Firmware Upgrade Image</FileType><URL>{}</URL>\
             <Username></Username><Password></Password><FileSize>0</FileSize><TargetFileName></TargetFileName>\
             <DelaySeconds>0</DelaySeconds><SuccessURL></SuccessURL><FailureURL></FailureURL></cwmp:Download>",
            image.url()
        ),
    );
    let ping = "Device.IP.Diagnostics.IPPing.";
    let ask = [
        (format!("{ping}Host"), "xsd:string", "127.0.0.1"),
        (format!("{ping}NumberOfRepetitions"), "xsd:unsignedInt", "1"),
        (format!("{ping}DiagnosticsState"), "xsd:string", "Requested"),
    ];
    let ask: Vec<(&str, &str, &str)> =
        ask.iter().map(|(name, ty, text)| (name.as_str(), *ty, *text)).collect();
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(object("1", "AddObject", "Device.NAT.PortMapping.")),
        say(messages::set_values("2", &ask, "k")),
        end(),
        inform(),
        say(messages::get_values("3", &[&format!("{ping}DiagnosticsState"), &format!("{ping}SuccessCount")])),
        say(download),
        end(),
    ]);
    let router = router(&acs.url());
    router.program("sbin/sysupgrade", "exit 0");
    let log = router.root().parent().unwrap().join("agent.log");
    let mut command = Command::new("python3");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/package/confined"))
        .arg(filter())
        .arg(capabilities)
        .args(user);
    command.args([env!("CARGO_BIN_EXE_rcwmpd"), "-f", "--root"]).arg(router.root());
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap()).spawn();
    let agent = Agent::of(child.unwrap(), log);
    agent.wait_for("End session", 2);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while router.ran().len() < 2 {
        assert!(std::time::Instant::now() < end, "{:?}\n{}", router.ran(), agent.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(router.ran(), ["sysupgrade --test /tmp/rcwmp/download", "sysupgrade /tmp/rcwmp/download"]);
    let seen = acs.finish();
    assert!(codes(&seen[5].text()).contains(&"8 DIAGNOSTICS COMPLETE".to_owned()), "{}", agent.log());
    has(&seen[7].text(), &["Complete"]);
    if !user.is_empty() {
        // Files stay whose they were, and root's command line still talks to an agent of another user.
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(fs::metadata(router.root().join("etc/config/firewall")).unwrap().uid(), 0);
        assert_eq!(fs::metadata(router.root().join("etc/rcwmp/state.json")).unwrap().uid(), 65_534);
        let said = router.run(&["-c", "get", "Device.NAT.PortMappingNumberOfEntries"]);
        assert!(said.status.success(), "{said:?}");
    }
    drop(agent);
    image.finish();
}
