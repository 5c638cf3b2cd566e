//! What the agent itself has kept for the router's data model, as text for the difference.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::lab::acs::describe;
use crate::sys::fs::read_capped;

/// The folder and the file, below the router's.
pub const FOLDER: &str = "etc/rcwmp";
const FILE: &str = "model.json";
/// The largest file that is looked at.
const MAX: usize = 4 << 20;

#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    values: BTreeMap<String, String>,
    #[serde(default)]
    rows: BTreeMap<String, Vec<String>>,
}

/// The file's name, and its instances and values one a line, secrets as dots; nothing if there are none.
pub fn listed(router: &Path) -> Vec<(String, String)> {
    let path = router.join(FOLDER).join(FILE);
    let kept = read_capped(&path, MAX).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
    let text = kept.map(|kept| text(&kept)).filter(|text| !text.is_empty());
    text.map(|text| (FILE.to_owned(), text)).into_iter().collect()
}

fn text(kept: &Kept) -> String {
    let rows = kept.rows.iter().map(|(table, rows)| format!("{table} has {}\n", rows.len()));
    let value = |(name, text): (&String, &String)| format!("{name} = {}\n", describe::value(name, text));
    rows.chain(kept.values.iter().map(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(listed(folder.path()), []);
        std::fs::create_dir_all(folder.path().join(FOLDER)).unwrap();
        let path = folder.path().join(FOLDER).join(FILE);
        std::fs::write(&path, r#"{"values":{"A.Name":"n","A.Password":"p"},"rows":{"A.B.":["1"]}}"#).unwrap();
        let expected = "A.B. has 1\nA.Name = \"n\"\nA.Password = •••\n";
        assert_eq!(listed(folder.path()), [("model.json".to_owned(), expected.to_owned())]);
        for nothing in ["[", "{}"] {
            std::fs::write(&path, nothing).unwrap();
            assert_eq!(listed(folder.path()), []);
        }
    }
}
