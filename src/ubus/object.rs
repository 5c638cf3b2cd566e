//! What an object offers: its methods and the types of their arguments, as `ubus -v list` shows them.

use super::blob::BlobError;
use super::blobmsg::{Kind, Table, Value};

/// A method of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Its arguments by name; the types are a hint for people, nobody on the way checks them.
    pub arguments: Vec<(String, Kind)>,
}

impl Method {
    /// Without arguments.
    pub fn new(name: &str) -> Method {
        Method { name: name.to_owned(), arguments: Vec::new() }
    }

    /// With one argument more.
    #[must_use]
    pub fn with(mut self, name: &str, kind: Kind) -> Method {
        self.arguments.push((name.to_owned(), kind));
        self
    }
}

/// The payload of SIGNATURE.
///
/// # Errors
/// [`BlobError::TooLarge`].
pub fn signature(methods: &[Method]) -> Result<Vec<u8>, BlobError> {
    let mut table = Table::new();
    for method in methods {
        let mut arguments = Table::new();
        for (name, kind) in &method.arguments {
            arguments.push(name.as_str(), *kind as i32);
        }
        table.push(method.name.as_str(), arguments);
    }
    table.encode()
}

/// The methods that a SIGNATURE tells of; an argument of an unknown type is of any.
///
/// # Errors
/// [`BlobError`], with the octet where it is wrong.
pub fn methods(signature: &[u8]) -> Result<Vec<Method>, BlobError> {
    let table = Table::decode(signature)?;
    let method = |(name, value): (&super::blobmsg::Text, &Value)| {
        let arguments = value.as_table().into_iter().flat_map(Table::iter);
        let kind = |value: &Value| {
            let number = value.as_i64().and_then(|number| u8::try_from(number).ok());
            number.and_then(Kind::from_number).unwrap_or(Kind::Null)
        };
        let arguments = arguments.map(|(name, value)| (name.to_string(), kind(value))).collect();
        Method { name: name.to_string(), arguments }
    };
    Ok(table.iter().map(method).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &[Method]) {
        assert_eq!(methods(&signature(list).unwrap()).unwrap(), list);
    }

    #[test]
    fn round_trip() {
        check(&[]);
        check(&[Method::new("reload")]);
        check(&[
            Method::new("inform").with("GetRPCMethods", Kind::Int8).with("event", Kind::String),
            Method::new("set").with("values", Kind::Table).with("n", Kind::Int32),
        ]);
    }

    #[test]
    fn what_others_write() {
        // A type that nobody knows, and a method whose arguments are no table.
        let strange = Table::new().with("a", Table::new().with("x", 99)).with("b", "text");
        let list = methods(&strange.encode().unwrap()).unwrap();
        assert_eq!(list, [Method::new("a").with("x", Kind::Null), Method::new("b")]);
        assert!(methods(b"\x82\0\0\x09").is_err());
    }
}
