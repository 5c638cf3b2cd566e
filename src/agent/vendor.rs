//! Vendor files: more of the data model from `/usr/share/rcwmp/datamodel.d/*.json`, and from bbfdm's JSON plugins
//! where a firmware has some; and what the configuration wants of the model.

use super::icwmp_files;
use super::settings::Settings;
use crate::backend::{System, functions};
use crate::model::Model;
use crate::model::bbf::{self, Around};
use crate::model::hidden;
use crate::model::load::{LoadError, MAX_FILE, Templates, load_known};
use crate::model::schema::Schema;
use crate::sys::fs::Root;

/// Where vendor files are, below the root.
pub const DIRECTORY: &str = "/usr/share/rcwmp/datamodel.d";
/// Where bbfdm's plugins are, in the order they are read: what a later one says of a parameter counts.
pub const PLUGINS: [&str; 3] = ["/usr/share/bbfdm/plugins", "/etc/bbfdm/plugins", "/etc/bbfdm/json"];
/// What stands for `{BBF_VENDOR_PREFIX}` in plugins when `cwmp.cpe.bbf_vendor_prefix` does not say.
pub const PREFIX: &str = "X_IOPSYS_EU_";
/// The most files that are read of a directory.
const MAX_FILES: usize = 64;

/// The schema with the router's vendor files and plugins. A broken file is skipped, with a complaint that has
/// file, line, column and a caret; of a plugin only the broken member, if the file is JSON at all.
///
/// What our own model hides stays hidden. `prefix` is the vendor's; empty for [`PREFIX`].
pub fn with_vendor_files(schema: Schema, root: &Root, prefix: &str) -> (Schema, Vec<String>) {
    let mut complaints = Vec::new();
    let own = schema.clone();
    let mut schema = schema;
    let present = |path: &str| root.resolve(path).is_ok_and(|path| path.exists());
    let around = Around { prefix: if prefix.is_empty() { PREFIX } else { prefix }, present: &present };
    for directory in PLUGINS {
        for (path, text) in files(root, directory, &mut complaints) {
            match bbf::extended(&schema, &path, &text, around) {
                Ok((more, skipped)) => {
                    schema = more;
                    complaints.extend(skipped.iter().map(ToString::to_string));
                }
                Err(why) => complaints.push(skipped(why)),
            }
        }
    }
    // The agent's own format comes last: it has the last word.
    for (path, text) in files(root, DIRECTORY, &mut complaints) {
        // A vendor's templates are the file's own.
        let merged =
            load_known(&path, &text, &mut Templates::default(), functions::known).map_err(skipped).and_then(
                |objects| schema.merged(objects).map_err(|why| format!("{path}: {why}; the file is skipped")),
            );
        match merged {
            Ok(more) => schema = more,
            Err(why) => complaints.push(why),
        }
    }
    match hidden::kept(&own, schema) {
        Ok(schema) => (schema, complaints),
        Err(why) => {
            complaints.push(format!("no vendor file is served: {why}"));
            (own, complaints)
        }
    }
}

/// Has the model do what the options about values want; what is wrong with the files that they name.
pub fn configure(model: &mut Model<System>, settings: &Settings) -> Vec<String> {
    model.set_type_check(settings.type_check);
    model.set_aliases(settings.has_aliases());
    let path = &settings.forced_inform;
    let (names, complaints) = match named_file(model.backend(), "forced_inform_json", path) {
        _ if path.is_empty() => (Vec::new(), Vec::new()),
        Ok(text) => {
            let (names, complaints) = icwmp_files::forced_inform(&text);
            (names, complaints.iter().map(|complaint| format!("{path}: {complaint}")).collect())
        }
        Err(why) => (Vec::new(), vec![why]),
    };
    model.force_inform(names);
    complaints
}

/// What is wrong with the file of `cpe.custom_notify_json`, which the daemon obeys once.
pub fn check_notifications(system: &mut System, settings: &Settings) -> Vec<String> {
    let path = &settings.custom_notify;
    match named_file(system, "custom_notify_json", path) {
        _ if path.is_empty() => Vec::new(),
        Ok(text) => {
            let (_, complaints) = icwmp_files::custom_notification(&text);
            complaints.iter().map(|complaint| format!("{path}: {complaint}")).collect()
        }
        Err(why) => vec![why],
    }
}

/// The text of a file that an option of `cwmp.cpe` names.
///
/// # Errors
/// A sentence, when it cannot be read.
pub fn named_file(system: &mut System, option: &str, path: &str) -> Result<String, String> {
    let text = system.text(path).map(|text| text.to_string());
    text.ok_or_else(|| format!("cwmp.cpe.{option}: {path} cannot be read"))
}

fn skipped(mut why: LoadError) -> String {
    why.why.push_str("; the file is skipped");
    why.to_string()
}

/// The JSON files of a directory by their names, each with its text.
fn files(root: &Root, directory: &str, complaints: &mut Vec<String>) -> Vec<(String, String)> {
    let mut names: Vec<String> = root
        .resolve(directory)
        .ok()
        .and_then(|dir| std::fs::read_dir(dir).ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".json"))
        .collect();
    names.sort();
    if names.len() > MAX_FILES {
        complaints.push(format!("{directory}: more than {MAX_FILES} files; the rest is not read"));
        names.truncate(MAX_FILES);
    }
    let mut out = Vec::new();
    for name in names {
        let path = format!("{directory}/{name}");
        match root.read(&path, MAX_FILE + 1).map(String::from_utf8) {
            Ok(Ok(text)) => out.push((path, text)),
            Ok(Err(_)) => complaints.push(format!("{path}: not UTF-8; skipped")),
            Err(why) => complaints.push(format!("{why}; skipped")),
        }
    }
    out
}
