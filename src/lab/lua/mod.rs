//! Oktopus Lua: a fenced Lua 5.1 and the functions its documents promise.
//!
//! ```text
//! service::run ─► vm::run_apart (own thread, given up when it hangs) ─► vm::Vm (fence) + words (functions) ─► host::Host
//! ```

pub mod host;
pub mod json;
pub mod pattern;
pub mod profile;
pub mod script;
pub mod service;
pub mod vm;
pub mod words;

#[cfg(test)]
mod tests;
