//! The peer against messages written by hand.

use super::*;

fn connected() -> Peer {
    let mut peer = Peer::new();
    let hello = Message::new(Kind::Hello, 0, 7, vec![]);
    assert_eq!(peer.receive(&hello.encode().unwrap()), [Event::Welcome(7)]);
    peer
}

fn take(peer: &mut Peer) -> Vec<Message> {
    let mut reader = Reader::new();
    reader.feed(peer.unsent());
    let count = peer.unsent().len();
    peer.sent(count);
    std::iter::from_fn(|| reader.message()).map(|message| message.unwrap()).collect()
}

fn status(sequence: u16, from: u32, status: Status) -> Vec<u8> {
    let attributes = vec![Attribute::Status(status.number())];
    Message::new(Kind::Status, sequence, from, attributes).encode().unwrap()
}

fn data(sequence: u16, from: u32, data: &[u8]) -> Vec<u8> {
    let attributes = vec![Attribute::ObjectId(from), Attribute::Data(data.to_vec())];
    Message::new(Kind::Data, sequence, from, attributes).encode().unwrap()
}

fn invocation(object: u32, data: &[u8], more: &[Attribute]) -> Vec<u8> {
    let mut attributes =
        vec![Attribute::ObjectId(object), Attribute::Method("m".into()), Attribute::Data(data.to_vec())];
    attributes.extend_from_slice(more);
    Message::new(Kind::Invoke, 5, 99, attributes).encode().unwrap()
}

#[test]
fn answers_belong_to_their_requests() {
    let mut peer = connected();
    let first = peer.invoke(10, "a", &Table::new()).unwrap();
    let second = peer.invoke(20, "b", &Table::new()).unwrap();
    let table = Table::new().with("x", 1);
    let octets = table.encode().unwrap();
    assert_eq!(peer.receive(&data(2, 20, &octets)), [Event::Data(second, table)]);
    // Of another object, or of no request at all.
    assert_eq!(peer.receive(&data(2, 10, &octets)), []);
    assert_eq!(peer.receive(&status(1, 20, Status::Ok)), []);
    assert_eq!(peer.receive(&status(9, 20, Status::Ok)), []);
    let denied = Err(Failure::Status(Status::PermissionDenied));
    assert_eq!(peer.receive(&status(1, 10, Status::PermissionDenied)), [Event::Ended(first, denied)]);
    assert_eq!(peer.receive(&status(2, 20, Status::Ok)), [Event::Ended(second, Ok(()))]);
    assert_eq!(peer.receive(&status(2, 20, Status::Ok)), []);
}

#[test]
fn what_is_lost_is_told_and_what_is_forgotten_is_not() {
    let mut peer = connected();
    let first = peer.lookup(None).unwrap();
    let second = peer.ping().unwrap();
    peer.forget(second);
    assert_eq!(peer.receive(&status(2, 0, Status::Ok)), []);
    assert_eq!(peer.lost(), [Event::Ended(first, Err(Failure::Undelivered))]);
    assert_eq!((peer.client(), peer.unsent()), (None, &[][..]));
}

#[test]
fn a_broken_result_ends_its_call() {
    let mut peer = connected();
    let call = peer.invoke(10, "a", &Table::new()).unwrap();
    let events = peer.receive(&data(1, 10, b"\x85\0\0\x04"));
    assert!(
        matches!(&events[..], [Event::Ended(of, Err(Failure::Unreadable(_)))] if *of == call),
        "{events:?}"
    );
    let call = peer.invoke(10, "a", &Table::new()).unwrap();
    let events = peer.receive(b"\0\x02\0\x02\0\0\0\x0a\0\0\0\x08\x07\0\0\x05");
    assert!(
        matches!(&events[..], [Event::Ended(of, Err(Failure::Unreadable(_)))] if *of == call),
        "{events:?}"
    );
    let events = peer.receive(b"\x09\x02\0\x02\0\0\0\x0a\0\0\0\x08\x07\0\0\x05");
    assert!(matches!(&events[..], [Event::Unreadable(ReadError::Version(9))]), "{events:?}");
}

#[test]
fn somebody_calls() {
    let mut peer = connected();
    let mut events = peer.receive(&invocation(10, b"", &[Attribute::User("root".into())]));
    let Some(Event::Invoked(invocation)) = events.pop() else { panic!("{events:?}") };
    assert_eq!((invocation.object, invocation.user), (10, Some("root".into())));
    peer.respond(&invocation.caller, &Table::new().with("x", 1)).unwrap();
    let large = Table::new().with("x", "x".repeat(MAX_BODY));
    assert_eq!(peer.respond(&invocation.caller, &large), Err(SendError::Message(BlobError::TooLarge)));
    peer.complete(invocation.caller, Status::NoMemory).unwrap();
    let sent = take(&mut peer);
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|message| (message.sequence, message.peer) == (5, 99)));
    assert_eq!(sent[1].status(), Some(Status::NoMemory));
    assert_eq!(sent[1].object_id(), Some(10));
}

#[test]
fn a_broken_call_is_answered_and_one_without_reply_is_not() {
    let mut peer = connected();
    assert_eq!(peer.receive(&invocation(10, b"\x85\0\0\x04", &[])), []);
    assert_eq!(take(&mut peer)[0].status(), Some(Status::InvalidArgument));
    let mut events = peer.receive(&invocation(10, b"", &[Attribute::NoReply(true)]));
    let Some(Event::Invoked(invocation)) = events.pop() else { panic!("{events:?}") };
    peer.respond(&invocation.caller, &Table::new()).unwrap();
    peer.complete(invocation.caller, Status::Ok).unwrap();
    assert_eq!(take(&mut peer), []);
}

#[test]
fn a_notification_ends_when_all_have_answered() {
    let mut peer = connected();
    peer.notify(10, "n", &Table::new()).unwrap();
    let call = peer.notify_and_wait(10, "n", &Table::new()).unwrap();
    let sent = take(&mut peer);
    assert_eq!((sent[0].no_reply(), sent[1].no_reply()), (Some(true), None));
    let attributes = vec![Attribute::Subscribers(vec![30, 31]), Attribute::Status(0)];
    let ubusd = Message::new(Kind::Status, 2, 10, attributes).encode().unwrap();
    assert_eq!(peer.receive(&ubusd), []);
    assert_eq!(peer.receive(&status(2, 31, Status::Ok)), []);
    assert_eq!(peer.receive(&status(2, 32, Status::Ok)), []);
    assert_eq!(peer.receive(&status(2, 30, Status::Ok)), [Event::Ended(call, Ok(()))]);
    // Nobody there, and refused.
    let call = peer.notify_and_wait(10, "n", &Table::new()).unwrap();
    let ubusd = Message::new(Kind::Status, 3, 10, vec![Attribute::Subscribers(vec![])]);
    let events = peer.receive(&ubusd.encode().unwrap());
    assert!(matches!(&events[..], [Event::Ended(of, _)] if *of == call));
    let call = peer.notify_and_wait(10, "n", &Table::new()).unwrap();
    assert_eq!(
        peer.receive(&status(4, 10, Status::NotFound)),
        [Event::Ended(call, Err(Failure::Status(Status::NotFound)))]
    );
}

#[test]
fn requests_and_octets_are_bounded() {
    let mut peer = connected();
    for _ in 0..MAX_CALLS {
        peer.ping().unwrap();
    }
    assert_eq!(peer.ping(), Err(SendError::Busy));
    let mut peer = connected();
    let large = Table::new().with("x", "x".repeat(MAX_BODY - 2000));
    for _ in 0..MAX_UNSENT / MAX_BODY {
        peer.notify(1, "n", &large).unwrap();
    }
    assert_eq!(peer.notify(1, "n", &large), Err(SendError::Congested));
    let large = Table::new().with("x", "x".repeat(MAX_BODY - 1000));
    assert_eq!(peer.invoke(1, "n", &large), Err(SendError::Message(BlobError::TooLarge)));
    assert_eq!(peer.send_event("n", &large), Err(SendError::Message(BlobError::TooLarge)));
}

#[test]
fn numbers_go_round() {
    let mut peer = connected();
    let first = peer.ping().unwrap();
    for _ in 0..u16::MAX {
        let call = peer.ping().unwrap();
        assert!(call != first && call.0 != 0);
        peer.forget(call);
        let count = peer.unsent().len();
        peer.sent(count);
    }
}

#[test]
fn answers_are_bounded_together() {
    let mut peer = connected();
    let call = peer.invoke(10, "a", &Table::new()).unwrap();
    let other = peer.invoke(20, "b", &Table::new()).unwrap();
    let table = Table::new().with("text", "x".repeat(1_000_000));
    let octets = table.encode().unwrap();
    for _ in 0..4 {
        assert_eq!(peer.receive(&data(1, 10, &octets)), [Event::Data(call, table.clone())]);
    }
    assert_eq!(peer.receive(&data(1, 10, &octets)), [Event::Ended(call, Err(Failure::TooMuch))]);
    // What still comes is nobody's, and the other call goes on.
    assert_eq!(peer.receive(&data(1, 10, &octets)), []);
    assert_eq!(peer.receive(&status(1, 10, Status::Ok)), []);
    assert_eq!(peer.receive(&data(2, 20, &octets)), [Event::Data(other, table)]);
}

#[test]
fn a_status_without_room_is_told() {
    let mut peer = connected();
    let octets = Table::new().encode().unwrap();
    let came = peer.receive(&[invocation(3, &octets, &[]), invocation(3, &octets, &[])].concat());
    let callers = came.into_iter().map(|event| match event {
        Event::Invoked(invocation) => invocation.caller,
        other => panic!("{other:?}"),
    });
    for caller in callers {
        for size in [1_000_000, 100_000, 1000, 1] {
            let text = Table::new().with("text", "x".repeat(size));
            while peer.respond(&caller, &text).is_ok() {}
        }
        while peer.respond(&caller, &Table::new()).is_ok() {}
        assert!(!peer.is_stuck());
        if peer.complete(caller, Status::Ok).is_err() {
            return assert!(peer.is_stuck());
        }
        take(&mut peer);
    }
    panic!("there was always room");
}
