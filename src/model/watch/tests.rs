//! Tests of the watch: the rules one by one, and random histories against what an ACS must have been told.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::attributes::AttributeChange;
use super::super::backend::Raw;
use super::super::scenario::{Fake, model, model_of, row, set};
use super::*;

fn notify(model: &mut Model<Fake>, watch: &mut Watch, list: &[(&str, i64)]) {
    let change = |(name, notification): &(&str, i64)| AttributeChange {
        name: (*name).to_owned(),
        notification: Some(*notification),
        subscriber: None,
    };
    model.set_lightweight(true);
    model.set_attributes(&list.iter().map(change).collect::<Vec<_>>()).unwrap();
    watch.absorb(model, ByAcs::Attributes);
}

/// A watch that has seen the system as it is.
fn watched(list: &[(&str, i64)]) -> (Model<Fake>, Watch) {
    let (mut model, mut watch) = (model(), Watch::default());
    assert!(watch.check(&mut model, &Scope::All).is_empty());
    notify(&mut model, &mut watch, list);
    assert!(watch.pending(&model).is_empty());
    (model, watch)
}

fn external(model: &mut Model<Fake>, address: &str, text: &str) {
    model.backend().values.insert(address.into(), Raw::one(text));
    model.refresh();
}

fn packages(names: &[&str]) -> Scope {
    Scope::Packages(names.iter().map(|name| (*name).to_owned()).collect())
}

/// An Inform with what is pending is confirmed.
fn inform(model: &mut Model<Fake>, watch: &mut Watch) -> Vec<String> {
    let names: Vec<String> = watch.pending(model).inform().map(str::to_owned).collect();
    let values = model.values(names.iter().map(String::as_str)).unwrap();
    watch.told(values.iter().map(|(name, value)| (name.as_str(), value)));
    names
}

fn lists(changes: &Changes) -> [String; 4] {
    let Changes { passive, active, lightweight_passive, lightweight_active } = changes;
    [passive, active, lightweight_passive, lightweight_active].map(|list| list.join(" "))
}

#[test]
fn each_kind_goes_its_way() {
    for (notification, expected) in [
        (0, ["", "", "", ""]),
        (1, ["P", "", "", ""]),
        (2, ["", "P", "", ""]),
        (3, ["", "", "P", ""]),
        (4, ["P", "", "P", ""]),
        (5, ["", "", "", "P"]),
        (6, ["P", "", "", "P"]),
    ] {
        let (mut model, mut watch) = watched(&[("Device.If.1.Mtu", notification)]);
        external(&mut model, "net.lan.mtu", "1400");
        let found = watch.check(&mut model, &packages(&["net"]));
        let expected = expected.map(|word| word.replace('P', "Device.If.1.Mtu"));
        assert_eq!(lists(&found), expected, "{notification}");
        assert_eq!(lists(&watch.pending(&model)), expected, "{notification}");
        // It is news once, and pending until told.
        assert!(watch.check(&mut model, &Scope::All).is_empty());
        let values = model.values(["Device.If.1.Mtu"]).unwrap();
        let told = || values.iter().map(|(name, value)| (name.as_str(), value));
        watch.told(told());
        let [.., light_passive, light_active] = expected;
        assert_eq!(lists(&watch.pending(&model)), ["", "", &light_passive, &light_active]);
        watch.sending_lightweight(told());
        watch.sent_lightweight(true);
        assert!(watch.pending(&model).is_empty());
        assert!(watch.check(&mut model, &Scope::All).is_empty());
    }
}

#[test]
fn what_the_data_model_watches() {
    let (mut model, mut watch) = watched(&[]);
    // Forced active; active by default; in every Inform without notification.
    external(&mut model, "net.wan.sw", "2.0");
    external(&mut model, "Url", "http://192.0.2.9:7547/");
    external(&mut model, "/hw", "rev B");
    external(&mut model, "net.wan.mtu", "1400");
    let found = watch.check(&mut model, &Scope::All);
    assert_eq!(lists(&found), ["Device.Hw", "Device.If.2.Sw Device.Url", "", ""]);
    inform(&mut model, &mut watch);
    // The ACS may turn off what is active by default; every Inform carries it nonetheless.
    notify(&mut model, &mut watch, &[("Device.Url", 0), ("Device.If.2.Sw", 0)]);
    external(&mut model, "net.wan.sw", "3.0");
    external(&mut model, "Url", "");
    let found = watch.check(&mut model, &Scope::All);
    assert_eq!(lists(&found), ["Device.Url", "Device.If.2.Sw", "", ""]);
}

#[test]
fn once_with_the_latest_value_also_when_it_changed_back() {
    let (mut model, mut watch) = watched(&[("Device.If.1.Mtu", 2)]);
    external(&mut model, "net.lan.mtu", "1400");
    assert_eq!(watch.check(&mut model, &Scope::All).active, ["Device.If.1.Mtu"]);
    external(&mut model, "net.lan.mtu", "1500");
    assert!(watch.check(&mut model, &Scope::All).is_empty());
    assert_eq!(inform(&mut model, &mut watch), ["Device.If.1.Mtu"]);
    assert!(watch.check(&mut model, &Scope::All).is_empty());
    assert!(inform(&mut model, &mut watch).is_empty());
}

#[test]
fn a_change_after_the_inform_was_built_is_told_again() {
    let (mut model, mut watch) = watched(&[("Device.If.1.Mtu", 2)]);
    external(&mut model, "net.lan.mtu", "1400");
    watch.check(&mut model, &Scope::All);
    let values = model.values(["Device.If.1.Mtu"]).unwrap();
    external(&mut model, "net.lan.mtu", "1300");
    watch.told(values.iter().map(|(name, value)| (name.as_str(), value)));
    assert!(watch.pending(&model).is_empty());
    assert_eq!(watch.check(&mut model, &Scope::All).active, ["Device.If.1.Mtu"]);
}

#[test]
fn a_lightweight_notification_that_does_not_leave_is_made_again() {
    let (mut model, mut watch) = watched(&[("Device.If.1.Mtu", 5)]);
    let light = |watch: &Watch, model: &Model<Fake>| watch.pending(model).lightweight_active;
    external(&mut model, "net.lan.mtu", "1400");
    watch.check(&mut model, &Scope::All);
    let values = model.values(["Device.If.1.Mtu"]).unwrap();
    let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value)).collect();
    watch.sending_lightweight(values.clone());
    assert!(light(&watch, &model).is_empty());
    // A life that ends here does not know whether it left.
    let again: Watch = serde_json::from_str(&serde_json::to_string(&watch).unwrap()).unwrap();
    assert_eq!(light(&again, &model), ["Device.If.1.Mtu"]);
    watch.sent_lightweight(false);
    assert_eq!(light(&watch, &model), ["Device.If.1.Mtu"]);
    // What changes on the way is news, whether or not the old value left.
    watch.sending_lightweight(values);
    external(&mut model, "net.lan.mtu", "1300");
    assert_eq!(watch.check(&mut model, &packages(&["net"])).lightweight_active, ["Device.If.1.Mtu"]);
    watch.sent_lightweight(true);
    assert_eq!(light(&watch, &model), ["Device.If.1.Mtu"]);
    // The ACS has turned it off meanwhile.
    let values = model.values(["Device.If.1.Mtu"]).unwrap();
    watch.sending_lightweight(values.iter().map(|(name, value)| (name.as_str(), value)));
    notify(&mut model, &mut watch, &[("Device.If.1.Mtu", 1)]);
    watch.sent_lightweight(false);
    assert!(watch.pending(&model).is_empty());
}

#[test]
fn what_the_acs_does_is_known_to_it() {
    let (mut model, mut watch) =
        watched(&[("Device.If.", 1), ("Device.IfNumberOfEntries", 2), ("Device.If.2.Lower", 2)]);
    set(&mut model, &[("Device.If.1.Mtu", "1400"), ("Device.If.1.Secret", "new")]).unwrap();
    // Meanwhile somebody else does something too.
    external(&mut model, "net.lan.mode", "r");
    watch.absorb(&mut model, ByAcs::Set(&["Device.If.1.Mtu", "Device.If.[cpe-1].Secret"]));
    assert_eq!(model.add("Device.If.", Some("another key")), Ok(3));
    watch.absorb(&mut model, ByAcs::Added("Device.If."));
    model.refresh();
    assert_eq!(lists(&watch.check(&mut model, &Scope::All)), ["Device.If.1.Mode", "", "", ""]);
    inform(&mut model, &mut watch);
    // The reference of the second to the first goes with the first.
    model.delete("Device.If.1.", Some("a third")).unwrap();
    watch.absorb(&mut model, ByAcs::Deleted("Device.If.1."));
    model.refresh();
    assert!(watch.check(&mut model, &Scope::All).is_empty());
    assert!(watch.entries.keys().all(|name| !name.starts_with("Device.If.1.")));
    // But its ParameterKey is not hidden from one who changes it by other means.
    model.backend().key = "somebody".into();
    assert_eq!(watch.check(&mut model, &packages(&[])).passive, ["Device.Key"]);
}

#[test]
fn instances_that_come_and_go() {
    let (mut model, mut watch) = watched(&[("Device.If.1.Mtu", 2), ("Device.IfNumberOfEntries", 1)]);
    model.backend().rows.insert("net.if".into(), vec![row("wan"), row("guest")]);
    external(&mut model, "net.guest.sw", "1");
    // What is gone is not told, what is new neither, their number did not change.
    assert!(watch.check(&mut model, &Scope::All).is_empty());
    assert!(!watch.entries.contains_key("Device.If.1.Mtu"));
    // The new one's forced parameter is watched from now on.
    external(&mut model, "net.guest.sw", "2");
    model.backend().rows.get_mut("net.if").unwrap().push(row("vpn"));
    let found = watch.check(&mut model, &packages(&["net"]));
    assert_eq!(lists(&found), ["Device.IfNumberOfEntries", "Device.If.3.Sw", "", ""]);
}

#[test]
fn what_cannot_be_read_has_not_changed() {
    let (mut model, mut watch) =
        watched(&[("Device.If.1.Mtu", 2), ("Device.IfNumberOfEntries", 2), ("Device.If.2.Lower", 2)]);
    let before = watch.entries.clone();
    for broken in ["net.if", "net.lan.mtu"] {
        model.backend().broken = vec![broken.into()];
        model.refresh();
        assert!(watch.check(&mut model, &Scope::All).is_empty(), "{broken}");
        assert_eq!(watch.entries, before, "{broken}");
    }
    model.backend().broken.clear();
    external(&mut model, "net.lan.mtu", "1400");
    assert_eq!(watch.check(&mut model, &Scope::All).active, ["Device.If.1.Mtu"]);
}

#[test]
fn a_password_is_told_of_and_not_kept() {
    let (mut model, mut watch) = watched(&[("Device.If.1.Secret", 2)]);
    external(&mut model, "net.lan.key", "0therS3cret");
    assert_eq!(watch.check(&mut model, &Scope::All).active, ["Device.If.1.Secret"]);
    assert_eq!(inform(&mut model, &mut watch), ["Device.If.1.Secret"]);
    assert!(watch.check(&mut model, &Scope::All).is_empty());
    let text = serde_json::to_string(&watch).unwrap();
    assert!(!text.contains("S3cret") && !text.contains("s3cret"), "{text}");
}

#[test]
fn another_life_goes_on_where_the_last_ended() {
    let (mut model, mut watch) = watched(&[("Device.If.1.Mtu", 2)]);
    external(&mut model, "net.lan.mtu", "1400");
    watch.check(&mut model, &Scope::All);
    let text = serde_json::to_string(&watch).unwrap();
    let mut again: Watch = serde_json::from_str(&text).unwrap();
    assert_eq!(again.pending(&model).active, ["Device.If.1.Mtu"]);
    // An update of the firmware between two lives.
    external(&mut model, "net.wan.sw", "2.0");
    assert_eq!(again.check(&mut model, &Scope::All).active, ["Device.If.2.Sw"]);
    again.discard();
    assert!(again.pending(&model).is_empty() && again.check(&mut model, &Scope::All).is_empty());
    // Unknown words are tolerated, nonsense is not taken for a value.
    assert!(serde_json::from_str::<Watch>(r#"{"new":1,"entries":{}}"#).unwrap().is_empty());
    assert!(serde_json::from_str::<Watch>(r#"{"entries":{"A.B":{"v":"zz"}}}"#).is_err());
    let many: Vec<String> = (0..MAX_WATCHED + 5)
        .map(|n| format!(r#""A.{n}":{{"v":"00000000000000000000000000000000"}}"#))
        .collect();
    let many: Watch = serde_json::from_str(&format!(r#"{{"entries":{{{}}}}}"#, many.join(","))).unwrap();
    assert_eq!(many.len(), MAX_WATCHED);
}

#[test]
fn another_notification_forgets_what_it_does_not_tell() {
    let (mut model, mut watch) = watched(&[("Device.If.1.Mtu", 1)]);
    external(&mut model, "net.lan.mtu", "1400");
    watch.check(&mut model, &Scope::All);
    notify(&mut model, &mut watch, &[("Device.If.1.Mtu", 3)]);
    assert!(watch.pending(&model).is_empty());
    notify(&mut model, &mut watch, &[("Device.If.1.Mtu", 0)]);
    notify(&mut model, &mut watch, &[("Device.If.1.Mtu", 1)]);
    assert!(watch.pending(&model).is_empty());
    // From passive to active what is pending goes along.
    external(&mut model, "net.lan.mtu", "1300");
    watch.check(&mut model, &Scope::All);
    notify(&mut model, &mut watch, &[("Device.If.1.Mtu", 2)]);
    assert_eq!(watch.pending(&model).active, ["Device.If.1.Mtu"]);
}

const LARGE: &str = r#"{"objects":[
 {"object":"Device.","params":[{"name":"Hw","type":"string","inform":true,"file":"/hw"}]},
 {"object":"Device.A.{i}.","rows":{"uci":"a.row"},"params":[
  {"name":"P","type":"string","uci":"a.{}.p"},{"name":"Q","type":"string","uci":"b.{}.q"},
  {"name":"F","type":"string","file":"/f/{}"},{"name":"G","type":"string","fn":"g:{}"},
  {"name":"K","type":"string","uci":"a.{}.k"}]}
]}"#;

#[test]
fn a_look_reads_what_is_watched_and_no_more() {
    let mut fake = Fake::default();
    fake.rows.insert("a.row".into(), (1..=2000).map(|n| row(&n.to_string())).collect());
    let (mut model, mut watch) = (model_of(LARGE, fake), Watch::default());
    assert_eq!(model.params("Device.").unwrap().len(), 10_001);
    let names: Vec<String> =
        (0..50).map(|n| format!("Device.A.{}.{}", n * 40 + 1, ["P", "Q"][n % 2])).collect();
    notify(&mut model, &mut watch, &names.iter().map(|name| (name.as_str(), 2)).collect::<Vec<_>>());
    let mut reads = |scope: &Scope, most: usize| {
        model.refresh();
        model.backend().reads.clear();
        assert!(watch.check(&mut model, scope).is_empty());
        let values = model.backend().reads.iter().filter(|read| *read != "a.row").count();
        assert_eq!(values, most, "{scope:?}");
    };
    reads(&Scope::All, 51);
    reads(&packages(&["a"]), 50);
    // The rows of package a have not changed, and those of b are half.
    reads(&packages(&["b"]), 25);
    reads(&packages(&["c"]), 0);
    reads(&Scope::Slow, 1);
}

/// What may happen, by number of the parameter and its new value.
#[derive(Debug, Clone)]
enum Act {
    External(usize, u8),
    Check,
    Slow,
    /// A session: what others change in it after the Inform, what the ACS sets, which attribute it
    /// changes, and whether the Inform arrives.
    Session {
        during: Vec<(usize, u8)>,
        set: Vec<(usize, u8)>,
        attribute: Option<(usize, u8)>,
        arrives: bool,
    },
}

const PARAMS: [(&str, &str); 6] = [
    ("Device.If.1.Mode", "net.lan.mode"),
    ("Device.If.2.Mode", "net.wan.mode"),
    ("Device.If.1.Name", "net.lan.nick"),
    ("Device.If.1.Short", "net.lan.short"),
    ("Device.If.2.Short", "net.wan.short"),
    ("Device.If.1.Secret", "net.lan.key"),
];

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let one = || (0..PARAMS.len(), 0..3u8);
    let some = || proptest::collection::vec(one(), 0..3);
    let act = prop_oneof![
        4 => one().prop_map(|(param, value)| Act::External(param, value)),
        3 => Just(Act::Check),
        1 => Just(Act::Slow),
        3 => (some(), some(), proptest::option::of(one()), any::<bool>())
            .prop_map(|(during, set, attribute, arrives)| Act::Session { during, set, attribute, arrives }),
    ];
    proptest::collection::vec(act, 1..40)
}

/// The words of a parameter, in the model's and the system's language.
fn word(param: usize, value: u8) -> (&'static str, &'static str) {
    let value = usize::from(value);
    match param {
        0 | 1 => [("Routed", "r"), ("Bridged", "b"), ("Bridged", "b")][value],
        _ => [("x", "x"), ("y", "y"), ("z", "z")][value],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Told is exactly what others have changed, latest value, none lost, none twice.
    #[test]
    fn an_acs_hears_of_all_that_others_did_and_of_nothing_else(acts in acts()) {
        let file = SMALL;
        let mut fake = Fake::default();
        fake.rows.insert("net.if".into(), vec![row("lan"), row("wan")]);
        for (at, (_, address)) in PARAMS.iter().enumerate() {
            fake.values.insert((*address).into(), Raw::one(word(at, 0).1));
        }
        let (mut model, mut watch) = (model_of(file, fake), Watch::default());
        let mut levels: BTreeMap<usize, u8> = (0..PARAMS.len()).map(|at| (at, 1 + (at % 2) as u8)).collect();
        for (at, level) in &levels {
            notify(&mut model, &mut watch, &[(PARAMS[*at].0, i64::from(*level))]);
        }
        watch.check(&mut model, &Scope::All);
        // The oracle: what stands, what was there at the last look, and what is to be told.
        let mut now: Vec<u8> = vec![0; PARAMS.len()];
        let mut seen = now.clone();
        let mut open: BTreeSet<usize> = BTreeSet::new();
        let same = |at: usize, a: u8, b: u8| word(at, a) == word(at, b);
        for act in acts {
            match act {
                Act::External(at, value) => {
                    now[at] = value;
                    external(&mut model, PARAMS[at].1, word(at, value).1);
                }
                Act::Slow => {
                    model.refresh();
                    prop_assert!(watch.check(&mut model, &Scope::Slow).is_empty());
                }
                Act::Check => {
                    model.refresh();
                    watch.check(&mut model, &packages(&["net"]));
                    open.extend((0..PARAMS.len()).filter(|at| levels[at] != 0 && !same(*at, now[*at], seen[*at])));
                    seen.clone_from(&now);
                }
                Act::Session { during, set: by_acs, attribute, arrives } => {
                    model.refresh();
                    watch.check(&mut model, &Scope::All);
                    open.extend((0..PARAMS.len()).filter(|at| levels[at] != 0 && !same(*at, now[*at], seen[*at])));
                    seen.clone_from(&now);
                    let told: BTreeSet<String> = watch.pending(&model).inform().map(str::to_owned).collect();
                    let expected: BTreeSet<String> = open.iter().map(|at| PARAMS[*at].0.to_owned()).collect();
                    prop_assert_eq!(&told, &expected);
                    if !arrives {
                        continue;
                    }
                    let values = model.values(told.iter().map(String::as_str)).unwrap();
                    for (at, value) in during {
                        now[at] = value;
                        model.backend().values.insert(PARAMS[at].1.into(), Raw::one(word(at, value).1));
                    }
                    watch.told(values.iter().map(|(name, value)| (name.as_str(), value)));
                    open.clear();
                    for (at, value) in by_acs {
                        set(&mut model, &[(PARAMS[at].0, word(at, value).0)]).unwrap();
                        watch.absorb(&mut model, ByAcs::Set(&[PARAMS[at].0]));
                        (now[at], seen[at]) = (value, value);
                    }
                    if let Some((at, level)) = attribute {
                        notify(&mut model, &mut watch, &[(PARAMS[at].0, i64::from(level))]);
                        // One that was not watched begins with the value that it has now.
                        if levels[&at] == 0 || level == 0 {
                            seen[at] = now[at];
                        }
                        levels.insert(at, level);
                    }
                }
            }
            // A state file between any two steps changes nothing.
            watch = serde_json::from_str(&serde_json::to_string(&watch).unwrap()).unwrap();
        }
    }
}

const SMALL: &str = r#"{"objects":[
 {"object":"Device.","params":[]},
 {"object":"Device.If.{i}.","rows":{"uci":"net.if"},"params":[
  {"name":"Mode","type":"string","access":"rw","values":["Routed","Bridged"],"uci":"net.{}.mode","map":{"r":"Routed","b":"Bridged"}},
  {"name":"Name","type":"string","access":"rw","uci":"net.{}.nick"},
  {"name":"Short","type":"string","access":"rw","uci":"net.{}.short"},
  {"name":"Secret","type":"string","access":"rw","hidden":true,"uci":"net.{}.key"}]}
]}"#;
