//! Which spans a condition selects. Pure.

mod test_of_span;

use serde_json::Value;

use crate::check::condition::{Attribute, Comparison, Filter, Selection, SpanKind};
pub(super) use crate::check::matching::test_of_span::Tests;
use crate::export::otlp::own;
use crate::view::parsed::{Origin, ParsedSpan, TEST_CASE_NAME};
use crate::view::trace::Role;

/// A span and what is known about it from elsewhere.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) span: &'a ParsedSpan,
    pub(super) origin: &'a Origin<'a>,
    /// The name of its test.
    pub(super) test: Option<&'a str>,
}

impl Selection {
    pub(super) fn matches(&self, candidate: Candidate) -> bool {
        self.kind.matches(candidate.span) && self.filters.iter().all(|filter| filter.matches(candidate))
    }
}

impl SpanKind {
    fn matches(self, span: &ParsedSpan) -> bool {
        match self {
            Self::Any => true,
            Self::Root => span.parent.is_none(),
            Self::Kind { kind, area } => {
                let is_of_area = |key: &str| key.strip_prefix(area).is_some_and(|rest| rest.starts_with('.'));
                span.kind == kind && (area.is_empty() || span.attributes.iter().any(|(key, _)| is_of_area(key)))
            }
            Self::Session => span.role() == Role::Session,
            Self::Navigation => span.role() == Role::Navigation,
            Self::Request => span.role() == Role::Request,
            Self::Test => span.attribute(TEST_CASE_NAME).is_some(),
            Self::Step => span.attribute(own::STEP_CATEGORY).is_some(),
        }
    }
}

impl Filter {
    /// Returns whether the comparison holds. Without the attribute, only "not equal" does.
    fn matches(&self, Candidate { span, origin, test }: Candidate) -> bool {
        match &self.attribute {
            Attribute::Name => self.holds_for_any([span.name.as_str()]),
            Attribute::Service => self.holds_for_any([origin.service()]),
            Attribute::Test => self.holds_for_any(test),
            Attribute::Keys(keys) => {
                let of_resource = |key| origin.resource.iter().find(|(name, _)| name == key).map(|(_, value)| value);
                let value = keys.iter().find_map(|key| span.attribute(key).or_else(|| of_resource(key)));
                match value {
                    Some(Value::Array(values)) => {
                        let texts: Vec<String> = values.iter().map(text).collect();
                        self.holds_for_any(texts.iter().map(String::as_str))
                    }
                    Some(Value::String(text)) => self.holds_for_any([text.as_str()]),
                    Some(value) => self.holds_for_any([text(value).as_str()]),
                    None => self.holds_for_any([]),
                }
            }
        }
    }

    /// Returns whether the comparison holds for one of several values. "Not equal" must hold for all of them.
    fn holds_for_any<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> bool {
        let mut values = values.into_iter();
        match self.comparison {
            Comparison::Equal => values.any(|value| fits(&self.value, value)),
            Comparison::NotEqual => !values.any(|value| fits(&self.value, value)),
            comparison => {
                let Ok(limit) = self.value.parse::<f64>() else { return false };
                values.any(|value| value.parse().is_ok_and(|value| comparison.holds(value, limit)))
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Returns whether a text fits a pattern, in which each `*` stands for any characters.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').map_or(("", rest), |(middle, end)| (middle, end));
    // The first place of each part leaves the most for those after it.
    for part in middle.split('*') {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::condition::Condition;
    use crate::view::parsed::SERVICE_NAME;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, expected) in [
            ("shop", "shop", true),
            ("shop", "shops", false),
            ("*", "", true),
            ("/api/*", "/api/orders", true),
            ("/api/*", "/apis", false),
            ("*orders", "/api/orders", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("ab*ba", "aba", false),
            ("a*a*a", "aa", false),
            ("é*ü", "éxü", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn spans_are_selected_by_kind_and_attributes() {
        let attributes = [
            ("http.request.method", json!("GET")),
            ("http.response.status_code", json!(503)),
            ("http.route", json!("/api/orders/:id")),
            ("tags", json!(["@slow", "@cart"])),
            ("retried", json!(true)),
        ];
        let span = ParsedSpan {
            name: "GET /api/orders/:id".to_owned(),
            kind: "server",
            parent: Some("1".to_owned()),
            attributes: attributes.map(|(key, value)| (key.to_owned(), value)).to_vec(),
            ..ParsedSpan::default()
        };
        let resource = [(SERVICE_NAME, "shop"), ("host.name", "m1")].map(|(key, value)| (key.to_owned(), value.into()));
        let origin = Origin { resource: &resource, scope: "" };
        let selects = |spans: &str| {
            let condition: Condition = format!("spans({spans}) == 0").parse().unwrap();
            condition.spans().matches(Candidate { span: &span, origin: &origin, test: Some("cart > empty") })
        };
        for spans in [
            "span",
            "server",
            "http.server",
            "service=shop",
            "server where service=shop and status>=500 and status<504",
            "status=503",
            "method=GET",
            "route=/api/orders/*",
            "name='GET /api/orders/:id'",
            "name='GET *'",
            "'tags'=@cart",
            "'retried'=true",
            "host.name=m1",
            "test='cart > *'",
            "test!=checkout",
            "db.system!=postgresql",
            "url!=*/login",
        ] {
            assert!(selects(spans), "{spans}");
        }
        for spans in [
            "client",
            "http.client",
            "db.server",
            "root",
            "navigation",
            "test",
            "step",
            "service=shops",
            "service=shop and status<500",
            "status!=503",
            "status=50",
            "'tags'=@car",
            "'tags'!=@cart",
            "test=cart",
            "test!='cart > empty'",
            "method>1",
            "no.such=x",
            "no.such>=0",
        ] {
            assert!(!selects(spans), "{spans}");
        }
    }
}
