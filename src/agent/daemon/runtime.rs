//! The files below `/var` that icwmp's neighbours read: firewall scripts look for the address of the ACS, monitoring
//! for the outcome of sessions and for who runs.
//!
//! ```text
//!  /var/state/icwmp      UCI (`uci -c /var/state get icwmp.sess_status.current_status`):
//!                        acs.ip or acs.ip6, acs.ip_version; sess_status.current_status
//!  /var/run/icwmpd.pid   the process, in figures, while it runs
//! ```
//! `/var` is memory on a router, so nothing wears out. Nobody reads them back: they are not state of ours.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use log::warn;

use super::Daemon;
use crate::agent::control::RUNNING;
use crate::http::url::Url;
use crate::sys::dir;
use crate::sys::fs::{FsError, Root, parent, write_atomic};

const STATE: &str = "/var/state/icwmp";
const PID: &str = "/var/run/icwmpd.pid";

/// What stands in the files, so that they are written only on change.
#[derive(Debug, Default)]
pub(super) struct Runtime {
    shown: String,
    pid: Option<PathBuf>,
    complained: bool,
}

impl Daemon {
    /// Puts up what has changed since the last look.
    pub(super) fn show_to_scripts(&mut self) {
        let word = match self.history.last().map(|record| record.success) {
            _ if self.exchange.is_some() => RUNNING,
            None | Some(None) => "waiting",
            Some(Some(true)) => "success",
            Some(Some(false)) => "failure",
        };
        let host = Url::parse(&self.settings.acs.url).ok().map(|url| url.host);
        let text = state(host.and_then(|host| self.address_of(&host)), word);
        if text == self.runtime.shown {
            return;
        }
        let root = &self.options.root;
        let mut written = put(root, STATE, &text).map(drop);
        if self.runtime.pid.is_none() {
            let pid = put(root, PID, &format!("{}\n", std::process::id()));
            written = written.and(pid.map(|path| self.runtime.pid = Some(path)));
        }
        self.runtime.shown = text;
        if let Err(why) = written
            && !std::mem::replace(&mut self.runtime.complained, true)
        {
            warn!("what icwmp's scripts read is not there: {why}");
        }
    }

    /// The address of a host that has answered last; one of IPv6 in a URL is remembered with its brackets.
    fn address_of(&self, host: &str) -> Option<IpAddr> {
        self.favourites.last(host).or_else(|| self.favourites.last(&format!("[{host}]")))
    }

    /// Nobody runs any more.
    pub(super) fn leave_scripts(&mut self) {
        if let Some(path) = self.runtime.pid.take() {
            let _ = fs::remove_file(path);
        }
    }
}

/// Writes a file that everybody may read; gives where it is.
fn put(root: &Root, path: &str, text: &str) -> Result<PathBuf, FsError> {
    let path = root.resolve(path)?;
    let above = parent(&path);
    dir::make(above, dir::PUBLIC)?;
    write_atomic(&path, text.as_bytes(), 0o644)?;
    Ok(path)
}

/// The package `icwmp`. Addresses and words of ours need no quoting.
fn state(address: Option<IpAddr>, status: &str) -> String {
    let acs = match address {
        None => String::new(),
        Some(IpAddr::V4(ip)) => format!("\toption ip_version '4'\n\toption ip '{ip}'\n"),
        Some(IpAddr::V6(ip)) => format!("\toption ip_version '6'\n\toption ip6 '{ip}'\n"),
    };
    format!(
        "\nconfig acs 'acs'\n{acs}\nconfig cpe 'cpe'\n\nconfig sess_status 'sess_status'\n\toption current_status '{status}'\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uci::text::Document;

    #[test]
    fn scripts_read_it_as_a_package() {
        for (address, options) in [
            (None, [None, None, None]),
            (Some("192.0.2.1"), [Some("4"), Some("192.0.2.1"), None]),
            (Some("2001:db8::1"), [Some("6"), None, Some("2001:db8::1")]),
        ] {
            let text = state(address.map(|text| text.parse().unwrap()), "success");
            let read = Document::parse("icwmp", text.as_bytes()).unwrap();
            let of = |section, option| read.option(section, option).map(|value| value.joined());
            let found = ["ip_version", "ip", "ip6"].map(|option| of("acs", option));
            assert_eq!(found.each_ref().map(Option::as_deref), options);
            assert_eq!(of("sess_status", "current_status").as_deref(), Some("success"));
            assert!(["acs", "cpe", "sess_status"].iter().all(|name| read.find(name).unwrap().ty() == *name));
        }
    }
}
