//! The mini-ACS: server-side sessions over the same codec as the agent's, device queues, and the running of services.
//!
//! ```text
//! socket ─► server (HTTP, cookies, auth) ─► session ◇ ─► office (store, queues) ─► watcher (what people see)
//!                                                            ▲         │
//!                                            Lua scripts ─► services   └─► knock (connection requests)
//! ```

pub mod describe;
mod fallback;
mod files;
pub mod fill;
pub mod guard;
pub(in crate::lab) mod knock;
pub mod news;
pub mod office;
pub mod payload;
pub mod presence;
pub mod pretty;
pub mod profiles;
pub mod quirks;
pub mod scripts;
pub mod server;
mod services;
pub mod session;
mod tasks;
pub mod trace;
#[cfg(feature = "xmpp")]
pub mod xmpp;

#[cfg(test)]
mod tests;
