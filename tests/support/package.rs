//! The package's scripts under a router's shell, in a folder that plays the router, with stubs for OpenWrt's programs.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use rcwmp::agent::offers::{self, Offers};
use rcwmp::agent::settings::Settings;
use rcwmp::sys::fs::Root;

/// The package's folder.
pub const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openwrt-package");
/// Stand for OpenWrt's uci, rc.common with procd.sh, and its makefiles.
pub const STUBS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/package");

/// A file below a folder.
pub fn put(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// busybox's programs, where there is one: a script must get along with what they understand.
fn applets() -> Option<&'static Path> {
    static MADE: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let list = Command::new("busybox").arg("--list-full").output().ok()?;
        let busybox = std::env::split_paths(&std::env::var_os("PATH")?)
            .map(|place| place.join("busybox"))
            .find(|path| path.is_file())?;
        for path in String::from_utf8_lossy(&list.stdout).lines() {
            let name = path.rsplit('/').next()?;
            // Another init or reboot than the stubs' is not to be run.
            let wanted = [
                "sh", "cat", "sed", "tr", "grep", "sort", "head", "tail", "mkdir", "mv", "rm", "chmod", "cp",
                "ls",
            ];
            if wanted.contains(&name) {
                std::os::unix::fs::symlink(&busybox, dir.path().join(name)).ok()?;
            }
        }
        Some(dir)
    });
    made.as_ref().map(tempfile::TempDir::path)
}

/// Whether a program is there; says so if not.
pub fn has(program: &str) -> bool {
    let found = is_in(&std::env::var_os("PATH").unwrap_or_default(), program);
    if !found {
        skipped(program, &mut std::io::stderr());
    }
    found
}

fn is_in(places: &OsStr, program: &str) -> bool {
    std::env::split_paths(places).any(|place| place.join(program).is_file())
}

fn skipped(program: &str, out: &mut dyn std::io::Write) {
    out.write_all(format!("skipped: {program} not installed\n").as_bytes()).unwrap();
}

/// A router's shell in these folders, or what is left out without one, said to `out`.
pub fn shell_in(places: &OsStr, out: &mut dyn std::io::Write) -> Option<Vec<String>> {
    if is_in(places, "busybox") {
        return Some(vec!["busybox".to_owned(), "sh".to_owned()]);
    }
    if is_in(places, "dash") {
        return Some(vec!["dash".to_owned()]);
    }
    skipped("busybox", out);
    None
}

/// Both outputs.
pub fn text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// A router's folder with the package's files in their places, and stubs for what the package does not bring.
pub struct Box {
    /// Holds the folder `root`, and what the stubs keep.
    pub dir: tempfile::TempDir,
    /// What the shell's tools are: busybox, as on a router, or the machine's own.
    shell: Vec<String>,
}

impl Box {
    /// `None` without a shell like a router's.
    pub fn new(config: &[(&str, &str)]) -> Option<Box> {
        let dir = tempfile::tempdir().unwrap();
        // Not by a macro, whose words a test that passes keeps for itself.
        let shell = shell_in(&std::env::var_os("PATH").unwrap_or_default(), &mut std::io::stderr())?;
        let this = Box { dir, shell };
        for stub in ["uci", "ubus", "logger", "nslookup", "fw4"] {
            this.program(&format!("stubs/{stub}"), &fs::read_to_string(format!("{STUBS}/{stub}")).unwrap());
        }
        for folder in ["usr/lib/rcwmp", "usr/sbin", "etc/config", "var/run", "var/lock"] {
            fs::create_dir_all(this.root().join(folder)).unwrap();
        }
        for file in ["ask.sh", "dhcp.sh", "gateway.sh"] {
            let to = this.root().join("usr/lib/rcwmp").join(file);
            fs::copy(format!("{PACKAGE}/files/{file}"), to).unwrap();
        }
        let lines: Vec<String> = config.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        fs::write(this.dir.path().join("uci.db"), lines.concat()).unwrap();
        Some(this)
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub fn program(&self, path: &str, text: &str) {
        put(self.dir.path(), path, text);
        fs::set_permissions(self.dir.path().join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs `FILE ARGUMENTS` of the package under the shell.
    pub fn run(&self, file: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        self.command(&format!("{PACKAGE}/files/{file}"), arguments, environment)
    }

    pub fn command(&self, script: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(&self.shell[0]);
        command.args(&self.shell[1..]).arg(script).args(arguments).env_clear();
        let applets = applets().map(|dir| format!("{}:", dir.display())).unwrap_or_default();
        command.env("PATH", format!("{}/stubs:{applets}{path}", self.dir.path().display()));
        command.env("STUB", self.dir.path()).env("IPKG_INSTROOT", self.root());
        let output = command.envs(environment.iter().copied()).current_dir(self.dir.path()).output().unwrap();
        assert!(output.status.success(), "{script} {arguments:?}: {}", text(&output));
        assert_eq!(text(&output), "", "{script} {arguments:?}");
        output
    }

    /// What uci holds, in the end.
    pub fn uci(&self) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.dir.path().join("uci.db")).unwrap();
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        text.lines().filter_map(pair).collect()
    }

    /// The agent's settings, as uci has them.
    pub fn settings(&self) -> Settings {
        let uci = self.uci();
        Settings::read(&mut |name| uci.get(&format!("cwmp.{name}")).cloned())
    }

    /// What was told to procd, ubus and others since the last call.
    pub fn told(&self) -> String {
        let log = self.dir.path().join("told");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        text.replace(&self.root().display().to_string(), "")
    }

    /// The packages that were committed since the last call.
    pub fn commits(&self) -> Vec<String> {
        let log = self.dir.path().join("commits");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        text.lines().map(str::to_owned).collect()
    }

    /// Runs the stub of `uci`.
    pub fn run_uci(&self, arguments: &[&str]) {
        self.command(&format!("{STUBS}/uci"), arguments, &[]);
    }

    pub fn init(&self, action: &str) -> String {
        let script = format!("{PACKAGE}/files/rcwmpd.init");
        self.command(&format!("{STUBS}/rc.common"), &[&script, action], &[]);
        self.told()
    }

    pub fn offers(&self) -> Offers {
        offers::read(&Root::new(self.root()), "wan")
    }

    /// Nothing may lie where a hostile name or value could have put it.
    pub fn is_clean(&self) {
        assert!(!self.dir.path().join("owned").exists(), "something was executed");
        let found = Command::new("find").arg(self.root()).args(["-type", "f"]).output().unwrap();
        for file in String::from_utf8(found.stdout).unwrap().lines() {
            let path = file.strip_prefix(&self.root().display().to_string()).unwrap().to_owned();
            let known = path.starts_with("/usr/lib/rcwmp/") || path == "/var/run/rcwmp/manageable";
            assert!(known || path.starts_with("/var/run/rcwmp/dhcp/wan"), "{path:?}");
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o022, 0, "{path}");
        }
    }
}
