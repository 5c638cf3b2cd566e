//! The fuzz targets, by the names of their corpora: libFuzzer runs one of them, `cargo test` replays all.

mod connreq;
mod datamodel;
mod dhcp;
mod digest;
mod http;
mod names;
#[cfg(feature = "lab")]
mod payload;
mod session;
mod soap;
mod state;
mod stun;
mod system;
mod ubus;
mod uci;
mod udp;
mod wire;
mod xmpp;

/// A corpus' name, and what takes each of its inputs.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: &[Target] = &[
    ("connreq", connreq::run),
    ("datamodel", datamodel::run),
    ("dhcp", dhcp::run),
    ("digest", digest::run),
    ("http", http::run),
    ("names", names::run),
    #[cfg(feature = "lab")]
    ("payload", payload::run),
    ("session", session::run),
    ("soap", soap::run),
    ("state", state::run),
    ("stun", stun::run),
    ("ubus", ubus::run),
    ("uci", uci::run),
    ("udp", udp::run),
    ("xmpp", xmpp::run),
];
