//! The event queue against a simple model: whatever fails, is killed or rebooted, in any order, an Inform lists
//! exactly what the ACS is still owed. So nothing is lost that must be delivered, and nothing comes again after
//! its delivery.
//!
//! The model is a set of events. The disk holds what was last saved, of the queue and of the model; a kill goes
//! back to it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use rcwmp::cwmp::event::{Event, EventCode};
use rcwmp::cwmp::queue::{MAX_EVENTS, MAX_MESSAGES, Message, Queue, Receipt};
use rcwmp::cwmp::rpc::{Request, TransferComplete};
use rcwmp::cwmp::soap::envelope::Version;

/// Events that are listed once however often they happen.
const SINGLES: [&str; 8] = [
    "1 BOOT",
    "2 PERIODIC",
    "4 VALUE CHANGE",
    "6 CONNECTION REQUEST",
    "8 DIAGNOSTICS COMPLETE",
    "13 WAKEUP",
    "X 00256D one",
    "X 00256D two",
];
/// Those of table 8 that a reboot ends, and the one that is never retried.
const UNTIL_REBOOT: [&str; 5] =
    ["1 BOOT", "4 VALUE CHANGE", "8 DIAGNOSTICS COMPLETE", "13 WAKEUP", "6 CONNECTION REQUEST"];

/// What may happen outside of a session, and during one.
#[derive(Debug, Clone)]
enum News {
    Single(usize),
    Passive,
    ScheduleInform,
    Transfer,
}

#[derive(Debug, Clone)]
enum Op {
    News {
        news: News,
        killed: bool,
    },
    Bootstrap,
    /// A session in which so many steps go well: the Inform, each call. Then it ends, or the agent.
    Session {
        steps: usize,
        news: Vec<News>,
        successful: bool,
        killed: bool,
    },
    Reboot {
        keys: usize,
        killed: bool,
    },
    Kill,
}

fn news() -> impl Strategy<Value = News> {
    prop_oneof![
        4 => (0..SINGLES.len()).prop_map(News::Single),
        1 => Just(News::Passive),
        2 => Just(News::ScheduleInform),
        2 => Just(News::Transfer),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let killed = || proptest::bool::weighted(0.2);
    let some = || proptest::collection::vec(news(), 0..3);
    prop_oneof![
        6 => (news(), killed()).prop_map(|(news, killed)| Op::News { news, killed }),
        1 => Just(Op::Bootstrap),
        6 => (0..6usize, some(), any::<bool>(), killed())
            .prop_map(|(steps, news, successful, killed)| Op::Session { steps, news, successful, killed }),
        1 => (0..3usize, killed()).prop_map(|(keys, killed)| Op::Reboot { keys, killed }),
        1 => Just(Op::Kill),
    ]
}

/// What the ACS is owed: events of the Inform with their keys, and the keys of transfers.
#[derive(Debug, Clone, Default, PartialEq)]
struct Owed {
    events: BTreeSet<(String, String)>,
    transfers: BTreeSet<String>,
}

impl Owed {
    fn add(&mut self, code: &str, key: &str) {
        self.events.insert((code.to_owned(), key.to_owned()));
    }

    /// As an Inform lists it.
    fn listed(&self) -> BTreeSet<(String, String)> {
        let mut all = self.events.clone();
        for key in &self.transfers {
            all.insert(("M Download".to_owned(), key.clone()));
            all.insert(("7 TRANSFER COMPLETE".to_owned(), String::new()));
        }
        all
    }
}

#[derive(Default)]
struct World {
    queue: Queue,
    owed: Owed,
    disk: Option<(String, Owed)>,
    serial: u32,
    /// Keys that were confirmed, and saved so.
    confirmed: BTreeSet<String>,
}

impl World {
    /// Saves, unless a SIGKILL comes first; whether it saved.
    fn save(&mut self, killed: bool) -> bool {
        if killed {
            self.kill();
            return false;
        }
        self.disk = Some((serde_json::to_string(&self.queue).unwrap(), self.owed.clone()));
        true
    }

    fn kill(&mut self) {
        (self.queue, self.owed) = match &self.disk {
            Some((text, owed)) => (serde_json::from_str(text).unwrap(), owed.clone()),
            None => (Queue::default(), Owed::default()),
        };
    }

    fn key(&mut self) -> String {
        self.serial += 1;
        format!("key {}", self.serial)
    }

    fn event(&mut self, code: &str, key: &str) {
        let event = Event { code: EventCode::parse(code), command_key: key.to_owned() };
        self.queue.add(event).unwrap();
        self.owed.add(code, key);
    }

    fn happen(&mut self, news: &News) {
        // Beyond the bounds something must be dropped, which is another test's.
        if self.owed.listed().len() > MAX_EVENTS / 2 || self.owed.transfers.len() >= MAX_MESSAGES {
            return;
        }
        match news {
            News::Single(which) => self.event(SINGLES[*which], ""),
            News::Passive => {
                self.queue.add_passive_value_change().unwrap();
                self.owed.add("4 VALUE CHANGE", "");
            }
            News::ScheduleInform => {
                let key = self.key();
                self.event("M ScheduleInform", &key);
                self.owed.add("3 SCHEDULED", "");
            }
            News::Transfer => {
                let key = self.key();
                let message = Message::TransferComplete(TransferComplete {
                    command_key: key.clone(),
                    fault_code: 0,
                    fault_string: String::new(),
                    start_time: String::new(),
                    complete_time: String::new(),
                });
                let code = EventCode::parse("M Download");
                self.queue.add_message(message, Some(Event { code, command_key: key.clone() })).unwrap();
                self.owed.transfers.insert(key);
            }
        }
    }

    fn session(&mut self, steps: usize, news: &[News], successful: bool, killed: bool) {
        let told = self.queue.open_session(Version::V1_4);
        let listed: Vec<(String, String)> =
            told.events.iter().map(|event| (event.code.to_string(), event.command_key.clone())).collect();
        let set: BTreeSet<(String, String)> = listed.iter().cloned().collect();
        assert_eq!(listed.len(), set.len(), "an event is listed twice");
        assert_eq!(set, self.owed.listed());
        assert!(listed.iter().all(|(_, key)| !self.confirmed.contains(key)), "{listed:?}");
        let before = self.owed.events.clone();
        // What is added now may have the name of what is in flight.
        self.owed.events.clear();
        for one in news {
            self.happen(one);
        }
        let during = std::mem::replace(&mut self.owed.events, before.clone());
        self.owed.events.extend(during.iter().cloned());
        // TR-069 3.7.1.5: the one that MUST NOT be tried again, nor by another life.
        let request = ("6 CONNECTION REQUEST".to_owned(), String::new());
        let tried = !during.contains(&request) && self.owed.events.remove(&request);
        if !self.save(killed && steps == 0) {
            return;
        }
        if tried {
            self.owed.events.insert(request.clone());
        }
        if steps > 0 {
            self.queue.delivered(Receipt::Inform);
            self.owed.events.clone_from(&during);
            if !self.save(killed && steps == 1) {
                return;
            }
            self.confirmed.extend(before.into_iter().map(|(_, key)| key).filter(|key| !key.is_empty()));
        }
        for call in told.calls.iter().take(steps.saturating_sub(1)) {
            let Request::TransferComplete(message) = &call.request else { panic!("{:?}", call.request) };
            self.queue.delivered(Receipt::Call(call.ticket.unwrap()));
            assert!(self.owed.transfers.remove(&message.command_key));
            self.save(false);
            self.confirmed.insert(message.command_key.clone());
        }
        self.queue.close_session(successful);
        if !during.contains(&request) {
            self.owed.events.remove(&request);
        }
        self.save(killed && steps > 1);
    }

    fn act(&mut self, op: &Op) {
        match op {
            Op::News { news, killed } => {
                self.happen(news);
                self.save(*killed);
            }
            Op::Bootstrap => {
                self.owed = Owed::default();
                self.event("0 BOOTSTRAP", "");
                self.save(false);
            }
            Op::Session { steps, news, successful, killed } => {
                self.session(*steps, news, *successful, *killed);
            }
            Op::Reboot { keys, killed } => {
                self.kill();
                let keys: Vec<String> = (0..*keys).map(|_| self.key()).collect();
                self.queue.booted(false, &keys).unwrap();
                self.owed.events.retain(|(code, _)| !UNTIL_REBOOT.contains(&code.as_str()));
                self.owed.add("1 BOOT", "");
                for key in &keys {
                    self.owed.add("M Reboot", key);
                }
                self.save(*killed);
            }
            Op::Kill => self.kill(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn an_inform_lists_what_is_owed(ops in proptest::collection::vec(op(), 1..80)) {
        let mut world = World::default();
        for op in &ops {
            world.act(op);
        }
        // An ACS that takes everything has everything after one session.
        world.session(usize::MAX, &[], true, false);
        prop_assert_eq!(&world.owed, &Owed::default());
        prop_assert!(world.queue.is_empty() && !world.queue.is_due());
    }
}
