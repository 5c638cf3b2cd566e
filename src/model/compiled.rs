//! The data model that this build carries: `datamodel/*.json`, compiled by `datamodel/build.rs`.

use std::borrow::Cow;

use super::schema::{How, Notify, Object, Origin, Param, Rows, Schema, Source};
use super::value::{Format, Kind, Type};

include!(concat!(env!("OUT_DIR"), "/datamodel.rs"));

/// The schema of this build.
pub fn schema() -> Schema {
    Schema::compiled(OBJECTS)
}
