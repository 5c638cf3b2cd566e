//! What stays hidden, whoever tells of it: a vendor's file or plugin that shows a password under another name, or says
//! of its parameter that it may be read, would undo TR-181's `hidden`.

use super::schema::{Origin, Param, Schema};
use crate::set::Set;

/// Secrets of UCI that functions of ours keep, so that no place of the data model names them.
const KEPT: &[(&str, &str)] = &[
    ("mosquitto", "remote_password"),
    ("wireless", "key"),
    ("wireless", "key1"),
    ("wireless", "key2"),
    ("wireless", "key3"),
    ("wireless", "key4"),
    ("wireless", "wps_pin"),
];

/// The package and the option that a parameter's value lives in, whatever the section.
fn option(param: &Param) -> Option<(&'static str, &'static str)> {
    let spec = match param.source.from {
        Origin::Uci => param.source.spec,
        Origin::Function => param.source.spec.strip_prefix("setting:")?,
        _ => return None,
    };
    Some((spec.split_once('.')?.0, spec.rsplit_once('.')?.1))
}

/// The schema `with` vendor files, in which everything is hidden that our `own` one hides: the parameter of that name,
/// and every parameter that lives in the same option of UCI.
///
/// # Errors
/// Never for a schema: its paths stay.
pub fn kept(own: &Schema, with: Schema) -> super::error::Result<Schema> {
    let all = |schema: &Schema| -> Vec<(&'static str, Param)> {
        let objects = schema.objects().iter();
        objects.flat_map(|object| object.params.iter().map(|param| (object.path, *param))).collect()
    };
    let mut options: Set<(&str, &str)> = KEPT.iter().copied().collect();
    let mut names: Set<(&str, &str)> = Set::new();
    for (path, param) in all(own).iter().filter(|(_, param)| param.hidden) {
        options.extend(option(param));
        names.insert((*path, param.name));
    }
    let shown = |path: &'static str, param: &Param| {
        let secret = names.contains(&(path, param.name));
        !param.hidden && (secret || option(param).is_some_and(|option| options.contains(&option)))
    };
    if all(&with).iter().all(|(path, param)| !shown(path, param)) {
        return Ok(with);
    }
    let mut objects = with.objects().to_vec();
    for object in &mut objects {
        if object.params.iter().any(|param| shown(object.path, param)) {
            for param in object.params.to_mut() {
                param.hidden |= shown(object.path, param);
            }
        }
    }
    Schema::new(objects)
}
