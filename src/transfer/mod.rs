//! Files to and from a server: Download and Upload over HTTP, HTTPS and FTP (TR-069 A.3.2.8, A.4.1.5).
//!
//! ```text
//!  Transfer ─► run ─► http::file (GET, PUT)  ─┐
//!                └──► ftp        (RETR, STOR) ─┴► part: FILE.part, bounded ─► FILE
//! ```
//! [`run`] does one transfer, on a thread that may wait, and ends by its deadline or within a second
//! after it was called off. A file that is there under its name is whole. Its name is the caller's,
//! never the server's.
//!
//! [`plan`] is pure and decides what is done when. Neither knows of CWMP's messages or of the data model:
//! the agent translates, and fault codes cross as numbers.

mod fault;
#[cfg(feature = "ftp")]
mod ftp;
#[cfg(feature = "ftp")]
mod ftp_reply;
mod http;
mod part;
mod place;
pub mod plan;
mod run;

pub use fault::{Cause, Failure};
pub use place::check_url;
pub use run::{Direction, Done, Limits, Transfer, run};
