//! The sparring partner: a loopback mini-ACS that runs Oktopus Lua, its device store, and a simulated router.
//!
//! Only built with the feature `lab`; never part of a firmware. It never names the agent: it starts it as a child process.

pub mod acs;
pub mod api;
pub mod cli;
pub mod diff;
pub mod front;
pub mod lua;
pub mod models;
pub mod router;
pub mod soak;
pub mod store;
pub mod tail;
