//! File transfers: what is to be done and when, and the doing.
//!
//! [`plan`] is pure and decides; the other modules move files. Neither knows of CWMP's messages or of the
//! data model: the agent translates, and fault codes cross as numbers.

pub mod plan;
