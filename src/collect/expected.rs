//! Knows which spans of services are still to come: those below the browser's latest requests to services that have sent spans before. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use url::Url;

use crate::base::text::short_name;
use crate::export::otlp::{HAS_IS_REMOTE, IS_REMOTE, NAVIGATION_NAME, int_attribute, own, text_attribute};

/// How long after a request its service may send the span: OpenTelemetry's default for a batch, and the way.
pub(super) const BATCH: Duration = Duration::from_secs(6);

/// Kinds of requests that a service traces if it traces any of them. Of the others it may serve files, which it does not trace.
const CALLS: [&str; 3] = ["main_frame", "sub_frame", "xmlhttprequest"];

/// The number of requests to remember. With more, the earlier half is forgotten, and all above this age.
const MANY_REQUESTS: usize = 20_000;
const OLD: Duration = Duration::from_secs(30);

/// The number of parents to remember whose spans have not arrived.
const MAX_PARENTS: usize = 50_000;

/// The number of servers to remember.
const MAX_SERVERS: usize = 1000;

type SpanId = [u8; 8];

/// The spans that carried a context to a server, and the servers whose services have continued one.
#[derive(Debug, Default)]
pub(super) struct ExpectedSpans {
    carriers: HashMap<SpanId, Carrier>,
    /// Parents of spans that arrived before them, the oldest first.
    parents: VecDeque<SpanId>,
    is_parent: HashSet<SpanId>,
    /// The kinds of carriers that have been continued, by server.
    continued: BTreeMap<String, BTreeSet<String>>,
    /// The end of the latest carrier: nanoseconds since the epoch.
    latest: u64,
}

/// A span of the browser whose id was sent to a server.
#[derive(Debug)]
struct Carrier {
    /// Host and port.
    server: String,
    /// [`NAVIGATION_NAME`], or the resource type of a request.
    kind: String,
    /// Nanoseconds since the epoch.
    end: u64,
    is_continued: bool,
}

/// The number of requests without a span of their service, by server.
pub(crate) type MissingSpans = BTreeMap<String, usize>;

impl ExpectedSpans {
    pub(super) fn add(&mut self, request: &ExportTraceServiceRequest) {
        for scope in request.resource_spans.iter().flat_map(|resource| &resource.scope_spans) {
            let is_browser = scope.scope.as_ref().is_some_and(|scope| scope.name == env!("CARGO_PKG_NAME"));
            for span in &scope.spans {
                if is_browser { self.add_of_browser(span) } else { self.add_of_service(span) }
            }
        }
    }

    fn add_of_browser(&mut self, span: &Span) {
        let Some((id, mut carrier)) = <SpanId>::try_from(&*span.span_id).ok().zip(carrier(span)) else { return };
        self.latest = self.latest.max(carrier.end);
        if self.carriers.len() >= MANY_REQUESTS {
            let mut ends: Vec<u64> = self.carriers.values().map(|carrier| carrier.end).collect();
            let (_, median, _) = ends.select_nth_unstable(MANY_REQUESTS / 2);
            let oldest = self.latest.saturating_sub(nanos(OLD)).max(*median);
            self.carriers.retain(|_, carrier| carrier.end > oldest);
        }
        if self.is_parent.remove(&id) {
            carrier.is_continued = true;
            self.note(&carrier);
        }
        self.carriers.insert(id, carrier);
    }

    fn add_of_service(&mut self, span: &Span) {
        let is_local = span.flags & HAS_IS_REMOTE != 0 && span.flags & IS_REMOTE == 0;
        let Some(parent) = <SpanId>::try_from(&*span.parent_span_id).ok().filter(|_| !is_local) else { return };
        if let Some(mut carrier) = self.carriers.remove(&parent) {
            carrier.is_continued = true;
            self.note(&carrier);
            self.carriers.insert(parent, carrier);
        } else if self.is_parent.insert(parent) {
            self.parents.push_back(parent);
            if self.parents.len() > MAX_PARENTS {
                self.parents.pop_front().map(|oldest| self.is_parent.remove(&oldest));
            }
        }
    }

    fn note(&mut self, Carrier { server, kind, .. }: &Carrier) {
        if let Some(kinds) = self.continued.get_mut(server) {
            if !kinds.contains(kind) {
                kinds.insert(kind.clone());
            }
        } else if self.continued.len() < MAX_SERVERS {
            self.continued.insert(server.clone(), [kind.clone()].into());
        }
    }

    /// Returns what is missing below requests that ended within [`BATCH`] before `time`, in nanoseconds since the epoch.
    pub(super) fn missing(&self, time: u64) -> MissingSpans {
        let mut missing = MissingSpans::new();
        let first = time.saturating_sub(nanos(BATCH));
        for carrier in self.carriers.values().filter(|carrier| !carrier.is_continued && carrier.end > first) {
            if self.is_expected(carrier) {
                *missing.entry(carrier.server.clone()).or_default() += 1;
            }
        }
        missing
    }

    fn is_expected(&self, Carrier { server, kind, .. }: &Carrier) -> bool {
        let is_call = CALLS.contains(&kind.as_str());
        self.continued
            .get(server)
            .is_some_and(|kinds| kinds.contains(kind) || is_call && CALLS.iter().any(|call| kinds.contains(*call)))
    }
}

/// Returns what a span of the browser carried its id to, if a service can have continued it: a request with an answer, or the navigation
/// whose id all its requests carry in lightweight mode.
fn carrier(span: &Span) -> Option<Carrier> {
    let kind = if span.name == NAVIGATION_NAME {
        text_attribute(span, own::OUTCOME).filter(|outcome| *outcome == "committed")?;
        NAVIGATION_NAME
    } else {
        let status = int_attribute(span, "http.response.status_code")?;
        let method = text_attribute(span, "http.request.method")?;
        // Preflights are answered before tracing begins, and the span of a WebSocket lasts as long as it is open.
        if span.kind != i32::from(SpanKind::Client) || method == "OPTIONS" || status == 101 {
            return None;
        }
        text_attribute(span, own::RESOURCE_TYPE)?
    };
    let url = Url::parse(text_attribute(span, "url.full")?).ok()?;
    let server = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
    Some(Carrier {
        server: short_name(&server).into_owned(),
        kind: short_name(kind).into_owned(),
        end: span.end_time_unix_nano,
        is_continued: false,
    })
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const NOW: u64 = 1_000 * SECOND;

    fn request(scope: &str, span: Span) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope { name: scope.to_owned(), ..InstrumentationScope::default() };
        let scope_spans = ScopeSpans { scope: Some(scope), spans: vec![span], ..ScopeSpans::default() };
        let resource_spans = ResourceSpans { scope_spans: vec![scope_spans], ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
    }

    fn pair(key: &str, value: Value) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    fn text(key: &str, value: &str) -> KeyValue {
        pair(key, Value::StringValue(value.to_owned()))
    }

    /// A request of the browser that ended `age` seconds ago.
    fn sent(id: u64, resource: &str, url: &str, age: u64) -> ExportTraceServiceRequest {
        let attributes = vec![
            text("url.full", url),
            text("http.request.method", "GET"),
            pair("http.response.status_code", Value::IntValue(200)),
            text(own::RESOURCE_TYPE, resource),
        ];
        let (span_id, end_time_unix_nano) = (id.to_be_bytes().to_vec(), NOW - age * SECOND);
        request("navtrace", Span { span_id, kind: 3, end_time_unix_nano, attributes, ..Span::default() })
    }

    /// A span of a service below another.
    fn below(parent: u64) -> ExportTraceServiceRequest {
        let span = Span { span_id: vec![9; 8], parent_span_id: parent.to_be_bytes().to_vec(), ..Span::default() };
        request("shop", span)
    }

    fn after(requests: &[ExportTraceServiceRequest]) -> Vec<(String, usize)> {
        let mut expected = ExpectedSpans::default();
        for request in requests {
            expected.add(request);
        }
        expected.missing(NOW).into_iter().collect()
    }

    const SHOP: &str = "http://shop.test/a";

    #[test]
    fn only_services_that_have_sent_spans_are_expected_to_send_more() {
        let other = sent(3, "xmlhttprequest", "http://other.test/", 1);
        assert_eq!(after(&[sent(1, "main_frame", SHOP, 2), sent(2, "xmlhttprequest", SHOP, 1), other.clone()]), []);
        let missing = [("shop.test:80".to_owned(), 1)];
        let (first, second) = (sent(1, "main_frame", SHOP, 2), sent(2, "xmlhttprequest", SHOP, 1));
        assert_eq!(after(&[first.clone(), below(1), second.clone(), other.clone()]), missing);
        // In whatever order they arrive.
        assert_eq!(after(&[below(1), second.clone(), other, first.clone()]), missing);
        assert_eq!(after(&[below(2), first, second, below(1)]), []);
    }

    #[test]
    fn a_service_is_given_the_time_of_a_batch() {
        let known = [sent(1, "xmlhttprequest", SHOP, 100), below(1)];
        assert_eq!(after(&[&known[..], &[sent(2, "xmlhttprequest", SHOP, 6)]].concat()), []);
        assert_eq!(after(&[&known[..], &[sent(2, "xmlhttprequest", SHOP, 5)]].concat()).len(), 1);
    }

    #[test]
    fn files_are_expected_to_be_traced_only_where_files_were() {
        let known = [sent(1, "xmlhttprequest", SHOP, 3), below(1), sent(2, "script", SHOP, 2)];
        assert_eq!(after(&known), []);
        let traced = [&known[..], &[below(2), sent(3, "script", SHOP, 1)]].concat();
        assert_eq!(after(&traced).len(), 1);
    }

    #[test]
    fn of_very_many_requests_the_latest_are_known() {
        let mut expected = ExpectedSpans::default();
        expected.add(&sent(1, "xmlhttprequest", SHOP, 1));
        expected.add(&below(1));
        let many = u64::try_from(MANY_REQUESTS).unwrap();
        for id in 2..=many + 100 {
            let mut request = sent(id, "xmlhttprequest", SHOP, 1);
            request.resource_spans[0].scope_spans[0].spans[0].end_time_unix_nano += id;
            expected.add(&request);
        }
        assert!(expected.carriers.len() <= MANY_REQUESTS, "{}", expected.carriers.len());
        let missing = *expected.missing(NOW).get("shop.test:80").unwrap();
        assert!(missing >= MANY_REQUESTS / 2, "{missing}");
        for id in many..=many + 100 {
            expected.add(&below(id));
        }
        assert_eq!(expected.missing(NOW).get("shop.test:80"), Some(&(missing - 101)));
    }

    #[test]
    fn requests_without_an_answer_are_not_expected_to_be_traced() {
        let known = [sent(1, "xmlhttprequest", SHOP, 3), below(1)];
        for change in [
            |span: &mut Span| span.attributes.retain(|pair| pair.key != "http.response.status_code"),
            |span: &mut Span| span.attributes[1] = text("http.request.method", "OPTIONS"),
            |span: &mut Span| span.attributes[2] = pair("http.response.status_code", Value::IntValue(101)),
            // From the cache.
            |span: &mut Span| span.kind = 1,
        ] {
            let mut request = sent(2, "xmlhttprequest", SHOP, 1);
            change(&mut request.resource_spans[0].scope_spans[0].spans[0]);
            assert_eq!(after(&[&known[..], &[request]].concat()), []);
        }
    }

    #[test]
    fn in_lightweight_mode_navigations_are_continued() {
        let navigation = |id: u64| {
            let mut request = sent(id, "main_frame", SHOP, 1);
            let span = &mut request.resource_spans[0].scope_spans[0].spans[0];
            (span.name, span.kind) = (NAVIGATION_NAME.to_owned(), 1);
            span.attributes.push(text(own::OUTCOME, "committed"));
            request
        };
        let requests = [sent(3, "main_frame", SHOP, 1), sent(4, "xmlhttprequest", SHOP, 1)];
        let known = [&[navigation(1), below(1)], &requests[..]].concat();
        assert_eq!(after(&known), []);
        assert_eq!(after(&[&known[..], &[navigation(2)]].concat()).len(), 1);
    }
}
