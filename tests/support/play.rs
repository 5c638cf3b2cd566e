//! Sessions of the daemon with an ACS that is a script: what every script needs, and reading what came.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rcwmp::lab::router::{CONNECTION_REQUEST_USER, PASSWORD};

use crate::agent::{Agent, Router};
use crate::messages::{envelope, id_of, inform_response};
use crate::scripted::{Scripted, Seen, Step, step};

/// The parameter that proves a read.
pub const SERIAL: &str = "Device.DeviceInfo.SerialNumber";

/// Answers an Inform, which must hold these words.
pub fn inform_with(words: &'static [&'static str]) -> Step {
    step().computed(|seen| {
        has(&seen.text(), words);
        assert!(seen.text().contains(":Inform>"), "an Inform, not {}", seen.text());
        say(inform_response(&seen.text()))
    })
}

/// Answers an Inform.
pub fn inform() -> Step {
    inform_with(&[])
}

/// What an ACS says to GetRPCMethods.
pub fn methods_response(question: &str, more: &[&str]) -> String {
    assert!(question.contains("GetRPCMethods"), "GetRPCMethods, not {question}");
    let names = ["Inform", "GetRPCMethods", "TransferComplete"];
    let list: String = names.iter().chain(more).map(|name| format!("<string>{name}</string>")).collect();
    let count = names.len() + more.len();
    let list = format!("<MethodList soap-enc:arrayType=\"xsd:string[{count}]\">{list}</MethodList>");
    envelope(&id_of(question), &format!("<cwmp:GetRPCMethodsResponse>{list}</cwmp:GetRPCMethodsResponse>"))
}

/// Answers our GetRPCMethods.
pub fn methods() -> Step {
    methods_and(&[])
}

/// Answers our GetRPCMethods with the methods that every ACS has, and more.
pub fn methods_and(more: &'static [&'static str]) -> Step {
    step().computed(move |seen| say(methods_response(&seen.text(), more)))
}

/// Answers a call of the agent with a response of this content.
pub fn confirm(method: &'static str, content: &'static str) -> Step {
    step().computed(move |seen| {
        let text = seen.text();
        has(&text, &[&format!("<cwmp:{method}>")]);
        say(envelope(&id_of(&text), &format!("<cwmp:{method}Response>{content}</cwmp:{method}Response>")))
    })
}

/// 200 with a message.
pub fn say(message: impl AsRef<[u8]>) -> Step {
    step().status(200).body(message)
}

/// 204.
pub fn end() -> Step {
    step().status(204)
}

/// A fault of an ACS.
pub fn fault(id: &str, code: u16) -> String {
    envelope(
        id,
        &format!(
            "<soap-env:Fault><faultcode>Server</faultcode><faultstring>CWMP fault</faultstring><detail>\
             <cwmp:Fault><FaultCode>{code}</FaultCode><FaultString>scripted</FaultString></cwmp:Fault></detail>\
             </soap-env:Fault>"
        ),
    )
}

/// GetParameterNames with NextLevel as written.
pub fn get_names(id: &str, path: &str, next_level: &str) -> String {
    let arguments = format!("<ParameterPath>{path}</ParameterPath><NextLevel>{next_level}</NextLevel>");
    envelope(id, &format!("<cwmp:GetParameterNames>{arguments}</cwmp:GetParameterNames>"))
}

/// AddObject or DeleteObject.
pub fn object(id: &str, method: &str, name: &str) -> String {
    let arguments = format!("<ObjectName>{name}</ObjectName><ParameterKey></ParameterKey>");
    envelope(id, &format!("<cwmp:{method}>{arguments}</cwmp:{method}>"))
}

/// Reboot.
pub fn reboot(id: &str, key: &str) -> String {
    envelope(id, &format!("<cwmp:Reboot><CommandKey>{key}</CommandKey></cwmp:Reboot>"))
}

/// The fixture router at an ACS, with retries after a second.
pub fn router(url: &str) -> Router {
    let router = Router::new(url);
    router.set("acs", "retry_min_wait_interval", "1");
    router.set("acs", "retry_interval_multiplier", "1000");
    router
}

/// Plays a script to an agent until it has ended a session well, and stops the agent.
#[track_caller]
pub fn play(steps: Vec<Step>) -> (Vec<Seen>, String) {
    let acs = Scripted::start(steps);
    let agent = router(&acs.url()).play();
    (acs.finish(), agent)
}

impl Router {
    /// Runs the agent for one good session, and gives its log.
    #[track_caller]
    pub fn play(&self) -> String {
        let agent = self.start(&[]);
        agent.wait_for("Waiting the next session", 1);
        while !agent.log().contains("End session") {
            let ended = agent.log().matches("Waiting the next session").count();
            assert!(ended < 6, "no session goes well:\n{}", agent.log());
            agent.wait_for("Waiting the next session", ended + 1);
        }
        let log = agent.log();
        let (status, _) = agent.stop();
        assert!(status.success(), "{status}");
        log
    }
}

/// The agent's answers to these requests, all in one session over one connection.
#[track_caller]
pub fn ask(requests: &[String]) -> Vec<String> {
    let mut steps = vec![inform(), methods()];
    steps.extend(requests.iter().map(say));
    steps.push(end());
    let (seen, _) = play(steps);
    assert!(seen[2].body.is_empty() && seen.iter().all(|one| one.connection == 1));
    seen[3..].iter().map(Seen::text).collect()
}

/// All words are in a text.
#[track_caller]
pub fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word} in {text}");
    }
}

/// The event codes of an Inform with their CommandKeys, in order.
pub fn events(inform: &str) -> Vec<(String, String)> {
    let leaf = |text: &str, name: &str| {
        let text = text.split(&format!("<{name}>")).nth(1).unwrap_or_default();
        text.split('<').next().unwrap_or_default().to_owned()
    };
    let events = inform.split("<EventStruct>").skip(1);
    events.map(|event| (leaf(event, "EventCode"), leaf(event, "CommandKey"))).collect()
}

/// The event codes alone.
pub fn codes(inform: &str) -> Vec<String> {
    events(inform).into_iter().map(|(code, _)| code).collect()
}

/// Names and texts of the values in a message.
pub fn values(message: &str) -> Vec<(String, String)> {
    let until = |text: &str, end: char| text.split(end).next().unwrap_or_default().to_owned();
    let items = message.split("<Name>").skip(1);
    items
        .map(|item| {
            let value = item.split("<Value").nth(1).and_then(|rest| rest.split_once('>'));
            (until(item, '<'), value.map_or(String::new(), |(_, text)| until(text, '<')))
        })
        .collect()
}

/// The names in an answer.
pub fn names(message: &str) -> Vec<String> {
    values(message).into_iter().map(|(name, _)| name).collect()
}

/// The value of a parameter in a message.
#[track_caller]
pub fn value(message: &str, name: &str) -> String {
    let found = values(message).into_iter().find(|(given, _)| given == name);
    found.unwrap_or_else(|| panic!("no {name} in {message}")).1
}

/// The ConnectionRequestURL of an Inform.
#[track_caller]
pub fn request_url(inform: &str) -> String {
    value(inform, "Device.ManagementServer.ConnectionRequestURL")
}

/// How long the port takes to ask a stranger for his name.
pub fn challenge(url: &str) -> Duration {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let start = Instant::now();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    let took = start.elapsed();
    assert_eq!(&head, b"HTTP/1.1 401");
    took
}

/// How an ACS makes its connection request.
#[derive(Clone, Copy, Default)]
pub struct Knock {
    /// The uri in the digest, where it is not the path.
    pub uri: Option<&'static str>,
    /// Another password than the right one.
    pub password: Option<&'static str>,
    /// The answer to the challenge comes over a new connection.
    pub reconnect: bool,
    /// How long it takes, as if the ACS were far away.
    pub pause: Duration,
}

/// A connection request by the crate `digest_auth`; the final status.
pub fn knock(url: &str, how: Knock) -> u16 {
    knock_by(url, how, &|host| TcpStream::connect(host).unwrap())
}

/// As [`knock`], over connections that somebody else opens, to a host and port.
pub fn knock_by(url: &str, how: Knock, connect: &dyn Fn(&str) -> TcpStream) -> u16 {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) =
        rest.split_once('/').map_or((rest, "/".into()), |(host, path)| (host, format!("/{path}")));
    let mut stream = connect(host);
    let (status, head) = get(&mut stream, host, &path, "");
    assert_eq!(status, 401, "{head}");
    let line = head.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: ")).unwrap();
    let mut prompt = digest_auth::parse(line).unwrap();
    let password = how.password.unwrap_or(PASSWORD);
    let context = digest_auth::AuthContext::new(CONNECTION_REQUEST_USER, password, how.uri.unwrap_or(&path));
    let answer = prompt.respond(&context).unwrap().to_string();
    if how.reconnect {
        stream = connect(host);
    }
    std::thread::sleep(how.pause);
    get(&mut stream, host, &path, &format!("Authorization: {answer}\r\n")).0
}

fn get(stream: &mut TcpStream, host: &str, path: &str, headers: &str) -> (u16, String) {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // In one piece: the second of several would wait for an acknowledgment, which takes its time.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "closed after {}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head)
}

/// Nothing more comes to the log for a while.
#[track_caller]
pub fn stays_quiet(agent: &Agent, word: &str, count: usize) {
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(agent.log().matches(word).count(), count, "{}", agent.log());
}
