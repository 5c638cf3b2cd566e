//! ubus, OpenWrt's bus between processes, spoken natively: no libubus, no child process.
//!
//! ```text
//!   calls out                                 calls in, events, notifications
//!   ┌────────┐                                ┌────────┐
//!   │ Client │ blocks, with a deadline        │ Server │ for the poll loop; connects again by itself
//!   └───┬────┘                                └───┬────┘
//!       └───────────────┐         ┌───────────────┘        one connection each
//!                     ┌─┴─────────┴─┐
//!                     │    Link     │  a socket that never waits
//!                     ├─────────────┤
//!                     │    peer     │  ◇ which answer belongs to which request
//!                     ├─────────────┤
//!                     │    msg      │  ◇ head and attributes
//!                     ├──────┬──────┤
//!                     │ blob │ blobmsg │  ◇ octets and values
//!                     └──────┴──────┘
//! ```
//! `json` turns values into text and back as the stock command does, `object` describes methods. Messages are
//! bounded at 1 MiB, 32768 values and 32 levels in both directions: what is larger is refused with an error that
//! says so, never cut. Descriptors that somebody passes are closed by the kernel, because nobody here asks for them.
//!
//! Architecture invariant: a serving connection never waits for an answer, so that the two daemons of a call cannot
//! wait for each other; calls out go over another connection.

pub mod blob;
pub mod blobmsg;
pub mod client;
pub mod json;
pub mod link;
pub mod msg;
pub mod object;
pub mod peer;
pub mod server;

/// Where ubusd listens.
pub const SOCKET: &str = "/var/run/ubus/ubus.sock";
