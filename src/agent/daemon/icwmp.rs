//! At the first start in icwmp's place: its ParameterKey, and what it had still to tell and to do.

use log::{info, warn};

use super::{Daemon, add, both_clocks};
use crate::agent::icwmp_queue::{self, Left};
use crate::agent::inform;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::queue::Message;
use crate::model::backend::Backend;
use crate::sys::clock::Now;
use crate::transfer::plan::{Details, Method};
use crate::uci::Document;

/// Where icwmp keeps its queue: the one that it works on, and the copies that outlive a reboot.
const QUEUES: [&str; 3] = [
    "/var/run/icwmpd/icwmpd_backup_session.xml",
    "/etc/icwmpd/icwmpd_backup_session.xml",
    "/etc/icwmpd/.icwmpd_backup_session.xml",
];
/// UCI files that hold the ParameterKey beside `/etc/config/cwmp`, in versions of icwmp.
const STATES: [&str; 2] = ["/var/state/icwmp", "/var/state/cwmp"];
/// And there.
const KEYS: [&str; 2] = ["cwmp.cpe.ParameterKey", "cwmp.acs.ParameterKey"];
/// Of a ParameterKey, in characters.
const MAX_KEY: usize = 32;
/// A transfer that is later than this has failed (TR-069 A.3.2.8), in seconds.
const TOO_LATE: i64 = 3600;

impl Daemon {
    /// Takes over, once, what icwmp has left. Its events and messages are delivered by us; an ACS that has greeted
    /// it is greeted by no second BOOTSTRAP, which would make it forget what it knows (TR-069 table 8).
    pub(super) fn take_over_from_icwmp(&mut self) {
        let state = &self.file.state;
        // Whoever was spoken to by us has had its own say since.
        if state.migrated || state.bootstrapped.is_some() || !state.queue.is_empty() {
            return;
        }
        let mut found = None;
        let mut left = Left::default();
        for path in QUEUES {
            let Some(text) = self.model.backend().text(path) else { continue };
            found = Some(path);
            match icwmp_queue::read(text.as_bytes()) {
                Ok(read) => {
                    left = read;
                    break;
                }
                // Cut off when the power was: the next copy is older, and whole.
                Err(why) => warn!("{path}: nothing of icwmp's queue is taken over: {why}"),
            }
        }
        let ours = &self.settings.acs.url;
        if left.url.as_ref().is_some_and(|url| url != ours && !ours.is_empty()) {
            info!("icwmp worked for another ACS: nothing of it is taken over");
            self.take_icwmp_key(false);
            return self.set_icwmp_queues_aside();
        }
        self.take_icwmp_key(true);
        match found {
            Some(path) if left.url.is_some() => {
                self.take_icwmp_queue(path, left);
                self.set_icwmp_queues_aside();
            }
            Some(path) => info!("{path} is left alone: it names no ACS"),
            None => {}
        }
    }

    /// Makes icwmp's key ours, if it is of our ACS, and clears it from UCI: whoever starts anew, with no memory of this,
    /// must not find it again.
    fn take_icwmp_key(&mut self, is_ours: bool) {
        let system = self.model.backend();
        let mut keys: Vec<String> =
            KEYS.iter().map(|name| system.option_text(name).unwrap_or_default()).collect();
        let in_uci: Vec<&str> =
            KEYS.into_iter().zip(&keys).filter(|(_, key)| !key.is_empty()).map(|(name, _)| name).collect();
        for path in STATES {
            let text = system.text(path);
            let state = text.and_then(|text| Document::parse(path, text.as_bytes()).ok());
            let key = |section| state.as_ref()?.option(section, "ParameterKey").map(|value| value.joined());
            keys.extend(["cpe", "acs"].into_iter().filter_map(key));
        }
        let is_wanted = is_ours && system.last_parameter_key().is_empty();
        let mut taken = keys.into_iter().find(|key| is_wanted && !key.is_empty());
        if taken.take_if(|key| key.chars().count() > MAX_KEY || key.chars().any(char::is_control)).is_some() {
            warn!("icwmp's ParameterKey is not taken over: no ACS can have set it");
        }
        if taken.is_none() && in_uci.is_empty() {
            return;
        }
        let done = taken
            .as_ref()
            .map_or(Ok(()), |key| system.parameter_key(key))
            .and_then(|()| in_uci.iter().try_for_each(|name| system.set_option(name, None)))
            .and_then(|()| system.commit(None));
        match (done, taken) {
            (Ok(()), Some(_)) => info!("ParameterKey of icwmp is taken over"),
            (Ok(()), None) => {}
            (Err(why), _) => {
                system.revert();
                warn!("ParameterKey of icwmp is not taken over: {why}");
            }
        }
    }

    /// Whoever starts anew, with no memory of what was taken over, must not do it again, of no copy.
    fn set_icwmp_queues_aside(&self) {
        for path in QUEUES {
            let Ok(from) = self.options.root.resolve(path) else { continue };
            let mut to = from.clone().into_os_string();
            to.push(".taken");
            match std::fs::rename(&from, to) {
                Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                    warn!("{path} stays, although it is taken over: {why}");
                }
                _ => {}
            }
        }
    }

    fn take_icwmp_queue(&mut self, path: &str, left: Left) {
        let now = both_clocks(&self.clock);
        for what in &left.lost {
            warn!("{path}: not taken over: {what}");
        }
        let counts = (left.ended.len(), left.waiting.len(), left.informs.len());
        let state = &mut self.file.state;
        // The ACS hears of us at once: where we take connection requests is another place.
        state.heir = true;
        if left.bootstrap {
            // It discards what is there, so it comes first.
            add(&mut state.queue, EventCode::Bootstrap);
        } else if let Ok(id) = inform::device_id(&mut self.model) {
            state.bootstrapped = left.url;
            state.identity = inform::identity(&id);
        }
        if left.periodic {
            add(&mut state.queue, EventCode::Periodic);
        }
        let mut ended = left.ended;
        for (mut request, at) in left.waiting {
            let (method, key) = (request.method(), request.command_key.clone());
            let delay = delay(at, now);
            match &mut request.details {
                Details::Download { delay_seconds, .. } | Details::Upload { delay_seconds } => {
                    *delay_seconds = delay.unwrap_or(0);
                }
                Details::ScheduleDownload { .. } => {}
            }
            let accepted = match delay {
                Some(_) => state.transfers.accept(request, now).map(drop).map_err(|why| why.to_string()),
                None => Err("it is more than an hour late, as far as the clock tells".to_owned()),
            };
            if let Err(why) = accepted {
                warn!("{path}: {} {key} has failed: {why}", method.name());
                ended.push((method, icwmp_queue::failed(method, key)));
            }
        }
        for (method, message) in ended {
            let code = EventCode::Method(Method::name(method).to_owned());
            let cause = Event { code, command_key: message.command_key.clone() };
            let key = message.command_key.clone();
            if let Err(why) = state.queue.add_message(Message::TransferComplete(message), Some(cause)) {
                warn!("{path}: not taken over: the end of {} {key}: {why}", method.name());
            }
        }
        for (key, at) in left.informs {
            // One that is past is due now, and so is one of which nobody knows.
            let delay = delay(at, now).unwrap_or(0).max(1);
            if let Err(why) = state.alarms.schedule_inform(delay, &key, now) {
                warn!("{path}: not taken over: ScheduleInform {key}: {why}");
            }
        }
        let (ended, waiting, informs) = counts;
        info!(
            "{path} is taken over: {ended} transfers that have ended, {waiting} that have not begun, \
             {informs} informs"
        );
        self.save();
    }
}

/// For how many seconds to wait for a moment, where 0 is now; none if it is too long ago. Without a clock nobody knows:
/// an image that was meant for the night is not to come at noon.
fn delay(at: i64, now: Now) -> Option<u32> {
    if at == 0 {
        return Some(0);
    }
    let late = now.wall?.saturating_sub(at);
    (late <= TOO_LATE).then(|| u32::try_from(late.saturating_neg().max(0)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn delays() {
        let now = |wall| Now { mono: Duration::from_secs(5), wall };
        assert_eq!(delay(0, now(Some(1_000_000))), Some(0));
        assert_eq!(delay(1_000_060, now(Some(1_000_000))), Some(60));
        assert_eq!(delay(996_400, now(Some(1_000_000))), Some(0));
        assert_eq!(delay(996_399, now(Some(1_000_000))), None);
        assert_eq!((delay(1_000_060, now(None)), delay(0, now(None))), (None, Some(0)));
        assert_eq!(delay(i64::MAX, now(Some(i64::MIN))), Some(u32::MAX));
    }
}
