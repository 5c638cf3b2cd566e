//! [`System`]: one door to UCI, files, the agent's values and the store.

use std::rc::Rc;

use crate::model::Result;
use crate::model::backend::Raw;

/// Everything a value can come from. Made once by the agent; caches are dropped by `refresh`.
pub struct System {}

/// A UCI section as functions see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// How addresses name it: its name, or `@type[n]`.
    pub addr: String,
    /// Its name, unless it is anonymous.
    pub name: Option<String>,
    /// `config TYPE`.
    pub ty: String,
}

impl System {
    /// An option, `network.lan.proto` or `system.@system[0].hostname`; `None` when package, section or option is absent.
    ///
    /// # Errors
    /// [`crate::model::Error::Backend`] with file, line and column for a package that cannot be read.
    pub fn option(&mut self, _address: &str) -> Result<Option<Raw>> {
        unimplemented!()
    }

    /// As [`System::option`], as text; an absent option is empty.
    ///
    /// # Errors
    /// As [`System::option`].
    pub fn option_text(&mut self, address: &str) -> Result<String> {
        Ok(self.option(address)?.map(|raw| raw.text()).unwrap_or_default())
    }

    /// Stages an option; `None` removes it.
    ///
    /// # Errors
    /// [`crate::model::Error::Backend`] when package or section are absent, or the value cannot be written.
    pub fn set_option(&mut self, _address: &str, _raw: Option<&Raw>) -> Result<()> {
        unimplemented!()
    }

    /// The sections of a type in the order of the file; of every type for `*`.
    ///
    /// # Errors
    /// As [`System::option`]; an absent package has none.
    pub fn sections(&mut self, _package: &str, _ty: &str) -> Result<Vec<Section>> {
        unimplemented!()
    }

    /// Stages a new section; anonymous without a name. Returns its address.
    ///
    /// # Errors
    /// As [`System::set_option`]; a name that is taken.
    pub fn add_section(&mut self, _package: &str, _ty: &str, _name: Option<&str>) -> Result<String> {
        unimplemented!()
    }

    /// Stages the removal of `package.section`.
    ///
    /// # Errors
    /// As [`System::set_option`].
    pub fn delete_section(&mut self, _address: &str) -> Result<()> {
        unimplemented!()
    }

    /// The content of a file under the root, at most 256 KiB of it, invalid UTF-8 replaced; `None` when it
    /// is absent or cannot be read (`carrier` of a device that is down gives EINVAL).
    pub fn text(&mut self, _path: &str) -> Option<Rc<str>> {
        unimplemented!()
    }

    /// The names in a directory under the root, sorted; none when it is absent.
    pub fn names(&mut self, _path: &str) -> Vec<String> {
        unimplemented!()
    }

    /// Whether a path exists under the root.
    pub fn exists(&mut self, _path: &str) -> bool {
        unimplemented!()
    }

    /// Where a symbolic link under the root points, as text.
    pub fn link(&mut self, _path: &str) -> Option<String> {
        unimplemented!()
    }

    /// A value of the agent itself by name; see `agent` sources.
    pub fn agent(&self, _name: &str) -> Option<&str> {
        unimplemented!()
    }

    /// Seconds since 1970 by the wall clock, and since boot.
    pub fn now(&self) -> (i64, u64) {
        unimplemented!()
    }
}
