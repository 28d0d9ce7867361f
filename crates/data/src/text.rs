//! Reads the values of `key=value` lists with serde.

use serde::de::value::{Error, SeqDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// A value: a number, `true` or `false`, several values between slashes, or a word. The type asked
/// for decides; where any will do, the first of these that fits.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a>(pub &'a str);

impl<'de, 'a: 'de> IntoDeserializer<'de> for Text<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de, 'a: 'de> Deserializer<'de> for Text<'a> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let text = self.0;
        if let Ok(number) = text.parse::<u64>() {
            return visitor.visit_u64(number);
        }
        if let Ok(number) = text.parse::<f64>() {
            return visitor.visit_f64(number);
        }
        if let Ok(value) = text.parse::<bool>() {
            return visitor.visit_bool(value);
        }
        // Only numbers make lists: a word with slashes is a path.
        if !text.is_empty() && text.split('/').all(|part| part.parse::<f64>().is_ok()) {
            return visitor.visit_seq(SeqDeserializer::new(text.split('/').map(Text)));
        }
        visitor.visit_borrowed_str(text)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let enumeration: de::value::StrDeserializer<'_, Error> = self.0.into_deserializer();
        enumeration.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}
