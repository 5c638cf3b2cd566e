//! Sections of UCI by what they hold, in one walk of the package.

use super::System;
use super::system::{Section, address, reading};
use crate::model::Result;
use crate::uci::{self, StoreError, Value};

impl System {
    /// As [`System::sections`], each with the texts of some options; all in one walk, for what looks at every row.
    ///
    /// # Errors
    /// As [`System::sections`].
    pub(super) fn sections_with<const N: usize>(
        &mut self,
        package: &str,
        ty: &str,
        options: [&str; N],
    ) -> Result<Vec<(Section, [String; N])>> {
        let sections = self.sections(package, ty)?;
        let Ok(document) = self.uci.package(package) else { return Ok(Vec::new()) };
        let texts = document.sections().filter(|section| ty == "*" || section.ty() == ty);
        let texts = texts.map(|section| options.map(|option| section.text(option).unwrap_or_default()));
        Ok(sections.into_iter().zip(texts).collect())
    }

    /// The full address of the last section of a type that has this text in an option.
    ///
    /// # Errors
    /// As [`System::sections`].
    pub(super) fn last_with(
        &mut self,
        package: &str,
        ty: &str,
        option: &str,
        text: &str,
    ) -> Result<Option<String>> {
        let document = match self.uci.package(package) {
            Ok(document) => document,
            Err(StoreError::NoPackage(_)) => return Ok(None),
            Err(why) => return Err(reading(package, &why)),
        };
        let has = |section: &&uci::Section| match section.option(option) {
            Some(Value::Single(told)) => told == text,
            Some(list) => list.joined() == text,
            None => text.is_empty(),
        };
        let found = document.of_type(ty).filter(has).last();
        Ok(found.map(|section| format!("{package}.{}", address(section))))
    }
}
