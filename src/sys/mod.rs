//! What the operating system gives: files, clocks, randomness, signals.

pub mod clock;
pub mod fs;
pub mod rng;
pub mod signal;
