//! Reads what Jaeger exports: the JSON of its query API and of its page. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::view::raw::{Raw, RawEvent, named_kind, number};
use crate::view::trace::Link;

#[derive(Debug, Deserialize)]
pub(super) struct Trace<'a> {
    #[serde(borrow, default)]
    spans: Vec<Span<'a>>,
    #[serde(default)]
    processes: BTreeMap<String, Process>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    #[serde(default)]
    service_name: String,
    tags: Option<Vec<Field>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    #[serde(borrow, rename = "traceID")]
    trace_id: Cow<'a, str>,
    #[serde(borrow, rename = "spanID")]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "processID", default)]
    process_id: Cow<'a, str>,
    /// In place of its id, as an element of Elasticsearch has it.
    process: Option<Process>,
    /// As it was before there were references.
    #[serde(borrow, rename = "parentSpanID", default)]
    parent_id: Cow<'a, str>,
    #[serde(borrow, default)]
    operation_name: Cow<'a, str>,
    references: Option<Vec<Reference>>,
    #[serde(default, deserialize_with = "number")]
    start_time: u64,
    #[serde(default, deserialize_with = "number")]
    duration: u64,
    tags: Option<Vec<Field>>,
    logs: Option<Vec<Log>>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    #[serde(rename = "refType", default)]
    kind: String,
    #[serde(rename = "traceID", default)]
    trace_id: String,
    #[serde(rename = "spanID", default)]
    span_id: String,
}

#[derive(Debug, Deserialize)]
struct Log {
    #[serde(default, deserialize_with = "number")]
    timestamp: u64,
    fields: Option<Vec<Field>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Field {
    #[serde(default)]
    key: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    value: Value,
}

impl Trace<'_> {
    pub(super) fn each(&self, wanted: &dyn Fn(&str) -> bool, whole: bool, take: &mut dyn FnMut(Raw)) {
        for span in &self.spans {
            // Leading zeros are left out there.
            let trace_id = format!("{:0>32}", span.trace_id.to_ascii_lowercase());
            if wanted(&trace_id) {
                take(span.raw(
                    trace_id,
                    span.process.as_ref().or_else(|| self.processes.get(&*span.process_id)),
                    whole,
                ));
            }
        }
    }
}

impl Span<'_> {
    fn raw(&self, trace_id: String, process: Option<&Process>, whole: bool) -> Raw {
        let id = |id: &str| format!("{:0>16}", id.to_ascii_lowercase());
        let mut parent = None;
        let mut links = Vec::new();
        for reference in self.references.iter().flatten() {
            let of_trace = format!("{:0>32}", reference.trace_id.to_ascii_lowercase());
            if parent.is_none() && reference.kind == "CHILD_OF" && of_trace == trace_id {
                parent = Some(id(&reference.span_id));
            } else {
                links.push(Link { trace_id: of_trace, span_id: id(&reference.span_id) });
            }
        }
        if parent.is_none() && !self.parent_id.is_empty() {
            parent = Some(id(&self.parent_id));
        }
        let mut raw = Raw {
            id: id(&self.id),
            trace_id,
            parent,
            name: self.operation_name.clone().into_owned(),
            start: self.start_time.saturating_mul(1000),
            end: self.start_time.saturating_add(self.duration).saturating_mul(1000),
            links,
            ..Raw::default()
        };
        let mut resource = vec![("service.name".to_owned(), Value::from(process.map_or("", |p| &*p.service_name)))];
        resource.extend(pairs(process.and_then(|process| process.tags.as_ref())));
        raw.set_resource(&resource);
        for (key, value) in pairs(self.tags.as_ref()) {
            // What Jaeger makes of the rest of a span is that again.
            let text = value.as_str().unwrap_or_default();
            match key.as_str() {
                "span.kind" => raw.kind = named_kind(text),
                "error" => raw.error |= value == true || text == "true",
                "otel.status_code" => raw.error |= text == "ERROR",
                "otel.status_description" => text.clone_into(&mut raw.message),
                "otel.scope.name" | "otel.library.name" => text.clone_into(&mut raw.scope),
                key if ["otel.scope.", "otel.library.", "internal."].iter().any(|start| key.starts_with(start)) => {}
                _ => raw.attributes.push((key, value)),
            }
        }
        if whole {
            raw.events = self.logs.iter().flatten().map(Log::raw).collect();
        }
        raw
    }
}

impl Field {
    /// Some storages make text of every value, and leave its type beside it.
    fn typed(&self) -> Value {
        let typed = self.value.as_str().and_then(|text| match self.kind.as_str() {
            "bool" => text.parse().ok().map(Value::Bool),
            "int64" => text.parse::<i64>().ok().map(Value::from),
            "float64" => text.parse::<f64>().ok().map(Value::from),
            _ => None,
        });
        typed.unwrap_or_else(|| self.value.clone())
    }
}

impl Log {
    fn raw(&self) -> RawEvent {
        let (name, attributes): (Vec<_>, Vec<_>) =
            pairs(self.fields.as_ref()).into_iter().partition(|(key, _)| key == "event");
        let name = name.first().and_then(|(_, value)| value.as_str()).unwrap_or_default().to_owned();
        RawEvent { time: self.timestamp.saturating_mul(1000), name, attributes }
    }
}

fn pairs(fields: Option<&Vec<Field>>) -> Vec<(String, Value)> {
    fields.into_iter().flatten().map(|field| (field.key.clone(), field.typed())).collect()
}
