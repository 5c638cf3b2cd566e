//! `Device.Users.Role.`: the access groups of rpcd, the members of `/usr/share/rpcd/acl.d/*.json`. What a login of
//! `/etc/config/rpcd` has of them are patterns, of which one may stand for more groups than a RoleParticipation holds.

use serde_json::Value as Json;

use crate::backend::{System, TableFn};
use crate::model::Result;
use crate::model::backend::{Place, Row};

/// Behind tables.
pub const TABLES: &[TableFn] = &[TableFn { name: "access_groups", rows: groups, add: None, delete: None }];

const PLACE: &str = "/usr/share/rpcd/acl.d";
/// The most files, and the most groups of them.
const MAX_FILES: usize = 256;
const MAX_GROUPS: usize = 512;
/// What anybody may, logged in or not: no role of an account.
const NOBODY: &str = "unauthenticated";

fn names(system: &mut System) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for file in system.names(PLACE).into_iter().filter(|name| name.ends_with(".json")).take(MAX_FILES) {
        let text = system.text(&format!("{PLACE}/{file}")).unwrap_or_default();
        if let Ok(Json::Object(groups)) = serde_json::from_slice(text.as_bytes()) {
            let fits = |name: &String| {
                !name.is_empty() && name.len() <= 64 && name != NOBODY && !name.contains(char::is_control)
            };
            found.extend(groups.into_iter().map(|(name, _)| name).filter(fits));
        }
    }
    found.sort();
    found.dedup();
    found.truncate(MAX_GROUPS);
    found
}

fn groups(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let row = |name: String| Row { addr: name.clone(), name, cols: Vec::new() };
    Ok(names(system).into_iter().map(row).collect())
}
