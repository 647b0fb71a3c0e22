//! Cuts long texts, so that a page opens at once and takes little memory to write. The trace file has all of them. Pure.

use std::fmt::Write;

use serde_json::Value;

use crate::view::parsed::ParsedSpan;

/// Texts up to this length are never cut, in bytes.
const SHORT: usize = 1 << 10;

/// The longest text that is kept, in bytes.
const LONGEST: usize = 8 << 10;

/// What longer texts may have together beyond `SHORT`, in bytes.
const TOGETHER: usize = 2 << 20;

/// Cuts the texts of spans, the first ones less than further ones.
#[derive(Debug)]
pub(super) struct Shortener {
    /// What is left of `TOGETHER`.
    left: usize,
}

impl Shortener {
    pub(super) fn new() -> Self {
        Self { left: TOGETHER }
    }

    pub(super) fn shorten(&mut self, span: &mut ParsedSpan) {
        let ParsedSpan { id, parent, service, name, message, scope, attributes, resource, events, links, .. } = span;
        for text in [id, service, name, message, scope].into_iter().chain(parent) {
            self.cut(text);
        }
        self.cut_values(attributes);
        self.cut_values(resource);
        for event in events {
            self.cut(&mut event.name);
            self.cut_values(&mut event.attributes);
        }
        for link in links {
            self.cut(&mut link.trace_id);
            self.cut(&mut link.span_id);
        }
    }

    fn cut_values(&mut self, pairs: &mut [(String, Value)]) {
        for (key, value) in pairs {
            self.cut(key);
            match value {
                Value::String(text) => self.cut(text),
                Value::Array(_) | Value::Object(_) => {
                    let mut text = value.to_string();
                    if text.len() > SHORT {
                        let length = text.len();
                        self.cut(&mut text);
                        // Its beginning is no JSON any more.
                        if text.len() != length {
                            *value = Value::String(text);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn cut(&mut self, text: &mut String) {
        let Some(beyond) = text.len().checked_sub(SHORT) else { return };
        let allowed = self.left.min(LONGEST - SHORT);
        self.left -= beyond.min(allowed);
        if beyond > allowed {
            let end = (0..=SHORT + allowed).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            let rest = text.len() - end;
            text.truncate(end);
            let _ = write!(text, "… ({rest} more bytes are in the trace file)");
            text.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shortened(shortener: &mut Shortener, value: Value) -> Value {
        let mut span = ParsedSpan { attributes: vec![("k".to_owned(), value)], ..ParsedSpan::default() };
        shortener.shorten(&mut span);
        span.attributes.remove(0).1
    }

    #[test]
    fn long_texts_are_cut_and_say_so() {
        let mut shortener = Shortener::new();
        for whole in
            [json!("é".repeat(LONGEST / 2)), json!(["x".repeat(LONGEST - 4)]), json!(7), json!({ "k": [true] })]
        {
            assert_eq!(shortened(&mut shortener, whole.clone()), whole);
        }
        let cut = shortened(&mut shortener, json!(format!("x{}", "é".repeat(LONGEST))));
        let rest = LONGEST + 2;
        assert_eq!(cut, format!("x{}… ({rest} more bytes are in the trace file)", "é".repeat(LONGEST / 2 - 1)));
        let cut = shortened(&mut shortener, json!(["x".repeat(LONGEST)]));
        assert_eq!(cut, format!("[\"{}… (4 more bytes are in the trace file)", "x".repeat(LONGEST - 2)));
    }

    #[test]
    fn what_is_short_stays_however_much_there_is() {
        let mut shortener = Shortener::new();
        let long = json!("x".repeat(LONGEST * 9));
        let total: usize = (0..2000).map(|_| shortened(&mut shortener, long.clone()).as_str().unwrap().len()).sum();
        assert!(total < TOGETHER + 2000 * (SHORT + 60), "{total}");
        let short = json!("x".repeat(SHORT));
        assert_eq!(shortened(&mut shortener, short.clone()), short);
    }
}
