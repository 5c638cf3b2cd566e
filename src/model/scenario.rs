//! Tests of tree and transactions over a system in memory.

use std::collections::BTreeMap;

use super::addressing::Addressing;
use super::attributes::AttributeChange;
use super::backend::{Backend, Place, Raw, Row};
use super::error::{Error, Result};
use super::load::{Templates, load};
use super::memory::Memory;
use super::schema::{Rows, Schema, Source};
use super::transaction::MAX_INSTANCES;
use super::tree::{MAX_RESULTS, Model};
use super::value::{Input, Kind};

/// Values by filled address, rows by filled address; `staged` is dropped or kept as a whole.
#[derive(Default, Clone)]
pub(super) struct Fake {
    pub values: BTreeMap<String, Raw>,
    pub rows: BTreeMap<String, Vec<Row>>,
    saved: Option<Box<Fake>>,
    pub refuse_commit: bool,
    /// Addresses read, and listed.
    pub reads: Vec<String>,
    /// Addresses that cannot be read.
    pub broken: Vec<String>,
    memory: Option<Vec<u8>>,
    pub key: String,
}

impl Fake {
    fn stage(&mut self) {
        if self.saved.is_none() {
            self.saved = Some(Box::new(self.clone()));
        }
    }
}

impl Backend for Fake {
    fn refresh(&mut self) {}

    fn rows(&mut self, rows: &Rows, at: Place<'_>) -> Result<Vec<Row>> {
        let spec = at.fill(rows.spec);
        self.reads.push(spec.clone());
        if spec == "broken.rows" || self.broken.contains(&spec) {
            return Err(Error::backend("reading broken", "line 3"));
        }
        Ok(self.rows.get(&spec).cloned().unwrap_or_default())
    }

    fn read(&mut self, source: &Source, at: Place<'_>) -> Result<Option<Raw>> {
        let spec = at.fill(source.spec);
        if spec.starts_with("broken.") || self.broken.contains(&spec) {
            return Err(Error::backend("reading broken", "line 3"));
        }
        self.reads.push(spec.clone());
        if spec == "ParameterKey" {
            return Ok(Some(Raw::one(&self.key)));
        }
        Ok(self.values.get(&spec).cloned())
    }

    fn write(&mut self, source: &Source, at: Place<'_>, raw: &Raw) -> Result<()> {
        self.stage();
        let spec = at.fill(source.spec);
        // An option that names its row, as firewall rules do.
        if let Some((row, option)) = spec.rsplit_once('.')
            && option == "name"
        {
            for list in self.rows.values_mut() {
                for found in list.iter_mut().filter(|found| row.ends_with(&found.addr)) {
                    found.name = raw.text();
                }
            }
        }
        // An option that cannot hold everything.
        let raw = if spec.ends_with(".short") {
            Raw::One(raw.text().chars().take(2).collect())
        } else {
            raw.clone()
        };
        self.values.insert(spec, raw);
        Ok(())
    }

    fn add(&mut self, rows: &Rows, at: Place<'_>) -> Result<Row> {
        self.stage();
        let list = self.rows.entry(at.fill(rows.spec)).or_default();
        let name = format!("@new[{}]", list.len());
        let row = Row { name: name.clone(), addr: name, cols: Vec::new() };
        list.push(row.clone());
        Ok(row)
    }

    fn delete(&mut self, rows: &Rows, at: Place<'_>) -> Result<()> {
        self.stage();
        let addr = at.row().unwrap().addr.clone();
        let list = self.rows.entry(at.fill(rows.spec)).or_default();
        list.retain(|row| row.addr != addr);
        for (position, row) in list.iter_mut().enumerate() {
            if row.name == row.addr && row.addr.starts_with('@') {
                row.addr = format!("@new[{position}]");
                row.name = row.addr.clone();
            }
        }
        Ok(())
    }

    fn parameter_key(&mut self, key: &str) -> Result<()> {
        self.stage();
        self.key = key.to_owned();
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        match self.values.values().any(|raw| raw.text() == "unacceptable") {
            true => Err(Error::backend("checking", "unacceptable")),
            false => Ok(()),
        }
    }

    fn commit(&mut self, memory: Option<&[u8]>) -> Result<()> {
        if self.refuse_commit {
            return Err(Error::backend("committing", "no space left on device"));
        }
        self.saved = None;
        self.memory = memory.map(<[u8]>::to_vec).or(self.memory.take());
        Ok(())
    }

    fn revert(&mut self) {
        if let Some(saved) = self.saved.take() {
            *self = *saved;
        }
    }
}

const FILE: &str = r#"{"objects":[
 {"object":"Device.","params":[
  {"name":"Version","type":"string","const":"2.19"},
  {"name":"Key","type":"string(32)","inform":true,"notify":"canDeny","agent":"ParameterKey"},
  {"name":"Url","type":"string","inform":true,"notify":"default","agent":"Url"},
  {"name":"Hw","type":"string","inform":true,"file":"/hw"},
  {"name":"IfNumberOfEntries","type":"unsignedInt","count":"If"}]},
 {"object":"Device.If.{i}.","add":true,"delete":true,"rows":{"uci":"net.if"},"params":[
  {"name":"Alias","type":"string(64)","access":"rw","format":"alias","alias":true},
  {"name":"Enable","type":"boolean","access":"rw","uci":"net.{}.disabled","map":{"1":"0","*":"1"},"default":"1"},
  {"name":"Name","type":"string","access":"rw","uci":"net.{}.name"},
  {"name":"Mode","type":"string","access":"rw","values":["Routed","Bridged"],"uci":"net.{}.mode","map":{"r":"Routed","b":"Bridged"}},
  {"name":"Mtu","type":"unsignedInt(64..9000)","access":"rw","uci":"net.{}.mtu","default":"1500"},
  {"name":"Short","type":"string","access":"rw","uci":"net.{}.short"},
  {"name":"Dns","type":"list(string)","access":"rw","format":"ip","uci":"net.{}.dns"},
  {"name":"Lower","type":"string","access":"rw","uci":"net.{}.lower","ref":["Device.If.{i}.","Device.Broken.{i}."]},
  {"name":"Secret","type":"string","access":"rw","hidden":true,"uci":"net.{}.key"},
  {"name":"Sw","type":"string","notify":"forced","uci":"net.{}.sw"},
  {"name":"Cnt","type":"unsignedInt","notify":"canDeny","uci":"net.{}.cnt"}]},
 {"object":"Device.If.{i}.Addr.{i}.","rows":{"uci":"addr.{1}"},"params":[
  {"name":"Ip","type":"string","uci":"addr.{1}.{2}"}]},
 {"object":"Device.Proc.{i}.","rows":{"fn":"proc","volatile":true},"params":[
  {"name":"Pid","type":"string","row":"name"}]},
 {"object":"Device.Broken.{i}.","rows":{"uci":"broken.rows"},"params":[]},
 {"object":"Device.Odd.","params":[{"name":"Bad","type":"unsignedInt","uci":"broken.x.y"}]}
]}"#;

/// A model of the system in memory over a data model file.
pub(super) fn model_of(file: &str, fake: Fake) -> Model<Fake> {
    let schema = Schema::new(load("t.json", file, &mut Templates::default()).unwrap()).unwrap();
    Model::new(schema, fake, Memory::default())
}

pub(super) fn model() -> Model<Fake> {
    let mut fake = Fake::default();
    fake.rows.insert("net.if".into(), vec![row("lan"), row("wan")]);
    fake.rows.insert("addr.wan".into(), vec![row("0")]);
    for (at, text) in [
        ("net.lan.disabled", "1"),
        ("net.lan.mode", "b"),
        ("net.wan.mtu", "broken"),
        ("net.wan.lower", "lan"),
        ("addr.wan.0", "192.0.2.1"),
        ("net.lan.key", "s3cret"),
    ] {
        fake.values.insert(at.into(), Raw::one(text));
    }
    fake.values.insert("net.wan.dns".into(), Raw::Many(vec!["192.0.2.53".into(), "nonsense".into()]));
    fake.values.insert("net.lan.dns".into(), Raw::one("192.0.2.53 192.0.2.54"));
    model_of(FILE, fake)
}

/// A row known by its address.
pub(super) fn row(name: &str) -> Row {
    Row { name: name.into(), addr: name.into(), cols: vec![] }
}

pub(super) fn text(model: &mut Model<Fake>, name: &str) -> String {
    model.values([name]).unwrap().remove(0).1.text
}

pub(super) fn set(model: &mut Model<Fake>, list: &[(&str, &str)]) -> Result<()> {
    let list: Vec<_> = list
        .iter()
        .map(|(name, text)| ((*name).to_owned(), Input { text: (*text).to_owned(), ..Input::default() }))
        .collect();
    model.set(&list, Some("key"))
}

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
    assert!(matches!(model.values(["Device.Odd.Bad"]), Err(Error::Backend { .. })));
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
    assert!(matches!(names(&mut model, "Device.Version", true), Err(Error::BadArgument(_))));
    for unknown in [
        "Device",
        "Devic.",
        "Device.If",
        "Device.If.3.",
        "Device.If.1",
        "Device.Version.",
        "Device.If.1.Addr.1.",
    ] {
        assert!(matches!(names(&mut model, unknown, false), Err(Error::UnknownName(_))), "{unknown}");
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
    let Error::Several(list) = error else { panic!("{error}") };
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
        &[("Device.If.1.Mtu", "1400"), ("Device.If.1.Name", "unacceptable")],
    ] {
        assert!(set(&mut model, list).is_err());
        assert_eq!(text(&mut model, "Device.If.1.Mtu"), "1500");
    }
    model.backend().refuse_commit = true;
    assert!(matches!(set(&mut model, &[("Device.If.1.Mtu", "1400")]), Err(Error::Backend { .. })));
    assert_eq!(text(&mut model, "Device.If.1.Mtu"), "1500");
    let twice = set(&mut model, &[("Device.If.1.Mtu", "1400"), ("Device.If.1.Mtu", "1400")]);
    assert!(matches!(twice, Err(Error::BadArgument(_))));
    model.backend().refuse_commit = false;
    let twice = set(&mut model, &[("Device.If.1.Mtu", "1400"), ("Device.If.[cpe-1].Mtu", "1400")]);
    assert_eq!(twice, Err(Error::BadArgument("Device.If.[cpe-1].Mtu stands twice".into())));
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
    assert!(matches!(model.delete("Device.If.3.", None), Err(Error::UnknownName(_))));
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
    assert!(matches!(
        model.set(&one(Some(Kind::Boolean), "1400"), None),
        Err(Error::Several(list)) if matches!(list[0].1, Error::WrongType { .. })
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
    assert!(matches!(refused, Error::Several(list) if matches!(list[0].1, Error::UnknownName(_))));
    model.set_addressing(Addressing { by_alias: false, auto_create: true });
    // One bad value, and neither instance nor number is left.
    let refused = set(&mut model, &[two[0], ("Device.If.[guest].Mtu", "1")]).unwrap_err();
    assert!(matches!(refused, Error::Several(list) if list.len() == 1));
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
    assert!(matches!(model.add("Device.If.[lab].", None), Err(Error::NotAddable(_))));
}

#[test]
fn a_full_table_takes_no_more() {
    let mut model = model();
    model.set_addressing(Addressing { by_alias: false, auto_create: true });
    let rows = (0..MAX_INSTANCES).map(|n| row(&format!("r{n}"))).collect();
    model.backend().rows.insert("net.if".into(), rows);
    model.refresh();
    assert!(matches!(model.add("Device.If.", Some("k")), Err(Error::Exhausted(_))));
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
    assert!(matches!(model.names("Device.", false), Err(Error::Exhausted(_))));
    assert!(matches!(model.values(["Device.If."]), Err(Error::Exhausted(_))));
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
    assert!(matches!(refused, Error::Several(list) if matches!(list[0].1, Error::UnknownName(_))));
    assert_eq!(text(&mut model, "Device.If.1.Alias"), "cpe-1");
    set(&mut model, &[new, ("Device.If.[cpe-1].Mtu", "1400")]).unwrap();
    assert_eq!(text(&mut model, "Device.If.[home].Mtu"), "1400");
    // Two can change places in one request only if neither is another's at any moment.
    assert!(set(&mut model, &[("Device.If.2.Alias", "home"), ("Device.If.1.Alias", "cpe-2")]).is_err());
    assert_eq!(text(&mut model, "Device.If.[home].Mtu"), "1400");
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
