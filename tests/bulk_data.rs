//! Bulk data by the daemon: what an ACS sets up is collected and sent to collectors in every form, again when it
//! fails, with what failed before; and the settings outlive the agent.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/files.rs"]
mod files;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use std::fs;
use std::io::Read as _;
use std::time::{Duration, Instant};

use files::{certificates, free_port, has as installed, nginx};
use messages::{get_values, set_values};
use play::{SERIAL, end, has, inform, methods, object, router, say, value};
use scripted::{Scripted, Seen, Step, step};
use serde_json::Value;

const TABLE: &str = "Device.BulkData.Profile.";
const MEMORY: &str = "Device.DeviceInfo.MemoryStatus.";

/// A collector that takes whatever comes after these steps, for a while.
fn collector(mut steps: Vec<Step>) -> Scripted {
    steps.extend((0..40).map(|_| step().status(200)));
    Scripted::start(steps)
}

/// The requests to a collector once there are so many.
#[track_caller]
fn wait(collector: &Scripted, count: usize) -> Vec<Seen> {
    let until = Instant::now() + Duration::from_secs(90);
    loop {
        let seen = collector.seen();
        if seen.len() >= count {
            return seen;
        }
        assert!(Instant::now() < until, "{} of {count} requests", seen.len());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The messages that make a profile: rows of Parameter, and what else is set.
fn profile(number: usize, url: &str, parameters: &[[&str; 3]], more: &[(&str, &str)]) -> Vec<String> {
    let at = format!("{TABLE}{number}.");
    let mut out = vec![object("add", "AddObject", TABLE)];
    let mut set = vec![
        (format!("{at}Protocol"), "HTTP".to_owned()),
        (format!("{at}ReportingInterval"), "5".to_owned()),
        (format!("{at}HTTP.URL"), url.to_owned()),
    ];
    for (row, [name, reference, exclude]) in parameters.iter().enumerate() {
        out.push(object("add", "AddObject", &format!("{at}Parameter.")));
        let row = format!("{at}Parameter.{}.", row + 1);
        set.push((format!("{row}Name"), (*name).to_owned()));
        set.push((format!("{row}Reference"), (*reference).to_owned()));
        set.push((format!("{row}Exclude"), (*exclude).to_owned()));
    }
    set.extend(more.iter().map(|(name, text)| (format!("{at}{name}"), (*text).to_owned())));
    set.push((format!("{at}Enable"), "1".to_owned()));
    let ty = |name: &str| match name.rsplit('.').next().unwrap() {
        "Enable" | "Exclude" | "UseDateHeader" | "RetryEnable" => "xsd:boolean",
        "ReportingInterval" | "RetryMinimumWaitInterval" | "RetryIntervalMultiplier" => "xsd:unsignedInt",
        "NumberOfRetainedFailedReports" => "xsd:int",
        _ => "xsd:string",
    };
    let set: Vec<(&str, &str, &str)> =
        set.iter().map(|(name, text)| (name.as_str(), ty(name), text.as_str())).collect();
    out.push(set_values("set", &set, ""));
    out
}

fn json(seen: &Seen) -> Vec<Value> {
    let root: Value = serde_json::from_slice(&seen.body).unwrap();
    root["Report"].as_array().unwrap().clone()
}

#[test]
fn reports_come_in_every_form() {
    let hierarchy = collector(vec![step().status(500)]);
    let challenge = "Digest realm=\"c\", qop=\"auth\", nonce=\"abc\", algorithm=MD5";
    let pairs = collector(vec![step().status(401).header("WWW-Authenticate", challenge)]);
    let rows = collector(vec![]);
    let columns = collector(vec![step().status(503)]);
    let interfaces = "Device.IP.Interface.*.Enable";
    let mut messages = Vec::new();
    messages.extend(profile(
        1,
        &hierarchy.url(),
        &[
            ["", MEMORY, "0"],
            ["", "Device.DeviceInfo.MemoryStatus.Free", "1"],
            ["up", interfaces, "0"],
            ["", SERIAL, "0"],
        ],
        &[
            ("EncodingType", "JSON"),
            ("HTTP.RetryEnable", "1"),
            ("HTTP.RetryMinimumWaitInterval", "1"),
            ("HTTP.RetryIntervalMultiplier", "1000"),
        ],
    ));
    messages.extend(profile(
        2,
        &format!("{}?a=b", pairs.url()),
        &[["", MEMORY, "0"], ["", "Device.NoSuchObject.", "0"], ["m", interfaces, "0"]],
        &[
            ("EncodingType", "JSON"),
            ("JSONEncoding.ReportFormat", "NameValuePair"),
            ("JSONEncoding.ReportTimestamp", "ISO-8601"),
            ("HTTP.Compression", "GZIP"),
            ("HTTP.Method", "PUT"),
            ("HTTP.Username", "collector"),
            ("HTTP.Password", "secret"),
            ("HTTP.UseDateHeader", "0"),
        ],
    ));
    messages.extend(profile(
        3,
        &rows.url(),
        &[["", "Device.DeviceInfo.MemoryStatus.Total", "0"], ["", "Device.IP.Interface.1.Enable", "0"]],
        &[("EncodingType", "CSV"), ("CSVEncoding.ReportFormat", "ParameterPerRow")],
    ));
    messages.extend(profile(
        4,
        &columns.url(),
        &[["total", "Device.DeviceInfo.MemoryStatus.Total", "0"], ["memory", MEMORY, "0"]],
        &[
            ("EncodingType", "CSV"),
            ("CSVEncoding.FieldSeparator", ";"),
            ("CSVEncoding.RowSeparator", "&#13;&#10;"),
            ("NumberOfRetainedFailedReports", "2"),
        ],
    ));
    let uri = format!("{TABLE}3.HTTP.RequestURIParameter.");
    messages.push(object("add", "AddObject", &uri));
    let (string, number) = ("xsd:string", "xsd:unsignedInt");
    let name = (format!("{uri}1.Name"), format!("{uri}1.Reference"));
    messages.push(set_values(
        "uri",
        &[(&name.0, string, "v"), (&name.1, string, "Device.RootDataModelVersion")],
        "",
    ));
    messages.push(set_values("on", &[("Device.BulkData.Enable", "xsd:boolean", "1")], ""));
    let (read, refused) = (messages.len(), messages.len() + 1);
    messages.push(get_values("get", &["Device.BulkData."]));
    messages.push(set_values("soon", &[(&format!("{TABLE}1.ReportingInterval"), number, "4")], ""));
    messages.push(set_values(
        "path",
        &[(&format!("{TABLE}1.Parameter.1.Reference"), string, "Device..")],
        "",
    ));
    messages.push(set_values("wide", &[(&format!("{TABLE}1.CSVEncoding.FieldSeparator"), string, "")], ""));
    messages.extend((4..17).map(|_| object("more", "AddObject", TABLE)));
    let mut steps = vec![inform(), methods()];
    steps.extend(messages.iter().map(say));
    steps.push(end());
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 1);
    let answers: Vec<String> = acs.finish()[3..].iter().map(Seen::text).collect();
    for answer in &answers[..read] {
        assert!(!answer.contains("Fault"), "{answer}");
    }
    let root = |name: &str| value(&answers[read], &format!("Device.BulkData.{name}"));
    assert_eq!(root("Status"), "Enabled");
    assert_eq!(root("Protocols"), "HTTP");
    assert_eq!(root("MaxNumberOfProfiles"), "16");
    assert_eq!(root("Profile.2.HTTP.Password"), "");
    assert_eq!(root("Profile.4.NumberOfRetainedFailedReports"), "2");
    assert_eq!(root("Profile.1.TimeReference"), "0001-01-01T00:00:00Z");
    has(&answers[refused], &["9003", "9007", "MinReportingInterval"]);
    has(&answers[refused + 1], &["9007", "not a path"]);
    has(&answers[refused + 2], &["9007", "1 to 8 characters"]);
    // Sixteen, and no more.
    assert!(answers[refused + 3..].iter().rev().skip(1).all(|answer| answer.contains("AddObjectResponse")));
    has(answers.last().unwrap(), &["<FaultCode>9004</FaultCode>", "16"]);

    // An object for each object; and again after a second, since it was refused.
    let seen = wait(&hierarchy, 3);
    assert_eq!(seen[0].text(), seen[1].text());
    let first = &seen[0];
    assert_eq!(first.method(), "POST");
    assert!(first.target().starts_with("/acs?oui="), "{}", first.target());
    has(first.target(), &["&pc=", "&sn="]);
    assert_eq!(first.header("content-type"), Some("application/json; charset=UTF-8"));
    assert_eq!(first.header("bbf-report-format"), Some("ObjectHierarchy"));
    assert!(first.header("date").is_some_and(|date| date.ends_with(" GMT")));
    let reports = json(first);
    assert_eq!(reports.len(), 1);
    assert!(reports[0]["CollectionTime"].as_i64().unwrap() > 1_700_000_000);
    let info = &reports[0]["Device"]["DeviceInfo"];
    assert!(info["MemoryStatus"]["Total"].as_u64().unwrap() > 1000);
    assert!(info["MemoryStatus"]["Free"].is_null(), "{info}");
    assert!(info["SerialNumber"].is_string());
    let up = reports[0]["up"].as_object().unwrap();
    assert!(up.len() > 1 && up.values().all(Value::is_boolean), "{up:?}");
    // What was delivered is not sent again.
    assert_eq!(json(&seen[2]).len(), 1);
    assert_ne!(json(&seen[2])[0]["CollectionTime"], reports[0]["CollectionTime"]);

    // Pairs, packed, with credentials once they are asked for.
    let seen = wait(&pairs, 3);
    assert_eq!(seen[0].header("authorization"), None);
    let (report, login) = (&seen[1], seen[1].header("authorization").unwrap());
    assert_eq!((report.method(), report.header("date")), ("PUT", None));
    assert!(report.target().starts_with("/acs?a=b&oui="), "{}", report.target());
    has(login, &["Digest ", "username=\"collector\"", "uri=\"/acs?a=b&"]);
    assert_eq!(report.header("bbf-report-format"), Some("NameValuePair"));
    assert_eq!(report.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&report.body[..]).read_to_string(&mut text).unwrap();
    let root: Value = serde_json::from_str(&text).unwrap();
    let pairs = root["Report"][0].as_object().unwrap();
    assert!(pairs["CollectionTime"].as_str().unwrap().ends_with('Z'));
    assert!(pairs["Device.DeviceInfo.MemoryStatus.Free"].is_u64());
    assert!(pairs["m.1"].is_boolean() && pairs.keys().all(|name| !name.contains("NoSuch")), "{pairs:?}");

    let seen = wait(&rows, 1);
    assert_eq!(seen[0].header("content-type"), Some("text/csv; charset=UTF-8; header=present"));
    assert_eq!(seen[0].header("bbf-report-format"), Some("ParameterPerRow"));
    assert!(seen[0].target().contains("&v=2."), "{}", seen[0].target());
    let text = seen[0].text();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["ReportTimestamp", "ParameterName", "ParameterValue", "ParameterType"]);
    assert_eq!((lines[1][1], lines[1][3]), ("Device.DeviceInfo.MemoryStatus.Total", "unsignedInt"));
    assert_eq!(lines[2][1..], ["Device.IP.Interface.1.Enable", "1", "boolean"]);
    assert!(lines[1][0].parse::<u32>().is_ok() && lines.len() == 3, "{text}");

    // What failed comes with the next report, under one header.
    let seen = wait(&columns, 3);
    let lines = |seen: &Seen| seen.text().split_terminator("\r\n").map(str::to_owned).collect::<Vec<_>>();
    let (failed, second) = (lines(&seen[0]), lines(&seen[1]));
    assert!(failed[0].starts_with("ReportTimestamp;total;memory."), "{failed:?}");
    assert_eq!((failed.len(), second.len(), lines(&seen[2]).len()), (2, 3, 2));
    assert_eq!(failed[..], second[..2]);
    let (status, _) = agent.stop();
    assert!(status.success());

    // Another life: the settings are there, and reports go on. One that is too large is not made.
    let before = rows.seen().len();
    let mut steps = vec![inform(), methods(), say(get_values("1", &["Device.BulkData."]))];
    let everything = [["", "Device.", "0"]; 8];
    // The profile is there; only its rows are not.
    steps.extend(profile(5, &rows.url(), &everything, &[("EncodingType", "JSON")]).iter().skip(1).map(say));
    steps.push(end());
    let acs = Scripted::start(steps);
    router.set("acs", "url", &acs.url());
    let agent = router.start(&[]);
    wait(&rows, before + 1);
    agent.wait_for("no report of bulk data profile 5: more than 4096 parameters", 1);
    let text = acs.finish()[3].text();
    assert_eq!(value(&text, "Device.BulkData.ProfileNumberOfEntries"), "16");
    assert_eq!(value(&text, "Device.BulkData.Profile.4.CSVEncoding.FieldSeparator"), ";");
    let (status, _) = agent.stop();
    assert!(status.success());
}

#[test]
#[cfg(feature = "tls")]
fn nginx_gets_reports_over_tls() {
    if !installed("nginx") || !installed("openssl") {
        return;
    }
    let port = free_port();
    let blocks = format!(
        "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate CERTS/server.pem;
           ssl_certificate_key CERTS/server.key;
           location / {{ dav_methods PUT; auth_basic x; auth_basic_user_file DIR/users; }} }}"
    );
    let server = nginx(&[port], &blocks, &[]);
    let parameters = [["", MEMORY, "0"]];
    let more = [
        ("EncodingType", "JSON"),
        ("HTTP.Method", "PUT"),
        ("HTTP.Username", "cpe"),
        ("HTTP.Password", "s3cret"),
    ];
    // The certificate is not for the second name.
    let mut messages = profile(1, &format!("https://127.0.0.1:{port}/report"), &parameters, &more);
    messages.extend(profile(2, &format!("https://localhost:{port}/other"), &parameters, &more));
    messages.push(set_values("on", &[("Device.BulkData.Enable", "xsd:boolean", "1")], ""));
    let mut steps = vec![inform(), methods()];
    steps.extend(messages.iter().map(say));
    steps.push(end());
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    router.write("/etc/ca.pem", &fs::read_to_string(certificates().join("ca.pem")).unwrap());
    router.set("acs", "ssl_capath", "/etc/ca.pem");
    let agent = router.start(&[]);
    agent.wait_for("bulk data of profile 2 not sent: no TLS connection to localhost", 1);
    acs.finish();
    let place = server.dir.path().join("www/report");
    let until = Instant::now() + Duration::from_secs(60);
    while !place.exists() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    let root: Value = serde_json::from_slice(&fs::read(place).unwrap()).unwrap();
    assert!(root["Report"][0]["Device"]["DeviceInfo"]["MemoryStatus"]["Total"].is_u64(), "{root}");
    assert!(!server.dir.path().join("www/other").exists() && !agent.log().contains("s3cret"));
    let (status, _) = agent.stop();
    assert!(status.success());
}
