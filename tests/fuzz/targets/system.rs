//! A router in memory: what two targets have their data model over.

use std::collections::BTreeMap;

use rcwmp::model::backend::{Backend, Place, Raw, Row};
use rcwmp::model::error::Result;
use rcwmp::model::schema::{Rows, Source};

/// Its data model.
pub const MODEL: &str = r#"{"objects":[
 {"object":"Device.","params":[
  {"name":"RootDataModelVersion","type":"string","const":"2.19","inform":true}]},
 {"object":"Device.ManagementServer.","params":[
  {"name":"URL","type":"string(256)","access":"rw","uci":"cwmp.acs.url"},
  {"name":"Password","type":"string(256)","access":"rw","hidden":true,"uci":"cwmp.acs.password"},
  {"name":"InstanceMode","type":"string","access":"rw","uci":"cwmp.cpe.instance_mode","default":"InstanceNumber"},
  {"name":"AutoCreateInstances","type":"boolean","access":"rw","uci":"cwmp.cpe.auto","default":"0"},
  {"name":"ParameterKey","type":"string(32)","inform":true,"notify":"canDeny","agent":"ParameterKey"}]},
 {"object":"Device.IP.","params":[
  {"name":"InterfaceNumberOfEntries","type":"unsignedInt","count":"Interface"}]},
 {"object":"Device.IP.Interface.{i}.","add":true,"delete":true,"rows":{"uci":"net.if"},"params":[
  {"name":"Alias","type":"string(64)","access":"rw","format":"alias","alias":true},
  {"name":"Enable","type":"boolean","access":"rw","uci":"net.{}.disabled","map":{"1":"0","*":"1"},"default":"1"},
  {"name":"Mode","type":"string","access":"rw","values":["Routed","Bridged"],"uci":"net.{}.mode","map":{"r":"Routed","b":"Bridged"}},
  {"name":"Mtu","type":"unsignedInt(64..9000)","access":"rw","uci":"net.{}.mtu","default":"1500"},
  {"name":"Dns","type":"list(string)","access":"rw","format":"ip","uci":"net.{}.dns"},
  {"name":"Since","type":"dateTime","access":"rw","uci":"net.{}.since"},
  {"name":"Lower","type":"string","access":"rw","uci":"net.{}.lower","ref":["Device.IP.Interface.{i}."]}]},
 {"object":"Device.IP.Interface.{i}.Address.{i}.","add":true,"delete":true,"rows":{"uci":"addr.{1}"},"params":[
  {"name":"Alias","type":"string(64)","access":"rw","format":"alias","alias":true},
  {"name":"Ip","type":"string","access":"rw","format":"ip","uci":"addr.{1}.{2}"}]}
]}"#;

/// The most rows of a table.
const MAX_ROWS: usize = 64;

/// What is in it; what was changed and not committed can be taken back.
#[derive(Default, Clone)]
pub struct System {
    values: BTreeMap<String, Raw>,
    rows: BTreeMap<String, Vec<Row>>,
    made: usize,
    key: String,
    saved: Option<Box<System>>,
}

impl System {
    /// With two interfaces.
    pub fn new() -> System {
        let row = |name: &str| Row { name: name.into(), addr: name.into(), cols: Vec::new() };
        let mut system = System::default();
        system.rows.insert("net.if".into(), vec![row("lan"), row("wan")]);
        system.values.insert("net.lan.mode".into(), Raw::one("b"));
        system.values.insert("net.wan.mtu".into(), Raw::one("broken"));
        system.values.insert("cwmp.acs.password".into(), Raw::one("secret"));
        system
    }

    fn stage(&mut self) {
        if self.saved.is_none() {
            self.saved = Some(Box::new(self.clone()));
        }
    }
}

impl Backend for System {
    fn refresh(&mut self) {}

    fn rows(&mut self, rows: &Rows, at: Place<'_>) -> Result<Vec<Row>> {
        Ok(self.rows.get(&at.fill(rows.spec)).cloned().unwrap_or_default())
    }

    fn read(&mut self, source: &Source, at: Place<'_>) -> Result<Option<Raw>> {
        Ok(match at.fill(source.spec) {
            spec if spec == "ParameterKey" => Some(Raw::one(&self.key)),
            spec => self.values.get(&spec).cloned(),
        })
    }

    fn write(&mut self, source: &Source, at: Place<'_>, raw: &Raw) -> Result<()> {
        self.stage();
        self.values.insert(at.fill(source.spec), raw.clone());
        Ok(())
    }

    fn add(&mut self, rows: &Rows, at: Place<'_>) -> Result<Row> {
        self.stage();
        self.made += 1;
        let name = format!("new{}", self.made);
        let list = self.rows.entry(at.fill(rows.spec)).or_default();
        if list.len() >= MAX_ROWS {
            return Err(rcwmp::model::Error::exhausted("the table is full".into()));
        }
        let row = Row { name: name.clone(), addr: name, cols: Vec::new() };
        list.push(row.clone());
        Ok(row)
    }

    fn delete(&mut self, rows: &Rows, at: Place<'_>) -> Result<()> {
        self.stage();
        let gone = at.row().map(|row| row.addr.clone());
        let list = self.rows.entry(at.fill(rows.spec)).or_default();
        list.retain(|row| Some(&row.addr) != gone.as_ref());
        Ok(())
    }

    fn parameter_key(&mut self, key: &str) -> Result<()> {
        self.stage();
        self.key = key.to_owned();
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        Ok(())
    }

    fn commit(&mut self, _: Option<&[u8]>) -> Result<()> {
        self.saved = None;
        Ok(())
    }

    fn revert(&mut self) {
        if let Some(saved) = self.saved.take() {
            *self = *saved;
        }
    }
}
