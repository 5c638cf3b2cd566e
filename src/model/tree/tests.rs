//! Tests of tree and transactions over the system in memory.

use super::super::addressing::Addressing;
use super::super::attributes::AttributeChange;
use super::super::backend::Raw;
use super::super::error::{Error, ErrorKind};
use super::super::load::{Templates, load};
use super::super::memory::Memory;
use super::super::scenario::{FILE, Fake, model, model_of, row, set, text};
use super::super::schema::Schema;
use super::super::transaction::MAX_INSTANCES;
use super::super::value::{Input, Kind};
use super::{MAX_RESULTS, Model};

#[test]
fn values_are_read_in_the_model_s_words() {
    let mut model = model();
    for (name, expected) in [
        ("Device.Version", "2.19"),
        ("Device.IfNumberOfEntries", "2"),
        ("Device.If.1.Enable", "0"),
        ("Device.If.2.Enable", "1"),
        ("Device.If.1.Mode", "Bridged"),
        ("Device.If.2.Mtu", "1500"),
        ("Device.If.1.Dns", "192.0.2.53,192.0.2.54"),
        ("Device.If.2.Dns", ""),
        ("Device.If.2.Lower", "Device.If.1"),
        ("Device.If.1.Secret", ""),
        ("Device.If.1.Alias", "cpe-1"),
        ("Device.If.[cpe-2].Addr.1.Ip", "192.0.2.1"),
    ] {
        assert_eq!(text(&mut model, name), expected, "{name}");
    }
    assert!(model.complaints().iter().any(|line| line.contains("Device.If.2.Mtu")));
}

#[test]
fn a_large_read_lists_what_names_list() {
    let mut model = model();
    let names: Vec<String> = model
        .names("", false)
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !name.ends_with('.'))
        .collect();
    let values: Vec<String> = model.values(["Device."]).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, values);
    let complaints = model.complaints();
    // One for its cause, named by the first that it hit.
    assert!(complaints.iter().any(|line| line.contains("line 3")), "{complaints:?}");
    assert!(matches!(model.values(["Device.Odd.Bad"]).unwrap_err().kind(), ErrorKind::Backend { .. }));
}

#[test]
fn names_and_levels() {
    let mut model = model();
    let names = |model: &mut Model<Fake>, path: &str, next: bool| {
        model.names(path, next).map(|list| list.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
    };
    assert_eq!(names(&mut model, "", true).unwrap(), ["Device."]);
    let all = names(&mut model, "", false).unwrap();
    assert_eq!((all[0].as_str(), all.len() > 20), ("Device.", true));
    assert_eq!(names(&mut model, "Device.", false).unwrap(), all);
    assert_eq!(names(&mut model, "Device.If.", true).unwrap(), ["Device.If.1.", "Device.If.2."]);
    assert_eq!(names(&mut model, "Device.Broken.", true).unwrap(), [""; 0]);
    assert_eq!(names(&mut model, "Device.Broken.", false).unwrap(), ["Device.Broken."]);
    assert_eq!(names(&mut model, "Device.If.*.Addr.*.Ip", false).unwrap(), ["Device.If.2.Addr.1.Ip"]);
    assert_eq!(names(&mut model, "Device.Version", false).unwrap(), ["Device.Version"]);
    assert!(matches!(
        names(&mut model, "Device.Version", true).unwrap_err().kind(),
        ErrorKind::BadArgument(_)
    ));
    for unknown in [
        "Device",
        "Devic.",
        "Device.If",
        "Device.If.3.",
        "Device.If.1",
        "Device.Version.",
        "Device.If.1.Addr.1.",
    ] {
        assert!(
            matches!(names(&mut model, unknown, false).unwrap_err().kind(), ErrorKind::UnknownName(_)),
            "{unknown}"
        );
    }
    let table = model.names("Device.If.", false).unwrap();
    assert_eq!((table[0].0.as_str(), table[0].1, table[1].1), ("Device.If.", true, true));
}

#[test]
fn a_set_is_all_or_nothing() {
    let mut model = model();
    let error = set(
        &mut model,
        &[
            ("Device.If.1.Enable", "true"),
            ("Device.If.1.Mtu", "63"),
            ("Device.If.1.Mtu2", "1"),
            ("Device.Version", "3"),
            ("Device.If.1.", "3"),
            ("Device.If.1.Mode", "Routed"),
            ("Device.If.1.Lower", "Device.If.9"),
            ("Device.If.1.Cnt", "x"),
        ],
    )
    .unwrap_err();
    let ErrorKind::Several(list) = error.kind() else { panic!("{error}") };
    let kinds: Vec<_> =
        list.iter().map(|(name, error)| (name.as_str(), crate::cwmp::fault::code_of(error))).collect();
    assert_eq!(
        kinds,
        [
            ("Device.If.1.Mtu", 9007),
            ("Device.If.1.Mtu2", 9005),
            ("Device.Version", 9008),
            ("Device.If.1.", 9005),
            ("Device.If.1.Lower", 9007),
            ("Device.If.1.Cnt", 9008),
        ]
    );
    assert_eq!(text(&mut model, "Device.If.1.Enable"), "0");
    assert_eq!(model.backend().key, "");
    set(
        &mut model,
        &[
            ("Device.If.1.Enable", "true"),
            ("Device.If.1.Lower", "Device.If.2."),
            ("Device.If.1.Dns", " 192.0.2.1 ,2001:db8::1"),
        ],
    )
    .unwrap();
    assert_eq!(text(&mut model, "Device.If.1.Enable"), "1");
    assert_eq!(text(&mut model, "Device.If.1.Lower"), "Device.If.2");
    assert_eq!(
        model.backend().values["net.lan.dns"],
        Raw::Many(vec!["192.0.2.1".into(), "2001:db8::1".into()])
    );
    assert_eq!(model.backend().key, "key");
}

#[test]
fn what_the_system_cannot_hold_is_taken_back() {
    let mut model = model();
    for list in [
        &[("Device.If.1.Mtu", "1400"), ("Device.If.1.Short", "three")][..],
        &[("Device.If.1.Name", "elsewhere"), ("Device.If.2.Mtu", "1400")],
        &[
            ("Device.If.2.Mtu", "1400"),
            ("Device.If.1.Alias", "home"),
            ("Device.If.[cpe-1].Name", "elsewhere"),
        ],
        &[("Device.If.1.Mtu", "1400"), ("Device.If.1.Name", "unacceptable")],
    ] {
        assert!(set(&mut model, list).is_err());
        assert_eq!(text(&mut model, "Device.If.1.Mtu"), "1500");
    }
    model.backend().refuse_commit = true;
    assert!(matches!(
        set(&mut model, &[("Device.If.1.Mtu", "1400")]).unwrap_err().kind(),
        ErrorKind::Backend { .. }
    ));
    assert_eq!(text(&mut model, "Device.If.1.Mtu"), "1500");
    let twice = set(&mut model, &[("Device.If.1.Mtu", "1400"), ("Device.If.1.Mtu", "1400")]);
    assert!(matches!(twice.unwrap_err().kind(), ErrorKind::BadArgument(_)));
    model.backend().refuse_commit = false;
    let twice = set(&mut model, &[("Device.If.1.Mtu", "1400"), ("Device.If.[cpe-1].Mtu", "1400")]);
    assert_eq!(twice, Err(Error::bad_argument("Device.If.[cpe-1].Mtu stands twice".into())));
    assert_eq!(text(&mut model, "Device.If.1.Mtu"), "1500");
}

#[test]
fn instances_keep_their_numbers() {
    let mut model = model();
    assert_eq!(model.add("Device.If.", None).unwrap(), 3);
    assert_eq!(model.add("Device.If.", None).unwrap(), 4);
    assert_eq!(model.add("Device.If.", None).unwrap(), 5);
    set(&mut model, &[("Device.If.4.Mtu", "1400")]).unwrap();
    // The row before it goes: the anonymous ones behind move up, their numbers stay.
    model.delete("Device.If.3.", None).unwrap();
    assert_eq!(model.names("Device.If.", true).unwrap().len(), 4);
    assert!(matches!(model.delete("Device.If.3.", None).unwrap_err().kind(), ErrorKind::UnknownName(_)));
    // A row that gets its identifying option keeps its number too.
    set(&mut model, &[("Device.If.5.Name", "guest")]).unwrap();
    assert_eq!(text(&mut model, "Device.If.5.Name"), "guest");
    assert_eq!(model.add("Device.If.", None).unwrap(), 6);
    let memory: Memory = serde_json::from_slice(model.backend().memory.as_ref().unwrap()).unwrap();
    assert_eq!(memory.row("Device.If.", "guest").map(|row| row.0), Some(5));
    assert_eq!(&memory, model.memory());
    for refused in
        ["Device.If", "Device.If.*.", "Device.", "Device.Broken.", "Device.If.1.", "Device.Nothing."]
    {
        assert!(model.add(refused, None).is_err(), "{refused}");
    }
    for refused in ["Device.If.", "Device.If.1", "Device.If.*.", "Device.", "Device.If.2.Addr.1."] {
        assert!(model.delete(refused, None).is_err(), "{refused}");
    }
}

#[test]
fn aliases_are_unique_and_survive() {
    let mut model = model();
    set(&mut model, &[("Device.If.1.Alias", "home")]).unwrap();
    assert_eq!(text(&mut model, "Device.If.[home].Mode"), "Bridged");
    assert_eq!(model.values(["Device.If.[home].Mode"]).unwrap()[0].0, "Device.If.[home].Mode");
    for bad in ["home", "", "1st"] {
        assert!(set(&mut model, &[("Device.If.2.Alias", bad)]).is_err(), "{bad}");
    }
    assert!(model.values(["Device.If.[cpe-1].Mode"]).is_err());
}

#[test]
fn a_declared_type_must_fit() {
    let mut model = model();
    let one = |kind, text: &str| {
        [("Device.If.1.Mtu".to_owned(), Input { kind, text: text.into(), ..Input::default() })]
    };
    let refused = model.set(&one(Some(Kind::Boolean), "1400"), None).unwrap_err();
    assert!(matches!(
        refused.kind(),
        ErrorKind::Several(list) if matches!(list[0].1.kind(), ErrorKind::WrongType { .. })
    ));
    model.set(&one(Some(Kind::Int), "1400"), None).unwrap();
    model.set(&[], Some("only the key")).unwrap();
    assert_eq!(model.backend().key, "only the key");
}

#[test]
fn instances_made_by_alias() {
    let mut model = model();
    let names = |model: &mut Model<Fake>| {
        let list = model.values(["Device.If."]).unwrap().into_iter();
        list.filter_map(|(name, _)| name.strip_suffix(".Mode").map(str::to_owned)).collect::<Vec<_>>()
    };
    // Without AutoCreateInstances an unknown alias is an unknown name.
    let two = [("Device.If.[guest].Mode", "Routed"), ("Device.If.[guest].Mtu", "1400")];
    let refused = set(&mut model, &two).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::Several(list) if matches!(list[0].1.kind(), ErrorKind::UnknownName(_)))
    );
    model.set_addressing(Addressing { by_alias: false, auto_create: true });
    // One bad value, and neither instance nor number is left.
    let refused = set(&mut model, &[two[0], ("Device.If.[guest].Mtu", "1")]).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Several(list) if list.len() == 1));
    assert_eq!(names(&mut model).len(), 2);
    // Both values meet in one instance, also when one of them names its row.
    set(&mut model, &[two[0], two[1], ("Device.If.[guest].Name", "visitors")]).unwrap();
    assert_eq!(names(&mut model), ["Device.If.1", "Device.If.2", "Device.If.3"]);
    assert_eq!(text(&mut model, "Device.If.3.Alias"), "guest");
    assert_eq!(text(&mut model, "Device.If.[guest].Mtu"), "1400");
    model.refresh();
    assert_eq!(text(&mut model, "Device.If.[guest].Name"), "visitors");
    // A table that cannot grow does not, and a number makes nothing.
    assert!(set(&mut model, &[("Device.If.7.Mtu", "1400")]).is_err());
    assert!(set(&mut model, &[("Device.Broken.[x].Mtu", "1400")]).is_err());
    // AddObject with an alias; the same alias again is refused.
    assert_eq!(model.add("Device.If.[lab].", None), Ok(4));
    assert_eq!(text(&mut model, "Device.If.4.Alias"), "lab");
    assert!(matches!(model.add("Device.If.[lab].", None).unwrap_err().kind(), ErrorKind::NotAddable(_)));
}

#[test]
fn a_full_table_takes_no_more() {
    let mut model = model();
    model.set_addressing(Addressing { by_alias: false, auto_create: true });
    let rows = (0..MAX_INSTANCES).map(|n| row(&format!("r{n}"))).collect();
    model.backend().rows.insert("net.if".into(), rows);
    model.refresh();
    assert!(matches!(model.add("Device.If.", Some("k")).unwrap_err().kind(), ErrorKind::Exhausted(_)));
    // 9004 is not for single parameters (TR-069 A.3.2.1).
    let refused = set(&mut model, &[("Device.If.[one-more].Mtu", "1400")]).unwrap_err();
    let fault = crate::cwmp::fault::Fault::from(&refused);
    assert_eq!((fault.code, fault.parameters.len()), (9004, 0), "{fault}");
    assert_eq!((model.names("Device.If.", true).unwrap().len(), model.backend().key.as_str()), (256, ""));
}

#[test]
fn numbers_aliases_and_attributes_survive_a_restart() {
    let mut model = model();
    model.add("Device.If.", None).unwrap();
    model.delete("Device.If.2.", None).unwrap();
    set(&mut model, &[("Device.If.1.Alias", "home")]).unwrap();
    let change =
        AttributeChange { name: "Device.If.3.Mtu".into(), notification: Some(2), subscriber: Some(false) };
    model.set_attributes(&[change]).unwrap();
    let fake = model.backend().clone();
    let memory: Memory = serde_json::from_slice(fake.memory.as_ref().unwrap()).unwrap();
    let schema = Schema::new(load("t.json", FILE, &mut Templates::default()).unwrap()).unwrap();
    let mut again = Model::new(schema, fake, memory);
    assert_eq!(again.names("Device.If.", true).unwrap(), model.names("Device.If.", true).unwrap());
    assert_eq!(text(&mut again, "Device.If.[home].Mode"), "Bridged");
    let (name, param) = again.params("Device.If.3.Mtu").unwrap().remove(0);
    let found = again.attributes(&name, &param);
    assert_eq!((found.notification, found.subscriber), (2, false));
    assert_eq!(again.add("Device.If.", None), Ok(4), "the number 2 is not given again");
}

#[test]
fn too_many_names_are_a_fault_unless_one_level_is_asked_for() {
    let mut model = model();
    let rows = (0..MAX_RESULTS / 10).map(|n| row(&format!("r{n}"))).collect();
    model.backend().rows.insert("net.if".into(), rows);
    assert!(matches!(model.names("Device.", false).unwrap_err().kind(), ErrorKind::Exhausted(_)));
    assert!(matches!(model.values(["Device.If."]).unwrap_err().kind(), ErrorKind::Exhausted(_)));
    assert_eq!(model.names("Device.If.", true).unwrap().len(), MAX_RESULTS / 10);
}

#[test]
fn references_and_lists() {
    let file = r#"{"objects":[
     {"object":"Device.","params":[
      {"name":"One","type":"string","access":"rw","uci":"a.s.one","ref":["Device.If.{i}."]},
      {"name":"All","type":"list(string)","access":"rw","uci":"a.s.all","ref":["Device.If.{i}."]},
      {"name":"Words","type":"list(string)","access":"rw","uci":"a.s.words"}]},
     {"object":"Device.If.{i}.","add":true,"delete":true,"rows":{"uci":"net.if"},"params":[
      {"name":"Mode","type":"string","uci":"net.{}.mode"}]}
    ]}"#;
    let mut fake = Fake::default();
    fake.rows.insert("net.if".into(), vec![row("lan"), row("wan")]);
    let mut model = model_of(file, fake);
    let words = " a ,b%2Cc,\n%2c ";
    set(
        &mut model,
        &[("Device.One", "Device.If.1."), ("Device.All", ".If.2, Device.If.1."), ("Device.Words", words)],
    )
    .unwrap();
    assert_eq!(model.backend().values["a.s.words"], Raw::Many(vec!["a".into(), "b,c".into(), ",".into()]));
    assert_eq!(text(&mut model, "Device.Words"), "a,b%2Cc,%2C");
    assert_eq!(text(&mut model, "Device.All"), "Device.If.2,Device.If.1");
    for dangling in ["Device.If.3", "Device.", "Device.One", "If.1", ".If.3", "Device.If.1,Device.If.9"] {
        assert!(set(&mut model, &[("Device.All", dangling)]).is_err(), "{dangling}");
    }
    // Null when the target goes, and out of a list (TR-069 3.6.3).
    model.delete("Device.If.1.", None).unwrap();
    assert_eq!(text(&mut model, "Device.One"), "");
    assert_eq!(text(&mut model, "Device.All"), "Device.If.2");
    set(&mut model, &[("Device.All", "")]).unwrap();
    assert_eq!(text(&mut model, "Device.All"), "");
}

#[test]
fn an_alias_changes_after_its_request() {
    let mut model = model();
    let new = ("Device.If.1.Alias", "home");
    let refused = set(&mut model, &[new, ("Device.If.[home].Mtu", "1400")]).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::Several(list) if matches!(list[0].1.kind(), ErrorKind::UnknownName(_)))
    );
    assert_eq!(text(&mut model, "Device.If.1.Alias"), "cpe-1");
    set(&mut model, &[new, ("Device.If.[cpe-1].Mtu", "1400")]).unwrap();
    assert_eq!(text(&mut model, "Device.If.[home].Mtu"), "1400");
    // Two can change places in one request only if neither is another's at any moment.
    assert!(set(&mut model, &[("Device.If.2.Alias", "home"), ("Device.If.1.Alias", "cpe-2")]).is_err());
    assert_eq!(text(&mut model, "Device.If.[home].Mtu"), "1400");
}

/// For an ACS of before Amendment 4.
#[test]
fn no_aliases_at_all() {
    let mut model = model();
    set(&mut model, &[("Device.If.1.Alias", "home")]).unwrap();
    model.set_addressing(Addressing { by_alias: true, auto_create: true });
    model.set_aliases(false);
    let first = |model: &mut Model<Fake>, path: &str| model.values([path]).unwrap().remove(0).0;
    assert_eq!(first(&mut model, "Device.If."), "Device.If.1.Alias");
    model.set_addressing(Addressing { by_alias: true, auto_create: true });
    assert_eq!(first(&mut model, "Device.If."), "Device.If.1.Alias");
    assert_eq!(model.presented("Device.If.1.Alias"), "Device.If.1.Alias");
    assert!(model.values(["Device.If.[home]."]).is_err());
    assert!(set(&mut model, &[("Device.If.[home].Mtu", "1400")]).is_err());
    assert!(set(&mut model, &[("Device.If.[new].Mtu", "1400")]).is_err());
    assert!(model.delete("Device.If.[home].", None).is_err());
    assert!(model.add("Device.If.[new].", None).is_err());
    assert!(model.add("Device.If.", None).is_ok());
    model.set_aliases(true);
    assert!(model.values(["Device.If.[home]."]).is_ok() && model.values(["Device.If.[new]."]).is_err());
}

#[test]
fn answers_by_alias() {
    let mut model = model();
    set(&mut model, &[("Device.If.1.Alias", "home")]).unwrap();
    model.set_addressing(Addressing { by_alias: true, auto_create: false });
    let first = |model: &mut Model<Fake>, path: &str| model.values([path]).unwrap().remove(0).0;
    // What the request names keeps its identifier; what it leaves open has the mode's.
    assert_eq!(first(&mut model, "Device.If."), "Device.If.[home].Alias");
    assert_eq!(first(&mut model, "Device.If.1."), "Device.If.1.Alias");
    assert_eq!(model.names("Device.If.", true).unwrap()[1].0, "Device.If.[cpe-2].");
    // A table without aliases goes by numbers.
    let names = model.names("Device.If.[cpe-2].", false).unwrap();
    assert_eq!(names.last().unwrap().0, "Device.If.[cpe-2].Addr.1.Ip");
    // A reference is a path of numbers still: TR-069 leaves it to the device.
    assert_eq!(text(&mut model, "Device.If.2.Lower"), "Device.If.1");
}
