//! Whether inputs leave something behind in the process of a test, however many there are.
//!
//! What an allocator keeps for itself, and when it takes more of the system, is chance: what the thread of the test has
//! asked for and not given back is not. The pages of the process, with all its threads, are a bound around that.
#![allow(dead_code, clippy::unwrap_used)]

use std::fs;

/// Octets that the thread may hold more after thousands of inputs, where one is longer than the one before.
const HELD: i64 = 8 * 1024;
/// KiB that the allocator may have taken more for all threads.
const PAGES: u64 = 4 * 1024;

/// KiB of this process that are neither a program's pages nor files.
fn pages() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// How many descriptors this process has open.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Runs inputs that come after enough others for all that is made once to be there. `place` is what a failure is found
/// again by. No more than `more` descriptors may be left open.
pub fn leaves_nothing(place: &str, more: usize, run: impl FnOnce()) {
    let before = (pages(), descriptors());
    let told = allocation_counter::measure(run);
    let taken = pages().saturating_sub(before.0);
    let held = told.bytes_current;
    assert!(told.count_total > 0, "{place}: nothing is counted");
    assert!(held < HELD, "{place}: {held} octets in {} pieces are not given back", told.count_current);
    assert!(taken < PAGES, "{place}: {taken} KiB more of the system");
    let open = descriptors();
    assert!(open <= before.1 + more, "{place}: {open} descriptors, {} before", before.1);
}

/// Does what is no matter of this thread's memory.
pub fn uncounted<T>(act: impl FnOnce() -> T) -> T {
    let mut done = None;
    allocation_counter::opt_out(|| done = Some(act()));
    done.unwrap()
}
