//! The values of ubus: named fields of eight types inside DATA and SIGNATURE.
//!
//! ```text
//! extended blob, its id the type
//! ┌──────────┬───────────┬──────┬─────┬─────────┬───────┐
//! │ head     │ length of │ name │ NUL │ padding │ value │
//! │ 4 octets │ name: u16 │      │     │         │       │
//! └──────────┴───────────┴──────┴─────┴─────────┴───────┘
//! ```
//! Texts are octets without NUL: SSIDs and host names of others need not be UTF-8.
//!
//! ```
//! use rcwmp::ubus::blobmsg::Table;
//! let table = Table::new().with("up", true).with("mtu", 1500);
//! let octets = table.encode().unwrap();
//! assert_eq!(Table::decode(&octets).unwrap().get("mtu").and_then(|value| value.as_i64()), Some(1500));
//! ```

use std::borrow::Cow;
use std::fmt;

use super::blob::{Blob, BlobError, Blobs, MAX_DEPTH, MAX_VALUES, Writer, padded};

/// The type of a value, by its number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Nothing: JSON's null. In a signature: any type.
    Null = 0,
    /// Values without names.
    Array = 1,
    /// Fields.
    Table = 2,
    /// A text.
    String = 3,
    /// 64 bits.
    Int64 = 4,
    /// 32 bits.
    Int32 = 5,
    /// 16 bits.
    Int16 = 6,
    /// 8 bits: a boolean, wherever the stock programs use it.
    Int8 = 7,
    /// An IEEE double.
    Double = 8,
}

impl Kind {
    const ALL: [Kind; 9] = [
        Kind::Null,
        Kind::Array,
        Kind::Table,
        Kind::String,
        Kind::Int64,
        Kind::Int32,
        Kind::Int16,
        Kind::Int8,
        Kind::Double,
    ];

    /// The type with this number.
    pub fn from_number(number: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(number)).copied()
    }
}

/// A text of ubus: octets without NUL, mostly UTF-8.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Vec<u8>);

impl Text {
    /// The octets up to the first NUL, as every program in C would read them.
    pub fn new(octets: &[u8]) -> Text {
        Text(octets.split(|octet| *octet == 0).next().unwrap_or_default().to_vec())
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As UTF-8; what is none becomes U+FFFD.
    pub fn to_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text::new(text.as_bytes())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str(), f)
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// JSON's null.
    Null,
    /// Values without names.
    Array(Vec<Value>),
    /// Fields.
    Table(Table),
    /// A text.
    String(Text),
    /// 64 bits; counters of the kernel are sent in it as well.
    Int64(i64),
    /// 32 bits.
    Int32(i32),
    /// 16 bits.
    Int16(i16),
    /// 8 bits, which the stock programs mean as a boolean.
    Int8(u8),
    /// An IEEE double.
    Double(f64),
}

impl Value {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Null => Kind::Null,
            Value::Array(_) => Kind::Array,
            Value::Table(_) => Kind::Table,
            Value::String(_) => Kind::String,
            Value::Int64(_) => Kind::Int64,
            Value::Int32(_) => Kind::Int32,
            Value::Int16(_) => Kind::Int16,
            Value::Int8(_) => Kind::Int8,
            Value::Double(_) => Kind::Double,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, of any of the integer types.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int64(number) => Some(*number),
            Value::Int32(number) => Some(i64::from(*number)),
            Value::Int16(number) => Some(i64::from(*number)),
            Value::Int8(number) => Some(i64::from(*number)),
            _ => None,
        }
    }

    /// The boolean: an [`Value::Int8`] that is not 0 is true.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Int8(number) => Some(*number != 0),
            _ => None,
        }
    }

    /// The members, if it is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(members) => Some(members),
            _ => None,
        }
    }

    /// The fields, if it is a table.
    pub fn as_table(&self) -> Option<&Table> {
        match self {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    fn write(&self, name: &[u8], depth: usize, out: &mut Writer) {
        let Ok(length) = u16::try_from(name.len()) else { return out.fail(BlobError::TooLarge) };
        let open = out.open(self.kind() as u8, true);
        out.put(&length.to_be_bytes());
        out.put(name);
        out.put(&[0]);
        out.pad();
        let deeper = depth + 1;
        match self {
            Value::Array(_) | Value::Table(_) if deeper > MAX_DEPTH => out.fail(BlobError::TooDeep),
            Value::Null => {}
            Value::Array(members) => members.iter().for_each(|member| member.write(b"", deeper, out)),
            Value::Table(table) => table.write(deeper, out),
            Value::String(text) => {
                out.put(text.as_bytes());
                out.put(&[0]);
            }
            Value::Int64(number) => drop(out.put(&number.to_be_bytes())),
            Value::Int32(number) => drop(out.put(&number.to_be_bytes())),
            Value::Int16(number) => drop(out.put(&number.to_be_bytes())),
            Value::Int8(number) => drop(out.put(&[*number])),
            Value::Double(number) => drop(out.put(&number.to_bits().to_be_bytes())),
        }
        out.close(open);
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(Text::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::from(text.as_str())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Int8(u8::from(value))
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        Value::Int32(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int64(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Double(number)
    }
}

impl From<Table> for Value {
    fn from(table: Table) -> Value {
        Value::Table(table)
    }
}

impl From<Vec<Value>> for Value {
    fn from(members: Vec<Value>) -> Value {
        Value::Array(members)
    }
}

/// Fields in the order of the message; a name may stand in it twice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table(Vec<(Text, Value)>);

impl Table {
    /// Without fields.
    pub fn new() -> Table {
        Table::default()
    }

    /// With one field more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Table {
        self.push(name, value);
        self
    }

    /// Adds a field.
    pub fn push(&mut self, name: impl Into<Text>, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }

    /// The value of a field; the last one of that name, as in the stock programs.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The text of a field, if it is there and a text.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name)?.as_text().map(Text::to_str)
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.get(name)?.as_table()
    }

    /// The members of the array of that name; none without one.
    pub fn array(&self, name: &str) -> &[Value] {
        self.get(name).and_then(Value::as_array).unwrap_or_default()
    }

    /// The integer of that name, of any size.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    /// The flag of that name; false without one.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// The fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Value)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads fields from the payload of DATA.
    ///
    /// # Errors
    /// [`BlobError`], with the octet where it is wrong.
    pub fn decode(octets: &[u8]) -> Result<Table, BlobError> {
        let mut budget = MAX_VALUES;
        read_table(octets, 0, 1, &mut budget)
    }

    /// The payload of DATA.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`] or [`BlobError::TooDeep`].
    pub fn encode(&self) -> Result<Vec<u8>, BlobError> {
        let mut out = Writer::new();
        self.write(1, &mut out);
        out.finish()
    }

    /// Writes the fields behind others; `depth` is 1 for the outermost table.
    pub(super) fn write(&self, depth: usize, out: &mut Writer) {
        self.0.iter().for_each(|(name, value)| value.write(name.as_bytes(), depth, out));
    }
}

impl FromIterator<(Text, Value)> for Table {
    fn from_iter<I: IntoIterator<Item = (Text, Value)>>(fields: I) -> Table {
        Table(fields.into_iter().collect())
    }
}

fn read_table(octets: &[u8], at: usize, depth: usize, budget: &mut usize) -> Result<Table, BlobError> {
    Blobs::new(octets, at).map(|blob| read(&blob?, depth, budget)).collect()
}

fn read(blob: &Blob<'_>, depth: usize, budget: &mut usize) -> Result<(Text, Value), BlobError> {
    *budget = budget.checked_sub(1).ok_or(BlobError::TooMany)?;
    let at = blob.at;
    let (name, value) = split(blob).ok_or(BlobError::Name { at })?;
    let inside = at + super::blob::HEAD + blob.payload.len() - value.len();
    let kind = Kind::from_number(blob.id).ok_or(BlobError::Kind { at, kind: blob.id })?;
    let wrong = || BlobError::Value { at, kind: blob.id };
    if matches!(kind, Kind::Array | Kind::Table) && depth >= MAX_DEPTH {
        return Err(BlobError::TooDeep);
    }
    let value = match kind {
        // Whatever it holds is nothing.
        Kind::Null => Value::Null,
        Kind::Array => {
            let members = Blobs::new(value, inside).map(|blob| Ok(read(&blob?, depth + 1, budget)?.1));
            Value::Array(members.collect::<Result<_, _>>()?)
        }
        Kind::Table => Value::Table(read_table(value, inside, depth + 1, budget)?),
        Kind::String => match value.split_last() {
            Some((0, text)) => Value::String(Text::new(text)),
            _ => return Err(wrong()),
        },
        Kind::Int64 => Value::Int64(i64::from_be_bytes(value.try_into().map_err(|_| wrong())?)),
        Kind::Int32 => Value::Int32(i32::from_be_bytes(value.try_into().map_err(|_| wrong())?)),
        Kind::Int16 => Value::Int16(i16::from_be_bytes(value.try_into().map_err(|_| wrong())?)),
        Kind::Int8 => Value::Int8(u8::from_be_bytes(value.try_into().map_err(|_| wrong())?)),
        Kind::Double => {
            let bits = u64::from_be_bytes(value.try_into().map_err(|_| wrong())?);
            Value::Double(f64::from_bits(bits))
        }
    };
    Ok((name, value))
}

/// The name and the octets of the value.
fn split<'a>(blob: &Blob<'a>) -> Option<(Text, &'a [u8])> {
    let length = usize::from(u16::from_be_bytes(*blob.payload.first_chunk::<2>()?));
    let name = blob.payload.get(2..2 + length)?;
    if !blob.extended || blob.payload.get(2 + length) != Some(&0) {
        return None;
    }
    // A value of no octets may go without the padding before it.
    let value = blob.payload.get(padded(2 + length + 1)..).unwrap_or_default();
    Some((Text::new(name), value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(table: &Table, expected: &[u8]) {
        assert_eq!(table.encode().unwrap(), expected, "{table:?}");
        assert_eq!(&Table::decode(expected).unwrap(), table);
    }

    #[track_caller]
    fn refused(octets: &[u8], expected: &BlobError) {
        assert_eq!(Table::decode(octets).as_ref(), Err(expected));
    }

    #[test]
    fn every_type() {
        check(&Table::new(), b"");
        check(&Table::new().with("b", true), b"\x87\0\0\x09\0\x01b\0\x01\0\0\0");
        check(&Table::new().with("d", 1.5), b"\x88\0\0\x10\0\x01d\0\x3f\xf8\0\0\0\0\0\0");
        check(&Table::new().with("n", -1), b"\x85\0\0\x0c\0\x01n\0\xff\xff\xff\xff");
        check(
            &Table::new().with("big", 5_000_000_000_i64),
            b"\x84\0\0\x14\0\x03big\0\0\0\0\0\0\x01\x2a\x05\xf2\0",
        );
        check(&Table::new().with("h", Value::Int16(-2)), b"\x86\0\0\x0a\0\x01h\0\xff\xfe\0\0");
        check(&Table::new().with("s", "text"), b"\x83\0\0\x0d\0\x01s\0text\0\0\0\0");
        check(&Table::new().with("", Value::Null), b"\x80\0\0\x08\0\0\0\0");
        check(
            &Table::new().with("a", vec![Value::from(1)]),
            b"\x81\0\0\x14\0\x01a\0\x85\0\0\x0c\0\0\0\0\0\0\0\x01",
        );
        check(
            &Table::new().with("o", Table::new().with("k", "v")),
            b"\x82\0\0\x14\0\x01o\0\x83\0\0\x0a\0\x01k\0v\0\0\0",
        );
    }

    #[test]
    fn what_is_wrong_is_told() {
        refused(b"\x05\0\0\x0c\0\x01n\0\0\0\0\0", &BlobError::Name { at: 0 });
        refused(b"\x85\0\0\x04", &BlobError::Name { at: 0 });
        refused(b"\x85\0\0\x0c\0\x09n\0\0\0\0\0", &BlobError::Name { at: 0 });
        refused(b"\x85\0\0\x0c\0\x01nx\0\0\0\0", &BlobError::Name { at: 0 });
        refused(b"\x85\0\0\x0a\0\x01n\0\0\0\0\0", &BlobError::Value { at: 0, kind: 5 });
        refused(b"\x83\0\0\x08\0\x01s\0", &BlobError::Value { at: 0, kind: 3 });
        refused(b"\x83\0\0\x09\0\x01s\0x\0\0\0", &BlobError::Value { at: 0, kind: 3 });
        refused(b"\x89\0\0\x08\0\x01s\0", &BlobError::Kind { at: 0, kind: 9 });
        refused(b"\x82\0\0\x0c\0\x01o\0\x85\0\0\x04", &BlobError::Name { at: 8 });
        refused(b"\x82\0\0\x0c\0\x01o\0\x85\0\0\x05", &BlobError::Length { at: 8, said: 5, left: 4 });
    }

    #[test]
    fn texts_end_at_nul_and_need_no_utf_8() {
        let table = Table::decode(b"\x83\0\0\x0c\0\x01s\0a\0b\0").unwrap();
        assert_eq!(table.text("s").as_deref(), Some("a"));
        let table = Table::decode(b"\x83\0\0\x0b\0\x01s\0\xff\xfe\0\0").unwrap();
        assert_eq!(table.text("s").as_deref(), Some("\u{fffd}\u{fffd}"));
        assert_eq!(table.encode().unwrap(), b"\x83\0\0\x0b\0\x01s\0\xff\xfe\0\0");
        assert_eq!(Text::from("a\0b"), "a");
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let table = Table::new().with("a", 1).with("b", 2).with("a", 3);
        assert_eq!(table.get("a"), Some(&Value::Int32(3)));
        assert_eq!(table.get("c"), None);
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let nested = |depth: usize| {
            let inner = (1..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
            Table::new().with("x", inner)
        };
        let octets = nested(MAX_DEPTH).encode().unwrap();
        assert_eq!(Table::decode(&octets), Ok(nested(MAX_DEPTH)));
        assert_eq!(nested(MAX_DEPTH + 1).encode(), Err(BlobError::TooDeep));
        // By hand, as nobody's encoder makes it.
        let mut octets = Vec::new();
        for depth in 0..1_000_u32 {
            let mut outer = (0x8100_0000_u32 | (8 * (depth + 1))).to_be_bytes().to_vec();
            outer.extend([0; 4]);
            outer.extend(&octets);
            octets = outer;
        }
        refused(&octets, &BlobError::TooDeep);
        let many = b"\x80\0\0\x08\0\0\0\0".repeat(MAX_VALUES);
        assert_eq!(Table::decode(&many).unwrap().len(), MAX_VALUES);
        refused(&b"\x80\0\0\x08\0\0\0\0".repeat(MAX_VALUES + 1), &BlobError::TooMany);
        let large = Table::new().with("x", "x".repeat(1 << 20));
        assert_eq!(large.encode(), Err(BlobError::TooLarge));
        let name = "x".repeat(65_536);
        assert_eq!(Table::new().with(&name, 1).encode(), Err(BlobError::TooLarge));
    }

    pub(crate) fn values() -> impl Strategy<Value = Value> {
        let text = prop::collection::vec(1_u8.., 0..12).prop_map(|octets| Text::new(&octets));
        let leaf = prop_oneof![
            Just(Value::Null),
            text.clone().prop_map(Value::String),
            any::<i64>().prop_map(Value::Int64),
            any::<i32>().prop_map(Value::Int32),
            any::<i16>().prop_map(Value::Int16),
            any::<u8>().prop_map(Value::Int8),
            any::<f64>().prop_map(Value::Double),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let field = (text.clone(), inner.clone());
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(Value::Array),
                prop::collection::vec(field, 0..6)
                    .prop_map(|fields| Value::Table(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn round_trip(value in values()) {
            let octets = Table::new().with("v", value).encode().unwrap();
            prop_assert_eq!(octets.len() % 4, 0);
            prop_assert_eq!(Table::decode(&octets).unwrap().encode().unwrap(), octets);
        }

        #[test]
        fn any_octets(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(table) = Table::decode(&octets) {
                let again = table.encode().unwrap();
                prop_assert_eq!(Table::decode(&again).unwrap().encode().unwrap(), again);
            }
        }

        #[test]
        fn a_flipped_bit(value in values(), at: prop::sample::Index, bit in 0..8) {
            let mut octets = Table::new().with("v", value).encode().unwrap();
            let at = at.index(octets.len());
            octets[at] ^= 1_u8 << bit;
            let _ = Table::decode(&octets);
        }
    }
}
