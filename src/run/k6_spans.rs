//! Moves the spans of k6, which are in traces of its own, into the traces of the browsers that its iterations drive. Pure.
//!
//! k6 exports a span `iteration`, and below it spans of the actions of the script (`page.goto`, `locator.click`), of navigations and of web vitals.
//! It gives each page the id of its span of the page's navigation. The host tells that id together with the page's trace.

mod convert;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem::take;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use crate::base::text::counted;
use crate::context::ids::{SpanId, TraceId};
use crate::context::redaction::Redaction;
use crate::observe::session::{EndedIteration, IterationTrace, TestStep};
use crate::observe::span::nanos;
use crate::run::k6_spans::convert::{ITERATION, Step, extend, is_of_browser, move_span, step, texts};
use crate::run::test_runner::messages::Notice;
use crate::view::parsed::iteration_name;

/// The most spans that wait until their trace is known. Also limits the spans of an iteration and the labels that are remembered.
const MAX_WAITING: usize = 20_000;

/// The most spans of an iteration whose ids are remembered, since any of them may be a page's.
const MAX_IDS: usize = 20_000;

/// The most iterations that can be named in the summary.
const MAX_LABELS: usize = 20_000;

/// The most traces of k6 to remember, and the most reports of hosts on spans that have not come. Most belong to iterations that have ended.
const MAX_TRACES: usize = 2000;

/// The most actions of an iteration to remember, and the most waits.
const MAX_STEPS: usize = 50;

/// The id of a trace of k6's own, in bytes.
type K6TraceId = Vec<u8>;

/// The iterations of a run.
#[derive(Debug, Default)]
pub(crate) struct K6Spans {
    redaction: Redaction,
    iterations: BTreeMap<K6TraceId, Iteration>,
    /// The traces of k6, the latest last.
    order: VecDeque<K6TraceId>,
    /// The trace of each span.
    traces: BTreeMap<[u8; 8], K6TraceId>,
    /// What hosts have told of spans that have not come, the latest last.
    early: VecDeque<([u8; 8], BrowserTrace)>,
    waiting: usize,
    /// Whether k6 has ended, so that no more of its spans come.
    has_ended: bool,
    /// The number of spans whose trace was not known in time.
    dropped: usize,
    /// The iterations by their trace in a browser and its root, since browsers may share a trace that the run joins.
    labels: BTreeMap<([u8; 16], SpanId), String>,
}

/// An iteration in k6's own trace.
#[derive(Debug, Default)]
struct Iteration {
    /// Where its spans belong, the latest last. There are several if it used one browser context after another.
    browsers: Vec<BrowserTrace>,
    waiting: Vec<(Arc<Origin>, Span)>,
    /// The latest actions, with the hosts that were told of them, and the latest waits for what actions cause.
    actions: VecDeque<(usize, TestStep)>,
    waits: VecDeque<TestStep>,
    spans: BTreeSet<[u8; 8]>,
    /// What k6 says of it, once it has ended. k6 says nothing of one that it has interrupted.
    attributes: Option<BTreeMap<String, String>>,
}

/// A trace of a browser, and the connection of its host.
#[derive(Debug, Clone)]
struct BrowserTrace {
    host: usize,
    trace: IterationTrace,
}

/// The program that has made a span.
#[derive(Debug)]
struct Origin {
    resource: Option<Resource>,
    resource_schema: String,
    scope: Option<InstrumentationScope>,
    scope_schema: String,
}

/// What follows from spans or from a host's report.
#[derive(Debug, Default)]
pub(super) struct K6Effects {
    /// What to tell which host, by connection.
    pub(super) notices: Vec<(usize, Notice)>,
    /// Spans that are now in the trace of a browser.
    pub(super) request: ExportTraceServiceRequest,
}

impl K6Spans {
    pub(crate) fn new(redaction: Redaction) -> Self {
        Self { redaction, ..Self::default() }
    }

    /// Takes spans that k6 has exported.
    pub(super) fn receive(&mut self, request: ExportTraceServiceRequest) -> K6Effects {
        let mut changed = BTreeSet::new();
        for ResourceSpans { resource, scope_spans, schema_url: resource_schema } in request.resource_spans {
            for ScopeSpans { scope, spans, schema_url: scope_schema } in scope_spans {
                let (resource, resource_schema) = (resource.clone(), resource_schema.clone());
                let origin = Arc::new(Origin { resource, resource_schema, scope, scope_schema });
                for span in spans {
                    changed.insert(span.trace_id.clone());
                    self.add(Arc::clone(&origin), span);
                }
            }
        }
        let mut effects = K6Effects::default();
        for trace in changed {
            self.find_browsers(&trace, &mut effects);
            self.move_spans(&trace, &mut effects);
        }
        self.forget_oldest();
        effects
    }

    /// Takes what a host says of the trace of a page.
    pub(super) fn found(&mut self, host: usize, trace: &IterationTrace) -> K6Effects {
        let mut effects = K6Effects::default();
        let (id, browser) = (trace.k6_span_id.bytes(), BrowserTrace { host, trace: trace.clone() });
        let Some(k6_trace) = self.traces.get(&id).cloned() else {
            if self.knows(trace) {
                return effects;
            }
            if self.has_ended {
                effects.release(&browser);
            }
            self.early.push_back((id, browser));
            if self.early.len() > MAX_TRACES {
                self.early.pop_front();
            }
            return effects;
        };
        self.add_browser(&k6_trace, browser, &mut effects);
        self.move_spans(&k6_trace, &mut effects);
        effects
    }

    /// Returns whether another page has told of a trace.
    fn knows(&self, trace: &IterationTrace) -> bool {
        let mut known = self.iterations.values().flat_map(|iteration| &iteration.browsers);
        known.any(|known| (known.trace.root, known.trace.flags) == (trace.root, trace.flags))
    }

    /// Ends every iteration, since k6 has sent all that it sends. Hosts that ask later are told so too.
    pub(super) fn end(&mut self) -> K6Effects {
        self.has_ended = true;
        let mut effects = K6Effects::default();
        for (_, browser) in &self.early {
            effects.release(browser);
        }
        for iteration in self.iterations.values_mut().filter(|iteration| iteration.attributes.is_none()) {
            iteration.attributes = Some(BTreeMap::new());
            iteration.browsers.iter().for_each(|browser| effects.release(browser));
        }
        effects
    }

    /// Returns which iteration has driven the browser of a trace. Without the root it must be the trace's only one.
    pub(super) fn label(&self, trace_id: TraceId, root: Option<SpanId>) -> Option<&str> {
        let of_trace = self.labels.iter().filter(|((trace, _), _)| *trace == trace_id.bytes());
        let mut found = of_trace.filter(|((_, id), _)| root.is_none_or(|root| *id == root));
        let (_, label) = found.next()?;
        found.next().is_none().then_some(label)
    }

    /// Says how many spans are in no trace of a browser.
    pub(super) fn sentence(&self) -> Option<String> {
        let unknown = self.iterations.values().filter(|iteration| iteration.browsers.is_empty());
        let waiting: usize = unknown.map(Iteration::actions).sum();
        let count = self.dropped + waiting;
        (count > 0).then(|| {
            let spans = counted(count, "span");
            format!("{spans} of k6 left out: in the iteration no page was traced, or none could be loaded")
        })
    }

    fn add(&mut self, origin: Arc<Origin>, span: Span) {
        let trace = span.trace_id.clone();
        let iteration = self.iterations.entry(trace.clone()).or_insert_with(|| {
            self.order.push_back(trace.clone());
            Iteration::default()
        });
        // An action may end before the navigation in whose page it is.
        for id in [&span.span_id, &span.parent_span_id].into_iter().filter_map(|id| <[u8; 8]>::try_from(&**id).ok()) {
            if iteration.spans.len() < MAX_IDS {
                iteration.spans.insert(id);
                self.traces.insert(id, trace.clone());
            }
        }
        iteration.waiting.push((origin, span));
        self.waiting += 1;
    }

    fn forget_oldest(&mut self) {
        while self.order.len() > MAX_TRACES || self.waiting > MAX_WAITING {
            // Too many spans wait: iterations whose spans are not among them stay.
            let frees = |trace: &K6TraceId| self.order.len() > MAX_TRACES || !self.iterations[trace].waiting.is_empty();
            let Some(oldest) = self.order.iter().position(frees).and_then(|at| self.order.remove(at)) else { return };
            let Some(oldest) = self.iterations.remove(&oldest) else { return };
            self.waiting -= oldest.waiting.len();
            self.dropped += if oldest.browsers.is_empty() { oldest.actions() } else { 0 };
            for id in oldest.spans {
                self.traces.remove(&id);
            }
        }
    }

    /// Finds what hosts have told of a trace before its spans came.
    fn find_browsers(&mut self, trace: &K6TraceId, effects: &mut K6Effects) {
        let Some(iteration) = self.iterations.get(trace) else { return };
        if self.early.is_empty() {
            return;
        }
        let early = take(&mut self.early);
        let (found, early): (VecDeque<_>, VecDeque<_>) =
            early.into_iter().partition(|(id, _)| iteration.spans.contains(id));
        self.early = early;
        for (_, browser) in found {
            self.add_browser(trace, browser, effects);
        }
    }

    fn add_browser(&mut self, trace: &K6TraceId, browser: BrowserTrace, effects: &mut K6Effects) {
        let Some(iteration) = self.iterations.get_mut(trace) else { return };
        let root = browser.trace.root;
        iteration.browsers.retain(|known| known.trace.root != root);
        iteration.browsers.push(browser);
        iteration.browsers.sort_by(|a, b| a.trace.since.total_cmp(&b.trace.since));
        self.tell_end(trace, |browser| browser.trace.root == root, effects);
    }

    /// Moves the spans of an iteration whose browser is known.
    fn move_spans(&mut self, trace: &K6TraceId, effects: &mut K6Effects) {
        let Some(iteration) = self.iterations.get_mut(trace).filter(|iteration| !iteration.browsers.is_empty()) else {
            return;
        };
        let waiting = take(&mut iteration.waiting);
        self.waiting -= waiting.len();
        let mut ended = false;
        for (origin, mut span) in waiting {
            if span.name == ITERATION {
                iteration.attributes = Some(texts(&span.attributes));
                ended = true;
            } else if !is_of_browser(&span) {
                let browser = iteration.browser_at(span.end_time_unix_nano);
                if !browser.trace.flags.is_sampled() {
                    continue;
                }
                let (host, step) = (browser.host, step(&span, &browser.trace));
                move_span(&mut span, &browser.trace, &self.redaction);
                effects.add(&origin, span);
                let steps = step.map(|step| iteration.step(host, step)).unwrap_or_default();
                effects.notices.extend(steps.into_iter().map(|(host, step)| (host, Notice::Step(step))));
            }
        }
        if ended {
            self.tell_end(trace, |_| true, effects);
        }
    }

    /// Tells hosts of the end of an iteration, if it has ended.
    fn tell_end(&mut self, trace: &K6TraceId, is_told: impl Fn(&BrowserTrace) -> bool, effects: &mut K6Effects) {
        let Some(iteration) = self.iterations.get(trace) else { return };
        let Some(attributes) = &iteration.attributes else { return };
        for BrowserTrace { host, trace } in iteration.browsers.iter().filter(|browser| is_told(browser)) {
            let ended = EndedIteration { root: trace.root, attributes: attributes.clone() };
            effects.notices.push((*host, Notice::Iteration(ended)));
            if self.labels.len() < MAX_LABELS {
                let key = (trace.trace_id.bytes(), trace.root);
                self.labels.extend(iteration_name(|name| attributes.get(name)).map(|label| (key, label)));
            }
        }
    }
}

impl Iteration {
    /// Returns the browser's trace in which an action was that ended at a time: the latest one that had begun.
    fn browser_at(&self, end: u64) -> &BrowserTrace {
        let begun = |browser: &&BrowserTrace| nanos(browser.trace.since) <= end;
        self.browsers.iter().rev().find(begun).unwrap_or(&self.browsers[0])
    }

    /// Takes a step, and returns what hosts are to be told: an action, or the actions that a wait makes longer.
    fn step(&mut self, host: usize, step: Step) -> Vec<(usize, TestStep)> {
        let told = match step {
            Step::Action(mut action) => {
                for wait in &self.waits {
                    extend(&mut action, wait);
                }
                self.actions.push_back((host, action));
                vec![(host, action)]
            }
            Step::Wait(wait) => {
                self.waits.push_back(wait);
                let actions = self.actions.iter_mut();
                actions.filter_map(|(host, action)| extend(action, &wait).then_some((*host, *action))).collect()
            }
        };
        if self.actions.len() > MAX_STEPS {
            self.actions.pop_front();
        }
        if self.waits.len() > MAX_STEPS {
            self.waits.pop_front();
        }
        told
    }

    /// Counts the actions that wait.
    fn actions(&self) -> usize {
        self.waiting.iter().filter(|(_, span)| span.name != ITERATION && !is_of_browser(span)).count()
    }
}

impl K6Effects {
    /// Tells a host to wait for nothing more of an iteration of which k6 says nothing.
    fn release(&mut self, BrowserTrace { host, trace }: &BrowserTrace) {
        let ended = EndedIteration { root: trace.root, attributes: BTreeMap::new() };
        self.notices.push((*host, Notice::Iteration(ended)));
    }

    fn add(&mut self, origin: &Origin, span: Span) {
        let Origin { resource, resource_schema, scope, scope_schema } = origin;
        let groups = &mut self.request.resource_spans;
        let last =
            groups.last_mut().filter(|group| group.resource == *resource && group.schema_url == *resource_schema);
        let last = last.and_then(|group| group.scope_spans.last_mut());
        if let Some(group) = last.filter(|group| group.scope == *scope && group.schema_url == *scope_schema) {
            return group.spans.push(span);
        }
        let scope_spans =
            vec![ScopeSpans { scope: scope.clone(), spans: vec![span], schema_url: scope_schema.clone() }];
        groups.push(ResourceSpans { resource: resource.clone(), scope_spans, schema_url: resource_schema.clone() });
    }
}
