//! The daemon's configuration: from the system's files to the settings of its parts.

use std::path::Path;

use crate::agent::options::Options;
use crate::agent::settings::{self, Settings};
use crate::agent::{log as sink, schedule};
use crate::backend::System;
use crate::backend::functions::netif;
use crate::sys::fs::{Root, read_capped};
use crate::sys::zone::Zone;

/// `CAP_SYS_MODULE` (linux/capability.h).
const SYS_MODULE: u32 = 16;

/// The settings of `/etc/config/cwmp` as they are now.
///
/// # Errors
/// What is wrong with the file, when it cannot be read: its settings are not the defaults then.
pub fn read_settings(system: &mut System) -> Result<Settings, String> {
    let mut broken = None;
    let mut settings = Settings::read(&mut |name| match system.option_text(&format!("cwmp.{name}")) {
        Ok(text) => Some(text),
        Err(why) => {
            broken.get_or_insert_with(|| why.to_string());
            None
        }
    });
    if let Some(why) = broken {
        return Err(why);
    }
    if settings.acs.binds && settings.acs.interface.is_none() {
        let wan = settings.discovery.wan.clone();
        settings.acs.interface = wan_device(system, &wan);
        if settings.acs.interface.is_none() {
            // icwmp goes where the routes lead then, and so do we: a device that nobody can manage is worse.
            let why =
                format!("cwmp.cpe.use_curl_ifname: nobody knows the device of {wan}, and none is bound to");
            settings.complaints.push(why);
        }
    }
    Ok(settings)
}

/// The device that carries IP on an interface: what netifd says while it is up, else what UCI makes likely.
fn wan_device(system: &mut System, wan: &str) -> Option<String> {
    let interfaces = netif::interfaces(system).ok()?;
    let found = interfaces.iter().find(|one| one.name == wan)?;
    Some(found.device.clone()).filter(|device| !device.is_empty())
}

/// Whether rights were taken from this process that nobody gives back: the one to load modules into the kernel.
pub(super) fn is_confined() -> bool {
    let status = read_capped(Path::new("/proc/self/status"), 64 * 1024).unwrap_or_default();
    !has_capability(&String::from_utf8_lossy(&status), SYS_MODULE)
}

/// Whether the bounding set in this text of `/proc/PID/status` has the capability. Not telling is having it.
fn has_capability(status: &str, number: u32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let set = line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_none_or(|set| set >> number & 1 == 1)
}

pub(super) fn read_zone(system: &mut System) -> Zone {
    Zone::parse(&system.option_text("system.@system[0].timezone").unwrap_or_default())
}

pub(super) fn sinks(settings: &Settings, options: &Options, zone: Zone) -> sink::Sinks {
    let at_home = options.root == Root::default();
    sink::Sinks {
        console: options.foreground || settings.log.console,
        // A desk's system log has no interest in a folder that plays a router.
        syslog: settings.log.syslog && at_home,
        file: settings.log.file.as_ref().and_then(|path| options.root.resolve(path).ok()),
        max_size: settings.log.max_size,
        zone,
    }
}

/// A periodic event's settings as the scheduler takes them.
pub(super) fn periodic(periodic: settings::Periodic) -> schedule::Settings {
    schedule::Settings { enabled: periodic.enabled, interval: periodic.interval, reference: periodic.time }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_that_were_taken() {
        assert!(has_capability("Name:\tx\nCapBnd:\t000001ffffffffff\n", SYS_MODULE));
        assert!(!has_capability("CapPrm:\t000001ffffffffff\nCapBnd:\t00000000000434fb\n", SYS_MODULE));
        for untold in ["", "CapBnd:", "CapBnd:\tx\n"] {
            assert!(has_capability(untold, SYS_MODULE), "{untold}");
        }
    }
}
