//! The named functions, by area; each area lists its own.

use super::{TableFn, ValueFn};

/// All functions behind parameters.
pub fn value(name: &str) -> Option<&'static ValueFn> {
    AREAS.iter().flat_map(|area| area.0).find(|function| function.name == name)
}

/// All functions behind tables.
pub fn table(name: &str) -> Option<&'static TableFn> {
    AREAS.iter().flat_map(|area| area.1).find(|function| function.name == name)
}

const AREAS: &[(&[ValueFn], &[TableFn])] = &[];
