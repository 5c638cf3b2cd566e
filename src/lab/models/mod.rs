//! Data model files that the simulated router can be given besides its own (`lab --model`).

use std::path::Path;

use crate::model::compiled;
use crate::model::load::{MAX_FILE, Templates, load};
use crate::sys::fs::read_capped;

/// The built-in ones: their words and texts.
pub const BUILT_IN: &[(&str, &str)] = &[("tr098", include_str!("tr098.json"))];

/// A data model file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The file's name without `.json`.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Model {
    /// The built-in one of that word, else the file of that path; checked as the agent will.
    ///
    /// # Errors
    /// Why there is none, or what is wrong in it, and where.
    pub fn find(word: &str) -> Result<Model, String> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == word) {
            return Ok(Model { name: (*name).to_owned(), text: (*text).to_owned() });
        }
        let path = Path::new(word);
        let words = || BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let bytes =
            read_capped(path, MAX_FILE).map_err(|error| format!("{error} (built in: {})", words()))?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{word} is not UTF-8"))?;
        let objects = load(word, &text, &mut Templates::default()).map_err(|error| error.to_string())?;
        compiled::schema().merged(objects).map_err(|error| format!("{word}: {error}"))?;
        let name = path.file_stem().map_or_else(|| "model".into(), |name| name.to_string_lossy());
        Ok(Model { name: name.into_owned(), text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_ones_are_sound() {
        for (name, text) in BUILT_IN {
            assert_eq!(Model::find(name).unwrap().text, *text);
            let objects = load(name, text, &mut Templates::default()).unwrap();
            compiled::schema().merged(objects).unwrap();
        }
    }

    #[test]
    fn files() {
        let file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
        let path = file.path().to_str().unwrap();
        let refused = |text: &str| {
            std::fs::write(path, text).unwrap();
            Model::find(path).unwrap_err()
        };
        assert!(refused("{\n nonsense").contains(".json:2:"));
        assert!(refused(r#"{"objects":[{"object":"Device.A.B."}]}"#).contains("no parent"));
        std::fs::write(path, r#"{"objects":[{"object":"Device.X_A."}]}"#).unwrap();
        assert_eq!(Model::find(path).unwrap().name, file.path().file_stem().unwrap().to_str().unwrap());
        assert!(Model::find("/nonexistent").unwrap_err().contains("built in: tr098"));
    }
}
