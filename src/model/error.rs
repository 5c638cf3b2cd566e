//! What can go wrong in the data model, named by culprit.
//!
//! The model does not know CWMP; `cwmp::fault` is the one table that turns these into fault codes.

use std::fmt;

/// Why an operation on the data model was refused.
///
/// Every variant carries the full path (or the argument) that is to blame. `Display` gives one
/// sentence in lower case without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No such object, parameter or instance, or a path of the wrong form for the operation.
    UnknownName(String),
    /// The parameter exists but cannot be written.
    NotWritable(String),
    /// The declared type of the value is not the parameter's.
    WrongType {
        /// The parameter.
        name: String,
        /// The type the schema wants, in XSD terms.
        expected: &'static str,
        /// What was sent.
        given: String,
    },
    /// Right type, impossible value: range, length, enumeration, pattern, dangling reference.
    BadValue {
        /// The parameter.
        name: String,
        /// What is wrong with the value, never the value of a secret.
        why: String,
    },
    /// The request itself is malformed: a duplicate name, `NextLevel` on a parameter.
    BadArgument(String),
    /// The object is not a table that instances can be added to, or not an instance that can be deleted.
    NotAddable(String),
    /// The object cannot be deleted.
    NotDeletable(String),
    /// A limit was reached: too many instances, too many names.
    Exhausted(String),
    /// The notification asked for is refused for this parameter.
    NotificationRefused(String),
    /// The system behind the parameter failed: what was being done, and why it failed.
    Backend {
        /// The file, package or object, and the action.
        what: String,
        /// The system's own words.
        why: String,
    },
    /// One error for each bad parameter of an all-or-nothing request.
    Several(Vec<(String, Error)>),
}

impl Error {
    /// A backend failure: `what` was being done, `why` it failed.
    pub fn backend(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Error::Backend { what: what.into(), why: why.to_string() }
    }

    /// Why, without the name of the parameter to blame; empty when the kind of error says it all.
    pub fn reason(&self) -> String {
        match self {
            Error::WrongType { expected, given, .. } => format!("it is of type {expected}, not {given}"),
            Error::BadValue { why, .. } => why.clone(),
            Error::BadArgument(why) | Error::Exhausted(why) => why.clone(),
            Error::Backend { what, why } => format!("{what}: {why}"),
            Error::UnknownName(_)
            | Error::NotWritable(_)
            | Error::NotAddable(_)
            | Error::NotDeletable(_)
            | Error::NotificationRefused(_) => String::new(),
            Error::Several(_) => self.to_string(),
        }
    }

    /// A value that cannot be: `why` in a few words.
    pub fn bad_value(name: impl Into<String>, why: impl Into<String>) -> Self {
        Error::BadValue { name: name.into(), why: why.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnknownName(name) => write!(f, "no parameter or object {name:?}"),
            Error::NotWritable(name) => write!(f, "{name} is read-only"),
            Error::WrongType { name, expected, given } => {
                write!(f, "{name} is of type {expected}, not {given}")
            }
            Error::BadValue { name, why } => write!(f, "{name}: {why}"),
            Error::BadArgument(why) => f.write_str(why),
            Error::NotAddable(name) => write!(f, "{name:?} is not a table that takes new instances"),
            Error::NotDeletable(name) => write!(f, "{name:?} is not an instance that can be deleted"),
            Error::Exhausted(why) => f.write_str(why),
            Error::NotificationRefused(name) => write!(f, "{name} refuses this notification"),
            Error::Backend { what, why } => write!(f, "{what}: {why}"),
            Error::Several(list) => {
                for (at, (_, error)) in list.iter().enumerate() {
                    write!(f, "{}{error}", if at == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Error {}

/// The model's result.
pub type Result<T> = std::result::Result<T, Error>;
