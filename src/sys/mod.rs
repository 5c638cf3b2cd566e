//! What the operating system gives: files, clock, randomness, log, signals.

pub mod fs;
pub mod journal;
