//! What the operating system gives: files, journaled commits, queues between threads, clocks, time zones, randomness, signals, programs, the system log.

pub mod age;
pub mod channel;
pub mod clock;
pub mod decimal;
pub mod dir;
pub mod fs;
pub mod gzip;
pub mod journal;
pub mod json;
pub mod program;
pub mod rng;
pub mod signal;
pub mod syslog;
pub mod thread;
pub mod zone;
