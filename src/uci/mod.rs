//! UCI: OpenWrt's configuration files, read as libuci reads them and written back without loss.
//!
//! [`text`] and [`edit`] hold one file as a [`Document`], [`delta`] folds in changes that were saved
//! but not committed, [`store`] reads, stages and commits whole packages. All but the last are pure.

pub mod bundle;
pub mod delta;
pub mod edit;
mod scan;
pub mod store;
pub mod text;
mod write;

pub use edit::EditError;
pub use store::{Store, StoreError};
pub use text::{Document, ParseError, Section, Value};
