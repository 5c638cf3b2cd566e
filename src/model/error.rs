//! What can go wrong in the data model, named by culprit.
//!
//! The model does not know CWMP; `cwmp::fault` is the one table that turns these into fault codes.

use std::fmt;

/// Why an operation on the data model was refused.
///
/// `Display` gives one sentence in lower case without a full stop. It is a pointer, since every result is as
/// large as its error, and each function on the way up would move the whole of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<ErrorKind>);

/// The reason: every variant carries the full path (or the argument) that is to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// No such object, parameter or instance, or a path of the wrong form for the operation.
    UnknownName(String),
    /// The parameter exists but cannot be written.
    NotWritable(String),
    /// The parameter can be written in other rows; this one comes from the network, and no configuration has it.
    Learnt(String),
    /// It could be done and is not, for the sake of something else.
    Denied {
        /// What was asked about.
        name: String,
        /// For the sake of what.
        why: String,
    },
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

/// Why nothing of a row can be set that only reports.
const LEARNT: &str = "this entry is not configured here: it comes from the network";

impl Error {
    /// An error of a kind.
    #[cold]
    pub fn new(kind: ErrorKind) -> Error {
        Error(Box::new(kind))
    }

    /// What kind of error it is.
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// [`ErrorKind::UnknownName`].
    #[cold]
    pub fn unknown_name(name: &str) -> Error {
        Error::new(ErrorKind::UnknownName(name.to_owned()))
    }

    /// [`ErrorKind::NotWritable`].
    #[cold]
    pub fn not_writable(name: &str) -> Error {
        Error::new(ErrorKind::NotWritable(name.to_owned()))
    }

    /// [`ErrorKind::Learnt`].
    #[cold]
    pub fn learnt(name: &str) -> Error {
        Error::new(ErrorKind::Learnt(name.to_owned()))
    }

    /// [`ErrorKind::Denied`].
    #[cold]
    pub fn denied(name: &str, why: String) -> Error {
        Error::new(ErrorKind::Denied { name: name.to_owned(), why })
    }

    /// [`ErrorKind::NotAddable`].
    #[cold]
    pub fn not_addable(name: &str) -> Error {
        Error::new(ErrorKind::NotAddable(name.to_owned()))
    }

    /// [`ErrorKind::NotDeletable`].
    #[cold]
    pub fn not_deletable(name: &str) -> Error {
        Error::new(ErrorKind::NotDeletable(name.to_owned()))
    }

    /// [`ErrorKind::NotificationRefused`].
    #[cold]
    pub fn notification_refused(name: &str) -> Error {
        Error::new(ErrorKind::NotificationRefused(name.to_owned()))
    }

    /// [`ErrorKind::BadArgument`].
    #[cold]
    pub fn bad_argument(why: String) -> Error {
        Error::new(ErrorKind::BadArgument(why))
    }

    /// [`ErrorKind::Exhausted`].
    #[cold]
    pub fn exhausted(why: String) -> Error {
        Error::new(ErrorKind::Exhausted(why))
    }

    /// [`ErrorKind::Several`].
    #[cold]
    pub fn several(list: Vec<(String, Error)>) -> Error {
        Error::new(ErrorKind::Several(list))
    }

    /// A backend failure: `what` was being done, `why` it failed.
    pub fn backend(what: impl Into<String>, why: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Backend { what: what.into(), why: why.to_string() })
    }

    /// A value that cannot be: `why` in a few words.
    pub fn bad_value(name: impl Into<String>, why: impl Into<String>) -> Error {
        Error::new(ErrorKind::BadValue { name: name.into(), why: why.into() })
    }

    /// A bad value that shows only once the whole request is staged, after its own turn: as a request's answer has it.
    #[cold]
    pub fn bad_in_request(name: &str, why: impl Into<String>) -> Error {
        Error::several(vec![(name.to_owned(), Error::bad_value(name, why))])
    }

    /// Why, without the name of the parameter to blame; empty when the kind of error says it all.
    pub fn reason(&self) -> String {
        match self.kind() {
            ErrorKind::WrongType { expected, given, .. } => format!("it is of type {expected}, not {given}"),
            ErrorKind::BadValue { why, .. } | ErrorKind::Denied { why, .. } => why.clone(),
            ErrorKind::BadArgument(why) | ErrorKind::Exhausted(why) => why.clone(),
            ErrorKind::Backend { what, why } => format!("{what}: {why}"),
            ErrorKind::Learnt(_) => LEARNT.to_owned(),
            ErrorKind::UnknownName(_)
            | ErrorKind::NotWritable(_)
            | ErrorKind::NotAddable(_)
            | ErrorKind::NotDeletable(_)
            | ErrorKind::NotificationRefused(_) => String::new(),
            ErrorKind::Several(_) => self.to_string(),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            ErrorKind::UnknownName(name) => write!(f, "no parameter or object {name:?}"),
            ErrorKind::NotWritable(name) => write!(f, "{name} is read-only"),
            ErrorKind::Learnt(name) => write!(f, "{name}: {LEARNT}"),
            ErrorKind::Denied { name, why } => write!(f, "{name}: {why}"),
            ErrorKind::WrongType { name, expected, given } => {
                write!(f, "{name} is of type {expected}, not {given}")
            }
            ErrorKind::BadValue { name, why } => write!(f, "{name}: {why}"),
            ErrorKind::BadArgument(why) => f.write_str(why),
            ErrorKind::NotAddable(name) => write!(f, "{name:?} is not a table that takes new instances"),
            ErrorKind::NotDeletable(name) => write!(f, "{name:?} is not an instance that can be deleted"),
            ErrorKind::Exhausted(why) => f.write_str(why),
            ErrorKind::NotificationRefused(name) => write!(f, "{name} refuses this notification"),
            ErrorKind::Backend { what, why } => write!(f, "{what}: {why}"),
            ErrorKind::Several(list) => {
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
