//! Cuts long texts, so that a page opens at once and takes little memory to write. The trace file has all of them. Pure.

use serde_json::Value;

use crate::view::parsed::{OUTLINE_ATTRIBUTES, ParsedSpan};

/// Names, ids and the attributes that a span's row depends on are never cut up to this length, in bytes.
const SHORT_NAME: usize = 1 << 10;

/// Other texts are never cut up to this length, in bytes.
const SHORT: usize = 256;

/// The longest text that is kept, in bytes.
const LONGEST: usize = 8 << 10;

/// What longer texts may have together beyond `SHORT`, in bytes.
const TOGETHER: usize = 256 << 10;

/// A text may have this part of what is left of `TOGETHER`: the more long texts there are, the less is kept of each.
const SHARE: usize = 32;

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

    /// Cuts all of a span but its service, scope and resource, which are copied.
    pub(super) fn shorten(&mut self, span: &mut ParsedSpan) {
        let ParsedSpan { id, parent, name, message, attributes, events, links, .. } = span;
        for text in [id, name].into_iter().chain(parent) {
            self.cut(text, SHORT_NAME);
        }
        self.cut(message, SHORT);
        self.cut_values(attributes);
        for event in events {
            self.cut(&mut event.name, SHORT);
            self.cut_values(&mut event.attributes);
        }
        for link in links {
            self.cut(&mut link.trace_id, SHORT);
            self.cut(&mut link.span_id, SHORT);
        }
    }

    /// Copies a name, or its beginning. A text that was cut must not be cut again, since it would give a wrong count.
    pub(super) fn copy(&mut self, name: &str) -> String {
        self.beginning(name, SHORT_NAME).unwrap_or_else(|| name.to_owned())
    }

    /// Copies values that [`as_copied`] has returned.
    pub(super) fn copy_values<'a>(&mut self, pairs: impl Iterator<Item = &'a (String, Value)>) -> Vec<(String, Value)> {
        let mut copy = |value: &Value| match value {
            Value::String(text) => self.beginning(text, SHORT).map_or_else(|| value.clone(), Value::String),
            short => short.clone(),
        };
        pairs.map(|(key, value)| (key.clone(), copy(value))).collect()
    }

    fn cut_values(&mut self, pairs: &mut [(String, Value)]) {
        for (key, value) in pairs {
            let short = if OUTLINE_ATTRIBUTES.contains(&key.as_str()) { SHORT_NAME } else { SHORT };
            self.cut(key, SHORT);
            match value {
                Value::String(text) => self.cut(text, short),
                // Its beginning is no JSON any more.
                _ => {
                    if let Some(beginning) = long_text(value).and_then(|text| self.beginning(&text, short)) {
                        *value = Value::String(beginning);
                    }
                }
            }
        }
    }

    fn cut(&mut self, text: &mut String, short: usize) {
        if let Some(beginning) = self.beginning(text, short) {
            *text = beginning;
        }
    }

    /// Returns the part of a text that is kept, and how much there is more; nothing if all of it is kept.
    fn beginning(&mut self, text: &str, short: usize) -> Option<String> {
        let beyond = text.len().checked_sub(short)?;
        let allowed = (self.left / SHARE).min(LONGEST - short);
        self.left -= beyond.min(allowed);
        (beyond > allowed).then(|| beginning(text, short + allowed))
    }
}

/// Makes a resource's attributes ready for [`Shortener::copy_values`]: long lists and maps become texts, once for all spans.
pub(super) fn as_copied(mut resource: Vec<(String, Value)>) -> Vec<(String, Value)> {
    for (key, value) in &mut resource {
        if key.len() > SHORT {
            *key = beginning(key, SHORT);
        }
        if let Some(text) = long_text(value) {
            *value = Value::String(text);
        }
    }
    resource
}

/// Returns a list or map as text if that is long.
fn long_text(value: &Value) -> Option<String> {
    let text = matches!(value, Value::Array(_) | Value::Object(_)).then(|| value.to_string())?;
    (text.len() > SHORT).then_some(text)
}

/// Returns a text's first bytes, and how many there are more.
fn beginning(text: &str, bytes: usize) -> String {
    let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let (beginning, rest) = text.split_at(end);
    let note = format!("… ({} more bytes are in the trace file)", rest.len());
    // With no room to grow, which would stay unused.
    [beginning, &note].concat()
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
        let mut shortener = Shortener { left: TOGETHER * 9 };
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

    #[test]
    fn what_spans_share_is_cut_from_the_original_for_each() {
        let list = json!(["x".repeat(LONGEST * 2)]);
        let long = "y".repeat(LONGEST * 3);
        let resource = as_copied(vec![
            ("list".to_owned(), list.clone()),
            ("k".repeat(SHORT + 5), long.clone().into()),
            ("number".to_owned(), 7.into()),
        ]);
        let mut shortener = Shortener::new();
        for _ in 0..2000 {
            let copies = shortener.copy_values(resource.iter());
            assert_eq!(copies[1].0, format!("{}… (5 more bytes are in the trace file)", "k".repeat(SHORT)));
            for ((_, copy), text) in copies.iter().zip([list.to_string(), long.clone()]) {
                let (kept, rest) = copy.as_str().unwrap().split_once("… (").unwrap();
                assert!(text.starts_with(kept) && kept.len() >= SHORT, "{kept}");
                assert_eq!(rest, format!("{} more bytes are in the trace file)", text.len() - kept.len()));
            }
            assert_eq!(copies[2].1, 7);
        }
    }
}
