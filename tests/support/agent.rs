//! The agent as a child process on a simulated router in a temporary folder.
#![allow(dead_code, clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rcwmp::lab::router::{self, Settings};

/// A router's folder, removed when dropped.
pub struct Router {
    dir: tempfile::TempDir,
}

impl Router {
    /// The fixture router, with the URL of its ACS, and no periodic Inform by chance: its phase is random.
    pub fn new(acs_url: &str) -> Router {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { acs_url: acs_url.to_owned(), port: free_port() };
        router::unpack(&dir.path().join("root"), &settings).unwrap();
        let router = Router { dir };
        router.set("acs", "periodic_inform_interval", "1000000000");
        router
    }

    /// What stands for `/`.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// A file of it.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path.trim_start_matches('/'))).unwrap()
    }

    /// Replaces a file of it, as `uci` does: whoever reads meanwhile reads the old or the new one.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let new = path.with_file_name(format!(".{}.new", path.file_name().unwrap().display()));
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Puts a program there.
    pub fn script(&self, path: &str, text: &str) {
        self.write(path, text);
        let file = self.root().join(path.trim_start_matches('/'));
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Puts a program there that notes its name and arguments and does what it is told.
    pub fn program(&self, path: &str, does: &str) {
        let (name, log) = (path.rsplit('/').next().unwrap(), self.root().join("ran"));
        self.script(path, &format!("#!/bin/sh\necho {name} \"$@\" >> '{}'\n{does}\n", log.display()));
    }

    /// What such programs have noted, with the paths of a router.
    pub fn ran(&self) -> Vec<String> {
        let text = fs::read_to_string(self.root().join("ran")).unwrap_or_default();
        text.lines().map(|line| line.replace(&self.root().display().to_string(), "")).collect()
    }

    /// Sets an option of `/etc/config/cwmp`, which must stand there on a line of its own or not at all.
    pub fn set(&self, section: &str, option: &str, value: &str) {
        let text = self.read("/etc/config/cwmp");
        let mut out = Vec::new();
        let mut inside = false;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if inside && words.first() == Some(&"option") && words.get(1) == Some(&option) {
                continue;
            }
            out.push(line.to_owned());
            if words.first() == Some(&"config") {
                inside = words.get(2).is_some_and(|name| name.trim_matches('\'') == section);
                if inside {
                    out.push(format!("\toption {option} '{value}'"));
                }
            }
        }
        self.write("/etc/config/cwmp", &(out.join("\n") + "\n"));
    }

    /// Runs `rcwmpd --root … ARGUMENTS` to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the daemon; it logs to stderr, which is kept.
    pub fn start(&self, arguments: &[&str]) -> Agent {
        let log = fs::File::create(self.dir.path().join("agent.log")).unwrap();
        let child = self
            .command(&[&["-f"], arguments].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Agent { child, log: self.dir.path().join("agent.log") }
    }

    /// As [`Router::start`], in the network namespace of this name.
    pub fn start_in(&self, namespace: &str) -> Agent {
        let log = self.dir.path().join("agent.log");
        let child = Command::new("ip")
            .args(["netns", "exec", namespace, env!("CARGO_BIN_EXE_rcwmpd"), "-f", "--root"])
            .arg(self.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Agent { child, log }
    }

    /// As [`Router::start`], where looking a name up asks this server, and nobody else is changed; `None`
    /// where the system does not allow that.
    pub fn start_with_name_server(&self, address: &str) -> Option<Agent> {
        self.start_over("/etc/resolv.conf", &format!("nameserver {address}\noptions timeout:2 attempts:1\n"))
    }

    /// As [`Router::start`], where these are the names of hosts, and nobody else is changed; `None` where the system
    /// does not allow that.
    pub fn start_with_hosts(&self, hosts: &str) -> Option<Agent> {
        self.start_over("/etc/hosts", hosts)
    }

    /// As [`Router::start`], with another text in a file of this system.
    fn start_over(&self, place: &str, text: &str) -> Option<Agent> {
        let file = self.dir.path().join("over");
        fs::write(&file, text).unwrap();
        let mount = format!("mount --bind '{}' {place}", file.display());
        self.start_apart("--mount", &mount)
    }

    /// As [`Router::start`], after a command, with mounts (`--mount`) or a network (`--net`) of its own; `None` where
    /// the system does not allow that.
    pub fn start_apart(&self, what: &str, before: &str) -> Option<Agent> {
        let unshare = |then: &str, arguments: &[&std::ffi::OsStr]| {
            let mut command = Command::new("unshare");
            command.args([what, "sh", "-c", &format!("{before} && {then}"), "sh"]).args(arguments);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            command
        };
        if !unshare("exit 0", &[]).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return None;
        }
        let root = self.root();
        let arguments = ["-f".as_ref(), "--root".as_ref(), root.as_os_str()];
        let binary = concat!("exec '", env!("CARGO_BIN_EXE_rcwmpd"), "' \"$@\"");
        let log = self.dir.path().join("agent.log");
        let child = unshare(binary, &arguments).stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        Some(Agent { child, log })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rcwmpd"));
        command.arg("--root").arg(self.root()).args(arguments);
        command
    }
}

/// A running daemon; killed when dropped.
pub struct Agent {
    pub child: Child,
    log: PathBuf,
}

impl Agent {
    /// A daemon that somebody else has started, with the file of its stderr.
    pub fn of(child: Child, log: PathBuf) -> Agent {
        Agent { child, log }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until its log has `word` for the `count`th time.
    pub fn wait_for(&self, word: &str, count: usize) {
        let end = Instant::now() + Duration::from_secs(30);
        while self.log().matches(word).count() < count {
            assert!(Instant::now() < end, "no {word:?} in the log:\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal by name, without `SIG`.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// CPU time of all its threads so far.
    pub fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// SIGTERM, and how long it took to end.
    pub fn stop(mut self) -> (std::process::ExitStatus, Duration) {
        let start = Instant::now();
        signal(&self.child, "TERM");
        let status = self.child.wait().unwrap();
        (status, start.elapsed())
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by name.
pub fn signal(child: &Child, name: &str) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, format!("SIG{name}").parse::<nix::sys::signal::Signal>().unwrap()).unwrap();
}

/// A port nobody has at the moment.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether a path exists beside the project, for material that is only at this workplace.
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    path.exists().then_some(path)
}
