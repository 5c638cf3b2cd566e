//! Recorded sessions: `tests/session/<case>/`, one numbered file for each step, run in this process.
//!
//! ```text
//!  setup          optional: what has happened before, a line each
//!  01-cpe.xml     what the agent says           01-cpe.empty   an empty POST
//!  02-acs.xml     what the ACS answers          02-acs.empty   204      02-acs.503   an HTTP error
//!  …
//!  07-end         how the session ends, and what is left in the queue
//! ```
//! The ACS's files are written by hand. `UPDATE=1 cargo test --test session` writes the agent's anew, and
//! `git diff` shows what has changed; without it, any difference fails. Every message of the agent is
//! valid against the Broadband Forum's schemas, where these are at hand.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rcwmp::agent::daemon::open_model;
use rcwmp::agent::duties::Desk;
use rcwmp::agent::options::Options;
use rcwmp::agent::state::StateFile;
use rcwmp::agent::{exchange, inform};
use rcwmp::backend::System;
use rcwmp::cwmp::dispatch;
use rcwmp::cwmp::event::{Event, EventCode};
use rcwmp::cwmp::queue::{Call, Queue};
use rcwmp::cwmp::rpc::Request;
use rcwmp::cwmp::session::{HttpFailure, Input, Output, Plan, Session};
use rcwmp::cwmp::soap;
use rcwmp::cwmp::soap::envelope::Version;
use rcwmp::lab::acs::pretty::pretty;
use rcwmp::lab::router::{self, Settings};
use rcwmp::model::Model;
use rcwmp::sys::clock::Now;
use rcwmp::sys::fs::Root;

/// The fewest cases that there are to be.
const LEAST: usize = 215;

/// What the linter finds odd, and is legal: case, complaint.
const LEGAL: [(&str, &str); 4] = [
    // All were delivered before the session that is retried failed (TR-069 A.3.3.1).
    ("no-event-on-retry", "no events"),
    // The ACS's request had none to be echoed (TR-069 table 4).
    ("no-id", "no cwmp:ID"),
    // Asked for twice (TR-069 A.3.2.2 leaves it open).
    ("values-same-twice", "duplicate names"),
    ("values-overlap", "duplicate names"),
];

#[test]
fn recorded_sessions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session");
    let update = std::env::var_os("UPDATE").is_some();
    let mut cases: Vec<PathBuf> = list(&folder).into_iter().filter(|path| path.is_dir()).collect();
    cases.sort();
    let mut wrong = Vec::new();
    let fixture = Fixture::new();
    for case in &cases {
        let run = std::panic::catch_unwind(|| Case::new(case, &fixture).run(update));
        fixture.restore();
        match run {
            Ok(complaints) => wrong.extend(complaints),
            Err(_) => wrong.push(format!("{}: panicked", case.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= LEAST, "{} cases", cases.len());
}

#[test]
fn every_message_is_valid() {
    let Some(schemas) = agent::shared("standards/xsd") else {
        return skip("skipped: ../shared not present");
    };
    if ["xmllint", "python3"].iter().any(|tool| Command::new(tool).arg("--version").output().is_err()) {
        return skip("skipped: xmllint or python3 not installed");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session");
    let files: Vec<PathBuf> = list(&folder)
        .iter()
        .filter(|path| path.is_dir())
        .flat_map(|case| list(case))
        .filter(|path| path.to_string_lossy().ends_with("-cpe.xml"))
        .collect();
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--nonet", "--noout", "--schema"]).arg(schemas.join("cwmp-strict.xsd"));
    let mut lint = Command::new("python3");
    lint.arg(schemas.join("cwmplint.py"));
    for command in [&mut xmllint, &mut lint] {
        let run = command.args(&files).output().unwrap();
        let report = [run.stdout, run.stderr].concat();
        let report = String::from_utf8_lossy(&report);
        let content = |line: &&str| line.ends_with(": ok") || line.ends_with(" validates");
        let known = |line: &&str| {
            LEGAL.iter().any(|(case, what)| line.contains(&format!("/{case}/")) && line.contains(what))
        };
        let complaints: Vec<&str> = report.lines().filter(|line| !content(line) && !known(line)).collect();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        assert!(report.lines().any(|line| content(&line)), "{report}");
    }
}

/// What the agent says in all cases: case, file, text.
fn said() -> Vec<(String, String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session");
    let mut all = Vec::new();
    for case in list(&folder).into_iter().filter(|path| path.is_dir()) {
        for file in list(&case).into_iter().filter(|path| path.to_string_lossy().ends_with("-cpe.xml")) {
            let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
            all.push((name(&case), name(&file), fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(all.len() > LEAST, "{} messages", all.len());
    all
}

/// Each header where table 4 of TR-069 has it, as the schema has it.
#[test]
fn headers_of_a_cpe() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session");
    for (case, file, text) in said() {
        let head = text.split_once("<soap-env:Body>").unwrap().0;
        let is_inform = text.contains("<cwmp:Inform>");
        let setup = fs::read_to_string(folder.join(&case).join("setup")).unwrap_or_default();
        let version = setup.lines().find_map(|line| line.strip_prefix("version ")).unwrap_or("1.4");
        let has = |name: &str| head.contains(&format!("<cwmp:{name} "));
        let place = format!("{case}/{file}");
        assert_eq!(has("SupportedCWMPVersions"), is_inform && version == "1.4", "{place}");
        assert_eq!(has("SessionTimeout"), is_inform && ["1.3", "1.4"].contains(&version), "{place}");
        for of_an_acs in ["HoldRequests", "UseCWMPVersion", "NoMoreRequests"] {
            assert!(!has(of_an_acs), "{place} has {of_an_acs}");
        }
        for line in head.lines().filter(|line| line.trim_start().starts_with("<cwmp:")) {
            let must = if line.contains("<cwmp:ID ") { "\"1\"" } else { "\"0\"" };
            assert!(line.contains(&format!(" soap-env:mustUnderstand={must}>")), "{place}: {line}");
        }
        assert_eq!(has("ID"), case != "no-id" || is_inform, "{place}");
    }
}

/// The frame of each message: who is qualified, what has a type, how many there are (TR-069 3.5).
#[test]
fn bodies_of_a_cpe() {
    let mut faults = 0;
    for (case, file, text) in said() {
        let place = format!("{case}/{file}");
        assert!(!text.contains(" xmlns=\""), "{place}: a default namespace");
        for (prefix, namespace) in [
            ("soap-env", "http://schemas.xmlsoap.org/soap/envelope/"),
            ("soapenc", "http://schemas.xmlsoap.org/soap/encoding/"),
            ("xsd", "http://www.w3.org/2001/XMLSchema"),
            ("xsi", "http://www.w3.org/2001/XMLSchema-instance"),
        ] {
            assert!(text.contains(&format!(" xmlns:{prefix}=\"{namespace}\"")), "{place}: {prefix}");
        }
        let body = text.split_once("<soap-env:Body>").unwrap().1;
        assert_eq!(text.matches("<soap-env:Body>").count(), 1, "{place}");
        let mut lines = body.lines().skip(1);
        let message = lines.next().unwrap();
        let is_fault = message == "    <soap-env:Fault>";
        assert!(is_fault || message.starts_with("    <cwmp:"), "{place}: {message}");
        // What is indented like the message is its end.
        let beside =
            lines.clone().filter(|line| line.starts_with("    <") && !line.starts_with("     ")).count();
        assert_eq!(beside, usize::from(!message.ends_with("/>") && !message.contains("</")), "{place}");
        if let Some(after) = body.split_once("<MaxEnvelopes>") {
            assert!(after.1.starts_with("1<"), "{place}");
        }
        for line in lines {
            let line = line.trim_start();
            let is_value = line.starts_with("<Value ") || line.starts_with("<Value>");
            assert_eq!(line.contains(" xsi:type=\"xsd:"), is_value, "{place}: {line}");
            if line.starts_with("<cwmp:") {
                assert!(is_fault && line == "<cwmp:Fault>", "{place}: {line}");
            }
        }
        if is_fault {
            faults += 1;
            assert!(body.contains("<faultstring>CWMP fault</faultstring>"), "{place}");
            assert_eq!(
                body.matches("<FaultCode>").count(),
                1 + body.matches("<ParameterName>").count(),
                "{place}"
            );
        }
    }
    assert!(faults > 50, "{faults} faults");
}

/// The router that every case finds as it was made: its few hundred files are written once.
struct Fixture {
    dir: tempfile::TempDir,
    configuration: Vec<(PathBuf, Vec<u8>)>,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let settings = Settings { acs_url: "http://acs.example/".to_owned(), port: 7547 };
        router::unpack(&root, &settings).unwrap();
        let files = list(&root.join("etc/config")).into_iter();
        let configuration = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        Fixture { dir, configuration }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// What a session can change is as before: the configuration, and the agent's state.
    fn restore(&self) {
        let _ = fs::remove_dir_all(self.root().join("etc/rcwmp"));
        for path in list(&self.root().join("etc/config")) {
            if self.configuration.iter().all(|(known, _)| *known != path) {
                fs::remove_file(path).unwrap();
            }
        }
        for (path, bytes) in &self.configuration {
            if fs::read(path).unwrap() != *bytes {
                fs::write(path, bytes).unwrap();
            }
        }
    }
}

/// One recorded session.
struct Case {
    path: PathBuf,
    name: String,
    version: Version,
    queue: Queue,
    calls: Vec<Call>,
    retry_count: u32,
    model: Model<System>,
    file: StateFile,
}

impl Case {
    fn new(path: &Path, fixture: &Fixture) -> Case {
        let options = Options { root: Root::new(fixture.root()), ..Options::default() };
        let (mut model, complaints) = open_model(&options).unwrap();
        assert!(complaints.is_empty(), "{complaints:?}");
        model.backend().tell("ConnectionRequestURL", "http://192.0.2.2:7547/path");
        model.refresh();
        let mut case = Case {
            path: path.to_owned(),
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            version: Version::V1_4,
            queue: Queue::default(),
            calls: Vec::new(),
            retry_count: 0,
            model,
            file: StateFile::open(&options.state_dir()).0,
        };
        let setup = fs::read_to_string(path.join("setup")).unwrap_or_else(|_| "event 2 PERIODIC".to_owned());
        for line in setup.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            case.set_up(word, rest);
        }
        case
    }

    /// One line of the setup.
    fn set_up(&mut self, word: &str, rest: &str) {
        match word {
            "event" => {
                let (code, command_key) = rest.split_once(" key=").unwrap_or((rest, ""));
                let event = Event { code: EventCode::parse(code), command_key: command_key.to_owned() };
                self.queue.add(event).unwrap();
            }
            "boot" => self.queue.booted(rest == "first", &[]).unwrap(),
            "version" => {
                self.version = match rest {
                    "1.0" => Version::V1_0,
                    "1.1" => Version::V1_1,
                    "1.2" => Version::V1_2,
                    "1.3" => Version::V1_3,
                    other => panic!("{}: version {other}", self.name),
                };
            }
            "ask-methods" => self.calls.push(Call { ticket: None, request: Request::GetRpcMethods }),
            "retry-count" => self.retry_count = rest.parse().unwrap(),
            other => panic!("{}: setup says {other}", self.name),
        }
    }

    /// Plays the case; gives what is not as recorded.
    fn run(mut self, update: bool) -> Vec<String> {
        let mut tape = Tape::new(&self.path, update);
        let snapshot = self.queue.open_session(self.version);
        let device_id = inform::device_id(&mut self.model).unwrap();
        let time = "2026-11-21T06:00:00+01:00".to_owned();
        let inform =
            inform::inform(&mut self.model, device_id, snapshot.events, time, self.retry_count).unwrap();
        let plan = Plan {
            calls: self.calls.drain(..).chain(snapshot.calls).collect(),
            version: self.version,
            session_timeout: Some(60),
            ..Plan::new(inform)
        };
        let mut session = Session::new(plan);
        let mut stopped = Vec::new();
        session.handle(Input::Begin, Duration::ZERO);
        loop {
            match session.poll_output() {
                Output::Connect | Output::Learned(_) | Output::Remark(_) => {}
                Output::Post(envelope) => {
                    tape.agent(envelope.map(|envelope| soap::write(&envelope)).as_deref())
                }
                Output::Perform(request) => {
                    let now = Now { mono: Duration::from_secs(100), wall: Some(1_795_237_200) };
                    let mut desk = Desk { file: &mut self.file, now, stopped: &mut stopped };
                    let result = dispatch::perform(&request, &mut self.model, &mut desk);
                    session.handle(Input::Performed(result), Duration::ZERO);
                }
                Output::Deliver(receipt) => self.queue.delivered(receipt),
                Output::Wait(_) => match tape.acs() {
                    Some(input) => session.handle(input, Duration::ZERO),
                    None => {
                        tape.wrong.push("the record ends before the session".to_owned());
                        break;
                    }
                },
                Output::Close(close) => {
                    self.queue.close_session(close == rcwmp::cwmp::session::Close::Success);
                    let left = self.queue.open_session(Version::V1_4);
                    let mut text = format!("{}\n", close.explain());
                    for event in left.events {
                        text += &format!("left: {} {}\n", event.code, event.command_key).replace(" \n", "\n");
                    }
                    let state = &self.file.state;
                    for (due, what) in
                        [(state.reboot_pending, "reboot"), (state.reset_pending, "factory reset")]
                    {
                        if due {
                            text += &format!("after it: {what} {}\n", state.reboot_keys.join(" "))
                                .replace(" \n", "\n");
                        }
                    }
                    for one in state.transfers.list() {
                        text += &format!("queued: {} {} {:?}\n", one.state, one.file_type, one.command_key);
                    }
                    tape.step("end", text.as_bytes());
                    break;
                }
            }
        }
        tape.finish();
        tape.wrong.into_iter().map(|why| format!("{}: {why}", self.name)).collect()
    }
}

/// The files of a case, in their order.
struct Tape {
    folder: PathBuf,
    update: bool,
    step: usize,
    seen: Vec<PathBuf>,
    wrong: Vec<String>,
}

impl Tape {
    fn new(folder: &Path, update: bool) -> Tape {
        Tape { folder: folder.to_owned(), update, step: 1, seen: Vec::new(), wrong: Vec::new() }
    }

    /// The agent says something.
    fn agent(&mut self, body: Option<&[u8]>) {
        match body {
            Some(body) => {
                let text = pretty(body);
                // Shown without its declaration's content, which a schema's reader needs.
                let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
                let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", rest.trim_end());
                self.step("cpe.xml", text.as_bytes());
            }
            None => self.step("cpe.empty", b""),
        }
    }

    fn step(&mut self, what: &str, content: &[u8]) {
        let file = self.folder.join(format!("{:02}-{what}", self.step));
        self.step += 1;
        self.seen.push(file.clone());
        if self.update {
            fs::write(&file, content).unwrap();
            return;
        }
        match fs::read(&file) {
            Ok(recorded) if recorded == content => {}
            Ok(recorded) => self.wrong.push(format!(
                "{} is not as recorded:\n{}",
                file.display(),
                first_difference(&String::from_utf8_lossy(&recorded), &String::from_utf8_lossy(content))
            )),
            Err(_) => self.wrong.push(format!("{} is not recorded", file.display())),
        }
    }

    /// What the ACS answers.
    fn acs(&mut self) -> Option<Input> {
        let start = format!("{:02}-acs.", self.step);
        let file = list(&self.folder)
            .into_iter()
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start)))?;
        self.step += 1;
        self.seen.push(file.clone());
        Some(match file.extension()?.to_str()? {
            "empty" => Input::Empty,
            "xml" => exchange::read(&fs::read(&file).unwrap()),
            status => Input::HttpFailed(HttpFailure::Status(status.parse().unwrap())),
        })
    }

    /// Steps that were not played are wrong, or with an update removed if they are the agent's.
    fn finish(&mut self) {
        for file in list(&self.folder) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if name == "setup" || self.seen.contains(&file) {
                continue;
            }
            match self.update && !name.contains("-acs.") {
                true => fs::remove_file(&file).unwrap(),
                false => self.wrong.push(format!("{name} was not played")),
            }
        }
    }
}

fn first_difference(recorded: &str, now: &str) -> String {
    let pairs = recorded.lines().zip(now.lines());
    match pairs.enumerate().find(|(_, (was, is))| was != is) {
        Some((at, (was, is))) => {
            format!("  line {}: recorded {was}\n  line {}: now      {is}", at + 1, at + 1)
        }
        None => format!("  {} lines recorded, {} now", recorded.lines().count(), now.lines().count()),
    }
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[expect(clippy::disallowed_macros, reason = "a test says so when it did not test")]
fn skip(why: &str) {
    println!("{why}");
}
