//! Every message of a whole session is valid against the Broadband Forum's schemas and a separate linter, and an
//! independent codec reads it: the agent's, with every method it serves, and the mini-ACS's.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/scripted.rs"]
mod scripted;

use std::path::PathBuf;
use std::process::Command;

use agent::Router;
use messages::{envelope, get_values, id_of, inform_response, set_values};
use scripted::{Scripted, Step, step};

/// An SSID that tries to leave its element.
const SSID: &str = "]]&gt;&lt;/Value&gt; &amp;amp; Ü€𝄞";
const MAPPING: &str = "Device.NAT.PortMapping.";

/// What the ACS asks for, by turns with words that the agent's answer must have in it.
fn calls() -> Vec<(String, &'static [&'static str])> {
    let method =
        |id: &str, name: &str, body: &str| envelope(id, &format!("<cwmp:{name}>{body}</cwmp:{name}>"));
    let attributes = |id: &str, name: &str, level: &str| {
        let one = format!(
            "<SetParameterAttributesStruct><Name>{name}</Name><NotificationChange>true</NotificationChange>\
             <Notification>{level}</Notification><AccessListChange>false</AccessListChange>\
             <AccessList soap-enc:arrayType=\"xsd:string[0]\"/></SetParameterAttributesStruct>"
        );
        let list = "<ParameterList soap-enc:arrayType=\"cwmp:SetParameterAttributesStruct[1]\">";
        method(id, "SetParameterAttributes", &format!("{list}{one}</ParameterList>"))
    };
    let names = |id: &str, path: &str, level: &str| {
        let body = format!("<ParameterPath>{path}</ParameterPath><NextLevel>{level}</NextLevel>");
        method(id, "GetParameterNames", &body)
    };
    let get_attributes = |id: &str, name: &str| {
        let list = format!(
            "<ParameterNames soap-enc:arrayType=\"xsd:string[1]\"><string>{name}</string></ParameterNames>"
        );
        method(id, "GetParameterAttributes", &list)
    };
    let object = |id: &str, name: &str, path: &str| {
        let body = format!("<ObjectName>{path}</ObjectName><ParameterKey>key</ParameterKey>");
        method(id, name, &body)
    };
    let enable = format!("{MAPPING}1.Enable");
    vec![
        (method("1", "GetRPCMethods", ""), &["GetRPCMethodsResponse", ">SetParameterAttributes<", "[20]"]),
        (get_values("2", &["Device."]), &["GetParameterValuesResponse", "xsd:dateTime", "xsd:boolean"]),
        (get_values("3", &["Device.NAT.PortMapping.1.Enable", "Device.NoSuch"]), &[">9005<"]),
        (
            set_values(
                "4",
                &[
                    ("Device.WiFi.SSID.1.SSID", "xsd:string", SSID),
                    ("Device.ManagementServer.PeriodicInformInterval", "xsd:unsignedInt", "3600"),
                ],
                "key",
            ),
            &["SetParameterValuesResponse", "Status>1<"],
        ),
        (
            set_values(
                "5",
                &[
                    ("Device.WiFi.SSID.1.SSID", "xsd:string", "never"),
                    ("Device.NoSuch.&lt;&amp;", "xsd:string", "x"),
                    ("Device.DeviceInfo.SerialNumber", "xsd:string", "x"),
                    ("Device.ManagementServer.PeriodicInformInterval", "xsd:unsignedInt", "0"),
                    ("Device.ManagementServer.PeriodicInformEnable", "xsd:int", "1"),
                ],
                "key",
            ),
            &[
                "xsd:boolean, not xsd:int",
                ">9003<",
                ">9005<",
                ">9008<",
                ">9006<",
                ">9007<",
                "SetParameterValuesFault",
            ],
        ),
        (
            get_values("6", &["Device.WiFi.SSID.1.SSID"]),
            &["]]&gt;&lt;/Value&gt; &amp;amp; &#220;&#8364;&#119070;<"],
        ),
        (names("7", "", "true"), &["GetParameterNamesResponse", ">Device.<"]),
        (names("8", "Device.", "false"), &[">Device.WiFi.SSID.1.SSID<", ">Device.NAT.PortMapping.<"]),
        (names("9", "Device.NoSuch.", "0"), &[">9005<"]),
        (attributes("10", "Device.DeviceInfo.SoftwareVersion", "2"), &["SetParameterAttributesResponse"]),
        (
            get_attributes("11", "Device.DeviceInfo."),
            &["GetParameterAttributesResponse", "Notification>2<", "AccessList"],
        ),
        (attributes("12", "Device.DeviceInfo.UpTime", "7"), &["Fault"]),
        (object("13", "AddObject", MAPPING), &["AddObjectResponse", "InstanceNumber>"]),
        (object("14", "AddObject", "Device.DeviceInfo."), &[">9005<"]),
        (object("15", "DeleteObject", &format!("{MAPPING}1.")), &["DeleteObjectResponse", "Status>1<"]),
        (get_values("16", &[&enable]), &[">9005<"]),
        (method("17", "Dance", "<Tune>polka</Tune>"), &[">9000<"]),
        (method("18", "ScheduleInform", "<DelaySeconds>0</DelaySeconds><CommandKey/>"), &[">9003<"]),
        // Content of a well-known method that makes no sense.
        (method("19", "GetParameterNames", "<NextLevel>sideways</NextLevel>"), &[">9003<"]),
        (method("20", "Reboot", "<CommandKey>a &lt;key&gt;</CommandKey>"), &["RebootResponse"]),
    ]
}

/// One session with all methods, a restart with another ACS, and the boot that was asked for.
#[test]
fn every_message_of_the_agent() {
    let mut steps = vec![greeting(), methods()];
    let calls = calls();
    steps.extend(calls.iter().map(|(call, _)| step().status(200).body(call)));
    steps.push(step().status(204));
    let (acs, router) = against(steps);
    // A router without the program: the agent says so and stays.
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    assert!(agent.stop().0.success());
    let mut seen = acs.finish();
    assert!(router.read("/etc/config/wireless").contains("option ssid ']]></Value> &amp; Ü€𝄞'"));

    // Answers start after Inform, GetRPCMethods and the empty POST.
    for (at, (answer, (call, words))) in seen[3..].iter().zip(&calls).enumerate() {
        let answer = answer.text();
        for word in *words {
            assert!(answer.contains(word), "answer {}: no {word} in {answer}", at + 1);
        }
        assert_eq!(id_of(&answer), id_of(call), "{answer}");
    }

    // A new ACS at a restart, then the boot that the ACS had asked for.
    let session = || [greeting(), methods(), step().status(204)];
    let acs = Scripted::start(session().into_iter().chain(session()).collect());
    router.set("acs", "url", &acs.url());
    for arguments in [&[][..], &["-b"]] {
        let agent = router.start(arguments);
        agent.wait_for("End session", 1);
    }
    let after = acs.finish();
    let (moved, booted) = (after[0].text(), after[3].text());
    assert!(moved.contains(">0 BOOTSTRAP<") && !moved.contains(">1 BOOT<"), "{moved}");
    assert!(booted.contains(">1 BOOT<") && !booted.contains("BOOTSTRAP"), "{booted}");
    assert!(booted.contains(">M Reboot<") && booted.contains(">a &lt;key&gt;<"), "{booted}");
    seen.extend(after);

    let bodies: Vec<Vec<u8>> = seen.into_iter().map(|one| one.body).filter(|body| !body.is_empty()).collect();
    assert_eq!(bodies.len(), 2 + calls.len() + 4);
    must_be_valid(&bodies);
}

/// The other amendments' namespaces and headers, and events of a restart.
#[test]
fn every_amendment() {
    let mut bodies = Vec::new();
    for amendment in ["1", "2", "3", "4", "5", "6"] {
        let (acs, router) = against(vec![
            greeting(),
            methods(),
            step().status(200).body(get_values("1", &["Device.DeviceInfo."])),
            step().status(200).body(get_values("2", &["Device.NoSuch"])),
            step().status(204),
        ]);
        router.set("cpe", "amd_version", amendment);
        let agent = router.start(&[]);
        agent.wait_for("End session", 1);
        drop(agent);
        bodies.extend(acs.finish().into_iter().map(|one| one.body).filter(|body| !body.is_empty()));
    }
    assert_eq!(bodies.len(), 6 * 4);
    must_be_valid(&bodies);
}

fn greeting() -> Step {
    step().computed(|inform| step().status(200).body(inform_response(&inform.text())))
}

/// Answers the agent's own question.
fn methods() -> Step {
    step().computed(|call| {
        let call = call.text();
        assert!(call.contains("GetRPCMethods"), "{call}");
        let list = "<MethodList soap-enc:arrayType=\"xsd:string[1]\"><string>Inform</string></MethodList>";
        let body = format!("<cwmp:GetRPCMethodsResponse>{list}</cwmp:GetRPCMethodsResponse>");
        step().status(200).body(envelope(&id_of(&call), &body))
    })
}

fn against(steps: Vec<Step>) -> (Scripted, Router) {
    let acs = Scripted::start(steps);
    let router = Router::new(&acs.url());
    (acs, router)
}

/// Shows the messages to xmllint, the linter and the other codec. The last is there everywhere.
#[track_caller]
fn must_be_valid(bodies: &[Vec<u8>]) {
    for body in bodies {
        let text = String::from_utf8(body.clone()).unwrap();
        let read = cwmp::parse_bytes(body).unwrap_or_else(|error| panic!("{error:?} in {text}"));
        assert_eq!(read.body().len(), 1, "{text}");
    }
    let Some(schemas) = schemas() else { return };
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> =
        (0..bodies.len()).map(|at| folder.path().join(format!("{at:03}.xml"))).collect();
    for (file, body) in files.iter().zip(bodies) {
        std::fs::write(file, body).unwrap();
    }
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--nonet", "--noout", "--schema"]).arg(schemas.join("cwmp-strict.xsd")).args(&files);
    let mut lint = Command::new("python3");
    lint.arg(schemas.join("cwmplint.py")).args(&files);
    for command in [&mut xmllint, &mut lint] {
        let run = command.output().unwrap();
        let report = [run.stdout, run.stderr].concat();
        let report = String::from_utf8_lossy(&report);
        let content = |line: &&str| line.ends_with(": ok") || line.ends_with(" validates");
        let (content, complaints): (Vec<&str>, Vec<&str>) = report.lines().partition(content);
        let culprit = bodies
            .iter()
            .enumerate()
            .find(|(at, _)| complaints.first().is_some_and(|line| line.contains(&format!("{at:03}.xml"))));
        let culprit = culprit.map(|(_, body)| String::from_utf8_lossy(body));
        assert!(run.status.success() && complaints.is_empty(), "{}\n{culprit:?}", complaints.join("\n"));
        assert_eq!(content.len(), bodies.len(), "{report}");
    }
}

/// The folder of schemas and linter, if this machine has it and what runs them.
fn schemas() -> Option<PathBuf> {
    let Some(folder) = agent::shared("standards/xsd") else {
        skip("skipped: ../shared not present");
        return None;
    };
    if ["xmllint", "python3"].iter().any(|tool| Command::new(tool).arg("--version").output().is_err()) {
        skip("skipped: no xmllint or no python3");
        return None;
    }
    Some(folder)
}

#[expect(clippy::disallowed_macros, reason = "a test says so when it did not test")]
fn skip(why: &str) {
    println!("{why}");
}
