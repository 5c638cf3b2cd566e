//! Named conversions between a system's words and the model's: what `"via":"name"` calls.

/// One conversion, both ways; `None` when the text cannot be converted.
pub struct Convert {
    /// As the data model files call it.
    pub name: &'static str,
    /// From the system's word.
    pub get: fn(&str) -> Option<String>,
    /// To the system's word.
    pub set: fn(&str) -> Option<String>,
}

/// All of them.
pub const CONVERSIONS: &[Convert] = &[];

/// The conversion of that name.
pub fn named(name: &str) -> Option<&'static Convert> {
    CONVERSIONS.iter().find(|convert| convert.name == name)
}
