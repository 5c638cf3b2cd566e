//! Our ubus client and server over sockets, against the lab's broker and against others who misbehave.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rcwmp::lab::router::broker::Broker;
use rcwmp::lab::router::broker::hub::{Denial, MAX_CLIENTS, MAX_OBJECTS, Right};
use rcwmp::sys::clock::Monotonic;
use rcwmp::ubus::blobmsg::{Kind as Type, Table};
use rcwmp::ubus::client::{CallError, Client};
use rcwmp::ubus::msg::{Attribute, Kind, Message, Reader, Status};
use rcwmp::ubus::object::{self, Method};
use rcwmp::ubus::peer::{Event, Peer};
use rcwmp::ubus::server::{Incoming, Server, Service};

/// Ample on a busy machine; nothing here takes that long.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

struct Bus {
    folder: tempfile::TempDir,
    broker: Option<Broker>,
}

impl Bus {
    fn start(denials: Vec<Denial>) -> Bus {
        let folder = tempfile::tempdir().unwrap();
        let mut bus = Bus { folder, broker: None };
        bus.broker = Some(Broker::start(&bus.path(), denials).unwrap());
        bus
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ubus.sock")
    }

    fn client(&self) -> Client {
        Client::connect(&self.path(), LONG).unwrap()
    }

    fn stop(&mut self) {
        self.broker.take().unwrap().stop();
    }
}

type Order = Box<dyn FnOnce(&mut Server) + Send>;

/// A server with a loop of its own; it answers `echo`, `large` and `late`, and leaves `never` alone.
struct Running {
    orders: Option<Sender<Order>>,
    news: Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(path: &Path, service: Service) -> Running {
        let mut server = Server::new(path, service).unwrap();
        let (orders, inbox) = mpsc::channel::<Order>();
        let (tell, news) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let clock = Monotonic::start();
            let mut late = Vec::new();
            loop {
                match inbox.try_recv() {
                    Ok(order) => order(&mut server),
                    Err(mpsc::TryRecvError::Empty) => {}
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
                let mut incoming = server.on_tick(clock.now());
                if let Some((fd, wanted)) = server.fd() {
                    let mut fds = [PollFd::new(fd, wanted)];
                    if poll(&mut fds, PollTimeout::from(10_u8)).unwrap() > 0 {
                        incoming.extend(server.on_ready(clock.now()));
                    }
                } else {
                    std::thread::sleep(Duration::from_millis(10));
                }
                for one in incoming {
                    handle(one, &mut server, &mut late, &tell, clock.now());
                }
                while late.first().is_some_and(|(_, at)| *at <= clock.now()) {
                    let (request, _) = late.remove(0);
                    let done = server.answer(request, Ok(Table::new().with("late", true)));
                    let _ = tell.send(format!("late {done:?}"));
                }
            }
        });
        Running { orders: Some(orders), news, thread: Some(thread) }
    }

    fn order(&self, order: impl FnOnce(&mut Server) + Send + 'static) {
        self.orders.as_ref().unwrap().send(Box::new(order)).unwrap();
    }

    /// Waits for news that begin so, and drops what comes before.
    #[track_caller]
    fn wait_for(&self, begin: &str) -> String {
        let end = Instant::now() + LONG;
        let mut before = Vec::new();
        while let Ok(text) = self.news.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if text.starts_with(begin) {
                return text;
            }
            before.push(text);
        }
        panic!("no {begin:?} after {before:?}");
    }

    /// What has come since.
    fn rest(&self) -> Vec<String> {
        std::thread::sleep(SHORT);
        self.news.try_iter().collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.orders.take();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn handle(
    incoming: Incoming,
    server: &mut Server,
    late: &mut Vec<(rcwmp::ubus::server::Request, Duration)>,
    tell: &Sender<String>,
    now: Duration,
) {
    let text = match incoming {
        Incoming::Ready => "ready".to_owned(),
        Incoming::Down(why) => format!("down {why}"),
        Incoming::Refused { name, status } => format!("refused {name}: {status}"),
        Incoming::Event { name, data } => format!("event {name} {}", rcwmp::ubus::json::print_line(&data)),
        Incoming::Notification { target, name, data } => {
            format!("notification {target} {name} {}", rcwmp::ubus::json::print_line(&data))
        }
        Incoming::Subscribers { object, active } => format!("subscribers {object} {active}"),
        Incoming::Call { method, arguments, request, user, .. } => match method.as_str() {
            "echo" => {
                server.answer(request, Ok(arguments)).unwrap();
                format!("echo for {}", user.unwrap_or_default())
            }
            "large" => {
                let size = arguments.get("size").and_then(|size| size.as_i64()).unwrap_or_default();
                let text = "x".repeat(usize::try_from(size).unwrap());
                let done = server.answer(request, Ok(Table::new().with("text", text)));
                done.map_or_else(|why| format!("large {why}"), |()| "large done".to_owned())
            }
            "many" => {
                for at in 0..3 {
                    server.reply(&request, &Table::new().with("at", at)).unwrap();
                }
                server.complete(request, Status::NoData).unwrap();
                "many done".to_owned()
            }
            "late" => {
                late.push((request, now + 2 * SHORT));
                "late asked".to_owned()
            }
            "never" => {
                late.push((request, now + 10 * LONG));
                "never asked".to_owned()
            }
            other => panic!("{other}"),
        },
    };
    let _ = tell.send(text);
}

fn service(path: &str) -> Service {
    let echo = Method::new("echo").with("text", Type::String);
    let names = ["large", "many", "late", "never"];
    let methods = std::iter::once(echo).chain(names.map(Method::new)).collect();
    Service { objects: vec![(path.to_owned(), methods)], ..Service::default() }
}

fn refused<T: std::fmt::Debug>(result: Result<T, CallError>, expected: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

fn denial(right: Right, name: &str, method: Option<&str>) -> Denial {
    Denial { right, name: name.to_owned(), method: method.map(str::to_owned) }
}

#[test]
fn calls() {
    let bus = Bus::start(Vec::new());
    let server = Running::start(&bus.path(), service("test"));
    server.wait_for("ready");
    let mut client = bus.client();
    let text = Table::new().with("text", "hello").with("n", 5_000_000_000_i64);
    assert_eq!(client.call("test", "echo", &text, LONG), Ok(vec![text.clone()]));
    assert!(server.wait_for("echo for").len() > "echo for ".len());
    refused(client.call("test", "nosuch", &text, LONG), "test nosuch was refused: Method not found");
    refused(client.call("nosuch", "echo", &text, LONG), "ubus has no object nosuch");
    refused(client.call("tes*", "echo", &text, LONG), "ubus has no object tes*");
    refused(client.call("test", "many", &text, LONG), "No response");
    let found = client.list(Some("tes*"), LONG).unwrap();
    let methods = object::methods(&found[0].signature).unwrap();
    assert_eq!((found.len(), &methods), (1, &service("test").objects[0].1));
    refused(client.list(Some("x*"), LONG), "no object x*");
    assert_eq!(client.list(None, LONG).unwrap(), found);
}

#[test]
fn one_mebibyte() {
    let bus = Bus::start(Vec::new());
    let server = Running::start(&bus.path(), service("test"));
    server.wait_for("ready");
    let mut client = bus.client();
    let size = |size: i32| Table::new().with("size", size);
    // Heads of message, attributes and field take 28 octets, the NUL one.
    let most = (1 << 20) - 28 - 4;
    let results = client.call("test", "large", &size(most), LONG).unwrap();
    assert_eq!(results[0].text("text").unwrap().len(), most as usize);
    server.wait_for("large done");
    refused(client.call("test", "large", &size(1 << 20), LONG), "Out of memory");
    server.wait_for("large the ubus message is larger than 1048576 octets");
    let large = Table::new().with("text", "x".repeat(1 << 20));
    refused(client.call("test", "echo", &large, LONG), "larger than 1048576 octets");
    let large = Table::new().with("text", "x".repeat((1 << 20) - 2000));
    assert_eq!(client.call("test", "echo", &large, LONG), Ok(vec![large]));
}

#[test]
fn time_is_limited_and_late_answers_are_nobodys() {
    let bus = Bus::start(Vec::new());
    let server = Running::start(&bus.path(), service("test"));
    server.wait_for("ready");
    let mut client = bus.client();
    let start = Instant::now();
    refused(client.call("test", "late", &Table::new(), SHORT), "test late was not answered within 200 ms");
    assert!(start.elapsed() >= SHORT);
    server.wait_for("late Ok");
    let text = Table::new().with("text", "x");
    assert_eq!(client.call("test", "echo", &text, LONG), Ok(vec![text]));
    assert_eq!(client.call("test", "late", &Table::new(), LONG), Ok(vec![Table::new().with("late", true)]));
}

#[test]
fn events() {
    let bus = Bus::start(vec![denial(Right::Listen, "secret", None), denial(Right::Send, "mute*", None)]);
    let events = ["test.*", "one", "secret"].map(str::to_owned).to_vec();
    let hearer = Running::start(&bus.path(), Service { events, ..Service::default() });
    assert_eq!(hearer.wait_for("refused"), "refused secret: Permission denied");
    hearer.wait_for("ready");
    let mut client = bus.client();
    let data = Table::new().with("n", 1);
    for name in ["test.event", "tes", "one", "one.more", "secret"] {
        client.send_event(name, &data, LONG).unwrap();
    }
    assert_eq!(hearer.wait_for("event"), "event test.event {\"n\":1}");
    assert_eq!(hearer.wait_for("event"), "event one {\"n\":1}");
    refused(client.send_event("ubus.object.add", &data, LONG), "Permission denied");
    refused(client.send_event("mute.x", &data, LONG), "Permission denied");
    // From a server, and not back to itself.
    let other = Running::start(&bus.path(), service("test"));
    other.wait_for("ready");
    other.order(|server| server.send_event("test.two", &Table::new()).unwrap());
    assert_eq!(hearer.wait_for("event"), "event test.two {}");
    hearer.order(|server| server.send_event("test.own", &Table::new()).unwrap());
    assert_eq!(hearer.rest(), [""; 0]);
}

#[test]
fn notifications_of_an_object_that_comes_and_goes() {
    let bus = Bus::start(vec![denial(Right::Subscribe, "private", None)]);
    let targets = vec!["test".to_owned(), "private".to_owned()];
    let private = Running::start(&bus.path(), service("private"));
    private.wait_for("ready");
    let subscriber = Running::start(&bus.path(), Service { targets, ..Service::default() });
    assert_eq!(subscriber.wait_for("refused"), "refused private: Not found");
    subscriber.wait_for("ready");
    for round in 1..4 {
        let owner = Running::start(&bus.path(), service("test"));
        assert_eq!(owner.wait_for("subscribers"), "subscribers test true");
        owner.order(move |server| {
            server.notify("test", "changed", &Table::new().with("round", round)).unwrap();
            assert!(server.notify("nosuch", "changed", &Table::new()).is_err());
        });
        let expected = format!("notification test changed {{\"round\":{round}}}");
        assert_eq!(subscriber.wait_for("notification"), expected);
        assert_eq!(subscriber.rest(), [""; 0]);
    }
    let owner = Running::start(&bus.path(), service("test"));
    assert_eq!(owner.wait_for("subscribers"), "subscribers test true");
    drop(subscriber);
    assert_eq!(owner.wait_for("subscribers"), "subscribers test false");
}

#[test]
fn ubusd_restarts() {
    let mut bus = Bus::start(Vec::new());
    let mut everything = service("test");
    everything.events.push("go".to_owned());
    let server = Running::start(&bus.path(), everything);
    server.wait_for("ready");
    let mut client = bus.client();
    let text = Table::new().with("text", "x");
    let caller = std::thread::spawn({
        let mut client = bus.client();
        move || client.call("test", "late", &Table::new(), LONG)
    });
    server.wait_for("late asked");
    bus.stop();
    assert!(!bus.path().exists());
    // Neither the caller nor the one who answers is left in the dark.
    let lost = caller.join().unwrap();
    assert!(matches!(lost, Err(CallError::Lost { .. })), "{lost:?}");
    assert!(server.wait_for("down").contains("closed the connection"));
    refused(client.call("test", "echo", &text, LONG), "no connection to ubus at");
    server.wait_for("late Err(Gone)");
    bus.broker = Some(Broker::start(&bus.path(), Vec::new()).unwrap());
    server.wait_for("ready");
    assert_eq!(client.call("test", "echo", &text, LONG), Ok(vec![text]));
    client.send_event("go", &Table::new(), LONG).unwrap();
    server.wait_for("event go");
}

#[test]
fn an_owner_restarts() {
    let bus = Bus::start(Vec::new());
    let mut client = bus.client();
    let text = Table::new().with("text", "x");
    for _ in 0..2 {
        let server = Running::start(&bus.path(), service("test"));
        server.wait_for("ready");
        assert_eq!(client.call("test", "echo", &text, LONG), Ok(vec![text.clone()]));
        drop(server);
        // A call that meets the owner while it leaves is lost, on any ubusd.
        let mut other = bus.client();
        let end = Instant::now() + LONG;
        while other.list(Some("test"), LONG).is_ok() {
            assert!(Instant::now() < end, "the object stays");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    refused(client.call("test", "echo", &text, LONG), "no object test");
}

#[test]
fn access_is_denied() {
    let bus = Bus::start(vec![
        denial(Right::Access, "test", Some("echo")),
        denial(Right::Access, "hidden*", None),
        denial(Right::Publish, "forbidden", None),
    ]);
    let server = Running::start(&bus.path(), service("test"));
    server.wait_for("ready");
    let mut client = bus.client();
    let denied = client.call("test", "echo", &Table::new(), LONG);
    assert_eq!(denied.as_ref().map_err(CallError::status), Err(Status::PermissionDenied));
    refused(denied, "test echo was refused: Permission denied");
    let found = client.list(None, LONG).unwrap();
    assert!(object::methods(&found[0].signature).unwrap().iter().all(|method| method.name != "echo"));
    let hidden = Running::start(&bus.path(), service("hidden.one"));
    hidden.wait_for("ready");
    assert_eq!(client.list(Some("hidden.one"), LONG), Ok(Vec::new()));
    let forbidden = Running::start(&bus.path(), service("forbidden"));
    assert_eq!(forbidden.wait_for("refused"), "refused forbidden: Invalid argument");
    forbidden.wait_for("ready");
    // So it is with a name that is taken.
    let second = Running::start(&bus.path(), service("test"));
    assert_eq!(second.wait_for("refused"), "refused test: Invalid argument");
}

#[test]
fn nobody_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ubus.sock");
    refused(Client::connect(&path, LONG), "No such file or directory");
    let server = Running::start(&path, service("test"));
    assert!(server.wait_for("down").contains("No such file"));
    // Told once, tried until it is there.
    assert_eq!(server.rest(), [""; 0]);
    let _broker = Broker::start(&path, Vec::new()).unwrap();
    server.wait_for("ready");
    // A file that is no socket is left alone.
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(Broker::start(&file, Vec::new()).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"x");
}

/// Answers each connection with these octets, and keeps it open or not.
fn impostor(octets: Vec<u8>, keep: bool) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ubus.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(&octets);
            if keep {
                kept.push(stream);
            }
        }
    });
    (folder, path)
}

#[test]
fn it_is_not_ubus() {
    let (_folder, path) = impostor(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), true);
    refused(Client::connect(&path, LONG), "speaks version 72 of ubus, not 0");
    let server = Running::start(&path, service("test"));
    assert!(server.wait_for("down").contains("version 72"));
    let (_folder, path) = impostor(Vec::new(), false);
    refused(Client::connect(&path, LONG), "ubus closed the connection");
    let (_folder, path) = impostor(Vec::new(), true);
    refused(Client::connect(&path, SHORT), "not answered within 200 ms");
    let (_folder, path) = impostor(b"\0\0\0\0\0\0\0\0\0\xff\xff\xff".to_vec(), true);
    refused(Client::connect(&path, LONG), "a ubus message of 16777215 octets");
    let hello = Message::new(Kind::Hello, 0, 9, Vec::new()).encode().unwrap();
    let (_folder, path) = impostor(hello, true);
    let mut client = Client::connect(&path, LONG).unwrap();
    refused(client.call("test", "x", &Table::new(), SHORT), "test x was not answered");
}

#[test]
fn passed_descriptors_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ubus.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let ubusd = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let hello = Message::new(Kind::Hello, 0, 9, Vec::new()).encode().unwrap();
        let fds = [theirs.as_fd().as_raw_fd()];
        let passed = [ControlMessage::ScmRights(&fds)];
        sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(&hello)], &passed, MsgFlags::empty(), None).unwrap();
        stream
    });
    let client = Client::connect(&path, LONG).unwrap();
    let _stream = ubusd.join().unwrap();
    // The other end is gone with the last copy of it.
    ours.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(ours.read(&mut [0; 1]).unwrap(), 0);
    drop(client);
}

#[test]
fn a_hostile_client_of_the_broker() {
    let bus = Bus::start(Vec::new());
    let server = Running::start(&bus.path(), service("test"));
    server.wait_for("ready");
    // Garbage, a lie about the size, an answer to nobody's question, and silence.
    let send = |octets: &[u8]| {
        let mut stream = UnixStream::connect(bus.path()).unwrap();
        stream.write_all(octets).unwrap();
        stream
    };
    let mut closed = send(b"GET / HTTP/1.1\r\n\r\n");
    let mut answer = Vec::new();
    closed.set_read_timeout(Some(LONG)).unwrap();
    let _ = closed.read_to_end(&mut answer);
    assert!(answer.len() <= 12, "{answer:?}");
    let _lie = send(b"\0\x05\0\x01\0\0\0\0\0\xff\xff\xff");
    let _half = send(b"\0\x05\0\x01\0\0\0\0\0\x0f\xff\xff");
    let forged = vec![Attribute::Status(0), Attribute::ObjectId(5)];
    let _forged = send(&Message::new(Kind::Status, 1, 1, forged).encode().unwrap());
    // One who asks and never reads.
    let mut deaf = UnixStream::connect(bus.path()).unwrap();
    deaf.set_write_timeout(Some(SHORT)).unwrap();
    let ask = Message::new(Kind::Lookup, 1, 0, Vec::new()).encode().unwrap().repeat(5000);
    for _ in 0..20 {
        if deaf.write_all(&ask).is_err() {
            break;
        }
    }
    let text = Table::new().with("text", "x");
    assert_eq!(bus.client().call("test", "echo", &text, LONG), Ok(vec![text.clone()]));
    // More clients than it takes: those who are in stay in.
    let mut client = bus.client();
    let crowd: Vec<_> = (0..2 * MAX_CLIENTS).map(|_| UnixStream::connect(bus.path()).unwrap()).collect();
    assert_eq!(client.call("test", "echo", &text, LONG), Ok(vec![text.clone()]));
    drop(crowd);
    let again = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        Client::connect(&bus.path(), LONG).ok()
    });
    assert_eq!(again.unwrap().call("test", "echo", &text, LONG), Ok(vec![text]));
}

#[test]
fn more_calls_than_a_server_takes() {
    let bus = Bus::start(Vec::new());
    let server = Running::start(&bus.path(), service("test"));
    server.wait_for("ready");
    let id = bus.client().list(Some("test"), LONG).unwrap()[0].id;
    let mut stream = UnixStream::connect(bus.path()).unwrap();
    for sequence in 0..70 {
        let attributes =
            vec![Attribute::ObjectId(id), Attribute::Method("never".into()), Attribute::Data(Vec::new())];
        stream.write_all(&Message::new(Kind::Invoke, sequence, id, attributes).encode().unwrap()).unwrap();
    }
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut reader = Reader::new();
    let mut refused = Vec::new();
    while refused.len() < 6 {
        let mut block = [0; 1000];
        let count = stream.read(&mut block).unwrap();
        reader.feed(&block[..count]);
        while let Some(message) = reader.message() {
            refused.extend(message.unwrap().status());
        }
    }
    assert_eq!(refused, [Status::NoMemory; 6]);
}

/// A ubusd that registers everything, makes two calls, and reads nothing any more; says when somebody connects.
fn deaf() -> (tempfile::TempDir, PathBuf, Receiver<()>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ubus.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let write = |stream: &mut UnixStream, kind, sequence, peer, attributes| {
                let octets = Message::new(kind, sequence, peer, attributes).encode().unwrap();
                stream.write_all(&octets).unwrap();
            };
            write(&mut stream, Kind::Hello, 0, 9, Vec::new());
            tell.send(()).unwrap();
            // The first request is the one object.
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            write(&mut stream, Kind::Data, 1, 0, vec![Attribute::ObjectId(77)]);
            write(&mut stream, Kind::Status, 1, 0, vec![Attribute::Status(Status::Ok.number())]);
            for sequence in [5, 6] {
                let method = Attribute::Method("never".into());
                let call = vec![Attribute::ObjectId(77), method, Attribute::Data(Vec::new())];
                write(&mut stream, Kind::Invoke, sequence, 3, call);
            }
            kept.push(stream);
        }
    });
    (folder, path, told)
}

/// A caller whose status cannot be sent hears of the end of the connection, and what we offer is offered again.
#[test]
fn ubusd_takes_nothing_any_more() {
    let (_folder, path, connected) = deaf();
    let mut server = Server::new(&path, service("test")).unwrap();
    let mut now = Duration::from_secs(1);
    let mut incoming = server.on_tick(now);
    connected.recv().unwrap();
    incoming.extend(turn(&mut server, now));
    let requests: Vec<_> = incoming
        .into_iter()
        .filter_map(|one| match one {
            Incoming::Call { request, .. } => Some(request),
            _ => None,
        })
        .collect();
    assert_eq!(requests.len(), 2);
    let mut stuck = 0;
    for request in requests {
        for size in [1_000_000, 100_000, 1000, 1] {
            let text = Table::new().with("text", "x".repeat(size));
            while server.reply(&request, &text).is_ok() {}
        }
        while server.reply(&request, &Table::new()).is_ok() {}
        // The first time the socket still takes something.
        stuck += usize::from(server.complete(request, Status::Ok).is_err());
    }
    assert!(stuck > 0, "everything was taken");
    assert_eq!(server.deadline(), Some(Duration::ZERO));
    let lost = server.on_tick(now);
    assert!(
        matches!(&lost[..], [Incoming::Down(why)] if why.to_string().contains("does not take")),
        "{lost:?}"
    );
    now += Duration::from_secs(1);
    assert_eq!(server.on_tick(now).len(), 0);
    connected.recv_timeout(LONG).unwrap();
    assert!(turn(&mut server, now).iter().any(|one| matches!(one, Incoming::Ready)));
}

/// Serves once, as the loop would, with this time on the clock; gives what came, within a moment.
fn turn(server: &mut Server, now: Duration) -> Vec<Incoming> {
    let mut incoming = server.on_tick(now);
    for _ in 0..10 {
        let Some((fd, wanted)) = server.fd() else { break };
        if poll(&mut [PollFd::new(fd, wanted)], PollTimeout::from(50_u8)).unwrap() > 0 {
            incoming.extend(server.on_ready(now));
        }
    }
    incoming
}

#[test]
fn pauses_before_connecting_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ubus.sock");
    let mut server = Server::new(&path, service("test")).unwrap();
    let mut now = Duration::from_secs(100);
    assert_eq!(server.deadline(), Some(Duration::ZERO));
    assert_eq!(turn(&mut server, now).len(), 1);
    for millis in [250, 500, 1000, 2000, 4000, 8000, 16_000, 16_000] {
        let next = now + Duration::from_millis(millis);
        assert_eq!(server.deadline(), Some(next));
        assert_eq!(turn(&mut server, next - Duration::from_millis(1)).len(), 0);
        assert_eq!(turn(&mut server, next).len(), 0, "told once");
        now = next;
    }
    // Somebody who takes the connection and says nothing is left after five seconds.
    let _silent = UnixListener::bind(&path).unwrap();
    now += Duration::from_secs(16);
    assert_eq!(turn(&mut server, now).len(), 0);
    assert_eq!(server.deadline(), Some(now + Duration::from_secs(5)));
    now += Duration::from_secs(5);
    assert_eq!(server.on_tick(now).len(), 0);
    assert!(server.fd().is_none() && !server.is_ready());
    // Once it stands the pauses are short again.
    std::fs::remove_file(&path).unwrap();
    let broker = Broker::start(&path, Vec::new()).unwrap();
    now += Duration::from_secs(16);
    assert!(matches!(turn(&mut server, now)[..], [Incoming::Ready]));
    assert_eq!(server.deadline(), None);
    broker.stop();
    assert!(matches!(turn(&mut server, now)[..], [Incoming::Down(_)]));
    assert_eq!(server.deadline(), Some(now + Duration::from_millis(250)));
}

/// Asks again every ten seconds, without a word, until the broker has heard that there is room; when that was.
fn turn_until_taken(server: &mut Server, mut now: Duration) -> Duration {
    let begun = Instant::now();
    while server.deadline().is_some() {
        assert!(begun.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(5));
        now += Duration::from_secs(10);
        assert_eq!(server.deadline(), Some(now));
        assert_eq!(turn(server, now).len(), 0);
    }
    now
}

#[test]
fn a_name_that_becomes_free_is_taken() {
    let bus = Bus::start(Vec::new());
    let first = Running::start(&bus.path(), service("test"));
    first.wait_for("ready");
    let mut second = Server::new(&bus.path(), service("test")).unwrap();
    let now = Duration::from_secs(1);
    let incoming = turn(&mut second, now);
    assert!(matches!(incoming[..], [Incoming::Refused { .. }, Incoming::Ready]), "{incoming:?}");
    assert_eq!(second.deadline(), Some(now + Duration::from_secs(10)));
    // Still taken: tried again without a word.
    let now = now + Duration::from_secs(10);
    assert_eq!(turn(&mut second, now).len(), 0);
    drop(first);
    turn_until_taken(&mut second, now);
    assert_eq!(bus.client().list(Some("test"), LONG).unwrap().len(), 1);
    let many = Service { events: vec!["x".to_owned(); 17], ..Service::default() };
    assert!(Server::new(&bus.path(), many).is_err());
}

/// A broker that has no room for more objects: what is not heard is told, and asked for again.
#[test]
fn events_that_are_refused_at_first() {
    let bus = Bus::start(Vec::new());
    let mut full = UnixStream::connect(bus.path()).unwrap();
    full.set_read_timeout(Some(LONG)).unwrap();
    let mut peer = Peer::new();
    let mut block = [0; 4096];
    let (mut asked, mut added) = (0, 0);
    while added < MAX_OBJECTS {
        let count = full.read(&mut block).unwrap();
        added += peer.receive(&block[..count]).iter().filter(|one| matches!(one, Event::Added(..))).count();
        while asked < MAX_OBJECTS && asked < added + 16 {
            peer.add_receiver().unwrap();
            asked += 1;
        }
        full.write_all(peer.unsent()).unwrap();
        peer.sent(peer.unsent().len());
    }
    let service =
        Service { events: vec!["news".to_owned()], targets: vec!["test".to_owned()], ..Service::default() };
    let mut server = Server::new(&bus.path(), service).unwrap();
    let now = Duration::from_secs(1);
    let incoming = turn(&mut server, now);
    let told: Vec<_> = incoming.iter().map(|one| format!("{one:?}")).collect();
    assert!(
        matches!(incoming[..], [Incoming::Refused { .. }, Incoming::Refused { .. }, Incoming::Ready]),
        "{told:?}"
    );
    assert!(told[0].contains("news") && told[1].contains("test"), "{told:?}");
    // Told once, tried again.
    let now = now + Duration::from_secs(10);
    assert_eq!(server.deadline(), Some(now));
    assert_eq!(turn(&mut server, now).len(), 0);
    drop(full);
    let now = turn_until_taken(&mut server, now);
    bus.client().send_event("news", &Table::new(), LONG).unwrap();
    let incoming = turn(&mut server, now);
    assert!(matches!(incoming[..], [Incoming::Event { .. }]), "{incoming:?}");
}

/// The socket of a broker that runs is not taken from it; one that nobody listens at is.
#[test]
fn a_living_broker_stays() {
    let bus = Bus::start(Vec::new());
    let why = Broker::start(&bus.path(), Vec::new()).unwrap_err();
    assert_eq!(why.kind(), std::io::ErrorKind::AddrInUse);
    assert!(why.to_string().starts_with("another ubus runs at /"), "{why}");
    let server = Running::start(&bus.path(), service("test"));
    server.wait_for("ready");
    assert_eq!(bus.client().list(Some("test"), LONG).unwrap().len(), 1);
    let dead = bus.folder.path().join("dead.sock");
    drop(UnixListener::bind(&dead).unwrap());
    assert!(dead.exists());
    Broker::start(&dead, Vec::new()).unwrap().stop();
}
