//! A simulated router with its ubus, its ACS, and the agent as a child process that can be killed and started anew.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::acs::Acs;
use super::datagrams::{self, Stun};
use super::dice::Dice;
use super::light::{self, Light};
use super::measure::{Sample, sample};
use crate::lab::acs::knock::knock;
use crate::lab::acs::office::Settings as Office;
use crate::lab::router::objects::Router;
use crate::lab::router::{CONNECTION_REQUEST_USER, PASSWORD, Settings, unpack};
use crate::lab::store::Device;
use crate::lab::tail::{each_line, keep_last};

/// Seconds between two periodic Informs: a router's day, or its hour.
pub const PERIOD: u32 = 2;
/// The last lines of a log that are kept.
const KEPT: usize = 40;
/// How long an agent may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the agent's log has told.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Sessions that it began.
    pub started: u32,
    /// Sessions that went well.
    pub ended: u32,
    /// Connection requests by UDP that it took.
    pub by_udp: u32,
    /// Panics.
    pub panics: u32,
    /// The last lines.
    pub last: VecDeque<String>,
}

/// A router, its ACS, and its agent, which ends with the value.
pub struct Cpe {
    /// For the report.
    pub name: &'static str,
    /// Its ACS.
    pub acs: Acs,
    /// Who gets its lightweight notifications.
    pub light: Light,
    /// How often the agent was ended and started anew.
    pub restarts: u32,
    folder: PathBuf,
    router: Router,
    program: PathBuf,
    child: Child,
    told: Arc<Mutex<Told>>,
    /// Its STUN server, which ends with it.
    _stun: Stun,
}

impl Cpe {
    /// Makes a router in an empty folder and starts all.
    ///
    /// # Errors
    /// In one sentence.
    pub fn start(name: &'static str, folder: &Path, program: &Path, seed: u32) -> Result<Cpe, String> {
        let failed = |what: &str, why: &dyn std::fmt::Display| format!("{name}: {what}: {why}");
        let acs = Acs::start(seed).map_err(|why| failed("no ACS", &why))?;
        let stun = Stun::start(seed).map_err(|why| failed("no STUN server", &why))?;
        let light = Light::start().map_err(|why| failed("nobody for notifications", &why))?;
        let root = folder.join("r");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let port = port.map_err(|why| failed("no free port", &why))?.port();
        unpack(&root, &Settings { acs_url: acs.url(), port }).map_err(|why| failed("no router", &why))?;
        let config = root.join("etc/config/cwmp");
        let text = std::fs::read_to_string(&config).map_err(|why| failed("no configuration", &why))?;
        let text = text
            .replace("periodic_inform_interval '1800'", &format!("periodic_inform_interval '{PERIOD}'"))
            .replace("retry_min_wait_interval '5'", "retry_min_wait_interval '1'")
            .replace("retry_interval_multiplier '2000'", "retry_interval_multiplier '1000'");
        std::fs::write(&config, text + &stun.section() + &light.section())
            .map_err(|why| failed("no configuration", &why))?;
        let router = Router::start(&root, &folder.join("s")).map_err(|why| failed("no ubus", &why))?;
        let told = Arc::new(Mutex::new(Told::default()));
        let child = spawn(program, &root, router.socket(), &told).map_err(|why| failed("no agent", &why))?;
        let program = program.to_owned();
        Ok(Cpe { name, acs, light, restarts: 0, folder: root, router, program, child, told, _stun: stun })
    }

    /// What its log has told.
    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Measures it.
    ///
    /// # Errors
    /// When the agent has ended by itself.
    pub fn measure(&mut self, at: Duration) -> Result<Sample, String> {
        // Nobody wants to see what the agent has called, and it would be kept for ever.
        drop(self.router.take_calls());
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("the {} agent ended by itself: {status}", self.name));
        }
        sample(at, self.child.id(), &self.folder.join("etc/rcwmp"), &self.folder)
            .ok_or_else(|| format!("the {} agent cannot be measured", self.name))
    }

    /// Ends the agent at once or gently, and starts it anew.
    ///
    /// # Errors
    /// When it does not end when asked to, or does not start.
    pub fn restart(&mut self, at_once: bool) -> Result<(), String> {
        if !at_once {
            self.stop()?;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.restarts += 1;
        self.child = spawn(&self.program, &self.folder, self.router.socket(), &self.told)
            .map_err(|why| format!("the {} agent does not start again: {why}", self.name))?;
        Ok(())
    }

    /// SIGTERM, after which the agent must end well and soon.
    ///
    /// # Errors
    /// When it does not.
    pub fn stop(&mut self) -> Result<(), String> {
        let signalled = i32::try_from(self.child.id()).map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM));
        if !matches!(signalled, Ok(Ok(()))) {
            return Err(format!("the {} agent takes no signal", self.name));
        }
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the {} agent stopped with {status}", self.name)),
                _ => thread::sleep(Duration::from_millis(20)),
            }
        }
        Err(format!("the {} agent does not stop", self.name))
    }

    /// SIGHUP: read the configuration again.
    pub fn reload(&self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGHUP);
        }
    }

    /// A connection request; whether it was accepted.
    pub fn knock(&self) -> bool {
        knock(&self.device(), &Office::default()).is_ok()
    }

    /// A connection request by UDP, to the port that has the number of the one for HTTP; whether it was sent.
    pub fn knock_by_udp(&self) -> bool {
        self.host().is_some_and(|host| datagrams::knock(&self.device(), &host))
    }

    /// What strangers send there by UDP.
    pub fn pester_by_udp(&self, dice: &mut Dice) {
        if let Some(host) = self.host() {
            datagrams::pester(&host, dice);
        }
    }

    /// Somebody at the router gives it another name; whether that was possible.
    pub fn rename(&self, number: u32) -> bool {
        light::rename(&self.folder, &format!("by-hand-{}", number % 1000)).is_ok()
    }

    fn device(&self) -> Device {
        Device {
            connection_request_url: self.acs.request_url(),
            connection_request_username: CONNECTION_REQUEST_USER.to_owned(),
            connection_request_password: PASSWORD.to_owned(),
            ..Device::default()
        }
    }

    /// Where the agent takes connection requests; `None` before its first Inform.
    fn host(&self) -> Option<String> {
        let url = self.acs.request_url();
        url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).map(str::to_owned)
    }

    /// What strangers send to the port: octets without meaning, or nothing.
    pub fn pester(&self, dice: &mut Dice) {
        let Some(host) = self.host() else { return };
        let Ok(mut stream) = TcpStream::connect(&host) else { return };
        let count = dice.below(300);
        let octets = match dice.percent(50) {
            true => dice.spoil(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()),
            false => dice.octets(count),
        };
        let _ = stream.write_all(&octets);
        let _ = stream.shutdown(Shutdown::Write);
    }
}

impl Drop for Cpe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, root: &Path, socket: &Path, told: &Arc<Mutex<Told>>) -> io::Result<Child> {
    let mut child = Command::new(program)
        .args(["-f", "--root"])
        .arg(root)
        .arg("-s")
        .arg(socket)
        // Else glibc keeps as much for good as one message was ever large, which a router's musl does not do.
        .envs([("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(stderr) = child.stderr.take() {
        let told = Arc::clone(told);
        thread::Builder::new().name("log".to_owned()).spawn(move || listen(stderr, &told))?;
    }
    Ok(child)
}

/// Reads a log to its end.
fn listen(log: impl Read, told: &Mutex<Told>) {
    each_line(log, |line| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.started += u32::from(line.contains("Start session"));
        told.ended += u32::from(line.contains("End session"));
        told.by_udp += u32::from(line.contains("by UDP accepted"));
        told.panics += u32::from(line.contains("panicked"));
        keep_last(&mut told.last, line, KEPT);
    });
}
