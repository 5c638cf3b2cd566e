//! What the kernel shows after a service has read its configuration again.

use std::fs;

use super::state::State;
use super::system::hostname;

/// Brings `/proc` in line with what the services have read.
pub fn follow(state: &mut State) {
    let name = hostname(state);
    put(state, "/proc/sys/kernel/hostname", &format!("{name}\n"));
}

/// Writes a file of the kernel, unless it says that already.
fn put(state: &State, path: &str, text: &str) {
    if state.read(path).as_deref() == Some(text) {
        return;
    }
    // A folder that cannot be written shows what it did.
    if let Ok(path) = state.root.resolve(path) {
        let _ = fs::write(path, text);
    }
}
