//! The data model: paths, values, schema, tree and transactions. Pure: no I/O, no clock, no randomness.

pub mod addressing;
pub mod attributes;
pub mod backend;
pub mod bbf;
pub mod compiled;
pub mod date;
pub mod error;
pub mod hidden;
pub mod informed;
mod layers;
pub mod load;
pub mod memory;
pub mod path;
pub mod reach;
mod references;
#[cfg(test)]
mod scenario;
pub mod schema;
pub mod transaction;
pub mod tree;
mod unique;
pub mod value;
pub mod watch;

pub use error::{Error, ErrorKind, Result};
pub use tree::Model;
