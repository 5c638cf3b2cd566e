//! The shell: everything that touches the world, around pure parts.

pub mod log;
pub mod schedule;
pub mod settings;
pub mod zone;
