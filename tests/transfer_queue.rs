//! The transfer queue and the event queue, as the daemon joins them, against a simple model: whatever fails, is
//! killed, rebooted or cancelled, in any order, each request that was accepted and not cancelled is reported
//! exactly once, with its event.
//!
//! The model knows nothing of times and stages. It keeps what the ACS knows: the keys it was promised, those
//! it cancelled, and the TransferCompletes it got. The disk holds what was last saved; a kill goes back to it.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use rcwmp::cwmp::event::{Event, EventCode};
use rcwmp::cwmp::queue::{Message, Queue, Receipt, Ticket};
use rcwmp::cwmp::rpc::{Request as Call, TransferComplete};
use rcwmp::cwmp::soap::envelope::Version;
use rcwmp::sys::clock::Now;
use rcwmp::transfer::plan::{
    CAPACITY, Completion, Details, Id, Job, Method, Outcome, Plan, Request, Secret, Window,
};

const TODAY: i64 = 1_795_237_200;

/// The two queues that one state file holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    plan: Plan,
    queue: Queue,
    /// The messages of the queue that tell of transfers.
    told: Vec<(Ticket, Id)>,
}

/// What may happen. Where an operation saves, a kill may come just before.
#[derive(Debug, Clone, Copy)]
enum Op {
    Accept {
        what: What,
        delay: u32,
        key: u8,
        killed: bool,
    },
    Wait(u32),
    /// Starts what is due.
    Start {
        idle: bool,
        killed: bool,
    },
    Apply {
        killed: bool,
    },
    Install {
        killed: bool,
    },
    Finish {
        fault: u16,
        killed: bool,
    },
    /// A session: so many messages are delivered; the event queue takes no more than this.
    Session {
        delivered: usize,
        room: usize,
        killed: bool,
    },
    Cancel {
        key: u8,
        killed: bool,
    },
    Restart {
        reboot: bool,
        off: u32,
        version: u8,
    },
    Jump(Option<i64>),
    /// The result of a worker that was thought dead, or comes twice; for any transfer that is not in progress.
    Stray(usize),
}

#[derive(Debug, Clone, Copy)]
enum What {
    Download,
    Upload,
    Schedule { retries: i32, second: bool, idle: bool },
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        Just(What::Download),
        Just(What::Upload),
        (-1..3i32, any::<bool>(), any::<bool>()).prop_map(|(retries, second, idle)| What::Schedule {
            retries,
            second,
            idle
        }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let killed = || proptest::bool::weighted(0.15);
    let fault = || prop_oneof![Just(0u16), Just(9016), Just(9018), Just(9013), any::<u16>()];
    prop_oneof![
        4 => (what(), 0..6000u32, 0..4u8, killed())
            .prop_map(|(what, delay, key, killed)| Op::Accept { what, delay, key, killed }),
        3 => (0..4000u32).prop_map(Op::Wait),
        5 => (any::<bool>(), killed()).prop_map(|(idle, killed)| Op::Start { idle, killed }),
        3 => killed().prop_map(|killed| Op::Apply { killed }),
        2 => killed().prop_map(|killed| Op::Install { killed }),
        3 => (fault(), killed()).prop_map(|(fault, killed)| Op::Finish { fault, killed }),
        2 => (0..4usize, 0..4usize, killed())
            .prop_map(|(delivered, room, killed)| Op::Session { delivered, room, killed }),
        1 => (0..4u8, killed()).prop_map(|(key, killed)| Op::Cancel { key, killed }),
        2 => (any::<bool>(), 0..8000u32, 0..3u8)
            .prop_map(|(reboot, off, version)| Op::Restart { reboot, off, version }),
        1 => proptest::option::of(any::<i64>()).prop_map(Op::Jump),
        1 => any::<usize>().prop_map(Op::Stray),
    ]
}

/// What the ACS knows of a transfer.
#[derive(Debug, Default)]
struct Known {
    promised: bool,
    cancelled: bool,
    reports: Vec<u16>,
    method: Option<Method>,
    attempts: u32,
    /// As many as MaxRetries and the windows allow.
    most: u32,
}

struct World {
    state: State,
    disk: String,
    time: u64,
    booted: u64,
    skew: Option<i64>,
    job: Option<Id>,
    serial: u32,
    /// By the transfer's own name, which stands in its TargetFileName or URL as well as in the key.
    known: BTreeMap<String, Known>,
    ids: BTreeMap<Id, String>,
    version: u8,
}

impl World {
    fn new() -> World {
        let state = State::default();
        let disk = serde_json::to_string(&state).unwrap();
        World {
            state,
            disk,
            time: 0,
            booted: 0,
            skew: Some(0),
            job: None,
            serial: 0,
            known: BTreeMap::new(),
            ids: BTreeMap::new(),
            version: 0,
        }
    }

    fn now(&self) -> Now {
        let wall = |skew: i64| TODAY.saturating_add(i64::try_from(self.time).unwrap()).saturating_add(skew);
        Now { mono: Duration::from_secs(self.time - self.booted), wall: self.skew.map(wall) }
    }

    /// Saves, unless a SIGKILL comes first; whether it saved.
    fn save(&mut self, killed: bool) -> bool {
        if killed {
            self.restart(false, 1);
            return false;
        }
        self.disk = serde_json::to_string(&self.state).unwrap();
        true
    }

    fn restart(&mut self, reboot: bool, off: u64) {
        self.state = serde_json::from_str(&self.disk).unwrap();
        self.time += off;
        self.booted = self.time;
        self.job = None;
        let now = self.now();
        if reboot {
            self.state.queue.booted(false, &[]).unwrap();
        }
        self.state.plan.resume(reboot, &self.version.to_string(), now);
        self.tell(usize::MAX);
        assert!(self.save(false));
    }

    /// Hands over to the event queue, which has room for so many.
    fn tell(&mut self, mut room: usize) {
        let State { plan, queue, told } = &mut self.state;
        plan.hand_over(|completion: &Completion| {
            if room == 0 {
                return false;
            }
            room -= 1;
            let code = EventCode::Method(completion.method.name().to_owned());
            let cause = Event { code, command_key: completion.command_key.clone() };
            let message = Message::TransferComplete(TransferComplete {
                command_key: completion.command_key.clone(),
                fault_code: completion.fault_code,
                fault_string: completion.fault_string.clone(),
                start_time: String::new(),
                complete_time: String::new(),
            });
            told.push((queue.add_message(message, Some(cause)).unwrap(), completion.id));
            true
        });
    }

    fn request(&mut self, what: What, delay: u32, key: u8) -> Request {
        let window = |start: u32, end: u32, retries: i32, idle: bool| Window {
            start,
            end,
            mode: if idle { "3 When Idle" } else { "1 At Any Time" }.to_owned(),
            user_message: String::new(),
            max_retries: retries,
        };
        let details = match what {
            What::Download => Details::Download {
                file_size: 0,
                target_file_name: String::new(),
                delay_seconds: delay,
                success_url: String::new(),
                failure_url: String::new(),
            },
            What::Upload => Details::Upload { delay_seconds: delay },
            What::Schedule { retries, second, idle } => {
                let mut windows = vec![window(delay, delay + 1500, retries, idle)];
                if second {
                    windows.push(window(delay + 2000, delay + 4000, retries, false));
                }
                Details::ScheduleDownload { file_size: 0, target_file_name: String::new(), windows }
            }
        };
        let file_type = if matches!(what, What::Upload) { "2 Vendor Log File" } else { "2 Web Content" };
        Request {
            command_key: format!("key {key}"),
            file_type: file_type.to_owned(),
            url: "http://files.example/".to_owned(),
            username: String::new(),
            password: Secret::default(),
            details,
        }
    }

    fn accept(&mut self, what: What, delay: u32, key: u8, killed: bool) {
        let (request, now) = (self.request(what, delay, key), self.now());
        let method = request.method();
        // MaxRetries -1 is five here.
        let most = match what {
            What::Schedule { retries, second, .. } => {
                (1 + u32::try_from(retries).unwrap_or(5)) * (1 + u32::from(second))
            }
            _ => 1,
        };
        let full = self.state.plan.list().len() >= CAPACITY;
        let id = match self.state.plan.accept(request, now) {
            Ok(id) => id,
            Err(refused) => {
                assert!(full && refused.code == 9004, "{refused}");
                return;
            }
        };
        assert!(!full);
        self.serial += 1;
        let name = format!("{} of key {key}", self.serial);
        // A name that was given out before the kill and never saved may be given out again.
        if self.save(killed) {
            assert!(self.ids.insert(id, name.clone()).is_none(), "a transfer's name is used twice");
            self.known.insert(name, Known { promised: true, method: Some(method), most, ..Known::default() });
        }
    }

    fn known(&mut self, id: Id) -> &mut Known {
        let name = self.ids.get(&id).expect("only what was promised goes on");
        self.known.get_mut(name).expect("it is known")
    }

    fn start(&mut self, idle: bool, killed: bool) {
        let now = self.now();
        let job: Option<Job> = self.state.plan.due(now, idle);
        self.tell(usize::MAX);
        // An installation whose reboot never came ends by itself.
        self.job = self.job.filter(|_| self.state.plan.is_busy() && job.is_none());
        let Some(job) = job else {
            self.save(false);
            return;
        };
        self.state.plan.started(job.id, now);
        if self.save(killed) {
            self.job = Some(job.id);
            let known = self.known(job.id);
            known.attempts += 1;
            assert!(known.attempts <= known.most, "{known:?}");
        }
    }

    fn finish(&mut self, id: Id, fault: u16, killed: bool) {
        let now = self.now();
        self.job = None;
        self.state.plan.finished(id, &Outcome { fault_code: fault, ..Outcome::success(None, now.wall) }, now);
        self.tell(usize::MAX);
        self.save(killed);
    }

    fn session(&mut self, delivered: usize, killed: bool) {
        let snapshot = self.state.queue.open_session(Version::V1_4);
        let mut causes: Vec<Event> =
            snapshot.events.into_iter().filter(|event| matches!(event.code, EventCode::Method(_))).collect();
        assert_eq!(causes.len(), snapshot.calls.len());
        self.state.queue.delivered(Receipt::Inform);
        self.save(false);
        for call in snapshot.calls.iter().take(delivered) {
            let ticket = call.ticket.unwrap();
            let Call::TransferComplete(message) = &call.request else { panic!("{:?}", call.request) };
            self.state.queue.delivered(Receipt::Call(ticket));
            let at = self.state.told.iter().position(|(told, _)| *told == ticket).unwrap();
            let (_, id) = self.state.told.remove(at);
            self.state.plan.delivered(id);
            // The ACS has it; only a kill between its answer and the save may repeat it, as TR-069 allows.
            if !self.save(killed) {
                return;
            }
            let known = self.known(id);
            known.reports.push(message.fault_code);
            let method = known.method.unwrap().name();
            let name = &self.ids[&id];
            assert!(name.ends_with(&message.command_key), "{name} is reported as {}", message.command_key);
            let code = EventCode::Method(method.to_owned());
            let announced = Event { code, command_key: message.command_key.clone() };
            let at = causes.iter().position(|cause| *cause == announced);
            causes.remove(at.expect("a message comes with its event"));
        }
        self.state.queue.close_session(delivered >= snapshot.calls.len());
        self.save(false);
    }

    fn cancel(&mut self, key: u8, killed: bool) {
        let key = format!("key {key}");
        let count = |world: &World| {
            world.state.plan.list().into_iter().filter(|listed| listed.command_key == key).collect::<Vec<_>>()
        };
        let before = self.state.clone();
        let had = count(self);
        let cancelled = self.state.plan.cancel(&key);
        let left = count(self);
        assert!(left.iter().all(|listed| listed.state != 1), "what waits can be cancelled");
        assert_eq!(cancelled.refused.is_some(), !left.is_empty());
        assert!(cancelled.refused.is_none_or(|refused| refused.code == 9021));
        let stopped = cancelled.stop;
        assert!(stopped.is_none_or(|id| self.job == Some(id)));
        if self.save(killed) {
            let gone = ids(&before).difference(&ids(&self.state)).copied().collect::<Vec<_>>();
            assert_eq!(gone.len(), had.len() - left.len());
            for id in gone {
                self.known(id).cancelled = true;
            }
            if let Some(id) = stopped {
                // The worker was quicker than its stop; it changes nothing.
                let now = self.now();
                self.state.plan.finished(id, &Outcome::success(None, None), now);
                self.tell(usize::MAX);
                self.job = None;
            }
        }
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Accept { what, delay, key, killed } => self.accept(what, delay, key, killed),
            Op::Wait(seconds) => self.time += u64::from(seconds),
            Op::Start { idle, killed } => self.start(idle, killed),
            Op::Apply { killed } => {
                if let Some(id) = self.job {
                    let now = self.now();
                    if self.state.plan.apply(id, now).is_err() && !self.state.plan.is_busy() {
                        self.job = None;
                    }
                    self.tell(usize::MAX);
                    self.save(killed);
                }
            }
            Op::Install { killed } => {
                if let Some(id) = self.job {
                    let (now, version) = (self.now(), self.version.to_string());
                    self.state.plan.installing(id, &version, None, now);
                    self.save(killed);
                }
            }
            Op::Finish { fault, killed } => {
                if let Some(id) = self.job {
                    self.finish(id, fault, killed);
                }
            }
            Op::Session { delivered, room, killed } => {
                self.tell(room);
                self.save(false);
                self.session(delivered, killed);
            }
            Op::Cancel { key, killed } => self.cancel(key, killed),
            Op::Restart { reboot, off, version } => {
                if reboot {
                    self.version = version;
                }
                self.restart(reboot, u64::from(off));
            }
            Op::Jump(skew) => self.skew = skew,
            Op::Stray(which) => {
                let ids = self.ids.keys().copied().filter(|id| self.job != Some(*id)).collect::<Vec<_>>();
                if !ids.is_empty() {
                    let now = self.now();
                    self.state.plan.finished(ids[which % ids.len()], &Outcome::success(None, None), now);
                    self.tell(usize::MAX);
                    self.save(false);
                }
            }
        }
    }

    /// Goes from deadline to deadline until the ACS has heard of everything.
    fn settle(&mut self) {
        if let Some(id) = self.job {
            self.finish(id, 0, false);
        }
        for _ in 0..400 {
            let now = self.now();
            if let Some(due) = self.state.plan.deadline(now) {
                self.time = self.time.max(self.booted + due.as_secs());
            }
            self.start(true, false);
            if let Some(id) = self.job {
                self.finish(id, 0, false);
            }
            self.session(usize::MAX, false);
            if self.state.plan.list().is_empty() {
                return;
            }
        }
        panic!("the queue stalls: {:?}", self.state.plan.list());
    }

    fn judge(&self) {
        assert!(self.state.queue.is_empty() && self.state.told.is_empty());
        for (name, known) in &self.known {
            assert!(known.promised);
            assert_eq!(known.reports.len(), usize::from(!known.cancelled), "{name}: {known:?}");
            for &fault in &known.reports {
                let fits = match known.method.unwrap() {
                    Method::ScheduleDownload => matches!(fault, 0 | 9020),
                    _ => matches!(fault, 0 | 9001 | 9002 | 9010 | 9011 | 9012 | 9014..=9020),
                };
                assert!(fits, "{name} has fault {fault}");
            }
        }
    }
}

/// The transfers of a saved state.
fn ids(state: &State) -> BTreeSet<Id> {
    let text = serde_json::to_value(&state.plan).unwrap();
    let entries = text["entries"].as_array().unwrap();
    entries.iter().map(|entry| serde_json::from_value(entry["id"].clone()).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn each_request_is_reported_exactly_once(ops in proptest::collection::vec(op(), 1..80)) {
        let mut world = World::new();
        for op in ops {
            world.act(op);
            prop_assert!(world.state.plan.list().iter().filter(|listed| listed.state == 2).count() <= 1);
            prop_assert!(world.state.plan.list().len() <= CAPACITY);
        }
        world.settle();
        world.judge();
    }
}
