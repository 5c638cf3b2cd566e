//! TR-069 proper: messages, events, faults, the SOAP codec and the session machine. Pure: no I/O, no clock, no randomness.

pub mod dispatch;
pub mod event;
pub mod fault;
pub mod lightweight;
pub mod queue;
pub mod retry;
pub mod rpc;
pub mod session;
pub mod soap;
