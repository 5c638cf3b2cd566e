//! Random histories against a model that is no queue: nothing is lost, and nothing comes again after its delivery.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// One moment of a life in which each event can be told from every other.
#[derive(Debug, Clone)]
enum Moment {
    /// `M Reboot` or `M ScheduleInform` with a key of its own.
    Method(bool),
    /// A message with a key of its own, of one of four kinds.
    Message(usize),
    Single(usize),
    Bootstrap,
    /// So much of a session: `None` is a kill before the Inform was confirmed, or with it confirmed and
    /// some messages too. Saved is the state after each step.
    Session {
        confirmed: Option<usize>,
        killed: bool,
        successful: bool,
        during: Vec<usize>,
    },
    Boot,
}

/// What is single and never discarded but on BOOTSTRAP, and what ends with a reboot.
const LASTING: [&str; 3] = ["2 PERIODIC", "X a", "X b"];
const UNTIL_REBOOT: [&str; 4] = ["4 VALUE CHANGE", "8 DIAGNOSTICS COMPLETE", "13 WAKEUP", "1 BOOT"];

fn moment() -> impl Strategy<Value = Moment> {
    let single = 0..LASTING.len() + UNTIL_REBOOT.len();
    let session = (
        proptest::option::weighted(0.7, 0usize..4),
        proptest::bool::weighted(0.3),
        any::<bool>(),
        proptest::collection::vec(single.clone(), 0..3),
    );
    prop_oneof![
        4 => any::<bool>().prop_map(Moment::Method),
        4 => (0usize..4).prop_map(Moment::Message),
        4 => single.prop_map(Moment::Single),
        1 => Just(Moment::Bootstrap),
        6 => session.prop_map(|(confirmed, killed, successful, during)| Moment::Session {
            confirmed, killed, successful, during
        }),
        1 => Just(Moment::Boot),
    ]
}

fn single(at: usize) -> &'static str {
    LASTING.iter().chain(&UNTIL_REBOOT).nth(at).unwrap()
}

/// What an ACS has still to hear, kept without any queue: events as texts, messages by their keys.
#[derive(Debug, Default)]
struct Owed {
    events: BTreeSet<String>,
    messages: Vec<(Ticket, Vec<String>)>,
}

impl Owed {
    /// What an Inform has to list, each once.
    fn listed(&self) -> Vec<String> {
        let mut all: Vec<String> = self.events.iter().cloned().collect();
        all.extend(self.messages.iter().flat_map(|(_, codes)| codes.iter().cloned()));
        if self.events.iter().any(|event| event.starts_with("M ScheduleInform")) {
            all.push("3 SCHEDULED".to_owned());
        }
        all.sort();
        all.dedup();
        all
    }
}

proptest! {
    /// Whatever fails, is killed or rebooted, and in whatever order: each session tells all that is owed
    /// and nothing else, so nothing is lost and nothing comes again after its delivery.
    #[test]
    fn nothing_is_lost_and_nothing_told_again(moments in proptest::collection::vec(moment(), 1..60)) {
        let (mut queue, mut owed, mut keys) = (Queue::default(), Owed::default(), 0);
        let again = |queue: &Queue| -> Queue {
            serde_json::from_str(&serde_json::to_string(queue).unwrap()).unwrap()
        };
        for moment in moments {
            keys += 1;
            match moment {
                // Beyond 64 the standard itself drops events.
                Moment::Method(_) | Moment::Message(_) if owed.listed().len() > 50 => {}
                Moment::Method(reboot) => {
                    let text = format!("M {}=k{keys}", if reboot { "Reboot" } else { "ScheduleInform" });
                    add(&mut queue, &[&text]);
                    owed.events.insert(text);
                }
                Moment::Message(kind) => {
                    let key = format!("k{keys}");
                    let (message, cause) = match kind {
                        0 => (transfer(&key), Some(("Download", "7 TRANSFER COMPLETE"))),
                        1 => (du(&key), Some(("ChangeDUState", "11 DU STATE CHANGE COMPLETE"))),
                        2 => (autonomous(), None),
                        _ => (autonomous_du(), None),
                    };
                    let mut codes = vec![message.event().to_string()];
                    codes.extend(cause.map(|(name, _)| format!("M {name}={key}")));
                    match queue.add_message(message, cause.map(|(name, _)| method(name, &key))) {
                        Ok(ticket) => owed.messages.push((ticket, codes)),
                        Err(why) => prop_assert!(why == Refused::Full && owed.messages.len() == MAX_MESSAGES),
                    }
                }
                Moment::Single(at) => {
                    add(&mut queue, &[single(at)]);
                    owed.events.insert(single(at).to_owned());
                }
                Moment::Bootstrap => {
                    add(&mut queue, &["0 BOOTSTRAP"]);
                    owed = Owed::default();
                    owed.events.insert("0 BOOTSTRAP".to_owned());
                }
                Moment::Session { confirmed, killed, successful, during } => {
                    let snapshot = queue.open_session(Version::V1_4);
                    let mut told = texts(&snapshot);
                    told.sort();
                    prop_assert_eq!(&told, &owed.listed());
                    let called: Vec<Option<Ticket>> = snapshot.calls.iter().map(|call| call.ticket).collect();
                    let due: Vec<Option<Ticket>> = owed.messages.iter().map(|(ticket, _)| Some(*ticket)).collect();
                    prop_assert_eq!(called, due);
                    let news = during.iter().map(|at| single(*at));
                    add(&mut queue, &news.clone().collect::<Vec<_>>());
                    if let Some(calls) = confirmed {
                        queue.delivered(Receipt::Inform);
                        owed.events.clear();
                        for (ticket, _) in owed.messages.drain(..calls.min(owed.messages.len())) {
                            queue.delivered(Receipt::Call(ticket));
                        }
                    }
                    owed.events.extend(news.map(str::to_owned));
                    match killed {
                        true => queue = again(&queue),
                        false => queue.close_session(successful),
                    }
                }
                Moment::Boot => {
                    queue = again(&queue);
                    queue.booted(false, &[format!("k{keys}")]).unwrap();
                    owed.events.retain(|event| !UNTIL_REBOOT.contains(&event.as_str()));
                    owed.events.insert("1 BOOT".to_owned());
                    owed.events.insert(format!("M Reboot=k{keys}"));
                }
            }
        }
        prop_assert_eq!(queue.is_empty(), owed.listed().is_empty());
    }
}
