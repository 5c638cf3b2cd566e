//! The sessions that this life has had: the last ones in full, the others as numbers. Pure.

use std::collections::VecDeque;

/// How many sessions are remembered in full.
pub const MAX_SESSIONS: usize = 20;
/// How many RPCs of one session are remembered by name.
const MAX_RPCS: usize = 64;

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The events of its Inform, as they stood there.
    pub events: Vec<String>,
    /// What the ACS has called in it, in order: the name, and the fault code of what was refused, else 0.
    pub rpcs: Vec<(String, u16)>,
    /// When it began, in seconds since 1970; `None` with an unset clock.
    pub start: Option<i64>,
    /// When it ended; `None` while it is on its way, and with an unset clock.
    pub end: Option<i64>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// How it ended; `None` while it is on its way.
    pub success: Option<bool>,
    /// Why it failed; empty else.
    pub why: String,
}

/// The sessions of this life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    sessions: VecDeque<Record>,
    successes: u32,
    failures: u32,
}

impl History {
    /// A session begins.
    pub fn begun(&mut self, events: Vec<String>, start: Option<i64>) {
        if self.sessions.len() == MAX_SESSIONS {
            self.sessions.pop_front();
        }
        self.sessions.push_back(Record {
            events,
            rpcs: Vec::new(),
            start,
            end: None,
            milliseconds: 0,
            success: None,
            why: String::new(),
        });
    }

    /// The running session has ended: with what was called in it, and `Err` with the reason of a failure.
    pub fn ended(
        &mut self,
        end: Option<i64>,
        milliseconds: u64,
        rpcs: Vec<(String, u16)>,
        outcome: Result<(), String>,
    ) {
        let counter = if outcome.is_ok() { &mut self.successes } else { &mut self.failures };
        *counter = counter.saturating_add(1);
        if let Some(record) = self.running_mut() {
            (record.end, record.milliseconds, record.success) = (end, milliseconds, Some(outcome.is_ok()));
            record.rpcs = rpcs;
            record.rpcs.truncate(MAX_RPCS);
            record.why = outcome.err().unwrap_or_default();
        }
    }

    /// The last session, running or over.
    pub fn last(&self) -> Option<&Record> {
        self.sessions.back()
    }

    /// The sessions that are remembered, the newest first.
    pub fn sessions(&self) -> impl Iterator<Item = &Record> {
        self.sessions.iter().rev()
    }

    /// How many have ended well.
    pub fn successes(&self) -> u32 {
        self.successes
    }

    /// How many have failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn running_mut(&mut self) -> Option<&mut Record> {
        self.sessions.back_mut().filter(|record| record.success.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_come_and_go() {
        let mut history = History::default();
        assert!(history.last().is_none());
        // What nobody has begun is counted, and nothing else.
        history.ended(None, 1, vec![], Err("no ACS".to_owned()));
        history.begun(vec!["2 PERIODIC".to_owned()], Some(100));
        assert_eq!(history.last().unwrap().success, None);
        let rpcs = vec![("GetParameterValues".to_owned(), 0), ("Reboot".to_owned(), 9003)];
        history.ended(Some(101), 900, rpcs.clone(), Ok(()));
        let last = history.last().unwrap();
        assert_eq!(last.rpcs, rpcs);
        assert_eq!((last.success, last.milliseconds, last.end), (Some(true), 900, Some(101)));
        assert_eq!((history.successes(), history.failures()), (1, 1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut history = History::default();
        for n in 0..100 {
            history.begun(vec![n.to_string()], Some(n));
            history.ended(Some(n), 1, vec![(n.to_string(), 0); 100], Ok(()));
        }
        assert_eq!(history.sessions().count(), MAX_SESSIONS);
        assert_eq!(history.last().unwrap().events, ["99"]);
        assert_eq!(history.last().unwrap().rpcs.len(), MAX_RPCS);
        assert_eq!(history.successes(), 100);
    }
}
