//! Links to traces in another viewer, made from the template in `NAVTRACE_LINK`.

use url::Url;

/// The names that a template may have in braces.
const PLACEHOLDERS: [&str; 6] = ["trace_id", "span_id", "start_s", "end_s", "start_ms", "end_ms"];

/// A template for the URL of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkTemplate(String);

/// The trace that a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkedTrace<'a> {
    /// 32 hexadecimal digits.
    pub(crate) trace_id: &'a str,
    /// The root's span id, 16 hexadecimal digits; empty if there is no root.
    pub(crate) span_id: &'a str,
    /// Nanoseconds since the epoch.
    pub(crate) start: u64,
    /// Nanoseconds since the epoch.
    pub(crate) end: u64,
}

impl LinkTemplate {
    /// Checks a template. The error says what is wrong with it.
    pub(crate) fn parse(template: &str) -> Result<Self, String> {
        let mut names = Vec::new();
        for (start, _) in template.match_indices('{') {
            let Some((name, _)) = template[start + 1..].split_once('}') else {
                return Err(format!("the brace at character {} is not closed", start + 1));
            };
            if !PLACEHOLDERS.contains(&name) {
                let known = PLACEHOLDERS.join("}, {");
                return Err(format!("{{{name}}} is not known; there are {{{known}}} (write other braces as %7B, %7D)"));
            }
            names.push(name);
        }
        if !names.contains(&"trace_id") {
            return Err("it must hold {trace_id}, such as http://localhost:16686/trace/{trace_id}".to_owned());
        }
        let link = Self(template.to_owned());
        let example = link.fill(&LinkedTrace { trace_id: "0", span_id: "0", start: 0, end: 0 });
        match Url::parse(&example) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(link),
            _ => Err("expected an address that begins with http:// or https://".to_owned()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the URL of a trace.
    pub(crate) fn fill(&self, trace: &LinkedTrace) -> String {
        // Ends are rounded up, so that the time range covers the trace.
        let values = [
            trace.trace_id.to_owned(),
            trace.span_id.to_owned(),
            (trace.start / 1_000_000_000).to_string(),
            trace.end.div_ceil(1_000_000_000).to_string(),
            (trace.start / 1_000_000).to_string(),
            trace.end.div_ceil(1_000_000).to_string(),
        ];
        let pairs = PLACEHOLDERS.iter().zip(values);
        pairs.fold(self.0.clone(), |link, (name, value)| link.replace(&format!("{{{name}}}"), &value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: LinkedTrace<'_> = LinkedTrace {
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
        span_id: "00f067aa0ba902b7",
        start: 1_700_000_000_000_000_001,
        end: 1_700_000_001_000_000_001,
    };

    #[test]
    fn placeholders_are_replaced() {
        for (template, link) in [
            (
                "http://localhost:16686/trace/{trace_id}",
                "http://localhost:16686/trace/4bf92f3577b34da6a3ce929d0e0e4736",
            ),
            (
                "https://t.test/?t={trace_id}&s={span_id}&from={start_s}&to={end_s}",
                "https://t.test/?t=4bf92f3577b34da6a3ce929d0e0e4736&s=00f067aa0ba902b7&from=1700000000&to=1700000002",
            ),
            (
                "https://t.test/{start_ms}/{end_ms}/{trace_id}/{trace_id}",
                "https://t.test/1700000000000/1700000001001/4bf92f3577b34da6a3ce929d0e0e4736/4bf92f3577b34da6a3ce929d0e0e4736",
            ),
        ] {
            assert_eq!(LinkTemplate::parse(template).unwrap().fill(&TRACE), link);
        }
    }

    #[test]
    fn an_invalid_template_is_explained() {
        for (template, reason) in [
            ("http://localhost/trace", "it must hold {trace_id}, such as http://localhost:16686/trace/{trace_id}"),
            ("http://localhost/{trace_id", "the brace at character 18 is not closed"),
            (
                "http://localhost/{traceID}",
                "{traceID} is not known; there are {trace_id}, {span_id}, {start_s}, {end_s}, {start_ms}, {end_ms} (write other braces as %7B, %7D)",
            ),
            ("localhost:16686/{trace_id}", "expected an address that begins with http:// or https://"),
            ("javascript:alert('{trace_id}')", "expected an address that begins with http:// or https://"),
        ] {
            assert_eq!(LinkTemplate::parse(template).unwrap_err(), reason);
        }
    }
}
