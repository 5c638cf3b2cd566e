//! The mini-ACS: server-side sessions over the same codec as the agent's, device queues, and the running of services.
//!
//! ```text
//! socket ─► server (HTTP, cookies, auth) ─► session ◇ ─► office (store, queues, services) ─► watcher (what people see)
//!                                                              ▲ enqueue, call, refresh
//!                                                         Lua scripts
//! ```

pub mod describe;
pub mod payload;
pub mod quirks;
pub mod session;
