//! Lists of spans in a document, of which some can't be read. Pure.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The spans of a list that can be read, and the number of others. Null is the empty list.
#[derive(Debug)]
pub(super) struct ReadableSpans<T> {
    pub(super) spans: Vec<T>,
    pub(super) unreadable: Unreadable,
}

/// Spans that can't be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Unreadable {
    pub(super) spans: usize,
    /// Why the first one can't be read.
    pub(super) reason: String,
}

impl Unreadable {
    pub(super) fn add(&mut self, further: &Self) {
        if self.spans == 0 {
            self.reason.clone_from(&further.reason);
        }
        self.spans += further.spans;
    }
}

impl<T> Default for ReadableSpans<T> {
    fn default() -> Self {
        Self { spans: Vec::new(), unreadable: Unreadable::default() }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ReadableSpans<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spans<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Spans<T> {
            type Value = ReadableSpans<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a list of spans")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(ReadableSpans::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut read = ReadableSpans::default();
                // Each span is parsed from its own text, so that an error in it is not one of the document.
                while let Some(text) = list.next_element::<&'de RawValue>()? {
                    match serde_json::from_str(text.get()) {
                        Ok(span) => read.spans.push(span),
                        Err(error) => read.unreadable.add(&Unreadable { spans: 1, reason: reason(&error) }),
                    }
                }
                Ok(read)
            }
        }
        deserializer.deserialize_any(Spans(PhantomData))
    }
}

/// Returns the message of an error without its place, which counts from the span.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}
