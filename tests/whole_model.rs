//! Large reads: everything that is listed is given, nothing twice, and ten thousand values come back whole.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used)]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/scripted.rs"]
mod scripted;

use std::collections::HashSet;
use std::fmt::Write as _;

use agent::Router;
use messages::{get_values, inform_response};
use rcwmp::cwmp::rpc::{GetParameterNames, Message, ParameterValue, Response};
use rcwmp::cwmp::soap::{self, Limits};
use rcwmp::model::compiled;
use rcwmp::model::path::Path;
use rcwmp::model::value::Kind;
use scripted::{Scripted, Seen, step};

/// The values of a GetParameterValuesResponse.
fn values(seen: &Seen) -> Vec<ParameterValue> {
    match soap::read(&seen.body, &Limits::default()).unwrap().message {
        Message::Response(Response::GetParameterValues(list)) => list,
        other => panic!("{other:?}"),
    }
}

/// One session of the agent in which the ACS sends these requests; what the agent answered to each.
fn session(router: &Router, requests: Vec<String>) -> Vec<Seen> {
    let mut steps = vec![step().computed(|inform| step().status(200).body(inform_response(&inform.text())))];
    let count = requests.len();
    steps.extend(requests.into_iter().map(|request| step().status(200).body(request)));
    steps.push(step().status(204));
    let acs = Scripted::start(steps);
    router.set("acs", "url", &acs.url());
    router.set("acs", "get_rpc_methods", "0");
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    drop(agent);
    let seen = acs.finish();
    // Inform, the empty post, then the answers.
    assert_eq!(seen.len(), count + 2);
    seen.into_iter().skip(2).collect()
}

fn get_names(id: &str, path: &str, next_level: &str) -> String {
    let call = format!(
        "<cwmp:GetParameterNames><ParameterPath>{path}</ParameterPath><NextLevel>{next_level}</NextLevel>\
         </cwmp:GetParameterNames>"
    );
    messages::envelope(id, &call)
}

#[test]
fn a_read_of_everything_gives_what_is_listed() {
    let router = Router::new("http://127.0.0.1:9/");
    let answers = session(&router, vec![get_names("1", "", "0"), get_values("2", &["Device."])]);
    let listed: Vec<String> = match soap::read(&answers[0].body, &Limits::default()).unwrap().message {
        Message::Response(Response::GetParameterNames(list)) => {
            list.into_iter().map(|one| one.name).collect()
        }
        other => panic!("{other:?}"),
    };
    let unique: HashSet<&String> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len(), "a name stands twice");
    let parameters: Vec<&String> = listed.iter().filter(|name| !name.ends_with('.')).collect();
    let given = values(&answers[1]);
    let names: Vec<&String> = given.iter().map(|one| &one.name).collect();
    assert_eq!(parameters, names);
    assert!(names.len() > 1000, "only {} parameters on the fixture", names.len());
    // Every object on the way is listed, with its dot.
    for name in &names {
        for (dot, _) in name.match_indices('.') {
            assert!(unique.contains(&name[..=dot].to_owned()), "{} is not listed", &name[..=dot]);
        }
    }
}

#[test]
fn every_value_is_of_its_parameter_s_type() {
    let router = Router::new("http://127.0.0.1:9/");
    let answers = session(&router, vec![get_values("1", &["Device."])]);
    let schema = compiled::schema();
    let mut wrong = Vec::new();
    for one in values(&answers[0]) {
        let path = Path::parse(&one.name).unwrap().schema_path();
        let (object, name) = path.rsplit_once('.').unwrap();
        let param = schema.objects()[schema.find(&format!("{object}.")).unwrap()].param(name).unwrap();
        if one.value.kind != param.ty.wire() {
            wrong.push(format!("{} is sent as {}", one.name, one.value.kind.xsd()));
        }
        // A word that TR-181 does not know is empty rather than invented.
        let empty = one.value.text.is_empty() && param.ty.wire() == Kind::String;
        if !empty && !param.hidden && param.ty.canonical(&one.value.text).as_deref() != Ok(&one.value.text) {
            wrong.push(format!(
                "{} = {:?}: {:?}",
                one.name,
                one.value.text,
                param.ty.canonical(&one.value.text)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ten_thousand_parameters_come_back_whole() {
    const COUNT: usize = 10_000;
    let router = Router::new("http://127.0.0.1:9/");
    let mut text = String::from("{\"objects\":[{\"object\":\"Device.X_TEST_Big.\",\"params\":[\n");
    for n in 0..COUNT {
        let place = match n % 3 {
            0 => format!("\"const\":\"value {n}\""),
            1 => "\"uci\":\"system.@system[0].hostname\"".to_owned(),
            _ => "\"store\":true, \"access\":\"rw\"".to_owned(),
        };
        let comma = if n + 1 == COUNT { "" } else { "," };
        writeln!(text, "{{\"name\":\"P{n}\",\"type\":\"string\",{place}}}{comma}").unwrap();
    }
    text.push_str("]}]}");
    router.write("/usr/share/rcwmp/datamodel.d/big.json", &text);
    let set = messages::set_values("1", &[("Device.X_TEST_Big.P2", "xsd:string", "kept")], "k");
    let answers = session(&router, vec![set, get_values("2", &["Device.X_TEST_Big."])]);
    let given = values(&answers[1]);
    assert_eq!(given.len(), COUNT);
    for (n, one) in given.iter().enumerate() {
        assert_eq!(one.name, format!("Device.X_TEST_Big.P{n}"));
    }
    assert_eq!(given[3].value.text, "value 3");
    assert_eq!(given[1].value.text, "OpenWrt");
    assert_eq!(given[2].value.text, "kept");
    // The command line, in pages, leaves nothing out either.
    for (number, word) in [("1", "passive"), ("0", "off")] {
        assert!(router.run(&["-c", "set_notif", "Device.X_TEST_Big.", number]).status.success());
        let told = router.run(&["-c", "get_notif", "Device.X_TEST_Big."]);
        assert!(told.status.success(), "{told:?}");
        let told = String::from_utf8(told.stdout).unwrap();
        assert_eq!(told.lines().filter(|line| line.ends_with(&format!(" => {word}"))).count(), COUNT);
    }
}

#[test]
fn the_hand_written_request_is_read_as_meant() {
    let read = soap::read(get_names("7", "Device.", "1").as_bytes(), &Limits::default()).unwrap();
    let expected = GetParameterNames { parameter_path: "Device.".into(), next_level: true };
    assert_eq!(read.header.id.as_deref(), Some("7"));
    assert!(matches!(
        read.message,
        Message::Request(rcwmp::cwmp::rpc::Request::GetParameterNames(call)) if call == expected
    ));
}
