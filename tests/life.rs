//! The whole life on the simulated router: the package's default configuration and scripts, the ACS found by DHCP,
//! the first contact, a change that services follow, reload, a new firmware that keeps the state, the end.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/copy.rs"]
mod copy;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/package.rs"]
mod package;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use agent::Agent;
use copy::copy;
use messages::envelope;
use play::{codes, confirm, end, has, inform, methods, say, value};
use rcwmp::lab::router::objects::Router;
use rcwmp::lab::router::{Settings, unpack};
use rcwmp::ubus::blobmsg::Table;
use rcwmp::ubus::client::Client;
use rcwmp::ubus::json;
use rcwmp::uci::{Document, Value};
use scripted::{Scripted, Seen, step};

const LIMIT: Duration = Duration::from_secs(10);
const SSID: &str = "Device.WiFi.SSID.1.SSID";
/// Of `/etc/config`, what the package's scripts look at.
const PACKAGES: [&str; 2] = ["cwmp", "network"];

/// One firmware's life on the device: a folder with the package in it, its services on ubus.
struct Life {
    shell: package::Box,
    services: Router,
    lives: usize,
}

impl Life {
    /// A device on which `release` has just been installed; `None` without a shell like a router's.
    fn flash(release: &str) -> Option<Life> {
        let shell = package::Box::new(&[])?;
        let root = shell.root();
        // What the shell's folder has of the package goes into the router's.
        fs::rename(&root, shell.dir.path().join("before")).unwrap();
        unpack(&root, &Settings { acs_url: String::new(), port: agent::free_port() }).unwrap();
        let files = format!("{}/files", package::PACKAGE);
        for (from, to) in [
            (format!("{files}/ask.sh"), "usr/lib/rcwmp/ask.sh"),
            (format!("{files}/dhcp.sh"), "usr/lib/rcwmp/dhcp.sh"),
            (format!("{files}/gateway.sh"), "usr/lib/rcwmp/gateway.sh"),
            (format!("{files}/run"), "usr/libexec/rcwmp/run"),
            (format!("{files}/rcwmp.keep"), "lib/upgrade/keep.d/rcwmp"),
            (concat!(env!("CARGO_MANIFEST_DIR"), "/uci/cwmp").to_owned(), "etc/config/cwmp"),
        ] {
            fs::create_dir_all(root.join(to).parent().unwrap()).unwrap();
            fs::copy(from, root.join(to)).unwrap();
        }
        let agent = format!(
            "#!/bin/sh\nexec '{}' -f --root '{}' \"$@\"\n",
            env!("CARGO_BIN_EXE_rcwmpd"),
            root.display()
        );
        shell.program("root/usr/sbin/rcwmpd", &agent);
        shell.program(
            "root/sbin/sysupgrade",
            &format!("#!/bin/sh\necho \"$@\" >> '{}/upgraded'\n", root.display()),
        );
        let text = fs::read_to_string(root.join("etc/openwrt_release")).unwrap();
        fs::write(root.join("etc/openwrt_release"), text.replace("24.10.4", release)).unwrap();
        package::put(&root, "proc/sys/kernel/random/boot_id", &format!("boot-of-{release}\n"));
        let services = Router::start(&root, &root.join("var/run/ubus/ubus.sock")).unwrap();
        Some(Life { shell, services, lives: 0 })
    }

    fn root(&self) -> PathBuf {
        self.shell.root()
    }

    fn package(&self, name: &str) -> Document {
        let bytes = fs::read(self.root().join("etc/config").join(name)).unwrap();
        Document::parse(name, &bytes).unwrap()
    }

    /// Runs something with the stub of `uci`, whose settings are the router's before and after.
    fn with_uci<T>(&self, run: impl FnOnce(&package::Box) -> T) -> T {
        let mut lines = String::new();
        for name in PACKAGES {
            for section in self.package(name).sections() {
                let at = format!("{name}.{}", section.key());
                lines.push_str(&format!("{at}={}\n", section.ty()));
                for (option, value) in section.options() {
                    lines.push_str(&format!("{at}.{option}={}\n", value.joined()));
                }
            }
        }
        let db = self.shell.dir.path().join("uci.db");
        fs::write(&db, &lines).unwrap();
        let done = run(&self.shell);
        let after = fs::read_to_string(&db).unwrap();
        for line in after.lines().filter(|line| !lines.lines().any(|before| before == *line)) {
            let (at, value) = line.split_once('=').unwrap();
            let [name, section, option] = at.split('.').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let mut package = self.package(name);
            package.set(section, option, &Value::Single(value.to_owned())).unwrap();
            fs::write(self.root().join("etc/config").join(name), package.to_bytes()).unwrap();
        }
        done
    }

    /// What procd runs after the init script has registered it.
    fn start(&mut self) -> Agent {
        let told = self.with_uci(|shell| shell.init("boot"));
        has(
            &told,
            &[
                "procd_open_instance rcwmpd",
                "command /usr/libexec/rcwmp/run",
                "respawn",
                "reload_trigger cwmp",
            ],
        );
        self.lives += 1;
        let log = self.shell.dir.path().join(format!("agent{}.log", self.lives));
        let child = Command::new("sh")
            .arg(self.root().join("usr/libexec/rcwmp/run"))
            .env("IPKG_INSTROOT", self.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Agent::of(child, log)
    }

    /// The WAN's DHCP client has a lease whose option 43 names an ACS.
    fn lease(&self, url: &str) {
        let option: String = [&[1, u8::try_from(url.len()).unwrap()], url.as_bytes()]
            .concat()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.with_uci(|shell| {
            shell.run("udhcpc.user", &["bound"], &[("INTERFACE", "wan"), ("opt43", &option)])
        });
    }

    fn call(&self, object: &str, method: &str, arguments: &str) -> Table {
        let mut client = Client::connect(self.services.socket(), LIMIT).unwrap();
        let answers = client.call(object, method, &json::parse(arguments).unwrap(), LIMIT);
        answers
            .unwrap_or_else(|why| panic!("{object} {method}: {why}"))
            .into_iter()
            .next()
            .unwrap_or_default()
    }

    fn command(&self, words: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_rcwmpd"))
            .arg("--root")
            .arg(self.root())
            .args(words)
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The SSIDs that are on the air.
    fn on_air(&self) -> Vec<String> {
        let status = self.call("network.wireless", "status", "{}");
        let radios = status.iter().filter_map(|(_, radio)| radio.as_table());
        let interfaces = radios.flat_map(|radio| radio.array("interfaces"));
        let names = interfaces.filter_map(|one| one.as_table()?.table("config")?.text("ssid"));
        names.map(|name| name.into_owned()).collect()
    }

    /// What sysupgrade keeps of another firmware: every configuration file, and what packages name.
    fn keep(&self, old: &Life) {
        copy(&old.root().join("etc/config"), &self.root().join("etc/config"));
        let list = fs::read_to_string(old.root().join("lib/upgrade/keep.d/rcwmp")).unwrap();
        // As sysupgrade does it: the shell makes names of patterns, and what is not there is no error.
        let names: String = list.lines().map(|path| format!(" .{path}")).collect();
        let find = format!("find{names} \\( -type f -o -type l \\) 2> /dev/null");
        let found = Command::new("sh").args(["-c", &find]).current_dir(old.root()).output().unwrap();
        for path in String::from_utf8(found.stdout).unwrap().lines() {
            fs::create_dir_all(self.root().join(path).parent().unwrap()).unwrap();
            copy(&old.root().join(path), &self.root().join(path));
        }
    }
}

/// A life that nobody has lived must not look like one.
#[test]
fn without_a_shell_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let look = || {
        let mut said = Vec::new();
        let shell = package::shell_in(dir.path().as_os_str(), &mut said);
        (shell.map(|words| words.join(" ")), String::from_utf8(said).unwrap())
    };
    assert_eq!(look(), (None, "skipped: busybox not installed\n".to_owned()));
    for (program, words) in [("dash", "dash"), ("busybox", "busybox sh")] {
        fs::write(dir.path().join(program), "").unwrap();
        assert_eq!(look(), (Some(words.to_owned()), String::new()));
    }
}

#[test]
fn from_the_first_boot_to_the_next_firmware() {
    let Some(mut life) = Life::flash("24.10.4") else { return };
    let files = Scripted::start(vec![step().status(200).body("the next firmware")]);
    let image = envelope(
        "3",
        &format!(
            "<cwmp:Download><CommandKey>up</CommandKey><FileType>1 Firmware Upgrade Image</FileType>\
             <URL>{}</URL><Username/><Password/><FileSize>0</FileSize><TargetFileName/><DelaySeconds>0</DelaySeconds>\
             <SuccessURL/><FailureURL/></cwmp:Download>",
            files.url()
        ),
    );
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(messages::set_values("1", &[(SSID, "xsd:string", "a new name")], "first")),
        say(play::object("2", "AddObject", "Device.NAT.PortMapping.")),
        end(),
        inform(),
        say(image),
        end(),
        inform(),
        methods(),
        confirm("TransferComplete", ""),
        say(messages::get_values(
            "4",
            &[SSID, "Device.NAT.PortMapping.", "Device.DeviceInfo.SoftwareVersion"],
        )),
        end(),
    ]);

    // The first boot: uci-defaults, then the service. There is no ACS yet.
    life.with_uci(|shell| shell.run("rcwmp.defaults", &[], &[]));
    assert_eq!(life.package("network").find("wan").unwrap().text("vendorid").unwrap(), "dslforum.org");
    life.shell.told();
    let first = life.start();
    first.wait_for("no ACS URL", 1);
    first.wait_for("is on ubus", 1);
    assert_eq!(life.call("tr069", "status", "{}").table("cwmp").unwrap().text("status").unwrap(), "init");

    // DHCP names the ACS, which renames the network; services follow after the session.
    life.lease(&acs.url());
    first.wait_for("Waiting the next session", 1);
    assert_eq!(life.services.reloads(), ["rcwmp", "firewall", "network"]);
    assert!(life.on_air().contains(&"a new name".to_owned()), "{:?}", life.on_air());
    assert_eq!(life.command(&["-c", "get", SSID]), format!("{SSID} => a new name\n"));
    let status = life.call("tr069", "status", "{}");
    assert_eq!(status.table("cwmp").unwrap().text("acs_url").unwrap(), acs.url());
    assert_eq!(status.table("last_session").unwrap().text("status").unwrap(), "success");

    // Somebody changes the configuration as LuCI does; the init script's trigger has the agent read it.
    life.call(
        "uci",
        "set",
        r#"{"config":"cwmp","section":"acs","values":{"periodic_inform_interval":"7200"}}"#,
    );
    life.call("uci", "commit", r#"{"config":"cwmp"}"#);
    assert_eq!(life.services.reloads().last().unwrap(), "rcwmp");
    let told = life.with_uci(|shell| shell.init("reload"));
    has(&told, &["procd_send_signal rcwmpd"]);
    first.signal("HUP");
    first.wait_for("Configuration read again", 1);
    let interval = "Device.ManagementServer.PeriodicInformInterval";
    assert_eq!(life.command(&["-c", "get", interval]), format!("{interval} => 7200\n"));

    // The ACS has an image for it; sysupgrade ends everything.
    assert!(life.command(&["inform", "6 CONNECTION REQUEST"]).contains("Session started"));
    first.wait_for("Waiting the next session", 2);
    let upgraded = life.root().join("upgraded");
    let until = std::time::Instant::now() + LIMIT;
    while !fs::read_to_string(&upgraded).is_ok_and(|text| text.lines().count() == 2) {
        assert!(std::time::Instant::now() < until, "{}", first.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    first.kill();

    // The new firmware on the same device: what is kept of the old, another boot, other files.
    let Some(mut next) = Life::flash("25.12.0") else { return };
    next.keep(&life);
    drop(life);
    next.with_uci(|shell| shell.run("rcwmp.defaults", &[], &[]));
    next.shell.told();
    let second = next.start();
    second.wait_for("is on ubus", 1);
    next.lease(&acs.url());
    second.wait_for("Waiting the next session", 1);
    assert_eq!(next.command(&["-c", "get", interval]), format!("{interval} => 7200\n"));

    // The end: procd stops it, and nothing is left on ubus.
    next.with_uci(|shell| shell.init("stop"));
    let (status, took) = second.stop();
    assert!(status.success() && took < LIMIT, "{status} after {took:?}");
    let mut client = Client::connect(next.services.socket(), LIMIT).unwrap();
    assert!(client.list(Some("tr069"), LIMIT).is_err() && client.list(Some("rcwmp"), LIMIT).is_err());

    files.finish();
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    assert_eq!(codes(&seen[0]), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(codes(&seen[5]), ["6 CONNECTION REQUEST"]);
    // Not 0 BOOTSTRAP: it is known there.
    assert_eq!(codes(&seen[8]), ["1 BOOT", "4 VALUE CHANGE", "7 TRANSFER COMPLETE", "M Download"]);
    has(&seen[10], &["<CommandKey>up</CommandKey>", "<FaultCode>0</FaultCode>"]);
    assert_eq!(value(&seen[12], SSID), "a new name");
    has(&seen[4], &["<InstanceNumber>3</InstanceNumber>"]);
    has(&seen[12], &["Device.NAT.PortMapping.3.Enable"]);
    has(&value(&seen[12], "Device.DeviceInfo.SoftwareVersion"), &["25.12.0"]);
}
