//! The shell: everything that touches the world, around pure parts.

pub mod apply;
pub mod autonomous;
pub mod bulk;
pub mod changes;
pub mod commands;
pub mod control;
pub mod daemon;
pub mod desk;
pub mod diagnose;
mod diagnose_igd;
pub mod discovery;
pub mod duties;
pub mod exchange;
pub mod history;
pub mod icwmp_files;
pub mod icwmp_queue;
pub mod inform;
pub mod job;
pub mod light;
pub mod lines;
pub mod lock;
pub mod log;
pub mod offers;
pub mod options;
pub mod programs;
pub mod redact;
pub mod requests;
pub mod schedule;
pub mod settings;
pub mod state;
pub mod statistics;
mod tls;
pub mod units;
pub mod vendor;
pub mod worker;
#[cfg(feature = "xmpp")]
pub mod xmpp;
