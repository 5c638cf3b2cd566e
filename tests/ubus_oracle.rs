//! A ubus client that nobody here wrote (the crate `ubus`) lists and calls our server through the lab's broker.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::poll::{PollFd, PollTimeout, poll};
use rcwmp::lab::router::broker::Broker;
use rcwmp::sys::clock::Monotonic;
use rcwmp::ubus::blobmsg::{Kind, Table, Value};
use rcwmp::ubus::msg::Status;
use rcwmp::ubus::object::Method;
use rcwmp::ubus::server::{Incoming, Server, Service};

/// What the object answers: every type that the oracle can read.
fn answer(name: &str) -> Table {
    Table::new()
        .with("text", name)
        .with("up", true)
        .with("n", -5)
        .with("big", 5_000_000_000_i64)
        .with("half", 0.5)
        .with("list", vec![Value::from(1), Value::from("two"), Value::from(Table::new().with("x", 3))])
        .with("nested", Table::new().with("deep", Table::new().with("deeper", "x")))
}

fn serve(server: &mut Server, stop: &AtomicBool) {
    let clock = Monotonic::start();
    while !stop.load(Ordering::Relaxed) {
        let mut incoming = server.on_tick(clock.now());
        let (fd, wanted) = server.fd().expect("connected");
        poll(&mut [PollFd::new(fd, wanted)], PollTimeout::from(20_u8)).unwrap();
        incoming.extend(server.on_ready(clock.now()));
        for one in incoming {
            if let Incoming::Call { arguments, request, .. } = one {
                let result = match arguments.text("name") {
                    Some(name) => Ok(answer(&name)),
                    None => Err(Status::InvalidArgument),
                };
                server.answer(request, result).unwrap();
            }
        }
    }
}

#[test]
fn a_stranger_lists_and_calls() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ubus.sock");
    let broker = Broker::start(&path, Vec::new()).unwrap();
    let methods = vec![
        Method::new("status").with("name", Kind::String).with("all", Kind::Int8).with("n", Kind::Int32),
        Method::new("reload"),
    ];
    let objects = vec![("test".to_owned(), methods.clone()), ("test.two".to_owned(), methods)];
    let mut server = Server::new(&path, Service { objects, ..Service::default() }).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| serve(&mut server, &stop));
        let outcome = std::panic::catch_unwind(|| ask(&path));
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    broker.stop();
}

fn ask(path: &std::path::Path) {
    let mut stranger = ubus_oracle::Connection::connect(path).unwrap();
    // Until the server has registered both.
    for _ in 0..500 {
        let mut count = 0;
        stranger.lookup_cb("", |_| count += 1, |_| {}).unwrap();
        if count == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut signatures: Vec<(String, String, usize)> = Vec::new();
    stranger
        .lookup_cb(
            "test*",
            |_| {},
            |method| {
                let mut arguments: Vec<&str> = method.args.keys().copied().collect();
                arguments.sort_unstable();
                signatures.push((method.object.path.to_owned(), method.name.to_owned(), arguments.len()));
            },
        )
        .unwrap();
    // It keeps methods in no order.
    signatures.sort();
    let expected =
        [("test", "reload", 0), ("test", "status", 3), ("test.two", "reload", 0), ("test.two", "status", 3)];
    assert_eq!(signatures.len(), expected.len());
    for (found, expected) in signatures.iter().zip(expected) {
        assert_eq!((found.0.as_str(), found.1.as_str(), found.2), expected);
    }
    assert!(matches!(stranger.lookup_id("nosuch"), Err(ubus_oracle::UbusError::Status(4))));
    // Its booleans are numbers in JSON.
    let text = stranger.call("test", "status", "{\"name\":\"lan\",\"all\":1,\"n\":7}").unwrap();
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut expected = rcwmp::ubus::json::table_to_value(&answer("lan"));
    expected["up"] = 1.into();
    assert_eq!(read, expected);
    // Without arguments, refused in our server's words.
    let refused = stranger.call("test", "reload", "{}");
    assert!(matches!(refused, Err(ubus_oracle::UbusError::Status(2))), "{refused:?}");
    let id = stranger.lookup_id("test").unwrap();
    let refused = stranger.invoke(id, "nosuch", &[], |_| {});
    assert!(matches!(refused, Err(ubus_oracle::UbusError::Status(3))), "{refused:?}");
    assert!(matches!(stranger.invoke(77, "x", &[], |_| {}), Err(ubus_oracle::UbusError::Status(4))));
}
