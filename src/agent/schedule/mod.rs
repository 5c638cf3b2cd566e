//! When something is due: one [`Alarms`] for all that waits for a time. Pure: clocks and chance are arguments.

mod alarm;
mod periodic;

pub use alarm::{Alarms, Due, LEAST_HEARTBEAT, MAX_INFORMS};
pub use periodic::{Periodic, Settings};

pub use crate::sys::clock::Now;
