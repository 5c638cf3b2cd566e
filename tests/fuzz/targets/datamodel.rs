//! Any text as a vendor's data model file and as a plugin of bbfdm: a complaint says where, and what is taken is a model
//! that can be walked.

use rcwmp::agent::vendor::PREFIX;
use rcwmp::backend::functions;
use rcwmp::model::bbf::{self, Around};
use rcwmp::model::load::{LoadError, Templates, load, load_known};
use rcwmp::model::memory::Memory;
use rcwmp::model::path::Path;
use rcwmp::model::schema::Schema;

use super::system::{self, System};

/// One input.
pub fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let objects = load("base.json", system::MODEL, &mut Templates::default()).expect("our own");
    let base = Schema::new(objects).expect("our own");
    match load_known("f", text, &mut Templates::default(), functions::known) {
        Ok(objects) => {
            if let Ok(schema) = base.merged(objects) {
                walk(schema);
            }
        }
        Err(why) => place(&why, text),
    }
    let around = Around { prefix: PREFIX, present: &|path| path.len() % 2 == 0 };
    match bbf::extended(&base, "f", text, around) {
        Ok((schema, skipped)) => {
            skipped.iter().for_each(|why| place(why, text));
            // What is there once is there as it was: the file adds nothing when it comes a second time.
            if let Ok((again, _)) = bbf::extended(&schema, "f", text, around) {
                let paths =
                    |schema: &Schema| schema.objects().iter().map(|object| object.path).collect::<Vec<_>>();
                assert_eq!(paths(&again), paths(&schema));
            }
            walk(schema);
        }
        Err(why) => place(&why, text),
    }
}

fn place(why: &LoadError, text: &str) {
    assert!(why.line >= 1 && why.line <= text.split('\n').count() + 1, "{why}");
    let shown = why.to_string();
    assert!(shown.len() <= 4096 + 2 * text.len(), "{shown}");
}

/// All names of a schema are names, and can be asked for.
fn walk(schema: Schema) {
    for object in schema.objects() {
        assert!(schema.find(object.path).is_some());
        for param in object.params.iter() {
            assert_eq!(object.param(param.name).map(|found| found.name), Some(param.name));
        }
        let path = object.path.replace("{i}", "1");
        if path.len() < 200 {
            assert!(Path::parse(&path).is_ok(), "{path}");
        }
    }
    let mut model = rcwmp::model::Model::new(schema, System::default(), Memory::default());
    let names = model.names("", false).expect("all names");
    for (name, _) in names.iter().take(64) {
        if !name.ends_with('.') {
            let _ = model.values([name.as_str()]);
        }
    }
}
