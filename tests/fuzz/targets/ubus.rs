//! Any octets as ubus: what ubusd could send us, what a client could send the broker, fields, JSON.
//!
//! The first octet says which, the second how the rest is cut. Nothing may panic, and what is read must be written
//! so that it reads the same.

use rcwmp::ubus::blobmsg::Table;
use rcwmp::ubus::json;
use rcwmp::ubus::msg::{self, Status};
use rcwmp::ubus::object::{self, Method};
use rcwmp::ubus::peer::{Event, MAX_UNSENT, Peer};

/// One input.
pub fn run(octets: &[u8]) {
    let [which, cut, rest @ ..] = octets else { return };
    let step = usize::from(*cut) + 1;
    match which % 4 {
        0 => client(rest, step),
        1 => broker(rest, step),
        2 => fields(rest),
        _ => text(rest),
    }
}

/// A peer with requests of every kind under way, which answers what it is asked.
fn client(octets: &[u8], step: usize) {
    let mut peer = Peer::new();
    let table = Table::new().with("x", 1);
    // These have the numbers 1 to 8, in this order.
    let calls = [
        peer.lookup(None),
        peer.add_object("o", &[Method::new("m")]),
        peer.add_receiver(),
        peer.invoke(1025, "m", &table),
        peer.remove_object(1025),
        peer.subscribe(1025, 1026),
        peer.notify_and_wait(1025, "n", &table),
        peer.ping(),
    ];
    let mut waiting: Vec<_> = calls.into_iter().map(|call| call.expect("few and small")).collect();
    let mut broken = false;
    for part in octets.chunks(step) {
        for event in peer.receive(part) {
            assert!(!broken, "something after the end: {event:?}");
            match event {
                Event::Ended(call, _) => {
                    let at = waiting.iter().position(|waiting| *waiting == call);
                    waiting.remove(at.expect("a request ends once"));
                }
                Event::Data(call, _)
                | Event::Found(call, _)
                | Event::Added(call, _)
                | Event::Removed(call, _) => {
                    assert!(waiting.contains(&call), "an answer to what has ended");
                }
                Event::Invoked(call) => {
                    let _ = peer.respond(&call.caller, &call.arguments);
                    let _ = peer.complete(call.caller, Status::Ok);
                }
                Event::Unreadable(why) => broken = why.is_fatal(),
                Event::Welcome(_) | Event::Subscribers { .. } | Event::TargetGone { .. } => {}
            }
        }
        assert!(peer.unsent().len() <= MAX_UNSENT);
        if broken {
            break;
        }
    }
    assert_eq!(peer.lost().len(), waiting.len());
}

/// A broker with two clients: one has an object and listens, the other is hostile.
#[cfg(feature = "lab")]
fn broker(octets: &[u8], step: usize) {
    use rcwmp::lab::router::broker::hub::{Hub, Out};
    use rcwmp::ubus::msg::{Kind, Reader};

    let mut next = 1023;
    let numbers = move |_| {
        next += 1;
        next
    };
    let mut hub = Hub::new(Vec::new(), Box::new(numbers));
    let mut out = Out::new();
    let mut honest = Peer::new();
    let one = hub.connect("root", "root", &mut out).expect("the first");
    let other = hub.connect("user", "users", &mut out).expect("the second");
    let requests =
        [honest.add_object("o", &[Method::new("m")]), honest.add_receiver(), honest.listen(1028, "*")];
    assert!(requests.iter().all(Result::is_ok));
    let mut reader = Reader::new();
    reader.feed(honest.unsent());
    while let Some(Ok(raw)) = reader.raw() {
        hub.receive(one, raw, &mut out);
    }
    let mut reader = Reader::new();
    'all: for part in octets.chunks(step) {
        reader.feed(part);
        while let Some(raw) = reader.raw() {
            let Ok(raw) = raw else { break 'all };
            hub.receive(other, raw, &mut out);
        }
    }
    // Everything that the broker sends is whole and for somebody.
    for (to, octets) in out.drain(..) {
        assert!(to == one || to == other);
        if octets[1] == Kind::Monitor as u8 {
            // What a monitor is told has attributes of its own numbers, and the head of all messages.
            let mut reader = Reader::new();
            reader.feed(&octets);
            assert!(matches!(reader.raw(), Some(Ok(raw)) if raw.len() == octets.len()), "{octets:02x?}");
            continue;
        }
        let answer = msg::decode(&octets);
        // What is passed on as it is has been read before.
        assert!(answer.is_ok(), "{answer:?}");
    }
    hub.disconnect(other, &mut out);
    assert!(out.iter().all(|(to, _)| *to == one));
    hub.disconnect(one, &mut out);
    assert_eq!(hub.size(), (0, 0));
}

#[cfg(not(feature = "lab"))]
fn broker(octets: &[u8], _: usize) {
    let _ = msg::decode(octets);
}

fn fields(octets: &[u8]) {
    let _ = object::methods(octets);
    let Ok(table) = Table::decode(octets) else { return };
    let written = table.encode().expect("what was read can be written");
    let again = Table::decode(&written).expect("what was written can be read");
    assert_eq!(again.encode().as_deref(), Ok(&written[..]));
    let _ = (json::print(&table), json::print_line(&table), json::table_to_value(&table));
}

fn text(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let Ok(table) = json::parse(text) else { return };
    let line = json::print_line(&table);
    // Doubles lose decimals and their last bit, and fields without a name are printed without one.
    if let Ok(again) = json::parse(&line)
        && !line.contains('.')
    {
        assert_eq!(json::print_line(&again), line);
    }
    let written = table.encode().expect("a text this small fits");
    assert_eq!(Table::decode(&written).and_then(|again| again.encode()), Ok(written));
}
