//! Sections without a name keep their instance numbers, whatever an editor does to the file around them.
#![allow(clippy::unwrap_used)]

#[path = "support/router.rs"]
mod router;

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use proptest::prelude::*;
use rcwmp::uci::Document;
use router::{DHCP, NETWORK, Router, WIRELESS, put, router_with};

const RULES: &str = "Device.Firewall.Chain.1.Rule.";
const FILE: &str = "etc/config/firewall";

/// A rule as an editor sees it: `id` becomes its address, by which the tests find it again.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    id: u16,
    port: u16,
    target: &'static str,
    name: Option<String>,
}

fn rule(id: u16) -> Rule {
    Rule { id, port: 1000 + id, target: "ACCEPT", name: None }
}

fn address(id: u16) -> String {
    format!("10.9.{}.{}", id / 200, id % 200 + 1)
}

fn text(rules: &[Rule]) -> String {
    let mut out = String::from(
        "config defaults\n\toption forward 'DROP'\n\nconfig zone\n\toption name 'wan'\n\tlist network 'wan'\n\
         \toption masq '1'\n\nconfig rule 'fixed'\n\toption target 'DROP'\n\toption dest_ip '10.0.0.1'\n",
    );
    for Rule { id, port, target, name } in rules {
        out += &format!(
            "\nconfig rule\n\toption src 'wan'\n\toption proto 'tcp'\n\toption dest_ip '{}'\n\
             \toption dest_port '{port}'\n\toption target '{target}'\n",
            address(*id)
        );
        if let Some(name) = name {
            out += &format!("\toption name '{name}'\n");
        }
    }
    out
}

fn start(rules: &[Rule]) -> Router {
    router_with(&[
        ("etc/config/network", NETWORK),
        ("etc/config/dhcp", DHCP),
        ("etc/config/wireless", WIRELESS),
        (FILE, &text(rules)),
    ])
}

/// Somebody edits the file; the next session sees it, in this life of the agent or in the next one.
fn edit(mut router: Router, name: &str, text: &str, restart: bool) -> Router {
    put(router.dir.path(), name, text);
    if restart {
        // The life that is about to end has not looked at the file since: it knows only the old one.
        router = router.restart();
    }
    router.model.refresh();
    router
}

/// The instances of a table by the value of one of its parameters.
fn by(router: &mut Router, table: &str, param: &str) -> BTreeMap<String, String> {
    let names = router.model.names(table, true).unwrap();
    let value = |router: &mut Router, name: &str| {
        router.model.values([format!("{name}{param}").as_str()]).unwrap()[0].1.text.clone()
    };
    names.into_iter().map(|(name, _)| (value(router, &name), name)).collect()
}

fn numbers(router: &mut Router) -> BTreeMap<String, String> {
    let found = by(router, RULES, "DestIP");
    router.model.save().unwrap();
    found
}

/// The option of the rule with that address, as the file has it.
fn option(router: &Router, id: u16, option: &str) -> Option<String> {
    let bytes = fs::read(router.dir.path().join(FILE)).unwrap();
    let document = Document::parse("firewall", &bytes).unwrap();
    let found = document.of_type("rule").find(|rule| rule.text("dest_ip") == Some(address(id)));
    found.unwrap_or_else(|| panic!("no rule {id}")).text(option)
}

/// The rules have these instances, and what an ACS sets goes to the right ones.
#[track_caller]
fn check(router: &mut Router, expected: &[(u16, &str)]) {
    let found = numbers(router);
    assert_eq!(found.len(), expected.len() + 1, "{found:?}");
    for (at, (id, number)) in expected.iter().enumerate() {
        let name = format!("{RULES}{number}.");
        assert_eq!(found.get(&address(*id)), Some(&name), "rule {id} of {found:?}");
        let port = (20_000 + at).to_string();
        router.set(&[(&format!("{name}DestPort"), &port)]);
        assert_eq!(option(router, *id, "dest_port"), Some(port));
    }
}

/// The same in one life and over restarts.
fn both(test: impl Fn(bool)) {
    test(false);
    test(true);
}

/// Five rules; the named one has number 1, so rule n has n + 1.
fn five(restart: bool, after: &[Rule], expected: &[(u16, &str)]) {
    let before: Vec<Rule> = (1..=5).map(rule).collect();
    let mut router = start(&before);
    assert_eq!(numbers(&mut router).len(), 6);
    let mut router = edit(router, FILE, &text(after), restart);
    check(&mut router, expected);
    let mut router = if restart { router.restart() } else { router };
    check(&mut router, expected);
}

#[test]
fn the_middle_one_is_removed() {
    let left = [rule(1), rule(2), rule(4), rule(5)];
    both(|restart| five(restart, &left, &[(1, "2"), (2, "3"), (4, "5"), (5, "6")]));
}

#[test]
fn one_is_inserted_before() {
    let after: Vec<Rule> = [9, 1, 2, 3, 4, 5].map(rule).into();
    let expected = [(9, "7"), (1, "2"), (2, "3"), (3, "4"), (4, "5"), (5, "6")];
    both(|restart| five(restart, &after, &expected));
}

#[test]
fn two_are_swapped() {
    let after: Vec<Rule> = [1, 4, 3, 2, 5].map(rule).into();
    both(|restart| five(restart, &after, &[(1, "2"), (2, "3"), (3, "4"), (4, "5"), (5, "6")]));
}

#[test]
fn one_is_edited() {
    let mut after: Vec<Rule> = (1..=5).map(rule).collect();
    after[2] = Rule { id: 3, port: 7, target: "DROP", name: None };
    both(|restart| five(restart, &after, &[(1, "2"), (2, "3"), (3, "4"), (4, "5"), (5, "6")]));
}

#[test]
fn one_is_edited_and_another_removed() {
    let edited = Rule { port: 7, ..rule(2) };
    for gone in [1, 3, 4, 5] {
        let mut after: Vec<Rule> = (1..=5).filter(|id| *id != gone).map(rule).collect();
        *after.iter_mut().find(|rule| rule.id == 2).unwrap() = edited.clone();
        let expected: Vec<(u16, String)> =
            after.iter().map(|rule| (rule.id, (rule.id + 1).to_string())).collect();
        let expected: Vec<(u16, &str)> = expected.iter().map(|(id, n)| (*id, n.as_str())).collect();
        both(|restart| five(restart, &after, &expected));
    }
}

#[test]
fn an_acs_adds_and_an_editor_removes() {
    both(|restart| {
        let mut router = start(&[rule(1), rule(2), rule(3)]);
        numbers(&mut router);
        let made = router.add(RULES);
        assert_eq!(made, format!("{RULES}5."));
        router.set(&[(&format!("{made}DestIP"), &address(7)), (&format!("{made}DestPort"), "7")]);
        let name = option(&router, 7, ".name");
        assert_eq!(name, None);
        let file = fs::read_to_string(router.dir.path().join(FILE)).unwrap();
        let tail = file.split_once("config rule 'rule1'").unwrap().1;
        let edited = format!("{}\nconfig rule 'rule1'{tail}", text(&[rule(1), rule(3)]));
        let mut router = edit(router, FILE, &edited, restart);
        check(&mut router, &[(1, "2"), (3, "4"), (7, "5")]);
    });
}

#[test]
fn an_acs_deletes_one() {
    both(|restart| {
        let mut router = start(&[rule(1), rule(2), rule(3), rule(4)]);
        numbers(&mut router);
        router.delete(&format!("{RULES}3."));
        check(&mut router, &[(1, "2"), (3, "4"), (4, "5")]);
        let mut router = if restart { router.restart() } else { router };
        check(&mut router, &[(1, "2"), (3, "4"), (4, "5")]);
        router.delete(&format!("{RULES}2."));
        let mut router = edit(router, FILE, &text(&[rule(3), rule(6), rule(4)]), restart);
        check(&mut router, &[(3, "4"), (4, "5"), (6, "6")]);
    });
}

#[test]
fn names_of_rules_are_no_places_either() {
    let named = |id: u16, name: &str| Rule { name: Some(name.to_owned()), ..rule(id) };
    both(|restart| {
        let mut router = start(&[named(1, "Same"), named(2, "Same"), named(3, "Other"), rule(4)]);
        numbers(&mut router);
        // The first of two of one name goes.
        let mut router = edit(router, FILE, &text(&[named(2, "Same"), named(3, "Other"), rule(4)]), restart);
        numbers(&mut router);
        // Renamed, by an editor and by the ACS.
        let list = [named(3, "Renamed"), named(2, "Same"), rule(4)];
        let mut router = edit(router, FILE, &text(&list), restart);
        router.set(&[(&format!("{RULES}5.Description"), "Same")]);
        check(&mut router, &[(2, "3"), (3, "4"), (4, "5")]);
    });
}

#[test]
fn what_fails_changes_nothing() {
    let mut router = start(&[rule(1), rule(2), rule(3)]);
    let before = numbers(&mut router);
    let bad = [
        (&*format!("{RULES}3.DestPort"), "99"),
        (&*format!("{RULES}3.DestInterface"), "Device.IP.Interface.77"),
    ];
    assert!(router.try_set(&bad).is_err());
    assert_eq!(numbers(&mut router), before);
    // A broken file, an empty one, and the old one again.
    for broken in ["config rule\n\toption 'x\n", "", "config defaults\n"] {
        router = edit(router, FILE, broken, false);
        let _ = router.model.values([RULES]);
        router = router.restart();
        let _ = router.model.values([RULES]);
    }
    let mut router = edit(router, FILE, &text(&[rule(1), rule(2), rule(3)]), true);
    assert_eq!(numbers(&mut router), before);
    let mut router = router.restart();
    assert_eq!(numbers(&mut router), before);
}

#[test]
fn saved_only_when_something_changed() {
    use std::os::unix::fs::MetadataExt;
    let mut router = start(&[rule(1), rule(2), rule(3)]);
    let file = router.dir.path().join("state/model.json");
    let inode = || fs::metadata(&file).unwrap().ino();
    numbers(&mut router);
    let first = inode();
    router.model.refresh();
    numbers(&mut router);
    let mut router = router.restart();
    numbers(&mut router);
    assert_eq!(inode(), first);
    let edited = [rule(1), Rule { port: 7, ..rule(2) }, rule(3)];
    let mut router = edit(router, FILE, &text(&edited), false);
    numbers(&mut router);
    assert!(fs::read_to_string(&file).unwrap().contains("\"marks\""));
    assert_ne!(inode(), first);
}

/// The tables behind functions: removed, and edited so that everything in their old names is another.
#[test]
fn other_tables() {
    let host = |name: &str, mac: u8, ip: u8| {
        format!(
            "config host\n\toption name '{name}'\n\toption mac '02:00:00:00:00:{mac:02x}'\n\
             \toption ip '192.168.1.{ip}'\n\n"
        )
    };
    let redirect = |ip: u8, port: u16| {
        format!(
            "config redirect\n\toption src 'wan'\n\toption target 'DNAT'\n\toption proto 'tcp'\n\
             \toption dest_ip '192.168.1.{ip}'\n\toption src_dport '{port}'\n\n"
        )
    };
    let route = |net: u8, gateway: u8| {
        format!(
            "config route\n\toption interface 'lan'\n\toption target '10.{net}.0.0/16'\n\
             \toption gateway '192.168.1.{gateway}'\n\n"
        )
    };
    let ssid = |ssid: &str, key: &str| {
        format!(
            "config wifi-iface\n\toption device 'radio0'\n\toption network 'lan'\n\toption mode 'ap'\n\
             \toption ssid '{ssid}'\n\toption encryption 'psk2'\n\toption key '{key}'\n\n"
        )
    };
    let firewall = text(&[]);
    let files = |hosts: &[String], redirects: &[String], routes: &[String], ssids: &[String]| {
        [
            ("etc/config/dhcp", format!("{DHCP}\n{}", hosts.concat())),
            (FILE, format!("{firewall}\n{}", redirects.concat())),
            ("etc/config/network", format!("{NETWORK}\n{}", routes.concat())),
            ("etc/config/wireless", format!("{WIRELESS}\n{}", ssids.concat())),
        ]
    };
    let tables = [
        ("Device.DHCPv4.Server.Pool.1.StaticAddress.", "Yiaddr"),
        ("Device.NAT.PortMapping.", "InternalClient"),
        ("Device.Routing.Router.1.IPv4Forwarding.", "DestIPAddress"),
        ("Device.WiFi.SSID.", "SSID"),
        ("Device.WiFi.AccessPoint.", "SSIDReference"),
        ("Device.Bridging.Bridge.1.Port.", "LowerLayers"),
    ];
    both(|restart| {
        let before = files(
            &[host("a", 1, 51), host("b", 2, 52), host("c", 3, 53)],
            &[redirect(61, 1), redirect(62, 2), redirect(63, 3)],
            &[route(71, 1), route(72, 2), route(73, 3)],
            &[ssid("eins", "ExampleOne"), ssid("zwei", "ExampleTwo"), ssid("drei", "ExampleThree")],
        );
        let list: Vec<(&str, &str)> = before.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let mut router = router_with(&list);
        let known: Vec<BTreeMap<String, String>> =
            tables.iter().map(|(table, param)| by(&mut router, table, param)).collect();
        router.model.save().unwrap();
        // The first goes, the third is edited and moves before the second.
        let after = files(
            &[host("z", 3, 53), host("b", 2, 52)],
            &[redirect(63, 33), redirect(62, 2)],
            &[route(73, 33), route(72, 2)],
            &[ssid("drei", "ExampleOther"), ssid("zwei", "ExampleTwo")],
        );
        for (name, text) in &after {
            router = edit(router, name, text, false);
        }
        let mut router = if restart { router.restart() } else { router };
        for ((table, param), known) in tables.iter().zip(known) {
            let found = by(&mut router, table, param);
            assert!(
                found.len() + 1 == known.len() || *param == "LowerLayers",
                "{table}: {known:?} {found:?}"
            );
            for (value, name) in &found {
                // The management port's LowerLayers are all the other ports.
                if !value.contains(',') {
                    assert_eq!(known.get(value), Some(name), "{table} {value}: {known:?} {found:?}");
                }
            }
        }
        let mapping = router.find("Device.NAT.PortMapping.", "InternalClient", "192.168.1.62");
        router.set(&[(&format!("{mapping}ExternalPort"), "4242")]);
        let file = router.config("firewall");
        let at = file.iter().position(|line| line == "option dest_ip '192.168.1.62'").unwrap();
        assert!(file[at..].contains(&"option src_dport '4242'".to_owned()));
    });
}

/// A state of the version before marks: rows are known by places, names and contents.
#[test]
fn numbers_of_an_earlier_version_go_on() {
    let named = Rule { name: Some("Web".to_owned()), ..rule(2) };
    let mut router = start(&[rule(1), named.clone(), named, rule(4)]);
    let state = r#"{"version":1,"memory":{"tables":{
        "Device.Firewall.Level.":{"last":1,"rows":{"firewall":{"number":1}}},
        "Device.Firewall.Chain.":{"last":1,"rows":{"firewall":{"number":1}}},
        "Device.Firewall.Chain.1.Rule.":{"last":40,"rows":{"fixed":{"number":11},
        "@rule[1]":{"number":12,"alias":"mine"},"Web":{"number":13},"Web#2":{"number":14},
        "@rule[4]":{"number":15},"@rule[9]":{"number":19}}}}}}"#;
    let chain = by(&mut router, "Device.Firewall.Chain.", "Name").into_keys().next().unwrap();
    put(router.dir.path(), "state/model.json", &state.replace("\"firewall\"", &format!("\"{chain}\"")));
    let mut router = {
        let Router { dir, model } = router;
        drop(model);
        router::open(dir)
    };
    for _ in 0..2 {
        let list = router.model.names(RULES, true).unwrap();
        let list: Vec<&str> = list.iter().map(|(name, _)| &name[RULES.len()..]).collect();
        assert_eq!(list, ["11.", "12.", "13.", "14.", "15."]);
        router.check(&format!("{RULES}12.DestIP"), &address(1));
        router.check(&format!("{RULES}12.Alias"), "mine");
        router.check(&format!("{RULES}13.Description"), "Web");
        router.check(&format!("{RULES}15.DestIP"), &address(4));
        router = router.restart();
    }
}

#[test]
fn two_hundred_are_read_fast() {
    let rules: Vec<Rule> = (1..=200).map(rule).collect();
    let mut router = start(&rules);
    let begin = Instant::now();
    let values = router.model.values([RULES]).unwrap();
    assert!(values.len() > 200 * 20);
    // Far from the limit even without optimisation; a fingerprint for each row would take minutes.
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

/// What may happen to the file, or to the model, between two looks.
#[derive(Debug, Clone)]
enum Step {
    Remove(usize),
    Insert(usize),
    Swap(usize, usize),
    Edit(usize, u16),
    EditAndRemove(usize, usize),
    AcsSets(usize, u16),
    AcsDeletes(usize),
    AcsFails(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..64_usize;
    prop_oneof![
        at().prop_map(Step::Remove),
        at().prop_map(Step::Insert),
        (at(), at()).prop_map(|(one, other)| Step::Swap(one, other)),
        (at(), 1..60_000_u16).prop_map(|(one, port)| Step::Edit(one, port)),
        (at(), at()).prop_map(|(one, other)| Step::EditAndRemove(one, other)),
        (at(), 1..60_000_u16).prop_map(|(one, port)| Step::AcsSets(one, port)),
        at().prop_map(Step::AcsDeletes),
        at().prop_map(Step::AcsFails),
        Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_follow_their_rules(steps in proptest::collection::vec(step(), 1..14)) {
        let mut rules: Vec<Rule> = (1..=6).map(rule).collect();
        let mut next = 7;
        let mut router = start(&rules);
        let mut reference = numbers(&mut router);
        let mut highest = 7;
        for step in steps {
            if rules.len() < 2 {
                break;
            }
            let at = |place: &usize| place % rules.len();
            let by_hand = !matches!(
                step,
                Step::AcsSets(..) | Step::AcsDeletes(_) | Step::AcsFails(_) | Step::Restart
            );
            match &step {
                Step::Remove(one) => {
                    let gone = rules.remove(at(one));
                    reference.remove(&address(gone.id));
                }
                Step::Insert(one) => {
                    rules.insert(at(one), rule(next));
                    highest += 1;
                    reference.insert(address(next), format!("{RULES}{highest}."));
                    next += 1;
                }
                Step::Swap(one, other) => {
                    let (one, other) = (at(one), at(other));
                    rules.swap(one, other);
                }
                Step::Edit(one, port) => {
                    let one = at(one);
                    rules[one].port = *port;
                }
                Step::EditAndRemove(one, other) => {
                    let (one, other) = (at(one), at(other));
                    rules[one].target = if rules[one].target == "DROP" { "REJECT" } else { "DROP" };
                    if one != other {
                        let gone = rules.remove(other);
                        reference.remove(&address(gone.id));
                    }
                }
                Step::AcsSets(one, port) => {
                    let one = at(one);
                    rules[one].port = *port;
                    let name = &reference[&address(rules[one].id)];
                    router.set(&[(&format!("{name}DestPort"), &port.to_string())]);
                    prop_assert_eq!(option(&router, rules[one].id, "dest_port"), Some(port.to_string()));
                }
                Step::AcsDeletes(one) => {
                    let gone = rules.remove(at(one));
                    router.delete(&reference.remove(&address(gone.id)).unwrap());
                }
                Step::AcsFails(one) => {
                    let name = &reference[&address(rules[at(one)].id)];
                    let list = [
                        (&*format!("{name}DestPort"), "5"),
                        (&*format!("{name}DestInterface"), "Device.IP.Interface.77"),
                    ];
                    prop_assert!(router.try_set(&list).is_err());
                }
                Step::Restart => router = router.restart(),
            }
            if by_hand {
                router = edit(router, FILE, &text(&rules), false);
            }
            prop_assert_eq!(numbers(&mut router), reference.clone(), "{:?}", step);
        }
    }
}
