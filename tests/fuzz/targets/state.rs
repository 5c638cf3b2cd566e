//! Any octets as the state file: what is read is written so that it reads the same.

use rcwmp::agent::state::State;
use rcwmp::sys::json;

/// One input.
pub fn run(octets: &[u8]) {
    let state = match json::from_slice::<State>(octets) {
        Ok(state) => state,
        Err(why) => return assert!(why.to_string().len() < 1024),
    };
    let written = serde_json::to_vec(&state).expect("a state can be written");
    let again: State = json::from_slice(&written)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&written)));
    let twice = serde_json::to_vec(&again).expect("a state can be written");
    assert_eq!(String::from_utf8_lossy(&twice), String::from_utf8_lossy(&written));
    // What an old or a damaged file has in its queue is sent, refused or forgotten, and never lost in a panic.
    let mut queue = again.queue;
    let version = rcwmp::cwmp::soap::envelope::Version::V1_4;
    let snapshot = queue.open_session(version);
    assert!(snapshot.events.len() <= 2 * rcwmp::cwmp::queue::MAX_EVENTS);
    queue.delivered(rcwmp::cwmp::queue::Receipt::Inform);
    queue.close_session(true);
}
