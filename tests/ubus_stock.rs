//! The stock command `ubus`, stock servers and odd clients, in conversations that were captured at a stock ubusd: the
//! lab's broker answers each of them as it did.
//!
//! With a stock `ubus` at hand: `rcwmpd lab --router` shows its socket, and `ubus -s SOCKET` with `list`, `-v list`,
//! `call network.interface dump`, `listen`, `send`, `wait_for`, `subscribe` and `monitor` says there what it says on a
//! router, with the same exit codes.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/frames.rs"]
mod frames;

use frames::{frame, hex, replay};
use rcwmp::ubus::blobmsg::Table;
use rcwmp::ubus::json;
use rcwmp::ubus::msg::{self, Attribute, Kind, Reader};
use rcwmp::ubus::object;

const FRAMES: &str = include_str!("ubus/stock.txt");
/// Here begin requests that no stock program makes.
const ODD: &str = "## odd requests";

#[track_caller]
fn part(title: &str) -> &'static str {
    let begin = FRAMES.find(&format!("## {title}\n")).unwrap();
    let part = &FRAMES[begin..];
    &part[..part[2..].find("\n## ").map_or(part.len(), |end| end + 3)]
}

#[test]
fn ubus_list() {
    replay(part("ubus list"));
}

#[test]
fn ubus_call() {
    replay(part("ubus call"));
}

#[test]
fn ubus_listen_and_send() {
    replay(part("ubus listen and send"));
}

#[test]
fn ubus_wait_for() {
    replay(part("ubus wait_for"));
}

#[test]
fn ubus_subscribe() {
    replay(part("ubus subscribe"));
}

#[test]
fn ubus_monitor() {
    replay(part("ubus monitor"));
}

/// Our daemon's objects there, called by the stock command.
#[test]
fn rcwmpd() {
    let part = part("rcwmpd at a stock ubusd");
    replay(part);
    let answers: Vec<_> = part.lines().filter_map(frame).filter(|frame| !frame.from_ubusd).collect();
    let answers = answers.iter().map(|frame| msg::decode(&frame.octets).unwrap());
    let answers = answers.filter_map(|message| message.data().and_then(|data| Table::decode(data).ok()));
    let answers: Vec<_> = answers.map(|table| json::print_line(&table)).collect();
    for words in ["Session started", "values are looked at", "icwmpd daemon stopped", "24.10.4", "9005"] {
        assert!(answers.iter().any(|answer| answer.contains(words)), "{words}: {answers:?}");
    }
}

#[test]
fn odd_requests_for_objects() {
    replay(part("odd requests: objects"));
}

#[test]
fn odd_requests_for_events() {
    replay(part("odd requests: events"));
}

#[test]
fn odd_requests_for_subscriptions() {
    replay(part("odd requests: subscriptions"));
}

#[test]
fn odd_requests_for_monitors() {
    replay(part("odd requests: monitors"));
}

/// Everything at once, by chance: what is told to whom in which order while objects come and go.
#[test]
fn odd_requests_at_random() {
    replay(part("odd requests: at random"));
}

/// What stock programs say is read and written back as it is; of what they tell a monitor, only the head is looked at.
#[test]
fn every_frame_is_read_and_written_back() {
    let mut count = 0;
    let stock = FRAMES.split_once(ODD).unwrap().0;
    for frame in stock.lines().filter_map(frame) {
        if frame.octets[1] == Kind::Monitor as u8 {
            continue;
        }
        let mut reader = Reader::new();
        reader.feed(&frame.octets);
        let message = reader.message().unwrap().unwrap();
        assert_eq!(hex(&message.encode().unwrap()), hex(&frame.octets));
        for attribute in &message.attributes {
            match attribute {
                // The command asks for a monitor with what it has in the way, which is no table.
                Attribute::Data(_) if message.object_id() == Some(3) => {}
                Attribute::Data(octets) => {
                    assert_eq!(hex(&Table::decode(octets).unwrap().encode().unwrap()), hex(octets));
                }
                Attribute::Signature(octets) => {
                    let methods = object::methods(octets).unwrap();
                    assert_eq!(hex(&object::signature(&methods).unwrap()), hex(octets));
                }
                _ => {}
            }
        }
        count += 1;
    }
    assert!(count > 700, "{count}");
}
