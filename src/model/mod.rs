//! The data model: paths, values, schema, tree and transactions. Pure: no I/O, no clock, no randomness.

pub mod error;
pub mod path;
pub mod value;

pub use error::{Error, Result};
