//! bbfdm's JSON plugins as firmwares bring them: `tests/bbf-plugins/*.json`, in the format of bbfdm's version 2, over
//! a router's files and programs on ubus.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used)]

use std::process::Command;

use rcwmp::agent::vendor::{self, PLUGINS};
use rcwmp::backend::{Places, System};
use rcwmp::model::Model;
use rcwmp::model::bbf::{self, Around};
use rcwmp::model::compiled;
use rcwmp::model::schema::Schema;
use rcwmp::sys::fs::Root;
use rcwmp::ubus::msg::Status;

#[path = "support/bus.rs"]
mod bus;
#[path = "support/router.rs"]
mod router;
use bus::Offers;
use router::{Router, put, router_with};

const DOORS: &str = "
config doors 'global'
	option mode 'Open'
	list watch 'cat'
	list watch 'dog, old'
	option days 'Mon,Wed'

config door 'front'
	option name 'Front'
	option height '210'
	list colour 'red'
	option code '0000'
	option leads_to 'Cellar'
	option bell_loud 'on'

config door
	option name 'Cellar'

config key 'k1'
	option dm_parent 'front'
	option owner 'Ann'

config key 'k2'
	option dm_parent 'front'
	option owner 'Bob'

config lock
config lock
";

fn plugin(name: &str) -> String {
    let path = format!("{}/tests/bbf-plugins/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// A router with plugins, and what was wrong with them.
fn with(plugins: &[(&str, &str)], socket: Option<std::path::PathBuf>) -> (Router, Vec<String>) {
    let plain = router_with(&[
        ("etc/config/network", router::NETWORK),
        ("etc/config/wireless", router::WIRELESS),
        ("etc/config/doors", DOORS),
    ]);
    let dir = plain.dir;
    for (name, text) in plugins {
        put(dir.path(), &format!("usr/share/bbfdm/plugins/{name}.json"), text);
    }
    open(dir, socket)
}

fn open(dir: tempfile::TempDir, socket: Option<std::path::PathBuf>) -> (Router, Vec<String>) {
    let root = Root::new(dir.path());
    let (schema, complaints) = vendor::with_vendor_files(compiled::schema(), &root, "");
    let places = Places {
        root,
        config_dir: "/etc/config".into(),
        delta_dir: "/tmp/.uci".into(),
        state_dir: dir.path().join("state"),
        ubus_socket: socket,
    };
    let (system, memory) = System::open(places).unwrap();
    let mut model = Model::new(schema, system, memory);
    model.refresh();
    (Router { dir, model }, complaints)
}

fn with_one(name: &str) -> Router {
    let (router, complaints) = with(&[(name, &plugin(name))], None);
    assert_eq!(complaints, Vec::<String>::new());
    router
}

const HOUSE: &str = "Device.X_IOPSYS_EU_Doors.";

#[test]
fn options_and_rows_of_uci() {
    let mut router = with_one("doors");
    for (name, value) in [
        ("Enable", "1"),
        ("Mode", "Open"),
        ("Watch", "cat,dog%2C old"),
        ("Days", "Mon,Wed"),
        ("Made", "in a workshop"),
        ("DoorNumberOfEntries", "2"),
        ("LockNumberOfEntries", "2"),
        ("Door.1.Section", "front"),
        ("Door.1.Name", "Front"),
        ("Door.2.Name", "Cellar"),
        ("Door.1.Height", "210"),
        ("Door.2.Height", "100"),
        ("Door.1.Colours", "red"),
        ("Door.1.Code", ""),
        ("Door.1.LeadsTo", "Device.X_IOPSYS_EU_Doors.Door.2"),
        ("Door.1.Bell.Loud", "1"),
        ("Door.1.KeyNumberOfEntries", "2"),
        ("Door.2.KeyNumberOfEntries", "0"),
        ("Door.1.Key.2.Owner", "Bob"),
    ] {
        router.check(&format!("{HOUSE}{name}"), value);
    }
    for none in ["OnlyUsp", "Opened!", "Opened!.Who", "OpenAll()", "Door.1.dmmapfile"] {
        assert_eq!(router.try_value(&format!("{HOUSE}{none}")), None, "{none}");
    }
}

#[test]
fn what_is_set_is_in_the_file() {
    let mut router = with_one("doors");
    let set =
        |router: &mut Router, name: &str, value: &str| router.set(&[(&format!("{HOUSE}{name}"), value)]);
    set(&mut router, "Mode", "Closed");
    set(&mut router, "Watch", "bird,a%2Cb");
    set(&mut router, "Days", "Tue,Mon");
    set(&mut router, "Door.2.Name", "Attic");
    set(&mut router, "Door.2.Height", "1200");
    set(&mut router, "Door.1.Colours", "blue,green");
    set(&mut router, "Door.2.Bell.Loud", "1");
    set(&mut router, "Door.1.Note", "creaks");
    set(&mut router, "Door.1.Alias", "main");
    set(&mut router, "Door.2.LeadsTo", "Device.X_IOPSYS_EU_Doors.Door.1");
    assert_eq!(router.try_set(&[("Device.X_IOPSYS_EU_Doors.Door.1.Password", "pw")]), Ok(()));
    router.check("Device.X_IOPSYS_EU_Doors.Door.1.Password", "");
    router.has(
        "doors",
        &[
            "option mode 'Closed'",
            "list watch 'a,b'",
            "option days 'Tue,Mon'",
            "option name 'Attic'",
            "option height '1200'",
            "list colour 'green'",
            "option bell_loud '1'",
            "option leads_to 'Front'",
            "option password 'pw'",
        ],
    );
    let names = |router: &Router| {
        let lines = router.config("doors");
        lines.iter().filter(|line| line.contains("note") || line.contains("alias")).count()
    };
    assert_eq!(names(&router), 0, "bbfdm's own memory stays out of the file");
    for (name, bad) in [
        ("Mode", "Ajar"),
        ("Days", "Mon,Sun"),
        ("Watch", "a text that is longer than thirty-two characters"),
        ("Door.1.Height", "99"),
        ("Door.1.Height", "400"),
        ("Door.1.Name", "seventeen letters"),
        ("Door.1.LeadsTo", "Device.WiFi.Radio.1"),
        ("Made", "x"),
        ("Door.1.Section", "x"),
    ] {
        let before = router.config("doors");
        assert!(router.try_set(&[(&format!("{HOUSE}{name}"), bad)]).is_err(), "{name} {bad}");
        assert_eq!(router.config("doors"), before);
    }
}

#[test]
fn rows_come_and_go_with_what_is_theirs() {
    let mut router = with_one("doors");
    let door = router.add(&format!("{HOUSE}Door."));
    assert_eq!(door, format!("{HOUSE}Door.3."));
    let key = router.add(&format!("{door}Key."));
    router.set(&[(&format!("{key}Owner"), "Cid")]);
    router.has("doors", &["config door 'door_1'", "config key 'key_1'", "option dm_parent 'door_1'"]);
    router.check(&format!("{door}KeyNumberOfEntries"), "1");
    router.check(&format!("{HOUSE}Door.1.KeyNumberOfEntries"), "2");
    router.delete(&format!("{HOUSE}Door.1."));
    let lines = router.config("doors");
    for gone in ["config door 'front'", "config key 'k1'", "config key 'k2'"] {
        assert!(!lines.iter().any(|line| line == gone), "{gone}: {lines:#?}");
    }
    router.has("doors", &["config key 'key_1'", "option name 'Cellar'", "config lock"]);
    router.check(&format!("{HOUSE}Door.2.Name"), "Cellar");
    // The plugin's own tables are the only ones to be added to.
    assert!(router.model.add("Device.X_IOPSYS_EU_Doors.", None).is_err());
}

#[test]
fn what_it_depends_on_has_to_be_there() {
    let plain = router_with(&[("etc/config/network", router::NETWORK)]);
    put(plain.dir.path(), "usr/share/bbfdm/plugins/doors.json", &plugin("doors"));
    let (mut router, complaints) = open(plain.dir, None);
    assert_eq!(complaints, Vec::<String>::new());
    assert_eq!(router.try_value("Device.X_IOPSYS_EU_Doors.Mode"), None);
}

const DUMP: &str = r#"{"ui":{"language":"sv","colour":"red"},"lamps":[1,2,3],"radios":[
    {"noise":-95,"band":"2.4GHz","channels":[1,6,11],"stats":{"tx_bytes":5000000000}},
    {"noise":-90,"band":"5GHz","channels":[36],"stats":{"tx_bytes":7}}]}"#;

#[test]
fn values_and_rows_of_ubus() {
    let bus = Offers::new()
        .says("radios", "dump", DUMP)
        .says_to("radios", "model", r#"{"path":"Radio.2.Model"}"#, r#"{"model":"B"}"#)
        .start();
    let (mut router, complaints) = with(&[("radios", &plugin("radios"))], Some(bus.socket()));
    assert_eq!(complaints, Vec::<String>::new());
    for (name, value) in [
        ("Language", "sv"),
        ("LampNumberOfEntries", "3"),
        ("RadioNumberOfEntries", "2"),
        ("Radio.1.Noise", "-95"),
        ("Radio.2.Noise", "-90"),
        ("Radio.2.Band", "5GHz"),
        ("Radio.1.Channels", "1,6,11"),
        ("Radio.2.Stats.BytesSent", "7"),
        ("Radio.1.Stats.BytesSent", "5000000000"),
        ("Radio.2.Model", "B"),
        ("Radio.1.Model", ""),
    ] {
        router.check(&format!("Device.X_TEST_Radios.{name}"), value);
    }
    let dumps = bus.take_calls().iter().filter(|call| call.starts_with("radios dump")).count();
    assert_eq!(dumps, 1, "one question for all");
    assert!(router.try_set(&[("Device.X_TEST_Radios.Radio.1.Band", "6GHz")]).is_err(), "nothing writes it");
    assert!(router.model.add("Device.X_TEST_Radios.Radio.", None).is_err(), "nobody can add to ubus");
}

#[test]
fn nobody_there_is_no_value() {
    let (mut router, complaints) = with(&[("radios", &plugin("radios"))], None);
    assert_eq!(complaints, Vec::<String>::new());
    router.check("Device.X_TEST_Radios.Language", "");
    router.check("Device.X_TEST_Radios.RadioNumberOfEntries", "0");
}

#[test]
fn values_are_told_to_ubus() {
    let bus = Offers::new().says("radios", "dump", DUMP).says("radios", "set", "{}").start();
    let (mut router, _) =
        with(&[("radios", &plugin("radios")), ("doors", &plugin("doors"))], Some(bus.socket()));
    router.check("Device.X_TEST_Radios.Language", "sv");
    bus.take_calls();
    let value = r#"$(reboot)","x":"#;
    bus.now_says("radios", "dump", &DUMP.replace("sv", r#"$(reboot)\",\"x\":"#));
    assert_eq!(router.try_set(&[("Device.X_TEST_Radios.Language", value)]), Ok(()));
    let told: Vec<_> = bus.take_calls().into_iter().filter(|call| call.starts_with("radios set")).collect();
    assert_eq!(told, [r#"radios set {"language":"$(reboot)\",\"x\":","save":true,"level":3}"#]);
    // What a program says it takes, and does not: it is told what it had.
    let why = router.try_set(&[("Device.X_TEST_Radios.Language", "de")]).unwrap_err();
    assert!(why.contains("Language") && why.contains("keeps"), "{why}");
    let told: Vec<_> = bus.take_calls().into_iter().filter(|call| call.starts_with("radios set")).collect();
    assert!(told.len() == 2 && told[0].contains("de") && told[1].contains("reboot"), "{told:?}");
    bus.now_says("radios", "dump", DUMP);
    router.model.refresh();
    // What a program does not take is a fault, and nothing else of the change is left.
    let before = router.config("doors");
    let changes = [
        ("Device.X_IOPSYS_EU_Doors.Mode", "Closed"),
        ("Device.X_TEST_Radios.Language", "de"),
        ("Device.X_TEST_Radios.Colour", "blue"),
    ];
    let why = router.try_set(&changes).unwrap_err();
    assert!(why.contains("radios paint"), "{why}");
    assert_eq!(router.config("doors"), before);
    router.check("Device.X_IOPSYS_EU_Doors.Mode", "Open");
    let told: Vec<_> = bus.take_calls().into_iter().filter(|call| call.starts_with("radios set")).collect();
    assert!(told.len() == 2 && told[0].contains("de") && told[1].contains("sv"), "{told:?}");
    bus.take_calls();
    assert!(router.try_set(&[("Device.X_TEST_Radios.Language", "a text that is too long")]).is_err());
    assert!(bus.take_calls().iter().all(|call| !call.starts_with("radios set")));
}

#[test]
fn a_refusal_is_a_fault() {
    let bus =
        Offers::new().says("radios", "dump", DUMP).refuses("radios", "set", Status::PermissionDenied).start();
    let (mut router, _) = with(&[("radios", &plugin("radios"))], Some(bus.socket()));
    assert!(router.try_set(&[("Device.X_TEST_Radios.Language", "de")]).is_err());
    router.check("Device.X_TEST_Radios.Language", "sv");
}

#[test]
fn the_model_is_extended_overwritten_and_cut() {
    let schema = |router: &mut Router| router.model.schema().clone();
    let has = |schema: &Schema, path: &str| schema.find(path).is_some();
    let before = schema(&mut router::router());
    assert!(has(&before, "Device.DeviceInfo.ProcessStatus.Process.{i}."));
    assert!(has(&before, "Device.Hosts.Host.{i}."));
    let mut router = with_one("change");
    let after = schema(&mut router);
    for gone in [
        "Device.DeviceInfo.ProcessStatus.",
        "Device.DeviceInfo.ProcessStatus.Process.{i}.",
        "Device.Hosts.Host.{i}.",
    ] {
        assert!(!has(&after, gone), "{gone}");
    }
    assert_eq!(router.try_value("Device.Hosts.HostNumberOfEntries"), None);
    router.check("Device.DeviceInfo.Processor.Architecture", "made of sand");
    router.check("Device.DeviceInfo.ProcessorNumberOfEntries", "1");
    let security = "Device.WiFi.AccessPoint.1.Security.";
    // What our own model hides is hidden under every name, and written all the same.
    router.check(&format!("{security}X_IOPSYS_EU_Phrase"), "");
    assert_eq!(router.try_set(&[(&format!("{security}X_IOPSYS_EU_Phrase"), "AnotherPassphrase")]), Ok(()));
    router.has("wireless", &["option key 'AnotherPassphrase'"]);
    router.check(&format!("{security}X_IOPSYS_EU_Phrase"), "");
    assert_eq!(router.try_set(&[(&format!("{security}WEPKey"), "not hexadecimal")]), Ok(()));
    router.has("wireless", &["option wep_key 'not hexadecimal'"]);
    router.check(&format!("{security}WEPKey"), "");
    assert_eq!(router.try_value(&format!("{security}SAEPassphrase")), None);
    // What the plugin does not speak of is as it was.
    assert!(router.try_value(&format!("{security}ModeEnabled")).is_some());
    assert!(router.model.values(["Device."]).is_ok());
}

#[test]
fn a_bad_member_is_skipped_with_its_place() {
    let text = plugin("members");
    let (mut router, complaints) = with(&[("members", &text), ("doors", &plugin("doors"))], None);
    router.check("Device.X_TEST_Members.Good", "yes");
    router.check("Device.X_TEST_Members.Last", "too");
    router.check("Device.X_IOPSYS_EU_Doors.Mode", "Open");
    let wanted = [
        ("/Shell", "a mapping to \"cli\""),
        ("/Kind", "\"strin\" is not a type"),
        ("/Nowhere", "says nowhere"),
        ("/Climbs", "the name of a package"),
        ("/Range", "\"1.5\" is not a whole number"),
        ("/Orphan", "its parent is not a section"),
        ("/Text", "invalid type"),
        ("/Device.X_TEST_Members.Table.{i}.", "rows cannot come from \"cli\""),
        ("/Device.X_TEST_Members.Wrong{i}.", "not the path of an object"),
    ];
    assert_eq!(complaints.len(), wanted.len(), "{complaints:#?}");
    for ((member, why), complaint) in wanted.iter().zip(&complaints) {
        let (place, rest) = complaint.split_once(": ").unwrap();
        assert!(rest.contains(&format!("Device.X_TEST_Members.{member}")), "{complaint}");
        assert!(rest.contains(why) && rest.contains("it is skipped"), "{complaint}");
        let mut place = place.rsplitn(3, ':');
        let (column, line): (usize, usize) =
            (place.next().unwrap().parse().unwrap(), place.next().unwrap().parse().unwrap());
        assert!(place.next().unwrap().ends_with("/usr/share/bbfdm/plugins/members.json"), "{complaint}");
        // The place is in the member's own text.
        let start = text.find(&format!("\"{}\": ", &member[1..])).unwrap();
        let start_line = text[..start].matches('\n').count() + 1;
        assert!((start_line..start_line + 3).contains(&line) && column > 1, "{complaint}");
    }
}

#[test]
fn a_bad_file_is_skipped_with_its_place() {
    let deep =
        format!("{{\"Device.X_A.\":{}1{}}}", "{\"type\":\"object\",\"x\":".repeat(2000), "}".repeat(2000));
    let many: String =
        (0..20_500).map(|n| format!(",\"P{n}\":{{\"type\":\"string\",\"default\":\"\"}}")).collect();
    let many = format!("{{\"Device.X_B.\":{{\"type\":\"object\"{many}}}}}");
    let nested: String =
        (0..30).map(|n| format!("{{\"type\":\"object\",\"Device.X_C{}.\":", ".A".repeat(n))).collect();
    let nested = format!("{{\"Device.X_C.\":{nested}0{}}}", "}".repeat(30));
    for (text, place, why) in [
        ("{\n  \"Device.X_A.\": {\n    nonsense }}", "bad.json:3:", "key must be a string"),
        ("[]", "bad.json:1:1", "expected an object"),
        ("", "bad.json:1:1", "EOF"),
        ("{\"json_plugin_version\": 3}", "bad.json:1:25", "version 3"),
        ("{\"json_plugin_version\": \"two\"}", "bad.json:1:", "invalid type"),
        (&" ".repeat((1 << 20) + 1), "", "is larger"),
        (&many, "bad.json:1:", "more than 4096"),
        (&nested, "bad.json:1:", "deeper"),
    ] {
        let (mut router, complaints) = with(&[("bad", text), ("doors", &plugin("doors"))], None);
        router.check("Device.X_IOPSYS_EU_Doors.Mode", "Open");
        let first = complaints.first().unwrap();
        assert!(first.contains(place) && first.contains(why), "{first}");
        assert!(first.contains("is skipped") || place.is_empty(), "{first}");
        assert!(complaints.len() <= 32);
    }
    let bad: String = (0..20_000).map(|n| format!(",\"P{n}\":{{\"type\":\"strin\"}}")).collect();
    let bad = format!("{{\"Device.X_B.\":{{\"type\":\"object\"{bad}}}}}");
    let (_, complaints) = with(&[("bad", &bad)], None);
    assert_eq!(complaints.len(), 32);
    assert!(complaints[31].contains("it is skipped, and the rest of the file"), "{}", complaints[31]);
    let (_, complaints) = with(&[("bad", &deep)], None);
    assert!(complaints.iter().all(|complaint| complaint.contains("bad.json:1:")), "{complaints:?}");
}

#[test]
fn later_folders_and_our_own_files_go_before() {
    let file = |default: &str| {
        format!(
            "{{\"json_plugin_version\":2,\"Device.X_A.\":{{\"type\":\"object\",\"protocols\":[\"cwmp\"],\
             \"Who\":{{\"type\":\"string\",\"protocols\":[\"cwmp\"],\"default\":\"{default}\"}}}}}}"
        )
    };
    let plain = router_with(&[]);
    for (at, folder) in PLUGINS.iter().enumerate() {
        put(plain.dir.path(), &format!("{}/a.json", &folder[1..]), &file(&at.to_string()));
    }
    let (mut router, complaints) = open(plain.dir, None);
    assert_eq!(complaints, Vec::<String>::new());
    router.check("Device.X_A.Who", "2");
    let own =
        r#"{"objects":[{"object":"Device.X_A.","params":[{"name":"Who","type":"string","const":"own"}]}]}"#;
    put(router.dir.path(), "usr/share/rcwmp/datamodel.d/a.json", own);
    open(router.dir, None).0.check("Device.X_A.Who", "own");
}

/// A file of our own format gives a table of ours more parameters, with its rows or without; all else of it stays.
#[test]
fn our_own_files_widen_tables() {
    let param = r#""params":[{"name":"X_A_Note","type":"string","access":"rw","store":true}]"#;
    let table = "Device.Routing.Router.{i}.IPv4Forwarding.{i}.";
    let rows = compiled::schema().objects().iter().find(|object| object.path == table).unwrap().rows.unwrap();
    let same = format!(r#""rows":{{"fn":"{}"}},"#, rows.spec);
    for rows in ["", &same] {
        let own = format!(r#"{{"objects":[{{"object":"{table}",{rows}{param}}}]}}"#);
        let plain = router_with(&[("etc/config/network", "config interface 'lan'\n")]);
        put(plain.dir.path(), "usr/share/rcwmp/datamodel.d/a.json", &own);
        let (mut router, complaints) = open(plain.dir, None);
        assert_eq!(complaints, Vec::<String>::new());
        let new = router.add("Device.Routing.Router.1.IPv4Forwarding.");
        router.set(&[(&format!("{new}X_A_Note"), "mine")]);
        router.check(&format!("{new}X_A_Note"), "mine");
        router.delete(&new);
    }
    let plain = router_with(&[]);
    let own = format!(
        r#"{{"objects":[{{"object":"Device.X_A.",{param}}},{{"object":"Device.X_A.B.{{i}}.",{param}}}]}}"#
    );
    put(plain.dir.path(), "usr/share/rcwmp/datamodel.d/a.json", &own);
    let (_, complaints) = open(plain.dir, None);
    assert!(complaints[0].contains("a.json: Device.X_A.B.{i}. has no rows"), "{complaints:?}");
    let plain = router_with(&[]);
    let own = r#"{"objects":[{"object":"Device.X_A.","params":[{"name":"N","type":"unsignedInt","count":"Nope"}]}]}"#;
    put(plain.dir.path(), "usr/share/rcwmp/datamodel.d/a.json", own);
    let (_, complaints) = open(plain.dir, None);
    assert!(
        complaints[0].contains("a.json: N counts Device.X_A.Nope.{i}., which is not there"),
        "{complaints:?}"
    );
}

/// A parameter of the file itself, and the plugins of bbfdm's first versions, which say no version or 1.
#[test]
fn older_plugins() {
    let text = r#"{"Device.X_OLD_HouseNumberOfEntries":{"type":"unsignedInt","protocols":["cwmp"],"read":true,"write":false,
        "mapping":[{"type":"uci","uci":{"file":"doors","section":{"type":"lock"},"option":{"name":"@Count"}}}]},
        "Device.X_OLD_Door.":{"type":"object","protocols":["cwmp"],"access":true,"array":true,
        "mapping":{"type":"uci","uci":{"file":"doors","section":{"type":"door"},"dmmapfile":"dmmap_doors"}},
        "Name":{"type":"string","protocols":["cwmp"],"read":true,"write":true,
        "mapping":[{"type":"uci","uci":{"file":"doors","section":{"type":"door"},"option":{"name":"name"}}}]}}}"#;
    let (mut router, complaints) = with(&[("old", text)], None);
    assert_eq!(complaints, Vec::<String>::new());
    router.check("Device.X_OLD_HouseNumberOfEntries", "2");
    router.check("Device.X_OLD_Door.2.Name", "Cellar");
}

/// Passwords under other names, by a plugin and in our own format: none is shown; what only looks like one is.
#[test]
fn a_secret_stays_one() {
    let option = |file: &str, ty: &str, option: &str| {
        format!(
            r#""type":"string","protocols":["cwmp"],"read":true,"write":true,"mapping":[{{"type":"uci","uci":
            {{"file":"{file}","section":{{"type":"{ty}","index":"0"}},"option":{{"name":"{option}"}}}}}}]"#
        )
    };
    let text = format!(
        r#"{{"Device.X_A.":{{"type":"object","protocols":["cwmp"],"access":false,"array":false,
        "Radius":{{{}}},"Wep":{{{}}},"Acs":{{{}}},"Ssid":{{{}}},"Code":{{{}}}}}}}"#,
        option("wireless", "wifi-iface", "auth_secret"),
        option("wireless", "wifi-iface", "key1"),
        option("cwmp", "acs", "passwd"),
        option("wireless", "wifi-iface", "ssid"),
        option("doors", "door", "code")
    );
    let own = r#"{"objects":[{"object":"Device.X_B.","params":[
        {"name":"Acs","type":"string","uci":"cwmp.acs.passwd"},{"name":"Ssid","type":"string","uci":"wireless.@wifi-iface[0].ssid"}]}]}"#;
    let (router, _) = with(&[("secrets", &text)], None);
    put(router.dir.path(), "usr/share/rcwmp/datamodel.d/b.json", own);
    let wireless =
        "config wifi-iface\n\toption ssid 'Name'\n\toption auth_secret 'hush'\n\toption key1 'hush'\n";
    put(router.dir.path(), "etc/config/wireless", wireless);
    put(router.dir.path(), "etc/config/cwmp", "config acs 'acs'\n\toption passwd 'hush'\n");
    let (mut router, complaints) = open(router.dir, None);
    assert_eq!(complaints, Vec::<String>::new());
    for (name, value) in [
        ("X_A.Radius", ""),
        ("X_A.Wep", ""),
        ("X_A.Acs", ""),
        ("X_A.Ssid", "Name"),
        ("X_A.Code", "0000"),
        ("X_B.Acs", ""),
        ("X_B.Ssid", "Name"),
    ] {
        router.check(&format!("Device.{name}"), value);
    }
}

/// Parameters of the file itself, of an object that stands elsewhere in the file or nowhere.
#[test]
fn parameters_at_the_top() {
    let text = r#"{"json_plugin_version":2,
        "Device.X_TOP.Door.{i}.Note":{"type":"string","protocols":["cwmp"],"read":true,"write":false,"default":"seen"},
        "Device.X_TOP.DoorNumberOfEntries":{"type":"unsignedInt","protocols":["cwmp"],"read":true,"write":false,
        "mapping":[{"type":"uci","uci":{"file":"doors","section":{"type":"door"},"option":{"name":"@Count"}}}]},
        "Device.X_TOP.Door.{i}.":{"type":"object","protocols":["cwmp"],"access":true,"array":true,
        "mapping":[{"type":"uci","uci":{"file":"doors","section":{"type":"door"},"dmmapfile":"dmmap_doors"}}]},
        "Device.X_ALONE.Deep.LockNumberOfEntries":{"type":"unsignedInt","protocols":["cwmp"],"read":true,"write":false,
        "mapping":[{"type":"uci","uci":{"file":"doors","section":{"type":"lock"},"option":{"name":"@Count"}}}]},
        "Device.X_NONE.{i}.Name":{"type":"string","protocols":["cwmp"],"read":true,"write":false,"default":"none"}}"#;
    let (mut router, complaints) = with(&[("top", text)], None);
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains("there is no table Device.X_NONE.{i}."), "{complaints:?}");
    router.check("Device.X_TOP.DoorNumberOfEntries", "2");
    router.check("Device.X_TOP.Door.2.Note", "seen");
    router.check("Device.X_ALONE.Deep.LockNumberOfEntries", "2");
    router.add("Device.X_TOP.Door.");
    router.check("Device.X_TOP.DoorNumberOfEntries", "3");
}

#[test]
fn validate_tells_and_the_prefix_is_an_option() {
    let (router, _) = with(&[("members", &plugin("members")), ("doors", &plugin("doors"))], None);
    put(router.dir.path(), "etc/config/cwmp", "config cpe 'cpe'\n\toption bbf_vendor_prefix 'X_HOUSE_'\n");
    let run = |words: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_rcwmpd"))
            .arg("--root")
            .arg(router.dir.path())
            .args(words)
            .output()
            .unwrap();
        (out.status.success(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let (good, _, told) = run(&["validate"]);
    assert!(!good && told.contains("members.json:8:"), "{told}");
    let (_, got, told) = run(&["-c", "get", "Device.X_HOUSE_Doors.Mode"]);
    assert_eq!(got.trim(), "Device.X_HOUSE_Doors.Mode => Open", "{told}");
}

/// Whatever is in a file: no panic, and what comes of it is a schema.
#[test]
fn damaged_files() {
    let around = Around { prefix: "X_A_", present: &|_| true };
    let core = compiled::schema();
    let mut taken = 0;
    for name in ["doors", "radios", "change", "members"] {
        let text = plugin(name);
        for at in (0..text.len()).step_by(41) {
            for new in ["", "{", "\"", "[]", "null", "@index", "{i}", "\\u0000", "-1"] {
                let damaged = format!("{}{new}{}", &text[..at], &text[at + 1..]);
                if let Ok((schema, _)) = bbf::extended(&core, name, &damaged, around) {
                    assert!(schema.find("Device.").is_some());
                    taken += 1;
                }
            }
        }
    }
    assert!(taken > 100, "{taken}");
}
