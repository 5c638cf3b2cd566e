//! `rcwmpd lab --router`: the simulated router alone, on a ubus socket, until it is stopped; and the router's ubus
//! during a provisioning.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;

use super::options::Options;
use super::show::{Show, Tone};
use super::{Place, TICK, free_port};
use crate::lab::router::objects::{Call, Router};
use crate::lab::router::{SERIAL_NUMBER, Settings, add_model, unpack};
use crate::sys::signal::{Asked, Signals};
use crate::ubus;

/// Where the router's `mini-acs` would be.
const ACS: &str = "http://127.0.0.1:9292/";
/// The longest name that a socket can have on every system.
const MAX_SOCKET: usize = 100;

/// A router on ubus.
pub struct Served {
    /// The router.
    pub router: Router,
    /// Where its socket is if not in its folder; removed at the end.
    _place: Option<Place>,
}

impl Served {
    /// Starts it on a socket, without one where the agent looks for it below the router's folder. A folder whose
    /// name is too long for a socket gets one elsewhere.
    ///
    /// # Errors
    /// In one sentence.
    pub fn start(folder: &Path, socket: Option<&Path>) -> Result<Served, String> {
        let below = folder.join(Path::new(ubus::SOCKET).strip_prefix("/").unwrap_or(Path::new("ubus.sock")));
        let (socket, place) = match socket {
            Some(socket) => (absolute(socket)?, None),
            None if below.as_os_str().len() <= MAX_SOCKET => (below, None),
            None => {
                let place = Place::new(None)?;
                (place.folder.join("ubus.sock"), Some(place))
            }
        };
        let router = Router::start(folder, &socket)
            .map_err(|error| format!("ubus at {}: {error}", socket.display()))?;
        Ok(Served { router, _place: place })
    }

    /// Shows what was called: one line of it, or every call.
    pub fn tell(&self, show: &Show, verbose: bool) {
        let calls = self.router.take_calls();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for call in &calls {
            *counts.entry(format!("{} {}", call.object, call.method)).or_default() += 1;
            if verbose {
                line(show, call);
            }
        }
        let counts: Vec<_> = counts.into_iter().map(|(what, count)| format!("{what} ×{count}")).collect();
        let what = if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") };
        show.line("ubus", &format!("the agent called {what}"), Tone::Quiet);
        let reloads = self.router.reloads();
        if !reloads.is_empty() {
            show.line("ubus", &format!("reloaded: {}", reloads.join(", ")), Tone::Quiet);
        }
    }
}

/// Serves the router until SIGINT or SIGTERM.
///
/// # Errors
/// In one sentence.
pub fn serve(options: &Options) -> Result<(), String> {
    let mut signals = Signals::install().map_err(|error| error.to_string())?;
    let show = Show::new(options.verbose, None);
    let place = Place::new(options.root.as_deref())?;
    let root = place.folder.as_path();
    // A router that is there already goes on with what it has.
    if !root.join("etc/config").is_dir() {
        let settings = Settings { acs_url: ACS.to_owned(), port: free_port()? };
        unpack(root, &settings).map_err(|error| error.to_string())?;
    }
    if let Some(model) = &options.model {
        add_model(root, &model.name, &model.text).map_err(|error| error.to_string())?;
    }
    let served = Served::start(root, options.socket.as_deref())?;
    let (root, socket) = (root.display(), served.router.socket().display());
    show.line("router", &format!("{SERIAL_NUMBER} is a simulated router in {root}"), Tone::Plain);
    show.line("ubus", &socket.to_string(), Tone::Plain);
    for command in [
        format!("rcwmpd -f --root {root} -s {socket}"),
        format!("ubus -s {socket} -v list"),
        format!("ubus -s {socket} call network.interface dump"),
    ] {
        show.line("try", &command, Tone::Plain);
    }
    while signals.asked() != Some(Asked::Stop) {
        for call in served.router.take_calls().iter().filter(|_| options.verbose) {
            line(&show, call);
        }
        thread::sleep(TICK);
    }
    Ok(())
}

fn line(show: &Show, call: &Call) {
    let Call { object, method, arguments, by } = call;
    // What these are given may be secret.
    let arguments = if matches!(object.as_str(), "uci" | "session") { "…" } else { arguments };
    show.line("ubus", &format!("{by} calls {object} {method} {arguments}"), Tone::Quiet);
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}
