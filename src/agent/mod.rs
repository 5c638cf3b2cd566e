//! The shell: everything that touches the world, around pure parts.

pub mod daemon;
pub mod discovery;
pub mod exchange;
pub mod inform;
pub mod job;
pub mod lock;
pub mod log;
pub mod options;
pub mod programs;
pub mod redact;
pub mod schedule;
pub mod settings;
pub mod state;
pub mod units;
pub mod vendor;
pub mod worker;
