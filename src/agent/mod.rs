//! The shell: everything that touches the world, around pure parts.

pub use crate::sys::zone;

pub mod log;
pub mod schedule;
pub mod settings;
