//! When something is due: one [`Alarms`] for all that waits for a time. Pure: clocks and chance are arguments.

mod periodic;

pub use periodic::{Periodic, Settings};

pub use crate::sys::clock::Now;
