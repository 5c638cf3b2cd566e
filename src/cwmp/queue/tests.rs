//! The rules of table 8, one case each, and random histories.

use proptest::prelude::*;

use super::*;
use crate::cwmp::rpc::OperationResult;

mod history;

fn method(name: &str, key: &str) -> Event {
    Event { code: EventCode::Method(name.to_owned()), command_key: key.to_owned() }
}

fn transfer(key: &str) -> Message {
    Message::TransferComplete(TransferComplete {
        command_key: key.to_owned(),
        fault_code: 0,
        fault_string: String::new(),
        start_time: "2026-11-21T05:00:00Z".to_owned(),
        complete_time: "2026-11-21T05:01:00Z".to_owned(),
    })
}

fn request_download() -> Message {
    Message::RequestDownload(RequestDownload {
        file_type: "1 Firmware Upgrade Image".to_owned(),
        arguments: vec![("Version".to_owned(), "2".to_owned())],
    })
}

fn kicked() -> Message {
    Message::Kicked(Kicked { command: "c".to_owned(), ..Kicked::default() })
}

fn result() -> OperationResult {
    OperationResult {
        uuid: "6bd8a8c5-0000-5000-8000-000000000001".to_owned(),
        deployment_unit_ref: "Device.SoftwareModules.DeploymentUnit.1".to_owned(),
        version: "1".to_owned(),
        current_state: "Installed".to_owned(),
        resolved: true,
        execution_unit_ref_list: String::new(),
        start_time: "2026-11-21T05:00:00Z".to_owned(),
        complete_time: "2026-11-21T05:01:00Z".to_owned(),
        fault_code: 0,
        fault_string: String::new(),
    }
}

fn autonomous() -> Message {
    Message::AutonomousTransferComplete(Box::new(AutonomousTransferComplete {
        announce_url: String::new(),
        transfer_url: "http://192.0.2.1/f".to_owned(),
        is_download: true,
        file_type: "1 Firmware Upgrade Image".to_owned(),
        file_size: 1,
        target_file_name: String::new(),
        fault_code: 0,
        fault_string: String::new(),
        start_time: "2026-11-21T05:00:00Z".to_owned(),
        complete_time: "2026-11-21T05:01:00Z".to_owned(),
    }))
}

fn du(key: &str) -> Message {
    let command_key = key.to_owned();
    Message::DuStateChangeComplete(DuStateChangeComplete { results: vec![result()], command_key })
}

fn autonomous_du() -> Message {
    let result = AutonomousResult { result: result(), operation_performed: "Install".to_owned() };
    Message::AutonomousDuStateChangeComplete(vec![result])
}

/// One message of each kind, with its `M` event.
pub(in crate::cwmp) fn kinds() -> [(Message, Option<Event>); 6] {
    [
        (transfer("d"), Some(method("Download", "d"))),
        (autonomous(), None),
        (du("u"), Some(method("ChangeDUState", "u"))),
        (autonomous_du(), None),
        (request_download(), None),
        (kicked(), None),
    ]
}

fn queue(events: &[&str]) -> Queue {
    let mut queue = Queue::default();
    add(&mut queue, events);
    queue
}

/// `CODE` or `M Method=key`.
fn add(queue: &mut Queue, events: &[&str]) {
    for text in events {
        let (code, key) = text.split_once('=').unwrap_or((text, ""));
        let event = Event { code: EventCode::parse(code), command_key: key.to_owned() };
        queue.add(event).unwrap();
    }
}

fn texts(snapshot: &Snapshot) -> Vec<String> {
    let text = |event: &Event| match event.command_key.as_str() {
        "" => event.code.to_string(),
        key => format!("{}={key}", event.code),
    };
    snapshot.events.iter().map(text).collect()
}

fn open(queue: &mut Queue) -> Vec<String> {
    texts(&queue.open_session(Version::V1_4))
}

/// A session that confirms the Inform and ends well: what it told.
fn session(queue: &mut Queue) -> Vec<String> {
    let told = open(queue);
    queue.delivered(Receipt::Inform);
    queue.close_session(true);
    told
}

/// A session that fails before InformResponse.
fn failure(queue: &mut Queue) -> Vec<String> {
    let told = open(queue);
    queue.close_session(false);
    told
}

#[test]
fn singles_once_and_methods_each() {
    let mut queue = queue(&[
        "2 PERIODIC",
        "2 PERIODIC",
        "M Reboot=a",
        "M Reboot=a",
        "1 BOOT",
        "X 00256D Y",
        "X 00256D Y",
    ]);
    assert_eq!(session(&mut queue), ["1 BOOT", "2 PERIODIC", "M Reboot=a", "M Reboot=a", "X 00256D Y"]);
    assert!(queue.is_empty());
}

#[test]
fn command_keys_belong_to_methods() {
    let mut queue = Queue::default();
    queue.add(Event { code: EventCode::Boot, command_key: "x".to_owned() }).unwrap();
    assert_eq!(session(&mut queue), ["1 BOOT"]);
}

#[test]
fn schedule_inform_brings_scheduled() {
    let mut queue = queue(&["M ScheduleInform=a", "M ScheduleInform=b"]);
    assert_eq!(session(&mut queue), ["3 SCHEDULED", "M ScheduleInform=a", "M ScheduleInform=b"]);
}

#[test]
fn some_codes_cannot_stand_alone() {
    for code in [
        "3 SCHEDULED",
        "5 KICKED",
        "7 TRANSFER COMPLETE",
        "9 REQUEST DOWNLOAD",
        "10 AUTONOMOUS TRANSFER COMPLETE",
        "11 DU STATE CHANGE COMPLETE",
        "12 AUTONOMOUS DU STATE CHANGE COMPLETE",
        "M Download",
        "M ScheduleDownload",
        "M Upload",
        "M ChangeDUState",
    ] {
        let code = EventCode::parse(code);
        assert_eq!(Queue::default().add(Event::of(code.clone())), Err(Refused::NotAlone(code)));
    }
}

#[test]
fn overlong_texts_are_refused() {
    let mut queue = Queue::default();
    assert_eq!(queue.add(method("Reboot", &"k".repeat(33))), Err(Refused::TooLong));
    assert_eq!(queue.add(Event::of(EventCode::Vendor("v".repeat(65)))), Err(Refused::TooLong));
    assert_eq!(
        queue.add_message(transfer(""), Some(method("Download", &"k".repeat(33)))),
        Err(Refused::TooLong)
    );
    assert!(queue.is_empty());
    assert_eq!(queue.add(method("Reboot", &"ä".repeat(32))), Ok(()));
}

#[test]
fn a_failed_session_keeps_all_but_the_connection_request() {
    let all = [
        "0 BOOTSTRAP",
        "1 BOOT",
        "2 PERIODIC",
        "4 VALUE CHANGE",
        "6 CONNECTION REQUEST",
        "8 DIAGNOSTICS COMPLETE",
        "13 WAKEUP",
        "M Reboot=r",
        "X vendor",
    ];
    let mut queue = queue(&all);
    assert_eq!(failure(&mut queue), all);
    let kept: Vec<_> = all.into_iter().filter(|code| !code.starts_with("6 ")).collect();
    assert_eq!(session(&mut queue), kept);
    assert!(queue.is_empty());
}

#[test]
fn a_reboot_keeps_what_is_never_discarded() {
    let mut queue = queue(&[
        "0 BOOTSTRAP",
        "1 BOOT",
        "2 PERIODIC",
        "4 VALUE CHANGE",
        "6 CONNECTION REQUEST",
        "8 DIAGNOSTICS COMPLETE",
        "13 WAKEUP",
        "14 HEARTBEAT",
        "M ScheduleInform=s",
        "X vendor",
    ]);
    let ticket = queue.add_message(transfer("d"), Some(method("Download", "d"))).unwrap();
    queue.booted(false, &["r1".to_owned(), "r2".to_owned()]).unwrap();
    assert_eq!(
        session(&mut queue),
        [
            "0 BOOTSTRAP",
            "1 BOOT",
            "2 PERIODIC",
            "3 SCHEDULED",
            "7 TRANSFER COMPLETE",
            "M ScheduleInform=s",
            "M Download=d",
            "M Reboot=r1",
            "M Reboot=r2",
            "X vendor",
        ]
    );
    queue.delivered(Receipt::Call(ticket));
    assert!(queue.is_empty());
}

#[test]
fn autonomous_messages_survive_a_reboot() {
    let mut queue = Queue::default();
    queue.add_message(autonomous(), None).unwrap();
    queue.add_message(autonomous_du(), None).unwrap();
    let told = ["10 AUTONOMOUS TRANSFER COMPLETE", "12 AUTONOMOUS DU STATE CHANGE COMPLETE"];
    assert_eq!(failure(&mut queue), told);
    queue.booted(false, &[]).unwrap();
    assert_eq!(session(&mut queue), ["1 BOOT", told[0], told[1]], "InformResponse confirms none of them");
    queue.booted(true, &[]).unwrap();
    assert_eq!(session(&mut queue), ["0 BOOTSTRAP", "1 BOOT"]);
}

#[test]
fn bootstrap_discards_the_rest_and_survives() {
    let mut queue = queue(&["2 PERIODIC", "M Reboot=r"]);
    queue.add_message(transfer("d"), Some(method("Download", "d"))).unwrap();
    queue.booted(true, &["r".to_owned()]).unwrap();
    for _ in 0..3 {
        assert_eq!(failure(&mut queue), ["0 BOOTSTRAP", "1 BOOT"]);
    }
    assert_eq!(session(&mut queue), ["0 BOOTSTRAP", "1 BOOT"]);
}

#[test]
fn a_bootstrap_during_a_session_is_for_the_next() {
    let mut queue = queue(&["1 BOOT"]);
    let ticket = queue.add_message(transfer("d"), None).unwrap();
    open(&mut queue);
    queue.delivered(Receipt::Inform);
    add(&mut queue, &["0 BOOTSTRAP"]);
    queue.delivered(Receipt::Call(ticket));
    queue.close_session(true);
    assert!(queue.is_due());
    assert_eq!(session(&mut queue), ["0 BOOTSTRAP"]);
}

#[test]
fn events_of_a_running_session_wait_for_the_next() {
    let mut queue = queue(&["2 PERIODIC", "4 VALUE CHANGE"]);
    open(&mut queue);
    add(&mut queue, &["4 VALUE CHANGE", "6 CONNECTION REQUEST", "6 CONNECTION REQUEST"]);
    queue.delivered(Receipt::Inform);
    add(&mut queue, &["6 CONNECTION REQUEST"]);
    queue.close_session(true);
    assert!(queue.is_due());
    assert_eq!(session(&mut queue), ["4 VALUE CHANGE", "6 CONNECTION REQUEST"]);
    assert!(!queue.is_due());
}

#[test]
fn a_failed_session_and_its_news_are_one() {
    let mut queue = queue(&["4 VALUE CHANGE"]);
    open(&mut queue);
    add(&mut queue, &["4 VALUE CHANGE"]);
    queue.close_session(false);
    assert!(queue.is_due(), "a change during the session is new");
    assert_eq!(session(&mut queue), ["4 VALUE CHANGE"]);
}

#[test]
fn delivered_events_do_not_come_back_when_the_session_fails() {
    let mut queue = queue(&["0 BOOTSTRAP", "1 BOOT"]);
    let ticket = queue.add_message(transfer("d"), Some(method("Upload", "d"))).unwrap();
    open(&mut queue);
    queue.delivered(Receipt::Inform);
    queue.close_session(false);
    assert_eq!(open(&mut queue), ["7 TRANSFER COMPLETE", "M Upload=d"]);
    queue.delivered(Receipt::Call(ticket));
    queue.close_session(false);
    assert_eq!(failure(&mut queue), [""; 0], "a retry may have nothing to list");
}

#[test]
fn transfers_are_confirmed_one_by_one() {
    let mut queue = Queue::default();
    let first = queue.add_message(transfer("a"), Some(method("Download", "a"))).unwrap();
    let second = queue.add_message(transfer("b"), Some(method("Upload", "b"))).unwrap();
    let snapshot = queue.open_session(Version::V1_4);
    assert_eq!(texts(&snapshot), ["7 TRANSFER COMPLETE", "M Download=a", "M Upload=b"]);
    assert_eq!(
        snapshot.calls.iter().map(|call| call.ticket).collect::<Vec<_>>(),
        [Some(first), Some(second)]
    );
    queue.delivered(Receipt::Inform);
    queue.delivered(Receipt::Call(first));
    queue.close_session(true);
    assert!(!queue.is_due(), "a refused message opens no session by itself");
    assert!(queue.contains(&EventCode::TransferComplete));
    assert_eq!(open(&mut queue), ["7 TRANSFER COMPLETE", "M Upload=b"]);
}

#[test]
fn at_most_64_and_the_oldest_methods_go() {
    let mut queue = queue(&["1 BOOT"]);
    queue.add_message(transfer("d"), Some(method("Download", "old"))).unwrap();
    for n in 0..70 {
        queue.add(method("Reboot", &n.to_string())).unwrap();
    }
    let told = open(&mut queue);
    assert_eq!(told.len(), MAX_EVENTS);
    assert_eq!(told[..3], ["1 BOOT", "7 TRANSFER COMPLETE", "M Reboot=8"]);
    queue.close_session(false);
    add(&mut queue, &["0 BOOTSTRAP"]);
    for n in 0..70 {
        queue.add(Event::of(EventCode::Vendor(format!("X {n}")))).unwrap();
    }
    add(&mut queue, &["1 BOOT"]);
    let told = open(&mut queue);
    assert_eq!((told.len(), &told[0][..], &told[1][..], &told[2][..]), (64, "0 BOOTSTRAP", "1 BOOT", "X 8"));
}

#[test]
fn messages_have_a_bound() {
    let mut queue = Queue::default();
    for _ in 0..MAX_MESSAGES {
        queue.add_message(transfer("a"), None).unwrap();
    }
    assert_eq!(queue.add_message(transfer("a"), None), Err(Refused::Full));
}

#[test]
fn passive_changes_ride_along() {
    let mut queue = Queue::default();
    queue.add_passive_value_change().unwrap();
    assert!(!queue.is_due() && !queue.is_empty());
    add(&mut queue, &["2 PERIODIC"]);
    assert!(queue.is_due());
    assert_eq!(session(&mut queue), ["2 PERIODIC", "4 VALUE CHANGE"]);
    queue.add_passive_value_change().unwrap();
    add(&mut queue, &["4 VALUE CHANGE"]);
    assert!(queue.is_due());
    queue.discard(&EventCode::ValueChange);
    assert!(queue.is_empty());
}

#[test]
fn the_ladder_retries_and_only_news_preempt() {
    let mut queue = queue(&["2 PERIODIC"]);
    assert!(queue.is_due());
    failure(&mut queue);
    assert!(!queue.is_due());
    add(&mut queue, &["6 CONNECTION REQUEST"]);
    assert!(queue.is_due());
    assert_eq!(failure(&mut queue), ["2 PERIODIC", "6 CONNECTION REQUEST"]);
    assert!(!queue.is_due());
    assert_eq!(session(&mut queue), ["2 PERIODIC"]);
}

#[test]
fn a_heartbeat_goes_first_and_alone() {
    let mut queue = queue(&["2 PERIODIC", "14 HEARTBEAT"]);
    queue.add_message(transfer("d"), Some(method("Download", "d"))).unwrap();
    let snapshot = queue.open_session(Version::V1_4);
    assert_eq!(
        (texts(&snapshot), snapshot.heartbeat, snapshot.calls.len()),
        (vec!["14 HEARTBEAT".to_owned()], true, 0)
    );
    add(&mut queue, &["14 HEARTBEAT"]);
    queue.delivered(Receipt::Inform);
    queue.close_session(true);
    assert!(queue.is_due(), "the others go at once");
    assert_eq!(session(&mut queue), ["2 PERIODIC", "7 TRANSFER COMPLETE", "M Download=d"]);
}

#[test]
fn a_failing_heartbeat_leaves_the_others_to_the_ladder() {
    let mut queue = queue(&["6 CONNECTION REQUEST", "14 HEARTBEAT"]);
    assert_eq!(failure(&mut queue), ["14 HEARTBEAT"]);
    assert!(!queue.is_due());
    assert_eq!(session(&mut queue), ["14 HEARTBEAT"]);
    assert!(queue.is_due());
    assert_eq!(session(&mut queue), ["6 CONNECTION REQUEST"], "not tried yet, hence not retried");
}

#[test]
fn a_heartbeat_waits_for_a_retry() {
    let mut queue = queue(&["2 PERIODIC"]);
    failure(&mut queue);
    add(&mut queue, &["14 HEARTBEAT"]);
    assert!(!queue.is_due(), "a heartbeat does not preempt the ladder");
    assert_eq!(failure(&mut queue), ["2 PERIODIC"]);
    assert_eq!(session(&mut queue), ["2 PERIODIC"]);
    assert!(queue.is_due());
    assert_eq!(failure(&mut queue), ["14 HEARTBEAT"]);
    add(&mut queue, &["14 HEARTBEAT"]);
    assert!(!queue.is_due(), "one triggered while another is retried is discarded");
    assert_eq!(session(&mut queue), ["14 HEARTBEAT"]);
    assert!(queue.is_empty());
}

#[test]
fn an_older_version_is_told_only_what_it_knows() {
    let mut queue = queue(&["2 PERIODIC", "13 WAKEUP", "14 HEARTBEAT"]);
    queue.add_message(transfer("a"), Some(method("ScheduleDownload", "a"))).unwrap();
    queue.add_message(transfer("b"), Some(method("Download", "b"))).unwrap();
    let snapshot = queue.open_session(Version::V1_0);
    assert_eq!(texts(&snapshot), ["2 PERIODIC", "7 TRANSFER COMPLETE", "M Download=b"]);
    assert_eq!((snapshot.calls.len(), snapshot.heartbeat), (1, false));
    queue.delivered(Receipt::Inform);
    queue.delivered(Receipt::Call(snapshot.calls[0].ticket.unwrap()));
    queue.close_session(true);
    assert!(!queue.is_due(), "what the ACS cannot understand must not call it again and again");
    assert_eq!(session(&mut queue), ["14 HEARTBEAT"]);
    assert_eq!(open(&mut queue), ["7 TRANSFER COMPLETE", "13 WAKEUP", "M ScheduleDownload=a"]);
}

#[test]
fn a_crash_in_a_session_sends_again() {
    let mut queue = queue(&["1 BOOT", "M Reboot=r"]);
    queue.add_message(transfer("d"), Some(method("Download", "d"))).unwrap();
    let told = open(&mut queue);
    let stored = serde_json::to_string(&queue).unwrap();
    let mut queue: Queue = serde_json::from_str(&stored).unwrap();
    assert!(queue.is_due());
    assert_eq!(open(&mut queue), told);
}

#[test]
fn each_message_has_its_event_and_its_request() {
    let mut queue = Queue::default();
    for (message, cause) in kinds() {
        queue.add_message(message, cause).unwrap();
    }
    let stored = serde_json::to_string(&queue).unwrap();
    let mut queue: Queue = serde_json::from_str(&stored).unwrap();
    let told = queue.open_session(Version::V1_4);
    assert_eq!(
        texts(&told),
        [
            "5 KICKED",
            "7 TRANSFER COMPLETE",
            "9 REQUEST DOWNLOAD",
            "10 AUTONOMOUS TRANSFER COMPLETE",
            "11 DU STATE CHANGE COMPLETE",
            "12 AUTONOMOUS DU STATE CHANGE COMPLETE",
            "M Download=d",
            "M ChangeDUState=u",
        ]
    );
    for (call, (message, _)) in told.calls.iter().zip(kinds()) {
        assert_eq!(call.request, message.request());
        queue.delivered(Receipt::Call(call.ticket.unwrap()));
    }
    assert_eq!(told.calls.len(), 6);
    queue.delivered(Receipt::Inform);
    queue.close_session(true);
    assert!(queue.is_empty());
}

#[test]
fn two_kinds_of_messages_get_one_attempt() {
    let told = ["5 KICKED", "9 REQUEST DOWNLOAD", "11 DU STATE CHANGE COMPLETE", "M ChangeDUState=u"];
    let full = || {
        let mut queue = Queue::default();
        queue.add_message(kicked(), None).unwrap();
        queue.add_message(request_download(), None).unwrap();
        queue.add_message(du("u"), Some(method("ChangeDUState", "u"))).unwrap();
        queue
    };
    for session in [session, failure] {
        let mut queue = full();
        assert_eq!(session(&mut queue), told);
        assert_eq!(open(&mut queue), told[2..]);
    }
    // Added during a session, they have not had theirs yet; nor when a heartbeat had it.
    let mut queue = full();
    open(&mut queue);
    queue.add_message(kicked(), None).unwrap();
    add(&mut queue, &["14 HEARTBEAT"]);
    queue.close_session(true);
    assert_eq!(session(&mut queue), ["14 HEARTBEAT"]);
    assert_eq!(open(&mut queue)[0], "5 KICKED");
    let mut queue = full();
    queue.booted(false, &[]).unwrap();
    assert_eq!(session(&mut queue), ["1 BOOT", told[2], told[3]]);
    let mut queue = full();
    add(&mut queue, &["0 BOOTSTRAP"]);
    assert_eq!(session(&mut queue), ["0 BOOTSTRAP"]);
}

#[test]
fn messages_of_newer_versions_stay() {
    for (version, told) in [
        (Version::V1_0, &["7 TRANSFER COMPLETE", "M Download=d"][..]),
        (Version::V1_1, &["7 TRANSFER COMPLETE", "10 AUTONOMOUS TRANSFER COMPLETE", "M Download=d"]),
    ] {
        let mut queue = Queue::default();
        for (message, cause) in kinds().into_iter().take(4) {
            queue.add_message(message, cause).unwrap();
        }
        let snapshot = queue.open_session(version);
        assert_eq!(texts(&snapshot), told);
        for call in snapshot.calls {
            queue.delivered(Receipt::Call(call.ticket.unwrap()));
        }
        queue.close_session(true);
        assert!(!queue.is_empty() && !queue.is_due());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(usize),
    Message(usize),
    Passive,
    Session { inform: bool, calls: usize, news: Vec<usize>, successful: bool, version: usize },
    Restart,
    Boot(bool),
}

const CODES: [&str; 12] = [
    "0 BOOTSTRAP",
    "1 BOOT",
    "2 PERIODIC",
    "4 VALUE CHANGE",
    "6 CONNECTION REQUEST",
    "8 DIAGNOSTICS COMPLETE",
    "13 WAKEUP",
    "14 HEARTBEAT",
    "M Reboot=r",
    "M ScheduleInform=s",
    "X a",
    "X b",
];

fn step() -> impl Strategy<Value = Step> {
    let news = proptest::collection::vec(1..CODES.len(), 0..4);
    prop_oneof![
        4 => (0..CODES.len()).prop_map(Step::Add),
        1 => (0usize..6).prop_map(Step::Message),
        1 => Just(Step::Passive),
        4 => (any::<bool>(), 0usize..4, news, any::<bool>(), 0usize..5).prop_map(
            |(inform, calls, news, successful, version)| Step::Session { inform, calls, news, successful, version }
        ),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Boot),
    ]
}

proptest! {
    #[test]
    fn any_history(steps in proptest::collection::vec(step(), 1..120)) {
        let mut queue = Queue::default();
        for step in steps {
            match step {
                Step::Add(n) => {
                    add(&mut queue, &[CODES[n]]);
                    prop_assert!(n != 0 || queue.entries.len() == 1, "bootstrap stands alone");
                }
                Step::Message(n) => {
                    let (message, cause) = kinds()[n].clone();
                    drop(queue.add_message(message, cause));
                }
                Step::Passive => queue.add_passive_value_change().unwrap(),
                Step::Session { inform, calls, news, successful, version } => {
                    let bootstrap = queue.contains(&EventCode::Bootstrap);
                    let told = queue.open_session(Version::ALL[version]);
                    prop_assert!(told.events.len() <= MAX_EVENTS);
                    let single = |event: &&Event| !matches!(event.code, EventCode::Method(_));
                    let mut singles: Vec<_> = told.events.iter().filter(single).collect();
                    let count = singles.len();
                    singles.dedup();
                    prop_assert_eq!(count, singles.len());
                    for (message, _) in kinds() {
                        let called = told.calls.iter().any(|call| call.request.name() == message.request().name());
                        prop_assert_eq!(called, told.events.iter().any(|event| event.code == message.event()));
                    }
                    let alone = told.events.iter().any(|e| e.code == EventCode::Heartbeat);
                    prop_assert_eq!(told.heartbeat, alone);
                    prop_assert!(!alone || told.events.len() == 1);
                    for n in news {
                        add(&mut queue, &[CODES[n]]);
                    }
                    if inform {
                        queue.delivered(Receipt::Inform);
                        for call in told.calls.iter().take(calls) {
                            queue.delivered(Receipt::Call(call.ticket.unwrap()));
                        }
                    }
                    queue.close_session(successful);
                    let once = |call: &&Call| matches!(call.request, Request::Kicked(_) | Request::RequestDownload(_));
                    for call in told.calls.iter().filter(once) {
                        prop_assert!(queue.messages.iter().all(|pending| Some(pending.ticket) != call.ticket));
                    }
                    let still = queue.contains(&EventCode::Bootstrap);
                    prop_assert_eq!(still, bootstrap && (!inform || told.heartbeat), "bootstrap is kept until confirmed");
                }
                Step::Restart => {
                    let stored = serde_json::to_string(&queue).unwrap();
                    queue = serde_json::from_str(&stored).unwrap();
                    prop_assert_eq!(serde_json::to_string(&queue).unwrap(), stored);
                }
                Step::Boot(bootstrap) => queue.booted(bootstrap, &["r".to_owned()]).unwrap(),
            }
            prop_assert!(queue.waiting() <= MAX_EVENTS);
        }
        // An ACS that takes everything ends the matter in a few sessions.
        for _ in 0..4 {
            let told = queue.open_session(Version::V1_4);
            queue.delivered(Receipt::Inform);
            for call in told.calls {
                queue.delivered(Receipt::Call(call.ticket.unwrap()));
            }
            queue.close_session(true);
        }
        prop_assert!(queue.is_empty() && !queue.is_due());
    }
}

#[test]
fn an_attempt_cut_short_by_a_crash_was_the_only_one() {
    let mut queue = queue(&["2 PERIODIC", "6 CONNECTION REQUEST"]);
    queue.add_message(kicked(), None).unwrap();
    queue.add_message(request_download(), None).unwrap();
    let killed =
        |queue: &Queue| -> Queue { serde_json::from_str(&serde_json::to_string(queue).unwrap()).unwrap() };
    let mut waiting = killed(&queue);
    let all = ["2 PERIODIC", "5 KICKED", "6 CONNECTION REQUEST", "9 REQUEST DOWNLOAD"];
    assert_eq!(open(&mut waiting), all, "no session has tried them");
    assert_eq!(open(&mut queue), all);
    assert_eq!(open(&mut killed(&queue)), ["2 PERIODIC"]);
    // What comes during the session has had no attempt.
    add(&mut queue, &["6 CONNECTION REQUEST"]);
    queue.add_message(kicked(), None).unwrap();
    assert_eq!(open(&mut killed(&queue)), ["2 PERIODIC", "5 KICKED", "6 CONNECTION REQUEST"]);
}

#[test]
fn no_heartbeat_before_the_first_contact() {
    let mut queue = queue(&["0 BOOTSTRAP", "1 BOOT", "14 HEARTBEAT"]);
    assert_eq!(session(&mut queue), ["0 BOOTSTRAP", "1 BOOT"]);
    assert!(queue.is_due());
    assert_eq!(session(&mut queue), ["14 HEARTBEAT"]);
    assert!(queue.is_empty());
}
