//! Vendor files: more of the data model from `/usr/share/rcwmp/datamodel.d/*.json`.

use crate::model::load::{MAX_FILE, Templates, load};
use crate::model::schema::Schema;
use crate::sys::fs::Root;

/// Where vendor files are, below the root.
pub const DIRECTORY: &str = "/usr/share/rcwmp/datamodel.d";
/// The most files that are read.
const MAX_FILES: usize = 64;

/// The schema with the router's vendor files. A broken file is skipped, with a complaint that has
/// file, line, column and a caret.
pub fn with_vendor_files(schema: Schema, root: &Root) -> (Schema, Vec<String>) {
    let mut complaints = Vec::new();
    let mut schema = schema;
    let mut names: Vec<String> = root
        .resolve(DIRECTORY)
        .ok()
        .and_then(|dir| std::fs::read_dir(dir).ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".json"))
        .collect();
    names.sort();
    names.truncate(MAX_FILES);
    for name in names {
        let path = format!("{DIRECTORY}/{name}");
        let text = match root.read(&path, MAX_FILE).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => {
                complaints.push(format!("{path}: not UTF-8; skipped"));
                continue;
            }
            Err(why) => {
                complaints.push(format!("{why}; skipped"));
                continue;
            }
        };
        // A vendor's templates are the file's own.
        let merged = load(&path, &text, &mut Templates::default())
            .map_err(|mut why| {
                why.why.push_str("; the file is skipped");
                why.to_string()
            })
            .and_then(|objects| {
                schema.merged(objects).map_err(|why| format!("{path}: {why}; the file is skipped"))
            });
        match merged {
            Ok(more) => schema = more,
            Err(why) => complaints.push(why),
        }
    }
    (schema, complaints)
}
