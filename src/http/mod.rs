//! HTTP, both ends: the client that talks to an ACS, and the small server machine behind the
//! connection-request port and the mini-ACS.
//!
//! `auth`, `cookie`, `body` and `serve` are pure. `client` is the one file that names ureq,
//! `tls` the one that names rustls.

pub mod auth;
pub(crate) mod auth_text;
pub mod body;
//pub mod client;
pub mod cookie;
mod cookie_date;
//pub mod serve;
//#[cfg(feature = "tls")]
//pub mod tls;
