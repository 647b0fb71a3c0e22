//! What scripts say of the root spans of their traces.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::text::shortened;
use crate::context::ids::SpanId;

/// The number of attributes that a script may give a span.
const MAX_ATTRIBUTES: usize = 16;

/// The longest name of a span or an attribute, in characters.
const MAX_NAME: usize = 64;

/// The longest value of an attribute, in characters.
const MAX_VALUE: usize = 256;

/// The number of spans whose descriptions are remembered.
const MAX_DESCRIBED: usize = 1000;

/// The description of a span.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// The span's name, if it is not one of navtrace's own.
    pub(crate) name: Option<Box<str>>,
    pub(crate) attributes: BTreeMap<Box<str>, Box<str>>,
}

impl Description {
    /// Takes what an extension has sent. Cuts what is too long, and leaves out what is too much.
    pub(super) fn new(name: Option<&str>, attributes: &BTreeMap<String, String>) -> Self {
        let pairs = attributes.iter().filter(|(key, _)| !key.is_empty()).take(MAX_ATTRIBUTES);
        Self {
            name: name.map(|name| shortened(name, MAX_NAME).into()),
            attributes: pairs
                .map(|(key, value)| (shortened(key, MAX_NAME).into(), shortened(value, MAX_VALUE).into()))
                .collect(),
        }
    }
}

/// The descriptions of a session's root spans.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Descriptions(BTreeMap<SpanId, Description>);

impl Descriptions {
    /// Adds a description, in place of an earlier one. Of several pages' attributes the span has all.
    pub(super) fn add(&mut self, id: SpanId, description: Description) {
        if self.0.len() == MAX_DESCRIBED && !self.0.contains_key(&id) {
            return;
        }
        let known = self.0.entry(id).or_default();
        known.name = description.name.or(known.name.take());
        for (key, value) in description.attributes {
            if known.attributes.len() < MAX_ATTRIBUTES || known.attributes.contains_key(&key) {
                known.attributes.insert(key, value);
            }
        }
    }

    pub(super) fn take(&mut self, id: SpanId) -> Option<Box<Description>> {
        self.0.remove(&id).map(Box::new)
    }

    pub(super) fn of(&self, id: SpanId) -> Option<Box<Description>> {
        self.0.get(&id).cloned().map(Box::new)
    }
}
