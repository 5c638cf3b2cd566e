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

/// What is hidden is looked at as well, and told nobody: two secrets that live in one option, one of a mode that
/// the network is not in, one that no network could start with.
#[test]
fn a_secret_that_is_not_taken_is_a_fault_too() {
    let at = |name: &str| format!("Device.WiFi.AccessPoint.1.Security.{name}");
    let set = |id: &str, list: &[(&str, &str)]| {
        let list: Vec<(String, &str)> = list.iter().map(|(name, value)| (at(name), *value)).collect();
        let list: Vec<_> = list
            .iter()
            .map(|(name, value)| {
                let kind = if name.ends_with("WEPKey") || name.ends_with("SharedKey") {
                    "xsd:hexBinary"
                } else {
                    "xsd:string"
                };
                (name.as_str(), kind, *value)
            })
            .collect();
        say(set_values(id, &list, ""))
    };
    let (phrase, sae, wep, psk, mode) =
        ("KeyPassphrase", "SAEPassphrase", "WEPKey", "PreSharedKey", "ModeEnabled");
    let (one, two) = ("firstfirst1", "secondsecond2");
    let digits = "ab".repeat(32);
    let refused: [(&[(&str, &str)], &str); 8] = [
        (&[(phrase, one), (sae, two)], phrase),
        (&[(sae, two), (phrase, one)], sae),
        (&[(phrase, one), (psk, &digits)], phrase),
        (&[(wep, "0102030405")], wep),
        (&[(mode, "WPA2-Personal"), (phrase, one), (sae, "x")], sae),
        (&[(sae, "sevenes")], sae),
        (&[(sae, "")], sae),
        (&[(mode, "WEP-64"), (wep, "0102030405"), (sae, two)], sae),
    ];
    let mut steps = vec![inform(), methods()];
    steps.extend(refused.iter().enumerate().map(|(nth, (list, _))| set(&nth.to_string(), list)));
    let done: [&[(&str, &str)]; 4] = [
        &[(phrase, one), (sae, one)],
        &[(psk, &digits.to_uppercase())],
        &[(mode, "WEP-64"), (wep, "0a02030405")],
        &[(phrase, two), (mode, "WPA3-Personal")],
    ];
    steps.extend(done.iter().enumerate().map(|(nth, list)| set(&format!("9{nth}"), list)));
    steps.push(say(set_values("99", &[("Device.Users.User.1.Password", "xsd:string", two)], "")));
    steps.push(end());
    let acs = Scripted::start(steps);
    let router = router(&acs.url());
    let before = router.read("/etc/config/wireless");
    router.play();
    let seen = acs.finish();
    for (nth, (_, name)) in refused.iter().enumerate() {
        let told = seen[nth + 3].text();
        let name = format!("<ParameterName>{}</ParameterName>", at(name));
        has(&told, &["<FaultCode>9003</FaultCode>", &name, "<FaultCode>9007</FaultCode>"]);
        assert_eq!(told.matches("<SetParameterValuesFault>").count(), 1, "{told}");
        for secret in [one, two, "0102030405", "sevenes", &digits] {
            assert!(!told.contains(secret), "{told}");
        }
    }
    for nth in 0..=done.len() {
        has(&seen[refused.len() + 3 + nth].text(), &["<cwmp:SetParameterValuesResponse>"]);
    }
    let after = router.read("/etc/config/wireless");
    assert_eq!(before.matches("config wifi-iface").count(), after.matches("config wifi-iface").count());
    has(&after, &["option encryption 'sae'", &format!("option key '{two}'")]);
}
