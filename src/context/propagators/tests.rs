use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Fixture {
    inject: Vec<Injection>,
    extract: Vec<Extraction>,
}

#[derive(Deserialize)]
struct Injection {
    context: Written,
    headers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Extraction {
    headers: BTreeMap<String, String>,
    context: Written,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Written {
    span: Option<WrittenSpan>,
    #[serde(default)]
    baggage: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenSpan {
    trace_id: TraceId,
    span_id: SpanId,
    flags: Flags,
    #[serde(default)]
    tracestate: String,
}

impl From<Written> for Context {
    fn from(written: Written) -> Self {
        let span = written.span.map(|span| SpanContext {
            trace_id: span.trace_id,
            span_id: span.span_id,
            flags: span.flags,
            tracestate: Tracestate::parse(&span.tracestate).unwrap(),
        });
        Self { span, baggage: Baggage::parse(&written.baggage).0 }
    }
}

const ALL: [Name; 5] = [Name::Tracecontext, Name::Baggage, Name::B3, Name::B3multi, Name::Jaeger];

fn fixture(name: Name) -> Fixture {
    let path = format!("{}/tests/fixtures/propagation/{}.json", env!("CARGO_MANIFEST_DIR"), name.as_str());
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn contexts_are_written_as_the_fixtures_say() {
    for name in ALL {
        for Injection { context, headers } in fixture(name).inject {
            let mut written = BTreeMap::new();
            let context = Context::from(context);
            name.propagator().inject(&context, &mut |header, value| {
                assert!(name.propagator().fields().contains(&header));
                written.insert(header.to_owned(), value);
            });
            assert_eq!(written, headers, "{name:?} {context:?}");
        }
    }
}

#[test]
fn headers_are_read_as_the_fixtures_say_and_each_invalid_one_has_its_reason() {
    for name in ALL {
        for Extraction { headers, context, reason } in fixture(name).extract {
            let mut read = Context::default();
            let result = name.propagator().extract(&|header| headers.get(header).cloned(), &mut read);
            assert_eq!(read, Context::from(context), "{name:?} {headers:?}");
            assert_eq!(result.err().map(|invalid| invalid.to_string()), reason, "{name:?} {headers:?}");
        }
    }
}

#[test]
fn the_list_keeps_its_order_and_drops_duplicates() {
    use Name::{B3, Baggage, Jaeger, Tracecontext};
    let list = |text| Name::list(text);
    assert_eq!(list(" jaeger, TraceContext,,w3c,b3 ,jaeger"), (vec![Jaeger, Tracecontext, B3], vec![]));
    assert_eq!(list("none"), (vec![], vec![]));
    assert_eq!(list("xray,baggage"), (vec![Baggage], vec!["xray".to_owned()]));
    for name in ALL {
        assert_eq!(serde_json::to_string(&name).unwrap(), format!("\"{}\"", name.as_str()));
    }
}

proptest::proptest! {
    #[test]
    fn what_is_written_is_read(trace in "[0-9a-f]{31}1", span in "[0-9a-f]{15}1", sampled: bool) {
        let flags = if sampled { Flags::SAMPLED } else { Flags::NOT_SAMPLED };
        let span = SpanContext {
            trace_id: trace.parse().unwrap(), span_id: span.parse().unwrap(), flags, tracestate: Tracestate::default(),
        };
        let context = Context { span: Some(span), baggage: Baggage::default() };
        for name in [Name::Tracecontext, Name::B3, Name::B3multi, Name::Jaeger] {
            let mut headers = BTreeMap::new();
            name.propagator().inject(&context, &mut |header, value| { headers.insert(header, value); });
            let mut read = Context::default();
            name.propagator().extract(&|header| headers.get(header).cloned(), &mut read).unwrap();
            proptest::prop_assert_eq!(&read, &context);
        }
    }

    #[test]
    fn nothing_that_arrives_makes_it_panic(text in ".{0,80}") {
        for name in ALL {
            let _ = name.propagator().extract(&|_| Some(text.clone()), &mut Context::default());
        }
    }
}
