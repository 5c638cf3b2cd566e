//! The daemon's configuration: from the system's files to the settings of its parts.

use crate::agent::options::Options;
use crate::agent::settings::{self, Settings};
use crate::agent::{log as sink, schedule};
use crate::backend::System;
use crate::sys::fs::Root;
use crate::sys::zone::Zone;

/// The settings of `/etc/config/cwmp` as they are now.
///
/// # Errors
/// What is wrong with the file, when it cannot be read: its settings are not the defaults then.
pub fn read_settings(system: &mut System) -> Result<Settings, String> {
    let mut broken = None;
    let settings = Settings::read(&mut |name| match system.option_text(&format!("cwmp.{name}")) {
        Ok(text) => Some(text),
        Err(why) => {
            broken.get_or_insert_with(|| why.to_string());
            None
        }
    });
    broken.map_or(Ok(settings), Err)
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
