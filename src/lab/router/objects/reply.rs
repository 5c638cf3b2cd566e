//! Shorthands for what the simulated router's objects say: signatures, tables, arrays.

use crate::ubus::blobmsg::{Kind, Table, Value};
use crate::ubus::msg::Status;
use crate::ubus::object::Method;

/// What a method answers: its result, no result but success, or the word of refusal.
pub type Answer = Result<Option<Table>, Status>;

/// A table of fields: `table! { "up": true, "mtu": 1500 }`.
macro_rules! table {
    ($($name:literal : $value:expr),* $(,)?) => {
        crate::ubus::blobmsg::Table::new()$(.with($name, $value))*
    };
}
pub(super) use table;

/// Methods from lines like `read path:s base64:b`: `s` text, `i` number, `b` boolean, `a` array, `t` table.
pub fn methods(lines: &[&str]) -> Vec<Method> {
    let method = |line: &&str| {
        let mut words = line.split(' ');
        let mut method = Method::new(words.next().unwrap_or_default());
        for (name, kind) in words.filter_map(|word| word.split_once(':')) {
            let kind = match kind {
                "i" => Kind::Int32,
                "b" => Kind::Int8,
                "a" => Kind::Array,
                "t" => Kind::Table,
                _ => Kind::String,
            };
            method = method.with(name, kind);
        }
        method
    };
    lines.iter().map(method).collect()
}

/// A result.
pub fn ok(table: Table) -> Answer {
    Ok(Some(table))
}

/// An array.
pub fn array<T: Into<Value>>(members: impl IntoIterator<Item = T>) -> Value {
    Value::Array(members.into_iter().map(Into::into).collect())
}

/// A table whose names are not known beforehand.
pub fn map(fields: impl IntoIterator<Item = (String, Table)>) -> Table {
    fields.into_iter().map(|(name, value)| (name.as_str().into(), Value::Table(value))).collect()
}

/// A number of 32 bits; what is larger is the largest.
pub fn number(value: impl TryInto<i32>) -> Value {
    Value::Int32(value.try_into().unwrap_or(i32::MAX))
}

/// A counter of the kernel, which goes over ubus in 64 bits.
pub fn counter(value: u64) -> Value {
    Value::Int64(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A text argument that must be there.
///
/// # Errors
/// "Invalid argument", as when it has another type.
pub fn wanted(arguments: &Table, name: &str) -> Result<String, Status> {
    arguments.text(name).map(|text| text.into_owned()).ok_or(Status::InvalidArgument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures() {
        let read = Method::new("read").with("path", Kind::String).with("base64", Kind::Int8);
        assert_eq!(methods(&["up", "read path:s base64:b"]), [Method::new("up"), read]);
    }

    #[test]
    fn numbers_are_bounded() {
        assert_eq!(number(u64::MAX), Value::Int32(i32::MAX));
        assert_eq!(counter(u64::MAX), Value::Int64(i64::MAX));
        assert_eq!(wanted(&table! { "a": 1 }, "a"), Err(Status::InvalidArgument));
    }
}
