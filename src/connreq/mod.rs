//! Connection requests: how an ACS asks the agent to call (TR-069 3.2.2).
//!
//! `rule` is pure and decides, `listener` owns the sockets; `xmpp` is the door of Annex K.

pub mod listener;
pub mod rule;
mod sources;
#[cfg(feature = "xmpp")]
pub mod xmpp;
