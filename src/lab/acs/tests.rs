//! The mini-ACS over loopback against the CPE's own session machine and HTTP client.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::guard::Auth;
use super::news::{News, Watcher};
use super::office::{Office, Settings};
use super::quirks::{Cookie, Quirks};
use super::server::Server;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::fault::Fault;
use crate::cwmp::rpc::{DeviceId, Inform, Message, ParameterValue, Request, Response, Status as Applied};
use crate::cwmp::session::{Close, Input, Output, Plan, Session};
use crate::cwmp::soap::{self, Limits};
use crate::http::auth::{
    Algorithm, Authorization, Credentials, digest_challenge, md5_key, parse_authorization,
};
use crate::http::client::{self, Post};
use crate::http::{body::Compression, serve};
use crate::lab::lua::service::Variables;
use crate::lab::store::{Definition, REALM, Status, Store};
use crate::model::value::{Kind, Value};

/// Keeps what happened, as text.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Watcher for Notes {
    fn news(&self, news: &News<'_>) {
        let line = match news {
            News::Informed { first, .. } => format!("informed {first}"),
            News::Answered { request, answer, .. } => format!("{request}: {answer:?}"),
            News::Service { status, reason, .. } => format!("{status} {reason}"),
            News::Printed { line, .. } => format!("printed {line}"),
            News::SessionOver { sent, .. } => format!("over {sent}"),
            News::ConnectionRequest { result, .. } => format!("knocked {result:?}"),
            News::SessionBroke { .. } => "broke".to_owned(),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Notes {
    fn has(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|line| line.contains(text))
    }

    /// Waits for a line that comes from another thread.
    fn wait(&self, text: &str) {
        let start = Instant::now();
        while !self.has(text) {
            assert!(start.elapsed() < Duration::from_secs(10), "no {text:?} in {:?}", self.0.lock().unwrap());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

struct Lab {
    server: Server,
    office: Arc<Office>,
    notes: Notes,
    instance: i64,
}

/// An ACS where a service with this script waits for `SN1`.
fn lab_with(script: &str, auth: Auth, quirks: Quirks, settings: Settings) -> Lab {
    let store = Store::in_memory().unwrap();
    store.add_device("SN1").unwrap();
    let definition =
        Definition { name: "test".into(), script: script.into(), available: true, ..Definition::default() };
    let service = store.put_definition(&definition).unwrap();
    let instance = store.create_instance("SN1", service, &Variables::new()).unwrap();
    let notes = Notes::default();
    let office = Office::new(store, Box::new(notes.clone()), settings);
    let listen = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(office.clone(), listen, auth, quirks).unwrap();
    Lab { server, office, notes, instance }
}

fn lab(script: &str) -> Lab {
    lab_with(script, Auth::None, Quirks::default(), Settings::default())
}

impl Lab {
    /// Status and reason of the service.
    fn service(&self) -> (Status, String) {
        let instance = self.office.store.instance(self.instance).unwrap().unwrap();
        (instance.status, instance.reason)
    }

    fn settings(&self) -> client::Settings {
        client::Settings::new(self.server.url())
    }

    /// A session of the CPE with one event; `perform` does what the ACS asks.
    fn session(
        &self,
        event: EventCode,
        perform: impl FnMut(&Request) -> Result<Response, Fault>,
    ) -> Result<Close, String> {
        session(self.settings(), event, perform)
    }
}

fn inform(event: EventCode) -> Inform {
    let value = |name: &str, text: &str| ParameterValue {
        name: name.into(),
        value: Value { kind: Kind::String, text: text.into() },
    };
    Inform {
        device_id: DeviceId {
            manufacturer: "Example".into(),
            oui: "020000".into(),
            product_class: "Test".into(),
            serial_number: "SN1".into(),
        },
        events: vec![Event::of(event)],
        max_envelopes: 1,
        current_time: "2026-11-21T06:00:00+01:00".into(),
        retry_count: 0,
        parameter_list: vec![
            value("Device.DeviceInfo.SoftwareVersion", "1.0"),
            value("Device.ManagementServer.ConnectionRequestURL", "http://127.0.0.1:9/"),
        ],
    }
}

fn session(
    settings: client::Settings,
    event: EventCode,
    mut perform: impl FnMut(&Request) -> Result<Response, Fault>,
) -> Result<Close, String> {
    let mut http = client::Session::new(settings).map_err(|error| error.to_string())?;
    let mut machine = Session::new(Plan::new(inform(event)));
    let now = Duration::ZERO;
    machine.handle(Input::Begin, now);
    loop {
        match machine.poll_output() {
            Output::Post(envelope) => {
                let bytes = envelope.map(|envelope| soap::write(&envelope));
                let post = bytes.as_deref().map_or(Post::Empty, Post::Soap);
                let reply = http.post(post).map_err(|error| error.to_string())?;
                machine.handle(input(&reply.body), now);
            }
            Output::Perform(request) => machine.handle(Input::Performed(perform(&request)), now),
            Output::Close(close) => return Ok(close),
            Output::Wait(_) => panic!("waits at {}", machine.stage()),
            _ => {}
        }
    }
}

fn input(body: &[u8]) -> Input {
    if body.is_empty() {
        return Input::Empty;
    }
    match soap::read(body, &Limits::default()) {
        Ok(envelope) => Input::Reply(envelope),
        Err(error) => match error.refusal() {
            Some(refusal) => Input::BadRequest {
                id: refusal.header.id.clone(),
                hold_requests: false,
                method: refusal.method.clone(),
                fault: refusal.fault.clone(),
            },
            None => Input::Unreadable(error.to_string()),
        },
    }
}

/// Does everything, and remembers the methods in order.
fn obey(done: &mut Vec<String>) -> impl FnMut(&Request) -> Result<Response, Fault> + '_ {
    |request| {
        done.push(request.name().to_owned());
        Ok(match request {
            Request::AddObject(_) => Response::AddObject { instance_number: 3, status: Applied::Applied },
            Request::SetParameterValues(_) => Response::SetParameterValues(Applied::Applied),
            Request::GetParameterValues(names) => Response::GetParameterValues(
                names
                    .iter()
                    .map(|name| ParameterValue {
                        name: format!("{name}X"),
                        value: Value { kind: Kind::String, text: "1".into() },
                    })
                    .collect(),
            ),
            other => return Err(Fault::new(9000, other.name())),
        })
    }
}

/// A script of three messages, and what they are.
const THREE: &str = r#"
local head = '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
local tail = '</soap:Body></soap:Envelope>'
local function add() return head .. '<cwmp:AddObject><ObjectName>Device.T.</ObjectName><ParameterKey/></cwmp:AddObject>' .. tail end
local function set(n) return head .. '<cwmp:SetParameterValues><ParameterList><ParameterValueStruct><Name>Device.T.' .. n .. '.X</Name><Value>1</Value></ParameterValueStruct></ParameterList><ParameterKey/></cwmp:SetParameterValues>' .. tail end
"#;

fn script(rest: &str) -> String {
    format!("{THREE}{rest}")
}

const QUEUED: &str = "send_cwmp_message_and_forget(device_id, add(), 2) send_cwmp_message_and_forget(device_id, set(1), 1) \
    print(refresh_device_parameters(device_id)) set_provisioning_status('provisioned')";

#[test]
fn one_session_drains_the_queue_in_order() {
    let lab = lab(&script(QUEUED));
    let mut done = Vec::new();
    assert_eq!(lab.session(EventCode::Bootstrap, obey(&mut done)), Ok(Close::Success));
    assert_eq!(done, ["AddObject", "SetParameterValues", "GetParameterValues", "GetParameterValues"]);
    lab.notes.wait("provisioned ");
    assert_eq!(lab.service(), (Status::Provisioned, String::new()));
    let device = lab.office.store.device("SN1").unwrap().unwrap();
    assert_eq!((device.version.as_str(), device.data_model.as_str()), ("1.0", "Device"));
    assert_eq!(lab.office.store.value("SN1", "Device.DeviceInfo.X").unwrap().as_deref(), Some("1"));
    assert!(lab.notes.has("informed true") && lab.notes.has("printed true") && lab.notes.has("over 4"));
    assert!(lab.office.store.log_lines(lab.instance).unwrap()[0].ends_with(" true"));
}

#[test]
fn a_refused_message_fails_the_service() {
    let lab = lab(&script(QUEUED));
    let refuse = |request: &Request| match request {
        Request::SetParameterValues(_) => Err(Fault::new(9005, "Device.T.1.X")),
        other => obey(&mut Vec::new())(other),
    };
    assert_eq!(lab.session(EventCode::Bootstrap, refuse), Ok(Close::Success));
    lab.notes.wait("failed ");
    let (status, reason) = lab.service();
    assert_eq!(status, Status::Failed);
    assert_eq!(
        reason,
        "SetParameterValues Device.T.1.X = \"1\" was refused: 9005 Invalid parameter name: Device.T.1.X"
    );
}

#[test]
fn a_session_is_held_while_the_script_runs() {
    let rest = "sleep(0.4) send_cwmp_message_and_forget(device_id, add(), 2) sleep(0.4) \
        local made = send_cwmp_message(device_id, add(), 2) print('made ' .. made.instance_number) \
        local r = send_cwmp_message(device_id, set(9), 1) print(r) set_provisioning_status('provisioned')";
    let lab = lab(&script(rest));
    let mut done = Vec::new();
    assert_eq!(lab.session(EventCode::Bootstrap, obey(&mut done)), Ok(Close::Success));
    assert_eq!(done, ["AddObject", "AddObject", "SetParameterValues"]);
    lab.notes.wait("provisioned ");
    assert!(lab.notes.has("printed made 3") && lab.notes.has("printed true") && lab.notes.has("over 3"));
}

#[test]
fn the_hold_is_bounded() {
    let settings = Settings { hold: Duration::from_millis(100), ..Settings::default() };
    let lab =
        lab_with("sleep(50) set_provisioning_status('provisioned')", Auth::None, Quirks::default(), settings);
    let start = Instant::now();
    assert_eq!(lab.session(EventCode::Bootstrap, obey(&mut Vec::new())), Ok(Close::Success));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(lab.service().0, Status::Running);
}

#[test]
fn only_bootstrap_starts_services_and_each_one_anew() {
    let lab = lab("set_provisioning_status('provisioned')");
    for event in [EventCode::Boot, EventCode::Periodic] {
        assert_eq!(lab.session(event, obey(&mut Vec::new())), Ok(Close::Success));
        assert_eq!(lab.service().0, Status::Pending);
    }
    for times in 1..=2 {
        assert_eq!(lab.session(EventCode::Bootstrap, obey(&mut Vec::new())), Ok(Close::Success));
        let start = Instant::now();
        while lab.notes.0.lock().unwrap().iter().filter(|line| line.starts_with("provisioned")).count()
            < times
        {
            assert!(start.elapsed() < Duration::from_secs(5));
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_blocking_call_shows_the_fault_and_fails_nothing() {
    let rest = "local r = send_cwmp_message(device_id, set(1), 1) print(r.error_code .. ' ' .. r.error_message) \
        print(send_cwmp_message(device_id, set(1), 0).error_code) set_provisioning_status('provisioned')";
    let lab = lab(&script(rest));
    let refuse = |_: &Request| Err(Fault::new(9003, ""));
    assert_eq!(lab.session(EventCode::Bootstrap, refuse), Ok(Close::Success));
    lab.notes.wait("provisioned ");
    assert!(lab.notes.has("printed 9003 Invalid arguments") && lab.notes.has("printed 400"));
}

#[test]
fn messages_that_cannot_be_sent_are_refused_to_the_script() {
    let rest = "for _, message in ipairs { '', '<a/>', 'x' } do local r = send_cwmp_message_and_forget(device_id, message) print(r.error_code) end \
        print(send_cwmp_message_and_forget('SN2', add()).error_message, refresh_device_parameters('SN2')) \
        print(create_or_update_device_credential('u', 'p').username) set_provisioning_status('provisioned')";
    let lab = lab(&script(rest));
    assert_eq!(lab.session(EventCode::Bootstrap, obey(&mut Vec::new())), Ok(Close::Success));
    lab.notes.wait("provisioned ");
    assert!(lab.notes.has("printed 400") && lab.notes.has("printed Device not found\tfalse"));
    assert!(lab.notes.has("printed oktopus-u"));
    assert_eq!(lab.office.store.credential("oktopus-u").unwrap(), Some(md5_key("oktopus-u", REALM, "p")));
}

/// A session that answers so many requests, gets one more, and breaks off.
fn broken(lab: &Lab, event: EventCode, answers: usize) {
    let envelope = |id: &str, message| soap::envelope::Envelope {
        namespace: soap::envelope::Namespace::V1_2,
        header: soap::envelope::Header { id: Some(id.into()), ..Default::default() },
        message,
    };
    let mut http = client::Session::new(lab.settings()).unwrap();
    let begin = Message::Request(Request::Inform(Box::new(inform(event))));
    http.post(Post::Soap(&soap::write(&envelope("1", begin)))).unwrap();
    let mut reply = http.post(Post::Empty).unwrap();
    for _ in 0..answers {
        let asked = soap::read(&reply.body, &Limits::default()).unwrap();
        let Message::Request(request) = &asked.message else { panic!("{asked:?}") };
        let answer = Message::Response(obey(&mut Vec::new())(request).unwrap());
        let answer = envelope(asked.header.id.as_deref().unwrap(), answer);
        reply = http.post(Post::Soap(&soap::write(&answer))).unwrap();
    }
    assert!(!reply.body.is_empty());
}

/// The first session breaks off at its first request; gives what the second one was asked.
fn after_a_break(rest: &str) -> (Lab, Vec<String>) {
    let lab = lab(&script(rest));
    broken(&lab, EventCode::Bootstrap, 0);
    let mut done = Vec::new();
    assert_eq!(lab.session(EventCode::Boot, obey(&mut done)), Ok(Close::Success));
    (lab, done)
}

#[test]
fn a_factory_reset_in_the_middle_of_a_service_begins_it_anew() {
    let three =
        "send_cwmp_message_and_forget(device_id, add()) send_cwmp_message_and_forget(device_id, set(1))";
    // The script has ended with messages open; it still runs, and has more to send.
    for rest in ["", "sleep(1)"] {
        let rest = format!(
            "{three} {rest} send_cwmp_message_and_forget(device_id, set(2)) set_provisioning_status('provisioned')"
        );
        let lab = lab(&script(&rest));
        broken(&lab, EventCode::Bootstrap, 1);
        let mut done = Vec::new();
        let mut names = Vec::new();
        let perform = |request: &Request| {
            if let Request::SetParameterValues(set) = request {
                names.push(set.list[0].name.clone());
            }
            obey(&mut done)(request)
        };
        assert_eq!(lab.session(EventCode::Bootstrap, perform), Ok(Close::Success));
        assert_eq!(done, ["AddObject", "SetParameterValues", "SetParameterValues"]);
        assert_eq!(names, ["Device.T.1.X", "Device.T.2.X"]);
        lab.notes.wait("provisioned ");
        let told = lab.notes.0.lock().unwrap().clone();
        let of = |word: &str| told.iter().filter(|line| line.starts_with(word)).count();
        assert_eq!((of("running"), of("provisioned"), of("failed")), (2, 1, 0), "{told:?}");
    }
}

#[test]
fn a_message_that_breaks_the_device_is_not_sent_for_ever() {
    let rest = "send_cwmp_message_and_forget(device_id, set(1)) send_cwmp_message_and_forget(device_id, add()) \
        set_provisioning_status('provisioned')";
    let lab = lab(&script(rest));
    for event in [EventCode::Bootstrap, EventCode::Boot, EventCode::Boot] {
        broken(&lab, event, 0);
    }
    let mut done = Vec::new();
    assert_eq!(lab.session(EventCode::Boot, obey(&mut done)), Ok(Close::Success));
    assert_eq!(done, ["AddObject"]);
    lab.notes.wait("failed ");
    assert!(lab.service().1.contains("3 sessions broke off before the answer to SetParameterValues"));
}

#[test]
fn a_service_whose_script_has_failed_waits_for_nobody() {
    let lab = lab(&script("send_cwmp_message_and_forget(device_id, set(1)) error('broken')"));
    broken(&lab, EventCode::Bootstrap, 0);
    lab.notes.wait("failed ");
    assert!(lab.service().1.contains("broken"), "{}", lab.service().1);
    // What it has sent goes to the device all the same.
    let mut done = Vec::new();
    assert_eq!(lab.session(EventCode::Periodic, obey(&mut done)), Ok(Close::Success));
    assert_eq!(done, ["SetParameterValues"]);
}

#[test]
fn a_service_whose_device_does_not_come_back_ends() {
    let rest =
        "sleep(3) send_cwmp_message_and_forget(device_id, set(1)) set_provisioning_status('provisioned')";
    let settings =
        Settings { hold: Duration::ZERO, service_age: Duration::from_secs(4), ..Settings::default() };
    let lab = lab_with(&script(rest), Auth::None, Quirks::default(), settings);
    assert_eq!(lab.session(EventCode::Bootstrap, obey(&mut Vec::new())), Ok(Close::Success));
    lab.notes.wait("failed ");
    assert!(lab.service().1.contains("within 4 s: 1 have no answer"), "{}", lab.service().1);
    // Its message is gone too.
    let mut done = Vec::new();
    assert_eq!(lab.session(EventCode::Periodic, obey(&mut done)), Ok(Close::Success));
    assert_eq!(done, Vec::<String>::new());
}

#[test]
fn what_can_be_repeated_is_repeated_after_a_break() {
    let (lab, done) = after_a_break(
        "send_cwmp_message_and_forget(device_id, set(1)) send_cwmp_message_and_forget(device_id, add()) set_provisioning_status('provisioned')",
    );
    assert_eq!(done, ["SetParameterValues", "AddObject"]);
    lab.notes.wait("provisioned ");
}

#[test]
fn what_cannot_be_repeated_fails_after_a_break() {
    let (lab, done) = after_a_break(
        "send_cwmp_message_and_forget(device_id, add()) send_cwmp_message_and_forget(device_id, set(1)) set_provisioning_status('provisioned')",
    );
    assert_eq!(done, ["SetParameterValues"]);
    lab.notes.wait("failed ");
    assert!(lab.service().1.contains("the session broke off before the answer to AddObject"));
}

#[test]
fn cookies_and_none() {
    for cookie in [Cookie::Random, Cookie::Serial, Cookie::None] {
        let quirks = Quirks { cookie, empty_ok: true, empty_answers: true, ..Quirks::default() };
        let lab = lab_with(&script(QUEUED), Auth::None, quirks, Settings::default());
        let mut done = Vec::new();
        assert_eq!(lab.session(EventCode::Bootstrap, obey(&mut done)), Ok(Close::Success), "{cookie:?}");
        assert_eq!(done.len(), 4, "{cookie:?}");
        assert_eq!(lab.session(EventCode::Boot, obey(&mut Vec::new())), Ok(Close::Success), "{cookie:?}");
    }
}

#[test]
fn busy_and_overloaded() {
    let overloaded = Quirks { overloaded: true, ..Quirks::default() };
    let lab = lab_with("", Auth::None, overloaded, Settings::default());
    let error = lab.session(EventCode::Boot, obey(&mut Vec::new())).unwrap_err();
    assert!(error.contains("60"), "{error}");
    let busy = Quirks { already_in_session: true, ..Quirks::default() };
    let lab = lab_with(&script(QUEUED), Auth::None, busy, Settings::default());
    let outer = lab.session(EventCode::Bootstrap, |request| {
        assert!(lab.session(EventCode::Boot, obey(&mut Vec::new())).unwrap_err().contains("400"));
        obey(&mut Vec::new())(request)
    });
    assert_eq!(outer, Ok(Close::Success));
}

#[test]
fn authentication() {
    let who = || Credentials::new("cpe", "ExamplePassphrase");
    for auth in [Auth::Basic(who()), Auth::Digest(who())] {
        let lab = lab_with(&script(QUEUED), auth.clone(), Quirks::default(), Settings::default());
        let with = |user: &str, password: &str, done: &mut Vec<String>| {
            let credentials = Credentials::new(user, password);
            session(client::Settings { credentials, ..lab.settings() }, EventCode::Bootstrap, obey(done))
        };
        let mut done = Vec::new();
        assert_eq!(with("cpe", "ExamplePassphrase", &mut done), Ok(Close::Success), "{auth:?}");
        assert_eq!(done.len(), 4);
        for (user, password) in [("cpe", "wrong"), ("other", "ExamplePassphrase"), ("", "")] {
            assert!(with(user, password, &mut Vec::new()).is_err(), "{auth:?} {user}");
        }
        lab.office.store.put_credential("oktopus-made", "p").unwrap();
        assert_eq!(with("oktopus-made", "p", &mut Vec::new()), Ok(Close::Success), "{auth:?}");
    }
}

#[test]
fn compressed_bodies() {
    for compression in [Compression::Gzip, Compression::Deflate] {
        let lab = lab(&script(QUEUED));
        let settings = client::Settings { compression, ..lab.settings() };
        let mut done = Vec::new();
        assert_eq!(session(settings, EventCode::Bootstrap, obey(&mut done)), Ok(Close::Success));
        assert_eq!(done.len(), 4);
    }
}

#[test]
fn strangers() {
    let lab = lab("");
    let ask = |text: &str| {
        let mut stream = TcpStream::connect(lab.server.address()).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    assert_eq!(
        ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\njunk"),
        "HTTP/1.1 400 Bad Request"
    );
    assert_eq!(
        ask("POST / HTTP/1.1\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx"),
        "HTTP/1.1 415 Unsupported Media Type"
    );
    assert_eq!(ask("POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"), "HTTP/1.1 413 Content Too Large");
    assert_eq!(ask("\u{16}\u{3}\u{1}"), "HTTP/1.1 400 Bad Request");
    let listen = "0.0.0.0:0".parse().unwrap();
    let error = Server::start(lab.office.clone(), listen, Auth::None, Quirks::default()).err().unwrap();
    assert!(error.to_string().contains("--allow-remote"));
}

/// A CPE's connection-request port that accepts this user name and password; it serves two connections.
fn port(user: &'static str, password: &'static str) -> (String, thread::JoinHandle<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/cr?x=1", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let who = Credentials::new(user, password);
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut machine = serve::Machine::new(serve::Limits::CONNECTION_REQUEST);
            let request = loop {
                if let Some(request) = machine.request().unwrap() {
                    break request;
                }
                let mut part = [0; 1024];
                let count = stream.read(&mut part).unwrap();
                machine.receive(&part[..count]);
            };
            assert_eq!((request.method.as_str(), request.path()), ("GET", "/cr?x=1"));
            let given = request.header("authorization").map(|line| parse_authorization(line).unwrap());
            if let Some(Authorization::Digest(given)) = given {
                let proven = given.proves(&who, "cpe", "GET", b"");
                stream.write_all(&serve::response(if proven { 200 } else { 401 }, &[], b"", false)).unwrap();
                return proven;
            }
            let challenge = digest_challenge("cpe", "abc", Algorithm::Md5, false);
            let headers = [("WWW-Authenticate", challenge.as_str())];
            stream.write_all(&serve::response(401, &headers, b"", false)).unwrap();
        }
        false
    });
    (url, served)
}

#[test]
fn a_message_without_a_session_knocks() {
    let rest =
        "sleep(0.3) send_cwmp_message_and_forget(device_id, set(1)) set_provisioning_status('provisioned')";
    let settings = Settings { hold: Duration::ZERO, ..Settings::default() };
    let lab = lab_with(&script(rest), Auth::None, Quirks::default(), settings);
    assert_eq!(lab.session(EventCode::Bootstrap, obey(&mut Vec::new())), Ok(Close::Success));
    // Port 9 of the Inform refuses; the message waits for the next session.
    lab.notes.wait("knocked Err");
    assert_eq!(lab.service().0, Status::Running);
    let mut done = Vec::new();
    assert_eq!(lab.session(EventCode::Periodic, obey(&mut done)), Ok(Close::Success));
    assert_eq!(done, ["SetParameterValues"]);
    lab.notes.wait("provisioned ");
}

#[test]
fn connection_requests() {
    let knock = |url: &str, user: &str, password: &str| {
        let device = crate::lab::store::Device {
            connection_request_url: url.into(),
            connection_request_username: user.into(),
            connection_request_password: password.into(),
            ..Default::default()
        };
        super::knock::knock(&device, &Settings::default())
    };
    let (url, served) = port("user", "ExamplePassphrase");
    assert_eq!(knock(&url, "user", "ExamplePassphrase"), Ok(()));
    assert!(served.join().unwrap());
    let (url, served) = port("user", "ExamplePassphrase");
    assert!(knock(&url, "user", "wrong").unwrap_err().contains("did not accept"));
    assert!(!served.join().unwrap());
    assert!(knock("", "", "").unwrap_err().contains("no ConnectionRequestURL"));
    assert!(knock("http://192.0.2.1:7547/", "", "").unwrap_err().contains("--allow-remote"));
    assert!(knock("https://127.0.0.1/", "", "").unwrap_err().contains("http only"));
}

#[test]
fn a_dropped_server_ends_scripts_and_held_sessions() {
    let lab = lab("sleep(3600)");
    let settings = lab.settings();
    let cpe = thread::spawn(move || session(settings, EventCode::Bootstrap, |_| Err(Fault::new(9000, ""))));
    lab.notes.wait("running");
    let (start, notes, office, instance) =
        (Instant::now(), lab.notes.clone(), lab.office.clone(), lab.instance);
    drop(lab.server);
    // The session is held, and answered as over; or its next POST is still on its way, and comes too late.
    match cpe.join().unwrap() {
        Ok(close) => assert_eq!(close, Close::Success),
        Err(why) => assert!(why.contains("cannot be reached") || why.contains("closed"), "{why}"),
    }
    notes.wait("failed ");
    assert_eq!(office.store.instance(instance).unwrap().unwrap().reason, "the script was stopped");
    assert!(start.elapsed() < Duration::from_secs(20));
}
