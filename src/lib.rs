//! rcwmp: a TR-069 (CWMP) agent for OpenWrt, its TR-181 data model, and a loopback mini-ACS.
#![forbid(unsafe_code)]

pub mod agent;
pub mod backend;
pub mod cli;
pub mod connreq;
pub mod cwmp;
pub mod http;
#[cfg(feature = "lab")]
pub mod lab;
pub mod model;
pub mod sys;
pub mod uci;
