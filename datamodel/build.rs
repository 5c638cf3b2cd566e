//! Compiles `datamodel/*.json` into one sorted static table, `$OUT_DIR/datamodel.rs`.
//!
//! A bad row stops the build with file:line:column and a caret.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, process};

#[path = "../src/model"]
#[allow(dead_code, reason = "the build needs only the loader's half of the model")]
mod model {
    pub mod error;
    pub mod load;
    pub mod path;
    pub mod schema;
    pub mod value;
}

use model::load::{Templates, load};
use model::schema::{How, Object, Param, Rows, Schema, Source};
use model::value::Type;

#[allow(clippy::disallowed_macros, reason = "a build script speaks to cargo by printing")]
fn main() {
    println!("cargo::rerun-if-changed=datamodel");
    println!("cargo::rerun-if-changed=src/model");
    if let Err(why) = compile() {
        eprintln!("{why}");
        process::exit(1);
    }
}

fn compile() -> Result<(), String> {
    let mut files: Vec<_> = fs::read_dir("datamodel")
        .map_err(|error| format!("datamodel: {error}"))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    // Templates first: they serve all files.
    files.sort_by_key(|path| (!path.ends_with("templates.json"), path.clone()));
    let mut templates = Templates::default();
    let mut objects: Vec<Object> = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let text = fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
        objects.extend(load(&name, &text, &mut templates).map_err(|error| error.to_string())?);
    }
    let schema = Schema::new(objects).map_err(|error| format!("datamodel: {error}"))?;
    let mut out = String::from("static OBJECTS: &[Object] = &[\n");
    let (mut types, mut hows) = (Shared::new("TYPE", "Type"), Shared::new("HOW", "How"));
    for object in schema.objects() {
        write_object(&mut out, object, &mut types, &mut hows).map_err(|error| error.to_string())?;
    }
    out.push_str("];\n");
    out.extend([types.statics, hows.statics]);
    let target = env::var("OUT_DIR").map_err(|error| error.to_string())?;
    fs::write(Path::new(&target).join("datamodel.rs"), out).map_err(|error| error.to_string())
}

/// Statics that many rows refer to: a row by itself would be five times as large.
struct Shared {
    prefix: &'static str,
    of: &'static str,
    known: HashMap<String, usize>,
    statics: String,
}

impl Shared {
    fn new(prefix: &'static str, of: &'static str) -> Shared {
        Shared { prefix, of, known: HashMap::new(), statics: String::new() }
    }

    /// The name of the static with this value.
    fn name(&mut self, value: String) -> String {
        let Shared { prefix, of, known, statics } = self;
        let next = known.len();
        let at = *known.entry(value).or_insert_with_key(|value| {
            statics.push_str(&format!("static {prefix}{next}: {of} = {value};\n"));
            next
        });
        format!("{prefix}{at}")
    }
}

fn write_object(
    out: &mut String,
    object: &Object,
    types: &mut Shared,
    hows: &mut Shared,
) -> std::fmt::Result {
    let Object { path, rows, add, delete, params } = object;
    write!(out, "Object {{ path: {path:?}, rows: ")?;
    match rows {
        None => out.push_str("None"),
        Some(Rows { from, spec, when, id, fresh, volatile }) => write!(
            out,
            "Some(Rows {{ from: Origin::{from:?}, spec: {spec:?}, when: &{when:?}, id: &{id:?}, \
             fresh: &{fresh:?}, volatile: {volatile} }})"
        )?,
    }
    writeln!(out, ", add: {add}, delete: {delete}, params: Cow::Borrowed(&[")?;
    for Param { name, ty, write, hidden, inform, notify, source } in params.iter() {
        let ty = types.name(type_text(ty)?);
        let Source { from, spec, how } = source;
        let How { key, field, map, via, default, refs } = how;
        let how = hows.name(format!(
            "How {{ key: {key:?}, field: {field:?}, map: &{map:?}, via: {via:?}, default: {default:?}, refs: &{refs:?} }}"
        ));
        writeln!(
            out,
            "    Param {{ name: {name:?}, ty: &{ty}, write: {write}, hidden: {hidden}, inform: {inform}, \
             notify: Notify::{notify:?}, source: Source {{ from: Origin::{from:?}, spec: {spec:?}, how: &{how} }} }},"
        )?;
    }
    out.push_str("]) },\n");
    Ok(())
}

fn type_text(ty: &Type) -> Result<String, std::fmt::Error> {
    let Type { kind, list, size, list_size, ranges, values, format } = ty;
    let mut out = String::new();
    write!(
        out,
        "Type {{ kind: Kind::{kind:?}, list: {list}, size: {size:?}, list_size: {list_size:?}, \
         ranges: &{ranges:?}, values: &{values:?}, format: "
    )?;
    match format {
        None => out.push_str("None"),
        Some(format) => write!(out, "Some(Format::{format:?})")?,
    }
    out.push_str(" }");
    Ok(out)
}
