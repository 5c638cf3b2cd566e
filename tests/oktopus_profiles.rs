//! Every hook of Oktopus' *Profiles* page against our own agent: the two profiles that come with the program, and for what the agent
//! lacks (voice, site survey) one for a data model that a vendor adds.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/bus.rs"]
mod bus;
#[path = "support/oktopus.rs"]
mod oktopus;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use oktopus::{Acs, Device};
use rcwmp::lab::acs::profiles::{BUILT_IN, Error, FACTS, Profiles, READS, WRITES};
use rcwmp::lab::lua::profile::{HOOKS, Profile};
use serde_json::{Value as Json, json};

const SERIAL: &str = "LAB0000001";

struct Lab {
    acs: Acs,
    device: Device,
    profiles: Arc<Profiles>,
}

fn lab(tr098: bool) -> Lab {
    let acs = Acs::new();
    let device = acs.device(SERIAL, tr098);
    let profiles = Profiles::new(&acs.office, &acs.scripts);
    for (name, text) in BUILT_IN {
        profiles.put(name, text).unwrap();
    }
    Lab { acs, device, profiles }
}

impl Lab {
    fn shown(&self, path: &str) -> String {
        let lines = self.device.get(path);
        lines
            .first()
            .and_then(|line| line.split_once(" => "))
            .map(|(_, value)| value.to_owned())
            .unwrap_or_default()
    }
}

/// The hooks that no shipped profile has; [`a_vendors_own_model`] runs them.
const ELSEWHERE: [&str; 4] = ["get_voice", "parse_get_voice", "set_voice", "set_line"];

#[test]
fn what_the_profiles_define() {
    let lab = lab(false);
    let hooks: BTreeSet<&str> = lab.profiles.list().into_iter().flat_map(|(_, hooks)| hooks).collect();
    let expected: BTreeSet<&str> =
        HOOKS.iter().map(|hook| hook.name).filter(|name| !ELSEWHERE.contains(name)).collect();
    assert_eq!(hooks, expected);
    let ours = lab.profiles.get("openwrt-tr181").unwrap();
    assert_eq!(ours.hooks().len(), 58);
    assert_eq!(lab.profiles.get("tr098").unwrap().hooks().len(), 42);
    let able = lab.profiles.abilities("tr098").unwrap();
    assert_eq!(able["diagnose"], json!(["ping", "traceroute", "speed_test"]));
    let reads = [
        "radio",
        "ssid",
        "connected_devices",
        "interface_wan",
        "interface_lan",
        "port",
        "ping",
        "ping_result",
        "traceroute",
        "hwinfo",
    ];
    assert_eq!(able["read"], json!(reads));
    let able = lab.profiles.abilities("openwrt-tr181").unwrap();
    assert_eq!(able["diagnose"], json!(["ping", "traceroute", "speed_test", "site_survey"]));
    // A hook that is missing is a capability that is absent.
    let read = |what: &str| lab.profiles.read("openwrt-tr181", SERIAL, what);
    assert_eq!(read("voice"), Err(Error::Lacks("parse_get_voice")));
    assert_eq!(read("nonsense"), Err(Error::NoSuchThing("nonsense".into())));
    assert_eq!(lab.profiles.read("x", SERIAL, "radio"), Err(Error::NoProfile("x".into())));
    let survey = lab.profiles.diagnose("tr098", SERIAL, "site_survey", &json!({}));
    assert_eq!(survey, Err(Error::Lacks("get_site_survey_diagnostic_state")));
    match lab.profiles.read("openwrt-tr181", "nobody", "radio") {
        Err(Error::Device(refusal)) => {
            assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("404", "Device not found"))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn facts_of_both() {
    let lab = lab(false);
    for (profile, vendor, model, real_time) in
        [("openwrt-tr181", "OpenWrt", "TR-181", true), ("tr098", "Example", "TR-098", false)]
    {
        let fact = |what: &str| lab.profiles.fact(profile, SERIAL, what).unwrap();
        assert_eq!(FACTS.len(), 6);
        assert_eq!(
            (fact("vendor"), fact("data_model"), fact("real_time")),
            (json!(vendor), json!(model), json!(real_time))
        );
        assert_eq!(fact("capabilities")["Radio"], json!(true));
        assert_eq!(fact("specs")["DirectResult"], json!(false));
        assert_eq!(fact("wan_options")[1]["protocol"], json!("PPPoE"));
    }
}

#[test]
fn reads_of_our_own_agent() {
    let lab = lab(false);
    let read = |what: &str| {
        let value = lab.profiles.read("openwrt-tr181", SERIAL, what).unwrap();
        assert!(!value.is_null(), "{what}");
        value
    };
    let radios = read("radio");
    assert_eq!(radios.as_array().unwrap().len(), 2);
    assert_eq!(radios[0]["path"], "Device.WiFi.Radio.1.");
    assert_eq!(radios[0]["channel"], json!({ "value": 1, "writable": true }));
    assert_eq!(radios[1]["operating_frequency_band"]["value"], "5GHz");
    let ssids = read("ssid");
    assert_eq!(ssids[0]["ssid"]["value"], "ExampleNet");
    assert_eq!(ssids[0]["security"]["security_mode_enabled"]["value"], "WPA2-Personal");
    let hosts = read("connected_devices");
    assert_eq!(hosts["wifi"], json!([]));
    let names: Vec<&Json> =
        hosts["ethernet"].as_array().unwrap().iter().map(|host| &host["host_name"]).collect();
    assert!(names.contains(&&json!("notebook")), "{hosts}");
    let statistics = read("statistics");
    assert_eq!(statistics["lan1"][0]["label"], "BytesSent");
    let (wan, lan) = (read("interface_wan"), read("interface_lan"));
    let interfaces = |map: &Json| -> BTreeSet<String> {
        map.as_object()
            .unwrap()
            .values()
            .map(|port| port["name"]["value"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(interfaces(&wan), ["wan", "wan6", "iptv"].map(str::to_owned).into());
    assert_eq!(interfaces(&lan), ["guest", "lan"].map(str::to_owned).into());
    let ports = read("port");
    assert_eq!(ports["Device.Ethernet.Interface.1."]["name"]["value"], "lan1");
    assert_eq!(ports.as_object().unwrap().len(), 5);
    let bridges = read("bridge");
    assert_eq!(
        (&bridges[0]["name"]["value"], bridges[0]["ports"].as_array().unwrap().len()),
        (&json!("br-lan"), 9)
    );
    assert_eq!(read("ping")["number_of_repetitions"]["value"], 3);
    assert_eq!(read("traceroute")["max_hop_count"]["value"], 30);
    assert_eq!(read("ping_result")["diagnostic_state"], "None");
    let hardware = read("hwinfo");
    assert_eq!(hardware["serial_number"], SERIAL);
    assert_eq!(hardware["temperature_celsius"][0]["cpu-thermal"], 62);
    // The lab's router has none of these lines: the hooks say so in their own way.
    assert_eq!(read("pon"), json!({ "status": "NotPresent" }));
    assert_eq!((read("cellular"), read("xdsl")), (json!([]), json!([])));
    let hooks: Vec<&str> = READS.iter().map(|(what, ..)| *what).collect();
    assert_eq!(hooks.len(), 17, "a new one belongs in this test");
}

#[test]
fn writes_to_our_own_agent() {
    let lab = lab(false);
    let write = |what: &str, input: Json| lab.profiles.write("openwrt-tr181", SERIAL, what, &input);
    // Written back as it was read, but for what is changed.
    let mut radios = lab.profiles.read("openwrt-tr181", SERIAL, "radio").unwrap();
    radios[0]["channel"]["value"] = json!(6);
    let radio = json!([{ "path": radios[0]["path"], "channel": radios[0]["channel"] }]);
    assert!(write("radio", radio).unwrap()["status"].is_number());
    assert_eq!(lab.shown("Device.WiFi.Radio.1.Channel"), "6");
    let ssid = json!([{ "path": "Device.WiFi.SSID.1.", "ssid": { "value": "A & <B>" },
        "security": { "path": "Device.WiFi.AccessPoint.1.Security.", "key_passphrase": { "value": "a longer secret" } } }]);
    write("ssid", ssid).unwrap();
    assert_eq!(lab.shown("Device.WiFi.SSID.1.SSID"), "A & <B>");
    let wireless = lab.device.router.read("/etc/config/wireless");
    assert!(wireless.contains("option key 'a longer secret'"), "{wireless}");
    let port = json!({ "a": { "path": "Device.Ethernet.Interface.2.", "alias": { "value": "desk" } } });
    write("port", port).unwrap();
    assert_eq!(lab.shown("Device.Ethernet.Interface.2.Alias"), "desk");
    let added = write("new_port", json!({})).unwrap();
    let path = format!("Device.IP.Interface.{}.", added["instance_number"]);
    assert_eq!(lab.shown(&format!("{path}Enable")), "0", "{added}");
    // nil, nil: the host sets what the input names.
    let bridge = json!([{ "path": "Device.Bridging.Bridge.1.", "aging_time": { "value": 120, "writable": true },
        "name": { "value": "br-lan", "writable": false } }]);
    let done = write("bridge", bridge).unwrap();
    assert_eq!(done["parameters"], json!(["Device.Bridging.Bridge.1.AgingTime"]));
    assert_eq!(lab.shown("Device.Bridging.Bridge.1.AgingTime"), "120");
    assert!(
        matches!(write("cellular", json!({ "enable": { "value": true } })), Err(Error::Hook(why)) if why.contains("names no parameter"))
    );
    // What the hook and the device refuse.
    assert!(
        matches!(write("radio", json!([{}])), Err(Error::Hook(why)) if why.contains("a radio needs its path"))
    );
    let wrong = json!([{ "path": "Device.WiFi.Radio.1.", "channel": 999 }]);
    match write("radio", wrong) {
        Err(Error::Device(refusal)) => {
            assert_eq!(refusal.code, "9003");
            assert_eq!(refusal.parameter_faults[0].0, "Device.WiFi.Radio.1.Channel");
            assert!(refusal.raw_response.unwrap().contains("<FaultCode>9003</FaultCode>"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(WRITES.len(), 11, "a new one belongs in this test");
}

#[test]
fn a_ping_and_a_traceroute_from_their_request_to_their_result() {
    route(&lab(false), "openwrt-tr181");
}

/// A ping and a traceroute with a profile, and a ping that fails.
fn route(lab: &Lab, profile: &str) {
    let input = json!({ "host": { "value": "127.0.0.1" }, "number_of_repetitions": { "value": 2 } });
    match lab.profiles.diagnose(profile, SERIAL, "ping", &input) {
        Err(Error::Diagnostic(why)) if why.contains("Error_Internal") => {
            return println!("skipped: this kernel lets nobody ping");
        }
        Ok(result) => {
            assert_eq!(
                (&result["success_count"], &result["failure_count"]),
                (&json!(2), &json!(0)),
                "{result}"
            );
            assert_eq!(result["diagnostic_state"], "Complete");
        }
        Err(error) => panic!("{error}"),
    }
    let result =
        lab.profiles.diagnose(profile, SERIAL, "traceroute", &json!({ "host": "127.0.0.1" })).unwrap();
    assert_eq!(
        (&result["hop_count"], &result["hops"][0]["hop_host"]),
        (&json!(1), &json!("127.0.0.1")),
        "{result}"
    );
    // One that fails is told by its state.
    let nowhere = json!({ "host": "nowhere.invalid" });
    let failed = lab.profiles.diagnose(profile, SERIAL, "ping", &nowhere);
    assert!(matches!(&failed, Err(Error::Diagnostic(why)) if why.contains("ended as Error_")), "{failed:?}");
    let read = |what: &str| lab.profiles.read(profile, SERIAL, what).unwrap();
    assert_eq!(
        (&read("ping")["host"]["value"], &read("ping")["number_of_repetitions"]["value"]),
        (&json!("nowhere.invalid"), &json!(2))
    );
    assert_eq!(read("traceroute")["host"]["value"], "127.0.0.1");
    assert!(lab.acs.notes.lines().iter().any(|line| line.contains("DiagnosticsState = \"Requested\"")));
}

#[test]
fn a_speed_test_both_ways() {
    speed(&lab(false), "openwrt-tr181", "Complete");
}

/// Speed tests with a profile, whose state is then this.
fn speed(lab: &Lab, profile: &str, complete: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap())));
    let test = |action: &str| {
        let input = json!({ "url": url, "action": action, "size": 50_000 });
        lab.profiles.diagnose(profile, SERIAL, "speed_test", &input).unwrap()
    };
    let down = test("download");
    assert_eq!((&down["diagnostic_state"], &down["type"]), (&json!(complete), &json!("download")), "{down}");
    assert!(down["bytes_received"].as_u64().unwrap() >= 300_000, "{down}");
    assert!(down["download_speed"].as_str().is_some_and(|speed| speed.ends_with(" Mbps")), "{down}");
    let up = test("upload");
    assert_eq!((&up["diagnostic_state"], &up["type"]), (&json!(complete), &json!("upload")), "{up}");
    assert!(up["bytes_sent"].as_u64().unwrap() >= 50_000, "{up}");
    let refused = lab.profiles.diagnose(profile, SERIAL, "speed_test", &json!({}));
    assert_eq!(refused, Err(Error::Hook("set_speed_test: a speed test needs a url".into())));
}

/// A web server that gives 300 000 octets, and takes what it is told the length of.
fn serve(mut stream: std::net::TcpStream) {
    let (mut seen, mut part) = (Vec::new(), [0; 4096]);
    let head = loop {
        match stream.read(&mut part) {
            Ok(count) if count > 0 => seen.extend_from_slice(&part[..count]),
            _ => return,
        }
        if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&seen[..head]).to_ascii_lowercase();
    if text.starts_with("get") {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n");
        let _ = stream.write_all(&[b'x'; 300_000]);
        return;
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut left = length.unwrap().trim().parse::<usize>().unwrap() + head - seen.len();
    while left > 0 {
        match stream.read(&mut part) {
            Ok(count) if count > 0 => left -= count,
            _ => return,
        }
    }
    let _ = stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn the_tr_098_model() {
    let lab = lab(true);
    let read = |what: &str| lab.profiles.read("tr098", SERIAL, what).unwrap();
    let write = |what: &str, input: Json| lab.profiles.write("tr098", SERIAL, what, &input).unwrap();
    let path = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";
    assert_eq!(read("radio").as_array().unwrap().len(), 8);
    write("radio", json!([{ "path": path, "channel": { "value": 11 }, "enable": { "value": false } }]));
    assert_eq!(read("radio")[0]["channel"]["value"], 11);
    write("ssid", json!({ "path": path, "ssid": "Home" }));
    assert_eq!(
        (&read("ssid")[0]["ssid"]["value"], read("radio")[0]["enable"]["value"].clone()),
        (&json!("Home"), json!(false))
    );
    assert_eq!(read("interface_lan")["InternetGatewayDevice.LANDevice.1."]["access_points"], 8);
    // A connection is added, and set by the host: set_port gives nil, nil.
    assert_eq!(read("interface_wan"), json!({}));
    let added = write("new_port", json!({}));
    assert_eq!(added, json!({ "status": 0, "instance_number": 1 }));
    let path = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1.";
    let port = json!({ path: { "path": path, "name": { "value": "internet" }, "enable": { "value": true },
        "pppoe": { "path": path, "username": { "value": "u@isp.example" } } } });
    let done = write("port", port);
    assert_eq!(
        done["parameters"],
        json!([format!("{path}Enable"), format!("{path}Name"), format!("{path}Username")])
    );
    let port = &read("port")[path];
    assert_eq!(
        (&port["name"]["value"], &port["enable"]["value"], &port["pppoe"]["username"]["value"]),
        (&json!("internet"), &json!(true), &json!("u@isp.example"))
    );
    assert_eq!(read("interface_wan")[path]["type"], "PPPoE");
    assert_eq!(read("hwinfo")["serial_number"], SERIAL);
    let hosts = read("connected_devices");
    let notebook = hosts["ethernet"].as_array().unwrap().iter().find(|host| host["host_name"] == "notebook");
    assert!(notebook.is_some_and(|host| host["ip"] != "" && host["mac"] != ""), "{hosts}");
}

/// The diagnostics of TR-098 have their own objects and states, and the agent runs them as TR-181's.
#[test]
fn the_diagnostics_of_the_tr_098_model() {
    let lab = lab(true);
    route(&lab, "tr098");
    speed(&lab, "tr098", "Completed");
    let lines = lab.acs.notes.lines();
    for object in ["IPPing", "TraceRoute", "Download", "Upload"] {
        let path = format!("InternetGatewayDevice.{object}Diagnostics");
        let asked = |line: &&String| line.contains("SetParameterValues") && line.contains(&path);
        let asked = lines.iter().find(asked).unwrap_or_else(|| panic!("no {path} in {lines:#?}"));
        assert!(asked.contains("DiagnosticsState = \"Requested\""), "{asked}");
    }
}

/// What a vendor may add to the agent: a site survey, and telephone lines.
const MODEL: &str = r#"{"objects":[
{"object":"Device.X_LAB_Survey.", "params":[
 {"name":"State", "type":"string", "const":"Complete"},
 {"name":"Begin", "type":"string", "access":"rw", "store":true}]},
{"object":"Device.X_LAB_Survey.Result.{i}.", "rows":{"fn":"fixed:2"}, "params":[
 {"name":"SSID", "type":"string", "const":"Neighbour"},
 {"name":"Channel", "type":"unsignedInt", "const":"6"},
 {"name":"SignalStrength", "type":"int", "const":"-62"}]},
{"object":"Device.X_LAB_Voice.{i}.", "rows":{"fn":"fixed:1"}, "params":[
 {"name":"Domain", "type":"string", "access":"rw", "store":true}]},
{"object":"Device.X_LAB_Voice.{i}.Line.{i}.", "rows":{"fn":"fixed:2"}, "params":[
 {"name":"Enable", "type":"boolean", "access":"rw", "store":true},
 {"name":"Username", "type":"string", "access":"rw", "store":true}]}
]}"#;

/// Its profile. A line is set by the host.
const VENDOR: &str = r#"
local function set(name, value)
  return [[<soap:Envelope><soap:Body><cwmp:SetParameterValues><ParameterList soapenc:arrayType="cwmp:ParameterValueStruct[1]">
    <ParameterValueStruct><Name>]] .. name .. [[</Name><Value xsi:type="xsd:string">]] .. value .. [[</Value></ParameterValueStruct>
    </ParameterList><ParameterKey/></cwmp:SetParameterValues></soap:Body></soap:Envelope>]]
end
function get_site_survey_diagnostic_state() return "Device.X_LAB_Survey.State", nil end
function set_site_survey_diagnostic_state() return set("Device.X_LAB_Survey.Begin", "Requested") end
function get_site_survey_results() return cwmp_get_params { "Device.X_LAB_Survey.Result." } end
function parse_get_site_survey(response)
  local values, list = response_to_map(response), {}
  for number = 1, 2 do
    local path = "Device.X_LAB_Survey.Result." .. number .. "."
    list[number] = { ssid = values[path .. "SSID"], channel = tonumber(values[path .. "Channel"]), signal_strength = tonumber(values[path .. "SignalStrength"]) }
  end
  return { ["2.4GHz"] = list }, nil
end
function get_voice() return cwmp_get_params { "Device.X_LAB_Voice." } end
function parse_get_voice(response)
  local values = response_to_map(response)
  local path = "Device.X_LAB_Voice.1."
  local lines = {}
  for number = 1, 2 do
    local line = path .. "Line." .. number .. "."
    lines[number] = { path = line, number = number, enabled = values[line .. "Enable"] == "1", username = { value = values[line .. "Username"] } }
  end
  return { { path = path, domain = { value = values[path .. "Domain"] }, lines = lines } }, nil
end
function set_voice(voice) return set(voice.path .. "Domain", voice.domain.value) end
function set_line(line) return nil, nil end
"#;

#[test]
fn a_vendors_own_model() {
    let acs = Acs::new();
    let router = acs.router(SERIAL, false);
    rcwmp::lab::router::add_model(&router.root(), "vendor", MODEL).unwrap();
    let agent = router.start(&["-b"]);
    acs.notes.wait(&format!("over {SERIAL} "), 1);
    let profiles = Profiles::new(&acs.office, &acs.scripts);
    profiles.put("vendor", VENDOR).unwrap();
    let lab = Lab { device: Device { agent, router }, acs, profiles };
    let hooks: BTreeSet<&str> = lab.profiles.get("vendor").unwrap().hooks().iter().copied().collect();
    assert!(ELSEWHERE.iter().all(|hook| hooks.contains(hook)), "{hooks:?}");

    let found = lab.profiles.diagnose("vendor", SERIAL, "site_survey", &json!({})).unwrap();
    assert_eq!(found["2.4GHz"][1], json!({ "ssid": "Neighbour", "channel": 6, "signal_strength": -62 }));
    assert_eq!(lab.shown("Device.X_LAB_Survey.Begin"), "Requested");
    assert_eq!(lab.profiles.read("vendor", SERIAL, "site_survey").unwrap(), found);

    let write = |what: &str, input: Json| lab.profiles.write("vendor", SERIAL, what, &input).unwrap();
    write("voice", json!({ "path": "Device.X_LAB_Voice.1.", "domain": { "value": "sip.example" } }));
    write(
        "line",
        json!({ "path": "Device.X_LAB_Voice.1.Line.2.", "username": { "value": "2002" }, "enable": { "value": true } }),
    );
    let voice = lab.profiles.read("vendor", SERIAL, "voice").unwrap();
    assert_eq!(
        (&voice[0]["domain"]["value"], &voice[0]["lines"][1]["username"]["value"]),
        (&json!("sip.example"), &json!("2002"))
    );
    assert_eq!(
        (&voice[0]["lines"][0]["enabled"], &voice[0]["lines"][1]["enabled"]),
        (&json!(false), &json!(true))
    );
}

/// The survey of our own agent takes until it says so: what it has heard is read after its Inform, and not before.
#[test]
fn a_site_survey_of_our_own_agent() {
    let heard = r#"{"results":[
        {"ssid":"far","bssid":"02:00:5E:00:53:03","mode":"Master","band":5,"channel":153,"mhz":5765,"signal":-75,
         "encryption":{"enabled":false}},
        {"ssid":"near","bssid":"02:00:5E:00:53:02","mode":"Master","band":5,"channel":52,"mhz":5260,"signal":-45,
         "encryption":{"enabled":false}}]}"#;
    let acs = Acs::new();
    let router = acs.router(SERIAL, false);
    let _bus = bus::Offers::new()
        .says_to("iwinfo", "scan", r#"{"device":"phy1-ap0"}"#, heard)
        .start_at(&router.root().join("var/run/ubus/ubus.sock"), None);
    let agent = router.start(&["-b"]);
    acs.notes.wait(&format!("over {SERIAL} "), 1);
    let profiles = Profiles::new(&acs.office, &acs.scripts);
    let (name, text) = BUILT_IN[0];
    profiles.put(name, text).unwrap();
    let lab = Lab { device: Device { agent, router }, acs, profiles };
    let before = lab.acs.notes.lines().len();
    let found = lab.profiles.diagnose(name, SERIAL, "site_survey", &json!({})).unwrap();
    let near = json!({ "ssid": "near", "bssid": "02:00:5e:00:53:02", "mode": "Infrastructure", "channel": 52,
        "signal_strength": -45, "security_mode_enabled": "None", "encryption_mode": "", "radio": "Device.WiFi.Radio.2." });
    assert_eq!(found["5GHz"][0], near, "{found}");
    assert_eq!(
        (found["5GHz"][1]["ssid"].as_str(), found["5GHz"].as_array().unwrap().len()),
        (Some("far"), 2)
    );
    let lines = lab.acs.notes.lines().split_off(before);
    let at = |what: &str| lines.iter().rposition(|line| line.contains(what));
    let (set, read) =
        (at("SetParameterValues"), at("GetParameterValues Device.WiFi.NeighboringWiFiDiagnostic."));
    let last = lines.iter().rposition(|line| line.starts_with("informed"));
    assert!(set.is_some() && set < last && last < read, "{lines:#?}");
}

#[test]
fn a_site_survey_that_cannot_be_fails() {
    // Nobody scans for it.
    let lab = lab(false);
    let survey = lab.profiles.diagnose("openwrt-tr181", SERIAL, "site_survey", &json!({}));
    assert_eq!(survey, Err(Error::Diagnostic("the diagnostic ended as Error".into())));
}

#[test]
fn the_readme_names_every_word_with_a_test_that_is_there() {
    let root = env!("CARGO_MANIFEST_DIR");
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let section = readme.split_once("## Oktopus Lua").unwrap().1.split("\n## ").next().unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    for hook in HOOKS {
        let start = format!("| `{}({})` |", hook.name, hook.arguments.join(", "));
        assert_eq!(rows.iter().filter(|row| row.starts_with(&start)).count(), 1, "{start}");
    }
    let mut file = String::new();
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for test in tests.split(", ").map(|test| test.trim_matches('`')) {
            let name = match test.split_once("::") {
                Some(("…", name)) => name.to_owned(),
                Some((module, name)) => {
                    file = std::fs::read_to_string(format!("{root}/tests/{module}.rs")).unwrap();
                    name.to_owned()
                }
                None => test.trim_start_matches('…').to_owned(),
            };
            assert!(
                file.lines().any(|line| line.contains("fn ") && line.contains(&format!("{name}("))),
                "{row}: no {name}"
            );
        }
    }
}

/// The functions of Lua's own that stay in every environment.
const OF_LUA: [&str; 16] = [
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "unpack",
];

#[test]
fn the_readme_names_every_function_of_each_environment() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme.split_once("## Oktopus Lua").unwrap().1.split("| hook |").next().unwrap();
    let told = |environment: &str| -> BTreeSet<String> {
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('('));
        rows.filter(|(_, rest)| rest.split(" | ").nth(1).is_some_and(|column| column.contains(environment)))
            .map(|(name, _)| name.to_owned())
            .collect()
    };
    let theirs = |lines: Vec<String>| -> BTreeSet<String> {
        lines.into_iter().filter(|name| !OF_LUA.contains(&name.as_str())).collect()
    };
    let all = "for name, value in pairs(_G) do if type(value) == 'function' then print(name) end end";
    let acs = Acs::new();
    assert_eq!(theirs(acs.run(all)), told("Scripts"));

    acs.office.store.add_device("A").unwrap();
    let instance =
        acs.service("A", &format!("{all} set_provisioning_status('provisioned')"), &Default::default());
    oktopus::inform(&acs, "A", rcwmp::cwmp::event::EventCode::Bootstrap);
    assert_eq!(theirs(acs.outcome(instance).2), told("Services"));

    let profile = Profile::read(&format!("function get_vendor() {all} return 'x', nil end")).unwrap();
    let mut printed = Vec::new();
    profile.call("get_vendor", "A", &[], &mut printed).unwrap();
    assert_eq!(theirs(printed.into_iter().filter(|name| name != "get_vendor").collect()), told("Profiles"));
}
