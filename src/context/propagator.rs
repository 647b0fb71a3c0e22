//! The header formats of `OTEL_PROPAGATORS`. `extension/context/propagators.js` reads and writes the headers; for static mode
//! [`headers`](super::headers) writes them too.
//!
//! <https://opentelemetry.io/docs/specs/otel/context/api-propagators/>

use serde::{Deserialize, Serialize};

/// A format in which headers carry context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Name"))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Propagator {
    /// W3C Trace Context.
    Tracecontext,
    /// W3C Baggage.
    Baggage,
    /// B3 in a single header.
    B3,
    /// B3 in several headers.
    B3multi,
    /// Jaeger's `uber-trace-id`.
    Jaeger,
}

/// Each name, and `w3c`, which is k6's name for Trace Context.
const NAMES: [(&str, Propagator); 6] = [
    ("tracecontext", Propagator::Tracecontext),
    ("baggage", Propagator::Baggage),
    ("b3", Propagator::B3),
    ("b3multi", Propagator::B3multi),
    ("jaeger", Propagator::Jaeger),
    ("w3c", Propagator::Tracecontext),
];

impl Propagator {
    /// OpenTelemetry's default.
    pub(crate) const DEFAULT: [Self; 2] = [Self::Tracecontext, Self::Baggage];

    /// Reads a list in the format of `OTEL_PROPAGATORS`: drops duplicates and `none`, and returns unknown names apart.
    pub(crate) fn parse_list(text: &str) -> (Vec<Self>, Vec<String>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
                Some((_, propagator)) if known.contains(propagator) => {}
                Some((_, propagator)) => known.push(*propagator),
                None if word.eq_ignore_ascii_case("none") => {}
                None => unknown.push(word.to_owned()),
            }
        }
        (known, unknown)
    }

    /// Returns every name that [`Propagator::parse_list`] accepts.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name).chain(["none"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order_and_drops_duplicates() {
        use Propagator::{B3, Baggage, Jaeger, Tracecontext};
        let list = |text| Propagator::parse_list(text);
        assert_eq!(list(" jaeger, TraceContext,,w3c,b3 ,jaeger"), (vec![Jaeger, Tracecontext, B3], vec![]));
        assert_eq!(list("none"), (vec![], vec![]));
        assert_eq!(list("xray,baggage"), (vec![Baggage], vec!["xray".to_owned()]));
    }

    #[test]
    fn names_in_messages_are_those_of_the_setting() {
        for (name, propagator) in &NAMES[..5] {
            assert_eq!(serde_json::to_string(propagator).unwrap(), format!("\"{name}\""));
        }
    }
}
