//! Recognizes the format of a JSON document, and reads its spans. Pure.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::view::jaeger_json::JaegerTrace;
use crate::view::otlp_json::ResourceSpans;
use crate::view::parsed::SpanSink;
use crate::view::readable::{ReadableSpans, Unreadable};
use crate::view::zipkin_json::ZipkinSpan;

/// A JSON document.
#[derive(Debug)]
pub(super) enum Document<'a> {
    Object(Box<Object<'a>>),
    /// Zipkin's format.
    Spans(ReadableSpans<ZipkinSpan<'a>>),
    /// Zipkin's format for several traces.
    Traces(Vec<ReadableSpans<ZipkinSpan<'a>>>),
}

/// A document of any other format. Unknown fields are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object<'a> {
    /// OTLP. Tempo calls them batches.
    #[serde(borrow, alias = "batches")]
    resource_spans: Option<Vec<ResourceSpans<'a>>>,
    /// The answer of Jaeger's API, version 3, has OTLP in `result`, that of Tempo's, version 2, in `trace`.
    #[serde(borrow, alias = "trace")]
    result: Option<Box<Object<'a>>>,
    /// Jaeger's own format.
    #[serde(borrow)]
    data: Option<Vec<JaegerTrace<'a>>>,
    /// Other signals, which the Collector may write to the same file.
    resource_metrics: Option<IgnoredAny>,
    resource_logs: Option<IgnoredAny>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a [u8]) -> serde_json::Result<Self> {
        let mut start = text.iter().filter(|byte| !byte.is_ascii_whitespace());
        match (start.next(), start.next()) {
            (Some(b'['), Some(b'[')) => serde_json::from_slice(text).map(Self::Traces),
            (Some(b'['), _) => serde_json::from_slice(text).map(Self::Spans),
            _ => serde_json::from_slice(text).map(Self::Object),
        }
    }

    /// Returns whether the format is known. An empty list has none.
    pub(super) fn is_known(&self) -> bool {
        match self {
            Self::Object(object) => object.is_known(),
            Self::Spans(list) => !list.spans.is_empty(),
            Self::Traces(traces) => traces.iter().any(|trace| !trace.spans.is_empty()),
        }
    }

    /// Returns whether this is a list without spans.
    pub(super) fn is_empty_list(&self) -> bool {
        !matches!(self, Self::Object(_)) && !self.is_known() && self.unreadable().spans == 0
    }

    /// Returns the spans that can't be read.
    pub(super) fn unreadable(&self) -> Unreadable {
        let mut all = Unreadable::default();
        match self {
            Self::Object(object) => object.add_unreadable(&mut all),
            Self::Spans(list) => all.add(&list.unreadable),
            Self::Traces(traces) => traces.iter().for_each(|list| all.add(&list.unreadable)),
        }
        all
    }

    /// Adds the spans of accepted traces to the sink.
    pub(super) fn read(&self, sink: &mut dyn SpanSink) {
        match self {
            Self::Object(object) => object.read(sink),
            Self::Spans(list) => list.spans.iter().for_each(|span| span.read(sink)),
            Self::Traces(traces) => traces.iter().flat_map(|list| &list.spans).for_each(|span| span.read(sink)),
        }
    }
}

impl Object<'_> {
    fn is_known(&self) -> bool {
        self.resource_spans.is_some()
            || self.data.is_some()
            || self.resource_metrics.is_some()
            || self.resource_logs.is_some()
            || self.result.as_ref().is_some_and(|inner| inner.is_known())
    }

    fn add_unreadable(&self, all: &mut Unreadable) {
        if let Some(inner) = &self.result {
            inner.add_unreadable(all);
        }
        self.data.iter().flatten().for_each(|trace| all.add(&trace.spans.unreadable));
        self.resource_spans.iter().flatten().for_each(|resource| resource.add_unreadable(all));
    }

    fn read(&self, sink: &mut dyn SpanSink) {
        if let Some(inner) = &self.result {
            inner.read(sink);
        }
        for trace in self.data.iter().flatten() {
            trace.read(sink);
        }
        for resource in self.resource_spans.iter().flatten() {
            resource.read(sink);
        }
    }
}
