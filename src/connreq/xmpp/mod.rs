//! Connection requests over XMPP (TR-069 Annex K): a client of one server, for one connection.
//!
//! ```text
//!  octets ─► stream ─► elements ─► sasl      who we are   (client::login, may wait: for a worker)
//!                                └► request   who asks     (client::Online, never waits: for the loop)
//! ```
//! `stream`, `sasl`, `request` and `server` are pure; `client` owns the socket.

pub mod client;
pub mod request;
mod sasl;
pub mod server;
mod stream;

pub use stream::StreamError;
