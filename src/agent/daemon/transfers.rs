//! The daemon's transfers: the queue's next is moved by a worker, applied here, and told to the ACS.
//!
//! ```text
//!  plan.due ─► worker: get the file, let sysupgrade test an image ─► applied here ─► plan.finished
//!                 or: put a file made here                                            │
//!                                        TransferComplete in the event queue ◄── hand_over
//! ```

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{error, info, warn};

use super::leaving::Then;
use super::{Daemon, both_clocks};
use crate::agent::exchange;
use crate::agent::job::{Job, Outcome as JobOutcome};
use crate::agent::programs::Program;
use crate::agent::state::State;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::queue::Message;
use crate::cwmp::rpc::{TransferComplete, UNKNOWN_TIME};
use crate::http::auth::Credentials;
use crate::model::date;
use crate::sys::fs::{read_capped, write_atomic};
use crate::sys::{clock, decimal, dir, program};
use crate::transfer::plan::{Completion, FileType, Id, Job as Planned, Method, Outcome};
use crate::transfer::{self, Direction, Limits, Transfer};
use crate::uci::bundle;

/// The longest that one transfer may take; a slow line moves an image of 30 MB in it at 10 kB/s.
const LONGEST: Duration = Duration::from_secs(3600);
/// Where files are on their way, below the root.
const SCRATCH: (&str, &str) = ("/tmp", "rcwmp");
/// Where pages of the device's own web server are.
const WEB: &str = "/www";
/// Where an image that is not to run yet is kept, in the state directory.
const STORED_IMAGE: &str = "stored-image.bin";
/// What a file is called where it belongs, until it is whole and tested.
const COMING: &str = ".rcwmp-coming";
/// Where an image has what fwtool has appended, counted from its end.
const METADATA: u64 = 64 * 1024;
/// The largest log that is uploaded.
const MAX_LOG: usize = 4 << 20;

/// The transfer that is on its way.
#[derive(Default)]
pub(super) struct Transfers {
    running: Option<(Planned, Job<Moved>)>,
    /// One that was cancelled, until its worker has left the file alone.
    stopped: Option<Job<Moved>>,
}

/// What a worker has come to.
type Moved = Result<File, (u16, String)>;

/// What an upload sends.
enum Content {
    /// Known already.
    Bytes(Vec<u8>),
    /// What this program writes.
    Output(PathBuf),
}

/// A file that is here.
struct File {
    path: PathBuf,
    /// What an image says of itself.
    version: Option<String>,
}

impl Daemon {
    /// Ends, applies and starts transfers, between sessions.
    pub(super) fn run_transfers(&mut self) {
        // During a session the model looks frozen and no reboot is begun (TR-069 3.7.1.3).
        if self.exchange.is_some() || self.is_leaving() {
            return;
        }
        if let Some(job) = self.transfers.stopped.take() {
            match job.outcome() {
                JobOutcome::Running => {
                    self.transfers.stopped = Some(job);
                    return;
                }
                JobOutcome::Done(Ok(file)) => drop(fs::remove_file(&file.path)),
                JobOutcome::Done(Err(_)) | JobOutcome::Lost => {}
            }
        }
        if let Some((planned, job)) = self.transfers.running.take() {
            match job.outcome() {
                JobOutcome::Running => {
                    self.transfers.running = Some((planned, job));
                    return;
                }
                JobOutcome::Done(moved) => self.moved(&planned, moved),
                JobOutcome::Lost => self.transfer_ends(
                    &planned,
                    &Outcome::failure(planned.request.method().failure(), "the transfer was lost"),
                ),
            }
        }
        if self.file.state.transfers.is_empty() {
            return;
        }
        let idle = self.is_idle();
        let now = both_clocks(&self.clock);
        let next = self.file.state.transfers.due(now, idle);
        self.tell_completions();
        if let Some(planned) = next {
            self.start_transfer(planned);
        }
    }

    /// Stops the worker of a transfer that was cancelled.
    pub(super) fn stop_transfer(&mut self, id: Id) {
        if let Some((_, job)) = self.transfers.running.take_if(|(planned, _)| planned.id == id) {
            job.cancel();
            self.transfers.stopped = Some(job);
        }
    }

    /// By when the queue wants to be asked again.
    pub(super) fn transfer_deadline(&self) -> Option<Duration> {
        let waits = self.transfers.running.is_some() || self.transfers.stopped.is_some();
        if self.exchange.is_some() || self.is_leaving() || waits {
            return None;
        }
        self.file.state.transfers.deadline(both_clocks(&self.clock))
    }

    /// What an earlier life has left: interrupted transfers fail, an image that runs now has succeeded.
    pub(super) fn resume_transfers(&mut self, rebooted: bool) {
        let version = self.software_version();
        let now = both_clocks(&self.clock);
        if self.file.state.transfers.is_applying() && !rebooted {
            // A configuration may stand there of which no service knows.
            warn!("what a transfer brought was being applied when the last life ended");
            self.act(Program::ReloadConfig);
        }
        self.file.state.transfers.resume(rebooted, &version, now);
        self.tell_completions();
        if !self.file.state.transfers.is_installing() {
            self.clear_scratch();
        }
    }

    /// Where files are on their way. Its own name is never followed as a link: everybody may make one there.
    fn scratch(&self) -> Result<PathBuf, String> {
        let (above, name) = SCRATCH;
        self.options.root.resolve(above).map(|above| above.join(name)).map_err(|why| why.to_string())
    }

    /// Half a file of an earlier life, or an image that nobody installs, only takes memory away.
    pub(super) fn clear_scratch(&self) {
        let root = &self.options.root;
        if let Some(scratch) = self.scratch().ok().filter(|place| dir::is_own(place)) {
            for file in ["download", "download.part", "upload"] {
                let _ = fs::remove_file(scratch.join(file));
            }
        }
        let _ = fs::remove_file(self.options.state_dir().join(format!("{COMING}.part")));
        let _ = root.resolve(format!("{WEB}/{COMING}.part")).map(fs::remove_file);
    }

    pub(super) fn software_version(&mut self) -> String {
        let name = "Device.DeviceInfo.SoftwareVersion";
        let found = self.model.values([name]).ok().and_then(|list| list.into_iter().next());
        found.map(|(_, value)| value.text).unwrap_or_default()
    }

    /// WindowMode 3 waits for a router that has little to do.
    fn is_idle(&self) -> bool {
        // Not by way of the model, which remembers what it has read until the next session.
        let load = self.options.root.read("/proc/loadavg", 256).ok();
        let load = load.and_then(|bytes| String::from_utf8(bytes).ok());
        let load = load.and_then(|text| decimal::seconds(text.split_whitespace().next()?));
        load.is_none_or(|load| load < Duration::from_millis(700))
    }

    fn start_transfer(&mut self, planned: Planned) {
        let now = both_clocks(&self.clock);
        self.file.state.transfers.started(planned.id, now);
        self.save();
        let until = self.clock.instant(planned.finish_by.unwrap_or(Duration::MAX).min(now.mono + LONGEST));
        match self.work(&planned, until) {
            Ok(job) => {
                info!("{} of {} is started", planned.request.method().name(), planned.file);
                self.transfers.running = Some((planned, job));
            }
            Err((code, why)) => self.transfer_ends(&planned, &Outcome::failure(code, why)),
        }
    }

    /// Starts the worker of a transfer.
    fn work(&mut self, planned: &Planned, until: Instant) -> Result<Job<Moved>, (u16, String)> {
        let general = planned.request.method().failure();
        let local = |why: &dyn std::fmt::Display| (general, why.to_string());
        let upload = planned.request.method() == Method::Upload;
        let path = self.place(planned).map_err(|why| local(&why))?;
        let mut log = None;
        if upload {
            match self.content(planned.file).map_err(|why| local(&why))? {
                Content::Bytes(bytes) => write_atomic(&path, &bytes, 0o600).map_err(|why| local(&why))?,
                Content::Output(program) => log = Some(program),
            }
        }
        let request = &planned.request;
        let tls = exchange::secure(&request.url, &self.settings.acs, &self.options.root, &mut self.tls);
        let tls = tls.map_err(|why| local(&why))?;
        let transfer = Transfer {
            direction: match upload {
                true => Direction::Upload { from: path.clone() },
                false => Direction::Download { into: path.clone() },
            },
            url: request.url.clone(),
            credentials: Credentials::new(request.username.clone(), request.password.clone()),
            size: u64::from(request.target().0),
            ..exchange::transfer(&self.settings.acs, tls)
        };
        let is_image = matches!(planned.file, FileType::Firmware | FileType::StoredFirmware);
        let sysupgrade = Program::Sysupgrade.find(&self.options.root);
        let started = Job::start("transfer", Arc::clone(&self.wake), move |cancel| {
            if let Some(logread) = log {
                write_output(&logread, &path, until, cancel)?;
            }
            let run = transfer::run(&transfer, &Limits::default(), cancel, until);
            let moved = run.map_err(|failure| (failure.code, failure.text()));
            if upload {
                let _ = fs::remove_file(&path);
            }
            moved?;
            let mut version = None;
            if is_image && !upload {
                let tested = test_image(sysupgrade.as_deref(), &path, until, cancel);
                if tested.is_err() {
                    let _ = fs::remove_file(&path);
                }
                tested?;
                version = image_version(&path);
            }
            Ok(File { path, version })
        });
        started.map_err(|why| local(&why))
    }

    /// Where the file of a transfer is while it is on its way: on the file system that it is for, so that
    /// a name is all that is left to give it.
    fn place(&self, planned: &Planned) -> Result<PathBuf, String> {
        let root = &self.options.root;
        let resolved = |path: &str| root.resolve(path).map_err(|why| why.to_string());
        match planned.file {
            FileType::StoredFirmware => Ok(self.options.state_dir().join(COMING)),
            FileType::WebContent => match (file_name(planned), resolved(WEB)?) {
                (None, _) => Err("neither TargetFileName nor the URL has the name of a file".to_owned()),
                (_, folder) if !folder.is_dir() => Err(format!("there is no {WEB}")),
                (_, folder) => Ok(folder.join(COMING)),
            },
            _ => {
                let scratch = self.scratch()?;
                dir::make_own(&scratch).map_err(|why| why.to_string())?;
                let upload = planned.request.method() == Method::Upload;
                Ok(scratch.join(if upload { "upload" } else { "download" }))
            }
        }
    }

    /// What an upload sends.
    fn content(&mut self, file: FileType) -> Result<Content, String> {
        match file {
            FileType::Configuration(instance) => {
                let wanted = match instance {
                    Some(n) => Some(self.name_of("Device.DeviceInfo.VendorConfigFile", n)?),
                    None => None,
                };
                let packages = self.model.backend().uci().packages().map_err(|why| why.to_string())?;
                let mut parts = Vec::new();
                for name in packages {
                    if wanted.as_ref().is_some_and(|wanted| *wanted != name) {
                        continue;
                    }
                    // What does not parse is of no use to whoever wants to put it back.
                    match self.model.backend().uci().package(&name) {
                        Ok(document) => parts.push((name, document.to_bytes())),
                        Err(why) if wanted.is_some() => return Err(why.to_string()),
                        Err(why) => warn!("not uploaded: {why}"),
                    }
                }
                let parts = parts.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]));
                Ok(Content::Bytes(bundle::join(parts)))
            }
            FileType::Log(instance) => {
                let name = self.name_of("Device.DeviceInfo.VendorLogFile", instance.unwrap_or(1))?;
                if name.starts_with('/') {
                    let path = self.options.root.resolve(&name).map_err(|why| why.to_string())?;
                    return tail(&path).map(Content::Bytes).map_err(|why| format!("{name}: {why}"));
                }
                // The ring of logd has no file: its own program writes it to one, while the loop goes on.
                let logread = Program::Logread.find(&self.options.root);
                logread
                    .map(Content::Output)
                    .ok_or_else(|| format!("{} is not there", Program::Logread.path()))
            }
            other => Err(format!("{other} cannot be uploaded")),
        }
    }

    fn name_of(&mut self, table: &str, instance: u32) -> Result<String, String> {
        let name = format!("{table}.{instance}.Name");
        let found = self.model.values([name.as_str()]).map_err(|why| why.to_string())?;
        Ok(found.into_iter().next().map(|(_, value)| value.text).unwrap_or_default())
    }

    /// A worker has ended.
    fn moved(&mut self, planned: &Planned, moved: Moved) {
        let ended = match moved {
            Err((code, why)) => Outcome::failure(code, why),
            Ok(_) if planned.request.method() == Method::Upload => self.success(),
            Ok(file) => {
                let now = both_clocks(&self.clock);
                if let Err(refused) = self.file.state.transfers.apply(planned.id, now) {
                    let _ = fs::remove_file(&file.path);
                    warn!("{}: {refused}", planned.file);
                    self.tell_completions();
                    return;
                }
                self.save();
                match planned.file {
                    FileType::Firmware => return self.install(planned, &file),
                    FileType::Configuration(_) => self.import(planned, &file),
                    FileType::StoredFirmware => self.named(&file, STORED_IMAGE, 0o600),
                    // Its name was looked at before it came.
                    FileType::WebContent => self.named(&file, &file_name(planned).unwrap_or_default(), 0o644),
                    FileType::Log(_) => Outcome::failure(9010, "a log cannot be downloaded"),
                }
            }
        };
        self.transfer_ends(planned, &ended);
    }

    fn success(&self) -> Outcome {
        Outcome::success(None, clock::is_set().then(clock::epoch_seconds))
    }

    /// The attempt is over, one way or the other.
    pub(super) fn transfer_ends(&mut self, planned: &Planned, outcome: &Outcome) {
        match outcome.fault_code {
            0 => info!("{} of {} is complete", planned.request.method().name(), planned.file),
            code => warn!(
                "{} of {} failed: {code} {}",
                planned.request.method().name(),
                planned.file,
                outcome.fault_string
            ),
        }
        let now = both_clocks(&self.clock);
        self.file.state.transfers.finished(planned.id, outcome, now);
        self.tell_completions();
        // Only now: a service that is restarted may be this one.
        self.reload_services();
    }

    /// The image has passed its test: sysupgrade installs it and restarts the device.
    fn install(&mut self, planned: &Planned, file: &File) {
        let running = self.software_version();
        let now = both_clocks(&self.clock);
        let expected = file.version.as_deref();
        self.file.state.transfers.installing(planned.id, &running, expected, now);
        self.save();
        info!("Installing {} and restarting", expected.unwrap_or("an image"));
        let mut arguments = vec![file.path.as_os_str()];
        if !self.settings.keep_settings {
            // cwmp.cpe.fw_upgrade_keep_settings is off.
            arguments.insert(0, "-n".as_ref());
        }
        if !self.leave(Program::Sysupgrade, &arguments, Then::Installed(Box::new(planned.clone()))) {
            self.transfer_ends(planned, &Outcome::failure(9010, "sysupgrade cannot be run"));
        }
    }

    /// A configuration replaces whole packages, all or none.
    fn import(&mut self, planned: &Planned, file: &File) -> Outcome {
        let bytes = read_capped(&file.path, bundle::MAX_BUNDLE);
        let _ = fs::remove_file(&file.path);
        let done = bytes.map_err(|why| why.to_string()).and_then(|bytes| {
            let name = file_name(planned);
            let packages = bundle::split(&bytes, name.as_deref()).map_err(|why| why.to_string())?;
            self.model.backend().import(&packages).map_err(|why| why.to_string())
        });
        self.model.refresh();
        match done {
            Ok(written) => {
                info!("Configuration imported: {}", written.join(" "));
                self.success()
            }
            Err(why) => Outcome::failure(9018, why),
        }
    }

    /// The file is where it belongs, and gets its name.
    fn named(&self, file: &File, name: &str, mode: u32) -> Outcome {
        let named = fs::set_permissions(&file.path, fs::Permissions::from_mode(mode))
            .and_then(|()| fs::rename(&file.path, file.path.with_file_name(name)));
        match named {
            Ok(()) => self.success(),
            Err(why) => {
                let _ = fs::remove_file(&file.path);
                Outcome::failure(9010, format!("{name} cannot be put in its place: {why}"))
            }
        }
    }

    /// Puts a TransferComplete into the queue for each transfer that has ended; saves both.
    pub(super) fn tell_completions(&mut self) {
        let State { transfers, queue, told, .. } = &mut self.file.state;
        transfers.hand_over(|completion| {
            let cause = Event {
                code: EventCode::Method(completion.method.name().to_owned()),
                command_key: completion.command_key.clone(),
            };
            match queue.add_message(Message::TransferComplete(message(completion)), Some(cause)) {
                Ok(ticket) => {
                    told.push((ticket, completion.id));
                    true
                }
                Err(why) => {
                    error!("a TransferComplete waits: {why}");
                    false
                }
            }
        });
        // A BOOTSTRAP has emptied the queue: nobody will confirm what was in it.
        told.retain(|(ticket, _)| queue.waits(*ticket));
        let told: Vec<Id> = told.iter().map(|(_, id)| *id).collect();
        transfers.retain_told(|id| told.contains(&id));
        self.save();
    }
}

fn message(completion: &Completion) -> TransferComplete {
    let time = |epoch: Option<i64>| epoch.map_or_else(|| UNKNOWN_TIME.to_owned(), date::format_utc);
    TransferComplete {
        command_key: completion.command_key.clone(),
        fault_code: completion.fault_code,
        fault_string: completion.fault_string.clone(),
        start_time: time(completion.start),
        complete_time: time(completion.complete),
    }
}

/// Lets a program write a file, which is ended with its deadline or when nobody wants the file any more.
fn write_output(
    path: &Path,
    into: &Path,
    until: Instant,
    cancel: &std::sync::atomic::AtomicBool,
) -> Result<(), (u16, String)> {
    let failed = |why: &dyn std::fmt::Display| (9011, format!("{}: {why}", path.display()));
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(into);
    let file = file.map_err(|why| failed(&why))?;
    let mut child = program::command::<&str>(path, &[]).stdout(file).spawn().map_err(|why| failed(&why))?;
    loop {
        match child.try_wait().map_err(|why| failed(&why))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(failed(&status)),
            None if Instant::now() >= until || cancel.load(std::sync::atomic::Ordering::Relaxed) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(&"it did not end in time"));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// sysupgrade's own test of an image: wrong boards and broken files are its to know.
fn test_image(
    sysupgrade: Option<&Path>,
    image: &Path,
    until: Instant,
    cancel: &std::sync::atomic::AtomicBool,
) -> Result<(), (u16, String)> {
    let Some(sysupgrade) = sysupgrade else {
        return Err((9010, format!("{} is not there", Program::Sysupgrade.path())));
    };
    let arguments = ["--test".as_ref(), image.as_os_str()];
    match program::run(sysupgrade, &arguments, until, cancel) {
        Ok(finished) if finished.code == 0 => Ok(()),
        Ok(finished) => {
            let last = finished.output.lines().last().unwrap_or("no reason given");
            Err((9018, format!("sysupgrade refuses the image: {last}")))
        }
        Err(why) => Err((9010, why.to_string())),
    }
}

/// The version in the metadata that OpenWrt's build appends to an image, `"version": "24.10.4"`, as
/// SoftwareVersion will show it: that of a snapshot with its revision.
fn image_version(image: &Path) -> Option<String> {
    let mut file = fs::File::open(image).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(METADATA))).ok()?;
    let mut bytes = Vec::new();
    file.take(METADATA).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let version = last_text(&text, "\"version\"")?;
    let version = match last_text(&text, "\"revision\"") {
        Some(revision) if version.contains("SNAPSHOT") => format!("{version}-{revision}"),
        _ => version.to_owned(),
    };
    (version.len() <= 64).then_some(version)
}

/// The last text that is the value of a key; `"version"` is also that of an object.
fn last_text<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let value = |at: usize| {
        let rest = text[at + key.len()..].trim_start().strip_prefix(':')?.trim_start();
        rest.strip_prefix('"')?.split('"').next().filter(|value| !value.is_empty())
    };
    text.rmatch_indices(key).find_map(|(at, _)| value(at))
}

/// The end of a log, from a line's beginning on.
fn tail(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file =
        crate::sys::fs::open_regular(path).map_err(|why| std::io::Error::other(why.to_string()))?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(u64::try_from(MAX_LOG).unwrap_or(u64::MAX));
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(u64::try_from(MAX_LOG).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    if start > 0 {
        let line = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        bytes.drain(..line);
    }
    Ok(bytes)
}

/// What a page, or the package of a file without a `package` line, is called: TargetFileName, else the URL's
/// last part (TR-069 A.3.2.8); `None` for what is not the name of a file in a folder.
fn file_name(planned: &Planned) -> Option<String> {
    let (_, target) = planned.request.target();
    let from_url = || {
        let (_, rest) = planned.request.url.split_once("://")?;
        let (_, path) = rest.split(['?', '#']).next()?.split_once('/')?;
        path.rsplit('/').next().map(str::to_owned)
    };
    let name = if target.is_empty() { from_url()? } else { target.to_owned() };
    is_plain(&name).then_some(name)
}

/// A name of one file in one folder, and none that is hidden.
fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        for good in ["network", "index.html", "a_b-c"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", ".", "..", "../x", "/etc/passwd", "a/b", "-rf", ".hidden", "a b", "$(x)", "a\nb"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }

    #[test]
    fn an_image_says_its_version() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        let metadata = br#"{ "metadata_version": "1.1", "compat_version": "1.0", "version":{ "dist": "OpenWrt", "version": "24.10.4", "revision": "r1", "target": "x", "board": "y" } }"#;
        fs::write(&image, [&vec![7; 200_000][..], metadata, &[0; 16]].concat()).unwrap();
        assert_eq!(image_version(&image).as_deref(), Some("24.10.4"));
        let snapshot =
            br#"{ "version":{ "dist": "OpenWrt", "version": "SNAPSHOT", "revision": "r28000-ab" } }"#;
        fs::write(&image, snapshot).unwrap();
        assert_eq!(image_version(&image).as_deref(), Some("SNAPSHOT-r28000-ab"));
        fs::write(&image, [0xff; 100]).unwrap();
        assert_eq!(image_version(&image), None);
    }
}
