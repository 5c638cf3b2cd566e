//! rcwmp: a TR-069 (CWMP) agent for OpenWrt, its TR-181 data model, and a loopback mini-ACS.
//!
//! # Where things are
//! | module | what |
//! |---|---|
//! | [`model`] | the data model: paths, values, schema, tree, transactions; pure |
//! | [`cwmp`] | TR-069 proper: messages, SOAP codec, session machine, event queue, retry ladder; pure |
//! | [`ubus`] | OpenWrt's bus: a native client and server
//! | [`uci`] | OpenWrt's configuration files, read and written without loss |
//! | [`backend`] | the system behind the model: UCI, kernel files, the agent's own values, a store |
//! | [`diagnostics`] | the tests of TR-181 and TR-143: ping, traceroute, throughput, name lookup, UDP echo |
//! | [`http`] | client, authentication, cookies, TLS, and a small server machine |
//! | [`connreq`] | connection requests by HTTP and by UDP, and the STUN client |
//! | [`transfer`] | downloads and uploads: their queue and their execution |
//! | [`agent`] | the shell: event loop, session worker, state file, log |
//! | [`cli`] | the command line |
//! | [`map`] | a sorted list with a map's interface, for all; pure |
//! | [`secret`] | a password that is overwritten when it goes, for all; pure |
//! | [`sys`] | files, journal, clocks, randomness, signals |
//! | `lab` | mini-ACS, Lua services, simulated router (feature `lab`, never in a firmware) |
//!
//! # How data flows
//! ```text
//!  ACS ◄─bytes─► agent::worker          owns the one connection, for one session
//!                  │ reply  ▲ body
//!                  ▼        │
//!  agent::daemon ─► soap::read ─► cwmp::session ─► Perform(request)
//!                                   ▲      │              ▼
//!                      Performed ───┘      └─ Post   cwmp::dispatch
//!                                                         ▼
//!                                  model: resolve → stage → check → re-read → commit | revert
//!                                                         ▼
//!                                  backend::System: UCI, files, store ─► sys::journal
//! ```
//!
//! # Invariants
//! - `model` and `cwmp` read no clock, ask for no randomness, and touch no file: all are arguments.
//! - An event leaves the queue only when the ACS has confirmed it; a crash in between sends it again.
//! - A change by the ACS is one journaled commit over all packages, the ParameterKey and the instance
//!   numbers: after a crash at any point everything is old or everything is new.
//! - State files are written only on change, whole: write-new, fsync, rename.
//! - A value from the ACS never reaches a shell.
//! - Instance numbers belong to rows by name, and are persisted before an ACS sees them.
//!
//! `tests/layers.rs` keeps which module may name which, and which are pure.
#![forbid(unsafe_code)]

pub mod agent;
pub mod backend;
pub mod cli;
pub mod connreq;
pub mod cwmp;
pub mod diagnostics;
pub mod http;
#[cfg(feature = "lab")]
pub mod lab;
pub mod map;
pub mod model;
pub mod secret;
pub mod set;
pub mod sys;
pub mod transfer;
pub mod ubus;
pub mod uci;
