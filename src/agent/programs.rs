//! The programs of the system that the agent runs, in one place: a test puts others below its root.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Child;

use log::{debug, error};

use crate::sys::fs::Root;
use crate::sys::program;

/// A program, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Restarts the device.
    Reboot,
    /// Makes services follow the configuration files.
    ReloadConfig,
    /// Takes an interface down and up again.
    IfUp,
    /// Checks and installs firmware.
    Sysupgrade,
    /// Forgets all settings; the device is restarted after it.
    FirstBoot,
    /// The package manager until OpenWrt 24.10.
    Opkg,
    /// The package manager from OpenWrt 25.12 on.
    Apk,
    /// Writes the system log.
    Logread,
    /// Mounts what fstab wants.
    Block,
    /// Takes a file system away.
    Umount,
}

impl Program {
    /// Its absolute path on a router.
    pub fn path(self) -> &'static str {
        match self {
            Program::Reboot => "/sbin/reboot",
            Program::ReloadConfig => "/sbin/reload_config",
            Program::IfUp => "/sbin/ifup",
            Program::Sysupgrade => "/sbin/sysupgrade",
            Program::FirstBoot => "/sbin/firstboot",
            Program::Opkg => "/bin/opkg",
            Program::Apk => "/usr/bin/apk",
            Program::Logread => "/sbin/logread",
            Program::Block => "/sbin/block",
            Program::Umount => "/bin/umount",
        }
    }

    /// Where it is below a root; `None` if it is not there.
    pub fn find(self, root: &Root) -> Option<PathBuf> {
        root.resolve(self.path()).ok().filter(|path| path.is_file())
    }

    /// Starts it and does not wait. A router without it is no error: the log says so.
    pub fn start<A: AsRef<OsStr>>(self, root: &Root, arguments: &[A]) -> Option<Child> {
        let Some(path) = self.find(root) else {
            debug!("{} is not there, not run", self.path());
            return None;
        };
        let started = program::command(&path, arguments).spawn();
        started.map_err(|why| error!("running {}: {why}", self.path())).ok()
    }
}

/// Runs a service's start script with one word, and does not wait; `None` if it is not there. The name is one of
/// `/etc/init.d`.
pub fn start_script(root: &Root, name: &str, verb: &str) -> Option<Child> {
    let script = format!("/etc/init.d/{name}");
    let path = root.resolve(&script).ok().filter(|path| path.is_file())?;
    let started = program::command(&path, &[verb]).spawn();
    started.map_err(|why| error!("running {script}: {why}")).ok()
}
