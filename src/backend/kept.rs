//! What is kept in `model.json`: ParameterKey, stored values, marks of sections, and the model's memory.
//!
//! One file, so that a change of values and the instance numbers that go with it are never apart.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::map::Map;
use crate::model::memory::Memory;
use crate::sys::fs::read_capped;
use crate::sys::json;

use super::marks::{self, Marks};

/// The largest file that is read, in bytes.
const MAX_KEPT: usize = 16 << 20;

/// The format. The first named rows by the places of nameless sections.
const VERSION: u32 = 2;

/// The content of the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The format.
    #[serde(default)]
    version: u32,
    /// Of the last change by an ACS.
    #[serde(default)]
    pub parameter_key: String,
    /// What was written to `agent` values, by name.
    #[serde(default)]
    pub agent: Map<String, String>,
    /// What was written to `store` values, by full name.
    #[serde(default)]
    pub values: Map<String, String>,
    /// The rows of `store` tables, by the table's full name.
    #[serde(default)]
    pub rows: Map<String, Vec<String>>,
    /// Which nameless section is which.
    #[serde(default)]
    pub marks: Marks,
    /// The model's own, as it gave it.
    #[serde(default)]
    memory: Option<Box<RawValue>>,
}

/// Why nothing could be loaded.
pub(super) enum KeptError {
    /// There is no file: the first start.
    Missing,
    /// There is one, and it cannot be read.
    Damaged(String),
}

impl PartialEq for Kept {
    fn eq(&self, other: &Kept) -> bool {
        let text = |kept: &Kept| kept.memory.as_ref().map(|raw| raw.get().to_owned());
        self.parameter_key == other.parameter_key
            && self.agent == other.agent
            && self.values == other.values
            && self.rows == other.rows
            && self.marks == other.marks
            && text(self) == text(other)
    }
}

impl Kept {
    /// Reads the file, with the model's memory in it.
    pub fn load(path: &Path) -> Result<(Kept, Memory), KeptError> {
        let damaged = |why: &dyn std::fmt::Display| KeptError::Damaged(why.to_string());
        let bytes = read_capped(path, MAX_KEPT)
            .map_err(|why| if why.is_missing() { KeptError::Missing } else { damaged(&why) })?;
        // A list would be taken for the fields in their order.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(damaged(&"not a JSON object"));
        }
        let mut kept: Kept = serde_json::from_slice(&bytes).map_err(|why| damaged(&why))?;
        if kept.version > VERSION {
            return Err(damaged(&format_args!("format {} is not known", kept.version)));
        }
        let mut memory = match &kept.memory {
            Some(raw) => json::from_slice(raw.get().as_bytes()).map_err(|why| damaged(&why))?,
            None => Memory::default(),
        };
        if kept.version < VERSION {
            memory.rename_rows(&marks::from_place);
            let bytes = serde_json::to_vec(&memory).map_err(|why| damaged(&why))?;
            kept.set_memory(&bytes).map_err(|why| damaged(&why))?;
        }
        Ok((kept, memory))
    }

    /// Keeps a damaged file for whoever wants to look at it.
    pub fn put_aside(path: &Path) {
        let _: io::Result<()> = fs::rename(path, path.with_extension("json.damaged"));
    }

    /// Takes over the model's memory.
    pub fn set_memory(&mut self, bytes: &[u8]) -> serde_json::Result<()> {
        self.memory = Some(serde_json::from_slice(bytes)?);
        Ok(())
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Kept { version: VERSION, ..self.clone() })
    }
}
