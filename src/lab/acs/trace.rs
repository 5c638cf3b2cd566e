//! The latest messages of all sessions, for whoever looks, and for those that wait for more.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Messages kept.
const MAX_MESSAGES: usize = 2000;
/// Octets kept of all messages.
const MAX_OCTETS: usize = 16 << 20;

/// One message of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// Rises by one.
    pub id: u32,
    /// Milliseconds since 1970.
    pub at: u64,
    /// The CPE's address.
    pub peer: String,
    /// Its serial number; empty while it is not known.
    pub device: String,
    /// Of an answer; `None` for what the CPE posted.
    pub status: Option<u16>,
    /// As sent, without its coding.
    pub body: Vec<u8>,
}

/// The messages.
#[derive(Default)]
pub struct Trace {
    kept: Mutex<Kept>,
    more: Condvar,
}

#[derive(Default)]
struct Kept {
    messages: VecDeque<Traced>,
    octets: usize,
    last: u32,
    closed: bool,
}

impl Trace {
    /// Keeps a message.
    pub fn add(&self, peer: &str, device: &str, status: Option<u16>, body: &[u8]) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut kept = self.lock();
        kept.last = kept.last.wrapping_add(1);
        let traced = Traced {
            id: kept.last,
            at: u64::try_from(at).unwrap_or(u64::MAX),
            peer: peer.to_owned(),
            device: device.to_owned(),
            status,
            body: body.to_vec(),
        };
        kept.octets += traced.body.len();
        kept.messages.push_back(traced);
        while kept.messages.len() > MAX_MESSAGES || kept.octets > MAX_OCTETS {
            let Some(old) = kept.messages.pop_front() else { break };
            kept.octets -= old.body.len();
        }
        drop(kept);
        self.more.notify_all();
    }

    /// Messages after the one of this id, `most` at most, of one device only if `device` is not empty; waits for
    /// them if there are none.
    pub fn after(&self, id: u32, device: &str, most: usize, wait: Duration) -> Vec<Traced> {
        let until = Instant::now() + wait;
        let mut kept = self.lock();
        loop {
            let wanted = |one: &&Traced| one.id > id && (device.is_empty() || one.device == device);
            let found: Vec<Traced> = kept.messages.iter().filter(wanted).take(most).cloned().collect();
            let left = until.saturating_duration_since(Instant::now());
            if !found.is_empty() || left.is_zero() || kept.closed {
                return found;
            }
            kept = self.more.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends all waits.
    pub fn close(&self) {
        self.lock().closed = true;
        self.more.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_waits() {
        let trace = Trace::default();
        assert_eq!(trace.after(0, "", 10, Duration::from_millis(20)), []);
        for count in 0..3000 {
            trace.add("p", if count % 2 == 0 { "A" } else { "B" }, None, &[0; 10]);
        }
        let all = trace.after(0, "", usize::MAX, Duration::ZERO);
        assert_eq!((all.len(), all[0].id), (MAX_MESSAGES, 1001));
        assert_eq!(
            trace.after(2990, "A", 2, Duration::ZERO).iter().map(|one| one.id).collect::<Vec<_>>(),
            [2991, 2993]
        );
        trace.add("p", "A", None, &vec![0; MAX_OCTETS + 1]);
        assert_eq!(trace.after(0, "", 10, Duration::ZERO), []);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| trace.after(3001, "", 10, Duration::from_secs(10)));
            std::thread::sleep(Duration::from_millis(20));
            trace.add("p", "A", Some(204), b"");
            assert_eq!(waiting.join().unwrap()[0].status, Some(204));
        });
    }
}
