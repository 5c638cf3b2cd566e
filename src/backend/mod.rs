//! The system behind the model: UCI, the files of the kernel, the agent's own values, a persisted
//! store, and named functions for what one line of a data model file cannot say.
//!
//! [`System`] implements [`crate::model::backend::Backend`] over all of them; a change through any of
//! them is committed in one journaled step.

pub mod bbfdm;
pub mod bus;
pub mod convert;
mod door;
pub mod functions;
mod kept;
mod lookup;
mod marks;
mod memo;
mod moves;
pub mod packages;
pub mod statistics;
pub mod system;
pub mod trials;
mod untold;

pub use system::{Places, Section, System};

use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};

/// Reads a value: the system, the place, the argument of the data model file.
pub type Get = fn(&mut System, Place<'_>, &str) -> Result<Option<Raw>>;
/// Stages a value.
pub type Set = fn(&mut System, Place<'_>, &str, &Raw) -> Result<()>;
/// Lists rows.
pub type List = fn(&mut System, Place<'_>, &str) -> Result<Vec<Row>>;
/// Stages a new row and describes it.
pub type Add = fn(&mut System, Place<'_>, &str) -> Result<Row>;
/// Stages the removal of the innermost row.
pub type Delete = fn(&mut System, Place<'_>, &str) -> Result<()>;

/// A named function behind parameters: what `"fn":"name"` or `"fn":"name:argument"` calls. The argument
/// arrives with instances filled in.
pub struct ValueFn {
    /// As the data model files call it.
    pub name: &'static str,
    /// Reads; `None` when the system has no such value.
    pub get: Get,
    /// Stages a new value, for parameters that can be written.
    pub set: Option<Set>,
}

/// A named function behind tables: what `"rows":{"fn":"name"}` calls, with an argument as [`ValueFn`].
pub struct TableFn {
    /// As the data model files call it.
    pub name: &'static str,
    /// The rows in a stable order; `at` holds the parents' instances.
    pub rows: List,
    /// Stages a new row.
    pub add: Option<Add>,
    /// Stages the removal of the innermost row.
    pub delete: Option<Delete>,
}
