//! A system in memory, and a model over it: what the tests of this module share.

use std::collections::BTreeMap;

use super::backend::{Backend, Place, Raw, Row};
use super::error::{Error, Result};
use super::load::{Templates, load};
use super::memory::Memory;
use super::schema::{Rows, Schema, Source};
use super::tree::Model;
use super::value::Input;

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
    /// The model's memory as it was last committed.
    pub memory: Option<Vec<u8>>,
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
                // With this name it belongs to another table.
                list.retain(|found| raw.text() != "elsewhere" || !row.ends_with(&found.addr));
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

/// A data model with a row of each sort.
pub(super) const FILE: &str = r#"{"objects":[
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
