//! What the agent itself must not forget: the state file, written whole and only on change.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use log::{error, info};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::autonomous::Inventory;
use super::discovery::Mechanism;
use super::schedule::Alarms;
use super::units::Units;
use crate::connreq::rule::Known;
use crate::cwmp::queue::{Queue, Ticket};
use crate::cwmp::retry::Ladder;
use crate::http::auth::Credentials;
use crate::model::watch::Watch;
use crate::sys::fs::{FsError, read_capped, write_atomic};
use crate::sys::json;
use crate::transfer::plan::{Id, Plan};

/// The largest state file that is read, in bytes.
const MAX_STATE: usize = 4 << 20;

/// The earlier credentials whose last datagrams are remembered.
const MAX_OLDER: usize = 8;

/// The format that is written.
const VERSION: u32 = 1;

/// The content of `state.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The format: 1.
    version: u32,
    /// The URL of the ACS that has had our BOOTSTRAP (TR-069 table 8).
    pub bootstrapped: Option<String>,
    /// Where the last successful session went: what leads there is where requests reach us.
    pub reached: Option<IpAddr>,
    /// How the first ACS was found, since the last factory reset (TR-069 3.1).
    pub located: Option<Mechanism>,
    /// Who we were then; another identity is another device.
    pub identity: String,
    /// The kernel's boot identifier at the last start.
    pub boot_id: String,
    /// A session is open: whoever finds this at its start knows that the last life ended in one.
    pub in_session: bool,
    /// A reboot has been promised to the ACS and not been started.
    pub reboot_pending: bool,
    /// A factory reset has been promised to the ACS; it follows a successful session.
    pub reset_pending: bool,
    /// CommandKeys of Reboot calls whose reboot is on its way.
    pub reboot_keys: Vec<String>,
    /// Events and messages that the ACS has not confirmed.
    pub queue: Queue,
    /// Failed attempts.
    pub ladder: Ladder,
    /// The next Inform speaks 1.0 (TR-069 3.2.1.1).
    pub fall_back: bool,
    /// The random path of the ConnectionRequestURL.
    pub connection_request_path: String,
    /// When the ACS was first spoken to with the clock set, in seconds since 1970 (FirstUseDate).
    pub first_use: Option<i64>,
    /// Transfers that the ACS has asked for.
    pub transfers: Plan,
    /// Operations on deployment units that the ACS has asked for, and what it has installed.
    pub units: Units,
    /// What the ACS knows of the parameters with notification.
    pub watch: Watch,
    /// The time in the last lightweight notification, in seconds since 1970: each has a later one.
    pub light_time: i64,
    /// Time and id of the last connection request by UDP: the next has a later one. That of
    /// other credentials does not count, so that an ACS whose clock was wrong has a way out.
    pub last_datagram: Option<(u64, String)>,
    /// The last ones of earlier credentials, each with a mark of those: should they come back, what was recorded of
    /// them is no news.
    older_datagrams: Vec<(u16, u64, String)>,
    /// Who is not held up by the guesses of others at the port for connection requests.
    pub known_sources: Known,
    /// The same by XMPP, as hashes of addresses.
    pub known_senders: Known,
    /// The messages in `queue` that tell of transfers.
    pub told: Vec<(Ticket, Id)>,
    /// What waits for a time.
    pub alarms: Alarms,
    /// The random phase of the periodic Inform.
    pub phase: u32,
    /// The methods of the ACS, as it has told them last; another ACS is not yet asked.
    pub acs_methods: Option<Vec<String>>,
    /// SoftwareVersion at the last start.
    pub software_version: String,
    /// Which file of `cpe.custom_notify_json`, and of which firmware, has been obeyed.
    pub notifications_of: String,
    /// icwmp's notifications were looked for.
    pub migrated: bool,
    /// What icwmp had to tell was taken over, and its notifications were not.
    pub heir: bool,
    /// The deployment units that the ACS knows of, while it wants to know of changes by others.
    pub inventory: Option<Inventory>,
}

impl State {
    /// Other credentials for connection requests: a datagram is compared with the last one of the same.
    pub fn other_credentials(&mut self, old: &Credentials, new: &Credentials) {
        let (old, new) = (self.mark(old), self.mark(new));
        if let Some((time, id)) = self.last_datagram.take() {
            self.older_datagrams.retain(|(mark, ..)| *mark != old);
            self.older_datagrams.push((old, time, id));
            let too_many = self.older_datagrams.len().saturating_sub(MAX_OLDER);
            self.older_datagrams.drain(..too_many);
        }
        let known = self.older_datagrams.iter().find(|(mark, ..)| *mark == new);
        self.last_datagram = known.map(|(_, time, id)| (*time, id.clone()));
    }

    /// Tells credentials apart, and is too short to say what they are: so many others have the same one.
    fn mark(&self, credentials: &Credentials) -> u16 {
        let parts = [&self.connection_request_path, &credentials.username, credentials.password.as_str()];
        let hash = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(Sha256::digest(part)));
        let hash = hash.finalize();
        u16::from_be_bytes([hash[0], hash[1]])
    }
}

/// The state with its file.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    /// What stands in the file.
    written: Vec<u8>,
    /// Why that is not what is to stand there, as was said already.
    complaint: Option<String>,
    /// What is to stand there.
    pub state: State,
}

impl StateFile {
    /// Reads `state.json` in a directory. A damaged file is put aside; the second part says so. A first
    /// life has the default state.
    pub fn open(dir: &Path) -> (StateFile, Option<String>) {
        let path = dir.join("state.json");
        let damaged = |why: String| {
            let _ = fs::rename(&path, path.with_extension("json.damaged"));
            let text = format!("{why}; put aside, starting anew with 0 BOOTSTRAP");
            (State::default(), Vec::new(), Some(text))
        };
        let (state, written, complaint) = match read_capped(&path, MAX_STATE) {
            Ok(bytes) => match read(&bytes) {
                Ok(state) => (state, bytes, None),
                Err(why) => damaged(format!("{}: {why}", path.display())),
            },
            Err(why) if why.is_missing() => (State::default(), Vec::new(), None),
            Err(why) => damaged(why.to_string()),
        };
        (StateFile { path, written, complaint: None, state }, complaint)
    }

    /// As [`StateFile::save`] for whoever goes on without: an error is said once, until it is over.
    pub fn keep(&mut self) {
        match self.save().map_err(|why| why.to_string()) {
            Ok(()) if self.complaint.take().is_some() => info!("the state is saved again"),
            Err(why) if self.complaint.as_ref() != Some(&why) => {
                error!("the state is not saved: {why}");
                self.complaint = Some(why);
            }
            _ => {}
        }
    }

    /// Writes the state if it differs from what is written.
    ///
    /// # Errors
    /// When the file cannot be replaced; the old one stays.
    pub fn save(&mut self) -> Result<(), FsError> {
        self.state.version = VERSION;
        let Ok(bytes) = serde_json::to_vec(&self.state) else { return Ok(()) };
        if bytes == self.written {
            return Ok(());
        }
        write_atomic(&self.path, &bytes, 0o600)?;
        self.written = bytes;
        Ok(())
    }
}

/// A later format would be taken for one that is empty.
fn read(bytes: &[u8]) -> Result<State, String> {
    match json::from_slice::<State>(bytes) {
        Ok(state) if state.version > VERSION => Err(format!("format {} is not known", state.version)),
        Ok(state) => Ok(state),
        Err(why) => Err(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::event::{Event, EventCode};

    #[test]
    fn what_was_recorded_of_credentials_that_come_back_is_no_news() {
        let credentials = |n: u32| Credentials::new("user", format!("password {n}"));
        let mut state = State { connection_request_path: "/x".to_owned(), ..State::default() };
        state.last_datagram = Some((7, "seven".to_owned()));
        state.other_credentials(&credentials(1), &credentials(2));
        assert_eq!(state.last_datagram, None);
        state.other_credentials(&credentials(2), &credentials(1));
        assert_eq!(state.last_datagram, Some((7, "seven".to_owned())));
        state.last_datagram = Some((8, "eight".to_owned()));
        for n in 1..100 {
            state.other_credentials(&credentials(n), &credentials(n + 1));
            assert_eq!(state.last_datagram, None);
            state.last_datagram = Some((n.into(), "x".to_owned()));
            assert!(state.older_datagrams.len() <= MAX_OLDER);
        }
        state.other_credentials(&credentials(100), &credentials(97));
        assert_eq!(state.last_datagram, Some((96, "x".to_owned())));
        let written = serde_json::to_string(&state).unwrap();
        assert!(!written.contains("password"), "{written}");
    }

    #[test]
    fn a_state_survives_and_damage_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, complaint) = StateFile::open(dir.path());
        assert!(complaint.is_none() && file.state.bootstrapped.is_none());
        file.state.queue.add(Event::of(EventCode::Periodic)).unwrap();
        file.state.bootstrapped = Some("http://acs/".into());
        file.save().unwrap();
        let (again, complaint) = StateFile::open(dir.path());
        assert!(complaint.is_none());
        assert!(again.state.queue.contains(&EventCode::Periodic));
        assert_eq!(again.state.bootstrapped.as_deref(), Some("http://acs/"));
        for damage in [&b"{"[..], b"\0\0\0", b"7", b"[]", b"{\"version\": 99}", b"{\"queue\": 7}"] {
            fs::write(dir.path().join("state.json"), damage).unwrap();
            let (fresh, complaint) = StateFile::open(dir.path());
            assert!(complaint.unwrap().contains("state.json"));
            assert!(fresh.state.queue.is_empty());
        }
    }
}
