//! The daemon's diagnostics: started when the session that asked for them is over, told when they have ended.

use std::collections::HashMap;
use std::sync::Arc;

use log::{info, warn};

use super::Daemon;
use crate::agent::diagnose::{Found, Test};
use crate::agent::job::{Job, Outcome};
use crate::backend::functions::radio_state;
use crate::backend::trials::{CANCELED, NONE, REQUESTED};
use crate::cwmp::event::EventCode;
use crate::diagnostics::Moment;
use crate::diagnostics::echo::{Config, Server};
use crate::model::date;

/// Those who can listen for others.
const RADIOS: &str = "Device.WiFi.Radio.";
/// TR-143's echo server.
const ECHO: &str = "Device.IP.Diagnostics.UDPEchoConfig.";

/// Tests that wait, and the one that runs.
#[derive(Default)]
pub(super) struct Trials {
    waiting: Vec<String>,
    running: Option<(String, Job<Found>)>,
    pub(super) echo: Option<Server>,
}

impl Daemon {
    /// A commit has set something of a diagnostic: what runs with other values is ended (TR-181 DiagnosticsState).
    pub(super) fn trials_changed(&mut self) {
        for (object, state) in self.model.backend().take_trials() {
            if self.trials.running.as_ref().is_some_and(|(running, _)| *running == object) {
                info!("{object} is cancelled");
                self.trials.running = None;
            }
            self.trials.waiting.retain(|waiting| *waiting != object);
            match state.as_str() {
                REQUESTED => self.trials.waiting.push(object),
                CANCELED => self.model.backend().tell_trial(&object, NONE, Vec::new(), Vec::new()),
                _ => {}
            }
        }
    }

    /// Ends and starts tests, between sessions: during one the model looks frozen (TR-069 3.7.1.3).
    pub(super) fn run_trials(&mut self) {
        if self.exchange.is_some() || self.is_leaving() {
            return;
        }
        if let Some((object, job)) = self.trials.running.take() {
            let found = match job.outcome() {
                Outcome::Running => {
                    self.trials.running = Some((object, job));
                    return;
                }
                Outcome::Done(found) => found,
                Outcome::Lost => Found::lost(&object),
            };
            info!("{object} has ended: {}", found.state);
            self.model.backend().tell_trial(&object, &found.state, found.values, found.rows);
            if found.is_event {
                self.event(EventCode::DiagnosticsComplete);
            }
        }
        if self.trials.waiting.is_empty() {
            return;
        }
        let object = self.trials.waiting.remove(0);
        match self.start_trial(&object) {
            Ok(job) => {
                info!("{object} is started");
                self.trials.running = Some((object, job));
            }
            Err(why) => {
                warn!("{object} is not started: {why}");
                let found = Found::lost(&object);
                self.model.backend().tell_trial(&object, &found.state, found.values, found.rows);
                self.event(EventCode::DiagnosticsComplete);
            }
        }
    }

    fn start_trial(&mut self, object: &str) -> Result<Job<Found>, String> {
        let values = self.below(object)?;
        let interface = self.device_of(values.get("Interface").map_or("", String::as_str))?;
        let mut test = Test::of(object, &values, interface, &self.options.root)
            .ok_or_else(|| "it cannot be run as it is set".to_owned())?;
        if let Test::Neighbours(input) = &mut test {
            input.socket = self.options.ubus_socket().ok();
            input.radios = self.listeners()?;
        }
        let object = object.to_owned();
        Job::start("diagnostic", Arc::clone(&self.wake), move |cancel| test.run(cancel).of(&object))
            .map_err(|why| why.to_string())
    }

    /// The radios by their paths, each with a network device of it.
    fn listeners(&mut self) -> Result<Vec<(String, String)>, String> {
        let list = self.model.values([RADIOS]).map_err(|why| why.to_string())?;
        let named = |name: &str| {
            name.strip_suffix(".Name").filter(|path| path.matches('.').count() == 3).map(str::to_owned)
        };
        let radios = list.into_iter().filter_map(|(name, value)| Some((named(&name)?, value.text)));
        let mut out = Vec::new();
        for (path, section) in radios {
            let found = radio_state::device(self.model.backend(), &section).map_err(|why| why.to_string())?;
            out.extend(found.map(|device| (path, device)));
        }
        Ok(out)
    }

    /// The values of an object by their names.
    fn below(&mut self, object: &str) -> Result<HashMap<String, String>, String> {
        let list = self.model.values([object]).map_err(|why| why.to_string())?;
        let short = |name: String| name.strip_prefix(object).map(str::to_owned);
        Ok(list.into_iter().filter_map(|(name, value)| Some((short(name)?, value.text))).collect())
    }

    /// The Linux device behind an IP interface; empty for none.
    fn device_of(&mut self, interface: &str) -> Result<String, String> {
        if interface.is_empty() {
            return Ok(String::new());
        }
        let name = format!("{}.Name", interface.trim_end_matches('.'));
        let found = self.model.values([name.as_str()]).map_err(|why| why.to_string())?;
        let name = found.into_iter().next().map(|(_, value)| value.text).unwrap_or_default();
        let device = self.model.backend().option_text(&format!("network.{name}.device"));
        Ok(device.ok().filter(|device| !device.is_empty()).unwrap_or(name))
    }

    /// Opens, reopens or closes the echo server as it is set.
    pub(super) fn configure_echo(&mut self) {
        let wanted = self.below(ECHO).and_then(|values| {
            let text = |name: &str| values.get(name).cloned().unwrap_or_default();
            if text("Enable") != "1" {
                return Ok(None);
            }
            Ok(Some(Config {
                interface: self.device_of(&text("Interface"))?,
                source_ip_address: text("SourceIPAddress").parse().ok(),
                udp_port: text("UDPPort").parse().map_err(|_| "UDPPort is no port".to_owned())?,
                echo_plus_enabled: text("EchoPlusEnabled") == "1",
            }))
        });
        let wanted = wanted.unwrap_or_else(|why| {
            warn!("the echo server: {why}");
            None
        });
        if self.trials.echo.as_ref().map(Server::config) == wanted.as_ref() {
            return;
        }
        self.trials.echo = None;
        if let Some(config) = wanted {
            match Server::open(config) {
                Ok(server) => {
                    info!("UDP echo on port {}", server.port());
                    self.trials.echo = Some(server);
                }
                Err(why) => warn!("the echo server: {why}"),
            }
        }
    }

    /// What the model shows of the echo server.
    pub(super) fn tell_echo(&mut self) {
        let Some(counters) = self.trials.echo.as_ref().map(Server::counters) else { return };
        let time = |moment: Option<Moment>| {
            moment.map_or_else(
                || "0001-01-01T00:00:00Z".to_owned(),
                |moment| date::format_utc(moment.split().0),
            )
        };
        let told = [
            ("PacketsReceived", counters.packets_received.to_string()),
            ("PacketsResponded", counters.packets_responded.to_string()),
            ("BytesReceived", counters.bytes_received.to_string()),
            ("BytesResponded", counters.bytes_responded.to_string()),
            ("TimeFirstPacketReceived", time(counters.time_first_packet_received)),
            ("TimeLastPacketReceived", time(counters.time_last_packet_received)),
        ];
        for (name, text) in told {
            self.model.backend().tell(&format!("UDPEchoConfig.{name}"), text);
        }
    }
}
