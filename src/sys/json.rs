//! JSON into serde's types by way of a tree: for the state file, whose types are many and deep.
//!
//! serde_json's own way writes its parser anew around each type, which is quick and large. Here the
//! text is parsed once, and what each type adds is little. Two things are stricter than there: a list
//! is never taken for the fields of a struct in their order, and a tuple has as many items as it says.

use std::vec;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde_json::{Error, Map, Number, Value, map};

/// Reads one JSON document. Of members of one name the last counts.
///
/// # Errors
/// What is not JSON, and what does not fit the type.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    T::deserialize(Walk(serde_json::from_slice(bytes)?))
}

struct Walk(Value);

#[cold]
#[inline(never)]
fn wrong(found: &Value, wanted: &str) -> Error {
    let found = match found {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Error::custom(format_args!("{found} where {wanted} belongs"))
}

fn number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, Error> {
    if let Some(number) = number.as_u64() {
        visitor.visit_u64(number)
    } else if let Some(number) = number.as_i64() {
        visitor.visit_i64(number)
    } else {
        visitor.visit_f64(number.as_f64().unwrap_or_default())
    }
}

fn items<'de, V: Visitor<'de>>(list: Vec<Value>, visitor: V) -> Result<V::Value, Error> {
    let mut items = Items(list.into_iter());
    let value = visitor.visit_seq(&mut items)?;
    if items.0.len() > 0 { Err(Error::custom("a list with too many items")) } else { Ok(value) }
}

fn members<'de, V: Visitor<'de>>(object: Map<String, Value>, visitor: V) -> Result<V::Value, Error> {
    visitor.visit_map(Members { rest: object.into_iter(), value: Value::Null })
}

macro_rules! numbers {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match &self.0 {
                Value::Number(found) => number(found, visitor),
                other => Err(wrong(other, "a number")),
            }
        }
    )*};
}

macro_rules! as_any {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.deserialize_any(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Walk {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(on) => visitor.visit_bool(on),
            Value::Number(found) => number(&found, visitor),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(list) => items(list, visitor),
            Value::Object(object) => members(object, visitor),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
    }

    as_any! { deserialize_bytes deserialize_byte_buf }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Bool(on) => visitor.visit_bool(on),
            other => Err(wrong(&other, "a boolean")),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            other => Err(wrong(&other, "a text")),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visitor.visit_str(&text),
            other => Err(wrong(&other, "a name")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            value => visitor.visit_some(Walk(value)),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            other => Err(wrong(&other, "nothing")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(list) => items(list, visitor),
            other => Err(wrong(&other, "a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(object) => members(object, visitor),
            other => Err(wrong(&other, "an object")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant { name, content: None }),
            Value::Object(object) if object.len() == 1 => match object.into_iter().next() {
                Some((name, content)) => visitor.visit_enum(Variant { name, content: Some(content) }),
                None => Err(wrong(&Value::Null, "a variant")),
            },
            other => Err(wrong(&other, "a variant")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

struct Items(vec::IntoIter<Value>);

impl<'de> SeqAccess<'de> for &mut Items {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|value| seed.deserialize(Walk(value))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Members {
    rest: map::IntoIter,
    /// That of the key given last.
    value: Value,
}

impl<'de> MapAccess<'de> for Members {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = value;
        seed.deserialize(Key(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Walk(self.value.take()))
    }
}

/// A member's name: a text, or a number written as one.
struct Key(String);

macro_rules! number_keys {
    ($($name:ident $visit:ident $kind:ty,)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse::<$kind>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(wrong(&Value::String(self.0), "a number")),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.0)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(&self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.into_deserializer().deserialize_enum(name, variants, visitor)
    }

    number_keys! {
        deserialize_i8 visit_i64 i64, deserialize_i16 visit_i64 i64, deserialize_i32 visit_i64 i64,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u64 u64, deserialize_u16 visit_u64 u64,
        deserialize_u32 visit_u64 u64, deserialize_u64 visit_u64 u64,
    }

    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 bool char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct
        map struct ignored_any
    }
}

struct Variant {
    name: String,
    content: Option<Value>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = Error;
    type Variant = Content;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content), Error> {
        Ok((seed.deserialize(Key(self.name))?, Content(self.content)))
    }
}

struct Content(Option<Value>);

impl<'de> VariantAccess<'de> for Content {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.0 {
            None | Some(Value::Null) => Ok(()),
            Some(other) => Err(wrong(&other, "nothing")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(Walk(self.0.unwrap_or_default()))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        Walk(self.0.unwrap_or_default()).deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        Walk(self.0.unwrap_or_default()).deserialize_map(visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Whole {
        text: String,
        small: u8,
        signed: i64,
        float: f64,
        maybe: Option<Box<Whole>>,
        pair: (u32, String),
        list: Vec<Kind>,
        by_name: BTreeMap<String, Vec<bool>>,
        by_number: BTreeMap<u32, i8>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        absent: Option<u8>,
        #[serde(flatten)]
        part: Part,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Part {
        flag: bool,
        wrapped: Wrapped,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Wrapped(u16);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Bare,
        One(u32),
        Two(u8, String),
        Named { a: i32, b: Option<u8> },
    }

    fn whole(text: &str, number: u32, inner: Option<Whole>) -> Whole {
        Whole {
            text: text.to_owned(),
            small: number as u8,
            signed: -i64::from(number),
            float: f64::from(number) / 4.0,
            maybe: inner.map(Box::new),
            pair: (number, text.to_owned()),
            list: vec![
                Kind::Bare,
                Kind::One(number),
                Kind::Two(1, text.to_owned()),
                Kind::Named { a: -1, b: None },
                Kind::Named { a: 1, b: Some(2) },
            ],
            by_name: BTreeMap::from([(text.to_owned(), vec![true, false])]),
            by_number: BTreeMap::from([(number, -1)]),
            absent: (number & 1 == 1).then_some(7),
            part: Part { flag: true, wrapped: Wrapped(number as u16) },
        }
    }

    fn alike<T: DeserializeOwned + PartialEq + Debug>(text: &str) {
        let theirs = serde_json::from_str::<T>(text);
        let ours = from_slice::<T>(text.as_bytes());
        assert_eq!(ours.as_ref().ok(), theirs.as_ref().ok(), "{text}: {ours:?} {theirs:?}");
    }

    proptest! {
        #[test]
        fn what_serde_json_reads(text in ".{0,20}", number: u32, other: u32) {
            let there = whole(&text, number, Some(whole("x", other, None)));
            prop_assert_eq!(from_slice::<Whole>(&serde_json::to_vec(&there).unwrap()).unwrap(), there);
        }

        /// A document in which one value stands where another belongs.
        #[test]
        fn what_serde_json_refuses(at in any::<prop::sample::Index>(), with in 0..9usize) {
            let mut document = serde_json::to_value(whole("x", 3, None)).unwrap();
            let members = document.as_object_mut().unwrap();
            let name = members.keys().nth(at.index(members.len())).unwrap().clone();
            let odd = ["null", "true", "-1", "300", "1.5", "\"Bare\"", "[[1]]", "{\"One\":1}", "{\"a\":1}"];
            members.insert(name, serde_json::from_str(odd[with]).unwrap());
            alike::<Whole>(&document.to_string());
        }
    }

    #[test]
    fn odd_documents() {
        for text in ["", "{", "nul", "7", "[]", "{}", "{\"a\":1} x", "{\"a\":{\"b\":[]}}"] {
            alike::<BTreeMap<String, u8>>(text);
            alike::<Whole>(text);
            alike::<Option<u8>>(text);
            alike::<(u8, u8)>(text);
        }
        for text in [
            "\"Bare\"",
            "{\"Bare\":null}",
            "{\"One\":4294967296}",
            "{\"One\":1,\"Bare\":null}",
            "\"One\"",
            "{\"Other\":1}",
        ] {
            alike::<Kind>(text);
        }
        for text in ["[1,2]", "[1]", "[1,2,3]", "[1,300]"] {
            alike::<(u8, u8)>(text);
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(from_slice::<Value>(deep.as_bytes()).is_err());
        assert_eq!(from_slice::<Value>(b"[1,{\"a\":null}]").unwrap(), serde_json::json!([1, {"a": null}]));
    }

    #[test]
    fn a_list_is_no_struct() {
        let text = "[true, 7]";
        assert!(serde_json::from_str::<Part>(text).is_ok());
        assert!(from_slice::<Part>(text.as_bytes()).is_err());
    }
}
