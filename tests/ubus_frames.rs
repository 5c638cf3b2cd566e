//! The frames of a real ubusd and its clients: read and written back as they are, played against the lab's broker,
//! and shown again by our own client in conversation with it.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/frames.rs"]
mod frames;

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use frames::{Frame, frame, hex, hub};
use nix::poll::{PollFd, PollTimeout, poll};
use rcwmp::lab::router::broker::hub::{Denial, Hub, Numbered, Out, Right};
use rcwmp::sys::clock::Monotonic;
use rcwmp::ubus::blobmsg::{Kind as Type, Table, Value};
use rcwmp::ubus::client::Client;
use rcwmp::ubus::json;
use rcwmp::ubus::msg::{self, Attribute, Kind, Message, Reader, Status};
use rcwmp::ubus::object::{self, Method};
use rcwmp::ubus::peer::{Event, Peer};
use rcwmp::ubus::server::{Incoming, Server, Service};

const FRAMES: &str = include_str!("ubus/frames.txt");
/// Here another ubusd was started.
const SECOND_PART: &str = "# a server registers";

/// The methods of the object that the captured server offered.
const METHODS: [&str; 10] = [
    "get",
    "getm_values",
    "object_names",
    "setm_values",
    "add_object",
    "del_object",
    "transaction_start",
    "transaction_commit",
    "transaction_abort",
    "transaction_status",
];
const LONG: Duration = Duration::from_secs(20);

fn parts() -> [&'static str; 2] {
    FRAMES.split_at(FRAMES.find(SECOND_PART).unwrap()).into()
}

#[test]
fn every_frame_is_read_and_written_back() {
    let mut count = 0;
    for frame in FRAMES.lines().filter_map(frame) {
        let mut reader = Reader::new();
        reader.feed(&frame.octets);
        let message = reader.message().unwrap().unwrap();
        assert_eq!(reader.message(), None);
        assert_eq!(hex(&message.encode().unwrap()), hex(&frame.octets));
        for attribute in &message.attributes {
            if let Attribute::Data(octets) = attribute {
                let table = Table::decode(octets).unwrap();
                assert_eq!(hex(&table.encode().unwrap()), hex(octets));
                // Through JSON as well, which is where those of the command line came from.
                assert_eq!(json::parse(&json::print(&table)).unwrap(), table);
            }
            if let Attribute::Signature(octets) = attribute {
                let methods = object::methods(octets).unwrap();
                assert_eq!(hex(&object::signature(&methods).unwrap()), hex(octets));
            }
        }
        count += 1;
    }
    assert_eq!(count, 73);
}

#[test]
fn the_broker_answers_as_ubusd_did() {
    parts().into_iter().for_each(frames::replay);
}

/// Our peers and the hub, with all that goes between them.
struct Bench {
    hub: Hub,
    peers: BTreeMap<char, Peer>,
    clients: BTreeMap<u32, char>,
    seen: Vec<Frame>,
    events: VecDeque<(char, Event)>,
}

impl Bench {
    fn new(part: &str) -> Bench {
        Bench {
            hub: hub(part),
            peers: BTreeMap::new(),
            clients: BTreeMap::new(),
            seen: Vec::new(),
            events: VecDeque::new(),
        }
    }

    fn connect(&mut self, connection: char) -> &mut Peer {
        let mut out = Out::new();
        let client = self.hub.connect("root", "root", &mut out).unwrap();
        self.clients.insert(client, connection);
        self.peers.insert(connection, Peer::new());
        self.deliver(out);
        assert_eq!(self.next(connection), Event::Welcome(client));
        self.peer(connection)
    }

    fn peer(&mut self, connection: char) -> &mut Peer {
        self.peers.get_mut(&connection).unwrap()
    }

    fn deliver(&mut self, out: Out) {
        for (to, octets) in out {
            let connection = self.clients[&to];
            self.seen.push(Frame { from_ubusd: true, connection, octets: octets.clone() });
            let events = self.peer(connection).receive(&octets);
            self.events.extend(events.into_iter().map(|event| (connection, event)));
        }
    }

    fn pump(&mut self) {
        let mut out = Out::new();
        for (client, connection) in &self.clients {
            let peer = self.peers.get_mut(connection).unwrap();
            let mut reader = Reader::new();
            reader.feed(peer.unsent());
            peer.sent(usize::MAX);
            while let Some(raw) = reader.raw() {
                let octets = raw.unwrap().to_vec();
                self.hub.receive(*client, &octets, &mut out);
                let seen = Frame { from_ubusd: false, connection: *connection, octets };
                self.seen.push(seen);
            }
        }
        self.deliver(out);
    }

    /// The next event of a connection.
    fn next(&mut self, connection: char) -> Event {
        for _ in 0..10 {
            if let Some(at) = self.events.iter().position(|(of, _)| *of == connection) {
                return self.events.remove(at).unwrap().1;
            }
            self.pump();
        }
        panic!("nothing for {connection}");
    }

    fn ended(&mut self, connection: char, status: Status) {
        match self.next(connection) {
            Event::Ended(_, Ok(())) => assert_eq!(status, Status::Ok),
            Event::Ended(_, Err(why)) => assert_eq!(why.to_string(), status.to_string()),
            other => panic!("{other:?}"),
        }
    }

    fn added(&mut self, connection: char) -> u32 {
        let Event::Added(_, id) = self.next(connection) else { panic!("no object") };
        self.ended(connection, Status::Ok);
        id
    }

    fn find(&mut self, connection: char, path: &str) -> u32 {
        self.peer(connection).lookup(Some(path)).unwrap();
        let Event::Found(_, found) = self.next(connection) else { panic!("no object") };
        assert_eq!(found.path, *path);
        self.ended(connection, Status::Ok);
        found.id
    }

    /// Everything as captured, in both directions of every connection.
    fn check(self, part: &str) {
        let of = |frames: &[Frame], connection: char, from_ubusd: bool| -> Vec<String> {
            let mine = |frame: &&Frame| frame.connection == connection && frame.from_ubusd == from_ubusd;
            frames.iter().filter(mine).map(|frame| hex(&frame.octets)).collect()
        };
        let captured: Vec<Frame> = part.lines().filter_map(frame).collect();
        assert_eq!(self.seen.len(), captured.len());
        for connection in '1'..='6' {
            for from_ubusd in [false, true] {
                let (seen, captured) =
                    (of(&self.seen, connection, from_ubusd), of(&captured, connection, from_ubusd));
                assert_eq!(seen, captured, "connection {connection}, from ubusd: {from_ubusd}");
            }
        }
    }
}

#[test]
fn our_conversation_of_the_command_line() {
    let [part, _] = parts();
    let mut bench = Bench::new(part);
    // list; list nosuch; call nosuch x
    bench.connect('1').lookup(None).unwrap();
    bench.ended('1', Status::Ok);
    for connection in ['2', '3'] {
        bench.connect(connection).lookup(Some("nosuch")).unwrap();
        bench.ended(connection, Status::NotFound);
    }
    // listen test.*
    bench.connect('4').add_receiver().unwrap();
    let listener = bench.added('4');
    bench.peer('4').listen(listener, "test.*").unwrap();
    bench.ended('4', Status::Ok);
    // send
    let text = FRAMES.lines().find_map(|line| line.strip_prefix("# send test.event ")).unwrap();
    let data = json::parse(text).unwrap();
    bench.connect('5').send_event("test.event", &data).unwrap();
    bench.ended('5', Status::Ok);
    let Event::Invoked(event) = bench.next('4') else { panic!("no event") };
    assert_eq!((&event.method, &event.arguments, event.object), (&"test.event".into(), &data, listener));
    bench.peer('4').complete(event.caller, Status::Ok).unwrap();
    bench.pump();
    // wait_for -t 1 nosuch
    bench.connect('6').add_receiver().unwrap();
    let waiter = bench.added('6');
    bench.peer('6').listen(waiter, "ubus.object.add").unwrap();
    bench.ended('6', Status::Ok);
    bench.peer('6').lookup(None).unwrap();
    bench.ended('6', Status::Ok);
    bench.check(part);
}

/// One who listens, on a hub whose numbers begin at 0x1001; his object is 0x1002.
struct Listening {
    hub: Hub,
    client: u32,
}

impl Listening {
    fn start(denials: Vec<Denial>) -> Listening {
        let mut last = 0x1000;
        let numbers = Box::new(move |_: Numbered| {
            last += 1;
            last
        });
        let mut hub = Hub::new(denials, numbers);
        let client = hub.connect("root", "root", &mut Out::new()).unwrap();
        let mut listening = Listening { hub, client };
        let added = listening.say(client, &Message::new(Kind::AddObject, 1, 0, Vec::new()));
        assert_eq!(added[0].1, "00020001000000000000000c0300000800001002");
        listening
    }

    fn say(&mut self, client: u32, message: &Message) -> Vec<(u32, String)> {
        let mut out = Out::new();
        self.hub.receive(client, &message.encode().unwrap(), &mut out);
        out.into_iter().map(|(to, octets)| (to, hex(&octets))).collect()
    }

    #[track_caller]
    fn listen(&mut self, pattern: &str, status: Status) {
        let arguments = Table::new().with("object", 0x1002).with("pattern", pattern).encode().unwrap();
        let attributes =
            vec![Attribute::ObjectId(1), Attribute::Method("register".into()), Attribute::Data(arguments)];
        let told = self.say(self.client, &Message::new(Kind::Invoke, 2, 1, attributes)).remove(0).1;
        assert_eq!(told, format!("00010002000000010000000c01000008{:08x}", status.number()), "{pattern}");
    }
}

/// The one conversation of the stock command that was not captured, by hand as ubusd's source has it: `wait_for`,
/// while the object comes.
#[test]
fn an_object_comes_that_somebody_waits_for() {
    let mut waiter = Listening::start(Vec::new());
    waiter.listen("ubus.object.add", Status::Ok);
    waiter.listen("ubus.*", Status::Ok);
    let owner = waiter.hub.connect("root", "root", &mut Out::new()).unwrap();
    let attributes = vec![Attribute::ObjectPath("late".into()), Attribute::Signature(Vec::new())];
    let told = waiter.say(owner, &Message::new(Kind::AddObject, 1, 0, attributes));
    let event = [
        "000500010000000000000048",
        "0300000800001002",
        "04000014756275732e6f626a6563742e61646400",
        "07000028",
        "85000010000269640000000000001005",
        "8300001100047061746800006c61746500000000",
    ];
    // Once, though two patterns fit, and before its owner knows the number.
    assert_eq!(told[0], (waiter.client, event.concat()));
    assert_eq!(told[1..].iter().map(|(to, _)| *to).collect::<Vec<_>>(), [owner; 2]);
    let answer = vec![Attribute::Status(Status::Ok.number()), Attribute::ObjectId(0x1002)];
    assert_eq!(waiter.say(waiter.client, &Message::new(Kind::Status, 1, 0, answer)), []);
}

/// `listen` without a pattern is no matter of who may hear what, as in ubusd.
#[test]
fn whoever_listens_to_everything_needs_no_right() {
    let nothing = Denial { right: Right::Listen, name: "*".to_owned(), method: None };
    let mut listener = Listening::start(vec![nothing]);
    listener.listen("test.event", Status::PermissionDenied);
    listener.listen("test.*", Status::PermissionDenied);
    listener.listen("*", Status::Ok);
}

#[test]
fn our_conversation_of_a_server_and_its_callers() {
    let [_, part] = parts();
    let mut bench = Bench::new(part);
    let status = Method::new("status").with("interface", Type::String);
    bench.connect('1').add_object("network.interface", &[status]).unwrap();
    bench.added('1');
    bench.peer('1').add_object("usp.raw", &METHODS.map(Method::new)).unwrap();
    let served = bench.added('1');
    // list
    bench.connect('2').lookup(None).unwrap();
    for path in ["network.interface", "usp.raw"] {
        let Event::Found(_, found) = bench.next('2') else { panic!("no {path}") };
        assert_eq!(found.path, *path);
    }
    bench.ended('2', Status::Ok);
    // -v list usp.raw
    bench.connect('3');
    assert_eq!(bench.find('3', "usp.raw"), served);
    // call usp.raw nosuchmethod {}
    bench.connect('4');
    let id = bench.find('4', "usp.raw");
    bench.peer('4').invoke(id, "nosuchmethod", &Table::new()).unwrap();
    let Event::Invoked(call) = bench.next('1') else { panic!("no call") };
    assert_eq!(call.method, *"nosuchmethod");
    bench.peer('1').complete(call.caller, Status::MethodNotFound).unwrap();
    bench.ended('4', Status::MethodNotFound);
    // call usp.raw get {"path":"Device."}
    bench.connect('5');
    let id = bench.find('5', "usp.raw");
    bench.peer('5').invoke(id, "get", &Table::new().with("path", "Device.")).unwrap();
    let Event::Invoked(call) = bench.next('1') else { panic!("no call") };
    assert_eq!((call.arguments.text("path").as_deref(), &call.user), (Some("Device."), &Some("root".into())));
    let answer = parameters(part);
    bench.peer('1').respond(&call.caller, &answer).unwrap();
    bench.peer('1').complete(call.caller, Status::Ok).unwrap();
    let Event::Data(_, data) = bench.next('5') else { panic!("no answer") };
    assert_eq!(data, answer);
    bench.ended('5', Status::Ok);
    // subscribe usp.raw
    bench.connect('6').add_receiver().unwrap();
    let subscriber = bench.added('6');
    let target = bench.find('6', "usp.raw");
    bench.peer('6').subscribe(subscriber, target).unwrap();
    bench.ended('6', Status::Ok);
    assert_eq!(bench.next('1'), Event::Subscribers { object: served, active: true });
    // The server ends.
    let mut out = Out::new();
    let server = *bench.clients.iter().find(|(_, connection)| **connection == '1').unwrap().0;
    bench.hub.disconnect(server, &mut out);
    bench.deliver(out);
    assert_eq!(bench.next('6'), Event::TargetGone { object: subscriber, target });
    bench.check(part);
}

/// A ubusd that says what the captured one said on a connection, and gives what was said to it.
fn replay(part: &'static str, connection: char) -> (tempfile::TempDir, PathBuf, JoinHandle<Vec<String>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ubus.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let frames: Vec<Frame> =
        part.lines().filter_map(frame).filter(|frame| frame.connection == connection).collect();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut heard = Vec::new();
        for frame in frames {
            if frame.from_ubusd {
                stream.write_all(&frame.octets).unwrap();
            } else {
                let mut octets = vec![0; frame.octets.len()];
                stream.read_exact(&mut octets).unwrap();
                heard.push(hex(&octets));
            }
        }
        heard
    });
    (folder, path, thread)
}

fn said(part: &str, connection: char) -> Vec<String> {
    let frames = part.lines().filter_map(frame);
    let said = frames.filter(|frame| !frame.from_ubusd && frame.connection == connection);
    said.map(|frame| hex(&frame.octets)).collect()
}

#[test]
fn our_client_says_what_the_stock_one_said() {
    let [first, second] = parts();
    let (_folder, path, ubusd) = replay(second, '5');
    let mut client = Client::connect(&path, LONG).unwrap();
    let results = client.call("usp.raw", "get", &Table::new().with("path", "Device."), LONG).unwrap();
    assert_eq!(results, [parameters(second)]);
    assert_eq!(ubusd.join().unwrap(), said(second, '5'));
    let (_folder, path, ubusd) = replay(second, '4');
    let mut client = Client::connect(&path, LONG).unwrap();
    let refused = client.call("usp.raw", "nosuchmethod", &Table::new(), LONG);
    assert_eq!(refused.unwrap_err().status(), Status::MethodNotFound);
    assert_eq!(ubusd.join().unwrap(), said(second, '4'));
    let (_folder, path, ubusd) = replay(second, '3');
    let mut client = Client::connect(&path, LONG).unwrap();
    assert_eq!(client.list(Some("usp.raw"), LONG).unwrap().len(), 1);
    assert_eq!(ubusd.join().unwrap(), said(second, '3'));
    let (_folder, path, ubusd) = replay(first, '5');
    let mut client = Client::connect(&path, LONG).unwrap();
    let text = first.lines().find_map(|line| line.strip_prefix("# send test.event ")).unwrap();
    client.send_event("test.event", &json::parse(text).unwrap(), LONG).unwrap();
    assert_eq!(ubusd.join().unwrap(), said(first, '5'));
}

#[test]
fn our_server_says_what_the_stock_one_said() {
    let [first, second] = parts();
    let (_folder, path, ubusd) = replay(second, '1');
    let status = Method::new("status").with("interface", Type::String);
    let objects = vec![
        ("network.interface".to_owned(), vec![status]),
        ("usp.raw".to_owned(), METHODS.map(Method::new).to_vec()),
    ];
    serve(&path, Service { objects, ..Service::default() }, &parameters(second));
    assert_eq!(ubusd.join().unwrap(), said(second, '1'));
    let (_folder, path, ubusd) = replay(first, '4');
    let events = vec!["test.*".to_owned()];
    serve(&path, Service { events, ..Service::default() }, &Table::new());
    assert_eq!(ubusd.join().unwrap(), said(first, '4'));
}

/// Serves until the connection ends.
fn serve(path: &Path, service: Service, answer: &Table) {
    let mut server = Server::new(path, service).unwrap();
    let clock = Monotonic::start();
    assert!(server.on_tick(clock.now()).is_empty());
    loop {
        let (fd, wanted) = server.fd().expect("connected");
        poll(&mut [PollFd::new(fd, wanted)], PollTimeout::from(20_000_u16)).unwrap();
        for incoming in server.on_ready(clock.now()) {
            match incoming {
                Incoming::Call { request, .. } => server.answer(request, Ok(answer.clone())).unwrap(),
                Incoming::Down(_) => return,
                Incoming::Ready | Incoming::Event { .. } | Incoming::Subscribers { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// What the server of the capture answered, built from names and values alone.
fn parameters(part: &str) -> Table {
    let message = part.lines().filter_map(frame).map(|frame| msg::decode(&frame.octets).unwrap());
    let message: Message = message
        .filter(|message| message.kind == Kind::Data)
        .find(|message| message.data().is_some())
        .unwrap();
    let read = Table::decode(message.data().unwrap()).unwrap();
    let list = read.get("parameters").and_then(Value::as_array).unwrap();
    assert_eq!(list.len(), 12);
    let member = |value: &Value| {
        let table = value.as_table().unwrap();
        let text = |name| table.text(name).unwrap().into_owned();
        let again = Table::new().with("parameter", text("parameter"));
        Value::from(again.with("value", text("value")).with("type", text("type")))
    };
    Table::new().with("parameters", list.iter().map(member).collect::<Vec<_>>())
}
