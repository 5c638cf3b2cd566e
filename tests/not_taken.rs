//! What the system does not take is a fault of SetParameterValues, and nothing of the request is left (TR-069 A.3.2.1):
//! for options of UCI, files of the system and programs on ubus, from an ACS's request to the files of the router.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/bus.rs"]
mod bus;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use std::fs;

use bus::Offers;
use messages::{get_values, set_values};
use play::{end, has, inform, methods, object, router, say, value};
use scripted::Scripted;

const SSID: &str = "Device.WiFi.SSID.1.SSID";
const KEY: &str = "Device.SSH.AuthorizedKey.1.Key";
const WORDS: &str = "Device.X_TEST_Words.List";
const LANGUAGE: &str = "Device.X_TEST_Radios.Language";
const PARAMETER_KEY: &str = "Device.ManagementServer.ParameterKey";
const GOOD_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample user@host";
/// A program that says of everything it is told that it has taken it, and keeps what it had.
const DUMP: &str = r#"{"ui":{"language":"sv","colour":"red"},"lamps":[],"radios":[]}"#;
/// A list in an option that is one text: an item with a blank in it would be two.
const MODEL: &str = r#"{"objects":[{"object":"Device.X_TEST_Words.","params":[
{"name":"List","type":"list(string)","access":"rw","uci":"words.global.list"}]}]}"#;

#[test]
fn what_is_not_taken_is_a_fault_and_rolled_back() {
    let text = "xsd:string";
    let spaced = format!("  {GOOD_KEY}");
    let set = |id: &str, list: &[(&str, &str)], key: &str| {
        let list: Vec<_> = list.iter().map(|(name, value)| (*name, text, *value)).collect();
        say(set_values(id, &list, key))
    };
    let all = [SSID, KEY, WORDS, LANGUAGE, PARAMETER_KEY];
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(object("1", "AddObject", "Device.SSH.AuthorizedKey.")),
        say(get_values("2", &all)),
        // Each time the others could be taken; the one that is not stands first, in the middle, or last.
        set("3", &[(SSID, "Other"), (KEY, GOOD_KEY), (WORDS, "x,y"), (LANGUAGE, "de")], "ubus"),
        set("4", &[(KEY, &spaced), (SSID, "Other"), (WORDS, "x,y")], "file"),
        set("5", &[(SSID, "Other"), (WORDS, "a b,c"), (KEY, GOOD_KEY)], "uci"),
        say(get_values("6", &all)),
        set("7", &[(SSID, "Other"), (KEY, GOOD_KEY), (WORDS, "x,y"), (LANGUAGE, "sv")], "good"),
        say(get_values("8", &all)),
        end(),
    ]);
    let router = router(&acs.url());
    router.write("/etc/config/words", "\nconfig words 'global'\n\toption list 'one two'\n");
    router.write("/usr/share/rcwmp/datamodel.d/words.json", MODEL);
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bbf-plugins/radios.json");
    router.write("/usr/share/bbfdm/plugins/radios.json", &fs::read_to_string(plugin).unwrap());
    fs::create_dir_all(router.root().join("etc/dropbear")).unwrap();
    let socket = router.root().join("var/run/ubus/ubus.sock");
    let programs =
        Offers::new().says("radios", "dump", DUMP).says("radios", "set", "{}").start_at(&socket, None);
    router.play();
    let seen = acs.finish();
    let answer = |at: usize| seen[at + 2].text();
    has(&answer(1), &["<InstanceNumber>1</InstanceNumber>"]);
    for (at, name, why) in [(3, LANGUAGE, "keeps"), (4, KEY, "would keep"), (5, WORDS, "would keep")] {
        let told = answer(at);
        has(
            &told,
            &["<FaultCode>9003</FaultCode>", &format!("<ParameterName>{name}</ParameterName>"), "9007", why],
        );
        assert_eq!(told.matches("<SetParameterValuesFault>").count(), 1, "{told}");
    }
    // In the same session everything is as it was.
    let (before, after) = (answer(2), answer(6));
    for name in all {
        assert_eq!(value(&before, name), value(&after, name), "{name}");
    }
    assert_eq!((value(&before, WORDS), value(&before, LANGUAGE)), ("one,two".into(), "sv".into()));
    // The program is told what it had.
    let told: Vec<String> =
        programs.take_calls().into_iter().filter(|call| call.starts_with("radios set")).collect();
    let languages: Vec<&str> = told.iter().map(|call| call.split('"').nth(3).unwrap()).collect();
    assert_eq!(languages, ["de", "sv", "sv"]);
    // And the same request without what is not taken is done, all of it.
    has(&answer(7), &["<Status>1</Status>"]);
    let done = answer(8);
    for (name, wanted) in [(SSID, "Other"), (KEY, GOOD_KEY), (WORDS, "x,y"), (PARAMETER_KEY, "good")] {
        assert_eq!(value(&done, name), wanted);
    }
    has(&router.read("/etc/config/wireless"), &["'Other'"]);
    has(&router.read("/etc/config/words"), &["option list 'x y'"]);
    has(&router.read("/etc/dropbear/authorized_keys"), &[GOOD_KEY]);
}
