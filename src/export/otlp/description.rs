//! Converts what scripts say of the root spans of their traces. Pure.

use crate::export::otlp::Parts;
use crate::observe::session::Description;

impl Parts {
    /// Adds what a script says of the span. Its texts of whole numbers are numbers, as k6's own spans have them.
    pub(super) fn describe(&mut self, Description { name, attributes }: &Description) {
        if let Some(name) = name {
            name.as_ref().clone_into(&mut self.name);
        }
        for (key, value) in attributes {
            match value.parse::<i64>().ok().filter(|number| number.to_string() == **value) {
                Some(number) => self.number(key, number),
                None => self.text(key, value.to_string()),
            }
        }
    }
}
