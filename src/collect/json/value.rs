//! The building blocks of OTLP JSON: values and lists that may be null, and `AnyValue`.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value of any kind, where an object of type `T` is expected. A list is read as null.
#[derive(Debug, Default)]
pub(super) enum Json<T> {
    #[default]
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    Object(T),
}

/// A value where no object is expected.
pub(super) type Scalar = Json<IgnoredAny>;

/// A message of OTLP as JSON has it.
pub(super) trait Part {
    /// The message as protobuf has it.
    type Decoded;

    /// Returns the message, or why it can't be read.
    fn decoded(self) -> Result<Self::Decoded, String>;
}

impl<T: Part> Json<T> {
    /// Returns a message that may be missing.
    pub(super) fn message(self) -> Result<Option<T::Decoded>, String> {
        if let Self::Object(part) = self { part.decoded().map(Some) } else { Ok(None) }
    }
}

impl Scalar {
    /// Returns a text; empty if the value is none.
    pub(super) fn text(self) -> String {
        if let Self::Text(text) = self { text } else { String::new() }
    }

    /// Returns a whole number, which JSON may have as text or with a fraction of zero; `None` if the value is none.
    #[allow(clippy::cast_possible_truncation, reason = "as saturates, and what is saturated is out of range")]
    pub(super) fn whole<T: TryFrom<i128> + Default>(&self) -> Option<T> {
        let whole = |float: f64| (float.fract() == 0.0).then_some(float as i128);
        let number = match self {
            Self::Null => return Some(T::default()),
            Self::Int(number) => Some(*number),
            Self::Float(float) => whole(*float),
            Self::Text(text) => text.parse().ok().or_else(|| whole(text.parse().ok()?)),
            Self::Bool(_) | Self::Object(_) => None,
        };
        T::try_from(number?).ok()
    }

    /// Returns a number, which may be text: `NaN`, `Infinity`, `-Infinity`.
    #[allow(clippy::cast_precision_loss, reason = "a double is wanted")]
    fn float(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(float) => Some(*float),
            Self::Text(text) => text.parse().ok(),
            Self::Null | Self::Bool(_) | Self::Object(_) => None,
        }
    }

    /// Returns the number of an enum's value, which may be its name.
    pub(super) fn variant(&self, by_name: impl FnOnce(&str) -> Option<i32>) -> i32 {
        let named = if let Self::Text(name) = self { by_name(name) } else { None };
        named.or_else(|| self.whole()).unwrap_or_default()
    }

    /// Returns the bytes of an id in hex; empty if the value is null.
    pub(super) fn id(&self, name: &str) -> Result<Vec<u8>, String> {
        let text = match self {
            Self::Null => "",
            Self::Text(text) => text,
            _ => return Err(format!("{name} is not text")),
        };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        bytes.ok_or_else(|| format!("{name} is not hex"))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Json<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Values<T> {
            type Value = Json<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Json<T>, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Json<T>, E> {
                Ok(Json::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Json<T>, E> {
                Ok(Json::Int(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Json<T>, E> {
                Ok(Json::Int(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Json<T>, E> {
                Ok(Json::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Json<T>, E> {
                Ok(Json::Text(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Json<T>, E> {
                Ok(Json::Text(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json<T>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Json::Null)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Json<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Json::Object)
            }
        }
        deserializer.deserialize_any(Values(PhantomData))
    }
}

/// A list of messages. Elements that are no objects are passed over; null is the empty list.
///
/// It holds no parts, which take more memory than messages.
#[derive(Debug)]
pub(super) struct List<T: Part>(pub(super) Vec<T::Decoded>);

impl<T: Part> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Part + Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lists<T>(PhantomData<T>);
        impl<'de, T: Part + Deserialize<'de>> Visitor<'de> for Lists<T> {
            type Value = List<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
                let mut messages = Vec::new();
                while let Some(element) = list.next_element::<Json<T>>()? {
                    messages.extend(element.message().map_err(A::Error::custom)?);
                }
                Ok(List(messages))
            }
        }
        deserializer.deserialize_any(Lists(PhantomData))
    }
}

/// A list of texts. Other elements are passed over; null is the empty list.
#[derive(Debug, Default)]
pub(super) struct Texts(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lists;
        impl<'de> Visitor<'de> for Lists {
            type Value = Texts;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a list of texts")
            }

            fn visit_unit<E>(self) -> Result<Texts, E> {
                Ok(Texts::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(element) = list.next_element::<Scalar>()? {
                    texts.extend(if let Json::Text(text) = element { Some(text) } else { None });
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_any(Lists)
    }
}

/// An attribute.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct JsonPair {
    key: Scalar,
    value: Json<JsonValue>,
}

/// An `AnyValue`: the field that is not null is the value.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(clippy::struct_field_names, reason = "the protocol's names")]
struct JsonValue {
    string_value: Scalar,
    bool_value: Scalar,
    int_value: Scalar,
    double_value: Scalar,
    bytes_value: Scalar,
    array_value: Json<JsonArray>,
    kvlist_value: Json<JsonPairs>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct JsonArray {
    values: List<JsonValue>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct JsonPairs {
    values: List<JsonPair>,
}

impl Part for JsonPair {
    type Decoded = KeyValue;

    fn decoded(self) -> Result<KeyValue, String> {
        Ok(KeyValue { key: self.key.text(), value: self.value.message()?, ..KeyValue::default() })
    }
}

impl Part for JsonValue {
    type Decoded = AnyValue;

    /// Returns the value; empty if it is of an unknown kind.
    fn decoded(self) -> Result<AnyValue, String> {
        let value = match self {
            Self { string_value: Json::Text(text), .. } => Some(Value::StringValue(text)),
            Self { bool_value: Json::Bool(value), .. } => Some(Value::BoolValue(value)),
            Self { array_value: Json::Object(JsonArray { values: List(values) }), .. } => {
                Some(Value::ArrayValue(ArrayValue { values }))
            }
            Self { kvlist_value: Json::Object(JsonPairs { values: List(values) }), .. } => {
                Some(Value::KvlistValue(KeyValueList { values }))
            }
            Self { bytes_value: Json::Text(text), .. } => STANDARD.decode(text).ok().map(Value::BytesValue),
            Self { int_value: Json::Null, double_value, .. } => double_value.float().map(Value::DoubleValue),
            Self { int_value, .. } => int_value.whole().map(Value::IntValue),
        };
        Ok(AnyValue { value })
    }
}
