//! HTTP, both ends: the client that talks to an ACS, and the small server machine behind the
//! connection-request port and the mini-ACS.
//!
//! `auth`, `body`, `cookie`, `serve` and `url` are pure. `client` and `file` are the ones that name
//! ureq, `tls` (and `tls_server` for the lab) those that name rustls; `wire` is the connection below them.

pub mod auth;
pub(crate) mod auth_text;
pub mod body;
#[cfg(feature = "tls")]
mod certificate;
pub mod client;
mod client_error;
pub mod cookie;
mod cookie_date;
pub mod favourites;
pub mod file;
pub mod lookup;
pub mod serve;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(all(feature = "tls", feature = "lab"))]
pub mod tls_server;
pub mod url;
pub mod wire;

pub use client_error::HttpError;
