//! Connection requests: how an ACS asks the agent to call (TR-069 3.2.2 and Annex G).
//!
//! ```text
//!  TCP  listener (sockets) ─► rule     is it a valid request, and not one too many
//!  UDP  the agent's socket ─► udp      the same of a signed datagram
//!                          └► binding  keeps the way through a NAT open ─► stun (the messages)
//! ```
//! All but `listener` are pure. `xmpp` is the door of Annex K.

#[cfg(feature = "stun")]
pub mod binding;
pub mod listener;
pub mod rule;
mod sources;
#[cfg(feature = "stun")]
pub mod stun;
#[cfg(feature = "stun")]
pub mod udp;
#[cfg(feature = "xmpp")]
pub mod xmpp;
