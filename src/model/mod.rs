//! The data model: paths, values, schema, tree and transactions. Pure: no I/O, no clock, no randomness.

pub mod backend;
pub mod error;
pub mod load;
pub mod memory;
pub mod path;
pub mod schema;
pub mod value;

pub use error::{Error, Result};
