//! The shell: everything that touches the world, around pure parts.

pub mod schedule;
pub mod zone;
